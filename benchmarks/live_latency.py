"""The page of `pdfkit live` in Chromium: its start, from a slider that moves to the painted curve, and its memory.

python benchmarks/live_latency.py [--moves 200] [--points 4500] [--starts 5] [--url URL]

An empty page, and a two-phase model beside simulated data of so many points, are opened by the command, so many times:
from its start to its address, to the first picture in a tab of a browser that runs already (it offers files and the
example, or says what is read; what is pressed there is done as soon as Python is ready), and to the picture of what
Python answered: that the page is empty, or the curve. Each start finds what the one before has left: kernels and
modules compiled. Then a slider is moved with the arrow
keys, each as soon as the curve of the last is painted, and dragged with the mouse for five seconds. A move begins with
the time that the browser gives the key, and ends in the first task after the animation frame that drew its curve, as
`requestAnimationFrame` gives it: what the graphics card does with it is not in it. Last, the memory of the server
(resident, without the browser) with the page open and after a fit; `benchmarks/live.py` has that of a day. Processor
time counts where other programs run beside it. `--url` measures the moves of a page that is open elsewhere. Needs
playwright and a Chromium (CHROMIUM names it; otherwise /usr/bin/chromium, or playwright's own).
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RECIPE = """[[data]]
file = "cdse.gr"
[[phase]]
name = "wz"
structure = "CdSe_wurtzite"
shape = { kind = "sphere", spdiameter = 36.2 }
[[phase]]
name = "zb"
structure = "CdSe_zincblende"
shape = { kind = "sphere", spdiameter = 36.2 }
[fit]
free = ["scale", "a", "c", "Uiso", "spdiameter"]
"""

# Notes when the first picture with something to use or to read had been painted, and that of what Python answered.
STARTED = """(() => {
  const note = (key) => { window[key] = performance.timeOrigin + performance.now(); };
  const painted = (key) => requestAnimationFrame(() => setTimeout(note, 0, key));
  const once = (key, test) => { if (test()) painted(key); else requestAnimationFrame(() => once(key, test)); };
  const says = () => document.getElementById("progress")?.textContent;
  once("seen", () => document.body?.dataset.empty === "yes" || says());
  once("answered", () => document.body?.dataset.ready === "yes");
})();"""

# Notes, for each move, when its event was and when the picture with its curve had been painted.
WATCH = """name => {
  const view = [...Bokeh.index.roots].find(one => one.model.name === "plot");
  const source = Bokeh.documents[0].get_model_by_name("calculated");
  const slider = document.querySelector(`input[type=range][aria-label="${name}"]`);
  window.moves = []; window.paints = 0;
  let began = null, waits = null, came = false;
  slider.addEventListener("keydown", event => { began ??= event.timeStamp; }, true);
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (text) {
    send.call(this, text);
    const action = JSON.parse(text);
    if (!action.moving || began === null || waits) return;
    waits = { n: action.n, began };
    began = null;
  };
  source.change.connect(() => { came = true; });
  view.repainted.connect(() => {
    if (!came) return;
    came = false;
    const shown = waits && workbench.done() >= waits.n ? waits : null;
    if (shown) waits = null;
    // A task after the animation frame that painted runs when the frame has been handed on.
    setTimeout(() => { window.paints += 1; if (shown) window.moves.push(performance.now() - shown.began); }, 0);
  });
  slider.scrollIntoView({ block: "center" });
  slider.focus();
}"""

MOVED = """k => new Promise(ok => {
  const look = setInterval(() => { if (window.moves.length > k) { clearInterval(look); ok(); } }, 2);
})"""


def written(folder: Path, points: int) -> Path:
    """Write data and recipe of two phases."""
    import pdfkit as pk
    from pdfkit.io.pdf import write_pdf
    from pdfkit.model.noise import simulate
    from pdfkit.shapes import Sphere

    phases = [
        pk.Crystal.from_file(f"CdSe_{kind}", name=name, shape=Sphere(36.2))
        for name, kind in (("wz", "wurtzite"), ("zb", "zincblende"))
    ]
    model = pk.Model(phases, pk.Instrument(probe="X", qmax=19.0, qdamp=0.058))
    write_pdf(folder / "cdse.gr", simulate(model, 0.01, 0.01 * points, 0.01, noise=0.01, seed=1))
    (folder / "cdse.toml").write_text(RECIPE, "utf-8")
    return folder / "cdse.toml"


@contextmanager
def served(folder: Path, *files: str) -> Iterator[str]:
    """Run `pdfkit live`, and give its address."""
    with running(folder, *files) as (url, _):
        yield url


@contextmanager
def running(folder: Path, *files: str) -> Iterator[tuple[str, int]]:
    """Run `pdfkit live`, and give its address and the number of its process."""
    command = [sys.executable, "-m", "pdfkit", "live", "--no-browser", *files]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    own.setdefault("PYTHONPYCACHEPREFIX", str(folder / "bytecode"))  # an installed package has it beside its modules
    with subprocess.Popen(command, cwd=folder, env=own, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http\S+", process.stdout.readline())
        assert found, "pdfkit live did not start"
        try:
            yield found[0], process.pid
        finally:
            process.terminate()


@contextmanager
def chromium() -> Iterator[Any]:
    """Run Chromium without a window."""
    from playwright.sync_api import sync_playwright

    known = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=known if Path(known).exists() else None, args=root)
        try:
            yield browser
        finally:
            browser.close()


def used(pid: int) -> tuple[float, float]:
    """Return the resident memory (MB) and the processor time (s) of a process."""
    place = Path(f"/proc/{pid}")
    resident = next(line for line in (place / "status").read_text().splitlines() if line.startswith("VmRSS"))
    ticks = (place / "stat").read_text().rpartition(")")[2].split()[11:13]
    return int(resident.split()[1]) / 1024, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def started(browser: Any, folder: Path, *files: str) -> tuple[float, float, float, float]:
    """Return seconds from the command to its address, to the first picture, to that of what Python answered; and
    the processor time of the server."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.add_init_script(STARTED)
    begun = time.time()
    with running(folder, *files) as (url, pid):
        address = time.time() - begun
        page.goto(url, wait_until="commit")
        page.wait_for_selector("body[data-ready=yes]")
        page.evaluate("new Promise(ok => { const look = () => window.answered ? ok() : setTimeout(look, 5); look(); })")
        seen, answered = (page.evaluate(f"window.{key}") / 1000 - begun for key in ("seen", "answered"))
        out = address, seen, answered, used(pid)[1]
        page.close()
    return out


