"""How much data say for a model: the integral of its likelihood over its parameters, with priors that are named.

    Z = ∫ L(p) π(p) dp,    π flat between the bounds of every free parameter

| noise | ln L |
|---|---|
| known | −½ χ² |
| not known | −½ N ln(χ²/N): the size of the noise integrated out, with the prior dσ/σ |

χ² is over N independent residuals. Constants that are common to all models of the same data are left out.

`laplace` takes ln L as a quadratic about the best fit, so that its integral is that of a normal distribution cut at the
bounds:

    ln Z = ln L(p̂) + ½ gᵀCg + ½ k ln 2π + ½ ln|C| + ln P − Σ ln(widths of the priors)

with C⁻¹ = JᵀJ (in units of the noise), g the slope of ln L at p̂ (0 but for parameters that ended on a bound) and P the
part of the distribution that lies within the bounds (`pdfkit.fitting.boxed`). Where the likelihood is no normal
distribution, `sampled` corrects this by importance sampling: the mean of L/q over points drawn from q, normal
distributions of three widths cut at the bounds. It has an error of its own, and says when it does not suffice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.fitting.boxed import Boxed, ln_mean
from pdfkit.fitting.residuals import Curves, Residuals
from pdfkit.model.mapping import ParameterMap
from pdfkit.phases.base import Phase
from pdfkit.results.result import FitResult

# A misfit of nothing but rounding has no finite logarithm: no Rw counts as smaller than this.
SMALLEST_RW = 1e-10

# Added to C⁻¹ in units of the priors: what data do not determine is held by its prior. It changes ln Z by 1e-4 at most
# where they do.
RIDGE = 1e-3


# Directions that are determined worse than this part of the best cannot be told from rounding.
LEAST = 1e-13


# --- Priors ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prior:
    """What a free parameter could be before the data: anything between low and high, with equal probability.

    given : whether both limits are bounds of the fit; the others follow from the values that fits found.
    """

    name: str
    low: float
    high: float
    given: bool = True

    @property
    def width(self) -> float:
        """high − low."""
        return self.high - self.low


def priors_of(result: FitResult, mapping: ParameterMap) -> tuple[Prior, ...]:
    """Return the priors of the free parameters of a fit.

    A scale without an upper bound goes to twice the sum of all scales of a data set, anything else without a bound to
    twice its value.
    """
    total = max(sum(float(phase.scale) for phase in one.model.phases) for one in result.datasets)
    return _priors(mapping, result.values, total)


def _priors(mapping: ParameterMap, x: Array, total: float) -> tuple[Prior, ...]:
    out = []
    numbers = (each.tolist() for each in (x, mapping.low, mapping.high))
    for name, value, low, high in zip(mapping.free_names, *numbers, strict=True):
        reach = 2.0 * (max(total, abs(value)) if name.endswith("scale") else abs(value) or 1.0)
        ends = (low if low > -math.inf else -reach, high if high < math.inf else reach)
        out.append(Prior(name, *ends, given=ends == (low, high)))
    return tuple(out)


# --- The likelihood --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Likelihood:
    """ln L of the free parameters in units of their priors: z = (p − low)/(high − low), all of them from 0 to 1.

    noise : "known", or "misfit" where its size is not. ln_places : how much more a restraint says of the places of
    atoms before the data than flat priors do.
    """

    residuals: Residuals
    priors: tuple[Prior, ...]
    noise: str
    ln_places: float = 0.0

    @classmethod
    def of(cls, result: FitResult, noise: str) -> Likelihood:
        """Return that of a fit. PdfkitError where its restraints were not saved."""
        mapping = ParameterMap.of(result.params)
        # A likelihood knows the noise of data sets and no other weights.
        plain = replace(result.problem, settings=replace(result.problem.settings, weights={}))
        out = cls(Residuals(plain, mapping), priors_of(result, mapping), noise)
        return replace(out, ln_places=out._ln_of_places(result.values))

    def _ln_of_places(self, x: Array) -> float:
        """Return ln of the density at its top of the prior that restraints of places are, over that of flat ones.

        A normal distribution about the first places, as they go there: ½ ln|K| − ½ k ln 2π + Σ ln(widths), K = the sum
        of products of the derivatives of what is restrained, in its σ.
        """
        own, restraints = self.residuals, [one for one in self.residuals.restraints if getattr(one, "normal", False)]
        moved = [f"{one.name}.{q.name}" for one in own.model.phases for q in one.quantities[_moving(one)]]
        which = [k for k, name in enumerate(own.mapping.free_names) if name in set(moved)]
        if not restraints or not which:
            return 0.0
        first = x.copy()
        first[which] = 0.0
        values, tangents = own.mapping(first)
        slopes = [one.residual(own.model, own.mapping.names, values, tangents)[1] for one in restraints]
        rows = np.concatenate([np.atleast_2d(one) for one in slopes])[:, which] * self.width[which]
        size = self._weight(self._chi2(own.at(x))) * own.restraint_scale**2
        sign, ln = np.linalg.slogdet(size * rows.T @ rows)
        return 0.5 * float(ln - len(which) * math.log(2.0 * math.pi)) if sign > 0 else 0.0

    @property
    def low(self) -> Array:
        """Lower limits (k,)."""
        return np.array([one.low for one in self.priors])

    @property
    def width(self) -> Array:
        """Widths of the priors (k,)."""
        return np.array([one.width for one in self.priors])

    def unit(self, x: Array) -> Array:
        """Return free values as parts of the priors."""
        return np.asarray(np.clip((x - self.low) / self.width, 0.0, 1.0))

    def values(self, z: Array) -> Array:
        """Return free values from parts of the priors."""
        return np.asarray(self.low + z * self.width)

    def _chi2(self, f: Array) -> float:
        """Return χ² over independent residuals."""
        known = self.residuals.independent / self.residuals.count
        least = SMALLEST_RW**2 * sum(s.norm2() for s in self.residuals.parts)
        return known * (float(f @ f) + least)

    def _ln(self, chi2: float) -> float:
        if self.noise == "known":
            return self.ln_places - 0.5 * chi2
        n = self.residuals.independent
        return self.ln_places - 0.5 * n * math.log(chi2 / n)

    def _weight(self, chi2: float) -> float:
        """Return what squares of residuals are multiplied with, where the quadratic about them is that of ln L."""
        known = self.residuals.independent / self.residuals.count
        return known if self.noise == "known" else known * self.residuals.independent / chi2

    def __call__(self, z: Array) -> float:
        """Return ln L at z (k,); −∞ where the model cannot be computed."""
        return float(self.many(z[None])[0])

    def many(self, z: Array) -> Array:
        """Return ln L (n,) at z (n, k)."""
        try:
            found = self.residuals.at_many(self.values(z))
        except PdfkitError:
            if len(z) == 1:
                return np.array([-math.inf])
            return np.array([self(one) for one in z])  # which of them it was
        chi2 = [self._chi2(f) for f in found]
        return np.array([self._ln(one) if math.isfinite(one) else -math.inf for one in chi2])

    def quadratic(self, x: Array) -> tuple[float, Array, Array]:
        """Return ln L, its slope (k,) and C⁻¹ (k, k) at free values x, in units of the priors."""
        rows = self.residuals.system(x)
        if not np.isfinite(rows).all():
            raise PdfkitError("the model of a fit is not finite at its own values: fit it again")
        f, jac = rows[-1], rows[:-1] * self.width[:, None]
        chi2 = self._chi2(f)
        weight = self._weight(chi2)
        return self._ln(chi2), -weight * (jac @ f), weight * (jac @ jac.T)


def _moving(phase: Phase) -> slice:
    """Return which quantities of a phase displace its atoms."""
    found: slice = getattr(phase, "moving", slice(0))
    return found


# --- The integral ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """ln Z of a model up to a constant, with the standard error of its computation.

    laplace : what the quadratic alone gives. evaluations : of the model. remark : what to know of it, or "".
    """

    lnz: float
    error: float
    laplace: float
    evaluations: int
    remark: str = ""


def normal(likelihood: Likelihood, x: Array) -> tuple[float, Boxed]:
    """Return ln L at the top of the quadratic about x, and its normal distribution in units of the priors."""
    return _normal(likelihood, x, likelihood.quadratic(x))


def _normal(likelihood: Likelihood, x: Array, quadratic: tuple[float, Array, Array]) -> tuple[float, Boxed]:
    lnl, slope, curvature = quadratic
    covariance = _inverse(curvature)
    shift = covariance @ slope
    return lnl + 0.5 * float(slope @ shift), Boxed.of(likelihood.unit(x) + shift, covariance)


def _inverse(curvature: Array) -> Array:
    """Return the inverse of C⁻¹ with what the priors hold added; columns are scaled first, whatever their units."""
    size = np.sqrt(np.diag(curvature) + RIDGE)
    values, vectors = np.linalg.eigh((curvature + RIDGE * np.eye(size.size)) / np.outer(size, size))
    whole = (vectors / np.maximum(values, LEAST)) @ vectors.T
    return np.asarray(whole / np.outer(size, size))


def laplace(likelihood: Likelihood, x: Array) -> float:
    """Return ln Z of the quadratic about the best fit x."""
    top, shape = normal(likelihood, x)
    return top + shape.ln_size


def occam(result: FitResult, *, drawn: bool = False) -> float:
    """Return ln of the part of its priors that data leave a model, with noise of the size of its misfit.

    ln Z is ln L at the best fit and this; smaller noise by a factor s leaves k ln s less. Beside patterns the noise is
    what each data set has in the fit, and scales that were projected out count. drawn : by importance
    sampling, not from the quadratic alone.
    """
    likelihood, x = Likelihood.of(result, "known" if result.problem.apart else "misfit"), result.values
    quadratic = likelihood.quadratic(x)
    beside = zip(likelihood.residuals.patterns, _of_patterns(likelihood.residuals, x), strict=True)
    scales = sum(one.ln_scales(G) for one, (G, _) in beside)
    if drawn:
        return sampled(likelihood, x).lnz - quadratic[0] + scales
    return _size(likelihood, x, quadratic) + scales


def occam_at(residuals: Residuals, x: Array) -> float:
    """Return `occam` of a fit of one data set, without patterns, that ended at x, from curves that are at hand."""
    values = residuals.mapping(x)[0][residuals.rows[0]]
    scales = [v for name, v in zip(residuals.model.names, values.tolist(), strict=True) if name.endswith(".scale")]
    likelihood = Likelihood(residuals, _priors(residuals.mapping, x, sum(scales)), "misfit")
    return _size(likelihood, x, likelihood.quadratic(x))


def _size(likelihood: Likelihood, x: Array, quadratic: tuple[float, Array, Array]) -> float:
    top, shape = _normal(likelihood, x, quadratic)
    return top + shape.ln_size - quadratic[0]


def _of_patterns(residuals: Residuals, x: Array) -> Curves:
    return residuals.last_curves(x)[len(residuals.sets) :]


def ln_evidence(reduced_chi2: float, n_independent: float, free: int, rest: float) -> float:
    """Return ln Z with the size of the noise integrated out: −½ N ln(χ²/N) and `rest`, the part of the priors left.

    N independent residuals. It compares models of one data set, whatever is known of its errors.
    """
    chi2 = max(reduced_chi2 * max(1.0, n_independent - free), 1e-300)
    return -0.5 * n_independent * math.log(chi2 / n_independent) + rest


# Standard deviations of the three distributions that points are drawn from, and their parts.
WIDTHS, PARTS = (1.0, 1.4, 2.5), (0.5, 0.35, 0.15)
ROUND, ROUNDS = 300, 10
AT_ONCE = 25
"""Points between two looks at whether to go on."""
ENOUGH = 0.1
"""Standard error of ln Z at which no more points are drawn."""
POOR = 0.5
"""Standard error of ln Z beyond which the integral cannot be relied on."""


def sampled(likelihood: Likelihood, x: Array, seed: int = 0, check: Callable[[], None] = lambda: None) -> Evidence:
    """Return ln Z of the likelihood itself by importance sampling about the best fit x.

    Where one round of points falls short, the next is drawn from a normal distribution with the mean and covariance of
    those so far. All count, over the mean of the densities that they were drawn from: a round that misses a part of the
    posterior cannot hide what another has seen (Cornuet, Marin, Mira & Robert, Scand. J. Stat. 39, 798 (2012)).

    check : called now and then; an exception that it raises ends this.
    """
    top, shape = normal(likelihood, x)
    rng, plain = np.random.default_rng(seed), top + shape.ln_size
    shapes, points, values = [shape], np.empty((0, x.size)), np.empty(0)
    while True:
        fresh = _drawn(shapes[-1], rng)
        told = []
        for part in np.array_split(fresh, max(1, len(fresh) // AT_ONCE)):
            check()
            told.append(likelihood.many(part))
        points, values = np.concatenate([points, fresh]), np.concatenate([values, *told])
        densities = [_ln_density(one, points) for one in shapes]
        ratio = values - np.logaddexp.reduce(densities, axis=0) + math.log(len(shapes))
        error = _error(ratio)
        if error <= ENOUGH or len(shapes) == ROUNDS or not math.isfinite(error):
            break
        shapes.append(_learned(points, ratio, shapes[-1]))
    lnz = ln_mean(ratio) if math.isfinite(error) else plain
    remark = "" if error <= POOR else "its posterior is far from a normal distribution: use nested sampling"
    return Evidence(lnz, error, plain, values.size, remark)


def _drawn(shape: Boxed, rng: np.random.Generator) -> Array:
    """Return a round of points (n, k)."""
    wider = zip(WIDTHS, PARTS, strict=True)
    return np.concatenate(
        [shape.wider(width).points(rng.random((round(part * ROUND), shape.mean.size))) for width, part in wider]
    )


def _ln_density(shape: Boxed, points: Array) -> Array:
    """Return ln of the density (n,) of a round at points (n, k)."""
    wider = zip(WIDTHS, PARTS, strict=True)
    logs = [shape.wider(width).ln_density(points) + math.log(part) for width, part in wider]
    return np.asarray(np.logaddexp.reduce(logs, axis=0))


def _error(ratio: Array) -> float:
    """Return the standard error of ln of the mean of exp(ratio)."""
    if not np.isfinite(ratio).any():
        return math.inf
    weight = np.exp(ratio - ratio.max())
    return float(weight.std() / weight.mean() / math.sqrt(ratio.size))


def _learned(points: Array, ratio: Array, before: Boxed) -> Boxed:
    """Return a normal distribution with the mean and covariance of weighted points; the largest weights are cut."""
    cut = np.quantile(ratio[np.isfinite(ratio)], 0.95)
    weight = np.exp(np.minimum(ratio, cut) - cut)
    weight /= weight.sum()
    mean = weight @ points
    off = points - mean
    covariance = (off * weight[:, None]).T @ off
    effective = 1.0 / float((weight**2).sum())
    own = effective / (effective + mean.size)
    return Boxed.of(mean, own * covariance + (1.0 - own) * before.covariance + 1e-14 * np.eye(mean.size))
