"""Writes metrics of every class under the class's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine
from monai.handlers import MetricsSaver, write_metrics_reports
from monai.utils import string_list_all_gather

__all__ = ["ClassMetricsSaver"]


class ClassMetricsSaver(MetricsSaver):
    """
    ``monai.handlers.MetricsSaver`` whose tables have the names of the classes for columns, not ``class0``, ``class1``.

    Args:
        class_names: names of the columns of ``metric_details``.
        kwargs: arguments of ``MetricsSaver``.
    """

    def __init__(self, class_names: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.class_names = list(class_names)

    def __call__(self, engine: Engine) -> None:
        """
        Raises:
            ValueError: when a metric has another number of columns than there are names.
        """
        images = self._filenames if idist.get_world_size() == 1 else string_list_all_gather(self._filenames)
        if idist.get_rank() != self.save_rank:
            return
        details = self._wanted(getattr(engine.state, "metric_details", {}), self.metric_details)
        for name, values in details.items():
            if values.shape[-1] != len(self.class_names):
                raise ValueError(
                    f"{name} has {values.shape[-1]} classes, but class_names has {len(self.class_names)}: "
                    f"{', '.join(self.class_names)}."
                )
        write_metrics_reports(
            save_dir=self.save_dir,
            images=images or None,
            metrics=self._wanted(engine.state.metrics, self.metrics),
            metric_details=details,
            summary_ops=self.summary_ops,
            deli=self.deli,
            output_type=self.output_type,
            class_labels=self.class_names,
        )

    @staticmethod
    def _wanted(values: dict[str, Any], names: Sequence[str] | None) -> dict[str, Any]:
        return {name: value for name, value in values.items() if names and (name in names or "*" in names)}
