"""Patterns that particles are measured by besides G(r): small and wide angles, powder diffraction, and Guinier's law.

All come from the same pair distances by the Debye equation (`pdfkit.debye`): one particle in vacuum, averaged over its
directions, particles far from each other. Solvent, absorption, background and the detector are left out.

| function | what |
|---|---|
| `saxs`, `waxs` | I(Q) = Σ_ij f_i f_j sin(Qr)/(Qr) e^{−σ²Q²/2}; they differ by their default Q only |
| `powder_pattern` | I against 2θ, Q = 4π sin(θ)/λ |
| `debye_sq`, `debye_pdf` | S(Q); G(r) over Qmin…Qmax |
| `guinier` | ln I = ln I₀ − Q²Rg²/3 for Q·Rg < 1.3 |
| `SmallAngle`, `Powder` | measured patterns that `pdfkit.fit` and `pdfkit.screen` take beside G(r) |

A particle is a `Particle`, or a `Cluster` with its displacements and expansions, or a Structure, ase.Atoms….
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import singledispatchmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pdfkit import _checks, debye
from pdfkit._checks import Array
from pdfkit.data.arithmetic import Curve
from pdfkit.data.curves import PDF, SQ
from pdfkit.data.instrument import PROBES, Instrument
from pdfkit.debye import Motion
from pdfkit.errors import PdfkitError, remark
from pdfkit.io._atomic import AnyPath
from pdfkit.io.columns import write_columns
from pdfkit.model.measured import POLARISATIONS, Powder, SmallAngle
from pdfkit.particles.counting import PairTable, count_pairs
from pdfkit.particles.particle import Particle
from pdfkit.phases.cluster import UISO, Cluster
from pdfkit.phases.ions import species_remarks

__all__ = [
    "GuinierFit",
    "Pattern",
    "Powder",
    "SmallAngle",
    "debye_pdf",
    "debye_sq",
    "guinier",
    "powder_pattern",
    "saxs",
    "waxs",
    "write_pattern",
]


def __dir__() -> list[str]:
    return __all__


# Gaussians end at ±8σ (1e-14), and their sums alias as little.
_REACH = 8.0


@dataclass(frozen=True, eq=False, repr=False)
class Pattern(Curve):
    """Scattered intensity of a particle.

    Q : (n,) Å⁻¹. intensity : (n,), f² per particle or per atom (electrons² for X-rays, fm² for neutrons).
    two_theta : (n,) degrees, and wavelength Å, of a powder pattern; else None. probe : "X", "N" or "E". name : free.

    Raises PdfkitError when lengths differ or values are not finite.

    Example
    -------
    >>> import pdfkit as pk
    >>> pattern = pk.saxs(pk.build.sphere("Au", 20), [0.01, 0.1, 0.2], per_atom=True)
    >>> pattern.name, pattern.probe, len(pattern), pattern.two_theta
    ('Au_sphere_20', 'X', 3, None)
    """

    _columns: ClassVar = ("Q", "intensity", "two_theta")
    _unit: ClassVar = "Å⁻¹"

    Q: Array
    intensity: Array
    two_theta: Array | None = None
    wavelength: float | None = None
    probe: str = "X"
    name: str = ""

    def __post_init__(self) -> None:
        _checks.choice("probe", self.probe, PROBES)
        for field in ("Q", "intensity", "two_theta"):
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, _checks.array(field, value))
                if getattr(self, field).size != self.Q.size:
                    raise PdfkitError(f"{field} has {np.size(value)} points and Q has {self.Q.size}: they must match")


@dataclass(frozen=True)
class GuinierFit:
    """Rg (Å) and I0 with standard errors, from `points` points of qmin ≤ Q ≤ qmax (Å⁻¹).

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> Q = np.linspace(0.01, 0.1, 50)
    >>> found = pk.patterns.guinier(Q, 1e4 * np.exp(-((Q * 12) ** 2) / 3))
    >>> print(f"Rg = {found.Rg:.2f} Å, I0 = {found.I0:.0f}, {found.points} points")
    Rg = 12.00 Å, I0 = 10000, 50 points
    """

    Rg: float
    dRg: float
    I0: float
    dI0: float
    qmin: float
    qmax: float
    points: int

    def __str__(self) -> str:
        return (
            f"Rg = {self.Rg:.3f} ± {self.dRg:.1g} Å, I0 = {self.I0:.6g} ± {self.dI0:.1g} "
            f"({self.points} points, Q = {self.qmin:.4g} to {self.qmax:.4g} Å⁻¹)"
        )


def saxs(particle: Any, Q: Array | None = None, **options: Any) -> Pattern:
    """Return the small-angle scattering of one particle on Q (Å⁻¹; default 400 points from 0.006 to 1, even in log Q).

    Atoms scatter with f(Q), so at Q → 0 this is (Σf)², and the radius of gyration is that of the electrons. Options and
    errors as for `waxs`.

    Example
    -------
    >>> import pdfkit as pk
    >>> cluster = pk.build.tetrahedron("CdSe_zincblende", 4)  # Cd20Se10: 20·48 + 10·34 electrons
    >>> pattern = pk.saxs(cluster, [0.001, 0.3], scattering="constant")
    >>> print(f"{pattern.intensity[0] ** 0.5:.0f} electrons")
    1300 electrons
    """
    return waxs(particle, np.geomspace(0.006, 1.0, 400) if Q is None else Q, **options)


@_checks.renamed(weights='scattering="constant" or scattering="q-dependent"')
def waxs(
    particle: Any,
    Q: Array | None = None,
    *,
    Uiso: float | Mapping[str, float] | None = None,
    probe: str = "X",
    scattering: str = "q-dependent",
    strengths: Mapping[str, float] | None = None,
    wavelength: float | None = None,
    anomalous: bool = False,
    per_atom: bool = False,
    method: str = "auto",
) -> Pattern:
    """Return I(Q) of one particle (see `pdfkit.debye.intensity`) on Q (Å⁻¹; default 0.5 to 25 in steps of 0.01).

    Parameters
    ----------
    Uiso : Å², one or per element; default: those of a `Cluster`, 0.01 of any other particle.
    probe : "X", "N" or "E". scattering : "q-dependent" f(Q) or "constant". strengths : {element: f} in place of tables.
    wavelength : Å. anomalous : with f′ and f″ of X-rays of that wavelength (`pdfkit.scattering.anomalous`).
    per_atom : divide by the number of atoms. method : see `pdfkit.debye`.

    Raises
    ------
    PdfkitError : Q < 0, or an impossible value. StructureError : one atom, unknown elements, atoms on top of each
    other.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> pair = pk.Particle.of(["Ni", "Ni"], [[0, 0, 0], [2.5, 0, 0]])
    >>> pattern = pk.waxs(pair, np.pi / 2.5 * np.array([0, 1, 2]), Uiso=0, scattering="constant")
    >>> (pattern.intensity / 28**2).round(6).tolist()  # 2 + 2 sin(Qd)/(Qd)
    [4.0, 2.0, 2.0]
    """
    if Q is None:
        Q = np.round(np.arange(0.5, 25.005, 0.01), 10)
    at = _Scene.of(particle, Uiso)
    I = debye.intensity(
        at.table, Q, at.elements, at.motion, probe=probe, scattering=scattering, strengths=strengths, per_atom=per_atom,
        wavelength=at.resonant(probe, wavelength, anomalous, strengths), method=method,
    )  # fmt: skip
    return Pattern(Q, I, probe=probe, name=at.name)


def powder_pattern(
    particle: Any,
    two_theta: Array,
    wavelength: float,
    *,
    fwhm: float = 0.0,
    polarisation: str = "none",
    monochromator: float = 0.0,
    Uiso: float | Mapping[str, float] | None = None,
    probe: str = "X",
    per_atom: bool = False,
    anomalous: bool = False,
) -> Pattern:
    """Return the powder pattern on `two_theta` ((n,) degrees, 0 ≤ 2θ < 180, increasing): Q = 4π sin(θ)/λ.

    The Debye equation averages over directions, so the Lorentz factor that Bragg peaks are multiplied by is in it.

    Parameters
    ----------
    wavelength : λ in Å. fwhm : degrees in 2θ, full width at half maximum of a Gaussian instrument.
    polarisation : "none" (1: neutrons, or X-rays scattered across their plane of polarisation), or "unpolarised":
        (1 + K cos²2θ)/(1 + K) with K = cos²(monochromator), the monochromator's own 2θ in degrees (0: none).
    Uiso, probe, per_atom, anomalous : as for `waxs`.

    Raises
    ------
    PdfkitError : an angle of 180° or more, a wavelength that is not positive, Q beyond the tables of f; as `waxs`.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> angle = np.arange(30, 45, 0.05)
    >>> gold = pk.powder_pattern(pk.build.sphere("Au", 40), angle, wavelength=1.5406, fwhm=0.1)
    >>> print(f"{angle[gold.intensity.argmax()]:.1f}°")  # 111
    38.2°
    """
    angle = _checks.grid("two_theta", two_theta)
    if angle[0] < 0 or angle[-1] >= 180:
        raise PdfkitError(f"two_theta runs from {angle[0]:g} to {angle[-1]:g}: it must lie from 0 to below 180 degrees")
    wavelength = _checks.number("wavelength", wavelength, low=0.0, open_low=True)
    sigma = math.radians(_checks.number("fwhm", fwhm, low=0.0, high=90.0)) / math.sqrt(8 * math.log(2))
    kind = _checks.choice("polarisation", polarisation, POLARISATIONS)
    mono = math.radians(_checks.number("monochromator", monochromator, low=0.0, high=180.0))
    if kind != "none" and probe != "X":
        raise PdfkitError(f"polarisation = {kind!r} is for X-rays, not for probe {probe!r}: leave it out")
    at = _Scene.of(particle, Uiso)
    # Features are as fine as the largest distance makes them: dQ/d2θ ≤ 2π/λ.
    finest = 2 * math.pi / wavelength * float(at.table.distance.max(initial=0.0)) * (1 + at.motion.expansion)
    offset, share = _gaussian(sigma, finest)
    points = np.radians(angle)[:, None] + offset
    # Beyond 0 and 180 degrees angles are those on the other side of the beam.
    Q = 4 * math.pi / wavelength * np.abs(np.sin(points / 2))
    I = debye.intensity(
        at.table, Q.ravel(), at.elements, at.motion, probe=probe, per_atom=per_atom,
        wavelength=at.resonant(probe, wavelength, anomalous),
    ).reshape(Q.shape)  # fmt: skip
    if kind != "none":
        K = math.cos(mono) ** 2
        I *= (1 + K * np.cos(points) ** 2) / (1 + K)
    centre = 4 * math.pi / wavelength * np.sin(np.radians(angle) / 2)
    return Pattern(centre, I @ share, angle, wavelength, probe, at.name)


def _gaussian(sigma: float, finest: float) -> tuple[Array, Array]:
    """Return offsets and shares that convolve with a Gaussian what oscillates with up to `finest` radians per radian.

    Even steps: the sum is exact to 1e-14 when its alias, finest − 2π/step, is beyond the Gaussian's transform.
    """
    if sigma == 0:
        return np.zeros(1), np.ones(1)
    step = float(2 * math.pi / (finest + _REACH / sigma))
    half = math.ceil(_REACH * sigma / step)
    offset = np.asarray(step * np.arange(-half, half + 1), dtype=np.float64)
    share = np.exp(-0.5 * (offset / sigma) ** 2)
    return offset, np.asarray(share / share.sum())


@_checks.renamed(weights='scattering="constant" or scattering="q-dependent"')
def debye_sq(
    particle: Any,
    Q: Array,
    *,
    Uiso: float | Mapping[str, float] | None = None,
    probe: str = "X",
    wavelength: float | None = None,
    anomalous: bool = False,
    **options: Any,
) -> SQ:
    """Return S(Q) = [I/N − ⟨f²⟩ + ⟨f⟩²]/⟨f⟩² of one particle on increasing Q (Å⁻¹).

    wavelength, anomalous : as for `waxs`. Options: scattering, strengths, qbroad, qdamp, resolution, method of
    `pdfkit.debye.structure_function`. Errors as for `waxs`.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> pair = pk.Particle.of(["Ni", "Ni"], [[0, 0, 0], [2.5, 0, 0]])
    >>> pk.patterns.debye_sq(pair, np.pi / 2.5 * np.array([0.5, 1.5]), Uiso=0).S.round(3).tolist()  # 1 + sin(Qd)/(Qd)
    [1.637, 0.788]
    """
    at = _Scene.of(particle, Uiso)
    options["wavelength"] = at.resonant(probe, wavelength, anomalous, options.get("strengths"))
    return replace(debye.sq(at.table, Q, at.elements, at.motion, probe=probe, **options), name=at.name)


def debye_pdf(
    particle: Any,
    r: Array,
    instrument: Instrument | None = None,
    *,
    Uiso: float | Mapping[str, float] | None = None,
    strengths: Mapping[str, float] | None = None,
    method: str = "auto",
) -> PDF:
    """Return G(r) = (2/π)∫Q[S(Q) − 1]M(Q) sin(Qr) dQ over Qmin…Qmax of one particle; see `pdfkit.debye.pdf`.

    instrument : default X-rays, f(Q), Qmax 25 Å⁻¹. Errors as for `waxs`; PdfkitError without a finite qmax.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> r = np.arange(1, 3.5, 0.01)
    >>> pdf = pk.patterns.debye_pdf(pk.build.tetrahedron("CdSe_zincblende", 4), r, pk.Instrument(probe="X", qmax=25))
    >>> print(f"{r[pdf.G.argmax()]:.2f} Å")  # the Cd–Se bond
    2.62 Å
    """
    at = _Scene.of(particle, Uiso)
    if instrument is not None:
        at.resonant(instrument.probe or "X", instrument.wavelength, instrument.anomalous, strengths)
    return debye.pdf(at.table, r, at.elements, at.motion, instrument, strengths=strengths, method=method, name=at.name)


@dataclass(frozen=True, eq=False)
class _Scene:
    """What a pattern needs of a particle: its pairs, the element of each class, and how its atoms move."""

    table: PairTable
    elements: tuple[str, ...]
    motion: Motion
    name: str

    def resonant(
        self, probe: str, wavelength: float | None, anomalous: bool, strengths: Mapping[str, float] | None = None
    ) -> float | None:
        """Return the wavelength whose anomalous terms are asked for, or None; says what is not reliable about them."""
        about = Instrument(probe=probe, wavelength=wavelength, anomalous=anomalous)
        for text in species_remarks(self.elements, about, strengths or {}) if anomalous else ():
            remark(text, stacklevel=3)
        return about.resonant

    @singledispatchmethod
    @classmethod
    def of(cls, obj: Any, Uiso: float | Mapping[str, float] | None) -> _Scene:
        particle = Particle.from_structure(obj)
        u = _displacements(particle.elements, UISO if Uiso is None else Uiso)
        return cls(count_pairs(particle), particle.elements, Motion(u), particle.name or particle.formula)

    @of.register(Cluster)
    @classmethod
    def _of_cluster(cls, cluster: Cluster, Uiso: float | Mapping[str, float] | None) -> _Scene:
        elements = cluster._class_elements
        u = _displacements(cluster.classes, dict(cluster.Uiso) if Uiso is None else Uiso)
        expansion, table = cluster.expansion, None
        if cluster.axial and any(cluster.axial):
            # What is stretched along axes has other pairs.
            expansion, table = 0.0, count_pairs(cluster.refined_particle(), labels=cluster._labels[1])
        motion = Motion(u, cluster.delta1, cluster.delta2, expansion)
        return cls(table or cluster.table(), elements, motion, cluster.particle.name or cluster.name)


def _displacements(classes: tuple[str, ...], Uiso: float | Mapping[str, float]) -> tuple[float, ...]:
    if not isinstance(Uiso, Mapping):
        return (_checks.number("Uiso", Uiso, low=0.0, high=_checks.MOST_U),) * len(classes)
    for key in Uiso:
        if key not in classes:
            raise PdfkitError(
                f"Uiso is given for {key!r}, but the kinds of atom are {', '.join(classes)}: name one of them"
            )
    return tuple(_checks.number(f"Uiso of {c}", Uiso.get(c, UISO), low=0.0, high=_checks.MOST_U) for c in classes)


# --- Guinier ---------------------------------------------------------------------------------------------------------


def guinier(Q: Array, intensity: Array, error: Array | None = None, *, limit: float = 1.3) -> GuinierFit:
    """Return the fit of ln I = ln I₀ − Q²Rg²/3 to the points from the lowest Q up to Q·Rg = `limit`, by iteration.

    The law is the beginning of a series: up to 1.3 the Rg of a solid sphere comes out 1.8 % high, up to 0.5 0.3 %; a
    smaller limit is better where the data allow one. Q (n,) Å⁻¹, increasing; intensity (n,); error (n,), standard
    deviations: without them all logarithms weigh the same, and the standard errors come from the scatter of the points
    about the line (which for calculated intensities is the curvature of the series).
    Source: Guinier, Ann. Phys. 11, 161 (1939).

    Raises
    ------
    PdfkitError : fewer than three points below the limit, or intensities there that are not positive, or do not fall.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> ball = pk.build.sphere("Au", 40)
    >>> pattern = pk.saxs(ball, np.linspace(0.005, 0.1, 60))
    >>> found = pk.patterns.guinier(pattern.Q, pattern.intensity, limit=0.5)
    >>> print(f"{found.Rg:.1f} Å, from the atoms {pk.particles.radius_of_gyration(ball, 'electrons'):.1f} Å")
    15.6 Å, from the atoms 15.5 Å
    """
    Q, I = _checks.grid("Q", Q), _checks.array("intensity", intensity)
    sigma = None if error is None else _checks.array("error", error)
    if I.size != Q.size or (sigma is not None and sigma.size != Q.size):
        raise PdfkitError(f"Q has {Q.size} points and intensity has {I.size}: they must match, and so must errors")
    limit = _checks.number("limit", limit, low=0.0, open_low=True)
    first = int(np.argmax(Q > 0))
    Q, I, sigma = Q[first:], I[first:], None if sigma is None else sigma[first:]
    # Where Q·Rg is at its limit, the intensity has fallen to exp(−limit²/3).
    fallen = math.exp(-(limit**2) / 3) * I[:5].mean()
    count = min(max(5, int((fallen < I).sum())), Q.size)
    seen: list[int] = []
    while count not in seen:
        seen.append(count)
        highest = limit / _line(Q, I, sigma, count).Rg
        count = int(np.searchsorted(Q, highest, side="right"))
        if count < 3:
            raise PdfkitError(
                f"{count} points lie below Q·Rg = {limit:g} (Q starts at {Q[0]:g} Å⁻¹): Guinier's law needs at least 3 "
                "there; measure at smaller Q, or raise limit"
            )
    # Where the limit falls between two sets that lead to each other, the smaller one keeps to it.
    return _line(Q, I, sigma, min(seen[seen.index(count) :]))


def _line(Q: Array, I: Array, error: Array | None, count: int) -> GuinierFit:
    """Return the straight line through the logarithms of the first `count` points."""
    Q, I = Q[:count], I[:count]
    if (I <= 0).any():
        raise PdfkitError(f"the intensity is {I.min():g} at Q = {Q[np.argmin(I)]:g} Å⁻¹: Guinier's law needs I > 0")
    if error is not None and (error[:count] <= 0).any():
        raise PdfkitError("error holds values that are not positive: leave those points out")
    w = np.ones(count) if error is None else (I / error[:count]) ** 2
    x, y = Q**2, np.log(I)
    mx, my = w @ x / w.sum(), w @ y / w.sum()
    spread = w @ (x - mx) ** 2
    slope = w @ ((x - mx) * (y - my)) / spread
    if slope >= 0:
        raise PdfkitError(f"the intensity does not fall between Q = {Q[0]:g} and {Q[-1]:g} Å⁻¹: there is no Rg in it")
    scale = 1.0
    if error is None:
        scale = float(((y - my - slope * (x - mx)) ** 2).sum()) / max(count - 2, 1)
    Rg, I0 = math.sqrt(-3 * slope), math.exp(my - slope * mx)
    dI0 = I0 * math.sqrt(scale * (1 / w.sum() + mx**2 / spread))
    return GuinierFit(Rg, 1.5 / Rg * math.sqrt(scale / spread), I0, dI0, float(Q[0]), float(Q[-1]), count)


# --- files -----------------------------------------------------------------------------------------------------------


def write_pattern(path: AnyPath, pattern: Pattern) -> Path:
    """Write a pattern as columns: two_theta (degrees), Q (Å⁻¹) and intensity, or Q and intensity; return the path.

    `read_columns` and `read_intensity` read them back. Raises WriteError when the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> import pdfkit as pk
    >>> nickel = pk.build.sphere("Ni", 6)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pk.patterns.write_pattern(f"{folder}/ni.xy", pk.powder_pattern(nickel, [40, 44.5, 50], 1.5406))
    ...     names, values, header = pk.io.read_columns(path)
    >>> names, values.shape, header["probe"]
    (('two_theta', 'Q', 'intensity'), (3, 3), 'X')
    """
    unit = {"X": "electrons^2", "N": "fm^2", "E": "A^2"}[pattern.probe]
    lines = [f"name = {pattern.name}", f"probe = {pattern.probe}", f"intensity = {unit}, Debye equation"]
    names, columns = ["Q", "intensity"], [pattern.Q, pattern.intensity]
    if pattern.two_theta is not None:
        lines.append(f"wavelength = {pattern.wavelength:.10g}")
        names, columns = ["two_theta", *names], [pattern.two_theta, *columns]
    else:
        lines.append("q_unit = A-1")
    write_columns(path, names, columns, lines)
    return Path(path)
