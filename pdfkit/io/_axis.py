"""The unit of the first column of a powder pattern: what the file says, weighed against what is possible.

Possible: 2θ ends by 180°, Q by 4π/λ. Likely: the first strong peak stands between 0.3 and 8 Å⁻¹ (the densest solids
have their first reflection near 3.2 Å⁻¹), and Q ends between 3 and 45 Å⁻¹ (100 for neutrons).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.curves import to_Q
from pdfkit.errors import ReadError
from pdfkit.io import _axis_names, _header
from pdfkit.io._axis_names import FOREIGN, SPOKEN, Hint
from pdfkit.io._text import Table

ANGLES = ("2theta", "2theta-rad", "centidegrees")
ASK = 'give unit="nm-1", unit="2theta" with wavelength= in Å, or unit="A-1"'
DEGREES = {"2theta": 1.0, "2theta-rad": 180 / math.pi, "centidegrees": 0.01}
FACTORS = {"A-1": 1.0, "nm-1": 0.1, "1/d": 2 * math.pi, "sin(theta)/lambda": 4 * math.pi}
# Å⁻¹: no usual X-ray source reaches the first, no neutron diffractometer the second.
_Q_LIMITS = {"X": 45.0, "N": 100.0}
_LOWEST_PEAK, _HIGHEST_PEAK, _SHORTEST = 0.3, 8.0, 3.0  # Å⁻¹
SMALL = "these are small angles, or the unit is another"
_DENSEST = 5.0  # Å⁻¹: where the axis is only assumed, no first peak may be above it


@dataclass(frozen=True)
class Axis:
    """The unit of the first column, how it was found, and what of that is to be remarked."""

    unit: str
    why: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What is known of a pattern: first column (increasing), its first and last strong peak there, λ in Å, Q limit."""

    path: str
    x: Array
    peak: float | None
    last: float | None
    wavelength: float | None
    limit: float

    def Q(self, unit: str, x: float) -> float:
        """Return a value of the first column as Q in Å⁻¹; NaN where the wavelength is missing, or it cannot be."""
        if unit == "d":
            return 2 * math.pi / x if x > 0 else math.inf
        if unit in ANGLES:
            angle = x * DEGREES[unit]
            return (
                math.nan
                if self.wavelength is None or angle > 180
                else float(to_Q(np.array([angle]), self.wavelength)[0])
            )
        return x * FACTORS[unit]

    def ends(self, unit: str) -> tuple[float, float]:
        """Return the range of Q in Å⁻¹."""
        Q = [self.Q(unit, float(value)) for value in (self.x[0], self.x[-1])]
        return (Q[1], Q[0]) if unit == "d" else (Q[0], Q[1])

    def impossible(self, unit: str) -> str:
        """Return why the first column cannot be in this unit, or ""."""
        end = float(self.x[-1])
        if unit in ANGLES:
            angle = end * DEGREES[unit]
            return f"2θ would reach {angle:g} degrees, beyond 180" if angle > 180 else ""
        Q = self.ends(unit)[1]
        if self.wavelength is not None and 4 * math.pi / self.wavelength * 1.001 < Q < math.inf:
            reach = 4 * math.pi / self.wavelength
            return f"Q would reach {Q:.4g} Å⁻¹, and {self.wavelength:g} Å measures up to {reach:.4g} Å⁻¹ only"
        if self.wavelength is None and self.limit < Q < math.inf:
            return f"the first column ends at {end:g}, too far for {SPOKEN[unit]}"
        return ""

    def first_peak(self, unit: str) -> float:
        """Return where the first strong peak is, as Q in Å⁻¹; NaN without one."""
        at = self.last if unit == "d" else self.peak
        return math.nan if at is None else self.Q(unit, at)

    def too_far(self, unit: str) -> bool:
        """Return whether the first strong peak is where no matter has one."""
        return self.first_peak(unit) > max(_HIGHEST_PEAK, 1.5 * self.ends(unit)[0])

    def unlikely(self, unit: str) -> str:
        """Return what speaks against this unit, or ""."""
        high, peak = self.ends(unit)[1], self.first_peak(unit)
        if self.too_far(unit):
            return f"the first strong peak would be at Q = {peak:.3g} Å⁻¹"
        if high < _SHORTEST:
            return f"Q would end at {high:.3g} Å⁻¹"
        if peak < _LOWEST_PEAK or (peak < 2 * _LOWEST_PEAK and high < 2 * _SHORTEST):
            return f"the first strong peak would be at Q = {peak:.3g} Å⁻¹ and the end at {high:.3g}"
        return ""

    def against(self, unit: str) -> str:
        """Return why this unit is impossible or unlikely, or ""."""
        return self.impossible(unit) or self.unlikely(unit)


