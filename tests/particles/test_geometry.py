"""Shape and bonds of particles against lattices, closed forms and plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import pdfkit as pk
from pdfkit.particles import geometry

A = 5.832
BOND = A * math.sqrt(3) / 4
FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def zincblende(cells: int, cut: float | None = None) -> pk.Particle:
    """Return cells³ cells of CdS, or the sphere of diameter `cut` (Å) in their middle."""
    corners = np.array(list(itertools.product(range(cells), repeat=3)))
    cd = (corners[:, None] + FCC).reshape(-1, 3)
    xyz = A * np.concatenate([cd, cd + 0.25])
    symbols = np.array(["Cd"] * len(cd) + ["S"] * len(cd))
    if cut is not None:
        middle = A * (cells // 2) * np.ones(3)
        keep = ((xyz - middle) ** 2).sum(axis=1) < cut**2 / 4
        xyz, symbols = xyz[keep], symbols[keep]
    return pk.Particle.of(symbols.tolist(), xyz)


def loop_neighbours(particle: pk.Particle, reach: float) -> np.ndarray:
    """Return how many atoms of another element each atom has within reach: every pair looked at."""
    d = np.linalg.norm(particle.xyz[:, None] - particle.xyz, axis=2)
    return ((d < reach) & (particle.kind[:, None] != particle.kind)).sum(axis=1)


def shaken(particle: pk.Particle, sigma: float, seed: int = 1) -> pk.Particle:
    xyz = particle.xyz + np.random.default_rng(seed).normal(0, sigma, particle.xyz.shape)
    return pk.Particle.of(particle.symbols, xyz)


@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_surface_atoms_lack_neighbours(sigma: float) -> None:
    particle = shaken(zincblende(6, 26.0), sigma)
    expected = loop_neighbours(particle, 1.4 * BOND) < 4
    assert 0.1 < expected.mean() < 0.8
    np.testing.assert_array_equal(pk.particles.surface_mask(particle), expected)
    np.testing.assert_array_equal(pk.particles.surface_mask(particle, cutoff=1.4 * BOND, full=4), expected)


def test_surface_of_one_element_counts_all_neighbours() -> None:
    xyz = 4.08 * (np.array(list(itertools.product(range(5), repeat=3)))[:, None] + FCC).reshape(-1, 3)
    gold = pk.Particle.of(["Au"] * len(xyz), xyz)
    d = np.linalg.norm(xyz[:, None] - xyz, axis=2)
    np.testing.assert_array_equal(pk.particles.surface_mask(gold), (d < 3.4).sum(axis=1) - 1 < 12)


def test_surface_of_a_cage_depends_on_what_is_called_full() -> None:
    # A cube of alternating atoms: every atom has three neighbours.
    corners = np.array(list(itertools.product((0, 1), repeat=3)))
    cage = pk.Particle.of(["Cd" if c.sum() % 2 else "S" for c in corners], 2.8 * corners)
    assert not pk.particles.surface_mask(cage).any()
    assert pk.particles.surface_mask(cage, full=4).all()
    np.testing.assert_array_equal(pk.particles.surface_mask(cage, full={"Cd": 4}), [s == "Cd" for s in cage.symbols])


def test_second_anion_is_no_neighbour_and_ligands_are_left_out() -> None:
    core = zincblende(6, 26.0)
    rng = np.random.default_rng(3)
    mixed = ["Se" if s == "S" and rng.random() < 0.3 else s for s in core.symbols]
    np.testing.assert_array_equal(
        pk.particles.surface_mask(pk.Particle.of(mixed, core.xyz)), pk.particles.surface_mask(core)
    )
    # An O on top of each Cd at the surface would hide it.
    cap = np.flatnonzero(pk.particles.surface_mask(core) & (np.array(core.symbols) == "Cd"))
    outwards = core.xyz[cap] - core.xyz.mean(axis=0)
    oxygen = core.xyz[cap] + 2.2 * outwards / np.linalg.norm(outwards, axis=1)[:, None]
    capped = pk.Particle.of(core.symbols + ["O"] * len(cap), np.concatenate([core.xyz, oxygen]))
    mask = pk.particles.surface_mask(capped, elements=("Cd", "S"))
    np.testing.assert_array_equal(mask[: len(core)], pk.particles.surface_mask(core))
    assert mask[len(core) :].all()


def test_lone_atoms_are_surface() -> None:
    assert pk.particles.surface_mask(pk.Particle.of(["Cd"], [[0, 0, 0]])).tolist() == [True]
    assert pk.particles.surface_mask(pk.Particle.of(["Cd", "S"], [[0, 0, 0], [2.5, 0, 0]])).tolist() == [False, False]


def test_shells_of_lattices() -> None:
    particle = zincblende(4)
    second = A * math.sqrt(11) / 4
    assert geometry.shell_cutoff(particle, "Cd", "S") == pytest.approx((BOND + 1.8 * BOND) / 2, rel=1e-12)
    assert BOND < geometry.shell_cutoff(particle, "Cd", "S") < second
    # fcc of Cd: a/√2, then a.
    assert geometry.shell_cutoff(particle, "Cd", "Cd") == pytest.approx(A * (math.sqrt(0.5) + 1) / 2, rel=1e-12)


def test_shell_of_wurtzite_ends_before_the_fifth_neighbour() -> None:
    crystal = pk.load_structure("CdS_wurtzite")
    cells = np.array(list(itertools.product(range(6), range(6), range(4))))
    atoms = crystal.to_p1()
    xyz = ((cells[:, None] + atoms.positions()) @ atoms.basis()).reshape(-1, 3)
    particle = pk.Particle.of([site.element for site in atoms.sites] * len(cells), xyz)
    fifth = 0.623 * 6.749  # along c, from a cation to the anion on the far side: (1 − u)c
    assert 2.6 < geometry.shell_cutoff(particle, "Cd", "S") < fifth
    assert geometry.coordination_numbers(particle, "Cd", "S").max() == 4
    assert (~pk.particles.surface_mask(particle)).sum() > 100


def test_coordination_of_a_particle() -> None:
    particle = zincblende(4)
    d = np.linalg.norm(particle.xyz[:, None] - particle.xyz, axis=2)
    is_cd = np.array(particle.symbols) == "Cd"
    for a, b, reach in (("Cd", "S", 3.0), ("S", "Cd", 3.0), ("Cd", "Cd", 4.5), ("S", "S", 4.5)):
        block = d[is_cd == (a == "Cd")][:, is_cd == (b == "Cd")]
        expected = ((block < reach) & (block > 0.1)).sum(axis=1)
        np.testing.assert_array_equal(geometry.coordination_numbers(particle, a, b), expected)
        assert pk.particles.mean_coordination(particle, a, b) == expected.mean()
        np.testing.assert_array_equal(geometry.coordination_numbers(particle, a, b, reach), expected)
    # Bonds counted from either end are the same bonds.
    n = particle.composition()
    assert (
        pk.particles.mean_coordination(particle, "Cd", "S") * n["Cd"]
        == pk.particles.mean_coordination(particle, "S", "Cd") * n["S"]
    )


def test_bonds_and_angles_of_a_perfect_lattice() -> None:
    particle = zincblende(4)
    bonds = pk.particles.bond_lengths(particle, "Cd", "S")
    assert len(bonds) == geometry.coordination_numbers(particle, "Cd", "S").sum()
    assert bonds.mean == pytest.approx(BOND, rel=1e-13)
    assert bonds.std < 1e-13
    assert (
        len(pk.particles.bond_lengths(particle, "Cd", "Cd"))
        == geometry.coordination_numbers(particle, "Cd", "Cd").sum() / 2
    )
    angles = pk.particles.bond_angles(particle, "Cd", "S")
    n = geometry.coordination_numbers(particle, "Cd", "S")
    assert len(angles) == (n * (n - 1) // 2).sum()
    assert angles.mean == pytest.approx(math.degrees(math.acos(-1 / 3)), rel=1e-13)
    assert angles.std < 1e-11
    # 60, 90 and 120 degrees (and 180) between nearest neighbours of fcc, by a plain count around an inner atom: 24,
    # 12, 24, 6.
    inner = pk.particles.bond_angles(
        zincblende(3, 8.5).select([s == "Cd" for s in zincblende(3, 8.5).symbols]), "Cd", "Cd"
    )
    values, counts = np.unique(np.round(inner.values), return_counts=True)
    assert set(values) == {60, 90, 120, 180}
    assert counts[values == 180] >= 6


def test_bonds_and_angles_against_loops() -> None:
    particle = shaken(zincblende(4, 18.0), 0.12)
    cd = particle.xyz[[s == "Cd" for s in particle.symbols]]
    sulphur = particle.xyz[[s == "S" for s in particle.symbols]]
    lengths, angles = [], []
    for x in cd:
        arms = [y - x for y in sulphur if np.linalg.norm(y - x) < 3.2]
        lengths += [np.linalg.norm(v) for v in arms]
        for u, v in itertools.combinations(arms, 2):
            angles.append(math.degrees(math.acos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))))
    np.testing.assert_allclose(pk.particles.bond_lengths(particle, "Cd", "S", 3.2).values, sorted(lengths), rtol=1e-13)
    found = pk.particles.bond_angles(particle, "Cd", "S", 3.2)
    np.testing.assert_allclose(found.values, sorted(angles), rtol=1e-11)
    assert found.std == pytest.approx(np.std(angles), rel=1e-11)


def test_radius_of_gyration_of_a_ball_of_points() -> None:
    x = np.array(list(itertools.product(np.arange(-30, 31), repeat=3)), dtype=float)
    x = x[(x**2).sum(axis=1) < 29.5**2]
    ball = pk.Particle.of(["C"] * len(x), x)
    # A lattice fills the ball to its surface term: R from the volume of its points is good to 1e-4 here.
    R = (3 * len(x) / (4 * math.pi)) ** (1 / 3)
    assert pk.particles.radius_of_gyration(ball) == pytest.approx(math.sqrt(3 / 5) * R, rel=2e-4)


@pytest.mark.parametrize(
    ("weight", "m"), [("mass", (112.414, 32.06)), ("number", (1.0, 1.0)), ("electrons", (48.0, 16.0))]
)
def test_radius_of_gyration_of_a_molecule(weight: str, m: tuple[float, float]) -> None:
    molecule = pk.Particle.of(["Cd", "S"], [[1.0, 2, 3], [1, 2, 5.5]])
    # Reduced mass: Rg = d √(m₁m₂)/(m₁ + m₂). Atomic masses are good to 1e-5.
    expected = 2.5 * math.sqrt(m[0] * m[1]) / sum(m)
    assert pk.particles.radius_of_gyration(molecule, weight) == pytest.approx(expected, rel=2e-5)
    assert pk.particles.radius_of_gyration(pk.Particle.of(["Cd"], [[1.0, 2, 3]]), weight) == 0


@given(st.integers(0, 10_000), st.integers(1, 3))
def test_largest_distance(seed: int, dimensions: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 1200))
    xyz = np.zeros((n, 3))
    xyz[:, :dimensions] = rng.normal(0, 20, (n, dimensions))
    xyz = Rotation.random(rng=rng).apply(xyz) + rng.normal(0, 100, 3)
    d2 = ((xyz[:, None] - xyz) ** 2).sum(axis=2).max()
    # Rounding of the rotated coordinates of flat sets.
    assert pk.particles.largest_distance(pk.Particle.of(["C"] * n, xyz)) == pytest.approx(math.sqrt(d2), rel=1e-9)


def test_largest_distance_of_a_box() -> None:
    xyz = 2.5 * np.array(list(itertools.product(range(11), range(9), range(8))))  # many atoms in a plane
    assert pk.particles.largest_distance(pk.Particle.of(["C"] * len(xyz), xyz)) == pytest.approx(
        2.5 * math.hypot(10, 8, 7)
    )


def test_moving_and_turning_change_nothing() -> None:
    particle = shaken(zincblende(4, 18.0), 0.1)
    turned = particle.xyz @ Rotation.from_euler("xyz", [0.3, 1.1, 2.0]).as_matrix() + np.array([3, -40, 7])
    other = pk.Particle.of(particle.symbols, turned)
    np.testing.assert_array_equal(pk.particles.surface_mask(other), pk.particles.surface_mask(particle))
    assert pk.particles.radius_of_gyration(other) == pytest.approx(pk.particles.radius_of_gyration(particle), rel=1e-12)
    for f in (pk.particles.bond_lengths, pk.particles.bond_angles):
        np.testing.assert_allclose(f(other, "S", "Cd").values, f(particle, "S", "Cd").values, rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: pk.particles.mean_coordination(p, "Cd", "Se"), "there is no 'Se' in Cd2S: it has Cd, S"),
        (lambda p: pk.particles.bond_lengths(p, "S", "S"), "has no pair S–S"),
        (lambda p: pk.particles.bond_lengths(p, "Cd", "S", 1.0), "no Cd–S within 1 Å: give a longer cutoff"),
        (lambda p: pk.particles.bond_angles(p, "Cd", "S"), "no Cd of Cd2S has two bonds to S"),
        (lambda p: pk.particles.bond_lengths(p, "Cd", "S", -1.0), "cutoff = -1"),
        (lambda p: pk.particles.surface_mask(p, full=0), "full = 0"),
        (lambda p: pk.particles.surface_mask(p, full={"Zn": 4}), "there is no 'Zn'"),
        (lambda p: pk.particles.surface_mask(p, elements=["Zn"]), "there is no 'Zn'"),
        (lambda p: pk.particles.radius_of_gyration(p, "charge"), "weight = 'charge' is not known"),
        (lambda p: pk.particles.radius_of_gyration(p.xyz), "ndarray is not a particle"),
    ],
)
def test_what_cannot_be_answered_is_refused(call, words: str) -> None:
    molecule = pk.Particle.of(["Cd", "S", "Cd"], [[0, 0, 0], [2.5, 0, 0], [3.4, 2.3, 0]])
    with pytest.raises(pk.PdfkitError) as error:
        call(molecule)
    assert words in str(error.value)
