"""Runs a bundle as a user does, for the tests of the bundles."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def run_bundle(
    bundle: Path, configs: list[str], expect_success: bool = True, launcher: tuple[str, ...] = (), **overrides
) -> str:
    """``python -m monai.bundle run`` on the CPU, as a user calls it; returns what it printed."""
    files = [str(bundle / "configs" / name) for name in configs]
    command = [sys.executable, *launcher, "-m", "monai.bundle", "run"]
    command += ["--config_file", str(files if len(files) > 1 else files[0])]
    command += ["--meta_file", str(bundle / "configs" / "metadata.json")]
    command += ["--logging_file", str(bundle / "configs" / "logging.conf"), "--bundle_root", str(bundle)]
    for name, value in overrides.items():
        command += [f"--{name}", str(value)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    printed = finished.stdout + finished.stderr
    assert (finished.returncode == 0) is expect_success, printed[-3000:]
    return printed
