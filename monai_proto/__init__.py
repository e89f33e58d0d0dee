"""monai_proto: class memory bank, prototype head and SAM weak supervision as ordinary MONAI parts."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PARTS = (
    "active_learning",
    "apps",
    "compat",
    "data",
    "dicom",
    "engines",
    "handlers",
    "inferers",
    "losses",
    "machine",
    "metrics",
    "networks",
    "optimizers",
    "phantoms",
    "preparation",
    "transforms",
    "visualize",
    "workflows",
)

__all__ = ["__version__", "bundle", *_PARTS]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is first used, so that ``import monai_proto`` itself costs nothing."""
    if name in _PARTS:
        return import_module(f"{__name__}.{name}")
    if name == "bundle":
        return import_module(f"{__name__}.apps.run.trainer").bundle
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
