"""From frames as files have them to boxes of known species: what stands for what, which cell, what is refused."""

from __future__ import annotations

from collections import Counter
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
from pdfkit.structure.species import symbols

VACUUM = 10.0
"""Å without an atom across a whole box that are taken for vacuum: pores of frameworks are narrower."""


# Volumes within this share are one cell, given with the digits that somebody typed.
SAME_VOLUME = 1e-3


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
                _refuse_types(word, frame, self.species)
                names, found = frame.names, _kinds(word, frame.names, self.species)
                if number == 1:
                    said += [*frame.said, *self._replaced(word, frame)]
                    said += _left_out(word, names, found[1], self.species)
            elements, kind = found
            there = kind >= 0
            cell = self._cell(f"{word}, frame {number},", frame)
            try:
                box = Box(cell, frame.xyz[there], kind[there])
            except StructureError as error:
                raise of_frame(number, error) from None
            if number == 1:
                said += _empty(box)
            yield box, elements

    def _frames(self, said: list[str]) -> Iterator[tuple[str, Frame]]:
        for file in self.files:
            if not is_path(file):
                yield spoken(file), frame_of(file)
                continue
            count, last = 0, -1
            try:
                for frame in frames_of(file, self.topology):
                    count += 1
                    if frame.step is not None:
                        said += _again(file, frame.step, last, said)
                        last = max(last, frame.step)
                    yield str(file), frame
            except CutOffError:
                ends = f"{Path(file).name} ends within frame {count + 1}, as of a run that was stopped"
                said.append(f"{ends}: the {count} before are used" if count else ends)

    def _replaced(self, source: str, frame: Frame) -> list[str]:
        """Return what is said where a cell that is given counts before another one of the file."""
        if self.cell is None or frame.cell is None or not frame.cell.any():
            return []
        given, own = (abs(float(np.linalg.det(one))) for one in (self.cell, frame.cell))
        if abs(given - own) < SAME_VOLUME * own:
            return []
        return [f"{source}: cell= ({given:.6g} Å³) counts before the cells of the frames (the first has {own:.6g} Å³)"]

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


def _again(file: Any, step: int, last: int, said: list[str]) -> list[str]:
    """Return what is said, once for each file, of a step (number) that does not come after the last one."""
    text = f"{Path(file).name}: steps do not only go up"
    if step > last or any(one.startswith(text) for one in said):
        return []
    return [f"{text} ({step} follows {last}), as where a run was continued: frames that are there twice count twice"]


def is_path(source: Any) -> bool:
    """Return whether frames are in a file."""
    return isinstance(source, str | Path)


def spoken(source: Any) -> str:
    """Return what messages call a file, or frames at hand."""
    return str(source) if is_path(source) else "frames"


def of_frame(number: int, error: StructureError) -> StructureError:
    """Return the error with the number of the frame, counted from 1 among those that are used."""
    return StructureError(f"frame {number}: {error}")


def _refuse_types(source: str, frame: Frame, mapping: Mapping[str, str]) -> None:
    """Refuse types and names of atoms of force fields in which CA is calcium or some carbon."""
    if not frame.types:
        return
    unsure = [one for one in dict.fromkeys(frame.names) if one not in mapping and one.isalpha()]
    unsure = [one for one in unsure if len(one) > 1 and one != one.capitalize() and one[0].upper() in symbols()]
    if unsure:
        raise PdfkitError(
            f"{source} has no elements but types ({', '.join(unsure[:6])}) that may be of several: say what each is, "
            f'species={{"{unsure[0]}": "…"}} (--species {unsure[0]}=C, if it is C)'
        )


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


def _left_out(source: str, names: list[str], kind: IntArray, mapping: Mapping[str, str]) -> list[str]:
    """Return what is said of atoms that are left out without being asked to, and of names that no atom has."""
    said = []
    counts = Counter(name for name, one in zip(names, kind.tolist(), strict=True) if one < 0 and name not in mapping)
    if counts:
        many = ", ".join(f"{n} {name}" for name, n in counts.items())
        said.append(
            f"{source}: {many} are vacancies by their name and left out; say what they are with species= if not"
        )
    unknown = [name for name in mapping if name not in names]
    if unknown:
        said.append(
            f"{source}: species= names {', '.join(unknown[:5])}, but no atom is called that: the names are "
            f"{', '.join(list(dict.fromkeys(names))[:8])}"
        )
    return said


def _empty(box: Box) -> list[str]:
    """Return what is said of a box with vacuum, of which ρ₀ is not the density of what is in it."""
    fraction = np.sort(box.xyz @ np.linalg.inv(box.cell) % 1.0, axis=0)
    gaps = np.diff(fraction, axis=0, append=fraction[:1] + 1.0).max(axis=0) * box.heights
    widest = int(np.argmax(gaps))
    # An atom of its own in a cell is not beside vacuum.
    if gaps[widest] < VACUUM or gaps[widest] > 0.99 * box.heights[widest]:
        return []
    return [
        f"the box is empty over {gaps[widest]:.3g} Å along {'abc'[widest]}, as of a slab or a drop: ρ₀ is that of the "
        "whole box, and G(r) that of layers or drops which repeat with it, not of the material"
    ]


def _meant(name: str, mapping: Mapping[str, str]) -> str:
    """Return the species of a name: what the mapping says, as an ion if it says so, else the element of a symbol."""
    if name not in mapping:
        return species_of(name).element
    return species_of(mapping[name]).ion if mapping[name] else ""
