"""A result written for PDFgui: structures with standard uncertainties, curves, a project; each reads back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pdfkit as pk
from pdfkit.cli.app import app
from pdfkit.io.stru_text import format_stru, listed_numbers
from pdfkit.projects.recipes import stru_text

LAB = pk.Instrument(probe="X", qmax=22.0, qdamp=0.03)
R = np.arange(1.0, 16.0, 0.02)


def fitted() -> pk.FitResult:
    """Return a fit of two phases in a sphere, one with tensors, one with a shared site and a tied U."""
    wz = pk.Crystal.from_file("CdSe_wurtzite", name="wz", anisotropic=True, shape=pk.Sphere(31.0), delta2=1.7)
    zb = pk.Crystal.from_file("CdSe_zincblende", name="zb", shape=pk.Sphere(31.0), delta2=1.7)
    zb = zb.with_values({"Cd.occ": 0.9})
    model = pk.Model([wz, zb], LAB)
    truth = {"wz.a": 4.311234567, "wz.c": 7.0123, "wz.Se.z": 0.3761234, "wz.Cd.U33": 0.0213, "zb.a": 6.0712345}
    rng = np.random.default_rng(3)
    clean = model.with_values(truth)(R)
    data = pk.PDF(R, clean.G + rng.normal(0, 0.05, R.size), instrument=LAB)
    free = ["scale", "a", "c", "Se.z", "wz.U11", "wz.U33", "zb.Cd.Uiso"]
    return pk.fit(model, data, rmin=1.5, rmax=12.0, free=free, ties={"zb.Se.Uiso": "zb.Cd.Uiso"})


@pytest.fixture(scope="module")
def result() -> pk.FitResult:
    return fitted()


def test_a_structure_reads_back_to_the_same_curve(result: pk.FitResult, tmp_path: Path) -> None:
    for phase in result.model.phases:
        (tmp_path / f"{phase.name}.stru").write_text(stru_text(phase, result.covariance_of(phase)))
        again = pk.Crystal.from_file(tmp_path / f"{phase.name}.stru")
        before, now = (pk.Model(one, result.model.instrument_used)(R).G for one in (phase, again))
        np.testing.assert_allclose(now, before, rtol=0, atol=1e-10)
        assert again.shape == phase.shape


def test_standard_uncertainties_stand_in_their_lines(result: pk.FitResult) -> None:
    wz = result.model.phases[0]
    lines = stru_text(wz, result.covariance_of(wz)).splitlines()
    (cell,) = [line for line in lines if line.startswith("dcell")]
    errors = [float(word) for word in cell.replace(",", " ").split()[1:]]
    sigma = {name: result.params[f"wz.{name}"].stderr for name in ("a", "c", "Cd.U33", "Se.z")}
    assert errors == pytest.approx([sigma["a"], sigma["a"], sigma["c"], 0, 0, 0], abs=1e-6)
    first = lines.index("atoms") + 1
    atom = [[float(word) for word in line.split()] for line in lines[first + 1 : first + 6]]
    assert atom[2][2] == pytest.approx(sigma["Cd.U33"], rel=1e-3)
    assert atom[0][:2] == [0.0, 0.0]  # fixed by symmetry
    selenium = next(k for k, line in enumerate(lines) if line.startswith("SE"))
    assert float(lines[selenium + 1].split()[2]) == pytest.approx(sigma["Se.z"], rel=1e-3)
    plain = format_stru(wz.structure)
    assert "dcell  0.000000, 0.000000, 0.000000" in plain
    assert listed_numbers(wz.structure).size == 6 + 10 * 4


def test_a_result_becomes_files_of_pdfgui(result: pk.FitResult, tmp_path: Path) -> None:
    saved = result.save(tmp_path / "dots.h5")
    done = CliRunner().invoke(app, ["convert", str(saved), "--out", str(tmp_path / "gui"), "--json"])
    assert done.exit_code == 0, done.output
    names = sorted(Path(file).name for file in json.loads(done.stdout)["files"])
    assert names == ["dots.ddp3", "dots.fgr", "dots.res", "wz.stru", "zb.stru"]
    back = pk.read_pdf(tmp_path / "gui/dots.fgr")
    np.testing.assert_allclose(back.G, result.data.G, atol=1e-12)
    fit = pk.read_project(tmp_path / "gui/dots.ddp3").fits["dots"]
    # The data are whole, and the range is that of the fit: PDFgui takes the last point below where it begins.
    assert (fit.data[0].observed.r[0], fit.data[0].observed.r[-1]) == pytest.approx((R[0], R[-1]))
    assert (fit.data[0].rmin, fit.data[0].rmax) == pytest.approx((1.5 + 0.5 * (R[1] - R[0]), 12.0))
    assert fit.data[0].sampled().r[0] == pytest.approx(1.5)
    assert fit.report == (tmp_path / "gui/dots.res").read_text().rstrip("\n")
    for k, name in enumerate(result.free, 1):
        assert fit.parameters[k].best == pytest.approx(result.params[name].value, rel=1e-8)
        assert fit.parameters[k].stderr == pytest.approx(result.params[name].stderr, rel=5e-3)


def test_a_res_has_the_headings_of_pdffit2_and_the_numbers_of_the_fit(result: pk.FitResult, tmp_path: Path) -> None:
    pk.io.write_res(tmp_path / "dots.res", result)
    text = (tmp_path / "dots.res").read_text()
    recorded = pk.read_project(Path(__file__).parent / "data/one.ddp3")
    theirs = next(iter(recorded.fits.values())).report
    heads = ("PDF REFINEMENT", "PHASE 1", "Lattice parameters     :", "Atom positions & occupancies :", "Rw - value  ")
    heads += (
        "Anisotropic temperature factors :",
        "DATA SET : 1",
        "Refinement parameters :",
        "Correlations greater than 0.8",
    )
    for words in heads:
        assert words in text
        assert words in theirs
    a = result.params["wz.a"]
    (cell, *_) = [line for line in text.splitlines() if "Lattice parameters" in line]
    assert f"{a.value:.6g} ({a.stderr:.2g})" in cell
    # Every atom of both cells, with what the fit knows of it: four of wurtzite, eight of zinc blende.
    atoms = [line for line in text.splitlines() if line.startswith(("   CD", "   SE"))]
    assert len(atoms) == 2 * (4 + 8)
    z = result.params["wz.Se.z"]
    assert f"{z.value:.6g} ({z.stderr:.2g})" in next(line for line in atoms if line.startswith("   SE"))
    assert f"Rw - value           : {result.rw:.6g}" in text
    assert f"  @{len(result.free)} {result.free[-1]}" in text


@pytest.mark.parametrize("name", ["ni.res", "ni.fgr", "ni.ddp3"])
def test_one_file_is_written_where_it_is_named(
    result: pk.FitResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result.save("dots.h5")
    done = CliRunner().invoke(app, ["convert", "dots.h5", name])
    assert done.exit_code == 0, done.output
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["dots.h5", name])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dots.h5", "ni.txt"], "in .res, .fgr or .ddp3"),
        (["dots.h5", "ni.res", "--out", "x"], "give one of the two"),
        (["one.ddp3", "ni.res"], "a project becomes a folder of recipes"),
    ],
)
def test_files_that_cannot_be_written_are_refused(
    result: pk.FitResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result.save("dots.h5")
    Path("one.ddp3").write_bytes((Path(__file__).parent / "data/one.ddp3").read_bytes())
    done = CliRunner().invoke(app, ["convert", *words])
    assert said in str(done.exception)
    assert not Path("ni.res").exists()


def test_the_rw_of_a_fit_in_its_convention_is_repeated_from_its_project(tmp_path: Path) -> None:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), LAB, convention="pdffit2")
    r = np.arange(1501) * 0.01
    clean = model.with_values({"a": 3.53})(r).G
    whole = pk.PDF(r, clean + np.random.default_rng(1).normal(0, 0.05, r.size), instrument=LAB)
    result = pk.fit(model, whole, rmin=1.5, rmax=12.0, free=["scale", "a", "Uiso"], search="plain")
    pk.io.write_project(tmp_path / "ni.ddp3", {"ni": result})
    again = pk.read_project(tmp_path / "ni.ddp3").fits["ni"]
    assert again.run().rw == pytest.approx(result.rw, abs=1e-6)


def test_what_pdfgui_does_not_have_is_said(tmp_path: Path) -> None:
    model = pk.Model(_pair(), LAB)
    saved = pk.fit(model, model(R), free=["scale"]).save(tmp_path / "small.h5")
    done = CliRunner().invoke(app, ["convert", str(saved), "--out", str(tmp_path / "gui")])
    assert done.exit_code == 0, done.output
    assert "no .stru is written of it" in done.output
    assert "no project is written" in done.output
    assert sorted(file.name for file in (tmp_path / "gui").iterdir()) == ["small.fgr"]


def _pair() -> pk.Cluster:
    return pk.Cluster(pk.Particle.of(["Cd", "Se", "Cd"], [[0, 0, 0], [0, 0, 2.6], [0, 2.6, 2.6]]), "au")
