from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from monai_proto.networks.blocks import FeatureSelector, class_tiles
from monai_proto.networks.blocks.class_tiles import ClassTiles
from monai_proto.networks.blocks.selector_scores import selector_scores


def make_selectors(num_classes, dim, training):
    selectors = nn.ModuleList(FeatureSelector(dim) for _ in range(num_classes)).train(training)
    for selector in selectors:  # away from the values that a new batch normalisation has
        norm = selector[1]
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
    return selectors


def scores_one_class_at_a_time(selectors, features, labels):
    """Each selector called on its own rows; a single row has no variance and takes the running statistics."""
    scores = torch.zeros(len(features), dtype=features.dtype)
    for c, selector in enumerate(selectors):
        own = labels == c
        if own.sum() == 0:
            continue
        training = selector.training
        selector.train(training and bool(own.sum() > 1))
        scores[own] = selector(features[own]).sigmoid().squeeze(1)
        selector.train(training)
    return scores


def assert_agrees_with_each_selector_on_its_rows(features, labels, num_classes, training):
    """Scores, gradients of all weights and running statistics, against float64."""
    selectors = make_selectors(num_classes, features.shape[1], training)
    expected_selectors = copy.deepcopy(selectors).double()
    upstream = torch.randn(len(features))

    scores = selector_scores(selectors, features, labels)
    (scores * upstream).sum().backward()
    expected = scores_one_class_at_a_time(expected_selectors, features.double(), labels)
    (expected * upstream).sum().backward()

    torch.testing.assert_close(scores.double(), expected, rtol=0, atol=1e-5)
    for name, parameter in selectors[0].named_parameters():
        ours = torch.stack([s.get_parameter(name).grad for s in selectors])
        theirs = [s.get_parameter(name).grad for s in expected_selectors]
        theirs = torch.stack([torch.zeros_like(parameter).double() if g is None else g for g in theirs])
        # the first bias has no effect behind batch statistics: its gradient is zero up to rounding
        scale = upstream.norm() if name == "0.bias" else theirs.abs().max()
        assert (ours - theirs).abs().max() <= 1e-4 * scale, name
    for (name, ours), theirs in zip(selectors.named_buffers(), expected_selectors.buffers(), strict=True):
        torch.testing.assert_close(ours.to(theirs.dtype), theirs, rtol=1e-5, atol=1e-5, msg=name)


@pytest.fixture(params=[True, False], ids=["cpu", "accelerator"])
def _both_layouts(request, monkeypatch):
    """On an accelerator the number of tiles does not depend on the labels, and all are one block."""
    monkeypatch.setattr(class_tiles, "_on_cpu", lambda tensor: request.param)


@pytest.mark.usefixtures("_both_layouts")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("num_rows", "dim", "num_classes"), [(700, 5, 3), (3000, 16, 2), (256, 4, 1), (40, 3, 7)], ids=str
)
def test_scores_gradients_and_statistics(num_rows, dim, num_classes, training):
    torch.manual_seed(num_rows)
    features = torch.randn(num_rows, dim) @ torch.randn(dim, dim)
    labels = torch.randint(0, num_classes, (num_rows,))
    assert_agrees_with_each_selector_on_its_rows(features, labels, num_classes, training)


@pytest.mark.usefixtures("_both_layouts")
@pytest.mark.parametrize("training", [True, False])
def test_absent_classes_single_rows_and_ignored_labels(training):
    """Ignored rows must not enter the statistics of any class, the last one least of all."""
    torch.manual_seed(1)
    features = torch.randn(900, 6)
    labels = torch.tensor([0, -1, 3, 255]).repeat_interleave(225)[torch.randperm(900)]
    features[labels == -1] += 50
    labels[10] = 2  # class 1 is absent, class 2 has a single row
    assert_agrees_with_each_selector_on_its_rows(features, labels, 4, training)


def test_rows_far_from_the_origin():
    torch.manual_seed(2)
    features = torch.randn(2000, 8) + 30
    features[:300] += 5  # the first rows of a class are not like the others
    assert_agrees_with_each_selector_on_its_rows(features, torch.randint(0, 2, (2000,)), 2, training=True)


