"""The curves of a series on one r: what every view without a structure model starts from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.covariance import Covariance
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError

GRID = 1e-6
"""Å; grids that differ by less are one."""


@dataclass(frozen=True, eq=False, repr=False)
class Curves:
    """G(r) of m scans on one r.

    Parameters
    ----------
    r : (n,) Å. G : (m, n) Å⁻². index : (m,) what changes along the series; by default the number of the scan.
    label : what the index is, with its unit, such as "T (K)". names : (m,) of the scans. instrument : of all scans.
    dG : (m, n) Å⁻², standard deviations, or None. covs : (m,) covariances of the scans, () without.
    remarks : what was done to get here, such as scans that were put on other points.

    Raises
    ------
    PdfkitError : sizes that do not match, values that are not finite, r that does not increase.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series import Curves
    >>> r, heights = np.arange(1.0, 10.0, 0.05), np.linspace(1, 2, 5)
    >>> curves = Curves(r, heights[:, None] * np.sin(3 * r), heights, label="height")
    >>> print(curves)
    5 scans (height 1 to 2), 180 points from 1 to 9.95 Å
    """

    r: Array
    G: Array
    index: Array = field(default_factory=lambda: np.zeros(0))
    label: str = "scan"
    names: tuple[str, ...] = ()
    instrument: Instrument = field(default_factory=Instrument)
    dG: Array | None = None
    covs: tuple[Covariance, ...] = ()
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "r", _checks.grid("r", self.r))
        set_(self, "G", self._shaped("G", self.G))
        count = self.G.shape[0]
        given = self.index if np.size(self.index) else np.arange(1.0, count + 1)
        set_(self, "index", _checks.array("index", given))
        set_(self, "names", self.names or tuple(f"scan {k}" for k in range(1, count + 1)))
        if self.dG is not None:
            set_(self, "dG", self._shaped("dG", self.dG))
        for name, many in (("index", self.index), ("names", self.names), ("covs", self.covs)):
            if len(many) != count and (name != "covs" or many):
                raise PdfkitError(f"{name} has {len(many)} entries and there are {count} scans: they must match")

    def _shaped(self, name: str, value: Any) -> Array:
        out = _checks.array(name, value, ndim=2)
        if out.shape[1] != self.r.size:
            raise PdfkitError(f"{name} has {out.shape[1]} points a scan and r has {self.r.size}: they must match")
        return out

    @classmethod
    def of(cls, scans: Iterable[PDF] | Curves, index: Any = None, *, label: str = "") -> Curves:
        """Return scans on the points that the first has within the r that all have in common.

        index : (m,), by default that of a `Series`, or the numbers of the scans. Scans on other points are interpolated
        (`PDF.resample`) and named in a remark. Raises PdfkitError where there is no r in common, or a scan cannot be
        interpolated.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> from pdfkit.series import Curves
        >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        >>> scans = [model(np.arange(1, 10, 0.02)), model(np.arange(1.005, 12, 0.02))]
        >>> print(Curves.of(scans, [300, 310], label="T (K)"))
        2 scans (T (K) 300 to 310), 449 points from 1.02 to 9.98 Å
        """
        if isinstance(scans, Curves):
            return scans if index is None else replace(scans, index=index, label=label or scans.label)
        known = getattr(scans, "index", None)
        if isinstance(known, np.ndarray):  # a Series knows its index
            index, label = known if index is None else index, label or _title(scans)
        pdfs = _pdfs(scans)
        r = _common(pdfs)
        moved = [one for one in pdfs if not _holds(one.r, r)]
        rows = [_on(one, r) for one in pdfs]
        covs = tuple(one.cov for one in rows if one.cov is not None)
        return cls(
            r, np.array([one.G for one in rows]), np.zeros(0) if index is None else index, label or "scan",
            tuple(one.name or f"scan {k}" for k, one in enumerate(pdfs, 1)), pdfs[0].instrument,
            None if any(one.dG is None for one in rows) else np.array([one.dG for one in rows]),
            covs if len(covs) == len(rows) else (), _remarks(pdfs, moved, r),
        )  # fmt: skip

    def __len__(self) -> int:
        return int(self.G.shape[0])

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        spans = f"{self.label} {self.index.min():g} to {self.index.max():g}"
        return f"{len(self)} scans ({spans}), {self.r.size} points from {self.r[0]:g} to {self.r[-1]:g} Å"

    def scan(self, i: int) -> PDF:
        """Return one scan."""
        return PDF(
            self.r, self.G[i], None if self.dG is None else self.dG[i], instrument=self.instrument, name=self.names[i],
            cov=self.covs[i] if self.covs else None,
        )  # fmt: skip

    def crop(self, rmin: float | None = None, rmax: float | None = None) -> Curves:
        """Return the points with rmin ≤ r ≤ rmax (Å; None leaves that end open); PdfkitError when none is left."""
        first = self.scan(0).crop(rmin, rmax).r
        keep = (self.r >= first[0]) & (self.r <= first[-1])
        dG = None if self.dG is None else self.dG[:, keep]
        return replace(self, r=first, G=self.G[:, keep], dG=dG)


def _title(series: Any) -> str:
    return f"{series.name} ({series.unit})" if series.unit else str(series.name)


def _pdfs(scans: Iterable[PDF]) -> list[PDF]:
    pdfs = list(scans)
    for k, one in enumerate(pdfs, 1):
        _checks.instance(f"scan {k}", one, PDF, "a series of PDFs, as read_pdf returns them")
    if not pdfs:
        raise PdfkitError("there are no scans: give at least one PDF")
    return pdfs


def _common(pdfs: Sequence[PDF]) -> Array:
    """Return the points of the first scan that all scans reach."""
    low, high = max(one.r[0] for one in pdfs), min(one.r[-1] for one in pdfs)
    r = pdfs[0].r
    inside: Array = r[(r >= low - GRID) & (r <= high + GRID)]
    if inside.size < 2:
        raise PdfkitError(
            f"the scans have no r in common: one begins at {low:g} Å and another ends at {high:g} Å; leave it out"
        )
    return inside


def _holds(points: Array, r: Array) -> bool:
    """Return whether all of r is among the points."""
    at = np.clip(np.searchsorted(points, r - GRID), 0, points.size - 1)
    return bool(np.abs(points[at] - r).max() <= 2 * GRID)


def _on(one: PDF, r: Array) -> PDF:
    if not _holds(one.r, r):
        return one.resample(np.clip(r, one.r[0], one.r[-1]))
    at = np.searchsorted(one.r, r - GRID)
    return replace(one, r=r, G=one.G[at], dG=None if one.dG is None else one.dG[at])


def _remarks(pdfs: Sequence[PDF], moved: Sequence[PDF], r: Array) -> tuple[str, ...]:
    step = float(r[1] - r[0])
    low, high = min(one.r[0] for one in pdfs) + step, max(one.r[-1] for one in pdfs) - step
    out = []
    if moved:
        names = ", ".join(one.name or "a scan without a name" for one in moved[:3])
        more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
        out.append(f"{names}{more}: on other r than the first scan, interpolated to its points")
    shorter = [one.name or "a scan without a name" for one in pdfs if one.r[0] > low or one.r[-1] < high]
    if shorter:
        out.append(
            f"{', '.join(shorter[:3])}{f' and {len(shorter) - 3} more' if len(shorter) > 3 else ''}: shorter in r than "
            f"others, so that all scans count from {r[0]:g} to {r[-1]:g} Å alone"
        )
    return (*out, *differing([one.instrument for one in pdfs]))


def differing(instruments: Sequence[Instrument], what: str = "the scans") -> tuple[str, ...]:
    """Say in what instruments differ that makes different curves of one sample."""
    names = {"probe": "probes", "qmin": "Q ranges", "qmax": "Q ranges", "window": "windows", "qdamp": "qdamp"}
    told = [words for name, words in names.items() if len({getattr(one, name) for one in instruments}) > 1]
    if not told:
        return ()
    words = " and ".join(dict.fromkeys(told))
    return (f"{what} have different {words}, and differ by that already: measure and reduce all alike",)
