"""Files of every kind as a state: nothing is dropped, and what cannot be used is said."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from two_phases import write_two

import pdfkit as pk
from pdfkit.errors import PdfkitError, PdfkitWarning, heard, remark, unwarned
from pdfkit.workbench import limits
from pdfkit.workbench.opening import added, opened
from pdfkit.workbench.prepared import Prepared
from pdfkit.workbench.session import Session
from pdfkit.workbench.starts import document_of
from pdfkit.workbench.state import State


def rw(state: State, folder: Path, name: str = "") -> float:
    found = Prepared.of(state, folder).curves(name, state.values).rw
    assert found is not None
    return found


def test_data_alone_are_shown(nickel: Path) -> None:
    state = opened([str(nickel)], nickel.parent)
    curves = Session(nickel.parent, state).curves()
    assert curves.calculated is None
    assert curves.measured is not None
    assert curves.r.size == curves.measured.size > 1000


def test_what_a_header_lacks_is_assumed_and_said(tmp_path: Path) -> None:
    r = np.arange(0.5, 20, 0.02)
    np.savetxt(tmp_path / "bare.gr", np.column_stack([r, np.sin(8 * r) / r]))
    state = opened([str(tmp_path / "bare.gr")], tmp_path)
    assert state.data[0]["probe"] == "X"
    assert "qmax" in state.data[0]
    assert any("probe" in text for text in state.remarks)
    assert any("Qmax" in text for text in state.remarks)


def test_data_in_nm(tmp_path: Path, nickel: Path) -> None:
    pdf = pk.read_pdf(nickel)
    text = "\n".join(f"{r / 10:.5f} {G * 100:.6f}" for r, G in zip(pdf.r, pdf.G, strict=True))
    (tmp_path / "nm.gr").write_text(f"# r in nm\n#L r(nm) G(r)\n{text}\n")
    session = Session(tmp_path, opened([str(tmp_path / "nm.gr")], tmp_path))
    assert session.curves().r[-1] == pytest.approx(pdf.r[-1], abs=0.01)


def test_structures_alone_are_simulated(tmp_path: Path) -> None:
    session = Session(tmp_path, opened(["Ni", "CdS_wurtzite"], tmp_path))
    curves = session.curves()
    assert curves.calculated is not None
    assert curves.r[curves.calculated.argmax()] > 2
    for key, value in (("probe", "N"), ("qmax", 15), ("qmax", "inf"), ("rmax", 12), ("qdamp", 0.05), ("qmin", 0.5)):
        session.do({"do": "beam", "key": key, "value": value})
        bad = key == "qmin"  # and no Qmax
        assert (session.message == "") is not bad
    assert session.curves().r[-1] == pytest.approx(12.0)
    assert session.view()["beam"]["probe"] == "N"


def test_data_and_structure_give_the_proposal(nickel: Path) -> None:
    state = opened([str(nickel), "Ni"], nickel.parent)
    assert "a" in state.fitted["free"]
    assert rw(state, nickel.parent) < 0.5


def test_files_come_one_after_the_other(nickel: Path) -> None:
    folder = nickel.parent
    pdf = pk.read_pdf(nickel)
    pk.write_pdf(folder / "second.gr", pk.PDF(pdf.r, 2 * pdf.G, instrument=pdf.instrument))
    state = opened([str(nickel)], folder)
    state = added(state, ["Ni"], folder)
    one = rw(state, folder)
    state = added(state, ["CdS_wurtzite"], folder)
    assert [phase["name"] for phase in state.phases] == ["Ni", "CdS_wurtzite"]
    state = added(state, [str(folder / "second.gr")], folder)
    assert [data["name"] for data in state.data] == ["ni", "second"]
    assert rw(state, folder, "second") < 0.5
    assert rw(state, folder, "ni") < one + 0.05
    with pytest.raises(PdfkitError, match="is there already"):
        added(state, [str(nickel)], folder)


WHOLE = """
title = "all of it"
data = [{file = "cds.gr", name = "x", rmin = 2, rmax = 12, weight = 2}, {file = "cds.gr", name = "y", rmax = 10}]
[[phase]]
name = "wz"
structure = "CdS_wurtzite"
start.Cd.Uiso = 0.01
[[phase]]
structure = "CdS_zincblende"
name = "zb"
[fit]
free = ["scale", "wz.a", "d"]
stage = {rmax = 6, free = ["scale"]}
variables = {d = 0.01}
restraints = [
    {expression = "wz.c/wz.a", target = 1.63, sigma = 0.01},
    {phase = "wz", bond = ["Cd", "S"], target = 2.5, sigma = 0.1},
]
max_nfev = 60
[fit.ties]
zb.Cd.Uiso = "d"
[fit.bounds]
wz.a = {min = 4.0}
[fit.search]
wz.a = [4.0, 4.3]
starts = 3
[output]
dir = "there"
"""


def test_names_start_at_the_folder_of_the_page(nickel: Path) -> None:
    (nickel.parent / "one.toml").write_text(
        'data = {file = "ni.gr"}\nphase = {structure = "Ni", name = "ni"}\nfit = {free = ["scale"]}'
    )
    assert not Path("ni.gr").exists()
    assert opened(["ni.gr", "Ni"], nickel.parent).data[0]["file"] == "ni.gr"
    assert opened(["one.toml"], nickel.parent).data[0]["file"] == "ni.gr"


def test_recipes_lose_nothing(tmp_path: Path) -> None:
    write_two(tmp_path)
    (tmp_path / "whole.toml").write_text(WHOLE)
    other = tmp_path / "other"
    other.mkdir()
    state = opened([str(tmp_path / "whole.toml")], other)
    assert state.data[0]["file"] == "../cds.gr"
    (other / "again.toml").write_text(state.text())
    ours, theirs = (pk.load_recipe(file) for file in (other / "again.toml", tmp_path / "whole.toml"))
    for key in ("free", "ties", "bounds", "stages", "variables", "restraints", "search", "max_nfev", "title"):
        assert getattr(ours, key) == getattr(theirs, key), key
    assert [one.weight for one in ours.data] == [2.0, 1.0]
    ready = Prepared.of(state, other)
    assert ready.at({})["zb.Cd.Uiso"].value == 0.01
    assert set(ready.data) == {"x", "y"}


def test_renaming_reaches_all_that_recipes_say(tmp_path: Path) -> None:
    write_two(tmp_path)
    (tmp_path / "whole.toml").write_text(WHOLE)
    session = Session(tmp_path, opened([str(tmp_path / "whole.toml")], tmp_path))
    session.do({"do": "rename", "kind": "phase", "name": "wz", "to": "hex"})
    session.do({"do": "rename", "kind": "data", "name": "x", "to": "first"})
    assert session.message == ""
    fit = session.state.fitted
    assert fit["restraints"][0]["expression"] == "hex.c/hex.a"
    assert fit["restraints"][1]["phase"] == "hex"
    assert fit["search"] == {"hex.a": [4.0, 4.3], "starts": 3}
    assert fit["bounds"] == {"hex.a": {"min": 4.0}}
    assert "first.hex.scale" in session.prepared.names
    session.do({"do": "remove", "kind": "phase", "name": "hex"})
    assert session.message == ""
    assert "restraints" not in session.state.fitted


def test_values_as_start_values_of_a_recipe(tmp_path: Path) -> None:
    session = Session(tmp_path, opened([str(write_two(tmp_path))], tmp_path))
    values = {"wz.a": 4.1, "wz.Cd.Uiso": 0.02, "wz.spdiameter": 27.0, "wz.delta2": 1.5, "qdamp": 0.02, "zb.S.occ": 0.9}
    for name, value in values.items():
        session.do({"do": "value", "name": name, "value": value})
        assert session.message == ""
    (tmp_path / "saved.toml").write_text(document_of(session.state, session.prepared))
    again = Session(tmp_path, opened([str(tmp_path / "saved.toml")], tmp_path))
    assert again.curves().rw == pytest.approx(session.curves().rw, rel=1e-9)


def test_results_bring_values_and_errors(tmp_path: Path) -> None:
    recipe = pk.load_recipe(write_two(tmp_path))
    result, _ = pk.run_recipe(recipe, tmp_path / "out")
    state = opened([str(tmp_path / "out" / "fit.h5")], tmp_path)
    assert state.remarks == ()
    assert rw(state, tmp_path) == pytest.approx(result.datasets[0].rw, rel=1e-3)
    params = Prepared.of(state, tmp_path).at(state.values)
    assert {name: par.value for name, par in params.items()} == {n: p.value for n, p in result.params.items()}
    assert [name for name, par in params.items() if par.vary] == list(result.free)
    assert params["zb.spdiameter"].expr


def test_results_of_clusters_and_other_conventions_open_as_they_were(tmp_path: Path) -> None:
    """A cluster is expanded and moved once; filters of other programs go by the points of the fit."""
    cluster = pk.Cluster(pk.build.tetrahedron("CdS_zincblende", 3), "c", Uiso=0.02, moves="symmetric")
    nickel = pk.Crystal.from_file("Ni", name="ni")
    r = np.arange(0.5, 14, 0.02)
    for phase, free, kind in ((cluster, ["scale", "expansion", "A1_1"], "pdfkit"), (nickel, ["scale", "a"], "pdffit2")):
        model = pk.Model(phase, pk.Instrument(probe="X", qmax=20, scattering="constant"), kind)
        shifts = {name: 0.03 if name.endswith(".expansion") else 0.1 for name in model.names if name[2:] in free[1:]}
        pdf = model.with_values({k: v for k, v in shifts.items() if phase is cluster})(r)
        pk.fit(model, pdf, free=free, rmax=9, search="plain").save(tmp_path / "fit.h5")
        result = pk.load_result(tmp_path / "fit.h5")
        state = opened([str(tmp_path / "fit.h5")], tmp_path)
        assert state.remarks == ()
        assert rw(state, tmp_path) == pytest.approx(result.datasets[0].rw, abs=1e-4)


def test_values_of_a_poor_fit_stay(nickel: Path) -> None:
    """A result is shown as it is saved, also where other scales would describe the data better."""
    model = pk.Model(pk.Crystal.from_file("CeO2", name="p"), pk.read_pdf(nickel).instrument)
    result = pk.fit(model, pk.read_pdf(nickel), free=["scale"], bounds={"p.scale": (0.01, 0.02)}, search="plain")
    assert result.rw > 0.5
    result.save(nickel.parent / "poor.h5")
    state = opened([str(nickel.parent / "poor.h5")], nickel.parent)
    assert state.values["p.scale"] == result.params["p.scale"].value
    assert state.fit == 1


def test_scales_that_a_recipe_says_stay(nickel: Path) -> None:
    text = "data = {file = 'ni.gr'}\nphase = [{structure = 'Ni', %s}]\nfit = {free = ['scale', 'a']}\n"
    for said in ("scale = 0.1", "start = {scale = 0.1}", "start = {a = 3.5}"):
        (nickel.parent / "said.toml").write_text(text % said)
        state = opened([str(nickel.parent / "said.toml")], nickel.parent)
        assert ("Ni.scale" in state.values) is ("scale" not in said)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["no.gr"], "no such file"),
        (["Niii"], "neither a file nor a structure"),
        (["two.toml", "Ni"], "give it alone"),
        (["bad.toml"], "not TOML"),
        (["bad.h5"], "bad.h5"),
        (["Ni", "Ni"], "given twice"),
        (["."], "this is a folder"),
        (["phase.toml"], "phase.toml, line 3: structure 'Nii' is neither a file"),
        (["free.toml"], "free.toml, line 4: no parameter is called 'q'"),
        (["data.toml"], "data.toml, line 2: "),
    ],
)
def test_what_cannot_be_opened_is_said(tmp_path: Path, files: list[str], said: str, monkeypatch: Any) -> None:
    write_two(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("[data\n")
    (tmp_path / "bad.h5").write_text("nothing")
    text = "\ndata = {file = 'cds.gr'}\nphase = [{structure = 'Ni'}]\nfit = {free = ['a']}\n"
    for name, old, new in (("phase", "Ni", "Nii"), ("free", "'a'", "'q'"), ("data", "cds.gr", "no.gr")):
        (tmp_path / f"{name}.toml").write_text(text.replace(old, new))
    with pytest.raises(PdfkitError) as error:
        opened(files, tmp_path)
    assert said in str(error.value)


def test_projects_of_pdfgui(tmp_path: Path) -> None:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25), convention="pdffit2")
    data = model.with_values({"ni.a": 3.53})(np.arange(0.5, 15, 0.02))
    result = pk.fit(model, data, free=["scale", "a"], search="plain")
    pk.io.write_project(tmp_path / "ni.ddp3", {"nickel": result, "again": result})
    state = opened([str(tmp_path / "ni.ddp3")], tmp_path)
    assert state.fitted["convention"] == "pdffit2"
    assert any("2 fits" in text for text in state.remarks)
    session = Session(tmp_path, state)
    session.do({"do": "fit", "search": "plain"})
    session.wait()
    assert session.message == ""
    assert session.history[-1].result.rw < 1e-3


def test_three_phases_of_odd_names_and_neutrons(tmp_path: Path) -> None:
    pk.write_cif(tmp_path / "my p1-cell (2).cif", pk.load_structure("Ni").to_p1())
    names = ("Ni", "Cu", "Si")
    phases = [pk.Crystal.from_file(one, name=one) for one in names]
    model = pk.Model(phases, pk.Instrument(probe="N", qmax=25, qdamp=0.02))
    pk.write_pdf(tmp_path / "my data.gr", model.with_values({"Ni.a": 3.53})(np.arange(0.5, 15, 0.02)))
    files = [str(tmp_path / "my data.gr"), str(tmp_path / "my p1-cell (2).cif"), "Cu", "Si"]
    session = Session(tmp_path, opened(files, tmp_path))
    assert [one["name"] for one in session.state.phases] == ["my_p1_cell_2", "Cu", "Si"]
    assert session.view()["data"][0]["used"]["probe"] == "N"
    session.do({"do": "fit", "search": "plain"})
    session.wait()
    assert session.message == ""
    assert session.history[-1].result.rw < 0.02


def test_stacks_and_clusters(tmp_path: Path) -> None:
    write_two(tmp_path)
    text = """
    data = {file = "cds.gr", rmax = 12}
    phase = [{kind = "stacked", name = "s", elements = ["Cd", "S"], a_h = 4.13, alpha = 0.5}]
    fit = {free = ["scale", "alpha"]}
    """
    (tmp_path / "stack.toml").write_text(text)
    session = Session(tmp_path, opened([str(tmp_path / "stack.toml")], tmp_path))
    session.do({"do": "shape", "phase": "s", "kind": "sphere"})
    session.do({"do": "value", "name": "s.alpha", "value": 0.3})
    assert session.message == ""
    assert "alpha = 0.3" in document_of(session.state, session.prepared)
    data = pk.read_pdf(tmp_path / "cds.gr")
    pk.write_pdf(tmp_path / "more.gr", data)
    session.do({"do": "open", "files": [str(tmp_path / "more.gr")]})
    assert session.message == ""
    session.do({"do": "undo"})
    session.do({"do": "open", "files": ["Cd17S4_capped"]})
    assert session.message == ""
    assert [one["kind"] for one in session.view()["phases"]] == ["stacked", "cluster"]
    session.do({"do": "fit", "search": "plain"})
    session.wait()
    assert session.message == ""


def test_results_of_several_data_sets_with_restraints(tmp_path: Path) -> None:
    r = np.arange(1, 15, 0.02)
    phases = [pk.Crystal.from_file(one, name=one.lower(), shape=pk.Sphere(30)) for one in ("Ni", "Cu")]
    models = [pk.Model(phases, pk.Instrument(probe="X", qmax=qmax, qdamp=0.03)) for qmax in (25, 20)]
    one, two = (model.with_values({"ni.a": 3.53})(r) for model in models)
    restraints = [
        pk.model.ValueRestraint("ni.a/cu.a", 0.98, 0.1),
        pk.model.BondRestraint("ni", "Ni", "Ni", 2.5, 0.1),
        pk.model.AngleRestraint("ni", "Ni", "Ni", "Ni", None, 5.0, low=20.0),
    ]
    result = pk.fit(
        models[0],
        {"one": one, "two": two},
        rmax={"one": 12, "two": 10},
        free=["scale", "ni.a", "Uiso"],
        ties={"cu.spdiameter": "ni.spdiameter"},
        bounds={"ni.a": (3.4, 3.6)},
        restraints=restraints,
        search="plain",
    )
    result.save(tmp_path / "both.h5")
    state = opened([str(tmp_path / "both.h5")], tmp_path)
    assert state.remarks == ()
    assert [part["name"] for part in state.data] == ["one", "two"]
    recipe = Prepared.of(state, tmp_path).recipe
    assert recipe.restraints == tuple(restraints)
    assert recipe.bounds == {"ni.a": (3.4, 3.6)}
    for name, part in zip(("one", "two"), result.datasets, strict=True):
        assert rw(state, tmp_path, name) == pytest.approx(part.rw, abs=1e-4)


def test_results_of_stacked_phases_need_no_recipe(tmp_path: Path) -> None:
    write_two(tmp_path)
    text = """
    data = {file = "cds.gr", rmax = 12}
    phase = [{kind = "stacked", name = "s", elements = ["Cd", "S"], a_h = 4.13, alpha = 0.5}]
    fit = {free = ["scale", "alpha", "a_h"], search = "plain"}
    """
    (tmp_path / "stack.toml").write_text(text)
    result, _ = pk.run_recipe(tmp_path / "stack.toml", tmp_path / "out")
    state = opened([str(tmp_path / "out" / "fit.h5")], tmp_path)
    assert state.phases[0]["kind"] == "stacked"
    assert rw(state, tmp_path) == pytest.approx(result.datasets[0].rw, rel=1e-3)
    (tmp_path / "cds.gr").write_text("1 2\n3 4\n")  # a result has its own data
    state = opened([str(tmp_path / "out" / "fit.h5")], tmp_path)
    assert rw(state, tmp_path) == pytest.approx(result.datasets[0].rw, rel=1e-3)


def test_patterns_beside_G_are_kept_and_fitted(tmp_path: Path) -> None:
    dot = pk.Cluster.from_file("Cd17S4_capped", name="dot")
    pk.write_pdf(tmp_path / "dot.gr", pk.Model(dot, pk.Instrument(probe="X", qmax=20))(np.arange(1, 12, 0.02)))
    Q = np.linspace(0.05, 1.0, 60)
    I = pk.saxs(dot, Q).intensity
    np.savetxt(tmp_path / "saxs.dat", np.column_stack([Q, I, 0.01 * I]))
    text = """
    data = {file = "dot.gr"}
    pattern = {file = "saxs.dat", kind = "saxs", probe = "X", unit = "A-1"}
    phase = {name = "dot", structure = "Cd17S4_capped"}
    fit = {free = ["scale", "expansion"], search = "plain"}
    """
    (tmp_path / "dot.toml").write_text(text)
    session = Session(tmp_path, opened([str(tmp_path / "dot.toml")], tmp_path))
    assert session.view()["fit"]["patterns"] == ["saxs"]
    session.do({"do": "fit"})
    session.wait()
    assert session.message == ""
    assert len(session.history[-1].result.patterns) == 1
    assert "patterns beside G(r)" in session.history[-1].why
    session.do({"do": "remove", "kind": "data", "name": ""})
    assert session.message == "a pattern is fitted beside G(r): add a file of G(r), too"


def test_files_are_opened_beside_the_page_which_says_so(two: Session, nickel: Path) -> None:
    two.patience, shown = 0.0, []
    two.shown = shown.append
    two.do({"do": "open", "files": [nickel.name]})
    busy = two.busy
    assert busy is not None
    assert busy["what"] == "opening ni.gr"
    two.do({"do": "reset"})
    assert two.message == "opening ni.gr: wait until it is done, or stop it"
    two.do({"do": "stop"})
    two.wait()
    assert len(two.states) == 1
    two.do({"do": "open", "files": ["Ni"]})
    two.wait()
    assert shown == ["all"] * 5  # each action, and what was opened; what was stopped is not shown
    assert (two.message, two.busy, len(two.state.phases)) == ("", None, 3)


def test_what_no_slider_could_move_is_refused_before_it_is_read(two: Session, tmp_path: Path) -> None:
    (tmp_path / "long.gr").write_bytes(b"no number\n" * 200_001)
    two.do({"do": "open", "files": ["long.gr"]})
    assert "long.gr has 200001 lines, and a page takes 200000" in two.message
    for most, words in (("PARAMETERS", "parameters, and a page takes 3"), ("ATOMS", "4 atoms, and a page takes 3")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(limits, f"MOST_{most}", 3)
            two.do({"do": "open", "files": ["Ni"]})
        assert words in two.message
        assert len(two.states) == 1


def test_remarks_are_those_of_the_thread_that_hears_them() -> None:
    """Neither threads that overlap nor libraries that are silenced meanwhile take or lose a remark."""
    both = threading.Barrier(2, timeout=20)
    there: list[str] = []

    def other() -> None:
        with heard() as said, unwarned():
            both.wait()  # this one begins first and ends first
            remark("theirs")
            both.wait()
        there.extend(said)

    thread = threading.Thread(target=other)
    filters = list(warnings.filters)
    thread.start()
    with heard() as here, unwarned():
        both.wait()
        remark("ours")
        both.wait()
        thread.join()
        remark("ours, later")
        with heard() as inner:
            remark("of no interest")
    assert (here, there, inner) == (["ours", "ours, later"], ["theirs"], ["of no interest"])
    assert list(warnings.filters) == filters
    with pytest.warns(PdfkitWarning, match="to everybody"):
        remark("to everybody")
