from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from monai_proto.networks.blocks import (
    AbstentionShare,
    CosineSimilarity,
    LogSimilarity,
    PatchEvidence,
    PrototypeHead,
)

CLASSES, DIM, CHANNELS = 3, 8, 12


def make_head(**options) -> PrototypeHead:
    torch.manual_seed(0)
    return PrototypeHead(CLASSES, DIM, 2, CHANNELS, num_prototypes=2, max_prototypes=4, **options).eval()


def slow_logits(head: PrototypeHead, patches: torch.Tensor) -> list[float]:
    """Logits of one image, written out: patches (P, F)."""
    bank = head.bank
    slots = [s for s in range(len(bank.valid_mask)) if bank.valid_mask[s]]
    scale = math.exp(head.log_scale.detach()) * head.num_classes / len(slots)
    logits = []
    for c in range(CLASSES):
        total = float(head.class_bias[c])
        for slot in slots:
            similarities = []
            for patch in patches:
                x, p = head.proj(patch), bank.prototypes[slot]
                if head.similarity.unit:
                    similarity = float(x @ p / x.norm() / p.norm())
                else:
                    d = float((x - p).square().sum())
                    similarity = math.log((d + 1) / (d + 1e-4))
                similarities.append(similarity)
            highest = sorted(similarities, reverse=True)[: head.evidence.top_k]
            best = sum(highest) / len(highest)
            total += scale * float(head.class_weight[c, slot]) * best
        logits.append(total)
    return logits


@pytest.mark.parametrize("top_k", [1, 3, 9])  # 9 is more than the image has
@pytest.mark.parametrize("distance", ["cosine", "l2"])
def test_logits_are_the_written_out_sum(distance, top_k):
    head = make_head(distance=distance, evidence=PatchEvidence(top_k))
    torch.nn.init.normal_(head.class_weight)
    torch.nn.init.normal_(head.class_bias)
    patches = torch.randn(2, 6, CHANNELS)
    output = head(patches.mean(dim=1), patches)
    expected = torch.tensor([slow_logits(head, image) for image in patches])
    torch.testing.assert_close(output.logits, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(head.logits(patches), output.logits)
    if distance == "cosine":
        torch.testing.assert_close(output.distances, 1 - output.similarities)


@pytest.mark.parametrize("attention", [False, True])
def test_contributions_and_bias_sum_to_the_logits(attention):
    head = make_head(attention=attention)
    if attention:
        torch.nn.init.normal_(head.relevance.weight)
    torch.nn.init.normal_(head.class_bias)
    output = head(torch.randn(2, CHANNELS), torch.randn(2, CHANNELS, 3, 4))
    total = head.contributions(output).sum(dim=2) + head.class_bias
    torch.testing.assert_close(total, output.logits)
    if attention:
        assert output.relevance.std() > 1e-3


def test_shapes_of_two_and_three_dimensional_maps_and_of_tokens():
    head = make_head()
    for patches, count in (
        (torch.randn(2, CHANNELS, 3, 4), 12),
        (torch.randn(2, CHANNELS, 2, 3, 2), 12),
        (torch.randn(2, 5, CHANNELS), 5),
    ):
        output = head(torch.randn(2, CHANNELS), patches)
        assert output.logits.shape == (2, CLASSES)
        assert output.embedding.shape == (2, DIM)
        assert output.similarities.shape == output.distances.shape == output.relevance.shape == (2, 6)
        assert output.patch_similarities.shape == (2, 6, count)
        assert output.uncertainty.shape == (2,)
        torch.testing.assert_close(output.similarities, output.patch_similarities.amax(dim=2))


def test_a_map_and_its_tokens_give_the_same():
    head, patches = make_head(), torch.randn(2, CHANNELS, 3, 4)
    tokens = torch.stack([patches[:, :, i, j] for i in range(3) for j in range(4)], dim=1)
    pooled = torch.randn(2, CHANNELS)
    for first, second in zip(head(pooled, patches), head(pooled, tokens), strict=True):
        torch.testing.assert_close(first, second)


def test_pooled_features_alone_are_the_patches():
    head, pooled = make_head(), torch.randn(2, 3, CHANNELS)
    torch.testing.assert_close(head(pooled).logits, head(pooled.mean(dim=1), pooled).logits)
    embedding = F.normalize(F.normalize(head.proj(pooled), dim=-1).mean(dim=1), dim=-1)
    torch.testing.assert_close(head(pooled).embedding, embedding)


def test_the_output_does_not_depend_on_training():
    head, features = make_head(abstention=True), (torch.randn(2, CHANNELS), torch.randn(2, 5, CHANNELS))
    for first, second in zip(head.eval()(*features), head.train()(*features), strict=True):
        torch.testing.assert_close(first, second)


def test_uncertainty_without_abstention_is_the_entropy_of_the_answer():
    head = make_head()
    output = head(torch.randn(4, CHANNELS), torch.randn(4, 6, CHANNELS))
    for uncertainty, probabilities in zip(output.uncertainty, output.logits.softmax(dim=1), strict=True):
        entropy = -sum(float(p) * math.log(float(p)) for p in probabilities)
        assert float(uncertainty) == pytest.approx(entropy / math.log(CLASSES), abs=1e-5)
    torch.nn.init.zeros_(head.class_weight)
    torch.testing.assert_close(head(torch.randn(2, CHANNELS)).uncertainty, torch.ones(2))
    head.class_bias.data[0] = 1e4
    torch.testing.assert_close(head(torch.randn(2, CHANNELS)).uncertainty, torch.zeros(2))


def test_pooled_classifier_is_a_linear_layer_that_changes_no_answer():
    plain, head = make_head(), make_head(pooled_classifier=True)
    assert plain(torch.randn(2, CHANNELS)).pooled_logits.shape == (2, 0)
    head.load_state_dict({**head.state_dict(), **plain.state_dict()})
    pooled, patches = torch.randn(2, 3, CHANNELS), torch.randn(2, 5, CHANNELS)
    output = head(pooled, patches)
    torch.testing.assert_close(output.logits, plain(pooled, patches).logits)
    layer = head.pooled_classifier[1]
    torch.testing.assert_close(output.pooled_logits, pooled.mean(dim=1) @ layer.weight.T + layer.bias)
    assert not {id(value) for value in head.last_layer_parameters()} & {id(layer.weight), id(layer.bias)}


def test_abstention_takes_its_share_of_the_probability_mass():
    head = make_head(abstention=True)
    patches = torch.randn(4, 5, CHANNELS)
    output = head(patches.mean(dim=1), patches)
    unit = F.normalize(head.proj(patches), dim=-1)
    similarity = (unit @ F.normalize(head.abstention_prototype, dim=-1).T).amax(dim=(1, 2))
    abstain = head.log_scale.exp() * (similarity + head.abstention_bias)
    expected = torch.cat([output.logits, abstain[:, None]], dim=1).softmax(dim=1)[:, -1]
    torch.testing.assert_close(output.uncertainty, expected)


def test_unused_slots_do_not_matter_and_growing_does():
    head, features = make_head(), (torch.randn(2, CHANNELS), torch.randn(2, 5, CHANNELS))
    before = head(*features).logits
    with torch.no_grad():
        head.bank.prototypes[~head.bank.valid_mask] = 5.0
    torch.testing.assert_close(head(*features).logits, before)
    head.bank.grow(0, torch.randn(DIM))
    assert head(*features).similarities.shape == (2, 7)
    assert (head(*features).logits - before).abs().max() > 1e-4


@pytest.mark.parametrize("distance", ["cosine", "l2"])
def test_runs_under_autocast_close_to_full_precision(distance):
    head, features = make_head(distance=distance), (torch.randn(2, CHANNELS), torch.randn(2, 5, CHANNELS))
    full = head(*features).logits
    with torch.autocast("cpu", torch.bfloat16):
        half = head(*features).logits
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, atol=0.1, rtol=0.1)


