"""The page in Chromium, as a person uses it: one server and one browser for all of these."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from two_phases import write_two

import pdfkit as pk

play = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
play.expect.set_options(timeout=60_000)
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium: CHROMIUM names it")
SLIDER = "input[type=range][aria-label='wz.a']"
VALUE = "input[aria-label='wz.a, value']"

# What stands in letters too small, or too pale for its ground (4.5 is asked for).
CONTRAST = """() => {
    const parts = (text) => text.match(/[\\d.]+/g).map(Number);
    const part = (x) => x / 255 <= 0.03928 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    const ground = (one) => { for (; one; one = one.parentElement) {
        const found = parts(getComputedStyle(one).backgroundColor);
        if (found.length === 3 || found[3] === 1) return found; } return [255, 255, 255]; };
    const written = (one) => [...one.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    return [...document.querySelectorAll('header *, main *, #message')]
        .filter((one) => one.offsetParent && !one.closest('.bk-Figure') && !one.disabled && written(one))
        .filter((one) => { const style = getComputedStyle(one), pair = [light(parts(style.color)), light(ground(one))];
            return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < 4.5 || parseFloat(style.fontSize) < 13; })
        .map((one) => one.outerHTML.slice(0, 100));
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe of two phases and its data, a ranking, and a series of three scans."""
    made = tmp_path_factory.mktemp("page")
    write_two(made)
    (made / "bad.gr").write_text("this is no data\n")
    clusters = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4)]
    truth = pk.Cluster(clusters[1], "c", Uiso={"Cd": 0.03, "Se": 0.02}, delta2=4)
    data = pk.Model(truth, pk.Instrument(probe="X", qmin=0.8, qmax=16))(np.arange(1.8, 14, 0.05))
    pk.screen(clusters, data).save(made / "ranking.h5")
    series(made / "scans", 3.52, 3.525, 3.53)
    return made


def series(folder: Path, *cells: float) -> Path:
    """Fit a series of simulated nickel; return its file."""
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.03))
    scans = [model.with_values({"ni.a": a})(np.arange(1.5, 10, 0.02)) for a in cells]
    pk.fit_series(model, scans, free=["scale", "a"], out=folder, curves=True)
    return folder / "series.h5"


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The address of a workbench with nothing open."""
    command = [sys.executable, "-m", "pdfkit", "live", "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(Path(pk.__file__).parents[1]), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield next(match[0] for line in process.stdout if (match := re.search(r"http://\S+", line)))
        process.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with play.sync_playwright() as started:
        running = started.chromium.launch(executable_path=str(CHROMIUM), args=root)
        running.new_context()
        yield running
        running.close()


def opened(browser: Any, address: str, *files: str, size: tuple[int, int] = (1280, 800), zoom: float = 1.0) -> Any:
    """Open a page with files; at a zoom a window of the same size holds fewer pixels of the page."""
    view = {"width": round(size[0] / zoom), "height": round(size[1] / zoom)}
    # One context for pages of the usual zoom: what the browser has read for one of them serves the next.
    page = (browser.contexts[0] if zoom == 1.0 else browser.new_context(device_scale_factor=zoom)).new_page()
    page.set_viewport_size(view)
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.goto(address)
    page.wait_for_selector("body[data-ready=yes][data-page]")
    if files:
        page.evaluate("files => workbench.send({do: 'open', files})", list(files))
        page.wait_for_selector("body[data-empty=no]")
        settled(page)
    return page


@pytest.fixture
def two(browser: Any, address: str) -> Iterator[Any]:
    page = opened(browser, address, "two.toml")
    yield page
    assert page.wrong == []
    page.close()


def ask_in_the_middle(page: Any) -> None:
    """Click into the picture, which asks what is there."""
    box = page.locator("#picture canvas").first.bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.wait_for_selector("#room-peak table")


@pytest.fixture(scope="module")
def rooms(browser: Any, address: str) -> Iterator[Any]:
    """A page of a simulated zinc blende with something in each room beside a model, whichever test comes first."""
    page = opened(browser, address, "CdS_zincblende")
    ask_in_the_middle(page)
    for name, file in (("candidates", "ranking.h5"), ("series", "scans/series.h5")):
        page.evaluate("file => workbench.send({do: 'open', files: [file]})", file)
        page.wait_for_selector(f"#tab-{name}[aria-selected=true]")
    yield page
    assert page.wrong == []
    page.close()


def until(page: Any, condition: str, seconds: float = 60.0) -> None:
    """Wait until a condition holds (playwright's own way needs what the policy of the page forbids)."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def until_written(page: Any, folder: Path) -> None:
    """Wait until the fit of a page is on disk."""
    file, end = (
        folder / ".pdfkit-live" / page.evaluate("document.body.dataset.page") / "page.json",
        time.monotonic() + 60,
    )
    while not (file.exists() and (kept := json.loads(file.read_text()))["fits"] and not kept["fitting"]):
        assert time.monotonic() < end
        page.wait_for_timeout(20)


def settled(page: Any) -> None:
    until(page, "workbench.idle()")


def value(page: Any) -> float:
    settled(page)
    return float(page.input_value(VALUE))


def drag(page: Any, by: float) -> None:
    page.locator(SLIDER).scroll_into_view_if_needed()
    box = page.locator(SLIDER).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for k in range(6):
        page.mouse.move(x + by * k / 5, y)
    page.mouse.up()
    settled(page)


def test_a_drag_moves_the_curve_and_is_one_step_back(two: Any) -> None:
    before, curve = value(two), two.evaluate("[...workbench.curves.calculated]")
    drag(two, 30)
    after = value(two)
    assert after > before
    assert two.evaluate("[...workbench.curves.calculated]") != curve
    two.keyboard.press("Control+z")
    assert value(two) == pytest.approx(before, rel=1e-5)
    assert two.evaluate("[...workbench.curves.calculated]") == curve
    two.keyboard.press("Control+y")
    assert value(two) == pytest.approx(after, rel=1e-5)


def test_the_wheel_moves_a_value(two: Any) -> None:
    before = value(two)
    two.hover(SLIDER)
    two.mouse.wheel(0, -100)
    until(two, f'document.querySelector("{VALUE}").value > {before}')


def test_zoom_stays_when_a_curve_changes(two: Any) -> None:
    two.evaluate("Bokeh.documents[0].get_model_by_name('x').setv({start: 3, end: 9})")
    drag(two, 20)
    assert two.evaluate("['start', 'end'].map(one => Bokeh.documents[0].get_model_by_name('x')[one])") == [3, 9]


def test_limits_and_ties_and_what_is_wrong_with_them(two: Any) -> None:
    two.fill("input[aria-label='wz.a, lowest']", "9")
    two.keyboard.press("Tab")
    until(two, "document.getElementById('message').textContent.includes('wz.a')")
    two.fill("input[aria-label='zb.scale, tied to']", "2 * wz.scale")
    two.keyboard.press("Enter")
    two.wait_for_selector("input[aria-label='zb.scale, value']:disabled")
    scale = float(two.input_value("input[aria-label='wz.scale, value']"))
    assert float(two.input_value("input[aria-label='zb.scale, value']")) == pytest.approx(2 * scale, rel=1e-4)


def test_a_fit_gives_errors_and_a_line_in_the_history_and_outlives_a_reload(two: Any, folder: Path) -> None:
    drag(two, 10)
    two.select_option("#search", "plain")
    two.focus("#fit")
    two.keyboard.press("Control+Enter")
    two.wait_for_selector("#panel-history tbody tr", state="attached", timeout=60_000)
    two.wait_for_selector("body[data-busy=no]", timeout=60_000)
    assert two.evaluate("document.activeElement.id") == "fit", "a button that was off for a while has the focus again"
    assert two.evaluate("[...document.querySelectorAll('#parameters td:last-child')].some(one => one.textContent)")
    fitted = value(two)
    until_written(two, folder)
    two.reload()
    two.wait_for_selector("body[data-ready=yes][data-page]")
    two.wait_for_selector("#panel-history tbody tr", state="attached")
    assert value(two) == pytest.approx(fitted, rel=1e-5)


def test_bad_files_give_one_message_and_change_nothing(two: Any, folder: Path) -> None:
    before = value(two)
    two.set_input_files("#files", str(folder / "bad.gr"))
    until(two, "document.getElementById('message').textContent.includes('bad.gr')")
    assert value(two) == before


def test_what_is_saved_is_a_recipe(two: Any) -> None:
    with two.expect_download() as found:
        two.select_option("#save", "recipe")
    text = Path(found.value.path()).read_text()
    assert found.value.suggested_filename.endswith(".toml")
    assert "CdS_wurtzite" in text


def test_the_script_is_shown(two: Any) -> None:
    two.click("#show-script")
    two.wait_for_selector("#script[open]")
    assert "import pdfkit as pk" in two.inner_text("#script pre")


def test_two_tabs_do_not_disturb_each_other(two: Any, browser: Any, address: str) -> None:
    other = opened(browser, address, "two.toml")
    before = value(other)
    drag(two, 30)
    assert value(other) == before != value(two)
    other.close()


def test_everything_is_reached_with_the_keyboard(two: Any) -> None:
    two.focus("#choose")  # who has opened something goes on at Fit
    names = []
    for _ in range(40):
        names.append(two.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')"))
        two.keyboard.press("Tab")
    assert names[0] == "choose"
    assert {"fit", "search", "save", "show-script", "show-help", "tab-g"} <= set(names)
    two.focus(SLIDER)
    before = value(two)
    two.keyboard.press("ArrowRight")
    assert value(two) > before
    two.focus("#tab-g")
    two.keyboard.press("ArrowRight")
    assert two.is_visible("#panel-q")
    until(two, "workbench.curves['F calculated']?.length > 0")
    assert two.inner_text("#message") == ""


CARDS = {"Probe": "N", "Window": "hann", "qmin": "0.7", "qmax": "20", "qdamp": "0.02", "qbroad": "0.01"}
CARDS |= {"Name": "other", "Shape": "sheet"}


def test_every_control_of_a_card_does_what_it_says(two: Any) -> None:
    for place in ("data", "phases"):
        two.click(f"#{place} summary >> nth=0")
        labels = two.locator(f"#{place} details").first.locator("label")
        for k in range(labels.count()):
            name = labels.nth(k).evaluate("one => one.firstChild.textContent.trim()")
            control = labels.nth(k).locator("input, select")
            if control.evaluate("one => one.tagName") == "SELECT":
                control.select_option(CARDS[name])
            else:
                control.fill(CARDS[name])
                control.press("Enter")
            settled(two)
            assert two.inner_text("#message") == "", name
            assert labels.nth(k).locator("input, select").input_value() == CARDS[name]
            if not labels.nth(k).is_visible():  # under another name the card is another
                two.click(f"#{place} summary >> nth=0")


NAMED = {"button", "checkbox", "combobox", "figure", "group", "searchbox", "slider", "spinbutton", "tab", "tabpanel"}
NAMED |= {"dialog", "image", "region", "table", "tablist", "textbox"}


def test_controls_have_names_and_roles(two: Any) -> None:
    """In what Chromium tells screen readers."""
    session = two.context.new_cdp_session(two)
    tree = session.send("Accessibility.getFullAXTree")["nodes"]
    shown = [one for one in tree if not one["ignored"] and one["role"]["value"] in NAMED]
    nameless = [one for one in shown if not one["name"]["value"].strip()]
    assert nameless == []
    names = {(one["role"]["value"], one["name"]["value"]) for one in shown}
    assert {("button", "Box Zoom"), ("slider", "wz.a"), ("checkbox", "wz.a, free"), ("table", "Parameters")} <= names
    told = "[...document.querySelectorAll('[role=status], [role=alert], [aria-live=polite]')].map(one => one.id)"
    assert {"said", "message", "rw", "remarks"} <= set(two.evaluate(told))


@pytest.mark.parametrize(("width", "height", "zoom"), [(1280, 800, 1.0), (1920, 1080, 1.0), (1280, 800, 1.25)])
def test_nothing_is_cut_off(browser: Any, address: str, width: int, height: int, zoom: float) -> None:
    page = opened(browser, address, "two.toml", size=(width, height), zoom=zoom)
    cut = page.evaluate("""[...document.querySelectorAll('header button, select, #looks label, #tabs button, th')]
        .filter(one => !one.hidden && one.offsetParent)
        .filter(one => one.getBoundingClientRect().right > innerWidth + 1
            || one.clientWidth && one.scrollWidth > one.clientWidth + 2)
        .map(one => one.textContent)""")
    assert cut == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    left, right = page.locator("#left").bounding_box(), page.locator("#right").bounding_box()
    assert left["x"] + left["width"] <= right["x"] + 1
    assert page.locator("#picture").bounding_box()["height"] > 200
    page.close()


def test_an_empty_page_opens_the_example(browser: Any, address: str) -> None:
    page = opened(browser, address)
    assert page.is_visible("#empty")
    page.click("#example")
    page.wait_for_selector("#parameters tbody tr", timeout=60_000)
    assert page.is_hidden("#empty")
    assert page.inner_text("#message") == ""
    assert page.inner_text("#rw").startswith("Rw 0.")
    page.close()


DROP = """([name, text]) => {
    const carried = new DataTransfer();
    carried.items.add(new File([text], name));
    const target = document.elementFromPoint(innerWidth / 3, innerHeight / 2);
    const about = {dataTransfer: carried, bubbles: true, cancelable: true};
    const fire = (kind) => target.dispatchEvent(new DragEvent(kind, about));
    fire('dragenter'); fire('dragover');
    const shown = document.body.dataset.drop;
    fire('drop');
    return [shown, document.body.dataset.drop];
}"""


def test_a_file_is_dropped_on_an_empty_page(browser: Any, address: str, folder: Path) -> None:
    page = opened(browser, address)
    assert page.evaluate(DROP, ["bad.gr", "no data\n"]) == ["yes", None]
    until(page, "document.getElementById('message').textContent.startsWith('bad.gr')")  # no path of ours
    assert page.evaluate(DROP, ["cds.gr", (folder / "cds.gr").read_text()]) == ["yes", None]
    until(page, "document.body.dataset.empty === 'no'")
    assert "cds.gr: 975 points" in page.inner_text("#data")
    assert "Drop a structure" in page.inner_text("#phases")
    page.evaluate("workbench.send({do: 'open', files: ['CdS_wurtzite']})")
    until(page, "workbench.idle() && workbench.curves.calculated.length > 0")
    assert page.evaluate("Math.max(...workbench.curves.difference) < Math.min(...workbench.curves.measured)")
    assert page.wrong == []
    page.close()


def test_an_edge_of_the_range_is_dragged(two: Any) -> None:
    box = two.locator("#picture canvas").first.bounding_box()
    scale = "r => Bokeh.index.roots.find(one => one.model.name === 'plot').frame.x_scale.compute(r)"
    begin, end = (box["x"] + two.evaluate(scale, r) for r in (15, 12))
    two.mouse.move(begin, box["y"] + 0.4 * box["height"])
    two.mouse.down()
    two.mouse.move((begin + end) / 2, box["y"] + 0.4 * box["height"])
    two.mouse.move(end, box["y"] + 0.4 * box["height"])
    two.mouse.up()
    until(two, "Number(document.getElementById('rmax').value) < 13")
    settled(two)
    assert float(two.input_value("#rmax")) == pytest.approx(12, abs=0.1)
    assert float(two.input_value("#rmin")) == 1.8
    two.click("#undo")
    until(two, "document.getElementById('rmax').value === '15'")


def test_what_is_refused_is_not_left_standing(two: Any) -> None:
    two.click("#data summary")
    two.locator("#data").get_by_label("qdamp").fill("9")
    two.keyboard.press("Enter")
    until(two, "document.getElementById('message').textContent.includes('qdamp')")
    assert float(two.locator("#data").get_by_label("qdamp").input_value()) == pytest.approx(0.03)
    two.click("#phases summary >> nth=0")
    assert two.locator("#phases").get_by_label("Shape").first.locator("option").count() > 4


def test_text_can_be_read_and_printed(two: Any) -> None:
    assert two.evaluate(CONTRAST) == []
    two.emulate_media(media="print", reduced_motion="reduce")
    assert two.is_hidden("#fit")
    assert two.is_hidden("#looks")
    assert two.locator("#picture").bounding_box()["height"] > 350
    last = two.locator("#parameters tr").last.bounding_box()
    assert last["y"] + last["height"] > 800  # nothing is in a box that scrolls
    assert two.evaluate("getComputedStyle(document.querySelector('#fit')).transitionProperty") == "none"


# --- rooms beside the model -------------------------------------------------------------------------------------------


def test_a_click_on_a_peak_says_what_it_is(rooms: Any) -> None:
    ask_in_the_middle(rooms)
    assert "pairs from" in rooms.inner_text("#peak-words")
    rooms.fill("#peak-r", "2.5")
    rooms.press("#peak-r", "Enter")
    play.expect(rooms.locator("#peak-words")).to_contain_text("2.525")
    assert "4 S around each Cd, 4 Cd around each S" in rooms.inner_text("#peak-words")
    assert rooms.locator("#room-peak thead th[scope=col]").count() == 11


def test_atoms_are_drawn_and_turned_by_keys(rooms: Any) -> None:
    rooms.focus("#tab-peak")
    rooms.keyboard.press("ArrowRight")
    play.expect(rooms.locator("#atoms-words")).to_contain_text("4 Cd and 4 S")
    assert rooms.get_attribute("#atoms-picture", "aria-label") == rooms.inner_text("#atoms-words")
    picture = "document.querySelector('#atoms-picture').toDataURL()"
    pixels = "one.getContext('2d').getImageData(0, 0, one.width, one.height).data.some(Boolean)"
    until(rooms, f"(one => {pixels})(document.querySelector('#atoms-picture'))")
    before = rooms.evaluate(picture)
    rooms.focus("#atoms-picture")
    for _ in range(4):
        rooms.keyboard.press("ArrowLeft")
    until(rooms, f"{picture} !== {json.dumps(before)}")
    assert rooms.locator("#atoms-legend span").all_inner_texts() == ["Cd", "S"]


def test_a_candidate_takes_the_place_of_the_model_until_it_is_asked_for(rooms: Any) -> None:
    rooms.click("#tab-candidates")
    rooms.wait_for_selector("#candidates-table tbody tr >> nth=1")
    rooms.click("#candidates-table tbody button >> nth=1")
    rooms.wait_for_selector("#candidates-table tr.chosen")
    assert "Cd10Se4" in rooms.inner_text("#shown-name")
    assert rooms.inner_text("#candidates-table tr.chosen").split()[2] == "Cd10Se4"
    rooms.click("#show-model")
    rooms.wait_for_selector("#shown-beside", state="hidden")


def test_a_scan_is_chosen_on_its_trend_or_from_the_list(rooms: Any) -> None:
    rooms.click("#tab-series")
    rooms.wait_for_selector("#trend-picture circle")
    rooms.select_option("#trend-name", "ni.a")
    play.expect(rooms.locator("#trend-words")).to_contain_text("ni.a of 3 scans")
    assert rooms.get_attribute("#trend-picture", "aria-label") == rooms.inner_text("#trend-words")
    rooms.locator("#trend-picture circle").nth(1).click()
    rooms.wait_for_selector("#trend-picture circle.chosen")
    first = rooms.inner_text("#shown-name")
    rooms.select_option("#trend-scan", index=3)
    play.expect(rooms.locator("#shown-name")).not_to_have_text(first)
    rooms.click("#show-model")


def test_a_series_that_grows_is_drawn_anew_while_it_is_watched(browser: Any, address: str, folder: Path) -> None:
    (folder / "grows").mkdir()
    shutil.copy(folder / "scans" / "series.h5", folder / "grows" / "series.h5")
    page = opened(browser, address, "CdS_zincblende", "grows/series.h5")
    play.expect(page.locator("#trend-picture circle")).to_have_count(3)
    series(folder / "more", 3.52, 3.525, 3.53, 3.535).replace(folder / "grows" / "series.h5")
    play.expect(page.locator("#trend-picture circle")).to_have_count(4)
    assert page.inner_text("#message") == ""
    assert page.wrong == []
    page.close()


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080), (1024, 640)])  # the last is 1280 at 125 %
def test_rooms_are_not_cut_off(rooms: Any, size: tuple[int, int]) -> None:
    rooms.set_viewport_size({"width": size[0], "height": size[1]})
    # Tools stay where the window gets narrower, too.
    play.expect(rooms.locator("#picture .bk-OnOffButton, #picture .bk-ClickButton")).to_have_count(6)
    for name in ("peak", "atoms", "candidates", "series"):
        if rooms.get_attribute(f"#tab-{name}", "aria-selected") != "true":
            rooms.click(f"#tab-{name}")
        settled(rooms)
        box = rooms.locator(f"#room-{name}").bounding_box()
        assert box["height"] > 50
        assert box["y"] + box["height"] <= size[1] + 0.5
        looks, plot = rooms.locator("#looks").bounding_box(), rooms.locator("#picture").bounding_box()
        assert plot["height"] > 100
        assert looks["y"] + looks["height"] <= rooms.locator("#rooms").bounding_box()["y"] + 1, name
        assert rooms.evaluate("document.documentElement.scrollWidth <= innerWidth")
    labelled = "[...document.querySelectorAll('#rooms input, #rooms select')].every(one => one.labels.length === 1)"
    assert rooms.evaluate(labelled)
