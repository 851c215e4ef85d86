"""Patterns that are fitted beside G(r): the model, its derivatives, and what packs particles."""

import math

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import PdfkitError
from pdfkit.model import packing
from pdfkit.model.measured import taken_for
from pdfkit.model.pattern import PatternModel, chebyshev_nodes, differentiation, interpolation

CLUSTER = pk.Cluster(
    pk.build.tetrahedron("CdS_zincblende", 5), "c", Uiso={"Cd": 0.012, "S": 0.02}, delta2=2.0, expansion=0.01
)


def flat(low: float, high: float, n: int = 120, wavelength: float | None = None) -> pk.Intensity:
    return pk.Intensity(np.linspace(low, high, n), np.ones(n), wavelength=wavelength)


POWDER = pk.patterns.Powder(flat(0.7, 6, 300, 1.5406), polarisation="unpolarised", fwhm=0.3, zero=0.05)
SAXS = {
    "far": pk.patterns.SmallAngle(flat(0.02, 0.7)),
    "spheres": pk.patterns.SmallAngle(flat(0.02, 0.7), packing="hard-spheres", radius=9, fraction=0.25),
    "columns": pk.patterns.SmallAngle(flat(0.02, 0.7), packing="hexagonal", reach=200),
    "solvent": pk.patterns.SmallAngle(flat(0.02, 0.7), solvent=0.28, atomic_volume=24.8),
}


def test_powder_pattern_is_the_one_of_the_function() -> None:
    evaluate = PatternModel((CLUSTER,), POWDER, {}).evaluator(POWDER.data.Q)
    model = evaluate.model.with_values({"zero": 0.0})
    angle = POWDER.angle(POWDER.data.Q)
    same = {"fwhm": 0.3, "polarisation": "unpolarised", "per_atom": True}
    wanted = pk.powder_pattern(CLUSTER, angle, 1.5406, **same).intensity
    I, _ = evaluate(model.values)
    assert np.abs(I - wanted).max() < 1e-10 * wanted.max()
    # 2θ of the data is too large by zero.
    moved, _ = evaluate(evaluate.model.values)
    wanted = pk.powder_pattern(CLUSTER, angle - 0.05, 1.5406, **same).intensity
    assert np.abs(moved - wanted).max() < 1e-10 * wanted.max()


def test_unit_strengths_give_the_plain_sum_over_pairs() -> None:
    data = flat(0.7, 6)
    powder = pk.patterns.Powder(data)
    soft = pk.Cluster(CLUSTER.particle, "c", Uiso=0.01)
    model = PatternModel((soft,), powder, {"Cd": 1.0, "S": 1.0})
    I, _ = model.evaluator(data.Q)(model.values)
    d = np.linalg.norm(CLUSTER.particle.xyz[:, None] - CLUSTER.particle.xyz, axis=2)
    wanted = np.array([np.sinc(q * d / np.pi).sum() for q in data.Q]) / len(d)
    wanted = 1.0 + (wanted - 1.0) * np.exp(-0.01 * data.Q**2)
    assert np.abs(I - wanted).max() < 1e-10 * wanted.max()


@pytest.mark.parametrize("measured", [POWDER, *SAXS.values()], ids=["powder", *SAXS])
def test_derivatives_are_those_of_differences(measured: pk.patterns.SmallAngle | pk.patterns.Powder) -> None:
    axial = pk.Cluster(CLUSTER.particle, "c", Uiso=0.015, delta1=0.1, delta2=1.0, axial=(0.01, 0.0, -0.01))
    model = PatternModel((axial,), measured, {})
    evaluate, values = model.evaluator(measured.data.Q), model.values
    I, slopes = evaluate(values, np.eye(values.size))
    for k, name in enumerate(model.names):
        step = 1e-5 * max(1.0, abs(values[k])) * (np.arange(values.size) == k)
        found = (evaluate(values + step)[0] - evaluate(values - step)[0]) / (2 * step[k])
        rounding = 1e-12 * I.max() / step[k]
        assert np.abs(found - slopes[k]).max() < 2e-6 * np.abs(found).max() + rounding, name


def test_solvent_takes_the_contrast_away() -> None:
    """At Q → 0 what scatters is the excess of electrons: (Σf − ρV·N)²."""
    model = PatternModel((CLUSTER,), SAXS["solvent"], {})
    I, _ = model.evaluator(np.array([0.02]))(model.values)
    counts = CLUSTER.particle.composition()
    n = len(CLUSTER.particle)
    excess = counts["Cd"] * 48 + counts["S"] * 16 - 0.28 * 24.8 * n
    assert I[0] == pytest.approx(excess**2 / n, rel=0.02)


