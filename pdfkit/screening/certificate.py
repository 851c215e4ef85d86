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
    Rival,
    of_families,
    over_sizes,
    probabilities,
    shortest,
    tempered,
)
from pdfkit.results.result import FitResult
from pdfkit.screening.rows import RankingRow, followed, moved_evidence
from pdfkit.screening.shells import drawn, ln_shell
from pdfkit.screening.simulated import Displaceable

if TYPE_CHECKING:
    from pdfkit.screening.ranking import Ranking

CONTENDERS = 36
"""Candidates that a case is decided among: the best ones."""


@dataclass(frozen=True)
class Certificate:
    """How often a list like that of a ranking holds the truth, by simulated cases like the one at hand.

    cases : simulated. rivals : candidates that each was decided among. held : share of the cases in which the list held
    the true candidate. right : share in which the family of the true one was the most probable (NaN where all are of
    one). first : share in which the true one itself came first. size : candidates in the list, on average.
    displacement : Å rms of the atoms, on average.

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
        """Return the data (n, k), as independent numbers, of atoms displaced by `sizes` (n,): half of them by bonds."""
        sets = zip(self.result.datasets, self.rival.whiten, strict=True)
        one = Displaceable.of(self.result, [s.data.r[whiten.index] for s, whiten in sets])
        out = np.empty((sizes.size, self.rival.f.size))
        for k, size in enumerate(sizes.tolist()):
            curves, beside = one.drawn(size, k % 2, rng)
            white = [whiten(G[None])[0] for whiten, G in zip(self.rival.whiten, curves, strict=True)]
            patterns = [one.patterns[name].band.matrix @ I for name, I in beside.items()]
            out[k] = np.concatenate([*white, *patterns])
        return out


def _result(ranking: Ranking, row: RankingRow) -> FitResult | None:
    try:
        return ranking.result(row.name)
    except PdfkitError:
        return None


def _decided(ranking: Ranking, contenders: Sequence[_Contender], cases: int, rng: np.random.Generator) -> Certificate:
    truth: IntArray = np.sort(np.arange(cases) % len(contenders))
    sizes = drawn_sizes(ranking, ranking.settings.displacement, cases, rng)
    curves = np.concatenate([one.curves(sizes[truth == k], rng) for k, one in enumerate(contenders)])
    simulated = curves + noise_sizes(ranking, contenders[0].rival) * rng.standard_normal(curves.shape)
    lnz = np.stack([one.rival.over_noises(one.rival.residuals(simulated), ranking.noise) for one in contenders], axis=1)
    lnz += np.array([one.rival.ln_scales for one in contenders])[:, None]
    size = ranking.settings.displacement
    told = _told(ranking, [one.row for one in contenders], truth, rng)
    share = probabilities(over_sizes(tempered(lnz), None if isinstance(size, str) else size) + told)
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


def _told(ranking: Ranking, rows: Sequence[RankingRow], truth: IntArray, rng: np.random.Generator) -> Array:
    """Return ln of how likely rows are (ncases, nrows) by what EXAFS tells of the true one; 0 without EXAFS."""
    known = ranking.settings.exafs
    if not known:
        return np.zeros((truth.size, len(rows)))
    told = [drawn(rows[true].values, known, rng) for true in truth.tolist()]
    return np.array([[ln_shell(row.values, one) for row in rows] for one in told])


def drawn_sizes(ranking: Ranking, displacement: str | float, cases: int, rng: np.random.Generator) -> Array:
    """Return so many displacements (Å rms): one that is given, or "auto" as the data ask for."""
    if not isinstance(displacement, str):
        return np.full(cases, displacement, dtype=float)
    return np.asarray(rng.choice(SIZES, cases, p=_sizes(ranking)))


def _sizes(ranking: Ranking) -> Array:
    """Return the probabilities (nsizes,) of the displacements that the data ask for."""
    rows = [row for row in ranking.best(len(ranking), kind="candidate") if row.moved]
    at = tempered(np.array([moved_evidence(row, ranking.noise) for row in rows]))
    return probabilities(np.logaddexp.reduce(at, axis=0))


def noise_sizes(ranking: Ranking, best: Rival) -> Array:
    """Return the noise (k,) of independent numbers: that of the errors of the data, or as the best candidate shows it.

    What displaced atoms do to residuals is none.
    """
    noises = best.noises(ranking.noise)
    found = best.ln_z(best.f[None], noises)[0].max(axis=0)
    return np.asarray(np.sqrt(noises[int(found.argmax())]))


def _right(share: Array, families: Sequence[str], truth: IntArray) -> float:
    """Return how often the family of the true one is the most probable; NaN for a single family."""
    names, found = of_families(share, families)
    if len(names) < 2:
        return math.nan
    return float((found.argmax(axis=1) == np.array([names.index(one) for one in families])[truth]).mean())
