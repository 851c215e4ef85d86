"""Which atoms lie within a distance of each other in a crystal, and what those distances are.

`lattice_pairs` enumerates; `group_sums` and `finish_peaks` turn enumerated pairs into peaks (position, variance,
weight) and their directional derivatives. Positions are fractional; the metric tensor g gives d² = Δᵀ g Δ.
"""

from __future__ import annotations

import math

import numpy as np

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
    rmax: float,
    atom_i: Int32Array,
    atom_j: Int32Array,
    shift: Int32Array,
) -> int:
    """Enumerate pairs (i, j, n) with 0.01 Å < |c·(x_j + n − x_i)| ≤ rmax; return how many there are.

    Formula: with c upper triangular (columns are the basis in Å, c33·Δ3 = z, …) the limits of n3, then n2, then n1
    follow from what is left of rmax², so no lattice point outside the sphere is visited. Only j with
    group[j] ≥ group[i] are taken: the caller doubles the weight of unlike pairs.
    Shapes: c (3,3); x (natoms,3) fractional; centres (k,) atom indices i; group (natoms,); outputs atom_i (p,),
    atom_j (p,), shift (p,3), of which the first entries are filled (p = 0 just counts).
    Units: Å. Source: Fincke & Pohst, Math. Comp. 44, 463 (1985).
    """
    capacity = atom_i.size
    count = 0
    r2max = rmax * rmax
    for k in range(centres.size):
        i = centres[k]
        for j in range(x.shape[0]):
            if group[j] < group[i]:
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
                        if u * u + y * y + z * z <= 1e-4:
                            continue
                        if count < capacity:
                            atom_i[count] = i
                            atom_j[count] = j
                            shift[count, 0] = n1
                            shift[count, 1] = n2
                            shift[count, 2] = n3
                        count += 1
    return count


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
def group_sums(
    start: IntArray,
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
    sums: Array,
    dsums: Array,
) -> None:
    """Sum weight, distance and displacement over groups of pairs, with derivatives along `kind.size` directions.

    Formula: w = mult·occᵢ·occⱼ, d = |Δ|, s = uᵢ + uⱼ + vᵀ(Bᵢ + Bⱼ)v/d² with v = gΔ; a group gives d₀ (its first
    distance), Σw, Σwe, Σwe², Σws with e = d − d₀, so that a group of equal distances has variance exactly 0 (Σws is
    plain s where Σw = 0: an empty group still needs a width, because occupancy derivatives act there).
    Shapes: start (ngroups+1,) offsets into the pairs; atom_i, atom_j, mult (npairs,); shift (npairs,3); g (3,3);
    x (natoms,3); u, occ (natoms,); b (natoms,3,3), used if `aniso`. A direction q has the kinds of change that its
    bits in kind[q] name, and tangents dg (nq,3,3), dx (nq,natoms,3), du, docc (nq,natoms), db (nq,natoms,3,3).
    Outputs: sums (ngroups,5); dsums (ngroups,nq,4), the derivatives of all but d₀. Units: Å, Å².
    """
    nq = kind.size
    acc = np.zeros((nq, 4))
    # Cell directions of isotropic crystals need only two tensors a group, however many directions there are.
    tensors = np.zeros((2, 6))
    any_cell = False
    any_pair = False
    for q in range(nq):
        cell_only = kind[q] & CELL and not aniso
        any_cell = any_cell or cell_only
        any_pair = any_pair or (kind[q] & ~(WIDTH | CELL)) != 0 or (kind[q] & CELL and aniso)
    g00, g01, g02, g11, g12, g22 = g[0, 0], g[0, 1], g[0, 2], g[1, 1], g[1, 2], g[2, 2]
    for group in range(start.size - 1):
        w_sum = 0.0
        wd = 0.0
        wdd = 0.0
        ws = 0.0
        acc[:] = 0.0
        if any_cell:
            tensors[:] = 0.0
        s = 0.0
        # Moments are taken about the first distance, so that a group of equal distances has variance exactly 0.
        origin = 0.0
        for p in range(start[group], start[group + 1]):
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
            s_aniso = 0.0
            bv0 = 0.0
            bv1 = 0.0
            bv2 = 0.0
            if aniso:
                b01 = b[i, 0, 1] + b[j, 0, 1]
                b02 = b[i, 0, 2] + b[j, 0, 2]
                b12 = b[i, 1, 2] + b[j, 1, 2]
                bv0 = (b[i, 0, 0] + b[j, 0, 0]) * v0 + b01 * v1 + b02 * v2
                bv1 = b01 * v0 + (b[i, 1, 1] + b[j, 1, 1]) * v1 + b12 * v2
                bv2 = b02 * v0 + b12 * v1 + (b[i, 2, 2] + b[j, 2, 2]) * v2
                s_aniso = (v0 * bv0 + v1 * bv1 + v2 * bv2) / rr
                s += s_aniso
            if p == start[group]:
                origin = d
            e = d - origin
            w = mult[p] * occ[i] * occ[j]
            w_sum += w
            wd += w * e
            wdd += w * e * e
            ws += w * s
            if any_cell:
                half = 0.5 * w / d
                t0 = half * d0
                t1 = half * d1
                t2 = half * d2
                products = (t0 * d0, t1 * d1, t2 * d2, 2.0 * t0 * d1, 2.0 * t0 * d2, 2.0 * t1 * d2)
                for m in range(6):
                    tensors[0, m] += products[m]
                    tensors[1, m] += 2.0 * e * products[m]
            if not any_pair:
                continue
            for q in range(nq):
                what = kind[q]
                dd = 0.0
                ds = 0.0
                dw = 0.0
                if what & POSITION or (aniso and what & CELL):
                    t0 = dx[q, j, 0] - dx[q, i, 0]
                    t1 = dx[q, j, 1] - dx[q, i, 1]
                    t2 = dx[q, j, 2] - dx[q, i, 2]
                    # tangent of v = gΔ
                    a0 = g00 * t0 + g01 * t1 + g02 * t2
                    a1 = g01 * t0 + g11 * t1 + g12 * t2
                    a2 = g02 * t0 + g12 * t1 + g22 * t2
                    if aniso:
                        a0 += dg[q, 0, 0] * d0 + dg[q, 0, 1] * d1 + dg[q, 0, 2] * d2
                        a1 += dg[q, 1, 0] * d0 + dg[q, 1, 1] * d1 + dg[q, 1, 2] * d2
                        a2 += dg[q, 2, 0] * d0 + dg[q, 2, 1] * d1 + dg[q, 2, 2] * d2
                    drr = t0 * v0 + t1 * v1 + t2 * v2 + d0 * a0 + d1 * a1 + d2 * a2
                    dd = 0.5 * drr / d
                    if aniso:
                        ds += (2.0 * (a0 * bv0 + a1 * bv1 + a2 * bv2) - s_aniso * drr) / rr
                if what & UISO:
                    ds += du[q, i] + du[q, j]
                if what & UANISO:
                    for m in range(3):
                        vm = v0 if m == 0 else (v1 if m == 1 else v2)
                        for n in range(3):
                            vn = v0 if n == 0 else (v1 if n == 1 else v2)
                            ds += (db[q, i, m, n] + db[q, j, m, n]) * vm * vn / rr
                if what & OCCUPANCY:
                    dw = mult[p] * (docc[q, i] * occ[j] + occ[i] * docc[q, j])
                acc[q, 0] += dw
                acc[q, 1] += dw * e + w * dd
                acc[q, 2] += dw * e * e + 2.0 * w * e * dd
                acc[q, 3] += dw * s + w * ds

        sums[group, 0] = origin
        sums[group, 1] = w_sum
        sums[group, 2] = wd
        sums[group, 3] = wdd
        sums[group, 4] = ws if w_sum != 0.0 else s
        for q in range(nq):
            if kind[q] & CELL and not aniso:
                for m in range(6):
                    k = m if m < 3 else (0 if m < 5 else 1)
                    n = m if m < 3 else (m - 2 if m < 5 else 2)
                    acc[q, 1] += tensors[0, m] * dg[q, k, n]
                    acc[q, 2] += tensors[1, m] * dg[q, k, n]
            for m in range(4):
                dsums[group, q, m] = acc[q, m]


