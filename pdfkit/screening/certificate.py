"""How far a ranking can be believed: cases like it, simulated, and how often the list held the truth.

Each of the best candidates in turn is taken for true at its own fit, with atoms displaced by as much as the data ask
for: in one half of the cases each by itself, in the other with its bonds kept. Its curve with the noise of the data is
compared with all of these candidates by the formulas of the ranking, about their fits to the data
(`pdfkit.fitting.discrepancy`), so that thousands of comparisons take a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError
from pdfkit.fitting.discrepancy import (
    SIZES,
    STIFF,
    Rival,
    moving,
    of_families,
    over_sizes,
    probabilities,
    root,
    shortest,
    tempered,
)
from pdfkit.model.model import Model
from pdfkit.results.result import FitResult
from pdfkit.screening.rows import RankingRow, evidence_of, followed

if TYPE_CHECKING:
    from pdfkit.screening.ranking import Ranking

CONTENDERS = 36
"""Candidates that a case is decided among: the best ones."""
LEFT = 0.3
"""Of a U that was fitted, what is left at least when the displacement that it holds is taken off."""


@dataclass(frozen=True)
class Certificate:
    """How often a list like that of a ranking holds the truth, by simulated cases like the one at hand.

    cases : simulated. rivals : candidates that each was decided among. held : share of the cases in which the list with
    95 % of the probability held the true candidate. right : share in which the family of the true one was the most
    probable (NaN where all are of one). first : share in which the true one itself came first. size : candidates in the
    list, on average. displacement : Å rms of the atoms, on average.

    Example
    -------
    >>> from pdfkit.screening import Certificate
    >>> print(Certificate(cases=9, rivals=5, held=0.96, right=0.9, first=0.4, size=2.2, displacement=0))
    Of 9 simulated cases like this one, among the best 5 candidates, the list held the truth in 96 %; the family was ...
    """

    cases: int
    rivals: int
    held: float
    right: float
    first: float
    size: float
    displacement: float

    def __str__(self) -> str:
        family = "" if math.isnan(self.right) else f"; the family was right in {100 * self.right:.0f} %"
        moved = f" and with atoms displaced by {self.displacement:.2g} Å" if self.displacement > 0 else ""
        return (
            f"Of {self.cases} simulated cases like this one, among the best {self.rivals} candidates{moved}, the list "
            f"held the truth in {100 * self.held:.0f} %{family}."
        )


def certified(ranking: Ranking, cases: int, seed: int = 0) -> Certificate | None:
    """Return the certificate of a ranking; None where one cannot be followed, or is alone."""
    if ranking.problem.displacement == "none" or not followed(ranking.best(len(ranking))):
        return None
    contenders = []
    for row in ranking.best(CONTENDERS, kind="candidate"):
        result = _result(ranking, row)
        rival = None if result is None else Rival.of(result)
        if result is not None and rival is not None:
            contenders.append(_Contender(row, result, rival))
    if len(contenders) < 2:
        return None
    return _decided(ranking, contenders, cases, np.random.default_rng(seed))


@dataclass(frozen=True, eq=False)
class _Contender:
    row: RankingRow
    result: FitResult
    rival: Rival

    def curves(self, sizes: Array, rng: np.random.Generator) -> Array:
        """Return G (n, nr) where fits see it, with atoms displaced by `sizes` (n,): as bonds allow, or each by itself.

        What displacements broaden is taken off U.
        """
        one = self.result.datasets[0]
        cluster = moving(one.model.phases[0])
        model = Model(cluster, one.model.instrument, one.model.convention, one.model.strengths)
        evaluate = model.evaluator(one.data.r[self.rival.whiten.index], end=float(one.data.r[-1]))
        roots = [root(cluster.particle.xyz, stiff) for stiff in (STIFF, 0.0)]
        u = np.array([name.endswith(".Uiso") for name in model.names])
        places = cluster.moving
        out = np.empty((sizes.size, self.rival.whiten.index.size))
        for k, size in enumerate(sizes):
            values = np.where(u, np.maximum(model.values - size**2 / 3.0, LEFT * model.values), model.values)
            values[places] = size * (roots[k % 2] @ rng.standard_normal(roots[0].shape[0]))
            out[k] = evaluate(values)[0]
        return out


def _result(ranking: Ranking, row: RankingRow) -> FitResult | None:
    try:
        return ranking.result(row.name)
    except PdfkitError:
        return None


def _decided(ranking: Ranking, contenders: Sequence[_Contender], cases: int, rng: np.random.Generator) -> Certificate:
    truth: IntArray = np.sort(np.arange(cases) % len(contenders))
    sizes = rng.choice(SIZES, cases, p=_sizes(ranking)) if isinstance(ranking.settings.displacement, str) else None
    sizes = np.full(cases, ranking.settings.displacement, dtype=float) if sizes is None else sizes
    curves = np.concatenate([one.curves(sizes[truth == k], rng) for k, one in enumerate(contenders)])
    whiten = contenders[0].rival.whiten
    simulated = whiten(curves) + _noise(ranking, contenders[0].rival, cases, rng)
    lnz = np.stack([_ln_z(ranking.noise, one.rival, simulated) for one in contenders], axis=1)
    size = ranking.settings.displacement
    share = probabilities(over_sizes(tempered(lnz), None if isinstance(size, str) else size))
    inside, every = shortest(share), np.arange(cases)
    return Certificate(
        cases=cases,
        rivals=len(contenders),
        held=float(inside[every, truth].mean()),
        right=_right(share, [one.row.family for one in contenders], truth),
        first=float((share.argmax(axis=1) == truth).mean()),
        size=float(inside.sum(axis=1).mean()),
        displacement=float(sizes.mean()),
    )


def _sizes(ranking: Ranking) -> Array:
    """Return the probabilities (nsizes,) of the displacements that the data ask for."""
    rows = [row for row in ranking.best(len(ranking), kind="candidate") if row.moved]
    base = np.array([evidence_of(row, ranking.noise) for row in rows])
    at = tempered(base[:, None] + np.array([row.moved[ranking.noise] for row in rows]))
    return probabilities(np.logaddexp.reduce(at, axis=0))


def _noise(ranking: Ranking, best: Rival, cases: int, rng: np.random.Generator) -> Array:
    """Return noise (cases, k) of whitened residuals: of size 1, or as the best candidate shows it."""
    size = 1.0
    if ranking.noise != "known":
        found = best.ln_z(best.f[None], best.noises)[0].max(axis=0)
        size = float(best.noises[int(found.argmax())])
    return size * rng.standard_normal((cases, best.f.size))


def _ln_z(noise: str, one: Rival, simulated: Array) -> Array:
    residuals = one.f + one.target - simulated
    return one.ln_z(residuals, np.ones(1))[:, :, 0] if noise == "known" else one.ln_misfit(residuals)


def _right(share: Array, families: Sequence[str], truth: IntArray) -> float:
    """Return how often the family of the true one is the most probable; NaN for a single family."""
    names, found = of_families(share, families)
    if len(names) < 2:
        return math.nan
    return float((found.argmax(axis=1) == np.array([names.index(one) for one in families])[truth]).mean())
