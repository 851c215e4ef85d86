"""The command `pdfkit screen`: candidates from a folder, files or the builders, and all that it leaves in a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit.cli.console import Printed, named_values, progress
from pdfkit.cli.options import QBROAD, QDAMP, QTAIL, RESOLUTION, Highest, Lowest, MaxQ, MinQ, Probe
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.data.curves import PDF
    from pdfkit.screening import Progress
    from pdfkit.screening.ranking import Ranking
    from pdfkit.screening.study import Confusion

NAMES = (
    "ranking.txt", "ranking.csv", "ranking.h5", "ranking.png", "confusion.txt", "confusion.csv", "confusion.png",
    "report.html", "report.tex",
)  # fmt: skip

PACKED = 120.0
"""Å over which packed particles know of each other."""
HELD = ("domain", "fwhm")
"""Numbers of patterns that stay where they are; others are fitted."""


def _option(panel: str, text: str, *names: str, **more: Any) -> Any:
    """Return an option of the command, under the heading `panel` of its help."""
    return typer.Option(*names, help=text, rich_help_panel=panel, **more)


_BUILD, _FIT, _RANK = "Building candidates", "Fits", "Ranking"
_KNOWN, _STUDY, _WORK = "Known composition (shown beside each candidate)", "Study of confusion", "Work and output"


def screen(
    data: Annotated[Path, typer.Argument(metavar="DATA.gr", help="Measured G(r).")],
    candidates: Annotated[
        list[str] | None,
        typer.Argument(metavar="CANDIDATE", help="Structure files (xyz, CIF, …), or folders of them."),
    ] = None,
    build: Annotated[
        list[str] | None,
        _option(_BUILD, "A formula such as Cd37S20: build candidates of this composition. Can be repeated."),
    ] = None,
    limit: Annotated[int, _option(_BUILD, "Maximum number built per family and kind.", min=1)] = 100,
    probe: Probe = None,
    qmin: MinQ = None,
    qmax: MaxQ = None,
    qdamp: Annotated[float | None, QDAMP] = None,
    qbroad: Annotated[float | None, QBROAD] = None,
    resolution: Annotated[float | None, RESOLUTION] = None,
    qtail: Annotated[float | None, QTAIL] = None,
    rmin: Lowest = None,
    rmax: Highest = None,
    free: Annotated[
        list[str] | None,
        _option(_FIT, "A parameter to fit; can be repeated. Default: scale, expansion, Uiso and delta2."),
    ] = None,
    start: Annotated[
        list[str] | None,
        _option(_FIT, "Start value of a parameter, such as Uiso=0.02; can be repeated.", metavar="NAME=VALUE"),
    ] = None,
    saxs: Annotated[
        Path | None, _option(_FIT, "Small-angle scattering of the same particles, I(Q), to compare with as well.")
    ] = None,
    saxs_unit: Annotated[
        str | None, _option(_FIT, "Unit of Q in that file, A-1 or nm-1, if it does not say it.")
    ] = None,
    packing: Annotated[
        str | None, _option(_FIT, "Their packing: none, hard-spheres or hexagonal, whose numbers are fitted.")
    ] = None,
    neutrons: Annotated[
        Path | None,
        _option(_FIT, "G(r) of neutrons of the same particles, to compare with as well; its file says Qmin and Qmax."),
    ] = None,
    xrd: Annotated[
        Path | None,
        _option(_FIT, "A powder pattern of the same particles, to compare with; its zero is fitted."),
    ] = None,
    wavelength: Annotated[float | None, _option(_FIT, "Å, of the powder pattern, if its file does not say it.")] = None,
    polarisation: Annotated[
        str | None, _option(_FIT, "Of the powder pattern: none (a beamline) or unpolarised (an X-ray tube).")
    ] = None,
    displacement: Annotated[
        str | None,
        _option(
            _FIT,
            "Whether atoms may sit elsewhere than the candidates have them: auto (by as much as the data say), none, "
            "or the rms displacement in Å. Default: auto.",
            metavar="auto|none|Å",
        ),
    ] = None,
    exafs: Annotated[
        list[str] | None,
        _option(
            _FIT,
            'What EXAFS tells of the first shells, with its error: "bond Cd-S=2.52,0.01", "coordination Cd-S=3.2,0.3" '
            'or "angle S-Cd-S=106,2"; can be repeated.',
            metavar="NAME=VALUE,ERROR",
        ),
    ] = None,
    keep: Annotated[
        tuple[int, int] | None,
        _option(_RANK, "Of very many candidates, most rows and fewest full fits. Default: 20000 2000."),
    ] = None,
    null: Annotated[
        str | None, _option(_RANK, "A crystal: a sphere of it, as large as the best candidate, is ranked too.")
    ] = None,
    mixtures: Annotated[
        int | None, _option(_RANK, "Number of mixtures of two of the best candidates to fit and rank too.", min=0)
    ] = None,
    ratio: Annotated[
        tuple[float, float] | None, _option(_KNOWN, "Measured cations per anion: lowest and highest.")
    ] = None,
    mass: Annotated[float | None, _option(_KNOWN, "g/mol; measured mass of the whole particle.")] = None,
    inorganic: Annotated[
        float | None, _option(_KNOWN, "Mass fraction of the inorganic core in that mass. Default: 1.")
    ] = None,
    certificate: Annotated[
        int | None,
        _option(_STUDY, "Cases like this one to simulate: how often the list holds the truth. Default: 200.", min=0),
    ] = None,
    confusion: Annotated[
        int,
        _option(_STUDY, "Number of the best candidates to study: how often noise makes one pass for another.", min=0),
    ] = 0,
    repeats: Annotated[int, _option(_STUDY, "Simulated measurements of each of them.", min=1)] = 20,
    seed: Annotated[int, _option(_WORK, "Seed of the random search for candidates and of simulated noise.", min=0)] = 1,
    workers: Annotated[int | None, _option(_WORK, "Number of processes. Default: one per core.", min=1)] = None,
    dask: Annotated[
        str | None,
        _option(_WORK, "Compute on this dask scheduler, such as tcp://host:8786.", metavar="ADDRESS"),
    ] = None,
    resume: Annotated[
        bool, _option(_WORK, "Go on from the journal in the folder, or recompute existing results.")
    ] = True,
    rows: Annotated[int, _option(_WORK, "Number of rows of the table to show.", min=1)] = 20,
    report: Annotated[
        bool, _option(_WORK, "Write report.html and report.tex, too: a page for a paper's supplement.", "--report")
    ] = False,
    out: Annotated[
        Path, _option(_WORK, "Folder of the results and of the journal.", "--out", "-o", metavar="DIR")
    ] = Path("pdfkit-screen"),
) -> Printed:
    """Rank candidate clusters against measured G(r): which fit, and which the data cannot tell apart.

    A run that was interrupted goes on where it stopped when it is started again.
    """
    given = {name: value for name, value in locals().items() if value is not None}
    for name in ("data", "candidates", "rows"):
        given.pop(name, None)
    ranking, study, files = run_screen(data, candidates or [], **given)
    text = ranking.table(rows) + ("" if study is None else f"\n\n{study.table()}")
    best = [{**vars(row), "rank": rank} for rank, row in enumerate(ranking.best(rows), 1)]
    return Printed(text, files, {"best": best, "rows": len(ranking)})


def run_screen(
    data: Path, candidates: Sequence[str], *, out: Path, **given: Any
) -> tuple[Ranking, Confusion | None, list[Path]]:
    """Screen candidates as `pdfkit screen` does; return the ranking, the study of confusion if asked for, and files.

    given : options of the command by name. Raises PdfkitError for whatever cannot be used; what was finished before is
    in the journal in `out`.
    """
    from pdfkit.io import _folders
    from pdfkit.io.pdf import read_pdf
    from pdfkit.screening.screening import confusion as study_of
    from pdfkit.screening.screening import screen
    from pdfkit.screening.settings import FREE, OPTIONS

    pdf = read_pdf(data, **_among(given, "probe", "qmin", "qmax", "qdamp", "qbroad", "resolution", "qtail"))
    beside, more = _patterns(given)
    source = _candidates(candidates, **_among(given, "build", "limit", "seed"))
    options = {**_among(given, *OPTIONS), "start": named_values("--start", given.get("start", ()))}
    options |= {"exafs": _shells(given["exafs"])} if "exafs" in given else {}
    options |= {"free": [*options.get("free", FREE), *more]} if more else {}
    study = None
    named: list[str | Path] = [
        data,
        *_among(given, "neutrons", "saxs", "xrd").values(),
        *(one for one in candidates if not Path(one).is_dir()),
    ]
    where = executor_of(**_among(given, "dask", "workers"))
    with _folders.folder(out, NAMES, named) as folder, where as how, progress() as say:
        shared = {**_among(given, "resume"), **how, "out": folder, "progress": lambda now: say(words(now))}
        ranking = screen(source, {"pdf": pdf, **beside} if beside else pdf, **{**options, **shared})
        files = _write(folder, partial(_write_ranking, ranking, report=bool(given.get("report"))))
        if given.get("confusion"):
            study = study_of(given["confusion"], ranking, **_among(given, "repeats", "seed"), **shared)
            files += _write(folder, partial(_write_study, study))
    return ranking, study, files


def _patterns(given: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what is compared beside G(r), by name, and what of their own is fitted."""
    from pdfkit.io.intensity import read_intensity, read_small_angles
    from pdfkit.model.measured import Powder, SmallAngle

    about = (("saxs_unit", "saxs"), ("packing", "saxs"), ("wavelength", "xrd"), ("polarisation", "xrd"))
    for option, file in about:
        if option in given and file not in given:
            raise PdfkitError(
                f"--{option.replace('_', '-')} is about a file that was not given: give it as --{file} FILE"
            )
    out: dict[str, Any] = {}
    if "neutrons" in given:
        out["n"] = _of_neutrons(given["neutrons"])
    if "saxs" in given:
        told = _among(given, "packing")
        told |= {"reach": PACKED} if told.get("packing", "none") != "none" else {}
        data = read_small_angles(given["saxs"], unit=given.get("saxs_unit", "auto"))
        out["saxs"] = SmallAngle(data, **told)
    if "xrd" in given:
        data = read_intensity(given["xrd"], **_among(given, "wavelength"))
        out["xrd"] = Powder(data, **_among(given, "polarisation"))
    own = [q.name for name, one in out.items() if name != "n" for q in one.quantities]
    return out, tuple(name for name in own if name not in HELD)


