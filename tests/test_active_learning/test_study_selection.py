from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.active_learning import SelectionWeights, StudyScore, embedding_distances, select_study

seeds = st.integers(0, 2**31 - 1)


def make_scores(seed, count=7, ties=False):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(count, 2, generator=generator)
    values = (values * 3).round() / 3 if ties else values
    embeddings = torch.randn(count, 2, 3, generator=generator)
    return {
        f"study_{i}": StudyScore(embedding, float(value[0]), float(value[1]))
        for i, (embedding, value) in enumerate(zip(embeddings, values, strict=True))
    }


def make_embeddings(seed, count):
    return list(torch.randn(count, 2, 3, generator=torch.Generator().manual_seed(seed + 1)))


def slow_rank(value, values):
    """Share of the values that are smaller, ties by half."""
    return sum(1.0 if v < value else 0.5 if v == value else 0.0 for v in values) / len(values)


def slow_distance(a, b):
    return float(embedding_distances(a[None].double(), b[None].double()))


def slow_order(scores, known, weights):
    """Medians, ranks and coverage one study at a time."""
    nearest = {s: min(slow_distance(score.embedding, k) for k in known) for s, score in scores.items()}
    gain = {
        s: sum(max(nearest[o] - slow_distance(scores[o].embedding, score.embedding), 0) for o in scores) / len(scores)
        for s, score in scores.items()
    }
    priority = {}
    for s, score in scores.items():
        priority[s] = (
            weights.prototype_distance
            * slow_rank(score.prototype_distance, [o.prototype_distance for o in scores.values()])
            + weights.uncertainty * slow_rank(score.uncertainty, [o.uncertainty for o in scores.values()])
            + weights.coverage * slow_rank(round(gain[s], 9), [round(g, 9) for g in gain.values()])
            + weights.novelty * slow_rank(round(nearest[s], 9), [round(n, 9) for n in nearest.values()])
        ) / (weights.prototype_distance + weights.uncertainty + weights.coverage + weights.novelty)
    return sorted(scores, key=lambda s: (-round(priority[s], 9), s))


@settings(max_examples=25, deadline=None)
@given(seeds, st.booleans(), st.sampled_from([(1, 1, 1, 1), (2, 0, 1, 0), (0, 1, 0, 0), (0.5, 1, 0, 3)]))
def test_order_against_slow_ranks(seed, ties, weights):
    scores, labelled = make_scores(seed, ties=ties), make_embeddings(seed, 3)
    weights = SelectionWeights(*weights, full_trust=1)
    choice = select_study(scores, labelled, weights=weights)
    assert list(choice.order) == slow_order(scores, labelled, weights)
    assert choice.study_id == choice.order[0]


@settings(max_examples=25, deadline=None)
@given(seeds, st.randoms(use_true_random=False))
def test_order_of_the_studies_does_not_change_the_choice(seed, random):
    scores, labelled, recent = make_scores(seed, ties=True), make_embeddings(seed, 3), make_embeddings(seed + 9, 2)
    shuffled = {study: scores[study] for study in random.sample(sorted(scores), len(scores))}
    choices = [
        select_study(scores, labelled, recent),
        select_study(shuffled, random.sample(labelled, 3), random.sample(recent, 2)),
    ]
    assert choices[0].order == choices[1].order


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0.001, 0.99), st.floats(0.1, 10))
def test_only_the_order_of_scores_and_the_direction_of_embeddings_count(seed, factor, length):
    scores, labelled = make_scores(seed), make_embeddings(seed, 4)
    scaled = {
        study: StudyScore(length * s.embedding, factor * s.prototype_distance, s.uncertainty**2)
        for study, s in scores.items()
    }
    assert select_study(scores, labelled).order == select_study(scaled, labelled).order


def test_near_duplicates_of_what_was_offered_last_come_last():
    scores = make_scores(0)
    weights = SelectionWeights(1, 1, 0, 0, full_trust=1)
    best, second, *_ = select_study(scores, make_embeddings(0, 2), weights=weights).order
    offered = 1.0001 * scores[best].embedding + 1e-4
    choice = select_study(scores, make_embeddings(0, 2), [offered], weights, duplicate_share=0.1)
    assert choice.study_id == second
    assert choice.order[-1] == best
    assert [study for study, reason in choice.reasons.items() if reason.near_duplicate] == [best]
    assert choice.reasons[best].priority >= choice.reasons[second].priority


