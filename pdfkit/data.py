"""What is measured and calculated: `PDF` (r, G), `SQ` (Q, S) and the `Instrument` they come from.

Units: r in Å, Q in Å⁻¹, G in Å⁻². S is the Faber–Ziman total structure function, F(Q) = Q[S(Q) − 1] and
G(r) = (2/π)∫F(Q) M(Q) sin(Qr) dQ = 4πr[ρ(r) − ρ₀]; `pdfkit.transforms` has the whole table of definitions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.covariance import Covariance

# Å⁻¹: no measurement reaches further, and no resolution is wider.
HIGHEST_Q, WIDEST = 1e4, 2.0
PROBES = ("X", "N", "E")
WINDOWS = ("none", "lorch", "lorch-unscaled", "lorch-soper", "hann", "welch", "gaussian")
WEIGHTS = ("constant", "q-dependent")
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
    qbroad : Å⁻¹; peaks broaden as σ² → σ²(1 + qbroad²·r²) (with delta1, delta2 in the same bracket).
    window : modification function M(Q), one of `pdfkit.data.WINDOWS` (`pdfkit.transforms.window`).
    window_width : Å; the width in r of `lorch-soper` and `gaussian`; None takes the default of the window.
    weights : "constant" (f at Q = 0) or "q-dependent" (f_a(Q)f_b(Q)/⟨f(Q)⟩² on every partial).
    wavelength : Å, or None where it is not known; it is kept, and needed by `anomalous` only (12.3984/energy in keV).
    anomalous : whether models have the anomalous terms of X-rays at that wavelength, f = f₀(Q) + f′ + if″ with weights
        Re(f_a f_b*)/|⟨f⟩|² (`pdfkit.scattering.anomalous`). False is no statement: a fit has them if data or model do.
    given : names of the values that were said, as opposed to left at their default; found by itself. A fit takes what
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
    window: str = "none"
    window_width: float | None = None
    weights: str = "constant"
    wavelength: float | None = None
    anomalous: bool = False
    given: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __init__(
        self,
        probe: str | None = None,
        qmin: float | None = None,
        qmax: float | None = None,
        qdamp: float | None = None,
        qbroad: float | None = None,
        window: str | None = None,
        window_width: float | None = None,
        weights: str | None = None,
        wavelength: float | None = None,
        anomalous: bool | None = None,
        given: Iterable[str] | None = None,
    ) -> None:
        told = {
            "probe": probe,
            "qmin": qmin,
            "qmax": qmax,
            "qdamp": qdamp,
            "qbroad": qbroad,
            "window": window,
            "window_width": window_width,
            "weights": weights,
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
        _checks.choice("weights", self.weights, WEIGHTS)
        for name, most in (("qmin", HIGHEST_Q), ("qdamp", WIDEST), ("qbroad", WIDEST)):
            object.__setattr__(self, name, _checks.number(name, getattr(self, name), low=0.0, high=most))
        if self.qmax is not None:
            qmax = _checks.number("qmax", self.qmax, low=0.0, open_low=True, finite=False)
            object.__setattr__(self, "qmax", qmax)
            if HIGHEST_Q < qmax < math.inf:
                raise PdfkitError(f"qmax = {qmax:g} Å⁻¹ is beyond any measurement: give inf for no termination")
            if qmax <= self.qmin:
                raise PdfkitError(f"qmax = {qmax:g} is not above qmin = {self.qmin:g}: swap or correct them")
        self._check_wavelength()
        if self.window_width is not None:
            width = _checks.number("window_width", self.window_width, low=0.0, open_low=True)
            object.__setattr__(self, "window_width", width)
        if self.window != "none" and self.qmax == math.inf:
            raise PdfkitError(f"window = {self.window!r} needs a finite qmax: give qmax=")

    def _check_wavelength(self) -> None:
        if self.wavelength is not None:
            wavelength = _checks.number("wavelength", self.wavelength, low=0.0, open_low=True)
            object.__setattr__(self, "wavelength", wavelength)
        if not isinstance(self.anomalous, bool | np.bool_):
            raise PdfkitError(f"anomalous = {self.anomalous!r} is neither true nor false: the number is the wavelength")
        if not self.anomalous:
            return
        if self.probe in ("N", "E"):
            raise PdfkitError(f"anomalous: f′ and f″ are those of X-rays, not of probe {self.probe!r}: leave it out")
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

    def complete(self) -> Instrument:
        """Return a copy of which every value counts as said: that of a calculated curve, whose 0 is no silence."""
        return replace(self, given=tuple(f.name for f in fields(self) if f.name != "given"))


def _fields(value: Any) -> dict[str, Any]:
    """Fields of a curve in a form that can be pickled: a read-only header cannot."""
    out = {f.name: getattr(value, f.name) for f in fields(value)}
    return {**out, "header": dict(out["header"])}


def _rebuild(kind: type[Any], values: dict[str, Any]) -> Any:
    return kind(**values)


def _frozen_header(header: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(header))


def described(kind: str, name: str, x: Array, unit: str, extras: Mapping[str, Any]) -> str:
    """Return a curve in one line: how many points, from where to where, what comes with it."""
    has = [key for key, value in extras.items() if value is not None]
    parts = [repr(name)] if name else []
    parts += [f"{x.size} points", f"{x[0]:g} to {x[-1]:g} {unit}", *(["with " + ", ".join(has)] if has else [])]
    return f"{kind}({', '.join(parts)})"


@dataclass(frozen=True, eq=False)
class PDF:
    """A pair distribution function G(r) on increasing r.

    Parameters
    ----------
    r : (n,) Å, strictly increasing. G : (n,) Å⁻². dG : (n,) Å⁻², standard deviations, or None.
    instrument : how it was measured. header : what the file said, line by line (unknown keys are kept).
    name : a short label. composition : as the file gives it. temperature : K.
    cov : covariance of G (`pdfkit.Covariance`), or None. It holds on any r, so cropping leaves it alone.
    remarks : what was assumed or repaired on the way here, a sentence each.

    Raises
    ------
    PdfkitError : lengths differ, values not finite, r not increasing, dG not positive.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> r, rho0 = np.arange(2.0, 3.0, 0.01), pk.load_structure("Ni").number_density()
    >>> R = 12 * np.exp(-(((r - 2.49) / 0.1) ** 2) / 2) / (0.1 * np.sqrt(2 * np.pi))  # 12 neighbours
    >>> pdf = pk.PDF(r, R / r - 4 * np.pi * rho0 * r)
    >>> print(f"{(pdf.crop(2.1, 2.9).rdf(rho0) * 0.01).sum():.1f} neighbours")
    12.0 neighbours
    """

    r: Array
    G: Array
    dG: Array | None = None
    instrument: Instrument = field(default_factory=Instrument)
    header: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str = ""
    composition: str | None = None
    temperature: float | None = None
    cov: Covariance | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "r", _checks.grid("r", self.r))
        set_(self, "G", _same_length("G", self.G, "r", self.r))
        if self.dG is not None:
            set_(self, "dG", _positive("dG", _same_length("dG", self.dG, "r", self.r)))
        set_(self, "header", _frozen_header(self.header))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), _fields(self))

    def __repr__(self) -> str:
        return described("PDF", self.name, self.r, "Å", {"dG": self.dG, "cov": self.cov})

    def __len__(self) -> int:
        return self.r.size

    def crop(self, rmin: float | None = None, rmax: float | None = None) -> PDF:
        """Return the points with rmin ≤ r ≤ rmax (Å; None leaves that end open); an error when none is left."""
        low = -math.inf if rmin is None else _checks.number("rmin", rmin)
        high = math.inf if rmax is None else _checks.number("rmax", rmax)
        if low >= high:
            raise PdfkitError(f"rmin = {low:g} is not below rmax = {high:g}: swap or correct them")
        tiny = 1e-9 * max(1.0, abs(self.r[-1]))
        keep = (self.r >= low - tiny) & (self.r <= high + tiny)
        if keep.sum() < 2:
            raise PdfkitError(
                f"no data between {low:g} and {high:g} Å: {self.name or 'the data'} spans "
                f"{self.r[0]:g} to {self.r[-1]:g} Å"
            )
        return replace(self, r=self.r[keep], G=self.G[keep], dG=None if self.dG is None else self.dG[keep])

    def g(self, rho0: float) -> Array:
        """Return g(r) = 1 + G(r)/(4πrρ₀), ρ₀ in atoms/Å³ (NaN at r = 0). [Faber–Ziman; g → 1 at large r]"""
        rho0 = _checks.number("rho0", rho0, low=0.0, open_low=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(1.0 + self.G / (4 * np.pi * rho0 * self.r))

    def rdf(self, rho0: float, gamma0: Array | float = 1.0) -> Array:
        """Return R(r) = rG(r) + 4πr²ρ₀γ₀(r) in Å⁻¹; ∫R dr over a peak is a coordination number."""
        rho0 = _checks.number("rho0", rho0, low=0.0)
        return np.asarray(self.r * self.G + 4 * np.pi * self.r**2 * rho0 * gamma0)


@dataclass(frozen=True, eq=False)
class SQ:
    """A total structure function S(Q) on increasing Q.

    Parameters
    ----------
    Q : (n,) Å⁻¹, strictly increasing. S : (n,) dimensionless. dS : (n,) standard deviations, or None.
    instrument, header, name, composition : as for `PDF`.
    cov : errors of F(Q) as a `pdfkit.Covariance` on the same Q with weight 1, where they are correlated (a reduction
    has fitted a scale and a polynomial); None: those of S are independent.
    remarks : as for `PDF`.

    Raises
    ------
    PdfkitError : lengths differ, values not finite, Q not increasing or negative, dS not positive.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> Q = np.arange(0.01, 25, 0.01)
    >>> sq = pk.SQ(Q, 1 + 4 * np.sin(2.5 * Q) / (2.5 * Q) * np.exp(-0.005 * Q**2))  # 4 neighbours at 2.5 Å
    >>> pdf = sq.to_pdf(np.arange(1, 5, 0.01))
    >>> print(f"{pdf.r[pdf.G.argmax()]:.2f} Å")
    2.50 Å
    """

    Q: Array
    S: Array
    dS: Array | None = None
    instrument: Instrument = field(default_factory=Instrument)
    header: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str = ""
    composition: str | None = None
    cov: Covariance | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "Q", _checks.grid("Q", self.Q))
        if self.Q[0] < 0:
            raise PdfkitError(f"Q starts at {self.Q[0]:g}: it cannot be negative")
        set_(self, "S", _same_length("S", self.S, "Q", self.Q))
        if self.dS is not None:
            set_(self, "dS", _positive("dS", _same_length("dS", self.dS, "Q", self.Q)))
        if self.cov is not None and not np.array_equal(self.cov.Q, self.Q):
            raise PdfkitError("cov is not on the Q of S: give errors of F on the same points")
        set_(self, "header", _frozen_header(self.header))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), _fields(self))

    def __repr__(self) -> str:
        return described("SQ", self.name, self.Q, "Å⁻¹", {"dS": self.dS, "cov": self.cov})

    def __len__(self) -> int:
        return self.Q.size

    @property
    def F(self) -> Array:
        """The reduced structure function F(Q) = Q[S(Q) − 1] in Å⁻¹."""
        return np.asarray(self.Q * (self.S - 1.0))

    def to_pdf(
        self,
        r: Array | None = None,
        *,
        qmin: float | None = None,
        qmax: float | None = None,
        window: str = "none",
        window_width: float | None = None,
        extrapolate: str = "none",
    ) -> PDF:
        """Return G(r) = (2/π)∫F(Q)M(Q) sin(Qr) dQ over qmin…qmax (Å⁻¹; default: all of Q) on `r` (default 0–30 Å).

        extrapolate : below qmin F is left out ("none"), or goes to 0 at Q = 0 as "linear" or "quadratic" say. Errors
        dS become dG and cov. See `pdfkit.transforms.sq_to_pdf`. Raises PdfkitError when a limit lies outside the data.
        """
        from pdfkit import transforms

        return transforms.sq_to_pdf(
            self, r, qmin=qmin, qmax=qmax, window=window, window_width=window_width, extrapolate=extrapolate
        )


def _same_length(name: str, value: Array, other: str, reference: Array) -> Array:
    out = _checks.array(name, value)
    if out.size != reference.size:
        raise PdfkitError(f"{name} has {out.size} points and {other} has {reference.size}: they must match")
    return out


def _positive(name: str, value: Array) -> Array:
    if not (value > 0).all():
        i = int(np.argmin(value > 0))
        raise PdfkitError(f"{name} holds {value[i]:g} at index {i}: standard deviations are positive; drop them")
    return value
