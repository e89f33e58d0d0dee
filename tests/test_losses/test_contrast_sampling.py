from __future__ import annotations

import pytest
import torch

from monai_proto.losses.contrast_sampling import ContrastSampler, sample_contrast_pixels
from monai_proto.losses.pixel_info_nce import PixelInfoNCELoss

GRID, IMAGE = (6, 8), (24, 32)  # cells of 4 x 4 pixels


def place_maps(batch):
    """Projections that tell where they come from: (image, row, column), the teacher's as negative numbers."""
    b, row, column = torch.meshgrid(torch.arange(batch), torch.arange(6), torch.arange(8), indexing="ij")
    student = torch.stack([b, row, column], dim=1).float().contiguous()
    return student.requires_grad_(), -student.detach() - 1


def kinds(logits, small, big):
    """Kind of every cell, one by one: what the specification calls it."""
    found = {}
    for b in range(len(logits)):
        for row in range(6):
            for column in range(8):
                x, y = column * 4 + 2, row * 4 + 2
                label = bool(logits[b, 0, y, x] > 0)
                in_small = small[b][0] <= x < small[b][2] and small[b][1] <= y < small[b][3]
                in_big = big[b][0] <= x < big[b][2] and big[b][1] <= y < big[b][3]
                kind = {(True, True): "recognised", (True, False): "missed"}.get((in_small, label))
                if kind is None and not in_big:
                    kind = "false_positive" if label else "background"
                found[b, row, column] = kind
    return found


def places(rows, mask, teacher=False):
    rows = -rows.detach() - 1 if teacher else rows.detach()
    return [tuple(row) for row in rows[mask].int().tolist()]


@pytest.fixture
def batch():
    torch.manual_seed(0)
    logits = torch.randn(3, 1, *IMAGE)
    small = torch.tensor([[8, 8, 20, 16], [4, 4, 28, 20], [12, 8, 16, 12]])
    big = torch.tensor([[4, 4, 24, 20], [0, 0, 32, 24], [8, 4, 24, 16]])
    return logits, small, big


@pytest.mark.parametrize(
    ("mode", "hard_kinds"),
    [
        ("both", {"missed", "false_positive"}),
        ("false_positive", {"false_positive"}),
        ("missed_as_positive", {"false_positive"}),
    ],
)
def test_with_room_for_all_every_cell_of_a_kind_is_drawn_once(batch, mode, hard_kinds):
    logits, small, big = batch
    trusted = torch.tensor([True, True, False])
    student, teacher = place_maps(3)
    samples = sample_contrast_pixels(*batch, trusted, student, teacher, mode, num_anchors=99, num_background=99)
    of_kind = kinds(logits, small.tolist(), big.tolist())
    anchor_kinds = {"recognised", "missed"} if mode == "missed_as_positive" else {"recognised"}
    expected = sorted(place for place, kind in of_kind.items() if kind in anchor_kinds and place[0] != 2)
    assert sorted(places(samples.anchors, samples.anchor_mask)) == expected
    negatives = sorted(place for place, kind in of_kind.items() if kind in hard_kinds | {"background"})
    assert sorted(places(samples.negatives, samples.negative_mask)) == negatives
    anchors = places(samples.anchors, samples.anchor_mask)
    positives = places(samples.positives, samples.anchor_mask, teacher=True)
    for anchor, positive in zip(anchors, positives, strict=True):
        assert positive[0] == anchor[0]
        assert of_kind[positive] == "recognised"
        assert positive == anchor or of_kind[anchor] == "missed"


def test_counts_are_limited_for_each_image(batch):
    student, teacher = place_maps(3)
    trusted = torch.ones(3, dtype=torch.bool)
    samples = sample_contrast_pixels(
        *batch, trusted, student, teacher, "both", num_anchors=2, num_hard_negatives=3, num_background=4
    )
    assert samples.anchors.shape == samples.positives.shape == (6, 3)
    assert samples.negatives.shape == (21, 3)
    assert samples.anchor_mask.tolist().count(True) <= 6
    anchors = places(samples.anchors, samples.anchor_mask)
    assert len(set(anchors)) == len(anchors)


def test_cells_are_drawn_uniformly(batch):
    student, teacher = place_maps(3)
    trusted = torch.tensor([False, True, False])
    generator, counts = torch.Generator().manual_seed(0), {}
    for _ in range(600):
        samples = sample_contrast_pixels(*batch, trusted, student, teacher, num_anchors=1, generator=generator)
        (place,) = places(samples.anchors, samples.anchor_mask)
        counts[place] = counts.get(place, 0) + 1
    of_kind = kinds(batch[0], batch[1].tolist(), batch[2].tolist())
    cells = [place for place, kind in of_kind.items() if kind == "recognised" and place[0] == 1]
    assert sorted(counts) == sorted(cells)
    expected = 600 / len(cells)
    assert all(abs(count - expected) < 5 * expected**0.5 for count in counts.values())


def test_gradient_reaches_anchors_and_by_choice_negatives(batch):
    trusted = torch.ones(3, dtype=torch.bool)
    for source in ("student", "teacher"):
        torch.manual_seed(1)
        student, teacher = torch.randn(3, 5, *GRID, requires_grad=True), torch.randn(3, 5, *GRID, requires_grad=True)
        samples = sample_contrast_pixels(*batch, trusted, student, teacher, negatives_from=source)
        PixelInfoNCELoss()(*samples).backward()
        assert teacher.grad is None
        of_kind = kinds(batch[0], batch[1].tolist(), batch[2].tolist())
        for (b, row, column), kind in of_kind.items():
            moved = bool(student.grad[b, :, row, column].abs().sum() > 0)
            allowed = {"recognised", *(("false_positive", "background") if source == "student" else ())}
            assert moved == (kind in allowed)


