"""Fit results on disk: HDF5 in NeXus form, there and back.

    entry/                      NXentry; title, date, program, @default leads to the curves
      data/                     NXdata: observed (± errors), calculated, difference over r
      phases/  partials/        NXdata: share of every phase, and of every pair of species in it (zb.Cd.S)
      noise/                    NXdata: power of the noise over Q, where the fit estimated it
      parameters/               one column each: name, value, error, minimum, maximum, vary, expression, start, held…
      covariance/ correlation/  NXdata: matrices of the free parameters, in the order of `names`
      fit/  fractions/          Rw, χ², verdict…; fractions of atoms, cells and mass
      minima/                   those that a search found, a row each: Rw, χ², how often reached, ln Z, flaws, values
      model/                    the refined model as JSON (what `load_result` reads) and every phase as CIF
      recipe/ inputs/ versions/ what was asked for, SHA-256 of the input files, versions of the programs

A fit of several data sets has data, phases, partials and model once per data set, in `dataset_<name>`. A pattern beside
G(r) is a `pattern_<name>`, with curves and, as JSON, its model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.data.spectrum import NoiseSpectrum
from pdfkit.errors import PdfkitError, ReadError, heard, remark
from pdfkit.io._atomic import AnyPath
from pdfkit.io._folders import unfinished
from pdfkit.io.hdf5 import Field, Group, check_format, nxdata, read_nexus, write_entry
from pdfkit.model import serial
from pdfkit.model.model import Model
from pdfkit.model.params import Parameters, make_parameters
from pdfkit.model.pattern import PatternModel
from pdfkit.model.resolution import INSTRUMENT_QUANTITIES, OURS
from pdfkit.model.restraints import Restrained, Restraint
from pdfkit.results.columns import free_name, shares_of
from pdfkit.results.patterns import PatternFit
from pdfkit.results.problem import FitProblem, FitSettings
from pdfkit.results.result import DatasetFit, FitResult
from pdfkit.results.tables import (
    AGAIN,
    fractions_group,
    minima_group,
    parameters_group,
    read_fractions,
    read_minima,
    read_parameters,
)

FORMAT = "pdfkit fit result"
FORMAT_VERSION = 1
_NUMBERS = ("rw", "chi2", "reduced_chi2", "n_points", "n_independent", "nfev", "seconds", "whitened")
# Where the size of the errors can come from.
_SOURCES = ("cov", "dG", "spectrum", "misfit")
# No long_name for the curves beside the first: silx shows the names of fields better.
_UNKNOWN = "unknown"
_G = {"units": "angstrom^-2"}
_LABELLED = {**_G, "long_name": "G (Å⁻²)"}
_R = {"units": "angstrom", "long_name": "r (Å)"}


def save_result(
    path: AnyPath, result: FitResult, *, recipe: str = "", digests: Mapping[str, str] | None = None
) -> Path:
    """Write a fit result to an HDF5 file in NeXus form and return the path.

    Parameters
    ----------
    recipe : the text the fit was run from. digests : SHA-256 of the input files (hex), by name.

    Raises
    ------
    WriteError : the file cannot be written; an old one is then unchanged.
    PdfkitError : the model holds a phase that has no plain form.
    """
    datasets = result.datasets
    entry: dict[str, Group | Field] = {}
    if len(datasets) == 1:
        entry.update(_dataset(0, datasets[0]))
        default = "data"
    else:
        for k, one in enumerate(datasets):
            entry[f"dataset_{one.name}"] = Group("NXsubentry", _dataset(k, one), {"default": "data"})
        default = f"dataset_{datasets[0].name}"
    for pattern in result.patterns:
        entry[f"pattern_{pattern.name}"] = _pattern(pattern)
    entry["parameters"] = parameters_group(result.params)
    entry["covariance"] = _matrix("covariance of the free parameters", "covariance", result.free, result.covariance)
    entry["correlation"] = _matrix("correlation of the free parameters", "correlation", result.free, result.correlation)
    entry["fit"] = _summary(result)
    entry["fractions"] = fractions_group(result.fractions)
    if result.minima:
        entry["minima"] = minima_group(result.minima)
    if recipe:
        entry["recipe"] = Group("NXnote", {"type": Field("text/plain"), "data": Field(recipe)})
    if digests:
        columns = {"name": Field(list(digests)), "sha256": Field([str(one) for one in digests.values()])}
        entry["inputs"] = Group("NXcollection", columns)
    return write_entry(path, _title(result), entry, default, (FORMAT, FORMAT_VERSION))


def load_result(path: AnyPath) -> FitResult:
    """Return the fit result that `FitResult.save` wrote: parameters, errors, curves, and models that can be evaluated.

    Raises ReadError when the file is missing, damaged, or was not written by pdfkit. Nothing in it is executed. A
    PdfkitWarning says so when a run was killed while it put this file's folder in order.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> data = model.with_values({"ni.a": 3.53})(np.arange(1, 10, 0.02))  # simulated
    >>> result = pk.fit(model, data, free=["scale", "a"])
    >>> with TemporaryDirectory() as folder:
    ...     back = pk.load_result(result.save(Path(folder, "ni.h5")))
    >>> print(f"a = {back.params['ni.a'].value:.3f} Å,", (back.calc.G == result.calc.G).all())
    a = 3.530 Å, True
    """
    entry = read_nexus(path).group("entry")
    if words := unfinished(path):
        remark(words)
    check_format(entry, FORMAT, FORMAT_VERSION, "result.save")
    try:
        with heard():  # what is to be said of the model was said when it was fitted
            return _result(entry)
    except ReadError:
        raise
    except Exception as error:  # lmfit and the constructors raise whatever comes along
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReadError(path, f"this file does not hold a whole fit result ({reason}): {AGAIN}") from None


# --- writing ---------------------------------------------------------------------------------------------------------


def _title(result: FitResult) -> str:
    names = ", ".join(one.data.name or one.name for one in result.datasets).strip(", ")
    return f"Fit of G(r){f' of {names}' if names else ''}: Rw = {result.rw:.4f}"


def _dataset(position: int, one: DatasetFit) -> dict[str, Group | Field]:
    r = Field(one.data.r, _R)
    shares = shares_of(one)
    phases: dict[str, Array] = {}
    for (phase, _), G in shares.items():
        phases[phase] = phases[phase] + G if phase in phases else G
    curves = {"observed": one.data.G, "calculated": one.calc.G, "difference": one.difference}
    errors = {} if one.data.dG is None else {"observed": Field(one.data.dG, _G)}
    pairs = {
        f"{phase}.{a}.{b}": Field(G, {**_G, "phase": phase, "pair": f"{a}-{b}"})
        for (phase, (a, b)), G in shares.items()
    }
    model: dict[str, Group | Field] = {"json": Field(serial.dumps(one.model)), "data_about": Field(_about(one.data))}
    for part in one.model.phases:
        for ending, text in part.files().items():
            note = {"type": Field(f"chemical/x-{ending}"), "data": Field(text)}
            model[f"{ending}_{part.name}"] = Group("NXnote", note)
    if one.whole is not None and one.whole.cov is None and not np.array_equal(one.whole.r, one.data.r):
        model |= {f"whole_{name}": Field(values) for name, values in _curves_of(one.whole).items()}
    named = f" ({one.name})" if one.name else ""
    about: dict[str, Any] = {"name": one.name, "position": position, "messages": list(one.messages)}
    if one.begin is not None:
        about["begin"] = one.begin
    return {
        "data": nxdata(
            f"G(r), measured and calculated{named}, Rw = {one.rw:.4f}",
            ("r", r),
            {name: Field(G, _LABELLED if name == "observed" else _G) for name, G in curves.items()},
            errors,
        ),
        "phases": nxdata(f"phases{named}", ("r", r), {free_name(name): Field(G, _G) for name, G in phases.items()}),
        **({} if one.noise is None else {"noise": _noise(one.noise)}),
        "partials": nxdata(f"pairs of species{named}: they add up to the fit", ("r", r), pairs),
        "model": Group("NXcollection", model, about),
    }


def _pattern(one: PatternFit) -> Group:
    """Return a pattern beside G(r): curves to look at, and all of it as JSON."""
    unit = {"units": "1/angstrom", "long_name": "Q (Å⁻¹)"}
    curves = {
        "observed": one.data.I,
        "calculated": one.calc,
        "difference": one.difference,
        "background": one.background,
    }
    title = f"I(Q), measured and calculated ({one.name}), reduced χ² = {one.reduced_chi2:.3g}"
    fields_of = {name: Field(I) for name, I in curves.items()}
    data = nxdata(title, ("Q", Field(one.data.Q, unit)), fields_of, {"observed": Field(one.sigma)})
    whole = {f.name: getattr(one, f.name) for f in fields(one)}
    return Group("NXsubentry", {"data": data, "json": Field(serial.dumps(whole))}, {"default": "data"})


def _read_pattern(group: Group) -> PatternFit:
    found = serial.loads(group.text("json"))
    if not isinstance(found, dict) or not isinstance(found.get("model"), PatternModel):
        raise ReadError(group.source, f"{group.where} holds no pattern: {AGAIN}")
    return PatternFit(**found)


def _curves_of(pdf: PDF) -> dict[str, Array]:
    """Return r, G and, where they are known, dG of a curve."""
    return {"r": pdf.r, "G": pdf.G, **({} if pdf.dG is None else {"dG": pdf.dG})}


def _noise(noise: NoiseSpectrum) -> Group:
    title = "power of the noise: if it were so at all Q, dG² would be that"
    power = Field(noise.power, {"units": "angstrom^-4", "long_name": "power (Å⁻⁴)"})
    axis = Field(noise.Q, {"units": "1/angstrom", "long_name": "Q (Å⁻¹)"})
    out = nxdata(title, ("Q", axis), {"power": power})
    about = {"stiffness": Field(noise.stiffness), "shaped": Field(noise.shaped), "weighs": Field(noise.weighs)}
    return replace(out, members={**out.members, **about})


def _read_noise(group: Group) -> NoiseSpectrum | None:
    if "noise" not in group:
        return None
    found = group.group("noise")
    shaped, weighs = (bool(found.number(name)) for name in ("shaped", "weighs"))
    return NoiseSpectrum(found.array("Q"), found.array("power"), found.number("stiffness"), shaped, weighs)


def _about(data: PDF) -> str:
    """Return what a PDF knows besides its curve, as JSON."""
    about = {
        "name": data.name,
        "composition": data.composition,
        "temperature": data.temperature,
        "header": data.header,
        "instrument": data.instrument,
        "cov": data.cov,
    }
    return serial.dumps(about)


def _matrix(title: str, name: str, names: tuple[str, ...], values: Array) -> Group:
    members: dict[str, Group | Field] = {"title": Field(title), name: Field(values), "names": Field(list(names))}
    return Group("NXdata", members, {"signal": name})


def _summary(result: FitResult) -> Group:
    members: dict[str, Group | Field] = {name: Field(getattr(result, name)) for name in _NUMBERS}
    members["minimum"] = Field(result.minimum)
    members["use_errors"] = Field(result.problem.use_errors)
    members["noise"] = Field(result.problem.settings.noise)
    members["search"] = Field(json.dumps(result.search))
    members["grid"] = Field(result.problem.settings.grid)
    weights = result.problem.settings.weights
    members["weights"] = Field([float(weights.get(name, 1.0)) for name in _names(result)])
    members["sizes"] = Field([one.size for one in result.datasets])
    members["converged"] = Field(result.converged)
    members["describes"] = Field(result.describes)
    members["restraint_scale"] = Field(result.problem.restraint_scale or 1.0)
    members["restraint_chi2"] = Field(result.restraint_chi2)
    members["restraints"] = Field(_restraints(result))
    members["message"] = Field(result.message)
    members["errors_from"] = Field(result.errors_from)
    members["remarks"] = Field(list(result.remarks))
    members["at_bounds"] = Field(list(result.at_bounds))
    return Group("NXcollection", members)


def _names(result: FitResult) -> list[str]:
    """Return the names of all data sets, patterns last."""
    return [*(one.name for one in result.datasets), *(one.name for one in result.patterns)]


def _restraints(result: FitResult) -> str:
    """Return the restraints as JSON; "unknown" where one is of a kind that is not pdfkit's."""
    try:
        return serial.dumps(result.restraints) if result.restraints is not None else _UNKNOWN
    except PdfkitError:
        return _UNKNOWN


