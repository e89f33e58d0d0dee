from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor
from PIL import Image

from monai_proto.apps.run.case_results import CaseResults
from monai_proto.networks.blocks.prototype_provenance import ProvenanceRecord
from monai_proto.networks.explanation import Explanation, PrototypeEvidence

DICE = [[0.9, 0.7], [0.5, float("nan")], [0.1, 0.3], [0.6, 0.6]]


def evaluated(items: list, details: list[list[float]], names: list[str]) -> CaseResults:
    results = CaseResults(lambda count: names[:count])
    engine = Engine(lambda _, item: [item])

    @engine.on(Events.EPOCH_COMPLETED)
    def _score(_: Engine) -> None:
        engine.state.key_metric_name = "val_mean_dice"
        engine.state.metric_details = {"val_mean_dice": torch.tensor(details)}
        engine.state.metrics = {"val_mean_dice": float(np.nanmean(details))}

    results.attach(engine)
    engine.run(items)
    return results


def volume_item(path: str) -> dict:
    label = torch.zeros(1, 8, 10, 6)
    label[:, 2:5, 3:7, 2:4] = 1
    label[:, 5:7, 3:7, 2:4] = 2
    image = MetaTensor(torch.rand(1, 8, 10, 6), affine=torch.diag(torch.tensor([1.0, 1.0, 3.0, 1.0])))
    image.meta["filename_or_obj"] = path
    return {"image": image, "label": label, "pred": torch.nn.functional.one_hot(label[0].long()).movedim(-1, 0)}


@pytest.fixture
def results(tmp_path) -> CaseResults:
    items = [volume_item(str(tmp_path / f"case{i}" / "t1.nii.gz")) for i in range(4)]
    return evaluated(items, DICE, ["anterior", "posterior"])


def test_table_has_every_case_by_its_own_name_and_classes_by_theirs(results, tmp_path):
    rows = list(csv.DictReader(results.write_table(tmp_path / "metrics.csv").open()))
    assert [row["case"] for row in rows] == [f"case{i}/t1.nii.gz" for i in range(4)]
    assert [row["anterior"] for row in rows] == ["0.9000", "0.5000", "0.1000", "0.6000"]
    assert [row["posterior"] for row in rows] == ["0.7000", "", "0.3000", "0.6000"]
    assert [row["mean"] for row in rows] == ["0.8000", "0.5000", "0.2000", "0.6000"]
    assert {row["metric"] for row in rows} == {"Dice"}


def test_scores_of_a_class_are_those_of_the_cases_that_have_it(results):
    anterior, posterior, mean = results.class_scores()
    assert (anterior.cases, posterior.cases, mean.cases) == (4, 3, 4)
    assert posterior.mean == pytest.approx(np.mean([0.7, 0.3, 0.6]))
    assert posterior.deviation == pytest.approx(np.std([0.7, 0.3, 0.6]))
    assert (mean.lowest, mean.lowest_case) == (pytest.approx(0.2), "case2/t1.nii.gz")


def test_best_median_and_worst_case_are_drawn(results, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "monai_proto.apps.run.case_results.draw_case_overlays", lambda rows, names, path: drawn.append((rows, names))
    )
    results.draw(tmp_path / "overlays.png")
    ((rows, names),) = drawn
    assert [row.title for row in rows] == [
        "best: case0/t1.nii.gz (Dice 0.800)",
        "median: case3/t1.nii.gz (Dice 0.600)",
        "worst: case2/t1.nii.gz (Dice 0.200)",
    ]
    assert list(names) == ["anterior", "posterior"]
    axial, coronal, sagittal = rows[0].planes
    assert (axial.axis, axial.truth.shape, axial.spacing) == (2, (8, 10), (1.0, 1.0))
    assert (sagittal.axis, sagittal.truth.shape, sagittal.spacing) == (0, (10, 6), (1.0, 3.0))
    assert (coronal.truth == coronal.prediction).all()
    assert set(np.unique(coronal.truth)) == {0, 1, 2}


def test_cases_are_called_as_their_data_list_calls_them():
    """MONAI's evaluators keep the name in the batch, not in the output."""
    results = CaseResults(lambda count: ["object"])
    engine = Engine(lambda *_: [volume_item("t1.nii.gz"), volume_item("t1.nii.gz")])
    engine.state.key_metric_name = "val_mean_dice"
    results.attach(engine)
    engine.run([[{"image_id": "liver of A"}, {"image_id": "liver of B"}]])
    assert results._names == ["liver of A", "liver of B"]
    results.close()


