"""Mixtures of references: amounts, their errors, bounds, mass balance, and what no reference explains."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_series import LAB, PURE, R, curves, model, noise

import pdfkit as pk
from pdfkit.series import Curves, mixture

SHARE = np.concatenate([[0.0, 0.0], np.linspace(0.02, 0.98, 16), [1.0, 1.0]])
WAYS = {
    "free": {},
    "one": {"total": "one"},
    "background": {"background": 3},
    "stretch": {"stretch": True},
    "cov": {"noise": "cov"},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_errors_of_amounts_are_right(way):
    """(ŵ − w)/σ of 8 × 20 scans has a spread of 1: 160 numbers tell it to 6 %."""
    off = []
    for seed in range(8):
        many = curves(SHARE, seed=seed, known="noise" in way)
        found = mixture(many, {name: model(name) for name in PURE} if "stretch" in way else PURE, **way)
        off.append((found.free[:, 1] - SHARE) / found.errors[:, 1])
    assert 0.82 < np.std(off) < 1.18
    assert abs(np.mean(off)) < 0.25


def test_bounded_amounts_are_never_negative_and_limits_hold():
    covered = []
    for seed in range(10):
        found = mixture(curves(SHARE, seed=seed), PURE, total="one")
        assert found.amounts.min() >= 0
        np.testing.assert_allclose(found.amounts.sum(axis=1), 1.0, atol=1e-12)
        on_bound = np.isfinite(found.upper)
        assert (found.amounts[on_bound] == 0).all()
        truth = np.column_stack([1 - SHARE, SHARE])
        covered += list((truth <= found.upper)[on_bound])
    assert len(covered) > 10
    assert np.mean(covered) > 0.9
    assert "stand on their bound" in " ".join(found.remarks)


def test_bounded_amounts_are_the_least_squares_within_bounds():
    """No step along a side, or off one that an amount stands on, leads down: the slope is the same along all others."""
    three = {**PURE, "third": pk.PDF(R, PURE["zincblende"].G + 0.3 * np.sin(2.2 * R), instrument=LAB)}
    found = mixture(curves([0.05, 0.5], known=True), three, total="one")
    from pdfkit.series.noise import noise_of

    many = curves([0.05, 0.5], known=True)
    known = noise_of(many, np.zeros((0, R.size)))
    A = np.array([known.white(one.G) for one in three.values()]).T
    for i in range(2):
        slope, amounts = A.T @ (A @ found.amounts[i] - known.white(many.G[i], i)), found.amounts[i]
        inside, size = amounts > 0, np.linalg.norm(A, axis=0).max() ** 2
        assert np.ptp(slope[inside]) < 1e-6 * size  # steps of amounts of 1e-6 are left
        assert (slope[~inside] >= slope[inside].min() - 1e-6 * size).all()
        np.testing.assert_allclose(amounts.sum(), 1.0, atol=1e-12)


@pytest.mark.parametrize("total", ["one", "free"])
def test_errors_of_references_are_those_of_all_scans(total):
    """References are means of 4 scans: their errors do not average out over 12 scans (24 repeats tell it to 14 %)."""
    share, off, alone = np.linspace(0.2, 0.8, 12), [], []
    for seed in range(24):
        seen = {name: one.G + e for (name, one), e in zip(PURE.items(), noise(1000 + seed, 2) / 2.0, strict=True)}
        found = mixture(curves(share, seed=seed), seen, total=total, averaged=4)
        p, covariance, common = found.populations()
        mean = float((p[:, 1] - share).mean())
        one, own = common[:, 1].mean(axis=0), covariance[:, 1, 1] - (common[:, 1] ** 2).sum(axis=1)
        off.append(mean / np.sqrt(one @ one + own.mean() / share.size))
        alone.append(mean / np.sqrt(own.mean() / share.size))
    assert 0.65 < np.std(off) < 1.35
    assert np.std(alone) > 1.4
    assert "the mean of 4 scans" in found.remarks[0]


def test_a_reference_that_is_one_of_the_scans_has_its_noise():
    many = curves([0.0, 0.3, 0.6, 1.0])
    own = mixture(many, {"first": many.G[0], "last": many.G[-1]}, total="one")
    exact = mixture(many, PURE, total="one")
    assert own.errors[1, 0] > 1.1 * exact.errors[1, 0]
    assert "one scan" in own.remarks[0]
    dG = np.full(R.size, 0.3)
    known = {name: pk.PDF(R, one.G, dG, instrument=LAB) for name, one in PURE.items()}
    assert mixture(many, known, total="one").errors[1, 0] > exact.errors[1, 0]
    with pytest.raises(pk.PdfkitError, match="averaged names 'x'"):
        mixture(many, PURE, averaged={"x": 3})


def test_shares_are_those_of_amounts_on_any_scale():
    many = curves(SHARE)
    scaled = Curves(R, many.G * np.linspace(0.5, 2, 20)[:, None], instrument=LAB)
    shares, covariance = mixture(scaled, PURE).shares()
    errors = np.sqrt(covariance[:, 1, 1])
    assert np.abs((shares[:, 1] - SHARE) / errors).max() < 4.5
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    sums, wide = mixture(scaled, PURE).sums()
    assert np.abs((sums - np.linspace(0.5, 2, 20)) / wide).max() < 4.5


def test_thermal_expansion_of_references_is_found():
    expanded = model("wurtzite").with_values({"c.expansion": 0.004})(R)
    many = Curves(R, 0.7 * expanded.G + 0.3 * model("zincblende").with_values({"c.expansion": 0.004})(R).G
                  + noise(3, 4), instrument=LAB)  # fmt: skip
    references = {name: model(name) for name in PURE}
    found = mixture(many, references, stretch=True)
    assert np.abs((found.stretch - 0.004) / found.stretch_errors).max() < 4
    assert np.abs((found.free[:, 1] / found.sums()[0] - 0.7) / found.errors[:, 1]).max() < 4
    rigid = mixture(many, references)
    assert np.linalg.norm(rigid.calc - many.G) > 1.05 * np.linalg.norm(found.calc - many.G)


def test_smooth_background_is_taken_out():
    slope = 0.3 + 0.2 * (R - R.mean()) / R.mean()
    many = curves(SHARE)
    lifted = Curves(R, many.G + slope, instrument=LAB)
    plain, lift = mixture(many, PURE, background=2), mixture(lifted, PURE, background=2)
    np.testing.assert_allclose(lift.free, plain.free, atol=1e-8)


@pytest.mark.parametrize("known", [False, True])
def test_what_no_reference_explains_is_said_with_its_scans(known):
    many = curves(SHARE, known=known)
    assert mixture(many, PURE).unexplained is None
    bump = 0.5 * np.exp(-(((R - 6.3) / 0.3) ** 2))
    odd = many.G.copy()
    odd[[6, 7]] += bump
    found = mixture(Curves(R, odd, instrument=LAB, covs=many.covs), PURE)
    assert found.unexplained is not None
    text = " ".join(found.remarks)
    assert "scan 7, scan 8: something is there that no reference has, most at r = 6." in text
    assert set(np.argsort(-np.abs(found.shares_unexplained))[:2]) == {6, 7}
    if known:
        assert "scan 7, scan 8: more is left than the errors of the data explain" in text


def test_calculated_curves_have_no_noise():
    many = curves(SHARE, size=0.0)
    found = mixture(many, PURE, total="one")
    np.testing.assert_allclose(found.amounts[:, 1], SHARE, atol=1e-9)
    assert found.errors.max() < 1e-6
    constant = Curves(R, [PURE["wurtzite"].G] * 3, instrument=LAB)
    np.testing.assert_allclose(mixture(constant, {"one": PURE["wurtzite"]}).amounts, 1.0)


def test_table_and_columns_show_what_is_known():
    found = mixture(curves(SHARE, index=np.arange(20.0)), PURE, total="one")
    assert "wurtzite < 0.0" in str(found) or "zincblende < 0.0" in str(found)
    table = found.to_dataframe()
    np.testing.assert_array_equal(table["wurtzite"], found.amounts[:, 1])
    assert list(table.columns)[2:5] == ["zincblende", "zincblende error", "zincblende limit"]


@pytest.mark.parametrize(
    ("references", "options", "words"),
    [
        ({}, {}, "given by name"),
        ({"a": PURE["wurtzite"], "b": PURE["wurtzite"]}, {}, "cannot tell a and b apart"),
        ({"a": PURE["wurtzite"]}, {"total": "one"}, "two references at least"),
        ({"a": PURE["wurtzite"].crop(2, 9)}, {}, "crop the scans"),
        ({"a": pk.PDF(R, np.sin(R), instrument=pk.Instrument(qmax=25))}, {}, "qmax is 25 Å⁻¹ for a and 20"),
        (PURE, {"noise": "dG"}, "needs scans that all have dG"),
        (PURE, {"total": "two"}, "choose one of free, one"),
    ],
)
def test_references_that_cannot_be_used_are_refused(references, options, words):
    with pytest.raises(pk.PdfkitError, match=words):
        mixture(curves([0.1, 0.5, 0.7]), references, **options)


def test_an_unknown_qmax_is_asked_for():
    with pytest.raises(pk.PdfkitError, match="depends on Qmax"):
        mixture(Curves(R, curves([0.1, 0.5]).G), {name: one.G for name, one in PURE.items()})


def test_amounts_made_to_sum_up_to_one_on_another_scale_are_said():
    """Twice the curves had given amounts of 0.12 for 0.29, with errors of 0.001, and blamed another phase."""
    scans = curves(np.linspace(0.2, 0.8, 6), size=0.02)
    twice = Curves(scans.r, 2 * scans.G, instrument=LAB)
    assert any("sum up to 2" in one for one in mixture(twice, PURE, total="one").remarks)
    assert not any("sum up to" in one for one in mixture(scans, PURE, total="one").remarks)


def test_references_that_are_not_normalised_alike_are_said():
    twice = {**PURE, "wurtzite": pk.PDF(R, 2 * PURE["wurtzite"].G, instrument=LAB)}
    words = "the sum of amounts goes with what is there"
    assert any(words in one and "from 0." in one for one in mixture(curves(SHARE), twice).remarks)
    many = curves(SHARE)
    scales = 1 + 0.05 * np.random.default_rng(3).standard_normal(SHARE.size)
    loose = Curves(R, scales[:, None] * many.G, instrument=LAB)
    assert not any(words in one for one in mixture(loose, PURE).remarks)
    assert not any(words in one for one in mixture(many, PURE).remarks)


def test_a_scan_without_any_reference_is_named():
    scans = curves([0.3, 0.5, 0.6, 0.7], size=0.02)
    empty = Curves(R, np.vstack([scans.G[:3], noise(9, 1, 0.02)]), instrument=LAB)
    assert any("scan 4: nothing of the references" in one for one in mixture(empty, PURE).remarks)
    assert not any("nothing of the references" in one for one in mixture(scans, PURE).remarks)
    beam_off = Curves(R, np.vstack([scans.G[:3], 0 * R]), instrument=LAB)
    assert any("scan 4: nothing" in one for one in mixture(beam_off, PURE, total="one").remarks)
