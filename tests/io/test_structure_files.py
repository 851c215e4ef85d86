"""Structure files: every format, damage of every kind, and the structures that come with pdfkit."""

from __future__ import annotations

import importlib.metadata
import math
import sys
import warnings
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdfkit.errors import PdfkitError, PdfkitWarning, ReadError, StructureError, WriteError
from pdfkit.io.cif.files import write_cif
from pdfkit.io.stru_text import write_stru
from pdfkit.io.structures import available_structures, load_structure, read_structure
from pdfkit.structure import symmetry as structure_symmetry
from pdfkit.structure.operations import format_operation, identify, parse_operations, table, tabulated_operations
from pdfkit.structure.site import Site
from pdfkit.structure.structure import Structure

DATA = Path(__file__).parents[1] / "data" / "structures"
FILES = sorted(path.name for path in DATA.iterdir())
B_TO_U = 1 / (8 * math.pi**2)


def wrapped(xyz):
    return np.round(np.asarray(xyz) % 1.0, 6) % 1.0


def atoms_of(elements, xyz):
    """Return the atoms of a cell as a comparable collection."""
    return Counter((el, *np.round(p, 5)) for el, p in zip(elements, wrapped(xyz), strict=True))


def expanded(structure):
    return atoms_of([structure.sites[i].element for i in structure.expand().site], structure.positions())


# --- the structures that come with pdfkit

# Atoms in the cell, and the mass density in g/cm³ of handbooks.
KNOWN = {
    "Ag": ("Ag4", 10.50),
    "Al": ("Al4", 2.70),
    "Al2O3_corundum": ("Al12 O18", 3.99),
    "Au": ("Au4", 19.3),
    "CaF2": ("Ca4 F8", 3.18),
    "CdS_wurtzite": ("Cd2 S2", 4.82),
    "CdS_zincblende": ("Cd4 S4", 4.84),
    "CdSe_wurtzite": ("Cd2 Se2", 5.67),
    "CdSe_zincblende": ("Cd4 Se4", 5.74),
    "CdTe_zincblende": ("Cd4 Te4", 5.85),
    "CeO2": ("Ce4 O8", 7.22),
    "Cu": ("Cu4", 8.96),
    "Fe": ("Fe2", 7.87),
    "GaAs": ("Ga4 As4", 5.32),
    "Ge": ("Ge8", 5.32),
    "InAs": ("In4 As4", 5.67),
    "InP_zincblende": ("In4 P4", 4.81),
    "LaB6": ("La1 B6", 4.72),
    "MgO": ("Mg4 O4", 3.58),
    "NaCl": ("Na4 Cl4", 2.17),
    "Ni": ("Ni4", 8.91),
    "PbS": ("Pb4 S4", 7.60),
    "PbSe": ("Pb4 Se4", 8.27),
    "Pd": ("Pd4", 12.02),
    "Pt": ("Pt4", 21.45),
    "Si": ("Si8", 2.329),
    "SrTiO3": ("Sr1 Ti1 O3", 5.11),
    "TiO2_anatase": ("Ti4 O8", 3.89),
    "TiO2_rutile": ("Ti2 O4", 4.25),
    "W": ("W2", 19.3),
    "ZnO_wurtzite": ("Zn2 O2", 5.61),
    "ZnS_wurtzite": ("Zn2 S2", 4.09),
    "ZnS_zincblende": ("Zn4 S4", 4.09),
    "ZnSe_zincblende": ("Zn4 Se4", 5.27),
    "diamond": ("C8", 3.51),
    "graphite": ("C4", 2.26),
}

# Nearest-neighbour distances in Å that any handbook gives, to 0.02 Å: they see a wrong u or origin.
BONDS = {
    ("CdS_wurtzite", "Cd", "S"): 2.53,
    ("CdSe_wurtzite", "Cd", "Se"): 2.63,
    ("CdSe_zincblende", "Cd", "Se"): 2.62,
    ("ZnO_wurtzite", "Zn", "O"): 1.98,
    ("ZnS_wurtzite", "Zn", "S"): 2.34,
    ("TiO2_anatase", "Ti", "O"): 1.935,
    ("TiO2_rutile", "Ti", "O"): 1.95,
    ("Al2O3_corundum", "Al", "O"): 1.855,
    ("LaB6", "B", "B"): 1.66,
    ("Si", "Si", "Si"): 2.352,
    ("diamond", "C", "C"): 1.545,
    ("graphite", "C", "C"): 1.42,
    ("CeO2", "Ce", "O"): 2.343,
    ("SrTiO3", "Ti", "O"): 1.9525,
}


