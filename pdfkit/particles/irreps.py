"""Names of irreducible representations of a point group by Mulliken's rules, from characters alone.

A, B, E, T, G, H by dimension (two complex ones that are each other's conjugate count as one E); A or B by the turn
about the principal axis; 1 or 2 by a twofold axis across it or a mirror along it (in cubic groups by a fourfold turn);
k of E_k and T_k by the character of that turn; g and u by inversion, ′ and ″ (p and pp in names) by a mirror across the
axis. Source: Mulliken, J. Chem. Phys. 23, 1997 (1955).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pdfkit._checks import Array
from pdfkit.particles.symmetry import PointGroup

_LETTERS = {1: "A", 2: "E", 3: "T", 4: "G", 5: "H"}
_ALIKE = 1e-3


@dataclass(frozen=True, eq=False)
class Turn:
    """An operation: a turn by an angle about an axis, which n times over is none (order n), times ±1."""

    order: int
    axis: Array
    proper: bool
    angle: float

    @classmethod
    def of(cls, operation: Array) -> Turn:
        """Read it off an orthogonal matrix (3, 3)."""
        proper = bool(np.linalg.det(operation) > 0)
        turn = operation if proper else -operation
        angle = math.acos(max(-1.0, min(1.0, 0.5 * (float(np.trace(turn)) - 1.0))))
        values, vectors = np.linalg.eigh(0.5 * (turn + turn.T))
        order, power = 1, turn
        while order < 12 and np.abs(power - np.eye(3)).max() > _ALIKE:
            order, power = order + 1, power @ turn
        return cls(order, vectors[:, int(values.argmax())], proper, angle)

    @property
    def is_inversion(self) -> bool:
        """Whether it is x → −x."""
        return not self.proper and self.order == 1

    @property
    def is_mirror(self) -> bool:
        """Whether it is a reflection; `axis` is its normal."""
        return not self.proper and self.order == 2

    def along(self, axis: Array) -> bool:
        """Whether its axis is this one."""
        return bool(abs(abs(float(self.axis @ axis)) - 1.0) < 1e-2)

    def across(self, axis: Array) -> bool:
        """Whether its axis is perpendicular to this one."""
        return bool(abs(float(self.axis @ axis)) < 5e-2)


@dataclass(frozen=True, eq=False)
class Namer:
    """Names representations of a group by their characters (g,), in the order of its operations."""

    group: PointGroup

    @cached_property
    def turns(self) -> list[Turn]:
        """Its operations."""
        return [Turn.of(one) for one in self.group.operations]

    @cached_property
    def principal(self) -> Turn:
        """A turn by the smallest angle about the axis of highest order; of twofold axes one of fourfold reflections."""
        proper = [one for one in self.turns if one.proper]
        rotary = [one for one in self.turns if not one.proper and one.order == 4]
        return max(proper, key=lambda one: (one.order, any(one.along(other.axis) for other in rotary), -one.angle))

    @cached_property
    def _rotary(self) -> list[Turn]:
        """Reflections with half the turn of the principal axis, where that is even: those of D2d, D4d and S4."""
        n, axis = self.principal.order, self.principal.axis
        fits = [t for t in self.turns if not t.proper and t.order == 2 * n and t.along(axis)]
        return fits if n % 2 == 0 else []

    @cached_property
    def _threefold(self) -> int:
        axes: list[Array] = []
        for one in self.turns:
            if one.proper and one.order == 3 and not any(one.along(axis) for axis in axes):
                axes.append(one.axis)
        return len(axes)

    def name(self, characters: Array) -> str:
        """Return the name of a representation, such as A1, T2g or E2p."""
        dimension = round(float(characters[0]))
        letter = _LETTERS.get(dimension, f"X{dimension}")
        if self._threefold >= 4:
            return letter + self._cubic(characters, dimension) + self._parity(characters)
        return self._axial(characters, letter) + self._parity(characters)

    def _first(self, characters: Array, wanted: object) -> float | None:
        """Return the character of the first operation for which wanted(turn) holds."""
        return next((float(c) for c, one in zip(characters, self.turns, strict=True) if wanted(one)), None)  # type: ignore[operator]

    def _cubic(self, characters: Array, dimension: int) -> str:
        if dimension == 3 and (five := self._first(characters, lambda t: t.proper and t.order == 5 and t.angle < 1.5)):
            return "1" if five > 0 else "2"
        four = self._first(characters, lambda t: t.order == 4)
        return "" if four is None or dimension == 2 else "1" if four > 0 else "2"

    def _axial(self, characters: Array, letter: str) -> str:
        n = self.principal.order
        if letter == "E":
            return letter + self._fold(characters, n)
        twofold = [c for c, t in zip(characters, self.turns, strict=True) if t.proper and t.order == 2]
        rotary = self._first(characters, lambda t: t in self._rotary)
        if n == 2 and len(twofold) == 3 and rotary is None:
            return "A" if min(twofold) > 0 else f"B{1 + int(np.argmax(twofold))}"
        about = rotary if rotary is not None else self._first(characters, lambda t: t is self.principal)
        letter = "B" if n > 1 and about is not None and about < 0 else letter
        across = None if n == 1 else self._across
        return letter if across is None else f"{letter}{1 if characters[across] > 0 else 2}"

    @cached_property
    def _across(self) -> int | None:
        """The operation that tells 1 from 2: a twofold axis across the principal one, else a mirror along that.

        Of several kinds the one on which most atoms lie; of two mirrors alone (C2v) the other one.
        """
        axis, still = self.principal.axis, (self.group.images == np.arange(self.group.images.shape[1])).sum(axis=1)
        across = [k for k, t in enumerate(self.turns) if t.order == 2 and t.across(axis)]
        axes = [k for k in across if self.turns[k].proper]
        if axes or not across:
            return max(axes, key=lambda k: int(still[k]), default=None)
        return (max if self.principal.order > 2 else min)(across, key=lambda k: int(still[k]))

    def _fold(self, characters: Array, n: int) -> str:
        """Return k of E_k where there are several."""
        order = 2 * n if self._rotary else n
        if order < 5:
            return ""
        turn = max(self._rotary, key=lambda t: t.angle) if self._rotary else self.principal
        value = self._first(characters, lambda t: t is turn)
        assert value is not None
        return str(round(math.acos(max(-1.0, min(1.0, 0.5 * value))) * order / (2.0 * math.pi)))

    def _parity(self, characters: Array) -> str:
        inverted = self._first(characters, lambda t: t.is_inversion)
        if inverted is not None:
            return "g" if inverted > 0 else "u"
        axis, n = self.principal.axis, self.principal.order
        across = self._first(characters, lambda t: t.is_mirror and (n == 1 or t.along(axis)))
        return "" if across is None or self._threefold >= 4 else "p" if across > 0 else "pp"
