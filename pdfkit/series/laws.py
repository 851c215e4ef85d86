"""Laws of a parameter along a series: how a number follows the index, with analytic derivatives.

| law | value at index t |
|---|---|
| "constant", "linear", "quadratic", "cubic" | c0 + c1·t + c2·t² + … |
| "debye" | ⟨u²⟩ = 3ħ²/(m k_B Θ)·[¼ + (t/Θ)²·∫₀^(Θ/t) x/(eˣ − 1) dx] + static |
| "einstein" | ⟨u²⟩ = ħ²/(2 m k_B Θ)·coth(Θ/2t) + static |
| "order" | amplitude·(1 − t/transition)^exponent below the transition, 0 from there on |
| any other text | arithmetic on the index, other laws and parameters of its own, by `pdfkit._expressions` |

⟨u²⟩ along one direction is what a U is. Sources: Debye, Ann. Phys. 348, 49 (1913), with the ¼ of the motion at 0 K as
in Waller, Z. Phys. 17, 398 (1923); both laws in Willis & Pryor, Thermal Vibrations in Crystallography, 1975. The static
part is disorder that no temperature takes away. The order parameter is that of a continuous transition in Landau's
sense, near it; its exponent is free.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pdfkit import _checks, _expressions
from pdfkit._checks import Array
from pdfkit.errors import ParameterError

QUANTUM = 48.508734
"""ħ²/(u·k_B) in Å²·K, u the atomic mass unit (CODATA 2018)."""
COLDEST = 1e-3
"""Share of its temperature Θ below which an atom moves as at 0 K, to 1e-5."""
HOTTEST, STIFFEST = 10.0, 5000.0
"""K, between which Debye and Einstein temperatures of solids lie."""
STATIC = 0.05
"""Å²: static displacements are no larger than that, nor is anything that other parameters feign the other way."""
EXPONENTS = (0.02, 1.5)
"""Of order parameters."""
CLOSE = 1e-9
"""1 − t/transition below which a scan is at the transition: there the slope of a power law has no end."""


class Law(ABC):
    """How a parameter follows the index t (S,) of S scans, by parameters theta (K,) of its own, called `names`."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of its parameters."""

    @abstractmethod
    def at(self, t: Array, theta: Array) -> tuple[Array, Array]:
        """Return the values (S,) and their derivatives by theta (S, K)."""

    @abstractmethod
    def starts(self, t: Array, values: Array) -> list[Array]:
        """Return parameters to start from, best guesses first, where fits of single scans gave `values` (S,)."""

    def limits(self, t: Array, low: float, high: float) -> Array:
        """Return lowest and highest parameters (K, 2) where the law's value lies between low and high."""
        return np.tile([-math.inf, math.inf], (len(self.names), 1))

    def ln_prior(self, t: Array, low: float, high: float) -> float:
        """Return ln of the density of its parameters before the data, flat between limits."""
        return -float(np.log(np.diff(self.limits(t, low, high), axis=1)).sum())


