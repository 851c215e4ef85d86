"""Settings mean what they say: instruments of data sets, ties and limits, verdicts, restraints, conventions."""

from __future__ import annotations

import io
import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.data.instrument import Instrument
from pdfkit.errors import ParameterError
from pdfkit.fitting.least_squares import fit
from pdfkit.model import Convention
from pdfkit.model import params as params_of
from pdfkit.structure import Site

R = np.arange(1.0, 15.0, 0.02)
SALT = pk.Crystal.from_file("NaCl", name="salt")
X = Instrument(probe="X", qmax=25.0, qdamp=0.06, qbroad=0.02)
N = Instrument(probe="N", qmax=31.0, qdamp=0.01, qbroad=0.0)
BALL = pk.Model(pk.Crystal.from_file("Ni", name="ni", shape=pk.Sphere(30.0)), Instrument("X", qmax=20, qdamp=0.03))
NICKEL = pk.Model(pk.Crystal.from_file("Ni", name="ni"), BALL.instrument)


def curves(**instruments: Instrument) -> dict[str, pk.PDF]:
    return {name: pk.Model(SALT, one)(R) for name, one in instruments.items()}


# --- each data set keeps its own instrument --------------------------------------------------------------------------


PAIRS = {
    "resolution": (X, N),
    "qmin": (replace(X, qmin=1.0), replace(X, qmin=0.3)),
    "qmax": (X, replace(X, qmax=18.0)),
    "window": (replace(X, window="lorch"), X),
    "window width": tuple(replace(X, window="gaussian", window_width=w) for w in (0.15, 0.4)),
    "scattering weights": (replace(X, scattering="q-dependent"), replace(X, scattering="constant")),
    "probe": (X, replace(X, probe="N")),
    "electrons": (replace(X, probe="E"), replace(N, qmin=0.8)),
    "all of it": (replace(X, qmin=0.7, window="hann"), replace(N, scattering="q-dependent", qmax=22.0)),
}


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("order", [("x", "n"), ("n", "x")])
@pytest.mark.parametrize("of", ["x", "n"])
def test_every_data_set_is_fitted_with_its_own(kind: str, order: tuple[str, str], of: str) -> None:
    made = dict(zip(("x", "n"), PAIRS[kind], strict=True))
    known = curves(**made)
    data = {name: known[name] for name in order}
    for given in (data, list(data.values())):
        result = fit(pk.Model(SALT, made[of]), given, free=["scale", "a"])  # type: ignore[arg-type]
        assert result.rw < 1e-8
        assert [p.value for n, p in result.params.items() if n.endswith("scale")] == pytest.approx([1, 1], abs=1e-8)
        assert [one.model.instrument for one in result.datasets] == [made[name] for name in order]
        assert result.remarks == ()


def test_one_pdf_counts_against_the_model_and_the_contradiction_is_said() -> None:
    for mine, theirs, words in (
        (X, replace(X, qmax=19.0), "qmax = 25 of the data is used, not 19"),
        (X, replace(X, qdamp=0.01), "qdamp = 0.06 of the data is used, not 0.01"),
        (replace(X, window="lorch"), replace(X, given=(*X.given, "window")), "window = lorch"),
        (replace(X, qmin=1.0), replace(X, qmin=0.5), "qmin = 1 of"),
        (N, X, "probe = N"),
        (
            replace(X, scattering="q-dependent"),
            replace(X, scattering="constant", given=(*X.given, "scattering")),
            "scattering = q",
        ),
    ):
        result = fit(pk.Model(SALT, theirs), pk.Model(SALT, mine)(R), free=["scale", "a"])
        assert result.rw < 1e-5
        assert result.params["salt.scale"].value == pytest.approx(1.0, abs=1e-6)
        assert len([text for text in result.remarks if words in text]) == 1, result.remarks


def test_what_data_do_not_say_the_model_says() -> None:
    G = pk.Model(SALT, X)(R).G
    silent = pk.PDF(R, G, instrument=Instrument(probe="X", qmax=25.0))
    result = fit(pk.Model(SALT, X), silent, free=["scale"])
    assert result.model.instrument == X
    assert result.rw < 1e-6
    assert result.remarks == ()
    said = pk.PDF(R, G, instrument=Instrument(probe="X", qmax=25.0, qdamp=0.0))  # 0 is said: no silence
    other = fit(pk.Model(SALT, X), said, free=["scale"])
    assert (other.model.instrument.qdamp, other.model.instrument.qbroad) == (0.0, 0.0)
    assert any("qdamp = 0" in text for text in other.remarks)


