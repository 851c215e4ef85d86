"""What a page shows beside its model: peaks, atoms, candidates of a ranking, trends of a series."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import PdfkitError
from pdfkit.screening.table import listed_of
from pdfkit.series.result import SeriesResult
from pdfkit.workbench.atoms import atoms
from pdfkit.workbench.opening import opened
from pdfkit.workbench.session import Session
from pdfkit.workbench.state import State
from pdfkit.workbench.trends import trend

CELLS = (3.520, 3.523, 3.526, 3.529)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ranking and a series of four scans."""
    folder = tmp_path_factory.mktemp("saved")
    clusters = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4)]
    truth = pk.Cluster(clusters[1], "c", Uiso={"Cd": 0.03, "Se": 0.02}, delta2=4)
    data = pk.Model(truth, pk.Instrument(probe="X", qmin=0.8, qmax=16))(np.arange(1.8, 14, 0.05))
    pk.screen(clusters, data).save(folder / "ranking.h5")
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.03))
    r = np.arange(1.5, 10, 0.02)
    scans = [model.with_values({"ni.a": a})(r) for a in CELLS]
    pk.fit_series(model, scans, free=["scale", "a"], out=folder / "scans", curves=True)
    shutil.copy(folder / "scans" / "series.h5", folder / "series.h5")
    return folder


@pytest.fixture
def session(saved: Path, tmp_path: Path) -> Session:
    """A page with a simulated zinc blende, in a folder with the saved files."""
    for name in ("ranking.h5", "series.h5"):
        shutil.copy(saved / name, tmp_path)
    return Session(tmp_path, opened(["CdS_zincblende"], tmp_path))


def test_a_peak_that_is_clicked_is_explained_by_what_the_model_is_now(session: Session) -> None:
    session.do({"do": "peak", "r": 2.5})
    found = session.view()["peak"]
    assert [one["words"] for one in found["pairs"]] == ["4 S around each Cd, 4 Cd around each S, at 2.525 Å"]
    assert found["rows"][0][1] == "pair a–b"
    session.do({"do": "value", "name": "CdS_zincblende.a", "value": 5.9})
    assert session.view()["peak"]["pairs"][0]["distance"] == pytest.approx(5.9 * 3**0.5 / 4)
    states = len(session.states)
    session.do({"do": "peak", "r": 0})
    assert "above 0 Å" in session.message
    session.do({"do": "peak", "r": "near"})
    assert "r = 'near' is not a number" in session.message
    assert len(session.states) == states


def test_atoms_are_sent_when_they_are_asked_for(session: Session) -> None:
    assert session.view()["atoms"] is None
    session.do({"do": "atoms"})
    found = session.view()["atoms"]
    assert [one[0] for one in found["elements"]] == ["Cd", "S"]
    assert (len(found["xyz"]), len(found["bonds"]), len(found["edges"])) == (18, 16, 12)
    assert np.abs(np.mean(np.array(found["edges"]).reshape(-1, 3), axis=0)).max() < 0.01
    session.do({"do": "shape", "phase": "CdS_zincblende", "kind": "sphere"})
    session.do({"do": "atoms", "whole": True})
    assert session.message == ""
    assert session.view()["atoms"]["particles"]
    assert "a sphere of" in session.view()["atoms"]["words"]
    session.do({"do": "atoms", "open": False})
    assert session.view()["atoms"] is None


