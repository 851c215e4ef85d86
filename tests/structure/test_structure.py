"""Structures: what symmetry leaves free, against character theory and brute force in every space group."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdfkit.errors import PdfkitError, PdfkitWarning, StructureError
from pdfkit.structure import symmetry, tidy
from pdfkit.structure.site import Site, element_symbol
from pdfkit.structure.structure import NAMES_CELL, NAMES_U, NAMES_XYZ, Structure

CUBIC = (5.0, 5.0, 5.0, 90, 90, 90)
HEXAGONAL = (4.0, 4.0, 6.5, 90, 90, 120)


def tabulated_groups():
    """Return (name, R, t) of every space group and setting of diffpy.structure, without repetitions."""
    from diffpy.structure.spacegroups import SpaceGroupList

    out, seen = [], set()
    for group in SpaceGroupList:
        operations = list(group.iter_symops())
        R = np.array([np.round(op.R) for op in operations]).astype(int)
        t = np.array([op.t for op in operations])
        key = frozenset((r.tobytes(), np.round(s % 1 * 24).tobytes()) for r, s in zip(R, t, strict=True))
        if key not in seen:
            seen.add(key)
            out.append((f"{group.number}:{group.short_name}", R, t))
    return out


GROUPS = tabulated_groups()


def group_named(short_name):
    return next((R, t) for name, R, t in GROUPS if name.split(":")[1] == short_name)


def invariant_cell(R, seed):
    """Return a cell of general shape with the symmetry of R: a random metric averaged over the group."""
    A = np.diag([5.0, 5.7, 6.4]) + np.random.default_rng(seed).uniform(-0.6, 0.6, (3, 3))
    G = A @ A.T
    return symmetry.cell_of(np.mean([r.T @ G @ r for r in R], axis=0))


def evaluate(constraints, names, values):
    """Return `values` with the dependent ones replaced by what their expressions give."""
    known = dict(zip(names, values, strict=True))
    free = {name: value for name, value in known.items() if name not in constraints}
    return np.array([eval(constraints.get(name, name), {"__builtins__": {}}, free) for name in names])


def dimension_vector(R):
    """Return the number of free coordinates: the trivial representation in R, by characters."""
    return round(float(np.mean([np.trace(r) for r in R])))


def dimension_tensor(R):
    """Return the number of free components of a symmetric tensor: characters of the symmetric square."""
    return round(float(np.mean([(np.trace(r) ** 2 + np.trace(r @ r)) / 2 for r in R])))


def fixing(R, t, x):
    """Return the operations that leave x in place modulo the lattice, by brute force."""
    keep = []
    for r, s in zip(R, t, strict=True):
        d = r @ x + s - x
        if np.abs(d - np.round(d)).max() < 1e-6:
            keep.append((r, s))
    return keep


def test_there_are_all_230_space_groups():
    numbers = {int(name.split(":")[0]) % 1000 for name, _, _ in GROUPS}
    assert numbers == set(range(1, 231))


POINTS = (
    (0.0, 0.0, 0.0),
    (0.25, 0.25, 0.25),
    (1 / 3, 2 / 3, 0.123),
    (0.137, 0.137, 0.137),
    (0.137, 0.274, 0.25),
    (0.0, 0.5, 0.211),
    (0.137, 0.0, 0.25),
    (0.137, 0.863, 0.0),
    (0.113, 0.222, 0.345),
)


@pytest.mark.parametrize("part", range(4))
def test_constraints_in_every_group(part):
    for number, (name, R, t) in enumerate(GROUPS[part::4]):
        cell = invariant_cell(R, number)
        rng = np.random.default_rng(number)
        for k in (number % len(POINTS), (number + 4) % len(POINTS)):
            structure = Structure(cell, (Site("A", "Ni", POINTS[k], 0.01),), name, R, t)
            check_cell(structure, name)
            check_position(structure, name, rng)
            check_tensor(structure, name, rng)
            # Orbit and stabiliser: multiplicity × site symmetry = order of the group.
            stabiliser = fixing(R, t, np.array(structure.sites[0].xyz))
            assert structure.multiplicities()[0] * len(stabiliser) == len(R), name


def check_cell(structure, name):
    constraints = structure.cell_constraints()
    assert 6 - len(constraints) == dimension_tensor(structure.rotations), name
    # cell_of goes through arccos: 1e-7° near 90°.
    np.testing.assert_allclose(evaluate(constraints, NAMES_CELL, structure.cell), structure.cell, atol=1e-6)
    bent = [5.1, 6.2, 7.3, 81.0, 82.0, 83.0]
    rows = symmetry.basis(evaluate(constraints, NAMES_CELL, bent))
    G = rows @ rows.T
    for r in structure.rotations:
        np.testing.assert_allclose(r.T @ G @ r, G, atol=1e-6, err_msg=name)


def check_position(structure, name, rng):
    x = np.array(structure.sites[0].xyz)
    group = fixing(structure.rotations, structure.translations, x)
    constraints = structure.position_constraints(0)
    assert 3 - len(constraints) == dimension_vector([r for r, _ in group]), name
    np.testing.assert_allclose(evaluate(constraints, NAMES_XYZ, x), x, atol=1e-12, err_msg=name)
    moved = evaluate(constraints, NAMES_XYZ, x + rng.uniform(-0.01, 0.01, 3))
    for r, s in group:
        d = r @ moved + s - moved
        np.testing.assert_allclose(d, np.round(d), atol=1e-12, err_msg=name)


def check_tensor(structure, name, rng):
    star = symmetry.reciprocal_lengths(structure.basis())
    x = np.array(structure.sites[0].xyz)
    group = fixing(structure.rotations, structure.translations, x)
    constraints = structure.U_constraints(0)
    assert 6 - len(constraints) == dimension_tensor([r for r, _ in group]), name
    U = evaluate(constraints, NAMES_U, rng.uniform(0.001, 0.02, 6))
    for r, _ in group:
        np.testing.assert_allclose(symmetry.rotate_U(U, r, star), U, atol=1e-9, err_msg=name)
    unit = structure.U_tensor(0)
    np.testing.assert_allclose(evaluate(constraints, NAMES_U, unit), unit, atol=1e-9, err_msg=name)


def test_conventional_parameters_stay_free():
    R, t = group_named("P-3m1")
    site = Structure((8, 8, 10, 90, 90, 120), (Site("A", "Ni", (0.1, 0.2, 0.3)),), "P -3 m 1", R, t)
    assert site.position_constraints("A") == {"y": "2*x"}
    assert site.U_constraints("A") == {"U12": "0.5*U22", "U23": "2*U13"}
    assert site.cell_constraints() == {"b": "a", "alpha": "90", "beta": "90", "gamma": "120"}


def test_constraints_agree_with_diffpy_structure():
    # The free directions must span the same space as diffpy's (its own choice of parameters differs).
    from diffpy.structure import spacegroups
    from diffpy.structure.symmetryutilities import GeneratorSite

    find = getattr(spacegroups, "get_space_group", None) or spacegroups.GetSpaceGroup

    for number, x in (
        (216, (0.1, 0.1, 0.1)),
        (186, (1 / 3, 2 / 3, 0.2)),
        (62, (0.1, 0.25, 0.3)),
        (15, (0, 0.1, 0.25)),
    ):
        group = find(number)
        theirs = GeneratorSite(group, np.array(x))
        operations = list(group.iter_symops())
        R, t = np.array([np.round(o.R) for o in operations]).astype(int), np.array([o.t for o in operations])
        ours = Structure(invariant_cell(R, number), (Site("A", "Ni", x),), "", R, t)
        assert ours.multiplicities()[0] == theirs.multiplicity
        assert 3 - len(ours.position_constraints(0)) == len(theirs.null_space)
        assert 6 - len(ours.U_constraints(0)) == len(theirs.Uspace)
        for vector in theirs.null_space:
            moved = np.array(ours.sites[0].xyz) + 0.01 * vector
            np.testing.assert_allclose(evaluate(ours.position_constraints(0), NAMES_XYZ, moved), moved, atol=1e-9)
        for tensor in theirs.Uspace:
            U = symmetry.voigt(tensor)
            np.testing.assert_allclose(evaluate(ours.U_constraints(0), NAMES_U, U), U, atol=1e-9)


def test_a_cell_off_its_symmetry_directions_has_no_simple_constraints():
    R = np.array([np.eye(3), [[0, 1, 0], [1, 0, 0], [0, 0, -1]]]).astype(int)
    structure = Structure((4, 4, 7, 80, 100, 70), (Site("A", "Ni", (0.1, 0.2, 0.3)),), "C 2", R, np.zeros((2, 3)))
    assert structure.cell_constraints() == {"b": "a", "beta": "180 - alpha"}
    R = np.array([np.eye(3), [[1, 0, 0], [1, -1, 0], [0, 0, -1]]]).astype(int)
    cell = invariant_cell(R, 1)
    structure = Structure(cell, (Site("A", "Ni", (0.1, 0.2, 0.3)),), "C 2", R, np.zeros((2, 3)))
    with pytest.raises(StructureError, match="conventional cell"):
        structure.cell_constraints()
    assert structure.to_p1().cell_constraints() == {}


# --- expansion


# The positions are made up, so some atoms come closer than bonds.
@pytest.mark.filterwarnings("ignore:atoms of sites")
@pytest.mark.parametrize("name", ["F-43m", "P63mc", "R-3c", "Fd-3m", "Ia-3d", "Pnma", "C2/c", "I41/amd"])
def test_expansion_is_every_image_once(name):
    from diffpy.structure.symmetryutilities import ExpandAsymmetricUnit

    R, t = group_named(name)
    cell = tuple(2 * x for x in invariant_cell(R, 3)[:3]) + invariant_cell(R, 3)[3:]
    sites = (Site("A", "Ni", (0, 0, 0)), Site("B", "O", (0.11, 0.22, 0.34)))
    structure = Structure(cell, sites, name, R, t)
    atoms, xyz = structure.expand(), structure.positions() % 1.0
    for i, site in enumerate(structure.sites):
        mine = np.round(xyz[atoms.site == i], 6) % 1.0
        brute = {tuple(np.round((r @ site.xyz + s) % 1.0, 6) % 1.0) for r, s in zip(R, t, strict=True)}
        assert {tuple(p) for p in mine} == brute
        assert len(mine) == len(brute)
        first = int(np.argmax(atoms.site == i))
        assert (atoms.rotation[first] == np.eye(3)).all()
        assert (atoms.translation[first] == 0).all()

    class Group:
        @staticmethod
        def iter_symops():
            from diffpy.structure.spacegroups import SymOp

            return (SymOp(r.astype(float), s) for r, s in zip(R, t, strict=True))

    theirs = ExpandAsymmetricUnit(Group, [np.array(s.xyz) for s in structure.sites])
    assert list(structure.multiplicities()) == theirs.multiplicity


def test_composition_and_density_count_occupancies():
    R, t = group_named("Fm-3m")
    sites = (
        Site("Na", "Na", (0, 0, 0)),
        Site("Cl", "Cl", (0.5, 0.5, 0.5), 0.75),
        Site("Br", "Br", (0.5,) * 3, 0.25),
    )
    salt = Structure((5.64, 5.64, 5.64, 90, 90, 90), sites, "F m -3 m", R, t)
    assert salt.composition() == {"Na": 4.0, "Cl": 3.0, "Br": 1.0}
    assert salt.number_density() == pytest.approx(8 / 5.64**3, rel=1e-12)
    assert "Na4 Cl3 Br1" in repr(salt)


def distances(structure, rmax):
    """Return the sorted pair distances of every atom up to rmax, per atom of the cell."""
    p1 = structure.to_p1()
    rows, xyz = p1.basis(), np.array([s.xyz for s in p1.sites])
    n = [math.ceil(rmax * s) for s in symmetry.reciprocal_lengths(rows)]
    shifts = np.array(list(np.ndindex(*(2 * k + 3 for k in n)))) - np.array(n) - 1
    d = np.linalg.norm((xyz[:, None, None] - xyz[None, :, None] + shifts) @ rows, axis=-1).ravel()
    return np.sort(d[(d > 1e-6) & (d < rmax)]), len(xyz)


@pytest.mark.parametrize("n", [(1, 1, 1), (2, 1, 1), (2, 2, 3)])
def test_supercells_keep_distances_density_and_displacements(n):
    R, t = group_named("P63mc")
    sites = (Site("Cd", "Cd", (1 / 3, 2 / 3, 0), U=(0.01, 0.01, 0.02, 0.005, 0, 0), isotropic=False),)
    sites += (Site("S", "S", (1 / 3, 2 / 3, 0.377), 0.9, 0.008),)
    cell = Structure(HEXAGONAL, sites, "P 63 m c", R, t)
    big = cell.supercell(n)
    assert big.number_density() == pytest.approx(cell.number_density(), rel=1e-12)
    (one, atoms), (many, more) = distances(cell, 7.0), distances(big, 7.0)
    assert more == atoms * math.prod(n)
    np.testing.assert_allclose(np.repeat(one, math.prod(n)), many, atol=1e-9)
    assert {s.label for s in big.sites} >= {"Cd1", "Cd2", "S1", "S2"}
    for site in big.sites:
        expected = cell.U_cartesian(0 if site.element == "Cd" else 1)
        np.testing.assert_allclose(
            np.linalg.eigvalsh(big.U_cartesian(site.label)), np.linalg.eigvalsh(expected), atol=1e-12
        )


def test_explicit_atoms_carry_the_turned_tensor():
    R, t = group_named("P42/mnm")
    U = (0.01, 0.01, 0.02, 0.004, 0.0, 0.0)
    rutile = Structure((4.6, 4.6, 2.96, 90, 90, 90), (Site("O", "O", (0.3, 0.3, 0), U=U, isotropic=False),), "", R, t)
    p1, atoms, rows = rutile.to_p1(), rutile.expand(), rutile.basis()
    for i, rotation in enumerate(atoms.rotation):
        turn = rows.T @ rotation @ np.linalg.inv(rows.T)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(p1.U_cartesian(i), turn @ rutile.U_cartesian(0) @ turn.T, atol=1e-12)
    assert {site.U[3] for site in p1.sites} == {0.004, -0.004}


# --- displacements

cells = st.tuples(*(st.floats(3, 12) for _ in range(3)), *(st.floats(70, 115) for _ in range(3)))


@given(cells, st.floats(0.001, 0.1))
def test_the_tensor_of_an_isotropic_atom_is_a_sphere(cell, Uiso):
    structure = Structure(cell, (Site("A", "Ni", (0, 0, 0), 1, (Uiso,)),))
    made = structure.with_anisotropic()
    assert not made.sites[0].isotropic
    assert made.Uequiv("A") == pytest.approx(Uiso, rel=1e-9)
    np.testing.assert_allclose(made.U_cartesian("A"), Uiso * np.eye(3), atol=1e-9 * Uiso / structure.volume() * 1e3)
    np.testing.assert_allclose(structure.U_cartesian("A"), made.U_cartesian("A"), atol=1e-12)


@given(cells)
def test_basis_and_cell_are_inverse(cell):
    rows = symmetry.basis(cell)
    np.testing.assert_allclose(symmetry.cell_of(rows @ rows.T), cell, rtol=1e-9)
    a, b, c, *angles = cell
    ca, cb, cg = np.cos(np.radians(angles))
    volume = a * b * c * math.sqrt(1 - ca**2 - cb**2 - cg**2 + 2 * ca * cb * cg)
    assert np.linalg.det(rows) == pytest.approx(volume, rel=1e-9)


def test_only_named_sites_become_anisotropic():
    pair = Structure(CUBIC, (Site("A", "Ni", (0, 0, 0)), Site("B", "O", (0.5, 0.5, 0.5))))
    made = pair.with_anisotropic(["B"])
    assert [site.isotropic for site in made.sites] == [True, False]
    with pytest.raises(StructureError, match="no site 'C'"):
        pair.with_anisotropic(["C"])
    with pytest.raises(StructureError, match=r"Structure\.Uequiv"):
        _ = made.sites[1].Uiso
    assert made.sites[0].Uiso == 0.005


def test_a_tensor_against_its_site_symmetry_is_averaged():
    R, t = group_named("F-43m")
    site = Site("A", "Ni", (0, 0, 0), U=(0.01, 0.02, 0.03, 0.002, 0, 0), isotropic=False)
    with pytest.warns(PdfkitWarning, match="violates its site symmetry"):
        made = Structure(CUBIC, (site,), "", R, t)
    np.testing.assert_allclose(made.sites[0].U, (0.02, 0.02, 0.02, 0, 0, 0), atol=1e-15)


# --- putting in order


def test_rounded_special_positions_become_exact():
    R, t = group_named("P63mc")
    for digits in (3, 4, 5):
        x = (round(1 / 3, digits), round(2 / 3, digits), 0.377)
        made = Structure(HEXAGONAL, (Site("A", "Ni", x),), "", R, t)
        assert made.multiplicities()[0] == 2
        assert made.sites[0].xyz == (1 / 3, 2 / 3, 0.377)
    with pytest.warns(PdfkitWarning, match="special position"):
        made = Structure(HEXAGONAL, (Site("A", "Ni", (0.34, 0.66, 0.0)),), "", R, t)
    assert made.sites[0].xyz[:2] == (1 / 3, 2 / 3)


def test_split_sites_stay_split():
    R, t = group_named("Fm-3m")
    split = Structure((8.0, 8.0, 8.0, 90, 90, 90), (Site("A", "Ni", (0.01, 0, 0), 1 / 6),), "", R, t)
    assert split.multiplicities()[0] == 24
    assert split.composition() == {"Ni": pytest.approx(4.0)}


def test_nearly_symmetric_cells_become_exact_and_others_are_refused():
    R, t = group_named("P63mc")
    site = Site("A", "Ni", (1 / 3, 2 / 3, 0))
    made = Structure((4.0, 4.0003, 6.5, 90.0, 90.001, 119.99), (site,), "", R, t)
    assert made.cell[3:] == (90.0, 90.0, 120.0)
    assert made.cell[0] == made.cell[1] == pytest.approx(4.00015, abs=1e-3)
    with pytest.raises(StructureError, match="symmetry of its operations"):
        Structure((4.0, 4.1, 6.5, 90, 90, 120), (site,), "", R, t)


def test_duplicates_merge_and_shared_positions_add_up():
    A = Site("A", "Fe", (0, 0, 0))
    with pytest.warns(PdfkitWarning, match="merged"):
        once = Structure(CUBIC, (A, replace(A, label="B"), Site("O", "O", (0.5, 0.5, 0.5))))
    assert once.composition() == {"Fe": 1.0, "O": 1.0}
    assert [site.label for site in once.sites] == ["A", "O"]
    with pytest.warns(PdfkitWarning, match="merged"):
        shared = Structure(CUBIC, (replace(A, occ=0.4), Site("B", "Fe", (0, 0, 1.0), 0.6)))
    assert shared.sites[0].occ == pytest.approx(1.0)
    with pytest.warns(PdfkitWarning, match="2 sites"):
        thrice = Structure(
            CUBIC, (replace(A, occ=0.9), Site("B", "Fe", (0, 0, 0), 0.9), Site("C", "Fe", (1, 0, 0), 0.9))
        )
    assert [site.occ for site in thrice.sites] == [0.9]


def test_images_listed_as_sites_merge():
    R, t = group_named("F-43m")
    sites = tuple(Site(f"A{i}", "Ni", x) for i, x in enumerate(((0, 0, 0), (0, 0.5, 0.5), (0.5, 0.5, 0))))
    with pytest.warns(PdfkitWarning, match="2 sites"):
        made = Structure(CUBIC, sites, "", R, t)
    assert made.composition() == {"Ni": 4.0}


def test_two_elements_may_share_a_site_but_not_overfill_it():
    half = (Site("Ga", "Ga", (0, 0, 0), 0.5), Site("In", "In", (0, 0, 0), 0.5))
    assert len(Structure(CUBIC, half).sites) == 2
    full = (Site("Ga", "Ga", (0, 0, 0)), Site("In", "In", (0, 0, 0.05)))
    with pytest.raises(StructureError, match=r"site Ga is 0\.250 Å from site In .* 2 atoms"):
        Structure(CUBIC, full)
    R, t = group_named("Fm-3m")
    with pytest.raises(StructureError, match="its own image"):
        Structure(CUBIC, (Site("A", "Ni", (0.05, 0, 0)),), "", R, t)


def test_many_atoms_are_checked_through_the_tree():
    n = 8
    xyz = (np.array(list(np.ndindex(n, n, n))) + 0.1) / n
    box = Structure.from_arrays((20, 20, 20, 90, 90, 90), ["Ar"] * n**3, xyz)
    assert len(box.sites) == n**3
    xyz[100] = xyz[37] + np.array([1.0, 0.01, 0])
    with pytest.raises(StructureError, match=r"Ar38 is 0\.200 Å from site Ar101"):
        Structure.from_arrays((20, 20, 20, 90, 90, 90), ["Ar"] * n**3, xyz)


SITE = Site("A", "Ni", (0, 0, 0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Structure(CUBIC, ()), "without sites"),
        (lambda: Structure((5, 5, 5, 90, 90), (SITE,)), "cell has 5 numbers"),
        (lambda: Structure((5, 5, math.nan, 90, 90, 90), (SITE,)), "cell is not finite"),
        (lambda: Structure((5, 5, -5, 90, 90, 90), (SITE,)), "is not possible"),
        (lambda: Structure((5, 5, 5, 90, 90, 180), (SITE,)), "is not possible"),
        (lambda: Structure((5, 5, 5, 60, 60, 120), (SITE,)), "no volume"),
        (lambda: Structure((5, 5, 5, 30, 30, 150), (SITE,)), "no volume"),
        (lambda: Structure((0.5, 0.5, 0.7, 90, 90, 90), (SITE,)), "lattice planes"),
        (lambda: Structure(CUBIC, (SITE, SITE)), "label A is used by two"),
        (lambda: Structure(CUBIC, (SITE,), "", np.zeros((1, 3, 2)), np.zeros((1, 3))), "shapes"),
        (lambda: Structure(CUBIC, (SITE,), "", 2 * np.eye(3)[None], np.zeros((1, 3))), "not a rotation"),
        (lambda: Structure(CUBIC, (SITE,), "", -np.eye(3)[None], np.zeros((1, 3))), "do not form a group"),
        (lambda: Structure(CUBIC, (SITE,), "", [np.eye(3)] * 2, [[0, 0, 0], [0.3, 0, 0]]), "do not form a group"),
        (lambda: Site("A", "Xx", (0, 0, 0)), "not an element"),
        (lambda: Site("A", "?", (0, 0, 0)), "not an element"),
        (lambda: Site("A", "Ni", (0, 0)), "xyz of site A has 2 numbers"),
        (lambda: Site("A", "Ni", (0, 0, "q")), "not numeric"),
        (lambda: Site("A", "Ni", (0, 0, math.inf)), "not finite"),
        (lambda: Site("A", "Ni", (0, 0, 0), 1.2), "occupancy of site A is 1.2"),
        (lambda: Site("A", "Ni", (0, 0, 0), -0.1), "occupancy"),
        (lambda: Site("A", "Ni", (0, 0, 0), 1, (1, 2, 3)), "U of site A has 3 numbers"),
        (lambda: Structure.from_arrays(CUBIC, ["Ni"], [[0, 0]]), r"give \(1, 3\)"),
        (lambda: Structure.from_arrays(np.zeros((3, 3)), ["Ni"], [[0, 0, 0]]), "no volume"),
        (lambda: Structure.from_arrays(CUBIC, ["Ni"], [[0, 0, 0]], U=[[1, 2]]), "U has shape"),
        (lambda: Structure.from_arrays(CUBIC, ["Ni"], [[0, 0, 0]], occ=[1, 1]), "occ has shape"),
        (lambda: Structure.from_arrays(CUBIC, ["Ni"], [[0, 0, 0]], labels=["A", "B"]), "2 labels for 1"),
        (lambda: Structure.from_arrays(CUBIC, ["Ni"], [["x", 0, 0]]), "not numeric"),
        (lambda: Structure(CUBIC, (SITE,)).supercell((0, 1, 1)), "supercell"),
        (lambda: Structure(CUBIC, (SITE,)).supercell((1.5, 1, 1)), "whole numbers"),
        (lambda: Structure(CUBIC, (SITE,)).index(1), "no site 1"),
    ],
)
def test_nonsense_is_refused_with_a_remedy(make, message):
    with pytest.raises(PdfkitError, match=message) as caught:
        make()
    assert ":" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("Cd", "Cd"),
        ("CD", "Cd"),
        ("Cd2+", "Cd"),
        ("O2-", "O"),
        ("S1", "S"),
        ("D", "D"),
        ("2H", "D"),
        ("ZN1", "Zn"),
        ("62Ni", "62-Ni"),
        ("7LI", "7-Li"),
        ("SE", "Se"),
        ("O1A", "O"),
        ("Zn+2", "Zn"),
        ("u", "U"),
    ],
)
def test_elements_are_found_in_what_files_write(text, symbol):
    assert element_symbol(text) == symbol


@pytest.mark.parametrize(
    ("label", "identifier"),
    [("O2-", "O2"), ("C1'", "C1_"), ("1a", "_1a"), ("Cd1", "Cd1"), ("", "_"), ("in", "_in")],
)
def test_labels_are_identifiers(label, identifier):
    assert Site(label, "O", (0, 0, 0)).label == identifier
    assert identifier.isidentifier()


@given(st.lists(st.sampled_from(["Cd", "Cd_2", "Cd2", "S", "O2-", "O2", "Cd_3"]), max_size=12))
def test_made_labels_are_unique(labels):
    from pdfkit.structure.site import unique_labels

    out = unique_labels(labels)
    assert len(set(out)) == len(labels)
    assert all(name.isidentifier() for name in out)


# --- copies and other libraries


def wurtzite():
    R, t = group_named("P63mc")
    U = (0.01, 0.01, 0.02, 0.005, 0, 0)
    sites = (
        Site("Cd", "Cd", (1 / 3, 2 / 3, 0), U=U, isotropic=False),
        Site("S", "S", (1 / 3, 2 / 3, 0.377), 0.9),
    )
    return Structure(HEXAGONAL, sites, "P 63 m c", R, t, "CdS", {"delta2": 2.0})


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_are_equal_and_read_only(copied):
    one = wurtzite()
    two = copied(one)
    for name in ("cell", "sites", "spacegroup", "title", "meta"):
        assert getattr(one, name) == getattr(two, name)
    np.testing.assert_array_equal(one.rotations, two.rotations)
    for array in (two.rotations, two.translations, two.expand().site, two.expand().rotation):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(TypeError):
        two.meta["delta2"] = 3.0


def test_ase_and_back():
    one = wurtzite()
    atoms = one.to_ase()
    assert len(atoms) == 4
    back = Structure.from_ase(atoms)
    assert back.cell == pytest.approx(one.cell, abs=1e-9)
    assert back.composition() == pytest.approx(one.composition())
    np.testing.assert_allclose(distances(back, 6.0)[0], distances(one, 6.0)[0], atol=1e-9)


def test_shared_sites_go_through_ase():
    half = Structure(
        CUBIC,
        (Site("Ga", "Ga", (0, 0, 0), 0.3), Site("In", "In", (0, 0, 0), 0.7), Site("P", "P", (0.5,) * 3)),
    )
    atoms = half.to_ase()
    assert atoms.get_chemical_symbols() == ["In", "P"]
    assert Structure.from_ase(atoms).composition() == pytest.approx({"Ga": 0.3, "In": 0.7, "P": 1.0})


def test_atoms_without_a_cell_are_no_crystal():
    import ase

    with pytest.raises(StructureError, match="Cluster"):
        Structure.from_ase(ase.Atoms("CO", [(0, 0, 0), (0, 0, 1.1)]))


def test_diffpy_structure_and_back():
    one = wurtzite()
    theirs = one.to_diffpy()
    assert theirs.pdffit["delta2"] == 2.0
    back = Structure.from_diffpy(theirs)
    p1 = one.to_p1()
    assert back.cell == pytest.approx(p1.cell)
    assert back.meta["delta2"] == 2.0
    for mine, other in zip(p1.sites, back.sites, strict=True):
        assert (mine.element, mine.occ, mine.isotropic) == (other.element, other.occ, other.isotropic)
        np.testing.assert_allclose(mine.xyz, other.xyz, atol=1e-12)
        np.testing.assert_allclose(mine.U, other.U, atol=1e-12)
    np.testing.assert_allclose(distances(back, 6.0)[0], distances(one, 6.0)[0], atol=1e-9)


def test_arrays_in_every_shape():
    xyz = [(0, 0, 0), (0.5, 0.5, 0.5)]
    rows = np.array([[0, 2.5, 2.5], [2.5, 0, 2.5], [2.5, 2.5, 0]])
    fcc = Structure.from_arrays(rows, ["Na+", "Cl-"], xyz, U=[0.01, 0.02])
    assert fcc.cell == pytest.approx((math.sqrt(12.5),) * 3 + (60,) * 3)
    assert [site.U[0] for site in fcc.sites] == [0.01, 0.02]
    tensors = [(0.01, 0.02, 0.03, 0, 0, 0.001)] * 2
    named = Structure.from_arrays(CUBIC, ["Ni", "O"], xyz, U=tensors, occ=[0.5, 1], labels=["a", "a"], title="x")
    assert [site.label for site in named.sites] == ["a", "a_2"]
    assert tensors[0] == named.sites[0].U
    assert named.title == "x"


def test_nothing_is_warned_of_for_clean_input():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wurtzite().to_p1().supercell((2, 2, 1))


# --- displacements that are none, and what is said of them


def test_six_numbers_are_a_tensor_whatever_the_flag_says():
    tensor = (0.01, 0.02, 0.03, 0.001, 0.002, 0.003)
    for site in (Site("A", "O", (0, 0, 0), U=tensor), Site("A", "O", (0, 0, 0), 1, tensor, True)):
        assert not site.isotropic
        np.testing.assert_array_equal(site.U, tensor)
    same = (0.01,) * 3 + (0.0,) * 3
    assert Site("A", "O", (0, 0, 0), U=same).isotropic
    assert not Site("A", "O", (0, 0, 0), U=same, isotropic=False).isotropic
    assert Site("A", "O", (0, 0, 0), U=0.02, isotropic=False).isotropic


@pytest.mark.parametrize(
    ("U", "said"),
    [
        (0.0, "U of site A is 0 or nearly so"),
        (-0.0005, r"not positive definite \(least -0.0005"),
        ((0.005, 0.005, 0.005, 0.02, 0, 0), r"not positive definite \(least -0.015"),
        (1.5, "perhaps B"),
        ((0.01, 0.01, 3.0, 0, 0, 0), "very large"),
    ],
)
def test_unusual_displacements_are_said_once(U, said):
    with pytest.warns(PdfkitWarning, match=said) as record:
        made = Structure(CUBIC, (Site("A", "O", (0, 0, 0), U=U),))
    assert len(record) == len(made.remarks) == 1
    # A copy, a pickle, a cell of explicit atoms made of it: nothing new is found, so nothing is said again.
    assert replace(made, title="again").remarks == made.remarks
    assert pickle.loads(pickle.dumps(made)).remarks == made.remarks


def test_many_sites_of_no_displacement_are_one_remark():
    xyz = np.array(list(np.ndindex(2, 2, 2))) / 2
    with pytest.warns(PdfkitWarning, match=r"8 sites \(O1, O2, O3, O4, O5 and 3 more\)") as record:
        Structure.from_arrays(CUBIC, ["O"] * 8, xyz, U=0.0)
    assert len(record) == 1


@pytest.mark.parametrize("U", [-0.01, (0.005, 0.005, -0.01, 0, 0, 0)])
def test_negative_displacements_are_refused(U):
    with pytest.raises(StructureError, match=r"U of site A is -0\.01 Å²"):
        Site("A", "O", (0, 0, 0), U=U)


def test_operations_listed_twice_count_once():
    R = [np.eye(3), -np.eye(3), np.eye(3)]
    with pytest.warns(PdfkitWarning, match="1 of the 3 symmetry operations is listed twice"):
        made = Structure(CUBIC, (Site("A", "O", (0.1, 0.2, 0.3)),), "", R, np.zeros((3, 3)))
    assert made.multiplicities().tolist() == [2]


def test_a_multiplicity_from_the_file_settles_where_a_site_is():
    R, t = group_named("Fm-3m")
    split = Site("A", "Ni", (0.01, 0, 0), 1 / 6)
    rows = Structure((8.0, 8.0, 8.0, 90, 90, 90), (split,), "", R, t).basis()
    assert tidy.with_multiplicity(split, 4, R, t, rows).xyz == (0, 0, 0)
    assert tidy.with_multiplicity(split, 24, R, t, rows) == split
    assert tidy.with_multiplicity(split, 7, R, t, rows) == split
