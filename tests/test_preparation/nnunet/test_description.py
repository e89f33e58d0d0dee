from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monai_proto.preparation.nnunet.description import read_nnunet_description, read_nnunet_split

V2 = {
    "channel_names": {"0": "T1", "1": "T2"},
    "labels": {"background": 0, "anterior": 1, "posterior": 2},
    "numTraining": 3,
    "file_ending": ".nii.gz",
}
V1 = {
    "name": "Hippocampus",
    "licence": "CC-BY-SA 4.0",
    "tensorImageSize": "4D",
    "modality": {"1": "T2", "0": "T1"},
    "labels": {"2": "posterior", "0": "background", "1": "anterior"},
    "numTraining": 3,
    "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
    "test": ["./imagesTs/b.nii.gz"],
}


def write(root: Path, content: Any) -> Path:
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def test_both_versions_say_the_same(tmp_path: Path) -> None:
    second, first = (read_nnunet_description(write(tmp_path, content)) for content in (V2, V1))
    for found in (first, second):
        assert found.channels == ["T1", "T2"]
        assert found.labels == ["background", "anterior", "posterior"]
        assert found.file_ending == ".nii.gz"
    assert (first.properties, second.properties) == ({"name": "Hippocampus", "licence": "CC-BY-SA 4.0"}, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"labels": {"background": 0, "whole": [1, 2], "core": 2}},
            "whole are regions of several values.*not supported",
        ),
        ({"labels": {"background": 0, "liver": 1, "ignore": 2}}, "ignore is not supported yet"),
        ({"labels": {"0": "background", "1": "ignore"}}, "ignore is not supported yet"),
        ({"labels": {"background": 0, "liver": 2}}, "labels must be numbered 0, 1, ... without a gap, got 0, 2"),
        ({"labels": {"liver": 1}}, "without a gap, got 1"),
        ({"labels": {"background": 0, "a": 1, "b": 1}}, "two names have the same value"),
        ({"labels": {"background": 0, "a": "b"}}, "must map names to values"),
        ({"labels": {"background": 0, "a": True}}, "must map names to values"),
        ({"labels": {"x": "background"}}, "must be numbered 0, 1, ..., got x"),
        ({"labels": {}}, "got none"),
        ({"labels": []}, "labels: must be a JSON object"),
        ({"channel_names": {"0": "T1", "2": "T2"}}, "channel_names or modality must be numbered"),
        ({"channel_names": {}}, "has neither channel_names .* nor modality"),
        ({"channel_names": {"0": 1}}, r"channel_names\.0: must be a text, got 1"),
        ({"file_ending": ".nrrd"}, "file_ending must be .nii.gz or .nii, got '.nrrd'"),
        ({"dataset": {"a": {"images": []}}}, "lists its files under dataset, which is not supported"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"dataset\.json.*{message}"):
        read_nnunet_description(write(tmp_path, {**V2, **change}))


def test_one_fold_of_a_split(tmp_path: Path) -> None:
    file = tmp_path / "splits_final.json"
    file.write_text(json.dumps([{"train": ["a", "b"], "val": ["c"]}, {"train": ["c"], "val": ["a", "b"]}]))
    assert read_nnunet_split(file, 0) == {"a": "training", "b": "training", "c": "validation"}
    assert read_nnunet_split(file, 1) == {"c": "training", "a": "validation", "b": "validation"}
    with pytest.raises(ValueError, match=r"--fold must be in 0 \.\. 1, the folds of .*splits_final\.json, got 2"):
        read_nnunet_split(file, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"train": ["a"], "val": ["a"]}], "fold 0: a is under train and under val"),
        ([{"train": ["a"]}], r"\[0\]: has no list val"),
        ({"train": []}, "must be a list"),
        ([{"train": [1], "val": []}], r"\[0\]\.train\[0\]: must be a text"),
    ],
)
def test_splits_of_another_form(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "splits_final.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"Split .*splits_final\.json.*{message}"):
        read_nnunet_split(tmp_path / "splits_final.json", 0)
