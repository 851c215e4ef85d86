"""`pdfkit trajectory` from a file to files."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from typer.testing import CliRunner

import pdfkit as pk
from pdfkit.cli import app
from pdfkit.errors import PdfkitWarning

RUNNER = CliRunner()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng, perfect, frames = np.random.default_rng(0), pk.load_structure("NaCl").to_ase().repeat(4), []
    for _ in range(3):
        frames.append(perfect.copy())
        frames[-1].positions += rng.normal(scale=0.1, size=(len(perfect), 3))
    ase.io.write("run.xyz", frames)
    return tmp_path


def test_a_run_becomes_files(run: Path) -> None:
    done = RUNNER.invoke(
        app.app, ["trajectory", "run.xyz", "--qmax", "20", "--rmax", "10", "--rstep", "0.02", "--plot"]
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].startswith("3 frames, too few to know")
    assert "Cl256 Na256, 0.04456785 atoms/Å³" in done.stdout
    assert "errors dG from 3 blocks of 1 frame: at most" in done.stdout
    assert Path("run.png").stat().st_size > 5000
    pdf, wanted = pk.read_pdf("run.gr"), pk.read_trajectory("run.xyz").pdf(rmax=10, rstep=0.02, qmax=20)
    np.testing.assert_array_equal(pdf.G, wanted.G)
    np.testing.assert_array_equal(pdf.dG, wanted.dG)
    assert pdf.instrument.qmax == 20
    assert pdf.header["frames"] == "3"
    names, columns, _ = pk.io.read_columns("run-partials.txt")
    assert names == ("r", "G", "dG", "Cl-Cl", "dCl-Cl", "Cl-Na", "dCl-Na", "Na-Na", "dNa-Na")
    np.testing.assert_allclose(columns[:, 3::2].sum(axis=1), columns[:, 1], atol=1e-12)


def test_one_line_as_json(run: Path) -> None:
    words = ["trajectory", "run.xyz", "--start", "1", "--species", "Na=Na1+", "--rmax", "8", "-o", "s.gr", "--json"]
    with pytest.warns(PdfkitWarning, match="qmax was not given: 25"):
        done = RUNNER.invoke(app.app, words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["frames"], found["files"]) == ("2", ["s.gr", "s-partials.txt"])


def test_one_frame_has_no_errors(run: Path) -> None:
    words = ["trajectory", "run.xyz", "--stop", "1", "--rmax", "8", "--qmax", "20", "-o", "one.gr"]
    done = RUNNER.invoke(app.app, words)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == "1 frame"
    assert "no errors dG" in done.stdout
    assert pk.read_pdf("one.gr").dG is None


def test_what_cannot_be_is_said(run: Path) -> None:
    Path("run.dcd").write_bytes(b"CORD" * 20)
    for words, said in (
        ("run.xyz --cell 20,a", "--cell 20,a is not a list of numbers"),
        ("run.xyz --species Na", "--species Na is not NAME=SPECIES"),
        ("rum.xyz", "the nearest name there is run.xyz"),
        ("run.xyz -o run.xyz", "run.xyz"),
        ("run.dcd", "give the file of the topology as well"),
        ("run.xyz --start 7", "no frame from 7 on"),
    ):
        done = RUNNER.invoke(app.app, ["trajectory", *words.split()])
        assert said in str(done.exception), words
    assert sorted(one.name for one in run.iterdir()) == ["run.dcd", "run.xyz"]
