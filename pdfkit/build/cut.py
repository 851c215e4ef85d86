"""Particles cut from a crystal or a stack of bilayers: spheres, ellipsoids, rods, platelets, cubes, core–shell.

Every function takes as `source` what `network` takes. The particle's centre is at the origin, its frame is that of the
source (a ∥ x, c* ∥ z), and it carries its primitive lattice, so that its pairs can be counted by FFT.

Options of all
--------------
centre : what lies at the middle. "atom" (the first site, default), "cation", "anion", an element, "bond" (the middle of
    the shortest bond of the first site), "void" (the point furthest from all atoms), or (x, y, z) in units of the
    source's axes: the cell of a crystal; a_h, a_h and h of a stack.
trim : atoms with fewer neighbours than this are dropped, again and again until none is left that has fewer. Neighbours
    are atoms of the other kind (cations of anions) within the first shell. Below the full coordination only: no
    finite particle of zinc blende is left by trim=4.
name, meta : of the particle; meta joins what the builder says itself (shape, sizes, source, family).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit.build import _source
from pdfkit.build._source import EDGE, Box, Cylinder, Ellipsoid, Region, Source, centre_of
from pdfkit.build._stacking import crystal_source, stacking
from pdfkit.errors import PdfkitError, StructureError
from pdfkit.particles.geometry import shell_cutoff
from pdfkit.particles.particle import Particle
from pdfkit.structure.site import neutral_symbol

# --- Atoms with too few neighbours -----------------------------------------------------------------------------------

BOND_REACH = 8.0
"""Å: no first shell of a crystal is wider."""


def well_bonded(source: Source, sites: IntArray, least: int) -> NDArray[np.bool_]:
    """Return which of the sites (k, 4) stay when all with fewer than `least` neighbours go, again and again."""
    steps = _steps(source)
    reach = max(int(np.abs(n).max()) for n, _, _ in steps)
    cells = sites[:, :3] - sites[:, :3].min(axis=0) + reach
    shape = tuple(int(s) for s in cells.max(axis=0) + reach + 1)
    there = np.zeros((len(source.elements), *shape), dtype=np.bool_)
    index = (sites[:, 3], cells[:, 0], cells[:, 1], cells[:, 2])
    there[index] = True
    while True:
        count = np.zeros(there.shape, dtype=np.int8)
        for n, a, b in steps:
            ahead = tuple(slice(reach + k, s - reach + k) for k, s in zip(n, shape, strict=True))
            inner = tuple(slice(reach, s - reach) for s in shape)
            count[a][inner] += there[b][ahead]
        left = there & (count >= least)
        if (left == there).all():
            return np.asarray(there[index])
        there = left


def _steps(source: Source) -> list[tuple[tuple[int, ...], int, int]]:
    """Return (n, a, b): a site of basis a has a neighbour of basis b n cells on, wherever that one is there."""
    reach = _reach(source)
    vectors, offsets = source.lattice.vectors, source.lattice.offsets
    span = np.ceil(BOND_REACH * np.linalg.norm(np.linalg.inv(vectors), axis=0)).astype(int) + 1
    grid = np.stack(np.meshgrid(*(np.arange(-s, s + 1) for s in span), indexing="ij"), axis=-1).reshape(-1, 3)
    out = []
    for a, first in enumerate(source.elements):
        for b, second in enumerate(source.elements):
            limit = reach.get((first, second), 0.0)
            d = np.linalg.norm(grid @ vectors + offsets[b] - offsets[a], axis=1)
            out += [(tuple(map(int, n)), a, b) for n in grid[(d > 0.1) & (d <= limit)]]
    return out


def _reach(source: Source) -> dict[tuple[str, str], float]:
    """Return how far the first shell of neighbours reaches (Å), for each pair of elements that are neighbours."""
    around = source.neighbourhood
    elements = sorted(set(source.elements))
    negative, positive = _source.anions(elements), _source.cations(elements)
    if not negative:
        alike = Particle.of([elements[0]] * len(around), around.xyz)
        limit = shell_cutoff(alike, elements[0], elements[0])
        return {(a, b): limit for a in elements for b in elements}
    out = {}
    for a in sorted(positive):
        for b in sorted(negative):
            try:
                out[a, b] = out[b, a] = shell_cutoff(around, a, b)
            except StructureError:
                continue
    return out


# --- Particles cut from a crystal or a stack of bilayers -------------------------------------------------------------

Centre = str | Sequence[float]


class Options(TypedDict, total=False):
    """What every builder takes besides sizes: see the module."""

    centre: Centre
    trim: int
    name: str
    meta: Mapping[str, Any] | None


def network(source: Any) -> Source:
    """Return what particles are cut from.

    source : a `Source` (as `stacking` gives), a `Structure`, the name of one that comes with pdfkit
        ("CdS_zincblende"), a file, `ase.Atoms`, a diffpy structure, or "Cd-S:cchc": elements and a stacking sequence.

    Raises
    ------
    PdfkitError, StructureError, ReadError : any other source, partly occupied sites, a wrong sequence.

    Example
    -------
    >>> import pdfkit as pk
    >>> [pk.build.network(what).family for what in ("CdS_zincblende", "CdS_wurtzite", "Cd-S:cchc")]
    ['zincblende', 'wurtzite', 'faulted']
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, str) and source.count(":") == 1 and source.partition(":")[0].count("-") == 1:
        pair, _, sequence = source.partition(":")
        cation, anion = pair.split("-")
        return stacking(cation, anion, sequence)
    return crystal_source(source)