def test_every_structure_is_known_here():
    assert set(available_structures()) == set(KNOWN)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_composition_density_and_multiplicities(name):
    import periodictable

    structure = load_structure(name)
    formula, density = KNOWN[name]
    assert " ".join(f"{el}{n:g}" for el, n in structure.composition().items()) == formula
    mass = sum(n * periodictable.elements.symbol(el).mass for el, n in structure.composition().items())
    # Handbooks give three digits, of natural samples: 2 %.
    assert mass / structure.volume() * 1.66054 == pytest.approx(density, rel=0.02)
    for i, site in enumerate(structure.sites):
        images = wrapped(structure.rotations @ np.array(site.xyz) + structure.translations)
        assert structure.multiplicities()[i] == len({tuple(x) for x in images})
        assert 0.005 <= site.Uiso <= 0.015
    assert identify(structure.rotations, structure.translations)[1] > 0


@pytest.mark.parametrize("bond", sorted(BONDS), ids="-".join)
def test_bond_lengths(bond):
    name, one, two = bond
    p1 = load_structure(name).supercell((2, 2, 2))
    xyz = np.array([site.xyz for site in p1.sites])
    is_one, is_two = ([site.element == el for site in p1.sites] for el in (one, two))
    step = xyz[is_one][:, None] - xyz[is_two][None]
    d = np.linalg.norm((step - np.round(step)) @ p1.basis(), axis=-1)
    assert d[d > 0.1].min() == pytest.approx(BONDS[bond], abs=0.02)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_other_libraries_see_the_same_atoms(name):
    import ase.io
    from diffpy.structure.parsers.p_cif import P_cif

    folder = Path(sys.modules["pdfkit.io.structures"]._folder())
    ours = expanded(load_structure(name))
    atoms = ase.io.read(folder / f"{name}.cif")
    assert ours == atoms_of(atoms.get_chemical_symbols(), atoms.get_scaled_positions())
    theirs = P_cif().parse((folder / f"{name}.cif").read_text())
    assert ours == atoms_of([a.element for a in theirs], [a.xyz for a in theirs])


def test_unknown_names_get_the_nearest():
    with pytest.raises(StructureError, match="CdSe_wurtzite"):
        load_structure("CdSe_wurzite")
    with pytest.raises(StructureError, match="no structure"):
        load_structure("../../secret")


# --- each format


def test_a_database_cif():
    made = read_structure(DATA / "icsd_wurtzite.cif")
    assert made.cell == (4.2999, 4.2999, 7.0109, 90.0, 90.0, 120.0)
    assert made.spacegroup == "P 63 m c"
    assert made.title == "Cadmium selenide"
    Cd, Se = made.sites
    assert (Cd.label, Cd.element, Se.element, Se.occ) == ("Cd1", "Cd", "Se", 1.0)
    assert Cd.xyz == (1 / 3, 2 / 3, 0.0)
    np.testing.assert_allclose(Cd.U, B_TO_U * np.array([1.58, 1.58, 0.79, 0.79, 0, 0]), atol=1e-12)
    assert Se.Uiso == pytest.approx(0.79 * B_TO_U)
    assert not Cd.isotropic
    assert list(made.multiplicities()) == [2, 2]


def test_pdffit_files():
    made = read_structure(DATA / "pdffit4.stru")
    assert dict(made.meta) == {
        "scale": 0.95,
        "delta2": 5.25,
        "delta1": 0.1,
        "sratio": 0.9,
        "rcut": 3.5,
        "spdiameter": 35.0,
    }
    assert made.title.startswith("CdSe zinc blende")
    assert made.sites[0] == Site("Cd1", "Cd", (0, 0, 0), 1.0, (0.01,))
    assert made.sites[1] == Site("Se1", "Se", (0.25,) * 3, 0.5, (0.01, 0.02, 0.03, 0.001, 0.002, -0.003), False, -2)
    with pytest.warns(PdfkitWarning, match="spcgr Fm-3m would add atoms to those listed"):
        old = read_structure(DATA / "pdffit3.stru")
    assert dict(old.meta) == {"scale": 1.0, "delta2": 2.5, "sratio": 0.8, "rcut": 3.0, "stepcut": 21.5}
    assert old.cell[:3] == (7.04, 3.52, 3.52)
    assert [site.xyz for site in old.sites] == [(0, 0, 0), (0.5, 0, 0)]


