"""Dermoscopy phantoms: reproducible, hard in the way that they claim, and a data set that keeps lesions on one side."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import load_decathlon_datalist
from PIL import Image
from scipy import ndimage

from monai_proto.data import load_classification_datalist
from monai_proto.phantoms import (
    DERMOSCOPY_CLASS_WEIGHTS,
    DERMOSCOPY_CLASSES,
    PHANTOM_VERSION,
    DermoscopyPhantom,
    make_dermoscopy_phantom,
    phantom_cache,
    phantom_dataset_dir,
    write_dermoscopy_phantom_dataset,
)
from monai_proto.phantoms.dermoscopy import dataset as dermoscopy_dataset
from monai_proto.phantoms.dermoscopy.lesions import BorderStyle, make_lesion
from monai_proto.phantoms.dermoscopy.phantom import _STREAM
from monai_proto.phantoms.dermoscopy.plan import count_classes, plan_lesions
from monai_proto.phantoms.dermoscopy.skin import SCAR, PigmentCanvas
from monai_proto.phantoms.dermoscopy.strokes import Stroke, draw_strokes
from monai_proto.phantoms.dermoscopy.textures import cell_pattern, globules, network, patches, skin_noise
from monai_proto.phantoms.dermoscopy.view import DermoscopyView
from monai_proto.phantoms.phantom import phantom_generator

NUM_CLASSES = len(DERMOSCOPY_CLASSES)
NV, MEL = DERMOSCOPY_CLASSES.index("nv"), DERMOSCOPY_CLASSES.index("mel")
EACH_CLASS = range(NUM_CLASSES)
PER_CLASS = 20
SMALL_SIZE = (75, 100)
KNOWN_AREAS = [6446, 3377, 7501, 7630, 4208, 3971, 2486]
KNOWN_MEANS = [143.15, 144.53, 133.07, 136.49, 138.24, 140.45, 142.12]
SMALL = {"num_training": 16, "num_validation": 7, "num_test": 9, "image_size": (48, 64)}


@pytest.fixture(scope="module")
def phantoms() -> list[DermoscopyPhantom]:
    """Half as large as usual and of every class alike; odd ones and even ones are of different lesions."""
    return [
        make_dermoscopy_phantom(0, index, index % NUM_CLASSES, SMALL_SIZE) for index in range(PER_CLASS * NUM_CLASSES)
    ]


@pytest.fixture(scope="module")
def dataset_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "dermoscopy"
    assert write_dermoscopy_phantom_dataset(folder, **SMALL) == folder / "dataset.json"
    return folder


def _flat_points(size_mm: float, pixels: int) -> np.ndarray:
    """A square of skin around the origin, as ``DermoscopyView.points`` gives it."""
    y, x = np.mgrid[-0.5 : 0.5 : pixels * 1j, -0.5 : 0.5 : pixels * 1j].astype(np.float32) * np.float32(size_mm)
    return np.stack([x, y, np.zeros_like(x)])


def _read(folder: Path) -> dict:
    return json.loads((folder / "dataset.json").read_text(encoding="utf-8"))


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- one image


def test_same_arguments_give_the_same_bytes_and_leave_the_global_generator() -> None:
    np.random.seed(1)  # noqa: NPY002  the global generator is what this test is about
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = make_dermoscopy_phantom(3, 5, MEL)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    second = make_dermoscopy_phantom(3, 5, MEL)
    assert first.image.tobytes() == second.image.tobytes()
    assert first.mask.tobytes() == second.mask.tobytes()


def test_known_figures_of_version_1() -> None:
    """Where this fails on purpose, raise PHANTOM_VERSION: cached data sets would else keep the old pixels."""
    figures = [make_dermoscopy_phantom(0, 0, label) for label in EACH_CLASS]
    assert [phantom.mask.sum() for phantom in figures] == pytest.approx(KNOWN_AREAS, abs=3)
    assert [phantom.image.mean() for phantom in figures] == pytest.approx(KNOWN_MEANS, abs=0.05)


@pytest.mark.parametrize("other", [(1, 0, NV, 0), (0, 1, NV, 0), (0, 0, NV, 1)], ids=["seed", "index", "view"])
def test_other_seed_index_or_view_gives_another_image(other: tuple[int, int, int, int]) -> None:
    seed, index, label, view = other
    image = make_dermoscopy_phantom(seed, index, label, SMALL_SIZE, view).image
    assert np.abs(image.astype(int) - make_dermoscopy_phantom(0, 0, NV, SMALL_SIZE).image).mean() > 3


def test_types_sizes_and_labels(phantoms: list[DermoscopyPhantom]) -> None:
    for index, phantom in enumerate(phantoms):
        assert phantom.image.shape == (*SMALL_SIZE, 3)
        assert phantom.mask.shape == SMALL_SIZE
        assert phantom.image.dtype == phantom.mask.dtype == np.uint8
        assert phantom.label == index % NUM_CLASSES
    assert make_dermoscopy_phantom(0, 0, 0).image.shape == (150, 200, 3)


def test_mask_is_one_region_without_holes_around_the_middle(phantoms: list[DermoscopyPhantom]) -> None:
    corner_contact = np.ones((3, 3))
    for phantom in phantoms:
        assert set(np.unique(phantom.mask)) == {0, 1}
        assert ndimage.label(phantom.mask, structure=corner_contact)[1] == 1
        np.testing.assert_array_equal(ndimage.binary_fill_holes(phantom.mask), phantom.mask)
        assert 0.03 < phantom.mask.mean() < 0.65
        assert np.all(np.abs(np.argwhere(phantom.mask).mean(0) / SMALL_SIZE - 0.5) < 0.2)


def test_lesion_stands_out_within_the_mask_and_not_beyond(phantoms: list[DermoscopyPhantom]) -> None:
    differences = []
    for phantom in phantoms:
        inside = ndimage.binary_erosion(phantom.mask, iterations=4)
        near = ndimage.binary_dilation(phantom.mask, iterations=14)
        beyond = near & ~ndimage.binary_dilation(phantom.mask, iterations=7)
        if inside.any() and beyond.any():
            differences.append(np.median(phantom.image[beyond]) - np.median(phantom.image[inside]))
    assert len(differences) > 0.95 * len(phantoms)
    assert np.mean(np.array(differences) > 5) > 0.9


@pytest.mark.parametrize("index", range(4))
def test_skin_and_artefacts_do_not_know_the_class(index: int) -> None:
    first = make_dermoscopy_phantom(0, index, NV, SMALL_SIZE)
    for label in EACH_CLASS:
        other = make_dermoscopy_phantom(0, index, label, SMALL_SIZE)
        # pigment fades over up to 1 mm outside the outline, 7 pixels here, and focus blurs it
        far = ~ndimage.binary_dilation(first.mask | other.mask, iterations=12)
        assert far.sum() > 500
        assert np.abs(first.image[far].astype(int) - other.image[far]).max() <= 1


@pytest.mark.parametrize("label", EACH_CLASS)
def test_two_views_show_one_lesion(label: int) -> None:
    masks = [make_dermoscopy_phantom(0, 7, label, view=view).mask for view in (0, 1)]
    views = [DermoscopyView.sample((150, 200), phantom_generator(0, _STREAM, 7, 2, view)) for view in (0, 1)]
    # where the first view's pixels lie in the second
    seen = views[1].to_pixels(views[0].points()[:2].reshape(2, -1).T).T.reshape(2, 150, 200)
    second = ndimage.map_coordinates(masks[1].astype(float), seen[::-1], order=1, cval=np.nan)
    both = ~np.isnan(second)
    first, second = masks[0][both] > 0, second[both] > 0.5
    assert (first & second).sum() / (first | second).sum() > 0.96


def test_melanomas_have_less_regular_outlines_than_nevi(phantoms: list[DermoscopyPhantom]) -> None:
    def irregularity(mask: np.ndarray) -> float:
        filled = ndimage.gaussian_filter(np.pad(mask, 8).astype(float), 1.5)
        return float(np.hypot(*np.gradient(filled)).sum() ** 2 / (4 * np.pi * mask.sum()))

    nevi, melanomas = ([irregularity(p.mask) for p in phantoms if p.label == label] for label in (NV, MEL))
    assert np.median(melanomas) > 1.2 * np.median(nevi)


def test_mean_colour_does_not_solve_the_task(phantoms: list[DermoscopyPhantom]) -> None:
    """Linear discriminant analysis on the colour within the true mask and around it, trained on half of the lesions."""
    colours = np.array(
        [np.r_[p.image[p.mask > 0].mean(0), p.image[p.mask == 0].mean(0)] for p in phantoms], dtype=float
    )
    labels = np.array([p.label for p in phantoms])
    training = np.arange(len(phantoms)) < len(phantoms) // 2
    centres = np.array([colours[training & (labels == label)].mean(0) for label in EACH_CLASS])
    within = np.cov((colours[training] - centres[labels[training]]).T)
    offsets = colours[~training, None] - centres
    distances = np.einsum("nci,ij,ncj->nc", offsets, np.linalg.inv(within), offsets)
    accuracy = np.mean(distances.argmin(1) == labels[~training])  # classes are balanced here
    assert 1.2 / NUM_CLASSES < accuracy < 0.6


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"seed": -1}, "seed"),
        ({"index": -1}, "index"),
        ({"label": -1}, "label"),
        ({"label": NUM_CLASSES}, "label"),
        ({"view": -1}, "view"),
        ({"image_size": (150, 8)}, "image_size"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make_dermoscopy_phantom(**{"seed": 0, "index": 0, "label": 0, **arguments})


# --- its parts


@given(seed=st.integers(0, 1000), height=st.integers(32, 60), width=st.integers(32, 60))
@settings(max_examples=20, deadline=None)
def test_pixels_and_millimetres_are_inverse(seed: int, height: int, width: int) -> None:
    view = DermoscopyView.sample((height, width), np.random.default_rng(seed))
    points = view.points()
    back = view.to_pixels(points[:2].reshape(2, -1).T)
    y, x = np.mgrid[:height, :width]
    np.testing.assert_allclose(back, np.stack([x.ravel(), y.ravel()], axis=1), atol=1e-3)
    assert not points[2].any()


def test_outline_without_waves_is_a_circle_and_distance_exact_at_it() -> None:
    points = _flat_points(10.0, 201)
    circle = BorderStyle(radius=(3, 3), elongation=(1, 1), asymmetry=(0, 0), notches=(0, 0), edge=(1, 1))
    lesion = make_lesion(points, circle, np.random.default_rng(0))
    from_centre = np.hypot(points[0], points[1])
    np.testing.assert_allclose(lesion.distance, from_centre - 3, atol=1e-5)
    np.testing.assert_allclose(lesion.share()[np.abs(from_centre - 3) < 0.01], 0.5, atol=0.02)
    assert lesion.share().min() == 0
    assert lesion.share(inset=1.0).sum() < lesion.share().sum()
    assert lesion.depth.max() == pytest.approx(1)


def test_elongation_keeps_the_area() -> None:
    oval = BorderStyle(radius=(2, 2), elongation=(1.8, 1.8), asymmetry=(0, 0), notches=(0, 0), edge=(1, 1))
    inside = make_lesion(_flat_points(10.0, 401), oval, np.random.default_rng(0)).distance < 0
    assert inside.mean() * 100 == pytest.approx(np.pi * 4, rel=0.02)
    moments = np.linalg.eigvalsh(np.cov(np.argwhere(inside).T))
    assert np.sqrt(moments[1] / moments[0]) == pytest.approx(1.8, rel=0.02)


def test_cells_agree_with_a_search_through_all_centres() -> None:
    points, spacing, disorder, period = _flat_points(6.0, 61), 0.8, 0.7, 64
    fast = cell_pattern(points, spacing, np.random.default_rng(4), disorder)

    generator = np.random.default_rng(4)
    offsets = 0.5 + disorder * (generator.random((2, period * period)) - 0.5)
    values = generator.random(period * period)
    centres, numbers = [], []
    for row in range(-12, 12):
        for column in range(-12, 12):
            place = (row % period) * period + column % period
            x = column + 0.5 * (row % 2) + offsets[0, place]
            centres.append((spacing * x, spacing * np.sqrt(3) / 2 * (row + offsets[1, place])))
            numbers.append(values[place])
    distances = np.hypot(*(points[:2, :, :, None] - np.array(centres).T[:, None, None, :]))
    two = np.sort(distances, axis=-1)[..., :2]
    # the fast search looks at nine cells; hardly ever is another one as near
    assert np.mean(np.isclose(fast.to_centre, two[..., 0], atol=1e-4)) > 0.999
    assert np.mean(np.isclose(fast.to_wall, (two[..., 1] - two[..., 0]) / 2, atol=1e-4)) > 0.99
    assert np.mean(np.isclose(fast.value, np.array(numbers)[distances.argmin(-1)])) > 0.999


@pytest.mark.parametrize("octaves", [1, 4])
def test_skin_noise_is_smooth_with_zero_mean_and_unit_variance(octaves: int) -> None:
    points = _flat_points(30.0, 301)
    fields = np.stack([skin_noise(points, 3.0, np.random.default_rng(seed), octaves) for seed in range(8)])
    assert abs(fields.mean()) < 0.1
    assert fields.var() == pytest.approx(1, abs=0.15)
    step, octave_slope = 0.1, 2 * 1.5 * 8 / 3.0  # steps of the lattice a mm, steepest blend, numbers up to 8 apart
    assert np.abs(np.diff(fields, axis=1)).max() < step * octave_slope * octaves * 35 / 26


@given(share=st.floats(0.1, 0.9), seed=st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_patches_cover_about_their_share(share: float, seed: int) -> None:
    covered = patches(_flat_points(60.0, 150), 3.0, share, np.random.default_rng(seed))
    assert covered.min() >= 0
    assert covered.max() <= 1
    assert covered.mean() == pytest.approx(share, abs=0.08)


def test_network_and_globules_stay_between_0_and_1_and_grow_with_their_arguments() -> None:
    points = _flat_points(12.0, 150)
    thin, thick = (network(points, 0.8, width, np.random.default_rng(0)) for width in (0.1, 0.3))
    few, many = (globules(points, 0.8, 0.2, density, np.random.default_rng(0)) for density in (0.2, 0.9))
    for pattern in (thin, thick, few, many):
        assert pattern.min() >= 0
        assert 0.8 < pattern.max() <= 1
    assert thick.mean() > 1.5 * thin.mean()
    assert many.mean() > 2 * few.mean()


def test_stroke_covers_its_length_times_its_width() -> None:
    path = np.array([[10.0, 20.0], [30.0, 20.0], [50.0, 20.0]])
    covered = draw_strokes((40, 60), [Stroke(path, 2.0, 2.0)])
    assert covered.shape == (40, 60)
    assert covered.sum() == pytest.approx(40 * 2, rel=0.15)
    assert covered[19:22, 12:48].max(0).min() == 1
    assert not covered[:17].any()
    assert not covered[24:].any()


def test_pigment_darkens_and_cover_hides() -> None:
    canvas, skin = PigmentCanvas((4, 4)), np.array([0.9, 0.7, 0.7])
    np.testing.assert_allclose(canvas.render(skin), np.broadcast_to(skin, (4, 4, 3)), rtol=1e-6)
    canvas.melanin[0], canvas.deep_melanin[1], canvas.blood[2] = 0.5, 0.5, 0.5
    brown, blue_grey, red = canvas.render(skin)[:3, 0]
    for colour in (brown, blue_grey, red):
        assert np.all(colour < skin)
    shade = [colour / skin for colour in (brown, blue_grey, red)]
    assert shade[0][0] > shade[0][1] > shade[0][2], "melanin lets red pass best, blue worst"
    assert shade[1][2] > shade[1][0], "deep melanin looks blue"
    assert shade[2][0] > shade[2][2] > shade[2][1], "blood swallows green most"
    canvas.cover(np.ones((4, 4)), SCAR)
    np.testing.assert_allclose(canvas.render(skin), np.broadcast_to(SCAR, (4, 4, 3)), rtol=1e-6)


# --- the plan


@given(num_images=st.integers(NUM_CLASSES, 600), data=st.data())
@settings(max_examples=40, deadline=None)
def test_class_counts_add_up_and_follow_the_weights(num_images: int, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.01, 1), min_size=NUM_CLASSES, max_size=NUM_CLASSES))
    counts = np.array(count_classes(num_images, weights))
    wanted = np.array(weights) / sum(weights) * num_images
    assert counts.sum() == num_images
    assert counts.min() >= 1
    assert np.all(counts - np.maximum(wanted, 1) < 1 + 1e-9), "no class gets a whole image more than its share"


def test_default_weights_have_ham10000s_order_and_a_long_tail() -> None:
    by_weight = [DERMOSCOPY_CLASSES[i] for i in np.argsort(DERMOSCOPY_CLASS_WEIGHTS)]
    assert by_weight == ["df", "vasc", "akiec", "bcc", "bkl", "mel", "nv"]
    counts = count_classes(280, DERMOSCOPY_CLASS_WEIGHTS)
    assert counts[NV] > 2 * sorted(counts)[-2]
    assert counts[NV] > 7 * min(counts)


def test_plan_keeps_lesions_on_one_side_and_numbers_as_asked() -> None:
    numbers = {"training": 280, "validation": 70, "test": 71}
    plan = plan_lesions(numbers, seed=0)
    indices = [lesion.number for lesions in plan.values() for lesion in lesions]
    assert indices == list(range(len(indices)))
    for part, lesions in plan.items():
        assert sum(lesion.num_views for lesion in lesions) == numbers[part]
        assert {lesion.label for lesion in lesions} == set(EACH_CLASS)
        assert {lesion.num_views for lesion in lesions} == {1, 2}
        assert len({lesion.label for lesion in lesions[:12]}) > 3, "classes are mixed"
    assert plan != plan_lesions(numbers, seed=1)


# --- the data set


def test_data_list_names_files_and_labels(dataset_dir: Path) -> None:
    content = _read(dataset_dir)
    assert content["task"] == "classification"
    assert content["labels"] == {str(label): name for label, name in enumerate(DERMOSCOPY_CLASSES)}
    sides: dict[str, str] = {}
    for part in ("training", "validation", "test"):
        assert len(content[part]) == SMALL[f"num_{part}"]
        assert {entry["label"] for entry in content[part]} == set(EACH_CLASS)
        for entry in content[part]:
            assert sides.setdefault(entry["lesion_id"], part) == part
            assert entry["image"] == f"images/{entry['image_id']}.jpg"
            assert entry["mask"] == f"masks/{entry['image_id']}.png"
    files = {str(path.relative_to(dataset_dir)) for path in dataset_dir.rglob("*.*")}
    entries = [entry for part in ("training", "validation", "test") for entry in content[part]]
    named = {entry[key] for entry in entries for key in ("image", "mask")}
    assert files == named | {"metadata.csv", "dataset.json"}
    assert max(Counter(entry["lesion_id"] for entry in entries).values()) == 2


def test_data_list_is_what_readers_take(dataset_dir: Path) -> None:
    loaded = load_classification_datalist(dataset_dir, required=("training", "validation", "test"))
    assert [len(loaded[part]) for part in ("training", "validation", "test")] == [16, 7, 9]
    for entry in load_decathlon_datalist(dataset_dir / "dataset.json", is_segmentation=False, data_list_key="test"):
        assert Path(entry["image"]).is_file()
        assert isinstance(entry["label"], int)


def test_files_hold_the_phantoms(dataset_dir: Path) -> None:
    content = _read(dataset_dir)
    for entry in content["training"][:6]:
        index, view = (int(part) for part in entry["image_id"].split("_")[-2:])
        phantom = make_dermoscopy_phantom(0, index, entry["label"], SMALL["image_size"], view)
        with Image.open(dataset_dir / entry["image"]) as image, Image.open(dataset_dir / entry["mask"]) as mask:
            assert image.format == "JPEG"
            assert mask.mode == "L"
            np.testing.assert_array_equal(np.asarray(mask), phantom.mask * 255)
            assert np.abs(np.asarray(image).astype(int) - phantom.image).mean() < 4


def test_table_has_ham10000s_columns_and_agrees_with_the_data_list(dataset_dir: Path) -> None:
    with open(dataset_dir / "metadata.csv", encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        rows = {row["image_id"]: row for row in reader}
    assert reader.fieldnames == ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "split"]
    content = _read(dataset_dir)
    by_lesion: dict[str, tuple[str, ...]] = {}
    for part, split in (("training", "train"), ("validation", "validation"), ("test", "test")):
        for entry in content[part]:
            row = rows.pop(entry["image_id"])
            assert (row["lesion_id"], row["split"]) == (entry["lesion_id"], split)
            assert row["dx"] == DERMOSCOPY_CLASSES[entry["label"]]
            assert 5 <= float(row["age"]) <= 85
            assert float(row["age"]) % 5 == 0
            person = tuple(row[key] for key in ("dx_type", "age", "sex", "localization"))
            assert by_lesion.setdefault(row["lesion_id"], person) == person
    assert not rows


def test_file_bytes_are_the_same_on_every_run_and_others_with_another_seed(dataset_dir: Path, tmp_path: Path) -> None:
    write_dermoscopy_phantom_dataset(tmp_path / "again", **SMALL)
    assert _checksums(tmp_path / "again") == _checksums(dataset_dir)
    write_dermoscopy_phantom_dataset(tmp_path / "seed1", seed=1, **SMALL)
    assert not set(_checksums(tmp_path / "seed1").values()) & set(_checksums(dataset_dir).values())


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"num_training": NUM_CLASSES - 1}, "num_training"),
        ({"num_validation": 0}, "num_validation"),
        ({"num_test": NUM_CLASSES - 1}, "num_test"),
        ({"class_weights": (1.0,) * 3}, "class_weights"),
        ({"class_weights": (0.0,) * NUM_CLASSES}, "class_weights"),
        ({"image_size": (4, 4)}, "image_size"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_data_set_arguments_are_named_and_leave_nothing(tmp_path: Path, arguments: dict, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        write_dermoscopy_phantom_dataset(tmp_path / "dermoscopy", **{**SMALL, **arguments})
    assert list(tmp_path.iterdir()) == []


def test_folder_with_content_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="output_dir"):
        write_dermoscopy_phantom_dataset(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("reason", [KeyboardInterrupt, OSError])
def test_interrupted_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: type[BaseException]
) -> None:
    def fail(*_: object) -> None:
        raise reason

    monkeypatch.setattr(dermoscopy_dataset, "make_metadata", fail)
    with pytest.raises(reason):
        write_dermoscopy_phantom_dataset(tmp_path / "dermoscopy", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_cache_makes_it_once_and_knows_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, int]] = []

    def write(folder: Path, **numbers: int) -> None:
        asked.append(numbers)
        folder.mkdir()
        (folder / "dataset.json").touch()

    monkeypatch.setitem(phantom_cache._WRITERS, "dermoscopy", write)
    first = phantom_dataset_dir("dermoscopy", cache_dir=tmp_path)
    assert phantom_dataset_dir("dermoscopy", cache_dir=tmp_path) == first
    assert Path(first).name == f"dermoscopy_phantom-v{PHANTOM_VERSION}-seed0-280-70-70"
    other = phantom_dataset_dir("dermoscopy", seed=2, cache_dir=tmp_path, num_training=9, num_test=8)
    assert Path(other).name == f"dermoscopy_phantom-v{PHANTOM_VERSION}-seed2-9-70-8"
    assert asked == [
        {"num_training": 280, "num_validation": 70, "num_test": 70, "seed": 0},
        {"num_training": 9, "num_validation": 70, "num_test": 8, "seed": 2},
    ]


def test_cache_writes_the_real_data_set(tmp_path: Path) -> None:
    folder = phantom_dataset_dir("dermoscopy", cache_dir=tmp_path, num_training=8, num_validation=7, num_test=7)
    assert len(_read(Path(folder))["training"]) == 8


def test_volumes_keep_their_folder_names_and_have_no_test_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(phantom_cache._WRITERS, "mri", lambda folder, **_: None)
    folder = phantom_dataset_dir("mri", cache_dir=tmp_path)
    assert Path(folder).name == f"mri_phantom-v{PHANTOM_VERSION}-seed0-24-8"
    with pytest.raises(ValueError, match="num_test"):
        phantom_dataset_dir("mri", cache_dir=tmp_path, num_test=3)
