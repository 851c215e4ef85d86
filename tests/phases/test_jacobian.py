"""The analytic Jacobian equals central differences for every parameter, also at value 0."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from test_model import TRICLINIC

import pdfkit as pk
from pdfkit.model import Convention
from pdfkit.structure import Site

R = np.arange(150, 2200) * 0.01
SHORT = R[:900]
"""For several phases at once, whose pairs are many; nothing of theirs ends within R."""
SMALL = ("Uiso", "U11", "U22", "U33", "U12", "U13", "U23", "qdamp", "qbroad", "resolution", "qtail")


def differences(evaluate: pk.evaluate.Evaluator, values: np.ndarray, k: int, step: float) -> np.ndarray:
    """Five-point central difference: its own error is of fourth order in the step."""
    out = np.zeros(evaluate.r.size)
    for offset, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
        moved = values.copy()
        moved[k] += offset * step
        out += weight * evaluate(moved)[0]
    return out / (12 * step)


def check(model: pk.Model, r: np.ndarray = R) -> None:
    """Each peak listed and drawn alone has the derivatives of differences; shared peaks have those of single ones."""
    _, shared = model.evaluator(r)(model.values, np.eye(model.values.size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pdfkit.phases._choice.MERGE_ABOVE", math.inf)
        patch.setattr("pdfkit.model.spread.FEW", math.inf)
        alone = check_alone(model, r)
    assert (np.abs(shared - alone).max(axis=1) <= 1e-5 * np.maximum(np.abs(alone).max(axis=1), 1e-9)).all()


def check_alone(model: pk.Model, r: np.ndarray) -> np.ndarray:
    evaluate = model.evaluator(r)
    values = model.values
    _, jacobian = evaluate(values, np.eye(values.size))
    tested = 0
    for k, name in enumerate(model.names):
        if not model.quantities[k].refinable:  # rcut, a discontinuity of the model; qtail without a cut
            continue
        last = name.split(".")[-1]
        step = 1e-5 if last in SMALL else 1e-3 if last in ("alpha", "beta", "gamma") else 1e-4 * max(1, abs(values[k]))
        expected = differences(evaluate, values, k, step)
        largest = np.abs(expected).max()
        if largest < 1e-9:  # sratio without rcut, a site of occupancy 0
            assert np.abs(jacobian[k]).max() < 1e-9, name
            continue
        # Differences of curves good to 1e-13 over steps of 1e-4 and less leave 1e-8; the bound is the promise.
        assert np.abs(jacobian[k] - expected).max() <= 1e-6 * largest, name
        tested += 1
    assert tested > 8
    return jacobian


def phases() -> list[pk.Crystal]:
    zb = pk.Crystal.from_file(
        "CdS_zincblende", name="zb", delta1=0.3, delta2=2.0, sratio=0.9, rcut=3.0, shape=pk.Sphere(25.003)
    )
    wz = pk.Crystal.from_file(
        "CdS_wurtzite", name="wz", anisotropic=True, scale=0.6, shape=pk.shapes.LognormalSpheres(20.0, 4.0)
    )
    tri = pk.Crystal.from_structure(TRICLINIC, name="tri", delta2=1.0, shape=pk.shapes.Spheroid(20.0, 1.3))
    return [zb, wz, tri]


@pytest.mark.parametrize(
    ("weights", "qmax", "window"),
    [("constant", 15.0, "lorch"), ("q-dependent", 19.0, "none"), ("q-dependent", 15.0, "lorch")],
)
def test_every_parameter_of_three_phases(weights: str, qmax: float, window: str) -> None:
    instrument = pk.Instrument(
        probe="X", qmax=qmax, qdamp=0.03, qbroad=0.02, resolution=0.005, qtail=-0.02, window=window, scattering=weights
    )
    check(pk.Model(phases(), instrument), SHORT)


def test_without_a_cut_and_after_it() -> None:
    # A smooth shape: differences cannot be taken across the knee of γ₀ where no cut smooths it.
    tri = pk.Crystal.from_structure(TRICLINIC, name="tri", delta2=1.0, shape=pk.shapes.LognormalSpheres(20.0, 4.0))
    check(pk.Model(tri, pk.Instrument(probe="N", qmax=math.inf, qdamp=0.03, qbroad=0.02, resolution=0.005)), SHORT)
    check(pk.Model(tri, pk.Instrument(probe="N", qmax=20.0, qdamp=0.03), Convention(envelope="after-cut")), SHORT)


def test_a_tail_where_f_begins_above_zero() -> None:
    check(pk.Model(phases(), pk.Instrument(probe="X", qmin=0.8, qmax=19.0, qdamp=0.03, qtail=0.05)), SHORT)
    check(pk.Model(phases()[:2], pk.Instrument(probe="X", qmax=19.0, qdamp=0.03)), SHORT)  # from no tail on


def test_at_zero() -> None:
    # delta1, delta2, qdamp, qbroad, occupancy 0: nothing may be switched off because it starts at 0.
    empty = pk.Structure(TRICLINIC.cell, (*TRICLINIC.sites[:2], Site("Zn", "Zn", (0.4, 0.1, 0.8), occ=0.0)))
    model = pk.Model(pk.Crystal.from_structure(empty, name="p"), pk.Instrument(probe="N", qmax=20.0))
    check(model, SHORT)
    _, jacobian = model.evaluator(SHORT)(model.values, np.eye(model.values.size))
    for name in ("p.delta1", "p.delta2", "p.Zn.occ"):
        assert np.abs(jacobian[model.names.index(name)]).max() > 1e-3


@pytest.mark.parametrize(
    "shape",
    [
        pk.Sphere(18.0), pk.shapes.Shell(20.0, 4.0), pk.shapes.Sheet(9.0), pk.shapes.Rod(12.0, 30.0),
        pk.shapes.Stepcut(15.013),
        # Differences cannot be taken across a knot of the table that lies on a pair.
        pk.shapes.Tabulated(np.linspace(0, 25.25, 30), np.linspace(1, 0, 30) ** 2),
    ],
    ids=lambda s: s.kind,
)  # fmt: skip
def test_shapes(shape: object) -> None:
    crystal = pk.Crystal.from_file("CdS_zincblende", name="zb", shape=shape)
    check(pk.Model(crystal, pk.Instrument(probe="X", qmax=20.0, qdamp=0.02)))


def test_directions_combine_linearly() -> None:
    model = pk.Model(phases(), pk.Instrument(probe="X", qmax=19.0, qdamp=0.03))
    evaluate = model.evaluator(R)
    n = model.values.size
    mix = np.random.default_rng(3).normal(size=(n, 4))
    _, whole = evaluate(model.values, np.eye(n))
    _, mixed = evaluate(model.values, mix)
    np.testing.assert_allclose(mixed, mix.T @ whole, atol=1e-9 * np.abs(mixed).max())


def test_shared_pairs_have_the_derivatives_of_single_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    # A site of occupancy 0 and a crystal with symmetry: nodes without weight must keep derivatives by the occupancy.
    sites = tuple(replace(s, U=(0.012,) * 3 + (0.0,) * 3, isotropic=True) for s in TRICLINIC.sites[:2])
    empty = pk.Structure(TRICLINIC.cell, (*sites, Site("Zn", "Zn", (0.4, 0.1, 0.8), occ=0.0)))
    wurtzite = pk.Crystal.from_file("CdS_wurtzite", name="wz", delta1=0.2, sratio=0.9, rcut=3.0)
    for crystal in (pk.Crystal.from_structure(empty, name="p", delta2=1.0), wurtzite):
        model = pk.Model(crystal, pk.Instrument(probe="X", qmax=20.0, qdamp=0.03, qbroad=0.02, resolution=0.005))
        tangents = np.eye(model.values.size)
        answers = []
        for above in (0.0, math.inf):
            monkeypatch.setattr("pdfkit.phases._choice.MERGE_ABOVE", above)
            monkeypatch.setattr("pdfkit.phases._choice.FEW", 0.0 if above == 0.0 else math.inf)
            answers.append(model.evaluator(R)(model.values, tangents))
        (binned, dbinned), (plain, dplain) = answers
        # Nothing averages out in crystals so small: each pair is off by what `_pairs` states.
        assert 0 < np.abs(binned - plain).max() <= 2e-6 * np.abs(plain).max()
        largest = np.abs(dplain).max(axis=1)
        for k, name in enumerate(model.names):
            assert np.abs(dbinned[k] - dplain[k]).max() <= 1e-5 * max(largest[k], 1e-9), name


def test_nodes_of_a_long_cell_hold_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most blocks of its atoms are out of reach of an atom, also of all their images."""
    rng, n = np.random.default_rng(3), 200
    xyz = (np.arange(n)[:, None] * [1 / 3, 2 / 3, 1 / n] + rng.uniform(0.0, 0.1, (n, 3)) * [1, 1, 0.03]) % 1.0
    long = pk.Structure.from_arrays((5.1, 4.8, 200.0, 80.0, 100.0, 110.0), ["Cd", "S"] * (n // 2), xyz, U=0.01)
    model = pk.Model(pk.Crystal.from_structure(long, name="p"), pk.Instrument(probe="X", qmax=20.0))
    G = []
    for above in (0.0, math.inf):
        monkeypatch.setattr("pdfkit.phases._choice.MERGE_ABOVE", above)
        G.append(model.evaluator(SHORT)(model.values)[0])
    assert 0 < np.abs(G[0] - G[1]).max() <= 2e-6 * np.abs(G[1]).max()


def test_memory_of_a_phase_grows_with_its_sites() -> None:
    xyz = np.stack(np.meshgrid(*[np.arange(14) / 14] * 3), axis=-1).reshape(-1, 3)
    crystal = pk.Crystal.from_structure(pk.Structure.from_arrays((45.0,) * 3 + (90.0,) * 3, ["Ni"] * 2744, xyz, U=0.01))
    assert len(crystal.structure.sites) == 2744
    tracemalloc.start()
    try:
        assert crystal._atoms.first.tolist() == list(range(2744))
        assert tracemalloc.get_traced_memory()[1] < 4e6  # a table of pairs of sites would be 60 MB
    finally:
        tracemalloc.stop()


def test_directions_that_another_thread_forgets_are_found_again() -> None:
    class Forgetful(dict):  # type: ignore[type-arg]
        def __setitem__(self, key: object, value: object) -> None:
            pass

    crystal = pk.Crystal.from_file("Ni", name="ni")
    crystal.__dict__["_known_directions"] = Forgetful()
    assert crystal._directions(np.eye(len(crystal._structure_quantities))).kind.any()
