"""Reductions of simulated patterns whose S(Q) is known, their errors against dense matrices and replicas, batches."""

from __future__ import annotations

import importlib.metadata
import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import forked
import numpy as np
import pytest

import pdfkit as pk
from pdfkit import scattering, transforms
from pdfkit import scattering as _scattering
from pdfkit.cli.reductions import reduce_command
from pdfkit.data import conversion
from pdfkit.data.filtering import low_r_filter
from pdfkit.errors import ReadError
from pdfkit.reduction import corrections as setup
from pdfkit.reduction import methods as errors_of
from pdfkit.reduction import slow
from pdfkit.reduction.config import read_config
from pdfkit.reduction.corrections import bridged, subtract
from pdfkit.reduction.lowr import Atoms, low_r
from pdfkit.reduction.methods import Physics, adhoc, physical, polynomials
from pdfkit.reduction.settings import ReductionOptions, ReductionSettings

LAMBDA = 0.2
RHO0 = 4 / 3.52**3  # nickel
Q = np.linspace(0.6, 24.0, 1200)


def shape_rw(a: np.ndarray, b: np.ndarray) -> float:
    """Rw after the best scale of a."""
    scale = a @ b / (a @ a)
    return float(np.sqrt(np.sum((scale * a - b) ** 2) / np.sum(b**2)))


@pytest.fixture(scope="module")
def truth() -> pk.SQ:
    """S(Q) of nickel: G(r) with damping, transformed to Q."""
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=math.inf, qdamp=0.06))
    r = np.arange(1, 8001) * 0.01
    return conversion.pdf_to_sq(model(r), Q)


def measured(sq: pk.SQ, smooth: np.ndarray | float = 0.0, factor: np.ndarray | float = 1.0) -> pk.Intensity:
    """I = 7·factor·(f²S + smooth), with √I as errors and no noise."""
    f = scattering.form_factor("Ni", "X", sq.Q)
    I = 7.0 * factor * (f**2 * sq.S + smooth)
    return pk.Intensity(sq.Q, I, np.sqrt(I), name="nickel")


# --- the ad hoc method ---


@pytest.mark.parametrize("rpoly", [0.0, 0.3, 0.9, 1.37])
def test_adhoc_is_least_squares_of_scale_and_polynomial(truth: pk.SQ, rpoly: float) -> None:
    # Written out: normalise, fit the polynomials of both degrees, mix them by the fraction.
    iq = measured(truth, 20.0 + Q)
    f = scattering.form_factor("Ni", "X", Q)
    w = np.gradient(Q)
    x = iq.I / f**2
    F = Q * (np.sum(w * x) / np.sum(w * x**2) * x - 1)
    n = rpoly * (Q[-1] - Q[0]) / math.pi
    fits = []
    for degree in (math.floor(n), math.floor(n) + 1):
        columns = (
            np.stack([(Q / Q[-1]) ** k for k in range(1, degree + 1)], axis=1) if degree else np.zeros((Q.size, 1))
        )
        root = np.sqrt(w)[:, None]
        fits.append(columns @ np.linalg.lstsq(columns * root, F * root[:, 0], rcond=None)[0])
    expected = F - (1 - n % 1) * fits[0] - n % 1 * fits[1]
    done = pk.reduce(iq, composition="Ni", rpoly=rpoly)
    np.testing.assert_allclose(done.F, expected, atol=1e-9 * np.abs(F).max())
    assert done.diagnostics["degree"] == pytest.approx(n)


def test_adhoc_finds_the_peaks_under_a_smooth_background(truth: pk.SQ) -> None:
    r = np.arange(150, 2001) * 0.01
    wanted = truth.to_pdf(r).G
    f2 = scattering.form_factor("Ni", "X", Q) ** 2
    # In F, smooth background is Q·b/f²: with b/f² a polynomial in Q it goes altogether.
    done = pk.reduce(measured(truth, f2 * (0.4 + 0.01 * Q + 0.0005 * Q**2)), composition="Ni", rpoly=1.2)
    # The polynomial also takes what G has below rpoly, which the sharp cuts of Q carry to larger r.
    assert shape_rw(done.to_pdf(r).G, wanted) < 0.03
    assert done.diagnostics["high-Q level"] == pytest.approx(1.0, abs=0.02)
    assert done.diagnostics["first peak"] == pytest.approx(3.52 / math.sqrt(2), abs=0.01)


def test_adhoc_takes_the_laue_term_of_mixtures_into_account() -> None:
    # Independent atoms: I = ⟨f²⟩ is S = 1 to the end, whatever the composition.
    fractions = _scattering.parse_composition("LaB6")
    levels = setup.levels(fractions, "X", Q)
    found = adhoc(Q, 3.0 * levels.f2, levels, 0.9)
    np.testing.assert_allclose(found.F, 0, atol=1e-9)
    assert found.scale == pytest.approx(1 / 3)


@pytest.mark.parametrize("probe", ["N", "E"])
def test_adhoc_for_neutrons_and_electrons(truth: pk.SQ, probe: str) -> None:
    f = scattering.form_factor("Ni", probe, Q)
    iq = pk.Intensity(Q, 5 * f**2 * (truth.S + 0.3), probe=probe)
    done = pk.reduce(iq, composition="Ni", errors="none")
    r = np.arange(150, 2001) * 0.01
    assert shape_rw(done.to_pdf(r).G, truth.to_pdf(r).G) < 0.02
    assert done.sq.instrument.probe == probe
    assert done.settings["mode"] == {"N": "neutron", "E": "electron"}[probe]


def test_polynomials_are_orthonormal_and_have_no_constant() -> None:
    w = np.gradient(Q)
    basis, share = polynomials(Q, w, 7.3)
    assert share.tolist() == pytest.approx([1, 1, 1, 1, 1, 1, 1, 0.3])
    np.testing.assert_allclose((basis * w[:, None]).T @ basis, np.eye(8), atol=1e-12)
    # Polynomials of degree 8 over Q: of degree 7 in all.
    over = basis / Q[:, None]
    np.testing.assert_allclose(np.polynomial.chebyshev.chebfit(Q / 12 - 1, over, 11)[8:], 0, atol=1e-9)
    assert polynomials(Q, w, 0.0)[0].shape == (1200, 0)


# --- the physical method ---


def absorbed(q: np.ndarray) -> np.ndarray:
    return np.exp(-0.1 - 0.003 * q)


def as_measured(truth: pk.SQ, **physics: object) -> pk.Intensity:
    """Intensities with Compton scattering, polarisation and absorption."""
    inelastic = setup.inelastic(BEAM, {"Ni": 1.0}, Q)
    return measured(truth, inelastic, setup.transmission(BEAM, Q))


PHYSICS = {"method": "physical", "wavelength": LAMBDA, "polarisation": "unpolarised", "absorption": absorbed}
BEAM = ReductionSettings(probe="X", **PHYSICS)


