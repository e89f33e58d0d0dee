"""Whole batches through a promptable segmenter: images in their own frame, one or several prompts for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, Protocol, cast

import torch
import torch.nn.functional as F
from monai.utils import convert_to_tensor
from torch import nn

from monai_proto.networks.freezing import freeze

__all__ = ["DecodedMasks", "PromptableSegmenter"]

_PADDING, _TOP_LEFT, _BOTTOM_RIGHT = -1, 2, 3  # labels of points besides 0 (background) and 1 (foreground)


class DecodedMasks(NamedTuple):
    """
    What the mask decoder says, one mask a prompt.

    Attributes:
        logits: float32 (B, P, h, w) in the model frame at a quarter of its size; P is 1 for one prompt an image.
        iou: float32 (B, P), the decoder's own estimate of each mask's IoU.
    """

    logits: torch.Tensor
    iou: torch.Tensor


class _Positions(Protocol):
    def forward_with_coords(self, coords_input: torch.Tensor, image_size: tuple[int, int]) -> torch.Tensor: ...


class _PromptEncoder(Protocol):
    """What is used of segment-anything's ``PromptEncoder``."""

    embed_dim: int
    input_image_size: tuple[int, int]
    no_mask_embed: nn.Embedding
    not_a_point_embed: nn.Embedding
    point_embeddings: Iterable[nn.Embedding]
    pe_layer: _Positions

    def get_dense_pe(self) -> torch.Tensor: ...


class _Sam(Protocol):
    """What is used of segment-anything's ``Sam``."""

    image_encoder: nn.Module
    prompt_encoder: _PromptEncoder
    mask_decoder: nn.Module

    def preprocess(self, x: torch.Tensor) -> torch.Tensor: ...


