"""Errors from the spectrum of the residual: right for any noise, and a remark where the residual is no noise."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.data.spectrum import NoiseSpectrum
from pdfkit.fitting import basis
from pdfkit.fitting.basis import SLOW, basis_of
from pdfkit.fitting.diagnosis import findings
from pdfkit.fitting.spectrum import Evidence, estimate, spectral

LAB = pk.Instrument(probe="X", qmax=20.0, qdamp=0.03, scattering="constant")
R = np.arange(150, 2001, 2) * 0.01
STEP = 0.02
Q = np.arange(STEP / 2, 20.0, STEP)
WAVES = 2.0 / np.pi * STEP * np.sin(np.outer(Q, R))
SIGMA = {"equal": np.full(Q.size, 0.1), "growing": 0.1 * (0.05 + (Q / 20.0) ** 2), "falling": 0.1 * np.exp(-Q / 5)}
FREE = ["scale", "a", "Uiso", "spdiameter"]


@lru_cache
def model() -> pk.Model:
    phase = pk.Crystal.from_file("CdS_zincblende", name="zb", shape=pk.Sphere(22.0), delta2=2.0)
    return pk.Model(phase, LAB).with_values({"zb.Cd.Uiso": 0.012, "zb.S.Uiso": 0.018})


@lru_cache
def clean() -> np.ndarray:
    return model()(R).G


def measured(kind: str, seed: int, size: float = 1.0) -> pk.PDF:
    F = size * SIGMA[kind] * np.random.default_rng(seed).standard_normal(Q.size)
    return pk.PDF(R, clean() + F @ WAVES, instrument=LAB)


def fitted(data: pk.PDF, of: pk.Model | None = None, **options: object) -> pk.FitResult:
    return pk.fit(of or model(), data, free=FREE, **options)  # type: ignore[arg-type]


def wrong(result: pk.FitResult) -> bool:
    """Whether a remark says that what the fit leaves is more than noise."""
    return any("is more than noise" in remark for remark in result.remarks)


SETS = 60


@pytest.mark.parametrize("kind", SIGMA)
def test_errors_are_right_and_estimates_as_good_as_they_can_be(kind: str) -> None:
    weight = np.full(Q.size, 2.0 / np.pi * STEP)
    cov = pk.uncertainty.Covariance(Q, weight, SIGMA[kind] ** 2)
    results = [fitted(measured(kind, seed), search="plain") for seed in range(SETS)]
    known = [fitted(replace(measured(kind, seed), cov=cov), search="plain") for seed in range(SETS)]
    values = dict(zip(model().names, model().values, strict=True))
    truth = np.array([values[name] for name in results[0].free])
    pulls = np.array([(one.values - truth) / np.sqrt(np.diag(one.covariance)) for one in results])
    # The spread of 60 numbers has an error of 1/√120 = 9 %: four of these, for five parameters of three kinds.
    spread = np.sqrt((pulls**2).mean(axis=0))
    assert (spread > 1 - 4 / math.sqrt(2 * SETS)).all(), spread
    assert (spread < 1 + 4 / math.sqrt(2 * SETS)).all(), spread
    scatter, best = (np.array([one.values for one in some]).std(axis=0) for some in (results, known))
    assert (scatter < 1.15 * best).all(), scatter / best
    # Below 5 %: of 60, more than 7 come about by chance once in 70 times.
    assert sum(map(wrong, results)) <= 7
    assert {one.errors_from for one in results} == {"spectrum"}


def test_whitening_with_a_spectrum_makes_its_noise_independent() -> None:
    data = measured("growing", 1)
    knots = basis_of(data.r, LAB).knots
    noise = NoiseSpectrum(knots, 0.01 + knots**2)
    made = spectral(data, LAB, noise)
    cov = noise.covariance(LAB, float(R[-1])).matrix(R[made.index])
    white = made(made(cov).T)
    values = np.linalg.eigvalsh(white)
    # Both are sums over nodes of Q, which do not lie alike.
    np.testing.assert_allclose(values[SLOW:], 1.0, rtol=0, atol=1e-3)
    # Of what errors that are slow in Q can be, next to nothing counts.
    assert (values[:SLOW] < 0.05).all(), values[:SLOW]


@pytest.mark.parametrize("kind", SIGMA)
def test_stretches_of_r_tell_what_the_whole_tells(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(numbers: int, stretches: int) -> tuple[np.ndarray, np.ndarray]:
        monkeypatch.setattr(basis, "LONG", numbers)
        basis._basis.cache_clear()
        result = fitted(measured(kind, 14))
        used = spectral(measured(kind, 14), LAB, result.datasets[0].noise).index
        assert len(basis_of(R[used], LAB).stretches) == stretches
        return np.log(result.datasets[0].noise.power), np.sqrt(np.diag(result.covariance))

    (whole, errors), (parts, others) = found(1000, 1), found(39, 3)
    basis._basis.cache_clear()
    # Five numbers or so tell a power, to 60 %, and errors are known to 10 %: that costs a small part of it.
    assert np.sqrt(((whole - parts) ** 2).mean()) < 0.25
    np.testing.assert_allclose(others, errors, rtol=0.1)


@pytest.mark.parametrize("n", [3, 0])
def test_products_with_the_projected_inverse_are_those_of_matrices(n: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Also of no parameter at all, as where data are constant: LAPACK printed that it was asked for nothing."""
    own = basis_of(R[::8], LAB)
    k = own.band.modes.shape[1]
    rng = np.random.default_rng(15)
    K, g = np.diag([0.1, 0.2, 0.3][:n]), np.array([0.3, -0.2, 0.1][:n])
    about = Evidence.of(rng.standard_normal((n + 1, k)), K.reshape(n, n), g)
    found = estimate(own, about, None, False)
    assert capfd.readouterr() == ("", "")
    C = own.whole.covariance(found.noise.power)
    C = np.triu(C) + np.triu(C, 1).T
    inverse = np.linalg.inv(C)
    inner = np.linalg.inv(about.J.T @ inverse @ about.J + about.K)
    P = inverse - inverse @ about.J @ inner @ about.J.T @ inverse
    w = rng.standard_normal((k, 5))
    np.testing.assert_allclose(found.known(w), (w * (inverse @ w)).sum(axis=0), rtol=1e-8)
    np.testing.assert_allclose(found.known(w) - found.shared(w), (w * (P @ w)).sum(axis=0), rtol=1e-8)
    a = P @ about.e - inverse @ about.J @ inner @ about.g
    np.testing.assert_allclose(found.a, a, rtol=0, atol=1e-8 * np.abs(a).max())
    np.testing.assert_allclose(C @ found.a, found.rest, rtol=0, atol=1e-8 * np.abs(found.rest).max())


