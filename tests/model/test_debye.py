"""Debye sums: closed forms, plain double loops, both methods, and curves that other programs computed."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace
from pathlib import Path

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import pdfkit as pk
from pdfkit import debye
from pdfkit.debye import AT_REST, Motion
from pdfkit.kernels import debye as kernels
from pdfkit.particles.counting import PairTable, count_pairs
from pdfkit.scattering import form_factor

GOLDEN = Path(__file__).parents[1] / "golden"
CURVES = np.load(GOLDEN / "debye.npz")
ABOUT = json.loads((GOLDEN / "debye.json").read_text())
Q = np.arange(0.0, 25.0, 0.05)


def molecule(n: int, seed: int = 1, spread: float = 9.0) -> pk.Particle:
    """Return n atoms of Cd and S at random places, at least 2 Å apart."""
    rng = np.random.default_rng(seed)
    xyz: list[np.ndarray] = []
    while len(xyz) < n:
        x = rng.uniform(0, spread, 3)
        if all(np.linalg.norm(x - y) > 2 for y in xyz):
            xyz.append(x)
    return pk.Particle.of([("Cd", "S")[k] for k in rng.integers(0, 2, n - 2)] + ["Cd", "S"], xyz)


def golden(cluster: str) -> tuple[pk.Particle, PairTable]:
    symbols = np.where(CURVES[f"{cluster}.is_cd"], "Cd", "S")
    particle = pk.Particle.of(symbols.tolist(), CURVES[f"{cluster}.xyz"])
    return particle, count_pairs(particle)


# --- kernels ---------------------------------------------------------------------------------------------------------


def random_peaks(count: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    d, s2 = rng.uniform(1.5, 60, count), rng.uniform(0, 0.05, count)
    s2[0] = 0.0
    w = rng.normal(0, 5, count)
    return np.column_stack([d, s2, w]), rng.integers(0, 3, count)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 255, 256, 257, 259, 700])
def test_uniform_kernel_is_the_sum(count: int) -> None:
    peak, pair = random_peaks(12)
    uniform, any_q = np.zeros((3, count)), np.zeros((3, count))
    kernels.debye_sums_uniform(peak, pair, 0.3, 0.037, uniform)
    q = 0.3 + 0.037 * np.arange(count)
    kernels.debye_sums(peak, pair, q, any_q)
    expected = naive.debye_sums(peak, pair, q, 3)
    # Phases Qd reach 1500, rounded to 1e-13.
    np.testing.assert_allclose(any_q, expected, atol=1e-13 * 12)
    np.testing.assert_allclose(uniform, expected, atol=1e-12)


def test_uniform_kernel_ends_where_nothing_is_left_and_skips_dropped_peaks() -> None:
    peak, pair = np.array([[3.0, 0.9, 1.0], [4.0, -1.0, 1.0]]), np.array([0, 0])
    out, expected = np.zeros((1, 900)), np.zeros((1, 900))
    kernels.debye_sums_uniform(peak, pair, 0.0, 0.05, out)
    kernels.debye_sums(peak, pair, 0.05 * np.arange(900), expected)
    np.testing.assert_allclose(out, expected, atol=1e-15)
    assert expected.any()
    np.testing.assert_allclose(expected, naive.debye_sums(peak[:1], pair[:1], 0.05 * np.arange(900), 1), atol=1e-15)


@pytest.mark.parametrize("points", [1, 64, 65, 300])
def test_sine_series(points: int) -> None:
    rng = np.random.default_rng(2)
    curves, q = rng.normal(size=(3, points)), rng.uniform(0, 80, 20)
    out = np.empty((3, 20))
    kernels.sine_series(curves, 0.07, q, out)
    np.testing.assert_allclose(out, curves @ np.sin(np.outer(0.07 * np.arange(points), q)), atol=1e-11)


# --- methods ----------------------------------------------------------------------------------------------------------

Q_SETS = {
    "from zero": np.arange(0.0, 25.0, 0.01),
    "offset": np.linspace(0.503, 24.9, 900),
    "far": np.arange(20.0, 30.0, 0.25),  # its period in r is shorter than the particle: the sum is folded
    "uneven": np.geomspace(0.006, 30, 157),
    "small": np.geomspace(1e-6, 0.02, 40),
    "few": np.array([7.0, 3.0, 0.0]),
}


@pytest.mark.parametrize("Q", Q_SETS.values(), ids=Q_SETS)
@pytest.mark.parametrize("widths", ["none", "equal", "all kinds"])
def test_grid_route_is_the_direct_route(Q: np.ndarray, widths: str) -> None:
    peak, pair = random_peaks(200)
    if widths != "all kinds":
        peak[:, 1] = 0.0 if widths == "none" else 0.016
    direct = debye.sine_sums(peak, pair, 3, Q, method="direct")
    grid = debye.sine_sums(peak, pair, 3, Q, method="grid")
    assert grid.shape == (3, 1, Q.size)
    scale = np.abs(peak[:, 2] * np.minimum(Q.max(), 1 / peak[:, 0])).sum()
    # The promise is 1e-12 of Σ|w|/d (or of Q·Σ|w| where that is smaller).
    np.testing.assert_allclose(grid, direct, atol=1e-12 * scale)


@given(st.integers(0, 1000), st.floats(0.05, 60), st.floats(0, 0.3))
def test_routes_agree_anywhere(seed: int, top: float, s2: float) -> None:
    rng = np.random.default_rng(seed)
    peak = np.column_stack([rng.uniform(1, 300, 30), rng.uniform(0, s2 + 1e-12, 30), rng.uniform(0, 9, 30)])
    Q, pair = np.sort(rng.uniform(0, top, 50)), np.zeros(30, dtype=np.int64)
    direct, grid = (debye.sine_sums(peak, pair, 1, Q, method=method) for method in ("direct", "grid"))
    np.testing.assert_allclose(grid, direct, atol=3e-12 * (peak[:, 2] * np.minimum(top, 1 / peak[:, 0])).sum())


def test_auto_takes_either_route_and_gives_the_same() -> None:
    for count in (3, 3000):
        peak, pair = random_peaks(count)
        auto, direct = (debye.sine_sums(peak, pair, 3, Q, method=method) for method in ("auto", "direct"))
        np.testing.assert_allclose(auto, direct, atol=1e-12 * np.abs(peak[:, 2] / peak[:, 0]).sum())


def test_derivatives_are_those_of_differences() -> None:
    peak, pair = random_peaks(20)
    peak[:, 1] += 0.01
    dpeak = np.random.default_rng(5).normal(size=(20, 4, 3)) * [1.0, 0.01, 1.0]
    both = debye.sine_sums(peak, pair, 3, Q, dpeak=dpeak)
    assert both.shape == (3, 5, Q.size)
    np.testing.assert_allclose(both[:, :1], debye.sine_sums(peak, pair, 3, Q), atol=1e-11)
    h = 1e-4
    for q in range(4):
        low, high = (debye.sine_sums(peak + s * h * dpeak[:, q], pair, 3, Q, method="direct") for s in (-1, 1))
        low2, high2 = (debye.sine_sums(peak + s * h * dpeak[:, q], pair, 3, Q, method="direct") for s in (-2, 2))
        numeric = (low2 - 8 * low + 8 * high - high2) / (12 * h)
        # Differences of fourth order, (Qh)⁴/30, over rounding of 1e-12/h.
        np.testing.assert_allclose(both[:, 1 + q], numeric[:, 0], atol=3e-8 * np.abs(numeric).max())
    with pytest.raises(pk.PdfkitError, match="derivatives are computed with the grid"):
        debye.sine_sums(peak, pair, 3, Q, dpeak=dpeak, method="direct")


def test_no_peaks_and_no_q() -> None:
    peak, pair = random_peaks(5)
    assert not debye.sine_sums(peak[:0], pair[:0], 2, Q).any()
    assert not debye.sine_sums(peak, pair, 3, np.zeros(1)).any()


# --- first principles ------------------------------------------------------------------------------------------------


def test_two_atoms() -> None:
    table = count_pairs(pk.Particle.of(["S", "Cd"], [[0, 0, 0], [0, 0, 2.5]]))
    f = np.array([form_factor(e, "X", Q) for e in ("Cd", "S")])
    exact = f[0] ** 2 + f[1] ** 2 + 2 * f[0] * f[1] * np.sinc(2.5 * Q / math.pi) * np.exp(-0.015 * Q**2 / 2)
    np.testing.assert_allclose(debye.intensity(table, Q, ("Cd", "S"), Motion((0.01, 0.005))), exact, rtol=1e-13)
    halves = debye.intensity(table, Q, ("Cd", "S"), Motion((0.01, 0.005)), per_atom=True)
    np.testing.assert_allclose(halves, exact / 2, rtol=1e-13)


@pytest.mark.parametrize("method", ["direct", "grid", "auto"])
@pytest.mark.parametrize("probe", ["X", "N", "E"])
def test_double_loop(probe: str, method: str) -> None:
    particle = molecule(40)
    u = np.array([0.008, 0.013])
    f = np.array([form_factor(e, probe, Q) for e in particle.symbols])
    slow = naive.debye(particle.xyz, f, u[particle.kind], Q, delta1=0.3, delta2=1.1)
    fast = debye.intensity(
        count_pairs(particle), Q, particle.elements, Motion(tuple(u), 0.3, 1.1), probe=probe, method=method
    )
    np.testing.assert_allclose(fast, slow, atol=1e-12 * slow.max())


def test_limits_of_the_intensity() -> None:
    particle = molecule(30)
    table = count_pairs(particle)
    n = np.array(list(particle.composition().values()))
    q = np.array([0.0, 1e-7, 60.0])
    f = np.array([form_factor(e, "X", q) for e in particle.elements])
    I = debye.intensity(table, q, particle.elements, Motion(0.02))
    np.testing.assert_allclose(I[:2], (n @ f[:, :2]) ** 2, rtol=1e-12)
    # exp(−0.04·60²/2) = 5e-32: nothing but the atoms is left.
    np.testing.assert_allclose(I[2], n @ f[:, 2] ** 2, rtol=1e-13)
    S = debye.structure_function(table, q, particle.elements, Motion(0.02))
    mean = n @ f / n.sum()
    assert S[2] == pytest.approx(1, abs=1e-13)
    assert S[0] == pytest.approx((mean[0] ** 2 * n.sum() - n @ f[:, 0] ** 2 / n.sum()) / mean[0] ** 2 + 1, rel=1e-12)


@pytest.mark.parametrize("weights", ["q-dependent", "constant"])
@pytest.mark.parametrize("probe", ["X", "N"])
def test_structure_function_is_defined_by_the_intensity(probe: str, weights: str) -> None:
    particle = molecule(25)
    table, motion = count_pairs(particle), Motion((0.01, 0.02), 0.2)
    options = {"probe": probe, "scattering": weights}
    f = debye.amplitudes(particle.elements, Q, **options)
    c = table.atoms / len(particle)
    I = debye.intensity(table, Q, particle.elements, motion, per_atom=True, **options)
    S = (I - c @ f**2 + (c @ f) ** 2) / (c @ f) ** 2
    np.testing.assert_allclose(debye.structure_function(table, Q, particle.elements, motion, **options), S, rtol=1e-12)
    np.testing.assert_allclose(debye.sq(table, Q, particle.elements, motion, **options).S, S, rtol=1e-12)
    if weights == "constant":
        assert np.ptp(f, axis=1).max() == 0
        assert f[0, 0] == (48 if probe == "X" else pytest.approx(4.83, abs=0.1))


def test_own_strengths() -> None:
    f = debye.amplitudes(("Cd", "S", "Cd"), Q, "X", strengths={"Cd": 4.0})
    assert (f[0] == 4).all()
    assert (f[2] == 4).all()
    np.testing.assert_array_equal(f[1], form_factor("S", "X", Q))


def test_classes_of_one_element_add_up() -> None:
    particle = molecule(30)
    labels = 2 * particle.kind + np.arange(30) % 2
    split = count_pairs(particle, labels=labels)
    whole = count_pairs(particle)
    both = debye.intensity(split, Q, ("Cd", "Cd", "S", "S"), Motion((0.01, 0.01, 0.02, 0.02)))
    np.testing.assert_allclose(both, debye.intensity(whole, Q, ("Cd", "S"), Motion((0.01, 0.02))), rtol=1e-12)
    assert len(split.pairs) == 10


@given(st.integers(0, 1000))
def test_turning_moving_and_relabelling_change_nothing(seed: int) -> None:
    particle = molecule(12, seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(12)
    xyz = (particle.xyz @ Rotation.random(rng=rng).as_matrix() + rng.normal(0, 30, 3))[order]
    other = pk.Particle.of([particle.symbols[k] for k in order], xyz)
    one, two = (debye.intensity(count_pairs(p), Q, p.elements, Motion(0.01)) for p in (particle, other))
    # Distances are rounded to 1e-14 Å, their bins move by as much.
    np.testing.assert_allclose(two, one, atol=1e-12 * one.max())


def test_expansion_is_that_of_the_coordinates() -> None:
    particle = molecule(20)
    larger = replace(particle, xyz=1.013 * particle.xyz)
    expected = debye.intensity(count_pairs(larger), Q, ("Cd", "S"), Motion(0.01, 0.1, 0.5))
    found = debye.intensity(count_pairs(particle), Q, ("Cd", "S"), Motion(0.01, 0.1, 0.5, 0.013))
    np.testing.assert_allclose(found, expected, atol=1e-12 * expected.max())
    bins = count_pairs(particle).merged(0.3)
    scaled = replace(bins, distance=1.1 * bins.distance, variance=1.1**2 * bins.variance)
    np.testing.assert_allclose(debye.pair_sums(bins, Q, Motion(expansion=0.1)), debye.pair_sums(scaled, Q), atol=1e-11)


def test_bins_with_moments_lose_little() -> None:
    table = count_pairs(molecule(60, spread=14.0))
    exact = debye.pair_sums(table, Q)
    for width, bound in ((0.002, 1e-9), (0.02, 1e-6)):
        merged = table.merged(width)
        # The third moment of a bin is what is left: (Qw)³/60 of a term at worst, its sign at random.
        error = np.abs(debye.pair_sums(merged, Q) - exact).max()
        assert error <= bound * exact.max()
        assert error < (Q[-1] * width) ** 3 / 60 * table.count.sum() / 2.0 / Q[-1]
    # d − v/mean keeps the radius of gyration: without it, v·Q²/3 of every pair is missing at small angles.
    q = np.array([0.05])
    merged = table.merged(0.2)
    missing = (merged.variance * merged.count).sum() * q[0] ** 2 / 3
    assert abs((debye.pair_sums(merged, q) - debye.pair_sums(table, q)).sum()) < 0.03 * missing


def test_resolution_is_an_envelope_on_the_peaks() -> None:
    peak = np.array([[2.5, 0.02, 3.0], [11.0, 0.03, 2.0]])
    table = PairTable(peak[:, 0], np.zeros(2), peak[:, 2], np.zeros(2, dtype=np.int64), ((0, 0),), np.array([5]))
    shaped = debye.peaks_of(table, Motion(0.01), qdamp=0.2)
    r = np.linspace(0, 30, 6001)

    def curve(rows: np.ndarray) -> np.ndarray:
        return naive.deposit(rows, [0] * len(rows), r[1], r.size, 1, True)[0]

    plain = debye.peaks_of(table, Motion(0.01))
    np.testing.assert_allclose(curve(shaped), curve(plain) * np.exp(-((0.2 * r) ** 2) / 2), atol=1e-14)
    broad = debye.peaks_of(table, Motion(0.01, 0.5, 0.6), qbroad=0.1)
    d = table.distance
    np.testing.assert_allclose(broad[:, 1], 0.02 * (1 - 0.5 / d - 0.6 / d**2 + 0.01 * d**2), rtol=1e-13)


# --- G(r) ------------------------------------------------------------------------------------------------------------


def test_g_of_r_is_the_sum_of_peaks_where_nothing_is_cut() -> None:
    particle = molecule(25)
    table = count_pairs(particle)
    # exp(−0.04·40²/2) = 1e-14 at Qmax, and nothing is left out at small Q.
    far = pk.Instrument(probe="N", qmax=40.0, qdamp=0.05)
    fine = np.arange(0, 21, 0.01)
    peaks = naive.deposit(debye.peaks_of(table, Motion(0.02)), table.pair, 0.01, fine.size, 3, True)
    b = debye.amplitudes(particle.elements, np.zeros(1), "N")[:, 0]
    mean = table.atoms @ b / 25
    weights = np.array([2 * b[x] * b[y] / (25 * mean**2) for x, y in table.pairs])
    G = debye.pdf(table, fine[1:], particle.elements, Motion(0.02), far).G
    exact = (weights @ peaks * np.exp(-((0.05 * fine) ** 2) / 2))[1:]
    np.testing.assert_allclose(G, exact, atol=1e-11 * np.abs(G).max())


@pytest.mark.parametrize("window", ["none", "lorch", "lorch-unscaled", "hann"])
def test_g_of_r_is_the_transform_of_the_structure_function(window: str) -> None:
    particle = molecule(25)
    table, motion = count_pairs(particle), Motion(0.01)
    instrument = pk.Instrument(probe="X", qmin=0.8, qmax=21.3, window=window, scattering="q-dependent")
    r = np.arange(0.5, 15, 0.05)
    direct = debye.pdf(table, r, particle.elements, motion, instrument, name="m")
    assert direct.instrument == instrument
    assert direct.name == "m"
    fine = debye.sq(table, np.linspace(0.8, 21.3, 8201), particle.elements, motion)
    by_steps = fine.to_pdf(r, window=window)
    # Trapezoids of ΔQ = 0.0025 leave (2/π)(ΔQ²/12)F′ at the ends.
    np.testing.assert_allclose(direct.G, by_steps.G, atol=2e-6 * np.abs(direct.G).max())


@pytest.mark.parametrize("cluster", ["tetrahedron", "sphere"])
@pytest.mark.parametrize("probe", ["X", "N"])
def test_stored_curves_of_diffpy_cmi(cluster: str, probe: str) -> None:
    particle, table = golden(cluster)
    motion = Motion((0.008, 0.012))
    options = {"strengths": {"Cd": 4.83, "S": 2.847} if probe == "N" else None}

    def stored(key: str) -> tuple[np.ndarray, np.ndarray, float]:
        name = f"{cluster}_{probe}.srreal.{key}"
        about = ABOUT[name]
        return about["first"] + 0.01 * np.arange(0, about["n"], about["every"]), CURVES[name], about["max"]

    q, F, largest = stored("F")
    for method in ("direct", "grid"):
        S = debye.structure_function(table, q, particle.elements, motion, probe=probe, method=method, **options)
        # Promised 1e-5 of the largest; measured 2e-12.
        np.testing.assert_allclose(q * (S - 1), F, atol=1e-11 * largest)
    f = debye.amplitudes(particle.elements, q, probe, **options)
    c = table.atoms / len(particle)
    I = debye.intensity(table, q, particle.elements, motion, probe=probe, per_atom=True, **options)
    theirs = (c @ f) ** 2 * np.divide(F, q, out=S - 1, where=q > 0) + c @ f**2
    np.testing.assert_allclose(I, theirs, atol=1e-11 * I.max())
    # Their FFT gives G at multiples of step; between them they interpolate linearly.
    step = math.pi / (32768 * 0.01)
    nodes = step * np.arange(1, 6400)
    for qmin, key in ((0.0, "G_qmin0"), (0.995, "G_qmin1")):
        r, G, largest = stored(key)
        # Sums of whole steps, first and last included, are integrals from half a step before to half a step after.
        instrument = pk.Instrument(probe=probe, qmin=qmin, qmax=24.995, scattering="q-dependent")
        at_nodes = debye.pdf(table, nodes, particle.elements, motion, instrument, **options).G
        ours = np.interp(r, [0, *nodes], [0, *at_nodes]) * np.exp(-((0.03 * r) ** 2) / 2)
        np.testing.assert_allclose(ours, G, atol=1e-5 * largest)


@pytest.mark.parametrize("cluster", ["tetrahedron", "sphere"])
@pytest.mark.parametrize("probe", ["X", "N"])
def test_stored_curves_of_debye_calculator(cluster: str, probe: str) -> None:
    particle, table = golden(cluster)
    q = CURVES["debyecalculator.Q"]
    options = {"probe": probe, "strengths": {"Cd": 4.87, "S": 2.847} if probe == "N" else None}
    half = f"{cluster}_{probe}.debyecalculator."
    # Its tables and constants are in single precision: 1e-7.
    I = debye.intensity(table, q, particle.elements, Motion(0.01), **options)
    np.testing.assert_allclose(I, 2 * CURVES[half + "I"], rtol=2e-7)
    S = debye.structure_function(table, q, particle.elements, Motion(0.01), **options)
    np.testing.assert_allclose(S - 1, 2 * CURVES[half + "S"], atol=2e-7 * 2 * ABOUT[half + "S"]["max"])


# --- what cannot be ---------------------------------------------------------------------------------------------------


def test_pairs_without_width_are_left_out_and_named() -> None:
    particle = pk.Particle.of(["Cd", "S", "S"], [[0, 0, 0], [2.5, 0, 0], [0, 4, 0]])
    table = count_pairs(particle)
    with pytest.warns(pk.PdfkitWarning, match=r"no width to 1 pairs.*r = 2\.500 Å"):
        sums = debye.pair_sums(table, Q, Motion(0.01, 0.0, 7.0))
    kept = count_pairs(particle.select([0, 2]))
    np.testing.assert_allclose(sums[1], debye.pair_sums(kept, Q, Motion(0.01, 0.0, 7.0))[1], atol=1e-13)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        debye.pair_sums(table, Q, Motion(0.0, 0.0, 7.0))  # at rest there is no width to lose


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p, t: debye.intensity(count_pairs(p.select([0])), Q, ("Cd",)), "one atom has no pair distances"),
        (lambda p, t: debye.intensity(t, -Q, ("Cd", "S")), "it cannot be negative"),
        (lambda p, t: debye.intensity(t, [math.nan], ("Cd", "S")), "Q holds nan"),
        (lambda p, t: debye.intensity(t, Q, ("Cd",)), "1 elements for 2 classes"),
        (lambda p, t: debye.intensity(t, Q, ("Cd", "Xx")), "element 'Xx' is not known"),
        (lambda p, t: debye.intensity(t, Q, ("Cd", "S"), probe="Z"), "choose one of X, N, E"),
        (lambda p, t: debye.intensity(t, Q, ("Cd", "S"), method="fast"), "method = 'fast'"),
        (lambda p, t: debye.intensity(t, Q, ("Cd", "S"), Motion((0.1,))), "Uiso has 1 values for 2 classes"),
        (lambda p, t: debye.intensity(count_pairs(p, rmax=3.0), Q, ("Cd", "S")), "these pair distances end at 3 Å"),
        (lambda p, t: debye.intensity(t, [90.0], ("Cd", "S")), "beyond the tables"),
        (lambda p, t: Motion(-0.1), "Uiso = -0.1"),
        (lambda p, t: Motion(0.1, delta2=math.inf), "delta2 = inf"),
        (lambda p, t: debye.pdf(t, Q[1:], ("Cd", "S"), AT_REST, pk.Instrument()), "needs a finite qmax"),
        (
            lambda p, t: debye.structure_function(t, Q, ("Cd", "S"), strengths={"Cd": 1.0, "S": -1.0}),
            "null-scattering",
        ),
    ],
)
def test_wrong_input_is_refused(call, words: str) -> None:
    particle = pk.Particle.of(["Cd", "S"], [[0, 0, 0], [2.5, 0, 0]])
    with pytest.raises(pk.PdfkitError) as error:
        call(particle, count_pairs(particle))
    assert words in str(error.value)
    assert "\n" not in str(error.value)
