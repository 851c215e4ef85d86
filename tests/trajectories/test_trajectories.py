"""Averages over frames: against crystals, other programs, and what simulations must show."""

from __future__ import annotations

import bz2
import doctest
import gzip
import lzma
import os
import re
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pytest

import pdfkit as pk
from pdfkit import PdfkitError, PdfkitWarning
from pdfkit.errors import ReadError, StructureError
from pdfkit.particles.boxes import Box, box_pairs
from pdfkit.trajectories import reading, trajectory
from pdfkit.trajectories.averages import Averages, Averaging
from pdfkit.trajectories.counting import Counted
from pdfkit.trajectories.curves import Bins, Curves

HALF = "beyond half of the box"


def run(count: int, repeat: int = 4, sigma: float = 0.08, seed: int = 1, name: str = "NaCl") -> list[ase.Atoms]:
    """Return frames of a crystal whose atoms are displaced anew in each, in a cell that breathes."""
    rng, frames = np.random.default_rng(seed), []
    perfect = pk.load_structure(name).to_ase().repeat(repeat)
    for _ in range(count):
        atoms = perfect.copy()
        atoms.positions += rng.normal(scale=sigma, size=(len(atoms), 3))
        atoms.set_cell(atoms.cell * (1.0 + 0.002 * rng.normal()), scale_atoms=True)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def frames() -> list[ase.Atoms]:
    return run(6)


@pytest.fixture(scope="module")
def known(frames: list[ase.Atoms]) -> pk.PDF:
    return pk.read_trajectory(frames).pdf(rmax=10, qmax=20, rstep=0.05)


def test_examples_of_methods_print_what_they_say() -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    done = [doctest.testmod(module, optionflags=options) for module in (trajectory, reading)]
    assert (sum(one.failed for one in done), sum(one.attempted for one in done) > 20) == (0, True)


# --- against crystals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "scattering", "qmax", "name", "near"),
    [
        ("N", None, 25.0, "CdS_zincblende", 1e-9),
        ("X", None, 25.0, "CdS_zincblende", 1e-9),
        ("E", "constant", 20.0, "CdS_zincblende", 1e-9),
        ("X", "constant", np.inf, "CdS_zincblende", 1e-9),
        # Distances that share a bin: third order in its width.
        ("X", None, 25.0, "CdS_wurtzite", 3e-7),
    ],
)
def test_a_supercell_is_its_crystal(probe: str, scattering: str | None, qmax: float, name: str, near: float) -> None:
    """So strongly damped that nothing beyond what either counts matters."""
    structure = pk.load_structure(name)
    atoms = structure.to_ase().repeat((2, 3, 2))
    about = {"qmax": qmax, "qdamp": 0.15, "resolution": 0.003, "scattering": scattering}
    U = {"Cd": 0.006, "S": 0.011}
    trajectory = pk.read_trajectory([atoms])
    with pytest.warns(PdfkitWarning, match=HALF):
        pdf = trajectory.pdf(1, 40, 0.05, probe=probe, Uiso=U, **about)
    with pytest.warns(PdfkitWarning, match=HALF):
        partials = trajectory.partials(1, 40, 0.05, probe=probe, Uiso=U, **about)
    crystal = pk.Crystal(structure, name="wz").with_values({"Cd.Uiso": U["Cd"], "S.Uiso": U["S"]})
    model = pk.Model(crystal, pk.Instrument(probe, **about))
    wanted, scale = model(pdf.r), np.abs(pdf.G).max()
    assert np.abs(pdf.G - wanted.G).max() < near * scale
    for pair, one in model.partials(pdf.r).items():
        assert np.abs(partials[pair].G - one.G).max() < near * scale
    assert pdf.dG is None
    assert pdf.instrument.qmax == qmax
    assert pdf.instrument.probe == probe


def test_atoms_at_rest_are_sinc_peaks() -> None:
    """Zero width: what a grid widens is taken back in Q."""
    a, qmax, r = 3.0, 22.0, np.arange(1.0, 6.0, 0.02)
    atoms = ase.Atoms("Ni", cell=[a] * 3, pbc=True).repeat(3)
    with pytest.warns(PdfkitWarning, match=HALF):
        pdf = pk.read_trajectory([atoms]).pdf(1, 40, 0.02, probe="N", qmax=qmax, qdamp=0.15)
    n = np.array(list(np.ndindex(*(41,) * 3))) - 20
    d = a * np.sqrt((n**2).sum(axis=1))
    d = d[(d > 0.1) & (d < 55)]
    fine = 0.005 * np.arange(1, 12_000)
    base = 4 * np.pi * fine / a**3 * np.exp(-0.5 * (0.15 * fine) ** 2)

    def cut(x: Any) -> Any:
        return np.sinc(qmax * x / np.pi) * qmax / np.pi

    weight = np.exp(-0.5 * (0.15 * d) ** 2) / d
    G = np.array(
        [((cut(x - d) - cut(x + d)) * weight).sum() - 0.005 * ((cut(x - fine) - cut(x + fine)) * base).sum() for x in r]
    )
    assert np.abs(pdf.G[: r.size] - G).max() < 2e-6 * np.abs(G).max()


