"""What data do not determine: combinations of free parameters without effect, and which of them to hold.

With J the derivatives of all residuals (restraints count) and its columns scaled to length 1, a null vector of J, a
singular value below `EXACT` of the largest, is a combination that nothing measured depends on: the floating origin of a
polar crystal, occupancies and scale. Derivatives may also vanish at one point only, where symmetry makes them: so J is
looked at again a little beside, and only what has no effect there either is held.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.fitting.bounds import at_bounds
from pdfkit.fitting.residuals import OFF_ZERO, Residuals
from pdfkit.fitting.undetermined import Combination, reason, several
from pdfkit.model.mapping import ParameterMap
from pdfkit.model.params import Parameters, is_held

EXACT = 1e-9
"""Singular value, relative to the largest, of what has no effect: null vectors have 1e-15, others more than 1e-6."""
IDLE = 1e-10
"""Length of a column, over the range that its parameter could have, that is rounding and no derivative."""
WEIGHT = 0.5
"""Share of the largest part in a combination that a parameter must have to hold it still."""
BESIDE = 0.2
"""How far beside, as a share of what parameters could differ by, derivatives that vanish by symmetry have come back."""
SEVERAL = 8
"""So many that are held have a sentence each: more of them, as places of atoms are, have one together."""
SIDES = 4
"""Directions in which it is looked beside: on one side of a start a tie may keep the scale of a phase at 0."""


@dataclass(frozen=True, eq=False)
class NullSpace:
    """Combinations without effect: vectors (n, m), in units in which each of n parameters changes the data alike;
    size (n,): what such a unit is worth, 1/size of the parameter.
    """

    vectors: Array
    size: Array

    @classmethod
    def of(cls, jac: Array, unit: Array) -> NullSpace:
        """Return that of derivatives jac (rows, n); unit (n,): what each parameter could differ by."""
        size = np.linalg.norm(jac, axis=0)
        idle = size * unit <= IDLE * (size * unit).max(initial=0.0)
        size = np.where(idle, 1.0 / unit, size)
        _, s, vt = np.linalg.svd(np.where(idle, 0.0, jac / size))
        return cls(vt[s <= EXACT * s[0]].T, size)

    @property
    def count(self) -> int:
        """Number of independent combinations."""
        return int(self.vectors.shape[1])

    def pivots(self, order: Sequence[int]) -> list[int]:
        """Return a parameter to hold for each combination: the first in `order` that is a large part of one."""
        out, left = [], self.vectors
        while left.shape[1]:
            weight = np.linalg.norm(left, axis=1)
            k = next(k for k in order if weight[k] >= WEIGHT * weight.max())
            out.append(k)
            left = left @ np.linalg.svd(left[k][None])[2][1:].T
        return out

    def combinations(self, pivots: Sequence[int]) -> Array:
        """Return steps (n, m) of the parameters without effect, each with a step of one pivot and of no other."""
        steps = self.vectors @ np.linalg.inv(self.vectors[pivots])
        steps[np.abs(steps) < 1e-6] = 0.0
        return np.asarray(steps / self.size[:, None] * self.size[pivots])


def units(params: Parameters, names: Sequence[str]) -> Array:
    """Return the standard deviation (n,) of parameters of which nothing is known but their range, all values alike.

    Width/√12 of the default limits where there are two; else of 0 to twice the value, of a scale to the largest.
    """
    width = np.array([_range(name, params[name]) for name in names])
    scales = [name.endswith("scale") for name in names]
    width[scales] = 0.5 * width[scales].max(initial=0.0)
    return np.asarray(width / math.sqrt(12.0))


_USUAL = {
    **OFF_ZERO,
    "qtail": 0.03,
    "Uiso": 0.005,
    "Ulayer": 0.005,
    **{f"U{i}{j}": 0.005 for i in "123" for j in "123"},
}


def _range(name: str, par: object) -> float:
    value, about = abs(float(par.value)), par.user_data or {}  # type: ignore[attr-defined]
    usual = _USUAL.get(name.rpartition(".")[2])
    if usual is not None:
        return 2.0 * max(value, usual)
    _, low, high = about.get("made", (0.0, -math.inf, math.inf))
    width = float(high - low)
    return width if 0.0 < width < math.inf else 2.0 * value or 1.0


def hold(residuals: Residuals, params: Parameters, first: Sequence[str] = ()) -> Residuals:
    """Hold what has no effect where a fit starts; return the residuals of what is left, the same if that is all.

    What is held varies no more in `params`, has the value it was given (`first`: names to hold rather than others, and
    these where they are), and says why ("held" in its user_data). Raises ParameterError where nothing is left.
    """
    if residuals.complete:  # what data do not tell restraints do
        return residuals
    for par in params.values():
        if par.vary and "held" in (par.user_data or {}):  # by a fit before, of which nothing says that it still holds
            par.user_data = {key: value for key, value in par.user_data.items() if key != "held"}
    found = dict(_without_effect(residuals, params, first))
    if not found:
        return residuals
    for name, words in found.items():
        params[name].value, params[name].vary = _value(params[name], first), False
        params[name].user_data = {**(params[name].user_data or {}), "held": words}
    left = Residuals(residuals.problem, ParameterMap.of(params))
    if not left.mapping.free:
        raise ParameterError(f"nothing that is free has any effect: {'; '.join(found.values())}")
    return left


def _value(par: Any, first: Sequence[str]) -> float:
    """Return the value at which a parameter is held: the one it was given, before scales were guessed."""
    return float(par.value if par.name in first or par.init_value is None else par.init_value)


def hold_others(residuals: Residuals, params: Parameters, x: Array) -> Residuals | None:
    """Return residuals where what ended on a bound at x (nfree,) is held, and what was held in its place is free.

    A value that was held can drive what it stands for against a bound: of two occupancies the lower must not be held at
    1. `params` take the values x. None where there is nothing to exchange.
    """
    mapping = residuals.mapping
    before = [name for name, par in params.items() if is_held(par)]
    ended = [name for name, on in zip(mapping.free_names, at_bounds(mapping, x), strict=True) if on]
    if not before or not ended:
        return None
    for name, value in zip(mapping.free_names, x.tolist(), strict=True):
        params[name].value = value
    for name in before:
        params[name].vary = True
    left = hold(Residuals(residuals.problem, ParameterMap.of(params)), params, ended)
    return None if left.mapping.free_names == mapping.free_names else left


def null_space(residuals: Residuals, params: Parameters, x: Array) -> NullSpace:
    """Return the combinations without effect at free values x (n,)."""
    jac = residuals.factor(residuals.system(x))[:-1, :-1]
    return NullSpace.of(jac, units(params, residuals.mapping.free_names))


def beside(residuals: Residuals, params: Parameters, x: Array) -> NullSpace | None:
    """Return the combinations without effect at values beside x (n,), where no symmetry makes derivatives vanish.

    Of several such places the one where there are fewest; None where the model cannot be computed in any.
    """
    mapping, rng, fewest = residuals.mapping, np.random.default_rng(0), None
    size = BESIDE * units(params, mapping.free_names) * rng.uniform(0.5, 1.0, x.size)
    for sign in _signs(x.size):
        step = size * sign
        room = (x + step > mapping.low) & (x + step < mapping.high)
        there = np.clip(x + np.where(room, step, -step), mapping.low, mapping.high)
        try:
            found = null_space(Residuals(residuals.problem, mapping), params, there)
        except PdfkitError:
            continue
        fewest = found if fewest is None or found.count < fewest.count else fewest
        if found.count == 0:
            break
    return fewest


def _signs(n: int) -> Iterator[Array]:
    """Yield directions (n,) of ±1: in turn, the opposite, and others."""
    yield from (first := np.where(np.arange(n) % 2, -1.0, 1.0), -first)
    yield from np.random.default_rng(1).choice([-1.0, 1.0], (SIDES - 2, n))


def _without_effect(residuals: Residuals, params: Parameters, first: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the names of parameters to hold at the start values, each with the reason."""
    mapping = residuals.mapping
    x = np.clip(mapping.x0, mapping.low, mapping.high)
    if null_space(residuals, params, x).count == 0:
        return
    found = beside(residuals, params, x)
    if found is None or found.count == 0:
        return
    names = mapping.free_names
    order = sorted(range(len(names)), key=lambda k: (names[k] not in first, names[k].endswith("scale"), -k))
    pivots = found.pivots(order)
    if len(pivots) > SEVERAL:
        words = several([names[k] for k in pivots], len(names))
        yield from ((names[k], words) for k in pivots)
        return
    for k, steps in zip(pivots, found.combinations(pivots).T, strict=True):
        others = {name: float(step) for name, step in zip(names, steps, strict=True) if step and name != names[k]}
        value = _value(params[names[k]], first)
        yield names[k], reason(Combination(names[k], value, others), residuals, params)
