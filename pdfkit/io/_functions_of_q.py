"""From the columns of a file to S(Q): which column, which function of Q it holds, and its conversion.

As for functions of r: `kind=` decides, else what the file says, and the values only where two functions share a name.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from pdfkit.io import _header, _kinds
from pdfkit.io import _kinds as io_kinds
from pdfkit.io import columns as io_columns
from pdfkit.io._functions import OF_Q, Kind, Sample
from pdfkit.io._kinds import Said
from pdfkit.io._text import Table
from pdfkit.io.columns import Asked, Curve

_NM = 10.0  # nm⁻¹ in Å⁻¹
_REACH = 8.0  # Å⁻¹: shorter curves do not show what they tend to
_ALL = 'kind="S" for S(Q), kind="F" for F(Q) = Q[S(Q) − 1], kind="FK" for ⟨b⟩²[S(Q) − 1] in barn'


# --- what is said ----------------------------------------------------------------------------------------------------


def statement(table: Table, facts: _header.Facts, curve: Curve) -> Said:
    """Return what the file says of the function; ReadError for what is no function of Q or is not reduced."""
    first = table.labels[0] if table.labels else ""
    said, suffix = curve.said, Path(table.path).suffix.lower()
    output = facts.word("outputtype") or ""
    of_r = not first and (suffix in (".gr", ".fgr") or _kinds.of_names(table.path, table.header, of="r").kind)
    if output in ("gr", "iq") or re.match(r"[rR](?![A-Za-z])", first) or of_r or (not first and suffix == ".iq"):
        raise table.error("this is not S(Q) or F(Q): use read_pdf for G(r), or reduce intensities first")
    if said.kind == "I" or re.match(r"2\W?[tT]h|[tT]th", first):
        raise table.error("this holds intensities: reduce them to S(Q) first")
    if output in ("sq", "fq"):
        return Said(output[0].upper(), f"outputtype is {output}", sure=True, unit=said.unit)
    if said.sure or said.kind == "?":
        return said
    above = [line for line in table.header if line[0] < table.lines[0] and not (first and first in line[1])]
    header = _kinds.of_header(above, of="Q")
    name = _kinds.of_names(table.path, table.header, of="Q")
    unit = said.unit or header.unit
    if name.sure:
        return replace(name, unit=unit)
    if said.kind:
        return header if header.how.startswith("the title") else _kinds.with_unit(replace(said, unit=unit))
    if header.kind:
        return header
    if unit and (alone := _kinds.of_unit(unit, of="Q", falls=False)).kind:
        return alone
    if name.kind:
        return replace(name, sure=False)
    if suffix in (".sq", ".fq") and not (len(table.labels) > 1 and not said.how):
        return Said(suffix[1].upper(), f"the file name ends in {suffix}", sure=False, unit=unit)
    return said


def in_angstrom(curve: Curve, kind: Kind, said: Said, in_nm: bool) -> Curve:
    """Return the curve with Q in Å⁻¹ and the values in the unit of their kind."""
    unit = said.unit.rpartition(" ")[2]
    value_nm = unit.startswith("nm") or (in_nm and not unit.startswith("A"))
    factor = 10.0**kind.power if value_nm and kind.power else 1.0
    remarks = curve.remarks
    if factor != 1.0 and not in_nm:
        remarks = (*remarks, f"the values are in {_kinds.shown(unit)} and Q is in Å⁻¹: divided by {1 / factor:g}")
    error = None if curve.error is None else curve.error * factor
    return replace(curve, x=curve.x / _NM if in_nm else curve.x, y=curve.y * factor, error=error, remarks=remarks)


# --- decision and conversion -----------------------------------------------------------------------------------------


def kind_of(table: Table, curve: Curve, said: Said, asked: Asked) -> tuple[Kind, Said, tuple[str, ...]]:
    """Return the kind of the values, the statement it rests on, and what is to be remarked of the choice."""
    if asked.kind is not None:
        alike = (("F", "FK"), ("FK", "F"), ("S", "S-1"), ("S-1", "S"))
        return io_columns.as_asked(OF_Q[asked.kind], said, OF_Q, alike)
    if said.kind == "?" or not said.kind:
        about = said.how or (f"the column is labelled {table.labels[1]}" if len(table.labels) > 1 else "")
        raise table.error(f"{about or 'nothing says what the values are'}: give {_ALL}")
    if said.kind == "DCS":
        message = (
            f'{said.how}: it holds the self scattering too; give the interference part (.mint01) instead, or kind="DCS"'
        )
        raise table.error(f"{message} with composition= to subtract it (as that of atoms at rest)")
    if (mean := io_kinds.tail_mean(curve.x, curve.y)) is not None and curve.x[-1] > _REACH:
        how = f"{said.how}, and the values oscillate about {mean:.2g} at large Q"
        if said.how.endswith(".soq") and abs(mean) < 0.25:
            return OF_Q["S-1"], said, (f"{how}: taken as S(Q) − 1, as Gudrun writes it divided by ⟨b⟩² or ⟨f⟩²",)
        _check_tail(table, curve, said.kind, mean, how)
    if said.kind == "F" and not said.sure:
        return _F_or_Keen(table, curve, said, asked.sample)
    return OF_Q[said.kind], said, ()


def _check_tail(table: Table, curve: Curve, kind: str, mean: float, how: str) -> None:
    """Refuse what oscillates at large Q about another number than its function: 1 for S(Q), 0 for the others."""
    if kind == "S" and abs(mean) < 0.25:
        message = 'where S(Q) tends to 1: give kind="S-1", or kind="F" for Q[S(Q) − 1], or kind="FK" if it is in barn'
        raise table.error(f"{how}, {message}")
    if kind == "S" and abs(mean - 1) > 0.4:
        message = 'where S(Q) tends to 1: normalise it, give kind="DCS" if it is a cross-section in barn, or kind="S"'
        raise table.error(f"{how}, {message}")
    if kind != "S" and io_kinds.goes_round_one(curve.x, curve.y):
        message = f'as S(Q) does, where {OF_Q[kind].symbol} tends to 0: give kind="S", or kind="{kind}" if right'
        raise table.error(f"{how}, {message}")


def _F_or_Keen(table: Table, curve: Curve, said: Said, sample: Sample) -> tuple[Kind, Said, tuple[str, ...]]:
    """Tell Q[S(Q) − 1], which starts at 0, from ⟨b⟩²[S(Q) − 1], which starts at a constant."""
    level = io_kinds.plateau(curve.x, curve.y)
    rmc = _kinds.counted(table) and not curve.said.kind
    if level is not None:
        how = f"{said.how}, and it starts flat at {level:.3g}, not at 0 as Q[S(Q) − 1] does"
        if sample.composition and abs(level + 1) > 0.1 and 0.7 < -level / sample.b2 < 1.1:
            return OF_Q["FK"], Said("FK", f"{how}: ⟨b⟩²[S(Q) − 1] starts near −⟨b⟩²"), ()
        if rmc:
            return OF_Q["FK"], Said("FK", f"{how}; the file has RMCProfile's form"), ()
        text = f'{how}: is it ⟨b⟩²[S(Q) − 1]? It is taken as Q[S(Q) − 1]; give kind="FK" with composition=, or kind="F"'
        return OF_Q["F"], said, (text,)
    if rmc:
        slope = io_kinds.slope(curve.x, curve.y)
        if slope is None or slope > 0:
            message = "the file begins with a count and a title; in RMCProfile that F(Q) is ⟨b⟩²[S(Q) − 1]"
            raise table.error(f'{said.how}, and {message}: give kind="FK" with composition=, or kind="F"')
    return OF_Q["F"], said, ()


def to_S(table: Table, curve: Curve, kind: Kind, said: Said, asked: Asked) -> Curve:
    """Return S(Q) of the values of another kind; rows where it is lost (Q = 0) go."""
    if kind.name == "S":
        return curve
    how = said.how if said.kind == kind.name and not asked.kind else f"kind = {kind.name} was given"
    if kind.lengths and asked.probe in ("X", "E"):
        message = f"{how}: {kind.symbol} = {kind.formula} contains neutron lengths b, but the probe is {asked.probe}"
        raise table.error(f'{message}; if it is divided by ⟨f⟩², give kind="S-1" (or "F" for Q[S(Q) − 1])')
    if kind.missing(asked.sample):
        message = f'{how}: to convert {kind.symbol} = {kind.formula}, composition= is needed (such as "SiO2")'
        raise table.error(f'{message}; if it is divided by ⟨b⟩² already, give kind="S-1" or "F"')
    S, error, used = io_columns.converted(table, curve, kind, how, asked.sample)
    keep = np.isfinite(S) if kind.power else np.ones(S.size, dtype=bool)
    noted = (
        "the file holds F(Q); S = F/Q + 1" if kind.name == "F" else f"S(Q) from {kind.symbol} = {kind.formula}, {used}"
    )
    remarks = list(curve.remarks)
    if kind.lengths and not asked.kind:
        remarks.append(f"{how}: it was converted to S(Q) with {used}")
    if kind.name == "DCS":
        remarks.append(f"the self scattering is taken as σ/4π = {asked.sample.self_scattering:.4g} barn at every Q")
    return Curve(
        curve.x[keep],
        S[keep],
        None if error is None else error[keep],
        said,
        {**curve.notes, "note S": noted},
        tuple(remarks),
        kind.lengths,
    )
