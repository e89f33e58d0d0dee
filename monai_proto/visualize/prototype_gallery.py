"""All prototypes of a bank by class, each as the training patch that it was pushed to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from monai_proto.networks.blocks.prototype_provenance import ProvenanceRecord
from monai_proto.visualize.image_panel import (
    SourceLoader,
    add_panel,
    close_up,
    save_figure,
    shorten,
    show_image,
    show_note,
    show_source,
)

__all__ = ["draw_prototype_gallery"]

_PER_ROW, _ROWS_PER_PAGE = 5, 8
_WIDTH, _HEIGHT, _CAPTION, _GAP = 2.9, 1.75, 0.45, 0.15  # of a prototype, a class's name and the margin, in inches

Prototype = tuple[int, int, ProvenanceRecord | None]


def draw_prototype_gallery(
    records: Sequence[Prototype], load_source: SourceLoader, class_names: Sequence[str], path: str | Path
) -> list[Path]:
    """
    Draw the prototypes in use, class by class: the training image with the patch, the patch close up (with half a patch
    around it), the slot, image, distance and epoch.

    Args:
        records: (slot, class, provenance) of each prototype; without provenance it says so.
        load_source: from the id of a training image to the image, in the frame that the boxes are fractions of; an
            ``OSError`` or ``LookupError`` from it is noted in the figure.
        class_names: of the C classes; one that has no prototype is listed as such.
        path: PNG of the first page; further ones are called ``{stem}_2.png``, ``{stem}_3.png`` and so on.

    Returns:
        the pages.

    Raises:
        ValueError: when there is no prototype, a class has no name, or an image or a box is not a 2-D one.
    """
    path = Path(path)
    if not records:
        raise ValueError("records must hold at least one prototype, got none.")
    outside = sorted({label for _, label, _ in records if not 0 <= label < len(class_names)})
    if outside:
        raise ValueError(f"records must be of classes 0 .. {len(class_names) - 1}, got {outside}.")
    pages = _pages(records, class_names)
    paths = [path] + [path.with_name(f"{path.stem}_{number}{path.suffix}") for number in range(2, len(pages) + 1)]
    for number, (page, page_path) in enumerate(zip(pages, paths, strict=True), start=1):
        heights = [_CAPTION if isinstance(row, str) else _HEIGHT for row in page]
        figure = Figure(figsize=(_PER_ROW * _WIDTH + _GAP, sum(heights) + 0.5))
        page_title = f"{len(records)} prototypes, page {number} of {len(pages)}"
        _write_line(figure, 0.1, page_title, 10)
        for index, row in enumerate(page):
            top = 0.4 + sum(heights[:index])
            if isinstance(row, str):
                _write_line(figure, top + 0.15, row, 13)
            else:
                for position, record in enumerate(row):
                    _draw_prototype(figure, _GAP + position * _WIDTH, top, record, load_source)
        save_figure(figure, page_path)
    return paths


def _pages(records: Sequence[Prototype], class_names: Sequence[str]) -> list[list[str | list[Prototype]]]:
    """Rows of prototypes with a heading at every class's start and at the top of every page."""
    members = {c: list(of_class) for c, of_class in groupby(sorted(records, key=_class_then_slot), lambda r: r[1])}
    pages: list[list[str | list[Prototype]]] = [[]]
    rows_on_page = 0
    for c, name in enumerate(class_names):
        own = members.get(c, [])
        heading = f"{shorten(str(name), 80)}: {len(own) or 'no'} prototype{'s' if len(own) > 1 else ''}"
        rows = [own[start : start + _PER_ROW] for start in range(0, len(own), _PER_ROW)]
        if rows_on_page + max(1, len(rows)) > _ROWS_PER_PAGE and rows_on_page:
            pages.append([])
            rows_on_page = 0
        pages[-1].append(heading)
        for row in rows:
            if rows_on_page == _ROWS_PER_PAGE:
                pages.append([f"{heading}, continued"])
                rows_on_page = 0
            pages[-1].append(row)
            rows_on_page += 1
    return pages


def _class_then_slot(record: Prototype) -> tuple[int, int]:
    return record[1], record[0]


def _write_line(figure: Figure, top: float, text: str, size: float) -> None:
    style: dict[str, Any] = {"fontsize": size, "fontweight": "bold", "va": "top", "parse_math": False}
    figure.text(_GAP / figure.get_figwidth(), 1 - top / figure.get_figheight(), text, **style)


def _draw_prototype(figure: Figure, left: float, top: float, prototype: Prototype, load_source: SourceLoader) -> None:
    slot, _, record = prototype
    height = _HEIGHT - 0.5
    whole = add_panel(figure, left, top + 0.35, 4 / 3 * height, height)
    title = f"slot {slot}"
    if record is None:
        show_note(whole, "not pushed: no training image")
    else:
        title += f"   {shorten(record.image_id, 24)}\ndistance {record.distance:.3f}, epoch {record.epoch}"
        image = show_source(whole, record.image_id, record.box, load_source)
        if image is not None:
            near = add_panel(figure, left + 4 / 3 * height + 0.05, top + 0.35, _WIDTH - 4 / 3 * height - 0.2, height)
            show_image(near, close_up(image, record.box))
    whole.set_title(title, fontsize=8, loc="left", pad=3, parse_math=False)
