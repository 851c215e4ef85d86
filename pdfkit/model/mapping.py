"""From the parameters of a fit that vary to all of them: values, derivatives, and the limits of what is tied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from pdfkit import _expressions
from pdfkit._checks import Array, IntArray
from pdfkit.errors import ParameterError
from pdfkit.model.params import Parameters, is_default, possible

SLACK = 1e-3
"""How far beyond its limit, as a share of the span, a tie may begin: a fit that ended there begins there again."""


@dataclass(frozen=True)
class Limit:
    """The limits low, high of a tied parameter, number `index`; unit: a length to measure by how far it is beyond."""

    index: int
    low: float
    high: float
    unit: float

    def holds(self, value: float) -> bool:
        """Return whether a value lies within."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class ParameterMap:
    """From free values x (nfree,) to all values (n,) and their derivatives (n, nfree).

    names: all parameters; free: indices of those that vary; ties: (index, expression) in an order in which each
    needs only what comes before; limits: what tied parameters may be. A tie that leads beyond its limit gives the
    limit, and no derivative: nothing is ever evaluated outside.
    """

    names: tuple[str, ...]
    start: Array
    low: Array
    high: Array
    free: tuple[int, ...]
    ties: tuple[tuple[int, str], ...]
    limits: tuple[Limit, ...] = ()

    @classmethod
    def of(cls, params: Parameters) -> ParameterMap:
        """Read the map off Parameters.

        Raises ParameterError for a tie that begins outside the limits of what it ties. Default limits, which follow
        from the start value that the tie replaces, give way as far as the quantity allows.
        """
        names = tuple(params)
        free = tuple(i for i, name in enumerate(names) if params[name].vary and not params[name].expr)
        start = np.array([math.nan if params[name].expr else params[name].value for name in names])
        limits_of_free = np.array([_of_free(params[names[i]]) for i in free]).reshape(-1, 2)
        low, high = limits_of_free.T
        plain = cls(names, start, low, high, free, _in_order(params))
        if not plain.ties:
            return plain
        values = plain(plain.x0)[0]
        limits = [_limit(params[names[i]], i, float(values[i]), expression) for i, expression in plain.ties]
        return replace(plain, limits=tuple(one for one in limits if one is not None))

    @cached_property
    def free_names(self) -> tuple[str, ...]:
        """Names of the parameters that vary."""
        return tuple(self.names[i] for i in self.free)

    @property
    def x0(self) -> Array:
        """Start values of the parameters that vary."""
        return self.start[self._index]

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Return all values (n,) and derivatives (n, nfree) at the free values x."""
        return self.at(x)[:2]

    def at(self, x: Array) -> tuple[Array, Array, dict[int, tuple[float, Array]]]:
        """Return values, derivatives, and by index what ties gave that lies beyond a limit."""
        values = self.start.copy()
        values[self._index] = x
        beyond: dict[int, tuple[float, Array]] = {}
        tangents = self._plain
        if self.ties:
            tangents = tangents.copy()
            index = {name: i for i, name in enumerate(self.names)}
            known = {name: float(values[i]) for name, i in index.items()}
            held = {one.index: one for one in self.limits}
            for i, expression in self.ties:
                value, slopes = _expressions.evaluate(expression, known)
                for name, slope in slopes.items():
                    tangents[i] += slope * tangents[index[name]]
                limit = held.get(i)
                if limit is not None and not limit.holds(value):
                    beyond[i] = value, tangents[i].copy()
                    value, tangents[i] = min(max(value, limit.low), limit.high), 0.0
                values[i] = known[self.names[i]] = value
        return values, tangents, beyond

    @cached_property
    def _index(self) -> IntArray:
        return np.array(self.free, dtype=np.int64)

    @cached_property
    def _plain(self) -> Array:
        """The derivatives (n, nfree) without ties, the same at every x."""
        out = np.zeros((self.start.size, len(self.free)))
        out[self._index, np.arange(len(self.free))] = 1.0
        out.setflags(write=False)
        return out

    def excess(self, beyond: Mapping[int, tuple[float, Array]]) -> Array:
        """Return how far ties lead beyond their limits, in units, under its derivatives: (nfree + 1, nlimits)."""
        out = np.zeros((len(self.free) + 1, len(self.limits)))
        for k, limit in enumerate(self.limits):
            if limit.index in beyond:
                value, slope = beyond[limit.index]
                out[-1, k] = (value - min(max(value, limit.low), limit.high)) / limit.unit
                out[:-1, k] = slope / limit.unit
        return out


def _in_order(params: Parameters) -> tuple[tuple[int, str], ...]:
    """Return ties as (index, expression), each after those whose values it needs."""
    index = {name: i for i, name in enumerate(params)}
    ordered: list[tuple[int, str]] = []

    def add(name: str) -> None:
        expression = params[name].expr
        if expression and (index[name], expression) not in ordered:
            for inner in sorted(_expressions.names(expression)):
                add(inner)
            ordered.append((index[name], expression))

    for name in params:
        add(name)
    return tuple(ordered)


def _of_free(par: Any) -> tuple[float, float]:
    """Return the limits of a free parameter, no wider than what it can be. ParameterError for a start beyond that."""
    (least, most), value = possible(par), float(par.value)
    if not least <= value <= most:
        raise ParameterError(
            f"{par.name} starts at {value:g}, but it must lie between {least:g} and {most:g}: give another start value",
            key=par.name,
        )
    return max(par.min, least), min(par.max, most)


def _limit(par: Any, index: int, value: float, expression: str) -> Limit | None:
    """Return the limits of a tied parameter that the tie sets to `value` at the start; None where there are none."""
    low, high = float(par.min), float(par.max)
    span = high - low
    if not low <= value <= high and is_default(par):
        low, high = possible(par)
        par.set(min=low, max=high)
    if not math.isfinite(span):
        span = max(abs(value), abs(low if math.isfinite(low) else high))
    slack = SLACK * (span or 1.0)
    if not low - slack <= value <= high + slack:
        raise ParameterError(
            f"the tie {par.name} = {expression} gives {value:g} at the start, outside its limits {low:g} to {high:g}: "
            "change the tie, a start value, or the bounds",
            key=par.name,
        )
    return None if math.isinf(low) and math.isinf(high) else Limit(index, low, high, span or 1.0)
