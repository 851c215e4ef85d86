"""Every function of total scattering, how one becomes another, and the sine transform between Q and r.

Definitions. ⟨f⟩ = Σc_a f_a and ⟨f²⟩ = Σc_a f_a² over the species; ρ(r) is the weighted density of atoms at r
from an atom, ρ₀ the mean number density in Å⁻³, γ₀(r) the shape function of the particle (1 in bulk).

| symbol | unit | definition | functions |
|---|---|---|---|
| I(Q) | f² per atom | coherent intensity per atom | `I_to_S`, `S_to_I` |
| S(Q) | 1 | Faber–Ziman: [I − ⟨f²⟩ + ⟨f⟩²]/⟨f⟩²; → 1 at large Q | `S_to_F`, `F_to_S` |
| F(Q) | Å⁻¹ | Q[S(Q) − 1] | `sine_transform` |
| G(r) | Å⁻² | (2/π)∫F(Q)M(Q) sin(Qr) dQ = 4πr[ρ(r) − ρ₀γ₀(r)] | `inverse_sine_transform` |
| g(r) | 1 | 1 + G/(4πrρ₀); → 1 at large r (bulk) | `G_to_g`, `g_to_G` |
| R(r) | Å⁻¹ | rG + 4πr²ρ₀γ₀, the radial distribution function | `G_to_R`, `R_to_G` |
| S_AL(Q) | 1 | Ashcroft–Langreth total: I/⟨f²⟩ = 1 + (⟨f⟩²/⟨f²⟩)[S − 1] | `S_to_AL`, `AL_to_S` |
| S_ab^AL | 1 | δ_ab + √(c_a c_b)[S_ab − 1], of a partial S_ab(Q) | `partial_to_AL`, `AL_to_partial` |
| F_K(Q) | barn | ⟨b⟩²[S(Q) − 1], Keen's F(Q) | `S_to_keen_F`, `keen_F_to_S` |
| G_K(r) | barn | ⟨b⟩²[g(r) − 1], Keen's G(r) | `G_to_keen_G`, `keen_G_to_G` |
| D(r) | barn Å⁻² | 4πrρ₀ G_K(r) = ⟨b⟩² G(r), Keen's differential function | `G_to_D`, `D_to_G` |
| T(r) | barn Å⁻² | D(r) + 4πrρ₀⟨b⟩², Keen's total function | `G_to_T`, `T_to_G` |

The same letters mean other things elsewhere: RMCProfile and the ISIS programs call G_K "G(r)", and F(Q) there
is ⟨b⟩²[S(Q) − 1]. Keen's forms take ⟨b⟩ in fm and give barn (1 fm² = 0.01 barn) [Keen, J. Appl. Cryst. 34,
172 (2001)]. Ashcroft & Langreth, Phys. Rev. 156, 685 (1967), count the atoms of each species for themselves: their
partials are those of number fluctuations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pdfkit import _budget, _checks, _sq_errors
from pdfkit._checks import Array
from pdfkit._phase_sums import phase_sum as phase_sum
from pdfkit._phase_sums import smooth_sine_sums as smooth_sine_sums
from pdfkit.covariance import Covariance
from pdfkit.data import PDF, SQ, WINDOWS
from pdfkit.errors import PdfkitError

EXTRAPOLATIONS = ("none", "linear", "quadratic")
_END_SECONDS = 3e-8  # measured: the end terms of one change of step at one point
_BARN = 0.01  # barn in one fm²
_SOPER = 4.493409457909064  # first zero of sin x − x cos x


def I_to_S(I: Array, f2_mean: Array, f_mean: Array) -> Array:
    """Return S(Q) = [I(Q) − ⟨f²⟩ + ⟨f⟩²]/⟨f⟩² (n,) from the coherent intensity per atom (n,).

    Example
    -------
    >>> from pdfkit.transforms import I_to_S
    >>> print(I_to_S(1792.0, f2_mean=1280.0, f_mean=32.0))  # Cd and S: ⟨f²⟩ = (48² + 16²)/2
    1.5
    """
    return np.asarray((I - f2_mean) / f_mean**2 + 1.0)


def S_to_I(S: Array, f2_mean: Array, f_mean: Array) -> Array:
    """Return the coherent intensity per atom I(Q) = ⟨f⟩²[S(Q) − 1] + ⟨f²⟩ (n,).

    Example
    -------
    >>> from pdfkit.transforms import S_to_I
    >>> print(S_to_I(1.5, f2_mean=1280.0, f_mean=32.0))  # 32²·0.5 + 1280
    1792.0
    """
    return np.asarray(f_mean**2 * (S - 1.0) + f2_mean)


def S_to_F(Q: Array, S: Array) -> Array:
    """Return F(Q) = Q[S(Q) − 1] in Å⁻¹ (n,).

    Example
    -------
    >>> from pdfkit.transforms import S_to_F
    >>> print(S_to_F(4.0, 1.25))
    1.0
    """
    return np.asarray(Q * (S - 1.0))


def F_to_S(Q: Array, F: Array) -> Array:
    """Return S(Q) = 1 + F(Q)/Q (n,); NaN at Q = 0, where F does not determine it.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.transforms import F_to_S
    >>> F_to_S(np.array([0, 4]), np.array([0, 1])).tolist()
    [nan, 1.25]
    """
    return 1.0 + _ratio(F, Q)


def G_to_g(r: Array, G: Array, rho0: float) -> Array:
    """Return g(r) = 1 + G(r)/(4πrρ₀) (n,); NaN at r = 0.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.transforms import G_to_g
    >>> r = np.array([1, 2])
    >>> print(G_to_g(r, -4 * np.pi * r * 0.05, rho0=0.05))  # no atoms there
    [0. 0.]
    """
    return 1.0 + _ratio(G, 4 * math.pi * _density(rho0) * r)


def g_to_G(r: Array, g: Array, rho0: float) -> Array:
    """Return G(r) = 4πrρ₀[g(r) − 1] in Å⁻² (n,).

    Example
    -------
    >>> from pdfkit.transforms import g_to_G
    >>> print(g_to_G(2.0, 3.0, rho0=0.05).round(4))  # 4π·2·0.05·(3 − 1)
    2.5133
    """
    return np.asarray(4 * math.pi * _density(rho0) * r * (g - 1.0))


def G_to_R(r: Array, G: Array, rho0: float, gamma0: Array | float = 1.0) -> Array:
    """Return R(r) = rG(r) + 4πr²ρ₀γ₀(r) in Å⁻¹ (n,); its integral over a peak is a coordination number.

    Example
    -------
    >>> from pdfkit.transforms import G_to_R
    >>> print(G_to_R(2.0, 0.0, rho0=0.05).round(4))  # no structure: 4πr²ρ₀
    2.5133
    """
    return np.asarray(r * G + 4 * math.pi * r**2 * _density(rho0) * gamma0)


def R_to_G(r: Array, R: Array, rho0: float, gamma0: Array | float = 1.0) -> Array:
    """Return G(r) = R(r)/r − 4πrρ₀γ₀(r) in Å⁻² (n,); NaN at r = 0.

    Example
    -------
    >>> from pdfkit.transforms import G_to_R, R_to_G
    >>> print(R_to_G(2.0, G_to_R(2.0, 1.5, rho0=0.05), rho0=0.05).round(6))
    1.5
    """
    return _ratio(R, r) - 4 * math.pi * r * _density(rho0) * gamma0


def G_to_keen_G(r: Array, G: Array, rho0: float, b_mean: float) -> Array:
    """Return Keen's G(r) = ⟨b⟩²[g(r) − 1] in barn (n,), ⟨b⟩ in fm; NaN at r = 0.

    Example
    -------
    >>> import math
    >>> from pdfkit.transforms import G_to_keen_G
    >>> print(G_to_keen_G(2.0, -4 * math.pi * 2.0 * 0.05, rho0=0.05, b_mean=10.0).round(6))  # no atoms: −⟨b⟩²
    -1.0
    """
    return _BARN * b_mean**2 * _ratio(G, 4 * math.pi * _density(rho0) * r)


def G_to_D(G: Array, b_mean: float) -> Array:
    """Return Keen's D(r) = ⟨b⟩² G(r) in barn Å⁻² (n,), ⟨b⟩ in fm.

    Example
    -------
    >>> from pdfkit.transforms import G_to_D
    >>> print(G_to_D(2.0, b_mean=10.0))  # ⟨b⟩² = 100 fm² = 1 barn
    2.0
    """
    return np.asarray(_BARN * b_mean**2 * G)


def G_to_T(r: Array, G: Array, rho0: float, b_mean: float) -> Array:
    """Return Keen's T(r) = D(r) + 4πrρ₀⟨b⟩² in barn Å⁻² (n,), ⟨b⟩ in fm.

    Example
    -------
    >>> import math
    >>> from pdfkit.transforms import G_to_T
    >>> print(G_to_T(2.0, -4 * math.pi * 2.0 * 0.05, rho0=0.05, b_mean=10.0))  # no atoms: T = 0
    0.0
    """
    return np.asarray(_BARN * b_mean**2 * (G + 4 * math.pi * r * _density(rho0)))


def keen_G_to_G(r: Array, G_K: Array, rho0: float, b_mean: float) -> Array:
    """Return G(r) = 4πrρ₀ G_K(r)/⟨b⟩² in Å⁻² (n,) from Keen's G(r) in barn, ⟨b⟩ in fm.

    Example
    -------
    >>> from pdfkit.transforms import keen_G_to_G
    >>> print(keen_G_to_G(2.0, -1.0, rho0=0.05, b_mean=10.0).round(4))  # −⟨b⟩²: no atoms, −4πrρ₀
    -1.2566
    """
    return np.asarray(4 * math.pi * r * _density(rho0) * G_K / (_BARN * b_mean**2))


def D_to_G(D: Array, b_mean: float) -> Array:
    """Return G(r) = D(r)/⟨b⟩² in Å⁻² (n,) from Keen's D(r) in barn Å⁻², ⟨b⟩ in fm.

    Example
    -------
    >>> from pdfkit.transforms import D_to_G
    >>> print(D_to_G(2.0, b_mean=10.0))
    2.0
    """
    return np.asarray(D / (_BARN * b_mean**2))


def T_to_G(r: Array, T: Array, rho0: float, b_mean: float) -> Array:
    """Return G(r) = T(r)/⟨b⟩² − 4πrρ₀ in Å⁻² (n,) from Keen's T(r) in barn Å⁻², ⟨b⟩ in fm.

    Example
    -------
    >>> from pdfkit.transforms import T_to_G
    >>> print(T_to_G(2.0, 0.0, rho0=0.05, b_mean=10.0).round(4))  # no atoms: −4πrρ₀
    -1.2566
    """
    return np.asarray(T / (_BARN * b_mean**2) - 4 * math.pi * r * _density(rho0))


def S_to_keen_F(S: Array, b_mean: float) -> Array:
    """Return Keen's F(Q) = ⟨b⟩²[S(Q) − 1] in barn (n,), ⟨b⟩ in fm.

    Example
    -------
    >>> from pdfkit.transforms import S_to_keen_F
    >>> print(S_to_keen_F(1.5, b_mean=10.0))
    0.5
    """
    return np.asarray(_BARN * b_mean**2 * (S - 1.0))


def keen_F_to_S(F_K: Array, b_mean: float) -> Array:
    """Return S(Q) = 1 + F_K(Q)/⟨b⟩² (n,) from Keen's F(Q) in barn, ⟨b⟩ in fm.

    Example
    -------
    >>> from pdfkit.transforms import keen_F_to_S
    >>> print(keen_F_to_S(0.5, b_mean=10.0))
    1.5
    """
    return np.asarray(1.0 + F_K / (_BARN * b_mean**2))


def S_to_AL(S: Array, f2_mean: Array | float, f_mean: Array | float) -> Array:
    """Return the Ashcroft–Langreth total S_AL(Q) = I/⟨f²⟩ = 1 + (⟨f⟩²/⟨f²⟩)[S(Q) − 1] (n,).

    Example
    -------
    >>> from pdfkit.transforms import S_to_AL
    >>> print(S_to_AL(1.5, f2_mean=1280.0, f_mean=32.0))  # 1 + (32²/1280)·0.5
    1.4
    """
    return np.asarray(1.0 + np.square(f_mean) / f2_mean * (S - 1.0))


def AL_to_S(S_AL: Array, f2_mean: Array | float, f_mean: Array | float) -> Array:
    """Return the Faber–Ziman S(Q) = 1 + (⟨f²⟩/⟨f⟩²)[S_AL(Q) − 1] (n,).

    Example
    -------
    >>> from pdfkit.transforms import AL_to_S
    >>> print(AL_to_S(1.4, f2_mean=1280.0, f_mean=32.0).round(6))
    1.5
    """
    return np.asarray(1.0 + f2_mean / np.square(f_mean) * (S_AL - 1.0))


def partial_to_AL(S_ab: Array, c_a: float, c_b: float, same: bool) -> Array:
    """Return S_ab^AL = δ_ab + √(c_a c_b)[S_ab(Q) − 1] (n,); c: fractions of atoms, `same`: a and b are one species.

    Example
    -------
    >>> from pdfkit.transforms import partial_to_AL
    >>> print(partial_to_AL(3.0, 0.5, 0.5, same=True), partial_to_AL(3.0, 0.5, 0.5, same=False))
    2.0 1.0
    """
    return np.asarray(float(same) + _root(c_a, c_b) * (S_ab - 1.0))


def AL_to_partial(S_AL: Array, c_a: float, c_b: float, same: bool) -> Array:
    """Return the Faber–Ziman partial S_ab = 1 + [S_ab^AL(Q) − δ_ab]/√(c_a c_b) (n,).

    Example
    -------
    >>> from pdfkit.transforms import AL_to_partial
    >>> print(AL_to_partial(2.0, 0.5, 0.5, same=True), AL_to_partial(1.0, 0.5, 0.5, same=False))
    3.0 3.0
    """
    return np.asarray(1.0 + (S_AL - float(same)) / _root(c_a, c_b))


def _root(c_a: float, c_b: float) -> float:
    a = _checks.number("c_a", c_a, low=0.0, high=1.0, open_low=True)
    return math.sqrt(a * _checks.number("c_b", c_b, low=0.0, high=1.0, open_low=True))


def _density(rho0: float) -> float:
    return _checks.number("rho0", rho0, low=0.0, open_low=True)


def _ratio(a: Array, b: Array) -> Array:
    """Return a/b, NaN where b = 0."""
    a, b = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    return np.asarray(np.divide(a, b, out=np.full(a.shape, np.nan), where=b != 0))


def window(name: str, Q: Array, qmax: float, width: float | None = None) -> Array:
    """Return the modification function M(Q) (n,): 1 at Q = 0, 0 beyond `qmax` (Å⁻¹).

    | name | M(Q), x = Q/Qmax | source |
    |---|---|---|
    | none | 1 | sharp cut |
    | lorch | sin(πx)/(πx), 0 at Qmax | Lorch, J. Phys. C 2, 229 (1969) |
    | lorch-unscaled | sin(x)/x, still 0.84 at Qmax | the same printed without π |
    | lorch-soper | 3[sin y − y cos y]/y³, y = Q·width | Soper & Barney, J. Appl. Cryst. 44, 714 (2011) |
    | hann | [1 + cos(πx)]/2 | |
    | welch | 1 − x² | |
    | gaussian | exp[−(Q·width)²/2] | |

    `width` (Å) belongs to lorch-soper (default 4.4934/Qmax, the first zero of M at Qmax) and gaussian
    (default π/Qmax).

    Raises PdfkitError for an unknown name, a qmax that is not positive (inf only with "none"), or a width
    that the window does not take.

    Example
    -------
    >>> from pdfkit.transforms import window
    >>> for name in ("none", "lorch", "welch"):
    ...     print(name, window(name, [0, 10, 20, 25], qmax=20).round(3).tolist())
    none [1.0, 1.0, 1.0, 0.0]
    lorch [1.0, 0.637, 0.0, 0.0]
    welch [1.0, 0.75, 0.0, 0.0]
    """
    name = _checks.choice("window", name, WINDOWS)
    qmax = _checks.number("qmax", qmax, low=0.0, open_low=True, finite=name != "none")
    if width is not None:
        if name not in ("lorch-soper", "gaussian"):
            raise PdfkitError(f"window {name!r} has no width: leave window_width out, or take lorch-soper or gaussian")
        width = _checks.number("window_width", width, low=0.0, open_low=True)
    Q = np.abs(np.asarray(Q, dtype=np.float64))
    return np.where(qmax * (1 + 1e-12) >= Q, _modification(name, Q, qmax, width), 0.0)


def _modification(name: str, Q: Array, qmax: float, width: float | None) -> Array:
    x = Q / qmax
    if name == "lorch":
        return np.asarray(np.sinc(x))
    if name == "lorch-unscaled":
        return np.asarray(np.sinc(x / math.pi))
    if name == "lorch-soper":
        return _ball(Q * (width or _SOPER / qmax))
    if name == "hann":
        return np.asarray(0.5 + 0.5 * np.cos(math.pi * x))
    if name == "welch":
        return np.asarray(1.0 - x**2)
    if name == "gaussian":
        return np.asarray(np.exp(-0.5 * (Q * (width or math.pi / qmax)) ** 2))
    return np.ones_like(x)


def _ball(y: Array) -> Array:
    """Return 3[sin y − y cos y]/y³, by its series where the closed form loses digits."""
    small = y < 0.3
    z = np.where(small, 1.0, y)
    y2 = np.where(small, y, 0.0) ** 2
    series = 1 - y2 / 10 * (1 - y2 / 28 * (1 - y2 / 54 * (1 - y2 / 88 * (1 - y2 / 130))))
    return np.where(small, series, 3 * (np.sin(z) - z * np.cos(z)) / z**3)


def sine_transform(Q: Array, F: Array, r: Array) -> Array:
    """Return G(r) = (2/π)∫F(Q) sin(Qr) dQ (nr,), Å⁻², from samples F (nQ,), Å⁻¹, on increasing `Q` (Å⁻¹).

    Multiply F by `window` first for a modified transform. Trapezoidal sums, which for a smooth F are exact to
    rounding inside r < π/ΔQ, plus the end terms of a sharp cut: F(Q) cos(Qr)[1/r − (ΔQ/2)cot(rΔQ/2)] at both
    ends (and wherever the step changes by more than 1 %). They make a constant F exact at every r; what is
    left of an end error is (2/π)(ΔQ²/12)F′(Qmax). On matching grids (Q = kΔQ, r = jπ/(NΔQ)) the inverse
    returns F, if F is 0 at the end.

    Raises PdfkitError when r goes beyond π/ΔQ: no samples with that step determine G there; or when it would take
    longer than `PDFKIT_SECONDS` (600) by an estimate.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.transforms import sine_transform
    >>> Q = np.arange(0, 20.005, 0.01)
    >>> G = sine_transform(Q, np.sin(2.5 * Q), np.array([2.5]))
    >>> print(f"{G[0]:.3f}, exactly {2 / np.pi * (10 - np.sin(100) / 10):.3f}")
    6.398, exactly 6.398
    """
    Q, r = _checks.grid("Q", Q), _checks.array("r", r)
    return 2 / math.pi * _sine_integral(Q, _samples("F", F, Q.size), r, ("Q", "r"))


def inverse_sine_transform(r: Array, G: Array, Q: Array) -> Array:
    """Return F(Q) = ∫G(r) sin(Qr) dr (nQ,), Å⁻¹, from samples G (nr,), Å⁻², on increasing `r` (Å).

    The integral runs over the r given: what lies outside is taken as 0. Accuracy as for `sine_transform`.

    Raises PdfkitError when Q goes beyond π/Δr.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.transforms import inverse_sine_transform, sine_transform
    >>> Q = np.linspace(0, 20, 401)
    >>> r = np.arange(400) * np.pi / 20
    >>> F = Q * np.exp(-Q)
    >>> bool(abs(inverse_sine_transform(r, sine_transform(Q, F, r), Q) - F).max() < 1e-5)
    True
    """
    r, Q = _checks.grid("r", r), _checks.array("Q", Q)
    return _sine_integral(r, _samples("G", G, r.size), Q, ("r", "Q"))


def _samples(name: str, value: Array, size: int) -> Array:
    out = _checks.array(name, value)
    if out.size != size:
        raise PdfkitError(f"{name} has {out.size} points for a grid of {size}: they must match")
    return out


def _sine_integral(x: Array, f: Array, y: Array, names: tuple[str, str]) -> Array:
    """Return ∫f(x) sin(xy) dx (ny,): trapezoids and the end terms of `sine_transform`."""
    step = np.diff(x)
    reach, limit = float(np.abs(y).max(initial=0.0)), math.pi / float(step.max())
    if reach > limit * (1 + 1e-6):
        raise PdfkitError(
            f"{names[1]} = {reach:g} is beyond π/step = {limit:g}: steps of {step.max():g} in {names[0]} "
            f"do not determine it; stop {names[1]} there, or give {names[0]} more finely"
        )
    out = phase_sum(x, _trapezoids(x) * f, y).imag
    left, right = np.concatenate([[0.0], step]), np.concatenate([step, [0.0]])
    ends = np.flatnonzero((np.abs(right - left) > 0.01 * np.maximum(left, right)) & (f != 0))
    what = f"a transform of {x.size} points, whose steps change at {ends.size}, onto {y.size}"
    _budget.need_time(_END_SECONDS * ends.size * y.size, what, f"give {names[0]} in equal steps")
    for i in ends:
        out += f[i] * np.cos(x[i] * y) * (_end_term(right[i], y) - _end_term(left[i], y))
    return np.asarray(out)


def _trapezoids(x: Array) -> Array:
    """Return the weights of the trapezoidal rule on `x` (n,)."""
    half = np.diff(x) / 2
    return np.asarray(np.concatenate([half, [0.0]]) + np.concatenate([[0.0], half]))


def _end_term(step: float, y: Array) -> Array:
    """Return 1/y − (h/2)cot(hy/2), h the step: a trapezoidal sum of a sine lacks this at its ends."""
    z = step * y / 2
    near = np.abs(z) < 1e-3
    safe = np.where(near, 1.0, z)
    return np.asarray(step / 2 * np.where(near, z / 3 * (1 + z * z / 15), 1 / safe - 1 / np.tan(safe)))


def sq_to_pdf(
    sq: SQ,
    r: Array | None = None,
    *,
    qmin: float | None = None,
    qmax: float | None = None,
    window: str = "none",
    window_width: float | None = None,
    extrapolate: str = "none",
) -> PDF:
    """Return G(r) = (2/π)∫F(Q)M(Q) sin(Qr) dQ over qmin…qmax (Å⁻¹; default: all of Q), with dG and cov from dS.

    `r`: (nr,) Å; default 0 to 30 Å by 0.01 Å, shortened to π/ΔQ where Q is coarser than that allows. A limit
    between two samples cuts there, with F interpolated. The limits and the window go into `PDF.instrument`.

    extrapolate : F below qmin. "none": left out. "linear": F = aQ (S is constant). "quadratic": F = aQ + bQ³ (S is
    even in Q: S = 1 + a + bQ²). a and b are fitted to the first tenth of a qmin above qmin (3 and 5 points at least);
    `PDF.instrument.qmin` is then 0.

    Errors: those of S are independent, or correlated as `SQ.cov` says; what the extrapolation correlates is included,
    the end terms of a sharp cut are not. At r = 0, where G = 0 for certain, dG holds the smallest other value.

    Raises PdfkitError when a limit lies outside the data, r beyond π/ΔQ, or a choice is not known.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.transforms import sq_to_pdf
    >>> Q = np.arange(0.01, 25, 0.01)
    >>> sq = pk.SQ(Q, 1 + 4 * np.sin(2.5 * Q) / (2.5 * Q) * np.exp(-0.005 * Q**2))  # 4 neighbours at 2.5 Å
    >>> pdf = sq_to_pdf(sq, qmax=20, window="lorch")
    >>> print(f"{pdf.r[pdf.G.argmax()]:.2f} Å", pdf.instrument.qmax)
    2.50 Å 20.0
    """
    _checks.choice("extrapolate", extrapolate, EXTRAPOLATIONS)
    low = _limit("qmin", sq.Q[0] if qmin is None else qmin, sq.Q)
    high = _limit("qmax", sq.Q[-1] if qmax is None else qmax, sq.Q)
    start = low if extrapolate == "none" else 0.0
    limits: dict[str, Any] = {"qmin": start, "qmax": high, "window": window, "window_width": window_width}
    instrument = replace(sq.instrument, **limits, given=(*sq.instrument.given, *limits))
    Q, (F, *errors) = _cut(low, high, sq.Q, [sq.F, *_sq_errors.error_columns(sq)])
    variance, modes, core = _sq_errors.errors_of_F(sq, errors)
    if extrapolate != "none" and low > 0:
        below, shape, picks = _sq_errors.extrapolation(Q, extrapolate)
        variance, modes, core = _sq_errors.extended_errors(variance, modes, core, shape, picks)
        Q, F = np.concatenate([below, Q]), np.concatenate([shape @ (picks.T @ F), F])
    M = _window(window, Q, high, window_width)
    if r is None:
        r = 0.01 * np.arange(min(3000, math.floor(100 * math.pi / np.diff(Q).max())) + 1)
    r = _checks.grid("r", r)
    G = sine_transform(Q, F * M, r)
    plain = PDF(r, G, None, instrument, sq.header, sq.name, sq.composition)
    if variance is None:
        return plain
    cov = Covariance(Q, 2 / math.pi * _trapezoids(Q) * M, variance, modes, core)
    return replace(plain, dG=_sq_errors.usable(cov.sigma(r)), cov=cov)


_window = window  # `window` is also the name of an argument


def _limit(name: str, value: float, Q: Array) -> float:
    value = _checks.number(name, value, low=0.0)
    # Samples seldom fall on the limit that was asked for: up to a step beyond the last, the last is meant.
    if not Q[0] - 1.01 * (Q[1] - Q[0]) <= value <= Q[-1] + 1.01 * (Q[-1] - Q[-2]):
        raise PdfkitError(f"{name} = {value:g} is outside the data, Q = {Q[0]:g} to {Q[-1]:g} Å⁻¹: stay within them")
    return float(np.clip(value, Q[0], Q[-1]))


def _cut(low: float, high: float, Q: Array, columns: list[Array]) -> tuple[Array, list[Array]]:
    """Return Q from `low` to `high`, both ends included, and the columns on it, interpolated at the ends."""
    tiny = 1e-6 * (Q[-1] - Q[0]) / Q.size
    inside = Q[(low + tiny < Q) & (high - tiny > Q)]
    nodes = np.concatenate([[low], inside, [high]])
    return nodes, [np.interp(nodes, Q, column) for column in columns]


def pdf_to_sq(pdf: PDF, Q: Array, rho0: float | None = None) -> SQ:
    """Return S(Q) = 1 + (1/Q)∫G(r) sin(Qr) dr on `Q` ((nQ,) Å⁻¹, increasing) from a G(r) from r = 0.

    With `rho0` (Å⁻³) the part below the first r is filled with G = −4πrρ₀, as it is where no two atoms are.
    S at Q = 0 is the limit 1 + ∫rG dr. Beyond the last r, G is taken as 0: S is smoothed over π/rmax.

    Raises PdfkitError when r begins above one step without `rho0`, or Q goes beyond π/Δr.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.transforms import pdf_to_sq
    >>> r = np.arange(0, 5, 0.01)
    >>> G = 4 / 2.5 * np.exp(-(((r - 2.5) / 0.1) ** 2) / 2) / (0.1 * np.sqrt(2 * np.pi))  # 4 neighbours at 2.5 Å
    >>> print(pdf_to_sq(pk.PDF(r, G), np.pi / 2.5 * np.array([0.5, 1.0])).S.round(3))  # 1 + 4 sin(Qd)/(Qd)·exp(−σ²Q²/2)
    [3.541 1.   ]
    """
    r, G = pdf.r, pdf.G
    step = r[1] - r[0]
    if rho0 is not None and r[0] > 0:
        # Counted down from the first r, so that a uniform grid stays uniform.
        count = max(1, round(r[0] / step))
        _budget.need(60.0 * count, f"G(r) from 0 to {r[0]:g} Å in steps of {step:.3g} Å", "begin the data nearer to 0")
        low = r[0] * np.arange(count) / count
        r, G = np.concatenate([low, r]), np.concatenate([-4 * math.pi * _density(rho0) * low, G])
    elif r[0] > 0:
        if r[0] > 1.001 * step:
            raise PdfkitError(f"G(r) begins at r = {r[0]:g} Å: give rho0 to fill the part below with −4πrρ₀")
        r, G = np.concatenate([[0.0], r]), np.concatenate([[0.0], G])
    elif r[0] < 0:
        raise PdfkitError(f"G(r) begins at r = {r[0]:g} Å: crop it to r ≥ 0")
    Q = _checks.grid("Q", Q)
    F = inverse_sine_transform(r, G, Q)
    S = np.where(Q == 0, 1.0 + np.sum(_trapezoids(r) * r * G), F_to_S(Q, F))
    return SQ(Q, S, None, pdf.instrument, pdf.header, pdf.name, pdf.composition)


def cut_kernel(lags: Array, qmin: float, qmax: float, weight: Callable[[Array], Array] | None = None) -> Array:
    """Return K(r) = (1/π)∫ weight(Q) cos(Qr) dQ over qmin…qmax at `lags` ((n,) Å): (n,), Å⁻¹.

    Cutting at Qmin…Qmax is the convolution of the odd extension of G with K. `weight`: a smooth function of Q
    (n,) → (n,), evaluated at the nodes of Gauss–Legendre panels short enough that K is accurate to 1e-12 of
    ∫|weight|/π; None is 1, with the closed form [sin(Qmax r) − sin(Qmin r)]/(πr).

    Raises PdfkitError unless 0 ≤ qmin < qmax < inf.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.transforms import cut_kernel
    >>> print(cut_kernel(np.pi / 20 * np.array([0, 0.5, 1.5]), qmin=0, qmax=20).round(3))  # sin(Qmax r)/(πr)
    [ 6.366  4.053 -1.351]
    """
    lags = _checks.array("lags", lags)
    qmin = _checks.number("qmin", qmin, low=0.0)
    qmax = _checks.number("qmax", qmax, low=qmin, open_low=True)
    if weight is None:
        high, low = (q / math.pi * np.sinc(q * lags / math.pi) for q in (qmax, qmin))
        return np.asarray(high - low)
    # 32 nodes integrate cos over a phase of ±20 rad to rounding; 16 panels leave room for the weight itself.
    span = qmax - qmin
    panels = max(16, math.ceil(float(np.abs(lags).max(initial=0.0)) * span / 40))
    _budget.need(2000.0 * panels, f"a kernel up to {np.abs(lags).max(initial=0.0):g} Å", "lower rmax or qmax")
    node, factor = np.polynomial.legendre.leggauss(32)
    half = span / (2 * panels)
    centre = qmin + half * (2 * np.arange(panels) + 1)
    Q = (centre[:, None] + half * node).ravel()
    return phase_sum(Q, np.tile(half * factor, panels) * weight(Q), lags).real / math.pi
