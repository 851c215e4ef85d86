"""Rate constants against temperature: activation energies after Arrhenius and Eyring, with errors and correlation.

Arrhenius: ln k = ln A − E/RT. Eyring: ln(k/T) = ln(k_B/h) + ΔS‡/R − ΔH‡/RT, k in s⁻¹. Both are straight lines in 1/T;
slope and intercept over a narrow range of T go together almost completely, so the value that the data fix well, ln k or
ΔG‡ in the middle of the range, is given too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._table import shortlist
from pdfkit.errors import PdfkitError

R = 8.31446261815324e-3
"""Gas constant in kJ/(mol K), CODATA 2018."""
BOLTZMANN_OVER_PLANCK = 1.380649e-23 / 6.62607015e-34
"""k_B/h in s⁻¹K⁻¹."""
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
UNLIKELY = 0.05
SMALL = 0.05
"""Rate constants below this, all above 0, are asked about where logarithms are expected."""
COLD = 150.0
"""K below which temperatures of reactions are asked about."""


@dataclass(frozen=True, eq=False, repr=False)
class Activation:
    """A straight line through ln k, or ln(k/T), against 1/T.

    law : "arrhenius" or "eyring". energy, energy_error : kJ/mol, E or ΔH‡. other, other_error : ln A (k in its own
    unit), or ΔS‡ in J/(mol K). correlation : of the two. middle : K, where the line is known best; there, level and
    level_error are ln k, or ΔG‡ in kJ/mol. misfit : χ² over dof with the errors given, None without. dof : points − 2.

    Example
    -------
    >>> from pdfkit.series import activation
    >>> found = activation([300, 310, 320, 330], [-6.1, -5.0, -4.1, -3.0], 0.1, law="eyring")
    >>> print(f"ΔG‡ = {found.level:.2f} ± {found.level_error:.2f} kJ/mol at {found.middle:.0f} K")
    ΔG‡ = 89.10 ± 0.13 kJ/mol at 315 K
    """

    law: str
    energy: float
    energy_error: float
    other: float
    other_error: float
    correlation: float
    middle: float
    level: float
    level_error: float
    misfit: float | None
    dof: int
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        from pdfkit.results.report import uncertain

        eyring = self.law == "eyring"
        names = ("ΔH‡ (kJ/mol)", "ΔS‡ (J/mol/K)", "ΔG‡ (kJ/mol)") if eyring else ("E (kJ/mol)", "ln A", "ln k")
        rows = [
            (names[0], uncertain(self.energy, self.energy_error)),
            (names[1], uncertain(self.other, self.other_error)),
            ("their correlation", f"{self.correlation:.5f}"),
            (f"{names[2]} at {self.middle:.1f} K", uncertain(self.level, self.level_error)),
        ]
        if self.misfit is not None:
            rows.append(("χ²/dof", f"{self.misfit:.3g} ({self.dof})"))
        return shortlist(f"Activation: {self.law.capitalize()}", ("", ""), rows, self.remarks).text()


def activation(
    temperature: Array, lnk: Array, errors: Array | float | None = None, law: str = "arrhenius", *, unit: str = "s"
) -> Activation:
    """Return the activation energy that rate constants at several temperatures give.

    Parameters
    ----------
    temperature : (m,) K. lnk : (m,) logarithms of the rate constants. errors : of lnk, (m,) or one for all; None takes
    them from the scatter about the line (3 temperatures at least). law : "arrhenius" or "eyring". unit : of time in k:
    "s", "min" or "h"; ΔS‡ and ΔG‡ depend on it.

    Errors that do not explain the scatter (χ² beyond 95 %) are widened by its root, with a remark.
    Raises PdfkitError for temperatures that are not above 0, all alike, or too few.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series import activation
    >>> celsius, lnk = np.array([42.5, 45, 47.5, 50, 52.5]), [-6.2, -5.4, -4.6, -3.7, -3.0]
    >>> found = activation(celsius + 273.15, lnk)
    >>> print(f"{found.energy:.1f} ± {found.energy_error:.1f} kJ/mol")
    276.9 ± 5.0 kJ/mol
    """
    T, y, sigma = _observed(temperature, lnk, errors)
    law = _checks.choice("law", law, ("arrhenius", "eyring"))
    unit, given = _checks.choice("unit", unit, tuple(SECONDS)), y
    if law == "eyring":
        y = y - math.log(SECONDS[unit]) - np.log(T)
    weight = np.ones(T.size) if sigma is None else 1.0 / sigma**2
    x = 1.0 / T
    centre = float((weight @ x) / weight.sum())
    level, slope = float((weight @ y) / weight.sum()), float(weight @ ((x - centre) * y) / (weight @ (x - centre) ** 2))
    rest = y - level - slope * (x - centre)
    chi2 = float(weight @ rest**2)
    size, misfit, remarks = _size(chi2, T.size - 2, sigma is not None)
    var_slope, var_level = size / float(weight @ (x - centre) ** 2), size / float(weight.sum())
    intercept = level - slope * centre
    var_intercept = var_level + centre**2 * var_slope
    correlation = centre * math.sqrt(var_slope / var_intercept)  # of E = −R·slope and the intercept
    line = (slope, math.sqrt(var_slope), intercept, math.sqrt(var_intercept), level, math.sqrt(var_level))
    if T.max() < COLD:
        said = f"temperatures are {T.min():g} to {T.max():g} K: add 273.15 where these are °C"
        remarks = (*remarks, said)
    if ((given > 0) & (given < SMALL)).all():
        said = f"ln k are {given.min():.2g} to {given.max():.2g}: give np.log(k) where these are k"
        remarks = (*remarks, said)
    return _spoken(law, line, correlation, 1.0 / centre, misfit, T.size - 2, remarks)


def _observed(temperature: Array, lnk: Array, errors: Array | float | None) -> tuple[Array, Array, Array | None]:
    T, y = _checks.array("temperature", temperature), _checks.array("lnk", lnk)
    if T.size != y.size:
        raise PdfkitError(f"{T.size} temperatures and {y.size} rate constants: they must match")
    if T.min(initial=1.0) <= 0:
        raise PdfkitError(f"a temperature is {T.min():g} K: give kelvin, above 0")
    least = 3 if errors is None else 2
    if np.unique(T).size < least:
        raise PdfkitError(f"an activation energy needs rate constants at {least} temperatures at least")
    if errors is None:
        return T, y, None
    sigma = _checks.array("errors", np.broadcast_to(np.asarray(errors, dtype=np.float64), T.shape))
    if sigma.min() <= 0:
        raise PdfkitError("errors of ln k must be above 0: leave them out to take them from the scatter")
    return T, y, sigma


def _size(chi2: float, dof: int, known: bool) -> tuple[float, float | None, tuple[str, ...]]:
    """Return the factor of the variances, χ²/dof and remarks."""
    from scipy.stats import chi2 as law

    if not known:
        return chi2 / dof, None, (f"errors follow from the scatter of {dof + 2} points about the line",)
    if dof < 1:
        return 1.0, None, ("two temperatures make a line whatever they are: nothing says whether there is one",)
    misfit = chi2 / dof
    if law.sf(chi2, dof) >= UNLIKELY:
        return 1.0, misfit, ()
    text = f"rate constants scatter by {math.sqrt(misfit):.2g} times their errors about the line: errors are wider so"
    return misfit, misfit, (text,)


def _spoken(
    law: str, line: tuple[float, ...], correlation: float, middle: float, misfit: float | None, dof: int,
    remarks: tuple[str, ...],
) -> Activation:  # fmt: skip
    slope, d_slope, intercept, d_intercept, level, d_level = line
    if law == "arrhenius":
        other = intercept, d_intercept, correlation, middle, level, d_level
    else:
        free = -R * middle * (level - math.log(BOLTZMANN_OVER_PLANCK))
        entropy = 1e3 * R * (intercept - math.log(BOLTZMANN_OVER_PLANCK))
        other = entropy, 1e3 * R * d_intercept, correlation, middle, free, R * middle * d_level
    return Activation(law, -R * slope, R * d_slope, *other, misfit, dof, remarks)
