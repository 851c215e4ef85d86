"""How much the data say for a candidate: an evidence that counts parameters and independent points.

Notation: the fit leaves χ² over N_ind independent residuals, with k free parameters. Band-limited data hold one
independent point every π/Qmax (Shannon–Nyquist): residuals are made independent by their covariance, so that N_ind is
their number, or, where points are taken by themselves, χ² = Σ[(G_obs − G_calc)/dG]²·N_ind/N with N_ind = Δr·Qmax/π.
Where the size of the noise is not known, residuals are in units of their own.

| noise | formula |
|---|---|
| known | ln Z = −½ χ² − ½ k ln N_ind |
| not known | ln Z = −½ N_ind ln(χ²/N_ind) − ½ k ln N_ind |

Both are −½ BIC, Schwarz's limit of the Laplace approximation for priors as wide as one observation would leave them
(Schwarz, Ann. Stat. 6, 461 (1978); Kass & Raftery, J. Am. Stat. Assoc. 90, 773 (1995)), with the number of independent
points in place of the number of points, and, in the second, the noise at its maximum likelihood. Constants common to
all candidates are left out: only differences mean something. Two candidates closer than 3 (odds of 20 to 1, where Kass
and Raftery's "strong" begins) cannot be told apart.

A mixture is one of n(n − 1)/2 pairs of the n fitted candidates, and one among so many is sooner good by chance than one
among n: with both kinds equally likely beforehand, a mixture's ln Z is reduced by ln[(n − 1)/2].

Errors dG count as known only while the best candidate fits within them. A best reduced χ² above 2 says that something
other than noise is wrong with every model; then small differences between large χ² would look decisive, and the
second formula is used, where the best misfit itself is the yardstick.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pdfkit._screen_tasks import Setting

if TYPE_CHECKING:
    from pdfkit._screen_ranking import RankingRow

INDISTINGUISHABLE = 3.0
"""Δ ln Z below which two candidates cannot be told apart (odds of 20 to 1)."""
MISFIT = 2.0
"""Reduced χ² of the best candidate above which dG is no longer the yardstick."""
# A misfit of nothing but rounding has no finite logarithm: no Rw counts as smaller than this.
SMALLEST_RW = 1e-10


def independent_points(setting: Setting) -> float:
    """Return Δr·Qmax/π, or the number of points where that is smaller."""
    data = setting.data
    span = float(data.r[-1] - data.r[0])
    return min(float(len(data)), span * (data.instrument.qmax or math.inf) / math.pi)


def ln_evidence(chi2: float, independent: float, n_free: int, noise: str) -> float:
    """Return ln Z up to a constant; chi2 over `independent` residuals. noise : "known" or "misfit" (see the module)."""
    penalty = 0.5 * n_free * math.log(independent)
    if noise == "known":
        return -0.5 * chi2 - penalty
    return -0.5 * independent * math.log(chi2 / independent) - penalty


def evidence_of(row: RankingRow, noise: str, candidates: int = 1) -> float:
    """Return ln Z of a fitted candidate, or of a mixture of two out of so many."""
    chi2 = row.reduced_chi2 * max(1.0, row.n_independent - row.n_free)
    if row.rw < SMALLEST_RW:
        chi2 *= (SMALLEST_RW / max(row.rw, 1e-150)) ** 2
    trials = math.log(max(candidates - 1, 2) / 2) if row.kind == "mixture" else 0.0
    return ln_evidence(max(chi2, 1e-300), row.n_independent, row.n_free, noise) - trials


def noise_of(rows: Iterable[RankingRow]) -> str:
    """Return "known" where the data bring errors and the best candidate fits within them, else "misfit"."""
    rows = list(rows)
    if any(row.errors_from == "misfit" for row in rows):
        return "misfit"
    best = min((row.reduced_chi2 for row in rows if math.isfinite(row.reduced_chi2)), default=math.inf)
    return "known" if best <= MISFIT else "misfit"
