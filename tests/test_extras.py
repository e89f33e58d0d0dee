from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from monai_proto import extras

ROOT = Path(__file__).parents[1]


def test_extras_are_those_of_the_package():
    section = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    declared = set(re.findall(r"^(\w+) = \[", section, re.MULTILINE))
    assert set(extras.EXTRAS) == declared - {"dev"}


def test_a_module_leads_to_its_extra():
    assert extras.extra_of("timm.models") == "classification"
    assert extras.extra_of("highdicom") == "dicom"
    assert extras.extra_of("no_such_module") is None


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, "sam", extras.Extra("", ("json", "no_such_module")))
    assert extras.missing_packages("sam") == ["no_such_module"]


@pytest.mark.parametrize(
    ("source", "command"),
    [
        (None, "pip install 'monai-proto[sam]'"),
        (json.dumps({"url": "file:///w/m.whl"}), "pip install 'monai-proto[sam] @ file:///w/m.whl'"),
    ],
)
def test_the_line_installs_from_where_the_package_came(monkeypatch, tmp_path, source, command):
    class Installed:
        def read_text(self, name):
            return source if name == "direct_url.json" else None

    assert extras.install_command("sam") == f"pip install -e '{ROOT}[sam]'"
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "site-packages" / "monai_proto" / "extras.py"))
    monkeypatch.setattr(extras, "distribution", lambda _: Installed())
    assert extras.install_command("sam") == command
