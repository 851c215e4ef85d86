"""A measured powder pattern: `Intensity` (Q, I, dI), what a reduction starts from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data import PROBES, described
from pdfkit.errors import PdfkitError


@dataclass(frozen=True, eq=False)
class Intensity:
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
        for name in ("I", "dI"):
            value = getattr(self, name)
            if value is None and name == "dI":
                continue
            value = _checks.array(name, value)
            if value.size != self.Q.size:
                raise PdfkitError(f"{name} has {value.size} points and Q has {self.Q.size}: they must match")
            set_(self, name, value)
        if self.dI is not None and not (self.dI > 0).all():
            i = int(np.argmin(self.dI > 0))
            raise PdfkitError(f"dI holds {self.dI[i]:g} at index {i}: standard deviations are positive; drop them")
        if self.probe is not None:
            _checks.choice("probe", self.probe, PROBES)
        if self.wavelength is not None:
            set_(self, "wavelength", _checks.number("wavelength", self.wavelength, low=0.0, open_low=True))
        set_(self, "header", MappingProxyType(dict(self.header)))

    def __reduce__(self) -> tuple[Any, ...]:
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return _rebuild, ({**values, "header": dict(self.header)},)

    def __repr__(self) -> str:
        return described("Intensity", self.name, self.Q, "Å⁻¹", {"dI": self.dI})

    def __len__(self) -> int:
        return self.Q.size

    def crop(self, qmin: float | None = None, qmax: float | None = None) -> Intensity:
        """Return the points with qmin ≤ Q ≤ qmax (Å⁻¹; None leaves that end open); PdfkitError when none is left."""
        low = -math.inf if qmin is None else _checks.number("qmin", qmin)
        high = math.inf if qmax is None else _checks.number("qmax", qmax)
        tiny = 1e-9 * self.Q[-1]
        keep = (low - tiny <= self.Q) & (high + tiny >= self.Q)
        if keep.sum() < 2:
            raise PdfkitError(f"no data between {low:g} and {high:g} Å⁻¹: Q spans {self.Q[0]:g} to {self.Q[-1]:g}")
        return replace(self, Q=self.Q[keep], I=self.I[keep], dI=None if self.dI is None else self.dI[keep])


def _rebuild(values: dict[str, Any]) -> Intensity:
    return Intensity(**values)


def to_Q(two_theta: Array, wavelength: float) -> Array:
    """Return Q = 4π sin(θ)/λ in Å⁻¹ (n,) from 2θ (n,) in degrees and λ in Å."""
    return np.asarray(4 * math.pi * np.sin(np.radians(two_theta) / 2) / wavelength)


def sin2_theta(Q: Array, wavelength: float) -> Array:
    """Return sin²θ = (Qλ/4π)² (n,); PdfkitError where Q is out of the reach of the wavelength (Å)."""
    out = (Q * wavelength / (4 * math.pi)) ** 2
    if out.max(initial=0.0) > 1 + 1e-12:
        raise PdfkitError(
            f"Q = {Q.max():g} Å⁻¹ cannot be measured with wavelength {wavelength:g} Å, which ends at "
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
