"""`pdfkit series-view` from files to a report, tables and pictures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from simulated_series import LAB, PURE, R, curves
from typer.testing import CliRunner

import pdfkit as pk
from pdfkit.cli import app

RUNNER = CliRunner()
T = np.linspace(0, 300, 8)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight scans of one cluster that becomes another, and both alone."""
    monkeypatch.chdir(tmp_path)
    many = curves(1 - np.exp(-0.01 * T), index=T)
    Path("run").mkdir()
    for time, G in zip(T, many.G, strict=True):
        pk.write_pdf(f"run/cds_{time:.1f}s.gr", pk.PDF(R, G, instrument=LAB))
    for name, pdf in PURE.items():
        pk.write_pdf(f"{name}.gr", pdf)
    return tmp_path


def call(*words: str):
    return RUNNER.invoke(app.app, ["series-view", "run/*.gr", "--index", "{time}s", *words])


def test_a_look_without_references(run: Path):
    done = call("--rmax", "12", "--against", "mean")
    assert done.exit_code == 0, done.output
    assert "8 scans (time 0 to 300)" in done.stdout or "8 scans (time (s) 0 to 300)" in done.stdout
    assert "components above the noise: 1;" in done.stdout
    names = {file.name for file in Path("pdfkit-view").iterdir()}
    assert names == {"view.txt", "scores.csv", "waterfall.png", "heatmap.png", "likeness.png", "scores.png"}
    rows = list(csv.DictReader(Path("pdfkit-view/scores.csv").read_text(encoding="utf-8").splitlines()))
    scores = np.array([float(row["component 1"]) for row in rows])
    assert abs(np.corrcoef(scores, np.exp(-0.01 * T))[0, 1]) > 0.99


def test_what_is_true_of_all_scans_is_said_once(run: Path):
    with pytest.warns(pk.PdfkitWarning) as said:
        call("--qmax", "15")
    texts = [str(one.message) for one in said]
    assert len(texts) == 1, texts
    assert texts[0].endswith("15 is used because it was given (8 scans)")


def test_scores_have_their_unit_and_few_lines(run: Path, monkeypatch: pytest.MonkeyPatch):
    drawn = []
    monkeypatch.setattr("pdfkit.plot.series.trend", lambda *given, **options: drawn.append((given[1], options["name"])))
    call()
    assert [name for _, name in drawn] == ["score (Å⁻²)"]
    assert 1 <= len(drawn[0][0]) <= 4


def test_mixtures_and_kinetics(run: Path):
    pure = [word for name in PURE for word in ("--reference", f"{name}={name}.gr")]
    done = call(*pure, "--total", "one", "--law", "first order", "--json", "-o", "seen")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    k, error = found["kinetics"]["k"]
    assert abs(k - 0.01) < 4 * error
    assert error < 5e-4
    np.testing.assert_allclose(found["amounts"]["zincblende"], np.exp(-0.01 * T), atol=0.02)
    assert {"amounts.csv", "amounts.png"} <= {Path(file).name for file in found["files"]}
    # A later look without references does not claim the amounts that this one left.
    again = call("--json", "-o", "seen")
    assert "amounts.csv" not in {Path(file).name for file in json.loads(again.stdout)["files"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--law", "avrami"], "--law needs references"),
        (["--reference", "zincblende"], "is not NAME=FILE"),
        (["--reference", "a=none.gr"], "none.gr"),
        (["--rmin", "30"], "no data above 30"),
    ],
)
def test_what_cannot_be_used_is_said(run: Path, words, said):
    done = call(*words)
    assert done.exit_code != 0
    assert said in str(done.exception) + done.output
    assert not Path("pdfkit-view").exists()
