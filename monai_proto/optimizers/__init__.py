"""What optimisers are built from."""

from monai_proto.optimizers.selector_parameter_groups import selector_parameter_groups

__all__ = ["selector_parameter_groups"]
