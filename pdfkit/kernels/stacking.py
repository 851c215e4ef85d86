"""Stacks of layers with random order: where the m-th next layer lies, and the peaks of all pairs."""

from __future__ import annotations

import math

from pdfkit._checks import Array, IntArray
from pdfkit.kernels._jit import kernel
from pdfkit.kernels.pairs import SMALLEST_VARIANCE

# Where alpha_c → 0 and alpha_h → 1 together, the share of hexagonal layers has no limit: it is kept from 0/0.
TINY = 1e-12


@kernel
def same_position(alpha_c: float, alpha_h: float, out: Array, dout: Array) -> None:
    """Fill out[m] with the probability P₀(m) that layers m apart lie at the same lateral position.

    Formula: layer l is reached by a step of ±1 (A → B → C → A or back); it is hexagonal if the next step is the
    opposite one. A hexagonal layer follows a cubic one with probability α_c and a hexagonal one with α_h, so that the
    share of hexagonal layers is w = α_c/(1 + α_c − α_h). With ω = exp(2πi/3) and x_t(m) the mean of ω^(sum of m
    steps) over stacks whose last step is +1 and begins at a layer of type t (c or h),
        x_c(m+1) = ω[(1 − α_c)x_c + (1 − α_h)x_h],  x_h(m+1) = ω[α_c x̄_c + α_h x̄_h],
        x_h(1) = wω/2, x_c(1) = (1 − w)ω/2,  P₀(m) = (1 + 4 Re[x_c(m) + x_h(m)])/3, P₀(0) = 1,
    because stacks are as likely as their mirror images.
    Shapes: out (n,); dout (2, n), ∂P₀/∂α_c and ∂P₀/∂α_h. Source: the generating functions of Hendricks & Teller,
    J. Chem. Phys. 10, 147 (1942), for the Reichweite s = 4 of Jagodzinski, Acta Cryst. 2, 201 (1949).
    """
    omega = complex(-0.5, 0.5 * math.sqrt(3.0))
    total = max(1.0 + alpha_c - alpha_h, TINY)
    share = alpha_c / total if total > TINY else 0.5
    slopes = ((1.0 - alpha_h) / (total * total), alpha_c / (total * total))
    x_c = 0.5 * (1.0 - share) * omega
    x_h = 0.5 * share * omega
    # Derivatives to α_c (0) and α_h (1).
    c0, h0 = -0.5 * slopes[0] * omega, 0.5 * slopes[0] * omega
    c1, h1 = -0.5 * slopes[1] * omega, 0.5 * slopes[1] * omega
    out[0] = 1.0
    dout[0, 0] = 0.0
    dout[1, 0] = 0.0
    for m in range(1, out.size):
        out[m] = (1.0 + 4.0 * (x_c + x_h).real) / 3.0
        dout[0, m] = 4.0 * (c0 + h0).real / 3.0
        dout[1, m] = 4.0 * (c1 + h1).real / 3.0
        k_c, k_h = x_c.conjugate(), x_h.conjugate()
        next_c0 = omega * ((1.0 - alpha_c) * c0 + (1.0 - alpha_h) * h0 - x_c)
        next_c1 = omega * ((1.0 - alpha_c) * c1 + (1.0 - alpha_h) * h1 - x_h)
        h0, h1 = (
            omega * (alpha_c * c0.conjugate() + alpha_h * h0.conjugate() + k_c),
            omega * (alpha_c * c1.conjugate() + alpha_h * h1.conjugate() + k_h),
        )
        c0, c1 = next_c0, next_c1
        x_c, x_h = omega * ((1.0 - alpha_c) * x_c + (1.0 - alpha_h) * x_h), omega * (alpha_c * k_c + alpha_h * k_h)


