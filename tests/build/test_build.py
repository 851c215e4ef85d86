"""Particles cut from crystals and stacks, tetrahedra, their descriptions, and files of them."""

from __future__ import annotations

import itertools
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pdfkit as pk
from pdfkit.build._stacking import letters_of
from pdfkit.build.description import schoenflies
from pdfkit.cli.clusters import build_candidates, build_particle
from pdfkit.errors import ReadError, WriteError
from pdfkit.io.xyz import clusters
from pdfkit.particles import geometry

ZB, WZ = "CdS_zincblende", "CdS_wurtzite"
ROOT = Path(__file__).parents[2]


def sorted_rows(x: np.ndarray) -> np.ndarray:
    x = np.round(x, 6) + 0.0
    return x[np.lexsort(x.T)]


def brute(name: str, centre: np.ndarray, inside) -> tuple[list[str], np.ndarray]:
    """Return symbols and positions of all atoms of a crystal within a body about `centre`, from whole cells."""
    structure = pk.load_structure(name)
    rows, atoms = structure.basis(), structure.expand()
    cells = np.array(list(itertools.product(range(-7, 8), repeat=3)))
    symbols, out = [], []
    for x, site in zip(structure.positions(), atoms.site, strict=True):
        xyz = (cells + x) @ rows - centre
        xyz = xyz[inside(xyz)]
        symbols += [structure.sites[site].element] * len(xyz)
        out.append(xyz)
    return symbols, np.concatenate(out)


# --- cutting


@pytest.mark.parametrize("name", [ZB, WZ, "NaCl", "Ni", "LaB6", "diamond", "Al2O3_corundum", "TiO2_anatase"])
def test_spheres_are_what_whole_cells_give(name: str) -> None:
    centre = np.array([0.31, 0.17, -0.23])
    particle = pk.build.sphere(name, 17.0, centre=centre)
    at = centre @ pk.load_structure(name).basis()
    symbols, xyz = brute(name, at, lambda x: np.linalg.norm(x, axis=1) <= 8.5)
    assert particle.composition() == pk.Particle.of(symbols, xyz).composition()
    np.testing.assert_allclose(sorted_rows(particle.xyz), sorted_rows(xyz), atol=2e-6)  # the rounding of sorted_rows


BODIES = {
    "ellipsoid": (
        lambda: pk.build.ellipsoid(WZ, [12, 18, 26]),
        lambda x: ((x / [6.0, 9, 13]) ** 2).sum(axis=1) <= 1 + 1e-7,
    ),
    "rod": (
        lambda: pk.build.rod(WZ, 14, 26),
        lambda x: (np.hypot(x[:, 0], x[:, 1]) <= 7 + 1e-7) & (abs(x[:, 2]) <= 13 + 1e-7),
    ),
    "cube": (lambda: pk.build.cube(WZ, 20), lambda x: (abs(x) <= 10 + 1e-7).all(axis=1)),
    "platelet": (
        lambda: pk.build.platelet(WZ, 24, 16, 9),
        lambda x: (abs(x) <= np.array([12, 8, 4.5]) + 1e-7).all(axis=1),
    ),
}


@pytest.mark.parametrize("shape", BODIES)
def test_other_bodies_are_what_whole_cells_give(shape: str) -> None:
    make, inside = BODIES[shape]
    structure = pk.load_structure(WZ)
    at = structure.positions()[0] @ structure.basis()
    _, xyz = brute(WZ, at, inside)
    np.testing.assert_allclose(sorted_rows(make().xyz), sorted_rows(xyz), atol=2e-6)


def test_directions() -> None:
    rod = pk.build.rod(ZB, 10, 40, axis=[1, 1, 1])
    along = rod.xyz @ np.ones(3) / math.sqrt(3)
    across = np.linalg.norm(rod.xyz - along[:, None] / math.sqrt(3), axis=1)
    assert 18 < along.max() <= 20
    assert across.max() <= 5 + 1e-5
    plate = pk.build.platelet(ZB, 30, 20, 7, normal="a")
    assert np.ptp(plate.xyz, axis=0) == pytest.approx([5.832, 29.16, 17.496])


