"""The `Instrument`: probe, Q range, resolution, window; what measurement and model share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks
from pdfkit._table import facts
from pdfkit.errors import PdfkitError
from pdfkit.transforms.sine import WINDOWS

if TYPE_CHECKING:
    pass

# Å⁻¹: no measurement reaches further, and no line is wider. No ΔQ/Q leaves peaks in G(r) beyond this one.
HIGHEST_Q, WIDEST, COARSEST, LONGEST_TAIL = 1e4, 2.0, 0.1, 0.5

# What comes from one calibration: data that state one of them say that the others are 0.
RESOLUTION = ("qdamp", "qbroad", "resolution", "qtail")

PROBES = ("X", "N", "E")

SCATTERING = ("constant", "q-dependent")

_SPOKEN = {"X": "X-rays", "N": "neutrons", "E": "electrons"}

_UNITS = dict.fromkeys(("qmin", "qmax", "qdamp", "qbroad", "qtail"), "Å⁻¹") | {"window_width": "Å", "wavelength": "Å"}

HC = 12.398419843320026  # keV Å: h·c, CODATA 2018

_LONGEST = 4.0  # Å: X-rays of a longer wavelength reach Q = 3 Å⁻¹ at most


@dataclass(frozen=True)
class Instrument:
    """How a pattern was measured and transformed: what the model must imitate.

    Parameters
    ----------
    probe : "X" (X-ray), "N" (neutron) or "E" (electron); None when a file does not say.
    qmin, qmax : limits of the sine transform in Å⁻¹. `qmax=inf` means no termination, None means unknown.
    qdamp : Å⁻¹; the envelope B(r) = exp[−(qdamp·r)²/2].
    qbroad : Å⁻¹; PDFgui's broadening, σ² → σ²(1 + qbroad²·r²) (with delta1, delta2 in the same bracket). It is right
        for data calibrated in PDFgui with a standard as stiff as the sample; it does not carry over to a softer one.
    resolution : ΔQ/Q, a fraction (0.4 % is 0.004), the Gaussian standard deviation of lines whose width grows with Q:
        every σ² grows by (resolution·r)². Fitted to a standard, it holds for any sample.
    qtail : Å⁻¹; lines have an exponential tail of this length towards low Q, as moderators of pulsed neutron sources
        and axial divergence make them; negative, towards high Q. Needs a finite qmax.
    window : modification function M(Q), one of `pdfkit.transforms.sine.WINDOWS` (`pdfkit.transforms.window`).
    window_width : Å; the width in r of `lorch-soper` and `gaussian`; None takes the default of the window.
    scattering : of X-rays and electrons: "q-dependent" (default), f_a(Q)f_b(Q)/⟨f(Q)⟩² on every partial, which is what
        division by ⟨f(Q)⟩² leaves in data; or "constant", f at Q = 0, as in PDFgui and DiffPy-CMI.
    wavelength : Å, or None where it is not known; it is kept, and needed by `anomalous` only (12.3984/energy in keV).
    anomalous : whether models have the anomalous terms of X-rays at that wavelength, f = f₀(Q) + f′ + if″ with weights
        Re(f_a f_b*)/|⟨f⟩|² (`pdfkit.scattering.anomalous`). False leaves it open: a fit uses them if data or model do.
    given : names of the values that were given, not left at their default; filled in automatically. A fit takes what
        the data say, and the model's value where they are silent. It plays no part in comparisons.

    Raises
    ------
    PdfkitError : a value is not finite, negative, or not one of the choices; anomalous without wavelength or X-rays.

    Example
    -------
    >>> import pdfkit as pk
    >>> measured = pk.Instrument(probe="X", qmax=19, qdamp=0.058)
    >>> measured.terminated, pk.Instrument().terminated
    (True, False)
    >>> pk.Instrument(qmin=20, qmax=19)
    Traceback (most recent call last):
        ...
    pdfkit.errors.PdfkitError: qmax = 19 is not above qmin = 20: swap or correct them
    """

    probe: str | None = None
    qmin: float = 0.0
    qmax: float | None = None
    qdamp: float = 0.0
    qbroad: float = 0.0
    resolution: float = 0.0
    qtail: float = 0.0
    window: str = "none"
    window_width: float | None = None
    scattering: str = "q-dependent"
    wavelength: float | None = None
    anomalous: bool = False
    given: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @_checks.renamed(weights='scattering="constant" or scattering="q-dependent"')
    def __init__(
        self,
        probe: str | None = None,
        qmin: float | None = None,
        qmax: float | None = None,
        qdamp: float | None = None,
        qbroad: float | None = None,
        window: str | None = None,
        window_width: float | None = None,
        scattering: str | None = None,
        wavelength: float | None = None,
        anomalous: bool | None = None,
        resolution: float | None = None,
        qtail: float | None = None,
        given: Iterable[str] | None = None,
    ) -> None:
        told = {
            "probe": probe,
            "qmin": qmin,
            "qmax": qmax,
            "qdamp": qdamp,
            "qbroad": qbroad,
            "resolution": resolution,
            "qtail": qtail,
            "window": window,
            "window_width": window_width,
            "scattering": scattering,
            "wavelength": wavelength,
            "anomalous": anomalous or None,
        }
        default = {f.name: f.default for f in fields(self)}
        for name, value in told.items():
            object.__setattr__(self, name, default[name] if value is None else value)
        # A copy hands over every value: those that differ from the default were said, others if `given` names them.
        said = set(told) if given is None else {*given, *(k for k in told if getattr(self, k) != default[k])}
        known = tuple(name for name in told if name in said and told[name] is not None)
        object.__setattr__(self, "given", known)
        self.__post_init__()

    def __post_init__(self) -> None:
        if self.probe is not None:
            _checks.choice("probe", self.probe, PROBES)
        _checks.choice("window", self.window, WINDOWS)
        _checks.choice("scattering", self.scattering, SCATTERING)
        for name, most in (("qmin", HIGHEST_Q), ("qdamp", WIDEST), ("qbroad", WIDEST)):
            object.__setattr__(self, name, _checks.number(name, getattr(self, name), low=0.0, high=most))
        fraction = "it is a fraction, so that 0.4 % is 0.004"
        resolution = _checks.number("resolution", self.resolution, low=0.0, high=COARSEST, remedy=fraction)
        object.__setattr__(self, "resolution", resolution)
        object.__setattr__(self, "qtail", _checks.number("qtail", self.qtail, low=-LONGEST_TAIL, high=LONGEST_TAIL))
        if self.qmax is not None:
            qmax = _checks.number("qmax", self.qmax, low=0.0, open_low=True, finite=False)
            object.__setattr__(self, "qmax", qmax)
            if HIGHEST_Q < qmax < math.inf:
                raise PdfkitError(
                    f"qmax = {qmax:g} Å⁻¹ is beyond any measurement: give inf for no termination", key="qmax"
                )
            if qmax <= self.qmin:
                raise PdfkitError(
                    f"qmax = {qmax:g} is not above qmin = {self.qmin:g}: swap or correct them", key="qmax"
                )
        self._check_wavelength()
        if self.window_width is not None:
            width = _checks.number("window_width", self.window_width, low=0.0, open_low=True)
            object.__setattr__(self, "window_width", width)
        if self.window != "none" and self.qmax == math.inf:
            raise PdfkitError(f"window = {self.window!r} needs a finite qmax: give qmax=", key="window")

    def _check_wavelength(self) -> None:
        if self.wavelength is not None:
            wavelength = _checks.number("wavelength", self.wavelength, low=0.0, open_low=True)
            object.__setattr__(self, "wavelength", wavelength)
        if not isinstance(self.anomalous, bool | np.bool_):
            raise PdfkitError(
                f"anomalous = {self.anomalous!r} is neither true nor false: the number is the wavelength",
                key="anomalous",
            )
        if not self.anomalous:
            return
        if self.probe in ("N", "E"):
            raise PdfkitError(
                f"anomalous: f′ and f″ exist for X-rays only, and the probe is {self.probe!r}: leave it out",
                key="anomalous",
            )
        if self.wavelength is None:
            raise PdfkitError(
                "anomalous: f′ and f″ need the wavelength of the X-rays, which is not known: give wavelength= in Å "
                "(12.3984 divided by the energy in keV)"
            )
        if self.wavelength > _LONGEST:
            raise PdfkitError(
                f"wavelength = {self.wavelength:g} Å is too long for X-rays that measure G(r): was an energy in keV "
                f"meant? That is {HC / self.wavelength:.4g} Å"
            )

    @property
    def energy(self) -> float | None:
        """Energy of X-rays of this wavelength in keV, or None."""
        return None if self.wavelength is None else HC / self.wavelength

    @property
    def resonant(self) -> float | None:
        """The wavelength (Å) whose anomalous terms models have, or None."""
        return self.wavelength if self.anomalous else None

    @property
    def terminated(self) -> bool:
        """Whether a Q limit shapes G(r)."""
        return self.qmin > 0 or (self.qmax is not None and self.qmax < math.inf)

    def summary(self) -> str:
        """Return probe, Q range, window and resolution in a line."""
        parts = [_SPOKEN.get(self.probe or "", "unknown probe"), *([f"Qmin {self.qmin:g}"] if self.qmin else [])]
        parts.append("no Qmax" if self.qmax is None or math.isinf(self.qmax) else f"Qmax {self.qmax:g} Å⁻¹")
        if self.window != "none":
            parts.append(f"window {self.window}" + (f" {self.window_width:g} Å" if self.window_width else ""))
        parts += [f"{name} {getattr(self, name):.4g}" for name in RESOLUTION if getattr(self, name)]
        parts += ["constant scattering"] if self.scattering == "constant" and self.probe != "N" else []
        return ", ".join(parts)

    def _repr_html_(self) -> str:
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "given"}
        shown = {
            name: f"{value} {_UNITS.get(name, '')}".strip() + ("" if name in self.given else " (default)")
            for name, value in values.items()
            if value is not None
        }
        return facts("Instrument", shown)

    def with_values(self, values: Mapping[str, float]) -> Instrument:
        """Return a copy with some numbers changed, which count as given; the same copy again where they are the same.

        Example
        -------
        >>> import pdfkit as pk
        >>> pk.Instrument(probe="X", qmax=25).with_values({"qdamp": 0.03}).qdamp
        0.03
        """
        known = self.__dict__.get("_moved")
        if known is None or known[0] != values:
            known = dict(values), replace(self, **dict[str, Any](values), given=(*self.given, *values))
            self.__dict__["_moved"] = known
        moved: Instrument = known[1]
        return moved

    def complete(self) -> Instrument:
        """Return a copy in which every value counts as given: qdamp = 0 of a calculated curve is 0, not unknown."""
        return self._completed

    @cached_property
    def _completed(self) -> Instrument:
        return replace(self, given=tuple(f.name for f in fields(self) if f.name != "given"))
