"""Fields on a line or a grid whose neighbours are alike, from what each place says by itself.

Place v says of its n numbers p_v: −½(p_v − p̂_v)ᵀH_v(p_v − p̂_v), and before the data neighbours differ by normal
numbers, of a variance 1/λ_k for number k. The field is where

    ½ Σ_v (p_v − p̂_v)ᵀH_v(p_v − p̂_v) + ½ Σ_k λ_k Σ_(u,v) (p_uk − p_vk)²

is least: A·p = H·p̂ with A = H + Σ λ_k L_k, L the Laplacian of the neighbours. How strong λ is, the data say: it is
where the evidence is largest,

    ln Z(λ) = ½ Σ_k rank(L)·ln λ_k − ½ ln|A| − ½(p̂ᵀHp̂ − p̂ᵀHA⁻¹Hp̂)
    ∂ ln Z/∂ ln λ_k = ½[rank(L) − λ_k tr(A⁻¹L_k) − λ_k p̄ᵀL_k p̄]

times a prior that is flat in 1/√λ_k, what neighbours differ by: where noise hides all differences the evidence has no
end at large λ, and errors of a constant field would be far too small.

Along rows of the grid A is block tridiagonal, with diagonal blocks beside the main ones: its Cholesky decomposition,
its determinant, and the blocks of A⁻¹ that the traces and the errors need come from one sweep there and one back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError

WIDEST = 1500
"""Numbers in a row of the grid, on its short side, that can be solved for at once."""
WEAKEST, STRONGEST = 1e-6, 1e10
"""Limits of λ, in units of what places by themselves differ by."""


@dataclass(frozen=True, eq=False)
class Smooth:
    """A field: values (X, Y, n), covariance of those at each place (X, Y, n, n), strength λ (n,), ln Z.

    told (n,): how many differences between neighbours the data determine, λ p̄ᵀLp̄ where the evidence is largest, of
    `rank`. The strength is known to √(2/told) of itself at best.
    """

    values: Array
    covariance: Array
    strength: Array
    lnz: float
    told: Array
    rank: int

    @property
    def errors(self) -> Array:
        """Standard errors (X, Y, n)."""
        return np.asarray(np.sqrt(np.einsum("xyii->xyi", self.covariance)))


@dataclass(frozen=True, eq=False)
class Grid:
    """Neighbours on a grid of which places may be missing; inside (X, Y)."""

    inside: NDArray[np.bool_]

    @property
    def within(self) -> Array:
        """Links (X, Y − 1) within rows."""
        return np.asarray(self.inside[:, 1:] & self.inside[:, :-1], dtype=float)

    @property
    def between(self) -> Array:
        """Links (X − 1, Y) between rows."""
        return np.asarray(self.inside[1:] & self.inside[:-1], dtype=float)

    @property
    def degree(self) -> Array:
        """Number of neighbours (X, Y)."""
        out = np.zeros(self.inside.shape)
        out[:, 1:] += self.within
        out[:, :-1] += self.within
        out[1:] += self.between
        out[:-1] += self.between
        return out

    @property
    def rank(self) -> int:
        """Rank of the Laplacian: places less groups of places that hang together."""
        from scipy.ndimage import label

        return int(self.inside.sum()) - int(label(self.inside)[1])

    def roughness(self, p: Array) -> Array:
        """Return Σ (p_u − p_v)² (n,) over neighbours, of a field (X, Y, n)."""
        rows = (np.diff(p, axis=1) ** 2 * self.within[:, :, None]).sum(axis=(0, 1))
        return np.asarray(rows + (np.diff(p, axis=0) ** 2 * self.between[:, :, None]).sum(axis=(0, 1)))

    def traces(self, variances: Array, inner: Array, cross: Array) -> Array:
        """Return tr(CL_k) (n,): C has variances (X, Y, n), inner (X, Y − 1, n) and cross (X − 1, Y, n) on links."""
        out = (self.degree[:, :, None] * variances).sum(axis=(0, 1))
        out -= 2.0 * (self.within[:, :, None] * inner).sum(axis=(0, 1))
        return np.asarray(out - 2.0 * (self.between[:, :, None] * cross).sum(axis=(0, 1)))


@dataclass(frozen=True, eq=False)
class Solved:
    """p̄ (X, Y, n), its covariance at each place (X, Y, n, n), tr(A⁻¹L_k) (n,) and ln|A|."""

    values: Array
    covariance: Array
    traces: Array
    ln_size: float


def _blocks(grid: Grid, information: Array, strength: Array) -> tuple[Array, Array]:
    """Return the diagonal blocks (X, Y·n, Y·n) of A and the links (X − 1, Y·n) to the next."""
    X, Y, n, _ = information.shape
    A = np.zeros((X, Y, n, Y, n))
    y, k, j = np.arange(Y), np.arange(n), np.arange(Y - 1)
    A[:, y, :, y, :] = np.moveaxis(information, 1, 0)
    # Places that are missing stay by themselves.
    alone = np.where(grid.inside, 0.0, 1.0)[:, :, None]
    A[:, y[:, None], k, y[:, None], k] += grid.degree[:, :, None] * strength + alone
    links = grid.within[:, :, None] * strength
    A[:, j[:, None], k, j[:, None] + 1, k] -= links
    A[:, j[:, None] + 1, k, j[:, None], k] -= links
    return A.reshape(X, Y * n, Y * n), -(grid.between[:, :, None] * strength).reshape(X - 1, Y * n)


def _there(A: Array, links: Array, b: Array) -> tuple[Array, float]:
    """Eliminate one row after the other; return the inverses of what is left of the blocks, and ln|A|. b becomes so."""
    inverses, ln_size = np.empty_like(A), 0.0
    for i in range(len(A)):
        block = A[i]
        if i:
            block = block - links[i - 1][:, None] * inverses[i - 1] * links[i - 1]
            b[i] -= links[i - 1] * (inverses[i - 1] @ b[i - 1])
        sign, size = np.linalg.slogdet(block)
        if sign <= 0 or not math.isfinite(size):
            raise PdfkitError("the map is not determined: no place tells one of its numbers, so leave that out")
        inverses[i], ln_size = np.linalg.inv(block), ln_size + float(size)
    return inverses, ln_size


def solved(grid: Grid, information: Array, right: Array, strength: Array) -> Solved:
    """Solve A·p = right (X, Y, n), and find what is needed of A⁻¹."""
    X, Y, n = right.shape
    A, links = _blocks(grid, information, strength)
    b = right.reshape(X, Y * n).copy()
    inverses, ln_size = _there(A, links, b)
    p, covariance = np.empty((X, Y * n)), np.empty((X, Y, n, n))
    inner, cross = np.zeros((X, Y - 1, n)), np.zeros((X - 1, Y, n))
    y, j, k = np.arange(Y), np.arange(Y - 1), np.arange(n)
    whole, p[-1] = inverses[-1], inverses[-1] @ b[-1]
    for i in range(X - 1, -1, -1):
        if i < X - 1:
            p[i] = inverses[i] @ (b[i] - links[i] * p[i + 1])
            reach = inverses[i] * links[i]
            off = -reach @ whole
            cross[i] = np.diagonal(off).reshape(Y, n)
            whole = inverses[i] - off @ reach.T
        covariance[i] = whole.reshape(Y, n, Y, n)[y, :, y, :]
        inner[i] = whole.reshape(Y, n, Y, n)[j[:, None], k, j[:, None] + 1, k]
    traces = grid.traces(np.einsum("xyii->xyi", covariance), inner, cross)
    return Solved(p.reshape(X, Y, n), covariance, traces, ln_size)


def smooth(values: Array, information: Array, inside: NDArray[np.bool_] | None = None) -> Smooth:
    """Return the field of the largest evidence.

    values p̂ (X, Y, n), information H (X, Y, n, n): what each place says by itself; H = 0 where that is nothing. inside
    (X, Y): places that are there; others are NaN in the result, and neighbours of none. A line is a grid of Y = 1.

    Raises PdfkitError for a grid that is too wide on both sides, or without any neighbours.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series.smooth import smooth
    >>> x, rng = np.linspace(0, 3, 60), np.random.default_rng(0)
    >>> noisy = np.sin(x) + rng.normal(0, 0.2, 60)
    >>> field = smooth(noisy[:, None, None], np.full((60, 1, 1, 1), 1 / 0.2**2))
    >>> before, after = np.std(noisy - np.sin(x)), np.std(field.values[:, 0, 0] - np.sin(x))
    >>> bool(after < 0.5 * before)
    True
    """
    known = np.ones(values.shape[:2], dtype=bool) if inside is None else np.asarray(inside, dtype=bool)
    if values.shape[0] < values.shape[1]:  # blocks are as large as the short side
        turned = smooth(values.swapaxes(0, 1), information.swapaxes(0, 1), known.T)
        return replace(turned, values=turned.values.swapaxes(0, 1), covariance=turned.covariance.swapaxes(0, 1))
    grid, (Y, n) = Grid(known), values.shape[1:]
    if Y * n > WIDEST:
        raise PdfkitError(f"a map of {Y} × {n} numbers in a row is too wide: map fewer numbers at once, or parts of it")
    if grid.rank == 0:
        raise PdfkitError("a map needs places that have neighbours")
    unit = _units(values, information, known)
    H = np.where(known[:, :, None, None], information, 0.0) * np.outer(unit, unit)
    p = np.where(known[:, :, None], np.nan_to_num(values), 0.0) / unit
    strength, lnz = _strength(grid, H, p)
    out = solved(grid, H, np.einsum("xyij,xyj->xyi", H, p), strength)
    found = np.where(known[:, :, None], out.values * unit, math.nan)
    spread = np.where(known[:, :, None, None], out.covariance * np.outer(unit, unit), math.nan)
    return Smooth(found, spread, strength / unit**2, lnz, strength * grid.roughness(out.values), grid.rank)


def _units(values: Array, information: Array, inside: NDArray[np.bool_]) -> Array:
    """Return by how much (n,) places that say anything differ by themselves; some size where they do not differ."""
    out = np.ones(values.shape[2])
    for k in range(out.size):
        told = values[:, :, k][inside & (information[:, :, k, k] > 0)]
        if told.size:
            size = float(np.median(np.abs(told - np.median(told))))
            out[k] = max(size, 1e-6 * float(np.abs(told).max())) or 1.0
    return out


def _strength(grid: Grid, H: Array, p: Array) -> tuple[Array, float]:
    """Return λ (n,) of the largest evidence, and its ln Z."""
    from scipy.optimize import minimize

    n, rank = p.shape[2], grid.rank
    right = np.einsum("xyij,xyj->xyi", H, p)
    square = float((p * right).sum())

    def minus(logs: Array) -> tuple[float, Array]:
        strength = np.exp(logs)
        one = solved(grid, H, right, strength)
        left = square - float((one.values * right).sum())
        lnz = 0.5 * (rank - 1) * float(logs.sum()) - 0.5 * one.ln_size - 0.5 * left
        slope = 0.5 * (rank - 1 - strength * (one.traces + grid.roughness(one.values)))
        return -lnz, -slope

    bounds = [(math.log(WEAKEST), math.log(STRONGEST))] * n
    found = minimize(minus, np.zeros(n), jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-7})
    return np.exp(found.x), -float(found.fun)
