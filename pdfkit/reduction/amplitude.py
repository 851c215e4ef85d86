"""How far the amplitude of an ad hoc reduction is from absolute: its factor, with an error.

The ad hoc method finds its scale as if nothing but coherent scattering were in the intensities; where there is more
(Compton scattering, fluorescence), F and G come out too small by a factor, 0.2 to 1. With the composition and ρ₀ the
physical method knows what else there is, and the factor is that between the two. Which of Compton scattering and a
constant are in the data is not asked: all four are tried, and count by how well G(r) fits −4πρ₀r below the first peak.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pdfkit import transforms
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.reduction.corrections import Levels, Net, inelastic, transmission
from pdfkit.reduction.lowr import Atoms
from pdfkit.reduction.methods import Corrected, Physics, physical
from pdfkit.reduction.settings import ReductionSettings
from pdfkit.reduction.slow import Solution

# Sum of squares per point, above which nothing is to be learned.
_WRONG = 20.0
# Of the factor: it is a little another at other r and Q, as what changes slowly with Q is not taken off by it.
_MEANING = 0.01
# A constant has to make the sum of squares smaller by this.
_OCCAM = 4.0
# Å: the range of peaks that are compared.
_PEAKS = 20.0


def amplitude(net: Net, means: Levels, found: Corrected, asked: ReductionSettings) -> tuple[float, float] | None:
    """Return the factor of F over F on an absolute scale, and its standard deviation; None where nothing fits."""
    trials = [
        replace(asked, method="physical", rpoly=0.0, slow=asked.slow or 0.05, compton=compton, constant=constant)
        for compton in ((True, False) if asked.probe == "X" else (True,))
        for constant in (False, True)
    ]
    fits = [one for one in (_fit(net, means, how) for how in trials) if one is not None]
    if not fits:
        return None
    # On the same r, or what is wrong would be tried on less of it.
    fitting = [fit.end for fit in fits if fit.misfit <= fit.size]
    end = max(fitting) if fitting else min(fit.end for fit in fits)
    some = np.array([_compared(net, means, found, replace(how, rcut=end)) for how in trials])
    value, error, misfit = some[np.isfinite(some[:, 2])].T
    if not value.size:
        return None
    # Where nothing fits as well as it should, it tells less.
    weight = np.exp(-(misfit - misfit.min()) / (2 * max(1.0, misfit.min() / min(fit.size for fit in fits))))
    weight /= weight.sum()
    mean = float(weight @ value)
    return mean, math.sqrt(float(weight @ (error**2 + (value - mean) ** 2)))


def _physical(net: Net, means: Levels, asked: ReductionSettings) -> Corrected | None:
    fractions, Q = asked.fractions, net.Q
    atoms = Atoms(fractions, asked.probe or "X")
    physics = Physics(means, inelastic(asked, fractions, Q), transmission(asked, Q), atoms, net.variance)
    try:
        return physical(Q, net.intensity, physics, asked)
    except PdfkitError:
        return None


def _fit(net: Net, means: Levels, asked: ReductionSettings) -> Solution | None:
    """Return the fit of a slow factor, where it fits at all."""
    done = _physical(net, means, asked)
    return None if done is None or done.fit is None or done.fit.misfit > _WRONG * done.fit.size else done.fit


def _compared(net: Net, means: Levels, found: Corrected, asked: ReductionSettings) -> tuple[float, float, float]:
    """Return factor, error and misfit for what the settings say is in the intensities; an infinite misfit for none."""
    done = _physical(net, means, asked)
    # Nothing scatters less than nothing.
    if done is None or done.open is None or done.fit is None or done.facts.get("constant", 0.0) < 0:
        return 0.0, 0.0, math.inf
    along = _in_peaks(net.Q, done.F, done.fit.end)
    factor, shift = float(along @ found.F), along @ done.open[0]
    variance = factor**2 * (float(shift @ done.open[1] @ shift) + _MEANING**2)
    if net.variance is not None:
        by_counts = _pulled(found, along) - factor * _pulled(done, along)
        variance += float(by_counts**2 @ net.variance)
    return factor, math.sqrt(variance), done.fit.misfit + _OCCAM * asked.constant


def _in_peaks(Q: Array, F: Array, end: float) -> Array:
    """Return the weights (n,) with which another F, times them, is the part of the peaks of this one that it has.

    That is the least-squares factor between the two G(r) from `end` to 20 Å: at smaller r a polynomial was taken off.
    """
    r = np.arange(end, _PEAKS, math.pi / float(Q[-1]))
    sines = np.sin(np.outer(r, Q)) * transforms.trapezoids(Q)
    G = sines @ F
    return np.asarray(G @ sines / float(G @ G))


def _pulled(found: Corrected, along: Array) -> Array:
    """Return the derivatives by the intensities (n,) of along·F."""
    return np.asarray(found.D * along + found.R @ (found.L.T @ along))


def made_absolute(found: Corrected, factor: float, error: float) -> Corrected:
    """Return what the method found on an absolute scale, with the error of the factor."""

    shape = (found.F[:, None] / factor, np.array([[(error / factor) ** 2]]))
    return replace(
        found,
        F=found.F / factor,
        before=found.before / factor,
        polynomial=found.polynomial / factor,
        scale=found.scale / factor,
        D=found.D / factor,
        L=found.L / factor,
        open=shape,
    )
