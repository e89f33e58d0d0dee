"""The DICOM node over the loopback: series in, SEG out, who may call, what fails, what a crash leaves."""

from __future__ import annotations

import errno
import inspect
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pynetdicom", reason="the extra dicom is not installed: no pynetdicom")
pytest.importorskip("highdicom", reason="the extra dicom is not installed: no highdicom")
import pydicom
import pynetdicom
from dicom_bundle import THRESHOLD, write_threshold_bundle
from dicom_files import SR, new_dataset, write_series
from pydicom.uid import JPEG2000Lossless
from typer.testing import CliRunner

from monai_proto.apps.dicom import SEG_NAME, DicomNode, Peer, segment_series
from monai_proto.cli.main import app
from monai_proto.dicom.header import read_header
from monai_proto.dicom.seg_reader import read_segmentation
from monai_proto.dicom.series import assemble_series

SEG = "1.2.840.10008.5.1.4.1.1.66.4"


@pytest.fixture
def archive():
    """A storage peer on the loopback: what it got is in ``received``, what it answers in ``status`` (None: nothing)."""

    class Archive:
        def __init__(self) -> None:
            self.received, self.status = [], 0x0000
            entity = pynetdicom.AE(ae_title="PACS")
            entity.add_supported_context(SEG)
            handlers = [(pynetdicom.evt.EVT_C_STORE, self._store)]
            self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)

        def _store(self, event) -> int:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.received.append(dataset)
            return self.status

        @property
        def peer(self) -> Peer:
            return Peer("PACS", "127.0.0.1", self.server.server_address[1])

    archive = Archive()
    yield archive
    if archive.status is not None:
        archive.server.shutdown()


@pytest.fixture
def node(tmp_path):
    """Makes a node for a bundle without weights, on any free port."""
    bundle = write_threshold_bundle(tmp_path / "bundle")

    def segment(series: Path, result: Path) -> Path:
        segment_series(bundle, series, result)
        return result / SEG_NAME

    def make(answer_to: Peer | None = None, segment=segment, settle_seconds: float = 0.3) -> DicomNode:
        return DicomNode(tmp_path / "node", segment, "PROTO", ["PACS"], answer_to, "127.0.0.1", 0, settle_seconds)

    return make


def _send(node: DicomNode, files: list[Path], calling: str = "PACS", called: str = "PROTO") -> list[int] | None:
    """Status of each file; None when the node takes no association."""
    datasets = [pydicom.dcmread(file) for file in files]
    entity = pynetdicom.AE(ae_title=calling)
    for sop_class, syntax in {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in datasets}:
        entity.add_requested_context(sop_class, syntax)
    association = entity.associate("127.0.0.1", node.port, ae_title=called)
    if not association.is_established:
        return None
    try:
        return [association.send_c_store(dataset).Status for dataset in datasets]
    finally:
        association.release()


