from __future__ import annotations

import nibabel as nib
import numpy as np
from matplotlib import image as matplotlib_image

from monai_proto.apps.demo_figures import draw_learning_curves, draw_overlays
from monai_proto.apps.demo_results import read_case_dice, read_learning_curve


def test_case_dice_is_read_by_class(tmp_path):
    path = tmp_path / "raw.csv"
    path.write_text("filename,anterior,posterior,mean\na.nii.gz,0.5,0.7,0.6\nb.nii.gz,0.25,0.75,0.5\n")
    assert read_case_dice(path) == [[0.5, 0.7], [0.25, 0.75]]


def test_learning_curve_is_read_back(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        for epoch, value in ((1, 0.25), (2, 0.5)):
            writer.add_scalar("val_mean_dice", value, epoch)
    assert read_learning_curve(tmp_path, "val_mean_dice") == [(1, 0.25), (2, 0.5)]


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
