"""A normal distribution cut to the unit cube: its mass in there, points of it, and their density.

Coordinates are taken one after the other, each with its distribution given those before it, cut to (0, 1):
z_i = μ_i + Σ_j L_ij e_j with C = LLᵀ and e_i a standard normal number between the two limits that (0, 1) sets. The
product P₁P₂… of the probabilities of these intervals, averaged over such points, is the mass inside (Geweke,
Hajivassiliou and Keane; Genz, J. Comput. Graph. Stat. 1, 141 (1992)). Coordinates that feel their limits come first:
the others integrate to one and need no average, and a single one is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np

from pdfkit._checks import Array, IntArray

# Limits farther from the mean than this many standard deviations hold nothing back: 1e-9 of the mass lies beyond.
FAR = 6.0
# Added to correlation matrices, so that rounding does not make them indefinite.
ROUNDING = 1e-12
# Points of the average where two or more coordinates feel their limits: 3e-3 in ln of the mass.
POINTS = 2048


@dataclass(frozen=True, eq=False)
class Boxed:
    """A normal distribution (mean, root of the covariance) in the unit cube.

    mean (k,); root (k, k): L, lower triangular, of the coordinates in `order`; near: how many of those feel a limit.
    """

    mean: Array
    root: Array
    order: IntArray
    near: int

    @classmethod
    def of(cls, mean: Array, covariance: Array) -> Self:
        """Return it for a mean (k,) and a covariance (k, k)."""
        sigma = np.sqrt(np.diag(covariance))
        feels = np.minimum(mean, 1.0 - mean) < FAR * sigma
        order = np.argsort(~feels, kind="stable")
        inner = (covariance / np.outer(sigma, sigma))[np.ix_(order, order)]
        root = np.linalg.cholesky(inner + ROUNDING * np.eye(mean.size)) * sigma[order, None]
        return cls(mean, root, order, int(feels.sum()))

    def wider(self, factor: float) -> Self:
        """Return the same with standard deviations `factor` times as large."""
        return type(self).of(self.mean, self.covariance * factor**2)

    @property
    def covariance(self) -> Array:
        """C (k, k)."""
        back = np.argsort(self.order)
        return np.asarray((self.root @ self.root.T)[np.ix_(back, back)])

    @property
    def ln_size(self) -> float:
        """ln ∫ exp(−½(z − μ)ᵀC⁻¹(z − μ)) dz over the cube."""
        k = self.mean.size
        whole = 0.5 * k * math.log(2.0 * math.pi) + float(np.log(np.diag(self.root)).sum())
        return whole + self.ln_mass()

    def ln_mass(self) -> float:
        """Return ln of the probability of the cube."""
        if self.near == 0:
            return 0.0
        count = 1 if self.near == 1 else POINTS
        mass = self._steps(lattice(count, self.near - 1), self.near)[1]
        return float(mass[0] if count == 1 else ln_mean(mass))

    def points(self, uniform: Array) -> Array:
        """Return points (n, k) of the cube from uniform numbers (n, k)."""
        e, _ = self._steps(uniform, self.mean.size)
        out = np.empty_like(e)
        out[:, self.order] = self.mean[self.order] + e @ self.root.T
        return np.clip(out, 0.0, 1.0)

    def ln_density(self, points: Array) -> Array:
        """Return ln of the density (n,) with which `points` draws points (n, k)."""
        from scipy.linalg import solve_triangular

        e = solve_triangular(self.root, (points - self.mean)[:, self.order].T, lower=True).T
        plain = -0.5 * (e**2).sum(axis=1) - 0.5 * e.shape[1] * math.log(2.0 * math.pi)
        mass = sum(ln_interval(*self._limits(e, i)) for i in range(self.near))
        return np.asarray(plain - np.log(np.diag(self.root)).sum() - mass)

    def _steps(self, uniform: Array, count: int) -> tuple[Array, Array]:
        """Return e (n, k), of as many coordinates as uniform (n, k) has, and Σ ln P (n,) of the first `count`."""
        from scipy.special import ndtri

        n, known = uniform.shape
        e, mass = np.empty((n, known)), np.zeros(n)
        for i in range(count):
            limits = self._limits(e, i) if i < self.near else None
            if limits is not None:
                mass += ln_interval(*limits)
            if i < known:  # the mass asks for no place of the last one
                e[:, i] = ndtri(uniform[:, i]) if limits is None else within(uniform[:, i], *limits)
        return e, mass

    def _limits(self, e: Array, i: int) -> tuple[Array, Array]:
        """Return between what e_i must lie, given those before it."""
        centre = self.mean[self.order[i]] + e[:, :i] @ self.root[i, :i]
        return -centre / self.root[i, i], (1.0 - centre) / self.root[i, i]


@lru_cache(maxsize=8)
def lattice(count: int, dimensions: int) -> Array:
    """Return points (count, dimensions) that fill the unit cube evenly: multiples of √2, √3, √5… less whole numbers."""
    primes = [n for n in range(2, 60 + 8 * dimensions) if all(n % d for d in range(2, n))][:dimensions]
    out = np.outer(np.arange(1, count + 1), np.sqrt(primes)) % 1.0
    out.setflags(write=False)
    return np.asarray(out)


def ln_mean(logs: Array) -> float:
    """Return ln of the mean of exp(logs)."""
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).mean())) if math.isfinite(top) else top


def _upper(low: Array, high: Array) -> tuple[Any, Any, Any]:
    """Return limits turned to where the upper tail is the smaller, and which were turned."""
    turned = low + high < 0
    return np.where(turned, -high, low), np.where(turned, -low, high), turned


def ln_interval(low: Array, high: Array) -> Array:
    """Return ln[Φ(high) − Φ(low)], in the tails too."""
    from scipy.special import log_ndtr

    low, high, _ = _upper(low, high)
    with np.errstate(divide="ignore"):
        return np.asarray(log_ndtr(-low) + np.log1p(-np.exp(log_ndtr(-high) - log_ndtr(-low))))


def within(uniform: Array, low: Array, high: Array) -> Array:
    """Return standard normal numbers between limits, from uniform ones."""
    from scipy.special import log_ndtr, ndtri_exp

    low, high, turned = _upper(low, high)
    tail = log_ndtr(-low)
    part = np.where(turned, 1.0 - uniform, uniform)
    ln_q = tail + np.log1p(-part * -np.expm1(log_ndtr(-high) - tail))
    e = -ndtri_exp(ln_q)
    return np.asarray(np.where(turned, -1.0, 1.0) * np.clip(e, low, high))
