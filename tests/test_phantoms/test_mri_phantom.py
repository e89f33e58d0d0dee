"""MRI phantoms: reproducible, varied, and hard in the way that they claim."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from monai_proto.phantoms import MRI_LABELS, Phantom, make_mri_phantom
from monai_proto.phantoms.mri.temporal_lobe_painting import ANTERIOR, POSTERIOR

NUM_PHANTOMS = 30


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    return [make_mri_phantom(seed=0, index=index) for index in range(NUM_PHANTOMS)]


def _spacing(phantom: Phantom) -> np.ndarray:
    return np.linalg.norm(phantom.affine[:3, :3], axis=0)


def _world_centre(phantom: Phantom, label: int) -> np.ndarray:
    return nib.affines.apply_affine(phantom.affine, np.argwhere(phantom.label == label).mean(0))


def test_same_seed_and_index_give_the_same_bytes() -> None:
    first, second = make_mri_phantom(3, 5), make_mri_phantom(3, 5)
    assert first.image.tobytes() == second.image.tobytes()
    assert first.label.tobytes() == second.label.tobytes()
    np.testing.assert_array_equal(first.affine, second.affine)


def test_global_generator_is_neither_read_nor_moved() -> None:
    np.random.seed(1)  # noqa: NPY002  the global generator is what this test is about
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = make_mri_phantom(0, 0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert first.image.tobytes() == make_mri_phantom(0, 0).image.tobytes()


def test_known_figures_of_version_1() -> None:
    """Where this fails on purpose, raise PHANTOM_VERSION: cached data sets would else keep the old voxels."""
    phantom = make_mri_phantom(0, 0)
    assert phantom.image.shape == (32, 46, 30)
    assert phantom.image.mean() == pytest.approx(1387.681, rel=1e-4)
    assert np.bincount(phantom.label.ravel())[1:] == pytest.approx([1602, 1520], abs=3)


@pytest.mark.parametrize("other", [(1, 0), (0, 1)], ids=["seed", "index"])
def test_other_seed_or_index_gives_another_person(other: tuple[int, int]) -> None:
    first, second = make_mri_phantom(0, 0), make_mri_phantom(*other)
    assert first.image.shape != second.image.shape or not np.array_equal(first.label, second.label)


def test_types_sizes_and_labels(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        assert phantom.image.dtype == np.float32
        assert phantom.label.dtype == np.uint8
        assert phantom.image.shape == phantom.label.shape
        assert sorted(np.unique(phantom.label)) == sorted(int(value) for value in MRI_LABELS)
        assert phantom.image.min() >= 0
        extent = np.sort(np.array(phantom.image.shape) * _spacing(phantom))
        assert np.all(extent > [32, 32, 47])
        assert np.all(extent < [41, 41, 55])


def test_structures_have_the_volume_of_a_hippocampus_and_lie_within_the_crop(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        voxel_volume = np.prod(_spacing(phantom))
        for label in (ANTERIOR, POSTERIOR):
            assert 1000 < (phantom.label == label).sum() * voxel_volume < 3500
        inside = np.zeros(phantom.label.shape, dtype=bool)
        inside[1:-1, 1:-1, 1:-1] = True
        assert not phantom.label[~inside].any()


def test_structures_are_connected_and_touch(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        anterior, posterior = phantom.label == ANTERIOR, phantom.label == POSTERIOR
        assert ndimage.label(anterior)[1] == 1
        assert ndimage.label(posterior)[1] == 1
        assert (ndimage.binary_dilation(anterior) & posterior).sum() >= 20


def test_anterior_lies_in_front_whatever_the_axis_order(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        assert _world_centre(phantom, ANTERIOR)[1] > _world_centre(phantom, POSTERIOR)[1] + 10


@pytest.mark.parametrize(("side", "sign"), [("left", -1), ("right", 1)])
def test_side_says_where_in_the_head_the_structure_lies(side: str, sign: int) -> None:
    assert sign * _world_centre(make_mri_phantom(0, 2, side), POSTERIOR)[0] > 15


def test_both_sides_come_from_one_scan() -> None:
    left, right = make_mri_phantom(0, 2, "left"), make_mri_phantom(0, 2, "right")
    np.testing.assert_allclose(left.affine[:3, :3], right.affine[:3, :3])
    assert np.median(left.image) == pytest.approx(np.median(right.image), rel=0.3)
    assert left.label.sum() != right.label.sum()


def test_without_side_one_of_the_two_is_drawn() -> None:
    drawn = [make_mri_phantom(0, index) for index in range(6)]
    signs = {np.sign(_world_centre(phantom, POSTERIOR)[0]) for phantom in drawn}
    assert signs == {-1, 1}


def test_background_has_neighbours_of_the_structures_intensity(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        structure, background = phantom.image[phantom.label > 0], phantom.image[phantom.label == 0]
        low, high = np.percentile(structure, [20, 80])
        confusable = (background > low) & (background < high)
        # more voxels outside than inside look like the structure, so a threshold cannot solve the task
        assert confusable.sum() > 0.6 * structure.size
        assert (structure > np.percentile(background, 5)).mean() > 0.8


def test_head_and_body_differ_in_place_not_in_intensity(phantoms: list[Phantom]) -> None:
    differences = [
        abs(np.median(p.image[p.label == ANTERIOR]) / np.median(p.image[p.label == POSTERIOR]) - 1) for p in phantoms
    ]
    assert np.median(differences) < 0.12


def test_affines_are_valid_and_varied(phantoms: list[Phantom]) -> None:
    oblique = []
    for phantom in phantoms:
        spacing = _spacing(phantom)
        assert np.all((spacing >= 0.8 - 1e-6) & (spacing <= 1.3 + 1e-6))
        directions = phantom.affine[:3, :3] / spacing
        np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-5)
        np.testing.assert_array_equal(phantom.affine[3], [0, 0, 0, 1])
        oblique.append(np.abs(directions).max(axis=0).min() < 0.9999)
    assert 0.2 < np.mean(oblique) < 0.8
    assert len({nib.aff2axcodes(phantom.affine) for phantom in phantoms}) >= 4
    assert len({phantom.image.shape for phantom in phantoms}) > NUM_PHANTOMS // 2


def test_intensity_scale_spans_orders_of_magnitude(phantoms: list[Phantom]) -> None:
    maxima = np.array([phantom.image.max() for phantom in phantoms])
    assert maxima.min() < 1000
    assert maxima.max() > 30000


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"seed": -1}, "seed"), ({"index": -1}, "index"), ({"side": "middle"}, "side")],
)
def test_wrong_arguments_are_named(arguments: dict[str, int | str], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make_mri_phantom(**arguments)