BUILT = {
    "sphere": lambda: pk.build.sphere(WZ, 18, trim=2),
    "stack": lambda: pk.build.sphere(pk.build.stacking("Cd", "S", "hhc"), 20, centre="bond"),
    "random": lambda: pk.build.rod("Cd-Se:cchc", 12, 20),
    "core-shell": lambda: pk.build.core_shell("CdSe_wurtzite", "CdS_wurtzite", 12, 20),
    "tetrahedron": lambda: pk.build.tetrahedron(ZB, 6),
    "truncated": lambda: pk.build.truncated_tetrahedron("Cd-S:ABC", 7, 2, terminated="anion"),
    "boride": lambda: pk.build.cube("LaB6", 12),
}


@pytest.mark.parametrize("what", BUILT)
def test_particles_know_their_lattice(what: str) -> None:
    particle = BUILT[what]()
    shift = particle.lattice.positions(particle.sites) - particle.xyz
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-9)
    assert len(np.unique(particle.sites, axis=0)) == len(particle)
    by_lattice, by_pair = (pk.particles.count_pairs(particle, method=m) for m in ("lattice", "exact"))
    for pair in range(len(by_pair.pairs)):
        one, two = (
            np.repeat(t.distance[t.pair == pair], t.count[t.pair == pair].astype(int)) for t in (by_lattice, by_pair)
        )
        # Bins of the histogram merge distances that differ by less than their width.
        np.testing.assert_allclose(np.sort(one), np.sort(two), atol=0.005)


@pytest.mark.parametrize(
    ("name", "basis"), [(ZB, 2), (WZ, 4), ("Ni", 1), ("NaCl", 2), ("CaF2", 3), ("Fe", 1), ("Al2O3_corundum", 10)]
)
def test_lattices_are_primitive(name: str, basis: int) -> None:
    assert len(pk.build.network(name).elements) == basis
    atoms = pk.load_structure(name).to_ase()
    assert len(pk.build.network(atoms).elements) == basis
    assert pk.build.sphere(atoms, 14).formula == pk.build.sphere(name, 14).formula


def test_a_hundred_thousand_atoms() -> None:
    particle = pk.build.sphere(ZB, 168)
    density = pk.load_structure(ZB).number_density()
    # The number of lattice points in a ball is off by a few per cent of those at its surface.
    assert len(particle) == pytest.approx(density * math.pi / 6 * 168**3, rel=5e-3)
    assert len(pk.build.sphere(ZB, 168, trim=2)) < len(particle)


@pytest.mark.parametrize("source", [ZB, WZ, "Cd-S:hc"])
def test_centres(source: str) -> None:
    bond = 2.53
    for centre, symbol in (("cation", "Cd"), ("anion", "S"), ("S", "S"), ("atom", "Cd")):
        particle = pk.build.sphere(source, 12, centre=centre)
        d = np.linalg.norm(particle.xyz, axis=1)
        assert d.min() < 1e-9
        assert particle.symbols[int(d.argmin())] == symbol
    particle = pk.build.sphere(source, 12, centre="bond")
    two = np.argsort(np.linalg.norm(particle.xyz, axis=1))[:2]
    assert sorted(particle.symbols[i] for i in two) == ["Cd", "S"]
    assert np.linalg.norm(particle.xyz[two], axis=1) == pytest.approx([bond / 2] * 2, abs=0.01)
    np.testing.assert_allclose(particle.xyz[two].sum(axis=0), 0, atol=1e-9)


def test_voids() -> None:
    salt = pk.build.sphere("NaCl", 12, centre="void")
    d = np.sort(np.linalg.norm(salt.xyz, axis=1))[:9]
    a = pk.load_structure("NaCl").cell[0]
    assert d[:8] == pytest.approx([math.sqrt(3) / 4 * a] * 8)
    assert d[8] > d[0] + 1
    metal = np.linalg.norm(pk.build.sphere("Ni", 12, centre="void").xyz, axis=1)
    assert metal.min() == pytest.approx(pk.load_structure("Ni").cell[0] / 2)  # the octahedral one, not the tetrahedral
    for source in (ZB, WZ, "Cd-S:hcc"):
        assert np.linalg.norm(pk.build.sphere(source, 12, centre="void").xyz, axis=1).min() > 2.5


