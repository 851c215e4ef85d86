"""Molecules in a crystal: which pairs of its atoms belong to one of them, and the width that such pairs have.

Atoms within the sum of their covalent radii and 0.4 Å are bonded (the rule of the Cambridge Structural Database);
what is bonded to its own translated image is a network, no molecule. Pairs of one molecule get the widths that U_inner
says, in place of those of Uᵢ + Uⱼ: they are taken off the peaks of the crystal and put back with their own width, so
that lists and bins of pairs know nothing of molecules. The variance of an inner pair is
σ² = (U_inner,i + U_inner,j)(1 + qbroad²d²) + resolution²d²; correlated motion acts between molecules. A
molecule is there as a whole, as often as its largest occupancy c: a pair in it counts by cᵢcⱼ/c, not by cᵢcⱼ, unless it
holds atoms that exclude each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError
from pdfkit.kernels import pairs as kernels
from pdfkit.phases import _bonds, _orbits, _pairs
from pdfkit.phases._geometry import Arguments, Atoms
from pdfkit.phases._lists import Table, table_of
from pdfkit.phases._orbits import Geometry, PairGroups
from pdfkit.phases.base import Quantity, displacement
from pdfkit.structure.mixing import SAME_PLACE
from pdfkit.structure.species import NOBLE, base, covalent_radius

if TYPE_CHECKING:
    from pdfkit.phases.crystal import Crystal

SLACK = 0.4
"""Å that a bond may be longer than the sum of two covalent radii."""

MOST_PARTS = 7
"""Molecules that share a place have occupancies of such parts: two orientations, four, six."""

U_INNER = 0.002
"""Å²: mean-square displacement within molecules where none is given."""


@dataclass(frozen=True)
class Molecules:
    """The molecule of each atom of the cell, −1 for none, and the cell where its atom is: number (n,), cell (n, 3).

    formulas: what there is, "4 CO2". together (n,): whether the atoms of the molecule of an atom can all be there at a
    time. rivals: two sites of a molecule that cannot, "O1 and O2", or "".
    """

    number: IntArray
    cell: IntArray
    formulas: str
    together: Any
    rivals: str

    @classmethod
    def of(cls, crystal: Crystal) -> Molecules:
        """Find the molecules of a crystal; PdfkitError where there are none among the atoms that it names."""
        n = crystal._atoms.site.size
        number, cell = np.full(n, -1), np.zeros((n, 3), dtype=np.int64)
        for sites in _groups(crystal):
            found = _found(crystal, np.array(sites), number, cell)
            if not found:
                what = "molecules = 'find'" if crystal.molecules == "find" else "one of the lists of molecules"
                raise PdfkitError(
                    f"{crystal.name}: {what} gives no molecule: its atoms have no bonds, or these go on without an "
                    "end through the crystal; name the labels of the atoms of a molecule, or leave molecules out",
                    key="molecules",
                )
        together, rivals = _together(crystal, number, cell)
        return cls(number, cell, _formulas(crystal, np.where(together, number, -1), number), together, rivals)

    def hold(self, i: Any, j: Any, shift: Any) -> Any:
        """Return which pairs i, j (n,), the atom j `shift` (n, 3) cells away, are of one molecule."""
        inside = (self.number[i] >= 0) & (self.number[i] == self.number[j])
        return inside & (shift == self.cell[j] - self.cell[i]).all(axis=1)

    def longest(self, geometry: Geometry) -> float:
        """Return the longest distance (Å) of two atoms in a molecule, or what it is at the most where that is long."""
        x = (geometry.x + self.cell) @ np.linalg.cholesky(geometry.g)
        members = (x[self.number == one] for one in range(self.number.max(initial=-1) + 1))
        return max(float(np.linalg.norm(np.ptp(one, axis=0))) for one in members)

    def pairs(self, atoms: Atoms, multiplicity: Array) -> PairGroups:
        """Return the pairs of each site's first atom with the others of its molecule, as lists of pairs have them."""
        order = np.argsort(self.number, kind="stable")
        low = np.searchsorted(self.number[order], self.number[atoms.first])
        high = np.searchsorted(self.number[order], self.number[atoms.first], side="right")
        size = np.where(self.number[atoms.first] >= 0, high - low, 0)
        i = np.repeat(atoms.first, size)
        j = np.concatenate([order[a : a + n] for a, n in zip(low, size, strict=True)])
        kept = (i != j) & (atoms.site[j] >= atoms.site[i])
        i, j = i[kept], j[kept]
        s, t = atoms.site[i], atoms.site[j]
        return PairGroups(
            atom_i=i.astype(np.int32),
            atom_j=j.astype(np.int32),
            shift=(self.cell[j] - self.cell[i]).astype(np.int32),
            mult=multiplicity[s] * np.where(s == t, 1.0, 2.0),
            group_pair=atoms.pair(s, t),
        )


