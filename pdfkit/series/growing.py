"""Stacks that grow: scans of HDF5 files in a folder, each handed on as soon as its row is there.

A writer that keeps its file open lets others read it in SWMR mode (single writer, multiple readers: h5py's
`file.swmr_mode = True`). Of another file nobody can tell what is whole: it is looked at whenever it is closed. A row is
there when it holds numbers; one that is shorter than the one before waits for its rest, as long as it is the last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError
from pdfkit.io.hdf5 import SIGNATURE
from pdfkit.series.scans import Axis, HeldScan, Scan, file_stamp
from pdfkit.series.stacks import Stack, axis_called, open_stack

ENDINGS = (".h5", ".hdf5", ".nxs", ".nx5", ".hdf")
FEW = 16
"""Rows without numbers behind which no others are looked for: they are set aside for scans to come."""
_SWMR, _NEWEST = 4, 3  # a bit of the flags, and the version of superblocks that have them, of the HDF5 file format
_FLAGS = 11


def is_growing(name: str) -> bool:
    """Return whether a file is a stack by its name."""
    return name.lower().endswith(ENDINGS)


def is_shared(path: Path) -> bool:
    """Return whether the writer of an HDF5 file lets others read it meanwhile."""
    try:
        with path.open("rb") as file:
            head = file.read(_FLAGS + 1)
    except OSError:
        return False
    known = len(head) > _FLAGS and head.startswith(SIGNATURE) and head[len(SIGNATURE)] >= _NEWEST
    return known and bool(head[_FLAGS] & _SWMR)


def part(name: str) -> tuple[str, int] | None:
    """Return the file and the number of a scan that is called "stack.h5[12]"; None for other names."""
    found = re.fullmatch(r"(.+)\[(\d+)\]", name)
    return (found[1], int(found[2])) if found and is_growing(found[1]) else None


@dataclass(frozen=True)
class Row:
    """A scan of a stack that grows: the file is opened as it is when the scan is asked for."""

    path: str
    within: str
    number: int
    options: tuple[tuple[str, Any], ...]

    @property
    def label(self) -> str:
        """The file and the number in it."""
        return f"{Path(self.path).name}[{self.number}]"

    def stamp(self) -> str:
        """Return a hash of the curve: size and time of the file change with every scan."""
        try:
            return HeldScan(self.read(), "").stamp()
        except PdfkitError:
            return f"unreadable {file_stamp(self.path)}"

    def read(self) -> PDF:
        """Return the data."""
        return opened(self.path, self.within, self.options)[0].scan(self.number).read()


def opened(path: str, within: str, options: tuple[tuple[str, Any], ...]) -> tuple[Stack, tuple[Axis, ...]]:
    """Return a stack as it is now, and its axes. PdfkitError for a map, which is fitted when it is whole."""
    stack, axes = open_stack(f"{path}::{within}" if within else path, dict(options))
    if len(stack.shape) > 1:
        raise PdfkitError(f"{Path(path).name} holds a map, which is fitted when it is whole: use pdfkit series")
    return stack, axes


@dataclass(eq=False)
class Stacks:
    """The stacks of a folder, and which of their scans were handed on.

    within : path of the dataset in each, "" to look for it. options : what files do not say of the instrument.
    """

    folder: Path
    within: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    _seen: dict[str, tuple[set[int], int]] = field(default_factory=dict)

    def scan(self, name: str, number: int) -> Scan:
        """Return a scan, unread."""
        return Row(str(self.folder / name), self.within, number, self._told)

    @property
    def _told(self) -> tuple[tuple[str, Any], ...]:
        return tuple(self.options.items())

    def axis(self, name: str, number: int, index: Any) -> Axis:
        """Return the index of one scan: a dataset of the file; without a name, its own axis, else the number."""
        stack, axes = opened(str(self.folder / name), self.within, self._told)
        if isinstance(index, str) and index != "number":
            axes = (axis_called(stack, index),)
        if not axes or index == "number":
            return Axis("number", np.array([float(number)]))
        (axis,) = axes
        return Axis(axis.name, axis.values[number : number + 1], axis.unit)

    def next(self, name: str) -> str | None:
        """Return the next scan of a file that was not handed on, as "stack.h5[12]"; None where none is there yet.

        PdfkitError where the file holds no stack.
        """
        path = self.folder / name
        stack, _ = opened(str(path), self.within, self._told)
        done, points = self._seen.setdefault(name, (set(), 0))
        empty = 0
        for number in range(len(stack)):
            if number in done:
                continue
            size = stack.points(number)
            empty = 0 if size else empty + 1
            if empty >= FEW:
                return None
            if size and (size >= points or not is_shared(path) or self._goes_on(stack, number)):
                done.add(number)
                self._seen[name] = done, size
                return f"{name}[{number}]"
        return None

    def _goes_on(self, stack: Stack, number: int) -> bool:
        """Return whether a later scan has begun."""
        return number + 1 < len(stack) and stack.points(number + 1) > 0

    def skip(self, name: str) -> int:
        """Take all scans of a file that are there for handed on; return how many they are."""
        count = 0
        while self.next(name) is not None:
            count += 1
        return count
