"""Is ln Z right? Ten pairs of rival models: BIC, Laplace's integral and nested sampling side by side.

    python benchmarks/evidence.py                 # BIC and Laplace beside the stored numbers of dynesty (a minute)
    python benchmarks/evidence.py --nested        # dynesty anew (extra `evidence`; an hour), and stored again

Prints Markdown. Data are simulated: CdS dots and CdSe clusters, with noise in F(Q). A difference is ln Z of the first
model less ln Z of the second.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

# Small matrices: threads of the linear algebra only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


import pdfkit as pk
from pdfkit.fitting.comparison import weighed_alike, yardstick
from pdfkit.fitting.evidence import Likelihood, laplace, sampled
from pdfkit.fitting.nested import nested
from pdfkit.model import noise

STORED = Path(__file__).with_name("evidence.json")
LAB = pk.Instrument(probe="X", qmax=16.0, qdamp=0.03)
WIDE = pk.Instrument(probe="X", qmin=0.8, qmax=16.0)
# Where peaks are no narrower than data can show, a model is computed in a millisecond everywhere in the priors.
BOUNDS = {"Uiso": (0.003, 0.15)}


@dataclass(frozen=True)
class Rival:
    """A model and what is free in it."""

    phases: Callable[[], list[Any]]
    free: tuple[str, ...]
    ties: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """Two rivals of one simulated measurement: the true phases, noise in G (Å⁻²), whether its size is told."""

    name: str
    first: str
    second: str
    truth: Callable[[], list[Any]]
    sigma: float
    told: bool
    lab: pk.Instrument = LAB
    rmax: float = 14.0
    seed: int = 1


def crystal(kind: str, name: str, **options: Any) -> pk.Crystal:
    about = {"delta2": 2.0, "shape": pk.Sphere(24.0), **options}
    return pk.Crystal.from_file(f"CdS_{kind}", name=name, **about)


def zb(**options: Any) -> pk.Crystal:
    return crystal("zincblende", "zb", **options)


def wz(**options: Any) -> pk.Crystal:
    return crystal("wurtzite", "wz", **options)


def stacked(alpha: float) -> pk.Stacked:
    about = {"a_h": 4.13, "h": 3.37, "u": 0.375, "Uiso": 0.015, "delta2": 2.0, "shape": pk.Sphere(24.0)}
    return pk.Stacked("Cd", "S", name="st", alpha=alpha, **about)


def cluster(n: int, name: str = "c", **options: Any) -> pk.Cluster:
    particle = pk.build.tetrahedron("CdSe_zincblende", n)
    return pk.Cluster(particle, name, **{"Uiso": 0.03, "delta2": 3.0, **options})


DOT = ("scale", "a", "Uiso", "spdiameter")
ONE_U = {"wz.Cd.Uiso": "zb.Cd.Uiso", "wz.S.Uiso": "zb.S.Uiso", "wz.spdiameter": "zb.spdiameter"}
PAIR = {"b.Cd.Uiso": "a.Cd.Uiso", "b.Se.Uiso": "a.Se.Uiso"}
CLUSTER = ("scale", "expansion", "Uiso")
RIVALS = {
    "zinc blende": Rival(lambda: [zb()], DOT),
    "stacked": Rival(lambda: [stacked(0.2)], ("scale", "a_h", "h", "alpha", "Uiso", "spdiameter")),
    "two phases": Rival(lambda: [zb(), wz(scale=0.2)], (*DOT, "c"), ONE_U),
    "spheres, lognormal": Rival(lambda: [zb(shape=pk.shapes.LognormalSpheres(23.0, 3.0))], (*DOT, "spsigma")),
    "zinc blende, delta2": Rival(lambda: [zb()], (*DOT, "delta2")),
    "wurtzite": Rival(lambda: [wz()], (*DOT, "c")),
    "Cd35": Rival(lambda: [cluster(4)], CLUSTER),
    "Cd35, one U": Rival(lambda: [cluster(4)], CLUSTER, {"c.Se.Uiso": "c.Cd.Uiso"}),
    "Cd35, delta2": Rival(lambda: [cluster(4)], (*CLUSTER, "delta2")),
    "Cd35 + Cd20": Rival(lambda: [cluster(4, "a"), cluster(3, "b", scale=0.2)], CLUSTER, PAIR),
    "Cd35 + Cd56": Rival(lambda: [cluster(4, "a"), cluster(5, "b", scale=0.2)], CLUSTER, PAIR),
}


def mixed() -> list[pk.Cluster]:
    """Return the truth of the mixtures: 8 % of the smaller tetrahedron."""
    return [cluster(4, "a", scale=0.92), cluster(3, "b", scale=0.08)]


PROBLEMS = (
    Problem("faults that are not there", "zinc blende", "stacked", lambda: [zb()], 0.10, True),
    Problem("the same, noise not told", "zinc blende", "stacked", lambda: [zb()], 0.10, False),
    Problem("faults", "stacked", "two phases", lambda: [stacked(0.15)], 0.08, False),
    Problem("a second phase that is not there", "zinc blende", "two phases", lambda: [zb()], 0.10, True),
    Problem("sizes", "zinc blende", "spheres, lognormal",
            lambda: [zb(shape=pk.shapes.LognormalSpheres(22.0, 3.0))], 0.06, False, rmax=20.0),
    Problem("correlated motion", "zinc blende", "zinc blende, delta2", lambda: [zb(delta2=2.6)], 0.06, True),
    Problem("a cluster, or a mixture", "Cd35", "Cd35 + Cd20", lambda: [cluster(4)], 0.10, False, WIDE),
    Problem("a mixture", "Cd35", "Cd35 + Cd20", mixed, 0.15, False, WIDE),
    Problem("another mixture", "Cd35", "Cd35 + Cd56", lambda: [cluster(4)], 0.10, True, WIDE),
    Problem("one U, or two", "Cd35, one U", "Cd35",
            lambda: [cluster(4, Uiso={"Cd": 0.03, "Se": 0.034})], 0.10, True, WIDE),
)  # fmt: skip


@lru_cache(maxsize=16)
def fitted(problem: Problem) -> dict[str, pk.FitResult]:
    """Return the fits of both rivals, started from each other's end points too."""
    data = noise.simulate(pk.Model(problem.truth(), problem.lab), 1.8, problem.rmax, 0.02, problem.sigma, problem.seed)
    data = data if problem.told else replace(data, dG=None)
    out = {}
    for name in (problem.first, problem.second):
        rival = RIVALS[name]
        model = pk.Model(rival.phases(), problem.lab)
        bounds = {key: ends for key, ends in BOUNDS.items() if any(n.endswith(key) for n in model.names)}
        out[name] = pk.fit(model, data, rmin=2.0, free=rival.free, ties=rival.ties, bounds=bounds)
    from pdfkit.fitting.polishing import polished

    return polished(out)