def test_the_instrument_of_one_data_set_is_not_that_of_another() -> None:
    G = {name: pdf.G for name, pdf in curves(x=X, n=N).items()}
    data = {
        "x": pk.PDF(R, G["x"], instrument=X),
        "n": pk.PDF(R, G["n"], instrument=Instrument("N", qmax=31, qdamp=0.01)),
    }
    assert fit(pk.Model(SALT, X), data, free=["scale"]).rw < 1e-6
    # Two files that say nothing: both have the model's, and that is said.
    plain = {name: pk.PDF(R, G["x"], instrument=Instrument("X", qmax=25)) for name in ("one", "two")}
    result = fit(pk.Model(SALT, X), plain, free=["scale"])
    assert result.rw < 1e-6
    assert sum("the data do not state qdamp, qbroad" in text for text in result.remarks) == 2


def test_given_parameters_win() -> None:
    model, data = pk.Model(SALT, replace(X, qdamp=0.01, qbroad=0.0)), curves(x=X)["x"]
    params = pk.parameters(model)  # nobody has touched qdamp: the data say it
    assert fit(model, data, params=params, free=["scale"]).params["qdamp"].value == 0.06
    params["qdamp"].value = 0.03
    result = fit(model, data, params=params, free=["scale"])
    assert result.params["qdamp"].value == 0.03
    assert any("qdamp is fixed at 0.03 by params" in text for text in result.remarks)
    both = curves(x=X, n=N)
    assert [pk.parameters(model, both)[f"{k}.qdamp"].value for k in both] == [0.06, 0.01]
    assert fit(model, both, params=pk.parameters(model, tuple(both)), free=["scale"]).rw < 1e-6
    assert fit(model, both, params=pk.parameters(model, both), free=["scale"]).rw < 1e-6


def test_strengths_hold_for_their_probe() -> None:
    model = pk.Model(SALT, X, strengths={"Cl": 18.0})
    data = {"x": model(R), "n": pk.Model(SALT, N)(R)}
    result = fit(model, data, free=["scale"])
    assert result.rw < 1e-6
    assert any("strengths" in text for text in result.remarks)


def test_what_is_left_of_a_joint_fit_keeps_instruments(tmp_path: Path) -> None:
    data = curves(x=X, n=N)
    result = fit(pk.Model(SALT, X), data, free=["scale", "a"])
    back = pk.load_result(result.save(tmp_path / "fit.h5"))
    for one in (*result.datasets, *back.datasets):
        want = data[one.name]
        np.testing.assert_allclose(sum(p.G for p in one.partials().values()), want.G, atol=1e-6)
        np.testing.assert_allclose(one.calc.G, want.G, atol=1e-6)
        assert one.model.instrument == want.instrument
    text = str(result)
    assert "X-rays, Qmax 25 Å⁻¹, qdamp 0.06, qbroad 0.02" in text
    assert "neutrons, Qmax 31 Å⁻¹, qdamp 0.01" in text
    assert set(pk.uncertainty.band(result)) == {"x", "n"}


def test_rival_models_are_compared_with_the_instrument_of_the_data() -> None:
    models = {"right": pk.Model(SALT, replace(X, qdamp=0.01)), "small": pk.Model(replace(SALT, shape=pk.Sphere(20)), X)}
    found = pk.compare(models, curves(x=X)["x"], free=["scale"])
    assert found.names[0] == "right"
    assert found["right"].rw < 1e-6


def test_a_recipe_of_two_keeps_both(tmp_path: Path) -> None:
    for name, pdf in curves(x=X, n=N).items():
        pk.io.write_columns(tmp_path / f"{name}.gr", ["r", "G"], [pdf.r, pdf.G])
    tables = {
        "x": '[[data]]\nname = "x"\nfile = "x.gr"\nprobe = "X"\nqmax = 25\nqdamp = 0.06\nqbroad = 0.02\n',
        "n": '[[data]]\nname = "n"\nfile = "n.gr"\nprobe = "N"\nqmax = 31\nqdamp = 0.01\n',
    }
    rest = '[[phase]]\nname = "salt"\nstructure = "NaCl"\n[fit]\nfree = ["scale", "a"]\n[output]\nwrite = ["columns"]\n'
    for order in itertools.permutations("xn"):
        recipe = tmp_path / f"{''.join(order)}.toml"
        recipe.write_text("".join(tables[k] for k in order) + rest, encoding="utf-8")
        result, _ = pk.run_recipe(recipe, tmp_path / recipe.stem)
        assert result.rw < 1e-5
        assert result.params["n.salt.scale"].value == pytest.approx(1.0, abs=1e-5)
        assert (result.params["x.qdamp"].value, result.params["n.qbroad"].value) == (0.06, 0.0)


