"""Values of a configuration that a command changes: ``KEY=VALUE``, read and checked."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

__all__ = ["check_overrides", "known_overrides", "parse_overrides"]


def parse_overrides(settings: Iterable[str]) -> dict[str, Any]:
    """
    Args:
        settings: ``KEY=VALUE``, the value in JSON or as a Python literal; anything else is text. Parts of a nested key
            are joined by ``#``, as in ``train#trainer#max_epochs``.

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
        overrides[key.strip().replace("::", "#")] = _value(value.strip())
    if isinstance(overrides.get("device"), str) and not overrides["device"].startswith("$"):
        overrides["device"] = f"$torch.device('{overrides['device']}')"
    return overrides


def check_overrides(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """
    Raises:
        ValueError: when the configuration has no such key; MONAI would add it, and nothing would read it.
    """
    for key in overrides:
        inner: Any = config
        for part in key.split("#"):
            names = list(inner) if isinstance(inner, Mapping) else [str(i) for i in range(len(_listed(inner)))]
            if part not in names:
                close = get_close_matches(part, names, n=1, cutoff=0.5)
                meant = f"; did you mean {close[0]}?" if close else "."
                raise ValueError(f"--set {key}: the bundle's configuration has no {part}{meant}")
            inner = inner[part] if isinstance(inner, Mapping) else inner[int(part)]


def known_overrides(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Those overrides of a training that another configuration has, too, such as the size of the network."""
    return {key: value for key, value in overrides.items() if "#" not in key and key in config}


def _value(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            continue
    return text


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
