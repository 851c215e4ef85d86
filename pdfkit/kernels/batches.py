"""Curves of one list of pairs at many values of what a crystal depends on: the other kernels, a vector at a time.

What these loops save is everything around the kernels, which for a small cell takes as long as they do.
"""

from __future__ import annotations

import numpy as np

from pdfkit._checks import Array, Int32Array, IntArray
from pdfkit.kernels._jit import kernel
from pdfkit.kernels.pairs import finish_peaks, least_reach, pair_numbers
from pdfkit.kernels.peaks import sum_peaks


@kernel
def least_reaches(g: Array, x: Array, g0: Array, x0: Array, inverse: Array, reach: float, out: Array) -> None:
    """Fill out (n,) with `least_reach` of every crystal g (n,3,3), x (n,natoms,3)."""
    for k in range(out.size):
        out[k] = least_reach(g[k], x[k], g0, x0, inverse, reach)


@kernel
def peaks_of_many(
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
    trace: Array,
    width: Array,
    rcut: Array,
    atoms: float,
    peak: Array,
    dropped: IntArray,
) -> None:
    """Fill in the peaks of pairs for n vectors of values, and how many of each have no width.

    Formula: `pair_numbers` and `finish_peaks`. Shapes: pairs as there; g (n,3,3), x (n,natoms,3), u, occ (n,natoms); b
    (n,natoms,3,3) if `aniso`, else (n,1,3,3); trace (n,natoms) where displacements move peaks, else (n,0); width (n,5),
    rcut (n,); peak (n,m,3), dropped (n,). Units: Å, Å².
    """
    numbers = np.empty((mult.size, 4))
    none, kind, by_atom = np.empty((mult.size, 0, 4)), np.empty(0, dtype=np.int64), np.empty((0, x.shape[1]))
    shifted, dtrace = trace.shape[1] > 0, np.empty((0, trace.shape[1]))
    dg, dx, db = np.empty((0, 3, 3)), np.empty((0, x.shape[1], 3)), np.empty((0, b.shape[1], 3, 3))
    dwidth, relative, dpeak = np.empty((0, 5)), np.empty(0), np.empty((mult.size, 0, 3))
    for k in range(dropped.size):
        pair_numbers(
            atom_i, atom_j, shift, mult, g[k], x[k], u[k], b[k], occ[k], aniso, kind, dg, dx, by_atom, db,
            by_atom, trace[k], dtrace, numbers, none,
        )  # fmt: skip
        dropped[k] = finish_peaks(
            numbers, none, shifted, kind, width[k], rcut[k], dwidth, atoms, relative, peak[k], dpeak
        )  # fmt: skip


@kernel
def curves_of_many(
    which: IntArray,
    peak: Array,
    pair: IntArray,
    factor: Array,
    step: float,
    reach: float,
    line: Array,
    slope: Array,
    envelope: Array,
    scale: Array,
    out: Array,
) -> None:
    """Fill out[:, m] with curves of vector which[m]: peaks, less slope × line, × scale × envelope.

    Formula: `sum_peaks` by pair. Shapes: which (nm,); peak (n,npeaks,3), pair (npeaks,), factor (npairs,); line and
    envelope (n, npoints), or (1, npoints) where all have the same; slope (n, nrows), scale (n,); out (nrows, nm,
    npoints), nrows the number of species pairs, or 1 for the sum of all. Units: Å.
    """
    dpeak, dfactor = np.empty((peak.shape[1], 0, 3)), np.empty((0, factor.size))
    curves = np.empty((out.shape[0], 1, out.shape[2]))
    for m in range(which.size):
        k = which[m]
        below, above = line[k if line.shape[0] > 1 else 0], envelope[k if envelope.shape[0] > 1 else 0]
        curves[:] = 0.0
        sum_peaks(peak[k], dpeak, pair, factor, dfactor, step, reach, True, False, curves)
        for c in range(out.shape[0]):
            row, curve, much = out[c, m], curves[c, 0], slope[k, c]
            for j in range(row.size):
                row[j] = scale[k] * above[j] * (curve[j] - much * below[j])
