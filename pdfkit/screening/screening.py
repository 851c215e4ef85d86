"""Screening: which of many finite clusters describe a measured G(r), and which of them the data cannot tell apart.

    ranking = pk.screen(pk.build.candidates("Cd37S20"), data, rmin=1.8, rmax=14, workers=2, out="run")
    print(ranking)
    study = pk.confusion(ranking, repeats=20, workers=2, out="run")
    print(study)

| stage | what is done to a candidate | evaluations |
|---|---|---|
| match | a small fit in single precision, of tables of its pair distances (`linear`) | 0 |
| fit | the full fit of all free parameters | about 10 |

Up to `keep[1]` candidates are all fitted. Of more, the best `keep[1]` by Rw go from match to fit, with all whose match
is within 25 % of the best (10 % where displacement="none"); the best `keep[0]` are rows of the ranking, and no more are
fitted; the others are counted. Every stage is a function of the candidate alone: what comes out does not depend on the
order, the chunks, the executor, or on how often a run was interrupted. `pdfkit.fitting.comparison` has the formulas of
the evidence, `pdfkit._workers` how work goes out, `pdfkit.screening.run` how a killed run is taken up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import fields, replace
from itertools import chain, islice
from typing import Any

from pdfkit import _checks
from pdfkit.data.curves import PDF
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.particles.particle import Particle
from pdfkit.screening import settings
from pdfkit.screening.alike import at_one_size
from pdfkit.screening.candidates import Candidate, Entry, Item, Names, candidates_of, entry_of, items_of, particle_of
from pdfkit.screening.extras import check_null, extra_rows
from pdfkit.screening.many import Matching, matched_record
from pdfkit.screening.ranking import Ranking, ranked
from pdfkit.screening.rows import RankingRow, Stage, candidate_row, followed
from pdfkit.screening.run import Run, opened
from pdfkit.screening.settings import Composition, Limits, ScreenFit, Work, grouped, shows_options, whole
from pdfkit.screening.study import Confusion, study_confusion
from pdfkit.screening.tasks import Problem, Record, check_parameters, check_problem, particle_key


@_checks.renamed(weights="use_errors=True or use_errors=False")
@shows_options(*settings.GROUPS.values())
def screen(
    candidates: Any,
    data: PDF | Mapping[str, Any],
    *,
    fit: ScreenFit | None = None,
    limits: Limits | None = None,
    composition: Composition | None = None,
    work: Work | None = None,
    **options: Any,
) -> Ranking:
    """Compare many clusters with a measured G(r) and return them in order of evidence.

    The evidence is the integral of the likelihood over flat priors between the bounds of the parameters (a scale: up to
    twice its value), by Laplace's formula (mixtures: by importance sampling). ln L is −½ χ² with errors of the data, as
    long as the best candidate fits within them, else −½ N ln(χ²/N), χ² over N independent residuals (about Δr·Qmax/π);
    mixtures of two of n lose ln[(n − 1)/2] because there are so many. `Ranking.compare` looks at the best more closely.
    Source: Kass & Raftery, J. Am. Stat. Assoc. 90, 773 (1995).
    Candidates within `threshold` of the best cannot be told apart by these data; all of them are marked.

    Parameters
    ----------
    candidates : any iterable, taken one by one, of particles, file names, (name, error) pairs, or whatever
        `Particle.from_structure` takes; or a folder of xyz, CIF… files. What cannot be computed is a row that says why;
        those with all distances the same are one row that names the others: the same atoms at the same places or
        mirrored, isotopes but for neutrons, and where expansion is free one cluster at several sizes.
    data : measured G(r); or a dict of it, further G(r) such as that of neutrons, and patterns, as for `pdfkit.fit`:
        {"pdf": G, "n": N, "saxs": I, "xrd": P}. The match looks at the first G(r) alone, the fits at all.
    options : any of the options below by name, such as rmin=2, free=["scale", "Uiso"], workers=2.
    fit : `pdfkit.screening.ScreenFit`, how each candidate is fitted: free, rmin, rmax (Å), start, ties, bounds, …
    limits : `Limits`, which candidates go on and what is ranked beside them: keep, mixtures, null, threshold.
    composition : `Composition`, what is known of it: ratio, mass (g/mol), … Checked and shown, not used in the order.
    work : `Work`, where and how the work is done: executor, workers, chunk, out, resume, progress.

    Raises
    ------
    ParameterError : an option that does not exist, names that no candidate has. PdfkitError : no candidates, data that
    do not suffice, a journal of another problem, an executor that broke (what was finished is in the journal).

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> clusters = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4, 5)]
    >>> truth = pk.Cluster(clusters[1], "c", Uiso={"Cd": 0.03, "Se": 0.03}, delta2=4)
    >>> data = pk.Model(truth, pk.Instrument(probe="X", qmin=0.8, qmax=16))(np.arange(1.8, 14, 0.05))  # simulated
    >>> [(row.formula, round(row.rw, 2), row.indistinguishable) for row in pk.screen(clusters, data, rmin=2)]
    [('Cd20Se10', 0.0, True), ('Cd35Se20', 0.13, False), ('Cd10Se4', 0.15, False)]
    """
    settings.check_names(options)
    fit, limits = grouped("fit", fit, options), grouped("limits", limits, options)
    composition, work = grouped("composition", composition, options), grouped("work", work, options)
    problem = Problem.of(data, fit)
    check_problem(problem)
    check_null(limits.null)
    if limits.mixtures and fit.exafs:
        raise PdfkitError(
            "exafs is of one arrangement of atoms, and a mixture has two: leave mixtures out, or exafs", key="mixtures"
        )
    with opened(work, "screen.jsonl", problem.digest(), problem) as (journal, pool):
        run = Run(problem, journal, pool, work)
        found = _Funnel(run, composition)
        found.pass_through(items_of(candidates), limits.keep, _length(candidates))
        rows = found.rows()
        more, stages = extra_rows(run, rows, found.particles, limits, composition)
    return ranked([*rows, *more], [*found.stages, *stages], problem, limits, composition, found.particles)


@shows_options(Work)
def confusion(
    finalists: int | Sequence[str] | Iterable[Particle],
    source: Ranking | PDF,
    *,
    repeats: int = 20,
    seed: int = 0,
    displacement: str | float | None = None,
    work: Work | None = None,
    **options: Any,
) -> Confusion:
    """Return how often these data, measured anew, would put the wrong candidate first.

    Each finalist in turn is taken for true: `repeats` measurements are simulated from its fitted curve, with the noise
    of the data (its errors where the best candidate fits within them, else the misfit of the best, in either case
    correlated as the cut at Qmax has it), and all finalists are fitted to each.

    Parameters
    ----------
    finalists : how many of the best candidates of a ranking, or names in it, or particles. source : the ranking, or
        data to screen particles against first.
    repeats, seed : of the noise. displacement : how far the atoms of the true one are displaced in every measurement:
        an rms in Å, "auto", as far as the data ask for, or "none" (default), not at all. With data, that of the screen
        as well. work : `pdfkit.screening.Work`, where and how the work is done; the journal is
        `confusion.jsonl` in its folder. options : those of `Work` by name, and with data those of `screen`.

    Raises
    ------
    PdfkitError : fewer than two finalists that can be fitted, and whatever `screen` raises.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> clusters = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4)]
    >>> truth = pk.Cluster(clusters[1], "c", Uiso={"Cd": 0.03, "Se": 0.03}, delta2=4)
    >>> data = pk.Model(truth, pk.Instrument(probe="X", qmin=0.8, qmax=16))(np.arange(1.8, 14, 0.05))  # simulated
    >>> study = pk.confusion(2, pk.screen(clusters, data), repeats=3)
    >>> study.names, study.first.tolist()  # each came first in all measurements of its own
    (('Cd20Se10_tetrahedron', 'Cd10Se4_tetrahedron'), [[3, 0], [0, 3]])
    """
    settings.check_names(
        options, [one.name for one in fields(Work)] if isinstance(source, Ranking) else settings.OPTIONS
    )
    repeats, seed = whole("repeats", repeats), whole("seed", seed, 0)
    work = grouped("work", work, options)
    moved = "none" if displacement is None else settings.displacement_of(displacement)
    given = {} if displacement is None else {"displacement": moved}
    ranking, names = _finalists(finalists, source, {**options, **given, "work": work})
    if len(names) < 2:
        raise PdfkitError(
            f"only {len(names)} of the finalists can be fitted, and a confusion study needs two: give more finalists"
        )
    if moved == "auto" and not followed(ranking.best(len(ranking))):
        raise PdfkitError(
            'displacement = "auto" is what the data ask for, and this ranking knows nothing of displaced atoms: '
            "give an rms displacement in Å",
            key="displacement",
        )
    return study_confusion(ranking, names, repeats, seed, work, moved)


def _finalists(finalists: Any, source: Any, options: Mapping[str, Any]) -> tuple[Ranking, list[str]]:
    """Return a ranking and the names of those in it that are meant."""
    if isinstance(source, Ranking):
        if isinstance(finalists, int):
            return source, [row.name for row in source.best(whole("finalists", finalists), kind="candidate")]
        names = list(finalists)
        if all(isinstance(name, str) for name in names):
            return source, [source[name].name for name in names]
        data, wanted, keys = source.data, set(map(particle_key, names)), source.particles
        if wanted <= set(keys):
            return source, [row.name for row in source.best(len(source), kind="candidate") if row.key in wanted]
        raise PdfkitError(
            f"some of the finalists were not fitted in this ranking of {data.name or 'the data'}: screen them first"
        )
    if not isinstance(source, PDF | Mapping) or isinstance(finalists, int):
        raise PdfkitError(
            "confusion needs either a number and a ranking, or particles and a PDF: give one of these pairs"
        )
    particles = list(finalists)
    ranking = screen(particles, source, **{"keep": (max(len(particles), 1),) * 2, **options})
    return ranking, [row.name for row in ranking.best(len(ranking), kind="candidate")]


Take = Callable[[Candidate, Record], None]


class _Funnel:
    """Takes all candidates through the stages that their number asks for.

    Leaves every entry with its last stage and record, the atoms of those that were fitted, and the numbers of each
    stage.
    """

    def __init__(self, run: Run, composition: Composition) -> None:
        self.run, self.composition = run, composition
        self.particles: dict[str, Particle] = {}
        self.stages: list[Stage] = []
        self.twins: dict[str, list[str]] = {}
        """Names of those left out because they have the distances of one that came before, by its key."""
        self._names = Names()
        self._named: dict[int, str] = {}
        self._latest: dict[int, tuple[Entry, str, Record]] = {}

    @property
    def entries(self) -> list[tuple[Entry, str, Record]]:
        """Every candidate after its last stage, in the order in which they came."""
        return [self._latest[place] for place in sorted(self._latest)]

    def rows(self) -> list[RankingRow]:
        """Return the row of every candidate, one for those that are one cluster; the atoms of the others go."""
        entries, scaled = at_one_size(self.entries, self.particles, self.twins, self.run.problem)
        kept = {entry.key for entry, *_ in entries}
        self.particles = {key: one for key, one in self.particles.items() if key in kept}
        *before, last = self.stages
        self.stages = [*before, replace(last, kept=len(self.particles))]
        return [
            candidate_row(*one, self.composition, self.twins.get(one[0].key, ()), scaled.get(one[0].key, ()))
            for one in entries
        ]

    def pass_through(self, items: Iterator[Item], keep: tuple[int, int], total: int | None) -> None:
        """Fit all candidates, or of many the best. PdfkitError where there are none."""
        few = candidates_of(items, self.composition, self.twins, self._names, self.run.problem)
        head = list(islice(few, keep[1] + 1))
        if not head:
            raise PdfkitError("there are no candidates: give particles, files or a folder of them")
        self._named = {candidate.entry.place: candidate.entry.name for candidate in head}
        _check_usable(head[: self.run.chunk], self.run.problem)
        if len(head) <= keep[1]:
            self._fit(head)
            return
        self._fit(self._match(chain(map(_as_item, head), items), keep, total))

    def _match(self, items: Iterator[Item], keep: tuple[int, int], total: int | None) -> list[Candidate]:
        """Match all, remember the best `keep[0]`, and return those of them that go on."""
        matching = Matching(self.run, keep)
        matching.pass_through(items, total)
        held, further = matching.held()
        out = []
        for item, match in held:
            candidate = self._entered(item, matching.twins.get(match.shape, []))
            self._latest[item.place] = candidate.entry, "match", matched_record(match, candidate.payload)
            if item.place in further:
                out.append(candidate)
        for item, error in matching.errors:
            entry = entry_of(item.place, self._name(item, None), None, error, self.composition)
            self._latest[item.place] = entry, "match", {"error": error}
        self.stages.append(Stage("match", matching.entered, matching.failed, len(out)))
        return out

    def _entered(self, item: Item, twins: list[str]) -> Candidate:
        """Return a candidate that is held, with its atoms."""
        particle, error = particle_of(item.item)
        entry = entry_of(item.place, self._name(item, particle), particle, error, self.composition)
        if twins:
            self.twins.setdefault(entry.key, []).extend(twins)
        return Candidate(entry, particle)

    def _name(self, item: Item, particle: Particle | None) -> str:
        return self._named.get(item.place) or self._names.of(item, particle)

    def _fit(self, candidates: list[Candidate]) -> None:
        def take(candidate: Candidate, record: Record) -> None:
            self.particles[candidate.entry.key] = candidate.payload

        entered, failed = self._stage("fit", candidates, len(candidates), take)
        self.stages.append(Stage("fit", entered, failed, entered - failed))

    def _stage(self, name: str, candidates: Iterable[Candidate], total: int | None, take: Take) -> tuple[int, int]:
        """Run a stage, hand on what did not fail, and return how many went in and how many failed."""
        entered = failed = 0
        for candidate, record in self.run.stage(name, candidates, total):
            self._latest[candidate.entry.place] = (candidate.entry, name, record)
            entered += 1
            if "error" in record:
                failed += 1
            else:
                take(candidate, record)
        return entered, failed


def _as_item(candidate: Candidate) -> Item:
    """Return a candidate as it came, or the error that it is."""
    entry = candidate.entry
    return Item(entry.place, entry.name, PdfkitError(entry.error) if candidate.payload is None else candidate.payload)


def _check_usable(candidates: Sequence[Candidate], problem: Problem) -> None:
    """Refuse settings that none of the first candidates can be meant for (ParameterError).

    A misspelt name would otherwise make every row say so, hours later.
    """
    refusal = None
    for candidate in candidates:
        if candidate.payload is None:
            continue
        try:
            return check_parameters(problem, candidate.payload)
        except ParameterError as error:
            refusal = error
        except PdfkitError:
            continue
    if refusal is not None:
        raise refusal


def _length(candidates: Any) -> int | None:
    return len(candidates) if isinstance(candidates, Sized) and not isinstance(candidates, str | Particle) else None