def test_every_kind_of_phase_can_be_drawn_or_says_why_not() -> None:
    particle = pk.build.tetrahedron("CdSe_zincblende", 3)
    phases = [
        pk.Cluster(particle, "c"),
        pk.Stacked("Cd", "S", name="st", a_h=4.1, alpha=0.2),
        pk.Crystal.from_file("TiO2_rutile", name="ru", shape=pk.Sphere(200)),
    ]
    model = pk.Model(phases, pk.Instrument(probe="X", qmax=20))
    cluster, stack, ball = atoms(model, "c"), atoms(model, "st"), atoms(model, "ru", whole=True)
    assert len(cluster["xyz"]) == len(particle)
    assert stack["xyz"] == []
    assert "no one structure" in stack["words"]
    assert 2000 < len(ball["xyz"]) <= 3000
    assert "the middle" in ball["words"]
    # Metals are bonded to oxygen, not to each other.
    assert {tuple(sorted(ball["elements"][ball["kind"][k]][0] for k in pair)) for pair in ball["bonds"]} == {
        ("O", "Ti")
    }
    cuts = [
        (pk.shapes.Rod(12, 30), (12, 12, 30)),
        (pk.shapes.Sheet(8), (39, 39, 8)),
        (pk.shapes.Spheroid(14, 2), (14, 14, 28)),
    ]
    for shape, extent in cuts:
        cut = atoms(pk.Model([pk.Crystal.from_file("Ni", name="ni", shape=shape)], model.instrument), whole=True)
        assert cut["particles"]
        size = np.ptp(np.array(cut["xyz"]), axis=0)
        assert (size < np.array(extent) + 0.1).all()
        assert (size > np.array(extent) - 5.0).all()
    with pytest.raises(PdfkitError, match="no phase is called 'x': there are c, st, ru"):
        atoms(model, "x")


def test_candidates_are_ranked_and_one_is_shown(session: Session, tmp_path: Path) -> None:
    model = session.curves()
    session.do({"do": "open", "files": ["ranking.h5"]})
    found = session.view()["candidates"]
    assert session.message == ""
    assert [row["cells"][2] for row in found["rows"]] == ["Cd20Se10", "Cd10Se4"]
    assert found["rows"][0]["listed"]
    said = " ".join(listed_of(pk.Ranking.load(tmp_path / "ranking.h5")))  # as the terminal has it
    assert said.startswith("The list: the first row")
    assert said in found["words"]
    assert any("simulated cases like this one" in text for text in found["words"])
    session.do({"do": "candidate", "name": found["rows"][0]["name"]})
    assert session.view()["shown"] == f"candidate {found['rows'][0]['name']}"
    rw = session.curves().rw
    assert rw is not None
    assert f"{rw:.4f}" == found["rows"][0]["cells"][5]
    session.do({"do": "model"})
    assert session.curves().r.size == model.r.size
    session.do({"do": "candidate", "name": "nobody"})
    assert "no candidate is called 'nobody'" in session.message
    session.do({"do": "candidate", "name": found["rows"][0]["name"]})
    session.do({"do": "value", "name": "CdS_zincblende.a", "value": 5.9})
    assert session.view()["shown"] == ""


def test_a_trend_is_drawn_and_a_scan_shown(session: Session) -> None:
    session.do({"do": "open", "files": ["series.h5"]})
    session.do({"do": "trend", "name": "ni.a"})
    found = session.view()["trend"]
    assert found["values"] == pytest.approx(CELLS, abs=1e-6)
    assert (found["unit"], found["name"]) == ("Å", "ni.a")
    assert len(found["errors"]) == len(set(found["titles"])) == 4
    assert "from 3.52 at the first to 3.529 at the last" in found["words"]
    session.do({"do": "trend", "name": "rw"})
    assert session.view()["trend"]["errors"] == [None] * 4
    session.do({"do": "scan", "scan": 2})
    assert session.view()["shown"] == found["titles"][2]
    assert session.curves().rw == pytest.approx(0.0, abs=1e-4)
    session.do({"do": "scan", "scan": 9})
    assert session.message == "there is no scan 10: the series has 4"
    json.dumps(session.view(), allow_nan=False)