@kernel
def stacked_peaks(
    norm: Array,
    layers: IntArray,
    bond: Array,
    same: IntArray,
    mult: Array,
    site_a: IntArray,
    site_b: IntArray,
    cell: Array,
    dcell: Array,
    u: Array,
    du: Array,
    width: Array,
    dwidth: Array,
    chance: Array,
    dchance: Array,
    fill: Array,
    dfill: Array,
    shifted: bool,
    peak: Array,
    dpeak: Array,
) -> int:
    """Fill the peaks of a randomly stacked crystal and their derivatives; return how many have no width.

    Formula: a shell of pairs lies at ρ² = a²·norm in the plane and z = (m + 2uτ)h above it, m layers apart, so that
    d² = ρ² + z². Its weight is mult·P₀(m) where it holds pairs at the same lateral position (A over A), and
    mult·(1 − P₀(m))/2 where it holds others. With f = z²/d² and U = U_a + U_b of the two sites,
        σ² = [U_in(1 − f) + U_out f](1 − δ₁/d − δ₂/d² + qbroad²d²) + m·U_layer·f + resolution²d²  (1e-4 Å² at least).
    Where anisotropic displacement shifts peaks (`shifted`; see `finish_peaks`), d → d + e and σ² → σ² + e² with
        e = [(U_out − U_in)(1 − δ₁/d − δ₂/d²) + m·U_layer](1 − 3f)/2d.
    A shell whose bracket is not positive gets σ² = −1 and weight 0; one that no pair is in gets σ² = 0.
    Shapes: norm, layers (m), bond (τ = −1, 0, 1), same (1 or 0), mult, site_a, site_b (n,); cell (3,) = a, h, u and
    dcell (nq, 3); u (nsites, 2) = U_in, U_out and du (nq, nsites, 2); width (5,) = δ₁, δ₂, qbroad, resolution, U_layer
    and dwidth (nq, 5); chance (nm,) = P₀ and dchance (nq, nm); fill (n,) or (0,), what a finite body leaves of each
    shell, and dfill (nq, n) or (nq, 0); peak (n, 3) and dpeak (n, nq, 3), outputs. Units: Å, Å².
    Source: Farrow et al., J. Phys.: Condens. Matter 19, 335219 (2007), for the bracket.
    """
    dropped = 0
    nq = dcell.shape[0]
    a, h, shift = cell[0], cell[1], cell[2]
    delta1, delta2, qbroad, resolution, spread = width[0], width[1], width[2], width[3], width[4]
    for n in range(norm.size):
        m = layers[n]
        height = m + 2.0 * shift * bond[n]
        z = height * h
        rho2 = a * a * norm[n]
        d2 = rho2 + z * z
        d = math.sqrt(d2)
        f = z * z / d2
        i, j = site_a[n], site_b[n]
        u_in = u[i, 0] + u[j, 0]
        u_out = u[i, 1] + u[j, 1]
        s = u_in * (1.0 - f) + u_out * f
        motion = 1.0 - delta1 / d - delta2 / d2
        bracket = motion + qbroad * qbroad * d2
        along = 0.5 * ((u_out - u_in) * max(motion, 0.0) + m * spread) if shifted else 0.0
        moved = along * (1.0 - 3.0 * f) / d
        sigma2 = s * bracket + m * spread * f + resolution * resolution * d2 + moved * moved
        slope = 1.0 if same[n] else -0.5
        share = chance[m] if same[n] else 0.5 * (1.0 - chance[m])
        part = fill[n] if fill.size > 0 else 1.0
        weight = mult[n] * share * part
        peak[n, 0] = d + moved
        counted = weight != 0.0
        for q in range(nq):
            dshare = slope * dchance[q, m]
            dpart = dfill[q, n] if fill.size > 0 else 0.0
            dpeak[n, q, 2] = mult[n] * (dshare * part + share * dpart)
            counted = counted or dpeak[n, q, 2] != 0.0
        narrow = bracket <= 0.0
        if narrow or not counted:
            if counted:
                dropped += 1
            peak[n, 1] = -1.0 if counted else 0.0
            peak[n, 2] = 0.0
            dpeak[n] = 0.0
            continue
        peak[n, 1] = max(sigma2, SMALLEST_VARIANCE)
        peak[n, 2] = weight
        by_d = delta1 / d2 + 2.0 * delta2 / (d2 * d)
        for q in range(nq):
            dz = height * dcell[q, 1] + 2.0 * bond[n] * h * dcell[q, 2]
            dd = (a * norm[n] * dcell[q, 0] + z * dz) / d
            df = 2.0 * (z * dz / d2 - f * dd / d)
            du_in, du_out = du[q, i, 0] + du[q, j, 0], du[q, i, 1] + du[q, j, 1]
            dmotion = by_d * dd - dwidth[q, 0] / d - dwidth[q, 1] / d2
            dmoved = 0.0
            if shifted:
                dalong = 0.5 * m * dwidth[q, 4]
                if motion > 0.0:
                    dalong += 0.5 * ((du_out - du_in) * motion + (u_out - u_in) * dmotion)
                dmoved = (dalong * (1.0 - 3.0 * f) - 3.0 * along * df - moved * dd) / d
            dpeak[n, q, 0] = dd + dmoved
            dpeak[n, q, 1] = 0.0
            if sigma2 < SMALLEST_VARIANCE <= s:
                continue
            ds = du_in * (1.0 - f) + du_out * f + (u_out - u_in) * df
            dbracket = dmotion + 2.0 * qbroad * d * (qbroad * dd + d * dwidth[q, 2])
            dresolved = 2.0 * resolution * d * (resolution * dd + d * dwidth[q, 3])
            dwhole = m * (dwidth[q, 4] * f + spread * df) + dresolved + 2.0 * moved * dmoved
            dpeak[n, q, 1] = ds * bracket + s * dbracket + dwhole
    return dropped
