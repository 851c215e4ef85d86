"""What a page hands out: scripts and recipes that give the same numbers, and files that other programs read."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import PdfkitError
from pdfkit.workbench.exports import EXPORTS, export
from pdfkit.workbench.opening import opened
from pdfkit.workbench.session import Session
from tests.live.test_opening import WHOLE

ROOT = Path(__file__).parents[2]


def run(text: bytes, folder: Path) -> str:
    """Run a script in a process of its own, and return what it prints."""
    done = forked.run(folder=folder, before="import warnings\nwarnings.simplefilter('error')\n" + text.decode("utf-8"))
    assert done.returncode == 0, done.stderr
    return done.stdout


def rws(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"^Rw of .* = (\S+)$", text, re.MULTILINE)]


def test_the_script_gives_the_same_rw_and_fit(two: Session, tmp_path: Path) -> None:
    actions: list[dict[str, Any]] = [
        {"do": "value", "name": "wz.a", "value": 4.15},
        {"do": "value", "name": "wz.spdiameter", "value": 26.5},
        {"do": "value", "name": "qdamp", "value": 0.025},
        {"do": "limits", "name": "wz.c", "min": 6.5, "max": 6.9},
        {"do": "set", "key": "search", "value": "plain"},
        {"do": "data", "name": "", "key": "scattering", "value": "constant"},
    ]
    for action in actions:
        two.do(action)
        assert two.message == ""
    name, text = export(two, "script")
    assert name == "two_phases.py"
    printed = run(text, tmp_path)
    assert rws(printed) == [pytest.approx(two.curves().rw, rel=1e-9)]
    two.do({"do": "fit"})
    two.wait()
    assert f"Rw = {two.history[-1].result.rw:.4f}" in printed


def test_scripts_of_several_data_sets_with_all_that_recipes_say(tmp_path: Path) -> None:
    from two_phases import write_two

    write_two(tmp_path)
    text = re.sub(r"(?m)^stage.*\n", "", WHOLE).replace("[fit.search]\nwz.a = [4.0, 4.3]\nstarts = 3\n", "")
    (tmp_path / "whole.toml").write_text(text.replace("max_nfev", 'search = "plain"\nmax_nfev'))
    session = Session(tmp_path, opened([str(tmp_path / "whole.toml")], tmp_path))
    session.do({"do": "value", "name": "y.wz.scale", "value": 0.2})
    session.do({"do": "value", "name": "d", "value": 0.012})
    assert session.message == ""
    expected = []
    for name in ("x", "y"):
        session.do({"do": "show", "data": name})
        expected.append(pytest.approx(session.curves().rw, rel=1e-9))
    printed = run(export(session, "script")[1], tmp_path)
    assert rws(printed) == expected
    assert "Rw" in printed


def test_scripts_of_stages_run_the_recipe(tmp_path: Path) -> None:
    from two_phases import write_two

    write_two(tmp_path)
    (tmp_path / "whole.toml").write_text(WHOLE)
    session = Session(tmp_path, opened([str(tmp_path / "whole.toml")], tmp_path))
    text = export(session, "script")[1].decode()
    assert "pk.run_recipe" in text
    compile(text, "page.py", "exec")


@pytest.mark.parametrize("convention", ["pdffit2", "diffpy-cmi"])
def test_scripts_of_other_conventions(two: Session, tmp_path: Path, convention: str) -> None:
    two.do({"do": "set", "key": "convention", "value": convention})
    two.do({"do": "set", "key": "max_nfev", "value": 3})
    assert two.message == ""
    assert rws(run(export(two, "script")[1], tmp_path)) == [pytest.approx(two.curves().rw, rel=1e-9)]


def test_the_recipe_runs_from_anywhere(two: Session, tmp_path: Path) -> None:
    two.do({"do": "value", "name": "wz.a", "value": 4.15})
    two.do({"do": "set", "key": "search", "value": "plain"})
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    name, text = export(two, "recipe")
    (elsewhere / name).write_bytes(text)
    result, _ = pk.run_recipe(elsewhere / name, elsewhere / "out")
    two.do({"do": "fit"})
    two.wait()
    assert two.history[-1].result.rw == pytest.approx(result.rw, rel=1e-9)


def test_recipes_say_scales_of_each_of_several_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And ties of scales, fixed ones, and how a model without data is measured: what is reopened is what was shown."""
    from two_phases import write_two

    monkeypatch.chdir(tmp_path)
    recipe = write_two(tmp_path)
    pdf = pk.read_pdf("cds.gr")
    pk.write_pdf(tmp_path / "twice.gr", pk.PDF(pdf.r, 2 * pdf.G, instrument=pdf.instrument))
    page = Session(tmp_path, opened([str(recipe)], tmp_path))
    actions: list[dict[str, Any]] = [
        {"do": "open", "files": ["twice.gr"]},
        {"do": "value", "name": "twice.wz.scale", "value": 0.37},
        {"do": "tie", "name": "twice.zb.scale", "to": "1.2 - twice.wz.scale"},
        {"do": "free", "name": "cds.zb.scale", "free": False},
        {"do": "value", "name": "cds.zb.scale", "value": 0.31},
        {"do": "set", "key": "search", "value": "plain"},
        {"do": "set", "key": "max_nfev", "value": 3},
    ]
    for action in actions:
        page.do(action)
        assert page.message == ""
    (tmp_path / "saved.toml").write_bytes(export(page, "recipe")[1])
    again = Session(tmp_path, opened(["saved.toml"], tmp_path))
    for name in ("cds", "twice"):
        wanted = page.prepared.curves(name, page.state.values).calculated
        np.testing.assert_allclose(
            again.prepared.curves(name, again.state.values).calculated, wanted, rtol=0, atol=1e-9
        )
    assert rws(run(export(page, "script")[1], tmp_path)) == [
        pytest.approx(page.prepared.curves(name, page.state.values).rw, rel=1e-9) for name in ("cds", "twice")
    ]
    result, _ = pk.run_recipe("saved.toml", tmp_path / "out")
    page.do({"do": "fit"})
    page.wait()
    assert page.history[-1].result.rw == pytest.approx(result.rw, rel=1e-9)
    again.do({"do": "tie", "name": "cds.wz.scale", "to": "0.4"})
    assert "cds.wz.scale" not in again.state.fitted["start"]


