"""Rival minima that data of two elements have, tried from where a fit ended.

X-ray data tell two displacements of a pair from their sum first: of two elements the one that moves more is easily
taken for the other, and a phase that is one of two may be sharp or diffuse. Each rival is one move from the end point
and a few evaluations; only one that gets near goes on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.fitting.flaws import FLAWED, LOST
from pdfkit.fitting.minimiser import Descent, Point, Task
from pdfkit.fitting.stages import LENGTHS, projected

APART = 3.0
"""Ratio of two U from which exchanging them is enough; those nearer are drawn apart to it, both ways."""
DIFFUSE = 4.0
"""Factor by which the U of a phase beside another are made smaller."""
STIFF = 0.75
"""Share of its range beyond which delta2 leaves neighbours next to no width: less of it is a rival."""
LESS = 0.8
"""Share of delta1 or delta2 that is tried where a pair has lost its width."""
FIRST, SHORT, LONG = 3, 5, 25
ROUGHLY = 1e-3
"""Share by which χ² has to be lower to count, and tolerance of a rival."""
HOPELESS, POOR, NEAR = 3.0, 2.0, 1.15
"""A rival goes on while its χ² is below that of the best times this: at its start, after FIRST steps, after SHORT."""
LOWER = 0.01
"""Share by which a rival has to be lower after SHORT steps to be taken without a look at the others."""
ROUNDS = 3
FEW_SITES = 4
"""Sites of a phase up to which each pair of them is tried."""
OFF, MOVES = 0.01, 2
"""How far atoms are moved off symmetric places, in fractions of the cell, and how often."""
PERFECT = 1e10
"""χ² that needs no rival, in those that are rounding: Rw = 1e-5."""


@dataclass(frozen=True)
class Rival:
    """Another start: x (nfree,), and what was done to get there, in words.

    hopeless: multiple of the best χ² from which it is left at once. held: what stays there until all else has moved.
    """

    words: str
    x: Array
    hopeless: float = HOPELESS
    held: tuple[int, ...] = ()


@dataclass(frozen=True)
class Race:
    """How a race ended: the best minimum, and what led to it."""

    best: Descent
    words: str


Sites = dict[str, dict[str, int]]
"""The column of each component of U of each site."""


def displacements(names: tuple[str, ...]) -> dict[str, Sites]:
    """Return the columns of displacements: phase → site → component ("Uiso", "U11"…) → column."""
    out: dict[str, Sites] = {}
    for k, name in enumerate(names):
        site, _, word = name.rpartition(".")
        if word in ("Uiso", "U11", "U22", "U33") and "." in site:
            phase, _, label = site.partition(".")
            out.setdefault(phase, {}).setdefault(label, {})[word] = k
    return out


def with_widths(names: tuple[str, ...], x: Array, low: Array, high: Array) -> Iterator[Rival]:
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


def rivals(names: tuple[str, ...], x: Array, low: Array, high: Array) -> Iterator[Rival]:
    """Yield the rivals of an end point x."""
    found = displacements(names)
    several = len(found) > 1
    yield from _diffuse_exchanged(found, x)
    for k, name in enumerate(names):
        if name.endswith(".delta2"):
            share = (x[k] - low[k]) / (high[k] - low[k])
            for part in _other_shares(share, several):
                yield Rival(f"another {name}", _with(x, [k], np.array([low[k] + part * (high[k] - low[k])])))
    for phase, sites in found.items():
        for (one, first), (other, second) in combinations(_groups(sites).items(), 2):
            if first.keys() == second.keys():
                yield from _apart(f"the U of {one} and {other} in {phase}", x, first, second)
    for phase, sites in found.items() if several else ():
        columns = [k for words in sites.values() for k in words.values()]
        yield Rival(f"smaller U of {phase}", _with(x, columns, x[columns] / DIFFUSE))


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


def _apart(what: str, x: Array, first: Columns, second: Columns) -> Iterator[Rival]:
    """Yield two sites with their displacements exchanged, and where they are alike, drawn apart either way."""
    ratio = {word: _mean(x[first[word]]) / _mean(x[second[word]]) for word in first}
    most = max(max(one, 1.0 / one) for one in ratio.values())
    if most > APART**0.5:
        yield Rival(f"{what} exchanged", _drawn(x, first, second, {word: 1.0 / one for word, one in ratio.items()}))
    if most < APART:
        for wanted in (APART, 1.0 / APART):
            factors = {word: (wanted / one) ** 0.5 for word, one in ratio.items()}
            yield Rival(f"{what} apart", _drawn(x, first, second, factors))


def _mean(values: Array) -> float:
    return float(np.exp(np.log(np.maximum(values, 1e-6)).mean()))


def _drawn(x: Array, first: Columns, second: Columns, factors: dict[str, float]) -> Array:
    """Return x with the displacements of the first times a factor, and those of the second divided by it."""
    out = x.copy()
    for word, factor in factors.items():
        out[first[word]] *= factor
        out[second[word]] /= factor
    return out


def moved_off(names: tuple[str, ...], point: Point) -> Iterator[Rival]:
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


def _score(descent: Descent) -> float:
    """Return χ² of where a descent stands, more where that means nothing: a proper minimum nearly as low wins."""
    return descent.here.cost * FLAWED[descent.task.flaw(descent.here.x)]


def _short(task: Task, rival: Rival, scales: IntArray, best: float) -> Descent | None:
    """Return a rival after a few evaluations; None for one that stays far above the best χ²."""
    x, cost = projected(task.system, np.clip(rival.x, task.low, task.high), scales, task.low, task.high)
    if cost > rival.hopeless * best:
        return None
    others = replace(task, columns=np.setdiff1d(task.columns, rival.held))
    if rival.held and others.columns.size:
        x = Descent.begin(others, x).run(LONG, ROUGHLY).here.x
    descent = Descent.begin(task, x).run(FIRST, ROUGHLY)
    poor = descent.here.cost > POOR * best and rival.hopeless < math.inf
    return None if poor else descent.run(SHORT, ROUGHLY)


def raced(task: Task, names: tuple[str, ...], scales: IntArray, ended: Descent) -> Race:
    """Return the best minimum among where a fit ended and its rivals, and theirs in turn."""
    best, words = ended, ""
    for _ in range(ROUNDS if ended.here.cost > PERFECT * task.tiny else 0):
        better, told = _better(task, names, scales, best)
        if better is None:
            break
        best, words = better, f"{words}, then with {told}" if words else told
    return Race(best, words)


def _better(task: Task, names: tuple[str, ...], scales: IntArray, best: Descent) -> tuple[Descent | None, str]:
    """Return the first rival that is better, else one of the two nearest that becomes so; and what led there."""
    score, near = _score(best), []  # type: float, list[tuple[float, int, str, Descent]]
    flaw = task.flaw(best.here.x)
    where = (names, best.here.x, task.low, task.high)
    lost = with_widths(*where) if flaw == LOST else ()
    for rival in (*lost, *moved_off(names, best.here), *rivals(*where)):
        descent = _short(task, rival, scales, score)
        if descent is None:
            continue
        if (reached := _score(descent)) < (1.0 - LOWER) * score and _is_better(descent, score):
            return descent, rival.words
        # From a minimum that means nothing, only what leads out of it.
        if task.flaw(descent.here.x) < flaw if flaw else reached < NEAR * score:
            near.append((reached, len(near), rival.words, descent))
    for _, _, words, descent in sorted(near)[:2]:
        if _is_better(descent, score):
            return descent, words
    return None, ""


def _is_better(descent: Descent, score: float) -> bool:
    """Go on with a descent, and return whether it gets below a score."""
    return _score(descent.run(LONG, ROUGHLY)) < (1.0 - ROUGHLY) * score
