"""Which scans of a series favour which structure: the evidence for each model in every scan, in one measure of noise.

Models are fitted to every scan by itself, each fit from where the one before ended. What the best of them miss in all
scans alike is no noise of scans (`posed`): without it, misfits of the others stand out. So ln Z of two models of
one scan can be compared, and how their difference goes along the series shows where one gives way to the other.

Where symmetry takes the slope of G by a parameter away (an orthorhombic cell whose a equals b), the likelihood is no
normal distribution there: its width is then looked for on the data, where χ² has risen by 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._table import aligned, wrapped
from pdfkit.data.curves import PDF
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.model.model import Model
from pdfkit.results.result import FitResult
from pdfkit.series.plan import index_of
from pdfkit.series.posed import Lean, Measure, PosedScan, Progress, Template, measured, one_by_one, posed, values

VAGUE = 100.0
"""Curvature, in units of the prior, below which the width of the likelihood is looked for on the data."""
HALVINGS = 8
DECIDED = 3.0
"""Difference of ln Z from which on a scan favours a model (odds of 20 to 1)."""


@dataclass(frozen=True, eq=False)
class ScanEvidence:
    """ln Z (S, M) of models in scans, up to a number that is the same for all models of a scan.

    names (M,); index (S,); fits: by model, those of single scans. remarks: how noise was measured.

    Example
    -------
    See `scan_evidence`.
    """

    names: tuple[str, ...]
    index: Array
    lnz: Array
    fits: Mapping[str, Sequence[FitResult]]
    remarks: tuple[str, ...]

    def favoured(self) -> tuple[str, ...]:
        """Return for each scan the model that it favours, "" where it cannot tell."""
        order = np.sort(self.lnz, axis=1)
        best = self.lnz.argmax(axis=1)
        told = order[:, -1] - order[:, -2] >= DECIDED
        return tuple(self.names[k] if one else "" for k, one in zip(best, told, strict=True))

    def __str__(self) -> str:
        rows = [("index", *(f"ln Z {name}" for name in self.names), "favours")]
        least = self.lnz - self.lnz.max(axis=1)[:, None]
        for t, row, name in zip(self.index, least, self.favoured(), strict=True):
            rows.append((f"{t:g}", *(f"{one:.1f}" for one in row), name or "none"))
        right = range(1, len(self.names) + 1)
        return "\n".join([*aligned(rows, right=right), *(wrapped(one, "  ") for one in self.remarks)])


def scan_evidence(
    models: Mapping[str, Model],
    scans: Iterable[PDF],
    index: Sequence[float] | Array | None = None,
    *,
    free: Mapping[str, Iterable[str]],
    progress: Progress | None = None,
    **options: Any,
) -> ScanEvidence:
    """Fit several models to every scan of a series, and weigh them against each other in each.

    Parameters
    ----------
    scans, index : as for `fit_parametric`.
    models, free : by name, a model and what varies of it, by the endings of names. The noise is that of the best fit
        of each scan.
    options : rmin, rmax, bounds, use_errors, settings, as for `pdfkit.fit`.

    Raises
    ------
    PdfkitError : a scan that cannot be fitted, with its number.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.series.cells import scan_evidence
    >>> instrument, r = pk.Instrument(probe="X", qmax=20), np.arange(2, 12, 0.05)
    >>> names = {"zb": "CdS_zincblende", "wz": "CdS_wurtzite"}
    >>> models = {name: pk.Model(pk.Crystal.from_file(file, name=name), instrument) for name, file in names.items()}
    >>> rng = np.random.default_rng(0)
    >>> curves = [models[name](r).G + rng.normal(0, 0.3, r.size) for name in ("zb", "zb", "wz")]  # simulated
    >>> scans = [pk.PDF(r, G, instrument=instrument) for G in curves]
    >>> free = {"zb": ["scale", "a", "Uiso"], "wz": ["scale", "a", "c", "Uiso"]}
    >>> scan_evidence(models, scans, [1, 2, 3], free=free).favoured()
    ('zb', 'zb', 'wz')
    """
    index, _ = index_of(scans, index, None)
    pdfs = list(scans)
    t = _checks.array("index", index)
    if t.size != len(pdfs):
        raise ParameterError(f"there are {len(pdfs)} scans but {t.size} values of the index: give one for each scan")
    if set(models) != set(free) or len(models) < 2:
        raise ParameterError('models and free need the same two names or more: {"t": …, "o": …}', key="models")
    fits = {name: one_by_one(one, pdfs, tuple(free[name]), progress, **options) for name, one in models.items()}
    own = {name: _free(found) for name, found in fits.items()}
    scans_of = {name: _kept(found, own[name]) for name, found in fits.items()}
    x = {name: [values(one, own[name], ()) for one in found] for name, found in fits.items()}
    best = [min(models, key=lambda name: fits[name][k].rw) for k in range(len(pdfs))]
    measure = measured([scans_of[name][k] for k, name in enumerate(best)], [x[name][k] for k, name in enumerate(best)])
    lnz = np.column_stack([_ln_evidence(scans_of[name], np.array(x[name]), measure) for name in models])
    return ScanEvidence(tuple(models), t, lnz, fits, measure.remarks)


def _free(fits: Sequence[FitResult]) -> tuple[str, ...]:
    """Return what varied in all fits."""
    return tuple(name for name in fits[0].free if all(name in one.free for one in fits))


def _kept(fits: Sequence[FitResult], own: Sequence[str]) -> list[Lean]:
    """Return what is to be kept of the fits of one model."""
    template = Template(own, ())
    return [template.lean(one) for one in fits]


def _ln_evidence(scans: Sequence[Lean], x: Array, measure: Measure) -> Array:
    """Return ln Z (S,) of one model whose fits ended at x (S, n)."""
    known, _ = posed(scans, list(x), measure)
    reach = 2.0 * np.abs(x).max(axis=0)
    low, high = known[0].limits.T
    width = np.where(np.isfinite(high), high, reach) - np.where(np.isfinite(low), low, -reach)
    return np.array([_laplace(lean.scan(), row, width) for lean, row in zip(known, x, strict=True)])


def _laplace(scan: PosedScan, x: Array, width: Array) -> float:
    """Return ln Z of a scan about x (n,), from where its least χ² in this measure is one step away."""
    R = scan.triangle(x)
    cost = float(R[:, -1] @ R[:, -1])
    curvature = (R[:, :-1].T @ R[:, :-1]) * np.outer(width, width)
    slope = (R[:, :-1].T @ R[:, -1]) * width
    power, vectors = np.linalg.eigh(curvature)
    known = power > VAGUE
    along = vectors.T @ slope
    gained = float(np.sum(along[known] ** 2 / power[known]))
    wide = [_width(scan, x, width * vectors[:, k], cost) for k in np.flatnonzero(~known)]
    deviations = np.append(1.0 / np.sqrt(power[known]), wide)
    return -0.5 * (cost - gained) + 0.5 * x.size * math.log(2.0 * math.pi) + float(np.log(deviations).sum())


def _width(scan: PosedScan, x: Array, direction: Array, cost: float) -> float:
    """Return how far along a direction, in units of it, χ² is larger by 1: the mean of both sides."""
    return 0.5 * (_side(scan, x, direction, cost) + _side(scan, x, -direction, cost))


def _side(scan: PosedScan, x: Array, direction: Array, cost: float) -> float:
    near, far = 0.0, 1.0 / math.sqrt(12.0)
    low, high = scan.limits.T
    for _ in range(HALVINGS):
        middle = 0.5 * (near + far)
        place = x + middle * direction
        try:
            out = (place < low).any() or (place > high).any()
            risen = out or float(np.sum(scan.triangle(place)[:, -1] ** 2)) > cost + 1.0
        except PdfkitError:
            risen = True
        near, far = (near, middle) if risen else (middle, far)
    return far
