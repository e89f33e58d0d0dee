"""Names of the classes, from a data list."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from monai_proto.data.datalist import read_datalist

__all__ = ["names_by_value", "read_label_names"]


def read_label_names(dataset_dir: str | os.PathLike) -> list[str]:
    """
    Names of the label values 0 .. C-1 in the ``labels`` of a data list.

    Args:
        dataset_dir: folder with a ``dataset.json``, or the JSON file itself.

    Raises:
        ValueError: when the data list cannot be read, or its ``labels`` do not name the values 0 .. C-1.
    """
    return names_by_value(read_datalist(dataset_dir).get("labels"), f"labels of the data list of {dataset_dir}")


def names_by_value(labels: Any, source: str) -> list[str]:
    """
    Args:
        labels: mapping of label values, as strings or integers, to names, as in ``{"0": "background", "1": "liver"}``.
        source: what an error names.

    Raises:
        ValueError: when the values are not 0 .. C-1 with C of 2 or more.
    """
    form = 'must be {"0": "background", "1": name, ...}, numbered without a gap'
    if not isinstance(labels, Mapping):
        raise ValueError(f"{source} {form}, got {labels!r}.")
    try:
        names = {int(value): str(name) for value, name in labels.items()}
    except ValueError as error:
        raise ValueError(f"{source} {form}, got the values {list(labels)}.") from error
    if len(names) < 2 or sorted(names) != list(range(len(names))):
        raise ValueError(f"{source} {form}, got the values {sorted(names)}.")
    return [names[value] for value in range(len(names))]
