"""Divides checked cases into training, unlabelled, validation and test, whole subjects at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from monai_proto.data.subject_split import draw_whole_subjects, require_disjoint_subjects, split_subjects
from monai_proto.preparation.volumes.case import VolumeCase

__all__ = ["VolumeDivision", "divide_cases"]

DEFAULT_VALIDATION_FRACTION = 0.2


AnyVolumeCase = TypeVar("AnyVolumeCase", bound=VolumeCase)


@dataclass
class VolumeDivision(Generic[AnyVolumeCase]):
    """
    Which case goes where.

    Args:
        training: cases with a label, the ``num_labelled`` labelled ones first.
        unlabelled: cases with an image only.
        validation: cases with a label.
        test: cases with a label, held out.
        num_labelled: how many cases of ``training`` are used with their label.
        origin: where the split comes from, in words.
    """

    training: list[AnyVolumeCase] = field(default_factory=list)
    unlabelled: list[AnyVolumeCase] = field(default_factory=list)
    validation: list[AnyVolumeCase] = field(default_factory=list)
    test: list[AnyVolumeCase] = field(default_factory=list)
    num_labelled: int = 0
    origin: str = ""

    def describe(self) -> str:
        """One line: where the split comes from, and the number of subjects on each side."""
        sides = {"training": self.training + self.unlabelled, "validation": self.validation, "test": self.test}
        counts = (f"{len({case.subject for case in cases})} in {side}" for side, cases in sides.items() if cases)
        return f"split {self.origin}; subjects: {', '.join(counts)}"

    def parts(self) -> dict[str, list[AnyVolumeCase]]:
        """The cases under the names that a report shows."""
        return {
            "training, labelled": self.training[: self.num_labelled],
            "training, label unused": self.training[self.num_labelled :],
            "unlabelled": self.unlabelled,
            "validation": self.validation,
            "test": self.test,
        }


def divide_cases(
    cases: Sequence[AnyVolumeCase],
    validation_fraction: float | None = None,
    test_fraction: float | None = None,
    num_labelled: int | None = None,
    seed: int = 0,
    keep_order: bool = False,
    given_by: str = "dataset.json",
) -> VolumeDivision[AnyVolumeCase]:
    """
    Divide usable cases by subject.

    Without a fraction, a split that the source gives is kept, and validation is drawn where it gives none; cases
    that it does not list follow their subject, or join training. An image without label whose subject is in validation
    or test is of no use to either side: it gets a problem and appears nowhere.

    Args:
        cases: usable cases, each with its subject.
        validation_fraction: share of the subjects with labels; None keeps a given split, else is 0.2.
        test_fraction: share of the subjects with labels; None keeps a given split, else is 0.
        num_labelled: labelled cases among training; None for all.
        seed: what the draws depend on.
        keep_order: take the first ``num_labelled`` of the given order instead of drawing whole subjects.
        given_by: the file that a given split (``listed_in``) is from, for remarks and messages.

    Raises:
        ValueError: when a fraction or ``num_labelled`` does not fit, or a given split has a subject on two sides.
    """
    labelled = [case for case in cases if case.label]
    redraw = validation_fraction is not None or test_fraction is not None
    part_of = {} if redraw else _given_parts(labelled, given_by)
    origin = f"as {given_by} gives it"
    if "validation" not in part_of.values():
        origin = f"drawn by subject with seed {seed}" + (", test as given" if part_of else "")
        fraction = DEFAULT_VALIDATION_FRACTION if validation_fraction is None else validation_fraction
        undecided = [case.patient for case in labelled if case.patient not in part_of]
        part_of |= split_subjects(undecided, {"validation": fraction, "test": test_fraction or 0.0}, seed)
    division = VolumeDivision[AnyVolumeCase](origin=origin)
    for case in cases:
        part = part_of.get(case.patient, "training")
        if case.label:
            getattr(division, part).append(case)
        elif part == "training":
            division.unlabelled.append(case)
        else:
            case.problems.append(f"image without label of subject {case.patient}, whose labelled cases are in {part}")
    _put_labelled_first(division, num_labelled, seed, keep_order)
    return division


def _given_parts(labelled: Sequence[VolumeCase], given_by: str) -> dict[str, str]:
    """Subjects that the source puts into validation or test; empty when it gives no split."""
    parts = {part: [case for case in labelled if case.listed_in == part] for part in ("training", "validation", "test")}
    put_aside = {case.patient: part for part in ("validation", "test") for case in parts[part]}
    if put_aside:
        pairs = {part: [(case.case, case.patient) for case in members] for part, members in parts.items()}
        require_disjoint_subjects(pairs, f"{given_by} (a validation fraction draws a new split)")
    return put_aside


def _put_labelled_first(division: VolumeDivision[Any], num_labelled: int | None, seed: int, keep_order: bool) -> None:
    training = division.training
    division.num_labelled = len(training) if num_labelled is None else num_labelled
    if num_labelled is None:
        return
    if not 1 <= num_labelled <= len(training):
        raise ValueError(
            f"num_labelled must be in 1 .. {len(training)}, the training cases there are, got {num_labelled}."
        )
    if not keep_order:
        drawn = draw_whole_subjects([case.patient for case in training], num_labelled, seed)
        rest = sorted(set(range(len(training))) - set(drawn))
        division.training = [training[index] for index in drawn + rest]
