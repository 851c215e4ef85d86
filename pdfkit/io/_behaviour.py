"""What the values themselves say of a function of r: flat or falling below the first peak, growing or not beyond.

G(r) starts at 0, falls as −4πρ₀r and goes round 0. Keen's G(r) and g(r) − 1 start at a constant below 0 and go round 0;
T(r) and R(r) start at 0, stay positive, and grow like r and r²; g(r) goes round 1. Measured curves ripple at low r,
begin anywhere, or have no baseline (clusters): a function is named only where nothing else fits.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from pdfkit._checks import Array

_REACH = 8.0  # Å: shorter curves do not show what they tend to
_BLOCKS = 6


def plateau(r: Array, y: Array) -> float | None:
    """Return the constant (below 0) at which a curve starts and stays up to the first peak; None for any other start.

    G(r) is 0 at r = 0 whatever its errors, being a sum of sines: a curve that is as deep in its first fifth of an Å as
    in the next three is no G(r).
    """
    end = _first_peak(r, y)
    if r[0] > 0.25 or end < 0.8:
        return _late_plateau(r, y, end)
    edges = (0.0, 0.2, 0.4, 0.6, 0.8)
    levels = [_level(r, y, low, high) for low, high in pairwise(edges)]
    if any(level is None for level in levels):
        return None
    values = np.array([level for level in levels if level is not None])
    return _even(values, y, 2.0)


def _late_plateau(r: Array, y: Array, end: float) -> float | None:
    """Return the plateau of a curve that starts later: flat over a range in which −4πρ₀r at least doubles."""
    if end < 2.0 * r[0] or r[0] <= 0 or np.count_nonzero(r < end) < 12:
        return None
    edges = np.linspace(r[0], end, 5)
    levels = [_level(r, y, low, high) for low, high in pairwise(edges.tolist())]
    if any(level is None for level in levels):
        return None
    values = np.array([level for level in levels if level is not None])
    # A line through 0 differs by 2.2 between the first and the last of these: ripples must not hide it.
    inside = y[(r >= r[0]) & (r < end)]
    return _even(values, y, 1.25) if inside.std() < 0.15 * abs(float(values.mean())) else None


def _even(values: Array, y: Array, factor: float) -> float | None:
    """Return the mean of levels that are all below 0, alike within `factor`, and not lost in the curve's own noise."""
    if (values >= 0).any() or values.min() < factor * values.max():
        return None
    mean = float(values.mean())
    return mean if -mean > 0.01 * float(np.abs(y).max()) else None


def _level(r: Array, y: Array, low: float, high: float) -> float | None:
    inside = y[(r >= low) & (r < high)]
    return float(np.median(inside)) if inside.size >= 3 else None


def _first_peak(r: Array, y: Array) -> float:
    """Return the r (Å) up to which the curve stays well below its highest peak and has not risen above 0 for good."""
    high = np.flatnonzero(y > 0.25 * float(y.max()))
    return float(r[high[0]]) * 0.8 if high.size and y.max() > 0 else float(r[-1])


def slope(r: Array, y: Array) -> float | None:
    """Return s of y = s·r below the first peak, in units of y per Å; None where that range is short or not a line."""
    end = _first_peak(r, y)
    inside = (r < end) & (r > 0)
    if np.count_nonzero(inside) < 8 or r[0] > 0.6 * end:
        return None
    x, z = r[inside], y[inside]
    s = float(x @ z / (x @ x))
    spread = float(np.std(z - s * x))
    return s if abs(s) * end > 2.0 * spread else None


def growth(r: Array, y: Array) -> tuple[int, float] | None:
    """Return (1, c) of a positive curve that goes round c·r, (2, c) round c·r², (0, c) round c; None for any other.

    The mean of y/rⁿ must be the same within a fifth in the last parts of the curve.
    """
    if r[-1] < _REACH or r.size < 60:
        return None
    tail = r > 0.35 * r[-1]
    x, z = r[tail], y[tail]
    if np.count_nonzero(z < 0) > 0.02 * z.size:
        return None
    best: tuple[float, int, float] | None = None
    for power in (0, 1, 2):
        means = np.array([part.mean() for part in np.array_split(z / x**power, _BLOCKS)])
        mean = float(means.mean())
        if mean <= 0:
            return None
        spread = float(np.ptp(means)) / mean
        if best is None or spread < best[0]:
            best = (spread, power, mean)
    assert best is not None
    return (best[1], best[2]) if best[0] < 0.2 else None


def tail_mean(x: Array, y: Array) -> float | None:
    """Return the mean over the last third; None for short curves."""
    part = y[2 * y.size // 3 :]
    return float(part.mean()) if part.size >= 15 else None


def agrees(r: Array, G: Array, rho0: float) -> str:
    """Return "" when a converted G(r) has the low-r side and the tail of a G(r) of this density, else what it has.

    Only errors of a factor are seen: 0.4 to 2.5 in the low-r slope, a third of 4πrρ₀ in the tail.
    """
    expected = -4 * math.pi * rho0
    found = slope(r, G)
    if found is not None and r[0] < 1.0 and not 0.4 < found / expected < 2.5:
        return f"below the first peak it goes as {found:.3g}·r, and −4πρ₀r is {expected:.3g}·r"
    part = 2 * r.size // 3
    mean = tail_mean(r, G)
    reach = 4 * math.pi * rho0 * float(r[part:].mean())
    if mean is not None and r[-1] > _REACH and abs(mean) > 0.33 * reach:
        return f"far out it goes round {mean:.3g}, not round 0"
    return ""