def decide(table: Table, facts: _header.Facts, unit: str, wavelength: float | None) -> Axis:
    """Return the unit of the first column.

    unit : "auto", or what the user says. wavelength : Å, from the user or the header.

    Raises ReadError when nothing decides, when what is said cannot be, or when it is no axis of a powder pattern.
    """
    x = table.data[:, 0]
    x = x if x.size < 2 or x[-1] > x[0] else x[::-1]
    limit = _Q_LIMITS["N" if facts.probe() == "N" else "X"]
    peaks = strong_peaks(table.data[:, 0], table.data[:, 1])
    evidence = Evidence(table.path, x, peaks[0] if peaks else None, peaks[-1] if peaks else None, wavelength, limit)
    hints = _axis_names.said(table, facts)
    if unit != "auto":
        return _given(unit, hints, evidence)
    weak = _axis_names.between_the_lines(table, facts, float(np.median(np.diff(x))) if x.size > 1 else 0.0)
    units = list(dict.fromkeys(hint.unit for hint in hints))
    if len(units) > 1 and "Q" in units and {"A-1", "nm-1"} & set(units):
        units.remove("Q")
    hints = [hint for hint in hints if hint.unit in units]
    if len(units) == 1:
        return _one(table, hints[0], weak, evidence)
    return _contested(hints, weak, evidence) if units else _unsaid(table, weak, evidence)


def _given(unit: str, hints: Sequence[Hint], evidence: Evidence) -> Axis:
    """Return what the user says; what the file says otherwise, or speaks against it, is remarked."""
    others = [hint for hint in hints if hint.unit != unit and not (hint.unit == "Q" and unit in ("A-1", "nm-1"))]
    remarks = []
    if others:
        remarks.append(
            f"unit={unit!r} was given and is used, although {others[0].source} says {_spoken(others[0].unit)}"
        )
    against = evidence.against(unit)
    if unit in ANGLES and against and evidence.impossible(unit):
        raise ReadError(evidence.path, f"{against}: is the first column Q? Then give another unit=")
    if evidence.impossible(unit):
        remarks.append(f"unit={unit!r} was given, but {against}")
    return Axis(unit, "given", tuple(remarks))


def _one(table: Table, hint: Hint, weak: Sequence[Hint], evidence: Evidence) -> Axis:
    """Return the one unit that is said, unless it cannot be or is less likely than another."""
    if hint.unit in FOREIGN:
        raise ReadError(evidence.path, f"{hint.source} says that the first column is {FOREIGN[hint.unit]}")
    if hint.unit == "Q":
        return _without_unit(table, hint, weak, evidence)
    against = evidence.against(hint.unit)
    if not against:
        return Axis(hint.unit, f"{hint.source} says so")
    for other in weak:
        if other.unit != hint.unit and not evidence.against(other.unit):
            text = f"{hint.source} says {SPOKEN[hint.unit]}, but then {against}; taken as {SPOKEN[other.unit]}"
            return Axis(other.unit, f"{other.source} says so", (f"{text}, as {other.source} says",))
    likelier = [unit for unit in ("A-1", "nm-1", "2theta") if unit != hint.unit and _fits(evidence, unit)]
    angles = hint.unit in ANGLES
    if evidence.impossible(hint.unit) or evidence.too_far(hint.unit) or (likelier and not angles):
        text = f"{hint.source} says that the first column is {SPOKEN[hint.unit]}, but then {against}"
        known = f"check the wavelength, {evidence.wavelength:g} Å, or " if angles and evidence.wavelength else ""
        raise ReadError(evidence.path, f"{text}: {known}{ASK}")
    text = f"{hint.source} says {SPOKEN[hint.unit]}, but then {against}: check the unit"
    if hint.unit in ("A-1", "nm-1") and evidence.ends(hint.unit)[1] < _SHORTEST:
        text = f"{hint.source} says {SPOKEN[hint.unit]}, and {against}: {SMALL}"
    return Axis(hint.unit, f"{hint.source} says so", (text,))