# --- data ------------------------------------------------------------------------------------------------------------


def test_a_list_of_data_works() -> None:
    named = [replace(pdf, name=name) for name, pdf in curves(x=X, n=N).items()]
    assert [one.name for one in fit(pk.Model(SALT, X), named, free=["scale"]).datasets] == ["x", "n"]
    same = [replace(pdf, name="salt at 300 K") for pdf in named]
    assert [one.name for one in fit(pk.Model(SALT, X), same, free=["scale"]).datasets] == ["data1", "data2"]
    assert [one.name for one in fit(pk.Model(SALT, X), tuple(named[:1]), free=["scale"]).datasets] == [""]
    for wrong, words in (([], "no data"), ([R], "read G.r. with pdfkit.read_pdf"), (3.0, "data is of type float")):
        with pytest.raises(pk.PdfkitError, match=words):
            fit(pk.Model(SALT, X), wrong, free=["scale"])  # type: ignore[arg-type]


# --- ties and limits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "expression"),
    [
        ("ni.a", "ni.a"),
        ("a", "ni.a"),
        ("ni.a", "2*ni.a"),
        ("*", "ni.a + 0.001"),
        ("qdamp", "qdamp"),
        ("ni.a", "ni.a*1"),
    ],
)
def test_a_tie_to_itself_is_refused(pattern: str, expression: str) -> None:
    with pytest.raises(ParameterError, match="to itself"):
        fit(BALL, BALL(R), free=["scale"], ties={pattern: expression})


def test_a_pattern_may_follow_one_of_its_own() -> None:
    model = pk.Model(SALT, X)
    result = fit(model, model(R), free=["scale", "salt.Na.Uiso"], ties={"Uiso": "salt.Na.Uiso"})
    assert result.params["salt.Cl.Uiso"].expr == "salt.Na.Uiso"
    assert not result.params["salt.Na.Uiso"].expr


def helped(name: str, expression: str, start: float, data: pk.PDF, **options: object) -> pk.FitResult:
    params = pk.parameters(BALL)
    params.add("h", value=start, vary=True)
    params[name].expr = expression
    return fit(BALL, data, params=params, free=["scale"], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "expression", "start", "value", "limits"),
    [
        ("ni.spdiameter", "h", 300.0, 30.0, (0.1, math.inf)),
        ("ni.spdiameter", "h - 65", 95.0, 30.0, (0.1, math.inf)),
        ("ni.Ni.Uiso", "h - 0.02", 0.03, 0.005, (1e-5, 0.3)),
        ("qdamp", "h", 0.01, 0.03, (0.0, 0.5)),
        ("ni.a", "h", 3.58, 3.524, (3.0, 4.0)),
        ("ni.spdiameter", "1/h", 0.02, 30.0, (0.1, math.inf)),
    ],
)
def test_a_helper_without_limits_leads_to_the_truth(
    monkeypatch: pytest.MonkeyPatch, name: str, expression: str, start: float, value: float, limits: tuple[float, float]
) -> None:
    seen: list[float] = []
    column = BALL.names.index(name)
    plain = pk.Model.evaluator

    def watched(self: pk.Model, r: np.ndarray, *ends: float | None, **options: float | None) -> object:
        evaluate = plain(self, r, *ends, **options)

        class Watch:
            messages = evaluate.messages

            def __call__(self, values: np.ndarray, tangents: np.ndarray | None = None) -> object:
                seen.append(float(values[column]))
                return evaluate(values, tangents)

            def near(self, values: np.ndarray, *, exactly: bool) -> object:
                return self

        return Watch()

    data = BALL(R)
    monkeypatch.setattr(pk.Model, "evaluator", watched)
    result = helped(name, expression, start, data)
    assert result.params[name].value == pytest.approx(value, rel=1e-5)
    assert result.nfev <= 60
    assert limits[0] <= min(seen) <= max(seen) <= limits[1]


