"""What `monai-proto doctor` finds, as plain values."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from monai_proto import __version__, folders, machine
from monai_proto.extras import EXTRAS, install_command, missing_packages
from monai_proto.workflows.catalog import bundles_folder

__all__ = ["examine"]

_PACKAGES = ("torch", "monai", "pytorch-ignite", "numpy", "nibabel", "SimpleITK", "timm", "pydicom", "highdicom")


def examine() -> dict[str, Any]:
    """
    Returns:
        ``versions``, ``devices`` (name, kind, bfloat16), ``threads``, ``extras`` (what each brings, what is missing of
        it, the line that installs it), ``data`` and ``folders`` with their sizes in bytes; values that JSON takes.
    """
    return {
        "versions": {
            "monai-proto": __version__,
            "python": f"{platform.python_version()} ({sys.executable})",
            "system": platform.platform(),
            **{package: _version(package) for package in _PACKAGES},
        },
        "devices": _devices(),
        "threads": _threads(),
        "extras": {name: _extra(name) for name in EXTRAS},
        "data": _data(),
        "folders": _folders(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _devices() -> list[dict[str, Any]]:
    import torch

    cpu = {
        "kind": "cpu",
        "name": machine.processor_name(),
        "bfloat16": machine.has_fast_bfloat16(),
        "avx512": machine.has_avx512(),
    }
    gpus = [
        {
            "kind": f"cuda:{index}",
            "name": torch.cuda.get_device_name(index),
            "bfloat16": machine.has_fast_bfloat16(f"cuda:{index}"),
            "bytes": torch.cuda.get_device_properties(index).total_memory,
        }
        for index in range(torch.cuda.device_count())
    ]
    return [cpu, *gpus]


def _threads() -> dict[str, Any]:
    choice = machine.choose_threads()
    return {
        "chosen": choice.number,
        "reason": choice.reason,
        "physical_cores": machine.physical_cores(),
        "available_cores": machine.available_cores(),
        "cgroup_cores": machine.cgroup_cores(),
    }


def _extra(name: str) -> dict[str, Any]:
    return {"brings": EXTRAS[name].brings, "missing": missing_packages(name), "install": install_command(name)}


def _data() -> dict[str, Any]:
    root = os.environ.get("MONAI_PROTO_DATA")
    found = sorted(path.name for path in Path(root).iterdir() if path.is_dir()) if root and Path(root).is_dir() else []
    return {"folder": root, "found": found}


def _folders() -> dict[str, dict[str, Any]]:
    places = {"bundles": bundles_folder(), "cache": folders.cache_dir(), "runs": folders.runs_dir()}
    return {name: {"path": str(path), "bytes": _size(path)} for name, path in places.items()}


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