def _fits(evidence: Evidence, unit: str) -> bool:
    """Return whether a unit that nobody named would give a usual pattern: Q known, to 8 Å⁻¹ at least."""
    high = evidence.ends(unit)[1]
    return evidence.peak is not None and high >= _HIGHEST_PEAK and not evidence.against(unit)


def _without_unit(table: Table, hint: Hint, weak: Sequence[Hint], evidence: Evidence) -> Axis:
    """Return Å⁻¹ or nm⁻¹ for a Q whose unit nobody says."""
    fitting = [unit for unit in ("A-1", "nm-1") if not evidence.against(unit)]
    if fitting[:1] == ["A-1"]:
        usual = Path(table.path).suffix.lower() in (".iq", ".qye", ".qchi") or any(one.unit == "A-1" for one in weak)
        text = f"{hint.source} names Q without a unit: taken as Å⁻¹"
        return Axis("A-1", f"{hint.source}, in the usual unit", () if usual else (text,))
    against = evidence.against("A-1")
    if fitting and evidence.peak is not None:
        text = f"{hint.source} names Q without a unit; in Å⁻¹ {against}: taken as nm⁻¹"
        return Axis("nm-1", "only that is likely", (text,))
    raise ReadError(evidence.path, f"{hint.source} names Q without a unit, and in Å⁻¹ {against}: {ASK}")


def _contested(hints: Sequence[Hint], weak: Sequence[Hint], evidence: Evidence) -> Axis:
    """Return the one of several units said that is possible and likely, with a remark; else refuse."""
    hints = [Hint("A-1", hint.source) if hint.unit == "Q" else hint for hint in hints]
    left = [hint for hint in hints if hint.unit not in FOREIGN and not evidence.against(hint.unit)]
    if len({hint.unit for hint in left}) > 1:
        told = {hint.unit for hint in weak}
        left = [hint for hint in left if hint.unit in told]
    first, other = hints[0], next(hint for hint in hints if hint.unit != hints[0].unit)
    said = f"{first.source} says {_spoken(first.unit)} and {other.source} {_spoken(other.unit)}"
    if len({hint.unit for hint in left}) != 1:
        raise ReadError(evidence.path, f"{said}: {ASK}")
    taken = left[0]
    lost = next(hint for hint in hints if hint.unit != taken.unit)
    reason = ("the other is not a usable axis" if lost.unit in FOREIGN else evidence.against(lost.unit)) or next(
        f"{hint.source} agrees" for hint in weak if hint.unit == taken.unit
    )
    return Axis(taken.unit, f"{taken.source} says so", (f"{said}: taken as {SPOKEN[taken.unit]} ({reason})",))


def _spoken(unit: str) -> str:
    return SPOKEN.get(unit) or FOREIGN[unit].split(":")[0]


def _unsaid(table: Table, weak: Sequence[Hint], evidence: Evidence) -> Axis:
    """Return what the step, the file's name and ending, or the wavelength suggest."""
    suffix = Path(table.path).suffix.lower()
    end = float(evidence.x[-1])
    likely = [hint for hint in weak if not evidence.against(hint.unit)]
    if len({hint.unit for hint in likely}) == 1:
        taken = likely[0]
        return Axis(
            taken.unit, taken.source, (f"the first column is taken as {SPOKEN[taken.unit]}, by {taken.source}",)
        )
    if suffix in (".fxye", ".gsas", ".gsa", ".gss", ".gda") and end > 180 and not evidence.against("centidegrees"):
        text = f"the first column is taken as {SPOKEN['centidegrees']}, usual in {suffix} files"
        return Axis("centidegrees", f"usual in {suffix} files", (text,))
    if suffix not in (".iq", ".qye", ".qchi"):
        if evidence.wavelength is not None and not evidence.impossible("2theta"):
            return _by_wavelength(table, evidence, suffix)
        if suffix in (".xye", ".fxye"):
            raise table.error(f"{suffix} usually has 2θ, and no wavelength is known: {ASK}")
    return _assumed(table, evidence, end, suffix)