@pytest.mark.parametrize(
    ("name", "bounds", "start", "side", "end"),
    [
        ("ni.spdiameter", (10.0, 20.0), 15.0, "upper", 20.0),
        ("ni.spdiameter", (40.0, 80.0), 50.0, "lower", 40.0),
        ("ni.Ni.Uiso", (0.01, 0.05), 0.02, "lower", 0.01),
        ("ni.Ni.occ", (0.2, 0.4), 0.3, "upper", 0.4),
        ("qdamp", (0.05, 0.1), 0.06, "lower", 0.05),
    ],
)
def test_limits_of_what_is_tied_hold_and_are_said(
    name: str, bounds: tuple[float, float], start: float, side: str, end: float
) -> None:
    data = BALL.with_values({"ni.Ni.occ": 0.9})(R)
    result = helped(name, "h", start, data, bounds={name: bounds})
    value = float(result.params[name].value)
    assert bounds[0] <= value <= bounds[1]
    if name != "ni.Ni.occ":  # occupancy of all atoms and scale are one
        # Limits of ties are walls, and met to where Rw stands still: a millionth of the span.
        assert value == pytest.approx(end, rel=0, abs=1e-6 * (bounds[1] - bounds[0]))
        assert any(f"{name}, tied to h, ended on its {side} limit {end:g}" in text for text in result.remarks)
        assert {name, "h"} <= set(result.at_bounds)
        assert result.params["h"].stderr is None
        assert result.params["ni.scale"].stderr is not None
        assert "ON LIMIT" in str(result)


def test_a_tie_that_begins_outside_is_refused_or_moves_default_limits() -> None:
    with pytest.raises(ParameterError, match=r"gives 1\.26 at the start, outside its limits 0 to 1"):
        helped("ni.Ni.occ", "1.4*h", 0.9, BALL(R))
    with pytest.raises(ParameterError, match="outside its limits 10 to 20"):
        helped("ni.spdiameter", "h", 30.0, BALL(R), bounds={"spdiameter": (10, 20)})
    # 12 % longer than where the default limits of a stand, which are no law of nature.
    long = BALL.with_values({"ni.a": 3.95})(R)
    assert helped("ni.a", "h", 3.96, long).params["ni.a"].value == pytest.approx(3.95, rel=1e-6)


def test_start_values_outside_bounds_are_said() -> None:
    data = NICKEL(R)
    moved = fit(NICKEL, data, free=["scale", "a"], bounds={"a": (3.53, 3.6)})
    assert any(
        "starts at 3.53, because its value 3.524 lies outside the bounds 3.53 to 3.6" in t for t in moved.remarks
    )
    kept = fit(NICKEL, data, free=["scale"], bounds={"Uiso": (0.03, 0.06)})
    assert kept.params["ni.Ni.Uiso"].value == 0.005
    assert any("is fixed at 0.005, which lies outside the bounds" in text for text in kept.remarks)
    cut = fit(NICKEL, data, free=["scale", "Uiso"], bounds={"Uiso": (-0.1, 0.06)})
    assert cut.params["ni.Ni.Uiso"].min == 0.0
    assert any("the values that are possible" in text for text in cut.remarks)
    with pytest.raises(ParameterError, match="must lie between"):
        fit(NICKEL, data, free=["scale", "Uiso"], bounds={"Uiso": (-0.1, -0.05)})
    within = fit(NICKEL, data, free=["scale", "a"], bounds={"a": (3.5, 3.6)})
    assert within.remarks == ()


def test_a_start_beyond_default_limits_has_room_on_both_sides() -> None:
    delta = 0.97 * (3.524 / math.sqrt(2)) ** 2 + 0.1
    model = NICKEL.with_values({"ni.delta2": delta})
    par = pk.parameters(model)["ni.delta2"]
    assert par.value == delta
    assert par.min < delta < par.max


# --- verdicts --------------------------------------------------------------------------------------------------------


def wrong() -> pk.FitResult:
    """A true minimum of a model that is not the sample's."""
    copper = pk.Model(pk.Crystal.from_file("NaCl", name="ni"), BALL.instrument)
    return fit(copper, NICKEL(R), free=["scale"])