class PromptableSegmenter(nn.Module):
    """
    Adapter for models with ``image_encoder``, ``prompt_encoder`` and ``mask_decoder`` of the segment-anything package.

    Two frames of coordinates, both in pixels, x to the right and y down. The *image frame* is that of the images
    (B, 3, H, W) that come in. The *model frame* is the model's own input: the image scaled until it fits, in the top
    left corner, zeros around. Sizes are read off the model's prompt encoder.

    The package decodes several prompts of one image at a time; here B images with their prompts go through its decoder
    in one call. No method waits for the device.

    Args:
        sam: the model, as :func:`load_sam` gives it.
        normalization: ``"model"`` calls the model's own ``preprocess`` (SAM: mean and deviation of the pixels;
            LiteMedSAM: 0 .. 1 for each image); ``"min_max"`` brings each image to 0 .. 1 instead, which weights such as
            MedSAM's ViT-B need. By default the model's own when it has one.
        intensity_range: lowest and highest value that images come in. Mapped to 0 .. 255, which SAM's mean and
            deviation are written for; of no effect where each image is brought to 0 .. 1.
        freeze_decoder: whether prompt encoder and mask decoder are taken out of training, batch statistics included.

    Raises:
        ValueError: when ``sam`` lacks a part, or ``normalization`` or ``intensity_range`` is not one of those above.

    Example::

        segmenter = PromptableSegmenter(load_sam("lite_medsam"))
        logits = segmenter(images, boxes=boxes)  # (B, 3, H, W) and (B, 4) to (B, 1, H, W)
    """

    def __init__(
        self,
        sam: nn.Module,
        normalization: Literal["model", "min_max"] | None = None,
        intensity_range: tuple[float, float] = (0.0, 255.0),
        freeze_decoder: bool = True,
    ) -> None:
        super().__init__()
        missing = [name for name in ("image_encoder", "prompt_encoder", "mask_decoder") if not hasattr(sam, name)]
        if missing:
            raise ValueError(
                f"sam must have {', '.join(missing)}, as segment-anything's Sam; got {type(sam).__name__}."
            )
        if normalization is None:
            normalization = "model" if hasattr(sam, "preprocess") else "min_max"
        if normalization not in ("model", "min_max") or (normalization == "model" and not hasattr(sam, "preprocess")):
            raise ValueError(
                f"normalization must be 'min_max', or 'model' for a model with a method preprocess; "
                f"got {normalization!r} for {type(sam).__name__}."
            )
        lowest, highest = intensity_range
        if not lowest < highest:
            raise ValueError(f"intensity_range must be (lowest, highest), got {tuple(intensity_range)}.")
        self.sam = sam
        self.normalization = normalization
        self.intensity_range = (float(lowest), float(highest))
        if freeze_decoder:
            freeze(sam.get_submodule("prompt_encoder"))
            freeze(sam.get_submodule("mask_decoder"))

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the model frame."""
        height, width = self._sam.prompt_encoder.input_image_size
        return int(height), int(width)

    @property
    def embed_dim(self) -> int:
        """Size D of an embedding."""
        return self._sam.prompt_encoder.embed_dim

    @property
    def preprocessing(self) -> str:
        """What :meth:`preprocess` depends on besides the images, in words: for the key of a cache."""
        settings = f"{type(self.sam).__name__} {self.normalization} {self.input_size} {self.intensity_range}"
        pixels = [getattr(self.sam, name, torch.empty(0)).flatten().tolist() for name in ("pixel_mean", "pixel_std")]
        return f"{settings} {pixels}"

    @property
    def _sam(self) -> _Sam:
        return cast("_Sam", self.sam)  # torch says of every attribute of a module: a tensor or a module

    def scaled_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width that an image of ``size`` (H, W) has in the model frame."""
        height, width = size
        scale = min(self.input_size[0] / height, self.input_size[1] / width)
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))

    def to_model_frame(self, coordinates: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """
        Args:
            coordinates: points (..., 2) as x, y or boxes (..., 4) as x1, y1, x2, y2, in the image frame.
            size: H, W of the images.

        Returns:
            float32, the same shape, in the model frame. As in the package, pixel indices are scaled without regard to
            where in its pixel a point lies: the prompt encoder adds the half pixel.
        """
        if coordinates.shape[-1] not in (2, 4):
            raise ValueError(f"coordinates must be points (..., 2) or boxes (..., 4), got {tuple(coordinates.shape)}.")
        scaled = self.scaled_size(size)
        x, y = scaled[1] / size[1], scaled[0] / size[0]
        coordinates = convert_to_tensor(coordinates, dtype=torch.float32, track_meta=False)
        pairs = coordinates.unflatten(-1, (-1, 2))
        return torch.stack((pairs[..., 0] * x, pairs[..., 1] * y), dim=-1).flatten(-2)

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """
        Args:
            images: (B, 3, H, W) in ``intensity_range``, of any size and dtype.

        Returns:
            float32 (B, 3, *input_size*), normalised and padded: what the image encoder takes.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must have shape (B, 3, H, W), got {tuple(images.shape)}.")
        size = self.scaled_size((images.shape[-2], images.shape[-1]))
        images = convert_to_tensor(images, dtype=torch.float32, track_meta=False)
        if tuple(images.shape[-2:]) != size:
            images = F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
        if self.normalization == "model":
            lowest, highest = self.intensity_range
            return self._sam.preprocess((images - lowest) * (255.0 / (highest - lowest)))
        darkest, brightest = torch.aminmax(images.flatten(1), dim=1)
        images = (images - darkest[:, None, None, None]) / (brightest - darkest).clamp_min(1e-8)[:, None, None, None]
        return F.pad(images, (0, self.input_size[1] - size[1], 0, self.input_size[0] - size[0]))

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """The embedding (B, D, h, w) of images (B, 3, H, W): :meth:`preprocess`, then the image encoder."""
        return self._sam.image_encoder(self.preprocess(images))

    def decode(
        self,
        embedding: torch.Tensor,
        boxes: torch.Tensor | None = None,
        points: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> DecodedMasks:
        """
        Masks for a whole batch of embeddings. Prompts are in the model frame (:meth:`to_model_frame`).

        Args:
            embedding: (B, D, h, w).
            boxes: (B, 4), or (B, P, 4) for P prompts an image.
            points: (B, N, 2), or (B, P, N, 2); with boxes they make one prompt together.
            labels: of the points, (B, N) or (B, P, N): 1 foreground, 0 background, -1 for a point that only fills up
                a row shorter than N.

        Raises:
            ValueError: when there is no prompt, points come without labels, or shapes do not fit together.
        """
        batch = embedding.shape[0]
        boxes, points, labels = _prompts_by_image(batch, boxes, points, labels)
        prompt = points if boxes is None else boxes
        assert prompt is not None  # _prompts_by_image asks for one of them
        prompts = prompt.shape[1]
        sparse = self._embed_prompts(boxes, points, labels)
        # the decoder repeats one image for all prompts and adds the dense prompt to it: a zero image and each prompt's
        # own embedding as part of its dense prompt give every prompt its own image
        no_mask = self._sam.prompt_encoder.no_mask_embed.weight
        dense = embedding.repeat_interleave(prompts, dim=0) + no_mask[..., None, None]
        with torch.autocast(embedding.device.type, enabled=False):
            positions = self._sam.prompt_encoder.get_dense_pe()
        logits, iou = self._sam.mask_decoder(
            image_embeddings=dense.new_zeros(1, dense.shape[1], 1, 1),
            image_pe=positions,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        return DecodedMasks(
            logits.float().reshape(batch, prompts, *logits.shape[-2:]), iou.float().reshape(batch, prompts)
        )

    def upsample(self, logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """
        Args:
            logits: (B, P, h, w), over the model frame.
            size: H, W of the images.

        Returns:
            (B, P, H, W) in the image frame, the padding gone.
        """
        height, width = self.scaled_size(size)
        logits = F.interpolate(logits, self.input_size, mode="bilinear", align_corners=False)
        return F.interpolate(logits[..., :height, :width], tuple(size), mode="bilinear", align_corners=False)

    def forward(
        self,
        images: torch.Tensor,
        boxes: torch.Tensor | None = None,
        points: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """
        Logits (B, P, H, W) for images (B, 3, H, W). Prompts as in :meth:`decode`, but in the image frame.
        """
        size = (images.shape[-2], images.shape[-1])
        boxes = None if boxes is None else self.to_model_frame(boxes, size)
        points = None if points is None else self.to_model_frame(points, size)
        return self.upsample(self.decode(self.embed(images), boxes, points, labels).logits, size)

    def _embed_prompts(
        self, boxes: torch.Tensor | None, points: torch.Tensor | None, labels: torch.Tensor | None
    ) -> torch.Tensor:
        """
        What the prompt encoder makes of points and boxes (B, P, ...), (B * P, tokens, D), bit for bit: its own
        forward picks the points of a label by a mask, for which the host waits for the device, and computes positions
        in half precision under autocast, which moves a point by pixels.
        """
        encoder = self._sam.prompt_encoder
        coordinates, kinds = [], []
        if points is not None and labels is not None:
            coordinates.append(points.flatten(0, 1).float())
            kinds.append(labels.flatten(0, 1).long())
            if boxes is None:  # as the model was trained: points without a box end with an empty point
                coordinates.append(coordinates[0].new_zeros(coordinates[0].shape[0], 1, 2))
                kinds.append(kinds[0].new_full((kinds[0].shape[0], 1), _PADDING))
        if boxes is not None:
            coordinates.append(boxes.flatten(0, 1).float().unflatten(-1, (2, 2)))
            corners = torch.arange(_TOP_LEFT, _BOTTOM_RIGHT + 1, device=boxes.device)
            kinds.append(corners.expand(coordinates[-1].shape[0], 2))
        kind = torch.cat(kinds, dim=1)
        with torch.autocast(kind.device.type, enabled=False):
            position = encoder.pe_layer.forward_with_coords(
                torch.cat(coordinates, dim=1) + 0.5, encoder.input_image_size
            )
        of_kind = torch.cat([encoder.not_a_point_embed.weight, *(part.weight for part in encoder.point_embeddings)])
        return position.masked_fill((kind == _PADDING)[..., None], 0.0) + of_kind[kind - _PADDING]


def _prompts_by_image(
    batch: int, boxes: torch.Tensor | None, points: torch.Tensor | None, labels: torch.Tensor | None
) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
    """Boxes (B, P, 4), points (B, P, N, 2) and labels (B, P, N) from those with or without the axis P."""
    if boxes is None and points is None:
        raise ValueError("boxes or points must be given: a mask needs a prompt.")
    if (points is None) != (labels is None):
        raise ValueError("points and labels must be given together: 1 foreground, 0 background, -1 to fill up.")
    if boxes is not None:
        boxes = boxes[:, None] if boxes.ndim == 2 else boxes
        if boxes.ndim != 3 or boxes.shape[0] != batch or boxes.shape[-1] != 4:
            raise ValueError(f"boxes must have shape ({batch}, 4) or ({batch}, P, 4), got {tuple(boxes.shape)}.")
    if points is not None and labels is not None:
        points = points[:, None] if points.ndim == 3 else points
        labels = labels[:, None] if labels.ndim == 2 else labels
        if points.ndim != 4 or points.shape[0] != batch or points.shape[-1] != 2:
            raise ValueError(
                f"points must have shape ({batch}, N, 2) or ({batch}, P, N, 2), got {tuple(points.shape)}."
            )
        if labels.shape != points.shape[:-1]:
            raise ValueError(
                f"labels must have one value a point, {tuple(points.shape[:-1])}, got {tuple(labels.shape)}."
            )
        if boxes is not None and boxes.shape[1] != points.shape[1]:
            raise ValueError(
                f"boxes and points must be of as many prompts an image, got {boxes.shape[1]} and {points.shape[1]}."
            )
    return boxes, points, labels
