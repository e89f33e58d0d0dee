from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_proto.losses import sigmoid_ramp_up


def test_known_values():
    assert sigmoid_ramp_up(0) == pytest.approx(math.exp(-5))
    assert sigmoid_ramp_up(20) == pytest.approx(math.exp(-1.25))
    assert sigmoid_ramp_up(40) == 1
    assert sigmoid_ramp_up(1, length=2) == pytest.approx(math.exp(-1.25))
    assert sigmoid_ramp_up(-3) == sigmoid_ramp_up(0)
    assert sigmoid_ramp_up(99) == 1
    assert sigmoid_ramp_up(0, length=0) == 1


@given(st.floats(0, 80), st.floats(0, 80), st.floats(0.1, 60))
def test_never_falls(first, second, length):
    early, late = sorted((first, second))
    assert 0 < sigmoid_ramp_up(early, length) <= sigmoid_ramp_up(late, length) <= 1


def test_refuses_a_negative_length():
    with pytest.raises(ValueError, match="length must not be negative, got -1"):
        sigmoid_ramp_up(0, length=-1)