def test_convergence_and_quality_are_two_statements(tmp_path: Path) -> None:
    result = wrong()
    assert result.rw > 0.4
    assert result.converged
    assert not result.describes
    assert "does not describe the data" in result.remarks[0]
    head = str(result).split("\n\n")[0]
    assert "NOT CONVERGED" not in head
    assert "DOES NOT DESCRIBE THE DATA" in head
    plain = result.to_dict()
    assert (plain["converged"], plain["describes"]) == (True, False)
    back = pk.load_result(result.save(tmp_path / "fit.h5"))
    assert (back.converged, back.describes) == (True, False)
    assert "does not describe" in repr(back)
    assert "does not describe the data" in pk.Comparison.of({"salt": result}).table()


def test_noise_that_is_known_is_no_fault_of_the_model() -> None:
    sigma = 5.0
    noisy = NICKEL(R).G + np.random.default_rng(1).normal(0.0, sigma, R.size)
    data = pk.PDF(R, noisy, np.full(R.size, sigma), instrument=NICKEL.instrument)
    result = fit(NICKEL, data, free=["scale"], settings=pk.FitSettings("independent"))
    assert result.rw > 0.4
    assert result.converged
    assert result.describes
    assert result.remarks == ()


def test_a_fit_cut_short_has_not_converged_and_may_describe() -> None:
    result = fit(
        NICKEL.with_values({"ni.a": 3.53}), NICKEL(R), free=["scale", "a"], settings=pk.FitSettings(max_nfev=1)
    )
    assert not result.converged
    assert "NOT CONVERGED" in str(result)


# --- restraints in what follows --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def restrained() -> pk.FitResult:
    noise = 0.3 * np.random.default_rng(3).standard_normal(R.size)
    data = pk.PDF(R, NICKEL(R).G + noise, instrument=NICKEL.instrument)
    return fit(NICKEL, data, free=["scale", "a"], restraints=[pk.ValueRestraint("ni.a", 3.53, 1e-4)])


def test_a_profile_keeps_the_restraints(restrained: pk.FitResult, tmp_path: Path) -> None:
    error = restrained.params["ni.a"].stderr
    assert error < 1.05e-4
    back = pk.load_result(restrained.save(tmp_path / "fit.h5"))
    assert back.restraints == restrained.restraints
    for result in (restrained, back):
        low, high = pk.uncertainty.profile(result, "ni.a", points=5).interval()
        assert (high - low) / 2 == pytest.approx(error, rel=0.02)


def test_replicas_keep_the_restraints(restrained: pk.FitResult) -> None:
    replicas = pk.uncertainty.bootstrap(restrained, repeats=40, seed=2)
    assert replicas.stderr["ni.a"] == pytest.approx(restrained.params["ni.a"].stderr, rel=0.4)


def test_restraints_of_another_kind_cannot_be_saved_and_that_is_said(tmp_path: Path) -> None:
    class Own:
        def residual(self, model: object, names: tuple[str, ...], values: np.ndarray, tangents: np.ndarray) -> object:
            return 0.0, np.zeros(tangents.shape[1])

    result = fit(NICKEL, NICKEL(R), free=["scale", "a"], restraints=[Own()])  # type: ignore[list-item]
    back = pk.load_result(result.save(tmp_path / "fit.h5"))
    assert back.restraints is None
    with pytest.raises(pk.PdfkitError, match="could not be saved"):
        pk.uncertainty.bootstrap(back, repeats=2)


# --- bonds that matter -----------------------------------------------------------------------------------------------


def perovskite(occ: float) -> pk.Structure:
    """A lead iodide cage with a cation in it whose deuterium atoms are 0.62 Å from each other."""
    h = 0.31 / 6.3
    sites = [
        Site("Pb", "Pb", (0, 0, 0)),
        *(Site(f"I{k}", "I", x) for k, x in enumerate([(0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5)])),
        Site("C", "C", (0.5, 0.5, 0.44)),
        Site("N", "N", (0.5, 0.5, 0.67)),
        Site("D1", "D", (0.5 + h, 0.5, 0.29), occ=occ),
        Site("D2", "D", (0.5 - h, 0.5, 0.29), occ=occ),
    ]
    return pk.Structure((6.3, 6.3, 6.3, 90, 90, 90), sites)


def high(model: pk.Model, name: str = "delta2") -> float:
    return next(q.high for q in model.quantities if q.name.endswith(name))


