"""Takes modules out of training and puts them back."""

from __future__ import annotations

from functools import partial

from torch import nn

__all__ = ["freeze", "keep_in_evaluation", "thaw"]


def freeze(module: nn.Module) -> None:
    """
    Take a module out of training: no gradient for its parameters, and evaluation (batch statistics, dropout) that a
    later ``train()`` of the module or of what contains it does not end. Copies and pickles stay frozen.
    """
    module.requires_grad_(False)
    for part in module.modules():
        keep_in_evaluation(part)


def thaw(module: nn.Module) -> None:
    """Put a module back into training: gradients, and the mode that the next ``train()`` or ``eval()`` says."""
    module.requires_grad_(True)
    for part in module.modules():
        part.__dict__.pop("train", None)


def keep_in_evaluation(module: nn.Module) -> None:
    """The module alone, without its children: evaluation that a later ``train()`` does not end."""
    module.eval()
    module.__dict__["train"] = partial(_ignore_mode, module)  # a partial of a named function: can be copied and pickled


def _ignore_mode(module: nn.Module, mode: bool = True) -> nn.Module:
    return module
