"""What candidates are compared with beside G(r), further G(r) and patterns: what a fit leaves, and how much that says.

ln L is the sum over the data sets, each with −½ χ² where the best candidate fits within its errors (reduced χ² up to
`MISFIT`), else with −½ N ln(χ²/N), the size of its noise integrated out: a pattern that no candidate describes counts
by how much better one misses it than another. Scales of patterns are integrated out with a flat prior up to twice
their value; their backgrounds cost every candidate the same.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.curves import PDF, Intensity
from pdfkit.errors import PdfkitError
from pdfkit.fitting.comparison import MISFIT
from pdfkit.fitting.datasets import twice
from pdfkit.fitting.discrepancy import OF, missed
from pdfkit.fitting.parts import Dataset
from pdfkit.model.measured import MeasuredPattern, taken_for
from pdfkit.results.result import DatasetFit, FitResult

Parts = Mapping[str, tuple[float, float, bool]]
"""χ², independent numbers, and whether the size of the errors is known, by the name of a data set; "" is G(r)."""


def split(data: Any) -> tuple[dict[str, PDF], dict[str, MeasuredPattern]]:
    """Return each G(r) and the patterns beside it, by name. PdfkitError for anything else, or no PDF."""
    if not isinstance(data, Mapping):
        return {"pdf": _checks.instance("data", data, PDF, _WANTED)}, {}
    patterns = {name: one for name, one in data.items() if isinstance(one, Intensity | MeasuredPattern)}
    rest = {name: one for name, one in data.items() if name not in patterns}
    if not rest:
        raise PdfkitError("a screen compares with G(r), and patterns beside it: none of these data sets is a PDF")
    sets = {name: _checks.instance(f"data set {name}", one, PDF, _WANTED) for name, one in rest.items()}
    _check_several(sets)
    if again := twice(data):
        a, b = again[0]
        raise PdfkitError(f"data sets {a} and {b} are one measurement, which would count twice: give it once")
    known = {name: taken_for(one)[0] if isinstance(one, Intensity) else one for name, one in patterns.items()}
    return sets, known


_WANTED = "a PDF, as read_pdf returns it, after the candidates"


def _check_several(sets: Mapping[str, PDF]) -> None:
    """Refuse several G(r) that do not say how they were measured: what one says is nothing that others have."""
    for name, one in sets.items() if len(sets) > 1 else ():
        about = one.instrument
        if about.probe is None or not about.qmax or not math.isfinite(about.qmax):
            raise PdfkitError(f"{name} does not say its probe and a finite qmax, which each of several G(r) needs")


def digest_of_pdf(pdf: PDF) -> bytes:
    """Return a hash of a further G(r) and of how it was measured."""
    out = hashlib.sha256(repr(pdf.instrument).encode())
    for curve in curves_of(pdf):
        out.update(b"none" if curve is None else np.ascontiguousarray(curve).tobytes())
    return out.digest()


def curves_of(pdf: PDF) -> list[Array | None]:
    """Return all arrays of G(r) that a fit depends on."""
    cov = pdf.cov
    curves = [pdf.r, pdf.G, pdf.dG]
    return curves if cov is None else [*curves, cov.Q, cov.weight, cov.variance, cov.modes, cov.core]


def digest_of(patterns: Mapping[str, MeasuredPattern]) -> bytes:
    """Return a hash of patterns and of how they were measured."""
    out = hashlib.sha256()
    for name, one in patterns.items():
        about = {f.name: getattr(one, f.name) for f in fields(one) if f.name != "data"}
        out.update(f"{name} {one.kind} {one.probe} {one.data.wavelength} {sorted(about.items())}".encode())
        for curve in (one.data.Q, one.data.I, one.data.dI):
            out.update(b"none" if curve is None else np.ascontiguousarray(curve).tobytes())
    return out.digest()


def parts_of(result: FitResult) -> dict[str, list[float]]:
    """Return what a fit leaves of every data set, as a record keeps it; nothing where G(r) is the only one."""
    if not result.problem.apart:
        return {}
    beside = {one.name: [one.chi2, float(one.count), 1.0] for one in result.patterns}
    if len(result.datasets) > 1:
        return {"" if k == 0 else one.name: _part_of(one, result) for k, one in enumerate(result.datasets)} | beside
    (pdf,) = result.datasets
    known = result.errors_from in ("cov", "dG")
    count = result.n_independent - sum(one.count for one in result.patterns)
    whole = result.chi2 - sum(one.chi2 for one in result.patterns)
    return {"": [whole * (1.0 if known else pdf.size**2), count, float(known)], **beside}


def _part_of(one: DatasetFit, result: FitResult) -> list[float]:
    """Return what a fit leaves of one of several G(r), in units of its errors, or as it is."""
    made = Dataset.of(replace(one, size=1.0), result.problem.use_errors, "covariance")
    assert made.whiten is not None
    f = made.rows(one.calc.G[made.whiten.index], np.zeros((0, made.target.size)))[-1]
    return [float(f @ f), float(made.count), float(made.has_errors)]


def noise_of(parts: Iterable[Parts]) -> str:
    """Return "known", "misfit", or of which data sets the noise is the misfit of the best: "misfit of G(r), saxs"."""
    rows = list(parts)
    names = list(rows[0])
    wrong = [name for name in names if min(_reduced(row[name]) for row in rows) > MISFIT]
    if len(wrong) == len(names):
        return "misfit"
    return OF + ", ".join(name or "G(r)" for name in wrong) if wrong else "known"


def unknown(parts: Parts) -> str:
    """Return the noise where all errors that data sets have hold: "known", or the misfit of those without errors."""
    without = [name or "G(r)" for name, (_, _, known) in parts.items() if not known]
    if len(without) == len(parts):
        return "misfit"
    return OF + ", ".join(without) if without else "known"


def _reduced(part: tuple[float, float, bool]) -> float:
    chi2, count, known = part
    return chi2 / count if known else math.inf


def ln_likelihood(parts: Parts, noise: str) -> float:
    """Return ln L of what a fit leaves, up to a constant that is common to all candidates."""
    out = 0.0
    for name, (chi2, count, _) in parts.items():
        out += -0.5 * count * math.log(max(chi2, 1e-300) / count) if missed(name, noise) else -0.5 * chi2
    return out


def simulated(
    result: FitResult,
    patterns: Mapping[str, MeasuredPattern],
    rng: np.random.Generator,
    displaced: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """Return the patterns of a fit measured anew: with the noise of their errors, or of what the model misses.

    displaced : the curves (m,) of particles whose atoms are displaced, which then cause what the model misses.
    """
    out = {}
    for fit in (one for one in result.patterns if one.name in patterns):
        curve = fit.calc if displaced is None else displaced[fit.name] + fit.background
        size = fit.size if displaced is None else 1.0
        out[fit.name] = curve + size * fit.sigma * rng.standard_normal(curve.size)
    return out


def with_curves(patterns: Mapping[str, MeasuredPattern], curves: Mapping[str, Array]) -> dict[str, MeasuredPattern]:
    """Return patterns with other intensities."""
    return {name: replace(one, data=replace(one.data, I=curves[name])) for name, one in patterns.items()}
