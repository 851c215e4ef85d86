"""Candidates and simulated measurements for the tests of screening: small, so that a fit takes milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

import pdfkit as pk
from pdfkit.model.noise import simulate

INSTRUMENT = pk.Instrument(probe="X", qmin=0.8, qmax=16.0, qdamp=0.05)
RANGE = {"rmin": 1.8, "rmax": 14.0}
TRUE = {"scale": 0.6, "expansion": 0.006, "Cd.Uiso": 0.025, "Se.Uiso": 0.035, "delta2": 4.0}


@lru_cache
def particles() -> tuple[pk.Particle, ...]:
    """Return a dozen of pieces of CdSe of 14 to 55 atoms."""
    out = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4, 5)]
    for name in ("zincblende", "wurtzite"):
        for diameter in (9.0, 11.0, 13.0):
            for centre in ("cation", "bond"):
                one = pk.build.sphere(f"CdSe_{name}", diameter, centre=centre, name=f"{name} {centre} {diameter:g}")
                out.append(one)
    return tuple(out)


def true() -> pk.Particle:
    """Return the candidate that is simulated: the tetrahedron of 55 atoms."""
    return particles()[2]


def named(name: str) -> pk.Particle:
    return next(one for one in particles() if one.name == name)


def measurement(
    particle: pk.Particle | None = None, *, noise: float = 0.02, seed: int = 1, dG: bool = False, step: float = 0.05
) -> pk.PDF:
    """Return a simulated measurement of a particle (default: `true`)."""
    values = dict(TRUE)
    uiso = {"Cd": values.pop("Cd.Uiso"), "Se": values.pop("Se.Uiso")}
    cluster = pk.Cluster(true() if particle is None else particle, "c", Uiso=uiso, **values)
    data = simulate(pk.Model(cluster, INSTRUMENT), 1.0, 16.0, step, noise, seed, "simulated")
    return pk.PDF(data.r, data.G, data.dG if dG else None, instrument=INSTRUMENT, name="simulated")


def shaken(count: int, seed: int = 5) -> Iterator[pk.Particle]:
    """Yield the tetrahedron with a few atoms moved at random, each further off than the one before."""
    rng = np.random.default_rng(seed)
    whole = true()
    for k in range(count):
        shift = 0.02 * (k % 50) * rng.standard_normal(whole.xyz.shape) * (rng.random((len(whole), 1)) < 0.3)
        yield pk.Particle(whole.elements, whole.kind, whole.xyz + shift, f"shaken {k}")


def numbers(ranking: pk.Ranking) -> list[tuple[object, ...]]:
    """Return everything that a ranking says, to the last bit, in a form that compares (NaN is NaN)."""
    return [tuple(repr(value) for value in row.__dict__.values()) for row in ranking.rows]
