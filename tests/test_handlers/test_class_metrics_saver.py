"""Tables of metrics with the names of the classes."""

from __future__ import annotations

import csv

import pytest
import torch
from ignite.engine import Engine, Events
from monai.handlers import MeanDice

from monai_proto.handlers.class_metrics_saver import ClassMetricsSaver


def _evaluate(folder, class_names) -> None:
    """Two images of two organs; the second organ is wrong in half of its voxels."""
    label = torch.tensor([0, 1, 2, 2]).view(1, 1, 4)
    predictions = [label, torch.tensor([0, 1, 2, 0]).view(1, 1, 4)]
    evaluator = Engine(lambda engine, batch: (batch["pred"], label))
    MeanDice(include_background=False, num_classes=3).attach(evaluator, "dice")

    @evaluator.on(Events.EPOCH_COMPLETED)
    def _details() -> None:
        evaluator.state.metric_details = {"dice": torch.tensor([[1.0, 1.0], [1.0, 2 / 3]])}

    ClassMetricsSaver(
        class_names,
        save_dir=folder,
        metrics="dice",
        metric_details="dice",
        batch_transform=lambda batch: [{"filename_or_obj": batch["name"]}],
        summary_ops="mean",
    ).attach(evaluator)
    evaluator.run([{"pred": pred, "name": f"{i}.nii.gz"} for i, pred in enumerate(predictions)])


def test_columns_and_rows_carry_the_names(tmp_path):
    _evaluate(tmp_path, ["liver", "spleen"])
    rows = list(csv.DictReader((tmp_path / "dice_raw.csv").read_text().splitlines()))
    assert [row["filename"] for row in rows] == ["0.nii.gz", "1.nii.gz"]
    assert float(rows[1]["spleen"]) == pytest.approx(2 / 3, abs=1e-4)
    assert float(rows[1]["mean"]) == pytest.approx(5 / 6, abs=1e-4)
    summary = dict(row.split(",") for row in (tmp_path / "dice_summary.csv").read_text().splitlines())
    assert summary == {"class": "mean", "liver": "1.0000", "spleen": "0.8333", "mean": "0.9167"}
    assert float((tmp_path / "metrics.csv").read_text().split(",")[1]) == pytest.approx(11 / 12)


def test_another_number_of_names_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="dice has 2 classes, but class_names has 3: a, b, c"):
        _evaluate(tmp_path, ["a", "b", "c"])
