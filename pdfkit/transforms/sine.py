"""The sine transform between Q and r, modification functions, and the sums of phases that both are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pdfkit import _checks, _machine
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    pass


# --- Sums of many phases ---------------------------------------------------------------------------------------------

# Measured, s: a phase of a uniform y, and one of any other.
_UNIFORM_SECONDS, _PHASE_SECONDS = 1e-9, 5e-8

_BLOCK = 400_000  # complex numbers in one table of phases: 6 MB, three at a time; eight are kept


def phase_sum(x: Array, c: Array, y: Array) -> NDArray[np.complex128]:
    """Return Σ_k c_k exp(i x_k y_j) (ny,) for real x, c (nx,) and y (ny,).

    On a uniform y each exponential is a product of two from tables of about √ny rows, so the sum is a matrix
    product and few exponentials are taken; its error is that of the direct sum, the rounding of x·y. Memory
    below 20 MB. Raises PdfkitError when it would take too long.
    """
    x = np.ascontiguousarray(x, dtype=np.float64)
    starts, offsets = _two_steps(x, y)
    each = _UNIFORM_SECONDS if offsets.size > 1 else _PHASE_SECONDS
    what = f"a transform of {x.size} points onto {np.size(y)}"
    _machine.need_time(each * x.size * np.size(y), what, "give fewer points, or points with equal steps")
    if x.size * max(starts.size, offsets.size) <= _BLOCK:
        # Series of patterns share Q and r: their tables are made once.
        coarse, fine = (_kept_phases(x.tobytes(), part.tobytes()) for part in (starts, offsets))
        return np.asarray(((coarse * c) @ fine.T).ravel()[: np.size(y)])
    out = np.zeros((starts.size, offsets.size), dtype=np.complex128)
    columns = max(1, _BLOCK // max(starts.size, offsets.size))
    for k in range(0, x.size, columns):
        part = slice(k, k + columns)
        out += (_phases(x[part], starts) * c[part]) @ _phases(x[part], offsets).T
    return np.asarray(out.ravel()[: np.size(y)])


def _two_steps(x: Array, y: Array) -> tuple[Array, Array]:
    """Return starts and offsets with y = starts + offsets, row by row; one offset, 0, when y is not uniform."""
    y = np.asarray(y, dtype=np.float64)
    inner = _uniform_block(y, float(np.abs(x).max(initial=0.0)))
    offsets = (y[-1] - y[0]) / (y.size - 1) * np.arange(inner) if inner > 1 else np.zeros(1)
    return y[::inner], offsets


@lru_cache(maxsize=8)
def _kept_phases(x: bytes, y: bytes) -> NDArray[np.complex128]:
    out = _phases(np.frombuffer(x), np.frombuffer(y))
    out.setflags(write=False)
    return out


def _phases(x: Array, y: Array) -> NDArray[np.complex128]:
    """Return exp(i x_k y_j) (ny, nx); on a uniform y by doubling: the first row and log₂ny powers of one step."""
    if y.size < 4 or np.abs(np.diff(y, 2)).max() * np.abs(x).max(initial=0.0) > 1e-13:
        return np.asarray(np.exp(1j * np.outer(y, x)), dtype=np.complex128)
    out = np.empty((y.size, x.size), dtype=np.complex128)
    out[0] = np.exp(1j * y[0] * x)
    k = 1
    while k < y.size:
        more = min(k, y.size - k)
        out[k : k + more] = out[:more] * np.exp(1j * (y[k] - y[0]) * x)
        k *= 2
    return out


def _uniform_block(y: Array, reach: float) -> int:
    """Return how many points of `y` share one start (about √n), or 1 if y is not uniform to rounding."""
    if y.size < 3:
        return 1
    inner = math.isqrt(y.size)
    k = np.arange(y.size)
    model = y[k - k % inner] + k % inner * ((y[-1] - y[0]) / (y.size - 1))
    allowed = max(1e-12, 8 * np.finfo(float).eps * float(np.abs(y).max()) * reach)
    return inner if float(np.abs(model - y).max()) * reach <= allowed else 1


def sine_sums(x: Array, columns: Array, y: Array) -> Array:
    """Return Σ_k columns_kp sin(x_k y_j) (p, ny) for x (nx,), columns (nx, p), y (ny,), exactly as `phase_sum`."""
    return np.array([phase_sum(x, column, y).imag for column in columns.T]).reshape(columns.shape[1], np.size(y))


def smooth_sine_sums(x: Array, columns: Array, y: Array) -> Array:
    """Return `sine_sums` (p, ny) to 1e-5 of Σ|column|, for many columns at once; x and y must not be negative.

    sin(x·y) is interpolated in x by eight-point Lagrange polynomials from nodes 0.4/y_max apart (7e-7), the sums over
    nodes are one FFT per column, and quintic splines with ten points per wave of sin(x_max·y) lead to y.
    """
    from scipy import fft, sparse
    from scipy.interpolate import make_interp_spline

    if np.size(y) < 500:
        return sine_sums(x, columns, y)
    h = 0.4 / float(np.max(y))
    first = np.floor(x / h).astype(np.int64) - 3
    size = int(first[-1]) + 12
    at = x / h - first  # in 3…4 of the nodes 0…7
    nodes = range(8)
    weight = np.stack([np.prod([(at - m) / (j - m) for m in nodes if m != j], axis=0) for j in nodes])
    _machine.need(200.0 * size * columns.shape[1], f"errors of G(r) up to {np.max(y):g} Å", "give a lower rmax")
    where = (first + np.arange(8)[:, None] + 4).ravel()
    spread = sparse.csr_matrix((weight.ravel(), (where, np.tile(np.arange(x.size), 8))), shape=(size + 4, x.size))
    grid = spread @ columns
    # Nodes left of 0: sin is odd.
    grid[5:8] -= grid[3:0:-1]
    length = fft.next_fast_len(math.ceil(10 * float(x[-1]) / h), real=True)
    count = math.ceil(float(np.max(y)) * length * h / (2 * math.pi)) + 8
    sums = -fft.rfft(grid[4:].T, length).imag[:, :count]
    coarse = 2 * math.pi / (length * h) * np.arange(-6, count)
    odd = np.concatenate([-sums[:, 6:0:-1], sums], axis=1)
    return np.asarray(make_interp_spline(coarse, odd.T, k=5)(y).T)


# --- What is measured and calculated ---------------------------------------------------------------------------------

WINDOWS = ("none", "lorch", "lorch-unscaled", "lorch-soper", "hann", "welch", "gaussian")


# --- Every function of total scattering ------------------------------------------------------------------------------

_END_SECONDS = 3e-8  # measured: the end terms of one change of step at one point

_SOPER = 4.493409457909064  # first zero of sin x − x cos x


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
            f"do not determine it; stop {names[1]} there, or give {names[0]} in smaller steps"
        )
    left, right = np.concatenate([[0.0], step]), np.concatenate([step, [0.0]])
    ends = np.flatnonzero((np.abs(right - left) > 0.01 * np.maximum(left, right)) & (f != 0))
    what = f"a transform of {x.size} points, whose steps change at {ends.size}, onto {y.size}"
    _machine.need_time(_END_SECONDS * ends.size * y.size, what, f"give {names[0]} in equal steps")
    out = phase_sum(x, trapezoids(x) * f, y).imag
    for i in ends:
        out += f[i] * np.cos(x[i] * y) * (_end_term(right[i], y) - _end_term(left[i], y))
    return np.asarray(out)


def trapezoids(x: Array) -> Array:
    """Return the weights of the trapezoidal rule on `x` (n,)."""
    half = np.diff(x) / 2
    return np.asarray(np.concatenate([half, [0.0]]) + np.concatenate([[0.0], half]))


def _end_term(step: float, y: Array) -> Array:
    """Return 1/y − (h/2)cot(hy/2), h the step: a trapezoidal sum of a sine lacks this at its ends."""
    z = step * y / 2
    near = np.abs(z) < 1e-3
    safe = np.where(near, 1.0, z)
    return np.asarray(step / 2 * np.where(near, z / 3 * (1 + z * z / 15), 1 / safe - 1 / np.tan(safe)))


def cut_kernel(
    lags: Array, qmin: float, qmax: float, weight: Callable[[Array], Array] | None = None, *, odd: bool = False
) -> Array:
    """Return K(r) = (1/π)∫ weight(Q) cos(Qr) dQ over qmin…qmax at `lags` ((n,) Å): (n,), Å⁻¹.

    Cutting at Qmin…Qmax is the convolution of the odd extension of G with K. `weight`: a smooth function of Q
    (n,) → (n,), evaluated at the nodes of Gauss–Legendre panels short enough that K is accurate to 1e-12 of
    ∫|weight|/π; None is 1, with the closed form [sin(Qmax r) − sin(Qmin r)]/(πr). odd : sin(Qr) in place of cos(Qr).

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
        if odd:  # (1 − cos x)/x = x/2·sinc²(x/2), also where x is small
            high, low = (0.5 * q * q * lags / math.pi * np.sinc(0.5 * q * lags / math.pi) ** 2 for q in (qmax, qmin))
        else:
            high, low = (q / math.pi * np.sinc(q * lags / math.pi) for q in (qmax, qmin))
        return np.asarray(high - low)
    # 32 nodes integrate cos over a phase of ±20 rad to rounding; 16 panels leave room for the weight itself.
    span = qmax - qmin
    panels = max(16, math.ceil(float(np.abs(lags).max(initial=0.0)) * span / 40))
    _machine.need(2000.0 * panels, f"a kernel up to {np.abs(lags).max(initial=0.0):g} Å", "lower rmax or qmax")
    node, factor = np.polynomial.legendre.leggauss(32)
    half = span / (2 * panels)
    centre = qmin + half * (2 * np.arange(panels) + 1)
    Q = (centre[:, None] + half * node).ravel()
    out = phase_sum(Q, np.tile(half * factor, panels) * weight(Q), lags) / math.pi
    return out.imag if odd else out.real
