"""Maps: one G(r) at each place of a line or a grid, fitted so that neighbours share what they know.

Every place is fitted by itself first. What that says of its numbers, values and information, goes into a field whose
neighbours are alike (`smooth`), as strongly as the evidence asks for. Where G is no linear function of the numbers, and
noise large, fits by themselves are off, or end in other minima: so each place is looked at again where the field is
now, and the field made anew.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdfkit import _checks, _expressions
from pdfkit._checks import Array
from pdfkit._table import wrapped
from pdfkit.data.curves import PDF
from pdfkit.errors import ParameterError, PdfkitError, WriteError
from pdfkit.fitting.prepared import PreparedFit
from pdfkit.model.model import Model
from pdfkit.results.derived import phase_fractions
from pdfkit.series.alone import Alone, Kept
from pdfkit.series.arrow import Eliminated
from pdfkit.series.parametric import Journal
from pdfkit.series.posed import COMMON, Lean, Progress, Template, correlation, misfits, size_of, values
from pdfkit.series.settled import errors_of, informed, said_of_weights, settled, weighed_alike
from pdfkit.series.smooth import Smooth, smooth

Place = tuple[int, int]

ROUNDS = 2
"""So many times places are looked at again where the field is."""
FEW, SHARE = 80.0, 0.6
"""Differences between neighbours, and which part of all, that the data have to tell of a map: in simulated slices
errors are too small by a tenth at most where they tell 100, by a third where they tell 60 to 70, and two times where
they tell 20 (`benchmarks/maps.py --errors`)."""
DROWNED = 0.6
"""Rw of half of the places from which on errors are too small: 1.4 times at 0.85, not at 0.43 (benchmarks/maps.py)."""


@dataclass(frozen=True, eq=False)
class Map:
    """Numbers at each place of a grid, from fits that share what neighbours know.

    names (n,): what is mapped; values, errors (X, Y, n): of the map, NaN where nothing was measured; alone,
    alone_errors: of fits of every place by itself. strength (n,): λ, one over the variance of what neighbours differ
    by. rw (X, Y): of the map. failed: place → why it has no fit of its own; neighbours tell its numbers.

    Example
    -------
    See `fit_map`.
    """

    names: tuple[str, ...]
    values: Array
    covariance: Array
    alone: Array
    alone_errors: Array
    strength: Array
    rw: Array
    failed: Mapping[Place, str]
    model: Model
    seconds: float
    seen: Mapping[Place, tuple[Lean, Array]] = field(repr=False)
    """Places with a fit of their own, and their numbers, own ones and those of the map."""
    strange: Mapping[Place, float] = field(default_factory=dict)
    """Places that their own fit does not describe while it does most, as where nothing of the sample is, and its Rw."""
    remarks: tuple[str, ...] = ()

    @property
    def errors(self) -> Array:
        """Standard errors (X, Y, n) of the map."""
        return np.asarray(np.sqrt(np.einsum("xyii->xyi", self.covariance)))

    def __getitem__(self, name: str) -> tuple[Array, Array]:
        """Return the map (X, Y) of a parameter, and its errors."""
        if name not in self.names:
            raise ParameterError(f"no map is called {name!r}: there are {', '.join(self.names)}", key=name)
        k = self.names.index(name)
        return self.values[:, :, k], self.errors[:, :, k]

    def fraction(self, phase: str, of: str = "atoms") -> tuple[Array, Array]:
        """Return the map (X, Y) of the share of a phase in all "atoms", "cells" or "mass", and its errors.

        ParameterError where the scales of all phases are not mapped.
        """
        scales = [f"{one.name}.scale" for one in self.model.phases]
        if f"{phase}.scale" not in scales or not set(scales) <= set(self.names):
            raise ParameterError(f"the share of {phase} needs maps of {', '.join(scales)}: add them to mapped")
        _checks.choice("of", of, ("atoms", "cells", "mass"))
        at = [self.names.index(name) for name in scales]
        out = np.full((2, *self.rw.shape), np.nan)
        for place in np.ndindex(*self.rw.shape):
            amounts = np.maximum(self.values[place][at], 0.0)
            if amounts.sum() > 0:
                model = self.model.with_values(dict(zip(scales, amounts.tolist(), strict=True)))
                out[:, *place] = phase_fractions(model, self.covariance[place][np.ix_(at, at)])[phase][of]
        return out[0], out[1]

    def __str__(self) -> str:
        X, Y = self.rw.shape
        lines = [f"Map of {X} × {Y} places: Rw = {np.nanmin(self.rw):.4f} to {np.nanmax(self.rw):.4f}"]
        for k, name in enumerate(self.names):
            now, before = np.nanmedian(self.errors[:, :, k]), np.nanmedian(self.alone_errors[:, :, k])
            low, high = np.nanpercentile(self.values[:, :, k], [5, 95])
            lines.append(f"  {name}: {low:.5g} to {high:.5g} (5 to 95 %), error {now:.2g}, each by itself {before:.2g}")
        why = [f"{place}: {text}" for place, text in list(self.failed.items())[:5]]
        count = len(self.failed)
        whose = "1 place has no fit of its own" if count == 1 else f"{count} places have no fits of their own"
        more = [f"{whose}: neighbours tell the numbers there"]
        if self.strange:
            lines.append(f"  the model does not describe {len(self.strange)} of {self.rw.size} places by themselves")
        more = [*self.remarks, *(more + why if why else [])]
        return "\n".join([*lines, *(wrapped(one, "  ") for one in more)])


@dataclass(frozen=True, eq=False)
class _Voxel:
    """A place that has been fitted: what was kept of it, and its numbers x (n,); Rw, and whether that describes it."""

    lean: Lean
    x: Array
    rw: float
    described: bool


@dataclass(frozen=True, eq=False)
class _Told:
    """What a place says of led numbers, to first order about x (n,): values (nl,), information (nl, nl), and Rw."""

    x: Array
    values: Array
    information: Array
    rw: float
    rest: Eliminated


def fit_map(
    model: Model,
    scans: Iterable[PDF | None],
    shape: tuple[int, int],
    *,
    free: Iterable[str],
    mapped: Iterable[str] | None = None,
    rounds: int = ROUNDS,
    progress: Progress | None = None,
    journal: Journal | None = None,
    **options: Any,
) -> Map:
    """Fit the G(r) of every place of a grid (X, Y), or of a line (X, 1), with neighbours alike.

    Minimises Σ_v χ²_v + Σ_k λ_k Σ_(u,v) (p_uk − p_vk)², neighbours (u, v), where the evidence for λ_k is largest.

    Parameters
    ----------
    model : start values. scans : X·Y PDFs, one row of the grid after the other; None where nothing was measured.
    free : what varies, by the endings of names. mapped : which of it is mapped, with neighbours alike; None for all.
        Other free parameters are each place's own.
    rounds : how often places are looked at again where the field is; 0 takes their own fits for all they say.
    options : rmin, rmax, ties, bounds, restraints, use_errors, settings, as for `pdfkit.fit`.
    progress : called with (places done, places in all rounds). journal : as for `fit_parametric`.

    Raises
    ------
    PdfkitError : a shape that does not hold the scans, or no place that can be fitted.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.series.maps import fit_map
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20))
    >>> r, rng = np.arange(2, 8, 0.05), np.random.default_rng(0)
    >>> cells = 3.52 + 0.001 * np.arange(12)
    >>> noisy = [model.with_values({"a": a})(r).G + rng.normal(0, 2.0, r.size) for a in cells]
    >>> scans = [pk.PDF(r, G, instrument=model.instrument) for G in noisy]  # simulated, 12 places on a line
    >>> found = fit_map(model, scans, (12, 1), free=["scale", "a"], mapped=["a"])
    >>> off, alone = (np.std(one[:, 0, 0] - cells) for one in (found.values, found.alone))
    >>> bool(off < alone), found.names
    (True, ('ni.a',))
    """
    started = time.perf_counter()
    pdfs = _on_grid(scans, shape)
    inside = np.array([[pdf is not None for pdf in row] for row in pdfs])
    whole = int(inside.sum()) * (rounds + 1)
    prepared = _prepared(model, pdfs, free, options)
    own, led = _names(prepared.free, mapped)
    with journal((own, led)) if journal else Kept(None, (), None) as kept:
        found, failed = _each(prepared, pdfs, Template(own, led), kept, _Counted(progress, whole))
    if not found:
        raise PdfkitError(f"no place of the map could be fitted: {next(iter(failed.values()))}")
    found, said = _alike(found)
    first = told = {place: _told(one, one.x, len(own)) for place, one in found.items()}
    made = _field(told, inside, len(led))
    for number in range(rounds):
        count = _Counted(progress, whole, (number + 1) * int(inside.sum()))
        told = {place: _again(found[place], told[place], made.values[place], count) for place in found}
        made = _field(told, inside, len(led))
    limits = next(iter(found.values())).lean.limits[len(own) :]
    alone, alone_errors, rw = _tables(found, first, told, inside, len(led))
    return Map(
        names=led,
        values=np.clip(made.values, *limits.T),
        covariance=made.covariance,
        alone=alone,
        alone_errors=alone_errors,
        strength=made.strength,
        rw=rw,
        failed=failed,
        model=model,
        seconds=time.perf_counter() - started,
        seen={place: (found[place].lean, one.x) for place, one in told.items()},
        strange=_strange(found),
        remarks=(*said, *_missed(told, found), *_hardly(made, led), *_drowned(rw)),
    )


class _Counted:
    """Counts places for a progress."""

    def __init__(self, progress: Progress | None, whole: int, done: int = 0) -> None:
        self.progress, self.whole, self.done = progress, whole, done

    def __call__(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.whole)


def _on_grid(scans: Iterable[PDF | None], shape: tuple[int, int]) -> list[list[PDF | None]]:
    """Return the scans in rows; PdfkitError where the shape does not hold them."""
    flat = list(scans)
    if len(shape) != 2 or min(shape) < 1 or shape[0] * shape[1] != len(flat):
        raise PdfkitError(
            f"the map has {len(flat)} scans, and its shape is {' × '.join(map(str, shape))}: give (rows, columns) that "
            "hold them all, (number, 1) for a line",
            key="shape",
        )
    return [flat[i * shape[1] : (i + 1) * shape[1]] for i in range(shape[0])]


def _names(free: Sequence[str], mapped: Iterable[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what each place has of its own, and what is mapped. ParameterError for what is not free."""
    if mapped is None:
        return (), tuple(free)
    led = _matching(free, _checks.names("mapped", mapped))
    if not led:
        raise ParameterError("mapped is empty: name what neighbours share, by the endings of free parameters")
    return tuple(name for name in free if name not in led), led


