"""Screening: which of many finite clusters describe a measured G(r), and which of them the data cannot tell apart.

ranking = pk.screen(pk.build.candidates("Cd37S20"), data, rmin=1.8, rmax=14, workers=2, out="run")
    print(ranking)
    study = pk.confusion(ranking, repeats=20, workers=2, out="run")
    print(study)

| stage | what is done to a candidate | evaluations |
|---|---|---|
| match | scale by linear least squares, expansion looked for; everything else at the start values | 1 |
| scale | the same, at the best of five U common to all atoms | 5 |
| fit | the full fit of all free parameters | about 10 |

Up to `keep[1]` candidates are all fitted. Of more, the best `keep[0]` by Rw go from match to scale and the best
`keep[1]` from scale to fit. Every stage is a function of the candidate alone: what comes out does not depend on the
order, the chunks, the executor, or on how often a run was interrupted. `pdfkit.fitting.comparison` has the formulas of
the evidence, `pdfkit._workers` how work goes out, `pdfkit.screening.run` how a killed run is taken up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Executor
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import Any

from pdfkit import _checks, build
from pdfkit._workers import Pool, dask_size
from pdfkit.data.curves import PDF
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.fitting.comparison import INDISTINGUISHABLE
from pdfkit.particles.particle import Particle
from pdfkit.screening.candidates import Candidate, Chemistry, Entry, candidates_of, entry_of
from pdfkit.screening.ranking import Ranking, RankingRow, Stage, candidate_row, enough_points, ranked
from pdfkit.screening.run import Best, Journal, Progress, Run, Tell
from pdfkit.screening.run import mixtures as _mixtures
from pdfkit.screening.study import Confusion, study_confusion
from pdfkit.screening.tasks import Record, Setting, check_setting, particle_key, warm_up

# --- The null model of a screen --------------------------------------------------------------------------------------

Null = str | Particle | Callable[[int], Particle]

CENTRES = ("cation", "anion", "bond", "atom")


def check_null(null: Any) -> None:
    """Refuse what no null model can be made of, before anything is computed. Raises PdfkitError."""
    if not (null is None or isinstance(null, Particle) or callable(null)):
        build.network(null)


def null_particle(null: Any, atoms: int) -> Particle:
    """Return the null model for a best candidate of `atoms` atoms.

    null : a particle; a function of the number of atoms; or what `pdfkit.build.network` takes (the name of a crystal,
    a structure, …), of which the sphere is cut that comes nearest to that number, centred on a cation, anion or bond.

    Raises PdfkitError for what is none of these.
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


# --- Screening -------------------------------------------------------------------------------------------------------

__all__ = ["Confusion", "Progress", "Ranking", "RankingRow", "confusion", "screen"]

FREE = ("scale", "expansion", "Uiso", "delta2")

KEEP = (2000, 500)

CHUNK = 32