def test_the_picture_shows_the_structures_in_their_colours(results, tmp_path):
    path = results.draw(tmp_path / "overlays.png")
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).astype(int)
    for colour in ((255, 127, 14), (148, 103, 189)):  # orange and purple of tab10
        assert (np.abs(pixels - colour).max(axis=1) < 12).sum() > 50


def test_one_case_is_best_median_and_worst(tmp_path):
    results = evaluated([volume_item("a.nii.gz")], [[0.4, 0.4]], ["x", "y"])
    assert list(results._chosen_cases().values()) == ["best and median and worst"]
    results.close()
    assert not Path(results._folder.name).exists()


def test_a_slice_is_shown_upright_whichever_way_its_volume_is_stored(tmp_path):
    import nibabel as nib

    from monai_proto.apps.run.case_results import _planes

    volume = np.zeros((6, 8, 4), np.float32)
    volume[4:, 6:, :] = 1  # towards the patient's right hand side and front in RAS
    stored = nib.Nifti1Image(volume, np.diag([1.0, 2.0, 3.0, 1.0]))
    shown = []
    for axcodes in ("RAS", "LPS", "PIR"):
        ornt = nib.orientations.ornt_transform(
            nib.io_orientation(stored.affine), nib.orientations.axcodes2ornt(axcodes)
        )
        turned = stored.as_reoriented(ornt)
        file = tmp_path / f"{axcodes}.nii"
        nib.save(turned, file)
        axis = int(np.flatnonzero(nib.io_orientation(turned.affine)[:, 0] == 2)[0])
        picture = np.take(np.asarray(turned.dataobj), 1, axis=axis)
        image = MetaTensor(torch.from_numpy(picture.copy())[None].repeat(3, 1, 1))
        image.meta["filename_or_obj"] = f"{file} axis {axis} slice 1"
        mask = torch.from_numpy(picture.copy())[None]
        shown.append(_planes({"image": image, "label": mask, "pred": mask})[0])
    for plane in shown:
        assert (plane.axis, plane.spacing) == (2, (1.0, 2.0))
        np.testing.assert_array_equal(plane.truth, volume[:, :, 1])
        np.testing.assert_array_equal(plane.image, volume[:, :, 1])


def explanation(name: str, probabilities: list[float]) -> Explanation:
    evidence = PrototypeEvidence(
        0, 0, 1.0, 1.0, (0, 1, 0, 1), torch.zeros(1, 1), ProvenanceRecord("a", 0, (0, 1), 0, 1)
    )
    values = torch.tensor(probabilities)
    return Explanation(name, values, values.log(), 0.25, False, int(values.argmax()), [evidence], [])


def test_answers_of_a_classifier_have_recall_and_probabilities_by_name(tmp_path):
    answers = [("a", [0.9, 0.1], 0), ("b", [0.2, 0.8], 0), ("c", [0.3, 0.7], 1)]
    results = CaseResults(lambda count: ["mel", "nv"][:count])
    engine = Engine(
        lambda _, answer: {
            "explanation": [explanation(answer[0], answer[1])],
            "image": torch.rand(1, 3, 8, 8),
            "label": torch.tensor([answer[2]]),
        }
    )
    engine.state.key_metric_name = "val_balanced_accuracy"
    results.attach(engine)
    engine.run(answers)
    scores = {score.name: score.mean for score in results.class_scores()}
    assert scores == {"mel": 0.5, "nv": 1.0, "mean": 0.75}
    assert all(math.isnan(score.deviation) for score in results.class_scores())
    rows = list(csv.DictReader(results.write_table(tmp_path / "metrics.csv").open()))
    assert [(row["case"], row["label"], row["answer"], row["correct"]) for row in rows] == [
        ("a", "mel", "mel", "yes"),
        ("b", "mel", "nv", "no"),
        ("c", "nv", "nv", "yes"),
    ]
    assert [row["p nv"] for row in rows] == ["0.100000", "0.800000", "0.700000"]
    titles = [(picture.title, picture.answer) for picture in results._chosen_answers(each=1)]
    assert titles == [("right, surest", "mel"), ("least sure", "nv"), ("wrong, surest", "nv")]
    assert results.draw(tmp_path / "overlays.png").stat().st_size > 1000
