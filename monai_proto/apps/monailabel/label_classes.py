"""What the values of a label are called, in DICOM SEG and in the models of the app."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from monai_proto.apps.bundle_segmentation import read_bundle_metadata
from monai_proto.apps.monailabel.workspace import MODEL_NAME, BundleCopy
from monai_proto.data.bundle_metadata import checkpoint_label_names
from monai_proto.dicom.segments import Segment, segment_of_name, segments_from_metadata

__all__ = ["LabelClasses", "bundle_segments"]

_MOST = 255

Key = TypeVar("Key")


def bundle_segments(bundle: BundleCopy) -> list[Segment]:
    """The classes of the weights that are served; of a promptable model the one that its masks are of."""
    metadata = read_bundle_metadata(bundle.path, bundle.models / MODEL_NAME)
    if bundle.kind == "promptable":
        channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
        return [segment_of_name(1, next(name for name in channels.values() if name != "background"))]
    return segments_from_metadata(metadata)


class LabelClasses:
    """
    The classes of the app's segmentation models. A value, or a name, on which two models differ is taken for unknown.

    Args:
        bundles: that segment.
    """

    def __init__(self, bundles: Iterable[BundleCopy]) -> None:
        self.bundles = list(bundles)

    def segments(self, label: np.ndarray, label_info: Sequence[Mapping[str, Any]] = ()) -> list[Segment]:
        """
        Classes 1 .. n for a label to be written as SEG, so that segment numbers are its values.

        Args:
            label: label map of integers.
            label_info: what a client says of the values 1, 2, ...; ``name`` counts.

        Raises:
            ValueError: when the label has values above 255, or ``label_info`` is no list of names.
        """
        largest = max(1, int(label.max()))
        if largest > _MOST:
            raise ValueError(f"Label has the value {largest}, expected at most {_MOST}.")
        if not isinstance(label_info, Sequence) or not all(isinstance(entry, Mapping) for entry in label_info):
            raise ValueError(f"label_info must be a list of objects with a name, got {label_info!r}.")
        named = {value: str(entry["name"]) for value, entry in enumerate(label_info, start=1) if entry.get("name")}
        by_name, by_value = self._known()
        segments = []
        for value in range(1, max(largest, len(label_info), *by_value, 0) + 1):
            known = by_name.get(named[value].lower()) if value in named else by_value.get(value)
            fallback = segment_of_name(value, named.get(value, f"Label {value}"))
            segments.append(replace(known, value=value) if known else fallback)
        return segments

    def values(self, names: Mapping[int, str]) -> dict[str, int]:
        """
        Label value of each segment of a SEG by its name: a model's where models know all of the names, else the
        segment's number.

        Args:
            names: of the segments, by number.
        """
        by_name, _ = self._known()
        if all(name.lower() in by_name for name in names.values()):
            return {name: by_name[name.lower()].value for name in names.values()}
        return {name: number for number, name in names.items()}

    def _known(self) -> tuple[dict[str, Segment], dict[int, Segment]]:
        """By name, which may be a model's or that of the SEG, and by value."""
        names: dict[str, set[Segment]] = {}
        values: dict[int, set[Segment]] = {}
        for bundle in self.bundles:  # read anew: a training may have changed the classes
            plain = checkpoint_label_names(bundle.models / MODEL_NAME, bundle.path)
            for segment in bundle_segments(bundle):
                values.setdefault(segment.value, set()).add(segment)
                for name in {segment.name.lower(), plain[segment.value].lower()}:
                    names.setdefault(name, set()).add(segment)
        return _sure(names), _sure(values)


def _sure(found: Mapping[Key, set[Segment]]) -> dict[Key, Segment]:
    return {key: next(iter(segments)) for key, segments in found.items() if len(segments) == 1}
