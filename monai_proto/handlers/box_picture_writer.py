"""Writes pictures of what a promptable segmenter learns from boxes, while it trains and at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.utils import Method

from monai_proto.data.pad_copies_collate import PadCopiesCollate
from monai_proto.engines.weak_sam_trainer import WeakSamTrainer
from monai_proto.transforms.item_name import item_name
from monai_proto.visualize.box_supervision_sheet import BoxPicture, draw_before_after, draw_box_supervision

__all__ = ["BoxPictureWriter"]


class BoxPictureWriter:
    """
    Every few epochs ``pictures_epoch_{n}.png``: image, boxes, pseudo-label with its entropy, predictions. At the end of
    the run ``before_after.png``. The same images every time.

    Args:
        output_dir: folder of the pictures, made when missing.
        dataset: items as the trainer takes them, before they are collated; the first ``num_images`` are shown.
        num_images: rows of a sheet.
        every: epochs from one sheet to the next.
        write: false on the ranks of a distributed run that do not write.

    Raises:
        ValueError: when ``num_images`` or ``every`` is below 1.
    """

    def __init__(
        self, output_dir: str, dataset: Sequence, num_images: int = 4, every: int = 5, write: bool = True
    ) -> None:
        for name, value in (("num_images", num_images), ("every", every)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        self.output_dir = Path(output_dir)
        self.dataset = dataset
        self.num_images = num_images
        self.every = every
        self.write = write

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: a :class:`WeakSamTrainer`.
        """
        engine.add_event_handler(Events.EPOCH_COMPLETED(every=self.every), self.draw_epoch)
        engine.add_event_handler(Events.COMPLETED, self.draw_end)

    def draw_epoch(self, engine: WeakSamTrainer) -> None:
        """Draw the state after an epoch."""
        if self.write:
            path = self.output_dir / f"pictures_epoch_{engine.state.epoch:03d}.png"
            draw_box_supervision(self._pictures(engine), f"Epoch {engine.state.epoch}", path)

    def draw_end(self, engine: WeakSamTrainer) -> None:
        """Draw the model before adaptation beside the adapted one."""
        if self.write:
            path = self.output_dir / "before_after.png"
            draw_before_after(self._pictures(engine), f"Before and after {engine.state.epoch} epochs", path)
            engine.logger.info(f"Pictures: {path}")

    def _pictures(self, engine: WeakSamTrainer) -> list[BoxPicture]:
        collate = PadCopiesCollate(method=Method.END)
        items = [self.dataset[i] for i in range(min(self.num_images, len(self.dataset)))]
        return [_picture(engine, item, collate([item])) for item in items]


def _picture(engine: WeakSamTrainer, item: dict, batchdata: dict) -> BoxPicture:
    """From the model's frame back to the image's."""
    preview = engine.preview(batchdata)
    segmenter = engine.bare_network.segmenter
    size = tuple(item["image"].shape[-2:])
    height, width = segmenter.scaled_size(size)
    scale = torch.tensor([size[1] / width, size[0] / height])

    def on_image(mask: torch.Tensor) -> np.ndarray:
        cropped = mask[:, :, :height, :width].float().cpu()
        resized = torch.nn.functional.interpolate(cropped, size, mode="bilinear", align_corners=False)
        return (resized[0, 0] > 0).numpy()

    names = engine.prompts.students
    points = {
        name: (np.zeros((0, 2)) if prompt.points is None else (prompt.points[0].cpu() * scale).numpy())
        for name, prompt in zip(names, preview.prompts, strict=True)
    }
    truth = item.get("mask")
    return BoxPicture(
        name=Path(item_name(item, ["image", "mask"])).name,
        image=np.asarray(item["image"]),
        small_box=np.asarray(item["small_box"]),
        big_box=np.asarray(item["big_box"]),
        pseudo_label=on_image(preview.pseudo_label.mask - 0.5),
        entropy=float(preview.pseudo_label.entropy[0]),
        trusted=bool(preview.pseudo_label.trusted[0]),
        prompts=points,
        before=dict(zip(names, map(on_image, preview.before), strict=True)),
        after=dict(zip(names, map(on_image, preview.logits), strict=True)),
        truth=None if truth is None else np.asarray(truth)[0] > 0,
    )