@pytest.mark.filterwarnings("ignore:spcgr Fm-3m would add atoms")
@pytest.mark.parametrize("name", ["pdffit4.stru", "pdffit3.stru", "discus.stru"])
def test_stru_files_agree_with_diffpy_structure(name):
    from diffpy.structure.parsers.p_discus import P_discus
    from diffpy.structure.parsers.p_pdffit import P_pdffit

    parser = P_discus() if name == "discus.stru" else P_pdffit()
    theirs = parser.parse((DATA / name).read_text())
    ours = read_structure(DATA / name)
    assert ours.cell == pytest.approx(
        theirs.lattice.cell_parms() if hasattr(theirs.lattice, "cell_parms") else theirs.lattice.abcABG()
    )
    for mine, other in zip(ours.sites, theirs, strict=True):
        np.testing.assert_allclose(mine.xyz, other.xyz, atol=1e-12)
        np.testing.assert_allclose(
            ours.U_tensor(mine.label), np.asarray(other.U)[(0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)], atol=1e-12
        )
        assert (mine.occ, mine.element) == (other.occupancy, other.element.removesuffix("2-"))


def test_rmc_configurations():
    with pytest.warns(PdfkitWarning, match="U is missing for 4 atoms"):
        made = read_structure(DATA / "box.rmc6f")
    assert made.title == "rock salt"
    assert made.cell[:2] == (11.28128, 5.64064)
    assert [(site.label, site.xyz[0]) for site in made.sites] == [
        ("Na1", 0.001),
        ("Na2", 0.5),
        ("Cl1", 0.25),
        ("Cl2", 0.75),
    ]


def test_what_ase_and_diffpy_read(tmp_path):
    with pytest.warns(PdfkitWarning, match="U is missing for 2 atoms"):
        zinc = read_structure(DATA / "POSCAR")
    assert zinc.composition() == {"Zn": 1.0, "S": 1.0}
    assert zinc.number_density() == pytest.approx(8 / 5.409**3)
    with pytest.warns(PdfkitWarning, match="U is missing for 4 atoms"):
        assert read_structure(DATA / "lattice.xyz").composition() == {"Na": 2.0, "Cl": 2.0}
    pdb = read_structure(DATA / "cell.pdb")
    assert pdb.composition() == {"Na": 1.0, "Cl": 0.5}
    assert pdb.sites[0].Uiso == pytest.approx(B_TO_U)
    grouped = (DATA / "cell.pdb").read_text().replace(" P 1      ", " F m -3 m ")
    (tmp_path / "group.pdb").write_text(grouped)
    assert read_structure(tmp_path / "group.pdb").composition() == {"Na": 4.0, "Cl": 2.0}


@pytest.mark.parametrize("format", ["vasp", "xsf", "extxyz", "gen", "cif"])
def test_what_ase_writes_is_read(tmp_path, format):
    import ase.build
    import ase.io

    atoms = ase.build.bulk("ZnS", "wurtzite", a=3.82, c=6.26)
    path = tmp_path / {"vasp": "POSCAR", "cif": "x.cif"}.get(format, f"x.{format}")
    ase.io.write(path, atoms, format=format)
    with pytest.warns(PdfkitWarning, match="U is missing"):
        made = read_structure(path)
    assert expanded(made) == atoms_of(atoms.get_chemical_symbols(), atoms.get_scaled_positions())


