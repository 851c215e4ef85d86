"""Names: of phases that are given none, and of parameters by their endings, one rule wherever a name is asked for."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import ase
import numpy as np
import pytest

import pdfkit as pk
from pdfkit.benchmarking import bench
from pdfkit.errors import ParameterError

R = np.arange(1.5, 8.0, 0.02)
LAB = pk.Instrument(probe="X", qmax=20.0)


@pytest.fixture(scope="module")
def two() -> pk.Model:
    return pk.Model([pk.Crystal.from_file("Ni"), pk.Crystal.from_file("Cu")], LAB)


@pytest.fixture(scope="module")
def one() -> pk.Model:
    return pk.Model(pk.Crystal.from_file("Ni", name="ni"), LAB)


@pytest.mark.parametrize(
    ("file", "name"), [("CdSe wz.cif", "CdSe_wz"), ("2 parts-b.cif", "phase_2_parts_b"), ("in.cif", "phase_in")]
)
def test_a_phase_is_named_after_its_file(tmp_path: Path, file: str, name: str) -> None:
    pk.write_cif(tmp_path / file, pk.load_structure("Ni"))
    crystal = pk.Crystal.from_file(tmp_path / file)
    assert crystal.name == name
    assert pk.Model(crystal, LAB).with_values({f"{name}.a": 3.6}).phases[0].name == name
    (tmp_path / "fit.toml").write_text(
        f'[data]\nfile = "x.gr"\n[[phase]]\nstructure = "{file}"\n[fit]\nfree = "scale"\n'
    )
    recipe = pk.load_recipe(tmp_path / "fit.toml")
    assert (recipe.phases[0].name, recipe.free) == (name, ("scale",))


def test_a_phase_without_a_file_is_named_after_what_it_is() -> None:
    dimer = ase.Atoms("Ni2", [[0, 0, 0], [0, 0, 2.5]])
    assert pk.Cluster(dimer).name == pk.Cluster.from_structure(dimer).name == "Ni2"
    np.testing.assert_array_equal(pk.Cluster(dimer).particle.xyz[:, 2], [0.0, 2.5])
    assert pk.Cluster(pk.build.tetrahedron("CdSe_zincblende", 4)).name.isidentifier()
    assert pk.Crystal(pk.load_structure("Ni")).name.isidentifier()
    assert pk.Stacked("Cd", "Se", a_h=4.3, alpha=0.1).name == "CdSe_stacked"


def test_two_phases_of_one_name_are_told_what_to_do() -> None:
    with pytest.raises(pk.PdfkitError, match="phase name 'Ni' is taken: give every phase its own, such as 'Ni_2'"):
        pk.Model([pk.Crystal.from_file("Ni")] * 2, LAB)


def test_parameters_are_found_by_their_ending(two: pk.Model) -> None:
    params = pk.parameters(two)
    for same in (params, copy.deepcopy(params), pickle.loads(pickle.dumps(params))):
        assert same["Ni.Uiso"] is same["Ni.Ni.Uiso"]
        assert "Ni.Uiso" not in same
        with pytest.raises(ParameterError, match=r"'a' may be any of Ni\.a, Cu\.a: write one of these"):
            same["a"]
        with pytest.raises(ParameterError, match="no parameter is called 'sclae': nearest are scale"):
            same["sclae"]
    params["Ni.Uiso"].vary = True
    assert params["Ni.Ni.Uiso"].vary


def test_values_are_set_by_their_ending(one: pk.Model, two: pk.Model) -> None:
    np.testing.assert_array_equal(one.with_values({"a": 3.6}).values, one.with_values({"ni.a": 3.6}).values)
    with pytest.raises(ParameterError, match=r"'a' may be any of Ni\.a, Cu\.a"):
        two.with_values({"a": 3.6})
    with pytest.raises(ParameterError, match="no parameter is called 'aa': nearest are a"):
        one.with_values({"aa": 3.6})
    with pytest.raises(ParameterError, match=r"ni\.a is given twice, once as a: leave one out"):
        one.with_values({"ni.a": 3.6, "a": 3.6})


def test_ties_and_restraints_take_endings(one: pk.Model, two: pk.Model) -> None:
    data = one(R)
    tied = pk.fit(one, data, free="scale", ties={"delta2": "0.1*a + sqrt(Uiso)"})
    whole = pk.fit(one, data, free="scale", ties={"delta2": "0.1*ni.a + sqrt(ni.Ni.Uiso)"})
    assert tied.params["delta2"].value == whole.params["delta2"].value > 0
    held = [pk.fit(one, data, free=["a"], restraints=[pk.ValueRestraint(n, 3.4, 1e-4)]) for n in ("a", "ni.a")]
    assert held[0].params["a"].value == held[1].params["a"].value < 3.52
    with pytest.raises(ParameterError, match=r"tie Cu\.a = 2\*Uiso: 'Uiso' may be any of Ni\.Ni\.Uiso, Cu\.Cu\.Uiso"):
        pk.fit(two, data, free="scale", ties={"Cu.a": "2*Uiso"})


def test_one_word_is_one_name(one: pk.Model) -> None:
    data = one(R)
    assert pk.fit(one, data, free="scale").free == ("ni.scale",)
    assert [row.free for row in pk.compare({"ni": one}, data, free="scale").results] == [("ni.scale",)]
    dots = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4)]
    about = pk.Instrument(probe="X", qmin=0.8, qmax=16)
    assert pk.screen(dots, pk.Model(pk.Cluster(dots[0]), about)(R), free="scale").problem.fit.free == ("scale",)
    with pytest.raises(pk.PdfkitError, match="free = 3: give a name or a list of names"):
        pk.fit(one, data, free=3)
    with pytest.raises(pk.PdfkitError, match="transfrom"):
        bench("transfrom")
