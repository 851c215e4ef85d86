"""The outcome of a screen, as a value: rows in order of evidence, and what it takes to compute any of them again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pdfkit.errors import ParameterError, PdfkitError, nearest
from pdfkit.fitting.comparison import INDISTINGUISHABLE, evidence_of, noise_of
from pdfkit.particles.particle import Particle
from pdfkit.results.result import FitResult
from pdfkit.screening.candidates import Chemistry, Entry
from pdfkit.screening.tasks import Record, Setting, fit_mixture, fit_particle, independent_points

NAN = math.nan
# Rows come in this order; within a stage by evidence, or by Rw where there is none.
ORDER = ("fit", "scale", "match", "failed")
KINDS = ("candidate", "null", "mixture")
# Names of candidates with the same atoms that are worth listing.
TWINS = 5


@dataclass(frozen=True)
class RankingRow:
    """One candidate of a ranking.

    name, formula, atoms, family : what it is; kind : "candidate", "null" or "mixture". stage : how far it came, "fit",
    "scale", "match" or "failed". rw, chi2, reduced_chi2, n_independent, n_free, errors_from, nfev, converged : as in
    `FitResult` (NaN, 0 and False where there was no fit). values : parameter → (value, standard error or NaN), without
    the name of the phase. lnz, delta : ln Z and how far it lies below the best row's (see `pdfkit.screen`). same :
    whether the data cannot tell it from the best. ratio, mass : cations per anion, g/mol; ratio_fits, mass_fits :
    whether these agree with what was measured, None if nothing was. remarks : why it failed, what to know. parts :
    names of the two of a mixture.

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
    lnz: float = NAN
    delta: float = NAN
    same: bool = False
    ratio: float = NAN
    ratio_fits: bool | None = None
    mass: float = NAN
    mass_fits: bool | None = None
    remarks: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _row, ({**self.__dict__, "values": dict(self.values)},)


def _row(values: dict[str, Any]) -> RankingRow:
    return RankingRow(**values)


@dataclass(frozen=True)
class Stage:
    """One stage of the funnel: how many candidates went in, failed, and went on to the next (or were ranked)."""

    name: str
    entered: int
    failed: int
    kept: int


@dataclass(frozen=True, eq=False)
class Ranking:
    """Candidates in order of what the data say for them: most likely first, failed ones last.

    rows : `RankingRow`s. stages : the funnel. setting : data and options of the fits. noise : yardstick of the
    evidence, "known" (errors of the data) or "misfit" (the best misfit). threshold : difference of ln Z below which
    candidates cannot be told apart. chemistry : composition that was measured. particles : atoms of every candidate
    that was fitted, by key.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> clusters = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4)]
    >>> truth = pk.Cluster(clusters[1], "c", Uiso={"Cd": 0.03, "Se": 0.02}, delta2=4)
    >>> data = pk.Model(truth, pk.Instrument(probe="X", qmin=0.8, qmax=16))(np.arange(1.8, 14, 0.05))  # simulated
    >>> ranking = pk.screen(clusters, data)
    >>> ranking[0].formula, len(ranking.indistinguishable), len(ranking.failed)
    ('Cd20Se10', 1, 0)
    >>> print(f"{ranking.result(0).params['c.Se.Uiso'].value:.3f} Å²")  # the whole fit of the best
    0.020 Å²
    """

    rows: tuple[RankingRow, ...]
    stages: tuple[Stage, ...]
    setting: Setting
    noise: str = "misfit"
    threshold: float = INDISTINGUISHABLE
    chemistry: Chemistry = field(default_factory=Chemistry)
    particles: Mapping[str, Particle] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[RankingRow]:
        return iter(self.rows)

    def __getitem__(self, name: str | int) -> RankingRow:
        """Return the row of a candidate by name, or by its place (0 is the best). ParameterError for no such name."""
        if isinstance(name, int):
            return self.rows[name]
        for row in self.rows:
            if row.name == name:
                return row
        known = [row.name for row in self.rows if row.stage == "fit"]
        raise ParameterError(f"no candidate is called {name!r}: nearest are {nearest(name, known)}")

    def best(self, count: int = 10, *, kind: str | None = None) -> tuple[RankingRow, ...]:
        """Return the first `count` rows that were fitted, of one kind ("candidate", "null", "mixture") if given."""
        fitted = (row for row in self.rows if row.stage == "fit" and kind in (None, row.kind))
        return tuple(row for _, row in zip(range(count), fitted, strict=False))

    @property
    def indistinguishable(self) -> tuple[RankingRow, ...]:
        """The best row and those that the data cannot tell from it."""
        return tuple(row for row in self.rows if row.same)

    @property
    def failed(self) -> tuple[RankingRow, ...]:
        """Candidates that could not be computed; `remarks` say why."""
        return tuple(row for row in self.rows if row.stage == "failed")

    def particle(self, name: str | int) -> Particle:
        """Return the atoms of a candidate that was fitted. PdfkitError for one that is not kept."""
        row = self[name]
        if row.kind == "mixture":
            raise PdfkitError(f"{row.name} is a mixture of {' and '.join(row.parts)}: ask for one of them")
        if row.key not in self.particles:
            raise PdfkitError(
                f"{row.name} left the funnel at stage {row.stage!r} and its atoms were not kept: "
                "screen it again by itself, or with a larger keep="
            )
        return self.particles[row.key]

    def result(self, name: str | int) -> FitResult:
        """Return the whole fit of a candidate or mixture, with curves, partials and covariance (computed again).

        PdfkitError for a candidate that was not fitted.
        """
        row = self[name]
        if row.kind == "mixture":
            first, second = (self.particle(part) for part in row.parts)
            return fit_mixture((first, second), self.setting)
        return fit_particle(self.particle(name), self.setting)

    def table(self, count: int = 20) -> str:
        """Return the best rows as text of at most 100 columns, the funnel, and what to know; `print(ranking)` does."""
        from pdfkit.screening.table import table

        return table(self, count)

    def save(self, path: str | PathLike[str], *, curves: int = 10) -> Path:
        """Write everything to an HDF5 file in NeXus form, with the curves of the best `curves` fits.

        `Ranking.load` reads it back. WriteError when it cannot be written.
        """
        from pdfkit.screening.store import save_ranking

        return save_ranking(path, self, curves)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Ranking:
        """Return the ranking that `save` wrote: rows, data, settings and the atoms of all that were fitted.

        Raises ReadError when the file is missing, damaged, or no ranking. Nothing in it is executed.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> clusters = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4)]
        >>> truth = pk.Model(pk.Cluster(clusters[1], "c"), pk.Instrument(probe="X", qmin=0.8, qmax=16))
        >>> ranking = pk.screen(clusters, truth(np.arange(1.8, 14, 0.05)))  # of simulated data
        >>> with TemporaryDirectory() as folder:
        ...     back = pk.Ranking.load(ranking.save(Path(folder, "ranking.h5")))
        >>> back[0].formula, back[0].lnz == ranking[0].lnz
        ('Cd20Se10', True)
        """
        from pdfkit.screening.store import load_ranking

        return load_ranking(path)

    def to_csv(self, path: str | PathLike[str]) -> Path:
        """Write one line per row, with every parameter and its error. WriteError when it cannot be written."""
        from pdfkit.io._atomic import write_text
        from pdfkit.screening.table import csv_text

        return write_text(path, csv_text(self))

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        best = f", best {self.rows[0].name}, Rw = {self.rows[0].rw:.4f}" if self.rows else ""
        return f"<Ranking of {len(self.rows)}{best}>"


