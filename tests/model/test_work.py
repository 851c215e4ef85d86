"""How much is done for a value and its derivatives, and that what is kept between them changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.model import cut
from pdfkit.phases import _lists
from pdfkit.phases._geometry import Layout, Point

R = 0.01 * np.arange(100, 3001)
X = pk.Instrument(probe="X", qmax=25.0, qdamp=0.04)
CONSTANT = pk.Instrument(probe="X", qmax=25.0, qdamp=0.04, scattering="constant")


def model(instrument: pk.Instrument, *names: str) -> pk.Model:
    return pk.Model([pk.Crystal.from_file(name, name=name.lower()) for name in names], instrument)


def along(one: pk.Model, *names: str) -> np.ndarray:
    return np.eye(len(one.names))[:, [one.names.index(name) for name in names]].copy()


def calls(run: Callable[[], Any]) -> int:
    """Return how many functions, of Python and of C, a run calls."""
    count = 0

    def seen(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    run()
    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count


def transformed(monkeypatch: pytest.MonkeyPatch, run: Callable[[], Any]) -> list[int]:
    """Return how many curves each FFT of a run takes."""
    real, rows = cut.rfft, list[int]()

    def listening(folded: np.ndarray) -> Any:
        rows.append(len(folded))
        return real(folded)

    run()
    with monkeypatch.context() as patch:
        patch.setattr(cut, "rfft", listening)
        run()
    return rows


def test_a_value_calls_few_functions() -> None:
    """The kernels and FFTs of a small crystal take a third of the time: the rest is calls like these."""
    for kept in vars(_lists).values():  # what another crystal of these symmetries left is found by a comparison more
        getattr(kept, "cache_clear", int)()
    one = model(CONSTANT, "CdS_zincblende")
    evaluate, values = one.evaluator(R), one.values
    assert calls(lambda: evaluate(values)) <= 184


def test_few_curves_are_transformed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scale has no curve of its own, and occupancies, which change weights, share one more transform of the value."""
    one = model(X, "CdS_zincblende")
    evaluate, values = one.evaluator(R), one.values
    assert transformed(monkeypatch, lambda: evaluate(values)) == [3, 1]
    scale = along(one, "cds_zincblende.scale")
    assert transformed(monkeypatch, lambda: evaluate(values, scale)) == [3, 1]
    occupied = along(one, "cds_zincblende.scale", "cds_zincblende.Cd.occ", "cds_zincblende.S.occ")
    assert transformed(monkeypatch, lambda: evaluate(values, occupied)) == [3 + 3 + 3, 3, 3]
    plain = model(CONSTANT, "CdS_zincblende")
    evaluate = plain.evaluator(R)
    assert transformed(monkeypatch, lambda: evaluate(plain.values)) == [1, 1]


@pytest.mark.parametrize("instrument", [X, CONSTANT])
def test_derivatives_by_scale_are_multiples_of_the_curve(instrument: pk.Instrument) -> None:
    """With other directions and without, first or not; and where the scale is 0 they are not."""
    one = model(instrument, "CdS_zincblende").with_values({"scale": 0.7})
    evaluate, r = one.evaluator(R), one.values
    names = ("cds_zincblende.scale", "cds_zincblende.a", "qdamp")
    G, first = evaluate(r, along(one, *names))
    np.testing.assert_allclose(first[0], G / 0.7, atol=1e-13 * np.abs(G).max())
    _, last = evaluate(r, along(one, *names[::-1]))
    size = np.abs(first).max(axis=1, keepdims=True)
    np.testing.assert_allclose(last[::-1] / size, first / size, atol=1e-12)
    _, twice = evaluate(r, 2.0 * along(one, names[0], names[0]))
    np.testing.assert_allclose(twice, 2.0 / 0.7 * np.array([G, G]), atol=1e-13 * np.abs(G).max())
    nothing = r.copy()
    nothing[0] = 0.0
    none, slope = evaluate(nothing, along(one, names[0]))
    assert not none.any()
    np.testing.assert_allclose(slope[0], G / 0.7, atol=1e-12 * np.abs(G).max())


def test_weights_that_are_kept_are_those_of_the_occupancies_asked_for() -> None:
    one = model(X, "CdS_zincblende")
    tangents = along(one, "cds_zincblende.S.occ", "cds_zincblende.a")
    evaluate, where = one.evaluator(R), one.names.index("cds_zincblende.S.occ")
    for occupancy in (1.0, 0.8, 1.0, 0.6):
        values = one.values.copy()
        values[where] = occupancy
        found, expected = evaluate(values, tangents), one.evaluator(R)(values, tangents)
        alone = evaluate(values)[0]
        np.testing.assert_allclose(found[0], alone, atol=1e-12 * np.abs(alone).max())
        for mine, fresh in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine, fresh)


@pytest.mark.parametrize("name", ["CdS_zincblende", "CdS_wurtzite", "CeO2", "Ni"])
def test_a_small_crystal_is_where_its_maps_put_it(name: str) -> None:
    crystal = pk.Crystal.from_file(name, name="p")
    n = len(crystal._structure_quantities)
    values = np.array(crystal.values)[1 : 1 + n] * np.random.default_rng(3).uniform(0.9, 1.0, n)
    directions = crystal._directions(np.eye(n))
    assert isinstance(crystal._layout, Layout)
    here, there = (
        Point.at(crystal._maps, crystal._atoms, values, directions, layout) for layout in (crystal._layout, None)
    )
    for mine, general in (
        (here.geometry.g, there.geometry.g),
        (here.geometry.x, there.geometry.x),
        (here.u, there.u),
        (here.occ, there.occ),
        (here.u_atoms, there.u_atoms),
        (here.occ_atoms, there.occ_atoms),
        (here.dg, there.dg),
    ):
        np.testing.assert_allclose(mine, general, atol=1e-14)
    assert here.u_max == pytest.approx(there.u_max, abs=1e-15)


def test_tensors_and_rigid_molecules_are_placed_by_their_maps() -> None:
    crystal = pk.Crystal.from_structure(pk.load_structure("CdS_wurtzite"), anisotropic=True)
    assert crystal._layout is None


def test_equal_r_share_one_grid() -> None:
    grids = [cut.make_grid(r, 0.07, 20.0, 4.0, 30.0) for r in (R, R.copy())]
    assert grids[0] is grids[1]
    other = R.copy()
    other[7] += 1e-9
    assert cut.make_grid(other, 0.07, 20.0, 4.0, 30.0) is not grids[0]
