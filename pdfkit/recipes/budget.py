"""What quick fits may cost: where a curve takes long none is tried; what they would have told is assumed and said."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pdfkit.data.advice import examine
from pdfkit.errors import heard
from pdfkit.recipes import sizing

if TYPE_CHECKING:
    from pdfkit.recipes.proposal import Proposal, Wishes

__all__ = ["cost", "untried"]

MOST = 30.0
"""Seconds of processor that quick fits of a proposal may take."""
FEW = 500
"""Atoms up to which quick fits are quick, and nothing is measured."""
BRIEF = 3
"""Evaluations of the fit that is measured."""
TIMES = 12.0
"""Times that fit, in all quick fits of a proposal, roughly: three to eight of ten to forty evaluations each."""


def cost(plan: Proposal, built: Sequence[Any]) -> float:
    """Return the seconds of processor that the quick fits of a plan would take, from those of a few evaluations.

    built : its phases. Of small cells, whose fits take less than measuring is worth, 0.
    """
    if max(sum(phase.composition().values()) for phase in built) <= FEW:
        return 0.0
    longest = max(plan.data, key=lambda data: data.range[1] - data.range[0])
    brief = sizing.held(replace(plan, data=(longest,)), sizing.USUAL)
    taken = TIMES * _seconds(brief)
    # The first time may include what is compiled.
    return taken if taken <= MOST else min(taken, TIMES * _seconds(brief))


def _seconds(plan: Proposal) -> float:
    begun = time.thread_time()
    with heard():  # it does not converge
        sizing.fitted(plan, "plain", BRIEF)
    return time.thread_time() - begun


def untried(plan: Proposal, seconds: float, wishes: Wishes) -> Proposal:
    """Return a proposal as it is without quick fits, and say what is assumed in their place.

    seconds : what they would have taken. wishes.preset decides where it says what the sample is.
    """
    open_ones = [
        *["X-rays"] * any(one.pdf.instrument.probe is None for one in plan.data),
        *[f"qdamp = {sizing.USUAL:g} Å⁻¹"] * any("qdamp" not in one.values for one in plan.data),
        *["Qmax and window as the headers have them"] * any(_doubted(one.measured()) for one in plan.data),
    ]
    if wishes.preset == "calibrate":
        out = sizing.calibrated(plan)
    else:
        out = sizing.held(plan, sizing.USUAL)
        if wishes.preset == "nanocrystal":
            out = sizing.with_spheres(out)
        elif sizing.crystals(plan):
            open_ones.append("a bulk sample")
    assumed = f"assumed are {', '.join(open_ones)}" if open_ones else "nothing else is assumed"
    said = (
        f"quick fits, which tell what headers leave open and whether the structure is of the sample, would take about "
        f"{seconds / 60:.1f} minutes for so many atoms and were left out: {assumed}"
    )
    return replace(out, assumed=(*out.assumed, said), why={**out.why, "shape": "not tried: quick fits take too long"})


def _doubted(pdf: Any) -> bool:
    """Whether the spectrum of data says another Qmax or window than their header."""
    advice = examine(pdf)
    return bool(advice.elsewhere or advice.fades)
