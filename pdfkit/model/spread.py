"""Many overlapping peaks drawn together: shared between points and widths (`kernels.spread`), widened by FFTs.

Only the transform up to some q is wanted: the cut, or the width of the peaks, takes the rest away. A cubic B-spline on
points h apart, whose transform is divided by, leaves [x/(1 − x)]⁴ at x = qh/2π of the transform of a peak, at a phase
of its own; four widths Δ apart leave 0.0234·Δ⁴ times the fourth derivative of exp(−σ²q²/2) by σ. Both are kept below
`MISSES`. A derivative is shared as the value is, in parts that −iq and −q²/2 multiply: it is as accurate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels.spread import spread_peaks
from pdfkit.model.cut import fade
from pdfkit.phases.base import Peaks

# What may be missing of the transform of a peak, at any q.
MISSES = 2e-7
# Peaks up to which it cannot pay, and of how many it is guessed what they cost.
FEW, SAMPLE = 500, 1000
# Seconds: of a peak drawn alone, and each of its points; of one that is shared, each part of it, and a point of an FFT.
ALONE, POINT = 1.6e-8, 8e-10
SHARED, TILE, FFT_POINT = 1.2e-8, 4e-9, 7e-9
# Seconds that finding out may take: what is drawn one by one in less is not thought about.
DECIDING = 2e-4
# Least and largest widths are taken from a ladder of this ratio, so that those of one fit share what widens them.
RUNG = 1.02
# Å⁻⁴: what is left of peaks of some 10 Å and wider.
FLAT = 1e-12
# Bytes that tables of what is shared may take at a time.
LARGEST = 1e8
# σ beyond which nothing is left of a peak.
REACH = 7.0


@dataclass(frozen=True)
class Plan:
    """Points k·step/finer + low, k = 0…points − 1, and widths first + m·between, m = 0…widths − 1.

    top (Å⁻¹): from where on nothing is left of peaks, and what the coarse points repeat would be seen below the cut.
    """

    step: float
    finer: int
    low: int
    points: int
    first: float
    between: float
    widths: int
    top: float

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, narrowest: float, widest: float, step: float, count: int, qmax: float) -> Plan:
        """Return what is fine enough for σ from narrowest to widest on `count` points `step` apart, up to qmax."""
        from scipy import fft

        q = min(qmax, math.pi / step) * np.linspace(0.05, 1.0, 20)
        damped = np.exp(-0.5 * (narrowest * q) ** 2)
        finer = 2
        while finer < 32 and float((_alias(q * step / finer) * damped).max()) > MISSES:
            finer *= 2
        between = math.floor(_between(q, narrowest) * 2e4) / 2e4
        first = math.floor(narrowest / between)
        widths = max(4, math.ceil(widest / between) - first + 3)
        low = math.ceil(REACH * widest / step) + 2
        coarse = count + 2 * low
        return cls(step, finer, low, finer * 2 * fft.next_fast_len((coarse + 1) // 2, real=True), (first - 1) * between,
                   between, widths, 2.0 * math.pi / step - min(qmax, math.pi / step))  # fmt: skip


def _rung(width: float) -> float:
    """Return the next width on the ladder that is not larger."""
    return float(RUNG ** math.floor(math.log(width) / math.log(RUNG)))


def _alias(phase: Array) -> Array:
    x = phase / (2.0 * math.pi)
    return (x / (1.0 - x)) ** 4


def _between(q: Array, narrowest: float) -> float:
    """Return how far apart widths may be: the largest that He₄(x)·exp(−x²/2) is from x = σq on."""
    x = np.maximum.outer(narrowest * q, np.linspace(0.0, 6.0, 61))
    left = (np.abs(x**4 - 6.0 * x**2 + 3.0) * np.exp(-0.5 * x**2)).max(axis=1)
    worst = float((q**4 * left).max())
    # Of peaks as wide as all of r nothing is left.
    return float((MISSES / (0.0234 * worst)) ** 0.25) if worst > FLAT else narrowest


@lru_cache(maxsize=16)
def _widened(plan: Plan) -> tuple[Array, Array]:
    """Return Q (n,) up to the first at which the coarse points repeat, and what widens the transform (widths, n)."""
    n, fine = plan.points // plan.finer + 1, plan.step / plan.finer
    q = 2.0 * math.pi / (plan.points * fine) * np.arange(n)
    sigma = plan.first + plan.between * np.arange(plan.widths)
    spline = np.sinc(q * fine / (2.0 * math.pi)) ** 4
    # Widths below the least of a peak leave more there than a peak has, and derivatives are multiplied with q².
    left = fade(np.asarray(2.0 * q / plan.top - 1.0, dtype=np.float64))
    return np.asarray(q), np.asarray(left * np.exp(-0.5 * np.outer(sigma, q) ** 2) / (spline * plan.step))


@dataclass(frozen=True)
class Channels:
    """Where each part of each derivative goes: number (nq, 3) of wḋ, wσ̇² and ẇ, −1 for what is 0; count of all."""

    number: IntArray
    count: int

    @classmethod
    def of(cls, dpeak: Array, dfactor: Array) -> Channels:
        """Return the channels that the derivatives of peaks (n, nq, 3) need."""
        used = np.asarray(dpeak.any(axis=0))
        used[:, 2] |= used[:, 0] | dfactor.any(axis=1)
        number = np.full(used.shape, -1, dtype=np.int64)
        number[used] = 1 + np.arange(int(used.sum()))
        return cls(number, 1 + int(used.sum()))


def soon_drawn(n: int, widest: float, step: float, curves: int = 1) -> bool:
    """Return whether n peaks of σ up to `widest` (Å) are surely drawn one by one."""
    return n < FEW or n * (ALONE + 2.0 * REACH * widest / step * POINT * curves) < DECIDING


def planned(found: Peaks, curves: Array, step: float, qmax: float) -> Plan | None:
    """Return how to draw peaks together on curves (nrows, 1 + nq, count), or None where one by one costs less."""
    n, nrows = found.peak.shape[0], curves.shape[0]
    if n < FEW:
        return None
    least, most = found.extremes
    widest, variance = math.sqrt(most), found.peak[:, 1]
    if not widest > 0.0 or soon_drawn(n, widest, step, curves.shape[1]):
        return None
    narrowest = math.sqrt(least)
    plan = Plan.of(_rung(narrowest), RUNG * _rung(widest), step, curves.shape[2], qmax)
    some = found.dpeak[:: 1 + n // SAMPLE]
    changed = np.count_nonzero(some, axis=0) * (n / some.shape[0])
    seen = variance[:: 1 + n // SAMPLE]
    points = 2.0 * REACH * float(np.sqrt(np.maximum(seen, 0.0)).mean()) / step
    alone = n * ALONE + points * (n + float(changed.max(axis=1, initial=0.0).sum())) * POINT
    tiles = n + float(changed.sum() + np.maximum(changed[:, 0] - changed[:, 2], 0.0).sum())
    channels = 1 + np.count_nonzero(changed) + np.count_nonzero(changed[:, 0] > changed[:, 2])
    together = n * SHARED + tiles * TILE + FFT_POINT * nrows * channels * plan.widths * plan.points
    return plan if together < alone else None


def add_peaks(plan: Plan, found: Peaks, factor: Array, dfactor: Array, curves: Array) -> None:
    """Add peaks and their derivatives to curves (npairs or 1, 1 + nq, count), as `sum_peaks` does, by pair.

    factor (npairs,) and dfactor (nq, npairs): of the species pairs.
    """
    size = 8 * curves.shape[0] * plan.widths * plan.points
    at_once = max(1, int(LARGEST / (3 * size)))
    for low in range(0, max(1, dfactor.shape[0]), at_once):
        some = slice(low, low + at_once)
        dpeak, change = np.ascontiguousarray(found.dpeak[:, some]), np.ascontiguousarray(dfactor[some])
        channels = Channels.of(dpeak, change)
        rows = channels.count * plan.widths
        out = np.zeros((curves.shape[0] * rows, plan.points + 3))
        own = rows if curves.shape[0] > 1 else 0
        place = (plan.step / plan.finer, plan.first, plan.between, plan.widths, own, -plan.low * plan.step)
        spread_peaks(found.peak, dpeak, found.moments, found.pair, factor, change, *place, channels.number, out)
        for k in range(curves.shape[0]):
            parts = _widen(plan, out[k * rows : (k + 1) * rows])
            if low == 0:
                curves[k, 0] += _back(plan, parts[0], curves.shape[2])
            for q, numbers in enumerate(channels.number):
                if (numbers >= 0).any():
                    curves[k, 1 + low + q] += _back(plan, _combined(plan, parts, numbers), curves.shape[2])


def _widen(plan: Plan, table: Array) -> Array:
    """Return the transforms (nchannels, n) of what points and widths share (nchannels·widths, points + 3)."""
    from scipy import fft

    _, widened = _widened(plan)
    table[:, :3] += table[:, plan.points :]
    out = np.zeros((table.shape[0] // plan.widths, widened.shape[1]), dtype=complex)
    for k, rows in enumerate(table[:, : plan.points].reshape(-1, plan.widths, plan.points)):
        for row, wide in zip(rows, widened, strict=True):
            if row.any():
                out[k] += fft.rfft(row)[: wide.size] * wide
    return out


def _combined(plan: Plan, parts: Array, numbers: IntArray) -> Array:
    """Return the transform of a derivative: −iq times that of wḋ, −q²/2 times that of wσ̇², and that of ẇ."""
    q, _ = _widened(plan)
    moved, wider, more = (parts[n] if n >= 0 else None for n in numbers.tolist())
    out = np.zeros(q.size, dtype=complex) if more is None else more
    if moved is not None:
        out = out - 1j * q * moved
    return out if wider is None else out - 0.5 * q * q * wider


def _back(plan: Plan, transform: Array, count: int) -> Array:
    """Return what belongs to a transform at the coarse points from r = 0 on (count,)."""
    from scipy import fft

    n = plan.points // plan.finer
    # What is beyond the highest Q of the coarse points is seen there at lower Q.
    coarse = fft.irfft(transform[: n // 2 + 1] + transform[: n // 2 - 1 : -1].conj(), n)
    return np.asarray(coarse[plan.low : plan.low + count])
