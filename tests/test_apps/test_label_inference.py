"""Inference in a running MONAI Label server, and what it refuses."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from dicom_files import MR, write_series
from label_server import LabelServer, run_in_label_env
from PIL import Image

from monai_proto.phantoms import phantom_dataset_dir, write_mri_phantom_dataset

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HIPPOCAMPUS, DERMOSCOPY = "hippocampus_mri_semisupervised", "dermoscopy_prototype_classification"
SLICES, LESIONS = "ct_mr_slice_sam_weak_segmentation", "dermoscopy_sam_weak_segmentation"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inference")
    studies = folder / "studies"
    studies.mkdir()
    phantoms = write_mri_phantom_dataset(folder / "mri", 2, 1).parent / "imagesTr"
    for index, file in enumerate(sorted(phantoms.iterdir())):
        shutil.copy(file, studies / f"brain_{index}.nii.gz")
    photographs = Path(phantom_dataset_dir("dermoscopy", num_training=40, num_validation=12, num_test=12)) / "images"
    shutil.copy(sorted(photographs.iterdir())[0], studies / "lesion.jpg")
    write_series(studies / "series", (34, 40, 30), sop_class=MR, spacing=(1.0, 1.0, 1.0))
    (studies / "broken.nii.gz").write_bytes((studies / "brain_0.nii.gz").read_bytes()[:2000])
    (studies / "brain_1.nii").write_bytes(b"the same name as brain_1.nii.gz")
    server = LabelServer(studies, [HIPPOCAMPUS, DERMOSCOPY, SLICES, LESIONS], folder / "log", "--modality", "mr")
    yield server
    server.stop()


def load(answer) -> nib.Nifti1Image:
    assert answer.status_code == 200, answer.text
    return nib.Nifti1Image.from_bytes(gzip.decompress(answer.content))


def test_info_lists_models_and_what_is_no_study(server):
    info = server.info()
    assert set(info["models"]) == {HIPPOCAMPUS, DERMOSCOPY, SLICES, LESIONS}
    assert set(info["trainers"]) == {HIPPOCAMPUS, SLICES, LESIONS}
    assert {"prototype", "random", "first"} <= set(info["strategies"])
    assert info["models"][HIPPOCAMPUS]["labels"] == {"anterior": 1, "posterior": 2}
    assert info["models"][SLICES]["type"] == "deepgrow"
    assert info["models"][DERMOSCOPY]["type"] == "classification"
    assert info["datastore"]["total"] == 6
    assert list(info["left_out"]) == ["brain_1.nii.gz"] or list(info["left_out"]) == ["brain_1.nii"]


def test_volume_is_segmented_on_its_own_grid(server):
    mask, image = load(server.infer(HIPPOCAMPUS, "brain_0")), nib.load(server.studies / "brain_0.nii.gz")
    assert mask.shape == image.shape
    np.testing.assert_allclose(mask.affine, image.affine, atol=1e-4)
    assert set(np.unique(mask.dataobj)) == {0, 1, 2}


def test_dicom_folder_is_a_study(server):
    mask = load(server.infer(HIPPOCAMPUS, "series"))
    assert mask.shape == (34, 40, 30)
    # written in LPS+ at 10, -20, 30
    np.testing.assert_allclose(abs(mask.affine[:3, 3]), (10, 20, 30), atol=1e-3)


def test_photograph_is_classified_and_explained(server):
    scores = server.infer(DERMOSCOPY, "lesion", "json").json()
    assert sum(entry["score"] for entry in scores["prediction"]) == pytest.approx(1, abs=1e-4)
    best = max(scores["prediction"], key=lambda entry: entry["score"])
    assert best["label"] == scores["answer"]
    assert 0 <= scores["uncertainty"] <= 1
    assert scores["prototypes"][0]["source"]
    assert server.infer(DERMOSCOPY, "lesion", "json", abstain_above=1e-9).json()["abstained"] is True
    figure = server.infer(DERMOSCOPY, "lesion")
    assert figure.headers["content-type"] == "image/png"
    assert min(Image.open(io.BytesIO(figure.content)).size) > 300


def test_lesion_is_segmented_from_a_box_and_points(server):
    width, height = Image.open(server.studies / "lesion.jpg").size
    box = [width // 5, height // 5, width * 4 // 5, height * 4 // 5]
    from_box = np.asarray(Image.open(io.BytesIO(server.infer(LESIONS, "lesion", roi=box).content)))
    assert from_box.shape == (height, width)
    assert set(np.unique(from_box)) == {0, 255}
    points = {"foreground": [[width // 2, height // 2]], "background": [[2, 2]]}
    from_points = np.asarray(Image.open(io.BytesIO(server.infer(LESIONS, "lesion", **points).content)))
    assert from_points[height // 2, width // 2] == 255
    assert from_points[2, 2] == 0


def test_slices_are_segmented_from_a_box(server):
    shape = nib.load(server.studies / "brain_0.nii.gz").shape
    box = [4, 6, shape[0] - 4, shape[1] - 6, 10, 12]
    mask = np.asarray(load(server.infer(SLICES, "brain_0", roi=box, axis="2")).dataobj)
    assert mask.shape == shape
    found = np.flatnonzero(mask.any(axis=(0, 1)))
    assert set(found) <= {10, 11}
    assert len(found)
    point = np.argwhere(mask[..., found[0]])[0].tolist()
    mask = np.asarray(load(server.infer(SLICES, "brain_0", foreground=[[*point, int(found[0])]], axis="2")).dataobj)
    assert set(np.flatnonzero(mask.any(axis=(0, 1)))) <= {int(found[0])}


def test_two_clients_at_once(server):
    with ThreadPoolExecutor(2) as clients:
        answers = list(clients.map(lambda study: server.infer(HIPPOCAMPUS, study), ["brain_0", "brain_2"]))
    assert [answer.status_code for answer in answers] == [200, 200]
    again = [server.infer(HIPPOCAMPUS, study) for study in ("brain_0", "brain_2")]
    for answer, alone in zip(answers, again, strict=True):
        np.testing.assert_array_equal(load(answer).dataobj, load(alone).dataobj)


def test_image_that_comes_with_the_request(server):
    with open(server.studies / "brain_0.nii.gz", "rb") as stream:
        sent = server.ask(
            "POST", f"/infer/{HIPPOCAMPUS}", params={"output": "image"}, files={"file": ("a.nii.gz", stream)}
        )
    np.testing.assert_array_equal(load(sent).dataobj, load(server.infer(HIPPOCAMPUS, "brain_0")).dataobj)


@pytest.mark.parametrize(
    ("model", "image", "params", "status", "said"),
    [
        ("nope", "brain_0", {}, 404, "There is no model 'nope'"),
        (HIPPOCAMPUS, "nope", {}, 404, "There is no study 'nope'"),
        (HIPPOCAMPUS, "broken", {}, 422, r"broken.nii.gz cannot be read"),
        (HIPPOCAMPUS, "lesion", {}, 422, "takes volumes, and lesion.jpg is none"),
        (DERMOSCOPY, "brain_0", {}, 422, "takes photographs, and brain_0.nii.gz is none"),
        (HIPPOCAMPUS, "/etc/hostname", {}, 403, "is no study"),
        (HIPPOCAMPUS, "../log", {}, 403, "is no study"),
        (HIPPOCAMPUS, "brain_0", {"model_filename": "../../../evil.pt"}, 422, "plain name"),
        (HIPPOCAMPUS, "brain_0", {"model_filename": "other.pt"}, 404, "no weights other.pt"),
        (SLICES, "brain_0", {}, 422, "A prompt is needed"),
        (SLICES, "brain_0", {"roi": [4, 6, 20, 30, 400, 401]}, 422, "slice 400 must be in 0 .. "),
        (LESIONS, "lesion", {"roi": [4, 6, 9000, 30]}, 422, "not inside of the image"),
        (LESIONS, "lesion", {"roi": [40, 6, 4, 30]}, 422, "x1 < x2"),
        (LESIONS, "lesion", {"foreground": [[1, 2, 3]]}, 422, "points of 2 numbers"),
    ],
)
def test_refused(server, model, image, params, status, said):
    answer = server.infer(model, image, **params)
    assert answer.status_code == status, answer.text
    assert re.search(said, answer.json()["detail"])
    assert server.process.poll() is None


def test_params_do_not_smuggle_in_a_file(server):
    params = {"params": json.dumps({"image": "/etc/hostname"})}
    answer = server.ask("POST", f"/infer/{HIPPOCAMPUS}", params={"image": "brain_0"}, data=params)
    assert answer.status_code == 403
    assert "is no study" in answer.json()["detail"]


def test_nothing_is_written_outside_of_the_studies(server, tmp_path):
    before = sorted(server.studies.parent.iterdir())
    file = server.studies / "brain_0.nii.gz"
    for name, status in (("../evil", 422), (".evil", 422), ("brain_0", 409)):
        with open(file, "rb") as stream:
            answer = server.ask("PUT", "/datastore/image", params={"image": name}, files={"file": ("a.nii.gz", stream)})
        assert answer.status_code == status, answer.text
    assert server.save_label("brain_0", file, "../../evil").status_code == 422
    assert sorted(server.studies.parent.iterdir()) == before


def test_weights_of_another_network_are_not_served(server):
    models = server.workspace / "model" / HIPPOCAMPUS / "models"
    good = (models / "model.pt").read_bytes()
    state = torch.load(models / "model.pt", weights_only=True)
    state = state.get("model", state)
    try:
        for wrong in ({"model": {"other.weight": torch.zeros(3)}}, dict(list(state.items())[1:])):
            torch.save(wrong, models / "model.pt")
            answer = server.infer(HIPPOCAMPUS, "brain_0")
            assert answer.status_code == 409, answer.text
            assert "model.pt does not fit" in answer.json()["detail"]
    finally:
        (models / "model.pt").write_bytes(good)
    assert server.infer(HIPPOCAMPUS, "brain_0").status_code == 200


def test_page_of_the_api_in_a_browser_without_internet(server, tmp_path):
    if BROWSER is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    command += ["--disable-background-networking", "--virtual-time-budget=20000"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", server.url]
    page = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=True).stdout
    loaded = re.findall(r'<(?:script|link)[^>]*(?:src|href)="([^"]+)"', page)
    assert loaded
    assert all(address.startswith("/") for address in loaded), "the page asks for something from elsewhere"
    shown = re.sub(r"<[^>]+>", "", page)
    for route in ("/infer/", "/train/", "/activelearning/", "/datastore/label"):
        assert route in shown.replace("\u200b", ""), f"the page does not show {route}"


def test_sample_client_of_monai_label(server, tmp_path):
    code = f"""
from monailabel.client import MONAILabelClient
client = MONAILabelClient({server.url!r}, tmpdir={str(tmp_path)!r})
assert {HIPPOCAMPUS!r} in client.info()["models"]
image = client.next_sample("prototype", {{}})["id"]
file, params = client.infer({HIPPOCAMPUS!r}, "brain_2", {{}})
print(image, file, sorted(params["label_names"]))
client.save_label("brain_2", file, "draft", {{}})
"""
    result = run_in_label_env(code)
    assert result.returncode == 0, result.stderr[-3000:]
    image, _, *names = result.stdout.split()
    assert image in {"brain_0", "brain_1", "brain_2", "series"}
    assert json.loads("".join(names).replace("'", '"')) == ["anterior", "posterior"]
    assert server.ask("GET", "/datastore/label", params={"label": "brain_2", "tag": "draft"}).status_code == 200
