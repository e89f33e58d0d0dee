from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from matplotlib.text import Text
from PIL import Image

from monai_proto.data.picture_files import safe_file_name
from monai_proto.networks.blocks.prototype_provenance import ProvenanceRecord
from monai_proto.visualize import Explanation, PrototypeEvidence, explanation_figure, prototype_gallery
from monai_proto.visualize.explanation_figure import draw_explanation
from monai_proto.visualize.image_panel import close_up, rgb_image, shorten
from monai_proto.visualize.prototype_gallery import draw_prototype_gallery

NAMES = ["mel", "nv", "cost $1 or $2"]
GREEN, BLUE = (20, 160, 60), (40, 60, 200)


def plain_image(colour, height=24, width=32):
    return np.broadcast_to(np.uint8(colour), (height, width, 3)).copy()


def make_source(image_id="train/b.jpg"):
    return ProvenanceRecord(image_id, patch_index=4, box=(0.25, 0.5, 0.25, 0.5), distance=0.125, epoch=15)


def make_evidence(slot, label, contribution, source):
    activation = torch.zeros(4, 4)
    activation[2, 1] = 0.9
    return PrototypeEvidence(slot, label, 0.9, contribution, (0.5, 0.75, 0.25, 0.5), activation, source)


def make_explanation(supporting, opposing=(), abstained=False, logits=(2.0, 1.0, 0.5)):
    logits = torch.tensor(logits)
    return Explanation(
        "test/a.jpg", logits.softmax(0), logits, 0.25, abstained, int(logits.argmax()), list(supporting), list(opposing)
    )


@pytest.fixture
def texts(monkeypatch):
    """What is written in every figure that is saved."""
    seen = []
    for module in (explanation_figure, prototype_gallery):
        save = module.save_figure

        def record(figure, path, save=save):
            seen.append("\n".join(text.get_text() for text in figure.findobj(Text)))
            return save(figure, path)

        monkeypatch.setattr(module, "save_figure", record)
    return seen


def share_of_colour(path, colour):
    pixels = imread(path)[..., :3] * 255
    return float((np.abs(pixels - np.float32(colour)).max(-1) < 12).mean())


def test_figure_shows_the_image_the_sources_and_the_shares(tmp_path, texts):
    asked = []

    def load_source(image_id):
        asked.append(image_id)
        return plain_image(BLUE)

    explanation = make_explanation(
        [make_evidence(3, 0, 1.5, make_source()), make_evidence(4, 0, 0.25, make_source("train/c.jpg"))],
        [make_evidence(11, 1, -0.5, make_source("train/d.jpg"))],
    )
    path = draw_explanation(explanation, plain_image(GREEN), load_source, NAMES, tmp_path / "made" / "a.png")
    assert asked == ["train/b.jpg", "train/c.jpg", "train/d.jpg"]
    assert share_of_colour(path, GREEN) > 0.08  # the image, bare and where nothing is activated
    assert share_of_colour(path, BLUE) > 0.08  # the sources
    for expected in (
        "Answer: mel, probability 0.63, uncertainty 0.25. Not abstained",
        "test/a.jpg",
        "For mel",
        "prototype 3 of mel",
        "similarity 0.900",
        "adds +1.50 to logit 2.00 (+75%)",
        "train/b.jpg, epoch 15",
        "Against mel",
        "prototype 11 of nv",
        "adds -0.50 to logit 2.00 (-25%)",
        "cost $1 or $2",
    ):
        assert expected in texts[0]


def test_boxes_and_heat_lie_where_the_evidence_says(tmp_path):
    explanation = make_explanation([make_evidence(3, 0, 1.5, make_source())])
    draw = explanation_figure._with_heat(plain_image(GREEN, 40, 40), explanation.supporting[0].activation)
    changed = np.abs(draw.astype(int) - GREEN).sum(-1)
    row, column = np.unravel_index(changed.argmax(), changed.shape)
    assert (row // 10, column // 10) == (2, 1)  # the cell of the 4 x 4 grid
    assert changed[:10, 30:].max() == 0
    gradient = np.arange(40, dtype=np.uint8)[:, None, None] + np.zeros((1, 20, 3), np.uint8)
    assert close_up(gradient, (0.25, 0.5, 0.0, 0.5))[:, 0, 0].tolist() == list(range(5, 25))


def test_abstention_is_said_and_rows_are_limited(tmp_path, texts):
    many = [make_evidence(slot, 0, 1.0 / (slot + 1), make_source()) for slot in range(6)]
    explanation = make_explanation(many, abstained=True, logits=(-1.0, -2.0, -3.0))
    draw_explanation(explanation, plain_image(GREEN), lambda _: plain_image(BLUE), NAMES, tmp_path / "a.png")
    assert "Abstained: too uncertain to answer. Most likely mel" in texts[0]
    assert "prototype 2 of" in texts[0]
    assert "prototype 3 of" not in texts[0]
    assert "logit -1.00\n" in texts[0]  # no share of a negative logit


def test_missing_sources_are_said(tmp_path, texts):
    def load_source(image_id):
        if image_id == "lost":
            return {}[image_id]
        return np.asarray(Image.open(tmp_path / image_id))

    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "torn.jpg")
    os.truncate(tmp_path / "torn.jpg", 2000)
    sources = [None, make_source("gone.jpg"), make_source("torn.jpg"), make_source("lost")]
    evidence = [make_evidence(slot, 0, 0.5, source) for slot, source in enumerate(sources)]
    draw_explanation(
        make_explanation(evidence), plain_image(GREEN), load_source, NAMES, tmp_path / "a.png", most_supporting=4
    )
    said = texts[0].replace("\n", " ")
    for expected in (
        "prototype was not pushed",
        "cannot be read (FileNotFoundError): gone.jpg",
        "cannot be read (OSError): torn.jpg",
        "(KeyError): lost",
    ):
        assert expected in said


