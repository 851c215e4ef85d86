"""Peaks of a particle from its table of pair distances: stretched, broadened, with derivatives."""

from __future__ import annotations

from pdfkit._checks import Array, IntArray
from pdfkit.kernels._jit import kernel
from pdfkit.kernels.pairs import SMALLEST_VARIANCE


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

    Formula: d = s·D, σ² = (U_a + U_b)(1 − δ₁/d − δ₂/d² + qbroad²d²) + s²·v (1e-4 Å² at least), with D the mean
    distance and v the variance of the bin, s the stretch. ∂d = D·∂s + s·Σ_k A_k ∂e_k, A_k the mean of Δ_k²/D. A bin
    whose bracket is not positive gets σ² = −1 and weight 0.
    Shapes: distance, variance, class_a, class_b (m,); axes (m, 3) or (0, 3); dstretch (nq,); daxes (nq, 3); u (nc,);
    du (nq, nc); width (3,) = δ₁, δ₂, qbroad; dwidth (nq, 3); peak (m, 3) and dpeak (m, nq, 3), whose last columns
    (weights) the caller fills. Units: Å, Å². Source: Farrow et al., J. Phys.: Condens. Matter 19, 335219 (2007).
    """
    dropped = 0
    delta1, delta2, qbroad = width[0], width[1], width[2]
    nq = dstretch.size
    for m in range(distance.size):
        d = stretch * distance[m]
        s = u[class_a[m]] + u[class_b[m]]
        bracket = 1.0 - delta1 / d - delta2 / (d * d) + qbroad * qbroad * d * d
        spread = stretch * stretch * variance[m]
        sigma2 = s * bracket + spread
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
                dpeak[m, q, 1] = ds * bracket + s * dbracket + 2.0 * stretch * dstretch[q] * variance[m]
    return dropped
