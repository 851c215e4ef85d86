"""Derivatives of pair peaks along the places of atoms: each pair touches the three coordinates of its two atoms."""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels._jit import kernel


@kernel
def displaced_peaks(
    peak: Array,
    slope: Array,
    cosine: Array,
    atoms: IntArray,
    pair: IntArray,
    factor: Array,
    rows: IntArray,
    step: float,
    reach: float,
    out: Array,
) -> None:
    """Add the derivatives of peaks along the coordinates of their atoms to `out` on the grid r_k = k·step.

    Formula: T = F·w[n(r − d; σ) − n(r + d; σ)]/d as in `peaks.sum_peaks`; with σ²′ = dσ²/dd and the cosines c = ∂d/∂x
    of the first atom, ∂T/∂x = c·(∂T/∂d + σ²′ ∂T/∂σ²) for the first atom and −c·(…) for the second. The curve in
    brackets is made once for a pair and added to six rows.
    Shapes: peak (m,3) = d, σ², w; slope (m,) = σ²′; cosine (m,3); atoms (m,2), pair (m,); factor (npairs,); rows
    (npairs, natoms), the row of x of an atom among pairs of this kind, those of y and z follow, −1 where none is
    wanted; out (nrows, npoints), added to. Units: Å. Peaks with σ² ≤ 0 are left out, and all end at ±reach·σ.
    Source: Debye, Ann. Phys. 351, 809 (1915), differentiated.
    """
    npoints = out.shape[1]
    curve = np.empty(npoints)
    root = math.sqrt(2.0 * math.pi)
    for p in range(slope.size):
        s2, ab = peak[p, 1], pair[p]
        one, other = rows[ab, atoms[p, 0]], rows[ab, atoms[p, 1]]
        if s2 <= 0.0 or (one < 0 and other < 0):
            continue
        sigma = math.sqrt(s2)
        half = reach * sigma
        for sign in (1.0, -1.0):
            d = sign * peak[p, 0]
            if d + half < 0.0:
                break
            low = max(0, math.ceil((d - half) / step))
            n = min(npoints - 1, math.floor((d + half) / step)) - low + 1
            if n <= 0:
                continue
            amplitude = factor[ab] * peak[p, 2] / (root * sigma * d)
            a0 = -amplitude * (sign / d + 0.5 * slope[p] / s2)
            a1 = amplitude * sign / s2
            a2 = 0.5 * amplitude * slope[p] / (s2 * s2)
            x = low * step - d
            e = math.exp(-0.5 * x * x / s2)
            ratio, shrink = math.exp(-(x + 0.5 * step) * step / s2), math.exp(-step * step / s2)
            for k in range(n):
                curve[k] = e * (a0 + x * (a1 + x * a2))
                e *= ratio
                ratio *= shrink
                x += step
            for c in range(3):
                if one >= 0:
                    row = out[one + c, low : low + n]
                    for k in range(n):
                        row[k] += cosine[p, c] * curve[k]
                if other >= 0:
                    row = out[other + c, low : low + n]
                    for k in range(n):
                        row[k] -= cosine[p, c] * curve[k]
