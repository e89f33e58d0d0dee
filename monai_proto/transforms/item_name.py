"""What an error message calls the item that it is about."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

__all__ = ["item_name"]


def item_name(data: Mapping[Hashable, Any], keys: Iterable[Hashable]) -> str:
    """
    The file of the first key that is a path or was loaded from one, else the item's ``image_id``.

    Args:
        data: the item.
        keys: where to look, the most telling key first.
    """
    for key in keys:
        value = data.get(key)
        file = value if isinstance(value, str | os.PathLike) else getattr(value, "meta", {}).get("filename_or_obj")
        if isinstance(file, str | os.PathLike) and str(file):
            return f"{key} {file}"
    return f"item {data['image_id']}" if "image_id" in data else "item without a file name"
