"""The discrete low-pass filters with which other programs cut at Qmax, for comparison with their numbers.

PDFfit2 1.5 and DiffPy-CMI's srreal 1.4 compute G(r) on a wider uniform grid and zero its Fourier components above Qmax;
which grid was found by comparison with their curves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError
from pdfkit.kernels import peaks as kernels

RIPPLES = 6


def filter_range(r: Array, qmax: float, program: str, begin: float | None = None) -> Array:
    """Return the uniform grid on which a program computes before it filters: six ripples beyond r (Å).

    Found by comparison with curves of PDFfit2 1.5 and DiffPy-CMI's srreal 1.4 (agreement 1e-6 with six, 4e-4 or worse
    with any other number). PDFfit2 starts at the first point of its
    data, `begin` (default r[0]), srreal at 0.
    """
    # Grids printed with few digits (59.990002) are meant to be uniform; these programs take them so, too.
    exact = (r[-1] - r[0]) / (r.size - 1)
    step = float(f"{exact:.6g}")
    ripples = RIPPLES * 2 * math.pi / qmax
    if np.abs(r / step - np.round(r[0] / step) - np.arange(r.size)).max() <= 2e-3:
        last = round((r[-1] + ripples) / step)
        begin = r[0] if begin is None else min(begin, r[0])
        first = max(1, round(begin / step)) if program == "pdffit2" else 0
        return step * np.arange(first, last + 1)
    if program != "pdffit2" or np.abs((r - r[0]) / exact - np.arange(r.size)).max() > 2e-3:
        raise PdfkitError(
            f"convention {program!r} needs r on multiples of a uniform step: use the default convention, or resample"
        )
    # PDFfit2 counts its steps from the first point of its data, PDFgui's Nyquist grid for one.
    return np.asarray(r[0] + exact * np.arange(r.size + round(ripples / exact)))


def lowpass(curves: Array, step: float, qmax: float, program: str) -> Array:
    """Zero the Fourier components above qmax as a program does: curves (…, n) on a grid from `filter_range`."""
    n = curves.shape[-1]
    if program == "pdffit2":
        length = 1 << math.ceil(math.log2(2 * n))
        kept = math.ceil(qmax * (length - 1) * step / (2 * math.pi))
        if length >= 6 * kept:
            return np.asarray(_Decimation.of(n, length, kept)(curves.reshape(-1, n)).reshape(curves.shape))
        return _plain(curves, length, kept)
    from scipy import fft

    length = 1 << math.ceil(math.log2(n))
    padded = np.zeros((*curves.shape[:-1], length - 1))
    padded[..., : n - 1] = curves[..., 1:]
    spectrum = fft.dst(padded, type=1, axis=-1)
    spectrum[..., math.ceil(qmax * length * step / math.pi) - 1 :] = 0.0
    out = np.zeros_like(curves)
    out[..., 1:] = fft.idst(spectrum, type=1, axis=-1)[..., : n - 1]
    return out


def _plain(curves: Array, length: int, kept: int) -> Array:
    from scipy import fft

    spectrum = fft.rfft(curves, length, axis=-1)
    spectrum[..., kept:] = 0.0
    return np.ascontiguousarray(fft.irfft(spectrum, length, axis=-1, overwrite_x=True)[..., : curves.shape[-1]])


# Stopband of the decimating filter: exp(−20) = 2e-9 of the largest value (measured: 3e-10).
EXPONENT = 20.0


@dataclass(frozen=True)
class _Decimation:
    """The lowest `kept` components of an FFT of `length` points of which n are not 0, on every `every`-th point.

    A windowed sinc (Kaiser–Bessel) keeps everything below and nothing that would fold onto it; what it does to the
    components themselves is divided out (`gain`). So two FFTs of `short` points do for two of `length`.
    """

    n: int
    short: int
    reach: int
    every: int
    count: int
    gain: Array
    down: tuple[IntArray, Array]
    up: tuple[IntArray, Array]

    @classmethod
    @lru_cache(maxsize=8)
    def of(cls, n: int, length: int, kept: int) -> _Decimation:
        every = 2
        while length // (2 * every) >= 3 * kept:
            every *= 2
        short = length // every
        reach = math.ceil(EXPONENT / (math.pi * (1.0 - 2.0 * kept / short)))
        lags = np.arange(1 - reach * every, reach * every)
        bessel = np.i0(EXPONENT * np.sqrt(1.0 - (lags / (reach * every)) ** 2)) / np.i0(EXPONENT)
        window = np.sinc(lags / every) * bessel
        response = np.cos(2 * math.pi / length * np.outer(np.arange(kept), lags)) @ window
        # Coarse points stand at every·m, m = −reach…; those from 1 − reach on are needed to return.
        count = math.ceil(n / every) + 2 * reach
        down = np.ascontiguousarray(np.broadcast_to(window, (count, lags.size)))
        lag = np.arange(every)[:, None] - every * (np.arange(2 * reach) - reach + 1) + lags.size // 2
        inside = (lag >= 0) & (lag < lags.size)
        up = np.where(inside, window[np.clip(lag, 0, lags.size - 1)], 0.0)
        at = np.arange(n)
        return cls(
            n,
            short,
            reach,
            every,
            count,
            every / response**2,
            (every * np.arange(count), down),
            (at // every, np.ascontiguousarray(up[at % every])),
        )

    def __call__(self, curves: Array) -> Array:
        """Return curves (ncurves, n) without what is above the components kept."""
        from scipy import fft

        rows = curves.shape[0]
        before = 2 * self.reach * self.every - 1
        wide = np.zeros((rows, self.every * (self.count + 2 * self.reach)))
        wide[:, before : before + self.n] = curves
        coarse, out = np.empty((rows, self.count)), np.empty_like(curves)
        kernels.resample(wide, *self.down, coarse)
        spectrum = fft.rfft(coarse, self.short, axis=-1)[:, : self.gain.size] * self.gain
        back = fft.irfft(spectrum, self.short, axis=-1)[:, 1 : self.count]
        kernels.resample(np.ascontiguousarray(back), *self.up, out)
        return out
