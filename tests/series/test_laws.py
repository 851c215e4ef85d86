"""Laws along a series: values, derivatives, starts, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

import pdfkit as pk
from pdfkit.errors import ParameterError
from pdfkit.series.laws import QUANTUM, Debye, Einstein, Expression, Law, Order, Polynomial, law_of
from pdfkit.series.plan import check_kelvin, indices, planned

T = np.array([5.0, 20.0, 100.0, 150.0, 210.0, 300.0, 900.0])
LAWS: list[tuple[Law, list[float]]] = [
    (Polynomial(2), [5.4, 1e-4, 1e-7]),
    (Debye(58.69), [400.0, 1e-3]),
    (Einstein(28.09), [500.0, 1e-3]),
    (Order(), [0.004, 200.0, 0.3]),
    (Expression("a*exp(-b*index)", {"a": 1.0, "b": 1e-3}), [1.0, 1e-3]),
]
INSTRUMENT = pk.Instrument(probe="X", qmax=20)


def differences(law: Law, theta: np.ndarray) -> np.ndarray:
    columns = []
    for k, value in enumerate(theta):
        step = np.zeros(theta.size)
        step[k] = 1e-5 * max(abs(value), 1e-3)
        columns.append((law.at(T, theta + step)[0] - law.at(T, theta - step)[0]) / (2.0 * step[k]))
    return np.column_stack(columns)


@pytest.mark.parametrize(("law", "theta"), LAWS, ids=lambda one: type(one).__name__)
def test_derivatives_are_those_of_differences(law: Law, theta: list[float]) -> None:
    slopes = law.at(T, np.array(theta))[1]
    size = np.abs(slopes).max(axis=0)
    assert (np.abs(slopes - differences(law, np.array(theta))).max(axis=0) < 1e-6 * size).all()


def test_debye_is_its_integral() -> None:
    integrals = [quad(lambda x: x / math.expm1(x), 0.0, 400.0 / t)[0] for t in T]
    expected = 3.0 * QUANTUM / (58.69 * 400.0) * (0.25 + (T / 400.0) ** 2 * np.array(integrals))
    assert Debye(58.69).at(T, np.array([400.0, 0.0]))[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("law", "theta"), [(Debye(58.69), 380.0), (Einstein(58.69), 290.0)])
def test_hot_atoms_move_as_classical_oscillators(law: Law, theta: float) -> None:
    """⟨u²⟩ → 3 ħ²T/(m k_B Θ²) of a Debye solid, ħ²T/(m k_B Θ²) of an oscillator; at 0 K they are still moving."""
    times = 3.0 if isinstance(law, Debye) else 1.0
    hot = law.at(np.array([50.0 * theta]), np.array([theta, 0.0]))[0][0]
    assert hot == pytest.approx(times * QUANTUM * 50.0 / (58.69 * theta), rel=1e-3)
    cold = law.at(np.array([0.0]), np.array([theta, 0.0]))[0][0]
    assert cold == pytest.approx(QUANTUM / (58.69 * theta) * (0.75 if times == 3.0 else 0.5), rel=1e-5)


@pytest.mark.parametrize(("law", "theta"), LAWS[:4], ids=lambda one: type(one).__name__)
def test_starts_are_near_what_made_the_values(law: Law, theta: list[float]) -> None:
    made = law.at(T[T < 250], np.array(theta))[0]
    nearest = min(np.abs(law.at(T[T < 250], one)[0] - made).max() for one in law.starts(T[T < 250], made))
    assert nearest < 0.2 * np.abs(made).max()


def test_the_prior_of_a_polynomial_is_flat_in_its_values() -> None:
    t, rng = np.array([100.0, 300.0]), np.random.default_rng(1)
    values = rng.uniform(5.0, 6.0, (2, 1000))
    slope = (values[1] - values[0]) / 200.0
    coefficients = np.array([values[0] - 100.0 * slope, slope])
    volume = math.sqrt(np.linalg.det(np.cov(coefficients)) / np.linalg.det(np.cov(values)))
    assert Polynomial(1).ln_prior(t, 5.0, 6.0) == pytest.approx(-math.log(volume), abs=1e-9)


def model() -> pk.Model:
    return pk.Model(pk.Crystal.from_file("CdSe_wurtzite", name="wz"), INSTRUMENT)


def test_expressions_follow_other_laws_with_derivatives() -> None:
    laws = {"a": "m*(1 + d)", "c": "k*m + e*T", "m": "linear", "d": "order"}
    start = {"m": 4.3, "d": 0.01, "e": 1e-5, "k": 1.63}
    plan, own = planned(model(), T, "T", laws, ["scale"], start)
    assert own == ("wz.scale",)
    assert plan.led == ("wz.a", "wz.c")
    assert plan.shared == ("m.c0", "m.c1", "d.amplitude", "d.transition", "d.exponent", "e", "k")
    theta = np.array([4.3, 1e-4, 0.01, 320.0, 0.4, 1e-5, 1.63])
    values, slopes = plan(theta)
    order = np.where(T < 320, 0.01 * np.abs(1 - T / 320) ** 0.4, 0.0)
    assert values[:, 0] == pytest.approx((4.3 + 1e-4 * T) * (1 + order))
    for k in range(theta.size):
        step = np.zeros(theta.size)
        step[k] = 1e-6 * theta[k]
        slope = (plan(theta + step)[0] - plan(theta - step)[0]) / (2.0 * step[k])
        assert slopes[:, :, k] == pytest.approx(slope, abs=1e-6 * np.abs(slope).max())


def test_masses_are_those_of_the_elements() -> None:
    plan, _ = planned(model(), T, "T", {"Uiso": "debye"}, ["scale"], {})
    masses = {name: law.mass for name, law in plan.laws.items() if isinstance(law, Debye)}
    assert masses == pytest.approx({"wz.Cd.Uiso": 112.41, "wz.Se.Uiso": 78.97}, abs=0.01)


@pytest.mark.parametrize(
    ("laws", "free", "start", "words"),
    [
        ({"a": "parabola"}, [], {}, "no law is called 'parabola'"),
        ({"a": 3}, [], {}, "give a word"),
        ({"a": "linear"}, ["a"], {}, "both free in every scan and led by a law"),
        ({"a": "a0 + 2*T"}, [], {}, "neither the index nor another law"),
        ({"q": "linear"}, [], {}, "no parameter is called 'q'"),
        ({"a": "m + 1*n", "m": "2*n", "n": "3*m"}, [], {"m": 1.0, "n": 1.0}, "use each other"),
        ({"a": "2*wz.c"}, [], {}, "follows no law"),
        ({"a": "debye"}, [], {}, "its mass in u"),
        ({"m": "linear"}, [], {"m": 1.0}, "lead no parameter of the model"),
        ({"a": "linear", "wz.a": "linear"}, [], {}, "two laws"),
        ({}, [], {}, "no law is given"),
    ],
)
def test_what_cannot_be_meant_is_refused(laws: dict, free: list[str], start: dict, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        planned(model(), T, "T", laws, free, start)


def test_laws_of_motion_need_kelvins() -> None:
    r = np.arange(1.0, 5.0, 0.02)
    flat = [pk.PDF(r, np.zeros(r.size))] * T.size
    plan, _ = planned(model(), T, "T", {"Uiso": "debye"}, ["scale"], {})
    for unit, said in (("°C", r"index=series.index \+ 273.15"), ("min", "give an index in K")):
        series = pk.read_series(flat, index=list(T), name="T", unit=unit)
        with pytest.raises(ParameterError, match=said):
            check_kelvin(plan, series, None)
        with pytest.raises(ParameterError, match=said):
            pk.fit_series(model(), series, how="parametric", free=["scale"], laws={"Uiso": "debye"})
        check_kelvin(plan, series, list(T))
    check_kelvin(plan, pk.read_series(flat, index=list(T), name="T", unit="K"), None)


def test_an_index_needs_a_span() -> None:
    with pytest.raises(ParameterError, match="T is 300 in every scan"):
        indices([300.0, 300.0], 2, "T")
    with pytest.raises(ParameterError, match="3 scans but 2 values"):
        indices([300.0, 310.0], 3, "T")
    with pytest.raises(ParameterError, match="needs temperatures in K"):
        Debye(58.7).starts(np.array([-20.0, 20.0]), np.array([0.004, 0.005]))
    with pytest.raises(ParameterError, match="the mass of the atoms is not known"):
        law_of("m", "debye", {}, frozenset()).at(T, np.array([300.0, 0.0]))
