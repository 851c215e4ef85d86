"""How a structure is put in order: exact cells, sites on positions, duplicates merged, overlaps refused."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from pdfkit import _symmetry
from pdfkit._checks import Array, IntArray
from pdfkit._sites import Site, numbers
from pdfkit.errors import PdfkitWarning, StructureError

# Two atoms of one element closer than this (Å) are one atom listed twice.
SAME_ATOM = 0.01
# Two atoms closer than this (Å) cannot both be there.
OVERLAP = 0.5
# A fully occupied site this close (Å) to its own image stands for the special position between the two.
NEAR_SPECIAL = 0.1
# Three thirds given as 0.334 fill a site.
FULL = 1.01


def cell(values: Any, rotations: IntArray) -> tuple[float, ...]:
    """Return six checked cell parameters, made exact for the symmetry; StructureError if they are no cell."""
    out = numbers("cell", values, 6)
    if min(out[:3]) <= 0 or max(out[:3]) > 1e5 or not all(0 < angle < 180 for angle in out[3:]):
        raise StructureError(f"cell {out} is no cell: give a, b, c > 0 in Å and angles between 0 and 180 degrees")
    rows = _symmetry.basis(out)
    if float(np.linalg.det(rows)) <= 1e-6 * math.prod(out[:3]):
        raise StructureError(f"cell {out} has no volume: correct its angles")
    spacing = 1 / float(_symmetry.reciprocal_lengths(rows).max())
    if spacing <= 2 * OVERLAP:
        raise StructureError(f"cell {out} has lattice planes {spacing:.3g} Å apart, less than an atom: give Å")
    return _symmetry.symmetric_cell(out, rotations)


def on_position(site: Site, R: IntArray, t: Array, rows: Array, said: list[str]) -> Site:
    """Return `site` moved onto the special position it is near, its U averaged over the site symmetry.

    What a user should know of that is added to `said`.
    """
    if len(R) == 1:
        return site
    # Partly occupied sites near a special position may be real split sites: they are left where they are.
    reach = SAME_ATOM if site.occ < FULL / 2 else NEAR_SPECIAL
    index, n = _symmetry.stabiliser(np.array(site.xyz), R, t, rows, reach)
    if len(index) == 1:
        return site
    xyz = _symmetry.snap(np.array(site.xyz), R[index], t[index], n)
    moved = float(np.linalg.norm((xyz - np.array(site.xyz)) @ rows))
    if moved > SAME_ATOM:
        said.append(f"site {site.label} moved by {moved:.3f} Å onto its special position {_shown(xyz)}")
    site = replace(site, xyz=(float(xyz[0]), float(xyz[1]), float(xyz[2])))
    if site.isotropic:
        return site
    star = _symmetry.reciprocal_lengths(rows)
    U = np.mean([_symmetry.rotate_U(site.U, Rk, star) for Rk in R[index]], axis=0)
    off = float(np.abs(U - site.U).max())
    if off > 1e-3 and off > 0.1 * float(np.abs(U).max()):
        said.append(f"U of site {site.label} is against its site symmetry: averaged to {_shown(U)}")
    return replace(site, U=tuple(float(u) for u in U)) if off > 1e-9 else site


def distinct(images: Array, rows: Array) -> IntArray:
    """Return the indices of the images (n, 3; fractional) that no earlier image coincides with."""
    step = images[:, None] - images[None]
    near = np.linalg.norm((step - np.round(step)) @ rows, axis=-1) < SAME_ATOM
    return np.flatnonzero(near.argmax(axis=1) == np.arange(len(images)))


def merged(sites: tuple[Site, ...], pairs: IntArray) -> tuple[Site, ...]:
    """Return the sites with duplicates (`pairs` of site indices on one spot) merged into the first of them.

    Occupancies add up when they can (Fe2+ and Fe3+ sharing a position); otherwise the atom was listed twice.
    """
    into = list(range(len(sites)))

    def root(i: int) -> int:
        while into[i] != i:
            i = into[i]
        return i

    for i, j in pairs.tolist():
        if i != j and sites[i].element == sites[j].element:
            low, high = sorted((root(i), root(j)))
            into[high] = low
    groups: dict[int, list[float]] = {}
    for i, site in enumerate(sites):
        groups.setdefault(root(i), []).append(site.occ)
    return tuple(replace(sites[i], occ=_merged_occupancy(occs)) for i, occs in groups.items())


def _merged_occupancy(occs: Sequence[float]) -> float:
    total = sum(occs)
    return min(total, 1.0) if total <= FULL else max(occs)


def refuse_overlaps(sites: tuple[Site, ...], pairs: IntArray, distance: Array) -> None:
    """Raise StructureError for the first of `pairs` (of sites closer than OVERLAP) with over one atom."""
    for (i, j), d in zip(pairs.tolist(), distance, strict=True):
        total = sites[i].occ + sites[j].occ
        if total > FULL:
            other = "its own image" if i == j else f"site {sites[j].label}"
            raise StructureError(
                f"site {sites[i].label} is {d:.3f} Å from {other} and together they hold {total:g} atoms: "
                "remove one, or correct positions, occupancies or symmetry"
            )


def cell_constraints(rotations: IntArray) -> dict[str, str]:
    """Return the dependent cell parameters as expressions of the free ones, from Rᵀ G R = G."""
    return dict(_cell_constraints(rotations.tobytes()))


@lru_cache(maxsize=64)
def _cell_constraints(rotations: bytes) -> tuple[tuple[str, str], ...]:
    R = np.frombuffer(rotations, dtype=np.int64).reshape(-1, 3, 3)
    solution = _symmetry.metric_solution(R)
    out: dict[str, str] = {}
    alike = [0, 1, 2]
    for p in (1, 2):
        if p in solution:
            ((q, c),) = solution[p][0].items() if len(solution[p][0]) == 1 else ((-1, 0),)
            if not (0 <= q < 3 and c == 1):
                raise _unusual()
            alike[p] = q
            out["abc"[p]] = "abc"[q]
    names = {5: "alpha", 4: "beta", 3: "gamma"}
    for p, name in names.items():
        if p not in solution:
            continue
        terms = solution[p][0]
        i, j = (alike[k] for k in _symmetry.VOIGT[p])
        if not terms:
            out[name] = "90"
        elif len(terms) == 1:
            ((q, c),) = terms.items()
            if q < 3 and i == j == q:
                out[name] = _symmetry.number(round(math.degrees(math.acos(c)), 9))
            elif q >= 3 and abs(c) == 1 and sorted((i, j)) == sorted(alike[k] for k in _symmetry.VOIGT[q]):
                out[name] = names[q] if c == 1 else f"180 - {names[q]}"
            else:
                raise _unusual()
        else:
            raise _unusual()
    return tuple(out.items())


def _unusual() -> StructureError:
    return StructureError(
        "the axes of this cell are not along its symmetry directions, so lengths and angles are tied to each "
        "other: use the conventional cell, or to_p1()"
    )


def warn(said: Sequence[str]) -> None:
    """Issue each remark as a PdfkitWarning on behalf of the caller of the constructor."""
    for text in said:
        warnings.warn(text, PdfkitWarning, stacklevel=5)


def _shown(values: Array) -> str:
    return "(" + ", ".join(f"{x:.4f}" for x in values) + ")"