def test_physical_returns_S_on_an_absolute_scale(truth: pk.SQ) -> None:
    level = pk.reduce(as_measured(truth), composition="Ni", slow=0.0, **PHYSICS)
    # The mean of F over the upper 40 % of Q is not quite 0 in truth.
    assert level.diagnostics["scale"] == pytest.approx(1 / 7, rel=0.003)
    np.testing.assert_allclose(level.S - 1, truth.S - 1, atol=0.004 * np.abs(truth.S).max())
    assert level.diagnostics["low-r slope"] == pytest.approx(-4 * math.pi * RHO0, rel=0.15)
    given = pk.reduce(as_measured(truth), composition="Ni", rho0=RHO0, slow=0.0, **PHYSICS)
    assert given.diagnostics["scale"] == pytest.approx(1 / 7, rel=0.01)
    assert given.diagnostics["expected slope"] == pytest.approx(-4 * math.pi * RHO0)
    assert given.diagnostics["scale at high Q"] == pytest.approx(level.diagnostics["scale"], rel=1e-9)
    for rho0 in (None, RHO0):
        done = pk.reduce(as_measured(truth), composition="Ni", rho0=rho0, **PHYSICS)
        assert done.diagnostics["scale"] == pytest.approx(1 / 7, rel=0.003)
        np.testing.assert_allclose(done.S - 1, truth.S - 1, atol=0.004 * np.abs(truth.S).max())


