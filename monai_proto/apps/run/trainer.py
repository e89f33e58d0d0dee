"""A bundle in one's own script."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ignite.engine import Engine

from monai_proto.apps.run.workflow import make_workflow
from monai_proto.workflows import check_overrides, find_bundle, root_cause
from monai_proto.workflows.run_start import require_no_model

__all__ = ["Bundle", "bundle"]


@dataclass(frozen=True)
class Bundle:
    """
    A bundle by its folder.

    Args:
        path: folder of the bundle.
    """

    path: Path

    def trainer(
        self, data: str | os.PathLike | None = None, output: str | os.PathLike | None = None, **overrides: Any
    ) -> Engine:
        """
        The trainer with the bundle's defaults: networks, losses, data loaders and handlers are built and attached;
        ``.run()`` trains.

        Args:
            data: folder of the data set; None for phantoms.
            output: folder for checkpoints and what the bundle's handlers write; it must be given, so that the bundle's
                own weights stay.
            overrides: values of ``configs/train.json`` to change, such as ``max_epochs=4``; ``resume=True`` goes on
                from what ``output`` holds, ``overwrite=True`` replaces it.

        Raises:
            ValueError: when ``output`` is missing or holds a model, nothing in the bundle reads an override, or one
                or the data do not fit.

        Example::

            >>> import monai_proto
            >>> trainer = monai_proto.bundle("hippocampus_mri_semisupervised").trainer(output="run")  # doctest: +SKIP
            >>> trainer.run()  # doctest: +SKIP
        """
        if output is None:
            raise ValueError("output must be a folder for the checkpoints, got None.")
        output = os.path.abspath(output)
        check_overrides([self.path / "configs" / "train.json"], overrides)
        resume, overwrite = bool(overrides.get("resume")), bool(overrides.get("overwrite"))
        require_no_model(output, resume, overwrite, ("resume=True", "overwrite=True", "output"))
        chosen = {} if data is None else {"dataset_dir": os.path.abspath(data)}
        paths = {"bundle_root": str(self.path), "ckpt_dir": output, "output_dir": os.path.join(output, "bundle_output")}
        workflow = make_workflow(self.path / "configs", ["train.json"], {**paths, **chosen, **overrides})
        try:
            workflow.initialize()
            return workflow.parser.get_parsed_content("train::trainer")
        except RuntimeError as error:  # in which MONAI wraps what the bundle's parts raise
            raise root_cause(error) from None


def bundle(name_or_folder: str) -> Bundle:
    """
    Args:
        name_or_folder: name of a bundle that comes with the package, or folder of one.

    Raises:
        ValueError: when there is no such bundle.

    Example::

        >>> bundle("hippocampus_mri_semisupervised").path.name
        'hippocampus_mri_semisupervised'
    """
    return Bundle(find_bundle(name_or_folder))
