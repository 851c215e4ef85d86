"""From frames as files have them to boxes of known species: what stands for what, which cell, what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError, StructureError
from pdfkit.io._atomic import AnyPath
from pdfkit.io.frames import CutOffError, Frame, frame_of, frames_of
from pdfkit.particles.boxes import Box
from pdfkit.structure.species import species as species_of


@dataclass(frozen=True, eq=False)
class Sources:
    """Files (or `ase.Atoms`) one after the other, which of their frames, and what their names and cells mean.

    Parameters as for `read_trajectory`; cell : (3, 3) or None.
    """

    files: tuple[Any, ...]
    start: int = 0
    stop: int | None = None
    step: int = 1
    species: Mapping[str, str] = field(default_factory=dict)
    cell: Array | None = None
    pbc: bool | None = None
    topology: AnyPath | None = None

    @property
    def name(self) -> str:
        """The first file, or "frames"."""
        return spoken(self.files[0])

    @property
    def chosen(self) -> str:
        """The frames as a slice."""
        return f"{self.start}:{'' if self.stop is None else self.stop}:{self.step}"

    def boxes(self, said: list[str]) -> Iterator[tuple[Box, tuple[str, ...]]]:
        """Yield each frame as a box, and its species by kind; remarks on the way are added to `said`."""
        names: list[str] = []
        found: tuple[tuple[str, ...], IntArray] = ((), np.zeros(0, dtype=np.int64))
        for number, (word, frame) in enumerate(islice(self._frames(said), self.start, self.stop, self.step), 1):
            if frame.names != names:
                names, found = frame.names, _kinds(word, frame.names, self.species)
            elements, kind = found
            there = kind >= 0
            cell = self._cell(f"{word}, frame {number},", frame)
            try:
                box = Box(cell, frame.xyz[there], kind[there])
            except StructureError as error:
                raise of_frame(number, error) from None
            yield box, elements

    def _frames(self, said: list[str]) -> Iterator[tuple[str, Frame]]:
        for file in self.files:
            if not is_path(file):
                yield spoken(file), frame_of(file)
                continue
            count = 0
            try:
                for frame in frames_of(file, self.topology):
                    count += 1
                    yield str(file), frame
            except CutOffError:
                ends = f"{Path(file).name} ends within frame {count + 1}, as of a run that was stopped"
                said.append(f"{ends}: the {count} before are used" if count else ends)

    def _cell(self, where: str, frame: Frame) -> Array:
        if self.cell is not None:
            return self.cell
        if frame.cell is None or not frame.cell.any():
            raise StructureError(
                f"{where} has no cell: give cell= in Å (--cell 20,20,20) if it is periodic; a cluster is calculated "
                "with pdfkit.Cluster"
            )
        if not all(frame.pbc) and not self.pbc:
            axes = ", ".join(axis for axis, periodic in zip("abc", frame.pbc, strict=True) if not periodic)
            raise StructureError(
                f"{where} is not periodic along {axes}, so that it has no density: give pbc=True (--pbc) if it is all "
                "the same, or calculate a cluster with pdfkit.Cluster"
            )
        return frame.cell


def is_path(source: Any) -> bool:
    """Return whether frames are in a file."""
    return isinstance(source, str | Path)


def spoken(source: Any) -> str:
    """Return what messages call a file, or frames at hand."""
    return str(source) if is_path(source) else "frames"


def of_frame(number: int, error: StructureError) -> StructureError:
    """Return the error with the number of the frame, counted from 1 among those that are used."""
    return StructureError(f"frame {number}: {error}")


def _kinds(source: str, names: list[str], mapping: Mapping[str, str]) -> tuple[tuple[str, ...], IntArray]:
    """Return the species, sorted, and the index of each atom's, −1 for what is left out."""
    called = dict.fromkeys(names)
    numbers = [name for name in called if name not in mapping and name.strip().isdigit()]
    if numbers:
        example = ", ".join(f'"{name}": "…"' for name in numbers[:3])
        raise PdfkitError(
            f"{source} has numbers of types ({', '.join(numbers[:6])}) and no elements: say what each is, "
            f"species={{{example}}} (--species {numbers[0]}=Cd, if it is Cd)"
        )
    try:
        meant = {name: _meant(name, mapping) for name in called}
    except StructureError as error:
        raise PdfkitError(f'{source}: {error}; or say what it is, such as species={{"CA": "C"}}') from None
    elements = tuple(sorted({one for one in meant.values() if one}))
    if not elements:
        raise PdfkitError(f"{source}: species leaves no atoms: correct it")
    place = {name: elements.index(one) if one else -1 for name, one in meant.items()}
    return elements, np.fromiter(map(place.__getitem__, names), dtype=np.int64, count=len(names))


def _meant(name: str, mapping: Mapping[str, str]) -> str:
    """Return the species of a name: what the mapping says, as an ion if it says so, else the element of a symbol."""
    if name not in mapping:
        return species_of(name).element
    return species_of(mapping[name]).ion if mapping[name] else ""
