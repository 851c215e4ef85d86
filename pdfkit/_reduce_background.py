"""The pattern of the empty container, taken off; and gaps in a pattern, bridged."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError, PdfkitWarning
from pdfkit.intensity import Intensity, gaps

# Å⁻¹: a wider gap hides whole peaks, and no straight line stands for them.
WIDEST_GAP = 0.3


@dataclass(frozen=True)
class Net:
    """Sample less background on Q: raw (n,), variance (n,) or None, background already scaled (n,)."""

    Q: Array
    raw: Array
    background: Array
    variance: Array | None
    note: str = ""

    @property
    def intensity(self) -> Array:
        """Raw less background."""
        return self.raw - self.background


def subtract(sample: Intensity, background: Intensity | None, scale: float) -> Net:
    """Return the sample less scale × background, interpolated linearly where it is on another grid (and said).

    The variance of an interpolated background is spread over the points that share it so that sums over smooth
    functions keep their variance: cov(B) = L·diag(v)·Lᵀ is lumped to its row sums.

    Raises PdfkitError when the background does not reach as far as the sample, or too little is left.
    """
    variance = None if sample.dI is None else sample.dI**2
    if background is None:
        return _checked(Net(sample.Q, sample.I, np.zeros(len(sample)), variance))
    note = ""
    same = len(background) == len(sample) and bool(np.allclose(background.Q, sample.Q, rtol=1e-7, atol=0))
    B, extra = background.I, None if background.dI is None else background.dI**2
    if not same:
        _covers(sample, background)
        note = "the background is on another grid: interpolated linearly"
        warnings.warn(f"{background.name or 'background'}: {note}", PdfkitWarning, stacklevel=3)
        B = np.interp(sample.Q, background.Q, B)
        extra = None if extra is None else _lumped(sample.Q, background.Q, extra)
    if variance is not None and extra is not None:
        variance = variance + scale**2 * extra
    return _checked(Net(sample.Q, sample.I, scale * B, variance, note))


def _covers(sample: Intensity, background: Intensity) -> None:
    step = float(np.median(np.diff(background.Q)))
    if background.Q[0] - step > sample.Q[0] or background.Q[-1] + step < sample.Q[-1]:
        raise PdfkitError(
            f"the background spans Q = {background.Q[0]:.4g} to {background.Q[-1]:.4g} Å⁻¹ and the sample is wanted "
            f"from {sample.Q[0]:.4g} to {sample.Q[-1]:.4g}: choose qmin and qmaxinst within the background"
        )


def _lumped(Q: Array, nodes: Array, variance: Array) -> Array:
    """Return the row sums of L·diag(v)·Lᵀ on Q, L the linear interpolation from `nodes`."""
    j = np.clip(np.searchsorted(nodes, Q, side="right") - 1, 0, nodes.size - 2)
    t = np.clip((Q - nodes[j]) / (nodes[j + 1] - nodes[j]), 0.0, 1.0)
    column = np.bincount(j, 1 - t, nodes.size) + np.bincount(j + 1, t, nodes.size)
    shared = variance * column
    return np.asarray((1 - t) * shared[j] + t * shared[j + 1])


def _checked(net: Net) -> Net:
    negative = net.intensity <= 0
    if negative.mean() > 0.2:
        raise PdfkitError(
            f"{negative.sum()} of {net.Q.size} intensities are not positive after the background: lower bgscale"
        )
    if negative.any():
        at = float(net.Q[int(np.argmax(negative))])
        text = f"{negative.sum()} intensities are not positive after the background, first at Q = {at:.4g} Å⁻¹"
        warnings.warn(f"{text}: is bgscale right?", PdfkitWarning, stacklevel=4)
    return net


def bridged(pattern: Intensity) -> tuple[Intensity, int]:
    """Return the pattern with its gaps bridged by straight lines of the usual step, and how many points that took.

    Raises PdfkitError for a gap wider than 0.3 Å⁻¹.
    """
    holes = gaps(pattern.Q)
    if not holes:
        return pattern, 0
    step = float(np.median(np.diff(pattern.Q)))
    new = []
    for low, high in holes:
        if high - low > max(WIDEST_GAP, 20 * step):
            raise PdfkitError(
                f"{pattern.name or 'the pattern'} has no points from {low:.4g} to {high:.4g} Å⁻¹: end it there with "
                "qmaxinst, or begin with qmin behind it"
            )
        count = math.ceil((high - low) / step)
        new.append(low + (high - low) * np.arange(1, count) / count)
    added = np.concatenate(new)
    Q = np.sort(np.concatenate([pattern.Q, added]))
    I = np.interp(Q, pattern.Q, pattern.I)
    dI = None if pattern.dI is None else np.interp(Q, pattern.Q, pattern.dI)
    return replace(pattern, Q=Q, I=I, dI=dI), added.size
