"""Models of one measurement side by side: which the data prefer, and by how much.

Notation: the fit leaves χ² over N_ind independent residuals, with k free parameters. Band-limited data hold one
independent point every π/Qmax (Shannon–Nyquist): residuals are made independent by their covariance, so that N_ind is
their number, or, where points are taken by themselves, χ² = Σ[(G_obs − G_calc)/dG]²·N_ind/N with N_ind = Δr·Qmax/π.
Where the size of the noise is not known, residuals are in units of their own.

| noise | formula |
|---|---|
| known | ln Z = −½ χ² − ½ k ln N_ind |
| not known | ln Z = −½ N_ind ln(χ²/N_ind) − ½ k ln N_ind |

Both are −½ BIC, Schwarz's limit of the Laplace approximation for priors as wide as one observation would leave them
(Schwarz, Ann. Stat. 6, 461 (1978); Kass & Raftery, J. Am. Stat. Assoc. 90, 773 (1995)), with the number of independent
points in place of the number of points, and, in the second, the noise at its maximum likelihood. Constants common to
all candidates are left out: only differences mean something. Two candidates closer than 3 (odds of 20 to 1, where Kass
and Raftery's "strong" begins) cannot be told apart.

A mixture is one of n(n − 1)/2 pairs of the n fitted candidates, and one among so many is sooner good by chance than one
among n: with both kinds equally likely beforehand, a mixture's ln Z is reduced by ln[(n − 1)/2].

Errors dG count as known only while the best candidate fits within them. A best reduced χ² above 2 says that something
other than noise is wrong with every model; then small differences between large χ² would look decisive, and the
second formula is used, where the best misfit itself is the yardstick.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks, _expressions
from pdfkit._expressions import matching
from pdfkit._table import aligned, csv_text, frame, shortlist, view
from pdfkit.data.curves import PDF
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.fitting.least_squares import fit, parameters
from pdfkit.model.model import Model
from pdfkit.results.result import FitResult

if TYPE_CHECKING:
    from pandas import DataFrame


# --- How much the data say for a candidate ---------------------------------------------------------------------------

INDISTINGUISHABLE = 3.0
"""Δ ln Z below which two candidates cannot be told apart (odds of 20 to 1)."""

MISFIT = 2.0
"""Reduced χ² of the best candidate above which dG is no longer the yardstick."""

# A misfit of nothing but rounding has no finite logarithm: no Rw counts as smaller than this.
SMALLEST_RW = 1e-10


def ln_evidence(chi2: float, independent: float, n_free: int, noise: str) -> float:
    """Return ln Z up to a constant; chi2 over `independent` residuals. noise : "known" or "misfit" (see the module)."""
    penalty = 0.5 * n_free * math.log(independent)
    if noise == "known":
        return -0.5 * chi2 - penalty
    return -0.5 * independent * math.log(chi2 / independent) - penalty


# --- Models of one measurement side by side --------------------------------------------------------------------------

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Fits of several models to the same data, best evidence first.

    names, results; evidence (n,): ln Z less that of the best (0, then negative). noise: "known" or "misfit".

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> bulk = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> ball = pk.Model(pk.Crystal.from_file("Ni", name="ni", shape=pk.Sphere(20)), bulk.instrument)
    >>> data = ball.with_values({"ni.spdiameter": 21})(np.arange(2, 15, 0.02))  # simulated
    >>> found = pk.compare({"bulk": bulk, "ball": ball}, data, free=["scale", "spdiameter"])
    >>> found.names, found.evidence[1] < -3  # strong evidence against bulk
    (('ball', 'bulk'), True)
    >>> print(f"{found['ball'].params['ni.spdiameter'].value:.2f} Å")
    21.00 Å
    """

    names: tuple[str, ...]
    results: tuple[FitResult, ...]
    evidence: tuple[float, ...]
    noise: str

    def __getitem__(self, name: str) -> FitResult:
        if name not in self.names:
            raise PdfkitError(f"no model is called {name!r}: there are {', '.join(self.names)}")
        return self.results[self.names.index(name)]

    @classmethod
    def of(cls, results: Mapping[str, FitResult]) -> Comparison:
        """Compare fits that were done already; PdfkitError when they are of different data."""
        if not results:
            raise PdfkitError("there are no fits to compare: give one at least")
        _same_data(results)
        best = min(one.reduced_chi2 for one in results.values())
        known = _have_errors(results.values()) and best <= MISFIT
        noise = "known" if known else "misfit"
        values = {name: _evidence(one, noise) for name, one in results.items()}
        order = sorted(results, key=lambda name: -values[name])
        top = values[order[0]]
        return cls(tuple(order), tuple(results[n] for n in order), tuple(values[n] - top for n in order), noise)

    def table(self) -> str:
        """Return the comparison as text: Rw, reduced χ², Δ ln Z, and the parameters of each model with errors."""
        from pdfkit.results.report import uncertain

        lines = [*aligned(self._rows()), ""]
        for name, one in zip(self.names, self.results, strict=True):
            values = (f"{n} {uncertain(float(one.params[n].value), one.params[n].stderr)}" for n in one.free)
            lines.append(f"{name}: {', '.join(values)}")
        return "\n".join(lines)

    __str__ = table

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("model", "Rw", "χ²red" if self.noise == "known" else "", "ΔlnZ", "k", "")]
        for name, one, evidence in zip(self.names, self.results, self.evidence, strict=True):
            chi2 = f"{one.reduced_chi2:.3g}" if self.noise == "known" else ""
            note = ", ".join(
                [
                    *([] if one.converged else ["not converged"]),
                    *([] if one.describes else ["does not describe the data"]),
                ]
            )
            if any(d.messages for d in one.datasets):
                note = ", ".join(x for x in (note, "peaks without width were left out") if x)
            rows.append((name, f"{one.rw:.4f}", chi2, f"{abs(evidence):.3g}", str(len(one.free)), note))
        return rows

    def to_csv(self, path: str | PathLike[str]) -> Path:
        """Write one row per model: name, rw, reduced_chi2, dlnz, free parameters with values and errors."""
        from pdfkit.io._atomic import write_text

        return write_text(path, csv_text(self._columns()))

    def to_dataframe(self) -> DataFrame:
        """Return the same as a `pandas.DataFrame`."""
        return frame(self._columns())

    def _repr_html_(self) -> str:
        heads, *rows = self._rows()
        return view(shortlist(f"Comparison of {len(rows)} models", heads, rows))

    def _columns(self) -> dict[str, list[Any]]:
        results = self.results
        out: dict[str, list[Any]] = {"model": list(self.names), "rw": [one.rw for one in results]}
        out |= {"reduced_chi2": [one.reduced_chi2 for one in results], "dlnz": list(self.evidence)}
        out |= {"k": [len(one.free) for one in results], "converged": [one.converged for one in results]}
        for name in sorted({name for one in results for name in one.free}):
            found = [one.params[name] if name in one.free else None for one in results]
            out[name] = [None if par is None else float(par.value) for par in found]
            out[f"{name} error"] = [None if par is None else par.stderr for par in found]
        return out


