"""Clusters on the command line: what each command writes, and one line for what it cannot use."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule

import pdfkit as pk
from pdfkit.cli import app


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in this process (as one of its own: test_cli); what it changes of the process is put back."""
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr("sys.argv", ["pdfkit", *arguments])
        patch.setenv("COLUMNS", "200")
        patch.setenv("NO_COLOR", "1")
        patch.chdir(folder)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
            app.main()
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return subprocess.CompletedProcess(list(arguments), int(end.value.code or 0), out.getvalue(), err.getvalue())


def fails(*arguments: str, folder: Path) -> str:
    done = run(*arguments, folder=folder)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    return last


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tetrahedra, and a simulated measurement of the second."""
    out = tmp_path_factory.mktemp("clusters")
    (out / "candidates").mkdir()
    for n in (3, 4, 5):
        done = run("build", "tetrahedron", "CdS_zincblende", str(n), "-o", f"candidates/T{n}.xyz", folder=out)
        assert done.returncode == 0, done.stderr
    options = "--qmin 0.8 --qmax 18 --qdamp 0.03 --rmin 1.5 --rmax 14 --noise 0.02 --set Uiso=0.015 -o t4.gr"
    done = run("simulate", "candidates/T4.xyz", *options.split(), folder=out)
    assert done.returncode == 0, done.stderr
    return out


def test_what_is_built_is_what_was_asked_for(folder: Path) -> None:
    assert [pk.Particle.from_file(folder / "candidates" / f"T{n}.xyz").formula for n in (3, 4, 5)] == [
        "Cd10S4",
        "Cd20S10",
        "Cd35S20",
    ]
    words = run("info", "candidates/T4.xyz", folder=folder).stdout
    assert "cluster" in words
    assert "Cd20S10, 30 atoms" in words


def test_a_recipe_fits_a_cluster_like_a_crystal(folder: Path) -> None:
    (folder / "fit.toml").write_text(
        'data = {file = "t4.gr"}\n'
        "fit = {free = ['scale', 'expansion', 'Uiso']}\n"
        '[[phase]]\nname = "c"\nstructure = "candidates/T4.xyz"\nsurface = true\nstart = {Uiso = 0.02}\n'
    )
    done = run("fit", "fit.toml", "--out", "out", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "c (Cd20 S10, cluster)" in done.stdout
    assert {p.name for p in (folder / "out").iterdir()} == {"report.txt", "fit.png", "columns.txt", "fit.h5", "c.xyz"}
    result = pk.load_result(folder / "out" / "fit.h5")
    assert result.params["c.Cd_surface.Uiso"].value == pytest.approx(0.015, abs=0.003)
    np.testing.assert_allclose(result.model(result.data.r).G, result.calc.G, atol=1e-12)
    refined = pk.Particle.from_file(folder / "out" / "c.xyz")
    ratio = refined.extent() / pk.Particle.from_file(folder / "candidates" / "T4.xyz").extent()
    assert ratio == pytest.approx(1 + result.params["c.expansion"].value, abs=1e-9)
    partials = run("partials", "fit.toml", "--out", "partials", folder=folder)
    assert partials.returncode == 0, partials.stderr


def test_a_screen_finds_the_true_one_and_lists_what_it_cannot_use(folder: Path) -> None:
    (folder / "candidates" / "one.xyz").write_text("1\nx\nCd 0 0 0\n")
    (folder / "candidates" / "over.xyz").write_text("2\nx\nCd 0 0 0\nS 0 0 0.1\n")
    done = run("screen", "t4.gr", "candidates", "--workers", "1", "-o", "screened", folder=folder)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if "Cd" in line and "S" in line]
    assert rows[0][:4] == ["1", "*", "T4", "Cd20S10"]
    assert "could not be computed: 2" in done.stdout
    assert "at least two" in done.stdout
    again = run("screen", "t4.gr", "candidates", "--workers", "1", "-o", "screened", folder=folder)
    assert again.stdout == done.stdout
    assert pk.Ranking.load(folder / "screened" / "ranking.h5").rows[0].name == "T4"
    told = run("info", "screened/ranking.h5", folder=folder)
    assert "ranking of candidates" in told.stdout
    assert "T4" in told.stdout
    drawn = run("plot", "screened/ranking.h5", "-o", "best.png", folder=folder)
    assert drawn.returncode == 0, drawn.stderr
    assert (folder / "best.png").stat().st_size > 1000


def test_a_screen_compares_with_patterns_as_well(folder: Path) -> None:
    for words in ("--saxs --qmin 0.03 --qmax 0.6", "--xrd --wavelength 0.71"):
        done = run("pattern", "candidates/T4.xyz", *words.split(), folder=folder)
        assert done.returncode == 0, done.stderr
    for name, smooth in (("T4-saxs.dat", 0), ("T4-xrd.dat", 2e5)):
        names, values, _ = pk.io.read_columns(folder / name)
        x, I = values[:, 0], values[:, -1] + smooth
        I = I * (1 + 0.01 * np.random.default_rng(1).standard_normal(I.size))
        pk.io.write_columns(folder / name.replace("T4", "seen"), [names[0], "I"], [x, I])
    beside = ("--saxs", "seen-saxs.dat", "--saxs-unit", "A-1", "--xrd", "seen-xrd.dat", "--wavelength", "0.71")
    done = run("screen", "t4.gr", "candidates", *beside, "--workers", "1", "-o", "with", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "χ² saxs" in done.stdout
    assert "χ² xrd" in done.stdout
    ranking = pk.Ranking.load(folder / "with" / "ranking.h5")
    assert ranking[0].name == "T4"
    assert "xrd.zero" in ranking[0].values
    told = run("info", "with/ranking.h5", folder=folder)
    assert "flat and Porod background" in told.stdout
    alone = run("screen", "t4.gr", "candidates", "--wavelength", "0.71", "-o", "without", folder=folder)
    assert "--wavelength is about a file that was not given" in alone.stderr


@pytest.mark.parametrize(
    ("options", "file", "head"),
    [
        (("--saxs",), "T4-saxs.dat", "Guinier"),
        (("--xrd", "--wavelength", "0.71"), "T4-xrd.dat", "30 atoms"),
        ((), "T4-waxs.dat", "30 atoms"),
    ],
)
def test_patterns_are_written(folder: Path, options: tuple[str, ...], file: str, head: str) -> None:
    done = run("pattern", "candidates/T4.xyz", *options, "--plot", folder=folder)
    assert done.returncode == 0, done.stderr
    assert head in done.stdout
    assert (folder / file).stat().st_size > 1000
    assert (folder / file).with_suffix(".png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("build sphere CdS_zincblende 0.5 --centre void", "make it larger"),
        ("build spere CdS_zincblende 20", "the nearest are sphere"),
        ("build sphere CdS_zincblende", "takes 1 sizes (diameter)"),
        ("build candidates Cd37", "Cd37"),
        ("pattern candidates/T4.xyz --xrd --wavelength 0", "--wavelength 0 is outside"),
        ("pattern nothing.xyz", "nothing.xyz: no such file"),
        ("simulate candidates/T4.xyz --spdiameter 20", "ends by itself"),
        ("screen t4.gr", "there are no candidates"),
        ("screen t4.gr empty", "there are no candidates in this folder"),
        ("screen t4.gr candidates --free Uisso --workers 1 -o bad", "Uisso"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder: Path, arguments: str, words: str) -> None:
    (folder / "empty").mkdir(exist_ok=True)
    assert words in fails(*arguments.split(), folder=folder)


def test_a_cluster_with_ligands_is_built_relaxed_and_looked_at(folder: Path) -> None:
    done = run("build", "tetrahedron", "CdSe_zincblende", "5", "--cap", "Cl", "-o", "worn.xyz", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "Cd35Cl30Se20" in done.stdout
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        done = run("relax", "worn.xyz", "--with", "classical", "--steps", "3", "-o", "rest.xyz", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "not at rest" in done.stdout
    assert (folder / "rest.xyz.journal").exists()
    done = run("relax", "worn.xyz", "--with", "classical", "-o", "rest.xyz", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    assert '"relaxed_converged": true' in done.stdout
    assert not (folder / "rest.xyz.journal").exists()
    whole = run("relax", "worn.xyz", "--with", "classical", "-o", "whole.xyz", folder=folder)
    assert whole.returncode == 0, whole.stderr
    np.testing.assert_array_equal(
        pk.Particle.from_file(folder / "rest.xyz").xyz, pk.Particle.from_file(folder / "whole.xyz").xyz
    )
    about = run("info", "rest.xyz", folder=folder).stdout
    assert "Cd35Se20" in about
    assert "30 Cl" in about
    assert "classical (Rabani 2002; Grünwald 2012): at rest" in about


def test_candidates_wear_ligands_and_refusals_are_one_line(folder: Path) -> None:
    done = run("build", "candidates", "Cd20Se10", "--limit", "1", "--cap", "formate", "-o", "worn", folder=folder)
    assert done.returncode == 0, done.stderr
    files = sorted((folder / "worn").glob("*.xyz"))
    assert files
    assert all(pk.Particle.from_file(file).meta["ligands"] == 20 for file in files)
    assert "nearest are" in fails("build", "candidates", "Cd20Se10", "--cap", "format", folder=folder)
    assert "does not know" in fails("relax", str(files[0]), "--with", "classical", folder=folder)
    assert "net charge" in fails("relax", "Cd56Se35_tetrahedron", "--with", "classical", folder=folder)


def test_build_cluster_caps_a_file_of_ones_own(tmp_path: Path) -> None:
    pk.io.write_xyz(tmp_path / "mine.xyz", pk.build.tetrahedron("CdSe_zincblende", 3))
    done = run("build", "cluster", "mine.xyz", "--cap", "Cl", "-o", "capped.xyz", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    particle = pk.Particle.from_file(tmp_path / "capped.xyz")
    assert (particle.core.formula, particle.meta["ligand"]) == ("Cd10Se4", "Cl")
    assert "wears ligands" not in done.stderr
    # A remark, which is an error where warnings are.
    said = fails("build", "cluster", "capped.xyz", "--cap", "formate", "-o", "other.xyz", folder=tmp_path)
    assert "capped.xyz wears ligands already: they are taken off, and Cd10Se4 gets formate" in said
    boxed = pk.build.tetrahedron("CdSe_zincblende", 3).to_ase()
    boxed.write(tmp_path / "free.mol")
    boxed.center(vacuum=8)
    boxed.pbc = True
    boxed.write(tmp_path / "boxed.cif")
    solvated = boxed + molecule("H2O")
    solvated.write(tmp_path / "solvated.cif")
    for name in ("boxed.cif", "free.mol"):
        assert run("build", "cluster", name, "--cap", "Cl", "-o", "other.xyz", folder=tmp_path).returncode == 0
        assert pk.Particle.from_file(tmp_path / "other.xyz").formula == particle.formula
    assert "cluster (a list of atoms without a cell)" in run("info", "free.mol", folder=tmp_path).stdout
    for arguments, words in (
        (["solvated.cif", "--cap", "Cl"], "2 pieces that are not bonded to each other"),
        (["mine.xyz"], "such as --cap acetate"),
        (["mine.xyz", "30", "--cap", "Cl"], "takes no sizes"),
        (["CdSe_zincblende", "--cap", "Cl"], "is a crystal without end, and ligands sit on a cluster"),
        (["mine.xyz", "--cap", "Cl", "--limit", "3"], "--family and --limit are of candidates"),
    ):
        wrong = run("build", "cluster", *arguments, folder=tmp_path)
        assert wrong.returncode == 2
        assert words in wrong.stderr


def test_build_candidates_says_how_far_it_is(tmp_path: Path) -> None:
    told: list[str] = []
    found = list(pk.build.iter_candidates("Cd10S4", families=["zincblende"], limit=1, progress=told.append))
    assert len(found) == 2
    assert told[0] == "searching Cd10S4 in stacks c"
    assert told[-1] == "searching Cd10S4 in stacks c with 2 cations more"
