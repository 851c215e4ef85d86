"""Curves written for other programs, in the kind and the form that each of them reads.

| format | program | form |
|---|---|---|
| pdfgui | PDFgui, PDFfit2 | `.gr` with a header, r, G, dr, dG; G(r) alone (`write_pdf`) |
| rmcprofile | RMCProfile | a count, a title, two columns; Keen's functions |
| gudrun | what reads Gudrun's files (EPSR, Dissolve, Mantid) | `# name.mdor01` and three more lines, x, y, error |
| columns | any | `# key = value` lines, a `#L` line with units, x, y, error |

Every file says its kind, composition and density, so that `read_pdf` and `read_sq` return the same numbers from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.curves import PDF, SQ
from pdfkit.data.instrument import RESOLUTION, Instrument
from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.io._functions import OF_Q, OF_R, Kind, Sample, invert, named
from pdfkit.io._header import SPELLED

if TYPE_CHECKING:
    from pdfkit.results.result import DatasetFit, FitResult

FORMATS = ("pdfgui", "rmcprofile", "gudrun", "columns")
# The label of a column and the unit in it.
_LABELS = {
    "G": "G(r)[A^-2]",
    "GK": "GK(r)[barn]",
    "D": "D(r)[barn_A^-2]",
    "T": "T(r)[barn_A^-2]",
    "R/r": "T(r)[A^-2]",
    "R": "R(r)[A^-1]",
    "g": "g(r)",
    "g-1": "g(r)-1",
    "S": "S(Q)",
    "S-1": "S(Q)-1",
    "F": "F(Q)[A^-1]",
    "FK": "FK(Q)[barn]",
    "QFK": "QFK(Q)[barn_A^-1]",
}
_GUDRUN = {"D": ".mdor01", "GK": ".mgor01", "FK": ".mint01"}
# RMCProfile's own names of the functions that it takes.
_RMCPROFILE = {"GK": "G(r)", "D": "D(r)", "T": "T(r)", "FK": "F(Q)", "S": "S(Q)", "QFK": "Qi(Q)"}


def pdf_text(path: AnyPath, pdf: PDF, kind: str, form: str, composition: str | None, rho0: float | None) -> str:
    """Return a G(r) as the text of a file of another kind or form; PdfkitError for what cannot be."""
    chosen = named(kind, OF_R)
    sample = _sample(pdf, chosen, composition, rho0)
    y, error = invert(chosen, pdf.r, pdf.G, pdf.dG, sample)
    return _text(path, chosen, form, (pdf.r, y, error), pdf, sample)


def sq_text(path: AnyPath, sq: SQ, kind: str, form: str, composition: str | None) -> str:
    """Return an S(Q) as the text of a file of another kind or form; PdfkitError for what cannot be."""
    chosen = named(kind, OF_Q)
    if chosen.name == "DCS":
        raise PdfkitError("kind = DCS includes the self scattering, which S(Q) does not hold: write kind = FK instead")
    sample = _sample(sq, chosen, composition, None)
    y, error = invert(chosen, sq.Q, sq.S, sq.dS, sample)
    return _text(path, chosen, form, (sq.Q, y, error), sq, sample)


def form_of(path: AnyPath, kind: str) -> str:
    """Return the form that a file name and a kind ask for."""
    if Path(path).suffix.lower() in _GUDRUN.values():
        return "gudrun"
    return "pdfgui" if kind == "G" else "columns"


def _sample(curve: PDF | SQ, kind: Kind, composition: str | None, rho0: float | None) -> Sample:
    sample = Sample(rho0, composition or curve.composition)
    if kind.lengths and curve.instrument.probe in ("X", "E"):
        message = (
            f"{kind.symbol} = {kind.formula} contains neutron lengths b, but the probe is {curve.instrument.probe}"
        )
        raise PdfkitError(f"{message}: write a kind without them (G, R, g, g-1; S, S-1, F)")
    if missing := kind.missing(sample):
        raise PdfkitError(f"to write {kind.symbol} = {kind.formula}, {' and '.join(missing)} must be given")
    return sample


def _text(
    path: AnyPath, kind: Kind, form: str, columns: tuple[Array, Array, Array | None], curve: PDF | SQ, sample: Sample
) -> str:
    if form == "rmcprofile":
        lines = [str(columns[0].size), _title(kind, curve, sample)]
        return _rows(lines, columns[:2])
    error = columns[2]
    if form == "gudrun":
        zeros = np.zeros(columns[0].size) if error is None else error
        return _rows(_gudrun_head(Path(path), kind, curve, sample), (columns[0], columns[1], zeros))
    names = ["Q(A^-1)" if kind.name in OF_Q else "r(A)", _LABELS[kind.name], *(["err"] if error is not None else [])]
    head = [f"# {line}" for line in _facts(curve, sample)]
    return _rows([*head, "#L " + " ".join(names)], columns if error is not None else columns[:2])


def _rows(lines: Sequence[str], columns: Sequence[Array | None]) -> str:
    table = np.column_stack([one for one in columns if one is not None]).tolist()
    return "\n".join([*lines, *(" ".join(map(repr, row)) for row in table)]) + "\n"


def _facts(curve: PDF | SQ, sample: Sample) -> list[str]:
    """Return composition, density and instrument as `key = value` lines."""
    out = [f"composition = {sample.composition}"] if sample.composition else []
    out += [f"rho0 = {sample.density!r}"] if sample.rho0 is not None else []
    return [*out, *_instrument(curve.instrument)]


def _instrument(instrument: Instrument) -> list[str]:
    out = [] if instrument.probe is None else [f"stype = {instrument.probe}"]
    if instrument.qmax is not None:
        out.append(f"qmax = {0 if instrument.qmax == math.inf else repr(instrument.qmax)}")
    for name in ("qmin", *RESOLUTION):
        if value := getattr(instrument, name):
            out.append(f"{SPELLED.get(name, name)} = {value!r}")
    out += [] if instrument.wavelength is None else [f"wavelength = {instrument.wavelength!r}"]
    return out if instrument.window == "none" else [*out, f"window = {instrument.window}"]


def _title(kind: Kind, curve: PDF | SQ, sample: Sample) -> str:
    """Return RMCProfile's second line: the function, then what else is known, each without blanks."""
    facts = " ".join(line.replace(" ", "") for line in _facts(curve, sample))
    plain = "".join(c for c in curve.name if c.isprintable() and c not in "=#:()[]")[:40]
    if kind.name in _RMCPROFILE:
        return f"rmc {_RMCPROFILE[kind.name]} #  {plain} {facts}".rstrip()
    unit = kind.unit.replace("Å⁻²", "1/A^2").replace("Å⁻¹", "1/A")
    symbol = {"R/r": "T(r)", "g-1": "g(r)-1", "S-1": "S(Q)-1"}.get(kind.name, kind.symbol)
    return f"{symbol}, unit {unit}, {plain} {facts}".rstrip()