@dataclass(frozen=True)
class Polynomial(Law):
    """c0 + c1·x + … + cn·xⁿ, x = (t − centre)/unit; n = 0 is a constant that all scans share.

    Powers of t itself are all alike where the index is far from 0: fits are made about the middle (`centred`), and told
    in powers of t (`plain`). Before the data its values at n + 1 indices, spread evenly over the series, are anything
    between the limits of what follows it.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series.laws import Polynomial
    >>> values, slopes = Polynomial(1).at(np.array([100.0, 300.0]), np.array([5.43, 1e-5]))
    >>> values.round(3).tolist(), slopes.tolist()
    ([5.431, 5.433], [[1.0, 100.0], [1.0, 300.0]])
    """

    degree: int = 1
    centre: float = 0.0
    unit: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.degree <= 6:
            raise ParameterError(f"a polynomial of degree {self.degree} is no law: give 0 to 6", key="degree")

    @property
    def names(self) -> tuple[str, ...]:
        """c0, c1, …"""
        return tuple(f"c{k}" for k in range(self.degree + 1))

    def at(self, t: Array, theta: Array) -> tuple[Array, Array]:
        """Return values (S,) and their derivatives (S, K)."""
        powers = np.vander((t - self.centre) / self.unit, self.degree + 1, increasing=True)
        return powers @ theta, powers

    def centred(self, t: Array) -> Polynomial:
        """Return the same law in powers of x, −1 to 1 over the series."""
        low, high = float(t.min()), float(t.max())
        return Polynomial(self.degree, 0.5 * (low + high), 0.5 * (high - low))

    def plain(self) -> Array:
        """Return the matrix (n + 1, n + 1) that makes coefficients of powers of t of its own."""
        n = self.degree + 1
        return np.array(
            [[math.comb(k, j) * (-self.centre) ** max(k - j, 0) / self.unit**k for k in range(n)] for j in range(n)]
        )

    def starts(self, t: Array, values: Array) -> list[Array]:
        """Return the polynomial through the values."""
        powers = self.at(t, np.zeros(self.degree + 1))[1]
        size = np.linalg.norm(powers, axis=0)
        return [np.linalg.lstsq(powers / size, values, rcond=None)[0] / size]

    def ln_prior(self, t: Array, low: float, high: float) -> float:
        """Return ln of the density of the coefficients."""
        ends = (float(t.min()), float(t.max()))
        nodes = np.linspace(*ends, self.degree + 1) if self.degree else np.array([sum(ends) / 2.0])
        powers = self.at(nodes, np.zeros(self.degree + 1))[1]
        return float(np.linalg.slogdet(powers)[1]) - (self.degree + 1) * math.log(high - low)


@dataclass(frozen=True)
class _Vibration(Law):
    """U of an atom of a mass (u; None: that of the element) in a solid of one characteristic temperature (K)."""

    mass: float | None = None

    def __post_init__(self) -> None:
        if self.mass is not None:
            _checks.number("mass", self.mass)
            if not self.mass > 0:
                raise ParameterError(f"mass = {self.mass:g}: give that of an atom in u, such as 28.09", key="mass")

    @property
    def weight(self) -> float:
        """The mass; ParameterError where it is not known."""
        if self.mass is None:
            raise ParameterError('the mass of the atoms is not known: give it in u, as in {"Uiso": Debye(mass=58.7)}')
        return self.mass

    @abstractmethod
    def moving(self, t: Array, temperature: float) -> tuple[Array, Array]:
        """Return U without the static part (S,), and its derivative by the characteristic temperature (S,)."""

    def at(self, t: Array, theta: Array) -> tuple[Array, Array]:
        """Return values (S,) and their derivatives (S, 2)."""
        self._check(t)
        if not theta[0] > 0:
            raise ParameterError(f"a {self.names[0]} temperature of {theta[0]:g} K has no meaning: start above 0")
        U, slope = self.moving(np.maximum(t, COLDEST * theta[0]), float(theta[0]))
        return U + theta[1], np.column_stack([slope, np.ones(t.size)])

    def _check(self, t: Array) -> None:
        if not (t >= 0).all():
            raise ParameterError(f"a {self.names[0]} law needs temperatures in K as the index: one is {t.min():g}")

    def starts(self, t: Array, values: Array) -> list[Array]:
        """Return the temperature of the values that fits best with a static part, of 200 that are tried."""
        self._check(t)
        tried = np.geomspace(2.0 * HOTTEST, 0.5 * STIFFEST, 200)
        left = [values - self.at(t, np.array([one, 0.0]))[0] for one in tried]
        best = int(np.argmin([np.std(one) for one in left]))
        return [np.array([tried[best], float(np.clip(np.mean(left[best]), -STATIC, STATIC))])]

    def limits(self, t: Array, low: float, high: float) -> Array:
        """Return lowest and highest parameters (2, 2)."""
        return np.array([[HOTTEST, STIFFEST], [-STATIC, STATIC]])


