"""Clusters of an exact stoichiometry in tetrahedral networks: complete and near-complete ones.

A connected set of n anions of a stack of bilayers, each with its four cations, has m cations: a *complete* candidate
M_m X_n. A *near-complete* one is a complete set of m + k cations less k cations that had one anion only (k = 1, 2), so
that one or two anions are not four-coordinate. The sets are found by a seeded annealed search; two candidates with the
same distances between each kind of atoms (rotated, mirrored, or homometric) are one.
"""

from __future__ import annotations

import heapq
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import IntArray
from pdfkit.build import _sets, _source, tetrahedra
from pdfkit.build._sets import ANION_HEIGHT, Block
from pdfkit.build._stacking import IDEAL_U, bilayer_lattice, bond_length, check_bonds, letters_of
from pdfkit.errors import PdfkitError
from pdfkit.particles.particle import Particle
from pdfkit.structure.site import element_symbol

FAMILIES = ("zincblende", "wurtzite", "faulted", "capped")
STACKINGS = ("cchccc", "cchhcc", "hhcchh", "ch")
"""Faulted stacks that are searched unless others are named: one fault, two next to each other, and so on."""
KINDS = {0: "complete", 1: "near-complete, one cation less", 2: "near-complete, two cations less"}

CAGES = (13, 33, 34)
"""Numbers of pairs of the core–cage clusters (Kasuya et al., Nat. Mater. 3, 99 (2004))."""

_Found = tuple[int, str, Block, IntArray, tuple[int, ...]]


@dataclass(frozen=True)
class _Plan:
    """What was asked for: M_m X_n, in which cell, which kinds."""

    cation: str
    anion: str
    m: int
    n: int
    cell: tuple[float, float, float]
    kinds: tuple[int, ...]
    stackings: tuple[str, ...]
    how: _sets.Search
    tell: Callable[[str], None] = lambda words: None

    @property
    def formula(self) -> str:
        parts = ((self.cation, self.m), (self.anion, self.n))
        return "".join(f"{one}{count if count > 1 else ''}" for one, count in parts)


def candidates(formula: str, *, limit: int | None = 100, **options: Any) -> list[Particle]:
    """Return clusters of exactly this stoichiometry, such as "Cd37S20": the list of `iter_candidates`.

    limit : at most so many of each family and kind (complete; one cation less; two cations less), the most compact
    ones; None for all that the search finds. Options and errors: see `iter_candidates`.

    Example
    -------
    >>> import pdfkit as pk
    >>> for cluster in pk.build.candidates("Cd10S4", families=["zincblende"], limit=1):
    ...     print(cluster.name, cluster.meta["missing"], pk.build.point_group(cluster))
    Cd10S4_zincblende_1 0 Td
    Cd10S4_zincblende_less2_1 2 C1
    """
    return list(iter_candidates(formula, limit=limit, **options))


def iter_candidates(
    formula: str,
    *,
    families: Sequence[str] = FAMILIES,
    seed: int = 1,
    complete: bool = True,
    near: int = 2,
    limit: int | None = None,
    stackings: Sequence[str] | int = STACKINGS,
    bond: float | None = None,
    cell: Sequence[float] | None = None,
    effort: float = 1.0,
    progress: Callable[[str], None] | None = None,
) -> Iterator[Particle]:
    """Yield clusters of exactly this stoichiometry one by one: by family, kind, then radius of gyration.

    The same arguments give the same candidates in the same order. `Particle.meta` says family, kind, stacking, missing
    cations, hexagonality, and the radius of gyration (Å, all atoms alike).

    Parameters
    ----------
    formula : two elements with their numbers, in either order.
    families : any of "zincblende", "wurtzite", "faulted" (of a set that has both conformations of bonds), "capped" (the
        supertetrahedron of `capped_tetrahedron`, when the formula is that of one), and stacks of your own ("cchc",
        "ABCB"), from which everything is taken.
    complete, near : whether to take complete sets, and the largest number of cations missing from near-complete ones
        (0, 1 or 2). limit : at most so many of each family and kind.
    stackings : of "faulted": sequences, or a number of bilayers for all distinct sequences of so many.
    bond : Å, of ideal tetrahedra; default, that of the crystal that comes with pdfkit. cell : a_h, h, u instead, see
        `stacking`.
    effort : multiplies the time that goes into the search.
    progress : called with words on what is searched next.

    Raises
    ------
    PdfkitError : a formula or family that is not understood; a stoichiometry that the search did not find, with the
    nearest that it found. StructureError : an unknown element, no bond length known.

    Example
    -------
    >>> import pdfkit as pk
    >>> first = next(pk.build.iter_candidates("Cd17S4"))
    >>> first.formula, first.meta["family"], first.name
    ('Cd17S4', 'capped', 'Cd17S4_capped')
    """
    plan = _plan(formula, seed, complete, near, stackings, bond, cell, effort)
    plan = plan if progress is None else replace(plan, tell=progress)
    if plan.m == plan.n and plan.n in CAGES:
        raise PdfkitError(
            f"{plan.formula} is known as a core in a cage: such clusters are no pieces of a lattice and have no ideal "
            "geometry to build them in, so give relaxed coordinates as an xyz file"
        )
    names = [families] if isinstance(families, str) else list(families)
    if not names:
        raise PdfkitError(f"families is empty: name some of {', '.join(FAMILIES)}, or stacks of your own")
    for name in names:
        if name not in FAMILIES:
            letters_of(name)
    if limit is not None:
        limit = _checks.whole("limit", limit, low=1, high=2**31)
    return _walk(plan, names, limit)


