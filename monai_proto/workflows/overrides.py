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

__all__ = [
    "check_overrides",
    "config_files_within",
    "config_problems",
    "default_values",
    "override_problems",
    "parse_overrides",
    "read_config_file",
    "with_truth_values",
]

# entries that MONAI reads by name, and what the command line of `monai.bundle run` may add
_READ_BY_MONAI = frozenset(
    {"imports", "initialize", "run", "finalize", "bundle_root", "dataset_dir", "device", "output_dir", "tracking_uri"}
    | {"experiment_name", "run_name", "save_execute_config"}
)
_REFERENCE = re.compile(r"[@%]((?:\w+)(?:(?:::|#)\w+)*)")
_TRUTH = {"true": True, "false": False}
# from which likeness on a name may have been meant; `ckpt_path` is rather `ckpt_dir` than `copy_paste`
_LIKE = 0.6
_SHARED_WORD = 0.3


def parse_overrides(settings: Iterable[str]) -> dict[str, Any]:
    """
    Overrides as they are typed.

    Args:
        settings: ``KEY=VALUE``, the value in JSON, or as ``python -m monai.bundle`` reads it; anything else is text.
            Parts of a nested key are joined by ``#`` or ``::``, as in ``train#trainer#max_epochs``. ``device=cpu`` is
            short for ``device=$torch.device('cpu')``.

    Raises:
        ValueError: when one of them has no ``=``.

    Example::

        >>> parse_overrides(["max_epochs=4", "patch_size=[32, 32, 32]", "resume=true", "sam=vit_b.pth"])
        {'max_epochs': 4, 'patch_size': [32, 32, 32], 'resume': True, 'sam': 'vit_b.pth'}
    """
    overrides = {}
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator or not key.strip():
            raise ValueError(f"--set takes KEY=VALUE, such as max_epochs=4, got {setting!r}.")
        overrides[_id(key.strip())] = _value(value.strip())
    if isinstance(overrides.get("device"), str) and not overrides["device"].startswith("$"):
        overrides["device"] = f"$torch.device('{overrides['device']}')"
    return overrides


def check_overrides(files: Iterable[Path], overrides: Mapping[str, Any], option: str = "{}") -> None:
    """
    :func:`override_problems` as an error.

    Raises:
        ValueError: naming every override that does not fit.
    """
    problems = override_problems(files, overrides, option)
    if problems:
        raise ValueError("\n".join(problems))


def override_problems(files: Iterable[Path], overrides: Mapping[str, Any], option: str = "{}") -> list[str]:
    """
    What is wrong with overrides before they are laid over configuration files, a sentence each.

    An entry is known when the files have it or something in them refers to it (``@name``). What a component does not
    name in the files may still be an argument of it, which the component checks.

    Args:
        files: configuration files of the run, later ones laid over those before.
        overrides: by id, such as ``"max_epochs"`` or ``"train#handlers#0#interval"``.
        option: how a person names an override, ``"--set {}"`` for instance.

    Returns:
        for a name the nearest one that exists; for a value what the default is like.

    Raises:
        ValueError: when a file is not a JSON object.
    """
    defaults = default_values(files)
    referred = {*_references(defaults), *_references(dict(overrides))}
    problems = (_problem(_id(name), value, defaults, referred, option) for name, value in overrides.items())
    return [problem for problem in problems if problem]


