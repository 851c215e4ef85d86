"""The outcome of a screen, as a value: rows in order of evidence, and what it takes to compute any of them again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pdfkit._table import frame, view
from pdfkit.data.curves import PDF
from pdfkit.errors import ParameterError, PdfkitError, nearest
from pdfkit.fitting.comparison import INDISTINGUISHABLE, Comparison
from pdfkit.fitting.discrepancy import of_families
from pdfkit.model.measured import MeasuredPattern
from pdfkit.particles.particle import Particle
from pdfkit.results.result import FitResult
from pdfkit.screening.certificate import Certificate, certified
from pdfkit.screening.rows import ORDER, RankingRow, Stage, compared, judged_rows, noise_of
from pdfkit.screening.settings import Composition, Limits, ScreenFit
from pdfkit.screening.table import columns_of_rows, csv_text, sections, table
from pdfkit.screening.tasks import Problem, fit_mixture, fit_particle

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Ranking:
    """Candidates in order of what the data say for them: most likely first, failed ones last.

    rows : one `RankingRow` for each candidate. stages : how many candidates went through each stage. data : G(r) in the
    range of the fits (r in Å, G in Å⁻²). settings : how each candidate was fitted, a `pdfkit.screening.ScreenFit`.
    noise : what misfits are measured by, "known" (the errors of the data), "misfit" (the best misfit), or with patterns
    "misfit of" some of the data sets. threshold : difference of ln Z below which candidates cannot be told apart.
    composition : what was known of it, a `pdfkit.screening.Composition`. patterns : what was compared beside G(r), by
    name; more : further G(r), in range, by name; name : of the first. particles : atoms of every candidate that was
    fitted, by key. cases : simulated for the certificate; told :
    the certificate, where a file has it.

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
    data: PDF
    settings: ScreenFit
    noise: str = "misfit"
    threshold: float = INDISTINGUISHABLE
    composition: Composition = field(default_factory=Composition)
    particles: Mapping[str, Particle] = field(default_factory=dict, repr=False)
    patterns: Mapping[str, MeasuredPattern] = field(default_factory=dict, repr=False)
    more: Mapping[str, PDF] = field(default_factory=dict, repr=False)
    name: str = "pdf"
    cases: int = 0
    told: Certificate | None = field(default=None, repr=False)

    @cached_property
    def certificate(self) -> Certificate | None:
        """How often a list of this kind holds the truth, by simulated cases like this one (a second or two).

        None where none were asked for, no atom may be displaced, or there is nothing to decide between.
        """
        return certified(self, self.cases) if self.told is None and self.cases else self.told

    @property
    def beside(self) -> tuple[str, ...]:
        """Names of what was compared beside the first G(r): further ones, then patterns."""
        return (*self.more, *self.patterns)

    @property
    def problem(self) -> Problem:
        """The data and the settings of the fits, as a worker gets them."""
        return Problem(self.data, self.settings, self.patterns, self.more, self.name)

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
        return tuple(row for row in self.rows if row.indistinguishable)

    @property
    def listed(self) -> tuple[RankingRow, ...]:
        """The smallest set of rows with 90 % of the probability, all rows being as likely before the data.

        As it ends with a whole row, such sets have 95 % on average.
        """
        return tuple(row for row in self.rows if row.listed)

    @property
    def families(self) -> dict[str, float]:
        """The probability of each family of candidates, equal before the data however many it has; largest first."""
        rows = [row for row in self.best(len(self), kind="candidate") if row.family and row.probability > 0]
        if not rows:
            return {}
        names, found = of_families(np.array([row.probability for row in rows]), [row.family for row in rows])
        return dict(sorted(zip(names, found.tolist(), strict=True), key=lambda one: -one[1]))

    @property
    def displacement(self) -> float:
        """Å: rms displacement of atoms that the data ask for, over rows by their probability; NaN where none may be."""
        rows = [row for row in self.rows if row.displacement >= 0]
        total = sum(row.probability for row in rows)
        return sum(row.probability * row.displacement for row in rows) / total if total > 0 else math.nan

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
                f"{row.name} was left out after the stage {row.stage!r} and its atoms were not kept: "
                "screen it by itself, or with a larger keep="
            )
        return self.particles[row.key]

    def result(self, name: str | int) -> FitResult:
        """Return the whole fit of a candidate or mixture, with curves, partials and covariance (computed again).

        PdfkitError for a candidate that was not fitted.
        """
        row = self[name]
        if row.kind == "mixture":
            first, second = (self.particle(part) for part in row.parts)
            return fit_mixture((first, second), self.problem)
        return fit_particle(self.particle(name), self.problem)

    def compare(self, count: int = 5, *, evidence: str = "laplace") -> Comparison:
        """Return a closer look at the best `count`: ln Z with its error, and priors, as `pdfkit.compare` gives them.

        Of candidates as they are, no atom displaced. A mixture counts as this one pair here; the ranking takes off
        ln((n − 1)/2), there being n(n − 1)/2 of them.
        evidence : "laplace", or "nested" (minutes for each; needs dynesty).
        """
        results = {row.name: self.result(row.name) for row in self.best(count)}
        return Comparison.of(results, evidence=evidence)

    def table(self, count: int = 20) -> str:
        """Return the best rows as text of at most 100 columns, the funnel, and what to know; `print(ranking)` does."""
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

    def report(self, path: str | PathLike[str]) -> Path:
        """Write one page for a paper's supplement: evidence, the best three with their differences, what was assumed.

        path : .html, a file that needs no other, or .tex, tables for LaTeX. PdfkitError for another ending or when
        nothing was fitted, WriteError when it cannot be written.
        """
        from pdfkit.screening.report import write_report

        return write_report(path, self)

    def to_csv(self, path: str | PathLike[str]) -> Path:
        """Write one line per row, with every parameter and its error. WriteError when it cannot be written."""
        from pdfkit.io._atomic import write_text

        return write_text(path, csv_text(self))

    def to_dataframe(self) -> DataFrame:
        """Return the rows as a `pandas.DataFrame`, with every parameter and its error, in the columns of `to_csv`."""
        return frame(columns_of_rows(self))

    def _repr_html_(self) -> str:
        return view(*sections(self))

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        best = f", best {self.rows[0].name}, Rw = {self.rows[0].rw:.4f}" if self.rows else ""
        return f"<Ranking of {len(self.rows)}{best}>"


def ranked(
    rows: Sequence[RankingRow],
    stages: Sequence[Stage],
    problem: Problem,
    limits: Limits,
    composition: Composition,
    particles: Mapping[str, Particle],
) -> Ranking:
    """Return the ranking of rows: evidence, differences, order, with the threshold of the limits."""
    single = [row for row in rows if row.stage == "fit" and row.kind != "mixture"]
    displacement = problem.displacement
    noise, count = noise_of(single, displacement), len(single)
    fitted = judged_rows([row for row in rows if row.stage == "fit"], noise, displacement, count)
    after = iter(compared(fitted, limits.threshold))
    judged = [next(after) if row.stage == "fit" else row for row in rows]
    place = {id(row): k for k, row in enumerate(judged)}

    def order(row: RankingRow) -> tuple[int, float, int]:
        figure = row.delta if row.stage == "fit" else row.rw
        return ORDER.index(row.stage), figure if math.isfinite(figure) else math.inf, place[id(row)]

    about = (problem.data, problem.fit, noise, limits.threshold, composition, dict(particles))
    order_of = tuple(sorted(judged, key=order))
    beside = (problem.patterns, problem.more, problem.name)
    return Ranking(order_of, tuple(stages), *about, *beside, cases=limits.certificate)
