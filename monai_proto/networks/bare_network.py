"""The network itself, without what trains it on several devices."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["bare_network"]


def bare_network(network: nn.Module) -> Any:
    """
    The network out of DistributedDataParallel or DataParallel, or as it is without a wrapper; to be annotated with the
    class that is expected, which torch's wrappers do not keep.
    """
    return getattr(network, "module", network)
