"""Bands, profiles, bootstraps and samples: each agrees with the linear errors where those are right."""

from __future__ import annotations

import functools
import importlib.util
import math
from dataclasses import replace

import numpy as np
import pytest

import pdfkit as pk
from pdfkit import uncertainty
from pdfkit.errors import ParameterError
from pdfkit.model import noise

LAB = pk.Instrument(probe="X", qmax=16.0, qdamp=0.03)
FREE = ["scale", "a", "Uiso"]


def model() -> pk.Model:
    zb = pk.Crystal.from_file("CdS_zincblende", name="zb", shape=pk.Sphere(22.0), delta2=2.0)
    return pk.Model(zb, LAB)


@functools.lru_cache
def noisy(dG: bool = True, seed: int = 3) -> pk.FitResult:
    data = noise.simulate(model(), 1.5, 20.0, 0.02, 0.03, seed)
    return pk.fit(model(), data if dG else replace(data, dG=None), free=FREE)


def test_band_is_what_refits_of_noise_scatter() -> None:
    result = noisy()
    curves = np.array([noisy(seed=k).calc.G for k in range(40)])
    band = uncertainty.band(result)[""]
    assert band.shape == result.calc.G.shape
    ratio = curves.std(axis=0, ddof=1)[band > 0.2 * band.max()] / band[band > 0.2 * band.max()]
    # 40 replicas know a spread to 11 %; neighbouring points are not independent.
    assert np.median(ratio) == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("dG", [True, False])
def test_profile_of_a_nearly_linear_parameter_is_a_parabola(dG: bool) -> None:
    result = noisy(dG)
    found = uncertainty.profile(result, "zb.a", points=9)
    sigma = result.params["zb.a"].stderr
    # The misfit's size depends on the model a little: a parabola to 5 %.
    np.testing.assert_allclose(found.rise, ((found.values - found.best) / sigma) ** 2, atol=0.12, rtol=0.05)
    low, high = found.interval(1.0)
    assert (high - low) / 2 == pytest.approx(sigma, rel=0.05)
    assert all(math.isnan(x) for x in found.interval(9.0))


def test_bootstrap_of_white_noise_gives_the_linear_errors() -> None:
    result = noisy()
    found = uncertainty.bootstrap(result, repeats=120, seed=1)
    assert found.values.shape == (120, 4)
    for name, sigma in found.stderr.items():
        # 120 replicas to 6 %, and the squares of some 40 blocks to 20 %.
        assert sigma == pytest.approx(result.params[name].stderr, rel=0.45), name
    again = uncertainty.bootstrap(result, repeats=3, seed=1)
    np.testing.assert_array_equal(again.values, found.values[:3])


def test_bootstrap_sees_a_misfit_that_lies_in_one_region_of_q() -> None:
    data = noise.simulate(model(), 1.5, 20.0, 0.02, 0.002, 1)
    wrong = replace(data, G=data.G + 0.05 * np.sin(15.0 * data.r), dG=None)
    result = pk.fit(model(), wrong, free=["scale"])
    alike = pk.fit(model(), wrong, free=["scale"], settings=pk.FitSettings(noise="given"))
    drawn, flipped = (
        uncertainty.bootstrap(one, repeats=60).stderr["zb.scale"] / alike.params["zb.scale"].stderr
        for one in (result, alike)
    )
    # The misfit at Q = 15 hardly touches the scale, which the reflections at low Q determine: the spectrum of the
    # residual knows that, as the misfit with random signs does.
    assert flipped < 0.7
    assert drawn < 0.7
    assert result.params["zb.scale"].stderr < 0.7 * alike.params["zb.scale"].stderr


def test_shares_of_the_misfit_add_up() -> None:
    one = noisy().datasets[0]
    shares = uncertainty._shares(one, None)
    np.testing.assert_allclose(shares.sum(axis=0), one.difference, rtol=0, atol=1e-12)
    assert len(shares) == pytest.approx(16.0 * 18.5 / (4 * math.pi), abs=1)


@pytest.mark.skipif(importlib.util.find_spec("emcee") is None, reason="needs the extra `mcmc`")
@pytest.mark.filterwarnings("ignore")  # emcee's own
def test_samples_scatter_as_the_errors_say() -> None:
    result = noisy()
    chain = uncertainty.sample(result, steps=250, burn=80, walkers=20, seed=2)
    for name, column in zip(chain.free, chain.values.T, strict=True):
        assert column.std() == pytest.approx(result.params[name].stderr, rel=0.25), name  # autocorrelated samples
        assert abs(column.mean() - result.params[name].value) < 0.3 * result.params[name].stderr
    assert "longer chain" in uncertainty.sample(result, steps=2, burn=0, walkers=10).remark  # of which no time is told
    for wrong in ({"walkers": 0}, {"walkers": 7}, {"burn": -5}, {"seed": -1}):  # four parameters
        with pytest.raises(pk.PdfkitError, match=f"{next(iter(wrong))} = .* is outside"):
            uncertainty.sample(result, **wrong)


def test_names_and_numbers_that_cannot_be() -> None:
    with pytest.raises(ParameterError, match=r"zb\.b was not free in this fit: .*nearest are zb\.a"):
        uncertainty.profile(noisy(), "zb.b")
    with pytest.raises(pk.PdfkitError, match="points = 1 is outside"):
        uncertainty.profile(noisy(), "zb.a", points=1)
    with pytest.raises(pk.PdfkitError, match="repeats = 1 is outside"):
        uncertainty.bootstrap(noisy(), repeats=1)
