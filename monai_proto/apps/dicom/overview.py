"""A picture of an image with the outlines of its segmentation, for a quick look."""

from __future__ import annotations

import os
from collections.abc import Sequence

import nibabel as nib
import numpy as np

from monai_proto.dicom.segments import Segment

__all__ = ["draw_overview"]

_SLICES = 6


def draw_overview(
    file: str | os.PathLike,
    voxels: np.ndarray,
    label: np.ndarray,
    affine: np.ndarray,
    segments: Sequence[Segment],
    window: tuple[float, float] | None = None,
) -> None:
    """
    Draw slices through the segmentation as a radiologist sees them: the patient's right on the left, front up. They lie
    evenly over those that hold a segment (over all where none does).

    Args:
        file: PNG file to write.
        voxels: image (X, Y, Z).
        label: label map on the same grid.
        affine: voxel indices to mm in RAS+ coordinates (4, 4).
        segments: the classes.
        window: values shown as black and as white; None for the 1st and the 99.5th percentile.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    image, mask = (nib.as_closest_canonical(nib.Nifti1Image(array, affine)) for array in (voxels, label))
    width, height, _ = image.header.get_zooms()[:3]
    image, mask = np.asarray(image.dataobj), np.asarray(mask.dataobj)
    low, high = window or np.percentile(image, (1, 99.5))
    filled = np.flatnonzero(mask.any(axis=(0, 1)))
    first, last = (filled[0], filled[-1]) if filled.size else (0, image.shape[2] - 1)
    chosen = np.unique(np.linspace(first, last, _SLICES).round().astype(int))
    colours = [to_hex(f"C{index % 10}") for index in range(len(segments))]
    figure = Figure(figsize=(2.6 * len(chosen), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, index in zip(figure.subplots(1, len(chosen), squeeze=False)[0], chosen, strict=True):
        axis.imshow(image[::-1, :, index].T, cmap="gray", vmin=low, vmax=high, origin="lower", aspect=height / width)
        for segment, colour in zip(segments, colours, strict=True):
            outline = (mask[::-1, :, index] == segment.value).T
            if outline.any():
                axis.contour(outline, levels=[0.5], colors=colour, linewidths=1)
        axis.set_title(f"slice {index + 1} of {image.shape[2]}", fontsize=8)
        axis.set_axis_off()
    shown = [pair for pair in zip(segments, colours, strict=True) if (mask == pair[0].value).any()]
    handles = [Line2D([], [], color=colour, label=segment.name) for segment, colour in shown]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    else:
        figure.suptitle("nothing found", fontsize=9)
    figure.savefig(file, dpi=110)
