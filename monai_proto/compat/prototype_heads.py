"""The prototype head, its loss and its push behind one earlier interface."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from monai_proto.engines.push_prototypes import PushReport, push_prototypes
from monai_proto.losses.prototype_loss import PrototypeLoss
from monai_proto.networks.backbone_features import backbone_features
from monai_proto.networks.blocks.prototype_bank import PrototypeBank
from monai_proto.networks.blocks.prototype_head import PrototypeHead

__all__ = ["Head", "HeadClassifier", "HeadOptimal"]


class HeadOptimal(nn.Module):
    """
    A :class:`PrototypeHead` together with its :class:`PrototypeLoss`.

    A thin wrapper for code written against this interface, in which what comes back depends on ``training``; new code
    uses the two directly.

    Args:
        num_classes: number C of classes.
        emb_dim: size D of an embedding.
        num_heads: attention heads.
        img_feat_dim: channels F of the features.
        num_prototypes: prototypes of a class at the start.
        max_prototypes: slots of a class.
        use_class_balanced: class-balanced weights of the cluster term, else the inverse root of the counts.
        cb_beta: beta of the class-balanced weights.
        clst_scale, sep_scale, div_scale, contrastive_scale: scales of the terms.
        use_abstention: whether there is an abstention prototype.
        abstention_scale: scale of its term.

    Attributes:
        proj: layer from features to embeddings.
        proto_manager: the :class:`PrototypeBank`.

    Example::

        head = HeadOptimal(num_classes=7, emb_dim=64, num_heads=4, img_feat_dim=768)
        pooled, patches, labels = torch.randn(2, 1, 768), torch.randn(2, 49, 768), torch.tensor([0, 3])
        logits, loss, parts = head.train()(pooled, patches, labels)
        logits, zero, info = head.eval()(pooled, patches)
    """

    def __init__(
        self,
        num_classes: int,
        emb_dim: int,
        num_heads: int,
        img_feat_dim: int,
        num_prototypes: int = 5,
        max_prototypes: int = 10,
        use_class_balanced: bool = False,
        cb_beta: float = 0.9999,
        clst_scale: float = 0.8,
        sep_scale: float = 0.08,
        div_scale: float = 0.01,
        contrastive_scale: float = 0.05,
        use_abstention: bool = False,
        abstention_scale: float = 0.1,
    ) -> None:
        super().__init__()
        self.head = PrototypeHead(
            num_classes,
            emb_dim,
            num_heads,
            img_feat_dim,
            num_prototypes,
            max_prototypes,
            abstention=use_abstention,
            attention=True,
        )
        self.loss = PrototypeLoss(
            cluster_scale=clst_scale,
            separation_scale=sep_scale,
            diversity_scale=div_scale,
            contrastive_scale=contrastive_scale,
            abstention_scale=abstention_scale if use_abstention else 0.0,
            class_weights="class_balanced" if use_class_balanced else "inverse_root",
            beta=cb_beta,
        )

    @property
    def proj(self) -> nn.Module:
        return self.head.proj

    @property
    def proto_manager(self) -> PrototypeBank:
        return self.head.bank

    def forward(
        self, pooled: torch.Tensor, patches: torch.Tensor, labels: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        """
        Args:
            pooled: (B, n, F).
            patches: (B, P, F).
            labels: classes (B,); needed for training.

        Returns:
            in training ``(logits, total loss, parts of the loss)``, in evaluation ``(logits, zero, info)`` where
            ``info`` has ``uncertainty`` (B,), ``similarities`` and ``patch_similarities``.

        Raises:
            ValueError: when labels are missing in training, or shapes do not fit.
        """
        output = self.head(pooled, patches)
        if not self.training:
            info = {name: getattr(output, name) for name in ("uncertainty", "similarities", "patch_similarities")}
            return output.logits, output.logits.new_zeros(()), info
        if labels is None:
            raise ValueError("labels must be given in training.")
        total = self.loss(output, labels)
        parts = {name: value for name, value in self.loss.components.items() if name.endswith("_loss")}
        return output.logits, total, parts


class Head(HeadOptimal):
    """As :class:`HeadOptimal`; gives ``(logits, loss)``, where the loss is zero in evaluation."""

    # the older head's contract: without the third value
    def forward(  # type: ignore[override]
        self, pooled: torch.Tensor, patches: torch.Tensor, labels: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits, loss, _ = super().forward(pooled, patches, labels)
        return logits, loss


class HeadClassifier(nn.Module):
    """
    A backbone with a :class:`HeadOptimal` or :class:`Head`, which can push its prototypes.

    Args:
        backbone: see :func:`backbone_features` for what is understood.
        head: the head.
    """

    def __init__(self, backbone: nn.Module, head: HeadOptimal) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> tuple:
        """What the head gives for images (B, M, *spatial)."""
        features = backbone_features(self.backbone, images)
        return self.head(features.pooled[:, None], features.patches, labels)

    def push_prototypes(
        self,
        dataloader: Iterable,
        device: torch.device | str,
        use_local: bool = True,
        momentum: float = 0.9,
        max_patches_per_class: int | None = 5000,
    ) -> PushReport:
        """
        Move every prototype to the nearest patch of its class, or with ``use_local=False`` to the nearest pooled
        embedding; see :func:`monai_proto.engines.push_prototypes`.

        Args:
            dataloader: yields (images, labels), or dictionaries with ``image``, ``label`` and, if there are names,
                ``image_id``; images without one are named by their number.
            device: where to run.
            use_local: patches or pooled embeddings.
            momentum: of the move.
            max_patches_per_class: patches of a class that are looked at.
        """
        batches = self._embedded(dataloader, device, use_local)
        return push_prototypes(self.head.proto_manager, batches, momentum, max_patches_per_class)

    def push_prototypes_local(
        self,
        dataloader: Iterable,
        device: torch.device | str,
        momentum: float = 0.9,
        max_patches_per_class: int | None = 5000,
    ) -> PushReport:
        """:meth:`push_prototypes` with patches."""
        return self.push_prototypes(dataloader, device, True, momentum, max_patches_per_class)

    @torch.no_grad()
    def _embedded(
        self, dataloader: Iterable, device: torch.device | str, use_local: bool
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, list[str]]]:
        training, head, seen = self.training, self.head.head, 0
        self.eval()
        try:
            for batch in dataloader:
                images, labels, names = _parts(batch, seen)
                seen += len(images)
                features = backbone_features(self.backbone, images.to(device))
                chosen = features.patches if use_local else features.pooled[:, None]
                yield head.embed(chosen), torch.as_tensor(labels).reshape(-1).long(), names
        finally:
            self.train(training)


def _parts(batch: Any, seen: int) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Images, labels and names of a batch; ``seen`` images came before."""
    images, labels = (batch["image"], batch["label"]) if isinstance(batch, dict) else batch[:2]
    names = batch.get("image_id") if isinstance(batch, dict) else None
    return images, labels, [str(n) for n in names or range(seen, seen + len(images))]
