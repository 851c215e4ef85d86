"""Reductions of many files: in parallel, resumable, with one row of a table for each file, good or bad."""

from __future__ import annotations

import csv
import glob
import hashlib
import inspect
import io
import json
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._reduce_config import header_lines
from pdfkit._workers import start_worker
from pdfkit.data import PDF
from pdfkit.errors import PdfkitError, PdfkitWarning, WriteError, nearest
from pdfkit.intensity import Intensity
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.io.intensity_files import read_intensity
from pdfkit.reduction import Reduction, reduce

OUTPUTS = ("gr", "sq", "fq", "iq", "png")
# Files in one task: few enough that none waits long, many enough that handing them over costs nothing.
_CHUNK = 8
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_COLUMNS = ("file", "status", "message", "warnings", "seconds")
_READING = ("unit", "wavelength", "twothetazero")


@dataclass(frozen=True)
class Reduced:
    """What became of a file: status "done", "kept" (finished before) or "failed", and why; warnings; files written."""

    file: str
    status: str
    message: str = ""
    warnings: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    seconds: float = 0.0
    diagnostics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Task:
    """How to reduce files: `settings` of `reduce` and of reading, r (start, stop, step), outputs, folder."""

    folder: str
    settings: tuple[tuple[str, Any], ...]
    background: str | None
    r: tuple[float, float, float]
    outputs: tuple[str, ...]
    resume: bool


