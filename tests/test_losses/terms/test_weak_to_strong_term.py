from __future__ import annotations

import pytest
import torch
from toy_step import CLASSES, toy_network, toy_step

from monai_proto.losses.terms import WeakToStrongTerm
from monai_proto.losses.terms.weak_to_strong_term import confident_cross_entropy


def slow_cross_entropy(logits: torch.Tensor, source: torch.Tensor, confidence: float) -> float:
    """Voxel by voxel: -log of the probability of the source's class where the source is sure, over all voxels."""
    total, voxels, logits = 0.0, 0, logits.detach()
    for b in range(logits.shape[0]):
        for x in range(logits.shape[2]):
            for y in range(logits.shape[3]):
                voxels += 1
                probabilities = source[b, :, x, y].softmax(0)
                if probabilities.max() >= confidence:
                    total -= float(logits[b, :, x, y].log_softmax(0)[int(probabilities.argmax())])
    return total / voxels


@pytest.mark.parametrize("teacher", [None, toy_network(5)])
def test_both_strong_views_and_the_dropped_features_against_loops(teacher):
    term = WeakToStrongTerm(confidence=0.4, dropout=0.5)
    network = toy_network()
    step = toy_step(term.views, network, teacher=teacher)
    torch.manual_seed(3)
    value = term(step)

    weak = step.unlabelled["image"]
    source = (teacher or network)(weak).detach()
    everything = network(torch.cat([step.images, step.unlabelled["image_strong"], step.unlabelled["image_strong_2"]]))
    torch.manual_seed(3)
    features = network.network(weak)
    mask = torch.feature_dropout(torch.ones_like(features), 0.5, True)
    for channel in mask.flatten(0, 1):
        assert channel.unique().tolist() in ([0.0], [2.0])
    perturbed = network.output_layer(features * mask)
    strong = [slow_cross_entropy(everything[rows], source, 0.4) for rows in (slice(2, 5), slice(5, 8))]
    expected = 0.25 * strong[0] + 0.25 * strong[1] + 0.5 * slow_cross_entropy(perturbed, source, 0.4)
    assert value.item() == pytest.approx(expected, rel=1e-5)
    value.backward()
    assert all(torch.isfinite(p.grad).all() for p in network.network.parameters())


def test_unsure_voxels_teach_nothing():
    term = WeakToStrongTerm(confidence=1.0)
    assert term(toy_step(term.views)) == 0
    logits = torch.randn(1, CLASSES, 4, 4)
    assert confident_cross_entropy(logits, torch.full((1, 1, 4, 4), -1)) == 0


def test_a_loader_without_strong_views_is_named():
    term = WeakToStrongTerm()
    with pytest.raises(ValueError, match="image_strong_2"):
        term(toy_step(term.views, strong=1))
    with pytest.raises(ValueError, match="strong_keys must name"):
        WeakToStrongTerm(strong_keys=[])
    with pytest.raises(ValueError, match=r"dropout must be between 0 and 1, got 1\.5"):
        WeakToStrongTerm(dropout=1.5)
