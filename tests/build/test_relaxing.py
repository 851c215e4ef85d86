"""Relaxation: the classical potential against crystals, its forces, the way down, and runs that are killed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from scipy.optimize import minimize, minimize_scalar
from scipy.special import erfc

import pdfkit as pk
from pdfkit.build.description import bonds as bonds_of
from pdfkit.build.potentials import ATOMS, Ionic, pair_table, potential
from pdfkit.build.relaxing import JOURNAL, superposed
from pdfkit.errors import PdfkitError, PdfkitWarning, ReadError, StructureError
from pdfkit.kernels.ionic import COULOMB

MADELUNG = {"zincblende": 1.6380550534, "rocksalt": 1.7475645946}
"""Of the nearest distance."""


@pytest.fixture(scope="module")
def capped() -> pk.Particle:
    return pk.build.cap(pk.build.tetrahedron("CdSe_zincblende", 6), "Cl")


def crystal_energy(a: float, cation: str, anion: str, offset: float) -> float:
    """Return the energy (eV) of a formula unit of zinc blende (offset ¼, ¼, ¼) or rock salt (½, ½, ½)."""
    _, _, sigma, epsilon = pair_table(sorted((cation, anion)))
    c, s = sorted((cation, anion)).index(cation), sorted((cation, anion)).index(anion)
    n = np.indices((21, 21, 21)).reshape(3, -1).T - 10
    fcc = 0.5 * a * n[n.sum(axis=1) % 2 == 0]

    def lennard_jones(shift: float, i: int, j: int) -> float:
        r = np.linalg.norm(fcc + shift * a, axis=1)
        six = (sigma[i, j] / r[(r > 1e-6) & (r < 4.5 * a)]) ** 6
        return float((4 * epsilon[i, j] * (six**2 - six)).sum())

    nearest = a * (np.sqrt(3) / 4 if offset == 0.25 else 0.5)
    kind = "zincblende" if offset == 0.25 else "rocksalt"
    coulomb = -COULOMB * ATOMS[cation].charge ** 2 * MADELUNG[kind] / nearest
    return coulomb + 0.5 * lennard_jones(0.0, c, c) + 0.5 * lennard_jones(0.0, s, s) + lennard_jones(offset, c, s)


@pytest.mark.parametrize(
    ("cation", "anion", "length", "modulus"), [("Cd", "S", 5.832, 62), ("Cd", "Se", 6.077, 53), ("Zn", "S", 5.410, 77)]
)
def test_the_classical_potential_gives_the_crystals(cation: str, anion: str, length: float, modulus: float) -> None:
    """Measured lattice constants of zinc blende within 1.3 %, bulk moduli within 16 %, and rock salt above it."""

    def energy(a: float) -> float:
        return crystal_energy(a, cation, anion, 0.25)

    found = minimize_scalar(energy, bounds=(4.5, 7.0), method="bounded", options={"xatol": 1e-5})
    a, h = float(found.x), 0.02
    assert a == pytest.approx(length, rel=0.013)
    curvature = (energy(a + h) - 2 * energy(a) + energy(a - h)) / h**2
    gpa = curvature * 160.21766 * (a**3 / 4) / (3 * a**2 / 4) ** 2
    assert gpa == pytest.approx(modulus, rel=0.16)
    salt = minimize_scalar(
        lambda b: crystal_energy(b, cation, anion, 0.5), bounds=(4.0, 7.0), method="bounded", options={"xatol": 1e-4}
    )
    assert salt.fun > found.fun


def ewald(cell: np.ndarray, xyz: np.ndarray, q: np.ndarray) -> float:
    """Return the Coulomb energy (eV) of one cell."""
    alpha, volume, reciprocal = 0.5, abs(np.linalg.det(cell)), 2 * np.pi * np.linalg.inv(cell).T
    shifts = (np.indices((9, 9, 5)).reshape(3, -1).T - [4, 4, 2]) @ cell
    real = 0.0
    for i, j in np.ndindex(len(q), len(q)):
        r = np.linalg.norm(xyz[j] - xyz[i] + shifts, axis=1)
        r = r[r > 1e-6]
        real += 0.5 * q[i] * q[j] * float((erfc(alpha * r) / r).sum())
    G = (np.indices((11, 11, 15)).reshape(3, -1).T - [5, 5, 7]) @ reciprocal
    G = G[np.linalg.norm(G, axis=1) > 1e-9]
    g2 = (G**2).sum(axis=1)
    waves = np.abs(np.exp(1j * G @ xyz.T) @ q) ** 2
    far = 2 * np.pi / volume * float((waves * np.exp(-g2 / (4 * alpha**2)) / g2).sum())
    return COULOMB * (real + far - alpha / np.sqrt(np.pi) * float((q**2).sum()))


def wurtzite_energy(p: np.ndarray, cation: str, anion: str) -> float:
    """Return the energy (eV) of a formula unit of wurtzite with p = a, c, u."""
    a, c, u = p
    cell = np.array([[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]])
    xyz = np.array([[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, u], [2 / 3, 1 / 3, 0.5 + u]]) @ cell
    kind, charge, sigma, epsilon = pair_table([cation, cation, anion, anion])
    shifts = (np.indices((13, 13, 9)).reshape(3, -1).T - [6, 6, 4]) @ cell
    total = ewald(cell, xyz, charge[kind])
    for i, j in np.ndindex(4, 4):
        r = np.linalg.norm(xyz[j] - xyz[i] + shifts, axis=1)
        six = (sigma[kind[i], kind[j]] / r[(r > 1e-6) & (r < 18)]) ** 6
        total += 0.5 * float((4 * epsilon[kind[i], kind[j]] * (six**2 - six)).sum())
    return 0.5 * total


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cation", "anion", "cell", "below"),
    [("Cd", "S", (4.137, 6.714), 0.028), ("Cd", "Se", (4.299, 7.011), 0.027), ("Zn", "S", (3.823, 6.261), 0.029)],
)
def test_the_classical_potential_prefers_wurtzite(
    cation: str, anion: str, cell: tuple[float, float], below: float
) -> None:
    start = np.array([*cell, 0.377])
    found = minimize(wurtzite_energy, start, (cation, anion), "Nelder-Mead", options={"xatol": 2e-4, "fatol": 1e-6})
    np.testing.assert_allclose(found.x[:2], cell, rtol=0.021)
    cubic = minimize_scalar(
        lambda a: crystal_energy(a, cation, anion, 0.25), bounds=(4.5, 7.0), method="bounded", options={"xatol": 1e-5}
    )
    assert cubic.fun - found.fun == pytest.approx(below, abs=0.004)


def test_forces_are_the_slopes_of_the_energy(capped: pk.Particle) -> None:
    atoms = capped.to_ase()
    atoms.calc = Ionic()
    atoms.rattle(0.1, seed=3)
    forces = atoms.get_forces()
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-10)
    for atom, axis in ((0, 0), (5, 1), (len(atoms) - 1, 2)):
        values = []
        for step in (1e-4, -1e-4):
            moved = atoms.copy()
            moved.positions[atom, axis] += step
            moved.calc = Ionic()
            values.append(moved.get_potential_energy())
        assert -(values[0] - values[1]) / 2e-4 == pytest.approx(forces[atom, axis], abs=1e-6)


def test_a_relaxed_cluster_says_with_what(capped: pk.Particle, tmp_path: Path) -> None:
    relaxed = pk.build.relax(capped, "classical", fmax=0.05)
    assert relaxed.meta["relaxed_converged"] is True
    assert relaxed.meta["relaxed_fmax"] <= 0.05
    atoms = relaxed.to_ase()
    atoms.calc = Ionic()
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() == pytest.approx(relaxed.meta["relaxed_fmax"])
    again = pk.Particle.from_file(pk.io.write_xyz(tmp_path / "r.xyz", relaxed))
    for key in ("relaxed_with", "relaxed_version", "relaxed_steps", "relaxed_converged", "relaxed_energy"):
        assert again.meta[key] == relaxed.meta[key]
    assert 0.05 < pk.build.rms_displacement(capped.core, relaxed.core) < 0.8


def test_only_ligands_move_where_that_is_asked(capped: pk.Particle) -> None:
    relaxed = pk.build.relax(capped, "classical", moving="ligands", fmax=0.1)
    np.testing.assert_array_equal(relaxed.core.xyz, capped.core.xyz)
    assert relaxed.meta["relaxed_steps"] > 3
    with pytest.raises(PdfkitError, match="which atoms are ligands"):
        pk.build.relax(capped.core, "classical", moving="ligands")


def test_any_calculator_of_ase() -> None:
    copper = Atoms("Cu4", positions=[[0, 0, 0], [2.4, 0, 0], [1.2, 2.1, 0], [1.2, 0.7, 2.0]])
    relaxed = pk.build.relax(copper, EMT(), fmax=0.02)
    lengths = np.linalg.norm(relaxed.xyz[:, None] - relaxed.xyz, axis=2)[np.triu_indices(4, 1)]
    assert np.ptp(lengths) < 0.02
    assert relaxed.meta["relaxed_with"] == "EMT"
    assert relaxed.meta["relaxed_version"].startswith("ase 3")


class KilledError(Exception):
    """The process ends here."""


def killed_after(steps: int) -> Callable[[object], None]:
    def told(step: object) -> None:
        if step.number == steps:  # type: ignore[attr-defined]
            raise KilledError

    return told


def test_a_killed_relaxation_takes_the_same_steps(capped: pk.Particle, tmp_path: Path) -> None:
    whole = pk.build.relax(capped, "classical", fmax=0.08)
    journal = tmp_path / "r.journal"
    for steps in (4, 11):
        with pytest.raises(KilledError):
            pk.build.relax(capped, "classical", fmax=0.08, journal=journal, progress=killed_after(steps))
        lines = journal / JOURNAL
        lines.write_bytes(lines.read_bytes()[:-7])  # the last line came through by half
    found = pk.build.relax(capped, "classical", fmax=0.08, journal=journal)
    np.testing.assert_array_equal(found.xyz, whole.xyz)
    assert found.meta == whole.meta
    lines = (journal / JOURNAL).read_text().splitlines()
    assert len(lines) == whole.meta["relaxed_steps"] + 2
    again = pk.build.relax(capped, "classical", fmax=0.08, journal=journal)  # nothing is left to do
    np.testing.assert_array_equal(again.xyz, whole.xyz)
    with pytest.raises(ReadError, match="left alone"):
        pk.build.relax(capped.moved([1, 0, 0]), "classical", journal=journal)


def test_a_damaged_journal_is_refused(capped: pk.Particle, tmp_path: Path) -> None:
    journal = tmp_path / "r.journal"
    with pytest.warns(PdfkitWarning, match="not at rest"):
        pk.build.relax(capped, "classical", steps=3, journal=journal)
    path = journal / JOURNAL
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[2], lines[1]]) + "\n")
    with pytest.raises(ReadError, match="damaged"):
        pk.build.relax(capped, "classical", journal=journal)


def test_refusals_name_the_reason(capped: pk.Particle) -> None:
    with pytest.raises(StructureError, match=r"net charge \+24\.78 e"):
        pk.build.relax(capped.core, "classical")
    with pytest.raises(StructureError, match="does not know C"):
        pk.build.relax(pk.build.cap(capped.core, "formate"), "classical")
    with pytest.raises(PdfkitError, match="nearest are classical"):
        potential("classic")
    with pytest.raises(PdfkitError, match="no ASE calculator"):
        potential(3.0)
    with pytest.raises(PdfkitError, match="fmax"):
        pk.build.relax(capped, "classical", fmax=-1.0)


def test_superposition_finds_turns_and_shifts(capped: pk.Particle) -> None:
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_rotvec([0.3, -1.0, 2.0]).as_matrix()
    turned = pk.Particle.of(capped.symbols, capped.xyz @ turn.T + [3.0, 1.0, -2.0])
    np.testing.assert_allclose(superposed(capped, turned), 0.0, atol=1e-9)
    with pytest.raises(StructureError, match="do not correspond"):
        superposed(capped, capped.core)


@pytest.mark.parametrize("name", ["chgnet", "tblite"])
@pytest.mark.slow
def test_potentials_of_packages(name: str) -> None:
    pytest.importorskip(name)
    capped = pk.build.cap(pk.build.tetrahedron("CdSe_zincblende", 3), "Cl")
    with pytest.warns(PdfkitWarning, match="not at rest"):
        found = pk.build.relax(capped, name, steps=2)
    assert found.meta["relaxed_with"] == name
    assert np.isfinite(found.meta["relaxed_energy"])


def test_stored_relaxations_are_of_these_sets_and_keep_their_bonds() -> None:
    """The complete Cd37S20 under 34 Cl (`python benchmarks/ligands.py --golden chgnet classical`)."""
    stored = json.loads((Path(__file__).parents[2] / "benchmarks" / "relaxed.json").read_text(encoding="utf-8"))
    sets = {p.name: p for p in pk.build.candidates("Cd37S20", limit=None, seed=1, near=0)}
    assert {"chgnet", "classical"} == set(stored)
    for known in stored.values():
        assert known["displacements"].keys() == sets.keys()
        for name, way in known["displacements"].items():
            core = sets[name]
            moved = pk.Particle.of(core.symbols, core.xyz + np.array(way) / 1000)
            assert 0.2 < pk.build.rms_displacement(core, moved) < 1.2
            np.testing.assert_allclose(superposed(core, moved), np.array(way) / 1000, atol=3e-3)
            bonds, lengths = bonds_of(core)
            after = np.linalg.norm(moved.xyz[bonds[:, 0]] - moved.xyz[bonds[:, 1]], axis=1)
            assert np.median(after) == pytest.approx(np.median(lengths), abs=0.12)


def test_a_journal_goes_on_with_its_own_potential_alone(tmp_path: Path) -> None:
    from ase.calculators.lj import LennardJones

    copper = pk.build.sphere("Cu", 6.0)
    with pytest.raises(StructureError, match="does not know Cu"):
        pk.build.relax(copper, "classical", journal=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    about = {"fmax": 1e-3, "steps": 2, "journal": tmp_path / "run"}
    with pytest.warns(PdfkitWarning, match="not at rest"):
        pk.build.relax(copper, LennardJones(sigma=2.2, epsilon=0.3), **about)
    with pytest.raises(PdfkitError, match="settings are others"):
        pk.build.relax(copper, LennardJones(sigma=2.2, epsilon=0.4), **about)
    with pytest.raises(PdfkitError, match="no whole number"):
        pk.build.relax(copper, "classical", steps=2.5)


def test_calculators_that_fail_are_named() -> None:
    from ase.calculators.lj import LennardJones

    class Failing(LennardJones):  # type: ignore[misc]
        def calculate(self, *_: object, **__: object) -> None:
            raise RuntimeError("no convergence")

    class Odd(EMT):  # type: ignore[misc]
        def get_forces(self, *_: object) -> np.ndarray:
            return np.zeros((2, 3))

    copper = pk.build.sphere("Cu", 6.0)
    for calculator, words in ((Failing(), "no convergence"), (Odd(), "of shape"), (EMT, "EMT is no ASE calculator")):
        with pytest.raises(PdfkitError, match=words):
            pk.build.relax(copper, calculator, steps=2)
