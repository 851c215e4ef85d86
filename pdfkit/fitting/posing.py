"""What a fit is asked, from what a user gives: models of data sets, points in range, parameters and what varies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from pdfkit import _checks
from pdfkit.fitting.datasets import (
    Data,
    Ends,
    beside,
    beyond,
    by_name,
    ends,
    in_range,
    resolved,
    said_twice,
    told_of_all,
    usable,
    weighed,
)
from pdfkit.fitting.parts import global_quantities
from pdfkit.model.model import Model
from pdfkit.model.params import Parameters, apply_choices, is_default, make_parameters
from pdfkit.model.resolution import INSTRUMENT_QUANTITIES
from pdfkit.model.restraints import Restraint
from pdfkit.results.problem import FitProblem, FitSettings, PosedData

Bounds = Mapping[str, tuple[float | None, float | None]]


@dataclass(frozen=True, eq=False)
class Range:
    """Which data and which of their points a fit uses, and how these weigh: arguments of `pdfkit.fit`."""

    rmin: Ends = None
    rmax: Ends = None
    use_errors: bool = True
    settings: FitSettings = field(default_factory=FitSettings)
    restraints: tuple[Restraint, ...] = ()

    def problem(self, model: Model, data: Data) -> tuple[FitProblem, tuple[str, ...]]:
        """Return the problem of a model and data, and what is to be said of it."""
        whole = by_name(model, data, self.use_errors)
        models, said = resolved(model, whole)
        use_errors, without = usable(whole, models, self.settings, self.use_errors)
        patterns, of_patterns = beside(model, data)
        asked = replace(self.settings, weights=told_of_all(self.settings.weights, data))
        settings, unweighed = weighed(asked, [*whole, *(one.name for one in patterns)])
        rmin, rmax = (told_of_all(limit, data) for limit in (self.rmin, self.rmax))
        low, high = ends("rmin", rmin, whole), ends("rmax", rmax, whole)
        sets = tuple(
            PosedData(name, models[name], *in_range(pdf, models[name], low[name], high[name], settings.grid), whole=pdf)
            for name, pdf in whole.items()
        )
        about = (*said, *said_twice(data), *without, *unweighed, *beyond(high, whole), *of_patterns)
        return FitProblem(sets, use_errors, settings, self.restraints, patterns=patterns), about


@dataclass(frozen=True, eq=False)
class Posed:
    """What a fit is asked: the problem, the parameters that it starts from, and what is to be said of both."""

    range: Range
    problem: FitProblem
    params: Parameters
    of_data: tuple[str, ...]
    about: tuple[str, ...]

    @property
    def said(self) -> tuple[str, ...]:
        """What is to be said of the data, then of the parameters."""
        return self.of_data + self.about

    @classmethod
    def of(
        cls,
        model: Model,
        data: Data,
        *,
        rmin: Ends = None,
        rmax: Ends = None,
        free: Iterable[str] = (),
        ties: Mapping[str, str | float] | None = None,
        bounds: Bounds | None = None,
        params: Parameters | None = None,
        restraints: Sequence[Restraint] = (),
        use_errors: bool = True,
        settings: FitSettings | None = None,
    ) -> Self:
        """Pose a fit; arguments and errors are those of `pdfkit.fit`."""
        settings = _checks.instance("settings", settings or FitSettings(), FitSettings, "pdfkit.FitSettings(...)")
        some = Range(rmin, rmax, use_errors, settings, tuple(restraints))
        problem, said = some.problem(model, data)
        params, about = _parameters(problem, params)
        about += (*apply_choices(params, free, ties, bounds), *_twice_broad(params))
        return cls(some, problem, params, said, about)


def _parameters(problem: FitProblem, params: Parameters | None) -> tuple[Parameters, tuple[str, ...]]:
    """Return the parameters of a problem, or a copy of those given, and what is to be said of these."""
    models = {one.name: one.model for one in problem.datasets}
    if params is None:
        return make_parameters(global_quantities(models, problem.patterns)), ()
    own = params.copy()
    return own, _adopt(own, models)


def _adopt(params: Parameters, models: Mapping[str, Model]) -> tuple[str, ...]:
    """Give numbers of the instrument that nobody has touched what the data say; say which stand against that."""
    remarks = []
    for q in global_quantities(models):
        par = params.get(q.name)
        if par is None or q.name.rpartition(".")[2] not in INSTRUMENT_QUANTITIES or par.vary or par.expr:
            continue
        about = par.user_data or {}
        if about.get("of model") and par.value == about["made"][0] and is_default(par):
            par.set(value=q.value, min=min(par.min, q.value), max=max(par.max, q.value))
        elif par.value != q.value:
            remarks.append(f"{q.name} is fixed at {par.value:g} by params; the data or the model state {q.value:g}")
    return tuple(remarks)


def _twice_broad(params: Parameters) -> tuple[str, ...]:
    """Say of which data both ways of broadening are used."""
    used = {name for name, par in params.items() if par.vary or par.expr or par.value}
    return tuple(
        f"{name} and {name.replace('qbroad', 'resolution')} both broaden peaks with r, and can stand for each other: "
        "leave qbroad at 0, or resolution where the instrument was calibrated in PDFgui"
        for name in params
        if name.rpartition(".")[2] == "qbroad" and used >= {name, name.replace("qbroad", "resolution")}
    )
