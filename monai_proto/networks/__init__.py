"""Networks and the blocks that they are built from."""

from monai_proto.networks import blocks, nets

__all__ = ["blocks", "nets"]
