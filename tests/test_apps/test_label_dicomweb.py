"""A running MONAI Label server on the studies of a real DICOMweb server, as the OHIF viewer uses it."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import requests
from dicom_files import MR, pydicom, write_series
from label_server import LABEL_PYTHON, LabelServer, label_environment, require_label_env

MODEL, SAM = "hippocampus_mri_semisupervised", "ct_mr_slice_sam_weak_segmentation"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
ORTHANC = shutil.which("Orthanc")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OHIF_REQUEST = {"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": False}


def start(address: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    require_label_env()
    command = [str(LABEL_PYTHON), "-m", "monai_proto", "label", "--studies", address, "--models", MODEL]
    command += ["--workspace", str(tmp_path / "workspace")]
    return subprocess.run(command, capture_output=True, text=True, env=label_environment(), timeout=120)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_server_that_does_not_answer_is_named_at_the_start(tmp_path):
    address = f"http://127.0.0.1:{free_port()}/dicom-web"
    result = start(address, tmp_path)
    assert result.returncode == 2
    assert f"Studies {address}: no DICOMweb server answers there" in result.stderr
    assert not (tmp_path / "workspace").exists()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Orthanc with two MR series; the address of its REST interface."""
    if ORTHANC is None or not PLUGIN.is_file():
        pytest.skip("Orthanc with its DICOMweb plugin is not installed: apt-get install orthanc orthanc-dicomweb")
    folder, port = tmp_path_factory.mktemp("orthanc"), free_port()
    settings = {
        "HttpPort": port,
        "DicomServerEnabled": False,
        "AuthenticationEnabled": False,
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                requests.get(f"{address}/system", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.3)
        for index in range(2):
            write_series(folder / f"s{index}", (34, 40, 30), spacing=(1.0, 1.0, 1.0), sop_class=MR, patient=f"P{index}")
            for file in (folder / f"s{index}").iterdir():
                requests.post(f"{address}/instances", data=file.read_bytes(), timeout=60).raise_for_status()
        yield address
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def server(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dicomweb")
    options = ("--workspace", str(folder / "workspace"), "--modality", "mr")
    server = LabelServer(f"{archive}/dicom-web", [MODEL, SAM], folder / "log", *options)
    yield server
    server.stop()


def uids(archive: str, modality: str) -> list[str]:
    found = requests.get(f"{archive}/dicom-web/series", params={"Modality": modality}, timeout=60).json()
    return sorted(series["0020000E"]["Value"][0] for series in found)


def load(answer) -> nib.Nifti1Image:
    assert answer.status_code == 200, answer.text
    return nib.Nifti1Image.from_bytes(gzip.decompress(answer.content))


@pytest.mark.slow
def test_address_of_something_else_is_named_at_the_start(archive, tmp_path):
    result = start(archive, tmp_path)
    assert result.returncode == 2
    assert f"Studies {archive}" in result.stderr


@pytest.mark.slow
def test_series_are_segmented_and_labelled(server, archive, tmp_path):
    series = uids(archive, "MR")
    assert server.info()["datastore"] == {"total": 2, "completed": 0, "label_tags": {}}

    # what OHIF's panel asks for
    mask = load(server.infer(MODEL, series[0]))
    assert mask.shape == (34, 40, 30)
    np.testing.assert_allclose(mask.affine @ [0, 0, 0, 1], (-10, 20, 30, 1), atol=1e-3)  # written in LPS+
    assert server.infer(MODEL, series[0], **OHIF_REQUEST).content.startswith(b"NRRD")
    point = {"foreground": [[17, 20, 15]], "background": []}
    assert server.infer(SAM, series[0], **point, **OHIF_REQUEST).content.startswith(b"NRRD")
    answer = server.infer(MODEL, series[0], "dicom_seg", label_info=[{"name": "anterior"}, {"name": "posterior"}])
    assert answer.status_code == 200, answer.text
    seg = pydicom.dcmread(io.BytesIO(answer.content))
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == series[0]
    assert [s.SegmentLabel for s in seg.SegmentSequence] == ["Anterior hippocampus", "Posterior hippocampus"]

    # a label becomes a SEG of the archive
    drawn = np.zeros(mask.shape, np.uint8)
    drawn[3:9, 4:9, 6:11], drawn[9:12, 4:9, 6:11] = 1, 2
    nib.save(nib.Nifti1Image(drawn, mask.affine), tmp_path / "drawn.nii.gz")
    assert server.save_label(series[0], tmp_path / "drawn.nii.gz").status_code == 200
    assert len(uids(archive, "SEG")) == 1
    kept = load(server.ask("GET", "/datastore/label", params={"label": series[0], "tag": "final"}))
    np.testing.assert_array_equal(kept.dataobj, drawn)
    np.testing.assert_allclose(kept.affine, mask.affine, atol=1e-4)
    assert server.info()["datastore"]["completed"] == 1
    assert server.ask("POST", "/activelearning/prototype", json={}).json()["SeriesInstanceUID"] == series[1]

    # another one, written by somebody else, is newer and counts
    seg.ContentDate = "99991231"
    seg.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    stream = io.BytesIO()
    seg.save_as(stream, enforce_file_format=True)
    requests.post(f"{archive}/instances", data=stream.getvalue(), timeout=60).raise_for_status()
    time.sleep(3)  # lists of the archive are kept for two seconds
    newest = load(server.ask("GET", "/datastore/label", params={"label": series[0], "tag": "final"}))
    np.testing.assert_array_equal(newest.dataobj, mask.dataobj)

    # what is refused
    nib.save(nib.Nifti1Image(drawn[1:], mask.affine), tmp_path / "smaller.nii.gz")
    answer = server.save_label(series[1], tmp_path / "smaller.nii.gz")
    assert answer.status_code == 422
    assert "it has the shape (33, 40, 30)" in answer.json()["detail"]
    assert server.infer(MODEL, "1.2.3").status_code == 404
    assert server.infer(MODEL, "../x").status_code == 403
    assert server.save_label("1.2.3", tmp_path / "drawn.nii.gz").status_code == 404
    assert server.ask("DELETE", "/datastore/image", params={"id": series[0]}).status_code == 409
    assert len(uids(archive, "SEG")) == 2


@pytest.mark.slow
def test_viewer_lists_the_studies(server, archive, tmp_path):
    if BROWSER is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    command += ["--disable-background-networking", "--virtual-time-budget=20000"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"{server.url}/ohif/"]
    page = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=True).stdout
    assert {"Doe, P0", "Doe, P1"} <= set(re.findall(r"Doe, P\d", page))