KINDS = {
    "none": lambda x: 0 * x,
    "linear": lambda x: 2 * x - 1,
    "half a wave": lambda x: np.sin(math.pi * x),
    "absorption": lambda x: 2 * np.exp(-2 * x**2) - 1,
    "at the end": lambda x: x**4,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_error_of_5_percent_is_found(truth: pk.SQ, kind: str) -> None:
    iq = as_measured(truth)
    disturbed = replace(iq, I=iq.I * (1 + 0.05 * KINDS[kind](Q / Q[-1])))
    r = np.arange(120, 2000, 2) * 0.01
    wanted = truth.to_pdf(r).G
    done = pk.reduce(disturbed, composition="Ni", **PHYSICS).to_pdf(r)
    assert shape_rw(done.G, wanted) < 0.01  # 0.02 to 0.03 without the slow factor
    assert done.G @ wanted / (wanted @ wanted) == pytest.approx(1.0, abs=0.005)
    assert done.dG is not None
    # There is no noise: what is left is within what the fit says it leaves open.
    assert np.sqrt(np.mean(((done.G - wanted) / done.dG) ** 2)) < 1.0


@pytest.mark.parametrize("inside", [True, False])
def test_data_tell_whether_compton_scattering_is_in_them(truth: pk.SQ, inside: bool) -> None:
    iq = as_measured(truth) if inside else measured(truth, 0.0, setup.transmission(BEAM, Q))
    words = "removed already" if not inside else "still in the intensities"
    with pytest.warns(pk.PdfkitWarning, match=words):
        wrong = pk.reduce(iq, composition="Ni", compton=not inside, **PHYSICS)
    assert any(words in text for text in wrong.to_pdf().remarks)
    right = pk.reduce(iq, composition="Ni", compton=inside, **PHYSICS)
    assert not any(words in text for text in right.sq.remarks)
    assert right.diagnostics["scale"] == pytest.approx(1 / 7, rel=0.003)
    assert right.settings["compton"] == f"{inside}".lower()


def test_a_factor_that_is_not_slow_or_small_is_said(truth: pk.SQ) -> None:
    # Half of the level at high Q is missing: no detector that is off by 5 %.
    iq = as_measured(truth)
    with pytest.warns(pk.PdfkitWarning, match="factor that changes with Q by"):
        done = pk.reduce(replace(iq, I=iq.I * np.exp(-Q / 24)), composition="Ni", **PHYSICS)
    assert done.diagnostics["slow factor"] > 0.1
    assert any("slow=0.05 expects" in text for text in done.to_pdf().remarks)


def test_the_first_peak_may_be_too_weak_to_be_seen() -> None:
    # B–B in LaB6 is a shoulder on −4πρ₀r: what lies beyond it is not taken for a range without atoms.
    model = pk.Model(
        pk.Crystal.from_file("LaB6", name="p"),
        pk.Instrument(probe="X", qmax=60, qdamp=0.06, scattering="q-dependent"),
    )
    sq = pk.SQ(Q, model.sq(Q).S)
    fractions = _scattering.parse_composition("LaB6")
    levels = setup.levels(fractions, "X", Q)
    I = levels.f1**2 * (sq.S - 1) + levels.f2 + setup.inelastic(BEAM, fractions, Q)
    iq = pk.Intensity(Q, 1e5 * I, np.sqrt(1e5 * I), wavelength=LAMBDA)
    done = pk.reduce(iq, composition="LaB6", method="physical")
    assert done.diagnostics["no atoms below"] < 2.0  # La–B, the first peak that is seen, begins at 2.7
    r = np.arange(120, 2000, 2) * 0.01
    assert shape_rw(done.to_pdf(r).G, sq.to_pdf(r).G) < 0.01


def test_physical_finds_a_constant(truth: pk.SQ) -> None:
    iq = as_measured(truth)
    lifted = replace(iq, I=iq.I + 7 * 25.0 * setup.transmission(BEAM, Q))
    for rho0 in (None, RHO0):
        for much in (0.0, 0.05):
            done = pk.reduce(lifted, composition="Ni", constant=True, rho0=rho0, slow=much, **PHYSICS)
            # F is not quite 0 on the mean at high Q, and b is told from α by little.
            assert done.diagnostics["constant"] == pytest.approx(25.0, rel=0.08)
            assert done.diagnostics["scale"] == pytest.approx(1 / 7, rel=0.03)


def test_what_else_falls_with_Q_is_said(truth: pk.SQ) -> None:
    with pytest.warns(pk.PdfkitWarning, match=r"S\(Q\) ends at"):
        pk.reduce(measured(truth, 0.0, np.exp(-((Q / 15) ** 2))), composition="Ni", method="physical", slow=0.0)


def test_physical_for_neutrons_takes_the_incoherent_level_off(truth: pk.SQ) -> None:
    b = scattering.scattering_strength("Ni", "N")
    level = setup.inelastic(ReductionSettings(probe="N"), {"Ni": 1.0}, Q)[0]
    assert level == pytest.approx(5.2 * 100 / (4 * math.pi), rel=0.05)  # σ_inc of Ni is 5.2 barn
    iq = pk.Intensity(Q, 2 * (b**2 * truth.S + level), probe="N")
    done = pk.reduce(iq, composition="Ni", method="physical", errors="none")
    assert done.diagnostics["scale"] == pytest.approx(0.5, rel=0.005)


def test_compton_scattering_goes_from_none_to_all_electrons() -> None:
    q = np.array([0.0, 0.01, 1.0, 10.0, 24.0, 75.0])
    free = setup.inelastic(ReductionSettings(probe="X"), {"Ni": 1.0}, q)
    assert free[0] == 0
    assert (np.diff(free) > 0).all()
    assert free[-1] == pytest.approx(28, rel=0.03)
    # Below the tables the law of S ∝ Q² goes on.
    assert free[1] / free[2] == pytest.approx(1e-4, rel=0.5)
    recoil = setup.inelastic(ReductionSettings(wavelength=0.2, recoil=2.0), {"Ni": 1.0}, q) / np.maximum(free, 1e-300)
    shift = 2 * 0.02426 * (24 * 0.2 / (4 * math.pi)) ** 2
    assert recoil[4] == pytest.approx((0.2 / (0.2 + shift)) ** 2, rel=1e-4)


# --- the amplitude of the ad hoc method, and the Fourier filter ---


@pytest.mark.parametrize(("inside", "more"), [(True, 0.0), (False, 0.0), (True, 15.0)])
def test_the_factor_of_an_ad_hoc_amplitude_is_estimated_and_taken_off_on_request(
    truth: pk.SQ, inside: bool, more: float
) -> None:
    inelastic = setup.inelastic(ReductionSettings(probe="X", wavelength=LAMBDA), {"Ni": 1.0}, Q)
    iq = replace(measured(truth, inelastic * inside + more), wavelength=LAMBDA)
    iq = replace(iq, I=100 * iq.I, dI=10 * iq.dI)
    r = np.arange(120, 2000, 2) * 0.01
    wanted = truth.to_pdf(r).G
    done = pk.reduce(iq, composition="Ni", rho0=RHO0)
    true = float(done.to_pdf(r).G @ wanted / (wanted @ wanted))
    assert true < 0.5
    found, error = done.diagnostics["amplitude"], done.diagnostics["amplitude error"]
    assert found == pytest.approx(true, rel=0.03)
    assert abs(found - true) < 2.5 * error
    assert f"{found:.3f} ± {error:.3f}" in done.to_pdf().remarks[0]
    assert "relative" in done.to_pdf().header["amplitude"]
    absolute = pk.reduce(iq, composition="Ni", rho0=RHO0, absolute=True)
    np.testing.assert_allclose(absolute.F * found, done.F, atol=1e-9)
    assert absolute.settings["amplitude"] == "absolute"
    assert not any("amplitude" in text for text in absolute.sq.remarks)
    # Its error is that of a common factor, and in those of F.
    assert absolute.sq.cov is not None
    assert absolute.sq.cov.modes.shape[1] == done.sq.cov.modes.shape[1] + 1


def test_without_a_density_the_amplitude_is_said_to_be_open(truth: pk.SQ) -> None:
    done = pk.reduce(measured(truth, 30.0), composition="Ni")
    assert "give rho0" in done.to_pdf().remarks[0]
    assert "amplitude" not in done.diagnostics
    with pytest.raises(pk.PdfkitError, match="absolute needs the number density") as error:
        pk.reduce(measured(truth, 30.0), composition="Ni", absolute=True)
    assert error.value.key == "absolute"


def test_n_passes_of_the_filter_are_one_step() -> None:
    rng = np.random.default_rng(0)
    F, w = rng.standard_normal(Q.size), transforms.trapezoids(Q)
    node, width = np.polynomial.legendre.leggauss(60)
    r, dr = 0.75 * (node + 1), 0.75 * width
    waves = np.sin(np.outer(Q, r))
    below = np.linspace(0, Q[0], 100)
    unseen = -2 / math.pi * np.sin(np.outer(r, below)) @ (transforms.trapezoids(below) * below)
    for passes in (1, 4):
        expected = F
        for _ in range(passes):
            G = 2 / math.pi * (w * expected) @ waves + unseen
            expected = expected - waves @ (dr * (G + 4 * math.pi * RHO0 * r))
        np.testing.assert_allclose(low_r_filter(Q, 1.5, RHO0, passes)(F), expected, atol=1e-7)
    # Without ρ₀ the slope stays: a straight line below rcut is no error.
    kept = low_r_filter(Q, 1.5)
    G = 2 / math.pi * (w * F) @ waves + unseen
    slope = float((r * dr) @ G / ((r * dr) @ r))
    np.testing.assert_allclose(kept(F), F - waves @ (dr * (G - slope * r)), atol=1e-7)


@pytest.mark.parametrize("method", ["adhoc", "physical"])
def test_the_derivative_and_the_covariance_of_a_filtered_reduction(truth: pk.SQ, method: str) -> None:
    q, levels = Q[::20], setup.levels({"Ni": 1.0}, "X", Q[::20])
    I0 = measured(truth, 20.0).I[::20]

    def run(I: np.ndarray):
        if method == "adhoc":
            found = adhoc(q, I, levels, 0.9)
        else:
            physics = Physics(levels, np.full(q.size, 3.0), np.ones(q.size), Atoms({"Ni": 1.0}, "X"))
            found = physical(q, I, physics, ReductionSettings(rho0=RHO0, slow=0.0))
        return errors_of.filtered(found, low_r_filter(q, 1.8, RHO0 if method == "physical" else None, 3))

    there = run(I0)
    K = np.diag(there.D) + there.L @ there.R.T
    for k in range(0, q.size, 9):
        step = np.zeros(q.size)
        step[k] = 1e-4 * I0[k]
        numeric = (run(I0 + step).F - run(I0 - step).F) / (2 * step[k])
        np.testing.assert_allclose(K[:, k], numeric, atol=1e-6 * np.abs(K).max())
    np.testing.assert_allclose(there.F, there.before - there.polynomial, atol=1e-12)


def test_errors_after_a_filter_are_those_of_replicas(truth: pk.SQ) -> None:
    rng = np.random.default_rng(3)
    dS = 0.02 + 0.002 * Q
    r = np.arange(0.5, 15, 0.1)
    sq = pk.SQ(Q, truth.S, dS, truth.instrument)
    for start in (sq, sq.fourier_filter(1.5, RHO0)):  # independent errors, and correlated ones
        exact = start.fourier_filter(2.0, RHO0, passes=2).to_pdf(r, window="lorch")
        curves = []
        for _ in range(150):
            noisy = pk.SQ(Q, truth.S + dS * rng.standard_normal(Q.size))
            noisy = noisy if start is sq else noisy.fourier_filter(1.5, RHO0)
            curves.append(noisy.fourier_filter(2.0, RHO0, passes=2).to_pdf(r, window="lorch").G)
        z = np.std(curves, axis=0) / exact.dG
        assert np.sqrt(np.mean(z**2)) == pytest.approx(1.0, abs=0.05)
        assert np.abs(z - 1).max() < 0.3  # 150 replicas: 0.06 each


def test_a_curve_in_hand_is_filtered_as_its_structure_function(truth: pk.SQ) -> None:
    bad = pk.SQ(Q, truth.S + 0.1 * np.cos(0.4 * Q), np.full(Q.size, 0.02), truth.instrument)
    r = np.arange(0, 4000) * 0.01
    through_Q = bad.fourier_filter(2.0, RHO0).to_pdf(r)
    in_hand = bad.to_pdf(r).fourier_filter(2.0, RHO0)
    assert np.abs(in_hand.G - through_Q.G).max() < 2e-3 * np.abs(through_Q.G).max()
    np.testing.assert_allclose(in_hand.dG[50:], through_Q.dG[50:], rtol=1e-6)
    far, true = r > 2.3, truth.to_pdf(r).G
    off = [np.std((pdf.G - true)[far]) for pdf in (bad.to_pdf(r), through_Q)]
    assert off[1] < 0.7 * off[0]
    bare = replace(bad.to_pdf(r), cov=None).fourier_filter(2.0)
    assert "before the Fourier filter" in bare.remarks[-1]
    with pytest.raises(pk.PdfkitError, match="needs it from 0"):
        bad.to_pdf(r).crop(1.0, 20.0).fourier_filter(2.0)
    with pytest.raises(pk.PdfkitError, match="needs the Qmax"):
        pk.PDF(r, true).fourier_filter(2.0)


def test_a_reduction_filters_below_the_first_peak(truth: pk.SQ) -> None:
    iq = measured(truth, 20.0 + Q)
    plain = pk.reduce(iq, composition="Ni", rpoly=0.0)
    done = pk.reduce(iq, composition="Ni", rpoly=0.0, filter_passes=5)
    expected = plain.sq.fourier_filter(2.0, passes=5)
    assert np.std(done.F - expected.F) < 0.1 * np.std(done.F - plain.F)  # the end of r was found: about 2.2 Å
    given = pk.reduce(iq, composition="Ni", rpoly=0.0, filter_passes=5, rcut=2.0)
    np.testing.assert_allclose(given.F, expected.F, atol=1e-9)
    np.testing.assert_allclose(given.dS, expected.dS, rtol=1e-6)
    assert given.settings["filter_passes"] == "5"
    assert given.diagnostics["filtered"] > 0.1


def test_a_filter_that_reaches_the_first_peak_says_so(truth: pk.SQ) -> None:
    with pytest.warns(pk.PdfkitWarning, match=r"takes out the first peak of G\(r\), at 2\.49 Å"):
        done = pk.reduce(measured(truth, 0.0 * Q), composition="Ni", filter_passes=1, rcut=3.0)
    assert any("first peak" in text for text in done.sq.remarks)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"compton": False}, "compton has no effect on the ad hoc method"),
        ({"slow": 0.1, "rcut": 2.0}, "slow, rcut have no effect"),
        ({"method": "physical", "compton": False, "absolute": True}, "absolute has no effect"),
    ],
)
def test_settings_of_the_other_method_are_said(truth: pk.SQ, settings: dict[str, object], words: str) -> None:
    with pytest.warns(pk.PdfkitWarning, match=words):
        pk.reduce(measured(truth, 0.0 * Q), composition="Ni", **settings)


