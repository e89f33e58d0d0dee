"""A case that is of one image, as volumes and dermoscopy images are."""

from __future__ import annotations

from dataclasses import dataclass

from monai_proto.data.case import Case

__all__ = ["ImageCase"]


@dataclass
class ImageCase(Case):
    """
    Args:
        case: see :class:`monai_proto.data.case.Case`.
        image: its image, relative to the source folder; None when there is none.
        checksums, problems, notes: see :class:`monai_proto.data.case.Case`.
    """

    image: str | None = None

    @property
    def image_file(self) -> str:
        """
        The image of a case that has one.

        Raises:
            ValueError: when it has none.
        """
        if self.image is None:
            raise ValueError(f"case {self.case} has no image.")
        return self.image