def test_atoms_without_a_cell_are_sent_to_clusters(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("2\nmolecule\nC 0 0 0\nO 0 0 1.1\n")
    with pytest.raises(ReadError, match="Cluster"):
        read_structure(path)
    (tmp_path / "a.pdb").write_text("ATOM      1 NA   NA  A   1       0.000   0.000   0.000  1.00  1.00          Na\n")
    with pytest.raises(ReadError, match="CRYST1"):
        read_structure(tmp_path / "a.pdb")


# --- CIF in detail

BODY = """
_cell_length_a 30.0
_cell_length_b 30.0
_cell_length_c {c}
_cell_angle_alpha {alpha}
_cell_angle_beta {alpha}
_cell_angle_gamma {gamma}
{symmetry}
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_U_iso_or_equiv
{atoms}
"""


def cif(tmp_path, symmetry, atoms="Ni 0.04 0.11 0.23", c=30.0, alpha=90, gamma=90):
    path = tmp_path / "made.cif"
    atoms = "\n".join(f"{line} 0.005" for line in atoms.split("\n"))
    path.write_text("data_x" + BODY.format(symmetry=symmetry, atoms=atoms, c=c, alpha=alpha, gamma=gamma))
    return path


@pytest.mark.filterwarnings("ignore:atoms of sites")
@pytest.mark.parametrize(
    ("symmetry", "count"),
    [
        ("_symmetry_space_group_name_H-M 'F m -3 m'", 192),
        ("_symmetry_space_group_name_H-M 'Fm-3m'", 192),
        ("_space_group_name_H-M_alt 'F d -3 m :2'", 192),
        ("_space_group_name_H-M_alt 'F d -3 m Z'", 192),
        ("_space_group_name_H-M_alt 'F d -3 m (origin choice 1)'", 192),
        ("_space_group_IT_number 216", 96),
        ("_symmetry_space_group_name_H-M ?\n_symmetry_Int_Tables_number 195", 12),
        ("_symmetry_space_group_name_H-M 'P 1'", 1),
        ("_symmetry_equiv_pos_as_xyz 'x,y,z'", 1),
        ("loop_\n_space_group_symop.operation_xyz\nX,Y,Z\n-X,-Y,-Z", 2),
    ],
)
def test_symmetry_by_name_or_list(tmp_path, symmetry, count):
    assert read_structure(cif(tmp_path, symmetry)).multiplicities()[0] == count


def test_the_block_of_a_cif_by_name(tmp_path):
    import pdfkit as pk

    path = tmp_path / "two.cif"
    texts = (write_and_read_text(tmp_path, name) for name in ("Ni", "CdS_zincblende"))
    path.write_text("".join(texts))
    with pytest.warns(PdfkitWarning, match="2 blocks with atoms"):
        assert read_structure(path).composition() == {"Ni": 4.0}
    name = path.read_text().split("data_")[2].split()[0]
    assert read_structure(path, block=name.upper()).composition() == {"Cd": 4.0, "S": 4.0}
    assert pk.Crystal.from_file(path, name="zb", block=name).structure.composition() == {"Cd": 4.0, "S": 4.0}
    (tmp_path / "fit.toml").write_text(
        f'[data]\nfile = "x.gr"\n[[phase]]\nname = "zb"\nstructure = "two.cif"\nblock = "{name}"\n'
        '[fit]\nfree = ["*.a"]\n'
    )
    phase = pk.load_recipe(tmp_path / "fit.toml").phases[0].build()
    assert phase.structure.composition() == {"Cd": 4.0, "S": 4.0}
    with pytest.raises(ReadError, match="only a CIF"):
        read_structure(DATA / "pdffit4.stru", block=name)


def write_and_read_text(folder, name):
    write_cif(folder / f"{name}.cif", load_structure(name))
    return (folder / f"{name}.cif").read_text()


def test_rhombohedral_axes_follow_the_cell(tmp_path):
    name = "_space_group_name_H-M_alt 'R -3 c'"
    assert read_structure(cif(tmp_path, name, c=70.0, gamma=120)).multiplicities()[0] == 36
    assert read_structure(cif(tmp_path, name, alpha=56, gamma=56)).multiplicities()[0] == 12
    assert read_structure(cif(tmp_path, name.replace("c'", "c :H'"), c=70.0, gamma=120)).multiplicities()[0] == 36
    with pytest.raises(ReadError, match="symmetry of its operations"):
        read_structure(cif(tmp_path, name.replace("c'", "c :R'"), c=70.0, gamma=120))


def test_an_origin_that_a_file_leaves_open_is_reported(tmp_path):
    with pytest.warns(PdfkitWarning, match="two origins"):
        read_structure(cif(tmp_path, "_space_group_name_H-M_alt 'F d -3 m'"))
    with pytest.raises(ReadError, match="one origin only"):
        read_structure(cif(tmp_path, "_space_group_name_H-M_alt 'F m -3 m :2'"))


def test_origin_choices_differ_by_an_eighth():
    first, second = (tabulated_operations(f"F d -3 m :{k}", (5,) * 3 + (90,) * 3) for k in (1, 2))
    cell = (5.431,) * 3 + (90,) * 3
    one = Structure(cell, (Site("Si", "Si", (0, 0, 0)),), "", *first)
    two = Structure(cell, (Site("Si", "Si", (0.125, 0.125, 0.125)),), "", *second)
    assert list(one.multiplicities()) == list(two.multiplicities()) == [8]
    assert atoms_of(["Si"] * 8, one.positions() - 0.125) == expanded(two)


@pytest.mark.parametrize(
    "text", ["x,y,z", "-y,x-y,z+1/2", "1/2-x,Y,.25+Z", " x , -z , y + 3/4 ", "-x+y,-x,1/3+z", "x,y,z-0.25"]
)
def test_operations_there_and_back(text):
    R, t = parse_operations([text])
    x, y, z = 0.12, 0.34, 0.56
    expected = eval(text.lower(), {"__builtins__": {}}, {"x": x, "y": y, "z": z})
    np.testing.assert_allclose(R[0] @ [x, y, z] + t[0], expected, atol=1e-12)
    again = parse_operations([format_operation(R[0], t[0])])
    np.testing.assert_array_equal(again[0], R)
    np.testing.assert_allclose(again[1], t, atol=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "x,y",
        "x,y,z,x",
        "x,y,2x",
        "x y,z,x",
        "x,y,",
        "x,y,1/0+z",
        "x,y,q",
        "x,y,__import__('os')",
        "x,y,z**2",
        "xy,y,z",
    ],
)
def test_operations_are_not_code(text):
    with pytest.raises(StructureError, match=r"symmetry operation .* write it like"):
        parse_operations([text])


