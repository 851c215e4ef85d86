"""Memory of `pdfkit live` over a day: 8 hours of use, compressed, through the websocket without a browser.

python benchmarks/live.py [--rounds 100] [--recipe FILE]

Each round is a few minutes of somebody's work: 300 moves of a slider, 5 fits, 3 tabs opened and closed (one of them
with a file that is dropped, one that continues the page as a copy), ten steps back and forth, the recipe opened anew,
two downloads. 100 rounds are 30,000 moves, 500 fits and 300 tabs. Printed are, round by round, the resident memory of
the server, its threads and its open files; at the end, from the second half of the rounds, the growth of memory in MB
per hundred rounds with its standard error. Without `--recipe` simulated nickel is fitted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import pdfkit as pk

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "live"))

from served import Live, Tab  # the websocket of a page, as the tests have it

MOVES, FITS, STEPS, TABS = 300, 5, 10, 3
RECIPE = """[[data]]
file = "ni.gr"
[[phase]]
name = "Ni"
structure = "Ni"
[fit]
free = ["scale", "a", "Uiso"]
"""


def nickel(folder: Path) -> str:
    """Write simulated data of nickel and the recipe that fits them; return the recipe's name."""
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.03))
    pdf = model.with_values({"ni.a": 3.53, "ni.scale": 0.7})(np.arange(0.5, 15, 0.02))
    noise = np.random.default_rng(1).normal(0.0, 0.02, pdf.r.size)
    pk.write_pdf(folder / "ni.gr", pk.PDF(pdf.r, pdf.G + noise, instrument=pdf.instrument))
    (folder / "ni.toml").write_text(RECIPE)
    return "ni.toml"


def measured(pid: int) -> tuple[float, int, int]:
    """Return resident memory in MB, threads and open files of a process."""
    place = Path(f"/proc/{pid}")
    known = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
    return int(known["VmRSS"].split()[0]) / 1024, int(known["Threads"]), len(list((place / "fd").iterdir()))


def slope(y: Any) -> tuple[float, float]:
    """Return the slope of equidistant values and its standard error."""
    x = np.arange(len(y)) - (len(y) - 1) / 2
    found = float(x @ y / (x @ x))
    rest = y - np.mean(y) - found * x
    return found, float(np.sqrt(rest @ rest / max(len(y) - 2, 1) / (x @ x)))


async def work(tab: Tab, recipe: str, moves: int, fits: int) -> None:
    """Move, fit, step back and forth, open the recipe anew."""
    await tab.do("open", files=[recipe])
    assert not tab.view["message"], tab.view["message"]
    row = next(one for one in tab.view["rows"] if one["name"].endswith(".a") and one["free"])
    for value in np.linspace(0.99, 1.01, moves) * float(row["value"]):
        await tab.do("value", name=row["name"], value=float(value), moving=True)
    await tab.do("value", name=row["name"], value=float(row["value"]))
    for _ in range(fits):
        before = len(tab.view["history"]) and tab.view["history"][-1]["number"]
        await tab.do("fit")
        while not tab.view["history"] or tab.view["history"][-1]["number"] == before:
            assert not tab.view["message"], tab.view["message"]
            await tab.do("renew")
            await asyncio.sleep(0.02)
    for do in ("undo", "redo"):
        for _ in range(STEPS):
            await tab.do(do)


async def visits(live: Live, page: str, n: int, data: bytes) -> None:
    """Open and close tabs: an empty one, one that is given data, one that continues a page beside the tab it is in."""
    for k in range(n):
        async with Tab(live) as tab:
            if k % TABS == 1:
                answer = await asyncio.to_thread(live.upload, tab.view["page"], "mine.gr", data)
                await tab.do("open", files=[json.loads(answer.text)["file"]])
                assert not tab.view["message"], tab.view["message"]
            elif k % TABS == 2:
                await tab.do("continue", page=page, copy=True)


async def rounds(
    live: Live, recipe: str, count: int, moves: int = MOVES, fits: int = FITS, every: float = 0.0
) -> list[float]:
    """Work for so many rounds, and print each; return the resident memory after each.

    every : seconds from one to the next, at least. A page without a tab is let go after a minute: where rounds take a
    second or two, some hundred such pages are there at once, which no day has.
    """
    found = []
    data = (live.folder / "ni.gr").read_bytes()
    async with Tab(live) as tab:
        page = tab.view["page"]
        for k in range(count):
            begun = time.monotonic()
            await work(tab, recipe, moves, fits)
            await visits(live, page, TABS, data + b"\n" * k)
            for kind in ("recipe", "hdf5"):
                answer = await asyncio.to_thread(live.ask, f"download?page={page}&kind={kind}")
                assert answer.status == 200, answer.text
            resident, threads, files = measured(live.process.pid)
            found.append(resident)
            about = f"{resident:7.1f} MB {threads:4d} threads {files:4d} files {time.monotonic() - begun:6.1f} s"
            print(f"{k + 1:5d} rounds {about}", flush=True)
            await asyncio.sleep(max(0.0, every - (time.monotonic() - begun)))
    return found


def main() -> None:
    """Print memory against rounds, and its growth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--every", type=float, default=12.0, help="seconds from a round to the next, at least")
    parser.add_argument("--recipe", type=Path, help="what is fitted instead of simulated nickel")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = asked.recipe.resolve().parent if asked.recipe else Path(name)
        recipe = asked.recipe.name if asked.recipe else nickel(folder)
        live = Live(folder, "--folder", str(Path(name) / "pages"), recipe)
        try:
            found = asyncio.run(rounds(live, recipe, asked.rounds, every=asked.every))
        finally:
            live.end()
        print(live.said.read_text(), end="")
    late = np.array(found[len(found) // 2 :])
    growth, error = slope(late)
    print(f"{100 * growth:.1f} ± {100 * error:.1f} MB per 100 rounds, from {late[0]:.0f} MB on")


if __name__ == "__main__":
    main()
