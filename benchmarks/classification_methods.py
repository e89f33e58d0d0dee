"""The heads that the prototype benchmark compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from monai_proto.losses import PrototypeLoss
from monai_proto.networks.blocks import PatchEvidence, PrototypeHead

__all__ = ["COMPARED", "METHODS", "Method"]


@dataclass(frozen=True)
class Method:
    """
    Attributes:
        title: name in tables.
        head: makes the prototype head (classes, channels); None for a linear layer on the pooled features.
        loss: makes its loss from the class counts.
        last_layer_stage: whether the last layer is trained alone at the end.
    """

    title: str
    head: Callable[[int, int], PrototypeHead] | None = None
    loss: Callable[[list[int]], PrototypeLoss] | None = None
    last_layer_stage: bool = True


def _head(**options: Any) -> Callable[[int, int], PrototypeHead]:
    return lambda classes, channels: PrototypeHead(classes, EMBEDDING_DIM, 4, channels, **options)


def _preset_head(name: str) -> Callable[[int, int], PrototypeHead]:
    return lambda classes, channels: PrototypeHead.preset(name, classes, EMBEDDING_DIM, 4, channels)


def _loss(**options: Any) -> Callable[[list[int]], PrototypeLoss]:
    return lambda counts: PrototypeLoss(class_counts=counts, **options)


EMBEDDING_DIM = 128

METHODS = {
    "linear": Method("linear head", last_layer_stage=False),
    "linear_stage": Method("linear head, last layer at the end"),
    "prototype": Method("prototype head", _head(pooled_classifier=True), _loss()),
    "protopnet": Method("preset protopnet", _preset_head("protopnet"), lambda _: PrototypeLoss.preset("protopnet")),
    "protoasnet": Method("preset protoasnet", _preset_head("protoasnet"), lambda _: PrototypeLoss.preset("protoasnet")),
    # one change each against "prototype"
    "no_pooled": Method("prototype head without pooled classifier", _head(), _loss()),
    "attention": Method("prototype head with attention", _head(pooled_classifier=True, attention=True), _loss()),
    "abstention": Method(
        "prototype head with abstention",
        _head(pooled_classifier=True, abstention=True),
        _loss(abstention_scale=0.1),
    ),
    "top_5": Method(
        "prototype head, mean of 5 patches", _head(pooled_classifier=True, evidence=PatchEvidence(top_k=5)), _loss()
    ),
    "no_auxiliary": Method(
        "prototype head, cross-entropies only",
        _head(pooled_classifier=True),
        _loss(cluster_scale=0.0, separation_scale=0.0, diversity_scale=0.0, contrastive_scale=0.0),
    ),
}
COMPARED = ("linear", "linear_stage", "prototype", "protopnet", "protoasnet")
