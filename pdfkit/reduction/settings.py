"""The settings of a reduction, each written down once: as a checked value, and as the keywords that make it.

`pdfkit.reduce` explains them. Calls, batches, configurations, journals and headers take or make this value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict

import numpy as np

from pdfkit import _checks, transforms
from pdfkit._checks import Array
from pdfkit.data import conversion
from pdfkit.data.curves import Intensity
from pdfkit.data.instrument import PROBES
from pdfkit.errors import PdfkitError, nearest
from pdfkit.io.intensity import UNITS
from pdfkit.scattering import parse_composition

METHODS = ("adhoc", "physical")
ERRORS = ("auto", "given", "counting", "scatter", "none")
POLARISATIONS = ("none", "unpolarised")
MODES = {"X": "xray", "N": "neutron", "E": "electron"}
"""What PDFgetX3 calls a probe."""

Absorption = float | Array | Callable[[Array], Array]

_CHOICES = {
    "method": METHODS,
    "errors": ERRORS,
    "probe": PROBES,
    "extrapolate": conversion.EXTRAPOLATIONS,
    "unit": UNITS,
}
_RANGES: Mapping[str, Mapping[str, Any]] = {
    "bgscale": {"low": 0.0},
    "qmin": {"low": 0.0},
    "qmax": {"low": 0.0, "open_low": True},
    "qmaxinst": {"low": 0.0, "open_low": True},
    "rpoly": {"low": 0.0, "high": 10.0},
    "wavelength": {"low": 0.0, "open_low": True},
    "twothetazero": {},
    "rho0": {"low": 0.0, "open_low": True},
    "recoil": {"low": 0.0, "high": 3.0},
    "slow": {"low": 0.0, "high": 0.5},
    "rcut": {"low": 0.3, "high": 10.0},
    "filter_passes": {"low": 0, "high": 10000},
}
_SWITCHES = ("constant", "compton", "absolute", "anomalous")
_OTHER_NAMES = {"route": "method", "mode": "probe", "formula": "composition", "dataformat": "unit"}


class ReductionOptions(TypedDict, total=False):
    """The keywords that make a `ReductionSettings`; None is the default of each."""

    composition: str | Mapping[str, float] | None
    bgscale: float | None
    qmin: float | None
    qmax: float | None
    qmaxinst: float | None
    rpoly: float | None
    probe: str | None
    method: str | None
    errors: str | None
    window: str | None
    extrapolate: str | None
    unit: str | None
    twothetazero: float | None
    wavelength: float | None
    rho0: float | None
    polarisation: str | float | None
    absorption: Absorption | None
    constant: bool | None
    recoil: float | None
    compton: bool | None
    slow: float | None
    rcut: float | None
    filter_passes: int | None
    absolute: bool | None
    anomalous: bool | None


@dataclass(frozen=True, eq=False)
class ReductionSettings:
    """How a pattern is reduced; see `pdfkit.reduce`. None: what the pattern or the method says.

    Raises PdfkitError, with the field as its `key`, for an impossible value.
    """

    composition: str | Mapping[str, float] | None = None
    bgscale: float = 1.0
    qmin: float | None = None
    qmax: float | None = None
    qmaxinst: float | None = None
    rpoly: float | None = None
    probe: str | None = None
    method: str = "adhoc"
    errors: str = "auto"
    window: str = "none"
    extrapolate: str = "none"
    unit: str = "auto"
    twothetazero: float = 0.0
    wavelength: float | None = None
    rho0: float | None = None
    polarisation: str | float = "none"
    absorption: Absorption | None = None
    constant: bool = False
    recoil: float = 2.0
    compton: bool = True
    slow: float = 0.05
    rcut: float | None = None
    filter_passes: int = 0
    absolute: bool = False
    anomalous: bool = False

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) is not None:
                _checks.choice(name, getattr(self, name), allowed)
        for name, limits in _RANGES.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _checks.number(name, getattr(self, name), **limits))
        for name in _SWITCHES:
            object.__setattr__(self, name, _checks.flag(name, getattr(self, name)))
        if self.filter_passes != int(self.filter_passes):
            raise PdfkitError(f"filter_passes = {self.filter_passes:g}: give a whole number", key="filter_passes")
        object.__setattr__(self, "filter_passes", int(self.filter_passes))
        if self.absolute and self.rho0 is None and self.method == "adhoc":
            raise PdfkitError("absolute needs the number density: give rho0= in atoms/Å³", key="absolute")
        if isinstance(self.polarisation, str):
            _checks.choice("polarisation", self.polarisation, POLARISATIONS)
        transforms.window(self.window, np.zeros(1), 1.0)

    def completed(self, sample: Intensity) -> ReductionSettings:
        """Return the settings with what a pattern, and then the method, say of those that are not given."""
        usual = 0.9 if self.method == "adhoc" else 0.0
        found = replace(
            self,
            composition=sample.composition if self.composition is None else self.composition,
            probe=self.probe or sample.probe or "X",
            rpoly=usual if self.rpoly is None else self.rpoly,
            wavelength=self.wavelength or sample.wavelength,
        )
        if found.anomalous and (found.wavelength is None or found.probe != "X"):
            raise PdfkitError("anomalous terms are those of X-rays of a wavelength: give wavelength=", key="anomalous")
        angles = found.polarisation != "none" or isinstance(found.absorption, int | float)
        if angles and found.wavelength is None:
            raise PdfkitError(
                "polarisation and absorption depend on the angle: give wavelength= in Å", key="wavelength"
            )
        return found

    @property
    def fractions(self) -> dict[str, float]:
        """Share of each element; PdfkitError for what is no composition."""
        return parse_composition(self.composition)

    @property
    def formula(self) -> str:
        """The composition as text."""
        if isinstance(self.composition, str):
            return self.composition
        return "".join(f"{element}{share:.6g}" for element, share in self.fractions.items())

    def reading(self) -> dict[str, Any]:
        """Return the keywords of `read_intensity`."""
        return {name: getattr(self, name) for name in ("unit", "wavelength", "twothetazero")}

    def given(self) -> dict[str, Any]:
        """Return the settings that are not the default."""
        values = {one.name: (getattr(self, one.name), one.default) for one in fields(self)}
        return {
            name: value for name, (value, usual) in values.items() if isinstance(value, np.ndarray) or value != usual
        }

    def header(self) -> dict[str, str]:
        """Return completed settings as text, under PDFgetX3's names where it has one."""
        out = {"mode": MODES[self.probe or "X"], "composition": self.formula}
        out |= {name: f"{getattr(self, name):g}" for name in ("bgscale", "rpoly", "qmaxinst", "qmin", "qmax")}
        out |= {} if self.wavelength is None else {"wavelength": f"{self.wavelength:g}"}
        out["method"] = self.method
        if self.method == "physical":
            out |= {"polarisation": f"{self.polarisation}", "constant": f"{self.constant}".lower()}
            out |= {"recoil": f"{self.recoil:g}", "compton": f"{self.compton}".lower(), "slow": f"{self.slow:g}"}
            out |= {"absorption": f"{self.absorption:g}"} if isinstance(self.absorption, int | float) else {}
        out |= {name: f"{getattr(self, name):g}" for name in ("rho0", "rcut") if getattr(self, name) is not None}
        out |= {"filter_passes": f"{self.filter_passes}"} if self.filter_passes else {}
        out |= {name: "true" for name in ("absolute", "anomalous") if getattr(self, name)}
        return out | {"extrapolate": self.extrapolate}


NAMES = tuple(one.name for one in fields(ReductionSettings))


def settings_of(base: ReductionSettings | None, options: Mapping[str, Any]) -> ReductionSettings:
    """Return settings with some of them changed; None changes nothing. PdfkitError for a name that is no setting."""
    for name in options:
        if name not in NAMES:
            near = f"it is called {_OTHER_NAMES[name]} here" if name in _OTHER_NAMES else f"nearest are {_near(name)}"
            raise PdfkitError(f"{name!r} is not a setting of a reduction: {near}", key=name)
    given = {name: value for name, value in options.items() if value is not None}
    return replace(ReductionSettings() if base is None else base, **given)


def _near(name: str) -> str:
    return nearest(name, sorted(NAMES))
