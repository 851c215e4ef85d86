"""Models of one measurement side by side: which the data prefer, and by how much.

Each model has an evidence Z, the integral of its likelihood over its parameters, each with a flat prior between its
bounds: `pdfkit.fitting.evidence` has the formulas, and what is done where the posterior is no normal distribution. Only
differences mean something: Δ ln Z = ln Z(best) − ln Z, 0 for the best and larger for worse. Two models closer than 3
(odds of 20 to 1, where "strong" begins in Kass & Raftery, J. Am. Stat. Assoc. 90, 773 (1995)) cannot be told apart.

All models are measured by the same noise, the one that the best of them shows: where fits took the spectrum of the
noise from their residuals, that of the best fit, with its size integrated out. Errors dG that weigh points by
themselves count as known only while the best model fits within them. A best reduced χ² above 2 says that something
other than noise is wrong with every model; then small differences between large χ² would look decisive, and the size is
integrated out, too, so that the best misfit itself is the yardstick.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks, _expressions
from pdfkit._expressions import matching
from pdfkit._table import aligned, csv_text, frame, shortlist, view, wrapped
from pdfkit.data.curves import PDF
from pdfkit.data.spectrum import NoiseSpectrum
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.fitting.evidence import Evidence, Likelihood, Prior, sampled
from pdfkit.fitting.least_squares import fit, parameters, refit
from pdfkit.fitting.polishing import polished
from pdfkit.model.model import Model
from pdfkit.results.report import uncertain
from pdfkit.results.result import FitResult

if TYPE_CHECKING:
    from pandas import DataFrame


# --- How much the data say for a model -------------------------------------------------------------------------------

INDISTINGUISHABLE = 3.0
"""Δ ln Z below which two candidates cannot be told apart (odds of 20 to 1)."""

MISFIT = 2.0
"""Reduced χ² of the best candidate above which dG is no longer the yardstick."""

EVIDENCE = ("laplace", "nested")
"""How ln Z is computed: about the best fit, or by nested sampling of all of the priors (dynesty)."""

NEAR = 2.0
"""Standard deviations within which a bound cuts the posterior enough to be worth a remark."""

MOST_COLUMNS = 3
"""Models whose parameters stand side by side on a screen."""

Progress = Callable[[str], None]


Noises = tuple[NoiseSpectrum | None, ...]


def yardstick(results: Mapping[str, FitResult]) -> tuple[str, Noises]:
    """Return what misfits are measured by, the same for all: what the best fit says of the noise.

    "known" where the data bring errors that hold, else "misfit"; and the spectrum of each data set, None where points
    are weighed as the data say.
    """
    best = min(results.values(), key=lambda one: one.chi2)
    noises = tuple(one.noise for one in best.datasets)
    used = best.problem.use_errors and all(d.data.dG is not None or d.data.cov is not None for d in best.datasets)
    known = used and noises == (None,) * len(noises) and best.reduced_chi2 <= MISFIT
    return "known" if known else "misfit", tuple(one if one is not None and one.weighs else None for one in noises)


def weighed_alike(result: FitResult, noises: Noises) -> FitResult:
    """Return a fit in the measure of another one's noise, from where it ended."""
    sets = result.problem.datasets
    if all(one.noise is noise for one, noise in zip(sets, noises, strict=True)):
        return result
    sets = tuple(replace(one, noise=noise) for one, noise in zip(sets, noises, strict=True))
    return refit(replace(result, problem=replace(result.problem, datasets=sets)), result.params)


def _evidence(
    likelihood: Likelihood, result: FitResult, method: str, tell: Callable[[str], None], check: Callable[[], None]
) -> Evidence:
    if method == "laplace":
        tell("ln Z about its best fit")
        return sampled(likelihood, result.values, check=check)
    from pdfkit.fitting.nested import nested

    return nested(likelihood, result.values, tell=lambda n, left: tell(f"{n} evaluations, ln Z rises by {left:.2g}"))


def _told_of(name: str, tell: Callable[[str], None], words: str) -> None:
    tell(f"{name}: {words}")


