"""What data say of themselves: how far in Q they reach, their noise, their first peak, their range of order.

Advice, not measurement: each number is an estimate with its rule beside it, made without a model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError
from pdfkit.transforms import sine

# Å: no two nuclei are nearer (H–H 0.74); a maximum below is a ripple.
_NEAREST = 0.7
# Å⁻¹: structure is seen up to here at the most; what is beyond is noise, or the rounding of a file.
_LIMIT = 60.0
# Of the strongest power, below which the rest is rounding, or noise that no ripple of a cut stands out of.
_FLOOR = 1e-3
_FADES = "F(Q) fades to 0 at qmax as with a window (lorch?), but the header has none: give window="


def first_peak(r: Array, G: Array) -> float | None:
    """Return where the first peak of G(r) is (Å), from a parabola through its top; None where there is none.

    It is the first maximum beyond 0.7 Å that is at least 0.35 of the largest below 8 Å.
    """
    inside = (r > _NEAREST) & (r < 8.0)
    if inside.sum() < 5:
        return None
    top = np.flatnonzero((G[1:-1] > G[:-2]) & (G[1:-1] >= G[2:]) & inside[1:-1]) + 1
    high = float(G[inside].max())
    top = top[G[top] >= 0.35 * high] if high > 0 else top[:0]
    if not top.size:
        return None
    i = int(top[0])
    a, b, c = np.polyfit(r[i - 1 : i + 2] - r[i], G[i - 1 : i + 2], 2)
    return float(r[i] - b / (2 * a)) if a < 0 and c > 0 else float(r[i])


def low_r_slope(r: Array, G: Array, rpoly: float, peak: float, qmax: float) -> float | None:
    """Return the slope of G(r) = s·r (Å⁻³) between rpoly and the foot of the first peak; None without room for it.

    Where no two atoms are, G = −4πρ₀r. The foot: a resolution π/qmax and 0.3 Å before the peak.
    """
    begin, end = max(0.3, rpoly), peak - 0.3 - math.pi / qmax
    if end - begin < 0.3:
        begin = 0.3
    here = (r >= begin) & (r <= end)
    if here.sum() < 5:
        return None
    return float(r[here] @ G[here] / (r[here] @ r[here]))


@dataclass(frozen=True)
class Advice:
    """What `examine` finds; None where the data do not tell.

    qmax_cut : Å⁻¹, where F(Q) ends. qmax_noise : Å⁻¹, where F(Q) turns to noise. nyquist : Å, π/qmax.
    independent : number of points. noise : Å⁻², of G(r). first_peak : Å. coherence : Å, where ripples sink into noise;
    `reaches_end`: they do not. warnings : in words. fades : F(Q) goes to 0 at qmax as a window makes it, and the
    header has none. elsewhere : F(Q) does not end where the header says.
    """

    qmax_cut: float | None
    qmax_noise: float | None
    nyquist: float | None
    independent: float | None
    noise: float | None
    first_peak: float | None
    coherence: float | None
    reaches_end: bool
    warnings: tuple[str, ...]
    fades: bool = False
    elsewhere: bool = False


def examine(pdf: PDF) -> Advice:
    """Return what a G(r) says of itself.

    * G(r) is transformed back to F(Q); its cut is where the power falls most steeply.
    * Noise: dG where there is one, else the ripples in the last two fifths of r: an upper limit, unless they are flat.
    * Order reaches to where the rms of G in two windows of 2 Å is above 1.7 times the noise for the last time.
    * F(Q) turns to noise where, at larger Q, the r below that end hold no more power, per Å, than the r beyond it.
    """
    r, G = pdf.r, pdf.G
    if len(pdf) < 50 or r[-1] - r[0] < 5:
        return Advice(None, None, None, None, None, first_peak(r, G), None, True, ("too few points to say more",))
    spectrum_limit = math.pi / float(np.diff(r).max())
    given = pdf.instrument.qmax
    top = min(spectrum_limit, 60.0 if given is None or not math.isfinite(given) else 1.6 * given)
    if top < 1.0:
        said = (f"a Qmax of {top:.3g} Å⁻¹, or points so far apart, leave too little to say more",)
        return Advice(None, None, None, None, None, first_peak(r, G), None, True, said)
    Q = np.arange(0.2, top, math.pi / (2 * (r[-1] - r[0])))
    cut = _cut(Q, _spectrum(r, G, Q))
    qmax = given if given is not None and math.isfinite(given) else cut
    rms_r, rms = _envelope(r, G)
    noise, quiet = _noise(pdf, rms_r, rms)
    coherence, reaches = _coherence(rms_r, rms, noise, quiet)
    turn = None if qmax is None or coherence is None else _turns_to_noise(r, G, Q[qmax >= Q], coherence)
    nyquist = None if qmax is None else math.pi / qmax
    warnings = _warnings(pdf, cut, Q, qmax, None if reaches else coherence)
    return Advice(
        qmax_cut=cut,
        qmax_noise=turn,
        nyquist=nyquist,
        independent=None if nyquist is None else float(min(r.size, (r[-1] - r[0]) / nyquist)),
        noise=noise,
        first_peak=first_peak(r, G),
        coherence=coherence,
        reaches_end=reaches,
        warnings=tuple(warnings),
        fades=_FADES in warnings,
        elsewhere=_ends_elsewhere(pdf, cut),
    )


def _spectrum(r: Array, G: Array, Q: Array) -> Array:
    """Return |∫G(r)e^{iQr}dr|² (nQ,), with Hann's window at both ends of r against leaks."""
    taper = np.hanning(r.size + 2)[1:-1]
    step = np.gradient(r)
    return np.asarray(np.abs(sine.phase_sum(r, G * step * taper, Q)) ** 2)


