"""Kinetics: laws and their derivatives, rate constants with right errors, activation energies."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_series import PURE, curves

import pdfkit as pk
from pdfkit.series import activation, fit_kinetics, mixture
from pdfkit.series.kinetics import LAWS

T = np.linspace(0, 300, 31)
TRUE = [
    ("first order", {"ln k": -4.6, "initial": 0.9, "final": 0.1}),
    ("two steps", {"ln k1": -4.0, "ln k2": -5.0}),
    ("two steps", {"ln k1": -5.0, "ln k2": -4.0}),
    ("two steps", {"ln k1": -5.0, "ln k2": -5.0 + 1e-9}),
    ("n-th order", {"ln k": -4.6, "n": 1.7}),
    ("n-th order", {"ln k": -4.6, "n": 1.0}),
    ("n-th order", {"ln k": -4.6, "n": 0.5}),
    ("avrami", {"ln k": -4.6, "n": 2.2}),
]


@pytest.mark.parametrize(("law", "values"), TRUE)
def test_derivatives_are_those_of_differences(law, values):
    populations, slopes = LAWS[law].populations(T, values)
    np.testing.assert_allclose(populations.sum(axis=1), 1.0, atol=1e-12)
    for name in values:
        high, low = (LAWS[law].populations(T, {**values, name: values[name] + h})[0] for h in (1e-5, -1e-5))
        # Central differences of numbers of order 1 over 2e-5: 1e-7 of rounding and curvature.
        np.testing.assert_allclose(slopes[name], (high - low) / 2e-5, atol=1e-7)


def rate_equations(law, x):
    if law == "two steps":
        k1, k2 = np.exp(x["ln k1"]), np.exp(x["ln k2"])
        return lambda t, p: [-k1 * p[0], k1 * p[0] - k2 * p[1]]
    k, n = np.exp(x["ln k"]), x.get("n", 1.0)
    return lambda t, p: [-k * max(p[0], 0.0) ** n, 0.0]


@pytest.mark.parametrize(("law", "values"), [one for one in TRUE[1:6] if one[0] != "avrami"])
def test_laws_are_solutions_of_their_rate_equations(law, values):
    from scipy.integrate import solve_ivp

    solved = solve_ivp(rate_equations(law, values), (0, 300), [1.0, 0.0], t_eval=T, rtol=1e-10, atol=1e-12).y
    found = LAWS[law].populations(T, values)[0]
    states = 2 if law == "two steps" else 1
    np.testing.assert_allclose(found[:, :states], solved.T[:, :states], atol=1e-8)


@pytest.mark.parametrize(("law", "values"), [*TRUE[:3], TRUE[4], TRUE[7]])
def test_parameters_come_back_within_errors(law, values):
    rng, off = np.random.default_rng(5), []
    true = LAWS[law].populations(T, values)[0]
    states = true.shape[1]
    center = np.eye(states) - 1.0 / states  # errors that sum up to 0
    for _ in range(25):
        seen = true + 0.01 * rng.standard_normal(true.shape) @ center
        found = fit_kinetics(seen, law, time=T, errors=np.array([1e-4 * center @ center.T] * T.size), free=list(values))
        off.append([(found[name][0] - values[name]) / found[name][1] for name in values])
        assert found.remarks == ()
    assert 0.65 < np.std(off) < 1.35  # 25 repeats tell it to 14 % or less


def test_rate_constants_from_curves():
    """A run of the study `benchmarks/kinetics.py`, which has 200 of each kind."""
    within, largest = [], 0.0
    for seed in range(8):
        first = np.exp(-0.01 * T)
        found = mixture(curves(1 - first, seed=seed, index=T), PURE, total="one")
        fit = fit_kinetics(found, states=list(PURE))
        largest = max(largest, float(np.abs(found.free[:, 0] - first).max()))
        within.append(abs(fit["ln k"][0] - np.log(0.01)) / fit["ln k"][1])
        assert fit["k"][0] == pytest.approx(0.01, rel=0.02)
    assert largest < 0.02
    assert np.mean(np.array(within) < 2) > 0.7
    assert max(within) < 3.5


def test_evidence_tells_laws_apart():
    rng = np.random.default_rng(2)
    for law, values in (TRUE[7], ("n-th order", {"ln k": -4.6, "n": 2.0})):
        seen = LAWS[law].populations(T, values)[0][:, 0] + 0.01 * rng.standard_normal(T.size)
        p, errors = np.column_stack([seen, 1 - seen]), 1e-4 * np.array([[1, -1], [-1, 1]])
        found = {name: fit_kinetics(p, name, time=T, errors=errors) for name in ("first order", "n-th order", "avrami")}
        assert max(found, key=lambda name: found[name].log_evidence) == law
        assert "misses the populations" in found["first order"].remarks[0]


def test_table_says_rates_and_misfit():
    p = np.column_stack([np.exp(-0.01 * T), 1 - np.exp(-0.01 * T)])
    text = str(fit_kinetics(p, time=T, errors=np.full_like(p, 0.01)))
    assert "0.01000" in text
    assert "ln Z" in text


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: fit_kinetics(p, "two steps", time=T, errors=p * 0 + 0.01), "3 states and there are 2 populations"),
        (lambda p: fit_kinetics(p, time=T - 10, errors=p * 0 + 0.01), "begins at -10"),
        (lambda p: fit_kinetics(p, time=T * 0 + 5, errors=p * 0 + 0.01), "time is 5 in all scans"),
        (lambda p: fit_kinetics(p, time=T[:3], errors=p * 0 + 0.01), "time has 3 entries"),
        (lambda p: fit_kinetics(p), "need their time"),
        (lambda p: fit_kinetics(p, time=T, errors=p * 0 + 0.01, free=["n"]), "'n' is no parameter of first order"),
        (lambda p: fit_kinetics(p, "third", time=T, errors=p), "choose one of first order"),
        (lambda p: fit_kinetics(p[:1], time=T[:1], errors=p[:1] * 0 + 0.01, free=["initial"]), "take"),
        (lambda p: fit_kinetics(p, time=T, errors=p * 0 + 0.01)["n"], "these are k"),
    ],
)
def test_wrong_input_is_refused(make, words):
    with pytest.raises(pk.PdfkitError, match=words):
        make(np.column_stack([np.exp(-0.01 * T), 1 - np.exp(-0.01 * T)]))


SOLVENTS = {
    "toluene": ([42.5, 45, 47.5, 50, 52.5], [-6.2, -5.4, -4.6, -3.7, -3.0], 276.8),
    "cyclohexane": ([47.5, 50, 52.5, 55], [-3.8, -2.8, -2.1, -1.4], 269.3),
}


@pytest.mark.parametrize(("celsius", "lnk", "published"), SOLVENTS.values(), ids=SOLVENTS)
def test_activation_energies_of_the_cds_study(celsius, lnk, published):
    found = activation(np.array(celsius) + 273.15, lnk)
    assert abs(found.energy - published) < found.energy_error
    assert found.correlation > 0.9999
    eyring = activation(np.array(celsius) + 273.15, lnk, law="eyring", unit="min")
    assert eyring.energy == pytest.approx(found.energy - 8.314e-3 * found.middle, abs=0.05)  # E = ΔH‡ + RT
    assert 530 < eyring.other < 580


def test_errors_of_activation_energies_are_right():
    kelvin, rng, off = np.linspace(300, 350, 6), np.random.default_rng(1), []
    for _ in range(400):
        lnk = 40 - 100 / 8.31446e-3 / kelvin + 0.05 * rng.standard_normal(6)
        found = activation(kelvin, lnk, 0.05)
        line = np.polynomial.polynomial.polyfit(1 / kelvin - 1 / found.middle, lnk, 1)
        assert found.level == pytest.approx(line[0])
        off.append([(found.energy - 100) / found.energy_error, (found.other - 40) / found.other_error])
    assert 0.85 < np.std(off) < 1.1
    assert np.corrcoef(np.array(off).T)[0, 1] > 0.99


def test_scatter_beyond_errors_is_said():
    found = activation([300, 310, 320, 330], [1, 2, 2.5, 4], 0.01)
    assert "scatter by" in found.remarks[0]
    assert found.energy_error > 3
    assert "two temperatures" in activation([300, 310], [1, 2], 0.1).remarks[0]
    for bad, words in (([300, -1], "kelvin"), ([300, 300], "2 temperatures")):
        with pytest.raises(pk.PdfkitError, match=words):
            activation(bad, [1, 2], 0.1)
    with pytest.raises(pk.PdfkitError, match="3 temperatures"):
        activation([300, 310], [1, 2])


def decay(k=0.01, s=0.01):
    first = np.exp(-k * T) + s * np.random.default_rng(4).standard_normal(T.size)
    return np.column_stack([first, 1 - first]), [[s**2, -(s**2)], [-(s**2), s**2]]


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        (np.where(np.arange(31) == 5, 0.0, 0.01)[:, None] * [1, 1], "must be above 0, and one is 0"),
        (np.full((31, 2), -0.01), "must be above 0"),
        ([[1e-4, 3e-4], [3e-4, 1e-4]], "no covariances"),
        (0.01, r"give errors \(31, 2\) or covariances"),
    ],
)
def test_errors_that_are_none_are_refused(errors, words):
    with pytest.raises(pk.PdfkitError, match=words):
        fit_kinetics(decay()[0], time=T, errors=errors)


def test_populations_that_are_no_shares_are_refused():
    with pytest.raises(pk.PdfkitError, match="sum up to 100 in most scans"):
        fit_kinetics(100 * decay()[0], time=T, errors=np.full((31, 2), 1.0))


def test_what_populations_do_not_tell_is_said():
    p, errors = decay()
    assert not fit_kinetics(p, time=T, errors=errors).remarks
    assert any("population 2" in one for one in fit_kinetics(p[:, ::-1], time=T, errors=errors).remarks)
    k, other = 0.01, 5.0
    first = np.exp(-k * T)
    middle = k * (first - np.exp(-other * T)) / (other - k)
    states = np.column_stack([first, middle, 1 - first - middle])
    noisy = states + 0.01 * np.random.default_rng(0).standard_normal((31, 3))
    found = fit_kinetics(noisy, "two steps", time=T, errors=np.full((31, 3), 0.01))
    assert any("k2 is hardly told" in one or "ln k2 ended on its bound" in one for one in found.remarks)


def test_celsius_for_kelvin_is_asked_about():
    assert any("°C" in one for one in activation([25, 35, 45, 55], [-6, -5, -4, -3], 0.1).remarks)
    assert not activation([298, 308, 318, 328], [-6, -5, -4, -3], 0.1).remarks
    assert any("give np.log(k)" in one for one in activation([298, 308, 318], [0.001, 0.002, 0.004], 0.1).remarks)


def test_what_a_law_misses_has_a_remedy():
    first = 0.3 + 0.7 * np.exp(-0.02 * T)
    covariance = 1e-4 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    populations = np.column_stack([first, 1 - first])
    found = fit_kinetics(populations, time=T + 1000, errors=covariance)
    assert 'does not take part (free=["final"])' in found.remarks[0]
    assert "the time begins at 1000" in found.remarks[1]
    assert not fit_kinetics(populations, time=T, errors=covariance, free=["final"]).remarks
