"""The command `pdfkit watch`: scans fitted while they come into a folder."""

from __future__ import annotations

import math
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pdfkit._terminal import one_line, show
from pdfkit.cli.console import Printed, say
from pdfkit.cli.options import OutFolder
from pdfkit.cli.series import NAMES, printed

if TYPE_CHECKING:
    from pdfkit.series.watching import Done


def watch(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder that scans come into.")],
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE.toml", help=r"How they are fitted; \[series] says index and reduction.")
    ],
    out: OutFolder = None,
    new: Annotated[bool, typer.Option("--new", help="Leave files alone that are there already.")] = False,
    until: Annotated[int | None, typer.Option(help="End when there are this many scans in all.", min=1)] = None,
    idle: Annotated[
        float | None, typer.Option(help="End when no scan has come for this many seconds.", min=0.0)
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Go on from the journal in the folder of results, or fit all scans again.")
    ] = True,
) -> Printed:
    """Fit each scan as soon as its file is whole, and show it; write values and errors against the index.

    Scans that are there already are fitted first. Ctrl-C ends the watch; started again it goes on, and fits nothing
    twice. Results are series.h5, series.csv and series.txt, as of `pdfkit series`, and the journal watch.jsonl. A scan
    that cannot be read or fitted is a row with the reason, and a file that is written again is fitted again.
    """
    from pdfkit.io import _folders
    from pdfkit.recipes.recipe import load_recipe
    from pdfkit.recipes.watching import watch_recipe
    from pdfkit.series.watching import JOURNAL, Ends, Tell

    loaded = load_recipe(recipe)
    lines = Lines()
    with _folders.folder(out or loaded.folder, NAMES, [recipe]) as where, ending() as stop:
        result = watch_recipe(
            loaded,
            folder,
            where,
            own=(*NAMES, JOURNAL),
            new=new,
            resume=resume,
            ends=Ends(until, idle),
            tell=Tell(lines.scan, lines.words),
            stop=stop,
        )
        if result is None:
            return Printed(f"no scan has come into {folder}", values={"scans": 0})
        return printed(result, where)


@contextmanager
def ending() -> Iterator[threading.Event]:
    """Give what the first Ctrl-C sets; the second is as everywhere."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def end(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, end)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


class Lines:
    """Shows what is done on stderr: a line a scan, under a head that names the columns."""

    def __init__(self) -> None:
        self._head: tuple[str, ...] = ()

    def words(self, text: str) -> None:
        """Show a sentence."""
        say(text)

    def scan(self, done: Done) -> None:
        """Show a scan."""
        lines = [] if "error" in done.row else self._headed(done)
        show(*lines, _line(done), file=sys.stderr)
        sys.stderr.flush()

    def _headed(self, done: Done) -> list[str]:
        head = ("scan", done.axis.title, "Rw", *done.free)
        if head == self._head:
            return []
        self._head = head
        return [_cells(head)]


def _line(done: Done) -> str:
    """Return name, index, Rw, what is free with errors, and remarks in a word."""
    from pdfkit.series.result import shown

    index = "" if math.isnan(done.axis.values[0]) else f"{done.axis.values[0]:.9g}"
    if "error" in done.row:
        return f"{_cells((done.name, index))} failed: {one_line(done.row['error'])}"
    rw = f"{done.row['rw']:.4f}"
    return f"{_cells((done.name, index, rw, *(shown(*one) for one in done.free.values())))} {_word(done)}".rstrip()


def _word(done: Done) -> str:
    """Return what is to be known of a scan in few words; all of it is in the results."""
    remarks = len(done.row["remarks"]) - done.again
    parts = ["again"] * done.again + ["not converged"] * (not done.row["converged"])
    return ", ".join([*parts, *([f"{remarks} remarks" if remarks > 1 else "1 remark"] if remarks else [])])


def _cells(cells: Sequence[str]) -> str:
    """Return columns of one width, wider where a cell needs it."""
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, (20, *[12] * (len(cells) - 1)), strict=True))
