"""The bundles there are: found by name or folder, described in a line, copied, and packed for MONAI's downloader."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

__all__ = ["BundleInfo", "bundles_folder", "copy_bundle", "find_bundle", "list_bundles", "zip_bundle"]

# what a bundle consists of; runs leave more in its folder
_PARTS = ("LICENSE", "configs", "docs", "models")
# dates of the files of an archive, so that the same bundle makes the same archive
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


class BundleInfo(NamedTuple):
    """
    What a bundle is for.

    Attributes:
        name: its folder's name.
        folder: where it lies.
        version: of the bundle.
        task: in a sentence.
        modality: of the images, such as ``"MR"``.
        classes: as the metadata words them, such as ``"0 background, 1 anterior"``.
        weights: what the weights were trained on: ``"phantom"`` shows that everything works and answers nothing,
            ``"research"`` is real data; ``"unknown"`` where the metadata does not say.
        licence: of the weights.
    """

    name: str
    folder: Path
    version: str
    task: str
    modality: str
    classes: str
    weights: str
    licence: str


def bundles_folder() -> Path:
    """
    The folder of our bundles: the checkout's where there is one, else that inside of the installed package.

    Raises:
        ValueError: when there is neither.
    """
    package = Path(str(files("monai_proto")))
    checkout = package.parent / "bundles"
    for folder in (checkout, package / "bundles"):
        if any(folder.glob("*/configs/metadata.json")):
            return folder
    raise ValueError(f"There are no bundles at {package / 'bundles'} nor at {checkout}: install monai-proto again.")


def find_bundle(bundle: str | os.PathLike[str]) -> Path:
    """
    The folder of a bundle.

    Args:
        bundle: name of one of ours, or the folder of any bundle. A name wins over a folder of the same name in the
            current folder; write ``./name`` for that.

    Returns:
        absolute path of the folder with ``configs/metadata.json``.

    Raises:
        ValueError: when there is no such bundle.
    """
    text = os.fspath(bundle)
    names = [folder.name for folder in _folders()]
    if text in names:
        return bundles_folder() / text
    folder = Path(text).expanduser().absolute()
    if (folder / "configs" / "metadata.json").is_file():
        return folder
    if folder.is_dir():
        raise ValueError(f"{text} is a folder, but no bundle: it has no configs/metadata.json.")
    nearest = [name for name in names if text and name.startswith(text)] or difflib.get_close_matches(text, names, 1)
    meant = f" Did you mean {nearest[0]}?" if nearest else ""
    raise ValueError(f"There is no bundle {text!r}.{meant} A bundle is a folder, or one of {', '.join(names)}.")


def list_bundles() -> list[BundleInfo]:
    """Our bundles, sorted by name."""
    return [describe_bundle(folder) for folder in _folders()]


def describe_bundle(folder: Path) -> BundleInfo:
    """
    Args:
        folder: of a bundle.

    Raises:
        ValueError: when its metadata cannot be read.
    """
    file = folder / "configs" / "metadata.json"
    try:
        metadata = json.loads(file.read_text(encoding="utf-8"))
        inputs = metadata.get("network_data_format", {}).get("inputs", {})
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"{file} cannot be read as a bundle's metadata: {error}.") from error
    return BundleInfo(
        name=folder.name,
        folder=folder,
        version=str(metadata.get("version", "")),
        task=str(metadata.get("task", "")),
        modality=", ".join(str(item.get("modality", "")) for item in inputs.values() if isinstance(item, dict)),
        classes=str(metadata.get("label_classes", "")),
        weights=str(metadata.get("weights", "unknown")),
        licence=str(metadata.get("weights_licence", "unknown")),
    )


def copy_bundle(bundle: str | os.PathLike[str], destination: str | os.PathLike[str]) -> Path:
    """
    A copy of one's own, to change and to run. What runs left in the folder is not copied.

    Args:
        bundle: name or folder.
        destination: new folder; it appears whole or not at all. An existing folder gets the copy as ``NAME`` inside.

    Returns:
        folder of the copy.

    Raises:
        ValueError: when there is no such bundle.
        FileExistsError: when the copy's folder exists already.
    """
    source, target = find_bundle(bundle), Path(destination).expanduser().absolute()
    if target.is_dir():
        target = target / source.name
    if target.exists():
        raise FileExistsError(f"{target} exists already, and nothing is overwritten: name another folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as temporary:
        copy = Path(temporary) / target.name
        for relative in _files_of(source):
            (copy / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / relative, copy / relative)
        copy.rename(target)
    return target


def zip_bundle(bundle: str | os.PathLike[str], destination: str | os.PathLike[str]) -> Path:
    """
    The archive that ``python -m monai.bundle download`` takes: ``NAME_vVERSION.zip`` with the folder ``NAME`` in it.

    Args:
        bundle: name or folder.
        destination: folder for the archive, made when missing.

    Returns:
        the archive.

    Raises:
        ValueError: when there is no such bundle.
        FileExistsError: when the archive exists already.
    """
    source = find_bundle(bundle)
    folder = Path(destination).expanduser().absolute()
    archive = folder / f"{source.name}_v{describe_bundle(source).version}.zip"
    if archive.exists():
        raise FileExistsError(f"{archive} exists already, and nothing is overwritten.")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".zip.") as temporary:
        part = Path(temporary) / archive.name
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as file:
            for relative in _files_of(source):
                entry = zipfile.ZipInfo(f"{source.name}/{relative.as_posix()}", _ZIP_DATE)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                file.writestr(entry, (source / relative).read_bytes())
        part.rename(archive)
    return archive


def _folders() -> list[Path]:
    return sorted(file.parents[1] for file in bundles_folder().glob("*/configs/metadata.json"))


def _files_of(bundle: Path) -> Iterator[Path]:
    """Paths below the bundle, sorted."""
    for part in _PARTS:
        place = bundle / part
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (file.relative_to(bundle) for file in found if file.is_file() and "__pycache__" not in file.parts)
