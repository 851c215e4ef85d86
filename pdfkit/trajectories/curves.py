"""From numbers of pairs in bins to G(r): peaks, broadening, weights that depend on Q, the cut; as a `Model` has them.

Every bin is a Gaussian peak at its mean distance, as wide as its pairs are spread, (U_a + U_b)(1 + qbroad²r²) and
(resolution·r)² added. Where nothing makes peaks wide, they are widened by 0.005 Å for the grid, and that is divided out
in Q: exact up to Qmax. Bins beyond the last r reach into it through the cut; they are followed over `margin` Å and
faded out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError
from pdfkit.kernels.peaks import sum_peaks
from pdfkit.model import cut
from pdfkit.model.cut import Grid
from pdfkit.model.weights import PairWeights, QWeights
from pdfkit.phases.base import Composition

# Å: the narrowest peaks on a grid. σ at which a peak ends.
NARROWEST, REACH = 0.005, 7.0
# Å beyond the last r, of peaks and of low Q that is cut off.
MARGIN, MARGIN_QMIN = 10.0, 40.0


@dataclass(frozen=True, eq=False)
class Bins:
    """Pairs per frame in bins: sums (npairs, nbins, 3) of 1, t, t² as of `box_pairs`; atoms (ns,); density in Å⁻³."""

    sums: Array
    width: float
    atoms: IntArray
    density: float

    def peaks(self, U: Array, instrument: Instrument) -> tuple[Array, IntArray]:
        """Return peaks (m, 3) = d, σ², ordered pairs per atom, and their pairs of species (m,); U (ns,) in Å²."""
        pair, index = np.nonzero(self.sums[..., 0])
        count, first, second = self.sums[pair, index].T
        mean = first / count
        variance = np.maximum(second / count - mean**2, 0.0)
        distance = (index + 0.5) * self.width + mean
        a, b = np.triu_indices(self.atoms.size)
        moving = (U[a] + U[b])[pair] * (1.0 + (instrument.qbroad * distance) ** 2)
        sigma2 = moving + (instrument.resolution * distance) ** 2 + variance
        # The mean of sin(Qd)/Qd over a bin, to third order in its width.
        place = distance - variance / distance
        return np.column_stack([place, sigma2, count * (2.0 / self.atoms.sum())]), pair.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Curves:
    """What turns bins into G(r) on r (nr,) as an instrument sees species whose atoms have displacements U (ns,), Å².

    Raises PdfkitError for an instrument without Qmax where nothing gives peaks a width.
    """

    r: Array
    elements: tuple[str, ...]
    instrument: Instrument
    U: Array
    strengths: Mapping[str, float]

    def __post_init__(self) -> None:
        about = self.instrument
        if about.probe is None:
            raise PdfkitError("the probe is not known: give probe='X', 'N' or 'E'")
        if about.qtail:
            raise PdfkitError("qtail is not known to averages of frames: leave it out")
        if not about.terminated and not (self.U > NARROWEST**2).all():
            raise PdfkitError(
                "distances of atoms in frames have no width of their own: give qmax= (Å⁻¹) of the measurement to "
                "compare with, or a displacement Uiso= (Å²)"
            )

    @property
    def margin(self) -> float:
        """How far beyond r (Å) pairs still shape the curve."""
        return 0.0 if not self.instrument.terminated else MARGIN_QMIN if self.instrument.qmin else MARGIN

    @property
    def reach(self) -> float:
        """How far (Å) pairs have to be counted."""
        end = float(self.r[-1]) + self.margin
        about = self.instrument
        sigma2 = 2.0 * float(self.U.max()) * (1.0 + (about.qbroad * end) ** 2) + (about.resolution * end) ** 2
        return end + REACH * math.sqrt(sigma2 + NARROWEST**2)

    def of(self, some: Sequence[Bins], margin: float | None = None) -> Array:
        """Return the weighted partials of each of some bins, of the same atoms: (nbins, npairs, nr), which add up to G.

        margin : Å, less than that of the class, to see what the rest of it does.
        """
        found = [bins.peaks(self.U, self.instrument) for bins in some]
        narrowest = min((float(peak[:, 1].min(initial=math.inf)) for peak, _ in found), default=math.inf)
        widen = max(0.0, NARROWEST**2 - narrowest) if self.instrument.terminated else 0.0
        grid = self._grid(math.sqrt(min(narrowest + widen, 1.0)), self.margin if margin is None else margin)
        composition = Composition(self.elements, some[0].atoms / some[0].atoms.sum(), np.zeros((0, len(self.elements))))
        in_q, factor = self._weights(composition, grid, widen)
        plain = PairWeights.of(composition, self.instrument, self.strengths, plain=True, weighted=True)
        out = np.empty((len(some), factor.size, self.r.size))
        for row, bins, (peak, pair) in zip(out, some, found, strict=True):
            peak[:, 1] += widen
            peak[:, 0] *= 1.0 + self.instrument.qdamp**2 * widen  # damping will draw wider peaks further in
            curves = np.zeros((factor.size, 1, grid.count))
            none = (np.zeros((len(peak), 0, 3)), pair, np.ones(factor.size), np.zeros((0, factor.size)))
            sum_peaks(peak, *none, grid.step, REACH, True, False, curves)
            curves -= 4.0 * math.pi * bins.density * grid.nodes * plain.share[:, None, None]
            self._finish(grid, curves[:, 0] * factor[:, None], in_q, row)
        return out

    def _grid(self, sigma: float, margin: float) -> Grid:
        qmax = math.inf if self.instrument.qmax is None else self.instrument.qmax
        step = cut.choose_step(sigma, qmax)
        band = min(qmax, math.pi / (cut.OVERSAMPLING * step))
        return cut.make_grid(self.r, step, band, margin, float(self.r[-1]))

    def _weights(self, composition: Composition, grid: Grid, widen: float) -> tuple[Array, Array]:
        """Return the cut with what acts in Q (npairs or 1, period; none without a cut), and factors (npairs,) in r."""
        about = self.instrument
        q_dependent = about.probe != "N" and about.scattering == "q-dependent" and about.terminated
        weights = PairWeights.of(composition, about, self.strengths, plain=q_dependent, weighted=True)
        if not about.terminated:
            return np.zeros((0, 0)), weights.factor
        Q = math.pi / (grid.period * grid.step) * np.arange(grid.period)
        in_q = cut.cut_spectrum(grid.step, grid.period, about) * np.exp(0.5 * widen * Q**2)
        if q_dependent and len(self.elements) > 1:
            return QWeights.of(composition, about, self.strengths, grid, in_q).at, weights.factor
        return in_q[None], weights.factor

    def _finish(self, grid: Grid, curves: Array, in_q: Array, out: Array) -> None:
        """Damp, cut and resample curves (npairs, count) into out (npairs, nr)."""
        curves *= grid.taper * np.exp(-0.5 * (self.instrument.qdamp * grid.nodes) ** 2)
        if not len(in_q):
            out[:] = grid.resample(curves)
            return
        spectra = np.zeros((len(curves), grid.period))
        for k, curve in enumerate(curves):
            grid.add_transform(curve[None, None], in_q[min(k, len(in_q) - 1)][None], spectra[k : k + 1])
        out[:] = grid.resample(grid.back(spectra))
