"""The rows of a ranking: what is known of each candidate, and how much the data say for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.fitting.comparison import MISFIT
from pdfkit.fitting.discrepancy import SIZES, over_sizes, probabilities, shortest, tempered
from pdfkit.fitting.evidence import SMALLEST_RW
from pdfkit.screening import beside
from pdfkit.screening.candidates import Entry
from pdfkit.screening.settings import Composition
from pdfkit.screening.tasks import Record

NAN = math.nan
# Rows come in this order; within a stage by evidence, or by Rw where there is none.
ORDER = ("fit", "scale", "match", "failed")
KINDS = ("candidate", "null", "mixture")
# Names of candidates with the same distances that are worth listing.
LISTED = 5


@dataclass(frozen=True)
class RankingRow:
    """One candidate of a ranking.

    name, formula, atoms, family : what it is; key : a hash of its atoms. kind : "candidate", "null" or "mixture". stage
    : how far it came, "fit", "scale", "match" or "failed". rw, chi2, reduced_chi2, n_independent, n_free, errors_from,
    nfev, converged : as in `FitResult` (NaN, 0 and False where there was no fit). values : parameter → (value, standard
    error or NaN) in the units of the model (Å, Å²), without the name of the phase. beside : with patterns, of each data
    set ("" is G(r)) χ², its independent numbers, and whether the size of its errors is known. occam : ln of the part of
    its priors that data leave it, with noise of the size of its misfit. shell : ln of how
    likely the first shell is that EXAFS tells. moved : what displaced atoms add to ln Z, at
    every size of `pdfkit.fitting.discrepancy.SIZES`, where the noise is "known" and where not ("misfit"), with the
    "odds" of the second (beside patterns, ln Z itself); displacement : Å, rms of the atoms that the data ask for if
    this is the true candidate. lnz,
    delta : ln Z and how far it lies below that of the best row (see `pdfkit.screen`). probability : of all rows that
    were fitted, equal before the data; listed : whether it is in the smallest set with 90 %. indistinguishable :
    whether the data cannot tell it from the best. ratio : cations per anion; mass : g/mol; ratio_fits, mass_fits :
    whether these agree with what was measured, None if nothing was. remarks : why it failed, what to know. parts :
    names of the two candidates of a mixture.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> clusters = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4)]
    >>> truth = pk.Model(pk.Cluster(clusters[1], "c", expansion=0.01), pk.Instrument(probe="X", qmin=0.8, qmax=16))
    >>> row = pk.screen(clusters, truth(np.arange(1.8, 14, 0.05)))[0]  # of simulated data
    >>> row.name, row.formula, row.atoms, row.stage, row.n_free
    ('Cd20Se10_tetrahedron', 'Cd20Se10', 30, 'fit', 5)
    >>> print(f"expansion {row.values['expansion'][0]:.4f}")
    expansion 0.0100
    """

    name: str
    key: str
    formula: str = ""
    atoms: int = 0
    family: str = ""
    kind: str = "candidate"
    stage: str = "failed"
    rw: float = NAN
    chi2: float = NAN
    reduced_chi2: float = NAN
    n_independent: float = NAN
    n_free: int = 0
    errors_from: str = "misfit"
    nfev: int = 0
    converged: bool = False
    values: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    beside: Mapping[str, tuple[float, float, bool]] = field(default_factory=dict)
    occam: float = NAN
    shell: float = 0.0
    moved: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    displacement: float = NAN
    lnz: float = NAN
    delta: float = NAN
    probability: float = NAN
    listed: bool = False
    indistinguishable: bool = False
    ratio: float = NAN
    ratio_fits: bool | None = None
    mass: float = NAN
    mass_fits: bool | None = None
    remarks: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("values", "beside"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        moved = {name: tuple(numbers) for name, numbers in self.moved.items()}
        object.__setattr__(self, "moved", MappingProxyType(moved))

    def __reduce__(self) -> tuple[Any, ...]:
        return _checks.reduced(self)


@dataclass(frozen=True)
class Stage:
    """One stage of the funnel: how many candidates went in, failed, and went on to the next (or were ranked)."""

    name: str
    entered: int
    failed: int
    kept: int


def candidate_row(
    entry: Entry,
    stage: str,
    record: Record,
    composition: Composition,
    duplicates: Sequence[str] = (),
    scaled: Sequence[str] = (),
    kind: str = "candidate",
) -> RankingRow:
    """Return the row of a candidate after its last stage, before it is compared with others."""
    known = entry._asdict()
    del known["place"], known["error"]
    if entry.formula:
        known["ratio_fits"] = composition.ratio_fits(entry.ratio)
        known["mass_fits"] = composition.mass_fits(entry.mass)
    same = "counted once, as all distances are the same"
    known["remarks"] = tuple(
        f"{same} ({why}): {_few(names)}"
        for why, names in (
            ("the same atoms, or mirrored", duplicates),
            ("but for one factor, and expansion is free", scaled),
        )
        if names
    )
    return _with_record(RankingRow(kind=kind, **known), stage, record)


def _few(names: Sequence[str]) -> str:
    """Return the first names in a sentence, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if names[LISTED:] else ""
    return f"{', '.join(names[:LISTED])}{more}"


