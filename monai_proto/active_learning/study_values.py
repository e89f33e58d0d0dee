"""What a study says about itself: distance from the class prototypes, how unsure its labels are, its look."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from monai.transforms.utils_morphological_ops import dilate

from monai_proto.networks.precision import in_float32

__all__ = [
    "class_feature_means",
    "embedding_distances",
    "foreground_entropy",
    "prototype_distances",
    "relative_prototype_distances",
    "thumbnail_embedding",
]


@in_float32
def class_feature_means(
    features: torch.Tensor, labels: torch.Tensor, num_classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Mean unit-length feature of each class of one image.

    A cell of a coarser feature map counts for every class that it holds, by the share of its voxels, so that a
    structure of a few voxels is not lost between cells.

    Args:
        features: feature map (D, *grid).
        labels: integers 0 .. C-1, or others for voxels that belong to no class, (*spatial).
        num_classes: C.

    Returns:
        means (C, D), float32, not of unit length, zero for a class without voxels; voxels of each class (C,), int64.
    """
    # in float32: sums over a large volume lose digits in half precision
    unit = F.normalize(features, dim=0).flatten(1)
    means, counts = unit.new_zeros(num_classes, len(features)), labels.new_zeros(num_classes, dtype=torch.long)
    for index in range(num_classes):
        of_class = labels == index
        shares = F.interpolate(of_class[None, None].float(), size=features.shape[1:], mode="area").flatten()
        means[index] = unit @ shares / shares.sum().clamp(min=torch.finfo(torch.float32).tiny)
        counts[index] = of_class.sum()
    return means, counts


@in_float32
def prototype_distances(means: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """
    Mean over a class's voxels of ``1 - cos(feature, prototype of the class)``.

    The mean of cosines is the cosine's numerator taken with the mean of the unit-length features.

    Args:
        means: of :func:`class_feature_means` (C, D).
        prototypes: (C, D), of any length.

    Returns:
        (C,), in 0 .. 2; 1 for a class without voxels or with a prototype of zeros.
    """
    return 1 - (means * F.normalize(prototypes.to(means), dim=1)).sum(1)


@in_float32
def relative_prototype_distances(means: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """
    :func:`prototype_distances` less the distance of the study's background to the same prototypes:
    ``cos(mean background feature, prototype) - mean cos(feature, prototype)``.

    A voxel has its label because its feature is near the prototype, so that the distance alone says little about
    errors. They show where a study's background comes near the prototypes, too.

    Args:
        means: of :func:`class_feature_means` (C, D), class 0 being the background.
        prototypes: (C, D), of any length.

    Returns:
        (C,), in -2 .. 2: the lower, the better a class stands out from the study's background.
    """
    background = prototypes.to(means).new_zeros(means.shape) + F.normalize(means[0], dim=0)
    return prototype_distances(means, prototypes) - prototype_distances(background, prototypes)


def foreground_entropy(logits: torch.Tensor, margin: int = 4) -> torch.Tensor:
    """
    Mean entropy of the softmax over the predicted foreground and its surroundings, divided by log C.

    The rest of the volume does not count: how much background a study shows says nothing about how hard it is. Where
    no foreground is predicted, the whole volume counts.

    Args:
        logits: (C, *spatial), two or three spatial axes, class 0 being the background.
        margin: voxels by which the foreground is widened; the doubt about a border lies on both sides of it.

    Returns:
        scalar in 0 .. 1.

    Raises:
        ValueError: when there are fewer than two classes or ``margin`` is negative.
    """
    if logits.shape[0] < 2:
        raise ValueError(f"logits must have at least 2 classes, got {logits.shape[0]}.")
    if margin < 0:
        raise ValueError(f"margin must not be negative, got {margin}.")
    log_probabilities = logits.float().log_softmax(0)
    entropy = -(log_probabilities.exp() * log_probabilities).sum(0) / math.log(logits.shape[0])
    foreground = (logits.argmax(0) > 0)[None, None].float()
    region = dilate(foreground, filter_size=2 * margin + 1)[0, 0]
    region = torch.where(region.sum() > 0, region, torch.ones_like(region))
    return ((entropy * region).sum() / region.sum()).clamp(0, 1)


@in_float32
def embedding_distances(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """
    Distances between studies: the mean of ``1 - cos`` over the classes that either of the two has.

    A class that only one of them has counts as 1, one that neither has does not count.

    Args:
        first: embeddings (S, K, D), the mean feature of each of K classes, of any length; zeros for a class that the
            study does not have.
        second: embeddings (T, K, D).

    Returns:
        (S, T), in 0 .. 2; 0 for two studies without any class.

    Raises:
        ValueError: when the two are not embeddings of the same form.
    """
    if first.ndim != 3 or second.ndim != 3 or first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"second must hold embeddings of the form of first, {tuple(first.shape[1:])}, "
            f"got {tuple(second.shape)} for {tuple(first.shape)}."
        )
    has_first, has_second = ((e != 0).any(2).float() for e in (first, second))  # (S, K), (T, K)
    cosines = F.normalize(first, dim=2).flatten(1) @ F.normalize(second, dim=2).flatten(1).T
    either = has_first.sum(1, keepdim=True) + has_second.sum(1) - has_first @ has_second.T
    return ((either - cosines) / either.clamp(min=1)).clamp(min=0)


def thumbnail_embedding(image: torch.Tensor, size: int = 8) -> torch.Tensor:
    """
    The image at ``size`` cells along each axis, less its mean. It does not change with brightness and contrast.

    Args:
        image: (M, *spatial), two or three spatial axes.
        size: cells along each axis.

    Returns:
        embedding (1, M * size ** axes) of unit length, for :func:`embedding_distances`; zeros for an image without
        contrast.

    Raises:
        ValueError: when the image has other axes, or values that are not finite.
    """
    if image.ndim not in (3, 4):
        raise ValueError(f"image must be (M, *spatial) with 2 or 3 spatial axes, got {tuple(image.shape)}.")
    image = image.float()
    if not torch.isfinite(image).all():
        raise ValueError("image must be finite, but has NaN or infinite values.")
    # large values (up to 1e6 in some MRI) would cost digits in the differences
    image = (image - image.mean()) / image.std().clamp(min=torch.finfo(torch.float32).tiny)
    cells = F.interpolate(image[None], size=(size,) * (image.ndim - 1), mode="area").flatten(1)
    return F.normalize(cells - cells.mean(), dim=1)
