"""Are the errors right, whatever the noise? `python benchmarks/noise.py` prints Markdown.

500 noisy sets each of five kinds of noise, on a two-phase CdS dot with G(r) from 1.5 to 25 Å and Qmax = 20 Å⁻¹. For
each kind and parameter: the spread of (p̂ − p)/σ, which should be 1; the share of sets within 1σ and 1.96σ, which should
be 68 % and 95 %; how much p̂ scatters, relative to fits that know the covariance of the noise exactly; and the share of
fits with the remark that what they leave is more than noise, which is wrong here.

Rows: "estimated", what a fit does with G(r) alone; "equal at all Q", the same weights at all Q and the size from the
misfit, as before; "counted", a point every π/Qmax instead of correlations; "known", given the covariance. The fifth
kind is what simulations often have and no measurement: a random number added to each point of G, beyond Qmax, too. It
has no covariance in Q, so that "equal at all Q" is what scatter is relative to.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import pdfkit as pk

Array = np.ndarray
R = np.arange(150, 2501) * 0.01
LAB = pk.Instrument(probe="X", qmax=20.0, qdamp=0.03, scattering="constant")
STEP = 0.02
Q = np.arange(STEP / 2, 20.0, STEP)
WAVES = 2.0 / np.pi * STEP * np.sin(np.outer(Q, R))
SIZE = 0.1
"""Root mean square of the noise of F(Q), Å⁻¹: Rw of about 0.03."""

TRUTH = {
    "zb.scale": 0.6,
    "zb.a": 5.81,
    "zb.Cd.Uiso": 0.012,
    "zb.S.Uiso": 0.018,
    "zb.spdiameter": 22.0,
    "wz.scale": 0.4,
    "wz.a": 4.12,
    "wz.c": 6.73,
    "wz.S.z": 0.375,
}
TIES = {"wz.spdiameter": "zb.spdiameter", "wz.Cd.Uiso": "zb.Cd.Uiso", "wz.S.Uiso": "zb.S.Uiso"}
FREE = ["scale", "a", "c", "S.z", "Uiso", "spdiameter"]


def model(instrument: pk.Instrument = LAB) -> pk.Model:
    """Return the dot: zinc blende and wurtzite, 22 Å."""
    zb = pk.Crystal.from_file("CdS_zincblende", name="zb", shape=pk.Sphere(22.0), delta2=2.0)
    wz = pk.Crystal.from_file("CdS_wurtzite", name="wz", shape=pk.Sphere(22.0), delta2=2.0)
    values = {**TRUTH, "wz.Cd.Uiso": 0.012, "wz.S.Uiso": 0.018, "wz.spdiameter": 22.0}
    return pk.Model([zb, wz], instrument).with_values(values)


def counting() -> Array:
    """Return σ of F = Q(S − 1) where counts of equal time are divided by f²: Q/f, 47-fold from Q = 2 to 19 Å⁻¹."""
    f = 0.75 / (1 + (Q / 5.0) ** 2) + 0.25 / (1 + (Q / 20.0) ** 2)
    return np.asarray(Q / f / (Q / f)[-1])


def detector() -> Array:
    """Return counting noise of a detector with a tilted edge, a worse module, and what a beamstop lets by."""
    edge, module = np.where(Q > 12, 1.5, 1.0), np.where((Q > 7) & (Q < 8), 2.0, 1.0)
    return np.asarray(counting() * edge * module + 0.1 * np.exp(-((Q / 0.8) ** 2)))


KINDS: dict[str, Array] = {
    "white": np.ones(Q.size),
    "counting": counting(),
    "detector": detector(),
    # A structure that is not quite right leaves a residual that falls off as the signal does.
    "model error": 0.25 * Q * np.exp(-0.012 * Q**2) + 0.03 * counting(),
}
POINTS = "points"


def sigma(kind: str) -> Array:
    """Return σ of F(Q) (Å⁻¹) of a kind of noise."""
    shape = KINDS[kind]
    return np.asarray(SIZE * shape / np.sqrt(np.mean(shape**2)))


BUMPS = np.exp(-(((Q[:, None] - np.arange(0.0, 21.0, 2.0)) / 3.0) ** 2)) * np.sin(np.pi * Q / 20.0)[:, None] ** 2
"""Shapes of the smooth error of F(Q) that a detector adds, another one in every measurement; most is below 1.5 Å."""


def draw(kind: str, seed: int) -> Array:
    """Return noise of G on R."""
    rng = np.random.default_rng(seed)
    if kind == POINTS:
        return SIZE * rng.standard_normal(R.size)
    F = sigma(kind) * rng.standard_normal(Q.size)
    if kind == "detector":
        F = F + 0.3 * SIZE * BUMPS @ rng.standard_normal(BUMPS.shape[1])
    return np.asarray(F @ WAVES)


def covariance(kind: str) -> pk.uncertainty.Covariance:
    """Return the covariance of that noise."""
    modes = BUMPS if kind == "detector" else np.zeros((Q.size, 0))
    core = (0.3 * SIZE) ** 2 * np.eye(modes.shape[1])
    return pk.uncertainty.Covariance(Q, np.full(Q.size, 2.0 / np.pi * STEP), sigma(kind) ** 2, modes, core)


@dataclass(frozen=True)
class Way:
    """A way of fitting one set: settings, and whether the covariance is given."""

    settings: pk.FitSettings
    told: bool = False


WAYS = {
    "known": Way(pk.FitSettings(noise="given"), told=True),
    "estimated": Way(pk.FitSettings()),
    "equal at all Q": Way(pk.FitSettings(noise="given")),
    "counted": Way(pk.FitSettings("independent")),
}


@dataclass(frozen=True)
class Outcome:
    """Values and errors (sets, n) of the free parameters, CPU seconds of a fit, and remarks of each."""

    free: tuple[str, ...]
    values: Array
    errors: Array
    seconds: float
    remarks: tuple[tuple[str, ...], ...]

    @property
    def pulls(self) -> Array:
        """(p̂ − p)/σ."""
        return np.asarray((self.values - np.array([TRUTH[name] for name in self.free])) / self.errors)


def run(kind: str, way: Way, sets: int, progress: Callable[[int], None] | None = None) -> Outcome:
    """Fit `sets` noisy measurements in one way."""
    true = model()
    clean = true(R).G
    cov = covariance(kind) if way.told else None
    results = []
    began = time.process_time()
    for seed in range(sets):
        data = pk.PDF(R, clean + draw(kind, seed), instrument=LAB, cov=cov)
        results.append(pk.fit(true, data, free=FREE, ties=TIES, settings=way.settings))
        if progress is not None:
            progress(seed)
    seconds = (time.process_time() - began) / sets
    errors = np.array([np.sqrt(np.diag(one.covariance)) for one in results])
    values = np.array([one.values for one in results])
    return Outcome(results[0].free, values, errors, seconds, tuple(one.remarks for one in results))


def ends(values: Array, form: str = ".2f") -> str:
    """Return the least and the largest value."""
    return f"{values.min():{form}} – {values.max():{form}}"


def table(kind: str, outcomes: dict[str, Outcome]) -> list[str]:
    """Return one row for every way."""
    best = outcomes.get("known", outcomes["equal at all Q"]).values.std(axis=0)
    rows = []
    for name, one in outcomes.items():
        z = one.pulls
        within = [100 * (np.abs(z) < level).mean(axis=0) for level in (1.0, 1.96)]
        cells = [kind, name, ends(z.std(axis=0)), *(f"{ends(w, '.0f')} %" for w in within)]
        warned = sum(any("is more than noise" in remark for remark in some) for some in one.remarks) / len(one.remarks)
        cells += [ends(one.values.std(axis=0) / best), f"{100 * warned:.1f} %", f"{1e3 * one.seconds:.0f} ms"]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def main() -> None:
    """Print the table, then each parameter of the estimated way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--kinds", nargs="*", default=[*KINDS, POINTS], choices=[*KINDS, POINTS])
    asked = parser.parse_args()
    print("| noise | errors | spread of (p̂ − p)/σ | within 1σ | within 1.96σ | scatter | remarked | a fit |")
    print("|---|---|---|---|---|---|---|---|")
    each = {}
    for kind in asked.kinds:
        ways = {name: way for name, way in WAYS.items() if not (way.told and kind == POINTS)}
        outcomes = {name: run(kind, way, asked.sets) for name, way in ways.items()}
        print("\n".join(table(kind, outcomes)))
        sys.stdout.flush()
        each[kind] = outcomes
    print("\n| parameter | " + " | ".join(f"{kind}: before, after" for kind in each) + " |")
    print("|---" * (1 + len(each)) + "|")
    for k, name in enumerate(next(iter(each.values()))["estimated"].free):
        cells = [
            ", ".join(f"{one[way].pulls[:, k].std():.2f}" for way in ("equal at all Q", "estimated"))
            for one in each.values()
        ]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
