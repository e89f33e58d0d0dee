"""Starts MONAI Label with the app, offline and on the loopback unless told otherwise."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from monai.utils import optional_import

from monai_proto.apps.monailabel.workspace import default_workspace, is_web_address
from monai_proto.data.atomic_write import write_text_atomically

__all__ = ["start_server"]

_MAIN = "# made by monai-proto label\nfrom monai_proto.apps.monailabel.label_app import ProtoLabelApp  # noqa: F401\n"


def start_server(
    studies: str | os.PathLike, conf: Mapping[str, str], host: str = "127.0.0.1", port: int = 8000
) -> None:
    """
    Serve until interrupted.

    Args:
        studies: existing folder, or address of a DICOMweb server (``http://...``).
        conf: options of :class:`ProtoLabelApp`.
        host: address to listen at.
        port: port to listen at.

    Raises:
        ValueError: when the folder does not exist, or no DICOMweb server answers.
        OptionalImportError: when MONAI Label is not installed in this environment.
    """
    studies = os.fspath(studies).rstrip("/") if is_web_address(os.fspath(studies)) else os.path.abspath(studies)
    if not is_web_address(studies) and not os.path.isdir(studies):
        raise ValueError(f"Studies {studies} is not a folder.")
    main, found = optional_import("monailabel.main", name="Main")
    if not found:
        main()  # says what is missing
    if is_web_address(studies):
        from monai_proto.apps.monailabel.web_studies import require_dicomweb

        require_dicomweb(studies)
    workspace = Path(conf.get("workspace") or default_workspace(studies)).absolute()
    workspace.mkdir(parents=True, exist_ok=True)
    write_text_atomically(workspace / "main.py", _MAIN)
    uploads = workspace / "uploads"
    uploads.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(uploads)  # a request may name files that came with one, no others
    pairs = {**conf, "workspace": str(workspace)}
    sys.argv = [
        *("monailabel", "start_server", "--app", str(workspace), "--studies", studies),
        *("--host", host, "--port", str(port)),
        *(word for key, value in pairs.items() for word in ("--conf", key, value)),
    ]
    main().run()
