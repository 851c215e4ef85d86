"""What data say of themselves: how far in Q they reach, their noise, their first peak, their range of order.

Advice, not measurement: each number is an estimate with its rule beside it, made without a model.
"""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array

# Å: no two nuclei are nearer (H–H 0.74); a maximum below is a ripple.
_NEAREST = 0.7


def first_peak(r: Array, G: Array) -> float | None:
    """Return where the first peak of G(r) is (Å), from a parabola through its top; None where there is none.

    It is the first maximum beyond 0.7 Å that is at least 0.35 of the largest below 8 Å.
    """
    inside = (r > _NEAREST) & (r < 8.0)
    if inside.sum() < 5:
        return None
    top = np.flatnonzero((G[1:-1] > G[:-2]) & (G[1:-1] >= G[2:]) & inside[1:-1]) + 1
    high = float(G[inside].max())
    top = top[G[top] >= 0.35 * high] if high > 0 else top[:0]
    if not top.size:
        return None
    i = int(top[0])
    a, b, c = np.polyfit(r[i - 1 : i + 2] - r[i], G[i - 1 : i + 2], 2)
    return float(r[i] - b / (2 * a)) if a < 0 and c > 0 else float(r[i])


def low_r_slope(r: Array, G: Array, rpoly: float, peak: float, qmax: float) -> float | None:
    """Return the slope of G(r) = s·r (Å⁻³) between rpoly and the foot of the first peak; None without room for it.

    Where no two atoms are, G = −4πρ₀r. The foot: a resolution π/qmax and 0.3 Å before the peak.
    """
    begin, end = max(0.3, rpoly), peak - 0.3 - math.pi / qmax
    if end - begin < 0.3:
        begin = 0.3
    here = (r >= begin) & (r <= end)
    if here.sum() < 5:
        return None
    return float(r[here] @ G[here] / (r[here] @ r[here]))
