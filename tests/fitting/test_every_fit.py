"""Fits of every kind: staged never ends above plain, nor above the truth, and another minimiser finds no way down."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import least_squares

import pdfkit as pk
from pdfkit.fitting.residuals import Residuals
from pdfkit.model import noise
from pdfkit.model.bond_valence import BondValenceRestraint
from pdfkit.model.mapping import ParameterMap

LAB = pk.Instrument(probe="X", qmax=22.0, qdamp=0.03)


def model(*names: str, instrument: pk.Instrument = LAB, **options: Any) -> pk.Model:
    return pk.Model([pk.Crystal.from_file(name, name=name.lower()[:2], **options) for name in names], instrument)


@dataclass(frozen=True)
class Case:
    """A model at its true values, where the fit starts, what varies, and how it is fitted."""

    truth: pk.Model
    start: dict[str, float]
    free: list[str]
    ends: tuple[float, float] = (1.5, 15.0)
    noise: float = 0.05
    options: dict[str, Any] = field(default_factory=dict)


NI, ZB, WZ = model("Ni"), model("CdS_zincblende"), model("CdS_wurtzite")
BASIC = ["scale", "a", "Uiso"]
CUBE = pk.Particle.of(["Au"] * 64, 2.9 * np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3))
CASES = {
    "one parameter": Case(NI, {"a": 3.58}, ["a"]),
    "at the truth": Case(NI, {}, BASIC),
    "very noisy": Case(NI, {"a": 3.58}, BASIC, noise=3.0),
    "to 5 Å": Case(NI, {"a": 3.58}, BASIC, ends=(1.5, 5.0)),
    "neutrons": Case(model("Ni", instrument=pk.Instrument(probe="N", qmax=22.0)), {"a": 3.58}, BASIC),
    "PDFfit2": Case(NI, {"a": 3.58}, BASIC, options={"convention": "pdffit2"}),
    "tied U": Case(ZB, {"a": 5.95}, BASIC, options={"ties": {"cd.S.Uiso": "2*cd.Cd.Uiso"}}),
    "restrained": Case(ZB, {"a": 5.95}, BASIC, options={"restraints": [pk.ValueRestraint("cd.S.Uiso", 0.02, 0.001)]}),
    "anisotropic": Case(
        model("CdS_wurtzite", anisotropic=True), {"a": 4.2, "c": 6.65}, ["scale", "a", "c", "U11", "U33"]
    ),
    "position": Case(WZ, {"a": 4.2, "S.z": 0.39}, [*BASIC, "c", "S.z"]),
    "two phases": Case(model("Ni", "CdS_zincblende"), {"ni.a": 3.58, "cd.a": 5.75}, BASIC),
    "dG": Case(NI, {"a": 3.58}, BASIC, options={"dG": 0.1}),
    "DiffPy-CMI": Case(NI, {"a": 3.58}, BASIC, options={"convention": "diffpy-cmi"}),
    "stacked": Case(
        pk.Model(pk.Stacked("Cd", "S", name="st", a_h=4.12, alpha=0.4), LAB),
        {"a_h": 4.25, "h": 3.42, "alpha": 0.5},
        ["scale", "a_h", "st.h", "alpha", "Uiso"],
    ),
    "cluster": Case(
        pk.Model(pk.Cluster.from_structure(CUBE, name="cl", Uiso=0.006), LAB),
        {"expansion": 0.02},
        ["scale", "expansion", "Uiso"],
        noise=0.01,
    ),
    "bond valences": Case(
        WZ,
        {"a": 4.2, "S.z": 0.39},
        [*BASIC, "c", "S.z"],
        options={"restraints": [BondValenceRestraint("cd", {"Cd": 2, "S": -2}, 0.1)]},
    ),
    "two data sets": Case(
        NI,
        {"a": 3.58},
        BASIC,
        options={
            "measured": {"x": LAB, "n": pk.Instrument(probe="N", qmax=18.0, qdamp=0.02)},
            "settings": pk.FitSettings(weights={"n": 4.0}),
        },
    ),
    "grid": Case(NI, {"a": 3.58}, BASIC, options={"convention": "pdffit2", "settings": pk.FitSettings(grid="nyquist")}),
}


def results(case: Case) -> list[pk.FitResult]:
    """Return the fits: staged and plain from the start, plain from the truth."""
    options = dict(case.options)
    truth = case.truth
    if convention := options.pop("convention", None):
        truth = replace(truth, convention=convention)
    measured = options.pop("measured", {"": truth.instrument})
    sets = {
        name: noise.simulate(truth.with_instrument(one), *case.ends, 0.02, case.noise, 7)
        for name, one in measured.items()
    }
    if size := options.pop("dG", None):
        sets = {name: replace(one, dG=np.full(len(one), size)) for name, one in sets.items()}
    data = sets if len(sets) > 1 else sets[""]
    settings = replace(options.pop("settings", pk.FitSettings()), noise="given")
    fits = ((case.start, "staged"), (case.start, "plain"), ({}, "plain"))
    return [
        pk.fit(truth.with_values(values), data, free=case.free, search=search, settings=settings, **options)
        for values, search in fits
    ]


@pytest.mark.parametrize("name", CASES)
def test_staged_ends_in_the_lowest_minimum_and_converged_means_it(name: str) -> None:
    staged, plain, true = results(CASES[name])
    assert staged.converged
    assert staged.minimum <= plain.minimum * (1 + 1e-6)
    assert staged.minimum <= true.minimum * (1 + 1e-6)
    mapping = ParameterMap.of(staged.params)
    residuals = Residuals(staged.problem, mapping).near(staged.values)
    inside = np.clip(staged.values, mapping.low + 1e-12, mapping.high - 1e-12)
    again = least_squares(residuals.at, inside, bounds=(mapping.low, mapping.high), x_scale="jac", xtol=1e-12)
    assert float((residuals.at(inside) ** 2).sum()) <= 2 * again.cost * (1 + 1e-6)


def test_few_evaluations_end_a_staged_fit_and_are_said() -> None:
    data = noise.simulate(WZ, 1.5, 15.0, 0.02, 0.05, 7)
    start = WZ.with_values({"a": 4.3, "S.z": 0.36, "Cd.Uiso": 0.03})
    few = pk.fit(start, data, free=[*BASIC, "c", "S.z"], settings=pk.FitSettings(max_nfev=3, noise="given"))
    assert not few.converged
    assert "stopped after 3 evaluations" in few.message
    assert few.minimum < pk.fit(start, data, free=["scale"], search="plain").minimum


def test_the_end_of_a_fit_depends_on_no_start() -> None:
    """How far ripples are followed goes with U: starts at twice and at half of the true one moved χ² by 5 % once."""
    two = model("Ni", "CdS_zincblende")
    data = noise.simulate(two, 1.5, 30.0, 0.02, 0.3, 7)
    given = pk.FitSettings(noise="given")
    starts = [two.with_values({"ni.Ni.Uiso": U}) for U in (0.0025, 0.005, 0.012)]
    fits = [pk.fit(one, data, free=BASIC, settings=given) for one in starts]
    for one in fits:
        # Ranges may differ by 1e-3 of them, which is 5e-6 of the largest G at the most.
        assert one.minimum == pytest.approx(fits[1].minimum, rel=3e-5)
        assert one.values == pytest.approx(fits[1].values, rel=1e-5, abs=1e-9)
