"""The wheel holds everything that is needed without the checkout, and works from elsewhere."""

from __future__ import annotations

import json
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
BUNDLES = sorted(path.name for path in (ROOT / "bundles").iterdir())
BACKEND = (
    "import sys; from setuptools.build_meta import build_wheel, build_sdist; print(globals()[sys.argv[1]](sys.argv[2]))"
)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """The tracked part of the checkout, so that nothing is built inside of it."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("monai_proto", "bundles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    left_by_a_run = folder / "bundles" / BUNDLES[0] / "eval"
    left_by_a_run.mkdir(exist_ok=True)
    (left_by_a_run / "patient.txt").write_text("stays here")
    return folder


def build(source: Path, kind: str, destination: Path) -> Path:
    command = [sys.executable, "-c", BACKEND, kind, str(destination)]
    printed = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True, timeout=600).stdout
    return destination / printed.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory) -> Path:
    return build(source, "build_wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory) -> Path:
    """An environment with the wheel alone; the packages that it needs come from this one."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False)
    packages = next((folder / "lib").glob("python*")) / "site-packages"
    # a path that a .pth file adds is searched, but .pth files in it, of editable installations, are not read
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    with zipfile.ZipFile(wheel) as file:
        file.extractall(packages)
    return folder / "bin" / "python"


def home_of(python: Path) -> Path:
    """Of the person who has the environment: caches and runs go there."""
    return python.parents[2]


def run(python: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home_of(python)),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [str(python), "-m", *words]
    finished = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-2000:]
    return finished


def expected_files(bundle: str) -> set[str]:
    folder = ROOT / "bundles" / bundle
    files = [folder / "LICENSE", folder / "models" / "model.pt"]
    for part in ("configs", "docs", "models/prototypes"):
        files += [path for path in (folder / part).glob("*") if path.is_file()]
    return {f"{bundle}/{path.relative_to(folder).as_posix()}" for path in files}


@pytest.mark.parametrize("bundle", BUNDLES)
def test_the_wheel_holds_the_bundle(wheel, bundle):
    with zipfile.ZipFile(wheel) as file:
        prefix = "monai_proto/bundles/"
        held = {name.removeprefix(prefix) for name in file.namelist() if name.startswith(f"{prefix}{bundle}/")}
    assert held == expected_files(bundle)
    assert {f"{bundle}/configs/{name}.json" for name in ("metadata", "train", "evaluate", "inference")} <= held


def test_the_wheel_holds_every_module(wheel):
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if name.endswith((".py", ".html", "py.typed"))}
    ours = (path for path in (ROOT / "monai_proto").rglob("*") if path.suffix in (".py", ".html", ".typed"))
    assert held == {path.relative_to(ROOT).as_posix() for path in ours}


def test_the_source_distribution_builds_the_same_wheel(source, wheel, tmp_path):
    archive = build(source, "build_sdist", tmp_path)
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "unpacked", filter="data")
    again = build(next((tmp_path / "unpacked").iterdir()), "build_wheel", tmp_path)
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert set(first.namelist()) == set(second.namelist())


def test_bundles_are_found_copied_and_run_from_the_wheel(elsewhere, tmp_path):
    listed = json.loads(run(elsewhere, "monai_proto", "bundles", "list", "--json", cwd=tmp_path).stdout)
    assert [item["name"] for item in listed] == BUNDLES
    assert all(str(elsewhere.parents[1]) in item["folder"] for item in listed)
    run(elsewhere, "monai_proto", "bundles", "copy", "hippocampus_mri_semisupervised", "mine", cwd=tmp_path)
    printed = run(
        elsewhere, "monai.bundle", "run", "--config_file", "configs/inference.json", cwd=tmp_path / "mine"
    ).stdout
    assert "Data: PHANTOMS" in printed
    assert len(list((home_of(elsewhere) / ".local/share/monai_proto/runs/mine/inference").glob("*_seg.nii.gz"))) == 8
    assert not (tmp_path / "mine" / "eval").exists()


def test_an_extra_is_installed_from_where_the_package_came(elsewhere, tmp_path):
    found = json.loads(run(elsewhere, "monai_proto", "doctor", "--json", cwd=tmp_path).stdout)
    assert found["extras"]["sam"]["install"] == "pip install 'monai-proto[sam]'"


def test_the_demo_runs_from_the_wheel(elsewhere, tmp_path):
    printed = run(elsewhere, "monai_proto", "demo", "--epochs", "2", "--output", "shown", cwd=tmp_path).stdout
    for part in ("PHANTOMS", "with the unlabelled volumes", "Shown:", "Next, with your own volumes:", "bundles list"):
        assert part in printed
    for name in ("learning_curve.png", "overlays.png"):
        assert (tmp_path / "shown" / name).stat().st_size > 10_000
    assert len(list((tmp_path / "shown" / "segmentations").glob("*.nii.gz"))) == 8
