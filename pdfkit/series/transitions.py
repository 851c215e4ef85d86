"""Does something happen along a series, and where? Values against the index, weighed by evidence.

Four laws: "none", one level; "trend", a straight line; "step", two levels with a break; "two states", two levels with
a smooth passage between them, y = a + b/(1 + exp[(x₀ − x)/w]). Levels count as equally likely anywhere within the
range of the values, three times as wide; breaks anywhere between two neighbours; widths, in their logarithm, from the
closest two indices to the whole range. For given x₀ and w a law is linear in the levels, whose integral is exact:
ln ∫L = −½χ² + ½ ln|2πC| − ln(prior ranges); the rest is a sum over a grid. So ln Z is exact but for the grid, and
needs no minimum to be found. Several values at once (amounts of several references, scores) have levels of their own
and share where it happens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._table import shortlist
from pdfkit.errors import PdfkitError

CLEAR = 3.0
"""Difference of ln Z that is called clear: odds of 20 to 1."""
PLACES, WIDTHS = 4, 12
"""Places between two neighbours where a break is tried, and widths of a passage."""
WIDER = 3.0
UNLIKELY = 1e-4
"""Probability of a χ² beyond which the best law is said to miss the values."""


@dataclass(frozen=True, eq=False, repr=False)
class Transition:
    """What values along a series ask for.

    evidence : ln Z of each law. law : that with the largest. clear : whether it is ahead of all others by 3, and
    describes the values. at, at_error : where it happens, mean and standard deviation over the better of "step" and
    "two states", with their weights; NaN where "none" or "trend" is ahead. width : mean of w over "two states".
    remarks : what is to be known.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series import transition
    >>> T, rng = np.linspace(150, 250, 21), np.random.default_rng(1)
    >>> found = transition(T, np.where(T < 202, 1.0, 1.4) + 0.05 * rng.standard_normal(21), 0.05)
    >>> found.law, bool(200 < found.at < 205)
    ('step', True)
    """

    evidence: dict[str, float]
    law: str
    clear: bool
    at: float
    at_error: float
    width: float
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        from pdfkit.results.report import uncertain

        best = self.evidence[self.law]
        rows = [(name, f"{value:.1f}", f"{value - best:.1f}") for name, value in self.evidence.items()]
        lines = [f"{self.law}{'' if self.clear else ', but not clearly'}"]
        if math.isfinite(self.at):
            lines[0] += f": at {uncertain(self.at, self.at_error)}"
        return shortlist("Transition", ("law", "ln Z", "behind"), rows, self.remarks).text() + f"\n  {lines[0]}"


def transition(index: Array, values: Array, errors: Array | float) -> Transition:
    """Return whether values show no change, a trend, a step or a passage between two states, by evidence.

    index : (m,). values : (m,), or (m, c) that change together. errors : standard errors, of the same shape or one for
    all. The order of the scans does not matter.

    An order parameter, |1 − x/x₀|^β, is none of these laws, and may come out as two states with a middle far from x₀:
    `fit_series(…, how="parametric", laws={name: "order"})` fits it.

    Raises PdfkitError for fewer than 5 values, or errors not above 0.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series import transition
    >>> T, rng = np.linspace(150, 250, 21), np.random.default_rng(1)
    >>> transition(T, 1.0 + 0.05 * rng.standard_normal(21), 0.05).law
    'none'
    """
    x, y, sigma = _observed(index, values, errors)
    order = np.argsort(x, kind="stable")
    x, y, sigma = x[order], y[order], sigma[order]
    ranges = WIDER * np.maximum(np.ptp(y, axis=0), 4 * sigma.max(axis=0))
    span = float(np.ptp(x))
    steps = np.diff(x)
    middles = (x[:-1] + steps * (np.arange(PLACES)[:, None] + 0.5) / PLACES).T.ravel()
    weight = np.repeat(steps / span, PLACES) / PLACES
    w = np.geomspace(float(steps[steps > 0].min()) / 2, span, WIDTHS)
    level, line = np.ones(x.size), (x - x.mean()) / span
    step = np.array([_ln_z([level, np.where(x > at, 1.0, 0.0)], y, sigma, ranges) for at in middles])
    states = np.array([[_ln_z([level, _passage(x, at, one)], y, sigma, ranges) for one in w] for at in middles])
    with np.errstate(divide="ignore"):  # two scans of one index have no place between them
        step, states = step + np.log(weight), states + np.log(weight)[:, None] - math.log(WIDTHS)
    found = {
        "none": _ln_z([level], y, sigma, ranges),
        "trend": _ln_z([level, line], y, sigma, ranges),
        "step": _total(step),
        "two states": _total(states),
    }
    out = _said(found, middles, w, step, states)
    i, j = np.unravel_index(int(states.argmax()), states.shape)
    columns = {
        "none": [level],
        "trend": [level, line],
        "step": [level, np.where(x > middles[int(step.argmax())], 1.0, 0.0)],
        "two states": [level, _passage(x, middles[i], w[j])],
    }[out.law]
    remarks = _missed(columns, y, sigma, {"step": 1, "two states": 2}.get(out.law, 0))
    return replace(out, clear=out.clear and not remarks, remarks=remarks)


def _missed(columns: list[Array], y: Array, sigma: Array, more: int) -> tuple[str, ...]:
    """Say that the best law misses values by more than their errors; more: what it found beside levels."""
    from scipy.stats import chi2

    square = 0.0
    for one, error in zip(y.T, sigma.T, strict=True):
        design = np.array(columns).T / error[:, None]
        square += float(np.sum((one / error - design @ np.linalg.lstsq(design, one / error, rcond=None)[0]) ** 2))
    dof = y.size - len(columns) * y.shape[1] - more
    if dof < 1 or chi2.sf(square, dof) >= UNLIKELY:
        return ()
    return (
        f"the best of these laws misses the values by {math.sqrt(square / dof):.2g} times their errors: errors are too "
        "small, or values follow another law; the evidence is worth little",
    )


def _observed(index: Any, values: Any, errors: Any) -> tuple[Array, Array, Array]:
    x, y = _checks.array("index", index), np.asarray(values, dtype=np.float64)
    y = _checks.array("values", y, ndim=y.ndim)
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or len(y) != x.size:
        raise PdfkitError(f"values has {len(y)} rows and the index has {x.size} entries: they must match")
    if x.size < 5 or np.unique(x).size < 4:
        raise PdfkitError(f"a transition needs values at 5 places at least, and there are {np.unique(x).size}")
    sigma = np.asarray(errors, dtype=np.float64)
    sigma = sigma[:, None] if sigma.ndim == 1 else sigma
    sigma = _checks.array("errors", np.broadcast_to(sigma, y.shape), ndim=2)
    if sigma.min() <= 0:
        raise PdfkitError("errors must be above 0: leave out values without one")
    return x, y, sigma


def _passage(x: Array, at: float, width: float) -> Array:
    from scipy.special import expit

    return np.asarray(expit((x - at) / width))


def _ln_z(columns: list[Array], y: Array, sigma: Array, ranges: Array) -> float:
    """Return ln ∫ L d(levels) over their prior ranges, of all values."""
    out = 0.0
    for k in range(y.shape[1]):
        design = np.array(columns, dtype=np.float64).T / sigma[:, [k]]
        target = y[:, k] / sigma[:, k]
        q, r = np.linalg.qr(design)
        diagonal = np.abs(np.diag(r))
        if diagonal.min() <= 1e-9 * diagonal.max():  # a step beyond all scans is none
            return -math.inf
        square = float(target @ target - ((q.T @ target) ** 2).sum())
        out += -0.5 * square - float(np.log(math.sqrt(2 * math.pi) * sigma[:, k]).sum())
        p = len(columns)
        out += 0.5 * p * math.log(2 * math.pi) - float(np.log(diagonal).sum()) - p * math.log(ranges[k])
    return out


def _total(ln: Array) -> float:
    top = float(ln.max())
    return top + math.log(float(np.exp(ln - top).sum())) if math.isfinite(top) else -math.inf


def _said(found: dict[str, float], middles: Array, w: Array, step: Array, states: Array) -> Transition:
    law = max(found, key=lambda name: found[name])
    ahead = found[law] - max(value for name, value in found.items() if name != law)
    at = error = width = math.nan
    if law in ("step", "two states"):
        both = np.logaddexp(step, np.logaddexp.reduce(states, axis=1))
        share = np.exp(both - _total(both))
        at = float(share @ middles)
        error = math.sqrt(float(share @ (middles - at) ** 2))
        along = np.logaddexp.reduce(states, axis=0)
        width = float(np.exp(along - _total(along)) @ w)
    return Transition(found, law, ahead > CLEAR, at, error, width)
