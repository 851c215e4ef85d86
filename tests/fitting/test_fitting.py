"""Fits: the truth is found again, errors mean what they say, and wrong input is one clear message."""

from __future__ import annotations

import copy
import functools
import math
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import ParameterError
from pdfkit.fitting.least_squares import refit
from pdfkit.fitting.residuals import nonnegative

R = np.arange(150, 3001) * 0.01
TRUTH = {
    "zb.scale": 0.6, "zb.a": 5.81, "zb.Cd.Uiso": 0.012, "zb.S.Uiso": 0.018, "zb.spdiameter": 22.0,
    "wz.scale": 0.4, "wz.a": 4.12, "wz.c": 6.73, "wz.S.z": 0.375,
}  # fmt: skip
TIES = {"wz.spdiameter": "zb.spdiameter", "wz.Cd.Uiso": "zb.Cd.Uiso", "wz.S.Uiso": "zb.S.Uiso"}
FREE = ["scale", "a", "c", "S.z", "Uiso", "spdiameter"]
LAB = pk.Instrument(probe="X", qmax=15.0, qdamp=0.03, window="lorch")


@functools.lru_cache
def start() -> pk.Model:
    zb = pk.Crystal.from_file("CdS_zincblende", name="zb", shape=pk.Sphere(28.0), delta2=2.0)
    wz = pk.Crystal.from_file("CdS_wurtzite", name="wz", shape=pk.Sphere(28.0), delta2=2.0)
    return pk.Model([zb, wz], LAB)


def true_model() -> pk.Model:
    values = {**TRUTH, "wz.spdiameter": 22.0, "wz.Cd.Uiso": 0.012, "wz.S.Uiso": 0.018}
    return start().with_values(values)


