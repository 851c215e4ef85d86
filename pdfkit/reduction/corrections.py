"""What a reduction needs to know of sample and beam, and the pattern of the empty container taken off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdfkit import _checks, scattering
from pdfkit._checks import Array
from pdfkit.data.curves import Intensity, gaps, sin2_theta
from pdfkit.errors import PdfkitError, StructureError, remark
from pdfkit.reduction.settings import ReductionSettings

# --- What a reduction needs to know of the sample and the beam -------------------------------------------------------

_FM2 = 100.0  # fm² in a barn

_COMPTON = 0.0242631023  # Å, h/mc


@dataclass(frozen=True)
class Levels:
    """Means over the atoms on Q (n,): f1 = ⟨f⟩, f2 = ⟨f²⟩, in units of `pdfkit.form_factor`."""

    f1: Array
    f2: Array


def levels(fractions: Mapping[str, float], probe: str, Q: Array, wavelength: float | None = None) -> Levels:
    """Return ⟨f⟩ and ⟨f²⟩ on Q (Å⁻¹), with a wavelength |⟨f⟩| and ⟨|f|²⟩ of f = f₀ + f′ + if″.

    Raises PdfkitError for a null-scattering mixture or Q beyond the tables.
    """
    if probe != "N" and Q[-1] > scattering.QMAX_TABLES:
        raise PdfkitError(
            f"Q reaches {Q[-1]:g} Å⁻¹, beyond the tables of form factors ({scattering.QMAX_TABLES:.0f}): is Q in nm⁻¹? "
            'Then read it with unit="nm-1"; else lower qmaxinst'
        )
    names = list(fractions)
    c = np.array([fractions[name] for name in names])
    f: Any = np.stack([scattering.form_factor(name, probe, Q) for name in names])
    if wavelength is not None:
        f = f + np.array([scattering.anomalous(name, wavelength) for name in names])[:, None]
    mean = scattering._mean(c, f, names)
    return Levels(mean if wavelength is None else np.abs(mean), np.tensordot(c, scattering.product(f, f), axes=1))


def _incoherent(fractions: Mapping[str, float]) -> float:
    """Return the incoherent neutron scattering per atom, σ_inc/4π in fm²; StructureError where it is not tabulated."""
    total = 0.0
    for element, share in fractions.items():
        value = getattr(scattering._entry(element).neutron, "incoherent", None)
        if value is None:
            raise StructureError(f"{element} has no tabulated incoherent cross section: use method='adhoc'")
        total += share * float(value) * _FM2 / (4 * math.pi)
    return total


def _compton(fractions: Mapping[str, float], Q: Array, wavelength: float | None, recoil: float) -> Array:
    """Return the Compton scattering per atom (n,) in electrons²: Σ c_a S_a(x)·(λ/λ′)^recoil, x = Q/4π.

    S_a(x) are the incoherent scattering functions of Hubbell et al., J. Phys. Chem. Ref. Data 4, 471 (1975), as
    xraylib has them. λ′ − λ = (h/mc)(1 − cos 2θ); the recoil factor [Breit, Phys. Rev. 27, 362 (1926); Dirac] counts
    with exponent 2 for detectors that count photons, 3 for those that measure energy; without a wavelength it is 1.
    """
    import xraylib_np

    x = Q / (4 * math.pi)
    numbers = [scattering._entry(element).number for element in fractions]
    # Below its tables S grows as x²: by less than 0.01 electrons at the first point.
    start = 0.005
    inside = np.maximum(x, start)
    S = np.asarray(xraylib_np.SF_Compt(np.array(numbers), inside)) * np.minimum(x / start, 1.0) ** 2
    total = np.array(list(fractions.values())) @ S
    if wavelength is None:
        return np.asarray(total)
    shift = 2 * _COMPTON * (x * wavelength) ** 2  # (h/mc)·2 sin²θ
    return np.asarray(total * (wavelength / (wavelength + shift)) ** recoil)


def inelastic(settings: ReductionSettings, fractions: Mapping[str, float], Q: Array) -> Array:
    """Return what is scattered without interference, per atom (n,)."""
    if settings.probe == "N":
        return np.full(Q.size, _incoherent(fractions))
    if settings.probe == "E" or not settings.compton:
        return np.zeros(Q.size)
    return _compton(fractions, Q, settings.wavelength, settings.recoil)


def transmission(settings: ReductionSettings, Q: Array) -> Array:
    """Return polarisation × absorption (n,), what the intensities are divided by."""
    return _polarised(settings, Q) * _absorbed(settings, Q)


def _polarised(settings: ReductionSettings, Q: Array) -> Array:
    if settings.polarisation == "none" or settings.wavelength is None:
        return np.ones(Q.size)
    unpolarised = isinstance(settings.polarisation, str)
    K = 1.0 if unpolarised else _checks.number("polarisation", settings.polarisation, low=0.0, high=1.0)
    cos2 = (1 - 2 * sin2_theta(Q, settings.wavelength)) ** 2
    return np.asarray((1 + K * cos2) / (1 + K))


def _absorbed(settings: ReductionSettings, Q: Array) -> Array:
    value = settings.absorption
    if value is None:
        return np.ones(Q.size)
    if callable(value) or np.ndim(value):
        factor = _checks.array("absorption", value(Q) if callable(value) else value)
        if factor.size != Q.size or not (factor > 0).all():
            raise PdfkitError(
                f"absorption needs {Q.size} positive factors, one per Q from qmin to qmaxinst", key="absorption"
            )
        return factor
    mu = _checks.number("absorption", value, low=0.0, high=3.0)
    sin2 = sin2_theta(Q, settings.wavelength or 0.0)
    return np.asarray(np.exp(-(1.7133 - 0.0368 * sin2) * mu + (0.0927 + 0.375 * sin2) * mu**2))


# --- The pattern of the empty container ------------------------------------------------------------------------------

# Å⁻¹: a wider gap hides whole peaks, and no straight line stands for them.
WIDEST_GAP = 0.3


@dataclass(frozen=True)
class Net:
    """Sample less background on Q: raw (n,), variance (n,) or None, background already scaled (n,)."""

    Q: Array
    raw: Array
    background: Array
    variance: Array | None
    note: str = ""

    @property
    def intensity(self) -> Array:
        """Raw less background."""
        return self.raw - self.background


def subtract(sample: Intensity, background: Intensity | None, scale: float) -> Net:
    """Return the sample less scale × background, interpolated linearly where it is on another grid (and said).

    The variance of an interpolated background is spread over the points that share it so that sums over smooth
    functions keep their variance: cov(B) = L·diag(v)·Lᵀ is lumped to its row sums.

    Raises PdfkitError when the background does not reach as far as the sample, or too little is left.
    """
    variance = None if sample.dI is None else sample.dI**2
    if background is None:
        return _checked(Net(sample.Q, sample.I, np.zeros(len(sample)), variance))
    note = ""
    same = len(background) == len(sample) and bool(np.allclose(background.Q, sample.Q, rtol=1e-7, atol=0))
    B, extra = background.I, None if background.dI is None else background.dI**2
    if not same:
        _covers(sample, background)
        note = "the background is on another grid: interpolated linearly"
        remark(f"{background.name or 'background'}: {note}", stacklevel=3)
        B = np.interp(sample.Q, background.Q, B)
        extra = None if extra is None else _lumped(sample.Q, background.Q, extra)
    if variance is not None and extra is not None:
        variance = variance + scale**2 * extra
    return _checked(Net(sample.Q, sample.I, scale * B, variance, note))


def _covers(sample: Intensity, background: Intensity) -> None:
    step = float(np.median(np.diff(background.Q)))
    if background.Q[0] - step > sample.Q[0] or background.Q[-1] + step < sample.Q[-1]:
        raise PdfkitError(
            f"the background spans Q = {background.Q[0]:.4g} to {background.Q[-1]:.4g} Å⁻¹ and the sample is wanted "
            f"from {sample.Q[0]:.4g} to {sample.Q[-1]:.4g}: choose qmin and qmaxinst within the background"
        )


def _lumped(Q: Array, nodes: Array, variance: Array) -> Array:
    """Return the row sums of L·diag(v)·Lᵀ on Q, L the linear interpolation from `nodes`."""
    j = np.clip(np.searchsorted(nodes, Q, side="right") - 1, 0, nodes.size - 2)
    t = np.clip((Q - nodes[j]) / (nodes[j + 1] - nodes[j]), 0.0, 1.0)
    column = np.bincount(j, 1 - t, nodes.size) + np.bincount(j + 1, t, nodes.size)
    shared = variance * column
    return np.asarray((1 - t) * shared[j] + t * shared[j + 1])


def _checked(net: Net) -> Net:
    negative = net.intensity <= 0
    if negative.mean() > 0.2:
        raise PdfkitError(f"{negative.sum()} of {net.Q.size} intensities are not above the background: lower bgscale")
    if negative.any():
        at = float(net.Q[int(np.argmax(negative))])
        text = f"{negative.sum()} intensities are not above the background, first at Q = {at:.4g} Å⁻¹"
        remark(f"{text}: is bgscale right?", stacklevel=4)
    return net


def bridged(pattern: Intensity) -> tuple[Intensity, int]:
    """Return the pattern with its gaps bridged by straight lines of the usual step, and how many points that took.

    Raises PdfkitError for a gap wider than 0.3 Å⁻¹.
    """
    holes = gaps(pattern.Q)
    if not holes:
        return pattern, 0
    step = float(np.median(np.diff(pattern.Q)))
    new = []
    for low, high in holes:
        if high - low > max(WIDEST_GAP, 20 * step):
            raise PdfkitError(
                f"{pattern.name or 'the pattern'} has no points from {low:.4g} to {high:.4g} Å⁻¹: end the data there "
                "with qmaxinst, or begin them beyond it with qmin"
            )
        count = math.ceil((high - low) / step)
        new.append(low + (high - low) * np.arange(1, count) / count)
    added = np.concatenate(new)
    Q = np.sort(np.concatenate([pattern.Q, added]))
    I = np.interp(Q, pattern.Q, pattern.I)
    dI = None if pattern.dI is None else np.interp(Q, pattern.Q, pattern.dI)
    return replace(pattern, Q=Q, I=I, dI=dI), added.size