def checked(given: Any) -> str | tuple[tuple[str, ...], ...]:
    """Return "find", or lists of labels; one list of labels is one kind of molecule."""
    if isinstance(given, str):
        return given and _checks.choice("molecules", given, ("find",))
    flat = [one for one in given if isinstance(one, str)]
    lists = [given] if flat and len(flat) == len(given) else given
    return tuple(_checks.names("molecules", one) for one in lists)


def check_labels(crystal: Crystal) -> None:
    """Find the molecules, and refuse what would have two meanings or none."""
    if any(site.label == "inner" for site in crystal.structure.sites):
        raise PdfkitError(f'{crystal.name}: a site is called "inner", as the width in molecules is: rename it')
    inside = crystal._atoms.site[crystal._molecules.number >= 0]
    if isinstance(crystal.inner, Mapping):
        held = {base(crystal.structure.sites[k].element) for k in inside}
        if set(crystal.inner) != held:
            raise PdfkitError(
                f"{crystal.name}: inner is given for {', '.join(crystal.inner)}, but the molecules are of "
                f"{', '.join(sorted(held))}: give each of these, or one number for all",
                key="inner",
            )


def inner_quantities(inner: float | Mapping[str, float]) -> tuple[Quantity, ...]:
    """Return the widths within molecules as quantities: inner.Uiso, or by element inner.C.Uiso…"""
    named = inner if isinstance(inner, Mapping) else {"": inner}
    names = {key: ".".join(filter(None, ("inner", key, "Uiso"))) for key in named}
    return tuple(displacement(names[key], U, "mean-square displacement in molecules") for key, U in named.items())


def checked_inner(inner: Any) -> float | dict[str, float]:
    """Return the widths within molecules as a number, or as numbers by element."""
    limits: dict[str, Any] = {"low": 0.0, "high": _checks.MOST_U}
    if isinstance(inner, Mapping):
        return {str(key): _checks.number(f"inner of {key}", U, **limits) for key, U in inner.items()}
    return _checks.number("inner", inner, **limits)


def of_sites(crystal: Crystal, values: Array) -> Array:
    """Return U_inner by site (nsites, …) of the values (n, …) of the quantities."""
    if not isinstance(crystal.inner, Mapping):
        return np.repeat(values, len(crystal.structure.sites), axis=0)
    keys = list(crystal.inner)
    elements = [base(site.element) for site in crystal.structure.sites]
    return np.array([values[keys.index(e)] if e in keys else 0.0 * values[0] for e in elements])


def with_inner(table: Table, crystal: Crystal, args: Arguments, inner: tuple[Array, Array]) -> Table:
    """Return the peaks of a crystal with those of its molecules as wide as they are.

    inner: U_inner by quantity (n,), and its tangents (n, nq).
    """
    groups = crystal._inner_pairs
    before, after = table_of(groups, args), table_of(groups, _sharp(crystal, args, *inner))
    dropped = table.dropped - _undrop(table, before)
    before.peak[:, 2] *= -1.0
    before.dpeak[:, :, 2] *= -1.0
    _count_together(after, crystal, args)
    tables = (table, before, after)
    if table.moments:
        tables = (table, before.in_moments(), after.in_moments())
    return Table(
        np.concatenate([one.pair for one in tables]),
        np.concatenate([one.peak for one in tables]),
        np.concatenate([one.dpeak for one in tables]),
        dropped,
        table.moments,
    )


def _count_together(table: Table, crystal: Crystal, args: Arguments) -> None:
    """Weigh the pairs of a molecule that is there as often as c, its largest occupancy, by cᵢcⱼ/c in place of cᵢcⱼ."""
    occ, docc = args.state[4], args.tangents[4]
    if (occ == 1.0).all() and not docc.any():
        return
    number = np.where(crystal._molecules.together, crystal._molecules.number, -1)
    largest, dlargest = _largest(number, occ, docc)
    one = number[crystal._inner_pairs.atom_i]
    changed = (one >= 0) & (largest[one] > 0.0)
    factor = np.where(changed, 1.0 / np.where(changed, largest[one], 1.0), 1.0)
    dfactor = -(factor**2) * changed * dlargest[:, one]
    table.dpeak[:, :, 2] = factor[:, None] * table.dpeak[:, :, 2] + table.peak[:, 2, None] * dfactor.T
    table.peak[:, 2] *= factor


