"""Parameter groups of a classifier with a pretrained backbone."""

from __future__ import annotations

from typing import Any

from torch import nn

from monai_proto.networks.bare_network import bare_network

__all__ = ["backbone_parameter_groups"]


def backbone_parameter_groups(
    network: nn.Module, loss: nn.Module | None, backbone_learning_rate: float
) -> list[dict[str, Any]]:
    """
    The backbone in a group with a learning rate of its own; the rest of the network, and what the loss learns, in
    another at the optimizer's rate. Parameters belong to their group whether or not they take part in the current
    stage of training.

    Args:
        network: with a submodule ``backbone``; may be wrapped in DistributedDataParallel.
        loss: a loss with parameters, such as :class:`PrototypeLoss`, or None.
        backbone_learning_rate: of the backbone.

    Raises:
        ValueError: when the network has no backbone.

    Returns:
        two groups with ``params`` and ``name``, the first one also with ``lr``.
    """
    network = bare_network(network)
    if not hasattr(network, "backbone"):
        raise ValueError(f"network must have a submodule backbone, {type(network).__name__} has none.")
    backbone = list(network.get_submodule("backbone").parameters())
    known = {id(parameter) for parameter in backbone}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in known]
    rest += [] if loss is None else [parameter for parameter in loss.parameters() if parameter.requires_grad]
    return [
        {"name": "backbone", "params": backbone, "lr": backbone_learning_rate},
        {"name": "head", "params": rest},
    ]
