"""The whole loss of a promptable segmenter that learns from boxes."""

from __future__ import annotations

import torch
from torch import nn

from monai_proto.losses.contrast_sampling import ContrastSamples
from monai_proto.losses.pixel_info_nce import PixelInfoNCELoss
from monai_proto.losses.promptable_terms import bce_dice_loss, embedding_distillation_loss, iou_mse_loss

__all__ = ["WeakSamLoss"]

_SUPERVISIONS = ("none", "pseudo_label", "mask")


class WeakSamLoss(nn.Module):
    """
    ``L = mask + alpha InfoNCE + beta IoU-MSE + gamma L2``, where mask is cross-entropy plus Dice, and L2 the distance
    of the student's embedding from that of the model before adaptation.

    The mask and IoU terms need a mask to compare with. ``supervision`` says which one, and with it what trains:

    - ``"none"``, the method as described: neither term is part of L. Where ground truth is given, both are computed
      without gradient, for monitoring, so that masks cannot leak into weakly supervised training: L is the same number
      with and without them;
    - ``"pseudo_label"``: both terms are part of L, against the teacher's pseudo-label with the boxes' knowledge in it
      (:func:`apply_box_prior`); ground truth is for monitoring as above;
    - ``"mask"``: both terms are part of L, against ground truth: fine-tuning with masks, the upper bound of a study.

    Args:
        alpha: weight of the contrastive term.
        beta: weight of the IoU term.
        gamma: weight of the distillation term.
        supervision: ``"none"``, ``"pseudo_label"`` or ``"mask"``.

    Attributes:
        components: parts of the last call, name -> detached scalar, unweighted: ``contrast_loss``,
            ``distillation_loss``; ``mask_loss`` and ``iou_loss`` against ground truth where it was given;
            ``pseudo_mask_loss`` and ``pseudo_iou_loss`` with ``supervision="pseudo_label"``.

    Raises:
        ValueError: when a weight is negative or ``supervision`` is unknown.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 0.5,
        gamma: float = 0.1,
        supervision: str = "none",
    ) -> None:
        super().__init__()
        for name, weight in (("alpha", alpha), ("beta", beta), ("gamma", gamma)):
            if not weight >= 0:
                raise ValueError(f"{name} must be at least 0, got {weight}.")
        if supervision not in _SUPERVISIONS:
            raise ValueError(f"supervision must be one of {_SUPERVISIONS}, got {supervision!r}.")
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.supervision = supervision
        self.contrast = PixelInfoNCELoss()
        self.components: dict[str, torch.Tensor] = {}

    def forward(
        self,
        samples: ContrastSamples | None,
        student_embedding: torch.Tensor,
        reference_embedding: torch.Tensor,
        logits: torch.Tensor | None = None,
        predicted_iou: torch.Tensor | None = None,
        pseudo_labels: torch.Tensor | None = None,
        trusted: torch.Tensor | None = None,
        certain: torch.Tensor | None = None,
        masks: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """
        Args:
            samples: rows of the contrastive term; None leaves it out (0).
            student_embedding: (B, D, h, w).
            reference_embedding: (B, D, h, w), of the model before adaptation.
            logits: the student's mask (B, 1, H, W).
            predicted_iou: the overlap that the mask decoder expects (B,).
            pseudo_labels: (B, 1, H, W), values 0 and 1; for ``supervision="pseudo_label"``.
            trusted: bool (B,), whose pseudo-labels count; all without.
            certain: bool (B, 1, H, W), pixels that count in an untrusted image too, because the boxes decide them.
            masks: ground truth (B, 1, H, W).

        Returns:
            L, a scalar, float32.

        Raises:
            ValueError: when what ``supervision`` needs is not given, or shapes do not fit.
        """
        self._require_inputs(logits, predicted_iou, pseudo_labels, masks)
        contrast = student_embedding.new_zeros((), dtype=torch.float32) if samples is None else self.contrast(*samples)
        distillation = embedding_distillation_loss(student_embedding, reference_embedding)
        parts = {"contrast_loss": contrast, "distillation_loss": distillation}
        total = self.alpha * contrast + self.gamma * distillation
        if self.supervision == "pseudo_label":
            assert logits is not None  # as _require_inputs has seen to
            assert predicted_iou is not None
            assert pseudo_labels is not None
            selected = _selected_pixels(pseudo_labels, trusted, certain)
            parts["pseudo_mask_loss"] = bce_dice_loss(logits, pseudo_labels, selected)
            parts["pseudo_iou_loss"] = iou_mse_loss(predicted_iou, logits, pseudo_labels, trusted)
            total = total + parts["pseudo_mask_loss"] + self.beta * parts["pseudo_iou_loss"]
        if masks is not None and logits is not None:
            with torch.set_grad_enabled(self.supervision == "mask" and torch.is_grad_enabled()):
                parts["mask_loss"] = bce_dice_loss(logits, masks)
                if predicted_iou is not None:
                    parts["iou_loss"] = iou_mse_loss(predicted_iou, logits, masks)
        if self.supervision == "mask":
            total = total + parts["mask_loss"] + self.beta * parts["iou_loss"]
        self.components = {name: part.detach() for name, part in parts.items()}
        return total

    def _require_inputs(
        self,
        logits: torch.Tensor | None,
        predicted_iou: torch.Tensor | None,
        pseudo_labels: torch.Tensor | None,
        masks: torch.Tensor | None,
    ) -> None:
        target = {"none": (), "pseudo_label": ("pseudo_labels",), "mask": ("masks",)}[self.supervision]
        given = {"logits": logits, "predicted_iou": predicted_iou, "pseudo_labels": pseudo_labels, "masks": masks}
        missing = [name for name in ("logits", "predicted_iou", *target) if given[name] is None]
        if self.supervision != "none" and missing:
            raise ValueError(f'supervision="{self.supervision}" needs {", ".join(missing)}, got None.')


def _selected_pixels(
    pseudo_labels: torch.Tensor, trusted: torch.Tensor | None, certain: torch.Tensor | None
) -> torch.Tensor | None:
    if trusted is None:
        return None
    selected = trusted.reshape(-1, 1, 1, 1).expand_as(pseudo_labels)
    return selected if certain is None else selected | certain
