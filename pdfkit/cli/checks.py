"""The commands `pdfkit verify` and `pdfkit bench`."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pdfkit._terminal import show

# --- What `pdfkit verify` prints -------------------------------------------------------------------------------------


def verify_command(
    topics: Sequence[str] = (), *, as_json: bool = False, tell: Callable[[int, int, str], None] | None = None
) -> tuple[str, int]:
    """Return the report as text (or one JSON object) and the exit code: 0 when every row agrees, else 1."""
    from pdfkit.verification.report import verify

    found = verify(*topics, tell=tell)
    if not as_json:
        return found.table(), 0 if found.ok else 1
    values = found.to_dict()
    for row in values["rows"]:
        row["measured"] = row["measured"] if math.isfinite(row["measured"]) else None
    return json.dumps(values, ensure_ascii=False, allow_nan=False), 0 if found.ok else 1


# --- The command `pdfkit bench` --------------------------------------------------------------------------------------


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Under a minute; smaller sizes.")] = False,
    case: Annotated[
        list[str] | None, typer.Option("--case", metavar="NAME", help="Only this one; repeat it. See --list.")
    ] = None,
    names: Annotated[bool, typer.Option("--list", help="List the cases and stop.")] = False,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers here, too.")] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of bench.json, bench.txt and bench.png.")
    ] = Path("pdfkit-bench"),
) -> None:
    """Check and time pdfkit on this machine against PDFfit2, DebyeCalculator and numpy, as far as installed.

    Exit code 1 when an answer differs by more than its bound.
    """
    from pdfkit.benchmarking.cases import cases
    from pdfkit.benchmarking.report import BenchReport
    from pdfkit.benchmarking.runner import bench as run
    from pdfkit.io import _folders
    from pdfkit.io._atomic import check_target, write_text

    if names:
        for name, one in cases().items():
            show(f"{name:<16} {one.when:<6} {one.title}")
        return
    with _folders.folder(out, ("bench.json", "bench.txt", "bench.png")) as folder:
        if json is not None:  # now, not after minutes of measuring
            check_target(json)
        with _progress() as tell:
            found: BenchReport = run(case or (), quick=quick, progress=tell)
        # Minutes of measuring are not lost when a file cannot be written.
        show(found.table())
        with _folders.publish(folder) as stage:
            files = [found.save(stage / "bench.json"), write_text(stage / "bench.txt", found.table() + "\n")]
            if any(row.axis and row.seconds is not None for row in found.rows):
                from pdfkit.benchmarking import report

                report.bench(found, stage / "bench.png")
                files.append(stage / "bench.png")
        files = [folder / file.name for file in files] + ([] if json is None else [found.save(json)])
    show("\nfiles:", *(f"  {file}" for file in files))
    if not found.agreed:
        raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    """Give the function (done, all, title) to call before each case: a live line on a terminal, lines elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("preparing") as status:
            yield lambda done, total, title: status.update(f"{done + 1} of {total}: {title}")
    else:
        yield lambda done, total, title: show(f"{done + 1} of {total}: {title}", file=sys.stderr)