@kernel
def finish_peaks(
    sums: Array,
    dsums: Array,
    kind: IntArray,
    width: Array,
    rcut: float,
    dwidth: Array,
    atoms: float,
    relative: Array,
    trace: Array,
    dtrace: Array,
    atom_i: Int32Array,
    atom_j: Int32Array,
    peak: Array,
    dpeak: Array,
) -> int:
    """Turn sums over groups of pairs (`group_sums`) into peaks and their derivatives; return how many have no width.

    Formula: position d̄ = d₀ + Σwe/Σw, weight Σw/N with N = atoms, variance
    σ² = ⟨s⟩·(1 − δ₁/d̄ − δ₂/d̄² + qbroad²d̄²)·(sratio² if d̄ < rcut) + resolution²d̄² + ⟨e²⟩ − ⟨e⟩² (1e-4 Å² at
    least). Groups of one distance are exact; in a wider one the error is of third order in its width over σ. A group
    with a non-positive bracket gets σ² = −1 and weight 0. Below the least width the derivative is 0, but where U alone
    is smaller, also U ≤ 0, it is that of the formula.
    With `trace` the peak of anisotropic displacement is d̄ → d̄ + e, σ² → σ² + e², e = c·(t − 3⟨s⟩)/2d̄ for t the trace
    of U_i + U_j (the same for all pairs of a group) and c the bracket without qbroad, times sratio²: the mean and the
    variance of |d + u| to second order in σ²/d² for U with an axis along d. For u isotropic e = 0.
    Shapes: sums (ngroups,5); dsums (ngroups,nq,4); width (5,) = δ₁, δ₂, qbroad, resolution, sratio and dwidth (nq,5);
    relative (nq,) = Ṅ/N; trace (natoms,) of U and dtrace (nq,natoms), or (0,) and (nq,0); atom_i, atom_j (ngroups,) of
    a pair of each group. Outputs: peak (ngroups,3) = d̄, σ², weight; dpeak (ngroups,nq,3). Units: Å, Å².
    Source: Farrow et al., J. Phys.: Condens. Matter 19, 335219 (2007) for the bracket.
    """
    dropped = 0
    delta1, delta2, qbroad, resolution, sratio = width[0], width[1], width[2], width[3], width[4]
    shifted = trace.size > 0
    for group in range(sums.shape[0]):
        w_sum = sums[group, 1]
        wdd = sums[group, 3]
        safe = w_sum if w_sum != 0.0 else 1.0
        mean_e = sums[group, 2] / safe
        d = sums[group, 0] + mean_e
        spread = wdd / safe - mean_e * mean_e
        s = sums[group, 4] / safe
        motion = 1.0 - delta1 / d - delta2 / (d * d)
        bracket = motion + qbroad * qbroad * d * d
        sharp = sratio * sratio if d < rcut else 1.0
        shift = 0.0
        along = 0.0
        if shifted:
            along = 0.5 * (trace[atom_i[group]] + trace[atom_j[group]] - 3.0 * s)
            shift = max(motion, 0.0) * sharp * along / d
        sigma2 = s * bracket * sharp + resolution * resolution * d * d + spread + shift * shift
        peak[group, 0] = d + shift
        if bracket <= 0.0:
            dropped += 1
            peak[group, 1] = -1.0
            peak[group, 2] = 0.0
            dpeak[group] = 0.0
            continue
        peak[group, 1] = max(sigma2, SMALLEST_VARIANCE)
        weight = w_sum / atoms
        peak[group, 2] = weight
        dmotion_dd = delta1 / (d * d) + 2.0 * delta2 / (d * d * d)
        for q in range(kind.size):
            dw = dsums[group, q, 0]
            dd = 0.0
            dspread = 0.0
            ds = 0.0
            if w_sum != 0.0:
                dd = (dsums[group, q, 1] - dw * mean_e) / safe
                dspread = (dsums[group, q, 2] - dw * wdd / safe) / safe - 2.0 * mean_e * dd
                ds = (dsums[group, q, 3] - dw * s) / safe
            dmotion = dmotion_dd * dd
            dbroad = 2.0 * qbroad * qbroad * d * dd
            dsharp = 0.0
            dspread += 2.0 * resolution * resolution * d * dd
            if kind[q] & WIDTH:
                dmotion += -dwidth[q, 0] / d - dwidth[q, 1] / (d * d)
                dbroad += 2.0 * qbroad * d * d * dwidth[q, 2]
                dspread += 2.0 * resolution * d * d * dwidth[q, 3]
                if d < rcut:
                    dsharp = 2.0 * sratio * dwidth[q, 4]
            dshift = 0.0
            if shifted and motion > 0.0:
                dalong = 0.5 * (dtrace[q, atom_i[group]] + dtrace[q, atom_j[group]] - 3.0 * ds)
                dshift = ((dmotion * sharp + motion * dsharp) * along + motion * sharp * dalong - shift * dd) / d
                dspread += 2.0 * shift * dshift
            dbracket = dmotion + dbroad
            dpeak[group, q, 0] = dd + dshift
            dpeak[group, q, 1] = ds * bracket * sharp + s * (dbracket * sharp + bracket * dsharp) + dspread
            # Where U itself is below the least width the slope is that from above, so that a fit can leave U = 0.
            if sigma2 < SMALLEST_VARIANCE <= s:
                dpeak[group, q, 1] = 0.0
            dpeak[group, q, 2] = dw / atoms - weight * relative[q]
    return dropped