def _wait_for(folder: Path, count: int = 1) -> list[Path]:
    """Folders in ``folder``, once there are so many."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{folder} has {found}, expected {count}")


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.dcm"))


def test_series_in_and_segmentation_sent_back(node, archive, tmp_path):
    voxels, _ = write_series(tmp_path / "series")
    with node(archive.peer) as running:
        assert _send(running, _files(tmp_path / "series")) == [0] * 4
        (done,) = _wait_for(tmp_path / "node" / "done")
    assert len(archive.received) == 1
    archive.received[0].save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    series = assemble_series([read_header(file) for file in _files(tmp_path / "series")])
    label, _ = read_segmentation(tmp_path / "seg.dcm", series, {"spleen": 1})
    np.testing.assert_array_equal(label, voxels > THRESHOLD)
    kept = {file.read_bytes()[-100:] for file in _files(done)}  # the meta header is the node's own
    assert kept == {file.read_bytes()[-100:] for file in _files(tmp_path / "series")}
    assert (done / "result" / SEG_NAME).is_file()


def test_two_series_in_one_association_are_kept_apart(node, archive, tmp_path):
    for index in range(2):
        write_series(tmp_path / f"s{index}", seed=index)
    files = [file for pair in zip(*(_files(tmp_path / f"s{i}") for i in range(2)), strict=True) for file in pair]
    with node(archive.peer) as running:
        assert _send(running, files) == [0] * 8
        done = _wait_for(tmp_path / "node" / "done", 2)
    assert [len(_files(folder)) for folder in done] == [4, 4]
    uids = {item.ReferencedSeriesSequence[0].SeriesInstanceUID for item in archive.received}
    assert len(uids) == 2


def test_compressed_images_come_through(node, tmp_path):
    voxels, _ = write_series(
        tmp_path / "series",
        shape=(64, 48, 2),
        change=lambda i, d: d.compress(JPEG2000Lossless, generate_instance_uid=False),
    )
    with node() as running:
        assert _send(running, _files(tmp_path / "series")) == [0, 0]
        (done,) = _wait_for(tmp_path / "node" / "done")
    series = assemble_series([read_header(file) for file in _files(done)])
    assert series.first.transfer_syntax_uid == JPEG2000Lossless
    label, _ = read_segmentation(done / "result" / SEG_NAME, series, {"spleen": 1})
    np.testing.assert_array_equal(label, voxels > THRESHOLD)


def test_only_configured_titles_get_an_association(node, tmp_path):
    write_series(tmp_path / "series")
    with node() as running:
        assert _send(running, _files(tmp_path / "series"), calling="STRANGER") is None
        assert _send(running, _files(tmp_path / "series"), called="OTHER") is None
    assert list((tmp_path / "node" / "incoming").iterdir()) == []


def test_listens_on_the_loopback_unless_told_otherwise(node, tmp_path):
    assert inspect.signature(DicomNode).parameters["host"].default == "127.0.0.1"
    with DicomNode(tmp_path / "node", lambda *_: None, "PROTO", ["PACS"], port=0) as running:
        assert running._server.server_address[0] == "127.0.0.1"


def test_series_that_fails_is_kept_whole_with_the_reason(node, archive, tmp_path):
    write_series(tmp_path / "gap")
    (tmp_path / "gap" / "002.dcm").unlink()
    write_series(tmp_path / "good", seed=1)
    with node(archive.peer) as running:
        assert _send(running, _files(tmp_path / "gap")) == [0] * 3
        (failed,) = _wait_for(tmp_path / "node" / "failed")
        assert _send(running, _files(tmp_path / "good")) == [0] * 4  # the node lives on
        _wait_for(tmp_path / "node" / "done")
    assert len(_files(failed)) == 3
    assert "missing slices: 1" in (failed / "reason.txt").read_text()
    assert len(archive.received) == 1


def test_model_that_breaks_does_not_break_the_node(node, tmp_path):
    def broken(series: Path, result: Path) -> Path:
        raise KeyError("weights")

    write_series(tmp_path / "series")
    with node(segment=broken) as running:
        _send(running, _files(tmp_path / "series"))
        (failed,) = _wait_for(tmp_path / "node" / "failed")
    assert len(_files(failed)) == 4
    assert "KeyError" in (failed / "reason.txt").read_text()


@pytest.mark.parametrize(("status", "reason"), [(0xA700, "status 0xa700"), (None, "does not answer")])
def test_result_that_cannot_be_sent_is_kept(node, archive, tmp_path, status, reason):
    archive.status = status
    if status is None:
        archive.server.shutdown()
    write_series(tmp_path / "series")
    with node(archive.peer) as running:
        _send(running, _files(tmp_path / "series"))
        (failed,) = _wait_for(tmp_path / "node" / "failed")
    assert reason in (failed / "reason.txt").read_text()
    assert (failed / "result" / SEG_NAME).is_file()
    assert len(_files(failed)) == 4


@pytest.mark.parametrize(
    ("series_uid", "reason"),
    [(None, "no attribute 'SeriesInstanceUID'"), ("../../away", "identifiers that are no UIDs")],
)
def test_object_without_a_usable_series_is_kept_apart(node, tmp_path, series_uid, reason):
    dataset = new_dataset(tmp_path / "x.dcm", SR)
    dataset.Modality, dataset.ContentDate = "SR", "20200101"
    del dataset.SeriesInstanceUID
    if series_uid:
        dataset.add_new("SeriesInstanceUID", "LO", series_uid)
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    with node() as running:
        assert _send(running, [tmp_path / "x.dcm"]) == [0xC000]
        (failed,) = _wait_for(tmp_path / "node" / "failed")
    assert reason in (failed / "reason.txt").read_text()
    assert pydicom.dcmread(failed / "object.dcm").SOPInstanceUID == dataset.SOPInstanceUID
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "node", "x.dcm"]


def test_a_full_disk_is_told_to_the_sender(node, tmp_path, monkeypatch):
    write_series(tmp_path / "series")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with node(settle_seconds=5) as running:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            assert _send(running, _files(tmp_path / "series")) == [0xA700] * 4
        left = [path for path in (tmp_path / "node").rglob("*") if path.is_file()]
        assert left == []
        assert _send(running, _files(tmp_path / "series")) == [0] * 4


def test_work_of_a_crashed_node_is_taken_up_again(node, tmp_path):
    write_series(tmp_path / "series")
    uid = pydicom.dcmread(tmp_path / "series" / "001.dcm").SeriesInstanceUID
    working = tmp_path / "node" / "working" / f"{uid}_00000000"
    shutil.copytree(tmp_path / "series", working)
    (working / "result").mkdir()
    incoming = tmp_path / "node" / "incoming" / uid
    incoming.mkdir(parents=True)
    shutil.move(working / "001.dcm", incoming / "001.dcm")
    (incoming / ".1234.partial").write_bytes((tmp_path / "series" / "002.dcm").read_bytes()[:400])
    with node():
        (done,) = _wait_for(tmp_path / "node" / "done")
    assert len(_files(done)) == 4
    assert list((tmp_path / "node" / "working").iterdir()) == []


def test_same_object_twice_and_another_one_of_its_name(node, tmp_path):
    write_series(tmp_path / "series")
    files = _files(tmp_path / "series")
    changed = pydicom.dcmread(files[0])
    changed.PixelData = bytes(len(changed.PixelData))
    changed.save_as(tmp_path / "changed.dcm")
    with node() as running:
        assert _send(running, [*files, files[0], tmp_path / "changed.dcm"]) == [0] * 6
        (failed,) = _wait_for(tmp_path / "node" / "failed")
    assert len(_files(failed)) == 5  # nothing was overwritten
    assert "share the identifier of another one but differ" in (failed / "reason.txt").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accept": ","}, "at least one AE title"),
        ({"accept": "A" * 17}, "1 to 16 ASCII characters"),
        ({"answer-to": "PACS"}, "must be AE@host:port"),
        ({"bundle": "nowhere"}, "There is no bundle"),
    ],
)
def test_command_says_what_does_not_fit(node, tmp_path, options, message):
    arguments = {"bundle": tmp_path / "bundle", "folder": tmp_path / "node", "accept": "PACS", "port": 0, **options}
    result = CliRunner().invoke(app, ["dicom-node", *(str(x) for k, v in arguments.items() for x in (f"--{k}", v))])
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "node").exists()
