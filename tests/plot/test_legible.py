"""What is legible, measured: texts do not overlap and are not cut, curves are inside their axes, nothing warns."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.text import Text
from simulated_fits import ALL, INSTRUMENT, model, several, single, two_phases

import pdfkit as pk
from pdfkit import plot
from pdfkit.fitting.comparison import Comparison
from pdfkit.plot import clusters, fits

LONG = "beamtime_2031_vial_17_after_two_hours_at_300_K_second_frame.gr"
NAMES = ["CdSe-4", LONG, "Größe αβγ Ångström", "硫化镉 nanocrystals カドミウム", "$x_1$ & 5 $", "_hidden"]


def texts(figure):
    """Return every text that is seen, with its box in pixels."""
    figure.draw_without_rendering()
    seen = []
    for text in figure.findobj(Text):
        if not text.get_visible() or not text.get_text().strip():
            continue
        seen.append((text, text.get_window_extent()))
    hidden = set()
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        for minor in (False, True):
            for tick in axis.get_minor_ticks() if minor else axis.get_major_ticks():
                low, high = sorted(axis.get_view_interval())
                if not low <= tick.get_loc() <= high or not tick.label1.get_visible():
                    hidden |= {tick.label1, tick.label2}
    return [(text, box) for text, box in seen if text not in hidden and text.figure is not None]


def overlap(one, other) -> float:
    """Return by how many pixels two boxes overlap, 0 where they do not."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(0.0, min(width, height))


def assert_legible(figure) -> None:
    """Check a figure: boxes of text, curves, legends, size of type."""
    shown = texts(figure)
    page = figure.bbox
    for text, box in shown:
        what = text.get_text()
        assert text.get_fontsize() >= 4.5, what
        # One pixel of 100 to the inch: the boxes of letters are a little wider than their ink.
        assert page.x0 - 1 <= box.x0, what
        assert box.x1 <= page.x1 + 1, what
        assert page.y0 - 1 <= box.y0, what
        assert box.y1 <= page.y1 + 1, what
    for (first, box), (second, other) in combinations(shown, 2):
        assert overlap(box, other) <= 1.0, (first.get_text(), second.get_text())
    for ax in figure.axes:
        if ax.get_label() != "<colorbar>":
            assert ax.bbox.width > 0.35 * page.width / len({round(one.bbox.x0) for one in figure.axes})
            assert ax.bbox.height > 40
        for line in (line for line in ax.lines if line.get_transform() == ax.transData):  # not the zero lines
            y = np.asarray(line.get_ydata(), dtype=float)
            low, high = ax.get_ylim()
            assert low <= np.nanmin(y), line.get_label()
            assert np.nanmax(y) <= high, line.get_label()


def curve(r, amplitude: float = 1.0, name: str = "") -> pk.PDF:
    return pk.PDF(r, amplitude * np.sin(3.0 * r), np.full(r.size, 0.05 * amplitude), instrument=INSTRUMENT, name=name)


def resized(result: pk.FitResult, r, amplitude: float, name: str = "") -> pk.FitResult:
    """Return the result with data and fit of another range and height."""
    data = curve(r, amplitude)
    one = replace(result.datasets[0], name=name, data=data, calc=replace(data, G=0.9 * data.G))
    return replace(result, datasets=(one,))


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
@pytest.mark.parametrize("draw", [plot.fit, plot.phases, plot.partials, plot.correlation])
def test_figures_of_fits(draw, make):
    assert_legible(draw(make()))


RANGES = {
    "two points": np.array([2.0, 2.01]),
    "narrow": np.arange(50.0, 50.002, 0.0001),
    "usual": np.arange(1.5, 20.0, 0.01),
    "long": np.arange(1.0, 100.0, 0.05),
    "far": np.arange(950.0, 1000.0, 0.05),
}


@pytest.mark.parametrize("amplitude", [1e-6, 1.0, 1e5])
@pytest.mark.parametrize("r", RANGES.values(), ids=RANGES)
def test_ranges_and_heights(r, amplitude):
    assert_legible(plot.fit(resized(single(), r, amplitude)))
    assert_legible(plot.pdf(curve(r, amplitude, "one"), curve(r, 0.2 * amplitude, "two"), difference=True))


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    r = np.arange(1.0, 30.0, 0.05)
    assert_legible(plot.pdf(*[curve(r, name=name)] * 3))
    assert_legible(plot.pdf(*[curve(r, name=name)] * 2, difference=True, width=85))
    assert_legible(plot.fit(resized(single(), r, 1.0, name), title=name, width=85))
    results = {f"{name} {k}": two_phases() for k in range(4)}
    assert_legible(fits.comparison(Comparison.of(results)))


