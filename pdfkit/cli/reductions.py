"""What `pdfkit reduce` does: settings from a configuration and the command line, files reduced, and a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import AnyPath
from pdfkit.reduction.batch import reduce_files
from pdfkit.reduction.config import read_config
from pdfkit.reduction.journal import Reduced
from pdfkit.reduction.reduction import Reduction

# More files than this are summed up; the table has them all.
_SHOWN = 12


@dataclass(frozen=True)
class ReduceReport:
    """Rows of a batch, and its folder."""

    folder: Path
    rows: tuple[Reduced, ...]

    @property
    def failed(self) -> tuple[Reduced, ...]:
        """The files that could not be reduced."""
        return tuple(row for row in self.rows if row.status == "failed")

    @property
    def summary(self) -> str:
        """How many files failed, and where the reasons are; "" when none did."""
        if not self.failed:
            return ""
        table = self.folder / "reductions.csv"
        return f"{len(self.failed)} of {len(self.rows)} files could not be reduced: {table} has the reasons"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "folder": str(self.folder),
            "table": str(self.folder / "reductions.csv"),
            "files": [
                {
                    "file": row.file,
                    "status": row.status,
                    "message": row.message,
                    "warnings": list(row.warnings),
                    "outputs": list(row.outputs),
                    "diagnostics": dict(row.diagnostics),
                }
                for row in self.rows
            ],
        }

    def __str__(self) -> str:
        """One line per fact of a single file, else one line per file and a sum."""
        if len(self.rows) == 1:
            row = self.rows[0]
            facts = [f"  {name:<22} {value:.5g}" for name, value in row.diagnostics.items()]
            head = f"{row.file}: {row.status}" + (f" ({row.message})" if row.message else "")
            return "\n".join([head, *facts, *(f"  warning: {text}" for text in row.warnings), *row.outputs])
        lines = [_line(row) for row in self.rows if row.status == "failed" or len(self.rows) <= _SHOWN]
        counts = {word: sum(row.status == word for row in self.rows) for word in ("done", "kept", "failed")}
        warned = sum(bool(row.warnings) for row in self.rows)
        total = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
        lines.append(f"{len(self.rows)} files: {total}" + (f"; {warned} with warnings" if warned else ""))
        return "\n".join([*lines, str(self.folder / "reductions.csv")])


def _line(row: Reduced) -> str:
    words = [row.message, *row.warnings] if row.status == "failed" else list(row.warnings)
    return f"{row.file}: {row.status}" + (f" ({'; '.join(word for word in words if word)})" if any(words) else "")


def _picture(done: Reduction, path: str, *, pdf: PDF) -> None:
    """Draw a reduction; a function of a module, so that it travels to worker processes."""
    from pdfkit.plot.reductions import reduction

    reduction(done, path, pdf=pdf)


def reduce_command(
    files: Sequence[AnyPath],
    out: AnyPath | None = None,
    *,
    config: AnyPath | None = None,
    outputs: Sequence[str] | None = None,
    fresh: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int, Reduced], None] | None = None,
    **settings: Any,
) -> ReduceReport:
    """Reduce files as a configuration (PDFgetX3's [DEFAULT] keys) and then `settings` say; None leaves one out.

    files : names or patterns; none: those of the configuration. out : folder, default "." for one file and
    "pdfkit-reduced" for more. fresh : do again what is finished. Other parameters as for `reduce_files`.

    Raises PdfkitError (and ReadError, WriteError) for settings that cannot be, and when a single file, or every file,
    cannot be reduced.
    """
    known = {} if config is None else read_config(config)
    given = known.pop("files", [])
    known |= {key: value for key, value in settings.items() if value is not None}
    chosen = list(files) or given
    if not chosen:
        raise PdfkitError("there is nothing to reduce: name files, or a configuration with inputfile")
    polarisation = known.get("polarisation")
    if isinstance(polarisation, str):  # words stay; a number comes from the command line as text
        with suppress(ValueError):
            known["polarisation"] = float(polarisation)
    single = len(chosen) == 1 and Path(chosen[0]).exists()
    folder = Path(out) if out is not None else Path("." if single else "pdfkit-reduced")
    rows = reduce_files(
        chosen,
        folder,
        outputs=tuple(outputs or ("gr",)),
        picture=_picture,
        resume=not fresh,
        workers=workers,
        executor=executor,
        progress=progress,
        **known,
    )
    report = ReduceReport(folder, tuple(rows))
    if len(report.failed) == len(rows):
        more = "" if len(rows) == 1 else f" (and none of the {len(rows) - 1} other files could be reduced)"
        raise PdfkitError(rows[0].message + more)
    return report
