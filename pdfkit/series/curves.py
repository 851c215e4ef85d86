"""The curves of a series on one r: what every view without a structure model starts from."""

from __future__ import annotations

from collections import Counter
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
from pdfkit.series.scans import Series

MOST_NAMED = 5
"""So many scans that are left out are named."""
SCALES = 5.0
"""Times the usual size of G(r) from which on, and below whose inverse, a scan is said to be on another scale."""
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
        (`PDF.resample`); scans of a `Series` that cannot be read, have no index or are 0 everywhere are left out; both
        are named in remarks. Where Q ranges differ, the instrument has the largest Qmax, up to which there is noise.
        Raises PdfkitError where there is no r in common, no scan is left, or one cannot be interpolated.

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
        out: tuple[str, ...] = ()
        if isinstance(scans, Series):
            label = label or _title(scans)
            pdfs, index, out = _whole(scans, scans.index if index is None else index)
        else:
            pdfs = _pdfs(scans)
        r = _common(pdfs)
        moved = [one for one in pdfs if not _holds(one.r, r)]
        rows = [_on(one, r) for one in pdfs]
        covs = tuple(one.cov for one in rows if one.cov is not None)
        G, names = np.array([one.G for one in rows]), [one.name or f"scan {k}" for k, one in enumerate(pdfs, 1)]
        differ = differing([one.instrument for one in pdfs], names=names)
        return cls(
            r, G, np.zeros(0) if index is None else index, label or "scan", tuple(names), _widest(pdfs),
            None if any(one.dG is None for one in rows) else np.array([one.dG for one in rows]),
            covs if len(covs) == len(rows) else (), (*out, *_remarks(pdfs, moved, r), *_scaled(G, names), *differ),
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


def _title(series: Series) -> str:
    return f"{series.name} ({series.unit})" if series.unit else series.name


def _whole(series: Series, index: Any) -> tuple[list[PDF], Array, tuple[str, ...]]:
    """Return the scans of a series that show something, their index, and why others are left out."""
    values = _checks.array("index", index, finite=False)
    if values.size != len(series):
        raise PdfkitError(f"index has {values.size} entries and there are {len(series)} scans: they must match")
    pdfs: list[PDF] = []
    kept: list[int] = []
    why: list[str] = []
    for k in range(len(series)):
        scan = series.scan(k)
        try:
            pdf = scan.read()
        except PdfkitError as error:
            why.append(f"{scan.label} is left out: {error}")
            continue
        if not np.isfinite(values[k]):
            why.append(f"{scan.label} is left out: it has no {series.name}")
        elif not np.ptp(pdf.G) > 0:
            why.append(f"{scan.label} is left out: G is {pdf.G[0]:g} everywhere, as of no sample")
        else:
            pdfs.append(pdf if pdf.name else replace(pdf, name=scan.label))
            kept.append(k)
    if not pdfs:
        raise PdfkitError(f"no scan shows anything: {why[0]}" if why else "there are no scans: give at least one PDF")
    more = (f"{len(why) - MOST_NAMED} more scans are left out",) if len(why) > MOST_NAMED else ()
    return pdfs, values[kept], (*why[:MOST_NAMED], *more)


def _widest(pdfs: Sequence[PDF]) -> Instrument:
    """Return the instrument of the first scan, with the largest Qmax of all."""
    instrument, largest = pdfs[0].instrument, [one.instrument.qmax for one in pdfs]
    known = [one for one in largest if one is not None]
    return replace(instrument, qmax=max(known)) if len(known) == len(largest) else instrument


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
    low, high = (float(np.median([one.r[end] for one in pdfs])) for end in (0, -1))
    low, high = low + step, high - step
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
    return tuple(out)


def _scaled(G: Array, names: Sequence[str]) -> list[str]:
    """Say which scans G (m, n) are much larger or smaller than most."""
    size = np.sqrt(np.mean(G**2, axis=1))
    ratio = size / max(float(np.median(size)), 1e-300)
    odd = [k for k, one in enumerate(ratio) if not 1 / SCALES < one < SCALES]
    more = f", and {len(odd) - 3} more" if len(odd) > 3 else ""
    words = ", ".join(f"{names[k]} ({ratio[k]:.2g})" for k in odd[:3])
    return [f"on another scale than most scans, by these factors: {words}{more}"] if odd else []


def differing(instruments: Sequence[Instrument], what: str = "the scans", names: Sequence[str] = ()) -> tuple[str, ...]:
    """Say in what instruments differ that makes different curves of one sample, and which, where few do."""
    words = {"probe": "probes", "qmin": "Q ranges", "qmax": "Q ranges", "window": "windows", "qdamp": "qdamp"}
    told, odd = [], set()
    for name, word in words.items():
        values = [getattr(one, name) for one in instruments]
        usual, count = Counter(values).most_common(1)[0]
        told += [word] * (count < len(values))
        odd |= {k for k, value in enumerate(values) if value != usual}
    if not told:
        return ()
    few = f" ({', '.join(names[k] for k in sorted(odd))})" if names and len(odd) <= MOST_NAMED else ""
    differ = " and ".join(dict.fromkeys(told))
    return (f"{what} have different {differ}{few}, and differ by that already: measure and reduce all alike",)