def _read_restraints(fit: Group) -> tuple[Restraint, ...] | None:
    text = fit.text("restraints") if "restraints" in fit else "[]"
    found: tuple[Restraint, ...] | None = None if text == _UNKNOWN else serial.loads(text)
    if found is not None and not all(isinstance(one, Restrained) for one in found):
        raise ReadError(fit.source, f"its restraints cannot be read: {AGAIN}")
    return found


# --- reading ---------------------------------------------------------------------------------------------------------


def _result(entry: Group) -> FitResult:
    free = entry.group("covariance").texts("names")
    covariance = entry.group("covariance").array("covariance", 2)
    params = read_parameters(entry.group("parameters"), free, covariance)
    groups = [entry] if "data" in entry else [
        entry.group(name) for name in entry.members if name.startswith("dataset_")
    ]  # fmt: skip
    datasets = [one for _, one in sorted((_read_dataset(group) for group in groups), key=lambda one: one[0])]
    if not datasets:
        raise ReadError(entry.source, f"it holds no data: {AGAIN}")
    patterns = tuple(_read_pattern(entry.group(name)) for name in entry.members if name.startswith("pattern_"))
    _complete(params, datasets)
    for one in datasets:
        _check_model(entry, params, one, len(datasets) > 1)
    fit = entry.group("fit")
    if "sizes" in fit:
        datasets = [replace(one, size=size) for one, size in zip(datasets, fit.array("sizes").tolist(), strict=True)]
    numbers = {name: fit.number(name) for name in _NUMBERS}
    if below := [name for name, value in numbers.items() if value < 0]:
        raise ReadError(entry.source, f"{below[0]} of the fit is below 0: {AGAIN}")
    if (errors := fit.text("errors_from")) not in _SOURCES:
        raise ReadError(entry.source, f"errors_from {errors[:40]!r} is not known: {AGAIN}")
    problem = FitProblem(
        tuple(datasets),
        bool(fit.number("use_errors")) if "use_errors" in fit else errors != "misfit",
        _settings(fit, [*datasets, *patterns], bool(numbers["whitened"])),
        _read_restraints(fit),
        fit.number("restraint_scale") if "restraint_scale" in fit else 1.0,
        patterns=patterns,
    )
    return FitResult(
        params=params,
        free=free,
        values=np.array([float(params[name].value) for name in free]),
        covariance=covariance,
        datasets=tuple(datasets),
        patterns=patterns,
        rw=numbers["rw"],
        chi2=numbers["chi2"],
        reduced_chi2=numbers["reduced_chi2"],
        n_points=int(numbers["n_points"]),
        n_independent=numbers["n_independent"],
        nfev=int(numbers["nfev"]),
        converged=bool(fit.number("converged")),
        message=fit.text("message"),
        remarks=fit.texts("remarks"),
        at_bounds=fit.texts("at_bounds"),
        errors_from=errors,
        fractions=read_fractions(entry.group("fractions")),
        seconds=numbers["seconds"],
        problem=problem,
        restraint_chi2=(restraint := fit.number("restraint_chi2") if "restraint_chi2" in fit else 0.0),
        minimum=fit.number("minimum") if "minimum" in fit else numbers["chi2"] + restraint,
        minima=read_minima(entry, params),
        search=_read_search(fit),
    )