@pytest.mark.parametrize(("source", "least"), [(ZB, 2), (WZ, 2), ("Cd-S:ch", 2), ("NaCl", 3), ("Ni", 6)])
def test_trimming_is_what_repeated_counting_gives(source: str, least: int) -> None:
    from scipy.spatial import cKDTree

    whole = pk.build.sphere(source, 20, centre=[0.1, 0.2, 0.3])
    keep = np.ones(len(whole), dtype=bool)
    reach = 1.2 * np.linalg.norm(whole.xyz[1:] - whole.xyz[0], axis=1).min()
    near = cKDTree(whole.xyz).sparse_distance_matrix(cKDTree(whole.xyz), reach).toarray() > 0
    while (gone := keep & ((near[:, keep]).sum(axis=1) < least)).any():
        keep &= ~gone
    trimmed = pk.build.sphere(source, 20, centre=[0.1, 0.2, 0.3], trim=least)
    np.testing.assert_array_equal(trimmed.xyz, whole.xyz[keep])
    assert 0 < len(trimmed) < len(whole)


def test_core_and_shell_share_one_lattice() -> None:
    core = pk.build.sphere("CdSe_wurtzite", 15)
    whole = pk.build.core_shell("CdSe_wurtzite", {"Se": "S"}, 15, 25, name="dot")
    inside = np.linalg.norm(whole.xyz, axis=1) <= 7.5 + 1e-6
    assert whole.select(inside).formula == core.formula
    assert set(whole.select(~inside).symbols) == {"Cd", "S"}
    assert whole.name == "dot"
    assert pk.build.core_shell("CdSe_wurtzite", "ZnS_zincblende", 15, 25).elements == ("Cd", "S", "Se", "Zn")
    assert pk.build.core_shell("Au", "Ag", 10, 20).elements == ("Ag", "Au")


def test_meta_says_how_a_particle_was_made() -> None:
    particle = pk.build.sphere("Cd-S:hc", 15, centre="anion", trim=2, meta={"sample": 7})
    expected = {"shape": "sphere", "diameter": 15.0, "source": "CdS hc", "centre": "anion", "trim": 2}
    assert dict(particle.meta) == {**expected, "family": "faulted", "sample": 7}
    assert particle.name == "CdS_hc_sphere_15"


# --- stacks


def test_abc_is_zinc_blende_and_ab_is_wurtzite() -> None:
    a, (a_h, c) = pk.load_structure(ZB).cell[0], (pk.load_structure(WZ).cell[k] for k in (0, 2))
    cubic = pk.build.stacking("Cd", "S", "ABC", a_h=a / math.sqrt(2))
    hexagonal = pk.build.stacking("Cd", "S", "AB", a_h=a_h, h=c / 2, u=0.377)
    for centre in ("cation", "anion"):
        assert pk.build.same_shape(pk.build.sphere(cubic, 24, centre=centre), pk.build.sphere(ZB, 24, centre=centre))
        assert pk.build.same_shape(
            pk.build.sphere(hexagonal, 24, centre=centre), pk.build.sphere(WZ, 24, centre=centre)
        )


