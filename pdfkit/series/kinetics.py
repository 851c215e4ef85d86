"""Populations against time: first order, two steps, n-th order, Avrami; rates against temperature.

Amounts of references in each scan (`mixture`) are least squares of curves that are linear in them: with their
covariances they hold all that the curves say of populations. So a fit of p(t; k, …) to them, weighed with these
covariances, is the fit of all curves at once. Populations p of the states start from the first one.

- "first order": p₁ = f + (i − f) exp(−kt), p₂ = 1 − p₁; i the share at t = 0, f what is left in the end.
- "two steps": p₁ = exp(−k₁t), p₂ = k₁(e^(−k₁t) − e^(−k₂t))/(k₂ − k₁), p₃ the rest.
- "n-th order": dp₁/dt = −kp₁ⁿ, p₁ = [1 + (n − 1)kt]^(1/(1 − n)).
- "avrami": p₁ = exp[−(kt)ⁿ].

Rate constants are fitted as ln k, whose errors are nearly normal. Errors of k follow from the covariances alone; where
the misfit says that they do not explain the scatter (χ² beyond 99.9 %), they are wider by its root, and that is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._table import shortlist
from pdfkit.errors import PdfkitError
from pdfkit.series.mixtures import Mixture
from pdfkit.series.shared import without

Curve = tuple[Array, dict[str, Array]]
"""Populations (m, s), and their derivatives to each parameter (m, s)."""

DECADES = math.log(1e4)
"""Prior range of ln k: two decades to either side of one over the time that was measured."""
SPANS = {"n": (0.2, 5.0), "initial": (0.0, 1.5), "final": (-0.5, 1.0), "scale": (0.0, 10.0)}
UNLIKELY = 1e-3
LATE = 0.5
"""Share of the time that was measured after which a series begins late."""
HARDLY = 0.5
"""Error of ln k from which on k has no error that is symmetric."""
STARTS = (0.3, 3.0, 30.0)
"""Start values of k, times one over the time that was measured."""

# --- Laws ------------------------------------------------------------------------------------------------------------


def _first_order(t: Array, x: dict[str, float]) -> Curve:
    k, start, end = math.exp(x["ln k"]), x["initial"], x["final"]
    decay = np.exp(-k * t)
    first = end + (start - end) * decay
    slopes = {"ln k": -(start - end) * k * t * decay, "initial": decay, "final": 1.0 - decay}
    return _two(first, slopes)


def _nth_order(t: Array, x: dict[str, float]) -> Curve:
    """p = exp(−kt·h(v)), v = (n − 1)kt, h(v) = ln(1 + v)/v: smooth where n is 1."""
    k, n = math.exp(x["ln k"]), x["n"]
    z = k * t
    v = (n - 1.0) * z
    ended = v <= -1.0 + 1e-12
    v = np.where(ended, 0.0, v)
    small = np.abs(v) < 1e-4
    safe = np.where(small, 1.0, v)
    h = np.where(small, 1 - v / 2 + v**2 / 3, np.log1p(v) / safe)
    dh = np.where(small, -0.5 + 2 * v / 3 - 0.75 * v**2, (safe / (1 + v) - np.log1p(v)) / safe**2)
    first = np.where(ended, 0.0, np.exp(-z * h))
    return _two(first, {"ln k": -first * z * (h + dh * v), "n": -first * z**2 * dh})


def _avrami(t: Array, x: dict[str, float]) -> Curve:
    k, n = math.exp(x["ln k"]), x["n"]
    z = np.maximum(k * t, 1e-300)
    power = np.minimum(z**n, 700.0)
    first = np.exp(-power)
    return _two(first, {"ln k": -first * n * power, "n": -first * power * np.log(z)})


def _two(first: Array, slopes: dict[str, Array]) -> Curve:
    def both(one: Array, total: float) -> Array:
        return np.column_stack([one, total - one])

    return both(first, 1.0), {name: both(one, 0.0) for name, one in slopes.items()}


def _two_steps(t: Array, x: dict[str, float]) -> Curve:
    """With φ(y) = (1 − e^(−y))/y and y = (k₂ − k₁)t, p₂ = k₁t·e^(−k₁t)·φ(y): smooth where both rates are one."""
    k1, k2 = math.exp(x["ln k1"]), math.exp(x["ln k2"])
    if k2 < k1:  # the same p₂ k₂/k₁ times: keep exponentials below 1
        mirror, slopes = _middle(t, k2, k1)
        factor = k1 / k2
        middle = factor * mirror
        d1 = middle + factor * slopes[1]
        d2 = -middle + factor * slopes[0]
    else:
        middle, (d1, d2) = _middle(t, k1, k2)
    first = np.exp(-k1 * t)
    drop = -k1 * t * first
    none = np.zeros(t.size)
    return np.column_stack([first, middle, 1 - first - middle]), {
        "ln k1": np.column_stack([drop, d1, -drop - d1]),
        "ln k2": np.column_stack([none, d2, -d2]),
    }


def _middle(t: Array, slow: float, fast: float) -> tuple[Array, tuple[Array, Array]]:
    """Return p₂ for k₁ = slow ≤ k₂ = fast, and its derivatives to ln k₁ and ln k₂."""
    y = (fast - slow) * t
    small = y < 1e-5
    safe = np.where(small, 1.0, y)
    phi = np.where(small, 1 - y / 2, -np.expm1(-safe) / safe)
    dphi = np.where(small, -0.5 + y / 3, (np.exp(-safe) - phi) / safe)
    lead = slow * t * np.exp(-slow * t)
    middle = lead * phi
    return middle, (middle * (1 - slow * t) - lead * dphi * slow * t, lead * dphi * fast * t)


@dataclass(frozen=True)
class _Law:
    """A law: populations, the number of states, its parameters with their usual values, which are free at first."""

    populations: Callable[[Array, dict[str, float]], Curve]
    states: int
    usual: dict[str, float]
    free: tuple[str, ...]


LAWS = {
    "first order": _Law(_first_order, 2, {"ln k": 0.0, "initial": 1.0, "final": 0.0}, ("ln k",)),
    "two steps": _Law(_two_steps, 3, {"ln k1": 0.0, "ln k2": 0.0}, ("ln k1", "ln k2")),
    "n-th order": _Law(_nth_order, 2, {"ln k": 0.0, "n": 1.5}, ("ln k", "n")),
    "avrami": _Law(_avrami, 2, {"ln k": 0.0, "n": 1.0}, ("ln k", "n")),
}

# --- The fit ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class Kinetics:
    """Populations as a law of time.

    law : its name. names (p,), values (p,), covariance (p, p): free parameters, rate constants as ln k (1/k in units of
    the time). time (m,), populations, calc (m, s): what was fitted, and the law there. misfit : χ² over `dof`.
    log_evidence : ln Z by Laplace's method, priors flat in ln k over four decades and in the others over what they can
    be; larger is better, and laws of the same data are compared by it. remarks : what is to be known.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series import fit_kinetics
    >>> t = np.linspace(0, 300, 31)
    >>> first = np.exp(-((0.01 * t) ** 2))
    >>> found = fit_kinetics(np.column_stack([first, 1 - first]), "avrami", time=t, errors=np.full((31, 2), 0.01))
    >>> print(f"n = {found['n'][0]:.2f} ± {found['n'][1]:.2f}")
    n = 2.00 ± 0.02
    """

    law: str
    names: tuple[str, ...]
    values: Array
    covariance: Array
    time: Array
    populations: Array
    errors: Array
    calc: Array
    misfit: float
    dof: int
    log_evidence: float
    remarks: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> tuple[float, float]:
        """Return a parameter and its error: "k" or "ln k", "k1", "n", "initial", …; PdfkitError for another name."""
        if name in self.names:
            at = self.names.index(name)
            return float(self.values[at]), math.sqrt(self.covariance[at, at])
        if f"ln {name}" in self.names:
            value, error = self[f"ln {name}"]
            return math.exp(value), math.exp(value) * error
        known = ", ".join(one.removeprefix("ln ") for one in self.names)
        raise PdfkitError(f"{name!r} is no free parameter of this fit: these are {known}")

    @property
    def correlation(self) -> Array:
        """Correlation of the parameters (p, p)."""
        size = np.sqrt(np.diag(self.covariance))
        return np.asarray(self.covariance / np.outer(size, size))

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        from pdfkit.results.report import uncertain

        names = [one.removeprefix("ln ") for one in self.names]
        rows = [(name, uncertain(*self[name])) for name in names]
        rows += [("χ²/dof", f"{self.misfit:.3g} ({self.dof})"), ("ln Z", f"{self.log_evidence:.1f}")]
        return shortlist(f"Kinetics: {self.law}", ("", ""), rows, self.remarks).text()


def fit_kinetics(
    source: Mixture | Array,
    law: str = "first order",
    *,
    time: Array | None = None,
    errors: Array | None = None,
    free: Sequence[str] = (),
    fixed: dict[str, float] | None = None,
    states: Sequence[str] = (),
) -> Kinetics:
    """Fit a law of time to populations.

    Parameters
    ----------
    source : what `mixture` returned (its shares, or its amounts where they sum up to 1; its index is the time), or
    populations (m, s) with `time` (m,) and `errors`, (m, s) or covariances (m, s, s).
    law : "first order", "two steps", "n-th order" or "avrami" (see above). free : further parameters to fit, such as
    "initial". fixed : values of others, such as {"initial": 0.9}. states : names of the references in the order of the
    states, where that is another.

    Raises PdfkitError for another number of states than the law has, times below 0, or data that do not tell the
    parameters.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series import fit_kinetics
    >>> t, rng = np.linspace(0, 300, 31), np.random.default_rng(1)
    >>> first = np.exp(-0.01 * t) + 0.01 * rng.standard_normal(31)
    >>> found = fit_kinetics(np.column_stack([first, 1 - first]), time=t, errors=[[1e-4, -1e-4], [-1e-4, 1e-4]])
    >>> k, error = found["k"]
    >>> bool(abs(k - 0.01) < 3 * error), bool(error < 2e-4)
    (True, True)
    """
    known = LAWS[_checks.choice("law", law, tuple(LAWS))]
    t, p, covariance, common = _observed(source, time, errors, tuple(states))
    if p.shape[1] != known.states:
        raise PdfkitError(
            f"{law} is a law of {known.states} states and there are {p.shape[1]} populations: give as many references"
        )
    if t.min() < 0:
        raise PdfkitError(f"the time begins at {t.min():g}: count it from where the change begins")
    if t.size > 1 and not np.ptp(t) > 0:
        raise PdfkitError(f"the time is {t[0]:g} in all scans: give the time of each, so that a law can follow it")
    values = {**known.usual, **(fixed or {})}
    wanted = tuple(dict.fromkeys((*(name for name in known.free if name not in (fixed or {})), *free)))
    if unknown := [name for name in (*wanted, *values) if name not in known.usual]:
        raise PdfkitError(f"{unknown[0]!r} is no parameter of {law}: these are {', '.join(known.usual)}")
    white = _White.of(covariance, common)
    return _fitted(law, t, p, white, values, wanted, np.sqrt(np.einsum("ijj->ij", covariance)))


def _observed(
    source: Any, time: Any, errors: Any, states: tuple[str, ...]
) -> tuple[Array, Array, Array, Array | None]:  # fmt: skip
    """Return time (m,), populations (m, s), their covariances (m, s, s) and what of it all scans share (m, s, q)."""
    common = None
    if isinstance(source, Mixture):
        p, covariance, common = source.populations()
        time = source.curves.index if time is None else time
        order = [_place(name, source.names) for name in states or source.names]
        if sorted(order) != list(range(len(source.names))):
            raise PdfkitError(f"states names {len(order)} of {len(source.names)} references: name each once")
        p, covariance = p[:, order], covariance[:, order][:, :, order]
        common = None if common is None else common[:, order]
    else:
        p = _checks.array("populations", source, ndim=2)
        if time is None or errors is None:
            raise PdfkitError("populations need their time (m,) and errors, (m, s) or covariances (m, s, s)")
        _check_shares(p)
        covariance = _covariances(errors, p.shape)
    t = _checks.array("time", time)
    if t.size != len(p):
        raise PdfkitError(f"time has {t.size} entries and there are {len(p)} populations: they must match")
    return t, np.asarray(p), np.asarray(covariance), common


def _check_shares(p: Array) -> None:
    """Refuse what are no shares."""
    sums = float(np.median(p.sum(axis=1)))
    if not 0.5 < sums < 2.0:
        raise PdfkitError(f"populations sum up to {sums:.3g} in most scans: give shares, which sum up to 1")


def _covariances(errors: Any, shape: tuple[int, ...]) -> Array:
    """Return covariances (m, s, s) of errors (m, s), or of covariances of all (s, s) or of each (m, s, s)."""
    given = np.asarray(errors, dtype=np.float64)
    given, one, (m, s) = _checks.array("errors", given, ndim=given.ndim), shape[1:] * 2, shape
    if given.shape not in (shape, one, (m, s, s)):
        raise PdfkitError(
            f"errors are {given.shape} and populations {shape}: give errors {shape} or covariances {(m, s, s)}"
        )
    if given.shape == shape == one:
        raise PdfkitError(f"errors {shape} may be errors or one covariance: give covariances {(m, s, s)}")
    if given.shape == shape:
        if given.min() <= 0:
            raise PdfkitError(f"errors of populations must be above 0, and one is {given.min():g}")
        return np.asarray(np.einsum("ij,jk->ijk", given**2, np.eye(s)))
    powers = np.linalg.eigvalsh(given)
    skew = np.abs(given - np.swapaxes(given, -1, -2)).max() > 1e-9 * np.abs(given).max()
    if skew or (powers[..., -1] <= 0).any() or (powers[..., 0] < -1e-9 * powers[..., -1]).any():
        raise PdfkitError("errors are no covariances: these are symmetric, and no combination has a variance below 0")
    return np.broadcast_to(given, (m, s, s))


def _place(name: str, names: Sequence[str]) -> int:
    return names.index(_checks.choice("states", name, tuple(names)))


@dataclass(frozen=True, eq=False)
class _White:
    """What makes populations independent numbers: of each scan (m, s, s), then of all that share errors (m·s, q).

    constant : −½ln|2πC| of all. Where populations sum up to 1, one direction has no error and no information: it is
    left out.
    """

    roots: Array
    common: Array | None
    constant: float

    @classmethod
    def of(cls, covariance: Array, common: Array | None) -> _White:
        """Return it of covariances (m, s, s), and what of them all scans share (m, s, q)."""
        own = covariance if common is None else covariance - common @ common.transpose(0, 2, 1)
        values, vectors = np.linalg.eigh(own)
        kept = values > 1e-9 * values[:, -1:]
        size = np.where(kept, values, np.inf)
        constant = -0.5 * float(np.log(2 * np.pi * values[kept]).sum())
        roots = vectors.transpose(0, 2, 1) / np.sqrt(size)[:, :, None]
        if common is None:
            return cls(roots, None, constant)
        U = np.einsum("ijk,ikq->ijq", roots, common).reshape(-1, common.shape[2])
        return cls(roots, U, constant - without(np.zeros(len(U)), U)[1])

    def __call__(self, rows: Array) -> Array:
        """Return rows (…, m, s) as independent numbers (…, m·s)."""
        out = np.einsum("ijk,...ik->...ij", self.roots, rows)
        out = out.reshape(*out.shape[:-2], -1)
        return out if self.common is None else without(out, self.common)[0]

    @property
    def count(self) -> int:
        """How many independent numbers there are."""
        return int((np.abs(self.roots).sum(axis=2) > 0).sum())


def _fitted(
    law: str, t: Array, p: Array, white: _White, values: dict[str, float], wanted: tuple[str, ...], errors: Array
) -> Kinetics:
    from scipy.optimize import least_squares

    known, span = LAWS[law], float(np.ptp(t)) or 1.0

    def split(x: Array) -> tuple[Array, Array]:
        calc, slopes = known.populations(t, {**values, **dict(zip(wanted, x, strict=True))})
        each = np.array([slopes[name] for name in wanted])
        return white(calc - p), white(each).T

    best = None
    for start in _starts(wanted, values, span):
        found = least_squares(lambda x: split(x)[0], start, lambda x: split(x)[1], method="trf", x_scale="jac",
                              bounds=_bounds(wanted, span))  # fmt: skip
        best = found if best is None or found.cost < best.cost else best
    assert best is not None
    jac = split(best.x)[1]
    dof = white.count - len(wanted)
    covariance = _inverse(jac, law, wanted, dof)
    misfit = 2 * best.cost / dof
    wider, remarks = _widened(misfit, dof, law, wanted)
    remarks = (
        *remarks,
        *_order(t, p, bool(remarks)),
        *_late(t, bool(remarks)),
        *_told(wanted, best.x, covariance * wider**2, _bounds(wanted, span)),
    )
    evidence = white.constant - best.cost + 0.5 * float(np.linalg.slogdet(2 * np.pi * covariance)[1])
    evidence -= sum(math.log(DECADES if name[:2] == "ln" else float(np.ptp(SPANS[name]))) for name in wanted)
    calc = known.populations(t, {**values, **dict(zip(wanted, best.x, strict=True))})[0]
    return Kinetics(law, wanted, best.x, covariance * wider**2, t, p, errors, calc, misfit, dof, evidence, remarks)


def _starts(wanted: Sequence[str], values: dict[str, float], span: float) -> list[Array]:
    """Return start values: all combinations of rate constants over two decades."""
    from itertools import product

    rates = [name for name in wanted if name[:2] == "ln"]
    out = []
    for each in product(STARTS, repeat=len(rates)):
        known = values | {name: math.log(k / span) for name, k in zip(rates, each, strict=True)}
        out.append(np.array([known[name] for name in wanted]))
    return out


def _bounds(wanted: Sequence[str], span: float) -> tuple[list[float], list[float]]:
    middle = -math.log(span)
    ends = [(middle - 12.0, middle + 14.0) if name[:2] == "ln" else SPANS[name] for name in wanted]
    return [low for low, _ in ends], [high for _, high in ends]


def _inverse(jac: Array, law: str, wanted: Sequence[str], dof: int) -> Array:
    if dof < 1:
        raise PdfkitError(
            f"free parameters of {law}: {', '.join(wanted)}; the data hold {dof + len(wanted)} numbers: take more scans"
        )
    size = np.linalg.norm(jac, axis=0)
    scaled = jac / np.maximum(size, 1e-300)
    if size.min() <= 1e-6 or np.linalg.svd(scaled, compute_uv=False)[-1] < 1e-6:
        raise PdfkitError(f"these data do not tell {', '.join(wanted)} of {law}: take scans while it changes")
    return np.asarray(np.linalg.inv(scaled.T @ scaled) / np.outer(size, size))


def _order(t: Array, p: Array, misses: bool) -> tuple[str, ...]:
    """Say that populations seem to be in another order than the states of the law that misses them."""
    first = int(np.argmax(p[int(np.argmin(t))]))
    if not misses or first == 0:
        return ()
    return (f"at the first time most is in population {first + 1}: give them in the order of the states, or states=",)


def _late(t: Array, misses: bool) -> tuple[str, ...]:
    """Say that the time of a law that misses populations may count from elsewhere."""
    if not misses or t.min() <= LATE * np.ptp(t):
        return ()
    return (f"the time begins at {t.min():g}, and laws count from 0: count it from where the change begins",)


def _told(wanted: Sequence[str], x: Array, covariance: Array, ends: tuple[list[float], list[float]]) -> list[str]:
    """Say which parameters are on a bound, and which rate constants are hardly known."""
    out, errors = [], np.sqrt(np.diag(covariance))
    for name, value, error, low, high in zip(wanted, x, errors, *ends, strict=True):
        if min(value - low, high - value) <= 1e-3 * (high - low):
            out.append(f"{name} ended on its bound, {value:.4g}: these data do not tell it with this law")
        elif name[:2] == "ln" and error > HARDLY:
            least, most = math.exp(value - 2 * error), math.exp(value + 2 * error)
            k = name.removeprefix("ln ")
            out.append(f"{k} is hardly told: {least:.2g} to {most:.2g} at 95 %; take scans at times about 1/{k}")
    return out


def _widened(misfit: float, dof: int, law: str, wanted: Sequence[str]) -> tuple[float, tuple[str, ...]]:
    from scipy.stats import chi2

    if chi2.sf(misfit * dof, dof) >= UNLIKELY:
        return 1.0, ()
    free = ' (free=["final"])' if "final" in LAWS[law].usual and "final" not in wanted else ""
    return math.sqrt(misfit), (
        f"the law misses the populations by more than their errors (χ²/dof = {misfit:.3g}): another law, or a share of "
        f"the sample that does not take part{free}; errors are wider by the root of that",
    )
