"""Weights of a second fit: the spectrum of the noise that the residual of the first one shows.

dG (or a covariance) of the data is believed where the residual agrees with it: a reduced χ² within `BELIEVED`. A
covariance then stays as it is; dG gives the size of the noise along r, and the residual its spectrum. Elsewhere the
residual alone speaks, and a remark says so.
"""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array
from pdfkit._machine import one_thread
from pdfkit.data.spectrum import NoiseSpectrum
from pdfkit.fitting.residuals import Dataset, Residuals
from pdfkit.fitting.spectrum import Evidence, basis_of, estimate, inflation, relative_size

BELIEVED = (0.5, 2.0)
FEWEST = 12.0
"""Independent numbers, less parameters, from which a spectrum can be told."""
NOTHING = 1e-6
"""A residual below this share of G is rounding, and no noise."""


def can_be_estimated(residuals: Residuals) -> bool:
    """Whether the residual of a fit is to tell the spectrum of its noise."""
    settings, sets = residuals.problem.settings, residuals.sets
    if settings.noise != "estimated" or settings.errors != "covariance" or any(s.posed.noise for s in sets):
        return False
    share = residuals.freedom / residuals.independent
    return all(s.count * share >= FEWEST for s in sets)


def reweighed(residuals: Residuals, x: Array, inside: Array) -> tuple[Residuals, tuple[str, ...]] | None:
    """Return the residuals weighed by the spectra that x leaves, and remarks; None where the data need none.

    inside (nfree,): parameters that are not on a bound.
    """
    curves = residuals.last_curves(x)
    if any(_is_nothing(s, G) for s, (G, _) in zip(residuals.sets, curves, strict=True)):
        return None
    columns = np.append(np.flatnonzero(inside), -1)
    parts = list(zip(residuals.sets, curves, strict=True))
    white = [(s.rows(G, dG) / _unit(residuals, s, G))[columns] for s, (G, dG) in parts]
    others = [_normal(rows) for rows in white]
    if residuals.restraints:
        values, tangents = residuals.mapping(x)
        others.append(_normal(residuals.restraint_rows(values, tangents)[columns]))
    whole = np.sum(others, axis=0)
    sets, said = [], []  # type: tuple[list[Dataset], list[str]]
    for k, (s, (G, dG)) in enumerate(parts):
        shaped, words = _judged(residuals, s, G)
        said += words
        if s.source == "cov" and not words:
            sets.append(s)
            continue
        sets.append(s.with_noise(_noise(s, s.raw(G, dG)[columns], whole - others[k], shaped)))
    if all(one is s for one, s in zip(sets, residuals.sets, strict=True)):
        return None
    return residuals.weighed(sets), tuple(said)


def _is_nothing(s: Dataset, G: Array) -> bool:
    return float(((G - s.target) ** 2).sum()) <= NOTHING**2 * float((s.target**2).sum())


def _squares(s: Dataset, G: Array) -> float:
    return float((s.rows(G, np.zeros((0, G.size)))[-1] ** 2).sum())


def _reduced(residuals: Residuals, s: Dataset, G: Array) -> float:
    return _squares(s, G) / s.count * residuals.independent / residuals.freedom


def _unit(residuals: Residuals, s: Dataset, G: Array) -> float:
    """Return the size of the whitened residuals of a data set, 1 where they have the weights of a spectrum."""
    return math.sqrt(_reduced(residuals, s, G)) if s.posed.noise is None else 1.0


def _normal(rows: Array) -> Array:
    """Return [JᵀJ, Jᵀf] (n, n + 1) of rows (n + 1, k)."""
    return np.asarray(rows[:-1] @ rows.T)


def _judged(residuals: Residuals, s: Dataset, G: Array) -> tuple[bool, tuple[str, ...]]:
    """Return whether the noise follows dG along r, and what is to be said where errors of the data are not believed."""
    given = s.given or s
    if given.source == "misfit":
        return False, ()
    chi2 = _reduced(residuals, given, G)
    if BELIEVED[0] <= chi2 <= BELIEVED[1]:
        return given.source == "dG", ()
    what = "the covariance" if given.source == "cov" else "dG"
    name = f"{s.name}: " if s.name else ""
    than = "smaller" if chi2 < 1 else "larger"
    ratio = math.sqrt(chi2 if chi2 > 1 else 1.0 / max(chi2, 1e-300))
    why = f"what the model leaves is {ratio:.3g} times {than} than it says (reduced χ² {chi2:.3g})"
    other = ", be it that the data say too little or that the model misses more than noise" if chi2 > 1 else ""
    return False, (f"{name}{what} of the data is not used: {why}{other}; errors are from the residual",)


def _noise(s: Dataset, raw: Array, others: Array, shaped: bool) -> NoiseSpectrum:
    assert s.whiten is not None
    with one_thread():
        basis = basis_of(s.data.r[s.whiten.index], s.model.instrument)
        size = relative_size(s.data, NoiseSpectrum(basis.knots, np.ones(basis.knots.size), shaped=shaped))
        rows = (raw / size[s.whiten.index]) @ basis.band.modes
        return estimate(basis, Evidence.of(rows, others[:, :-1], others[:, -1]), s.posed.noise, shaped)


def uncertain_spectrum(residuals: Residuals, x: Array, covariance: Array) -> Array:
    """Return what the uncertainty of estimated spectra adds to the covariance (nfree, nfree) of the parameters."""
    inside = np.flatnonzero(np.isfinite(np.diag(covariance)))
    out = np.zeros_like(covariance)
    if not inside.size:
        return out
    phi = covariance[np.ix_(inside, inside)]
    for s, (_, dG) in zip(residuals.sets, residuals.last_curves(x), strict=True):
        if s.posed.noise is None or s.whiten is None:
            continue
        with one_thread():
            basis = basis_of(s.data.r[s.whiten.index], s.model.instrument)
            size = relative_size(s.data, s.posed.noise)[s.whiten.index]
            jac = ((dG[inside] / size) @ basis.band.modes).T
            unit = np.sqrt(np.diag(phi))  # parameters differ much in size
            more = inflation(basis, s.posed.noise, jac * unit, phi / np.outer(unit, unit))
        scaled = phi / unit[None, :]
        out[np.ix_(inside, inside)] += 2.0 * scaled @ more @ scaled.T
    return out
