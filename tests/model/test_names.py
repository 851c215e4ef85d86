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
from pdfkit.model.params import apply_choices

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


@pytest.fixture(scope="module")
def dots() -> pk.Model:
    shapes = {"shape": pk.Sphere(30.0)}
    zb = pk.Crystal.from_file("CdS_zincblende", name="zb", **shapes)
    return pk.Model([zb, pk.Crystal.from_file("CdS_wurtzite", name="wz", **shapes)], LAB)


@pytest.mark.parametrize(
    ("ties", "expected"),
    [
        ({"wz.spdiameter": "zb.spdiameter"}, {"wz.spdiameter": "zb.spdiameter"}),
        ({"*.spdiameter": "zb.spdiameter"}, {"wz.spdiameter": "zb.spdiameter"}),
        ({"spdiameter": "zb.spdiameter"}, {"wz.spdiameter": "zb.spdiameter"}),
        ({"wz.Uiso": "zb.Uiso"}, {"wz.Cd.Uiso": "zb.Cd.Uiso", "wz.S.Uiso": "zb.S.Uiso"}),
        ({"Uiso": "zb.Uiso"}, {"wz.Cd.Uiso": "zb.Cd.Uiso", "wz.S.Uiso": "zb.S.Uiso"}),
        ({"wz.Uiso": "1.2*zb.Uiso"}, {"wz.Cd.Uiso": "1.2 * zb.Cd.Uiso", "wz.S.Uiso": "1.2 * zb.S.Uiso"}),
        ({"wz.Uiso": "zb.Cd.Uiso"}, {"wz.Cd.Uiso": "zb.Cd.Uiso", "wz.S.Uiso": "zb.Cd.Uiso"}),
        ({"Cd.Uiso": "S.Uiso"}, {"zb.Cd.Uiso": "zb.S.Uiso", "wz.Cd.Uiso": "wz.S.Uiso"}),
        ({"wz.a": 4.2, "wz.c": "1.633*wz.a"}, {"wz.a": "4.2", "wz.c": "1.633*wz.a"}),
    ],
)
def test_ties_are_sentences(dots: pk.Model, ties: dict[str, str | float], expected: dict[str, str]) -> None:
    """What stands on the right means, for each name on the left, the one that says the same of its phase."""
    data = dots(R)
    found = pk.fit(dots, data, free=["scale"], ties=ties, settings=pk.FitSettings(max_nfev=1)).params
    assert {name: par.expr for name, par in found.items() if par.expr} == expected


def test_scales_are_tied_within_each_data_set(dots: pk.Model) -> None:
    params = pk.parameters(dots, ["x", "n"])
    apply_choices(params, ties={"wz.scale": "2*zb.scale"})
    assert {params[f"{one}.wz.scale"].expr for one in "xn"} == {"2 * x.zb.scale", "2 * n.zb.scale"}


@pytest.mark.parametrize(
    ("ties", "words"),
    [
        ({"wz.a": "Uiso"}, "'Uiso' may be any of zb.Cd.Uiso, .* for wz.a: write one of these"),
        ({"zb.a": "wz.c", "wz.c": "zb.a"}, "ties form a circle: zb.a -> wz.c -> zb.a"),
        ({"zb.Uiso": "zb.Uiso"}, "zb.Cd.Uiso to itself"),
        ({"Uiso": "0.9*zb.Cd.Uiso"}, "zb.Cd.Uiso to itself"),
        ({"wz.U11": "zb.Uiso"}, "no parameter is called 'wz.U11'"),
    ],
)
def test_ties_without_a_sense_are_refused_by_name(dots: pk.Model, ties: dict[str, str], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        pk.fit(dots, dots(R), free=["scale"], ties=ties)


def test_a_tie_wins_over_free_and_keeps_its_bounds(dots: pk.Model) -> None:
    data = dots.with_values({"zb.spdiameter": 28.0, "wz.spdiameter": 28.0})(R)
    free = ["scale", "zb.spdiameter", "wz.spdiameter"]
    ties = {"wz.spdiameter": "zb.spdiameter"}
    result = pk.fit(dots, data, free=free, ties=ties, bounds={"wz.spdiameter": (29.0, 40.0)})
    assert "wz.spdiameter" not in result.free
    assert "wz.spdiameter is both free and tied to zb.spdiameter: the tie holds" in result.remarks
    assert result.params["wz.spdiameter"].value == pytest.approx(29.0, abs=0.01)
    said = pk.fit(dots, data, free=["scale", "spdiameter"], ties=ties).remarks
    assert not any("the tie holds" in text for text in said)  # an ending frees the other


def test_what_is_freed_and_tied_to_a_fixed_number_frees_that(dots: pk.Model) -> None:
    """Else "free the diameter of wz, which is that of zb" would fit none."""
    data = dots.with_values({"zb.spdiameter": 28.0, "wz.spdiameter": 28.0})(R)
    ties = {"wz.spdiameter": "zb.spdiameter"}
    result = pk.fit(dots, data, free=["scale", "wz.spdiameter"], ties=ties, search="plain")
    assert result.params["wz.spdiameter"].value == pytest.approx(28.0, abs=0.01)
    assert "zb.spdiameter" in result.free
    assert any("zb.spdiameter, which nothing else frees, varies for it" in text for text in result.remarks)


def test_an_ending_may_say_its_phase(dots: pk.Model) -> None:
    result = pk.fit(dots, dots(R), free=["scale", "zb.Uiso"], bounds={"zb.Uiso": (0.001, 0.05)})
    assert result.free == ("zb.scale", "zb.Cd.Uiso", "zb.S.Uiso", "wz.scale")
    assert result.params["zb.S.Uiso"].max == 0.05
