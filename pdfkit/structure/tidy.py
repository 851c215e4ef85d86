"""How a structure is put in order: exact cells, sites on positions, duplicates merged, overlaps refused."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import StructureError, remark
from pdfkit.structure import symmetry
from pdfkit.structure.site import Site, numbers

# Two atoms of one element closer than this (Å) are one atom listed twice.
SAME_ATOM = 0.01
# Two atoms closer than this (Å) cannot both be there.
OVERLAP = 0.5
# Images of a site this close (Å) that would be more than one atom stand for the special position between them.
NEAR_SPECIAL = 0.1
# Rounded coordinates, or a file's own multiplicity, are believed for a site this far (Å) off.
FAR_SPECIAL = 0.3
# What a coordinate loses at most with three digits, rounded or cut (0.666 for 2/3), and a little more.
ROUNDING = 7e-4
# Two atoms other than hydrogen that are closer than this (Å) are no bond: N2, the shortest, has 1.10 Å.
CLOSE = 0.95
# U (Å²) of a pair of atoms of which makes the narrowest peak that is drawn, and a U that no atom of a crystal has.
NARROW = 4.9e-5
LARGE_U = 1.0
LARGE_FROM_B = 5.0
# What the stiffest atom of a crystal does not have: B of an oxide is 0.2 to 0.5 Å², U of a solvent too.
LARGE_FOR_ALL = 0.2
# Three thirds given as 0.334 fill a site.
FULL = 1.01


def cell(values: Any, rotations: IntArray) -> tuple[float, ...]:
    """Return six checked cell parameters, made exact for the symmetry; StructureError if they are no cell."""
    out = numbers("cell", values, 6)
    if min(out[:3]) < 1e-3 or max(out[:3]) > 1e5 or not all(0 < angle < 180 for angle in out[3:]):
        raise StructureError(f"cell {out} is not possible: give a, b, c > 0 in Å and angles between 0 and 180 degrees")
    rows = symmetry.basis(out)
    if float(np.linalg.det(rows)) <= 1e-6 * math.prod(out[:3]):
        raise StructureError(f"cell {out} has no volume: correct its angles")
    spacing = 1 / float(symmetry.reciprocal_lengths(rows).max())
    if spacing <= 2 * OVERLAP:
        raise StructureError(f"cell {out} has lattice planes {spacing:.3g} Å apart, less than an atom: give Å")
    return symmetry.symmetric_cell(out, rotations)


def on_position(site: Site, R: IntArray, t: Array, rows: Array, said: list[str]) -> Site:
    """Return `site` moved onto the special position it stands for, its U averaged over the site symmetry.

    A site within rounding of a special position is on it, whatever its occupancy. One whose images, less than 0.1 Å
    apart, would together hold more than an atom is on it too. Others are split sites and stay where they are.
    What a user should know of that is added to `said`.
    """
    if len(R) == 1:
        return site
    xyz = np.array(site.xyz)
    away = symmetry.image_distances(xyz, R, t, rows)
    if np.count_nonzero(away < _reach(rows, 2 * FAR_SPECIAL)) == 1:
        return site
    found = _position_meant(site, R, t, rows)
    if found is None:
        said += _doubtful_split(site, R, t, rows)
        index = symmetry.stabiliser(xyz, R, t, rows, SAME_ATOM)[0]
    else:
        to, index = found
        moved = float(np.linalg.norm((to - xyz) @ rows))
        if moved > SAME_ATOM:
            said.append(f"site {site.label} moved by {moved:.3f} Å onto its special position {shown(to)}")
        site = replace(site, xyz=(float(to[0]), float(to[1]), float(to[2])))
    return site if len(index) == 1 else _with_symmetric_U(site, R[index], rows, said)


def _position_meant(site: Site, R: IntArray, t: Array, rows: Array) -> tuple[Array, IntArray] | None:
    """Return the special position (3,) that the site stands for, and the operations that leave it in place."""
    xyz = np.array(site.xyz)
    for to, index, spread in special_positions(xyz, R, t, rows, 2 * FAR_SPECIAL):
        moved = float(np.linalg.norm((to - xyz) @ rows))
        images = len(index) / len(symmetry.stabiliser(xyz, R, t, rows, SAME_ATOM)[0])
        overfull = spread < NEAR_SPECIAL and images * site.occ > _limit(round(images))
        if moved < SAME_ATOM or overfull or (moved < FAR_SPECIAL and _is_rounded(xyz, to)):
            return to, index
    return None


def special_positions(
    xyz: Array, R: IntArray, t: Array, rows: Array, reach: float
) -> Iterator[tuple[Array, IntArray, float]]:
    """Yield special positions near `xyz` (fractional), those of the highest symmetry first.

    As (position, operations that leave it in place, distance (Å) of the farthest image of `xyz` under them). Near
    means images within `reach` (Å) or twice what rounding to three digits may do in this cell.
    """
    distance = symmetry.image_distances(xyz, R, t, rows)
    near = np.unique(np.round(distance[distance < _reach(rows, reach)], 6))[::-1]
    for limit in near:
        index, n = symmetry.stabiliser(xyz, R, t, rows, float(limit) + 2e-6)
        if len(index) == 1:
            return
        to = symmetry.snap(xyz, R[index], t[index], n)
        whole = symmetry.stabiliser(to, R, t, rows, 1e-4)[0]
        if set(index.tolist()) <= set(whole.tolist()):
            yield to, whole, float(distance[whole].max())


def _reach(rows: Array, reach: float) -> float:
    return max(reach, 4 * ROUNDING * float(np.linalg.norm(rows, axis=1).max()))


def _is_rounded(xyz: Array, to: Array) -> bool:
    """Return whether `xyz` is the exact position `to` rounded (or cut) to three digits or more, or rounded to two."""
    two = (np.abs(xyz * 100 - np.round(xyz * 100)) < 1e-7) & (np.abs(np.round(to, 2) - xyz) < 1e-7)
    return bool((two | (np.abs(xyz - to) < ROUNDING)).all())


def _with_symmetric_U(site: Site, R: IntArray, rows: Array, said: list[str]) -> Site:
    if site.isotropic:
        return site
    star = symmetry.reciprocal_lengths(rows)
    U = np.mean([symmetry.rotate_U(site.U, Rk, star) for Rk in R], axis=0)
    off = float(np.abs(U - site.U).max())
    if off > 1e-3 and off > 0.1 * float(np.abs(U).max()):
        said.append(f"U of site {site.label} violates its site symmetry: averaged to {shown(U)}")
    return replace(site, U=tuple(float(u) for u in U)) if off > 1e-9 else site


def _doubtful_split(site: Site, R: IntArray, t: Array, rows: Array) -> list[str]:
    """Say it when images closer than 0.1 Å were kept apart though they do not make one atom together."""
    distance = symmetry.image_distances(np.array(site.xyz), R, t, rows)
    total = site.occ * np.count_nonzero(distance < NEAR_SPECIAL) / np.count_nonzero(distance < SAME_ATOM)
    if total == site.occ or not 0.1 < total < 0.95:
        return []
    apart = distance[(distance < NEAR_SPECIAL) & (distance >= SAME_ATOM)].min()
    return [
        f"images of site {site.label} lie {apart:.3f} Å apart and hold {total:.3g} atoms together: read as split; if "
        "one atom is meant, give its special position"
    ]


def with_multiplicity(site: Site, multiplicity: int, R: IntArray, t: Array, rows: Array) -> Site:
    """Return `site` on the special position within 0.3 Å that has the multiplicity a file gives, if there is one."""
    xyz = np.array(site.xyz)
    for to, index, _ in special_positions(xyz, R, t, rows, 2 * FAR_SPECIAL):
        if len(index) * multiplicity == len(R) and np.linalg.norm((to - xyz) @ rows) < FAR_SPECIAL:
            return replace(site, xyz=(float(to[0]), float(to[1]), float(to[2])))
    return site


def distinct(images: Array, rows: Array) -> IntArray:
    """Return the indices of the images (n, 3; fractional) that no earlier image coincides with."""
    step = images[:, None] - images[None]
    near = np.linalg.norm((step - np.round(step)) @ rows, axis=-1) < SAME_ATOM
    return np.flatnonzero(near.argmax(axis=1) == np.arange(len(images)))


def merged(sites: tuple[Site, ...], pairs: IntArray) -> tuple[Site, ...]:
    """Return the sites with duplicates (`pairs` of site indices on one spot) merged into the first of them.

    Occupancies add up when they can; otherwise the atom was listed twice. Ions of different charge (Fe2+ and Fe3+
    sharing a position) stay apart.
    """
    into = list(range(len(sites)))

    def root(i: int) -> int:
        while into[i] != i:
            i = into[i]
        return i

    for i, j in pairs.tolist():
        if i != j and sites[i].element == sites[j].element and not _valences(sites[i], sites[j]):
            low, high = sorted((root(i), root(j)))
            into[high] = low
    groups: dict[int, list[float]] = {}
    for i, site in enumerate(sites):
        groups.setdefault(root(i), []).append(site.occ)
    return tuple(replace(sites[i], occ=_merged_occupancy(occs)) for i, occs in groups.items())


def _valences(one: Site, other: Site) -> bool:
    return bool(one.charge and other.charge and one.charge != other.charge)


def _merged_occupancy(occs: Sequence[float]) -> float:
    total = sum(occs)
    return min(total, 1.0) if total <= FULL else max(occs)


def check_overlaps(sites: tuple[Site, ...], site_of: IntArray, pairs: IntArray, distance: Array) -> list[str]:
    """Return remarks on pairs of atoms (indices into `site_of`) closer than CLOSE.

    Raises StructureError for atoms within OVERLAP of one another that together are more than one.
    """
    occ = np.array([site.occ for site in sites])[site_of]
    total = occ[pairs].sum(axis=1)
    near = distance < OVERLAP
    for k in np.flatnonzero(near & (total > FULL)):
        (a, b), d = site_of[pairs[k]].tolist(), distance[k]
        other = "its own image" if a == b else f"site {sites[b].label}"
        raise StructureError(
            f"site {sites[a].label} is {d:.3f} Å from {other} and together they hold {total[k]:g} atoms: "
            "remove one, or correct positions, occupancies or symmetry"
        )
    _refuse_crowds(sites, site_of, pairs[near], occ)
    light = np.array([site.element in ("H", "D", "T") for site in sites])[site_of]
    close = np.flatnonzero((total > FULL) & ~light[pairs].any(axis=1))
    if not len(close):
        return []
    a, b = (sites[i].label for i in site_of[pairs[close[0]]])
    return [
        f"atoms of sites {a} and {b} are {distance[close[0]]:.3f} Å apart, closer than any bond, and "
        f"{total[close[0]]:g} atoms: check positions, occupancies and symmetry"
    ]


def _refuse_crowds(sites: tuple[Site, ...], site_of: IntArray, pairs: IntArray, occ: Array) -> None:
    """Raise StructureError for three or more atoms, each within OVERLAP of all others, that are more than one."""
    near: dict[int, set[int]] = {}
    for i, j in pairs.tolist():
        near.setdefault(i, set()).add(j)
        near.setdefault(j, set()).add(i)
    for start, around in near.items():
        later = sorted(k for k in around if k > start)
        if len(later) < 2 or (crowd := _crowd([start], later, near, occ, [2000])) is None:
            continue
        labels = ", ".join(dict.fromkeys(sites[site_of[k]].label for k in crowd))
        raise StructureError(
            f"{len(crowd)} atoms of site {labels[:100]} lie within {OVERLAP} Å of one another and together hold "
            f"{float(occ[crowd].sum()):.3g} atoms: correct positions, occupancies or symmetry"
        )


def _crowd(inside: list[int], rest: list[int], near: dict[int, set[int]], occ: Array, left: list[int]) -> Any:
    """Return atoms that are all near one another and more than one atom, from `inside` on; None if there are none.

    `left`: steps that remain, so that thousands of atoms on one spot end.
    """
    if float(occ[inside].sum()) > _limit(len(inside)):
        return inside
    left[0] -= 1
    for k, atom in enumerate(rest):
        if left[0] < 0 or float(occ[[*inside, *rest[k:]]].sum()) <= 1.0:
            return None
        found = _crowd([*inside, atom], [b for b in rest[k + 1 :] if b in near[atom]], near, occ, left)
        if found is not None:
            return found
    return None


def _limit(count: int) -> float:
    """Return up to what sum `count` occupancies may be one atom: 0.17 is a sixth, 0.34 a third."""
    return max(FULL, 1.0 + 0.007 * count)


def displacement_remarks(sites: tuple[Site, ...], rows: Array, as_B: bool) -> list[str]:
    """Return what is unusual in the displacements: negative, none at all, or larger than any.

    as_B : the format has B, so that U and B are not confused; proteins have 20 to 200 Å².
    """
    least, largest = _principal(sites, rows)
    out = []
    negative, narrow = least < -1e-9, (least >= -1e-9) & (least < NARROW)
    if negative.any():
        value = f"{least.min():.2g} Å²"
        out.append(f"U of {_named(sites, negative)} is not positive definite (least {value}): {_DRAWN}")
    if narrow.any():
        out.append(f"U of {_named(sites, narrow)} is 0 or nearly so: {_DRAWN}")
    large = largest > (LARGE_FROM_B if as_B else LARGE_U)
    if not (as_B or large.any()) and len(least) and least.min() > LARGE_FOR_ALL:
        large = largest > LARGE_FOR_ALL
    if large.any():
        why = "is B a placeholder for an unknown value?" if as_B else "perhaps B = 8π²U was given as U"
        out.append(f"U of {_named(sites, large)} is very large ({largest.max():.3g} Å²): {why}")
    return out


_DRAWN = "peaks are calculated with a width of σ = 0.01 Å at least"


def _principal(sites: tuple[Site, ...], rows: Array) -> tuple[Array, Array]:
    """Return the least and largest mean-square displacement (Å²) of each site along any direction."""
    least = np.array([site.U[0] for site in sites])
    largest = least.copy()
    tensors = [i for i, site in enumerate(sites) if not site.isotropic]
    if tensors:
        star = symmetry.reciprocal_lengths(rows)
        beta = np.array([symmetry.matrix(sites[i].U) for i in tensors]) * np.outer(star, star)
        values = np.linalg.eigvalsh(rows.T @ beta @ rows)
        least[tensors], largest[tensors] = values[:, 0], values[:, -1]
    return least, largest


def _named(sites: tuple[Site, ...], which: Any) -> str:
    labels = [site.label for site, yes in zip(sites, which, strict=True) if yes]
    if len(labels) == 1:
        return f"site {labels[0]}"
    more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    return f"{len(labels)} sites ({', '.join(label[:20] for label in labels[:5])}{more})"


def cell_constraints(rotations: IntArray) -> dict[str, str]:
    """Return the dependent cell parameters as expressions of the free ones, from Rᵀ G R = G."""
    return dict(_cell_constraints(rotations.tobytes()))


@lru_cache(maxsize=64)
def _cell_constraints(rotations: bytes) -> tuple[tuple[str, str], ...]:
    R = np.frombuffer(rotations, dtype=np.int64).reshape(-1, 3, 3)
    solution = symmetry.metric_solution(R)
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
        i, j = (alike[k] for k in symmetry.VOIGT[p])
        if not terms:
            out[name] = "90"
        elif len(terms) == 1:
            ((q, c),) = terms.items()
            if q < 3 and i == j == q:
                out[name] = symmetry.number(round(math.degrees(math.acos(c)), 9))
            elif q >= 3 and abs(c) == 1 and sorted((i, j)) == sorted(alike[k] for k in symmetry.VOIGT[q]):
                out[name] = names[q] if c == 1 else f"180 - {names[q]}"
            else:
                raise _unusual()
        else:
            raise _unusual()
    return tuple(out.items())


def _unusual() -> StructureError:
    return StructureError(
        "the axes of this cell are not along its symmetry directions, so lengths and angles are tied to each "
        "other: use the conventional cell, or one that lists all atoms (P1)"
    )


def warn(said: Sequence[str]) -> None:
    """Issue each remark as a PdfkitWarning on behalf of the caller of the constructor."""
    for text in said:
        remark(text, stacklevel=5)


def shown(values: Array) -> str:
    """Return coordinates as "(0.3333, 0.6667, 0.5000)"."""
    return "(" + ", ".join(f"{x:.4f}" for x in values) + ")"