def mixture_row(parts: tuple[RankingRow, RankingRow], record: Record) -> RankingRow:
    """Return the row of a mixture of two candidates."""
    first, second = parts
    row = RankingRow(
        name=f"{first.name} + {second.name}",
        key=f"{first.key}+{second.key}",
        formula=f"{first.formula} + {second.formula}",
        atoms=first.atoms + second.atoms,
        family="mixture",
        kind="mixture",
        parts=(first.name, second.name),
    )
    if "share" in record:
        share, error = record["share"]
        words = f"{100 * share:.0f} % of the atoms" + ("" if error is None else f" (± {100 * error:.0f} %)")
        row = replace(row, remarks=(f"{words} in {first.name}",))
    return _with_record(row, "fit", record)


# What a record says of a fit, and as what a row keeps it.
_KEPT: Mapping[str, type[Any]] = {
    **dict.fromkeys(("rw", "chi2", "reduced_chi2", "n_independent", "occam", "shell"), float),
    **{"n_free": int, "nfev": int, "errors_from": str, "converged": bool},
}


def _with_record(row: RankingRow, stage: str, record: Record) -> RankingRow:
    if "error" in record:
        return replace(row, stage="failed", remarks=(str(record["error"]),))
    kept: dict[str, Any] = {name: kind(record[name]) for name, kind in _KEPT.items() if name in record}
    kept["beside"] = {name: (c, n, bool(known)) for name, (c, n, known) in record.get("parts", {}).items()}
    values = {name: (float(v), NAN if e is None else float(e)) for name, (v, e) in record["values"].items()}
    kept |= {"moved": record["moved"]} if "moved" in record else {}
    return replace(
        row, stage=stage, values=values, remarks=(*row.remarks, *map(str, record.get("remarks", ()))), **kept
    )


# --- How much the data say for a candidate ---------------------------------------------------------------------------


def evidence_of(row: RankingRow, noise: str, candidates: int = 1) -> float:
    """Return ln Z of a fitted candidate, or of a mixture of two out of so many.

    A mixture is one of n(n − 1)/2 pairs of n candidates: with both kinds equally likely before the data, each pair is
    less likely than each candidate by (n − 1)/2.
    """
    trials = _trials(row, candidates)
    if row.beside:
        return beside.ln_likelihood(row.beside, noise) + row.occam - trials
    chi2 = max(row.reduced_chi2 * max(1.0, row.n_independent - row.n_free), 1e-300)
    if row.rw < SMALLEST_RW:
        chi2 *= (SMALLEST_RW / max(row.rw, 1e-150)) ** 2
    size = 0.5 * math.log(chi2 / row.n_independent)
    if noise == "known":
        return -0.5 * chi2 + row.occam - row.n_free * size - trials
    return -row.n_independent * size + row.occam - trials


def _trials(row: RankingRow, candidates: int) -> float:
    return math.log(max(candidates - 1, 2) / 2) if row.kind == "mixture" else 0.0


