"""Fits from many starts: ranges, the race, distinct minima, what is said of them, and that they are kept."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import ParameterError, RecipeError
from pdfkit.fitting import thorough as searching
from pdfkit.fitting.race import Place, Race, own, same
from pdfkit.fitting.starts import Search, points, ranges_of
from pdfkit.model import noise
from pdfkit.model.params import apply_choices
from pdfkit.results.minima import Minima, differences, ended, left_out, unseen
from pdfkit.results.result import FitResult

INSTRUMENT = pk.Instrument(probe="X", qmax=20.0, qdamp=0.03)
FREE = ["scale", "a", "Uiso"]
TRUTH = {"zb.a": 6.06, "zb.Cd.Uiso": 0.016, "zb.Se.Uiso": 0.028}


def model() -> pk.Model:
    return pk.Model(pk.Crystal.from_file("CdSe_zincblende", name="zb"), INSTRUMENT)


@lru_cache
def data() -> pk.PDF:
    """CdSe of which Se moves more than Cd: the other way round is a minimum as well."""
    return noise.simulate(model().with_values(TRUTH), 1.5, 14.0, 0.05, noise=0.15, seed=3)


def wrong_way() -> pk.Model:
    return model().with_values({"zb.a": 6.07, "zb.Cd.Uiso": 0.03, "zb.Se.Uiso": 0.012})


@lru_cache
def plain() -> FitResult:
    return pk.fit(wrong_way(), data(), free=FREE, search="plain")


@lru_cache
def found() -> FitResult:
    return pk.fit(wrong_way(), data(), free=FREE, search="thorough")


def params(**bounds: tuple[float, float]) -> pk.Parameters:
    out = pk.parameters(model(), data())
    apply_choices(out, FREE, bounds=bounds)
    return out


# --- ranges ----------------------------------------------------------------------------------------------------------


def test_usual_ranges() -> None:
    known = {one.name: one for one in ranges_of(params(), Search())}
    assert list(known) == ["zb.a", "zb.Cd.Uiso", "zb.Se.Uiso"]
    a = params()["zb.a"].value
    assert (known["zb.a"].low, known["zb.a"].high) == pytest.approx((0.95 * a, 1.05 * a))
    U = [params()[f"zb.{element}.Uiso"].value for element in ("Cd", "Se")]
    assert (known["zb.Cd.Uiso"].low, known["zb.Cd.Uiso"].high) == pytest.approx((0.3 * min(U), 3 * max(U)))
    assert known["zb.Cd.Uiso"].log
    assert not known["zb.a"].log


def test_usual_ranges_end_at_bounds() -> None:
    (a,) = (one for one in ranges_of(params(a=(6.0, 6.1)), Search()) if one.name == "zb.a")
    assert (a.low, a.high) == (6.0, 6.1)


def test_named_ranges_are_found_by_endings_and_alone() -> None:
    search = Search.of({"Uiso": (0.005, 0.06), "starts": 8, "seed": 4})
    assert search is not None
    assert [one.name for one in ranges_of(params(), search)] == ["zb.Cd.Uiso", "zb.Se.Uiso"]
    names = ("zb.scale", "zb.a", "zb.Cd.Uiso", "zb.Se.Uiso")
    made = points(ranges_of(params(), search), np.array([1.0, 6.05, 0.01, 0.01]), names, search)
    assert made.shape == (8, 4)
    assert (made[:, 1] == 6.05).all()
    assert (made[:, 2:] >= 0.005).all()
    assert (made[:, 2:] <= 0.06).all()
    # Evenly in the logarithm: every eighth of the range has one start.
    parts = np.log(made[:, 2] / 0.005) / math.log(12.0)
    assert sorted(np.floor(8 * parts).astype(int)) == list(range(8))


def test_points_do_not_depend_on_their_number() -> None:
    ranges = ranges_of(params(), Search())
    x0, names = np.ones(4), ("zb.scale", "zb.a", "zb.Cd.Uiso", "zb.Se.Uiso")
    few, many = (points(ranges, x0, names, Search(starts=n)) for n in (5, 40))
    assert (few == many[:5]).all()
    assert (few != points(ranges, x0, names, Search(starts=5, seed=1))).any()


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ("through", "search = 'through' is not known"),
        (3, "search = 3 is not known"),
        ({"a": (6.1, 6.0)}, "the range of a in search, 6.1 to 6, is empty"),
        ({"a": (6.0, 6.0)}, "is empty"),
        ({"a": 6.0}, "is not two numbers"),
        ({"a": (6.0, math.inf)}, "is empty"),
        ({"qdamp": (0.01, 0.05)}, "qdamp is fixed"),
        ({"b": (5.0, 6.0)}, "no parameter is called 'b'"),
        ({"Uiso": (-0.01, 0.02)}, "leads beyond its bounds"),
        ({"starts": 0}, "starts of search is 0"),
        ({"seed": -1}, "seed of search is -1"),
        ({"workers": 1.5}, "workers of search is 1.5"),
    ],
)
def test_searches_that_are_refused(search: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        pk.fit(model(), data(), free=FREE, search=search)


def test_a_range_of_something_tied_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"zb.Se.Uiso is tied to zb.Cd.Uiso"):
        pk.fit(model(), data(), free=FREE, ties={"Se.Uiso": "Cd.Uiso"}, search={"Se.Uiso": (0.01, 0.02)})


# --- the search ------------------------------------------------------------------------------------------------------


def test_the_plain_fit_ends_in_the_other_minimum() -> None:
    U = plain().params
    assert U["zb.Cd.Uiso"].value > U["zb.Se.Uiso"].value
    assert not plain().minima


def test_the_best_minimum_is_found_and_the_other_listed() -> None:
    result = found()
    assert result.rw < 0.9 * plain().rw
    for name, value in TRUTH.items():
        assert abs(result.params[name].value - value) < 4 * result.params[name].stderr
    best, *others = result.minima
    assert best.differs == ""
    assert best.dlnz == 0.0
    assert best.values == pytest.approx(result.values)
    other = min(others, key=lambda one: abs(one.rw - plain().rw))
    assert other.rw == pytest.approx(plain().rw, rel=0.02)
    assert "Uiso of Cd and Se exchanged in zb" in other.differs
    assert other.dlnz < -3.0
    assert [one.rw for one in result.minima] == sorted(one.rw for one in result.minima)
    assert sum(one.reached for one in result.minima) + len(result.minima.given_up) == result.minima.starts
    assert result.params["zb.a"].init_value == 6.07


def test_the_same_seed_finds_the_same() -> None:
    again = pk.fit(wrong_way(), data(), free=FREE, search={"seed": 0})
    assert (again.values == found().values).all()
    assert again.minima.to_dict() == found().minima.to_dict()


def test_a_minimum_starts_another_fit() -> None:
    other = next(one for one in found().minima if "exchanged" in one.differs)
    before = other.values.copy()
    again = pk.fit(model(), data(), free=FREE, params=other.params, search="plain")
    assert again.rw == pytest.approx(other.rw, rel=0.03)  # by the noise that its own residual shows
    assert again.params["zb.Cd.Uiso"].value > again.params["zb.Se.Uiso"].value
    assert (other.values == before).all()


@pytest.mark.slow
def test_workers_find_the_same() -> None:
    with_two = pk.fit(wrong_way(), data(), free=FREE, search={"workers": 2, "starts": 8})
    alone = pk.fit(wrong_way(), data(), free=FREE, search={"starts": 8})
    assert with_two.values == pytest.approx(alone.values, rel=1e-5)
    assert [one.reached for one in with_two.minima] == [one.reached for one in alone.minima]


def test_a_search_that_is_interrupted_has_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = []

    def interrupted(*arguments: Any) -> Any:
        rounds.append(1)
        if len(rounds) == 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    whole = searching._round
    monkeypatch.setattr(searching, "_round", interrupted)
    result = pk.fit(wrong_way(), data(), free=FREE, search="thorough")
    assert result.minima.stopped
    assert result.minima.starts == searching.ROUND
    assert result.rw <= plain().rw * 1.001
    assert "the search was interrupted" in str(result)


def test_restraints_hold_in_a_search() -> None:
    restraint = pk.ValueRestraint("zb.a", 6.10, 1e-5)
    result = pk.fit(wrong_way(), data(), free=FREE, restraints=[restraint], search={"starts": 8})
    assert result.params["zb.a"].value == pytest.approx(6.10, abs=1e-3)


def test_what_is_held_is_not_searched() -> None:
    """The origin of a polar group floats: one z is held, whatever ranges are named."""
    wz = pk.Crystal.from_file("CdS_wurtzite", name="wz")
    polar = pk.Model(wz, INSTRUMENT)
    curve = polar.with_values({"wz.S.z": 0.38})(np.arange(1.5, 8.0, 0.05))
    result = pk.fit(polar, curve, free=["scale", "z"], search={"S.z": (0.35, 0.4), "starts": 2})
    assert list(result.held) == ["wz.S.z"]
    assert result.rw < 1e-3
    assert set(result.minima[0].free) == {"wz.scale", "wz.Cd.z"}


def test_several_data_sets() -> None:
    sets = {"x": data(), "y": data().crop(None, 10.0)}
    result = pk.fit(wrong_way(), sets, free=FREE, search={"starts": 8})
    assert result.params["zb.Se.Uiso"].value > result.params["zb.Cd.Uiso"].value
    assert result.minima[0].free == result.free


def test_progress_tells_of_a_search() -> None:
    seen: list[tuple[int, float]] = []
    pk.fit(wrong_way(), data(), free=FREE, search={"starts": 8}, progress=lambda n, rw: seen.append((n, rw)))
    assert seen[-1][0] > 8
    assert seen[-1][1] < 0.9 * plain().rw


class Names:
    """A progress that wants to know what is done next."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def names(self, what: str) -> None:
        self.seen.append(what)

    def __call__(self, nfev: int, rw: float) -> None:
        pass


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_names_what_is_done(workers: int) -> None:
    told = Names()
    start = wrong_way().with_values({"zb.a": 6.3})
    pk.fit(start, data(), free=FREE, search={"starts": 3, "workers": workers}, progress=told)
    assert told.seen == [
        *("looking for the cell", "fitting", "trying minima nearby", "fitting"),
        *("start 1 of 3", "start 2 of 3", "start 3 of 3", "trying moves from the best minima", "comparing minima"),
    ]


