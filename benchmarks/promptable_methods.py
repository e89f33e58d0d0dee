"""What the benchmark of promptable segmentation compares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from monai_proto.engines import BoxPrompts
from monai_proto.losses import BoxPseudoLabeler, ContrastSampler, WeakSamLoss

__all__ = ["ABLATIONS", "COMPARED", "METHODS", "Method"]


@dataclass(frozen=True)
class Method:
    """
    Attributes:
        title: in tables.
        loss: arguments of :class:`WeakSamLoss`; None trains nothing.
        prompts: arguments of :class:`BoxPrompts`.
        labels: arguments of :class:`BoxPseudoLabeler`.
        hard_negatives: of :class:`ContrastSampler`.
    """

    title: str
    loss: dict[str, Any] | None
    prompts: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    hard_negatives: str = "false_positive"

    def trainer_parts(self) -> dict[str, Any]:
        """Arguments of :class:`WeakSamTrainer`."""
        return {
            "loss": WeakSamLoss(**(self.loss or {})),
            "prompts": BoxPrompts(**self.prompts),
            "pseudo_labeler": BoxPseudoLabeler(**self.labels),
            "contrast_sampler": ContrastSampler(self.hard_negatives),
        }


_OURS = {"supervision": "pseudo_label"}
_STRONG = {**_OURS, "gamma": 10.0}
# of a bent object's small box a part is not object; thin ends get lost where the box is not a little loose
_LOOSE, _BENT = {"teacher": "loose_box"}, {"box_prior": "big_box", "fit_extent": False}
_PLAIN = {"box_prior": "none", "fit_extent": False}

_MAIN = {
    "unadapted": Method("as it is", None),
    "self_training": Method(
        "self-training on its own pseudo-labels",
        {"alpha": 0.0, "gamma": 0.0, "supervision": "pseudo_label"},
        prompts={"teacher": "big_box"},
        labels=_PLAIN,
    ),
    "ours": Method("ours, distillation 0.1", _OURS),
    "ours_bent": Method("ours, bent, distillation 0.1", _OURS, _LOOSE, _BENT),
    # what the bundles do
    "distillation_10": Method("ours, distillation 10", _STRONG),
    "bent_distillation_10": Method("ours, bent, distillation 10", _STRONG, _LOOSE, _BENT),
    "masks": Method("fine-tuning with masks", {"alpha": 0.0, "gamma": 0.0, "supervision": "mask"}),
}
ABLATIONS = {
    "described": Method("contrast and distillation only", {}, {"teacher": "ring_points"}, _PLAIN),
    "contrast_only": Method("contrast and distillation, our pseudo-labels", {}),
    "no_contrast": Method("ours without contrast", {**_OURS, "alpha": 0.0}),
    "no_distillation": Method("ours without distillation", {**_OURS, "gamma": 0.0}),
    "distillation_0.5": Method("ours, distillation 0.5", {**_OURS, "gamma": 0.5}),
    "distillation_2": Method("ours, distillation 2", {**_OURS, "gamma": 2.0}),
    "no_box_prior": Method("ours without box prior", _OURS, labels={"box_prior": "none"}),
    "no_extent": Method("ours without fitting the extent", _OURS, labels={"fit_extent": False}),
    "big_box_teacher": Method("ours, teacher asked with the big box", _OURS, {"teacher": "big_box"}),
    "ring_background": Method("ours, ring points as background", _OURS, {"ring_labels": "background"}),
    "negatives_both": Method("ours, hard negatives both", _OURS, hard_negatives="both"),
    "negatives_missed_positive": Method("ours, missed as positive", _OURS, hard_negatives="missed_as_positive"),
}
METHODS = {**_MAIN, **ABLATIONS}
COMPARED = {
    "ham10000": ("unadapted", "self_training", "ours", "distillation_10", "masks"),
    "hippocampus": ("unadapted", "self_training", "ours_bent", "bent_distillation_10", "masks"),
    "ct": ("unadapted", "ours", "distillation_10", "masks"),
}
