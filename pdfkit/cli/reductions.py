"""The command `pdfkit reduce`: settings from a configuration and the command line, files reduced, and a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit.cli import options as o
from pdfkit.cli.console import Printed, counting
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.data.curves import PDF
    from pdfkit.io._atomic import AnyPath
    from pdfkit.reduction.journal import Reduced
    from pdfkit.reduction.reduction import Reduction

_SETTINGS = (
    *("composition", "background", "bgscale", "unit", "wavelength", "twothetazero", "probe", "qmin", "qmax"),
    *("qmaxinst", "rpoly", "method", "rho0", "compton", "slow", "rcut", "filter_passes", "absolute", "anomalous"),
    *("window", "extrapolate", "errors", "rmin", "rmax", "rstep"),
)


def reduce(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Intensities (.iq, .chi, .xy, .xye, …) or patterns.")
    ] = None,
    composition: o.Composition = None,
    background: Annotated[
        Path | None, typer.Option("--background", "-b", help="Pattern to subtract, measured without the sample.")
    ] = None,
    bgscale: Annotated[float | None, typer.Option(help="Factor on the background.  [default: 1]")] = None,
    unit: o.Unit = None,
    wavelength: o.Wavelength = None,
    twothetazero: Annotated[
        float | None, typer.Option(help="Reading of 2θ where it is truly zero, in degrees.")
    ] = None,
    probe: o.Probe = None,
    qmin: o.MinQ = None,
    qmax: o.MaxQ = None,
    qmaxinst: Annotated[float | None, typer.Option(help="Highest Q of the data that are used, in Å⁻¹.")] = None,
    rpoly: Annotated[
        float | None, typer.Option(help="Distance in Å below which the correction removes everything.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="adhoc or physical.  [default: adhoc]")] = None,
    rho0: o.Density = None,
    compton: Annotated[
        bool | None,
        typer.Option(
            "--compton/--no-compton",
            help="Of the physical method: Compton scattering is in the intensities of X-rays, or is not.",
        ),
    ] = None,
    slow: Annotated[
        float | None,
        typer.Option(
            help="Of the physical method: how much a factor that changes slowly with Q may be wrong; 0: not at all.  "
            "[default: 0.05]"
        ),
    ] = None,
    rcut: Annotated[float | None, typer.Option(help="No two atoms are nearer, in Å.  [default: found]")] = None,
    filter_passes: Annotated[
        int | None,
        typer.Option(
            "--filter", help="Passes of the Fourier filter of G(r) below rcut, such as 1.  [default: 0]", min=0
        ),
    ] = None,
    absolute: Annotated[
        bool | None,
        typer.Option("--absolute", help="Of the adhoc method: divide by the factor of the amplitude; needs --rho0."),
    ] = None,
    anomalous: Annotated[
        bool | None, typer.Option("--anomalous", help="Add f′ and f″ of X-rays; needs the wavelength.")
    ] = None,
    window: Annotated[str | None, o.WINDOW] = None,
    extrapolate: Annotated[
        str | None, typer.Option(help="F(Q) below qmin: none, linear (small particles) or quadratic.")
    ] = None,
    errors: Annotated[
        str | None, typer.Option(help="Where dI comes from: auto, given, counting (√I), scatter (of neighbours), none.")
    ] = None,
    rmin: o.Lowest = None,
    rmax: o.Highest = None,
    rstep: Annotated[float | None, o.RSTEP] = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option("--write", metavar="KIND", help="What to write: gr, sq, fq, iq or png (a picture); repeat it."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="File of settings in the format of PDFgetX3.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Number of processes for many files.", min=1)] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Recompute existing results.")] = False,
    out: o.OutFolder = None,
) -> Printed:
    """Turn measured intensities into S(Q), F(Q) and G(r), with errors; of many files, in parallel.

    A run over many files that was interrupted goes on where it stopped when it is started again.

    Exit code 2 when any file could not be reduced; reductions.csv in the folder has the reasons.
    """
    given = {name: value for name, value in locals().items() if name in _SETTINGS}
    with counting() as tell:
        report = reduce_command(
            files or [],
            out,
            config=config,
            outputs=outputs,
            fresh=fresh,
            workers=workers,
            progress=lambda done, total, row: tell(done - 1, total, Path(row.file).name),
            **given,
        )
    return Printed(str(report), report.files(), report.to_dict(), error=report.summary)


# More files than this are summed up; the table has them all.
_SHOWN = 12


@dataclass(frozen=True)
class ReduceReport:
    """Rows of a batch, its folder, and whether the amplitude of G(r) is relative."""

    folder: Path
    rows: tuple[Reduced, ...]
    relative: bool = False

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
            "reductions": [{key: one for key, one in asdict(row).items() if key != "seconds"} for row in self.rows],
        }

    def files(self) -> list[Path]:
        """Return what was written."""
        return [Path(name) for row in self.rows for name in row.outputs]

    def __str__(self) -> str:
        """One line per fact of a single file, else one line per file and a sum."""
        if len(self.rows) == 1:
            row = self.rows[0]
            facts = [f"  {name:<22} {value:.5g}" for name, value in row.diagnostics.items()]
            head = f"{row.file}: {row.status}" + (f" ({row.message})" if row.message else "")
            facts += [f"  the amplitude of G(r) is relative: {self._remedy}"] if self.relative else []
            return "\n".join([head, *facts, *(f"  warning: {text}" for text in row.warnings)])
        lines = [_line(row) for row in self.rows if row.status == "failed" or len(self.rows) <= _SHOWN]
        counts = {word: sum(row.status == word for row in self.rows) for word in ("done", "kept", "failed")}
        warned = sum(bool(row.warnings) for row in self.rows)
        total = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
        lines.append(f"{len(self.rows)} files: {total}" + (f"; {warned} with warnings" if warned else ""))
        return "\n".join([*lines, str(self.folder / "reductions.csv")])

    @property
    def _remedy(self) -> str:
        known = any("amplitude" in row.diagnostics for row in self.rows)
        return (
            "the factor above of the true one; --absolute divides by it" if known else "--rho0 has the factor estimated"
        )


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
    from pdfkit.reduction.batch import reduce_files
    from pdfkit.reduction.config import read_config

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
    relative = known.get("method", "adhoc") == "adhoc" and not known.get("absolute")
    report = ReduceReport(folder, tuple(rows), relative)
    if len(report.failed) == len(rows):
        more = "" if len(rows) == 1 else f" (and none of the {len(rows) - 1} other files could be reduced)"
        raise PdfkitError(rows[0].message + more)
    return report
