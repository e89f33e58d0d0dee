"""What an evaluation says about every case: collected while it runs, as tables and as pictures."""

from __future__ import annotations

import csv
import io
import math
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor

from monai_proto.apps.run.history import class_values
from monai_proto.apps.run.progress import metric_title
from monai_proto.data.atomic_write import write_text_atomically
from monai_proto.data.nifti import case_name, is_nifti_name
from monai_proto.visualize.case_overlays import AnswerPicture, CaseRow, Plane, draw_answers, draw_case_overlays

__all__ = ["CaseResults", "ClassScore"]

_SLICE = re.compile(r"(?P<file>.+) axis (?P<axis>[012]) slice \d+$")  # as LoadVolumeSliced names a slice


@dataclass(frozen=True)
class ClassScore:
    """
    One class over all cases.

    Args:
        name: of the class; ``mean`` for that of all.
        mean, deviation: over the cases that have it.
        lowest: of them.
        lowest_case: which one it is.
        cases: how many have it.
    """

    name: str
    mean: float
    deviation: float
    lowest: float
    lowest_case: str
    cases: int


class CaseResults:
    """
    Collects from an evaluator: of a segmentation the metrics of every case and class and cuts through it, of a
    classification the answers.

    Cuts lie in a temporary folder until :meth:`close`, since which cases are shown is known at the end only.

    Args:
        class_names: names of so many classes as a metric has.

    Attributes:
        metric: name of the key metric, such as ``val_mean_dice``.
        metrics: of the whole evaluation, see :func:`class_values`.
    """

    def __init__(self, class_names: Callable[[int], Sequence[str]]) -> None:
        self.class_names = class_names
        self.metric = ""
        self.metrics: dict[str, float] = {}
        self._details: dict[str, np.ndarray] = {}
        self._names: list[str] = []
        self._answers: list[dict[str, Any]] = []
        self._folder = tempfile.TemporaryDirectory(prefix="monai_proto_cases_")

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: the evaluator.
        """
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._end)

    def close(self) -> None:
        """Remove what was kept for pictures."""
        self._folder.cleanup()

    @property
    def cases(self) -> int:
        """How many there were."""
        return len(self._names) or len(self._answers)

    def class_scores(self) -> list[ClassScore]:
        """A row for every class, and the mean where there are several; of a classification recall, without spread."""
        if self._answers:
            return self._recalls()
        table = self._details.get(self.metric)
        if table is None:
            return []
        columns = dict(zip(self.class_names(table.shape[1]), table.T, strict=True))
        if len(columns) > 1:
            columns["mean"] = _row_means(table)
        return [self._score(name, column) for name, column in columns.items()]

    def write_table(self, path: Path) -> Path:
        """A row for every case and metric, classes by their names; of a classification a row for every answer."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        if self._answers:
            names = self.class_names(len(self._answers[0]["probabilities"]))
            writer.writerow(["case", "label", "answer", "correct", "uncertainty", *(f"p {name}" for name in names)])
            for a in self._answers:
                right = "yes" if a["label"] == a["answer"] else "no"
                probabilities = [f"{p:.6f}" for p in a["probabilities"]]
                row = [a["name"], names[a["label"]], names[a["answer"]], right, f"{a['uncertainty']:.6f}"]
                writer.writerow([*row, *probabilities])
        else:
            writer.writerow(["case", "metric", *self.class_names(next(iter(self._details.values())).shape[1]), "mean"])
            for index, name in enumerate(self._names):
                for metric, table in self._details.items():
                    values = [*table[index], _row_means(table)[index]]
                    writer.writerow(
                        [name, metric_title(metric), *("" if math.isnan(v) else f"{v:.4f}" for v in values)]
                    )
        write_text_atomically(path, stream.getvalue())
        return path

    def draw(self, path: Path) -> Path:
        """Best, median and worst case; of a classification right and wrong answers."""
        if self._answers:
            return draw_answers(self._chosen_answers(), path)
        names = self.class_names(self._details[self.metric].shape[1])
        means, rows = _row_means(self._details[self.metric]), []
        for index, title in self._chosen_cases().items():
            scores = dict(zip(names, self._details[self.metric][index].tolist(), strict=True))
            heading = f"{title}: {self._names[index]} ({metric_title(self.metric)} {means[index]:.3f})"
            rows.append(CaseRow(heading, self._load_planes(index), scores))
        return draw_case_overlays(rows, names, path)

    def _collect(self, engine: Engine) -> None:
        output: Any = engine.state.output
        if isinstance(output, Mapping):
            self._collect_answers(output)
            return
        batch: Any = engine.state.batch  # the evaluator's output has the image, but not what its data list calls it
        sources = batch if isinstance(batch, list) else [{}] * len(output)
        for item, source in zip(output, sources, strict=True):
            self._names.append(_case_of({**source, **item}))
            arrays: dict[str, Any] = {}
            for number, plane in enumerate(_planes(item)):
                arrays |= {f"{number}_{key}": value for key, value in plane._asdict().items() if value is not None}
            np.savez_compressed(self._plane_file(len(self._names) - 1), **arrays)

    def _collect_answers(self, output: Mapping[str, Any]) -> None:
        for explanation, image, label in zip(output["explanation"], output["image"], output["label"], strict=True):
            number = len(self._answers)
            picture = image.float().cpu().numpy()
            low, high = picture.min(), picture.max()
            scaled = (picture - low) / max(high - low, 1e-6) * 255
            np.savez_compressed(self._plane_file(number), image=scaled.astype(np.uint8).transpose(1, 2, 0))
            self._answers.append(
                {
                    "name": explanation.image_id,
                    "label": int(label),
                    "answer": explanation.answer,
                    "uncertainty": explanation.uncertainty,
                    "probabilities": explanation.probabilities.tolist(),
                }
            )

    def _end(self, engine: Engine) -> None:
        state: Any = engine.state
        self.metric = str(state.key_metric_name)
        self.metrics = class_values(engine, self.class_names)
        for name, details in getattr(engine.state, "metric_details", {}).items():
            table = torch.as_tensor(details).double().cpu().numpy()
            self._details[name] = table.reshape(len(table), -1)
        self._names = _told_apart(self._names)

    def _score(self, name: str, column: np.ndarray) -> ClassScore:
        there = np.flatnonzero(~np.isnan(column))
        if not len(there):
            return ClassScore(name, math.nan, math.nan, math.nan, "", 0)
        lowest = there[column[there].argmin()]
        values = column[there]
        return ClassScore(name, values.mean(), values.std(), column[lowest], self._names[lowest], len(there))

    def _recalls(self) -> list[ClassScore]:
        names = self.class_names(len(self._answers[0]["probabilities"]))
        scores = []
        for value, name in enumerate(names):
            hits = [a["answer"] == value for a in self._answers if a["label"] == value]
            if hits:
                scores.append(ClassScore(name, float(np.mean(hits)), math.nan, math.nan, "", len(hits)))
        mean = float(np.mean([score.mean for score in scores]))
        return [*scores, ClassScore("mean", mean, math.nan, math.nan, "", len(self._answers))]

    def _chosen_cases(self) -> dict[int, str]:
        means = _row_means(self._details[self.metric])
        order = [int(i) for i in np.argsort(means) if not math.isnan(means[i])] or list(range(len(means)))
        chosen: dict[int, str] = {}
        for place, title in ((-1, "best"), (len(order) // 2, "median"), (0, "worst")):
            index = order[place]
            chosen[index] = f"{chosen[index]} and {title}" if index in chosen else title
        return chosen

    def _chosen_answers(self, each: int = 3) -> list[AnswerPicture]:
        names = self.class_names(len(self._answers[0]["probabilities"]))
        order = sorted(range(len(self._answers)), key=lambda i: max(self._answers[i]["probabilities"]))
        right = [i for i in order if self._answers[i]["answer"] == self._answers[i]["label"]]
        wrong = [i for i in order if i not in set(right)]
        pictures = []
        groups = (("right, surest", right[::-1]), ("least sure", order), ("wrong, surest", wrong[::-1]))
        for title, indices in groups:
            for i in indices[:each]:
                a = self._answers[i]
                with np.load(self._plane_file(i)) as arrays:
                    image = arrays["image"] / 255
                answer = a["answer"]
                probability = a["probabilities"][answer]
                pictures.append(AnswerPicture(image, title, names[a["label"]], names[answer], probability))
        return pictures

    def _plane_file(self, index: int) -> Path:
        return Path(self._folder.name) / f"{index}.npz"

    def _load_planes(self, index: int) -> list[Plane]:
        with np.load(self._plane_file(index)) as arrays:
            numbers = sorted({name.split("_")[0] for name in arrays.files})
            planes: list[Plane] = []
            for number in numbers:
                axis = f"{number}_axis"
                image, truth, prediction = (arrays[f"{number}_{key}"] for key in ("image", "truth", "prediction"))
                along, across = arrays[f"{number}_spacing"].tolist()
                at = int(arrays[axis]) if axis in arrays.files else None
                planes.append(Plane(image, truth, prediction, (along, across), at))
        return planes


def _planes(item: Mapping[str, Any]) -> list[Plane]:
    """Cuts where there is most of the structures; a slice or a photograph is one itself."""
    image = item["image"]
    truth, prediction = _label_map(item["label"]), _label_map(item["pred"])
    voxels = torch.as_tensor(image).float().cpu().numpy()
    if truth.ndim == 2:
        place = _SLICE.match(str(getattr(image, "meta", {}).get("filename_or_obj", "")))
        if place is None:
            return [Plane(voxels.transpose(1, 2, 0).clip(0, 255).astype(np.uint8), truth, prediction)]
        return [_slice_plane(place["file"], int(place["axis"]), voxels[0], truth, prediction)]
    spacing = [float(s) for s in image.pixdim] if isinstance(image, MetaTensor) else [1.0, 1.0, 1.0]
    planes = []
    for axis in (2, 1, 0):
        others = tuple(other for other in range(3) if other != axis)
        there = (truth > 0 if truth.any() else prediction > 0).sum(axis=others)
        index = int(there.argmax()) if there.any() else truth.shape[axis] // 2
        cut, true_cut, found_cut = (np.take(array, index, axis=axis) for array in (voxels[0], truth, prediction))
        planes.append(Plane(cut, true_cut, found_cut, (spacing[others[0]], spacing[others[1]]), axis))
    return planes


def _slice_plane(file: str, axis: int, picture: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> Plane:
    """Turned so that its axes point to the patient's right, front or head, whichever way the volume is stored."""
    volume: Any = nib.load(file)
    world, direction = nib.io_orientation(volume.affine).T
    inside = [other for other in range(3) if other != axis]
    spacing = [float(volume.header.get_zooms()[other]) for other in inside]
    arrays = [picture, truth, prediction]
    for place, other in enumerate(inside):
        if direction[other] < 0:
            arrays = [np.flip(array, place) for array in arrays]
    if world[inside[0]] > world[inside[1]]:
        arrays, spacing = [array.T for array in arrays], spacing[::-1]
    return Plane(arrays[0], arrays[1], arrays[2], (spacing[0], spacing[1]), int(world[axis]))


def _label_map(value: Any) -> np.ndarray:
    channels = torch.as_tensor(value).cpu()
    labels = channels.argmax(0) if len(channels) > 1 else channels[0]
    return labels.numpy().round().astype(np.uint8)


def _row_means(table: np.ndarray) -> np.ndarray:
    there = ~np.isnan(table)
    counts = there.sum(axis=1)
    return np.where(counts > 0, np.where(there, table, 0).sum(axis=1) / np.maximum(counts, 1), math.nan)


def _case_of(item: Mapping[str, Any]) -> str:
    if isinstance(item.get("image_id"), str):
        return item["image_id"]
    return str(getattr(item["image"], "meta", {}).get("filename_or_obj", "case"))


def _told_apart(names: list[str]) -> list[str]:
    """Files by their name alone where that is enough, else by their path below the folder that they share."""
    if not all(os.path.isabs(name) for name in names):
        return names
    short = [case_name(name) if is_nifti_name(name) else Path(name).stem for name in names]
    if len(set(short)) == len(set(names)):
        return short
    folder = os.path.commonpath([os.path.dirname(name) for name in names])
    return [os.path.relpath(name, folder) for name in names]
