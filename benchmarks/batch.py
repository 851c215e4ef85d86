"""Many vectors of values in one call, beside a loop: python benchmarks/batch.py [--rounds 7].

Processor times, least of the rounds in which both take turns: of a curve, of 32 walkers' step of `sample`, and of the
300 points of a round of importance sampling (`pk.compare`). The table of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import pdfkit as pk
from pdfkit.fitting.residuals import Residuals
from pdfkit.model.mapping import ParameterMap

R = np.arange(1, 3001) * 0.01
X = pk.Instrument(probe="X", qmax=25.0, qdamp=0.03, qbroad=0.01)
MOVED = (".a", ".c", ".z", ".Uiso", ".scale", ".delta2", ".spdiameter", "qdamp")


def phase(name: str, **options: Any) -> pk.Crystal:
    return pk.Crystal.from_file(name, name=name.split("_")[-1], delta2=2.0, **options)


def models() -> dict[str, pk.Model]:
    dot = {"shape": pk.Sphere(30.0)}
    zb, wz = phase("CdS_zincblende", **dot), phase("CdS_wurtzite", **dot)
    return {
        "zinc blende": pk.Model(phase("CdS_zincblende"), X),
        "wurtzite": pk.Model(phase("CdS_wurtzite"), X),
        "spheres of zinc blende": pk.Model(zb, X),
        "spheres of both": pk.Model([zb, wz], X),
        "wurtzite with tensors": pk.Model(phase("CdS_wurtzite", anisotropic=True), X),
    }


def turns(first: Callable[[], Any], second: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Least processor time (s) of each."""
    least = [np.inf, np.inf]
    for _ in range(rounds + 1):  # the first one compiles
        for k, action in enumerate((first, second)):
            began = time.process_time()
            action()
            least[k] = min(least[k], time.process_time() - began)
    return least[0], least[1]


def row(what: str, loop: float, many: float, count: int) -> str:
    return f"| {what} | {loop / count * 1e6:.0f} µs | {many / count * 1e6:.0f} µs | {loop / many:.1f} × |"


def curves(name: str, model: pk.Model, rounds: int) -> str:
    evaluate, values = model.evaluator(R), np.tile(model.values, (64, 1))
    moved = [k for k, one in enumerate(model.names) if one.endswith(MOVED)]
    values[:, moved] *= 1.0 + 0.01 * np.random.default_rng(1).uniform(-1.0, 1.0, (64, len(moved)))
    return row(
        f"G(r), {name}", *turns(lambda: [evaluate(x) for x in values], lambda: evaluate.many(values), rounds), 64
    )


def residuals(rounds: int) -> list[str]:
    """Rows of what samplers ask for: residuals of a fit to 20 Å."""
    model, r, Q = models()["spheres of zinc blende"], np.arange(1, 20, 0.02), np.arange(0.1, 25, 0.1)
    noise = 0.02 * np.random.default_rng(1).standard_normal(Q.size) @ np.sin(np.outer(Q, r))
    free = ["scale", "a", "Uiso", "delta2", "spdiameter"]
    result = pk.fit(model, pk.PDF(r, model(r).G + noise, instrument=X), free=free)
    problem, sigma = Residuals(result.problem, ParameterMap.of(result.params)), np.sqrt(np.diag(result.covariance))
    out = []
    for what, n in (("residuals of 16 walkers", 16), ("residuals of 300 points", 300)):
        x = result.values + 0.5 * sigma * np.random.default_rng(2).standard_normal((n, sigma.size))
        out.append(
            row(what, *turns(lambda x=x: [problem.at(one) for one in x], lambda x=x: problem.at_many(x), rounds), n)
        )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    print("| each | in a loop | in one call | |\n|---|---|---|---|")
    for name, model in models().items():
        print(curves(name, model, rounds), flush=True)
    print("\n".join(residuals(rounds)))


if __name__ == "__main__":
    main()
