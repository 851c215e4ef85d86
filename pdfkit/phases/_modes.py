"""Displacements that keep or break the symmetry of a particle in one way each, and shells that breathe."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pdfkit._checks import Array
from pdfkit.particles.irreps import Namer
from pdfkit.particles.particle import Particle
from pdfkit.particles.symmetry import CENTRE, TOLERANCE, PointGroup
from pdfkit.phases._network import Network, corners, lengths, rigid

STIFF = {"bonds": 0.05, "angles": 5.0}
"""Å and degrees: bonds and angles that change by this cost alike; modes are those of such springs."""
SOFT = 1e-3
"""Share of the mean stiffness that a displacement has by itself, different for each, so that no two modes are equal."""
SAME = 1e-7
"""Of the largest stiffness: modes that differ by less are equally stiff, as those of one representation are."""
APART = 1e-4
"""Of a matrix averaged over the group: values that differ by more belong to two representations."""


def modes(particle: Particle, *, symmetric: bool) -> tuple[list[str], list[str], Array]:
    """Return names, meanings and displacements (3n, k) of the irreducible modes; `symmetric`: those that break nothing.

    Modes are named after their representation, numbered from the softest on ("A1_1", "T2_3b"); a displacement by 1 has
    a root mean square of 1 Å over all atoms. Shifts and turns of the whole are left out.
    """
    group = PointGroup.of(particle)
    namer = Namer(group)
    values, vectors = np.linalg.eigh(_stiffness(particle, group))
    inside = values >= 0.0
    values, vectors = values[inside], vectors[:, inside]
    starts = np.flatnonzero(np.diff(values, prepend=-1.0) > SAME * values[-1])
    names, meanings, columns, counts = [], [], [], {}  # type: list[str], list[str], list[Array], dict[str, int]
    alike = [vectors[:, begin:end] for begin, end in zip(starts, [*starts[1:], values.size], strict=True)]
    for own, characters in (one for some in alike for one in _irreducible(some, group)):
        if symmetric and not (own.shape[1] == 1 and characters.min() > 0.5):
            continue
        word = namer.name(characters)
        counts[word] = counts.get(word, 0) + 1
        for k in range(own.shape[1]):
            names.append(f"{word}_{counts[word]}{'abcdefgh'[k] if own.shape[1] > 1 else ''}")
            meanings.append(f"displacement of all atoms, mode {counts[word]} of {word}")
            columns.append(_signed(own[:, k]) * np.sqrt(len(particle)))
    return names, meanings, np.array(columns).reshape(len(names), -1).T.copy()


def _irreducible(vectors: Array, group: PointGroup) -> Iterator[tuple[Array, Array]]:
    """Yield the irreducible parts (3n, d) of a space of equally stiff modes (3n, k), each with its characters (g,).

    Modes of two representations may be equally stiff by chance. A symmetric matrix, whichever, averaged over the group
    is a multiple of one within each representation, and another one in the next.
    """
    turns = np.array([vectors.T @ group.mapped(vectors, g) for g in range(group.order)])
    parts = [np.eye(len(turns[0]))]
    if len(turns[0]) > 1:
        any_ = np.random.default_rng(0).normal(size=turns[0].shape)
        mean = np.mean(turns @ (any_ + any_.T) @ turns.transpose(0, 2, 1), axis=0)
        values, basis = np.linalg.eigh(mean)
        parts = np.split(basis, np.flatnonzero(np.diff(values) > APART * np.abs(any_).max()) + 1, axis=1)
    for part in parts:
        yield vectors @ part if len(parts) > 1 else vectors, np.einsum("ki,gkl,li->g", part, turns, part)


def _signed(vector: Array) -> Array:
    """Return a vector or its opposite: its largest component, of equal ones the first, is positive."""
    large = int(np.argmax(np.abs(vector) > 0.999 * np.abs(vector).max()))
    return np.asarray(vector * np.sign(vector[large]))


def _stiffness(particle: Particle, group: PointGroup) -> Array:
    """Return the stiffness (3n, 3n) of springs along bonds and angles, as symmetric as the group, −1 for the whole."""
    network, n = Network.of(particle), 3 * len(particle)
    rows = [lengths(particle.xyz, network.bonds)[1].toarray() / STIFF["bonds"]]
    rows.append(corners(particle.xyz, network.angles)[1].toarray() / STIFF["angles"])
    springs = np.concatenate(rows)
    own = np.random.default_rng(0).normal(size=(n, n))
    size = max(float((springs**2).sum()) / n, 1.0)
    whole = springs.T @ springs + size * SOFT * (np.eye(n) + 0.5 * (own @ own.T) / n)
    mean = np.mean([group.mapped(group.mapped(whole, g).T.copy(), g) for g in range(group.order)], axis=0)
    move = rigid(particle.xyz)
    inside = np.eye(n) - move @ move.T
    out = inside @ (0.5 * (mean + mean.T)) @ inside - size * (move @ move.T)
    return np.asarray(0.5 * (out + out.T))


def shells(particle: Particle) -> tuple[list[str], list[str], Array]:
    """Return names, meanings and displacements (3n, k): atoms of one element, equally far from the centre, move out."""
    x = particle.xyz - particle.xyz.mean(axis=0)
    r = np.linalg.norm(x, axis=1)
    names, meanings, columns = [], [], []
    for kind, element in enumerate(particle.elements):
        own = np.flatnonzero((particle.kind == kind) & (r > CENTRE))
        own = own[np.argsort(r[own], kind="stable")]
        parts = np.split(own, np.flatnonzero(np.diff(r[own]) > TOLERANCE) + 1)
        for number, atoms in enumerate((one for one in parts if one.size), start=1):
            out = np.zeros_like(x)
            out[atoms] = x[atoms] / r[atoms, None]
            names.append(f"{element}_shell{number}")
            meanings.append(f"displacement of {atoms.size} {element} at {r[atoms].mean():.2f} Å away from the centre")
            columns.append(out.ravel())
    return names, meanings, np.array(columns).T.copy()
