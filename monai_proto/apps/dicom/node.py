"""A small DICOM node: takes series by C-STORE, has them segmented, and sends the SEG back."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_proto.apps.dicom.node_folders import NodeFolders
from monai_proto.dicom.packages import dicom_package

__all__ = ["DicomNode", "Peer"]

_SUCCESS, _OUT_OF_RESOURCES, _CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000


@dataclass(frozen=True)
class Peer:
    """
    Where results are sent.

    Args:
        ae_title: its AE title.
        host: its address.
        port: its port.
    """

    ae_title: str
    host: str
    port: int


class DicomNode:
    """
    Receives, segments and answers; every object that was received lies in exactly one of these folders of ``folder``:

    - ``incoming/SERIES``: still being received, or waiting;
    - ``working/SERIES_x``: being segmented; taken up again after a crash;
    - ``done/SERIES_x``: answered, with the result in ``result``;
    - ``failed/SERIES_x``: could not be segmented, or the result could not be sent; ``reason.txt`` says why.
      ``failed/object_x`` holds a single object that could not be read.

    Args:
        folder: folder for all of that.
        segment: called with the folder of a series and a new folder to write into; returns the SEG file.
        ae_title: AE title that peers must call.
        calling_ae_titles: AE titles that may call; no others get an association.
        answer_to: where the SEG is sent; None keeps it in ``done``.
        host: address to listen at; the default can be reached from this machine alone.
        port: port to listen at; 0 for any free one.
        settle_seconds: a series is complete when nothing of it has come for so long.
        report: called with a line on every series that is done or has failed; None for nothing.

    Raises:
        ValueError: when no calling AE title is given, or one is not 1 to 16 characters long.

    Example::

        with DicomNode("node", segment, "PROTO", ["PACS"], Peer("PACS", "127.0.0.1", 104)) as node:
            print(node.port)
            threading.Event().wait()
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        segment: Callable[[Path, Path], Path],
        ae_title: str,
        calling_ae_titles: Sequence[str],
        answer_to: Peer | None = None,
        host: str = "127.0.0.1",
        port: int = 11112,
        settle_seconds: float = 5.0,
        report: Callable[[str], None] | None = None,
    ) -> None:
        if not calling_ae_titles:
            raise ValueError("calling_ae_titles must name at least one AE title that may call, got none.")
        for title in (ae_title, *calling_ae_titles, *([answer_to.ae_title] if answer_to else [])):
            if not 1 <= len(title.strip()) <= 16 or not title.isascii():
                raise ValueError(f"An AE title has 1 to 16 ASCII characters, got {title!r}.")
        self.folders = NodeFolders(folder)
        self.segment, self.answer_to = segment, answer_to
        self.ae_title, self.calling_ae_titles = ae_title, list(calling_ae_titles)
        self.settle_seconds, self.report = settle_seconds, report or (lambda line: None)
        self._address = (host, port)
        self._last_seen: dict[str, float] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._server: Any = None
        self._worker = threading.Thread(target=self._work, name="dicom-node", daemon=True)

    @property
    def port(self) -> int:
        """Port that the node listens at."""
        return self._server.server_address[1]

    def __enter__(self) -> DicomNode:
        pynetdicom = dicom_package("pynetdicom")
        self.folders.open()
        entity = pynetdicom.AE(ae_title=self.ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = self.calling_ae_titles
        entity.add_supported_context("1.2.840.10008.1.1")  # C-ECHO
        for context in pynetdicom.AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, pynetdicom.ALL_TRANSFER_SYNTAXES)
        handlers = [(pynetdicom.evt.EVT_C_STORE, self._receive)]
        self._server = entity.start_server(self._address, block=False, evt_handlers=handlers)
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._stop.set()
        self._worker.join()

    def _receive(self, event: Any) -> int:
        """C-STORE: the status is success only when the object is on disk."""
        content = event.encoded_dataset()
        try:
            try:
                series, instance = str(event.dataset.SeriesInstanceUID), str(event.request.AffectedSOPInstanceUID)
                with self._lock:
                    self.folders.receive(series, instance, content)
                    self._last_seen[series] = time.monotonic()
            except OSError:
                raise
            except Exception as error:  # a data set that cannot be decoded, or has no usable identifier
                self.folders.keep_apart(content, str(error))
                return _CANNOT_UNDERSTAND
        except OSError:
            return _OUT_OF_RESOURCES  # the sender keeps it, and says so to somebody
        return _SUCCESS

    def _work(self) -> None:
        while not self._stop.wait(0.1):
            try:
                for series in self.folders.waiting():
                    folder = self._take(series)
                    if folder is not None:
                        self._process(folder)
                    if self._stop.is_set():
                        return
            except OSError:  # a full disk or a folder out of reach: everything stays where it is until that is over
                self._stop.wait(1)

    def _take(self, series: str) -> Path | None:
        """The folder of a series that is complete."""
        with self._lock:
            if time.monotonic() - self._last_seen.get(series, float("-inf")) < self.settle_seconds:
                return None
            self._last_seen.pop(series, None)
            return self.folders.start(series)

    def _process(self, folder: Path) -> None:
        try:
            result = self.segment(folder, folder / "result")
            if self.answer_to:
                self._send(result, self.answer_to)
        except Exception as error:  # nothing that a model or a network does may end the node or lose an image
            reason = str(error) or type(error).__name__
            detail = "" if isinstance(error, (ValueError, ConnectionError)) else f"\n\n{traceback.format_exc()}"
            self.folders.fail(folder, reason + detail)
            self.report(f"failed: {folder.name}: {reason}")
        else:
            self.folders.finish(folder)
            self.report(f"done: {folder.name}")

    def _send(self, file: Path, peer: Peer) -> None:
        pynetdicom, dataset = dicom_package("pynetdicom"), dicom_package("pydicom").dcmread(file)
        entity = pynetdicom.AE(ae_title=self.ae_title)
        entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        association = entity.associate(peer.host, peer.port, ae_title=peer.ae_title)
        if not association.is_established:
            raise ConnectionError(f"segmented, but {peer.ae_title} at {peer.host}:{peer.port} does not answer")
        try:
            status = association.send_c_store(dataset)
        finally:
            association.release()
        if not status or status.Status != _SUCCESS:
            code = f"{status.Status:#06x}" if status else "none"
            raise ConnectionError(f"segmented, but {peer.ae_title} did not store the result: status {code}")
