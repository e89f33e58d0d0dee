"""Earlier interfaces as thin wrappers around the parts."""

from monai_proto.compat.contrastive_prototype_manager import ContrastivePrototypeManager
from monai_proto.compat.prototype_heads import Head, HeadClassifier, HeadOptimal

__all__ = ["ContrastivePrototypeManager", "Head", "HeadClassifier", "HeadOptimal"]
