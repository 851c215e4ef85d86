"""Fits proposed for data and structures: simulated, so that the truth is known."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import pdfkit as pk
from pdfkit.cli.app import app
from pdfkit.cli.proposing import _assumed, _doubts
from pdfkit.data.advice import band_limit
from pdfkit.errors import PdfkitError, PdfkitWarning
from pdfkit.recipes.inputs import inputs
from pdfkit.recipes.proposal import Proposal, Wishes, propose
from pdfkit.recipes.recipe import load_recipe, run_recipe
from pdfkit.recipes.sizing import Trial
from pdfkit.recipes.written import is_untouched, recipe_of
from pdfkit.structure import Site

R = np.arange(0.02, 30.0, 0.02)


def measured(
    folder: Path, phases, name: str = "data.gr", *, head: tuple[str, ...] = (), noise: float = 0.002, **instrument
) -> Path:
    """Write simulated data with only those lines of a header that are asked for."""
    about = {"probe": "X", "qmax": 22.0, "qdamp": 0.03} | instrument
    G = pk.Model(phases, pk.Instrument(**about))(R).G
    G = G + noise * np.abs(G).max() * np.random.default_rng(7).normal(size=R.size)
    path = folder / name
    pk.io.write_columns(path, ["r", "G"], [R, G], list(head))
    return path


def ran(folder: Path, files: list, wishes: Wishes | None = None) -> tuple[Proposal, pk.FitResult, Path]:
    wishes = wishes or Wishes()
    plan = propose(inputs(files, **wishes.options()), wishes)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    recipe = out / "fit.toml"
    recipe.write_text(recipe_of(plan, out, here=True))
    return plan, run_recipe(recipe)[0], recipe


FULL = ("mode = xray", "qmax = 22", "qdamp = 0.03")


def test_bulk_crystal_of_a_cell_two_percent_off(tmp_path):
    true = pk.Crystal.from_file("CeO2", name="c", delta2=2.0).with_values({"Ce.Uiso": 0.004, "O.Uiso": 0.011})
    data = measured(tmp_path, true, head=FULL)
    cell = 1.02 * true.structure.cell[0]
    pk.write_cif(tmp_path / "start.cif", true.with_values({"a": cell, "Ce.Uiso": 0.05, "O.Uiso": 0.001}).structure)
    plan, result, _ = ran(tmp_path, [data, tmp_path / "start.cif"])
    assert plan.phases[0].options.get("shape") is None
    assert "qdamp" not in plan.free
    assert result.params["start.a"].value == pytest.approx(true.structure.cell[0], abs=5e-4)
    assert result.params["start.Ce.Uiso"].value == pytest.approx(0.004, abs=3e-4)
    assert result.params["start.O.Uiso"].value == pytest.approx(0.011, abs=2e-3)


def test_particles_are_seen_where_qdamp_is_known(tmp_path):
    true = pk.Crystal.from_file("Au", name="au", shape=pk.Sphere(26.0), delta2=2.0)
    plan, result, _ = ran(tmp_path, ["Au", measured(tmp_path, true, head=FULL)])
    assert "spdiameter" in plan.free
    assert result.params["Au.spdiameter"].value == pytest.approx(26.0, abs=0.3)


def test_particles_and_damping_are_told_apart_by_data_with_little_noise(tmp_path):
    true = pk.Crystal.from_file("Au", name="au", shape=pk.Sphere(24.0), delta2=2.0)
    plan, result, _ = ran(tmp_path, [measured(tmp_path, true, head=FULL[:2]), "Au"])
    assert {"qdamp", "spdiameter"} <= set(plan.free)
    assert result.params["Au.spdiameter"].value == pytest.approx(24.0, abs=0.5)
    assert result.params["qdamp"].value == pytest.approx(0.03, abs=0.005)
    assert any("qdamp" in text and "calibration" in text for text in plan.assumed)


def test_a_bulk_sample_without_qdamp_has_it_free(tmp_path):
    true = pk.Crystal.from_file("Ni", name="ni", delta2=2.0)
    plan, result, _ = ran(tmp_path, [measured(tmp_path, true, head=FULL[:2]), "Ni"])
    assert "qdamp" in plan.free
    assert "spdiameter" not in plan.free
    assert result.params["qdamp"].value == pytest.approx(0.03, abs=1e-3)


def test_lorchs_window_is_seen_where_the_header_is_silent(tmp_path):
    true = pk.Crystal.from_file("Ni", name="ni").with_values({"Ni.Uiso": 0.0055})
    plan, result, recipe = ran(tmp_path, [measured(tmp_path, true, head=FULL, window="lorch"), "Ni"])
    assert plan.data[0].values["window"] == "lorch"
    assert result.params["Ni.Uiso"].value == pytest.approx(0.0055, abs=3e-4)
    assert any("Lorch" in text for text in plan.assumed)
    assert 'window = "lorch"' in recipe.read_text()


@pytest.mark.filterwarnings("ignore:.*header says")
def test_a_qmax_that_the_data_contradict_is_not_believed(tmp_path):
    data = measured(tmp_path, pk.Crystal.from_file("Ni", name="ni"), head=("mode = xray", "qmax = 30", "qdamp = 0.03"))
    plan = propose(inputs([data, "Ni"]))
    assert plan.data[0].values["qmax"] == pytest.approx(22.0, abs=0.2)
    assert any("30 by the header" in text for text in plan.assumed)
    wishes = Wishes(qmax=30.0)
    asked = propose(inputs([data, "Ni"], **wishes.options()), wishes)
    assert asked.data[0].values["qmax"] == 30.0
    assert any("as asked for: is it right?" in text for text in asked.assumed)


def test_neutrons_are_told_by_the_fit_where_the_header_is_silent(tmp_path):
    data = measured(
        tmp_path, pk.Crystal.from_file("TiO2_rutile", name="t"), head=("qmax = 22", "qdamp = 0.03"), probe="N"
    )
    plan = propose(inputs([data, "TiO2_rutile"]))
    assert plan.data[0].values["probe"] == "N"
    assert any("neutrons fit far better" in text for text in plan.assumed)


def test_a_strong_damping_of_a_bulk_sample_is_no_sphere(tmp_path):
    true = pk.Crystal.from_file("Ni", name="ni")
    plan = propose(inputs([measured(tmp_path, true, head=FULL[:2], qdamp=0.09), "Ni"]))
    assert "qdamp" in plan.free
    assert "spdiameter" not in plan.free
    assert any("more than most instruments have" in text for text in plan.assumed)


def test_particles_larger_than_the_range_are_seen_though_their_size_is_badly_known(tmp_path):
    true = pk.Crystal.from_file("CdSe_zincblende", name="c", shape=pk.Sphere(45.0))
    plan = propose(inputs([measured(tmp_path, true, head=FULL[:2], noise=0.003), "CdSe_zincblende"]))
    assert {"qdamp", "spdiameter"} <= set(plan.free)


def test_an_empty_header_is_estimated_and_said(tmp_path):
    true = pk.Crystal.from_file("Ni", name="ni", delta2=2.0)
    plan, _, recipe = ran(tmp_path, [measured(tmp_path, true, noise=0.0005), "Ni"])
    assert plan.data[0].values["qmax"] == pytest.approx(22.0, abs=0.15)
    said = " ".join(plan.assumed)
    assert "X-rays are assumed" in said
    assert "no Qmax" in said
    assert "estimated" in recipe.read_text()


def test_wishes_count_before_headers(tmp_path):
    data = measured(tmp_path, pk.Crystal.from_file("Ni", name="ni"), head=FULL)
    wishes = Wishes(qmax=21.0, qdamp=0.02, rmin=2.0, rmax=40.0, probe="N", free=("-delta2",))
    with pytest.warns(pk.PdfkitWarning, match="header"):
        plan = propose(inputs([data, "Ni"], **wishes.options()), wishes)
    values = plan.data[0].values
    assert [values[key] for key in ("probe", "qmax", "qdamp", "rmin", "rmax")] == ["N", 21.0, 0.02, 2.0, 40.0]
    assert "delta2" not in plan.free
    assert any("the data end at" in text for text in plan.assumed)


def test_the_saved_recipe_gives_the_same_result(tmp_path):
    data = measured(tmp_path, pk.Crystal.from_file("Ni", name="ni"), head=FULL)
    plan, result, recipe = ran(tmp_path, [data, "Ni"])
    again = run_recipe(recipe)[0]
    assert is_untouched(recipe.read_text())
    assert not is_untouched(recipe.read_text() + "\n")
    assert again.values.tolist() == result.values.tolist()
    assert load_recipe(recipe).data[0].file.resolve() == data.resolve()
    assert plan.title == "data: Ni"


def test_two_phases_of_the_same_elements_share_what_small_data_cannot_tell(tmp_path):
    ball = pk.Sphere(30.0)
    true = [pk.Crystal.from_file(f"CdSe_{kind}", name=kind[0], shape=ball) for kind in ("wurtzite", "zincblende")]
    data = measured(tmp_path, true, head=FULL)
    wishes = Wishes(preset="two-phase")
    plan = propose(inputs([data, "CdSe_wurtzite"]), wishes)
    assert [entry.structure for entry in plan.phases] == ["CdSe_wurtzite", "CdSe_zincblende"]
    assert plan.ties["CdSe_zincblende.spdiameter"] == "CdSe_wurtzite.spdiameter"
    assert plan.ties["CdSe_zincblende.Cd.Uiso"] == "CdSe_wurtzite.Cd.Uiso"
    assert "CdSe_wurtzite.Se.z" in plan.free
    assert "CdSe_wurtzite.Cd.z" not in plan.free
    assert any("origin" in text for text in plan.assumed)


def test_ties_that_are_asked_for_are_in_the_recipe_and_replace_those_proposed(tmp_path):
    ball = pk.Sphere(30.0)
    true = [pk.Crystal.from_file(f"CdSe_{kind}", name=kind[0], shape=ball) for kind in ("wurtzite", "zincblende")]
    files = [measured(tmp_path, true, head=FULL), "CdSe_wurtzite", "CdSe_zincblende"]
    asked = {
        "CdSe_wurtzite.spdiameter": "CdSe_zincblende.spdiameter",
        "CdSe_zincblende.a": "1.41*CdSe_wurtzite.a",
    }
    plan, result, recipe = ran(tmp_path, files, Wishes(qmin=0.7, free=("+CdSe_zincblende.Cd.Uiso",), ties=asked))
    assert plan.ties["CdSe_wurtzite.spdiameter"] == "CdSe_zincblende.spdiameter"
    assert {"CdSe_zincblende.spdiameter", "CdSe_zincblende.Cd.Uiso"}.isdisjoint(plan.ties)
    assert {"CdSe_zincblende.spdiameter", "CdSe_zincblende.Cd.Uiso"} <= set(result.free)
    assert result.params["CdSe_zincblende.a"].value == pytest.approx(1.41 * result.params["CdSe_wurtzite.a"].value)
    assert "qmin = 0.7" in recipe.read_text()


def test_a_tie_of_what_does_not_exist_is_refused_before_a_recipe_is_made(tmp_path):
    data = measured(tmp_path, pk.Crystal.from_file("Ni", name="ni"), head=FULL)
    with pytest.raises(PdfkitError, match="no parameter is called 'c'"):
        propose(inputs([data, "Ni"]), Wishes(ties={"Ni.a": "c"}))


CO2 = """data_CO2
_cell_length_a 5.624
_cell_length_b 5.624
_cell_length_c 5.624
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P a -3'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_U_iso_or_equiv
C C 0 0 0 0.02
O O 0.11857 0.11857 0.11857 0.03
"""


def test_molecules_are_found_where_they_are_asked_for(tmp_path):
    (tmp_path / "ice.cif").write_text(CO2)
    true = pk.Crystal.from_file(tmp_path / "ice.cif", name="ice", molecules="find", inner=0.0015)
    data = measured(tmp_path, true, head=FULL)
    plan, result, recipe = ran(tmp_path, [data, tmp_path / "ice.cif"], Wishes(molecules=True))
    assert plan.phases[0].options["molecules"] == "find"
    assert 'molecules = "find"' in recipe.read_text()
    assert result.params["ice.inner.Uiso"].value == pytest.approx(0.0015, abs=2e-4)
    with pytest.raises(PdfkitError, match="--molecules: no structure here holds molecules"):
        propose(inputs([data, "Ni"]), Wishes(molecules=True))


def test_a_qdamp_that_cannot_be_right_is_said_first(tmp_path):
    data = measured(tmp_path, pk.Crystal.from_file("Ni", name="ni"), head=("mode = xray", "qmax = 22", "qdamp = 0.09"))
    plan = propose(inputs([data, "Ni"]))
    assert "data.gr: qdamp is 0.09 (from the header), and with qdamp free the fit would have Rw" in plan.assumed[0]
    assert "at qdamp 0.030" in plan.assumed[0]
    right = measured(tmp_path, pk.Crystal.from_file("Ni", name="ni"), "right.gr", head=FULL)
    assert not any("qdamp" in text for text in propose(inputs([right, "Ni"])).assumed)


def test_data_of_the_wrong_sign_are_refused(tmp_path):
    data = measured(tmp_path, pk.Crystal.from_file("CeO2", name="c"), head=FULL)
    pdf = pk.read_pdf(data)
    pk.io.write_columns(tmp_path / "turned.gr", ["r", "G"], [pdf.r, -pdf.G], list(FULL))
    with pytest.raises(PdfkitError, match=r"turned\.gr has the wrong sign: the fit has Rw 0\.0\d with -G"):
        propose(inputs([tmp_path / "turned.gr", "CeO2"]))


def test_neutrons_in_nanometres(tmp_path):
    true = pk.Crystal.from_file("Si", name="si", delta2=2.0)
    G = pk.Model(true, pk.Instrument(probe="N", qmax=22.0, qdamp=0.02))(R).G
    data = tmp_path / "nm.gr"
    pk.io.write_columns(data, ["r(nm)", "G(nm^-2)"], [R / 10, 100 * G], ["mode = neutron", "qmax = 22", "qdamp = 0.02"])
    plan, result, recipe = ran(tmp_path, [data, "Si"])
    assert plan.data[0].values["probe"] == "N"
    assert 'r_unit = "nm"' in recipe.read_text()
    assert result.params["Si.a"].value == pytest.approx(true.structure.cell[0], abs=2e-4)


@pytest.mark.filterwarnings("ignore:symmetry found")
def test_atoms_that_are_merely_listed_get_their_space_group(tmp_path):
    true = pk.Crystal.from_file("NaCl", name="n")
    data = measured(tmp_path, true, head=FULL)
    pk.write_cif(tmp_path / "p1.cif", true.structure.to_p1())
    plan, result, _ = ran(tmp_path, [data, tmp_path / "p1.cif"])
    assert plan.phases[0].options["symmetry"] == "find"
    assert len(result.free) < 7


def test_calibration_frees_damping_and_resolution_whatever_the_header_says(tmp_path):
    true = pk.Crystal.from_file("Ni", name="ni", delta2=2.0)
    data = measured(tmp_path, true, head=FULL)
    _, result, _ = ran(tmp_path, [data, "Ni"], Wishes(preset="calibrate"))
    assert result.params["qdamp"].value == pytest.approx(0.03, abs=1e-3)
    assert "resolution" in result.free


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["Ni"], "no data to fit"),
        (["{data}"], "needs a structure"),
        (["{data}", "Ni", "Ni"], "given twice"),
        (["{data}", "Ni", "{twin}"], "same structure"),
        (["{data}", "Nickle"], "neither a file nor a structure"),
        (["{data}", "none.cif"], "none.cif"),
        (["{flat}", "Ni"], "no signal"),
        (["{other}", "CdSe_wurtzite"], "of Ni by its header"),
        (["{coarse}", "Ni"], "state no Qmax"),
    ],
)
def test_refusals_say_what_to_do(tmp_path, files, message):
    nickel = pk.Crystal.from_file("Ni", name="ni")
    names = {
        "data": measured(tmp_path, nickel, head=FULL),
        "other": measured(tmp_path, nickel, "other.gr", head=(*FULL, "composition = Ni")),
        "twin": tmp_path / "twin.cif",
        "flat": tmp_path / "flat.gr",
        "coarse": tmp_path / "coarse.gr",
    }
    pk.write_cif(names["twin"], pk.load_structure("Ni"))
    pk.io.write_columns(names["flat"], ["r", "G"], [R, 0 * R], list(FULL))
    r = np.arange(0.2, 30, math.pi / 22)
    G = pk.Model(nickel, pk.Instrument(probe="X", qmax=22.0))(r).G
    pk.io.write_columns(names["coarse"], ["r", "G"], [r, G], [])
    with pytest.raises(PdfkitError, match=message):
        propose(inputs([name.format(**names) for name in files]))


@pytest.mark.parametrize("qmax", [14.0, 20.0, 28.0])
def test_qmax_is_told_by_the_spectrum(qmax):
    pdf = pk.Model(pk.Crystal.from_file("CdS_wurtzite"), pk.Instrument(probe="X", qmax=qmax))(R)
    assert band_limit(pdf)[0] == pytest.approx(qmax, abs=0.25)  # 2π/30 Å is what 30 Å resolve


def test_where_f_fades_an_estimate_changes_nothing():
    soft = pk.Crystal.from_file("Ni", name="ni").with_values({"Ni.Uiso": 0.03})
    whole = pk.Model(soft, pk.Instrument(probe="X", qmax=math.inf))(R)
    cut = pk.Model(soft, pk.Instrument(probe="X", qmax=band_limit(whole)[0]))(R)
    assert np.abs(cut.G - whole.G).max() < 2e-3 * np.abs(whole.G).max()


@pytest.mark.parametrize("qmin", [0.0, 0.9])
def test_clusters_are_fitted_without_the_small_angles_that_data_lack(tmp_path, qmin):
    gold = pk.build.sphere("Au", 14.0)
    true = pk.Cluster(gold, name="au", Uiso=0.008)
    r = np.arange(0.02, 18.0, 0.02)
    G = pk.Model(true, pk.Instrument(probe="X", qmin=qmin, qmax=22.0, qdamp=0.03))(r).G
    G = G + 0.002 * np.abs(G).max() * np.random.default_rng(7).normal(size=r.size)
    pk.io.write_columns(tmp_path / "au.gr", ["r", "G"], [r, G], list(FULL))
    pk.io.write_xyz(tmp_path / "au.xyz", gold)
    plan = propose(inputs([tmp_path / "au.gr", tmp_path / "au.xyz"]))
    said = [text for text in plan.assumed if "no Qmin" in text]
    if qmin == 0.0:
        assert "qmin" not in plan.data[0].values
        assert not said
    else:
        assert plan.data[0].values["qmin"] in (0.8, 1.0)
        assert "at 0.8" in said[0]
        assert "qmin = " in recipe_of(plan, tmp_path)


@pytest.mark.parametrize(
    ("rmin", "rmax", "words"),
    [(9.0, 3.0, "rmin is 9 Å and rmax 3 Å"), (None, 0.0, "rmax 0 Å"), (40.0, 50.0, "no data from 40 to 50 Å")],
)
def test_a_range_without_data_is_refused(tmp_path, rmin, rmax, words):
    data = measured(tmp_path, pk.Crystal.from_file("Ni"), head=FULL)
    with pytest.raises(PdfkitError, match=words):
        propose(inputs([data, "Ni"]), Wishes(rmin=rmin, rmax=rmax))


def test_results_that_would_replace_an_input_are_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nickel = pk.Crystal.from_file("Ni", name="ni")
    measured(tmp_path, nickel, head=FULL)
    pk.write_cif(tmp_path / "Ni.cif", nickel.structure)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for out, words in ((".", "would overwrite the input Ni.cif"), ("data.gr", "data.gr is a file")):
        refused = CliRunner().invoke(app, ["fit", "data.gr", "Ni.cif", "--out", out])
        assert words in str(refused.exception)
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_structure_of_other_elements_than_the_header_names_is_said_above_all(tmp_path):
    nickel = pk.Crystal.from_file("Ni", name="n")
    plan = propose(inputs([measured(tmp_path, nickel, head=(*FULL, "composition = Ni")), "Cu"]), Wishes(rmax=12.0))
    result = SimpleNamespace(converged=True, describes=True, at_bounds=(), remarks=(), rw=0.02)
    said = " ".join(_doubts(plan, result).split())
    assert said.startswith("LOOK FIRST: data.gr: the header's composition is Ni: the structures hold Cu besides")
    assert "composition" not in _assumed(plan)
    assert any("composition" in text for text in plan.assumed)


def test_quick_fits_find_cells_that_are_far_off_before_they_decide_on_sizes(tmp_path):
    true = pk.Crystal.from_file("TiO2_anatase", name="t")
    data = measured(tmp_path, true, head=FULL[:2])
    a, _, c = true.structure.cell[:3]
    pk.write_cif(tmp_path / "start.cif", true.with_values({"a": 1.04 * a, "c": 1.04 * c}).structure)
    plan = propose(inputs([data, tmp_path / "start.cif"]))
    assert "qdamp" in plan.free
    assert "spdiameter" not in plan.free


def test_box_of_many_atoms_varies_in_size_alone(tmp_path, monkeypatch):
    cell, times = pk.Crystal.from_file("CdS_zincblende").structure.cell[0], np.array([4, 4, 5])
    corners = np.argwhere(np.ones(times))
    basis = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4.0
    places = (basis[:, None] + corners).reshape(-1, 3) + 0.015 * np.random.default_rng(3).normal(size=(640, 3))
    names = [f"{element}{k}" for element in ("Cd", "S") for k in range(320)]
    sites = [
        Site(name, name.rstrip("0123456789"), xyz, U=0.006) for name, xyz in zip(names, places / times, strict=True)
    ]
    box = pk.Structure((*(cell * times), 90.0, 90.0, 90.0), sites)
    pk.write_cif(tmp_path / "box.cif", box)
    data = measured(tmp_path, pk.Crystal.from_file("CdS_zincblende", name="c"), head=FULL)
    for place in ("sizing", "silence"):  # no fits: what varies is told before them
        monkeypatch.setattr(f"pdfkit.recipes.{place}.trial", lambda plan: Trial(0.1, {}, {}))
    with pytest.warns(PdfkitWarning, match="no symmetry"):
        plan = propose(inputs([data, tmp_path / "box.cif"]))
    assert set(plan.free) == {"scale", "a", "Uiso", "delta2"}
    assert (plan.ties["box.b"], plan.ties["box.c"]) == ("box.a", "1.25 * box.a")
    assert any("640 atoms are listed without symmetry: the cell keeps its shape" in text for text in plan.assumed)
    monkeypatch.setattr("pdfkit.recipes.budget.MOST", 0.0)  # seconds for quick fits, of which none is begun then
    for place in ("sizing", "silence"):
        monkeypatch.delattr(f"pdfkit.recipes.{place}.trial")
    with pytest.warns(PdfkitWarning, match="no symmetry"):
        left = propose(inputs([data, tmp_path / "box.cif"]))
    assert (left.free, left.ties, left.data[0].values) == (plan.free, plan.ties, plan.data[0].values)
    assert "minutes for so many atoms and were left out: assumed are a bulk sample" in left.assumed[-1]
