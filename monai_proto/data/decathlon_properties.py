"""What a Decathlon dataset.json says about the data as a whole: name, modalities, classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["PREPARED_BY", "declared_label_values", "describe_dataset", "name_label_values"]

PREPARED_BY = "monai_proto"


def describe_dataset(
    given: Mapping[str, Any],
    name: str,
    modalities: Sequence[str] | None = None,
    label_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """
    Complete the properties that a data set came with, and keep all of them that it had.

    Args:
        given: content of its dataset.json without the lists; empty when it had none.
        name: name of the data set where ``given`` has none.
        modalities: names of the channels; None takes the given ones, else a single one called image.
        label_names: names of the label values 0, 1, ...; None takes the given ones, if any.

    Returns:
        properties with at least ``name``, ``description``, ``modality``, ``tensorImageSize`` and ``preparedBy``;
        ``labels`` when they are known.

    Raises:
        ValueError: when the given ``modality`` or ``labels`` is not a mapping from integers to names.
    """
    properties = {"name": name, "description": "", **given, "preparedBy": PREPARED_BY}
    if modalities:
        properties["modality"] = _numbered(modalities)
    properties["modality"] = _integer_keys(properties.get("modality") or {"0": "image"}, "modality")
    properties["tensorImageSize"] = "3D" if len(properties["modality"]) == 1 else "4D"
    if label_names:
        properties["labels"] = _numbered(label_names)
    if properties.get("labels"):
        properties["labels"] = _integer_keys(properties["labels"], "labels")
    return properties


def declared_label_values(properties: Mapping[str, Any]) -> set[int] | None:
    """Values of the classes in ``labels``; None when the properties have none."""
    return {int(value) for value in properties["labels"]} if properties.get("labels") else None


def name_label_values(values: Iterable[int]) -> dict[str, str]:
    """Names for label values that nobody named: background for 0, ``label 3`` for 3."""
    return {str(value): f"label {value}" if value else "background" for value in sorted({0, *values})}


def _numbered(names: Sequence[str]) -> dict[str, str]:
    return {str(index): name for index, name in enumerate(names)}


def _integer_keys(mapping: Any, key: str) -> dict[str, str]:
    if not isinstance(mapping, Mapping) or not all(str(value).isdigit() for value in mapping):
        raise ValueError(f"{key} of dataset.json must map integers to names, as in {{'0': 'name'}}, got {mapping}.")
    return {str(value): name for value, name in mapping.items()}