@dataclass(frozen=True)
class Debye(_Vibration):
    """U(t) of atoms of `mass` (u) in a Debye solid, and a static part (Å²).

    U = 3ħ²/(m k_B Θ)·[¼ + (t/Θ)²·∫₀^(Θ/t) x/(eˣ − 1) dx] + static.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series.laws import Debye
    >>> Debye(mass=58.69).at(np.array([0.0, 300.0]), np.array([400.0, 0.0]))[0].round(5).tolist()  # Ni, Å²
    [0.00155, 0.00487]
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The temperature Θ (K), and the static part (Å²)."""
        return "debye", "static"

    def moving(self, t: Array, temperature: float) -> tuple[Array, Array]:
        """Return U (S,) and its derivative by the temperature (S,)."""
        from scipy.special import spence

        u, size = temperature / t, 3.0 * QUANTUM / (self.weight * temperature)
        rest = -np.expm1(-u)
        integral = u * np.log(rest) - spence(rest) + math.pi**2 / 6.0
        share = integral / u**2
        slope = np.exp(-u) / (rest * u) - 2.0 * share / u  # of share, by u
        return size * (0.25 + share), size * (slope / t - (0.25 + share) / temperature)


@dataclass(frozen=True)
class Einstein(_Vibration):
    """U(t) of oscillators of `mass` (u) and one frequency, k_B Θ/ħ, and a static part (Å²).

    U = ħ²/(2 m k_B Θ)·coth(Θ/2t) + static.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series.laws import Einstein
    >>> Einstein(mass=28.09).at(np.array([0.0, 300.0]), np.array([500.0, 0.0]))[0].round(5).tolist()  # Si, Å²
    [0.00173, 0.00253]
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The temperature Θ (K), and the static part (Å²)."""
        return "einstein", "static"

    def moving(self, t: Array, temperature: float) -> tuple[Array, Array]:
        """Return U (S,) and its derivative by the temperature (S,)."""
        size, tanh = QUANTUM / (2.0 * self.weight * temperature), np.tanh(temperature / (2.0 * t))
        return size / tanh, -size / tanh / temperature - size * (1.0 / tanh**2 - 1.0) / (2.0 * t)


@dataclass(frozen=True)
class Order(Law):
    """amplitude·(1 − t/transition)^exponent where t < transition, 0 from there on.

    Example
    -------
    >>> import numpy as np
    >>> from pdfkit.series.laws import Order
    >>> Order().at(np.array([0.0, 150.0, 210.0]), np.array([0.004, 200.0, 0.5]))[0].tolist()
    [0.004, 0.002, 0.0]
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The value at index 0 of the power law, where it ends, and its exponent."""
        return "amplitude", "transition", "exponent"

    def at(self, t: Array, theta: Array) -> tuple[Array, Array]:
        """Return values (S,) and their derivatives (S, 3)."""
        amplitude, end, exponent = theta
        below = 1.0 - t / end
        inside = below > CLOSE
        base = np.where(inside, below, 1.0)
        power = np.where(inside, base**exponent, 0.0)
        by_end = amplitude * exponent * power / base * t / end**2
        return amplitude * power, np.column_stack([power, by_end, amplitude * power * np.log(base)])

    def starts(self, t: Array, values: Array) -> list[Array]:
        """Return the power laws nearest to the values that end in each quarter of the series and beyond it.

        A scan beyond the transition cannot call it back: the late ends come first.
        """
        if not t.max() > 0:
            raise ParameterError("an order parameter is a power of 1 − t/transition: its index must go beyond 0")
        first, last = max(float(t.min()), 0.0), float(t.max())
        found = []
        for end in first + (last - first) * np.array([1.1, 0.85, 0.6, 0.35]):
            tried = [(self.at(t, np.array([1.0, end, exponent]))[0], exponent) for exponent in (0.125, 0.25, 0.5)]
            rated = [
                (float(((values - (s := shape @ values / (shape @ shape)) * shape) ** 2).sum()), s, exponent)
                for shape, exponent in tried
                if shape.any()
            ]
            found += [np.array([size, end, exponent]) for _, size, exponent in [min(rated)]] if rated else []
        return found

    def limits(self, t: Array, low: float, high: float) -> Array:
        """Return lowest and highest parameters (3, 2)."""
        span, most = float(np.ptp(t)), max(abs(low), abs(high))
        first = max(float(t.min()) - 0.25 * span, 1e-3 * float(t.max()))
        return np.array([[min(low, 0.0), most], [first, float(t.max()) + 0.5 * span], EXPONENTS])


