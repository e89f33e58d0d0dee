"""Synthetic volumes and skin images with labels, for commands, bundles and tests that run without any download."""

from monai_proto.phantoms.ct.phantom import CT_LABELS, CT_PHASES, make_ct_phantom
from monai_proto.phantoms.dermoscopy.dataset import write_dermoscopy_phantom_dataset
from monai_proto.phantoms.dermoscopy.phantom import (
    DERMOSCOPY_CLASSES,
    DermoscopyPhantom,
    make_dermoscopy_phantom,
)
from monai_proto.phantoms.dermoscopy.plan import DERMOSCOPY_CLASS_WEIGHTS
from monai_proto.phantoms.mri.phantom import MRI_LABELS, make_mri_phantom
from monai_proto.phantoms.phantom import PHANTOM_VERSION, Phantom
from monai_proto.phantoms.phantom_cache import phantom_dataset_dir
from monai_proto.phantoms.volume_dataset import write_ct_phantom_dataset, write_mri_phantom_dataset

__all__ = [
    "CT_LABELS",
    "CT_PHASES",
    "DERMOSCOPY_CLASSES",
    "DERMOSCOPY_CLASS_WEIGHTS",
    "MRI_LABELS",
    "PHANTOM_VERSION",
    "DermoscopyPhantom",
    "Phantom",
    "make_ct_phantom",
    "make_dermoscopy_phantom",
    "make_mri_phantom",
    "phantom_dataset_dir",
    "write_ct_phantom_dataset",
    "write_dermoscopy_phantom_dataset",
    "write_mri_phantom_dataset",
]
