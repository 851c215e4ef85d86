"""Staged plans of recipes: each stage goes on from the one before, and what it does not name stays."""

from __future__ import annotations

from pathlib import Path

import pytest

import pdfkit as pk
from pdfkit.cli.console import Fitting
from pdfkit.errors import RecipeError
from pdfkit.model import noise as model_noise
from pdfkit.recipes.recipe import fit_recipe, load_recipe, run_recipe
from pdfkit.recipes.tables import Stage

RECIPE = """\
[data]
file = "ni.gr"
rmin = 1.5
rmax = 14.0

[[phase]]
name = "ni"
structure = "Ni"
start = {a = 3.60, Ni.Uiso = 0.02}

[fit]
search = "plain"
free = ["scale", "Uiso"]

[[fit.stage]]
rmax = 6
free = ["scale", "a"]

[[fit.stage]]
rmin = 2
free = "a"

[output]
dir = "out"
write = ["report", "hdf5"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    instrument = pk.Instrument(probe="X", qmax=20.0, qdamp=0.04)
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), instrument)
    true = model.with_values({"ni.a": 3.52, "ni.Ni.Uiso": 0.006})
    pk.write_pdf(tmp_path / "ni.gr", model_noise.simulate(true, 0.05, 15.0, 0.05))
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "fit.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_stages_are_fits_that_go_on_from_each_other(folder: Path) -> None:
    recipe = load_recipe(written(folder, RECIPE))
    result = fit_recipe(recipe)
    model, data = recipe.build()
    given = pk.FitSettings(noise="given")
    params = None
    for rmin, rmax, free in ((1.5, 6.0, ["scale", "a"]), (2.0, 14.0, ["a"])):
        options = {"params": params, "settings": given, "search": "plain"}
        one = pk.fit(model, data, rmin=rmin, rmax=rmax, free=free, **options)
        params = one.params.copy()
        for par in params.values():
            par.vary = False
    last = pk.fit(model, data, rmin=1.5, rmax=14.0, free=["scale", "Uiso"], params=params, search="plain")
    assert set(result.free) == {"ni.scale", "ni.Ni.Uiso"}
    assert result.values == pytest.approx(last.values, rel=1e-9)
    assert result.params["ni.a"].value == one.params["ni.a"].value
    assert result.params["ni.a"].stderr is None
    assert result.params["ni.a"].value == pytest.approx(3.52, abs=2e-3)


def test_a_plan_finds_what_one_local_fit_does_not(folder: Path) -> None:
    start = RECIPE.replace("a = 3.60, Ni.Uiso = 0.02", "a = 3.70, Ni.Uiso = 0.006")
    start = start.replace('free = ["scale", "Uiso"]', 'free = ["scale", "a", "Uiso"]')
    alone = start[: start.index("[[fit.stage]]")] + start[start.index("[output]") :]
    lost = fit_recipe(load_recipe(written(folder, alone)))
    found = fit_recipe(load_recipe(written(folder, start)))
    assert lost.rw > 0.9
    assert found.params["ni.a"].value == pytest.approx(3.52, abs=1e-4)


def test_report_and_file_tell_of_every_stage_and_a_fit_goes_on_without_them(folder: Path) -> None:
    result, (report, saved) = run_recipe(written(folder, RECIPE))
    lines = report.read_text(encoding="utf-8")
    assert "stage 1: 1.5 to 6 Å, free scale, a: Rw = " in lines
    assert "stage 2: 2 to 14 Å, free a: Rw = " in lines
    loaded = pk.load_result(saved)
    assert loaded.remarks == result.remarks
    again = loaded.refit(free=["+a"])
    assert "ni.a" in again.free
    assert not any("stage" in text for text in again.remarks)


def test_progress_names_the_stage(folder: Path) -> None:
    seen: list[str] = []
    fit_recipe(load_recipe(written(folder, RECIPE)), Fitting(seen.append, ""))
    order = list(dict.fromkeys(text.partition(":")[0] for text in seen))
    assert order[:3] == ["fitting stage 1 of 2", "fitting stage 2 of 2", "fitting the whole"]
    assert set(order[3:]) <= {"looking for the cell", "fitting", "trying minima nearby"}


def test_ties_hold_in_every_stage_and_data_sets_keep_their_ranges(folder: Path) -> None:
    text = RECIPE.replace("[data]", '[[data]]\nname = "x"').replace(
        "[[phase]]", '[[data]]\nname = "n"\nfile = "ni.gr"\nprobe = "X"\nrmin = 2.5\nrmax = 9\n\n[[phase]]'
    )
    text = text.replace("[[fit.stage]]", '[fit.ties]\n"n.ni.scale" = "x.ni.scale"\n\n[[fit.stage]]', 1)
    result = fit_recipe(load_recipe(written(folder, text)))
    assert result.params["n.ni.scale"].value == result.params["x.ni.scale"].value
    assert result.datasets[1].data.r[0] == pytest.approx(2.5)
    assert result.datasets[1].data.r[-1] == pytest.approx(9.0)


WRONG = [
    ("rmax = 6", "rmax = 6\nrmin = 7", 17, "rmin = 7 is not below rmax = 6"),
    ('free = "a"', "free = []", 21, "nothing is free in this stage"),
    ("rmax = 6", "rmaxx = 6", 16, "a stage has no key 'rmaxx': the nearest is rmax"),
    ("rmax = 6", "ties = 6", 16, "it belongs in [fit]"),
    ('free = "a"', 'free = "b"', 21, "no parameter is called 'b'"),
    ("rmin = 2", "rmin = 13.99", 20, "no data between"),
    ('rmin = 2\nfree = "a"', "", 19, "a stage says nothing"),
]


def test_a_stage_without_free_varies_what_the_fit_does(folder: Path) -> None:
    recipe = load_recipe(written(folder, RECIPE.replace('free = "a"', "", 1)))
    assert recipe.stages[1] == Stage(("scale", "Uiso"), 2.0, None)


@pytest.mark.parametrize(("old", "new", "line", "words"), WRONG, ids=[words for *_, words in WRONG])
def test_a_stage_that_cannot_be_is_refused_with_its_line(
    folder: Path, old: str, new: str, line: int, words: str
) -> None:
    assert old in RECIPE
    with pytest.raises(RecipeError) as caught:
        fit_recipe(load_recipe(written(folder, RECIPE.replace(old, new, 1))))
    assert words in str(caught.value)
    assert f"line {line}: " in str(caught.value)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("[[fit.stages]]", "line 15: [fit] has no key 'stages': the nearest is stage"),
        ("[fit.extra]", "line 15: [fit] has no key 'extra'"),
    ],
)
def test_stages_by_another_name_are_refused(folder: Path, new: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(folder, RECIPE.replace("[[fit.stage]]", new, 1)))
    assert words in str(caught.value)


def test_a_number_is_no_stage_and_one_table_is_one(folder: Path) -> None:
    whole = RECIPE[: RECIPE.index("[[fit.stage]]")] + RECIPE[RECIPE.index("[output]") :]
    with pytest.raises(RecipeError, match=r"line 12: stage in \[fit\] is a number: give tables \[\[fit.stage\]\]"):
        load_recipe(written(folder, whole.replace('search = "plain"', "stage = 3")))
    one = load_recipe(written(folder, whole.replace('search = "plain"', 'stage = {rmax = 6, free = "a"}')))
    assert one.stages == (Stage(("a",), None, 6.0),)
