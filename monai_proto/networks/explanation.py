"""Why a prototype head answered as it did, as plain data: for figures, reports and services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from monai_proto.networks.blocks.prototype_head import PrototypeHead, PrototypeHeadOutput
from monai_proto.networks.blocks.prototype_provenance import ProvenanceRecord
from monai_proto.networks.patch_grid import patch_box

__all__ = ["Explanation", "PrototypeEvidence", "evidence_map", "explain"]


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


@torch.no_grad()
def explain(
    head: PrototypeHead,
    output: PrototypeHeadOutput,
    image_ids: Sequence[str],
    grid: Sequence[int],
    abstain_above: float = 0.5,
    num_prototypes: int = 3,
) -> list[Explanation]:
    """
    Why the head answered as it did, one explanation an image.

    Args:
        head: the head that gave the output.
        output: of B images.
        image_ids: their ids (B).
        grid: patches along each spatial axis.
        abstain_above: uncertainty above which the answer counts as abstained.
        num_prototypes: prototypes to name for the answer, and against it.

    Raises:
        ValueError: when ids or grid do not fit the output.
    """
    batch, _, num_patches = output.patch_similarities.shape
    if len(image_ids) != batch or torch.Size(grid).numel() != num_patches:
        raise ValueError(
            f"there must be {batch} image ids and a grid of {num_patches} patches, got {len(image_ids)} ids and "
            f"the grid {tuple(grid)}."
        )
    probabilities = output.logits.softmax(dim=1).cpu()
    answers = output.logits.argmax(dim=1)
    contributions = head.contributions(output)[torch.arange(batch), answers].cpu()
    slots, activations = head.bank.valid_slots.tolist(), output.patch_similarities.cpu()
    labels, uncertainty = output.prototype_labels.tolist(), output.uncertainty.tolist()
    sources = [head.bank.provenance.read(slot) for slot in slots]

    def evidence(image: int, index: int) -> PrototypeEvidence:
        patches = activations[image, index]
        return PrototypeEvidence(
            slots[index],
            labels[index],
            float(patches.max()),
            float(contributions[image, index]),
            patch_box(int(patches.argmax()), grid),
            patches.reshape(tuple(grid)),
            sources[index],
        )

    explanations = []
    for i, image_id in enumerate(image_ids):
        order = contributions[i].argsort(descending=True).tolist()
        supporting = [j for j in order if contributions[i, j] > 0][:num_prototypes]
        opposing = [j for j in reversed(order) if contributions[i, j] < 0][:num_prototypes]
        explanations.append(
            Explanation(
                str(image_id),
                probabilities[i],
                output.logits[i].cpu(),
                uncertainty[i],
                uncertainty[i] > abstain_above,
                int(answers[i]),
                [evidence(i, j) for j in supporting],
                [evidence(i, j) for j in opposing],
            )
        )
    return explanations


@torch.no_grad()
def evidence_map(head: PrototypeHead, output: PrototypeHeadOutput, num_prototypes: int = 3) -> torch.Tensor:
    """
    Where in the image the answer's strongest prototypes see themselves: their patch similarities, each weighted by
    what the prototype adds to the answer's logit.

    Args:
        head: the head that gave the output.
        output: of B images.
        num_prototypes: prototypes with the highest contributions that count.

    Returns:
        (B, P).
    """
    batch = torch.arange(len(output.logits), device=output.logits.device)
    contributions = head.contributions(output)[batch, output.logits.argmax(dim=1)]
    top, index = contributions.topk(min(num_prototypes, contributions.shape[1]), dim=1)
    maps = output.patch_similarities[batch[:, None], index]
    return (top.clamp(min=0)[..., None] * maps).sum(dim=1)
