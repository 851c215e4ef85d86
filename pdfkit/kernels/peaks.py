"""Sums of Gaussian peaks on a uniform grid with their derivatives, γ₀, resampling, peaks of a table of distances."""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels._jit import inlined, kernel
from pdfkit.kernels.pairs import SMALLEST_VARIANCE

# --- Sums of Gaussian peaks on a uniform grid with their derivatives -------------------------------------------------

# Peaks whose places and heights are found at a time: work on many goes as vectors.
OUTLINED = 64
# Points that one step of a loop takes, at the most: what is left over goes one by one.
VECTOR = 16


@inlined
def outline_peaks(
    peak: Array, start: int, count: int, side: float, step: float, reach: float, by_pair: bool, out: Array
) -> int:
    """Fill out (4, ≥ count) with what `count` peaks, from number start on, are; return how many reach below r = 0.

    That is the first and the last node, the height of unit weight and −1/128σ². Names as in `sum_peaks`; side: 1, or −1
    for the images. Peaks of σ² ≤ 0 have no nodes.
    """
    per_step, root = 1.0 / step, math.sqrt(2.0 * math.pi)
    below = 0
    for m in range(count):
        d, s2 = side * peak[start + m, 0], peak[start + m, 1]
        sigma = math.sqrt(max(s2, 0.0))
        first = np.ceil((d - reach * sigma) * per_step)
        below += first <= 0.0
        out[0, m] = max(first, 0.0)
        out[1, m] = np.floor((d + reach * sigma) * per_step) if s2 > 0.0 else -1.0
        out[2, m] = 1.0 / (root * sigma * (d if by_pair else 1.0))
        out[3, m] = -0.5 / (64.0 * s2)
    return below


@inlined
def fill_gaussian(place: Array, x0: float, per: float, n: int, e: Array) -> None:
    """Fill the first n of e with exp(64·per·x²) at x = x0 + place, to 4e-14 of the height.

    Formula: exp(y) = p(y/64)⁶⁴ with p the series to the 7th power; 3e-14 is missing at the most where −100 < y ≤ 0.
    A recursion from point to point takes fewer operations, but each of them waits for the one before.
    """
    for k in range(n):
        x = place[k] + x0
        y = x * x * per
        p = 1.0 + y * (1.0 + y * (1 / 2 + y * (1 / 6 + y * (1 / 24 + y * (1 / 120 + y * (1 / 720 + y * (1 / 5040)))))))
        p *= p
        p *= p
        p *= p
        p *= p
        p *= p
        p *= p
        e[k] = p


