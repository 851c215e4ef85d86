"""The factor of the few columns of a fit, on one thread."""

from __future__ import annotations

import math

from pdfkit._checks import Array
from pdfkit.kernels._jit import kernel


@kernel
def triangular_factor(rows: Array, factor: Array) -> None:
    """Fill `factor` with the upper triangular R of rowsᵀ = QR by modified Gram–Schmidt; `rows` is overwritten.

    Shapes: rows (k, n), each the column of a tall table; factor (k, k), zeros on entry. With the right-hand side as the
    last row this is as stable for least squares as Householder's QR, and it needs no threads: a threaded LAPACK
    spends more time waking them than on these few columns. Source: Björck, BIT 7, 1 (1967).
    """
    k, n = rows.shape
    for i in range(k):
        column = rows[i]
        square = 0.0
        for t in range(n):
            square += column[t] * column[t]
        norm = math.sqrt(square)
        factor[i, i] = norm
        if norm == 0.0:
            continue
        inverse = 1.0 / norm
        for t in range(n):
            column[t] *= inverse
        for j in range(i + 1, k):
            other = rows[j]
            dot = 0.0
            for t in range(n):
                dot += column[t] * other[t]
            factor[i, j] = dot
            for t in range(n):
                other[t] -= dot * column[t]
