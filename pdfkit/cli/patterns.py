"""What `pdfkit pattern` does: the scattering of a cluster in a file, as columns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import AnyPath, check_target
from pdfkit.particles import geometry
from pdfkit.particles.particle import Particle
from pdfkit.patterns import GuinierFit, Pattern, guinier, powder_pattern, saxs, waxs, write_pattern
from pdfkit.phases.cluster import UISO

COPPER = 1.5406
"""Å: Cu Kα₁, the wavelength where none is given."""
SMALL_ANGLES = (0.006, 1.0)
WIDE_ANGLES = (0.5, 25.0)
# Below 10° a cluster of nanometres scatters as its outline does, and hides the rest.
ANGLES = (10.0, 120.0)
# More points than this are a slip of the keyboard.
MOST_POINTS = 1_000_000


@dataclass(frozen=True)
class PatternReport:
    """A pattern that was written to `path`, what it was computed from, and what small angles say of the size.

    picture : where it was drawn, if it was.
    """

    path: Path
    pattern: Pattern
    particle: Particle
    rg: float
    fit: GuinierFit | None = None
    picture: Path | None = None

    def __str__(self) -> str:
        """One fact per line."""
        size = geometry.largest_distance(self.particle)
        lines = [f"{self.particle.formula}: {len(self.particle)} atoms, largest distance {size:.2f} Å"]
        lines.append(f"Rg = {self.rg:.3f} Å from the positions, weighted with electrons")
        if self.fit is not None:
            lines.append(f"Guinier: {self.fit}")
        files = [self.path] if self.picture is None else [self.path, self.picture]
        return "\n".join([*lines, *map(str, files)])


def make_pattern(
    source: AnyPath,
    out: AnyPath | None = None,
    *,
    small: bool = False,
    powder: bool = False,
    wavelength: float = COPPER,
    qmin: float | None = None,
    qmax: float | None = None,
    step: float | None = None,
    fwhm: float = 0.0,
    polarisation: str = "none",
    Uiso: float = UISO,
    probe: str = "X",
    plot: bool = False,
) -> PatternReport:
    """Write the pattern of the particle in `source` to `out` (default: <name>-saxs.dat, -xrd.dat or -waxs.dat).

    small : small angles, 400 points even in log Q from qmin to qmax (0.006 and 1 Å⁻¹), with a Guinier fit. powder :
    against 2θ from 2 to 120 degrees, or between qmin and qmax, in steps of `step` (0.02 degrees) at `wavelength` (Å),
    with `fwhm` (degrees) and `polarisation` of `powder_pattern`. Neither: I(Q) in steps of `step` (0.01 Å⁻¹) from qmin
    to qmax (0.5 and 25 Å⁻¹). plot : draw it, too, into a .png of that name.

    Raises ReadError for a file that cannot be read, PdfkitError for a range that cannot be, WriteError.
    """
    if small and powder:
        raise PdfkitError("small angles and a powder pattern are two patterns: ask for one at a time")
    if not powder and (fwhm or polarisation != "none"):
        raise PdfkitError("fwhm and polarisation belong to a powder pattern: add --xrd or leave them out")
    particle = Particle.from_file(source)
    word = "saxs" if small else "xrd" if powder else "waxs"
    target = Path(f"{Path(source).stem}-{word}.dat" if out is None else out)
    picture = target.with_suffix(".png") if plot else None
    if picture == target:
        raise PdfkitError(f"{target} is the name of the picture: give the data another, such as out.dat")
    for one in filter(None, (target, picture)):
        check_target(one, [source])
    fit = None
    if powder:
        angle = _angles(qmin, qmax, wavelength, 0.02 if step is None else step)
        pattern = powder_pattern(
            particle, angle, wavelength, fwhm=fwhm, polarisation=polarisation, Uiso=Uiso, probe=probe
        )
    elif small:
        low, high = _range(qmin, qmax, SMALL_ANGLES)
        pattern = saxs(particle, np.geomspace(max(low, 1e-6), high, 400), Uiso=Uiso, probe=probe)
        fit = _guinier(pattern)
    else:
        low, high = _range(qmin, qmax, WIDE_ANGLES)
        pattern = waxs(particle, _steps(low, high, 0.01 if step is None else step), Uiso=Uiso, probe=probe)
    write_pattern(target, pattern)
    if picture is not None:
        from pdfkit.plot import clusters as draw

        draw.pattern(pattern, path=picture) if fit is None else draw.guinier(pattern, fit, path=picture)
    return PatternReport(target, pattern, particle, geometry.radius_of_gyration(particle, "electrons"), fit, picture)


def _guinier(pattern: Pattern) -> GuinierFit | None:
    """Return the fit, or None where the range has too little of Guinier's law."""
    try:
        return guinier(pattern.Q, pattern.intensity)
    except PdfkitError:
        return None


def _range(qmin: float | None, qmax: float | None, usual: tuple[float, float]) -> tuple[float, float]:
    low = _checks.number("qmin", usual[0] if qmin is None else qmin, low=0.0)
    high = _checks.number("qmax", usual[1] if qmax is None else qmax)
    if low >= high:
        raise PdfkitError(f"qmin = {low:g} is not below qmax = {high:g}: swap or correct them")
    return low, high


def _angles(qmin: float | None, qmax: float | None, wavelength: float, step: float) -> Array:
    """Return 2θ in degrees between the limits, 2θ = 2 asin(Qλ/4π)."""
    wavelength = _checks.number("wavelength", wavelength, low=0.0, open_low=True)
    ends = list(ANGLES)
    for k, (name, q) in enumerate((("qmin", qmin), ("qmax", qmax))):
        if q is None:
            continue
        sine = _checks.number(name, q, low=0.0) * wavelength / (4 * math.pi)
        if sine >= 1:
            raise PdfkitError(
                f"{name} = {q:g} Å⁻¹ is out of reach at wavelength {wavelength:g} Å: Q ends at "
                f"{4 * math.pi / wavelength:.3f}; lower it, or take a shorter wavelength"
            )
        ends[k] = math.degrees(2 * math.asin(sine))
    if ends[0] >= ends[1]:
        raise PdfkitError(f"2θ would run from {ends[0]:.3f} to {ends[1]:.3f} degrees: swap or correct qmin and qmax")
    return _steps(ends[0], ends[1], step)


def _steps(low: float, high: float, step: float) -> Array:
    step = _checks.number("step", step, low=0.0, open_low=True)
    if (high - low) / step > MOST_POINTS:
        raise PdfkitError(f"step = {step:g} makes more than {MOST_POINTS} points: take a wider one")
    if high - low < step:
        raise PdfkitError(f"step = {step:g} is wider than the range {low:g} to {high:g}: take a narrower one")
    # Through decimals: 0.01·k would be written as 0.07000000000000001.
    return np.asarray(np.round(low + step * np.arange(math.floor((high - low) / step + 1e-9) + 1), 10))
