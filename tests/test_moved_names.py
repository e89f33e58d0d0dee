"""Names that were documented in a room which they have left are found there still."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

MOVED = {
    "monai_proto.data": (
        "CaseReport SelectionWeights StudyChoice StudyFailure StudyReasons StudyScore StudyScoreCache file_stamp "
        "phantom_dataset_dir select_study write_ct_phantom_dataset write_dermoscopy_phantom_dataset "
        "write_mri_phantom_dataset"
    ),
    "monai_proto.engines": "StudyScorer StudyScores score_studies",
    "monai_proto.metrics": (
        "class_feature_means embedding_distances foreground_entropy prototype_distances relative_prototype_distances "
        "thumbnail_embedding"
    ),
}


@pytest.mark.parametrize(("room", "name"), [(room, name) for room, names in MOVED.items() for name in names.split()])
def test_a_moved_name_is_the_same_object(room, name):
    moved = getattr(import_module(room), name)
    assert moved is getattr(import_module(".".join(moved.__module__.split(".")[:2])), name)
    assert not moved.__module__.startswith(f"{room}.")


def test_a_name_that_never_was_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'monai_proto.data' has no attribute 'select_studies'"):
        _ = import_module("monai_proto.data").select_studies


def test_the_old_room_does_not_import_the_new_one():
    code = "import sys, monai_proto.data; print([n for n in sys.modules if n.startswith('monai_proto.active')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
