"""Labels, training and the choice of the next study in a running MONAI Label server."""

from __future__ import annotations

import json
import shutil
import signal

import nibabel as nib
import numpy as np
import pytest
import torch
from label_server import LabelServer

from monai_proto.phantoms import write_mri_phantom_dataset

MODEL = "hippocampus_mri_semisupervised"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six phantoms as studies, and their labels beside."""
    folder = tmp_path_factory.mktemp("training")
    data = write_mri_phantom_dataset(folder / "mri", 5, 1).parent
    (folder / "studies").mkdir()
    (folder / "labels").mkdir()
    for index, file in enumerate(sorted((data / "imagesTr").iterdir())):
        shutil.copy(file, folder / "studies" / f"brain_{index}.nii.gz")
        shutil.copy(data / "labelsTr" / file.name, folder / "labels" / f"brain_{index}.nii.gz")
    (folder / "studies" / "broken.nii.gz").write_bytes((folder / "studies" / "brain_0.nii.gz").read_bytes()[:2000])
    return folder


@pytest.fixture(scope="module")
def server(folder):
    server = LabelServer(folder / "studies", [MODEL], folder / "log")
    yield server
    assert server.stop() in (0, -signal.SIGTERM)


def weights(server):
    return server.workspace / "model" / MODEL / "models" / "model.pt"


def test_from_no_label_to_a_new_model(server, folder, tmp_path):
    """One test, since every step rests on the one before: what an annotator does in an afternoon."""
    labels = folder / "labels"

    # nothing labelled: said at once
    answer = server.ask("POST", f"/train/{MODEL}", json={})
    assert (answer.status_code, "at least one volume" in answer.json()["detail"]) == (422, True)
    answer = server.ask("POST", "/train/nope", json={})
    assert (answer.status_code, "no model 'nope' to train" in answer.json()["detail"]) == (404, True)

    # the next study: by its look as long as there is no score, and another one for the second client
    first, second = (server.ask("POST", "/activelearning/prototype", json={}).json() for _ in range(2))
    assert first["id"] != second["id"]
    assert "broken" not in (first["id"], second["id"])
    assert "broken" in first["failures"]
    assert server.ask("POST", "/activelearning/nope", json={}).status_code == 404

    # a label of another shape, elsewhere, or of no study is refused, and a good one stays
    assert server.save_label("brain_0", labels / "brain_0.nii.gz").status_code == 200
    stored = folder / "studies" / "labels" / "final" / "brain_0.nii.gz"
    kept = stored.read_bytes()
    label = nib.load(labels / "brain_0.nii.gz")
    voxels = np.asarray(label.dataobj)
    moved = label.affine.copy()
    moved[0, 3] += 5
    for wrong, said in (
        (nib.Nifti1Image(voxels[:-1], label.affine), "it has the shape"),
        (nib.Nifti1Image(voxels, moved), "5 mm apart"),
        (nib.Nifti1Image(voxels + 0.5, label.affine), "expected integers"),
    ):
        nib.save(wrong, tmp_path / "wrong.nii.gz")
        answer = server.save_label("brain_0", tmp_path / "wrong.nii.gz")
        assert answer.status_code == 422
        assert said in answer.json()["detail"]
    assert server.save_label("nope", labels / "brain_0.nii.gz").status_code == 404
    assert stored.read_bytes() == kept

    # training to the end; a second one meanwhile is refused
    before = weights(server).read_bytes()
    answer = server.ask("POST", f"/train/{MODEL}", json={"max_epochs": 1})
    assert answer.status_code == 200, answer.text
    assert server.ask("POST", f"/train/{MODEL}", json={}).status_code == 429
    server.wait_for("train", "RUNNING", "DONE")
    result = server.wait_for("train")
    assert result["status"] == "DONE", result["details"]
    stats = server.info()["train_stats"][MODEL]
    assert stats["labelled"] == ["brain_0"]
    assert stats["unlabelled"] == 5
    assert list(stats["left_out"]) == ["broken"]
    after = weights(server).read_bytes()
    assert after != before
    assert weights(server).with_name("previous.pt").read_bytes() == before
    assert "bank" in torch.load(weights(server), weights_only=True)

    # the server serves it, and offers the one before
    new = server.infer(MODEL, "brain_1")
    old = server.infer(MODEL, "brain_1", model_filename="previous.pt")
    assert new.status_code == old.status_code == 200
    assert new.content != old.content
    assert server.info()["models"][MODEL]["config"]["model_filename"] == ["model.pt", "previous.pt"]

    # scores of the new model are computed after it, and say why a study is next
    scoring = server.wait_for("scoring")
    assert scoring["status"] == "DONE", scoring["details"]
    answer = server.ask("POST", "/activelearning/prototype", json={"model": MODEL}).json()
    assert answer["scored"] == 6
    assert {"prototype_distance", "uncertainty"} <= set(answer["reasons"])
    assert answer["id"] not in ("brain_0", "broken")
    scores = json.loads((server.workspace / "model" / MODEL / "study_scores.json").read_text())
    assert set(scores["studies"]) == {f"brain_{i}" for i in range(6)} | {"broken"}

    # first guesses for all that have no label, one broken study among them
    assert server.ask("POST", f"/batch/infer/{MODEL}", params={"images": "unlabeled"}, json={}).status_code == 200
    batch = server.wait_for("batch/infer")
    assert batch["status"] == "DONE", batch["details"]
    assert server.info()["datastore"]["label_tags"] == {"final": 1, "original": 5}
    assert "broken.nii.gz cannot be read" in server.tail()

    # cancelled: the model stays
    assert server.ask("POST", f"/train/{MODEL}", json={"max_epochs": 500}).status_code == 200
    server.wait_for("train", "RUNNING")
    assert server.ask("DELETE", "/train/").json()["status"] == "STOPPED"
    assert server.wait_for("train")["status"] == "STOPPED"
    assert weights(server).read_bytes() == after

    # a training that fails names the study, and the model stays
    of_another = nib.load(labels / "brain_1.nii.gz")
    sevens = (np.asarray(of_another.dataobj) > 0).astype(np.uint8) * 7
    nib.save(nib.Nifti1Image(sevens, of_another.affine), tmp_path / "seven.nii.gz")
    assert server.save_label("brain_1", tmp_path / "seven.nii.gz").status_code == 200
    result = server.train(MODEL, max_epochs=1)
    assert result["status"] == "ERROR"
    assert any("brain_1: label values out of range: 7" in line for line in result["details"])
    assert weights(server).read_bytes() == after

    # everything labelled: nothing left to learn from without labels
    server.ask("DELETE", "/datastore/label", params={"id": "brain_1", "tag": "final"})
    (folder / "studies" / "broken.nii.gz").unlink()
    for index in range(6):
        assert server.save_label(f"brain_{index}", labels / f"brain_{index}.nii.gz").status_code == 200
    answer = server.ask("POST", f"/train/{MODEL}", json={})
    assert answer.status_code == 422
    assert "add some without a label" in answer.json()["detail"]
    assert server.infer(MODEL, "brain_1").status_code == 200