def test_a_cif_cannot_run_code(tmp_path):
    mark = tmp_path / "mark"
    attack = f"loop_\n_symmetry_equiv_pos_as_xyz\n\"x,y,open('{mark}','w')\""
    with pytest.raises(ReadError):
        read_structure(cif(tmp_path, attack))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("symmetry", "atoms", "message"),
    [
        ("", "Ni 0 0 0", "no symmetry operations and no space group"),
        ("_symmetry_space_group_name_H-M 'Q 3'", "Ni 0 0 0", "is not known"),
        ("_symmetry_equiv_pos_as_xyz '-x,-y,-z'", "Ni 0 0 0", "do not form a group"),
        ("_space_group_IT_number 1", "Ni 0 zero 0", "fract_y of Ni is 'zero'"),
        ("_space_group_IT_number 1", "Ni ? ? ?", "without sites"),
        ("_space_group_IT_number 1", "Ni 0 ? 0", "not finite"),
        ("_space_group_IT_number 1", "Qq 0 0 0", "label 'Qq' does not say"),
        ("_space_group_IT_number 1", "Ni 0 0 0\nFe 0 0 0.01", "Ni is 0.300 Å from site Fe"),
        ("_space_group_IT_number 1", "Ni 0 0", "not a CIF that can be parsed"),
        ("_space_group_IT_number 1\n_symmetry_x 'open", "Ni 0 0 0", "not a CIF that can be parsed"),
    ],
)
def test_bad_cifs_are_named(tmp_path, symmetry, atoms, message):
    path = cif(tmp_path, symmetry, atoms)
    with pytest.raises(ReadError, match=message) as caught:
        read_structure(path)
    assert str(path) in str(caught.value)


def test_cells_that_are_missing_are_named(tmp_path):
    text = (DATA / "icsd_wurtzite.cif").read_text()
    for old, new, message in (
        ("_cell_length_c  ", "_cell_x  ", "_cell_length_c is missing"),
        ("7.0109(10)", "?", "_cell_length_c is missing"),
        ("_atom_site_fract_x", "_atom_site_x", "no data block with atoms"),
        ("1.58(2) 1.58(2)", "1.58(2) a", "B22 of Cd1"),
    ):
        assert old in text
        (tmp_path / "x.cif").write_text(text.replace(old, new))
        with pytest.raises(ReadError, match=message):
            read_structure(tmp_path / "x.cif")