def test_a_slow_error_that_ends_at_the_cut_is_no_structure() -> None:
    def off(size: float) -> pk.FitResult:
        F = size * Q / Q[-1] * (1.0 - 0.5 * (Q / Q[-1]) ** 2)  # what a wrong normalisation leaves
        data = measured("growing", 12)
        return fitted(replace(data, G=data.G + F @ WAVES))

    none, some = off(0.0), off(0.3)
    assert not wrong(some)
    # It rings along all of r with six times the noise there is at the cut, and moves nothing by a quarter of its error.
    assert (np.abs(some.values - none.values) < 0.25 * np.sqrt(np.diag(none.covariance))).all()


@pytest.mark.parametrize("size", [0.001, 1.0])
def test_errors_of_the_data_that_the_residual_contradicts_are_not_used(size: float) -> None:
    data = measured("growing", 3)
    plain, told = fitted(data), fitted(replace(data, dG=np.full(R.size, size)))
    (remark,) = [one for one in told.remarks if "not used" in one]
    assert remark.startswith("dG of the data is not used, because the residual is ")
    assert ("smaller" if size == 1.0 else "larger") in remark
    assert told.errors_from == "spectrum"
    np.testing.assert_allclose(np.diag(told.covariance), np.diag(plain.covariance), rtol=0.02)


def test_errors_of_the_data_that_agree_say_how_noise_goes_along_r() -> None:
    size = 0.5 + R / 10.0
    data = measured("equal", 4)
    data = replace(data, G=clean() + (data.G - clean()) * size)
    rms = float(np.sqrt(((data.G - clean()) ** 2).mean()))
    told = fitted(replace(data, dG=rms * size / math.sqrt(float((size**2).mean()))))
    assert (told.errors_from, told.datasets[0].noise.shaped, wrong(told)) == ("dG", True, False)
    # Without dG the noise is stronger at one end than at the other, which noise is not.
    assert wrong(fitted(data))


def test_a_quantity_held_at_a_wrong_value_is_named() -> None:
    off = model().with_instrument(replace(LAB, qdamp=0.034))
    data = replace(measured("growing", 5, 0.05), instrument=pk.Instrument())
    result = fitted(data, off)
    assert result.rw < 0.01
    (remark,) = [one for one in result.remarks if "asks for" in one]
    assert "asks for a lower qdamp than 0.034" in remark
    assert any("take the whole residual for noise" in one for one in result.remarks)
    right = pk.fit(off, data, free=[*FREE, "qdamp"])
    assert not wrong(right)
    assert abs(right.params["qdamp"].value - 0.03) < 4 * right.params["qdamp"].stderr


