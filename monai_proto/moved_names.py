"""Names that were documented in a room which they have left since: they stay importable from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["moved_names"]


def moved_names(package: str, rooms: Mapping[str, str]) -> Callable[[str], Any]:
    """
    The ``__getattr__`` of a package whose names have moved. A name is looked up when somebody asks for it, so that the
    old room does not import the new one.

    Args:
        package: ``__name__`` of the package.
        rooms: module that holds a name now, by the name.

    Example::

        >>> get = moved_names("monai_proto.data", {"select_study": "monai_proto.active_learning"})
        >>> get("select_study").__module__
        'monai_proto.active_learning.study_selection'
    """

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name in rooms:
            return getattr(import_module(rooms[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__
