"""Simulated series of two CdS clusters of one composition, with the noise of counts divided by f²."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

import pdfkit as pk
from pdfkit.series import Curves
from pdfkit.uncertainty import Covariance

R = np.arange(150, 1501) * 0.01
LAB = pk.Instrument(probe="X", qmax=20.0, qdamp=0.03)
STEP = 0.02
Q = np.arange(STEP / 2, 20.0, STEP)
WEIGHT = np.full(Q.size, 2.0 / np.pi * STEP)
WAVES = WEIGHT[:, None] * np.sin(np.outer(Q, R))
SHAPE = Q / (0.75 / (1 + (Q / 5.0) ** 2) + 0.25 / (1 + (Q / 20.0) ** 2))
SIGMA = SHAPE / np.sqrt(np.mean(SHAPE**2))


@cache
def model(name: str) -> pk.Model:
    return pk.Model(pk.Cluster.from_file(f"Cd37S20_{name}", name="c", Uiso=0.012, delta2=2.0), LAB)


PURE = {name: model(name)(R) for name in ("zincblende", "wurtzite")}


def noise(seed: int, count: int, size: float = 0.2) -> np.ndarray:
    """Return noise of G(r) (count, n); size: root mean square of that of F(Q) in Å⁻¹."""
    return size * (np.random.default_rng(seed).standard_normal((count, Q.size)) * SIGMA) @ WAVES


def curves(share: Sequence[float], seed: int = 0, size: float = 0.2, known: bool = False, index=()) -> Curves:
    """Return scans with so much of the second cluster each."""
    x = np.asarray(share, dtype=float)[:, None]
    first, second = (one.G for one in PURE.values())
    cov = (Covariance(Q, WEIGHT, (size * SIGMA) ** 2),) * len(x) if known else ()
    G = (1 - x) * first + x * second + noise(seed, len(x), size)
    return Curves(R, G, np.asarray(index), label="t (s)" if len(index) else "scan", instrument=LAB, covs=cov)
