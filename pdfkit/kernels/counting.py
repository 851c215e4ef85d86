"""Histograms of pair distances: of atoms anywhere, and of occupancy correlations on a lattice."""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels._jit import kernel

CHUNK = 512


@kernel
def distance_histogram(
    xyz: Array,
    other: Array,
    column: Array,
    start: IntArray,
    low: int,
    high: int,
    same: bool,
    rmax: float,
    width: float,
    out: Array,
) -> None:
    """Add the distances between rows low…high of `xyz` and all of `other` to a histogram with moments.

    Formula: a distance d ≤ rmax in bin k = ⌊d/width⌋ adds 1, t and t² with t = d − (k + ½)·width. `other` is sorted
    into columns (squares of side `column[2]` in x and y from `column[0]`, `column[1]`, of which there are column[3] ×
    column[4], y fastest) and by z within each; only the run of z that can be within rmax is visited. With `same`, xyz
    is `other` and each pair counts once (j after i).
    Shapes: xyz (n, 3), other (3, m) rows x, y, z; column (5,); start (ncolumns + 1,); out (nbins + 1, 4), whose last
    row takes what is beyond rmax and whose last column is not used. Units: Å.
    """
    index = np.empty(CHUNK, dtype=np.int32)
    rest = np.empty(CHUNK)
    last = out.shape[0] - 1
    inverse = 1.0 / width
    edge = column[2]
    ncx, ncy = int(column[3]), int(column[4])
    r2max = rmax * rmax
    ox, oy, oz = other[0], other[1], other[2]
    for i in range(low, high):
        x, y, z = xyz[i, 0], xyz[i, 1], xyz[i, 2]
        cx_low, cx_high, cy_low, cy_high = 0, ncx - 1, 0, ncy - 1
        if ncx * ncy > 1:
            cx_low = max(0, math.floor((x - rmax - column[0]) / edge))
            cx_high = min(ncx - 1, math.floor((x + rmax - column[0]) / edge))
            cy_low = max(0, math.floor((y - rmax - column[1]) / edge))
            cy_high = min(ncy - 1, math.floor((y + rmax - column[1]) / edge))
        for cx in range(cx_low, cx_high + 1):
            for cy in range(cy_low, cy_high + 1):
                begin, end = start[cx * ncy + cy], start[cx * ncy + cy + 1]
                if same and begin <= i:
                    begin = i + 1
                if begin >= end:
                    continue
                if ncx * ncy > 1:
                    gap_x = max(0.0, column[0] + cx * edge - x, x - column[0] - (cx + 1) * edge)
                    gap_y = max(0.0, column[1] + cy * edge - y, y - column[1] - (cy + 1) * edge)
                    left = r2max - gap_x * gap_x - gap_y * gap_y
                    if left < 0.0:
                        continue
                    reach = math.sqrt(left) + 1e-9
                    begin += np.searchsorted(oz[begin:end], z - reach)
                    end = begin + np.searchsorted(oz[begin:end], z + reach)
                for at in range(begin, end, CHUNK):
                    n = min(CHUNK, end - at)
                    for k in range(n):
                        dx = ox[at + k] - x
                        dy = oy[at + k] - y
                        dz = oz[at + k] - z
                        d = math.sqrt(dx * dx + dy * dy + dz * dz)
                        b = np.int32(d * inverse)
                        rest[k] = d - (b + 0.5) * width
                        index[k] = last if d > rmax else min(b, last)
                    for k in range(n):
                        t = rest[k]
                        row = out[index[k]]
                        row[0] += 1.0
                        row[1] += t
                        row[2] += t * t


@kernel
def lattice_histogram(
    counts: Array,
    size: IntArray,
    vectors: Array,
    shift: Array,
    low: int,
    high: int,
    half: bool,
    width: float,
    out: Array,
) -> None:
    """Add the pairs at each lattice displacement to a histogram with moments, as `distance_histogram` does.

    Formula: d = |n·vectors + shift| with counts[n] pairs (rounded to whole numbers; n wraps around for n < 0). With
    `half`, of ±n only one is taken and n = 0 is left out: both occupancies are the same.
    Shapes: counts (p1, p2, p3) correlation on a padded grid; size (3,) largest |n_k|; vectors (3, 3) rows; shift (3,);
    rows low…high of n1, in −size[0]…size[0]; out (nbins, 4). Units: Å.
    """
    inverse = 1.0 / width
    last = out.shape[0] - 1
    for n1 in range(low, high):
        if half and n1 < 0:
            continue
        i1 = n1 if n1 >= 0 else n1 + counts.shape[0]
        for n2 in range(-size[1], size[1] + 1):
            if half and n1 == 0 and n2 < 0:
                continue
            i2 = n2 if n2 >= 0 else n2 + counts.shape[1]
            x0 = n1 * vectors[0, 0] + n2 * vectors[1, 0] + shift[0]
            y0 = n1 * vectors[0, 1] + n2 * vectors[1, 1] + shift[1]
            z0 = n1 * vectors[0, 2] + n2 * vectors[1, 2] + shift[2]
            first = 1 if half and n1 == 0 and n2 == 0 else -size[2]
            for n3 in range(first, size[2] + 1):
                c = counts[i1, i2, n3 if n3 >= 0 else n3 + counts.shape[2]]
                if c < 0.5:
                    continue
                c = math.floor(c + 0.5)
                x = x0 + n3 * vectors[2, 0]
                y = y0 + n3 * vectors[2, 1]
                z = z0 + n3 * vectors[2, 2]
                d = math.sqrt(x * x + y * y + z * z)
                b = min(int(d * inverse), last)
                t = d - (b + 0.5) * width
                row = out[b]
                row[0] += c
                row[1] += c * t
                row[2] += c * t * t
