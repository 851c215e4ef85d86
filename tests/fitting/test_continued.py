"""Fits that are taken up again: from where they ended, with everything else as it was unless it is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import ParameterError, ReadError
from pdfkit.fitting.changes import Changes
from pdfkit.fitting.comparison import side_by_side
from pdfkit.model import noise
from pdfkit.model.restraints import ValueRestraint

LAB = pk.Instrument(probe="X", qmax=20.0, qdamp=0.03)
WZ = pk.Model(pk.Crystal.from_file("CdSe_wurtzite", name="wz", delta2=2.0), LAB)
TRUTH = {"wz.a": 4.31, "wz.c": 7.02, "wz.Cd.Uiso": 0.012}
FREE = ["scale", "a", "Uiso"]


@pytest.fixture(scope="module")
def data() -> pk.PDF:
    return noise.simulate(WZ.with_values(TRUTH), 1.0, 24.0, 0.02, 0.05, 3)


@pytest.fixture(scope="module")
def first(data: pk.PDF) -> pk.FitResult:
    return pk.fit(
        WZ,
        data,
        rmin=1.5,
        rmax=14.0,
        free=FREE,
        ties={"wz.Se.Uiso": "wz.Cd.Uiso"},
        bounds={"a": (4.2, 4.4)},
        restraints=[ValueRestraint("wz.a", 4.3, 0.05)],
    )


@pytest.fixture(scope="module", params=["at hand", "from its file"])
def before(
    request: pytest.FixtureRequest, first: pk.FitResult, tmp_path_factory: pytest.TempPathFactory
) -> pk.FitResult:
    if request.param == "at hand":
        return first
    return pk.load_result(first.save(tmp_path_factory.mktemp("saved") / "first.h5"))


def test_a_fit_goes_on_where_it_ended(before: pk.FitResult) -> None:
    again = before.refit()
    assert again.free == before.free
    # The spectrum of the noise is taken anew, here from the residual of a whole fit and not of a rough one.
    assert again.rw == pytest.approx(before.rw, rel=1e-5)
    np.testing.assert_allclose(again.values, before.values, rtol=1e-4)
    assert again.params["wz.a"].init_value == before.params["wz.a"].value
    assert (again.params["wz.a"].min, again.params["wz.a"].max) == (4.2, 4.4)
    assert again.params["wz.Se.Uiso"].expr == "wz.Cd.Uiso"
    assert again.restraints == before.restraints
    assert again.errors_from == before.errors_from
    np.testing.assert_array_equal(again.data.G, before.data.G)
    assert Changes.of(before, again).moved == ()


def test_what_varies_is_changed_by_words_or_listed(before: pk.FitResult, data: pk.PDF) -> None:
    more = before.refit(free=["+c"])
    whole = pk.fit(
        WZ,
        data,
        rmin=1.5,
        rmax=14.0,
        free=[*FREE, "c"],
        ties={"Se.Uiso": "Cd.Uiso"},
        bounds={"a": (4.2, 4.4)},
        restraints=[ValueRestraint("wz.a", 4.3, 0.05)],
    )
    assert set(more.free) == {*before.free, "wz.c"}
    assert more.rw == pytest.approx(whole.rw, rel=1e-4)
    assert more.params["wz.c"].value == pytest.approx(whole.params["wz.c"].value, abs=1e-3)
    fewer = before.refit(free="-Cd.Uiso")
    assert fewer.free == ("wz.scale", "wz.a")
    assert fewer.params["wz.Cd.Uiso"].value == before.params["wz.Cd.Uiso"].value
    assert fewer.params["wz.Cd.Uiso"].stderr is None
    assert before.refit(free=["scale", "c"]).free == ("wz.scale", "wz.c")


def test_what_is_freed_by_name_is_no_longer_tied(before: pk.FitResult) -> None:
    loose = before.refit(free=["+Se.Uiso"])
    assert "wz.Se.Uiso" in loose.free
    assert "wz.Se.Uiso was tied to wz.Cd.Uiso; it varies by itself now" in loose.remarks
    kept = before.refit(free=["scale", "Uiso"])  # an ending that names both leaves the tie
    assert kept.free == ("wz.scale", "wz.Cd.Uiso")
    tied = before.refit(ties={"c": "1.633*a"}, bounds={"Cd.Uiso": (0.001, 0.02)})
    assert tied.params["wz.c"].value == pytest.approx(1.633 * tied.params["wz.a"].value)
    assert tied.params["wz.Cd.Uiso"].max == 0.02


def test_the_range_may_grow_as_far_as_the_data_go(before: pk.FitResult, data: pk.PDF) -> None:
    wide = before.refit(free=["+c"], rmax=20.0)
    assert (wide.data.r[0], wide.data.r[-1]) == pytest.approx((1.5, 20.0))
    np.testing.assert_array_equal(wide.data.G, data.crop(1.5, 20.0).G)
    found = Changes.of(before, wide)
    assert found.dbic is None
    assert "were fitted in different ranges, 1.5 to 14 Å and 1.5 to 20 Å" in found.why
    narrow = before.refit(rmin=3.0)
    assert narrow.data.r[0] == pytest.approx(3.0)
    kept = replace(before, datasets=(one := replace(before.datasets[0], whole=None),))
    kept = replace(kept, problem=replace(before.problem, datasets=(one,)))
    assert kept.refit(rmax=10.0).data.r[-1] == pytest.approx(10.0)
    with pytest.raises(pk.PdfkitError, match=r"holds its data from 1\.5 to 14 Å only: give the data anew"):
        kept.refit(rmax=20.0)


def test_other_data_are_measured_as_they_say(before: pk.FitResult) -> None:
    lab = replace(LAB, qmax=18.0, qdamp=0.05)
    warm = noise.simulate(WZ.with_instrument(lab).with_values({**TRUTH, "wz.a": 4.33}), 1.0, 24.0, 0.02, 0.05, 5)
    again = before.refit(data=warm, free=["+c"])
    assert again.params["wz.a"].value == pytest.approx(4.33, abs=0.003)
    assert again.params["qdamp"].value == 0.05
    assert again.model.instrument_used.qmax == 18.0
    assert "qdamp is 0.05 now, as the data state; it was 0.03" in again.remarks
    assert (again.data.r[0], again.data.r[-1]) == pytest.approx((1.5, 14.0))
    assert "different data" in Changes.of(before, again).why


def test_what_changed_is_told(before: pk.FitResult) -> None:
    more = before.refit(free=["+c"])
    found = Changes.of(before, more)
    assert found.dbic is not None
    assert found.dbic < -20
    assert "wz.c" in [one.name for one in found.moved]
    text = found.section().text()
    assert f"{before.rw:.4f}" in text
    assert f"{more.rw:.4f}" in text
    assert "the data prefer this fit" in text
    back = Changes.of(more, before)
    assert back.dbic == pytest.approx(-found.dbic, abs=1e-6)


def test_results_are_compared_as_they_are(before: pk.FitResult, data: pk.PDF) -> None:
    more = before.refit(free=["+c"])
    found = pk.compare({"a alone": before, "both": more})
    assert found.names == ("both", "a alone")
    assert found["a alone"].rw == before.rw
    rows = side_by_side({"a alone": before, "both": more})
    c = next(row for row in rows if row[0] == "wz.c")
    assert c[1].endswith(" fixed")
    assert c[3].startswith("+")
    assert "difference" in found.table()
    mixed = pk.compare({"both": more, "model": WZ}, data, free=["scale"], rmin=1.5, rmax=14.0)
    assert mixed.names == ("both", "model")
    with pytest.raises(pk.PdfkitError, match="no data to fit model to"):
        pk.compare({"both": more, "model": WZ}, free=["scale"])
    wide = before.refit(rmax=20.0)
    with pytest.raises(pk.PdfkitError, match="different ranges"):
        pk.compare({"both": more, "wide": wide})
    other = pk.fit(WZ, data, free=FREE, rmin=1.5, rmax=14.0, use_errors=False)
    with pytest.raises(pk.PdfkitError, match="weigh points differently"):
        pk.compare({"both": more, "other": other})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"free": ["+b"]}, "no parameter is called 'b'"),
        ({"free": ["-c"]}, "c does not vary"),
        ({"free": ["+c", "a"]}, "write either a list"),
        ({"free": ["rcut"]}, "cannot be refined"),
        ({"data": "x.gr"}, "data is of type str: give a PDF"),
        ({"data": {"x": None}}, "data names 'x': the fit has one data set"),
        ({"rmax": {"x": 3.0}}, "rmax names 'x'"),
    ],
)
def test_what_is_not_clear_is_refused(first: pk.FitResult, options: dict[str, object], words: str) -> None:
    with pytest.raises((ParameterError, pk.PdfkitError), match=words):
        first.refit(**options)  # type: ignore[arg-type]


def test_two_data_sets_keep_their_own_ranges(tmp_path: Path) -> None:
    ni = pk.Model(pk.Crystal.from_file("Ni", name="ni"), LAB)
    r = np.arange(1.0, 16.0, 0.02)
    pair = {"x": ni.with_values({"ni.a": 3.53})(r), "y": ni.with_values({"ni.a": 3.53, "ni.scale": 0.5})(r)}
    first = pk.fit(ni, pair, rmin=1.5, rmax={"x": 8.0, "y": 10.0}, free=["scale", "a"])
    saved = pk.load_result(first.save(tmp_path / "two.h5"))
    again = saved.refit(free=["+Uiso"], rmax={"y": 12.0})
    assert [one.data.r[-1] for one in again.datasets] == pytest.approx([8.0, 12.0])
    assert again.rw < 1e-4
    with pytest.raises(pk.PdfkitError, match=r"the fit has 2 data sets \(x, y\), and 1 are given"):
        saved.refit(data=pair["x"])
    only = saved.refit(data={"y": pair["x"]})
    assert only.params["y.ni.scale"].value == pytest.approx(1.0, abs=1e-3)


def test_a_file_whose_parameters_are_not_those_of_its_model_is_refused(first: pk.FitResult, tmp_path: Path) -> None:
    params = first.params.copy()
    params["wz.a"].value += 0.001
    file = replace(first, params=params).save(tmp_path / "changed.h5")
    with pytest.raises(ReadError, match=r"parameter wz\.a = .* is not that of its model"):
        pk.load_result(file)
