"""What ``run.json`` says: how a run was started, with what, on what."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import monai_proto

__all__ = ["commit", "data_counts", "datalist_hash", "describe_run"]

_PACKAGES = ("torch", "monai", "pytorch-ignite", "numpy", "nibabel", "timm", "segment-anything")


def describe_run(
    bundle: Path,
    data: str | None,
    dataset_dir: str,
    datalist: Any,
    seed: Any,
    device: Any,
    overrides: Mapping[str, Any],
    processes: int,
    command: Sequence[str],
) -> dict[str, Any]:
    """
    Args:
        bundle: folder of the bundle.
        data: folder that was asked for; None for phantoms.
        dataset_dir: folder that is used.
        datalist: the bundle's, part -> items.
        seed, device: of the bundle.
        overrides: values of the configuration that were changed.
        processes: that train.
        command: as it was typed.
    """
    return {
        "bundle": str(bundle),
        "bundle_version": json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8")).get("version"),
        "data": data,
        "dataset_dir": dataset_dir,
        "data_counts": data_counts(datalist),
        "datalist_sha256": datalist_hash(datalist),
        "overrides": dict(overrides),
        "seed": seed,
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device)
        if str(device).startswith("cuda")
        else platform.processor() or platform.machine(),
        "processes": processes,
        "threads": torch.get_num_threads(),
        "command": list(command),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {"monai_proto": monai_proto.__version__, **_versions()},
        "commit": commit(),
    }


def data_counts(datalist: Any) -> dict[str, int]:
    """Items of each part; a list without parts is one."""
    parts = datalist if isinstance(datalist, Mapping) else {"images": datalist}
    return {name: len(items) for name, items in parts.items() if isinstance(items, Sequence) and len(items)}


def datalist_hash(datalist: Any) -> str:
    """SHA-256 of a data list: of its items in their order, not of the files that they name."""
    return hashlib.sha256(json.dumps(datalist, sort_keys=True, default=str).encode()).hexdigest()


def commit() -> str | None:
    """Commit of the checkout that the package lies in, marked where it has changes; None for an installed package."""
    folder = Path(monai_proto.__file__).parents[1]
    if not (folder / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "-C", os.fspath(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
