"""What particles are cut from: the sites of a crystal or of a stack of bilayers, without end."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pdfkit._checks import Array, IntArray
from pdfkit.build import _roles
from pdfkit.build._regions import Ellipsoid, Region
from pdfkit.errors import PdfkitError, StructureError
from pdfkit.particle import Lattice, Particle

# Lattice points looked at in one go: 100 MB of positions and indices.
_SLAB = 2_000_000
MAX_SITES = 2e9


def _none() -> IntArray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Source:
    """Endless sites that particles are cut from (made by `network` and `stacking`).

    lattice : primitive; the sites are n·vectors + offsets[b]. elements : of each basis site b. axes : (3, 3) rows, the
    axes that directions and centres are given in. letters : for a stack of bilayers, 0, 1, 2 for A, B, C of each
    bilayer of one period: only sites with (n1 + n2) mod 3 = letters[n3] are there. family : "zincblende", "wurtzite",
    "faulted" or "". name : free text.

    Example
    -------
    >>> import pdfkit as pk
    >>> source = pk.build.network("CdSe_wurtzite")
    >>> source.family, source.elements, len(source.lattice.offsets)
    ('wurtzite', ('Cd', 'Cd', 'Se', 'Se'), 4)
    """

    lattice: Lattice
    elements: tuple[str, ...]
    axes: Array
    letters: IntArray = field(default_factory=_none)
    family: str = ""
    name: str = ""

    def __repr__(self) -> str:
        what = f"stack of {self.letters.size} bilayers" if self.letters.size else "crystal"
        return f"Source({self.name!r}: {what} of {', '.join(sorted(set(self.elements)))})"

    @cached_property
    def volume(self) -> float:
        """Volume of one atom in Å³."""
        cell = abs(float(np.linalg.det(self.lattice.vectors))) / len(self.elements)
        return 3 * cell if self.letters.size else cell

    @cached_property
    def first(self) -> Array:
        """Position of the first site, which is where `centre="atom"` puts the centre."""
        n = np.zeros((1, 4), dtype=np.int64)
        if self.letters.size:
            n[0, 0] = self.letters[0]
        return np.asarray(self.lattice.positions(n)[0])

    def there(self, n: IntArray) -> NDArray[np.bool_]:
        """Return which of the lattice points (k, 3) are sites."""
        if not self.letters.size:
            return np.ones(len(n), dtype=np.bool_)
        return np.asarray((n[:, 0] + n[:, 1]) % 3 == self.letters[n[:, 2] % self.letters.size])

    def sites_in(self, region: Region, centre: Array) -> IntArray:
        """Return the sites (k, 4) within a region about `centre`, by basis, then n1, n2, n3."""
        vectors, inverse = self.lattice.vectors, np.linalg.inv(self.lattice.vectors)
        high = np.array([region.reach(column) for column in inverse.T])
        low = -np.array([region.reach(-column) for column in inverse.T])
        if float(np.prod(high - low + 1)) > MAX_SITES:
            raise PdfkitError(f"{self.name}: the particle would have more than 1e8 atoms: make it smaller")
        out = []
        for b, offset in enumerate(self.lattice.offsets):
            at = (centre - offset) @ inverse
            first, last = np.ceil(at + low).astype(int), np.floor(at + high).astype(int)
            plane = max(1, int(np.prod(np.maximum(last - first + 1, 0)[1:])))
            rows = max(1, _SLAB // plane)
            for start in range(first[0], last[0] + 1, rows):
                ranges = [np.arange(start, min(start + rows, last[0] + 1))]
                ranges += [np.arange(first[k], last[k] + 1) for k in (1, 2)]
                n = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
                if self.letters.size:
                    n = n[self.there(n)]
                n = n[region.inside(n @ vectors + (offset - centre))]
                out.append(np.column_stack([n, np.full(len(n), b, dtype=np.int64)]))
        return np.concatenate(out) if out else np.zeros((0, 4), dtype=np.int64)

    def particle(self, sites: IntArray, centre: Array, *, what: str = "") -> Particle:
        """Return the atoms of some sites, `centre` at the origin."""
        if len(sites) == 0:
            raise StructureError(f"no atom of {self.name} lies in {what}: make it larger, or choose another centre")
        distinct = tuple(sorted(set(self.elements)))
        index = np.array([distinct.index(e) for e in self.elements])
        used, kind = np.unique(index[sites[:, 3]], return_inverse=True)
        xyz = self.lattice.positions(sites) - centre
        return Particle(
            tuple(distinct[k] for k in used), kind.astype(np.int64), xyz, lattice=self.lattice, sites=sites
        )  # fmt: skip

    def around(self, centre: Array, radius: float) -> Particle:
        """Return the atoms within `radius` of a point, in the source's own frame."""
        region = Ellipsoid(np.full(3, radius))
        return self.particle(self.sites_in(region, centre), np.zeros(3), what=f"a sphere of {radius:g} Å")

    @cached_property
    def neighbourhood(self) -> Particle:
        """A few hundred atoms around the first one, which is nearest to the middle."""
        return self.around(self.first, (300 * self.volume * 0.239) ** (1 / 3))

    def role(self, which: str) -> frozenset[str]:
        """Return the elements that are "cation" or "anion"; StructureError when there is no such thing."""
        out = _roles.cations(self.elements) if which == "cation" else _roles.anions(self.elements)
        if not out:
            raise StructureError(f"{self.name} has no {which}: name an element, such as {self.elements[0]}")
        return out

    def holds(self, symbol: str, points: Array) -> bool:
        """Return whether a site of this element lies within 0.05 Å of every one of the points (n, 3)."""
        inverse = np.linalg.inv(self.lattice.vectors)
        found = np.zeros(len(points), dtype=np.bool_)
        for b, element in enumerate(self.elements):
            if element != symbol:
                continue
            n = np.round((points - self.lattice.offsets[b]) @ inverse).astype(np.int64)
            near = np.linalg.norm(n @ self.lattice.vectors + self.lattice.offsets[b] - points, axis=1) < 0.05
            found |= near & self.there(n)
        return bool(found.all())
