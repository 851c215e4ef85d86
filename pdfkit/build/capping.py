"""Ligands on a cluster: as many as its charge asks for, on the bonds that its surface lacks, without clashes.

The network of the core says where bonds are missing (`_dangling`). A maximum matching pairs them: two of one cation
take a chelating ligand, two of neighbouring cations a bridging one. A seeded search turns the ligands, and those that
touch are pushed apart (`_settling`); the core stands as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.build._dangling import Dangling, dangling
from pdfkit.build._dangling import paired as matched
from pdfkit.build._settling import ENOUGH, Bundle, near_in, radii
from pdfkit.build.ligands import Ligand, ligand_of
from pdfkit.errors import PdfkitError, StructureError, remark
from pdfkit.particles.particle import RELAXED, Particle
from pdfkit.structure.species import base, covalent_radius, species

CHARGES: Mapping[str, int] = {
    **dict.fromkeys(("Zn", "Cd", "Hg", "Pb", "Mg", "Ca", "Mn"), 2),
    **dict.fromkeys(("O", "S", "Se", "Te"), -2),
    **dict.fromkeys(("Ga", "In", "Al"), 3),
    **dict.fromkeys(("N", "P", "As", "Sb"), -3),
}
"""Charges of the ions of a core, in electrons."""
HARD = 0.15
"""Å: bonds of O and N to metals are longer than the sum of their covalent radii by this (Cd–O 2.25, Zn–O 2.03)."""
JITTER = 0.1
"""Å: how far, at random, ligands begin from where geometry has them."""
LEAST_ANGLE = 85.0
"""Degrees at an atom that binds, between the core and its own ligand: chelating carboxylates have 87 to 93."""
TRIES, ALONE = 12, 6
"""How often places are looked for; and then, of what binds by one atom, places at one cation each."""


@dataclass(frozen=True, eq=False)
class _Site:
    """A ligand in its place: atoms (n, 3), and the atom of the core that each anchor is bound to, maybe two."""

    ligand: Ligand
    xyz: Array
    held: tuple[tuple[int, int], ...]


def cap(
    particle: Any,
    ligand: Any = "acetate",
    *,
    count: int | None = None,
    neutral: Any = None,
    charge: Mapping[str, float] | None = None,
    ligand_charge: int | None = None,
    anchors: Sequence[int] | None = None,
    seed: int = 1,
) -> Particle:
    """Return a cluster with its ligands: the same core, then the atoms of the ligands, marked in `Particle.ligand`.

    Parameters
    ----------
    particle : the core, a network of cations and anions. ligand : "formate", "acetate", "benzoate", "phenylacetate",
        "oleate", "Cl", "H", or an `ase.Atoms` (of one that is no carboxylate: ligand_charge and anchors, the one or two
        atoms that bind). count : how many; default: as many as make the whole neutral. neutral : a ligand without
        charge for bonds that are left ("water", "ammonia", "methylamine", an `ase.Atoms`). charge : {element: charge}
        of ions that are not known (Cd, Zn, Hg, Pb 2; In, Ga 3; O, S, Se, Te −2; N, P, As −3). seed : of the pairing
        and of how ligands are turned.

    A core with positive charge takes anions on its cations, a negative one H⁺ on its anions. The meta of the result has
    ligand, ligands, chelates, bridges, terminal, unpaired, core_charge, net_charge. Raises PdfkitError for a charge
    that is not known or no multiple of the ligand's, StructureError for a core that is no network or where there is
    no room.

    Example
    -------
    >>> import pdfkit as pk
    >>> core = next(iter(pk.build.candidates("Cd20Se10", limit=1, near=0)))
    >>> dot = pk.build.cap(core, "formate")
    >>> dot.formula, dot.core.formula, dot.meta["ligands"], dot.meta["net_charge"]
    ('C20Cd20H20O40Se10', 'Cd20Se10', 20, 0)
    >>> print(f"{dot.mass:.0f} g/mol, {100 * dot.organic_fraction:.1f} % of it ligands")
    3938 g/mol, 22.9 % of it ligands
    """
    given = Particle.from_structure(particle)
    core = replace(given.core, lattice=None, sites=None, remarks=(*given.remarks, *_replaced(given)))
    if anchors is not None and isinstance(ligand, str) and isinstance(neutral, str | None):
        raise PdfkitError(f"anchors are of an ase.Atoms, and what binds of {ligand} is known: leave them out")
    kind = ligand_of(ligand, charge=ligand_charge, anchors=anchors)
    total = core_charge(core, charge)
    if kind.name == "H" and total < 0:
        kind = replace(kind, charge=1)
    wanted = _number(total, kind, core) if count is None else _checks.whole("count", count, low=0, high=10_000)
    where = dangling(core, "anion" if kind.charge > 0 else "cation")
    reason = ""
    for attempt in range(TRIES + ALONE * (len(kind.anchors) == 1 and not _is_terminal(kind))):
        rng = np.random.default_rng([_seed(seed), attempt])
        paired = attempt < TRIES
        places = _places(core, where, kind, wanted, rng, paired=paired)
        sites = [_site(core, where, kind, place, rng) for place in places]
        if neutral is not None:
            sites += _neutral_sites(core, where, ligand_of(neutral, charge=0, anchors=anchors), places, rng)
        bundle = _bundle(core, sites)
        xyz = bundle.settled()
        part, pair = bundle.tightest(xyz)
        if part >= ENOUGH:
            left = len(where) - sum(map(len, places)) if neutral is not None else 1
            said = _fallen_back(kind, paired) + ("no bonds are left for a neutral ligand: none is put on",) * (not left)
            core = replace(core, remarks=(*core.remarks, *map(remark, said)))
            return _worn(core, sites, xyz, _about(kind, where, places, total, paired=paired))
        reason = _tight(core, sites, part, pair)
    raise StructureError(
        f"{wanted} {kind.name} have no room on {core.name or core.formula}: {reason}; take a smaller ligand, or fewer"
    )


def core_charge(core: Particle, charge: Mapping[str, float] | None = None) -> float:
    """Return the charge of a core in electrons, as the sum of those of its ions.

    Raises PdfkitError for an element whose charge is neither known nor given.

    Example
    -------
    >>> import pdfkit as pk
    >>> pk.build.core_charge(pk.build.tetrahedron("CdSe_zincblende", 4))
    20.0
    """
    if charge is not None and not isinstance(charge, Mapping):
        raise PdfkitError(f'charge = {_checks.short(charge)}: give charges by elements, such as {{"Cd": 2}}')
    known = {**CHARGES, **(charge or {})}
    if strange := sorted(str(one) for one in set(charge or {}) - {*core.elements, *map(base, core.elements)}):
        raise PdfkitError(
            f"charge names {', '.join(strange)}, and {core.name or core.formula} has {', '.join(core.elements)}: "
            "correct the elements"
        )
    total = 0.0
    for element, number in core.composition().items():
        one = species(element)
        value = known.get(element, known.get(one.element, one.charge or None))
        if value is None:
            raise PdfkitError(
                f"the charge of {element} in {core.name or core.formula} is not known: if it belongs to ligands that "
                f'are there already, give the core without them; else its charge, such as charge={{"{element}": 2}}'
            )
        total += number * _checks.number(f"charge of {element}", value, low=-9, high=9)
    return total


def _seed(seed: Any) -> int:
    return _checks.whole("seed", seed, low=0, high=2**53)


def _number(total: float, kind: Ligand, core: Particle) -> int:
    """Return how many ligands make the core neutral."""
    name = core.name or core.formula
    if kind.charge == 0:
        raise PdfkitError(
            f"{kind.name} has no charge that could balance {total:+g} of {name}: give count=, or it as neutral="
        )
    number = -total / kind.charge
    if number < 0 or not math.isclose(number, round(number), abs_tol=1e-6):
        raise PdfkitError(
            f"the core {name} has the charge {total:+g}, which {kind.name} ({kind.charge:+d}) cannot balance: "
            f"{'it has anions in excess, which take H' if total < 0 else 'choose another ligand'}; or say how many "
            "from Python (count=)"
        )
    return round(number)


# --- Which bonds each ligand takes -----------------------------------------------------------------------------------


def _places(
    core: Particle, where: Dangling, kind: Ligand, wanted: int, rng: np.random.Generator, *, paired: bool = True
) -> list[tuple[int, ...]]:
    """Return the dangling bonds of each ligand: pairs as far as bonds and their matching go, single ones for the rest.

    paired : whether there may be pairs.

    With m bonds for L ligands, p pairs leave L − p single ones: 2p + (L − p) ≤ m, so that p ≤ m − L.
    """
    if wanted > len(where):
        raise StructureError(
            f"{core.name or core.formula} lacks {len(where)} bonds, which {wanted} {kind.name} cannot share: "
            "give a smaller count="
        )
    alone = _is_terminal(kind) or not paired
    pairs = [] if alone else matched(core.xyz, where, rng)[: min(wanted, len(where) - wanted)]
    taken = {k for pair in pairs for k in pair}
    free = [k for k in range(len(where)) if k not in taken]
    # Those that stand alone are spread: one on each atom before any has a second.
    order = [free[k] for k in rng.permutation(len(free))]
    atoms = [int(where.atom[k]) for k in order]
    lonely = sorted(range(len(order)), key=lambda k: atoms[:k].count(atoms[k]))
    return [*pairs, *((order[k],) for k in lonely[: wanted - len(pairs)])]


def _is_terminal(kind: Ligand) -> bool:
    """Return whether a ligand binds to one atom only: H, and neutral ones with one anchor."""
    return kind.name == "H" or (len(kind.anchors) == 1 and kind.charge == 0)


def _neutral_sites(
    core: Particle, where: Dangling, kind: Ligand, places: Sequence[tuple[int, ...]], rng: np.random.Generator
) -> list[_Site]:
    """Return a neutral ligand on every bond that is left."""
    taken = {k for place in places for k in place}
    return [_site(core, where, kind, (k,), rng) for k in range(len(where)) if k not in taken]


# --- Where its atoms go ----------------------------------------------------------------------------------------------


def _site(core: Particle, where: Dangling, kind: Ligand, place: tuple[int, ...], rng: np.random.Generator) -> _Site:
    """Return a ligand over its bonds, its tail pointing away from the core."""
    atoms = list(dict.fromkeys(int(where.atom[k]) for k in place))
    bonds = [_bond(core.symbols[k], kind.symbols[kind.anchors[0]]) for k in atoms]
    bases, outward = core.xyz[atoms], where.direction[list(place)].sum(axis=0)
    across = np.diff(bases, axis=0)[0] if len(atoms) == 2 else np.diff(where.direction[list(place)], axis=0).sum(axis=0)
    u, w = _frame(outward, across, rng)
    spread = _spread(kind)
    half = 0.5 * float(np.linalg.norm(bases[-1] - bases[0]))
    reach = max(bonds) ** 2 - abs(half - 0.5 * spread) ** 2
    middle = bases.mean(axis=0) + math.sqrt(max(reach, 0.5)) * u
    held = _held(kind, atoms, len(place))
    # Ligands whose bonds point to one spot are told apart by chance.
    return _Site(kind, middle + _oriented(kind, u, w, rng) + JITTER * rng.normal(size=3), held)


def _held(kind: Ligand, atoms: Sequence[int], bonds: int) -> tuple[tuple[int, int], ...]:
    """Return (anchor, atom of the core) for each bond of a ligand."""
    if len(kind.anchors) == 1:
        return tuple((kind.anchors[0], atom) for atom in atoms)
    if len(atoms) == 2:
        return ((kind.anchors[0], atoms[0]), (kind.anchors[1], atoms[1]))
    return tuple((anchor, atoms[0]) for anchor in kind.anchors[:bonds])


def _spread(kind: Ligand) -> float:
    """Return the distance (Å) of the two anchors, 0 for one."""
    return float(np.linalg.norm(kind.xyz[kind.anchors[-1]] - kind.xyz[kind.anchors[0]]))


def _bond(metal: str, atom: str) -> float:
    """Return the length (Å) of a bond to a ligand: covalent radii, and a little more for O and N."""
    return covalent_radius(metal) + covalent_radius(atom) + (HARD if atom in ("O", "N") else 0.0)


def _frame(outward: Array, across: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return two unit vectors: outward without its part along the second, and across (any, where there is none)."""
    if np.linalg.norm(across) < 1e-6:
        across = np.cross(outward if np.linalg.norm(outward) > 1e-6 else rng.normal(size=3), rng.normal(size=3))
    w = across / np.linalg.norm(across)
    u = outward - (outward @ w) * w
    if np.linalg.norm(u) < 1e-6:  # a flat molecule bound by opposite atoms
        u = np.cross(w, rng.normal(size=3))
    return np.asarray(u / np.linalg.norm(u)), np.asarray(w)