# --- Models of one measurement side by side --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Comparison:
    """Fits of several models to the same data, best evidence first.

    names, results; lnz, errors (n,): ln Z up to a constant common to all, and the standard error of its computation.
    priors (n,): of the free parameters of each, a `Prior` with name, low and high. noise: "known" or "misfit" (its size
    is not). method: "laplace" or "nested". remarks: what to know before trusting the differences.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> bulk = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> ball = pk.Model(pk.Crystal.from_file("Ni", name="ni", shape=pk.Sphere(20)), bulk.instrument)
    >>> data = ball.with_values({"ni.spdiameter": 21})(np.arange(2, 15, 0.02))  # simulated
    >>> found = pk.compare({"bulk": bulk, "ball": ball}, data, free=["scale", "spdiameter"])
    >>> found.names, found.delta[1] > 3  # strong evidence against bulk
    (('ball', 'bulk'), True)
    >>> print(f"{found['ball'].params['ni.spdiameter'].value:.2f} Å")
    21.00 Å
    >>> [(prior.name, prior.low, prior.given) for prior in found.priors[0]]
    [('ni.scale', 0.0, False), ('ni.spdiameter', 0.1, False)]
    """

    names: tuple[str, ...]
    results: tuple[FitResult, ...]
    lnz: tuple[float, ...]
    errors: tuple[float, ...]
    priors: tuple[tuple[Prior, ...], ...]
    noise: str
    method: str = "laplace"
    remarks: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> FitResult:
        if name not in self.names:
            raise PdfkitError(f"no model is called {name!r}: there are {', '.join(self.names)}")
        return self.results[self.names.index(name)]

    @property
    def delta(self) -> tuple[float, ...]:
        """How far ln Z of each model lies below that of the best (n,): 0, then positive."""
        return tuple(self.lnz[0] - one for one in self.lnz)

    @classmethod
    def of(
        cls,
        results: Mapping[str, FitResult],
        *,
        evidence: str = "laplace",
        progress: Progress | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Comparison:
        """Compare fits that were done already; PdfkitError when they are of different data.

        evidence, progress : as for `pdfkit.compare`. check : called now and then in "laplace", which an exception
        ends.
        """
        if not results:
            raise PdfkitError("there are no fits to compare: give one at least")
        check_method(evidence)
        if any(one.patterns for one in results.values()):
            raise PdfkitError("patterns beside G(r) are in the one ln Z of pdfkit.screen: compare fits of G(r) here")
        same_data(results)
        noise, spectra = yardstick(results)
        tell = progress or (lambda words: None)
        alike = {name: weighed_alike(one, spectra) for name, one in results.items()}
        likelihoods = {name: Likelihood.of(one, noise) for name, one in alike.items()}
        found = {}
        for name, one in alike.items():
            said = partial(_told_of, name, tell)
            found[name] = _evidence(likelihoods[name], one, evidence, said, check)
        order = sorted(results, key=lambda name: -found[name].lnz)
        return cls(
            names=tuple(order),
            results=tuple(results[name] for name in order),
            lnz=tuple(found[name].lnz for name in order),
            errors=tuple(found[name].error for name in order),
            priors=tuple(likelihoods[name].priors for name in order),
            noise=noise,
            method=evidence,
            remarks=tuple(text for name in order for text in _remarks(name, results[name], found[name])),
        )

    def table(self) -> str:
        """Return the comparison as text: Rw, reduced χ², Δ ln Z, parameters with errors, priors, and remarks."""
        text = [*aligned(self._rows()), "", *self._values(), "", wrapped(self._how())]
        text += aligned(self._priors())
        text += ["", "remarks", *(wrapped(one, "  ") for one in self.remarks)] if self.remarks else []
        return "\n".join(text)

    __str__ = table

    def _rows(self) -> list[tuple[str, ...]]:
        known = self.noise == "known"
        rows: list[tuple[str, ...]] = [("model", "Rw", "χ²red" if known else "", "ΔlnZ", "±", "k", "")]
        for name, one, delta, error in zip(self.names, self.results, self.delta, self.errors, strict=True):
            notes = [] if one.converged else ["not converged"]
            notes += [] if one.describes else ["does not describe the data"]
            notes += ["peaks without width were left out"] * any(d.messages for d in one.datasets)
            chi2 = f"{one.reduced_chi2:.3g}" if known else ""
            numbers = f"{one.rw:.4f}", chi2, f"{delta:.3g}", f"{error:.1g}", str(len(one.free))
            rows.append((name, *numbers, ", ".join(notes)))
        return rows

    def _values(self) -> list[str]:
        """Return the parameters with errors: side by side where there is room, else a line for each model."""
        if len(self.names) <= MOST_COLUMNS:
            return aligned(side_by_side(dict(zip(self.names, self.results, strict=True))))
        lines = []
        for name, one in zip(self.names, self.results, strict=True):
            values = (f"{n} {uncertain(float(one.params[n].value), one.params[n].stderr)}" for n in one.free)
            lines.append(wrapped(f"{name}: {', '.join(values)}"))
        return lines

    def _how(self) -> str:
        """Say what the evidence is, and with which noise and priors."""
        how = {
            "laplace": "about its best fit (Laplace's integral, corrected by importance sampling)",
            "nested": "by nested sampling (dynesty)",
        }[self.method]
        size = "the errors of the data" if self.noise == "known" else "integrated out, being unknown"
        return (
            f"ΔlnZ: how far ln Z lies below that of the best model; below {INDISTINGUISHABLE:g} they cannot be told "
            f"apart. ln Z is integrated {how}; the size of the noise is {size}. Priors are flat, from low to high "
            "(* not bounded: see remarks):"
        ).replace(" (* not bounded: see remarks)", " (*: without a bound, from the values found)" * self._open())

    def _open(self) -> bool:
        return any(not prior.given for several in self.priors for prior in several)

    def _priors(self) -> list[tuple[str, ...]]:
        """Return a row for each prior, with the models that have it."""
        owners: dict[Prior, list[str]] = {}
        for name, several in zip(self.names, self.priors, strict=True):
            for prior in several:
                owners.setdefault(prior, []).append(name)
        rows: list[tuple[str, ...]] = [("parameter", "from", "to", "", "in")]
        for prior, names in sorted(owners.items(), key=lambda one: one[0].name):
            star = "" if prior.given else "*"
            rows.append((prior.name, f"{prior.low:.6g}", f"{prior.high:.6g}", star, ", ".join(names)))
        return rows

    def to_csv(self, path: str | PathLike[str]) -> Path:
        """Write one row per model: name, Rw, reduced χ², ln Z with error, Δ ln Z, parameters with values and errors.

        held : names of what was to be free but has no effect.
        """
        from pdfkit.io._atomic import write_text

        return write_text(path, csv_text(self._columns()))

    def to_dataframe(self) -> DataFrame:
        """Return the same as a `pandas.DataFrame`."""
        return frame(self._columns())

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the fits as plain numbers, strings and dicts (for JSON)."""
        rows = zip(self.names, self.lnz, self.errors, self.delta, self.priors, strict=True)
        return {
            "noise": self.noise,
            "evidence": self.method,
            "remarks": list(self.remarks),
            "models": {
                name: {"lnz": lnz, "lnz_error": error, "delta": delta, "priors": {p.name: [p.low, p.high] for p in own}}
                for name, lnz, error, delta, own in rows
            },
        }

    def _repr_html_(self) -> str:
        heads, *rows = self._rows()
        names, *priors = self._priors()
        return view(
            shortlist(f"Comparison of {len(rows)} models", heads, rows),
            shortlist(self._how(), names, priors, self.remarks),
        )

    def _columns(self) -> dict[str, list[Any]]:
        results = self.results
        out: dict[str, list[Any]] = {"model": list(self.names), "rw": [one.rw for one in results]}
        out |= {"reduced_chi2": [one.reduced_chi2 for one in results], "lnz": list(self.lnz)}
        out |= {"lnz_error": list(self.errors), "delta": list(self.delta)}
        out |= {"k": [len(one.free) for one in results], "converged": [one.converged for one in results]}
        out |= {"held": [" ".join(one.held) for one in results]}
        for name in sorted({name for one in results for name in one.free}):
            found = [one.params[name] if name in one.free else None for one in results]
            out[name] = [None if par is None else float(par.value) for par in found]
            out[f"{name} error"] = [None if par is None else par.stderr for par in found]
        return out


def side_by_side(results: Mapping[str, FitResult]) -> list[tuple[str, ...]]:
    """Return a row for each parameter that is free or tied in any of the fits, with its value in each.

    Of two fits the last column has the difference, second less first, in the larger of the two errors.
    """
    fits = list(results.values())
    names = dict.fromkeys(n for one in fits for n, par in one.params.items() if par.vary or par.expr)
    two = len(fits) == 2
    rows: list[tuple[str, ...]] = [("parameter", *results, *(["difference"] if two else []))]
    for name in names:
        pars = [dict.get(one.params, name) for one in fits]
        sigmas = None if not two or None in pars else in_sigmas(*pars)
        rows.append((name, *map(_shown, pars), *([_difference_of(sigmas)] if two else [])))
    return rows


def _difference_of(sigmas: float | None) -> str:
    return "" if sigmas is None else f"{sigmas:+.1f}σ".replace("-", "−")


def _shown(par: Any) -> str:
    if par is None:
        return "–"
    note = "" if par.vary else " tied" if par.expr else " fixed"
    return f"{uncertain(float(par.value), par.stderr)}{note}"


def in_sigmas(old: Any, new: Any) -> float | None:
    """Return the way from one value of a parameter to another in the larger of its errors; None without any."""
    errors = [par.stderr for par in (old, new) if par.stderr is not None and math.isfinite(par.stderr)]
    if not errors or max(errors) == 0.0:
        return None
    return float((new.value - old.value) / max(errors))


def check_method(evidence: str) -> None:
    """Refuse a method that does not exist, or that this machine does not have (PdfkitError)."""
    _checks.choice("evidence", evidence, EVIDENCE)
    if evidence == "nested":
        from pdfkit.fitting.nested import check_dynesty

        check_dynesty()


def _remarks(name: str, result: FitResult, found: Evidence) -> list[str]:
    """Return what is to be known of the evidence of a model."""
    out = [f"{name}: {text}" for text in result.remarks if text.startswith("found from")]
    ended = [f"{one} ended on a bound" for one in result.at_bounds]
    close = [f"{one} lies within {NEAR:g}σ of a bound" for one in _near(result)]
    if ended or close:
        out.append(f"{name}: {', '.join([*ended, *close])}; the integral ends there, and ln Z depends on that bound")
    for one in result.problem.known_restraints:
        if getattr(one, "normal", False):
            out.append(
                f"{name}: its restraint is the prior of the places of atoms, normal about the first ones (or those "
                "that it wants): ln Z depends on its σ"
            )
        elif getattr(one, "complete", False):
            out.append(
                f"{name}: its restraint of places of atoms counts as data that other models lack, so its ln Z compares "
                "only with that of fits with the same restraint; pk.screen weighs displacements for all models alike"
            )
    if found.remark:
        out.append(f"{name}: {found.remark} (ln Z ± {found.error:.2g}; about the best fit alone {found.laplace:.6g})")
    return out


def _near(result: FitResult) -> list[str]:
    """Return the free parameters whose bound lies within two standard errors, but not those on it."""
    out = []
    for name in result.free:
        par = result.params[name]
        room = min(par.value - par.min, par.max - par.value)
        if par.stderr is not None and name not in result.at_bounds and room < NEAR * par.stderr:
            out.append(name)
    return out


def compare(
    models: Mapping[str, Model | FitResult],
    data: PDF | None = None,
    *,
    free: Iterable[str] = (),
    ties: Mapping[str, str | float] | None = None,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    evidence: str = "laplace",
    progress: Progress | None = None,
    **options: Any,
) -> Comparison:
    """Fit several models to the same data and compare them by their evidence Z = ∫ L(p) π(p) dp.

    Each model is fitted from its own start values and then from what the others found (some n² fits), so that none
    stands at a worse minimum. Priors π are flat between the bounds of the fit, and named in the report: where there is
    no bound, a scale may be up to twice the sum of the scales of its model, anything else twice its value.

    models : by name, with their start values; or results of fits, which stay as they are. data : None where all are
    results. free, ties, bounds : as for `pdfkit.fit`, for all models together: what a
    model does not have is left out of its fit (a tie also when it names what the model lacks). evidence : "laplace",
    the integral about the best fit (300 to 3000 evaluations for each model, a second or less); "nested", by nested
    sampling of the whole priors (10⁴ to 10⁵ evaluations, minutes; needs dynesty). options : those of `fit` (rmin,
    rmax, use_errors, settings). progress : called with words on what is done next.

    Raises
    ------
    ParameterError : a name in free, ties or bounds that no model has. PdfkitError : no models, or no data for them;
    results of other data, ranges or weights; evidence="nested" without dynesty.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> crystals = {kind: pk.Crystal.from_file(f"CdS_{kind}", name="cds") for kind in ("wurtzite", "zincblende")}
    >>> models = {kind: pk.Model(one, pk.Instrument(probe="X", qmax=20)) for kind, one in crystals.items()}
    >>> data = models["zincblende"](np.arange(2, 12, 0.02))  # simulated
    >>> found = pk.compare(models, data, free=["scale", "a", "c", "Uiso"])
    >>> [(name, result.rw < 0.01) for name, result in zip(found.names, found.results)]
    [('zincblende', True), ('wurtzite', False)]
    """
    free = _checks.names("free", free)
    check_method(evidence)
    _checks.instance("models", models, Mapping, 'models by name, such as {"one": model_1, "two": model_2}')
    done = {key: one for key, one in models.items() if isinstance(one, FitResult)}
    todo = {key: one for key, one in models.items() if isinstance(one, Model)}
    if len(done) + len(todo) < len(models):
        key = next(key for key in models if key not in done and key not in todo)
        raise PdfkitError(f"{key} is of type {type(models[key]).__name__}: give models, or results of fits")
    if todo and data is None:
        raise PdfkitError(f"there are no data to fit {next(iter(todo))} to: give a PDF")
    names = {key: tuple(parameters(model)) for key, model in todo.items()}
    for pattern in (*free, *(ties or {}), *(bounds or {})):
        if not any(_has(known, pattern) for known in names.values()):
            raise ParameterError(f"no parameter of any model is called {pattern!r}: check its spelling", key=pattern)
    fitted = {}
    for key, model in todo.items():
        if progress is not None:
            progress(f"{key} from its start values")
        known = names[key]
        fitted[key] = fit(
            model,
            data,  # type: ignore[arg-type]
            free=[pattern for pattern in free if _has(known, pattern)],
            ties={name: tie for name, tie in (ties or {}).items() if _has(known, name) and _can(known, tie)},
            bounds={name: limits for name, limits in (bounds or {}).items() if _has(known, name)},
            **options,
        )
    results = {key: fitted.get(key) or done[key] for key in models}
    if results:
        same_data(results)
    return Comparison.of(polished(results, progress, done), evidence=evidence, progress=progress)


def _has(names: Sequence[str], pattern: str) -> bool:
    try:
        return bool(matching(names, pattern))
    except ParameterError:
        return False


def _can(names: Sequence[str], tie: str | float) -> bool:
    return all(_has(names, name) for name in _expressions.names(str(tie)))


def same_data(results: Mapping[str, FitResult]) -> None:
    """Refuse fits of other data, ranges or weights than the first, and say which of these differ (PdfkitError)."""
    first_name, first = next(iter(results.items()))
    for name, one in results.items():
        if one.problem.settings.weights:
            raise PdfkitError(
                f"{name} was fitted with weights of its data sets, and evidence knows none: fit it without them"
            )
        if differ := _difference(one, first):
            raise PdfkitError(f"{name} and {first_name} {differ}: their evidence cannot be compared")
        if one.whitened != first.whitened or one.problem.use_errors != first.problem.use_errors:
            how = " and ".join(_weighing(fit) for fit in (one, first))
            raise PdfkitError(
                f"{name} and {first_name} weigh points differently ({how}): fit them with the same errors= and "
                "use_errors="
            )


def _difference(one: FitResult, other: FitResult) -> str:
    """Return how the data of two fits differ, "" where they do not."""
    if len(one.datasets) != len(other.datasets):
        return f"have {len(one.datasets)} and {len(other.datasets)} data sets"
    for a, b in zip(one.datasets, other.datasets, strict=True):
        which = f" of {a.name}" if a.name else ""
        ends = [(float(pdf.r[0]), float(pdf.r[-1])) for pdf in (a.data, b.data)]
        if not np.allclose(ends[0], ends[1], rtol=0.0, atol=1e-9):
            shown = " and ".join(f"{low:.6g} to {high:.6g} Å" for low, high in ends)
            return f"were fitted in different ranges{which}, {shown}"
        if not np.array_equal(a.data.r, b.data.r):
            return f"were fitted at different r{which}"
        if not np.array_equal(a.data.G, b.data.G):
            return f"were fitted to different data{which}"
    return ""


def _weighing(result: FitResult) -> str:
    errors = "by the errors of the data" if result.problem.use_errors else "all alike"
    return f"{errors}, {'made independent' if result.whitened else 'by themselves'}"