@pytest.mark.parametrize("sequence", ["ABC", "AB", "hc", "cchccc", "ABCBAC"])
def test_ideal_bilayers_have_one_bond_length_and_one_angle(sequence: str) -> None:
    particle = pk.build.sphere(pk.build.stacking("Cd", "S", sequence, bond=2.53), 22)
    bonds, angles = geometry.bond_lengths(particle, "Cd", "S"), geometry.bond_angles(particle, "Cd", "S")
    np.testing.assert_allclose(bonds.values, 2.53, rtol=1e-12)
    np.testing.assert_allclose(angles.values, math.degrees(math.acos(-1 / 3)), rtol=1e-9)  # acos loses digits
    d = np.linalg.norm(particle.xyz, axis=1)
    shell = np.sort(d[(np.array(particle.symbols) == "Cd") & (d < 7)]) / (2.53 * math.sqrt(8 / 3))
    assert shell[1:13] == pytest.approx([1.0] * 12)
    assert shell[13:19] == pytest.approx([math.sqrt(2)] * 6)


@pytest.mark.parametrize(
    ("text", "letters"),
    [("c", "ABC"), ("h", "AC"), ("wurtzite", "AC"), ("hc", "ACBC"), ("cch", None), ("ABCB", "ABCB")],
)
def test_sequences(text: str, letters: str | None) -> None:
    found = letters_of(text)
    if letters is not None:
        assert "".join("ABC"[k] for k in found) == letters
    assert (found != np.roll(found, 1)).all()
    if set(text) <= set("hc"):
        hexagonal = np.roll(found, 1) == np.roll(found, -1)
        assert [bool(x) for x in hexagonal] == [t == "h" for t in text] * (len(found) // len(text))


def test_random_stacks() -> None:
    one, again, other = (pk.build.stacking("Cd", "S", "random", layers=400, alpha=0.3, seed=s) for s in (1, 1, 2))
    assert (one.letters == again.letters).all()
    assert one.letters.size != other.letters.size or (one.letters != other.letters).any()
    hexagonal = np.roll(one.letters, 1) == np.roll(one.letters, -1)
    assert hexagonal.mean() == pytest.approx(0.3, abs=5 * math.sqrt(0.3 * 0.7 / 400))
    assert (one.letters != np.roll(one.letters, 1)).all()
    assert set(pk.build.stacking("Cd", "S", "random", alpha=0, seed=1).letters) == {0, 1, 2}


@pytest.mark.parametrize(("sequence", "share"), [("c", 0.0), ("h", 1.0), ("hc", 0.5), ("hcc", 1 / 3)])
def test_hexagonality_follows_the_stacking(sequence: str, share: float) -> None:
    rod = pk.build.rod(f"Cd-S:{sequence}", 20, 100)
    # Of a rod: its bilayers are alike, but there are not many.
    assert pk.build.hexagonality(rod) == pytest.approx(share, abs=0.05)
    turned = pk.Particle.of(rod.symbols, rod.xyz @ turn([1, 2, 3], 50.0))
    assert pk.build.hexagonality(turned) == pytest.approx(pk.build.hexagonality(rod))


def test_what_is_no_tetrahedral_network_has_no_hexagonality() -> None:
    assert math.isnan(pk.build.hexagonality(pk.build.sphere("NaCl", 15)))
    assert math.isnan(pk.build.hexagonality(pk.build.sphere("Ni", 15)))


# --- tetrahedra


@pytest.mark.parametrize("n", range(2, 10))
def test_tetrahedra(n: int) -> None:
    particle = pk.build.tetrahedron(ZB, n)
    assert particle.composition() == {"Cd": math.comb(n + 2, 3), "S": math.comb(n + 1, 3)}
    assert (geometry.coordination_numbers(particle, "S", "Cd", 3.0) == 4).all()
    assert geometry.largest_distance(particle) == pytest.approx((n - 1) * 5.832 / math.sqrt(2))
    turned = pk.build.tetrahedron("Cd-S:ABC", n, terminated="anion")
    assert turned.composition() == {"S": math.comb(n + 2, 3), "Cd": math.comb(n + 1, 3)}
    assert pk.build.point_group(particle) == "Td"


@pytest.mark.parametrize(("n", "cut"), [(4, 1), (5, 1), (6, 2), (9, 4)])
def test_truncated_tetrahedra(n: int, cut: int) -> None:
    particle = pk.build.truncated_tetrahedron(ZB, n, cut)
    lost = 4 * math.comb(cut + 2, 3)
    assert particle.composition() == {"Cd": math.comb(n + 2, 3) - lost, "S": math.comb(n + 1, 3) - lost}
    assert (geometry.coordination_numbers(particle, "S", "Cd", 3.0) == 4).all()
    assert pk.build.point_group(particle) == "Td"


@pytest.mark.parametrize(("n", "formula", "ligands"), [(1, "Cd17S4", 32), (2, "Cd32S14", 54), (3, "Cd54S32", 84)])
def test_capped_tetrahedra_are_those_of_the_literature(n: int, formula: str, ligands: int) -> None:
    core = pk.build.capped_tetrahedron("Cd", "S", n)
    whole = pk.build.capped_tetrahedron("Cd", "S", n, ligands=True)
    assert core.formula == formula
    assert whole.composition()["S"] == ligands
    # With its ligands every cation is a perfect tetrahedron, the corners included.
    assert (geometry.coordination_numbers(whole, "Cd", "S", 3.0) == 4).all()
    angles = geometry.bond_angles(whole, "Cd", "S").values
    np.testing.assert_allclose(angles, math.degrees(math.acos(-1 / 3)), rtol=1e-9)  # acos loses digits
    assert geometry.bond_lengths(whole, "Cd", "S").std < 1e-12
    assert pk.build.point_group(core) == pk.build.point_group(whole) == "Td"
    from scipy.spatial.distance import pdist

    assert pdist(whole.xyz).min() > 2.5


# --- symmetry


def turn(axis, angle: float) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    axis = np.asarray(axis, dtype=float)
    return Rotation.from_rotvec(axis / np.linalg.norm(axis) * math.radians(angle)).as_matrix()


def closed(*generators: np.ndarray) -> np.ndarray:
    group = [np.eye(3)]
    for one in group:
        for generator in generators:
            new = one @ generator
            if all(np.abs(new - old).max() > 1e-6 for old in group):
                group.append(new)
    return np.array(group)


Z, X, XYZ, GOLD = [0, 0, 1], [1, 0, 0], [1, 1, 1], (1 + math.sqrt(5)) / 2
FLAT, SIDE, INVERT = np.diag([1.0, 1, -1]), np.diag([1.0, -1, 1]), -np.eye(3)
GROUPS = {"C1": (np.eye(3),), "Ci": (INVERT,), "Cs": (FLAT,)}
for _n in (2, 3, 4, 5, 6):
    GROUPS |= {
        f"C{_n}": (turn(Z, 360 / _n),),
        f"C{_n}v": (turn(Z, 360 / _n), SIDE),
        f"C{_n}h": (turn(Z, 360 / _n), FLAT),
        f"S{2 * _n}": (turn(Z, 180 / _n) @ FLAT,),
        f"D{_n}": (turn(Z, 360 / _n), turn(X, 180)),
        f"D{_n}h": (turn(Z, 360 / _n), turn(X, 180), FLAT),
        f"D{_n}d": (turn(Z, 180 / _n) @ FLAT, turn(X, 180)),
    }
GROUPS |= {
    "T": (turn(Z, 180), turn(XYZ, 120)),
    "Td": (turn(Z, 90) @ FLAT, turn(XYZ, 120)),
    "Th": (turn(Z, 180), turn(XYZ, 120), INVERT),
    "O": (turn(Z, 90), turn(XYZ, 120)),
    "Oh": (turn(Z, 90), turn(XYZ, 120), INVERT),
    "I": (turn([0, 1, GOLD], 72), turn(XYZ, 120)),
    "Ih": (turn([0, 1, GOLD], 72), turn(XYZ, 120), INVERT),
}


@pytest.mark.parametrize("name", GROUPS)
def test_point_groups_of_general_orbits(name: str) -> None:
    """Orbits of a few general points, each of its own element, have no symmetry beyond the group that made them."""
    group = closed(*GROUPS[name])
    assert schoenflies(group) == name
    points = np.random.default_rng(7).normal(size=(4, 3)) + np.array([1.0, 2.0, 3.0])
    tilted = turn([3, 1, 2], 37.0)
    xyz = np.concatenate([group @ p for p in points]) @ tilted
    particle = pk.Particle.of(np.repeat(["Cd", "S", "Zn", "Se"], len(group)), xyz)
    assert pk.build.point_group(particle, tolerance=1e-4) == name


@pytest.mark.parametrize(
    ("symbols", "xyz", "name"),
    [
        ("H", [[1, 2, 3]], "Kh"),
        ("HCl", [[0, 0, 0], [0, 0, 1.3]], "Cinfv"),
        ("OCO", [[0, 0, 1.2], [0, 0, 0], [0, 0, -1.2]], "Dinfh"),
        ("HOH", [[0.76, 0.6, 0], [0, 0, 0], [-0.76, 0.6, 0]], "C2v"),
        ("BFFF", [[0, 0, 0], [1, 0, 0], [-0.5, 0.75**0.5, 0], [-0.5, -(0.75**0.5), 0]], "D3h"),
    ],
)
def test_point_groups_of_molecules(symbols: str, xyz: list, name: str) -> None:
    names = ["H", "Cl"] if symbols == "HCl" else list(symbols)
    assert pk.build.point_group(pk.Particle.of(names, xyz)) == name


def test_point_groups_of_cut_particles() -> None:
    assert pk.build.point_group(pk.build.sphere("Ni", 18)) == "Oh"
    assert pk.build.point_group(pk.build.sphere(WZ, 18)) == "C3v"
    assert pk.build.point_group(pk.build.cube("NaCl", 12)) == "Oh"
    corner = pk.build.tetrahedron(ZB, 5)
    far = np.linalg.norm(corner.xyz, axis=1)
    assert pk.build.point_group(corner.select(np.arange(len(corner)) != int(far.argmax()))) == "C3v"
    # Atoms that are off by less than the tolerance do not break it.
    noisy = corner.xyz + np.random.default_rng(1).uniform(-0.005, 0.005, corner.xyz.shape)
    assert pk.build.point_group(pk.Particle.of(corner.symbols, noisy)) == "Td"
    assert pk.build.point_group(pk.Particle.of(corner.symbols, noisy), tolerance=1e-3) == "C1"


# --- descriptions


def test_descriptions() -> None:
    told = pk.build.describe(pk.build.tetrahedron(ZB, 5))
    assert (told.formula, told.atoms, told.family, told.point_group) == ("Cd35S20", 55, "zincblende", "Td")
    # Corners have one neighbour, edges two, faces three; the one inside has four.
    assert dict(told.histogram) == {"Cd": (0, 4, 18, 12, 1), "S": (0, 0, 0, 0, 20)}
    assert told.coordination["Cd"] == pytest.approx(80 / 35)
    assert told.mass == pytest.approx(35 * 112.414 + 20 * 32.06, rel=1e-3)
    assert told.compactness == pytest.approx((math.pi * math.sqrt(3) / 18) ** (1 / 3))
    assert told.bond == pytest.approx(math.sqrt(3) / 4 * 5.832)
    assert told.row()["coordination S"] == 4.0
    cube = pk.build.describe(pk.build.cube("NaCl", 11.2))
    assert (cube.point_group, cube.family) == ("Oh", "")
    assert cube.compactness == pytest.approx((math.pi / 6) ** (1 / 3))
    flat = pk.build.describe(pk.build.platelet("graphite", 15, 15, 1))
    assert flat.compactness == 0.0
    one = pk.build.describe(pk.Particle.of(["Cd"], [[0, 0, 0]]))
    assert (one.point_group, one.largest_distance, math.isnan(one.bond)) == ("Kh", 0.0, True)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), mirror=st.booleans())