def _oriented(kind: Ligand, u: Array, w: Array, rng: np.random.Generator) -> Array:
    """Return the atoms of a ligand: the middle of its anchors at the origin, one to the other along w, tail along u.

    With one anchor the ligand is turned about u, with two it is tilted about w by up to 20°.
    """
    own = kind.xyz - kind.xyz[list(kind.anchors)].mean(axis=0)
    if len(kind) == 1:
        return np.asarray(own)
    across = own[kind.anchors[-1]] - own[kind.anchors[0]]
    tail = own.mean(axis=0) if len(kind.anchors) == 1 else _near(kind, own)
    u0, w0 = _frame(tail, across, rng)
    angle = math.radians(20) * rng.uniform(-1, 1) if len(kind.anchors) == 2 else 2 * math.pi * rng.random()
    first = np.stack([u0, w0, np.cross(u0, w0)])
    v = np.cross(u, w)
    if len(kind.anchors) == 2:
        u, v = math.cos(angle) * u + math.sin(angle) * v, math.cos(angle) * v - math.sin(angle) * u
    else:
        w, v = math.cos(angle) * w + math.sin(angle) * v, math.cos(angle) * v - math.sin(angle) * w
    return np.asarray(own @ first.T @ np.stack([u, w, v]))


def _near(kind: Ligand, own: Array) -> Array:
    """Return the mean place of what lies next to the anchors: the C of a carboxylate, not its long tail."""
    steps = kind.steps[list(kind.anchors)].min(axis=0)
    return np.asarray(own[(steps >= 1) & (steps <= 2)].mean(axis=0))


