"""Writes a MONAI bundle that needs no weights: every voxel above a threshold is an organ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

THRESHOLD = 300


def write_threshold_bundle(
    folder: Path, invert: bool = True, modality: str = "CT", value: int = 1, **overrides: Any
) -> Path:
    """
    A bundle as MONAI runs it: voxels above ``THRESHOLD`` are class 1 (spleen); class 2 (liver) never occurs.

    Args:
        folder: folder to make.
        invert: lay the mask back on the image's axes; else it is saved in RAS+ order, flipped in x and y as a rule.
        modality: what its metadata takes.
        value: what the voxels above the threshold get.
        overrides: entries of ``inference.json``.
    """
    load = [
        {"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
    ]
    save = [
        {"_target_": "Lambdad", "keys": "pred", "func": f"$lambda x: {value}.0 * (x > {THRESHOLD})"},
        {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image"},
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "output_dir": "@output_dir",
            "output_dtype": "uint8",
            "resample": False,
        },
    ]
    inference = {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "output_dir": "$@bundle_root + '/eval'",
        "dataset_dir": "nowhere",
        "network_def": "$torch.nn.Identity()",
        "preprocessing": {"_target_": "Compose", "transforms": load},
        "dataset": {"_target_": "Dataset", "data": [], "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1},
        "postprocessing": {"_target_": "Compose", "transforms": [save[0], *save[1 if invert else 2 :]]},
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "cpu",
            "val_data_loader": "@dataloader",
            "network": "@network_def",
            "postprocessing": "@postprocessing",
        },
        "run": ["$@evaluator.run()"],
        **overrides,
    }
    channels = {"0": "background", "1": "spleen", "2": "liver"}
    metadata = {
        "name": "threshold",
        "version": "1.2.3",
        "network_data_format": {
            "inputs": {"image": {"modality": modality}},
            "outputs": {"pred": {"channel_def": channels}},
        },
    }
    (folder / "configs").mkdir(parents=True)
    for name, content in {"inference": inference, "metadata": metadata}.items():
        (folder / "configs" / f"{name}.json").write_text(json.dumps(content))
    return folder
