"""The grid a model is computed on, the Q cut on it, and exact resampling onto any r.

A cut at Qmax is the convolution of the odd extension of G with K(r) = (1/π)∫M(Q)cos(Qr)dQ. Its samples on a uniform
grid are exact as long as no part of G aliases into |Q| < Qmax, so the grid is as coarse as the narrowest peak allows:
exp[−σ²(2π/h − Qmax)²/2] < 1.3e-9 (and h ≤ π/(1.6 Qmax), for the resampling). The sum runs over lags of the exact
kernel (not over a discrete filter), so nothing folds back and Qmax need not be a multiple of anything. Weights that
are smooth in Q blur a curve over `WEIGHT_RANGE` at the most: they multiply its transform, which has room for that.
The one thing that is not band-limited is the knee of γ₀ (and of rγ₀ at 0): it aliases by about 1e-6 of max|G|. Peaks
beyond the last r asked for are included up to `ripple_range` further and faded out smoothly over it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.fft import rfft

from pdfkit import _machine
from pdfkit._checks import Array, IntArray
from pdfkit.data.instrument import Instrument
from pdfkit.kernels import peaks as kernels
from pdfkit.kernels import sines

# exp(−6.4²/2) = 1.3e-9: what a Gaussian's transform may still be where the grid begins to alias.
ALIAS = 6.4
OVERSAMPLING = 1.6
# Resampling error exp(−20) = 2e-9 of the largest value: windowed sinc, Kaiser–Bessel window.
TAPS_EXPONENT = 20.0
LADDER = 1.08


def choose_step(sigma: float, qmax: float) -> float:
    """Return the grid step (Å) that is exact for peaks of σ ≥ sigma (Å) cut at qmax (Å⁻¹; inf for no cut).

    Steps come from a geometric ladder, so that nearly equal inputs share a grid (and its tables).
    """
    band = min(qmax, ALIAS / sigma)
    step = min(2 * math.pi / (band + ALIAS / sigma), math.pi / (OVERSAMPLING * band))
    return LADDER ** math.floor(math.log(max(step, 1e-3)) / math.log(LADDER))


@dataclass(frozen=True, eq=False)
class Grid:
    """Nodes k·step for k = 0…count − 1, and how to get from there to `r`.

    taper (count,): fades the part beyond the last r; period: length of the sine transform, whose Q are kπ/(period·step)
    for k = 0…period − 1; sine (period,) = sin(πj/period); first, taps: resampling onto r (see `resample`); half
    (1, count): what the transform back is multiplied with.
    """

    step: float
    count: int
    nodes: Array
    taper: Array
    period: int
    sine: Array
    first: IntArray
    taps: Array
    half: Array

    def add_transform(self, curves: Array, weights: Array, out: Array) -> None:
        """Add Σ_c weights[c] × sine transform of curves[c] to out (nq, ≤ period).

        curves (ncurves, nq, ≤ period), the first point at 0; weights (ncurves, period).
        """
        flat = np.ascontiguousarray(curves.reshape(-1, curves.shape[-1]))
        # Of derivatives, most pairs know nothing of most directions.
        rows = sines.occupied(flat) if curves.shape[1] > 1 else np.arange(flat.shape[0])
        for low in range(0, rows.size, AT_ONCE):
            some = rows[low : low + AT_ONCE]
            sines.add_sines(self._folded(flat, some), some, curves.shape[1], weights, out)

    def transform(self, curves: Array, *, even: bool = False) -> Transform:
        """Return the sine (or cosine) transforms of curves (n, ≤ period), to be added with several weights."""
        if even:
            return Transform(self._cosines(curves), None)
        rows = np.arange(curves.shape[0])
        return Transform(self._folded(curves, rows), rows)

    def _folded(self, curves: Array, rows: IntArray) -> Any:
        folded = np.empty((rows.size, self.period))
        sines.fold(curves, rows, self.sine, folded)
        return rfft(folded)

    def add_even_transform(self, curves: Array, weights: Array, out: Array) -> None:
        """Do what `add_transform` does with the cosine transform: for curves whose continuation to r < 0 is even."""
        flat, each = np.ascontiguousarray(curves.reshape(-1, curves.shape[-1])), curves.shape[1]
        rows = sines.occupied(flat)  # of lines without a tail, the derivative by it alone
        if rows.size:
            for row, found in zip(rows.tolist(), self._cosines(flat[rows]), strict=True):
                out[row % each] += weights[row // each] * found

    def _cosines(self, curves: Array) -> Array:
        from scipy import fft

        padded = np.zeros((curves.shape[0], self.period + 1))
        padded[:, : self.count] = curves
        return np.asarray(fft.dct(padded, type=1)[:, :-1])

    def back(self, spectrum: Array) -> Array:
        """Node values (n, count) of what was transformed: spectrum (n, period)."""
        out = np.zeros((spectrum.shape[0], self.count))
        rows = np.arange(spectrum.shape[0])
        for low in range(0, rows.size, AT_ONCE):
            some = rows[low : low + AT_ONCE]
            sines.add_sines(self._folded(spectrum, some), some, rows.size, self.half, out)
        return out

    def resample(self, curves: Array) -> Array:
        """Return odd curves (…, count), band-limited on the nodes, on the output r (…, nr)."""
        out = np.empty((*curves.shape[:-1], self.first.size))
        self.fill(curves.reshape(-1, self.count), out.reshape(-1, self.first.size))
        return out

    def fill(self, curves: Array, out: Array) -> None:
        """Resample curves (n, count) into out (n, nr)."""
        kernels.resample(np.ascontiguousarray(curves), self.first, self.taps, out)


@dataclass(frozen=True)
class Transform:
    """Transforms of some curves: of sines as `sines.add_sines` reads them, with its rows; of cosines as they are."""

    found: Any
    rows: IntArray | None

    def add(self, weights: Array, out: Array) -> None:
        """Add Σ_c weights[c] × transform of curve c to out (1, period); weights (ncurves, period)."""
        if self.rows is None:
            out += (weights * self.found).sum(axis=0)
        else:
            sines.add_sines(self.found, self.rows, 1, weights, out)


@lru_cache(maxsize=16)
def damping(grid: Grid, qdamp: float, *, faded: bool) -> Array:
    """Return exp[−(qdamp·r)²/2] on the nodes (count,), faded out beyond the last r: fits rarely change it."""
    out = np.exp(-0.5 * (qdamp * grid.nodes) ** 2)
    return np.asarray(out * grid.taper if faded else out)


# Å: how far the transform of f_a f_b/⟨f⟩² reaches (1e-12 of it is left: LaB6, NaCl, SrTiO3, X-rays and electrons).
WEIGHT_RANGE = 10.0
# Curves transformed together: more would not stay in the processor's cache.
AT_ONCE = 32
# Å beyond the last r that peaks and ripples are followed at least.
LEAST_RANGE = 4.0
# Å over which a model is faded out at least where Q below qmin is cut: faster, the fading would leak into it.
QMIN_RANGE = 40.0
# Pairs (before symmetry) up to which the range of ripples may grow: a few ms of work an evaluation.
RIPPLE_PAIRS = 6e5


def ripple_range(instrument: Instrument, sigma2: float, rmax: float, pairs: float) -> float:
    """How far beyond rmax (Å) peaks are still included, for typical peaks of variance sigma2 (Å²).

    What is left out beyond it changes G by about 0.06·(5 Å/range)^1.5·exp(−σ²Qmax²/2)·B(rmax) of max|G| (measured on
    bulk CdS at Qmax 25 Å⁻¹; it decays more slowly at lower Qmax). The range is set for 1e-4, or ends where B(r) has
    taken the rest away; it is 4 to 100 Å, and above 20 Å no longer than leaves RIPPLE_PAIRS pairs (`pairs` is their
    number per Å³ of the sphere they fill). Measured on bulk CdS and Ni to 30 Å: below 1.6e-4 with qdamp 0.03 and 0.058
    at Qmax 15 to 25 (NaCl at Qmax 18: 8e-4), up to 2e-3 where nothing damps the crystal. Large cells stay at 20 Å and
    at larger errors in the last few Å before rmax: diamond as 8 atoms without symmetry 1.6e-3 (qdamp 0.03, Qmax 20),
    1e-2 with nothing to damp it at Qmax 15; with its symmetry (symmetry="find") 1.4e-4 and 7e-3. With a qmin it is
    40 Å at least: 4 Å is off by 6e-3, 20 Å by 1e-4 (bulk NaCl, CdS and Ni).
    """
    if not instrument.terminated:
        return 0.0
    affordable = max(20.0, (RIPPLE_PAIRS / (4.19 * pairs)) ** (1 / 3) - rmax)
    # What the width of the peaks leaves of it at Qmax: 0 from U·Qmax² of about 745 on.
    left = 0.06 * math.exp(-0.5 * sigma2 * _qmax(instrument) ** 2)
    excess = left * math.exp(-0.5 * (instrument.qdamp * rmax) ** 2) / 1e-4
    wanted = 5.0 * max(excess ** (2 / 3), 0.7 * excess)  # the larger it is, the slower it decays
    if instrument.qdamp > 0 and left > 0:  # for wide peaks at a high Qmax nothing is left
        damped = math.sqrt(2.0 * max(0.0, math.log(left / 2e-5))) / instrument.qdamp - rmax
        wanted = min(wanted, damped)
    edge = instrument.qmin > 0 or instrument.qtail != 0  # F(Q) does not begin at 0
    return float(min(max(wanted, QMIN_RANGE if edge else LEAST_RANGE), 100.0, affordable))


def make_grid(r: Array, step: float, band: float, extra: float, end: float, blur: float = WEIGHT_RANGE) -> Grid:
    """Build the grid that reaches end + extra (Å, end ≥ r[-1]) and holds content up to `band` (Å⁻¹).

    blur (Å) : how far weights that depend on Q reach; 0 without.
    """
    half = _half_taps(step, band)
    size = 8.0 * (8.0 * r.size * half + 12.0 * (end + extra) / step)
    _machine.need(size, f"G(r) on {r.size} points to {r[-1]:g} Å", "take fewer points, or a lower rmax")
    return (_made if r.size * half < LARGE else _made_large)(_axis(r), step, band, extra, end, blur)


class Axis:
    """Some r that tables are kept for; the same for equal r, which are compared in less time than hashed."""

    def __init__(self, r: Array) -> None:
        self.r = np.array(r)


_axes: tuple[Axis, ...] = ()


def _axis(r: Array) -> Axis:
    global _axes
    for one in _axes:
        if one.r.size == r.size and (one.r == r).all():
            return one
    out = Axis(r)
    _axes = (out, *_axes[:15])
    return out


def _half_taps(step: float, band: float) -> int:
    return math.ceil(TAPS_EXPONENT / (math.pi * (1.0 - band * step / math.pi)))


def _build(axis: Axis, step: float, band: float, extra: float, end: float, blur: float) -> Grid:
    r, half = axis.r, _half_taps(step, band)
    last = max(end + extra, end + (half + 2) * step)
    count = max(math.ceil(last / step) + 1, 2 * half)
    nodes: Array = step * np.arange(count, dtype=np.float64)
    start = end + min(extra, (half + 2) * step)
    taper = fade((nodes - start) / max(last - start, step)) if extra > 0 else np.ones(count)
    first, taps = (_resampling if r.size * half < LARGE else _resampling_large)(axis, step, half)
    # Lags reach from the last node to the last that is asked for, and the weights blur beyond.
    period = _even(count + math.ceil((end + blur) / step) + half)
    return Grid(
        step=step,
        count=count,
        nodes=nodes,
        taper=taper,
        period=period,
        sine=np.sin(math.pi / period * np.arange(period)),
        first=first,
        taps=taps,
        half=np.full((1, count), 0.5 / period),
    )


def _weights_of_nodes(axis: Axis, step: float, half: int) -> tuple[IntArray, Array]:
    """Return first and taps of a `Grid` that resamples onto r, wherever beyond that it ends."""
    r = axis.r
    position = np.abs(r) / step
    first = np.floor(position).astype(np.int64) - half + 1
    taps = np.empty((r.size, 2 * half))
    for low in range(0, r.size, 4096):
        part = slice(low, low + 4096)
        taps[part] = _taps(position[part, None] - (first[part, None] + np.arange(2 * half)), half)
    taps[r < 0.0] *= -1.0
    # An odd curve has at nodes below 0 the same as above, with the other sign.
    for n in np.flatnonzero(first < 0).tolist():
        below, row = -int(first[n]), taps[n].copy()
        taps[n] = 0.0
        taps[n, : row.size - below] = row[below:]
        taps[n, 1 : below + 1] -= row[:below][::-1]
        first[n] = 0
    return first, taps


def _even(count: int) -> int:
    """Return an even length of at least `count` for which FFTs are fast."""
    from scipy import fft

    return 2 * int(fft.next_fast_len((count + 1) // 2, real=True))


def _taps(offset: Array, half: int) -> Array:
    window = np.i0(TAPS_EXPONENT * np.sqrt(np.clip(1 - (offset / half) ** 2, 0, None))) / np.i0(TAPS_EXPONENT)
    return np.asarray(np.sinc(offset) * window)


# Numbers of weights from which a grid is large: few of those are kept.
LARGE = 1_000_000
_made = lru_cache(maxsize=64)(_build)
_made_large = lru_cache(maxsize=2)(_build)
_resampling = lru_cache(maxsize=64)(_weights_of_nodes)
_resampling_large = lru_cache(maxsize=2)(_weights_of_nodes)


def fade(t: Array) -> Array:
    """Return 1 for t ≤ 0, 0 for t ≥ 1, with three continuous derivatives between."""
    t = np.clip(t, 0.0, 1.0)
    return np.asarray(1.0 - t**4 * (35.0 - 84.0 * t + 70.0 * t**2 - 20.0 * t**3))


def cut_spectrum(step: float, period: int, instrument: Instrument) -> Array:
    """Return what the sine transform of a grid's nodes is multiplied with to cut at Qmin…Qmax (period,)."""
    return _spectrum(step, period, *_limits(step, instrument), odd=False)


