"""What a result was measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import monai
import torch

from monai_proto.machine import processor_name

__all__ = ["machine_record"]


def machine_record() -> dict[str, str | int]:
    """Processor, cores, versions and the commit of the checkout (with a plus sign when it has changes)."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=10"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "processor": processor_name(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "monai": monai.__version__,
        "commit": commit,
    }
