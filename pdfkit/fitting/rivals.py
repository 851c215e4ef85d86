"""Rival minima that data of two elements have, tried from where a fit ended.

X-ray data tell two displacements of a pair from their sum first: of two elements the one that moves more is easily
taken for the other, and a phase that is one of two may be sharp or diffuse. Each rival is one move from the end point
and a few evaluations; only one that gets near goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.fitting.minimiser import Descent, Point, Task
from pdfkit.fitting.stages import projected

APART = 3.0
"""Ratio of two U from which exchanging them is enough; those nearer are drawn apart to it, both ways."""
DIFFUSE = 4.0
"""Factor by which the U of a phase beside another are made larger or smaller."""
STIFF = 0.75
"""Share of its range beyond which delta2 leaves neighbours next to no width: less of it is a rival."""
FIRST, SHORT, LONG = 3, 5, 25
ROUGHLY = 1e-3
"""Share by which χ² has to be lower to count, and tolerance of a rival."""
HOPELESS, POOR, NEAR = 3.0, 2.0, 1.15
"""A rival goes on while its χ² is below that of the best times this: at its start, after FIRST steps, after SHORT."""
ROUNDS = 3
FEW_SITES = 4
"""Sites of a phase up to which each pair of them is tried."""
OFF, MOVES = 0.01, 2
"""How far atoms are moved off symmetric places, in fractions of the cell, and how often."""
PERFECT = 1e10
"""χ² that needs no rival, in those that are rounding: Rw = 1e-5."""


@dataclass(frozen=True)
class Rival:
    """Another start: x (nfree,), and what was done to get there, in words; patient: however high χ² is there."""

    words: str
    x: Array
    patient: bool = False


@dataclass(frozen=True)
class Race:
    """How a race ended: the best minimum, and what led to it."""

    best: Descent
    words: str


def displacements(names: tuple[str, ...]) -> dict[str, dict[str, dict[str, int]]]:
    """Return the columns of displacements: phase → site → component ("Uiso", "U11"…) → column."""
    out: dict[str, dict[str, dict[str, int]]] = {}
    for k, name in enumerate(names):
        site, _, word = name.rpartition(".")
        if word in ("Uiso", "U11", "U22", "U33") and "." in site:
            phase, _, label = site.partition(".")
            out.setdefault(phase, {}).setdefault(label, {})[word] = k
    return out


def rivals(names: tuple[str, ...], x: Array, low: Array, high: Array) -> Iterator[Rival]:
    """Yield the rivals of an end point x."""
    found = displacements(names)
    for phase, sites in found.items():
        for (one, first), (other, second) in combinations(_groups(sites).items(), 2):
            if first.keys() == second.keys():
                yield from _apart(f"the U of {one} and {other} in {phase}", x, first, second)
    if len(found) > 1:
        for phase, sites in found.items():
            columns = [k for words in sites.values() for k in words.values()]
            yield Rival(f"larger U of {phase}", _with(x, columns, x[columns] * DIFFUSE))
            yield Rival(f"smaller U of {phase}", _with(x, columns, x[columns] / DIFFUSE))
    for k, name in enumerate(names):
        if name.endswith(".delta2"):
            share = (x[k] - low[k]) / (high[k] - low[k])
            if len(found) > 1:
                yield _of_share(name, x, k, low[k], high[k], 0.9 if share < 0.5 else 0.05)
            elif share > STIFF:
                yield _of_share(name, x, k, low[k], high[k], 0.5)


def _of_share(name: str, x: Array, k: int, low: float, high: float, share: float) -> Rival:
    return Rival(f"another {name}", _with(x, [k], np.array([low + share * (high - low)])))


Columns = dict[str, list[int]]


def _groups(sites: dict[str, dict[str, int]]) -> dict[str, Columns]:
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
            "atoms off their symmetric places", _with(point.x, columns.tolist(), point.x[columns] + step), patient=True
        )


def _with(x: Array, columns: list[int], values: Array) -> Array:
    out = x.copy()
    out[columns] = values
    return out


def _short(task: Task, rival: Rival, scales: IntArray, best: float) -> Descent | None:
    """Return a rival after a few evaluations; None for one that stays far above the best χ²."""
    x, cost = projected(task.system, np.clip(rival.x, task.low, task.high), scales, task.low, task.high)
    if cost > HOPELESS * best and not rival.patient:
        return None
    descent = Descent.begin(task, x).run(FIRST, ROUGHLY)
    poor = descent.here.cost > POOR * best and not rival.patient
    return None if poor else descent.run(SHORT, ROUGHLY)


def raced(task: Task, names: tuple[str, ...], scales: IntArray, ended: Descent) -> Race:
    """Return the best minimum among where a fit ended and its rivals, and theirs in turn."""
    best, words = ended, ""
    for _ in range(ROUNDS if ended.here.cost > PERFECT * task.tiny else 0):
        short: list[tuple[float, int, str, Descent]] = []
        for rival in (*moved_off(names, best.here), *rivals(names, best.here.x, task.low, task.high)):
            descent = _short(task, rival, scales, best.here.cost)
            if descent is not None:
                short.append((descent.here.cost, len(short), rival.words, descent))
        better, told = None, ""
        for cost, _, said, descent in sorted(short)[:2]:
            if cost > NEAR * best.here.cost:
                break
            descent.run(LONG, ROUGHLY)
            if descent.here.cost < (1.0 - ROUGHLY) * (better or best).here.cost:
                better, told = descent, said
        if better is None:
            break
        best, words = better, f"{words}, then with {told}" if words else told
    return Race(best, words)
