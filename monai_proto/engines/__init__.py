"""Engines: the order of the steps of training and evaluation."""

from monai_proto.engines.semi_supervised_trainer import SemiSupervisedTrainer

__all__ = ["SemiSupervisedTrainer"]
