"""Reductions of many files: in parallel, resumable, with one row of a table for each file, good or bad."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import secrets
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._machine import cores
from pdfkit._workers import Job, Pool
from pdfkit.data.curves import PDF, Intensity
from pdfkit.errors import PdfkitError, PdfkitWarning, WriteError, heard, missing, remark
from pdfkit.io._atomic import WRITTEN, AnyPath, own, write_text
from pdfkit.io._folders import InUseError
from pdfkit.io.intensity import read_intensity
from pdfkit.reduction import journal
from pdfkit.reduction.config import header_lines
from pdfkit.reduction.journal import Entry, Reduced, Reductions
from pdfkit.reduction.reduction import Reduction, reduce
from pdfkit.reduction.settings import ReductionOptions, ReductionSettings, settings_of

OUTPUTS = ("gr", "sq", "fq", "iq", "png")
# Files in one task: few enough that none waits long, many enough that handing them over costs nothing.
_CHUNK = 8
_FEW = 16  # as many are reduced here: processes take a second to start
_EVERY = 2.0  # seconds between tables, while files are reduced

Tell = Callable[[int, int, Reduced], None]
Picture = Callable[..., object]


@dataclass(frozen=True)
class _Task:
    """How to reduce files: settings, r (start, stop, step), outputs, folder."""

    folder: str
    settings: ReductionSettings
    background: str | None
    r: tuple[float, float, float]
    outputs: tuple[str, ...]
    resume: bool
    picture: Picture | None
    known: Mapping[str, Entry] = field(default_factory=dict)
    """What the journal has of the files, by stem."""

    def of(self, paths: Sequence[str]) -> _Task:
        """Return the task for some files: what is known of the others need not travel."""
        stems = [Path(path).stem for path in paths]
        return replace(self, known={stem: self.known[stem] for stem in stems if stem in self.known})


def reduce_files(
    files: Sequence[AnyPath] | AnyPath,
    out: AnyPath,
    settings: ReductionSettings | None = None,
    *,
    background: AnyPath | None = None,
    rmin: float = 0.01,
    rmax: float = 30.0,
    rstep: float = 0.01,
    outputs: Sequence[str] = ("gr",),
    picture: Picture | None = None,
    resume: bool = True,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Tell | None = None,
    **options: Unpack[ReductionOptions],
) -> Reductions:
    """Reduce many files to G(r); return one row for each, in their order.

    The table reductions.csv in the folder holds the rows of all files that were ever reduced into it, by name; the
    journal reductions.jsonl, which it is made of, is complete up to the last file whatever ends the run.

    Parameters
    ----------
    files : names, or patterns such as "run42/*.chi". out : folder of the results (made), <stem>.gr and so on.
    settings, options : as for `reduce`. background : one file for all. rmin, rmax, rstep : Å, the r of G(r).
    outputs : any of "gr", "sq", "fq", "iq" (net intensities), "png" (what `picture` draws).
    picture : called as picture(reduction, name of the file, pdf=G(r)), such as `pdfkit.plot.reductions.reduction`.
    resume : keep files whose results are whole and came from the same input, background, settings and version of
        pdfkit. Of a file that is reduced again, results of other kinds that an earlier run wrote are renewed, too.
    workers : processes (default: one per core where there are more than 16 files); executor : any
        `concurrent.futures.Executor` instead. progress : called with (files finished, files in all, row).

    A file that cannot be reduced is a row with status "failed"; the others go on.

    Raises
    ------
    PdfkitError : no file matches, two have the same stem, another run writes to the folder, or a setting that no file
        could be reduced with.
    WriteError : the folder cannot be written, or the disk is full; what is finished is kept.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from pdfkit.scattering import form_factor
    >>> Q = np.arange(1.0, 24.0, 0.01)
    >>> S = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=24, qdamp=0.05)).sq(Q).S
    >>> with TemporaryDirectory() as folder:
    ...     np.savetxt(Path(folder, "ni.iq"), np.c_[Q, form_factor("Ni", "X", Q) ** 2 * S])  # simulated
    ...     rows = pk.reduce_files(f"{folder}/*.iq", f"{folder}/out", composition="Ni", outputs=["gr", "sq"])
    ...     print(rows[0].status, [Path(name).name for name in rows[0].outputs])
    done ['ni.gr', 'ni.sq']
    """
    paths = _expanded(files)
    if executor is None and workers is None and len(paths) > _FEW:
        workers = min(cores(), -(-len(paths) // _CHUNK))
    asked, r = settings_of(settings, options), (rmin, rmax, rstep)
    r_grid(*r)
    _check_outputs(paths, out, outputs, picture)
    if background is not None:
        read_intensity(background, **asked.reading())  # what is wrong with it is wrong for all files
        background = os.fspath(background)
    task = _Task(_made(out), asked, background, r, tuple(outputs), resume, picture)
    try:
        with journal.held(Path(task.folder)):
            return _followed(paths, task, partial(Pool, executor, workers), progress)
    except InUseError as error:
        raise InUseError(f"{error}; one run reduces many files in parallel: give it all of them") from None


def _followed(paths: list[str], task: _Task, start: Callable[[], Pool], progress: Tell | None) -> Reductions:
    """Reduce the files, and have the table say at any time what is finished."""
    folder = Path(task.folder)
    journal.clear_remains(folder)
    known = journal.begin(folder)
    task = replace(task, known=known)
    rows: dict[int, Reduced] = {}
    entries, due = dict(known), 0.0
    before = _versions(paths, task)

    def lost(index: int, words: str) -> Entry:
        entry = _failed(paths[index], PdfkitError(f"{paths[index]}: {words}"), 0.0, known.get(Path(paths[index]).stem))
        journal.append(folder, entry)
        return entry

    try:
        journal.write_table(folder, entries.values(), paths)
        with start() as pool:
            chunk = min(_CHUNK, -(-len(paths) // pool.limit)) if pool.limit > 1 else 1
            for job, found in pool.run(_several, _jobs(paths, task, chunk), lost):
                for index, entry in zip(job.items, found, strict=True):
                    rows[index] = entry.row
                    entries[entry.stem] = entry
                    if progress is not None:
                        progress(len(rows), len(paths), entry.row)
                if (now := time.monotonic()) >= due:
                    journal.write_table(folder, entries.values(), [p for i, p in enumerate(paths) if i not in rows])
                    due = now + max(_EVERY, 20 * (time.monotonic() - now))
    except BaseException as error:
        with suppress(WriteError):  # the journal has it all, and a full disk is reported below
            _tidy(folder)
        WRITTEN.update((name, None) for name, one in _versions(paths, task).items() if before.get(name) != one)
        if isinstance(error, WriteError):
            raise WriteError(f"{error}; {_so_far(folder, paths)}") from None
        raise
    _tidy(folder)
    return Reductions(rows[i] for i in range(len(paths)))


def _versions(paths: Sequence[str], task: _Task) -> dict[str, tuple[int, int]]:
    """Return what tells the results that exist from those that replace them: workers, too, write them."""
    found: dict[str, tuple[int, int]] = {}
    for path in paths:
        for kind in task.outputs:
            name = f"{Path(task.folder) / Path(path).stem}.{kind}"
            with suppress(OSError):
                now = Path(name).lstat()
                found[name] = now.st_ino, now.st_mtime_ns
    return found


def _tidy(folder: Path) -> None:
    journal.clear_remains(folder)
    journal.write_table(folder, journal.read(folder).values())


def _so_far(folder: Path, paths: Sequence[str]) -> str:
    stems = {Path(path).stem for path in paths}
    done = sum(entry.row.status == "done" and stem in stems for stem, entry in journal.read(folder).items())
    return f"{done} of {len(paths)} files are finished and kept: make room, or choose another folder, and run again"


def _expanded(files: Sequence[AnyPath] | AnyPath) -> list[str]:
    given = [files] if isinstance(files, str | os.PathLike) else list(files)
    paths: list[str] = []
    for one in (os.fspath(value) for value in given):
        found = [one]
        if glob.has_magic(one) and not Path(one).exists():
            found = sorted(glob.glob(one, recursive=True))  # noqa: PTH207 - a pattern may be absolute
        if not found:
            raise PdfkitError(f"no file matches {one!r}: check the pattern and the folder")
        paths += found
    if not paths:
        raise PdfkitError("there is nothing to reduce: give files or a pattern")
    stems: dict[str, str] = {}
    for path in paths:
        other = stems.setdefault(Path(path).stem, path)
        if not _is_same(other, path):
            raise PdfkitError(f"{other} and {path} would write the same results: reduce them to two folders")
    return list(stems.values())


def _is_same(one: str, other: str) -> bool:
    """Return whether two names are those of one file."""
    return one == other or Path(one).resolve() == Path(other).resolve()


def _made(out: AnyPath) -> str:
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"folder {out} cannot be made ({error.strerror}): choose another") from None
    return os.fspath(out)


def _check_outputs(paths: Sequence[str], out: AnyPath, outputs: Sequence[str], picture: Picture | None) -> None:
    for one in outputs:
        _checks.choice("outputs", one, OUTPUTS)
    if not outputs:
        raise PdfkitError(f"no outputs are asked for: name some of {', '.join(OUTPUTS)}", key="outputs")
    if "png" in outputs and picture is None:
        raise PdfkitError(
            '"png" needs a function that draws it: give picture=pdfkit.plot.reductions.reduction', key="picture"
        )
    for path in paths:
        for kind in outputs:
            if (Path(out) / f"{Path(path).stem}.{kind}").resolve() == Path(path).resolve():
                raise PdfkitError(f"{path} would be overwritten by its own result: choose another folder")


def r_grid(rmin: float, rmax: float, rstep: float) -> Array:
    """Return rmin, rmin + rstep, … rmax (Å) as decimals. PdfkitError where that is no usable grid."""
    rmin, rmax = _checks.number("rmin", rmin, low=0.0), _checks.number("rmax", rmax)
    rstep = _checks.number("rstep", rstep, low=0.0, open_low=True)
    if rmax <= rmin + rstep or (rmax - rmin) / rstep > 1e6:
        raise PdfkitError(f"rmin = {rmin:g}, rmax = {rmax:g}, rstep = {rstep:g} make no usable grid: correct them")
    # Through decimals: 0.01·k would be written as 0.07000000000000001.
    return np.asarray(np.round(rmin + rstep * np.arange(int((rmax - rmin) / rstep + 1e-6) + 1), 10))


@lru_cache(maxsize=8)
def _background(path: str, reading: tuple[tuple[str, Any], ...], digest: str) -> Intensity:
    """Return the background as it was when the file had this digest; its remarks are for every file that uses it."""
    with heard():
        return read_intensity(path, **dict(reading))


def _jobs(paths: Sequence[str], task: _Task, chunk: int) -> Iterator[Job[Entry]]:
    for k in range(0, len(paths), chunk):
        some = paths[k : k + chunk]
        yield Job(list(range(k, k + len(some))), (task.of(some),), tuple(some))


def _several(task: _Task, paths: Sequence[str]) -> list[Entry]:
    return [_one(path, task) for path in paths]


def _one(path: str, task: _Task) -> Entry:
    """Reduce one file and enter it in the journal; whatever an input can cause becomes a row.

    Raises WriteError when the disk takes no more: no other file will fare better.
    """
    begin = time.perf_counter()
    known = task.known.get(Path(path).stem)
    names = {kind: f"{Path(task.folder) / Path(path).stem}.{kind}" for kind in task.outputs}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            digest = _digest(path, task)
            if task.resume and known is not None and _is_whole(known, digest, names):
                return replace(known, row=known.as_kept(tuple(names.values())))
            done, written = _renewed(path, task, digest, known, names)
        except Exception as error:  # whatever one file brings about must not stop the others
            if isinstance(error, WriteError) and journal.on_the_disk(error):
                raise
            entry = _failed(path, error, time.perf_counter() - begin, known)
            journal.append(Path(task.folder), entry)
            return entry
    said = [str(one.message) for one in caught if issubclass(one.category, PdfkitWarning)]
    if known is not None and known.written and _is_another(known.row.file, path):
        said.append(f"{path}: these results replace those of {known.row.file}")
    seconds = time.perf_counter() - begin
    row = Reduced(path, "done", "", tuple(said), tuple(names.values()), seconds, dict(done.diagnostics))
    entry = Entry(row, digest, written)
    journal.append(Path(task.folder), entry)
    return entry


def _is_another(before: str, path: str) -> bool:
    """Return whether results that are renewed came from another file: by its name, or since it still stands there."""
    return Path(before).name != Path(path).name or (Path(before).is_file() and not _is_same(before, path))


def _is_whole(known: Entry, digest: str, names: Mapping[str, str]) -> bool:
    """Return whether all that is asked for is on disk as it was written, from the same input and settings."""
    same = known.row.status == "done" and known.digest == digest
    return same and all(journal.whole(name, known.written.get(kind)) for kind, name in names.items())


def _renewed(
    path: str, task: _Task, digest: str, known: Entry | None, names: Mapping[str, str]
) -> tuple[Reduction, dict[str, str]]:
    """Reduce a file; write what is asked for and renew what an earlier run wrote; return the digests of it all."""
    others = {kind: f"{Path(task.folder) / Path(path).stem}.{kind}" for kind in (known.written if known else ())}
    others = {kind: name for kind, name in others.items() if kind not in names and Path(name).exists()}
    if task.picture is None and (old := others.pop("png", None)):
        Path(old).unlink()  # it would show another G(r) than the file beside it
        remark(f"{old} of an earlier run is deleted: give picture= to have it drawn anew", stacklevel=2)
    done = _reduced(path, task)
    if _digest(path, task) != digest and not digest.startswith("none"):
        raise PdfkitError(f"{path} changed while it was read: run again when it is complete")
    everything = {**names, **others}
    _write(done, list(everything.values()), path, task, digest)
    return done, {kind: journal.file_digest(name) for kind, name in everything.items()}


def _failed(path: str, error: Exception, seconds: float, known: Entry | None) -> Entry:
    message = str(error) if isinstance(error, PdfkitError) else f"{path}: {type(error).__name__}: {error}"
    if isinstance(error, FileNotFoundError):
        message = f"{error.filename or path}: {missing(error.filename or path)}"
    elif isinstance(error, OSError):
        message = f"{error.filename or path}: cannot be read ({error.strerror}): check the name and permissions"
    left = sorted(known.written) if known is not None else []
    if left:
        message += f" (older results are left: {', '.join(f'{Path(path).stem}.{kind}' for kind in left)})"
    return Entry(Reduced(path, "failed", message, seconds=seconds), "", known.written if known is not None else {})


def _reduced(path: str, task: _Task) -> Reduction:
    sample = read_intensity(path, **task.settings.reading())
    empty = None
    if task.background is not None:
        empty = _background(
            task.background, tuple(task.settings.reading().items()), journal.file_digest(task.background)
        )
        for text in empty.remarks:
            remark(f"{task.background}: {text}", stacklevel=2)
    return reduce(sample, task.settings, background=empty)


def _digest(path: str, task: _Task) -> str:
    """Return a digest of all that the results come from."""
    from pdfkit import __version__

    try:
        settings = [(key, _canonical(value)) for key, value in sorted(task.settings.given().items())]
    except TypeError:
        # A function cannot be compared: such results are never taken for those of another run.
        return f"none-{secrets.token_hex(14)}"
    what = [__version__, repr(settings), repr(task.r)]
    if task.settings.method == "physical":
        what.append(f"slow {task.settings.slow:g}")  # a default that results of before did not have
    what += ["" if name is None else journal.file_digest(name) for name in (path, task.background)]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


def _canonical(value: Any) -> str:
    """Return a setting as text that differs where the setting does; TypeError for functions."""
    if callable(value):
        raise TypeError
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    if isinstance(value, Mapping):
        return repr(sorted((str(key), repr(one)) for key, one in value.items()))
    return repr(value)


def _write(done: Reduction, names: Sequence[str], source: str, task: _Task, digest: str) -> None:
    pdf = done.to_pdf(r_grid(*task.r)) if any(name.endswith((".gr", ".png")) for name in names) else None
    more = {"inputfile": Path(source).name}
    if task.background is not None:
        more["backgroundfile"] = Path(task.background).name
    more |= {key: f"{value:g}" for key, value in zip(("rmin", "rmax", "rstep"), task.r, strict=True)}
    for name in names:
        own(name, replace=True)
        if name.endswith(".png"):
            if task.picture is not None:
                task.picture(done, name, pdf=pdf)
        else:
            kind = name.rsplit(".", 1)[1]
            write_text(name, text_of(done, kind, {"outputtype": kind, "digest": digest, **more}, pdf))


def text_of(done: Reduction, kind: str, header: Mapping[str, str], pdf: PDF | None = None) -> str:
    """Return a .gr, .sq, .fq or .iq file as text: a header in PDFgetX3's form and columns with errors."""
    Q, sq = done.sq.Q, done.sq
    if kind == "gr":
        pdf = pdf or done.to_pdf()
        label, x, y, dy = r"r($\AA$)  G($\AA^{-2}$)  dr  dG($\AA^{-2}$)", pdf.r, pdf.G, pdf.dG
        settings = {**done.settings, "window": pdf.instrument.window}
    else:
        settings = dict(done.settings)
        label, x = {"sq": r"Q($\AA^{-1}$)  S  dS", "fq": r"Q($\AA^{-1}$)  F($\AA^{-1}$)  dF"}.get(kind, "Q I dI"), Q
        if kind == "iq":
            y, dy = done.stages["net"], done.stages.get("error")
        else:
            y = sq.S if kind == "sq" else sq.F
            dy = sq.dS if kind == "sq" or sq.dS is None else sq.dS * Q
    zero = ["0"] if kind == "gr" else []
    columns = [x, y] if dy is None else [x, y, dy]
    if dy is None:
        label = "  ".join(label.split("  " if kind != "iq" else " ")[:2])
        zero = []
    row = " ".join(["%.10g", "%.9g", *zero, *(["%.4g"] if dy is not None else [])])
    body = "\n".join([row] * x.size) % tuple(np.column_stack(columns).ravel().tolist())
    return "\n".join([*header_lines(settings, **header), "#### start data", "#S 1", f"#L {label}", body, ""])