def test_a_wrong_structure_is_seen_in_what_it_leaves() -> None:
    stacked = pk.Stacked(
        "Cd", "S", name="st", a_h=4.12, alpha=0.4, Uiso={"Cd": 0.012, "S": 0.018}, shape=pk.Sphere(20.0), delta2=2.0
    )
    data = replace(measured("growing", 6, 0.1), G=pk.Model(stacked, LAB)(R).G + measured("growing", 6, 0.1).G - clean())
    result = fitted(data)
    assert 0.02 < result.rw < 0.3
    assert wrong(result)
    # Its errors follow from the spectrum, its estimates from points that are weighed alike: the least Rw.
    alike = fitted(data, settings=pk.FitSettings(noise="given"))
    assert result.rw == pytest.approx(alike.rw, rel=1e-6)
    np.testing.assert_allclose(result.values, alike.values, rtol=1e-4)


def test_noise_of_single_points_is_noise_and_what_fades_along_r_is_none() -> None:
    """Numbers added to each point of G, as simulations have them, hold more beyond Qmax than a cut leaves."""
    r = R[::6]
    of = basis_of(r, LAB)
    modes, rng = of.band.modes, np.random.default_rng(5)
    columns = modes.T @ np.array([np.sin(2.0 * r), np.cos(7.0 * r), r * np.sin(11.0 * r)]).T

    def uneven(e: np.ndarray) -> bool:
        about = Evidence.of(np.vstack([columns.T, e]), np.zeros((3, 3)), np.zeros(3))
        said = findings(of, about, estimate(of, about, None, False), r, ())
        return any("equally strong along r" in one for one in said)

    noise = [modes.T @ rng.standard_normal(r.size) for _ in range(120)]
    assert sum(map(uneven, noise)) <= 3  # 0.7 % are expected; with all modes 10 %
    fading = [modes.T @ (rng.standard_normal(r.size) * np.exp(-r / 8.0)) for _ in range(20)]
    assert sum(map(uneven, fading)) >= 18


def test_lines_in_q_are_no_noise() -> None:
    lab = pk.Instrument(probe="X", qmax=20.0, qdamp=0.03, scattering="constant")
    r = np.arange(150, 3001, 2) * 0.01
    ni = pk.Model(pk.Crystal.from_file("Ni", name="ni"), lab)
    waves = 2.0 / np.pi * STEP * np.sin(np.outer(Q, r))
    noise = SIGMA["growing"] * np.random.default_rng(13).standard_normal(Q.size)
    other = ni.with_values({"ni.a": 3.62})(r).G  # another crystal of which 4 % are there

    def remarks(share: float) -> list[str]:
        data = pk.PDF(r, (1 - share) * ni(r).G + share * other + noise @ waves, instrument=lab)
        free = ["scale", "a", "Uiso", "delta2", "qdamp", "qbroad"]
        return [one for one in pk.fit(ni, data, free=free).remarks if "is more than noise" in one]

    assert remarks(0.0) == []
    assert any("narrow lines" in one for one in remarks(0.04))


def test_data_without_noise_are_taken_as_before() -> None:
    exact = pk.PDF(R, clean(), instrument=LAB)
    assert fitted(exact).errors_from == "misfit"
    told = fitted(replace(exact, dG=np.full(R.size, 0.2)))
    assert (told.errors_from, told.datasets[0].noise) == ("dG", None)
    assert told.params["zb.a"].stderr > 1e-4


RANGES = {
    "narrow": (LAB, R, 3.0, 8.0),
    "from qmin": (replace(LAB, qmin=0.8), R, 1.5, 20.0),
    "lorch": (replace(LAB, window="lorch"), R, 1.5, 20.0),
    "coarse": (LAB, np.pi / 20.0 * np.arange(10, 128), 1.5, 20.0),
    "uneven": (LAB, 1.5 + 18.0 * np.linspace(0.0, 1.0, 400) ** 1.3, 1.5, 20.0),
}


@pytest.mark.parametrize("case", RANGES)
def test_any_range_window_and_grid(case: str) -> None:
    lab, r, rmin, rmax = RANGES[case]
    of = model().with_instrument(lab)
    q = Q[lab.qmin < Q]
    cov = pk.uncertainty.Covariance(
        q,
        2.0 / np.pi * STEP * pk.transforms.window(lab.window, q, 20.0),
        SIGMA["growing"][lab.qmin < Q] ** 2,
    )
    F = np.sqrt(cov.variance) * np.random.default_rng(7).standard_normal(q.size)
    data = pk.PDF(r, of(r).G + (cov.weight * F) @ np.sin(np.outer(q, r)), instrument=lab)
    own = fitted(data, of, rmin=rmin, rmax=rmax)
    known = fitted(replace(data, cov=cov), of, rmin=rmin, rmax=rmax)
    assert own.errors_from == "spectrum"
    ratio = np.sqrt(np.diag(own.covariance) / np.diag(known.covariance))
    # A spectrum from 30 to 120 numbers: errors are known to some 20 %.
    assert (ratio > 0.5).all(), ratio
    assert (ratio < 2.0).all(), ratio


