"""Data sets of a fit: which instrument counts for each, and which of its points.

The numbers of the resolution (qdamp, qbroad, resolution, qtail) come from one calibration, and a window goes with its
width: data that say one of them say all. The instrument of a model describes data of its own probe only; and where it
is that of one of several data sets, it does not describe the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit.data.curves import PDF, Intensity
from pdfkit.data.instrument import RESOLUTION, Instrument
from pdfkit.data.repeats import repeated
from pdfkit.errors import PdfkitError
from pdfkit.fitting.whitening import possible
from pdfkit.model.measured import MeasuredPattern, taken_for
from pdfkit.model.model import Model
from pdfkit.model.pattern import PatternModel
from pdfkit.results.problem import FitSettings, PosedPattern, begin_of

# --- Which instrument counts for each data set of a fit --------------------------------------------------------------

Beside = Intensity | MeasuredPattern
Data = PDF | Mapping[str, PDF | Beside] | Sequence[PDF]
Ends = float | None | Mapping[str, float | None]

_SHORT = 0.5
"""Å by which data may end before rmax without a word."""

TOGETHER = (RESOLUTION, ("window", "window_width"))

# What a model cannot be without, and what belongs to the calculation as much as to the data: lent to any data set.
ALWAYS_LENT = ("probe", "qmax", "scattering")

# The wavelength steers nothing unless anomalous terms are asked for, which only X-rays have.
_OF_XRAYS = ("wavelength", "anomalous")


def named(model: Model, data: Data) -> dict[str, PDF]:
    """Return data sets by name: "" for a single one; those of a list get their own names, or data1, data2…

    Patterns beside them are left out.
    """
    if isinstance(data, PDF):
        return {"": data}
    given: dict[str, Any] = dict(data) if isinstance(data, Mapping) else _with_names(model, data)
    if not isinstance(data, Mapping) and any(isinstance(one, Beside) for one in given.values()):
        raise PdfkitError('patterns need names: give a dict of all data, such as {"pdf": G, "saxs": I}')
    sets: dict[str, PDF] = {name: one for name, one in given.items() if not isinstance(one, Beside)}
    if not sets:
        raise PdfkitError("there are no data to fit: give at least one PDF, beside which patterns can be fitted")
    for name, pdf in sets.items():
        if not isinstance(pdf, PDF):
            raise PdfkitError(
                f"data set {name or 1} is of type {type(pdf).__name__}: read G(r) with pdfkit.read_pdf; patterns are "
                "a pdfkit.Intensity, or a pdfkit.patterns.SmallAngle or Powder of one"
            )
    return {"": next(iter(sets.values()))} if len(sets) == 1 else sets


def _with_names(model: Model, data: Any) -> dict[str, PDF]:
    try:
        sets = list(data)
    except TypeError:
        raise PdfkitError(
            f"data is of type {type(data).__name__}: give a PDF, a list of PDFs, or a dict of PDFs by name"
        ) from None
    words = [re.sub(r"\W+", "_", getattr(pdf, "name", "")).strip("_") for pdf in sets]
    taken = {phase.name for phase in model.phases}
    usable = all(word.isidentifier() and word not in taken for word in words) and len(set(words)) == len(words)
    return dict(zip(words if usable else [f"data{k}" for k in range(1, len(sets) + 1)], sets, strict=True))


def beside(model: Model, data: Data) -> tuple[tuple[PosedPattern, ...], tuple[str, ...]]:
    """Return the patterns among the data, each with its model, and what is to be said of them."""
    given = data.items() if isinstance(data, Mapping) else ()
    taken = {phase.name for phase in model.phases}
    posed, said = [], []
    for name, one in given:
        if not isinstance(one, Beside):
            continue
        if not name.isidentifier() or name in taken:
            raise PdfkitError(
                f"data set name {name!r} cannot be used: write letters, digits and _, and not the name of a phase"
            )
        measured, words = (one, "") if isinstance(one, MeasuredPattern) else taken_for(one)
        own = model.strengths if measured.probe == model.instrument.probe else {}
        posed.append(PosedPattern(name, PatternModel(model.phases, measured, own)))
        said += [f"{name}: {words}"] * bool(words) + [f"{name}: {text}" for text in measured.data.remarks]
    return tuple(posed), tuple(said)


def twice(data: Data) -> tuple[tuple[str, str], ...]:
    """Return names of data sets that are one measurement."""
    if isinstance(data, PDF):
        return ()
    named = data.items() if isinstance(data, Mapping) else ((f"data{k}", one) for k, one in enumerate(data, start=1))
    return repeated({name: one.data if isinstance(one, MeasuredPattern) else one for name, one in named})


def said_twice(data: Data) -> tuple[str, ...]:
    """Say which data sets are one measurement."""
    return tuple(
        f"data sets {a} and {b} are one measurement: it counts twice, and errors come out too small; give it once"
        for a, b in twice(data)
    )


def told_of_all(given: Any, data: Data) -> Any:
    """Return what is given by names of data sets, by those that a fit has: that of the only PDF is "" there."""
    if not isinstance(given, Mapping) or not isinstance(data, Mapping):
        return given
    only = [name for name, one in data.items() if not isinstance(one, Beside)]
    return {"" if only == [name] else name: one for name, one in given.items()}


def weighed(settings: FitSettings, names: Iterable[str]) -> tuple[FitSettings, tuple[str, ...]]:
    """Return the settings with the weights of data sets that a fit has, and what is to be said of them.

    Raises PdfkitError for a data set that does not exist.
    """
    known = list(names)
    if not settings.weights:
        return settings, ()
    if len(known) == 1:
        said = "the weight of the only data set has no effect: it says how much one counts against others"
        return replace(settings, weights={}), (said,)
    for name in settings.weights:
        if name not in known:
            raise PdfkitError(f"weights name {name!r}: the data sets are {', '.join(known)}", key="weights")
    return settings, ()


def resolved(model: Model, data: Mapping[str, PDF]) -> tuple[dict[str, Model], tuple[str, ...]]:
    """Return the model of each data set, measured as that was, and remarks on what contradicts or was assumed."""
    known = model.instrument
    belongs = len(data) > 1 and any(pdf.instrument == known for pdf in data.values())
    models, remarks = {}, []
    heard = {word for pdf in data.values() for word in pdf.instrument.given} & {"qdamp"}
    for name, pdf in data.items():
        own = model.convention.of_data(pdf.instrument)
        lends = not belongs and own.probe in (None, known.probe)
        title = name or pdf.name or "the data"
        if own != pdf.instrument:
            remarks.append(
                f"{title}: the scattering strengths of these data depend on Q; convention {model.convention.cut!r} "
                "has constant ones"
            )
        try:
            used = _merged(own, own.given, known, known.given, lends, lends or not belongs)
        except PdfkitError as error:
            raise PdfkitError(f"{title}: {error}") from None
        if not belongs:
            remarks += _contradiction(title, own, known, used, several=len(data) > 1)
        if len(data) > 1:
            remarks += _borrowed(title, own, used)
            if heard - _said(used):
                remarks.append(f"{title}: neither the data nor the model state qdamp; {used.qdamp:g} is used")
        models[name] = model if used == known else _measured(model, used, title, remarks)
        remarks += _constant(title, models[name])
    return models, tuple(remarks)


def _constant(title: str, model: Model) -> list[str]:
    """Say where scattering strengths that depend on Q are the rule, and cannot be had."""
    about, convention = model.instrument, model.convention
    elements = {element for phase in model.phases for element in phase.composition()} - set(model.strengths)
    if len(elements) < 2 or about.scattering == "constant" or about.probe == "N" or convention.constant:
        return []
    if convention.scattering_of(about) != "constant":
        return []
    return [
        f"{title}: without a finite qmax the scattering strengths are those at Q = 0; measured data have those that "
        'depend on Q, and displacements of light atoms come out too large: give qmax, or scattering="constant" if '
        "constant ones are meant"
    ]


def _said(own: Instrument) -> set[str]:
    """Return the names of what an instrument says, with what goes with it."""
    said = set(own.given)
    for group in TOGETHER:
        if said & set(group):
            said |= set(group)
    return said


def _names(own: Instrument) -> list[str]:
    return [f.name for f in fields(own) if f.name != "given"]


@lru_cache(maxsize=32)
def _merged(
    own: Instrument,
    own_given: tuple[str, ...],
    known: Instrument,
    known_given: tuple[str, ...],
    lends: bool,
    resonant: bool,
) -> Instrument:
    """Return what data say of their instrument, completed by what a model knows.

    What was given is an argument of its own: instruments compare without it.
    """
    said = _said(own)
    always = (*ALWAYS_LENT, "anomalous") if resonant else ALWAYS_LENT
    lent = [name for name in _names(own) if name not in said and (lends or name in always)]
    if (own.probe or known.probe) != "X" and "anomalous" in lent:
        lent.remove("anomalous")
    changed: dict[str, Any] = {name: getattr(known, name) for name in lent}
    return replace(own, **changed, given=(*own_given, *(name for name in lent if name in known_given)))


def _measured(model: Model, used: Instrument, title: str, remarks: list[str]) -> Model:
    """Return the model measured by another instrument; strengths that were given hold for their own probe."""
    if model.strengths and used.probe != model.instrument.probe:
        remarks.append(
            f"{title}: the strengths given to the model are for another probe; tabulated ones are used for these data"
        )
        return Model(model.phases, used, model.convention)
    return model.with_instrument(used)


def _contradiction(title: str, own: Instrument, known: Instrument, used: Instrument, *, several: bool) -> list[str]:
    """Say where data and model both speak and differ: the data count."""
    said = _said(own)
    differ = [n for n in _names(own) if n in said and n in known.given and getattr(own, n) != getattr(known, n)]
    differ = [n for n in differ if used.anomalous or n not in _OF_XRAYS]
    if several and "probe" in differ:  # of several data sets, those of another probe had another instrument
        return []
    ours = ", ".join(f"{n} = {_shown(getattr(own, n))}" for n in differ)
    theirs = ", ".join(_shown(getattr(known, n)) for n in differ)
    return [f"{title}: {ours} of the data is used, not {theirs} of the model"] if differ else []


def _borrowed(title: str, own: Instrument, used: Instrument) -> list[str]:
    """Say what one of several data sets was silent about."""
    taken = [n for n in _names(own) if getattr(own, n) != getattr(used, n) and n != "anomalous"]
    taken = [n for n in taken if used.anomalous or n not in _OF_XRAYS]
    text = ", ".join(f"{n} = {_shown(getattr(used, n))}" for n in taken)
    return [f"{title}: the data do not state {', '.join(taken)}; the model's {text} is used"] if taken else []


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def by_name(model: Model, data: Data, use_errors: bool) -> dict[str, PDF]:
    """Return the data sets by name."""
    _checks.flag("use_errors", use_errors)
    if not isinstance(model, Model):
        raise PdfkitError(
            f"the model is of type {type(model).__name__}: make one with pdfkit.Model(phases, instrument)"
        )
    return named(model, data)


def usable(
    data: Mapping[str, PDF], models: Mapping[str, Model], settings: FitSettings, use_errors: bool
) -> tuple[bool, tuple[str, ...]]:
    """Return whether errors of the data are used, and a remark: some with and some without have no common measure.

    Where the spectrum of each residual is that measure, none are; elsewhere this is refused.
    """
    without = [name for name, pdf in data.items() if pdf.dG is None]
    if not use_errors or not 0 < len(without) < len(data):
        return use_errors, ()
    names = ", ".join(without)[:80]
    estimated = settings.noise == "estimated" and settings.errors != "independent"
    if estimated and all(possible(one) for one in models.values()):
        return False, (
            f"{names} has no errors dG, and those of other data sets are not used either: residuals tell all",
        )
    raise PdfkitError(
        f"{names} has no errors dG, and other data sets have: give it dG (a third column of the "
        "file), or weigh all points alike with use_errors=False (in a recipe, under [fit]: use_errors = false)"
    )


def ends(what: str, given: Ends, data: Mapping[str, PDF]) -> dict[str, float | None]:
    """Return an end of the range of every data set."""
    if not isinstance(given, Mapping):
        return dict.fromkeys(data, given)
    unknown = [name for name in given if name not in data]
    if unknown:
        raise PdfkitError(f"{what} names {unknown[0]!r}: the data sets are {', '.join(data) or 'one without a name'}")
    return {name: given.get(name) for name in data}


def beyond(high: Mapping[str, float | None], data: Mapping[str, PDF]) -> tuple[str, ...]:
    """Say of which data sets rmax lies beyond the end."""
    said = []
    for name, pdf in data.items():
        rmax, last = high[name], float(pdf.r[-1])
        if rmax is not None and last + _SHORT < rmax < math.inf:
            of = f" of {name}" if name else ""
            said.append(f"the data{of} end at {last:.2f} Å: nothing is fitted from there to rmax = {rmax:g} Å")
    return tuple(said)


# --- The part of a data set that a fit uses --------------------------------------------------------------------------


def in_range(pdf: PDF, model: Model, rmin: float | None, rmax: float | None, grid: str) -> tuple[PDF, float]:
    """Return the part of the data in range, and where (Å) the filter of a program begins.

    PDFfit2 takes files as they are and filters from their first point, if that is not r = 0. PDFgui hands it the range
    of the fit alone, from the last point below rmin on.
    """
    if grid == "nyquist":
        return _like_pdfgui(pdf, model, rmin, rmax)
    if model.convention.cut == "pdffit2" and pdf.r[0] <= 0:
        pdf = pdf.crop(_first_of_pdfgui(pdf, rmin), rmax)
        return pdf, float(pdf.r[0])
    return pdf.crop(rmin, rmax), begin_of(pdf)


def _first_of_pdfgui(pdf: PDF, rmin: float | None) -> float:
    """Return where PDFgui begins: at the last point below rmin, if there is one (and it is not r = 0)."""
    below = pdf.r[(pdf.r < (0.0 if rmin is None else rmin)) & (pdf.r > 0)]
    return float(below[-1]) if below.size else begin_of(pdf)


def _like_pdfgui(pdf: PDF, model: Model, rmin: float | None, rmax: float | None) -> tuple[PDF, float]:
    """Return data interpolated on PDFgui's Nyquist grid. Source: its `FitDataSet`, version 3."""
    qmax = model.instrument.qmax or math.inf
    if model.convention.cut != "pdffit2" or math.isinf(qmax):
        raise PdfkitError('grid="nyquist" is PDFgui\'s: it needs the convention "pdffit2" and a finite qmax')
    first, step = _first_of_pdfgui(pdf, rmin), math.pi / qmax
    last = pdf.crop(rmin, rmax).r[-1] if rmax is None else min(rmax, float(pdf.r[-1]))
    count = round((last - first) / step)
    count += last - (first + count * step) > 1e-8 * step
    r = first + step * np.arange(count + 1)
    r = r[r <= pdf.r[-1] + 1e-8 * step]
    dG = None if pdf.dG is None else np.interp(r, pdf.r, pdf.dG)
    return replace(pdf, r=r, G=np.interp(r, pdf.r, pdf.G), dG=dG, cov=None), first