def test_presets():
    head = PrototypeHead.preset("protopnet", CLASSES, DIM, 2, CHANNELS)
    assert isinstance(head.similarity, LogSimilarity)
    assert not head.bank.normalize
    output = head(torch.randn(2, CHANNELS))
    own = F.one_hot(output.prototype_labels, CLASSES).T.bool()
    weights = torch.where(own, 1.0, -0.5)  # ProtoPNet's last layer at the start
    torch.testing.assert_close(output.logits, output.similarities @ weights.T)
    assert PrototypeHead.preset("protoasnet", CLASSES, DIM, 2, CHANNELS).abstention_prototype is not None
    with pytest.raises(ValueError, match="name must be one of"):
        PrototypeHead.preset("prototree", CLASSES, DIM, 2, CHANNELS)


def test_features_that_do_not_fit():
    head = make_head()
    with pytest.raises(ValueError, match="features must be patches"):
        head(torch.randn(2, CHANNELS + 1))
    with pytest.raises(ValueError, match="features must be patches"):
        head(torch.randn(2, CHANNELS), torch.randn(2, CHANNELS + 1, 3, 3))
    with pytest.raises(ValueError, match="same batch, got 2 and 3"):
        head(torch.randn(2, CHANNELS), torch.randn(3, 4, CHANNELS))
    with pytest.raises(ValueError, match="distance must be one of"):
        make_head(distance="euclid")
    with pytest.raises(ValueError, match="in_features must be at least 1, got 0"):
        PrototypeHead(CLASSES, DIM, 2, 0)


def test_parts_can_be_replaced():
    """A similarity, an evidence and an abstention of one's own; a checkpoint has the same keys."""

    class Halved(CosineSimilarity):
        def forward(self, patches, prototypes):
            similarities, distances = super().forward(patches, prototypes)
            return similarities / 2, distances

    class MeanEvidence(PatchEvidence):
        def pool(self, patch_similarities):
            patches = torch.arange(patch_similarities.shape[2])
            return patch_similarities.mean(dim=2), patches.expand(patch_similarities.shape)

    plain = make_head(abstention=True)
    head = make_head(distance=Halved(), evidence=MeanEvidence(), abstention=AbstentionShare(first_bias=-3.0))
    assert list(head.state_dict()) == list(plain.state_dict())
    assert float(head.abstention_bias.detach()) == -3
    pooled, patches = torch.randn(2, CHANNELS), torch.randn(2, 5, CHANNELS)
    output, expected = head(pooled, patches), plain(pooled, patches)
    torch.testing.assert_close(output.similarities, expected.patch_similarities.mean(dim=2) / 2)
    torch.testing.assert_close(output.distances, 1 - expected.patch_similarities.mean(dim=2))


def test_keys_of_a_checkpoint():
    """Those of the weights that ship."""
    head = make_head(abstention=True, attention=True, pooled_classifier=True)
    own = {name for name in head.state_dict() if not name.startswith(("bank.", "attention."))}
    assert own == {
        "class_weight", "class_bias", "log_scale", "abstention_prototype", "abstention_bias", "proj.weight",
        "proj.bias", "relevance.weight", "relevance.bias", "pooled_classifier.1.weight", "pooled_classifier.1.bias",
    }  # fmt: skip