def tail_spectrum(step: float, period: int, instrument: Instrument) -> Array:
    """Return what the cosine transform of an even curve is multiplied with to give the odd one (period,).

    Formula: with E(r) even and F(Q) = ∫E(r) cos(Qr) dr, the odd curve (2/π)∫F(Q)M(Q) sin(Qr) dQ over Qmin…Qmax is the
    convolution of E with H(r) = (1/π)∫M(Q) sin(Qr) dQ.
    """
    return _spectrum(step, period, *_limits(step, instrument), odd=True)


def _limits(step: float, instrument: Instrument) -> tuple[float, float, str, float, float | None]:
    """Return where the kernel of a cut begins and ends, and its window."""
    qmax = _qmax(instrument)
    return instrument.qmin, _cut_end(step, qmax), instrument.window, qmax, instrument.window_width


def _cut_end(step: float, qmax: float) -> float:
    """Return where the kernel ends: at Qmax, or at the highest Q that nodes `step` apart can hold.

    Beyond that nothing is left of peaks for which the step was chosen, and samples of a kernel that went on would
    repeat it at every 2π/step: what there is of G would count twice.
    """
    return min(qmax, math.pi / step)


@lru_cache(maxsize=64)
def _spectrum(
    step: float,
    period: int,
    qmin: float,
    end: float,
    window: str,
    qmax: float,
    width: float | None,
    odd: bool,
) -> Array:
    from scipy import fft

    from pdfkit import transforms

    out = np.zeros(period)
    if end <= qmin:
        return out
    weight = None if window == "none" else (lambda q: transforms.window(window, q, qmax, width))
    lags = step * np.arange(period + 1, dtype=np.float64)
    kernel = transforms.cut_kernel(lags, qmin, end, weight, odd=odd)
    if odd:
        out[1:] = step * fft.dst(kernel[1:-1], type=1)
    else:
        out[:] = step * fft.dct(kernel, type=1)[:-1]
    out.setflags(write=False)
    return out


def _qmax(instrument: Instrument) -> float:
    return math.inf if instrument.qmax is None else instrument.qmax
