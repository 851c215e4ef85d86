"""Rival minima that data of two elements have, tried from where a fit ended.

X-ray data tell two displacements of a pair from their sum first: of two elements the one that moves more is easily
taken for the other, and a phase that is one of two may be sharp or diffuse. Each rival is one move from the end point
and a few evaluations; only one that gets near goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.fitting.minimiser import Descent, Task
from pdfkit.fitting.stages import projected

APART = 3.0
"""Ratio of two U from which exchanging them is enough; those nearer are drawn apart to it, both ways."""
DIFFUSE = 4.0
"""Factor by which the U of a phase beside another are made larger or smaller."""
SHORT, LONG = 5, 25
ROUGHLY = 1e-3
"""Share by which χ² has to be lower to count, and tolerance of a rival."""
NEAR = 1.15
"""A rival goes on while its χ² is below that of the best times this."""
ROUNDS = 3


@dataclass(frozen=True)
class Rival:
    """Another start: x (nfree,), and what was done to get there, in words."""

    words: str
    x: Array


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
        for (one, first), (other, second) in combinations(sites.items(), 2):
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
                other_end = low[k] + (0.9 if share < 0.5 else 0.05) * (high[k] - low[k])
                yield Rival(f"another {name}", _with(x, [k], np.array([other_end])))


def _apart(what: str, x: Array, first: dict[str, int], second: dict[str, int]) -> Iterator[Rival]:
    """Yield two sites with their displacements exchanged, and where they are alike, drawn apart either way."""
    a, b = [first[word] for word in first], [second[word] for word in first]
    ratio = x[a] / x[b]
    if max(ratio.max(), 1.0 / ratio.min()) > APART**0.5:
        yield Rival(f"{what} exchanged", _with(x, a + b, np.concatenate([x[b], x[a]])))
    if max(ratio.max(), 1.0 / ratio.min()) < APART:
        mean, root = np.sqrt(x[a] * x[b]), APART**0.5
        yield Rival(f"{what} apart", _with(x, a + b, np.concatenate([mean * root, mean / root])))
        yield Rival(f"{what} apart", _with(x, a + b, np.concatenate([mean / root, mean * root])))


def _with(x: Array, columns: list[int], values: Array) -> Array:
    out = x.copy()
    out[columns] = values
    return out


def raced(task: Task, names: tuple[str, ...], scales: IntArray, ended: Descent) -> Race:
    """Return the best minimum among where a fit ended and its rivals, and theirs in turn."""
    best, words = ended, ""
    for _ in range(ROUNDS):
        short: list[tuple[float, int, str, Descent]] = []
        for rival in rivals(names, best.here.x, task.low, task.high):
            x, _ = projected(task.system, np.clip(rival.x, task.low, task.high), scales, task.low, task.high)
            descent = Descent.begin(task, x).run(SHORT, ROUGHLY)
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
