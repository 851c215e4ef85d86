"""Pairs that a fit keeps equal are one: the same curves and derivatives, wherever the numbers of the fit go."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pdfkit as pk
from pdfkit.io.structures import load_structure
from pdfkit.phases import _choice, _lists, _spaces
from pdfkit.phases.base import Broadening
from pdfkit.structure import Structure

R = np.arange(100, 1600) * 0.01


def in_p1(structure: Structure, repeats: tuple[int, int, int] = (1, 1, 1), aniso: bool = False) -> Structure:
    """List every atom of a crystal, or of a block of its cells, as files without symmetry do."""
    full, elements, xyz = structure.expand(), [], []
    for shift in np.ndindex(*repeats):
        for k, i in enumerate(full.site):
            x = (full.rotation[k] @ np.array(structure.sites[i].xyz) + full.translation[k]) % 1.0
            xyz.append((x + shift) / repeats)
            elements.append(structure.sites[i].element)
    cell = (*(a * n for a, n in zip(structure.cell[:3], repeats, strict=True)), *structure.cell[3:])
    tensors = [0.008 if element == elements[0] else 0.013 for element in elements]
    out = Structure.from_arrays(cell, elements, np.array(xyz), U=tensors)
    return out.with_anisotropic() if aniso else out


def columns(model: pk.Model, *groups: tuple[str, ...]) -> np.ndarray:
    """Return tangents along which all quantities whose names begin and end as said move together."""
    out = np.zeros((model.values.size, len(groups)))
    for k, (start, *ends) in enumerate(groups):
        for row, name in enumerate(model.names):
            out[row, k] = name.startswith(start) and any(name.endswith(end) for end in ends)
    return out


def cubic(model: pk.Model, isotropic: bool = True) -> np.ndarray:
    """Return the tangents of zinc blende."""
    ends = (".Uiso",) if isotropic else (".U11", ".U22", ".U33")
    return columns(model, ("p.scale", ""), ("p.", ".a", ".b", ".c"), ("p.Cd", *ends), ("p.S", *ends), ("p.delta2", ""))


@pytest.fixture(autouse=True)
def drawn_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here is which pairs are listed; shared between nodes and widths they would differ by 1e-7."""
    monkeypatch.setattr(_choice, "MERGE_ABOVE", math.inf)
    monkeypatch.setattr("pdfkit.model.spread.FEW", math.inf)


def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no two pairs of a crystal in P1 be one."""
    monkeypatch.setattr(_lists, "PAYS", math.inf)


def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for equal pairs however few there are."""
    monkeypatch.setattr(_choice, "FEW", 0.0)
    monkeypatch.setattr(_lists, "PAYS", 0.0)
    for known in (_spaces.spaces_of, _lists.likeness, _lists.alike_at, _lists.merged_at):
        known.cache_clear()


def peaks_of(phase: pk.Crystal, values: np.ndarray, tangents: np.ndarray, rmax: float = 30.0) -> int:
    found = phase.peaks(values, tangents, Broadening.none(tangents.shape[1]), rmax)
    return int(found.peak.shape[0])


