"""Definitions, windows, the sine transform and the kernel of a Q cut, against closed forms."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import sici

from pdfkit import transforms as tr
from pdfkit.data import conversion
from pdfkit.data.covariance import Covariance
from pdfkit.data.curves import PDF, SQ
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError
from pdfkit.transforms.sine import WINDOWS

RHO0 = 0.04


def debye_pair(r: np.ndarray, d: float = 2.5, sigma: float = 0.08) -> np.ndarray:
    """[n(r − d; σ) − n(r + d; σ)]/d: one pair at distance d, and the inverse transform of `debye_F`."""
    scale = 1 / (sigma * math.sqrt(2 * math.pi) * d)
    return scale * (np.exp(-0.5 * ((r - d) / sigma) ** 2) - np.exp(-0.5 * ((r + d) / sigma) ** 2))


def debye_F(Q: np.ndarray, d: float = 2.5, sigma: float = 0.08) -> np.ndarray:
    return np.sin(Q * d) / d * np.exp(-0.5 * (sigma * Q) ** 2)


# --- definitions ---


@given(st.floats(0.001, 1), st.floats(-8, 8), st.integers(0, 2**32 - 1))
def test_each_definition_is_undone_by_its_partner(rho0: float, b: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = np.linspace(0.1, 20, 50), rng.normal(size=50)
    f, f2 = rng.uniform(1, 50, 50), rng.uniform(50, 3000, 50)
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(tr.S_to_I(tr.I_to_S(y, f2, f), f2, f), y, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(tr.F_to_S(x, tr.S_to_F(x, y)), y, **close)
    np.testing.assert_allclose(tr.g_to_G(x, tr.G_to_g(x, y, rho0), rho0), y, rtol=1e-9, atol=1e-9)
    gamma0 = np.exp(-x / 10)
    np.testing.assert_allclose(tr.R_to_G(x, tr.G_to_R(x, y, rho0, gamma0), rho0, gamma0), y, rtol=1e-9, atol=1e-9)
    # Keen's D is 4πrρ₀ times his G, and T − D the density line.
    D, density = tr.G_to_D(y, b), 4 * np.pi * x * rho0
    np.testing.assert_allclose(density * tr.G_to_keen_G(x, y, rho0, b), D, **close)
    np.testing.assert_allclose(tr.G_to_T(x, y, rho0, b) - D, 0.01 * b**2 * density, **close)


@given(st.floats(0.001, 1), st.floats(0.5, 8), st.floats(0.05, 0.95), st.integers(0, 2**32 - 1))
def test_forms_of_keen_and_of_ashcroft_and_langreth_are_undone(rho0: float, b: float, c: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = np.linspace(0.1, 20, 50), rng.normal(size=50)
    f = rng.uniform(1, 50, 50)
    f2 = f**2 + rng.uniform(0, 100, 50)
    close = {"rtol": 1e-9, "atol": 1e-9}
    np.testing.assert_allclose(tr.keen_G_to_G(x, tr.G_to_keen_G(x, y, rho0, b), rho0, b), y, **close)
    np.testing.assert_allclose(tr.D_to_G(tr.G_to_D(y, b), b), y, **close)
    np.testing.assert_allclose(tr.T_to_G(x, tr.G_to_T(x, y, rho0, b), rho0, b), y, **close)
    np.testing.assert_allclose(tr.keen_F_to_S(tr.S_to_keen_F(y, b), b), y, **close)
    np.testing.assert_allclose(tr.AL_to_S(tr.S_to_AL(y, f2, f), f2, f), y, **close)
    np.testing.assert_allclose(tr.S_to_AL(y, f2, f), tr.S_to_I(y, f2, f) / f2, **close)
    for same in (True, False):
        np.testing.assert_allclose(tr.AL_to_partial(tr.partial_to_AL(y, c, 1 - c, same), c, 1 - c, same), y, **close)


def test_ashcroft_langreth_partials_add_up_to_the_total() -> None:
    # S_AL = Σ_ab √(c_a c_b) f_a f_b S_ab^AL/⟨f²⟩, whose Faber–Ziman twin is Σ_ab c_a c_b f_a f_b S_ab/⟨f⟩².
    rng = np.random.default_rng(1)
    c, f = np.array([0.3, 0.7]), np.array([48.0, 16.0])
    S = {(0, 0): rng.normal(size=9), (0, 1): rng.normal(size=9), (1, 1): rng.normal(size=9)}
    mean, square = c @ f, c @ f**2
    total = np.zeros(9)
    langreth = np.zeros(9)
    for (a, b), one in S.items():
        twice = 1 if a == b else 2
        total += twice * c[a] * c[b] * f[a] * f[b] * one / mean**2
        part = tr.partial_to_AL(one, c[a], c[b], a == b)
        langreth += twice * math.sqrt(c[a] * c[b]) * f[a] * f[b] * part / square
    np.testing.assert_allclose(tr.S_to_AL(total, square, mean), langreth, rtol=1e-12)


def test_intensity_of_independent_atoms_is_structureless() -> None:
    f = np.array([48.0, 20.0])
    assert np.array_equal(tr.I_to_S(f**2, f**2, f), [1, 1])
    assert np.array_equal(tr.S_to_I(np.ones(2), 2 * f**2, f), 2 * f**2)


def test_values_at_zero_are_missing_not_wrong() -> None:
    zero = np.zeros(1)
    for value in (tr.F_to_S(zero, zero), tr.G_to_g(zero, zero, RHO0), tr.R_to_G(zero, zero, RHO0)):
        assert np.isnan(value).all()


def test_low_r_of_atoms_that_exclude_each_other() -> None:
    # No pairs below the first distance: g = 0, R = 0, Keen's T = 0 and his G = −⟨b⟩²; 1 fm² = 0.01 barn.
    r = np.linspace(0.1, 2, 20)
    G = -4 * np.pi * r * RHO0
    np.testing.assert_allclose(tr.G_to_g(r, G, RHO0), 0, atol=1e-15)
    np.testing.assert_allclose(tr.G_to_R(r, G, RHO0), 0, atol=1e-15)
    np.testing.assert_allclose(tr.G_to_T(r, G, RHO0, 5.0), 0, atol=1e-15)
    np.testing.assert_allclose(tr.G_to_keen_G(r, G, RHO0, 5.0), -0.25, rtol=1e-14)
    with pytest.raises(PdfkitError, match="rho0"):
        tr.G_to_g(r, G, 0.0)


# --- windows ---

AT_QMAX = {
    "none": 1,
    "lorch": 0,
    "lorch-unscaled": math.sin(1),
    "lorch-soper": 0,
    "hann": 0,
    "welch": 0,
    "gaussian": math.exp(-(math.pi**2) / 2),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_fall_from_one_to_their_end_value_and_stop(name: str) -> None:
    M = tr.window(name, np.array([0.0, 1e-9, 20.0, 20.001, 400.0]), 20.0)
    np.testing.assert_allclose(M, [1, 1, AT_QMAX[name], 0, 0], atol=1e-12)
    inside = tr.window(name, np.linspace(0, 20, 400), 20.0)
    assert (np.diff(inside) <= 1e-15).all()


@given(st.floats(0, 40), st.floats(0.05, 2))
def test_lorch_soper_is_the_transform_of_a_uniform_ball(Q: float, width: float) -> None:
    # The average over a ball of radius Δ in three dimensions multiplies a transform by 3∫₀¹t² sinc(QΔt)dt.
    node, weight = np.polynomial.legendre.leggauss(60)
    t = (node + 1) / 2
    ball = 3 * np.sum(weight / 2 * t**2 * np.sinc(Q * width * t / np.pi))
    assert tr.window("lorch-soper", np.array([Q]), 40.0, width)[0] == pytest.approx(ball, abs=1e-13)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("lorsch", 20.0), "choose one of none, lorch"),
        (("lorch", math.inf), "not finite"),
        (("lorch", 0.0), "outside"),
        (("hann", 20.0, 0.3), "no width"),
        (("gaussian", 20.0, -0.3), "window_width"),
    ],
)
def test_wrong_windows_are_refused(args: tuple, message: str) -> None:
    with pytest.raises(PdfkitError, match=message):
        tr.window(args[0], np.zeros(2), *args[1:])
    assert tr.window("none", np.array([1e9]), math.inf)[0] == 1


def test_lorch_without_pi_is_another_window() -> None:
    # The trap: the form printed without π is 0.84 at Qmax, so it narrows no ripple; the right one widens the peak.
    Q, r = np.linspace(0, 20, 2001), np.linspace(1.5, 3.5, 2001)
    flat = np.sin(2.5 * Q)  # one sharp distance
    curves = {name: tr.sine_transform(Q, flat * tr.window(name, Q, 20.0), r) for name in WINDOWS}
    half = {name: np.ptp(r[G.max() / 2 < G]) for name, G in curves.items()}
    ripple = {name: -G.min() / G.max() for name, G in curves.items()}
    assert half["lorch"] == pytest.approx(1.44 * half["none"], rel=0.02)
    assert half["lorch-unscaled"] == pytest.approx(1.02 * half["none"], rel=0.02)
    assert ripple["lorch"] < 0.06 < 0.18 < ripple["lorch-unscaled"] < ripple["none"] < 0.23


# --- sine transform ---


def test_a_pair_of_atoms_there_and_back() -> None:
    Q, r = np.linspace(0, 100, 4001), np.linspace(0, 10, 1001)
    # exp(−σ²Q²/2) is 1e-14 at the end of Q, so the sums are exact to rounding.
    np.testing.assert_allclose(tr.sine_transform(Q, debye_F(Q), r), debye_pair(r), atol=1e-13)
    q = np.linspace(0, 60, 301)
    np.testing.assert_allclose(tr.inverse_sine_transform(r, debye_pair(r), q), debye_F(q), atol=1e-13)


@pytest.mark.parametrize("low", [0.0, 0.73])
def test_a_sharp_cut_of_a_constant_is_exact_up_to_the_last_r(low: float) -> None:
    Q = np.linspace(low, 20, 401)
    r = np.linspace(0, np.pi / (Q[1] - Q[0]), 800)[1:]
    exact = 2 / np.pi * (np.cos(low * r) - np.cos(20 * r)) / r
    np.testing.assert_allclose(tr.sine_transform(Q, np.ones_like(Q), r), exact, atol=1e-12)


def test_uneven_steps_cost_second_order_only() -> None:
    Q = np.concatenate([np.linspace(0, 10, 501), np.linspace(10.03, 25, 500)])
    r = np.linspace(0, 10, 101)
    even = np.linspace(0, 25, 25001)
    fine = tr.sine_transform(even, debye_F(even), r)
    coarse = tr.sine_transform(Q, debye_F(Q), r)
    # Where steps change (0.02 to 0.03) the rest is (2/π)(0.03² − 0.02²)/12·F′ with |F′| ≤ 1: 2.7e-5.
    assert np.abs(coarse - fine).max() < 4e-5


@given(st.integers(3, 200), st.floats(1, 40), st.integers(0, 2**32 - 1))
def test_matching_grids_are_inverse_to_each_other(n: int, qmax: float, seed: int) -> None:
    k = np.arange(n + 1)
    Q, r = k * (qmax / n), k * (np.pi / qmax)
    F = np.random.default_rng(seed).normal(size=n + 1)
    F[[0, -1]] = 0
    G = tr.sine_transform(Q, F, r)
    np.testing.assert_allclose(tr.inverse_sine_transform(r, G, Q), F, atol=1e-10)


@given(st.integers(2, 300), st.floats(-5, 5), st.integers(0, 2**32 - 1))
def test_sum_of_phases_is_that_of_the_plain_sum(n: int, start: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, c = rng.uniform(0, 30, 40), rng.normal(size=40)
    even = start + 0.01 * np.arange(n)
    for y in (even, even**3):
        plain = np.exp(1j * np.outer(y, x)) @ c
        np.testing.assert_allclose(tr.phase_sum(x, c, y), plain, atol=1e-9 if y is not even else 1e-11)


def test_r_beyond_what_the_samples_determine_is_refused() -> None:
    Q = np.linspace(0, 20, 101)
    with pytest.raises(PdfkitError, match=r"r = 16 is beyond π/step = 15\.708"):
        tr.sine_transform(Q, Q, np.array([1.0, 16.0]))
    with pytest.raises(PdfkitError, match="Q = 16 is beyond"):
        tr.inverse_sine_transform(Q, Q, np.array([1.0, 16.0]))
    with pytest.raises(PdfkitError, match="F has 3 points"):
        tr.sine_transform(Q, np.ones(3), Q)


# --- SQ and PDF ---


def example_sq(dS: np.ndarray | None = None) -> SQ:
    Q = np.linspace(0.5, 25, 2451)
    instrument = Instrument(probe="X", qdamp=0.03)
    return SQ(Q, 1 + debye_F(Q) / Q, dS, instrument, {"sample": "x"}, name="n", composition="CdS")


def test_to_pdf_is_the_modified_transform_and_says_so() -> None:
    sq = example_sq()
    pdf = sq.to_pdf(qmin=1.0, qmax=20.0, window="lorch")
    assert (pdf.r[0], pdf.r[-1], len(pdf)) == (0, 30, 3001)
    at = pdf.instrument
    assert (at.qmin, at.qmax, at.window, at.window_width) == (1, 20, "lorch", None)
    assert (at.probe, at.qdamp, pdf.name, pdf.composition, dict(pdf.header)) == (
        "X",
        0.03,
        "n",
        "CdS",
        {"sample": "x"},
    )
    for i in (100, 250, 2000):
        r = pdf.r[i]
        exact = quad(lambda q, r=r: debye_F(q) * np.sinc(q / 20) * np.sin(q * r), 1, 20, limit=400, epsabs=1e-12)[0]
        # End terms of second order: (2/π)(ΔQ²/12)F′ = 5e-6 at ΔQ = 0.01.
        assert pdf.G[i] == pytest.approx(2 / np.pi * exact, abs=1e-5)
    whole = sq.to_pdf(np.array([1.0, 2.0]))
    assert (whole.instrument.qmin, whole.instrument.qmax) == (0.5, 25)


def test_a_limit_between_samples_is_a_limit() -> None:
    sq = example_sq()
    r = np.linspace(0, 20, 201)
    inside = sq.to_pdf(r, qmin=1.0037, qmax=19.9962).G
    fine_Q = np.linspace(1.0037, 19.9962, 40001)
    # F interpolated on a straight line and joined steps of different length: ΔQ²/8·F″ over one step.
    np.testing.assert_allclose(inside, tr.sine_transform(fine_Q, debye_F(fine_Q), r), atol=2e-5)
    assert np.abs(inside - sq.to_pdf(r, qmin=1.0, qmax=20.0).G).max() > 1e-4


def test_errors_of_S_become_errors_of_G() -> None:
    rng = np.random.default_rng(3)
    # From Q = 0 and with M = 0 at the end, F has no sharp end, whose small extra term dG leaves out.
    Q = np.linspace(0, 12, 60)
    dS = rng.uniform(0.01, 0.1, Q.size)
    r = np.linspace(0, 12, 49)
    zero = SQ(Q, np.ones_like(Q), dS).to_pdf(r, window="hann")
    # The columns of the linear map S → G, one sample at a time.
    columns = [SQ(Q, 1 + row).to_pdf(r, window="hann").G for row in np.eye(Q.size)]
    exact = np.sqrt((np.array(columns) ** 2 * dS[:, None] ** 2).sum(axis=0))
    assert zero.dG is not None
    np.testing.assert_allclose(zero.dG[1:], exact[1:], rtol=1e-9)
    assert zero.dG[0] == zero.dG[1:].min()


@pytest.mark.parametrize("extrapolate", ["none", "linear", "quadratic"])
def test_correlated_errors_of_F_are_propagated_exactly(extrapolate: str) -> None:
    rng = np.random.default_rng(8)
    Q = 0.19 * np.arange(5, 65)  # a grid through Q = 0, so that the continued part has the same step
    modes, root = rng.normal(size=(60, 3)), rng.normal(size=(3, 3))
    cov = Covariance(Q, np.ones(60), rng.uniform(0.1, 1, 60), modes, root @ root.T)
    sq = SQ(Q, np.ones(60), np.sqrt(np.diag(np.diag(cov.variance) + modes @ root @ root.T @ modes.T)) / Q, cov=cov)
    r = np.linspace(0.1, 12, 40)
    pdf = sq.to_pdf(r, window="hann", extrapolate=extrapolate)
    # The linear map F → G, one sample at a time: 1/Q turns a unit of F into S.
    A = np.array([SQ(Q, 1 + row / Q).to_pdf(r, window="hann", extrapolate=extrapolate).G for row in np.eye(60)]).T
    exact = A @ (np.diag(cov.variance) + modes @ cov.core @ modes.T) @ A.T
    assert pdf.cov is not None
    assert pdf.dG is not None
    # The end term of the sharp lower end, which cov leaves out, is (2/π)(ΔQ²/12)·r of one F: 0.02 Å⁻¹ at r = 12 Å.
    tolerance = 0.04 if extrapolate == "none" else 1e-9
    np.testing.assert_allclose(pdf.cov.matrix(r), exact, rtol=0, atol=tolerance * exact.max())
    np.testing.assert_allclose(pdf.dG**2, np.diag(exact), rtol=0, atol=tolerance * exact.max())
    with pytest.raises(PdfkitError, match="not on the Q"):
        SQ(Q + 1, np.ones(60), cov=cov)


@pytest.mark.parametrize(("extrapolate", "S0", "slope"), [("linear", 0.2, 0.0), ("quadratic", 0.2, 0.7)])
def test_the_part_below_qmin_is_continued(extrapolate: str, S0: float, slope: float) -> None:
    # What follows the assumed law exactly is continued exactly: G is that of F from Q = 0.
    Q, r = np.linspace(0, 15, 1501), np.linspace(0, 20, 101)
    S = np.where(Q < 1.2, S0 + slope * Q**2, 1 + np.exp(-Q))
    whole, cut = SQ(Q, S).to_pdf(r), SQ(Q[80:], S[80:]).to_pdf(r, extrapolate=extrapolate)
    np.testing.assert_allclose(cut.G, whole.G, atol=1e-10)
    assert cut.instrument.qmin == 0
    assert np.abs(SQ(Q[80:], S[80:]).to_pdf(r).G - whole.G).max() > 0.02
    with pytest.raises(PdfkitError, match="choose one of none, linear, quadratic"):
        SQ(Q, S).to_pdf(r, extrapolate="cubic")


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_many_sine_sums_are_those_of_one_by_one(p: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, c = np.sort(rng.uniform(0, 30, 400)), rng.normal(size=(400, p))
    for y in (0.3 + 0.01 * np.arange(300), rng.uniform(0, 30, 30), np.linspace(0, 40, 1500)):
        exact = c.T @ np.sin(np.outer(x, y))
        # As promised: 1e-5 of the sum of |c|, where y is long enough for splines to pay.
        tolerance = 1e-10 if y.size < 500 else 1e-5 * np.abs(c).sum(axis=0).max()
        np.testing.assert_allclose(tr.smooth_sine_sums(x, c, y), exact, atol=tolerance)


def test_coarse_data_shorten_the_default_range() -> None:
    Q = np.linspace(0, 20, 81)
    assert SQ(Q, np.ones_like(Q)).to_pdf().r[-1] == pytest.approx(12.56)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"qmin": 0.1}, "qmin = 0.1 is outside the data"),
        ({"qmax": 30}, "qmax = 30 is outside the data"),
        ({"qmin": 9, "qmax": 3}, "qmax = 3 is not above qmin"),
        ({"window": "box"}, "choose one of"),
        ({"window": "hann", "window_width": 1}, "no width"),
    ],
)
def test_wrong_limits_are_refused(options: dict, message: str) -> None:
    with pytest.raises(PdfkitError, match=message):
        example_sq().to_pdf(**options)


def test_to_sq_of_a_hole_in_a_uniform_density() -> None:
    # G = −4πrρ₀ up to a, nothing beyond: F = −4πρ₀[sin(Qa) − Qa cos(Qa)]/Q², S(0) = 1 − (4π/3)a³ρ₀.
    a = 3.0
    r = np.arange(101, 301) * 0.01
    pdf = PDF(r, -4 * np.pi * RHO0 * r, instrument=Instrument(probe="N"), name="hole")
    Q = np.concatenate([[0.0], np.linspace(0.1, 25, 250)])
    sq = conversion.pdf_to_sq(pdf, Q, RHO0)
    F = -4 * np.pi * RHO0 * (np.sin(Q * a) - Q * a * np.cos(Q * a))[1:] / Q[1:] ** 2
    # What the end terms leave: Δr²/12·G′ = 4e-6, over Q.
    np.testing.assert_allclose(sq.F[1:], F, atol=1e-5)
    assert sq.S[0] == pytest.approx(1 - 4 / 3 * np.pi * a**3 * RHO0, abs=1e-3)
    assert (sq.instrument.probe, sq.name) == ("N", "hole")
    with pytest.raises(PdfkitError, match="give rho0"):
        conversion.pdf_to_sq(pdf, Q)


def test_there_and_back_inside_the_band() -> None:
    Q = np.linspace(0, 40, 801)
    sq = SQ(Q, 1 + np.divide(debye_F(Q, 2.5, 0.2), Q, out=np.ones_like(Q), where=Q > 0))
    for r in (0.02 * np.arange(2000), 0.02 * np.arange(1, 2000)):
        back = conversion.pdf_to_sq(sq.to_pdf(r), Q)
        np.testing.assert_allclose(back.F, sq.F, atol=1e-10)
        assert back.S[0] == pytest.approx(2.0, abs=1e-10)
    with pytest.raises(PdfkitError, match="crop it"):
        conversion.pdf_to_sq(PDF(np.array([-1.0, 0, 1]), np.zeros(3)), Q)


# --- cut kernel ---


def lorch_kernel(r: np.ndarray, qmin: float, qmax: float, qend: float) -> np.ndarray:
    """(1/π)∫ sin(aQ)/(aQ) cos(Qr) dQ = [Si(Q(a + r)) + Si(Q(a − r))]/(2πa) between the limits, a = π/qend."""
    a = np.pi / qend

    def primitive(q: float) -> np.ndarray:
        return (sici(q * (a + r))[0] + sici(q * (a - r))[0]) / (2 * np.pi * a)

    return primitive(qmax) - primitive(qmin)


LAGS = 0.05 * np.arange(3001)


@pytest.mark.parametrize("qmin", [0.0, 0.9])
def test_kernels_are_the_closed_forms(qmin: float) -> None:
    one = tr.cut_kernel(LAGS, qmin, 25.0)
    r = LAGS[1:]
    assert one[0] == pytest.approx((25 - qmin) / np.pi, rel=1e-15)
    np.testing.assert_allclose(one[1:], (np.sin(25 * r) - np.sin(qmin * r)) / (np.pi * r), atol=1e-13)
    np.testing.assert_allclose(tr.cut_kernel(LAGS, qmin, 25.0, np.ones_like), one, atol=1e-12 * one[0])
    lorch = tr.cut_kernel(LAGS, qmin, 25.0, lambda q: tr.window("lorch", q, 25.0))
    np.testing.assert_allclose(lorch, lorch_kernel(LAGS, qmin, 25.0, 25.0), atol=1e-12 * lorch[0])


@pytest.mark.parametrize("name", ["lorch-unscaled", "lorch-soper", "hann", "welch", "gaussian"])
def test_kernels_are_those_of_adaptive_quadrature(name: str) -> None:
    lags = np.array([0.0, 0.3, 2.0, 37.7, 150.0])

    def weight(q: np.ndarray) -> np.ndarray:
        return tr.window(name, q, 20.0) / (1 + (q / 15) ** 2)

    K = tr.cut_kernel(lags, 0.5, 20.0, weight)
    exact = [quad(lambda q: float(weight(np.array(q))), 0.5, 20, weight="cos", wvar=r)[0] / np.pi for r in lags]
    np.testing.assert_allclose(K, exact, atol=1e-12 * K[0])


def test_narrow_weights_are_resolved_at_short_lags() -> None:
    # A Gaussian of width 1/5 Å⁻¹ inside a cut at 30 Å⁻¹, with lags that alone would ask for few nodes.
    lags = np.linspace(0, 2, 21)
    K = tr.cut_kernel(lags, 0.0, 30.0, lambda q: tr.window("gaussian", q, 30.0, 5.0))
    np.testing.assert_allclose(K, np.exp(-(lags**2) / 50) / (5 * np.sqrt(2 * np.pi)), atol=1e-12 * K[0])


def test_kernel_memory_is_bounded() -> None:
    lags = 0.01 * np.arange(40_001)
    tracemalloc.start()
    tr.cut_kernel(lags, 0.0, 30.0, lambda q: tr.window("welch", q, 30.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_wrong_cuts_are_refused() -> None:
    for qmin, qmax, message in (
        (-1.0, 5.0, "qmin = -1"),
        (5.0, 5.0, "qmax = 5"),
        (0.0, math.inf, "not finite"),
    ):
        with pytest.raises(PdfkitError, match=message):
            tr.cut_kernel(LAGS, qmin, qmax)
