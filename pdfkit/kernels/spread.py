"""Many overlapping peaks, shared between a few points of a grid and a few widths, to be drawn all together by FFTs.

A peak of its own costs its points (`peaks.sum_peaks`); here it costs four points at four widths, however wide it is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels._jit import kernel

ONE, TWO, THREE = np.uint64(1), np.uint64(2), np.uint64(3)


@kernel
def add_tile(out: Array, row: int, at: Any, much: float, b: Array, c: Array) -> None:
    """Add much·cₘ·bᵢ to out[row + m, at + i], m and i = 0…3; row and at are unsigned, so that none is negative."""
    b0, b1, b2, b3 = b[0], b[1], b[2], b[3]
    for m in range(4):
        a = much * c[m]
        k = np.uint64(row + m)
        # All are read before the first is written, so that they go as vectors.
        v0, v1, v2, v3 = out[k, at], out[k, at + ONE], out[k, at + TWO], out[k, at + THREE]
        out[k, at] = v0 + a * b0
        out[k, at + ONE] = v1 + a * b1
        out[k, at + TWO] = v2 + a * b2
        out[k, at + THREE] = v3 + a * b3


@kernel
def spread_peaks(
    peak: Array,
    dpeak: Array,
    moments: bool,
    pair: IntArray,
    factor: Array,
    dfactor: Array,
    step: float,
    first: float,
    between: float,
    widths: int,
    nrows: int,
    low: float,
    channel: IntArray,
    out: Array,
) -> None:
    """Share peaks and their derivatives between the points k·step + low and the widths σ = first + m·between.

    Formula: A peak F·w·n(r − d; σ)/d and its image −F·w·n(r + d; σ)/d, as of `sum_peaks`, where that is not below
    `low`, become Σ_m Σ_i F·w/d·c_m(σ)·b_i(d): c the cubic polynomials of Lagrange through four widths, b the cubic
    B-spline, whose transform the caller divides by. The derivatives of a peak along a direction have three parts, of
    which each has its own channel: (ẇ − wḋ/d)/d·n, wḋ/d, to be multiplied with −∂/∂r, and wσ̇²/d, with ½∂²/∂r².
    Shapes: peak (n,3) = d, σ², w; dpeak (n,nq,3), ḋ, σ̇² and ẇ, or if `moments` wḋ, wσ̇² and ẇ; pair (n,); factor
    (npairs,), dfactor (nq, npairs); channel (nq,3), in the order wḋ, wσ̇², ẇ, −1 for what is 0; out
    (n·nchannels·widths, npoints + 3), added to: channel 0 has the values. nrows = nchannels·widths where each pair has
    its own, n = npairs, or 0 where all have the same, n = 1.
    Units: Å. Peaks with σ² ≤ 0, and those beyond the points, are left out.
    """
    nq = dpeak.shape[1]
    last = out.shape[1] - 4
    b, c = np.empty(4), np.empty(4)
    for p in range(peak.shape[0]):
        if peak[p, 1] <= 0.0:
            continue
        t = (math.sqrt(peak[p, 1]) - first) / between
        m = min(max(int(t), 1), widths - 3)
        t -= m
        c[0] = -t * (t - 1.0) * (t - 2.0) / 6.0
        c[1] = 0.5 * (t + 1.0) * (t - 1.0) * (t - 2.0)
        c[2] = -0.5 * (t + 1.0) * t * (t - 2.0)
        c[3] = (t + 1.0) * t * (t - 1.0) / 6.0
        ab = pair[p]
        row = ab * nrows + m - 1
        w = peak[p, 2]
        many = 1.0 if moments else w
        for sign in (1.0, -1.0):
            d = sign * peak[p, 0]
            place = (d - low) / step
            k = math.floor(place)
            if k < 1 or k - 1 > last:
                break
            t = place - k
            at = np.uint64(k - 1)
            b[0] = (1.0 - t) ** 3 / 6.0
            b[1] = (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0
            b[3] = t * t * t / 6.0
            b[2] = 1.0 - b[0] - b[1] - b[3]
            per = 1.0 / d
            if w != 0.0:
                add_tile(out, row, at, factor[ab] * w * per, b, c)
            for q in range(nq):
                moved = sign * dpeak[p, q, 0] * many * factor[ab] * per
                wider = dpeak[p, q, 1] * many * factor[ab] * per
                more = (dpeak[p, q, 2] * factor[ab] + w * dfactor[q, ab] - moved) * per
                if more != 0.0:
                    add_tile(out, row + channel[q, 2] * widths, at, more, b, c)
                if moved != 0.0:
                    add_tile(out, row + channel[q, 0] * widths, at, moved, b, c)
                if wider != 0.0:
                    add_tile(out, row + channel[q, 1] * widths, at, wider, b, c)