def _matching(known: Sequence[str], words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for one in words for name in _expressions.matching(known, one)))


def _winding(X: int, Y: int) -> Iterator[Place]:
    """Yield all places so that each lies beside the one before."""
    for i in range(X):
        for j in range(Y) if i % 2 == 0 else range(Y - 1, -1, -1):
            yield i, j


def _prepared(
    model: Model, pdfs: list[list[PDF | None]], free: Iterable[str], options: Mapping[str, Any]
) -> PreparedFit:
    """Return the fit that all places share."""
    pdf = next((one for row in pdfs for one in row if one is not None), None)
    if pdf is None:
        raise PdfkitError("nothing was measured anywhere on the map: give PDFs")
    return PreparedFit.of(model, pdf, free=tuple(_checks.names("free", free)), **options)


def _each(
    prepared: PreparedFit, pdfs: list[list[PDF | None]], template: Template, kept: Kept, count: _Counted
) -> tuple[dict[Place, _Voxel], dict[Place, str]]:
    """Return the fits of places by themselves, each from where its neighbour ended, and why some have none."""
    found: dict[Place, _Voxel] = {}
    failed: dict[Place, str] = {}
    start: Mapping[str, float] | None = None
    for i, j in _winding(len(pdfs), len(pdfs[0])):
        pdf = pdfs[i][j]
        if pdf is None:
            continue
        try:
            result = _best(prepared, pdf, i * len(pdfs[0]) + j, start, kept)
        except WriteError:  # of the journal: it is no fault of the place
            raise
        except PdfkitError as error:
            failed[i, j] = str(error)
        else:
            found[i, j] = _voxel(template, result)
            start = result.params.valuesdict() if result.describes else start
        count()
    return found, failed