def test_fingerprints_know_shapes_only(seed: int, mirror: bool) -> None:
    rng = np.random.default_rng(seed)
    particle = pk.build.sphere(WZ, 12, centre=rng.uniform(size=3))
    order = rng.permutation(len(particle))
    rotation = turn(rng.normal(size=3), rng.uniform(0, 360)) * (-1 if mirror else 1)
    moved = pk.Particle.of([particle.symbols[i] for i in order], particle.xyz[order] @ rotation + rng.normal(size=3))
    assert pk.build.same_shape(particle, moved, tolerance=1e-9)
    other = moved.xyz.copy()
    other[0] += 0.1
    assert not pk.build.same_shape(particle, pk.Particle.of(moved.symbols, other))
    kept = list(pk.build.unique([particle, moved, pk.Particle.of(moved.symbols, other), moved]))
    assert len(kept) == 2
    assert kept[0] is particle


# --- files


def test_shipped_clusters() -> None:
    made = runpy.run_path(str(ROOT / "benchmarks" / "make_clusters.py"))["clusters"]()
    assert set(made) == set(clusters())
    for name, (particle, _) in made.items():
        shipped = pk.Particle.from_file(name)
        assert shipped.formula == name.split("_")[0]
        # The files hold ten decimals; which of equal candidates is the first is decided in whole numbers.
        np.testing.assert_allclose(shipped.xyz, particle.xyz, atol=1e-9)
        assert shipped.symbols == particle.symbols
    assert len(pk.io.available_structures()) == len(list((ROOT / "structures").glob("*.cif")))


