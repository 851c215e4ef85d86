"""Curves as numbers: sums, differences, multiples, sections, other points; their errors by simulation and algebra."""

from __future__ import annotations

import math
import pickle
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pdfkit as pk
from pdfkit.data.arithmetic import spline_miss
from pdfkit.data.covariance import Covariance
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError

R = np.arange(0.5, 12.0, 0.02)
FACTORS = st.floats(0.01, 100).flatmap(lambda x: st.sampled_from([x, -x]))


def pdf(d: float = 2.5, **changes: Any) -> pk.PDF:
    values = {"dG": 0.01 + 0.002 * R, "instrument": Instrument(probe="X", qmax=25.0, qdamp=0.03), **changes}
    return pk.PDF(R, np.sin(25 * (R - d)) / (R + d), **values)


def sq(d: float = 2.5, errors: bool = True, **changes: Any) -> pk.SQ:
    Q = np.arange(0.02, 25, 0.02)
    S = 1 + 4 * np.sin(Q * d) / (Q * d) * np.exp(-0.005 * Q**2)
    return pk.SQ(Q, S, 0.01 + 0.001 * Q if errors else None, Instrument(probe="X"), **changes)


def correlated(seed: int) -> Covariance:
    rng = np.random.default_rng(seed)
    Q = np.sort(rng.uniform(0.5, 25, 60))
    root = rng.normal(size=(3, 3))
    return Covariance(Q, rng.uniform(0.1, 1, 60), rng.uniform(0, 1, 60), rng.normal(size=(60, 3)), root @ root.T)


# --- values ----------------------------------------------------------------------------------------------------------


def test_sums_are_the_sums_of_the_values() -> None:
    a, b = pdf(), pdf(3.1)
    np.testing.assert_array_equal((a + b).G, a.G + b.G)
    np.testing.assert_array_equal((a - b).G, a.G - b.G)
    np.testing.assert_array_equal((-a).G, -a.G)
    np.testing.assert_array_equal((a - b.G).G, (a - b).G)
    np.testing.assert_array_equal((b.G - a).G, (b - a).G)
    np.testing.assert_array_equal((1.5 - a).G, 1.5 - a.G)
    np.testing.assert_allclose(sum([a, b, pdf(3.7)]).G, a.G + b.G + pdf(3.7).G, rtol=0, atol=1e-15)


@settings(max_examples=40, deadline=None)
@given(c=FACTORS, k=FACTORS)
def test_curves_form_a_vector_space(c: float, k: float) -> None:
    for a, b in ((pdf(), pdf(3.1)), (sq(), sq(3.1))):
        y, dy = a._columns[1:]
        for left, right in (
            (c * (a + b), c * a + c * b),
            (c * (k * a), (c * k) * a),
            (a / c, a * (1 / c)),
            (a - b, a + -b),
        ):
            np.testing.assert_allclose(getattr(left, y), getattr(right, y), rtol=1e-9, atol=1e-12 * abs(c * k) + 1e-12)
            np.testing.assert_allclose(getattr(left, dy), getattr(right, dy), rtol=1e-12)


def test_S_of_a_sum_gives_G_of_a_sum() -> None:
    """The sine transform is linear in F: adding before or after it is the same, errors and covariance included."""
    a, b, r = sq(), sq(3.1), np.arange(1, 6, 0.05)
    before, after = (2 * a - b).to_pdf(r), 2 * a.to_pdf(r) - b.to_pdf(r)
    np.testing.assert_allclose((a + b).F, a.F + b.F, rtol=0, atol=1e-13)
    np.testing.assert_allclose(before.G, after.G, rtol=0, atol=1e-12)
    np.testing.assert_allclose(before.dG, after.dG, rtol=1e-9)
    assert before.cov is not None
    assert after.cov is not None
    np.testing.assert_allclose(before.cov.matrix(r), after.cov.matrix(r), rtol=0, atol=1e-15)
    np.testing.assert_allclose(after.cov.sigma(r), after.dG, rtol=1e-9)


@pytest.mark.parametrize("make", [pdf, sq])
def test_what_is_no_curve_is_not_added(make: Any) -> None:
    for other in ("a", None, [1.0], pk.Intensity([1, 2], [1, 2]), sq() if make is pdf else pdf()):
        with pytest.raises(TypeError):
            make() + other
        with pytest.raises(TypeError):
            other - make()
        with pytest.raises(TypeError):
            make() * other
    with pytest.raises(TypeError):
        make() * make()
    with pytest.raises(TypeError):
        make() * np.ones(R.size)
    with pytest.raises(PdfkitError, match="3 values are added to a curve of"):
        make() + np.ones(3)
    for value in (math.nan, math.inf):
        with pytest.raises(PdfkitError, match="not finite"):
            make() * value
    for nothing in (lambda: 0 * make(), lambda: make() / 0):
        with pytest.raises(PdfkitError, match="0"):
            nothing()


# --- errors ----------------------------------------------------------------------------------------------------------


