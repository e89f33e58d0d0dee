"""An embedding of an image without a network: what its thumbnail looks like."""

from __future__ import annotations

import torch
import torch.nn.functional as F

__all__ = ["thumbnail_embedding"]


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
