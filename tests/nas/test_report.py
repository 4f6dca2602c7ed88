"""Report pages: whole, escaped, self-contained, and drawn by a real browser without a complaint."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from markupsafe import Markup

from latency_lut import predict
from latency_lut.devices import load_device
from nas.jobs.search.page import ScoredNetwork, SearchSummary, search_page
from nas.report import Figure, Section, layer_rows, render_page, sections
from nas.report.drawing import png_bytes, svg_text
from nas.report.layer_rows import describe_block, short_block
from nas.report.pictures import Point, draw_front
from searchspace import reference, reference_names

VOID = {"meta", "link", "br", "img", "hr"}


def scored(name: str, top1: float) -> ScoredNetwork:
    network = reference(name)
    prediction = predict(load_device("pixel"), network)
    return ScoredNetwork(name=name, architecture=network, prediction=prediction, top1=top1)


@pytest.fixture(scope="module")
def summary() -> SearchSummary:
    return SearchSummary(
        winner=scored("mobilenet_v3_large", 75.2),
        front=tuple(Point(20 + 5 * step, 70 + step) for step in range(7)),
        references=(scored("mobilenet_v2", 72.0), scored("mobilenext", 74.0)),
        budget_ms=60,
        device="pixel",
        space="mobilenetv3",
        seed=3,
        evaluations=50_000,
        table=load_device("pixel"),
        accuracy="predicted ImageNet top-1",
        accuracy_basis={"Kendall tau": "0.95", "hostile": "<script>alert(1)</script>"},
    )


class Balance(HTMLParser):
    """Fails on a tag that is closed out of order; collects everything a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_balanced_escaped_and_fetches_nothing(summary: SearchSummary) -> None:
    page = search_page(summary)
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert all(link.startswith(("#", "data:")) for link in parser.links)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r"url\((?!#)", page)


def test_page_says_what_was_found(summary: SearchSummary) -> None:
    page = search_page(summary)
    for text in ("75.20 %", f"{summary.winner.prediction.latency_ms:.1f} ms", "mobilenext", "calibrated", "seed 3"):
        assert text in page


def test_same_content_gives_the_same_page(summary: SearchSummary) -> None:
    assert search_page(summary) == search_page(summary)


def test_pictures_are_the_same_every_time_and_well_formed(summary: SearchSummary) -> None:
    references, chosen = summary.points()
    drawings = [draw_front(summary.front, references, chosen, 60) for _ in range(4)]
    assert png_bytes(drawings[0]) == png_bytes(drawings[1])
    svg = svg_text(drawings[2])
    assert svg == svg_text(drawings[3])
    words = "".join(ElementTree.fromstring(svg).itertext())
    assert "mobilenext" in words
    assert "budget 60 ms" in words


def test_pictures_on_a_page_take_all_their_colours_from_it(summary: SearchSummary) -> None:
    references, chosen = summary.points()
    svg = svg_text(draw_front(summary.front, references, chosen, 60))
    assert not re.findall("#[0-9a-f]{6}", svg)
    style = search_page(summary).partition("</style>")[0]
    light, dark = style.split("prefers-color-scheme: dark")
    for variable in set(re.findall(r"var\((--[a-z]+)\)", svg)):
        assert f"{variable}:" in light and f"{variable}:" in dark.partition("}\n}")[0]


def test_a_page_without_matplotlib_says_what_to_install(summary, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "scripts/setup.sh report" in search_page(summary)


def test_narrow_screens_keep_the_latency_and_name_what_they_hide(summary) -> None:
    page = search_page(summary)
    assert "On a wider screen also: shape, params, MAdds." in page
    shown = re.findall(r'<th( class="[a-z ]*")?>(latency|share|layer)</th>', page)
    assert {name for _, name in shown} == {"latency", "share", "layer"}
    assert not any("minor" in kind for kind, _ in shown)


@pytest.mark.parametrize("name", reference_names())
def test_rows_add_up_to_the_network(name: str) -> None:
    network = reference(name)
    rows = layer_rows(network)
    assert sum(row.params for row in rows) == network.params
    assert sum(row.madds for row in rows) == network.madds
    for before, after in pairwise(rows):
        assert (before.out_size, before.out_channels) == (after.in_size, after.in_channels)


def test_blocks_in_words() -> None:
    rows = {row.layer: row for row in layer_rows(reference("mobilenet_v3_large"))}
    assert describe_block(rows["block4"]) == "inverted residual 5×5, stride 2, hidden 72, SE 24, ReLU"
    assert short_block(rows["block4"]) == "inverted 5×5 /2"
    assert rows["block5"].shortcut
    assert not rows["block4"].shortcut


def test_diagram_shows_every_layer() -> None:
    rows = layer_rows(reference("mobilenext"))
    drawing = sections.architecture_diagram(rows)
    assert drawing.count("<rect") == len(rows)
    assert "sandglass" in drawing


def test_section_bodies_are_the_only_markup() -> None:
    page = render_page(
        title="<i>",
        subtitle="a & b",
        figures=[Figure("<b>", "1 < 2")],
        sections=[Section("<u>", Markup("<em>kept</em>"), "<s>")],
        footer="</html>",
    )
    assert "<em>kept</em>" in page
    assert not {"<i>", "<b>", "<u>", "<s>"} & set(re.findall(r"<[a-z]+>", page))
    assert page.count("</html>") == 1


def test_a_browser_draws_the_page_without_complaint(summary: SearchSummary, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs chromium to open the page")
    (tmp_path / "report.html").write_text(search_page(summary), encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --enable-logging=stderr --window-size=1100,3000"
    picture = tmp_path / "page.png"
    done = subprocess.run(
        [browser, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}",
         f"file://{tmp_path / 'report.html'}"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr, done.stderr
    colours = _distinct_colours(picture)
    assert colours > 50, "the picture of the page is blank"


def _distinct_colours(picture: Path) -> int:
    from matplotlib.image import imread

    pixels = imread(picture)
    return len({tuple(pixel) for pixel in pixels[::7, ::7, :3].reshape(-1, 3).tolist()})


def test_the_accuracy_of_a_trained_winner_is_the_tested_one(summary):
    test = {"top1": 97.25, "top5": 100.0, "loss": 0.1, "count": 348}
    findings = {"test": test, "data": "digits", "image_size": 8, "runs_as": "r8"}
    page = search_page(replace(summary, findings=findings))
    assert "97.25 %" in page and "score in the search" in page
    assert "top-1 accuracy</" not in page
    assert "score in the search" not in search_page(summary)
