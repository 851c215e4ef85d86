"""The rooms of a page in a browser: a peak clicked, atoms turned, a candidate and a scan shown, by mouse and keys."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pdfkit as pk

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="these tests need chromium")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ranking and a series of three scans."""
    made = tmp_path_factory.mktemp("rooms")
    clusters = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4)]
    truth = pk.Cluster(clusters[1], "c", Uiso={"Cd": 0.03, "Se": 0.02}, delta2=4)
    pk.screen(clusters, pk.Model(truth, pk.Instrument(probe="X", qmin=0.8, qmax=16))(np.arange(1.8, 14, 0.05))).save(
        made / "ranking.h5"
    )
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.03))
    scans = [model.with_values({"ni.a": a})(np.arange(1.5, 10, 0.02)) for a in (3.52, 3.525, 3.53)]
    pk.fit_series(model, scans, free=["scale", "a"], out=made / "scans", curves=True)
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The address of a workbench with a simulated zinc blende."""
    command = [sys.executable, "-m", "pdfkit", "live", "CdS_zincblende", "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(Path(pk.__file__).parents[1]), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = next(match for line in server.stdout if (match := re.search(r"http://\S+", line)))
        yield found[0]
        server.terminate()


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Any]:
    """The page in Chromium, which must have no error to say."""
    faults: list[str] = []
    with sync_api.sync_playwright() as tool:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=options)
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.goto(address)
        tab.wait_for_selector("body[data-ready=yes]")
        yield tab
        browser.close()
    assert faults == []


def test_a_click_on_a_peak_says_what_it_is(page: Any) -> None:
    box = page.locator("#picture canvas").first.bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.wait_for_selector("#room-peak table")
    assert "pairs from" in page.inner_text("#peak-words")
    page.fill("#peak-r", "2.5")
    page.press("#peak-r", "Enter")
    sync_api.expect(page.locator("#peak-words")).to_contain_text("2.525")
    assert "4 S around each Cd, 4 Cd around each S" in page.inner_text("#peak-words")
    assert page.locator("#room-peak thead th[scope=col]").count() == 11


def test_atoms_are_drawn_and_turned_by_keys(page: Any) -> None:
    page.focus("#tab-peak")
    page.keyboard.press("ArrowRight")
    sync_api.expect(page.locator("#atoms-words")).to_contain_text("4 Cd and 4 S")
    assert page.get_attribute("#atoms-picture", "aria-label") == page.inner_text("#atoms-words")
    picture = "document.querySelector('#atoms-picture').toDataURL()"
    page.wait_for_timeout(200)
    before = page.evaluate(picture)
    page.focus("#atoms-picture")
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(200)
    assert page.evaluate(picture) != before
    assert page.locator("#atoms-legend span").all_inner_texts() == ["Cd", "S"]


def test_a_candidate_takes_the_place_of_the_model_until_it_is_asked_for(page: Any) -> None:
    page.evaluate("workbench.send({do: 'open', files: ['ranking.h5']})")
    page.wait_for_selector("#candidates-table tbody tr >> nth=1")
    assert page.get_attribute("#tab-candidates", "aria-selected") == "true"
    page.click("#candidates-table tbody button >> nth=1")
    page.wait_for_selector("#candidates-table tr.chosen")
    assert "Cd10Se4" in page.inner_text("#shown-name")
    assert page.inner_text("#candidates-table tr.chosen").split()[2] == "Cd10Se4"
    page.click("#show-model")
    page.wait_for_selector("#shown-beside", state="hidden")


def test_a_scan_is_chosen_on_its_trend_or_from_the_list(page: Any) -> None:
    page.evaluate("workbench.send({do: 'open', files: ['scans/series.h5']})")
    page.wait_for_selector("#trend-picture circle")
    page.select_option("#trend-name", "ni.a")
    sync_api.expect(page.locator("#trend-words")).to_contain_text("ni.a of 3 scans")
    assert page.get_attribute("#trend-picture", "aria-label") == page.inner_text("#trend-words")
    page.locator("#trend-picture circle").nth(1).click()
    page.wait_for_selector("#trend-picture circle.chosen")
    first = page.inner_text("#shown-name")
    page.select_option("#trend-scan", index=3)
    sync_api.expect(page.locator("#shown-name")).not_to_have_text(first)
    page.click("#show-model")


def test_a_series_that_grows_is_drawn_anew_while_it_is_watched(page: Any, folder: Path) -> None:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.03))
    scans = [model.with_values({"ni.a": a})(np.arange(1.5, 10, 0.02)) for a in (3.52, 3.525, 3.53, 3.535)]
    pk.fit_series(model, scans, free=["scale", "a"], out=folder / "more", curves=True)
    (folder / "more" / "series.h5").replace(folder / "scans" / "series.h5")
    sync_api.expect(page.locator("#trend-picture circle")).to_have_count(4, timeout=15_000)
    assert page.inner_text("#message") == ""


@pytest.mark.parametrize("width", [1280, 1920])
def test_nothing_is_cut_off_at_the_sides(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for name in ("peak", "atoms", "candidates", "series"):
        if page.get_attribute(f"#tab-{name}", "aria-selected") != "true":
            page.click(f"#tab-{name}")
        box = page.locator(f"#room-{name}").bounding_box()
        assert box["height"] > 50
        assert box["y"] + box["height"] <= 800.5
        inside = page.evaluate(f"(() => {{ const one = document.querySelector('#room-{name}');"
                               "return one.scrollWidth <= one.clientWidth + 1; })()")  # fmt: skip
        assert inside, name
        labelled = "[...document.querySelectorAll('#rooms input, #rooms select')].every(one => one.labels.length === 1)"
        assert page.evaluate(labelled)
