"""Figures: what is drawn is what the result holds, files are of their kind, and pyplot is left alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from simulated_fits import ALL, NAME, several, single, two_phases

import pdfkit as pk
from pdfkit import plot
from pdfkit.errors import WriteError
from pdfkit.plot import canvas

STARTS = {"png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-", "svg": b"<?xml"}
RESULT_PLOTS = (plot.fit, plot.phases, plot.partials, plot.correlation)


def lines(ax):
    """Return the curves of axes (not the zero lines) as (x, y)."""
    return [line.get_xydata().T for line in ax.lines if len(line.get_xdata()) > 2]


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
@pytest.mark.parametrize("draw", RESULT_PLOTS)
def test_every_plot_of_every_result_is_drawn(draw, make):
    figure = draw(make())
    assert isinstance(figure, Figure)
    # Nothing warns (warnings are errors here), and something is on it.
    assert len(figure._repr_png_()) > 3000
    panels = 1 if draw is plot.correlation else len(make().datasets)
    assert len([ax for ax in figure.axes if ax.get_label() != "<colorbar>"]) == panels


def test_fit_shows_data_model_and_difference():
    result = single()
    (ax,) = plot.fit(result).axes
    observed, model, difference = lines(ax)
    for curve in (observed, model, difference):
        np.testing.assert_array_equal(curve[0], result.data.r)
    np.testing.assert_array_equal(observed[1], result.data.G)
    np.testing.assert_array_equal(model[1], result.calc.G)
    (zero,) = [line.get_ydata()[0] for line in ax.lines if len(line.get_xdata()) == 2]
    # One subtraction of numbers of order 10: 1e-14.
    np.testing.assert_allclose(difference[1] - zero, result.data.G - result.calc.G, rtol=0, atol=1e-13)
    assert difference[1].max() < min(observed[1].min(), model[1].min())  # below, not across
    low, high = ax.get_ylim()
    assert low < difference[1].min()
    assert high > observed[1].max()
    assert f"{result.rw:.3f}" in "".join(text.get_text() for text in ax.get_legend().get_texts())
    assert "Å" in ax.get_xlabel()
    assert "Å" in ax.get_ylabel()


def test_legend_keeps_clear_of_the_curves():
    for result in (single(), two_phases()):
        figure = plot.fit(result)
        figure.canvas.draw()
        (ax,) = figure.axes
        box = ax.get_legend().get_window_extent()
        for x, y in lines(ax):
            px = ax.transData.transform(np.column_stack([x, y]))
            assert not box.count_contains(px)


def test_dense_data_are_thinned_but_the_model_is_not():
    result = single()
    r = np.linspace(1.8, 12.0, 3001)
    calc = result.model(r)
    dense = replace(result.datasets[0], data=replace(calc, G=calc.G + 0.01), calc=calc)
    (ax,) = plot.fit(replace(result, datasets=(dense,))).axes
    circles = next(line for line in ax.lines if line.get_marker() == "o")
    assert circles.get_markevery() * canvas.CIRCLES >= r.size
    assert all(x.size == r.size for x, _ in lines(ax))


@pytest.mark.parametrize("draw", [plot.phases, plot.partials])
def test_stacked_curves_add_up_to_the_fit_and_do_not_touch(draw):
    result = two_phases()
    (ax,) = draw(result).axes
    zeros = [line.get_ydata()[0] for line in ax.lines if len(line.get_xdata()) == 2]
    observed, *curves = lines(ax)
    np.testing.assert_array_equal(observed[1], result.data.G)
    shifted = [y - zero for (_, y), zero in zip(curves, zeros, strict=True)]
    # Sums of six curves of order 10.
    np.testing.assert_allclose(sum(shifted[1:]), shifted[0], rtol=0, atol=1e-11)
    for (_, above), (_, below) in pairwise(curves):
        assert above.min() > below.max()
    names = [text.get_text() for text in ax.texts]
    assert names == (["fit", "zb", "wz"] if draw is plot.phases else ["fit", "Cd–Cd", "Cd–S", "S–S"])


def test_number_partials_have_no_total():
    (ax,) = plot.partials(single(), weighted=False).axes
    assert [text.get_text() for text in ax.texts] == ["Cd–Cd", "Cd–S", "S–S"]
    expected = single().partials(weighted=False)["Cd", "Cd"].G
    np.testing.assert_array_equal(lines(ax)[0][1], expected)


def test_correlation_shows_the_matrix_with_numbers():
    result = two_phases()
    ax = plot.correlation(result).axes[0]
    shown = np.ma.filled(ax.images[0].get_array().astype(float), np.nan)
    np.testing.assert_array_equal(shown, result.correlation)
    texts = {text.get_position(): text.get_text() for text in ax.texts}
    assert len(texts) == len(result.free) ** 2
    on_bound = result.free.index("wz.a")
    assert texts[on_bound, 0] == "–"
    i, j = result.free.index("zb.scale"), result.free.index("wz.scale")
    assert float(texts[j, i].replace("−", "-")) == pytest.approx(result.correlation[i, j], abs=0.00501)
    assert [label.get_text() for label in ax.get_xticklabels()] == list(result.free)


@pytest.mark.parametrize(
    ("value", "text"), [(0.853, ".85"), (-0.853, "−.85"), (-0.004, "0"), (0.999, "1"), (-1.0, "−1"), (np.nan, "–")]
)
def test_numbers_of_a_correlation(value, text):
    assert canvas.two_digits(value) == text


def test_several_data_sets_have_a_panel_each_and_refuse_one_ax():
    result = several()
    figure = plot.fit(result)
    assert len(figure.axes) == 2
    for ax, one in zip(figure.axes, result.datasets, strict=True):
        np.testing.assert_array_equal(lines(ax)[0][1], one.data.G)
        assert ax.get_legend().get_title().get_text() == one.name
    with pytest.raises(pk.PdfkitError, match="2 data sets"):
        plot.fit(result, ax=Figure().subplots())


def test_pdfs_are_stacked_or_laid_over_each_other():
    first, second = (one.data for one in several().datasets)
    (ax,) = plot.pdf(first, second).axes
    assert lines(ax)[0][1].min() > lines(ax)[1][1].max()
    (ax,) = plot.pdf(first, second, offset=1.5).axes
    np.testing.assert_array_equal(lines(ax)[1][1], second.G - 1.5)
    (ax,) = plot.pdf(first, second, offset=0).axes
    np.testing.assert_array_equal(lines(ax)[1][1], second.G)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [NAME, NAME]
    (ax,) = plot.pdf(replace(first, name="")).axes
    assert ax.get_legend() is None
    with pytest.raises(pk.PdfkitError, match="nothing to plot"):
        plot.pdf()


@pytest.mark.parametrize("name", ["$\\frac{$", "_hidden", "a $5 sample"])
def test_names_of_data_are_shown_as_they_are(name):
    figure = plot.pdf(replace(single().data, name=name))
    assert figure._repr_png_()
    (shown,) = figure.axes[0].get_legend().get_texts()
    assert shown.get_text().replace("\\$", "$").strip() == name
    figure.draw_without_rendering()
    assert shown._preprocess_math(shown.get_text())[1] is False  # no mathematics


def test_long_names_leave_room_for_the_curve():
    name = "beamtime_2031_vial_17_" + "x" * 200 + "_300K.gr"
    figure = plot.pdf(*[replace(single().data, name=name)] * 3)
    figure.canvas.draw()
    (shown, *_) = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert shown.count("\n") <= canvas.LINES
    assert shown.startswith("beamtime")
    assert shown.endswith("_300K.gr")
    assert figure.axes[0].get_position().width > 0.6


def test_drawing_on_given_axes():
    figure = Figure()
    ax = figure.subplots()
    assert plot.fit(single(), ax=ax) is figure
    assert len(lines(ax)) == 3


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_files_are_of_their_kind_and_alone(tmp_path: Path, kind):
    plot.fit(single(), tmp_path / f"fit.{kind.upper()}")
    (file,) = tmp_path.iterdir()  # no temporary file stays behind
    assert file.read_bytes().startswith(STARTS[kind])


def test_size_is_that_of_a_journal_column():
    assert plot.fit(single()).get_size_inches()[0] * 25.4 == pytest.approx(85.0)
    assert plot.fit(single(), width=canvas.DOUBLE).get_size_inches()[0] * 25.4 == pytest.approx(170.0)
    with pytest.raises(pk.PdfkitError, match="width"):
        plot.fit(single(), width=1e6)


@pytest.mark.parametrize("name", ["fit.jpeg", "fit", "fit.png.bak"])
def test_unknown_kinds_are_refused_with_the_possible_ones(tmp_path: Path, name):
    with pytest.raises(pk.PdfkitError, match=r"\.png, \.svg, \.pdf"):
        plot.fit(single(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_unwritable_places_are_named(tmp_path: Path):
    with pytest.raises(WriteError, match="does not exist"):
        plot.correlation(single(), tmp_path / "no" / "fit.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(WriteError, match="folder"):
        plot.pdf(single().data, path=tmp_path / "folder.png")


def test_pyplot_knows_of_no_figure_and_its_settings_stay(tmp_path: Path):
    import matplotlib
    from matplotlib._pylab_helpers import Gcf

    before, known = dict(matplotlib.rcParams), list(Gcf.figs)
    plot.fit(single(), tmp_path / "fit.svg")
    plot.correlation(single())
    assert dict(matplotlib.rcParams) == before
    assert list(Gcf.figs) == known


def test_text_in_svg_stays_text(tmp_path: Path):
    plot.phases(two_phases(), tmp_path / "phases.svg")
    assert ">zb</text>" in (tmp_path / "phases.svg").read_text(encoding="utf-8")