def test_libraries_stay_silent(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "spcgr Fm-3m would add atoms", PdfkitWarning)
        warnings.filterwarnings("ignore", "U is missing for", PdfkitWarning)
        for name in FILES:
            read_structure(DATA / name)
        for damaged in ("data_x\nloop_\n_a\n_b\n1 2 3\n", "data_x\n;never closed\n", ""):
            path = Path(DATA / "missing.cif")
            with pytest.raises(ReadError):
                _read_text_as(path, damaged)
    assert capfd.readouterr() == ("", "")


def _read_text_as(path, text):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / path.name
        file.write_text(text)
        return read_structure(file)


# --- lines of errors


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        ("pdffit4.stru", "cell    6.05", "cell    six", 7),
        ("pdffit4.stru", "sharp   5.25", "sharp   x", 4),
        ("pdffit4.stru", "sphere", "cube", 6),
        ("pdffit4.stru", "CD   ", "QQ   ", 11),
        ("pdffit4.stru", "0.25000000       0.5000", "0.25000000       x", 17),
        ("pdffit4.stru", "0.03000000", "nan", 19),
        ("pdffit4.stru", "            0.00000000        0.00000000        0.00000000\n", "", 16),
        ("discus.stru", "0.5\n", "B\n", 9),
        ("discus.stru", "# a comment", "generator 1", 7),
        ("box.rmc6f", "0.750000 ", "oops ", 20),
        ("box.rmc6f", "  Cl  [1]  0.75", "  Qq  [1]  0.75", 20),
        ("box.rmc6f", "Cell (Ang/deg):  11.281280", "Cell (Ang/deg):  long", 11),
    ],
)
def test_errors_name_the_line(tmp_path, name, old, new, line):
    text = (DATA / name).read_text()
    assert old in text
    path = tmp_path / name
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ReadError) as caught:
        read_structure(path)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"{path}, line {line}: ")


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("pdffit4.stru", "1,         2", "1,         3", "ncell says 3 atoms and 2 are there"),
        ("pdffit4.stru", "1,         2", "1,         0.5", "not counts"),
        ("pdffit4.stru", "\natoms\n", "\natome\n", "no line 'atoms'"),
        ("pdffit4.stru", "cell  ", "zell  ", "no line 'cell'"),
        ("discus.stru", "0.250000   0.250000   0.250000", "0.000000   0.000000   0.020000", "S1"),
        ("box.rmc6f", "Atoms:", "Atom:", "no line 'Atoms:'"),
        ("box.rmc6f", "Cell (", "Zell (", "no line 'Cell"),
        (
            "box.rmc6f",
            "Number of atoms:                     4",
            "Number of atoms: 5",
            "5 atoms are announced",
        ),
        ("POSCAR", "2.7045 0.0 2.7045", "2.7045 0.0", "ase cannot read it"),
        ("POSCAR", "1 1\n", "1 100000000\n", "announces more atoms"),
        ("lattice.xyz", "4\n", "400000000000000000000000000\n", "atoms are announced and 4 lines follow"),
        ("cell.pdb", " P 1 ", " Q 9 ", "is not known"),
    ],
)
def test_incomplete_files_are_refused(tmp_path, name, old, new, message):
    text = (DATA / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1))
    with pytest.raises(ReadError, match=message):
        read_structure(tmp_path / name)


