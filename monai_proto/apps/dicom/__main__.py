"""``python -m monai_proto.apps.dicom``: the same commands as ``monai-proto``."""

from __future__ import annotations

from monai_proto.apps.cli import app

if __name__ == "__main__":
    app(prog_name="monai-proto")