def fewest_cations(sequence: str, n: int, *, seed: int = 1, effort: float = 1.0) -> int:
    """Return the fewest cations that a search finds around a connected set of n anions of a stack (see `stacking`).

    An upper bound of the true minimum, which it reaches for the small sets it was checked on.

    Example
    -------
    >>> import pdfkit as pk
    >>> pk.build.fewest_cations("c", 10), pk.build.fewest_cations("h", 10)  # zinc blende (Cd20S10), wurtzite
    (20, 22)
    """
    count = int(_checks.number("n", n, low=1, high=400))
    return _sets.find_sets(sequence, count, 0, _sets.Search(seed, effort))[2]


def _walk(plan: _Plan, names: Sequence[str], limit: int | None) -> Iterator[Particle]:
    seen: set[bytes] = set()
    least: dict[str, int] = {}
    some = False
    for name in names:
        kinds = [_capped(plan)] if name == "capped" else [_kind(plan, name, k, seen, least) for k in plan.kinds]
        for kind in kinds:
            for particle in itertools.islice(kind, limit):
                some = True
                yield particle
    if not some:
        raise PdfkitError(_nothing(plan, least))


def _kind(plan: _Plan, name: str, k: int, seen: set[bytes], least: dict[str, int]) -> Iterator[Particle]:
    """Yield the candidates of one family with k cations missing, most compact first, without equal ones."""
    stacks = {"zincblende": ("c",), "wurtzite": ("h",), "faulted": plan.stackings}.get(name, (name,))
    streams = [_stream(plan, name, stack, k, least) for stack in stacks]
    number = itertools.count(1)
    # Sorted by size, then by stack: merging keeps that, and holds one candidate of each stack.
    for _, stack, where, members, gone in heapq.merge(*streams, key=lambda one: one[0]):
        key = _sets.fingerprint(*_sets.atoms_of(where, members, gone))
        if key not in seen:
            seen.add(key)
            facts = {"kind": KINDS[k], "stacking": stack}
            label = f"{plan.formula}_{name}_{f'less{k}_' if k else ''}{next(number)}"
            yield _particle(plan, where, members, gone, facts, label)


def _stream(plan: _Plan, name: str, stack: str, k: int, least: dict[str, int]) -> Iterator[_Found]:
    if plan.m + k > 3 * plan.n + 1:
        return
    plan.tell(f"searching {plan.formula} in stacks {stack}{f' with {k} cations more' if k else ''}")
    where, sets, fewest = _sets.find_sets(stack, plan.n, plan.m + k, plan.how)
    least[stack] = min(fewest, least.get(stack, fewest))
    if name == "faulted":
        sets = sets[[0.0 < where.hexagonality(members) < 1.0 for members in sets]]
    for score, members, gone in _sets.variants(where, sets, k):
        yield score, stack, where, members, gone


