"""Candidates one at a time: from particles, files or folders, or the error of one that could not be made."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pdfkit.errors import PdfkitError, ReadError, StructureError, heard, missing, remark
from pdfkit.kernels.ranking import pair_bins
from pdfkit.particles.particle import Particle
from pdfkit.screening.crystals import cluster_in, no_cluster
from pdfkit.screening.isotopes import plain
from pdfkit.screening.settings import NAN, Composition
from pdfkit.screening.tasks import Problem, particle_key
from pdfkit.structure.structure import Structure

CELLS = (".cif", ".stru")
SUFFIXES = (".xyz", ".extxyz", ".cif", ".pdb", ".ent", ".stru", ".vasp", ".xsf", ".gen", ".mol", ".sdf")
NAMES = ("POSCAR", "CONTCAR")
# Files of atoms that nothing here reads: that a folder has some is said.
UNREAD = (".mol2", ".cml", ".car", ".lmp", ".dump", ".traj", ".gz", ".zip")
# An iterator that fails again and again without an end is broken, not unlucky.
MOST_ERRORS = 1000
# Above, all pairs cost more than a hash of the positions is worth.
DIRECT_ATOMS = 2000


class Entry(NamedTuple):
    """What the ranking remembers of every candidate; without coordinates, so that there may be very many."""

    place: int
    name: str
    key: str
    formula: str = ""
    atoms: int = 0
    family: str = ""
    ratio: float = NAN
    mass: float = NAN
    error: str = ""


class Candidate(NamedTuple):
    """A candidate on its way: what is remembered, and what a worker gets (None for one that could not be made)."""

    entry: Entry
    payload: Any


class Item(NamedTuple):
    """A candidate as it came: its place, its name as far as it has one, and what makes a particle (or the error)."""

    place: int
    name: str
    item: Any


def name_of(item: Item, particle: Particle | None = None) -> str:
    """Return the name that a candidate brings with it, or its number."""
    if particle is None and isinstance(item.item, Particle):
        particle = item.item
    name = item.name if particle is None else particle.name or item.name or particle.formula
    return " ".join(name.split()) or f"candidate {item.place + 1}"


class Names:
    """Gives every candidate a name of its own."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def of(self, item: Item, particle: Particle | None) -> str:
        """Return the name of a candidate, with a number behind it where others have had it."""
        name = name_of(item, particle)
        self._seen[name] += 1
        return name if self._seen[name] == 1 else f"{name} ({self._seen[name]})"


def items_of(source: Any) -> Iterator[Item]:
    """Yield the candidates of any source as they come.

    source : a particle, a folder or file, or an iterable of particles, paths, whatever `Particle.from_structure`
    takes, functions without arguments that return such things, and (name, error) pairs.
    """
    for place, (name, item) in enumerate(_items(source)):
        yield Item(place, name, item)


def candidates_of(
    items: Iterable[Item],
    composition: Composition,
    duplicates: dict[str, list[str]],
    names: Names,
    problem: Problem,
) -> Iterator[Candidate]:
    """Yield the candidates of items, one by one, under names that differ; the same distances only once.

    What an item cannot be is said in its entry. duplicates : gets the names of those that are left out because they
    have the distances between their atoms of one that came before, by its key. problem : whether isotopes count.
    """
    first: dict[object, str] = {}
    for item in items:
        particle, error = particle_of(item.item)
        entry = entry_of(item.place, names.of(item, particle), particle, error, composition)
        shape: object = item.place if particle is None else shape_key(plain(particle, problem))
        if shape in first:
            duplicates.setdefault(first[shape], []).append(entry.name)
            continue
        first[shape] = entry.key
        yield Candidate(entry, particle)