def test_anomalous_terms_change_the_level(truth: pk.SQ) -> None:
    plain, with_terms = (setup.levels({"Ni": 0.5, "S": 0.5}, "X", Q, wave) for wave in (None, 1.54))
    f = [scattering.form_factor(name, "X", Q) + scattering.anomalous(name, 1.54) for name in ("Ni", "S")]
    np.testing.assert_allclose(with_terms.f1, np.abs((f[0] + f[1]) / 2))
    np.testing.assert_allclose(with_terms.f2, (np.abs(f[0]) ** 2 + np.abs(f[1]) ** 2) / 2)
    assert np.abs(with_terms.f2 / plain.f2 - 1).max() > 0.1
    with pytest.raises(pk.PdfkitError, match="give wavelength="):
        pk.reduce(measured(truth, 3.0), composition="Ni", anomalous=True)
    assert (
        pk.reduce(measured(truth, 3.0), composition="Ni", anomalous=True, wavelength=0.2).settings["anomalous"]
        == "true"
    )


def test_a_reduction_is_shown_and_tabulated(truth: pk.SQ) -> None:
    done = pk.reduce(measured(truth, 30.0), composition="Ni")
    shown = done._repr_html_()
    assert "first peak" in shown
    assert "amplitude of G(r) is relative" in shown
    table = done.to_dataframe()
    assert list(table.columns)[:3] == ["Q", "S", "dS"]
    np.testing.assert_array_equal(table["net"], done.stages["net"])


# --- errors ---


@pytest.mark.parametrize("case", ["adhoc", "high-Q", "rho0", "constant", "both", "slow", "slow rho0", "slow constant"])
def test_the_derivative_is_that_of_central_differences(truth: pk.SQ, case: str) -> None:
    q = Q[::20]
    levels = setup.levels({"Ni": 1.0}, "X", q)
    I0 = measured(truth, 20.0).I[::20]

    def run(I: np.ndarray):
        if case == "adhoc":
            return adhoc(q, I, levels, 0.93)
        asked = ReductionSettings(
            rho0=RHO0 if case in ("rho0", "both", "slow rho0") else None,
            constant=case in ("constant", "both", "slow constant"),
            rpoly=0.0 if case in ("high-Q", "slow") else 0.7,
            slow=0.05 if "slow" in case else 0.0,
            rcut=2.1,
        )
        physics = Physics(levels, np.full(q.size, 3.0), 1 + q / 100, Atoms({"Ni": 1.0}, "X"), I0)
        return physical(q, I, physics, asked)

    there = run(I0)
    K = np.diag(there.D) + there.L @ there.R.T
    numeric = np.empty_like(K)
    for k in range(q.size):
        step = np.zeros(q.size)
        step[k] = 1e-4 * I0[k]
        numeric[:, k] = (run(I0 + step).F - run(I0 - step).F) / (2 * step[k])
    # The differences are of second order. How strong peaks are, and so the weights of a slow factor, are held.
    np.testing.assert_allclose(K, numeric, atol=(2e-3 if "slow" in case else 1e-6) * np.abs(K).max())
    variance = I0
    cov = errors_of.propagated(q, there, variance)
    dense = np.diag(cov.variance) + cov.modes @ cov.core @ cov.modes.T
    left = 0.0 if there.open is None else there.open[0] @ there.open[1] @ there.open[0].T
    np.testing.assert_allclose(dense, K @ np.diag(variance) @ K.T + left, atol=1e-10 * dense.max())
    np.testing.assert_allclose(cov.deviations(), np.sqrt(np.diag(dense)), rtol=1e-7)


