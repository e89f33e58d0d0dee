"""Virtual adversarial training: the prediction should not change along the direction that changes it most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from monai.losses import DiceLoss
from torch import nn

__all__ = ["VATLoss", "frozen_batch_statistics"]


@contextmanager
def frozen_batch_statistics(network: nn.Module) -> Iterator[None]:
    """Within the block, batch normalisation of ``network`` uses the batch's statistics and leaves the running ones."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


class VATLoss(nn.Module):
    """
    Soft Dice distance between the prediction on an image and on its adversarially perturbed copy.

    Miyato et al., "Virtual Adversarial Training", TPAMI 2019, as SS-Net (Wu et al., MICCAI 2022, eq. 1-2) uses it: a
    random direction is scaled to length ``xi``, the gradient of the distance with respect to it gives the adversarial
    direction, and the loss is the distance at length ``epsilon`` along it, without the background
    channel. The gradient that finds the direction is taken with respect to the input alone: parameter gradients are
    neither computed nor wiped. Running batch statistics are left as they are.

    Args:
        xi: length of the random step (L2 norm over one image, in units of the image).
        epsilon: length of the adversarial step.
        iterations: power iterations.

    Raises:
        ValueError: when a length is not positive or there is no iteration.

    Example::

        vat = VATLoss()
        loss = vat(lambda x: network(x), images)
    """

    def __init__(self, xi: float = 10.0, epsilon: float = 10.0, iterations: int = 1) -> None:
        super().__init__()
        for name, value in (("xi", xi), ("epsilon", epsilon), ("iterations", iterations)):
            if value <= 0:
                raise ValueError(f"{name} must be positive, got {value}.")
        self.xi = xi
        self.epsilon = epsilon
        self.iterations = iterations
        self.distance = DiceLoss(include_background=False, batch=True, smooth_nr=1e-8, smooth_dr=1e-8)

    def forward(
        self, network: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, logits: torch.Tensor | None = None
    ) -> torch.Tensor:
        """
        Args:
            network: maps images (B, M, *spatial) to logits (B, C, *spatial). For a network wrapped in
                DistributedDataParallel give the module inside: its parameters' gradients are reduced all the same.
            images: (B, M, *spatial).
            logits: the network's output on ``images`` if it is at hand, else it is computed.

        Returns:
            scalar.
        """
        if logits is None:
            with torch.no_grad():
                logits = network(images)
        target = logits.detach().float().softmax(dim=1)
        module = network if isinstance(network, nn.Module) else nn.Identity()
        with frozen_batch_statistics(module):
            direction = _unit(torch.rand_like(images) - 0.5)
            for _ in range(self.iterations):
                direction.requires_grad_(True)
                distance = self._distance(network(images + self.xi * direction), target)
                (gradient,) = torch.autograd.grad(distance, direction)
                direction = _unit(gradient.detach())
            return self._distance(network(images + self.epsilon * direction), target)

    def _distance(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.distance(logits.float().softmax(dim=1), target)


def _unit(direction: torch.Tensor) -> torch.Tensor:
    """Each image's direction with L2 norm 1."""
    norm = torch.linalg.vector_norm(direction.flatten(1), dim=1).clamp(min=1e-8)
    return direction / norm.view(-1, *(1 for _ in direction.shape[1:]))
