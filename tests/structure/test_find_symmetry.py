"""Space groups found in lists of atoms: the same crystal, with all its symmetry, in the cell given where it can be."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import forked
import numpy as np
import pytest
from ase.build import bulk

import pdfkit as pk
from pdfkit.cli.info import of_structure
from pdfkit.errors import PdfkitError, PdfkitWarning, StructureError
from pdfkit.io.stru_text import write_stru
from pdfkit.structure import symmetry
from pdfkit.structure.site import Site
from pdfkit.structure.structure import Structure

R = np.arange(1.0, 9.0, 0.02)
NAMES = [name for name in pk.io.available_structures() if name != "diamond"]


def G(structure):
    return pk.Model(pk.Crystal(structure, name="p"), pk.Instrument(probe="N", qmax=math.inf))(R).G


def found(structure, match="symmetry found within 0.01 Å", **options):
    with pytest.warns(PdfkitWarning, match=match):
        return structure.find_symmetry(**options)


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_structure_gets_its_group_back(name):
    one = pk.load_structure(name)
    two = found(one.to_p1())
    assert len(two.sites) == len(one.sites)
    assert len(two.rotations) == len(one.rotations)
    assert two.cell == pytest.approx(one.cell, abs=1e-8)
    assert two.spacegroup == one.spacegroup
    np.testing.assert_allclose(G(two), G(one.to_p1()), atol=1e-9 * np.abs(G(one)).max())
    assert [q.name for q in pk.Crystal(two, name="p").quantities if "." not in q.name] == [
        q.name for q in pk.Crystal(one, name="p").quantities if "." not in q.name
    ]


@pytest.mark.parametrize("lattice", ["Cu", "Fe", "Ti", "Si", "In", "Sn"])
def test_primitive_rotated_shifted_cells_of_ase(lattice):
    atoms = bulk(lattice)
    atoms.rotate(33, (1, 2, 3), rotate_cell=True)
    atoms.positions += [0.1, 0.2, 0.35]
    with pytest.warns(PdfkitWarning, match="symmetry found"):
        crystal = pk.Crystal.from_structure(atoms, name="x", symmetry="find")
    plain = Structure.from_ase(atoms)
    assert len(crystal.structure.sites) == 1
    np.testing.assert_allclose(G(crystal.structure), G(plain), atol=1e-9 * np.abs(G(plain)).max())


def test_a_supercell_becomes_the_cell():
    big = pk.load_structure("SrTiO3").supercell((2, 1, 3))
    small = found(big, "the cell 7.81 3.905 11.715 90 90 90 became the conventional one, 3.905 3.905 3.905")
    assert small.composition() == {"Sr": 1.0, "Ti": 1.0, "O": 3.0}


def test_a_permuted_setting_stays():
    sites = (Site("Ca", "Ca", (0.01, 0.25, 0.03)), Site("Ti", "Ti", (0.5, 0, 0)), Site("O", "O", (0.29, 0.04, 0.71)))
    cell = (5.44, 7.64, 5.38, 90, 90, 90)
    from pdfkit.structure.operations import tabulated_operations

    pnma = Structure(cell, sites, "P n m a", *tabulated_operations("P n m a", cell)).to_p1()
    turned = replace(
        pnma,
        cell=(5.38, 5.44, 7.64, 90, 90, 90),
        sites=tuple(replace(s, xyz=(s.xyz[2], s.xyz[0], s.xyz[1])) for s in pnma.sites),
    )
    again = found(turned, r"P b n m \(No\. 62\), in the cell that was given$")
    assert again.cell == turned.cell
    np.testing.assert_allclose(G(again), G(turned), atol=1e-9 * np.abs(G(turned)).max())


@pytest.mark.parametrize(
    "change",
    [{"element": "Fe"}, {"occ": 0.9}, {"U": 0.006}, {"U": (0.005, 0.005, 0.008, 0, 0, 0), "isotropic": False}],
)
def test_atoms_that_differ_in_anything_are_not_alike(change):
    nickel = pk.load_structure("Ni").to_p1()
    other = replace(nickel, sites=(replace(nickel.sites[0], **change), *nickel.sites[1:]))
    lower = found(other)
    assert lower.spacegroup == ("P m -3 m" if "isotropic" not in change else "P 4/m m m")
    assert len(lower.sites) > 1
    np.testing.assert_allclose(G(lower), G(other), atol=1e-9 * np.abs(G(other)).max())


def test_tensors_turn_with_their_atoms():
    zincite = pk.load_structure("ZnO_wurtzite")
    sites = tuple(replace(s, U=(0.01, 0.01, 0.02, 0.005, 0, 0), isotropic=False) for s in zincite.sites)
    aniso = replace(zincite, sites=sites)
    again = found(aniso.to_p1())
    assert again.spacegroup == "P 63 m c"
    np.testing.assert_allclose(G(again), G(aniso.to_p1()), atol=1e-9 * np.abs(G(aniso)).max())
    # Tensors along another axis leave no threefold axis.
    skew = tuple(replace(s, U=(0.02, 0.01, 0.01, 0.005, 0, 0), isotropic=False) for s in aniso.to_p1().sites)
    low = found(replace(aniso.to_p1(), sites=skew), "symmetry found")
    assert len(low.rotations) < 12


def test_mixed_positions_stay_mixed():
    sites = [Site("A", "Ga", (0, 0, 0), 0.3), Site("B", "In", (0, 0, 0), 0.7), Site("C", "As", (0.25, 0.25, 0.25))]
    from pdfkit.structure.operations import tabulated_operations

    cell = (5.8, 5.8, 5.8, 90, 90, 90)
    one = Structure(cell, sites, "F -4 3 m", *tabulated_operations("F -4 3 m", cell))
    two = found(one.to_p1())
    assert two.spacegroup == "F -4 3 m"
    assert two.composition() == pytest.approx(one.composition())


def test_positions_that_are_nearly_symmetric_are_averaged_and_the_shift_is_said():
    salt = pk.load_structure("NaCl").to_p1()
    rng = np.random.default_rng(1)
    rough = replace(
        salt, sites=tuple(replace(s, xyz=tuple(np.array(s.xyz) + 2e-4 * rng.normal(size=3))) for s in salt.sites)
    )
    mended = found(rough, r"F m -3 m .* atoms moved by 0\.00\d+ Å at most")
    assert len(mended.sites) == 2
    assert G(mended) == pytest.approx(G(salt), abs=2e-2 * np.abs(G(salt)).max())
    none = found(rough, "no symmetry is found within 1e-05 Å", tolerance=1e-5)
    assert len(none.sites) == 8


def test_what_cannot_be_found_is_refused():
    salt = pk.load_structure("NaCl").to_p1()
    with pytest.raises(StructureError, match="smaller than any distance"):
        salt.find_symmetry(tolerance=4.0)
    with pytest.raises(PdfkitError, match="tolerance"):
        salt.find_symmetry(tolerance=0.0)
    with pytest.raises(PdfkitError, match="symmetry = 'guess'"):
        pk.Crystal.from_structure(salt, name="x", symmetry="guess")


def test_a_structure_with_all_its_symmetry_stays():
    salt = pk.load_structure("NaCl")
    same = found(salt, "no more symmetry than F m -3 m is found within 0.01 Å")
    assert same.sites == salt.sites


def test_random_sites_in_many_groups():
    from test_structure import invariant_cell, tabulated_groups

    rng = np.random.default_rng(7)
    for name, rotations, translations in tabulated_groups()[::40]:
        cell = invariant_cell(rotations, 3)
        cell = tuple(2 * x for x in cell[:3]) + tuple(cell[3:])
        U = rng.random((3, 3)) * 0.1
        tensor = symmetry.voigt(U @ U.T + 0.003 * np.eye(3))
        sites = (Site("A", "Ni", (0, 0, 0)), Site("B", "O", tuple(rng.random(3)), 0.01, tensor, False))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PdfkitWarning)
            one = Structure(cell, sites, name, rotations, translations).to_p1()
            two = one.find_symmetry()
        assert len(two.rotations) / two.volume() >= 0.999 * len(rotations) / one.volume(), name
        np.testing.assert_allclose(G(two), G(one), atol=1e-8 * np.abs(G(one)).max())


def test_info_offers_the_symmetry_of_listed_atoms():
    listed = dict(of_structure(pk.load_structure("CdS_zincblende").to_p1()))
    assert listed["symmetry"].startswith("the atoms listed have F -4 3 m within 0.01 Å")
    assert "symmetry" not in dict(of_structure(pk.load_structure("CdS_zincblende")))
    lone = Structure((4, 5, 6, 80, 85, 95), (Site("A", "O", (0.1, 0.2, 0.3)), Site("B", "C", (0.4, 0.6, 0.9))))
    assert "symmetry" not in dict(of_structure(lone))


def test_files_recipes_and_commands_take_it(tmp_path):
    path = tmp_path / "CdS.stru"
    write_stru(path, pk.load_structure("CdS_zincblende"))
    with pytest.warns(PdfkitWarning, match="F -4 3 m"):
        assert len(pk.read_structure(path, symmetry="find", tolerance=0.02).sites) == 2
    with pytest.warns(PdfkitWarning, match="F -4 3 m"):
        crystal = pk.Crystal.from_file(path, name="zb", symmetry="find")
    assert "symmetry found" in crystal.remarks[0]
    (tmp_path / "fit.toml").write_text(
        '[data]\nfile = "x.gr"\n[[phase]]\nname = "zb"\nstructure = "CdS.stru"\nsymmetry = "find"\ntolerance = 0.05\n'
        '[fit]\nfree = ["*.a"]\n'
    )
    with pytest.warns(PdfkitWarning, match="within 0.05 Å: F -4 3 m"):
        phase = pk.load_recipe(tmp_path / "fit.toml").phases[0].build()
    assert len(phase.structure.sites) == 2
    done = forked.run("simulate", str(path), "--symmetry", "find", "-o", "x.gr", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "symmetry found within 0.01 Å: F -4 3 m" in done.stderr + done.stdout
