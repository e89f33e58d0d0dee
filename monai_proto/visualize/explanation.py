"""Why a prototype classifier answered as it did, as plain data: for figures, reports and services."""

from __future__ import annotations

from typing import NamedTuple

import torch

from monai_proto.networks.blocks.prototype_provenance import ProvenanceRecord

__all__ = ["Explanation", "PrototypeEvidence"]


class PrototypeEvidence(NamedTuple):
    """
    What one prototype says about one image.

    Attributes:
        slot: the prototype's slot in the bank.
        label: the prototype's class.
        similarity: similarity of the prototype to the most similar patch of the image.
        contribution: what it adds to the answer's logit; contributions of all prototypes and the bias sum to it.
        box: the most similar patch in the image, in fractions of its extent: (y0, y1, x0, x1) in 2-D.
        activation: similarity of every patch (grid), for instance (7, 7).
        source: the training patch that the prototype was pushed to; None before the first push.
    """

    slot: int
    label: int
    similarity: float
    contribution: float
    box: tuple[float, ...]
    activation: torch.Tensor
    source: ProvenanceRecord | None


class Explanation(NamedTuple):
    """
    An answer and its reasons.

    Attributes:
        image_id: the image, as the data list names it.
        probabilities: of the classes (C,).
        logits: of the classes (C,).
        uncertainty: 0 (sure) to 1.
        abstained: whether the uncertainty is above the threshold, and the answer is not to be relied on.
        answer: the class with the highest logit.
        supporting: prototypes with the highest positive contributions to the answer's logit, highest first.
        opposing: prototypes with the lowest negative contributions, lowest first.
    """

    image_id: str
    probabilities: torch.Tensor
    logits: torch.Tensor
    uncertainty: float
    abstained: bool
    answer: int
    supporting: list[PrototypeEvidence]
    opposing: list[PrototypeEvidence]
