"""Starts the real MONAI Label server with the app on a free port, in the environment of `make label-env`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).parents[1]
LABEL_PYTHON = Path(os.environ.get("MONAI_PROTO_LABEL_PYTHON") or ROOT / ".venv-label" / "bin" / "python")
_PATIENCE = 240  # seconds until a start, or a training, counts as hung


def require_label_env() -> None:
    """Skip the test where `make label-env` has not been run."""
    if not LABEL_PYTHON.is_file():
        pytest.skip(f"there is no environment of MONAI Label at {LABEL_PYTHON}: make label-env")


def label_environment() -> dict[str, str]:
    """Of processes of MONAI Label: this checkout's package, one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def run_in_label_env(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code where MONAI Label is installed."""
    require_label_env()
    command = [str(LABEL_PYTHON), "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=label_environment(), timeout=_PATIENCE)


class LabelServer:
    """
    A running server.

    Args:
        studies: folder of studies, or address of a DICOMweb server.
        models: names of bundles.
        log: file for what it prints.
        options: further options of ``monai-proto label``.
    """

    def __init__(self, studies: Path | str, models: list[str], log: Path, *options: str) -> None:
        require_label_env()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.studies, self.log, self.url = studies, log, f"http://127.0.0.1:{port}"
        self.workspace = Path(studies) / "monai_proto_label"  # of a folder
        command = [str(LABEL_PYTHON), "-m", "monai_proto", "label", "--studies", str(studies)]
        command += ["--models", ",".join(models), "--port", str(port), *options]
        with open(log, "wb") as stream:
            self.process = subprocess.Popen(
                command, stdout=stream, stderr=subprocess.STDOUT, env=label_environment(), cwd=log.parent
            )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.tail()}")
            try:
                requests.get(f"{self.url}/info/", timeout=5)
                return
            except requests.ConnectionError:
                time.sleep(0.3)
        self.stop()
        raise AssertionError(f"the server does not answer:\n{self.tail()}")

    def tail(self) -> str:
        """The end of what the server printed."""
        return self.log.read_text(errors="replace")[-4000:]

    def ask(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """A request to the server."""
        return requests.request(method, f"{self.url}{path}", timeout=_PATIENCE, **arguments)

    def info(self) -> dict[str, Any]:
        """What the server says of itself."""
        return self.ask("GET", "/info/").json()

    def infer(self, model: str, image: str, output: str = "image", **params: Any) -> requests.Response:
        """Inference on a study."""
        query = {"image": image, "output": output}
        return self.ask("POST", f"/infer/{model}", params=query, data={"params": json.dumps(params)})

    def save_label(self, image: str, file: Path, tag: str = "final") -> requests.Response:
        """Send a label, as a client does."""
        with open(file, "rb") as stream:
            return self.ask(
                "PUT", "/datastore/label", params={"image": image, "tag": tag}, files={"label": (file.name, stream)}
            )

    def wait_for(self, task: str, *states: str) -> dict[str, Any]:
        """The task's record once it is in one of the states; the states in which it ends by default."""
        states = states or ("DONE", "ERROR", "STOPPED")
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            answer = self.ask("GET", f"/{task}/")
            if answer.status_code == 200 and answer.json()["status"] in states:
                return answer.json()
            time.sleep(0.3)
        raise AssertionError(f"{task} has not come to {states}:\n{self.tail()}")

    def train(self, model: str, **params: Any) -> dict[str, Any]:
        """Train to the end."""
        answer = self.ask("POST", f"/train/{model}", json=params)
        assert answer.status_code == 200, answer.text
        return self.wait_for("train")

    def stop(self) -> int:
        """End the server as a service manager does."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the server does not stop:\n{self.tail()}") from None