def noise(r: np.ndarray, qmax: float, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise that is white in F(Q) below qmax and passed the window, of standard deviation sigma in r."""
    waves = _waves(r.tobytes(), qmax)
    return np.asarray(rng.normal(0, sigma, len(waves)) @ waves)


@functools.lru_cache
def _waves(r: bytes, qmax: float) -> np.ndarray:
    q = np.pi / 60.0 * np.arange(1, int(qmax * 60 / np.pi) + 1)
    M = np.sinc(q / qmax)  # Lorch, as LAB has it
    return (M / math.sqrt(0.5 * (M**2).sum()))[:, None] * np.sin(np.outer(q, np.frombuffer(r)))


def fitted(data: pk.PDF, **options: object) -> pk.FitResult:
    return pk.fit(start(), data, free=FREE, ties=TIES, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def exact() -> pk.FitResult:
    return fitted(true_model()(R))


def test_the_truth_is_found_without_noise(exact: pk.FitResult) -> None:
    assert exact.converged
    assert exact.rw < 1e-6
    for name, value in TRUTH.items():
        # The optimiser stops when cost changes by 1e-8 relative: parameters are then good to about 1e-5.
        assert exact.params[name].value == pytest.approx(value, rel=1e-5), name
    assert exact.params["wz.spdiameter"].value == exact.params["zb.spdiameter"].value


def test_recovery_over_200_noisy_sets() -> None:
    clean = true_model()(R).G
    rng = np.random.default_rng(7)
    names = fitted(pk.PDF(R, clean, instrument=LAB)).free
    found, errors = [], []
    # Noise that is equal at all Q, and taken for that: spectra of noise have tests of their own (test_noise).
    alike = pk.FitSettings(noise="given")
    for _ in range(200):
        data = pk.PDF(R, clean + noise(R, 15.0, 0.05, rng), instrument=LAB)
        result = pk.fit(true_model(), data, free=FREE, ties=TIES, settings=alike, search="plain")
        assert result.converged
        found.append(result.values)
        errors.append([result.params[name].stderr for name in names])
    values, sigma = np.array(found), np.array(errors, dtype=float)
    truth = np.array([TRUTH[name] for name in names])
    mean_error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    assert (np.abs(values.mean(axis=0) - truth) < 3 * mean_error).all(), dict(
        zip(names, values.mean(axis=0), strict=True)
    )
    # Errors count independent points, not the 20 times more numerous samples. The spread of 200 is known to 5 %:
    # four times that.
    spread = ((values - truth) / sigma).std(axis=0)
    assert (spread > 0.8).all(), dict(zip(names, spread, strict=True))
    assert (spread < 1.2).all(), dict(zip(names, spread, strict=True))


def test_result_carries_what_was_asked(exact: pk.FitResult) -> None:
    assert exact.n_points == R.size
    # The Lorch window leaves little of the last tenth of the band.
    assert 0.88 < exact.n_independent / ((R[-1] - R[0]) * 15.0 / math.pi) < 0.96
    assert exact.errors_from == "misfit"
    assert exact.whitened
    fractions = exact.fractions
    assert sum(table["atoms"][0] for table in fractions.values()) == pytest.approx(1.0)
    assert fractions["zb"]["atoms"][0] == pytest.approx(0.6, abs=1e-4)  # same composition: ⟨b⟩ cancels
    assert fractions["zb"]["cells"][0] == pytest.approx(0.6 / 8 / (0.6 / 8 + 0.4 / 4), abs=1e-4)
    correlation = exact.correlation
    np.testing.assert_allclose(np.diag(correlation), 1.0)
    np.testing.assert_allclose(correlation, correlation.T, atol=1e-12)
    plain = exact.to_dict()
    assert set(plain["params"]["zb.a"]) == {"value", "stderr", "min", "max", "vary", "expr"}
    for parts in (exact.partials(), exact.phase_curves()):
        np.testing.assert_allclose(sum(p.G for p in parts.values()), exact.calc.G, atol=1e-12)


def test_shares_add_up_where_the_filter_of_pdffit2_begins_before_the_fit(tmp_path: Path) -> None:
    r = np.arange(1, 1500) * 0.01
    model = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb"), pk.Instrument(probe="X", qmax=20.0), "pdffit2")
    result = pk.fit(model, model(r), rmin=1.5, rmax=12.0, free=["scale"])
    again = pk.load_result(result.save(tmp_path / "fit.h5"))
    result.write_columns(tmp_path / "fit.dat")
    names, table, _ = pk.io.read_columns(tmp_path / "fit.dat")
    columns = dict(zip(names, table.T, strict=True))
    # The case is one: without what lies before the range the curve is another.
    assert np.abs(result.calc.G - model(result.data.r).G).max() > 1e-3
    for parts in (result.partials(), result.phase_curves(), again.partials(), again.phase_curves()):
        np.testing.assert_allclose(sum(one.G for one in parts.values()), result.calc.G, atol=1e-12)
    # Columns hold nine digits or so.
    np.testing.assert_allclose(columns["zb"], columns["Gcalc"], atol=1e-6)


def test_errors_of_the_data_are_used_and_widened() -> None:
    rng = np.random.default_rng(1)
    G = true_model()(R).G + noise(R, 15.0, 0.05, rng)
    with_dG = fitted(pk.PDF(R, G, np.full(R.size, 0.05), instrument=LAB))
    without = fitted(pk.PDF(R, G, instrument=LAB))
    ignored = fitted(pk.PDF(R, G, np.full(R.size, 0.05), instrument=LAB), use_errors=False)
    assert (with_dG.errors_from, without.errors_from, ignored.errors_from) == ("dG", "spectrum", "spectrum")
    # 127 degrees of freedom: χ² per degree scatters by 12 %.
    assert with_dG.reduced_chi2 == pytest.approx(1.0, abs=0.4)
    for name in with_dG.free:
        a, b = with_dG.params[name].stderr, without.params[name].stderr
        assert a == pytest.approx(b, rel=0.3), name
        assert ignored.params[name].stderr == pytest.approx(b)


def test_x_rays_and_neutrons_share_a_structure() -> None:
    truth = true_model()
    instruments = {"x": LAB, "n": pk.Instrument(probe="N", qmax=22.0, qdamp=0.02)}
    data = {name: truth.with_instrument(one)(R) for name, one in instruments.items()}
    result = pk.fit(start(), data, free=[*FREE, "n.qdamp"], ties=TIES)
    assert {"x.zb.scale", "n.zb.scale", "x.wz.scale", "n.wz.scale", "n.qdamp"} <= set(result.free)
    assert result.free.count("zb.a") == 1
    assert result.params["zb.a"].value == pytest.approx(5.81, rel=1e-5)
    assert result.params["n.qdamp"].value == pytest.approx(0.02, rel=1e-4)
    assert [one.name for one in result.datasets] == ["x", "n"]
    with pytest.raises(pk.PdfkitError, match="several data sets"):
        _ = result.calc


def test_restraints_pull() -> None:
    rng = np.random.default_rng(5)
    data = pk.PDF(R, true_model()(R).G + noise(R, 15.0, 0.1, rng), instrument=LAB)
    plain = fitted(data)
    wanted = plain.params["wz.c"].value / plain.params["wz.a"].value + 0.02
    pulled = fitted(data, restraints=[pk.ValueRestraint("wz.c/wz.a", wanted, 1e-5)])
    assert pulled.params["wz.c"].value / pulled.params["wz.a"].value == pytest.approx(wanted, abs=1e-4)
    assert pulled.params["wz.c"].stderr < 2 * plain.params["wz.c"].stderr
    bond = fitted(data, restraints=[pk.BondRestraint("zb", "Cd", "S", 2.60, 1e-5)])
    assert bond.params["zb.a"].value * math.sqrt(3) / 4 == pytest.approx(2.60, abs=1e-3)
    with pytest.raises(ParameterError, match="nearest are"):
        fitted(data, restraints=[pk.ValueRestraint("wz.q", 1.0, 0.1)])
    with pytest.raises(ParameterError, match="no such element"):
        fitted(data, restraints=[pk.BondRestraint("zb", "Cd", "Te", 2.6, 0.1)])


def test_bounds_are_kept_and_named(exact: pk.FitResult) -> None:
    # Not far from the truth of 22 Å: S, whose weight falls with Q, would go to the bound of its U otherwise.
    result = fitted(exact.data, bounds={"spdiameter": (10.0, 21.5)})
    assert result.params["zb.spdiameter"].value == pytest.approx(21.5)
    assert result.at_bounds == ("zb.spdiameter",)
    assert result.params["zb.spdiameter"].stderr is None
    assert any("upper bound" in remark for remark in result.remarks)
    assert result.params["zb.a"].stderr is not None


def test_ties_may_be_expressions_and_carry_errors() -> None:
    rng = np.random.default_rng(5)
    data = pk.PDF(R, true_model()(R).G + noise(R, 15.0, 0.05, rng), instrument=LAB)
    ideal = {**TIES, "wz.c": "wz.a*sqrt(8/3)", "wz.S.z": "0.375"}
    result = pk.fit(start(), data, free=["scale", "a", "Uiso", "spdiameter"], ties=ideal)
    a, c = result.params["wz.a"], result.params["wz.c"]
    assert c.value == pytest.approx(a.value * math.sqrt(8 / 3))
    assert c.stderr == pytest.approx(a.stderr * math.sqrt(8 / 3))


def test_a_fit_does_not_depend_on_the_unit_of_the_data(exact: pk.FitResult) -> None:
    tiny = pk.PDF(R, exact.data.G * 1e-4, instrument=LAB)
    result = fitted(tiny)
    assert result.params["zb.a"].value == pytest.approx(5.81, rel=1e-5)
    assert result.params["zb.scale"].value == pytest.approx(0.6e-4, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"free": ["spdiamter"]}, "no parameter is called 'spdiamter': nearest are spdiameter, "),
        ({"free": []}, "nothing is free"),
        ({"free": ["a"], "rmin": 20.0, "rmax": 10.0}, "rmin = 20 is not below rmax = 10"),
        ({"free": ["a"], "rmin": 50.0}, "no data above 50"),
        ({"free": ["a"], "ties": {"wz.a": "zb.q"}}, "nearest are zb."),
        ({"free": ["a"], "ties": {"wz.a": "open('x')"}}, "uses more than numbers"),
        ({"free": ["a"], "ties": {"zb.a": "wz.a", "wz.a": "zb.a"}}, "ties form a circle"),
        ({"free": ["a"], "bounds": {"zb.a": (6.0, 5.0)}}, "the first must be smaller"),
        ({"free": ["rcut"]}, "cannot be refined"),
        ({"free": ["a"], "use_errors": "maybe"}, "use_errors"),
        ({"free": ["a"], "weights": "none"}, "weights is called use_errors now: write use_errors=True or"),
    ],
)
def test_wrong_input_is_one_clear_message(exact: pk.FitResult, options: dict[str, object], words: str) -> None:
    with pytest.raises(pk.PdfkitError) as error:
        pk.fit(start(), exact.data, **options)  # type: ignore[arg-type]
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_names_are_answered_with_the_nearest_three(exact: pk.FitResult) -> None:
    with pytest.raises(ParameterError) as error:
        pk.fit(start(), exact.data, free=["Uis"])
    assert str(error.value).split("nearest are ")[1].count(",") == 2


def test_parameters_behave_like_lmfit() -> None:
    params = pk.parameters(start())
    assert not any(p.vary for p in params.values())
    assert params["zb.spdiameter"].user_data["unit"] == "Å"
    params["zb.a"].set(vary=True, min=5.7, max=5.9)
    params["wz.a"].set(expr="zb.a/sqrt(2)")
    for other in (copy.deepcopy(params), pickle.loads(pickle.dumps(params))):
        assert other["wz.a"].value == pytest.approx(other["zb.a"].value / math.sqrt(2))
        other["zb.a"].value = 5.75
        assert other["wz.a"].value == pytest.approx(5.75 / math.sqrt(2))
    result = pk.fit(start(), true_model()(R), params=params, free=["scale"])
    assert result.free == ("zb.scale", "zb.a", "wz.scale")
    assert params["zb.a"].value != result.params["zb.a"].value  # what is handed in is not changed
    with pytest.raises(ParameterError, match="not a parameter name"):
        params["zb.2a"] = params["zb.a"]


def test_symmetry_decides_what_is_free() -> None:
    wz = pk.Crystal.from_file("CdS_wurtzite", name="wz", anisotropic=True)
    names = [q.name for q in wz.quantities]
    assert [n for n in names if n in ("a", "b", "c", "alpha", "beta", "gamma")] == ["a", "c"]
    assert "Cd.U11" in names
    assert "Cd.U22" not in names
    assert "S.z" in names
    assert "S.x" not in names
    moved = wz.with_values({"Cd.U11": 0.02})
    assert moved.structure.sites[0].U[:2] == pytest.approx((0.02, 0.02))
    assert moved.structure.sites[0].U[3] == pytest.approx(0.01)


def test_qmin_and_window_of_the_data_matter(exact: pk.FitResult) -> None:
    wrong = replace(exact.data, instrument=pk.Instrument(probe="X", qmax=15.0, qdamp=0.03))
    result = pk.fit(start().with_instrument(wrong.instrument), wrong, free=FREE, ties=TIES)
    assert result.rw > 0.02  # Lorch data fitted without the window


@pytest.mark.parametrize("name", ["qdamp", "qbroad", "resolution"])
def test_a_free_quantity_that_enters_squared_leaves_zero(name: str) -> None:
    ni = pk.Crystal.from_file("Ni", name="ni")
    about = {"qdamp": 0.05, "qbroad": 0.02} if name == "qdamp" else {name: {"qbroad": 0.02, "resolution": 0.004}[name]}
    truth = pk.Model(ni, pk.Instrument(probe="X", qmax=20.0, **about))
    start = pk.Model(ni, replace(truth.instrument, **{name: 0.0}))
    result = pk.fit(start, truth(R), free=["scale", name])
    # Ripples from beyond the range are followed as far as the start's damping asks for: 1e-4 of max|G|.
    assert result.rw < 2e-4
    assert result.params[name].value == pytest.approx(getattr(truth.instrument, name), rel=2e-3)


def test_no_damping_is_found_where_there_is_none() -> None:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20.0))
    result = pk.fit(model, model(R), free=["scale", "qdamp"])
    assert result.params["qdamp"].value < 1e-3


def test_data_with_and_without_errors_need_a_common_measure() -> None:
    G = true_model()(R).G + noise(R, 15.0, 0.05, np.random.default_rng(4))
    data = {"a": pk.PDF(R, G, np.full(R.size, 0.05), instrument=LAB), "b": pk.PDF(R, G, instrument=LAB)}
    with pytest.raises(pk.PdfkitError, match=r"b has no errors dG, .* use_errors=False"):
        pk.fit(start(), data, free=["zb.a"], settings=pk.FitSettings(noise="given"))
    result = pk.fit(start(), data, free=FREE, ties=TIES)
    assert result.errors_from == "spectrum"
    assert any(one.startswith("b has no errors dG, and those of other data sets") for one in result.remarks)


def test_a_result_keeps_its_problem(tmp_path: Path) -> None:
    """Data, models, restraints and settings: a fit that is continued ends where it was, from a file, too."""
    model = pk.Model(pk.Crystal.from_file("CdS_wurtzite", name="wz"), pk.Instrument(probe="X", qmax=20))
    data = model.with_values({"wz.a": 4.15})(np.arange(1.5, 12, 0.02))
    restraint = pk.ValueRestraint("wz.c/wz.a", 1.633, 0.01)
    options = {"free": ["scale", "a", "c"], "restraints": [restraint], "rmin": 2.0}
    for settings in (pk.FitSettings(), pk.FitSettings("independent")):
        result = pk.fit(model, data, **options, settings=settings)
        problem = result.problem
        assert problem.datasets == result.datasets
        assert problem.settings.errors == ("covariance" if result.whitened else "independent")
        assert (problem.known_restraints, result.restraints) == ((restraint,), (restraint,))
        saved = pk.load_result(result.save(tmp_path / "fit.h5"))
        again = [refit(one, one.params) for one in (result, saved, pickle.loads(pickle.dumps(result)))]
        for one in again:
            assert one.problem.restraint_scale == pytest.approx(problem.restraint_scale, rel=1e-12)
            assert one.chi2 + one.restraint_chi2 == pytest.approx(result.chi2 + result.restraint_chi2, rel=1e-3)
            np.testing.assert_allclose(one.values, result.values, atol=1e-4)
    with pytest.raises(ParameterError, match="FitSettings"):
        pk.fit(model, data, free=["scale"], max_nfev=3)


@pytest.mark.parametrize(
    ("name", "instrument", "said"),
    [
        ("CdS_zincblende", pk.Instrument(probe="X", qmax=math.inf), True),
        ("CdS_zincblende", pk.Instrument(probe="X", qmax=math.inf, scattering="constant"), False),
        ("CdS_zincblende", pk.Instrument(probe="X", qmax=25.0), False),
        ("CdS_zincblende", pk.Instrument(probe="N", qmax=math.inf), False),
        ("Ni", pk.Instrument(probe="X", qmax=math.inf), False),
    ],
)
def test_strengths_that_cannot_depend_on_q_are_said(name: str, instrument: pk.Instrument, said: bool) -> None:
    of = pk.Model(pk.Crystal.from_file(name, name="one"), instrument)
    r = np.arange(1.5, 8.0, 0.02)
    remarks = pk.fit(of, pk.PDF(r, of(r).G, instrument=instrument), free=["scale"]).remarks
    assert any("without a finite qmax the scattering strengths are those at Q = 0" in one for one in remarks) == said


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_scales_of_least_squares_are_not_negative(columns: int) -> None:
    from scipy.optimize import nnls

    rng = np.random.default_rng(columns)
    held = 0
    for _ in range(20):
        basis, wanted = rng.normal(size=(30, columns)), rng.normal(size=30)
        found = nonnegative(basis, wanted)
        np.testing.assert_allclose(found, nnls(basis, wanted)[0], rtol=1e-10, atol=1e-12)
        held += bool((found == 0.0).any())
    assert 0 < held < 20 or columns == 4
    twice = np.column_stack([basis[:, :1], basis[:, :1]])
    assert (nonnegative(twice, basis[:, 0]) >= 0.0).all()
    np.testing.assert_allclose(twice @ nonnegative(twice, basis[:, 0]), basis[:, 0], rtol=1e-12)
