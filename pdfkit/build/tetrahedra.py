"""Tetrahedra of zinc blende: whole, truncated, and capped (the supertetrahedra of the literature).

With the bond vectors b1…b4 from an anion to its cations (Σ b = 0), an atom of a tetrahedron lies at Σ i_k·b_k: cations
where the i_k ≥ 0 add up to n − 1, anions where they add up to n − 2. So T_n has n(n+1)(n+2)/6 cations and
(n−1)n(n+1)/6 anions, all of these four-coordinate: Cd20S10 (n = 4), Cd35S20, Cd56S35, Cd84S56, Cd120S84 (n = 8).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit.build._source import Source
from pdfkit.build._stacking import bond_length
from pdfkit.build.cut import network
from pdfkit.errors import PdfkitError, StructureError
from pdfkit.particles.particle import Lattice, Particle
from pdfkit.structure.site import neutral_symbol

LARGEST = 200
CORNER = 5 / 3
"""Bonds from the vertex of a capped tetrahedron to the cation over it: the bonds between them are eclipsed."""


def tetrahedron(source: Any, n: int, *, terminated: str = "cation", name: str = "") -> Particle:
    """Return the tetrahedron T_n with n atoms along an edge, on {111} faces of zinc blende.

    source : a zinc-blende crystal or the ABC stack (see `network`). terminated : the kind of the outer atoms, "cation"
    or "anion"; the inner kind is four-coordinate throughout.

    Raises PdfkitError for n below 2, StructureError for a source that is not zinc blende.

    Example
    -------
    >>> import pdfkit as pk
    >>> [pk.build.tetrahedron("CdSe_zincblende", n).formula for n in (2, 3, 4)]
    ['Cd4Se', 'Cd10Se4', 'Cd20Se10']
    >>> pk.build.tetrahedron("CdSe_zincblende", 4, terminated="anion").formula
    'Cd10Se20'
    """
    return _tetrahedron(source, n, 0, terminated, name)


def truncated_tetrahedron(source: Any, n: int, cut: int, *, terminated: str = "cation", name: str = "") -> Particle:
    """Return T_n without the outermost `cut` layers of outer atoms at each of its four corners.

    Inner atoms that lose a neighbour go too, so that those left are four-coordinate: n(n+1)(n+2)/6 − 4·t outer and
    (n−1)n(n+1)/6 − 4·t inner atoms, t = cut(cut+1)(cut+2)/6. Parameters: as for `tetrahedron`.

    Raises PdfkitError unless 1 ≤ cut < n/2, and when no inner atom is left.

    Example
    -------
    >>> import pdfkit as pk
    >>> cluster = pk.build.truncated_tetrahedron("CdSe_zincblende", 6, 1)
    >>> cluster.formula, pk.build.point_group(cluster), pk.particles.mean_coordination(cluster, "Se", "Cd")
    ('Cd52Se31', 'Td', 4.0)
    """
    count = whole_number("n", n, 2)
    depth = whole_number("cut", cut, 1)
    if 2 * depth >= count:
        raise PdfkitError(f"cut = {depth} is too deep for n = {count}, because the corners overlap: give cut below n/2")
    return _tetrahedron(source, count, depth, terminated, name)


def capped_tetrahedron(
    cation: str, anion: str, n: int, *, bond: float | None = None, ligands: bool = False, name: str = ""
) -> Particle:
    """Return the capped supertetrahedron C_n in ideal geometry: Cd17S4 (n = 1), Cd32S14 (2), Cd54S32 (3), …

    The anion-terminated tetrahedron T_(n+1), a cation over every anion of its faces, the anions over these, and at each
    corner one cation at 5/3 of a bond over the vertex, where the order turns hexagonal; all angles 109.47°.

    Parameters
    ----------
    bond : Å; default: that of the crystal that comes with pdfkit. ligands : whether to keep the anions with one or two
        bonds to cations, and one at the end of each corner: those of the thiolates (S4 + 28 of Cd17S4(SR)28, and four
        terminal ones more where the corners carry another ligand).

    Raises PdfkitError for n below 1, StructureError when no bond length is known. Source of the series: Dance and
    Fisher, Prog. Inorg. Chem. 41, 637 (1994).

    Example
    -------
    >>> import pdfkit as pk
    >>> [pk.build.capped_tetrahedron("Cd", "S", n).formula for n in (1, 2, 3)]
    ['Cd17S4', 'Cd32S14', 'Cd54S32']
    >>> pk.build.capped_tetrahedron("Cd", "S", 1, ligands=True).formula
    'Cd17S32'
    """
    order = whole_number("n", n, 1)
    pair = neutral_symbol(cation), neutral_symbol(anion)
    length = bond_length(*pair) if bond is None else _checks.number("bond", bond, low=1.0)
    b = length / math.sqrt(3) * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    metal = [_barycentric(order - 1) @ b, *(_face(order, k) @ b for k in range(4)), (order + CORNER) * b]
    inside = [_barycentric(order) @ b]
    for k in range(4):
        sheet = _face(order + 1, k)
        if not ligands:
            sheet = sheet[(np.delete(sheet, k, axis=1) >= 1).all(axis=1)]
        inside.append(sheet @ b)
    if ligands:
        inside.append((order + CORNER + 1) * b)
    cations, anions = np.concatenate(metal), np.concatenate(inside)
    symbols = [pair[0]] * len(cations) + [pair[1]] * len(anions)
    meta = {"shape": "capped tetrahedron", "n": order, "bond": length, "family": "capped"}
    out = Particle.of(symbols, np.concatenate([cations, anions]), meta=meta)
    return replace(out, name=name or f"{out.formula}_capped")


def _barycentric(total: int) -> IntArray:
    """Return all (i1, i2, i3, i4) ≥ 0 of a sum."""
    three = np.indices((total + 1,) * 3, dtype=np.int64).reshape(3, -1).T
    out = np.column_stack([three, total - three.sum(axis=1)])
    return np.asarray(out[out[:, 3] >= 0])


def _face(total: int, k: int) -> IntArray:
    """Return all i with i_k = −1 and the other three ≥ 0 of sum `total`: the layer next to face k."""
    out = _barycentric(total)
    out = out[out[:, k] == 0].copy()
    out[:, k] = -1
    return np.asarray(out)


def _tetrahedron(source: Any, n: int, cut: int, terminated: str, name: str) -> Particle:
    count = whole_number("n", n, 2)
    _checks.choice("terminated", terminated, ("cation", "anion"))
    source = network(source)
    inner = "anion" if terminated == "cation" else "cation"
    outer_element, inner_element, b = bonds_of(source, inner)
    outer, within = _barycentric(count - 1), _barycentric(count - 2)
    if cut:
        outer = outer[outer.max(axis=1) < count - cut]
        within = within[within.max(axis=1) < count - 1 - cut]
        if not len(within):
            raise PdfkitError(f"T{count} cut by {cut} has no {inner} left: take a larger n or a smaller cut")
    # With Σi given, Σ i_k·b_k = Σ i_k·(b_k − b4) + Σi·b4: three vectors of the face-centred lattice and an offset.
    lattice = Lattice(b[:3] - b[3], np.array([(count - 1) * b[3], (count - 2) * b[3]]))
    sites = np.vstack([np.insert(outer[:, :3], 3, 0, axis=1), np.insert(within[:, :3], 3, 1, axis=1)])
    elements = tuple(sorted((outer_element, inner_element)))
    kind = np.array([elements.index(outer_element), elements.index(inner_element)])[sites[:, 3]]
    meta = {"shape": "truncated tetrahedron" if cut else "tetrahedron", "n": count, "terminated": terminated}
    meta |= {"cut": cut} if cut else {}
    out = Particle(
        elements, kind, lattice.positions(sites), lattice=lattice, sites=sites,
        meta={**meta, "source": source.name, "family": "zincblende"},
    )  # fmt: skip
    return replace(out, name=name or f"{out.formula}_{'truncated_' if cut else ''}tetrahedron")


def bonds_of(source: Source, inner: str) -> tuple[str, str, Array]:
    """Return the outer and inner element and the bond vectors (4, 3) from an inner atom; checks for zinc blende."""
    problem = StructureError(
        f"a tetrahedron is cut from zinc blende, and {source.name} is not: take an ABC stack of it"
    )
    if len(set(source.elements)) != 2:
        raise problem
    (within,) = source.role(inner)
    (outer,) = source.role("cation" if inner == "anion" else "anion")
    around = source.neighbourhood
    symbols = np.array(around.symbols)
    # An inner atom close to the middle of the neighbourhood has all its neighbours in it.
    middle = around.xyz[symbols == within]
    middle = middle[np.argmin(np.linalg.norm(middle - source.first, axis=1))]
    arms = around.xyz[symbols == outer] - middle
    length = np.linalg.norm(arms, axis=1)
    b = arms[np.argsort(length, kind="stable")[:4]]
    if not np.allclose(b.sum(axis=0), 0.0, atol=0.05) or np.ptp(np.linalg.norm(b, axis=1)) > 0.05:
        raise problem
    whole = source.holds(outer, middle + (_barycentric(3) - [2, 0, 0, 0]) @ b) and source.holds(
        within, middle + (_barycentric(2) - [2, 0, 0, 0]) @ b
    )
    # Fluorite has all these atoms and more.
    if not whole or not math.isclose(abs(np.linalg.det(b[:3] - b[3])), 2 * source.volume, rel_tol=0.02):
        raise problem
    return outer, within, b


def whole_number(name: str, value: Any, low: int, high: int = LARGEST) -> int:
    """Return a whole number within limits; PdfkitError for anything else."""
    out = _checks.number(name, value, low=low, high=high)
    if out != int(out):
        raise PdfkitError(f"{name} = {out:g} is not a whole number: give one from {low} up")
    return int(out)
