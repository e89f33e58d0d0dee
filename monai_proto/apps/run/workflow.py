"""A bundle's configuration as a workflow of MONAI."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from monai.bundle import ConfigWorkflow

__all__ = ["documented_command", "label_names", "make_workflow"]


def make_workflow(
    configs: Path, files: Iterable[str], overrides: Mapping[str, Any], workflow_type: str = "train"
) -> ConfigWorkflow:
    """
    What ``python -m monai.bundle run`` makes of the files and overrides, but for the logging.

    Args:
        configs: folder of the files.
        files: names of the configurations, each laid over those before it.
        overrides: key, parts joined by ``#`` -> value.
        workflow_type: ``"train"`` or ``"inference"``.
    """
    return ConfigWorkflow(
        config_file=[str(configs / name) for name in files],
        meta_file=str(configs / "metadata.json"),
        logging_file=False,
        workflow_type=workflow_type,
        **{key.replace("#", "::"): value for key, value in overrides.items()},
    )


def documented_command(configs: Path, files: Iterable[str], overrides: Mapping[str, Any]) -> str:
    """The same as a command of MONAI's, for a shell."""
    names = [os.fspath(configs / name) for name in files]
    command = ["python", "-m", "monai.bundle", "run", "--config_file", names[0] if len(names) == 1 else str(names)]
    command += ["--meta_file", os.fspath(configs / "metadata.json")]
    command += [part for key, value in overrides.items() for part in (f"--{key}", str(value))]
    return shlex.join(command)


def label_names(workflow: ConfigWorkflow, count: int) -> list[str]:
    """
    Names of the classes that a bundle has metrics of.

    Args:
        workflow: initialized.
        count: number of the classes, the background not counted where there is one.
    """
    from monai_proto.data.bundle_metadata import read_label_names

    parser = workflow.parser
    if "class_names" in parser and len(names := parser.get_parsed_content("class_names")) == count:
        return [str(name) for name in names]
    candidates: list[list[str]] = []
    if "label_names" in parser:
        candidates.append(list(parser.get_parsed_content("label_names"))[1:])
    with suppress(ValueError):  # a list of another form, whose bundle names its classes elsewhere
        candidates.append(read_label_names(parser.get_parsed_content("dataset_dir"))[1:])
    fitting = [names for names in candidates if len(names) == count]
    if fitting:
        return fitting[0]
    return ["object"] if count == 1 else [f"label {value}" for value in range(1, count + 1)]