def test_a_hot_crystal_is_one_with_that_displacement() -> None:
    """Many frames of independent displacements, against Uiso = σ²; the baseline takes the mean density."""
    found = pk.read_trajectory(run(24, 4, 0.1)).pdf(1.5, 10, 0.05, qmax=18, probe="N")
    crystal = pk.Crystal.from_file("NaCl", name="c").with_values({"Na.Uiso": 0.01, "Cl.Uiso": 0.01})
    wanted = pk.Model(crystal, pk.Instrument("N", qmax=18))(found.r)
    assert found.dG is not None
    chi = (found.G - wanted.G) / np.hypot(found.dG, 4e-3 * np.abs(wanted.G).max())
    assert np.abs(chi).max() < 5
    assert np.sqrt((chi**2).mean()) < 1.5


# --- errors ----------------------------------------------------------------------------------------------------------


def correlated(frames: int, tau: float, seed: int = 0, shells: int = 40) -> Averaging:
    """Return averages of numbers that remember each other over tau frames; of variance 1 about 100."""
    rng, keep = np.random.default_rng(seed), np.exp(-1 / tau) if tau else 0.0
    x, averaging = rng.normal(size=shells), Averaging(16, 0.1)
    for _ in range(frames):
        x = keep * x + np.sqrt(1 - keep**2) * rng.normal(size=shells)
        sums = np.zeros((1, shells, 3))
        sums[0, :, 0] = 100 + x
        averaging.add(sums, 1.0)
    return averaging


@pytest.mark.parametrize("tau", [0.0, 5.0, 20.0])
def test_errors_are_those_of_frames_that_remember(tau: float) -> None:
    """An exponential memory leaves frames/((1 + ρ)/(1 − ρ)) independent ones."""
    keep = np.exp(-1 / tau) if tau else 0.0
    slow = (1 + keep) / (1 - keep)
    found = [correlated(4000, tau, seed).result for seed in range(4)]
    assert np.mean([one.frames / one.independent for one in found]) == pytest.approx(slow, rel=0.35)
    errors = [one.errors(one.blocks[:, 0, :, 0], 0.1) for one in found]
    assert np.mean(errors) == pytest.approx(np.sqrt(slow / 4000), rel=0.2)
    off = np.array([one.mean[0, :, 0] - 100 for one in found])
    assert np.sqrt((off**2).mean()) == pytest.approx(np.mean(errors), rel=0.25)
    assert all(16 <= len(one.blocks) < 32 for one in found)
    assert all(one.unsettled is None for one in found)


def test_a_run_that_is_too_short_says_so() -> None:
    short = correlated(64, 200.0).result
    assert short.unsettled is not None
    said = Counted(short, ("Ar",), np.array([1]), 4.0, 0.1, 9.0, (1.0, 1.0), ()).header["independent_frames"]
    assert said.startswith("at most as good as")
    assert correlated(1, 0.0).result.errors(np.zeros((1, 3)), 0.1) is None


@pytest.mark.parametrize(("frames", "tau"), [(20, 0.0), (20, 2.0), (200, 10.0), (200, 20.0)])
def test_errors_of_short_runs_are_right_by_ranges(frames: int, tau: float) -> None:
    """Near points remember, far ones do not: each has its own error, also where blocks are no longer than memories."""
    rng, keep = np.random.default_rng(5), np.exp(-1.0 / tau) if tau else 0.0
    said, off = [], []
    for _ in range(16):
        x = rng.normal(size=(frames, 60))
        for t in range(1, frames):
            x[t, :30] = keep * x[t - 1, :30] + np.sqrt(1.0 - keep**2) * x[t, :30]
        each = 8 if frames > 32 else 1
        k = frames // each
        blocks = x[: k * each].reshape(k, each, 60).mean(axis=1)
        none = np.zeros(0)
        made = Averages(frames, none, 1.0, np.zeros((k, 1, 1, 3)), none, each, 0.1, 0.0)
        said.append(made.errors(blocks, 0.1))
        off.append(x.mean(axis=0))
    for part in (slice(0, 20), slice(40, 60)):  # 320 values: their own scatter is 4 %
        stated, true = (np.sqrt(np.mean(np.square(one)[:, part])) for one in (said, off))
        assert stated == pytest.approx(true, rel=0.2)


def test_the_mean_takes_every_frame() -> None:
    """Blocks leave out what does not fill one; the mean does not."""
    averaging, all_ = Averaging(2, 0.1), np.random.default_rng(2).random((11, 1, 4, 3))
    for k, sums in enumerate(all_):
        averaging.add(sums, 1.0 + k)
    found = averaging.result
    np.testing.assert_allclose(found.mean, all_.mean(axis=0))
    assert found.density == pytest.approx(6.0)
    np.testing.assert_allclose(found.blocks, [all_[:4].mean(axis=0), all_[4:8].mean(axis=0)])
    assert (found.frames, found.each) == (11, 4)


# --- files -----------------------------------------------------------------------------------------------------------


