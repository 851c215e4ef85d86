"""One fit prepared for many data sets: the numbers of `fit`, whatever was fitted before."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import ParameterError
from pdfkit.fitting.datasets import resolved
from pdfkit.fitting.posing import Posed
from pdfkit.fitting.prepared import PreparedFit
from pdfkit.fitting.residuals import Residuals
from pdfkit.fitting.rows import FitRow
from pdfkit.model import noise
from pdfkit.model.mapping import ParameterMap

LAB = pk.Instrument(probe="X", qmax=20.0, qdamp=0.03)
NI = pk.Model(pk.Crystal.from_file("Ni", name="ni"), LAB)
OPTIONS = {"rmin": 1.5, "rmax": 15.0, "free": ["scale", "a", "Uiso"]}


def scan(a: float, seed: int, step: float = 0.02) -> pk.PDF:
    return noise.simulate(NI.with_values({"ni.a": a, "ni.Ni.Uiso": 0.006}), 1.0, 18.0, step, 0.05, seed)


SCANS = [scan(3.53 + 0.002 * k, k) for k in range(3)]


@pytest.fixture(scope="module")
def prepared() -> PreparedFit:
    return PreparedFit.of(NI, SCANS[0], **OPTIONS)


def away(one: FitRow, other: pk.FitResult | FitRow) -> float:
    return float((np.abs(one.values - other.values) / one.sigmas).max())


@pytest.mark.parametrize("which", range(3))
def test_numbers_are_those_of_a_fit_of_its_own(prepared: PreparedFit, which: int) -> None:
    alone, row = pk.fit(NI, SCANS[which], search="plain", **OPTIONS), prepared.row(SCANS[which])
    assert row.free == alone.free == prepared.free
    assert away(row, alone) < 1e-3
    np.testing.assert_allclose(row.covariance, alone.covariance, rtol=1e-3)
    assert (row.rw, row.chi2, row.minimum) == pytest.approx((alone.rw, alone.chi2, alone.minimum), rel=1e-6)
    assert (row.remarks, row.message, row.errors_from) == (alone.remarks, alone.message, alone.errors_from)
    assert row.all_values["ni.a"] == row.values[row.free.index("ni.a")]


def test_the_start_is_that_of_a_neighbour_where_it_is_given(prepared: PreparedFit) -> None:
    before = prepared.row(SCANS[1])
    start = dict(zip(before.free, before.values.tolist(), strict=True))
    near = prepared.fit(SCANS[2], start)
    assert near.params["ni.a"].init_value == start["ni.a"]
    assert away(prepared.row(SCANS[2]), near) < 1e-2
    assert prepared.row(SCANS[2]).nfev >= near.nfev


def test_what_came_before_changes_nothing(prepared: PreparedFit) -> None:
    again = [prepared.row(one) for one in (SCANS[0], SCANS[2], SCANS[0])]
    np.testing.assert_array_equal(again[0].values, again[2].values)
    np.testing.assert_array_equal(again[0].covariance, again[2].covariance)


def test_data_on_another_grid_and_of_another_instrument_are_prepared_for(prepared: PreparedFit) -> None:
    finer = scan(3.54, 5, 0.01)
    cut = replace(finer, instrument=replace(LAB, qdamp=0.05, given=(*LAB.given, "qdamp")))
    for other in (finer, cut):
        assert away(prepared.row(other), pk.fit(NI, other, search="plain", **OPTIONS)) < 1e-3
    assert len(prepared.kinds) == 3


def test_errors_of_the_data_weigh_the_data_that_have_them() -> None:
    scans = [replace(one, dG=np.full(len(one), size)) for one, size in zip(SCANS, (0.05, 0.1, 0.2), strict=True)]
    settings = pk.FitSettings(noise="given")
    prepared = PreparedFit.of(NI, scans[0], settings=settings, **OPTIONS)
    sigmas = [prepared.row(one).sigmas for one in scans]
    np.testing.assert_allclose(sigmas[2], 4.0 * sigmas[0], rtol=0.1)
    alone = pk.fit(NI, scans[2], search="plain", settings=settings, **OPTIONS)
    assert away(prepared.row(scans[2]), alone) < 1e-3


def test_rows_are_small_and_may_have_curves(prepared: PreparedFit) -> None:
    row = prepared.row(SCANS[0])
    assert len(pickle.dumps(row)) < 5000
    assert row.curves == {}
    with_curve = prepared.row(SCANS[0], curves=True)
    np.testing.assert_array_equal(with_curve.curves[""][1].r, SCANS[0].crop(1.5, 15.0).r)


@pytest.mark.parametrize("weighs", [True, False])
def test_points_are_weighed_as_it_is_asked_for(prepared: PreparedFit, weighs: bool) -> None:
    row, own = prepared.row(SCANS[1], weighs=weighs), prepared.row(SCANS[1])
    assert (row.weighs, own.weighs) == (weighs, True)
    np.testing.assert_allclose(row.sigmas, own.sigmas, rtol=0.5)
    assert (away(row, own) == 0.0) == weighs
    assert away(row, own) < 2.0


def test_ln_z_is_that_of_the_result(prepared: PreparedFit) -> None:
    """But for the last step, whose curves are known from those before, and not computed again."""
    row = prepared.row(SCANS[1])
    assert row.lnz == pytest.approx(FitRow.of(prepared.fit(SCANS[1])).lnz, abs=1e-4)


def test_wrong_names_are_refused_when_it_is_prepared() -> None:
    with pytest.raises(ParameterError, match="nothing is free"):
        PreparedFit.of(NI, SCANS[0], rmin=1.5)


KINDS = ("zincblende", "wurtzite")
DOTS = pk.Model([pk.Crystal.from_file(f"CdS_{kind}", name=kind[0], shape=pk.Sphere(20.0)) for kind in KINDS], LAB)


def test_curves_at_guessed_scales_follow_from_those_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    data = DOTS.with_values({"z.scale": 3.0, "w.scale": 5.0})(np.arange(1.0, 15.0, 0.02))
    posed = Posed.of(DOTS, data, rmin=1.5, free=["scale", "a", "Uiso", "spdiameter"])
    residuals = Residuals(posed.problem, ParameterMap.of(posed.params))
    residuals.guess_scales(posed.params)
    x = residuals.mapping.x0
    assert posed.params["z.scale"].value == pytest.approx(3.0, rel=1e-6)
    (expected, slopes), *_ = residuals.curves(x)
    monkeypatch.setattr(Residuals, "curves", lambda *_: pytest.fail("computed again"))
    (found, others), *_ = residuals.last_curves(x)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())
    size = np.abs(slopes).max(axis=1, keepdims=True)
    np.testing.assert_allclose(others / size, slopes / size, atol=1e-12)


@pytest.mark.parametrize("free", [["scale", "a", "qdamp"], ["scale", "a", "z.Cd.occ"]])
def test_what_knows_of_several_scales_is_computed(free: list[str]) -> None:
    data = DOTS.with_values({"z.scale": 3.0, "w.scale": 5.0})(np.arange(1.0, 15.0, 0.02))
    posed = Posed.of(DOTS, data, rmin=1.5, free=free)
    residuals = Residuals(posed.problem, ParameterMap.of(posed.params))
    residuals.guess_scales(posed.params)
    (_, slopes), *_ = residuals.last_curves(residuals.mapping.x0)
    (_, expected), *_ = residuals.curves(residuals.mapping.x0)
    np.testing.assert_array_equal(slopes, expected)


def test_models_that_reach_as_far_keep_their_derivatives() -> None:
    posed = Posed.of(NI, SCANS[0], **OPTIONS)
    residuals = Residuals(posed.problem, ParameterMap.of(posed.params))
    x = np.array([1.0, 3.53, 0.006])
    (_, before), *_ = residuals.last_curves(x)
    here = residuals.near(x)
    assert here is not residuals  # the model's own U is another
    (found, slopes), *_ = here.last_curves(x)
    (expected, after), *_ = here.curves(x)
    assert slopes is before
    np.testing.assert_array_equal(found, expected)
    size = np.abs(after).max(axis=1, keepdims=True)
    np.testing.assert_allclose(slopes / size, after / size, atol=3e-4)


def test_what_data_say_of_their_instrument_counts_where_two_compare_equal() -> None:
    """qdamp = 0 that is said is 0, and one that is not said is the model's: one after the other, in any order."""
    known = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.03))
    r = np.arange(1.5, 6, 0.05)
    told = [pk.Instrument(probe="X", qmax=25), pk.Instrument(probe="X", qmax=25, qdamp=0.0)]
    silent, said = (pk.PDF(r, r, instrument=one) for one in told)
    assert silent.instrument == said.instrument
    for data, qdamp in ((silent, 0.03), (said, 0.0), (silent, 0.03)):
        assert resolved(known, {"": data})[0][""].instrument.qdamp == qdamp
