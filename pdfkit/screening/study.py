"""The confusion study: how often would these data, measured anew, put the wrong candidate first?

Every finalist in turn is taken for true: its fitted curve with the noise of the data is a simulated measurement, to
which all finalists are fitted; where EXAFS told of first shells, it tells of those of the true one. The noise is that
of the data where the best candidate fits within their errors; otherwise (no errors, or a misfit above them) its size is
the misfit of the best candidate. Either way it is noise in F(Q) that has gone through the cut at Qmax, so that
neighbouring points are correlated as those of a measurement are.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit import transforms
from pdfkit._checks import Array, IntArray
from pdfkit._table import csv_text
from pdfkit._workers import Job
from pdfkit.data.covariance import Covariance
from pdfkit.fitting.discrepancy import Rival, missed
from pdfkit.particles.particle import Particle
from pdfkit.results.result import FitResult
from pdfkit.screening.beside import simulated, with_curves
from pdfkit.screening.certificate import drawn_sizes, noise_sizes
from pdfkit.screening.ranking import Ranking
from pdfkit.screening.rows import RankingRow, judged_rows
from pdfkit.screening.run import Clock, Journal, opened
from pdfkit.screening.settings import Work
from pdfkit.screening.shells import Known, drawn, ln_shell
from pdfkit.screening.simulated import Displaceable
from pdfkit.screening.table import confusion_table
from pdfkit.screening.tasks import Problem, Record, lost, run_chunk, weighable

# Candidates this close in ln Z are the same to rounding (mirror images): the true one is not beaten by them.
EQUAL = 1e-3


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often each finalist is taken for each other one.

    names, families : of the n finalists. first (n, n) : measurements in which j came first when i was true. within
    (n, n) : measurements in which j was among those that cannot be told from the best. repeats : simulated measurements
    of each. sigma : size of the noise in G (Å⁻²), far from r = 0. threshold : of Δ ln Z.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> first, within = np.array([[9, 1], [3, 7]]), np.array([[10, 4], [6, 9]])
    >>> study = pk.Confusion(("A", "B"), ("zincblende", "wurtzite"), first, within, repeats=10, sigma=0.05, threshold=3)
    >>> study.right, study.found, study.wrong("B")
    (0.8, 0.95, (('A', 0.3),))
    """

    names: tuple[str, ...]
    families: tuple[str, ...]
    first: IntArray
    within: IntArray
    repeats: int
    sigma: float
    threshold: float

    @property
    def right(self) -> float:
        """Fraction of all measurements in which the true one came first."""
        return float(np.trace(self.first) / self.first.sum())

    @property
    def found(self) -> float:
        """Fraction of all measurements in which the true one was among those that cannot be told from the best."""
        return float(np.trace(self.within) / (self.repeats * len(self.names)))

    def by_family(self) -> tuple[tuple[str, ...], Array]:
        """Return the families and the fraction (m, m) of measurements of each in which each came first."""
        families = tuple(dict.fromkeys(self.families))
        member = np.array([[family == one for one in self.families] for family in families], dtype=float)
        counts = member @ self.first @ member.T
        return families, np.asarray(counts / counts.sum(axis=1, keepdims=True))

    def wrong(self, name: str) -> tuple[tuple[str, float], ...]:
        """Return which came first instead of a finalist, in which fraction of its measurements, most often first."""
        i = self.names.index(name)
        shares = self.first[i] / self.repeats
        order = [j for j in np.argsort(-shares, kind="stable") if j != i and shares[j] > 0]
        return tuple((self.names[j], float(shares[j])) for j in order)

    def table(self) -> str:
        """Return the study as text: for each finalist how often it is right, found, and which comes first instead."""
        return confusion_table(self)

    def to_csv(self, path: str | PathLike[str]) -> Path:
        """Write both matrices, a line for each finalist taken for true. WriteError when it cannot be written."""
        from pdfkit.io._atomic import write_text

        out: dict[str, list[Any]] = {"true": list(self.names), "family": list(self.families)}
        for what, matrix in (("first", self.first), ("within", self.within)):
            out |= {f"{what}: {name}": column for name, column in zip(self.names, matrix.T.tolist(), strict=True)}
        return write_text(path, csv_text(out))

    def __str__(self) -> str:
        return self.table()


