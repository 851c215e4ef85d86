"""Parameters that ended on a bound: which they are, and what that says, by the kind of parameter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.model.mapping import ParameterMap


def at_bounds(mapping: ParameterMap, x: Array) -> Any:
    """Return which of the free values x (nfree,) are on a bound."""
    span = np.where(np.isfinite(mapping.high - mapping.low), mapping.high - mapping.low, np.maximum(np.abs(x), 1.0))
    return np.asarray((x - mapping.low < 1e-6 * span) | (mapping.high - x < 1e-6 * span))


NOT_THERE = (
    "atoms do not move so far: the data have no peaks where the model has them, so look at the structure or the start "
    "values"
)

OF_KIND = {
    (
        "scale",
        "lower",
    ): "the data have no use for this phase, and tell nothing of its other parameters: leave it out, or "
    "start it elsewhere",
    (
        "U",
        "lower",
    ): "no atoms stand so still: the peaks of the data are sharper than other widths of the model (qbroad, "
    "resolution, the other U) allow, or wrongly placed",
    (
        "U",
        "upper",
    ): NOT_THERE,
    ("occ", "upper"): "as far as the data tell the site is full: fix it there",
    ("occ", "lower"): "the data have no use for atoms on this site: leave it out",
    ("delta", "lower"): "correlated motion of this form is not seen: fix it at 0",
    ("delta", "upper"): "beyond, the nearest pair would have no width: the first peak is sharper than this form of "
    "correlated motion allows, so try the other one, delta1 or delta2",
    ("sratio", "lower"): "beyond, the nearest pairs would have no width: look at Qmax and rcut",
    ("alpha", "lower"): "as far as the data tell there are no hexagonal layers: fix it there",
    ("alpha", "upper"): "as far as the data tell all layers are hexagonal: fix it there",
    ("Ulayer", "lower"): "layers are not seen to drift apart along the stack: fix it at 0",
    ("qdamp", "lower"): "peaks are not seen to fade with r: fix it at 0",
    ("qbroad", "lower"): "peaks are not seen to broaden with r: fix it at 0",
    ("resolution", "lower"): "peaks are not seen to broaden with r: fix it at 0",
    ("qtail", "lower"): "no instrument has lines with such tails: look at the structure",
    ("qtail", "upper"): "no instrument has lines with such tails: look at the structure",
}
"""What a bound that is there by default says, by kind of parameter and side."""

FROM_START = "so far from the start value either that or the model is wrong: start nearer, or give wider bounds"


HARDLY = "the data hardly tell it, so this says nothing: fix it at a value that is known otherwise"


def on_bound(par: Any, value: float, rmax: float, *, told: bool = True) -> str:
    """Return a sentence on a parameter that ended on a bound.

    rmax (Å) : where the data end. told : whether they would say something of it, all else fixed.
    """
    side = "lower" if value - par.min < par.max - value else "upper"
    return f"{par.name} ended on its {side} bound {value:g}: {_meaning(par, value, side, rmax) if told else HARDLY}"


def _meaning(par: Any, value: float, side: str, rmax: float) -> str:
    about = par.user_data or {}
    if about.get("unit") == "Å" and side == "upper" and value > 2.0 * rmax:
        return f"for data to {rmax:.3g} Å that is as good as endless: leave the shape out, or fix it"
    made, limit = about.get("made"), par.min if side == "lower" else par.max
    if made is not None and limit == made[1 if side == "lower" else 2]:
        if words := OF_KIND.get((kind_of(par.name), side)):
            return words
        if math.isfinite(made[1]) and math.isfinite(made[2]):
            return FROM_START
    return "it has no error; widen the bound or fix it"


def kind_of(name: str) -> str:
    """Return what kind of parameter a name is of: "U", "delta", "alpha", or its last word."""
    word = name.rpartition(".")[2]
    if word.startswith("U") and word != "Ulayer":
        return "U"
    if word in ("delta1", "delta2"):
        return "delta"
    return "alpha" if word in ("alpha_c", "alpha_h") else word
