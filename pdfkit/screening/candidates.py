"""Candidates one at a time: from particles, files or folders, or the error of one that could not be made."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pdfkit.errors import PdfkitError, ReadError, missing
from pdfkit.particles.particle import Particle
from pdfkit.screening.settings import NAN, Composition
from pdfkit.screening.tasks import particle_key

SUFFIXES = (".xyz", ".extxyz", ".cif", ".pdb", ".stru")
# An iterator that fails again and again without an end is broken, not unlucky.
MOST_ERRORS = 1000


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


def candidates_of(source: Any, composition: Composition, duplicates: dict[str, list[str]]) -> Iterator[Candidate]:
    """Yield the candidates of any source, one by one, under names that differ; the same atoms only once.

    source : a particle, a folder or file, or an iterable of particles, paths, whatever `Particle.from_structure`
    takes, and (name, error) pairs. What an item cannot be is said in its entry. duplicates : gets the names of those
    that are left out because their atoms have come before, by key.
    """
    seen: Counter[str] = Counter()
    first: set[str] = set()
    for index, (name, item) in enumerate(_items(source)):
        particle, error = _particle(item)
        if particle is not None:
            name = particle.name or name or particle.formula
        name = " ".join(name.split()) or f"candidate {index + 1}"
        seen[name] += 1
        if seen[name] > 1:
            name = f"{name} ({seen[name]})"
        entry = entry_of(index, name, particle, error, composition)
        if entry.key in first:
            duplicates.setdefault(entry.key, []).append(name)
            continue
        first.add(entry.key)
        yield Candidate(entry, particle)


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


def _particle(item: Any) -> tuple[Particle | None, str]:
    """Return the particle that an item stands for, or why there is none."""
    if isinstance(item, Particle):
        return item, ""
    if isinstance(item, BaseException):
        return None, " ".join(str(item).split()) or type(item).__name__
    try:
        if isinstance(item, str | os.PathLike):
            return Particle.from_file(item, meta={"file": os.fspath(item), "family": "file"}), ""
        return Particle.from_structure(item), ""
    except PdfkitError as error:
        return None, " ".join(str(error).split())


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
    found = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        raise ReadError(path, f"there are no candidates in this folder: put files in it ({', '.join(SUFFIXES)})")
    return found