@dataclass(frozen=True, eq=False)
class Study:
    """What a worker needs to refit all finalists to a simulated measurement."""

    problem: Problem
    particles: tuple[Particle, ...]


def refit(study: Study, curves: Sequence[tuple[Sequence[Array], Mapping[str, Array], Known]]) -> list[Record]:
    """Return the fits of all finalists to each simulated measurement: every G(r), the patterns beside it, and EXAFS."""
    out: list[Record] = []
    for (G, *others), patterns, exafs in curves:
        own = study.problem
        more = {name: replace(one, G=other) for (name, one), other in zip(own.more.items(), others, strict=True)}
        data, beside = replace(own.data, G=G), with_curves(own.patterns, patterns)
        problem = replace(own, data=data, patterns=beside, more=more)
        out.append({"fits": [_brief(_told(one, exafs)) for one in run_chunk(problem, "fit", study.particles)]})
    return out


def _told(record: Record, exafs: Known) -> Record:
    """Return a record with how likely what EXAFS tells of this measurement makes it."""
    return record if "error" in record or not exafs else {**record, "shell": ln_shell(record["values"], exafs)}


def _brief(record: Record) -> Record | None:
    """Return what the evidence needs; None for a fit that failed."""
    wanted = (
        "rw",
        "reduced_chi2",
        "n_independent",
        "n_free",
        "occam",
        "errors_from",
        "parts",
        "moved",
        "orders",
        "shell",
    )
    return None if "error" in record else {name: record[name] for name in wanted if name in record}


def study_confusion(
    ranking: Ranking,
    names: Sequence[str],
    repeats: int,
    seed: int,
    work: Work,
    displacement: str | float = "none",
) -> Confusion:
    """Run the study of `pdfkit.confusion`."""
    results = [ranking.result(name) for name in names]
    study = Study(ranking.problem, tuple(ranking.particle(name) for name in names))
    noise, sigma = noise_source(ranking, displaced=displacement != "none")
    others = [noise_source(ranking, name, displaced=displacement != "none")[0] for name in ranking.more]
    truths = [_Truth.of(one, ranking, displacement) for one in results]
    shells = [ranking[name].values for name in names]
    n = len(names)

    def jobs(journal: Journal) -> Iterator[Job[Record]]:
        for repeat in range(repeats):
            for true, truth in enumerate(truths):
                key = f"{true}.{repeat}"
                known = journal.get("confusion", key)
                if known is not None and weighable(known, ranking.problem):
                    yield Job([key], results=[known])
                    continue
                rng = np.random.default_rng([seed, true, repeat])
                errors = [one(rng) for one in (noise, *others)]
                curves, patterns = truth.measured(repeat, rng)
                exafs = drawn(shells[true], ranking.settings.exafs, rng)
                measured = [G + error for G, error in zip(curves, errors, strict=True)]
                yield Job([key], (study,), ((measured, patterns, exafs),))

    first, within = np.zeros((n, n), dtype=np.int64), np.zeros((n, n), dtype=np.int64)
    clock = Clock("confusion", n * repeats, work.progress)
    words = [f"{seed}", *([] if displacement == "none" else [f"{displacement}"])]
    words += ["with its own EXAFS"] if ranking.settings.exafs else []  # which journals of before have not
    with opened(work, "confusion.jsonl", _digest(study, " ".join(words)), ranking.problem) as (journal, workers):
        for job, records in workers.run(refit, jobs(journal), lost):
            if job.results is None:
                journal.add("confusion", list(zip(job.items, records, strict=True)))
            clock.add(1, fresh=job.results is None)
            true = int(job.items[0].partition(".")[0])
            winner, close = judged(records[0], true, ranking)
            if winner is not None:
                first[true, winner] += 1
                within[true] += close
    families = tuple(ranking[name].family or name for name in names)
    return Confusion(tuple(names), families, first, within, repeats, sigma, ranking.threshold)


