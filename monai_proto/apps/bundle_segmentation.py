"""Runs the inference of a MONAI bundle on one image, with the bundle's own pre- and postprocessing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monai.bundle import ConfigWorkflow

from monai_proto.data.bundle_metadata import METADATA_NAME, read_metadata
from monai_proto.data.nifti import load_spatial_image, write_nifti
from monai_proto.data.voxel_grid import lay_on_grid

__all__ = ["read_bundle_metadata", "segment_with_bundle"]


def read_bundle_metadata(bundle: str | os.PathLike, checkpoint: str | os.PathLike | None = None) -> dict[str, Any]:
    """
    The metadata that names the classes of a model.

    Args:
        bundle: folder of the bundle.
        checkpoint: weights in place of the bundle's own; a ``metadata.json`` beside them, which training writes, says
            what they were trained on.

    Raises:
        ValueError: when the folder is no bundle with ``configs/inference.json`` and ``configs/metadata.json``, or there
            is no such checkpoint.
    """
    configs = Path(bundle) / "configs"
    for name in ("inference.json", METADATA_NAME):
        if not (configs / name).is_file():
            raise ValueError(f"Bundle {bundle} has no configs/{name}.")
    if checkpoint is None:
        return read_metadata(configs / METADATA_NAME)
    if not Path(checkpoint).is_file():
        raise ValueError(f"Checkpoint {checkpoint} does not exist.")
    beside = Path(checkpoint).with_name(METADATA_NAME)
    return read_metadata(beside if beside.is_file() else configs / METADATA_NAME)


def segment_with_bundle(
    bundle: str | os.PathLike,
    voxels: np.ndarray,
    affine: np.ndarray,
    checkpoint: str | os.PathLike | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """
    Run ``configs/inference.json`` as ``python -m monai.bundle run`` does, on a single image.

    The image is given as a NIfTI file in place of the data list (the bundle property ``dataset_data``), and the mask is
    what the bundle's own postprocessing saves into ``output_dir``.

    Args:
        bundle: folder of the bundle.
        voxels: image (X, Y, Z).
        affine: its voxel indices to mm in RAS+ coordinates (4, 4).
        checkpoint: weights in place of the bundle's own.
        overrides: values of the configuration to replace, such as ``device``.

    Returns:
        label map on the grid of the image, uint8 or uint16.

    Raises:
        ValueError: when the bundle saves no mask or several, or one that is no label map or does not lie on the grid
            of the image.
        RuntimeError: when the bundle fails.
    """
    bundle = Path(bundle).absolute()
    read_bundle_metadata(bundle, checkpoint)
    weights = {"ckpt_path": str(Path(checkpoint).absolute())} if checkpoint else {}
    with tempfile.TemporaryDirectory(prefix="monai_proto_") as folder:
        image, output = Path(folder) / "image.nii.gz", Path(folder) / "output"
        output.mkdir()
        write_nifti(image, voxels, affine)
        workflow = ConfigWorkflow(
            config_file=str(bundle / "configs" / "inference.json"),
            meta_file=str(bundle / "configs" / "metadata.json"),
            logging_file=False,
            workflow_type="inference",
            bundle_root=str(bundle),
            dataset_dir=folder,
            output_dir=str(output),
            **{"dataset::data": [{"image": str(image)}], **weights, **(overrides or {})},
        )
        _run(workflow, bundle)
        return _read_mask(output, bundle, voxels.shape, affine)


def _run(workflow: ConfigWorkflow, bundle: Path) -> None:
    try:
        workflow.initialize()
        workflow.run()
        workflow.finalize()
    except OSError:
        raise
    except Exception as error:
        # MONAI wraps what went wrong, weights that do not fit for instance, several times
        cause: BaseException = error
        while cause.__cause__ is not None and str(cause).startswith("Failed to"):
            cause = cause.__cause__
        raise RuntimeError(f"Bundle {bundle} failed ({type(cause).__name__}: {str(cause)[:300]})") from error


def _read_mask(output: Path, bundle: Path, shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    masks = [file for pattern in ("*.nii.gz", "*.nii") for file in output.rglob(pattern)]
    if len(masks) != 1:
        raise ValueError(f"Bundle {bundle} saved {len(masks)} NIfTI files into output_dir, expected one mask.")
    mask = load_spatial_image(masks[0])
    values = np.asarray(mask.dataobj)
    values = values[..., 0] if values.ndim == 4 and values.shape[3] == 1 else values
    if values.ndim != 3 or values.min() < 0 or values.max() > 65535 or not (values == np.rint(values)).all():
        raise ValueError(f"Bundle {bundle} saved no label map: shape {values.shape}, voxel type {values.dtype}.")
    values = values.astype(np.uint8 if values.max() < 256 else np.uint16)
    try:
        return lay_on_grid(values, mask.affine, shape, affine)
    except ValueError as error:
        raise ValueError(f"Bundle {bundle}: {error}.") from error
