"""Restraints of bonds, angles and valences against loops over atoms, difference quotients, and fits that they hold."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import ParameterError, PdfkitError, RecipeError
from pdfkit.model.bond_valence import BondValenceRestraint, instability
from pdfkit.model.restraints import AngleRestraint, Restrained, Term, values_of
from pdfkit.model.serial import dumps, loads
from pdfkit.results.report import report, report_html
from pdfkit.structure import Site

LAB = pk.Instrument(probe="X", qmax=20)
CHARGES = {"Sr": 2, "Ti": 4, "O": -2}


def low_symmetry() -> pk.Model:
    """A triclinic crystal of three sites, one partly occupied and one anisotropic."""
    sites = [
        Site("Ti1", "Ti", (0.02, 0.03, -0.01), 0.9),
        Site("O1", "O", (0.49, 0.05, 0.02), 1.0, (0.01, 0.02, 0.015, 0.001, 0.002, 0.0)),
        Site("O2", "O", (0.03, 0.52, 0.04)),
        Site("O3", "O", (-0.02, 0.01, 0.47)),
    ]
    structure = pk.Structure((3.9, 4.0, 4.1, 88.0, 93.0, 95.0), sites)
    return pk.Model(pk.Crystal(structure, "p"), LAB)


def shipped(name: str) -> pk.Model:
    return pk.Model(pk.Crystal.from_file(name, name="p"), LAB)


def atoms(model: pk.Model) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return elements, occupancies and places (Å) of the atoms of 5 x 5 x 5 cells, those of the middle one first."""
    structure = model.phases[0].structure
    full, rows = structure.expand(), structure.basis()
    cells = sorted(itertools.product(range(-2, 3), repeat=3), key=lambda n: sum(map(abs, n)))
    elements = [structure.sites[k].element for k in full.site]
    occupancy = np.array([structure.sites[k].occ for k in full.site])
    xyz = np.concatenate([(structure.positions() + n) @ rows for n in cells])
    return elements * len(cells), np.tile(occupancy, len(cells)), xyz


def check_derivatives(restraint: Restrained, model: pk.Model) -> None:
    values = model.values
    _, slopes = restraint.residual(model, model.names, values, np.eye(values.size))
    for k in range(values.size):
        step = np.zeros(values.size)
        step[k] = 1e-5 * max(1.0, abs(values[k]))
        ahead, behind = (
            restraint.residual(model, model.names, values + way * step, np.zeros((values.size, 0)))[0]
            for way in (1.0, -1.0)
        )
        wanted = (ahead - behind) / (2 * step[k])
        assert slopes[:, k] == pytest.approx(wanted, rel=1e-5, abs=1e-5 * np.abs(slopes).max()), model.names[k]


@pytest.mark.parametrize(
    ("model", "valence", "r0"),
    [
        (shipped("SrTiO3"), CHARGES, {"Sr": 2.118, "Ti": 1.815}),
        (low_symmetry(), {"Ti": 4, "O": -2}, {"Ti": 1.815}),
        (shipped("CdSe_wurtzite"), {"Se": -2, "Cd": 2}, {"Cd": 2.40}),
    ],
)
def test_valences_are_sums_over_bonds(model: pk.Model, valence: dict[str, float], r0: dict[str, float]) -> None:
    restraint = BondValenceRestraint("p", valence, 0.1)
    elements, occupancy, xyz = atoms(model)
    structure = model.phases[0].structure
    first = [int(np.flatnonzero(structure.expand().site == k)[0]) for k in range(len(structure.sites))]
    for term, i in zip(values_of(restraint, model), first, strict=True):
        total = 0.0
        for j, other in enumerate(elements):
            if valence[elements[i]] * valence[other] < 0:
                cation = elements[i] if valence[elements[i]] > 0 else other
                s = math.exp((r0[cation] - math.dist(xyz[i], xyz[j])) / 0.37)
                total += occupancy[j] * s * (s > 0.038 * valence[cation])
        assert term.value == pytest.approx(total, rel=1e-9)
        assert term.low == term.high == abs(valence[elements[i]])
    check_derivatives(restraint, model)