def _particle(
    plan: _Plan, where: Block, members: IntArray, gone: tuple[int, ...], facts: dict[str, Any], name: str
) -> Particle:
    """Return the atoms of a set on the lattice of its stack, their mean at the origin."""
    cations, anions = _sets.atoms_of(where, members, gone)
    x, y, z = np.concatenate([cations, anions]).T
    basis = (z % 4 == ANION_HEIGHT).astype(np.int64)
    # A step to the next letter is (1, 1) or (−1, 1) in the whole-number coordinates: these are the lattice's vectors.
    sites = np.column_stack([(x + y) // 2, (y - x) // 2, z // 4, basis])
    lattice = bilayer_lattice(*plan.cell)
    xyz = lattice.positions(sites)
    elements = tuple(sorted((plan.cation, plan.anion)))
    kind = np.array([elements.index(plan.cation), elements.index(plan.anion)])[basis]
    share = where.hexagonality(members)
    family = "zincblende" if not share > 0.0 else "wurtzite" if share == 1.0 else "faulted"
    xyz = xyz - xyz.mean(axis=0)
    # Rounded, so that candidates of one size have one number.
    size = {"radius_of_gyration": round(math.sqrt(float((xyz**2).sum(axis=1).mean())), 9)}
    meta = {"family": family, **facts, **size, "missing": len(gone), "hexagonality": share}
    return Particle(elements, kind, xyz, name, meta, lattice, sites)


def _capped(plan: _Plan) -> Iterator[Particle]:
    """Yield the capped supertetrahedron of this formula, if there is one."""
    for order in range(1, 12):
        metal = math.comb(order + 2, 3) + 4 * math.comb(order + 2, 2) + 4
        if (metal, math.comb(order + 3, 3) + 4 * math.comb(order, 2)) == (plan.m, plan.n):
            bond = math.sqrt(3 / 8) * plan.cell[0]
            yield tetrahedra.capped_tetrahedron(plan.cation, plan.anion, order, bond=bond)


def _nothing(plan: _Plan, least: dict[str, int]) -> str:
    most = 3 * plan.n + 1
    text = f"no {plan.formula} was found"
    if plan.m > most:
        return (
            f"{text}: {plan.n} connected anions have at most {most} cations, so give at most {plan.cation}{most}, or "
            "use capped_tetrahedron for a cluster whose further cations are bound by ligands alone"
        )
    fewest = ", ".join(f"{m} in {stack}" for stack, m in least.items())
    return (
        f"{text}: the fewest cations around {plan.n} connected anions are {fewest} (c: zinc blende, h: wurtzite), of "
        f"which at most {max(plan.kinds)} may be missing: change the numbers or the families, or raise effort="
    )


def _plan(
    formula: str,
    seed: int,
    complete: bool,
    near: int,
    stackings: Sequence[str] | int,
    bond: float | None,
    cell: Sequence[float] | None,
    effort: float,
) -> _Plan:
    cation, m, anion, n = _parsed(formula)
    missing = int(_checks.number("near", near, low=0, high=2))
    kinds = tuple(range(0 if complete else 1, missing + 1))
    if not kinds:
        raise PdfkitError("complete = False and near = 0 leave no candidates: set complete=True, or near=1 or 2")
    if cell is None:
        length = bond_length(cation, anion) if bond is None else _checks.number("bond", bond, low=1.0, high=10.0)
        a_h = math.sqrt(8 / 3) * length
        sizes = (a_h, math.sqrt(2 / 3) * a_h, IDEAL_U)
    else:
        given = _checks.array("cell", cell)
        if given.shape != (3,) or given.min() <= 0:
            raise PdfkitError(
                f"cell = {given.tolist()} is not understood: give three numbers above 0, a_h and h in Å, and u"
            )
        sizes = (float(given[0]), float(given[1]), float(given[2]))
        check_bonds(*sizes)
    how = _sets.Search(_seed(seed), _checks.number("effort", effort, low=0.0, high=1e4, open_low=True))
    return _Plan(cation, anion, m, n, sizes, kinds, _stacks(stackings), how)


def _seed(seed: Any) -> int:
    out = _checks.number("seed", seed, low=0, high=2**53)
    if out != int(out):
        raise PdfkitError(f"seed = {out:g} is not whole: give a whole number")
    return int(out)


def _stacks(stackings: Sequence[str] | int) -> tuple[str, ...]:
    """Return the faulted stacks to search: those named, or all distinct sequences of so many bilayers."""
    if isinstance(stackings, str):
        stackings = [stackings]
    if not isinstance(stackings, int):
        for one in stackings:
            letters_of(one)
        return tuple(stackings)
    count = int(_checks.number("stackings", stackings, low=2, high=10))
    every = ("".join(labels) for labels in itertools.product("ch", repeat=count))
    # Turning a periodic stack over or starting it elsewhere changes nothing: one of each class.
    return tuple(one for one in every if len(set(one)) == 2 and one == min(_alike(one)))


def _alike(labels: str) -> Iterator[str]:
    for k in range(len(labels)):
        turned = labels[k:] + labels[:k]
        yield from (turned, turned[::-1])


def _parsed(formula: Any) -> tuple[str, int, str, int]:
    """Return cation, m, anion, n of a formula such as "Cd37S20"; PdfkitError for anything else."""
    found = re.fullmatch(r"([A-Z][a-z]?)(\d*)([A-Z][a-z]?)(\d*)", str(formula).strip())
    if not found:
        raise PdfkitError(
            f"formula {formula!r} is not understood: give the two elements of the core with numbers, such as Cd37S20 "
            "(ligands are put on by cap)"
        )
    one, two = ((element_symbol(found[i]), int(found[i + 1] or 1)) for i in (1, 3))
    if found[1] == found[3] or min(one[1], two[1]) < 1:
        raise PdfkitError(f"formula {formula!r} needs two different elements, at least one atom of each")
    if max(one[1], two[1]) > 1000:
        raise PdfkitError(f"formula {formula!r} is too large for a search: cut a particle by sphere or tetrahedron")
    if one[0] in _source.anions([one[0], two[0]]):
        one, two = two, one
    return (*one, *two)
