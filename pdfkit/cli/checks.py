"""Commands that check this installation: `pdfkit verify` and `pdfkit bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pdfkit.cli.console import Printed, counting
from pdfkit.errors import PdfkitError


def verify(
    topics: Annotated[
        list[str] | None, typer.Option("--topic", metavar="TOPIC", help="Only this one of the report; repeat it.")
    ] = None,
    files: Annotated[
        bool, typer.Option("--files", help="Read the files that the tests know instead, and compare what was meant.")
    ] = False,
) -> Printed:
    """Check on this machine that what pdfkit computes is right: a table of differences and their bounds.

    Against PDFfit2 (where installed), stored curves of DiffPy-CMI, the definitions pair by pair, closed forms, laws.

    Exit code 1 when a row fails.
    """
    from pdfkit.verification import report

    with counting() as tell:
        found = report.verify(*(topics or []), *([report.FILES] if files else []), tell=tell)
    return Printed(found.table(), values=found.to_dict(), code=0 if found.ok else 1)


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Under a minute; smaller sizes.")] = False,
    case: Annotated[
        list[str] | None, typer.Option("--case", metavar="NAME", help="Only this one; repeat it. See --list.")
    ] = None,
    names: Annotated[bool, typer.Option("--list", help="List the cases and stop.")] = False,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of bench.json, bench.txt and bench.png.")
    ] = Path("pdfkit-bench"),
) -> Printed:
    """Check and time pdfkit on this machine against PDFfit2, DebyeCalculator and numpy, as far as installed.

    Exit code 1 when an answer differs by more than its bound.
    """
    from pdfkit.benchmarking import report
    from pdfkit.benchmarking.cases import cases
    from pdfkit.benchmarking.runner import bench as run
    from pdfkit.io import _folders
    from pdfkit.io._atomic import write_text

    if names:
        known = cases()
        lines = [f"{name:<16} {one.when:<6} {one.title}" for name, one in known.items()]
        return Printed("\n".join(lines), values={"cases": {name: one.title for name, one in known.items()}})
    with _folders.folder(out, ("bench.json", "bench.txt", "bench.png")) as folder:
        with counting() as tell:
            found = run(case or (), quick=quick, progress=tell)
        try:
            with _folders.publish(folder) as stage:
                files = [found.save(stage / "bench.json"), write_text(stage / "bench.txt", found.table() + "\n")]
                if any(row.axis and row.seconds is not None for row in found.rows):
                    report.bench(found, stage / "bench.png")
                    files.append(stage / "bench.png")
        except PdfkitError as error:  # minutes of measuring are not lost when a file cannot be written
            return Printed(found.table(), values=found.to_dict(), error=str(error))
    return Printed(
        found.table(), [folder / file.name for file in files], found.to_dict(), code=0 if found.agreed else 1
    )
