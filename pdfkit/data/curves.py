"""What is measured and calculated: `PDF` (r, G), `SQ` (Q, S) and `Intensity` (Q, I, dI).

Units: r in Å, Q in Å⁻¹, G in Å⁻². S is the Faber–Ziman total structure function, F(Q) = Q[S(Q) − 1] and
G(r) = (2/π)∫F(Q) M(Q) sin(Qr) dQ = 4πr[ρ(r) − ρ₀]; `pdfkit.transforms` has the whole table of definitions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.arithmetic import Arithmetic, Curve, cropped, resampled, spline_miss
from pdfkit.data.instrument import PROBES, Instrument
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pdfkit.data.covariance import Covariance


# --- What is measured and calculated ---------------------------------------------------------------------------------


def _frozen_header(header: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(header))


@dataclass(frozen=True, eq=False, repr=False)
class PDF(Arithmetic):
    """A pair distribution function G(r) on increasing r.

    Parameters
    ----------
    r : (n,) Å, strictly increasing. G : (n,) Å⁻². dG : (n,) Å⁻², standard deviations, or None.
    instrument : how it was measured. header : what the file said, line by line (unknown keys are kept).
    name : a short label. composition : as the file gives it. temperature : K.
    cov : covariance of G (`pdfkit.uncertainty.Covariance`), or None. It holds on any r, so cropping leaves it alone.
    remarks : what was assumed or repaired on the way here, a sentence each.

    a + b, a − b and 2 * a are curves, too: on the same r, of the same Q range and window (else refused), with errors as
    of independent measurements, dG² = dG_a² + dG_b². Numbers and arrays (n,) count as exact: `data - fit.calc.G`.

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

    _columns: ClassVar = ("r", "G", "dG")
    _unit: ClassVar = "Å"
    _shaping: ClassVar = ("qmin", "qmax", "window", "window_width")

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
        _checks.instance("instrument", self.instrument, Instrument, "a pdfkit.Instrument(probe='X', …)")
        set_(self, "header", _frozen_header(self.header))

    def crop(self, rmin: float | None = None, rmax: float | None = None) -> PDF:
        """Return the points with rmin ≤ r ≤ rmax (Å; None leaves that end open); PdfkitError when none is left."""
        return replace(self, **cropped(self, rmin, rmax)[0])

    def resample(self, r: Array) -> PDF:
        """Return G on other r (n,) in Å, within those of the data, by a spline of fifth degree.

        dG is interpolated linearly, since errors less than π/Qmax apart go together; cov holds on any r.
        PdfkitError where r lies outside the data, or where these are further apart than π/Qmax, too far to interpolate.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        >>> coarse, fine = model(np.arange(1, 10, 0.05)), np.arange(2, 9, 0.01)
        >>> bool(np.abs(coarse.resample(fine).G - model(fine).G).max() < 1e-3)
        True
        """
        return replace(self, **resampled(self, r), remarks=(*self.remarks, *self._doubts()))

    def _doubts(self) -> tuple[str, ...]:
        """Return what is to be remarked when G is interpolated between its points; refuse what cannot be."""
        step, qmax = float(np.diff(self.r).max()), self.instrument.qmax
        if qmax is None or math.isinf(qmax):
            return (f"interpolated between points {step:.3g} Å apart: give qmax to know whether that is fine enough",)
        if step > 1.001 * math.pi / qmax:
            raise PdfkitError(
                f"points {step:.3g} Å apart do not determine G between them, π/Qmax = {math.pi / qmax:.3g} Å: use "
                "data with smaller steps in r"
            )
        miss = spline_miss(step, qmax)
        return (f"interpolated between points {step:.3g} Å apart: wrong by up to {miss:.1g} of G",) * (miss > 1e-3)

    def plot(self, path: str | PathLike[str] | None = None, **options: Any) -> Figure:
        """Plot G(r), into a file (.png, .svg, .pdf) where `path` is given; options as for `pdfkit.plot.pdf`.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        >>> len(model(np.arange(1, 10, 0.02)).plot().axes)
        1
        """
        from pdfkit.plot.fits import pdf

        return pdf(self, path=path, **options)

    def fourier_filter(self, rcut: float, rho0: float | None = None, *, passes: int = 1) -> PDF:
        """Return G(r) without what it has below rcut (Å) besides −4πρ₀r, and without what that does further out.

        As `SQ.fourier_filter`, for a G(r) from 0 to at least twice rcut with a known Qmax. Of a G(r) with a window, the
        product F·M is filtered. Errors follow where there is a `cov`; dG alone is left as it is, with a remark.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        >>> pdf, rho0 = model(np.arange(0.0, 20, 0.01)), pk.load_structure("Ni").number_density()
        >>> bad = 1.0 * pdf + 3 * pdf.r * np.exp(-((pdf.r / 0.5) ** 2))  # a ripple where no atoms are
        >>> good = bad.fourier_filter(2.0, rho0)
        >>> bool(np.std((good.G - pdf.G)[pdf.r < 1.5]) < 0.3 * np.std((bad.G - pdf.G)[pdf.r < 1.5]))
        True
        """
        from pdfkit.data.filtering import filtered_pdf

        return filtered_pdf(self, rcut, rho0, passes)

    def g(self, rho0: float) -> Array:
        """Return g(r) = 1 + G(r)/(4πrρ₀), ρ₀ in atoms/Å³ (NaN at r = 0). [Faber–Ziman; g → 1 at large r]"""
        rho0 = _checks.number("rho0", rho0, low=0.0, open_low=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(1.0 + self.G / (4 * np.pi * rho0 * self.r))

    def rdf(self, rho0: float, gamma0: Array | float = 1.0) -> Array:
        """Return R(r) = rG(r) + 4πr²ρ₀γ₀(r) in Å⁻¹; ∫R dr over a peak is a coordination number."""
        rho0 = _checks.number("rho0", rho0, low=0.0)
        return np.asarray(self.r * self.G + 4 * np.pi * self.r**2 * rho0 * gamma0)


@dataclass(frozen=True, eq=False, repr=False)
class SQ(Arithmetic):
    """A total structure function S(Q) on increasing Q.

    Parameters
    ----------
    Q : (n,) Å⁻¹, strictly increasing. S : (n,) dimensionless. dS : (n,) standard deviations, or None.
    instrument, header, name, composition : as for `PDF`.
    cov : errors of F(Q) as a `pdfkit.uncertainty.Covariance` on the same Q with weight 1, where they are correlated (a
    reduction has fitted a scale and a polynomial); None: those of S are independent.
    remarks : as for `PDF`.

    Sums, differences and multiples are those of S − 1, so that G(r) of a sum is the sum of G(r).

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

    _columns: ClassVar = ("Q", "S", "dS")
    _unit: ClassVar = "Å⁻¹"
    _nothing: ClassVar = 1.0

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

    def crop(self, qmin: float | None = None, qmax: float | None = None) -> SQ:
        """Return the points with qmin ≤ Q ≤ qmax (Å⁻¹; None leaves that end open); PdfkitError when none is left."""
        values, keep = cropped(self, qmin, qmax)
        return replace(self, **values, cov=None if self.cov is None else self.cov.at(keep))

    def resample(self, Q: Array) -> SQ:
        """Return S on other Q (n,) in Å⁻¹, within those of the data, by a spline of fifth degree.

        Errors are left out with a remark, unless Q are the same: interpolated values share those of their neighbours.
        """
        values = resampled(self, Q)
        if np.array_equal(values["Q"], self.Q):
            return self
        known = self.dS is not None or self.cov is not None
        lost = ("dS is left out: values interpolated in Q do not have independent errors",) if known else ()
        return replace(self, **{**values, "dS": None}, cov=None, remarks=(*self.remarks, *lost))

    def fourier_filter(self, rcut: float, rho0: float | None = None, *, passes: int = 1) -> SQ:
        """Return S(Q) without what its G(r) has below rcut (Å) besides −4πρ₀r (ρ₀ in atoms/Å³), where no two atoms are.

        F(Q) − ∫₀^rcut [G(r) + 4πρ₀r] sin(Qr) dr, the filter of PyStoG; `passes` > 1 repeat that, as Glassure does, all
        in one step. Without rho0 the slope of G below rcut is kept. Below the first Q, S is taken to be 0, as in a
        crystal.

        It is linear, so dS, and cov, which the result has, are exact. What a sharp Qmax leaves below rcut goes, too:
        at one pass 0.0001 to 0.003 of the rms of G further out, at a hundred up to 0.02. Choose rcut 0.3 Å or more
        below the first peak.

        Raises PdfkitError for an rcut or a number of passes that is not positive.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb"), pk.Instrument(probe="X", qmax=25))
        >>> Q, rho0 = np.arange(0.5, 24, 0.02), pk.load_structure("CdS_zincblende").number_density()
        >>> true = model.sq(Q)
        >>> wrong = pk.SQ(Q, true.S + 0.05 * np.cos(0.4 * Q))  # an error that changes slowly with Q
        >>> right = wrong.fourier_filter(2.0, rho0, passes=10)
        >>> r = np.arange(2.3, 20, 0.01)
        >>> off = [float(np.std(sq.to_pdf(r).G - true.to_pdf(r).G)) for sq in (wrong, right)]
        >>> off[1] < 0.3 * off[0]
        True
        """
        from pdfkit.data.filtering import filtered_sq

        return filtered_sq(self, rcut, rho0, passes)

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
        dS become dG and cov. See `pdfkit.data.conversion`. Raises PdfkitError when a limit lies outside the data.
        """
        from pdfkit.data import conversion

        return conversion.sq_to_pdf(
            self, r, qmin=qmin, qmax=qmax, window=window, window_width=window_width, extrapolate=extrapolate
        )


def _same_length(name: str, value: Array, other: str, reference: Array) -> Array:
    out = _checks.array(name, value)
    if out.size != reference.size:
        raise PdfkitError(f"{name} has {out.size} points and {other} has {reference.size}: they must match")
    if out.size and np.abs(out).max() > _LARGEST:
        raise PdfkitError(
            f"{name} reaches {np.abs(out).max():.3g}, whose square overflows: nothing measured is so large"
        )
    return out


_LARGEST = 1e100
"""Squares of larger numbers, summed, are none."""


def _positive(name: str, value: Array) -> Array:
    if not (value > 0).all():
        i = int(np.argmin(value > 0))
        raise PdfkitError(f"{name} holds {value[i]:g} at index {i}: standard deviations are positive; drop them")
    return value


# --- A measured powder pattern ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class Intensity(Curve):
    """Measured intensities on increasing Q.

    Parameters
    ----------
    Q : (n,) Å⁻¹, strictly increasing, not negative. I : (n,) in any unit. dI : (n,) standard deviations, or None.
    probe : "X", "N", "E" or None (not known). wavelength : Å, or None.
    header, name, composition, remarks : as for `pdfkit.PDF`.

    Raises
    ------
    PdfkitError : lengths differ, values not finite, Q not increasing or negative, dI not positive.

    Example
    -------
    >>> import pdfkit as pk
    >>> pattern = pk.Intensity([0.5, 1.0, 1.5, 2.0], [10, 80, 40, 20], probe="X", wavelength=0.1665)
    >>> pattern.crop(qmin=1).I.tolist()
    [80.0, 40.0, 20.0]
    """

    _columns: ClassVar = ("Q", "I", "dI")
    _unit: ClassVar = "Å⁻¹"

    Q: Array
    I: Array
    dI: Array | None = None
    probe: str | None = None
    wavelength: float | None = None
    header: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str = ""
    composition: str | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "Q", _checks.grid("Q", self.Q))
        if self.Q[0] < 0:
            raise PdfkitError(f"Q starts at {self.Q[0]:g}: it cannot be negative")
        set_(self, "I", _same_length("I", self.I, "Q", self.Q))
        if self.dI is not None:
            set_(self, "dI", _positive("dI", _same_length("dI", self.dI, "Q", self.Q)))
        if self.probe is not None:
            _checks.choice("probe", self.probe, PROBES)
        if self.wavelength is not None:
            set_(self, "wavelength", _checks.number("wavelength", self.wavelength, low=0.0, open_low=True))
        set_(self, "header", _frozen_header(self.header))

    def crop(self, qmin: float | None = None, qmax: float | None = None) -> Intensity:
        """Return the points with qmin ≤ Q ≤ qmax (Å⁻¹; None leaves that end open); PdfkitError when none is left."""
        return replace(self, **cropped(self, qmin, qmax)[0])


