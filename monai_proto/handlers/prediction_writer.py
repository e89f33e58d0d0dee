"""Writes a classifier's answers with their reasons."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from monai_proto.data.atomic_write import write_text_atomically
from monai_proto.networks.explanation import Explanation, PrototypeEvidence

__all__ = ["PredictionWriter"]


class PredictionWriter:
    """
    At the end of an evaluation writes ``predictions.csv``, a row for each image (answer, uncertainty, abstained or not,
    probability of each class), and ``explanations.json`` with the prototypes for and against each answer: similarity,
    contribution to the logit, place in the image, and the training patch behind it. Boxes are fractions of the image's
    extent.

    Args:
        output_dir: folder, made when missing.
        class_names: of the classes.
    """

    def __init__(self, output_dir: str, class_names: Sequence[str]) -> None:
        self.output_dir = Path(output_dir)
        self.class_names = [str(name) for name in class_names]
        self._explanations: list[Explanation] = []

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: a :class:`PrototypeEvaluator`.
        """
        engine.add_event_handler(Events.STARTED, lambda: self._explanations.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._write)

    def _collect(self, engine: Engine) -> None:
        output: Any = engine.state.output  # ignite annotates it as a number
        self._explanations += output["explanation"]

    def _write(self, engine: Engine) -> None:
        self.output_dir.mkdir(parents=True, exist_ok=True)
        write_text_atomically(self.output_dir / "predictions.csv", self._table())
        reasons = [self._reasons(explanation) for explanation in self._explanations]
        write_text_atomically(self.output_dir / "explanations.json", json.dumps(reasons, indent=1) + "\n")
        abstained = sum(explanation.abstained for explanation in self._explanations)
        engine.logger.info(
            f"{len(self._explanations)} images answered, of which {abstained} abstained: "
            f"{self.output_dir / 'predictions.csv'}"
        )

    def _table(self) -> str:
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["image_id", "answer", "uncertainty", "abstained", *self.class_names])
        for e in self._explanations:
            probabilities = [f"{p:.6f}" for p in e.probabilities.tolist()]
            answer, abstained = self.class_names[e.answer], "yes" if e.abstained else "no"
            writer.writerow([e.image_id, answer, f"{e.uncertainty:.6f}", abstained, *probabilities])
        return stream.getvalue()

    def _reasons(self, explanation: Explanation) -> dict[str, Any]:
        return {
            "image_id": explanation.image_id,
            "answer": self.class_names[explanation.answer],
            "supporting": [self._evidence(evidence) for evidence in explanation.supporting],
            "opposing": [self._evidence(evidence) for evidence in explanation.opposing],
        }

    def _evidence(self, evidence: PrototypeEvidence) -> dict[str, Any]:
        return {
            "prototype": evidence.slot,
            "class": self.class_names[evidence.label],
            "similarity": round(evidence.similarity, 6),
            "contribution": round(evidence.contribution, 6),
            "box": list(evidence.box),
            "source": None if evidence.source is None else evidence.source._asdict(),
        }
