"""Earlier interfaces, kept as thin wrappers around the parts of the package."""

from monai_proto.compat.contrastive_prototype_manager import ContrastivePrototypeManager

__all__ = ["ContrastivePrototypeManager"]
