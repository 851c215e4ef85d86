"""Small fits of simulated CdS for the tests of what a fit leaves behind: made once, in a fraction of a second."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

import pdfkit as pk

INSTRUMENT = pk.Instrument(probe="X", qmax=18.0, qdamp=0.03, qbroad=0.01)
# A name that HTML must escape and a header line that only this file has.
NAME = "CdS <dots> & co"


def model(*, two: bool = False) -> pk.Model:
    phases = [pk.Crystal.from_file("CdS_zincblende", name="zb", shape=pk.Sphere(30.0), delta2=2.0)]
    if two:
        options = {"shape": pk.Sphere(30.0), "delta2": 2.0, "scale": 0.5}
        phases.append(pk.Crystal.from_file("CdS_wurtzite", name="wz", **options))
    return pk.Model(phases, INSTRUMENT)


def data(source: pk.Model, *, seed: int, dG: bool = True, rmax: float = 12.0) -> pk.PDF:
    r = np.arange(1.5, rmax + 1e-9, 0.04)
    G = source(r).G
    sigma = 0.02 * np.abs(G).max()
    noisy = G + np.random.default_rng(seed).normal(0.0, sigma, r.size)
    errors = np.full(r.size, sigma) if dG else None
    header = {"sample": "vial 7", "line 1": "# müde"}
    return pk.PDF(r, noisy, errors, instrument=INSTRUMENT, header=header, name=NAME, temperature=295.0)


@lru_cache
def single(noise: str = "estimated") -> pk.FitResult:
    """One phase, one data set with dG."""
    start = model().with_values({"zb.a": 5.81})
    settings = pk.FitSettings(noise=noise)
    return pk.fit(start, data(model(), seed=1), rmin=1.8, free=["scale", "a", "Uiso"], settings=settings)


@lru_cache
def two_phases() -> pk.FitResult:
    """Two phases with a tie, a parameter that ends on its bound, and data without dG."""
    source = model(two=True)
    return pk.fit(
        source,
        data(source, seed=2, dG=False),
        free=["scale", "a", "wz.c", "Cd.Uiso"],
        ties={"wz.Cd.Uiso": "zb.Cd.Uiso"},
        bounds={"wz.a": (4.2, 4.3)},
    )


@lru_cache
def several() -> pk.FitResult:
    """One phase fitted to two data sets of different length, given in an order that is not alphabetical."""
    source = model()
    sets = {"warm": data(source, seed=3), "cold": data(source, seed=4, rmax=10.0)}
    return pk.fit(source, sets, free=["scale", "a", "Uiso"])


ALL = {"single": single, "two_phases": two_phases, "several": several}
