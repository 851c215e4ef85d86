"""Files with a cell among candidates: a crystal is said to be one, a cluster in a box is put together."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import screens
from scipy.spatial.distance import pdist

import pdfkit as pk
from pdfkit.errors import StructureError
from pdfkit.phases.files import phase_from_file
from pdfkit.screening.candidates import files_in
from pdfkit.screening.crystals import cluster_in


@pytest.mark.parametrize("name", ["CdSe_zincblende", "CdSe_wurtzite", "NaCl", "Ni", "CeO2"])
def test_crystals_are_no_clusters(name: str) -> None:
    with pytest.raises(StructureError, match="this is a crystal") as error:
        cluster_in(pk.load_structure(name))
    assert "null=" in str(error.value)


@pytest.mark.filterwarnings("ignore::pdfkit.PdfkitWarning")
@pytest.mark.parametrize("shift", [0.0, 11.0, 17.3])
def test_a_cluster_in_a_box_is_put_together_where_the_cell_cuts_it(shift: float) -> None:
    whole = screens.true()
    box = ase.Atoms(whole.symbols, positions=whole.xyz + shift, cell=[30, 31, 32], pbc=True)
    box.wrap()
    found = cluster_in(pk.Structure.from_ase(box))
    assert pk.build.same_shape(found, whole)
    assert "taken for one cluster in a cell" in found.remarks[-1]


@pytest.mark.filterwarnings("ignore:U is missing")
@pytest.mark.parametrize(
    ("name", "options"), [("a.extxyz", {}), ("POSCAR", {"format": "vasp"}), ("a.pdb", {}), ("", {})]
)
def test_files_of_every_kind_are_put_together(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    whole = screens.true()
    box = ase.Atoms(whole.symbols, positions=whole.xyz + 1.0, cell=[[30, 0, 0], [9, 31, 0], [0, 3, 32]], pbc=True)
    box.wrap()
    given: object = box if not name else tmp_path / name
    if name:
        ase.io.write(given, box, **options)
    with pytest.warns(pk.PdfkitWarning, match="put together where the cell cuts"):
        found = pk.Particle.from_file(given) if isinstance(given, Path) else pk.Particle.from_structure(given)
    apart, truth = (np.sort(pdist(one.xyz)) for one in (found, whole))
    np.testing.assert_allclose(apart, truth, atol=0.004)  # three digits in a PDB file


@pytest.mark.filterwarnings("ignore:U is missing")
def test_a_cluster_in_a_box_that_is_taken_for_a_crystal_is_told(tmp_path: Path) -> None:
    """Where nobody said which it is; neither of crystals, nor of boxes so small that it nearly touches its images."""
    whole = screens.true()
    for name, side in (("wide.xyz", 30.0), ("tight.xyz", 16.0)):
        ase.io.write(tmp_path / name, ase.Atoms(whole.symbols, positions=whole.xyz, cell=[side] * 3, pbc=True))
    with pytest.warns(pk.PdfkitWarning, match=r"one particle with 6 Å .* kind = \"cluster\""):
        found = phase_from_file(tmp_path / "wide.xyz")
    assert (found.kind, len(found.remarks)) == ("crystal", 2)
    for path, kind in (("wide.xyz", "crystal"), ("tight.xyz", None)):
        assert len(phase_from_file(tmp_path / path, kind=kind).remarks) == 1
    assert not phase_from_file("CdSe_wurtzite").remarks


def test_cells_that_hold_no_cluster_are_refused_whatever_brings_them(tmp_path: Path) -> None:
    two = np.concatenate([screens.true().xyz, screens.true().xyz + np.array([25.0, 0.0, 0.0])])
    box = ase.Atoms(screens.true().symbols * 2, positions=two, cell=[60, 40, 40], pbc=True)
    box.wrap()
    crystal = pk.load_structure("CdSe_wurtzite")
    ase.io.write(tmp_path / "crystal.xyz", crystal.to_ase(), format="extxyz")
    with pytest.warns(pk.PdfkitWarning, match="its cell holds 2 pieces|this is a crystal"):
        ranking = pk.screen(
            [box, crystal, tmp_path / "crystal.xyz", screens.true()], screens.measurement(), **screens.RANGE
        )
    words = [row.remarks[0] for row in ranking.failed]
    assert "cuts through some of 2 pieces" in words[0]
    assert all("this is a crystal" in one for one in words[1:])
    assert len(words) == 3
    (tmp_path / "drawn.mol2").write_text("")
    with pytest.warns(pk.PdfkitWarning, match="drawn.mol2"):
        assert [one.name for one in files_in(tmp_path)] == ["crystal.xyz"]


@pytest.mark.filterwarnings("ignore:its cell holds 2 pieces")
def test_several_pieces_are_refused() -> None:
    two = np.concatenate([screens.true().xyz, screens.true().xyz + np.array([25.0, 0.0, 0.0])])
    box = ase.Atoms(screens.true().symbols * 2, positions=two, cell=[60, 40, 40], pbc=True)
    with pytest.raises(StructureError, match="2 pieces"):
        cluster_in(pk.Structure.from_ase(box))


def test_a_folder_of_xyz_and_cif_files_works(tmp_path: Path) -> None:
    for one in screens.particles()[:4]:
        pk.io.write_xyz(tmp_path / f"{one.name}.xyz", one)
    pk.write_cif(tmp_path / "crystal.cif", pk.load_structure("CdSe_zincblende"))
    whole, less = screens.true(), screens.true().select(range(1, 55))  # a corner less
    ase.io.write(tmp_path / "boxed.cif", ase.Atoms(less.symbols, positions=less.xyz + 15, cell=[30] * 3, pbc=True))
    found = pk.screen(tmp_path, screens.measurement(), **screens.RANGE)
    assert {row.name for row in found.best(2)} == {"boxed", whole.name}
    (failed,) = found.failed
    assert failed.name == "crystal"
    assert "this is a crystal (F -4 3 m)" in failed.remarks[0]
    narrow = pk.screen(tmp_path, screens.measurement(), **screens.RANGE, keep=(6, 2))
    assert [row.name for row in narrow.failed] == ["crystal"]
    assert any("cluster in a cell" in text for text in found["boxed"].remarks)
