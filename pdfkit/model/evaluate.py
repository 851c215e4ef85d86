"""From numbers to G(r): peaks of every phase on one grid, envelopes, the Q cut, resampling, and the derivatives.

Order (Farrow et al. 2007; Gilbert 2008): pair peaks, each × γ₀ of the phase at its distance, less the baseline × γ₀(r),
× B(r), × scale, summed over phases, then the cut at Qmin…Qmax with M(Q), where weights that depend on Q multiply the
transform of the curve of every pair of species, and phases of different composition share one ⟨f(Q)⟩ (`mixture`).
Every step is linear or a product, so derivatives follow the same path.

With an exponential tail of the lines, K(r) = 1/(1 − i·qtail·r), F′(Q) = ∫G(r)[Re K sin(Qr) + Im K cos(Qr)]dr for Q > 0:
a second envelope, whose curve is even in r and goes through a cosine transform (`cut.tail_spectrum`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np

from pdfkit import _machine
from pdfkit._checks import Array, IntArray
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError
from pdfkit.kernels import peaks as kernels
from pdfkit.model import cut as model_cut
from pdfkit.model import filters, reach, spread
from pdfkit.model.blocks import NO_WEIGHTS, Block, add_weighted, alike, cut, slopes
from pdfkit.model.convention import Convention
from pdfkit.model.cut import Grid
from pdfkit.model.displaced import Moving, Responses
from pdfkit.model.envelope import Envelope, Varied
from pdfkit.model.mixture import Mean, factors
from pdfkit.model.resolution import BROADENING, COUNT, INSTRUMENT_QUANTITIES, OURS, OWN, QDAMP, QTAIL
from pdfkit.model.weights import PairWeights, QWeights, kept, mean_amplitude
from pdfkit.phases.base import NOTHING, Broadening, Composition, Peaks, Phase, sensible_limits
from pdfkit.shapes import Bulk

# Share of the range of ripples that may be missing: 5e-6 of max|G| at the most, for what lies beyond is 3e-3 of it.
SAME_RANGE = 1e-3
# Share by which the range over which particles are faded out may differ.
SAME_FADE = 0.05
# Below so many numbers nothing can be too much. Time (s) that a point of a peak takes, for each curve.
CHECKED = 10_000_000
POINT_SECONDS = 1e-9

# Kinds of derivatives asked for that are kept: those of a fit, none, those of what is held.
MOST_ASKED = 3

_BULK = Bulk()
_OF_INSTRUMENT = sensible_limits(INSTRUMENT_QUANTITIES.values())


class Evaluator:
    """G(r) of phases on fixed r, for any values of their quantities, with directional derivatives.

    Holds only tables that follow from r and the instrument: what it returns depends on its arguments alone.
    `messages` are remarks on the last call (peaks left out), `lost` the first pair of each phase that was left out
    ("wz: Cd–Se"), `apart` whether each phase was its scale times what no other scale has a part in. `begin` (Å): where
    the data begin, if before r; it matters only to the convention "pdffit2", whose filter starts there. `end` (Å):
    where they end, if beyond r; peaks and ripples are followed as if r went on to there.
    """

    def __init__(
        self,
        phases: tuple[Phase, ...],
        instrument: Instrument,
        convention: Convention,
        strengths: Mapping[str, float],
        r: Array,
        begin: float | None = None,
        end: float | None = None,
    ) -> None:
        self.phases = phases
        self.instrument = instrument
        self.convention = convention
        self.strengths = strengths
        self.r = np.array(r)
        self._points = self.r.size
        self._end = max(float(self.r[-1]), -math.inf if end is None else end)
        self.messages: list[str] = []
        self.lost: list[str] = []
        self.apart = True
        self._before = convention.envelope == "before-cut"
        # Whether nothing of any phase is beyond its particle.
        self._ends = self._before or all(self._weighs(phase) for phase in phases)
        self._qmax = math.inf if instrument.qmax is None else instrument.qmax
        self._inside, self._zero = slice(None), False
        self._filter = ""
        if convention.cut != "exact" and instrument.terminated:
            self._use_filter(convention.cut, begin)
        else:
            self._extra = reach.beyond(phases, instrument, self._end, whole=self._ends)
        self._terminated = instrument.terminated and not self._filter
        self._shifted = convention.anisotropy == "shifted"
        self._cut_last = self._terminated and self._before
        self._responses = Responses(convention.reach)
        self._grids: dict[float, Grid] = {}
        self._in_q = instrument.probe != "N" and convention.scattering_of(instrument) == "q-dependent"
        self._weights: dict[Any, tuple[Any, PairWeights]] = {}
        self._q_weights: dict[Any, tuple[Any, QWeights]] = {}
        # Whether phases may differ in composition, and ⟨f(Q)⟩ of the sample is not that of each.
        self._mixes = self._in_q and self._cut_last and len(phases) > 1 and convention.mixture == "sample"
        # Whether derivatives along places of atoms are taken all at once.
        movable = any(phase.moving.start < phase.moving.stop for phase in phases)
        self._follows = movable and self._cut_last and not self._mixes and convention.prefactor == "pair"
        least, most = zip(*(phase.sensible for phase in phases), _OF_INSTRUMENT, strict=True)
        self._sensible = np.concatenate(least), np.concatenate(most)
        # Each phase with the index of its first quantity.
        starts = accumulate((phase.size for phase in phases), initial=0)
        self._offsets = list(zip(phases, starts, strict=False))
        self._asked: list[tuple[Array, _Asked]] = []
        # How far weights blur a curve, where there are any: those of one species alone are 1.
        weighted = self._in_q and (len(phases) > 1 or len(phases[0].composition()) > 1)
        self._blur = model_cut.WEIGHT_RANGE if weighted else 0.0

    def near(self, values: Array, *, exactly: bool = True) -> Evaluator:
        """Return the same for values (n,) near these: itself, where its ripples are followed as far as these ask for.

        How far follows from U, cell and damping (`cut.ripple_range`), of the phases that an evaluator was made of. Of
        particles that end there nothing is left out, and how it is faded out changes G by 1e-4 of its largest value at
        the most: unless it has to be right exactly, `SAME_FADE` of that is as good.
        """
        if not self._terminated:
            return self
        self._refuse_senseless(values)
        extra = self._asked_range(values)
        return self if not exactly and self._fades(values, extra) else self._following(extra)

    def near_all(self, values: Array) -> Evaluator:
        """Return the same for all of values (m, n): ripples are followed as far as the one asks that asks for most."""
        if not self._terminated or not len(values):
            return self
        self._refuse_senseless(values)
        return self._following(max(self._asked_range(one) for one in values))

    def _asked_range(self, values: Array) -> float:
        """Return how far (Å) beyond the end values ask for ripples; phases that tell without a copy are asked."""
        told = reach.told(self.instrument, values)
        extra = reach.at(self._offsets, values, told, self._end, whole=self._ends)
        return reach.moved(self.phases, values, told, self._end, whole=self._ends) if extra is None else extra

    def _following(self, extra: float) -> Evaluator:
        """Return the same with ripples followed `extra` Å beyond the end; itself, where they nearly are."""
        if abs(extra - self._extra) <= SAME_RANGE * extra:
            return self
        out = Evaluator(self.phases, self.instrument, self.convention, self.strengths, self.r, None, self._end)
        out._extra = extra
        out._weights, out._q_weights, out._asked = self._weights, self._q_weights, self._asked.copy()
        out.__dict__ |= {name: self.__dict__[name] for name in ("_sensible", "_offsets") if name in self.__dict__}
        return out

    def _fades(self, values: Array, extra: float) -> bool:
        """Whether particles end before what is faded out, and that over nearly as far as `extra`."""
        if not self._ends or abs(extra - self._extra) > SAME_FADE * extra:
            return False
        size = max(reach.shaped(phase, values, start).extent() for phase, start in self._offsets)
        return bool(reach.ROOM * size <= self._end + min(extra, self._extra))

    def _use_filter(self, program: str, begin: float | None) -> None:
        """Compute without a cut on the program's own wider grid, and filter that."""
        own: dict[str, Any] = dict.fromkeys(OURS, 0.0)
        plain = replace(self.instrument, qmin=0.0, qmax=None, scattering="constant", window="none", **own)
        if replace(self.instrument, scattering="constant") != replace(plain, qmax=self.instrument.qmax):
            raise PdfkitError(
                f"convention {program!r} does not support qmin, window or {' or '.join(OURS)}: leave them out"
            )
        wide = filters.filter_range(self.r, self._qmax, program, begin)
        # PDFfit2's grid has no r = 0, where G is 0.
        self._zero = bool(self.r[0] < 0.5 * wide[0])
        first = 0 if self._zero else int(np.argmin(np.abs(wide - self.r[0])))
        self._inside = slice(first, first + self.r.size - self._zero)
        self.r, self._extra, self._filter, self._filter_qmax = wide, 0.0, program, self._qmax
        self._qmax, self._end = math.inf, float(wide[-1])

    def _filtered(self, curves: Array) -> Array:
        return filters.lowpass(curves, self.r[1] - self.r[0], self._filter_qmax, self._filter)

    def __call__(self, values: Array, tangents: Array | None = None) -> tuple[Array, Array]:
        """Return G (nr,) at `values` (n,) and its derivatives (nq, nr) along the columns of `tangents` (n, nq)."""
        if tangents is None:
            tangents = np.zeros((values.size, 0))
        self._refuse_senseless(values)
        asked = self._asked_for(values, tangents)
        blocks = self._blocks(values, asked.varied, split=False, weighted=True)
        if self._cut_last:
            out = self._cut_together(blocks, asked.scales / values[0])
            out = out if asked.kept is None else self._followed(out, blocks, asked)
        else:
            out = np.asarray(sum(self._uncut(block)[0] for block in blocks))
            if self._filter and self._before:
                out = self._filtered(out)
        out = self._within(out)
        return out[0], out[1:]

    def many(self, values: Array) -> Array:
        """Return G (m, nr) at values (m, n), as a loop does to 1e-12 of it; `messages` and `lost` are those of all."""
        from pdfkit.model.batch import curves_at  # what makes them asks for tables of this

        return curves_at(self, values)

    def _followed(self, some: Array, blocks: list[Block], asked: _Asked) -> Array:
        """Return G and its derivatives; `some` lack what places of atoms do, and directions that do nothing else."""
        first = 1 + asked.scales.size
        kept = asked.kept if asked.kept is not None else np.zeros(0, dtype=np.int64)
        out = np.zeros((first + asked.directions, some.shape[1]))
        out[:first], out[first + kept] = some[:first], some[first:]
        for block, moving in zip(blocks, asked.moving, strict=True):
            if moving is not None:
                plain = len(block.weights.at) > 1
                factor = self._pair_weights(block.found.composition, plain=plain, weighted=True).factor
                moving.add(self._responses.derivatives(block, factor, moving.atoms), out[first:])
        return out

    def _within(self, curves: Array) -> Array:
        """Return the part of curves (…, n) that r asks for."""
        if not self._filter:
            return curves
        inside = curves[..., self._inside]
        return np.concatenate([np.zeros((*inside.shape[:-1], 1)), inside], axis=-1) if self._zero else inside

    def parts(self, values: Array, *, weighted: bool = True) -> dict[tuple[str, tuple[str, str]], Array]:
        """Return the share of every phase and species pair: {(phase, pair): G (nr,)}. They add up to the total."""
        out = {}
        self._refuse_senseless(values)
        asked = self._asked_for(values, np.zeros((values.size, 0)))
        for block in self._blocks(values, asked.varied, split=True, weighted=weighted):
            for pair, curve in zip(block.found.pairs, self._finish(block), strict=True):
                out[block.name, pair] = self._within(curve[0])
        return out

    def _cut_together(self, blocks: list[Block], rates: Array) -> Array:
        """Return G and its derivatives (1 + nq, nr): all that has one weight is added before it is transformed.

        rates (k,): the first k derivatives, as shares of G.
        """
        first = blocks[0]
        grid, rows = first.grid, 1 + first.envelope.varied.scale.size
        spectrum = np.zeros((1, rows, grid.period))
        for some in self._of_one_weight(blocks):
            sums = spectrum if some[0].factor is None else np.zeros_like(spectrum)
            for even in (False, True)[: 1 + first.envelope.tailed]:
                curves = np.zeros((some[0].curves.shape[0], rows, grid.count))
                for one in some:
                    one.envelop(curves, even=even)
                add_weighted(some[0], curves, some[0].active, sums, even=even)
            if some[0].factor is not None:
                some[0].factor.apply(sums[0])
                spectrum += sums
        nodes = grid.back(spectrum[0])
        if not rates.size:
            return grid.resample(nodes)
        out = np.empty((rows + rates.size, self.r.size))
        grid.fill(nodes[:1], out[:1])
        grid.fill(nodes[1:], out[1 + rates.size :])
        np.multiply.outer(rates, out[0], out=out[1 : 1 + rates.size])
        return out

    def _of_one_weight(self, blocks: list[Block]) -> Iterable[list[Block]]:
        """Return the blocks in lists of those whose curves have the same weights."""
        if len(blocks) == 1:
            return (blocks,)
        out: dict[Any, list[Block]] = {}
        for block in blocks:
            weights = block if block.weights.changes else block.weights
            own = (id(weights), block.factor and block.found.composition.elements)
            out.setdefault(own, []).append(block)
        return out.values()

    def _finish(self, block: Block) -> Array:
        """Return a block's curves on r (npairs, 1 + nq, nr): envelopes and cut in the order of the convention."""
        curves = self._uncut(block)
        return self._filtered(curves) if self._filter and self._before else curves

    def _uncut(self, block: Block) -> Array:
        """Return what `_finish` does, short of another program's filter where that comes last."""
        grid = block.grid
        if self._cut_last:
            return grid.resample(cut(block, block.active, *block.both_enveloped()))
        curves = block.curves
        if self._terminated:
            curves = cut(block, np.arange(block.active.size), curves * block.taper)
        curves = grid.resample(curves)
        if not self._terminated:
            block.found.subtract_baseline(self.r, block.slope, curves)
        if self._filter and not self._before:
            curves = self._filtered(curves)
        return block.enveloped(curves, self.r)

    def _blocks(self, values: Array, each: list[Varied], *, split: bool, weighted: bool) -> list[Block]:
        """Return every phase's curves on the shared grid, before envelope and cut; each: what varies of each phase."""
        self.messages, self.lost = [], []
        both = zip(self._offsets, each, strict=True)
        parts = [self._part(phase, start, values, varied) for (phase, start), varied in both]
        grid = self._grid(min(part.found.extremes[0] for part in parts))
        blocks = [self._block(part, grid, split=split, weighted=weighted) for part in parts]
        return self._mixed(blocks) if self._mixes and weighted else blocks

    def _mixed(self, blocks: list[Block]) -> list[Block]:
        """Return the blocks with what ⟨f(Q)⟩² of the whole sample leaves on each; as they are if all are alike."""
        first = blocks[0].found.composition
        self.apart = all(alike(block.found.composition, first) for block in blocks[1:])
        if self.apart:
            return blocks
        means = [self._mean(block) for block in blocks]
        return [replace(block, factor=one) for block, one in zip(blocks, factors(means), strict=True)]

    def _mean(self, block: Block) -> Mean:
        composition, envelope = block.found.composition, block.envelope
        f, changes = mean_amplitude(composition, self.instrument, self.strengths, block.grid)
        return Mean(envelope.scale, f, envelope.varied.scale, {int(block.active[q]): one for q, one in changes.items()})

    def _refuse_senseless(self, values: Array) -> None:
        """Refuse values (…, n) without sense, with the name of the first: bounds or a tie may have led there."""
        if self._filter and values[..., OWN].any():
            raise PdfkitError(
                f"convention {self._filter!r} has no {' and no '.join(OURS)}: keep them fixed at 0; its broadening is "
                "qbroad"
            )
        least, most = self._sensible
        inside = (values >= least) & (values <= most)
        if inside.all():
            return
        if values.ndim > 1:
            values = values[int(np.argmin(inside.all(axis=1)))]
        quantities = [(f"{phase.name}.{q.name}", q) for phase in self.phases for q in phase.quantities]
        for (name, q), value in zip(quantities, values.tolist(), strict=False):
            q.sensible(value, name)
        for q, value in zip(INSTRUMENT_QUANTITIES.values(), values[-COUNT:].tolist(), strict=True):
            q.sensible(value, q.name)

    def _asked_for(self, values: Array, tangents: Array) -> _Asked:
        """Return what the tangents do to every phase; a fit asks with the same few tangents at every step."""
        apart = self._cut_last and len(self.phases) == 1 and values[0] != 0.0
        follows = self._follows and not values[QTAIL] and not tangents[QTAIL].any()
        for known, asked in self._asked:
            same = known.shape == tangents.shape and asked.apart == apart and asked.follows == follows
            if same and (not tangents.size or (known == tangents).all()):
                return asked
        scales = _scales_alone(tangents) if apart and tangents.size else 0
        rest = tangents[:, scales:]
        if not self._cut_last:  # nothing can have a tail there
            rest = np.concatenate([rest[:QTAIL], np.zeros((1, rest.shape[1]))])
        moving = [Moving.of(phase, rest[start:]) if follows else None for phase, start in self._offsets]
        kept, directions = None, rest.shape[1]
        if any(one is not None for one in moving):
            rest = rest.copy()
            for phase, start in self._offsets:
                rest[start:][phase.moving] = 0.0
            kept = np.flatnonzero(rest.any(axis=0))
            rest = rest[:, kept]
        varied = [Varied.of(phase, start, rest, self._weighs(phase)) for phase, start in self._offsets]
        asked = _Asked(tangents[0, :scales].copy(), varied, apart, follows, moving, kept, directions)
        self._asked = [(tangents.copy(), asked), *self._asked[: MOST_ASKED - 1]]
        return asked

    def _weighs(self, phase: Phase) -> bool:
        """Return whether γ₀ weighs the pairs of a phase."""
        return self.convention.finite_size == "pairs" and phase.applied_shape.solid

    def _part(self, phase: Phase, start: int, values: Array, varied: Varied) -> _Part:
        shape, weighs = reach.shaped(phase, values, start), self._weighs(phase)
        far = self._far(shape, weighs=weighs)
        if values[QTAIL] and not self._cut_last:
            raise PdfkitError(
                "qtail, a tail of lines in Q, needs a finite qmax and envelopes before the cut: leave it at 0"
            )
        qbroad, resolution = values[BROADENING].tolist()
        broadening = Broadening(qbroad, resolution, varied.broadening, self._shifted)
        found = phase.peaks(values[start : start + phase.size], varied.phase, broadening, far, self.instrument.qmin)
        if found.dropped:
            self.lost.append(found.first_dropped.partition(" at ")[0])
            self.messages.append(
                f"{found.dropped} peaks have no positive width and were left out (first: {found.first_dropped}): "
                "lower delta1 or delta2"
            )
        if weighs:
            found, shape = found.within(shape, varied.weighing, far), _BULK
        envelope = Envelope(float(values[start]), shape, float(values[QDAMP]), float(values[QTAIL]), varied)
        return _Part(phase.name, found, varied.active, envelope)

    def _far(self, shape: Any, *, weighs: bool) -> float:
        """Return how far (Å) pairs are looked for."""
        far = self._end + self._extra
        # Nothing beyond the particle can leak into the cut.
        if weighs or self._before or not self.instrument.terminated:
            far = min(far, max(float(shape.extent()), 1.0))
        return far

    def _grid(self, variance: float) -> Grid:
        """Return the grid for peaks of that σ² (Å²) and more; infinity where there are none."""
        step = model_cut.choose_step(math.sqrt(variance if variance < math.inf else NOTHING), self._qmax)
        if step not in self._grids:
            # What the step was chosen for, rounded down the same ladder: nearly equal σ share their tables.
            band = min(self._qmax, math.pi / (model_cut.OVERSAMPLING * step))
            self._grids[step] = model_cut.make_grid(self.r, step, band, self._extra, self._end, self._blur)
        return self._grids[step]

    def _block(self, part: _Part, grid: Grid, *, split: bool, weighted: bool) -> Block:
        found, nq = part.found, part.active.size
        # The only species has the weight 1 at every Q.
        in_q = self._in_q and weighted and len(found.composition.elements) > 1
        weights = self._pair_weights(found.composition, plain=in_q, weighted=weighted)
        slope = slopes(found, weights, apart=split or in_q)
        size = slope.size * grid.count
        if size > CHECKED:
            _machine.need(
                40.0 * size, f"{part.name}: {nq} derivatives on {grid.count} points", "free fewer, or lower rmax"
            )
        curves = np.zeros((*slope.shape, grid.count))
        by_pair = self.convention.prefactor == "pair"
        # Other programs end peaks somewhere; ours is drawn to the end.
        plan = spread.planned(found, curves, grid.step, self._qmax) if self.convention.drawn_whole else None
        rest = (weights.factor, weights.dfactor, grid.step, self.convention.reach, by_pair, found.moments, curves)
        if plan is not None:
            spread.add_peaks(plan, found, weights.factor, weights.dfactor, curves)
        elif found.peak.shape[0] * size < CHECKED:
            kernels.sum_peaks(found.peak, found.dpeak, found.pair, *rest)
        else:
            for some in self._portions(part, grid):
                kernels.sum_peaks(found.peak[some], found.dpeak[some], found.pair[some], *rest)
        if not by_pair:
            curves[..., 1:] /= grid.nodes[1:]
            curves[..., 0] = 0.0
        if self._terminated:
            found.subtract_baseline(grid.nodes, slope, curves)
        seen = found.composition if in_q else None
        about = self._weights_in_q(grid, seen)
        tail = self._weights_in_q(grid, seen, even=True) if part.envelope.tailed else NO_WEIGHTS
        return Block(part.name, found, grid, curves, slope, part.active, part.envelope, about, tail, split)

    def _portions(self, part: _Part, grid: Grid) -> Iterable[slice]:
        """Return many peaks in pieces between which Ctrl-C is heard; refuses what would take for ever."""
        peak, curves = part.found.peak, 1 + part.active.size
        widest = 2.0 * self.convention.reach * math.sqrt(max(0.0, float(peak[:, 1].max()))) / grid.step
        each = 1e-7 + POINT_SECONDS * curves * min(widest, float(grid.count))
        what = f"{part.name}: summing {peak.shape[0]} peaks"
        _machine.need_time(each * peak.shape[0], what, "lower rmax, or a U, sratio, qbroad or resolution that is large")
        return _machine.pieces(peak.shape[0], each)

    def _pair_weights(self, composition: Composition, *, plain: bool, weighted: bool) -> PairWeights:
        def made() -> PairWeights:
            return PairWeights.of(composition, self.instrument, self.strengths, plain=plain, weighted=weighted)

        return kept(self._weights, composition, (plain, weighted), made)

    def _weights_in_q(self, grid: Grid, composition: Composition | None, *, even: bool = False) -> QWeights:
        """Return the cut (of an even curve) times the weights of pairs that depend on Q; None for the cut alone."""
        if not self._terminated:
            return NO_WEIGHTS

        def made() -> QWeights:
            of = model_cut.tail_spectrum if even else model_cut.cut_spectrum
            cut = of(grid.step, grid.period, self.instrument)
            if composition is None:
                return QWeights(cut[None].copy(), {})  # kernels take arrays that can be written
            return QWeights.of(composition, self.instrument, self.strengths, grid, cut)

        return kept(self._q_weights, composition, (grid.step, grid.period, even), made)


@dataclass(frozen=True)
class _Asked:
    """What tangents do: scales (k,), of the first k, which change the scale of the only phase and nothing else; varied:
    what the others do to each phase. apart: whether such tangents were looked for. follows: whether places of atoms are
    followed all at once; then moving: how those of each phase move, and kept (m,): which of the `directions` beside the
    scales do anything else.
    """

    scales: Array
    varied: list[Varied]
    apart: bool = False
    follows: bool = False
    moving: Sequence[Moving | None] = ()
    kept: IntArray | None = None
    directions: int = 0


def _scales_alone(tangents: Array) -> int:
    """Return how many of the first tangents (n, nq) change the first value alone."""
    others = tangents[1:].any(axis=0)
    return int(np.argmax(others)) if others.any() else others.size


@dataclass(frozen=True)
class _Part:
    name: str
    found: Peaks
    active: IntArray
    envelope: Envelope
