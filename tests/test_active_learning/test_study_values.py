from __future__ import annotations

import math
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from monai_proto.active_learning import (
    class_feature_means,
    embedding_distances,
    foreground_entropy,
    prototype_distances,
    relative_prototype_distances,
    thumbnail_embedding,
)

seeds = st.integers(0, 2**31 - 1)


def random_case(seed, num_classes=4, grid=(3, 2, 4), factor=2):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(5, *grid, generator=generator)
    labels = torch.randint(-1, num_classes, [factor * size for size in grid], generator=generator)
    return features, labels


def slow_distances(features, labels, prototypes, factor):
    """Voxel by voxel, with the feature of the cell that the voxel lies in."""
    per_class = [[] for _ in prototypes]
    for place in product(*map(range, labels.shape)):
        label = int(labels[place])
        if label >= 0:
            feature = features[(slice(None), *(axis // factor for axis in place))]
            per_class[label].append(1 - float(F.cosine_similarity(feature, prototypes[label], dim=0)))
    return torch.tensor([sum(values) / len(values) if values else 1.0 for values in per_class])


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from([1, 2]))
def test_distances_are_the_means_over_the_voxels(seed, factor):
    features, labels = random_case(seed, factor=factor)
    prototypes = torch.randn(4, 5, generator=torch.Generator().manual_seed(seed))
    means, voxels = class_feature_means(features, labels, 4)
    torch.testing.assert_close(
        prototype_distances(means, prototypes), slow_distances(features, labels, prototypes, factor)
    )
    assert voxels.tolist() == [int((labels == c).sum()) for c in range(4)]


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.01, 100))
def test_length_of_features_and_prototypes_does_not_matter(seed, factor):
    features, labels = random_case(seed)
    prototypes = torch.randn(4, 5, generator=torch.Generator().manual_seed(seed))
    (means, _), (scaled, _) = (class_feature_means(f, labels, 4) for f in (features, factor * features))
    torch.testing.assert_close(prototype_distances(means, prototypes), prototype_distances(scaled, factor * prototypes))


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_relative_distance_falls_when_the_background_moves_away_from_the_prototypes(seed):
    features, labels = random_case(seed, factor=1)
    assume((labels == 0).any())
    prototype = torch.ones(5)
    opposite = torch.where(labels == 0, -prototype.view(5, 1, 1, 1), features)
    alike = torch.where(labels == 0, prototype.view(5, 1, 1, 1), features)
    far, near = (
        relative_prototype_distances(class_feature_means(f, labels, 4)[0], prototype.expand(4, 5))
        for f in (opposite, alike)
    )
    means, _ = class_feature_means(features, labels, 4)
    own = prototype_distances(means, prototype.expand(4, 5))[1:]
    torch.testing.assert_close(far[1:], own - 2)
    torch.testing.assert_close(near[1:], own)


def test_a_structure_of_one_voxel_is_not_lost_on_a_coarser_grid():
    features = torch.randn(5, 4, 4)
    labels = torch.zeros(16, 16, dtype=torch.long)
    labels[5, 9] = 1
    means, voxels = class_feature_means(features, labels, 2)
    torch.testing.assert_close(means[1], F.normalize(features[:, 1, 2], dim=0))
    assert voxels[1] == 1


def test_class_without_voxels_has_a_mean_of_zeros_and_distance_one():
    features, labels = random_case(0)
    means, voxels = class_feature_means(features, labels.clamp(max=2), 4)
    assert not means[3].any()
    assert voxels[3] == 0
    assert prototype_distances(means, torch.ones(4, 5))[3] == 1


def slow_entropy(logits, margin):
    probabilities = logits.double().softmax(0)
    foreground = torch.nonzero(logits.argmax(0) > 0)
    values = []
    for place in product(*map(range, logits.shape[1:])):
        gaps = (foreground - torch.tensor(place)).abs().amax(1)
        if not len(gaps) or gaps.min() <= margin:
            p = probabilities[(slice(None), *place)]
            values.append(float(-(p * p.log()).sum()) / math.log(len(p)))
    return sum(values) / len(values)


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(0, 2), st.sampled_from([(7, 9), (5, 4, 6)]))
def test_entropy_is_the_mean_over_the_foreground_and_its_surroundings(seed, margin, shape):
    logits = torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed))
    logits[0] += 2.5
    assert float(foreground_entropy(logits, margin)) == pytest.approx(slow_entropy(logits, margin), abs=1e-5)