def _of_neutrons(path: Path) -> PDF:
    """Return G(r) of neutrons; the Qmin that its file says is applied, as there is no option for it."""
    from pdfkit.io.pdf import read_pdf

    pdf = read_pdf(path, probe="N")
    said = re.match(r"qmin = (\S+) ", pdf.header.get("note qmin", ""))
    return read_pdf(path, probe="N", qmin=float(said[1])) if said else pdf


def _shells(given: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Return the NAME=VALUE,ERROR texts of --exafs as pairs by name."""
    out = {}
    for one in given:
        name, _, numbers = one.partition("=")
        if name.strip() in out:
            raise PdfkitError(f"--exafs gives {name.strip()} twice: give it once")
        try:
            out[name.strip()] = tuple(float(number) for number in numbers.split(","))
        except ValueError:
            raise PdfkitError(
                f'--exafs {one} is not NAME=VALUE,ERROR: write for example --exafs "bond Cd-S=2.52,0.01"'
            ) from None
    return out


def _among(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _candidates(named: Sequence[str], build: Sequence[str] = (), **search: Any) -> Iterator[Any]:
    """Return particles of formulas and files of folders, one after the other; what is missing is said at once."""
    from pdfkit.build import iter_candidates
    from pdfkit.screening.candidates import files_in

    if not named and not build:
        raise PdfkitError("there are no candidates: name a folder of xyz files, or give --build Cd37S20")
    files = [file for one in named for file in files_in(one)]
    return chain(files, *(iter_candidates(formula, **search) for formula in build))


@contextmanager
def executor_of(dask: str | None = None, workers: int | None = None) -> Iterator[dict[str, Any]]:
    """Give the options that say where the work is done."""
    from pdfkit._machine import cores
    from pdfkit._workers import dask_executor

    if dask is None:
        yield {"workers": workers or cores()}
        return
    with dask_executor(dask) as executor:
        yield {"executor": executor, "workers": workers}


def _write(folder: Path, write: Callable[[Path], list[Path]]) -> list[Path]:
    """Write what a ranking or a study leaves, all or nothing."""
    from pdfkit.io._folders import publish

    with publish(folder) as stage:
        files = write(stage)
    return [folder / file.name for file in files]


def _write_ranking(ranking: Ranking, folder: Path, *, report: bool) -> list[Path]:
    from pdfkit.io._atomic import write_text
    from pdfkit.plot import clusters

    text, columns, store, picture = (folder / name for name in NAMES[:4])
    write_text(text, ranking.table(100) + "\n")
    ranking.to_csv(columns)
    ranking.save(store)
    files = [text, columns, store]
    if ranking.best(1):
        clusters.ranking(ranking, picture)
        files.append(picture)
        files += [ranking.report(folder / name) for name in NAMES[7:] if report]
    return files


def _write_study(study: Confusion, folder: Path) -> list[Path]:
    from pdfkit.io._atomic import write_text
    from pdfkit.plot import clusters

    text, columns, picture = (folder / name for name in NAMES[4:7])
    write_text(text, study.table() + "\n")
    study.to_csv(columns)
    clusters.confusion(study, picture)
    return [text, columns, picture]


_DOING = {
    "match": "matching",
    "fit": "fitting",
    "mixture": "fitting mixtures",
    "confusion": "simulating and refitting",
}


def words(now: Progress) -> str:
    """Return progress as a line: what, how many of how many, rate and time left."""
    of = "" if now.total is None else f" of {now.total}"
    left = "" if now.left is None else f", {_duration(now.left)} left"
    rate = f", {now.rate:.3g}/s" if now.rate > 0 else ""
    return f"{_DOING.get(now.stage, now.stage)}: {now.done}{of}{rate}{left}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
