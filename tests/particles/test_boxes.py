"""Pairs in periodic boxes, against loops over images and what an ideal gas must show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pdfkit import PdfkitError
from pdfkit.errors import StructureError
from pdfkit.particles.boxes import Box, box_pairs, check_apart, closest

WIDTH = 0.005
TRICLINIC = np.array([[7.1013, 0.0, 0.0], [2.0312, 6.2, 0.0], [-1.5717, 1.1, 8.3]])


def random_box(cell: Any, count: int, kinds: int = 2, seed: int = 3) -> Box:
    rng = np.random.default_rng(seed)
    # Anywhere, as in unwrapped trajectories.
    return Box(np.array(cell), (rng.random((count, 3)) * 3.0 - 1.0) @ cell, np.arange(count) % kinds)


def distances(box: Box, rmax: float) -> dict[tuple[int, int], np.ndarray[Any, Any]]:
    """Return every distance of a ≤ b by loops over images, each pair once."""
    reach = math.ceil(rmax / box.heights.min()) + 3
    out: dict[tuple[int, int], list[float]] = {}
    for n in np.ndindex(*(2 * reach + 1,) * 3):
        shift = (np.array(n) - reach) @ box.cell
        d = np.linalg.norm(box.xyz[None] + shift - box.xyz[:, None], axis=2)
        for i, j in np.argwhere((d <= rmax) & (d > 1e-9)):
            a, b = box.kind[i], box.kind[j]
            if a <= b:
                out.setdefault((int(a), int(b)), []).append(d[i, j])
    return {pair: np.sort(d)[:: 2 if pair[0] == pair[1] else 1] for pair, d in out.items()}


@pytest.mark.parametrize("rmax", [2.5, 9.0, 14.0])
@pytest.mark.parametrize("kinds", [1, 3])
def test_every_pair_with_every_image_is_counted_once(rmax: float, kinds: int) -> None:
    box = random_box(TRICLINIC, 9, kinds)
    wrapped = Box(box.cell, box.xyz - np.floor(box.xyz @ np.linalg.inv(box.cell)) @ box.cell, box.kind)
    sums, wanted = box_pairs(box, kinds, rmax, WIDTH), distances(wrapped, rmax)
    for row, pair in enumerate((a, b) for a in range(kinds) for b in range(a, kinds)):
        found, d = sums[row], wanted.get(pair, np.zeros(0))
        middles = (np.arange(len(found)) + 0.5) * WIDTH
        assert found[:, 0].sum() == d.size
        # Moments do not care at which side of an edge a distance was put.
        assert (found[:, 0] * middles + found[:, 1]).sum() == pytest.approx(d.sum(), abs=1e-8)
        squares = found[:, 0] * middles**2 + 2 * middles * found[:, 1] + found[:, 2]
        assert squares.sum() == pytest.approx((d**2).sum(), abs=1e-6)
        counts, _ = np.histogram(d, np.arange(len(found) + 1) * WIDTH)
        np.testing.assert_array_equal(found[:, 0], counts)


def test_threads_and_order_change_nothing() -> None:
    box = random_box(np.diag([40.0, 41.0, 42.0]), 6000)
    order = np.random.default_rng(0).permutation(6000)
    one = box_pairs(box, 2, 26.0, threads=1)
    other = box_pairs(Box(box.cell, box.xyz[order], box.kind[order]), 2, 26.0, threads=3)
    assert one[..., 0].sum() > 1.6e7  # enough for several threads
    np.testing.assert_array_equal(one[..., 0], other[..., 0])
    np.testing.assert_allclose(one[..., 1:], other[..., 1:], atol=1e-9)


def test_an_ideal_gas_has_as_many_pairs_as_its_density_says() -> None:
    cell = np.array([[30.0, 0, 0], [8.0, 28.0, 0], [3.0, -6.0, 33.0]])
    box = random_box(cell, 4000, 1)
    sums = box_pairs(box, 1, 20.0, 0.5)[0, :, 0]
    shells = 4 / 3 * np.pi * np.diff((0.5 * np.arange(41)) ** 3)
    expected = 0.5 * 4000 * 3999 / box.volume * shells
    chi = (sums - expected) / np.sqrt(expected)
    assert np.abs(chi).max() < 4.5
    assert 0.6 < chi.std() < 1.5


def test_an_atom_meets_its_own_images() -> None:
    cell = 3.0 * np.eye(3)
    sums = box_pairs(Box(cell, np.zeros((1, 3)), np.zeros(1, dtype=np.int64)), 1, 5.3)[0, :, 0]
    assert sums[np.flatnonzero(sums)].tolist() == [3.0, 6.0, 4.0]  # half of 6, 12, 8


def test_atoms_on_one_spot_are_refused() -> None:
    box = Box(10.0 * np.eye(3), np.array([[0.1, 0, 0], [9.9, 0, 0]]), np.zeros(2, dtype=np.int64))
    sums = box_pairs(box, 1, 4.0)
    assert closest(sums) == pytest.approx(0.2, abs=WIDTH)
    with pytest.raises(StructureError, match=r"two atoms are 0\.\d+ Å apart"):
        check_apart(sums)
    assert closest(np.zeros((1, 5, 3))) == math.inf


def test_cells_without_volume_and_lost_atoms_are_refused() -> None:
    kind = np.zeros(1, dtype=np.int64)
    with pytest.raises(StructureError, match="no volume"):
        Box(np.diag([5.0, 5.0, 0.0]), np.zeros((1, 3)), kind)
    with pytest.raises(StructureError, match="not finite"):
        Box(np.eye(3), np.array([[0.0, np.nan, 0.0]]), kind)


def test_what_would_take_for_ever_is_refused() -> None:
    with pytest.raises(PdfkitError, match="lower rmax"):
        box_pairs(random_box(np.diag([4.0, 4.0, 4.0]), 8), 2, 3000.0)
