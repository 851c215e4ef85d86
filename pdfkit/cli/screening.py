"""What `pdfkit screen` does: candidates from a folder, files or the builders, and everything it leaves in a folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from pdfkit.errors import PdfkitError
from pdfkit.screening.ranking import Ranking
from pdfkit.screening.run import Progress
from pdfkit.screening.screening import FREE, KEEP, confusion, screen
from pdfkit.screening.study import Confusion

EVERY = 10.0  # seconds between lines where there is no terminal
NAMES = ("ranking.txt", "ranking.csv", "ranking.h5", "ranking.png", "confusion.txt", "confusion.csv", "confusion.png")


@dataclass(frozen=True)
class ScreenOptions:
    """What `pdfkit screen` is asked for: its options under their own names."""

    rmin: float | None = None
    rmax: float | None = None
    probe: str | None = None
    qmin: float | None = None
    qmax: float | None = None
    qdamp: float | None = None
    qbroad: float | None = None
    free: Sequence[str] = FREE
    start: Sequence[str] = ()
    keep: tuple[int, int] = KEEP
    build: Sequence[str] = ()
    limit: int = 100
    seed: int = 1
    null: str | None = None
    mixtures: int = 0
    ratio: tuple[float, float] | None = None
    mass: float | None = None
    inorganic: float = 1.0
    confusion: int = 0
    repeats: int = 20
    workers: int | None = None
    dask: str | None = None
    out: Path = field(default_factory=lambda: Path("pdfkit-screen"))
    resume: bool = True


def run_screen(
    data: Path, candidates: Sequence[str], options: ScreenOptions
) -> tuple[Ranking, Confusion | None, list[Path]]:
    """Screen candidates as `pdfkit screen` does; return the ranking, the study of confusion if asked for, and files.

    Raises PdfkitError for whatever cannot be used; what was finished before is in the journal in `options.out`.
    """
    from pdfkit.io import _folders
    from pdfkit.io.pdf import read_pdf

    given = {name: getattr(options, name) for name in ("probe", "qmin", "qmax", "qdamp", "qbroad")}
    pdf = read_pdf(data, **{name: value for name, value in given.items() if value is not None})
    source = _candidates(candidates, options)
    study = None
    named: list[str | Path] = [data, *(one for one in candidates if not Path(one).is_dir())]
    with _folders.folder(options.out, NAMES, named) as folder, _executor(options) as how, progress() as tell:
        shared: dict[str, Any] = {**how, "out": folder, "resume": options.resume, "progress": tell}
        ranking = screen(
            source,
            pdf,
            free=tuple(options.free),
            rmin=options.rmin,
            rmax=options.rmax,
            start=_start(options.start),
            keep=options.keep,
            null=options.null,
            mixtures=options.mixtures,
            ratio=options.ratio,
            mass=options.mass,
            inorganic=options.inorganic,
            **shared,
        )
        files = _write(ranking, folder)
        if options.confusion:
            study = confusion(options.confusion, ranking, repeats=options.repeats, seed=options.seed, **shared)
            with _folders.publish(folder) as stage:
                files += [folder / file.name for file in _write_study(study, stage)]
    return ranking, study, files


def _candidates(named: Sequence[str], options: ScreenOptions) -> Iterator[Any]:
    """Return particles of formulas and files of folders, one after the other; what is missing is said at once."""
    from pdfkit import build
    from pdfkit.screening.candidates import files_in

    if not named and not options.build:
        raise PdfkitError("there are no candidates: name a folder of xyz files, or give --build Cd37S20")
    files = [file for one in named for file in files_in(one)]
    return chain(
        files, *(build.iter_candidates(formula, limit=options.limit, seed=options.seed) for formula in options.build)
    )


def _start(settings: Sequence[str]) -> dict[str, float]:
    out = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        try:
            out[name.strip()] = float(text)
        except ValueError:
            raise PdfkitError(f"--start {setting} is not NAME=VALUE: write for example --start Uiso=0.02") from None
    return out


@contextmanager
def _executor(options: ScreenOptions) -> Iterator[dict[str, Any]]:
    """Give the arguments that say where the work is done."""
    from pdfkit._machine import cores
    from pdfkit._workers import dask_executor

    if options.dask is None:
        yield {"workers": options.workers or cores()}
        return
    with dask_executor(options.dask) as executor:
        yield {"executor": executor, "workers": options.workers}


def _write(ranking: Ranking, folder: Path) -> list[Path]:
    """Write what a ranking leaves, all or nothing."""
    from pdfkit.io._folders import publish

    with publish(folder) as stage:
        files = _write_ranking(ranking, stage)
    return [folder / file.name for file in files]


def _write_ranking(ranking: Ranking, folder: Path) -> list[Path]:
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
    return files


def _write_study(study: Confusion, folder: Path) -> list[Path]:
    from pdfkit.io._atomic import write_text
    from pdfkit.plot import clusters

    text, columns, picture = (folder / name for name in NAMES[4:])
    write_text(text, study.table() + "\n")
    study.to_csv(columns)
    clusters.confusion(study, picture)
    return [text, columns, picture]


@contextmanager
def progress() -> Iterator[Callable[[Progress], None]]:
    """Give the function to call with the progress: live on a terminal, elsewhere a line every ten seconds."""
    if not sys.stderr.isatty():
        with nullcontext():
            yield _Lines()
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield lambda now: status.update(words(now))


class _Lines:
    """Prints a line every ten seconds."""

    def __init__(self) -> None:
        self.due = time.monotonic() + EVERY

    def __call__(self, now: Progress) -> None:
        if time.monotonic() >= self.due:
            self.due = time.monotonic() + EVERY
            print(words(now), file=sys.stderr, flush=True)


_DOING = {
    "match": "matching",
    "scale": "scaling",
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
