"""The minimum is found: from cells that are far off, with U of two elements exchanged, beside bounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import lsq_linear

import pdfkit as pk
from pdfkit.fitting.minimiser import Descent, Task
from pdfkit.fitting.moves import Rival, further, rivals, with_widths
from pdfkit.fitting.rivals import LONG, is_in_valley, raced, tried
from pdfkit.fitting.search import FEWEST
from pdfkit.fitting.steps import least, missed
from pdfkit.model import noise
from pdfkit.results.problem import FitSettings

LAB = pk.Instrument(probe="X", qmax=25.0, qdamp=0.03)
NI = pk.Model(pk.Crystal.from_file("Ni", name="ni"), LAB)
FREE = ["scale", "a", "Uiso"]


@pytest.mark.parametrize("seed", range(20))
def test_the_least_value_of_a_quadratic_within_limits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    A, b = rng.normal(size=(12, 6)), rng.normal(size=12)
    low, high = -rng.uniform(0, 0.3, 6), rng.uniform(0, 0.3, 6)
    low[0] = high[1] = 0.0
    y = least(A.T @ A, A.T @ b, low, high)
    assert y == pytest.approx(lsq_linear(A, -b, (low - 1e-15, high + 1e-15), method="bvls").x, abs=1e-9)


def test_a_limit_that_is_far_away_stops_no_step() -> None:
    y = least(np.eye(2), np.array([1.0, 1e-300]), np.array([-0.5, -1e10]), np.array([0.5, 1e10]))
    assert y[0] == pytest.approx(-0.5)


def test_curvature_that_jacobians_miss_is_learnt_from_any_places() -> None:
    rng = np.random.default_rng(0)
    S = rng.normal(size=(5, 5))
    S = S + S.T
    steps = np.eye(5) + 0.3 * rng.uniform(-1, 1, (5, 5))
    assert missed((steps, steps @ S)) == pytest.approx(S, abs=1e-9)
    few = missed((steps[:2], steps[:2] @ S))
    assert few == pytest.approx(few.T)
    assert few @ steps[:2].T == pytest.approx(S @ steps[:2].T)
    assert missed((steps[:0, :3],) * 2).tolist() == np.zeros((3, 3)).tolist()


def test_a_model_that_misses_much_is_fitted_in_few_steps() -> None:
    # ½Σf² with curvature of f against its size: steps from JᵀJ alone zigzag (their contraction is 0.9 in size).
    def system(x: np.ndarray) -> np.ndarray:
        f = np.array([x[0], x[1] - 1.0, 3.0 + 0.15 * x[0] ** 2 + 0.1 * x[1] ** 2])
        J = np.array([[1.0, 0.0, 0.3 * x[0]], [0.0, 1.0, 0.2 * x[1]]])
        return np.vstack([J, f])

    task = Task(system, np.full(2, -9.0), np.full(2, 9.0), np.arange(2))
    descent = Descent.begin(task, np.array([2.0, -2.0])).run(40, 1e-12)
    J, f = system(descent.here.x)[:-1], system(descent.here.x)[-1]
    assert descent.converged
    assert descent.nfev < 16
    assert np.abs(J @ f).max() < 1e-5


@pytest.mark.parametrize("share", [0.955, 1.045])
def test_a_cell_that_is_far_off_is_found_at_short_distances(share: float) -> None:
    data = noise.simulate(NI.with_values({"ni.Ni.Uiso": 0.005}), 1.5, 50.0, 0.02, 0.05, 1)
    start = NI.with_values({"ni.a": 3.524 * share, "ni.Ni.Uiso": 0.0015})
    found = pk.fit(start, data, free=FREE)
    assert found.params["ni.a"].value == pytest.approx(3.524, abs=1e-3)
    assert found.converged
    assert pk.fit(start, data, free=FREE, search="plain").rw > 5 * found.rw


def test_from_a_good_start_the_search_changes_nothing_and_costs_little() -> None:
    data = noise.simulate(NI.with_values({"ni.Ni.Uiso": 0.005}), 1.5, 30.0, 0.02, 0.05, 2)
    staged, plain = (pk.fit(NI, data, free=["scale", "a", "Uiso"], search=one) for one in ("staged", "plain"))
    sigma = np.sqrt(np.diag(plain.covariance))
    assert (np.abs(staged.values - plain.values) < 1e-3 * sigma).all()
    assert staged.nfev <= plain.nfev + 2
    assert staged.remarks == plain.remarks


def test_a_search_goes_the_same_way_every_time() -> None:
    data = noise.simulate(NI, 1.5, 20.0, 0.02, 0.05, 3)
    start = NI.with_values({"ni.a": 3.65})
    one, two = (pk.fit(start, data, free=["scale", "a", "Uiso"]) for _ in range(2))
    assert one.values.tolist() == two.values.tolist()
    assert one.nfev == two.nfev


def test_data_without_short_distances_are_fitted_as_before() -> None:
    data = noise.simulate(NI, 20.0, 30.0, 0.02, 0.05, 4)
    result = pk.fit(NI.with_values({"ni.a": 3.53}), data, free=["scale", "a"])
    assert result.params["ni.a"].value == pytest.approx(3.524, abs=2e-3)


@pytest.mark.parametrize("share", [0.96, 0.98, 1.01, 1.04])
def test_a_cell_without_short_distances_is_found_by_a_scan(share: float) -> None:
    data = noise.simulate(NI.with_values({"ni.Ni.Uiso": 0.006}), 20.0, 50.0, 0.02, 0.05, 3)
    found = pk.fit(NI.with_values({"ni.a": 3.524 * share}), data, free=FREE)
    assert found.converged
    assert found.params["ni.a"].value == pytest.approx(3.524, abs=5 * found.params["ni.a"].stderr)


def test_two_lengths_are_found_by_a_scan() -> None:
    model = pk.Model(pk.Crystal.from_file("CdS_wurtzite", name="wz"), LAB)
    data = noise.simulate(model, 20.0, 32.0, 0.02, 0.05, 3)
    start = model.with_values({"wz.a": 4.1348 * 1.025, "wz.c": 6.749 * 0.96})
    found = pk.fit(start, data, free=["scale", "a", "c", "Uiso"])
    assert [found.params[f"wz.{one}"].value for one in "ac"] == pytest.approx([4.1348, 6.749], abs=2e-3)


def test_a_model_that_explains_nothing_has_not_converged() -> None:
    data = noise.simulate(NI, 20.0, 50.0, 0.02, 0.05, 3)
    result = pk.fit(NI.with_values({"ni.a": 3.45}), data, free=FREE, search="plain")
    assert result.rw > 0.99
    assert not result.converged
    assert "explains nothing of the data" in result.message


def test_a_diameter_beyond_its_bound_ends_there_and_all_else_at_its_best() -> None:
    dot = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb", shape=pk.Sphere(22.0), delta2=2.0), LAB)
    data = noise.simulate(dot, 1.5, 25.0, 0.02, 0.02, 5)
    start = dot.with_values({"zb.spdiameter": 12.0, "zb.a": 5.75})
    free = ["scale", "a", "Uiso", "delta2", "spdiameter"]
    result = pk.fit(start, data, free=free, bounds={"spdiameter": (10.0, 21.0)})
    assert result.converged
    assert result.at_bounds == ("zb.spdiameter",)
    fixed = pk.fit(dot.with_values({"zb.spdiameter": 21.0}), data, free=free[:-1], search="plain")
    assert result.rw == pytest.approx(fixed.rw, rel=1e-3)


def test_neighbours_that_move_together_are_a_rival_of_those_that_do_not() -> None:
    # delta2 near the square of the bond leaves neighbours no width; a smaller one, and larger U, may fit better.
    low, high = np.zeros(4), np.array([1.0, 0.3, 0.3, 6.8])
    names = ("zb.scale", "zb.Cd.Uiso", "zb.Se.Uiso", "zb.delta2")
    tried = {one.words: one.x for one in rivals(names, np.array([0.1, 0.05, 0.03, 6.2]), low, high)}
    assert tried["another zb.delta2"].tolist() == [0.1, 0.05, 0.03, 3.4]
    assert not any("delta2" in one.words for one in rivals(names, np.array([0.1, 0.05, 0.03, 2.0]), low, high))


@pytest.mark.parametrize("strain", [0.988, 1.012])
def test_a_tetragonal_cell_of_nearly_cubic_metric_leaves_the_wrong_side(tmp_path: Path, strain: float) -> None:
    def cell(ratio: float) -> pk.Model:
        c = 3.6 * ratio
        text = f"data_t\n_cell_length_a 2.5456\n_cell_length_b 2.5456\n_cell_length_c {c}\n_cell_angle_alpha 90\n"
        text += "_cell_angle_beta 90\n_cell_angle_gamma 90\n_symmetry_space_group_name_H-M 'I 4/m m m'\nloop_\n"
        text += "_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
        text += "_atom_site_U_iso_or_equiv\nCu 0 0 0 0.006\n"
        (tmp_path / "t.cif").write_text(text, encoding="utf-8")
        return pk.Model(pk.Crystal.from_file(tmp_path / "t.cif", name="t"), LAB)

    data = noise.simulate(cell(strain), 1.5, 30.0, 0.02, 0.05, 6)
    free = ["scale", "a", "c", "Uiso"]
    start = cell(1 / strain)
    assert abs(pk.fit(start, data, free=free, search="plain").params["t.c"].value / 3.6 - strain) > 0.01
    found = pk.fit(start, data, free=free)
    assert found.params["t.c"].value == pytest.approx(3.6 * strain, abs=2e-3)
    assert any("c/a of t on the other side of 1.414" in text for text in found.remarks)


@pytest.mark.parametrize("share", [1.0, 1.02])
def test_a_diameter_that_runs_away_from_bulk_data_leaves_the_fit_in_order(share: float) -> None:
    # Its column fades to nothing on the way to 1e150 Å; squares of such steps are beyond what numbers hold.
    lab = pk.Instrument(probe="X", qmax=25.0, qdamp=0.04)
    bulk = pk.Model(pk.Crystal.from_file("CeO2", name="p"), lab)
    data = noise.simulate(bulk, 1.5, 30.0, 0.01, 0.02, 2)
    ball = pk.Model(pk.Crystal.from_file("CeO2", name="p", shape=pk.Sphere(18.0)), lab)
    start, free = ball.with_values({"p.a": 5.411 * share}), [*FREE, "delta2", "spdiameter"]
    found = pk.fit(start, data, free=free, search="plain", settings=FitSettings(noise="given"))
    assert found.params["p.a"].value == pytest.approx(5.411, abs=1e-3)
    assert found.params["p.spdiameter"].value > 1e3


def test_a_result_keeps_how_it_was_found(tmp_path: Path) -> None:
    data = noise.simulate(NI, 1.5, 10.0, 0.02, 0.05, 6)
    for search in ("staged", "plain"):
        result = pk.fit(NI, data, free=FREE, search=search)
        again = pk.load_result(result.save(tmp_path / f"{search}.h5"))
        assert again.search == result.search == result.to_dict()["search"] == search
    assert again.refit(free=["a"]).search == "plain"


def test_an_unknown_search_is_refused() -> None:
    with pytest.raises(pk.PdfkitError, match="search"):
        pk.fit(NI, NI(np.arange(1, 10, 0.02)), free=["a"], search="everywhere")


def test_many_sites_have_rivals_by_element_and_a_perfect_fit_has_none() -> None:
    labels = [f"{element}{k}" for element in ("Zn", "S") for k in range(8)]
    names = tuple(f"p.{label}.Uiso" for label in labels)
    x = np.repeat([0.004, 0.016], 8)
    found = list(rivals(names, x, np.full(16, 1e-4), np.full(16, 0.2)))
    assert [one.words for one in found] == ["the U of Zn and S in p exchanged"]
    np.testing.assert_allclose(found[0].x, np.repeat([0.016, 0.004], 8))


def test_a_fit_leaves_a_place_where_symmetry_takes_the_slope_away() -> None:
    cell = (3.9, 3.9, 4.15, 90, 90, 90)

    def model(z: float) -> pk.Model:
        places = [(0, 0, 0), (0.5, 0.5, 0.5 + z), (0.5, 0.5, 2.5 * z), (0.5, 0, 0.5 + 3 * z), (0, 0.5, 0.5 + 3 * z)]
        structure = pk.Structure.from_arrays(cell, ["Pb", "Ti", "O", "O", "O"], places, U=0.006)
        return pk.Model(pk.Crystal(structure, name="p"), pk.Instrument(probe="X", qmax=24, qdamp=0.03))

    data = model(0.04)(np.arange(1.5, 15, 0.02))
    free = ["scale", "Ti1.z", "O1.z", "O2.z", "O3.z"]
    plain, found = (pk.fit(model(0.0), data, free=free, search=search) for search in ("plain", "staged"))
    assert plain.rw > 0.25
    assert found.converged
    assert found.rw < 0.25 * plain.rw


def test_which_of_two_phases_is_diffuse_is_a_rival() -> None:
    names = ("wz.Cd.Uiso", "wz.S.Uiso", "zb.Cd.Uiso", "zb.S.Uiso")
    x = np.array([0.01, 0.02, 0.1, 0.2])
    tried = {one.words: one.x for one in rivals(names, x, np.full(4, 1e-4), np.full(4, 0.3))}
    assert tried["the U of wz and zb exchanged"].tolist() == [0.1, 0.2, 0.01, 0.02]
    x[2:] = x[:2]
    assert not any("wz and zb" in one.words for one in rivals(names, x, np.full(4, 1e-4), np.full(4, 0.3)))


def test_a_pair_without_width_gets_it_back_and_cells_leave_their_bounds() -> None:
    names, low, high = ("zb.a", "zb.S.Uiso", "zb.delta2"), np.array([5.5, 1e-4, 0.0]), np.array([6.1, 0.3, 6.4])
    less, cells = with_widths(names, np.array([5.5, 0.01, 6.0]), low, high)
    assert less.x.tolist() == pytest.approx([5.5, 0.01, 4.8])
    assert less.held == (2,)
    assert cells.x.tolist() == pytest.approx([5.8, 0.01, 6.0])
    assert [one.words for one in with_widths(names, np.array([5.8, 0.01, 6.0]), low, high)] == ["less zb.delta2"]


@pytest.mark.parametrize(("flaw", "left"), [(0, 6.4), (1, 3.0), (2, 3.0)])
def test_a_minimum_that_means_nothing_loses_against_a_proper_one_nearly_as_low(flaw: int, left: float) -> None:
    # χ² = 1 at delta2 = 6.4, 1.1 at 3.0, with a hill between.
    def system(x: np.ndarray) -> np.ndarray:
        z, slope = x[0], -0.05 / 3.4
        return np.array([[slope, 0.2 * (2.0 * z - 9.4)], [1.0 + slope * (z - 6.4), 0.2 * (z - 3.0) * (z - 6.4)]])

    task = Task(system, np.zeros(1), np.full(1, 6.8), np.arange(1), flaw=lambda x: flaw * bool(x[0] > 5.0))
    ended = Descent.begin(task, np.array([6.5])).run(40, 1e-8)
    assert ended.here.x[0] == pytest.approx(6.4, abs=0.1)
    race = raced(task, ("p.delta2",), np.zeros(0, dtype=np.int64), ended)
    assert race.best.here.x[0] == pytest.approx(left, abs=0.1)
    assert bool(race.words) == (left < 5.0)


class Hills:
    """χ² of one value with a minimum of 1.0 at 1, one of 0.2 at 4, and a hill between; counts evaluations."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.count += 1
        z = x[0]
        part = min(max((z - 1.0) / 3.0, 0.0), 1.0)
        f = np.array([0.5 * (z - 1.0) * (z - 4.0), np.sqrt(1.0 - 0.8 * part**2 * (3.0 - 2.0 * part))])
        return np.array([[0.5 * (2.0 * z - 5.0), -0.8 * part * (1.0 - part) / f[1]], f])