def _by_wavelength(table: Table, evidence: Evidence, suffix: str) -> Axis:
    """Return 2θ, unless Å⁻¹ is likelier."""
    why = "a wavelength is known and nothing else is said"
    against = evidence.unlikely("2theta")
    if against and evidence.peak is not None and not evidence.against("A-1"):
        text = f"{why}, but in 2θ {against}, and Q in Å⁻¹ is likelier"
        raise table.error(f"{text}: {ASK}")
    if evidence.too_far("2theta"):
        raise table.error(f"{why}, but in 2θ {against}: check the wavelength of {evidence.wavelength:g} Å, or {ASK}")
    text = f"the first column is taken as {SPOKEN['2theta']}: {why}" + (f"; but {against}" if against else "")
    return Axis("2theta", why, () if suffix == ".xye" and not against else (text,))


def _assumed(table: Table, evidence: Evidence, end: float, suffix: str) -> Axis:
    against = evidence.impossible("A-1")
    if against:
        raise table.error(f"{against}: if it is in nm⁻¹, or 2θ, {ASK}", -1)
    usual = suffix in (".iq", ".qye", ".qchi")
    highest = max(_HIGHEST_PEAK if usual else _DENSEST, 1.5 * float(evidence.x[0]))
    if evidence.peak is not None and evidence.peak > highest:
        text = f"nothing says what the first column is, and its first strong peak at {evidence.peak:.4g}"
        raise table.error(f"{text} is too far out for Q in Å⁻¹ (nm⁻¹, or 2θ?): {ASK}")
    why = "assumed, nothing is said"
    if usual:
        return Axis("A-1", f"usual in {suffix} files")
    text = f"nothing says what the first column is: Q in Å⁻¹ is assumed, up to {end:.4g}; if that is wrong, {ASK}"
    return Axis("A-1", why, (text,))


def strong_peaks(x: Array, I: Array) -> list[float]:
    """Return where the peaks stand that rise above both valleys by half as much as any does.

    What rises counts as a ratio. The edge of the beam stop (a maximum within 2 % of the points of an end) does not
    count where there is another.
    """
    good = np.isfinite(I) & (I > 0)
    x, y = x[good], I[good]
    if y.size < 40:
        return []
    if x[-1] < x[0]:
        x, y = x[::-1], y[::-1]
    width = max(1, y.size // 400)
    y = np.convolve(np.log(y), np.full(width, 1 / width), mode="valid")
    x = x[(width - 1) // 2 :][: y.size]
    noise = 1.4826 * float(np.median(np.abs(np.diff(y))))
    found = _turning_points(y, max(0.15, 6 * noise))
    found = [one for one in found if 0.02 * y.size < one[0] < 0.98 * y.size] or found
    enough = 0.5 * max((height for _, height in found), default=0.0)
    return [float(x[at]) for at, height in found if height >= enough]


def _turning_points(y: Array, least: float) -> list[tuple[int, float]]:
    """Return (index, prominence) of every maximum that rises by `least` from the valley before and falls as much."""
    # Only local extremes can be turning points: the loop is over these.
    slope = np.sign(np.diff(y))
    corners = np.flatnonzero(slope[1:] != slope[:-1]) + 1
    found: list[tuple[int, float]] = []
    valley, top, rise, rising = float(y[0]), float(y[0]), 0.0, False
    at = 0
    for i in [*corners.tolist(), y.size - 1]:
        value = float(y[i])
        if rising and value > top:
            top, at = value, i
        elif rising and top - value >= least:
            rise = top - valley
            found.append((at, min(rise, top - value)))
            rising, valley = False, value
        elif not rising and value < valley:
            valley = value
            if found:
                found[-1] = (at, min(rise, top - value))
        elif not rising and value - valley >= least:
            rising, top, at = True, value, i
    return found
