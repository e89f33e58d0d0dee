"""Where runs write when nobody says so: never into a bundle or the current folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["run_dir"]


def run_dir(bundle_root: str | os.PathLike[str], kind: str = "") -> str:
    """
    The folder of a bundle's runs in that of the user's data (``~/.local/share/monai_proto/runs/BUNDLE`` on Linux), or in
    ``MONAI_PROTO_RUNS`` where that is set. It is not made here.

    In a bundle: ``"ckpt_dir": "$monai_proto.workflows.run_dir(@bundle_root)"``.

    Args:
        bundle_root: folder of the bundle, whose name is taken.
        kind: of what is written, a folder in it, such as ``"evaluation"``.
    """
    root = Path(os.environ.get("MONAI_PROTO_RUNS") or platformdirs.user_data_path("monai_proto") / "runs").expanduser()
    return str(root.absolute() / Path(bundle_root).resolve().name / kind)
