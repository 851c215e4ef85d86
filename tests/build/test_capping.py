"""Ligands: how many, where they bind, that they keep their shape and do not clash, and what they do to a curve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule
from scipy.spatial.distance import cdist

import pdfkit as pk
from pdfkit.build._dangling import dangling, paired
from pdfkit.build._settling import CONTACT, ENOUGH, radii
from pdfkit.build.ligands import CARBOXYLATES, NAMES, ligand_of
from pdfkit.errors import PdfkitError, PdfkitWarning, StructureError
from pdfkit.model import serial
from pdfkit.screening import Composition


@pytest.fixture(scope="module")
def sets() -> list[pk.Particle]:
    """All complete Cd37S20, zinc blende and faulted."""
    return list(pk.build.candidates("Cd37S20", limit=None, seed=1, near=0))


@pytest.fixture(scope="module")
def small() -> pk.Particle:
    return pk.build.tetrahedron("CdSe_zincblende", 4)


def parts(capped: pk.Particle, size: int) -> Iterator[np.ndarray]:
    """Yield the positions of each ligand."""
    xyz = capped.xyz[capped.ligand]
    yield from xyz.reshape(-1, size, 3)


def test_every_set_of_cd37s20_has_a_perfect_pairing(sets: list[pk.Particle]) -> None:
    assert len(sets) == 36
    for core in sets:
        where = dangling(core, "cation")
        pairs = paired(core.xyz, where, np.random.default_rng(1))
        assert len(where) == 68
        assert sorted(k for pair in pairs for k in pair) == list(range(68))


def test_missing_bonds_are_where_the_crystal_goes_on(small: pk.Particle) -> None:
    """The tetrahedron T4 is a piece of T6: what its outer atoms lack lies there."""
    where = dangling(small, "cation")
    assert len(where) == 4 * 20 - 4 * 10
    ends = small.xyz[where.atom] + where.bond * where.direction
    assert cdist(ends, small.xyz[small.kind == 1]).min() > 4.0  # no bond is found twice
    sphere = pk.build.sphere("CdSe_zincblende", 16, centre="anion")
    whole = pk.build.sphere("CdSe_zincblende", 26, centre="anion")
    where = dangling(sphere, "anion")
    ends = sphere.xyz[where.atom] + where.bond * where.direction
    single = np.bincount(where.atom, minlength=len(sphere))[where.atom] < 3
    assert cdist(ends[single], whole.xyz[whole.kind == 0]).min(axis=1).max() < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_ligands_are_molecules(name: str) -> None:
    ligand = ligand_of(name)
    bonded = ligand.steps == 1
    assert ligand.steps.max() < len(ligand) or len(ligand) == 1
    expected = {"C": (3, 4), "H": (1,), "O": (1, 2), "N": (3,), "Cl": (0,)}
    for symbol, count in zip(ligand.symbols, bonded.sum(axis=1), strict=True):
        assert len(ligand) == 1 or count in expected[symbol]
    far = ligand.steps > 2
    assert not far.any() or ligand.distances[far].min() > 2.1
    assert (ligand.charge == -1) == (name in (*CARBOXYLATES, "Cl", "H"))


def test_oleate_is_cis_and_eighteen_long() -> None:
    oleate = ligand_of("oleate")
    assert "".join(sorted(oleate.symbols)) == "C" * 18 + "H" * 33 + "O" * 2
    double = np.argwhere(np.triu((oleate.steps == 1) & (np.abs(oleate.distances - 1.335) < 1e-6)))
    assert len(double) == 1
    carbon = np.array(oleate.symbols) == "C"
    i, j = double[0]
    ends = [next(k for k in np.flatnonzero(carbon & (oleate.steps[a] == 1)) if k != b) for a, b in ((i, j), (j, i))]
    assert oleate.distances[ends[0], ends[1]] < 3.3  # trans: 3.9
    assert oleate.stiff[ends[0], ends[1]]


@pytest.mark.parametrize("name", ["formate", "acetate", "Cl"])
def test_cd37s20_wears_34(sets: list[pk.Particle], name: str) -> None:
    core = sets[4]
    capped = pk.build.cap(core, name)
    assert capped.meta["ligands"] == 34
    assert capped.meta["net_charge"] == 0
    assert capped.core.formula == "Cd37S20"
    np.testing.assert_array_equal(capped.core.xyz, core.xyz)
    assert sum(capped.meta[way] for way in ("chelates", "bridges", "terminal")) == 34
    assert clearance(capped, len(ligand_of(name))) >= ENOUGH
    again, other = (pk.build.cap(core, name, seed=seed) for seed in (1, 2))
    np.testing.assert_array_equal(again.xyz, capped.xyz)
    assert np.abs(other.xyz - capped.xyz).max() > 0.1


def clearance(capped: pk.Particle, size: int) -> float:
    """Return the smallest distance between two ligands, and of ligands from the core, as a part of its limit."""
    radius = radii(capped.symbols)
    own = np.where(capped.ligand, (np.cumsum(capped.ligand) - 1) // size, -1)
    distance = cdist(capped.xyz, capped.xyz)
    apart = (own[:, None] != own) & (own[:, None] >= 0) & (own >= 0)
    return float((distance / (CONTACT * (radius[:, None] + radius)))[apart].min())


def test_carboxylates_keep_their_shape_and_their_bonds(sets: list[pk.Particle]) -> None:
    capped = pk.build.cap(sets[0], "acetate")
    acetate = ligand_of("acetate")
    metal = capped.core.xyz[np.array(capped.core.symbols) == "Cd"]
    for xyz in parts(capped, len(acetate)):
        distance = cdist(xyz, xyz)
        assert np.abs(distance - acetate.distances)[acetate.stiff].max() < 0.06
        np.testing.assert_allclose(cdist(xyz[[1, 2]], metal).min(axis=1), 2.25, atol=0.05)
    counts = (cdist(metal, capped.xyz[np.array(capped.symbols) == "O"]) < 2.4).sum(axis=1)
    bonds = (cdist(metal, capped.core.xyz[np.array(capped.core.symbols) == "S"]) < 2.7).sum(axis=1)
    assert ((counts + bonds) == 4).all()


def test_masses_of_the_compound(sets: list[pk.Particle]) -> None:
    """Cd37S20: 4800 Da; with 34 benzoates 46.2 % of the mass burns off (measured by others: 45.9 %)."""
    capped = pk.build.cap(sets[0], "benzoate")
    assert capped.core.mass == pytest.approx(4800.4, abs=0.5)
    assert capped.organic_fraction == pytest.approx(0.4617, abs=2e-4)
    assert capped.mass == pytest.approx(capped.core.mass + 34 * 121.12, abs=0.5)
    about = pk.build.describe(capped)
    assert (about.family, about.coordination["S"]) == ("zincblende", 4.0)
    known = Composition(ratio=(1.8, 1.9), mass=capped.mass, inorganic=1 - capped.organic_fraction)
    assert known.ratio_fits(known.ratio_in(capped))
    assert known.mass_fits(capped.core.mass)


def test_a_sphere_wears_what_balances_its_charge() -> None:
    core = pk.build.sphere("CdSe_zincblende", 32, centre="cation", trim=2)
    assert (core.formula, pk.build.core_charge(core)) == ("Cd321Se312", 18.0)
    capped = pk.build.cap(core, "Cl")
    assert capped.formula == "Cd321Cl18Se312"
    assert clearance(capped, 1) >= ENOUGH


def test_ligands_of_before_are_replaced_and_that_is_said(small: pk.Particle) -> None:
    formate = pk.build.cap(small, "formate")
    with pytest.warns(PdfkitWarning, match=r"its \d+ atoms of ligands \(formate\) are replaced"):
        again = pk.build.cap(formate, "Cl")
    assert again.formula == pk.build.cap(small, "Cl").formula
    assert "has ligands already" in again.remarks[0]


def test_fewer_ligands_and_neutral_ones(small: pk.Particle) -> None:
    with pytest.warns(PdfkitWarning, match=r"has the charge \+5"):
        some = pk.build.cap(small, "formate", count=15)
    assert some.meta["ligands"] == 15
    with pytest.warns(PdfkitWarning):
        watered = pk.build.cap(small, "formate", count=10, neutral="water")
    assert watered.composition()["O"] == 2 * 10 + (40 - 20)


def test_more_ligands_than_pairs_leave_some_alone(small: pk.Particle) -> None:
    with pytest.warns(PdfkitWarning):
        crowded = pk.build.cap(small, "Cl", count=30)
    assert crowded.meta["terminal"] == 20
    assert crowded.meta["bridges"] + crowded.meta["chelates"] == 10


def test_a_core_rich_in_anions_takes_protons() -> None:
    core = pk.build.tetrahedron("CdSe_zincblende", 3, terminated="anion")
    capped = pk.build.cap(core, "H")
    assert capped.formula == "Cd4H12Se10"
    near = cdist(capped.xyz[capped.ligand], capped.core.xyz[np.array(capped.core.symbols) == "Se"]).min(axis=1)
    np.testing.assert_allclose(near, 1.51, atol=0.05)


def test_molecules_of_ones_own(small: pk.Particle) -> None:
    acid = pk.build.cap(small, molecule("CH3COOH"))  # the acid's proton stays behind
    assert acid.formula == pk.build.cap(small, "acetate").formula
    thiolate = molecule("CH3SH")
    del thiolate[[k for k in range(len(thiolate)) if thiolate.symbols[k] == "H"][0:1]]
    with pytest.raises(PdfkitError, match="charge="):
        pk.build.cap(small, thiolate)
    sulphur = list(thiolate.symbols).index("S")
    capped = pk.build.cap(small, thiolate, ligand_charge=-1, anchors=[sulphur])
    assert capped.composition()["S"] == 20


def test_classes_tell_ligands_from_the_core(small: pk.Particle) -> None:
    thiolate = molecule("CH3SH")[[0, 1]]
    core = pk.build.tetrahedron("CdS_zincblende", 4)
    sulphur = list(thiolate.symbols).index("S")
    capped = pk.build.cap(core, thiolate, ligand_charge=-1, anchors=[sulphur])
    cluster = pk.Cluster(capped, "c", Uiso={"S": 0.01, "S_ligand": 0.05, "C": 0.06}, surface=True)
    assert cluster.classes == ("C_ligand", "Cd", "Cd_surface", "S", "S_ligand")
    assert dict(cluster.Uiso)["S_ligand"] == 0.05
    assert dict(cluster.Uiso)["C_ligand"] == 0.06
    again = serial.loads(serial.dumps(pk.Model(cluster, pk.Instrument(probe="X", qmin=0.8, qmax=15))))
    assert again.phases[0].classes == cluster.classes
    picked = capped.select(capped.ligand)
    assert picked.ligand is not None
    assert picked.ligand.all()
    assert picked.core.formula == picked.formula  # all are of ligands: there is no other core


def test_ligands_count_in_patterns(small: pk.Particle) -> None:
    """X-rays see few of them beside Cd and Se, and most at small r and small Q."""
    capped = pk.build.cap(small, "acetate")
    r, instrument = np.arange(1.0, 15, 0.02), pk.Instrument(probe="X", qmin=0.8, qmax=20)
    bare, worn = (pk.Model(pk.Cluster(p, "c"), instrument)(r).G for p in (small, capped))
    # Both per atom: the curve of the core alone, by what its electrons are of all.
    ratio = float(bare @ worn / (bare @ bare))
    rest = np.linalg.norm(worn - ratio * bare) / np.linalg.norm(worn)
    assert 0.05 < rest < 0.4
    Q = np.array([0.001])
    assert pk.saxs(capped, Q).intensity[0] > 1.2 * pk.saxs(small, Q).intensity[0]


def test_refusals_name_the_reason(small: pk.Particle) -> None:
    for ligand, options, words in (
        ("olate", {}, "nearest are oleate"),
        ("chloride", {}, "choose one of formate, .*, Cl, H, water"),
        ("water", {}, "has no charge"),
        ("acetate", {"count": 60}, "lacks 40 bonds"),
        (3, {}, "type int"),
        ("acetate", {"charge": {"Zn": 2}}, "charge names Zn, and .* has Cd, Se"),
    ):
        with pytest.raises(PdfkitError, match=words):
            pk.build.cap(small, ligand, **options)
    with pytest.raises(PdfkitError, match=r'charge=\{"Fe": 2\}'):
        pk.build.cap(pk.Particle.of(["Fe", "S"], [[0, 0, 0], [2.3, 0, 0]]), "Cl")
    with pytest.raises(PdfkitError, match="cannot balance: it has anions in excess, which take H"):
        pk.build.cap(pk.build.tetrahedron("CdSe_zincblende", 3, terminated="anion"), "acetate")
    salt = pk.build.sphere("NaCl", 12)
    with pytest.raises(StructureError, match="no network"):
        pk.build.cap(salt, "acetate", count=2, charge={"Na": 1, "Cl": -1})
    with pytest.raises(PdfkitError, match="one flag per atom"):
        pk.Particle.of(["Cd", "S"], [[0, 0, 0], [2.5, 0, 0]], ligand=[True])


def test_files_keep_ligands(small: pk.Particle, tmp_path) -> None:
    capped = pk.build.cap(small, "formate")
    path = pk.io.write_xyz(tmp_path / "dot.xyz", capped)
    again = pk.Particle.from_file(path)
    np.testing.assert_array_equal(again.ligand, capped.ligand)
    np.testing.assert_allclose(again.xyz, capped.xyz, atol=1e-9)
    assert (again.meta["ligand"], again.meta["ligands"]) == ("formate", 20)
    import ase.io

    assert len(ase.io.read(path)) == len(capped)


def test_bonds_that_have_no_partner_are_said() -> None:
    """Two cations far apart lack three bonds each: one is left over on both, for one ligand to span."""
    arm = 2.5 * np.array([[1, 1, 1], [1, -1, -1]]) / np.sqrt(3)
    pair = np.array([[0.0, 0, 0], arm[0], [40.0, 0, 0], [40.0, 0, 0] + arm[0]])
    core = pk.Particle.of(["Zn", "S", "Zn", "S"], pair)
    with pytest.warns(PdfkitWarning, match="1 more than necessary"):
        capped = pk.build.cap(core, "formate", count=3, charge={"Zn": 3.5})
    assert (capped.meta["chelates"], capped.meta["terminal"], capped.meta["unpaired"]) == (2, 1, 1)


def test_atoms_next_to_one_that_binds_keep_their_angle() -> None:
    """M–O–C of at least 85°, M–S–C likewise: at 2.03 Å from Zn no C is nearer than 2.28 Å."""
    core = pk.build.tetrahedron("ZnS_zincblende", 4)
    for ligand, options in (("acetate", {}), (molecule("CH3S"), {"ligand_charge": -1, "anchors": [1]})):
        capped = pk.build.cap(core, ligand, **options)
        symbols = np.array(capped.symbols)
        zinc, carbon = capped.xyz[symbols == "Zn"], capped.xyz[symbols == "C"]
        assert cdist(zinc, carbon).min() > 2.2


def test_flat_molecules_bound_by_opposite_atoms_are_placed(small: pk.Particle) -> None:
    with pytest.warns(PdfkitWarning, match="charge"):
        capped = pk.build.cap(small, molecule("C6H6"), ligand_charge=-2, anchors=[0, 3], count=2)
    assert np.isfinite(capped.xyz).all()


def test_wrong_numbers_and_protons_are_refused(small: pk.Particle) -> None:
    acid = molecule("CH3SH")
    for options, words in (
        ({"count": 3.5}, "no whole number"),
        ({"charge": 2}, "by elements"),
        ({"ligand": acid, "ligand_charge": -1, "anchors": [1]}, "without the proton"),
        ({"ligand": acid, "ligand_charge": -1, "anchors": ["a"]}, "not a number"),
        ({"ligand": acid, "ligand_charge": 0, "anchors": [1, 1]}, "one or two"),
        ({"ligand": acid}, "ligand_charge="),
        ({"ligand": "acetate", "ligand_charge": 1}, "binds with the charge -1, and is wanted with 1"),
        ({"ligand": molecule("HCOOH"), "ligand_charge": -2}, "wanted with -2"),
        ({"count": 10, "neutral": "acetate"}, "neutral ones are water"),
        ({"count": 10, "neutral": molecule("CH3COOH")}, "neutral ones are water"),
        ({"ligand": "acetate", "anchors": [0]}, "what binds of acetate is known"),
        ({"ligand": molecule("CO2")}, "odd number of electrons"),
    ):
        with pytest.raises(PdfkitError, match=words):
            pk.build.cap(small, **{"ligand": "Cl", **options})
    with pytest.warns(pk.PdfkitWarning, match="no room between two cations") as said:
        hydroxide = pk.build.cap(small, molecule("OH"), ligand_charge=-1, anchors=[0])
    assert (hydroxide.meta["terminal"], hydroxide.meta["net_charge"], len(said)) == (hydroxide.meta["ligands"], 0, 1)
    worn = pk.Particle.from_structure(pk.build.cap(small, "formate").to_ase())
    with pytest.raises(PdfkitError, match="the core without them"):
        pk.build.cap(worn, "formate")


def test_one_atom_that_takes_two_bonds_of_one_cation_is_no_chelate() -> None:
    core = pk.Particle.of(["Cd", "Cd", "S"], [[0, 0, 0], [4.1, 0, 0], [2.05, 1.45, 0]])
    about = pk.build.cap(core, "Cl").meta
    assert (about["chelates"], about["bridges"], about["terminal"]) == (0, 1, 1)


def test_new_ligands_and_new_places_forget_an_old_relaxation(small: pk.Particle) -> None:
    relaxed = replace(pk.build.cap(small, "Cl"), meta={"relaxed_with": "classical", "relaxed_converged": True})
    with pytest.warns(PdfkitWarning, match="are replaced"):
        assert "relaxed_with" not in pk.build.cap(relaxed, "formate").meta
    assert "relaxed_with" not in pk.Cluster(relaxed, "c", expansion=0.01).refined_particle().meta
    assert "relaxed_with" in pk.Cluster(relaxed, "c").refined_particle().meta