def replicas(count: int, sample: pk.Intensity, empty: pk.Intensity, r: np.ndarray, seed: int, **how: object) -> tuple:
    """Return G(r) of many noisy copies of a sample and its background, reduced from the start."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        pair = [replace(one, I=one.I + one.dI * rng.standard_normal(len(one))) for one in (sample, empty)]
        out.append(pk.reduce(pair[0], background=pair[1], errors="none", **how).to_pdf(r, window="lorch").G)
    return np.array(out)


def check_replicas(truth: pk.SQ, count: int, method: str) -> None:
    """The sampled covariance of G(r) agrees with that of the PDF in every element, within its sampling error."""
    q = truth.Q[::2]
    iq = measured(truth, 30.0)
    I = iq.I[::2] + 200.0
    sample = pk.Intensity(q, I, np.sqrt(I), wavelength=LAMBDA)
    empty = pk.Intensity(q, np.full(q.size, 100.0) + 50 * np.exp(-q), np.full(q.size, 8.0))
    how = {"composition": "Ni", "method": method, "bgscale": 1.2, "rpoly": 0.9, "slow": 0.0}
    r = np.arange(0.5, 15, 0.1)
    pdf = pk.reduce(sample, background=empty, **how).to_pdf(r, window="lorch")
    assert pdf.cov is not None
    assert pdf.dG is not None
    sampled = np.cov(replicas(count, sample, empty, r, 5, **how).T)
    exact = pdf.cov.matrix(r)
    sigma = np.sqrt(np.diag(exact))
    np.testing.assert_allclose(pdf.dG, sigma, rtol=1e-6)
    # The standard error of an element of a sampled covariance.
    error = np.sqrt((np.outer(sigma, sigma) ** 2 + exact**2) / count)
    z = (sampled - exact) / error
    assert np.abs(z).max() < 5.5  # 21,000 elements, about 3,000 of them independent
    assert z.std() == pytest.approx(1.0, abs=0.15)
    assert np.mean(np.diag(sampled) / sigma**2) == pytest.approx(1.0, abs=5 / math.sqrt(40 * count))


@pytest.mark.parametrize("method", ["adhoc", "physical"])
def test_covariance_of_G_is_that_of_replicas_of_the_whole_reduction(truth: pk.SQ, method: str) -> None:
    check_replicas(truth, 200, method)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["adhoc", "physical"])
def test_covariance_of_G_is_that_of_2000_replicas(truth: pk.SQ, method: str) -> None:
    check_replicas(truth, 2000, method)


def test_a_slow_factor_is_derived_exactly_at_fixed_weights(truth: pk.SQ) -> None:
    q, atoms = Q[::20], Atoms({"Ni": 1.0}, "X")
    near, scale = low_r(q, atoms, 2.0), 1 / 7
    f1 = scattering.form_factor("Ni", "X", q) ** 2
    I0 = measured(truth, 20.0).I[::20]

    def run(I: np.ndarray) -> slow.Solution:
        shapes = slow.basis(q)
        v, depends = shapes * (q * I / f1)[:, None], shapes * (q / f1)[:, None]
        return slow.solve(slow.Problem(q, v, q, depends, slow.priors(0.05, scale), I0, None), near, 5.0, scale)

    there = run(I0)
    for k in range(0, q.size, 7):
        step = np.zeros(q.size)
        step[k] = 1e-4 * I0[k]
        numeric = (run(I0 + step).theta - run(I0 - step).theta) / (2 * step[k])
        np.testing.assert_allclose(there.gradient[:, k], numeric, atol=1e-7 * np.abs(there.gradient).max())


def test_errors_of_a_slow_factor_cover_what_it_was(truth: pk.SQ) -> None:
    # Factors drawn from the prior, and noise: (Ĝ − G)/dG has rms 1.
    rng = np.random.default_rng(8)
    iq = as_measured(truth)
    r = np.arange(1.2, 15, 0.1)
    wanted = truth.to_pdf(r, window="lorch").G
    z = []
    for _ in range(25):
        n = 1 + slow.basis(Q)[:, 1:] @ (slow.priors(0.05, 1.0)[1:] * rng.standard_normal(slow.TERMS - 1))
        I = 10 * iq.I * n
        noisy = pk.Intensity(Q, I + np.sqrt(I) * rng.standard_normal(Q.size), np.sqrt(I))
        pdf = pk.reduce(noisy, composition="Ni", **PHYSICS).to_pdf(r, window="lorch")
        z.append((pdf.G - wanted) / pdf.dG)
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1.0, abs=0.12)


def test_errors_from_scatter_are_those_of_counts_on_any_scale(truth: pk.SQ) -> None:
    rng = np.random.default_rng(2)
    counts = 40 * measured(truth, 30.0).I
    I = (counts + np.sqrt(counts) * rng.standard_normal(Q.size)) / 1000
    ratio = np.sqrt(errors_of.scatter(I)) / (np.sqrt(counts) / 1000)
    # 16 blocks of 75 points: a median of χ² from 75 correlated points is good to about 15 % in σ, and peaks seven
    # points wide add a little.
    assert ratio.mean() == pytest.approx(1.0, abs=0.15)
    assert ratio.min() > 0.6
    assert ratio.max() < 1.6
    done = pk.reduce(pk.Intensity(Q, I), composition="Ni")
    assert done.settings["errors"] == "scatter"
    given = pk.reduce(pk.Intensity(Q, I, np.sqrt(counts) / 1000), composition="Ni")
    assert given.settings["errors"] == "given"
    assert done.dS is not None
    assert given.dS is not None
    assert np.median(done.dS / given.dS) == pytest.approx(1.0, abs=0.2)


def test_noise_that_neighbours_share_is_seen_in_G(truth: pk.SQ) -> None:
    # Smoothed over five points, neighbours scatter far less than G(r) does.
    rng = np.random.default_rng(4)
    q = np.linspace(0.6, 24, 6000)
    clean = np.interp(q, Q, measured(truth, 200.0).I)
    noise = np.convolve(rng.standard_normal(q.size), np.ones(5) / math.sqrt(5), mode="same")
    done = pk.reduce(pk.Intensity(q, clean + np.sqrt(clean) * noise), composition="Ni")
    # What G(r) gets is the density of the noise: five times the variance of white noise of the same size.
    white = pk.reduce(pk.Intensity(q, clean, math.sqrt(5) * np.sqrt(clean)), composition="Ni", errors="given")
    assert done.dS is not None
    assert white.dS is not None
    # Seen between 60 and 105 Å, where this smoothing leaves 0.85 of it; scatter alone would say a tenth.
    assert np.median(done.dS / white.dS) == pytest.approx(0.85, abs=0.2)
    assert done.diagnostics["noise ratio"] > 2
    assert "scaled ×" in done.settings["errorsource"]


def test_where_errors_come_from(truth: pk.SQ) -> None:
    iq = measured(truth, 30.0)
    bare = replace(iq, dI=None)
    none = pk.reduce(bare, composition="Ni", errors="none")
    assert none.dS is None
    assert none.to_pdf().cov is None
    assert none.to_pdf().dG is None
    counting = pk.reduce(bare, composition="Ni", errors="counting")
    assert counting.settings["errorsource"].startswith("counting")
    with pytest.raises(pk.PdfkitError, match="has no errors"):
        pk.reduce(bare, composition="Ni", errors="given")
    with pytest.raises(pk.PdfkitError, match="choose one of auto, given"):
        pk.reduce(bare, composition="Ni", errors="guess")
    with pytest.raises(pk.PdfkitError, match="too few"):
        errors_of.scatter(np.ones(10))


# --- background, gaps, limits ---


def test_a_background_on_the_same_grid_is_taken_off(truth: pk.SQ) -> None:
    iq = measured(truth, 30.0)
    empty = pk.Intensity(Q, 40 + Q, np.full(Q.size, 0.5))
    net = subtract(replace(iq, I=iq.I + 2 * empty.I), empty, 2.0)
    np.testing.assert_allclose(net.intensity, iq.I, rtol=1e-12)
    assert net.variance is not None
    assert iq.dI is not None
    np.testing.assert_allclose(net.variance, iq.dI**2 + 4 * 0.25, rtol=1e-12)


def test_a_background_on_another_grid_is_interpolated_and_keeps_its_power() -> None:
    q, nodes = np.linspace(1, 20, 800), np.linspace(0.9, 20.1, 300)
    rng = np.random.default_rng(0)
    dB = rng.uniform(0.5, 2, nodes.size)
    sample = pk.Intensity(q, np.full(800, 100.0), np.full(800, 1e-6))
    with pytest.warns(pk.PdfkitWarning, match="another grid: interpolated linearly"):
        net = subtract(sample, pk.Intensity(nodes, 3 * nodes, dB), 1.0)
    np.testing.assert_allclose(net.background, 3 * q, rtol=1e-12)
    # The variance of a sum over a smooth function, through the interpolation and from the lumped variances.
    weight = np.cos(q * 2) * np.exp(-q / 30)
    L = np.stack([np.interp(q, nodes, row) for row in np.eye(nodes.size)], axis=1)
    assert net.variance is not None
    assert weight**2 @ net.variance == pytest.approx(float((weight @ L) ** 2 @ dB**2), rel=0.02)
    with pytest.raises(pk.PdfkitError, match=r"the background spans Q = 2 to 20"):
        subtract(sample, pk.Intensity(np.linspace(2, 20, 50), np.ones(50)), 1.0)


def test_too_much_background_is_refused(truth: pk.SQ) -> None:
    iq = measured(truth, 30.0)
    with pytest.warns(pk.PdfkitWarning, match="not above the background"):
        subtract(iq, replace(iq, I=np.full(Q.size, 1.01 * iq.I.min())), 1.0)
    with pytest.raises(pk.PdfkitError, match="lower bgscale"):
        pk.reduce(iq, composition="Ni", background=iq, bgscale=1.5)


def test_gaps_are_bridged_or_refused(truth: pk.SQ) -> None:
    iq = measured(truth, 30.0)
    keep = (Q < 15) | (Q > 15.2)
    holey = pk.Intensity(Q[keep], iq.I[keep], iq.dI[keep])
    whole, count = bridged(holey)
    assert count == len(whole) - keep.sum() > 5
    with pytest.warns(pk.PdfkitWarning, match="points in gaps are interpolated"):
        done = pk.reduce(holey, composition="Ni")
    assert done.diagnostics["points bridged"] == count
    assert done.to_pdf().r[-1] == 30.0
    keep = (Q < 15) | (Q > 16)
    with pytest.raises(pk.PdfkitError, match=r"has no points from 14\.98 to 16\.02"):
        pk.reduce(pk.Intensity(Q[keep], iq.I[keep]), composition="Ni")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"composition": "Xx2"}, "is not a formula"),
        ({"composition": "ni"}, "is not a formula"),
        ({"composition": ""}, "is not a formula"),
        ({"composition": "Ni("}, "is not a formula"),
        ({"composition": "Ni-Fe"}, "is not a formula"),
        ({"composition": None}, "the composition is not known"),
        ({"composition": {"Ni": -1.0}}, "amounts are positive"),
        ({"composition": {"Zz": 1.0}}, "is not an element"),
        ({"qmax": 25.0}, "qmax = 25 is beyond the data, which end at 24"),
        ({"qmax": 20.0, "qmaxinst": 18.0}, "qmax = 20 is above qmaxinst = 18"),
        ({"qmin": 20.0, "qmax": 21.0}, "leave too little"),
        ({"rpoly": -1.0}, "rpoly = -1 is outside"),
        ({"rpoly": "x"}, "is not a number"),
        ({"method": "magic"}, "choose one of adhoc, physical"),
        ({"window": "box"}, "choose one of none, lorch"),
        ({"extrapolate": "cubic"}, "choose one of none, linear"),
        ({"probe": "Z"}, "choose one of X, N, E"),
        ({"method": "physical", "polarisation": "unpolarised"}, "give wavelength="),
        ({"method": "physical", "polarisation": "vertical", "wavelength": 0.2}, "choose one of none, unpolarised"),
        ({"method": "physical", "absorption": np.ones(3), "wavelength": 0.2}, "needs 1200 positive factors"),
        ({"method": "physical", "absorption": 9.0, "wavelength": 0.2}, "absorption = 9 is outside"),
        ({"method": "physical", "absorption": 0.5, "wavelength": 0.9}, "cannot be measured with wavelength"),
        ({"bgscale": -1}, "bgscale = -1 is outside"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(truth: pk.SQ, options: dict, words: str) -> None:
    iq = replace(measured(truth, 30.0), dI=None)
    with pytest.raises(pk.PdfkitError) as error:
        pk.reduce(iq, **{"composition": "Ni", "errors": "none", **options})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_the_settings_are_the_same_as_value_and_as_keywords(truth: pk.SQ) -> None:
    assert list(ReductionSettings.__annotations__) == list(ReductionOptions.__annotations__)
    iq = measured(truth, 30.0)
    settings = ReductionSettings("Ni", qmax=20.0, window="lorch", errors="none")
    one, other = pk.reduce(iq, settings), pk.reduce(iq, composition="Ni", qmax=20, window="lorch", errors="none")
    np.testing.assert_array_equal(one.to_pdf().G, other.to_pdf().G)
    assert pk.reduce(iq, settings, qmax=18, window=None).settings["qmax"] == "18"
    assert settings.given() == {"composition": "Ni", "qmax": 20.0, "window": "lorch", "errors": "none"}
    assert pickle.loads(pickle.dumps(settings)).given() == settings.given()


@pytest.mark.parametrize("options", [{"qmax": 99}, {"rpoly": -1.0}, {"method": "magic"}, {"bgscale": "x"}, {"qmx": 20}])
def test_errors_carry_the_setting_that_they_are_about(truth: pk.SQ, options: dict) -> None:
    with pytest.raises(pk.PdfkitError) as error:
        pk.reduce(measured(truth, 30.0), composition="Ni", **options)
    assert error.value.key == next(iter(options))
    assert pickle.loads(pickle.dumps(error.value)).key == error.value.key


def test_an_old_name_of_a_setting_is_told_the_new_one(truth: pk.SQ) -> None:
    with pytest.raises(pk.PdfkitError, match="'route' is not a setting of a reduction: it is called method here"):
        pk.reduce(measured(truth, 30.0), composition="Ni", route="physical")


def test_files_are_read_as_the_settings_say(truth: pk.SQ, tmp_path: Path) -> None:
    iq = measured(truth, 30.0)
    np.savetxt(tmp_path / "ni.xy", np.c_[iq.Q * 10, iq.I])
    done = pk.reduce(tmp_path / "ni.xy", composition="Ni", unit="nm-1", errors="none")
    np.testing.assert_allclose(done.Q, iq.Q, rtol=1e-12)


def test_qmaxinst_beyond_the_data_is_cut_back_with_a_word(truth: pk.SQ) -> None:
    with pytest.warns(pk.PdfkitWarning, match=r"qmaxinst = 30 is beyond the data, which end at 24"):
        done = pk.reduce(measured(truth, 30.0), composition="Ni", qmaxinst=30)
    assert done.qmax == 24.0


def test_Q_in_nm_taken_as_angstrom_is_noticed(truth: pk.SQ) -> None:
    iq = replace(measured(truth, 10.0), dI=None)
    with pytest.raises(pk.PdfkitError, match=r"is Q in nm⁻¹\?"):
        pk.reduce(pk.Intensity(10 * Q, iq.I), composition="Ni", errors="none")
    # A short pattern in nm⁻¹ stays within the tables; its f² gives it away.
    short = pk.Intensity(10 * Q[Q < 7], iq.I[Q < 7])
    with pytest.warns(pk.PdfkitWarning, match=r"do not fall with Q as ⟨f²⟩ does"):
        pk.reduce(short, composition="Ni", errors="none")


@pytest.mark.parametrize(
    ("text", "atoms"),
    [
        ("LaB6", {"La": 1 / 7, "B": 6 / 7}),
        ("Cd Se", {"Cd": 0.5, "Se": 0.5}),
        ("Ca(OH)2", {"Ca": 0.2, "O": 0.4, "H": 0.4}),
        ("Zr0.5W0.5V2O7", {"Zr": 0.05, "W": 0.05, "V": 0.2, "O": 0.7}),
        ({"Cd": 3, "S": 1}, {"Cd": 0.75, "S": 0.25}),
    ],
)
def test_compositions(text: object, atoms: dict) -> None:
    assert _scattering.parse_composition(text) == pytest.approx(atoms)  # type: ignore[arg-type]


# --- the result ---


def test_a_reduction_says_what_it_did_and_travels(truth: pk.SQ) -> None:
    done = pk.reduce(measured(truth, 30.0), composition="Ni", qmin=1.0, qmax=20.0, window="lorch")
    pdf = done.to_pdf()
    assert (pdf.instrument.qmax, pdf.instrument.window, pdf.instrument.probe) == (20.0, "lorch", "X")
    # Models of ad hoc data are not cut at qmin; who asks for another qmin gets it.
    assert pdf.instrument.qmin == 0
    assert done.to_pdf(qmin=2.0, qmax=15.0).instrument.qmin == 2.0
    assert pdf.header["composition"] == "Ni"
    assert float(pdf.header["qmin"]) == pytest.approx(1.0, abs=0.02)
    text = str(done)
    assert "nickel" in text
    assert "first peak" in text
    again = pickle.loads(pickle.dumps(done))
    np.testing.assert_array_equal(again.F, done.F)
    assert dict(again.settings) == dict(done.settings)
    np.testing.assert_allclose(done.F, done.stages["before"] - done.stages["polynomial"], atol=1e-12)
    np.testing.assert_array_equal(done.stages["net"], done.stages["raw"] - done.stages["background"])


# --- files and batches ---

CONFIG = """[DEFAULT]

