"""Grids of a model: resampling, and tables that equal models share."""

from __future__ import annotations

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import PdfkitError
from pdfkit.model import cut

QMAX = 20.0
R = {
    "even": 0.01 * np.arange(101, 2001),
    "any": np.sort(np.random.default_rng(1).uniform(0.1, 20.0, 700)),
    "around 0": np.linspace(-3.0, 4.0, 300),
}


@pytest.mark.parametrize("which", R)
def test_curves_of_a_limited_band_are_resampled_exactly(which: str) -> None:
    r = R[which]
    grid = cut.make_grid(r, cut.choose_step(0.08, QMAX), QMAX, 4.0, 20.01)

    def curve(r: np.ndarray) -> np.ndarray:
        return np.sin(0.4 * QMAX * r) + 0.3 * np.sin(0.9 * QMAX * r)

    np.testing.assert_allclose(grid.resample(curve(grid.nodes)[None])[0], curve(r), atol=2e-8)


def test_the_spectrum_of_a_cut_is_computed_once() -> None:
    instruments = [pk.Instrument(probe="X", qmax=QMAX, qdamp=damp) for damp in (0.0, 0.03)]
    first, second = (cut.cut_spectrum(0.07, 500, one) for one in instruments)
    assert first is second
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1.0
    assert cut.cut_spectrum(0.07, 500, pk.Instrument(probe="X", qmax=QMAX + 1.0)) is not first


def test_models_that_differ_in_strengths_or_qmax_share_no_weights() -> None:
    crystal, r = pk.Crystal.from_file("CdS_zincblende", name="zb"), np.arange(1.0, 10.0, 0.01)
    about = pk.Instrument(probe="X", qmax=QMAX)
    G = pk.Model(crystal, about)(r).G
    for other in (
        pk.Model(crystal, about, strengths={"Cd": 40.0}),
        pk.Model(crystal, pk.Instrument(probe="X", qmax=QMAX, wavelength=0.5, anomalous=True)),
        pk.Model(crystal, pk.Instrument(probe="E", qmax=QMAX)),
    ):
        assert np.abs(other(r).G - G).max() > 1e-4 * np.abs(G).max()
    np.testing.assert_array_equal(pk.Model(crystal, about)(r).G, G)
    # Refused each time, though nothing but the strengths has changed.
    null = pk.Model(crystal, about, strengths={"Cd": -16.0, "S": 16.0})
    for _ in range(2):
        with pytest.raises(PdfkitError, match="mean scattering strength is 0"):
            null(r)