def test_starts_that_are_given_up_are_counted_with_their_rw(tmp_path: Path) -> None:
    whole = race()
    gathered, norm2 = searching.Found(whole), whole.whole.norm2()
    for rw in (0.6, 0.5, math.inf):
        gathered.add(Place(found().values, rw**2 * norm2, np.zeros((0, 0)), 5, given_up=True))
    poor = searching._given_up(gathered)
    assert poor == pytest.approx((0.5, 0.6, math.inf))
    result = replace(found(), minima=replace(found().minima, given_up=poor))
    assert "3 ended far above it and were given up (Rw 0.50 to 0.60)" in " ".join(str(result).split())
    assert pk.load_result(result.save(tmp_path / "fit.h5")).minima.given_up == poor
    assert json.loads(json.dumps(result.to_dict()["minima"]["given_up"], allow_nan=False))[2] is None


def test_fits_with_weights_of_data_sets_have_no_evidence() -> None:
    sets = {"x": data(), "y": data().crop(None, 10.0)}
    settings = pk.FitSettings(weights={"y": 0.2})
    result = pk.fit(wrong_way(), sets, free=FREE, search={"starts": 4}, settings=settings)
    assert len(result.minima) > 1
    assert all(math.isnan(one.dlnz) for one in result.minima)
    assert not any("ln Z" in text for text in result.remarks)