@pytest.mark.parametrize("case", ["none trusted", "nothing recognised", "big box is the whole image"])
@pytest.mark.parametrize("mode", ["both", "false_positive", "missed_as_positive"])
def test_a_batch_without_anchors_or_negatives_adds_nothing(batch, case, mode):
    logits, small, big = batch
    trusted = torch.ones(3, dtype=torch.bool)
    if case == "none trusted":
        trusted = ~trusted
    elif case == "nothing recognised":
        logits = torch.full_like(logits, -1.0)
    else:
        logits, big = torch.ones_like(logits), torch.tensor([[0, 0, 32, 24]]).expand(3, 4)
    student, teacher = torch.randn(3, 5, *GRID, requires_grad=True), torch.randn(3, 5, *GRID)
    loss = PixelInfoNCELoss()(*sample_contrast_pixels(logits, small, big, trusted, student, teacher, mode))
    assert loss.item() == pytest.approx(0, abs=1e-6)
    loss.backward()
    torch.testing.assert_close(student.grad, torch.zeros_like(student))


def test_an_image_without_anchors_does_not_change_the_others(batch):
    trusted = torch.tensor([True, True, False])
    student, teacher = torch.randn(3, 5, *GRID), torch.randn(3, 5, *GRID)
    options = {"num_anchors": 99, "num_background": 0, "hard_negatives": "both"}
    whole = PixelInfoNCELoss()(*sample_contrast_pixels(*batch, trusted, student, teacher, **options))
    batch[0][2] = -1.0  # the third image then has missed pixels only, whose place is inside the small box
    batch[1][2] = torch.tensor([0, 0, 1, 1])  # holds the middle of no cell
    rest = sample_contrast_pixels(*batch, trusted, student, teacher, **options)
    first_two = [tensor[:2] for tensor in (*batch, trusted, student, teacher)]
    torch.testing.assert_close(
        PixelInfoNCELoss()(*rest), PixelInfoNCELoss()(*sample_contrast_pixels(*first_two, **options))
    )
    assert whole > PixelInfoNCELoss()(*rest)


@pytest.mark.parametrize("mode", ["both", "false_positive", "missed_as_positive"])
def test_sampler_draws_the_cells_of_its_kinds(batch, mode):
    """With an image whose right half is padding, which gives no negatives."""
    logits, small, big = batch
    trusted, inside = torch.tensor([True, False, True]), torch.ones(3, 1, *IMAGE, dtype=torch.bool)
    inside[..., 16:] = False
    student, teacher = place_maps(3)
    sampler = ContrastSampler(mode, num_anchors=99, num_hard_negatives=99, num_background=99)
    samples = sampler(logits, small, big, trusted, student, teacher, inside)
    of_kind = kinds(logits, small.tolist(), big.tolist())
    anchor_kinds = {"recognised", "missed"} if mode == "missed_as_positive" else {"recognised"}
    recognised = {place[0] for place, kind in of_kind.items() if kind == "recognised"} - {1}
    anchors = sorted(place for place, kind in of_kind.items() if kind in anchor_kinds and place[0] in recognised)
    assert sorted(places(samples.anchors, samples.anchor_mask)) == anchors
    hard = {"false_positive", "missed"} if mode == "both" else {"false_positive"}
    negatives = [
        place
        for place, kind in of_kind.items()
        if (kind in hard or kind == "background") and (kind == "missed" or place[2] < 4)
    ]
    assert sorted(places(samples.negatives, samples.negative_mask)) == sorted(negatives)


def test_sampler_limits_the_rows_of_an_image_and_knows_its_options(batch):
    student, teacher = place_maps(3)
    samples = ContrastSampler("both", 2, 3, 4)(*batch, torch.ones(3, dtype=torch.bool), student, teacher)
    assert samples.anchors.shape == (6, 3)
    assert samples.negatives.shape == (21, 3)
    with pytest.raises(ValueError, match=r"hard_negatives must be one of .* got 'all'"):
        ContrastSampler("all")


def test_no_value_is_looked_at(batch):
    """On the meta device a tensor has no values: a host that waits for one would fail."""
    on_meta = [tensor.to("meta") for tensor in (*batch, torch.ones(3, dtype=torch.bool), *place_maps(3))]
    assert ContrastSampler("missed_as_positive")(*on_meta).anchors.shape == (3 * 48, 3)


def test_generator_decides(batch):
    student, teacher = place_maps(3)
    trusted = torch.ones(3, dtype=torch.bool)

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        options = {"num_anchors": 4, "num_background": 5, "generator": generator}
        return torch.cat(sample_contrast_pixels(*batch, trusted, student, teacher, **options)[:3])

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hard_negatives": "missed"}, "hard_negatives must be one of .* got 'missed'"),
        ({"negatives_from": "bank"}, "negatives_from must be 'student' or 'teacher', got 'bank'"),
        ({"logits": torch.zeros(3, 2, 24, 32)}, r"logits must have shape \(B, 1, H, W\), got \(3, 2, 24, 32\)"),
        ({"teacher": torch.zeros(3, 5, 6, 6)}, r"with B = 3, got \(3, 3, 6, 8\) and \(3, 5, 6, 6\)"),
        ({"trusted": torch.ones(3)}, r"trusted must be bool \(3,\), got torch.float32 \(3,\)"),
    ],
)
def test_refuses_options_and_shapes_that_do_not_fit(batch, changes, message):
    student, teacher = place_maps(3)
    arguments = dict(zip(("logits", "small", "big"), batch, strict=True))
    arguments |= {"trusted": torch.ones(3, dtype=torch.bool), "student": student, "teacher": teacher}
    with pytest.raises(ValueError, match=message):
        sample_contrast_pixels(**{**arguments, **changes})
