from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from monai_proto.metrics import (
    area_under_generalized_risk_coverage,
    area_under_risk_coverage,
    summarize_classification,
)
from monai_proto.visualize.classification_report import write_classification_report
from monai_proto.visualize.report_charts import draw_reliability, draw_risk_coverage

NAMES = ["mel", "nv", "<b>df</b>"]
ATTACK = "<script>document.title='taken'</script>\"'><img src=x onerror=\"document.title='taken'\">"


class Page(HTMLParser):
    """Elements of a page, and the text of each table's cells."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.tables, self._cell = [], [], None
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._cell = self.tables[-1][-1]

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell[-1] = " ".join(self._cell[-1].split())
            self._cell = None

    def handle_data(self, data):
        self.text += data
        if self._cell is not None:
            self._cell[-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def make_cases():
    probabilities = torch.tensor(
        [[0.9, 0.1, 0.0], [0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.4, 0.3, 0.3], [0.35, 0.35, 0.3], [0.1, 0.8, 0.1]]
    )
    return {
        "image_ids": ["a", "b/ä.jpg", "c", "d", ATTACK, "f"],
        "probabilities": probabilities,
        "labels": torch.tensor([0, 1, 1, 0, 1, 1]),
        "uncertainty": 1 - probabilities.max(1).values,
        "abstained": torch.tensor([False, False, False, True, True, False]),
        "class_names": NAMES,
    }


def read_report(folder, **changes):
    return Page(write_classification_report(folder, **(make_cases() | changes)).read_text(encoding="utf-8"))


def test_figures_are_those_of_the_metrics(tmp_path):
    page, cases = read_report(tmp_path / "made"), make_cases()
    metrics, classes, counts, shares, abstained, wrong = page.tables
    values = {row[0]: row[1:] for row in metrics}
    everything = summarize_classification(cases["probabilities"], cases["labels"])
    answered = ~cases["abstained"]
    given = summarize_classification(cases["probabilities"][answered], cases["labels"][answered])
    for name, field in (("Balanced accuracy", "balanced_accuracy"), ("Accuracy", "accuracy"), ("ECE", None)):
        row = next(values[key] for key in values if key.startswith(name))
        field = field or "expected_calibration_error"
        assert row == [f"{getattr(everything, field):.3f}", f"{getattr(given, field):.3f}"]
    wrong_answers = cases["probabilities"].argmax(1) != cases["labels"]
    aurc = area_under_risk_coverage(cases["uncertainty"], wrong_answers)
    augrc = area_under_generalized_risk_coverage(cases["uncertainty"], wrong_answers)
    assert next(values[key] for key in values if key.startswith("AURC"))[0] == f"{aurc:.3f}"
    assert next(values[key] for key in values if key.startswith("AUGRC"))[0] == f"{augrc:.3f}"
    assert values["Cases"] == ["6", "4"]
    assert [row[:4] for row in classes[1:]] == [
        ["mel", "2", "1.000", "0.500"],
        ["nv", "4", "0.500", "1.000"],
        ["<b>df</b>", "0", "-", "-"],
    ]
    assert counts == [["", *NAMES], ["mel", "2", "0", "0"], ["nv", "2", "2", "0"], ["<b>df</b>", "0", "0", "0"]]
    assert shares[1:] == [
        ["mel", "100%", "0%", "0%"],
        ["nv", "50%", "50%", "0%"],
        ["<b>df</b>", "-", "-", "-"],
    ]
    assert abstained[1:] == [  # least sure first
        [ATTACK, "0.650", "mel (0.350)", "nv (wrong)"],
        ["d", "0.600", "mel (0.400)", "mel (right)"],
    ]
    assert wrong[1:] == [["b/ä.jpg", "0.200", "mel (0.800)", "nv"]]
    assert "6 cases, 2 abstained (33.3%). The most likely class is wrong in 2 of them, of which 1 were not" in page.text
    assert "No case is of <b>df</b>" in page.text


def test_nothing_from_the_data_becomes_markup(tmp_path):
    page = read_report(tmp_path, title=ATTACK, notes={ATTACK: ATTACK}, class_names=["mel", "nv", ATTACK])
    assert not page.all("script")
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.text.count(ATTACK) == 11  # as it is: title, heading, notes, id, class in five places, remark
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy


def test_page_asks_for_nothing_outside(tmp_path):
    html = write_classification_report(tmp_path, **make_cases()).read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=\"(?!data:image/|#)", html)
    assert not re.search(r"url\(|@import|https?:", html)


def test_links_are_relative_and_lead_to_the_files(tmp_path):
    folder = tmp_path / "report"
    (folder / "figures").mkdir(parents=True)
    figures = {"a": folder / "figures" / "50% a#1?.png", "b/ä.jpg": folder / "figures" / "ä.png"}
    gallery = [tmp_path / "gallery.png", folder / "javascript:alert(1).png"]
    for file in (*figures.values(), *gallery):
        file.write_bytes(b"")
    page = read_report(folder, figures=figures, gallery=gallery)
    links = [anchor["href"] for anchor in page.all("a") if not anchor["href"].startswith("#")]
    assert links == [
        "figures/%C3%A4.png",  # the wrong answer
        "../gallery.png",
        "javascript%3Aalert%281%29.png",
        "figures/50%25%20a%231%3F.png",  # a right answer
    ]


def test_thumbnails_of_listed_cases_only(tmp_path):
    asked = []

    def load_image(image_id):
        asked.append(image_id)
        if image_id == "d":
            raise FileNotFoundError(image_id)
        return np.full((150, 200, 3), 90, np.uint8)

    page = read_report(tmp_path, load_image=load_image)
    assert asked == [ATTACK, "d", "b/ä.jpg"]
    assert sum(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img")) == 2
    assert page.text.count("image missing or unreadable") == 1


def test_accessible(tmp_path):
    page = read_report(tmp_path, load_image=lambda _: np.zeros((4, 4, 3), np.uint8))
    assert page.all("html")[0]["lang"] == "en"
    assert all(len(image["alt"]) > 5 for image in page.all("img"))
    assert "The expected calibration error is 0.2" in page.all("img")[0]["alt"]
    assert "The area under the curve is 0.228." in page.all("img")[1]["alt"]
    assert "The area under the generalised curve is 0.125." in page.all("img")[1]["alt"]
    assert all(header["scope"] in ("col", "row") for header in page.all("th"))
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    targets = {anchor["href"][1:] for anchor in page.all("a") if anchor["href"].startswith("#")}
    assert targets == {"metrics", "trust", "confusion", "abstained", "wrong", "explanations"} <= ids
    assert all(attributes["aria-labelledby"] in ids for attributes in page.all("section"))


def test_extremes(tmp_path):
    everything = read_report(tmp_path / "all", abstained=torch.ones(6, dtype=torch.bool))
    assert "No answer was wrong." in everything.text
    assert everything.tables[0][1] == ["Cases", "6", "-"]
    nothing = read_report(tmp_path / "none", abstained=torch.zeros(6, dtype=torch.bool))
    assert "No case was abstained from." in nothing.text
    no_nevus = read_report(tmp_path / "nv", abstained=make_cases()["labels"] == 1)
    assert "Every case of nv was abstained from" in no_nevus.text
    one = {
        name: make_cases()[name][:1] for name in ("image_ids", "probabilities", "labels", "uncertainty", "abstained")
    }
    assert "1 case, 0 abstained" in read_report(tmp_path / "one", **one).text


def test_equal_input_gives_an_equal_page(tmp_path):
    pages = [write_classification_report(tmp_path / name, **make_cases()).read_bytes() for name in "ab"]
    assert pages[0] == pages[1]


def test_curves_are_those_of_the_metrics():
    cases = make_cases()
    wrong = cases["probabilities"].argmax(1) != cases["labels"]
    axes = draw_risk_coverage(cases["uncertainty"], wrong, cases["abstained"]).axes[0]
    curves = {line.get_label(): line.get_xydata() for line in axes.lines}
    assert curves["surest answers"][:, 1].mean() == pytest.approx(area_under_risk_coverage(cases["uncertainty"], wrong))
    assert curves["without the abstained: 0.250"].tolist() == [[pytest.approx(4 / 6), 0.25]]
    assert (curves["best possible: errors last"][:, 1] <= curves["surest answers"][:, 1] + 1e-9).all()
    reliability, histogram = draw_reliability(cases["probabilities"], cases["labels"]).axes
    assert sum(bar.get_height() for bar in histogram.patches) == 6
    points = next(line for line in reliability.lines if line.get_label() == "at its mean confidence").get_xydata()
    assert points[-1].tolist() == pytest.approx([0.9, 1.0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_ids": ["a"]}, "image_ids must have one id for each of 6 cases, got 1"),
        ({"image_ids": ["a", "b", "a", "c", "d", "e"]}, "image_ids must name every case once, got 1 several.*'a'"),
        ({"class_names": ["mel"]}, "class_names must have one name for each of 3 classes, got 1"),
        ({"abstained": torch.zeros(6)}, r"abstained must be bool of shape \(6,\), got torch.float32 \(6,\)"),
        ({"abstained": torch.zeros(5, dtype=torch.bool)}, r"got torch.bool \(5,\)"),
        ({"uncertainty": torch.full((6,), torch.nan)}, "uncertainty must be finite"),
        ({"labels": torch.full((6,), 3)}, r"labels must be in 0 \.\. 2"),
        ({"probabilities": torch.ones(6, 3)}, "must sum to 1"),
        ({"figures": {"z": "z.png"}}, "figures must be of images among the cases, got 1 others, first 'z'"),
        ({"figures": {"a": "nowhere/a.png"}}, "nowhere/a.png must be a file to link to"),
        ({"gallery": ["nowhere/g.png"]}, "nowhere/g.png must be a file to link to"),
    ],
)
def test_bad_input(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_report(tmp_path, **changes)
    assert not (tmp_path / "report.html").exists()