def test_delta2_is_limited_by_bonds_that_the_probe_sees() -> None:
    crystal = pk.Crystal(perovskite(1.0), "p", delta2=3.0)
    lead_iodine, deuterium = 3.15, 0.62
    assert high(pk.Model(crystal, X)) == pytest.approx(0.97 * lead_iodine**2, rel=1e-6)
    assert high(pk.Model(crystal, X), "delta1") == pytest.approx(0.97 * lead_iodine, rel=1e-6)
    assert high(pk.Model(crystal, N)) == pytest.approx(0.97 * deuterium**2, rel=1e-6)
    half = pk.Model(pk.Crystal(perovskite(0.5), "p"), N)
    assert high(half) > 0.9  # two halves of one atom are no pair: C–D is next
    assert pk.parameters(pk.Model(crystal, X))["p.delta2"].value == 3.0
    assert high(NICKEL) == pytest.approx(0.97 * 3.524**2 / 2, rel=1e-6)


def test_a_joint_fit_has_the_narrower_limit() -> None:
    crystal = pk.Crystal(perovskite(1.0), "p")
    data = {"x": pk.Model(crystal, X)(R), "n": pk.Model(crystal, N)(R)}
    assert pk.parameters(pk.Model(crystal, X), data)["p.delta2"].max == pytest.approx(0.97 * 0.62**2, rel=1e-6)


# --- S(Q) ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("material", ["NaCl", "CdS_wurtzite", "CeO2", "CdSe_zincblende"])
@pytest.mark.parametrize("probe", ["X", "E"])
def test_structure_functions_have_the_weights_of_their_model(material: str, probe: str) -> None:
    """F(Q) of `sq` is the sine transform of G, which is cut but has no window, between Qmin and Qmax."""
    ball = pk.Crystal.from_file(material, name="m", shape=pk.Sphere(16.0))
    model = pk.Model(ball, Instrument(probe, qmax=20.0, scattering="q-dependent"))
    Q = np.arange(2.0, 18.0, 0.1)
    # What the cut spreads beyond the particle falls off slowly: a long transform.
    r = np.arange(1, 20_001) * 0.01
    F = (np.sin(np.outer(Q, r)) @ model(r).G) * 0.01
    found = model.sq(Q)
    assert np.abs(found.F - F).max() < 5e-4 * np.abs(F).max()


def test_phases_are_weighed_by_their_own_composition_where_each_has_its_own_mean() -> None:
    phases = [
        pk.Crystal.from_file(f"CdS_{kind}", name=kind[0], shape=pk.Sphere(16.0)) for kind in ("wurtzite", "zincblende")
    ]
    phases.append(pk.Crystal.from_file("CeO2", name="c", shape=pk.Sphere(16.0), scale=0.5))
    about, Q = Instrument("X", qmax=20.0, scattering="q-dependent"), np.arange(1.0, 15.0, 0.1)
    parts = [pk.Model(phase, about).sq(Q).F for phase in phases]
    own = Convention(mixture="phase")
    np.testing.assert_allclose(pk.Model(phases, about, own).sq(Q).F, sum(parts), atol=1e-9)
    assert np.abs(pk.Model(phases, about).sq(Q).F - sum(parts)).max() > 0.1  # data have one mean, that of the sample


def test_own_strengths_hold_with_weights_that_depend_on_q() -> None:
    model = pk.Model(SALT, replace(N, scattering="q-dependent"), strengths={"Cl": 20.0})
    constant = pk.Model(SALT, N, strengths={"Cl": 20.0})
    np.testing.assert_allclose(model(R).G, constant(R).G, atol=1e-6)  # nuclei scatter alike at every Q
    Q = np.arange(1.0, 15.0, 0.1)
    np.testing.assert_allclose(model.sq(Q).F, constant.sq(Q).F, atol=1e-9)
    heavier = pk.Model(SALT, replace(X, scattering="q-dependent"), strengths={"Na": 30.0})
    assert np.abs(heavier(R).G - pk.Model(SALT, replace(X, scattering="q-dependent"))(R).G).max() > 0.1


# --- conventions -----------------------------------------------------------------------------------------------------


