"""Every function of total scattering, and how one becomes another: the table is at the head of `pdfkit.transforms`."""

from __future__ import annotations

import math

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.transforms.sine import phase_sum as phase_sum
from pdfkit.transforms.sine import smooth_sine_sums as smooth_sine_sums

BARN = 0.01  # barn in one fm²


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
    return 1.0 + _ratio(G, 4 * math.pi * density(rho0) * r)


def g_to_G(r: Array, g: Array, rho0: float) -> Array:
    """Return G(r) = 4πrρ₀[g(r) − 1] in Å⁻² (n,).

    Example
    -------
    >>> from pdfkit.transforms import g_to_G
    >>> print(g_to_G(2.0, 3.0, rho0=0.05).round(4))  # 4π·2·0.05·(3 − 1)
    2.5133
    """
    return np.asarray(4 * math.pi * density(rho0) * r * (g - 1.0))


def G_to_R(r: Array, G: Array, rho0: float, gamma0: Array | float = 1.0) -> Array:
    """Return R(r) = rG(r) + 4πr²ρ₀γ₀(r) in Å⁻¹ (n,); its integral over a peak is a coordination number.

    Example
    -------
    >>> from pdfkit.transforms import G_to_R
    >>> print(G_to_R(2.0, 0.0, rho0=0.05).round(4))  # no structure: 4πr²ρ₀
    2.5133
    """
    return np.asarray(r * G + 4 * math.pi * r**2 * density(rho0) * gamma0)


def R_to_G(r: Array, R: Array, rho0: float, gamma0: Array | float = 1.0) -> Array:
    """Return G(r) = R(r)/r − 4πrρ₀γ₀(r) in Å⁻² (n,); NaN at r = 0.

    Example
    -------
    >>> from pdfkit.transforms import G_to_R, R_to_G
    >>> print(R_to_G(2.0, G_to_R(2.0, 1.5, rho0=0.05), rho0=0.05).round(6))
    1.5
    """
    return _ratio(R, r) - 4 * math.pi * r * density(rho0) * gamma0


def G_to_keen_G(r: Array, G: Array, rho0: float, b_mean: float) -> Array:
    """Return Keen's G(r) = ⟨b⟩²[g(r) − 1] in barn (n,), ⟨b⟩ in fm; NaN at r = 0.

    Example
    -------
    >>> import math
    >>> from pdfkit.transforms import G_to_keen_G
    >>> print(G_to_keen_G(2.0, -4 * math.pi * 2.0 * 0.05, rho0=0.05, b_mean=10.0).round(6))  # no atoms: −⟨b⟩²
    -1.0
    """
    return BARN * b_mean**2 * _ratio(G, 4 * math.pi * density(rho0) * r)


def G_to_D(G: Array, b_mean: float) -> Array:
    """Return Keen's D(r) = ⟨b⟩² G(r) in barn Å⁻² (n,), ⟨b⟩ in fm.

    Example
    -------
    >>> from pdfkit.transforms import G_to_D
    >>> print(G_to_D(2.0, b_mean=10.0))  # ⟨b⟩² = 100 fm² = 1 barn
    2.0
    """
    return np.asarray(BARN * b_mean**2 * G)


def G_to_T(r: Array, G: Array, rho0: float, b_mean: float) -> Array:
    """Return Keen's T(r) = D(r) + 4πrρ₀⟨b⟩² in barn Å⁻² (n,), ⟨b⟩ in fm.

    Example
    -------
    >>> import math
    >>> from pdfkit.transforms import G_to_T
    >>> print(G_to_T(2.0, -4 * math.pi * 2.0 * 0.05, rho0=0.05, b_mean=10.0))  # no atoms: T = 0
    0.0
    """
    return np.asarray(BARN * b_mean**2 * (G + 4 * math.pi * r * density(rho0)))


def keen_G_to_G(r: Array, G_K: Array, rho0: float, b_mean: float) -> Array:
    """Return G(r) = 4πrρ₀ G_K(r)/⟨b⟩² in Å⁻² (n,) from Keen's G(r) in barn, ⟨b⟩ in fm.

    Example
    -------
    >>> from pdfkit.transforms import keen_G_to_G
    >>> print(keen_G_to_G(2.0, -1.0, rho0=0.05, b_mean=10.0).round(4))  # −⟨b⟩²: no atoms, −4πrρ₀
    -1.2566
    """
    return np.asarray(4 * math.pi * r * density(rho0) * G_K / (BARN * b_mean**2))


def D_to_G(D: Array, b_mean: float) -> Array:
    """Return G(r) = D(r)/⟨b⟩² in Å⁻² (n,) from Keen's D(r) in barn Å⁻², ⟨b⟩ in fm.

    Example
    -------
    >>> from pdfkit.transforms import D_to_G
    >>> print(D_to_G(2.0, b_mean=10.0))
    2.0
    """
    return np.asarray(D / (BARN * b_mean**2))


def T_to_G(r: Array, T: Array, rho0: float, b_mean: float) -> Array:
    """Return G(r) = T(r)/⟨b⟩² − 4πrρ₀ in Å⁻² (n,) from Keen's T(r) in barn Å⁻², ⟨b⟩ in fm.

    Example
    -------
    >>> from pdfkit.transforms import T_to_G
    >>> print(T_to_G(2.0, 0.0, rho0=0.05, b_mean=10.0).round(4))  # no atoms: −4πrρ₀
    -1.2566
    """
    return np.asarray(T / (BARN * b_mean**2) - 4 * math.pi * r * density(rho0))


def S_to_keen_F(S: Array, b_mean: float) -> Array:
    """Return Keen's F(Q) = ⟨b⟩²[S(Q) − 1] in barn (n,), ⟨b⟩ in fm.

    Example
    -------
    >>> from pdfkit.transforms import S_to_keen_F
    >>> print(S_to_keen_F(1.5, b_mean=10.0))
    0.5
    """
    return np.asarray(BARN * b_mean**2 * (S - 1.0))


def keen_F_to_S(F_K: Array, b_mean: float) -> Array:
    """Return S(Q) = 1 + F_K(Q)/⟨b⟩² (n,) from Keen's F(Q) in barn, ⟨b⟩ in fm.

    Example
    -------
    >>> from pdfkit.transforms import keen_F_to_S
    >>> print(keen_F_to_S(0.5, b_mean=10.0))
    1.5
    """
    return np.asarray(1.0 + F_K / (BARN * b_mean**2))


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


def density(rho0: float) -> float:
    """Return ρ₀, checked: more than 0 Å⁻³."""
    return _checks.number("rho0", rho0, low=0.0, open_low=True)


def _ratio(a: Array, b: Array) -> Array:
    """Return a/b, NaN where b = 0."""
    a, b = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    return np.asarray(np.divide(a, b, out=np.full(a.shape, np.nan), where=b != 0))