def test_formats_that_run_code_are_refused(tmp_path):
    import pickle

    path = tmp_path / "x.pckl"
    path.write_bytes(pickle.dumps({"a": 1}, protocol=0))
    with pytest.raises(ReadError):
        read_structure(path)
    (tmp_path / "x.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(ReadError, match="format"):
        read_structure(tmp_path / "x.py")
    with pytest.raises(ReadError, match="no such file"):
        read_structure(tmp_path / "nothing.cif")
    with pytest.raises(ReadError, match="folder"):
        read_structure(tmp_path)
    with pytest.raises(ReadError, match="not a file name"):
        read_structure(None)


# --- writing


def assert_same(one, two, atol=1e-10):
    assert one.cell == pytest.approx(two.cell, abs=atol)
    np.testing.assert_array_equal(one.rotations, two.rotations)
    np.testing.assert_allclose(one.translations, two.translations, atol=atol)
    for a, b in zip(one.sites, two.sites, strict=True):
        assert (a.label, a.element, a.isotropic) == (b.label, b.element, b.isotropic)
        np.testing.assert_allclose((*a.xyz, a.occ, *a.U), (*b.xyz, b.occ, *b.U), atol=atol)


@pytest.mark.parametrize("name", sorted(KNOWN))
@pytest.mark.parametrize("anisotropic", [False, True])
def test_cif_round_trip(tmp_path, name, anisotropic):
    one = load_structure(name)
    one = one.with_anisotropic() if anisotropic else one
    write_cif(tmp_path / "x.cif", one)
    two = read_structure(tmp_path / "x.cif")
    assert_same(one, two)
    assert (one.title, one.spacegroup) == (two.title, two.spacegroup)


cells = st.tuples(*(st.floats(4, 12) for _ in range(3)), *(st.floats(75, 110) for _ in range(3)))
numbers = st.floats(0.001, 0.05)


@pytest.mark.filterwarnings("ignore:U of site")
@settings(max_examples=30)
@given(
    cells,
    st.tuples(*(numbers for _ in range(6))),
    st.floats(0.01, 0.49),
    st.floats(0, 1),
    st.text(max_size=30),
)
def test_a_triclinic_cif_round_trip(tmp_path_factory, cell, U, x, occ, title):
    folder = tmp_path_factory.mktemp("cif")
    sites = (Site("A", "Cd", (x, 0.1, 0.2), occ, U, False), Site("B", "D", (0.5 + x, 0.6, 0.7), occ, U[0]))
    one = Structure(cell, sites, title=title)
    write_cif(folder / "x.cif", one)
    assert_same(one, read_structure(folder / "x.cif"))
    write_stru(folder / "x.stru", one)
    # The format has eight digits; an isotropic tensor reads back as isotropic.
    two = read_structure(folder / "x.stru")
    for i, j in ((0, 0), (1, 1)):
        np.testing.assert_allclose(one.U_tensor(i), two.U_tensor(j), atol=3e-8)
        step = np.subtract(one.sites[i].xyz, two.sites[j].xyz)
        np.testing.assert_allclose(step, np.round(step), atol=2e-8)
    assert two.sites[1].isotropic


@pytest.mark.parametrize("name", ["CdSe_wurtzite", "Al2O3_corundum", "TiO2_anatase", "Si"])
def test_other_libraries_read_what_is_written(tmp_path, name):
    import ase.io
    from diffpy.structure.parsers.p_cif import P_cif

    one = load_structure(name).with_anisotropic()
    write_cif(tmp_path / "x.cif", one)
    atoms = ase.io.read(tmp_path / "x.cif")
    assert expanded(one) == atoms_of(atoms.get_chemical_symbols(), atoms.get_scaled_positions())
    theirs = P_cif().parse((tmp_path / "x.cif").read_text())
    assert expanded(one) == atoms_of([a.element for a in theirs], [a.xyz for a in theirs])
    np.testing.assert_allclose(theirs[0].U, one.to_diffpy()[0].U, atol=1e-12)


@pytest.mark.parametrize("setting", table()[::15], ids=lambda setting: setting.name)
def test_other_libraries_read_every_setting(tmp_path, setting):
    import ase.io
    import gemmi
    from diffpy.structure.parsers.p_cif import P_cif

    R, t = setting.operations()
    rows = structure_symmetry.basis((60, 66, 72, 81, 99, 104))
    cell = structure_symmetry.cell_of(np.einsum("nji,jk,nkl->il", R, rows @ rows.T, R) / len(R))
    one = Structure(cell, (Site("Ni1", "Ni", (0.09, 0.21, 0.34)),), setting.name, R, t)
    write_cif(tmp_path / "x.cif", one)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        atoms = ase.io.read(tmp_path / "x.cif")
        theirs = P_cif().parse((tmp_path / "x.cif").read_text())
    small = gemmi.read_small_structure(str(tmp_path / "x.cif"))
    for places in (
        atoms.get_scaled_positions(),
        [a.xyz for a in theirs],
        [site.fract.tolist() for site in small.get_all_unit_cell_sites()],
        read_structure(tmp_path / "x.cif").positions(),
    ):
        step = np.asarray(places)[:, None] - one.positions()[None]
        assert len(places) == len(one.positions())
        assert np.abs(step - np.round(step)).max(axis=-1).min(axis=1).max() < 1e-4


def test_stru_keeps_the_header(tmp_path):
    from diffpy.structure.parsers.p_pdffit import P_pdffit

    meta = {"delta2": 5.25, "delta1": 0.5, "sratio": 0.9, "rcut": 3.5, "scale": 0.75, "spdiameter": 33.1}
    one = replace(load_structure("CdSe_wurtzite"), meta=meta)
    write_stru(tmp_path / "x.stru", one)
    two = read_structure(tmp_path / "x.stru")
    assert dict(two.meta) == meta
    assert expanded(one) == expanded(two)
    assert all(site.isotropic for site in two.sites)
    theirs = P_pdffit().parse((tmp_path / "x.stru").read_text())
    assert {key: theirs.pdffit[key] for key in meta} == meta


def test_writers_refuse_what_cannot_be_written(tmp_path):
    with pytest.raises(WriteError, match="create it first"):
        write_cif(tmp_path / "none" / "x.cif", load_structure("Ni"))
    with pytest.raises(WriteError, match="folder"):
        write_stru(tmp_path, load_structure("Ni"))
    assert list(tmp_path.iterdir()) == []


# --- damage


@cache
def content(name):
    return (DATA / name).read_text()


JUNK = [
    "",
    " ",
    "\n",
    "?",
    ".",
    "0",
    "-1",
    "1e9",
    "nan",
    "1e400",
    "'",
    '"',
    ";",
    "loop_",
    "data_",
    "x,y,z",
    "Cd",
    "#",
    "\x00",
    "é",
    ",",
    "_",
]


@st.composite
def damaged(draw):
    """Draw a file name and its text after a few cuts, insertions and swapped words."""
    name = draw(st.sampled_from([*FILES, "Si.cif"]))
    text = content(name) if name in FILES else content("icsd_wurtzite.cif").replace("'P 63 m c'", "?")
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["cut", "insert", "word", "truncate", "repeat"]))
        at = draw(st.integers(0, max(len(text) - 1, 0)))
        if kind == "cut":
            text = text[:at] + text[at + draw(st.integers(1, 30)) :]
        elif kind == "insert":
            text = text[:at] + draw(st.sampled_from(JUNK)) + text[at:]
        elif kind == "word":
            words = text.split(" ")
            words[at % len(words)] = draw(st.sampled_from(JUNK))
            text = " ".join(words)
        elif kind == "truncate":
            text = text[:at]
        else:
            lines = text.split("\n")
            k = at % len(lines)
            text = "\n".join([*lines[:k], lines[k], *lines[k:]])
    return name, text