def test_the_instability_index_counts_every_atom() -> None:
    terms = values_of(BondValenceRestraint("p", CHARGES, 0.1), shipped("SrTiO3"))
    sr, ti, o = (one.value for one in terms)
    expected = math.sqrt(((sr - 2) ** 2 + (ti - 4) ** 2 + 3 * (o - 2) ** 2) / 5)
    assert instability(terms) == pytest.approx(expected, rel=1e-12)
    assert instability(terms) == pytest.approx(0.10, abs=0.02)  # over-bonded Ti, as perovskites of Sr are known for


def test_a_label_says_more_than_an_element_and_r0_may_be_given() -> None:
    model = low_symmetry()
    named = {
        one.what: one.low for one in values_of(BondValenceRestraint("p", {"O": -2, "O2": -1.5, "Ti": 4}, 1), model)
    }
    assert named == {
        "p: valence of Ti1": 4, "p: valence of O1": 2, "p: valence of O2": 1.5, "p: valence of O3": 2
    }  # fmt: skip
    usual = values_of(BondValenceRestraint("p", {"Ti": 4}, 0.1), model)[0].value
    more = values_of(BondValenceRestraint("p", {"Ti": 4}, 0.1, {"O–Ti": (1.915, 0.37)}), model)[0].value
    assert more == pytest.approx(usual * math.exp(0.1 / 0.37), rel=1e-9)


@pytest.mark.parametrize(
    ("valence", "r0", "words"),
    [
        ({"Se": 2}, {}, "write a negative charge"),
        ({"Se": -2}, {}, "no charge is given: add it to the valences, such as Cd = 2"),
        ({"Te": -2}, {}, "no such element and no such label"),
        ({"Cd": 3}, {"Zn-Se": 2.0}, 'no table has R0 for Cd+3 with Se; give it in Å: r0 = {"Cd-Se" = 2.0}'),
        ({"Cd": 2}, {"Cd-Se": 0.5}, "has no bond within"),
    ],
)
def test_what_valences_cannot_do_is_said(valence: dict[str, float], r0: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError) as caught:
        values_of(BondValenceRestraint("p", valence, 0.1, r0), shipped("CdSe_wurtzite"))
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500


def test_wrong_numbers_are_refused() -> None:
    for make in (
        lambda: BondValenceRestraint("p", {"Cd": 0}, 0.1),
        lambda: BondValenceRestraint("p", {}, 0.1),
        lambda: BondValenceRestraint("p", {"Cd": 2}, 0.0),
        lambda: BondValenceRestraint("p", {"Cd": 2}, 0.1, {"Cd": 2.0}),
        lambda: BondValenceRestraint("p", {"Cd": 2}, 0.1, {"Cd-Se": -2.0}),
        lambda: pk.BondRestraint("p", "Cd", "Se", None, 0.1),
        lambda: pk.BondRestraint("p", "Cd", "Se", 2.6, 0.1, low=2.5),
        lambda: pk.BondRestraint("p", "Cd", "Se", None, 0.1, low=2.6, high=2.5),
        lambda: AngleRestraint("p", "Se", "Cd", "Se", 190.0, 0.1),
        lambda: pk.BondRestraint("p", "Cd", "Se", 0.262, 0.001),  # nm
        lambda: AngleRestraint("p", "Se", "Cd", "Se", None, 0.1, high=1.911),  # radians
    ):
        with pytest.raises(PdfkitError):
            make()
    cluster = pk.Model(pk.Cluster(pk.build.tetrahedron("CdSe_zincblende", 3), "p"), LAB)
    with pytest.raises(ParameterError, match="no crystal"):
        values_of(BondValenceRestraint("p", {"Cd": 2}, 0.1), cluster)
    angles = values_of(AngleRestraint("p", "Cd", "Se", "Cd", 109.0, 1.0), cluster)  # those of four tetrahedra
    assert [one.value for one in angles] == pytest.approx([109.47] * 24, abs=0.01)
    assert values_of(pk.BondRestraint("p", "Cd", "Se", 2.6, 0.1), cluster)[0].value == pytest.approx(2.62, abs=0.01)