def to_Q(two_theta: Array, wavelength: float) -> Array:
    """Return Q = 4π sin(θ)/λ in Å⁻¹ (n,) from 2θ (n,) in degrees and λ in Å."""
    return np.asarray(4 * math.pi * np.sin(np.radians(two_theta) / 2) / wavelength)


def sin2_theta(Q: Array, wavelength: float) -> Array:
    """Return sin²θ = (Qλ/4π)² (n,); PdfkitError where Q is out of the reach of the wavelength (Å)."""
    out = (Q * wavelength / (4 * math.pi)) ** 2
    if out.max(initial=0.0) > 1 + 1e-12:
        raise PdfkitError(
            f"Q = {Q.max():g} Å⁻¹ cannot be measured with wavelength {wavelength:g} Å, whose limit is "
            f"{4 * math.pi / wavelength:.3f}: correct the wavelength or the unit of Q"
        )
    return np.asarray(out)


def gaps(Q: Array) -> list[tuple[float, float]]:
    """Return the ends of every step that is more than five times the median of the four steps next to it."""
    step = np.diff(Q)
    if step.size < 8:
        return []
    wide = np.pad(step, 2, mode="reflect")
    beside = np.sort(np.stack([wide[:-4], wide[1:-3], wide[3:-1], wide[4:]]), axis=0)
    usual = (beside[1] + beside[2]) / 2
    return [(float(Q[i]), float(Q[i + 1])) for i in np.flatnonzero(step > 5 * usual)]
