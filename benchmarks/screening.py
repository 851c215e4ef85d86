"""Which cluster fits? Candidates against measured data, and Cd37S20 against simulated data.

    python benchmarks/screening.py            # the measured CdSe clusters (extra `examples`); draws a picture
    python benchmarks/screening.py --lists    # tetrahedra and exact sets alone: lists of rigid and of displaced atoms
    python benchmarks/screening.py --cd37s20  # a simulated Cd37S20 and who is taken for whom (minutes)

But for `--lists` atoms stay where candidates have them (`displacement="none"`); benchmarks/displaced.py moves them.
Prints Markdown for docs/results.md.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pdfkit as pk
from pdfkit.errors import StructureError
from pdfkit.model import noise
from pdfkit.plot import clusters

EXAMPLES = "diffpy/cmi/docs/examples/pdf/ch11ClusterXYZ/data"
PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
FORMULAS = ("Cd37Se20", "Cd56Se35", "Cd54Se32", "Cd84Se56", "Cd32Se14")


def cdse() -> Iterator[pk.Particle]:
    """Tetrahedra, truncated ones, spheres and rods of 30 to 250 atoms, and sets of exact stoichiometry."""
    cubic = "CdSe_zincblende"
    for n in range(3, 8):
        yield pk.build.tetrahedron(cubic, n)
    for n in range(4, 10):
        for cut in range(1, (n + 1) // 2):
            yield from sized(partial(pk.build.truncated_tetrahedron, cubic, n, cut))
    for source, axis in ((cubic, (1, 1, 1)), ("CdSe_wurtzite", "c")):
        for centre in ("cation", "anion", "bond", "void"):
            cut_at = {"centre": centre, "trim": 2}
            for k in range(24):
                yield from sized(partial(pk.build.sphere, source, 10.0 + 0.5 * k, **cut_at))
            for k in range(20):
                size = 9.0 + 2.0 * (k // 4), 12.0 + 5.0 * (k % 4)
                yield from sized(partial(pk.build.rod, source, *size, axis=axis, **cut_at))
    for formula in FORMULAS:
        yield from pk.build.iter_candidates(formula, limit=25, seed=1)


def sized(build: Callable[[], pk.Particle]) -> Iterator[pk.Particle]:
    """What is built, if it has 30 to 250 atoms: small ones can lose all of them when bare atoms are taken off."""
    try:
        particle = build()
    except StructureError:
        return
    if 30 <= len(particle) <= 250:
        yield particle


def print_rows(ranking: pk.Ranking, rows: int) -> None:
    fitted = [row for row in ranking.rows if math.isfinite(row.delta)]
    same = len(ranking.indistinguishable)
    print(f"{len(fitted)} candidates fitted; the best {same} cannot be told apart (Δ ln Z < 3).\n")
    print("| | candidate | formula | Rw | Δ ln Z |\n|---|---|---|---|---|")
    for place, row in enumerate(fitted, 1):
        named = row.name.startswith("Cd56Se35,") or row.kind != "candidate"
        if place <= rows or named or (row.name.endswith("_tetrahedron") and "truncated" not in row.name):
            kind = "" if row.kind == "candidate" else f" ({row.kind})"
            print(f"| {place} | {row.name}{kind} | {row.formula} | {row.rw:.4f} | {row.delta:.1f} |")


def measured(workers: int, rows: int, markdown: bool) -> None:
    folder = importlib.metadata.distribution("diffpy.cmi").locate_file(EXAMPLES)
    data = pk.read_pdf(f"{folder}/CdSe.gr", probe="X", qmin=0.9, qmax=20, qdamp=0.06)
    particles = [*cdse(), pk.Particle.from_file(f"{folder}/CdSe.xyz", name="Cd56Se35, file of the data")]
    began = time.perf_counter()
    ranking = pk.screen(
        particles,
        data,
        rmin=1,
        rmax=20,
        keep=(2000, 2000),
        workers=workers,
        mixtures=3,
        null="CdSe_zincblende",
        displacement="none",
    )
    seconds = time.perf_counter() - began
    if not markdown:
        print(ranking.table(rows))
    else:
        print_rows(ranking, rows)
    print(f"*** {len(particles)} candidates in {seconds:.1f} s", file=sys.stderr)
    clusters.ranking(ranking, path=PICTURES / "screening.png")


def lists(workers: int) -> None:
    """Print which list the measured clusters have, with rigid atoms and with displaced ones."""
    folder = importlib.metadata.distribution("diffpy.cmi").locate_file(EXAMPLES)
    data = pk.read_pdf(f"{folder}/CdSe.gr", probe="X", qmin=0.9, qmax=20, qdamp=0.06)
    particles = [pk.build.tetrahedron("CdSe_zincblende", n) for n in range(3, 8)]
    particles += [one for formula in FORMULAS for one in pk.build.iter_candidates(formula, limit=25, seed=1)]
    particles.append(pk.Particle.from_file(f"{folder}/CdSe.xyz", name="Cd56Se35, file of the data"))
    print("| atoms | candidates | in the list | Δ ln Z < 3 | rms asked for, Å | families | first |")
    print("|---|---|---|---|---|---|---|")
    for how in ("none", "auto"):
        ranking = pk.screen(particles, data, rmin=1, rmax=20, workers=workers, displacement=how)
        listed, within = len(ranking.listed), len(ranking.indistinguishable)
        families = ", ".join(f"{name} {share:.0%}" for name, share in ranking.families.items() if share > 0.005)
        size, first = f"{ranking.displacement:.2f}", ", ".join(row.name for row in ranking.best(3))
        print(f"| {how} | {len(ranking.best(len(ranking)))} | {listed} | {within} | {size} | {families} | {first} |")
    print(ranking.certificate)


def cd37s20(workers: int) -> None:
    candidates = pk.build.candidates("Cd37S20", limit=12, seed=1)
    counts: dict[str, int] = {}
    for one in candidates:
        family = str(one.meta["family"])
        counts[family] = counts.get(family, 0) + 1
    print("candidates:", counts)
    lab = pk.Instrument(probe="X", qmin=0.6, qmax=15.0, qdamp=0.03)
    truth = next(one for one in candidates if one.meta["family"] == "zincblende")
    model = pk.Model(pk.Cluster(truth, "c", Uiso=0.015, delta2=2.0), lab)
    data = noise.simulate(model, 1.5, 18.0, 0.01, 0.02, 7)
    ranking = pk.screen(candidates, data, rmin=1.8, rmax=16, workers=workers, displacement="none")
    place = [row.name for row in ranking.rows].index(truth.name) + 1
    print(f"the true one is number {place}; indistinguishable: {len(ranking.indistinguishable)}")
    print(ranking.table(12))
    # Families need not be equally common in the first ranks: some of each.
    chosen = []
    for family in ("zincblende", "faulted", "wurtzite"):
        chosen += [row.name for row in ranking.rows if row.family == family][:4]
    study = pk.confusion(chosen, ranking, repeats=20, seed=1, workers=workers)
    print(study.table())
    clusters.confusion(study, path=PICTURES / "confusion.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cd37s20", action="store_true", help="the simulated Cd37S20 and its rivals")
    parser.add_argument("--lists", action="store_true", help="lists of rigid atoms and of displaced ones")
    parser.add_argument("--rows", type=int, default=25, help="rows to print")
    parser.add_argument("--markdown", action="store_true", help="for docs/results.md")
    options = parser.parse_args()
    workers = os.cpu_count() or 1
    if options.cd37s20:
        cd37s20(workers)
    elif options.lists:
        lists(workers)
    else:
        measured(workers, options.rows, options.markdown)


if __name__ == "__main__":
    main()
