"""A classifier's last layers whose answer is a sum over prototypes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from monai_proto.networks.blocks.answer_uncertainty import AbstentionShare, answer_entropy
from monai_proto.networks.blocks.mixed_attention_block import MixedAttentionBlock
from monai_proto.networks.blocks.patch_evidence import PatchEvidence
from monai_proto.networks.blocks.prototype_bank import PrototypeBank
from monai_proto.networks.blocks.prototype_similarity import CosineSimilarity, LogSimilarity, PatchSimilarity

__all__ = ["PrototypeHead", "PrototypeHeadOutput"]

_POOLED_DROPOUT = 0.2
_SIMILARITIES: dict[str, Callable[[], PatchSimilarity]] = {"cosine": CosineSimilarity, "l2": LogSimilarity}


class PrototypeHeadOutput(NamedTuple):
    """
    What :class:`PrototypeHead` gives for B images with P patches, M prototypes in use, C classes.

    Attributes:
        logits: (B, C).
        embedding: pooled embedding (B, D); a unit vector with the cosine distance.
        similarities: (B, M), of each prototype to the image: what :class:`PatchEvidence` makes of those to patches.
        patch_similarities: (B, M, P).
        uncertainty: (B,), 0 sure to 1: share of the abstention prototype; without one, the entropy of the softmax
            over that of equal probabilities.
        distances: (B, M), of each prototype to the same patches: mean of 1 - cosine, or of squared Euclidean.
        relevance: (B, M), factor of each prototype in the logits; 1 without attention.
        prototypes: (M, D), in use.
        prototype_labels: classes (M,) of the prototypes.
        pooled_logits: (B, C), of the pooled classifier; (B, 0) where the head has none.
    """

    logits: torch.Tensor
    embedding: torch.Tensor
    similarities: torch.Tensor
    patch_similarities: torch.Tensor
    uncertainty: torch.Tensor
    distances: torch.Tensor
    relevance: torch.Tensor
    prototypes: torch.Tensor
    prototype_labels: torch.Tensor
    pooled_logits: torch.Tensor


class PrototypeHead(nn.Module):
    """
    Compares the patches of an image with prototypes, and adds up what the prototypes say for each class:

    ``logit_c = scale * sum_j weight_cj * relevance_j * similarity_j + bias_c``

    so that a prototype's share in an answer is one term of a sum (:meth:`contributions`). The head holds the weights;
    three parts say what is done with them: how alike a patch and a prototype are (``distance``), what patches say for
    prototypes and prototypes for classes (``evidence``), and how unsure the answer is (``abstention``).

    The attention block only weighs prototypes by image: it sees prototypes and patches, and yields a relevance of 0 to
    2 that starts at 1. It never moves a prototype, which would part it from the training patch that it was pushed to.

    Works on 2-D and 3-D features.

    Args:
        num_classes: number C of classes.
        embedding_dim: size D of an embedding.
        num_heads: heads of the attention block.
        in_features: channels F of the features.
        num_prototypes: prototypes of a class at the start.
        max_prototypes: slots of a class, see :class:`PrototypeBank`.
        distance: ``"cosine"``, or ``"l2"`` with ProtoPNet's log similarity; or a :class:`PatchSimilarity`.
        abstention: whether an abstention prototype takes a share of the probability mass, or the
            :class:`AbstentionShare` that says how large it is. Without, the uncertainty is :func:`answer_entropy`.
        attention: whether the relevance of a prototype depends on the image. Off by default: it was slower and no
            better (``benchmarks.prototype_head``).
        evidence: by default :class:`PatchEvidence` as it comes, which is the best patch of a prototype.
        spatial_dims: axes of the provenance's boxes.
        pooled_classifier: whether a linear classifier of the pooled features is trained beside the prototypes (deep
            supervision, Lee et al., AISTATS 2015). Only the best patches of an image give the backbone a gradient from
            prototypes; this one gives it one from all of them. It takes no part in any answer.

    Raises:
        ValueError: when a size or a choice does not fit.

    Example::

        head = PrototypeHead(num_classes=7, embedding_dim=64, num_heads=4, in_features=1280)
        output = head(torch.randn(2, 1280), torch.randn(2, 1280, 7, 7))
        output.logits.shape, output.patch_similarities.shape  # (2, 7), (2, 35, 49)
    """

    def __init__(
        self,
        num_classes: int,
        embedding_dim: int,
        num_heads: int,
        in_features: int,
        num_prototypes: int = 5,
        max_prototypes: int = 10,
        distance: str | PatchSimilarity = "cosine",
        abstention: bool | AbstentionShare = False,
        attention: bool = False,
        evidence: PatchEvidence | None = None,
        spatial_dims: int = 2,
        pooled_classifier: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(distance, str) and distance not in _SIMILARITIES:
            raise ValueError(f"distance must be one of {tuple(_SIMILARITIES)}, got {distance!r}.")
        if in_features < 1:
            raise ValueError(f"in_features must be at least 1, got {in_features}.")
        self.num_classes = num_classes
        self.in_features = in_features
        self.similarity: PatchSimilarity = _SIMILARITIES[distance]() if isinstance(distance, str) else distance
        self.evidence = PatchEvidence() if evidence is None else evidence
        self.abstention = AbstentionShare() if abstention is True else (abstention or None)
        self.bank = PrototypeBank(
            num_classes,
            embedding_dim,
            num_prototypes,
            max_prototypes,
            normalize=self.similarity.unit,
            spatial_dims=spatial_dims,
        )
        self.proj = self.similarity.projection(in_features, embedding_dim)
        self.similarity.start(self.bank.prototypes)
        self.attention = MixedAttentionBlock(embedding_dim, num_heads) if attention else None
        self.relevance = nn.Linear(embedding_dim, 1) if attention else None
        if self.relevance is not None:
            nn.init.zeros_(self.relevance.weight)
            nn.init.zeros_(self.relevance.bias)
        self.class_weight = nn.Parameter(self.evidence.first_weights(self.bank.prototype_labels, num_classes))
        self.class_bias = nn.Parameter(torch.zeros(num_classes))
        self.log_scale = nn.Parameter(self.evidence.first_log_scale())
        self.abstention_prototype = None if self.abstention is None else nn.Parameter(torch.rand(1, embedding_dim))
        classifier = nn.Sequential(nn.Dropout(_POOLED_DROPOUT), nn.Linear(in_features, num_classes))
        self.pooled_classifier = classifier if pooled_classifier else None
        bias = None if self.abstention is None else torch.tensor(self.abstention.first_bias)
        self.abstention_bias = None if bias is None else nn.Parameter(bias)

    @classmethod
    def preset(
        cls, name: str, num_classes: int, embedding_dim: int, num_heads: int, in_features: int, **options: Any
    ) -> PrototypeHead:
        """
        A head in the way of another method, for comparison; use :meth:`PrototypeLoss.preset` of the same name.

        Args:
            name: ``"protopnet"`` (Chen et al., NeurIPS 2019): Euclidean distance, log similarity, weights 1 and -0.5;
                ``"protoasnet"`` (Vaseli et al., MICCAI 2023): cosine, with an abstention prototype.
            num_classes, embedding_dim, num_heads, in_features: as of the class.
            options: further arguments, which go before those of the preset.

        Raises:
            ValueError: when the name is unknown.
        """
        presets: dict[str, dict[str, Any]] = {
            # five prototypes of a class and a scale of 5: weights of 1 and -0.5 on the similarities as they are
            "protopnet": {"distance": "l2", "num_prototypes": 5, "evidence": PatchEvidence(1, 5.0, -0.5)},
            "protoasnet": {"distance": "cosine", "abstention": True, "evidence": PatchEvidence(other_class_weight=0.0)},
        }
        if name not in presets:
            raise ValueError(f"name must be one of {tuple(presets)}, got {name!r}.")
        return cls(num_classes, embedding_dim, num_heads, in_features, **{**presets[name], **options})

    def last_layer_parameters(self) -> list[nn.Parameter]:
        """What ProtoPNet's last stage trains: weights, bias and scale of the logits."""
        return [self.class_weight, self.class_bias, self.log_scale]

    @torch.no_grad()
    def reset_slots(self, slots: Sequence[int]) -> None:
        """Set the weights of prototypes to their start: 1 for the own class."""
        index = torch.as_tensor(slots, dtype=torch.long, device=self.class_weight.device)
        self.class_weight[:, index] = self.evidence.first_weights(self.bank.prototype_labels[index], self.num_classes)

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """
        Args:
            features: patches (B, P, F) or a map (B, F, *grid).

        Returns:
            patch embeddings (B, P, D), the last axis of the grid fastest; unit rows with the cosine distance.

        Raises:
            ValueError: when the features have another size than ``in_features``.
        """
        if features.ndim > 3:
            features = features.flatten(2).transpose(1, 2)
        if features.ndim != 3 or features.shape[-1] != self.in_features:
            expected = f"patches (B, P, {self.in_features}) or a map (B, {self.in_features}, *grid)"
            raise ValueError(f"features must be {expected}, got {list(features.shape)}.")
        return self._scaled(self.proj(features).float())

    def forward(self, pooled: torch.Tensor, patches: torch.Tensor | None = None) -> PrototypeHeadOutput:
        """
        Args:
            pooled: pooled features (B, F), or several an image (B, n, F), of which the embedding is the mean.
            patches: patch features (B, P, F) or a map (B, F, *grid); None takes the pooled features as patches.

        Raises:
            ValueError: when the features have another size than ``in_features``, or the batches differ.
        """
        pooled = pooled[:, None] if pooled.ndim == 2 else pooled
        patches = pooled if patches is None else patches
        if len(pooled) != len(patches):
            raise ValueError(f"pooled and patches must have the same batch, got {len(pooled)} and {len(patches)}.")
        embedding = self._scaled(self.embed(pooled).mean(dim=1))
        if self.pooled_classifier is None:
            return self.compare(embedding, self.embed(patches))
        return self.compare(embedding, self.embed(patches), self.pooled_classifier(pooled.mean(dim=1)))

    def compare(
        self, embedding: torch.Tensor, patches: torch.Tensor, pooled_logits: torch.Tensor | None = None
    ) -> PrototypeHeadOutput:
        """
        The answer for embeddings.

        Args:
            embedding: pooled embedding (B, D).
            patches: patch embeddings (B, P, D).
            pooled_logits: (B, C), passed on; the pooled classifier looks at features.
        """
        # distances are differences of large numbers: half precision would lose them
        with torch.autocast(patches.device.type, enabled=False):
            prototypes = self.bank.valid_prototypes()
            patch_similarities, distance_map = self.similarity(patches, prototypes)
            best, places = self.evidence.pool(patch_similarities)
            distances = distance_map.gather(2, places).mean(dim=2)
        relevance = self._relevance(prototypes, patches, best)
        with torch.autocast(patches.device.type, enabled=False):
            logits = self._weigh(relevance * best)
            uncertainty = self._uncertainty(logits, patches)
        return PrototypeHeadOutput(
            logits,
            embedding,
            best,
            patch_similarities,
            uncertainty,
            distances,
            relevance,
            prototypes,
            self.bank.valid_labels(),
            logits.new_empty((len(logits), 0)) if pooled_logits is None else pooled_logits,
        )

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """
        The logits alone, in operations that TorchScript knows; in full precision.

        Args:
            features: patches (B, P, F) or a map (B, F, *grid).

        Returns:
            (B, C).
        """
        patches, prototypes = self.embed(features), self.bank.valid_prototypes()
        best = self.evidence.pool(self.similarity(patches, prototypes)[0])[0]
        return self._weigh(self._relevance(prototypes, patches, best) * best)

    def contributions(self, output: PrototypeHeadOutput) -> torch.Tensor:
        """What each prototype adds to each logit (B, C, M); with ``class_bias`` they sum to the logits."""
        weights = self.class_weight[:, self.bank.valid_slots]
        return self.evidence.contributions(output.relevance * output.similarities, weights, self.log_scale)

    def _scaled(self, embedded: torch.Tensor) -> torch.Tensor:
        return F.normalize(embedded, dim=-1) if self.similarity.unit else embedded

    def _weigh(self, evidence: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) from what each prototype says (B, M)."""
        weights = self.class_weight[:, self.bank.valid_slots]
        return self.evidence.weigh(evidence, weights, self.class_bias, self.log_scale)

    def _relevance(self, prototypes: torch.Tensor, patches: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        if self.attention is None or self.relevance is None:
            return torch.ones_like(like)
        mixed = self.attention(prototypes.expand(len(patches), -1, -1), patches)
        return 2 * torch.sigmoid(self.relevance(mixed).squeeze(-1).float())

    def _uncertainty(self, logits: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
        if self.abstention is None:
            return answer_entropy(logits)
        similarities, _ = self.similarity(patches, self.abstention_prototype)
        return self.abstention(logits, similarities.amax(dim=(1, 2)), self.abstention_bias, self.log_scale)
