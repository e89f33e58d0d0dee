"""Trains a segmentation network on labelled and unlabelled images together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from monai.engines import Trainer
from monai.engines.utils import IterationEvents
from monai.losses import DiceCELoss
from monai.utils.enums import CommonKeys as Keys
from torch import nn

from monai_proto.losses.masked_dice_ce_loss import MaskedDiceCELoss
from monai_proto.losses.memory_bank_contrastive_loss import MemoryBankContrastiveLoss
from monai_proto.losses.prototype_terms import inter_class_separation_loss, intra_class_compactness_loss
from monai_proto.losses.pseudo_label import pseudo_labels
from monai_proto.losses.ramp_up import sigmoid_ramp_up
from monai_proto.losses.vat_loss import VATLoss
from monai_proto.networks.blocks.class_memory_bank import ClassMemoryBank
from monai_proto.networks.feature_rows import labels_on_grid, rows_of_map
from monai_proto.networks.nets.projected_segmentation_net import ProjectedSegmentationOutput
from monai_proto.transforms.bidirectional_copy_paste import RandBidirectionalCopyPaste

__all__ = ["SemiSupervisedTrainer"]

_PSEUDO_LABEL_SOURCES = ("teacher", "student")


class SemiSupervisedTrainer(Trainer):
    """
    Semi-supervised training of a :class:`ProjectedSegmentationNet`: supervised loss on the labelled images, and on
    both streams the class memory bank's contrastive loss, smoothness, and agreement with a teacher.

    The total is ``supervised + ramp(t) * sum(weight * term)`` over the terms whose parts are given. Each one is in
    ``engine.state.output``, detached, so that the ordinary handlers can log it:

    ======================  =========================================================================================
    ``loss``                the total
    ``loss_supervised``     ``supervised_loss`` on labelled images
    ``loss_copy_paste``     with ``copy_paste``: Dice and cross-entropy on mixed images, true labels where a voxel
                            comes from a labelled image, pseudo-labels (``pseudo_label_weight``) elsewhere
    ``loss_consistency``    with ``consistency_loss``: the student's logits against the pseudo-label source's
    ``loss_contrastive``    with ``bank``: labelled plus unlabelled contrastive term
    ``loss_compactness``    with ``bank``: intra-class compactness
    ``loss_separation``     with ``bank``: inter-class separation of the bank's means, which only moves with the bank;
                            it carries no gradient to the network, and is recorded to watch the embedding
    ``loss_vat``            with ``vat_loss``: virtual adversarial smoothness on all images
    ``ramp``                the current ramp-up factor
    ======================  =========================================================================================

    Beside them ``image``, ``label`` and ``pred`` of the labelled part, as MONAI's ``SupervisedTrainer`` has them.

    Args:
        device: where to run.
        max_epochs: number of epochs.
        train_data_loader: yields ``{"labelled": {"image", "label"}, "unlabelled": {"image"}}``, see
            :class:`TwoStreamDataLoader`. An unlabelled item may have a second, more strongly perturbed view of the
            same geometry under ``image_strong``: the student sees that one, the pseudo-label source ``image``.
        network: called ``network(images, full_output=True)``; may be wrapped in DistributedDataParallel.
        optimizer: optimises the network and, with learned selectors, the contrastive loss's selectors.
        supervised_loss: called ``loss(logits, labels (B, 1, *spatial))``; Dice plus cross-entropy by default.
        teacher: the EMA copy of the network, kept by :class:`EMATeacherHandler`.
        bank: class memory bank of projected features.
        contrastive_loss: needed with a bank.
        consistency_loss: called ``loss(student_logits, source_logits)`` on the unlabelled images.
        copy_paste: mixes labelled and unlabelled images.
        vat_loss: smoothness.
        pseudo_label_source: whose predictions label the unlabelled images, ``"teacher"`` or ``"student"``.
        confidence_floor: pseudo-labels below this probability are ignored.
        bank_background: whether class 0 is kept in the bank. The peers leave it out: most voxels are background, and
            it has no single look.
        contrastive_weight, compactness_weight, separation_weight, consistency_weight, copy_paste_weight, vat_weight:
            weights of the terms.
        ramp_up_epochs: T of the sigmoid ramp-up, in epochs.
        copy_paste_ramp: whether the copy-paste term is ramped up, too; it holds true labels, so that by default it
            counts fully from the start.
        pseudo_label_weight: weight of the pseudo-labelled voxels of the copy-paste term; those with true labels have 1.
        kwargs: further arguments of MONAI's ``Trainer``: ``epoch_length``, ``prepare_batch``, ``key_metric``,
            ``additional_metrics``, ``train_handlers``, ``amp``, ...

    Raises:
        ValueError: when parts that belong together are not given together, or a choice is unknown.
    """

    def __init__(
        self,
        device: torch.device | str,
        max_epochs: int,
        train_data_loader: Iterable,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        supervised_loss: Callable | None = None,
        teacher: nn.Module | None = None,
        bank: ClassMemoryBank | None = None,
        contrastive_loss: nn.Module | None = None,
        consistency_loss: Callable | None = None,
        copy_paste: RandBidirectionalCopyPaste | None = None,
        vat_loss: VATLoss | None = None,
        pseudo_label_source: str = "teacher",
        confidence_floor: float = 0.0,
        bank_background: bool = False,
        contrastive_weight: float = 0.1,
        compactness_weight: float = 0.1,
        separation_weight: float = 0.1,
        consistency_weight: float = 1.0,
        copy_paste_weight: float = 1.0,
        vat_weight: float = 1.0,
        ramp_up_epochs: float = 40.0,
        copy_paste_ramp: bool = False,
        pseudo_label_weight: float = 0.5,
        train_handlers: Sequence | None = None,
        **kwargs: Any,
    ) -> None:
        if pseudo_label_source not in _PSEUDO_LABEL_SOURCES:
            raise ValueError(
                f"pseudo_label_source must be one of {_PSEUDO_LABEL_SOURCES}, got {pseudo_label_source!r}."
            )
        if pseudo_label_source == "teacher" and teacher is None and (bank or consistency_loss or copy_paste):
            raise ValueError("teacher must be given with pseudo_label_source='teacher'.")
        if (bank is None) != (contrastive_loss is None):
            raise ValueError("bank and contrastive_loss must be given together.")
        super().__init__(device=device, max_epochs=max_epochs, data_loader=train_data_loader, handlers=None, **kwargs)
        self.network = network
        self.optimizer = optimizer
        self.supervised_loss = supervised_loss or DiceCELoss(to_onehot_y=True, softmax=True)
        self.teacher = teacher
        self.bank = bank
        self.contrastive_loss = contrastive_loss
        self.consistency_loss = consistency_loss
        self.copy_paste = copy_paste
        self.mixed_loss = MaskedDiceCELoss()
        self.vat_loss = vat_loss
        self.pseudo_label_source = pseudo_label_source
        self.confidence_floor = confidence_floor
        self.bank_background = bank_background
        self.weights = {
            "contrastive": contrastive_weight,
            "compactness": compactness_weight,
            "separation": separation_weight,
            "consistency": consistency_weight,
            "copy_paste": copy_paste_weight,
            "vat": vat_weight,
        }
        self.ramp_up_epochs = ramp_up_epochs
        self.copy_paste_ramp = copy_paste_ramp
        self.pseudo_label_weight = pseudo_label_weight
        if train_handlers is not None:
            self._register_handlers(train_handlers)

    @property
    def ramp(self) -> float:
        """The ramp-up factor of the current iteration; a function of the iteration alone."""
        epochs = (self.state.iteration - 1) / self.state.epoch_length
        return sigmoid_ramp_up(epochs, self.ramp_up_epochs)

    @property
    def _bare_network(self) -> nn.Module:
        """The network without DistributedDataParallel, whose forward pass may run only once in a step."""
        return getattr(self.network, "module", self.network)

    def _iteration(self, engine: Engine, batchdata: dict[str, dict[str, torch.Tensor]]) -> dict[str, Any]:
        """One step; see the class for what it returns."""
        images, labels = self._plain(engine.prepare_batch(batchdata["labelled"], self.state.device, self.non_blocking))
        unlabelled, student_view = self._unlabelled_views(batchdata["unlabelled"])
        self.network.train()
        self.optimizer.zero_grad()
        with torch.autocast(self.state.device.type, enabled=self.amp, **self.amp_kwargs):
            terms, logits = self._terms(images, labels, unlabelled, student_view)
            loss = self._total(terms)
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        self._step(loss)
        output = {f"loss_{name}": term.detach() for name, term in terms.items()}
        engine.state.output = {
            Keys.IMAGE: images,
            Keys.LABEL: labels,
            Keys.PRED: logits.detach(),
            Keys.LOSS: loss.detach(),
            "ramp": torch.tensor(self.ramp),
            **output,
        }
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output

    def _terms(self, images, labels, unlabelled, student_view) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Every loss term by name, and the logits of the labelled images."""
        batch = images.shape[0]
        source_logits = self._source_logits(unlabelled)
        second, mixed_target, from_labelled = student_view, None, None
        if self.copy_paste is not None:
            pseudo = pseudo_labels(source_logits, self.confidence_floor)
            (second, mixed_target), from_labelled = self.copy_paste((images, labels), (student_view, pseudo))
        output = self.network(torch.cat([images, second]), full_output=True)
        logits = output.logits[:batch]
        terms = {"supervised": self.supervised_loss(logits, labels)}
        if self.copy_paste is not None:
            mixed_logits = output.logits[batch:]
            known = mixed_target >= 0
            terms["copy_paste"] = self.mixed_loss(mixed_logits, mixed_target, from_labelled)
            terms["copy_paste"] += self.pseudo_label_weight * self.mixed_loss(
                mixed_logits, mixed_target, ~from_labelled & known
            )
            second_labels = mixed_target
        else:
            if source_logits is None:
                source_logits = output.logits[batch:].detach()
            second_labels = pseudo_labels(source_logits, self.confidence_floor)
            if self.consistency_loss is not None:
                terms["consistency"] = self.consistency_loss(output.logits[batch:], source_logits)
        if self.bank is not None:
            terms.update(self._bank_terms(output, labels, second_labels))
        if self.vat_loss is not None:
            terms["vat"] = self.vat_loss(self._bare_network, torch.cat([images, second]), output.logits)
        return terms, logits

    def _bank_terms(
        self, output: ProjectedSegmentationOutput, labels: torch.Tensor, second_labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Update the bank from the labelled voxels that are predicted correctly, then compare with it."""
        batch, grid = labels.shape[0], output.projection.shape[2:]
        bank, loss = self.bank, self.contrastive_loss
        label_rows = labels_on_grid(labels, grid)
        predicted = labels_on_grid(output.logits[:batch].argmax(dim=1, keepdim=True), grid)
        correct = torch.where(predicted == label_rows, label_rows, bank.ignore_index)
        if not self.bank_background:
            correct = torch.where(correct == 0, bank.ignore_index, correct)
        projected = rows_of_map(output.projection[:batch].detach())
        module: MemoryBankContrastiveLoss = getattr(loss, "module", loss)
        scores = module.score(projected, correct) if module.use_learned_selector else None
        bank.update(projected, correct, scores)

        features = rows_of_map(output.prediction[:batch])
        second_features, second_rows = rows_of_map(output.prediction[batch:]), labels_on_grid(second_labels, grid)
        means = bank.class_means()
        return {
            "contrastive": loss(features, label_rows, bank) + loss(second_features, second_rows, bank),
            "compactness": intra_class_compactness_loss(features, label_rows, means, bank.counts),
            "separation": inter_class_separation_loss(means, bank.counts),
        }

    def _total(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        total = terms["supervised"]
        for name, weight in self.weights.items():
            if name in terms:
                ramped = name != "copy_paste" or self.copy_paste_ramp
                total = total + (self.ramp if ramped else 1.0) * weight * terms[name]
        return total

    def _source_logits(self, unlabelled: torch.Tensor) -> torch.Tensor | None:
        """The pseudo-label source's logits, or None when the student's own forward pass gives them."""
        if self.pseudo_label_source == "teacher":
            source = self.teacher
        elif self.copy_paste is not None:
            source = self._bare_network
        else:
            return None
        if source is None:
            return None
        with torch.no_grad():
            return source(unlabelled)

    def _step(self, loss: torch.Tensor) -> None:
        if self.scaler is None:
            loss.backward()
            self.optimizer.step()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()

    def _unlabelled_views(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        image = batch[Keys.IMAGE]
        return tuple(
            self._plain(view.to(self.state.device, non_blocking=self.non_blocking))
            for view in (image, batch.get("image_strong", image))
        )

    @staticmethod
    def _plain(data):
        """Without MONAI's metadata, which costs time in every operation."""
        if isinstance(data, (tuple, list)):
            return tuple(SemiSupervisedTrainer._plain(item) for item in data)
        return data.as_tensor() if isinstance(data, MetaTensor) else data