def test_a_series_that_grows_renews_itself(session: Session, tmp_path: Path) -> None:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.03))
    scans = [model.with_values({"ni.a": a})(np.arange(1.5, 10, 0.02)) for a in (*CELLS, 3.532)]
    session.do({"do": "open", "files": ["series.h5"]})
    session.do({"do": "renew"})
    assert len(session.view()["trend"]["values"]) == 4
    pk.fit_series(model, scans, free=["scale", "a"], out=tmp_path / "more", curves=True)
    (tmp_path / "more" / "series.h5").replace(tmp_path / "series.h5")
    session.do({"do": "renew"})
    assert len(session.view()["trend"]["values"]) == 5
    (tmp_path / "series.h5").write_bytes(b"half of it")
    session.do({"do": "renew"})
    assert "does not hold a whole series" in session.message
    assert len(session.view()["trend"]["values"]) == 5


def test_what_is_shown_beside_a_state_is_saved_and_undone_with_it(session: Session, tmp_path: Path) -> None:
    session.do({"do": "open", "files": ["series.h5"]})
    assert State.from_json(session.state.to_json()) == session.state
    assert session.state.beside == (str(tmp_path / "series.h5"),)
    session.do({"do": "undo"})
    assert session.view()["trend"] is None


def test_a_ranking_alone_shows_its_best(saved: Path) -> None:
    page = Session(saved, opened(["ranking.h5"], saved))
    assert page.view()["shown"].startswith("candidate Cd20Se10")
    assert page.curves().measured is not None
    page = Session(saved, opened(["series.h5"], saved))
    assert page.curves().measured is not None
    assert page.view()["shown"].startswith("scan ")


def test_a_file_that_is_gone_leaves_a_page_with_nothing_to_show(session: Session, tmp_path: Path) -> None:
    state = State(beside=("ranking.h5",))
    (tmp_path / "ranking.h5").unlink()
    page = Session(tmp_path, state)
    assert page.view()["candidates"] is None
    with pytest.raises(PdfkitError, match="nothing to show yet"):
        page.curves()


def test_a_damaged_file_is_refused_and_nothing_changes(session: Session, tmp_path: Path) -> None:
    before = session.state
    data = (tmp_path / "ranking.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(data[: len(data) * 2 // 3])
    session.do({"do": "open", "files": ["cut.h5"]})
    assert session.message
    assert session.state is before


def test_a_series_without_parameters_is_refused(saved: Path) -> None:
    from dataclasses import replace

    series = SeriesResult.load(saved / "series.h5")
    bare = replace(series, names=(), free=(), values=np.zeros((4, 0)), sigmas=np.zeros((4, 0)), numbers={})
    with pytest.raises(PdfkitError, match="no parameter that varies"):
        trend(bare)


def test_a_candidate_whose_curves_were_not_saved_is_fitted_beside_the_page(session: Session, tmp_path: Path) -> None:
    pk.Ranking.load(tmp_path / "ranking.h5").save(tmp_path / "bare.h5", curves=0)
    session.do({"do": "open", "files": ["bare.h5"]})
    row = session.view()["candidates"]["rows"][1]
    session.do({"do": "candidate", "name": row["name"]})
    busy = session.busy
    assert busy is not None
    assert (busy["what"], busy["fits"]) == (f"fitting candidate {row['name']}", False)
    assert session.view()["shown"] == ""
    session.wait()
    assert session.view()["shown"] == f"candidate {row['name']}"
    rw = session.curves().rw
    assert rw is not None
    assert f"{rw:.4f}" == row["cells"][5]
    other = session.view()["candidates"]["rows"][0]["name"]
    session.do({"do": "candidate", "name": other})
    session.do({"do": "value", "name": "CdS_zincblende.a", "value": 5.88})
    session.wait()  # what was done meanwhile stays in the plot
    assert (session.view()["shown"], f"candidate {other} has been fitted" in session.message) == ("", True)
    session.do({"do": "candidate", "name": other})
    assert (session.view()["shown"], session.busy) == (f"candidate {other}", None)
    page = Session(tmp_path, opened(["bare.h5"], tmp_path))
    with pytest.raises(PdfkitError, match="choose a candidate"):
        page.curves()
