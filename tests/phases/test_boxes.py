"""Crystals of many atoms without symmetry: what is counted or looked up at once is what pairs one by one give."""

from __future__ import annotations

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.phases import crystal
from pdfkit.structure import Structure


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
    monkeypatch.setattr(crystal._pairs, "MANY_ATOMS", 10**9)
    expected = pk.Crystal(structure, name="p").nearest_bond(probe)
    assert found == pytest.approx(expected, rel=1e-12)
    assert 1.5 < found < 3.0
