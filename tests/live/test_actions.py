"""Actions of the page: each changes the state as it says, or leaves it and says why not."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import trapezoid
from two_phases import write_two

import pdfkit as pk
from pdfkit.workbench.opening import opened
from pdfkit.workbench.parts import of_q
from pdfkit.workbench.session import Session
from pdfkit.workbench.state import State


def done(session: Session, **action: Any) -> State:
    """Do an action that has to succeed, and return the state after it."""
    session.do(action)
    assert session.message == ""
    return session.state


def row(session: Session, name: str) -> Any:
    return next(one for one in session.rows() if one["name"] == name)


def test_value_moves_curve_and_follower(two: Session) -> None:
    before = two.curves().calculated
    done(two, do="value", name="wz.spdiameter", value="25.5")
    assert row(two, "zb.spdiameter")["value"] == 25.5
    assert abs(two.curves().calculated - before).max() > 1e-3


def test_curves_of_particles_that_grew_are_those_of_a_model_made_for_them(tmp_path: Path) -> None:
    """What is beyond the last r was left out while particles were smaller: 1e-3 of max|G|."""
    recipe = write_two(tmp_path)
    recipe.write_text(recipe.read_text().replace("spdiameter = 30", "spdiameter = 12").replace("0.01", "0.003"))
    small = Session(tmp_path, opened([str(recipe)], tmp_path))
    assert small.curves().calculated is not None
    done(small, do="value", name="wz.spdiameter", value=90.0)
    found = small.curves()
    expected = small.prepared.model("", small.state.values)(found.r).G
    assert abs(found.calculated - expected).max() < 1e-5 * abs(expected).max()


def test_stacked_layers_need_no_file(two: Session, tmp_path: Path) -> None:
    alone = Session(tmp_path, State())
    done(alone, do="stack", elements=["Cd", "S"], a_h=4.13, alpha=0)
    curves = alone.curves()
    zincblende = Session(tmp_path, opened(["CdS_zincblende"], tmp_path))
    for name, value in (("a", 4.13 * 2**0.5), ("Cd.Uiso", 0.01), ("S.Uiso", 0.01)):
        done(zincblende, do="value", name=f"CdS_zincblende.{name}", value=value)
    wanted = zincblende.curves().calculated
    assert abs(curves.calculated - wanted).max() < 1e-3 * abs(wanted).max()
    done(two, do="stack", elements=["Cd", "S"], a_h=4.1, alpha=0.4)
    assert row(two, "CdS_stacked.scale")["free"]
    for elements, a_h, said in (
        ([], 4.0, "one or two elements"),
        (["Xx"], 4.0, "'Xx' is not an element"),
        (["Au"], -1, "a_h"),
    ):
        two.do({"do": "stack", "elements": elements, "a_h": a_h, "alpha": 0.0})
        assert said in two.message


def test_a_drag_is_one_step(two: Session) -> None:
    for value in (4.10, 4.11, 4.12):
        done(two, do="value", name="wz.a", value=value, moving=True)
    done(two, do="value", name="wz.c", value=6.7, moving=True)
    assert len(two.states) == 3
    done(two, do="undo")
    assert row(two, "wz.a")["value"] == 4.12
    done(two, do="undo")
    assert two.at == 0
    done(two, do="redo")
    assert row(two, "wz.a")["value"] == 4.12


def test_free_and_hold_write_endings_out(two: Session) -> None:
    done(two, do="free", name="wz.a", free=False)
    assert not row(two, "wz.a")["free"]
    assert row(two, "zb.a")["free"]
    done(two, do="free", name="wz.a", free=True)
    assert row(two, "wz.a")["free"]
    done(two, do="free", name="wz.delta2", free=True)
    assert row(two, "wz.delta2")["free"]
    assert not row(two, "zb.delta2")["free"]


def test_everything_can_be_held(two: Session) -> None:
    for one in two.rows():
        done(two, do="free", name=one["name"], free=False)
    assert two.state.fitted["free"] == []
    assert not any(one["free"] for one in two.rows())


def test_limits_hold_values(two: Session) -> None:
    done(two, do="limits", name="wz.a", min=4.0, max=4.2)
    assert (row(two, "wz.a")["min"], row(two, "wz.a")["max"], row(two, "wz.a")["limited"]) == (4.0, 4.2, True)
    two.do({"do": "value", "name": "wz.a", "value": 5.0})
    assert "outside its limits, 4 to 4.2" in two.message
    done(two, do="limits", name="wz.a", min=4.15, max=4.2)
    assert row(two, "wz.a")["value"] == 4.15
    assert "wz.a is 4.15 now, because 4.13" in two.view()["remarks"][-1]
    done(two, do="limits", name="wz.a", min=None, max=None)
    assert not row(two, "wz.a")["limited"]


def test_one_limit_leaves_the_other_side_open(two: Session) -> None:
    done(two, do="limits", name="wz.a", min=4.0)
    done(two, do="value", name="wz.a", value=5.5)  # beyond the usual ±5 %
    assert row(two, "wz.a")["value"] == 5.5
    done(two, do="undo")
    done(two, do="undo")
    assert row(two, "wz.a")["value"] == pytest.approx(4.136, abs=0.01)


def test_ties(two: Session) -> None:
    done(two, do="tie", name="zb.delta2", to="2*wz.delta2")
    assert row(two, "zb.delta2")["value"] == 4.0
    two.do({"do": "value", "name": "zb.delta2", "value": 1})
    assert "tied to 2*wz.delta2" in two.message
    done(two, do="untie", name="zb.delta2")
    assert (row(two, "zb.delta2")["value"], row(two, "zb.delta2")["tie"]) == (4.0, "")
    done(two, do="tie", name="wz.spdiameter", to="zb.spdiameter")
    assert row(two, "zb.spdiameter")["tie"] == ""
    assert row(two, "zb.spdiameter")["free"]


def test_rename_goes_everywhere(two: Session) -> None:
    done(two, do="limits", name="wz.c", min=6.9, max=7.2)
    done(two, do="limits", name="wz.c")
    done(two, do="limits", name="wz.a", min=4.0, max=4.2)
    done(two, do="value", name="wz.c", value=6.8)
    before = two.curves().rw
    state = done(two, do="rename", kind="phase", name="wz", to="hex")
    assert [text.partition(" is 6.9 now")[0] for text in state.remarks if "6.9 now" in text] == ["hex.c"]
    assert state.values["hex.c"] == 6.8
    assert state.fitted["ties"]["zb.spdiameter"] == "hex.spdiameter"
    assert state.fitted["bounds"] == {"hex.a": [4.0, 4.2]}
    assert two.curves().rw == pytest.approx(before, rel=1e-12)


def test_remove_takes_ties_and_values_along(two: Session) -> None:
    done(two, do="value", name="wz.c", value=6.8)
    state = done(two, do="remove", kind="phase", name="wz")
    assert [one["name"] for one in state.phases] == ["zb"]
    assert "ties" not in state.fitted
    assert not any(name.startswith("wz") for name in state.values)
    state = done(two, do="remove", kind="phase", name="zb")
    assert two.curves().calculated is None
    assert two.curves().measured is not None
    done(two, do="remove", kind="data", name="")
    assert not two.prepared.data
    for _ in range(4):
        done(two, do="undo")
    assert two.at == 0
    assert two.curves().rw is not None


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("lognormal", ("spdiameter", "spsigma")),
        ("spheroid", ("equatorial", "axis_ratio")),
        ("shell", ("spdiameter", "thickness")),
        ("sheet", ("thickness",)),
        ("rod", ("diameter", "length")),
        ("stepcut", ("stepcut",)),
        ("none", ()),
    ],
)
def test_shapes(two: Session, kind: str, names: tuple[str, ...]) -> None:
    done(two, do="shape", phase="zb", kind=kind)
    known = {one["name"] for one in two.rows()}
    assert {f"zb.{name}" for name in names} <= known
    done(two, do="shape", phase="zb", kind="sphere")
    assert two.curves().rw is not None


def test_tables_of_data_and_fit(two: Session) -> None:
    done(two, do="range", data="", rmin=2.5, rmax="9")
    assert two.curves().low == pytest.approx(2.5)
    assert two.curves().high == pytest.approx(9.0)
    done(two, do="range", data="", rmax=None)
    assert two.curves().high == pytest.approx(19.98)
    done(two, do="data", name="", key="probe", value="N")
    assert two.view()["data"][0]["used"]["probe"] == "N"
    done(two, do="data", name="", key="qmax", value="inf")
    done(two, do="data", name="", key="qdamp", value=0.05)
    assert row(two, "qdamp")["value"] == 0.05
    done(two, do="set", key="search", value="thorough")
    done(two, do="set", key="use_errors", value=False)
    done(two, do="set", key="max_nfev", value="50")
    assert two.state.fitted["max_nfev"] == 50
    done(two, do="phase", name="zb", key="anisotropic", value=True)
    done(two, do="value", name="wz.a", value=4.0)
    done(two, do="reset")
    assert row(two, "wz.a")["value"] == two.states[0].values.get("wz.a", row(two, "wz.a")["value"])


BAD = [
    ({"do": "value", "name": "wz.a", "value": "four"}, "wz.a is 'four': give a number"),
    ({"do": "value", "name": "wz.a", "value": float("nan")}, "no number of a model"),
    ({"do": "value", "name": "wz.a", "value": None}, "no number"),
    ({"do": "value", "name": "wz.a", "value": -1.0}, "wz.a = -1 Å makes no sense for the cell length"),
    ({"do": "value", "name": "nothing", "value": 1}, "no parameter is called 'nothing'"),
    ({"do": "free", "name": "wz.rcut", "free": True}, "cannot be refined"),
    ({"do": "free", "name": "zb.spdiameter", "free": True}, "untie it first"),
    ({"do": "limits", "name": "wz.a", "min": 5, "max": 4}, "the first must be smaller"),
    ({"do": "limits", "name": "wz.a", "min": -5, "max": -4}, ""),
    ({"do": "tie", "name": "wz.a", "to": "wz.a"}, "ties wz.a to itself"),
    ({"do": "tie", "name": "wz.a", "to": "__import__('os')"}, ""),
    ({"do": "tie", "name": "wz.a", "to": "nothing*2"}, "no parameter is called 'nothing'"),
    ({"do": "tie", "name": "wz.a", "to": "1/0"}, ""),
    ({"do": "untie", "name": "wz.a"}, "is not tied"),
    ({"do": "range", "data": "", "rmin": 9, "rmax": 3}, "rmin = 9 is not below rmax = 3"),
    ({"do": "range", "data": "", "rmin": 90}, ""),
    ({"do": "range", "data": "x", "rmin": 1}, "no data is called 'x'"),
    ({"do": "rename", "kind": "phase", "name": "wz", "to": "zb"}, "is used twice"),
    ({"do": "rename", "kind": "phase", "name": "wz", "to": "2 a"}, "write letters"),
    ({"do": "rename", "kind": "page", "name": "wz", "to": "a"}, ""),
    ({"do": "remove", "kind": "phase", "name": "no"}, "no phase is called 'no': there are wz, zb"),
    ({"do": "shape", "phase": "wz", "kind": "cube"}, "shape 'cube' is not known"),
    ({"do": "shape", "phase": "wz", "kind": "sphere", "spdiameter": -3}, ""),
    ({"do": "data", "name": "", "key": "qmax", "value": "wide"}, "qmax in [data] is 'wide' (text)"),
    ({"do": "data", "name": "", "key": "file", "value": "/etc/passwd"}, "cannot be set here"),
    ({"do": "data", "name": "", "key": "nonsense", "value": 1}, "has no key 'nonsense'"),
    ({"do": "data", "name": "", "key": "qmin", "value": 30}, "qmax = 22 is not above qmin = 30"),
    ({"do": "phase", "name": "wz", "key": "structure", "value": "/etc/passwd"}, "cannot be set here"),
    ({"do": "phase", "name": "wz", "key": "delta2", "value": "x"}, "delta2 in [phase] is 'x' (text)"),
    ({"do": "set", "key": "search", "value": "hard"}, "search = 'hard' in [fit] is not known"),
    ({"do": "set", "key": "out", "value": "/"}, "cannot be set here"),
    ({"do": "beam", "key": "nonsense", "value": 1}, "is not known of a model without data"),
    ({"do": "jump"}, "there is no action 'jump'"),
    ({}, "there is no action ''"),
    ({"do": "open", "files": ["nothing.gr"]}, "no such file"),
    ({"do": "open", "files": "x"}, "give a list"),
    ({"do": "show", "data": "x"}, "no data set is called 'x'"),
]


@pytest.mark.parametrize(("action", "said"), BAD, ids=lambda one: str(one)[:60])
def test_what_cannot_be_done_is_said_and_changes_nothing(two: Session, action: Any, said: str) -> None:
    before, rw = two.state, two.curves().rw
    two.do(action)
    assert two.message
    assert said in two.message
    assert "Traceback" not in two.message
    assert len(two.message) < 500
    assert two.state is before
    assert two.curves().rw == rw


def test_any_actions_and_undo_are_where_it_was(two: Session) -> None:
    """Some 80 random actions, good and bad: each leaves a page that shows curves; undo goes back through all."""
    rng = random.Random(19)
    first = two.state.to_json(), two.curves().rw
    for _ in range(80):
        two.do(_some(two, rng))
        assert two.prepared is not None
        json.dumps(two.view(), allow_nan=False)
        if two.prepared.data:
            two.curves()
    last = two.state.to_json()
    steps = len(two.states) - 1
    assert steps > 20
    for _ in range(steps):
        done(two, do="undo")
    assert (two.state.to_json(), two.curves().rw) == first
    for _ in range(steps):
        done(two, do="redo")
    assert two.state.to_json() == last
    assert State.from_json(last).to_json() == last


def _some(session: Session, rng: random.Random) -> dict[str, Any]:
    rows = session.rows() or [{"name": "none", "value": 1.0, "low": 0.0, "high": 1.0}]
    one, other = rng.choice(rows), rng.choice(rows)
    phases = [table["name"] for table in session.state.phases] or ["none"]
    span = one["high"] - one["low"]
    return rng.choice(
        [
            {"do": "value", "name": one["name"], "value": one["low"] + rng.random() * span, "moving": True},
            {"do": "value", "name": one["name"], "value": rng.uniform(-2, 2)},
            {"do": "free", "name": one["name"], "free": rng.random() < 0.5},
            {"do": "limits", "name": one["name"], "min": one["low"], "max": one["high"]},
            {"do": "limits", "name": one["name"], "min": None, "max": None},
            {"do": "tie", "name": one["name"], "to": other["name"]},
            {"do": "untie", "name": one["name"]},
            {"do": "range", "data": "", "rmin": round(rng.uniform(1, 4), 1), "rmax": round(rng.uniform(3, 22), 1)},
            {"do": "rename", "kind": "phase", "name": rng.choice(phases), "to": rng.choice(["wz", "zb", "p", "q"])},
            {"do": "shape", "phase": rng.choice(phases), "kind": rng.choice(["sphere", "none", "sheet", "lognormal"])},
            {"do": "remove", "kind": "phase", "name": rng.choice(phases)} if rng.random() < 0.3 else {"do": "reset"},
            {"do": "open", "files": [rng.choice(["Ni", "CdS_zincblende", "CdSe_wurtzite"])]},
            {"do": "data", "name": "", "key": "window", "value": rng.choice(["lorch", "none", "hann"])},
            {"do": "undo"},
        ]
    )


def test_a_renamed_phase_keeps_each_tie_of_an_ending(two: Session) -> None:
    two.do({"do": "value", "name": "wz.S.Uiso", "value": 0.02})
    before = two.curves().calculated
    two.do({"do": "rename", "kind": "phase", "name": "wz", "to": "other"})
    params = two.prepared.at(two.state.values)
    assert (params["zb.Cd.Uiso"].expr, params["zb.S.Uiso"].expr) == ("other.Cd.Uiso", "other.S.Uiso")
    assert params["zb.S.Uiso"].value == 0.02
    np.testing.assert_array_equal(two.curves().calculated, before)


def test_curves_are_those_of_the_model_however_far_a_slider_went(two: Session) -> None:
    """Ripples and particles are followed as far as the present values ask for, not those a page began with."""
    names = ("wz.spdiameter", "wz.Cd.Uiso", "qdamp")
    for name, value in [*zip(names, (14.0, 0.03, 0.1), strict=True), *zip(names, (90.0, 0.002, 0.0), strict=True)]:
        two.do({"do": "value", "name": name, "value": value, "moving": True})
        assert two.message == ""
        found = two.curves()
        wanted = two.prepared.model("", two.state.values)(found.r).G
        assert found.calculated == pytest.approx(wanted, abs=1e-6 * float(np.abs(wanted).max()))


@pytest.mark.parametrize("name", ["qdamp", "qbroad"])
def test_values_that_no_instrument_has_are_refused(two: Session, name: str) -> None:
    before = two.state
    two.do({"do": "value", "name": name, "value": 51.0})
    assert f"{name} = 51" in two.message
    assert two.state is before
    two.view()


def test_limits_that_nobody_set_do_not_stop_what_is_tied(two: Session) -> None:
    """The usual limit of delta2 is that of the phase's own nearest bond; a fit lets a tied one go beyond it."""
    two.do({"do": "tie", "name": "zb.delta2", "to": "wz.delta2"})
    two.do({"do": "value", "name": "wz.delta2", "value": 7.5})
    assert two.message == ""
    params = two.prepared.at(two.state.values)
    assert params["zb.delta2"].value == params["wz.delta2"].value == 7.5


