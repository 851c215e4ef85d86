"""Weights of a second fit: the spectrum of the noise that the residual of the first one shows.

dG (or a covariance) of the data is believed where the residual agrees with it: a reduced χ² within `BELIEVED`. A
covariance then stays as it is; dG gives the size of the noise along r, and the residual its spectrum. Elsewhere the
residual alone speaks, and a remark says so. A residual that is no noise (`diagnosis`) gives errors, but no weights: the
noise of another model would be its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit._machine import one_thread
from pdfkit.fitting.basis import Basis, basis_of
from pdfkit.fitting.diagnosis import Fixed, findings
from pdfkit.fitting.parts import Dataset
from pdfkit.fitting.projection import PatternSet
from pdfkit.fitting.residuals import Curves, Residuals
from pdfkit.fitting.spectrum import Estimate, Evidence, estimate, inflation, relative_size
from pdfkit.results.derived import POOR_RW

BELIEVED = (0.5, 2.0)
FEWEST = 12.0
"""Independent numbers, less parameters, from which a spectrum can be told."""
WRONG = (
    "so points are weighed alike, and errors take the whole residual for noise; what the model misses can put values "
    "off by more than that"
)
ASKED = "points are weighed by its spectrum all the same, as those of the other scans: errors may be too small"
POOR = f"the residual is more than {POOR_RW:g} of the data: that is taken for a misfit, not for noise"
NOTHING = 1e-6
"""A residual below this share of G is rounding, and no noise."""


def can_be_estimated(residuals: Residuals) -> bool:
    """Whether the residual of a fit is to tell the spectrum of its noise."""
    settings, sets = residuals.problem.settings, residuals.sets
    if settings.noise != "estimated" or settings.errors != "covariance" or any(s.posed.noise for s in sets):
        return False
    share = residuals.freedom / residuals.independent
    return all(s.count * share >= FEWEST for s in sets)


@dataclass(frozen=True, eq=False)
class Reweighed:
    """Residuals with spectra of their noise, whether these weigh them, and remarks."""

    residuals: Residuals
    weighs: bool
    said: tuple[str, ...]


def reweighed(residuals: Residuals, x: Array, inside: Array) -> Reweighed | None:
    """Return the residuals with the spectra that x leaves, and what is to be said; None where the data need none.

    inside (nfree,): parameters that are not on a bound.
    """
    parts = list(zip(residuals.sets, residuals.last_curves(x), strict=False))  # patterns come last
    if any(_is_nothing(s, G) for s, (G, _) in parts):
        return None
    judged = [_judged(residuals, s, G) for s, (G, _) in parts]
    believed = [s.source == "cov" and not words for (s, _), (_, words) in zip(parts, judged, strict=True)]
    if all(believed):
        return None
    said = [word for _, words in judged for word in words]
    shown = _shown(residuals, x, inside, [shaped for shaped, _ in judged])
    wrong = [word for (s, _), one in zip(parts, shown, strict=True) for word in _named(s, one[1])]
    for (s, (G, _)), (shaped, _), keep in zip(parts, judged, believed, strict=True):
        if not (shaped or keep) and _is_poor(s, G):
            wrong += _named(s, (POOR,))
    weighs = not wrong if residuals.weighs is None else residuals.weighs
    noises = [replace(one.noise, weighs=weighs) for one, _ in shown]
    sets = [s if keep else s.with_noise(n) for (s, _), keep, n in zip(parts, believed, noises, strict=True)]
    if wrong:
        wrong.append(ASKED if weighs else WRONG)
    return Reweighed(residuals.with_sets(sets), weighs, (*said, *wrong))


def _is_poor(s: Dataset, G: Array) -> bool:
    return float(((G - s.target) ** 2).sum()) > POOR_RW**2 * float((s.target**2).sum())


def _named(s: Dataset, words: tuple[str, ...]) -> list[str]:
    return [f"{s.name}: {word}" if s.name else word for word in words]


def _shown(residuals: Residuals, x: Array, inside: Array, shaped: list[bool]) -> list[tuple[Estimate, tuple[str, ...]]]:
    """Return the spectrum of every data set and what shows that its residual is no noise."""
    columns = np.append(np.flatnonzero(inside), -1)
    curves = residuals.last_curves(x)
    parts = list(zip(residuals.sets, curves, strict=False))
    white = [(s.rows(G, dG) / _unit(residuals, s, G))[columns] for s, (G, dG) in parts]
    others = [_normal(rows) for rows in white]
    others += [_normal(s.rows(*one)[columns]) for s, one in _patterns(residuals, curves)]
    if residuals.restraints:
        values, tangents = residuals.mapping(x)
        others.append(_normal(residuals.restraint_rows(values, tangents)[columns]))
    whole = np.sum(others, axis=0)
    fixed, slopes = residuals.held(x)
    out = []
    for k, (s, (G, dG)) in enumerate(parts):
        with one_thread():
            lift = _lift(s, shaped[k])
            rows = lift(s.raw(G, dG)[columns])
            basis, rest = lift.basis, whole - others[k]
            about = Evidence.of(rows, rest[:, :-1], rest[:, -1])
            found = estimate(basis, about, s.posed.noise, shaped[k])
            held = [Fixed(*one, slope) for one, slope in zip(fixed, lift(slopes[k][1]), strict=True)]
            out.append((found, findings(basis, about, found, s.evaluate.r, held)))
    return out


@dataclass(frozen=True, eq=False)
class _Lift:
    """From curves at the points of a data set to numbers in its band."""

    basis: Basis
    size: Array

    def __call__(self, rows: Array) -> Array:
        return np.asarray((rows / self.size) @ self.basis.band.modes)


def _lift(s: Dataset, shaped: bool) -> _Lift:
    assert s.whiten is not None
    basis = basis_of(s.data.r[s.whiten.index], s.model.instrument)
    return _Lift(basis, relative_size(s.data, shaped)[s.whiten.index])


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
    why = f"the residual is {ratio:.3g} times {than} than that says (reduced χ² {chi2:.3g})"
    other = ": errors of the data are too small, or the model misses something" if chi2 > 1 else ""
    return False, (f"{name}{what} of the data is not used, because {why}{other}; errors are from the residual",)


def honest(residuals: Residuals, x: Array, covariance: Array, factor: float) -> Array:
    """Return the covariance (nfree, nfree) of the parameters with what spectra of noise say.

    covariance : (JᵀWJ)⁻¹·factor, as a fit has it, with the weights W of data sets. Where these differ it becomes
    (JᵀWJ)⁻¹ JᵀW²J (JᵀWJ)⁻¹·factor: a weight moves the minimum, and makes no data better. Where spectra weigh the
    residuals, their own uncertainty is added; where they do not, (JᵀWJ)⁻¹ JᵀWCWJ (JᵀWJ)⁻¹ with the covariance C of the
    noise.
    """
    inside = np.flatnonzero(np.isfinite(np.diag(covariance)))
    noises = [s.posed.noise for s in residuals.sets if s.posed.noise is not None]
    if not inside.size or not (noises or residuals.weighted):
        return covariance
    unit = np.sqrt(np.diag(covariance)[inside])  # parameters differ much in size
    phi = covariance[np.ix_(inside, inside)] / np.outer(unit, unit)
    curves = residuals.last_curves(x)
    slopes = [(s, dG[inside] * unit[:, None]) for s, (_, dG) in zip(residuals.sets, curves, strict=False)]
    beside = [s.rows(*one)[inside] * unit[:, None] for s, one in _patterns(residuals, curves)]
    squares, of = [weight**2 for weight in residuals.weights], _of_restraints(residuals, x, inside, unit)
    with one_thread():
        if noises and not noises[0].weighs:
            meat = [more * _meat(s, rows) for more, (s, rows) in zip(squares, slopes, strict=False)]
            meat += [more * rows @ rows.T for more, rows in zip(squares[len(slopes) :], beside, strict=True)]
            made = phi @ (np.sum(meat, axis=0) + residuals.restraint_scale**4 * of @ of.T) @ phi
        else:
            made = _sandwich(residuals, slopes, beside, of, phi, factor) if residuals.weighted else phi
            doubts = [
                (square * more, vary)
                for square, (s, rows) in zip(squares, slopes, strict=False)
                if s.posed.noise is not None
                for more, vary in [_doubt(s, rows, phi)]
            ]
            if doubts:
                made = made + 2.0 * phi @ np.sum([more for more, _ in doubts], axis=0) @ phi
                wide = np.sqrt(1.0 + np.sum([vary for _, vary in doubts], axis=0))  # the diagonal of phi is 1
                made = made * np.outer(wide, wide)
    made = 0.5 * (made + made.T)
    rounded = np.diag(made) <= 0.0  # nothing but rounding is left of what the data hardly tell
    made[rounded] = made[:, rounded] = math.nan
    out = covariance.copy()
    out[np.ix_(inside, inside)] = made * np.outer(unit, unit)
    return out


def _of_restraints(residuals: Residuals, x: Array, inside: IntArray, unit: Array) -> Array:
    """Return the derivatives (n, number) of restraints in units of their σ, none where there are none."""
    if not residuals.restraints:
        return np.zeros((inside.size, 0))
    values, tangents = residuals.mapping(x)
    return np.asarray(residuals.restraint_rows(values, tangents)[inside] * unit[:, None])


def _patterns(residuals: Residuals, curves: Curves) -> Iterator[tuple[PatternSet, tuple[Array, Array]]]:
    return zip(residuals.patterns, curves[len(residuals.sets) :], strict=True)


def _sandwich(
    residuals: Residuals,
    slopes: list[tuple[Dataset, Array]],
    beside: list[Array],
    of: Array,
    phi: Array,
    factor: float,
) -> Array:
    """Return φ JᵀW²J φ/factor (n, n) of φ = (JᵀWJ)⁻¹·factor: independent residuals of variance `factor`."""
    white = [*(s.rows(np.zeros_like(s.target), rows)[:-1] for s, rows in slopes), *beside]
    meat = [weight**2 * rows @ rows.T for weight, rows in zip(residuals.weights, white, strict=True)]
    return np.asarray(phi @ (np.sum(meat, axis=0) + residuals.restraint_scale**2 * of @ of.T) @ phi / factor)


def _doubt(s: Dataset, slopes: Array, phi: Array) -> tuple[Array, Array]:
    assert s.posed.noise is not None
    lift = _lift(s, s.posed.noise.shaped)
    return inflation(lift.basis, s.posed.noise, lift(slopes).T, phi)


def _meat(s: Dataset, slopes: Array) -> Array:
    """Return JᵀCJ of a data set, in its weights."""
    assert s.whiten is not None
    waves = s.whiten(slopes) if s.posed.noise is None else noise_waves(s, slopes)
    return np.asarray(waves @ waves.T)


def noise_waves(s: Dataset, slopes: Array) -> Array:
    """Return a root (n, nQ) of JᵀWCWJ of a data set whose noise has the spectrum C, for slopes Jᵀ (n, m)."""
    assert s.whiten is not None
    assert s.posed.noise is not None
    lift, band = _lift(s, s.posed.noise.shaped), basis_of(s.data.r[s.whiten.index], s.model.instrument).band
    back = (s.whiten.adjoint(s.whiten(slopes)) * lift.size) @ band.modes
    return np.asarray((back @ band.waves) * np.sqrt(s.posed.noise.at(band.Q)))
