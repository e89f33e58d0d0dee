"""The report in a real headless browser, at the width of a desk screen and of a telephone."""

from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import subprocess
import threading
from html import unescape
from urllib.request import urlopen

import numpy as np
import pytest
import torch

from monai_proto.data.picture_files import safe_file_name
from monai_proto.visualize.classification_report import write_classification_report
from monai_proto.visualize.prototype_gallery import draw_prototype_gallery

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ATTACK = "<script>parent.taken=1; console.error('taken')</script><img src=x onerror='parent.taken=1'>"
SECTIONS = ["metrics", "trust", "confusion", "abstained", "wrong", "explanations"]

# The page itself may run no script: a page around it looks into two frames of it.
HARNESS = """<!DOCTYPE html><body>
<iframe width="1280" height="900"></iframe><iframe width="400" height="900"></iframe><pre id="result">waiting</pre>
<script>
const frames = [...document.querySelectorAll("iframe")];
const look = frame => {
  const page = frame.contentDocument, shown = e => e.getClientRects().length > 0;
  return {
    title: page.title,
    sections: [...page.querySelectorAll("section")].filter(shown).map(s => s.id),
    images: [...page.images].map(i => [i.naturalWidth, i.getBoundingClientRect().width]),
    rows: Object.fromEntries(
      [...page.querySelectorAll("section")].map(s => [s.id, s.querySelectorAll("tbody tr").length])),
    links: [...page.querySelectorAll("a[href]:not([href^='#'])")].map(a => a.href),
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    background: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
    taken: window.taken || 0,
  };
};
let left = frames.length;
frames.forEach(frame => {
  frame.addEventListener("load", () => {
    if (--left === 0) document.getElementById("result").textContent = JSON.stringify(frames.map(look));
  });
  frame.src = "report.html";
});
</script></body>"""


@pytest.fixture(scope="module")
def report_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.softmax(2 * torch.randn(24, 7, generator=generator), dim=1)
    uncertainty = 1 - probabilities.max(1).values
    ids = [f"images/ISIC_{number:07d}.jpg" for number in range(23)] + [ATTACK]
    gallery = draw_prototype_gallery([(0, 0, None)], {}.__getitem__, list("abcdefg"), folder / "gallery.png")
    figures = {image_id: folder / safe_file_name(image_id) for image_id in ids[:8]}
    for file in figures.values():
        shutil.copy(gallery[0], file)
    write_classification_report(
        folder,
        ids,
        probabilities,
        torch.randint(7, (24,), generator=generator),
        uncertainty,
        uncertainty > 0.5,
        [
            "actinic keratosis",
            "basal cell carcinoma",
            "benign keratosis",
            "dermatofibroma",
            "melanoma",
            "naevus",
            ATTACK,
        ],
        notes={"Checkpoint": "/" + 120 * "x"},
        figures=figures,
        gallery=gallery,
        load_image=lambda _: np.full((15, 20, 3), 120, np.uint8),
    )
    (folder / "harness.html").write_text(HARNESS)
    return folder


@pytest.fixture
def served(report_folder):
    """The folder on a local port, and the paths that were asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            if self.path != "/favicon.ico":  # the browser's own wish
                asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=report_folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def open_page(address, profile, *options):
    """The page's elements once it has loaded, and what the browser logged."""
    if BROWSER is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=5000", f"--user-data-dir={profile}", *options]
    result = subprocess.run(
        [*command, "--dump-dom", address], capture_output=True, text=True, encoding="utf-8", timeout=120, check=True
    )
    return result.stdout, [line for line in result.stderr.splitlines() if "CONSOLE" in line]


def read_views(elements):
    return json.loads(unescape(re.search(r'<pre id="result">(.*?)</pre>', elements, re.DOTALL).group(1)))


def test_page_in_frames_of_two_widths(served, tmp_path):
    address, asked = served
    elements, console = open_page(f"{address}/harness.html", tmp_path / "profile")
    views = read_views(elements)
    assert len(views) == 2
    for view in views:
        assert view["sections"] == SECTIONS
        assert view["title"] == "Classification report"
        assert len(view["images"]) > 10  # two curves and thumbnails
        assert all(natural > 0 and width > 10 for natural, width in view["images"])
        assert view["rows"]["abstained"] + view["rows"]["wrong"] > 10
        assert view["rows"]["confusion"] == 14
        assert view["overflow"] <= 0, "the page scrolls sideways"
        assert view["background"] == "rgb(255, 255, 255)"
        assert view["taken"] == 0
        assert len(view["links"]) == 9  # eight figures and the gallery
    assert console == []
    assert set(asked) == {"/harness.html", "/report.html"}, "the page asked for something else"
    for link in views[0]["links"]:
        with urlopen(link) as answer:
            assert answer.read(4) == b"\x89PNG"


def test_page_opened_as_a_file(report_folder, tmp_path):
    elements, console = open_page(
        (report_folder / "report.html").as_uri(), tmp_path / "profile", "--window-size=400,900"
    )
    assert console == []
    assert "<title>Classification report</title>" in elements
    assert [section for section in SECTIONS if f'<section id="{section}"' in elements] == SECTIONS
    assert "<script" not in elements
    assert elements.count(ATTACK.replace("<", "&lt;").replace(">", "&gt;")) >= 5


def test_harness_notices_a_script(served, report_folder, tmp_path):
    """The checks above would see what they look for: a page that lets its data run, with a broken picture."""
    careless = report_folder / "careless"
    careless.mkdir()
    (careless / "report.html").write_text(f"<title>x</title><body style='width:2000px'>{ATTACK}")
    shutil.copy(report_folder / "harness.html", careless)
    elements, console = open_page(f"{served[0]}/careless/harness.html", tmp_path / "profile")
    for view in read_views(elements):
        assert view["taken"] == 1
        assert view["overflow"] > 0
        assert view["images"][0][0] == 0
    assert any("taken" in line for line in console)
