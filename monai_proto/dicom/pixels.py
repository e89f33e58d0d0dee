"""Reads the pixels of a series into one volume, slice by slice."""

from __future__ import annotations

import warnings

import numpy as np
import SimpleITK as sitk  # noqa: N813

from monai_proto.dicom.packages import dicom_package
from monai_proto.dicom.series import DicomSeries, DicomSlice

__all__ = ["read_pixels", "read_slice"]


def read_pixels(series: DicomSeries) -> np.ndarray:
    """
    All voxels of a series, in the unit of its modality (HU for CT).

    Returns:
        (columns, rows, slices): int16 where the values fit, else int32, float32 where they are no integers.

    Raises:
        ValueError: when there is no slice, or one cannot be decoded; the message says which by its number, from 1.
    """
    volume: np.ndarray | None = None
    for index, item in enumerate(series.slices):
        try:
            pixels = read_slice(item).T
        except ValueError as error:
            raise ValueError(f"slice {index + 1} of {len(series.slices)}: {error}") from error
        if volume is None:
            volume = np.empty(series.shape, _storage_type(pixels))
        needed = np.promote_types(volume.dtype, _storage_type(pixels))
        if needed.kind == "f":
            needed = np.dtype(np.float32)
        if needed != volume.dtype:  # the second copy lasts for this line only
            volume = volume.astype(needed)
        volume[..., index] = pixels
    if volume is None:
        raise ValueError("series must have slices, got none.")
    return volume


def read_slice(item: DicomSlice) -> np.ndarray:
    """
    One slice, rescaled.

    Raises:
        ValueError: when neither SimpleITK nor pydicom can decode it, or its size is not what the header says.
    """
    header = item.instance
    pixels = None if len(header.frames) > 1 else _by_simple_itk(header.file)
    if pixels is None:
        pixels = _by_pydicom(item)
    if pixels.shape != (header.rows, header.columns):
        raise ValueError(f"holds {pixels.shape} pixels, its header says {(header.rows, header.columns)}")
    return pixels


def _by_simple_itk(file: str) -> np.ndarray | None:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(file)
    reader.SetGlobalWarningDisplay(False)
    try:
        image = reader.Execute()
    except RuntimeError:
        return None
    return sitk.GetArrayFromImage(image)[0] if image.GetDimension() == 3 else sitk.GetArrayFromImage(image)


def _by_pydicom(item: DicomSlice) -> np.ndarray:
    pydicom, pixels = dicom_package("pydicom"), dicom_package("pydicom.pixels")
    file = item.instance.file
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = next(iter(pixels.iter_pixels(file, indices=[item.frame], raw=True)))
            if item.header.rescale:
                slope, intercept = item.header.rescale
                return frame if (slope, intercept) == (1, 0) else frame * slope + intercept
            header = pydicom.dcmread(file, stop_before_pixels=True)
            return pixels.apply_rescale(frame, header)
    except Exception as error:  # each decoder has its own exceptions for damaged bytes
        raise ValueError(f"pixels cannot be decoded, a truncated or damaged file ({_short(error, file)})") from error


def _short(error: Exception, file: str) -> str:
    text = " ".join(str(error).replace(file, "the file").split())  # its name may tell who the patient is
    return text if len(text) <= 200 else f"{text[:200]} ..."


def _storage_type(pixels: np.ndarray) -> np.dtype:
    if pixels.dtype.kind == "f":
        whole = np.isfinite(pixels).all() and (pixels == np.rint(pixels)).all() and np.abs(pixels).max() < 2**31
        if not whole:
            return np.dtype(np.float32)
    low, high = float(pixels.min()), float(pixels.max())
    return np.dtype(np.int16 if low >= -(2**15) and high < 2**15 else np.int32)