def _smoothed(Q: Array, power: Array, width: float) -> Array:
    count = max(1, round(width / (Q[1] - Q[0])))
    total = np.convolve(power, np.ones(count), mode="same")
    return np.asarray(total / np.convolve(np.ones(Q.size), np.ones(count), mode="same"))


def _cut(Q: Array, power: Array) -> float | None:
    """Return where the spectrum ends: its steepest fall, of at least twentyfold within 1.2 Å⁻¹; None: there is none.

    Beyond the cut of a sine transform there is nothing; noise on top of G(r), or a fine model, has no such end.
    """
    smooth = _smoothed(Q, power, 0.8)
    shift = max(1, round(0.6 / (Q[1] - Q[0])))
    if Q.size < 6 * shift:
        return None
    fall = smooth[: -2 * shift] / np.maximum(smooth[2 * shift :], 1e-300)
    # Noise and few peaks at small Q fall steeply by chance.
    fall[Q[shift:-shift] < 6.0] = 0.0
    at = int(np.argmax(fall))
    if fall[at] < 20:
        return None
    level, edge = smooth[at], Q[at + shift]
    sharp = np.flatnonzero((power > 0.1 * level) & (edge + 0.6 > Q))
    # Hann's window spreads an edge by its resolution: Q has steps of a quarter of 2π/(r range).
    return float(Q[sharp[-1]] - 2.4 * (Q[1] - Q[0])) if sharp.size else float(edge)