def sphere(
    source: Any,
    diameter: float,
    **options: Unpack[Options],
) -> Particle:
    """Return the atoms within `diameter`/2 (Å) of the centre. Options: see the module.

    Raises PdfkitError for a diameter that is not positive, StructureError when no atom is inside.

    Example
    -------
    >>> import pdfkit as pk
    >>> pk.build.sphere("Ni", 5.1).formula  # an atom and its 12 neighbours
    'Ni13'
    >>> dot = pk.build.sphere("CdSe_wurtzite", 30, centre="bond", trim=2)
    >>> dot.formula, len(dot)
    ('Cd252Se252', 504)
    """
    radius = _size("diameter", diameter) / 2
    facts = {"shape": "sphere", "diameter": 2 * radius}
    return _cut(source, Ellipsoid(np.full(3, radius)), facts, **options)


def ellipsoid(
    source: Any,
    diameters: Sequence[float],
    **options: Unpack[Options],
) -> Particle:
    """Return the atoms within an ellipsoid of three diameters (Å) along x, y, z. Options: see the module.

    Raises PdfkitError for diameters that are not three positive numbers, StructureError when no atom is inside.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> dot = pk.build.ellipsoid("CdSe_wurtzite", (20, 20, 40))
    >>> dot.formula, np.ptp(dot.xyz, axis=0).round(1).tolist()
    ('Cd137Se159', [17.2, 18.6, 35.9])
    """
    given = _checks.array("diameters", diameters)
    if given.shape != (3,):
        raise PdfkitError(f"diameters has {given.size} numbers: give three, along x, y and z")
    lengths = np.array([_size("diameters", d) for d in given])
    facts = {"shape": "ellipsoid", "diameters": tuple(lengths.tolist())}
    return _cut(source, Ellipsoid(lengths / 2), facts, **options)