def _read_search(fit: Group) -> str | dict[str, Any]:
    """Return how the minimum was looked for; fits of before were one local fit."""
    text = fit.text("search") if "search" in fit else '"plain"'
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, str | dict):
        raise ReadError(fit.source, f"its search {text!r} is none: {AGAIN}")
    return found


def _check_model(entry: Group, params: Parameters, one: DatasetFit, several: bool) -> None:
    """Refuse a file whose parameters are not those of its own model: somebody changed one of the two."""
    for name, value in zip(one.model.names, one.model.values, strict=True):
        own = f"{one.name}.{name}"
        par = dict.get(params, own) if several and own in params else dict.get(params, name)
        if par is not None and not math.isclose(float(par.value), float(value), rel_tol=1e-6, abs_tol=1e-9):
            raise ReadError(
                entry.source,
                f"its parameter {par.name} = {float(par.value):.8g} is not that of its model, {value:.8g}: {AGAIN}",
            )


def _settings(fit: Group, datasets: Sequence[DatasetFit | PatternFit], whitened: bool) -> FitSettings:
    """Return the settings of a fit; files of before say neither the grid nor how noise was found."""
    found = any(getattr(one, "noise", None) is not None for one in datasets)
    noise = fit.text("noise") if "noise" in fit else "estimated" if found else "given"
    grid = fit.text("grid") if "grid" in fit else "data"
    known = fit.array("weights").tolist() if "weights" in fit else [1.0] * len(datasets)
    weights = {one.name: weight for one, weight in zip(datasets, known, strict=True) if weight != 1.0}
    return FitSettings("covariance" if whitened else "independent", grid, noise=noise, weights=weights)


