from __future__ import annotations

import pytest
import torch

from monai_proto.networks.blocks import PrototypeHead, ProvenanceRecord
from monai_proto.networks.explanation import evidence_map, explain

GRID = (2, 3)


@pytest.fixture
def answered():
    torch.manual_seed(0)
    head = PrototypeHead(3, 8, 2, 5, num_prototypes=2, max_prototypes=3)
    torch.nn.init.normal_(head.class_weight)
    torch.nn.init.normal_(head.class_bias)
    patches = torch.randn(2, 5, *GRID)
    return head, head(patches.mean(dim=(2, 3)), patches)


def test_evidence_is_ordered_and_is_the_terms_of_the_sum(answered):
    head, output = answered
    for i, explanation in enumerate(explain(head, output, ["a", "b"], GRID, num_prototypes=99)):
        assert explanation.answer == int(output.logits[i].argmax())
        supporting = [e.contribution for e in explanation.supporting]
        opposing = [e.contribution for e in explanation.opposing]
        assert supporting == sorted(supporting, reverse=True)
        assert opposing == sorted(opposing)
        assert all(c > 0 for c in supporting)
        assert all(c < 0 for c in opposing)
        total = sum(supporting) + sum(opposing) + float(head.class_bias[explanation.answer])
        assert total == pytest.approx(float(output.logits[i, explanation.answer]), abs=1e-4)


def test_each_prototype_says_where_it_looks_and_where_it_comes_from(answered):
    head, output = answered
    record = ProvenanceRecord("training.png", 4, (0.5, 1.0, 0.0, 0.5), 0.0, 12)
    slots = head.bank.valid_slots.tolist()
    for slot in slots:
        head.bank.provenance.record(slot, record)
    (explanation, _) = explain(head, output, ["a", "b"], GRID, num_prototypes=99)
    for evidence in explanation.supporting + explanation.opposing:
        index = slots.index(evidence.slot)
        assert evidence.source == record
        assert evidence.label == int(output.prototype_labels[index])
        assert evidence.activation.shape == GRID
        row, column = divmod(int(output.patch_similarities[0, index].argmax()), 3)
        assert evidence.box == pytest.approx((row / 2, (row + 1) / 2, column / 3, (column + 1) / 3))
        assert evidence.similarity == pytest.approx(float(output.similarities[0, index]))


def test_abstains_above_the_threshold(answered):
    head, output = answered
    unsure = [float(u) for u in output.uncertainty.detach()]
    threshold = sum(unsure) / 2
    flags = [e.abstained for e in explain(head, output, ["a", "b"], GRID, abstain_above=threshold)]
    assert flags == [u > threshold for u in unsure]
    assert True in flags
    assert False in flags


def test_evidence_map_is_the_slow_sum(answered):
    head, output = answered
    contributions = head.contributions(output)
    for i, found in enumerate(evidence_map(head, output, num_prototypes=2)):
        own = contributions[i, int(output.logits[i].argmax())].detach()
        expected = torch.zeros(6)
        for j in own.argsort(descending=True)[:2].tolist():
            expected += max(float(own[j]), 0.0) * output.patch_similarities[i, j].detach()
        torch.testing.assert_close(found, expected)


def test_ids_and_grid_must_fit(answered):
    head, output = answered
    with pytest.raises(ValueError, match="there must be 2 image ids and a grid of 6 patches"):
        explain(head, output, ["a"], GRID)
    with pytest.raises(ValueError, match="grid of 6 patches"):
        explain(head, output, ["a", "b"], (3, 3))