# --- places ----------------------------------------------------------------------------------------------------------


def race() -> Race:
    result = found()
    return Race.of(result.problem, result.params)


def test_places_in_one_valley_are_one() -> None:
    whole = race()
    best = whole.to_the_end(found().values)
    sigma = np.array([found().params[name].stderr for name in found().free])
    near = best.x + 0.05 * sigma
    f = whole.whole.at(near)
    assert own([best], near, float(f @ f)) is best
    assert same(whole.whole, best, Place(near, float(f @ f), best.factor))


def test_places_in_two_valleys_are_two() -> None:
    whole = race()
    best, other = (whole.to_the_end(one.values) for one in found().minima[:2])
    assert own([best], other.x, other.cost) is None
    assert not same(whole.whole, best, other)


# --- what is said ----------------------------------------------------------------------------------------------------


def test_chance_of_something_unseen() -> None:
    assert unseen(1, 1) == 1.0
    assert unseen(2, 4) == pytest.approx(0.5)
    assert unseen(3, 16) == pytest.approx(0.05)
    assert unseen(9, 3) == 1.0


def test_words_for_what_differs() -> None:
    best = {"wz.Cd.Uiso": 0.01, "wz.Se.Uiso": 0.04, "wz.spdiameter": 33.0, "wz.a": 4.3}
    sigma = {"wz.Cd.Uiso": 0.001, "wz.Se.Uiso": 0.001, "wz.spdiameter": 0.5, "wz.a": 0.001}
    units = {"wz.spdiameter": "Å"}
    other = {**best, "wz.Cd.Uiso": 0.04, "wz.Se.Uiso": 0.01, "wz.spdiameter": 31.2}
    said = differences(best, other, sigma, units)
    assert said == "Uiso of Cd and Se exchanged in wz; wz.spdiameter 31.2 for 33 Å"
    assert differences(best, best, sigma, units) == "nothing by more than its error"
    two = {"wz.Cd.Uiso": 0.01, "zb.Cd.Uiso": 0.04}
    assert differences(two, {"wz.Cd.Uiso": 0.05, "zb.Cd.Uiso": 0.02}, {}, {}) == "Cd.Uiso of wz and zb exchanged"


