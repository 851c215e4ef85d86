"""What a peak of G(r) is made of: the pairs of every phase under it, how many there are, and what they add to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._table import Section, view
from pdfkit.errors import PdfkitError
from pdfkit.model.weights import form_factors
from pdfkit.phases.base import Broadening, Phase
from pdfkit.phases.shells import TOGETHER, Shell, shells, slices
from pdfkit.scattering import product

if TYPE_CHECKING:
    from pdfkit.model.model import Model

TERMINATION = 1.6
"""σ·Qmax of the Gaussian that is as wide as the cut at Qmax makes a sharp peak: its FWHM is 3.79/Qmax."""
AROUND, STEP = 1.5, 0.002
"""Å: how far from r the ends of a peak are looked for, and in which steps."""
FARTHEST = 200.0
"""Å: where peaks end that are explained; beyond, too many pairs are under each."""
FLOOR = 0.005
"""Of its height: a peak that stands alone ends where it is less than this."""
NARROWEST = 0.05
"""Å: where there is no peak at all, pairs within so much of r are listed."""
LEAST = 0.0005
"""Shares of the area below this have no line in a table."""


@dataclass(frozen=True)
class PeakPair:
    """A shell of neighbours under a peak.

    phase : its name. shell : species, distance, width, numbers of neighbours, sites (`pdfkit.phases.shells.Shell`).
    weight : the scattering weight Re(f_a f_b*)/|⟨f⟩|² at Q = 0, negative where neutrons scatter with opposite signs.
    inside : γ₀(distance), the share of these pairs that is left in particles of a finite size. area : ∫G dr (Å⁻¹),
    before the fading by qdamp. share : of the area under the peak, between 0 and 1, negative areas counted as positive.
    """

    phase: str
    shell: Shell
    weight: float
    inside: float
    area: float
    share: float


@dataclass(frozen=True)
class Peak:
    """The pairs under the peak of G(r) at r, between low and high (Å), the nearest first.

    Example
    -------
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb"), pk.Instrument(probe="X", qmax=25))
    >>> print(model.peak_at(4.1))
    peak at 4.1 Å: pairs from 3.58 to 4.51 Å
      phase  pair a–b  sites  r (Å)  b around a  a around b  σ (Å)  weight  γ₀  ∫G dr (Å⁻¹)  share
      zb     Cd–Cd     Cd–Cd  4.124  12          12          0.155  2.250   1   3.274        90 %
      zb     S–S       S–S    4.124  12          12          0.141  0.250   1   0.364        10 %
    """

    r: float
    low: float
    high: float
    pairs: tuple[PeakPair, ...]

    def section(self) -> Section:
        """Return the table, and in words where there is nothing in it."""
        heads = (
            "phase", "pair a–b", "sites", "r (Å)", "b around a", "a around b", "σ (Å)", "weight", "γ₀", "∫G dr (Å⁻¹)",
            "share",
        )  # fmt: skip
        shown = [one for one in self.pairs if one.share >= LEAST]
        heading = f"peak at {self.r:.4g} Å: pairs from {self.low:.2f} to {self.high:.2f} Å"
        if not shown:
            return Section(heading, lines=("No pair of the model is near: ripples, noise, or what the model lacks.",))
        return Section(heading, (heads, *map(_row, shown)))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain numbers and strings."""
        return {"r": self.r, "low": self.low, "high": self.high, "pairs": [_plain(one) for one in self.pairs]}

    def __str__(self) -> str:
        return self.section().text()

    def _repr_html_(self) -> str:
        return view(self.section())


def _row(one: PeakPair) -> tuple[str, ...]:
    shell = one.shell
    numbers = [f"{number:.3g}" for number in shell.numbers]
    few = ", ".join(shell.sites[:3]) + (f" and {len(shell.sites) - 3} more" if len(shell.sites) > 3 else "")
    share = f"{100 * one.share:.0f} %" if one.share > 0.095 else f"{100 * one.share:.2g} %"
    return (
        one.phase, "–".join(shell.pair), few, _distance(shell), *numbers, f"{shell.sigma:.3f}",
        f"{one.weight:.3f}", f"{one.inside:.3g}", f"{one.area:.3f}", share,
    )  # fmt: skip


def _distance(shell: Shell) -> str:
    low, high = shell.span
    many = f" ({low:.2f}–{high:.2f})" if high - low >= TOGETHER else ""
    return f"{shell.distance:.4g}{many}"


def _plain(one: PeakPair) -> dict[str, Any]:
    shell = one.shell
    return {
        "phase": one.phase, "pair": list(shell.pair), "distance": shell.distance, "sigma": shell.sigma,
        "numbers": list(shell.numbers), "sites": list(shell.sites), "weight": one.weight, "inside": one.inside,
        "area": one.area, "share": one.share, "words": shell.words,
    }  # fmt: skip


