"""Boxes from a client of a running MONAI Label server, and the SAM bundle trained on them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from label_server import LabelServer
from PIL import Image

from monai_proto.phantoms import phantom_dataset_dir
from monai_proto.transforms import boxes_from_mask

MODEL = "dermoscopy_sam_weak_segmentation"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boxes")
    data = Path(phantom_dataset_dir("dermoscopy", num_training=40, num_validation=12, num_test=12))
    (folder / "studies").mkdir()
    for index, item in enumerate(json.loads((data / "dataset.json").read_text())["training"][:2]):
        shutil.copy(data / item["image"], folder / "studies" / f"lesion_{index}.jpg")
        shutil.copy(data / item["mask"], folder / f"lesion_{index}.png")
    return folder


def test_boxes_are_stored_and_trained_on(folder, tmp_path):
    server = LabelServer(folder / "studies", [MODEL], folder / "log")
    try:
        answer = server.ask("POST", f"/train/{MODEL}", json={})
        assert (answer.status_code, "at least one photograph with boxes" in answer.json()["detail"]) == (422, True)

        mask = np.asarray(Image.open(folder / "lesion_0.png").convert("L")) > 127
        small, big = (box.tolist() for box in boxes_from_mask(mask, components="largest"))
        file = tmp_path / "boxes.json"
        file.write_text(json.dumps({"objects": [{"small_box": big, "big_box": small}]}))
        answer = server.save_label("lesion_0", file, "boxes")
        assert (answer.status_code, "is not inside the big box" in answer.json()["detail"]) == (422, True)
        file.write_text(json.dumps({"objects": [{"small_box": small, "big_box": big}]}))
        assert server.save_label("lesion_0", file).status_code == 200  # JSON is boxes, whatever the tag
        stored = server.ask("GET", "/datastore/label", params={"label": "lesion_0", "tag": "boxes"}).json()
        assert stored == {"objects": [{"small_box": small, "big_box": big}]}
        assert server.info()["datastore"]["completed"] == 0  # boxes are no masks

        painted = np.zeros((*mask.shape, 1), np.uint8)[..., 0]
        painted[20:130, 30:170] = 2
        painted[60:90, 80:120] = 1
        Image.fromarray(painted).save(tmp_path / "painted.png")
        assert server.save_label("lesion_1", tmp_path / "painted.png", "boxes").status_code == 200
        stored = server.ask("GET", "/datastore/label", params={"label": "lesion_1", "tag": "boxes"}).json()
        assert stored == {"objects": [{"small_box": [80, 60, 120, 90], "big_box": [30, 20, 170, 130]}]}

        weights = server.workspace / "model" / MODEL / "models" / "model.pt"
        before = torch.load(weights, weights_only=True)["model"]
        result = server.train(MODEL, max_epochs=1)
        assert result["status"] == "DONE", result["details"]
        assert server.info()["train_stats"][MODEL]["boxed"] == ["lesion_0", "lesion_1"]
        after = torch.load(weights, weights_only=True)["model"]
        assert after.keys() == before.keys()
        assert any(not torch.equal(after[name], before[name]) for name in before)
        answer = server.infer(MODEL, "lesion_0", roi=big)
        assert answer.status_code == 200, answer.text
    finally:
        server.stop()