def test_bonds_may_be_named_by_labels() -> None:
    model = low_symmetry()
    elements, _, xyz = atoms(model)
    for label, i in (("O1", 1), ("O2", 2), ("O3", 3)):
        restraint = pk.BondRestraint("p", "Ti1", label, 2.0, 0.1)
        n = len(model.phases[0].structure.sites)
        nearest = min(math.dist(xyz[0], xyz[j]) for j in range(i, len(elements), n))
        assert values_of(restraint, model)[0].value == pytest.approx(nearest, rel=1e-12)
        check_derivatives(restraint, model)
    everything = min(math.dist(xyz[0], xyz[j]) for j, e in enumerate(elements) if e == "O")
    assert values_of(pk.BondRestraint("p", "O", "Ti", 2.0, 0.1), model)[0].value == pytest.approx(everything)
    with pytest.raises(ParameterError, match="no such pair"):
        values_of(pk.BondRestraint("p", "Ti", "Ti", 0.7, 0.1), model)


def test_limits_cost_nothing_while_they_are_kept() -> None:
    model = shipped("CdS_zincblende")
    bond = values_of(pk.BondRestraint("p", "Cd", "S", 2.5, 0.1), model)[0].value
    at = (model, model.names, model.values, np.eye(model.values.size))
    for limits, expected in (
        ({"low": bond - 0.1}, 0.0),
        ({"high": bond + 0.1}, 0.0),
        ({"low": bond + 0.1}, -1.0),
        ({"high": bond - 0.2}, 2.0),
        ({"low": bond - 0.3, "high": bond - 0.1}, 1.0),
    ):
        value, slope = pk.BondRestraint("p", "Cd", "S", None, 0.1, **limits).residual(*at)
        assert value == pytest.approx([expected], abs=1e-9)
        assert slope.any() == (expected != 0.0)


def test_angles_are_those_between_bonds() -> None:
    model = low_symmetry()
    elements, _, xyz = atoms(model)
    bonds = [j for j, e in enumerate(elements) if e == "O" and math.dist(xyz[0], xyz[j]) < 4.0]
    least = min(math.dist(xyz[0], xyz[j]) for j in bonds)
    bonds = [j for j in bonds if math.dist(xyz[0], xyz[j]) < 1.2 * least]
    expected = []
    for one, other in itertools.combinations(bonds, 2):
        u, v = xyz[one] - xyz[0], xyz[other] - xyz[0]
        expected.append(math.degrees(math.acos(u @ v / math.dist(xyz[0], xyz[one]) / math.dist(xyz[0], xyz[other]))))
    restraint = AngleRestraint("p", "O", "Ti", "O", 90.0, 1.0)
    found = [term.value for term in values_of(restraint, model)]
    assert len(found) == 15
    assert sorted(found) == pytest.approx(sorted(expected), rel=1e-9)
    check_derivatives(restraint, model)
    check_derivatives(AngleRestraint("p", "Ti", "O2", "Ti", None, 1.0, low=175.0), model)
    cubic = values_of(AngleRestraint("p", "S", "Cd", "S", 109.47, 1.0), shipped("CdS_zincblende"))
    assert [one.value for one in cubic] == pytest.approx([math.degrees(math.acos(-1 / 3))])  # six equal ones, once
    with pytest.raises(ParameterError, match="no such angle"):
        values_of(AngleRestraint("p", "Cd", "Cd", "Cd", 60.0, 1.0), shipped("CdS_zincblende"))  # 4.12 Å is no bond


def simulated() -> tuple[pk.Model, pk.PDF]:
    model = shipped("CdSe_wurtzite")
    r = np.arange(1.5, 12, 0.02)
    pdf = model.with_values({"p.a": 4.2, "p.c": 6.9})(r)
    return model, pk.PDF(r, pdf.G, np.full(r.size, 2.0), instrument=LAB)


def test_a_fit_obeys_valences_and_its_report_says_so() -> None:
    model, data = simulated()
    restraint = BondValenceRestraint("p", {"Cd": 2, "Se": -2}, 1e-4)
    plain = pk.fit(model, data, free=["a", "c"])
    held = pk.fit(model, data, free=["a", "c"], restraints=[restraint])
    before, after = (values_of(restraint, one.model) for one in (plain, held))
    assert max(abs(one.value - 2) for one in before) > 0.2
    assert max(abs(one.value - 2) for one in after) < 0.005
    text = report(held)
    assert f"global instability index of p: {instability(after):.3f} v.u." in text
    assert "p: valence of Cd" in text
    assert "valence of Cd" in report_html(held)
    assert "restraints" not in report(plain)