# --- All together ----------------------------------------------------------------------------------------------------


def _bundle(core: Particle, sites: Sequence[_Site]) -> Bundle:
    """Return the core and its ligands as what settles."""
    symbols = [*core.symbols, *(s for site in sites for s in site.ligand.symbols)]
    kept, length, bonded, around = [], [], set(), []  # type: list[Any], list[float], set[tuple[int, int]], list[Any]
    for first, site in _placed(core, sites):
        kind = site.ligand
        for i, j in zip(*np.nonzero(np.triu(kind.stiff)), strict=True):
            kept.append((first + i, first + j))
            length.append(kind.distances[i, j])
        near = np.triu(near_in(kind.steps, 3) | kind.stiff)
        bonded |= {(first + int(i), first + int(j)) for i, j in zip(*np.nonzero(near), strict=True)}
        for anchor, atom in site.held:
            kept_bond = _bond(core.symbols[atom], kind.symbols[anchor])
            kept.append((atom, first + anchor))
            length.append(kept_bond)
            next_to = np.flatnonzero(kind.steps[anchor] == 1)
            bonded |= {(atom, first + int(k)) for k in (anchor, *next_to)}
            around += [(atom, first + int(k), _least(kept_bond, float(kind.distances[anchor, k]))) for k in next_to]
    xyz = np.concatenate([core.xyz, *(site.xyz for site in sites)])
    pairs = np.array(kept, dtype=np.int64).reshape(-1, 2)
    corners = np.array([one[:2] for one in around], dtype=np.int64).reshape(-1, 2)
    least = np.array([one[2] for one in around])
    return Bundle(xyz, radii(symbols), len(core), pairs, np.array(length), frozenset(bonded), corners, least)


