"""Writes the report of an evaluation as a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from monai_proto.visualize.classification_report import write_classification_report

__all__ = ["ClassificationReportWriter"]


class ClassificationReportWriter:
    """
    At the end of an evaluation with labels writes ``report.html``, see :func:`write_classification_report`. Attach it
    behind :class:`ExplanationFigureWriter`, whose figures it links.

    Args:
        output_dir: folder, made when missing.
        class_names: of the classes.
        image_files: image id -> file of the picture, for thumbnails.
        load_image: file -> RGB picture with values 0 .. 255.
        figures: an :class:`ExplanationFigureWriter`; None for no links.
        gallery: pages of the prototype gallery below ``output_dir``; pages that do not exist are not linked.
        title: heading.
        notes: what was evaluated: name -> text.
    """

    def __init__(
        self,
        output_dir: str,
        class_names: Sequence[str],
        image_files: Mapping[str, str],
        load_image: Callable[[str], Any],
        figures: Any = None,
        gallery: Sequence[str] = (),
        title: str = "Classification report",
        notes: Mapping[str, str] | None = None,
    ) -> None:
        self.output_dir = output_dir
        self.class_names = list(class_names)
        self.image_files = image_files
        self.load_image = load_image
        self.figures = figures
        self.gallery = list(gallery)
        self.title = title
        self.notes = notes
        self._batches: list[dict[str, Any]] = []

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: a :class:`PrototypeEvaluator` on images with labels.
        """
        engine.add_event_handler(Events.STARTED, lambda: self._batches.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda e: self._batches.append(e.state.output))
        engine.add_event_handler(Events.COMPLETED, self._write)

    def _write(self, engine: Engine) -> None:
        explanations = [e for batch in self._batches for e in batch["explanation"]]
        page = write_classification_report(
            self.output_dir,
            [e.image_id for e in explanations],
            torch.stack([e.probabilities for e in explanations]),
            torch.cat([batch["label"] for batch in self._batches]),
            torch.tensor([e.uncertainty for e in explanations]),
            torch.tensor([e.abstained for e in explanations]),
            self.class_names,
            title=self.title,
            notes=self.notes,
            figures=None if self.figures is None else self.figures.figures,
            gallery=[path for path in self.gallery if Path(path).is_file()],
            load_image=lambda image_id: self.load_image(self.image_files[image_id]),
        )
        engine.logger.info(f"Report: {page}")