def test_what_followed_a_phase_that_is_removed_keeps_its_value(two: Session) -> None:
    two.do({"do": "open", "files": ["Ni"]})
    two.do({"do": "tie", "name": "Ni.scale", "to": "0.1 * zb.scale"})
    two.do({"do": "limits", "name": "zb.a", "min": 5.9, "max": 6.0})
    assert any(text.startswith("zb.a is 5.9 now") for text in two.state.remarks)
    before = {row["name"]: row["value"] for row in two.rows()}
    two.do({"do": "remove", "kind": "phase", "name": "zb"})
    assert two.message == ""
    after = {row["name"]: row for row in two.rows()}
    assert {name: row["value"] for name, row in after.items()} == {n: v for n, v in before.items() if n in after}
    assert after["Ni.scale"]["tie"] == ""
    assert [text for text in two.state.remarks if "zb." in text] == []
    assert f"Ni.scale keeps its value, {before['Ni.scale']:g}: what it followed is gone" in two.state.remarks


@pytest.mark.parametrize("first", [0.01, 1.5])
def test_f_of_q_is_the_integral_over_the_points_of_the_data(two: Session, tmp_path: Path, first: float) -> None:
    r = np.arange(first, 20, 0.01)
    pk.write_pdf(tmp_path / "part.gr", two.prepared.model("", {})(r))
    session = Session(tmp_path, opened([str(tmp_path / "part.gr")], tmp_path))
    found = of_q(session.prepared, session.curves())
    G = np.asarray(session.curves().measured)
    plain = trapezoid(G * np.sin(r * found["Q"][:, None]), r, axis=1)
    # Trapezoids of steps of 0.01 Å: their error is (QΔr)²/12 of F, 0.5 % at 25 Å⁻¹.
    assert found["F measured"] == pytest.approx(plain, abs=6e-3 * np.abs(plain).max())
    assert found["Q"][-1] == pytest.approx(two.prepared.model("", {}).instrument.qmax, abs=0.02)
