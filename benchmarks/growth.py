"""How the time of a curve grows with the cell and with r: cells in P1 of 4 to 2,000 atoms, to 10 to 100 Å.

    python benchmarks/growth.py [--perfect] [--different] [--atoms 4 6 8 … 2000] [--rmax 10 30 100] [--write]

Every atom is off its place, so that no two pairs are equal (`--perfect`: none is, and they are; `--different`: each has
another U, too). Displacements isotropic and anisotropic; values, and values with eight derivatives (two edges of the
cell, places and displacements of some atoms, delta2, scale). A row is a size of the cell, a column a range; each number
is CPU time in ms with a new cell edge, the least of several. With it: the exponent of atoms above 48, the floor (what
the distance of each pair and its six additions cost alone, `floors.py`), and where a cell that has more pairs, or a
longer range, takes less time than one with fewer by more than a fifth, which is a cliff between two methods. --write
puts the tables into docs/benchmarks.md and draws docs/pictures/growth.png.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import floors
import numpy as np

from pdfkit.benchmarking import cases
from pdfkit.errors import PdfkitError
from pdfkit.io.structures import load_structure
from pdfkit.model.model import Model
from pdfkit.structure.structure import Structure

# More pairs than this are left out: they take gigabytes, or minutes; derivatives count, of which lists keep each.
MOST = {"value": 1e7, "derivatives": 2e6}
PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "growth.png"
# The end of a name of which derivatives are taken, or the whole.
DIRECTIONS = ("p.scale", "p.a", "p.b", "p.delta2", "Cd1.Uiso", "S1.Uiso", "Cd1.U11", "S1.U11", "Cd2.x", "S2.x")
# A larger cell may take less time by this much before it is called a cliff.
CLIFF = 0.2


def perfect(atoms: int) -> Structure:
    """Return at least so many atoms of zinc blende, listed one by one."""
    n = math.ceil(max(1.0, atoms / 8) ** (1 / 3))
    return load_structure("CdS_zincblende").supercell((max(1, round(atoms / 8 / n**2)), n, n))


def different(structure: Structure) -> Structure:
    """Return a structure with another displacement for each atom, 0.8 to 1.25 times its own."""
    factors = np.random.default_rng(7).uniform(0.8, 1.25, len(structure.sites))
    both = zip(structure.sites, factors, strict=True)
    sites = tuple(replace(site, U=tuple(u * factor for u in site.U)) for site, factor in both)
    return replace(structure, sites=sites)


def least(run: Callable[[], Any]) -> float:
    """Return the least CPU time (s) of a call, of up to seven in half a second."""
    run()
    run()
    times: list[float] = []
    while len(times) < 7 and sum(times) < 0.5:
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def seconds_of(structure: Structure, rmax: float, what: str) -> float:
    """Return the time of a curve, alone ("value") or with "derivatives"."""
    model = Model(cases._crystal(structure), cases.INSTRUMENT)
    evaluate, values, value = cases._moving(model, "p.a", cases._r(rmax))
    if what == "value":
        return least(value)
    moved = [k for k, name in enumerate(model.names) if name.endswith(DIRECTIONS)]
    tangents = np.zeros((values.size, len(moved)))
    tangents[moved, range(len(moved))] = 1.0
    return least(lambda: evaluate(values, tangents))


def pairs_of(structure: Structure, rmax: float) -> float:
    """Return how many pairs there are within a range, each once."""
    return 2.1 * rmax**3 * len(structure.sites) ** 2 / structure.volume()


def table(make: Callable[[int], Structure], atoms: list[int], ranges: list[float], what: str) -> np.ndarray:
    """Return the seconds of each size (rows) and range (columns), NaN where there are too many pairs for it."""
    out = np.full((len(atoms), len(ranges)), np.nan)
    for (i, n), (j, rmax) in itertools.product(enumerate(atoms), enumerate(ranges)):
        structure = make(n)
        if pairs_of(structure, rmax) < MOST[what]:
            with suppress(PdfkitError):  # lists of anisotropic cells are refused where they would need gigabytes
                out[i, j] = seconds_of(structure, rmax, what)
    return out


def cliffs(seconds: np.ndarray, pairs: np.ndarray) -> list[tuple[float, tuple[int, int], tuple[int, int]]]:
    """Return how much more time a cell (i, j) of the table takes than neighbours with more pairs, the worst first.

    Twelve atoms on a grid of 27 places have fewer pairs than eight on one of eight.
    """
    found = []
    for i, j in np.ndindex(seconds.shape):
        for k, m in ((i + 1, j), (i - 1, j), (i, j + 1)):
            if 0 <= k < seconds.shape[0] and m < seconds.shape[1] and pairs[i, j] < pairs[k, m]:
                more = seconds[i, j] / seconds[k, m] - 1.0
                found += [(more, (i, j), (k, m))] if more > CLIFF else []
    return sorted(found, reverse=True)


def exponent(atoms: list[int], seconds: np.ndarray) -> str:
    """Return the power of the number of atoms that times grow with above 48 atoms, where three are known."""
    known = np.isfinite(seconds) & (np.array(atoms) >= 48)
    if known.sum() < 3:
        return ""
    return f"N^{np.polyfit(np.log(np.array(atoms)[known]), np.log(seconds[known]), 1)[0]:.2f}"


def written(title: str, atoms: list[int], ranges: list[float], seconds: np.ndarray, pairs: np.ndarray) -> list[str]:
    """Return a table as Markdown, with its exponents and cliffs."""
    lines = [
        f"| {title} | " + " | ".join(f"to {rmax:.0f} Å" for rmax in ranges) + " |",
        "|---" * (1 + len(ranges)) + "|",
    ]
    for n, row in zip(atoms, seconds, strict=True):
        lines.append(f"| {n:,} | " + " | ".join("" if math.isnan(t) else f"{t * 1e3:.3g} ms" for t in row) + " |")
    lines.append("| growth | " + " | ".join(exponent(atoms, column) for column in seconds.T) + " |")
    lines.append("")
    for more, (i, j), (k, m) in cliffs(seconds, pairs)[:3]:
        larger = f"{100 * more:.0f} % more than {atoms[k]:,} to {ranges[m]:.0f} Å"
        lines.append(f"{atoms[i]:,} atoms to {ranges[j]:.0f} Å take {larger}.")
    return lines


def draw(tables: dict[str, np.ndarray], atoms: list[int], ranges: list[float], floor: np.ndarray) -> None:
    """Draw a panel for each table, a line for each range, and the floor of the pairs."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(tables), figsize=(3.3 * len(tables), 3.4), sharey=True)
    for axes, (title, seconds) in zip(np.ravel(panels), tables.items(), strict=True):
        for j, rmax in enumerate(ranges):
            (line,) = axes.loglog(atoms, seconds[:, j] * 1e3, "o-", markersize=3, label=f"to {rmax:.0f} Å")
            axes.loglog(atoms, floor[:, j] * 1e3, ":", linewidth=0.8, color=line.get_color())
        axes.set(xlabel="atoms in the cell", title=title)
        axes.title.set_fontsize(9)
    np.ravel(panels)[0].set_ylabel("ms for one G(r); dotted: floor")
    np.ravel(panels)[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=130)


