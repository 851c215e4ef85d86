"""Moves from where a fit ended to rival minima that the data are known to confuse with it.

X-ray data tell two displacements of a pair from their sum first: of two elements the one that moves more is easily
taken for the other, and a phase that is one of two may be sharp or diffuse. In the order of how often they won, with
measured data, over what they cost.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pdfkit._checks import Array
from pdfkit.fitting.minimiser import Point
from pdfkit.fitting.stages import LENGTHS
from pdfkit.fitting.starts import is_displacement, is_size

HOPELESS = 3.0
"""Multiple of the best χ² from which a rival is left at its start."""
APART = 3.0
"""Ratio of two U from which exchanging them is enough; those nearer are drawn apart to it, both ways."""
DIFFUSE = 4.0
"""Factor by which the U of a phase beside another are made smaller."""
STIFF = 0.75
"""Share of its range beyond which delta2 leaves neighbours next to no width: less of it is a rival."""
LESS = 0.8
"""Share of delta1 or delta2 that is tried where a pair has lost its width."""
FEW_SITES = 4
"""Sites of a phase up to which each pair of them is tried."""
OFF, MOVES = 0.01, 2
"""How far atoms are moved off symmetric places, in fractions of the cell, and how often."""
RATIOS = tuple(n**power for n in (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0) for power in (-0.5, 0.5))
"""Ratios of two lengths of a cell whose metric is one of higher symmetry: cubes along various axes, hexagons."""
SLIGHT = 0.03
"""Relative distance from them up to which a cell is strained as well the other way."""
STRAINED = 10.0
"""Multiple of the best χ² from which such a cell is left at once: from a wrong one the right one is nearer."""
SIZES = (0.7, 1.4)
"""What all sizes are multiplied by."""


@dataclass(frozen=True)
class Rival:
    """Another start: x (nfree,), and what was done to get there, in words.

    hopeless: multiple of the best χ² from which it is left at once. held: what stays there until all else has moved.
    """

    words: str
    x: Array
    hopeless: float = HOPELESS
    held: tuple[int, ...] = ()


Sites = dict[str, dict[str, int]]
"""The column of each component of U of each site."""


def displacements(names: Sequence[str]) -> dict[str, Sites]:
    """Return the columns of displacements: phase → site → component ("Uiso", "U11"…) → column."""
    out: dict[str, Sites] = {}
    for k, name in enumerate(names):
        site, _, word = name.rpartition(".")
        if word in ("Uiso", "U11", "U22", "U33") and "." in site:
            phase, _, label = site.partition(".")
            out.setdefault(phase, {}).setdefault(label, {})[word] = k
    return out


def with_widths(names: Sequence[str], x: Array, low: Array, high: Array) -> Iterator[Rival]:
    """Yield what gives pairs their widths back, where an end point has lost some: less of each delta, held at first.

    Also cells that stand on a bound, back in the middle.
    """
    for k, name in enumerate(names):
        if name.rpartition(".")[2] in ("delta1", "delta2"):
            yield Rival(f"less {name}", _with(x, [k], LESS * x[k : k + 1]), math.inf, held=(k,))
    lengths = np.array([name.rpartition(".")[2] in LENGTHS for name in names])
    ended = np.flatnonzero(lengths & ((x <= low) | (x >= high)))
    if ended.size:
        yield Rival("cells off their bounds", _with(x, ended.tolist(), 0.5 * (low + high)[ended]), math.inf)


def rivals(names: Sequence[str], x: Array, low: Array, high: Array) -> Iterator[Rival]:
    """Yield the rivals of an end point x."""
    found = displacements(names)
    several = len(found) > 1
    yield from exchanged(names, x)
    yield from _diffuse_exchanged(found, x)
    for phase, (one, first), (other, second) in _pairs(found):
        yield from _apart(f"the U of {one} and {other} in {phase} apart", x, first, second)
    for k, name in enumerate(names):
        if name.endswith(".delta2"):
            share = (x[k] - low[k]) / (high[k] - low[k])
            for part in _other_shares(share, several):
                yield Rival(f"another {name}", _with(x, [k], np.array([low[k] + part * (high[k] - low[k])])))
    for phase, sites in found.items() if several else ():
        columns = [k for words in sites.values() for k in words.values()]
        yield Rival(f"smaller U of {phase}", _with(x, columns, x[columns] / DIFFUSE))


def exchanged(names: Sequence[str], x: Array) -> Iterator[Rival]:
    """Yield two sites or elements of a phase with their displacements exchanged, where they are not alike."""
    for phase, (one, first), (other, second) in _pairs(displacements(names)):
        ratio = _ratio(x, first, second)
        if max(max(each, 1.0 / each) for each in ratio.values()) > APART**0.5:
            factors = {word: 1.0 / each for word, each in ratio.items()}
            yield Rival(f"the U of {one} and {other} in {phase} exchanged", _drawn(x, first, second, factors))


def further(names: Sequence[str], x: Array) -> Iterator[Rival]:
    """Yield what is worth its time only in a long search: a U exchanged with that of another phase or component.

    Also shares of two phases exchanged, and other sizes.
    """
    for i, j in combinations(range(len(names)), 2):
        if _confused(names[i].split("."), names[j].split(".")):
            yield Rival(f"{names[i]} and {names[j]} exchanged", _with(x, [i, j], x[[j, i]]))
    sizes = [k for k, name in enumerate(names) if is_size(name)]
    for part in SIZES if sizes else ():
        yield Rival(f"sizes times {part:g}", _with(x, sizes, part * x[sizes]))


def _confused(one: list[str], other: list[str]) -> bool:
    """Return whether names differ in the phase or in the component of U alone: two U, or two scales."""
    if len(one) != len(other) or one[1:-1] != other[1:-1] or (one[0] == other[0]) == (one[-1] == other[-1]):
        return False
    return (is_displacement(one[-1]) and is_displacement(other[-1])) or one[-1] == other[-1] == "scale"


def _other_shares(share: float, several: bool) -> list[float]:
    """Return the shares of its range at which delta2 is tried: less where it is stiff, of two phases the other end."""
    less = [0.8 if several else 0.5] if share > STIFF else []
    return [*less, 0.9 if share < 0.5 else 0.05] if several else less


def _diffuse_exchanged(found: dict[str, Sites], x: Array) -> Iterator[Rival]:
    """Yield two phases with the displacements of their sites exchanged: which of them is diffuse."""
    for (one, first), (other, second) in combinations(found.items(), 2):
        a, b = ([k for words in sites.values() for k in words.values()] for sites in (first, second))
        ratio = _mean(x[b]) / _mean(x[a])
        if len(a) == len(b) and max(ratio, 1.0 / ratio) > APART**0.5:
            yield Rival(f"the U of {one} and {other} exchanged", _with(x, [*a, *b], x[[*b, *a]]), 2.0 * HOPELESS)


Columns = dict[str, list[int]]


def _groups(sites: Sites) -> dict[str, Columns]:
    """Return the columns of each site, by component; of many sites, those of each element together."""
    out: dict[str, Columns] = {}
    for label, words in sites.items():
        found = re.match("[A-Z][a-z]?", label) if len(sites) > FEW_SITES else None
        group = out.setdefault(found.group() if found else label, {})
        for word, k in words.items():
            group.setdefault(word, []).append(k)
    return out


def _pairs(found: dict[str, Sites]) -> Iterator[tuple[str, tuple[str, Columns], tuple[str, Columns]]]:
    """Yield phase and two of its sites or elements with the same components of U."""
    for phase, sites in found.items():
        for first, second in combinations(_groups(sites).items(), 2):
            if first[1].keys() == second[1].keys():
                yield phase, first, second


def _apart(what: str, x: Array, first: Columns, second: Columns) -> Iterator[Rival]:
    """Yield two sites whose displacements are alike, drawn apart either way."""
    ratio = _ratio(x, first, second)
    if max(max(one, 1.0 / one) for one in ratio.values()) < APART:
        for wanted in (APART, 1.0 / APART):
            factors = {word: (wanted / one) ** 0.5 for word, one in ratio.items()}
            yield Rival(what, _drawn(x, first, second, factors))


def _ratio(x: Array, first: Columns, second: Columns) -> dict[str, float]:
    return {word: _mean(x[first[word]]) / _mean(x[second[word]]) for word in first}


def _mean(values: Array) -> float:
    return float(np.exp(np.log(np.maximum(values, 1e-6)).mean()))


def _drawn(x: Array, first: Columns, second: Columns, factors: dict[str, float]) -> Array:
    """Return x with the displacements of the first times a factor, and those of the second divided by it."""
    out = x.copy()
    for word, factor in factors.items():
        out[first[word]] *= factor
        out[second[word]] /= factor
    return out


def mirrored(names: Sequence[str], x: Array) -> Iterator[Rival]:
    """Yield cells strained the other way, of metrics that are nearly those of a higher symmetry.

    c/a a little above that of a cube splits peaks as one a little below does, but for how many distances go each way.
    """
    cells: dict[str, dict[str, int]] = {}
    for k, name in enumerate(names):
        phase, _, word = name.rpartition(".")
        if word in ("a", "b", "c"):
            cells.setdefault(phase, {})[word] = k
    for phase, lengths in cells.items():
        for (one, i), (other, j) in combinations(lengths.items(), 2):
            ratio = min(RATIOS, key=lambda each: abs(math.log(each * x[i] / x[j])))
            strain = ratio * x[i] / x[j]
            if 0 < abs(math.log(strain)) < SLIGHT:
                share = 0.5 if len(lengths) > 2 else 1 / 3  # b follows a where there are two
                moved = np.array([x[i] * strain ** (-2 * share), x[j] * strain ** (2 - 2 * share)])
                words = f"{other}/{one} of {phase} on the other side of {ratio:.4g}"
                yield Rival(words, _with(x, [i, j], moved), STRAINED)


def moved_off(names: Sequence[str], point: Point) -> Iterator[Rival]:
    """Yield atoms moved off places where by symmetry the misfit has no slope: a saddle as well as a minimum."""
    places = np.array([name.rpartition(".")[2] in ("x", "y", "z") for name in names])
    columns = np.flatnonzero(places & point.idle)
    for seed in range(MOVES if columns.size else 0):
        step = OFF * np.random.default_rng(seed).choice([-1.0, 1.0], columns.size)
        yield Rival(
            "atoms off their symmetric places", _with(point.x, columns.tolist(), point.x[columns] + step), math.inf
        )


def _with(x: Array, columns: list[int], values: Array) -> Array:
    out = x.copy()
    out[columns] = values
    return out
