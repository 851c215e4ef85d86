"""What data do not determine: combinations without effect are held, by name; what is hardly told is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import ParameterError
from pdfkit.fitting.ambiguous import not_told
from pdfkit.fitting.bounds import on_bound
from pdfkit.fitting.determined import NullSpace
from pdfkit.results.report import report_html
from pdfkit.structure import Site
from pdfkit.structure.operations import tabulated_operations

INSTRUMENT = pk.Instrument(probe="X", qmax=20, qdamp=0.03)
R = np.arange(1.0, 15.0, 0.02)


def simulated(model: pk.Model, values: dict[str, float] | None = None, r: np.ndarray = R, size: float = 0.02) -> pk.PDF:
    """Return the curve of a model, with noise that is even in Q."""
    Q = np.arange(0.1, 20, 0.1)
    waves = np.random.default_rng(1).standard_normal(Q.size) @ np.sin(np.outer(Q, r))
    return pk.PDF(r, model.with_values(values or {})(r).G + size * waves / waves.std(), instrument=INSTRUMENT)


def crystal(name: str, phase: str, **options: Any) -> pk.Crystal:
    return pk.Crystal.from_file(name, name=phase, **options)


# --- combinations without effect -------------------------------------------------------------------------------------


def polar(symbol: str, cell: tuple[float, ...], sites: list[Site]) -> pk.Crystal:
    R, t = tabulated_operations(symbol, cell)
    return pk.Crystal(pk.Structure(cell, sites, symbol, R, t), name="p")


POLAR = {
    "P 4 m m": (
        (4.0, 4.0, 4.1, 90, 90, 90),
        [((0, 0, 0), "Ba"), ((0.5, 0.5, 0.52), "Ti"), ((0.5, 0.5, 0.03), "O")],
        "c",
    ),
    "P m c 21": ((4.0, 5.6, 5.7, 90, 90, 90), [((0, 0.25, 0.0), "Ba"), ((0.5, 0.26, 0.52), "Ti")], "c"),
    "P 1 m 1": ((4.0, 5.6, 5.7, 90, 93, 90), [((0.1, 0, 0.0), "Ba"), ((0.55, 0.5, 0.52), "Ti")], "a c"),
}


def test_the_origin_of_wurtzite_floats_along_c() -> None:
    model = pk.Model(crystal("CdS_wurtzite", "wz"), INSTRUMENT)
    data = simulated(model, {"wz.S.z": 0.38})
    result = pk.fit(model, data, free=["scale", "a", "c", "z", "Uiso"])
    assert list(result.held) == ["wz.S.z"]
    assert "wz.S.z" not in result.free
    assert result.held["wz.S.z"] == (
        "the origin of P 63 m c floats along c: wz.S.z is held at 0.377; "
        "move it and wz.Cd.z together and nothing changes"
    )
    assert result.held["wz.S.z"] in result.remarks
    par = result.params["wz.S.z"]
    assert (par.value, par.stderr, par.vary) == (0.377, None, False)
    assert not result.at_bounds
    u = par.value - result.params["wz.Cd.z"].value
    assert abs(u - 0.38) < 4 * result.params["wz.Cd.z"].stderr
    fixed = pk.fit(model, data, free=["scale", "a", "c", "Cd.z", "Uiso"])
    assert np.allclose(fixed.values, result.values, rtol=1e-9)
    assert np.allclose(fixed.covariance, result.covariance)


def test_all_outputs_say_what_was_held_and_why(tmp_path: Path) -> None:
    model = pk.Model(crystal("CdS_wurtzite", "wz"), INSTRUMENT)
    result = pk.fit(model, simulated(model, {"wz.S.z": 0.38}), free=["scale", "z"])
    ((name, why),) = result.held.items()
    assert why in report_html(result)
    table = result.to_dataframe().set_index("name")
    assert table.held[table.held != ""].to_dict() == result.held
    assert result.to_dict()["params"][name]["held"] == why
    (columns,) = result.write_columns(tmp_path / "fit.txt")
    assert f"{name} = 0.377, held: {why}" in columns.read_text(encoding="utf-8")
    assert pk.Comparison.of({"one": result, "two": result}).to_dataframe()["held"].tolist() == [name, name]


@pytest.mark.parametrize("symbol", POLAR)
def test_polar_groups_have_floating_axes(symbol: str) -> None:
    cell, atoms, axes = POLAR[symbol]
    phase = polar(symbol, cell, [Site(element, element, xyz) for xyz, element in atoms])
    model = pk.Model(phase, INSTRUMENT)
    free = [name for name in model.names if name.endswith(("scale", ".x", ".y", ".z"))]
    result = pk.fit(model, simulated(model), free=free)
    letters = {"a": "x", "b": "y", "c": "z"}
    assert {name[-1] for name in result.held} == {letters[axis] for axis in axes.split()}
    for axis in axes.split():
        assert any(f"the origin of {symbol} floats along {axis}: " in text for text in result.remarks)


def test_a_cell_without_symmetry_floats_along_all_axes() -> None:
    wz = crystal("CdS_wurtzite", "p")
    rng = np.random.default_rng(2)
    p1 = wz.structure.to_p1()
    sites = [replace(s, xyz=tuple(np.array(s.xyz) + 0.02 * rng.standard_normal(3))) for s in p1.sites]
    model = pk.Model(pk.Crystal(replace(p1, sites=tuple(sites)), name="p"), INSTRUMENT)
    result = pk.fit(model, simulated(model), free=["scale", "x", "y", "z"])
    assert len(result.held) == 3
    assert {name[-1] for name in result.held} == set("xyz")
    assert {text.split(":")[0] for text in result.held.values()} == {
        f"the origin of P 1 floats along {axis}" for axis in "abc"
    }


def test_centrosymmetric_positions_are_not_held() -> None:
    model = pk.Model(crystal("CdS_zincblende", "zb"), INSTRUMENT)
    assert not pk.fit(model, simulated(model), free=["scale", "a", "Uiso", "delta2"]).held


def test_occupancies_of_all_atoms_go_with_the_scale() -> None:
    model = pk.Model(crystal("Ni", "ni"), INSTRUMENT)
    result = pk.fit(model, simulated(model, {"ni.scale": 0.7}), free=["scale", "occ"])
    assert list(result.held) == ["ni.Ni.occ"]
    assert result.params["ni.Ni.occ"].value == 1.0
    assert abs(result.params["ni.scale"].value - 0.7) < 4 * result.params["ni.scale"].stderr
    assert "no more than their ratios" in result.held["ni.Ni.occ"]
    assert not pk.fit(model, simulated(model), free=["occ"], bounds={"occ": (0.5, 1.0)}).held


@pytest.mark.parametrize("lower", ["Cd", "S"])
def test_the_ratio_of_occupancies_is_told_whichever_is_lower(lower: str) -> None:
    model = pk.Model(crystal("CdS_wurtzite", "wz"), INSTRUMENT)
    result = pk.fit(model, simulated(model, {f"wz.{lower}.occ": 0.8}), free=["scale", "occ", "Uiso"])
    other = {"Cd": "S", "S": "Cd"}[lower]
    assert list(result.held) == [f"wz.{other}.occ"]
    assert not result.at_bounds
    found = result.params[f"wz.{lower}.occ"]
    assert abs(found.value - 0.8) < 4 * found.stderr
    assert "held" not in found.user_data


def test_two_phases_that_are_the_same() -> None:
    model = pk.Model([crystal("Ni", "one"), crystal("Ni", "two")], INSTRUMENT)
    result = pk.fit(model, simulated(model), free=["scale"])
    assert list(result.held) == ["two.scale"]
    assert "curves of their phases are the same" in result.held["two.scale"]
    total = sum(result.params[f"{name}.scale"].value for name in ("one", "two"))
    assert abs(total - 2.0) < 4 * result.params["one.scale"].stderr


def test_what_has_no_effect_at_all() -> None:
    model = pk.Model(crystal("Ni", "ni"), INSTRUMENT)
    result = pk.fit(model, simulated(model), free=["scale", "sratio"])
    assert result.held == {"ni.sratio": "ni.sratio has no effect on what is fitted, for ni.rcut is 0: it is held at 1"}
    with pytest.raises(ParameterError, match=r"nothing that is free has any effect: ni\.sratio"):
        pk.fit(model, simulated(model), free=["sratio"])
    two = pk.Model([crystal("Ni", "ni"), crystal("CdS_zincblende", "zb", scale=0.0)], INSTRUMENT)
    result = pk.fit(two, simulated(two), free=["ni.scale", "zb.a"])
    assert result.held == {"zb.a": "zb.a has no effect on what is fitted, for zb.scale is 0: it is held at 5.832"}


def test_ties_that_make_two_the_same() -> None:
    model = pk.Model(crystal("Ni", "ni"), INSTRUMENT)
    params = pk.parameters(model)
    params.add("first", 3.5, min=3, max=4)
    params.add("second", 0.02, min=-0.5, max=0.5)
    result = pk.fit(
        model, simulated(model), params=params, free=["scale", "first", "second"], ties={"ni.a": "first + second"}
    )
    assert result.held == {
        "second": "second and first stand for each other: second is held at 0.02; "
        "move them together and nothing changes"
    }
    assert abs(result.params["ni.a"].value - 3.524) < 4 * result.params["ni.a"].stderr


def test_what_a_restraint_tells_is_not_held() -> None:
    model = pk.Model(crystal("CdS_wurtzite", "wz"), INSTRUMENT)
    restraints = [pk.ValueRestraint("wz.Cd.z", 0.0, 0.001)]
    result = pk.fit(model, simulated(model), free=["scale", "z"], restraints=restraints)
    assert not result.held
    assert result.params["wz.S.z"].stderr > 0


def test_what_vanishes_by_symmetry_alone_is_not_held() -> None:
    """Every coordinate of a cell in P 1 that has more symmetry than it says: slopes are 0 there, and not beside."""
    p1 = crystal("CdS_zincblende", "zb").structure.to_p1()
    model = pk.Model(pk.Crystal(p1, name="p"), INSTRUMENT)
    result = pk.fit(model, simulated(model), free=["scale", "S1.x", "S1.z"])
    assert not result.held
    assert result.free == ("p.scale", "p.S1.x", "p.S1.z")


def test_a_fit_that_is_determined_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No evaluation more than the optimiser's own: it begins where the derivatives were looked at."""
    from pdfkit.fitting.residuals import Residuals

    calls = []
    curves = Residuals._curves

    def counted(self: Residuals, values: np.ndarray, tangents: np.ndarray) -> Any:
        calls.append(tangents.shape[1])
        return curves(self, values, tangents)

    monkeypatch.setattr(Residuals, "_curves", counted)
    model = pk.Model(crystal("Ni", "ni"), INSTRUMENT)
    settings = pk.FitSettings(noise="given")
    result = pk.fit(model, simulated(model, {"ni.a": 3.53}), free=["a", "Uiso"], settings=settings)
    assert len(calls) <= result.nfev + 1  # where the last step was not taken, it looks again


