"""A result of a fit as the text that PDFgui shows and exports as .res: the headings and order of PDFfit2's own report.

Values have their standard error in brackets, "3.52549 (0.00061)". What programs look for in such a text, the numbered
list under "Refinement parameters :", has the numbers of the free parameters in their order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit.errors import PdfkitError
from pdfkit.io.stru_text import listed_numbers

if TYPE_CHECKING:
    from pdfkit.phases.crystal import Crystal
    from pdfkit.results.result import DatasetFit, FitResult

RULE, LINE = " " + 78 * "=", " " + 78 * "-"
STRONG = 0.8
_PROBES = {"X": "X-Rays", "N": "Neutrons", "E": "Electrons"}


def res_text(result: FitResult) -> str:
    """Return the text of a .res file. PdfkitError for phases that are no crystals, which PDFfit2 does not have."""
    phases: Sequence[Any] = result.datasets[0].model.phases
    if other := next((phase for phase in phases if phase.kind != "crystal"), None):
        raise PdfkitError(f"phase {other.name} is {other.kind}: a .res lists atoms of cells, and has crystals only")
    lines = [RULE, " PDF REFINEMENT", "   Written by pdfkit in the form of PDFfit2; values (standard errors)", RULE]
    for k, phase in enumerate(phases, 1):
        lines += [*_head(f"PHASE {k} : {phase.name}"), *_phase(phase, result)]
    for k, one in enumerate(result.datasets, 1):
        lines += [*_head(f"DATA SET : {k} ({one.data.name or one.name or 'data'})"), *_data(one, result)]
    lines += [*_head("PARAMETER INFORMATION :"), *_parameters(result)]
    return "\n".join([*lines, *_head("REFINEMENT INFORMATION:"), *_refinement(result), RULE]) + "\n"


def _head(text: str) -> list[str]:
    return [LINE, f" {text}", LINE]


def shown(value: float, error: float | None = None) -> str:
    """Return a value with its error as PDFfit2 writes them."""
    known = error is not None and math.isfinite(error) and error > 0
    return f"{value:.6g} ({error:.2g})" if known else f"{value:.6g}"


# --- Phases ----------------------------------------------------------------------------------------------------------


def _phase(phase: Crystal, result: FitResult) -> Iterator[str]:
    several = len(result.datasets) > 1
    scales = [f"{one.name}." if several else "" for one in result.datasets]
    yield f" Scale factor           : {', '.join(_of(result, f'{lead}{phase.name}.scale') for lead in scales)}"
    for word, name in (("Particle diameter", "spdiameter"), ("Step cutoff      ", "stepcut")):
        yield f"   {word}    : {_of(result, f'{phase.name}.{name}') or 'not applied'}"
    words = ("Quad. corr. factor", "Lin. corr. factor ", "Low r sigma ratio ", "R cutoff [A]      ")
    for word, name in zip(words, ("delta2", "delta1", "sratio", "rcut"), strict=True):
        yield f" {word}     : {_of(result, f'{phase.name}.{name}')}"
    numbers = listed_numbers(phase.structure)
    errors = np.nan_to_num(phase.errors(result.covariance_of(phase), listed_numbers))
    cell = [shown(*pair) for pair in zip(numbers[:6], errors[:6], strict=True)]
    yield f" Lattice parameters     :{_row(cell[:3])}"
    yield f"           & angles     :{_row(cell[3:])}"
    elements = [site.element.upper() for site in phase.structure.to_p1().sites]
    atoms = list(zip(elements, numbers[6:].reshape(-1, 10), errors[6:].reshape(-1, 10), strict=True))
    yield from ("", " Atom positions & occupancies :")
    yield from (f"   {element:<4}{_row(_pairs(atom, error, (0, 1, 2, 9)))}" for element, atom, error in atoms)
    yield from ("", " Anisotropic temperature factors :")
    for element, atom, error in atoms:
        yield f"   {element:<4}{_row(_pairs(atom, error, (3, 4, 5)))}"
        if atom[6:9].any():
            yield f"       {_row(_pairs(atom, error, (6, 7, 8)))}"


def _pairs(atom: Any, error: Any, columns: Iterable[int]) -> list[str]:
    return [shown(atom[k], error[k]) for k in columns]


def _row(words: Iterable[str]) -> str:
    return "".join(f" {word:<20}" for word in words).rstrip()


def _of(result: FitResult, name: str) -> str:
    """Return a parameter with its error, "" where the fit has none of that name."""
    par = dict.get(result.params, name)
    return "" if par is None else shown(float(par.value), par.stderr)


# --- Data and fit ----------------------------------------------------------------------------------------------------


def _data(one: DatasetFit, result: FitResult) -> Iterator[str]:
    r, own = one.data.r, one.model.instrument_used
    lead = f"{one.name}." if len(result.datasets) > 1 else ""
    qmax = "not applied" if math.isinf(own.qmax or math.inf) else f"{own.qmax:g} A**-1"
    yield f" Refinement r range     : {r[0]:<8.6g} -> {r[-1]:<8.6g}      Data pts : {r.size}"
    yield f" Rw - value             : {one.rw:.6g}"
    yield from ("", " Experimental settings  :", f"   Radiation            : {_PROBES[own.probe or 'X']}")
    yield f"   Termination at Qmax  : {qmax}"
    yield f"   DQ dampening Qdamp   : {_of(result, f'{lead}qdamp')} A**-1"
    yield f"   DQ broadening Qbroad : {_of(result, f'{lead}qbroad')} A**-1"
    yield from ("", " Relative phase content in terms of", f"          {_row(('atoms', 'unit cells', 'mass'))}")
    for k, table in enumerate(result.fractions.values(), 1):
        yield f" Phase {k} :{_row(shown(*table[kind]) for kind in ('atoms', 'cells', 'mass'))}"
    yield ""


def _parameters(result: FitResult) -> Iterator[str]:
    yield f" Number of refined parameters : {len(result.free)}"
    yield from ("", " Refinement parameters :")
    for k, name in enumerate(result.free, 1):
        error = result.params[name].stderr
        yield f"  {k}: {float(result.params[name].value):.9g}" + ("" if error is None else f" ({error:.3g})")
    yield from ("", " Their names in pdfkit :", *(f"  @{k} {name}" for k, name in enumerate(result.free, 1)))


def _refinement(result: FitResult) -> Iterator[str]:
    yield f" Number of iterations : {result.nfev}"
    yield f" Reduced chi squared  : {result.reduced_chi2:.6g} (over independent points)"
    yield f" Rw - value           : {result.rw:.6g}"
    yield from ("", f" Correlations greater than {STRONG:g} :", "")
    matrix, n = result.correlation, len(result.free)
    strong = [(i, j) for i in range(n) for j in range(i) if abs(matrix[i, j]) > STRONG]
    yield from (f"   Corr(p[{j + 1}], p[{i + 1}]) = {matrix[i, j]:.4f}" for i, j in strong)
    yield from ["   *** none ***"] * (not strong)
