from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.networks.blocks import CosineSimilarity, LogSimilarity


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(2, 6), st.integers(0, 999))
def test_similarities_and_distances_pair_by_pair(images, patches, prototypes, size, seed):
    generator = torch.Generator().manual_seed(seed)
    embedded = torch.randn(images, patches, size, generator=generator)
    rows = torch.randn(prototypes, size, generator=generator)
    cosine, cosine_distance = CosineSimilarity()(embedded, rows)
    logarithm, squared_distance = LogSimilarity()(embedded, rows)
    assert cosine.shape == logarithm.shape == (images, prototypes, patches)
    for b in range(images):
        for m in range(prototypes):
            for p in range(patches):
                x, y = embedded[b, p].double(), rows[m].double()
                expected = float(x @ y / x.norm() / y.norm())
                assert float(cosine[b, m, p]) == pytest.approx(expected, abs=1e-5)
                assert float(cosine_distance[b, m, p]) == pytest.approx(1 - expected, abs=1e-5)
                d = float((x - y).square().sum())
                assert float(squared_distance[b, m, p]) == pytest.approx(d, abs=1e-4)
                assert float(logarithm[b, m, p]) == pytest.approx(math.log((d + 1) / (d + 1e-4)), abs=1e-2, rel=1e-3)


def test_projections_give_embeddings_where_prototypes_start():
    features = 10 * torch.randn(50, 7)
    prototypes = torch.randn(30, 4)
    unit, box = CosineSimilarity(), LogSimilarity()
    kept = prototypes.clone()
    unit.start(prototypes)
    assert torch.equal(prototypes, kept)
    assert unit.projection(7, 4)(features).abs().max() > 1
    box.start(prototypes)
    for inside in (prototypes, box.projection(7, 4)(features)):
        assert ((inside >= 0) & (inside <= 1)).all()
        assert inside.std() > 0.1
    assert (unit.unit, box.unit) == (True, False)
