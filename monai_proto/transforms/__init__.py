"""Transforms of images and of batches."""

from monai_proto.transforms.bidirectional_copy_paste import RandBidirectionalCopyPaste

__all__ = ["RandBidirectionalCopyPaste"]
