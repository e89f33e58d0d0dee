"""Where the package writes when nobody says so: in the folders of the user's data and caches, never into a bundle."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["cache_dir", "run_dir", "runs_dir"]


def cache_dir() -> Path:
    """Folder of phantoms and other things that are made again when missing; ``MONAI_PROTO_CACHE`` where it is set."""
    return _absolute(os.environ.get("MONAI_PROTO_CACHE") or platformdirs.user_cache_path("monai_proto"))


def runs_dir() -> Path:
    """Folder of runs that got no other; ``MONAI_PROTO_RUNS`` where it is set."""
    return _absolute(os.environ.get("MONAI_PROTO_RUNS") or platformdirs.user_data_path("monai_proto") / "runs")


def run_dir(bundle_root: str | os.PathLike[str], kind: str = "") -> str:
    """
    The folder of a bundle's runs below :func:`runs_dir` (``~/.local/share/monai_proto/runs/BUNDLE`` on Linux). It is
    not made here.

    In a bundle: ``"ckpt_dir": "$monai_proto.workflows.run_dir(@bundle_root)"``.

    Args:
        bundle_root: folder of the bundle, whose name is taken.
        kind: of what is written, a folder in it, such as ``"evaluation"``.
    """
    return str(runs_dir() / Path(bundle_root).resolve().name / kind)


def _absolute(folder: str | os.PathLike[str]) -> Path:
    return Path(folder).expanduser().absolute()
