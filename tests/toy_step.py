"""A small step for the tests of terms: 2-D images, three classes, a network of a few hundred weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import UNet

from monai_proto.losses.terms import SemiSupervisedStep, View
from monai_proto.networks.nets import ProjectedSegmentationNet

CLASSES, DIM = 3, 4


def toy_network(seed: int = 0) -> ProjectedSegmentationNet:
    torch.manual_seed(seed)
    return ProjectedSegmentationNet(UNet(2, 1, CLASSES, (4, 8), (2,), num_res_units=1), DIM)


def toy_step(views: Sequence[View] = (), network=None, seed: int = 1, strong: int = 2, **options) -> SemiSupervisedStep:
    """Two labelled and three unlabelled images of 8 x 8, the latter in a weak and ``strong`` strong views."""
    generator = torch.Generator().manual_seed(seed)

    def noise(count: int) -> torch.Tensor:
        return torch.randn(count, 1, 8, 8, generator=generator)

    weak = noise(3)
    names = ["image_strong", "image_strong_2"][:strong]
    return SemiSupervisedStep(
        noise(2),
        torch.randint(0, CLASSES, (2, 1, 8, 8), generator=generator),
        {"image": weak, **{name: weak + noise(3) for name in names}},
        network or toy_network(),
        views,
        **options,
    )