def candidate_row(
    entry: Entry,
    stage: str,
    record: Record,
    chemistry: Chemistry,
    twins: Sequence[str] = (),
    kind: str = "candidate",
) -> RankingRow:
    """Return the row of a candidate after its last stage, before it is compared with others."""
    same = f"the same atoms as {', '.join(twins[:TWINS])}" + (
        f" and {len(twins) - TWINS} more" if twins[TWINS:] else ""
    )
    row = RankingRow(
        name=entry.name,
        key=entry.key,
        formula=entry.formula,
        atoms=entry.atoms,
        family=entry.family,
        kind=kind,
        ratio=entry.ratio,
        ratio_fits=chemistry.ratio_fits(entry.ratio) if entry.formula else None,
        mass=entry.mass,
        mass_fits=chemistry.mass_fits(entry.mass) if entry.formula else None,
        remarks=(same,) if twins else (),
    )
    return _with_record(row, stage, record)


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


def _with_record(row: RankingRow, stage: str, record: Record) -> RankingRow:
    if "error" in record:
        return replace(row, stage="failed", remarks=(str(record["error"]),))
    numbers: dict[str, Any] = {
        name: float(record[name]) for name in ("rw", "chi2", "reduced_chi2", "n_independent") if name in record
    }
    counts: dict[str, Any] = {name: int(record[name]) for name in ("n_free", "nfev") if name in record}
    values = {name: (float(v), NAN if e is None else float(e)) for name, (v, e) in record["values"].items()}
    remarks = (*row.remarks, *map(str, record.get("remarks", ())))
    state: dict[str, Any] = {"converged": bool(record.get("converged", False)), **numbers, **counts}
    if "errors_from" in record:
        state["errors_from"] = str(record["errors_from"])
    return replace(row, stage=stage, values=values, remarks=remarks, **state)


def ranked(
    rows: Sequence[RankingRow],
    stages: Sequence[Stage],
    setting: Setting,
    chemistry: Chemistry,
    particles: Mapping[str, Particle],
    threshold: float,
) -> Ranking:
    """Return the ranking of rows: evidence, differences, order."""
    single = [row for row in rows if row.stage == "fit" and row.kind != "mixture"]
    noise, count = noise_of(single), len(single)
    known = [replace(row, lnz=evidence_of(row, noise, count)) if row.stage == "fit" else row for row in rows]
    best = max((row.lnz for row in known if row.stage == "fit"), default=NAN)
    judged = [
        replace(row, delta=best - row.lnz, same=best - row.lnz < threshold) if row.stage == "fit" else row
        for row in known
    ]
    place = {id(row): k for k, row in enumerate(judged)}

    def order(row: RankingRow) -> tuple[int, float, int]:
        figure = row.delta if row.stage == "fit" else row.rw
        return ORDER.index(row.stage), figure if math.isfinite(figure) else math.inf, place[id(row)]

    return Ranking(
        tuple(sorted(judged, key=order)), tuple(stages), setting, noise, threshold, chemistry, dict(particles)
    )


def enough_points(setting: Setting) -> None:
    """Refuse data that hold fewer independent points than a fit has parameters: no evidence can come of them."""
    points = independent_points(setting)
    if points < len(setting.free) + 1:
        raise PdfkitError(
            f"the range holds {points:.1f} independent points (one every π/Qmax) for {len(setting.free)} free "
            "parameters: widen it with rmin and rmax"
        )
