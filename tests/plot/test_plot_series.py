"""Figures of series: what is drawn is what was given, with 5 scans or 500, and everything is legible."""

from __future__ import annotations

import numpy as np
import pytest
from test_legible import assert_legible

import pdfkit as pk
from pdfkit import plot
from pdfkit.plot.series import MOST_LINES
from pdfkit.series import Curves, distances, pearson

R = np.arange(1.0, 15.0, 0.05)


def curves(count: int, index=None, label: str = "T (K)") -> Curves:
    share = np.linspace(0, 1, count)[:, None]
    G = (1 - share) * np.sin(3 * R) + share * np.sin(2 * R)
    return Curves(R, G, np.linspace(150, 300, count) if index is None else index, label=label)


@pytest.mark.parametrize("count", [1, 5, 500])
def test_waterfalls(count):
    many = curves(count)
    figure = plot.waterfall(many)
    assert_legible(figure)
    lines = figure.axes[0].lines
    assert len(lines) == len(range(0, count, -(-count // MOST_LINES)))
    first = np.asarray(lines[0].get_ydata())
    np.testing.assert_array_equal(first, many.G[0])
    bar = figure.axes[1].get_ylabel()
    assert bar.startswith("T (K)")
    assert ("one of 13 scans drawn" in bar) == (count == 500)
    if count == 5:
        second = np.asarray(plot.waterfall(many, offset=1.5).axes[0].lines[1].get_ydata())
        np.testing.assert_allclose(second, many.G[1] + 1.5)


@pytest.mark.parametrize("count", [1, 5, 500])
def test_heatmaps_show_data_model_and_difference(count):
    many = curves(count)
    figure = plot.heatmap(many, calc=0.9 * many.G, difference="mean", rmin=2, rmax=8)
    assert_legible(figure)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == ["data", "model", "data − model", "data − mean"]
    inside = (R >= 2 - 1e-9) & (R <= 8 + 1e-9)
    maps = [ax.collections[0].get_array() for ax in figure.axes if ax.get_title()]
    np.testing.assert_allclose(np.asarray(maps[2]).reshape(count, -1), 0.1 * many.G[:, inside], atol=1e-12)
    ends = [ax.collections[0].get_clim() for ax in figure.axes if ax.get_title()]
    assert ends[0] == ends[1]
    assert ends[0][0] == -ends[0][1]


def test_scans_out_of_order_or_of_one_index_have_their_places():
    mixed = curves(4, index=[30.0, 10.0, 20.0, 40.0])
    mesh = plot.heatmap(mixed).axes[0].collections[0]
    np.testing.assert_array_equal(np.asarray(mesh.get_array()).reshape(4, -1), mixed.G[[1, 2, 0, 3]])
    figure = plot.heatmap(curves(4, index=[10.0, 10.0, 20.0, 30.0]))
    assert figure.axes[0].get_ylabel() == "scan"
    assert_legible(figure)


@pytest.mark.parametrize("count", [5, 500])
def test_likeness_of_scans(count):
    many = curves(count)
    for matrix, name in ((pearson(many), "Pearson correlation"), (distances(many), "difference")):
        figure = plot.likeness(matrix, index=many.index, label=many.label, name=name)
        assert_legible(figure)
        shown = np.asarray(figure.axes[0].collections[0].get_array()).reshape(count, count)
        np.testing.assert_array_equal(shown, matrix)
        assert figure.axes[0].get_xlabel() == figure.axes[0].get_ylabel() == "T (K)"


@pytest.mark.parametrize("count", [2, 5, 500])
def test_trends_have_bands_and_laws(count):
    T = np.linspace(150, 300, count)
    values, errors = {"MSC-311": np.exp(-T / 100), "MSC-322": 1 - np.exp(-T / 100)}, np.full(count, 0.02)
    figure = plot.trend(T, values, errors, label="t (s)", name="share", calc=values)
    assert_legible(figure)
    (panel,) = figure.axes
    assert panel.get_legend_handles_labels()[1] == list(values)
    band = panel.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(values["MSC-311"].max() + 0.02)
    assert len(panel.lines) == 4


def test_failed_scans_leave_gaps_and_wild_errors_do_not_press_curves_flat():
    T, a = np.arange(6.0), np.array([1.0, 1.1, np.nan, 1.2, 1.3, 1.4])
    errors = np.array([0.01, 0.01, np.nan, 0.01, 500.0, 0.01])
    figure = plot.trend(T, a, errors, label="T (K)", name="a (Å)")
    assert_legible(figure)
    low, high = figure.axes[0].get_ylim()
    assert high - low < 2
    assert plot.trend(T, np.full(6, np.nan))._repr_png_()


@pytest.mark.parametrize("count", [9, 90])
def test_numbers_that_were_held_are_hollow_and_single_points_are_seen(count):
    a, errors = np.full(count, 3.5), np.full(count, 0.01)
    a[[3, 5]], errors[[3, 5, 6, 7]] = np.nan, np.nan  # 4 stands alone, 6 and 7 were held
    figure = plot.trend(np.arange(count), a, errors, name="a (Å)")
    assert_legible(figure)
    (panel,) = figure.axes
    hollow = [line for line in panel.lines if line.get_markerfacecolor() == "none"]
    assert [line.get_xdata().tolist() for line in hollow] == [[6.0, 7.0]]
    assert panel.get_legend_handles_labels()[1] == ["without an error"]
    full = [line for line in panel.lines if line not in hollow and line.get_marker() == "o"]
    assert any(np.isfinite(line.get_ydata())[line.get_xdata() == 4.0].any() for line in full)
    assert not np.isfinite(panel.lines[0].get_ydata())[[6, 7]].any()


@pytest.mark.parametrize(
    ("shape", "count"), [((1, 40), 2), ((64, 64), 1), ((64, 64), 3), ((8, 20), 2), ((60, 20), 3), ((9, 9), 4)]
)
def test_slices(shape, count):
    rng = np.random.default_rng(1)
    maps = {name: rng.random(shape) for name in ("phase fraction", "D (Å)", "data − model", "scale")[:count]}
    maps["phase fraction"][0, 0] = np.nan
    figure = plot.ct_slice(maps, pixel=50, unit="µm", signed=["data − model"])
    assert_legible(figure)
    if shape[0] == 1:
        assert not figure.axes[0].get_xticks().size
    shown = np.ma.filled(figure.axes[0].images[0].get_array().astype(float), np.nan)
    np.testing.assert_array_equal(shown, maps["phase fraction"].T)
    if count > 2:
        low, high = figure.axes[2].images[0].get_clim()
        assert low == -high


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: plot.trend([1, 2], [1.0, 2.0, 3.0]), "values has 3 entries and the index has 2"),
        (lambda: plot.heatmap(curves(3), calc=np.zeros((2, 2))), "calc is"),
        (lambda: plot.likeness(np.zeros((2, 3))), "matrix is 2 × 3"),
        (lambda: plot.ct_slice({}), "no map to plot"),
        (lambda: plot.ct_slice(np.zeros((3, 3)), pixel=0), "pixel"),
        (lambda: plot.waterfall(curves(3), "run.jpg"), "cannot be written as 'jpg'"),
    ],
)
def test_what_cannot_be_drawn_is_said(draw, words):
    with pytest.raises(pk.PdfkitError, match=words):
        draw()