def same(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> None:
    for mine, theirs in ((one[0][None], other[0][None]), (one[1], other[1])):
        scale = np.abs(theirs).max(axis=1, initial=0.1)
        assert (np.abs(mine - theirs).max(axis=1, initial=0.0) <= 1e-10 * scale).all()


@pytest.mark.parametrize("isotropic", [True, False])
def test_atoms_without_symmetry_cost_what_the_cubic_crystal_costs_under_its_ties(isotropic: bool) -> None:
    zb = load_structure("CdS_zincblende")
    with_symmetry = pk.Crystal.from_structure(zb, name="p", anisotropic=not isotropic)
    listed = pk.Crystal.from_structure(in_p1(zb, aniso=not isotropic), name="p")
    model = pk.Model(listed, pk.Instrument(probe="X", qmax=25.0))
    n, nq = len(listed.quantities), 5
    values, tangents = model.values[:n], cubic(model, isotropic)[:n]
    few = peaks_of(with_symmetry, np.array(with_symmetry.values), np.zeros((len(with_symmetry.values), nq)))
    assert peaks_of(listed, values, tangents) == pytest.approx(few, rel=0.1)
    assert peaks_of(listed, values, np.zeros((n, 0))) == pytest.approx(few, rel=0.1)
    # A fit that moves one atom pulls its pairs apart, and no others.
    loose = np.column_stack([tangents, np.eye(n)[[q.name for q in listed.quantities].index("S1.x")]])
    assert few < peaks_of(listed, values, loose) < 20 * few


def test_pairs_of_atoms_that_are_alike_are_listed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a supercell those of one vector, but for whole cells and sign: the same peaks of fewer pairs."""
    source = in_p1(load_structure("CdS_zincblende"), (2, 2, 1))
    crystal = pk.Crystal.from_structure(source, name="p")
    x = np.rint(np.array([site.xyz for site in source.sites]) * [8, 8, 4]).astype(int)
    kinds = [site.element for site in source.sites]
    different = set()
    for i, j in zip(*np.triu_indices(len(x)), strict=True):
        there = x[j] - x[i]
        ways = sorted(tuple(((sign * there) % [8, 8, 4]).tolist()) for sign in (1, -1))
        different.add((*sorted((kinds[i], kinds[j])), *ways))
    values, tangents = np.array(crystal.values), np.zeros((len(crystal.values), 0))
    together(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(_lists, "LOOKED_AT", math.inf)
        every = crystal.peaks(values, tangents, Broadening.none(0), 30.0)
    together(monkeypatch)
    few = crystal.peaks(values, tangents, Broadening.none(0), 30.0)
    (space,) = _spaces.spaces_of(crystal._key).kept
    weights = _lists.alike_at(crystal._key, space)
    assert (np.count_nonzero(weights), weights.sum()) == (len(different), len(x) ** 2)
    mine, theirs = (one.peak[one.peak[:, 0] < 30.0] for one in (few, every))  # lists go on beyond, some farther
    orders = [np.lexsort(np.round(one.T, 9)) for one in (mine, theirs)]
    np.testing.assert_allclose(mine[orders[0]], theirs[orders[1]], rtol=1e-11)


def test_pairs_too_many_to_be_compared_do_not_count_as_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all were listed in the belief that few are left."""
    source = in_p1(load_structure("CdS_zincblende"), (2, 1, 1))
    rng = np.random.default_rng(4)
    sites = [replace(site, xyz=tuple((site.xyz + rng.normal(scale=1e-7, size=3)).tolist())) for site in source.sites]
    crystal = pk.Crystal.from_structure(replace(source, sites=tuple(sites)), name="p")
    nothing = np.zeros((len(crystal._reference), 0))
    free = np.array([q.value for q in crystal._structure_quantities])
    together(monkeypatch)
    monkeypatch.setattr(_lists, "PAYS", 1.25)
    assert crystal._choice.space(free, nothing, 30.0)[1] > 10.0
    monkeypatch.setattr("pdfkit.phases._rounding.MOST", 2e4)
    assert crystal._choice.space(free, nothing, 30.0) == (None, 1.0)


@given(seed=st.integers(0, 10**6), aniso=st.booleans(), repeats=st.integers(1, 2))
@settings(max_examples=12)
def test_equal_pairs_are_summed_as_one_by_one(seed: int, aniso: bool, repeats: int) -> None:
    """Random crystals, some sites of them alike, along random ties, from random places, near and far."""
    rng = np.random.default_rng(seed)
    source = load_structure(["CdS_zincblende", "CdS_wurtzite", "TiO2_rutile", "Ni"][rng.integers(4)])
    structure = in_p1(source, (1, 1, repeats), aniso)
    phase = pk.Crystal.from_structure(structure, name="p", delta2=1.0, sratio=0.9, rcut=3.0, shape=pk.Sphere(20.0))
    model = pk.Model(phase, pk.Instrument(probe="X", qmax=22.0, qdamp=0.03, qbroad=0.02))
    evaluate, n = model.evaluator(R), model.values.size
    names = np.array(model.names)
    ties = [columns(model, ("p.", end)) for end in (".a", ".c", ".Uiso", ".U11", ".U23", ".x", ".occ")]
    alone = np.eye(n)[:, rng.permutation([k for k in range(n) if model.quantities[k].refinable])[:3]]
    mixed = alone @ rng.normal(size=(3, 2)) * np.where(np.char.find(names, "U") > 0, 0.01, 0.1)[:, None]
    tangents = np.column_stack([columns(model, ("p.", ".a", ".b", ".c")), *ties, mixed][rng.integers(3) :])
    size = 1e-3 * rng.normal(size=tangents.shape[1])
    places = [model.values, model.values + tangents @ size, model.values + 1e-3 * mixed[:, 0] - 2e-3 * tangents[:, 0]]
    with pytest.MonkeyPatch.context() as patch:
        apart(patch)
        expected = [evaluate(values, tangents) for values in places]
    with pytest.MonkeyPatch.context() as patch:
        together(patch)
        for values, one in zip(places, expected, strict=True):
            same(evaluate(values), (one[0], np.zeros((0, R.size))))
            same(evaluate(values, tangents), one)


def test_a_tie_that_is_not_linear_leaves_no_wrong_pair_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions on a circle: values leave every space that few directions span, and directions turn."""
    together(monkeypatch)
    model = pk.Model(
        pk.Crystal.from_structure(in_p1(load_structure("Ni")), name="p"), pk.Instrument(probe="X", qmax=25.0)
    )
    evaluate, k = model.evaluator(R), [model.names.index(name) for name in ("p.Ni2.x", "p.Ni3.y")]
    start = model.values.copy()

    def at(angle: float) -> tuple[np.ndarray, np.ndarray]:
        values, tangents = start.copy(), np.zeros((start.size, 1))
        values[k] += 0.05 * np.array([np.cos(angle) - 1.0, np.sin(angle)])
        tangents[k, 0] = 0.05 * np.array([-np.sin(angle), np.cos(angle)])
        return values, tangents

    angles = np.linspace(0.0, 3.0, 30)
    mine = [evaluate(*at(angle)) for angle in angles]
    apart(monkeypatch)
    for angle, one in zip(angles, mine, strict=True):
        same(one, evaluate(*at(angle)))


def test_a_walk_through_all_values_does_not_look_for_equal_pairs_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    together(monkeypatch)
    phase = pk.Crystal.from_structure(in_p1(load_structure("CdS_zincblende")), name="p")
    values = np.array(phase.values)
    rng, looked = np.random.default_rng(1), []
    inner = _spaces.Space.around
    monkeypatch.setattr(_spaces.Space, "around", lambda *a: looked.append(1) or inner(*a))
    for _ in range(100):
        peaks_of(phase, values * (1.0 + 1e-4 * rng.normal(size=values.size)), np.zeros((values.size, 0)), 10.0)
    assert len(looked) < 25


def test_a_scan_of_one_number_is_one_space() -> None:
    """What is asked for without directions, along a line, is soon known to be a line."""
    spaces = _spaces.Spaces(np.zeros(4), np.full(4, 0.01))
    found = [spaces.find(np.array([1.0, 2.0, 3.0, 4.0 + 0.1 * k]), np.zeros((4, 0))) for k in range(12)]
    assert found[5] is found[-1] is not None
    assert found[-1].basis.shape == (4, 1)


def test_a_space_holds_what_its_directions_reach_and_nothing_else() -> None:
    spaces = _spaces.Spaces(np.zeros(3), np.full(3, 0.01))
    base, along = np.array([5.0, 5.0, 0.2]), np.array([[1.0], [1.0], [0.0]])
    space = spaces.find(base, along)
    assert space is not None
    assert spaces.find(base + 0.3 * along[:, 0], -2.0 * along) is space
    assert spaces.find(base + 0.3 * along[:, 0], np.zeros((3, 0))) is space
    assert not space.holds(base + np.array([0.0, 0.0, 1e-9]))
    assert spaces.find(base + np.array([0.0, 0.0, 1e-9]), along) is not space
    assert spaces.find(base, np.eye(3)) is None


def test_what_a_space_is_does_not_depend_on_who_asked_first() -> None:
    """Not its base, nor whether what asks for everything at the end of a fit drives it out."""
    reference, along = np.array([5.0, 5.0, 0.2]), np.array([[1.0], [1.0], [0.0]])
    for first in (0.0, 0.3, -0.7):
        spaces = _spaces.Spaces(reference, np.full(3, 0.01))
        spaces.find(reference + np.array([0.0, 0.0, first]), np.zeros((3, 0)))
        space = spaces.find(reference + first * along[:, 0], along)
        assert space is not None
        np.testing.assert_array_equal(space.base, reference)
        for k in range(2 * _spaces.KEPT):
            other = np.array([[0.0], [0.1 * k], [1.0]])
            spaces.find(reference, other)
            assert spaces.find(reference + 0.1 * k * along[:, 0], along) is space


def rounded(structure: Structure, digits: int, cartesian: bool) -> Structure:
    """Write the coordinates of every atom with so many digits, as fractions of the cell or in Å."""
    rows = structure.basis() if cartesian else np.eye(3)
    xyz = np.round(np.array([site.xyz for site in structure.sites]) @ rows, digits) @ np.linalg.inv(rows)
    cell = tuple(round(value, digits) for value in structure.cell)
    moved = [replace(site, xyz=tuple(x)) for site, x in zip(structure.sites, xyz.tolist(), strict=True)]
    return replace(structure, cell=cell, sites=tuple(moved))


@pytest.mark.parametrize(("digits", "cartesian", "most"), [(5, False, 3.0), (5, True, 1.1), (6, False, 1.1)])
@pytest.mark.parametrize("aniso", [False, True])
def test_pairs_that_differ_by_rounding_are_one(digits: int, cartesian: bool, most: float, aniso: bool) -> None:
    """Coordinates as files have them: curves and derivatives are those of every pair by itself, at these numbers."""
    source = in_p1(load_structure("CdS_wurtzite"), (2, 2, 1), aniso)
    listed = pk.Crystal.from_structure(rounded(source, digits, cartesian), name="p", delta2=1.0)
    instrument = pk.Instrument(probe="X", qmax=25.0, qdamp=0.03)
    model, exact = pk.Model(listed, instrument), pk.Crystal.from_structure(source, name="p")
    exact_values = np.array(exact.values)
    ends = (".U11", ".U22", ".U33") if aniso else (".Uiso",)
    groups = [("p.scale", ""), ("p.", ".a", ".b"), ("p.", ".c"), ("p.Cd", *ends), ("p.S", *ends), ("p.S", ".z")]
    tangents, n = columns(model, *groups), len(listed.quantities)
    away = model.values + tangents @ [0.1, 0.03, 0.05, 1e-3, -1e-3, 5e-4]
    evaluate = model.evaluator(R)
    with pytest.MonkeyPatch.context() as patch:
        together(patch)
        few = [peaks_of(exact, exact_values, tangents[:n, :k]) for k in (0, 6)]
        together(patch)
        found = [evaluate(model.values), evaluate(model.values, tangents), evaluate(away, tangents)]
        counts = [peaks_of(listed, model.values[:n], tangents[:n, :k]) for k in (0, 6)]
    assert counts[0] < most * few[0]
    assert counts[1] < most * few[1]
    with pytest.MonkeyPatch.context() as patch:
        apart(patch)
        patch.setattr(_choice, "MERGE_ABOVE", math.inf)
        plain, here, there = evaluate(model.values), evaluate(model.values, tangents), evaluate(away, tangents)
    for (value, change), (true, slope) in zip(found, (plain, here, there), strict=True):
        assert np.abs(value - true).max() < 1e-9 * np.abs(true).max()
        if change.size:
            assert (np.abs(change - slope).max(axis=1) < 1e-7 * np.abs(slope).max(axis=1)).all()
