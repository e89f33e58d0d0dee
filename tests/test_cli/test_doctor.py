from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from monai_proto import extras, machine
from monai_proto.cli.main import app


@pytest.fixture
def machine_of_a_test(monkeypatch, tmp_path):
    """Two cores without bfloat16, data and folders of the test's, and an extra that is not installed."""
    data = tmp_path / "data"
    (data / "hippocampus").mkdir(parents=True)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "x").write_bytes(b"0" * 2_000_000)
    monkeypatch.setenv("MONAI_PROTO_DATA", str(data))
    monkeypatch.setenv("MONAI_PROTO_CACHE", str(cache))
    monkeypatch.setenv("MONAI_PROTO_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset({"avx512f"}))
    monkeypatch.setattr(machine, "physical_cores", lambda: 2)
    monkeypatch.setattr(machine, "cgroup_cores", lambda: 1.5)
    monkeypatch.setitem(extras.EXTRAS, "sam", extras.Extra("the SAM bundles", ("no_such_module",)))


def test_it_is_read_by_a_machine(machine_of_a_test, tmp_path):
    result = CliRunner().invoke(app, ["doctor", "--json"])
    found = json.loads(result.stdout)
    assert found["versions"]["torch"]
    assert found["devices"][0]["bfloat16"] is False
    assert found["devices"][0]["avx512"] is True
    assert found["threads"] == {
        "chosen": 1,
        "reason": "from OMP_NUM_THREADS",
        "physical_cores": 2,
        "available_cores": 1,
        "cgroup_cores": 1.5,
    }
    assert found["extras"]["sam"]["missing"] == ["no_such_module"]
    assert found["extras"]["sam"]["install"].startswith("pip install ")
    assert found["data"] == {"folder": str(tmp_path / "data"), "found": ["hippocampus"]}
    assert found["folders"]["cache"] == {"path": str(tmp_path / "cache"), "bytes": 2_000_000}
    assert found["folders"]["runs"]["bytes"] == 0
    assert found["folders"]["bundles"]["bytes"] > 1e7


def test_it_is_read_by_a_person(machine_of_a_test):
    text = CliRunner().invoke(app, ["doctor"]).stdout
    for line in (
        "bfloat16 in hardware no, AVX-512 yes",
        "1 (from OMP_NUM_THREADS); 2 physical cores, the container may use 1.5",
        "sam: no; the SAM bundles",
        "(2 MB)",
    ):
        assert line in text