def _best(prepared: PreparedFit, pdf: PDF, number: int, start: Mapping[str, float] | None, kept: Kept) -> Alone:
    """Return the fit from a neighbour's values, or from the model's where that ends lower or the first nowhere."""
    first = kept.fit(prepared, pdf, number, start)
    if start is None or (first.converged and first.describes):
        return first
    other = kept.fit(prepared, pdf, number, None, "from the model")
    return other if other.converged and (other.rw < first.rw or not first.converged) else first


def _voxel(template: Template, result: Alone) -> _Voxel:
    lean, x = template.lean(result), values(result, template.own, template.led)
    return _Voxel(replace(lean, size=size_of(lean.scan(), x)), x, result.rw, result.describes)


def _alike(found: dict[Place, _Voxel]) -> tuple[dict[Place, _Voxel], tuple[str, ...]]:
    """Return places whose points are all weighed in one way, and what is to be said of it."""
    others, weighs, wrong = weighed_alike([one.lean for one in found.values()])
    out = dict(found)
    for (place, one), other in zip(found.items(), others, strict=True):
        if other:
            lean, x = settled(one.lean, one.x, weighs=weighs)
            out[place] = replace(one, lean=lean, x=x, rw=lean.scan().rw(x))
    return out, said_of_weights(wrong, len(found), weighs=weighs)


