"""Where a search starts: ranges of parameters, named or usual ones, and quasi-random points that fill them evenly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit._expressions import matching
from pdfkit.errors import ParameterError, nearest
from pdfkit.model.mapping import ParameterMap
from pdfkit.model.params import Parameters

SEARCHES = ("staged", "plain", "thorough")
LENGTHS = ("a", "b", "c", "a_h", "h")
STARTS = 40

# What follows is the part of a start value, or what is added to it; the first that fits counts.
_PARTS = {**dict.fromkeys(LENGTHS, (0.95, 1.05)), **dict.fromkeys(("expansion", "axial", "size"), (0.98, 1.02))}
_BESIDE = {**dict.fromkeys("xyz", 0.02), **dict.fromkeys(("rx", "ry", "rz"), 15.0), "u": 0.02, "occ": 0.3}
_WHOLE = {
    "delta1": (0.0, 2.5),
    "delta2": (0.0, 6.0),
    "alpha_c": (0.0, 1.0),
    "alpha_h": (0.0, 1.0),
    "qdamp": (0.01, 0.08),
    "qbroad": (0.0, 0.04),
    "resolution": (0.0, 0.01),
}
U_PARTS, SIZE_PARTS, OTHER_PARTS = (0.3, 3.0), (0.5, 2.0), (0.7, 1.4)
DEGREES = 3.0


@dataclass(frozen=True)
class Search:
    """What a search is told: ranges by endings of names (none: the usual ones of all), how many starts at most, seed.

    workers : processes that share the starts.
    """

    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    starts: int = STARTS
    seed: int = 0
    workers: int = 1

    @classmethod
    def of(cls, search: Any) -> Search | None:
        """Return the search that `fit` was asked for, None for one fit. ParameterError for what is none."""
        if isinstance(search, str) and search in SEARCHES:
            return cls() if search == "thorough" else None
        if not isinstance(search, Mapping):
            raise ParameterError(
                f"search = {search!r} is not known: write one of {', '.join(SEARCHES)}, or a dict of ranges, "
                'search={"a": (3.4, 3.6)}',
                key="search",
            )
        counts = {key: search[key] for key in ("starts", "seed", "workers") if key in search}
        for key, value in counts.items():
            least = 0 if key == "seed" else 1
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise ParameterError(f"{key} of search is {value!r}: give a whole number of at least {least}", key=key)
        ranges = {key: _pair(key, pair) for key, pair in search.items() if key not in counts}
        return cls(ranges, **{key: int(value) for key, value in counts.items()})

    def to_dict(self) -> dict[str, Any]:
        """Return what `of` makes the same search of."""
        about = {"starts": self.starts, "seed": self.seed, "workers": self.workers}
        return {**{key: list(pair) for key, pair in self.ranges.items()}, **about}


def is_from_many(search: Any) -> bool:
    """Return whether a search that `fit` is asked for has many starts. ParameterError for what is no search."""
    return Search.of(search) is not None


def _pair(name: str, pair: Any) -> tuple[float, float]:
    try:
        low, high = map(float, pair)
    except (TypeError, ValueError):
        raise ParameterError(f"the range of {name} in search is not two numbers: give (low, high)", key=name) from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ParameterError(
            f"the range of {name} in search, {low:g} to {high:g}, is empty: low must be below high", key=name
        )
    return low, high


@dataclass(frozen=True)
class Range:
    """Where starts of a free parameter lie; evenly in its logarithm where that is asked."""

    name: str
    low: float
    high: float
    log: bool = False

    def at(self, part: Array) -> Array:
        """Return values from parts (0 to 1) of the range."""
        if self.log:
            return np.asarray(self.low * (self.high / self.low) ** part)
        return np.asarray(self.low + part * (self.high - self.low))


def ranges_of(params: Parameters, search: Search) -> tuple[Range, ...]:
    """Return the ranges of a search, within the bounds of the parameters.

    Raises ParameterError for a range of something that does not vary, or beyond its bounds.
    """
    mapping = ParameterMap.of(params)
    limits = {name: (low, high) for name, low, high in zip(mapping.free_names, mapping.low, mapping.high, strict=True)}
    if search.ranges:
        named = [one for key, pair in search.ranges.items() for one in _named(params, limits, key, pair)]
        return tuple({one.name: one for one in named}.values())
    usual = (_usual(params[name], *limits[name], _about(params, name, list(limits))) for name in limits)
    return tuple(one for one in usual if one is not None)


def _named(
    params: Parameters, limits: Mapping[str, tuple[float, float]], key: str, pair: tuple[float, float]
) -> list[Range]:
    """Return the ranges of the free parameters that an ending names."""
    names = matching(params, key)
    free = [name for name in names if name in limits]
    if not free:
        state = f"tied to {params[names[0]].expr}" if params[names[0]].expr else "fixed"
        raise ParameterError(
            f"search has a range of {key}, but {names[0]} is {state}: free it, or search what varies "
            f"({nearest(key, list(limits))})",
            key=key,
        )
    for name in free:
        low, high = limits[name]
        if pair[0] < low or pair[1] > high:
            raise ParameterError(
                f"the range of {name} in search, {pair[0]:g} to {pair[1]:g}, leads beyond its bounds {low:g} to "
                f"{high:g}: narrow the range or widen the bounds",
                key=key,
            )
    return [Range(name, *pair, log=pair[0] > 0 and pair[1] > 3.0 * pair[0]) for name in free]


def _usual(par: Any, low: float, high: float, about: tuple[float, float]) -> Range | None:
    """Return the usual range of a parameter; None for scales, which are found anew, and what has no size to go by."""
    name = par.name.rpartition(".")[2]
    if name == "scale":
        return None
    first, last = max(about[0], low), min(about[1], high)
    return Range(par.name, first, last, log=_is_log(name) and first > 0) if first < last else None


def _is_log(name: str) -> bool:
    return is_displacement(name) or is_size(name)


def is_displacement(name: str) -> bool:
    """Return whether the last word of a name is that of a mean square displacement."""
    return name.rpartition(".")[2] in ("Uiso", "U11", "U22", "U33", "Ulayer")


def is_size(name: str) -> bool:
    """Return whether the last word of a name is that of a particle's diameter, length or thickness."""
    last = name.rpartition(".")[2]
    return last.endswith("diameter") or last in ("thickness", "length", "layers", "radius")