def starts(browser: Any, folder: Path, count: int, what: str, *files: str) -> None:
    """Print medians of so many starts after a first one."""
    found = [started(browser, folder, *files) for _ in range(count + 1)][1:]
    address, seen, answered, processor = (statistics.median(one) for one in zip(*found, strict=True))
    print(f"start of {what}, median of {count}: address after {address:.2f} s, first picture after {seen:.2f} s,")
    print(f"answered after {answered:.2f} s; processor time of the server {processor:.2f} s", flush=True)


def fitted(page: Any) -> None:
    """Press Fit, and wait for the end."""
    page.click("#fit")
    page.wait_for_selector("#panel-history tbody tr", state="attached", timeout=600_000)
    page.wait_for_selector("body[data-busy=no]", timeout=600_000)


def measured(page: Any, slider: str, moves: int) -> tuple[list[float], float]:
    """Return milliseconds of each move, and curves a second while the slider is dragged."""
    page.evaluate(WATCH, slider)
    for k in range(moves):
        page.keyboard.press("ArrowRight" if (k // 50) % 2 == 0 else "ArrowLeft")
        page.evaluate(MOVED, k)
    times = page.evaluate("window.moves")
    return times, dragged(page, slider)


def dragged(page: Any, slider: str, seconds: float = 5.0) -> float:
    """Drag a slider to and fro with the mouse; return curves painted a second."""
    box = page.locator(f'input[type=range][aria-label="{slider}"]').bounding_box()
    middle, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle, y)
    page.mouse.down()
    page.evaluate("window.paints = 0; window.began = performance.now()")
    end, k = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        page.mouse.move(middle + box["width"] * 0.4 * (abs((k % 80) - 40) / 20 - 1), y)
        page.wait_for_timeout(8)
        k += 1
    rate = page.evaluate("1000 * window.paints / (performance.now() - window.began)")
    page.mouse.up()
    return float(rate)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--points", type=int, default=4500)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--url")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        recipe = written(Path(folder), options.points)
        if options.starts and not options.url:
            starts(browser, Path(folder), options.starts, "an empty page")
            starts(browser, Path(folder), options.starts, "a recipe", recipe.name)
        with running(Path(folder), recipe.name) as (own, pid):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(options.url or own)
            page.wait_for_selector("body[data-ready=yes]")
            page.wait_for_timeout(1000)
            memory = [used(pid)[0]]
            times, rate = measured(page, "wz.a", options.moves)
            if not options.url:
                fitted(page)
                page.wait_for_timeout(1000)
                memory.append(used(pid)[0])
    times.sort()
    high = times[int(0.95 * (len(times) - 1))]
    print(f"slider to painted curve, {options.moves} moves, two phases, {options.points} points:")
    print(f"median {statistics.median(times):.0f} ms, 95 % {high:.0f} ms, most {times[-1]:.0f} ms")
    print(f"while dragging: {rate:.0f} curves a second")
    if not options.url:
        print(f"memory of the server: {memory[0]:.0f} MB open, {memory[1]:.0f} MB after a fit")


if __name__ == "__main__":
    main()
