"""`pdfkit series`: recipes with a [series] table, what they leave, and what is wrong with them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pdfkit as pk
from pdfkit.cli import app
from pdfkit.recipes.recipe import load_recipe
from pdfkit.recipes.series import read_scans
from pdfkit.recipes.template import recipe_template
from pdfkit.series.result import SeriesResult

RUNNER = CliRunner()
RECIPE = """\
[series]
files = "scans/*.gr"
index = "{temperature}K"

[data]
qdamp = 0.04
rmin = 1.5
rmax = 7

[[phase]]
name = "ni"
structure = "Ni"

[fit]
free = ["scale", "a"]
search = "plain"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("scans").mkdir()
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20.0, qdamp=0.04))
    for k in range(3):
        pk.write_pdf(f"scans/ni_{100 + k}K.gr", model.with_values({"ni.a": 3.52 + 0.01 * k})(np.arange(1.0, 8.0, 0.05)))
    Path("s.toml").write_text(RECIPE)
    return tmp_path


def test_a_series_is_fitted_from_its_recipe(folder: Path) -> None:
    done = RUNNER.invoke(app.app, ["series", "s.toml", "--workers", "1", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    np.testing.assert_allclose(found["columns"]["ni.a"], [3.52, 3.53, 3.54], atol=1e-3)
    assert found["columns"]["temperature"] == [100.0, 101.0, 102.0]
    out = folder / "pdfkit-out" / "s"
    assert sorted(path.name for path in out.iterdir()) == [
        "series.csv",
        "series.h5",
        "series.jsonl",
        "series.png",
        "series.txt",
    ]
    assert "3 scans over temperature (K): 3 fitted" in (out / "series.txt").read_text(encoding="utf-8")


def test_results_and_recipes_of_series_are_told_by_info(folder: Path) -> None:
    done = RUNNER.invoke(app.app, ["series", "s.toml", "--workers", "1"])
    assert done.exit_code == 0, done.output
    found = RUNNER.invoke(app.app, ["info", "pdfkit-out/s/series.h5"])
    assert found.exit_code == 0, found.output
    assert "3 scans over temperature (K): 3 fitted" in found.output
    assert "3.52 to 3.54" in found.output
    assert "recipe of a series" in RUNNER.invoke(app.app, ["info", "s.toml"]).output


def test_a_series_is_drawn_and_is_no_result_of_one_fit(folder: Path) -> None:
    done = RUNNER.invoke(app.app, ["series", "s.toml", "--workers", "1", "-o", "out"])
    assert done.exit_code == 0, done.output
    drawn = RUNNER.invoke(app.app, ["plot", "out/series.h5", "-o", "trend.png", "--json"])
    assert drawn.exit_code == 0, drawn.output
    assert json.loads(drawn.stdout)["parameters"] == ["ni.scale", "ni.a"]
    assert Path("trend.png").stat().st_size > 1000
    for words in (["convert", "out/series.h5"], ["plot", "out/series.h5", "scans/ni_100K.gr"]):
        with pytest.raises(pk.PdfkitError, match="a series of fits of pdfkit, and a fit result is needed here"):
            app.app(words, standalone_mode=False)


def test_a_recipe_of_a_series_is_no_fit(folder: Path) -> None:
    with pytest.raises(pk.PdfkitError, match="run it with `pdfkit series`"):
        app.app(["fit", "s.toml"], standalone_mode=False)


def test_help_names_the_table(folder: Path) -> None:
    for command in ("series", "watch"):
        assert "[series]" in RUNNER.invoke(app.app, [command, "--help"]).output


def test_a_corrupt_scan_is_warned_of(folder: Path) -> None:
    Path("scans/ni_101K.gr").write_text("nothing\n")
    done = RUNNER.invoke(app.app, ["series", "s.toml", "--workers", "1", "-o", "out"])
    assert done.exit_code == 0, done.output
    assert "1 of 3 scans failed; ni_101K.gr" in done.output


def changed(more: str, free: str = '["scale", "a"]') -> None:
    """Write the recipe with more in its [series]."""
    Path("s.toml").write_text(RECIPE.replace("index =", f"{more}\nindex =", 1).replace('["scale", "a"]', free))


def test_laws_of_a_recipe(folder: Path) -> None:
    laws = 'laws = { a = "a0 + a1*(temperature - 101)" }\nstart = { a0 = 3.5, a1 = 0.009 }'
    changed(f'how = "parametric"\n{laws}\ncurves = true', '["scale"]')
    done = RUNNER.invoke(app.app, ["series", "s.toml", "-o", "out", "--json"])
    assert done.exit_code == 0, done.output
    np.testing.assert_allclose(json.loads(done.stdout)["columns"]["ni.a by itself"], [3.52, 3.53, 3.54], atol=1e-3)
    names = ["curves.png", "series.csv", "series.h5", "series.jsonl", "series.png", "series.txt"]
    assert sorted(path.name for path in Path("out").iterdir()) == names
    found = SeriesResult.load("out/series.h5").laws
    assert found is not None
    assert found["a0"][0] == pytest.approx(3.53, abs=1e-4)
    assert found["a1"][0] == pytest.approx(0.01, rel=1e-2)
    told = RUNNER.invoke(app.app, ["info", "out/series.h5"]).output
    assert "results of a series of pdfkit, parametric" in told
    assert "3 fitted" in told
    assert "temperature (K), 100 to 102" in told


def test_why_a_picture_is_missing_is_said(folder: Path) -> None:
    pdf = pk.read_pdf("scans/ni_101K.gr")
    pk.write_pdf("scans/ni_101K.gr", pdf.resample(np.arange(1.0, 7.9, 0.04)))
    changed("curves = true")
    done = RUNNER.invoke(app.app, ["series", "s.toml", "--workers", "1", "-o", "out"])
    assert done.exit_code == 0, done.output
    assert "curves.png was not drawn: the scans have different r" in " ".join(done.output.split())


def test_a_map_of_a_recipe(folder: Path) -> None:
    changed('how = "map"\nmapped = ["a"]\nrounds = 1')
    done = RUNNER.invoke(app.app, ["series", "s.toml", "-o", "out"])
    assert done.exit_code == 0, done.output
    assert SeriesResult.load("out/series.h5").names == ("ni.a",)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('how = "parametric"', "no law is given"),
        ('how = "parametric"\nlaws = { a = "linear" }', "both free in every scan and led by a law"),
        ('laws = { a = "linear" }', 'laws belongs to how="parametric"'),
        ('how = "parametric"\nlaws = { a = 3 }', "a table such as"),
        ('how = "windows"\nwindow = 3', "windows of r are those of one data set, and there are 3"),
    ],
)
def test_ways_that_do_not_fit_are_said_with_their_line(folder: Path, more: str, words: str) -> None:
    changed(more)
    with pytest.raises(pk.PdfkitError) as error:
        app.app(["series", "s.toml"], standalone_mode=False)
    assert words in str(error.value)
    assert "s.toml, line" in str(error.value)


