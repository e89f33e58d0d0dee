"""Training, evaluation and prediction with a bundle, and the folder that explains a run."""

from monai_proto.apps.run.bundle_location import find_bundle
from monai_proto.apps.run.trainer import Bundle, bundle

__all__ = ["Bundle", "bundle", "find_bundle"]