def test_entropy_of_a_volume_without_foreground_is_that_of_the_whole_volume():
    logits = torch.stack([torch.ones(6, 6), torch.linspace(-3, 0.9, 36).reshape(6, 6)])
    assert float(foreground_entropy(logits)) == pytest.approx(slow_entropy(logits, 4), abs=1e-6)


def test_entropy_does_not_depend_on_how_much_background_a_study_shows():
    logits = torch.zeros(2, 20, 20)  # the surroundings of 4 voxels end within
    logits[0], logits[:, 8:12, 8:12] = 9.0, torch.tensor([-1.0, 1.0])[:, None, None]
    wide = F.pad(logits, (10, 10, 10, 10), mode="replicate")
    assert float(foreground_entropy(wide)) == pytest.approx(float(foreground_entropy(logits)), rel=1e-5)


@pytest.mark.parametrize(
    ("logits", "margin", "message"), [(torch.zeros(1, 4, 4), 2, "logits"), (torch.zeros(2, 4, 4), -1, "margin")]
)
def test_entropy_names_bad_arguments(logits, margin, message):
    with pytest.raises(ValueError, match=message):
        foreground_entropy(logits, margin)


def slow_embedding_distance(first, second):
    terms = []
    for a, b in zip(first, second, strict=True):
        if a.any() or b.any():
            terms.append(1 - float(F.cosine_similarity(a, b, dim=0)) if a.any() and b.any() else 1.0)
    return sum(terms) / len(terms) if terms else 0.0


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_embedding_distances_against_a_loop_over_the_classes(seed):
    generator = torch.Generator().manual_seed(seed)
    first, second = (
        torch.randn(n, 3, 4, generator=generator) * (torch.rand(n, 3, 1, generator=generator) > 0.4) for n in (4, 5)
    )
    slow = torch.tensor([[slow_embedding_distance(a, b) for b in second] for a in first])
    torch.testing.assert_close(embedding_distances(first, second), slow, atol=1e-5, rtol=0)
    torch.testing.assert_close(embedding_distances(second, first), slow.T, atol=1e-5, rtol=0)


def test_embeddings_of_another_form_are_refused():
    with pytest.raises(ValueError, match="second"):
        embedding_distances(torch.ones(2, 3, 4), torch.ones(2, 3, 5))


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.1, 1e5), st.floats(-1e3, 1e3))
def test_thumbnail_does_not_change_with_brightness_and_contrast(seed, contrast, brightness):
    image = torch.randn(1, 20, 17, 24, generator=torch.Generator().manual_seed(seed)).double()
    torch.testing.assert_close(
        thumbnail_embedding(image), thumbnail_embedding(contrast * image + brightness), atol=1e-2, rtol=0
    )
    assert float(thumbnail_embedding(image).norm()) == pytest.approx(1, abs=1e-5)


def test_thumbnail_tells_similar_images_from_others():
    generator = torch.Generator().manual_seed(0)
    image, other = (torch.randn(1, 32, 32, 32, generator=generator) for _ in range(2))
    similar = image + 0.1 * torch.randn(image.shape, generator=generator)
    first, near, far = (thumbnail_embedding(i).unsqueeze(0) for i in (image, similar, other))
    assert embedding_distances(first, near) < 0.1 < 0.8 < embedding_distances(first, far)


def test_thumbnail_of_an_image_without_contrast_is_zero_and_a_broken_one_is_refused():
    assert not thumbnail_embedding(torch.full((1, 9, 9), 7.0)).any()
    with pytest.raises(ValueError, match="finite"):
        thumbnail_embedding(torch.full((1, 9, 9), float("nan")))
    with pytest.raises(ValueError, match="spatial"):
        thumbnail_embedding(torch.zeros(9, 9))