def test_small_angles_of_a_ball_are_those_of_a_sphere() -> None:
    """A ball of gold against 9[(sin x − x cos x)/x³]², with the radius of its electrons' radius of gyration."""
    ball = pk.build.sphere("Au", 40)
    Q = np.linspace(0.01, 0.2, 80)
    measured = pk.patterns.SmallAngle(pk.Intensity(Q, np.ones(80)), reach=70)
    model = PatternModel((pk.Cluster(ball, "c"),), measured, {})
    I, _ = model.evaluator(Q)(model.values)
    x = Q * math.sqrt(5 / 3) * pk.particles.radius_of_gyration(ball, "electrons")
    wanted = (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2
    assert np.abs(I / I[0] - wanted / wanted[0]).max() < 0.003


def test_nodes_interpolate_and_differentiate_what_is_band_limited() -> None:
    nodes, at = chebyshev_nodes(0.5, 6.0, 40.0), np.linspace(0.5, 6.0, 777)
    wave = np.sin(40.0 * nodes + 0.3)
    assert np.abs(interpolation(nodes, at) @ wave - np.sin(40.0 * at + 0.3)).max() < 1e-9
    assert np.abs(interpolation(nodes, at) @ differentiation(nodes) @ wave - 40 * np.cos(40 * at + 0.3)).max() < 1e-6
    assert np.array_equal(interpolation(nodes, nodes), np.eye(nodes.size))


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.4])
def test_hard_spheres_follow_percus_and_yevick(fraction: float) -> None:
    """S is 1/(1 − n·c(Q)) of the direct correlation function −(α + βx + γx³), integrated by quadrature."""
    R, Q = 9.0, np.array([1e-3, 0.01, 0.02, 0.1, 0.35, 0.9, 2.0])
    x = np.linspace(0, 1, 20001)
    a = (1 + 2 * fraction) ** 2 / (1 - fraction) ** 4
    b = -6 * fraction * (1 + fraction / 2) ** 2 / (1 - fraction) ** 4
    inside = a + b * x + 0.5 * fraction * a * x**3
    whole = [np.trapezoid(inside * x**2 * np.sinc(2 * R * q * x / np.pi), x) for q in Q]
    wanted = 1 / (1 + 24 * fraction * np.array(whole))
    assert np.abs(packing.hard_spheres(Q, R, fraction) - wanted).max() < 1e-7
    # The compressibility of the equation of state.
    compressed = (1 - fraction) ** 4 / (1 + 2 * fraction) ** 2
    assert packing.hard_spheres(np.zeros(1), R, fraction)[0] == pytest.approx(compressed, rel=1e-12)
    assert packing.hard_spheres(np.array([60.0]), R, fraction)[0] == pytest.approx(1.0, abs=0.01)


def test_hard_spheres_are_smooth_where_series_and_closed_form_meet() -> None:
    Q = 0.3 / 18 * np.array([1 - 1e-9, 1 + 1e-9])
    S, slopes = packing.with_slopes(packing.hard_spheres, Q, (9.0, 0.3))
    assert abs(S[1] / S[0] - 1) < 1e-7
    assert np.abs(slopes[:, 1] / slopes[:, 0] - 1).max() < 1e-6


def test_columns_have_their_reflections_and_average_to_one() -> None:
    Q = np.linspace(0.05, 2.2, 40000)
    S = packing.hexagonal(Q, 22.5, 0.0, 3000.0)
    top = [Q[(0.9 * q < Q) & (1.1 * q > Q)][S[(0.9 * q < Q) & (1.1 * q > Q)].argmax()] for q in (0.2793, 0.4837)]
    assert top[0] * 22.5 / (2 * math.pi) == pytest.approx(1.0, abs=0.001)
    assert top[1] / top[0] == pytest.approx(math.sqrt(3), abs=0.002)
    # Points in the plane have one mean density: Σ m_hk up to Q is πQ²·A/4π², of which (0, 0) is one.
    smooth = Q * S
    area = 2 * 22.5**2 / math.sqrt(3)
    inside = np.trapezoid(smooth, Q) + 0.5 * 0.05**2 - 0.5 * 2.2**2
    assert abs(inside) < 3 * 2 * math.pi / area * math.sqrt(2.2**2 * area / (4 * math.pi))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pk.patterns.SmallAngle(flat(0.0, 0.5)), "crop the data"),
        (lambda: pk.patterns.SmallAngle(flat(0.02, 0.5), packing="cubic"), "packing"),
        (lambda: pk.patterns.SmallAngle(flat(0.02, 0.5), packing="hard-spheres", fraction=0.8), "fraction"),
        (lambda: pk.patterns.SmallAngle(flat(0.02, 0.5), solvent=0.3), "atomic_volume"),
        (lambda: pk.patterns.SmallAngle(flat(0.02, 0.5), solvent=334.0, atomic_volume=24.8), "solvent"),
        (lambda: pk.patterns.SmallAngle(flat(0.02, 0.5), solvent=0.334, atomic_volume=0.0248), "atomic_volume"),
        (lambda: pk.patterns.Powder(flat(0.7, 6), fwhm=0.1), "wavelength"),
        (lambda: pk.patterns.Powder(flat(0.7, 9), wavelength=1.54), "out of the reach"),
        (lambda: pk.patterns.Powder(flat(0.7, 6), degree=40), "degree"),
        (lambda: pk.patterns.Powder(flat(0.7, 6, 5)), "at least 10"),
        (lambda: PatternModel((CLUSTER,), pk.patterns.Powder(flat(0.7, 6), reach=10), {}), "reach=30"),
        (
            lambda: PatternModel((pk.Crystal.from_file("Ni", name="ni"),), pk.patterns.Powder(flat(0.7, 6)), {}),
            "no cluster",
        ),
    ],
)
def test_what_cannot_be_is_refused(make: object, words: str) -> None:
    with pytest.raises(PdfkitError, match=words):
        make()  # type: ignore[operator]


def test_bare_patterns_are_taken_for_what_their_q_say() -> None:
    for data, kind in ((flat(0.02, 0.6), "saxs"), (flat(0.7, 6), "xrd")):
        found, said = taken_for(data)
        assert (found.kind, "taken for" in said) == (kind, True)
