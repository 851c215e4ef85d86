"""Advice: what simulated data with a known end in Q, noise, size and window say of themselves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.cli.info_data import of_intensity, of_pdf
from pdfkit.data import advice
from pdfkit.model import noise as model_noise


def nanocrystal(size: float, noise: float, window: str = "none", seed: int = 1) -> pk.PDF:
    """G(r) of a CdSe sphere up to 60 Å, without dG."""
    particle = pk.Crystal.from_file("CdSe_zincblende", name="zb", shape=pk.Sphere(size))
    model = pk.Model(particle, pk.Instrument(probe="X", qmax=18.0, qdamp=0.04, window=window))
    return replace(model_noise.simulate(model, 0.01, 60.0, 0.01, noise, seed), dG=None)


@pytest.mark.parametrize("noise", [0.01, 0.05])
@pytest.mark.parametrize("size", [15.0, 30.0])
def test_cut_noise_and_size_are_found(size: float, noise: float) -> None:
    seen = advice.examine(nanocrystal(size, noise))
    assert seen.qmax_cut == pytest.approx(18.0, abs=0.15)  # Q is resolved to 2π/60 Å
    assert seen.noise == pytest.approx(noise, rel=0.2)
    assert seen.first_peak == pytest.approx(6.05 * math.sqrt(3) / 4, abs=0.02)
    assert seen.coherence is not None
    # γ₀ is small long before it is 0, and windows are 2 Å wide.
    assert 0.75 * size < seen.coherence < size + 2
    assert not seen.reaches_end
    assert seen.nyquist == pytest.approx(math.pi / 18)
    assert seen.independent == pytest.approx(59.99 * 18 / math.pi, rel=1e-3)
    assert seen.warnings == ()


def test_order_to_the_end_is_no_size() -> None:
    seen = advice.examine(nanocrystal(500.0, 0.01))
    assert seen.reaches_end
    assert seen.coherence == pytest.approx(59.0, abs=1.5)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_window_that_the_header_does_not_have_is_noticed(seed: int) -> None:
    faded = nanocrystal(15.0, 0.05, "lorch", seed)
    assert advice.examine(faded).warnings == ()
    wrong = replace(faded, instrument=replace(faded.instrument, window="none"))
    assert any("fades to 0 at qmax" in text for text in advice.examine(wrong).warnings)
    sharp = nanocrystal(15.0, 0.05, "none", seed)
    wrong = replace(sharp, instrument=replace(sharp.instrument, window="lorch"))
    assert any("does not fade" in text for text in advice.examine(wrong).warnings)


def test_a_wrong_or_missing_qmax_is_noticed() -> None:
    pdf = nanocrystal(20.0, 0.02)
    for qmax, words in (
        (24.0, "the header says qmax = 24"),
        (None, "qmax is not in the file"),
        (math.inf, "give qmax="),
    ):
        seen = advice.examine(replace(pdf, instrument=replace(pdf.instrument, qmax=qmax)))
        assert any(words in text for text in seen.warnings), qmax
    undamped = replace(pdf, instrument=replace(pdf.instrument, qdamp=0.0))
    assert any("qdamp is 0" in text for text in advice.examine(undamped).warnings)


def test_where_F_turns_to_noise() -> None:
    # Broad peaks: F is gone by 12 Å⁻¹, noise goes on to 25.
    model = pk.Model(
        pk.Crystal.from_file("CdSe_zincblende", name="zb", shape=pk.Sphere(20)),
        pk.Instrument(probe="X", qmax=25.0, qdamp=0.04),
    )
    model = model.with_values({"zb.Cd.Uiso": 0.06, "zb.Se.Uiso": 0.06})
    seen = advice.examine(replace(model_noise.simulate(model, 0.01, 60.0, 0.01, 0.02, 1), dG=None))
    # exp(−U·Q²/2·2) is e⁻⁴ at 8 Å⁻¹ and e⁻⁹ at 12.
    assert seen.qmax_noise is not None
    assert 7 < seen.qmax_noise < 14


def test_noise_is_dG_where_it_is_given() -> None:
    pdf = nanocrystal(20.0, 0.02)
    assert advice.examine(replace(pdf, dG=np.full(len(pdf), 0.5))).noise == 0.5


def test_short_or_empty_data_get_no_advice_but_no_error() -> None:
    r = np.linspace(1, 3, 40)
    assert advice.examine(pk.PDF(r, np.zeros(40))).warnings == ("too few points to say more",)
    assert advice.first_peak(r, -np.ones(40)) is None
    flat = pk.PDF(np.linspace(0.01, 30, 3000), np.zeros(3000), instrument=pk.Instrument(probe="X", qmax=20.0))
    assert advice.examine(flat).coherence is None or advice.examine(flat).reaches_end


def test_first_peak_is_no_ripple() -> None:
    r = np.arange(0.01, 10, 0.01)
    G = np.exp(-(((r - 2.5) / 0.1) ** 2)) + 3 * np.exp(-(((r - 4.1) / 0.1) ** 2)) + 0.2 * np.sin(20 * r) * np.exp(-r)
    assert advice.first_peak(r, G) is not None
    peak = advice.first_peak(r, np.where(r < 0.6, 4.0, G) - 0.1 * r)
    # 0.35 of the highest counts: the first peak has a third of it, so it takes the second.
    assert peak == pytest.approx(4.1, abs=0.01)
    assert advice.first_peak(r, G + 0.5 * np.exp(-(((r - 2.5) / 0.1) ** 2))) == pytest.approx(2.5, abs=0.02)


def test_low_r_slope_is_that_of_the_density() -> None:
    r = np.arange(0.01, 8, 0.01)
    G = -0.7 * r + 20 * np.exp(-(((r - 2.5) / 0.1) ** 2))
    assert advice.low_r_slope(r, G, 0.0, 2.5, 20.0) == pytest.approx(-0.7, rel=1e-3)
    assert advice.low_r_slope(r, G, 0.0, 0.5, 20.0) is None


def test_info_tells_it() -> None:
    lines = dict(of_pdf(nanocrystal(15.0, 0.05)))
    assert lines["F(Q) ends at"] == "18.0 Å⁻¹"
    assert "a size estimate" in lines["order reaches"]
    assert lines["first peak"].startswith("2.6")
    q = np.linspace(1, 20, 100)
    about = dict(of_intensity(pk.Intensity(q, q + 1, composition="Ni")))
    assert about["kind"] == "intensities I(Q)"
    assert about["composition"] == "Ni"
