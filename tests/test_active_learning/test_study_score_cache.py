from __future__ import annotations

import os

import pytest
import torch

from monai_proto.active_learning import StudyFailure, StudyScore, StudyScoreCache, file_stamp

SCORE = StudyScore(torch.randn(2, 3), 0.25, 0.1, (None, 0.2, None), (90, 10, 0))


def same(a: StudyScore, b: StudyScore) -> bool:
    return torch.equal(a.embedding, b.embedding) and {**a.__dict__, "embedding": 0} == {**b.__dict__, "embedding": 0}


@pytest.fixture
def cache(tmp_path):
    cache = StudyScoreCache(tmp_path / "scores" / "cache.json", "model 1")
    cache.put("a", "stamp a", SCORE)
    cache.put("b", "stamp b", StudyFailure("cannot be read"))
    cache.save()
    return cache


def test_scores_and_failures_come_back_exactly(cache):
    again = StudyScoreCache(cache.path, "model 1")
    assert same(again.get("a", "stamp a"), SCORE)
    assert again.get("b", "stamp b") == StudyFailure("cannot be read")
    assert again.get("c", "stamp c") is None


def test_a_changed_study_and_another_model_are_not_known(cache):
    assert cache.get("a", "stamp of changed a") is None
    assert len(StudyScoreCache(cache.path, "model 2")) == 0
    assert len(StudyScoreCache(cache.path, "model 1")) == 2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "3",
        '{"format": 1, "model": "model 1"}',
        '{"format": 1, "model": "model 1", "studies": {"a": {"stamp": "s", "score": {}}}}',
    ],
)
def test_a_damaged_file_is_reported_and_counts_as_empty(cache, content, caplog):
    cache.path.write_text(content)
    assert len(StudyScoreCache(cache.path, "model 1")) == 0
    assert str(cache.path) in caplog.text


def test_a_save_that_fails_leaves_the_old_file(cache, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    cache.put("c", "stamp c", SCORE)
    with monkeypatch.context() as context:
        context.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            cache.save()
    assert len(StudyScoreCache(cache.path, "model 1")) == 2
    assert [file.name for file in cache.path.parent.iterdir()] == [cache.path.name]


def test_studies_that_are_gone_are_forgotten(cache):
    cache.keep_only({"b", "x"})
    assert cache.get("a", "stamp a") is None
    assert cache.get("b", "stamp b") is not None


def test_stamp_changes_with_size_time_and_the_files_of_a_series(tmp_path):
    file = tmp_path / "series" / "1.dcm"
    file.parent.mkdir()
    file.write_text("one")
    stamps = [file_stamp(file), file_stamp(file.parent)]
    assert stamps == [file_stamp(file), file_stamp(file.parent)]
    os.utime(file, ns=(0, 10))
    stamps += [file_stamp(file), file_stamp(file.parent)]
    file.write_text("longer")
    os.utime(file, ns=(0, 10))
    stamps += [file_stamp(file), file_stamp(file.parent)]
    (file.parent / "2.dcm").write_text("two")
    stamps.append(file_stamp(file.parent))
    assert len(set(stamps)) == len(stamps)
    with pytest.raises(ValueError, match="nowhere"):
        file_stamp(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "arguments",
    [
        {"embedding": torch.ones(3)},
        {"embedding": torch.full((1, 2), float("nan"))},
        {"embedding": torch.ones(1, 2), "uncertainty": float("nan")},
        {"embedding": torch.ones(1, 2), "prototype_distance": float("inf")},
    ],
)
def test_a_score_holds_finite_values_only(arguments):
    with pytest.raises(ValueError, match="must be finite"):
        StudyScore(**arguments)
