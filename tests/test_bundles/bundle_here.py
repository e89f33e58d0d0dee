"""Runs a bundle in this process, which saves a start; MONAI's runner makes the same workflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigWorkflow
from monai.utils import set_determinism


def run_bundle_here(bundle: Path, configs: list[str], kind: str, run: bool = True, **overrides: Any) -> ConfigWorkflow:
    """``kind`` is ``"train"`` or ``"infer"``; with ``run=False`` the workflow is only set up."""
    workflow = ConfigWorkflow(
        config_file=[str(bundle / "configs" / name) for name in configs],
        meta_file=str(bundle / "configs" / "metadata.json"),
        workflow_type=kind,
        bundle_root=str(bundle),
        **{name: str(value) if isinstance(value, Path) else value for name, value in overrides.items()},
    )
    try:
        workflow.initialize()
        if run:
            workflow.run()
    finally:
        set_determinism(None)
    return workflow


def failure_of(bundle: Path, configs: list[str], kind: str, **overrides: Any) -> str:
    """What a run says that must fail, with all causes: MONAI wraps what a transform or an expression raises."""
    try:
        run_bundle_here(bundle, configs, kind, **overrides)
    except (RuntimeError, ValueError) as raised:
        texts, error = [], raised
        while error is not None:
            texts.append(str(error))
            error = error.__cause__ or error.__context__
        return "\n".join(texts)
    pytest.fail("the bundle ran")