def at_one(hills: Hills) -> tuple[Task, Descent]:
    task = Task(hills, np.zeros(1), np.full(1, 9.0), np.arange(1))
    return task, Descent.begin(task, np.array([0.5])).run(40, 1e-9)


NO_SCALES = np.zeros(0, dtype=np.int64)


def test_a_rival_that_comes_back_is_left_and_one_that_does_not_is_followed() -> None:
    task, ended = at_one(Hills())
    assert ended.here.x[0] == pytest.approx(1.0, abs=0.1)
    back, other = (Rival("a move", np.array([x])) for x in (1.3, 4.3))
    known = [ended.here]
    assert tried(task, back, NO_SCALES, ended.here.cost, known) is None
    assert tried(task, back, NO_SCALES, ended.here.cost, []) is not None
    found = tried(task, other, NO_SCALES, ended.here.cost, known)
    assert found is not None
    assert found.here.x[0] == pytest.approx(4.0, abs=0.1)
    assert tried(task, Rival("a move", np.array([8.5])), NO_SCALES, ended.here.cost, known) is None


def test_a_parabola_says_what_is_in_the_valley_of_a_minimum() -> None:
    task, ended = at_one(Hills())
    near, far = (task.at(ended.here.x + step) for step in (0.02, 3.0))
    assert ended.here.predicted(near.x) == pytest.approx(near.cost, rel=1e-3)
    assert is_in_valley(ended.here, near.x, near.cost)
    assert not is_in_valley(ended.here, far.x, far.cost)


