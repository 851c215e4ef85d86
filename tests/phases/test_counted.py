"""Crystals of many atoms without symmetry: what is counted or looked up at once is what pairs one by one give."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import pdfkit as pk
from pdfkit._checks import Array
from pdfkit.particles import boxes
from pdfkit.phases import _choice, _counted, _lists, _pairs
from pdfkit.structure import Structure

R = np.arange(100, 1501) * 0.01
INSTRUMENT = pk.Instrument(probe="X", qmax=25.0, qdamp=0.03, qbroad=0.01)


def box(side: int = 9, seed: int = 0, oblique: bool = True) -> Structure:
    """Return side³ atoms of Cd and S off their grid points, about as dense as CdS."""
    rng = np.random.default_rng(seed)
    grid = np.array(list(np.ndindex(side, side, side)))
    length = (len(grid) / 0.0417) ** (1 / 3)
    angles = (84.0, 95.0, 101.0) if oblique else (90.0, 90.0, 90.0)
    elements = np.where(grid.sum(axis=1) % 2 == 0, "Cd", "S").tolist()
    U = [0.008 if element == "Cd" else 0.012 for element in elements]
    return Structure.from_arrays(
        (length, length, length, *angles), elements, (grid + rng.uniform(-0.2, 0.2, grid.shape)) / side, U=U
    )


@pytest.mark.parametrize("probe", ["X", "N"])
def test_the_nearest_bond_of_a_box_is_found_among_near_atoms(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    structure = box()
    found = pk.Crystal(structure, name="p").nearest_bond(probe)
    monkeypatch.setattr(_pairs, "MANY_ATOMS", 10**9)
    expected = pk.Crystal(structure, name="p").nearest_bond(probe)
    assert found == pytest.approx(expected, rel=1e-12)
    assert 1.5 < found < 3.0


def crowded() -> Structure:
    """Return two elements of two displacements, half occupancies, atoms that share a place, in an oblique cell."""
    rng = np.random.default_rng(3)
    xyz = np.array(list(np.ndindex(5, 5, 5))) / 5.0
    xyz = np.concatenate([xyz + shift for shift in ([0, 0, 0], [0, 0.1, 0.1], [0.1, 0, 0.1], [0.1, 0.1, 0])])
    xyz += 0.004 * rng.normal(size=xyz.shape)
    xyz, kind = np.concatenate([xyz, xyz[1:15:3]]), [*(np.arange(500) % 3), *[3] * 5]
    elements, occ = np.array(["Pt", "Pt", "Ni", "Co"])[kind], np.array([1.0, 1.0, 0.5, 0.2])[kind]
    occ[1:15:3] = 0.8
    U = np.array([0.004, 0.007, 0.005, 0.004])[kind]
    return Structure.from_arrays((19.6, 20.1, 19.2, 84, 95, 101), elements, xyz, occ=occ, U=U)


def directions(model: pk.Model, *moves: Callable[[str], float]) -> Array:
    """Return tangents, each of the rate of every quantity by its name after the phase."""
    names = [name.removeprefix("p.") for name in model.names]
    values = np.where(np.isin(names, ["a", "b", "c"]), model.values, 1.0)
    return np.array([[move(name) for name in names] for move in moves]).T * values[:, None]


def usual(model: pk.Model) -> Array:
    """Return what a fit of a box moves: scale, size, U of each element, delta2 and delta1, occupancy of one element."""
    first = "Pt" if any(".Pt" in name for name in model.names) else "Cd"
    return directions(
        model,
        lambda name: name == "scale",
        lambda name: name in ("a", "b", "c"),
        lambda name: name.startswith(first) and name.endswith("Uiso"),
        lambda name: not name.startswith(first) and name.endswith("Uiso"),
        lambda name: name == "delta2",
        lambda name: name == "delta1",
        lambda name: 0.5 * (name.startswith(first) and name.endswith("occ")),
    )


@pytest.mark.parametrize("structure", [crowded(), box(9)], ids=["crowded", "box"])
def test_large_cells_are_counted_as_their_pairs_are_one_by_one(
    structure: Structure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values, and derivatives by all that weighs and scales what was counted, sharpened and broadened."""
    model = pk.Model(pk.Crystal(structure, name="p", delta2=1.5, delta1=0.2), INSTRUMENT)
    tangents = usual(model)
    evaluate = model.evaluator(R)
    monkeypatch.setattr(_lists, "PAYS", math.inf)
    monkeypatch.setattr(_choice, "MERGE_ABOVE", 0.0)
    away = model.values + tangents @ [0.1, 0.004, 1e-3, 2e-3, 0.3, 0.1, -0.1]
    found = [evaluate(values, tangents) for values in (model.values, away)]
    alone, _ = evaluate(model.values)
    monkeypatch.setattr(_counted, "MANY_ATOMS", 10**9)
    monkeypatch.setattr(_choice, "MERGE_ABOVE", math.inf)
    expected = [evaluate(values, tangents) for values in (model.values, away)]
    assert np.abs(alone - expected[0][0]).max() < 2e-7 * np.abs(alone).max()
    for (G, changes), (exact, slopes) in zip(found, expected, strict=True):
        assert np.abs(G - exact).max() < 2e-7 * np.abs(exact).max()
        assert (np.abs(changes - slopes).max(axis=1) < 1e-5 * np.abs(slopes).max(axis=1)).all()


