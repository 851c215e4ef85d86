"""From measured intensities to S(Q), F(Q) and G(r), with errors that are carried all the way.

    iq = pk.read_intensity("cds.chi")
    done = pk.reduce(iq, composition="CdS", background=pk.read_intensity("empty.chi"), qmax=15)
    pdf = done.to_pdf(window="lorch")            # pdf.dG and pdf.cov
    print(done)

| step | what | errors |
|---|---|---|
| net | I = I_raw − bgscale·I_background | variances add up |
| scale | α of S(Q) = [αI − ⟨f²⟩ + ⟨f⟩²]/⟨f⟩², see `method` | correlates all points |
| polynomial | F = Q(S − 1) − P(Q), degree rpoly·(Qmaxinst − Qmin)/π | correlates all points |
| transform | G = (2/π)∫F M sin(Qr) dQ over Qmin…Qmax | `Covariance`, exact on any r |

All of it is linear in I but the scale, whose derivative is included: F − F₀ = K·(I − I₀), and cov(F) = K·diag(dI²)·Kᵀ.
Points stay where they were measured: an interpolation would correlate their errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._table import facts, frame
from pdfkit.data import advice
from pdfkit.data.curves import PDF, SQ, Intensity
from pdfkit.data.filtering import Filter, low_r_filter
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError, remark
from pdfkit.io._atomic import AnyPath
from pdfkit.io.intensity import read_intensity
from pdfkit.reduction.amplitude import amplitude, made_absolute
from pdfkit.reduction.corrections import Levels, Net, bridged, inelastic, levels, subtract, transmission
from pdfkit.reduction.lowr import Atoms, foot, nearest_possible
from pdfkit.reduction.methods import Corrected, Physics, adhoc, filtered, noise_ratio, physical, propagated, with_errors
from pdfkit.reduction.settings import ReductionOptions, ReductionSettings, settings_of

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Reduction:
    """What `reduce` found.

    Parameters
    ----------
    sq : S(Q) with dS and the covariance of F. qmin, qmax : Å⁻¹, limits of the transform.
    stages : on the Q of sq: "raw", "background", "net", "level" (of independent atoms, on the scale of the
        intensities), "error" (of net), "before" (F without the polynomial), "polynomial", "F".
    diagnostics : numbers by name; see `reduce`. settings : what was asked for, under PDFgetX3's names where it has one.
    window, extrapolate : defaults of `to_pdf`.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.scattering import form_factor
    >>> Q = np.arange(1.0, 24.0, 0.01)
    >>> S = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=24, qdamp=0.05)).sq(Q).S
    >>> done = pk.reduce(pk.Intensity(Q, 7 * form_factor("Ni", "X", Q) ** 2 * S), composition="Ni")  # simulated
    >>> print(*done.stages)
    raw background net level error before polynomial F
    >>> print(f"Ni–Ni at {done.diagnostics['first peak']:.2f} Å, S → {done.diagnostics['high-Q level']:.2f}")
    Ni–Ni at 2.49 Å, S → 1.00
    """

    sq: SQ
    qmin: float
    qmax: float
    stages: Mapping[str, Array] = field(repr=False)
    diagnostics: Mapping[str, float]
    settings: Mapping[str, str]
    window: str = "none"
    extrapolate: str = "none"

    def __post_init__(self) -> None:
        for name in ("stages", "diagnostics", "settings"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[Any, ...]:
        return _checks.reduced(self)

    @property
    def Q(self) -> Array:
        """Å⁻¹, (n,)."""
        return self.sq.Q

    @property
    def S(self) -> Array:
        """The structure function (n,)."""
        return self.sq.S

    @property
    def dS(self) -> Array | None:
        """Its standard deviations (n,), or None."""
        return self.sq.dS

    @property
    def F(self) -> Array:
        """F(Q) = Q[S(Q) − 1] in Å⁻¹ (n,)."""
        return self.sq.F

    def to_pdf(
        self,
        r: Array | None = None,
        *,
        qmin: float | None = None,
        qmax: float | None = None,
        window: str | None = None,
        window_width: float | None = None,
        extrapolate: str | None = None,
    ) -> PDF:
        """Return G(r) on `r` (Å; default 0 to 30 by 0.01) with dG and cov; limits and window default to those asked.

        The polynomial of an ad hoc reduction has taken the part of F below qmin for background, so models are not to
        be cut there: `PDF.instrument.qmin` is 0. That suits crystals; of small particles, whose F goes on smoothly
        below qmin, what is missing costs an Rw of 0.06 to 0.08 and extrapolate="linear" 0.002 to 0.004 (dots of
        22 Å). Raises PdfkitError as `SQ.to_pdf`.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> from pdfkit.scattering import form_factor
        >>> Q = np.arange(1.0, 24.0, 0.01)
        >>> S = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=24, qdamp=0.05)).sq(Q).S
        >>> done = pk.reduce(pk.Intensity(Q, form_factor("Ni", "X", Q) ** 2 * S), composition="Ni")  # simulated
        >>> pdf = done.to_pdf(np.arange(1.5, 4, 0.01), qmax=18, window="lorch")
        >>> print(f"Qmax {pdf.instrument.qmax:g} Å⁻¹, {pdf.instrument.window}, Ni–Ni at {pdf.r[pdf.G.argmax()]:.2f} Å")
        Qmax 18 Å⁻¹, lorch, Ni–Ni at 2.49 Å
        """
        low = self.qmin if qmin is None else qmin
        high = self.qmax if qmax is None else qmax
        pdf = self.sq.to_pdf(
            r,
            qmin=low,
            qmax=high,
            window=window or self.window,
            window_width=window_width,
            extrapolate=extrapolate or self.extrapolate,
        )
        keep = {**self.settings, "qmin": f"{low:g}", "qmax": f"{high:g}", "window": window or self.window}
        if self.settings["method"] == "adhoc" and qmin is None:
            pdf = replace(pdf, instrument=replace(pdf.instrument, qmin=0.0))
        return replace(pdf, header={**keep, **pdf.header}, remarks=self.sq.remarks)

    def to_dataframe(self) -> DataFrame:
        """Return Q, S, its errors and every stage as a `pandas.DataFrame`, a row a point."""
        errors = {} if self.dS is None else {"dS": self.dS}
        return frame({"Q": self.Q, "S": self.S, **errors, **self.stages})

    def _repr_html_(self) -> str:
        shown = {name: f"{value:.5g}" for name, value in self.diagnostics.items()}
        heading = f"Reduction: {self.sq.name or 'pattern'}, {self.sq.composition}, {self.settings['method']}"
        return facts(heading, shown | {"errors": self.settings["errorsource"]}, self.sq.remarks)

    def __str__(self) -> str:
        """One fact per line."""
        n, Q = len(self.sq), self.sq.Q
        lines = [f"{self.sq.name or 'pattern'}: {n} points, Q = {Q[0]:.4g} to {Q[-1]:.4g} Å⁻¹, {self.sq.composition}"]
        lines += [f"  {name:<22} {value:.5g}" for name, value in self.diagnostics.items()]
        lines.append(f"  {'errors':<22} {self.settings['errorsource']}")
        return "\n".join([*lines, f"  {'amplitude':<22} {self.settings['amplitude']}"])


def reduce(
    iq: Intensity | AnyPath,
    settings: ReductionSettings | None = None,
    *,
    background: Intensity | AnyPath | None = None,
    **options: Unpack[ReductionOptions],
) -> Reduction:
    """Reduce a powder pattern to S(Q), F(Q) and G(r).

    Parameters
    ----------
    iq, background : patterns, or files for `read_intensity`, which are read with `unit`, `wavelength` (Å; default: what
        the file says) and `twothetazero`. bgscale : what the background is multiplied with.
    settings : a `ReductionSettings` that the keywords below change; None of a keyword changes nothing.
    composition : formula such as "LaB6", or {element: amount}; default: what the file says.
    qmin, qmax : Å⁻¹, limits of the transform; default: the data, without gaps. qmaxinst : Å⁻¹, the end of the data
        that scale and polynomial are fitted to; default: the end of the data; beyond it, it is cut back with a warning.
    rpoly : Å; the polynomial has degree rpoly·(qmaxinst − qmin)/π and reaches G(r) below rpoly. Default 0.9 for
        "adhoc" and 0 (none) for "physical".
    probe : "X", "N" or "E"; default: what the file says, else "X".
    method : "adhoc" (S(Q) on an unknown scale, made flat by the polynomial; the rules of PDFgetX3) or "physical":
        X-rays: Compton scattering (needs the wavelength for its recoil), `polarisation` and `absorption` are taken off;
        neutrons: incoherent scattering; the scale, and a slow factor, are those that make G(r) right below the first
        peak (see `slow`).
    errors : where dI comes from: "auto", "given", "counting" (√I), "scatter" (of neighbouring points) or "none".
    window, extrapolate : defaults of `Reduction.to_pdf`.
    polarisation : "none" (corrected already), "unpolarised" (also a synchrotron, averaged over full rings):
        (1 + cos²2θ)/2, or K: (1 + K·cos²2θ)/(1 + K). absorption : μR of a capillary [Hewat, Acta Cryst. A35, 248
        (1979)], or factors on Q (n,), or a function of Q that returns them; intensities are divided by them.
    constant : find a constant intensity (fluorescence), too. recoil : exponent of the recoil factor of Compton
        scattering: 2 for counted photons, 3 for measured energy. compton : False where Compton scattering is not in the
        intensities (an energy-discriminating detector, or subtracted before); neutrons and electrons have none.
    slow : of "physical": how much, as a standard deviation, intensities may be wrong by a factor that changes slowly
        with Q; it is found from G(r) below the first peak, and its error is in those of G(r). 0: no such factor; the
        scale then comes from `rho0` (Krogh-Moe and Norman) where it is given, else from the level at high Q.
    rcut : Å, no two atoms are nearer (default: found). rho0 : atoms/Å³, makes G = −4πρ₀r there; of a structure,
        `number_density()`.
    filter_passes : of the Fourier filter that takes out what G(r) has below rcut, after all else (`SQ.fourier_filter`);
        0: none, 1: as in PyStoG. absolute : divide what "adhoc" gives by the factor of its amplitude (needs `rho0`).
    anomalous : add f′ and f″ of X-rays of the wavelength.

    Returns
    -------
    Reduction. The amplitude of the ad hoc method is not absolute: 0.2 to 1 of the truth, which remarks and the header
    say; with `rho0` the factor is estimated, "amplitude" ± "amplitude error" of the `diagnostics`. The others: "scale"
    α; "degree"; "background share" of the intensity; "removed", the polynomial relative to F (rms); "filtered", what
    the Fourier filter changed relative to F (rms); "slow factor" (rms from its mean) and "no atoms below" (Å) of the
    physical method; "high-Q level", the mean of S over the last fifth of Q; "low-r slope" of G/r in Å⁻³ below the first
    peak (of the ad hoc method behind rpoly: smaller, the polynomial has taken its part) and "expected slope" −4πρ₀;
    "first peak" in Å; "points bridged" in gaps; "noise ratio", the noise of G(r) between 60 and 105 Å over what the
    errors make it: far below 1 the errors are too large; above 1 they are too small, or order reaches so far.

    Raises
    ------
    PdfkitError : an impossible composition, limit, choice or pattern, with the setting as its `key`.
    ReadError : a file that cannot be read.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.scattering import form_factor
    >>> Q = np.arange(1.0, 24.0, 0.01)
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20, qdamp=0.05))
    >>> iq = pk.Intensity(Q, 7 * form_factor("Ni", "X", Q) ** 2 * model.sq(Q).S)  # simulated
    >>> pdf = pk.reduce(iq, composition="Ni", qmax=20).to_pdf()
    >>> result = pk.fit(model, pdf, rmin=1.5, rmax=20, free=["scale", "a"])
    >>> print(f"a = {result.params['ni.a'].value:.3f} Å, Rw = {result.rw:.2f}")
    a = 3.524 Å, Rw = 0.01
    """
    asked = settings_of(settings, options)
    sample = _pattern(iq, asked)
    empty = None if background is None else _pattern(background, asked)
    asked = asked.completed(sample)
    fractions = asked.fractions
    low, high, last = _limits(sample, asked)
    net, words, bridges = _net(sample.crop(low, last), empty, asked)
    low, high = max(low, float(net.Q[0])), min(high, float(net.Q[-1]))
    asked = replace(asked, qmin=low, qmax=high, qmaxinst=last)
    means = levels(fractions, asked.probe or "X", net.Q, asked.wavelength if asked.anomalous else None)
    _warn_of_units(net, means, asked)
    found, level = _follow(net, means, fractions, asked)
    net, words, noise = _in_band(net, found, words)
    found, scale = _on_scale(net, means, found, asked)
    doubts = _idle_remark(asked)
    if asked.filter_passes:
        doubts += _filter_remark(net, found, sample, asked)
        found = filtered(found, _low_r_filter(net.Q, found, asked))
    doubts += _compton_remark(net, means, fractions, asked) or _slow_remark(found, asked)
    for text in doubts:
        remark(f"{sample.name or 'pattern'}: {text}", stacklevel=2)
    doubts += () if scale == "absolute" else (f"the amplitude of G(r) is {scale}",)
    said = (*doubts, *sample.remarks, *(f"background: {text}" for text in (empty.remarks if empty is not None else ())))
    sq = replace(_sq(net, found, sample, asked), remarks=said)
    numbers = _diagnostics(net, found, sq, asked)
    numbers |= {} if asked.rho0 is None else {"expected slope": -4 * math.pi * asked.rho0}
    numbers |= {"points bridged": float(bridges)} if bridges else {}
    numbers |= {} if noise is None else {"noise ratio": noise}
    header = asked.header() | {"errors": words.split()[0].rstrip(",;"), "errorsource": words, "amplitude": scale}
    return Reduction(sq, low, high, _stages(net, found, level), numbers, header, asked.window, asked.extrapolate)


def _follow(
    net: Net, means: Levels, fractions: Mapping[str, float], asked: ReductionSettings
) -> tuple[Corrected, Array]:
    """Return what the method makes of it, and the level of independent atoms on the scale of the intensities (n,)."""
    if asked.method == "adhoc":
        found = adhoc(net.Q, net.intensity, means, asked.rpoly or 0.0)
        return found, means.f2 / found.scale
    other, factor = inelastic(asked, fractions, net.Q), transmission(asked, net.Q)
    physics = Physics(means, other, factor, Atoms(fractions, asked.probe or "X"), net.variance)
    found = physical(net.Q, net.intensity, physics, asked)
    end = float(np.mean((found.F / net.Q)[-max(5, net.Q.size // 5) :]))
    if abs(end) > 0.3:
        text = f"S(Q) ends at {1 + end:.3g}, not 1: something else changes with Q (detector, fluorescence, absorption)"
        remark(f"{text}; correct it, or give rpoly", stacklevel=3)
    return found, (means.f2 + other + found.facts.get("constant", 0.0)) * factor / found.scale


_PHYSICAL = ("polarisation", "absorption", "constant", "recoil", "compton", "slow")


def _idle_remark(asked: ReductionSettings) -> tuple[str, ...]:
    """Say which settings are those of the other method, and change nothing."""
    if asked.method == "physical":
        return ("absolute has no effect: the amplitude of method='physical' is absolute",) if asked.absolute else ()
    idle = [name for name in _PHYSICAL if name in asked.given() and (name != "slow" or asked.slow > 0)]
    idle += ["rcut"] if asked.rcut is not None and not asked.filter_passes and asked.rho0 is None else []
    verb = "has" if len(idle) == 1 else "have"
    return (f"{', '.join(idle)} {verb} no effect on the ad hoc method: give method='physical' too",) if idle else ()


def _filter_remark(net: Net, found: Corrected, sample: Intensity, asked: ReductionSettings) -> tuple[str, ...]:
    """Say so where the first peak of G(r) lies below the end of the Fourier filter that was asked for."""
    peak = _first_peak(_sq(replace(net, variance=None), found, sample, asked), asked)[1]
    if peak is None or asked.rcut is None or not nearest_possible(asked.fractions) <= peak <= asked.rcut:
        return ()
    return (
        f"the Fourier filter takes out the first peak of G(r), at {peak:.3g} Å: give rcut below it, unless no two "
        f"atoms are nearer than {asked.rcut:g} Å",
    )


def _slow_remark(found: Corrected, asked: ReductionSettings) -> tuple[str, ...]:
    """Say so where the factor on the intensities is far beyond what is expected of one."""
    much = found.facts.get("slow factor", 0.0)
    if much <= 2 * asked.slow or asked.method != "physical":
        return ()
    return (
        f"the intensities are those of the composition times a factor that changes with Q by {100 * much:.0f} %, "
        f"more than slow={asked.slow:g} expects: look for what is not corrected (background, absorption, "
        "polarisation, fluorescence); the amplitude of G(r) may be wrong",
    )


def _compton_remark(
    net: Net, means: Levels, fractions: Mapping[str, float], asked: ReductionSettings
) -> tuple[str, ...]:
    """Say so where G(r) below the first peak tells that Compton scattering is in the intensities, or is not.

    Both are tried on the same r; the two differ by a part of the intensity that no slow factor of some per cent makes.
    """
    if asked.method != "physical" or asked.probe != "X" or asked.slow == 0:
        return ()
    factor, atoms = transmission(asked, net.Q), Atoms(fractions, "X")

    def misfit(compton: bool, rcut: float | None) -> tuple[float, float]:
        how = replace(asked, compton=compton, rcut=rcut)
        physics = Physics(means, inelastic(how, fractions, net.Q), factor, atoms, net.variance)
        try:
            done = physical(net.Q, net.intensity, physics, how)
        except PdfkitError:
            return math.inf, 0.0
        return (math.inf, 0.0) if done.fit is None else (done.fit.misfit, done.fit.end)

    other, end = misfit(not asked.compton, asked.rcut)
    here = misfit(asked.compton, end)[0] if math.isfinite(other) else 0.0
    # A difference of 25 is five standard deviations.
    if here - other < 25 or here < 3 * other:
        return ()
    if asked.compton:
        return ("it looks as if Compton scattering was removed already: say compton=False (--no-compton)",)
    return ("it looks as if Compton scattering is still in the intensities: leave compton=False (--no-compton) out",)


def _on_scale(net: Net, means: Levels, found: Corrected, asked: ReductionSettings) -> tuple[Corrected, str]:
    """Return what was found, on an absolute scale where that is asked for, and what its amplitude is, in words."""
    if asked.method != "adhoc":
        return found, "absolute"
    relative = "relative: the adhoc method leaves a factor open, of 0.2 to 1"
    if asked.rho0 is None:
        return found, f"{relative}; give rho0 to have it estimated"
    got = amplitude(net, means, found, asked)
    if got is None:
        if asked.absolute:
            raise PdfkitError(
                "the factor of the amplitude cannot be told from these data: leave absolute out, or correct the "
                "intensities (background, polarisation, absorption)",
                key="absolute",
            )
        return found, f"{relative}; these data do not tell it"
    facts = {**found.facts, "amplitude": got[0], "amplitude error": got[1]}
    if asked.absolute:
        return made_absolute(replace(found, facts=facts), *got), "absolute"
    return replace(
        found, facts=facts
    ), f"relative: {got[0]:.3f} ± {got[1]:.3f} of the absolute one (absolute=True divides)"


def _low_r_filter(Q: Array, found: Corrected, asked: ReductionSettings) -> Filter:
    """Return the filter of what is below rcut; the slope is −4πρ₀ where the amplitude is absolute, else what it is."""
    end = (
        asked.rcut or found.facts.get("no atoms below") or foot(Q, found.F, Atoms(asked.fractions, asked.probe or "X"))
    )
    known = asked.method == "physical" or asked.absolute
    return low_r_filter(Q, end, asked.rho0 if known else None, asked.filter_passes)


def _stages(net: Net, found: Corrected, level: Array) -> dict[str, Array]:
    out = {"raw": net.raw, "background": net.background, "net": net.intensity, "level": level}
    out |= {} if net.variance is None else {"error": np.sqrt(net.variance)}
    return out | {"before": found.before, "polynomial": found.polynomial, "F": found.F}


def _pattern(value: Intensity | AnyPath, asked: ReductionSettings) -> Intensity:
    return value if isinstance(value, Intensity) else read_intensity(value, **asked.reading())


def _limits(sample: Intensity, asked: ReductionSettings) -> tuple[float, float, float]:
    """Return qmin, qmax and qmaxinst within the data, or say what is outside."""
    first, last = float(sample.Q[0]), float(sample.Q[-1])
    tiny = 1.5 * float(np.median(np.diff(sample.Q)))
    end = last if asked.qmaxinst is None else asked.qmaxinst
    if end > last + tiny:
        text = f"qmaxinst = {end:g} is beyond the data, which end at {last:.5g} Å⁻¹: cut back to that"
        remark(f"{sample.name or 'pattern'}: {text}", stacklevel=3)
    end = min(end, last)
    low = first if asked.qmin is None else asked.qmin
    high = end if asked.qmax is None else asked.qmax
    if high > last + tiny:
        raise PdfkitError(f"qmax = {high:g} is beyond the data, which end at {last:.5g} Å⁻¹: lower it", key="qmax")
    if high > end + tiny:
        raise PdfkitError(f"qmax = {high:g} is above qmaxinst = {end:g}: lower qmax or raise qmaxinst", key="qmax")
    low, high = max(low, first), min(high, end)
    if high - low < 20 * tiny or high < 1.5 * low:
        raise PdfkitError(f"qmin = {low:g} and qmax = {high:g} leave too little to transform: widen them", key="qmin")
    return low, high, end


def _net(sample: Intensity, empty: Intensity | None, asked: ReductionSettings) -> tuple[Net, str, int]:
    """Return the net pattern, the source of its errors, and the number of points bridged."""
    pattern, bridges = bridged(sample)
    if bridges:
        text = f"{bridges} points in gaps are interpolated, errors too"
        remark(f"{sample.name or 'pattern'}: {text}", stacklevel=3)
    errors = asked.errors
    pattern, words = with_errors(pattern, errors)
    if empty is not None:
        kind = "scatter" if errors in ("auto", "given") and empty.dI is None else errors
        empty, other = with_errors(empty, "none" if words == "none" else kind)
        part = empty.crop(sample.Q[0], sample.Q[-1]) if len(empty) > len(pattern) else empty
        empty = part if np.array_equal(part.Q, pattern.Q) else empty
        words = words if words == other else f"{words}; background: {other}"
    return subtract(pattern, empty, asked.bgscale), words, bridges


def _in_band(net: Net, found: Corrected, words: str) -> tuple[Net, str, float | None]:
    """Return the net pattern with errors from scatter raised to the noise in G(r), their source, and the ratio."""
    ratio = None if net.variance is None else noise_ratio(net.Q, found.F, found.D**2 * net.variance)
    if ratio is None or net.variance is None:
        return net, words, None
    if words.startswith("scatter") and ratio > 1:
        words += f", scaled ×{ratio:.3g} to match the noise of G(r) at large r"
        net = replace(net, variance=net.variance * ratio**2)
    return net, words, ratio


def _warn_of_units(net: Net, means: Levels, asked: ReductionSettings) -> None:
    """Warn when X-ray intensities do not fall at all as ⟨f²⟩ does: Q is then in another unit, or is 2θ."""
    if asked.probe == "N":
        return
    part = max(5, net.Q.size // 10)
    ends = (slice(part, 2 * part), slice(-part, None))
    ratio = [float(np.median(net.intensity[k])) / float(np.median(means.f2[k])) for k in ends]
    if ratio[0] > 0 and ratio[1] > 30 * ratio[0]:
        text = (
            "the intensities do not fall with Q as ⟨f²⟩ does: is Q in Å⁻¹ (not nm⁻¹ or 2θ), the background subtracted?"
        )
        remark(text, stacklevel=3)


def _sq(net: Net, found: Corrected, sample: Intensity, asked: ReductionSettings) -> SQ:
    cov, dS = None, None
    Q = net.Q
    if net.variance is not None:
        cov = propagated(Q, found, net.variance)
        dS = np.maximum(cov.deviations(), 1e-300) / np.maximum(Q, 1e-6)
    # F = 0 at Q = 0, where S is not known: 1 stands for it.
    S = 1.0 + np.divide(found.F, Q, out=np.zeros(Q.size), where=Q > 0)
    header = {key: value for key, value in sample.header.items() if key.startswith("note")}
    return SQ(Q, S, dS, Instrument(probe=asked.probe), header, sample.name, asked.formula, cov)


def _diagnostics(net: Net, found: Corrected, sq: SQ, asked: ReductionSettings) -> dict[str, float]:
    rms = [float(np.sqrt(np.mean(v**2))) for v in (found.polynomial, found.F)]
    out = {"scale": found.scale, "degree": found.degree, **found.facts}
    out["background share"] = float(net.background.sum() / net.raw.sum())
    out["removed"] = rms[0] / max(rms[1], 1e-300)
    out["high-Q level"] = float(sq.S[sq.Q[-1] - 0.2 * (sq.Q[-1] - sq.Q[0]) < sq.Q].mean())
    pdf, peak = _first_peak(replace(sq, dS=None, cov=None), asked)
    if peak is not None:
        out["first peak"] = peak
        behind = asked.rpoly or 0.0 if asked.method == "adhoc" else 0.0
        slope = advice.low_r_slope(pdf.r, pdf.G, behind, peak, asked.qmax or net.Q[-1])
        if slope is not None:
            out["low-r slope"] = slope
    return {name: float(value) for name, value in out.items()}


def _first_peak(bare: SQ, asked: ReductionSettings) -> tuple[PDF, float | None]:
    """Return G(r) to 8 Å and its first peak; with Lorch's window, since neither slope nor peak are to be ripples."""
    reach = min(8.0, 0.99 * math.pi / float(np.diff(bare.Q).max()))
    pdf = bare.to_pdf(np.arange(0.02, reach, 0.02), qmin=asked.qmin, qmax=asked.qmax, window="lorch")
    return pdf, advice.first_peak(pdf.r, pdf.G)