def test_recipes_of_models_without_data_say_how_they_are_measured(tmp_path: Path) -> None:
    page = Session(tmp_path, opened(["Ni"], tmp_path))
    for key, value in (("probe", "N"), ("qmax", "inf"), ("rmax", 12)):
        page.do({"do": "beam", "key": key, "value": value})
    page.do({"do": "value", "name": "qdamp", "value": 0.06})
    assert page.message == ""
    (tmp_path / "saved.toml").write_bytes(export(page, "recipe")[1])
    again = Session(tmp_path, opened([str(tmp_path / "saved.toml")], tmp_path))
    np.testing.assert_allclose(again.curves().calculated, page.curves().calculated, rtol=0, atol=1e-9)
    with pytest.raises(PdfkitError, match="lacks data"):
        pk.load_recipe(tmp_path / "saved.toml")


def test_before_a_fit(two: Session, tmp_path: Path) -> None:
    two.do({"do": "value", "name": "wz.a", "value": 4.15})
    name, data = export(two, "columns")
    (tmp_path / name).write_bytes(data)
    names, values, _ = pk.io.read_columns(tmp_path / name)
    assert names[:3] == ("r", "Gobs", "Gcalc")
    assert np.allclose(values[:, 2], two.curves().calculated)
    assert np.allclose(values[:, 2], values[:, 3] + values[:, 4])
    name, data = export(two, "structures")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert sorted(archive.namelist()) == ["wz.cif", "zb.cif"]
        (tmp_path / "wz.cif").write_bytes(archive.read("wz.cif"))
    assert pk.Crystal.from_file(tmp_path / "wz.cif").structure.cell[0] == pytest.approx(4.15)
    for kind, begin in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        name, data = export(two, kind)
        assert name.endswith(f".{kind}")
        assert data.startswith(begin)
    for kind in ("project", "hdf5", "text", "report"):
        with pytest.raises(PdfkitError, match="no fit gave the values"):
            export(two, kind)
    with pytest.raises(PdfkitError, match="cannot be exported as"):
        export(two, "../x")


def test_after_a_fit(two: Session, tmp_path: Path) -> None:
    two.do({"do": "fit", "search": "plain"})
    two.wait()
    result = two.history[-1].result
    for kind, ending in (("hdf5", ".h5"), ("project", ".ddp3"), ("columns", ".txt"), ("png", ".png")):
        name, data = export(two, kind)
        assert name.endswith(ending)
        (tmp_path / name).write_bytes(data)
        if kind == "hdf5":
            assert pk.load_result(tmp_path / name).rw == result.rw
        if kind == "project":
            assert len(pk.read_project(tmp_path / name).fits) == 1
    assert f"Rw = {result.rw:.4f}" in export(two, "text")[1].decode()
    assert b"(" in export(two, "structures")[1] or export(two, "structures")[0].endswith(".zip")


@pytest.mark.parametrize("files", [[], ["Ni"], ["ni.gr"], ["Ni", "CdS_wurtzite"]])
def test_pages_with_less(nickel: Path, files: list[str]) -> None:
    folder = nickel.parent
    session = Session(folder, opened([str(nickel) if one == "ni.gr" else one for one in files], folder))
    given, refused = [], []
    for kind in EXPORTS:
        try:
            given.append(export(session, kind))
        except PdfkitError as error:
            refused.append(str(error))
    assert all(name and data for name, data in given)
    assert all(len(text) < 300 for text in refused)
    assert len(given) >= (6 if "Ni" in files else 2)
    if "Ni" in files:
        assert run(export(session, "script")[1], folder)


def test_names_of_phases_are_apart_from_those_of_python_and_of_the_script(two: Session) -> None:
    for old, to in (("wz", "model"), ("zb", "model_")):
        two.do({"do": "rename", "kind": "phase", "name": old, "to": to})
    for old, to in (("model", "list"), ("list", "print"), ("print", "gap")):
        two.do({"do": "rename", "kind": "phase", "name": old, "to": to})
        assert two.message == ""
        text = export(two, "script")[1].decode()
        compile(text, "page.py", "exec")
        assert f"\n{to}_ = pk.Crystal" in text
        assert "\nmodel_ = pk.Crystal" in text
    two.do({"do": "rename", "kind": "phase", "name": "gap", "to": "None"})
    assert two.message.startswith("phase name 'None' cannot be used")
