"""Point groups of finite sets of atoms, names of their representations, and displacements by these."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import pdfkit as pk
from pdfkit.errors import StructureError
from pdfkit.particles.symmetry import PointGroup


def ring(symbol: str, n: int, radius: float, z: float = 0.0) -> tuple[list[str], list[list[float]]]:
    angles = 2 * np.pi * np.arange(n) / n
    return [symbol] * n, [[radius * np.cos(a), radius * np.sin(a), z] for a in angles]


def molecule(*parts: tuple[list[str], list[list[float]]]) -> pk.Particle:
    """The atoms of all parts, turned by something irrational."""
    xyz = np.concatenate([xyz for _, xyz in parts])
    turned = Rotation.from_euler("xyz", [0.3, 1.1, 2.0]).apply(xyz) + np.array([1.0, 2.0, 3.0])
    return pk.Particle.of([name for names, _ in parts for name in names], turned)


WATER = molecule((["O", "H", "H"], [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]))
AMMONIA = molecule((["N"], [[0, 0, 0.3]]), ring("H", 3, 0.94))
BF3 = molecule((["B"], [[0, 0, 0]]), ring("F", 3, 1.3))
BENZENE = molecule(ring("C", 6, 1.4), ring("H", 6, 2.48))
SF6 = molecule((["S"] + ["F"] * 6, [[0, 0, 0], *(1.56 * np.vstack([np.eye(3), -np.eye(3)])).tolist()]))
ALLENE = molecule(
    (["C"] * 3, [[0, 0, -1.3], [0, 0, 0], [0, 0, 1.3]]),
    (["H"] * 4, [[0.93, 0, -1.86], [-0.93, 0, -1.86], [0, 0.93, 1.86], [0, -0.93, 1.86]]),
)

# Vibrations of molecules as textbooks have them (dimension times their number).
KNOWN = {
    "water": (WATER, 4, {"A1": 2, "B2": 1}),
    "ammonia": (AMMONIA, 6, {"A1": 2, "E": 4}),
    "BF3": (BF3, 12, {"A1p": 1, "A2pp": 1, "Ep": 4}),
    "SF6": (SF6, 48, {"A1g": 1, "Eg": 2, "T1u": 6, "T2g": 3, "T2u": 3}),
    "allene": (ALLENE, 8, {"A1": 3, "B1": 1, "B2": 3, "E": 8}),
    "benzene": (
        BENZENE,
        24,
        {"A1g": 2, "A2g": 1, "A2u": 1, "B1u": 2, "B2g": 2, "B2u": 2, "E1g": 2, "E1u": 6, "E2g": 8, "E2u": 4},
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_vibrations_of_molecules(name: str) -> None:
    particle, order, expected = KNOWN[name]
    group = PointGroup.of(particle)
    assert group.order == order
    cluster = pk.Cluster(particle, "c", moves="modes")
    assert Counter(one.split("_")[0] for one in cluster._freedom.names) == expected
    vectors = cluster._freedom.vectors
    np.testing.assert_allclose(vectors.T @ vectors, len(particle) * np.eye(3 * len(particle) - 6), atol=1e-9)


def test_operations_are_a_group_and_map_the_atoms() -> None:
    particle = pk.build.tetrahedron("CdSe_zincblende", 4)
    shaken = pk.Particle.of(particle.symbols, particle.xyz + np.random.default_rng(0).normal(0, 0.003, (30, 3)))
    for one in (particle, shaken):
        group = PointGroup.of(one)
        x = one.xyz - group.centre
        products = np.einsum("gab,hbc->ghac", group.operations, group.operations).reshape(-1, 9)
        distance = np.abs(products[:, None] - group.operations.reshape(1, -1, 9)).max(axis=2).min(axis=1)
        assert distance.max() < 1e-10
        for turn, images in zip(group.operations, group.images, strict=True):
            np.testing.assert_allclose(x @ turn.T, x[images], atol=0.03)
        assert sorted(map(len, group.orbits)) == [4, 4, 4, 6, 12]


def test_symmetric_modes_keep_the_symmetry_and_are_the_published_number() -> None:
    cluster = pk.Cluster(pk.build.tetrahedron("CdSe_zincblende", 6), "c", moves="symmetric")
    assert len(cluster._freedom.names) == 16  # Cd56Se35 under Td
    away = np.random.default_rng(1).normal(0.0, 0.05, 16)
    moved = pk.Cluster(cluster.particle, "c", moves="symmetric", amplitudes=tuple(away.tolist()))
    group = PointGroup.of(moved.refined_particle())
    assert group.order == 24
    assert abs(np.sqrt((moved.displaced**2).sum(axis=1).mean()) - np.sqrt((away**2).sum())) < 1e-12


def test_shells_breathe() -> None:
    cluster = pk.Cluster(SF6, "c", moves="shells", amplitudes=(0.1,))
    assert cluster._freedom.names == ("F_shell1",)
    x = cluster.refined_particle().xyz
    np.testing.assert_allclose(np.linalg.norm(x[1:] - x[0], axis=1), 1.66, atol=1e-9)


def test_little_symmetry_and_atoms_on_a_line() -> None:
    odd = pk.Particle.of(["Cd", "S", "Se", "Te"], [[0, 0, 0], [2.5, 0, 0], [0, 2.6, 0], [0, 0, 2.8]])
    assert PointGroup.of(odd).order == 1
    assert len(pk.Cluster(odd, "c", moves="symmetric")._freedom.names) == 6
    with pytest.raises(StructureError, match="on a line"):
        pk.Cluster(pk.Particle.of(["O", "C", "O"], [[-1.2, 0, 0], [0, 0, 0], [1.2, 0, 0]]), "c", moves="modes")


@pytest.mark.parametrize("kind", ["symmetric", "modes", "shells"])
def test_derivatives_along_them_are_those_of_differences(kind: str) -> None:
    particle = pk.build.tetrahedron("CdSe_zincblende", 3)
    cluster = pk.Cluster(particle, "c", Uiso=0.01, moves=kind)
    rng = np.random.default_rng(3)
    names = {f"c.{name}": rng.normal(0.0, 0.05) for name in cluster._freedom.names[:4]}
    model = pk.Model(cluster, pk.Instrument(probe="X", qmin=0.6, qmax=15.0)).with_values(names)
    r = np.arange(1.0, 12.0, 0.1)
    evaluate, values = model.evaluator(r), model.values
    _, dG = evaluate(values, np.eye(values.size))
    for k in range(2, 4):
        step = 1e-4 * np.eye(values.size)[k]
        difference = (evaluate(values + step)[0] - evaluate(values - step)[0]) / 2e-4
        assert np.abs(dG[k] - difference).max() < 1e-6 * np.abs(dG).max()


def test_modes_that_are_equally_stiff_by_chance_are_told_apart() -> None:
    from pdfkit.phases._modes import _irreducible, modes

    group = PointGroup.of(SF6)
    names, _, vectors = modes(SF6, symmetric=False)
    alike = [k for k, name in enumerate(names) if name.startswith(("Eg_1", "T2g_1"))]
    mixed = vectors[:, alike] @ np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0] / np.sqrt(len(SF6))
    parts = list(_irreducible(mixed, group))
    assert sorted(part.shape[1] for part, _ in parts) == [2, 3]
    for part, characters in parts:
        assert np.mean(characters**2) == pytest.approx(1.0)
        np.testing.assert_allclose(part.T @ part, np.eye(part.shape[1]), atol=1e-12)