def test_no_evidence_and_flat_activation(tmp_path, texts):
    pooled = make_evidence(0, 0, 0.0, make_source())._replace(box=(0.0, 1.0, 0.0, 1.0), activation=torch.ones(1, 1))
    for name, supporting in (("none", []), ("pooled", [pooled])):
        path = draw_explanation(
            make_explanation(supporting), plain_image(GREEN), lambda _: plain_image(BLUE), NAMES, tmp_path / name
        )
        assert share_of_colour(path, GREEN) > 0.1
    assert "prototype 0" in texts[1]


@pytest.mark.parametrize(
    "image",
    [
        plain_image(GREEN),
        torch.from_numpy(plain_image(GREEN)).permute(2, 0, 1).float(),
        torch.from_numpy(plain_image(GREEN)).permute(2, 0, 1),
        plain_image(GREEN).astype(np.int64),
        Image.fromarray(plain_image(GREEN)),
    ],
)
def test_layouts_of_an_image(image):
    np.testing.assert_array_equal(rgb_image(image), plain_image(GREEN))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((24, 32), np.uint8), r"must have shape \(3, H, W\) or \(H, W, 3\), got \(24, 32\)"),
        (np.zeros((24, 32, 4), np.uint8), r"got \(24, 32, 4\)"),
        (np.zeros((0, 32, 3), np.uint8), r"got \(0, 32, 3\)"),
        (torch.rand(3, 8, 8), r"must have values in 0 \.\. 255, got values from"),
        (torch.randn(3, 8, 8) * 20, r"must have values in 0 \.\. 255, got values from -"),
        (torch.full((3, 8, 8), torch.nan), r"must have values in 0 \.\. 255, got values from nan"),
    ],
)
def test_bad_images(image, message):
    with pytest.raises(ValueError, match=message):
        rgb_image(image)


def test_bad_explanations(tmp_path):
    def draw(evidence, names=NAMES):
        image = plain_image(GREEN)
        draw_explanation(make_explanation([evidence]), image, lambda _: image, names, tmp_path / "a.png")

    good = make_evidence(0, 0, 1.0, make_source())
    with pytest.raises(ValueError, match="class_names must have one name for each of 3 classes, got 2"):
        draw(good, NAMES[:2])
    with pytest.raises(ValueError, match=r"activation must have the shape of a 2-D grid, got \(4, 4, 4\)"):
        draw(good._replace(activation=torch.ones(4, 4, 4)))
    for box in ((0.5, 0.5, 0.0, 1.0), (0.0, 1.0), (0.0, 1.2, 0.0, 1.0), (0.0, 0.5, 0.0, 0.5, 0.0, 0.5)):
        with pytest.raises(ValueError, match=r"box must be fractions \(y0, y1, x0, x1\)"):
            draw(good._replace(box=box))
    assert not (tmp_path / "a.png").exists()


def test_file_names_are_safe_and_differ():
    ids = ["a/b.png", "a_b.png", "../../etc/passwd", "x" * 500, "naïve image?.jpg", "A/b.png", "<b>", ""]
    names = [safe_file_name(image_id) for image_id in ids]
    assert len({name.lower() for name in names}) == len(ids)
    for name in names:
        assert len(name) < 100
        assert all(c.isascii() and (c.isalnum() or c in "._-") for c in name)
        assert not name.startswith(".")
    assert shorten("a" * 40 + "b" * 40, 20) == "aaaaaaaaa…bbbbbbbbbb"


def test_gallery_has_every_prototype_by_class(tmp_path, texts):
    records = [(12, 1, make_source("one")), (10, 1, None), (0, 0, make_source("two")), (11, 1, make_source("lost"))]
    images = {"one": plain_image(GREEN), "two": plain_image(BLUE)}
    pages = draw_prototype_gallery(records, images.__getitem__, NAMES, tmp_path / "gallery.png")
    assert pages == [tmp_path / "gallery.png"]
    assert share_of_colour(pages[0], GREEN) > 0.01
    assert share_of_colour(pages[0], BLUE) > 0.01
    said = texts[0].replace("\n", " ")
    expected = [
        "mel: 1 prototype",
        "slot 0   two distance 0.125, epoch 15",
        "nv: 3 prototypes",
        "slot 10",
        "slot 12   one",
    ]
    for text in (*expected, "cost $1 or $2: no prototype", "not pushed", "(KeyError): lost"):
        assert text in said


def test_large_gallery_goes_over_several_pages(tmp_path, texts):
    records = [(slot, slot // 25, None) for slot in range(75)]
    pages = draw_prototype_gallery(records, {}.__getitem__, NAMES, tmp_path / "g.png")
    assert [page.name for page in pages] == ["g.png", "g_2.png", "g_3.png"]
    assert all(page.is_file() for page in pages)
    for slot in range(75):
        assert sum(f"slot {slot}\n" in f"{text}\n" for text in texts) == 1


def test_one_class_that_is_longer_than_a_page(tmp_path, texts):
    draw_prototype_gallery([(slot, 0, None) for slot in range(41)], {}.__getitem__, ["mel"], tmp_path / "g.png")
    assert "mel: 41 prototypes, continued" in texts[1]


def test_bad_galleries(tmp_path):
    with pytest.raises(ValueError, match="records must hold at least one prototype, got none"):
        draw_prototype_gallery([], {}.__getitem__, NAMES, tmp_path / "g.png")
    with pytest.raises(ValueError, match=r"records must be of classes 0 \.\. 2, got \[3\]"):
        draw_prototype_gallery([(0, 3, None)], {}.__getitem__, NAMES, tmp_path / "g.png")