def test_remarks_on_minima() -> None:
    first, second = found().minima[:2]
    near = Minima((first, replace(second, dlnz=-1.0)), 16)
    assert any("the data do not tell" in one for one in searching._remarks(near))
    assert not list(searching._remarks(Minima((first, replace(second, dlnz=-9.0)), 16)))
    bound = Minima((replace(first, at_bounds=("zb.a",)), replace(second, dlnz=-9.0)), 16)
    assert any("nothing on a bound is number 1" in one for one in searching._remarks(bound))


def flawed() -> FitResult:
    """The same, with a lower minimum that says nothing."""
    first, second = found().minima[:2]
    words = (left_out("zb: Cd–Se"), ended("zb.Se.Uiso"))
    lower = replace(second, chi2=0.9 * first.chi2, dlnz=5.0, flaws=words, at_bounds=("zb.a", "zb.Se.Uiso"))
    return replace(found(), minima=Minima((first, lower), 16))


def test_minima_that_say_nothing_are_told_everywhere(tmp_path: Path) -> None:
    result = flawed()
    words = "leaves out the peak of Cd–Se in zb; U of Se in zb at its bound"
    assert result.minima.rows()[2][-1].endswith(f"; {words}; on a bound: zb.a")
    assert words in " ".join(str(result).split())
    assert words.split("; ") == result.to_dict()["minima"]["found"][1]["flaws"]
    with result.minima.to_csv(tmp_path / "minima.csv").open(encoding="utf-8") as stream:
        assert [row["flaws"] for row in csv.DictReader(stream)] == ["", words]
    back = pk.load_result(result.save(tmp_path / "fit.h5"))
    assert [one.flaws for one in back.minima] == [(), tuple(words.split("; "))]
    (said,) = searching._remarks(result.minima)
    assert said.startswith("a lower Rw exists, ")
    assert "says nothing of the sample (leaves out the peak of Cd–Se in zb" in said
    assert ended("wz.delta2") == "delta2 of wz at its bound"


def test_a_proper_minimum_is_the_best_place_though_a_flawed_one_is_lower() -> None:
    gathered = searching.Found(race())
    for x, cost, kind in ((1.0, 1.2, 0), (2.0, 1.0, 1), (3.0, 0.9, 2)):
        place = Place(np.full(4, x), cost, np.eye(5), flaw=kind)
        gathered.places.append(place)
    assert gathered.best.x[0] == 1.0
    gathered.places[0] = replace(gathered.places[0], cost=1.4)
    assert gathered.best.x[0] == 2.0


def test_the_report_lists_minima() -> None:
    text = str(found())
    assert "minima" in text
    assert "exchanged in zb" in text
    assert f"{found().minima.starts} starts (seed 0)" in text


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_minima_are_saved_and_read(tmp_path: Path) -> None:
    back = pk.load_result(found().save(tmp_path / "fit.h5"))
    assert back.minima.to_dict() == found().minima.to_dict()
    assert back.minima[1].params["zb.a"].value == found().minima[1].params["zb.a"].value
    assert str(back) == str(found())
    assert not pk.load_result(plain().save(tmp_path / "plain.h5")).minima