def noise_of(rows: Iterable[RankingRow], displacement: str | float = "none") -> str:
    """Return "known" where the data bring errors and the best candidate fits within them, else "misfit".

    Where atoms may be displaced, errors hold as well if the data say more for them than for a noise of any size. With
    patterns each data set by itself: `pdfkit.screening.beside.noise_of`.
    """
    rows = list(rows)
    still = displacement == "none" or not followed(rows)
    if all(row.beside for row in rows) and rows:
        rigid, known = beside.noise_of([row.beside for row in rows]), beside.unknown(rows[0].beside)
        return rigid if still or rigid == known else _likeliest(rows, known, displacement)
    if not rows or any(row.errors_from == "misfit" for row in rows):
        return "misfit"
    best = min((row.reduced_chi2 for row in rows if math.isfinite(row.reduced_chi2)), default=math.inf)
    if best <= MISFIT:
        return "known"
    return "misfit" if still else _likeliest(rows, "known", displacement)


def _likeliest(rows: Sequence[RankingRow], known: str, displacement: str | float) -> str:
    """Return the noise that makes all rows together likeliest; `known` is what it is called if all errors hold."""
    total = {}
    for noise in [name for name in rows[0].moved if name != "odds"]:
        lnz = np.logaddexp.reduce([_by_noise(row, noise) for row in rows], axis=0)
        total[known if noise == "known" else noise] = float(over_sizes(lnz, _size(displacement)))
    return max(total, key=lambda noise: total[noise])


def _by_noise(row: RankingRow, noise: str) -> Array:
    """Return ln Z (nsizes,) on one scale for noises of all kinds."""
    if row.beside:
        return np.array(row.moved[noise])
    odds = row.moved["odds"][0] if noise == "misfit" else 0.0
    return evidence_of(row, "known") + odds + np.array(row.moved[noise])


def _size(displacement: str | float) -> float | None:
    return None if isinstance(displacement, str) else displacement


def moved_evidence(row: RankingRow, noise: str, candidates: int = 1) -> Array:
    """Return ln Z (nsizes,) of a fitted candidate whose atoms are displaced by each of `SIZES`. See `evidence_of`."""
    if row.beside:
        return np.array(row.moved.get(noise, row.moved["known"])) - _trials(row, candidates)
    return evidence_of(row, noise, candidates) + np.array(row.moved[noise])


def judged_rows(
    rows: Sequence[RankingRow], noise: str, displacement: str | float, candidates: int = 1
) -> list[RankingRow]:
    """Return fitted rows with ln Z, and the displacement that the data ask for. candidates : see `evidence_of`.

    Where those of one are not known (of more atoms than `pdfkit.fitting.discrepancy.MOST_ATOMS`), all stay rigid.
    """
    if displacement == "none" or not followed(rows):
        return [replace(row, lnz=evidence_of(row, noise, candidates) + row.shell, displacement=NAN) for row in rows]
    at = tempered(np.array([moved_evidence(row, noise, candidates) for row in rows]))
    size = _size(displacement)
    found = over_sizes(at, size)
    sizes = probabilities(at) @ SIZES if size is None else np.full(len(rows), size)
    known = zip(rows, found.tolist(), sizes.tolist(), strict=True)
    return [replace(row, lnz=one + row.shell, displacement=rms) for row, one, rms in known]


def followed(rows: Sequence[RankingRow]) -> bool:
    """Whether displacements of atoms are known of all rows: else some would be compared with them, some without."""
    return bool(rows) and all(row.moved for row in rows)


def compared(rows: Sequence[RankingRow], threshold: float) -> list[RankingRow]:
    """Return rows with what their ln Z says: how far below the best, with which probability, in the list or not."""
    if not rows:
        return []
    lnz = np.array([row.lnz for row in rows])
    best, share = float(lnz.max()), probabilities(lnz)
    known = zip(rows, share.tolist(), shortest(share).tolist(), strict=True)
    return [
        replace(
            row,
            delta=best - row.lnz,
            indistinguishable=best - row.lnz < threshold,
            probability=one,
            listed=inside,
        )
        for row, one, inside in known
    ]