@_checks.renamed(weights="use_errors=True or use_errors=False")
def screen(
    candidates: Any,
    data: PDF,
    *,
    free: Sequence[str] = FREE,
    rmin: float | None = None,
    rmax: float | None = None,
    start: Mapping[str, float] | None = None,
    ties: Mapping[str, str | float] | None = None,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    surface: bool = False,
    baseline: str = "auto",
    use_errors: bool = True,
    errors: str = "auto",
    max_nfev: int = 100,
    keep: tuple[int, int] = KEEP,
    mixtures: int = 0,
    null: Null | None = None,
    ratio: tuple[float, float] | None = None,
    ratio_of: tuple[str, str] | None = None,
    mass: float | None = None,
    inorganic: float = 1.0,
    mass_tolerance: float = 0.05,
    threshold: float = INDISTINGUISHABLE,
    memory: float = 1e9,
    executor: Executor | None = None,
    workers: int | None = None,
    chunk: int = CHUNK,
    out: str | PathLike[str] | None = None,
    resume: bool = True,
    progress: Tell | None = None,
) -> Ranking:
    """Compare many clusters with a measured G(r) and return them in order of evidence.

    The evidence is ln Z = −½ N_ind ln(χ²/N_ind) − ½ k ln N_ind (noise not known), or −½ χ² − ½ k ln N_ind (errors of
    the data, as long as the best candidate fits within them): χ² over N_ind independent residuals (about Δr·Qmax/π),
    k free parameters; mixtures of two of n are charged ln[(n − 1)/2] for their number. Source: Schwarz, Ann. Stat. 6,
    461 (1978); Kass & Raftery, J. Am. Stat. Assoc. 90, 773 (1995).
    Candidates within `threshold` of the best cannot be told apart by these data; all of them are marked.

    Parameters
    ----------
    candidates : any iterable, taken one by one, of particles, file names, (name, error) pairs, or whatever
        `Particle.from_structure` takes; or a folder of xyz, CIF… files. What cannot be computed is a row that says why;
        the same atoms at the same places are one row that names the others.
    data : measured G(r); rmin, rmax : Å, range of the comparison.
    free, ties, bounds : as for `pdfkit.fit`, names by their endings ("Uiso", "Cd.Uiso", "qdamp"…). start : start values
        by name; default Uiso 0.03 Å², delta2 (if free) 0.65 of the largest that the shortest bond allows. Where
        expansion is free it is looked for within ±4 % before the fit.
    surface, baseline : as for `Cluster`. use_errors, errors, max_nfev : as for `fit`.
    keep : how many go on to the second stage and to the full fit, at most (those level with the last as well).
    mixtures : so many mixtures of two of the best are fitted (own scales and expansions, shared Uiso and delta) and
        ranked with the rest.
    null : a crystal (name, structure, file), of which a sphere with as many atoms as the best candidate is ranked with
        the rest; or a particle; or a function of the number of atoms.
    ratio : (low, high) of measured cations per anion; ratio_of : the two elements. mass : g/mol of the whole particle,
        inorganic : mass fraction of its core, mass_tolerance : relative. Checked and shown, not used in the order.
    memory : bytes that one candidate may need. executor : any `concurrent.futures.Executor`; dask's is
        `client.get_executor()`. workers : processes to start without one (a script then needs the line
        `if __name__ == "__main__":`). chunk : candidates that travel together.
    out : folder of the journal `screen.jsonl`, from which a run that was killed goes on (resume=False starts anew).
    progress : called with a `Progress` (stage, done, total, rate per second, seconds left).

    Raises
    ------
    ParameterError : names that no candidate has. PdfkitError : no candidates, data that do not suffice, a journal of
    another problem, an executor that broke (what was finished is in the journal).

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> clusters = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4, 5)]
    >>> truth = pk.Cluster(clusters[1], "c", Uiso={"Cd": 0.03, "Se": 0.03}, delta2=4)
    >>> data = pk.Model(truth, pk.Instrument(probe="X", qmin=0.8, qmax=16))(np.arange(1.8, 14, 0.05))  # simulated
    >>> [(row.formula, round(row.rw, 2), row.same) for row in pk.screen(clusters, data)]
    [('Cd20Se10', 0.0, True), ('Cd35Se20', 0.13, False), ('Cd10Se4', 0.15, False)]
    """
    chemistry = Chemistry(ratio, ratio_of, mass, inorganic, mass_tolerance)
    setting = Setting(
        data.crop(rmin, rmax),
        _names("free", free),
        dict(start or {}),
        dict(ties or {}),
        dict(bounds or {}),
        surface,
        baseline,
        use_errors,
        errors,
        max_nfev,
        _checks.number("memory", memory, low=0.0, open_low=True),
    )
    check_setting(setting)
    enough_points(setting)
    check_null(null)
    keep, chunk = _kept(keep), _whole("chunk", chunk)
    threshold = _checks.number("threshold", threshold, low=0.0, open_low=True)
    twins: dict[str, list[str]] = {}
    source = _usable(candidates_of(candidates, chemistry, twins), setting, chunk)
    path = None if out is None else Path(out) / "screen.jsonl"
    size = dask_size(executor) if workers is None else _whole("workers", workers)
    with Journal(path, setting.digest(), resume=resume) as journal, Pool(executor, size, (warm_up, (setting,))) as pool:
        run = Run(setting, journal, pool, chunk, progress)
        found = _funnel(run, source, keep, _length(candidates))
        rows = [candidate_row(*one, chemistry, twins.get(one[0].key, ())) for one in found.entries]
        more, stages = _company(run, rows, found.particles, chemistry, null, _whole("mixtures", mixtures, 0))
    return ranked([*rows, *more], [*found.stages, *stages], setting, chemistry, found.particles, threshold)


