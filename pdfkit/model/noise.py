"""G(r) of a model as a measurement would give it: with noise that has passed the sine transform."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pdfkit import _checks, transforms
from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import HC, Instrument
from pdfkit.errors import PdfkitError
from pdfkit.model.model import Model

# More points than this are a slip of the keyboard.
MOST_POINTS = 1_000_000


def simulate(
    model: Model,
    rmin: float = 0.01,
    rmax: float = 30.0,
    rstep: float = 0.01,
    noise: float = 0.0,
    seed: int = 0,
    name: str = "simulated",
) -> PDF:
    """Return G(r) of the model on rmin, rmin + rstep … rmax (Å), with noise of standard deviation `noise` (Å⁻²).

    The noise is white in F(Q) up to qmax (in r where there is no qmax) and then goes through the same transform as
    the signal; it becomes dG. PdfkitError for an impossible grid.
    """
    r = grid(rmin, rmax, rstep)
    noise = _checks.number("noise", noise, low=0.0)
    G = model(r).G
    if noise == 0:
        return PDF(r, G, instrument=_told(model), name=name)
    G = G + noise * _unit_noise(r, model.instrument, seed)
    return PDF(r, G, np.full(r.size, noise), instrument=_told(model), name=name)


def _told(model: Model) -> Instrument:
    """Return the instrument of a model; that of X-rays and electrons says which scattering strengths were taken."""
    used = model.instrument_used
    return used if used.probe == "N" else replace(used, given=(*used.given, "scattering"))


def grid(rmin: float, rmax: float, rstep: float) -> Array:
    """Return rmin, rmin + rstep … rmax (Å). PdfkitError for an impossible grid."""
    rmin = _checks.number("rmin", rmin, low=0.0)
    rmax = _checks.number("rmax", rmax)
    rstep = _checks.number("rstep", rstep, low=0.0, open_low=True)
    if rmin >= rmax:
        raise PdfkitError(f"rmin = {rmin:g} is not below rmax = {rmax:g}: swap or correct them")
    if (rmax - rmin) / rstep > MOST_POINTS:
        raise PdfkitError(
            f"rstep = {rstep:g} makes more than {MOST_POINTS} points up to {rmax:g} Å: give a larger rstep"
        )
    steps = math.floor((rmax - rmin) / rstep + 1e-6)
    # Through decimals: 0.01·k would be written as 0.07000000000000001.
    return np.asarray(np.round(rmin + rstep * np.arange(steps + 1), 10))


def wavelength(given: float | None, energy: float | None, probe: str) -> float | None:
    """Return the wavelength (Å) that is given as such or as the energy (keV) of X-rays; not both."""
    if energy is None:
        return given
    if given is not None or probe != "X":
        raise PdfkitError("energy (keV) is for X-rays and replaces the wavelength: give one of the two, and probe X")
    return HC / _checks.number("energy", energy, low=0.0, open_low=True)


def _unit_noise(r: Array, instrument: Instrument, seed: int) -> Array:
    """Return noise on r with standard deviation 1, as white noise in F(Q) between qmin and qmax gives it."""
    rng = np.random.default_rng(seed)
    qmax = instrument.qmax
    if qmax is None or qmax == math.inf:
        return rng.standard_normal(r.size)
    # A step in Q of π/2rmax: the noise does not repeat within the range.
    count = max(16, math.ceil((qmax - instrument.qmin) * 2.0 * r[-1] / math.pi))
    Q = np.linspace(instrument.qmin, qmax, count)
    M = transforms.window(instrument.window, Q, qmax, instrument.window_width)
    F = rng.standard_normal(count) * M
    # ⟨sin²⟩ = 1/2: the variance of a sum over Q, away from r = 0.
    scale = math.sqrt(0.5 * float((M**2).sum()))
    return np.asarray(transforms.phase_sum(Q, F, r).imag / scale)
