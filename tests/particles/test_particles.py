"""Particles: what they hold, how they are read and written, and how their pairs are counted."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pdfkit as pk
from pdfkit.errors import PdfkitWarning, ReadError, StructureError
from pdfkit.io.structures import read_structure
from pdfkit.model import serial
from pdfkit.particles import counting

FCC = 2.916 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])


def ball(diameter: float) -> pk.Particle:
    """A sphere of CdS zinc blende that knows its lattice."""
    offsets = np.array([[0.0, 0, 0], [1.458] * 3])
    m = int(diameter / 6) + 2
    cells = np.stack(np.meshgrid(*[np.arange(-m, m + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    sites = np.concatenate([np.column_stack([cells, np.full(len(cells), b)]) for b in range(2)])
    lattice = pk.particles.Lattice(FCC, offsets)
    xyz = lattice.positions(sites)
    inside = np.linalg.norm(xyz - 0.7, axis=1) <= diameter / 2
    return pk.Particle(("Cd", "S"), sites[inside, 3], xyz[inside], "ball", {"n": 1}, lattice, sites[inside])


def shells(table: pk.particles.PairTable) -> dict[tuple[int, float], float]:
    """Pairs by species pair and distance (1e-6 Å), whatever the bins."""
    out: dict[tuple[int, float], float] = {}
    for d, c, n in zip(table.distance, table.pair, table.count, strict=True):
        key = (int(c), round(float(d), 6))
        out[key] = out.get(key, 0.0) + n
    return out


def brute(particle: pk.Particle) -> dict[tuple[int, float], float]:
    """Every pair by itself, in two loops."""
    index = {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 2}
    out: dict[tuple[int, float], float] = {}
    for i in range(len(particle)):
        for j in range(i):
            d = math.dist(particle.xyz[i], particle.xyz[j])
            key = (index[int(particle.kind[i]), int(particle.kind[j])], round(d, 6))
            out[key] = out.get(key, 0.0) + 1
    return out


# --- counting ---------------------------------------------------------------------------------------------------------


def test_every_method_counts_the_same_whole_numbers() -> None:
    particle = ball(17.0)
    expected = brute(particle)
    for method in ("exact", "direct", "lattice"):
        table = pk.particles.count_pairs(particle, method=method)
        assert table.method == method
        assert table.total == len(particle) ** 2
        # Distances are rounded at 1e-6 Å: shells of this lattice are further apart.
        assert shells(table) == expected, method


@pytest.mark.parametrize("method", ["exact", "direct"])
def test_a_shorter_reach_leaves_out_only_what_lies_beyond(method: str) -> None:
    particle = ball(26.0)
    whole = shells(pk.particles.count_pairs(particle, method="lattice"))
    for rmax in (3.0, 9.1, 20.0):
        near = shells(pk.particles.count_pairs(particle, method=method, rmax=rmax))
        assert near == {key: n for key, n in whole.items() if key[1] <= rmax}


def test_bins_carry_mean_and_variance_of_free_atoms() -> None:
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(*[np.arange(12)] * 3), -1).reshape(-1, 3) * 2.9
    particle = pk.Particle.of(["Cd", "S"] * 864, grid + rng.uniform(-0.5, 0.5, grid.shape))
    exact, binned = (
        pk.particles.count_pairs(particle, method="exact"),
        pk.particles.count_pairs(particle, method="direct"),
    )
    assert binned.total == exact.total == 1728**2
    # A distance counts as a whole number of 2⁻²⁷ bins, 4e-11 Å: at the edge it may be rounded into the next bin.
    unit = counting.WIDTH / 2**27
    rounded = replace(exact, distance=unit * np.floor(exact.distance / unit + 0.5))
    again = rounded.merged(counting.WIDTH)
    key = lambda t: t.pair * 10**6 + np.floor(t.distance / counting.WIDTH + 1e-7).astype(int)  # noqa: E731 - thrice
    assert set(key(again)) == set(key(binned))
    order, other = np.argsort(key(again)), np.argsort(key(binned))
    np.testing.assert_array_equal(again.count[order], binned.count[other])
    np.testing.assert_allclose(again.distance[order], binned.distance[other], rtol=0, atol=unit)
    # For squares it is a whole number of 2⁻²² bins, and t at most half a bin.
    np.testing.assert_allclose(again.variance[order], binned.variance[other], rtol=0, atol=0.005 * 2**5 * unit)


def test_threads_change_nothing() -> None:
    particle = ball(40.0)
    one, two = (pk.particles.count_pairs(particle, method="direct", threads=n) for n in (1, 4))
    np.testing.assert_array_equal(one.count, two.count)
    np.testing.assert_allclose(one.distance, two.distance, rtol=0, atol=1e-13)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.floats(0.0, 3.0), st.integers(0, 10**6))
def test_columns_find_every_pair_of_any_cloud(n: int, stretch: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = np.array([30.0, 30.0 * (1 + stretch), 6.0])
    xyz = rng.uniform(0, 1, (n, 3)) * size
    particle = pk.Particle(("Ni",), np.zeros(n, dtype=int), xyz)
    d = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)[np.triu_indices(n, 1)]
    if d.min() < 0.6:
        return
    for rmax in (4.0, 15.0, 200.0):
        table = pk.particles.count_pairs(particle, method="direct", rmax=rmax)
        assert table.count.sum() == (d <= rmax).sum()
        # Each distance is rounded to 4e-11 Å.
        np.testing.assert_allclose(
            (table.count * table.distance).sum(), d[d <= rmax].sum(), rtol=1e-12, atol=2e-11 * d.size
        )


def test_axes_add_up_to_the_distance() -> None:
    table = pk.particles.count_pairs(ball(14.0), axes=True)
    assert table.axes is not None
    # Distances within one bin of 1e-5 Å differ by rounding.
    np.testing.assert_allclose(table.axes.sum(axis=1), table.distance, rtol=0, atol=1e-12)


def test_auto_takes_the_lattice_only_where_it_pays() -> None:
    assert pk.particles.count_pairs(ball(14.0)).method == "exact"
    assert pk.particles.count_pairs(ball(60.0)).method == "lattice"
    free = replace(ball(40.0), lattice=None, sites=None)
    assert pk.particles.count_pairs(free).method == "direct"


def test_classes_of_ones_own_are_counted_apart() -> None:
    particle = ball(14.0)
    labels = np.arange(len(particle)) % 3
    table = pk.particles.count_pairs(particle, labels=labels)
    assert len(table.pairs) == 6
    assert table.atoms.sum() == len(particle)
    sizes = np.bincount(labels)
    for pair, (a, b) in enumerate(table.pairs):
        pairs = sizes[a] * (sizes[a] - 1) / 2 if a == b else sizes[a] * sizes[b]
        assert table.count[table.pair == pair].sum() == pairs


def test_what_cannot_be_counted_says_why() -> None:
    free = replace(ball(14.0), lattice=None, sites=None)
    with pytest.raises(pk.PdfkitError, match="was not built on a lattice: use method='direct'"):
        pk.particles.count_pairs(free, method="lattice")
    with pytest.raises(pk.PdfkitError, match=r"needs 0\.0 GB and 0\.0 GB are allowed"):
        pk.particles.count_pairs(free, method="exact", memory=1e3)
    with pytest.raises(pk.PdfkitError, match="need method='exact'"):
        pk.particles.count_pairs(free, method="direct", axes=True)
    with pytest.raises(StructureError, match=r"atoms 1 and 3 are 0\.100 Å apart"):
        pk.particles.count_pairs(pk.Particle.of(["Cd", "S", "Cd"], [[0, 0, 0], [3, 0, 0], [0.1, 0, 0]]))
    with pytest.raises(pk.PdfkitError, match="choose one of auto, exact, direct, lattice"):
        pk.particles.count_pairs(free, method="fft")


# --- the value and its files ------------------------------------------------------------------------------------------


def test_a_particle_travels_and_is_frozen() -> None:
    particle = ball(12.0)
    for back in (pickle.loads(pickle.dumps(particle)), serial.from_plain(json.loads(serial.dumps(particle)))):
        np.testing.assert_array_equal(back.xyz, particle.xyz)
        np.testing.assert_array_equal(back.sites, particle.sites)
        assert back.elements == particle.elements
        assert back.kind.dtype == np.int64
        assert dict(back.meta) == {"n": 1}
    with pytest.raises(ValueError, match="read-only"):
        particle.xyz[0, 0] = 1.0


def test_composition_formula_and_mass() -> None:
    particle = pk.Particle.of(["S", "Cd", "cd2+"], np.eye(3) * 3)
    assert particle.elements == ("Cd", "S")
    assert particle.formula == "Cd2S"
    assert particle.mass == pytest.approx(2 * 112.414 + 32.06, abs=0.02)  # tables differ in the last digit
    assert particle.select([0]).formula == "S"
    assert particle.select(particle.kind == 0).elements == ("Cd",)


def test_xyz_there_and_back(tmp_path: Path) -> None:
    particle = ball(12.0)
    path = pk.io.write_xyz(tmp_path / "ball.xyz", particle)
    back = pk.Particle.from_file(path)
    np.testing.assert_allclose(back.xyz, particle.xyz, rtol=0, atol=5e-11)  # ten digits are written
    assert back.symbols == particle.symbols
    assert back.name == "ball"


def test_particles_of_crystals_and_of_other_libraries() -> None:
    from ase import Atoms

    cell = pk.Particle.from_structure(pk.load_structure("CdS_zincblende"))
    assert cell.formula == "Cd4S4"
    molecule = Atoms("CdS", positions=[[0, 0, 0], [0, 0, 2.5]])
    assert pk.Particle.from_structure(molecule).extent() == 2.5
    np.testing.assert_array_equal(pk.Particle.from_structure(molecule).to_ase().positions, molecule.positions)
    diffpy = pk.load_structure("CdS_zincblende").to_diffpy()
    assert pk.Particle.from_structure(diffpy).formula == "Cd4S4"


@pytest.mark.parametrize("name", ["box.cif", "box.vasp"])
def test_files_without_U_are_whole_as_clusters(tmp_path: Path, name: str) -> None:
    from ase import Atoms

    Atoms("CdS", positions=[[5, 5, 5], [5, 5, 7.5]], cell=[12, 12, 12], pbc=True).write(tmp_path / name)
    # Warnings are errors here: none is made of what a cluster does not use.
    assert pk.Cluster.from_file(tmp_path / name).particle.remarks == ()
    with pytest.warns(PdfkitWarning, match="U is missing"):
        structure = read_structure(tmp_path / name)
    assert pk.Particle.from_structure(structure).remarks == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("Cd 0 0 0\n", "is not the number of atoms"),
        ("3\nx\nCd 0 0 0\n", "3 atoms are announced and 1 lines follow"),
        ("0\n\n", "there are no atoms"),
        ("1\nx\nQq 0 0 0\n", "line 3: 'Qq' is not an element"),
        ("1\nx\nCd 0 zero 0\n", "not a readable xyz file"),
        ("1\nx\nCd 0 nan 0\n", "xyz holds nan"),
    ],
)
def test_damaged_xyz_files_say_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.xyz"
    path.write_text(text)
    with pytest.raises(ReadError) as error:
        pk.Particle.from_file(path)
    assert words in str(error.value)
    assert "bad.xyz" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pk.Particle.of([], np.zeros((0, 3))), "without atoms"),
        (lambda: pk.Particle.of(["Qq"], [[0, 0, 0]]), "not an element"),
        (lambda: pk.Particle.of(["Cd"], [[0, 0]]), "must be (n, 3)"),
        (lambda: pk.Particle.from_structure(3), "is not a particle"),
        (lambda: pk.particles.Lattice(np.ones((3, 3)), np.zeros((1, 3))), "lie in a plane"),
        (lambda: replace(ball(10.0), sites=None), "go together"),
    ],
)
def test_wrong_particles_are_refused(make: object, words: str) -> None:
    with pytest.raises(pk.PdfkitError) as error:
        make()  # type: ignore[operator]
    assert words in str(error.value)