def lammps(path: Path, frames: list[ase.Atoms], columns: str = "id type xs ys zs") -> Path:
    lines = []
    for step, atoms in enumerate(frames):
        lengths, low = atoms.cell.lengths(), np.array([-3.0, 1.0, 0.5])
        xyz = atoms.get_scaled_positions(wrap=False) if "xs" in columns else atoms.positions + low
        lines += ["ITEM: TIMESTEP", f"{step}", "ITEM: NUMBER OF ATOMS", f"{len(atoms)}", "ITEM: BOX BOUNDS pp pp pp"]
        lines += [f"{a} {a + b}" for a, b in zip(low, lengths, strict=True)]
        lines.append(f"ITEM: ATOMS {columns}")
        for k, (symbol, row) in enumerate(zip(atoms.get_chemical_symbols(), xyz, strict=True)):
            name = symbol if "element" in columns else {"Na": 1, "Cl": 2}[symbol]
            lines.append(f"{k + 1} {name} {row[0]:.12f} {row[1]:.12f} {row[2]:.12f}")
    path.write_text("\n".join(lines) + "\n")
    return path


def written(folder: Path, kind: str, frames: list[ase.Atoms]) -> tuple[Any, dict[str, Any]]:
    """Return a file of that kind with the frames, and what else its reader needs."""
    if kind == "lammps":
        return lammps(folder / "dump.run", frames), {"species": {"1": "Na", "2": "Cl"}}
    if kind == "elements":
        return lammps(folder / "run.lammpstrj", frames, "id element xu yu zu"), {}
    if kind == "two files":
        for name, part in (("a", frames[:2]), ("b", frames[2:])):
            ase.io.write(folder / f"{name}.xyz", part)
        return [folder / "a.xyz", str(folder / "b.xyz")], {}
    if kind in ("gz", "bz2", "xz"):
        ase.io.write(folder / "run.xyz", frames)
        packed = {"gz": gzip, "bz2": bz2, "xz": lzma}[kind].compress((folder / "run.xyz").read_bytes())
        (folder / f"run.xyz.{kind}").write_bytes(packed)
        return folder / f"run.xyz.{kind}", {}
    name = {"xyz": "run.xyz", "traj": "run.traj", "xdatcar": "XDATCAR", "named": "run.vasp"}[kind]
    formats = {"xdatcar": "vasp-xdatcar", "named": "vasp-xdatcar", "xyz": "extxyz"}
    ase.io.write(folder / name, frames, format=formats.get(kind))
    return folder / name, {}


@pytest.mark.parametrize(
    "kind", ["xyz", "traj", "xdatcar", "named", "lammps", "elements", "two files", "gz", "bz2", "xz"]
)
def test_every_format_gives_the_same_curve(kind: str, frames: list[ase.Atoms], known: pk.PDF, tmp_path: Path) -> None:
    path, options = written(tmp_path, kind, frames)
    found = pk.read_trajectory(path, **options).pdf(rmax=10, qmax=20, rstep=0.05)
    np.testing.assert_allclose(found.G, known.G, atol=1e-5 * known.G.max())
    np.testing.assert_allclose(found.dG, known.dG, rtol=1e-3, atol=1e-6)
    assert found.header["frames"] == "6"
    assert known.header["rho0"].startswith("0.0444")


def test_a_triclinic_box_of_lammps(tmp_path: Path) -> None:
    """Bounds are those of the box around the tilted cell."""
    cell = np.array([[6.0, 0, 0], [1.5, 7.0, 0], [-2.0, 2.5, 8.0]])
    atoms = ase.Atoms("Ar2", scaled_positions=[[0.1, 0.2, 0.3], [0.6, 0.7, 0.9]], cell=cell, pbc=True)
    bounds = [(-2.0, 6 + 1.5, 1.5), (0, 7 + 2.5, -2.0), (0, 8, 2.5)]
    head = "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS xy xz yz pp pp pp\n"
    rows = "".join(f"{low} {high} {tilt}\n" for low, high, tilt in bounds)
    atoms_ = "".join(f"{s} {x} {y} {z}\n" for s, (x, y, z) in zip("AB", atoms.positions.tolist(), strict=True))
    (tmp_path / "t.lammpstrj").write_text(head + rows + "ITEM: ATOMS type x y z\n" + atoms_)
    found = pk.read_trajectory(tmp_path / "t.lammpstrj", species={"A": "Ar", "B": "Ar"}).rdf(2.8, 0.1)
    wanted = pk.read_trajectory([atoms]).rdf(2.8, 0.1)
    np.testing.assert_array_equal(found.g["Ar", "Ar"], wanted.g["Ar", "Ar"])


def test_a_structure_file_is_one_frame(tmp_path: Path) -> None:
    pk.write_cif(tmp_path / "box.cif", pk.load_structure("NaCl").supercell((4, 4, 4)))
    with pytest.warns(PdfkitWarning, match=r"box.cif: displacements \(U, B\) in the file play no part"):
        found = pk.read_trajectory(tmp_path / "box.cif").pdf(rmax=8, qmax=20, Uiso=0.01)
    assert found.header["atoms"] == "Cl256 Na256"
    assert found.dG is None