# input
dataformat = QA
inputfile = a.iq b.iq
backgroundfiles = empty.iq
outputtype = gr
mode = xray
composition = Ni
bgscales = 0.5
rpoly = 1.1
qmaxinst = 23.5
qmin = 0.8
qmax = 22
rmin = 0.0
rmax = 20
rstep = 0.02
"""


def test_configurations_of_pdfgetx3_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text(CONFIG, encoding="utf-8")
    out = read_config(tmp_path / "a.cfg")
    assert out.pop("files") == [tmp_path / "a.iq", tmp_path / "b.iq"]
    assert out.pop("background") == tmp_path / "empty.iq"
    numbers = {"bgscale": 0.5, "rpoly": 1.1, "qmaxinst": 23.5, "qmin": 0.8, "qmax": 22.0}
    grid = {"rmin": 0.0, "rmax": 20.0, "rstep": 0.02}
    assert out == {"unit": "A-1", "probe": "X", "composition": "Ni", **numbers, **grid}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[DEFAULT]\nqmax = high\n", "line 2: qmax = 'high' is not a number"),
        ("[DEFAULT]\nqmx = 20\n", "line 2: 'qmx' is not a setting: nearest are qmax"),
        ("[DEFAULT]\nmode = gamma\n", "mode = 'gamma' is not known"),
        ("qmax = 20\n", r"no [DEFAULT] section"),
        ("[DEFAULT]\nnothing\n", "line 2: 'nothing' is not key = value"),
    ],
)
def test_wrong_configurations_are_refused_with_the_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.cfg").write_text(text, encoding="utf-8")
    with pytest.raises(ReadError) as error:
        read_config(tmp_path / "a.cfg")
    assert words in str(error.value)


@pytest.fixture
def folder(tmp_path: Path, truth: pk.SQ) -> Path:
    """Three patterns, a background, a broken file and a configuration."""
    rng = np.random.default_rng(0)
    iq = measured(truth, 30.0)
    for name in ("a", "b", "c"):
        I = iq.I + 40 + np.sqrt(iq.I) * rng.standard_normal(Q.size)
        np.savetxt(tmp_path / f"{name}.iq", np.stack([Q, I, np.sqrt(iq.I)], axis=1), fmt="%.8f")
    np.savetxt(tmp_path / "empty.iq", np.stack([Q, np.full(Q.size, 80.0), np.ones(Q.size)], axis=1), fmt="%.8f")
    (tmp_path / "broken.iq").write_text("1 2\n2 x\n", encoding="utf-8")
    (tmp_path / "a.cfg").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def test_files_written_are_read_back(folder: Path) -> None:
    out = folder / "out"
    report = reduce_command([], out, config=folder / "a.cfg", outputs=("gr", "sq", "fq", "iq"))
    assert [row.status for row in report.rows] == ["done", "done"]
    pdf, sq = pk.read_pdf(out / "a.gr"), pk.read_sq(out / "a.sq")
    done = pk.reduce(folder / "a.iq", background=folder / "empty.iq", bgscale=0.5, composition="Ni", rpoly=1.1,
                     qmin=0.8, qmax=22, qmaxinst=23.5)  # fmt: skip
    exact = done.to_pdf(np.arange(1001) * 0.02)
    np.testing.assert_allclose(pdf.G, exact.G, atol=1e-8)
    assert pdf.dG is not None
    assert exact.dG is not None
    np.testing.assert_allclose(pdf.dG, exact.dG, rtol=1e-3)  # four digits are written
    assert (pdf.instrument.probe, pdf.instrument.qmin) == ("X", 0.0)
    assert pdf.instrument.qmax == pytest.approx(22.0, abs=0.02)
    assert pdf.composition == "Ni"
    np.testing.assert_allclose(sq.S, done.S, rtol=1e-7)
    np.testing.assert_allclose(pk.read_sq(out / "a.fq").F, done.F, atol=1e-7)
    np.testing.assert_allclose(pk.read_intensity(out / "a.iq").I, done.stages["net"], rtol=1e-7)
    # The header of a result is a configuration.
    again = read_config(out / "a.gr")
    assert again["rpoly"] == 1.1
    assert again["bgscale"] == 0.5
    assert (again["method"], again["errors"], again["window"]) == ("adhoc", "given", "none")


def test_a_bad_file_is_a_row_and_what_is_finished_is_kept(folder: Path) -> None:
    out, seen = folder / "out", []
    settings = {"composition": "Ni", "background": folder / "empty.iq", "bgscale": 0.5, "qmin": 0.8}
    files = [str(folder / "[abc].iq"), folder / "broken.iq"]
    rows = pk.reduce_files(files, out, progress=lambda done, of, row: seen.append((done, of)), **settings)
    assert [row.status for row in rows] == ["done", "done", "done", "failed"]
    assert "broken.iq, line 2" in rows[3].message
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    table = (out / "reductions.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) == 5
    assert table[0].startswith("file,status,message,warnings,seconds,scale")
    stamp = (out / "a.gr").stat().st_mtime_ns
    again = pk.reduce_files(files, out, **settings)
    assert [row.status for row in again] == ["kept", "kept", "kept", "failed"]
    assert again[0].diagnostics["scale"] == pytest.approx(rows[0].diagnostics["scale"], rel=1e-5)
    assert (out / "a.gr").stat().st_mtime_ns == stamp
    # Another setting, or another input, is another result.
    assert pk.reduce_files(folder / "a.iq", out, **{**settings, "bgscale": 0.6})[0].status == "done"
    assert pk.reduce_files(folder / "a.iq", out, **{**settings, "bgscale": 0.6}, resume=False)[0].status == "done"


def test_any_executor_gives_the_same_rows(folder: Path) -> None:
    files = [folder / f"{name}.iq" for name in "abc"]
    alone = pk.reduce_files(files, folder / "one", composition="Ni")
    with ThreadPoolExecutor(2) as pool:
        shared = pk.reduce_files(files, folder / "two", composition="Ni", executor=pool)
    assert [row.diagnostics for row in alone] == [row.diagnostics for row in shared]
    assert (folder / "one" / "b.gr").read_bytes() == (folder / "two" / "b.gr").read_bytes()


@pytest.mark.slow
def test_processes_give_the_same_rows(folder: Path) -> None:
    files = [folder / f"{name}.iq" for name in "abc"]
    alone = pk.reduce_files(files, folder / "one", composition="Ni")
    shared = pk.reduce_files(files, folder / "two", composition="Ni", workers=2)
    assert [row.status for row in shared] == ["done"] * 3
    assert [row.diagnostics for row in alone] == [row.diagnostics for row in shared]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"files": "none*.iq"}, "no file matches"),
        ({"files": []}, "there is nothing to reduce"),
        ({"outputs": ("gr", "tif")}, "choose one of gr, sq"),
        ({"outputs": ()}, "no outputs are asked for"),
        ({"rstep": 0.0}, "rstep = 0 is outside"),
        ({"rmax": 0.01}, "make no usable grid"),
        ({"background": "missing.iq"}, "no such file"),
        ({"files": ["a/x.iq", "b/x.iq"]}, "would write the same results"),
        ({"rpolly": 1.0}, "'rpolly' is not a setting of a reduction: nearest are rpoly"),
    ],
)
def test_what_no_file_could_be_reduced_with_stops_at_once(folder: Path, change: dict, words: str) -> None:
    files = change.pop("files", folder / "a.iq")
    with pytest.raises(pk.PdfkitError) as error:
        pk.reduce_files(files, folder / "out", composition="Ni", **change)
    assert words in str(error.value)
    with pytest.raises(pk.PdfkitError, match="overwritten by its own result"):
        pk.reduce_files(folder / "a.iq", folder, composition="Ni", outputs=("iq",))


def test_the_command_reports_and_refuses(folder: Path) -> None:
    one = reduce_command([folder / "a.iq"], folder / "out", composition="Ni")
    assert "scale" in str(one)
    assert folder / "out" / "a.gr" in one.files()
    assert one.to_dict()["reductions"][0]["status"] == "done"
    many = reduce_command([folder / "a.iq", folder / "broken.iq"], folder / "out", composition="Ni", fresh=True)
    assert [row.status for row in many.failed] == ["failed"]
    assert "2 files: 1 done, 1 failed" in str(many)
    with pytest.raises(pk.PdfkitError, match=r"broken\.iq, line 2"):
        reduce_command([folder / "broken.iq"], folder / "out", composition="Ni")
    with pytest.raises(pk.PdfkitError, match="name files, or a configuration"):
        reduce_command([], folder / "out")


def test_a_picture_of_each_stage(folder: Path) -> None:
    report = reduce_command([folder / "a.iq"], folder / "out", composition="Ni", outputs=("png",))
    assert (folder / "out" / "a.png").read_bytes().startswith(b"\x89PNG")
    assert report.rows[0].outputs == (str(folder / "out" / "a.png"),)


# --- measured data ---


def examples() -> Path | None:
    try:
        found = importlib.metadata.distribution("diffpy.cmi")
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(str(found.locate_file("diffpy/cmi/docs/examples/pdf/ch05Fit2Phase/data")))


@pytest.mark.examples
@pytest.mark.skipif(examples() is None, reason="the measured data come with the `examples` extra")
@pytest.mark.parametrize(
    ("name", "composition", "bound"), [("ni", "Ni", 0.057), ("si", "Si", 0.083), ("sini", "Si0.5Ni0.5", 0.077)]
)
def test_measured_intensities_give_the_published_G(name: str, composition: str, bound: float) -> None:
    # The published curves reach 3 Å⁻¹ further (ni) and come from another program, with corrections that fade F by a
    # factor 0.7 to 0.85 from 2 to 20 Å⁻¹: that is most of what is left.
    folder = examples()
    assert folder is not None
    published = pk.read_pdf(folder / f"{name}.gr").crop(1.5, 30)
    done = pk.reduce(folder / "iq" / f"{name}.iq", composition=composition)
    assert shape_rw(done.to_pdf(published.r).G, published.G) < bound


@pytest.mark.examples
@pytest.mark.skipif(examples() is None, reason="the measured data come with the `examples` extra")
@pytest.mark.parametrize(("name", "composition"), [("ni", "Ni"), ("si", "Si")])
def test_fits_of_our_G_give_the_published_lattice_parameter(name: str, composition: str) -> None:
    folder = examples()
    assert folder is not None
    ours = pk.reduce(folder / "iq" / f"{name}.iq", composition=composition, errors="none").to_pdf()
    curves = {"published": pk.read_pdf(folder / f"{name}.gr", probe="X", qmax=27, qdamp=0.05), "ours": ours}
    found = {}
    for label, pdf in curves.items():
        crystal = pk.Crystal.from_file(composition, name="phase")
        model = pk.Model(crystal, replace(pdf.instrument, qdamp=0.05))
        free = ["scale", "a", "Uiso", "delta2", "qdamp"]
        found[label] = pk.fit(model, pdf, rmin=1.5, rmax=30, free=free).params["phase.a"]
    difference = abs(found["ours"].value - found["published"].value)
    assert difference < 2 * math.hypot(found["ours"].stderr, found["published"].stderr)


def test_the_command_line_takes_every_word_of_a_reduction(folder: Path) -> None:
    command = ["reduce", "a.iq", "-s", "Ni", "-o", "out"]
    words = ["--extrapolate", "linear", "--errors", "scatter"]
    done = forked.run(*command, *words, folder=folder)
    assert done.returncode == 0, done.stderr
    header = (folder / "out" / "a.gr").read_text(encoding="utf-8")
    assert "the amplitude of G(r) is relative: --rho0 has the factor estimated" in done.stdout
    assert "extrapolate = linear" in header
    assert "errors = scatter" in header
    words = [
        "--method",
        "physical",
        "--no-compton",
        "--slow",
        "0.03",
        "--rcut",
        "1.8",
        "--filter",
        "1",
        "--rho0",
        "0.09",
    ]
    done = forked.run(*command, *words, folder=folder)
    assert done.returncode == 0, done.stderr
    again = read_config(folder / "out" / "a.gr")
    asked = {"compton": False, "slow": 0.03, "rcut": 1.8, "filter_passes": 1, "rho0": 0.09}
    assert {name: again[name] for name in asked} == asked
    wrong = forked.run(*command, "--extrapolate", "cubic", folder=folder)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: --extrapolate 'cubic' is not known")