def structure_or_error(path):
    try:
        return read_structure(path)
    except PdfkitError as error:
        return error


@settings(max_examples=250)
@given(damaged())
def test_damaged_files_give_a_structure_or_a_clear_error(tmp_path_factory, case):
    name, text = case
    path = tmp_path_factory.getbasetemp() / f"damaged-{name}"
    path.write_text(text, encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", PdfkitWarning)
        outcome = structure_or_error(path)
    if isinstance(outcome, PdfkitError):
        assert str(path) in str(outcome)
    else:
        assert outcome.volume() > 0
        assert np.isfinite(outcome.positions()).all()


# --- measured data's structures


def example_structures():
    try:
        package = importlib.metadata.distribution("diffpy.cmi")
    except importlib.metadata.PackageNotFoundError:
        return []
    return [str(f) for f in package.files or [] if f.suffix == ".cif" and "/pdf/" in str(f)]


# What these files leave out; three are of other compounds, edited by hand, and keep the formula of what they were.
SAID = {
    "BaZn2As2_mod.cif": "formula|Mn1",
    "SrFe2As2_orthorhombic.cif": "formula|_cell_volume",
    "SrFe2As2_tetragonal.cif": "formula|_cell_volume",
    "CdS.cif": "U is missing",
    "ZnS.cif": "U is missing",
}


@pytest.mark.examples
def test_the_cifs_of_published_examples():
    names = example_structures()
    if not names:
        pytest.skip("diffpy.cmi is not installed (extra: examples)")
    assert len(names) >= 10
    for name in names:
        path = Path(str(importlib.metadata.distribution("diffpy.cmi").locate_file(name)))
        with pytest.warns(PdfkitWarning, match=SAID[path.name]) if path.name in SAID else nullcontext():
            made = read_structure(path)
        import ase.io

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                atoms = ase.io.read(path)
            except Exception:  # ase refuses some settings
                continue
        places = {tuple(x) for x in wrapped(made.positions())}
        assert len(places) == len(atoms), name
