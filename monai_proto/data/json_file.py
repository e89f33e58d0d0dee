"""Reads JSON files that people and other programs wrote: whatever is wrong with one is an error that names the file."""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

__all__ = ["read_json", "require_shape"]

_LARGEST_INTEGER = 2**63 - 1
_KINDS = {"object": "JSON object", "array": "list", "string": "text", "number": "number", "integer": "integer"}
_SHORT = reprlib.Repr()  # what stands in a file may be long, or as deep as Python can read
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 80, 80


def read_json(
    file: str | os.PathLike, what: str = "", schema: Mapping[str, Any] | None = None, if_missing: str = ""
) -> Any:
    """
    Args:
        file: JSON in UTF-8, with or without a byte order mark.
        what: what an error calls the file, for instance ``"Data list"``.
        schema: JSON Schema (draft 2020-12) that the content must fit; None takes any.
        if_missing: said of a file that does not exist, for instance what writes one.

    Returns:
        the content.

    Raises:
        ValueError: naming the file, when it does not exist, is no JSON, is nested too deeply, holds an integer beyond
            64 bits, or does not fit ``schema``.
    """
    file = Path(file)
    name = f"{what} {file}".strip()
    if not file.is_file():
        raise ValueError(f"{name} does not exist{if_missing}.")
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"), parse_int=_integer)
    except RecursionError as error:
        raise ValueError(f"{name} is not valid JSON: it is nested too deeply.") from error
    except ValueError as error:  # a wrong character, a wrong byte, a number out of range
        raise ValueError(f"{name} is not valid JSON: {error}.") from error
    if schema is not None:
        require_shape(content, schema, name)
    return content


def require_shape(content: Any, schema: Mapping[str, Any], name: str) -> None:
    """
    Args:
        content: what was read.
        schema: JSON Schema (draft 2020-12).
        name: what an error calls it.

    Raises:
        ValueError: naming the place in ``content`` that does not fit, what stands there, and what would fit.
    """
    error = best_match(Draft202012Validator(schema).iter_errors(content))
    if error is not None:
        raise ValueError(f"{name}{_place(error)} {_complaint(error)}.")


def _integer(text: str) -> int:
    # of int(): it refuses to read thousands of digits with an error of its own
    value = int(text) if len(text) <= 20 else _LARGEST_INTEGER + 1
    if abs(value) > _LARGEST_INTEGER:
        raise ValueError(f"the integer {text[:20]}{'...' * (len(text) > 20)} is beyond 64 bits")
    return value


def _place(error: ValidationError) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    return f", {path.removeprefix('.')}:" if path else ""


def _complaint(error: ValidationError) -> str:
    got = _SHORT.repr(error.instance)
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        kind = _kinds(error.schema.get("properties", {}).get(missing, {}).get("type", ()))
        return " ".join(filter(None, ("has no", kind, missing))) + (f", got {got}" if error.absolute_path else "")
    if error.validator == "type":
        kind = _kinds(error.validator_value)
        return f"must be {'an' if kind[0] in 'aeiou' else 'a'} {kind}, got {got}"
    if error.validator == "const":
        return f"must be {error.validator_value!r}, got {got}"
    return f"does not fit: {error.message}"


def _kinds(types: str | Sequence[str]) -> str:
    names = [types] if isinstance(types, str) else types
    return " or ".join(_KINDS[name] for name in names if name != "null")
