"""Residuals of a fit and their Jacobian as functions of the free values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import numpy as np

from pdfkit import _expressions
from pdfkit._checks import Array
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.fitting.parts import Dataset, Part, global_quantities, prepared_sets
from pdfkit.fitting.projection import PatternSet
from pdfkit.fitting.whitening import shares
from pdfkit.kernels.linear import triangular_factor
from pdfkit.model.evaluate import Evaluator
from pdfkit.model.mapping import ParameterMap
from pdfkit.model.params import Parameters
from pdfkit.results.problem import MAX_NFEV, FitProblem, PosedData

OFF_ZERO = {"qdamp": 0.03, "qbroad": 0.01, "resolution": 0.003}
"""Where a fit starts a free quantity of the instrument that is 0 (Å⁻¹; resolution is ΔQ/Q)."""


OFF_SYMMETRY = 0.01
"""Å: where a fit starts displacements along which the misfit of a symmetric cluster has no slope while they are 0."""


DESCRIBED = 0.15
"""Rw of start values from which on they are right: cell and scales."""
BEGUN = 0.03
"""Share of the data that is taken for noise before a fit tells, where restraints tell what data do not."""
LONGER = 2
"""Times the usual evaluations that a fit gets where restraints tell what data do not: hundreds of places of atoms."""
ROUNDS = 30
"""So often the size of the noise and the number of parameters that data tell are found from each other."""
REMEMBERED = 8
"""Curves of so many x are kept: of where a fit stands, and of where it came from."""

ALIKE = 3e-4
"""Share of G by which another reach of ripples may change it, and leave derivatives as good as they were."""

Curves = list[tuple[Array, Array]]
Visited = tuple[Array, Curves]


class Residuals:
    """Residuals of a problem, their Jacobian and what is needed to judge them, as functions of the free values.

    weighs : whether spectra of noise weigh points, whatever residuals show; None where they are to decide.
    """

    def __init__(self, problem: FitProblem, mapping: ParameterMap) -> None:
        self.mapping = mapping
        self.restraints = problem.known_restraints
        # Whether restraints tell what data do not: then more may be free than there are data.
        self.complete = any(getattr(one, "complete", False) for one in self.restraints)
        self.sets, errors = prepared_sets(problem, 0 if self.complete else len(mapping.free))
        settings = replace(problem.settings, errors=errors)
        if self.complete and settings.max_nfev == MAX_NFEV:
            settings = replace(settings, max_nfev=LONGER * MAX_NFEV)
        self.problem = replace(problem, settings=settings)
        self.model = self.sets[0].model
        self.patterns = [PatternSet.of(one) for one in problem.patterns]
        self.weights = [problem.settings.weights.get(s.name, 1.0) for s in self.parts]
        known = problem.restraint_scale
        self.restraint_scale = math.sqrt(self.count / self.independent) if known is None else known
        # A tie beyond its limit costs more than any misfit: a millionth of the span is about as far as it gets.
        self._known: list[Visited] = []
        self._past: list[Visited] = []
        self.weighs: bool | None = None
        self.wall = self._wall()
        self.told = 0.5 * min(self.independent, float(len(mapping.free))) if self.complete else None
        if self.complete and known is None and not self.has_errors:
            self.restraint_scale = BEGUN * math.sqrt(self.norm2() / self.independent)
        position = {name: i for i, name in enumerate(mapping.names)}
        self.rows = []
        for s in self.parts:
            names = [s.global_name(name) for name in s.model.names]
            missing = [name for name in names if name not in position]
            if missing:
                raise ParameterError(f"params lacks {missing[0]}: make them with pdfkit.parameters(model)")
            self.rows.append(np.array([position[name] for name in names]))

    @property
    def parts(self) -> list[Part]:
        """The data sets, and then the patterns beside them."""
        return [*self.sets, *self.patterns]

    def _wall(self) -> float:
        return 1e3 * math.sqrt(self.norm2()) if self.mapping.limits else 0.0

    @property
    def count(self) -> int:
        """Number of residuals of all data sets."""
        return sum(s.count for s in self.parts)

    @property
    def weighted(self) -> bool:
        """Whether data sets have more say in the minimum than their errors give them."""
        return any(weight != 1.0 for weight in self.weights)

    @property
    def apart(self) -> bool:
        """Whether each data set has noise of a size of its own: beside patterns, and where that is asked for."""
        return self.problem.apart

    def norm2(self) -> float:
        """Return Σ(G_obs/dG)² of all data sets with their weights: what is minimised of a model that is 0."""
        return sum(weight * s.norm2() for s, weight in zip(self.parts, self.weights, strict=True))

    def _rows(self, curves: Curves) -> list[Array]:
        """Return the rows of each data set, times the root of its weight."""
        rows = [s.rows(G, dG) for s, (G, dG) in zip(self.parts, curves, strict=True)]
        if not self.weighted:
            return rows
        return [math.sqrt(weight) * one for one, weight in zip(rows, self.weights, strict=True)]

    @property
    def has_errors(self) -> bool:
        """Whether the size of the errors is known without a fit, in all data sets; that of each by itself is found."""
        return self.apart or all(s.has_errors for s in self.sets)

    @property
    def source(self) -> str:
        """Where the size of the errors comes from: "cov", "dG", "spectrum" or "misfit"."""
        sources = {s.source for s in self.sets}
        return next((one for one in ("misfit", "spectrum", "dG") if one in sources), "cov")

    @property
    def independent(self) -> float:
        """Independent points of all data sets."""
        return sum(s.independent for s in self.parts)

    @property
    def freedom(self) -> float:
        """Independent points less free parameters, or less as many as the data tell (1 at least)."""
        told = len(self.mapping.free) if self.told is None else self.told
        return max(1.0, self.independent - told)

    def settle(self, x: Array) -> None:
        """Find what one σ of a restraint is worth where a fit ended, without errors of the data: the size of noise.

        Of parameters, those count that data tell, tr[JᵀJ(JᵀJ + K)⁻¹] with K = s²·∂ρ∂ρᵀ of restraints ρ: the noise s²
        is χ² over the independent points less these. Source: MacKay, Neural Comput. 4, 415 (1992).
        """
        curves = self.last_curves(x)
        misfit = self.misfit(curves)
        if not self.complete:
            self.restraint_scale = math.sqrt(misfit / self.freedom)
            return
        of_data = np.concatenate(self._rows(curves), axis=1)[:-1]
        values, tangents = self.mapping(x)
        others = self.restraint_rows(values, tangents)[:-1]
        share = shares(of_data @ of_data.T, others @ others.T)
        told = 0.5 * min(self.independent, float(x.size))
        for _ in range(ROUNDS):
            size = misfit / max(1.0, self.independent - told)
            told = float((share / (share + size)).sum())
        self.told, self.restraint_scale = told, math.sqrt(misfit / max(1.0, self.independent - told))

    def check(self) -> None:
        """Refuse a problem that has nothing to vary or too few data."""
        if not self.mapping.free:
            raise ParameterError('nothing is free: give free=["scale", "a", ...]')
        used = {int(i) for rows in self.rows for i in rows}
        named = {name for _, expression in self.mapping.ties for name in _expressions.names(expression)}
        idle = [
            self.mapping.names[i] for i in self.mapping.free if i not in used and self.mapping.names[i] not in named
        ]
        if idle and not self.restraints:
            raise ParameterError(
                f"{idle[0]} is free, but neither the model nor a tie uses it: fix it, or make params with "
                "parameters(model)"
            )
        points = self.count
        if points <= len(self.mapping.free) and not self.complete:
            raise ParameterError(
                f"{len(self.mapping.free)} parameters are free but there are only {points} points: fix some, or widen "
                "the range; atoms of a cluster that move need a GeometryRestraint"
            )

    def held(self, x: Array) -> tuple[list[tuple[str, float, float, float]], list[tuple[Array, Array]]]:
        """Return name, value and limits of what could vary but is fixed, and (G, dG by it) of every data set.

        Where one is 0 that G depends on by its square, the derivative is that beside it.
        """
        mapping = self.mapping
        away = {*mapping.free, *(index for index, _ in mapping.ties)}
        models = {s.name: s.model for s in self.sets}
        limits = {q.name: q for q in global_quantities(models, self.problem.patterns) if q.refinable}
        fixed = [i for i, name in enumerate(mapping.names) if i not in away and name in limits]
        values, tangents = mapping(x)[0].copy(), np.zeros((len(mapping.names), len(fixed)))
        tangents[fixed, np.arange(len(fixed))] = 1.0
        known = [(limits[mapping.names[i]], float(values[i])) for i in fixed]
        for i in fixed:
            off = OFF_ZERO.get(mapping.names[i].rpartition(".")[2])
            values[i] = 0.1 * off if off and values[i] == 0.0 else values[i]
        return [(q.name, value, q.low, q.high) for q, value in known], self._curves(values, tangents)

    def curves(self, x: Array, columns: Sequence[int] | None = None) -> Curves:
        """Return (G, dG/dx) of every data set; of the derivatives, only those for `columns` of x."""
        values, tangents = self.mapping(x)
        return self._curves(values, tangents if columns is None else tangents[:, list(columns)])

    def _curves(self, values: Array, tangents: Array) -> Curves:
        return [s.evaluate(values[rows], tangents[rows]) for s, rows in zip(self.parts, self.rows, strict=True)]

    def system(self, x: Array) -> Array:
        """Return the rows of the linearised problem, (nfree + 1, n): ∂f/∂x, then f = (G_calc − G_obs)/dG.

        Restraints, and how far ties lead beyond their limits, are the last columns.
        """
        return self._system(x, self.last_curves(x))

    def _system(self, x: Array, curves: Curves) -> Array:
        rows = self._rows(curves)
        if not (self.restraints or self.mapping.limits):
            return rows[0] if len(rows) == 1 else np.concatenate(rows, axis=1)
        values, tangents, beyond = self.mapping.at(x)
        rows += [self.restraint_rows(values, tangents) * self.restraint_scale] if self.restraints else []
        if beyond:
            rows.append(self.mapping.excess(beyond) * self.wall)
        return rows[0] if len(rows) == 1 else np.concatenate(rows, axis=1)

    def last_curves(self, x: Array) -> Curves:
        """Return `curves(x)`, remembered for the last few x."""
        here = x.tobytes()  # compared in a tenth of the time that arrays take
        for known, curves in self._known:
            if known.tobytes() == here:
                return curves
        curves = self.curves(x)
        self._known = [(x.copy(), curves), *self._known][:REMEMBERED]
        return curves

    def forget(self) -> None:
        """Compute curves and derivatives anew from here on."""
        self._known = []

    def slide(self, x: Array, to: Array) -> Array:
        """Have curves at `to` be what those at x and their derivatives say, in place of those; return rows of it."""
        there = [(G + (to - x) @ dG, dG) for G, dG in self.last_curves(x)]
        self._known = [(to.copy(), there), *(one for one in self._known if not np.array_equal(one[0], x))]
        return self.system(to)

    def remembered(self) -> list[list[tuple[Array, Array]]]:
        """Return x and the rows of `system` there, by the weights of now, of the last few x; evaluators apart."""
        return [[(x, self._system(x, curves)) for x, curves in some] for some in (self._known, self._past)]

    def restraint_rows(self, values: Array, tangents: Array) -> Array:
        """Return the rows of the restraints, (nfree + 1, number), in units of their σ."""
        found = [one.residual(self.model, self.mapping.names, values, tangents) for one in self.restraints]
        rows = [np.column_stack([np.atleast_2d(slope), np.atleast_1d(value)]) for value, slope in found]
        return np.concatenate(rows).T

    def with_sets(self, sets: list[Dataset], patterns: list[PatternSet] | None = None) -> Residuals:
        """Return the same with other weights."""
        out = copy(self)
        out.sets, out.patterns = sets, self.patterns if patterns is None else patterns
        posed = tuple(s.posed for s in sets)
        out.problem = replace(self.problem, datasets=posed, patterns=tuple(s.posed for s in out.patterns))
        return out

    def of_data(self, posed: Sequence[PosedData], start: Array, known: Sequence[Visited] = ()) -> Residuals:
        """Return the residuals of other data on the same r, of the same models; start (n,): of all parameters.

        known : curves of these models, which are the same whatever the data.
        """
        use_errors, errors = self.problem.use_errors, self.problem.settings.errors
        parts = zip(posed, self.sets, strict=True)
        out = self.with_sets([Dataset.of(one, use_errors, errors, s.evaluate) for one, s in parts])
        out.mapping, out._known, out._past = replace(self.mapping, start=start), list(known), []
        out.wall = out._wall()
        return out

    def near(self, x: Array, *, exactly: bool = True) -> Residuals:
        """Return the same, prepared for values near x: itself, where it is.

        Models follow ripples as far as U, cell and damping ask for; those that a fit began with may be far off.
        exactly : see `Evaluator.near`.
        """
        made = self._near(x, exactly)
        if all(one is s.evaluate for one, s in zip(made, self.sets, strict=True)):
            return self
        out = copy(self)
        out._prepare(made)
        out._adopt(x, [curves for known, curves in self._known if np.array_equal(known, x)])
        return out

    def _adopt(self, x: Array, before: Sequence[Curves]) -> None:
        """Keep derivatives that evaluators before gave at x, where new ones leave curves next to what they were."""
        if not before:
            return
        values, count = self.mapping(x)[0], len(self.sets)
        made = [s.evaluate(values[rows])[0] for s, rows in zip(self.sets, self.rows, strict=False)]
        both = zip(made, before[0], strict=False)
        if all(np.abs(G - old).max() <= ALIKE * np.abs(old).max() for G, (old, _) in both):
            curves = [(G, dG) for G, (_, dG) in zip(made, before[0], strict=False)]
            self._known = [(x.copy(), [*curves, *before[0][count:]])]

    def _near(self, x: Array, exactly: bool) -> list[Evaluator]:
        values = self.mapping(x)[0]
        return [s.evaluate.near(values[rows], exactly=exactly) for s, rows in zip(self.sets, self.rows, strict=False)]

    def _prepare(self, made: list[Evaluator]) -> None:
        """Compute models by these evaluators from here on; what others gave is only what was near."""
        if all(one is s.evaluate for one, s in zip(made, self.sets, strict=True)):
            return
        self.sets = [s.evaluated_by(one) for one, s in zip(made, self.sets, strict=True)]
        self._known, self._past = [], self._known or self._past

    def at(self, x: Array) -> Array:
        """Return the residuals (n,) alone, restraints and ties beyond their limits included, at free values x."""
        return np.asarray(self.at_many(x[None])[0])

    def at_many(self, x: Array) -> Array:
        """Return the same at free values x (m, nfree): (m, n)."""
        mapped = [self.mapping.at(one) for one in x]
        values = np.array([one for one, _, _ in mapped])
        weighed = zip(self.parts, self.rows, self.weights, strict=True)
        parts = [math.sqrt(weight) * s.residuals(values[:, rows]) for s, rows, weight in weighed]
        for one in self.restraints:
            found = [one.residual(self.model, self.mapping.names, *here[:2])[0] for here in mapped]
            parts.append(np.array([np.atleast_1d(value) for value in found]) * self.restraint_scale)
        if any(beyond for *_, beyond in mapped):
            parts.append(np.array([self.mapping.excess(beyond)[-1] for *_, beyond in mapped]) * self.wall)
        return np.concatenate(parts, axis=1)

    def restrained(self, x: Array) -> float:
        """Return the sum of squares of the restraints, in the units of the misfit."""
        values, tangents = self.mapping(x)
        found = [one.residual(self.model, self.mapping.names, values, tangents)[0] for one in self.restraints]
        return float(sum(np.square(value).sum() for value in found)) * self.restraint_scale**2

    @staticmethod
    def factor(rows: Array) -> Array:
        """Return the triangular factor (nfree + 1, nfree + 1) of the rows of `system`."""
        if not np.isfinite(rows).all():
            raise PdfkitError("the fit ran into numbers that are not finite: check start values and bounds")
        out = np.zeros((rows.shape[0], rows.shape[0]))
        triangular_factor(rows, out)
        return out

    def misfit(self, curves: Curves) -> float:
        """Return the sum of squares without restraints, weighed with errors as the data say."""
        return float(sum(self.misfits(curves)))

    def misfits(self, curves: Curves) -> list[float]:
        """Return that of each data set; beside patterns, in units of its noise where the data do not say errors."""
        parts = zip(map(self.stated, self.parts), curves, strict=True)
        return [float((s.rows(G, np.zeros((0, G.size)))[-1] ** 2).sum()) for s, (G, _) in parts]

    def stated(self, s: Part) -> Part:
        """Return a data set with errors as the data say."""
        known = s.given is not None and (s.given.has_errors or not self.apart)
        return s.given or s if known else s.resized(1.0) if isinstance(s, PatternSet) else s

    def guess_scales(self, params: Parameters) -> None:
        """Start free scales, which enter linearly, at their least-squares values (not below a tenth of the largest).

        Start values that describe the data already stay as they are.
        """
        free = self.mapping.free_names
        columns = [k for k, name in enumerate(free) if name.endswith(".scale")]
        used_in_ties = any(name in expression for name in free for _, expression in self.mapping.ties)
        if not columns or used_in_ties:
            return
        x = np.clip(self.mapping.x0, self.mapping.low, self.mapping.high)
        rows = np.concatenate(self._rows([(G, dG[columns]) for G, dG in self.last_curves(x)]), axis=1)
        basis, f = rows[:-1].T, rows[-1]
        if not np.isfinite(basis).all() or not basis.any() or f @ f < DESCRIBED**2 * self.norm2():
            return
        solution = nonnegative(basis, basis @ x[columns] - f)
        solution = np.maximum(solution, 0.1 * solution.max(initial=0.0))
        for k, value in zip(columns, solution, strict=True):
            i = self.mapping.free[k]
            low, high = self.mapping.low[k], self.mapping.high[k]
            params[free[k]].value = self.mapping.start[i] = float(np.clip(value or 1.0, low, high))
        self._rescale(x, np.clip(self.mapping.x0, self.mapping.low, self.mapping.high))

    def _rescale(self, x: Array, to: Array) -> None:
        """Have curves at `to`, which is x but for scales, follow from those at x, where each phase goes with its."""
        names = self.mapping.free_names
        if len(self.parts) > 1 or self.mapping.ties or not self.sets[0].evaluate.apart:
            return
        scales = {name.partition(".")[0]: k for k, name in enumerate(names) if name.endswith(".scale")}
        if any("." not in name or name.endswith(".occ") for name in names) or not x[list(scales.values())].all():
            return
        owner = [scales.get(name.partition(".")[0]) for name in names]
        ratio = np.array([1.0 if k is None or k == j else to[k] / x[k] for j, k in enumerate(owner)])
        (G, dG), *_ = self.last_curves(x)
        self._known = [(to.copy(), [(G + (to - x) @ dG, dG * ratio[:, None])]), *self._known][:REMEMBERED]

    def leave_zero(self, params: Parameters) -> None:
        """Start a free qdamp, qbroad or resolution off 0: G depends on their squares, so at 0 nothing would move it.

        The starts are those of a usual powder instrument, or half the upper bound where that is lower. Displacements of
        a cluster that break its symmetry likewise: they start a little to one side or the other.
        """
        breaking = {f"{phase.name}.{name}" for phase in self.model.phases for name in phase.breaking}
        sides = np.random.default_rng(0).choice([-OFF_SYMMETRY, OFF_SYMMETRY], len(self.mapping.free_names))
        for k, name in enumerate(self.mapping.free_names):
            start = OFF_ZERO.get(name.rpartition(".")[2])
            i = self.mapping.free[k]
            if start is not None and self.mapping.start[i] == 0.0:
                params[name].value = self.mapping.start[i] = min(start, 0.5 * float(self.mapping.high[k]))
            elif name in breaking and self.mapping.start[i] == 0.0:
                beside = float(np.clip(sides[k], self.mapping.low[k], self.mapping.high[k]))
                params[name].value = self.mapping.start[i] = beside


def nonnegative(basis: Array, wanted: Array) -> Array:
    """Return the x ≥ 0 (k,) of least |basis·x − wanted|: mostly what has no limit, which takes no import of 0.2 s.

    Source: Lawson & Hanson, Solving Least Squares Problems (1974), where some x are held at 0.
    """
    x, _, rank, _ = np.linalg.lstsq(basis, wanted, rcond=None)
    if rank == x.size and (x >= 0.0).all():
        return np.asarray(x)
    from scipy.optimize import nnls

    return np.asarray(nnls(basis, wanted)[0])
