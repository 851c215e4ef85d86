"""What a fit that was taken up again changed: Rw, BIC where data and weights allow one, and what moved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pdfkit._table import Section
from pdfkit.errors import PdfkitError
from pdfkit.fitting.comparison import in_sigmas, same_data, weighed_alike, yardstick
from pdfkit.fitting.evidence import Likelihood
from pdfkit.results.report import uncertain
from pdfkit.results.result import FitResult

FAR = 2.0
"""Standard errors by which a parameter has to move to be named."""


@dataclass(frozen=True)
class Moved:
    """A parameter that is elsewhere now, with the values and errors of both fits, in the larger of the errors."""

    name: str
    before: str
    after: str
    sigmas: float


@dataclass(frozen=True, eq=False)
class Changes:
    """Two fits, the second of which was taken up from the first.

    dbic : BIC of the second less that of the first (negative: the second is better); None where `why` says why not.
    """

    before: FitResult
    after: FitResult
    dbic: float | None
    why: str
    moved: tuple[Moved, ...]

    @classmethod
    def of(cls, before: FitResult, after: FitResult) -> Changes:
        """Return what changed."""
        try:
            same_data({"this fit": after, "the one before": before})
            dbic, why = _dbic(before, after), ""
        except PdfkitError as error:
            dbic, why = None, str(error)
        return cls(before, after, dbic, why, moved(before, after))

    def section(self) -> Section:
        """Return the table of what changed."""
        rows = [("", "before", "now", ""), ("Rw", f"{self.before.rw:.4f}", f"{self.after.rw:.4f}", "")]
        rows.append(("free parameters", str(len(self.before.free)), str(len(self.after.free)), ""))
        if self.dbic is not None:
            rows.append(("ΔBIC", "0", f"{self.dbic:.3g}".replace("-", "−"), _verdict(self.dbic)))
        rows += [(one.name, one.before, one.after, f"{one.sigmas:.2g}σ") for one in self.moved]
        note = () if self.moved else (f"no parameter moved by more than {FAR:g}σ",)
        return Section("what changed", tuple(rows), (*note, *([self.why] if self.why else [])))

    def to_dict(self) -> dict[str, Any]:
        """Return the same for programs."""
        table = [{"name": m.name, "before": m.before, "after": m.after, "sigmas": m.sigmas} for m in self.moved]
        return {"rw_before": self.before.rw, "rw": self.after.rw, "delta_bic": self.dbic, "moved": table}


def _verdict(dbic: float) -> str:
    """Say what a difference of BIC means; 6 is where Kass & Raftery call it strong."""
    if abs(dbic) < 6.0:
        return "the data do not tell these apart"
    return "the data prefer this fit" if dbic < 0 else "the data prefer the fit before"


def moved(before: FitResult, after: FitResult, far: float = FAR) -> tuple[Moved, ...]:
    """Return what moved by more than `far` of the larger of its two errors, most of all first."""
    out = []
    for name, new in after.params.items():
        if (old := before.params.get(name)) is None:
            continue
        sigmas = in_sigmas(old, new)
        if sigmas is not None and abs(sigmas) > far:
            first, second = (uncertain(float(par.value), par.stderr) for par in (old, new))
            out.append(Moved(name, first, second, abs(sigmas)))
    return tuple(sorted(out, key=lambda one: -one.sigmas))


def _dbic(before: FitResult, after: FitResult) -> float:
    """Return BIC = k ln N − 2 ln L of the second fit less that of the first, both by the noise of the better one."""
    results = {"before": before, "after": after}
    noise, spectra = yardstick(results)
    bic = {}
    for name, one in results.items():
        alike = weighed_alike(one, spectra)
        likelihood = Likelihood.of(alike, noise)
        k = len(alike.free) * math.log(likelihood.residuals.independent)
        bic[name] = k - 2.0 * likelihood(likelihood.unit(alike.values))
    return bic["after"] - bic["before"]
