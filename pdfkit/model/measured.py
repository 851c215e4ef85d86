"""Measured patterns that are fitted beside G(r): `SmallAngle` and `Powder`, data and how they were measured.

What is fitted is scale·I(Q) + background, I the Debye sum of the phases (`pdfkit.model.pattern`). Scale and background
enter linearly, and are removed from the search: at every step they have their least-squares values.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.curves import Intensity
from pdfkit.errors import PdfkitError
from pdfkit.model import packing
from pdfkit.phases.base import Quantity

PACKINGS = ("none", "hard-spheres", "hexagonal")
POLARISATIONS = ("none", "unpolarised")
ENDS_OF_SMALL_ANGLES = 2.0
"""Å⁻¹ up to which data without a word count as measured at small angles."""

STARTS_OF_SMALL_ANGLES = 0.6
"""Å⁻¹ below which powder patterns hardly begin."""


DENSEST = 6.0
"""Electrons/Å³, or fm/Å³, that no matter reaches: water has 0.33 electrons, which are 334 per nm³."""

SMALLEST_ATOM, LARGEST_ATOM = 1.0, 1000.0
"""Å³."""

Content = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class MeasuredPattern(ABC):
    """Data, and the largest distance (Å) that what scatters can have: it tells signal from noise, point by point."""

    kind: ClassVar[str]
    data: Intensity
    reach: float = 40.0

    def _check(self) -> None:
        _checks.instance("data", self.data, Intensity, "a pdfkit.Intensity, as read_intensity returns it")
        _checks.number("reach", self.reach, low=1.0, high=1e4)
        if len(self.data) < 10:
            raise PdfkitError(f"a pattern of {len(self.data)} points says nothing: give at least 10")
        _checks.scale(f"the intensity of {self.data.name or self.kind}", self.data.I, self.data.dI)

    @property
    def probe(self) -> str:
        """What it was measured with: X-rays where the data do not say."""
        return self.data.probe or "X"

    @property
    @abstractmethod
    def quantities(self) -> tuple[Quantity, ...]:
        """Numbers that are its own: those of packing, or of the diffractometer."""

    @property
    @abstractmethod
    def background(self) -> dict[str, Array]:
        """The terms of the background at the points of the data, by name."""

    @property
    def margin(self) -> float:
        """How far beyond the data (Å⁻¹) the pattern of the particle is needed."""
        return 0.0

    @cached_property
    def content(self) -> Content:
        """What tells its data, background and instrument from others, whichever values its own numbers have."""
        own = {q.name for q in self.quantities}
        about = [(f.name, getattr(self, f.name)) for f in fields(self) if f.name not in {"data", *own}]
        curves = [b"" if one is None else one.tobytes() for one in (self.data.Q, self.data.I, self.data.dI)]
        return self.kind, self.probe, self.data.wavelength, *about, *curves

    @property
    @abstractmethod
    def assumed(self) -> str:
        """What is in the model of these data and what is not, in a sentence."""

    def with_values(self, values: Mapping[str, float]) -> Self:
        """Return a copy with some of its own numbers changed."""
        changed: dict[str, Any] = dict(values)
        return replace(self, **changed)

    def amplitudes(self, f: Any, Q: Array) -> Any:
        """Return what atoms scatter with (nspecies, nQ): f, or what is left of it in a solvent."""
        return f


@dataclass(frozen=True, eq=False)
class SmallAngle(MeasuredPattern):
    """I(Q) at small angles: scale·I_Debye(Q)·S(Q) + flat + Porod's c·Q⁻⁴.

    Parameters
    ----------
    data : `pdfkit.Intensity` of Q (Å⁻¹), with errors dI or without: then the scatter of the points tells them.
    reach : Å, the largest distance in a particle and, where they are packed, over which they know of each other.
    packing : S(Q): "none", "hard-spheres" (radius Å, fraction of volume), "hexagonal" (spacing d₁₀ Å, disorder Å,
        domain Å): see `pdfkit.model.packing`. Free them as radius, fraction, spacing, disorder, domain.
    solvent : electrons/Å³ (X-rays; fm/Å³ for neutrons) of what is around the particle, and atomic_volume : Å³ that each
        of its atoms takes there (24.8 in CdS): f − ρV·exp(−Q²V^{2/3}/4π). A shell of other density is left out.

    Raises PdfkitError for a value out of range.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> cluster, Q = pk.build.tetrahedron("CdS_zincblende", 5), np.linspace(0.02, 0.7, 200)
    >>> about = pk.Instrument(probe="X", qmin=0.8, qmax=16)
    >>> model = pk.Model(pk.Cluster(cluster, "c", delta2=2, expansion=0.01), about)
    >>> G, I = model(np.arange(2, 14, 0.05)), pk.saxs(model.phases[0], Q).intensity * 1e-4
    >>> rng = np.random.default_rng(1)
    >>> saxs = pk.patterns.SmallAngle(pk.Intensity(Q, I * (1 + 0.01 * rng.standard_normal(200)) + 3, 0.01 * I))
    >>> start = model.with_values({"expansion": 0})
    >>> result = pk.fit(start, {"pdf": G, "saxs": saxs}, free=["scale", "expansion", "Uiso"])
    >>> print(f"{result.params['expansion'].value:.3f}", result.patterns[0].name)
    0.010 saxs
    """

    kind: ClassVar[str] = "saxs"
    packing: str = "none"
    radius: float = 10.0
    fraction: float = 0.1
    spacing: float = 20.5
    disorder: float = 2.0
    domain: float = 100.0
    solvent: float = 0.0
    atomic_volume: float = 0.0

    def __post_init__(self) -> None:
        self._check()
        _checks.choice("packing", self.packing, PACKINGS)
        for q in self._possible():
            q.sensible(_checks.number(q.name, q.value), q.name)
        self._refuse_numbers_of_another_packing()
        # What is of hydrogen mostly, such as water, has a negative scattering length.
        _checks.number("solvent", self.solvent, low=-DENSEST if self.probe == "N" else 0.0, high=DENSEST)
        _checks.number("atomic_volume", self.atomic_volume, low=0.0, high=LARGEST_ATOM)
        if self.solvent and self.atomic_volume < SMALLEST_ATOM:
            raise PdfkitError("a solvent needs atomic_volume, the Å³ that an atom takes in it: 24.8 for CdS, 27.7 CdSe")
        if self.data.Q[0] <= 0:
            raise PdfkitError("Q starts at 0, where Porod's Q⁻⁴ has no value: crop the data")

    def _refuse_numbers_of_another_packing(self) -> None:
        known = {"hard-spheres": ("radius", "fraction"), "hexagonal": ("spacing", "disorder", "domain")}
        for other, names in known.items():
            for name in names if other != self.packing else ():
                if getattr(self, name) != getattr(type(self), name):
                    raise PdfkitError(
                        f'{name} = {getattr(self, name)} is of packing="{other}", and packing is "{self.packing}": '
                        f'give packing="{other}", or leave {name} out'
                    )

    def _possible(self) -> tuple[Quantity, ...]:
        own = {
            "hard-spheres": (
                Quantity("radius", self.radius, 2.0, 200.0, "Å", "radius of hard spheres", least=0.1, most=1e4),
                Quantity("fraction", self.fraction, 0.0, 0.55, "", "volume fraction", least=0.0, most=0.6),
            ),
            "hexagonal": (
                Quantity("spacing", self.spacing, 0.8 * self.spacing, 1.2 * self.spacing, "Å", "d of 10", least=1.0),
                Quantity("disorder", self.disorder, 0.0, 10.0, "Å", "displacement of columns", least=0.0),
                Quantity("domain", self.domain, 10.0, 2000.0, "Å", "size of ordered domains", least=1.0),
            ),
        }
        return own.get(self.packing, ())

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The numbers of the packing."""
        return self._possible()

    @cached_property
    def background(self) -> dict[str, Array]:
        """A constant, and Porod's law, 1 at the lowest Q."""
        return {"flat": np.ones(len(self.data)), "porod": (self.data.Q[0] / self.data.Q) ** 4}

    @property
    def assumed(self) -> str:
        """What is in the model of these data and what is not."""
        unit = "fm" if self.probe == "N" else "e"
        around = f"in a solvent of {self.solvent:g} {unit}/Å³" if self.solvent else "in vacuum"
        packed = {"none": "far from each other"}.get(self.packing, f"packed as {self.packing} of one size")
        return (
            f"particles {around}, {packed}; flat and Porod background; ligands only as far as they are atoms of the "
            "model; no smearing by the beam"
        )

    def amplitudes(self, f: Any, Q: Array) -> Any:
        """Return f less what the solvent would scatter in the place of each atom."""
        if not self.solvent:
            return f
        V = self.atomic_volume
        return f - self.solvent * V * np.exp(-(Q**2) * V ** (2.0 / 3.0) / (4.0 * math.pi))

    def structure_factor(self, Q: Array, values: Array) -> tuple[Array, Array]:
        """Return S(Q) (nQ,) and its derivatives along the numbers of the packing."""
        if self.packing == "none":
            return np.ones(Q.size), np.zeros((0, Q.size))
        S = packing.hard_spheres if self.packing == "hard-spheres" else packing.hexagonal
        return packing.with_slopes(S, Q, values.tolist())