@pytest.mark.parametrize("width", [40.0, 85.0, 170.0, 340.0])
def test_widths(width):
    assert_legible(plot.fit(two_phases(), width=width, title=LONG))
    assert_legible(plot.partials(single(), width=width))
    shown = plot.fit(single(), width=width).axes[0].xaxis.label.get_fontsize()
    assert shown == pytest.approx(9 * max(width / 170, 1) * min(width / 85, 1) ** 0.5)


def many(count: int, name: str) -> pk.Model:
    """Return a model of so many phases."""
    phases = [pk.Crystal.from_file("Ni", name=f"{name}{k}", scale=1 / (k + 1)) for k in range(count)]
    return pk.Model(phases, INSTRUMENT)


@pytest.mark.parametrize("name", ["p", "phase_of_nickel_that_was_annealed_for_two_hours_at_773_K_"])
def test_twelve_phases(name):
    source = many(12, name)
    result = pk.fit(source, source(np.arange(1.5, 10, 0.05)), free=[f"{name}0.scale"])
    assert_legible(plot.fit(result))
    assert_legible(plot.phases(result))
    assert_legible(plot.correlation(result))


@pytest.mark.parametrize("count", [1, 5, 20, 60])
def test_correlations(count):
    result = single()
    covariance = np.eye(count)
    free = tuple(f"zincblende.Cd{k}.Uiso" for k in range(count))
    assert_legible(plot.correlation(replace(result, free=free, values=np.ones(count), covariance=covariance)))


def test_partials_of_a_model():
    r = np.arange(1.0, 8.0, 0.02)
    figure = plot.partials(model(), r=r)
    (ax,) = figure.axes
    names = [text.get_text() for text in ax.texts]
    assert names == ["model", "Cd–Cd", "Cd–S", "S–S"]
    curves = [line for line in ax.lines if len(line.get_xdata()) == r.size]
    zeros = [line.get_ydata()[0] for line in ax.lines if len(line.get_xdata()) == 2]
    shares = [line.get_ydata() - zero for line, zero in zip(curves, zeros, strict=True)]
    # Sums of curves of order 10.
    np.testing.assert_allclose(shares[0], model()(r).G, rtol=0, atol=1e-11)
    np.testing.assert_allclose(sum(shares[1:]), shares[0], rtol=0, atol=1e-11)
    assert_legible(figure)
    assert_legible(plot.partials(many(2, "p"), title=LONG))
    assert [text.get_text() for text in plot.partials(model(), r=r, weighted=False).axes[0].texts] == names[1:]
    with pytest.raises(pk.PdfkitError, match="leave r out"):
        plot.partials(single(), r=r)


def test_difference_of_two_curves():
    r = np.arange(1.0, 10.0, 0.1)
    first, second = curve(r, name="a"), curve(np.arange(2.0, 20.0, 0.03), 0.5, "b")
    *_, line = (line for line in plot.pdf(first, second, difference=True).axes[0].lines if len(line.get_xdata()) > 2)
    x, y = line.get_data()
    np.testing.assert_allclose(x, r[r >= 2.0])
    # Linear between points 0.03 Å apart: h²/8 of a second derivative of 4.5.
    exact = 0.5 * np.sin(3 * x)
    np.testing.assert_allclose(y - y.mean(), exact - exact.mean(), atol=0.0006)
    assert y.max() < -0.99
    assert line.get_label() == "a − b"
    with pytest.raises(pk.PdfkitError, match="two curves, and 3"):
        plot.pdf(first, first, second, difference=True)
    with pytest.raises(pk.PdfkitError, match="no r in common"):
        plot.pdf(first, curve(np.arange(20.0, 30.0, 0.1)), difference=True)


def test_long_ranges_take_two_columns_and_phases_are_shown():
    assert plot.fit(single()).get_size_inches()[0] * 25.4 == pytest.approx(85)
    r = np.arange(1.0, 30.0, 0.05)
    assert plot.pdf(curve(r)).get_size_inches()[0] * 25.4 == pytest.approx(170)
    assert [text.get_text() for text in plot.fit(two_phases()).axes[0].texts] == ["zb", "wz"]
    assert len(plot.fit(several()).axes) == 2


BALL = pk.build.sphere("CdS_zincblende", 14.0)


@pytest.mark.parametrize("name", NAMES)
def test_patterns(name):
    ball = replace(BALL, name=name)
    small = pk.saxs(ball)
    assert_legible(clusters.pattern(small, small))
    assert_legible(clusters.guinier(small, pk.patterns.guinier(small.Q, small.intensity)))


def test_patterns_of_wide_angles():
    ball = replace(BALL, name=LONG)
    assert_legible(clusters.pattern(pk.waxs(ball)))
    assert_legible(clusters.pattern(pk.powder_pattern(ball, np.arange(10.0, 90, 0.5), 0.7)))