@kernel
def sum_peaks(
    peak: Array,
    dpeak: Array,
    pair: IntArray,
    factor: Array,
    dfactor: Array,
    step: float,
    reach: float,
    by_pair: bool,
    moments: bool,
    out: Array,
) -> None:
    """Add peaks and their derivatives to `out` on the grid r_k = k·step.

    Formula: T(r) = F·w[n(r − d; σ) − n(r + d; σ)]/d with n the unit normal density (by_pair), or F·w·n(r − d; σ),
    which the caller divides by r, F the factor of the peak's species pair. Gaussians are right to 4e-14 of their
    height, and end at ±reach·σ (7: 2.3e-11 of the height; 5: 3.7e-6).
    Derivative along a direction: (∂T/∂d)ḋ + (∂T/∂σ²)σ̇² + (∂T/∂w)ẇ = E·(A₀ + A₁x + A₂x²), x = r − d.
    Shapes: peak (n,3) = d, σ², w; dpeak (n,nq,3), or if `moments` wḋ, wσ̇² and ẇ; pair (n,); factor (npairs,) and
    dfactor (nq, npairs); out (npairs, 1 + nq, npoints), added to, or (1, …) for the sum of all pairs.
    Units: Å. Peaks with σ² ≤ 0 are left out. Source: Juhás et al., Acta Cryst. A71, 562 (2015), for the 1/d form.
    """
    npoints = out.shape[2]
    place, e = np.empty(npoints + VECTOR), np.empty(npoints + VECTOR)
    for k in range(place.size):
        place[k] = k * step
    outline = np.empty((4, OUTLINED))
    for start in range(0, peak.shape[0], OUTLINED):
        count, below = min(OUTLINED, peak.shape[0] - start), 0
        for side in (1.0, -1.0):
            if side < 0.0 and not (by_pair and below > 0):  # no image is seen
                break
            below = outline_peaks(peak, start, count, side, step, reach, by_pair, outline)
            for m in range(count):
                p, low = start + m, int(outline[0, m])
                n = int(min(npoints - 1.0, outline[1, m])) - low + 1
                if n <= 0:
                    continue
                ab, d, x0, unit = pair[p], side * peak[p, 0], low * step - side * peak[p, 0], outline[2, m]
                row_of = ab if out.shape[0] > 1 else 0
                fill_gaussian(place, x0, outline[3, m], (n + VECTOR - 1) // VECTOR * VECTOR, e)
                amplitude = factor[ab] * peak[p, 2] * unit
                row = out[row_of, 0, low : low + n]
                for k in range(n):
                    row[k] += amplitude * e[k]
                changed, per = factor[ab] * unit if moments else amplitude, -128.0 * outline[3, m]
                for q in range(dpeak.shape[1]):
                    dd, ds2 = side * dpeak[p, q, 0], dpeak[p, q, 1]
                    dw = dpeak[p, q, 2] * factor[ab] + peak[p, 2] * dfactor[q, ab]
                    a0 = dw * unit - 0.5 * changed * ds2 * per - (changed * dd / d if by_pair else 0.0)
                    a1, a2 = changed * dd * per, 0.5 * changed * ds2 * per * per
                    row = out[row_of, 1 + q, low : low + n]
                    if a1 != 0.0 or a2 != 0.0:
                        for k in range(n):
                            x = x0 + place[k]
                            row[k] += e[k] * (a0 + x * (a1 + x * a2))
                    elif a0 != 0.0:  # its weight alone changes: along the size of a particle
                        for k in range(n):
                            row[k] += a0 * e[k]


@kernel
def extremes(peak: Array) -> tuple[float, float]:
    """Return the least σ² above 0 (infinity if there is none) and the largest (0 then) of peaks (n,3); NaN of NaN."""
    least, most, wrong = math.inf, 0.0, 0.0
    for p in range(peak.shape[0]):
        s2 = peak[p, 1]
        if s2 > 0.0:
            least = min(least, s2)
            most = max(most, s2)
        elif s2 != s2:
            wrong = s2
    return least + wrong, most + wrong


@kernel
def weigh_peaks(gamma0: Array, by: Array, slope: Array, along: Array, moments: bool, peak: Array, dpeak: Array) -> None:
    """Multiply the weights of peaks by γ₀ at their own distances, in place; derivatives follow.

    Formula: w → γ₀w, ẇ → γ₀ẇ + w(γ₀′ḋ + Σ_k ṗ_k ∂γ₀/∂p_k). A peak of which nothing is left gets σ² = 0: there is none.
    Shapes: gamma0, slope (n,) and by (nparams, n) = ∂γ₀/∂p at the distances; along (nparams, nq), tangents of p; peak
    (n, 3) = d, σ², w and dpeak (n, nq, 3), or if `moments` wḋ, wσ̇², ẇ.
    Source: Gilbert, J. Appl. Cryst. 41, 554 (2008), for γ₀.
    """
    for p in range(peak.shape[0]):
        left = gamma0[p] != 0.0 or slope[p] != 0.0
        for k in range(by.shape[0]):
            left = left or by[k, p] != 0.0
        if not left:
            peak[p, 1] = min(peak[p, 1], 0.0)
            peak[p, 2] = 0.0
            dpeak[p] = 0.0
            continue
        w = peak[p, 2]
        many = 1.0 if moments else w
        for q in range(dpeak.shape[1]):
            change = 0.0
            for k in range(by.shape[0]):
                change += by[k, p] * along[k, q]
            dpeak[p, q, 2] = gamma0[p] * dpeak[p, q, 2] + w * change + many * slope[p] * dpeak[p, q, 0]
            if moments:
                dpeak[p, q, 0] *= gamma0[p]
                dpeak[p, q, 1] *= gamma0[p]
        peak[p, 2] = gamma0[p] * w


@kernel
def subtract_baseline(line: Array, slope: Array, dline: Array, along: Array, curves: Array) -> None:
    """Take slope·line off `curves`, and its derivatives: slope·line˙ + slope˙·line, line˙ = Σ_k along_k·dline_k.

    Shapes: line (n,) = 4πrγ₀; slope (npairs, 1 + nq) = ρ₀w_ab and its derivatives; dline (nparams, n) = ∂line/∂p and
    along (nparams, nq), tangents of p; curves (npairs, 1 + nq, n).
    """
    for c in range(curves.shape[0]):
        for q in range(curves.shape[1]):
            row = curves[c, q]
            if slope[c, q] != 0.0:
                for k in range(line.size):
                    row[k] -= slope[c, q] * line[k]
            if q == 0:
                continue
            for b in range(dline.shape[0]):
                much = slope[c, 0] * along[b, q - 1]
                if much != 0.0:
                    for k in range(line.size):
                        row[k] -= much * dline[b, k]


@kernel
def envelop(curves: Array, active: IntArray, value: Array, slopes: Array, along: Array, out: Array) -> None:
    """Add curves × envelope and its derivatives to `out`: (fg)˙ = f·ġ for every direction, + ḟ·g for the active ones.

    Shapes: curves (npairs, 1 + nactive, n), f and its derivatives along the directions active (nactive,); value
    (n,), g; slopes (nb, n), derivatives of g by what it depends on, and along (nb, nq), tangents of that; out
    (npairs, 1 + nq, n).
    """
    for c in range(curves.shape[0]):
        f = curves[c, 0]
        first = out[c, 0]
        for k in range(f.size):
            first[k] += value[k] * f[k]
        for b in range(along.shape[0]):
            for q in range(along.shape[1]):
                much = along[b, q]
                if much != 0.0:
                    slope, row = slopes[b], out[c, 1 + q]
                    for k in range(f.size):
                        row[k] += much * slope[k] * f[k]
        for a in range(active.size):
            row = out[c, 1 + active[a]]
            df = curves[c, 1 + a]
            for k in range(f.size):
                row[k] += value[k] * df[k]


@kernel
def resample(curves: Array, first: IntArray, taps: Array, out: Array) -> None:
    """Fill out[c, n] = Σ_t taps[n, t]·curves[c, first[n] + t]: interpolation with given weights.

    Shapes: curves (ncurves, npoints); first (nout,); taps (nout, ntaps); out (ncurves, nout).
    """
    ntaps = taps.shape[1]
    for n in range(first.size):
        tap = taps[n]
        for c in range(curves.shape[0]):
            # A slice, because an index that might be negative would keep the loop from being vectorised.
            part = curves[c, first[n] : first[n] + ntaps]
            total = 0.0
            for t in range(ntaps):
                total += tap[t] * part[t]
            out[c, n] = total


# --- Peaks of a particle from its table of pair distances ------------------------------------------------------------


@kernel
def stretched_peaks(
    distance: Array,
    variance: Array,
    axes: Array,
    class_a: IntArray,
    class_b: IntArray,
    stretch: float,
    dstretch: Array,
    daxes: Array,
    u: Array,
    du: Array,
    width: Array,
    dwidth: Array,
    peak: Array,
    dpeak: Array,
) -> int:
    """Fill position and variance of every bin's peak, and their derivatives; return how many have no width.

    Formula: d = s·D, σ² = (U_a + U_b)(1 − δ₁/d − δ₂/d² + qbroad²d²) + resolution²d² + s²·v (1e-4 Å² at least), with D
    the mean distance and v the variance of the bin, s the stretch. ∂d = D·∂s + s·Σ_k A_k ∂e_k, A_k the mean of Δ_k²/D.
    A bin whose bracket is not positive gets σ² = −1 and weight 0.
    Shapes: distance, variance, class_a, class_b (m,); axes (m, 3) or (0, 3); dstretch (nq,); daxes (nq, 3); u (nc,);
    du (nq, nc); width (4,) = δ₁, δ₂, qbroad, resolution; dwidth (nq, 4); peak (m, 3) and dpeak (m, nq, 3), whose last
    columns (weights) the caller fills. Units: Å, Å².
    Source: Farrow et al., J. Phys.: Condens. Matter 19, 335219 (2007).
    """
    dropped = 0
    delta1, delta2, qbroad, resolution = width[0], width[1], width[2], width[3]
    nq = dstretch.size
    for m in range(distance.size):
        d = stretch * distance[m]
        s = u[class_a[m]] + u[class_b[m]]
        bracket = 1.0 - delta1 / d - delta2 / (d * d) + qbroad * qbroad * d * d
        spread = stretch * stretch * variance[m]
        sigma2 = s * bracket + resolution * resolution * d * d + spread
        peak[m, 0] = d
        if bracket <= 0.0:
            dropped += 1
            peak[m, 1] = -1.0
            peak[m, 2] = 0.0
            dpeak[m] = 0.0
            continue
        peak[m, 1] = max(sigma2, SMALLEST_VARIANCE)
        slope = delta1 / (d * d) + 2.0 * delta2 / (d * d * d) + 2.0 * qbroad * qbroad * d
        for q in range(nq):
            dd = dstretch[q] * distance[m]
            if axes.shape[0] > 0:
                dd += stretch * (axes[m, 0] * daxes[q, 0] + axes[m, 1] * daxes[q, 1] + axes[m, 2] * daxes[q, 2])
            dbracket = slope * dd - dwidth[q, 0] / d - dwidth[q, 1] / (d * d) + 2.0 * qbroad * d * d * dwidth[q, 2]
            dpeak[m, q, 0] = dd
            dpeak[m, q, 1] = 0.0
            if sigma2 >= SMALLEST_VARIANCE or s < SMALLEST_VARIANCE:
                ds = du[q, class_a[m]] + du[q, class_b[m]]
                dresolved = 2.0 * resolution * d * (resolution * dd + d * dwidth[q, 3])
                dpeak[m, q, 1] = ds * bracket + s * dbracket + dresolved + 2.0 * stretch * dstretch[q] * variance[m]
    return dropped
