"""Pictures as data addresses, so that a page holds them itself."""

from __future__ import annotations

import io
from base64 import b64encode
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from monai_proto.visualize.image_panel import rgb_image

__all__ = ["embedded_figure", "embedded_thumbnail"]

_LONGEST = 128  # pixels of a thumbnail's longer side


def embedded_figure(figure: Figure) -> str:
    """A figure as ``data:image/svg+xml``: sharp at every size; equal figures give equal text."""
    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "monai_proto"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return _data_address("image/svg+xml", stream.getvalue())


def embedded_thumbnail(image: Any) -> str:
    """
    A small JPEG as ``data:image/jpeg``.

    Args:
        image: (3, H, W) with values 0 to 255, or (H, W, 3).

    Raises:
        ValueError: when the shape or the range is another.
    """
    thumbnail = Image.fromarray(rgb_image(image))
    thumbnail.thumbnail((_LONGEST, _LONGEST))
    stream = io.BytesIO()
    thumbnail.save(stream, format="JPEG", quality=80)
    return _data_address("image/jpeg", stream.getvalue())


def _data_address(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(content).decode('ascii')}"
