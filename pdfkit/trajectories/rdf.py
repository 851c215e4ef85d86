"""g(r) of pairs of species in shells, as programs for simulations have it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError
from pdfkit.trajectories.averages import Averages


@dataclass(frozen=True, eq=False)
class RDF:
    """g_ab(r), the density of atoms b at a distance from an atom a over their mean density, in shells.

    Formula: g_ab = n_ab/(N_a·ρ_b·(4π/3)(r₂³ − r₁³)), n_ab ordered pairs between r₁ and r₂ per frame, ρ_b = N_b/V
    averaged over frames; an atom is no pair with itself, and N_a − 1 is not put in place of N_a. As
    `freud.density.RDF` and `MDAnalysis.analysis.rdf.InterRDF` have it.

    edges : (n + 1,) Å, of the shells. g : (n,) by pair (a, b), a ≤ b; dg : errors by blocks, or None. density :
    atoms/Å³ by species.
    """

    edges: Array
    g: Mapping[tuple[str, str], Array]
    dg: Mapping[tuple[str, str], Array] | None
    density: Mapping[str, float]

    @property
    def r(self) -> Array:
        """Middles of the shells (n,) in Å."""
        return np.asarray(0.5 * (self.edges[1:] + self.edges[:-1]))

    def neighbours(self, centre: str, neighbour: str, rmax: float) -> float:
        """Return the mean number of atoms `neighbour` within rmax (Å, the nearest edge of a shell) of one `centre`.

        Raises PdfkitError for a species that is not there.
        """
        for one in (centre, neighbour):
            if one not in self.density:
                raise PdfkitError(f"there is no {one}: the species are {', '.join(self.density)}")
        shells = int(np.argmin(np.abs(self.edges - rmax)))
        first, second = sorted((centre, neighbour))
        volumes = 4.0 * math.pi / 3.0 * np.diff(self.edges**3)
        return float((self.g[first, second] * volumes)[:shells].sum() * self.density[neighbour])


def rdf_of(averages: Averages, elements: tuple[str, ...], atoms: IntArray, rstep: float, fine: int, shells: int) -> RDF:
    """Return g(r) of averages whose bins are rstep/fine wide, in `shells` shells."""
    edges: Array = rstep * np.arange(shells + 1, dtype=np.float64)
    a, b = np.triu_indices(len(elements))
    share = atoms / atoms.sum()
    # Unordered pairs of unlike species are the ordered ones from either; of like species each stands for two.
    ordered = np.where(a == b, 2.0, 1.0) / np.maximum(atoms[a] * share[b], 1e-300)
    factor = ordered[:, None] / (4.0 * math.pi / 3.0 * np.diff(edges**3))

    def g_of(sums: Array, density: float) -> Array:
        number = sums[:, : shells * fine, 0].reshape(len(a), shells, fine).sum(axis=2)
        return np.asarray(number * factor / density)

    pairs = [(elements[i], elements[j]) for i, j in zip(a, b, strict=True)]
    mean = g_of(averages.mean, averages.density)
    each = np.array([g_of(*one) for one in zip(averages.blocks, averages.densities, strict=True)])
    errors = averages.errors(each, rstep)
    return RDF(
        edges,
        dict(zip(pairs, mean, strict=True)),
        None if errors is None else dict(zip(pairs, errors, strict=True)),
        dict(zip(elements, (share * averages.density).tolist(), strict=True)),
    )
