"""Debye sums: what pair distances give at each Q, one term per distance and Q."""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels._jit import kernel


@kernel
def debye_sums(peak: Array, pair: IntArray, Q: Array, out: Array) -> None:
    """Add Σ (w/d) sin(Qd) exp(−σ²Q²/2) to `out`, at any Q.

    Divided by Q this is Σ w·sin(Qd)/(Qd)·exp(−σ²Q²/2); it is also the sine transform of the peaks that
    `kernels.peaks.sum_peaks` adds up (by_pair).
    Shapes: peak (m,3) = d, σ², w; pair (m,); Q (nq,); out (npairs, nq), added to. Units: Å, Å⁻¹.
    Peaks with σ² < 0 are left out. Source: Debye, Ann. Phys. 351, 809 (1915).
    """
    for p in range(peak.shape[0]):
        d, s2 = peak[p, 0], peak[p, 1]
        if s2 < 0.0:
            continue
        amplitude = peak[p, 2] / d
        row = out[pair[p]]
        for k in range(Q.size):
            row[k] += amplitude * math.sin(Q[k] * d) * math.exp(-0.5 * s2 * Q[k] * Q[k])


@kernel
def debye_sums_uniform(peak: Array, pair: IntArray, first: float, step: float, out: Array) -> None:
    """Add the sums of `debye_sums` at Q_k = first + k·step: two rotations and two products a term.

    Formula: the phase turns by a fixed angle, sin(x + a) = sin x cos a + cos x sin a, and the Gaussian follows from
    e(Q + h) = e(Q)·f(Q), f(Q + h) = f(Q)·exp(−σ²h²), in four chains of stride h = 4·step that hide the latency.
    Both start anew every 256 points, so rounding stays below 1e-13 of a term. Terms end where their Gaussian has
    fallen below 1e-30.
    Shapes and units as for `debye_sums`.
    """
    n = out.shape[1]
    for p in range(peak.shape[0]):
        d, half = peak[p, 0], 0.5 * peak[p, 1]
        if half < 0.0:
            continue
        amplitude = peak[p, 2] / d
        row = out[pair[p]]
        c1, s1 = math.cos(step * d), math.sin(step * d)
        c4, s4 = math.cos(4.0 * step * d), math.sin(4.0 * step * d)
        g1 = math.exp(-2.0 * half * step * step)
        g4 = g1 * g1 * g1 * g1
        g16 = g4 * g4 * g4 * g4
        for low in range(0, n, 256):
            q = first + low * step
            e0 = math.exp(-half * q * q)
            if e0 < 1e-30:
                break
            x0, y0 = amplitude * math.sin(q * d), amplitude * math.cos(q * d)
            x1, y1 = x0 * c1 + y0 * s1, y0 * c1 - x0 * s1
            x2, y2 = x1 * c1 + y1 * s1, y1 * c1 - x1 * s1
            x3, y3 = x2 * c1 + y2 * s1, y2 * c1 - x2 * s1
            r0 = math.exp(-half * step * (2.0 * q + step))
            r1 = r0 * g1
            r2 = r1 * g1
            e1 = e0 * r0
            e2 = e1 * r1
            e3 = e2 * r2
            f0 = r0 * r1 * r2 * (r2 * g1)
            f1 = f0 * g4
            f2 = f1 * g4
            f3 = f2 * g4
            high = min(n, low + 256)
            for k in range(low, high - 3, 4):
                row[k] += x0 * e0
                row[k + 1] += x1 * e1
                row[k + 2] += x2 * e2
                row[k + 3] += x3 * e3
                x0, y0 = x0 * c4 + y0 * s4, y0 * c4 - x0 * s4
                x1, y1 = x1 * c4 + y1 * s4, y1 * c4 - x1 * s4
                x2, y2 = x2 * c4 + y2 * s4, y2 * c4 - x2 * s4
                x3, y3 = x3 * c4 + y3 * s4, y3 * c4 - x3 * s4
                e0 *= f0
                e1 *= f1
                e2 *= f2
                e3 *= f3
                f0 *= g16
                f1 *= g16
                f2 *= g16
                f3 *= g16
            rest = (high - low) % 4
            if rest > 0:
                row[high - rest] += x0 * e0
            if rest > 1:
                row[high - rest + 1] += x1 * e1
            if rest > 2:
                row[high - rest + 2] += x2 * e2


@kernel
def sine_series(curves: Array, step: float, Q: Array, out: Array) -> None:
    """Fill out[c, k] = Σ_j curves[c, j]·sin(Q_k·j·step).

    Sines of 64 neighbours come from one table a Q, doubled from exact rotations, turned to where the block begins.
    Shapes: curves (ncurves, npoints); Q (nq,); out (ncurves, nq). Units: Å, Å⁻¹.
    """
    n = curves.shape[1]
    sines = np.empty(n + 64)
    s, c = np.empty(64), np.empty(64)
    for k in range(Q.size):
        angle = Q[k] * step
        s[0], c[0] = 0.0, 1.0
        width = 1
        while width < 64:
            turn_s, turn_c = math.sin(width * angle), math.cos(width * angle)
            for j in range(width):
                s[width + j] = s[j] * turn_c + c[j] * turn_s
                c[width + j] = c[j] * turn_c - s[j] * turn_s
            width *= 2
        for low in range(0, n, 64):
            begin_s, begin_c = math.sin(low * angle), math.cos(low * angle)
            block = sines[low : low + 64]
            for j in range(64):
                block[j] = begin_s * c[j] + begin_c * s[j]
        for row in range(curves.shape[0]):
            curve = curves[row]
            total = 0.0
            for j in range(n):
                total += curve[j] * sines[j]
            out[row, k] = total
