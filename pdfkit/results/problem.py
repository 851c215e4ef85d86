"""What a fit is asked, as a value: data sets with their models, restraints, and how points are weighed.

A result keeps its problem, so that a fit can be continued, resampled or compared without asking the user again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from pdfkit import _checks
from pdfkit.data.curves import PDF
from pdfkit.data.spectrum import NoiseSpectrum
from pdfkit.errors import PdfkitError
from pdfkit.model.measured import MeasuredPattern
from pdfkit.model.model import Model
from pdfkit.model.pattern import PatternModel
from pdfkit.model.restraints import Restraint

# A fit that needs more evaluations than this is lost, not slow: it is reported as such.
MAX_NFEV = 100


@dataclass(frozen=True)
class FitSettings:
    """What is rarely changed about a fit.

    errors : "covariance" makes residuals independent with the covariance of the data, or with the one that their Qmax
        and window cause; "independent" takes points by themselves and counts one every π/Qmax; "auto" is "covariance"
        where Qmax is known and cuts exactly.
    grid : "data", or with the convention "pdffit2" "nyquist": data interpolated every π/Qmax from the last point below
        rmin, as PDFgui does when asked to.
    max_nfev : evaluations before giving up.
    noise : "estimated" takes the spectrum of the noise from the residual of a first fit, and fits again with it, where
        residuals are made independent and enough of them are left; "given" takes noise as equal at all Q, of the size
        that dG (or a covariance) of the data says, or else the misfit; "own" is that of each data set by itself, as
        beside patterns.
    weights : by the name of a data set, what its χ² is multiplied with in what is minimised; 1 where nothing is said.
        Errors, χ² and Rw of the result are those of the data all the same.

    Raises PdfkitError for any other value.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> data = model.with_values({"ni.a": 3.6})(np.arange(1, 10, 0.02))  # simulated
    >>> pk.fit(model, data, free=["a"], settings=pk.FitSettings(max_nfev=1)).converged
    False
    """

    errors: str = "auto"
    grid: str = "data"
    max_nfev: int = MAX_NFEV
    noise: str = "estimated"
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _checks.choice("errors", self.errors, ("auto", "covariance", "independent"))
        _checks.choice("grid", self.grid, ("data", "nyquist"))
        _checks.choice("noise", self.noise, ("estimated", "given", "own"))
        if not isinstance(self.weights, Mapping):
            raise PdfkitError('weights are a table of data sets: give {"x": 2}', key="weights")
        object.__setattr__(self, "weights", {name: checked_weight(name, one) for name, one in self.weights.items()})
        if self.max_nfev < 1:
            raise PdfkitError(f"max_nfev = {self.max_nfev:g}: give at least 1 evaluation", key="max_nfev")


def checked_weight(name: str, value: float) -> float:
    """Return the weight of a data set; PdfkitError for one that is not above 0."""
    weight = _checks.number(f"weight of {name}", value)
    if not weight > 0:
        raise PdfkitError(
            f"weight of {name} is {weight:g}: give a number above 0, or leave the data set out", key="weight"
        )
    return weight


@dataclass(frozen=True, eq=False)
class PosedData:
    """One data set of a fit: the part of the data in range, and the model that they are compared with.

    begin : Å, where the data began before they were cropped to the range; the convention "pdffit2" filters from there.
    noise : spectrum of its noise that a fit found, which weighs its residuals; None where none was estimated.
    whole : the data as they were given, before the crop; None where they were not kept. size : how much larger the
    noise is than what weighs the points says, where data sets have noise of their own; 1 where it is as large.
    """

    name: str
    model: Model
    data: PDF
    begin: float | None
    noise: NoiseSpectrum | None = field(default=None, kw_only=True)
    whole: PDF | None = field(default=None, kw_only=True)
    size: float = field(default=1.0, kw_only=True)

    @property
    def start(self) -> float:
        """`begin`, or the first r (Å) of the data that is above 0 where that is not known."""
        return begin_of(self.data) if self.begin is None else self.begin


@dataclass(frozen=True, eq=False)
class PosedPattern:
    """A pattern that is fitted beside G(r): its name, and the model, which has the data.

    size : how much larger its noise is than the errors of its points; 1 where these are right.
    """

    name: str
    model: PatternModel
    size: float = 1.0

    @property
    def measured(self) -> MeasuredPattern:
        """The data, and how they were measured."""
        return self.model.measured


def independent_points(data: PDF, qmax: float | None) -> float:
    """Return how many independent points a range holds: one every π/Qmax in r, or the points where they are fewer."""
    span = float(data.r[-1] - data.r[0])
    return min(float(len(data)), span * (qmax or math.inf) / math.pi)


def begin_of(pdf: PDF) -> float:
    """Return the first r (Å) of the data that is above 0."""
    return float(pdf.r[pdf.r > 0][0])


@dataclass(frozen=True, eq=False)
class FitProblem:
    """What a fit minimises: the misfit of its data sets and of the patterns beside them, and restraints.

    use_errors : whether the errors of the data weigh their points. restraints : None where they could not be saved.
    restraint_scale : what a restraint's (value − target)/σ is multiplied with; None to find it.
    """

    datasets: tuple[PosedData, ...]
    use_errors: bool = True
    settings: FitSettings = field(default_factory=FitSettings)
    restraints: tuple[Restraint, ...] | None = ()
    restraint_scale: float | None = None
    patterns: tuple[PosedPattern, ...] = ()

    @property
    def apart(self) -> bool:
        """Whether each data set has noise of a size of its own: beside patterns, and where that is asked for."""
        return bool(self.patterns) or (self.settings.noise == "own" and len(self.datasets) > 1)

    @property
    def known_restraints(self) -> tuple[Restraint, ...]:
        """The restraints. PdfkitError where they were not of pdfkit's own kinds and so not saved."""
        if self.restraints is None:
            raise PdfkitError(
                "this fit had restraints that could not be saved with it: run the fit again and use its result directly"
            )
        return self.restraints

    def with_data(self, data: Mapping[str, PDF]) -> Self:
        """Return the problem of other data on the same r, by name."""
        sets = (PosedData(one.name, one.model, data[one.name], one.start, noise=one.noise) for one in self.datasets)
        return replace(self, datasets=tuple(sets))
