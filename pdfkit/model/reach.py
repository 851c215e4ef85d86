"""How far beyond the last r peaks and ripples of phases are followed: as far as they matter, and as far as they go.

Of a crystal without end that is what `cut.ripple_range` says, which goes with U, cell and damping. Of particles that
are smaller than the last r there is nothing beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from pdfkit._checks import Array
from pdfkit.data.instrument import Instrument
from pdfkit.model.cut import LEAST_RANGE, ripple_range
from pdfkit.model.resolution import QDAMP, QTAIL
from pdfkit.phases.base import Phase
from pdfkit.shapes import Whole

MOST_EXTRA = 100.0
"""Å beyond r that a cluster may reach and still be followed to its end."""
STEP = 5.0
"""Å by which that grows, so that clusters of nearly equal size share their tables."""
ROOM = 1.1
"""Room that particles have to grow before there is something of them beyond the last r."""


def beyond(phases: Sequence[Phase], instrument: Instrument, end: float, *, whole: bool) -> float:
    """Return how far beyond the end (Å) phases at their own values are followed.

    whole : whether nothing of a phase is beyond its particle.
    """
    sigma2, pairs = min(p.typical_variance() for p in phases), sum(p.pair_density() for p in phases)
    extra = ripple_range(instrument, sigma2, end, pairs)
    # Clusters are followed to their end, so that nothing of them is faded out.
    ends = [STEP * math.ceil((p.shape.extent() - end) / STEP) for p in phases if isinstance(p.shape, Whole)]
    ends += [phase.sharp_range() - end for phase in phases]
    extra = max([extra, *(one for one in ends if one < MOST_EXTRA)]) if extra else 0.0
    return _as_needed(extra, [p.applied_shape.extent() for p in phases], end) if whole else extra


def told(instrument: Instrument, values: Array) -> Instrument:
    """Return the instrument with what of values (n,) counts for how far ripples go."""
    qdamp, qtail = float(values[QDAMP]), float(values[QTAIL])
    same = (qdamp, qtail) == (instrument.qdamp, instrument.qtail)
    return instrument if same else replace(instrument, qdamp=qdamp, qtail=qtail)


def moved(phases: Sequence[Phase], values: Array, instrument: Instrument, end: float, *, whole: bool) -> float:
    """Return how far beyond the end (Å) phases at values (n,) of all quantities are followed."""
    numbers = iter(values.tolist())
    copies = tuple(p.with_values({q.name: next(numbers) for q in p.quantities}) for p in phases)
    return beyond(copies, instrument, end, whole=whole)


def at(
    phases: Sequence[tuple[Phase, int]], values: Array, instrument: Instrument, end: float, *, whole: bool
) -> float | None:
    """Return the same at values (n,) of all quantities, None where copies of phases have to tell.

    phases : each with the index of its first quantity.
    """
    known = [one for phase, start in phases if (one := phase.outlook(values[start : start + phase.size]))]
    if len(known) < len(phases):
        return None
    sigma2, pairs = zip(*known, strict=True)
    extra = ripple_range(instrument, min(sigma2), end, sum(pairs))
    if not whole:
        return extra
    return _as_needed(extra, [shaped(phase, values, start).extent() for phase, start in phases], end)


def _as_needed(extra: float, sizes: Iterable[float], end: float) -> float:
    return min(extra, LEAST_RANGE) if ROOM * max(sizes) <= end else extra


def shaped(phase: Phase, values: Array, start: int) -> Any:
    """Return the shape that is applied to a phase, whose values begin at `start`."""
    shape, stop = phase.applied_shape, start + phase.size
    if not shape.parameters:
        return shape
    return shape.moved(values[stop - len(shape.parameters) : stop].tolist())