def _least(one: float, other: float) -> float:
    """Return how near (Å) the ends of two bonds of a binding atom may come: at its least angle."""
    return math.sqrt(one**2 + other**2 - 2.0 * one * other * math.cos(math.radians(LEAST_ANGLE)))


def _placed(core: Particle, sites: Sequence[_Site]) -> Iterator[tuple[int, _Site]]:
    """Yield each ligand with the number of its first atom."""
    first = len(core)
    for site in sites:
        yield first, site
        first += len(site.ligand)


def _worn(core: Particle, sites: Sequence[_Site], xyz: Array, about: Mapping[str, Any]) -> Particle:
    """Return the particle of a core and its ligands."""
    symbols = [*core.symbols, *(s for site in sites for s in site.ligand.symbols)]
    mine = np.arange(len(symbols)) >= len(core)
    name = f"{core.name or core.formula}_{about['ligand']}"
    said = tuple(map(remark, _doubts(name, about)))
    # What it says of a relaxation was said of other ligands.
    meta = {key: value for key, value in core.meta.items() if not key.startswith(RELAXED)}
    meta.update(about)
    return Particle.of(symbols, xyz, ions=True, name=name, meta=meta, ligand=mine, remarks=(*core.remarks, *said))


def _replaced(particle: Particle) -> tuple[str, ...]:
    """Return the remark on ligands that others replace; none on a bare core."""
    atoms = len(particle) - len(particle.core)
    if not atoms:
        return ()
    worn = f"its {atoms} atoms of ligands{f' ({kind})' if (kind := particle.meta.get('ligand')) else ''}"
    return (remark(f"{particle.name or particle.formula} has ligands already: {worn} are replaced"),)


