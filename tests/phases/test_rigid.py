"""Molecules as rigid bodies: against atoms moved one by one, derivatives, what symmetry leaves free, fits, files."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
from naive import g_of_r
from scipy.spatial.transform import Rotation
from test_jacobian import check

import pdfkit as pk
from pdfkit.errors import PdfkitError, RecipeError
from pdfkit.model.serial import dumps, loads
from pdfkit.phases._bodies import left_jacobian, rotation
from pdfkit.recipes import freedom
from pdfkit.recipes.inputs import inputs
from pdfkit.recipes.proposal import Wishes, propose
from pdfkit.recipes.written import recipe_of
from pdfkit.results.report import report
from pdfkit.structure import Site
from pdfkit.structure.symmetry import basis

LAB = pk.Instrument(probe="X", qmax=20.0, scattering="constant")
R = np.arange(0.8, 12.0, 0.02)
TRICLINIC = (7.4, 9.6, 6.9, 88.0, 97.0, 103.0)


def turn(*degrees: float) -> np.ndarray:
    return Rotation.from_rotvec(degrees, degrees=True).as_matrix()


def ring() -> np.ndarray:
    angles = np.radians(np.arange(0, 360, 60))
    return 1.39 * np.column_stack([np.cos(angles), np.sin(angles), np.zeros(6)])


def naphthalene() -> np.ndarray:
    """Two rings of 1.40 Å that share a bond."""
    half = [(0, 0.7, 0), (1.2124, 1.4, 0), (-1.2124, 1.4, 0), (2.4249, 0.7, 0), (-2.4249, 0.7, 0)]
    return np.array(half + [(x, -y, z) for x, y, z in half])


def football() -> np.ndarray:
    """C60 with twofold axes along x, y and z, bonds of 1.43 Å."""
    phi = (1 + math.sqrt(5)) / 2
    corners = [(0, 1, 3 * phi), (1, 2 + phi, 2 * phi), (phi, 2, 2 * phi + 1)]
    signs = list(itertools.product((1, -1), repeat=3))
    every = [np.roll(one, k) * sign for one in corners for k in range(3) for sign in signs]
    return 0.715 * np.unique(np.round(every, 12) + 0.0, axis=0)


def carbon_dioxide() -> np.ndarray:
    along = np.ones(3) / math.sqrt(3)
    return 1.155 * np.outer([-1, 0, 1], along)


def water() -> np.ndarray:
    return np.array([(0, 0, 0), (0.8, 0.6, 0.0), (-0.8, 0.6, 0.0)])


def places(cell: Sequence[float], centre: Sequence[float], arms: np.ndarray) -> np.ndarray:
    return np.array(centre) + arms @ np.linalg.inv(basis(cell))


def structure(
    group: str, cell: Sequence[float], molecules: Sequence[tuple], extra: Sequence[Site] = ()
) -> pk.Structure:
    """Return a structure of molecules (centre, arms in Å, elements), each atom once however symmetry repeats it."""
    operations = list(gemmi.SpaceGroup(group).operations())
    rotations = np.array([one.rot for one in operations]) // operations[0].DEN
    translations = np.array([one.tran for one in operations]) / operations[0].DEN
    sites: list[Site] = []
    for centre, arms, elements in molecules:
        for element, x in zip(elements, places(cell, centre, arms), strict=True):
            images = rotations @ x + translations
            steps = [(images - site.xyz) - np.round(images - site.xyz) for site in sites]
            if all(np.linalg.norm(step @ basis(cell), axis=1).min() > 0.01 for step in steps):
                sites.append(Site(f"{element}{len(sites) + 1}", element, tuple(x), U=0.02))
    return pk.Structure(cell, [*sites, *extra], group, rotations, translations)


def rigid(made: pk.Structure, **options: object) -> pk.Crystal:
    return pk.Crystal(made, "m", molecules="find", rigid=True, **options)


def benzene_with_argon() -> pk.Structure:
    """A ring of carbon across the edge of a triclinic cell, and an atom that is no molecule."""
    argon = [Site("Ar", "Ar", (0.5, 0.5, 0.5), U=0.03)]
    return structure("P 1", TRICLINIC, [((0.02, 0.03, 0.95), ring() @ turn(10, 20, 30).T, "C" * 6)], argon)


def fullerene(degrees: float = 22.0) -> pk.Structure:
    along = np.ones(3) / math.sqrt(3) * degrees
    return structure("P a -3", (14.04,) * 3 + (90,) * 3, [((0, 0, 0), football() @ turn(*along).T, "C" * 60)])


CUBE = (5.624,) * 3 + (90.0,) * 3
MADE = {
    "benzene": (benzene_with_argon(), "x y z rx ry rz size"),
    "naphthalene on an inversion centre": (
        structure(
            "P 1 21/a 1", (9.5, 8.5, 9.65, 90, 113.4, 90), [((0, 0, 0), naphthalene() @ turn(30, 40, 50).T, "C" * 10)]
        ),
        "rx ry rz size",
    ),
    "two rings that stand on a mirror": (
        structure("P n m a", (9, 10, 7, 90, 90, 90), [((0.3, 0.25, 0.1), ring() @ turn(0, 20, 0).T, "C" * 6)]),
        "x z ry size",
    ),
    "a ring about a threefold axis": (
        structure("R 3 :H", (12, 12, 9, 90, 90, 120), [((0, 0, 0.1), ring() @ turn(0, 0, 10).T, "C" * 6)]),
        "z rz size",
    ),
    "water on a twofold axis": (
        structure("C 1 2/c 1", (12, 12, 9, 90, 101, 90), [((0, 0.2, 0.25), water() @ turn(0, 35, 0).T, "OHH")]),
        "y ry size",
    ),
    "CO2 along a threefold axis": (structure("P a -3", CUBE, [((0, 0, 0), carbon_dioxide(), "OCO")]), "size"),
    "CO2 anywhere": (
        structure("P 21 21 21", (6, 7, 8, 90, 90, 90), [((0.1, 0.2, 0.3), carbon_dioxide() @ turn(3, 50, 7).T, "OCO")]),
        "x y z ry rz size",
    ),
    "C60, orientations ordered": (fullerene(), "rx size"),
    "C60, all mirrors": (
        structure("F m -3", (14.17,) * 3 + (90,) * 3, [((0, 0, 0), football(), "C" * 60)]),
        "size",
    ),
}
CRYSTALS = {name: rigid(made) for name, (made, _) in MADE.items()}


def pose_of(crystal: pk.Crystal) -> dict[str, float]:
    return {q.name.removeprefix("mol1."): q.value for q in crystal.quantities if q.name.startswith("mol1.")}


@pytest.mark.parametrize("name", MADE)
def test_symmetry_leaves_what_keeps_it(name: str) -> None:
    crystal, free = CRYSTALS[name], MADE[name][1]
    assert " ".join(pose_of(crystal)) == free
    positions = [q.name for q in crystal.quantities if q.name.endswith((".x", ".y", ".z"))]
    assert not [one for one in positions if not one.startswith(("mol1.", "Ar."))]
    assert "rigid molecules" in crystal.heading


def turned(crystal: pk.Crystal) -> pk.Crystal:
    """Return a crystal whose molecules, cell and sizes are elsewhere, as far as symmetry allows."""
    here = {q.name: q.value for q in crystal.quantities}
    steps = {"x": 0.02, "y": -0.03, "z": 0.015, "rx": 14.0, "ry": -9.0, "rz": 21.0, "size": 0.02}
    moves = {f"mol1.{key}": here[f"mol1.{key}"] + step for key, step in steps.items() if f"mol1.{key}" in here}
    cell = {
        key: here[key] * (1.01 + 0.002 * k) for k, key in enumerate(("a", "b", "c", "alpha", "beta")) if key in here
    }
    return crystal.with_values(moves | cell)


@pytest.mark.parametrize("name", MADE)
def test_the_whole_crystal_is_that_of_its_atoms_one_by_one(name: str) -> None:
    """Pairs are grouped rightly and symmetry is kept: the curve is that of these atoms, listed in P 1 too."""
    crystal = turned(CRYSTALS[name])
    loose = pk.Crystal(crystal.structure, "m", molecules="find")
    found, expected = (pk.Model(one, LAB)(R).G for one in (crystal, loose))
    assert np.abs(found - expected).max() < 1e-11 * np.abs(expected).max()
    every = pk.Crystal(crystal.structure.to_p1(), "m")
    one, other = (pk.Model(made, LAB)(R).G for made in (replace(loose, molecules=""), every))
    assert np.abs(one - other).max() < 1e-6 * np.abs(other).max()
    size = pose_of(crystal)["size"]
    for before, after in zip(inner_distances(CRYSTALS[name]), inner_distances(crystal), strict=True):
        np.testing.assert_allclose(after, size * before, rtol=1e-11)


def inner_distances(crystal: pk.Crystal) -> list[np.ndarray]:
    x = (crystal.structure.positions() + crystal._molecules.cell) @ crystal.structure.basis()
    out = []
    for number in range(crystal._molecules.number.max() + 1):
        one = x[crystal._molecules.number == number]
        out.append(np.linalg.norm(one[:, None] - one, axis=2))
    return out


def test_pairs_that_a_turn_parts_slowly_are_parted() -> None:
    """Squares in a tetragonal cell: d² of neighbours along a and b are equal but for the square of a turn about x."""
    square = 1.02 * np.array([(1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0)])
    crystal = rigid(structure("P 1", (5.5, 5.5, 4.5, 90, 90, 90), [((0, 0, 0), square, "CCCC")]))
    model = pk.Model(crystal, LAB)
    evaluate = model.evaluator(R)
    k = list(model.names).index("m.mol1.rx")
    for degrees in (0.0, 0.3, 17.0):
        G, _ = evaluate(
            np.where(np.arange(len(model.names)) == k, degrees, model.values), np.eye(len(model.names))[:, [k]]
        )
        there = crystal.with_values({"mol1.rx": degrees}).structure
        expected = pk.Model(pk.Crystal(there, "m", molecules="find"), LAB)(R).G
        assert np.abs(G - expected).max() < 1e-9 * np.abs(expected).max()


def test_atoms_are_where_the_formula_puts_them() -> None:
    """x = c + s A⁻¹ R(ω) g, with rotations by scipy; without a word of `molecules` the curve is that of these atoms."""
    crystal = CRYSTALS["benzene"].with_values(
        {"mol1.x": 0.07, "mol1.rx": 12.0, "mol1.ry": -7.0, "mol1.size": 1.01, "a": 7.5, "alpha": 89.5, "gamma": 101.0}
    )
    cell = (7.5, 9.6, 6.9, 89.5, 97.0, 101.0)
    expected = places(cell, (0.07, 0.03, 0.95), 1.01 * ring() @ turn(10, 20, 30).T @ turn(12, -7, 0).T)
    found = np.array([site.xyz for site in crystal.structure.sites[:6]])
    np.testing.assert_allclose(found, expected, atol=1e-13)
    plain = replace(LAB, qmax=math.inf)
    wide = replace(crystal, inner=0.02)  # as wide as all others: then the twin needs no molecules
    G = pk.Model(wide, plain)(R).G
    strengths = {e: pk.scattering.scattering_strength(e, "X") for e in ("C", "Ar")}
    explicit = pk.Crystal(pk.Structure(cell, [*_sites(expected), Site("Ar", "Ar", (0.5, 0.5, 0.5), U=0.03)]), "m")
    twin = sum(g_of_r(explicit, R, strengths).values())
    assert np.abs(G - twin).max() < 1e-6 * np.abs(twin).max()


def _sites(xyz: np.ndarray) -> list[Site]:
    return [Site(f"C{k + 1}", "C", tuple(x), U=0.02) for k, x in enumerate(xyz)]


@pytest.mark.parametrize("degrees", [(0.0, 0.0, 0.0), (0.3, -0.2, 0.5), (1.14, 0.0, 0.0), (40.0, -70.0, 110.0)])
def test_rotations_and_their_derivatives(degrees: tuple[float, float, float]) -> None:
    w, step = np.array(degrees), 1e-3
    np.testing.assert_allclose(rotation(w), turn(*degrees), atol=1e-15)
    for k, one in enumerate(np.eye(3)):
        ahead, behind = (np.array(rotation(w + sign * step * one)) for sign in (1, -1))
        spin = (ahead - behind) / (2 * math.radians(step)) @ rotation(w).T
        assert spin + spin.T == pytest.approx(np.zeros((3, 3)), abs=1e-7)
        assert (spin[2, 1], spin[0, 2], spin[1, 0]) == pytest.approx(left_jacobian(w)[:, k], abs=1e-9)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("moved", [False, True])
def test_derivatives_of_positions(name: str, moved: bool) -> None:
    """Of every atom along every quantity, the lengths and angles of the cell too, to 1e-7."""
    crystal = turned(CRYSTALS[name]) if moved else CRYSTALS[name]
    values = np.array([q.value for q in crystal.quantities])
    along = crystal.located(values, np.eye(values.size)).directions.dx
    moves = 0
    for k, q in enumerate(crystal.quantities):
        step = 1e-4 * max(1.0, abs(q.value))
        x = [
            crystal.located(values + times * step * np.eye(values.size)[k], np.zeros((values.size, 0))).geometry.x
            for times in (-2, -1, 1, 2)
        ]
        expected = (x[0] - 8 * x[1] + 8 * x[2] - x[3]) / (12 * step)
        assert np.abs(along[k] - expected).max() < 1e-7 * max(1.0, np.abs(expected).max()), q.name
        moves += bool(np.abs(expected).max() > 1e-6)
    assert moves >= len(pose_of(crystal))


@pytest.mark.parametrize("name", ["benzene", "CO2 anywhere"])
def test_derivatives_of_curves(name: str) -> None:
    crystal = turned(CRYSTALS[name])
    # Pairs of a molecule count by cᵢcⱼ/c, c the largest of its occupancies: a kink where two are as large.
    occ = {q.name: 0.9 + 0.01 * k for k, q in enumerate(q for q in crystal.quantities if q.name.endswith(".occ"))}
    model = pk.Model(crystal.with_values(occ), replace(LAB, scattering="q-dependent"))
    check(model, np.arange(1.0, 7.0, 0.05))


def test_a_fit_finds_shift_and_turn() -> None:
    """Data of atoms that were moved one by one, in P 1 and without rigid bodies: shifts to 1e-6, turns to 1e-4°."""
    true = {"mol1.x": 0.031, "mol1.y": 0.024, "mol1.z": 0.962, "mol1.rx": 3.0, "mol1.ry": -4.0, "mol1.rz": 2.5}
    arms = ring() @ turn(10, 20, 30).T @ turn(3, -4, 2.5).T
    xyz = places(TRICLINIC, [true[f"mol1.{key}"] for key in "xyz"], arms)
    moved = pk.Structure(TRICLINIC, [*_sites(xyz), Site("Ar", "Ar", (0.5, 0.5, 0.5), U=0.03)])
    data = pk.Model(pk.Crystal(moved, "m", molecules="find"), LAB)(R)
    start = CRYSTALS["benzene"].with_values({"a": 7.43})
    free = ["scale", "a", *true]
    result = pk.fit(pk.Model(start, LAB), data, free=free, search="plain")
    for name, value in true.items():
        close = 1e-6 if name[-2] == "." else 1e-4
        assert result.params[f"m.{name}"].value == pytest.approx(value, abs=close), name
    assert result.params["m.a"].value == pytest.approx(7.4, abs=1e-6)
    np.testing.assert_allclose([s.xyz for s in result.model.phases[0].structure.sites[:6]], xyz, atol=2e-6)


def test_a_fit_turns_fullerenes_about_their_axis() -> None:
    """One angle instead of 30 coordinates: |ω| = √3·rx about [111], from 22° to 26°."""
    true = pk.Crystal(fullerene(26.0).to_p1(), "m", molecules="find")
    data = pk.Model(true, LAB)(np.arange(1.0, 9.0, 0.04))
    start = CRYSTALS["C60, orientations ordered"]
    result = pk.fit(pk.Model(start, LAB), data, free=["scale", "mol1.rx", "mol1.size"], search="plain")
    assert math.sqrt(3) * result.params["m.mol1.rx"].value == pytest.approx(4.0, abs=1e-3)
    assert result.params["m.mol1.size"].value == pytest.approx(1.0, abs=1e-6)


def test_two_molecules_with_ties_and_bounds() -> None:
    second = Site("Ar", "Ar", (0.5, 0.5, 0.1), U=0.03)
    both = structure(
        "P 1",
        (9.0, 9.5, 8.0, 91.0, 95.0, 88.0),
        [((0.1, 0.1, 0.1), ring(), "C" * 6), ((0.6, 0.6, 0.6), carbon_dioxide(), "OCO")],
        [second],
    )
    crystal = rigid(both)
    assert crystal.heading.endswith("rigid molecules 1 C6, 1 CO2)")
    assert set(crystal.rigid) == {"mol1", "mol2"}
    true = crystal.with_values({"mol1.rz": 2.0, "mol2.ry": 2.0, "mol2.x": 0.61})
    result = pk.fit(
        pk.Model(crystal, LAB),
        pk.Model(true, LAB)(R),
        free=["mol1.rz", "mol2.x"],
        ties={"mol2.ry": "mol1.rz"},
        bounds={"mol1.rz": (-10, 10)},
    )
    assert result.params["m.mol2.ry"].value == pytest.approx(2.0, abs=1e-4)
    assert result.params["m.mol2.x"].value == pytest.approx(0.61, abs=1e-6)
    assert result.params["m.mol1.rz"].max == 10


def test_copies_and_text_keep_how_molecules_are_turned(tmp_path: Path) -> None:
    crystal = turned(CRYSTALS["benzene"])
    at_once = CRYSTALS["benzene"].with_values(
        dict(zip((q.name for q in crystal.quantities), crystal.values, strict=True))
    )
    assert at_once.values == crystal.values
    assert [s.xyz for s in at_once.structure.sites] == [s.xyz for s in crystal.structure.sites]
    again = loads(dumps(crystal))
    np.testing.assert_allclose(again.values, crystal.values, rtol=1e-14, atol=1e-16)
    assert again.rigid == crystal.rigid
    back = {"mol1.rx": 0.0, "mol1.ry": 0.0, "mol1.rz": 0.0, "mol1.size": 1.0}
    np.testing.assert_allclose(
        [s.xyz for s in again.with_values(back).structure.sites],
        [s.xyz for s in crystal.with_values(back).structure.sites],
        atol=1e-13,
    )
    older = dumps(pk.Crystal(benzene_with_argon(), "m")).replace(', "rigid": false', "")
    assert "rigid" not in older
    assert loads(older).rigid is False
    result = pk.fit(pk.Model(crystal, LAB), pk.Model(crystal, LAB)(R), free=["scale", "rx"], search="plain")
    result.save(tmp_path / "fit.h5")
    saved = pk.load_result(tmp_path / "fit.h5")
    assert report(saved) == report(result)
    assert "mol1.rx" in report(saved)
    np.testing.assert_allclose(saved.model(R).G, result.calc.G, atol=1e-9)
    with pytest.raises(PdfkitError, match="rigid molecules, which PDFgui does not know"):
        pk.io.write_project(tmp_path / "fit.ddp3", {"fit": result})


def test_a_cif_has_the_atoms_where_they_went(tmp_path: Path) -> None:
    crystal = CRYSTALS["benzene"].with_values({"mol1.rz": 5.0})
    covariance = np.zeros((len(crystal.quantities),) * 2)
    k = [q.name for q in crystal.quantities].index("mol1.rz")
    covariance[k, k] = 0.1**2
    (tmp_path / "m.cif").write_text(crystal.files(covariance)["cif"], encoding="utf-8")
    sites = pk.Crystal.from_file(tmp_path / "m.cif").structure.sites
    np.testing.assert_allclose([s.xyz for s in sites], [s.xyz for s in crystal.structure.sites], atol=1e-4)
    # A turn about z of 0.1° moves an atom by its distance from the axis, along the normal.
    arms = ring() @ turn(10, 20, 30).T @ turn(0, 0, 5).T
    shifts = math.radians(0.1) * np.cross([0, 0, 1], arms) @ np.linalg.inv(basis(TRICLINIC))
    errors = crystal.errors(covariance, lambda one: np.array([s.xyz for s in one.sites[:6]]).ravel())
    np.testing.assert_allclose(errors, np.abs(shifts).ravel(), rtol=1e-4, atol=1e-9)


def rhombohedral() -> pk.Structure:
    cell = (8.0,) * 3 + (80.0,) * 3
    across = np.linalg.svd(np.ones((1, 3)) @ basis(cell))[2]
    arms = ring() @ np.array([across[1], across[2], across[0]])
    return structure("R 3 :R", cell, [((0.1, 0.1, 0.1), arms, "C" * 6)])


def called_mol1() -> pk.Structure:
    made = benzene_with_argon()
    return replace(made, sites=(*made.sites[:-1], replace(made.sites[-1], label="mol1")))


@pytest.mark.parametrize(
    ("made", "options", "words"),
    [
        (benzene_with_argon(), {"molecules": ""}, "none are named"),
        (benzene_with_argon(), {"rigid": "yes"}, "rigid"),
        (benzene_with_argon(), {"rigid": {"mol1": (1.0, 2.0)}}, "no rx, ry, rz and size"),
        (benzene_with_argon(), {"rigid": {"mol2": (1.0, 2.0, 3.0, 1.0)}}, "the molecules are mol1"),
        (benzene_with_argon(), {"molecules": ["Ar"]}, "gives no molecule"),
        (benzene_with_argon(), {"molecules": [["C1", "C2"], ["C2", "C3"]]}, "C2 is in two of the lists"),
        (pk.load_structure("CdSe_wurtzite"), {}, "go on without an end"),
        (rhombohedral(), {}, "axes of symmetry turn"),
        (called_mol1(), {}, "a site is called mol1"),
    ],
)
def test_what_cannot_be_rigid_is_said(made: pk.Structure, options: dict[str, object], words: str) -> None:
    with pytest.raises(PdfkitError) as caught:
        pk.Crystal(made, "m", **{"molecules": "find", "rigid": True, **options})
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500


def test_only_crystals_have_rigid_molecules() -> None:
    with pytest.raises(PdfkitError, match="option 'rigid' of a Cluster is not known"):
        pk.Cluster.from_file(pk.io.available_clusters()[0], rigid=True)
    mixed = pk.structure.mixing.mixed(benzene_with_argon(), {"C1": {"C": 0.5, "N": 0.5}})
    moved = rigid(mixed).with_values({"mol1.rz": 8.0}).structure.sites
    assert moved[0].xyz == next(site for site in moved if site.element == "N").xyz
    with pytest.raises(PdfkitError, match="share a place"):
        pk.Crystal(mixed, "m", molecules=[[f"C{k}" for k in range(1, 7)]], rigid=True)


RECIPE = """
data = {{file = "x.gr", probe = "X", qmax = 20}}
fit = {{free = ["scale", "rx", "mol1.x"]}}
[[phase]]
name = "m"
structure = "m.cif"
molecules = "find"
{}
"""


def test_recipes_have_rigid_molecules(tmp_path: Path) -> None:
    pk.write_cif(tmp_path / "m.cif", benzene_with_argon())
    true = CRYSTALS["benzene"].with_values({"mol1.rx": 1.0, "mol1.x": 0.022})
    pk.write_pdf(tmp_path / "x.gr", pk.Model(true, replace(LAB, scattering="q-dependent"))(R))
    path = tmp_path / "fit.toml"
    path.write_text(RECIPE.format("rigid = true"), encoding="utf-8")
    result, *_ = pk.run_recipe(path, tmp_path / "out")
    assert result.params["m.mol1.rx"].value == pytest.approx(1.0, abs=0.01)
    assert result.params["m.mol1.x"].value == pytest.approx(0.022, abs=1e-4)
    for text, words in (("rigid = 1", "true or false"), ("rigd = true", "rigid")):
        path.write_text(RECIPE.format(text), encoding="utf-8")
        with pytest.raises(RecipeError, match=words) as caught:
            pk.load_recipe(path).build()
        assert caught.value.line == 8


def test_one_line_moves_molecules_as_bodies(tmp_path: Path) -> None:
    pk.write_cif(tmp_path / "m.cif", MADE["CO2 anywhere"][0])
    true = CRYSTALS["CO2 anywhere"].with_values({"mol1.ry": 1.0, "mol1.x": 0.103, "a": 6.02})
    pk.write_pdf(tmp_path / "x.gr", pk.Model(true, replace(LAB, scattering="q-dependent", qdamp=0.03))(R))
    plan = propose(inputs([tmp_path / "x.gr", tmp_path / "m.cif"]), Wishes(rigid=True))
    assert plan.phases[0].options == {"molecules": "find", "rigid": True}
    assert {"x", "y", "z", "ry", "rz"} <= set(plan.free)
    # The range begins before the bonds of the molecule, whose peak is no surprise and whose width is inner.Uiso.
    assert plan.data[0].values["rmin"] < 1.1
    assert not any("nearest atoms" in text for text in plan.assumed)
    assert not any("inner.Uiso" in name for name in plan.phases[0].start)
    (tmp_path / "fit.toml").write_text(recipe_of(plan, tmp_path), encoding="utf-8")
    result, *_ = pk.run_recipe(tmp_path / "fit.toml", tmp_path / "out")
    assert result.params["m.mol1.ry"].value == pytest.approx(1.0, abs=0.01)
    assert result.params["m.mol1.x"].value == pytest.approx(0.103, abs=1e-4)
    with pytest.raises(PdfkitError, match="--rigid: no structure here holds molecules"):
        propose(inputs([tmp_path / "x.gr", "Ni"]), Wishes(rigid=True))


def test_the_floating_origin_is_held_by_a_molecule() -> None:
    """In R 3 nothing tells where along z everything is: a proposal holds it, a fit that frees it says so."""
    crystal = CRYSTALS["a ring about a threefold axis"]
    assert freedom._origin(crystal) == [("mol1", "z")]
    data = pk.Model(crystal, LAB)(np.arange(1.0, 9.0, 0.04))
    start = pk.Model(crystal.with_values({"a": 12.02, "mol1.rz": 1.0}), LAB)
    result = pk.fit(start, data, free=["scale", "a", "mol1.z", "mol1.rz"])
    assert result.params["m.mol1.rz"].value == pytest.approx(0.0, abs=1e-3)
    assert "m.mol1.z has no effect on what is fitted" in str(result)
