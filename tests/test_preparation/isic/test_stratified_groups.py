from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.preparation.isic.division import draw_stratified_groups


@given(
    sizes=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), min_size=1, max_size=60),
    validation=st.sampled_from([0.0, 0.1, 0.25, 0.5]),
    test=st.sampled_from([0.0, 0.2, 0.4]),
    seed=st.integers(0, 5),
)
@settings(max_examples=200, deadline=None)
def test_every_class_gets_its_share(sizes: list[tuple[str, int]], validation: float, test: float, seed: int) -> None:
    labels = [label for label, size in sizes for _ in range(size)]
    groups = [str(index) for index, (_, size) in enumerate(sizes) for _ in range(size)]
    fractions = {"validation": validation, "test": test}
    part_of = draw_stratified_groups(labels, groups, fractions, seed)
    parts = [part_of.get(group, "training") for group in groups]
    for label in set(labels):
        counts = Counter(part for part, of in zip(parts, labels, strict=True) if of == label)
        num_groups = sum(of == label for of, _ in sizes)
        assert counts["training"] > 0
        wanted = [part for part, fraction in fractions.items() if fraction]
        for part, fraction in fractions.items():
            target = fraction * labels.count(label)
            # half of the largest group, or the one group that every part gets
            assert counts[part] <= max(target + 2, 4)
            if part in wanted and num_groups > len(wanted):
                assert counts[part] > 0
            if fraction == 0:
                assert counts[part] == 0


def test_shares_are_close_where_lesions_are_many() -> None:
    labels = ["nv"] * 1000 + ["df"] * 50
    groups = [f"n{index // 2}" for index in range(1000)] + [f"d{index}" for index in range(50)]
    part_of = draw_stratified_groups(labels, groups, {"validation": 0.1, "test": 0.2}, seed=0)
    counts = Counter((label, part_of.get(group)) for label, group in zip(labels, groups, strict=True))
    assert (counts["nv", "validation"], counts["nv", "test"]) == (100, 200)
    assert (counts["df", "validation"], counts["df", "test"]) == (5, 10)


def test_the_draw_depends_on_names_and_seed_alone() -> None:
    labels, groups = ["a", "b"] * 20, [f"g{index}" for index in range(40)]
    first = draw_stratified_groups(labels, groups, {"test": 0.3}, seed=1)
    assert draw_stratified_groups(labels[::-1], groups[::-1], {"test": 0.3}, seed=1) == first
    assert draw_stratified_groups(labels, groups, {"test": 0.3}, seed=2) != first


def test_a_group_counts_to_the_class_of_most_of_its_images() -> None:
    labels = ["a", "a", "b", "b", "b"]
    assert draw_stratified_groups(labels, ["x", "x", "x", "y", "z"], {"test": 0.4}, seed=0).keys() < {"y", "z"}


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({"test": -0.1}, "test_fraction must be at least 0 and below 1, got -0.1"),
        ({"validation": 1.0}, "validation_fraction must be at least 0 and below 1, got 1.0"),
        ({"validation": 0.5, "test": 0.5}, "would leave nothing for training: their sum must be below 1"),
    ],
)
def test_fractions_that_do_not_fit(fractions: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_stratified_groups(["a", "b"], ["x", "y"], fractions, seed=0)
