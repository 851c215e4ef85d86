"""Kernels against slow, obvious twins (sums of peaks: tests/model; derivatives: tests/phases)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.kernels import deposit, linear, merging, pairs, peaks, sines
from pdfkit.structure import Site

CELL = pk.Structure(
    (4.1, 5.2, 6.3, 75.0, 98.0, 112.0),
    (Site("Cd", "Cd", (0.1, 0.2, 0.3)), Site("S", "S", (0.62, 0.55, 0.71)), Site("Zn", "Zn", (0.9, 0.8, 0.1))),
)


def all_ordered_pairs(rmax: float) -> set[tuple[int, ...]]:
    rows, x = CELL.basis(), CELL.positions()
    out = set()
    for i, j in itertools.product(range(3), repeat=2):
        for n in itertools.product(range(-8, 9), repeat=3):
            d = np.linalg.norm((x[j] + n - x[i]) @ rows)
            if 0.01 < d <= rmax:
                out.add((i, j, *n))
    return out


def brute_pairs(rmax: float) -> set[tuple[int, ...]]:
    return {pair for pair in all_ordered_pairs(rmax) if pair[1] >= pair[0]}


@pytest.mark.parametrize("rmax", [1.0, 6.0, 14.0])
def test_lattice_pairs_visits_every_pair_once(rmax: float) -> None:
    g = CELL.basis() @ CELL.basis().T
    c = np.ascontiguousarray(np.linalg.cholesky(g).T)
    x, centres = np.array(CELL.positions()), np.arange(3)
    none, place = np.zeros(0, dtype=np.int32), np.zeros(5, dtype=np.int64)
    pairs.lattice_pairs(
        c, x, centres, centres, np.zeros((0, 0), dtype=bool), rmax, place, none, none, np.zeros((0, 3), dtype=np.int32)
    )
    many, count = place.copy(), int(place.sum())
    i, j, shift = (np.zeros(shape, dtype=np.int32) for shape in (count, count, (count, 3)))
    place = np.cumsum(many) - many
    pairs.lattice_pairs(c, x, centres, centres, np.zeros((0, 0), dtype=bool), rmax, place, i, j, shift)
    np.testing.assert_array_equal(place, np.cumsum(many))
    d = np.linalg.norm((x[j] + shift - x[i]) @ CELL.basis(), axis=1)
    np.testing.assert_array_equal(np.minimum(d.astype(int), 4), np.repeat(np.arange(5), many))
    found = [tuple(row) for row in np.column_stack([i, j, shift]).tolist()]
    assert len(set(found)) == count
    assert set(found) == brute_pairs(rmax)


def test_numbers_of_a_pair() -> None:
    rng = np.random.default_rng(1)
    rows = CELL.basis()
    g, x = rows @ rows.T, np.array(CELL.positions())
    star = np.sqrt(np.diag(np.linalg.inv(g)))
    U = rng.normal(size=(3, 3, 3))
    U = U + U.transpose(0, 2, 1)
    b = np.ascontiguousarray(U * np.outer(star, star))
    i, j = np.array([0, 1], dtype=np.int32), np.array([1, 2], dtype=np.int32)
    shift = np.array([[1, 0, -1], [0, 2, 1]], dtype=np.int32)
    u, trace, occ, marks = rng.uniform(size=3), rng.uniform(size=3), rng.uniform(size=3), np.empty((2, 2))
    merging.mark_pairs(i, j, shift, g, x, u, b, trace, occ, True, 0, marks)
    for p in range(2):
        v = (x[j[p]] + shift[p] - x[i[p]]) @ rows
        n = v / np.linalg.norm(v)
        # CIF convention: U_cart = A N U N Aᵀ with the cell vectors as columns of A and N = diag(a*).
        cartesian = [rows.T @ b[k] @ rows for k in (i[p], j[p])]
        rest = merging.OF_S * (u[i[p]] + u[j[p]] + n @ sum(cartesian) @ n)
        rest += merging.OF_TRACE * (trace[i[p]] + trace[j[p]]) + merging.OF_OCCUPANCY * occ[i[p]] * occ[j[p]]
        np.testing.assert_allclose(marks[p], [v @ v, rest], rtol=1e-12)


@pytest.mark.parametrize("shape", [(1, 5), (4, 40), (15, 300)])
def test_triangular_factor(shape: tuple[int, int]) -> None:
    table = np.random.default_rng(2).normal(size=shape)
    factor = np.zeros((shape[0], shape[0]))
    linear.triangular_factor(table.copy(), factor)
    expected = np.linalg.qr(table.T, mode="r")
    signs = np.sign(np.diag(expected))
    np.testing.assert_allclose(factor, expected * signs[:, None], atol=1e-12 * np.abs(expected).max())


def test_triangular_factor_of_a_column_of_zeros() -> None:
    table = np.random.default_rng(2).normal(size=(3, 20))
    table[1] = 0.0
    factor = np.zeros((3, 3))
    linear.triangular_factor(table.copy(), factor)
    np.testing.assert_allclose(factor.T @ factor, table @ table.T, atol=1e-12)


def test_resample() -> None:
    rng = np.random.default_rng(3)
    curves, taps = rng.normal(size=(3, 50)), rng.normal(size=(20, 7))
    first = rng.integers(0, 43, 20)
    out = np.empty((3, 20))
    peaks.resample(curves, first, taps, out)
    expected = [[sum(taps[n, t] * curve[first[n] + t] for t in range(7)) for n in range(20)] for curve in curves]
    np.testing.assert_allclose(out, expected, atol=1e-13)


@pytest.mark.parametrize("several", [0, 5])
@pytest.mark.parametrize(("rmax", "rcut"), [(3.0, 0.0), (17.0, 0.0), (17.0, 6.0)])
def test_deposited_pairs_equal_a_brute_sum(rmax: float, rcut: float, several: int) -> None:
    """Values and the three parts of derivatives against all pairs one by one."""
    rng = np.random.default_rng(7)
    natoms, nq, h = 3, 4, 0.7
    nodes, count = int(rmax / h) + deposit.SPARE, max(several, 1)
    rows, x = CELL.basis(), CELL.positions()
    u, occ = np.array([0.01, 0.02, 0.03]), np.array([1.0, 0.7, 0.4])
    group, kind_of, class_of = np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([[0, 1], [1, 2]])
    widths = np.array([0.1, 0.05, several])
    strain = rng.normal(size=(nq, 3, 3)) * 1e-2
    strain[1:] = 0.0
    strain = strain + strain.transpose(0, 2, 1)
    moving, du, docc = rng.normal(size=(nq, natoms, 3)), rng.normal(size=(nq, natoms)), rng.normal(size=(nq, natoms))
    moving[[0, 3]], du[1], docc[2] = 0.0, 0.0, 0.0
    row = 1 + np.arange(3 * nq).reshape(nq, 3)

    def through(t: float, *nodes: int) -> list[float]:
        return [math.prod((t - m) / (k - m) for m in nodes if m != k) for k in nodes]

    c = np.ascontiguousarray(np.linalg.cholesky(rows @ rows.T).T)
    expected = np.zeros((1 + 3 * nq, 2 if rcut else 1, 3, count, nodes))
    for i, j, *n in all_ordered_pairs(rmax):
        if i not in (0, 2) or group[j] < group[i]:
            continue
        delta = (x[j] + n - x[i]) @ c.T
        d, many = np.linalg.norm(delta), (2.0 if group[i] == group[j] else 4.0)
        k, one = math.floor(d / h), class_of[kind_of[i], kind_of[j]]
        place = (math.sqrt(u[i] + u[j]) - 0.1) / 0.05
        m = min(max(int(place), 1), several - 3)
        shares = (
            [(m - 1 + p, share) for p, share in enumerate(through(place - m, -1, 0, 1, 2))] if several else [(0, 1.0)]
        )
        w, numbers = many * occ[i] * occ[j], np.zeros(1 + 3 * nq)
        numbers[0] = w
        for q in range(nq):
            moved = delta @ strain[q] @ delta + delta @ (moving[q, j] - moving[q, i])
            changed = docc[q, i] * occ[j] + occ[i] * docc[q, j]
            numbers[row[q]] = w * moved / d, w * (du[q, i] + du[q, j]), many * changed
        for a, share in enumerate(through(d / h - k, -2, -1, 0, 1, 2, 3)):
            for p, part in shares:
                expected[:, int(d < rcut), one, p, k + a] += numbers * share * part
    out = np.zeros((1 + 3 * nq, expected[0].size))
    places = (c, x @ c.T, np.array([0, 2]), group, rmax, h, kind_of, class_of, widths, rcut)
    deposit.deposit_pairs(*places, np.full(natoms, 2.0), u, occ, strain, moving, du, docc, row, 0, 1, out)
    np.testing.assert_allclose(out, expected.reshape(out.shape), atol=1e-12 * np.abs(expected).max())


def test_pairs_are_shared_between_nodes_so_that_their_transform_is_kept() -> None:
    """Many pairs, more than are placed at a time; the bound that `_pairs` states."""
    rows, x = CELL.basis(), CELL.positions()
    c, h, reach = np.ascontiguousarray(np.linalg.cholesky(rows @ rows.T).T), 0.015, 25.0
    one, none = np.ones(3), np.zeros((0, 3))
    out = np.zeros((1, math.floor(reach / h) + deposit.SPARE))
    places = (c, x @ c.T, np.arange(3), np.arange(3), reach, h, np.zeros(3, dtype=int), np.zeros((1, 1), dtype=int))
    rest = (np.zeros((0, 3, 3)), np.zeros((0, 3, 3)), none, none, np.zeros((0, 3), dtype=int), 0, 1, out)
    deposit.deposit_pairs(*places, np.zeros(3), 0.0, one, 0.01 * one, one, *rest)
    d = np.array([np.linalg.norm((x[j] + n - x[i]) @ c.T) for i, j, *n in all_ordered_pairs(reach)])
    q, r = np.linspace(0.5, 25.0, 50), h * (np.arange(out.shape[1]) - 2)
    exact, found = np.exp(1j * np.outer(q, d)).sum(axis=1), np.exp(1j * np.outer(q, r)) @ out[0]
    # A pair loses 0.0049·(qh)⁶ of its transform at the most, and all of them together no more.
    assert (np.abs(found - exact) <= 0.0049 * (q * h) ** 6 * d.size + 1e-8).all()


def test_least_reach_bounds_how_far_a_list_of_pairs_is_complete() -> None:
    rng = np.random.default_rng(8)
    rows = CELL.basis()
    g0, x0 = rows @ rows.T, np.array(CELL.positions())
    inverse = np.ascontiguousarray(np.linalg.inv(np.linalg.cholesky(g0)))
    for _ in range(20):
        strained = rows @ (np.eye(3) + 0.01 * rng.normal(size=(3, 3)))
        x = x0 + 0.01 * rng.normal(size=x0.shape)
        g = strained @ strained.T
        reach = pairs.least_reach(g, x, g0, x0, inverse, 30.0)
        # No pair beyond 30 Å before is nearer than `reach` now, and the bound is not idle.
        for direction in rng.normal(size=(200, 3)):
            n = np.linalg.inv(rows).T @ (30.0 * direction / np.linalg.norm(direction))
            i, j = rng.integers(0, 3, 2)
            assert np.linalg.norm((n + (x - x0)[j] - (x - x0)[i]) @ strained) >= reach
        assert reach > 25.0
    assert pairs.least_reach(g0, x0, g0, x0, inverse, 30.0) == 30.0
    assert pairs.least_reach(9.0 * g0, x0, g0, x0, inverse, 30.0) == 0.0


@pytest.mark.parametrize(("count", "period"), [(5, 12), (6, 12), (7, 12), (11, 12), (12, 12), (40, 96)])
def test_sine_transforms(count: int, period: int) -> None:
    rng = np.random.default_rng(3)
    curves = rng.normal(size=(6, count))
    curves[3] = 0.0
    curves[:, 0] = 0.0
    weight, out = rng.normal(size=(3, period)), np.zeros((2, period))
    rows = sines.occupied(curves)
    assert rows.tolist() == [0, 1, 2, 4, 5]
    folded = np.empty((rows.size, period))
    sines.fold(curves, rows, np.sin(math.pi / period * np.arange(period)), folded)
    sines.add_sines(np.fft.rfft(folded), rows, 2, weight, out)
    X = 2 * np.sin(math.pi / period * np.outer(np.arange(period), np.arange(count))) @ curves.T
    plain = np.array([sum(weight[p] * X[:, 2 * p + q] for p in range(3)) for q in range(2)])
    np.testing.assert_allclose(out, plain, atol=1e-12)


@pytest.mark.parametrize(
    ("variances", "expected"),
    [([0.02, -1.0, 0.01, 0.0, 0.03], (0.01, 0.03)), ([-1.0, 0.0], (math.inf, 0.0)), ([], (math.inf, 0.0))],
)
def test_least_and_largest_width(variances: list[float], expected: tuple[float, float]) -> None:
    peak = np.ones((len(variances), 3))
    peak[:, 1] = variances
    assert peaks.extremes(peak) == expected
    assert np.isnan(peaks.extremes(np.full((2, 3), math.nan))).all()
