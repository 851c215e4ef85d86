"""The page in Chromium, as a person uses it: one server and one browser for all of these."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live.conftest import write_two

play = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium: CHROMIUM names it")
SLIDER = "input[type=range][aria-label='wz.a']"
VALUE = "input[aria-label='wz.a, value']"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page")
    write_two(made)
    (made / "bad.gr").write_text("this is no data\n")
    return made


def served(folder: Path, *files: str) -> Iterator[str]:
    command = [sys.executable, "-m", "pdfkit", "live", "--no-browser", *files]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield re.findall(r"http\S+", process.stdout.readline())[0]
        process.terminate()


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    yield from served(folder, "two.toml")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from served(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with play.sync_playwright() as started:
        running = started.chromium.launch(executable_path=str(CHROMIUM), args=root)
        yield running
        running.close()


def opened(browser: Any, address: str, width: int = 1280, height: int = 800, zoom: float = 1.0) -> Any:
    """Open a page; at a zoom a window of the same size holds fewer pixels of the page."""
    size = {"width": round(width / zoom), "height": round(height / zoom)}
    page = browser.new_context(viewport=size, device_scale_factor=zoom).new_page()
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.goto(address)
    page.wait_for_selector("body[data-ready=yes][data-page]")
    return page


@pytest.fixture
def two(browser: Any, address: str) -> Iterator[Any]:
    page = opened(browser, address)
    page.wait_for_selector(SLIDER)
    yield page
    assert page.wrong == []
    page.context.close()


def until(page: Any, condition: str, seconds: float = 10.0) -> None:
    """Wait until a condition holds (playwright's own way needs what the policy of the page forbids)."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
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


def test_a_fit_gives_errors_and_a_line_in_the_history_and_outlives_a_reload(two: Any) -> None:
    drag(two, 10)
    two.select_option("#search", "plain")
    two.keyboard.press("Control+Enter")
    two.wait_for_selector("#panel-history tbody tr", state="attached", timeout=60_000)
    two.wait_for_selector("body[data-busy=no]", timeout=60_000)
    assert two.evaluate("[...document.querySelectorAll('#parameters td:last-child')].some(one => one.textContent)")
    fitted = value(two)
    two.wait_for_timeout(1000)  # until it is written
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
    other = opened(browser, address)
    before = value(other)
    drag(two, 30)
    assert value(other) == before != value(two)
    other.context.close()


def test_everything_is_reached_with_the_keyboard(two: Any) -> None:
    two.keyboard.press("Tab")
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


def test_controls_have_names(two: Any) -> None:
    nameless = two.evaluate("""[...document.querySelectorAll('main input, main select, header select, button')]
        .filter(one => !one.closest('.bk-Figure') && !one.labels?.length)
        .filter(one => !one.getAttribute('aria-label') && !one.textContent.trim())
        .map(one => one.outerHTML)""")
    assert nameless == []


@pytest.mark.parametrize(("width", "height", "zoom"), [(1280, 800, 1.0), (1920, 1080, 1.0), (1280, 800, 1.25)])
def test_nothing_is_cut_off(browser: Any, address: str, width: int, height: int, zoom: float) -> None:
    page = opened(browser, address, width, height, zoom)
    page.wait_for_selector(SLIDER)
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
    page.context.close()


def test_an_empty_page_opens_the_example(browser: Any, bare: str) -> None:
    page = opened(browser, bare)
    assert page.is_visible("#empty")
    page.click("#example")
    page.wait_for_selector("#parameters tbody tr", timeout=60_000)
    assert page.is_hidden("#empty")
    assert page.inner_text("#message") == ""
    assert page.inner_text("#rw").startswith("Rw 0.")
    page.context.close()
