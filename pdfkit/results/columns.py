"""Curves of a fit as plain columns, with what was fitted in the lines before them."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.instrument import RESOLUTION
from pdfkit.io._atomic import AnyPath
from pdfkit.io._header import SPELLED
from pdfkit.io.columns import write_columns
from pdfkit.io.hdf5 import version
from pdfkit.model.params import why_held

if TYPE_CHECKING:
    from pdfkit.results.patterns import PatternFit
    from pdfkit.results.result import DatasetFit, FitResult


def write_fit_columns(path: AnyPath, result: FitResult) -> tuple[Path, ...]:
    """Write the curves of a fit as text; see `FitResult.write_columns`."""
    file = Path(path)
    several = len(result.datasets) > 1
    out = []
    for one in result.datasets:
        target = file.with_name(f"{file.stem}_{one.name}{file.suffix}") if several else file
        columns = columns_of(one)
        write_columns(target, list(columns), list(columns.values()), _column_header(result, one))
        out.append(target)
    for pattern in result.patterns:
        target, columns = file.with_name(f"{file.stem}_{pattern.name}{file.suffix}"), pattern.columns()
        write_columns(target, list(columns), list(columns.values()), _pattern_header(result, pattern))
        out.append(target)
    return tuple(out)


def columns_of(one: DatasetFit) -> dict[str, Array]:
    """Return r, Gobs, Gcalc, Gdiff, dG if measured, and the shares of phases and pairs of species in Gcalc, by name."""
    out = {"r": one.data.r, "Gobs": one.data.G, "Gcalc": one.calc.G, "Gdiff": one.difference}
    if one.data.dG is not None:
        out["dG"] = one.data.dG
    shares = shares_of(one)
    for phase in one.model.phases:
        out[free_name(phase.name)] = np.sum([G for (name, _), G in shares.items() if name == phase.name], axis=0)
    out.update({f"{phase}:{a}-{b}": G for (phase, (a, b)), G in shares.items()})
    return out


def free_name(phase: str) -> str:
    """Return the name of a phase's curve; a phase may bear the name of one of the curves beside it."""
    return f"{phase}_phase" if phase in ("r", "title", "Gobs", "Gcalc", "Gdiff", "dG") else phase


def _column_header(result: FitResult, one: DatasetFit) -> list[str]:
    """Return what was fitted, as lines that `read_columns` and `read_pdf` understand."""
    instrument = one.model.instrument_used
    lines = [
        f"fit of G(r) by pdfkit {version('pdfkit-scattering')}",
        f"date = {datetime.now().astimezone().isoformat(timespec='seconds')}",
        f"data = {one.data.name or one.name or 'unnamed'}",
        f"verdict = {result.message}",
        f"rw = {result.rw:.6g}",
        f"rw_unweighted = {one.rw:.6g}",
        f"reduced_chi2 = {result.reduced_chi2:.6g}",
        f"n_points = {result.n_points}",
        f"n_independent = {result.n_independent:.6g}",
        f"errors_from = {result.errors_from}",
        f"stype = {instrument.probe}",
        f"qmin = {instrument.qmin!r}",
        *([f"qmax = {instrument.qmax!r}"] if math.isfinite(instrument.qmax or math.inf) else []),
        f"window = {instrument.window}",
        f"scattering = {instrument.scattering}",
        *([] if instrument.wavelength is None else [f"wavelength = {instrument.wavelength!r}"]),
        *(["anomalous = true"] if instrument.anomalous else []),
    ]
    # Of several data sets the parameters are called <name>.qdamp, and readers look for the plain word.
    plain = RESOLUTION if len(result.datasets) > 1 else SPELLED
    lines += [f"{SPELLED.get(name, name)} = {getattr(instrument, name)!r}" for name in plain]
    lines += [_parameter_line(name, par) for name, par in result.params.items()]
    return [*lines, *(f"remark: {remark}" for remark in result.remarks)]


def _pattern_header(result: FitResult, one: PatternFit) -> list[str]:
    """Return what was fitted of a pattern, as lines that `read_columns` and `read_intensity` understand."""
    wavelength = getattr(one.measured, "known_wavelength", None)
    return [
        f"fit of I(Q) by pdfkit {version('pdfkit-scattering')}",
        f"data = {one.data.name or one.name}",
        f"probe = {one.measured.probe}",
        "q_unit = A-1",
        *([] if wavelength is None else [f"wavelength = {wavelength!r}"]),
        f"rw = {one.rw:.6g}",
        f"reduced_chi2 = {one.reduced_chi2:.6g}",
        f"n_independent = {one.count}",
        f"errors_from = {one.errors_from}",
        *(f"{name} = {value!r} ± {error:.3g}" for name, (value, error) in one.linear.items()),
        *(_parameter_line(name, par) for name, par in result.params.items()),
        *(f"remark: {text}" for text in (one.measured.assumed, *one.remarks)),
    ]


def _parameter_line(name: str, par: Any) -> str:
    unit = str((par.user_data or {}).get("unit", ""))
    error = "" if par.stderr is None else f" ± {float(par.stderr):.3g}"
    held = why_held(par)
    state = f"tied to {par.expr}" if par.expr else "refined" if par.vary else f"held: {held}" if held else "fixed"
    return f"{name} = {float(par.value)!r}{error}{f' {unit}' if unit else ''}, {state}"


def shares_of(one: DatasetFit) -> dict[tuple[str, tuple[str, str]], Array]:
    """Return the share in G_calc of every phase and species pair on the data's r; they add up to it."""
    return one.model.evaluator(one.data.r, one.begin).parts(one.model.values)