def compare(
    models: Mapping[str, Model],
    data: PDF,
    *,
    free: Iterable[str],
    ties: Mapping[str, str | float] | None = None,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Comparison:
    """Fit several models to the same data and compare them.

    models : by name, with their start values. free, ties, bounds : as for `pdfkit.fit`, for all models together: what a
    model does not have is left out of its fit (a tie also when it names what the model lacks). options : those of
    `fit` (rmin, rmax, use_errors, settings). progress : called with the name of the model that is fitted next.

    Raises
    ------
    ParameterError : a name in free, ties or bounds that no model has. PdfkitError : no models.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> crystals = {kind: pk.Crystal.from_file(f"CdS_{kind}", name="cds") for kind in ("wurtzite", "zincblende")}
    >>> models = {kind: pk.Model(one, pk.Instrument(probe="X", qmax=20)) for kind, one in crystals.items()}
    >>> data = models["zincblende"](np.arange(2, 12, 0.02))  # simulated
    >>> found = pk.compare(models, data, free=["scale", "a", "c", "Uiso"])
    >>> [(name, round(result.rw, 1)) for name, result in zip(found.names, found.results)]
    [('zincblende', 0.0), ('wurtzite', 0.5)]
    """
    free = _checks.names("free", free)
    _checks.instance("models", models, Mapping, 'models by name, such as {"one": model_1, "two": model_2}')
    names = {key: tuple(parameters(model)) for key, model in models.items()}
    for pattern in (*free, *(ties or {}), *(bounds or {})):
        if not any(_has(known, pattern) for known in names.values()):
            raise ParameterError(f"no parameter of any model is called {pattern!r}: check its spelling")
    results = {}
    for key, model in models.items():
        if progress is not None:
            progress(key)
        known = names[key]
        results[key] = fit(
            model,
            data,
            free=[pattern for pattern in free if _has(known, pattern)],
            ties={name: tie for name, tie in (ties or {}).items() if _has(known, name) and _can(known, tie)},
            bounds={name: limits for name, limits in (bounds or {}).items() if _has(known, name)},
            **options,
        )
    return Comparison.of(results)


def _has(names: Sequence[str], pattern: str) -> bool:
    try:
        return bool(matching(names, pattern))
    except ParameterError:
        return False


def _can(names: Sequence[str], tie: str | float) -> bool:
    return all(_has(names, name) for name in _expressions.names(str(tie)))


def _same_data(results: Mapping[str, FitResult]) -> None:
    first_name, first = next(iter(results.items()))
    for name, one in results.items():
        same = len(one.datasets) == len(first.datasets) and all(
            a.data.r.size == b.data.r.size and np.array_equal(a.data.r, b.data.r) and np.array_equal(a.data.G, b.data.G)
            for a, b in zip(one.datasets, first.datasets, strict=False)
        )
        if not same:
            raise PdfkitError(
                f"{name} and {first_name} were fitted to different data or ranges: their evidence cannot be compared"
            )
        if one.whitened != first.whitened:
            raise PdfkitError(f"{name} and {first_name} weigh points differently: fit them with the same errors=")


def _have_errors(results: Iterable[FitResult]) -> bool:
    """Whether χ² of all fits is in units of errors that the data bring."""
    sets = [(one.problem.use_errors, d.data) for one in results for d in one.datasets]
    return all(used and (data.dG is not None or data.cov is not None) for used, data in sets)


def _evidence(result: FitResult, noise: str) -> float:
    chi2 = result.reduced_chi2 * max(1.0, result.n_independent - len(result.free))
    return (
        ln_evidence(max(chi2, 1e-300), result.n_independent, len(result.free), noise) if math.isfinite(chi2) else -1e300
    )
