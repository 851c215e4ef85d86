"""A ranking as one page for a paper's supplement: an HTML file that needs nothing else, or a table for LaTeX.

What is in it: the candidates and the funnel, the best rows with their evidence, how far lists can be trusted, the fits
of the best three with their differences in every pattern, their parameters, and what was assumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from pdfkit import _page
from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import write_text
from pdfkit.results.report import uncertain
from pdfkit.screening.rows import RankingRow, followed
from pdfkit.screening.settings import Composition
from pdfkit.screening.table import gathered, head_of, listed_of, parameter_names

if TYPE_CHECKING:
    from pdfkit.screening.ranking import Ranking

BEST = 3
"""Candidates whose fits are drawn and whose parameters are listed."""
ROWS = 12
"""Rows of the table of evidence."""
MOVED = 0.01
"""Of an Rw: a fit that is computed again and differs by more is told, as one that had not converged can."""
UNITS = {"Uiso": "Å²", "delta1": "Å", "delta2": "Å²", "zero": "°", "fwhm": "°", "qdamp": "Å⁻¹", "qbroad": "Å⁻¹"}
UNITS |= dict.fromkeys(("radius", "spacing", "disorder", "domain"), "Å")
"""Units of parameters, by the end of their names."""

# --- What is said ----------------------------------------------------------------------------------------------------


def write_report(path: str | PathLike[str], ranking: Ranking) -> Path:
    """Write the report: .html or .tex. PdfkitError for another ending or nothing fitted, WriteError for no file."""
    kinds = {".html": page, ".htm": page, ".tex": latex}
    suffix = Path(path).suffix.lower()
    if suffix not in kinds:
        raise PdfkitError(f"a report is an HTML page or a LaTeX table: end the name {Path(path).name} in .html or .tex")
    if not ranking.best(1):
        raise PdfkitError("no candidate could be fitted: there is nothing to report")
    return write_text(path, kinds[suffix](ranking))


def _evidence(ranking: Ranking) -> tuple[tuple[str, ...], ...]:
    """Return heads and the best rows of the table of evidence."""
    rows = ranking.best(ROWS)
    out = [("", "candidate", "formula", "atoms", "family", "Rw", "Δ ln Z", "probability", "k")]
    for k, row in enumerate(rows, 1):
        mark = "*" if row.indistinguishable else ""
        kind = "" if row.kind == "candidate" else f" ({row.kind})"
        out.append(
            (f"{k}{mark}", row.name + kind, row.formula, str(row.atoms), row.family, f"{row.rw:.4f}",
             f"{row.delta:.2f}", "" if math.isnan(row.probability) else f"{row.probability:.3f}", str(row.n_free))
        )  # fmt: skip
    return tuple(out)


def _listed(ranking: Ranking) -> list[str]:
    """Return how far the list can be trusted: probabilities, displacements, the certificate."""
    return listed_of(ranking) if ranking.listed else []


def _parameters(rows: Sequence[RankingRow]) -> tuple[tuple[str, ...], ...]:
    """Return the fitted values of some rows, a line for each parameter."""
    out = [("parameter", *(row.name for row in rows))]
    for name in parameter_names(rows):
        values = [row.values.get(name, (math.nan, math.nan)) for row in rows]
        unit = UNITS.get(name.rpartition(".")[2])
        out.append(
            (
                f"{name} ({unit})" if unit else name,
                *("" if math.isnan(value) else uncertain(value, error) for value, error in values),
            )
        )
    return tuple(out)


def _assumed(ranking: Ranking) -> Iterator[tuple[str, str]]:
    """Yield what was assumed, in words."""
    fit, data = ranking.settings, ranking.data
    lab = data.instrument
    yield "G(r)", f"{data.name or 'measured'}, r = {data.r[0]:.4g} to {data.r[-1]:.4g} Å, {len(data)} points"
    limits = f"Q = {lab.qmin:g} to {lab.qmax:g} Å⁻¹" if lab.qmax else ""
    yield "instrument", f"probe {lab.probe}, {limits}, window {lab.window}, scattering {lab.scattering}"
    yield "resolution", ", ".join(f"{name} {getattr(lab, name):g}" for name in ("qdamp", "qbroad", "resolution"))
    for name, one in ranking.more.items():
        known = one.instrument
        limits = f"Q = {known.qmin:g} to {known.qmax:g} Å⁻¹"
        yield f"beside G(r): {name}", f"G(r) of probe {known.probe}, {limits}, with its own noise and scale"
    for name in ranking.problem.patterns:
        yield f"beside G(r): {name}", "with its own noise, scale and background"
    yield "fitted", ", ".join(fit.free) + "; one isotropic U for each element" * (not fit.surface)
    for name in ("start", "ties", "bounds"):
        if given := getattr(fit, name):
            yield name, ", ".join(f"{key} = {value}" for key, value in given.items())
    yield "noise", _noise(ranking)
    yield "atoms", _places(ranking)
    yield "prior", "all candidates alike; parameters flat between their bounds, a scale up to twice its value"
    yield "alike", f"within {ranking.threshold:g} of the best in ln Z (marked *)"
    yield from _composition(ranking.composition)


def _noise(ranking: Ranking) -> str:
    if ranking.noise == "misfit":
        return "of the size of the best misfit"
    known = "of the size of the errors of the data"
    return (
        known if ranking.noise == "known" else f"{known}; {ranking.noise.replace('misfit of', 'of the best misfit in')}"
    )


def _places(ranking: Ranking) -> str:
    size = ranking.problem.displacement
    if size == "none" or not followed(ranking.best(len(ranking))):
        return "where candidates have them"
    found = "by as much as the data ask for" if isinstance(size, str) else f"by {size:g} Å rms"
    return f"displaced {found}, as a part of the noise; curves and parameters are those of undisplaced atoms"


def _composition(known: Composition) -> Iterator[tuple[str, str]]:
    for one in fields(known):
        value = getattr(known, one.name)
        if known.mass is None and one.name in ("inorganic", "mass_tolerance"):
            continue
        if value is not None:
            yield f"composition: {one.name}", str(value)


def _versions() -> str:
    import numpy
    import scipy

    from pdfkit import __version__

    return f"pdfkit {__version__}, numpy {numpy.__version__}, scipy {scipy.__version__}"


# --- HTML ------------------------------------------------------------------------------------------------------------


def page(ranking: Ranking) -> str:
    """Return the report as one HTML file: pictures and style are in it."""
    best = ranking.best(BEST, kind="candidate")
    first, *others = head_of(ranking)
    parts = [
        _page.heading(first, 1),
        _page.paragraphs([*_joined(others), " ".join(_listed(ranking))]),
        *_tabled("Evidence", _evidence(ranking)),
        f'<div class="pictures">{"".join(_figure(ranking, row) for row in best)}</div>',
        *_tabled("Parameters of the best", _parameters(best)),
        *_tabled("What was assumed", (("", ""), *_assumed(ranking)), words=True),
    ]
    if said := tuple(gathered(best)):
        parts += [_page.heading("Remarks"), _page.paragraphs(said)]
    return _page.document(ranking.data.name or "Candidates against G(r)", parts, _versions())


def _joined(lines: Sequence[str]) -> list[str]:
    """Return the stages a line each, and what is wrapped for a terminal as one."""
    stages = [line.strip() for line in lines if line.startswith("  ")]
    return [*stages, " ".join(line for line in lines if not line.startswith("  "))]


def _tabled(heading: str, rows: Sequence[Sequence[str]], *, words: bool = False) -> tuple[str, str]:
    return _page.heading(heading), _page.table(rows, words=words)


def _figure(ranking: Ranking, row: RankingRow) -> str:
    """Return the fit of a row with its differences in every pattern, as a picture in the page."""
    from pdfkit.plot import fits
    from pdfkit.plot.canvas import drawn

    words = f"{row.name}: {row.formula}, Rw = {row.rw:.4f}, Δ ln Z = {row.delta:.2f}"
    result = ranking.result(row.name)
    again = f"; computed again for this page, Rw = {result.rw:.4f}: screen anew to see which holds"
    return _page.picture(drawn(fits.fit(result)), words + again * (abs(result.rw - row.rw) > MOVED * row.rw + 1e-4))


# --- LaTeX -----------------------------------------------------------------------------------------------------------

_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "Å": r"\AA{}", "Δ": r"$\Delta$", "χ": r"$\chi$",
    "²": r"$^2$", "³": r"$^3$", "⁻¹": r"$^{-1}$", "⁻²": r"$^{-2}$", "±": r"$\pm$", "·": r"$\cdot$", "≤": r"$\le$",
    "≥": r"$\ge$", "×": r"$\times$", "–": "--", "…": r"\ldots{}", "π": r"$\pi$", "½": r"$\frac12$", "<": r"$<$",
    ">": r"$>$", "σ": r"$\sigma$", "τ": r"$\tau$", "δ": r"$\delta$", "α": r"$\alpha$",
    "β": r"$\beta$", "γ": r"$\gamma$", "μ": r"$\mu$", "°": r"$^\circ$", "−": r"$-$",
}  # fmt: skip


def tex(text: str) -> str:
    """Return text as LaTeX sets it, with a ? for letters that its fonts lack."""
    for plain in ("⁻¹", "⁻²"):
        text = text.replace(plain, {"⁻¹": "\x01", "⁻²": "\x02"}[plain])
    known = {**_TEX, "\x01": _TEX["⁻¹"], "\x02": _TEX["⁻²"]}
    return "".join(known.get(one, one if ord(one) < 256 else "?") for one in text)


def latex(ranking: Ranking) -> str:
    """Return two tables in LaTeX, of the evidence and of the parameters; what was assumed is in their captions."""
    best = ranking.best(BEST, kind="candidate")
    first, *others = head_of(ranking)
    *stages, rest = _joined(others)
    said = [first, *(f"{'; '.join(stages)}." for _ in stages[:1]), rest, *_listed(ranking)]
    assumed = "; ".join(f"{name}: {text}" if name else text for name, text in _assumed(ranking))
    return "\n".join(
        [
            f"% {_versions()}; needs no package",
            *_table_tex(_evidence(ranking), " ".join([*said, assumed + "."])),
            "",
            *_table_tex(_parameters(best), "Parameters of the best candidates, standard errors in brackets."),
            "",
        ]
    )


def _table_tex(rows: Sequence[Sequence[str]], caption: str) -> list[str]:
    heads, *rest = rows
    return [
        r"\begin{table}",
        rf"\caption{{{tex(caption)}}}",
        r"\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{{'l' * len(heads)}}}",
        r"\hline",
        " & ".join(map(tex, heads)) + r" \\",
        r"\hline",
        *(" & ".join(map(tex, row)) + r" \\" for row in rest),
        r"\hline",
        r"\end{tabular}",
        r"\end{table}",
    ]