def main() -> None:
    """Measure and print, or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--perfect", action="store_true", help="atoms in their places")
    parser.add_argument("--different", action="store_true", help="another U for each atom")
    parser.add_argument(
        "--atoms", type=int, nargs="+", default=[4, 6, 8, 12, 16, 24, 32, 48, 64, 100, 200, 400, 700, 1000, 2000]
    )
    parser.add_argument("--rmax", type=float, nargs="+", default=[10.0, 30.0, 100.0])
    parser.add_argument("--write", action="store_true", help="write the block of docs/benchmarks.md, and its picture")
    chosen = parser.parse_args()
    source = perfect if chosen.perfect else cases.disordered_cell
    make = (lambda n: different(source(n))) if chosen.different else source
    made = {"isotropic": make, "anisotropic": lambda n: make(n).with_anisotropic()}
    tables = {
        f"{kind}, {what}": table(one, chosen.atoms, chosen.rmax, what)
        for kind, one in made.items()
        for what in ("value", "derivatives")
    }
    p = floors.primitives()
    each = 1e-9 * (p["root"] + p["increment"] + 5 * p["addition"])
    pairs = np.array([[pairs_of(make(n), rmax) for rmax in chosen.rmax] for n in chosen.atoms])
    floor = each * pairs
    about = floors.machine()
    lines = ["{processor}, {cores} cores, Python {python}, {date}".format(**about), ""]
    lines += [
        line
        for title, seconds in tables.items()
        for line in (*written(title, chosen.atoms, chosen.rmax, seconds, pairs), "")
    ]
    lines.append(f"Floor of a pair: {each * 1e9:.1f} ns (its root and six additions).")
    print("\n".join(lines))
    if chosen.write:
        from readme import put

        draw(tables, chosen.atoms, chosen.rmax, floor)
        put("growth", "\n".join(lines))


if __name__ == "__main__":
    main()
