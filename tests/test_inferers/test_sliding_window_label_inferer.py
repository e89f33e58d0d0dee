"""Labels in tiles against the argmax of MONAI's whole map of scores."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import UNet

from monai_proto.inferers import SlidingWindowLabelInferer
from monai_proto.inferers.sliding_window_label_inferer import _LabelStitcher


class _PlaceDependent(torch.nn.Module):
    """Scores that depend on the place in the window, so that every overlap matters."""

    def __init__(self, num_classes: int, roi_size: tuple[int, ...]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = torch.randn(num_classes, *roi_size, generator=generator)
        self.batch_sizes: list[int] = []

    def forward(self, patches: torch.Tensor, factor: float = 1.0) -> torch.Tensor:
        self.batch_sizes.append(patches.shape[0])
        return patches[:, :1] * self.weight + factor * self.weight.roll(1, dims=0)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(3, 17)] * 3),
    roi_size=st.tuples(*[st.integers(2, 8)] * 3),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.8]),
    mode=st.sampled_from(["constant", "gaussian"]),
    sw_batch_size=st.integers(1, 5),
)
def test_labels_are_the_argmax_of_monais_scores(sizes, roi_size, overlap, mode, sw_batch_size):
    image = torch.randn(1, 1, *sizes, generator=torch.Generator().manual_seed(0))
    network = _PlaceDependent(4, roi_size)
    scores = SlidingWindowInferer(roi_size, sw_batch_size, overlap, mode)(image, network)
    labels = SlidingWindowLabelInferer(roi_size, sw_batch_size, overlap, mode)(image, network)
    assert labels.shape == (1, 1, *sizes)
    assert labels.dtype == torch.uint8
    two_best = scores.topk(2, dim=1).values
    undecided = (two_best[:, :1] - two_best[:, 1:]) < 1e-5  # rounding may decide these either way
    differs = labels != scores.argmax(dim=1, keepdim=True)
    assert not (differs & ~undecided).any()
    assert undecided.float().mean() < 0.01
    assert max(network.batch_sizes) <= sw_batch_size


def test_a_network_of_monai_in_2d_and_a_batch_of_images():
    torch.manual_seed(0)
    network = UNet(2, 1, 3, (4, 8), (2,)).eval()
    images = torch.randn(2, 1, 50, 31)
    scores = SlidingWindowInferer((16, 16), 3, 0.5)(images, network)
    labels = SlidingWindowLabelInferer((16, 16), 3, 0.5)(images, network)
    assert torch.equal(labels, scores.argmax(dim=1, keepdim=True).to(torch.uint8))


def test_scores_are_kept_for_one_depth_of_windows_along_the_longest_axis():
    stitcher = _LabelStitcher((20, 100, 30), (10, 10, 10), "cpu")
    stitcher.add((slice(0, 10), slice(0, 10), slice(0, 10)), torch.zeros(3, 10, 10, 10))
    assert stitcher.axis == 1
    assert stitcher.scores.shape == (3, 20, 10, 30)


def test_meta_data_arguments_and_devices_are_passed_on():
    image = MetaTensor(torch.randn(1, 1, 9, 9, 9), meta={"filename_or_obj": "ct.nii.gz"})
    network = _PlaceDependent(3, (4, 4, 4))
    inferer = SlidingWindowLabelInferer((4, 4, 4), sw_device="cpu", device="cpu")
    labels = inferer(image, network, factor=1e6)
    assert labels.meta["filename_or_obj"] == "ct.nii.gz"
    # scores that hardly depend on the image
    assert torch.equal(labels.as_tensor(), inferer(torch.zeros(1, 1, 9, 9, 9), network, 1e6))
    assert not torch.equal(labels.as_tensor(), inferer(image.as_tensor(), network))


def test_half_precision_scores_are_added_up_as_floats():
    """As under autocast: in half precision 1 would vanish beside 2048."""
    scores = iter([[2048.0, 2048.0], [0.0, 1.0]])

    def network(patches):
        return torch.tensor(next(scores), dtype=torch.half).view(1, 2, 1).expand(1, 2, 4)

    labels = SlidingWindowLabelInferer((4,), sw_batch_size=1, overlap=0.5)(torch.zeros(1, 1, 6), network)
    assert labels.flatten().tolist() == [0, 0, 1, 1, 1, 1]  # both windows reach the third and the fourth


def test_more_than_256_classes_have_labels_of_their_own():
    def network(patches):
        scores = torch.zeros(patches.shape[0], 300, 4, 4)
        scores[:, 299] = 1
        return scores

    assert SlidingWindowLabelInferer((4, 4))(torch.zeros(1, 1, 8, 8), network).unique().tolist() == [299]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"roi_size": (4, 0)}, "roi_size"),
        ({"roi_size": (4, 4), "sw_batch_size": 0}, "sw_batch_size"),
        ({"roi_size": (4, 4), "overlap": 1.0}, "overlap"),
        ({"roi_size": (4, 4), "mode": "linear"}, "mode"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SlidingWindowLabelInferer(**arguments)


@pytest.mark.parametrize(
    ("images", "network", "message"),
    [
        (torch.zeros(1, 1, 8, 8, 8), lambda x: x, "2 spatial axes"),
        (torch.zeros(1, 1, 8, 8), lambda x: x, "C of 2 or more"),
        (torch.zeros(1, 1, 8, 8), lambda x: torch.zeros(len(x), 2, 2, 2), "got "),
        (torch.zeros(1, 1, 8, 8), lambda x: (x, x), "got tuple"),
    ],
)
def test_images_and_networks_that_do_not_fit_are_named(images, network, message):
    with pytest.raises(ValueError, match=message):
        SlidingWindowLabelInferer((4, 4))(images, network)
