"""File names from names in the data."""

from __future__ import annotations

import hashlib
import re

__all__ = ["safe_file_name"]


def safe_file_name(image_id: str, suffix: str = ".png") -> str:
    """A file name for an image's id: readable, safe on every file system, another one for every id."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", image_id).strip("._")[-60:]
    return f"{readable}_{hashlib.sha256(image_id.encode()).hexdigest()[:8]}{suffix}"