def reduce_files(
    files: Sequence[AnyPath] | AnyPath,
    out: AnyPath,
    *,
    background: AnyPath | None = None,
    rmin: float = 0.01,
    rmax: float = 30.0,
    rstep: float = 0.01,
    outputs: Sequence[str] = ("gr",),
    resume: bool = True,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int, Reduced], None] | None = None,
    **settings: Any,
) -> list[Reduced]:
    """Reduce many files to G(r); return one row for each, in their order, and write them as reductions.csv, too.

    Parameters
    ----------
    files : names, or patterns such as "run42/*.chi". out : folder of the results (made), <stem>.gr and so on.
    background : one file for all. rmin, rmax, rstep : Å, the r of G(r). outputs : any of "gr", "sq", "fq", "iq" (net
        intensities), "png" (a picture of the stages).
    resume : keep files whose results came from the same input, settings and version of pdfkit.
    workers : processes (default: one per core where there are more than 16 files); executor : any
        `concurrent.futures.Executor` instead. progress : called with (files finished, files in all, row).
    settings : keywords of `reduce`, and unit and twothetazero of `read_intensity`.

    A file that cannot be reduced is a row with status "failed"; the others go on.

    Raises
    ------
    PdfkitError : no file matches, two have the same stem, or a setting that no file could be reduced with.
    WriteError : the folder cannot be written.

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
    task = _task(paths, out, background, (rmin, rmax, rstep), outputs, resume, settings)
    before = _read_table(Path(task.folder)) if resume else {}
    rows: dict[int, Reduced] = {}
    try:
        for index, row in _run(paths, task, workers, executor):
            if row.status == "kept" and row.file in before:
                row = replace(before[row.file], outputs=row.outputs)
            rows[index] = row
            if progress is not None:
                progress(len(rows), len(paths), row)
    finally:
        _write_table(Path(task.folder), [rows[i] for i in sorted(rows)])
    return [rows[i] for i in range(len(paths))]


def _expanded(files: Sequence[AnyPath] | AnyPath) -> list[str]:
    given = [files] if isinstance(files, str | os.PathLike) else list(files)
    paths: list[str] = []
    for one in (os.fspath(value) for value in given):
        found = [one]
        if glob.has_magic(one) and not Path(one).exists():
            found = sorted(glob.glob(one, recursive=True))  # noqa: PTH207 - a pattern may be absolute
        if not found:
            raise PdfkitError(f"no file matches {one!r}: check the pattern and the folder")
        paths += [path for path in found if path not in paths]
    if not paths:
        raise PdfkitError("there is nothing to reduce: give files or a pattern")
    stems: dict[str, str] = {}
    for path in paths:
        other = stems.setdefault(Path(path).stem, path)
        if other != path:
            raise PdfkitError(f"{other} and {path} would write the same results: reduce them to two folders")
    return paths


def _known(settings: Mapping[str, Any]) -> None:
    """Refuse a keyword that neither `reduce` nor `read_intensity` has."""
    names = {*inspect.signature(reduce).parameters, *_READING} - {"iq", "background"}
    for name in settings:
        if name not in names:
            raise PdfkitError(f"{name!r} is not a setting of a reduction: nearest are {nearest(name, sorted(names))}")


def _task(
    paths: Sequence[str],
    out: AnyPath,
    background: AnyPath | None,
    r: tuple[float, float, float],
    outputs: Sequence[str],
    resume: bool,
    settings: Mapping[str, Any],
) -> _Task:
    _r_grid(*r)
    for one in outputs:
        _checks.choice("output", one, OUTPUTS)
    if not outputs:
        raise PdfkitError(f"no outputs are asked for: name some of {', '.join(OUTPUTS)}")
    for path in paths:
        for kind in outputs:
            if (Path(out) / f"{Path(path).stem}.{kind}").resolve() == Path(path).resolve():
                raise PdfkitError(f"{path} would be overwritten by its own result: choose another folder")
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"folder {out} cannot be made ({error.strerror}): choose another") from None
    _known(settings)
    own = tuple(sorted((key, value) for key, value in settings.items() if value is not None))
    if background is not None:
        # Read once here: what is wrong with it is wrong for all files.
        _background(os.fspath(background), _reading(dict(own)))
    return _Task(os.fspath(out), own, None if background is None else os.fspath(background), r, tuple(outputs), resume)


def _r_grid(rmin: float, rmax: float, rstep: float) -> Array:
    rmin, rmax = _checks.number("rmin", rmin, low=0.0), _checks.number("rmax", rmax)
    rstep = _checks.number("rstep", rstep, low=0.0, open_low=True)
    if rmax <= rmin + rstep or (rmax - rmin) / rstep > 1e6:
        raise PdfkitError(f"rmin = {rmin:g}, rmax = {rmax:g}, rstep = {rstep:g} make no usable grid: correct them")
    # Through decimals: 0.01·k would be written as 0.07000000000000001.
    return np.asarray(np.round(rmin + rstep * np.arange(int((rmax - rmin) / rstep + 1e-6) + 1), 10))


def _reading(settings: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((key, settings[key]) for key in _READING if key in settings)


@lru_cache(maxsize=8)
def _background(path: str, reading: tuple[tuple[str, Any], ...]) -> Intensity:
    return read_intensity(path, **dict(reading))


def _run(
    paths: Sequence[str], task: _Task, workers: int | None, executor: Executor | None
) -> Iterator[tuple[int, Reduced]]:
    chunks = [range(k, min(k + _CHUNK, len(paths))) for k in range(0, len(paths), _CHUNK)]
    count = workers or (min(os.cpu_count() or 1, len(chunks)) if len(paths) > 2 * _CHUNK else 1)
    if executor is None and count == 1:
        for i, path in enumerate(paths):
            yield i, _one(path, task)
        return
    with _pool(executor, count) as pool:
        futures: dict[Future[list[Reduced]], range] = {
            pool.submit(_several, [paths[i] for i in chunk], task): chunk for chunk in chunks
        }
        try:
            for future in as_completed(futures):
                yield from zip(futures[future], future.result(), strict=True)
        except BrokenExecutor:
            raise PdfkitError(
                'a worker process ended (no memory, or a script without the line if __name__ == "__main__":); '
                "run again to go on: what is finished is kept"
            ) from None
        finally:
            for future in futures:
                future.cancel()


@contextmanager
def _pool(executor: Executor | None, count: int) -> Iterator[Executor]:
    """Give the executor, or processes started afresh whose BLAS does not start threads of its own."""
    if executor is not None:
        yield executor
        return
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(count, mp_context=context, initializer=start_worker) as pool:
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _several(paths: Sequence[str], task: _Task) -> list[Reduced]:
    return [_one(path, task) for path in paths]


def _one(path: str, task: _Task) -> Reduced:
    """Reduce one file; whatever an input can cause becomes a row."""
    begin = time.perf_counter()
    stem = Path(task.folder) / Path(path).stem
    names = tuple(f"{stem}.{kind}" for kind in task.outputs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            digest = _digest(path, task)
            if task.resume and all(_is_from(name, digest) for name in names):
                return Reduced(path, "kept", outputs=names)
            done = _reduced(path, task)
            _write(done, names, path, task, digest)
        except Exception as error:  # whatever one file brings about must not stop the others
            known = isinstance(error, PdfkitError | OSError)
            message = str(error) if known else f"{path}: {type(error).__name__}: {error}"
            return Reduced(path, "failed", message, seconds=time.perf_counter() - begin)
    said = tuple(str(one.message) for one in caught if issubclass(one.category, PdfkitWarning))
    return Reduced(path, "done", "", said, names, time.perf_counter() - begin, dict(done.diagnostics))


def _reduced(path: str, task: _Task) -> Reduction:
    settings = dict(task.settings)
    reading = _reading(settings)
    sample = read_intensity(path, **dict(reading))
    rest = {key: value for key, value in settings.items() if key not in ("unit", "twothetazero")}
    background = None if task.background is None else _background(task.background, reading)
    return reduce(sample, background=background, **rest)


def _digest(path: str, task: _Task) -> str:
    """Return a digest of all that the results come from."""
    from pdfkit import __version__

    what = [__version__, repr(task.settings), repr(task.r)]
    for name in (path, task.background):
        what.append("" if name is None else hashlib.sha256(Path(name).read_bytes()).hexdigest())
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


def _is_from(name: str, digest: str) -> bool:
    if name.endswith(".png"):
        return Path(name).exists()
    try:
        with Path(name).open("rb") as stream:
            return digest.encode() in stream.read(4096)
    except OSError:
        return False


def _write(done: Reduction, names: Sequence[str], source: str, task: _Task, digest: str) -> None:
    pdf = done.to_pdf(_r_grid(*task.r)) if any(name.endswith((".gr", ".png")) for name in names) else None
    more = {"inputfile": Path(source).name}
    if task.background is not None:
        more["backgroundfile"] = Path(task.background).name
    more |= {key: f"{value:g}" for key, value in zip(("rmin", "rmax", "rstep"), task.r, strict=True)}
    for name in names:
        if name.endswith(".png"):
            from pdfkit import _plot_reduction

            _plot_reduction.reduction(done, name, pdf=pdf)
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


def _read_table(folder: Path) -> dict[str, Reduced]:
    """Return the rows of an earlier run by file, as "kept"; none where the table is missing or not one of these."""
    path, out = folder / "reductions.csv", {}
    with suppress(OSError, ValueError, KeyError, csv.Error), path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            numbers = {key: float(text) for key, text in row.items() if key not in _COLUMNS and text}
            said = tuple(text for text in row["warnings"].split("; ") if text)
            out[row["file"]] = Reduced(row["file"], "kept", "", said, (), float(row["seconds"]), numbers)
    return out


def _write_table(folder: Path, rows: Sequence[Reduced]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row.diagnostics))
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow([*_COLUMNS, *names])
    for row in rows:
        numbers = [f"{row.diagnostics[name]:.6g}" if name in row.diagnostics else "" for name in names]
        said = "; ".join(row.warnings)
        table.writerow([row.file, row.status, row.message, said, f"{row.seconds:.3f}", *numbers])
    write_text(folder / "reductions.csv", stream.getvalue())
