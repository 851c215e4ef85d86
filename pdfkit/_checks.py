"""Checks on what comes in: arrays are copied to read-only float64 once, numbers are finite and in range."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import fields
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from pdfkit.errors import ParameterError, PdfkitError

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
Int32Array = NDArray[np.int32]

P = ParamSpec("P")
T = TypeVar("T")

# Å²: a mean-square displacement of a micrometre, beyond anything that is called a peak.
MOST_U = 1e8


def array(name: str, value: Any, *, ndim: int = 1, finite: bool = True) -> Array:
    """Return `value` as a read-only float64 copy with `ndim` dimensions; a clear error otherwise."""
    try:
        out = np.array(value, dtype=np.float64, order="C")
    except (TypeError, ValueError, OverflowError):
        raise PdfkitError(f"{name} is not numeric: give an array of numbers", key=name) from None
    if out.ndim != ndim:
        raise PdfkitError(f"{name} has {out.ndim} dimensions: give an array with {ndim}", key=name)
    if finite and not np.isfinite(out).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(out))[0])
        where = at[0] if ndim == 1 else at
        raise PdfkitError(f"{name} holds {out[at]} at index {where}: remove or repair that point", key=name)
    out.setflags(write=False)
    return out


def grid(name: str, value: Any) -> Array:
    """Return `value` as a strictly increasing read-only array of at least two points."""
    out = array(name, value)
    if out.size < 2:
        raise PdfkitError(f"{name} has {out.size} points: at least 2 are needed", key=name)
    rises = out[1:] > out[:-1]
    if not rises.all():
        i = int(np.argmin(rises))
        raise PdfkitError(
            f"{name} does not increase at index {i + 1} ({out[i]:g} then {out[i + 1]:g}): sort it", key=name
        )
    return out


def reduced(value: Any) -> tuple[Any, ...]:
    """Return what `__reduce__` does for a frozen dataclass: its fields, read-only mappings as dicts."""
    known = {one.name: getattr(value, one.name) for one in fields(value)}
    plain = {name: dict(one) if isinstance(one, MappingProxyType) else one for name, one in known.items()}
    make: Callable[..., Any] = type(value)
    return functools.partial(make, **plain), ()


# Squares and quotients of numbers of this range stay finite, with room for sums.
SMALLEST, LARGEST = 1e-60, 1e60


def scale(name: str, values: Array, errors: Array | None = None) -> None:
    """Refuse measured values that are all zero, or so large or small that nothing can be fitted to them."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0.0:
        raise PdfkitError(f"{name} is 0 at every point used: there is nothing to fit", key=name)
    if not SMALLEST < largest < LARGEST:
        raise PdfkitError(f"{name} reaches {largest:.3g}: no measurement is of that size; correct its unit", key=name)
    if errors is None:
        return
    low, high = float(errors.min()), float(errors.max())
    if low < SMALLEST or high > LARGEST:
        worst = high if high > LARGEST else low
        raise PdfkitError(
            f"an error of {name} is {worst:.3g}: no measurement has such an error; correct it, or leave errors out",
            key=name,
        )


def number(
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    finite: bool = True,
    remedy: str = "",
) -> float:
    """Return `value` as a float within [low, high] (low excluded with `open_low`); an error with a remedy otherwise."""
    try:
        out = float(value)
    except (TypeError, ValueError):
        raise PdfkitError(f"{name} = {short(value)} is not a number", key=name) from None
    except OverflowError:
        raise PdfkitError(f"{name} is a whole number too large to compute with: correct it", key=name) from None
    if math.isnan(out) or (finite and math.isinf(out)):
        raise PdfkitError(f"{name} = {out} is not finite: give a number", key=name)
    if out < low or out > high or (open_low and out == low):
        bracket = "(" if open_low else "["
        beyond = f"{name} = {out:g} is outside {bracket}{low:g}, {high:g}]"
        raise PdfkitError(f"{beyond}: {remedy}" if remedy else beyond, key=name)
    return out


def whole(name: str, value: Any, *, low: int, high: int) -> int:
    """Return `value` as a whole number within [low, high]."""
    out = number(name, value, low=low, high=high)
    if not out.is_integer():
        raise PdfkitError(f"{name} = {short(value)} is no whole number: give one", key=name)
    return int(out)


def short(value: Any) -> str:
    """Return a value as a message shows it: the beginning, where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}…"


def choice(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of `allowed`; otherwise say which they are."""
    if not isinstance(value, str) or value not in allowed:
        raise PdfkitError(f"{name} = {short(value)} is not known: choose one of {', '.join(allowed)}", key=name)
    return str(value)


def instance(name: str, value: Any, kind: type[Any], remedy: str) -> Any:
    """Return `value` if it is of the kind; otherwise say what it is, and what to give."""
    if not isinstance(value, kind):
        raise PdfkitError(f"{name} is {short(value)}: give {remedy}", key=name)
    return value


def names(what: str, given: Any) -> tuple[str, ...]:
    """Return a list of names as a tuple; one word is one name, not its letters."""
    if isinstance(given, str):
        return (given,)
    try:
        return tuple(str(name) for name in given)
    except TypeError:
        raise PdfkitError(f"{what} = {short(given)}: give a name or a list of names") from None


def flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False; otherwise say so."""
    if not isinstance(value, bool | np.bool_):
        raise PdfkitError(f"{name} = {short(value)} is not known: give True or False", key=name)
    return bool(value)


FOLLOWS, ROUNDED = 0.2, 1e-5
"""Part of a change of the energy that forces may miss along a short step; and of the energy, what rounding leaves."""


def slope(energies: tuple[float, float], told: float) -> None:
    """Refuse forces that say `told` (eV) for a short step where the energy changes by something else.

    Energies (eV) are those before and after, told the work of the mean force. PdfkitError for a difference that neither
    the curvature nor rounding explains.
    """
    seen = energies[1] - energies[0]
    if abs(seen - told) > FOLLOWS * max(abs(seen), abs(told)) + ROUNDED * max(map(abs, energies)) + 1e-6:
        raise PdfkitError(
            f"the forces of the calculator are not the slope of its energy: along a short step the energy changes by "
            f"{seen:.3g} eV, and they say {told:.3g} eV: has one another unit, or the other sign?"
        )


def renamed(**names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function refuse the former names of its keywords in a sentence that has the present ones."""

    def telling(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def told(*args: P.args, **options: P.kwargs) -> T:
            for old in names.keys() & options.keys():
                raise ParameterError(f"{old} is called {names[old].split('=')[0]} now: write {names[old]}")
            return function(*args, **options)

        return told

    return telling