def confusion(
    finalists: int | Sequence[str] | Iterable[Particle],
    source: Ranking | PDF,
    *,
    repeats: int = 20,
    seed: int = 0,
    executor: Executor | None = None,
    workers: int | None = None,
    out: str | PathLike[str] | None = None,
    resume: bool = True,
    progress: Tell | None = None,
    **options: Any,
) -> Confusion:
    """Return how often these data, measured anew, would put the wrong candidate first.

    Each finalist in turn is taken for true: `repeats` measurements are simulated from its fitted curve, with the noise
    of the data (its errors where the best candidate fits within them, else the misfit of the best, in either case
    correlated as the cut at Qmax has it), and all finalists are fitted to each.

    Parameters
    ----------
    finalists : how many of the best candidates of a ranking, or names in it, or particles. source : the ranking, or
        data to screen particles against first, with the `options` of `screen`.
    repeats, seed : of the noise. executor, workers, resume, progress : as for `screen`. out : folder of the journal
        `confusion.jsonl`.

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
    repeats, seed = _whole("repeats", repeats), _whole("seed", seed, 0)
    size = dask_size(executor) if workers is None else _whole("workers", workers)
    ranking, names = _finalists(finalists, source, {**options, "executor": executor, "workers": workers})
    if len(names) < 2:
        raise PdfkitError(f"{len(names)} finalists can be fitted: a study of confusion needs two at least")
    path = None if out is None else Path(out) / "confusion.jsonl"
    warm = (warm_up, (ranking.setting,))
    return study_confusion(ranking, names, repeats, seed, lambda: Pool(executor, size, warm), path, resume, progress)


def _finalists(finalists: Any, source: Any, options: Mapping[str, Any]) -> tuple[Ranking, list[str]]:
    """Return a ranking and the names of those in it that are meant."""
    if isinstance(source, Ranking):
        if isinstance(finalists, int):
            return source, [row.name for row in source.best(_whole("finalists", finalists), kind="candidate")]
        names = list(finalists)
        if all(isinstance(name, str) for name in names):
            return source, [source[name].name for name in names]
        data, wanted, keys = source.setting.data, set(map(particle_key, names)), source.particles
        if wanted <= set(keys):
            return source, [row.name for row in source.best(len(source), kind="candidate") if row.key in wanted]
        raise PdfkitError(
            f"some finalists were not fitted in this ranking of {data.name or 'the data'}: screen them first"
        )
    if not isinstance(source, PDF) or isinstance(finalists, int):
        raise PdfkitError("give a ranking and how many of its best, or particles and the data to compare them with")
    particles = list(finalists)
    ranking = screen(particles, source, **{"keep": (max(len(particles), 1),) * 2, **options})
    return ranking, [row.name for row in ranking.best(len(ranking), kind="candidate")]


# --- the funnel ------------------------------------------------------------------------------------------------------


class _Found:
    """What the funnel leaves: every entry with its last stage and record, atoms of those that were fitted."""

    def __init__(self) -> None:
        self.entries: list[tuple[Entry, str, Record]] = []
        self.particles: dict[str, Particle] = {}
        self.stages: list[Stage] = []


def _funnel(run: Run, source: Iterator[Candidate], keep: tuple[int, int], total: int | None) -> _Found:
    """Take all candidates through the stages that their number asks for."""
    found = _Found()
    latest: dict[int, tuple[Entry, str, Record]] = {}
    head = list(islice(source, keep[1] + 1))
    left: Iterable[Candidate] = chain(head, source)
    if len(head) > keep[1]:
        del head
        for name, count in (("match", keep[0]), ("scale", keep[1])):
            left = _narrow(run, name, left, count, total, latest, found)
            total = len(left)
    elif not head:
        raise PdfkitError("there are no candidates: give particles, files or a folder of them")
    else:
        total = len(head)
    entered = failed = 0
    for candidate, record in run.stage("fit", left, total):
        latest[candidate.entry.place] = (candidate.entry, "fit", record)
        entered += 1
        failed += "error" in record
        if "error" not in record:
            found.particles[candidate.entry.key] = candidate.payload
    found.stages.append(Stage("fit", entered, failed, entered - failed))
    found.entries = [latest[index] for index in sorted(latest)]
    return found


def _narrow(
    run: Run,
    name: str,
    candidates: Iterable[Candidate],
    count: int,
    total: int | None,
    latest: dict[int, tuple[Entry, str, Record]],
    found: _Found,
) -> list[Candidate]:
    """Run a stage and return the best `count` candidates, in their order."""
    best, entered, failed = Best(count), 0, 0
    for candidate, record in run.stage(name, candidates, total):
        latest[candidate.entry.place] = (candidate.entry, name, record)
        entered += 1
        if "error" in record:
            failed += 1
        else:
            best.add(record["rw"], candidate.entry.place, candidate)
    kept: list[Candidate] = best.items()
    found.stages.append(Stage(name, entered, failed, len(kept)))
    return kept


def _company(
    run: Run,
    rows: Sequence[RankingRow],
    particles: dict[str, Particle],
    chemistry: Chemistry,
    null: Null | None,
    count: int,
) -> tuple[list[RankingRow], list[Stage]]:
    """Return the rows of the null model and of mixtures, which depend on what was found before."""
    fitted = sorted((row for row in rows if row.stage == "fit"), key=lambda row: (row.rw, row.name))
    out: list[RankingRow] = []
    stages: list[Stage] = []
    if null is not None and fitted:
        particle = null_particle(null, fitted[0].atoms)
        entry = entry_of(-1, f"null: {particle.name or particle.formula}", particle, "", chemistry)
        for _, record in run.stage("fit", [Candidate(entry, particle)], 1):
            out.append(candidate_row(entry, "fit", record, chemistry, kind="null"))
            stages.append(Stage("null", 1, int("error" in record), int("error" not in record)))
        particles.setdefault(entry.key, particle)
    if count:
        mixed, looked = _mixtures(run, [(row, particles[row.key]) for row in fitted], count)
        out += mixed
        stages.append(Stage("mixture", looked, sum(row.stage == "failed" for row in mixed), len(mixed)))
    return out, stages


# --- what is asked for -----------------------------------------------------------------------------------------------


def _usable(source: Iterator[Candidate], setting: Setting, count: int) -> Iterator[Candidate]:
    """Return the candidates, once one of the first has shown that the settings are meant for such candidates.

    A misspelt name would otherwise make every row say so, hours later.
    """
    head, refusal = [], None
    for candidate in islice(source, count):
        head.append(candidate)
        if candidate.payload is None:
            continue
        try:
            check_setting(setting, candidate.payload)
            refusal = None
            break
        except ParameterError as error:
            refusal = error
        except PdfkitError:
            continue
    if refusal is not None:
        raise refusal
    return chain(head, source)


def _names(what: str, names: Any) -> tuple[str, ...]:
    if isinstance(names, str):
        raise PdfkitError(f"{what} = {names!r} is one word: give a list of names, such as [{names!r}]")
    return tuple(str(name) for name in names)


def _whole(name: str, value: Any, low: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise PdfkitError(f"{name} = {value!r}: give a whole number, {low} or more")
    return value


def _kept(keep: Any) -> tuple[int, int]:
    if not isinstance(keep, Sequence) or len(keep) != 2:
        raise PdfkitError(f"keep = {keep!r}: give two numbers, for the second stage and for the full fit")
    first, second = (_whole("keep", value) for value in keep)
    if first < second:
        raise PdfkitError(f"keep = {keep}: the second stage cannot keep more ({second}) than it gets ({first})")
    return first, second


def _length(candidates: Any) -> int | None:
    return len(candidates) if isinstance(candidates, Sized) and not isinstance(candidates, str | Particle) else None
