"""Files that come to a page, beside the event loop: other tabs go on while they are read and their curves are made."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pdfkit.errors import PdfkitError
from pdfkit.workbench.opening import added
from pdfkit.workbench.prepared import Curves, Prepared
from pdfkit.workbench.state import State

__all__ = ["Arrived", "arrived", "refuse_large"]

MOST_LINES = 200_000
"""Lines of a file, and points of a curve, that a page takes: a slider could not move more."""
MOST_ATOMS = 100_000
"""Atoms of a phase: a cluster of 50,000 takes 5 s until its first curve, and each move 0.01 s."""
MOST_PARAMETERS = 30_000
"""Parameters of all: a cell of 5,300 atoms without symmetry has 26,600, and each move takes 1 to 3 s of processor."""
_ONE = threading.Lock()  # one at a time, for memory


@dataclass(frozen=True, eq=False)
class Arrived:
    """A state with files, made ready; curves : those of the data set that is shown, None without any."""

    state: State
    ready: Prepared | None = None
    curves: Curves | None = None


def refuse_large(files: Sequence[str], folder: Path) -> None:
    """Raise PdfkitError for a text file of more lines than a page takes, before it is read."""
    for file in files:
        path = folder / file
        if path.suffix.lower() in (".h5", ".hdf5", ".nxs") or not path.is_file():
            continue
        if (count := _lines(path)) > MOST_LINES:
            raise PdfkitError(
                f"{path.name} has {count} lines, and a page takes {MOST_LINES}, as a slider could not move more: thin "
                "it, or use it in the terminal (`pdfkit fit`, `pdfkit calc`)"
            )


def _lines(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    except OSError:
        return 0  # its reader says more


def arrived(state: State, files: Sequence[str], folder: Path, work: Path, chosen: str) -> Arrived:
    """Return a state with more files, made ready, with the curves of every data set computed once.

    chosen : the data set that is shown. PdfkitError for what cannot be used, or is too large for a page.
    """
    with _ONE:
        found = added(state, files, folder, work)
        if found.tables is state.tables and found.beam is state.beam:
            return Arrived(found)
        ready = Prepared.of(found, folder)  # nothing of what the page computes with meanwhile
        _refuse_many(ready)
        curves = {name: ready.curves(name, found.values) for name in ready.models}
        return Arrived(found, ready, curves.get(chosen) or next(iter(curves.values()), None))


def _refuse_many(ready: Prepared) -> None:
    for name, r in ready.grids.items():
        if r.size > MOST_LINES:
            raise PdfkitError(f"{name or 'the data'}: {r.size} points, and a page takes {MOST_LINES}: thin them")
    if len(ready.names) > MOST_PARAMETERS:
        raise PdfkitError(
            f"{len(ready.names)} parameters, and a page takes {MOST_PARAMETERS}, as a slider could not move more: give "
            "a smaller cell, or one with its symmetry, or use it in the terminal (`pdfkit fit`, `pdfkit calc`)"
        )
    for phase in () if ready.built.model is None else ready.built.model.phases:
        count = sum(phase.composition().values())
        if count > MOST_ATOMS:
            raise PdfkitError(
                f"{phase.name}: {count:.0f} atoms, and a page takes {MOST_ATOMS}, as a slider could not move more: "
                "use it in the terminal (`pdfkit calc`)"
            )
