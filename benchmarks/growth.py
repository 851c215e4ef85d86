"""How the time of a curve grows with the cell and with r: cells in P1 of 4 to 2,000 atoms, to 10 to 100 Å.

    python benchmarks/growth.py [--aniso] [--perfect] [--atoms 4 8 48 200 2000] [--rmax 10 30 60 100] [--out growth.svg]

Every atom is off its place, so that no two pairs are equal (`--perfect`: none is, and they are). A row is a size of the
cell, a column a range; each number is CPU time in ms of one G(r) with a new cell edge, the least of several. Below the
table: where a larger cell, or a longer range, takes less time than a smaller one, and by how much, which is a cliff
between two methods.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pdfkit.benchmarking import cases
from pdfkit.io.structures import load_structure
from pdfkit.model.model import Model
from pdfkit.structure.structure import Structure

# More pairs than this are left out: they take gigabytes, or minutes.
MOST = 1e7


def perfect(atoms: int) -> Structure:
    """Return at least so many atoms of zinc blende, listed one by one."""
    n = math.ceil(max(1.0, atoms / 8) ** (1 / 3))
    return load_structure("CdS_zincblende").supercell((max(1, round(atoms / 8 / n**2)), n, n))


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


def table(make: Callable[[int], Structure], atoms: list[int], ranges: list[float]) -> np.ndarray:
    """Return the seconds of each size (rows) and range (columns), NaN where there are too many pairs."""
    out = np.full((len(atoms), len(ranges)), np.nan)
    for (i, n), (j, rmax) in itertools.product(enumerate(atoms), enumerate(ranges)):
        structure = make(n)
        if 2.1 * rmax**3 * len(structure.sites) ** 2 / structure.volume() < MOST:
            phase = cases._crystal(structure)
            out[i, j] = least(cases._moving(Model(phase, cases.INSTRUMENT), "p.a", cases._r(rmax))[2])
    return out


def cliffs(seconds: np.ndarray) -> list[tuple[float, tuple[int, int], tuple[int, int]]]:
    """Return how much more time a cell (i, j) of the table takes than its larger neighbours, the worst first."""
    found = []
    for i, j in np.ndindex(seconds.shape):
        for k, m in ((i + 1, j), (i, j + 1)):
            if k < seconds.shape[0] and m < seconds.shape[1] and seconds[i, j] > seconds[k, m]:
                found.append((seconds[i, j] / seconds[k, m] - 1.0, (i, j), (k, m)))
    return sorted(found, reverse=True)


def draw(seconds: np.ndarray, atoms: list[int], ranges: list[float], path: str) -> None:
    """Write a picture: a line for each range."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 4))
    for j, rmax in enumerate(ranges):
        axes.loglog(atoms, seconds[:, j] * 1e3, "o-", label=f"to {rmax:.0f} Å")
    axes.set(xlabel="atoms in the cell", ylabel="ms for one G(r)")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Measure, print the table and the cliffs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--aniso", action="store_true", help="six numbers for each displacement")
    parser.add_argument("--perfect", action="store_true", help="atoms in their places")
    parser.add_argument("--atoms", type=int, nargs="+", default=[4, 8, 16, 48, 100, 200, 500, 1000, 2000])
    parser.add_argument("--rmax", type=float, nargs="+", default=[10.0, 20.0, 30.0, 60.0, 100.0])
    parser.add_argument("--out", default="", help="a picture")
    chosen = parser.parse_args()
    source = perfect if chosen.perfect else cases.disordered_cell
    make = (lambda n: source(n).with_anisotropic()) if chosen.aniso else source
    seconds = table(make, chosen.atoms, chosen.rmax)
    print("| atoms | " + " | ".join(f"to {rmax:.0f} Å" for rmax in chosen.rmax) + " |")
    print("|---" * (1 + len(chosen.rmax)) + "|")
    for n, row in zip(chosen.atoms, seconds, strict=True):
        print(f"| {n:,} | " + " | ".join("" if math.isnan(t) else f"{t * 1e3:.3g} ms" for t in row) + " |")
    worst = cliffs(seconds)
    for more, (i, j), (k, m) in worst[:5]:
        print(
            f"{chosen.atoms[i]:,} atoms to {chosen.rmax[j]:.0f} Å take {100 * more:.0f} % more than "
            f"{chosen.atoms[k]:,} to {chosen.rmax[m]:.0f} Å"
        )
    if not worst:
        print("time grows with the cell and with the range everywhere")
    if chosen.out:
        draw(seconds, chosen.atoms, chosen.rmax, chosen.out)


if __name__ == "__main__":
    main()
