"""`Convention`: where programs differ in what they make of the same numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pdfkit import _checks
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError


@dataclass(frozen=True)
class Convention:
    """Where programs differ: prefactor and place of a peak, what γ₀ weighs, where envelopes come, where peaks end.

    prefactor : "pair" divides a peak by its distance r_ij (exact for Gaussian displacements), "grid" by r.
    envelope : "before-cut" (physical) or "after-cut" (B, and γ₀ where it is one, multiply the curve already cut).
    finite_size : "pairs" weighs every pair with γ₀ at its own distance and the baseline with γ₀(r), as the pairs of
        real particles are; "curve" multiplies the curve by γ₀(r), as other programs do, which weighs the two flanks of
        a peak differently: lattices of 12 to 40 Å come out too large, by 0.13 to 0.01 % at U = 0.013 Å². A `Stepcut`,
        which no particle has, and `Bulk` are the same in both.
    anisotropy : "shifted" puts the peak of an anisotropic relative displacement where the mean of the distance is,
        d + (σ⊥² − σ∥²)/d, with the variance of that distance (to second order); "none" leaves it at the distance d of
        the mean positions. σ∥² is the variance along the pair, σ⊥² that across it, per direction; δ₁, δ₂ act on both.
    mixture : "sample" divides phases of different composition by ⟨f(Q)⟩² of the whole sample, as data are, where
        scattering depends on Q and envelopes come before the cut; "phase" divides each by its own.
    reach : peaks end at this many σ.
    cut : "exact" convolves with the kernel of the cut; "pdffit2" and "diffpy-cmi" zero the Fourier components above
        Qmax as those programs do, on a padded grid, which moves Qmax to a multiple of their step in Q (differences of
        some 1e-3 of max|G|, and of per cents at the first points, where the filter of "pdffit2" begins). That is where
        the data begin, as for PDFfit2 itself; of data that begin at r = 0, which it cannot take, the last point below
        the range of the fit, as PDFgui crops them. Grids need not lie on multiples of their step. Scattering strengths
        are constant then, as in those programs.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.model import Convention
    >>> r, nickel = np.arange(2, 10, 0.01), pk.Crystal.from_file("Ni", name="ni")
    >>> pair, grid = (
    ...     pk.Model(nickel, pk.Instrument(probe="X", qmax=25), Convention(prefactor=which))(r).G
    ...     for which in ("pair", "grid")
    ... )
    >>> print(f"{abs(grid - pair).max() / pair.max():.1%} at {r[abs(grid - pair).argmax()]:.2f} Å")  # a flank
    2.3% at 2.38 Å
    """

    prefactor: str = "pair"
    envelope: str = "before-cut"
    reach: float = 7.0
    cut: str = "exact"
    anisotropy: str = "shifted"
    finite_size: str = "pairs"
    mixture: str = "sample"

    def __post_init__(self) -> None:
        _checks.choice("cut", self.cut, ("exact", "pdffit2", "diffpy-cmi"))
        _checks.choice("anisotropy", self.anisotropy, ("shifted", "none"))
        _checks.choice("finite_size", self.finite_size, ("pairs", "curve"))
        _checks.choice("mixture", self.mixture, ("sample", "phase"))
        _checks.choice("prefactor", self.prefactor, ("pair", "grid"))
        _checks.choice("envelope", self.envelope, ("before-cut", "after-cut"))
        object.__setattr__(self, "reach", _checks.number("reach", self.reach, low=3.0, high=20.0))

    @property
    def constant(self) -> bool:
        """Whether it is that of a program that has constant scattering strengths only."""
        return self.cut != "exact"

    @property
    def drawn_whole(self) -> bool:
        """Whether a peak is divided by its distance and goes on until nothing is left of it."""
        return self.prefactor == "pair" and self.reach >= type(self).reach

    def of_data(self, instrument: Instrument) -> Instrument:
        """Return the instrument of data for a model: whatever they say, another program has constant strengths."""
        if instrument.probe == "N" or not self.constant or "scattering" not in instrument.given:
            return instrument
        return replace(instrument, scattering="constant")

    def scattering_of(self, instrument: Instrument) -> str:
        """Return which scattering strengths a model takes for an instrument: "constant" or "q-dependent".

        Other programs know constant ones only, and f(Q) acts on a curve that is cut. Neutrons have no f(Q).

        Raises PdfkitError where strengths that depend on Q were asked for by name all the same.

        Example
        -------
        >>> import pdfkit as pk
        >>> from pdfkit.model import Convention
        >>> measured = pk.Instrument(probe="X", qmax=25)
        >>> Convention().scattering_of(measured), Convention(cut="pdffit2").scattering_of(measured)
        ('q-dependent', 'constant')
        """
        endless = instrument.qmax is None or math.isinf(instrument.qmax)
        if instrument.probe == "N" or not (endless or self.constant):
            return instrument.scattering
        if instrument.scattering == "constant" or "scattering" not in instrument.given:
            return "constant"
        if endless and not self.constant:
            raise PdfkitError("scattering='q-dependent' needs a finite qmax: form factors f(Q) act in Q space")
        raise PdfkitError(
            f"convention {self.cut!r} has constant scattering strengths, as that program: leave scattering out"
        )
