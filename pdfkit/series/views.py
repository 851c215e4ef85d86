"""A series without a structure model: differences, correlations, principal components, parts that are nowhere negative.

Each view takes the curves of a series on one r (`Curves`). None needs a phase, and none tells one: components of PCA
are directions, not phases, and parts of NMF are phases only where these are the sole thing that changes.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._table import wrapped
from pdfkit.errors import PdfkitError
from pdfkit.series.curves import Curves
from pdfkit.series.noise import Noise, noise_of, stands_out

AGAINST = ("first", "last", "previous", "mean")
MOST = 20
"""Components that are asked for at most whether noise could have made them."""
SAME = 1e-10
"""Change, of the largest G, that is rounding."""
SLIGHTLY = 1e-3
"""Share of the sum that may be below 0 in curves called non-negative: noise and ripples of the cut."""

# --- Differences and correlations ------------------------------------------------------------------------------------


def differences(curves: Curves, against: str = "first") -> Array:
    """Return each scan less another, (m, n) Å⁻².

    against : "first", "last", "previous" (0 for the first scan) or "mean".

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series import Curves, differences
    >>> r = np.arange(1.0, 10.0, 0.05)
    >>> curves = Curves(r, np.array([1.0, 2.0, 4.0])[:, None] * np.sin(3 * r))
    >>> (differences(curves, "previous") / np.sin(3 * r)).mean(axis=1).round(6).tolist()
    [0.0, 1.0, 2.0]
    """
    G = curves.G
    if _checks.choice("against", against, AGAINST) == "previous":
        return np.diff(G, axis=0, prepend=G[:1])
    other = {"first": G[0], "last": G[-1], "mean": G.mean(axis=0)}[against]
    return np.asarray(G - other)


def distances(curves: Curves) -> Array:
    """Return how much each two scans differ, (m, m): the root mean square of Gᵢ − Gⱼ over that of all G.

    0 is the same curve; two that have nothing in common differ by about √2.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series import Curves, distances
    >>> r = np.arange(1.0, 10.0, 0.05)
    >>> distances(Curves(r, [np.sin(3 * r), np.sin(3 * r), -np.sin(3 * r)])).round(3).tolist()
    [[0.0, 0.0, 2.0], [0.0, 0.0, 2.0], [2.0, 2.0, 0.0]]
    """
    G = curves.G
    square = (G**2).sum(axis=1)
    total = float(square.mean())
    if total == 0.0:
        raise PdfkitError("G is 0 in all scans: there is nothing to compare")
    apart = square[:, None] + square - 2.0 * (G @ G.T)
    np.fill_diagonal(apart, 0.0)
    return np.asarray(np.sqrt(np.maximum(apart, 0.0) / total))


def pearson(curves: Curves, rmin: float | None = None, rmax: float | None = None) -> Array:
    """Return Pearson's correlation of each two scans over rmin…rmax, (m, m), −1 to 1; a scale does not change it.

    Raises PdfkitError where a scan is constant there.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series import Curves, pearson
    >>> r = np.arange(1.0, 10.0, 0.05)
    >>> pearson(Curves(r, [np.sin(3 * r), 5 * np.sin(3 * r), -np.sin(3 * r)]), 2, 8).round(3).tolist()
    [[1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]
    """
    G = curves.crop(rmin, rmax).G
    centred = G - G.mean(axis=1, keepdims=True)
    size = np.linalg.norm(centred, axis=1, keepdims=True)
    if not (size > 1e-12 * np.abs(G).max()).all():
        flat = curves.names[int(np.argmin(size))]
        raise PdfkitError(f"{flat} is constant from {curves.r[0]:g} to {curves.r[-1]:g} Å: leave it out")
    out = (centred / size) @ (centred / size).T
    return np.asarray(np.clip(out, -1.0, 1.0))


# --- Principal components --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Components:
    """Scans as their mean and principal components, or as non-negative parts.

    r (n,) Å. mean (n,): 0 for parts. curves (c, n): components of unit length (PCA), or parts. amounts (m, c): G of a
    scan is mean + amounts @ curves. explained (c,): share of the sum of squares about the mean; for parts, of what each
    adds. count : how many stand above the noise, None where that cannot be told. remarks : how, and what to know.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series import Curves, pca
    >>> r, share = np.arange(1.0, 10.0, 0.05), np.linspace(0, 1, 6)[:, None]
    >>> found = pca(Curves(r, share * np.sin(3 * r) + (1 - share) * np.sin(2 * r)))
    >>> print(found.count, f"{found.explained[0]:.0%}", found.remarks[0], sep="; ")
    None; 100%; how many components stand above the noise is not known: give qmax in Å⁻¹
    """

    r: Array
    mean: Array
    curves: Array
    amounts: Array
    explained: Array
    count: int | None
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        scans, count = self.amounts.shape
        above = "not known" if self.count is None else str(self.count)
        share = ", ".join(f"{one:.1%}" for one in self.explained[:4])
        head = f"{count} components of {scans} scans, {above} above the noise; of the change they explain {share}"
        return "\n".join([head, *(wrapped(one, "  ") for one in self.remarks)])

    def rebuilt(self, count: int | None = None) -> Array:
        """Return the scans from their first `count` components (default: those above the noise, or all), (m, n)."""
        count = (self.count if self.count is not None else len(self.curves)) if count is None else count
        return np.asarray(self.mean + self.amounts[:, :count] @ self.curves[:count])


def pca(curves: Curves, *, noise: str = "auto") -> Components:
    """Return the principal components of a series, and how many of them noise did not make.

    The components are those of G(r) about its mean, by singular values. They are counted on independent numbers of
    equal variance (`noise` : "cov", "dG" or "residual" say what the errors are; "auto" takes covariances where all
    scans have one): a component counts where its eigenvalue is above what pure noise reaches in 999 of 1000 data (Tracy
    and Widom's law), each after those before it were taken out and, where errors are not known, the noise
    was taken from what is left (one size for all scans).
    Sources: Johnstone, Ann. Stat. 29, 295 (2001); Kritchman & Nadler, Chemom. Intell. Lab. Syst. 94, 19 (2008).

    Raises PdfkitError for fewer than 3 scans.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.series import Curves, pca
    >>> lab, r, Q = pk.Instrument(probe="X", qmax=20), np.arange(1.5, 15, 0.02), np.arange(0.025, 20, 0.05)
    >>> a, b = (pk.Model(pk.Crystal.from_file(name, name="c"), lab)(r).G for name in ("Ni", "Cu"))
    >>> rng, share = np.random.default_rng(1), np.linspace(0, 1, 12)[:, None]
    >>> error = 0.01 * rng.standard_normal((12, Q.size)) @ np.sin(np.outer(Q, r))
    >>> pca(Curves(r, share * a + (1 - share) * b + error, instrument=lab)).count  # two curves: one direction
    1
    """
    if len(curves) < 3:
        raise PdfkitError(f"there are {len(curves)} scans: components need 3 at least")
    mean = curves.G.mean(axis=0)
    left, size, right = np.linalg.svd(curves.G - mean, full_matrices=False)
    kept = min(len(curves) - 1, MOST)
    total = max(float((size**2).sum()), 1e-300)
    count, remark = _above_noise(curves, mean, right, noise)
    sign = np.sign(right[np.arange(kept), np.abs(right[:kept]).argmax(axis=1)])[:, None]
    return Components(
        curves.r, mean, right[:kept] * sign, left[:, :kept] * size[:kept] * sign.T, size[:kept] ** 2 / total, count,
        (remark, *curves.remarks),
    )  # fmt: skip


def _above_noise(curves: Curves, mean: Array, right: Array, noise: str) -> tuple[int | None, str]:
    """Return how many components stand above the noise, and how that was told."""
    if np.abs(curves.G - mean).max() <= SAME * np.abs(curves.G).max():
        return 0, "all scans are the same to rounding: nothing changes"
    qmax = curves.instrument.qmax
    if qmax is None or not math.isfinite(qmax):
        return None, "how many components stand above the noise is not known: give qmax in Å⁻¹"
    taken, found = np.zeros((0, curves.r.size)), 0
    most = min(MOST, len(curves) - 2)
    while found < most:
        known = noise_of(curves, np.vstack([mean, taken]), noise)
        white = np.array([known.white(row, i) for i, row in enumerate(curves.G - mean)])
        if not _next_counts(white, found, known):
            break
        found += 1
        taken = right[:found]
    how = "known errors" if known.known else "the spectrum of what is left"
    end = ", the most that was asked for" if found == most else ""
    return found, f"components above noise at 99.9 %, from {how}: {found}{end}"


def _next_counts(white: Array, found: int, known: Noise) -> bool:
    """Return whether the component after the first `found` is larger than noise makes any."""
    values = np.linalg.svd(white - white.mean(axis=0), compute_uv=False)[found:] ** 2
    return stands_out(values, len(white) - 1 - found, white.shape[1] - found, known.known)


# --- Parts that are nowhere negative ---------------------------------------------------------------------------------

AS = ("rdf", "changes", "given")


def nmf(curves: Curves, count: int, as_: str = "rdf", *, rho0: float | None = None, seed: int = 0) -> Components:
    """Return scans as sums of non-negative parts with non-negative amounts (scikit-learn, extra `nmf`).

    G(r) is negative between its peaks, and parts of it would be meaningless. as_ : "rdf", R(r) = rG + 4πr²ρ₀ with
    `rho0` in atoms/Å³; "changes", G less the lowest value that any scan has at that r, so that parts are what comes and
    goes; "given", curves that are non-negative as they are, such as intensities. What noise and ripples leave below 0
    is set to 0 and said. Parts are not unique: between two that overlap, any that fit may be returned.

    Raises PdfkitError for curves that are not non-negative in this form, a count that is not from 1 to the number of
    scans, or without scikit-learn.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series import Curves, nmf
    >>> r = np.arange(1.0, 10.0, 0.05)
    >>> first, second = (np.exp(-((r - at) ** 2)) for at in (3, 7))
    >>> share = np.linspace(0, 1, 6)[:, None]
    >>> parts = nmf(Curves(r, (1 - share) * first + share * second), 2, "given")
    >>> sorted(parts.r[parts.curves.argmax(axis=1)].round(1).tolist())
    [3.0, 7.0]
    """
    values, remarks = _non_negative(curves, as_, rho0)
    if count != int(_checks.number("count", count)) or not 1 <= count <= len(curves):
        raise PdfkitError(f"count = {count} parts of {len(curves)} scans: give a whole number from 1 to {len(curves)}")
    amounts, parts, settled = _factors(values, int(count), seed)
    size = np.maximum(parts.max(axis=1, keepdims=True), 1e-300)
    added = np.array([((amounts[:, [k]] @ parts[[k]]) ** 2).sum() for k in range(count)]) / (values**2).sum()
    order = np.argsort(-added)
    if not settled:
        remarks = (*remarks, "the parts had not settled after 5000 rounds: give fewer")
    return Components(
        curves.r, np.zeros(curves.r.size), (parts / size)[order], (amounts * size.T)[:, order], added[order], None,
        (*remarks, *curves.remarks),
    )  # fmt: skip


def _non_negative(curves: Curves, as_: str, rho0: float | None) -> tuple[Array, tuple[str, ...]]:
    """Return curves in a form that cannot be negative, and what was set to 0 for that."""
    if _checks.choice("as_", as_, AS) == "changes":
        return curves.G - curves.G.min(axis=0), ("parts are changes above the lowest value of all scans at each r",)
    values, name = curves.G, "these curves"
    if as_ == "rdf":
        rho0 = _checks.number("rho0", rho0, low=0.0, open_low=True, remedy="atoms/Å³") if rho0 is not None else None
        if rho0 is None:
            raise PdfkitError('R(r) = rG + 4πr²ρ₀ needs rho0 in atoms/Å³: give it, or as_="changes"', key="rho0")
        values, name = curves.r * curves.G + 4 * np.pi * curves.r**2 * rho0, f"R(r) with rho0 = {rho0:g}"
    below = float(-values[values < 0].sum() / np.abs(values).sum())
    if below > 20 * SLIGHTLY:
        raise PdfkitError(
            f'{name} are below 0 by {below:.1%} of their sum: correct rho0 or scale, or use as_="changes"'
        )
    said = f"{below:.1%} of the sum of {name}, below 0, was set to 0"
    return np.maximum(values, 0.0), (said,) if below > SLIGHTLY else ()


def _factors(values: Array, count: int, seed: int) -> tuple[Array, Array, bool]:
    """Return amounts (m, count), parts (count, n) and whether they settled."""
    try:
        from sklearn.decomposition import NMF
        from sklearn.exceptions import ConvergenceWarning
    except ImportError:
        raise PdfkitError(
            "nmf needs scikit-learn, which is not installed: pip install scikit-learn, or pdfkit-scattering[nmf]"
        ) from None
    largest = float(values.max()) or 1.0
    made: Any = NMF(count, init="nndsvda", max_iter=5000, tol=1e-5, random_state=seed)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConvergenceWarning)
        amounts = made.fit_transform(values / largest)
    settled = not any(issubclass(one.category, ConvergenceWarning) for one in said)
    return np.asarray(amounts), np.asarray(made.components_ * largest), settled