def test_errors_are_those_of_many_measurements() -> None:
    rng, repeats = np.random.default_rng(1), 4000
    a, b = pdf(), pdf(3.1, dG=0.03 - 0.001 * R)
    assert a.dG is not None
    assert b.dG is not None
    noise = [one.dG * rng.normal(size=(repeats, R.size)) for one in (a, b)]
    found = (2 * noise[0] - 0.5 * noise[1]).std(axis=0)
    # A standard deviation of n values is uncertain by 1/√(2n); over all r, by less.
    ratio = found / (2 * a - 0.5 * b).dG
    assert np.abs(ratio - 1).max() < 5 / math.sqrt(2 * repeats)
    assert abs(ratio.mean() - 1) < 5 / math.sqrt(2 * repeats * R.size)


@pytest.mark.parametrize("seeds", [(1, 1), (1, 2)])
def test_covariances_add(seeds: tuple[int, int]) -> None:
    one, other = map(correlated, seeds)
    r = np.arange(1, 10, 0.1)
    a, b = pdf(cov=one), pdf(3.1, cov=other)
    difference = (3 * a - b).cov
    assert difference is not None
    expected = 9 * one.matrix(r) + other.matrix(r)
    np.testing.assert_allclose(difference.matrix(r), expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(difference.sigma(r) ** 2, np.diag(expected), rtol=1e-9)


def test_errors_that_are_not_known_are_left_out_and_named() -> None:
    lacking = pdf(3.1, dG=None, name="calculated")
    for one in (pdf() - lacking, lacking - pdf()):
        assert one.dG is None
        assert "dG is left out: that of calculated is not known" in one.remarks[-1]
    assert (lacking + lacking).dG is None
    assert not (lacking + lacking).remarks
    exact = pdf() - lacking.G
    np.testing.assert_array_equal(exact.dG, pdf().dG)
    half = pdf(cov=correlated(1)) + pdf(3.1, name="b")
    assert half.cov is None
    assert half.dG is not None
    assert half.remarks == ("cov is left out: how the errors of b are correlated is not known",)
    assert (pdf(cov=correlated(1)) + 1.0).cov is not None


def test_a_curve_is_not_independent_of_itself() -> None:
    a = pdf()
    with pytest.raises(PdfkitError, match="multiply it by a number"):
        a - a


# --- what is kept, and what is refused -------------------------------------------------------------------------------


def test_what_agrees_is_kept() -> None:
    about = {"composition": "Ni", "temperature": 300.0, "header": {"beam": "1", "run": "7"}, "remarks": ("qmax read",)}
    a = pdf(name="hot", **about)
    b = pdf(3.1, name="cold", **{**about, "temperature": 90.0, "header": {"beam": "1", "run": "8"}})
    found = a - b
    assert found.instrument == a.instrument
    assert found.instrument.given == a.instrument.given
    assert (found.composition, found.temperature, dict(found.header)) == ("Ni", None, {"beam": "1"})
    assert (found.name, found.remarks) == ("hot − cold", ("qmax read",))
    assert (a + pdf(3.1, name="hot")).name == "hot"
    assert (pdf(name="x" * 40) + pdf(3.1, name="y" * 40)).name == ""
    assert (pdf(name="hot", remarks=("mended",)) + b).remarks == ("hot: mended", "cold: qmax read")


@pytest.mark.parametrize(("name", "value"), [("qmax", 20.0), ("qmin", 0.8), ("window", "lorch"), ("window_width", 0.2)])
def test_what_shapes_curves_must_agree(name: str, value: Any) -> None:
    known = {"probe": "X", "qmin": 0.5, "qmax": 25.0, "window": "gaussian", "window_width": 0.1}
    a = pdf(instrument=Instrument(**known), name="a")
    b = pdf(3.1, instrument=Instrument(**{**known, name: value}), name="b")
    with pytest.raises(PdfkitError, match=f"{name} is .* for a and .* for b"):
        a - b
    # S(Q) is not shaped by how far it was measured.
    c = sq().S
    first, second = (pk.SQ(sq().Q, c, None, one.instrument, name=one.name) for one in (a, b))
    assert any(name in text for text in (first - second).remarks)


def test_what_one_says_is_taken_and_remarked() -> None:
    a, b = pdf(), pdf(3.1, instrument=Instrument(probe="X"))
    found = a + b
    assert found.instrument == a.instrument
    assert found.remarks == ("qmax, qdamp: known of one curve or the other only, and taken for both",)


def test_what_differs_is_left_out_and_remarked() -> None:
    a = pdf(instrument=Instrument(probe="X", qmax=25.0, wavelength=0.2, anomalous=True))
    b = pdf(3.1, instrument=Instrument(probe="X", qmax=25.0, wavelength=0.3, anomalous=True))
    found = a - b
    assert found.instrument == Instrument(probe="X", qmax=25.0)
    assert found.remarks == ("wavelength: not the same in one curve and the other, so left out",)


def test_other_points_are_refused() -> None:
    with pytest.raises(PdfkitError, match=r"different r: .* crop and resample"):
        pdf() + pk.PDF(R + 0.001, pdf().G)
    with pytest.raises(PdfkitError, match="different r"):
        pdf() + pdf(3.1).crop(1, 5)
    # Rounding in a file is no other grid.
    assert len(pdf() + pk.PDF(np.round(R, 6), pdf(3.1).G, instrument=pdf().instrument)) == R.size


def test_results_are_frozen_values() -> None:
    a, b = pdf(), pdf(3.1)
    before = a.G.copy()
    for one in (a + b, 2 * a, a.crop(1, 5), a.resample(R[5:-5] + 0.003)):
        with pytest.raises((FrozenInstanceError, AttributeError)):
            one.G = 0
        assert not one.G.flags.writeable
        assert not one.r.flags.writeable
        again = pickle.loads(pickle.dumps(one))
        np.testing.assert_array_equal(again.G, one.G)
    np.testing.assert_array_equal(a.G, before)


# --- sections and other points ---------------------------------------------------------------------------------------


def test_crop_of_S_takes_its_covariance_along() -> None:
    Q, root = sq().Q, np.random.default_rng(3).normal(size=(Q_SIZE, 2))
    whole = pk.SQ(Q, sq().S, sq().dS, cov=Covariance(Q, np.ones(Q.size), Q**2, root, np.eye(2)))
    part = whole.crop(2, 10)
    keep = (Q > 2 - 1e-9) & (Q < 10 + 1e-9)
    assert part.cov is not None
    np.testing.assert_array_equal(part.Q, Q[keep])
    np.testing.assert_array_equal(part.cov.modes, root[keep])
    with pytest.raises(PdfkitError, match="no data between 30 and 40"):
        whole.crop(30, 40)
    with pytest.raises(PdfkitError, match="not below qmax"):
        whole.crop(10, 2)


Q_SIZE = sq().Q.size


@pytest.mark.parametrize("share", [0.23, 0.47, 0.74])
def test_other_points_miss_as_little_as_the_formula_says(share: float) -> None:
    """The highest Fourier component of a band-limited curve, far from the ends, against what is said of it."""
    qmax = 20.0
    h = share * math.pi / qmax
    r = 1 + h * np.arange(400)
    curve = pk.PDF(r, np.sin(qmax * r), instrument=Instrument(probe="X", qmax=qmax))
    new = np.linspace(r[100], r[300], 20001)
    found = curve.resample(new)
    miss = np.abs(found.G - np.sin(qmax * new)).max()
    bound = spline_miss(h, qmax)
    assert 0.98 * bound < miss < 1.0001 * bound
    assert bool(found.remarks) == (bound > 1e-3)


def test_other_points_of_a_model() -> None:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), Instrument(probe="X", qmax=25))
    fine = np.linspace(1.0, 20.0, 1901)  # from and to where the other begins and ends: there the filter in Q does, too
    found = model(fine[::2]).resample(fine)
    np.testing.assert_allclose(found.G[:-10], model(fine).G[:-10], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.G, model(fine).G, rtol=0, atol=2e-4)  # a spline knows less where it ends
    assert not found.remarks


