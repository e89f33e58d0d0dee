"""What every run of our bundles does first: refuse what does not fit, say which data and model it uses."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from monai_proto.workflows.errors import install_error_report, runs_monai_bundle
from monai_proto.workflows.overrides import (
    config_files_within,
    config_problems,
    default_values,
    with_truth_values,
)

if TYPE_CHECKING:
    from monai.bundle import ConfigParser

__all__ = ["describe_data", "require_no_model", "start_run"]

_logger = logging.getLogger("monai_proto")
_MODELS = ("model.pt", "last.pt")
_PHANTOMS = "phantom_dataset_dir("


def start_run(kind: Literal["train", "evaluate", "infer"]) -> None:
    """
    The first entry of ``initialize`` in our bundles: ``"$monai_proto.workflows.start_run('train')"``.

    1. Under ``python -m monai.bundle``, errors end with lines that a person can read (:mod:`.errors`).
    2. Overrides that nothing reads, or of another type, are refused (:mod:`.overrides`); ``true`` and ``false`` become
       truth values.
    3. A training does not replace a model without ``resume`` or ``overwrite``.
    4. The first line says what data is used: ``Data: PHANTOMS (no --dataset_dir)``, or the folder with its counts;
       evaluation and inference say which weights.

    An expression does not get to see the configuration that it stands in, so the workflow that evaluates it is looked
    up in the calling frames.

    Args:
        kind: what the configuration does.

    Raises:
        ValueError: for 2 and 3, and when no workflow of MONAI's evaluates this.
    """
    if runs_monai_bundle():
        install_error_report()
    workflow = _calling_workflow()
    parser: ConfigParser = workflow.parser
    _check_overrides(parser, Path(workflow.config_root_path))
    if kind == "train":
        ckpt_dir = parser.get_parsed_content("ckpt_dir")
        require_no_model(
            ckpt_dir, bool(parser.get_parsed_content("resume")), bool(parser.get_parsed_content("overwrite"))
        )
        if runs_monai_bundle():
            install_error_report(
                f"Interrupted. The last whole epoch is saved in {ckpt_dir}: --resume True goes on from there."
            )
    folder, phantoms = parser.get_parsed_content("dataset_dir"), _PHANTOMS in str(parser["dataset_dir"])
    datalist = "evaluated" if "evaluated" in parser else "datalist"
    _say(describe_data(folder, parser.get_parsed_content(datalist), phantoms))
    if kind != "train":
        weights = parser.get_parsed_content("ckpt_path" if "ckpt_path" in parser else "ckpt_dir")
        _say(f"Model: {weights if kind == 'infer' else os.path.join(weights, 'model.pt')}")


def describe_data(
    dataset_dir: str | os.PathLike[str],
    datalist: Mapping[str, Sequence[Any]] | Sequence[Any],
    phantoms: bool,
    option: str = "--dataset_dir",
) -> str:
    """
    The line that says what a run uses, such as ``Data: /data/liver (10 labelled, 41 unlabelled, 8 validation)``.

    Args:
        dataset_dir: folder of the data.
        datalist: items of each part, or items alone.
        phantoms: whether nobody named data.
        option: by which data are named.
    """
    parts = datalist if isinstance(datalist, Mapping) else {"images": datalist}
    counts = ", ".join(f"{len(items)} {part}" for part, items in parts.items() if isinstance(items, list | tuple))
    return f"Data: PHANTOMS (no {option}) ({counts})" if phantoms else f"Data: {dataset_dir} ({counts})"


def require_no_model(
    ckpt_dir: str | os.PathLike[str],
    resume: bool,
    overwrite: bool,
    options: tuple[str, str, str] = ("--resume True", "--overwrite True", "--ckpt_dir"),
) -> None:
    """
    A model that is there is not silently replaced, by a worse one for instance.

    Args:
        ckpt_dir: folder of the checkpoints.
        resume: whether training goes on from it.
        overwrite: whether it may be replaced.
        options: how a person asks for either, and names another folder.

    Raises:
        ValueError: naming the model.
    """
    there = [Path(ckpt_dir) / name for name in _MODELS if (Path(ckpt_dir) / name).is_file()]
    if there and not (resume or overwrite):
        go_on, replace, other = options
        raise ValueError(
            f"There is a model already: {there[0]}.\n"
            f"Go on with its training by {go_on}, replace it by {replace}, or name another {other}."
        )


def _check_overrides(parser: ConfigParser, configs: Path) -> None:
    config = parser.get()
    defaults = default_values(config_files_within(config, configs))
    problems = config_problems(config, defaults)
    if problems:
        raise ValueError("\n".join(problems))
    for name, value in with_truth_values(config, defaults).items():
        # the reference resolver was filled when the workflow was parsed; nothing has asked for this entry yet
        parser.ref_resolver.items[parser.ref_resolver.normalize_id(name)].update_config(value)


def _calling_workflow() -> Any:
    from monai.bundle import ConfigWorkflow

    frame = inspect.currentframe()
    while frame is not None:
        candidate = frame.f_locals.get("self")
        if isinstance(candidate, ConfigWorkflow):
            return candidate
        frame = frame.f_back
    raise ValueError("start_run belongs in the `initialize` of a bundle's configuration: no ConfigWorkflow calls it.")


def _say(line: str) -> None:
    if int(os.environ.get("RANK", "0")):
        return
    if runs_monai_bundle():  # whatever the logging file says
        print(line, flush=True)
    else:
        _logger.info(line)
