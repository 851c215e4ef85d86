"""A pattern that was fitted beside G(r), after the fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit._checks import Array
from pdfkit._table import frame
from pdfkit.data.curves import Intensity
from pdfkit.results.problem import PosedPattern

if TYPE_CHECKING:
    from pandas import DataFrame


TOLD = 2.0
"""Standard errors by which a scale or a background must differ from 0 to be there at all."""
BELOW = 0.05
"""Share of the signal by which a background may be negative without a word."""


def _told(pair: tuple[float, float]) -> bool:
    """Whether a number differs from 0 by more than its error, where that is known."""
    return not abs(pair[0]) < TOLD * pair[1]


def _scales_said(linear: Mapping[str, tuple[float, float]]) -> list[str]:
    """Say which scales are impossible, and which are 0 within their errors."""
    out = []
    for name, (value, error) in linear.items():
        phase, is_scale = name.removesuffix(".scale"), name.endswith(".scale")
        if is_scale and value > 0 and not _told((value, error)):
            out.append(
                f"the scale of {phase} is 0 within its error, {value:.3g} ± {error:.2g}: background and noise are all "
                "that these data show, and they say nothing of it"
            )
        if is_scale and not value > 0:
            out.append(
                f"the scale of {phase} would be negative, and is held at 0 (± {error:.2g}): these data and "
                "G(r) contradict each other, or the background takes what the particles are"
            )
    return out


@dataclass(frozen=True, eq=False, kw_only=True)
class PatternFit(PosedPattern):
    """One pattern after the fit: its data, what particles and background make of it, and how much it weighed.

    particles (nphases, n): the share of each phase at the points of the data; background (n,); sigma (n,): errors of
    points, errors_from where they are from: "dI", or "scatter" of the points about any smooth curve. linear: scales and
    terms of the background by name, each with its standard error. chi2: of `count` independent numbers, in units of
    these errors. size: how much larger the noise was taken to be, because the model misses that much. said: remarks.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> cluster = pk.Cluster(pk.build.tetrahedron("CdS_zincblende", 4), "c")
    >>> G = pk.Model(cluster, pk.Instrument(probe="X", qmin=0.8, qmax=16))(np.arange(2, 12, 0.05))
    >>> Q = np.linspace(0.8, 6, 400)
    >>> I = pk.waxs(cluster, Q, per_atom=True).intensity
    >>> noise = 0.01 * I.max() * np.random.default_rng(1).standard_normal(400)
    >>> result = pk.fit(pk.Model(cluster, G.instrument), {"pdf": G, "xrd": pk.Intensity(Q, 2 * I + 50 + noise)},
    ...     free=["scale", "expansion"])
    >>> (one,) = result.patterns
    >>> one.name, one.errors_from, f"{one.linear['c.scale'][0]:.1f}", len(one.calc)
    ('xrd', 'scatter', '2.0', 400)
    """

    particles: Array
    background: Array
    sigma: Array
    linear: Mapping[str, tuple[float, float]]
    chi2: float
    count: int
    errors_from: str
    said: tuple[str, ...] = field(default=())

    @property
    def data(self) -> Intensity:
        """The data."""
        return self.measured.data

    @property
    def calc(self) -> Array:
        """Particles and background (n,) at the Q of the data."""
        return np.asarray(self.particles.sum(axis=0) + self.background)

    @property
    def difference(self) -> Array:
        """I_obs − I_calc (n,)."""
        return np.asarray(self.data.I - self.calc)

    @property
    def reduced_chi2(self) -> float:
        """χ² per independent number, in units of the errors of points."""
        return self.chi2 / self.count

    @property
    def rw(self) -> float:
        """√(Σ(I_obs − I_calc)²/σ² / Σ(I_obs − background)²/σ²)."""
        seen = (self.data.I - self.background) / self.sigma
        return math.sqrt(float(((self.difference / self.sigma) ** 2).sum() / (seen**2).sum()))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know before trusting it."""
        out = [*self.said, *_scales_said(self.linear)]
        below = float(np.median(self.background)) if "flat" in self.linear else 0.0
        if below < -BELOW * float(np.ptp(self.particles.sum(axis=0))) and _told(self.linear["flat"]):
            out.append(
                f"the background came out negative ({below:.3g}): too much was taken off these data (solvent, cell), "
                "or their Q or the size of the particle is wrong"
            )
        return tuple(f"{self.name}: {text}" for text in out)

    def to_dataframe(self) -> DataFrame:
        """Return Q, Iobs, Icalc, Idiff, background and dI as a `pandas.DataFrame`."""
        return frame(self.columns())

    def columns(self) -> dict[str, Array]:
        """Return the curves by name: Q, two_theta where a wavelength is known, Iobs, Icalc, Idiff, background, dI."""
        wavelength = getattr(self.measured, "known_wavelength", None)
        angle = {} if wavelength is None else {"two_theta": self.measured.angle(self.data.Q)}  # type: ignore[attr-defined]
        about = {"Iobs": self.data.I, "Icalc": self.calc, "Idiff": self.difference, "background": self.background}
        return {"Q": self.data.Q, **angle, **about, "dI": self.sigma}

    def to_dict(self) -> dict[str, Any]:
        """Return its numbers without the curves (for JSON)."""
        linear = {name: {"value": v, "stderr": e if math.isfinite(e) else None} for name, (v, e) in self.linear.items()}
        about = {"chi2": self.chi2, "independent": self.count, "size": self.size, "errors_from": self.errors_from}
        ends = {"points": len(self.data), "qmin": float(self.data.Q[0]), "qmax": float(self.data.Q[-1])}
        return {"name": self.name, "kind": self.measured.kind, "rw": self.rw, **about, **ends, "linear": linear}
