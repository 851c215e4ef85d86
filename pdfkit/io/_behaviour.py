"""What the values themselves say of a function of r: flat or falling below the first peak, growing or not beyond.

G(r) starts at 0, falls as −4πρ₀r and goes round 0. Keen's G(r) and g(r) − 1 start at a constant below 0 and go round 0;
T(r) and R(r) start at 0, stay positive, and grow like r and r²; g(r) goes round 1. Measured curves ripple at low r,
begin anywhere, or have no baseline (clusters): a function is named only where nothing else fits.
"""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array

_TREND = 0.2  # that of a particle is −0.3 and more, unless it is much larger than the curve is long
_REACH = 8.0  # Å: shorter curves do not show what they tend to


def plateau(r: Array, y: Array) -> float | None:
    """Return the constant (below 0) at which a curve starts and stays up to the first peak; None for any other start.

    Two means, at the beginning and before the first peak, are alike; −4πρ₀r would differ by the ratio of their r. They
    are taken with Hann weights, in which the ripples of a cut in Q vanish, and must stand out of the noise.
    """
    end = _first_peak(r, y)
    width = max(0.4, (end - r[0]) / 2.2)
    low, high = float(r[0]) + width / 2, end - width / 2
    if high < 1.8 * low or np.count_nonzero(r < end) < 16:
        return None
    (first, error), (second, _) = _hann_mean(r, y, low, width), _hann_mean(r, y, high, width)
    level = 0.5 * (first + second)
    inside = y[r < end]
    ripple = float(inside.std())
    # Short ranges do not average ripples out, and late ones have little lever: both must be quiet.
    quiet = ripple < (0.2 if r[0] > 0.25 else 0.35) * -level or (r[0] <= 0.25 and width > 0.7)
    alike = first < 0 and 0.5 < second / first < 1 + 0.3 * (high / low - 1)
    clear = -first > 6 * error and -level > 0.01 * float(np.abs(y).max())
    return level if alike and clear and quiet else None


def _hann_mean(r: Array, y: Array, centre: float, width: float) -> tuple[float, float]:
    """Return the mean of y about `centre` and its error, by the scatter of neighbours."""
    weights = np.where(np.abs(r - centre) < width / 2, np.cos(math.pi * (r - centre) / width) ** 2, 0.0)
    total = float(weights.sum())
    if total <= 0:
        return 0.0, math.inf
    scatter = 1.48 * float(np.median(np.abs(np.diff(y[weights > 0])), axis=0)) / math.sqrt(2) if total > 3 else math.inf
    return float(weights @ y) / total, scatter * float(np.sqrt((weights**2).sum())) / total


def _first_peak(r: Array, y: Array) -> float:
    """Return the r (Å) up to which the curve stays well below its highest peak and has not risen above 0 for good."""
    high = np.flatnonzero(y > 0.25 * float(y.max()))
    return float(r[high[0]]) * 0.8 if high.size and y.max() > 0 else float(r[-1])


def slope(r: Array, y: Array) -> float | None:
    """Return s of y = s·r below the first peak, in units of y per Å; None where that range is short or not a line."""
    end = _first_peak(r, y)
    # Before the first peak that is positive there may be a negative one, as of Ti–O or O–H with neutrons.
    inside = (r < (0.6 * end if r[0] < 0.3 * end else end)) & (r > 0)
    if np.count_nonzero(inside) < 8 or r[0] > 0.6 * end:
        return None
    x, z = r[inside], y[inside]
    s = float(x @ z / (x @ x))
    spread = float(np.std(z - s * x))
    return s if abs(s) * end > 2.0 * spread else None


def growth(r: Array, y: Array) -> tuple[int, float] | None:
    """Return (1, c) of a positive curve that goes round c·r, (2, c) round c·r², (0, c) round c; None for any other.

    The number of neighbours up to r, ∫R dr, of T(r) = R/r, R(r) and g(r) ∝ R/r² grows like r³ and much more evenly
    than the functions themselves: its ratio to r³ may change as r to the power 0.2 at most over the second half.
    """
    if r[-1] < _REACH or r.size < 60:
        return None
    if -float(y[y < 0].sum()) > 0.05 * float(y[y > 0].sum()):
        return None
    part = r > 0.5 * r[-1]
    logs = np.log(r[part])
    best: tuple[float, int, float] | None = None
    for power in (0, 1, 2):
        ratio = 3 * _integral(r, r ** (2 - power) * y)[part] / r[part] ** 3
        trend = abs(float(np.polyfit(logs, np.log(ratio), 1)[0]))
        if best is None or trend < best[0]:
            best = (trend, power, float(ratio.mean()))
    return (best[1], best[2]) if best is not None and best[0] < _TREND else None


def _integral(x: Array, y: Array) -> Array:
    """Return ∫y dx up to every x, by trapezoids."""
    return np.concatenate([[0.0], np.cumsum(0.5 * (y[1:] + y[:-1]) * np.diff(x))])


def tail_mean(x: Array, y: Array) -> float | None:
    """Return the mean over the last third; None for short curves."""
    part = y[2 * y.size // 3 :]
    return float(part.mean()) if part.size >= 15 else None


def goes_round_one(r: Array, y: Array) -> bool:
    """Return whether the values tend to 1, as g(r) does; G(r) tends to 0."""
    tail = y[3 * y.size // 4 :]
    return bool(r[-1] > 5 and tail.size >= 5 and abs(tail.mean() - 1) < 0.2 and np.abs(tail - 1).max() < 0.5)


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