def shape_key(particle: Particle) -> int:
    """Return a number that is equal for particles with equal distances (to 1e-4 Å) between each two elements.

    The same for any order of the atoms, for what is moved, turned and mirrored: no isotropic pattern tells these apart.
    """
    if len(particle) > DIRECT_ATOMS:
        return int(particle_key(particle)[:15], 16)
    kinds = len(particle.elements)
    index, bins = np.zeros((kinds, kinds), dtype=np.int64), np.zeros((kinds * (kinds + 1) // 2, 2), dtype=np.float32)
    first, second = np.triu_indices(kinds)
    index[first, second] = index[second, first] = np.arange(first.size)
    *_, total = pair_bins(particle.xyz, particle.kind, index, 1.0, bins)
    return shape_number(particle, total)


def shape_number(particle: Particle, distances: int) -> int:
    """Return a number of 63 bits for a hash of distances and the numbers of atoms of each element."""
    counts = np.bincount(particle.kind, minlength=len(particle.elements)).tolist()
    about = repr((particle.elements, counts, distances)).encode()
    return int.from_bytes(blake2b(about, digest_size=8).digest(), "little") >> 1


def entry_of(index: int, name: str, particle: Particle | None, error: str, composition: Composition) -> Entry:
    """Return what is remembered of a candidate."""
    if particle is None:
        return Entry(index, name, f"failed:{index}", error=error)
    return Entry(
        index,
        name,
        particle_key(particle),
        particle.formula,
        len(particle),
        str(particle.meta.get("family", "")),
        composition.ratio_in(particle),
        particle.core.mass,
    )


def particle_of(item: Any) -> tuple[Particle | None, str]:
    """Return the particle that an item stands for, or why there is none."""
    if isinstance(item, Particle):
        wrong = no_cluster(item)
        return (None, wrong) if wrong else (item, "")
    if isinstance(item, BaseException):
        return None, " ".join(str(item).split()) or type(item).__name__
    try:
        if callable(item):
            return particle_of(item())
        if isinstance(item, str | os.PathLike):
            return particle_of(_read(item))
        return particle_of(cluster_in(item) if isinstance(item, Structure) else Particle.from_structure(item))
    except PdfkitError as error:
        return None, " ".join(str(error).split())
    except Exception as error:  # whatever a function of one's own raises: the others go on
        return None, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _read(path: str | os.PathLike[str]) -> Particle:
    """Return the cluster in a file; of a file with a cell, what is shown to be one."""
    meta = {"file": os.fspath(path), "family": "file"}
    if Path(path).suffix.lower() not in CELLS:
        return Particle.from_file(path, meta=meta)
    from pdfkit.io.structures import read_structure

    try:
        with heard():  # of U, which is fitted; the row has all remarks
            structure = read_structure(path)
        return replace(cluster_in(structure, Path(path).stem), meta=meta)
    except StructureError as error:
        raise ReadError(path, str(error)) from None


def _items(source: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, item); an item may be an exception."""
    if isinstance(source, Particle):
        source = [source]
    if isinstance(source, str | os.PathLike):
        source = files_in(source)
    if not isinstance(source, Iterable):
        raise PdfkitError(f"candidates are of type {type(source).__name__}: give particles, files or a folder of them")
    walk, failed = iter(source), 0
    while True:
        try:
            item = next(walk)
        except StopIteration:
            return
        except PdfkitError as error:
            failed += 1
            if failed > MOST_ERRORS:
                raise
            yield "", error
            continue
        failed = 0
        yield _named(item)


def _named(item: Any) -> tuple[str, Any]:
    if isinstance(item, str | os.PathLike):
        return Path(item).stem, item
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        name, value = item
        wrong = isinstance(value, str) and not isinstance(value, os.PathLike)
        return name, PdfkitError(value) if wrong else value
    return "", item


def files_in(path: str | os.PathLike[str]) -> list[Path]:
    """Return the structure files of a folder in order of their names, or the one file. ReadError for none."""
    folder = Path(path)
    if not folder.exists():
        raise ReadError(path, missing(path, "file or folder"))
    if not folder.is_dir():
        return [folder]
    files = sorted(file for file in folder.iterdir() if file.is_file())
    found = [file for file in files if file.suffix.lower() in SUFFIXES or file.name.upper().startswith(NAMES)]
    if not found:
        raise ReadError(path, f"there are no candidates in this folder: put files in it ({', '.join(SUFFIXES)})")
    if unread := [file.name for file in files if file.suffix.lower() in UNREAD]:
        more = f" and {len(unread) - 3} more" if unread[3:] else ""
        remark(f"{folder.name} has files that are not read and no candidates: {', '.join(unread[:3])}{more}")
    return found