def test_minima_in_json_and_csv(tmp_path: Path) -> None:
    table = json.loads(json.dumps(found().to_dict(), allow_nan=False))["minima"]
    assert len(table["found"]) == len(found().minima)
    with found().minima.to_csv(tmp_path / "minima.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["rw"]) for row in rows] == [one.rw for one in found().minima]
    assert float(rows[0]["zb.a"]) == found().values[found().free.index("zb.a")]


RECIPE = """
data = {{file = "cdse.gr"}}
phase = [{{name = "zb", structure = "CdSe_zincblende"}}]
output = {{write = ["report"]}}

[fit]
free = ["scale", "a", "Uiso"]
{search}
"""


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ('search = "thorough"', None),
        ("[fit.search]\nUiso = [0.005, 0.06]\nstarts = 8\nseed = 2", 8),
        ("[fit.search]\nCd.Uiso = [0.005, 0.06]\nstarts = 8", 8),
    ],
)
def test_recipes_search(tmp_path: Path, text: str, starts: int | None) -> None:
    pk.write_pdf(tmp_path / "cdse.gr", data())
    (tmp_path / "fit.toml").write_text(RECIPE.format(search=text), encoding="utf-8")
    result, files = pk.run_recipe(tmp_path / "fit.toml", out=tmp_path / "out")
    assert [file.name for file in files] == ["report.txt", "minima.csv"]
    assert starts is None or result.minima.starts <= starts
    assert result.params["zb.Se.Uiso"].value > result.params["zb.Cd.Uiso"].value


@pytest.mark.parametrize(
    ("text", "line"),
    [('search = "all"', 8), ("[fit.search]\na = [6.1, 6.0]", 9), ("[fit.search]\nqdamp = [0.01, 0.05]", 9)],
)
def test_recipes_that_search_wrongly_are_refused_with_a_line(tmp_path: Path, text: str, line: int) -> None:
    pk.write_pdf(tmp_path / "cdse.gr", data())
    (tmp_path / "fit.toml").write_text(RECIPE.format(search=text), encoding="utf-8")
    with pytest.raises(RecipeError, match=rf"line {line}"):
        pk.run_recipe(tmp_path / "fit.toml", out=tmp_path / "out")


# --- the command line ------------------------------------------------------------------------------------------------


def command(*arguments: str) -> Any:
    from typer.testing import CliRunner

    from pdfkit.cli import app

    return CliRunner().invoke(app.app, ["fit", *arguments])


def test_the_command_line_searches(tmp_path: Path) -> None:
    pk.write_pdf(tmp_path / "cdse.gr", data())
    file = tmp_path / "fit.toml"
    file.write_text(RECIPE.format(search=""), encoding="utf-8")
    run = command(str(file), "--search", "thorough", "--starts", "8", "--out", str(tmp_path / "out"), "--json")
    assert json.loads(run.stdout)["minima"]["starts"] == 8
    assert (tmp_path / "out" / "minima.csv").is_file()
    run = command(str(file), "--starts", "8", "--out", str(tmp_path / "other"))
    assert "--search thorough" in str(run.exception)
    assert not (tmp_path / "other").exists()


def test_a_proposed_recipe_keeps_the_search() -> None:
    from pdfkit.cli.proposing import searched
    from pdfkit.recipes.written import _search

    assert searched("plain", None, None) == "plain"
    assert searched({"a": (6.0, 6.1)}, "thorough", 8) == {"a": (6.0, 6.1), "starts": 8}
    assert searched({"a": (6.0, 6.1)}, "plain", None) == "plain"
    assert _search("thorough") == '"thorough"'
    assert _search({"a": (6.0, 6.1), "starts": 8}) == '{ "a" = [6.0, 6.1], "starts" = 8 }'


def test_a_search_is_kept_so_that_it_can_be_made_again(tmp_path: Path) -> None:
    search = {"a": (5.9, 6.2), "starts": np.int64(2)}
    result = pk.fit(model(), data(), free=["scale", "a"], search=search)
    again = pk.load_result(result.save(tmp_path / "fit.h5")).search
    assert again == result.search == {"a": [5.9, 6.2], "starts": 2, "seed": 0, "workers": 1}
    assert Search.of(again) == Search.of(search)
