"""Intensities as scans: each pattern is reduced to G(r) when it is read, in the process that fits it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.curves import PDF, Intensity
from pdfkit.errors import PdfkitError
from pdfkit.io.intensity import read_intensity
from pdfkit.reduction.batch import r_grid
from pdfkit.reduction.reduction import reduce
from pdfkit.reduction.settings import ReductionSettings, settings_of
from pdfkit.series.scans import Scan, named_stamp
from pdfkit.series.stacks import Stack

_R = {"rmin": 0.01, "rmax": 30.0, "rstep": 0.01}


@dataclass(frozen=True, eq=False)
class Reducing:
    """How patterns become G(r): settings, background file, and what its instrument is beyond that; r of G(r)."""

    settings: ReductionSettings
    background: str | None
    r: Array
    instrument: tuple[tuple[str, Any], ...] = ()

    def pdf(self, pattern: Intensity, label: str) -> PDF:
        """Return G(r) of a pattern. PdfkitError where it cannot be reduced."""
        empty = (
            None if self.background is None else _background(self.background, tuple(self.settings.reading().items()))
        )
        pdf = reduce(pattern, self.settings, background=empty).to_pdf(self.r)
        known = dict(self.instrument)
        given = tuple(dict.fromkeys((*pdf.instrument.given, *known)))
        return replace(pdf, instrument=replace(pdf.instrument, **known, given=given), name=label)


def reducing(settings: Mapping[str, Any], reading: Mapping[str, Any]) -> Reducing:
    """Return how patterns are reduced. reading : numbers of the instrument that no pattern states (qdamp, …)."""
    options = dict(settings)
    background = options.pop("background", None)
    ends = [float(options.pop(key, usual)) for key, usual in _R.items()]
    made = Reducing(
        settings_of(None, options),
        None if background is None else os.fspath(background),
        r_grid(*ends),
        tuple(reading.items()),
    )
    if made.background is not None:
        _background(made.background, tuple(made.settings.reading().items()))  # what is wrong with it is wrong for all
    return made


@lru_cache(maxsize=4)
def _background(path: str, reading: tuple[tuple[str, Any], ...]) -> Intensity:
    return read_intensity(path, **dict(reading))


@dataclass(frozen=True, eq=False)
class Patterns:
    """Intensities, in files or a stack, and how they are reduced."""

    source: Sequence[str] | Stack
    how: Reducing

    def __len__(self) -> int:
        return len(self.source)

    def scan(self, number: int) -> Scan:
        """Return one of them, unread."""
        if isinstance(self.source, Stack):
            return ReducedScan(self.how, self.source, number)
        return ReducedScan(self.how, self.source[number])


def reduced(source: Sequence[str] | Stack, how: Reducing) -> Patterns:
    """Return patterns as scans of G(r)."""
    return Patterns(source if isinstance(source, Stack) else tuple(source), how)


@dataclass(frozen=True, eq=False)
class ReducedScan:
    """One pattern: a file, or a number in a stack."""

    how: Reducing
    source: str | Stack
    number: int = 0

    @property
    def label(self) -> str:
        """The name of the file, or the place in it."""
        return Path(self.source).name if isinstance(self.source, str) else self.source.scan(self.number).label

    def stamp(self) -> str:
        """Return what changes with the data and their reduction."""
        of = named_stamp(self.source) if isinstance(self.source, str) else self.source.scan(self.number).stamp()
        ground = "" if self.how.background is None else named_stamp(self.how.background)
        r, known = self.how.r, (*sorted(self.how.settings.given().items()), *sorted(self.how.instrument))
        return f"{of}-{ground}-{r[0]:g}-{r[-1]:g}-{r.size}-{known!r}"

    def read(self) -> PDF:
        """Return G(r) of the pattern."""
        if isinstance(self.source, str):
            return self.how.pdf(read_intensity(self.source, **self.how.settings.reading()), self.label)
        Q, I, dI = self.source.curve(self.number)
        if Q[0] < 0 or not np.all(np.diff(Q) > 0):
            raise PdfkitError(f"{self.label}: Q does not increase from 0 on")
        return self.how.pdf(Intensity(Q, I, dI), self.label)