@pytest.mark.parametrize("most", [0.0, 4.0, 1e9])
def test_rivals_are_tried_within_a_budget(most: float) -> None:
    hills = Hills()
    task, ended = at_one(hills)
    before = hills.count
    race = raced(task, ("p.delta2",), NO_SCALES, ended, most)
    assert hills.count - before == 0 if most == 0.0 else hills.count - before <= most + LONG
    assert (race.words == "") == (most == 0.0 or race.best is ended)


def test_the_default_costs_at_most_three_fits_whatever_the_rivals() -> None:
    """Two phases of dots with their own U and delta2: some fifteen rivals."""
    phases = [
        pk.Crystal.from_file(f"CdS_{kind}", name=name, shape=pk.Sphere(26.0), delta2=2.0)
        for kind, name in (("zincblende", "zb"), ("wurtzite", "wz"))
    ]
    model = pk.Model(phases, LAB)
    data = noise.simulate(model.with_values({"wz.scale": 0.5, "zb.S.Uiso": 0.03}), 1.5, 15.0, 0.02, 0.05, 7)
    free = ["scale", "a", "c", "Uiso", "delta2"]
    said: list[str] = []
    found = pk.fit(model, data, free=free, progress=Told(said))
    first = int(said[said.index("trying minima nearby") - 1])
    assert found.nfev <= 3.0 * max(first, FEWEST * len(found.free)) + 2 * LONG


class Told:
    """A progress that keeps the number of evaluations, and what is done next."""

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def names(self, what: str) -> None:
        self.said.append(what)

    def __call__(self, nfev: int, rw: float) -> None:
        self.said.append(str(nfev))


def test_in_a_long_search_shares_and_sizes_and_components_move_as_well() -> None:
    names = ("wz.scale", "zb.scale", "wz.Cd.U11", "wz.Cd.U33", "zb.Cd.U11", "wz.spdiameter")
    found = {one.words: one.x.tolist() for one in further(names, np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))}
    assert found["wz.scale and zb.scale exchanged"] == [2.0, 1.0, 3.0, 4.0, 5.0, 6.0]
    assert found["wz.Cd.U11 and wz.Cd.U33 exchanged"] == [1.0, 2.0, 4.0, 3.0, 5.0, 6.0]
    assert found["wz.Cd.U11 and zb.Cd.U11 exchanged"] == [1.0, 2.0, 5.0, 4.0, 3.0, 6.0]
    assert found["sizes times 0.7"][-1] == pytest.approx(4.2)
    assert len(found) == 5
