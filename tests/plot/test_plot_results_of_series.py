"""Pictures of what fits of series found: own values of scans beside laws, a panel each, maps as maps."""

from __future__ import annotations

import numpy as np
import pytest
from test_legible import assert_legible

import pdfkit as pk
from pdfkit.plot import results_of_series

INSTRUMENT = pk.Instrument(probe="X", qmax=20, qdamp=0.03)
T, R = np.linspace(50.0, 350.0, 5), np.arange(1.5, 7.0, 0.05)


def nickel() -> pk.Model:
    return pk.Model(pk.Crystal.from_file("Ni", name="ni"), INSTRUMENT)


def scans() -> list[pk.PDF]:
    rng = np.random.default_rng(0)
    curves = [nickel().with_values({"a": 3.51 + 4e-5 * t})(R).G + rng.normal(0.0, 0.1, R.size) for t in T]
    return [pk.PDF(R, G, instrument=INSTRUMENT) for G in curves]


def test_points_are_scans_and_lines_are_laws(tmp_path):
    series = pk.read_series(scans(), index=T, name="temperature", unit="K")
    laws = {"laws": {"a": "linear"}, "shared": ["Uiso"]}
    result = pk.fit_series(nickel(), series, how="parametric", free=["scale"], out=tmp_path, curves=True, **laws)
    figure = result.plot()
    assert_legible(figure)
    assert [ax.get_ylabel() for ax in figure.axes[:2]] == ["ni.scale", "ni.a (Å)"]
    points, law = (line.get_ydata() for line in figure.axes[1].lines[:2])
    np.testing.assert_array_equal(points, result.by_itself("a").values)
    np.testing.assert_array_equal(law, result["a"].values)
    assert figure.axes[1].get_xlabel() == "temperature (K)"
    assert len(result.plot("a").axes) == 1
    maps = results_of_series.curves(result, tmp_path / "curves.png")
    assert [ax.get_title() for ax in maps.axes[:3]] == ["data", "model", "data − model"]


def test_maps_are_drawn_as_maps():
    volume = pk.read_series(scans()[:4], shape=(2, 2))
    result = pk.fit_series(nickel(), volume, how="map", free=["scale", "a"], mapped=["a"])
    figure = result.plot(width=80.0)
    assert figure.axes[0].get_xlabel() == "x (pixels)"
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), result.map("a").values.T)
    with pytest.raises(pk.PdfkitError, match="keeps no curves"):
        results_of_series.curves(result)
