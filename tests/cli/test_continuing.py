"""`pdfkit fit` of a result, and `pdfkit compare` of several: a fit goes on, into a folder of its own."""

from __future__ import annotations

import json
from pathlib import Path

import forked
import numpy as np
import pytest
from typer.testing import CliRunner

import pdfkit as pk
from pdfkit.cli.app import app
from pdfkit.cli.continuing import unused
from pdfkit.errors import PdfkitError
from pdfkit.model import noise

LAB = pk.Instrument(probe="X", qmax=20.0, qdamp=0.04)
RUNNER = CliRunner()


def nickel(a: float, seed: int) -> pk.PDF:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), LAB).with_values({"ni.a": a})
    return noise.simulate(model, 1.0, 14.0, 0.02, 0.05, seed)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a fit in runs/ni: Ni to 8 of 14 Å, its U fixed."""
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), LAB)
    (tmp_path / "runs/ni").mkdir(parents=True)
    pk.fit(model, nickel(3.53, 1), rmin=1.5, rmax=8.0, free=["scale", "a"]).save(tmp_path / "runs/ni/fit.h5")
    pk.write_pdf(tmp_path / "warm.gr", nickel(3.54, 2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_result_goes_on(folder: Path) -> None:
    before = (folder / "runs/ni/fit.h5").read_bytes()
    done = forked.run("fit", "runs/ni/fit.h5", "--free", "+Uiso", "--rmax", "12", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "what changed" in done.stdout
    assert "different ranges, 1.5 to 8 Å and 1.5 to 12 Å" in " ".join(done.stdout.split())
    assert (folder / "runs/ni/fit.h5").read_bytes() == before
    again = pk.load_result(folder / "runs/ni-2/fit.h5")
    assert again.free == ("ni.scale", "ni.a", "ni.Ni.Uiso")
    assert again.data.r[-1] == pytest.approx(12.0)
    assert {file.name for file in (folder / "runs/ni-2").iterdir()} >= {"report.txt", "fit.png", "ni.cif"}


def test_words_data_and_folders(folder: Path) -> None:
    done = RUNNER.invoke(app, ["fit", "runs/ni/fit.h5", "--free", "-a", "--json"])
    assert done.exit_code == 0, done.exception
    told = json.loads(done.stdout)
    assert told["changes"]["rw_before"] == pk.load_result("runs/ni/fit.h5").rw
    assert told["changes"]["delta_bic"] > -5  # one parameter less, at its best value
    assert {Path(file).parent.name for file in told["files"]} == {"ni-2"}
    assert unused(Path("runs/ni/fit.h5")) == unused(Path("runs/ni-2/fit.h5")) == Path("runs/ni-3")
    assert unused(Path("runs/CdSe-4/fit.h5")) == Path("runs/CdSe-4-2")
    done = RUNNER.invoke(app, ["fit", "runs/ni/fit.h5", "warm.gr", "-o", "warm"])
    assert done.exit_code == 0, done.exception
    assert pk.load_result("warm/fit.h5").params["ni.a"].value == pytest.approx(3.54, abs=0.002)
    done = RUNNER.invoke(app, ["compare", "runs/ni/fit.h5", "runs/ni-2/fit.h5", "-o", "both"])
    assert done.exit_code == 0, done.exception
    assert "ni-2" in done.stdout
    assert "difference" in done.stdout
    assert {file.name for file in Path("both").iterdir()} == {"comparison.txt", "comparison.csv", "comparison.png"}


def test_a_result_goes_on_with_a_search(folder: Path) -> None:
    done = RUNNER.invoke(app, ["fit", "runs/ni/fit.h5", "--search", "thorough", "--starts", "2", "-o", "many"])
    assert done.exit_code == 0, done.exception
    minima = pk.load_result("many/fit.h5").minima
    assert minima.starts == 2
    assert minima[0].params["ni.a"].value == pytest.approx(3.53, abs=0.002)


def test_what_is_wrong_with_a_fit_stands_above_it(folder: Path) -> None:
    other = pk.Crystal.from_file("NaCl", name="salt").with_values({"a": 5.411})
    ceria = pk.Crystal.from_file("CeO2", name="c").with_values({"Ce.Uiso": 0.004, "O.Uiso": 0.01})
    lab = pk.Instrument(probe="X", qmax=22.0, qdamp=0.03)
    pk.write_pdf("ceria.gr", pk.Model(ceria, lab)(np.arange(0.5, 20.0, 0.02)))
    pk.write_cif("salt.cif", other.structure)
    done = RUNNER.invoke(app, ["fit", "ceria.gr", "salt.cif"])
    assert done.exit_code == 0, done.output
    said = "the data do not show salt.Na where the structure has them: is this the structure of the sample"
    text = " ".join(done.stdout.split())
    assert text.startswith(f"LOOK FIRST: {said}")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fit runs/ni/fit.h5 --free +b", "no parameter is called 'b'"),
        ("fit runs/ni/fit.h5 --tie ni.a", "'ni.a' is no tie: write NAME = EXPRESSION"),
        ("fit runs/ni/fit.h5 --molecules", "--molecules is not for fit.h5"),
        ("fit runs/ni/fit.h5 --qmin 1", "--qmin is not for fit.h5"),
        ("fit runs/ni/fit.h5 -o runs/ni", "holds fit.h5, which would be replaced"),
        ("fit runs/ni/fit.h5 --search througher", "choose one of staged, plain, thorough"),
        ("fit runs/ni/fit.h5 --starts 3", "--starts is for a search from many starts"),
        ("fit runs/ni/fit.h5 --qmax 20", "--qmax is not for fit.h5"),
        ("fit runs/ni/fit.h5 --preset bulk", "--preset is not for fit.h5"),
        ("fit runs/ni/fit.h5 runs/ni/fit.h5", "a fit goes on from one result"),
        ("fit runs/ni/fit.h5 warm.gr warm.gr", "the fit has one data set, and 2 are given"),
        ("fit runs/ni/fit.h5 new.cif", "has structures of its own"),
        ("fit runs/ni/fit.h5 --convention pdffit2", "is for projects of PDFgui"),
        ("compare runs/ni/fit.h5", "at least two fits"),
        ("compare runs/ni/fit.h5 runs/ni/fit.h5", "runs/ni/fit.h5 is given twice: a comparison is of different fits"),
        ("compare runs/ni/fit.h5 runs/../runs/ni/fit.h5", "is given twice"),
    ],
)
def test_what_is_not_clear_is_refused(folder: Path, line: str, words: str) -> None:
    before = set(folder.rglob("*"))
    done = RUNNER.invoke(app, line.split())
    assert isinstance(done.exception, PdfkitError)
    assert words in str(done.exception)
    assert set(folder.rglob("*")) == before


def test_results_of_other_data_are_not_compared(folder: Path) -> None:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), LAB)
    pk.fit(model, nickel(3.54, 2), rmin=1.5, rmax=8.0, free=["scale", "a"]).save("other.h5")
    done = RUNNER.invoke(app, ["compare", "runs/ni/fit.h5", "other.h5"])
    assert "other and fit were fitted to different data" in str(done.exception)
