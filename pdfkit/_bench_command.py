"""The command `pdfkit bench`. `cli` registers it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pdfkit._plain import show


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
    from pdfkit import _folders
    from pdfkit._bench_cases import cases
    from pdfkit._bench_report import BenchReport
    from pdfkit.benchmarking import bench as run
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
                from pdfkit import _plot_bench

                _plot_bench.bench(found, stage / "bench.png")
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