def _largest(number: IntArray, occ: Array, docc: Array) -> tuple[Array, Array]:
    """Return the largest occupancy in molecules, and its tangents: the mean of both sides where two are as large."""
    largest = np.zeros(number.max(initial=-1) + 2)  # the last: of atoms in none
    np.maximum.at(largest, number, occ)
    first = np.flatnonzero(occ == largest[number])
    up, down = (np.full((largest.size, docc.shape[0]), end) for end in (-np.inf, np.inf))
    np.maximum.at(up, number[first], docc[:, first].T)
    np.minimum.at(down, number[first], docc[:, first].T)
    return largest, 0.5 * (np.where(np.isfinite(up), up, 0.0) + np.where(np.isfinite(down), down, 0.0)).T


def _undrop(table: Table, before: Table) -> int:
    """Give peaks without a width that are those of molecules one, and return how many: they are replaced anyway."""
    lost, inner = (np.flatnonzero(one.peak[:, 1] <= 0.0) for one in (table, before))
    same = np.isclose(table.peak[lost, :1], before.peak[inner, 0], rtol=1e-9, atol=0.0).any(axis=1)
    table.peak[lost[same], 1] = before.peak[inner, 1] = 1.0
    return int(same.sum())


def _sharp(crystal: Crystal, args: Arguments, values: Array, tangents: Array) -> Arguments:
    """Return the arguments of the kernels for pairs of molecules: other U, no correlated motion, no sharpening."""
    site = crystal._atoms.site
    g, x, _, _, occ, _ = args.state
    dg, dx, _, _, docc = args.tangents
    width, _, dwidth, *rest = args.finish
    U, dU = of_sites(crystal, values), np.ascontiguousarray(of_sites(crystal, tangents)[site].T)
    kept = np.array([0.0, 0.0, 1.0, 1.0, 0.0])  # of δ₁, δ₂, qbroad, resolution, sratio
    kind = args.kind & ~(kernels.UISO | kernels.UANISO | kernels.WIDTH)
    kind |= kernels.UISO * dU.any(axis=1) | kernels.WIDTH * (dwidth * kept).any(axis=1)
    return replace(
        args,
        state=(g, x, U[site], np.zeros((1, 3, 3)), occ, False),
        kind=kind,
        tangents=(dg, dx, dU, np.zeros((kind.size, 1, 3, 3)), docc),
        finish=(width * kept + np.array([0.0, 0.0, 0.0, 0.0, 1.0]), 0.0, dwidth * kept, *rest),
        trace=None,
    )


def _groups(crystal: Crystal) -> list[list[int]]:
    """Return the sites of each kind of molecule that the crystal names."""
    if crystal.molecules == "find":
        return [list(range(len(crystal.structure.sites)))]
    groups = [sorted({int(k) for name in names for k in _sites_of(crystal, name)}) for names in crystal.molecules]
    twice = [k for k, count in Counter(k for group in groups for k in group).items() if count > 1]
    if twice:
        raise PdfkitError(
            f"{crystal.name}: {crystal.structure.sites[twice[0]].label} is in two of the lists of molecules: a site is "
            "of one kind of molecule only, so leave it out of the others",
            key="molecules",
        )
    return groups


def _sites_of(crystal: Crystal, name: str) -> IntArray:
    """Return the sites that one of the lists names."""
    try:
        return _bonds.sites_of(crystal, name)
    except PdfkitError as error:
        words = str(error).replace("a restraint names", "molecules name", 1)
        raise PdfkitError(words, key="molecules") from None


def _found(crystal: Crystal, sites: IntArray, number: IntArray, cell: IntArray) -> bool:
    """Fill in the molecules that some sites make among themselves; return whether there is any."""
    i, j, shift = _bonded(crystal, crystal._geometry, sites)
    start = np.searchsorted(i, np.arange(number.size + 1))
    before = int(number.max(initial=-1))
    seen = np.zeros(number.size, dtype=bool)
    last = before
    for first in np.unique(i).tolist():
        if seen[first]:
            continue
        members, ends = _walk(first, (start, j, shift), seen, cell)
        if ends:
            last += 1
            number[members] = last
    return last > before


