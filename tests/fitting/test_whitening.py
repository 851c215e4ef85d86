"""Whitened fits: residuals become independent numbers of variance 1, and nothing of the data is lost."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from test_fitting import FREE, LAB, TIES, TRUTH, R, fitted, noise, start, true_model

import pdfkit as pk
from pdfkit.fitting.whitening import whitening

SHARP = replace(LAB, window="none")


@pytest.mark.parametrize("instrument", [LAB, SHARP], ids=["lorch", "none"])
def test_correlated_noise_becomes_independent(instrument: pk.Instrument) -> None:
    dG = 0.05 + 0.001 * R
    correlation = pk.uncertainty.Covariance.white(instrument, R[-1])
    made = whitening(pk.PDF(R, R, dG, instrument=instrument), instrument, "auto")
    assert made.source == "dG"
    rng = np.random.default_rng(2)
    # Replicas of the noise itself, on the points used: F(Q) white, times the window, to r, times dG.
    waves = np.sin(np.outer(R[made.index], correlation.Q)) * correlation.weight * np.sqrt(correlation.variance)
    replicas = (rng.standard_normal((3000, correlation.Q.size)) @ waves.T) * dG[made.index]
    white = made(replicas)
    # 3,000 replicas: variances to √(2/3000) = 2.6 %, correlations to 1.8 %; five of each.
    covariance = white.T @ white / len(white)
    np.testing.assert_allclose(covariance, np.eye(len(covariance)), rtol=0, atol=0.13)


def test_as_many_numbers_as_the_band_holds() -> None:
    made = whitening(pk.PDF(R, R, instrument=SHARP), SHARP, "auto")
    assert made.matrix.shape[0] == pytest.approx((R[-1] - R[0]) * 15.0 / math.pi, abs=5)
    coarse = np.arange(1.5, 30.0, 0.25)  # wider than π/Qmax = 0.21: every point counts
    assert whitening(pk.PDF(coarse, coarse, instrument=SHARP), SHARP, "auto").matrix.shape[0] == coarse.size


def test_the_grid_of_the_file_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    G = true_model()(R).G + noise(R, 15.0, 0.05, rng)
    whole = fitted(pk.PDF(R, G, np.full(R.size, 0.05), instrument=LAB))
    for stride in (2, 5, 20):  # 20: one point every 0.2 Å, π/Qmax = 0.209
        part = fitted(pk.PDF(R[::stride], G[::stride], np.full(R[::stride].size, 0.05), instrument=LAB))
        sigma = np.sqrt(np.diag(whole.covariance))
        np.testing.assert_allclose(np.sqrt(np.diag(part.covariance)), sigma, rtol=0.05)  # ends of the range differ
        assert (np.abs(part.values - whole.values) < 0.35 * sigma).all()


def test_independent_points_give_the_same_fit_where_errors_are_flat() -> None:
    model = start().with_instrument(SHARP)
    true = true_model().with_instrument(SHARP)
    q = np.pi / 60.0 * np.arange(1, int(15 * 60 / np.pi) + 1)
    G = true(R).G + np.random.default_rng(3).normal(0, 0.005, q.size) @ np.sin(np.outer(q, R))
    one, other = (
        pk.fit(model, pk.PDF(R, G, instrument=SHARP), free=FREE, ties=TIES, settings=pk.FitSettings(e))
        for e in ("covariance", "independent")
    )
    assert (one.whitened, other.whitened) == (True, False)
    sigma = np.sqrt(np.diag(one.covariance))
    # Both are right here; they weigh the ends of the range differently.
    assert (np.abs(one.values - other.values) < 0.5 * sigma).all()
    np.testing.assert_allclose(np.sqrt(np.diag(other.covariance)), sigma, rtol=0.25)


def test_covariance_of_the_data_comes_first() -> None:
    G = true_model()(R).G + noise(R, 15.0, 0.05, np.random.default_rng(8))
    cov = pk.uncertainty.Covariance.white(LAB, R[-1]).scaled(0.05**2)
    with_cov = fitted(pk.PDF(R, G, np.full(R.size, 9.0), instrument=LAB, cov=cov))
    given = pk.FitSettings(noise="given")
    with_dG = fitted(pk.PDF(R, G, np.full(R.size, 0.05), instrument=LAB), settings=given)
    assert (with_cov.errors_from, with_dG.errors_from) == ("cov", "dG")
    sigma = np.sqrt(np.diag(with_dG.covariance))
    # The same spectrum: as a covariance, and as correlation × dG, which is not exact below r of about π/Qmax. That
    # moves each value by a small part of its own error (values of other units have smaller ones).
    assert (np.abs(with_cov.values - with_dG.values) < 1e-3 * sigma).all()
    np.testing.assert_allclose(np.sqrt(np.diag(with_cov.covariance)), sigma, rtol=0.02)
    assert fitted(pk.PDF(R, G, instrument=LAB, cov=cov), use_errors=False).errors_from == "spectrum"


def test_where_nothing_is_known_points_stay_as_they_are() -> None:
    model = start().with_instrument(replace(LAB, qmax=math.inf, window="none"))
    result = pk.fit(model, pk.PDF(R, model(R).G * 1.1, instrument=model.instrument), free=["scale"], rmax=8)
    assert not result.whitened
    with pytest.raises(pk.PdfkitError, match="needs a finite qmax"):
        pk.fit(
            model,
            pk.PDF(R, model(R).G, instrument=model.instrument),
            free=["scale"],
            settings=pk.FitSettings("covariance"),
        )
    with pytest.raises(pk.PdfkitError, match="choose one of auto, covariance, independent"):
        pk.fit(model, pk.PDF(R, model(R).G), free=["scale"], settings=pk.FitSettings("white"))


def test_noise_that_grows_with_q_leaves_what_low_q_knows() -> None:
    # σ of F(Q) grows a hundredfold: the best known combinations have 1e-4 of the variance of the worst.
    model, true = start().with_instrument(SHARP), true_model().with_instrument(SHARP)
    Q = np.pi / 60.0 * np.arange(1, int(15 * 60 / np.pi) + 1)
    sigma = 1e-4 * np.exp(np.log(100.0) * Q / 15.0)
    step = Q[1] - Q[0]
    cov = pk.uncertainty.Covariance(Q, np.full(Q.size, 2 / np.pi * step), sigma**2)
    waves = 2 / np.pi * step * np.sin(np.outer(Q, R))
    rng = np.random.default_rng(12)
    clean, pulls, errors = true(R).G, [], []
    for _ in range(30):
        data = pk.PDF(R, clean + rng.normal(0, sigma) @ waves, instrument=SHARP, cov=cov)
        result = pk.fit(model, data, free=FREE, ties=TIES)
        error = np.sqrt(np.diag(result.covariance))
        pulls.append((result.values - [TRUTH[name] for name in result.free]) / error)
        errors.append(error[list(result.free).index("zb.spdiameter")])
    spread = np.sqrt(np.mean(np.square(pulls), axis=0))
    # 30 sets: ±13 %. The floor under the variances makes the reported errors too large, not too small.
    assert (spread < 1.35).all()
    assert (spread > 0.35).all()
    counted = pk.fit(model, data, free=FREE, ties=TIES, settings=pk.FitSettings("independent"))
    assert np.mean(errors) < 0.3 * counted.params["zb.spdiameter"].stderr