def rod(
    source: Any,
    diameter: float,
    length: float,
    *,
    axis: Centre = "c",
    **options: Unpack[Options],
) -> Particle:
    """Return the atoms within a cylinder of a diameter and length (Å), its flat ends included.

    axis : "a", "b", "c" or three indices [u, v, w] along the source's axes. Other options: see the module.

    Raises PdfkitError for sizes that are not positive and for no direction, StructureError when no atom is inside.

    Example
    -------
    >>> import pdfkit as pk
    >>> rod = pk.build.rod("CdSe_wurtzite", 20, 60)
    >>> len(rod), round(pk.particles.largest_distance(rod), 1)
    (680, 59.7)
    """
    source = network(source)
    radius, half = _size("diameter", diameter) / 2, _size("length", length) / 2
    facts = {"shape": "rod", "diameter": 2 * radius, "length": 2 * half, "axis": _shown(axis)}
    region = Cylinder(_direction("axis", axis, source), radius, half)
    return _cut(source, region, facts, **options)


def platelet(
    source: Any,
    length: float,
    width: float,
    thickness: float,
    *,
    normal: Centre = "c",
    **options: Unpack[Options],
) -> Particle:
    """Return the atoms within a rectangular plate (Å).

    normal : direction that is `thickness` thick, "a", "b", "c" or [u, v, w] along the source's axes. The length runs
        along what is left of a (of b when the normal is a) at right angles to it. Other options: see the module.

    Raises PdfkitError for sizes that are not positive and for no direction, StructureError when no atom is inside.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> plate = pk.build.platelet("CdSe_zincblende", 40, 40, 13)
    >>> len(plate), len(np.unique(plate.xyz[:, 2].round(3)))  # atoms, and layers of atoms along c
    (815, 13)
    """
    source = network(source)
    sizes = [_size(n, v) for n, v in (("length", length), ("width", width), ("thickness", thickness))]
    z = _direction("normal", normal, source)
    along = next(v for v in source.axes if np.linalg.norm(np.cross(v, z)) > 0.1 * np.linalg.norm(v))
    x = along - (along @ z) * z
    x /= np.linalg.norm(x)
    facts = {"shape": "platelet", "length": sizes[0], "width": sizes[1], "thickness": sizes[2]}
    region = Box(np.array([x, np.cross(z, x), z]), np.array(sizes) / 2)
    return _cut(source, region, {**facts, "normal": _shown(normal)}, **options)


def cube(
    source: Any,
    edge: float,
    **options: Unpack[Options],
) -> Particle:
    """Return the atoms within a cube of an edge (Å) along x, y, z: a cubic crystal's axes. Options: see the module.

    Raises PdfkitError for an edge that is not positive, StructureError when no atom is inside.

    Example
    -------
    >>> import pdfkit as pk
    >>> salt = pk.build.cube("NaCl", 5.7)
    >>> salt.formula, pk.build.point_group(salt)
    ('Cl14Na13', 'Oh')
    """
    half = _size("edge", edge) / 2
    return _cut(source, Box(np.eye(3), np.full(3, half)), {"shape": "cube", "edge": 2 * half}, **options)


def core_shell(
    core: Any,
    shell: Any,
    core_diameter: float,
    diameter: float,
    **options: Unpack[Options],
) -> Particle:
    """Return a sphere whose atoms outside a concentric core have other elements, all on the core's lattice.

    shell : elements to replace ({"Se": "S"}), or another source: its cations and anions take the place of the core's.
    core_diameter, diameter : Å, of the core and of the whole. Other options: see the module.

    Raises PdfkitError for sizes that are not positive or a core larger than the whole and for elements that do not
    match, StructureError when no atom is inside.

    Example
    -------
    >>> import pdfkit as pk
    >>> dot = pk.build.core_shell("CdSe_wurtzite", {"Se": "S"}, core_diameter=20, diameter=30)
    >>> dot.formula, pk.build.sphere("CdSe_wurtzite", 30).formula
    ('Cd257S166Se78', 'Cd257Se244')
    """
    source = network(core)
    inner, outer = _size("core_diameter", core_diameter) / 2, _size("diameter", diameter) / 2
    if inner >= outer:
        raise PdfkitError(
            f"core_diameter = {2 * inner:g} is not below diameter = {2 * outer:g}: leave room for a shell"
        )
    replaced = _replacements(source, shell)
    facts = {"shape": "core-shell", "core_diameter": 2 * inner, "diameter": 2 * outer}
    whole = _cut(source, Ellipsoid(np.full(3, outer)), facts, **options)
    symbols = np.array(whole.symbols)
    outside = np.einsum("nk,nk->n", whole.xyz, whole.xyz) > (inner + EDGE) ** 2
    for old, new in replaced.items():
        symbols[outside & (np.asarray(whole.kind) == _kind(whole, old))] = new
    out = Particle.of(symbols.tolist(), whole.xyz)
    text = (
        options.get("name")
        or f"{source.name}_in_{''.join(dict.fromkeys(replaced.values()))}_{2 * inner:g}_{2 * outer:g}"
    )
    return replace(whole, elements=out.elements, kind=out.kind, name=text)


