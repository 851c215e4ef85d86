"""Scattering of a particle in Q from its pair distances: Debye's sum, and what follows from it.

| symbol | definition | function |
|---|---|---|
| I(Q) | Σ_ij f_i f_j sin(Qr_ij)/(Qr_ij) exp(−σ_ij²Q²/2), i = j included (f_i², σ_ii = 0) | `intensity` |
| S(Q) | [I/N − ⟨f²⟩ + ⟨f⟩²]/⟨f⟩² | `structure_function` |
| G(r) | (2/π)∫Q[S(Q) − 1]M(Q) sin(Qr) dQ over Qmin…Qmax | `pdf` |

σ_ij² = (U_i + U_j)(1 − δ₁/r − δ₂/r² + qbroad²r²) + resolution²r² + the variance of the bin. Two methods give the
same sums:

- "direct": one term per bin of distances and Q.
- "grid": the bins as Gaussian peaks on a grid of r, whose sine sum is taken at all Q at once. Narrow peaks are widened
  for it by a Gaussian that is divided out afterwards (a non-uniform Fourier transform). Within 1e-12 of Σ|w|/d.

"auto" takes the cheaper one. Units: Å, Å⁻¹; f in electrons ("X"), fm ("N") or Å ("E"). With anomalous terms of X-rays
f is complex: f_i f_j stands for Re(f_i f_j*), ⟨f²⟩ for ⟨|f|²⟩ and ⟨f⟩² for |⟨f⟩|².
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdfkit import _checks, _machine, transforms
from pdfkit._checks import Array, IntArray
from pdfkit.data.curves import PDF, SQ
from pdfkit.data.instrument import PROBES, SCATTERING, Instrument
from pdfkit.errors import PdfkitError, StructureError, remark
from pdfkit.kernels import debye as kernels
from pdfkit.kernels.peaks import sum_peaks
from pdfkit.particles.counting import PairTable
from pdfkit.scattering import amplitude, product

METHODS = ("auto", "direct", "grid")

# Peaks at least this wide, σ·Qmax, sum up to 1e-13 on a grid; what is divided out grows to exp(3.2²/2) = 170 at Qmax.
_SHARPEST = 3.2
# exp(−8.3²/2) = 1e-15: where peaks end, and what may alias from beyond the grid's own Q range.
_REACH = 8.3
# Cost in ns, measured: a direct term at uniform and at any Q, a point of a peak, a sine, an entry of an FFT.
_COSTS = {"uniform": 1.1, "any": 17.0, "point": 2.2, "sine": 0.8, "fft": 6.0}
_NULL = 1e-3


@dataclass(frozen=True)
class Motion:
    """How atoms move about their places: σ² = (U_a + U_b)(1 − δ₁/r − δ₂/r²); r → (1 + expansion)·r.

    Uiso : Å², one for all or one per class of atoms. delta1 : Å. delta2 : Å². expansion : relative.

    Raises PdfkitError for a negative or non-finite value.
    """

    Uiso: float | tuple[float, ...] = 0.0
    delta1: float = 0.0
    delta2: float = 0.0
    expansion: float = 0.0

    def __post_init__(self) -> None:
        values = tuple(_checks.number("Uiso", u, low=0.0, high=_checks.MOST_U) for u in np.atleast_1d(self.Uiso))
        object.__setattr__(self, "Uiso", values if np.ndim(self.Uiso) else values[0])
        for name in ("delta1", "delta2"):
            object.__setattr__(self, name, _checks.number(name, getattr(self, name), low=0.0))
        object.__setattr__(self, "expansion", _checks.number("expansion", self.expansion, low=-0.5, high=0.5))

    def displacements(self, classes: int) -> Array:
        """Return U of each class (classes,). PdfkitError when their number is another."""
        out = np.full(classes, self.Uiso) if isinstance(self.Uiso, float) else np.array(self.Uiso)
        if out.size != classes:
            raise PdfkitError(f"Uiso has {out.size} values for {classes} classes of atoms: give one, or one per class")
        return out


AT_REST = Motion()


def peaks_of(
    table: PairTable,
    motion: Motion = AT_REST,
    *,
    qbroad: float = 0.0,
    qdamp: float = 0.0,
    resolution: float = 0.0,
) -> Array:
    """Return the bins of a table as peaks (m, 3) = d, σ², w (Å, Å², number of pairs i < j).

    The bin's variance v goes into σ², and d is the mean − v/mean: the sum over the bin of sin(Qd)/(Qd) to third order
    in its width. A peak whose bracket is not positive gets σ² = −1, with a PdfkitWarning.
    qdamp : Å⁻¹; B(r) = exp[−(qdamp·r)²/2] on the peaks, in closed form: with b = 1 + qdamp²σ², d → d/b, σ² → σ²/b and
    w → w·exp(−qdamp²d²/2b)/b^{3/2}.
    """
    u = motion.displacements(len(table.atoms))
    first, second = np.array(table.pairs, dtype=np.int64).reshape(-1, 2).T
    stretch = 1.0 + motion.expansion
    mean, variance = stretch * table.distance, stretch**2 * table.variance
    bracket = 1.0 - motion.delta1 / mean - motion.delta2 / mean**2 + (qbroad * mean) ** 2
    moving = (u[first] + u[second])[table.pair]
    out = np.column_stack([mean - variance / mean, moving * bracket + (resolution * mean) ** 2 + variance, table.count])
    dropped = (bracket <= 0) & (moving > 0)
    if dropped.any():
        _warn_dropped(table, mean, dropped)
        out[dropped] = (1.0, -1.0, 0.0)
    if qdamp:
        b = 1.0 + qdamp**2 * out[:, 1]
        out[:, 2] *= np.exp(-0.5 * (qdamp * out[:, 0]) ** 2 / b) / b**1.5
        out[:, :2] /= b[:, None]
    return out


def _warn_dropped(table: PairTable, mean: Array, dropped: Any) -> None:
    k = int(np.flatnonzero(dropped)[np.argmin(mean[dropped])])
    a, b = table.pairs[table.pair[k]]
    remark(
        f"delta1 and delta2 leave no width to {int(table.count[dropped].sum())} pairs, the first of classes "
        f"{a} and {b} at r = {mean[k]:.3f} Å: they are left out; lower delta1 or delta2"
    )


# --- sums ------------------------------------------------------------------------------------------------------------


def sine_sums(
    peak: Array, pair: IntArray, npairs: int, Q: Array, *, dpeak: Array | None = None, method: str = "auto"
) -> Array:
    """Return Σ (w/d) sin(Qd) exp(−σ²Q²/2) over the peaks of each species pair, with derivatives: (npairs, 1 + n, nQ).

    This is the sine transform ∫T(r) sin(Qr) dr of the peaks T = w[n(r − d; σ) − n(r + d; σ)]/d.
    peak : (m, 3) = d, σ², w; those with σ² < 0 are left out. pair : (m,). Q : (nQ,) Å⁻¹. dpeak : (m, n, 3), how
    peaks change along n directions; needs the grid. method : see the module.

    Raises PdfkitError for an unknown method, or derivatives by the direct one.
    """
    _checks.choice("method", method, METHODS)
    kept = peak[:, 1] >= 0
    if not kept.all():
        peak, pair = peak[kept], pair[kept]
        dpeak = None if dpeak is None else dpeak[kept]
    n = 0 if dpeak is None else dpeak.shape[1]
    top = float(np.abs(Q).max(initial=0.0))
    if not len(peak) or top == 0:
        return np.zeros((npairs, 1 + n, Q.size))
    grid = _Grid.of(peak, Q, top)
    if method == "auto":
        method = "grid" if n or grid.cost(npairs) < _direct_cost(len(peak), Q) else "direct"
    if method == "direct":
        if n:
            raise PdfkitError("derivatives are computed with the grid only: leave method out")
        return _direct(peak, pair, npairs, Q)[:, None]
    return grid.sums(peak, pair, npairs, dpeak)


def _direct_cost(peaks: int, Q: Array) -> float:
    return peaks * Q.size * _COSTS["any" if _step(Q) is None else "uniform"]


def _step(Q: Array) -> float | None:
    """Return the step of a uniform Q, None for any other (or where the recursion would lose digits)."""
    if Q.size < 16 or Q[0] < 0:
        return None
    step = float(Q[-1] - Q[0]) / (Q.size - 1)
    uniform = step >= 1e-3 and np.abs(Q - (Q[0] + step * np.arange(Q.size))).max() <= 1e-15 * Q[-1]
    return step if uniform else None


def _direct(peak: Array, pair: IntArray, npairs: int, Q: Array) -> Array:
    out = np.zeros((npairs, Q.size))
    step = _step(Q)
    peak, pair, Q = np.array(peak), np.array(pair), np.array(Q)  # the kernels take writable arrays
    for part in _machine.pieces(len(peak), max(_direct_cost(1, Q), 1.0) * 1e-9):
        if step is None:
            kernels.debye_sums(peak[part], pair[part], Q, out)
        else:
            kernels.debye_sums_uniform(peak[part], pair[part], float(Q[0]), step, out)
    return out


@dataclass(frozen=True, eq=False)
class _Grid:
    """The grid of r for peaks wanted at Q: widen (Å²) is added to every σ², period > 0 if an FFT can take the sum."""

    Q: Array
    step: float
    count: int
    widen: float
    period: int
    points: float

    @classmethod
    def of(cls, peak: Array, Q: Array, top: float) -> _Grid:
        narrow, wide = float(peak[:, 1].min()), float(peak[:, 1].max())
        widen = max(0.0, (_SHARPEST / top) ** 2 - narrow)
        step = 2.0 * math.pi / (top + _REACH / math.sqrt(narrow + widen))
        period, dQ = 0, _step(Q)
        if dQ is not None and abs(Q[0] / dQ - round(Q[0] / dQ)) < 1e-9:
            # A slightly finer step makes every Q a node of an FFT.
            from scipy import fft

            period = fft.next_fast_len(math.ceil(2.0 * math.pi / (dQ * step)), real=True)
            step = 2.0 * math.pi / (dQ * period)
        reach = _REACH * math.sqrt(wide + widen)
        count = math.ceil((float(peak[:, 0].max()) + reach) / step) + 2
        sigma = np.sqrt(peak[:, 1] + widen)
        points = float(np.minimum(2.0 * _REACH * sigma / step, count).sum())
        return cls(Q, step, count, widen, period, points)

    def cost(self, npairs: int) -> float:
        """Estimated time, ns."""
        sums = self.period * npairs if self.period else 0
        sines = 0 if self.period else self.count * self.Q.size
        return 1e5 + self.points * _COSTS["point"] + sums * _COSTS["fft"] + sines * _COSTS["sine"]

    def sums(self, peak: Array, pair: IntArray, npairs: int, dpeak: Array | None) -> Array:
        """Return the sums of `sine_sums`."""
        wider = np.array(peak)
        wider[:, 1] += self.widen
        moving = np.zeros((len(peak), 0, 3)) if dpeak is None else np.array(dpeak)
        curves = np.zeros((npairs, 1 + moving.shape[1], self.count))
        plain = (np.ones(npairs), np.zeros((moving.shape[1], npairs)))
        sum_peaks(wider, moving, np.array(pair), *plain, self.step, _REACH, True, False, curves)
        return np.asarray(self._sines(curves) * (self.step * np.exp(0.5 * self.widen * self.Q**2)))

    def _sines(self, curves: Array) -> Array:
        """Return Σ_j curves_j sin(Q j·step)."""
        if not self.period:
            flat = curves.reshape(-1, self.count)
            out = np.empty((len(flat), self.Q.size))
            Q = np.array(self.Q)
            for part in _machine.pieces(Q.size, 1e-9 * flat.size):
                some = np.empty((len(flat), Q[part].size))
                kernels.sine_series(flat, self.step, Q[part], some)
                out[:, part] = some
            return out.reshape(*curves.shape[:-1], self.Q.size)
        from scipy import fft

        # At these Q the sines repeat after a period: what lies beyond is folded onto it.
        folds = -(-self.count // self.period)
        folded = np.zeros((*curves.shape[:-1], folds * self.period))
        folded[..., : self.count] = curves
        folded = folded.reshape(*curves.shape[:-1], folds, self.period).sum(axis=-2)
        index = np.round(self.Q / (self.Q[-1] - self.Q[0]) * (self.Q.size - 1)).astype(np.int64)
        spectrum: Array = -fft.rfft(folded, axis=-1).imag
        return spectrum[..., index]


def pair_sums(
    table: PairTable,
    Q: Array,
    motion: Motion = AT_REST,
    *,
    qbroad: float = 0.0,
    qdamp: float = 0.0,
    resolution: float = 0.0,
    method: str = "auto",
) -> Array:
    """Return Σ_{i<j} sin(Qr)/(Qr) exp(−σ²Q²/2) by species pair of the table: (npairs, nQ), number of pairs at Q = 0.

    Raises PdfkitError for a table that leaves out pairs beyond an rmax, Q < 0 or an unknown method.
    """
    Q = _valid(table, Q)
    peak = peaks_of(table, motion, qbroad=qbroad, qdamp=qdamp, resolution=resolution)
    out = sine_sums(peak, table.pair, len(table.pairs), Q, method=method)[:, 0]
    at_zero = np.bincount(table.pair, peak[:, 2], minlength=len(table.pairs))
    positive = Q > 0
    return np.where(positive, out / np.where(positive, Q, 1.0), at_zero[:, None])


def _valid(table: PairTable, Q: Any) -> Array:
    if math.isfinite(table.rmax):
        raise PdfkitError(f"these pair distances end at {table.rmax:g} Å: the Debye sum needs all; count without rmax")
    if not table.count.size:
        raise StructureError("one atom has no pair distances: give a particle of at least two atoms")
    values = _checks.array("Q", Q)
    if (values < 0).any():
        raise PdfkitError(f"Q has the value {values.min():g}, and it cannot be negative: correct it")
    return values


# --- scattering ------------------------------------------------------------------------------------------------------


def amplitudes(
    elements: Sequence[str],
    Q: Array,
    probe: str = "X",
    scattering: str = "q-dependent",
    strengths: Mapping[str, float] | None = None,
    wavelength: float | None = None,
) -> Any:
    """Return f of each class (nclasses, nQ): form factors at Q, or their constants ("constant": Z for X-rays).

    elements : of each class; one may come more than once. strengths : {element: f}, used at all Q instead of tables.
    wavelength : Å of the X-rays whose f′ + if″ are added where tables are used; f is complex then. None: without.

    Raises PdfkitError for an unknown probe or kind of scattering, StructureError for an unknown element.
    """
    _checks.choice("probe", probe, PROBES)
    _checks.choice("scattering", scattering, SCATTERING)
    own = {e: _checks.number(f"strength of {e}", f) for e, f in (strengths or {}).items()}
    rows = []
    for e in elements:
        at = Q if scattering == "q-dependent" and e not in own else None
        rows.append(np.zeros(Q.shape) + amplitude(e, probe, at, wavelength, own.get(e)))
    return np.array(rows)


def _pair_products(table: PairTable, f: Any) -> Array:
    """Return 2 Re(f_a f_b*) of each species pair (npairs, nQ): pairs i < j count twice."""
    if len(f) != len(table.atoms):
        raise PdfkitError(f"{len(f)} elements for {len(table.atoms)} classes of atoms: give the element of each class")
    first, second = np.array(table.pairs, dtype=np.int64).reshape(-1, 2).T
    return np.asarray(2.0 * product(f[first], f[second]))


def intensity(
    table: PairTable,
    Q: Array,
    elements: Sequence[str],
    motion: Motion = AT_REST,
    *,
    probe: str = "X",
    scattering: str = "q-dependent",
    strengths: Mapping[str, float] | None = None,
    wavelength: float | None = None,
    per_atom: bool = False,
    method: str = "auto",
) -> Array:
    """Return I(Q) = Σ_ij f_i f_j sin(Qr_ij)/(Qr_ij) exp(−σ_ij²Q²/2) (nQ,), in f² per particle or per atom.

    Atoms with themselves are included: I(0) = (Σf)², I → Σf² at large Q. elements, probe, scattering, strengths,
    wavelength (of anomalous terms) : see `amplitudes`. Q : (nQ,) Å⁻¹, ≥ 0. Source: Debye, Ann. Phys. 351, 809 (1915).

    Raises as `pair_sums` and `amplitudes`.
    """
    Q = _valid(table, Q)
    f = amplitudes(elements, Q, probe, scattering, strengths, wavelength)
    pairs = (_pair_products(table, f) * pair_sums(table, Q, motion, method=method)).sum(axis=0)
    out = pairs + table.atoms @ product(f, f)
    return np.asarray(out / table.atoms.sum() if per_atom else out)


def structure_function(
    table: PairTable,
    Q: Array,
    elements: Sequence[str],
    motion: Motion = AT_REST,
    *,
    probe: str = "X",
    scattering: str = "q-dependent",
    strengths: Mapping[str, float] | None = None,
    wavelength: float | None = None,
    qbroad: float = 0.0,
    qdamp: float = 0.0,
    resolution: float = 0.0,
    method: str = "auto",
) -> Array:
    """Return S(Q) = [I(Q)/N − ⟨f²⟩ + ⟨f⟩²]/⟨f⟩² (nQ,), the terms i = j cancelled exactly.

    qbroad, qdamp (Å⁻¹), resolution (ΔQ/Q) : of an instrument (see `peaks_of`). Other parameters as for `intensity`.

    Raises as `intensity`; PdfkitError when ⟨f⟩ vanishes.
    """
    Q = _valid(table, Q)
    f = amplitudes(elements, Q, probe, scattering, strengths, wavelength)
    mean = _mean(table, f, elements)
    scale = 1.0 / (table.atoms.sum() * product(mean, mean))
    shape = {"qbroad": qbroad, "qdamp": qdamp, "resolution": resolution}
    sums = pair_sums(table, Q, motion, **shape, method=method)
    return np.asarray(1.0 + (_pair_products(table, f) * sums).sum(axis=0) * scale)


def _mean(table: PairTable, f: Any, elements: Sequence[str]) -> Any:
    mean, size = table.atoms @ f, table.atoms @ np.abs(f)
    if (np.abs(mean) <= _NULL * size).any():
        raise PdfkitError(
            f"the mean scattering strength of {', '.join(elements)} is zero (a null-scattering mixture): S(Q) cannot "
            "be normalised by ⟨f⟩²; use another probe, or look at I(Q)"
        )
    return np.asarray(mean / table.atoms.sum())


def pdf(
    table: PairTable,
    r: Array,
    elements: Sequence[str],
    motion: Motion = AT_REST,
    instrument: Instrument | None = None,
    *,
    strengths: Mapping[str, float] | None = None,
    method: str = "auto",
    name: str = "",
) -> PDF:
    """Return G(r) = (2/π)∫F(Q)M(Q) sin(Qr) dQ over qmin…qmax on `r` ((nr,) Å, increasing), F = Q[S(Q) − 1].

    The integral is a Gauss–Legendre sum, exact to rounding. With qmin = 0 the small-angle scattering is in it, and G
    has no baseline; with a qmin above it, the baseline comes by itself. qdamp, qbroad and resolution shape the peaks
    before the cut. instrument : probe (default "X"), qmax, qmin, window, qdamp, qbroad, resolution, scattering, and
    wavelength if it says anomalous.

    Raises as `structure_function`; PdfkitError without a finite qmax.
    """
    instrument = instrument or Instrument(probe="X", scattering="q-dependent", qmax=25.0)
    if instrument.qmax is None or not math.isfinite(instrument.qmax):
        raise PdfkitError("G(r) from I(Q) needs a finite qmax: give qmax= to its Instrument")
    if instrument.qtail:
        raise PdfkitError("qtail is not known to Debye sums: leave it out, or make a Model of a Cluster")
    r = _checks.grid("r", r)
    reach = float(table.distance.max(initial=0.0)) * (1 + motion.expansion) + float(np.abs(r).max())
    Q, factor = _nodes(instrument.qmin, instrument.qmax, reach)
    S = structure_function(
        table, Q, elements, motion, probe=instrument.probe or "X", scattering=instrument.scattering,
        strengths=strengths, wavelength=instrument.resonant, qbroad=instrument.qbroad, qdamp=instrument.qdamp,
        resolution=instrument.resolution, method=method,
    )  # fmt: skip
    M = transforms.window(instrument.window, Q, instrument.qmax, instrument.window_width)
    G = 2.0 / math.pi * transforms.phase_sum(Q, factor * Q * (S - 1.0) * M, r).imag
    return PDF(r, G, None, instrument, name=name)


def _nodes(qmin: float, qmax: float, reach: float) -> tuple[Array, Array]:
    """Return nodes and weights of panels of 32 Gauss–Legendre points, each of a phase Q·reach of ±20 at most."""
    x, w = np.polynomial.legendre.leggauss(32)
    panels = max(8, math.ceil((qmax - qmin) * reach / 40.0))
    half = (qmax - qmin) / (2 * panels)
    centre = qmin + half * (2 * np.arange(panels) + 1)
    return (centre[:, None] + half * x).ravel(), np.tile(half * w, panels)


def sq(table: PairTable, Q: Array, elements: Sequence[str], motion: Motion = AT_REST, **options: Any) -> SQ:
    """Return S(Q) as an `SQ`. Parameters, options and errors as for `structure_function`; Q increases."""
    Q = _checks.grid("Q", Q)
    S = structure_function(table, Q, elements, motion, **options)
    wavelength = options.get("wavelength")
    about = Instrument(
        probe=options.get("probe", "X"), scattering=options.get("scattering", "q-dependent"), wavelength=wavelength,
        anomalous=wavelength is not None,
    )  # fmt: skip
    return SQ(Q, S, None, about)
