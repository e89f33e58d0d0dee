"""Overrides of a bundle's configuration: names that nothing reads, and values of another type, found before a run.

MONAI puts whatever it is given into the configuration, so that ``--data_dir X`` for ``--dataset_dir X`` becomes an
entry that nothing refers to, and the run goes on with the default.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

__all__ = ["config_files_within", "default_values", "override_problems", "read_config_file", "with_truth_values"]

# entries that MONAI reads by name, and what the command line of `monai.bundle run` may add
_READ_BY_MONAI = frozenset(
    {"imports", "initialize", "run", "finalize", "bundle_root", "dataset_dir", "device", "output_dir", "tracking_uri"}
    | {"experiment_name", "run_name", "save_execute_config"}
)
_REFERENCE = re.compile(r"[@%]((?:\w+)(?:(?:::|#)\w+)*)")
_TRUTH = {"true": True, "false": False}


def override_problems(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """
    What is wrong with the overrides of a configuration, a sentence each.

    An entry is known when the bundle's files have it or something in the configuration refers to it (``@name``). That
    is looked at for entries at the top, and for those of plain groups such as ``train``; a component's arguments are
    checked by the component. Names that begin with an underscore are nobody's.

    Args:
        config: with overrides, as MONAI merged it.
        defaults: of the bundle's files, by the ids of :func:`default_values`.

    Returns:
        for a name the nearest one that exists; for a value what the default is like.
    """
    referred = set(_references(config))
    known = set(defaults) | _READ_BY_MONAI | referred
    problems = []
    for name, value in _entries(config):
        if name not in known:
            problems.append(_unknown(name, defaults))
        elif name in defaults and not _fits(value, defaults[name]):
            problems.append(f"{name} must be {_kind(defaults[name])}, got {value!r}.")
    return problems


def default_values(files: Iterable[Path]) -> dict[str, Any]:
    """
    Entries of configuration files by their ids: at the top (``"max_epochs"``) and in plain groups
    (``"train#inferer"``); later files win, as in MONAI.

    Raises:
        ValueError: when a file is not a JSON object.
    """
    merged: dict[str, Any] = {}
    for file in files:
        for name, value in read_config_file(file).items():
            head, _, tail = name.replace("::", "#").partition("#")
            if not tail:
                merged[head] = value
            elif "#" not in tail and isinstance(merged.get(head), dict):
                merged[head] = {**merged[head], tail: value}
            elif "#" not in tail:
                merged[f"{head}#{tail}"] = value
    return {**dict(_entries(merged)), **{name: value for name, value in merged.items() if "#" in name}}


def config_files_within(config: Mapping[str, Any], folder: Path) -> list[Path]:
    """
    The files of a folder that went into a merged configuration: those all of whose entries it has. MONAI keeps no list.

    Args:
        config: merged.
        folder: a bundle's ``configs``.
    """
    files = []
    for file in sorted(folder.glob("*.json")):
        if file.name == "metadata.json":
            continue
        names = {name.replace("::", "#").partition("#")[0] for name in read_config_file(file)}
        if names <= config.keys():
            files.append(file)
    return files


def read_config_file(file: str | PathLike[str]) -> dict[str, Any]:
    """
    Raises:
        ValueError: naming the file, when it does not exist or is not a JSON object.
    """
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ValueError(f"{file} is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} must hold a JSON object, got a {type(content).__name__}.")
    return content


def with_truth_values(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, bool]:
    """
    Overrides ``true`` and ``false`` of entries that are a truth value by default: MONAI's command line hands them over
    as strings, of which ``"false"`` would count as true.
    """
    return {
        name: _TRUTH[value.lower()]
        for name, value in _entries(config)
        if isinstance(value, str) and value.lower() in _TRUTH and isinstance(defaults.get(name), bool)
    }


def _entries(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if name.startswith("_") or "#" in name:
            continue
        yield name, value
        if isinstance(value, dict) and "_target_" not in value:
            yield from ((f"{name}#{key}", item) for key, item in value.items() if not str(key).startswith("_"))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        for reference in _REFERENCE.findall(value):
            head, *tail = reference.replace("::", "#").split("#")
            yield head
            if tail:
                yield f"{head}#{tail[0]}"
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _references(item)


def _unknown(name: str, defaults: Mapping[str, Any]) -> str:
    group, _, last = name.rpartition("#")
    candidates = [other for other in defaults if other.rpartition("#")[0] == group]
    nearest = difflib.get_close_matches(last, [other.rpartition("#")[2] for other in candidates], 1, 0.6)
    shared = [other for other in candidates if set(last.split("_")) & set(other.split("_")) and len(last) > 2]
    meant = f"{group}#{nearest[0]}".lstrip("#") if nearest else (shared[0] if shared else None)
    if meant:
        return f"Nothing in this bundle reads {name!r}. Did you mean {meant!r}?"
    options = ", ".join(sorted(other for other in candidates if not isinstance(defaults[other], dict | list))[:12])
    return f"Nothing in this bundle reads {name!r}. There are {options} and more."


def _fits(value: Any, default: Any) -> bool:
    """Whether a value may stand in the place of a default; expressions and components may stand anywhere."""
    if value is None or default is None or (isinstance(value, str) and value[:1] in ("$", "@", "%")):
        return True
    if isinstance(value, dict) and "_target_" in value:
        return True
    if isinstance(default, bool):
        return isinstance(value, bool) or (isinstance(value, str) and value.lower() in _TRUTH)
    if isinstance(default, int):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, str):
        # a word may stand beside numbers, as in `slices`: largest, all or a number
        return default[:1] in ("$", "@", "%") or isinstance(value, str | PathLike | int | float)
    if isinstance(default, list):
        return isinstance(value, list | tuple)
    return isinstance(value, dict)


def _kind(default: Any) -> str:
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, int):
        return f"a whole number such as {default}"
    if isinstance(default, float):
        return f"a number such as {default}"
    if isinstance(default, str):
        return f"a text such as {default!r}"
    if isinstance(default, list):
        return f"a list such as {default}"
    return "a group of entries"
