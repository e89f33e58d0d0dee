"""What optimisers are built from."""

from monai_proto.optimizers.backbone_parameter_groups import backbone_parameter_groups
from monai_proto.optimizers.row_state import forget_rows
from monai_proto.optimizers.term_parameter_groups import term_parameter_groups

__all__ = [
    "backbone_parameter_groups",
    "forget_rows",
    "term_parameter_groups",
]