@dataclass(frozen=True)
class Expression(Law):
    """Arithmetic on the index, on other laws and parameters, and on parameters of its own: "m*(1 + d)".

    start : name → start value of its own parameters; bounds : name → (low, high) of some of them. The index is called
    "index", and by its own name.
    """

    text: str
    start: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _expressions.parse(self.text)

    @property
    def names(self) -> tuple[str, ...]:
        """Its own parameters."""
        return tuple(self.start)

    @property
    def used(self) -> frozenset[str]:
        """All names in it."""
        return _expressions.names(self.text)

    def at(self, t: Array, theta: Array) -> tuple[Array, Array]:
        """Return values (S,) and derivatives (S, K) of one that needs nothing but the index, called "index"."""
        values, slopes = self.beside([{"index": float(one)} for one in t], theta)
        return values, np.array([[one.get(name, 0.0) for name in self.names] for one in slopes])

    def beside(self, known: list[dict[str, float]], theta: Array) -> tuple[Array, list[dict[str, float]]]:
        """Return values (S,), and the derivatives by each name, where other names have the values `known` (S)."""
        own = dict(zip(self.names, map(float, theta), strict=True))
        found = [_expressions.evaluate(self.text, {**one, **own}) for one in known]
        return np.array([value for value, _ in found]), [slopes for _, slopes in found]

    def starts(self, t: Array, values: Array) -> list[Array]:
        """Return the start values that were given."""
        return [np.array([float(one) for one in self.start.values()])]

    def limits(self, t: Array, low: float, high: float) -> Array:
        """Return the bounds that were given, ±∞ for others."""
        return np.array([self.bounds.get(name, (-math.inf, math.inf)) for name in self.names]).reshape(-1, 2)

    def ln_prior(self, t: Array, low: float, high: float) -> float:
        """Return ln of the density of its parameters: flat between bounds, or within twice the start either way."""
        ends = [(low, high) if math.isfinite(high - low) else (-2.0, 2.0) for low, high in self.limits(t, low, high)]
        size = [1.0 if name in self.bounds else abs(self.start[name]) or 1.0 for name in self.names]
        return -sum(math.log((b - a) * one) for (a, b), one in zip(ends, size, strict=True))


WORDS: Mapping[str, Law] = {
    "constant": Polynomial(0),
    "linear": Polynomial(1),
    "quadratic": Polynomial(2),
    "cubic": Polynomial(3),
    "debye": Debye(),
    "einstein": Einstein(),
    "order": Order(),
}
"""Laws that have a name."""


def law_of(name: str, given: Law | str, start: Mapping[str, float], known: frozenset[str]) -> Law:
    """Return the law that is meant: itself, one of `WORDS`, or an expression.

    Names in an expression that are not `known` (the index, parameters, other laws) are its own, and have to start
    somewhere. ParameterError for one that has no start, and for what is no law.
    """
    if isinstance(given, Law):
        return given
    if not isinstance(given, str):
        raise ParameterError(
            f"the law of {name} is {given!r}: give a word ({', '.join(WORDS)}), an expression or a Law"
        )
    if given in WORDS:
        return WORDS[given]
    own = sorted(_expressions.names(given) - known)
    if own == [given.strip()]:
        raise ParameterError(f"no law is called {given!r}: there are {', '.join(WORDS)}, and expressions", key=name)
    if missing := [one for one in own if one not in start]:
        raise ParameterError(
            f"{missing[0]} in the law {name} = {given} is neither the index nor another law "
            f"({', '.join(sorted(known))}): give start={{{missing[0]!r}: …}} if it is to be found",
            key=missing[0],
        )
    return Expression(given, {one: float(start[one]) for one in own})