def test_null_vectors_are_found_whatever_the_units() -> None:
    rng = np.random.default_rng(0)
    jac = rng.standard_normal((30, 4)) * np.array([1e-6, 1.0, 1e5, 1.0])
    jac[:, 3] = 1e6 * jac[:, 0] - 1e-5 * jac[:, 2]
    found = NullSpace.of(jac, np.array([1e6, 1.0, 1e-5, 1.0]))
    assert found.count == 1
    (steps,) = found.combinations(found.pivots([3, 2, 1, 0])).T
    assert np.allclose(steps, [-1e6, 0.0, 1e-5, 1.0], rtol=1e-6)


# --- where a result is used further ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def held() -> pk.FitResult:
    model = pk.Model(crystal("CdS_wurtzite", "wz"), INSTRUMENT)
    return pk.fit(model, simulated(model), free=["scale", "a", "z"])


def test_files_and_reports_know_what_was_held(held: pk.FitResult, tmp_path: Path) -> None:
    back = pk.load_result(held.save(tmp_path / "wz.h5"))
    assert back.held == held.held
    assert back.free == held.free
    assert held.to_dict()["held"] == held.held
    assert not held.to_dict()["params"]["wz.S.z"]["vary"]
    assert "held: no effect" in str(held)
    assert "held: no effect" in held._repr_html_()
    (file,) = held.write_columns(tmp_path / "wz.dat")
    assert "wz.S.z = 0.377, held" in file.read_text(encoding="utf-8")


