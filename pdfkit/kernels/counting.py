"""Histograms of pair distances: of atoms anywhere, and of occupancy correlations on a lattice."""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels._jit import kernel

BUFFER = 512
# A distance is a whole number of 2⁻²⁷ bins (4e-11 Å at 0.005 Å): upper bits the bin, lower bits where in it.
BITS = 27
# Two words of a bin hold three sums: n·2⁴⁵ + Σt, and Σ⌊t/2⁵⌋², with −2²⁶ ≤ t < 2²⁶. With n < 2¹⁸ neither overflows,
# even with all pairs in one bin: n·2⁴⁵ < 2⁶³, −2⁴⁴ ≤ Σt < 2⁴⁴, Σ⌊t/2⁵⌋² ≤ 2⁶⁰.
SHIFT, ROUGH = 45, 5
PAIRS = (1 << 18) - BUFFER
# Runs are rounded up to whole vectors of so many numbers; what is read beyond a run is not counted.
LANES = 8


@kernel
def distance_histogram(
    xyz: Array,
    other: Array,
    layout: Array,
    start: IntArray,
    low: int,
    high: int,
    same: bool,
    rmax: float,
    width: float,
    out: Array,
) -> None:
    """Add the distances between rows low…high of `xyz` and all of `other` to a histogram with moments.

    Formula: a distance d ≤ rmax in bin k = ⌊d/width⌋ adds 1, t and t² with t = d − (k + ½)·width, d rounded to
    2⁻²⁷·width (for t² to 2⁻²²). `other` is sorted into cells from corner layout[:3], of sides layout[3] in x and y and
    layout[4] in z, of which there are layout[5:8], z fastest; only those that can be within rmax are visited. With
    `same`, xyz is `other` and each pair counts once (j after i).
    Shapes: xyz (n, 3); other (3, m + LANES) rows x, y, z, filled up with anything; layout (8,); start (ncells + 1,);
    out (nbins, 3), bins up to that of rmax. Units: Å.

    Speed (Zen 4, one core, all pairs of 10⁴ atoms): 1.7 ns a pair; the loop over vectors alone takes 0.55 ns (root and
    conversion), one plain increment 0.4 ns, the two words of moments 0.7 ns.
    """
    edge, dz = layout[3], layout[4]
    inverse = 1.0 / dz
    nx, ny, nz = int(layout[5]), int(layout[6]), int(layout[7])
    many = nx * ny * nz > 1
    # What is beyond rmax goes to the rows after the last, not all to one: each addition would wait for the one before.
    spare = int((1.5 * edge + 2.0 * dz) / width) if many else 0
    table = np.zeros((out.shape[0] + spare + 1, 2), dtype=np.int64)
    ahead = np.empty(BUFFER + LANES, dtype=np.int64)
    scale = 2.0**BITS / width
    limit = int(rmax * scale + 0.5)
    beyond = max(0, (int(out.shape[0]) << BITS) - limit)
    top = (int(table.shape[0]) << BITS) - 1
    r2max = rmax * rmax
    filled, open_pairs = 0, 0
    for i in range(low, high):
        x, y, z = xyz[i, 0], xyz[i, 1], xyz[i, 2]
        x_low, x_high, y_low, y_high = 0, nx - 1, 0, ny - 1
        if many:
            x_low = max(0, math.floor((x - rmax - layout[0]) / edge))
            x_high = min(nx - 1, math.floor((x + rmax - layout[0]) / edge))
            y_low = max(0, math.floor((y - rmax - layout[1]) / edge))
            y_high = min(ny - 1, math.floor((y + rmax - layout[1]) / edge))
        for cx in range(x_low, x_high + 1):
            gap_x = max(0.0, layout[0] + cx * edge - x, x - layout[0] - (cx + 1) * edge)
            for cy in range(y_low, y_high + 1):
                begin, end = 0, start[-1]
                if many:
                    gap_y = max(0.0, layout[1] + cy * edge - y, y - layout[1] - (cy + 1) * edge)
                    left = r2max - gap_x * gap_x - gap_y * gap_y
                    if left < 0.0:
                        continue
                    reach = math.sqrt(left) + 1e-9
                    column = (cx * ny + cy) * nz
                    begin = start[column + min(nz, max(0, math.floor((z - reach - layout[2]) * inverse)))]
                    end = start[column + max(0, min(nz, math.floor((z + reach - layout[2]) * inverse) + 1))]
                if same and begin <= i:
                    begin = i + 1
                while begin < end:
                    n = min(BUFFER - filled, end - begin)
                    ox, oy, oz = other[0, begin:], other[1, begin:], other[2, begin:]
                    put = ahead[filled:]
                    for k in range((n + LANES - 1) // LANES * LANES):
                        dx, dy, dz_ = ox[k] - x, oy[k] - y, oz[k] - z
                        d = int(math.sqrt(dx * dx + dy * dy + dz_ * dz_) * scale + 0.5)
                        put[k] = min(d + beyond, top) if d > limit else d
                    begin += n
                    filled += n
                    if filled == BUFFER:
                        _increment(ahead, filled, table)
                        open_pairs += filled
                        filled = 0
                        if open_pairs >= PAIRS - BUFFER:
                            _settle(table, width, out)
                            open_pairs = 0
    _increment(ahead, filled, table)
    _settle(table, width, out)


@kernel
def _increment(ahead: IntArray, n: int, table: IntArray) -> None:
    """Add n distances (whole numbers of 2⁻²⁷ bins) to the two words of their bins, (nbins, 2)."""
    for k in range(n):
        d = ahead[k]
        t = (d & ((1 << BITS) - 1)) - (1 << (BITS - 1))
        # Unsigned: no check for an index from the end.
        row = np.uint64(d >> BITS)
        table[row, 0] += (1 << SHIFT) + t
        t >>= ROUGH
        table[row, 1] += t * t


@kernel
def _settle(table: IntArray, width: float, out: Array) -> None:
    """Move n, Σt and Σt² from the first rows of the words to out (nbins, 3)."""
    unit = width / 2.0**BITS
    rough = width / 2.0 ** (BITS - ROUGH)
    for k in range(out.shape[0]):
        word = table[k, 0]
        if word == 0:
            continue
        n = (word + (1 << (SHIFT - 1))) >> SHIFT
        out[k, 0] += n
        out[k, 1] += (word - (n << SHIFT)) * unit
        out[k, 2] += table[k, 1] * (rough * rough)
        table[k, 0] = 0
        table[k, 1] = 0


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
