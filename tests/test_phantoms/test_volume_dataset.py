"""Phantom data sets on disk: stable bytes, patients on one side of the split, all or nothing, one cache for many."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections import Counter
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monai.data import load_decathlon_datalist
from monai.transforms import LoadImaged

from monai_proto.phantoms import (
    CT_LABELS,
    MRI_LABELS,
    PHANTOM_VERSION,
    make_mri_phantom,
    phantom_cache,
    phantom_dataset_dir,
    volume_dataset,
    write_ct_phantom_dataset,
    write_mri_phantom_dataset,
)
from monai_proto.phantoms.volume_dataset import plan_volumes

SMALL = {"num_training": 4, "num_validation": 2}


@pytest.fixture(scope="module")
def mri_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "mri"
    write_mri_phantom_dataset(folder, **SMALL)
    return folder


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _read(folder: Path) -> dict:
    return json.loads((folder / "dataset.json").read_text(encoding="utf-8"))


def test_data_list_is_what_decathlon_readers_take(mri_dir: Path) -> None:
    content = _read(mri_dir)
    assert content["modality"] == {"0": "MRI"}
    assert content["labels"] == MRI_LABELS
    assert content["numTraining"] == len(content["training"]) == 4
    assert len(content["validation"]) == 2
    for section in ("training", "validation"):
        for entry in load_decathlon_datalist(mri_dir / "dataset.json", data_list_key=section):
            loaded = LoadImaged(keys=("image", "label"))({key: entry[key] for key in ("image", "label")})
            assert loaded["image"].shape == loaded["label"].shape
            np.testing.assert_allclose(loaded["image"].affine, loaded["label"].affine)


def test_files_hold_the_phantoms_with_one_geometry_in_both_transforms(mri_dir: Path) -> None:
    entry = _read(mri_dir)["training"][0]
    phantom = make_mri_phantom(0, 0)
    for key, array in (("image", phantom.image), ("label", phantom.label)):
        volume = nib.load(mri_dir / entry[key])
        np.testing.assert_array_equal(np.asarray(volume.dataobj), array)
        np.testing.assert_allclose(volume.get_sform(), phantom.affine, atol=1e-5)
        np.testing.assert_allclose(volume.get_qform(), phantom.affine, atol=1e-4)
        assert volume.header.get_xyzt_units()[0] == "mm"
        assert volume.get_data_dtype() == array.dtype


def test_ct_data_set_holds_two_phases_of_some_patients(tmp_path: Path) -> None:
    write_ct_phantom_dataset(tmp_path / "ct", num_training=3, num_validation=1, num_patients=3, voxel_size_mm=10.0)
    content = _read(tmp_path / "ct")
    assert content["modality"] == {"0": "CT"}
    assert content["labels"] == CT_LABELS
    names = [Path(entry["image"]).name for entry in content["training"]]
    assert names == [
        "ct_phantom_000.nii.gz",
        "ct_phantom_001_arterial.nii.gz",
        "ct_phantom_001_portal_venous.nii.gz",
    ]
    assert nib.load(tmp_path / "ct" / content["training"][0]["image"]).get_data_dtype() == np.int16


def test_file_bytes_are_the_same_on_every_run(mri_dir: Path, tmp_path: Path) -> None:
    write_mri_phantom_dataset(tmp_path / "another_name", **SMALL)
    assert _checksums(tmp_path / "another_name") == _checksums(mri_dir)
    volume = next((mri_dir / "imagesTr").iterdir()).read_bytes()
    assert volume[3] == 0, "no file name in the gzip header"
    assert volume[4:8] == bytes(4), "no time stamp in the gzip header"


def test_other_seed_gives_other_volumes(mri_dir: Path, tmp_path: Path) -> None:
    write_mri_phantom_dataset(tmp_path / "seed1", seed=1, **SMALL)
    first, second = _checksums(mri_dir), _checksums(tmp_path / "seed1")
    assert not set(first.values()) & set(second.values()) - {first["dataset.json"]}


@given(num_training=st.integers(1, 40), num_validation=st.integers(0, 20), data=st.data())
def test_plan_keeps_patients_on_one_side_and_numbers_as_asked(
    num_training: int, num_validation: int, data: st.DataObject
) -> None:
    fewest = -(-num_training // 2) - (-num_validation // 2)
    num_patients = data.draw(st.none() | st.integers(fewest, num_training + num_validation))
    plan = plan_volumes(num_training, num_validation, num_patients)
    assert [len(plan["training"]), len(plan["validation"])] == [num_training, num_validation]
    training, validation = (Counter(volume.patient for volume in volumes) for volumes in plan.values())
    assert not set(training) & set(validation)
    for count in (training + validation).values():
        assert count in (1, 2)
    assert len(set(plan["training"] + plan["validation"])) == num_training + num_validation
    assert num_patients is None or len(training) + len(validation) == num_patients


def test_default_plan_has_patients_with_two_volumes_on_both_sides() -> None:
    for volumes in plan_volumes(24, 8).values():
        assert 2 in Counter(volume.patient for volume in volumes).values()
        assert len({volume.patient for volume in volumes[:4]}) == 4, "the first few are different people"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"num_training": 0}, "num_training"),
        ({"num_validation": -1}, "num_validation"),
        ({"num_patients": 2}, "num_patients"),
        ({"num_patients": 33}, "num_patients"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_arguments_are_named_and_leave_nothing(tmp_path: Path, arguments: dict[str, int], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        write_mri_phantom_dataset(tmp_path / "mri", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_folder_with_content_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="output_dir"):
        write_mri_phantom_dataset(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mri").mkdir()
    path = write_mri_phantom_dataset(tmp_path / "mri", num_training=1, num_validation=0)
    assert path == tmp_path / "mri" / "dataset.json"
    assert path.is_file()


@pytest.mark.parametrize("reason", [KeyboardInterrupt, OSError])
def test_interrupted_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: type[BaseException]
) -> None:
    written: list[Path] = []
    write_nifti = volume_dataset._write_nifti

    def fail_at_the_third(path: Path, *arguments: np.ndarray) -> None:
        if len(written) == 3:
            raise reason
        written.append(path)
        write_nifti(path, *arguments)

    monkeypatch.setattr(volume_dataset, "_write_nifti", fail_at_the_third)
    with pytest.raises(reason):
        write_mri_phantom_dataset(tmp_path / "mri", **SMALL)
    assert len(written) == 3
    assert list(tmp_path.iterdir()) == []


def test_cache_makes_a_data_set_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = phantom_dataset_dir("mri", cache_dir=tmp_path, **SMALL)
    made = os.stat(Path(first) / "dataset.json").st_mtime_ns
    monkeypatch.setitem(phantom_cache._WRITERS, "mri", None)
    assert phantom_dataset_dir("mri", cache_dir=tmp_path, **SMALL) == first
    assert os.stat(Path(first) / "dataset.json").st_mtime_ns == made
    assert f"v{PHANTOM_VERSION}" in Path(first).name
    assert [path.name for path in tmp_path.iterdir()] == [Path(first).name]


def test_cache_name_holds_version_and_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(phantom_cache._WRITERS, "mri", lambda folder, **_: None)
    monkeypatch.setitem(phantom_cache._WRITERS, "ct", lambda folder, **_: None)
    folders = {
        phantom_dataset_dir("mri", cache_dir=tmp_path),
        phantom_dataset_dir("ct", cache_dir=tmp_path),
        phantom_dataset_dir("mri", seed=1, cache_dir=tmp_path),
        phantom_dataset_dir("mri", cache_dir=tmp_path, num_training=5),
        phantom_dataset_dir("mri", cache_dir=tmp_path, num_validation=5),
    }
    monkeypatch.setattr(phantom_cache, "PHANTOM_VERSION", PHANTOM_VERSION + 1)
    folders.add(phantom_dataset_dir("mri", cache_dir=tmp_path))
    assert len(folders) == 6


def test_environment_names_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONAI_PROTO_CACHE", str(tmp_path / "cache"))
    assert Path(phantom_dataset_dir("mri", **SMALL)).parent == tmp_path / "cache"


def test_unknown_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kind"):
        phantom_dataset_dir("pet", cache_dir=tmp_path)


def test_slower_of_two_writers_takes_the_data_set_of_the_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = volume_dataset._fill

    def overtaken(folder: Path, *arguments: object) -> None:
        fill(folder, *arguments)
        monkeypatch.setattr(volume_dataset, "_fill", fill)
        faster = phantom_dataset_dir("mri", cache_dir=tmp_path, **SMALL)
        (Path(faster) / "winner.txt").touch()

    monkeypatch.setattr(volume_dataset, "_fill", overtaken)
    folder = Path(phantom_dataset_dir("mri", cache_dir=tmp_path, **SMALL))
    assert (folder / "winner.txt").is_file()
    assert list(tmp_path.iterdir()) == [folder]


def _ask_for_data_set(barrier: Barrier, answers: Queue, cache_dir: Path) -> None:
    barrier.wait(timeout=60)
    answers.put(phantom_dataset_dir("mri", cache_dir=cache_dir, **SMALL))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the platform cannot fork")
def test_two_processes_share_a_cache(mri_dir: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")  # a spawned process would import PyTorch for ten seconds
    barrier, answers = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_ask_for_data_set, args=(barrier, answers, tmp_path)) for _ in range(2)]
    for process in processes:
        process.start()
    folders = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert folders[0] == folders[1]
    assert list(tmp_path.iterdir()) == [Path(folders[0])]
    assert _checksums(Path(folders[0])) == _checksums(mri_dir)
