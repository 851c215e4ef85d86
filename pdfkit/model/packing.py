"""Structure factors of particles that lie close to each other: S(Q), by which small-angle scattering is multiplied.

| packing | S(Q) | parameters |
|---|---|---|
| hard spheres | 1/[1 + 24φ G(2QR)/(2QR)] of Percus and Yevick, Phys. Rev. 110, 1 (1958) | radius R, volume fraction φ |
| hexagonal | columns side by side: 1 + e^{−Q²u²}(Z − 1), Z = 2π/(AQ)·Σ m_hk g(Q − q_hk) | d, disorder u, domain L |

q_hk = (2π/d)√(h² + hk + k²), A = 2d²/√3 the area of a column, m_hk how many reflections share a q, g Gaussians of full
width 2π/L. Z is the average over directions in the plane and tends to 1. S multiplies I of one particle: exact for
particles whose orientation does not follow their neighbours', of one size.

Derivatives are those of a complex step, which subtracts nothing: they have all digits of S itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pdfkit._checks import Array

_STEP = 1e-30
_SMALL = 0.3
"""Below this 2QR, G/A is taken from its series: the closed form loses digits as (2QR)⁻⁶."""
_TERMS = 12
_ORDER = 12
"""Largest h + k of reflections."""


def with_slopes(S: Callable[..., Any], Q: Array, values: Sequence[float]) -> tuple[Array, Array]:
    """Return S (nQ,) and its derivatives (n, nQ) along its n parameters."""
    found = np.asarray(S(Q, *values), dtype=np.float64)
    slopes = np.zeros((len(values), Q.size))
    for k in range(len(values)):
        moved = [complex(value, _STEP * (i == k)) for i, value in enumerate(values)]
        slopes[k] = np.imag(S(Q, *moved)) / _STEP
    return found, slopes


def hard_spheres(Q: Array, radius: Any, fraction: Any) -> Any:
    """Return S(Q) (nQ,) of hard spheres by Percus and Yevick. radius : Å. fraction : of the volume, below 0.6.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.model.packing import hard_spheres
    >>> phi = 0.3
    >>> bool(np.isclose(hard_spheres(np.zeros(1), 10.0, phi)[0], (1 - phi) ** 4 / (1 + 2 * phi) ** 2))
    True
    """
    A = 2.0 * Q * radius
    below = (1.0 - fraction) ** 4
    a = (1.0 + 2.0 * fraction) ** 2 / below
    b = -6.0 * fraction * (1.0 + fraction / 2.0) ** 2 / below
    c = fraction * a / 2.0
    small = np.abs(np.real(A)) < _SMALL
    far = np.where(small, 1.0, A)
    sin, cos = np.sin(far), np.cos(far)
    first = (sin - far * cos) / far**3
    second = (2.0 * far * sin + (2.0 - far**2) * cos - 2.0) / far**4
    third = (-(far**4) * cos + 4.0 * ((3.0 * far**2 - 6.0) * cos + (far**3 - 6.0 * far) * sin + 6.0)) / far**6
    closed = a * first + b * second + c * third
    return 1.0 / (1.0 + 24.0 * fraction * np.where(small, _series(np.where(small, A, 0.0), a, b, c), closed))


def _series(A: Any, a: Any, b: Any, c: Any) -> Any:
    """Return G/A = ∫₀¹ (a + bx + cx³) x² sin(Ax)/(Ax) dx by powers of A."""
    out = 0.0 * A
    for n in range(_TERMS):
        term = (-1) ** n * A ** (2 * n) / math.factorial(2 * n + 1)
        out = out + term * (a / (2 * n + 3) + b / (2 * n + 4) + c / (2 * n + 6))
    return out


def hexagonal(Q: Array, spacing: Any, disorder: Any, domain: Any) -> Any:
    """Return S(Q) (nQ,) of columns side by side. spacing : d₁₀, Å. disorder : u, Å. domain : L, Å.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.model.packing import hexagonal
    >>> Q = np.linspace(0.1, 1.0, 2000)
    >>> print(f"{Q[hexagonal(Q, 20.5, 1.0, 200.0).argmax()] * 20.5 / (2 * np.pi):.2f}")  # the first reflection, 10
    1.00
    """
    width = 2.0 * math.pi / domain / math.sqrt(8.0 * math.log(2.0))
    total = 0.0 * Q * spacing
    for square, many in _reflections().items():
        at = 2.0 * math.pi / spacing * math.sqrt(square)
        total = total + many * np.exp(-0.5 * ((Q - at) / width) ** 2)
    area = 2.0 * spacing**2 / math.sqrt(3.0)
    Z = 2.0 * math.pi / (area * Q) * total / (width * math.sqrt(2.0 * math.pi))
    return 1.0 + np.exp(-((Q * disorder) ** 2)) * (Z - 1.0)


def _reflections() -> dict[int, int]:
    """Return how many reflections share each h² + hk + k², as far as all of them are known."""
    out: dict[int, int] = {}
    for h in range(-_ORDER, _ORDER + 1):
        for k in range(-_ORDER, _ORDER + 1):
            square = h * h + h * k + k * k
            if 0 < square <= 0.75 * _ORDER**2:
                out[square] = out.get(square, 0) + 1
    return out