def _doubts(name: str, about: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is to be known of a capped particle."""
    if not about["ligands"]:
        yield f"{name} wears no ligands: none are needed for a core without charge, or none were asked for"
    if about["net_charge"]:
        yield f"{name} has the charge {about['net_charge']:+g}"
    if about["unpaired"]:
        yield (
            f"{name}: no pairing of the bonds that the surface lacks gives every {about['ligand']} two of them: "
            f"{about['unpaired']} more than necessary are bound by one"
        )


def _fallen_back(kind: Ligand, paired: bool) -> tuple[str, ...]:
    """Say that atoms which could bind to two cations do not."""
    if paired or _is_terminal(kind):
        return ()
    return (f"{kind.name} has no room between two cations here: each is bound to one",)


def _about(
    kind: Ligand, where: Dangling, places: Sequence[tuple[int, ...]], total: float, *, paired: bool
) -> dict[str, Any]:
    """Return what the meta of a capped particle says."""
    chelates = sum(len(place) == 2 and bool(where.atom[place[0]] == where.atom[place[1]]) for place in places)
    pairs = sum(len(place) == 2 for place in places)
    single = chelates if len(kind.anchors) == 1 else 0  # one atom takes both bonds, and is bound once
    most = 0 if _is_terminal(kind) or not paired else min(len(places), len(where) - len(places))
    binding = {
        "unpaired": max(0, most - pairs),
        "chelates": chelates - single,
        "bridges": pairs - chelates,
        "terminal": len(places) - pairs + single,
    }
    charges = {"core_charge": total, "net_charge": total + kind.charge * len(places)}
    whole = {key: int(value) if float(value).is_integer() else value for key, value in charges.items()}
    return {"ligand": kind.name, "ligands": len(places), **binding, **whole}


def _tight(core: Particle, sites: Sequence[_Site], part: float, pair: tuple[int, int]) -> str:
    symbols = [*core.symbols, *(s for site in sites for s in site.ligand.symbols)]
    return f"{symbols[pair[0]]} and {symbols[pair[1]]} come to {part:.0%} of their least distance"