def test_uncertainty_goes_on_without_what_was_held(held: pk.FitResult) -> None:
    assert pk.uncertainty.bootstrap(held, repeats=3).values.shape == (3, 3)
    along = pk.uncertainty.profile(held, "Cd.z", points=3)
    assert along.rise[0] == pytest.approx(2.5**2, rel=0.2)
    with pytest.raises(ParameterError, match=r"wz\.S\.z has no error: the origin of P 63 m c floats"):
        pk.uncertainty.profile(held, "wz.S.z")


def test_evidence_does_not_count_what_was_held(held: pk.FitResult) -> None:
    model = pk.Model(crystal("CdS_wurtzite", "wz"), INSTRUMENT)
    one = pk.fit(model, simulated(model), free=["scale", "a", "Cd.z"])
    found = pk.Comparison.of({"both": held, "one": one})
    assert abs(found.delta[1]) < 1e-6
    assert [p.name for p in found.priors[0]] == ["wz.scale", "wz.a", "wz.Cd.z"]


def test_a_scale_that_a_tie_starts_at_zero_holds_nothing_of_its_phase() -> None:
    model = pk.Model([crystal("CdS_zincblende", "one"), crystal("Ni", "two")], INSTRUMENT)
    data = simulated(model, {"one.scale": 0.5, "two.scale": 0.5, "two.Ni.Uiso": 0.012})
    result = pk.fit(model, data, free=["scale", "Ni.Uiso"], ties={"two.scale": "1 - one.scale"})
    assert not result.held
    assert result.params["two.Ni.Uiso"].value == pytest.approx(0.012, abs=5 * result.params["two.Ni.Uiso"].stderr)


