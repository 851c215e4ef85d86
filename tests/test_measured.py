"""Fits of measured data reproduce, in the matching convention, what PDFgui and PDFfit2 got (benchmarks/measured.py)."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
measured = pytest.importorskip("measured")


def installed() -> bool:
    try:
        importlib.metadata.distribution("diffpy.cmi")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


pytestmark = [
    pytest.mark.examples,
    pytest.mark.skipif(not installed(), reason="the measured data come with the `examples` extra"),
]


@pytest.mark.parametrize("row", measured.ROWS, ids=lambda row: row.name)
def test_published_fits(row: measured.Row) -> None:
    result = row.fit(convention="pdffit2")
    assert result.rw <= row.rw + measured.RW
    if row.name not in measured.EXPLAINED:
        assert measured.within(row, result) == []


@pytest.mark.parametrize("row", measured.ROWS[2:4], ids=lambda row: row.name)
def test_q_dependent_weights_fit_cdse_better(row: measured.Row) -> None:
    assert row.fit().rw < row.fit(scattering="constant").rw


def test_phase_fractions_of_the_mixture() -> None:
    row = next(row for row in measured.ROWS if row.name == "Si + Ni mixture")
    fractions = row.fit(convention="pdffit2").fractions["ni"]
    assert fractions["atoms"][0] == pytest.approx(0.0577, abs=5e-4)
    assert fractions["mass"][0] == pytest.approx(0.1134, abs=5e-4)


def test_a_model_that_cannot_fit_says_so_and_stops() -> None:
    row = next(row for row in measured.ROWS if row.name.startswith("CdSe-1"))
    result = row.fit()
    assert result.nfev <= 101
    # With γ₀ on pairs it comes to rest, with cells at their bounds.
    assert {"wz.a", "wz.c", "zb.a"} <= set(result.at_bounds)
    assert not result.describes
    assert any("does not describe the data" in remark for remark in result.remarks)


def test_parts_of_a_measured_fit_add_up() -> None:
    result = measured.two_phases("CdSe-4", measured.SHARED)
    scale = np.abs(result.calc.G).max()
    for parts in (result.partials(), result.phase_curves()):
        np.testing.assert_allclose(sum(p.G for p in parts.values()), result.calc.G, atol=1e-12 * scale)


def test_a_rival_of_measured_dots_is_not_judged_by_its_worse_minimum() -> None:
    """CdSe-4, two phases with their own U: minima at Rw 0.167 and more exist, and the search of a fit passes them."""
    stacking = pytest.importorskip("stacking")
    data, rivals = measured.cdse("CdSe-4"), ("two own", "one")
    phases = {name: stacking.RIVALS[name].phases("CdSe-4", stacking.STARTS[0]) for name in rivals}
    models = {name: pk.Model(several, data.instrument) for name, several in phases.items()}
    free = list(dict.fromkeys(key for name in rivals for key in stacking.RIVALS[name].free))
    found = pk.compare(models, data, free=free, ties=measured.ONE_D, rmin=1.5, rmax=40.0)
    assert found["two own"].rw < 0.1653
    assert found.names[0] == "one"


def test_a_minimum_without_a_peak_is_left_for_one_with_all_peaks() -> None:
    minima = pytest.importorskip("minima")
    case = next(one for one in minima.CASES if one.name == "CdSe-2, one phase, U11 ≠ U33")
    data = case.data()
    model = pk.Model(case.phases(), data.instrument)

    def fitted(start: int, search: str) -> pk.FitResult:
        params = minima.parameters(case, model, data, np.random.default_rng([minima.SEED, start]))
        return pk.fit(model, data, params=params, rmin=case.rmin, rmax=case.rmax, search=search)

    plain, found = fitted(0, "plain"), fitted(1, "staged")
    assert any("left out" in one for one in plain.remarks)
    assert any("no better than a higher one" in one for one in plain.remarks)
    assert plain.rw < found.rw < 1.1 * plain.rw
    assert not any("left out" in one for one in found.remarks)
    assert any("a minimum with all peaks wins" in one for one in found.remarks)


def test_a_search_from_many_starts_ranks_as_the_default_does() -> None:
    minima = pytest.importorskip("minima")
    case = next(one for one in minima.CASES if one.name == "CdSe-2, one phase, Uiso")
    data = case.data()
    model = pk.Model(case.phases(), data.instrument)
    params = minima.parameters(case, model, data, np.random.default_rng([minima.SEED, 1]))
    found = pk.fit(model, data, params=params, rmin=case.rmin, rmax=case.rmax, search={"starts": 16})
    assert found.rw == pytest.approx(minima.BEST[case.name], rel=1e-3)
    lower = next(one for one in found.minima if one.rw < 0.95 * found.rw)
    assert lower.flaws == ("leaves out the peak of Cd–Se in wz",)
    assert not found.minima[0].flaws
    assert any("a lower Rw exists, 0.2989" in one for one in found.remarks)
