"""What a fit's errors rest on, looked at again: bands on G_calc, profiles, resampled misfits, posterior samples.

| function | assumes | costs |
|---|---|---|
| `band` | the model is linear within one standard error | one evaluation |
| `profile` | errors are normal; the model may be curved | a fit per point |
| `bootstrap` | noise of the spectrum found, or with `width` of any size in each region of Q | a fit per replica |
| `sample` | errors are normal; any shape of the posterior | thousands of evaluations; needs emcee |
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from pdfkit import _checks, transforms
from pdfkit._checks import Array
from pdfkit._expressions import whole_name
from pdfkit.data.covariance import Covariance
from pdfkit.data.spectrum import NoiseSpectrum
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.fitting.least_squares import refit
from pdfkit.fitting.residuals import Residuals
from pdfkit.fitting.spectrum import relative_size
from pdfkit.model.mapping import ParameterMap
from pdfkit.model.restraints import Restrained, Restraint
from pdfkit.results.result import DatasetFit, FitResult

__all__ = ["Covariance", "NoiseSpectrum", "Profile", "Replicas", "band", "bootstrap", "profile", "sample"]


def __dir__() -> list[str]:
    return __all__


Progress = Callable[[int, int], None]

# Standard errors that walkers begin beside the fit.
BESIDE = 0.1
TOO_SHORT = "The chain is too short to tell how its steps are correlated. Run a longer chain!"


def _known(result: FitResult, name: str) -> int:
    try:
        return result.free.index(whole_name(result.free, name))
    except ParameterError as error:
        if name in result.held:
            raise ParameterError(f"{name} has no error: {result.held[name]}", key=name) from None
        raise ParameterError(f"{name} was not free in this fit: {error}", key=name) from None


def band(result: FitResult) -> dict[str, Array]:
    """Return the standard error of G_calc (n,) on the data's r, by data set: the root of diag(J C Jᵀ).

    Parameters without an error (on a bound) count as fixed. Source: linear error propagation.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> pdf = model(np.arange(1, 10, 0.02))
    >>> data = pk.PDF(pdf.r, pdf.G, np.full(pdf.r.size, 0.2), instrument=model.instrument)  # simulated, with errors
    >>> result = pk.fit(model, data, free=["scale"])
    >>> scale = result.params["ni.scale"]
    >>> (width,) = pk.uncertainty.band(result).values()
    >>> np.allclose(width, abs(result.calc.G) * scale.stderr / scale.value)
    True
    """
    mapping = ParameterMap.of(result.params)
    _, tangents = mapping(mapping.x0)
    covariance = np.where(np.isfinite(result.covariance), result.covariance, 0.0)
    out = {}
    for one in result.datasets:
        names = [f"{one.name}.{n}" if f"{one.name}.{n}" in mapping.names else n for n in one.model.names]
        rows = [mapping.names.index(n) for n in names]
        _, slopes = one.model.evaluator(one.data.r, one.begin)(one.model.values, tangents[rows])
        out[one.name] = np.sqrt(np.maximum(np.einsum("ir,ij,jr->r", slopes, covariance, slopes), 0.0))
    return out


@dataclass(frozen=True)
class Profile:
    """χ² of a fit along one parameter, all others refined.

    name; values (n,) of the parameter; rise (n,): χ² above its minimum, restraints included, in units of the errors; rw
    (n,). interval(k): where the rise reaches k².

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> values = np.array([3.4, 3.45, 3.5, 3.55, 3.6])
    >>> along = pk.uncertainty.Profile("ni.a", 3.5, values, ((values - 3.5) / 0.05) ** 2, np.full(5, 0.1))
    >>> print("{:.2f} to {:.2f} Å".format(*along.interval()))
    3.45 to 3.55 Å
    """

    name: str
    best: float
    values: Array
    rise: Array
    rw: Array

    def interval(self, sigmas: float = 1.0) -> tuple[float, float]:
        """Return where the rise reaches sigmas², on either side of the best value; NaN beyond the range computed."""
        out = []
        for side in (-1, 1):
            part = (self.values - self.best) * side >= 0
            distance = np.sqrt(np.maximum(np.append(self.rise[part], 0.0), 0.0))
            value = np.append(self.values[part], self.best)
            order = np.argsort(distance)
            inside = sigmas <= distance[order][-1]
            out.append(float(np.interp(sigmas, distance[order], value[order])) if inside else math.nan)
        return out[0], out[1]


def profile(
    result: FitResult, name: str, *, sigmas: float = 2.5, points: int = 11, progress: Progress | None = None
) -> Profile:
    """Return the profile likelihood of one free parameter: χ²(p) minimised over all others.

    Ties, weights and restraints are those of the fit. points : values from −sigmas to +sigmas standard errors (within
    the parameter's bounds). Each fit starts at the one before. Raises ParameterError for a name that was not
    free, or that has no error.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> pdf = model(np.arange(1, 10, 0.02))
    >>> data = pk.PDF(pdf.r, pdf.G, np.full(pdf.r.size, 0.2), instrument=model.instrument)  # simulated, with errors
    >>> result = pk.fit(model, data, free=["scale", "a"])
    >>> low, high = pk.uncertainty.profile(result, "ni.a", points=5).interval()
    >>> print(f"± {(high - low) / 2 / result.params['ni.a'].stderr:.2f} standard errors")
    ± 1.00 standard errors
    """
    index = _known(result, name)
    name = result.free[index]
    points = int(_checks.number("points", points, low=3, high=1001))
    sigma = math.sqrt(result.covariance[index, index])
    if not math.isfinite(sigma):
        raise ParameterError(
            f"{name} has no standard error, which sets the steps (it is on a bound, or undetermined): widen its bounds"
        )
    best = float(result.values[index])
    par = result.params[name]
    wanted = np.clip(best + sigma * np.linspace(-sigmas, sigmas, points), par.min, par.max)
    unit = float(_units(result)[index])
    # The fitted model follows ripples a little further or less far than the one that was fitted: 1e-4 of G, 0.1 of χ².
    least = refit(result, result.params)
    rise, rw = np.empty(points), np.empty(points)
    done = 0
    for side in (np.flatnonzero(wanted <= best)[::-1], np.flatnonzero(wanted > best)):
        params = result.params.copy()
        for k in side:
            params[name].set(value=float(wanted[k]), vary=False)
            found = refit(result, params)
            params = found.params.copy()
            rise[k], rw[k] = (found.minimum - least.minimum) / unit, found.rw
            done += 1
            if progress is not None:
                progress(done, points)
    return Profile(name, best, wanted, rise, rw)


@dataclass(frozen=True)
class Replicas:
    """Values (repeats, n) of the free parameters, resampled or sampled, and what follows from them.

    remark : what to know of them (a chain too short for its correlations), or empty.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> draws = pk.uncertainty.Replicas(("ni.a",), np.array([3.5]), np.array([[3.49], [3.5], [3.51]]))
    >>> round(draws.stderr["ni.a"], 6)
    0.01
    """

    free: tuple[str, ...]
    best: Array
    values: Array
    remark: str = ""

    @property
    def covariance(self) -> Array:
        """Covariance of the replicas (n, n)."""
        return np.atleast_2d(np.cov(self.values.T))

    @property
    def stderr(self) -> dict[str, float]:
        """Standard error of each free parameter."""
        return dict(zip(self.free, self.values.std(axis=0, ddof=1).tolist(), strict=True))

    def interval(self, name: str, level: float = 0.68) -> tuple[float, float]:
        """Return the central interval that holds `level` of the replicas."""
        column = self.values[:, self.free.index(name)]
        low, high = np.quantile(column, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


def bootstrap(
    result: FitResult,
    *,
    repeats: int = 200,
    width: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Replicas:
    """Return fits to G_calc plus noise: drawn from the spectrum that the fit found, or the misfit with random signs.

    With `width`, or where the fit estimated no spectrum, the misfit is split into its shares from bands of Q of `width`
    (Å⁻¹, default two Nyquist widths 2π/(rmax − rmin)), each of which keeps its size and its shape in r and gets a sign
    of its own (wild bootstrap). What the model misses counts as if it were noise of that size there. The misfit is
    first enlarged by √[N/(N − n)], for what n parameters have taken from N independent points. Ties and weights are
    those of the fit; so are its restraints, whose targets are drawn anew within their σ, being data too.
    Source: Liu, Ann. Stat. 16, 1696 (1988); blocks as in Künsch, Ann. Stat. 17, 1217 (1989).

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> r, Q = np.arange(1, 10, 0.02), np.arange(0.1, 25, 0.1)
    >>> noise = 0.01 * np.random.default_rng(1).standard_normal(Q.size) @ np.sin(np.outer(Q, r))
    >>> result = pk.fit(model, pk.PDF(r, model(r).G + noise, instrument=model.instrument), free=["scale", "a"])
    >>> replicas = pk.uncertainty.bootstrap(result, repeats=20, seed=1)
    >>> replicas.values.shape, 0.5 < replicas.stderr["ni.a"] / result.params["ni.a"].stderr < 2
    ((20, 2), True)
    """
    repeats = int(_checks.number("repeats", repeats, low=2, high=1e6))
    if result.patterns:
        raise PdfkitError("this fit has patterns beside G(r), which are not resampled: take its errors as they are")
    rng = np.random.default_rng(seed)
    grow = math.sqrt(result.n_independent / max(1.0, result.n_independent - len(result.free)))
    noises = [_drawer(one, width, grow) for one in result.datasets]
    values = np.empty((repeats, len(result.free)))
    for k in range(repeats):
        data = {}
        for one, draw in zip(result.datasets, noises, strict=True):
            data[one.name] = replace(one.data, G=one.calc.G + draw(rng))
        restraints = [_drawn(one, rng) for one in result.problem.known_restraints]
        values[k] = refit(result, result.params, data, restraints).values
        if progress is not None:
            progress(k + 1, repeats)
    return Replicas(result.free, result.values, values)


def _drawer(one: DatasetFit, width: float | None, grow: float) -> Callable[[np.random.Generator], Array]:
    """Return what draws noise of a data set (n,): from its spectrum, or as the misfit with other signs."""
    if one.noise is None or width is not None:
        share = grow * _shares(one, width)
        return lambda rng: np.asarray(rng.choice((-1.0, 1.0), share.shape[0]) @ share)
    cov = one.noise.covariance(one.model.instrument, float(one.data.r[-1]))
    sigma, size = cov.weight * np.sqrt(cov.variance), relative_size(one.data, one.noise.shaped)
    return lambda rng: size * transforms.phase_sum(cov.Q, sigma * rng.standard_normal(sigma.size), one.data.r).imag


def _drawn(restraint: Restraint, rng: np.random.Generator) -> Restraint:
    """Return a restraint with targets drawn from its own σ; one that cannot tell them is kept as it is."""
    return restraint.drawn(rng) if isinstance(restraint, Restrained) else restraint


def _shares(one: DatasetFit, width: float | None) -> Array:
    """Return the misfit's shares from bands of Q (nblocks, n), which add up to it."""
    qmax = one.model.instrument.qmax
    if qmax is None or not math.isfinite(qmax):
        raise PdfkitError("a bootstrap over Q needs to know Qmax: give qmax= in Å⁻¹")
    r, misfit = one.data.r, one.difference
    span = float(r[-1] - r[0])
    width = 2.0 * math.pi / span * 2.0 if width is None else _checks.number("width", width, low=0.0, open_low=True)
    blocks = max(2, round(qmax / width))
    edges = np.linspace(0.0, qmax, blocks + 1)
    Q = np.linspace(0.0, qmax, max(64, 4 * math.ceil(qmax * r[-1] / math.pi)) + 1)
    F = transforms.inverse_sine_transform(r, misfit, Q)
    out = []
    for low, high in pairwise(edges.tolist()):
        nodes = np.linspace(low, high, max(16, 4 * math.ceil((high - low) * r[-1] / math.pi)) + 1)
        out.append(transforms.sine_transform(nodes, np.interp(nodes, Q, F), r))
    shares = np.array(out)
    # What lies beyond Qmax (file rounding, ends of the range) goes to no band: share it evenly, so that all add up.
    return np.asarray(shares + (misfit - shares.sum(axis=0)) / blocks)


def sample(
    result: FitResult, *, steps: int = 1000, burn: int = 200, walkers: int | None = None, seed: int = 0
) -> Replicas:
    """Return posterior samples of the free parameters: emcee, which asks for many curves at once.

    The likelihood is exp(−χ²/2) with the residuals of the fit; where the size of errors is unknown they are scaled by
    the misfit. Bounds are flat priors, restraints normal ones. `steps` of each walker are taken, the first `burn` left
    out; neighbours in a chain are correlated, and `remark` says when it is short for that. walkers : two or more for
    each parameter; None for 32, or four for each. Raises PdfkitError for fewer, and without the package emcee.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> pdf = model(np.arange(2, 4, 0.04))
    >>> data = pk.PDF(pdf.r, pdf.G, np.full(pdf.r.size, 0.2), instrument=model.instrument)  # simulated, with errors
    >>> result = pk.fit(model, data, free=["a"])
    >>> draws = pk.uncertainty.sample(result, steps=150, burn=50, walkers=4, seed=1)
    >>> draws.remark.startswith("The chain is shorter than 50 times the integrated autocorrelation time")
    True
    >>> draws.values.shape, 0.5 < draws.stderr["ni.a"] / result.params["ni.a"].stderr < 2
    ((400, 1), True)
    """
    if importlib.util.find_spec("emcee") is None:
        raise PdfkitError("sampling needs the package emcee: install it, or use profile() or bootstrap()")
    n = len(result.free)
    if not n:
        raise PdfkitError("nothing was free in this fit: there is nothing to sample")
    steps, burn = (_checks.whole(name, one, low=0, high=10**8) for name, one in (("steps", steps), ("burn", burn)))
    if burn >= steps:
        raise PdfkitError(f"steps = {steps} and burn = {burn}: take more steps than are left out at the beginning")
    count = max(32, 4 * n) if walkers is None else _checks.whole("walkers", walkers, low=2 * n, high=10**6)
    import emcee

    rng = np.random.RandomState(_checks.whole("seed", seed, low=0, high=2**32 - 1))
    sampler = emcee.EnsembleSampler(count, n, _ln_posterior(result), vectorize=True)
    sampler.run_mcmc(emcee.State(_first(result, count, rng), random_state=rng.get_state()), steps)
    try:
        # Of a few steps it is told as less than one, or as NaN, which are shorter than nothing.
        remark = "" if (sampler.get_autocorr_time() >= 1.0).all() else TOO_SHORT
    except emcee.autocorr.AutocorrError as error:
        remark = " ".join(str(error).split())
    return Replicas(result.free, result.values, sampler.get_chain(discard=burn, flat=True), remark)


def _ln_posterior(result: FitResult) -> Callable[[Array], Array]:
    """Return ln of the posterior (n,) at free values (n, k), up to a constant; −∞ where there is no model."""
    problem = Residuals(result.problem, ParameterMap.of(result.params))
    unit, mapping = float(np.nanmean(_units(result))), problem.mapping

    def many(x: Array) -> Array:
        out = np.full(len(x), -math.inf)
        inside = np.flatnonzero(((x >= mapping.low) & (x <= mapping.high)).all(axis=1))
        if inside.size:
            try:
                out[inside] = -0.5 / unit * (problem.at_many(x[inside]) ** 2).sum(axis=1)
            except PdfkitError:
                if len(x) > 1:
                    out[inside] = [many(one[None])[0] for one in x[inside]]
        return np.where(np.isnan(out), -math.inf, out)

    return many


def _first(result: FitResult, count: int, rng: np.random.RandomState) -> Array:
    """Return where walkers begin (count, k): next to the fit, each somewhere else, within bounds."""
    mapping, x = ParameterMap.of(result.params), result.values
    size = np.sqrt(np.diag(result.covariance))
    size = np.where(np.isfinite(size) & (size > 0.0), BESIDE * size, 1e-4 * np.maximum(np.abs(x), 1e-2))
    away = size * rng.standard_normal((count, x.size))
    there = x + away
    return np.clip(np.where((there < mapping.low) | (there > mapping.high), x - away, there), mapping.low, mapping.high)


def _units(result: FitResult) -> Array:
    """Return (n,) what χ² as it is minimised is to be divided by, for a rise of 1 to be one standard error of each.

    It is the size of the misfit where that of the noise is not known, and what an uncertain spectrum adds.
    """
    from pdfkit.fitting.assembly import normal_covariance

    plain = normal_covariance(Residuals(result.problem, ParameterMap.of(result.params)), result.values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.diag(result.covariance) / np.diag(plain))
