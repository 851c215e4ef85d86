r"""Errors that all scans of a mixture share: those of measured references.

Amounts of scan i are wᵢ = Pᵢ·yᵢ, linear in its independent numbers. Where the curve of reference j is off by eⱼ, they
are off by δwᵢ = −Pᵢ·Σ_j w_ij·eⱼ, and so are those of every other scan, by the same eⱼ. With eⱼ = Fⱼ·z, z of variance 1,

    Cov(wᵢ, wₖ) = δᵢₖ·σᵢ²·Pᵢ·Pᵢᵀ + Uᵢ·Uₖᵀ,     Uᵢ = [w_i1·Pᵢ·F₁, w_i2·Pᵢ·F₂, …]

F follows from errors that a reference has, or from the noise of scans of which it is the mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError
from pdfkit.series.curves import Curves
from pdfkit.series.noise import Noise

TINY = 1e-6
"""Of the largest common error, below which one counts for nothing."""


def counts_of(averaged: Any, names: Sequence[str], references: Sequence[PDF], curves: Curves) -> dict[str, float]:
    """Return of how many scans each reference is the mean, without those that are exact.

    A reference that is one of the scans is the mean of one. ParameterError and PdfkitError for names that are none, and
    numbers below 0.
    """
    given = dict(averaged) if isinstance(averaged, Mapping) else dict.fromkeys(names, averaged)
    if unknown := [name for name in given if name not in names]:
        raise PdfkitError(f"averaged names {unknown[0]!r}, and the references are {', '.join(names)}: correct it")
    out = {name: _checks.number("averaged", count, low=0.0) for name, count in given.items()}
    for name, one in zip(names, references, strict=True):
        if not out.get(name) and one.r.size == curves.r.size and any(np.array_equal(one.G, row) for row in curves.G):
            out[name] = 1.0
    return {name: count for name, count in out.items() if count}


def roots(
    names: Sequence[str], pdfs: Sequence[PDF], counts: Mapping[str, float], curves: Curves, noise: Noise
) -> list[Array]:
    """Return Fⱼ (p, qⱼ) at the points that count, of each reference; (p, 0) for one that is exact."""
    out = []
    level = float(np.sqrt(np.mean(noise.level**2)))
    for name, one in zip(names, pdfs, strict=True):
        if name in counts:
            out.append(np.asarray(np.linalg.pinv(noise.of(0)) * (level / math.sqrt(counts[name])), dtype=np.float64))
        elif one.dG is not None or one.cov is not None:
            out.append(_own(one, curves, noise))
        else:
            out.append(np.zeros((noise.index.size, 0)))
    return out


def _own(one: PDF, curves: Curves, noise: Noise) -> Array:
    """Return F (p, q) of the errors that a reference has."""
    from pdfkit.fitting.whitening import whitening

    same = one.r.size == curves.r.size and np.allclose(one.r, curves.r, atol=1e-6)
    there = one if same else one.resample(curves.r)
    if there.dG is None and there.cov is None:
        return np.zeros((noise.index.size, 0))
    return np.asarray(np.linalg.pinv(whitening(there, curves.instrument, True).matrix))


def common(amounts: Array, estimators: Sequence[Array], F: Sequence[Array], noise: Noise) -> Array | None:
    """Return U (m, c, q), the errors that amounts (m, c) of all scans have in common; None where there are none."""
    if not sum(one.shape[1] for one in F):
        return None
    white = [noise.of(0) @ one for one in F]
    rows = []
    for i, (w, P) in enumerate(zip(amounts, estimators, strict=True)):
        white = white if len(noise.matrices) == 1 else [noise.of(i) @ one for one in F]
        rows.append(np.hstack([share * (P @ one) for share, one in zip(w, white, strict=True)]))
    U = np.array(rows)
    m, c, _ = U.shape
    left, size, _ = np.linalg.svd(U.reshape(m * c, -1), full_matrices=False)
    kept = size > TINY * max(float(size[0]), 1e-300)
    return np.asarray((left[:, kept] * size[kept]).reshape(m, c, -1))


def without(rows: Array, U: Array) -> tuple[Array, float]:
    """Return rows (…, n) of unit noise and the common errors U (n, q) as independent numbers, and ½ln of what U adds.

    (1 + U·Uᵀ)^(−½) = 1 − Q·(1 − 1/√(1 + s²))·Qᵀ with U = Q·s·Vᵀ.
    """
    Q, size, _ = np.linalg.svd(U, full_matrices=False)
    shrunk = 1.0 - 1.0 / np.sqrt(1.0 + size**2)
    return np.asarray(rows - ((rows @ Q) * shrunk) @ Q.T), 0.5 * float(np.log1p(size**2).sum())


def unshared(left: Array, amounts: Array, F: Sequence[Array], noise: Noise) -> Array:
    """Return what fits leave (m, k) less the share of it that errors of references explain, as of noise of unit size.

    References whose curves are off as noise of a variance v make rows of the covariance 1 + w·v·wᵀ along the scans.
    """
    powers = [float(np.sum((noise.of(0) @ one) ** 2)) / left.shape[1] for one in F]
    if not any(powers):
        return left
    return without(left.T, amounts * np.sqrt(powers))[0].T
