"""The analytic Jacobian of stacked phases equals central differences for every parameter, also at value 0 and 1."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from test_jacobian import R, check, differences

import pdfkit as pk
from pdfkit.kernels.stacking import same_position

LAB = pk.Instrument(probe="X", qmax=19.0, qdamp=0.03, qbroad=0.02, resolution=0.005, qtail=0.02)
CELL = {"a_h": 4.13, "h": 3.37, "delta1": 0.2, "delta2": 2.0}
ONE = pk.Stacked(
    "Cd", "S", name="st", u=0.377, alpha=0.35, Uiso={"Cd": 0.012, "S": 0.02}, Ulayer=0.003, shape=pk.Sphere(25.003),
    **CELL,
)  # fmt: skip
TWO = pk.Stacked(
    "Cd", "S", name="st", alpha_c=0.6, alpha_h=0.3, Uiso={"S": 0.02}, U11={"Cd": 0.012}, U33={"Cd": 0.03},
    Ulayer=0.002, scale=0.7, shape=pk.shapes.LognormalSpheres(20.0, 4.0), **CELL,
)  # fmt: skip
DISC = pk.Stacked(
    "Cd", "S", name="st", alpha=0.35, U11=0.012, U33=0.03, Ulayer=0.003, layers=4.4, diameter=22.003, **CELL
)  # fmt: skip
SHEET = pk.Stacked("Cd", "S", name="st", alpha=0.35, layers=5.3, **CELL)
BODY = pk.Stacked("Cd", "S", name="st", alpha=0.35, Uiso=0.012, shape=pk.Sphere(25.003), **CELL)
SPHEROID = replace(BODY, shape=pk.shapes.Spheroid(20.0, 1.3))
TABLE = replace(BODY, shape=pk.shapes.Tabulated(np.linspace(0, 25, 30), np.linspace(1, 0, 30) ** 2))
ROD = replace(BODY, shape=pk.shapes.Rod(15.0, 40.0))
LOGNORMAL = replace(BODY, shape=pk.shapes.LognormalSpheres(16.0, 3.0))
BALL = replace(BODY, layers=5, shape=pk.Sphere(18.003))
# Differences cannot be taken across a knee of γ₀: at 10.6 Å, the inner diameter, there is no pair.
SHELL = replace(BODY, shape=pk.shapes.Shell(22.4, 5.9))
# Nor where a pair is just at the end of the sphere.
DIAMOND = pk.Stacked("C", "C", name="st", a_h=2.52, alpha=0.5, U11=0.004, U33=0.006, shape=pk.Sphere(20.03))
METAL = pk.Stacked("Co", name="st", a_h=2.507, h=2.04, alpha_c=0.2, alpha_h=0.5, delta2=0.5, shape=pk.Sphere(20.0))
BODIES = {s.shape.kind: s for s in (BODY, SPHEROID, TABLE, ROD, LOGNORMAL, SHELL)}
ALL = {"one": ONE, "two": TWO, "disc": DISC, "sheet": SHEET, "diamond": DIAMOND, "metal": METAL}


@pytest.mark.parametrize("weights", ["constant", "q-dependent"])
@pytest.mark.parametrize("kind", ALL)
def test_every_parameter(kind: str, weights: str) -> None:
    check(pk.Model(ALL[kind], replace(LAB, scattering=weights)))


@pytest.mark.parametrize("kind", BODIES)
def test_every_body(kind: str) -> None:
    check(pk.Model(BODIES[kind], LAB))


def test_spheres_of_whole_layers() -> None:
    model = pk.Model(BALL, LAB)
    evaluate, values = model.evaluator(R), model.values
    _, jacobian = evaluate(values, np.eye(values.size))
    for k, name in enumerate(model.names):
        if name != "st.layers":  # whole
            expected = differences(evaluate, values, k, 1e-5 if name.endswith("Uiso") else 1e-4)
            assert np.abs(jacobian[k] - expected).max() <= 1e-6 * np.abs(expected).max(), name


def test_besides_a_crystal_under_a_window() -> None:
    zb = pk.Crystal.from_file("CdS_zincblende", name="zb", delta2=2.0, shape=pk.Sphere(25.003))
    check(pk.Model([ONE, zb], replace(LAB, qmax=15.0, window="lorch")))


def test_without_a_cut() -> None:
    check(pk.Model(TWO, pk.Instrument(probe="N", qmax=math.inf, qdamp=0.03, qbroad=0.02, resolution=0.005)))


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_at_the_ends(alpha: float) -> None:
    # Half of the shells are empty there, and appear as alpha moves.
    none = {"Ulayer": 0.0, "delta1": 0.0, "delta2": 0.0, "alpha": alpha}
    model = pk.Model(ONE.with_values(none), pk.Instrument(probe="X", qmax=19.0))
    check(model)
    _, jacobian = model.evaluator(R)(model.values, np.eye(model.values.size))
    for name in ("st.alpha", "st.Ulayer", "st.delta1", "st.delta2"):
        assert np.abs(jacobian[model.names.index(name)]).max() > 1e-3


def test_at_a_polytype() -> None:
    model = pk.Model(TWO.with_values({"alpha_c": 1.0, "alpha_h": 0.0}), LAB)
    check(model)


def test_probabilities_without_limits_are_finite() -> None:
    # All layers of one kind, but of which nobody knows: half of each.
    out, slopes = np.empty(9), np.empty((2, 9))
    same_position(0.0, 1.0, out, slopes)
    np.testing.assert_allclose(out, [1, 0, 0.5, 0.5, 0.5, 0, 1, 0, 0.5], rtol=0, atol=1e-14)
    assert np.isfinite(slopes).all()


def test_only_what_is_asked_for() -> None:
    model = pk.Model(DISC, LAB)
    evaluate = model.evaluator(R)
    n = model.values.size
    mix = np.random.default_rng(3).normal(size=(n, 4))
    G, whole = evaluate(model.values, np.eye(n))
    _, mixed = evaluate(model.values, mix)
    np.testing.assert_allclose(mixed, mix.T @ whole, rtol=0, atol=1e-9 * np.abs(mixed).max())
    np.testing.assert_array_equal(evaluate(model.values)[0], G)