def test_a_folder_of_files(tmp_path: Path) -> None:
    for n in (3, 2):
        pk.io.write_xyz(tmp_path / f"t{n}.xyz", pk.build.tetrahedron(ZB, n))
    (tmp_path / "notes.txt").write_text("no structure")
    found = list(pk.build.from_folder(tmp_path))
    assert [(p.name, p.formula) for p in found] == [("t2", "Cd4S"), ("t3", "Cd10S4")]
    assert found[0].meta["family"] == "file"
    (tmp_path / "a.xyz").write_text("this is none\n")
    with pytest.raises(ReadError, match="not the number of atoms"):
        list(pk.build.from_folder(tmp_path))
    errors: list[str] = []
    assert len(list(pk.build.from_folder(tmp_path, on_error=lambda path, error: errors.append(path.name)))) == 2
    assert errors == ["a.xyz"]


def test_build_command(tmp_path: Path) -> None:
    report = build_particle("tetrahedron", ZB, [5], tmp_path / "t.xyz", trim=None)
    assert report.text == f"{tmp_path / 't.xyz'}: Cd35S20, 55 atoms, zincblende, Td, 16.50 Å across"
    assert pk.Particle.from_file(tmp_path / "t.xyz").formula == "Cd35S20"
    for shape, sizes, options in (
        ("sphere", [12.0], {"trim": 2, "centre": "anion"}),
        ("ellipsoid", [9, 10, 12], {}),
        ("rod", [9, 20], {"axis": "a"}),
        ("platelet", [12, 12, 5], {}),
        ("cube", [9], {}),
        ("truncated-tetrahedron", [5, 1], {"terminated": "anion"}),
        ("capped-tetrahedron", [2], {"ligands": True}),
        ("core-shell", [8, 14], {"shell": "CdSe_zincblende"}),
    ):
        assert build_particle(shape, ZB, sizes, tmp_path / f"{shape}.xyz", **options).files[0].exists()
    found = build_candidates("Cd4S", tmp_path / "many", seed=1, near=None)
    assert [path.name for path in found.files] == ["Cd4S_zincblende_1.xyz"]
    with pytest.raises(pk.PdfkitError, match="no Cd44S was found"):
        build_candidates("Cd44S", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(WriteError, match="results need a folder"):
        build_candidates("Cd4S", tmp_path / "t.xyz")


# --- wrong input


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pk.build.sphere("CdS_zinkblende", 20), "the nearest are CdS_zincblende"),
        (lambda: pk.build.sphere("nothing.cif", 20), "nothing.cif"),
        (lambda: pk.build.sphere(3, 20), "int is not one: give a Structure"),
        (lambda: pk.build.sphere(pk.Particle.of(["Cd"], [[0, 0, 0]]), 20), "has no cell"),
        (lambda: pk.build.sphere(ZB, 0), "diameter = 0 is outside"),
        (lambda: pk.build.sphere(ZB, "wide"), "diameter = 'wide' is not a number"),
        (lambda: pk.build.sphere(ZB, 0.1, centre="void"), "no atom of CdS_zincblende lies in a sphere of 0.1 Å"),
        (lambda: pk.build.sphere(ZB, 20, trim=4), "trimmed to 4 neighbours"),
        (lambda: pk.build.sphere(ZB, 1e5), "more than 1e8 atoms"),
        (lambda: pk.build.sphere(ZB, 20, centre="Se"), "choose one of atom, cation, anion, bond, void, Cd, S"),
        (lambda: pk.build.sphere(ZB, 20, centre=[1, 2]), "centre has 2 numbers"),
        (lambda: pk.build.sphere("Ni", 20, centre="anion"), "has no anion: name an element"),
        (lambda: pk.build.ellipsoid(ZB, [1, 2]), "diameters has 2 numbers"),
        (lambda: pk.build.rod(ZB, 10, 20, axis="d"), "axis = 'd' is not known"),
        (lambda: pk.build.rod(ZB, 10, 20, axis=[0, 0, 0]), "is not a direction"),
        (lambda: pk.build.core_shell(ZB, {"S": "Se"}, 20, 10), "leave room for a shell"),
        (lambda: pk.build.core_shell(ZB, {"O": "Se"}, 10, 20), "but the elements of the core are Cd, S"),
        (lambda: pk.build.core_shell(ZB, "Ni", 10, 20), "does not fit a core of Cd, S"),
        (lambda: pk.build.tetrahedron(WZ, 5), "CdS_wurtzite is not"),
        (lambda: pk.build.tetrahedron("CaF2", 5), "CaF2 is not"),
        (lambda: pk.build.tetrahedron(ZB, 1), "n = 1 is outside"),
        (lambda: pk.build.tetrahedron(ZB, 4.5), "not a whole number"),
        (lambda: pk.build.truncated_tetrahedron(ZB, 4, 2), "corners overlap"),
        (lambda: pk.build.truncated_tetrahedron(ZB, 3, 1), "has no anion left"),
        (lambda: pk.build.capped_tetrahedron("Pb", "S", 1), "no bond length is known for Pb–S"),
        (lambda: pk.build.stacking("Cd", "S", "ABX"), "stacking 'ABX' is not understood"),
        (lambda: pk.build.stacking("Cd", "S", "ABBC"), "B on B where bilayers 2 and 3"),
        (lambda: pk.build.stacking("Cd", "S", "ABCA"), "its end meets its beginning"),
        (lambda: pk.build.stacking("Cd", "S", ""), "stacking '' is not understood"),
        (lambda: pk.build.stacking("Cd", "Q", "AB"), "'Q' is not an element"),
        (lambda: pk.build.stacking("Cd", "S", "random"), "needs a seed"),
        (lambda: pk.build.stacking("Cd", "S", "AB", u=0.9), "u = 0.9 is outside"),
        (lambda: pk.build.network("Cd-S:x"), "stacking 'x' is not understood"),
        (lambda: pk.build.from_folder("no such folder"), "this is not a folder"),
        (lambda: build_particle("ball", ZB, [3]), "shape 'ball' is not known"),
        (lambda: build_particle("rod", ZB, [3]), "a rod takes 2 sizes (diameter, length), not 1"),
        (lambda: build_particle("cube", ZB, [9], axis="c"), "a cube has no axis"),
        (lambda: build_particle("core-shell", ZB, [9, 12]), "needs a shell"),
        (lambda: build_particle("tetrahedron", ZB, [4.5]), "4.5 is not a whole number"),
    ],
)
def test_wrong_input_is_refused_in_one_line(make, words: str) -> None:
    with pytest.raises(pk.PdfkitError) as error:
        make()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"there is no \.xyz file"):
        pk.build.from_folder(tmp_path)
