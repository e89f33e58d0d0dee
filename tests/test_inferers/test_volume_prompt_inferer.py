from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

pytest.importorskip("segment_anything", reason="segment-anything is not installed (extra sam)")
pytest.importorskip("timm", reason="timm is not installed (extra sam)")

from tiny_sam import tiny_lite_medsam

from monai_proto.data import PrefixCache
from monai_proto.inferers import VolumePromptInferer
from monai_proto.networks.nets import AdaptableSegmenter

NAN = [float("nan")] * 4


@pytest.fixture(scope="module")
def network():
    return AdaptableSegmenter(tiny_lite_medsam(), trainable_blocks=1).eval()


@pytest.mark.parametrize("slice_batch_size", [1, 4])
def test_equals_one_slice_and_prompt_after_the_other(network, slice_batch_size):
    volume = torch.rand(1, 1, 40, 7, 52, generator=torch.Generator().manual_seed(0)) * 255
    prompts = [
        (5, [4.0, 6.0, 40.0, 30.0], []),
        (1, [10.0, 3.0, 30.0, 38.0], []),
        (5, NAN, [([9.0, 9.0], 1), ([20.0, 30.0], 0)]),
        (2, [4.0, 6.0, 40.0, 30.0], [([12.0, 11.0], 1)]),
    ]
    points, labels = torch.zeros(1, 4, 2, 2), torch.full((1, 4, 2), -1)
    for row, (_, _, given) in enumerate(prompts):
        for place, (point, label) in enumerate(given):
            points[0, row, place], labels[0, row, place] = torch.tensor(point), label
    with torch.no_grad():
        logits = VolumePromptInferer(slice_batch_size)(
            MetaTensor(volume, affine=torch.diag(torch.tensor([1.0, 2, 3, 1]))),
            network,
            slices=torch.tensor([[slice for slice, _, _ in prompts]]),
            axis=torch.tensor([1]),
            boxes=torch.tensor([[box for _, box, _ in prompts]]),
            points=points,
            labels=labels,
        )
        expected = torch.full_like(volume, -100.0)
        for index, box, given in prompts:
            picture = volume[0, 0, :, index].expand(1, 3, -1, -1)
            mask = network(
                picture,
                None if box is NAN else torch.tensor([box]),
                torch.tensor([[point for point, _ in given]]) if given else None,
                torch.tensor([[label for _, label in given]]) if given else None,
            )[0, 0]
            expected[0, 0, :, index] = torch.maximum(expected[0, 0, :, index], mask)
    assert torch.equal(logits.affine.diag(), torch.tensor([1.0, 2, 3, 1], dtype=logits.affine.dtype))
    torch.testing.assert_close(logits.as_tensor(), expected, atol=1e-3, rtol=1e-4)
    assert (expected[0, 0, :, 3] == -100).all()


def test_second_prompt_in_a_slice_takes_the_prefix_from_the_cache(network, tmp_path):
    segmenter = network.segmenter
    cache = PrefixCache(tmp_path, network.prefix, segmenter.preprocess, segmenter.preprocessing)
    volume = torch.rand(1, 1, 40, 3, 52, generator=torch.Generator().manual_seed(0)) * 255
    arguments = {
        "slices": torch.tensor([[1]]),
        "axis": torch.tensor([1]),
        "boxes": torch.tensor([[[4.0, 6.0, 40.0, 30.0]]]),
        "points": torch.zeros(1, 1, 0, 2),
        "labels": torch.zeros(1, 1, 0, dtype=torch.long),
    }
    with torch.no_grad():
        expected = VolumePromptInferer()(volume, network, **arguments)
        first, second = (VolumePromptInferer(prefix_cache=cache)(volume, network, **arguments) for _ in range(2))
    assert (cache.misses, cache.hits) == (1, 1)
    torch.testing.assert_close(first, expected)
    torch.testing.assert_close(second, expected)


def test_one_volume_at_a_time(network):
    with pytest.raises(ValueError, match=r"one volume \(1, 1, X, Y, Z\), got \(2, 1, 4, 4, 4\)"):
        VolumePromptInferer()(torch.zeros(2, 1, 4, 4, 4), network, *[torch.zeros(1)] * 5)
    with pytest.raises(ValueError, match="slice_batch_size must be at least 1, got 0"):
        VolumePromptInferer(0)
