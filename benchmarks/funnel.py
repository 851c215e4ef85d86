"""Does the funnel of a screen keep the winner? And what do many candidates cost?

    python benchmarks/funnel.py --cases 2000 --out funnel.jsonl   # recall of the match (hours; --quick: a minute)
    python benchmarks/funnel.py --count 1000000 --workers 2       # a screen of so many candidates (20 minutes)

A case: one of a pool of Cd37S20 candidates is true, with U, delta2, expansion, noise and displacements of its atoms
drawn anew; all of the pool are matched, the best of them and the true one fitted. Where does the match put the one
that the full fits put first? Prints Markdown for docs/results.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import pdfkit as pk
from pdfkit.model import noise
from pdfkit.screening.linear import Matcher
from pdfkit.screening.settings import ScreenFit
from pdfkit.screening.tasks import Problem

DISPLACED = (0.0, 0.1, 0.2, 0.3)
FITTED = 12


def pool(size: int) -> list[pk.Particle]:
    """So many candidates: complete ones, and with one and two cations missing, of all families."""
    each = max(2, size // 9)
    found = pk.build.candidates("Cd37S20", limit=each, seed=1)
    step = max(1.0, len(found) / size)
    return [found[int(k * step)] for k in range(min(size, len(found)))]


def measurement(truth: pk.Particle, rng: np.random.Generator) -> tuple[pk.PDF, dict[str, float]]:
    """A simulated measurement of a relaxed, vibrating cluster, and what was drawn for it."""
    drawn = {
        "displaced": float(rng.choice(DISPLACED)),
        "noise": float(rng.choice([0.01, 0.02, 0.04])),
        "qmax": float(rng.choice([13.0, 15.0, 18.0])),
        "expansion": float(rng.uniform(-0.03, 0.03)),
        "delta2": float(rng.uniform(0.0, 5.0)),
    }
    shift = drawn["displaced"] / np.sqrt(3) * rng.standard_normal(truth.xyz.shape)
    moved = replace(truth, xyz=truth.xyz + shift, lattice=None, sites=None)
    U = {"Cd": float(rng.uniform(0.008, 0.04)), "S": float(rng.uniform(0.008, 0.05))}
    cluster = pk.Cluster(moved, "c", Uiso=U, delta2=drawn["delta2"], expansion=drawn["expansion"])
    lab = pk.Instrument(probe="X", qmin=0.6, qmax=drawn["qmax"], qdamp=0.03)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # displaced atoms may come so near that delta2 leaves a pair no width
        return noise.simulate(pk.Model(cluster, lab), 1.5, 18.0, 0.02, drawn["noise"], int(rng.integers(2**31))), drawn


def case(particles: list[pk.Particle], seed: int) -> dict[str, Any]:
    """Where the match puts the candidate that full fits put first."""
    rng = np.random.default_rng([seed, 18])
    true = int(rng.integers(len(particles)))
    data, drawn = measurement(particles[true], rng)
    problem = Problem.of(data, ScreenFit(rmin=1.8, rmax=16))
    rw = np.array([one.rw for one in Matcher(problem).matches(particles)])
    order = np.argsort(rw, kind="stable").tolist()
    looked_at = list(dict.fromkeys([*order[:FITTED], true]))
    ranking = pk.screen([particles[k] for k in looked_at], data, rmin=1.8, rmax=16)
    place = {particles[k].name: k for k in looked_at}
    first = place[ranking[0].name]
    fitted = {place[row.name]: row.rw for row in ranking.best(len(looked_at))}
    return {
        "seed": seed,
        **drawn,
        "rank": order.index(first) + 1,
        "true": order.index(true) + 1,
        "rw": fitted[first],
        "excess": float(rw[first] / rw.min()),
        "within": int((rw < 1.01 * rw.min()).sum()),
        "error": float(np.median([abs(rw[k] / one - 1.0) for k, one in fitted.items()])),
    }


def recall(cases: int, size: int, out: Path) -> None:
    known = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    done = {one["seed"] for one in known}
    particles = pool(size)
    with out.open("a") as file:
        for seed in range(cases):
            if seed not in done:
                known.append(case(particles, seed))
                print(json.dumps(known[-1]), file=file, flush=True)
    print_recall(known, len(particles))


def print_recall(known: list[dict[str, Any]], size: int) -> None:
    print(f"{len(known)} cases, {size} candidates each\n")
    print(
        "| atoms displaced by (Å rms) | cases | first is first | in the best 3 | 10 | lowest place | highest Rw ratio |"
    )
    print("|---|---|---|---|---|---|---|")
    for displaced in (*DISPLACED, None):
        some = [one for one in known if displaced in (None, one["displaced"])]
        if not some:
            continue
        rank = np.array([one["rank"] for one in some])
        shares = " | ".join(f"{100 * np.mean(rank <= k):.2f} %" for k in (1, 3, 10))
        label = "all" if displaced is None else f"{displaced:g}"
        print(f"| {label} | {len(some)} | {shares} | {rank.max()} | {max(one['excess'] for one in some):.3f} |")


# --- many candidates -------------------------------------------------------------------------------------------------


def many(count: int) -> Iterator[pk.Particle]:
    """Clusters as they come from the builder, those of one seed after those of another."""
    every = (pk.build.iter_candidates("Cd37S20", seed=seed) for seed in itertools.count(1))
    yield from islice(itertools.chain.from_iterable(every), count)


def costs(count: int, workers: int, out: str | None) -> None:
    truth = pk.build.candidates("Cd37S20", limit=3, seed=1, families=["zincblende"])[1]
    data, _ = measurement(truth, np.random.default_rng(5))
    began = time.perf_counter()
    told: list[Any] = []
    ranking = pk.screen(many(count), data, rmin=1.8, rmax=16, workers=workers, out=out, progress=told.append)
    seconds = time.perf_counter() - began
    print(ranking.table(5))
    memory = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(f"{count} candidates in {seconds:.0f} s, {1e3 * seconds / count:.2f} ms each; "
          f"most memory {memory[0]:.0f} MB, of a worker {memory[1]:.0f} MB")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--pool", type=int, default=2000, help="candidates of each case")
    parser.add_argument("--out", default=None, help="file (of cases) or folder (of a screen) to go on from")
    parser.add_argument("--count", type=int, help="screen so many candidates instead")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="20 cases of 200 candidates")
    options = parser.parse_args()
    if options.count:
        costs(options.count, options.workers, options.out)
        return
    cases, size = (20, 200) if options.quick else (options.cases, options.pool)
    recall(cases, size, Path(options.out or f"funnel_{size}.jsonl"))


if __name__ == "__main__":
    main()