def test_what_is_held_has_the_value_that_it_was_given() -> None:
    """Not the one from which an optimiser would start: resolution off 0, scales as guessed."""
    model = pk.Model(crystal("Ni", "ni"), replace(INSTRUMENT, qbroad=0.03))
    data = replace(simulated(model), instrument=model.instrument)
    result = pk.fit(model, data, free=["scale", "Uiso", "qbroad", "resolution"])
    assert list(result.held) == ["resolution"]
    assert result.params["resolution"].value == 0.0
    assert result.params["qbroad"].value == pytest.approx(0.03, abs=0.005)
    same = pk.Model([crystal("Ni", "one"), crystal("Ni", "two")], INSTRUMENT)
    result = pk.fit(same, simulated(same, {"one.scale": 2.0}), free=["scale"])
    assert result.params["two.scale"].value == 1.0
    assert result.params["one.scale"].value == pytest.approx(2.0, rel=0.01)


# --- what data hardly tell -------------------------------------------------------------------------------------------


def test_two_kinds_of_correlated_motion_within_one_shell() -> None:
    model = pk.Model(crystal("Ni", "ni"), INSTRUMENT)
    data = simulated(model, {"ni.delta1": 0.8, "ni.delta2": 1.5}, np.arange(1.5, 3.3, 0.02), 0.1)
    result = pk.fit(model, data, free=["scale", "Uiso", "delta1", "delta2"])
    assert result.at_bounds or any("the data do not" in text for text in result.remarks)


def test_a_particle_larger_than_the_data_are_long() -> None:
    bulk = pk.Model(crystal("Ni", "ni"), INSTRUMENT)
    ball = pk.Model(crystal("Ni", "ni", shape=pk.Sphere(100)), INSTRUMENT)
    result = pk.fit(ball, simulated(bulk, size=0.3), free=["scale", "a", "Uiso", "spdiameter"])
    assert any("ni.spdiameter" in text and "as good as endless" in text for text in result.remarks)


def test_a_particle_whose_length_has_no_slope_is_as_good_as_endless() -> None:
    model = pk.Model(crystal("Ni", "ni", shape=pk.Sphere(1e9)), INSTRUMENT)
    result = pk.fit(model, simulated(model), free=["scale"])
    unknown = np.full((1, 1), np.nan)
    (said,) = not_told(result.params, ["ni.spdiameter"], unknown, np.array([False]), result.datasets)
    assert "as good as endless" in said


def test_two_phases_that_start_the_same_are_not_held() -> None:
    """Cells of their own tell them apart, if only by the noise: the second phase shares little of it."""
    model = pk.Model([crystal("Ni", "one"), crystal("Ni", "two")], INSTRUMENT)
    result = pk.fit(model, simulated(model, size=0.1), free=["scale", "a"])
    assert not result.held
    assert sum(result.params[f"{one}.scale"].value for one in ("one", "two")) == pytest.approx(2.0, abs=0.02)


def test_two_phases_of_one_structure_are_weighed_against_one() -> None:
    one, two = (
        pk.Model(crystal("Ni", "one"), INSTRUMENT),
        pk.Model([crystal("Ni", "one"), crystal("Ni", "two")], INSTRUMENT),
    )
    result = pk.fit(two, simulated(one), free=["scale", "a", "Uiso"])
    (said,) = [text for text in result.remarks if "the same structure" in text]
    assert said.startswith("one and two are the same structure")
    assert "ln Z is for one phase" in said
    data = simulated(two, {"one.a": 3.50, "two.a": 3.55})
    start = two.with_values({"one.a": 3.51, "two.a": 3.54})
    result = pk.fit(start, data, free=["scale", "a", "Uiso"])
    assert result.converged
    assert not any("the same structure" in text for text in result.remarks)


