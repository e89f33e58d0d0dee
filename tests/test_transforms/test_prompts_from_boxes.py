from __future__ import annotations

import pytest
import torch

from monai_proto.transforms import PromptsFromBoxesd, prompts_from_boxes

SMALL, BIG = torch.tensor([[10.0, 12.0, 20.0, 22.0]]), torch.tensor([[4.0, 6.0, 28.0, 26.0]])


def in_ring(points):
    x, y = points[..., 0], points[..., 1]
    inside_small = (x >= 10) & (x < 20) & (y >= 12) & (y < 22)
    return ((x >= 4) & (x < 28) & (y >= 6) & (y < 26) & ~inside_small).all()


def test_boxes():
    assert torch.equal(prompts_from_boxes(SMALL, BIG, "big_box").boxes, BIG)
    assert prompts_from_boxes(SMALL, BIG, "middle_box").boxes.tolist() == [[7.0, 9.0, 24.0, 24.0]]
    assert prompts_from_boxes(SMALL, BIG, "loose_box").boxes.tolist() == [pytest.approx([6.0, 8.0, 76 / 3, 74 / 3])]
    assert prompts_from_boxes(SMALL, BIG, "big_box")[1:] == (None, None)


@pytest.mark.parametrize(("ring_labels", "label"), [("foreground", 1), ("background", 0)])
def test_ring_points(ring_labels, label):
    prompts = prompts_from_boxes(SMALL, BIG, "ring_points", ring_labels, 7)
    assert prompts.boxes is None
    assert prompts.points.shape == (1, 7, 2)
    assert in_ring(prompts.points)
    assert (prompts.labels == label).all()
    assert prompts_from_boxes(SMALL, BIG, "both", ring_labels).boxes.equal(BIG)


def test_an_object_has_the_same_points_in_every_evaluation():
    item = {"small_box": SMALL[0].tolist(), "big_box": BIG[0].tolist()}
    first, again = (PromptsFromBoxesd("both")(item) for _ in range(2))
    assert torch.equal(first["prompt_points"], again["prompt_points"])
    assert first["prompt_boxes"].shape == (4,)
    assert first["prompt_labels"].shape == (10,)
    moved = PromptsFromBoxesd("both")({**item, "big_box": [3.0, 6.0, 28.0, 26.0]})
    assert not torch.equal(first["prompt_points"], moved["prompt_points"])


@pytest.mark.parametrize("prompt", ["big_box", "middle_box", "loose_box", "ring_points", "both"])
def test_checked_boxes_give_the_same_prompts(prompt):
    drawn = [
        prompts_from_boxes(SMALL, BIG, prompt, generator=torch.Generator().manual_seed(0), checked=checked)
        for checked in (False, True)
    ]
    for first, second in zip(*drawn, strict=True):
        assert first is second is None or torch.equal(first, second)


def test_an_empty_ring_names_the_item():
    item = {"image": "a.png", "small_box": [2.0, 2.0, 9.0, 9.0], "big_box": [2.0, 2.0, 9.0, 9.0]}
    with pytest.raises(ValueError, match=r"a\.png.*empty"):
        PromptsFromBoxesd("ring_points")(item)


@pytest.mark.parametrize(("options", "message"), [({"prompt": "x"}, "prompt must"), ({"ring_labels": "x"}, "ring_lab")])
def test_unknown_options(options, message):
    with pytest.raises(ValueError, match=message):
        PromptsFromBoxesd(**options)
