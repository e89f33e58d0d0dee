"""Segmentation from a box or points with an adapted SAM: photographs, and volumes slice by slice."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import list_data_collate
from monai.transforms import Compose
from monailabel.transform.writer import write_itk
from monailabel.utils.others.generic import name_to_device
from PIL import Image

from monai_proto.apps.monailabel.bundle_task import BundleTask
from monai_proto.apps.monailabel.request_options import chosen_option
from monai_proto.data.boxes.prompted_images import prompt_entries
from monai_proto.data.color_image import read_color_image
from monai_proto.data.nifti import load_spatial_image, write_nifti
from monai_proto.data.prefix_cache import PrefixCache
from monai_proto.data.volume_slices import SliceOptions
from monai_proto.engines import PreparePromptBatch
from monai_proto.networks.nets.adaptable_segmenter import AdaptableSegmenter

__all__ = ["PromptTask"]

_CACHE_BYTES = 2 * 2**30
_VOLUME_ENDINGS = (".nii.gz", ".nii", ".nrrd")
_AXES = ("axial", "coronal", "sagittal")


class PromptTask(BundleTask):
    """
    Takes the prompts that MONAI Label's clients send:

    - ``roi``: a box, ``[x1, y1, x2, y2]`` in pixels of a photograph, ``[i1, j1, i2, j2, k1, k2]`` in voxels of a
      volume, of which every slice gets the box;
    - ``foreground``, ``background``: points, ``[x, y]`` or ``[i, j, k]``.

    Args:
        bundle: copy in the workspace.
        conf: of the server; ``modality`` (``ct`` or ``mr``) says how intensities of volumes become grey values.
    """

    def __init__(self, bundle: Any, conf: dict[str, str]) -> None:
        self._modality = conf.get("modality", "ct")
        self._cache: PrefixCache | None = None
        super().__init__(bundle, conf)
        self.labels: dict[str, int] = dict.fromkeys(self.labels, 1)  # of a mask, not of channels
        if bundle.volumes:
            self._config["axis"] = list(_AXES)
            self._config["modality"] = sorted(("ct", "mr"), key=lambda name: name != self._modality)

    def __call__(self, request: dict[str, Any], callbacks: Any = None) -> tuple[str | None, dict[str, Any]]:
        """
        Returns:
            mask on the image's own grid (a PNG of 0 and 255, or NIfTI), and ``label_names``.

        Raises:
            ValueError: when there is no prompt, or one that is not in the image.
        """
        path = str(request["image"])
        self.require_kind(path)
        device = name_to_device(request.get("device", "cuda"))
        network: AdaptableSegmenter = self._get_network(device, request)
        item = self._volume_item(path, request) if self.bundle.volumes else _picture_item(path, request)
        if self.bundle.volumes:
            modality = chosen_option(request.get("modality"), self._modality)
            self.bundle_config["modality"] = modality
        pre = Compose(self.pre_transforms({"device": device}))
        batch = list_data_collate([pre(item)])
        image, _, _, prompts = PreparePromptBatch()(batch, device)
        inferer = self.inferer({"device": device})
        inferer.prefix_cache = self._prefix_cache(network)
        with torch.no_grad():
            logits = inferer(image, network, **prompts)
        mask = np.asarray(torch.as_tensor(logits)[0, 0].cpu() > 0)
        return self._written(mask, path, request), {"label_names": self.labels}

    def _prefix_cache(self, network: AdaptableSegmenter) -> PrefixCache:
        """So that the second click on an image is answered quickly."""
        if self._cache is None or self._cache.prefix is not network.prefix:
            segmenter, folder = network.segmenter, self.bundle.path / "prefix_cache"
            self._cache = PrefixCache(
                folder, network.prefix, segmenter.preprocess, segmenter.preprocessing, _CACHE_BYTES
            )
        return self._cache

    def _volume_item(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        axis = chosen_option(request.get("axis"), "axial")
        place = SliceOptions(axis=str(axis)).voxel_axis(load_spatial_image(path).affine)
        prompts = _volume_prompts(place, *_given(request, 3, 6))
        return {"image": path, "image_id": Path(path).name, "axis": axis, "prompts": prompts}

    def _written(self, mask: np.ndarray, path: str, request: dict[str, Any]) -> str:
        if not self.bundle.volumes:
            file = tempfile.mkstemp(suffix=".png")[1]
            Image.fromarray(mask.astype(np.uint8) * 255).save(file)
            return file
        ending = request.get("result_extension") or ".nii.gz"
        if ending not in _VOLUME_ENDINGS:
            raise ValueError(f"result_extension must be one of {', '.join(_VOLUME_ENDINGS)}, got {ending!r}.")
        file = tempfile.mkstemp(suffix=ending)[1]
        affine = load_spatial_image(path).affine
        if ending == ".nii.gz":
            write_nifti(file, mask.astype(np.uint8), affine)
        else:  # OHIF asks for .nrrd
            write_itk(mask, file, affine, np.uint8, bool(request.get("result_compress")))
        return file


def _given(request: dict[str, Any], point_size: int, roi_size: int) -> tuple[list, list, list]:
    """Foreground, background and roi of a request."""
    points = {name: request.get(name) or [] for name in ("foreground", "background")}
    roi = request.get("roi") or []
    for name, listed in points.items():
        if not isinstance(listed, list) or any(not _numbers(point, point_size) for point in listed):
            raise ValueError(f"{name} must be a list of points of {point_size} numbers, got {listed}.")
    if roi and not _numbers(roi, roi_size):
        raise ValueError(f"roi must be {roi_size} numbers, got {roi}.")
    if not roi and not points["foreground"]:
        raise ValueError("A prompt is needed: roi (a box), or foreground (points).")
    return points["foreground"], points["background"], roi


def _numbers(value: Any, size: int) -> bool:
    return isinstance(value, Sequence) and len(value) == size and all(isinstance(v, int | float) for v in value)


def _picture_item(path: str, request: dict[str, Any]) -> dict[str, Any]:
    foreground, background, roi = _given(request, 2, 4)
    width, height = read_color_image(path).size
    for x, y in [*foreground, *background, roi[:2], roi[2:]] if roi else [*foreground, *background]:
        if not (0 <= x <= width and 0 <= y <= height):
            raise ValueError(f"The prompt {[x, y]} is not inside of the image, {width} x {height} pixels.")
    return {"image": path, **_prompt(roi, foreground, background)}


def _prompt(box: Sequence[float], foreground: Sequence, background: Sequence) -> dict[str, Any]:
    points = [*foreground, *background]
    labels = [1] * len(foreground) + [0] * len(background)
    given = {"box": box or None, "points": points or None, "point_labels": labels if points else None}
    return prompt_entries(given, "The prompt")


def _volume_prompts(axis: int, foreground: list, background: list, roi: list) -> list[dict[str, Any]]:
    """Prompts by slice along ``axis``, in pixels of the slice: x along the later of the other axes."""
    row, column = (a for a in range(3) if a != axis)
    points: dict[int, dict[str, list]] = {}
    for kind, listed in (("foreground", foreground), ("background", background)):
        for point in listed:
            of_slice = points.setdefault(round(point[axis]), {"foreground": [], "background": []})
            of_slice[kind].append([point[column] + 0.5, point[row] + 0.5])  # the middle of the voxel
    slices = set(points)
    box: list[float] = []
    if roi:
        low, high = (roi[0], roi[1], roi[4]), (roi[2], roi[3], roi[5])
        if not low[axis] < high[axis]:
            raise ValueError(f"roi spans no slice: {roi}.")
        slices.update(range(int(low[axis]), int(np.ceil(high[axis]))))
        box = [low[column], low[row], high[column], high[row]]
    empty: dict[str, list] = {"foreground": [], "background": []}
    return [{"slice": index, **_prompt(box, **points.get(index, empty))} for index in sorted(slices)]
