"""Sums, differences, multiples, sections of curves, and curves on other points, with their errors.

Curves count as measured independently of each other: σ²(a ± b) = σ_a² + σ_b², σ(c·a) = |c|·σ_a, and covariances add in
the same way. G(r) is linear in F(Q) = Q[S(Q) − 1]: sums and multiples of `SQ` are those of S − 1, so that it does not
matter whether curves are added before the sine transform or after it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._table import facts, frame
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pandas import DataFrame

    from pdfkit.data.covariance import Covariance

C = TypeVar("C")
# Names of sums beyond this are left out: nobody would read on.
_LONGEST_NAME = 60
_DEGREE = 5


class Curve:
    """What curves y(x) with errors, name, header and remarks have in common."""

    _columns: ClassVar[tuple[str, str, str]]
    """Names of x, y and the errors of y."""
    _unit: ClassVar[str]
    """Unit of x."""

    def __len__(self) -> int:
        return int(getattr(self, self._columns[0]).size)

    def __reduce__(self) -> tuple[Any, ...]:
        return _checks.reduced(self)

    def __repr__(self) -> str:
        known = self._known()
        parts = [repr(known["name"])] if known["name"] else []
        parts += [known["points"], *([f"with {known['with']}"] if known["with"] else [])]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _known(self) -> dict[str, str]:
        """Return what is to be said of it in short, by name."""
        one: Any = self
        x, has = getattr(self, self._columns[0]), [self._columns[2], "cov"]
        out = {"name": one.name, "points": f"{x.size} points, {x[0]:g} to {x[-1]:g} {one._unit}"}
        return {**out, "with": ", ".join(name for name in has if getattr(self, name, None) is not None)}

    def _repr_html_(self) -> str:
        one: Any = self
        more = {"composition": getattr(one, "composition", None) or ""}
        if getattr(one, "temperature", None) is not None:
            more["temperature"] = f"{one.temperature:g} K"
        if (instrument := getattr(one, "instrument", None)) is not None:
            more["measured with"] = instrument.summary()
        heading = f"{type(one).__name__}: {one._columns[1]}({one._columns[0]})"
        return facts(heading, one._known() | more, getattr(one, "remarks", ()))

    def to_dataframe(self) -> DataFrame:
        """Return the points as a `pandas.DataFrame`: x, y, and errors where they are known."""
        columns = {name: getattr(self, name) for name in self._columns}
        return frame({name: values for name, values in columns.items() if values is not None})


class Arithmetic(Curve):
    """The operators +, −, ·, / of curves y(x) with errors, covariance, instrument, header, name and remarks."""

    _nothing: ClassVar[float] = 0.0
    """What y is where nothing scatters coherently."""
    _shaping: ClassVar[tuple[str, ...]] = ()
    """What two curves must have in common, since it shapes them."""
    # numpy leaves `array − curve` to the methods here.
    __array_ufunc__: ClassVar[None] = None

    def __add__(self, other: Any) -> Self:
        return _sum(self, other, 1.0) if _adds(self, other) else NotImplemented

    __radd__ = __add__

    def __sub__(self, other: Any) -> Self:
        return _sum(self, other, -1.0) if _adds(self, other) else NotImplemented

    def __rsub__(self, other: Any) -> Self:
        return _sum(-self, other, 1.0) if _adds(self, other) else NotImplemented

    def __neg__(self) -> Self:
        return _times(self, -1.0)

    def __mul__(self, factor: Any) -> Self:
        return _times(self, factor) if isinstance(factor, Real) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> Self:
        if not isinstance(divisor, Real):
            return NotImplemented
        if divisor == 0:
            raise PdfkitError("a curve cannot be divided by 0: give another number")
        return _times(self, 1.0 / float(divisor))


def cropped(curve: Any, low: Any, high: Any) -> tuple[dict[str, Any], Array]:
    """Return x, y and errors by name between two limits (None: open), and which points these are; two at least."""
    name, x, unit = curve._columns[0].lower(), getattr(curve, curve._columns[0]), curve._unit
    low = -math.inf if low is None else _checks.number(f"{name}min", low)
    high = math.inf if high is None else _checks.number(f"{name}max", high)
    if low >= high:
        raise PdfkitError(
            f"{name}min = {low:g} is not below {name}max = {high:g}: swap or correct them", key=f"{name}min"
        )
    tiny = 1e-9 * max(1.0, abs(x[-1]))
    keep = (x >= low - tiny) & (x <= high + tiny)
    if keep.sum() < 2:
        spans = f"{curve.name or 'the data'} spans {x[0]:g} to {x[-1]:g} {unit}"
        where = f"between {low:g} and {high:g} {unit}"
        if not math.isfinite(low) or not math.isfinite(high):
            where = f"above {low:g} {unit}" if math.isfinite(low) else f"below {high:g} {unit}"
        raise PdfkitError(f"no data {where}: {spans}", key=f"{name}min")
    values = {column: getattr(curve, column) for column in curve._columns}
    return {column: None if y is None else y[keep] for column, y in values.items()}, keep


def spline_miss(step: float, qmax: float) -> float:
    """Return the largest error of a spline of degree 5 through sin(Qmax·x) at points `step` apart: 0.003 at ½·π/Qmax.

    2s/(1 + s) with s = Σ_k [z/(z + k)]⁶ over k ≠ 0 and z = Qmax·step/2π: what is missing, and its images in Q.
    """
    z, k = qmax * step / (2 * math.pi), np.arange(1, 50)
    s = float(((z / (z + k)) ** (_DEGREE + 1) + (z / (z - k)) ** (_DEGREE + 1)).sum())
    return 2 * s / (1 + s)


def _changed(curve: C, **values: Any) -> C:
    whole: Any = curve
    out: C = replace(whole, **values)
    return out


# --- Multiples and sums ----------------------------------------------------------------------------------------------


def _times(curve: C, factor: Any) -> C:
    one: Any = curve
    factor, (_, y, dy) = _checks.number("the factor", factor), one._columns
    if factor == 0:
        raise PdfkitError("a curve multiplied by 0 holds nothing: give another number")
    errors, cov = getattr(one, dy), None if one.cov is None else one.cov.scaled(factor**2)
    values = {y: one._nothing + factor * (getattr(one, y) - one._nothing), "cov": cov}
    return _changed(curve, **values, **{dy: None if errors is None else abs(factor) * errors})


def _adds(one: Any, other: Any) -> bool:
    return isinstance(other, (Real, np.ndarray, type(one)))


def _sum(curve: C, other: Any, sign: float) -> C:
    """Return one ± other; a number or an array stands for values that are known exactly."""
    one: Any = curve
    x, y, dy = one._columns
    if not isinstance(other, type(one)):
        exact = _checks.array("what is added", other if np.ndim(other) else np.full(len(one), other))
        if exact.size != len(one):
            raise PdfkitError(f"{exact.size} values are added to a curve of {len(one)} points: they must match")
        return _changed(curve, **{y: getattr(one, y) + sign * exact})
    _same_points(one, other, x)
    values = getattr(one, y) + sign * (getattr(other, y) - one._nothing)
    instrument, notes = _instrument(one, other)
    errors, cov, doubts = _errors(one, other)
    agreed = {f.name: _alike(one, other, f.name) for f in fields(one) if f.name in ("composition", "temperature")}
    header = {key: value for key, value in one.header.items() if other.header.get(key) == value}
    remarks = tuple(dict.fromkeys((*_remarks(one, other), *notes, *doubts)))
    agreed |= {"instrument": instrument, "header": header, "name": _name(one, other, sign), "remarks": remarks}
    return _changed(curve, **{y: values, dy: errors}, cov=cov, **agreed)


def _same_points(one: Any, other: Any, x: str) -> None:
    """Refuse curves on different points, and a curve with itself, whose errors are not independent of each other."""
    first, second = getattr(one, x), getattr(other, x)
    if first.size != second.size or np.abs(first - second).max() > 1e-6 * np.diff(first).min():
        raise PdfkitError(
            f"{_called(one, 'one curve')} and {_called(other, 'the other')} are on different {x}: bring them together "
            f"with crop and resample, as in a.resample(b.{x})"
        )
    if one is other and getattr(one, one._columns[2]) is not None:
        raise PdfkitError("a curve and itself have the same errors, not independent ones: multiply it by a number")


def _called(curve: Any, otherwise: str) -> str:
    return curve.name or otherwise


def _alike(one: Any, other: Any, name: str) -> Any:
    value = getattr(one, name)
    return value if value == getattr(other, name) else None


def _name(one: Any, other: Any, sign: float) -> str:
    name = one.name if one.name == other.name else f"{one.name} {'+' if sign > 0 else '−'} {other.name}".strip(" +")
    return name if len(name) <= _LONGEST_NAME else ""


def _remarks(one: Any, other: Any) -> Iterator[str]:
    """Yield the remarks of both, those of one alone under its name."""
    for curve, beside in ((one, other), (other, one)):
        for text in curve.remarks:
            yield text if text in beside.remarks or not curve.name else f"{curve.name}: {text}"


# --- What is known of two curves together ----------------------------------------------------------------------------


def _instrument(one: Any, other: Any) -> tuple[Instrument, list[str]]:
    """Return what both curves say of the measurement, and remarks where only one does or they differ."""
    names = _called(one, "one curve"), _called(other, "the other")
    values: dict[str, Any] = {}
    differ, single = [], []
    for name in (f.name for f in fields(Instrument) if f.name != "given"):
        pair = getattr(one.instrument, name), getattr(other.instrument, name)
        said = name in one.instrument.given, name in other.instrument.given
        if pair[0] == pair[1]:
            values[name] = pair[0] if any(said) else None
        elif all(said):
            if name in one._shaping:
                raise PdfkitError(
                    f"{name} is {pair[0]} for {names[0]} and {pair[1]} for {names[1]}: the curves differ by that "
                    "already; transform or calculate both with the same value"
                )
            differ.append(name)
        else:
            values[name] = pair[said.index(True)]
            single.append(name)
    if values.get("wavelength") is None:
        values.pop("anomalous", None)
    notes = [f"{', '.join(differ)}: not the same in {names[0]} and {names[1]}, so left out"] if differ else []
    if single:
        notes.append(f"{', '.join(single)}: known of {names[0]} or {names[1]} only, and taken for both")
    return Instrument(**values), notes


def _errors(one: Any, other: Any) -> tuple[Array | None, Covariance | None, list[str]]:
    """Return errors and covariance of a sum or difference, and what they lack."""
    dy = one._columns[2]
    known = [curve for curve in (one, other) if getattr(curve, dy) is not None]
    if not known:
        return None, None, []
    if len(known) == 1:
        lacking = _called(other if known[0] is one else one, "one curve")
        text = f"{dy} is left out: that of {lacking} is not known (a curve that is exact can be given as an array)"
        return None, None, [text]
    total = np.sqrt(getattr(one, dy) ** 2 + getattr(other, dy) ** 2)
    if one.cov is None and other.cov is None:
        return total, None, []
    first, second = _covariance(one), _covariance(other)
    if first is None or second is None:
        lacking = _called(one if first is None else other, "one curve")
        return total, None, [f"cov is left out: how the errors of {lacking} are correlated is not known"]
    return total, first.plus(second), []


def _covariance(curve: Any) -> Covariance | None:
    """Return the covariance of a curve; errors of S(Q) without one are independent by definition."""
    from pdfkit.data.covariance import Covariance

    if curve.cov is None and curve._nothing == 1.0:
        return Covariance(curve.Q, np.ones(len(curve)), (curve.Q * curve.dS) ** 2)
    return curve.cov  # type: ignore[no-any-return]


# --- Other points ----------------------------------------------------------------------------------------------------


def resampled(curve: Any, points: Any) -> dict[str, Any]:
    """Return x, y and errors on other points by name: a spline of fifth degree, errors interpolated linearly."""
    from scipy.interpolate import make_interp_spline

    x, y, dy = curve._columns
    old, new, errors = getattr(curve, x), _checks.grid(x, points), getattr(curve, dy)
    tiny = 1e-6 * float(np.diff(old).min())
    if new[0] < old[0] - tiny or new[-1] > old[-1] + tiny:
        raise PdfkitError(
            f"{x} = {new[0]:g} to {new[-1]:g} {curve._unit} is not within {_called(curve, 'the data')}, {old[0]:g} to "
            f"{old[-1]:g} {curve._unit}: nothing is known beyond"
        )
    degree = min(_DEGREE, 2 * ((old.size - 2) // 2) + 1)
    within = np.clip(new, old[0], old[-1])
    values = make_interp_spline(old, getattr(curve, y), k=degree)(within)
    return {x: new, y: values, dy: None if errors is None else np.interp(within, old, errors)}
