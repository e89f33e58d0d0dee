"""Finds the folder of a bundle."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

__all__ = ["find_bundle"]


def find_bundle(name_or_folder: str) -> Path:
    """
    Args:
        name_or_folder: folder of a bundle, or the name of one that comes with the package.

    Returns:
        absolute path of the folder.

    Raises:
        ValueError: when there is no such bundle.
    """
    folder = Path(name_or_folder).expanduser().absolute()
    if (folder / "configs" / "train.json").is_file():
        return folder
    package = Path(str(files("monai_proto")))
    places = [place for place in (package.parent / "bundles", package / "bundles") if place.is_dir()]
    names = sorted(path.parents[1].name for place in places for path in place.glob("*/configs/train.json"))
    for place in places:
        if name_or_folder in names and (place / name_or_folder).is_dir():
            return place / name_or_folder
    close = get_close_matches(name_or_folder, names, n=1, cutoff=0.4)
    meant = f" Did you mean {close[0]}?" if close else ""
    raise ValueError(
        f"BUNDLE {name_or_folder} is neither a folder with configs/train.json nor one of {', '.join(names)}.{meant}"
    )
