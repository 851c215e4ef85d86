"""Sine transforms of node values by real FFTs of half the length that the odd continuation would take."""

from __future__ import annotations

from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels._jit import kernel


@kernel
def occupied(curves: Array) -> IntArray:
    """Return which of curves (n, npoints) are not 0 throughout: most pairs know nothing of most directions."""
    out = np.empty(curves.shape[0], dtype=np.int64)
    count = 0
    for c in range(curves.shape[0]):
        row = curves[c]
        for k in range(row.size):
            if row[k] != 0.0:
                out[count] = c
                count += 1
                break
    return out[:count]


@kernel
def fold(curves: Array, rows: IntArray, sine: Array, out: Array) -> None:
    """Fill out[m] (N,) with y of x = curves[rows[m]]: the FFT of y holds the sine transform of x (`add_sines`).

    Formula: y_j = sin(πj/N)(x_j + x_{N−j}) + ½(x_j − x_{N−j}), N even, x_j = 0 beyond the last point.
    Shapes: curves (n, npoints ≤ N); rows (m,); sine (N,) = sin(πj/N); out (m, N).
    """
    period = sine.size
    half = period // 2
    for m in range(rows.size):
        x, y = curves[rows[m]], out[m]
        for j in range(period):
            y[j] = 0.0
        for j in range(1, min(x.size, half + 1)):
            y[j] = (sine[j] + 0.5) * x[j]
            y[period - j] = (sine[j] - 0.5) * x[j]
        for j in range(half + 1, x.size):
            y[period - j] += (sine[j] - 0.5) * x[j]
            y[j] += (sine[j] + 0.5) * x[j]
        if x.size > half:
            y[half] = 2.0 * x[half]


@kernel
def add_sines(folded: Any, rows: IntArray, each: int, weight: Array, out: Array) -> None:
    """Add weight × sine transform of every curve to `out`: row c of the curves to out[c % each].

    Formula: X_k = 2Σ_j x_j sin(πjk/N); Y the FFT of what `fold` gives: X₁ = Re Y₀, X_{2m} = −2 Im Y_m,
    X_{2m+1} = X_{2m−1} + 2 Re Y_m. Source: Press et al., Numerical Recipes, "Fast sine and cosine transforms".
    Shapes: folded (m, N/2 + 1) complex; rows (m,); weight (npairs, ≥ npoints), that of curve c being c // each; out
    (each, npoints ≤ N), X at k = 0…npoints − 1.
    """
    npoints = out.shape[1]
    for m in range(rows.size):
        y, w, row = folded[m], weight[rows[m] // each], out[rows[m] % each]
        total = y[0].real
        row[1] += w[1] * total
        for k in range(1, (npoints + 1) // 2):
            row[2 * k] -= 2.0 * w[2 * k] * y[k].imag
            total += 2.0 * y[k].real
            if 2 * k + 1 < npoints:
                row[2 * k + 1] += w[2 * k + 1] * total
