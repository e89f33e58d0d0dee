"""Decides which classes a dermoscopy data set has, and marks the images that belong to none of them."""

from __future__ import annotations

from collections.abc import Sequence

from monai_proto.data.isic_case import IsicCase, IsicLayout

__all__ = ["assign_classes"]

_HAM10000_CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def assign_classes(
    cases: Sequence[IsicCase], layout: IsicLayout, declared: Sequence[str], wanted: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """
    Give every case the name of its class as the data list has it; one of no class gets a problem.

    Args:
        cases: cases with the labels that the source gives.
        layout: how the source is laid out.
        declared: classes that the source itself declares (columns of a ground truth, names of folders).
        wanted: classes in the order of their labels, matched in any case of letters; None takes those that occur: of
            the seven of HAM10000, or as they are declared.

    Returns:
        the classes, and remarks for the report.

    Raises:
        ValueError: when there are fewer than two classes, or one is named twice.
    """
    remarks = []
    if wanted:
        classes = list(wanted)
    else:
        known = _HAM10000_CLASSES if layout == "ham10000" else declared
        occurring = {case.label.lower() for case in cases if case.label and case.image}
        classes = [name for name in known if name.lower() in occurring]
        absent = [name for name in known if name.lower() not in occurring]
        if absent and layout != "folders":
            remarks.append(f"classes without any image, left out of the labels: {', '.join(absent)}")
    by_name = {name.lower(): name for name in classes}
    if len(by_name) < len(classes):
        raise ValueError(f"--classes names a class twice: {', '.join(classes)}.")
    if len(classes) < 2:
        found = sorted({case.label for case in cases if case.label})
        raise ValueError(
            f"Classification needs two classes at least, got {', '.join(classes) or 'none'}; labels that occur: "
            f"{', '.join(found) or 'none'}. --classes names the ones to use."
        )
    for case in cases:
        label = by_name.get((case.label or "").lower())
        if case.label and not label:
            case.problems.append(f"unknown label {case.label}, expected one of {', '.join(classes)}")
        elif not label and not case.problems:
            case.problems.append("no label")
        case.label = label or case.label
    return classes, remarks
