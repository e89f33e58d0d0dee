"""Adapts a promptable segmenter to a domain from a small and a big box per object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import ignite.distributed as idist
import torch
import torch.nn.functional as F
from ignite.engine import Engine
from monai.engines import Trainer
from monai.engines.utils import IterationEvents
from monai.utils.enums import CommonKeys as Keys
from torch import nn

from monai_proto.data.prefix_cache import PrefixCache
from monai_proto.engines.box_prompts import BoxPrompts
from monai_proto.engines.promptable_batch import PromptableBatch, promptable_batch
from monai_proto.engines.training_step import autocast_of, optimizer_step, plain_tensors
from monai_proto.losses.box_pseudo_label import BoxPseudoLabel, BoxPseudoLabeler
from monai_proto.losses.contrast_sampling import ContrastSampler, ContrastSamples
from monai_proto.losses.weak_sam_loss import WeakSamLoss
from monai_proto.networks.bare_network import bare_network
from monai_proto.networks.nets.adaptable_segmenter import AdaptableSegmenter, EncoderSuffix
from monai_proto.networks.nets.promptable_segmenter import DecodedMasks
from monai_proto.transforms.prompts_from_boxes import Prompts

__all__ = ["BoxPreview", "WeakSamTrainer"]


class BoxPreview(NamedTuple):
    """
    What the trainer makes of a batch, in the model frame of S by S pixels, for pictures.

    Attributes:
        batch: boxes and where the images lie.
        pseudo_label: the teacher's, with entropy.
        teacher_prompts: what the teacher was asked with.
        prompts: of the student, one for each of ``BoxPrompts.students``.
        logits: the student's (B, 1, S, S), one for each of them.
        before: the same of the reference, the model before adaptation.
    """

    batch: PromptableBatch
    pseudo_label: BoxPseudoLabel
    teacher_prompts: Prompts
    prompts: list[Prompts]
    logits: list[torch.Tensor]
    before: list[torch.Tensor]


class WeakSamTrainer(Trainer):
    """
    Weakly supervised adaptation of an :class:`AdaptableSegmenter` by boxes.

    One step: the frozen prefix once (or its cached output); behind it student, teacher and reference. The teacher's
    mask with what the boxes say of it is the pseudo-label, trusted when the mean entropy of the mask is low. Pixels of
    student and teacher are contrasted, the student's embedding is held near the reference's, and, with the loss's
    ``supervision="pseudo_label"``, the student's masks are fitted to the trusted pseudo-labels. Prompt encoder and mask
    decoder stay as they are.

    A batch without a trusted pseudo-label trains nothing: neither the student's pass nor the optimiser's step is run.
    Ground truth, where a batch has it, is only looked at for ``mask_loss`` and ``iou_loss``, without gradient, unless
    the loss has ``supervision="mask"`` (the upper bound of a study).

    In ``engine.state.output``, detached: ``loss``; the loss's components ``contrast_loss``, ``distillation_loss``,
    ``pseudo_mask_loss``, ``pseudo_iou_loss``, ``mask_loss``, ``iou_loss`` where they are computed; ``trusted_share``
    of the batch; ``mean_entropy`` in nats; ``skipped_step``, 1.0 where nothing was trained.

    Args:
        device: where to run.
        max_epochs: number of epochs.
        train_data_loader: yields ``image`` (B, 3, H, W), ``small_box`` and ``big_box`` (B, 4) in its pixels, and
            optionally ``mask`` (B, 1, H, W) and ``image_size`` (B, 2), height and width of images that were filled up
            at the right and below to be collated.
        network: :class:`AdaptableSegmenter`, or DistributedDataParallel around it.
        teacher: ``copy_student()`` of the network, moved by :class:`EMATeacherHandler` after every step.
        optimizer: of the trainable parameters.
        loss: the terms and their weights; by default fits trusted pseudo-labels beside the contrast.
        reference: from the prefix's features to the embedding before adaptation, which the student's is held near: the
            ``suffix`` of a ``copy_student()``, by default of the student as it is now, or a :class:`PrefixCache` around
            it, since it never changes.
        prefix_cache: keeps the prefix's output on disk. A cache only pays where images repeat: without random
            augmentation.
        prompts: how teacher and student are asked.
        pseudo_labeler: what makes the teacher's mask a pseudo-label, called as :class:`BoxPseudoLabeler` is.
        contrast_sampler: what draws the pixels that are contrasted, called as :class:`ContrastSampler` is.
        train_handlers: handlers.
        kwargs: further arguments of MONAI's ``Trainer``.

    ``state.skipped_steps`` counts the batches without a trusted pseudo-label, over restarts too.

    Raises:
        ValueError: in a step, when boxes do not fit the prompts, see :meth:`BoxPrompts.check`.
    """

    def __init__(
        self,
        device: torch.device | str,
        max_epochs: int,
        train_data_loader: Iterable,
        network: nn.Module,
        teacher: EncoderSuffix,
        optimizer: torch.optim.Optimizer,
        loss: WeakSamLoss | None = None,
        reference: Callable[[torch.Tensor], torch.Tensor] | None = None,
        prefix_cache: PrefixCache | None = None,
        prompts: BoxPrompts | None = None,
        pseudo_labeler: Callable[..., BoxPseudoLabel] | None = None,
        contrast_sampler: Callable[..., ContrastSamples] | None = None,
        train_handlers: Sequence | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("decollate", False)  # the output is of the batch: there is nothing to take apart
        super().__init__(device=device, max_epochs=max_epochs, data_loader=train_data_loader, handlers=None, **kwargs)
        self.network = network
        self.teacher = teacher
        self.reference = self.bare_network.copy_student().suffix if reference is None else reference
        self.optimizer = optimizer
        self.loss = WeakSamLoss(supervision="pseudo_label") if loss is None else loss
        self.prefix_cache = prefix_cache
        self.prompts = BoxPrompts() if prompts is None else prompts
        self.pseudo_labeler = BoxPseudoLabeler() if pseudo_labeler is None else pseudo_labeler
        self.contrast_sampler = ContrastSampler() if contrast_sampler is None else contrast_sampler
        self.state.skipped_steps = 0
        self.state_dict_user_keys.append("skipped_steps")
        if train_handlers is not None:
            self._register_handlers(train_handlers)

    @property
    def bare_network(self) -> AdaptableSegmenter:
        """The network without DistributedDataParallel."""
        return bare_network(self.network)

    @torch.no_grad()
    def preview(self, batchdata: Mapping[str, torch.Tensor]) -> BoxPreview:
        """What a step on this batch would see; nothing is trained or counted, and no random number of torch's drawn."""
        was_training = self.network.training
        self.network.eval()
        devices = [self.state.device] if self.state.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), autocast_of(self):
            torch.manual_seed(0)
            batch = self._load(batchdata)
            pseudo_label, prompts, _ = self._ask_teacher(batch)
            asked = self.prompts.for_students(batch.small, batch.big)
            after, before = (
                [self._upsampled(self._decode(suffix(batch.features), prompt).logits) for prompt in asked]
                for suffix in (self.bare_network.student.suffix, self.reference)
            )
        self.network.train(was_training)
        return BoxPreview(batch, pseudo_label, prompts, asked, after, before)

    def _iteration(self, engine: Engine, batchdata: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """One step; see the class for what it returns."""
        self.network.train()
        batch = self._load(batchdata)
        with autocast_of(self):
            pseudo_label, _, teacher_projection = self._ask_teacher(batch)
        supervised_by_masks = self.loss.supervision == "mask"
        skipped = not supervised_by_masks and not self._any_rank(pseudo_label.trusted.any())
        if skipped:
            self.state.skipped_steps += 1
            self.logger.info(
                f"Epoch {self.state.epoch}, iteration {self.state.iteration}: no trusted pseudo-label, no step "
                f"({self.state.skipped_steps} so far)."
            )
            loss, components = torch.zeros(()), dict.fromkeys(self._component_names(batch), torch.zeros(()))
        else:
            self.optimizer.zero_grad()
            with autocast_of(self):
                loss = self._loss(batch, pseudo_label, teacher_projection)
            components = self.loss.components
            engine.fire_event(IterationEvents.LOSS_COMPLETED)
            optimizer_step(self, loss)
        state: Any = engine.state  # ignite takes a step's output for a number
        state.output = {
            Keys.LOSS: loss.detach(),
            **components,
            "trusted_share": pseudo_label.trusted.float().mean(),
            "mean_entropy": pseudo_label.entropy.mean(),
            "skipped_step": torch.tensor(float(skipped)),
        }
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return state.output

    def _load(self, batchdata: Mapping[str, torch.Tensor]) -> PromptableBatch:
        data = {
            key: plain_tensors(value)
            for key, value in batchdata.items()
            if key in (Keys.IMAGE, "small_box", "big_box", "mask", "image_size")
        }
        images = data[Keys.IMAGE]
        if self.prefix_cache is None:  # a cache looks at the images' bytes, best where the loader left them
            images = images.to(self.state.device, non_blocking=self.non_blocking)
        # what is cached serves evaluation too, and is computed once: in full precision
        with autocast_of(self, self.prefix_cache is None):
            return promptable_batch(
                self.bare_network.segmenter,
                self.prefix_cache or self.bare_network.embed_prefix,
                images,
                data["small_box"],
                data["big_box"],
                data.get("image_size"),
                data.get("mask"),
                self.prompts.check,
            )

    @torch.no_grad()
    def _ask_teacher(self, batch: PromptableBatch) -> tuple[BoxPseudoLabel, Prompts, torch.Tensor]:
        """The pseudo-labels, what the teacher was asked, and its projection."""
        prompts = self.prompts.for_teacher(batch.small, batch.big)
        teacher = self.teacher(batch.features)
        logits = self._upsampled(self._decode(teacher.embedding, prompts).logits)
        return (
            self.pseudo_labeler(logits, batch.small, batch.big, batch.inside),
            prompts,
            teacher.projection,
        )

    def _loss(
        self, batch: PromptableBatch, pseudo_label: BoxPseudoLabel, teacher_projection: torch.Tensor
    ) -> torch.Tensor:
        student = self.network(features=batch.features)
        with torch.no_grad():
            reference = self.reference(batch.features)
        samples = self.contrast_sampler(
            pseudo_label.raw,
            batch.small,
            batch.big,
            pseudo_label.trusted,
            student.projection,
            teacher_projection,
            batch.inside,
        )
        with torch.set_grad_enabled(self.loss.supervision != "none"):
            asked = self.prompts.for_students(batch.small, batch.big)
            decoded = [self._decode(student.embedding, prompts) for prompts in asked]
        times = len(decoded)
        return self.loss(
            samples,
            student.embedding,
            reference,
            self._upsampled(torch.cat([masks.logits for masks in decoded])),
            torch.cat([masks.iou for masks in decoded])[:, 0],
            pseudo_label.mask.repeat(times, 1, 1, 1),
            pseudo_label.trusted.repeat(times),
            pseudo_label.certain.repeat(times, 1, 1, 1),
            None if batch.masks is None else batch.masks.repeat(times, 1, 1, 1),
        )

    def _decode(self, embedding: torch.Tensor, prompts: Prompts) -> DecodedMasks:
        return self.bare_network.segmenter.decode(embedding, *prompts)

    def _upsampled(self, logits: torch.Tensor) -> torch.Tensor:
        return F.interpolate(logits, self.bare_network.segmenter.input_size, mode="bilinear", align_corners=False)

    @staticmethod
    def _any_rank(value: torch.Tensor) -> bool:
        """Whether it is true on any rank: ranks step together or not at all."""
        if idist.get_world_size() == 1:
            return bool(value)
        return bool(idist.all_reduce(value.float(), op="MAX") > 0)

    def _component_names(self, batch: PromptableBatch) -> list[str]:
        """What the loss computes in a step that is not skipped."""
        names = ["contrast_loss", "distillation_loss"]
        if self.loss.supervision == "pseudo_label":
            names += ["pseudo_mask_loss", "pseudo_iou_loss"]
        return names + (["mask_loss", "iou_loss"] if batch.masks is not None else [])
