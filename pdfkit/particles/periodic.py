"""Clusters in periodic cells: is what a cell holds a cluster or a crystal, and where do the faces cut through it?

Bonds tell: those of a crystal run on without end, those of a cluster end within one piece, which is put together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.structure.species import base, covalent_radius

BOND = 1.25
"""Atoms nearer than this many times the sum of their covalent radii are bonded."""
MOST_ATOMS = 20_000
"""Of a cell whose bonds are looked for."""
CUT = "cut pieces"
EMPTY = 6.0
"""Å of nothing that no crystal has between its molecules."""
ROOM = 35.0
"""Å³ an atom below which a cell has no such gaps; crystals of molecules have 8 to 25, the cage of a zeolite has less
than twice that."""
FEW_ATOMS = 5_000
"""Of a cell that is looked at for such gaps: some tenths of a second."""
ONE = "taken for one cluster in a cell, as no bond leads to the next cell"


@dataclass(frozen=True, eq=False)
class Unfolded:
    """Atoms of a cell with every piece in one. xyz (n, 3) in Å; how many pieces; endless: whether one has no end.

    cut : whether a face went through a piece, so that xyz differs from what was given.
    """

    xyz: Array
    pieces: int
    endless: bool
    cut: bool

    @property
    def kind(self) -> str:
        """What the cell holds: a "crystal", a "cluster", "2 pieces" or "2 cut pieces" (if it cuts some)."""
        if self.endless:
            return "crystal"
        return "cluster" if self.pieces == 1 else f"{self.pieces} {CUT if self.cut else 'pieces'}"

    @property
    def remark(self) -> str:
        """What to say of the cell's content; "" where there is one cluster that the cell does not cut."""
        if self.endless or self.pieces == 1:
            return f"{ONE}; it was put together where the cell cuts through it" if self.cut and not self.endless else ""
        if not self.cut:
            return (
                f"its cell holds {self.pieces} pieces that are not bonded to each other: all are taken, where they are"
            )
        return (
            f"its cell holds {self.pieces} pieces that are not bonded to each other, and cuts through some: each was "
            "put together, but how far they are from each other is not known: give the cluster alone"
        )


def unfolded(
    elements: Sequence[str], kind: IntArray, xyz: Array, cell: Array, periodic: Sequence[bool] = (True, True, True)
) -> Unfolded:
    """Return atoms (n, 3), kind (n,) of elements, in a cell (3, 3), rows in Å, with every piece in one.

    periodic : along which vectors of the cell.
    """
    return _pieces(_bonds(elements, kind, xyz, cell, periodic), xyz, cell)


def is_lone(xyz: Array, cell: Array) -> bool:
    """Return whether what a cell (3, 3) holds, atoms (n, 3), is alone: `EMPTY` of nothing to its images on all sides.

    Of more than `FEW_ATOMS` nothing is known: False.
    """
    if len(xyz) > FEW_ATOMS or abs(float(np.linalg.det(cell))) < ROOM * len(xyz):
        return False
    one = np.zeros(len(xyz), dtype=np.int64)
    found = _pieces(_near(one, xyz, cell, (True, True, True), np.array([EMPTY / 2])), xyz, cell)
    return found.pieces == 1 and not found.endless


def _pieces(around: list[list[tuple[int, IntArray]]], xyz: Array, cell: Array) -> Unfolded:
    """Return atoms put together along their bonds."""
    at: dict[int, IntArray] = {}
    pieces, endless = 0, False
    for start in range(len(xyz)):
        if start in at:
            continue
        pieces += 1
        at[start] = np.zeros(3, dtype=np.int64)
        waiting = deque([start])
        while waiting:
            i = waiting.popleft()
            for j, image in around[i]:
                here = at[i] + image
                if j not in at:
                    at[j] = here
                    waiting.append(j)
                elif (at[j] != here).any():
                    endless = True
    shift = np.array([at[k] for k in range(len(xyz))])
    return Unfolded(xyz + shift @ cell, pieces, endless, bool(shift.any()))


def _bonds(
    elements: Sequence[str], kind: IntArray, xyz: Array, cell: Array, periodic: Sequence[bool]
) -> list[list[tuple[int, IntArray]]]:
    """Return for every atom i its bonds to j + image: (j, image), also to images of i itself."""
    radius = BOND * np.array([covalent_radius(base(element)) for element in elements])
    return _near(kind, xyz, cell, periodic, radius)


def _near(
    kind: IntArray, xyz: Array, cell: Array, periodic: Sequence[bool], radii: Array
) -> list[list[tuple[int, IntArray]]]:
    """Return for every atom i those nearer than the sum of their radii, by kind: (j, image)."""
    from scipy.spatial import cKDTree

    radius = radii[kind]
    reach = 2 * float(radius.max())
    turn = np.linalg.inv(cell)
    margin = np.where(periodic, reach * np.linalg.norm(turn, axis=0), np.inf)  # as parts of the cell
    inner = np.where(periodic, np.floor(xyz @ turn), 0.0).astype(np.int64)
    wrapped = xyz - inner @ cell
    part = wrapped @ turn
    spans = [
        range(-int(np.ceil(m)), int(np.ceil(m)) + 1) if p else range(1) for m, p in zip(margin, periodic, strict=True)
    ]
    images = [np.array(image) for image in product(*spans)]
    near = [np.flatnonzero(((part + n > -margin) & (part + n < 1 + margin)).all(axis=1)) for n in images]
    there = np.concatenate([wrapped[some] + n @ cell for some, n in zip(near, images, strict=True)])
    of = np.concatenate(near)
    image = np.repeat(np.array(images), [some.size for some in near], axis=0)
    pairs = cKDTree(wrapped).sparse_distance_matrix(cKDTree(there), reach, output_type="ndarray")
    i, ghost, apart = pairs["i"], pairs["j"], pairs["v"]
    j = of[ghost]
    bonded = (apart <= radius[i] + radius[j]) & (apart > 0.1)
    out: list[list[tuple[int, IntArray]]] = [[] for _ in range(len(xyz))]
    for a, b, shift in zip(
        i[bonded].tolist(), j[bonded].tolist(), (image[ghost] - inner[j] + inner[i])[bonded], strict=True
    ):
        out[a].append((b, shift))
    return out
