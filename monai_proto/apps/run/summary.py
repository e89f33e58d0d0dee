"""What a person reads of a run: ``curves.png``, ``summary.md``, and what to type next."""

from __future__ import annotations

import shlex
from pathlib import Path

from monai_proto.apps.run.case_results import CaseResults
from monai_proto.apps.run.evaluation import PHANTOM_WARNING, result_rows
from monai_proto.apps.run.folder import RunFolder
from monai_proto.apps.run.history import read_history
from monai_proto.apps.run.progress import metric_title
from monai_proto.apps.run.workflow import documented_command
from monai_proto.visualize.training_curves import draw_training_curves

__all__ = ["best_validation", "draw_curves", "resume_command", "write_summary"]

_FILES = {
    "model": "best model",
    "last": "state after the last epoch, for `--resume`",
    "metrics": "every case, classes by their names",
    "overlays": "cases best, median, worst",
    "curves": "losses and validation over the epochs",
    "history": "the same as a table",
    "evaluation": "what the bundle's evaluation wrote",
    "bundle_output": "what the bundle wrote while it trained",
    "configs": "the configuration that was trained, with every override",
    "record_file": "command, versions, commit, seed, hash of the data list",
    "log": "everything that was printed and warned about",
}


def draw_curves(folder: RunFolder) -> Path:
    """Losses, and the validation's metrics with those of every class."""
    record = folder.read_record()
    curves: dict[str, dict[str, list[tuple[int, float]]]] = {"loss": {}, "validation": {}}
    for epoch, kind, name, value in read_history(folder.history):
        if kind == "model":
            continue
        curves[kind].setdefault(metric_title(name) if kind == "validation" else name, []).append((epoch, value))
    best = best_validation(folder)
    data = "phantoms" if record["data"] is None else record["data"]
    title = f"{Path(record['bundle']).name} on {data}"
    return draw_training_curves(curves["loss"], curves["validation"], folder.curves, title, best and best[0])


def best_validation(folder: RunFolder) -> tuple[int, str, float] | None:
    """Epoch after which the best model was saved, name and value of its metric; None where there is none."""
    rows = read_history(folder.history)
    saved = [row for row in rows if row[1] == "model"]
    if not saved:
        return None
    epoch, _, _, value = saved[-1]
    return epoch, next(row[2] for row in rows if row[1] == "validation"), value


def write_summary(folder: RunFolder, results: CaseResults) -> str:
    """
    Write ``summary.md``.

    Returns:
        the command to type next.
    """
    record = folder.read_record()
    phantoms = record["data"] is None
    data = "phantoms (no `--data` was given)" if phantoms else record["data"]
    counts = ", ".join(f"{count} {name}" for name, count in record["data_counts"].items())
    head, *rows = result_rows(results)
    best = best_validation(folder)
    table = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    files = [
        f"| `{getattr(folder, name).relative_to(folder.path)}` | {what} |"
        for name, what in _FILES.items()
        if getattr(folder, name).exists()
    ]
    predict = f"monai-proto predict {_quoted(folder.path)} --input {_quoted(record['dataset_dir'])}"
    predict += f" --output {_quoted(folder.path / 'predictions')}"
    evaluate = documented_command(
        folder.configs,
        ("train.json", "evaluate.json"),
        {"ckpt_dir": folder.path, "output_dir": folder.evaluation},
    )
    changed = ", ".join(f"`{key}={value}`" for key, value in record["overrides"].items()) or "none"
    lines = [
        f"# {Path(record['bundle']).name}, trained on {'phantoms' if phantoms else record['data']}",
        *([f"**{PHANTOM_WARNING}**", ""] if phantoms else []),
        f"Data: {data}: {counts}.",
        f"Training: {record['epochs']} epochs, {record['seconds']:.0f} s on {record['device']}, "
        f"{record['processes']} process(es) of {record['threads']} thread(s), seed {record['seed']}, started "
        f"{record['started']}. Changed from the bundle's defaults: {changed}.",
        *([f"Best validation: {metric_title(best[1])} {best[2]:.4f} after epoch {best[0]}."] if best else []),
        "",
        f"## Result: {metric_title(results.metric)} of {results.cases} cases",
        *table,
        "",
        *(
            ["Validation chose the best epoch: on the same cases this figure flatters the model.", ""]
            if "test" not in record["data_counts"]
            else []
        ),
        "## Where everything is",
        f"In `{folder.path}`:",
        "",
        "| file | what |",
        "| --- | --- |",
        *files,
        "",
        "## What to type next",
        "Predict; `--input` may be any image, or a folder of images:",
        "```bash",
        predict,
        "```",
        "Go on training for longer:",
        "```bash",
        f"{resume_command(folder)} --set max_epochs={2 * record['epochs']}",
        "```",
        "Evaluate again, on other data with `--data`:",
        "```bash",
        f"monai-proto evaluate {_quoted(folder.path)}",
        "```",
        "which does what this does:",
        "```bash",
        evaluate,
        "```",
        "",
    ]
    folder.summary.write_text("\n".join(lines), encoding="utf-8")
    return predict


def resume_command(folder: RunFolder) -> str:
    """What goes on with a run."""
    record = folder.read_record()
    processes = f" --processes {record['processes']}" if record["processes"] > 1 else ""
    return f"monai-proto train {_quoted(record['bundle'])} --output {_quoted(folder.path)}{processes} --resume"


def _quoted(path: str | Path) -> str:
    return shlex.quote(str(path))