def test_counts_and_shares_are_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    model = pk.Model(pk.Crystal(crowded(), name="p", delta2=1.5), INSTRUMENT)
    monkeypatch.setattr(_lists, "PAYS", math.inf)
    monkeypatch.setattr(_choice, "MERGE_ABOVE", 0.0)
    found, _ = model.evaluator(R)(model.values)
    monkeypatch.setattr(_counted, "MANY_ATOMS", 10**9)
    shared, _ = model.evaluator(R)(model.values)
    monkeypatch.setattr(_choice, "MERGE_ABOVE", math.inf)
    exact, _ = model.evaluator(R)(model.values)
    for curve in (found, shared):
        assert 0 < np.abs(curve - exact).max() < 2e-7 * np.abs(exact).max()


def test_a_fit_of_a_box_counts_its_pairs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Size, U, delta2 and occupancies weigh what was counted; another shape of the cell is not what was counted."""
    counts: list[int] = []
    count = boxes.box_pairs
    monkeypatch.setattr(boxes, "box_pairs", lambda *args, **more: counts.append(1) or count(*args, **more))
    monkeypatch.setattr(_choice, "MERGE_ABOVE", 0.0)
    _counted.kept_of.cache_clear()
    model = pk.Model(pk.Crystal(box(9, seed=1), name="p", delta2=1.5), INSTRUMENT)
    evaluate, tangents = model.evaluator(R), usual(model)
    for step in (0.0, 1e-3, -1e-3):
        evaluate(model.values + step * tangents.sum(axis=1), tangents)
        evaluate(model.values + step * tangents.sum(axis=1))
    assert len(counts) == 1
    longer = directions(model, lambda name: name == "a", lambda name: name == "Cd1.x")
    _, slopes = evaluate(model.values, longer)
    for slope, along in zip(slopes, longer.T, strict=True):
        step = 1e-4
        ends = [evaluate(model.values + sign * step * along)[0] for sign in (1.0, -1.0)]
        assert np.abs((ends[0] - ends[1]) / (2 * step) - slope).max() < 1e-3 * np.abs(slope).max()


def test_many_kinds_of_atoms_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    structure = box(9)
    sites = [site.moved(site.xyz, (0.005 + 1e-5 * k,) * 3 + (0.0,) * 3, 1.0) for k, site in enumerate(structure.sites)]
    mixed = structure.moved(structure.cell, tuple(sites))
    monkeypatch.setattr(boxes, "box_pairs", lambda *args, **more: pytest.fail("729 kinds of atoms"))
    monkeypatch.setattr(_choice, "MERGE_ABOVE", 0.0)
    assert np.isfinite(pk.Model(pk.Crystal(mixed, name="p"), INSTRUMENT)(R).G).all()


def test_too_many_pairs_of_anisotropic_atoms_are_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    model = pk.Model(pk.Crystal(box(9).with_anisotropic(), name="p"), INSTRUMENT)
    monkeypatch.setenv("PDFKIT_MEMORY", "0.2")
    with pytest.raises(pk.PdfkitError, match=r"listing its pairs .* take isotropic displacements .*anisotropic=False"):
        model(R)
