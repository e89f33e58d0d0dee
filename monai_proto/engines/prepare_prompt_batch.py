"""Takes image, mask and prompts out of a batch for MONAI's evaluators."""

from __future__ import annotations

from typing import Any

import torch
from monai.engines import PrepareBatch, default_prepare_batch

__all__ = ["PreparePromptBatch"]


class PreparePromptBatch(PrepareBatch):
    """
    ``prepare_batch`` of an evaluator whose network takes prompts. MONAI's ``PrepareBatchExtraInput`` wants every batch
    to have all keys; here a prompt has a box, points, both or neither.
    """

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, tuple, dict[str, torch.Tensor]]:
        """
        Returns:
            image, label (None where there is none), (), and ``boxes``, ``points``, ``labels`` as far as the batch has
            ``prompt_boxes``, ``prompt_points``, ``prompt_labels``; of volumes ``slices`` and ``axis`` too.
        """
        prepared = default_prepare_batch(batchdata, device, non_blocking, **kwargs)
        image, label = prepared if isinstance(prepared, tuple) else (prepared, None)
        prompts = {
            name: torch.as_tensor(batchdata[f"prompt_{name}"]).to(device=device, non_blocking=non_blocking)
            for name in ("boxes", "points", "labels", "slices", "axis")
            if f"prompt_{name}" in batchdata
        }
        return image, label, (), prompts
