"""Options of a client's request."""

from __future__ import annotations

from typing import Any

__all__ = ["chosen_option"]


def chosen_option(value: Any, default: str) -> str:
    """A client may send the whole list of choices, the chosen one first."""
    value = value[0] if isinstance(value, list) and value else value
    return str(value) if value else default