def test_one_fit_has_no_workers(folder: Path) -> None:
    changed('how = "map"')
    with pytest.raises(pk.PdfkitError, match="--workers and --dask are for fits one by one"):
        app.app(["series", "s.toml", "--workers", "2"], standalone_mode=False)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("[series]\n", "[serie]\n", "the nearest is series"),
        ('files = "scans/*.gr"\n', "", "[series] lacks files"),
        ("scans/*.gr", "scan/*.gr", "no file matches"),
        ("{temperature}K", "{temperature}C", "no file has the index"),
        ('"plain"', '"thorough"', 'search = "staged" or "plain"'),
        ('free = ["scale", "a"]', 'free = ["scale", "b"]', "no parameter"),
        ("[fit]", "[[fit.stage]]\nrmax = 5\n[fit]", "no stages"),
        ("index =", "shape = [2]\nindex =", "two whole numbers"),
        ("index =", 'how = "both"\nindex =', "choose one of sequential, independent, parametric, windows, map"),
    ],
)
def test_what_cannot_be_is_said_with_its_line(folder: Path, before: str, after: str, words: str) -> None:
    assert before in RECIPE
    Path("s.toml").write_text(RECIPE.replace(before, after, 1))
    with pytest.raises(pk.PdfkitError) as error:
        app.app(["series", "s.toml", "--workers", "1"], standalone_mode=False)
    assert words in str(error.value)
    assert "s.toml" in str(error.value)


def test_a_recipe_of_one_fit_is_no_series(folder: Path) -> None:
    Path("s.toml").write_text(
        RECIPE.partition("[data]")[2].replace("\nqdamp", '[data]\nfile = "scans/ni_100K.gr"\nqdamp', 1)
    )
    with pytest.raises(pk.PdfkitError, match=r"there is no \[series\] here"):
        app.app(["series", "s.toml"], standalone_mode=False)


def test_the_lines_of_the_template_are_true(folder: Path) -> None:
    lines = recipe_template().splitlines()
    opened = "\n".join(line.removeprefix("# ") if line.startswith("# series.") else line for line in lines)
    table = tomllib.loads(opened)["series"]
    Path("t.toml").write_text(
        opened.replace("run42/", "scans/")
        .replace('index = "temp', 'index = "{temp')
        .replace('perature"    #', 'perature}K"    #', 1)
    )
    entry = load_recipe("t.toml").series
    assert entry is not None
    assert entry.fitting == {
        **{"how": "sequential", "curves": False, "block": 32, "rounds": 2, "window": 8.0, "step": 4.0},
        **{"shared": ("delta2",), "mapped": ("a",), "start": {"c0": 6.7, "c1": 1e-5}},
        "laws": {"a": "linear", "Uiso": "debye", "c": "c0 + c1*temperature"},
    }
    assert set(entry.reading) == set(table) - {"files", *entry.fitting}


def test_tables_and_numbers_start_at_the_recipe(folder: Path) -> None:
    Path("scans/log.csv").write_text("file,T\nni_100K.gr,3\nni_101K.gr,2\nni_102K.gr,1\n")
    Path("s.toml").write_text(RECIPE.replace("{temperature}K", "scans/log.csv:T"))
    assert read_scans(load_recipe("s.toml")).labels[0] == "ni_102K.gr"
    Path("s.toml").write_text(RECIPE.replace('"{temperature}K"', "[1, 3, 2]"))
    assert read_scans(load_recipe("s.toml")).labels[1] == "ni_102K.gr"