def test_pdffit2_begins_where_pdfgui_would_when_the_file_begins_at_zero() -> None:
    r = np.arange(0.0, 12.0, 0.01)
    model = pk.Model(NICKEL.phases, NICKEL.instrument, "pdffit2")
    G = np.concatenate([[0.0], model(r[1:]).G])
    result = fit(model, pk.PDF(r, G, instrument=model.instrument), rmin=2.0, rmax=10.0, free=["scale"])
    assert result.data.r[0] == pytest.approx(1.99)
    assert result.datasets[0].begin == pytest.approx(1.99)
    np.testing.assert_allclose(result.calc.G, result.params["ni.scale"].value * model(result.data.r).G, atol=1e-9)
    # A file that begins later is taken as it is, as PDFfit2 does.
    whole = fit(model, pk.PDF(r[1:], G[1:], instrument=model.instrument), rmin=2.0, rmax=10.0, free=["scale"])
    assert whole.data.r[0] == pytest.approx(2.0)
    assert whole.datasets[0].begin == pytest.approx(0.01)


def test_the_nyquist_grid_is_that_of_pdfgui() -> None:
    r = np.arange(1, 2001) * 0.01
    model = pk.Model(NICKEL.phases, Instrument("X", qmax=25.0, qdamp=0.03), "pdffit2")
    result = fit(model, model(r), rmin=2.0, rmax=15.0, free=["scale"], settings=pk.FitSettings(grid="nyquist"))
    step = math.pi / 25.0
    count = math.ceil((15.0 - 1.99) / step)
    np.testing.assert_allclose(result.data.r, 1.99 + step * np.arange(count + 1), atol=1e-12)
    for options, words in (
        (NICKEL, "needs the convention"),
        (pk.Model(NICKEL.phases, Instrument("X", qmax=math.inf), "pdffit2"), "finite qmax"),
    ):
        with pytest.raises(pk.PdfkitError, match=words):
            fit(
                options,
                NICKEL(R) if options is NICKEL else pk.PDF(R, NICKEL(R).G),
                free=["scale"],
                settings=pk.FitSettings(grid="nyquist"),
            )


