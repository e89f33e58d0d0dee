from __future__ import annotations

import math

import pytest
import torch

from monai_proto.losses import BoxPseudoLabeler, box_pseudo_label, mask_entropy
from monai_proto.losses.box_pseudo_label import extent_threshold


def cone(size=40, x=20.0, y=18.0):
    """Logits that fall by one for every two pixels from the middle; above 0 within 10 pixels."""
    rows, columns = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    return (5 - ((columns - x) ** 2 + (rows - y) ** 2).sqrt() / 2)[None, None]


def boxes(radius, x=20.0, y=18.0, play=4.0):
    around = [torch.tensor([[x - r, y - r, x + r, y + r]]) for r in (radius - play, radius + play)]
    return around[0], around[1]


@pytest.mark.parametrize("radius", [6, 8, 10, 12, 14])
def test_threshold_reaches_as_far_as_the_boxes_say(radius):
    """The mask above the threshold has its edge between the boxes, on any side of the threshold 0."""
    threshold = extent_threshold(cone(), *boxes(radius))
    assert abs(float(threshold) - (5 - radius / 2)) <= 0.5


def test_threshold_by_hand():
    """Against a loop over thresholds and pixels."""
    logits, (small, big) = cone(), boxes(7)
    best, found = -1.0, None
    for step in range(-12, 13):
        rows, columns = torch.nonzero(logits[0, 0] > step * 0.5, as_tuple=True)
        if len(rows) == 0:
            continue
        inside = (columns + 0.5 > big[0, 0]) & (columns + 0.5 < big[0, 2]) & (rows + 0.5 > big[0, 1])
        inside &= rows + 0.5 < big[0, 3]
        rows, columns = rows[inside].tolist(), columns[inside].tolist()
        columns = [c for c in columns if columns.count(c) > 1]
        kept_rows = [r for r in rows if rows.count(r) > 1]
        if not columns or not kept_rows:
            continue
        extent = [min(columns), min(kept_rows), max(columns) + 1, max(kept_rows) + 1]
        wanted = ((small + big) / 2)[0].tolist()
        sides = [max(0.0, min(extent[i + 2], wanted[i + 2]) - max(extent[i], wanted[i])) for i in (0, 1)]
        shared = sides[0] * sides[1]
        union = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (extent, wanted)) - shared
        if shared / union > best + 1e-9:
            best, found = shared / union, step * 0.5
    assert float(extent_threshold(logits, small, big)) == found


def test_without_any_mask_the_threshold_is_zero():
    assert float(extent_threshold(torch.full((1, 1, 40, 40), -50.0), *boxes(8))) == 0


def test_boxes_overwrite_the_teacher():
    small, big = boxes(10)
    label = box_pseudo_label(torch.zeros(1, 1, 40, 40) - 3, small, big, fit_extent=False)
    expected = torch.zeros(40, 40)
    expected[12:24, 14:26] = 1
    assert torch.equal(label.mask[0, 0], expected)
    assert label.certain.sum() == 12 * 12 + 40 * 40 - 28 * 28
    kept = box_pseudo_label(torch.zeros(1, 1, 40, 40) - 3, small, big, box_prior="big_box", fit_extent=False)
    assert kept.mask.sum() == 0
    assert box_pseudo_label(cone(), small, big, box_prior="none").certain.sum() == 0


def test_entropy_is_of_the_teachers_mask_inside_of_the_image():
    small, big = boxes(10)
    inside = torch.zeros(1, 1, 40, 40, dtype=torch.bool)
    inside[..., :30] = True
    logits = torch.where(inside, 0.0, 77.0)
    label = box_pseudo_label(logits, small, big, inside)
    assert float(label.entropy) == pytest.approx(math.log(2), rel=1e-4)
    assert not label.trusted
    assert box_pseudo_label(logits, small, big, inside, max_entropy=0.7).trusted


