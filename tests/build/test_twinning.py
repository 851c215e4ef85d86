"""Twins, icosahedra, decahedra, Wulff shapes and mirror images: numbers of atoms, bonds, symmetry, no clashes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import pdist

import pdfkit as pk
from pdfkit.errors import StructureError

NI = 3.524 / math.sqrt(2)


@pytest.mark.parametrize("shells", [1, 2, 3, 4, 6])
def test_icosahedra_have_mackays_numbers_and_lengths(shells: int) -> None:
    found = pk.build.icosahedron("Ni", shells)
    assert len(found) == (10 * shells**3 + 15 * shells**2 + 11 * shells + 3) // 3
    d = pdist(found.xyz)
    # Within a shell the distance of the metal; from shell to shell sin 72° of it.
    assert d.min() == pytest.approx(NI * math.sin(math.radians(72)), rel=1e-3)
    first = np.sort(d[d < 1.2 * NI])
    assert first[-1] == pytest.approx(NI, rel=1e-3)
    assert found.meta["family"] == "icosahedron"
    if shells < 4:
        assert pk.build.point_group(found) == "Ih"
        # Every atom inside has twelve neighbours.
        around = (np.linalg.norm(found.xyz[:, None] - found.xyz, axis=2) < 1.2 * NI).sum(axis=1) - 1
        inside = np.linalg.norm(found.xyz, axis=1) < (shells - 0.5) * NI * 0.8
        assert (around[inside] == 12).all()


@pytest.mark.parametrize(("sizes", "atoms"), [((2,), 7), ((3,), 23), ((2, 2), 13), ((2, 2, 1), 75), ((3, 3, 1), 192)])
def test_decahedra_have_five_fold_axes(sizes: tuple[int, ...], atoms: int) -> None:
    found = pk.build.decahedron("Ni", *sizes)
    assert len(found) == atoms
    assert pk.build.point_group(found) == "D5h"
    assert pdist(found.xyz).min() > 0.9 * NI


@pytest.mark.parametrize(("planes", "spacing"), [(1, 2), (2, 1), (2, 3), (3, 2)])
def test_twins_keep_every_bond_and_are_faulted_as_often_as_asked(planes: int, spacing: int) -> None:
    plain = pk.build.sphere("CdSe_zincblende", 26)
    found = pk.build.twinned("CdSe_zincblende", 26, planes=planes, spacing=spacing, trim=2)
    about = pk.build.describe(found)
    assert about.bond == pytest.approx(pk.build.describe(plain).bond, rel=1e-6)
    assert pdist(found.xyz).min() == pytest.approx(about.bond, rel=1e-6)
    assert about.family == "twinned"
    assert about.point_group in ("C3v", "C3", "D3")
    assert all(max(np.flatnonzero(histogram)) <= 4 for histogram in about.histogram.values())
    # A bilayer between two at the same place (A or B or C) is a twin plane: those asked for, about the middle.
    assert found.sites is not None
    place = {int(n3): int(n1 + n2) % 3 for n1, n2, n3, _ in found.sites}
    twins = [k for k in sorted(place) if place.get(k - 1, -1) == place.get(k + 1, -2)]
    assert np.diff(twins).tolist() == [spacing] * (planes - 1)
    assert len(twins) == planes
    heights = [found.xyz[found.sites[:, 2] == k, 2].mean() for k in twins]
    assert abs(np.mean(heights)) < about.bond


def test_wulff_shapes_are_round_where_energies_are_alike() -> None:
    energies = {(1, 1, 1): 1.0, (1, 0, 0): 1.15}
    for atoms in (50, 201, 600):
        found = pk.build.wulff("Ni", energies, atoms)
        assert abs(len(found) - atoms) < 0.35 * atoms
        assert pk.build.point_group(found) == "Oh"
        assert pdist(found.xyz).min() == pytest.approx(NI, rel=1e-6)
        assert found.lattice is not None
    # Only one kind of facet: an octahedron, and a cube.
    octahedron, cube = (pk.build.wulff("Ni", {facet: 1.0}, 250) for facet in ((1, 1, 1), (1, 0, 0)))
    assert pk.build.point_group(octahedron) == pk.build.point_group(cube) == "Oh"
    assert pk.build.describe(octahedron).compactness == pytest.approx(0.846, abs=0.03)
    assert pk.build.describe(cube).compactness == pytest.approx(0.806, abs=0.03)
    assert np.unique(np.abs(cube.xyz).max(axis=0).round(3)).size == 1


def test_wulff_shapes_of_polar_crystals_tell_opposite_facets_apart() -> None:
    found = pk.build.wulff("CdSe_zincblende", {(1, 1, 1): 1.0, (-1, -1, -1): 1.8}, 90, trim=2)
    assert pk.build.point_group(found) == "Td"
    assert found.composition()["Cd"] != found.composition()["Se"]


def test_mirrored_particles_have_the_same_distances_and_the_other_hand() -> None:
    sets = pk.build.candidates("Cd37S20", limit=4, near=0, families=["zincblende"])
    chiral = [one for one in sets if pk.build.is_chiral(one)]
    assert 0 < len(chiral) < len(sets)
    other = pk.build.mirrored(chiral[0])
    assert pk.build.same_shape(chiral[0], other)
    assert other.name == f"{chiral[0].name}_mirrored"
    centred = [one.xyz - one.xyz.mean(axis=0) for one in (chiral[0], other)]
    triple = [float(np.linalg.det(xyz[np.argsort(np.linalg.norm(xyz, axis=1))[-3:]])) for xyz in centred]
    assert triple[0] == pytest.approx(-triple[1], abs=1e-6)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: pk.build.icosahedron("CdSe_zincblende", 2), "no fcc metal"),
        (lambda: pk.build.icosahedron("Ni", 0), "shells"),
        (lambda: pk.build.icosahedron("Ni", 100), "too many"),
        (lambda: pk.build.decahedron("Ni", 1), "length"),
        (lambda: pk.build.twinned("CdSe_wurtzite", 20), "zinc blende"),
        (lambda: pk.build.twinned("CdSe_zincblende", 20, planes=0), "planes"),
        (lambda: pk.build.twinned("CdSe_zincblende", -2), "diameter"),
        (lambda: pk.build.wulff("CdSe_wurtzite", {(1, 0, 0): 1.0}, 100), "not cubic"),
        (lambda: pk.build.wulff("Ni", {(1, 0, 0): 0.0}, 100), "energy"),
        (lambda: pk.build.wulff("Ni", {(1, 1): 1.0}, 100), "no facet"),
        (lambda: pk.build.wulff("Ni", {}, 100), "do not enclose"),
    ],
)
def test_what_cannot_be_built_is_refused(build: Any, words: str) -> None:
    with pytest.raises((pk.PdfkitError, StructureError), match=words):
        build()


def test_core_cage_clusters_are_refused_with_the_reason() -> None:
    with pytest.raises(pk.PdfkitError, match="no pieces of a lattice"):
        pk.build.candidates("Cd33Se33")
