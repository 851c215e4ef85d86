"""G(r) and patterns weighed against each other, each by its own noise.

Errors that the data bring, or show by their scatter, hold as long as the model fits within them: a reduced χ² of the
data set up to `WITHIN`. Where it is larger than `BEYOND`, the model misses something, and what it misses is the size of
the noise as far as this model is concerned: the data set counts that much less, and the result says so. In between the
variance of the noise rises evenly from one to the other, so that no fit jumps. Of a G(r) without dG the
misfit is all that is known; until there is one, it is taken to be `ROUGHLY` of the data, as of a pattern.
"""

from __future__ import annotations

import math

from pdfkit.fitting.minimiser import Outcome, Progress, minimise
from pdfkit.fitting.parts import Part
from pdfkit.fitting.projection import PatternSet
from pdfkit.fitting.residuals import Residuals

WITHIN, BEYOND = 1.5, 2.5
"""Reduced χ² up to which errors hold, and from which on they are the misfit."""
ROUGHLY = 0.05
"""Misfit of a model before it is fitted, as a share of the data."""
SAME = 0.05
"""Change of sizes, relative, that no fit need follow."""
MOST = 4
LESS = "and they weigh that much less"


def begun(residuals: Residuals) -> Residuals:
    """Return the residuals with sizes to start from; the same where data sets have no noise of their own."""
    if not residuals.apart:
        return residuals
    return _sized(residuals, [_rough(s) for s in residuals.parts])


def _rough(s: Part) -> float:
    if not _sizable(s):
        return 1.0
    plain = s.resized(1.0)
    size = ROUGHLY * math.sqrt(plain.norm2() / plain.count)
    return max(1.0, size) if s.has_errors else size


def balanced(residuals: Residuals, outcome: Outcome, progress: Progress | None) -> tuple[Residuals, Outcome]:
    """Fit on until every data set has the weight that its misfit gives it, where each has noise of its own."""
    most = residuals.problem.settings.max_nfev
    for _ in range(MOST if residuals.apart else 0):
        sizes = sizes_at(residuals, outcome)
        now = [s.posed.size for s in residuals.parts]
        if all(abs(new - old) <= SAME * old for new, old in zip(sizes, now, strict=True)):
            break
        residuals = _sized(residuals, sizes)
        outcome = minimise(residuals, most, progress, outcome)
    return residuals, outcome


def sizes_at(residuals: Residuals, outcome: Outcome) -> list[float]:
    """Return how much larger the noise of each data set is than its errors, by the misfit of an outcome."""
    curves = residuals.last_curves(outcome.x)
    out = []
    for s, (G, _) in zip(residuals.parts, curves, strict=True):
        if not _sizable(s):
            out.append(1.0)
            continue
        plain = s.resized(1.0)
        chi2 = float((plain.rows(G, G[None][:0])[-1] ** 2).sum()) / s.count
        chi2 *= residuals.independent / residuals.freedom
        stated = (s.given or s).has_errors  # a spectrum that its residual has is no error of the data
        out.append(math.sqrt(_believed(chi2) if stated else max(chi2, 1e-20)))
    return out


def _believed(chi2: float) -> float:
    """Return the variance of the noise, in units of the errors that the data say, for a reduced χ²."""
    rise = (BEYOND - 1.0) / (BEYOND - WITHIN)
    return min(max(1.0, 1.0 + rise * (chi2 - WITHIN)), max(chi2, 1.0))


def _sizable(s: Part) -> bool:
    """Whether the misfit says how much a data set weighs: not where the spectrum of its residual does."""
    return isinstance(s, PatternSet) or s.posed.noise is None or not s.posed.noise.weighs


def _sized(residuals: Residuals, sizes: list[float]) -> Residuals:
    count = len(residuals.sets)
    sets = [s.resized(size) if _sizable(s) else s for s, size in zip(residuals.sets, sizes, strict=False)]
    patterns = [s.resized(size) for s, size in zip(residuals.patterns, sizes[count:], strict=True)]
    return residuals.with_sets(sets, patterns)


def said_of(residuals: Residuals) -> tuple[str, ...]:
    """Say which data sets the model misses by more than their errors."""
    out = []
    for s in residuals.parts:
        if s.has_errors and s.posed.size > 1.0 and _sizable(s):
            out.append(
                f"{s.name or 'G(r)'}: the model misses these data by {s.posed.size:.2g} times their errors, {LESS}"
            )
    return tuple(out)