def test_models_of_a_pdb_file_are_frames(frames: list[ase.Atoms], tmp_path: Path) -> None:
    """Each in its own cell; one without its end is left out, and what else a file says of its boxes is kept."""
    path = tmp_path / "run.pdb"
    ase.io.write(path, frames[:3])
    found = pk.read_trajectory(path).pdf(rmax=6, qmax=20)
    assert found.header["frames"] == "3"
    assert " to " in found.header["volume"]
    wanted = pk.read_trajectory(frames[:3]).pdf(rmax=6, qmax=20)
    np.testing.assert_allclose(found.G, wanted.G, atol=2e-3 * wanted.G.max())  # three digits
    os.truncate(path, path.stat().st_size - 400)
    with pytest.warns(PdfkitWarning, match="ends within frame 3"):
        assert pk.read_trajectory(path).pdf(rmax=6, qmax=20).header["frames"] == "2"
    ase.io.write(tmp_path / "two.cif", frames[:2])
    with pytest.warns(PdfkitWarning, match=r"two.cif: the file has 2 blocks with atoms"):
        pk.read_trajectory(tmp_path / "two.cif").rdf(rmax=5.0)


def test_models_of_a_pdb_file_without_a_cell(frames: list[ase.Atoms], tmp_path: Path) -> None:
    """Programs end models with END alone, too: atoms of one frame are not those of the next."""
    path, cell = tmp_path / "run.pdb", frames[0].cell[:]
    bare = [ase.Atoms(one.symbols, positions=one.positions) for one in frames[:2]]
    ase.io.write(path, bare)
    plain = path.read_text()
    with pytest.raises(StructureError, match=r"frame 1, has no cell: give cell="):
        pk.read_trajectory(path).rdf(rmax=5.0)
    found = pk.read_trajectory(path, cell=cell).rdf(rmax=5.0)
    assert found.density["Na"] == pytest.approx(256 / frames[0].cell.volume)
    path.write_text("".join(row for row in plain.replace("ENDMDL", "END").splitlines(True) if row[:5] != "MODEL"))
    again = pk.read_trajectory(path, cell=cell).rdf(rmax=5.0)
    np.testing.assert_array_equal(again.g["Cl", "Na"], found.g["Cl", "Na"])


def test_data_files_of_lammps(frames: list[ase.Atoms], tmp_path: Path) -> None:
    """Numbers of types are told by masses, and a trajectory is no structure."""
    path = tmp_path / "data.salt"
    ase.io.write(path, frames[0], format="lammps-data", masses=True, atom_style="charge")
    found = pk.read_trajectory(path).rdf(rmax=5.0)
    np.testing.assert_allclose(found.g["Cl", "Na"], pk.read_trajectory(frames[:1]).rdf(rmax=5.0).g["Cl", "Na"])
    text = path.read_text()
    for old, new, match in (
        ("22.98", "14.027 # N", "type 2 has the mass 14.027 u, which is not that of one element"),
        ("Masses", "Pair Coeffs", "type 1 has no mass"),
        ("512 atoms", "5120000 atoms", "line 3: 5120000 atoms are announced"),
        ("\n", ", units = lj\n", "line 1: units 'lj' are not Å"),
    ):
        assert old in text
        path.write_text(re.sub(rf"{old}\d*", new, text, count=1))
        with pytest.raises(ReadError, match=match):
            pk.read_structure(path)
    for kind in ("named", "lammps"):
        with pytest.raises(ReadError, match="this is a trajectory"):
            pk.read_structure(written(tmp_path, kind, frames[:1])[0])


@pytest.mark.parametrize(
    ("comment", "refused"),
    [
        ("pbc=F", "not periodic along a, b, c"),
        ("units=bohr", "'units=bohr', and an xyz file is in Å"),
        ("positions{atomic_unit} cell{atomic_unit}", "'positions{atomic_unit', and an xyz file is in Å"),
        ('pbc=T primitive-lattice="1 0 0 0 1 0 0 0 1"', ""),
    ],
)
def test_what_a_comment_says(comment: str, refused: str, frames: list[ase.Atoms], tmp_path: Path) -> None:
    path = tmp_path / "run.xyz"
    ase.io.write(path, frames[:1], format="extxyz")
    count, said, *rows = path.read_text().split("\n")
    said = said.replace('pbc="T T T"', "")
    path.write_text("\n".join([count, f"{comment} {said}", *rows]))
    if refused:
        with pytest.raises(PdfkitError, match=refused):
            pk.read_trajectory(path).rdf(rmax=5.0)
    else:
        assert pk.read_trajectory(path).rdf(rmax=5.0).density["Na"] == pytest.approx(256 / frames[0].cell.volume)


def test_heads_of_xdatcar(frames: list[ase.Atoms], known: pk.PDF, tmp_path: Path) -> None:
    """Names of pseudopotentials, and a title that begins as a configuration does."""
    path, _ = written(tmp_path, "xdatcar", frames)
    text = path.read_text()
    path.write_text(
        text.replace(text.partition("\n")[0], "direct gap").replace("Na", "Na_pv/1a2b").replace("Cl", "Cl_h")
    )
    found = pk.read_trajectory(path).pdf(rmax=10, qmax=20, rstep=0.05)
    np.testing.assert_allclose(found.G, known.G, atol=1e-5 * known.G.max())