@dataclass(frozen=True, eq=False)
class Powder(MeasuredPattern):
    """A powder pattern: scale·I_Debye(Q)·polarisation, blurred by the instrument, + a smooth background.

    Parameters
    ----------
    data : `pdfkit.Intensity`, as `read_intensity` makes it of 2θ or Q; errors as for `SmallAngle`. reach : as there.
    wavelength : Å, where the data do not say; without any there is no zero, no fwhm and no polarisation.
    polarisation : "none", or "unpolarised": (1 + K cos²2θ)/(1 + K), K = cos²(monochromator), its 2θ in degrees (0:
        none). degree : of the background, a Chebyshev polynomial in 2θ (Q without wavelength).
    zero, fwhm : degrees: 2θ is too large by so much; full width of the instrument, a Gaussian. Free them by name.

    Raises PdfkitError for a value out of range.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> pattern = pk.Intensity(np.linspace(0.8, 6, 500), 100 + np.arange(500) % 7, wavelength=1.5406)
    >>> powder = pk.patterns.Powder(pattern, degree=4, polarisation="unpolarised", fwhm=0.1)
    >>> [q.name for q in powder.quantities], len(powder.background)
    (['zero', 'fwhm'], 5)
    """

    kind: ClassVar[str] = "xrd"
    wavelength: float | None = None
    polarisation: str = "none"
    monochromator: float = 0.0
    degree: int = 5
    zero: float = 0.0
    fwhm: float = 0.0

    def __post_init__(self) -> None:
        self._check()
        _checks.choice("polarisation", self.polarisation, POLARISATIONS)
        _checks.number("monochromator", self.monochromator, low=0.0, high=180.0)
        if isinstance(self.degree, bool) or not isinstance(self.degree, int) or not 0 <= self.degree <= 20:
            raise PdfkitError(f"degree = {self.degree}: give the degree of the background, a whole number from 0 to 20")
        if self.wavelength is not None:
            _checks.number("wavelength", self.wavelength, low=0.0, open_low=True)
        if self.known_wavelength is None:
            if self.polarisation != "none" or self.zero or self.fwhm:
                raise PdfkitError("polarisation, zero and fwhm need the wavelength of the pattern: give wavelength=")
            return
        for q in self._diffractometer():
            q.sensible(_checks.number(q.name, q.value), q.name)
        if self.data.Q[-1] * self.known_wavelength >= 4.0 * math.pi:
            raise PdfkitError(
                f"Q = {self.data.Q[-1]:.4g} Å⁻¹ is out of the reach of {self.known_wavelength:g} Å: correct wavelength"
            )
        if self.polarisation != "none" and self.probe != "X":
            raise PdfkitError(f"polarisation = {self.polarisation!r} is for X-rays, not for probe {self.probe!r}")

    @property
    def known_wavelength(self) -> float | None:
        """The wavelength (Å) that was given, or that of the data."""
        return self.data.wavelength if self.wavelength is None else self.wavelength

    def _diffractometer(self) -> tuple[Quantity, ...]:
        return (
            Quantity("zero", self.zero, -1.0, 1.0, "°", "zero of 2θ", least=-2.0, most=2.0),
            Quantity("fwhm", self.fwhm, 0.0, 2.0, "°", "width of the instrument in 2θ", least=0.0, most=5.0),
        )

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The numbers of the diffractometer."""
        return () if self.known_wavelength is None else self._diffractometer()

    @cached_property
    def background(self) -> dict[str, Array]:
        """Chebyshev polynomials over the range of the data."""
        at = self.data.Q if self.known_wavelength is None else self.angle(self.data.Q)
        span = 2.0 * (at - at[0]) / (at[-1] - at[0]) - 1.0
        columns = np.polynomial.chebyshev.chebvander(span, self.degree).T
        return {f"c{k}": column for k, column in enumerate(columns)}

    @property
    def margin(self) -> float:
        """What a wrong zero and a wide instrument can ask for beyond the data."""
        wavelength = self.known_wavelength
        return 0.0 if wavelength is None else 2.0 * math.pi / wavelength * math.radians(2.0 + 2.0 * self.fwhm)

    @property
    def assumed(self) -> str:
        """What is in the model of these data and what is not."""
        beam = {"none": "no polarisation"}.get(self.polarisation, self.polarisation)
        return (
            f"{beam}; background of degree {self.degree}; particles far from each other; absorption, preferred "
            "orientation and changes of the lit volume with 2θ are left out"
        )

    def angle(self, Q: Array) -> Array:
        """Return 2θ (degrees) of Q."""
        assert self.known_wavelength is not None
        return np.asarray(2.0 * np.degrees(np.arcsin(Q * self.known_wavelength / (4.0 * math.pi))))


def taken_for(data: Intensity) -> tuple[MeasuredPattern, str]:
    """Return a bare pattern as what its Q look like, and the remark that says so."""
    if data.Q[-1] <= ENDS_OF_SMALL_ANGLES:
        return SmallAngle(data), "taken for small angles without packing (pdfkit.patterns.SmallAngle says otherwise)"
    said = "taken for a powder pattern with a background of degree 5 (pdfkit.patterns.Powder says otherwise)"
    if data.wavelength is None and data.Q[0] < STARTS_OF_SMALL_ANGLES:
        said += f"; but Q = {data.Q[0]:.3g} to {data.Q[-1]:.3g} Å⁻¹ may be small angles in nm⁻¹: then divide Q by 10"
    return Powder(data), said
