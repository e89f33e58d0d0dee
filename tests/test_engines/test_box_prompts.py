from __future__ import annotations

import pytest
import torch

from monai_proto.engines import BoxPrompts

SMALL = torch.tensor([[10.0, 12.0, 20.0, 22.0], [5.0, 5.0, 9.0, 9.0]])
BIG = torch.tensor([[4.0, 6.0, 28.0, 26.0], [0.0, 3.0, 12.0, 13.0]])
SHARES = {"big_box": 0.0, "both": 0.0, "loose_box": 1 / 3, "middle_box": 0.5}


def require_prompt(asked, name, label, num_points):
    """What the name says of the prompt, corner by corner and point by point."""
    if name in SHARES:
        for row in range(2):
            for corner in range(4):
                small, big = float(SMALL[row, corner]), float(BIG[row, corner])
                expected = SHARES[name] * small + (1 - SHARES[name]) * big
                assert float(asked.boxes[row, corner]) == pytest.approx(expected)
    else:
        assert asked.boxes is None
    if name not in ("ring_points", "both"):
        assert asked.points is asked.labels is None
        return
    assert asked.points.shape == (2, num_points, 2)
    assert asked.labels.tolist() == [[label] * num_points] * 2
    for row in range(2):
        for x, y in asked.points[row].tolist():
            assert BIG[row, 0] <= x < BIG[row, 2]
            assert BIG[row, 1] <= y < BIG[row, 3]
            assert not (SMALL[row, 0] <= x < SMALL[row, 2] and SMALL[row, 1] <= y < SMALL[row, 3])


@pytest.mark.parametrize("name", [*SHARES, "ring_points"])
@pytest.mark.parametrize(("ring_labels", "label"), [("foreground", 1), ("background", 0)])
def test_teacher_and_students_are_asked_by_name(name, ring_labels, label):
    prompts = BoxPrompts(name, [name, "big_box"], ring_labels, num_points=4)
    prompts.check(SMALL, BIG)
    require_prompt(prompts.for_teacher(SMALL, BIG), name, label, 4)
    first, second = prompts.for_students(SMALL, BIG)
    require_prompt(first, name, label, 4)
    require_prompt(second, "big_box", label, 4)


def test_no_value_is_looked_at_after_the_check():
    """On the meta device a tensor has no values: a host that waits for one would fail."""
    prompts = BoxPrompts("both", ["ring_points"])
    assert prompts.for_teacher(SMALL.to("meta"), BIG.to("meta")).points.shape == (2, 10, 2)
    assert prompts.for_students(SMALL.to("meta"), BIG.to("meta"))[0].points.shape == (2, 10, 2)


def test_only_rings_need_room_between_the_boxes():
    BoxPrompts("middle_box", ["big_box"]).check(BIG, BIG)
    for prompts in (BoxPrompts("ring_points", ["big_box"]), BoxPrompts("big_box", ["big_box", "both"])):
        prompts.check(SMALL, BIG)
        with pytest.raises(ValueError, match=r"ring of row 0 between .* is empty"):
            prompts.check(BIG, BIG)
        with pytest.raises(ValueError, match=r"row 1: small box .* is not inside the big box"):
            prompts.check(torch.stack([SMALL[0], SMALL[0]]), BIG)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher": "scribble"}, "prompt must be one of"),
        ({"students": ["big_box", "scribble"]}, "prompt must be one of"),
        ({"students": []}, "students must name at least one"),
        ({"ring_labels": "maybe"}, "ring_labels must be one of"),
        ({"num_points": 0}, "num_points must be at least 1, got 0"),
    ],
)
def test_unknown_options(options, message):
    with pytest.raises(ValueError, match=message):
        BoxPrompts(**options)