def test_the_same_points_change_nothing() -> None:
    a = pdf()
    same = a.resample(a.r)
    np.testing.assert_allclose(same.G, a.G, rtol=0, atol=1e-13)
    np.testing.assert_allclose(same.dG, a.dG, rtol=1e-14)
    one = sq()
    assert one.resample(one.Q) is one


def test_errors_on_other_points() -> None:
    a = pdf(cov=correlated(1))
    new = R[3:-3] + 0.007
    found = a.resample(new)
    np.testing.assert_allclose(found.dG, 0.01 + 0.002 * new, rtol=1e-12)
    assert found.cov is a.cov
    other = sq().resample(np.arange(1, 20, 0.05))
    assert other.dS is None
    assert "dS is left out" in other.remarks[-1]
    assert not sq(errors=False).resample(np.arange(1, 20, 0.05)).remarks


def test_points_that_are_not_known_are_refused() -> None:
    with pytest.raises(PdfkitError, match="nothing is known beyond"):
        pdf().resample(np.arange(0.1, 5, 0.01))
    with pytest.raises(PdfkitError, match="do not determine G"):
        pk.PDF(np.arange(1, 10, 0.2), np.ones(45), instrument=Instrument(qmax=25)).resample(np.arange(2, 5, 0.01))
    unknown = pk.PDF(np.arange(1.0, 5.0), [1.0, 2.0, 3.0, 4.0]).resample([1.5, 2.5])
    np.testing.assert_allclose(unknown.G, [1.5, 2.5], rtol=1e-12)
    assert "give qmax" in unknown.remarks[-1]
    short = pk.PDF([1.0, 2.0], [1.0, 3.0]).resample([1.0, 1.25])
    np.testing.assert_allclose(short.G, [1.0, 1.5], rtol=1e-12)


# --- pictures --------------------------------------------------------------------------------------------------------


def test_plots_in_one_call(tmp_path: Path) -> None:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), Instrument(probe="X", qmax=25))
    data = model(np.arange(1, 10, 0.02))
    for thing in (data, pk.fit(model, data, free=["scale"])):
        figure = thing.plot(tmp_path / "picture.png", width=120)
        assert figure.get_size_inches()[0] == pytest.approx(120 / 25.4)
        assert (tmp_path / "picture.png").stat().st_size > 1000
