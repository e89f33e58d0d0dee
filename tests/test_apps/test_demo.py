from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from matplotlib import image as matplotlib_image

from monai_proto.apps.demo import run_demo
from monai_proto.apps.demo_figures import draw_learning_curves, draw_overlays
from monai_proto.apps.demo_results import read_case_dice, read_learning_curve


def test_case_dice_is_read_by_class(tmp_path):
    path = tmp_path / "raw.csv"
    path.write_text("filename,anterior,posterior,mean\na.nii.gz,0.5,0.7,0.6\nb.nii.gz,0.25,0.75,0.5\n")
    assert read_case_dice(path) == [[0.5, 0.7], [0.25, 0.75]]


def test_learning_curve_is_read_back(tmp_path):
    """From lines as MONAI's StatsHandler writes them."""
    log = tmp_path / "train.log"
    log.write_text(
        "10:26:01 - INFO - Got new best metric of val_mean_dice: 0.2501\n"
        "10:26:01 - INFO - Epoch[1] Metrics -- val_mean_dice: 0.2500 \n"
        "10:26:01 - INFO - Key metric: val_mean_dice best value: 0.2501 at epoch: 1\n"
        "10:26:07 - INFO - Epoch[2] Metrics -- val_loss: 0.1000 val_mean_dice: 0.5000 \n"
    )
    assert read_learning_curve(log, "val_mean_dice") == [(1, 0.25), (2, 0.5)]
    with pytest.raises(ValueError, match=f"{log} has no line with the metric val_mean_iou"):
        read_learning_curve(log, "val_mean_iou")


def test_a_bundle_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no configs/supervised_train\.json"):
        run_demo(tmp_path / "out", "dermoscopy_prototype_classification", 1, 1)
    assert not (tmp_path / "out").exists()


def test_pictures_show_image_and_outlines(tmp_path):
    rng = np.random.default_rng(0)
    label = np.zeros((12, 14, 10), np.uint8)
    label[3:8, 4:9, 2:7] = 1
    for name, array in (("c", rng.normal(size=label.shape).astype(np.float32)), ("l", label), ("c_seg", label)):
        nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / f"{name}.nii.gz")
    case = {"image": str(tmp_path / "c.nii.gz"), "label": str(tmp_path / "l.nii.gz")}
    overlays = draw_overlays([case], tmp_path, tmp_path / "overlays.png")
    pixels = matplotlib_image.imread(overlays)[..., :3]
    assert (np.ptp(pixels, axis=-1) > 0.3).sum() > 50  # coloured outlines over the grey image
    curve = draw_learning_curves({"a": [(1, 0.1), (2, 0.4)]}, tmp_path / "curve.png")
    assert (np.ptp(matplotlib_image.imread(curve)[..., :3], axis=-1) > 0.3).sum() > 50