def _about(params: Parameters, whole: str, free: Sequence[str]) -> tuple[float, float]:
    """Return the usual range of a parameter about its start value, whatever its bounds."""
    name, value = whole.rpartition(".")[2], float(params[whole].value)
    if is_displacement(name):  # which of a sample's atoms move most is not known before
        all_U = [float(params[one].value) for one in free if is_displacement(one)]
        return U_PARTS[0] * min(all_U), U_PARTS[1] * max(all_U)
    if is_size(name):
        return _times(value, SIZE_PARTS)
    if name in _PARTS:
        return _times(value, _PARTS[name])
    if name in _BESIDE:
        return value - _BESIDE[name], value + _BESIDE[name]
    if name in ("alpha", "beta", "gamma") and value > 1.0:  # an angle of a cell in degrees, not a probability
        return value - DEGREES, value + DEGREES
    return (0.0, 1.0) if name == "alpha" else _WHOLE.get(name) or _times(value, OTHER_PARTS)


def _times(value: float, parts: tuple[float, float]) -> tuple[float, float]:
    first, last = sorted(part * value for part in parts)
    return first, last


def points(ranges: Sequence[Range], x0: Array, names: Sequence[str], search: Search) -> Array:
    """Return start values (starts, nfree): a scrambled Sobol sequence in the ranges, all else as in x0.

    The first points are the same however many are asked for.
    """
    from scipy.stats import qmc

    out = np.tile(x0, (search.starts, 1))
    if ranges:
        parts = qmc.Sobol(len(ranges), seed=search.seed).random_base2(max(0, math.ceil(math.log2(search.starts))))
        for k, one in enumerate(ranges):
            out[:, list(names).index(one.name)] = one.at(parts[: search.starts, k])
    return out
