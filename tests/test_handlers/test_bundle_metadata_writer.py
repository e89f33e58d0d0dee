"""The bundle's metadata with the classes trained, beside the checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
from ignite.engine import Engine

from monai_proto.data.bundle_metadata import checkpoint_label_names, read_metadata
from monai_proto.handlers.bundle_metadata_writer import BundleMetadataWriter

META_FILE = Path(__file__).parents[2] / "bundles" / "abdomen_ct_semisupervised" / "configs" / "metadata.json"


def test_it_writes_the_classes_when_training_starts(tmp_path):
    seen = []
    trainer = Engine(lambda engine, batch: seen.append((tmp_path / "run" / "metadata.json").is_file()))
    BundleMetadataWriter(META_FILE, ["background", "pancreas"], 2, tmp_path / "run").attach(trainer)
    assert not (tmp_path / "run").exists()
    trainer.run([0], max_epochs=1)
    assert seen == [True]
    assert checkpoint_label_names(tmp_path / "run" / "model.pt", "unused") == ["background", "pancreas"]
    assert read_metadata(tmp_path / "run" / "metadata.json")["name"] == read_metadata(META_FILE)["name"]


def test_another_number_of_names_than_classes_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="num_classes is 3, but label_names has 2: background, liver"):
        BundleMetadataWriter(META_FILE, ["background", "liver"], 3, tmp_path)
