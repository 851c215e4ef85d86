"""Which two candidates, side by side, describe the data better than either: first fixed curves, then real fits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from pdfkit._checks import Array
from pdfkit._screen_candidates import Candidate, Entry
from pdfkit._screen_ranking import RankingRow, mixture_row
from pdfkit._screen_run import Run
from pdfkit._screen_tasks import Setting, fit_particle
from pdfkit.particle import Particle

FINALISTS = 12
"""Candidates whose pairs are tried with fixed curves."""


def best_pairs(curves: Array, setting: Setting, count: int) -> list[tuple[int, int]]:
    """Return the `count` pairs of curves (n, nr) with the smallest misfit at their best weights ≥ 0, both in use.

    Non-negative least squares: Lawson & Hanson, Solving Least Squares Problems (1974).
    """
    from scipy.optimize import nnls

    observed = setting.data.G * setting.weight
    weighted = curves * setting.weight
    # The triangular factor of all columns has the same norms and a few rows only.
    factor = np.asarray(np.linalg.qr(np.column_stack([weighted.T, observed]), mode="r"))
    out = []
    for i, j in combinations(range(curves.shape[0]), 2):
        weights, misfit = nnls(factor[:, [i, j]], factor[:, -1])
        if weights.min() > 0:
            out.append((float(misfit), i, j))
    return [(i, j) for _, i, j in sorted(out)[:count]]


def mixtures(run: Run, fitted: Sequence[tuple[RankingRow, Particle]], count: int) -> tuple[list[RankingRow], int]:
    """Return rows of the best `count` mixtures of two of the best candidates, and how many pairs were looked at."""
    few = list(fitted)[:FINALISTS]
    if count < 1 or len(few) < 2:
        return [], 0
    curves = np.array([fit_particle(particle, run.setting).calc.G for _, particle in few])
    jobs, parts = [], {}
    for index, (i, j) in enumerate(best_pairs(curves, run.setting, count)):
        first, second = few[i], few[j]
        key = f"{first[0].key}+{second[0].key}"
        parts[key] = (first[0], second[0])
        jobs.append(Candidate(Entry(index, key, key), (first[1], second[1])))
    done = {
        candidate.entry.place: (candidate.entry.key, record)
        for candidate, record in run.stage("mixture", jobs, len(jobs))
    }
    rows = [mixture_row(parts[key], record) for key, record in (done[k] for k in sorted(done))]
    return rows, len(few) * (len(few) - 1) // 2