def _complete(params: Parameters, datasets: Sequence[DatasetFit]) -> None:
    """Add what an instrument had no number for when the file was written, fixed at what was done then: 0."""
    names = {f"{one.name}.{name}" if len(datasets) > 1 else name: name for one in datasets for name in OURS}
    new = (replace(INSTRUMENT_QUANTITIES[short], name=name) for name, short in names.items() if name not in params)
    for name, par in make_parameters(new).items():
        params[name] = par


def _read_dataset(group: Group) -> tuple[int, DatasetFit]:
    """Return the place of a data set among the others, and the data set."""
    about = group.group("model")
    model = serial.loads(about.text("json"))
    facts = serial.data_facts(about.text("data_about"))
    if not isinstance(model, Model):
        raise ReadError(group.source, f"{about.where} holds no model: {AGAIN}")
    curves = group.group("data")
    r = curves.array("r")
    errors = curves.array("observed_errors") if "observed_errors" in curves else None
    data = PDF(r, curves.array("observed"), errors, **facts)
    calc = PDF(r, curves.array("calculated"), instrument=model.instrument)
    messages = tuple(str(one) for one in about.attrs.get("messages", ()))
    name = str(about.attrs.get("name", ""))
    begin = about.attrs.get("begin")
    start = None if begin is None else float(begin)
    whole = None
    if "whole_r" in about:
        dG = about.array("whole_dG") if "whole_dG" in about else None
        whole = PDF(about.array("whole_r"), about.array("whole_G"), dG, **{**facts, "cov": None})
    one = DatasetFit(name, model, data, start, calc, messages, noise=_read_noise(group), whole=whole)
    return int(about.attrs.get("position", 0)), one