def test_a_well_determined_fit_has_nothing_said() -> None:
    model = pk.Model(crystal("CdS_wurtzite", "wz", shape=pk.Sphere(30)), INSTRUMENT)
    r = np.arange(1.5, 28, 0.02)
    result = pk.fit(model, simulated(model, r=r), free=["scale", "a", "c", "S.z", "Uiso", "spdiameter"])
    assert not result.held
    assert not any("the data do not" in text or "no error" in text for text in result.remarks)


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_a_phase_that_the_data_have_no_use_for() -> None:
    model = pk.Model([crystal("Ni", "ni"), crystal("CdS_zincblende", "zb")], INSTRUMENT)
    data = simulated(model, {"zb.scale": 0.0})
    result = pk.fit(
        model, replace(data, G=data.G - 0.02 * (pk.Model(model.phases[1], INSTRUMENT)(R).G)), free=["scale"]
    )
    assert result.at_bounds == ("zb.scale",)
    (said,) = [text for text in result.remarks if text.startswith("zb.scale")]
    assert said.startswith("zb.scale ended on its lower bound 0: the data have no use for this phase")


def test_a_phase_that_is_hardly_there() -> None:
    """Its lattice constant, with an error of the place where it fits noise best, was 5 errors off without a word."""
    model = pk.Model([crystal("Ni", "ni"), crystal("CdS_zincblende", "zb")], INSTRUMENT)
    for share, hardly in ((0.001, True), (0.2, False)):
        data = simulated(model, {"zb.scale": share}, size=0.3)
        result = pk.fit(model, data, free=["scale", "zb.a"], search="plain")
        words = "may as well be 0: the data hardly show that phase"
        assert any(text.startswith("zb.scale = ") and words in text for text in result.remarks) == hardly


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("wz.scale", 0.0, "have no use for this phase"),
        ("wz.Cd.Uiso", 1e-5, "no atoms stand so still"),
        ("wz.Cd.Uiso", 0.3, "atoms do not move so far"),
        ("wz.S.occ", 1.0, "the site is full"),
        ("wz.S.occ", 0.0, "no use for atoms on this site"),
        ("wz.delta2", 0.0, "not seen: fix it at 0"),
        ("wz.a", 4.1348 * 1.05, "so far from the start value"),
        ("qdamp", 0.0, "not seen to fade"),
        ("resolution", 0.0, "not seen to broaden"),
    ],
)
def test_each_bound_has_a_meaning(name: str, value: float, words: str) -> None:
    par = pk.parameters(pk.Model(crystal("CdS_wurtzite", "wz"), INSTRUMENT))[name]
    assert words in on_bound(par, value, 15.0)


def test_a_bound_says_nothing_of_atoms_that_are_hardly_seen() -> None:
    """Hydrogen beside tungsten, in X-rays."""
    sites = [Site("W", "W", (0, 0, 0)), Site("H", "H", (0.3, 0.2, 0.24))]
    model = pk.Model(pk.Crystal(pk.Structure((4.6, 5.1, 5.8, 90, 90, 90), sites), name="p"), INSTRUMENT)
    result = pk.fit(model, simulated(model, size=0.3), free=["scale", "W.Uiso", "H.Uiso"])
    said = [text for text in result.remarks if "p.H.Uiso" in text]
    assert said
    assert all("the data hardly tell it" in text or "the data do not tell p.H.Uiso" in text for text in said)
    assert not any("p.W.Uiso" in text for text in result.remarks)


def test_a_bound_of_the_users_own_has_none() -> None:
    par = pk.parameters(pk.Model(crystal("CdS_wurtzite", "wz"), INSTRUMENT))["wz.a"]
    par.set(min=4.1, max=4.2)
    assert on_bound(par, 4.2, 15.0).endswith("upper bound 4.2: it has no error; widen the bound or fix it")


def test_a_residual_asks_for_the_instrument_first() -> None:
    """Nickel whose instrument broadens peaks: delta1 would take away as much, and is not the reason."""
    model = pk.Model(crystal("Ni", "ni"), INSTRUMENT)
    r = np.arange(1.5, 30, 0.02)
    data = simulated(model, {"resolution": 0.006}, r, 0.1)
    result = pk.fit(model, data, free=["scale", "a", "Uiso"])
    (said,) = [text for text in result.remarks if "asks for" in text]
    assert "asks for a higher resolution than 0" in said
    assert "so it does for" in said
    assert "ni.delta1" in said
    assert said.endswith("free the one that is not known, the instrument first, or give its right value")


def test_a_size_on_its_upper_bound_is_as_good_as_endless() -> None:
    model = pk.Model(crystal("Ni", "ni", shape=pk.Sphere(100)), INSTRUMENT)
    par = pk.parameters(model)["ni.spdiameter"]
    par.set(max=200.0)
    assert "as good as endless: leave the shape out" in on_bound(par, 200.0, 15.0)
