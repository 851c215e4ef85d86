"""What a powder pattern can betray: a beam stop, masked pixels, hot and dead ones, saturation, a background gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import ReadError
from pdfkit.intensity import gaps
from pdfkit.io._text import Table

Flags = np.typing.NDArray[np.bool_]
# A spike stands this many times the scatter, and this share of its surroundings, above or below them.
_SIGMAS, _SHARE = 12.0, 0.3
# Its neighbours rise by less than this share of it: any peak that a powder gives is wider.
_FOOT = 0.03
_SHOWN = 5


def usable(table: Table) -> tuple[Flags, tuple[str, ...]]:
    """Return which points hold a value, and what is to be remarked of those that do not.

    Raises ReadError for a file that holds next to none, or where more than a fifth is missing in the middle.
    """
    I = table.data[:, 1]
    good = np.asarray(np.isfinite(I) & (I != 0))
    if good.sum() < 10:
        raise ReadError(table.path, f"{good.sum()} points have an intensity: at least 10 are needed")
    first, last = (int(i) for i in np.flatnonzero(good)[[0, -1]])
    inside = ~good[first : last + 1]
    if inside.mean() > 0.2:
        line = int(table.lines[first + int(np.argmax(inside))])
        raise ReadError(table.path, f"{inside.sum()} points have no value (NaN or 0): mend or mask the pattern", line)
    said = []
    if first:
        what = "point is zero" if first == 1 else "points are zero"
        said.append(f"the first {first} {what} (the beam stop): left out, the data start on line {table.lines[first]}")
    if inside.any():
        line = int(table.lines[first + int(np.argmax(inside))])
        said.append(f"{inside.sum()} points without a value (NaN or 0, masked?) are left out, line {line} first")
    if last < good.size - 1:
        said.append(
            f"the last {good.size - 1 - last} points are zero: left out, the data end on line {table.lines[last]}"
        )
    return good, tuple(said)


def oddities(path: str | Path, Q: Array, I: Array) -> Iterator[str]:
    """Yield what is odd about intensities (n,) on Q (n,) in Å⁻¹; nothing is changed.

    Raises ReadError when most intensities are negative.
    """
    negative = np.flatnonzero(I < 0)
    if negative.size > I.size / 2:
        raise ReadError(path, f"{negative.size} of {I.size} intensities are negative: is the second column I?")
    if negative.size:
        where = _at(Q, negative)
        yield f"{negative.size} intensities are negative: has a background been taken off already? {where}"
    if (above := spikes(I)).size:
        few = "1 point stands" if above.size == 1 else f"{above.size} points stand"
        yield f"{few} alone, far above the neighbours (hot pixels?): kept, {_at(Q, above)}"
    if (below := spikes(-I)).size:
        few = "1 point lies" if below.size == 1 else f"{below.size} points lie"
        yield f"{few} alone, far below the neighbours (dead pixels?): kept, {_at(Q, below)}"
    if (flat := plateau(I)).size:
        yield f"{flat.size} points have the same largest value {I.max():.6g} (a saturated detector?): {_at(Q, flat)}"
    if holes := gaps(Q):
        low, high = max(holes, key=lambda hole: hole[1] - hole[0])
        yield f"{len(holes)} gaps in Q, the widest from {low:.4g} to {high:.4g} Å⁻¹"


def _at(Q: Array, points: IntArray) -> str:
    more = "" if points.size <= _SHOWN else ", …"
    return "Q = " + ", ".join(f"{q:.4g}" for q in Q[points[:_SHOWN]]) + f"{more} Å⁻¹"


def spikes(I: Array) -> IntArray:
    """Return the points (one, or two side by side) that stand alone above their surroundings.

    Alone: the points beside a spike rise by less than 3 % of it, which no peak does that spans more than a step.
    """
    n = I.size
    if n < 20:
        return np.empty(0, dtype=np.int64)
    wide = np.pad(I, 4, mode="reflect")
    around = np.stack([wide[4 + k : 4 + k + n] for k in (-4, -3, -2, 2, 3, 4)])
    level = np.median(around, axis=0)
    excess = I - level
    scatter = 1.4826 * np.median(np.abs(np.diff(I, n=2))) / np.sqrt(6.0)
    local = 1.4826 * np.median(np.abs(around - level), axis=0)
    high = excess > np.maximum(_SIGMAS * np.maximum(scatter, local), _SHARE * np.abs(level))
    left, right = np.pad(excess, 1)[:-2], np.pad(excess, 1)[2:]
    alone = high & (np.maximum(left, right) < np.maximum(_FOOT * excess, 3 * scatter))
    second = np.pad(excess, 2)
    # Two side by side: the outer neighbours of both are low.
    pair = high[:-1] & high[1:]
    outer = np.maximum(second[1:n], second[4 : n + 3])
    small = np.minimum(excess[:-1], excess[1:])
    pair &= outer < np.maximum(_FOOT * small / 3, 3 * scatter)
    both = np.zeros(n, dtype=bool)
    both[:-1] |= pair
    both[1:] |= pair
    return np.flatnonzero(alone | both)


def plateau(I: Array) -> IntArray:
    """Return the points that share the largest value, where three or more of them stand side by side."""
    top = I.max() == I
    if top.sum() < 3 or I.max() <= 1.2 * np.median(I):
        return np.empty(0, dtype=np.int64)
    runs = top[:-2] & top[1:-1] & top[2:]
    return np.flatnonzero(top) if runs.any() else np.empty(0, dtype=np.int64)