def _kind(particle: Particle, element: str) -> int:
    return particle.elements.index(element) if element in particle.elements else -1


def _replacements(source: Source, shell: Any) -> dict[str, str]:
    """Return old element → new element of the shell; PdfkitError when they do not match."""
    mine = sorted(set(source.elements))
    if isinstance(shell, Mapping):
        unknown = [old for old in shell if old not in mine]
        if unknown or not shell:
            raise PdfkitError(
                f"shell replaces {unknown or 'nothing'}, but the elements of the core are {', '.join(mine)}: name one "
                "of them"
            )
        return {old: neutral_symbol(new) for old, new in shell.items()}
    other = sorted(set(network(shell).elements))
    if len(mine) == len(other) == 1:
        return {mine[0]: other[0]}
    roles = [(_source.cations(e), _source.anions(e)) for e in (mine, other)]
    if any(len(part) != 1 for pair in roles for part in pair):
        raise PdfkitError(
            f"a shell of {', '.join(other)} does not fit a core of {', '.join(mine)}: give the elements to replace, "
            f'such as {{"{mine[0]}": "{other[0]}"}}'
        )
    return {old: new for a, b in zip(*roles, strict=True) for old, new in zip(a, b, strict=True)}


def _cut(
    source: Any,
    region: Region,
    facts: Mapping[str, Any],
    *,
    centre: Centre = "atom",
    trim: int = 0,
    name: str = "",
    meta: Mapping[str, Any] | None = None,
) -> Particle:
    source = network(source)
    at = centre_of(source, centre)
    sites = source.sites_in(region, at)
    least = int(_checks.number("trim", trim, low=0, high=12))
    if least and len(sites):
        sites = sites[well_bonded(source, sites, least)]
    sizes = [v for v in facts.values() if isinstance(v, float)]
    what = f"a {facts['shape']} of {' × '.join(f'{v:g}' for v in sizes) or facts.get('diameters')} Å"
    out: Particle = source.particle(sites, at, what=what if not least else f"{what} trimmed to {least} neighbours")
    said = {**facts, "source": source.name, "centre": _shown(centre), **({"trim": least} if least else {})}
    if source.family:
        said["family"] = source.family
    label = name or "_".join([source.name, str(facts["shape"]), *(f"{v:g}" for v in sizes)]).replace(" ", "_")
    return replace(out, name=label, meta={**said, **(meta or {})})


def _size(name: str, value: Any) -> float:
    return _checks.number(name, value, low=0.0, open_low=True)


def _shown(value: Centre) -> str:
    return value if isinstance(value, str) else " ".join(f"{float(v):g}" for v in value)


def _direction(name: str, value: Centre, source: Source) -> Array:
    """Return the unit vector of "a", "b", "c" or [u, v, w]."""
    if isinstance(value, str):
        indices = np.eye(3)["abc".index(_checks.choice(name, value, ("a", "b", "c")))]
    else:
        indices = _checks.array(name, value)
    if indices.shape != (3,) or not indices.any():
        raise PdfkitError(f"{name} = {_shown(value)} is not a direction: give a, b, c or three indices such as 1 1 1")
    out = indices @ source.axes
    return np.asarray(out / np.linalg.norm(out))