def test_restraints_come_back_from_files(tmp_path: Path) -> None:
    restraints = [
        BondValenceRestraint("p", {"Cd": 2, "Se": -2}, 0.1, {"Cd-Se": (2.41, 0.37)}),
        AngleRestraint("p", "Se", "Cd", "Se", None, 1.0, low=100.0),
        pk.BondRestraint("p", "Cd", "Se", None, 0.02, high=2.7),
    ]
    assert loads(dumps(tuple(restraints))) == tuple(restraints)
    model, data = simulated()
    result = pk.fit(model, data, free=["a", "c"], restraints=restraints)
    result.save(tmp_path / "fit.h5")
    again = pk.load_result(tmp_path / "fit.h5")
    assert again.restraints == tuple(restraints)
    assert report(again) == report(result)
    old = '{"type": "bond restraint", "phase": "p", "first": "Cd", "second": "Se", "target": 2.6, "sigma": 0.02}'
    assert loads(old) == pk.BondRestraint("p", "Cd", "Se", 2.6, 0.02)


RECIPE = """
data = {{file = "x.gr", probe = "X", qmax = 20}}
phase = [{{name = "p", structure = "CdSe_wurtzite"}}]
[fit]
free = ["a"]
restraints = [
    {}
]
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{phase = "p", valence = {Cd = 2, Se = -2}, sigma = 0.1, r0 = {"Cd-Se" = [2.41, 0.37]}}',
            BondValenceRestraint("p", {"Cd": 2, "Se": -2}, 0.1, {"Cd-Se": (2.41, 0.37)}),
        ),
        (
            '{phase = "p", bond = ["Cd", "Cd"], min = 3.9, sigma = 0.1}',
            pk.BondRestraint("p", "Cd", "Cd", None, 0.1, low=3.9),
        ),
        (
            '{phase = "p", angle = ["Se", "Cd", "Se"], min = 100, max = 120, sigma = 1}',
            AngleRestraint("p", "Se", "Cd", "Se", None, 1.0, low=100.0, high=120.0),
        ),
        ('{phase = "p", bond = ["Cd", "Cd"], sigma = 0.1}', "lacks target: give a number, or limits min and max"),
        ('{phase = "p", angle = ["Se", "Cd"], target = 1, sigma = 0.1}', 'three elements, such as ["Cd", "Se", "Cd"]'),
        ('{phase = "p", valence = {Cd = "2"}, sigma = 0.1}', "valence of Cd is text: give a number"),
        ('{phase = "p", valence = {Cd = 2}, r0 = {Cd = 1}, sigma = 0.1}', "r0 of 'Cd' is not of a pair"),
        ("{valence = {Cd = 2}, sigma = 0.1}", "lacks phase"),
    ],
)
def test_recipes_have_them(tmp_path: Path, text: str, expected: Any) -> None:
    path = tmp_path / "fit.toml"
    path.write_text(RECIPE.format(text), encoding="utf-8")
    if isinstance(expected, str):
        with pytest.raises(RecipeError) as caught:
            pk.load_recipe(path)
        assert expected in str(caught.value)
        missing = "lacks" in expected  # then it is the line of the list
        assert caught.value.line == (6 if missing else 7)
    else:
        assert pk.load_recipe(path).restraints == (expected,)


def test_drawn_targets_differ_and_limits_stay() -> None:
    rng = np.random.default_rng(1)
    bond = pk.BondRestraint("p", "Cd", "Se", 2.6, 0.02).drawn(rng)
    assert bond.target is not None
    assert 0.0 < abs(bond.target - 2.6) < 0.1
    limit = pk.BondRestraint("p", "Cd", "Se", None, 0.02, low=2.0)
    assert limit.drawn(rng) == limit
    valence = BondValenceRestraint("p", {"Cd": 2}, 0.1).drawn(rng)
    assert 0.0 < abs(valence.valence["Cd"] - 2) < 0.5
    assert values_of(valence, shipped("CdSe_wurtzite"))[0].low == valence.valence["Cd"]


def test_a_term_tells_where_it_may_be() -> None:
    slope = np.zeros(0)
    assert Term("x", "", 1.0, 2.0, 2.0, 0.5, slope).wanted == "2"
    assert Term("x", "", 1.0, 2.0, math.inf, 0.5, slope).wanted == "≥ 2"
    assert Term("x", "", 1.0, 0.5, 2.0, 0.5, slope).wanted == "≥ 0.5, ≤ 2"
    assert Term("x", "", 1.0, 2.0, math.inf, 0.5, slope).pull == -2.0
