"""Least squares of many scans that share parameters: a block arrow, solved a scan at a time.

Scan s has n numbers x_s = (o_s, l_s): its own, and those that laws lead, l_s = laws(θ). With [J, f] = QR of its
residuals, R upper triangular, everything a scan says to first order is in R (n + 1, n + 1):

    R = [R_oo R_ol z_o; 0 R_ll z_l]        ‖f + J·δx‖² = ‖R_oo δo + R_ol δl + z_o‖² + ‖R_ll δl + z_l‖²

The first square is 0 for the best δo whatever θ is, so the second ones, Σ ‖R_ll·(∂l/∂θ)·δθ + z_l‖², are the normal
equations of θ alone: the Schur complement of the arrow, K × K for K shared parameters and any number of scans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.fitting.steps import least

TOLERANCE = 1e-8
"""Share of χ² that may be left to gain at the end."""
FIRST_DAMPING, LARGEST_DAMPING = 1e-3, 1e8
MOST_STEPS = 60
RIDGE = 1e-9
"""Of the size of each column, in units of which what one scan does not tell stays where it is."""

Laws = Callable[[Array], tuple[Array, Array]]


class Scan(Protocol):
    """What a scan says of its numbers."""

    def triangle(self, x: Array) -> Array:
        """Return the triangular factor R (n + 1, n + 1) of [J, f] at x (n,), f in units of the noise."""


@dataclass(frozen=True, eq=False)
class Quadratic:
    """A scan of which only the triangle at one place x0 (n,) is known."""

    x0: Array
    R: Array

    def triangle(self, x: Array) -> Array:
        """Return the triangle at x, were residuals linear."""
        moved = self.R.copy()
        moved[:, -1] += self.R[:, :-1] @ (x - self.x0)
        return np.asarray(np.linalg.qr(moved, mode="r"))


@dataclass(frozen=True, eq=False)
class Eliminated:
    """A scan without its own numbers: R_oo (no, no), R_ol (no, nl), z_o (no,); R_ll (m, nl), z_l (m,).

    moving (no,): which of its own numbers are free to move; others are on a bound that they press on.
    """

    Roo: Array
    Rol: Array
    zo: Array
    Rll: Array
    zl: Array
    moving: NDArray[np.bool_]

    @classmethod
    def of(cls, R: Array, moving: NDArray[np.bool_]) -> Eliminated:
        """Eliminate the first numbers of a triangle, as many as `moving` is long."""
        no = moving.size
        kept = np.append(np.flatnonzero(moving), np.arange(no, R.shape[1]))
        rows, count = R[:, kept], int(moving.sum())
        size = np.linalg.norm(rows[:, :count], axis=0)
        ridge = np.zeros((count, kept.size))
        ridge[:, :count] = np.diag(RIDGE * np.where(size > 0, size, 1.0))
        Q = np.asarray(np.linalg.qr(np.vstack([rows, ridge]), mode="r"))
        return cls(Q[:count, :count], Q[:count, count:-1], Q[:count, -1], Q[count:, count:-1], Q[count:, -1], moving)

    def own(self, led: Array, share: float = 1.0) -> Array:
        """Return the best step (no,) of its own numbers where the led ones move by `led` (nl,)."""
        out = np.zeros(self.moving.size)
        if self.zo.size:
            out[self.moving] = -np.linalg.solve(self.Roo, share * self.zo + self.Rol @ led)
        return out


@dataclass(frozen=True, eq=False)
class Place:
    """Where a fit stands: theta (K,), own (S, no), led (S, nl), slopes (S, nl, K) of led by theta, triangles (S)."""

    theta: Array
    own: Array
    led: Array
    slopes: Array
    triangles: list[Array]
    cost: float


@dataclass(frozen=True, eq=False)
class Shared:
    """Normal equations of the shared parameters: curvature C (K, K), slope g (K,), scans without their own numbers.

    gain : what the own numbers alone would lower χ² by.
    """

    curvature: Array
    slope: Array
    scans: list[Eliminated]
    gain: float

    @property
    def unit(self) -> Array:
        """Sizes of the columns (K,), 1 where there is nothing."""
        size = np.sqrt(np.diag(self.curvature))
        return np.where(size > 0, size, 1.0)


@dataclass(frozen=True, eq=False)
class Arrow:
    """The problem: scans, laws, limits (no, 2) of own numbers, (nl, 2) of led ones, (K, 2) of shared parameters."""

    scans: Sequence[Scan]
    laws: Laws
    own_limits: Array
    led_limits: Array
    limits: Array

    def at(self, theta: Array, own: Array) -> Place | None:
        """Return the place at theta, own; None where laws lead beyond the limits, or a model has no value."""
        try:
            led, slopes = self.laws(theta)
            if (led < self.led_limits[:, 0]).any() or (led > self.led_limits[:, 1]).any():
                return None
            triangles = [scan.triangle(np.append(o, x)) for scan, o, x in zip(self.scans, own, led, strict=True)]
        except PdfkitError:
            return None
        cost = float(sum(R[:, -1] @ R[:, -1] for R in triangles))
        return Place(theta, own, led, slopes, triangles, cost) if np.isfinite(cost) else None

    def shared(self, here: Place) -> Shared:
        """Return what all scans together say of the shared parameters, to first order."""
        K = here.theta.size
        curvature, slope, gain, scans = np.zeros((K, K)), np.zeros(K), 0.0, []
        for R, own, slopes in zip(here.triangles, here.own, here.slopes, strict=True):
            one = Eliminated.of(R, self._moving(R, own))
            A = one.Rll @ slopes
            curvature += A.T @ A
            slope += A.T @ one.zl
            gain += float(one.zo @ one.zo)
            scans.append(one)
        return Shared(curvature, slope, scans, gain)

    def _moving(self, R: Array, own: Array) -> NDArray[np.bool_]:
        """Return which own numbers (no,) are not held by a bound that the slope presses them on."""
        slope = R[:, : own.size].T @ R[:, -1]
        low, high = self.own_limits.T
        return np.asarray(~(((own <= low) & (slope > 0)) | ((own >= high) & (slope < 0))))

    def step(self, here: Place, shared: Shared, damping: float) -> tuple[Array, float]:
        """Return the step of theta (K,), and what it would lower χ² by with those of own numbers."""
        unit = shared.unit
        scaled = shared.curvature / np.outer(unit, unit)
        room = (self.limits - here.theta[:, None]) * unit[:, None]
        y = least(scaled + damping * np.eye(unit.size), shared.slope / unit, room[:, 0], room[:, 1])
        foretold = -float(2.0 * (shared.slope / unit) @ y + y @ scaled @ y)
        return y / unit, foretold + shared.gain

    def tried(self, here: Place, shared: Shared, damping: float) -> Place | None:
        """Return the place that a damped step leads to."""
        theta = np.clip(here.theta + self.step(here, shared, damping)[0], *self.limits.T)
        try:
            moved = self.laws(theta)[0] - here.led
        except PdfkitError:
            return None
        share = 1.0 / (1.0 + damping)
        steps = [one.own(x, share) for one, x in zip(shared.scans, moved, strict=True)]
        own = np.clip(here.own + np.array(steps).reshape(here.own.shape), *self.own_limits.T)
        return self.at(theta, own)


@dataclass(frozen=True, eq=False)
class Found:
    """Where a minimisation ended, after how many evaluations of all scans, and whether nothing is left to gain."""

    place: Place
    shared: Shared
    evaluations: int
    converged: bool


def minimise(arrow: Arrow, here: Place, most: int = MOST_STEPS, tolerance: float = TOLERANCE) -> Found:
    """Lower χ² from a place by damped steps (Levenberg, Marquardt) until no more than a share of it is to be gained."""
    damping, count, shared = FIRST_DAMPING, 1, arrow.shared(here)
    while count < most and damping < LARGEST_DAMPING:
        if arrow.step(here, shared, 1e-12)[1] <= tolerance * here.cost:
            return Found(here, shared, count, True)
        there, count = arrow.tried(here, shared, damping), count + 1
        if there is not None and there.cost < here.cost:
            here, shared, damping = there, arrow.shared(there), max(damping / 8.0, 1e-9)
        else:
            damping *= 6.0
    return Found(here, shared, count, False)
