"""Cells without symmetry: peaks drawn together, and pairs shared between nodes, where widths are extreme."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pdfkit as pk
from pdfkit._checks import Array
from pdfkit.model import Model
from pdfkit.model.spread import Plan
from pdfkit.phases._pairs import distance
from pdfkit.structure import Structure

R = np.arange(5, 1300) * 0.01


def cell(side: int, low: float, high: float) -> Structure:
    """Return side³ atoms of Na and Cl near grid points, all of different U between low and high (Å²)."""
    rng, grid = np.random.default_rng(5), np.array(list(np.ndindex(side, side, side)))
    U = np.linspace(low, high, len(grid))[rng.permutation(len(grid))]
    elements = np.where(grid.sum(axis=1) % 2, "Cl", "Na").tolist()
    xyz = (grid + rng.uniform(-0.1, 0.1, grid.shape)) / side
    return Structure.from_arrays((2.8 * side,) * 3 + (84.0, 95.0, 101.0), elements, xyz, U=U)


def model_of(structure: Structure) -> Model:
    return Model(pk.Crystal(structure, name="p", shape=pk.Sphere(12.0)), pk.Instrument(probe="N", qmax=25.0))


def directions(model: Model) -> Array:
    """Return tangents of scale, a, z of one atom, U of one atom, and U of all."""
    displacements = [name for name in model.names if name.endswith("Uiso")]
    some = (["p.scale"], ["p.a"], ["p.Na3.z"], displacements[:1], displacements)
    return np.array([[float(name in one) for name in model.names] for one in some]).T.copy()


def test_narrow_peaks_drawn_together_have_the_derivatives_of_single_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Widths between which that of the narrowest is shared are narrower still, and leave something at a high Q."""
    model = model_of(cell(3, 1e-4, 0.01))
    monkeypatch.setattr("pdfkit.phases._choice.MERGE_ABOVE", math.inf)
    monkeypatch.setattr("pdfkit.model.spread.DECIDING", 0.0)
    answers = []
    for few, alone in ((10**9, 0.0), (0, 1.0)):
        monkeypatch.setattr("pdfkit.model.spread.FEW", few)
        monkeypatch.setattr("pdfkit.model.spread.ALONE", alone)
        tangents = directions(model)
        answers.append(model.evaluator(R)(model.values - 1e-4 * tangents[:, 4], tangents))
    (one, done), (together, dtogether) = answers
    assert 0 < np.abs(together - one).max() <= 2e-7 * np.abs(one).max()
    assert (np.abs(dtogether - done).max(axis=1) <= 3e-6 * np.abs(done).max(axis=1)).all()


@pytest.mark.parametrize("forced", [False, True])
def test_difference_quotients_step_below_zero_displacement(forced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(cell(5, 0.004, 0.004))
    monkeypatch.setattr("pdfkit.phases._choice.MERGE_ABOVE", 0.0)
    if forced:
        from pdfkit.phases import _pairs

        monkeypatch.setattr(_pairs, "_by_kind", _pairs._shared)
    evaluate, all_U = model.evaluator(R), directions(model)[:, 4]
    still = model.values * (1.0 - all_U)
    # Narrower than 0.01 Å is drawn as wide, so that nothing changes.
    np.testing.assert_allclose(evaluate(still - 1e-6 * all_U)[0], evaluate(still)[0], atol=1e-9)


def test_pairs_are_shared_where_a_list_of_them_takes_too_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(cell(4, 0.005, 0.0051))
    evaluate, tangents = model.evaluator(R), directions(model)
    monkeypatch.setattr("pdfkit.phases._choice.MERGE_ABOVE", math.inf)
    expected, _ = evaluate(model.values, tangents)
    monkeypatch.setenv("PDFKIT_MEMORY", "0.004")
    found, _ = evaluate(model.values, tangents)
    assert 0 < np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()


def test_pairs_that_correlated_motion_leaves_hardly_a_width_are_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes beside them have none at all: 4e-4 of max|G| was lost, and pairs were said to be left out."""
    structure = cell(4, 0.01, 0.01)
    x, rows = structure.positions(), structure.basis()
    delta = x[:, None] - x + np.array(list(np.ndindex(3, 3, 3)))[:, None, None] - 1.0
    d = np.linalg.norm(delta @ rows, axis=-1)
    crystal = pk.Crystal(structure, name="p", delta2=float((0.99 * d[d > 0.01].min()) ** 2), shape=pk.Sphere(12.0))
    model = Model(crystal, pk.Instrument(probe="N", qmax=25.0))
    answers = []
    for above in (0.0, math.inf):
        monkeypatch.setattr("pdfkit.phases._choice.MERGE_ABOVE", above)
        evaluate = model.evaluator(R)
        answers.append(evaluate(model.values)[0])
        assert not evaluate.messages
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6 * np.abs(answers[1]).max())


def test_widths_that_leave_nothing_to_draw_have_tables_all_the_same() -> None:
    """σ of 200 Å, where bounds lead there, and none at all of a pair whose sratio is 0: neither is divided by."""
    with np.errstate(all="raise", under="ignore"):
        assert math.isfinite(Plan.of(200.0, 300.0, 0.05, 400, 22.0).first)
    assert distance(np.array([0.01]), 0.0) == distance(np.array([0.0]), 1e-9) > 0.0
