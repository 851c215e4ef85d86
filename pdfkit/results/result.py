"""The result of a fit, as a value: parameters, errors, curves, and remarks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit._checks import Array
from pdfkit._table import frame
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError
from pdfkit.model.model import Model
from pdfkit.model.params import Parameters, why_held
from pdfkit.model.restraints import Restraint
from pdfkit.results.derived import Uncertain, describes, propagated
from pdfkit.results.minima import Minima
from pdfkit.results.patterns import PatternFit
from pdfkit.results.problem import FitProblem, PosedData

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from pdfkit.phases.base import Phase


@dataclass(frozen=True, eq=False)
class DatasetFit(PosedData):
    """One data set after the fit: the refined model, the data in range, and G_calc on the same r.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20))
    >>> (one,) = pk.fit(model, model(np.arange(2, 10, 0.02)), free=["scale"]).datasets
    >>> one.name, len(one.calc), list(one.phase_curves()), one.rw < 1e-6
    ('', 400, ['ni'], True)
    """

    calc: PDF
    messages: tuple[str, ...] = ()

    def partials(self, *, weighted: bool = True) -> dict[tuple[str, str], PDF]:
        """Return G_ab of the refined model by species pair on the data's r; weighted ones add up to `calc`."""
        return self.model.partials(self.data.r, weighted=weighted, begin=self.begin)

    def phase_curves(self) -> dict[str, PDF]:
        """Return each phase's share of `calc` on the data's r."""
        return self.model.phase_curves(self.data.r, begin=self.begin)

    def to_dataframe(self) -> DataFrame:
        """Return the curves as a `pandas.DataFrame`: r, Gobs, Gcalc, Gdiff, dG if measured, then shares in Gcalc.

        Shares: a column for each phase ("zb") and for each pair of species in it ("zb:Cd-S"); either set adds up to
        Gcalc.
        """
        from pdfkit.results.columns import columns_of

        return frame(columns_of(self))

    @property
    def difference(self) -> Array:
        """G_obs − G_calc."""
        return np.asarray(self.data.G - self.calc.G)

    @property
    def rw(self) -> float:
        """Rw = √(Σ(G_obs − G_calc)²/ΣG_obs²) of this data set, unweighted."""
        return math.sqrt(float((self.difference**2).sum() / (self.data.G**2).sum()))