@pytest.mark.parametrize(("rmin", "qmax"), [(1.99, 25.0), (1.49, 19.0), (0.57, 30.0), (2.03, 12.0), (1.0, 22.5)])
def test_curves_on_the_nyquist_grid_are_those_of_pdffit2(rmin: float, qmax: float, tmp_path: Path) -> None:
    pdffit2 = pytest.importorskip("diffpy.pdffit2")
    from pdfkit.io.stru_text import write_stru

    write_stru(tmp_path / "ni.stru", NICKEL.phases[0].structure)  # type: ignore[attr-defined]
    step = math.pi / qmax
    pdffit2.redirect_stdout(io.StringIO())
    program = pdffit2.PdfFit()
    program.read_struct(str(tmp_path / "ni.stru"))
    program.alloc("X", qmax, 0.04, rmin, rmin + step * 199, 200)
    program.calc()
    model = pk.Model(NICKEL.phases, Instrument("X", qmax=qmax, qdamp=0.04), "pdffit2")
    G = model.evaluator(rmin + step * np.arange(200))(model.values)[0]
    theirs = np.array(program.getpdf_fit())
    np.testing.assert_allclose(G, theirs, atol=2e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("step", [0.01, 0.02, 0.05])
def test_a_curve_of_pdffit2_from_zero_is_the_one_without_its_first_point(step: float) -> None:
    # G(0) = 0, and nothing else can depend on whether r = 0 is asked for, too.
    r = np.arange(0.0, 12.0, step)
    model = pk.Model(SALT, replace(X, qbroad=0.0), "pdffit2")
    G = model(r).G
    assert G[0] == 0.0
    assert G[1:] == pytest.approx(model(r[1:]).G, abs=1e-12)
    shares = model.phase_curves(r)["salt"].G, sum(one.G for one in model.partials(r).values())
    for share in shares:
        assert share == pytest.approx(G, abs=1e-12)
    assert fit(model, model(r), free=["scale", "a"]).rw < 1e-6


def test_ranges_of_several_data_sets_begin_where_those_of_one_do() -> None:
    # PDFfit2 filters from the first point of a file, not of the range: 8e-3 otherwise.
    model = pk.Model(SALT, replace(X, qbroad=0.0), "pdffit2")
    data = model(np.arange(0.5, 15.0, 0.02))
    both = fit(model, {"u": data, "v": data}, rmin={"u": 2.0, "v": 3.0}, free=["scale"])
    assert both.rw < 1e-9
    both = fit(model, {"u": data, "v": data}, rmin={"u": 2.0, "v": 3.0}, rmax={"v": 10.0}, free=["scale"])
    assert [(one.data.r[0], one.data.r[-1]) for one in both.datasets] == [
        pytest.approx((2.0, 14.98)),
        pytest.approx((3.0, 10.0)),
    ]
    with pytest.raises(pk.PdfkitError, match="rmin names 'w'"):
        fit(model, {"u": data, "v": data}, rmin={"w": 2.0}, free=["scale"])


def test_what_nothing_depends_on_is_not_free() -> None:
    params = pk.parameters(NICKEL)
    params["ni.scale"].vary = True
    params.add("other.a", value=4.0, vary=True)
    with pytest.raises(ParameterError, match=r"other\.a is free, but neither the model nor a tie uses it"):
        fit(NICKEL, NICKEL(R), params=params)
    params["ni.a"].expr = "other.a"
    assert fit(NICKEL, NICKEL(R), params=params).free == ("ni.scale", "other.a")


def test_wildcards_free_what_can_be_refined() -> None:
    params = pk.parameters(NICKEL)
    params_of.apply_choices(params, ["ni.*"])
    assert not params["ni.rcut"].vary
    assert params["ni.a"].vary
    assert params["ni.sratio"].vary
    with pytest.raises(ParameterError, match=r"rcut .* cannot be refined"):
        params_of.apply_choices(params, ["ni.rcut"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bounds": {"a": 3.5}}, "bounds of a are not two numbers"),
        ({"bounds": [("a", 1, 2)]}, "bounds must be a dict with names as keys"),
        ({"ties": ["ni.a = 3"]}, "ties must be a dict with names as keys"),
        ({"max_nfev": 0}, "max_nfev is called settings now"),
    ],
)
def test_options_of_the_wrong_kind_are_named(options: dict[str, object], words: str) -> None:
    with pytest.raises(pk.PdfkitError, match=words):
        fit(NICKEL, NICKEL(R), free=["scale"], **options)  # type: ignore[arg-type]


def test_a_fit_without_evaluations_is_refused() -> None:
    with pytest.raises(pk.PdfkitError, match="at least 1 evaluation"):
        pk.FitSettings(max_nfev=0)


def test_a_start_that_cannot_be_is_refused_whatever_the_limits() -> None:
    params = pk.parameters(NICKEL)
    params["ni.Ni.Uiso"].set(value=-0.009, min=-1.0, vary=True)
    with pytest.raises(ParameterError, match=r"ni\.Ni\.Uiso starts at -0\.009"):
        fit(NICKEL, NICKEL(R), params=params)
    params = pk.parameters(NICKEL)
    params.add("x", value=-100.0, vary=True)  # limits of a give way to what it can be, not to a share of 100 km
    params["ni.a"].expr = "3.5 + x"
    with pytest.raises(ParameterError, match="outside its limits"):
        fit(NICKEL, NICKEL(R), params=params)


def test_no_resolution_in_one_of_two_headers_is_said() -> None:
    known = curves(x=X, n=N)
    bare = replace(known["n"], instrument=Instrument(probe="N", qmax=31.0))
    result = fit(pk.Model(SALT, Instrument("X", qmax=25)), {"x": known["x"], "n": bare}, free=["scale"])
    assert result.remarks == ("n: neither the data nor the model state qdamp; 0 is used",)


def test_a_recipe_against_window_width_and_weights_of_a_header_says_so(tmp_path: Path) -> None:
    one = replace(X, window="gaussian", window_width=0.4, scattering="q-dependent")
    pk.write_pdf(tmp_path / "x.gr", pk.Model(SALT, one)(R))
    data = 'file = "x.gr"\nwindow_width = 0.2\nscattering = "constant"\nqbroad = 0.03\nqmin = 0.0'
    text = f'[data]\n{data}\n[[phase]]\nname = "s"\nstructure = "NaCl"\n[fit]\nfree = ["scale"]\n'
    (tmp_path / "fit.toml").write_text(text)
    with pytest.warns(pk.PdfkitWarning):
        _, read = pk.load_recipe(tmp_path / "fit.toml").build()
    assert isinstance(read, pk.PDF)
    assert [text.partition("says ")[2] for text in read.remarks] == [
        "qbroad = 0.02, 0.03 is used because it was given",
        "window_width = 0.4, 0.2 is used",
        "scattering = q-dependent, constant is used",
    ]