def _together(crystal: Crystal, number: IntArray, cell: IntArray) -> tuple[Any, str]:
    """Return whether the atoms of the molecule of each atom can be there at a time, and sites that cannot, or ""."""
    sites, site = crystal.structure.sites, crystal._atoms.site
    together, rivals = np.ones(number.size, dtype=bool), ""
    partial = np.array([one.occ < 1.0 for one in sites])[site]
    x = (crystal._geometry.x + cell) @ np.linalg.cholesky(crystal._geometry.g)
    for one in np.unique(number[partial & (number >= 0)]).tolist():
        atoms = np.flatnonzero(partial & (number == one))
        i, j = np.triu_indices(atoms.size, 1)
        d = np.linalg.norm(x[atoms[i]] - x[atoms[j]], axis=1)
        excluded = _pairs.exclusive(sites, site[atoms[i]], site[atoms[j]], d)
        together[number == one] = not excluded.any()
        apart = np.flatnonzero(excluded & (d > SAME_PLACE))  # on one place it is an atom, of two elements
        if apart.size and not rivals:
            rivals = " and ".join(dict.fromkeys(sites[site[atoms[k[apart[0]]]]].label for k in (i, j)))
    return together, rivals


def _walk(first: int, bonds: tuple[IntArray, IntArray, IntArray], seen: Any, cell: IntArray) -> tuple[list[int], bool]:
    """Return the atoms bonded to one, each put into the cell where its bonds lead; whether they end somewhere."""
    start, j, shift = bonds
    members, ends, k = [first], True, 0
    seen[first] = True
    cell[first] = 0
    while k < len(members):
        i = members[k]
        for p in range(start[i], start[i + 1]):
            there = cell[i] + shift[p]
            if not seen[j[p]]:
                seen[j[p]] = True
                cell[j[p]] = there
                members.append(int(j[p]))
            elif (cell[j[p]] != there).any():
                ends = False
        k += 1
    return members, ends


def _bonded(crystal: Crystal, geometry: Geometry, sites: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return the bonds i, j, shift among the atoms of some sites, in the order of i."""
    atoms, species = crystal._atoms, crystal.structure.sites
    radius = np.array([np.nan if base(s.element) in NOBLE else covalent_radius(s.element) for s in species])
    centres = np.flatnonzero(np.isin(atoms.site, sites))
    reach = 2.0 * float(np.nanmax(radius[sites], initial=0.0)) + SLACK
    alike = np.zeros(atoms.site.size, dtype=np.int64)
    i, j, shift = (one.astype(np.int64) for one in _orbits.enumerate_pairs(geometry, reach, centres, alike))
    delta = geometry.x[j] + shift - geometry.x[i]
    d = np.sqrt(np.einsum("na,ab,nb->n", delta, geometry.g, delta))
    s, t = atoms.site[i], atoms.site[j]
    kept = np.isin(t, sites) & (d <= radius[s] + radius[t] + SLACK) & ~_pairs.exclusive(species, s, t, d)
    order = np.flatnonzero(kept)
    order = order[np.argsort(i[order], kind="stable")]
    return i[order], j[order], shift[order]


def _formulas(crystal: Crystal, together: IntArray, number: IntArray) -> str:
    """Return how many molecules of which formula there are in the cell.

    Those of `together` are there as often as their largest occupancy; in others atoms of half a site are half atoms.
    """
    sites = crystal.structure.sites
    found: dict[str, float] = {}
    for one in range(number.max(initial=-1) + 1):
        amounts: Counter[str] = Counter()
        members = crystal._atoms.site[number == one]
        for s in members:
            amounts[base(sites[s].element)] += sites[s].occ
        whole: float = next((n for n in range(1, MOST_PARTS) if _is_whole(n, amounts.values())), 1)
        if (together == one).any():
            whole = 1.0 / max(max(sites[s].occ for s in members), 0.01)
        formula = _formula({element: round(whole * amount, 2) for element, amount in amounts.items()})
        found[formula] = found.get(formula, 0.0) + 1.0 / whole
    return ", ".join(f"{round(count, 2):g} {formula}" for formula, count in found.items())


def _is_whole(n: int, amounts: Iterable[float]) -> bool:
    return all(abs(n * amount - round(n * amount)) < 0.02 * n for amount in amounts)


def _formula(atoms: Mapping[str, float]) -> str:
    """Return a formula with carbon and hydrogen first (Hill)."""
    first: Sequence[str] = ("C", "H") if "C" in atoms else ()
    order = sorted(atoms, key=lambda e: (first.index(e) if e in first else 2, e))
    return "".join(f"{e}{'' if atoms[e] == 1 else f'{atoms[e]:g}'}" for e in order)
