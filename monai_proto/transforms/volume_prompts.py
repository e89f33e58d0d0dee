"""Lays prompts on the slices of a loaded volume."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import Transform

from monai_proto.data.volume_slices import SliceOptions
from monai_proto.transforms.item_name import item_name

__all__ = ["VolumePromptsd"]

_NO_POINT = -1


class VolumePromptsd(Transform):
    """
    Checks the prompts of an item of :func:`monai_proto.data.list_prompted_volumes` against its volume, and makes them
    tensors.

    It sets ``prompt_axis`` () int64, the voxel axis that slices are perpendicular to; ``prompt_slices`` (P,) int64;
    ``prompt_boxes`` (P, 4) float32, NaN where a prompt has no box; ``prompt_points`` (P, N, 2) float32 and
    ``prompt_labels`` (P, N) int64, label -1 where a prompt has fewer points. The image's meta data get ``object_name``,
    the item's own, else its ``image_id``.

    Args:
        image_key: key of the volume (1, X, Y, Z), loaded, with its affine.
    """

    def __init__(self, image_key: Hashable = "image") -> None:
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """
        Raises:
            ValueError: naming the file: it is not 3-D, a prompt lies outside of the volume, or its slice is empty.
        """
        image, prompts = data[self.image_key], data["prompts"]
        name = item_name(data, [self.image_key])
        if image.ndim != 4 or image.shape[0] != 1:
            raise ValueError(f"{name} must be a 3-D volume of one channel, got (C, *spatial) {tuple(image.shape)}.")
        axis = SliceOptions(axis=str(data["axis"])).voxel_axis(np.asarray(image.affine))
        for prompt in prompts:
            _check(prompt, image[0], axis, name)
        most = max((len(prompt.get("prompt_labels", ())) for prompt in prompts), default=0)
        boxes = torch.full((len(prompts), 4), float("nan"))
        points, labels = torch.zeros(len(prompts), most, 2), torch.full((len(prompts), most), _NO_POINT)
        for row, prompt in enumerate(prompts):
            if "prompt_boxes" in prompt:
                boxes[row] = torch.tensor(prompt["prompt_boxes"])
            if "prompt_points" in prompt:
                count = len(prompt["prompt_labels"])
                points[row, :count] = torch.tensor(prompt["prompt_points"])
                labels[row, :count] = torch.tensor(prompt["prompt_labels"])
        image.meta["object_name"] = data.get("object_name", data["image_id"])
        kept = {key: value for key, value in data.items() if key not in ("prompts", "axis", "object_name")}
        return {
            **kept,
            "prompt_axis": torch.tensor(axis),
            "prompt_slices": torch.tensor([prompt["slice"] for prompt in prompts]),
            "prompt_boxes": boxes,
            "prompt_points": points,
            "prompt_labels": labels,
        }


def _check(prompt: Mapping[str, Any], volume: torch.Tensor, axis: int, name: str) -> None:
    index, count = prompt["slice"], volume.shape[axis]
    if not 0 <= index < count:
        raise ValueError(f"{name}: slice {index} must be in 0 .. {count - 1} along axis {axis}.")
    picture = volume.select(axis, index)
    height, width = picture.shape
    extent = f"slice {index}, which is {width} wide and {height} high"
    box = prompt.get("prompt_boxes")
    if box is not None and (min(box) < 0 or box[2] > width or box[3] > height):
        raise ValueError(f"{name}: box {list(box)} is not inside of {extent}.")
    for x, y in prompt.get("prompt_points", ()):
        if not (0 <= x <= width and 0 <= y <= height):
            raise ValueError(f"{name}: point {[x, y]} is not inside of {extent}.")
    if picture.min() == picture.max():
        raise ValueError(f"{name}: slice {index} along axis {axis} is empty, every pixel is {float(picture.min()):g}.")