def test_too_few_numbers_for_a_spectrum() -> None:
    result = fitted(measured("equal", 8).crop(2.0, 4.0))
    assert result.errors_from == "misfit"
    assert np.isfinite(np.diag(result.covariance)).all()


def test_the_same_data_give_the_same_fit_and_a_saved_one_goes_on_from_its_spectrum(tmp_path) -> None:
    result, again = (fitted(measured("growing", 9)) for _ in range(2))
    np.testing.assert_array_equal(result.covariance, again.covariance)
    back = pk.load_result(result.save(tmp_path / "fit.h5"))
    noise, read = result.datasets[0].noise, back.datasets[0].noise
    np.testing.assert_array_equal(read.power, noise.power)
    assert (read.stiffness, read.shaped, read.weighs) == (noise.stiffness, noise.shaped, noise.weighs)
    from pdfkit.fitting.least_squares import refit

    more = refit(back, back.params)
    error = np.sqrt(np.diag(result.covariance))
    assert (np.abs(more.values - result.values) < 1e-2 * error).all()
    np.testing.assert_allclose(np.sqrt(np.diag(more.covariance)), error, rtol=1e-2)


def test_each_of_several_data_sets_has_its_own_noise() -> None:
    sets = {"quiet": measured("growing", 10, 0.3), "loud": measured("equal", 11, 3.0)}
    both, quiet = fitted(sets), fitted(sets["quiet"])
    powers = {one.name: float(one.noise.at(10.0)) for one in both.datasets}
    assert powers["loud"] > 20 * powers["quiet"]
    # The loud set adds next to nothing, and takes nothing away.
    assert both.params["zb.a"].stderr == pytest.approx(quiet.params["zb.a"].stderr, rel=0.1)
    assert abs(both.params["zb.a"].value - quiet.params["zb.a"].value) < 0.3 * quiet.params["zb.a"].stderr


def test_a_spectrum_of_noise_must_make_sense() -> None:
    for Q_, power in (([1, 2], [1.0]), ([1], [1.0]), ([2, 1], [1.0, 1.0]), ([1, 2], [1.0, 0.0])):
        with pytest.raises(pk.PdfkitError, match="a spectrum of noise needs"):
            NoiseSpectrum(np.array(Q_, dtype=float), np.array(power))


def test_a_covariance_that_is_not_believed_weighs_no_points() -> None:
    """A model that misses much, and a covariance that believes one end of the spectrum a thousand times more."""
    wrong = replace(measured("equal", 3), G=measured("equal", 3).G * np.exp(-0.1 * R))
    cov = pk.uncertainty.Covariance(Q, np.full(Q.size, 2.0 / np.pi * STEP), 1e-8 * np.exp(Q))
    given, alike = fitted(replace(wrong, cov=cov)), fitted(wrong)
    assert any("points are weighed alike" in one for one in given.remarks)
    for name in alike.free:
        assert given.params[name].value == pytest.approx(alike.params[name].value, rel=1e-5)


def test_covariances_are_whitened_by_a_triangle_whose_determinant_is_theirs() -> None:
    stretch = basis_of(R[::9], LAB).whole  # longer than what LAPACK inverts as it is
    power = np.exp(np.random.default_rng(2).normal(size=len(stretch.hats)))
    half = np.triu(stretch.covariance(power))
    covariance = half + np.triu(half, 1).T
    Z, size = stretch.whitening(power)
    assert len(Z) > basis.SMALL
    assert (np.triu(Z, 1) == 0.0).all()
    # Slow errors have 1,000 times the power of noise: rounding is that much larger.
    np.testing.assert_allclose(Z @ covariance @ Z.T, np.eye(len(Z)), rtol=0, atol=1e-10)
    assert size == pytest.approx(0.5 * np.linalg.slogdet(covariance)[1], rel=1e-12)
    both = stretch.traces(covariance, np.eye(len(Z)))
    each = [(stretch.waves * hat) @ stretch.waves.T for hat in stretch.hats]
    np.testing.assert_allclose(
        both, [[(c * one).sum() for one in each] for c in (covariance, np.eye(len(Z)))], rtol=1e-12
    )