@dataclass(frozen=True, eq=False)
class _Truth:
    """A finalist that is taken for true: its fit, and where atoms are displaced what that does to its curves."""

    result: FitResult
    ranking: Ranking
    displacement: str | float
    displaceable: Displaceable | None

    @classmethod
    def of(cls, result: FitResult, ranking: Ranking, displacement: str | float) -> _Truth:
        r = [one.data.r for one in result.datasets]
        one = None if displacement == "none" else Displaceable.of(result, r)
        return cls(result, ranking, displacement, one)

    def measured(self, repeat: int, rng: np.random.Generator) -> tuple[list[Array], dict[str, Array]]:
        """Return each G(r) without noise, patterns measured anew. Displacements keep bonds in every other repeat."""
        if self.displaceable is None:
            curves = [one.calc.G for one in self.result.datasets]
            return curves, simulated(self.result, self.ranking.patterns, rng)
        size = float(drawn_sizes(self.ranking, self.displacement, 1, rng)[0])
        curves, beside = self.displaceable.drawn(size, repeat % 2, rng)
        found = self.displaceable.patterns
        return curves, simulated(
            self.result, self.ranking.patterns, rng, {name: found[name].band.spread @ I for name, I in beside.items()}
        )


def _row(fit: Record) -> RankingRow:
    """Return what a fit of a simulation says, as a row."""
    parts = {name: (c, n, bool(known)) for name, (c, n, known) in fit.get("parts", {}).items()}
    return RankingRow(
        "", "", beside=parts, **{name: value for name, value in fit.items() if name not in ("parts", "orders")}
    )


def judged(record: Record, true: int, ranking: Ranking) -> tuple[int | None, Array]:
    """Return who came first (the true one, where it is level) and who cannot be told from the best (0 or 1)."""
    fits = record.get("fits", [])
    lnz, known = np.full(len(fits), -math.inf), [k for k, fit in enumerate(fits) if fit is not None]
    rows = [_row(fits[k]) for k in known]
    if rows:
        lnz[known] = [row.lnz for row in judged_rows(rows, ranking.noise, ranking.problem.displacement)]
    if not np.isfinite(lnz).any():
        return None, np.zeros(len(fits), dtype=np.int64)
    winner = true if lnz[true] > lnz.max() - EQUAL else int(np.argmax(lnz))
    return winner, (lnz > lnz.max() - ranking.threshold).astype(np.int64)


def noise_source(
    ranking: Ranking, name: str = "", *, displaced: bool = False
) -> tuple[Callable[[np.random.Generator], Array], float]:
    """Return a function that draws noise like that of the data on their r, and its size (Å⁻²) far from r = 0.

    name : of one of several G(r), the first of which is "".

    displaced : whether displaced atoms cause a part of what the best candidate misses, which then is no noise.
    noise = Σ_k a_k ε_k sin(Q_k r) with a_k² = weight²·variance of the covariance; see `pdfkit.data.covariance`.
    """
    data, used = ranking.more[name] if name else ranking.data, ranking.settings.use_errors
    size = np.ones(len(data)) if data.dG is None or not used or data.cov is not None else data.dG
    base = data.cov if data.cov is not None and used else Covariance.white(data.instrument, float(data.r[-1]))
    best = ranking.best(1, kind="candidate")[0]
    if displaced and (rival := Rival.of(ranking.result(best.name))) is not None:
        size = size * float(noise_sizes(ranking, rival)[rival.parts[rival.names.index(name)]][0])
    elif best.beside:
        chi2, count, _ = best.beside[name]
        size = size * (math.sqrt(chi2 / count) if missed(name, ranking.noise) else 1.0)
    elif ranking.noise != "known":
        size = size * math.sqrt(best.reduced_chi2)
    root = _root(base)

    def draw(rng: np.random.Generator) -> Array:
        F = root(rng.standard_normal(base.Q.size))
        return np.asarray(size * transforms.phase_sum(base.Q, base.weight * F, data.r).imag)

    amplitude = math.sqrt(0.5 * float((base.weight**2 * base.variance).sum()))
    return draw, float(np.median(size)) * amplitude


def _root(cov: Covariance) -> Callable[[Array], Array]:
    """Return what turns independent numbers into errors of F with the covariance diag(variance) + modes·core·modesᵀ."""
    sigma = np.sqrt(cov.variance)
    if cov.modes.shape[1] == 0:
        return lambda numbers: sigma * numbers
    values, vectors = np.linalg.eigh(np.diag(cov.variance) + cov.modes @ cov.core @ cov.modes.T)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return lambda numbers: np.asarray(root @ numbers)


def _digest(study: Study, seed: str) -> str:
    out = hashlib.sha256(f"{study.problem.digest()} {seed}".encode())
    for particle in study.particles:
        out.update(" ".join(particle.symbols).encode() + particle.xyz.tobytes())
    return out.hexdigest()[:32]