def test_a_near_duplicate_is_offered_when_nothing_else_is_left():
    embedding = torch.randn(2, 3)
    scores = {name: StudyScore(embedding + 1e-6 * i, 0.1 * i, 0.5) for i, name in enumerate("ab")}
    assert select_study(scores, [embedding], [embedding]).study_id in scores
    assert select_study({"a": scores["a"]}, [embedding], [embedding]).study_id == "a"


def test_first_study_is_the_medoid_whatever_the_scores_say():
    scores = make_scores(3, count=9)
    total = {
        s: sum(slow_distance(score.embedding, o.embedding) for o in scores.values()) for s, score in scores.items()
    }
    choice = select_study(scores)
    assert choice.study_id == min(total, key=total.get)
    assert "prototype_distance" not in choice.reasons[choice.study_id].values


def test_first_study_without_a_network_needs_embeddings_only():
    scores = {study: StudyScore(s.embedding) for study, s in make_scores(3, count=9).items()}
    assert select_study(scores).study_id == select_study(make_scores(3, count=9)).study_id
    with_labels = select_study(scores, make_embeddings(3, 4), weights=SelectionWeights(1, 1, 0, 0))
    assert set(with_labels.reasons[with_labels.study_id].ranks) == {"coverage"}


def test_scores_of_the_network_gain_weight_with_the_labelled_studies():
    weights = SelectionWeights(1, 3, 2, 1, full_trust=4)
    assert [weights.after(n)["uncertainty"] for n in range(6)] == pytest.approx([0, 0, 1, 2, 3, 3])
    assert all(weights.after(n)["coverage"] == 2 and weights.after(n)["novelty"] == 1 for n in range(6))
    assert SelectionWeights(full_trust=1).after(0)["uncertainty"] == SelectionWeights().uncertainty


def test_the_second_study_goes_by_coverage_alone_and_a_later_one_by_the_scores_too():
    scores, labelled = make_scores(5, count=20), make_embeddings(5, 4)
    second, later = (select_study(scores, labelled[:n]) for n in (1, 4))
    assert set(second.reasons[second.study_id].ranks) == {"coverage"}
    assert second.order == select_study(scores, labelled[:1], weights=SelectionWeights(0, 0, 1, 0)).order
    assert set(later.reasons[later.study_id].ranks) == {"prototype_distance", "uncertainty", "coverage"}
    assert later.order != select_study(scores, labelled, weights=SelectionWeights(0, 0, 1, 0)).order


def test_coverage_prefers_a_crowd_that_is_not_covered_and_novelty_an_outlier():
    labelled, crowd, outlier = torch.eye(3)
    scores = {f"crowd_{i}": StudyScore((crowd + 0.01 * i)[None]) for i in range(4)}
    scores["outlier"] = StudyScore((outlier - 0.1)[None])
    by_coverage, by_novelty = (
        select_study(scores, [labelled[None]], weights=SelectionWeights(0, 0, *w)).study_id for w in ((1, 0), (0, 1))
    )
    assert by_coverage.startswith("crowd")
    assert by_novelty == "outlier"


def test_ties_go_to_the_smallest_id():
    embedding = torch.ones(1, 2)
    scores = {name: StudyScore(embedding, 0.5, 0.5) for name in ("c", "a", "b")}
    assert select_study(scores, [embedding]).order == ("a", "b", "c")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"candidates": {}}, "candidates"),
        ({"duplicate_share": -1}, "duplicate_share"),
        ({"labelled": [torch.ones(1, 3)]}, "labelled"),
        ({"candidates": {"a": StudyScore(torch.ones(2, 3), 0.1), "b": StudyScore(torch.ones(2, 3))}}, "but b has none"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    arguments = {"candidates": make_scores(0), "labelled": make_embeddings(0, 1), **arguments}
    with pytest.raises(ValueError, match=message):
        select_study(**arguments)


@pytest.mark.parametrize("weights", [(-1, 1, 1, 1), (0, 0, 0, 0), (float("nan"), 1, 1, 1), (1, 1, 1, 1, 0)])
def test_weights_that_make_no_choice_are_refused(weights):
    with pytest.raises(ValueError, match="must"):
        SelectionWeights(*weights)
