"""How much a page takes: what no slider could move is refused, each thing as soon as it is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.workbench.prepared import Prepared

__all__ = ["MOST_ATOMS", "MOST_LINES", "MOST_PARAMETERS", "refuse_large", "refuse_many", "refuse_slow"]

MOST_LINES = 200_000
"""Lines of a file, and points of a curve, that a page takes: a slider could not move more."""
MOST_ATOMS = 100_000
"""Atoms of a phase: a cluster of 50,000 takes 5 s until its first curve, and each move 0.01 s."""
MOST_PARAMETERS = 30_000
"""Parameters of all: a cell of 5,300 atoms without symmetry has 26,600, and each move takes 1 to 3 s of processor."""


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


def refuse_many(phases: Iterable[Any]) -> None:
    """Raise PdfkitError for phases with more atoms or parameters than a page takes, before anything is computed."""
    parameters = 0
    for phase in phases:
        count = sum(phase.composition().values())
        if count > MOST_ATOMS:
            raise PdfkitError(
                f"{phase.name}: {count:.0f} atoms, and a page takes {MOST_ATOMS}, as a slider could not move more: "
                "use it in the terminal (`pdfkit calc`)"
            )
        parameters += len(phase.quantities)
    _refuse_parameters(parameters)


def _refuse_parameters(count: int) -> None:
    if count > MOST_PARAMETERS:
        raise PdfkitError(
            f"{count} parameters, and a page takes {MOST_PARAMETERS}, as a slider could not move more: give "
            "a smaller cell, or one with its symmetry, or use it in the terminal (`pdfkit fit`, `pdfkit calc`)"
        )


def refuse_slow(ready: Prepared) -> None:
    """Raise PdfkitError for a page with more points, atoms or parameters than it takes."""
    for name, r in ready.grids.items():
        if r.size > MOST_LINES:
            raise PdfkitError(f"{name or 'the data'}: {r.size} points, and a page takes {MOST_LINES}: thin them")
    _refuse_parameters(len(ready.names))
    refuse_many(() if ready.built.model is None else ready.built.model.phases)
