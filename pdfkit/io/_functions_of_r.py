"""From the columns of a file to G(r): which column, which function it holds, and its conversion.

`kind=` decides; else what the file says (labels with units, titles, names of files); else its values, which only give
remarks: nobody knows what an unlabelled column is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from pdfkit._checks import Array
from pdfkit.io import _functions, _header, _kinds
from pdfkit.io import _kinds as io_kinds
from pdfkit.io import columns as io_columns
from pdfkit.io._functions import OF_R, Kind, Sample
from pdfkit.io._kinds import Said
from pdfkit.io._text import Table
from pdfkit.io.columns import Asked, Curve

_DIFFERENCE = ("gdiff", "diff", "difference")
# What the values are when they are divided by ⟨b⟩² (or ⟨f⟩²) already.
_DIVIDED: Mapping[str, str] = {"GK": "g-1", "D": "G", "T": "R/r"}
_LOWEST = 0.25  # of what a plateau may differ from −⟨b⟩² or −1 to be named by it


# --- columns ---------------------------------------------------------------------------------------------------------


def columns(table: Table, kind: str | None) -> Curve:
    """Return r, the values and their errors; a saved fit gives the observed values."""
    curve, value, error = io_columns.curve(table, kind, of="r")
    labels = table.labels[: table.data.shape[1]]
    if not io_columns.is_calculated(labels, value) or (difference := _difference_column(table, labels)) is None:
        return curve
    y = curve.y + table.data[:, difference]
    if not np.any(y):
        raise table.error("a calculation without data (Gcalc + difference is 0): give the data file")
    unknown = error is not None and (table.data[:, error] == 1).all()
    notes = {**curve.notes, "note G": "observed G = calculated G + difference"}
    return replace(curve, y=y, error=None if unknown else curve.error, notes=notes)


def _difference_column(table: Table, labels: tuple[str, ...]) -> int | None:
    """Return the column of Gobs − Gcalc in a saved fit; None for any other file."""
    for i, label in enumerate(_header.normal(labels)):
        if label in _DIFFERENCE:
            return i
    data = table.data
    saved = Path(table.path).suffix.lower() == ".fgr" or not data[:, 2:3].any()
    return 4 if not labels and data.shape[1] == 5 and saved else None


# --- what is said ----------------------------------------------------------------------------------------------------


def statement(table: Table, facts: _header.Facts, curve: Curve) -> Said:
    """Return what the file says of the function: a label that is sure, then titles and names, then units."""
    said = curve.said
    if said.sure or said.kind == "?":
        return said
    if facts.word("outputtype") in ("gr", "gofr"):
        return Said("G", "outputtype is gr", sure=True, unit=said.unit)
    lines = [line for line in table.header if line[0] < table.lines[0]]
    header = _kinds.of_header([line for line in lines if not _is_label_line(line[1], table.labels)], of="r")
    name = _kinds.of_names(table.path, table.header, of="r")
    if name.kind:
        return replace(name, unit=said.unit or header.unit)
    unit = said.unit or header.unit
    if said.kind:
        with_unit = _kinds.with_unit(replace(said, unit=unit))
        sure = header.sure and header.kind in OF_R and header.kind != said.kind
        return replace(header, unit=unit) if sure and header.how.startswith("the title") else with_unit
    if header.kind:
        return header
    falls = (io_kinds.slope(curve.x, curve.y) or 0.0) < 0
    return _kinds.of_unit(unit, of="r", falls=falls) if unit else said


def _is_label_line(text: str, labels: tuple[str, ...]) -> bool:
    plain = re.sub(r"[\s_]", "", text)
    return bool(labels) and all(re.sub(r"[\s_]", "", label) in plain for label in labels)


# --- units of length -------------------------------------------------------------------------------------------------


def in_angstrom(table: Table, curve: Curve, kind: Kind, said: Said, r_in: str | None, asked: str | None) -> Curve:
    """Return the curve with r in Å and the values in the unit of their kind.

    r_in : what the label of r says. asked : what the caller says of r; "A" means that a label in nm is wrong.
    """
    unit = said.unit.rpartition(" ")[2]
    stated = "nm" if unit.startswith("nm") else "A" if unit.startswith("A") else None
    in_nm = asked == "nm" or (asked is None and r_in == "nm")
    if stated is None:
        stated = "nm" if in_nm else "A"
    elif stated == "nm" and not in_nm:
        if asked == "A" and r_in == "nm":
            stated = "A"
        elif r_in != "A" and asked is None:
            raise table.error(
                f'the values are in {_kinds.shown(unit)} and the unit of r is not said: give r_unit="nm" or "A"'
            )
    factor = 10.0**kind.power if stated == "nm" and kind.power else 1.0
    if not in_nm and factor == 1.0:
        return curve
    r = 10 * curve.x if in_nm else curve.x
    error = None if curve.error is None else curve.error * factor
    what = (
        "r and G were in nm; they are"
        if in_nm and factor != 1.0
        else "r was in nm; it is"
        if in_nm
        else "G was in nm⁻²; it is"
    )
    notes = {
        **curve.notes,
        "note units": f"{what} in Å{' and Å⁻²' if in_nm and factor != 1.0 else '⁻²' if not in_nm else ''} here",
    }
    said_so = () if in_nm else (f"the values are in {_kinds.shown(unit)} and r is in Å: divided by {1 / factor:g}",)
    return replace(curve, x=r, y=curve.y * factor, error=error, notes=notes, remarks=(*curve.remarks, *said_so))


# --- decision and conversion -----------------------------------------------------------------------------------------


def kind_of(table: Table, curve: Curve, said: Said, asked: Asked) -> tuple[Kind, Said, tuple[str, ...]]:
    """Return the kind of the values, the statement it rests on, and what is to be remarked of the choice."""
    if asked.kind is not None:
        return io_columns.as_asked(OF_R[asked.kind], said, OF_R, (("G", "GK"),))
    if said.kind == "?":
        names = ", ".join(OF_R)
        raise table.error(f"{said.how}, which is not a function that can be read: give kind=, one of {names}")
    if said.kind == "g":
        _check_g(table, curve, said)
    if said.kind and (said.kind != "G" or said.sure):
        return OF_R[said.kind], said, ()
    return _by_behaviour(table, curve, said, asked.sample)


def _check_g(table: Table, curve: Curve, said: Said) -> None:
    mean = io_kinds.tail_mean(curve.x, curve.y)
    if mean is not None and curve.x[-1] > 5 and abs(mean - 1) > 0.5:
        raise table.error(
            f'{said.how}, but at large r it tends to {mean:.3g}, not 1: give kind="g", or kind="G" if it is G(r)'
        )


def _by_behaviour(table: Table, curve: Curve, said: Said, sample: Sample) -> tuple[Kind, Said, tuple[str, ...]]:
    """Return G(r) with a remark where the values are not like it; another kind where that is certain."""
    r, y = curve.x, curve.y
    G = OF_R["G"]
    grows = io_kinds.growth(r, y)
    one = grows is not None and grows[0] == 0 and abs(grows[1] - 1) < 0.1
    if io_kinds.goes_round_one(r, y) or (one and sample.rho0 is not None):
        how = "the values oscillate about 1, as those of g(r) do"
        if sample.rho0 is None:
            raise table.error(f'{how}: this is g(r), not G(r); give kind="g" and rho0= (atoms/Å³) to convert it')
        return OF_R["g"], Said("g", how), ()
    if (level := io_kinds.plateau(r, y)) is not None:
        return _of_plateau(table, level, said, sample)
    if one:
        how = "the values are positive and oscillate about 1, as those of g(r) do"
        text = f'{how}: taken as G(r); if that is wrong, give kind="g" with rho0='
        return G, said, (text,)
    if _is_D(r, y, sample):
        return OF_R["D"], Said("D", "the low-r side falls as −4πρ₀⟨b⟩²r, as that of D(r) does"), ()
    if grows is not None and grows[0] in (1, 2):
        if (found := _of_growth(*grows, sample)) is not None:
            return OF_R[found], Said(found, f"the values grow as {OF_R[found].symbol} = {OF_R[found].formula} does"), ()
        name, power = (("T(r)", "r"), ("R(r)", "r²"))[grows[0] - 1]
        kinds = 'kind="T" (or "R/r" if it is divided by ⟨b⟩²)' if grows[0] == 1 else 'kind="R"'
        text = f"the values are positive and grow like {power}, as {name} does: taken as G(r); if wrong, give {kinds}"
        return G, said, (text,)
    wrong = io_kinds.agrees(r, y, sample.rho0) if sample.rho0 is not None else ""
    return G, said, (f"it is taken as G(r), but {wrong}: check kind, rho0 and the normalisation",) if wrong else ()


def _is_D(r: Array, y: Array, sample: Sample) -> bool:
    """Return whether the low-r side is that of ⟨b⟩²G(r) and not of G(r): only ρ₀ and ⟨b⟩² together tell."""
    if sample.rho0 is None or not sample.composition:
        return False
    slope, square = io_kinds.slope(r, y), sample.b2
    if slope is None or 0.7 < square < 1.4:
        return False
    level = slope / (-4 * math.pi * sample.rho0)
    return abs(level / square - 1) < 0.15 and not abs(level - 1) < 0.3


def _of_growth(power: int, factor: float, sample: Sample) -> str | None:
    """Return the kind whose growth, 4πρ₀⟨b⟩²r, 4πρ₀r or 4πρ₀r², the values have, where what is given tells."""
    if sample.rho0 is None:
        return None
    level = factor / (4 * math.pi * sample.rho0)
    expected = {"R": 1.0} if power == 2 else {"R/r": 1.0}
    if power == 1 and sample.composition:
        expected["T"] = sample.b2
    close = [name for name, value in expected.items() if abs(level / value - 1) < 0.15]
    return close[0] if len(close) == 1 else None


def _of_plateau(table: Table, level: float, said: Said, sample: Sample) -> tuple[Kind, Said, tuple[str, ...]]:
    how = f"the low-r side is flat, {level:.3g}, where G(r) falls as −4πρ₀r"
    if abs(level + 1) < 0.1 and sample.rho0 is not None:
        return OF_R["g-1"], Said("g-1", f"{how}: g(r) − 1 starts at −1"), ()
    if sample.rho0 is not None and sample.composition and abs(level / sample.b2 + 1) < _LOWEST:
        return OF_R["GK"], Said("GK", f"{how}: Keen's G(r) starts at −⟨b⟩²"), ()
    if _kinds.counted(table):
        return OF_R["GK"], Said("GK", f"{how}, and the file has RMCProfile's form"), ()
    what = "g(r) − 1" if abs(level + 1) < 0.1 else "Keen's G(r) = ⟨b⟩²[g(r) − 1]"
    kind = "g-1" if abs(level + 1) < 0.1 else "GK"
    needs = "rho0=" if kind == "g-1" else "composition= and rho0="
    text = (
        f'{how}: it looks like {what} and is taken as G(r); give kind="{kind}" with {needs}, or kind="G" if it is right'
    )
    return OF_R["G"], said, (text,)


def to_G(table: Table, curve: Curve, kind: Kind, said: Said, asked: Asked) -> Curve:
    """Return G(r) of the values of another kind; ReadError with the options to give where something is missing."""
    if kind.name == "G":
        return curve
    how = said.how if said.kind == kind.name and not asked.kind else f"kind = {kind.name} was given"
    if kind.lengths and asked.probe in ("X", "E"):
        other = _DIVIDED[kind.name]
        raise table.error(
            f"{how}: {kind.symbol} = {kind.formula} contains neutron lengths b, but the probe is {asked.probe}; "
            f'if it is divided by ⟨f⟩², give kind="{other}"'
        )
    if missing := kind.missing(asked.sample):
        raise table.error(_needs(how, kind, missing))
    G, error, used = io_columns.converted(table, curve, kind, how, asked.sample)
    remarks = list(curve.remarks)
    wrong = io_kinds.agrees(curve.x, G, asked.sample.rho0) if asked.sample.rho0 is not None else ""
    if wrong and not asked.kind:
        fits = f' (kind="{_DIVIDED[kind.name]}" fits)' if _fits_divided(curve, kind, asked.sample) else ""
        raise table.error(
            f"{how}; converted with {used}, {wrong}: correct composition, rho0 or the unit, or give another kind{fits}"
        )
    if wrong:
        remarks.append(
            f"{kind.symbol} was converted to G(r) with {used}, but {wrong}: check kind, composition and rho0"
        )
    if not asked.kind:
        remarks.append(f"{how}: it was converted to G(r) with {used}")
    notes = {**curve.notes, "note G": f"G(r) from {kind.symbol} = {kind.formula} with {used}"}
    return replace(curve, y=G, error=error, notes=notes, remarks=tuple(remarks), neutrons=kind.lengths)


def _fits_divided(curve: Curve, kind: Kind, sample: Sample) -> bool:
    """Return whether the values are those of the kind divided by ⟨b⟩² already."""
    if kind.name not in _DIVIDED or sample.rho0 is None:
        return False
    G, _ = _functions.convert(OF_R[_DIVIDED[kind.name]], curve.x, curve.y, None, sample)
    return not io_kinds.agrees(curve.x, G, sample.rho0)


def _needs(how: str, kind: Kind, missing: list[str]) -> str:
    options = " and ".join(missing)
    verb = "is" if len(missing) == 1 else "are"
    units = {"composition=": 'such as "SiO2"', "rho0=": "in atoms/Å³"}
    explained = ", ".join(units[one] for one in missing)
    already = _DIVIDED.get(kind.name)
    divided = f'; if it is divided by ⟨b⟩² already, give kind="{already}"' if already else ""
    # D(r) and G(r) differ by a factor alone, which a scale would hide.
    only = ", which is G(r) times that factor" if kind.name == "D" else ""
    message = f"{how}: to convert {kind.symbol} = {kind.formula}{only}, {options} {verb} needed ({explained}){divided}"
    return message if already == "G" else f'{message}; to read it as G(r), give kind="G"'
