"""Views of a series without a model: grids, differences, correlations, components above noise, non-negative parts."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_series import LAB, PURE, SHAPE, WAVES, Q, R, curves, noise

import pdfkit as pk
from pdfkit.series import Curves, differences, distances, nmf, pca, pearson
from pdfkit.series.noise import noise_of


def pdf(r, name: str = "", **about) -> pk.PDF:
    return pk.PDF(r, np.sin(2 * r), name=name, instrument=pk.Instrument(probe="X", qmax=20), **about)


def test_scans_on_one_grid_are_taken_as_they_are():
    r = np.arange(1, 10, 0.05)
    both = Curves.of([pdf(r, "a"), pdf(np.arange(2, 12, 0.05), "b")], [5, 6])
    np.testing.assert_allclose(both.r, np.arange(2, 10, 0.05), atol=1e-9)
    np.testing.assert_array_equal(both.G[0], np.sin(2 * r)[20:])
    assert both.names == ("a", "b")
    (said,) = both.remarks
    assert said.startswith("a, b: shorter in r than others")
    assert both.index.tolist() == [5, 6]


def test_scans_on_other_grids_are_interpolated_and_named():
    r = np.arange(1, 10, 0.05)
    both = Curves.of([pdf(r, "a"), pdf(r + 0.02, "b")])
    # The spline of fifth degree at a quarter of π/Qmax, far below noise.
    np.testing.assert_allclose(both.G[1], np.sin(2 * both.r), atol=1e-5)
    assert both.remarks == ("b: on other r than the first scan, interpolated to its points",)


def test_different_q_ranges_are_remarked():
    r = np.arange(1, 10, 0.05)
    other = pk.PDF(r, np.sin(r), instrument=pk.Instrument(probe="X", qmax=25))
    many = Curves.of([other, pdf(r, "a"), pdf(r, "b")])
    assert "different Q ranges (scan 1)" in many.remarks[0]
    assert many.instrument.qmax == 25


def test_scans_that_show_nothing_are_left_out_and_named(tmp_path):
    """One corrupt scan, one without an index, or one of no beam had refused a whole series."""
    r = np.arange(1, 10, 0.05)
    scales = {"10K": 1, "20K": 1, "30K": 0, "40K": 100, "x": 1}
    for name, scale in scales.items():
        one = pdf(r)
        pk.write_pdf(tmp_path / f"{name}.gr", pk.PDF(r, scale * one.G, instrument=one.instrument))
    text = (tmp_path / "20K.gr").read_text()
    (tmp_path / "50K.gr").write_text(text.replace(text.splitlines()[-9], "nan nan"))
    with pytest.warns(pk.PdfkitWarning, match="x.gr"):
        series = pk.read_series(tmp_path, index="{T}K", probe="X", qmax=20)
    found = Curves.of(series)
    assert found.index.tolist() == [10, 20, 40]
    words = ("30K.gr is left out: G is 0 everywhere", "50K.gr is left out", "x.gr is left out: it has no T")
    assert all(one.startswith(word) for one, word in zip(found.remarks, words, strict=False))
    assert found.remarks[-1] == "on another scale than most scans, by these factors: 40K.gr (1e+02)"
    with pytest.raises(pk.PdfkitError, match="no scan shows anything: 30K"):
        Curves.of(series.where(series.index == 30))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Curves.of([]), "no scans"),
        (lambda: Curves.of([pdf(np.arange(1, 5, 0.1)), pdf(np.arange(6, 9, 0.1))]), "no r in common"),
        (lambda: Curves.of([1.0]), "a series of PDFs"),
        (lambda: Curves(R, np.zeros((3, 5))), "G has 5 points a scan"),
        (lambda: Curves(R, np.zeros((3, R.size)), [1, 2]), "index has 2 entries and there are 3 scans"),
        (lambda: differences(curves([0.1]), "median"), "choose one of first"),
        (lambda: pearson(Curves(R, np.ones((2, R.size)))), "is constant"),
        (lambda: distances(Curves(R, np.zeros((2, R.size)))), "nothing to compare"),
        (lambda: pca(curves([0.1, 0.2])), "3 at least"),
        (lambda: nmf(curves([0.1, 0.2]), 3, "changes"), "from 1 to 2"),
        (lambda: nmf(curves([0.1, 0.2]), 1, "given"), "below 0"),
        (lambda: nmf(curves([0.1, 0.2]), 1, "rdf"), "needs rho0"),
        (lambda: nmf(curves([0.1, 0.2]), 1, "rdf", rho0=1e-4), "below 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make, words):
    with pytest.raises(pk.PdfkitError, match=words):
        make()


def test_differences_and_distances_agree():
    many = curves([0.0, 0.3, 1.0], size=0.02)
    np.testing.assert_array_equal(differences(many)[2], many.G[2] - many.G[0])
    np.testing.assert_array_equal(differences(many, "last")[0], many.G[0] - many.G[2])
    np.testing.assert_allclose(differences(many, "mean").sum(axis=0), 0, atol=1e-12)
    expected = np.sqrt(((many.G[2] - many.G[0]) ** 2).sum() / (many.G**2).sum() * 3)
    assert distances(many)[0, 2] == pytest.approx(expected)


def test_pearson_is_that_of_numpy_over_a_range():
    many = curves([0.0, 0.3, 1.0], size=0.02)
    inside = (R >= 3) & (R <= 8)
    np.testing.assert_allclose(pearson(many, 3, 8), np.corrcoef(many.G[:, inside]), atol=1e-12)


@pytest.mark.parametrize("scans", [5, 20])
@pytest.mark.parametrize("directions", [0, 1, 2])
def test_components_above_noise_are_counted(scans, directions):
    """Noise that grows 45-fold with Q is not told to the analysis; a bump that comes and goes is a second direction."""
    share = np.linspace(0, 1, scans) if directions else np.full(scans, 0.4)
    bump = 0.8 * np.exp(-(((R - 6.3) / 0.3) ** 2)) if directions == 2 else np.zeros(R.size)
    counts = []
    for seed in range(5):
        many = curves(share, seed=seed)
        G = many.G + np.outer(4 * share * (1 - share), bump)
        counts.append(pca(Curves(R, G, instrument=LAB)).count)
    assert counts == [directions] * 5


@pytest.mark.parametrize("flat", [True, False])
def test_noise_of_few_scans_is_no_component(flat):
    """Powers at low Q, where few numbers tell them, came out as 0 by chance: 10 of 100 counted one."""
    counts, size = [], np.ones(Q.size) if flat else SHAPE / SHAPE.max()
    for seed in range(30):
        made = 0.3 * (np.random.default_rng(seed).standard_normal((6, Q.size)) * size) @ WAVES
        counts.append(pca(Curves(R, PURE["zincblende"].G + made, instrument=LAB)).count)
    assert sum(counts) <= 1


def test_equal_scans_do_not_change():
    for change in (0.0, 1e-13):
        G = np.outer(1 + change * np.arange(5), PURE["zincblende"].G)
        found = pca(Curves(R, G, instrument=LAB))
        assert found.count == 0
        assert "nothing changes" in found.remarks[0]


def test_powers_of_long_scans_are_told_from_stretches():
    """To 60 Å, where r is cut into stretches, as to 15 Å: the spectrum of the noise is found within its error."""
    r = np.arange(150, 6001, 3) * 0.01
    nodes = np.arange(0.005, 20.0, 0.01)
    size = 1.0 + (nodes / 10.0) ** 2
    made = (np.random.default_rng(3).standard_normal((20, nodes.size)) * size) @ (
        0.02 / np.pi * np.sin(np.outer(nodes, r))
    )
    known = noise_of(Curves(r, made, instrument=LAB), np.zeros((0, r.size)))
    white = known.white(made)
    assert (white**2).mean() == pytest.approx(1.0, abs=0.03)
    low, high = (white[:, some].var() for some in (slice(0, 100), slice(-100, None)))
    assert low / high == pytest.approx(1.0, abs=0.15)


def test_components_with_known_errors_and_without_qmax():
    many = curves(np.linspace(0, 1, 10), known=True)
    found = pca(many)
    assert found.count == 1
    assert "known errors" in found.remarks[0]
    np.testing.assert_allclose(found.rebuilt(9), many.G, atol=1e-10)
    assert found.explained.sum() == pytest.approx(1.0)
    assert np.abs(found.rebuilt() - many.G).std() < 1.05 * noise(1, 40).std()
    unknown = pca(Curves(R, many.G))
    assert unknown.count is None
    assert "give qmax" in unknown.remarks[0]


def test_parts_are_non_negative_and_add_up():
    many = curves(np.linspace(0, 1, 8), size=0.01)
    parts = nmf(many, 2, "changes")
    assert parts.curves.min() >= 0
    assert parts.amounts.min() >= 0
    changes = many.G - many.G.min(axis=0)
    assert np.linalg.norm(parts.rebuilt() - changes) < 0.05 * np.linalg.norm(changes)
    # What comes and what goes: one grows along the series, the other shrinks.
    slopes = np.polyfit(np.arange(8), parts.amounts, 1)[0]
    assert slopes.min() < 0 < slopes.max()
    rho0 = pk.load_structure("CdS_zincblende").number_density()
    bulk = Curves(R, [pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb"), LAB)(R).G] * 3)
    assert "below 0, was set to 0" in nmf(bulk, 1, rho0=0.85 * rho0).remarks[0]
    assert set(PURE) == {"zincblende", "wurtzite"}