@dataclass(frozen=True, eq=False)
class FitResult:
    """What a fit found.

    params : lmfit Parameters with values, stderr, correl. free, values (n,), covariance (n, n): the varied ones; NaN
    rows belong to parameters on a bound. datasets: one `DatasetFit` per data set. rw: √(Σw(Go−Gc)²/ΣwGo²). chi2:
    Σw(Go−Gc)², with w = 1/dG² or 1. reduced_chi2: chi2·(N_independent/N)/(N_independent − n). n_independent:
    ΣΔr·Qmax/π. converged: whether the optimiser found a minimum. restraint_chi2: Σ[(value − target)/σ]² of the
    restraints times problem.restraint_scale², as it was added to chi2. errors_from:
    "cov" (covariance of the data), "dG" (errors of the data, with the spectrum of the residual where that was
    estimated), "spectrum" (of the residual) or "misfit" (size from the misfit over independent points). minimum: what
    was minimised, in units of those errors; chi2 is in units of those that the data state. fractions: phase →
    {"atoms", "cells", "mass"} → (value, standard error). problem: what was asked: a `FitProblem`, at the refined
    models. minima: those that a search found (`pdfkit.results.minima`), the best first; minima[1].params starts a fit
    at the second. patterns: those fitted beside G(r), each a `PatternFit`. search: how the minimum was looked for, as
    `fit` was told.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> data = model.with_values({"ni.scale": 0.8})(np.arange(1, 10, 0.02))  # simulated
    >>> result = pk.fit(model, data, free=["scale", "a"])
    >>> result.free, result.values.round(3).tolist(), result.converged
    (('ni.scale', 'ni.a'), [0.8, 3.524], True)
    >>> print(str(result).splitlines()[0])  # print(result) has the rest: parameters, errors, remarks
    Fit of calculated: Rw = 0.0000, r = 1 to 9.98 Å
    """

    params: Parameters
    free: tuple[str, ...]
    values: Array
    covariance: Array
    datasets: tuple[DatasetFit, ...]
    rw: float
    chi2: float
    reduced_chi2: float
    n_points: int
    n_independent: float
    nfev: int
    converged: bool
    message: str
    remarks: tuple[str, ...]
    at_bounds: tuple[str, ...]
    errors_from: str
    fractions: Mapping[str, Mapping[str, Uncertain]]
    problem: FitProblem
    seconds: float = 0.0
    restraint_chi2: float = 0.0
    minimum: float = math.nan
    minima: Minima = field(default_factory=Minima)
    patterns: tuple[PatternFit, ...] = ()
    search: str | Mapping[str, Any] = "plain"

    @property
    def whitened(self) -> bool:
        """Whether residuals were made independent; chi2 and n_independent then count those."""
        return self.problem.settings.errors == "covariance"

    @property
    def restraints(self) -> tuple[Restraint, ...] | None:
        """The restraints of the fit; None where they could not be saved."""
        return self.problem.restraints

    @property
    def held(self) -> dict[str, str]:
        """What was to be free, but has no effect and was held at its start value: name → why, in a sentence.

        It is not among `free`, and has no error.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("CdS_wurtzite", name="wz"), pk.Instrument(probe="X", qmax=25))
        >>> result = pk.fit(model, model(np.arange(1, 10, 0.02)), free=["scale", "z"])
        >>> result.free, list(result.held)
        (('wz.scale', 'wz.Cd.z'), ['wz.S.z'])
        >>> print(result.held["wz.S.z"].partition(";")[0])
        the origin of P 63 m c floats along c: wz.S.z is held at 0.377
        """
        return {name: why for name, par in self.params.items() if (why := why_held(par))}

    @property
    def describes(self) -> bool:
        """Whether the model describes the data: Rw up to 0.4, or a misfit that known errors explain.

        A fit can converge on a model that does not; that is said here and in the remarks.
        """
        return describes(self.rw, self.reduced_chi2, self.errors_from)

    def _only(self) -> DatasetFit:
        if len(self.datasets) > 1:
            names = ", ".join(one.name for one in self.datasets)
            raise PdfkitError(f"this fit has several data sets ({names}): take one from .datasets")
        return self.datasets[0]

    @property
    def model(self) -> Model:
        """The refined model (of the only data set)."""
        return self._only().model

    @property
    def data(self) -> PDF:
        """The data in the fitted range (of the only data set)."""
        return self._only().data

    @property
    def calc(self) -> PDF:
        """G_calc on the r of the data (of the only data set)."""
        return self._only().calc

    @property
    def correlation(self) -> Array:
        """Correlation matrix of the free parameters (n, n).

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        >>> pdf = model(np.arange(1, 10, 0.02))
        >>> data = pk.PDF(pdf.r, pdf.G, np.full(pdf.r.size, 0.2), instrument=model.instrument)  # simulated, with errors
        >>> print(pk.fit(model, data, free=["scale", "Uiso"]).correlation.round(2))
        [[1.   0.75]
         [0.75 1.  ]]
        """
        sigma = np.sqrt(np.diag(self.covariance))
        with np.errstate(invalid="ignore"):
            return np.asarray(self.covariance / np.outer(sigma, sigma))

    def partials(self, *, weighted: bool = True) -> dict[tuple[str, str], PDF]:
        """Return G_ab of the fitted model by species pair on the data's r; weighted ones add up to the fit.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb"), pk.Instrument(probe="X", qmax=25))
        >>> result = pk.fit(model, model(np.arange(2, 4.5, 0.01)), free=["scale"])
        >>> {"–".join(pair): f"{pdf.r[pdf.G.argmax()]:.2f} Å" for pair, pdf in result.partials().items()}
        {'Cd–Cd': '4.12 Å', 'Cd–S': '2.52 Å', 'S–S': '4.12 Å'}
        """
        return self._only().partials(weighted=weighted)

    def phase_curves(self) -> dict[str, PDF]:
        """Return each phase's share of the fit on the data's r."""
        return self._only().phase_curves()

    def derived(self) -> dict[str, tuple[Any, ...]]:
        """Return numbers that follow from refined ones (such as the cubic fraction of a stack), with errors.

        By phase; each has name, value, stderr, unit and meaning (`Stacked.derived`). Phases without any are left out.
        """
        phases = self.datasets[0].model.phases
        out = {phase.name: phase.derived(self.covariance_of(phase)) for phase in phases}
        return {name: table for name, table in out.items() if table}

    def covariance_of(self, phase: Phase) -> Array:
        """Return the covariance (n, n) of the quantities of a phase: 0 where one is fixed, NaN where it is unknown."""
        from pdfkit.model.mapping import ParameterMap

        mapping = ParameterMap.of(self.params)
        tangents = mapping(self.values)[1]
        names = [f"{phase.name}.{q.name}" for q in phase.quantities]
        # Of several data sets each has its own scale: no structure, and nothing that is derived, rests on it.
        rows = [mapping.names.index(n) if n in mapping.names else 0 for n in names]
        return propagated(self.covariance, tangents[rows])

    def refit(
        self,
        *,
        free: Iterable[str] | None = None,
        ties: Mapping[str, str | float] | None = None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        data: PDF | Mapping[str, PDF] | Sequence[PDF] | None = None,
        rmin: float | Mapping[str, float | None] | None = None,
        rmax: float | Mapping[str, float | None] | None = None,
        search: str | Mapping[str, Any] = "plain",
        progress: Callable[[int, float], None] | None = None,
    ) -> FitResult:
        """Fit again from where this fit ended, all else as it was: data, range, ties, bounds, restraints, weights.

        free : changes of what varies, ["+c", "-delta2"], or a new list; what was tied and is named here varies by
        itself. ties, bounds : as for `pdfkit.fit`, on top of those that are there. data : other data (a PDF, or by
        name), in the same range unless rmin, rmax (Å) say otherwise. search : as for `pdfkit.fit`; unless asked for,
        one local fit from where this one ended. progress : as for `pdfkit.fit`.

        Raises ParameterError as `pdfkit.fit`; PdfkitError for a range beyond the data that were kept, and for
        restraints that could not be saved.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        >>> data = model.with_values({"ni.a": 3.53})(np.arange(1, 20, 0.02))  # simulated
        >>> first = pk.fit(model, data, rmax=10, free=["scale", "a"])
        >>> again = first.refit(free=["+Uiso"], rmax=15)
        >>> again.free, f"{again.data.r[-1]:.2f} Å"
        (('ni.scale', 'ni.a', 'ni.Ni.Uiso'), '15.00 Å')
        """
        from pdfkit.fitting.continued import continued

        return continued(
            self,
            free=free,
            ties=ties,
            bounds=bounds,
            data=data,
            rmin=rmin,
            rmax=rmax,
            search=search,
            progress=progress,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the curves as plain numbers, strings and dicts (for JSON)."""
        return {
            "rw": self.rw,
            "chi2": self.chi2,
            "reduced_chi2": self.reduced_chi2,
            "n_points": self.n_points,
            "n_independent": self.n_independent,
            "nfev": self.nfev,
            "search": self.search,
            "converged": self.converged,
            "describes": self.describes,
            "message": self.message,
            "remarks": list(self.remarks),
            "errors_from": self.errors_from,
            "whitened": self.whitened,
            "seconds": self.seconds,
            "held": self.held,
            "params": {
                name: {
                    "value": float(p.value),
                    "stderr": p.stderr,
                    "min": _finite(p.min),
                    "max": _finite(p.max),
                    "vary": bool(p.vary),
                    "expr": p.expr,
                    **({"held": why} if (why := why_held(p)) else {}),
                }
                for name, p in self.params.items()
            },
            "derived": {
                phase: {d.name: {"value": d.value, "stderr": _finite(d.stderr)} for d in table}
                for phase, table in self.derived().items()
            },
            "fractions": {
                phase: {kind: {"value": v, "stderr": _finite(e)} for kind, (v, e) in table.items()}
                for phase, table in self.fractions.items()
            },
            "datasets": [
                {"name": d.name, "rw": d.rw, "points": len(d.data), "rmin": d.data.r[0], "rmax": d.data.r[-1]}
                for d in self.datasets
            ],
            **({"patterns": [one.to_dict() for one in self.patterns]} if self.patterns else {}),
            **({"minima": self.minima.to_dict()} if self.minima else {}),
        }

    def save(self, path: str | PathLike[str], *, recipe: str = "", digests: Mapping[str, str] | None = None) -> Path:
        """Write everything to an HDF5 file in NeXus form; `pdfkit.load_result` reads it back (WriteError if not).

        recipe : the text the fit was run from. digests : SHA-256 of the input files, by name.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        >>> result = pk.fit(model, model(np.arange(1, 10, 0.02)), free=["scale"])
        >>> with TemporaryDirectory() as folder:
        ...     print(pk.load_result(result.save(Path(folder, "ni.h5"))).free)
        ('ni.scale',)
        """
        from pdfkit.results.saving import save_result

        return save_result(path, self, recipe=recipe, digests=digests)

    def report(self, path: str | PathLike[str], *, recipe: str = "", digests: Mapping[str, str] | None = None) -> Path:
        """Write the fit as one HTML page that opens anywhere, without Python and without a network.

        In it: what was found in words, what was assumed, pictures, parameters, correlations, neighbours, what was
        asked for, versions; curves, recipe and structures as files to take out. recipe, digests : as for `save`.

        Raises PdfkitError for a name that does not end in .html, WriteError when the file cannot be written.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        >>> result = pk.fit(model, model(np.arange(1, 10, 0.02)), free=["scale"])
        >>> with TemporaryDirectory() as folder:
        ...     page = result.report(Path(folder, "ni.html")).read_text(encoding="utf-8")
        >>> page[:15], "12 Ni around each Ni, at 2.492 Å" in page
        ('<!doctype html>', True)
        """
        from pdfkit.results.page import Origin, write_page

        return write_page(path, self, Origin(recipe, dict(digests or {})))

    def to_dataframe(self) -> DataFrame:
        """Return the parameters as a `pandas.DataFrame`: name, value, stderr, min, max, vary, expr, start, unit, held.

        The curves are `result.datasets[0].to_dataframe()`. PdfkitError where pandas is not installed.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        >>> result = pk.fit(model, model(np.arange(1, 10, 0.02)), free=["scale", "a"])
        >>> table = result.to_dataframe()
        >>> table[table.vary][["name", "value", "unit"]].round(3).to_dict("list")
        {'name': ['ni.scale', 'ni.a'], 'value': [1.0, 3.524], 'unit': ['', 'Å']}
        >>> list(result.datasets[0].to_dataframe())
        ['r', 'Gobs', 'Gcalc', 'Gdiff', 'ni', 'ni:Ni-Ni']
        """
        return self.params.to_dataframe()

    def plot(self, path: str | PathLike[str] | None = None, **options: Any) -> Figure:
        """Plot data, fit and difference, into a file where `path` is given; options as for `pdfkit.plot.fit`."""
        from pdfkit.plot.fits import fit

        return fit(self, path, **options)

    def write_columns(self, path: str | PathLike[str]) -> tuple[Path, ...]:
        """Write the curves as text and return the paths: r, Gobs, Gcalc, Gdiff, dG (if measured), then the shares.

        Shares in Gcalc: one column per phase ("zb") and per pair of species in it ("zb:Cd-S"); either set adds up to
        Gcalc. The header says what was fitted, every parameter included; `pdfkit.io.read_columns` reads all of it. Data
        sets of different r cannot share a table: a fit of several gives one file each, "fit.dat" becoming
        "fit_<name>.dat".

        Raises WriteError when a file cannot be written.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> model = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb"), pk.Instrument(probe="X", qmax=25))
        >>> result = pk.fit(model, model(np.arange(1, 10, 0.02)), free=["scale"])
        >>> with TemporaryDirectory() as folder:
        ...     (file,) = result.write_columns(Path(folder, "zb.dat"))
        ...     names, values, header = pk.io.read_columns(file)
        >>> print(*names, values.shape)
        r Gobs Gcalc Gdiff zb zb:Cd-Cd zb:Cd-S zb:S-S (450, 8)
        """
        from pdfkit.results.columns import write_fit_columns

        return write_fit_columns(path, self)

    def __str__(self) -> str:
        from pdfkit.results.report import report

        return report(self)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        state += "" if self.describes else ", does not describe the data"
        return f"<FitResult Rw = {self.rw:.4f}, {len(self.free)} free parameters, {state}>"

    def _repr_html_(self) -> str:
        from pdfkit.results.report import report_html

        return report_html(self)


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
