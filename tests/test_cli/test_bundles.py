from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from monai_proto.cli.main import app

HIPPOCAMPUS = "hippocampus_mri_semisupervised"
BUNDLES = Path(__file__).parents[2] / "bundles"


def invoke(*words: str):
    return CliRunner().invoke(app, ["bundles", *words])


def test_the_list_has_a_line_for_each():
    lines = invoke("list").stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == sorted(path.name for path in BUNDLES.iterdir())
    line = next(line for line in lines if line.startswith(HIPPOCAMPUS))
    for part in ("anterior and posterior hippocampus", "MR", "1 anterior, 2 posterior", "phantoms", "Apache-2.0"):
        assert part in line


def test_the_list_is_there_for_a_machine():
    content = json.loads(invoke("list", "--json").stdout)
    assert {item["name"]: item["weights"] for item in content}[HIPPOCAMPUS] in ("phantom", "research")
    assert all(Path(item["folder"]).is_dir() for item in content)


def test_copy_and_zip_say_what_they_wrote_and_overwrite_nothing(tmp_path):
    result = invoke("copy", HIPPOCAMPUS, str(tmp_path / "mine"))
    assert result.exit_code == 0, result.output
    assert f"Copied to {tmp_path / 'mine'}" in result.stdout
    archive = next(iter(invoke("zip", str(tmp_path / "mine"), str(tmp_path)).stdout.split()[1:]))
    assert Path(archive).is_file()
    again = invoke("zip", str(tmp_path / "mine"), str(tmp_path))
    assert again.exit_code == 1
    assert "nothing is overwritten" in again.stderr
    unknown = invoke("copy", "hippocampsu_mri_semisupervised", str(tmp_path / "x"))
    assert unknown.exit_code == 2
    assert f"Did you mean {HIPPOCAMPUS}?" in unknown.stderr
