"""Screening of clusters whose atoms are not where the candidates have them."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import screens
from hypothesis import given
from hypothesis import strategies as st

import pdfkit as pk
from pdfkit.cli import screening
from pdfkit.fitting import discrepancy
from pdfkit.fitting.discrepancy import SHARE, SIZES, Rival, over_sizes, probabilities, shortest
from pdfkit.fitting.displacements import Pairs, covariance, pair_variance, root
from pdfkit.fitting.evidence import Likelihood, laplace
from pdfkit.fitting.perturbed import LAST
from pdfkit.screening import Certificate, ScreenFit
from pdfkit.screening.certificate import certified
from pdfkit.screening.rows import RankingRow, compared, judged_rows, noise_of
from pdfkit.screening.tasks import Problem, fit_particle, run_chunk, weighable

Array = np.ndarray


def shaken(size: float, seed: int, particle: pk.Particle | None = None, stiff: float = 20.0) -> pk.Particle:
    """Return the true candidate with atoms displaced by exactly `size` (Å) rms."""
    whole = screens.true() if particle is None else particle
    step = (root(whole.xyz, stiff) @ np.random.default_rng(seed).standard_normal(3 * len(whole))).reshape(-1, 3)
    step *= size / np.sqrt((step**2).sum(axis=1).mean())
    return pk.Particle.of(whole.symbols, whole.xyz + step, name="displaced")


@pytest.fixture(scope="module")
def displaced() -> pk.PDF:
    """Return data with errors of a cluster that relaxed by 0.2 Å."""
    return screens.measurement(shaken(0.2, 3), dG=True, noise=0.01, seed=2)


@pytest.fixture(scope="module")
def ranking(displaced: pk.PDF) -> pk.Ranking:
    return pk.screen(screens.particles(), displaced, **screens.RANGE, certificate=40)


# --- the formulas ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rival() -> tuple[pk.FitResult, Rival]:
    particle = screens.particles()[1]
    problem = Problem.of(screens.measurement(particle, dG=True), ScreenFit(**screens.RANGE))
    result = fit_particle(particle, problem)
    found = Rival.of(result)
    assert found is not None
    return result, found


def curve_of(result: pk.FitResult, xyz: Array, rival: Rival, size: float = 0.0) -> Array:
    """Return G of the fitted cluster with its atoms elsewhere, whitened; what that broadens is taken off U."""
    model = result.datasets[0].model
    cluster = model.phases[0]
    uiso = {name: u - size**2 / 3.0 for name, u in cluster.Uiso.items()}
    moved = replace(cluster, particle=replace(cluster.particle, xyz=xyz, lattice=None, sites=None), Uiso=uiso)
    r = result.datasets[0].data.r
    G = pk.Model(moved, model.instrument)(r).G[rival.whiten[0].index]
    return np.asarray(rival.whiten[0](G[None])[0])


def test_first_order_is_what_differences_give(rival: tuple[pk.FitResult, Rival]) -> None:
    result, found = rival
    xyz = result.datasets[0].model.phases[0].particle.xyz
    columns = []
    for k in range(xyz.size):
        step = np.zeros(xyz.size)
        step[k] = 1e-4
        sides = [curve_of(result, xyz + sign * step.reshape(-1, 3), found) for sign in (1.0, -1.0)]
        columns.append((sides[0] - sides[1]) / 2e-4)
    J = np.array(columns)
    expected = J.T @ covariance(Pairs.of(xyz)) @ J
    np.testing.assert_allclose(found.first, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("size", [0.1, 0.2])
def test_covariance_is_that_of_curves_with_atoms_displaced(rival: tuple[pk.FitResult, Rival], size: float) -> None:
    """All orders together; two fall short by 15 % where displacements are as large as widths."""
    result, found = rival
    xyz = result.datasets[0].model.phases[0].particle.xyz
    rng, turn = np.random.default_rng(0), root(xyz)
    steps = size * rng.standard_normal((250, xyz.size)) @ turn.T
    drawn = np.array([curve_of(result, xyz + step.reshape(-1, 3), found, size) for step in steps])
    measured = float(((drawn - drawn.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert np.trace(found.by_displacements(size)) == pytest.approx(
        measured, rel=0.12
    )  # 7 % of orders, 4 % of 250 curves


def test_without_displacement_the_integral_is_laplaces(rival: tuple[pk.FitResult, Rival]) -> None:
    result, found = rival
    likelihood = Likelihood.of(result, "known")
    # The ridge that holds what data do not determine, and bounds that cut the integral, are worth little here.
    assert found.ln_z(found.f[None], found.noises("known"))[0, 0, 0] == pytest.approx(
        laplace(likelihood, result.values), abs=0.05
    )
    assert found.table()["known"][0] == found.table()["misfit"][0] == 0.0


def test_covariance_of_places_keeps_bonds_and_has_the_size_that_it_says() -> None:
    xyz = screens.particles()[1].xyz
    pairs = Pairs.of(xyz)
    bonds = pairs.bonded
    assert bonds.sum() == 40  # ten anions of four neighbours
    spreads = [pair_variance(pairs, covariance(pairs, stiff))[bonds] for stiff in (0.0, 20.0)]
    assert np.trace(covariance(pairs)) == pytest.approx(len(xyz))
    np.testing.assert_allclose(spreads[0], 2.0 / 3.0)
    assert spreads[1].max() < 0.2


@given(st.lists(st.floats(-30, 0), min_size=1, max_size=20))
def test_the_list_is_the_smallest_with_its_share(lnz: list[float]) -> None:
    share = probabilities(lnz)
    inside = shortest(share)
    assert share.sum() == pytest.approx(1.0)
    assert share[inside].sum() >= SHARE - 1e-12
    assert share[inside].sum() - share[inside].min() < SHARE + 1e-12
    assert share[inside].min() >= share[~inside].max(initial=0.0)


def test_one_size_is_read_off_the_table_and_all_are_averaged() -> None:
    table = np.vstack([-10.0 * SIZES, -20.0 * SIZES**2])
    np.testing.assert_allclose(over_sizes(table, 0.2), table[:, 7])
    assert over_sizes(table, 0.24)[0] == pytest.approx(-2.4)
    assert over_sizes(table, float(SIZES[-1]))[1] == table[1, -1]
    np.testing.assert_allclose(over_sizes(table), np.log(np.exp(table).mean(axis=1)))


def test_differences_between_candidates_count_less_where_atoms_are_far_off() -> None:
    found = discrepancy.tempered(np.array([[0.0] * SIZES.size, [-8.0] * SIZES.size]))
    np.testing.assert_array_equal(found[0], 0.0)
    assert found[1, 0] == -8.0
    assert found[1, -1] == pytest.approx(-8.0 / (1.0 + (SIZES[-1] / discrepancy.TRUST) ** 2))


# --- rankings --------------------------------------------------------------------------------------------------------


def test_a_displaced_truth_is_found_and_its_displacement_said(ranking: pk.Ranking, displaced: pk.PDF) -> None:
    rigid = pk.screen(screens.particles(), displaced, **screens.RANGE, displacement="none")
    true = ranking[screens.true().name]
    assert (rigid.noise, ranking.noise) == ("misfit", "known")  # errors hold once atoms may be elsewhere
    assert true.delta < 3
    assert true.listed
    assert 0.1 < true.displacement < 0.35
    assert ranking.displacement == pytest.approx(0.2, abs=0.1)
    assert math.isnan(rigid.displacement)
    shares = [row.probability for row in ranking if row.stage == "fit"]
    assert sum(shares) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)
    assert sum(row.probability for row in ranking.listed) >= SHARE


def test_atoms_in_their_places_cost_nothing() -> None:
    data = screens.measurement(dG=True)
    found, rigid = (pk.screen(screens.particles(), data, **screens.RANGE, displacement=one) for one in ("auto", "none"))
    assert found[0].name == rigid[0].name == screens.true().name
    assert found[0].displacement < 0.06
    assert found.listed == (found[0],)
    none = pk.screen(screens.particles(), data, **screens.RANGE, displacement=0)
    assert [row.lnz for row in none] == pytest.approx([row.lnz for row in rigid])


def test_errors_of_the_data_need_not_hold(displaced: pk.PDF) -> None:
    found = pk.screen(screens.particles(), replace(displaced, dG=None), **screens.RANGE)
    assert found.noise == "misfit"
    assert found[screens.true().name].delta < 3


def test_the_certificate_is_printed_and_kept(ranking: pk.Ranking, tmp_path: Path) -> None:
    certificate = ranking.certificate
    assert certificate is not None
    assert certificate == certified(ranking, 40)
    assert (certificate.cases, certificate.rivals) == (40, 15)
    assert certificate.held > 0.7
    assert "Of 40 simulated cases like this one, among the best 15 candidates" in " ".join(ranking.table().split())
    back = pk.Ranking.load(ranking.save(tmp_path / "r.h5"))
    assert screens.numbers(back) == screens.numbers(ranking)
    assert (back.certificate, back.table()) == (certificate, ranking.table())
    rows = list(csv.DictReader(ranking.to_csv(tmp_path / "r.csv").read_text().splitlines()))
    assert float(rows[0]["probability"]) == ranking[0].probability
    assert float(rows[0]["displacement"]) == ranking[0].displacement
    assert rows[0]["listed"] == "True"
    assert pk.screen(screens.particles()[:1], ranking.data, **screens.RANGE).certificate is None


def test_files_and_journals_of_before_are_rigid(ranking: pk.Ranking, tmp_path: Path) -> None:
    path = ranking.save(tmp_path / "before.h5")
    with h5py.File(path, "a") as file:
        del file["entry/displaced"], file["entry/setting/certificate"]
        for name in ("displacement", "probability", "listed"):
            del file[f"entry/rows/{name}"]
        options = file["entry/setting/options"].asstr()[()].replace('"displacement": "auto", ', "")
        del file["entry/setting/options"]
        file["entry/setting/options"] = options
    back = pk.Ranking.load(path)
    assert back.settings.displacement == "none"
    assert back.certificate is None
    assert [row.lnz for row in back] == [row.lnz for row in ranking]
    assert "95 %" not in back.table()
    # Fits of before lack what displaced atoms do; without these nothing is missing.
    problem = ranking.problem
    rigid = replace(problem, fit=replace(problem.fit, displacement="none"))
    assert rigid.digest() == problem.digest()
    (record,) = run_chunk(rigid, "fit", [screens.true()])
    assert weighable(record, rigid)
    assert not weighable(record, problem)
    # Those to other orders would stand beside those of now.
    two_orders = {**record, "moved": {"known": [0.0]}}
    assert not weighable(two_orders, problem)
    assert weighable({**two_orders, "orders": LAST}, problem)


def test_large_clusters_and_points_by_themselves_stay_rigid(displaced: pk.PDF, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discrepancy, "MOST_ATOMS", 40)
    found = pk.screen(screens.particles()[:3], displaced, **screens.RANGE, certificate=0)
    assert {row.formula: bool(row.moved) for row in found} == {"Cd35Se20": False, "Cd20Se10": True, "Cd10Se4": True}
    alone = pk.screen(screens.particles()[:2], displaced, **screens.RANGE, errors="independent")
    assert not any(row.moved for row in alone)
    assert alone.certificate is None


def test_mixtures_move_too(displaced: pk.PDF) -> None:
    found = pk.screen(screens.particles()[:4], displaced, **screens.RANGE, mixtures=1, certificate=0)
    mixed = next(row for row in found if row.kind == "mixture")
    assert len(mixed.moved["known"]) == SIZES.size
    assert mixed.delta > 0


def test_noise_is_that_of_the_data_as_long_as_something_fits_within_it() -> None:
    row = RankingRow(
        "a", "a", stage="fit", rw=0.1, reduced_chi2=9.0, n_independent=60.0, n_free=5, errors_from="dG", occam=-20
    )
    better = {"known": (0.0, *([230.0] * 9)), "misfit": (0.0,) * 10, "odds": (200.0,)}
    assert noise_of([row], "auto") == noise_of([replace(row, moved=better)], "none") == "misfit"
    assert noise_of([replace(row, moved=better)], "auto") == "known"
    assert noise_of([replace(row, moved={**better, "odds": (300.0,)})], "auto") == "misfit"
    assert compared([], 3.0) == judged_rows([], "known", "none") == []


@pytest.mark.parametrize("value", ["some", -0.1, 0.5, True, None, math.nan])
def test_what_displacement_cannot_be(value: object) -> None:
    with pytest.raises(pk.PdfkitError, match='give "auto", "none", or the rms displacement'):
        ScreenFit(displacement=value)


def test_the_command_takes_displacement_as_a_word(displaced: pk.PDF, tmp_path: Path) -> None:
    measured = tmp_path / "data.gr"
    pk.write_pdf(measured, displaced)
    for one in screens.particles()[:2]:
        pk.io.write_xyz(tmp_path / f"{one.formula}.xyz", one)
    options = {"probe": "X", "qmin": 0.8, "qmax": 16.0, "qdamp": 0.05, "rmin": 1.8, "rmax": 14.0, "workers": 1}
    files = [str(tmp_path / "Cd20Se10.xyz"), str(tmp_path / "Cd10Se4.xyz")]
    found, _, _ = screening.run_screen(
        measured, files, **options, out=tmp_path / "o", displacement="0.2", certificate=4
    )
    assert found.settings.displacement == 0.2
    assert {row.displacement for row in found} == {0.2}
    assert found.certificate is not None
    assert found.certificate.cases == 4


def test_a_certificate_without_families_says_nothing_of_them() -> None:
    said = str(Certificate(200, 5, 0.951, math.nan, 0.5, 3.0, 0.123))
    assert said == (
        "Of 200 simulated cases like this one, among the best 5 candidates and with atoms displaced by 0.12 Å, "
        "the list held the truth in 95 %."
    )


def test_with_one_of_too_many_atoms_to_follow_all_stay_rigid(ranking: pk.Ranking) -> None:
    rows = [row for row in ranking if row.stage == "fit"]
    large = [replace(rows[0], moved={}, atoms=1500, name="large"), *rows[1:]]
    again = judged_rows(large, "misfit", "auto")
    assert [row.lnz for row in again] == [row.lnz for row in judged_rows(rows, "misfit", "none")]
    assert all(math.isnan(row.displacement) for row in again if row.name == "large")
    still = replace(ranking, rows=tuple(large))
    assert certified(still, 4) is None
    said = " ".join(str(still).split())
    assert "cannot be followed in large (1500 atoms; at most 1000), and to be fair all stay rigid" in said


def test_why_atoms_stay_where_they_are_is_said_as_it_is() -> None:
    """Neither a ranking of before nor points that are taken for independent have to do with the number of atoms."""
    some, data = screens.particles()[:2], screens.measurement(dG=True)
    alone = " ".join(str(pk.screen(some, data, **screens.RANGE, certificate=0, errors="independent")).split())
    assert 'displacements are followed with errors="auto" only' in alone
    ranking = pk.screen(some, data, **screens.RANGE, certificate=0)
    before = replace(ranking, rows=tuple(replace(row, moved={}) for row in ranking))
    said = " ".join(str(before).split())
    assert "was not followed when this ranking was made; screen again" in said
    assert "at most 1000" not in said