def _envelope(r: Array, G: Array) -> tuple[Array, Array]:
    """Return the centres of windows of about 2 Å (at least ten) and the rms of G about its mean in each."""
    count = int(np.clip((r[-1] - r[0]) / 2.0, 10, r.size // 5))
    blocks = np.array_split(np.arange(r.size), count)
    return np.array([r[b].mean() for b in blocks]), np.array([G[b].std() for b in blocks])


def _noise(pdf: PDF, rms_r: Array, rms: Array) -> tuple[float, bool]:
    """Return the noise of G(r) and whether its level is seen: flat in r, or given as dG."""
    if pdf.dG is not None:
        return float(np.median(pdf.dG)), True
    fifth = max(2, rms.size // 5)
    before, last = (float(np.mean(part**2)) for part in (rms[-2 * fifth : -fifth], rms[-fifth:]))
    # Noise is flat and weak; ripples of a crystal go on falling, or are as strong as before.
    flat = abs(math.log(before / last)) < 0.6 and math.sqrt(last) < 0.15 * rms.max() if last > 0 < before else False
    return float(np.median(rms[-2 * fifth :] if flat else rms[-fifth:])), bool(flat)


def _coherence(rms_r: Array, rms: Array, noise: float, quiet: bool) -> tuple[float | None, bool]:
    """Return where the ripples sink below twice the noise for good, and whether they reach the end of the data."""
    if not quiet:
        return float(rms_r[-1]), True
    loud = rms > 1.7 * noise
    pairs = np.flatnonzero(loud[1:] & loud[:-1])
    if not pairs.size:
        return None, False
    last = int(pairs[-1]) + 1
    return float(rms_r[last] + 0.5 * (rms_r[1] - rms_r[0])), last == rms.size - 1


def _turns_to_noise(r: Array, G: Array, Q: Array, coherence: float) -> float | None:
    """Return the Q beyond which the r with order hold no more power per Å than the r without; None: nowhere.

    Beyond Q there are n = (r with order)·(qmax − Q)/π independent numbers: noise stays within 3/√n of the ratio 1.
    Without at least 4 Å beyond the order there is nothing to compare with.
    """
    near, far = r <= coherence, r > coherence
    if far.sum() < 20 or r[-1] - coherence < 4.0 or Q.size < 20:
        return None
    length = [float(r[part][-1] - r[part][0]) for part in (near, far)]
    power = [_spectrum(r[part], G[part], Q) / one for part, one in zip((near, far), length, strict=True)]
    beyond = [np.cumsum(one[::-1])[::-1] for one in power]
    count = np.maximum(length[0] * (Q[-1] - Q) / math.pi, 1.0)
    # A tail shorter than 1 Å⁻¹ proves nothing.
    seen = np.flatnonzero((beyond[0] > (1 + 3 / np.sqrt(count)) * beyond[1]) & (Q[-1] - 1.0 > Q))
    if not seen.size or Q[seen[-1]] > Q[-1] - 1.5:
        return None
    return float(Q[seen[-1]])


def _warnings(pdf: PDF, cut: float | None, Q: Array, qmax: float | None, order: float | None) -> list[str]:
    out = []
    given = pdf.instrument.qmax
    if _ends_elsewhere(pdf, cut):
        out.append(f"F(Q) ends at {cut:.1f} Å⁻¹ and the header says qmax = {given:g}: which is right?")
    if cut is not None and given is None:
        out.append(f"qmax is not in the file; F(Q) ends at {cut:.1f} Å⁻¹: give qmax= near that")
    if cut is not None and given == math.inf:
        out.append(f"the header says that nothing is cut, but F(Q) ends at {cut:.1f} Å⁻¹: give qmax=")
    if qmax is not None:
        out += _window_warning(pdf, Q, qmax, order)
    if pdf.instrument.qdamp == 0 and pdf.r[-1] > 20:
        out.append("qdamp is 0: take it from a fit of a standard (Ni, LaB6, CeO2), or sizes come out too small")
    return out


def _ends_elsewhere(pdf: PDF, cut: float | None) -> bool:
    given = pdf.instrument.qmax
    if cut is None or given is None or not math.isfinite(given):
        return False
    fades = pdf.instrument.window != "none"  # F sinks into noise before it ends
    return abs(cut - given) > max(0.4, (0.1 if fades else 0.03) * given)


def _window_warning(pdf: PDF, Q: Array, qmax: float, order: float | None) -> list[str]:
    """Compare how F(Q) fades towards qmax with what the window in the header makes it do.

    Noise, behind the end of order, tells best; without such a part it takes more to be sure.
    """
    if qmax > Q[-1] or qmax < 6:
        return []
    noise = order is not None and pdf.r[-1] - order > 8.0
    part = pdf.r > (order or 0.0) if noise else np.ones(len(pdf), dtype=np.bool_)
    power = _spectrum(pdf.r[part], pdf.G[part], Q)
    centre, level = [], []
    for low, high in ((0.6, 0.7), (0.7, 0.8), (0.8, 0.88), (0.94, 0.985)):
        inside = (low * qmax < Q) & (high * qmax > Q)
        if not inside.any() or power[inside].mean() <= 0:
            return []
        centre.append((low + high) / 2)
        level.append(math.log(float(power[inside].mean())))
    # Displacements and noise change the logarithm steadily; windows that end at 0 fall off a cliff: lorch by −2.1.
    slope, offset = np.polyfit(centre[:3], level[:3], 1)
    cliff, drop = level[3] - (slope * centre[3] + offset), level[3] - level[2]
    window = pdf.instrument.window
    if window == "none" and cliff < (-1.2 if noise else -2.0) and drop < -2.0:
        return [_FADES]
    if window in ("lorch", "hann", "lorch-soper") and drop > -0.7:
        return [f"F(Q) does not fade towards qmax as the window {window} makes it: is window= right?"]
    return []


def band_limit(pdf: PDF) -> tuple[float, str]:
    """Return the Qmax (Å⁻¹) that a G(r) was made with, and how that was seen.

    The spectrum of a cut sine transform falls twentyfold or more within 1.2 Å⁻¹ of the cut (right to 0.1 Å⁻¹ on data of
    known Qmax). Where it sinks into rounding or noise without such an end no cut is seen in G(r), and inf is returned.

    Raises PdfkitError where the spectrum reaches to the end of what the points in r can hold.
    """
    top = min(_LIMIT, math.pi / float(np.diff(pdf.r).max()))
    if len(pdf) < 50 or top < 3.0:
        raise _unknown(pdf, "there are too few points, or they lie too far apart, to tell it from them")
    Q = np.arange(0.2, top, math.pi / (2 * (pdf.r[-1] - pdf.r[0])))
    power = _smoothed(Q, _spectrum(pdf.r, pdf.G, Q), 0.8)
    cut = examine(pdf).qmax_cut
    if cut is not None and _is_end(Q, power, cut):
        return round(cut, 1), f"F(Q) of these data ends at {cut:.1f} Å⁻¹"
    quiet = np.flatnonzero(power > _FLOOR * power.max())
    if not quiet.size or Q[quiet[-1]] > 0.75 * top:
        raise _unknown(pdf, f"their points, π/{top:.3g} Å apart, are too sparse to see where F(Q) ends")
    fades = float(Q[quiet[-1]])
    return math.inf, f"F(Q) of these data fades by {fades:.0f} Å⁻¹ and no cut is seen"


def _is_end(Q: Array, power: Array, cut: float) -> bool:
    """Return whether nothing comes back beyond a steep fall of the power, as reflections do behind a gap."""
    before, beyond = power[(cut - 1.0 < Q) & (cut > Q)], power[cut + 0.8 < Q]
    return bool(before.size and beyond.size > 5 and beyond.max() < 0.2 * before.mean())


def _unknown(pdf: PDF, why: str) -> PdfkitError:
    return PdfkitError(f"{pdf.name or 'the data'} state no Qmax, and {why}: give it, as --qmax 25", key="qmax")