def _missed(told: Mapping[Place, _Told], found: Mapping[Place, _Voxel]) -> tuple[str, ...]:
    """Say where places miss the same: that is no noise, and grows no smaller by neighbours."""
    common = correlation(misfits([found[place].lean for place in told], [one.x for one in told.values()]))
    if common <= COMMON:
        return ()
    return (
        f"residuals of different places have a correlation of {common:.2f}: errors of the map are those of differences "
        "between places; values are as uncertain as those of places by themselves",
    )


def _hardly(made: Smooth, led: Sequence[str]) -> tuple[str, ...]:
    """Say of which maps so little is told that nobody knows how alike neighbours are."""
    few = {name: told for name, told in zip(led, made.told, strict=True) if told < min(FEW, SHARE * made.rank)}
    if not few:
        return ()
    words = ", ".join(f"{name} {told:.0f}" for name, told in few.items())
    return (
        f"the data tell so many of the {made.rank} differences between neighbours: {words}. From so few it is hardly "
        "known how alike neighbours are: maps may be too smooth, and their errors up to two times too small",
    )


def _drowned(rw: Array) -> tuple[str, ...]:
    """Say where noise is most of G(r): what a place says is then far from linear, and off by more than its error."""
    median = float(np.median(rw[np.isfinite(rw)]))
    if median <= DROWNED:
        return ()
    return (
        f"half of the places have Rw above {median:.2f}: in that much noise fits of places run away, and errors of the "
        "map may be too small by a half",
    )


def _strange(found: Mapping[Place, _Voxel]) -> dict[Place, float]:
    """Return Rw of places that are not described, where most are; noise may hide a model everywhere."""
    out = {place: one.rw for place, one in found.items() if not one.described}
    return out if 2 * len(out) < len(found) else {}


def _told(voxel: _Voxel, x: Array, no: int) -> _Told:
    """Return what a place says to first order at its numbers x (n,), the first `no` of them its own."""
    scan = voxel.lean.scan()
    rest = Eliminated.of(scan.triangle(x), np.ones(no, dtype=bool))
    waves = scan.waves(x)
    by_led = np.linalg.solve(rest.Roo, rest.Rol) if no else np.zeros((0, x.size))
    root = waves[no:] - by_led.T @ waves[:no] if no else waves
    step, information = informed(rest.Rll.T @ rest.Rll, rest.Rll.T @ rest.zl, root @ root.T)
    return _Told(x, x[no:] - step, information, scan.rw(x), rest)


def _again(voxel: _Voxel, before: _Told, led: Array, count: _Counted) -> _Told:
    """Return what a place says where the field is, at led (nl,); what it said before where it has no model there."""
    no = before.x.size - led.size
    limits = voxel.lean.limits
    led = np.clip(led, *limits[no:].T)
    own = np.clip(before.x[:no] + before.rest.own(led - before.x[no:]), *limits[:no].T)
    count()
    try:
        return _told(voxel, np.append(own, led), no)
    except PdfkitError:
        return before


def _field(told: Mapping[Place, _Told], inside: NDArray[np.bool_], n: int) -> Smooth:
    p, H = np.full((*inside.shape, n), np.nan), np.zeros((*inside.shape, n, n))
    for place, one in told.items():
        p[place], H[place] = one.values, one.information
    return smooth(p, H, inside)


def _tables(
    found: Mapping[Place, _Voxel], first: Mapping[Place, _Told], told: Mapping[Place, _Told], inside: Any, n: int
) -> tuple[Array, Array, Array]:
    """Return values and errors (X, Y, n) of places by themselves, and Rw (X, Y) of the map."""
    alone, errors = np.full((2, *inside.shape, n), np.nan)
    rw = np.full(inside.shape, np.nan)
    for place, one in found.items():
        alone[place], rw[place] = one.x[one.x.size - n :], told[place].rw
        errors[place] = errors_of(first[place].information)
    return alone, errors, rw