def test_unknown_prior():
    with pytest.raises(ValueError, match="box_prior must be one of"):
        box_pseudo_label(cone(), *boxes(10), box_prior="all")
    with pytest.raises(ValueError, match="box_prior must be one of"):
        BoxPseudoLabeler(box_prior="all")


@pytest.mark.parametrize("box_prior", ["both", "big_box", "none"])
@pytest.mark.parametrize("fit_extent", [False, True])
def test_labeler_makes_the_label_pixel_by_pixel(box_prior, fit_extent):
    """Against the rules written out, in an image of which the right part is padding."""
    logits, (small, big) = cone(), boxes(8)
    inside = torch.ones(1, 1, 40, 40, dtype=torch.bool)
    inside[..., 26:] = False
    label = BoxPseudoLabeler(1e-3, box_prior, fit_extent)(logits, small, big, inside)
    threshold = float(extent_threshold(logits.masked_fill(~inside, -1e4), small, big)) if fit_extent else 0.0
    entropies = []
    for row in range(40):
        for column in range(40):
            x, y = column + 0.5, row + 0.5
            in_small, in_big = (bool(box[0, 0] <= x < box[0, 2] and box[0, 1] <= y < box[0, 3]) for box in (small, big))
            object_here = bool(inside[0, 0, row, column]) and float(logits[0, 0, row, column]) > threshold
            if box_prior != "none" and not in_big:
                object_here = False
            if box_prior == "both" and in_small:
                object_here = True
            decided = box_prior != "none" and (not in_big or (box_prior == "both" and in_small))
            assert bool(label.mask[0, 0, row, column]) == object_here
            assert bool(label.certain[0, 0, row, column]) == decided
            if inside[0, 0, row, column]:
                p = 1 / (1 + math.exp(-float(logits[0, 0, row, column])))
                entropies.append(-p * math.log(p) - (1 - p) * math.log(1 - p))
    assert float(label.entropy) == pytest.approx(sum(entropies) / len(entropies), rel=1e-4)
    assert not label.trusted


def test_entropy_matches_the_definition_pixel_by_pixel():
    torch.manual_seed(0)
    logits = torch.randn(3, 1, 5, 4) * 4
    expected = []
    for b in range(3):
        entropies = []
        for z in logits[b].flatten().tolist():
            p = 1 / (1 + math.exp(-z))
            entropies.append(-p * math.log(p) - (1 - p) * math.log(1 - p))
        expected.append(sum(entropies) / len(entropies))
    entropy = mask_entropy(logits)
    assert entropy.shape == (3,)
    torch.testing.assert_close(entropy, torch.tensor(expected))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_certain_masks_have_none_and_undecided_ones_ln_2(dtype):
    values = torch.tensor([0.0, 101.0, -5000.0, 60000.0, torch.inf, -torch.inf], dtype=dtype)
    logits = values.reshape(6, 1, 1, 1).expand(6, 1, 2, 2).clone().requires_grad_()
    entropy = mask_entropy(logits)
    assert entropy.dtype == torch.float32
    torch.testing.assert_close(entropy, torch.tensor([math.log(2), 0, 0, 0, 0, 0]))
    entropy.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_autocast_does_not_change_the_entropy():
    logits = torch.randn(2, 1, 8, 8) * 3
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(mask_entropy(logits), mask_entropy(logits.clone()))
        inside = mask_entropy(logits)
    assert torch.equal(inside, mask_entropy(logits))


def test_gradient_of_the_entropy_is_that_of_the_definition():
    logits = (torch.randn(1, 1, 3, 3, dtype=torch.float64) * 2).requires_grad_()
    (gradient,) = torch.autograd.grad(mask_entropy(logits).sum(), logits)
    p = logits.detach().sigmoid()
    torch.testing.assert_close(gradient, -logits.detach() * p * (1 - p) / 9, rtol=1e-5, atol=1e-7)


def test_entropy_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"must have shape \(B, 1, H, W\), got \(2, 3, 4, 4\)"):
        mask_entropy(torch.zeros(2, 3, 4, 4))
