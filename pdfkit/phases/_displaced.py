"""Atoms of a particle that leave their places: directions in which they may, and their pairs wherever they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError
from pdfkit.particles.counting import PairTable
from pdfkit.particles.particle import Particle
from pdfkit.phases._network import Network, lengths, near
from pdfkit.structure.site import numbered_labels
from pdfkit.structure.species import base, covalent_radius

KINDS = ("atoms", "symmetric", "modes", "shells")
# Å: how far a fit looks for an atom, along each axis, and how far one can be moved at all.
RANGE, MOST = 1.0, 10.0
# So many displacements have a line each in a report.
FEW = 24
# Every pair is a peak of its own: more atoms take minutes.
MOST_ATOMS = 1000
# Part of the sum of two covalent radii below which lies no bond.
CLOSEST = 0.63
# Å: two atoms that come nearer are taken to be so far apart.
NEAREST = 1e-3


@dataclass(frozen=True, eq=False)
class Freedom:
    """Directions in which the atoms of a particle may move: x = x₀ + vectors·a, a in Å.

    names, meanings (k,): of the amplitudes a. vectors (3n, k), rows x, y, z of each atom in turn; None where each
    coordinate moves by itself.
    """

    names: tuple[str, ...]
    meanings: tuple[str, ...]
    vectors: Array | None = None

    def displaced(self, amplitudes: Array) -> Array:
        """Return displacements (3n,) or (3n, nq) for amplitudes (k,) or (k, nq)."""
        return amplitudes if self.vectors is None else np.asarray(self.vectors @ amplitudes)


def freedom_of(particle: Particle, kind: str) -> Freedom:
    """Return the directions of a kind of freedom; PdfkitError for a particle that has too many atoms for it."""
    if len(particle) > MOST_ATOMS:
        raise PdfkitError(
            f"moves={kind!r} follows every pair by itself, which takes too long for {len(particle)} atoms: it is for "
            f"particles of up to {MOST_ATOMS} atoms"
        )
    if kind != "atoms":
        from pdfkit.phases import _modes

        found = _modes.shells(particle) if kind == "shells" else _modes.modes(particle, symmetric=kind == "symmetric")
        return Freedom(tuple(found[0]), tuple(found[1]), found[2])
    labels = numbered_labels(particle.symbols)
    along = [(label, axis) for label in labels for axis in "xyz"]
    return Freedom(
        tuple(f"{label}.{axis}" for label, axis in along),
        tuple(f"displacement of {label} along {axis}" for label, axis in along),
    )


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of atoms, each for itself. atoms (m, 2); pair (m,): index into `pairs`, classes (a, b), a ≤ b."""

    atoms: IntArray
    pair: IntArray
    pairs: tuple[tuple[int, int], ...]
    labels: IntArray

    @classmethod
    def of(cls, labels: IntArray) -> Pairs:
        """Return the pairs of atoms whose classes are labels (n,)."""
        i, j = np.triu_indices(labels.size, 1)
        low, high = np.minimum(labels[i], labels[j]), np.maximum(labels[i], labels[j])
        count = int(labels.max()) + 1
        used, pair = np.unique(low * count + high, return_inverse=True)
        atoms = np.ascontiguousarray(np.column_stack([i, j]).astype(np.int64))
        return cls(atoms, pair.ravel().astype(np.int64), tuple((int(k) // count, int(k) % count) for k in used), labels)

    @cached_property
    def _counts(self) -> IntArray:
        return np.bincount(self.labels)

    def at(self, xyz: Array) -> tuple[PairTable, Array]:
        """Return the table of pair distances of atoms at xyz (n, 3), and ∂d/∂x of the first of each (m, 3)."""
        delta = xyz[self.atoms[:, 0]] - xyz[self.atoms[:, 1]]
        d = np.maximum(np.sqrt((delta**2).sum(axis=1)), NEAREST)
        cosine = delta / d[:, None]
        zero, one = np.zeros(d.size), np.ones(d.size)
        return PairTable(d, zero, one, self.pair, self.pairs, self._counts, axes=delta * cosine), cosine


def summary(particle: Particle, displaced: Array, network: Network) -> tuple[str, ...]:
    """Return how far atoms moved (n, 3), and the lengths of their bonds before and after, a line each."""
    size, labels = np.sqrt((displaced**2).sum(axis=1)), numbered_labels(particle.symbols)
    far = int(size.argmax())
    out = [
        f"displacements of {len(particle)} atoms: {np.sqrt((size**2).mean()):.3f} Å rms, at the most {size[far]:.3f} Å "
        f"of {labels[far]}"
    ]
    symbols, after = np.array(particle.symbols), lengths(particle.xyz + displaced, network.bonds)[0]
    kinds = np.array(["–".join(sorted(pair)) for pair in symbols[network.bonds].tolist()])
    for kind in np.unique(kinds).tolist():
        was, now = network.lengths[kinds == kind], after[kinds == kind]
        before, then = (f"{one.mean():.3f} ± {one.std():.3f} Å" for one in (was, now))
        out.append(f"{was.size} bonds {kind}: {before} before, {then} after")
    if (met := _met(particle, displaced)) is not None:
        i, j, apart = met
        out.append(f"{labels[i]} and {labels[j]} came to {apart:.2f} Å of each other, nearer than atoms can be")
    return tuple(out)


def _met(particle: Particle, displaced: Array) -> tuple[int, int, float] | None:
    """Return the two atoms that moved nearest to each other for their sizes, and how near, if no bond is as short."""
    radii = np.array([covalent_radius(base(e)) for e in particle.elements])[particle.kind]
    xyz = particle.xyz + displaced
    pairs = near(xyz, 2.0 * CLOSEST * float(radii.max()))
    before, after = (np.linalg.norm(x[pairs[:, 0]] - x[pairs[:, 1]], axis=1) for x in (particle.xyz, xyz))
    part = np.where(after < before, after / radii[pairs].sum(axis=1), np.inf)
    k = int(part.argmin()) if part.size else 0
    return (int(pairs[k, 0]), int(pairs[k, 1]), float(after[k])) if part.size and part[k] < CLOSEST else None
