"""Draws the "this looks like that" figure of answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from monai_proto.data.picture_files import safe_file_name
from monai_proto.visualize.explanation_figure import draw_explanation

__all__ = ["ExplanationFigureWriter"]

_CHOICES = ("all", "notable", "none")


class ExplanationFigureWriter:
    """
    After every batch of an evaluation draws figures into ``output_dir/explanations``.

    Args:
        output_dir: folder, made when missing.
        class_names: of the classes.
        image_files: image id -> file of the picture.
        load_image: file -> RGB picture with values 0 .. 255, upright; what the network saw but for its size.
        load_source: id of a training image -> its picture, for instance :meth:`SourceImages.load`.
        draw: ``"all"``, ``"notable"`` (abstained, and wrong where there is a label) or ``"none"``.
        most: figures at the most; the log says how many were left out.

    Attributes:
        figures: image id -> file drawn.
    """

    def __init__(
        self,
        output_dir: str,
        class_names: Sequence[str],
        image_files: Mapping[str, str],
        load_image: Callable[[str], Any],
        load_source: Callable[[str], Any],
        draw: str = "all",
        most: int = 200,
    ) -> None:
        if draw not in _CHOICES:
            raise ValueError(f"draw must be one of {_CHOICES}, got {draw!r}.")
        self.folder = Path(output_dir) / "explanations"
        self.class_names = list(class_names)
        self.image_files = image_files
        self.load_image = load_image
        self.load_source = load_source
        self.draw = draw
        self.most = most
        self.figures: dict[str, Path] = {}
        self._left_out = 0

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: a :class:`PrototypeEvaluator`.
        """
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._draw)
        engine.add_event_handler(Events.COMPLETED, self._tell)

    def _start(self) -> None:
        self.figures.clear()
        self._left_out = 0

    def _draw(self, engine: Engine) -> None:
        output: Any = engine.state.output  # ignite annotates it as a number
        labels = output.get("label")
        for index, explanation in enumerate(output["explanation"]):
            wrong = labels is not None and int(labels[index]) != explanation.answer
            if self.draw == "none" or (self.draw == "notable" and not (explanation.abstained or wrong)):
                continue
            if len(self.figures) >= self.most:
                self._left_out += 1
                continue
            picture = self.load_image(self.image_files[explanation.image_id])
            path = self.folder / safe_file_name(explanation.image_id)
            draw_explanation(explanation, picture, self.load_source, self.class_names, path)
            self.figures[explanation.image_id] = path

    def _tell(self, engine: Engine) -> None:
        if self.draw != "none":
            limit = f"; {self._left_out} more were left out (most={self.most})" if self._left_out else ""
            engine.logger.info(f"{len(self.figures)} explanation figures in {self.folder}{limit}.")
