"""Predicts with the model of a run, or with the weights that come with a bundle."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser, ConfigWorkflow
from rich.console import Console

from monai_proto.apps.run.folder import RECORD_NAME, RunFolder, is_run
from monai_proto.apps.run.inputs import find_volume_images
from monai_proto.apps.run.progress import EvaluationProgress, wait
from monai_proto.apps.run.screen import everything_logged
from monai_proto.apps.run.workflow import documented_command, make_workflow
from monai_proto.workflows.catalog import describe_bundle, find_bundle
from monai_proto.workflows.errors import error_text, is_wrong_input
from monai_proto.workflows.overrides import check_overrides

__all__ = ["explain", "find_model", "known_overrides", "predict"]

_INFERENCE = ("inference.json",)
_LOG_NAME = "predict.log"
_SHOWN = 12


@dataclass(frozen=True)
class Model:
    """
    Weights and the configuration that they fit.

    Args:
        name: for messages.
        configs: folder of ``inference.json``.
        overrides: what ``inference.json`` is to be changed in for these weights.
        phantoms: whether the weights have seen phantoms only.
    """

    name: str
    configs: Path
    overrides: dict[str, Any]
    phantoms: bool


def predict(
    run_or_bundle: str,
    source: str,
    output: Path,
    overrides: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    verbose: bool = False,
) -> list[Path]:
    """
    Masks of images, or a classifier's answers with their figures, into a folder.

    Args:
        run_or_bundle: folder of a run, or name or folder of a bundle.
        source: an image, or a folder of images.
        output: folder, new or empty.
        overrides: values of ``inference.json`` to change, such as ``box`` of a promptable bundle.
        overwrite: empty the folder first, where an earlier prediction wrote it.
        verbose: say which call of MONAI's does the same.

    Returns:
        the files written.

    Raises:
        ValueError: when there is no model, the input or an override do not fit, or the folder holds something.
        RuntimeError: when the prediction fails otherwise.
    """
    model = find_model(run_or_bundle)
    overrides = dict(overrides or {})
    config = ConfigParser.load_config_file(model.configs / _INFERENCE[0])
    check_overrides([model.configs / _INFERENCE[0]], overrides, "--set {}")
    if not Path(source).exists():
        raise ValueError(f"--input {source} does not exist.")
    output = output.absolute()
    _make_empty(output, overwrite)
    with everything_logged(output / _LOG_NAME) as console:
        try:
            workflow = _run(model, config, os.path.abspath(source), output, overrides, console, verbose)
        except Exception as error:
            kind = ValueError if is_wrong_input(error) else RuntimeError
            raise kind(f"{error_text(error)}\nLog: {output / _LOG_NAME}") from error
        written = sorted(file for file in output.rglob("*") if file.is_file() and file.name != _LOG_NAME)
        _say_what_was_written(console, written, output, len(_images(workflow)))
        if model.phantoms:
            console.print("The weights have seen phantoms only: they say nothing about patients.")
    return written


def explain(
    run_or_bundle: str,
    source: str,
    output: Path,
    overrides: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    verbose: bool = False,
) -> list[Path]:
    """
    The "this looks like that" figure of every image: :func:`predict` of a bundle with prototypes.

    Raises:
        ValueError: when the bundle has no prototypes, and see :func:`predict`.
    """
    model = find_model(run_or_bundle)
    config = ConfigParser.load_config_file(model.configs / _INFERENCE[0])
    if "source_dir" not in config or "draw" not in config:
        raise ValueError(f"{model.name} has no prototypes to explain an answer by; predict writes its masks.")
    return predict(run_or_bundle, source, output, {"draw": "all", **(overrides or {})}, overwrite, verbose)


def find_model(run_or_bundle: str) -> Model:
    """
    Args:
        run_or_bundle: folder of a run, or name or folder of a bundle.

    Raises:
        ValueError: when it is neither, or has no weights.
    """
    if is_run(run_or_bundle):
        folder = RunFolder(Path(run_or_bundle))
        record = folder.read_record()
        if not folder.model.is_file():
            raise ValueError(f"{folder.path} has no {folder.model.name}: nothing was validated yet.")
        config = ConfigParser.load_config_file(folder.configs / _INFERENCE[0])
        overrides = known_overrides(config, record["overrides"])
        if isinstance(config.get("class_names"), list) and record.get("classes"):
            overrides["class_names"] = record["classes"]
        paths = {"bundle_root": record["bundle"], "ckpt_path": str(folder.model)}
        return Model(folder.path.name, folder.configs, {**overrides, **paths}, record["data"] is None)
    try:
        bundle = find_bundle(run_or_bundle)
    except ValueError as error:
        raise ValueError(f"{run_or_bundle} holds no run ({RECORD_NAME}). {error}") from error
    weights = bundle / "models" / "model.pt"
    if not weights.is_file():
        raise ValueError(f"Bundle {bundle} has no models/model.pt.")
    if not (bundle / "configs" / _INFERENCE[0]).is_file():
        raise ValueError(f"Bundle {bundle} has no configs/{_INFERENCE[0]}.")
    phantoms = describe_bundle(bundle).weights == "phantom"
    return Model(bundle.name, bundle / "configs", {"bundle_root": str(bundle), "ckpt_path": str(weights)}, phantoms)


def known_overrides(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Those overrides of a training that another configuration has, too, such as the size of the network."""
    return {key: value for key, value in overrides.items() if "#" not in key and key in config}


def _run(
    model: Model,
    config: Mapping[str, Any],
    source: str,
    output: Path,
    overrides: dict[str, Any],
    console: Console,
    verbose: bool,
) -> ConfigWorkflow:
    changed = {**model.overrides, "dataset_dir": source, "output_dir": str(output), **overrides}
    if "list_images" in str(config.get("datalist")):
        changed["datalist"] = find_volume_images(source)
    with wait(console, "Starting"):
        workflow = make_workflow(model.configs, _INFERENCE, changed, workflow_type="inference")
        workflow.initialize()
        console.print(f"Data: {source}: {len(_images(workflow))} images")
        if verbose:
            console.print(f"The same as: {documented_command(model.configs, _INFERENCE, changed)}")
        evaluator = workflow.parser.get_parsed_content("evaluator")
    progress = EvaluationProgress(console, f"prediction with {model.name}")
    progress.attach(evaluator)
    with progress.shown():
        workflow.run()
    workflow.finalize()
    return workflow


def _images(workflow: ConfigWorkflow) -> list[Any]:
    return list(workflow.parser.get_parsed_content("datalist"))


def _say_what_was_written(console: Console, written: list[Path], output: Path, images: int) -> None:
    for file in written[:_SHOWN]:
        console.print(f"  {file.relative_to(output)}")
    if len(written) > _SHOWN:
        console.print(f"  and {len(written) - _SHOWN} more")
    console.print(f"{len(written)} files for {images} images in {output}")


def _make_empty(output: Path, overwrite: bool) -> None:
    if output.exists() and not output.is_dir():
        raise ValueError(f"--output {output} is a file: name a new folder.")
    there = list(output.iterdir()) if output.is_dir() else []
    if there and not (overwrite and output / _LOG_NAME in there):
        hint = "--overwrite empties it, or name a new one" if output / _LOG_NAME in there else "name a new one"
        raise ValueError(f"--output {output} is not empty: {hint}.")
    for file in there:
        shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()
    output.mkdir(parents=True, exist_ok=True)
