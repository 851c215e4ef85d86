"""The spectrum of the noise of a measured G(r): how its power goes with Q, as a few numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.covariance import Covariance
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError


@dataclass(frozen=True, eq=False)
class NoiseSpectrum:
    """Power of the noise over Q, linear between its points.

    Q : (p,) Å⁻¹, from qmin to qmax. power : (p,) Å⁻⁴; noise of that power at all Q would give errors of G(r) with
    variance dG² = power, far from r = 0. stiffness : λ of the prior of Δ²ln power it was found with. shaped :
    whether the noise is this, times dG of the data over its root mean square. weighs : whether a fit weighs with it;
    not where what it leaves is no noise, and errors alone follow from its spectrum.

    Raises PdfkitError : lengths differ, fewer than 2 points, or a power that is not above 0.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20))
    >>> r, Q = np.arange(1.5, 20, 0.02), np.arange(0.05, 20, 0.05)
    >>> F = 0.1 * Q / 20 * np.random.default_rng(1).standard_normal(Q.size)  # noise that grows with Q
    >>> data = pk.PDF(r, model(r).G + F @ np.sin(np.outer(Q, r)), instrument=model.instrument)
    >>> noise = pk.fit(model, data, free=["scale", "a"]).datasets[0].noise
    >>> bool(2 < noise.at(16.0) / noise.at(8.0) < 8), noise.shaped, noise.weighs  # (16/8)² = 4
    (True, False, True)
    """

    Q: Array
    power: Array
    stiffness: float = 1.0
    shaped: bool = False
    weighs: bool = True

    def __post_init__(self) -> None:
        for name in ("Q", "power"):
            object.__setattr__(self, name, _checks.array(name, getattr(self, name)))
        if self.Q.size != self.power.size or self.Q.size < 2 or (np.diff(self.Q) <= 0).any():
            raise PdfkitError("a spectrum of noise needs as many powers as Q, two at least, and Q that increase")
        if not (self.power > 0).all():
            raise PdfkitError("a spectrum of noise needs powers above 0")

    def at(self, Q: float | Array) -> Array:
        """Return the power at Q; at the ends beyond them."""
        return np.asarray(np.interp(Q, self.Q, self.power))

    def covariance(self, instrument: Instrument, rmax: float) -> Covariance:
        """Return the covariance of G(r) that follows (without dG of the data), valid up to rmax (Å)."""
        white = Covariance.white(instrument, rmax)
        return Covariance(white.Q, white.weight, white.variance * self.at(white.Q))
