"""Sums of many phases, Σ_k c_k exp(i x_k y_j): what every transform between Q and r is made of."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pdfkit import _budget
from pdfkit._checks import Array

# Measured, s: a phase of a uniform y, and one of any other.
_UNIFORM_SECONDS, _PHASE_SECONDS = 1e-9, 5e-8
_BLOCK = 400_000  # complex numbers in one table of phases: 6 MB, three at a time; eight are kept


def phase_sum(x: Array, c: Array, y: Array) -> NDArray[np.complex128]:
    """Return Σ_k c_k exp(i x_k y_j) (ny,) for real x, c (nx,) and y (ny,).

    On a uniform y each exponential is a product of two from tables of about √ny rows, so the sum is a matrix
    product and few exponentials are taken; its error is that of the direct sum, the rounding of x·y. Memory
    below 20 MB. Raises PdfkitError when it would take too long.
    """
    x = np.ascontiguousarray(x, dtype=np.float64)
    starts, offsets = _two_steps(x, y)
    each = _UNIFORM_SECONDS if offsets.size > 1 else _PHASE_SECONDS
    what = f"a transform of {x.size} points onto {np.size(y)}"
    _budget.need_time(each * x.size * np.size(y), what, "give fewer points, or points with equal steps")
    if x.size * max(starts.size, offsets.size) <= _BLOCK:
        # Series of patterns share Q and r: their tables are made once.
        coarse, fine = (_kept_phases(x.tobytes(), part.tobytes()) for part in (starts, offsets))
        return np.asarray(((coarse * c) @ fine.T).ravel()[: np.size(y)])
    out = np.zeros((starts.size, offsets.size), dtype=np.complex128)
    columns = max(1, _BLOCK // max(starts.size, offsets.size))
    for k in range(0, x.size, columns):
        part = slice(k, k + columns)
        out += (_phases(x[part], starts) * c[part]) @ _phases(x[part], offsets).T
    return np.asarray(out.ravel()[: np.size(y)])


def _two_steps(x: Array, y: Array) -> tuple[Array, Array]:
    """Return starts and offsets with y = starts + offsets, row by row; one offset, 0, when y is not uniform."""
    y = np.asarray(y, dtype=np.float64)
    inner = _uniform_block(y, float(np.abs(x).max(initial=0.0)))
    offsets = (y[-1] - y[0]) / (y.size - 1) * np.arange(inner) if inner > 1 else np.zeros(1)
    return y[::inner], offsets


@lru_cache(maxsize=8)
def _kept_phases(x: bytes, y: bytes) -> NDArray[np.complex128]:
    out = _phases(np.frombuffer(x), np.frombuffer(y))
    out.setflags(write=False)
    return out


def _phases(x: Array, y: Array) -> NDArray[np.complex128]:
    """Return exp(i x_k y_j) (ny, nx); on a uniform y by doubling: the first row and log₂ny powers of one step."""
    if y.size < 4 or np.abs(np.diff(y, 2)).max() * np.abs(x).max(initial=0.0) > 1e-13:
        return np.asarray(np.exp(1j * np.outer(y, x)), dtype=np.complex128)
    out = np.empty((y.size, x.size), dtype=np.complex128)
    out[0] = np.exp(1j * y[0] * x)
    k = 1
    while k < y.size:
        more = min(k, y.size - k)
        out[k : k + more] = out[:more] * np.exp(1j * (y[k] - y[0]) * x)
        k *= 2
    return out


def _uniform_block(y: Array, reach: float) -> int:
    """Return how many points of `y` share one start (about √n), or 1 if y is not uniform to rounding."""
    if y.size < 3:
        return 1
    inner = math.isqrt(y.size)
    k = np.arange(y.size)
    model = y[k - k % inner] + k % inner * ((y[-1] - y[0]) / (y.size - 1))
    allowed = max(1e-12, 8 * np.finfo(float).eps * float(np.abs(y).max()) * reach)
    return inner if float(np.abs(model - y).max()) * reach <= allowed else 1


def sine_sums(x: Array, columns: Array, y: Array) -> Array:
    """Return Σ_k columns_kp sin(x_k y_j) (p, ny) for x (nx,), columns (nx, p), y (ny,), exactly as `phase_sum`."""
    return np.array([phase_sum(x, column, y).imag for column in columns.T]).reshape(columns.shape[1], np.size(y))


def smooth_sine_sums(x: Array, columns: Array, y: Array) -> Array:
    """Return `sine_sums` (p, ny) to 1e-5 of Σ|column|, for many columns at once; x and y must not be negative.

    sin(x·y) is interpolated in x by eight-point Lagrange polynomials from nodes 0.4/y_max apart (7e-7), the sums over
    nodes are one FFT per column, and quintic splines with ten points per wave of sin(x_max·y) lead to y.
    """
    from scipy import fft, sparse
    from scipy.interpolate import make_interp_spline

    if np.size(y) < 500:
        return sine_sums(x, columns, y)
    h = 0.4 / float(np.max(y))
    first = np.floor(x / h).astype(np.int64) - 3
    size = int(first[-1]) + 12
    at = x / h - first  # in 3…4 of the nodes 0…7
    nodes = range(8)
    weight = np.stack([np.prod([(at - m) / (j - m) for m in nodes if m != j], axis=0) for j in nodes])
    _budget.need(200.0 * size * columns.shape[1], f"errors of G(r) up to {np.max(y):g} Å", "give a lower rmax")
    where = (first + np.arange(8)[:, None] + 4).ravel()
    spread = sparse.csr_matrix((weight.ravel(), (where, np.tile(np.arange(x.size), 8))), shape=(size + 4, x.size))
    grid = spread @ columns
    # Nodes left of 0: sin is odd.
    grid[5:8] -= grid[3:0:-1]
    length = fft.next_fast_len(math.ceil(10 * float(x[-1]) / h), real=True)
    count = math.ceil(float(np.max(y)) * length * h / (2 * math.pi)) + 8
    sums = -fft.rfft(grid[4:].T, length).imag[:, :count]
    coarse = 2 * math.pi / (length * h) * np.arange(-6, count)
    odd = np.concatenate([-sums[:, 6:0:-1], sums], axis=1)
    return np.asarray(make_interp_spline(coarse, odd.T, k=5)(y).T)
