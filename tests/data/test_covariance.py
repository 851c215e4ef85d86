"""Covariance of G(r): against its definition and against simulated noise."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.model import noise as model_noise

R = np.arange(0.5, 12.0, 0.05)


def some(modes: int = 0) -> pk.uncertainty.Covariance:
    rng = np.random.default_rng(4)
    Q = np.linspace(0.6, 20.0, 300)
    core = rng.standard_normal((modes, modes))
    return pk.uncertainty.Covariance(
        Q, rng.uniform(0.01, 0.02, 300), rng.uniform(0.1, 1, 300), rng.standard_normal((300, modes)), core @ core.T
    )


@pytest.mark.parametrize("modes", [0, 2])
def test_matrix_is_the_propagated_covariance_and_sigma_its_diagonal(modes: int) -> None:
    cov = some(modes)
    transform = np.sin(np.outer(R, cov.Q)) * cov.weight
    errors = np.diag(cov.variance) + cov.modes @ cov.core @ cov.modes.T
    expected = transform @ errors @ transform.T
    np.testing.assert_allclose(cov.matrix(R), expected, rtol=0, atol=1e-12 * expected.max())
    np.testing.assert_allclose(cov.sigma(R), np.sqrt(np.diag(expected)), rtol=1e-9)  # a difference of two sums
    np.testing.assert_allclose(cov.scaled(4.0).sigma(R), 2.0 * cov.sigma(R), rtol=1e-12)


@pytest.mark.parametrize("window", ["none", "lorch", "hann"])
def test_white_errors_are_those_of_simulated_noise(window: str) -> None:
    instrument = pk.Instrument(probe="X", qmin=0.8, qmax=15.0, window=window)
    cov = pk.uncertainty.Covariance.white(instrument, R[-1])
    far = np.arange(5.0, 12.0, 0.1)
    assert cov.sigma(far).mean() == pytest.approx(1.0, abs=0.02)  # sin² averages to ½ only over many Q
    noise = np.array([model_noise._unit_noise(R, instrument, seed) for seed in range(4000)])
    sampled = noise.T @ noise / len(noise)
    # 4,000 replicas: an element has a standard error of √(2/4000) = 0.022 at most; five of them.
    np.testing.assert_allclose(sampled, cov.matrix(R), rtol=0, atol=0.11)


def test_no_more_independent_errors_than_nyquist_allows() -> None:
    instrument = pk.Instrument(probe="X", qmax=20.0)
    values = np.linalg.eigvalsh(pk.uncertainty.Covariance.white(instrument, R[-1]).matrix(R))
    # (rmax − rmin)·Qmax/π, and a few more at the edges.
    assert (values > 0.01 * values.max()).sum() == pytest.approx((R[-1] - R[0]) * 20 / math.pi, abs=4)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(pk.PdfkitError, match="give qmax="):
        pk.uncertainty.Covariance.white(pk.Instrument(probe="X"), 20.0)
    with pytest.raises(pk.PdfkitError, match="weight has 2 points and Q has 3"):
        pk.uncertainty.Covariance([1, 2, 3], [1, 2], [1, 2, 3])
    with pytest.raises(pk.PdfkitError, match="negative values"):
        pk.uncertainty.Covariance([1, 2, 3], [1, 2, 3], [1, -2, 3])
