"""Around a bundle's run: bundles found and copied, overrides checked, the run's first lines and its last ones."""

from monai_proto.folders import run_dir
from monai_proto.workflows.catalog import BundleInfo, copy_bundle, find_bundle, list_bundles, zip_bundle
from monai_proto.workflows.errors import error_lines, root_cause
from monai_proto.workflows.overrides import check_overrides, override_problems, parse_overrides
from monai_proto.workflows.run_start import start_run

__all__ = [
    "BundleInfo",
    "check_overrides",
    "copy_bundle",
    "error_lines",
    "find_bundle",
    "list_bundles",
    "override_problems",
    "parse_overrides",
    "root_cause",
    "run_dir",
    "start_run",
    "zip_bundle",
]
