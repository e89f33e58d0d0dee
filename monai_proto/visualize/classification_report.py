"""A page on a test set that a person opens: how good the answers are, where it abstained, where it was wrong."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from monai_proto.data.atomic_write import write_text_atomically
from monai_proto.metrics.classification_checks import require_case_values, require_probabilities
from monai_proto.visualize.embedded_image import embedded_figure, embedded_thumbnail
from monai_proto.visualize.image_panel import UNREADABLE, SourceLoader
from monai_proto.visualize.report_charts import draw_reliability, draw_risk_coverage
from monai_proto.visualize.report_tables import class_rows, confusion_rows, metric_rows, missing_class_remarks

__all__ = ["write_classification_report"]


def write_classification_report(
    folder: str | os.PathLike,
    image_ids: Sequence[str],
    probabilities: torch.Tensor,
    labels: torch.Tensor,
    uncertainty: torch.Tensor,
    abstained: torch.Tensor,
    class_names: Sequence[str],
    title: str = "Classification report",
    notes: Mapping[str, str] | None = None,
    figures: Mapping[str, str | os.PathLike] | None = None,
    gallery: Sequence[str | os.PathLike] = (),
    load_image: SourceLoader | None = None,
) -> Path:
    """
    Write ``report.html``: one page without scripts that asks for nothing else, with the curves and thumbnails inside.
    Explanation figures and the gallery are linked by relative addresses, so that the folder can be moved with them.

    Every abstained case and every wrong answer is listed. Text from the data is escaped, and the page's own policy
    forbids scripts and outside addresses.

    Args:
        folder: folder to write into; made when it is missing.
        image_ids: of the N cases, each once.
        probabilities: of the classes (N, C), rows with sum 1; the answer is the highest.
        labels: true classes (N,).
        uncertainty: (N,), higher is less sure.
        abstained: bool (N,), cases whose answer is not to be relied on.
        class_names: of the C classes.
        title: heading of the page.
        notes: what was evaluated, for instance data set, checkpoint and threshold, as name and text.
        figures: explanation figure of an image; not every image must have one.
        gallery: pages of the prototype gallery.
        load_image: from an image id to its picture, (3, H, W) with values 0 to 255 or (H, W, 3), for thumbnails of the
            listed cases; an ``OSError`` or ``LookupError`` from it is noted in the page. None: no thumbnails.

    Returns:
        the page.

    Raises:
        ValueError: when there is no case, shapes or numbers of names differ, an image id is there twice, figures name
            an image that is not among the cases, or a linked file does not exist.
    """
    figures = {} if figures is None else figures
    _check(image_ids, probabilities, labels, uncertainty, abstained, class_names, figures)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = [str(name) for name in class_names]
    probabilities, uncertainty = probabilities.detach().cpu(), uncertainty.detach().cpu()
    labels, abstained = labels.detach().cpu().long(), abstained.detach().cpu()
    confidence, answers = probabilities.max(dim=1)
    wrong = answers != labels
    links = {image_id: _relative_link(file, folder) for image_id, file in figures.items()}

    def case_row(index: int) -> dict[str, Any]:
        image_id = image_ids[index]
        return {
            "image_id": image_id,
            "link": links.get(image_id),
            "thumbnail": None if load_image is None else _thumbnail(load_image, image_id),
            "uncertainty": float(uncertainty[index]),
            "answer": names[answers[index]],
            "probability": float(confidence[index]),
            "truth": names[labels[index]],
            "right": not wrong[index],
        }

    surest_first = uncertainty.argsort(stable=True).tolist()
    right = [image_ids[i] for i in surest_first if not wrong[i] and not abstained[i]]
    page = {
        "title": title,
        "notes": {} if notes is None else notes,
        "num_cases": len(labels),
        "num_wrong": int(wrong.sum()),
        "metrics": metric_rows(probabilities, labels, uncertainty, abstained),
        "remarks": missing_class_remarks(labels, abstained, names),
        "reliability": embedded_figure(draw_reliability(probabilities, labels)),
        "risk_coverage": embedded_figure(draw_risk_coverage(uncertainty, wrong, abstained)),
        "names": names,
        "classes": class_rows(probabilities, labels, abstained, names),
        "confusion": confusion_rows(answers, labels, names),
        "with_thumbnails": load_image is not None,
        "abstained": [case_row(i) for i in reversed(surest_first) if abstained[i]],
        "wrong": [case_row(i) for i in surest_first if wrong[i] and not abstained[i]],
        "right": [{"image_id": image_id, "link": links[image_id]} for image_id in right if image_id in links],
        "gallery": [_relative_link(file, folder) for file in gallery],
    }
    path = folder / "report.html"
    write_text_atomically(path, _render(page))
    return path


def _render(page: Mapping[str, Any]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(figure=_figure_text, percent=_percent_text)
    return environment.get_template("classification_report.html").render(page)


def _figure_text(value: float | int | None) -> str:
    """Counts as they are, other figures with three digits, a dash where there is none."""
    if value is None or math.isnan(value):
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _percent_text(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _thumbnail(load_image: SourceLoader, image_id: str) -> str | None:
    try:
        return embedded_thumbnail(load_image(image_id))
    except UNREADABLE:
        return None


def _relative_link(file: str | os.PathLike, folder: Path) -> str:
    """
    Raises:
        ValueError: when the file does not exist.
    """
    if not Path(file).is_file():
        raise ValueError(f"{file} must be a file to link to, but there is none.")
    relative = os.path.relpath(Path(file).resolve(), folder.resolve())
    return quote(Path(relative).as_posix())


def _check(
    image_ids: Sequence[str],
    probabilities: torch.Tensor,
    labels: torch.Tensor,
    uncertainty: torch.Tensor,
    abstained: torch.Tensor,
    class_names: Sequence[str],
    figures: Mapping[str, str | os.PathLike],
) -> None:
    require_probabilities(probabilities, labels)
    cases, num_classes = probabilities.shape
    require_case_values(uncertainty, cases, "uncertainty")
    if abstained.shape != (cases,) or abstained.dtype != torch.bool:
        raise ValueError(f"abstained must be bool of shape ({cases},), got {abstained.dtype} {tuple(abstained.shape)}.")
    if len(class_names) != num_classes:
        raise ValueError(f"class_names must have one name for each of {num_classes} classes, got {len(class_names)}.")
    if len(image_ids) != cases:
        raise ValueError(f"image_ids must have one id for each of {cases} cases, got {len(image_ids)}.")
    twice = [image_id for image_id, count in Counter(image_ids).items() if count > 1]
    if twice:
        raise ValueError(f"image_ids must name every case once, got {len(twice)} several times, first {twice[0]!r}.")
    unknown = sorted(set(figures) - set(image_ids))
    if unknown:
        raise ValueError(f"figures must be of images among the cases, got {len(unknown)} others, first {unknown[0]!r}.")