def test_classes_without_rows_keep_their_statistics():
    selectors = make_selectors(3, 4, training=True)
    before = copy.deepcopy(selectors)
    selector_scores(selectors, torch.randn(20, 4), torch.zeros(20, dtype=torch.long))
    for name, value in selectors.named_buffers():
        assert torch.equal(value, before.get_buffer(name)) == (not name.startswith("0."))


def test_training_argument_overrides_the_mode():
    selectors, features = make_selectors(2, 4, training=True), torch.randn(50, 4)
    labels = torch.randint(0, 2, (50,))
    before = copy.deepcopy(selectors)
    scores = selector_scores(selectors, features, labels, training=False)
    torch.testing.assert_close(scores, scores_one_class_at_a_time(before.eval(), features, labels))
    assert all(torch.equal(value, before.get_buffer(name)) for name, value in selectors.named_buffers())
    assert not torch.allclose(selector_scores(selectors, features, labels, training=True), scores, atol=1e-3)


@pytest.mark.parametrize("labels", [[-1, 7, 3], [0, 5, -9]])
def test_rows_of_no_class_score_zero(labels):
    scores = selector_scores(make_selectors(2, 4, training=False), torch.randn(3, 4), torch.tensor(labels))
    assert scores.gt(0).tolist() == [label == 0 for label in labels]
    assert scores[torch.tensor(labels) != 0].eq(0).all()


def test_no_rows():
    assert selector_scores(make_selectors(2, 4, training=True), torch.zeros(0, 4), torch.zeros(0).long()).shape == (0,)


def test_features_get_no_gradient():
    features = torch.randn(9, 4, requires_grad=True)
    selector_scores(make_selectors(1, 4, training=True), features, torch.zeros(9).long()).sum().backward()
    assert features.grad is None


@pytest.mark.parametrize("training", [True, False])
def test_float32_inside_autocast_and_for_bfloat16_rows(training):
    selectors, features = make_selectors(2, 8, training), torch.randn(300, 8).bfloat16()
    labels = torch.randint(0, 2, (300,))
    expected = selector_scores(copy.deepcopy(selectors), features.float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = selector_scores(selectors, features, labels)
    assert scores.dtype == torch.float32
    assert torch.equal(scores, expected)


def test_rows_that_are_a_view_of_a_map():
    selectors, columns = make_selectors(2, 4, training=False), torch.randn(4, 500)
    labels = torch.randint(0, 2, (500,))
    assert torch.equal(
        selector_scores(selectors, columns.T, labels), selector_scores(selectors, columns.T.contiguous(), labels)
    )


def test_result_does_not_depend_on_the_number_of_threads():
    """The rows of a block depend on it."""
    selectors, features = make_selectors(3, 4, training=False), torch.randn(40_000, 4)
    labels = torch.randint(0, 3, (40_000,))
    one = selector_scores(selectors, features, labels)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = selector_scores(selectors, features, labels)
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(one, two, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("_both_layouts")
@pytest.mark.parametrize("num_rows", [1, 255, 256, 257, 1000])
def test_tiles_hold_every_row_of_a_class_once_and_in_order(num_rows):
    torch.manual_seed(num_rows)
    labels = torch.randint(-1, 4, (num_rows,))
    tiles = ClassTiles(labels, 4)
    assert tiles.counts.tolist() == [int((labels == c).sum()) for c in range(4)]
    for c in range(4):
        held = tiles.row_of_slot[tiles.tile_class == c][tiles.in_use[tiles.tile_class == c]]
        assert held.tolist() == (labels == c).nonzero().squeeze(1).tolist()
    in_class = tiles.in_class.nonzero().squeeze(1)
    assert torch.equal(tiles.row_of_slot.reshape(-1)[tiles.slot_of_row[in_class]], in_class)
    assert tiles.in_use.sum() == len(in_class)


def test_selector_is_a_peers_sequential_that_detaches():
    selector = FeatureSelector(6)
    peer = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.LeakyReLU(0.2), nn.Linear(6, 1))
    selector.load_state_dict(peer.state_dict())
    features = torch.randn(20, 6, requires_grad=True)
    result = selector(features)
    assert torch.equal(result, peer(features))
    result.sum().backward()
    assert features.grad is None
    assert selector[0].weight.grad is not None