# --- Finding it ------------------------------------------------------------------------------------------------------


def peak_at(model: Model, r: float) -> Peak:
    """Return the pairs of a model under its peak of G(r) at r; see `Model.peak_at`."""
    r = _checks.number("r", r)
    if r <= 0.0:
        raise PdfkitError(f"r = {r:g}: a peak is at a distance above 0 Å")
    if r > FARTHEST:
        raise PdfkitError(f"r = {r:g}: peaks are explained up to {FARTHEST:g} Å, beyond which they are too many")
    near = [one for phase in model.phases for one in _weighed(model, phase, slices, (max(r - AROUND, 0.0), r + AROUND))]
    low, high = _ends(near, r, _blur(model))
    kept = [one for phase in model.phases for one in _weighed(model, phase, shells, (low, high))]
    total = sum(abs(one.area) for one in kept)
    pairs = [PeakPair(**{**one.__dict__, "share": abs(one.area) / total if total else 0.0}) for one in kept]
    return Peak(r, low, high, tuple(sorted(pairs, key=lambda one: (one.shell.distance, one.phase, one.shell.pair))))


def _blur(model: Model) -> float:
    qmax = model.instrument.qmax or math.inf
    return TERMINATION / qmax if math.isfinite(qmax) else 0.0


def _weighed(
    model: Model, phase: Phase, of: Callable[..., tuple[Shell, ...]], ends: tuple[float, float]
) -> list[PeakPair]:
    """Return the shells of a phase, as `shells` or `slices` finds them between two ends, with their areas."""
    weights, used = _weights(model, phase), model.instrument
    broadening = Broadening(used.qbroad, used.resolution, np.zeros((0, 2)), False)
    found = of(phase, *ends, broadening)
    distance = np.array([one.distance for one in found])
    inside = phase.applied_shape.gamma0(distance) if distance.size else distance
    out = []
    for shell, gamma0 in zip(found, inside.tolist(), strict=True):
        weight = weights[shell.pair]
        area = phase.scale * gamma0 * weight * shell.count / shell.distance
        out.append(PeakPair(phase.name, shell, weight, gamma0, float(area), 0.0))
    return out


def _weights(model: Model, phase: Phase) -> Mapping[tuple[str, str], float]:
    """Return Re(f_a f_b*)/|⟨f⟩|² at Q = 0 by species pair."""
    amount = phase.composition()
    f = form_factors(tuple(amount), model.instrument_used, model.strengths)
    mean = np.array(list(amount.values())) @ f / sum(amount.values())
    norm = float(product(mean, mean))
    if not norm:
        raise PdfkitError(f"{phase.name}: its mean scattering strength is 0: shares of a peak are not defined")
    return {(a, b): float(product(fa, fb)) / norm for a, fa in zip(amount, f, strict=True) for b, fb in
            zip(amount, f, strict=True)}  # fmt: skip


def _ends(near: list[PeakPair], r: float, blur: float) -> tuple[float, float]:
    """Return where the peak at r begins and ends: the minima beside it of what pairs alone make, as wide as Qmax cuts.

    Ripples of the cut are left out, since no pair is at their maxima.
    """
    grid = np.arange(max(r - AROUND, STEP), r + AROUND, STEP)
    curve = _drawn(near, grid, blur)
    here = int(np.argmin(np.abs(grid - r)))
    sign = math.copysign(1.0, curve[here])
    curve = curve * sign
    if curve[here] <= 1e-6 * max(float(np.abs(curve).max(initial=0.0)), 1e-300):
        return max(r - NARROWEST, 0.0), r + NARROWEST
    steps = np.diff(curve)
    top = here
    while top < grid.size - 1 and steps[top] > 0:  # uphill to the top, on whichever side it is
        top += 1
    while top > 0 and steps[top - 1] < 0:
        top -= 1
    first, last, floor = top, top, FLOOR * curve[top]
    while first > 0 and steps[first - 1] > 0 and curve[first] > floor:
        first -= 1
    while last < grid.size - 1 and steps[last] < 0 and curve[last] > floor:
        last += 1
    return float(grid[first]), float(grid[last])


def _drawn(near: list[PeakPair], grid: Array, blur: float) -> Array:
    out = np.zeros(grid.size)
    for one in near:
        variance = one.shell.sigma**2 + blur**2
        x = grid - one.shell.distance
        out += one.area / math.sqrt(2.0 * math.pi * variance) * np.exp(-0.5 * x * x / variance)
    return out