def _gudrun_head(path: Path, kind: Kind, curve: PDF | SQ, sample: Sample) -> list[str]:
    """Return Gudrun's four lines above the data, the first with the name by which other programs know the kind."""
    if kind.name not in _GUDRUN:
        names = ", ".join(f"{name} ({ending})" for name, ending in _GUDRUN.items())
        raise PdfkitError(f"Gudrun has no type of file for {kind.symbol}: choose a kind of {names}")
    ending = _GUDRUN[kind.name]
    if path.suffix.lower() in _GUDRUN.values() and path.suffix.lower() != ending:
        raise PdfkitError(f"Gudrun writes {kind.symbol} to {ending}, not to {path.suffix}: change the name or the kind")
    facts = _facts(curve, sample)
    own = [line for line in facts if line.startswith(("composition", "rho0"))]
    rest = [", ".join(line for line in facts if line not in own)]
    lines = [f"# {path.stem}{ending}", *(f"# {line}".rstrip() for line in [*own, *rest])]
    return [*lines, *["#"] * (4 - len(lines))]


def write_fgr(path: AnyPath, result: FitResult, dataset: str | None = None) -> None:
    """Write a fit as PDFgui does, a .fgr file: columns r, Gcalc, 0, dG, Gobs − Gcalc, under PDFgui's header.

    dataset : which one of a fit of several, by name. Without errors of the data dG is 1, as PDFfit2 has it.
    `read_pdf` returns the observed G(r) of it.

    Raises PdfkitError for an unknown data set, WriteError when the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> result = pk.fit(model, model(np.arange(1, 10, 0.02)), free=["scale"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.io.write_fgr(f"{folder}/ni.fgr", result)
    ...     back = pk.read_pdf(f"{folder}/ni.fgr")
    >>> bool(np.allclose(back.G, result.datasets[0].data.G)), back.instrument.qmax
    (True, 25.0)
    """
    from pdfkit.io.pdf import instrument_lines

    one = _dataset(result, dataset)
    dG = np.ones(len(one.data)) if one.data.dG is None else one.data.dG
    head = ["History written by pdfkit: a fit in the format of PDFgui", "##### PDFgui"]
    head += [*instrument_lines(one.model.instrument_used), f"rw={result.rw!r}", "##### start data"]
    columns = (one.data.r, one.calc.G, np.zeros(dG.size), dG, one.difference)
    write_text(path, _rows([*head, "#L r(A) G(r) d_r d_Gr Gdiff"], columns))


def write_res(path: AnyPath, result: FitResult) -> None:
    """Write a fit as the text that PDFgui exports, a .res file: phases, data, parameters, with standard errors.

    Raises PdfkitError for phases that are no crystals, WriteError when the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> result = pk.fit(model, model(np.arange(1, 10, 0.02)), free=["scale"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.io.write_res(f"{folder}/ni.res", result)
    ...     print(Path(folder, "ni.res").read_text().splitlines()[5].strip())
    PHASE 1 : ni
    """
    from pdfkit.projects.summary import res_text

    write_text(path, res_text(result))


def write_project(path: AnyPath, fits: Mapping[str, FitResult]) -> Path:
    """Write fits, by name, as a project that PDFgui opens (.ddp3), for those who go on there.

    Each has its structures with every atom of the cell, its data in range, symmetry and ties as formulas of parameters
    @1, @2, …, start values and what was found. PDFgui's own fit of it gives what the convention "pdffit2" gives here.

    Raises PdfkitError for what PDFgui does not have (phases that are no crystals, shapes other than spheres, powers in
    ties, modification functions), WriteError when the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25), convention="pdffit2")
    >>> result = pk.fit(model, model(np.arange(1, 10, 0.05)), free=["scale", "a"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pk.io.write_project(f"{folder}/ni.ddp3", {"nickel": result})
    ...     print(pk.read_project(f"{folder}/ni.ddp3").fits["nickel"].constraints["ni lat(3)"])
    @2
    """
    from pdfkit.projects.making import project_of

    return project_of(fits).save(path)


def _dataset(result: FitResult, name: str | None) -> DatasetFit:
    known = {one.name or one.data.name: one for one in result.datasets}
    if name is None and len(result.datasets) == 1:
        return result.datasets[0]
    if name not in known:
        raise PdfkitError(f"dataset = {name!r} is not a data set of the fit: choose one of {', '.join(known)}")
    return known[name]
