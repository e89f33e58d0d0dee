"""The classes in a bundle's metadata.json and in a data list: read, and changed for weights of other classes."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_proto.data.datalist import read_datalist
from monai_proto.data.json_file import read_json

__all__ = [
    "METADATA_NAME",
    "checkpoint_label_names",
    "metadata_with_labels",
    "names_by_value",
    "read_label_names",
    "read_metadata",
]

METADATA_NAME = "metadata.json"
# what only holds for the weights that the bundle ships
_OF_SHIPPED_WEIGHTS = ("eval_metrics", "data_source", "weights", "weights_licence")


def checkpoint_label_names(ckpt_path: str | os.PathLike, bundle_root: str | os.PathLike) -> list[str]:
    """
    Names of the classes 0 .. C-1 of a checkpoint: of the ``metadata.json`` beside it, which training wrote, else of the
    bundle's own.

    Raises:
        ValueError: when that file cannot be read, or names no classes.
    """
    beside = Path(ckpt_path).parent / METADATA_NAME
    file = beside if beside.is_file() else Path(bundle_root) / "configs" / METADATA_NAME
    return names_by_value(_outputs(read_metadata(file), file).get("channel_def"), f"outputs.pred.channel_def of {file}")


def read_metadata(file: str | os.PathLike) -> dict[str, Any]:
    """
    Raises:
        ValueError: when the file does not exist or is not a JSON object.
    """
    content: dict[str, Any] = read_json(file, schema={"type": "object"})
    return content


def metadata_with_labels(metadata: Mapping[str, Any], label_names: Sequence[str]) -> dict[str, Any]:
    """
    A bundle's metadata for weights that were trained on the classes ``label_names``, the background first.

    Changed are the channels of the output and the sentences on classes. Left out are the figures and data of the
    bundle's own weights, and the DICOM codes of values that now have another name.

    Raises:
        ValueError: when the metadata has no output ``pred``.
    """
    changed = copy.deepcopy({key: value for key, value in metadata.items() if key not in _OF_SHIPPED_WEIGHTS})
    prediction = _outputs(changed, METADATA_NAME)
    before = prediction.get("channel_def") or {}
    channels = {str(value): name for value, name in enumerate(label_names)}
    prediction.update(num_channels=len(channels), channel_def=channels)
    changed["label_classes"] = ", ".join(f"{value} {name}" for value, name in channels.items())
    changed["pred_classes"] = f"{len(channels)} channels: {', '.join(channels.values())}"
    if "dicom_segments" in changed:
        kept = {v: s for v, s in changed["dicom_segments"].items() if v in channels and before.get(v) == channels[v]}
        changed["dicom_segments"] = kept
    return changed


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


def _outputs(metadata: Mapping[str, Any], file: str | os.PathLike) -> dict[str, Any]:
    try:
        return metadata["network_data_format"]["outputs"]["pred"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} has no network_data_format.outputs.pred.") from error
