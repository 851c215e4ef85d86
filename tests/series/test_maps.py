"""Maps whose neighbours are alike: the algebra against dense matrices, and simulated maps against the truth."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.series.maps import Map, _drowned, fit_map
from pdfkit.series.smooth import Grid, smooth, solved

INSTRUMENT = pk.Instrument(probe="X", qmax=18, qdamp=0.03)
R = np.arange(1.5, 15.0, 0.04)


def dense_laplacians(inside: np.ndarray, n: int) -> np.ndarray:
    """L_k (n, N, N) by the definition: a square of a difference for every pair of neighbours."""
    X, Y = inside.shape
    place = np.arange(X * Y * n).reshape(X, Y, n)
    out = np.zeros((n, place.size, place.size))
    links = [((x, y), (x, y + 1)) for x in range(X) for y in range(Y - 1)]
    links += [((x, y), (x + 1, y)) for x in range(X - 1) for y in range(Y)]
    for u, v in links:
        if inside[u] and inside[v]:
            for k in range(n):
                row = np.zeros(place.size)
                row[place[u][k]], row[place[v][k]] = 1.0, -1.0
                out[k] += np.outer(row, row)
    return out


@pytest.mark.parametrize("shape", [(6, 4), (5, 1)])
def test_sweeps_are_dense_algebra(shape: tuple[int, int]) -> None:
    rng, n = np.random.default_rng(0), 2
    inside = np.ones(shape, dtype=bool)
    inside[2, 0] = shape[1] == 1
    roots = rng.normal(size=(*shape, n, n + 1))
    H = np.where(inside[:, :, None, None], roots @ roots.swapaxes(-1, -2), 0.0)
    right, strength, grid = rng.normal(size=(*shape, n)) * inside[:, :, None], np.array([0.7, 3.0]), Grid(inside)
    L, A = dense_laplacians(inside, n), np.zeros((*shape, n, *shape, n))
    for x, y in np.ndindex(*shape):
        A[x, y, :, x, y, :] = H[x, y] if inside[x, y] else np.eye(n)
    whole = A.reshape(L[0].shape) + np.einsum("k,kij->ij", strength, L)
    inverse, out = np.linalg.inv(whole), solved(grid, H, right, strength)
    assert out.values.ravel() == pytest.approx(inverse @ right.ravel(), abs=1e-10)
    assert np.einsum("xyii->xyi", out.covariance).ravel() == pytest.approx(np.diag(inverse), abs=1e-10)
    assert out.traces == pytest.approx([np.trace(inverse @ one) for one in L], rel=1e-9)
    assert out.ln_size == pytest.approx(np.linalg.slogdet(whole)[1], rel=1e-9)
    assert grid.rank == np.linalg.matrix_rank(L[0])


def field(size: int) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    return np.stack([0.3 + 0.3 * np.exp(-3 * (x**2 + y**2)), 30.0 + 5.0 * np.sin(2 * x)], axis=-1)


@pytest.mark.parametrize("noise", [0.003, 0.03, 0.3, 3.0])
def test_a_smooth_field_is_nearer_to_the_truth_at_every_noise(noise: float) -> None:
    rng, truth = np.random.default_rng(2), field(20)
    root = np.linalg.cholesky([[1.0, 0.6], [0.6, 1.0]]) * noise * np.array([[1.0], [20.0]])
    noisy = truth + rng.normal(size=truth.shape) @ root.T
    found = smooth(noisy, np.broadcast_to(np.linalg.inv(root @ root.T), (20, 20, 2, 2)))
    assert (np.std(found.values - truth, axis=(0, 1)) < np.std(noisy - truth, axis=(0, 1))).all()
    assert (np.std((found.values - truth) / found.errors, axis=(0, 1)) < 1.3).all()


def test_neighbours_tell_what_a_place_does_not() -> None:
    truth = field(12)
    H = np.tile(np.diag([1e6, 1e4]), (12, 12, 1, 1))
    values, inside = truth.copy(), np.ones((12, 12), dtype=bool)
    H[5, 5], values[5, 5] = 0.0, np.nan
    inside[0, 0] = False
    found = smooth(values, H, inside)
    assert np.isnan(found.values[0, 0]).all()
    assert found.values[5, 5] == pytest.approx(truth[5, 5], rel=0.05)
    assert (found.errors[5, 5] > 3.0 * found.errors[5, 6]).all()


def test_a_map_on_its_side_is_the_same_map() -> None:
    rng, H = np.random.default_rng(4), np.tile(np.eye(1), (4, 9, 1, 1))
    noisy = rng.normal(size=(4, 9, 1))
    one, other = smooth(noisy, H), smooth(noisy.swapaxes(0, 1), H.swapaxes(0, 1))
    assert one.values == pytest.approx(other.values.swapaxes(0, 1), abs=1e-9)


def two_phases() -> pk.Model:
    names = {"zb": "CdS_zincblende", "wz": "CdS_wurtzite"}
    made = [pk.Crystal.from_file(file, name=name, shape=pk.Sphere(30.0)) for name, file in names.items()]
    return pk.Model(made, INSTRUMENT)


@lru_cache
def truth() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[-1:1:5j, -1:1:6j]
    return 0.35 + 0.2 * np.exp(-2 * (x**2 + y**2)), 28.0 + 4.0 * x


@lru_cache
def mapped(noise: float) -> Map:
    """A slice of 5 × 6 places, one of them empty, with noise flat in Q."""
    rng, (fraction, D) = np.random.default_rng(5), truth()
    Q, model, scans = np.arange(0.05, 18.0, 0.05), two_phases(), []
    waves = 2.0 / np.pi * np.sin(np.outer(R, Q)) * np.sqrt(0.05)
    for x, d in zip(fraction.ravel(), D.ravel(), strict=True):
        values = {"zb.scale": 1 - x, "wz.scale": x, "zb.spdiameter": d, "wz.spdiameter": d}
        G = model.with_values(values)(R).G + waves @ rng.normal(0.0, noise, Q.size)
        scans.append(pk.PDF(R, G, instrument=INSTRUMENT))
    scans[0] = None
    free = ["scale", "zb.spdiameter", "zb.a"]
    ties = {"wz.spdiameter": "zb.spdiameter"}
    return fit_map(model, scans, (5, 6), free=free, mapped=["scale", "spdiameter"], ties=ties)


@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_a_map_is_nearer_to_the_truth_than_its_places(noise: float) -> None:
    found, (fraction, D) = mapped(noise), truth()
    inside = np.isfinite(found.rw)
    assert inside.sum() == 29
    amounts = found.alone[:, :, :2][inside]
    alone = amounts[:, 0] / amounts.sum(axis=1) if found.names[0] == "wz.scale" else amounts[:, 1] / amounts.sum(axis=1)
    made = {one: found[f"{one}.scale"][0][inside] for one in ("zb", "wz")}
    shared = made["wz"] / (made["zb"] + made["wz"])
    assert np.std(shared - fraction[inside]) < np.std(alone - fraction[inside])
    diameter, error = found["zb.spdiameter"]
    k = found.names.index("zb.spdiameter")
    assert np.std((diameter - D)[inside]) < np.std((found.alone[:, :, k] - D)[inside])
    assert np.abs((diameter - D)[inside] / error[inside]).max() < 4.0
    assert np.median(error[inside]) < np.median(found.alone_errors[:, :, k][inside])
    # Of much noise little is left of the differences between places.
    assert ("up to two times too small" in str(found.remarks)) == (noise > 0.1)
    assert "too small by a half" not in str(found.remarks)
    assert "have Rw above 0.70" in str(_drowned(np.array([[0.5, 0.7], [0.9, np.nan]])))


def test_phase_fractions_of_a_map() -> None:
    found = mapped(0.05)
    share, error = found.fraction("wz")
    # Both phases are CdS: atoms go as scales do.
    one, other = found["wz.scale"][0], found["zb.scale"][0]
    assert share[1:] == pytest.approx((one / (one + other))[1:], rel=1e-6)
    assert np.isnan(share[0, 0])
    assert (error[1:] > 0).all()
    with pytest.raises(ParameterError, match="needs maps of"):
        found.fraction("ni")
    with pytest.raises(ParameterError, match="no map is called"):
        found["zb.c"]
    assert str(found).startswith("Map of 5 × 6 places: Rw = ")


def test_what_no_map_can_be_is_refused() -> None:
    model = two_phases()
    pdf = model(R)
    with pytest.raises(PdfkitError, match="4 scans, and its shape is 2 × 3"):
        fit_map(model, [pdf] * 4, (2, 3), free=["scale"])
    with pytest.raises(PdfkitError, match="nothing was measured"):
        fit_map(model, [None] * 4, (2, 2), free=["scale"])
    with pytest.raises(ParameterError, match="no parameter is called 'a'"):
        fit_map(model, [pdf] * 4, (2, 2), free=["scale"], mapped=["a"])
    with pytest.raises(PdfkitError, match="too wide"):
        smooth(np.zeros((1600, 1600, 1)), np.zeros((1600, 1600, 1, 1)))
    with pytest.raises(PdfkitError, match="places that have neighbours"):
        smooth(np.zeros((1, 1, 1)), np.ones((1, 1, 1, 1)))
