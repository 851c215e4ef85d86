"""Fits beside the page: what they find, their progress, their end, and the history that they make."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import PdfkitError
from pdfkit.workbench.history import Entry
from pdfkit.workbench.jobs import Job, Progress, Stopped, weighed
from pdfkit.workbench.opening import opened
from pdfkit.workbench.session import Session
from pdfkit.workbench.starts import document_of


def fitted(session: Session, **action: Any) -> Entry:
    """Fit, wait, and return the entry of the history."""
    session.do({"do": "fit", **action})
    assert session.message == ""
    session.wait()
    assert session.message == ""
    return session.history[-1]


def test_a_fit_gives_values_errors_and_evidence(two: Session) -> None:
    before = two.curves().rw
    entry = fitted(two, search="plain")
    assert two.curves().rw == pytest.approx(entry.result.datasets[0].rw, rel=1e-3)
    assert two.curves().rw < before
    view = json.loads(json.dumps(two.view(), allow_nan=False))
    (row,) = [one for one in view["rows"] if one["name"] == "wz.a"]
    assert row["value"] == pytest.approx(4.12, abs=0.01)
    assert 0 < row["error"] < 0.05
    assert view["fitted"] == 1
    assert len(view["correlation"]["matrix"]) == len(view["correlation"]["names"]) == entry.view()["free"]
    assert view["history"][0]["lnz"] is not None
    two.do({"do": "value", "name": "wz.a", "value": 4.1})
    assert two.view()["fitted"] is None
    assert all(one["error"] is None for one in two.rows())
    two.do({"do": "undo"})
    assert two.view()["fitted"] == 1
    two.do({"do": "undo"})
    assert two.curves().rw == pytest.approx(before)


def test_a_fit_is_that_of_the_recipe_saved_before(two: Session) -> None:
    two.do({"do": "value", "name": "wz.a", "value": 4.15})
    (two.folder / "saved.toml").write_text(document_of(two.state, two.prepared))
    entry = fitted(two)
    result, _ = pk.run_recipe(two.folder / "saved.toml", two.folder / "out")
    assert entry.result.rw == pytest.approx(result.rw, rel=1e-9)
    assert entry.result.values == pytest.approx(result.values, rel=1e-6)


def test_several_data_sets_keep_their_scales(nickel: Path) -> None:
    folder = nickel.parent
    pdf = pk.read_pdf(nickel)
    pk.write_pdf(folder / "second.gr", pk.PDF(pdf.r, 2 * pdf.G, instrument=pdf.instrument))
    session = Session(folder, opened([str(nickel), str(folder / "second.gr"), "Ni"], folder))
    session.do({"do": "value", "name": "ni.Ni.scale", "value": 0.65})
    entry = fitted(session, search="plain")
    params = entry.result.params
    assert params["second.Ni.scale"].value == pytest.approx(2 * params["ni.Ni.scale"].value, rel=1e-3)
    for name in ("ni", "second"):
        session.do({"do": "show", "data": name})
        assert session.curves().rw == pytest.approx(entry.result.datasets[0].rw, abs=1e-3)


def test_history_side_by_side_and_restored(two: Session) -> None:
    fitted(two, search="plain")
    two.do({"do": "remove", "kind": "phase", "name": "zb"})
    fitted(two, search="plain")
    first, second = two.history
    assert first.group == second.group == (1, 2)
    two.do({"do": "compare", "fits": [1, 2]})
    table = two.view()["compared"]
    assert table["why"] == ""
    assert table["delta"][0] == 0.0
    assert table["delta"][1] > 3
    assert table["head"][:3] == ["parameter", "1", "2"]
    assert table["rows"][0] == ["Rw", f"{first.result.rw:.4f}", f"{second.result.rw:.4f}", ""]
    assert table["rows"][1] == ["ln Z below the best", "0.0", f"{table['delta'][1]:.1f}", ""]
    two.do({"do": "restore", "fit": 1})
    assert [one["name"] for one in two.state.phases] == ["wz", "zb"]
    assert two.view()["fitted"] == 1
    two.do({"do": "range", "data": "", "rmax": 9})
    fitted(two, search="plain")
    shown = two.view()["history"]
    assert [one["lnz"] is None for one in shown] == [True, True, False]  # the first two have another measure
    assert "other data" in shown[0]["why"]
    assert [one["reduced_chi2"] for one in shown] == [None] * 3  # the data have no errors
    two.do({"do": "compare", "fits": [1, 3]})
    assert "different ranges" in two.view()["compared"]["why"]
    assert two.view()["compared"]["delta"] == [None, None]
    for rude in (7, {"a": 1}, [1], True, None, "1", 1.0):
        two.do({"do": "compare", "fits": [rude]})
        assert two.message == f"there is no fit {rude}: the history has 1, 2, 3"
        two.do({"do": "restore", "fit": rude})
        assert two.message == f"there is no fit {rude}: the history has 1, 2, 3"


def test_history_on_disk(two: Session) -> None:
    entry = fitted(two, search="plain")
    entry.save(two.folder / "kept")
    again = Entry.load(two.folder / "kept", 1)
    assert again.state == entry.state
    assert again.result.rw == entry.result.rw


def test_minima_of_a_search_are_shown_one_by_one(two: Session) -> None:
    """A search that found two, as its result tells."""
    from dataclasses import replace

    from pdfkit.results.minima import Minima, Minimum

    two.do({"do": "fit", "search": "plain"})
    two.wait()
    entry = two.history[-1]
    params = entry.result.params.copy()
    params["wz.a"].value = 4.05
    free = entry.result.free
    lows = [Minimum(rw, rw, 1, 0.0, "", free, one) for rw, one in ((0.1, entry.result.params), (0.4, params))]
    two.history[-1] = replace(entry, result=replace(entry.result, minima=Minima(tuple(lows), starts=2)))
    assert [one["rw"] for one in two.view()["history"][-1]["minima"]] == [0.1, 0.4]
    two.do({"do": "minimum", "fit": 1, "which": 2})
    assert (two.message, two.prepared.at(two.state.values)["wz.a"].value, two.entry) == ("", 4.05, None)
    two.do({"do": "minimum", "fit": 1, "which": 1})
    assert two.entry is two.history[-1]
    two.do({"do": "minimum", "fit": 1, "which": 3})
    assert "2 minima" in two.message


def test_what_cannot_be_fitted_is_said(two: Session, nickel: Path) -> None:
    for files, said in (([], "nothing to fit"), ([str(nickel)], "open a structure"), (["Ni"], "open data")):
        session = Session(two.folder, opened(files, two.folder))
        session.do({"do": "fit"})
        assert said in session.message
        assert session.job is None
    for one in two.rows():
        two.do({"do": "free", "name": one["name"], "free": False})
    two.do({"do": "fit"})
    assert "nothing varies" in two.message
    two.do({"do": "stop"})
    assert two.message == "no fit is under way"


def test_one_fit_at_a_time_and_stop(two: Session) -> None:
    two.do({"do": "fit", "search": "thorough"})
    assert two.message == ""
    job = two.job
    assert job is not None
    two.do({"do": "fit"})
    assert "a fit is under way" in two.message
    end = time.monotonic() + 30
    while not job.progress.values and time.monotonic() < end:
        time.sleep(0.01)
    assert (two.busy or {})["evaluations"] > 0
    two.do({"do": "value", "name": "wz.a", "value": 4.13})  # the page is alive
    assert two.message == ""
    two.do({"do": "stop", "keep": True})
    job.thread.join(30)
    assert not job.thread.is_alive()
    assert two.busy is None
    best = {name: value for name, value in two.state.values.items() if name in job.progress.values}
    assert best == job.progress.values
    assert two.history == []
    two.wait()
    assert two.history == []


def test_a_change_while_a_fit_runs_is_told(two: Session) -> None:
    two.do({"do": "fit", "search": "plain"})
    two.do({"do": "free", "name": "wz.a", "free": False})
    two.wait()
    assert "changed while the fit ran" in two.message or two.history[-1].result.free
    assert "wz.a" in two.history[-1].result.free
    assert next(one for one in two.rows() if one["name"] == "wz.a")["free"]


def test_pages_do_not_disturb_each_other(two: Session, tmp_path: Path) -> None:
    other = Session(tmp_path, two.state)
    two.do({"do": "fit", "search": "plain"})
    other.do({"do": "value", "name": "wz.a", "value": 4.0})
    other.do({"do": "fit", "search": "plain"})
    two.wait()
    other.wait()
    assert two.history[-1].result.rw == pytest.approx(other.history[-1].result.rw, rel=1e-3)


def test_failures_in_the_thread_are_sentences() -> None:
    found: list[Any] = []

    def broken(progress: Progress) -> None:
        raise np.linalg.LinAlgError("singular")

    job = Job(Progress(), broken, found.append).start()
    job.thread.join(60)
    assert isinstance(found[0], PdfkitError)
    assert "singular" in str(found[0])


def test_files_that_changed_are_read_again(nickel: Path) -> None:
    session = Session(nickel.parent, opened([str(nickel), "Ni"], nickel.parent))
    before = session.curves().measured
    pdf = pk.read_pdf(nickel)
    pk.write_pdf(nickel, pk.PDF(pdf.r, 3 * pdf.G, instrument=pdf.instrument))
    session.do({"do": "fit", "search": "plain"})
    assert session.message == "ni.gr changed since it was read, and was read again"
    assert np.allclose(session.curves().measured, 3 * before)
    session.wait()
    assert session.curves().rw < 0.05
    for k, act in enumerate(
        (session.refresh, lambda: session.do({"do": "data", "name": "", "key": "qmax", "value": 24}))
    ):
        pk.write_pdf(nickel, pk.PDF(pdf.r, (4 + k) * pdf.G, instrument=pdf.instrument))
        session.message = ""
        act()  # what is exported, and settings for which files are read anyway
        assert session.message == "ni.gr changed since it was read, and was read again"
        assert np.allclose(session.curves().measured, (4 + k) * before)


def test_rw_by_errors_is_told(nickel: Path) -> None:
    folder = nickel.parent
    pdf = pk.read_pdf(nickel)
    noise = np.random.default_rng(3).normal(0, 1, pdf.r.size)
    dG = np.linspace(0.05, 2.0, pdf.r.size)
    noisy = pk.PDF(pdf.r, pdf.G + dG * noise, dG, instrument=pdf.instrument)
    pk.write_pdf(folder / "errors.gr", noisy)
    session = Session(folder, opened([str(folder / "errors.gr"), "Ni"], folder))
    entry = fitted(session, search="plain")
    assert entry.result.rw != pytest.approx(entry.result.datasets[0].rw, rel=0.05)
    assert any("weighted by the errors" in text for text in session.view()["remarks"])


def test_results_open_with_their_history(two: Session) -> None:
    entry = fitted(two, search="plain")
    entry.result.save(two.folder / "one.h5")
    session = Session(two.folder, opened([str(two.folder / "one.h5")], two.folder))
    assert session.view()["fitted"] == 1
    assert next(one for one in session.rows() if one["name"] == "wz.a")["error"] > 0
    two.do({"do": "open", "files": [str(two.folder / "one.h5")]})
    assert two.message == ""
    assert two.view()["fitted"] == 2


def test_evidence_under_way_is_no_fit(two: Session) -> None:
    job = Job(Progress(what="computing the evidence"), lambda progress: None, lambda found: None, fits=False)
    job.progress.names("evidence of 1")  # as it goes on
    two.job = job
    assert two.busy is not None
    assert not two.busy["fits"]
    two.do({"do": "fit"})
    assert two.message == ""
    assert two.busy["fits"]
    two.close()


def test_evidence_that_is_stopped_ends(two: Session) -> None:
    two.do({"do": "fit", "search": "plain"})
    two.wait()
    result = two.history[-1].result
    progress = Progress(what="computing the evidence")
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) > 3:
            progress.stop.set()
        Progress.check(progress)

    progress.check = check  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        weighed({"1": result})(progress)
    assert len(calls) == 4


def test_rw_on_another_grid_is_said(two: Session) -> None:
    two.do({"do": "set", "key": "convention", "value": "pdffit2"})
    two.do({"do": "set", "key": "grid", "value": "nyquist"})
    assert two.message == ""
    entry = fitted(two, search="plain")
    assert entry.weighted == f"Rw of fit 1 is {entry.result.rw:.4f} on PDFgui's Nyquist grid, not on all points"
    assert entry.weighted in two.view()["remarks"]


def test_what_is_changed_while_a_fit_runs_is_said_and_kept(two: Session) -> None:
    two.do({"do": "fit", "search": "plain"})
    two.do({"do": "value", "name": "qdamp", "value": 0.05})
    mine = two.state
    two.wait()
    assert two.message.startswith("the page was changed while the fit ran: it shows settings and values of fit 1")
    assert two.view()["fitted"] == 1
    assert two.prepared.at(two.state.values)["qdamp"].value == pytest.approx(0.03)
    two.do({"do": "undo"})
    assert two.state is mine


def test_fits_that_the_history_has_no_more_are_not_compared(two: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[Session.__module__], "MOST", 2)
    for number in (1, 2, 3):
        fitted(two, search="plain")
        two.do({"do": "compare", "fits": [number, max(1, number - 1)]})
    assert two.view()["compared"]["fits"] == [3, 2]
    fitted(two, search="plain")
    assert two.view()["compared"]["fits"] == [3]
