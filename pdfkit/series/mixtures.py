"""How much of each of several reference curves is in each scan, with errors; what none of them explains.

G of a scan = Σ_j w_j·G_j + background, by least squares on independent numbers (`noise`). Amounts w are those of G(r):
where all references have one composition, w is the share of atoms; else that times ⟨f⟩² of the reference over that of
the sample. References count as exact, unless they have errors, are one of the scans, or it is said of how many scans
they are the mean: their errors are the same in all scans (`shared`).

Two estimates are kept of every amount. `free` may be below 0: it is unbiased, its covariance is exact, and what is
fitted to the amounts along a series (`kinetics`) has to start from it. `amounts` are the least squares with no amount
below 0; their errors are those of `free`, which are never too small, and of an amount on its bound the 95 % limit is
given that follows from both, P(w < limit | w ≥ 0) = 0.95.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._table import frame, shortlist
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError
from pdfkit.series import shared as of_all
from pdfkit.series.curves import Curves, differing
from pdfkit.series.noise import Noise, noise_of, stands_out

if TYPE_CHECKING:
    from pandas import DataFrame

ALIKE = 1e-4
"""1 − the correlation of references, as independent numbers, that no data tell apart."""
ROUNDS = 4
FARTHEST = 0.05
"""Relative stretch of r beyond which a reference is another structure."""
UNLIKELY = 1e-3
"""Probability of a χ² beyond which it is said to be too large."""
OFF = 0.02
"""What a sum of amounts may be off 1 by before it is said."""
TREND = 6.0
"""What weights of amounts differ by in units of its error, for their sum to be constant, from which on it is said."""
CLEAR = 3.5
"""Size of an unexplained share in units of its error with which a scan is named."""


@dataclass(frozen=True, eq=False, repr=False)
class Mixture:
    """Amounts of references in the scans of a series.

    curves : the scans. names (c,) of the references. amounts, errors (m, c): not below 0, and standard errors.
    upper (m, c): 95 % limit of amounts that stand on a bound, NaN for others. free (m, c), covariance (m, c, c):
    estimates without bounds. stretch, stretch_errors (m,): relative change of r of the references, 0 where none was
    asked for. calc (m, n): the fit. misfit (m,): χ² over its degrees of freedom, about 1 by making where errors
    are not known. unexplained (n,): what all scans share beyond the references, or None; its share in each scan in
    units of its error is `shares_unexplained` (m,). remarks : what is to be known of it. common (m, c, q): errors of
    `free` that all scans share, those of measured references: C_ik = common_i·common_kᵀ for i ≠ k; None without.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.series import Curves, mixture
    >>> lab, r, Q = pk.Instrument(probe="X", qmax=20), np.arange(1.5, 15, 0.02), np.arange(0.025, 20, 0.05)
    >>> pure = {name: pk.Model(pk.Crystal.from_file(name, name="c"), lab)(r) for name in ("Ni", "Cu")}
    >>> rng, share = np.random.default_rng(1), np.linspace(0.2, 0.8, 4)[:, None]
    >>> noise = 0.01 * rng.standard_normal((4, Q.size)) @ np.sin(np.outer(Q, r))
    >>> scans = Curves(r, share * pure["Ni"].G + (1 - share) * pure["Cu"].G + noise, instrument=lab)
    >>> found = mixture(scans, pure, total="one")
    >>> bool((abs(found.amounts[:, :1] - share) < 4 * found.errors[:, :1]).all()), bool(found.errors.max() < 0.02)
    (True, True)
    """

    curves: Curves
    names: tuple[str, ...]
    amounts: Array
    errors: Array
    upper: Array
    free: Array
    covariance: Array
    stretch: Array
    stretch_errors: Array
    calc: Array
    misfit: Array
    total: str
    unexplained: Array | None = None
    shares_unexplained: Array | None = None
    remarks: tuple[str, ...] = ()
    common: Array | None = None

    def sums(self) -> tuple[Array, Array]:
        """Return the sum of the amounts of each scan and its error, (m,) both: constant where nothing gets lost."""
        return self.free.sum(axis=1), np.sqrt(np.maximum(self.covariance.sum(axis=(1, 2)), 0.0))

    def shares(self) -> tuple[Array, Array]:
        """Return w/Σw without bounds (m, c), and its covariance (m, c, c) to first order.

        Raises PdfkitError for a scan whose sum is not above twice its error.
        """
        shares, slope = self._shares()
        return shares, slope @ self.covariance @ slope.transpose(0, 2, 1)

    def populations(self) -> tuple[Array, Array, Array | None]:
        """Return what laws of populations are fitted to: amounts that sum up to 1 by making, else shares (m, c); their
        covariance (m, c, c), and what of it all scans share (m, c, q), as `common`.
        """
        if self.total == "one":
            return self.free, self.covariance, self.common
        shares, slope = self._shares()
        common = None if self.common is None else slope @ self.common
        return shares, slope @ self.covariance @ slope.transpose(0, 2, 1), common

    def _shares(self) -> tuple[Array, Array]:
        """Return w/Σw (m, c), and its derivatives by w (m, c, c)."""
        sums, errors = self.sums()
        if (sums <= 2 * errors).any():
            lost = self.curves.names[int(np.argmin(sums - 2 * errors))]
            raise PdfkitError(f"{lost} holds nothing of the references, so there are no shares: leave it out")
        shares = self.free / sums[:, None]
        return shares, (np.eye(len(self.names)) - shares[:, :, None]) / sums[:, None, None]

    def to_dataframe(self) -> DataFrame:
        """Return a row for each scan as a `pandas.DataFrame`: index, amounts, errors, limits, stretch, misfit."""
        return frame(self.columns())

    def columns(self) -> dict[str, Any]:
        """Return what is known of each scan by name, in columns."""
        out: dict[str, Any] = {"scan": list(self.curves.names), self.curves.label: self.curves.index}
        for k, name in enumerate(self.names):
            out |= {name: self.amounts[:, k], f"{name} error": self.errors[:, k], f"{name} limit": self.upper[:, k]}
        if self.stretch.any():
            out |= {"stretch": self.stretch, "stretch error": self.stretch_errors}
        return out | {"misfit": self.misfit}

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        from pdfkit.results.report import uncertain

        heads = ("", self.curves.label, *self.names, "")
        rows = []
        for i, scan in enumerate(self.curves.names):
            low = [f"{name} < {u:.2g}" for name, u in zip(self.names, self.upper[i], strict=True) if np.isfinite(u)]
            cells = [uncertain(w, e) for w, e in zip(self.amounts[i], self.errors[i], strict=True)]
            rows.append((scan, f"{self.curves.index[i]:g}", *cells, ", ".join(low)))
        return shortlist(f"Amounts of {', '.join(self.names)}", heads, rows, self.remarks).text()


def mixture(
    scans: Curves | Iterable[PDF],
    references: Mapping[str, Any],
    *,
    total: str = "free",
    background: int = 0,
    stretch: bool = False,
    noise: str = "auto",
    averaged: float | Mapping[str, float] = 0,
) -> Mixture:
    """Return how much of each reference is in each scan.

    Parameters
    ----------
    scans : a series, PDFs or `Curves`. references : by name, each a PDF, a model, or G on the r of the scans (n,).
    total : "free"; or "one": amounts of each scan sum up to 1 (all is there, on a known scale).
    background : number of smooth functions of r (Chebyshev polynomials, constant first) that are fitted besides.
    stretch : whether r of the references may be stretched by a fraction of its own in each scan (thermal expansion).
    noise : as for `pca`: "cov", "dG", or "residual", the spectrum of what the references leave; "auto".
    averaged : of how many scans with such noise each measured reference is the mean; 0: it is exact, or has errors of
    its own. A reference that is one of the scans is known as such.

    Raises PdfkitError for references that the data cannot tell apart, that do not reach over r, or no Qmax.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.series import Curves, mixture
    >>> lab, r = pk.Instrument(probe="X", qmax=20), np.arange(1.5, 15, 0.02)
    >>> pure = {name: pk.Model(pk.Crystal.from_file(name, name="c"), lab)(r) for name in ("Ni", "Cu")}
    >>> scans = [pk.PDF(r, 0.3 * pure["Ni"].G + 0.7 * pure["Cu"].G, instrument=lab)]
    >>> mixture(scans, pure).amounts.round(6).tolist()
    [[0.3, 0.7]]
    """
    curves = Curves.of(scans)
    _checks.choice("total", total, ("free", "one"))
    pure = _References.of(references, curves, stretch)
    if total == "one" and len(pure.names) < 2:
        raise PdfkitError('total="one" needs two references at least: one alone is all there is')
    smooth = _smooth(curves.r, int(_checks.number("background", background, low=0, high=20)))
    slopes = -(curves.r * pure.at(0.0, 1) + 2 * pure.at(0.0)) if stretch else np.zeros((0, curves.r.size))
    taken = np.vstack([pure.at(0.0), smooth, slopes])
    known = noise_of(curves, taken, noise)
    _check_apart(known.white(pure.at(0.0)), pure.names, known.white(smooth))
    counts = of_all.counts_of(averaged, pure.names, pure.pdfs, curves)
    F = of_all.roots(pure.names, pure.pdfs, counts, curves, known)
    fits = [_one(curves.G[i], i, pure, smooth, known, total, stretch) for i in range(len(curves))]
    found = _gathered(curves, pure.names, fits, total, known, F)
    if total == "one":
        fits = [_one(curves.G[i], i, pure, smooth, known, "free", stretch) for i in range(len(curves))]
    remarks = _sums(found, _gathered(curves, pure.names, fits, "free", known, F))
    told = [one.instrument for one in references.values() if isinstance(one, PDF)]
    other = differing([curves.instrument, *told], "references and scans")
    return replace(found, remarks=(*other, *_measured(pure.names, F, counts), *remarks, *found.remarks))


def _measured(names: Sequence[str], F: Sequence[Array], counts: Mapping[str, float]) -> tuple[str, ...]:
    """Say which references have errors, and why."""
    words = [
        f"{name} ({f'the mean of {counts[name]:g} scans' if counts[name] > 1 else 'one scan'})" if name in counts
        else f"{name} (its own)"
        for name, one in zip(names, F, strict=True) if one.shape[1]
    ]  # fmt: skip
    return (f"errors of references count, and are the same in all scans: {', '.join(words)}",) if words else ()


def _sums(found: Mixture, loose: Mixture) -> tuple[str, ...]:
    """Say which scans hold nothing of the references, and where amounts that were made to do so do not sum up to 1."""
    sums, errors = loose.sums()
    nothing = sums <= CLEAR * errors
    out = [f"{_named(found.curves, nothing)}: nothing of the references is there"] if nothing.any() else []
    off = ~nothing & (np.abs(sums - 1.0) > np.maximum(CLEAR * errors, OFF))
    if found.total == "one" and off.any():
        out.append(
            f"{_named(found.curves, off)}: amounts that are free sum up to {sums[off].min():.3g} to "
            f'{sums[off].max():.3g} and not 1: another scale, or more is there than references; total="free" allows it'
        )
    if found.total == "free" and (trend := _trend(loose, ~nothing)):
        out.append(
            f"the sum of amounts goes with what is there, {trend}: references are not normalised alike, something is "
            "lost, or the scale drifts; shares are then not those of atoms"
        )
    return tuple(out)


def _trend(loose: Mixture, some: NDArray[np.bool_]) -> str:
    """Return from where to where the sum of amounts goes with them, "" where it does not, or scatters as much.

    Least squares of Σ_j γ_j·w_j = 1: where all γ are alike the sum is constant, up to the scatter of scales of scans.
    """
    amounts, (sums, errors), c = loose.free[some], loose.sums(), len(loose.names)
    if c < 2 or len(amounts) < c + 3 or np.linalg.matrix_rank(amounts) < c:
        return ""
    gamma = np.linalg.lstsq(amounts, np.ones(len(amounts)), rcond=None)[0]
    left = float(np.sum((amounts @ gamma - 1.0) ** 2)) / (len(amounts) - c)
    size = max(left, float(np.mean((errors[some] / sums[some]) ** 2)))
    apart = np.eye(c) - 1.0 / c
    spread = np.sqrt(size * np.diag(apart @ np.linalg.inv(amounts.T @ amounts) @ apart))
    if not (np.abs(apart @ gamma) > np.maximum(TREND * spread, OFF * abs(gamma.mean()))).any():
        return ""
    return f"from {sums[some].min():.3g} to {sums[some].max():.3g}"


# --- References ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _References:
    """Splines of the references, and r where they are wanted."""

    names: tuple[str, ...]
    r: Array
    splines: tuple[Any, ...]
    ends: tuple[float, float]
    pdfs: tuple[PDF, ...] = ()

    @classmethod
    def of(cls, given: Mapping[str, Any], curves: Curves, stretch: bool) -> _References:
        from scipy.interpolate import make_interp_spline

        if not isinstance(given, Mapping) or not given:
            raise PdfkitError('references are given by name: {"MSC-311": pdf, "MSC-322": other}')
        room = FARTHEST if stretch else 0.0
        wanted = _reaching(curves.r, room)
        pdfs = [_curve(name, one, curves, wanted) for name, one in given.items()]
        for name, one in zip(given, pdfs, strict=True):
            tiny = 1e-6
            if one.r[0] > curves.r[0] + tiny or one.r[-1] < curves.r[-1] - tiny:
                raise PdfkitError(
                    f"{name} reaches from {one.r[0]:g} to {one.r[-1]:g} Å and the scans from {curves.r[0]:g} to "
                    f"{curves.r[-1]:g} Å: crop the scans"
                )
        ends = max(one.r[0] for one in pdfs), min(one.r[-1] for one in pdfs)
        splines = tuple(make_interp_spline(one.r, one.G, k=5) for one in pdfs)
        return cls(tuple(str(name) for name in given), curves.r, splines, ends, tuple(pdfs))

    def at(self, stretch: float, order: int = 0) -> Array:
        """Return G(r/(1 + s))/(1 + s)² of all (c, n), or its derivative to that r."""
        r = np.clip(self.r / (1.0 + stretch), *self.ends)
        return np.array([one(r, order) for one in self.splines]) / (1.0 + stretch) ** 2


def _reaching(r: Array, room: float) -> Array:
    step = float(np.diff(r).min())
    return np.arange(max(r[0] * (1 - room), 0.0), r[-1] * (1 + room) + 0.5 * step, step)


def _curve(name: str, one: Any, curves: Curves, wanted: Array) -> PDF:
    if isinstance(one, PDF):
        ours, theirs = curves.instrument.qmax, one.instrument.qmax
        if ours is not None and theirs is not None and abs(ours - theirs) > 1e-6 * ours:
            raise PdfkitError(
                f"qmax is {theirs:g} Å⁻¹ for {name} and {ours:g} for the scans, which makes different curves of one "
                "sample: reduce or calculate both with the same value"
            )
        probes = curves.instrument.probe, one.instrument.probe
        if None not in probes and probes[0] != probes[1]:
            raise PdfkitError(f"{name} is of {probes[1]} and the scans are of {probes[0]}: take one of the same probe")
        return one
    if callable(one):
        made = one(wanted)
        return made if isinstance(made, PDF) else PDF(wanted, made)
    return PDF(curves.r, one, name=name)


def _smooth(r: Array, count: int) -> Array:
    """Return Chebyshev polynomials (count, n) over r."""
    x = 2 * (r - r[0]) / (r[-1] - r[0]) - 1
    return np.array([np.cos(k * np.arccos(np.clip(x, -1, 1))) for k in range(count)]).reshape(count, r.size)


def _check_apart(white: Array, names: Sequence[str], smooth: Array) -> None:
    """Refuse references that are the same to the data."""
    left = _without(white.T, smooth.T)
    size = np.linalg.norm(left, axis=0)
    unit = left / np.maximum(size, 1e-300)
    alike = np.abs(unit.T @ unit) - np.eye(len(names))
    i, j = divmod(int(np.argmax(alike)), len(names))
    values = np.linalg.svd(unit, compute_uv=False)
    if size.min() <= 1e-9 * size.max() or values[-1] ** 2 < ALIKE:
        what = f"{names[i]} and {names[j]}" if alike[i, j] > 1 - 10 * ALIKE else ", ".join(names)
        raise PdfkitError(f"these data cannot tell {what} apart: leave one out, or use more of r")


# --- One scan --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Fit:
    """Amounts of one scan: bounded, free, and P (c, k) that makes these of independent numbers; the fitted curve, what
    is left, stretch.
    """

    amounts: Array
    free: Array
    estimator: Array
    calc: Array
    left: Array
    lost: int
    stretch: float = 0.0
    stretch_error: float = 0.0


def _one(
    G: Array, i: int, pure: _References, smooth: Array, known: Noise, total: str, stretch: bool
) -> _Fit:  # fmt: skip
    s, slope, y = 0.0, np.zeros((0, G.size)), known.white(G, i)
    amounts = np.full(len(pure.names), 1.0 / len(pure.names))
    for round_ in range(ROUNDS if stretch else 1):
        plain = pure.at(s)
        if stretch:
            if not round_:
                amounts = _solved(known.white(plain, i).T, known.white(smooth, i).T, y, total)[0]
            slope = -(amounts @ (pure.r * pure.at(s, 1) + 2 * plain))[None] / (1 + s)
        beside = np.vstack([smooth, slope])
        A, B = known.white(plain, i).T, known.white(beside, i).T
        amounts, free, estimator = _solved(A, B, y, total)
        rest = np.linalg.lstsq(B, y - A @ amounts, rcond=None)[0] if B.shape[1] else np.zeros(0)
        s += float(np.clip(rest[-1], -FARTHEST / 2, FARTHEST / 2)) if stretch and round_ < ROUNDS - 1 else 0.0
        s = float(np.clip(s, -FARTHEST, FARTHEST))
    calc = amounts @ plain + rest @ beside
    lost = A.shape[1] - (total == "one") + B.shape[1]
    error = _error_of_last(A, B) if stretch else 0.0
    return _Fit(amounts, free, estimator, calc, y - A @ amounts - B @ rest, lost, s, error)


def _error_of_last(A: Array, B: Array) -> float:
    """Return the error of the last column of B, everything else being free."""
    left = _without(B[:, -1:], np.column_stack([A, B[:, :-1]]))
    return 1.0 / max(float(np.linalg.norm(left)), 1e-300)


def _without(columns: Array, others: Array) -> Array:
    """Return columns less what others have of them."""
    if not others.shape[1]:
        return columns
    q = np.linalg.qr(others)[0]
    return np.asarray(columns - q @ (q.T @ columns))


def _solved(A: Array, B: Array, y: Array, total: str) -> tuple[Array, Array, Array]:
    """Return amounts not below 0, free ones, and P (c, k) that makes these of y; B may be there to any amount.

    A sum of 1: the least |(A − y1ᵀ)w|² with w ≥ 0 and Σw = 1 is, up to a factor, the least of that plus (Σw − 1)².
    """
    from scipy.optimize import nnls

    both = _without(np.column_stack([A, y]), B)
    A, y, c = both[:, :-1], both[:, -1], A.shape[1]
    if total == "free":
        q, upper = np.linalg.qr(A)
        free = np.linalg.solve(upper, q.T @ y)
        inverse = np.linalg.inv(upper)
        return nnls(upper, q.T @ y)[0], free, inverse @ q.T
    moves = np.linalg.svd(np.ones((1, c)))[2][1:].T
    q, upper = np.linalg.qr(A @ moves)
    inverse = moves @ np.linalg.inv(upper)
    free = np.full(c, 1.0 / c) + inverse @ (q.T @ (y - A.mean(axis=1)))
    size = max(float(np.abs(both).max()), 1e-300)
    rows = np.vstack([(A - y[:, None]) / size, np.ones(c)])
    bounded = nnls(rows, np.append(np.zeros(y.size), 1.0))[0]
    return bounded / bounded.sum(), free, inverse @ q.T


# --- All of them -----------------------------------------------------------------------------------------------------


def _gathered(
    curves: Curves, names: tuple[str, ...], fits: Sequence[_Fit], total: str, known: Noise, F: Sequence[Array]
) -> Mixture:
    left, lost = np.array([one.left for one in fits]), fits[0].lost
    amounts, free = np.array([one.amounts for one in fits]), np.array([one.free for one in fits])
    misfit = (left**2).sum(axis=1) / (left.shape[1] - lost) / known.level**2
    wider, remarks = _widened(curves, misfit, left.shape[1] - lost, known)
    size = known.level * wider
    P = [one.estimator for one in fits]
    covariance = np.array([one @ one.T for one in P]) * (size**2)[:, None, None]
    common = of_all.common(amounts, P, F, known)
    if common is not None:
        covariance = covariance + common @ common.transpose(0, 2, 1)
    errors = np.sqrt(np.einsum("ijj->ij", covariance))
    upper = np.where(amounts <= 1e-9 * np.abs(amounts).max(), _limit(free, errors), np.nan)
    calc = np.array([one.calc for one in fits])
    curve, shares, more = _unexplained(curves, of_all.unshared(left, amounts, F, known), calc, lost, known)
    stretch = np.array([one.stretch for one in fits])
    if (np.abs(stretch) >= FARTHEST).any():
        more = (*more, f"references are stretched by the {FARTHEST:.0%} that is allowed: they are of something else")
    if np.isfinite(upper).any():
        more = (*more, "amounts of 0 stand on their bound: of these, limits hold at 95 %")
    return Mixture(
        curves, names, amounts, errors, upper, free, covariance, stretch,
        size * np.array([one.stretch_error for one in fits]), np.array([one.calc for one in fits]), misfit, total,
        curve, shares, (*remarks, *more, *curves.remarks), common,
    )  # fmt: skip


def _limit(free: Array, errors: Array) -> Array:
    """Return what an amount w ≥ 0 is below with a probability of 95 %."""
    from scipy.special import log_ndtr, ndtri_exp

    return np.asarray(free - errors * ndtri_exp(np.log(0.05) + log_ndtr(free / errors)))


def _widened(curves: Curves, misfit: Array, dof: int, known: Noise) -> tuple[Array, tuple[str, ...]]:
    """Return by what errors grow where known ones do not explain the misfit, and remarks."""
    from scipy.stats import chi2

    if not known.known:
        return np.ones(misfit.size), ("errors follow from what the references leave",)
    beyond = chi2.sf(misfit * dof, dof) < UNLIKELY
    if not beyond.any():
        return np.ones(misfit.size), ()
    named = _named(curves, beyond)
    text = f"{named}: more is left than the errors of the data explain; errors of the amounts are wider by that"
    return np.where(beyond, np.sqrt(np.maximum(misfit, 1.0)), 1.0), (text,)


def _unexplained(
    curves: Curves, left: Array, calc: Array, lost: int, known: Noise
) -> tuple[Array | None, Array | None, tuple[str, ...]]:
    """Return what scans share beyond the references, its share in each in units of its error, and a remark."""
    if len(curves) < 3:
        return None, None, ()
    u, values, _ = np.linalg.svd(left, full_matrices=False)
    if not stands_out(values**2, len(curves), left.shape[1] - lost, known.known):
        return None, None, ()
    shares = u[:, 0] * values[0]
    curve = (shares @ (curves.G - calc)) / float(shares @ shares)
    sign, clear = (1.0 if shares.sum() >= 0 else -1.0), np.abs(shares) > CLEAR
    at = curves.r[int(np.abs(curve).argmax())]
    text = f"{_named(curves, clear)}: something is there that no reference has, most at r = {at:.2f} Å"
    noisier = bool(not known.known and clear.sum() == 1)
    return curve * sign, shares * sign, (text + ", or that scan is noisier than the others" * noisier,)


def _named(curves: Curves, some: NDArray[np.bool_]) -> str:
    names = [name for name, one in zip(curves.names, some, strict=True) if one] or ["the scans together"]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
