"""Which atoms lie within a distance of each other in a crystal, and what those distances are.

`lattice_pairs` enumerates; `pair_numbers` (or `bin_numbers`) and `finish_peaks` turn pairs (or bins of them) into peaks
(position, variance, weight) and their directional derivatives. Positions are fractional; with the metric tensor g,
d² = Δᵀ g Δ.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pdfkit._checks import Array, Int32Array, IntArray
from pdfkit.kernels._jit import kernel

CELL, POSITION, UISO, UANISO, OCCUPANCY, WIDTH = 1, 2, 4, 8, 16, 32
# Peaks narrower than 0.01 Å are drawn that wide: no measurement tells them apart (at Qmax = 25 the difference is 3 %
# of a peak's transform at the very edge), and a grid that still samples them stays affordable.
SMALLEST_VARIANCE = 1e-4


@kernel
def lattice_pairs(
    c: Array,
    x: Array,
    centres: IntArray,
    group: IntArray,
    some: NDArray[np.bool_],
    rmax: float,
    place: IntArray,
    atom_i: Int32Array,
    atom_j: Int32Array,
    shift: Int32Array,
) -> None:
    """Enumerate pairs (i, j, n) with 0.01 Å < d = |c·(x_j + n − x_i)| ≤ rmax; count them, or put them into shells of d.

    Each pair adds 1 to place[⌊d/Å⌋], or to the last. Where p > 0, what is there before is where the pair is put: so of
    zeros and empty lists numbers come out, of whose running sums lists are filled in the order of the shells.

    Formula: with c upper triangular (columns are the basis in Å, c33·Δ3 = z, …) the limits of n3, then n2, then n1
    follow from what is left of rmax², so no lattice point outside the sphere is visited. Only j with
    group[j] ≥ group[i] are taken: the caller doubles the weight of unlike pairs. Of these, `some` says which, if it is
    not empty.
    Shapes: c (3,3); x (natoms,3) fractional; centres (k,) atom indices i; group (natoms,); some (k,natoms) or (0,0);
    outputs place (nshells,), atom_i (p,), atom_j (p,), shift (p,3).
    Units: Å. Source: Fincke & Pohst, Math. Comp. 44, 463 (1985).
    """
    last = place.size - 1
    r2max = rmax * rmax
    for k in range(centres.size):
        i = centres[k]
        for j in range(x.shape[0]):
            if group[j] < group[i] or (some.size > 0 and not some[k, j]):
                continue
            d1 = x[j, 0] - x[i, 0]
            d2 = x[j, 1] - x[i, 1]
            d3 = x[j, 2] - x[i, 2]
            n3_low = math.ceil(-rmax / c[2, 2] - d3)
            n3_high = math.floor(rmax / c[2, 2] - d3)
            for n3 in range(n3_low, n3_high + 1):
                z = c[2, 2] * (d3 + n3)
                left3 = r2max - z * z
                if left3 < 0.0:
                    continue
                y0 = c[1, 2] * (d3 + n3)
                reach2 = math.sqrt(left3)
                n2_low = math.ceil((-reach2 - y0) / c[1, 1] - d2)
                n2_high = math.floor((reach2 - y0) / c[1, 1] - d2)
                for n2 in range(n2_low, n2_high + 1):
                    y = y0 + c[1, 1] * (d2 + n2)
                    left2 = left3 - y * y
                    if left2 < 0.0:
                        continue
                    x0 = c[0, 1] * (d2 + n2) + c[0, 2] * (d3 + n3)
                    reach1 = math.sqrt(left2)
                    n1_low = math.ceil((-reach1 - x0) / c[0, 0] - d1)
                    n1_high = math.floor((reach1 - x0) / c[0, 0] - d1)
                    for n1 in range(n1_low, n1_high + 1):
                        u = x0 + c[0, 0] * (d1 + n1)
                        rr = u * u + y * y + z * z
                        if rr <= 1e-4:
                            continue
                        shell = min(int(math.sqrt(rr)), last)
                        if atom_i.size > 0:
                            at = place[shell]
                            atom_i[at] = i
                            atom_j[at] = j
                            shift[at, 0] = n1
                            shift[at, 1] = n2
                            shift[at, 2] = n3
                        place[shell] += 1


@kernel
def least_reach(g: Array, x: Array, g0: Array, x0: Array, inverse: Array, reach: float) -> float:
    """Return the distance up to which a list of pairs, complete to `reach` at (g0, x0), is complete at (g, x).

    Formula: √(1 − ‖L⁻¹(g − g₀)L⁻ᵀ‖)·reach − 2·max|δx|, g₀ = LLᵀ, with the Frobenius norm, a bound of every eigenvalue;
    0 where the norm is above 1. Shapes: g, g0, inverse = L⁻¹ (3,3); x, x0 (natoms,3). Units: Å.
    """
    square = 0.0
    for a in range(3):
        for b in range(3):
            strain = 0.0
            for k in range(3):
                for m in range(3):
                    strain += inverse[a, k] * (g[k, m] - g0[k, m]) * inverse[b, m]
            square += strain * strain
    moved = 0.0
    for i in range(x.shape[0]):
        d0 = x[i, 0] - x0[i, 0]
        d1 = x[i, 1] - x0[i, 1]
        d2 = x[i, 2] - x0[i, 2]
        along = g[0, 0] * d0 * d0 + g[1, 1] * d1 * d1 + g[2, 2] * d2 * d2
        moved = max(moved, along + 2.0 * (g[0, 1] * d0 * d1 + g[0, 2] * d0 * d2 + g[1, 2] * d1 * d2))
    return math.sqrt(max(0.0, 1.0 - math.sqrt(square))) * reach - 2.0 * math.sqrt(moved)


@kernel
def pair_numbers(
    atom_i: Int32Array,
    atom_j: Int32Array,
    shift: Int32Array,
    mult: Array,
    g: Array,
    x: Array,
    u: Array,
    b: Array,
    occ: Array,
    aniso: bool,
    kind: IntArray,
    dg: Array,
    dx: Array,
    du: Array,
    db: Array,
    docc: Array,
    trace: Array,
    dtrace: Array,
    numbers: Array,
    changes: Array,
) -> None:
    """Fill in distance, displacement, weight and trace of pairs, and how these change along `kind.size` directions.

    Formula: d = |Δ|, s = uᵢ + uⱼ + vᵀ(Bᵢ + Bⱼ)v/d² with v = gΔ, w = mult·occᵢ·occⱼ, t = traceᵢ + traceⱼ.
    Shapes: atom_i, atom_j, mult (n,); shift (n,3); g (3,3); x (natoms,3); u, occ (natoms,); b (natoms,3,3), used if
    `aniso`. A direction q has the kinds of change that its bits in kind[q] name, and tangents dg (nq,3,3),
    dx (nq,natoms,3), du, docc (nq,natoms), db (nq,natoms,3,3); trace (natoms,) of U and dtrace (nq,natoms), or (0,) and
    (nq,0), for t = 0. Outputs: numbers (n,4) = d, s, w, t; changes (n,nq,4). Units: Å, Å².
    """
    nq = kind.size
    shifted = trace.size > 0
    g00, g01, g02, g11, g12, g22 = g[0, 0], g[0, 1], g[0, 2], g[1, 1], g[1, 2], g[2, 2]
    for p in range(mult.size):
        i = np.uint32(atom_i[p])  # unsigned: a negative index need not be looked for
        j = np.uint32(atom_j[p])
        d0 = x[j, 0] + shift[p, 0] - x[i, 0]
        d1 = x[j, 1] + shift[p, 1] - x[i, 1]
        d2 = x[j, 2] + shift[p, 2] - x[i, 2]
        v0 = g00 * d0 + g01 * d1 + g02 * d2
        v1 = g01 * d0 + g11 * d1 + g12 * d2
        v2 = g02 * d0 + g12 * d1 + g22 * d2
        rr = d0 * v0 + d1 * v1 + d2 * v2
        d = math.sqrt(rr)
        s = u[i] + u[j]
        along, per = 0.0, 1.0 / rr
        w0, w1, w2 = 0.0, 0.0, 0.0  # 2(Bᵢ + Bⱼ)v/d²
        h0, h1, h2 = 0.0, 0.0, 0.0  # g times that
        if aniso:
            b01, b02, b12 = b[i, 0, 1] + b[j, 0, 1], b[i, 0, 2] + b[j, 0, 2], b[i, 1, 2] + b[j, 1, 2]
            w0 = 2.0 * per * ((b[i, 0, 0] + b[j, 0, 0]) * v0 + b01 * v1 + b02 * v2)
            w1 = 2.0 * per * (b01 * v0 + (b[i, 1, 1] + b[j, 1, 1]) * v1 + b12 * v2)
            w2 = 2.0 * per * (b02 * v0 + b12 * v1 + (b[i, 2, 2] + b[j, 2, 2]) * v2)
            along = 0.5 * (v0 * w0 + v1 * w1 + v2 * w2)
            s += along
            h0 = g00 * w0 + g01 * w1 + g02 * w2
            h1 = g01 * w0 + g11 * w1 + g12 * w2
            h2 = g02 * w0 + g12 * w1 + g22 * w2
        numbers[p, 0] = d
        numbers[p, 1] = s
        numbers[p, 2] = mult[p] * occ[i] * occ[j]
        numbers[p, 3] = trace[i] + trace[j] if shifted else 0.0
        half = 0.5 / d
        for q in range(nq):
            what = kind[q]
            drr, ds, dw = 0.0, 0.0, 0.0
            if what & CELL:
                m0, m1, m2 = dg[q, 0, 0], dg[q, 1, 1], dg[q, 2, 2]
                m3, m4, m5 = dg[q, 0, 1], dg[q, 0, 2], dg[q, 1, 2]
                drr = d0 * (m0 * d0 + 2.0 * (m3 * d1 + m4 * d2)) + d1 * (m1 * d1 + 2.0 * m5 * d2) + m2 * d2 * d2
                if aniso:
                    ds = w0 * (m0 * d0 + m3 * d1 + m4 * d2)
                    ds += w1 * (m3 * d0 + m1 * d1 + m5 * d2) + w2 * (m4 * d0 + m5 * d1 + m2 * d2)
            if what & POSITION:
                t0, t1, t2 = dx[q, j, 0] - dx[q, i, 0], dx[q, j, 1] - dx[q, i, 1], dx[q, j, 2] - dx[q, i, 2]
                drr += 2.0 * (t0 * v0 + t1 * v1 + t2 * v2)
                ds += t0 * h0 + t1 * h1 + t2 * h2
            if what & UANISO and aniso:
                turn = 0.0
                for atom in (i, j):
                    turn += v0 * (db[q, atom, 0, 0] * v0 + 2.0 * (db[q, atom, 0, 1] * v1 + db[q, atom, 0, 2] * v2))
                    turn += v1 * (db[q, atom, 1, 1] * v1 + 2.0 * db[q, atom, 1, 2] * v2) + db[q, atom, 2, 2] * v2 * v2
                ds += per * turn
            if what & UISO:
                ds += du[q, i] + du[q, j]
            if what & OCCUPANCY:
                dw = mult[p] * (docc[q, i] * occ[j] + occ[i] * docc[q, j])
            changes[p, q, 0] = half * drr
            changes[p, q, 1] = ds - along * per * drr
            changes[p, q, 2] = dw
            changes[p, q, 3] = dtrace[q, i] + dtrace[q, j] if shifted else 0.0


@kernel
def bin_numbers(sums: Array, dsums: Array, numbers: Array, changes: Array) -> None:
    """Fill in mean distance, displacement, weight and spread of bins of pairs, and how these change.

    Formula: d̄ = d₀ + Σwe/Σw, ⟨s⟩ = Σws/Σw, Σw, ⟨e²⟩ − ⟨e⟩². The error is of third order in the width of a bin over σ.
    Shapes: sums (n,5) = d₀, Σw, Σwe, Σwe², Σws with e = d − d₀, and dsums (n,nq,4), derivatives of all but d₀.
    Outputs: numbers (n,4), changes (n,nq,4). Units: Å, Å².
    """
    for k in range(sums.shape[0]):
        w = sums[k, 1]
        per = 1.0 / w if w != 0.0 else 1.0
        mean, square, s = sums[k, 2] * per, sums[k, 3] * per, sums[k, 4] * per
        numbers[k, 0] = sums[k, 0] + mean
        numbers[k, 1] = s
        numbers[k, 2] = w
        numbers[k, 3] = square - mean * mean
        for q in range(dsums.shape[1]):
            dw = dsums[k, q, 0]
            dd = (dsums[k, q, 1] - dw * mean) * per
            changes[k, q, 0] = dd
            changes[k, q, 1] = (dsums[k, q, 3] - dw * s) * per
            changes[k, q, 2] = dw
            changes[k, q, 3] = (dsums[k, q, 2] - dw * square) * per - 2.0 * mean * dd


@kernel
def finish_peaks(
    numbers: Array,
    changes: Array,
    shifted: bool,
    kind: IntArray,
    width: Array,
    rcut: float,
    dwidth: Array,
    atoms: float,
    relative: Array,
    peak: Array,
    dpeak: Array,
) -> int:
    """Turn the numbers of pairs, or of bins of them, into peaks with derivatives; return how many have no width.

    Formula: position d, weight w/N with N = atoms, variance
    σ² = s·(1 − δ₁/d − δ₂/d² + qbroad²d²)·(sratio² if d < rcut) + resolution²d² + spread (1e-4 Å² at least). A peak
    with a non-positive bracket gets σ² = −1 and weight 0. Below the least width the derivative is 0, but where U alone
    is smaller, also U ≤ 0, it is that of the formula.
    If `shifted` the peak of anisotropic displacement is d → d + e, σ² → σ² + e², e = c·(t − 3s)/2d for t the trace of
    U_i + U_j and c the bracket without qbroad, times sratio²: the mean and the variance of |d + u| to second order in
    σ²/d² for U with an axis along d. For u isotropic e = 0.
    Shapes: numbers (n,4) = d, s, w, and the spread or, if `shifted`, t; changes (n,nq,4); width (5,) = δ₁, δ₂, qbroad,
    resolution, sratio and dwidth (nq,5); relative (nq,) = Ṅ/N. Outputs: peak (n,3) = d, σ², weight; dpeak (n,nq,3).
    Units: Å, Å². Source: Farrow et al., J. Phys.: Condens. Matter 19, 335219 (2007) for the bracket.
    """
    dropped = 0
    delta1, delta2, qbroad, resolution, sratio = width[0], width[1], width[2], width[3], width[4]
    for p in range(numbers.shape[0]):
        d, s, w = numbers[p, 0], numbers[p, 1], numbers[p, 2]
        per = 1.0 / d
        motion = 1.0 - delta1 * per - delta2 * per * per
        bracket = motion + qbroad * qbroad * d * d
        sharp = sratio * sratio if d < rcut else 1.0
        shift = 0.0
        along = 0.0
        spread = numbers[p, 3]
        if shifted:
            along = 0.5 * (numbers[p, 3] - 3.0 * s)
            shift = max(motion, 0.0) * sharp * along * per
            spread = shift * shift
        sigma2 = s * bracket * sharp + resolution * resolution * d * d + spread
        peak[p, 0] = d + shift
        if bracket <= 0.0:
            dropped += 1
            peak[p, 1] = -1.0
            peak[p, 2] = 0.0
            dpeak[p] = 0.0
            continue
        peak[p, 1] = max(sigma2, SMALLEST_VARIANCE)
        weight = w / atoms
        peak[p, 2] = weight
        dmotion_dd = (delta1 + 2.0 * delta2 * per) * per * per
        # Where U itself is below the least width the slope is that from above, so that a fit can leave U = 0.
        still = sigma2 < SMALLEST_VARIANCE <= s
        for q in range(kind.size):
            dd = changes[p, q, 0]
            ds = changes[p, q, 1]
            dmotion = dmotion_dd * dd
            dbroad = 2.0 * qbroad * qbroad * d * dd
            dsharp = 0.0
            dspread = 2.0 * resolution * resolution * d * dd
            if kind[q] & WIDTH:
                dmotion -= (dwidth[q, 0] + dwidth[q, 1] * per) * per
                dbroad += 2.0 * qbroad * d * d * dwidth[q, 2]
                dspread += 2.0 * resolution * d * d * dwidth[q, 3]
                if d < rcut:
                    dsharp = 2.0 * sratio * dwidth[q, 4]
            dshift = 0.0
            if not shifted:
                dspread += changes[p, q, 3]
            elif motion > 0.0:
                dalong = 0.5 * (changes[p, q, 3] - 3.0 * ds)
                dshift = ((dmotion * sharp + motion * dsharp) * along + motion * sharp * dalong - shift * dd) * per
                dspread += 2.0 * shift * dshift
            dvariance = ds * bracket * sharp + s * ((dmotion + dbroad) * sharp + bracket * dsharp) + dspread
            dpeak[p, q, 0] = dd + dshift
            dpeak[p, q, 1] = 0.0 if still else dvariance
            dpeak[p, q, 2] = changes[p, q, 2] / atoms - weight * relative[q]
    return dropped
