"""What headers do not say, or say wrongly, and quick fits tell: neutrons, a window on F(Q), and where F(Q) ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pdfkit.data.advice import examine
from pdfkit.recipes.sizing import CLEAR, GAIN, damped, trial

if TYPE_CHECKING:
    from pdfkit.recipes.proposal import DataPlan, Proposal, Wishes

# Rw by which a fit may be worse where the spectrum speaks for what is tried.
_WORSE = 1.005
_PROBE = "the header does not say what was scattered"


def heard(plan: Proposal, wishes: Wishes) -> tuple[tuple[DataPlan, ...], list[str]]:
    """Return the data with what they say of themselves where their headers do not, and what is to be said of it."""
    out: list[DataPlan] = []
    said: list[str] = []
    for one in plan.data:
        for listen in (_ended, _windowed, _neutrons):
            one, text = listen(plan, one, wishes)
            said += [f"{one.file.name}: {text}"] * bool(text)
        out.append(one)
    return tuple(out), said


def _rw(plan: Proposal, one: DataPlan) -> float:
    """Return Rw of a quick fit of one data set, with qdamp free where it is not known."""
    alone = replace(plan, data=(one,))
    return trial(alone if "qdamp" in one.values else damped(alone)).rw


def _ended(plan: Proposal, one: DataPlan, wishes: Wishes) -> tuple[DataPlan, str]:
    """Return the data set with the Qmax where its F(Q) ends, if the header says another and the fit agrees."""
    advice = examine(one.measured())
    if not advice.elsewhere or advice.qmax_cut is None:
        return one, ""
    cut, stated = round(advice.qmax_cut, 1), one.values["qmax"]
    text = f"F(Q) of these data ends at {cut:g} Å⁻¹, and Qmax is {stated:g} "
    if wishes.qmax is not None:
        return one, f"{text}as asked for: is it right?"
    other = one.with_value("qmax", cut, f"where F(Q) ends: the header says {stated:g}")
    before, after = _rw(plan, one), _rw(plan, other)
    text += f"by the header: the fit has Rw {after:.3f} with {cut:g}, {before:.3f} with {stated:g}"
    if after < GAIN * before:
        return other, f"{text}; {cut:g} is taken (--qmax {stated:g} for the other)"
    return one, f"{text}; the header is believed (--qmax {cut:g} for the other)"


def _windowed(plan: Proposal, one: DataPlan, wishes: Wishes) -> tuple[DataPlan, str]:
    """Return the data set with Lorch's window where F(Q) fades as it makes it, and the fit agrees."""
    if not examine(one.measured()).fades:
        return one, ""
    lorch = one.with_value("window", "lorch", "seen: F(Q) fades towards Qmax")
    before, after = _rw(plan, one), _rw(plan, lorch)
    text = f"F(Q) fades towards Qmax as with Lorch's window: the fit has Rw {after:.3f} with it, {before:.3f} without"
    if after < _WORSE * before:
        return lorch, f'{text}; window = "lorch" is taken, of which the header says nothing'
    return one, f"{text}; none is taken"


def _neutrons(plan: Proposal, one: DataPlan, wishes: Wishes) -> tuple[DataPlan, str]:
    """Return the data set as of neutrons, where nobody says what was scattered and they fit far better."""
    if one.pdf.instrument.probe is not None:
        return one, ""
    other = one.with_value("probe", "N", "seen: neutrons fit far better, and the header does not say")
    x_rays, neutrons = _rw(plan, one), _rw(plan, other)
    if neutrons < CLEAR * x_rays:
        seen = f"neutrons fit far better (Rw {neutrons:.3f}, as X-rays {x_rays:.3f})"
        return other, f"{_PROBE}: {seen} and are assumed (--probe X for X-rays)"
    return one, f"{_PROBE}: X-rays are assumed (--probe N for neutrons)"
