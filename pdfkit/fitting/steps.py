"""Steps of the local minimiser: the least value of a quadratic within limits, and what its curvature misses.

χ² = ‖f‖² has the second derivatives 2(JᵀJ + Σ fᵢ∇²fᵢ). A model that misses something leaves large residuals f, and then
the second term is no small one: steps from JᵀJ alone overshoot, again and again. It is learnt from step to step, by the
secant update of Dennis, Gay and Welsch, ACM Trans. Math. Softw. 7, 348 (1981).

Where symmetry takes the slopes of f away the second term is all there is, in as many directions as atoms can move. A
fit that is long under way learns it from the Jacobians of all places that were tried, also of those where χ² was no
lower: from x to x + d the Jacobian changes by ∇²f·d, so that each tells Σ fᵢ∇²fᵢ·d for the f of now.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pdfkit._checks import Array

Secants = tuple[Array, Array]
"""Steps d (k, n) between places, and Σ fᵢ∇²fᵢ·d (k, n)."""

UPHILL = 1e-12
"""Share of the steepest slope below which a limit does not hold a quantity back."""
FLAT = 1e-3
"""Smallest curvature, as a share of that of JᵀJ, that a learnt one may have."""
LONGEST = 1e150
"""Steps from here on have a square that is no number: what they are measured by has almost no slope."""
NEW = 0.3
"""Share of a step that must be across all nearer ones for it to tell anything."""


def least(curvature: Array, slope: Array, low: Array, high: Array) -> Array:
    """Return the y (n,) within low ≤ 0 ≤ high where slope·y + ½ yᵀ·curvature·y is least.

    curvature (n, n): positive definite. Limits are taken one after the other, and let go where the slope leads inside.
    """
    if not slope.size:
        return np.zeros(0)
    whole = -solved(curvature, slope)
    if ((whole >= low) & (whole <= high)).all():
        return whole
    y = np.zeros(slope.size)
    held = ((low >= 0) & (slope > 0)) | ((high <= 0) & (slope < 0))
    tiny = UPHILL * float(np.abs(slope).max(initial=0.0))
    for _ in range(4 * y.size + 4):
        step = _to_least(curvature, slope, y, held) - y
        share, k = _room(y, step, low, high)
        y = y + min(share, 1.0) * step
        if share < 1.0:
            y[k], held[k] = (high if step[k] > 0 else low)[k], True
            continue
        inward = np.where(held, _inward(slope + curvature @ y, y, low, high), 0.0)
        k = int(np.argmax(inward))
        if inward[k] <= tiny:
            break
        held[k] = False
    return y


def _to_least(curvature: Array, slope: Array, y: Array, held: NDArray[np.bool_]) -> Array:
    """Return where the quadratic is least, what is held staying where it is."""
    free, fixed = np.flatnonzero(~held), np.flatnonzero(held)
    out = y.copy()
    if free.size:
        pull = slope[free] + curvature[np.ix_(free, fixed)] @ y[fixed]
        out[free] = -solved(curvature[np.ix_(free, free)], pull)
    return out


def solved(curvature: Array, slope: Array) -> Array:
    """Return curvature⁻¹·slope (n,); where rounding left no positive definite matrix, as for any other."""
    from scipy.linalg.lapack import dposv

    _, out, wrong = dposv(curvature, slope)
    return np.asarray(np.linalg.solve(curvature, slope) if wrong else out)


def _room(y: Array, step: Array, low: Array, high: Array) -> tuple[float, int]:
    """Return what share of a step is within the limits, and which of them is met first."""
    ahead = np.where(step > 0, high, low) - y
    share = np.full(y.size, np.inf)
    with np.errstate(over="ignore"):  # a limit that is that far is none
        np.divide(ahead, step, out=share, where=step != 0)
    k = int(np.argmin(share))
    return max(float(share[k]), 0.0), k


def _inward(slope: Array, y: Array, low: Array, high: Array) -> Array:
    """Return how steeply it goes down from limits into the inside."""
    return np.where(low < high, np.where(y <= low, -slope, np.where(y >= high, slope, 0.0)), 0.0)


def learnt(missing: Array, step: Array, change: Array, misses: Array) -> Array:
    """Return Σ fᵢ∇²fᵢ (n, n) after a step s, which changed the slope of ½χ² by `change`, and Jᵀf at one f by `misses`.

    The least change of its size that is symmetric and explains the step, after the old one was sized to it.
    """
    along = float(step @ change)
    if along <= 0.0:
        return missing
    size = abs(float(step @ missing @ step))
    old = missing * min(1.0, abs(float(step @ misses)) / size) if size > 0 else missing
    rest = misses - old @ step
    twice = np.outer(rest, change) + np.outer(change, rest)
    return np.asarray(old + twice / along - float(rest @ step) * np.outer(change, change) / along**2)


def lifted(curvature: Array) -> Array:
    """Return a curvature (n, n) with all of it lifted, where it has none in some direction."""
    from scipy.linalg.lapack import dpotrf

    raised = curvature.copy()
    raised.ravel()[:: len(raised) + 1] -= FLAT
    if dpotrf(raised, overwrite_a=1)[1] == 0:  # positive definite, which takes a tenth of what eigenvalues do
        return curvature
    lowest = float(np.linalg.eigvalsh(curvature)[0])
    return curvature if lowest >= FLAT else curvature + (FLAT - lowest) * np.eye(curvature.shape[0])


def upward(curvature: Array) -> Array:
    """Return a curvature (n, n) with every part taken upwards, and none less than `FLAT`.

    The step is then downhill on a saddle too, as long along a ridge as into a bowl that is as steep.
    """
    values, vectors = np.linalg.eigh(curvature)
    return np.asarray((vectors * np.maximum(np.abs(values), FLAT)) @ vectors.T)


def missed(secants: Secants) -> Array:
    """Return Σ fᵢ∇²fᵢ (n, n): symmetric, as the nearest `secants` ask for, and least across them."""
    steps, changes, count = np.zeros_like(secants[0]), np.zeros_like(secants[0]), 0
    length = np.abs(secants[0]).max(axis=1, initial=0.0)
    known = np.flatnonzero(length < LONGEST)
    far = np.sqrt((secants[0][known] ** 2).sum(axis=1))
    for k in np.argsort(far, kind="stable").tolist():
        d, y = secants[0][known[k]], secants[1][known[k]]
        before = steps[:count]
        along = before @ d
        rest = d - along @ before
        size = math.sqrt(rest @ rest)
        if size > NEW * far[k]:
            steps[count], changes[count] = rest / size, (y - along @ changes[:count]) / size
            count += 1
    steps, changes = steps[:count], changes[:count]
    half, both = changes.T @ steps, steps @ changes.T
    return np.asarray(half + half.T - steps.T @ (0.5 * (both + both.T)) @ steps)
