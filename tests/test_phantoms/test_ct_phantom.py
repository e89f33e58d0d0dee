"""CT phantoms: reproducible, anatomically placed, and in Hounsfield units that follow the contrast phase."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from monai_proto.phantoms import CT_LABELS, CT_PHASES, Phantom, make_ct_phantom
from monai_proto.phantoms.ct.organs import AORTA, LEFT_KIDNEY, LIVER, RIGHT_KIDNEY, SPLEEN

# median HU of the organs as a radiologist expects them, low and high
ORGAN_HU = {
    "native": {LIVER: (10, 75), SPLEEN: (35, 62), LEFT_KIDNEY: (18, 45), RIGHT_KIDNEY: (18, 45), AORTA: (28, 58)},
    "arterial": {
        LIVER: (15, 85),
        SPLEEN: (85, 145),
        LEFT_KIDNEY: (60, 200),
        RIGHT_KIDNEY: (60, 200),
        AORTA: (220, 390),
    },
    "portal_venous": {
        LIVER: (60, 135),
        SPLEEN: (90, 150),
        LEFT_KIDNEY: (125, 220),
        RIGHT_KIDNEY: (125, 220),
        AORTA: (115, 185),
    },
}


@pytest.fixture(scope="module")
def phantoms() -> dict[str, list[Phantom]]:
    """Four persons in each of the phases."""
    return {phase: [make_ct_phantom(0, index, phase) for index in range(4)] for phase in CT_PHASES}


def _spacing(phantom: Phantom) -> np.ndarray:
    return np.linalg.norm(phantom.affine[:3, :3], axis=0)


def _world_centre(phantom: Phantom, label: int) -> np.ndarray:
    return nib.affines.apply_affine(phantom.affine, np.argwhere(phantom.label == label).mean(0))


def _canonical(phantom: Phantom, array: np.ndarray) -> np.ndarray:
    return np.asarray(nib.as_closest_canonical(nib.Nifti1Image(array, phantom.affine)).dataobj)


def test_same_seed_and_index_give_the_same_bytes() -> None:
    first, second = make_ct_phantom(3, 5), make_ct_phantom(3, 5)
    assert first.image.tobytes() == second.image.tobytes()
    assert first.label.tobytes() == second.label.tobytes()
    np.testing.assert_array_equal(first.affine, second.affine)


def test_global_generator_is_neither_read_nor_moved() -> None:
    np.random.seed(1)  # noqa: NPY002  the global generator is what this test is about
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = make_ct_phantom(0, 0, voxel_size_mm=8.0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert first.image.tobytes() == make_ct_phantom(0, 0, voxel_size_mm=8.0).image.tobytes()


def test_known_figures_of_version_1(phantoms: dict[str, list[Phantom]]) -> None:
    """Where this fails on purpose, raise PHANTOM_VERSION: cached data sets would else keep the old voxels."""
    phantom = phantoms["arterial"][0]
    assert phantom.image.shape == (79, 79, 46)
    assert phantom.image.mean() == pytest.approx(-529.799, rel=1e-4)
    assert np.bincount(phantom.label.ravel())[1:] == pytest.approx([12347, 1549, 1651, 1552, 810], abs=5)


@pytest.mark.parametrize("other", [(1, 0), (0, 1)], ids=["seed", "index"])
def test_other_seed_or_index_gives_another_person(other: tuple[int, int]) -> None:
    first, second = make_ct_phantom(0, 0, "native", 8.0), make_ct_phantom(*other, "native", 8.0)
    assert first.image.shape != second.image.shape or not np.array_equal(first.label, second.label)


def test_types_sizes_and_labels(phantoms: dict[str, list[Phantom]]) -> None:
    for phantom in (phantom for group in phantoms.values() for phantom in group):
        assert phantom.image.dtype == np.int16
        assert phantom.label.dtype == np.uint8
        assert phantom.image.shape == phantom.label.shape
        assert 65 <= phantom.image.shape[0] == phantom.image.shape[1] <= 97
        assert 36 <= phantom.image.shape[2] <= 66
        assert sorted(np.unique(phantom.label)) == sorted(int(value) for value in CT_LABELS)
        assert phantom.image.min() >= -1024


@pytest.mark.parametrize("phase", CT_PHASES)
def test_organs_have_the_attenuation_of_the_phase(phantoms: dict[str, list[Phantom]], phase: str) -> None:
    for phantom in phantoms[phase]:
        for label, (low, high) in ORGAN_HU[phase].items():
            assert low < np.median(phantom.image[phantom.label == label]) < high, CT_LABELS[str(label)]


def test_renal_cortex_is_brighter_than_medulla_in_the_arterial_phase_only(phantoms: dict[str, list[Phantom]]) -> None:
    def bright_minus_dark(phantom: Phantom) -> float:
        kidney = np.isin(phantom.label, (LEFT_KIDNEY, RIGHT_KIDNEY))
        low, high = np.percentile(phantom.image[kidney], [15, 85])
        return high - low

    for native, arterial in zip(phantoms["native"], phantoms["arterial"], strict=True):
        assert bright_minus_dark(arterial) > 65
        assert bright_minus_dark(arterial) > bright_minus_dark(native) + 20


def test_organs_are_connected_and_on_their_side(phantoms: dict[str, list[Phantom]]) -> None:
    for phantom in (phantom for group in phantoms.values() for phantom in group):
        for value in range(1, len(CT_LABELS)):
            assert ndimage.label(phantom.label == value)[1] == 1
        assert _world_centre(phantom, LIVER)[0] > 20
        assert _world_centre(phantom, SPLEEN)[0] < -60
        assert _world_centre(phantom, LEFT_KIDNEY)[0] < -30
        assert _world_centre(phantom, RIGHT_KIDNEY)[0] > 30
        assert -30 < _world_centre(phantom, AORTA)[0] < 15
        assert _world_centre(phantom, SPLEEN)[2] > _world_centre(phantom, LEFT_KIDNEY)[2]


def test_phases_of_a_person_show_the_same_organs(phantoms: dict[str, list[Phantom]]) -> None:
    for arterial, portal in zip(phantoms["arterial"], phantoms["portal_venous"], strict=True):
        for kidney in (LEFT_KIDNEY, RIGHT_KIDNEY):
            volumes = [(p.label == kidney).sum() * np.prod(_spacing(p)) for p in (arterial, portal)]
            assert volumes[0] == pytest.approx(volumes[1], rel=0.1)
            np.testing.assert_allclose(_world_centre(arterial, kidney), _world_centre(portal, kidney), atol=2)
        assert not np.array_equal(arterial.affine, portal.affine)


def test_body_has_fat_bone_lung_and_gas_and_lies_on_a_table(phantoms: dict[str, list[Phantom]]) -> None:
    for phantom in phantoms["portal_venous"]:
        image = _canonical(phantom, phantom.image)
        body, _ = ndimage.label(ndimage.binary_opening(image > -300, iterations=2))
        body = ndimage.binary_fill_holes(body == 1 + np.argmax(np.bincount(body.ravel())[1:]))
        assert ((image > -130) & (image < -70) & body).sum() > 0.1 * body.sum()
        assert ((image > 250) & body).sum() > 0.01 * body.sum()
        assert ((image < -700) & body).sum() > 0.001 * body.sum()
        lowest_of_body = np.argwhere(body)[:, 1].min()
        below = image[image.shape[0] // 2 - 10 : image.shape[0] // 2 + 10, : max(lowest_of_body - 1, 0)]
        assert below.max() > -500


def test_background_has_neighbours_of_the_organs_attenuation(phantoms: dict[str, list[Phantom]]) -> None:
    for phantom in phantoms["portal_venous"]:
        organs, background = phantom.image[phantom.label > 0], phantom.image[phantom.label == 0]
        low, high = np.percentile(organs, [20, 80])
        assert ((background > low) & (background < high)).sum() > 0.1 * organs.size


def test_noise_is_that_of_a_clinical_scan() -> None:
    """Measured in the air beside the patient, where nothing but noise varies; the clip at -1024 HU cuts its tail."""
    for index in range(4):
        phantom = make_ct_phantom(0, index, "native")
        air = phantom.image[phantom.image < -960]
        upper = air[air >= -1000] + 1000.0
        assert 8 < np.sqrt((upper[upper < 80] ** 2).mean()) < 27


def test_affines_are_valid_and_varied() -> None:
    phantoms = [make_ct_phantom(0, index, voxel_size_mm=10.0) for index in range(16)]
    for phantom in phantoms:
        directions = phantom.affine[:3, :3] / _spacing(phantom)
        np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-5)
    assert len({nib.aff2axcodes(phantom.affine) for phantom in phantoms}) >= 3
    assert len({tuple(_spacing(phantom)) for phantom in phantoms}) == len(phantoms)


def test_voxel_size_is_followed() -> None:
    coarse, fine = make_ct_phantom(0, 0, "native", 8.0), make_ct_phantom(0, 0, "native", 4.0)
    np.testing.assert_allclose(_spacing(coarse), 2 * _spacing(fine))
    liver = [(phantom.label == LIVER).sum() * np.prod(_spacing(phantom)) for phantom in (coarse, fine)]
    assert liver[0] == pytest.approx(liver[1], rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"seed": -1}, "seed"),
        ({"index": -1}, "index"),
        ({"phase": "venous"}, "phase"),
        ({"voxel_size_mm": 0.0}, "voxel_size_mm"),
        ({"voxel_size_mm": float("nan")}, "voxel_size_mm"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, float | str], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make_ct_phantom(**arguments)
