"""What is ranked beside the candidates: a null model, and mixtures of two of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from pdfkit import build
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.particles.particle import Particle
from pdfkit.screening.candidates import Candidate, Entry, entry_of
from pdfkit.screening.rows import RankingRow, Stage, candidate_row, mixture_row
from pdfkit.screening.run import Run
from pdfkit.screening.settings import Composition, Limits
from pdfkit.screening.tasks import Problem, fit_particle

# --- The null model of a screen --------------------------------------------------------------------------------------

CENTRES = ("cation", "anion", "bond", "atom")


def check_null(null: Any) -> None:
    """Refuse what no null model can be made of, before anything is computed. Raises PdfkitError."""
    if not (null is None or isinstance(null, Particle) or callable(null)):
        build.network(null)


def null_particle(null: Any, atoms: int) -> Particle:
    """Return the null model for a best candidate of `atoms` atoms.

    null : a particle; a function of the number of atoms; or what `pdfkit.build.network` takes (the name of a crystal,
    a structure, …), of which the sphere is cut that comes nearest to that number, centred on a cation, anion or bond.

    Raises PdfkitError for anything else.
    """
    if isinstance(null, Particle):
        return null
    if callable(null):
        made = null(atoms)
        if not isinstance(made, Particle):
            raise PdfkitError(f"null returned {type(made).__name__}: it must return a Particle")
        return made
    source = build.network(null)
    label = null if isinstance(null, str) else "crystal"
    spheres = [found for centre in CENTRES if (found := _sphere(source, centre, atoms)) is not None]
    if not spheres:
        raise PdfkitError(f"null = {null!r}: no sphere of about {atoms} atoms can be cut from it")
    best = min(spheres, key=lambda one: abs(len(one) - atoms))
    return Particle(best.elements, best.kind, best.xyz, f"sphere of {label}", best.meta, best.lattice, best.sites)


def _sphere(source: Any, centre: str, atoms: int) -> Particle | None:
    """Return the sphere about one centre whose number of atoms is nearest; None where there is no such centre."""

    def at(diameter: float) -> Particle | None:
        try:
            return build.sphere(source, diameter, centre=centre)
        except PdfkitError:
            return None

    low, high = 0.5, 4.0
    while (found := at(high)) is None or len(found) < atoms:
        low, high = high, 1.5 * high
        if high > 500.0:
            return None
    for _ in range(30):
        middle = 0.5 * (low + high)
        found = at(middle)
        low, high = (middle, high) if found is None or len(found) < atoms else (low, middle)
    both = [one for one in (at(low), at(high)) if one is not None and len(one) > 1]
    return min(both, key=lambda one: abs(len(one) - atoms), default=None)


# --- Which two candidates --------------------------------------------------------------------------------------------

FINALISTS = 12
"""Candidates whose pairs are tried with fixed curves."""


def best_pairs(curves: Array, problem: Problem, count: int) -> list[tuple[int, int]]:
    """Return the `count` pairs of curves (n, nr) with the smallest misfit at their best weights ≥ 0, both in use.

    Non-negative least squares: Lawson & Hanson, Solving Least Squares Problems (1974).
    """
    from scipy.optimize import nnls

    observed = problem.data.G * problem.weight
    weighted = curves * problem.weight
    # The triangular factor of all columns has the same norms and a few rows only.
    factor = np.asarray(np.linalg.qr(np.column_stack([weighted.T, observed]), mode="r"))
    out = []
    for i, j in combinations(range(curves.shape[0]), 2):
        weights, misfit = nnls(factor[:, [i, j]], factor[:, -1])
        if weights.min() > 0:
            out.append((float(misfit), i, j))
    return [(i, j) for _, i, j in sorted(out)[:count]]


def mixtures(run: Run, fitted: Sequence[tuple[RankingRow, Particle]], count: int) -> tuple[list[RankingRow], Stage]:
    """Return rows of the best `count` mixtures of two of the best candidates, and how many pairs were looked at."""
    few = list(fitted)[:FINALISTS]
    if len(few) < 2:
        return [], Stage("mixture", 0, 0, 0)
    curves = np.array([fit_particle(particle, run.problem).datasets[0].calc.G for _, particle in few])
    jobs, parts = [], []
    for index, (i, j) in enumerate(best_pairs(curves, run.problem, count)):
        (first, one), (second, other) = few[i], few[j]
        key = f"{first.key}+{second.key}"
        parts.append((first, second))
        jobs.append(Candidate(Entry(index, key, key), (one, other)))
    done = {candidate.entry.place: record for candidate, record in run.stage("mixture", jobs, len(jobs))}
    rows = [mixture_row(parts[place], done[place]) for place in sorted(done)]
    failed = sum(row.stage == "failed" for row in rows)
    return rows, Stage("mixture", len(few) * (len(few) - 1) // 2, failed, len(rows))


# --- Both ------------------------------------------------------------------------------------------------------------


def extra_rows(
    run: Run, rows: Sequence[RankingRow], particles: dict[str, Particle], limits: Limits, composition: Composition
) -> tuple[list[RankingRow], list[Stage]]:
    """Return the rows of the null model and of mixtures, which depend on what was found before.

    particles : gets the atoms of the null model.
    """
    fitted = sorted((row for row in rows if row.stage == "fit"), key=lambda row: (row.rw, row.name))
    out: list[RankingRow] = []
    stages: list[Stage] = []
    if limits.null is not None and fitted:
        particle = null_particle(limits.null, fitted[0].atoms)
        entry = entry_of(-1, f"null: {particle.name or particle.formula}", particle, "", composition)
        for _, record in run.stage("fit", [Candidate(entry, particle)], 1):
            out.append(candidate_row(entry, "fit", record, composition, kind="null"))
            stages.append(Stage("null", 1, int("error" in record), int("error" not in record)))
        particles.setdefault(entry.key, particle)
    if limits.mixtures:
        mixed, stage = mixtures(run, [(row, particles[row.key]) for row in fitted], limits.mixtures)
        out += mixed
        stages.append(stage)
    return out, stages