def config_problems(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """
    The same of a configuration that overrides were laid over already, as MONAI hands it on: its entries at the top, and
    those of plain groups such as ``train``. Names that begin with an underscore are nobody's.

    Args:
        config: with overrides, as MONAI merged it.
        defaults: of the bundle's files (:func:`default_values`).
    """
    referred = set(_references(config))
    problems = (_problem(name, value, defaults, referred, "{}") for name, value in _entries(config, defaults))
    return [problem for problem in problems if problem]


def default_values(files: Iterable[Path]) -> dict[str, Any]:
    """
    Configuration files merged; later files win, as in MONAI, and ``"train#inferer"`` replaces an entry of a group.

    Raises:
        ValueError: when a file is not a JSON object.
    """
    merged: dict[str, Any] = {}
    for file in files:
        for name, value in read_config_file(file).items():
            *groups, last = _id(name).split("#")
            inner: Any = merged
            for group in groups:
                inner = inner.setdefault(group, {}) if isinstance(inner, dict) else None
            if isinstance(inner, dict):
                inner[last] = value
    return merged


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
        names = {_id(name).partition("#")[0] for name in read_config_file(file)}
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
        for name, value in _entries(config, defaults)
        if isinstance(value, str) and value.lower() in _TRUTH and isinstance(_default(name, defaults), bool)
    }


def _id(name: str) -> str:
    return name.replace("::", "#")


def _value(text: str) -> Any:
    from fire.parser import DefaultParseValue

    try:
        return json.loads(text)
    except ValueError:
        # where Fire would take the rest for a comment, or an id for one, the text stays whole
        return text if "#" in text else DefaultParseValue(text)


def _entries(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if name.startswith("_") or "#" in name:
            continue
        yield name, value
        # a group in place of an expression is data, whose keys are nobody's
        if isinstance(value, dict) and "_target_" not in value and _is_group(defaults.get(name)):
            yield from ((f"{name}#{key}", item) for key, item in value.items() if not str(key).startswith("_"))


def _default(name: str, defaults: Mapping[str, Any]) -> Any:
    inner: Any = defaults
    for part in name.split("#"):
        inner = inner.get(part) if isinstance(inner, Mapping) else None
    return inner


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        for reference in _REFERENCE.findall(value):
            head, *tail = _id(reference).split("#")
            yield head
            if tail:
                yield f"{head}#{tail[0]}"
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _references(item)


def _problem(name: str, value: Any, defaults: Mapping[str, Any], referred: Iterable[str], option: str) -> str | None:
    inner: Any = defaults
    parts = name.split("#")
    for depth, part in enumerate(parts):
        there = _names(inner)
        if part not in there:
            here = "#".join(parts[: depth + 1])
            if here in referred or (depth == 0 and here in _READ_BY_MONAI) or part.startswith("_"):
                return None
            if isinstance(inner, Mapping) and "_target_" in inner:
                return None
            return _unknown(name, depth, inner, option)
        inner = inner[part] if isinstance(inner, Mapping) else inner[int(part)]
    if _fits(value, inner):
        return None
    return f"{option.format(name)} must be {_kind(inner)}, got {value!r}."


def _names(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return list(value)
    return [str(index) for index in range(len(value))] if isinstance(value, list) else []


def _is_group(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" not in value


def _unknown(name: str, depth: int, group: Any, option: str) -> str:
    """
    Args:
        name: id of the override.
        depth: of the part of it that does not exist.
        group: where it was looked for.
        option: how a person names an override.
    """
    parts, names = name.split("#"), _names(group)
    part = parts[depth]
    nearest = max(names, key=lambda other: _likeness(part, other), default=None)
    said = f"Nothing in this bundle reads {option.format(name)!r}."
    if nearest and _likeness(part, nearest) >= _LIKE:
        meant = "#".join([*parts[:depth], nearest, *parts[depth + 1 :]])
        return f"{said} Did you mean {option.format(meant)!r}?"
    if not isinstance(group, Mapping):
        return f"{said} {'#'.join(parts[:depth])} has {f'{len(names)} entries' if names else 'no entries'}."
    options = ", ".join(sorted(other for other in names if not isinstance(group[other], dict | list))[:12])
    return f"{said} There are {options} and more." if options else said


def _likeness(name: str, other: str) -> float:
    shared = set(name.split("_")) & set(other.split("_"))
    return difflib.SequenceMatcher(None, name, other).ratio() + (_SHARED_WORD if shared else 0)


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
