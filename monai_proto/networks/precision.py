"""Full precision for what half precision is too coarse for, such as cosines and their sums."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch

__all__ = ["in_float32"]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def in_float32(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """
    A function of tensors that computes in float32, also under autocast and on float16 or bfloat16 tensors. It is
    ``torch.amp.custom_fwd(cast_inputs=torch.float32)`` for any device.
    """

    @functools.wraps(function)
    def full_precision(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        first = next(value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor))
        with torch.autocast(first.device.type, enabled=False):
            return function(*map(_widened, args), **{name: _widened(value) for name, value in kwargs.items()})

    return full_precision


def _widened(value: Any) -> Any:
    narrow = isinstance(value, torch.Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if narrow else value
