"""Shared fixtures: where the development data lies, and the golden arrays that are copied into tests/data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

TEST_DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session", autouse=True)
def _single_threaded_torch() -> None:
    """pytest-xdist already fills the cores: one thread a worker."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data_root() -> Path:
    """The folder of development data; tests that take this fixture carry the marker `real_data`."""
    root = os.environ.get("MONAI_PROTO_DATA")
    if not root:
        pytest.skip("MONAI_PROTO_DATA is not set: the development data is not here")
    path = Path(root)
    if not path.is_dir():
        pytest.skip(f"MONAI_PROTO_DATA points at {root}, which is not a folder")
    return path


@pytest.fixture(scope="session")
def memory_contrast_golden() -> dict[str, np.ndarray]:
    """SS-Net's feature memory and contrastive loss on random input (see tests/data/README.md)."""
    with np.load(TEST_DATA / "memory_contrast.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="session")
def prototype_push_golden() -> dict[str, np.ndarray]:
    """ProtoPNet's push on given feature maps (see tests/data/README.md)."""
    with np.load(TEST_DATA / "prototype_push.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}