def test_frames_are_chosen_as_in_a_slice(frames: list[ase.Atoms], tmp_path: Path) -> None:
    ase.io.write(tmp_path / "run.xyz", frames)
    some = pk.read_trajectory(tmp_path / "run.xyz", start=1, stop=6, step=2)
    assert [round(box.volume, 6) for box, _ in some.boxes()] == [round(frames[k].cell.volume, 6) for k in (1, 3, 5)]
    with pytest.raises(ReadError, match="no frame from 9 on"):
        pk.read_trajectory(tmp_path / "run.xyz", start=9).pdf(qmax=20)


def test_topologies_are_read_by_mdanalysis(frames: list[ase.Atoms], known: pk.PDF, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mda = pytest.importorskip("MDAnalysis")
        universe = mda.Universe.empty(len(frames[0]), trajectory=True)
        universe.add_TopologyAttr("elements", frames[0].get_chemical_symbols())
        universe.add_TopologyAttr("types", ["A" if s == "Na" else "B" for s in frames[0].get_chemical_symbols()])
        with mda.Writer(str(tmp_path / "run.dcd"), len(frames[0])) as out:
            for atoms in frames:
                universe.atoms.positions = atoms.positions
                universe.dimensions = [*atoms.cell.lengths(), *atoms.cell.angles()]
                out.write(universe.atoms)
        universe.atoms.write(str(tmp_path / "top.pdb"))
    found = pk.read_trajectory(tmp_path / "run.dcd", topology=tmp_path / "top.pdb").pdf(rmax=10, qmax=20, rstep=0.05)
    np.testing.assert_allclose(found.G, known.G, atol=1e-3 * known.G.max())  # single precision
    with pytest.raises(ReadError, match="topology="):
        pk.read_trajectory(tmp_path / "run.dcd")


def test_names_of_atoms_are_not_guessed(tmp_path: Path) -> None:
    """CA is carbon in alanine, calcium by itself, and anything in what is not known."""
    mda = pytest.importorskip("MDAnalysis")
    rows = [("ALA", "CA", 0.1), ("CA", "CA", 0.5), ("SOL", "OW", 0.9), ("LIG", "CA", 1.3)]

    def topology(count: int) -> Path:
        atoms = [f"{k:5d}{r:<5s}{n:>5s}{k:5d}{x:8.3f}{x:8.3f}{x:8.3f}" for k, (r, n, x) in enumerate(rows[:count], 1)]
        (tmp_path / "box.gro").write_text("\n".join(["box", f"{count}", *atoms, "   1.6 1.6 1.6", ""]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            universe = mda.Universe(str(tmp_path / "box.gro"))
            universe.atoms.write(str(tmp_path / "run.xtc"))
        return tmp_path / "box.gro"

    found = pk.read_trajectory(tmp_path / "run.xtc", topology=topology(3)).rdf(rmax=5.0)
    assert list(found.density) == ["C", "Ca", "O"]
    given = {"topology": topology(4)}
    with pytest.raises(PdfkitError, match="'CA of LIG' may be Ca or an atom of C"):
        pk.read_trajectory(tmp_path / "run.xtc", **given).rdf(rmax=5.0)
    found = pk.read_trajectory(tmp_path / "run.xtc", species={"CA of LIG": "C"}, **given).rdf(rmax=5.0)
    assert found.density["C"] == pytest.approx(2 / 16**3)


def test_types_of_force_fields_are_not_elements(tmp_path: Path) -> None:
    psf = "PSF\n\n 1 !NTITLE\n REMARKS\n\n 2 !NATOM\n"
    psf += "".join(f"{k:8d} A 1 LIG C{k} CA 0.0 12.011 0\n" for k in (1, 2)) + "\n 0 !NBOND: bonds\n"
    (tmp_path / "top.psf").write_text(psf)
    mda = pytest.importorskip("MDAnalysis")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = mda.Universe(
            str(tmp_path / "top.psf"), np.array([[[0.0] * 3, [1.4] * 3]]), dimensions=[8.0] * 3 + [90.0] * 3
        )
        universe.atoms.write(str(tmp_path / "run.xtc"))
    with pytest.raises(PdfkitError, match=r"types \(CA\) that may be of several"):
        pk.read_trajectory(tmp_path / "run.xtc", topology=tmp_path / "top.psf").rdf(rmax=5.0)
    found = pk.read_trajectory(tmp_path / "run.xtc", topology=tmp_path / "top.psf", species={"CA": "C"}).rdf(rmax=3.0)
    assert found.density["C"] == pytest.approx(2 / 512)


# --- what runs bring -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["xyz", "xdatcar", "elements"])
@pytest.mark.parametrize("part", [0.9, 0.995, 0.9999])
def test_a_frame_that_was_cut_off_is_left_out(kind: str, part: float, frames: list[ase.Atoms], tmp_path: Path) -> None:
    path, options = written(tmp_path, kind, frames)
    os.truncate(path, int(part * path.stat().st_size))
    with pytest.warns(PdfkitWarning, match="ends within frame 6, as of a run that was stopped: the 5 before are used"):
        found = pk.read_trajectory(path, **options).pdf(rmax=6, qmax=20)
    assert found.header["frames"] == "5"
    assert "stopped" in found.remarks[0]


def test_steps_that_come_twice_are_said(frames: list[ase.Atoms], tmp_path: Path) -> None:
    path = lammps(tmp_path / "run.lammpstrj", [*frames[:2], frames[1]], "id element x y z")
    path.write_text(path.read_text().replace("TIMESTEP\n2", "TIMESTEP\n1"))
    with pytest.warns(PdfkitWarning, match=r"run.lammpstrj: steps do not only go up \(1 follows 1\)"):
        pk.read_trajectory(path).rdf(rmax=5.0)


def test_nothing_but_a_cut_frame(frames: list[ase.Atoms], tmp_path: Path) -> None:
    path, _ = written(tmp_path, "xyz", frames[:1])
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ReadError, match="there is no whole frame"):
        pk.read_trajectory(path).pdf(qmax=20)
    (tmp_path / "none.xyz").write_text("")
    with pytest.raises(ReadError, match="the file is empty"):
        pk.read_trajectory(tmp_path / "none.xyz")
    with pytest.raises(ReadError, match=r"no such file: the nearest name there is none\.xyz"):
        pk.read_trajectory(tmp_path / "nome.xyz")


def test_damage_in_the_middle_is_refused_with_its_line(frames: list[ase.Atoms], tmp_path: Path) -> None:
    path, _ = written(tmp_path, "xyz", frames)
    lines = path.read_text().splitlines(keepends=True)
    lines[700] = "Na 1.0 two 3.0\n"
    path.write_text("".join(lines))
    with pytest.raises(ReadError, match=r"line 701: .Na 1\.0 two 3\.0. is not an atom"):
        pk.read_trajectory(path).pdf(qmax=20)


def test_types_are_not_taken_for_elements(frames: list[ase.Atoms], tmp_path: Path) -> None:
    path = lammps(tmp_path / "dump.run", frames[:1])
    with pytest.raises(PdfkitError, match=r"numbers of types \(1, 2\) and no elements"):
        pk.read_trajectory(path).pdf(qmax=20)
    with pytest.raises(PdfkitError, match=r"numbers of types \(2\)"):
        pk.read_trajectory(path, species={"1": "Na"}).pdf(qmax=20)
    ions = pk.read_trajectory(path, species={"1": "Na1+", "2": "Cl1-"}).pdf(rmax=8, qmax=20)
    plain = pk.read_trajectory(path, species={"1": "Na", "2": "Cl"}).pdf(rmax=8, qmax=20)
    assert 1e-4 < np.abs(ions.G - plain.G).max() / plain.G.max() < 0.1


def test_sites_without_mass_are_left_out(frames: list[ase.Atoms], known: pk.PDF) -> None:
    more = []
    for atoms in frames:
        more.append(atoms.copy())
        more[-1].extend(ase.Atoms("X4", positions=atoms.positions[:4] + 0.1))
    with pytest.raises(StructureError, match=r"frame 1: two atoms are 0.17 Å apart"):
        pk.read_trajectory(more, species={"X": "He"}).pdf(rmax=10, qmax=20)
    found = pk.read_trajectory(more, species={"X": ""}).pdf(rmax=10, qmax=20, rstep=0.05)
    np.testing.assert_array_equal(found.G, known.G)


def test_what_is_left_out_or_empty_without_being_asked_for_is_said(frames: list[ase.Atoms]) -> None:
    dummies, slab = frames[0].copy(), frames[0].copy()
    dummies.symbols[dummies.symbols == "Na"] = "X"
    with pytest.warns(pk.PdfkitWarning, match=r"frames: 256 X are vacancies by their name and left out"):
        pk.read_trajectory([dummies]).rdf(rmax=5.0)
    with pytest.warns(pk.PdfkitWarning, match=r"species= names na, but no atom is called that: the names are Na, Cl"):
        pk.read_trajectory([frames[0]], species={"na": "D"}).rdf(rmax=5.0)
    slab.center(vacuum=8.0, axis=2)
    with pytest.warns(pk.PdfkitWarning, match=r"empty over 1\d\.?\d* Å along c"):
        pk.read_trajectory([slab]).rdf(rmax=5.0)


@pytest.mark.parametrize("pack", [gzip, bz2, lzma])
def test_archives_that_end_too_early_keep_whole_frames(pack: Any, frames: list[ase.Atoms], tmp_path: Path) -> None:
    ase.io.write(tmp_path / "run.xyz", frames[:4], format="extxyz")
    data = (tmp_path / "run.xyz").read_bytes()
    parts = [pack.compress(part) for part in (data[: len(data) // 2], data[len(data) // 2 :])]
    path = tmp_path / f"run.xyz.{ {gzip: 'gz', bz2: 'bz2', lzma: 'xz'}[pack] }"
    path.write_bytes(parts[0] + parts[1][: len(parts[1]) // 2])
    with pytest.warns(pk.PdfkitWarning, match="ends within frame"):
        assert pk.read_trajectory(path).pdf(rmax=5, qmax=20).header["frames"] in ("2", "3")


def test_a_packed_traj_is_refused(frames: list[ase.Atoms], tmp_path: Path) -> None:
    (tmp_path / "run.traj.gz").write_bytes(gzip.compress(b"anything"))
    with pytest.raises(pk.PdfkitError, match="unpack it first"):
        pk.read_trajectory(tmp_path / "run.traj.gz")


@pytest.mark.parametrize(
    ("change", "text"),
    [(lambda data: data[:800] + bytes(50) + data[850:], "compressed data are damaged"), (lambda data: b"1" + data, "")],
)
def test_damaged_archives_are_refused(change: Any, text: str, frames: list[ase.Atoms], tmp_path: Path) -> None:
    path = tmp_path / "run.xyz.gz"
    ase.io.write(path, frames[:1], format="extxyz")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(pk.PdfkitError, match=text or "cannot be read"):
        pk.read_trajectory(path).rdf(rmax=5.0)


def test_a_mark_of_unicode_is_no_text(frames: list[ase.Atoms], tmp_path: Path) -> None:
    path = tmp_path / "run.xyz"
    ase.io.write(path, frames[:1], format="extxyz")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert pk.read_trajectory(path).rdf(rmax=5.0).neighbours("Na", "Cl", 3.4) > 5.0


def test_frames_of_other_atoms_are_refused(frames: list[ase.Atoms]) -> None:
    with pytest.raises(StructureError, match="frame 2 has the atoms Cl256 Na255, and the first Cl256 Na256"):
        pk.read_trajectory([frames[0], frames[1][1:]]).pdf(qmax=20, rmax=6)
    shuffled = [frames[0], frames[1][np.random.default_rng(0).permutation(len(frames[1]))]]
    G = [pk.read_trajectory(some).pdf(rmax=6, qmax=20).G for some in (frames[:2], shuffled)]
    np.testing.assert_allclose(*G, atol=1e-9)


def test_what_is_not_periodic_is_refused(frames: list[ase.Atoms], tmp_path: Path) -> None:
    slab = frames[0].copy()
    slab.pbc = (True, True, False)
    with pytest.raises(StructureError, match="not periodic along c"):
        pk.read_trajectory([slab]).pdf(qmax=20)
    given = pk.read_trajectory([slab], pbc=True).pdf(rmax=6, qmax=20)
    ase.io.write(tmp_path / "plain.xyz", frames[0], format="xyz")
    with pytest.raises(StructureError, match="has no cell"):
        pk.read_trajectory(tmp_path / "plain.xyz").pdf(qmax=20)
    plain = pk.read_trajectory(tmp_path / "plain.xyz", cell=frames[0].cell.lengths()).pdf(rmax=6, qmax=20)
    np.testing.assert_allclose(plain.G, given.G, atol=1e-5)
    with pytest.warns(PdfkitWarning, match=r"frames: cell= \(15625 Å³\) counts before the cells of the frames"):
        pk.read_trajectory([slab], cell=25.0).rdf(rmax=5.0)


def test_positions_in_nm_are_noticed() -> None:
    small = run(1, 2)[0]
    small.set_cell(small.cell * 0.1, scale_atoms=True)
    with pytest.raises(StructureError, match=r"in Å \(neither nm nor fractions\)"):
        pk.read_trajectory([small]).pdf(qmax=20, rmax=2)


def test_options_that_make_no_sense(frames: list[ase.Atoms]) -> None:
    one = pk.read_trajectory(frames[:1])
    with pytest.raises(PdfkitError, match="give qmax="):
        one.pdf(qmax=np.inf)
    with pytest.warns(PdfkitWarning, match="qmax was not given: 25"):
        assert one.pdf(rmax=6).instrument.qmax == 25
    with pytest.raises(PdfkitError, match="Uiso is given for 'Cd'"):
        one.pdf(qmax=20, Uiso={"Cd": 0.1})
    with pytest.raises(PdfkitError, match="step"):
        pk.read_trajectory(frames, step=0)
    with pytest.raises(PdfkitError, match=r"neither a file nor ase\.Atoms"):
        pk.read_trajectory([3])
    with pytest.raises(PdfkitError, match="cell has neither"):
        pk.read_trajectory(frames, cell=[1, 2])
    with pytest.warns(PdfkitWarning, match="give resolution"):
        one.pdf(rmax=8, qmax=20, qbroad=0.02)


def test_memory_does_not_grow_with_the_frames(tmp_path: Path) -> None:
    """Eight times the frames, in as many blocks: not one frame is kept."""
    text = []
    for atoms in run(10, 1, 0.05, name="Ni"):
        ase.io.write(tmp_path / "one.xyz", atoms)
        text.append((tmp_path / "one.xyz").read_text())
    peaks = []
    for times in (6, 48):
        (tmp_path / "run.xyz").write_text("".join(text) * times)
        trajectory = pk.read_trajectory(tmp_path / "run.xyz")
        tracemalloc.start()
        trajectory.rdf(1.7, 0.1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000


def test_frames_that_are_the_same_have_no_errors(frames: list[ase.Atoms]) -> None:
    with pytest.warns(pk.PdfkitWarning, match="all 3 frames are the same"):
        assert pk.read_trajectory([frames[0]] * 3).pdf(rmax=4, qmax=20, Uiso=0.01).dG is None


def test_positions_in_bohr_are_noticed() -> None:
    box = pk.load_structure("NaCl").to_ase().repeat(3)
    box.set_cell(box.cell[:] / 0.529177, scale_atoms=True)
    with pytest.warns(pk.PdfkitWarning, match="Cl and Na, are 5.33 Å apart, 2 times the length of a bond: .* in Bohr"):
        pk.read_trajectory([box]).pdf(rmax=6, qmax=20, Uiso=0.01)


# --- g(r), beside other programs -------------------------------------------------------------------------------------


def liquid(count: int = 600, length: float = 24.0) -> ase.Atoms:
    """Return atoms at random, none nearer than 1 Å."""
    rng, xyz = np.random.default_rng(5), np.zeros((0, 3))
    while len(xyz) < count:
        new = rng.random(3) * length
        off = (xyz - new + length / 2) % length - length / 2
        if not len(xyz) or (np.linalg.norm(off, axis=1) > 1.0).all():
            xyz = np.vstack([xyz, new])
    return ase.Atoms(["Na"] * (count // 3) + ["Cl"] * (count - count // 3), positions=xyz, cell=[length] * 3, pbc=True)


def test_rdf_of_a_crystal_counts_neighbours() -> None:
    rdf = pk.read_trajectory([pk.load_structure("CdS_zincblende").to_ase().repeat(4)]).rdf(11, 0.1)
    assert rdf.neighbours("Cd", "S", 3.0) == pytest.approx(4)
    assert rdf.neighbours("S", "S", 4.5) == pytest.approx(12)
    assert rdf.density["Cd"] == pytest.approx(4 / 5.832**3, rel=1e-3)
    assert rdf.dg is None
    with pytest.raises(PdfkitError, match="there is no Se"):
        rdf.neighbours("Cd", "Se", 3.0)


def test_rdf_is_that_of_freud() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        freud = pytest.importorskip("freud")
    atoms = liquid()
    rdf = pk.read_trajectory([atoms]).rdf(11.5, 0.05)
    points = (atoms.positions - 12.0).astype(np.float32)
    box, theirs = freud.box.Box.cube(24.0), freud.density.RDF(bins=230, r_max=11.5)
    kinds = {"Na": points[:200], "Cl": points[200:]}
    for a, b in (("Cl", "Na"), ("Na", "Na"), ("Cl", "Cl")):
        theirs.compute((box, kinds[a]), query_points=None if a == b else kinds[b], reset=True)
        # A few distances, of single precision there, are at the other side of an edge.
        volumes = 4 / 3 * np.pi * np.diff(rdf.edges**3) * rdf.density[a] * len(kinds[b])
        assert np.abs(np.cumsum((theirs.rdf - rdf.g[a, b]) * volumes))[20:].max() < 6
        assert np.isclose(theirs.rdf, rdf.g[a, b], atol=2e-3).mean() > 0.97


def test_rdf_is_that_of_mdanalysis() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mda = pytest.importorskip("MDAnalysis")
        from MDAnalysis.analysis.rdf import InterRDF

        atoms = liquid()
        universe = mda.Universe.empty(len(atoms), trajectory=True)
        universe.atoms.positions, universe.dimensions = atoms.positions, [24.0] * 3 + [90.0] * 3
        one = InterRDF(universe.atoms[:200], universe.atoms[200:], nbins=230, range=(0.0, 11.5)).run()
    rdf = pk.read_trajectory([atoms]).rdf(11.5, 0.05)
    np.testing.assert_allclose(one.results.edges, rdf.edges, atol=1e-12)
    assert np.isclose(one.results.rdf, rdf.g["Cl", "Na"], atol=2e-3).mean() > 0.97
    assert one.results.rdf[20:].mean() == pytest.approx(rdf.g["Cl", "Na"][20:].mean(), abs=1e-4)


def test_errors_cover_what_other_runs_give() -> None:
    """G(r) of ten short runs scatters by what each of them says."""
    about = {"rmin": 2.0, "rmax": 6.0, "rstep": 0.1, "qmax": 18.0}
    runs = [pk.read_trajectory(run(8, 3, 0.12, seed)).pdf(**about) for seed in range(10)]
    spread = np.array([one.G for one in runs]).std(axis=0, ddof=1)
    said = np.mean([one.dG for one in runs], axis=0)
    assert np.sqrt((spread**2).mean()) == pytest.approx(np.sqrt((said**2).mean()), rel=0.25)


def test_bins_lose_nothing() -> None:
    """G(r) from bins is the sum over every pair, to third order in the width of a bin."""
    atoms, r = liquid(60, 12.0), np.arange(1.0, 5.0, 0.05)
    box = Box(np.array(atoms.cell[:]), atoms.positions, np.zeros(60, dtype=np.int64))
    made = Curves(r, ("Ar",), pk.Instrument("N", qmax=25.0), np.zeros(1), {})
    curves = []
    for width in (0.005, 0.0005):
        sums = box_pairs(box, 1, made.reach, width)
        curves.append(made.of([Bins(sums, width, np.array([60]), 60 / box.volume)])[0, 0])
    assert np.abs(curves[0] - curves[1]).max() < 1e-5 * np.abs(curves[1]).max()