def measure(problem: Problem) -> tuple[str, dict[str, pk.FitResult]]:
    """Return what misfits are measured by, and both fits in that measure."""
    how, spectra = yardstick(fitted(problem))
    return how, {name: weighed_alike(one, spectra) for name, one in fitted(problem).items()}


def bic(result: pk.FitResult, how: str) -> float:
    """Return −½ BIC, what was printed as ln Z before."""
    n, k = result.n_independent, len(result.free)
    chi2 = result.minimum * n / (n if result.whitened else result.n_points)
    return (-0.5 * chi2 if how == "known" else -0.5 * n * math.log(chi2 / n)) - 0.5 * k * math.log(n)


def nested_numbers(problem: Problem, points: int) -> dict[str, list[float]]:
    """Return ln Z of both rivals by dynesty, with its error and evaluations."""
    how, results = measure(problem)
    out = {}
    for name, result in results.items():
        found = nested(Likelihood.of(result, how), result.values, seed=problem.seed, points=points)
        out[name] = [found.lnz, found.error, found.evaluations]
    return out


def row(problem: Problem, truth: dict[str, list[float]] | None) -> str:
    """Return a line of the table."""
    how, results = measure(problem)
    both = [Likelihood.of(one, how) for one in results.values()]
    fits = list(results.values())
    plain = [laplace(one, fit.values) for one, fit in zip(both, fits, strict=True)]
    drawn = [sampled(one, fit.values) for one, fit in zip(both, fits, strict=True)]
    by_bic = bic(fits[0], how) - bic(fits[1], how)
    error = math.hypot(drawn[0].error, drawn[1].error)
    cells = [problem.name, f"{problem.first} − {problem.second}", f"{len(fits[0].free)}, {len(fits[1].free)}"]
    cells += [f"{by_bic:.2f}", f"{plain[0] - plain[1]:.2f}", f"{drawn[0].lnz - drawn[1].lnz:.2f} ± {error:.2f}"]
    if truth:
        (first, e1, _), (second, e2, _) = (truth[name] for name in results)
        cells.append(f"{first - second:.2f} ± {math.hypot(e1, e2):.2f}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nested", action="store_true", help="compute dynesty's numbers anew and store them")
    parser.add_argument("--points", type=int, default=250, help="live points of dynesty")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of problems, from 0")
    options = parser.parse_args()
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    print("| problem | difference of | k | BIC | Laplace | the default | nested sampling |")
    print("|---|---|---|---|---|---|---|")
    for index, problem in enumerate(PROBLEMS):
        if options.only and index not in options.only:
            continue
        if options.nested:
            found = nested_numbers(problem, options.points)
            stored = {**(json.loads(STORED.read_text()) if STORED.exists() else {}), problem.name: found}
            STORED.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
        print(row(problem, stored.get(problem.name)), flush=True)


if __name__ == "__main__":
    main()
