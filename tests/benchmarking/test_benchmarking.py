"""The bench: wrong answers are not timed, reports survive the disk, powers are fitted, the command works."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pdfkit as pk
from pdfkit.benchmarking import bench, cases, cells, rivals, runner, timing
from pdfkit.benchmarking import report as benchmarking_report
from pdfkit.benchmarking.cases import Case, Prepared, Rival
from pdfkit.benchmarking.report import BenchReport, BenchRow
from pdfkit.cli import app


def case(factor: float, calls: list[str] | None = None) -> Case:
    """A case whose rival is wrong by a factor."""
    right = np.array([1.0, 2.0, -4.0])

    def theirs() -> np.ndarray:
        if calls is not None:
            calls.append("theirs")
        return right * factor

    def rival() -> Rival:
        return Rival(theirs, lambda: right, 1e-3, "rounding")

    return Case("tiny", "a tiny case", lambda: Prepared(lambda: right, {rivals.NUMPY: rival}))


def run(monkeypatch: pytest.MonkeyPatch, *known: Case, quick: bool = True) -> BenchReport:
    monkeypatch.setattr(runner, "cases", lambda: {one.name: one for one in known})
    monkeypatch.setattr(runner, "QUICK", 60.0)  # seconds: never spent, so that no pause of the machine counts
    return bench(quick=quick, fresh=False)


def test_a_rival_with_another_answer_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    report = run(monkeypatch, case(1.01, calls))
    mine, theirs = report.rows
    assert not report.agreed
    assert calls == ["theirs"]  # once, for the check
    assert theirs.seconds is theirs.ratio is None
    assert theirs.difference == pytest.approx(0.01 / 1.01)
    assert "answers differ" in theirs.status
    assert mine.seconds is not None
    assert "answers differ" in report.table()


@pytest.mark.parametrize("answer", [np.ones(2), np.array([1.0, 2.0, np.nan])])
def test_answers_without_meaning_never_agree(answer: np.ndarray) -> None:
    assert cases.relative(np.ones(3), answer) == np.inf
    row, rival = BenchRow("a", "a", "other"), Rival(lambda: answer, lambda: np.ones(3), 1.0, "")
    assert runner.checked(row, rival)[1].wrong


def test_a_wrong_answer_of_our_own_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Prepared(lambda: None, check=lambda: ("what must hold", 1.0, 0.1, ""))
    report = run(monkeypatch, Case("wrong", "wrong", lambda: wrong))
    assert not report.agreed
    assert report.rows[0].seconds is None


def test_rivals_that_agree_are_timed_and_others_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Rival:
        raise AssertionError("made although it is not installed")

    def too_large() -> Prepared:
        raise MemoryError("needs 9 GB, 1 GB are free")

    monkeypatch.setattr(runner, "installed", lambda program: program != rivals.ASE)
    absent = Case("absent", "absent", lambda: Prepared(lambda: 1, {rivals.ASE: never}))
    report = run(monkeypatch, case(1.0), absent, Case("huge", "huge", too_large), Case("other", "", never, when="full"))
    mine, theirs, _, missing, huge = report.rows
    assert report.agreed
    assert theirs.ratio is not None
    assert mine.rounds >= 3
    assert missing.status == "not installed"
    assert huge.status == "not run: needs 9 GB, 1 GB are free"


def test_programs_that_take_long_run_where_the_case_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    known = replace(case(1.0, calls), asked=(rivals.NUMPY,))
    report = run(monkeypatch, known, quick=False)
    assert report.rows[1].status == "left out, it takes long: --case tiny runs it"
    assert report.rows[0].seconds is not None
    assert not calls
    assert bench(["tiny"], quick=True, fresh=False).rows[1].ratio is not None


def test_reports_survive_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = run(monkeypatch, case(1.0), case(np.nan))
    path = report.save(tmp_path / "bench.json")
    assert BenchReport.read(path) == report
    json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert {"processor", "date", "numpy"} <= set(report.machine)
    for text in ("", "[]", '{"format": 2}', '{"format": 1, "machine": {}, "rows": [{"a": 1}]}'):
        path.write_text(text)
        with pytest.raises(pk.PdfkitError, match="not a report"):
            BenchReport.read(path)
    record = json.loads(report.save(path).read_text())
    for row in ({"x": {}}, {"title": 7}, {"rounds": True}, {"program": "other"}, {"seconds": 10**400}, {"note": None}):
        path.write_text(json.dumps({**record, "rows": [{**record["rows"][0], **row}]}))
        with pytest.raises(pk.PdfkitError, match="not a report"):
            BenchReport.read(path)
    with pytest.raises(pk.PdfkitError, match="cannot be read"):
        BenchReport.read(tmp_path / "none.json")


@pytest.mark.parametrize("power", [0.5, 1.0, 2.5])
def test_powers_are_fitted(power: float, tmp_path: Path) -> None:
    rows = [
        BenchRow("a", "a", "pdfkit", "curve", axis, x, seconds=3e-4 * x**power)
        for axis, x in itertools.product(("N", "rmax"), (10.0, 30.0, 100.0))
    ]
    report = BenchReport({"date": "2000-01-01"}, (*rows, BenchRow("b", "b", "pdfkit", "alone", "N", 1.0)), 1.0)
    assert [g.power for g in report.growth] == pytest.approx([power, power])
    assert timing.exponent([5.0, 5.0], [1.0, 2.0]) is None
    benchmarking_report.bench(report, tmp_path / "growth.svg")
    assert f"curve, {power:.2f}" in (tmp_path / "growth.svg").read_text()


def test_programs_take_turns_and_slow_ones_are_not_repeated() -> None:
    calls: list[str] = []
    actions = {"a": partial(calls.append, "a"), "b": partial(calls.append, "b")}
    times = timing.alternate(actions, 0.05, {"a": 0.004, "b": 1e9})
    assert "b" not in calls
    assert times["b"] == [1e9] * len(times["a"])
    assert timing.Timing.of(times["b"]).rounds == 1
    assert timing.pair_ratios([2.0, 6.0, 8.0], [1.0, 2.0, 2.0]) == 3.0


def test_the_command_runs_one_case(tmp_path: Path) -> None:
    wanted = [
        "bench",
        "--quick",
        "--case",
        "transform",
        "--out",
        str(tmp_path / "o"),
        "--json",
    ]
    done = CliRunner().invoke(app.app, wanted)
    assert done.exit_code == 0, done.output
    assert "sine transform" in json.loads(done.stdout)["rows"][0]["title"]
    assert {p.name for p in (tmp_path / "o").iterdir()} == {"bench.json", "bench.txt"}
    row = BenchReport.read(tmp_path / "o" / "bench.json").rows[1]
    assert row.program == "numpy"
    assert row.ratio is not None
    assert not row.wrong


def test_an_unknown_case_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["pdfkit", "bench", "--case", "crystal-zb-31", "--out", str(tmp_path / "o")])
    with pytest.raises(SystemExit) as stop:
        app.main()
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "crystal-zb-30" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_every_case_has_its_name_and_the_list_shows_it() -> None:
    known = cases.cases()
    assert len(known) == len(set(known))
    shown = CliRunner().invoke(app.app, ["bench", "--list"]).stdout
    for name, one in known.items():
        assert one.name == name
        assert name in shown
        assert (one.axis == "") == (one.x is None)


def test_a_new_process_runs_a_case() -> None:
    seconds, memory = timing.fresh("transform", "pdfkit")
    assert seconds is not None
    assert seconds > 0
    assert memory is None or memory > 10
    assert timing.fresh("no such case", "pdfkit") == (None, None)


def test_a_folder_that_is_missing_is_found_before_the_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "bench", lambda *_, **__: pytest.fail("it measured first"))
    (tmp_path / "file").write_text("no folder")
    done = CliRunner().invoke(app.app, ["bench", "-o", str(tmp_path / "file" / "o")])
    assert isinstance(done.exception, pk.PdfkitError)
    assert "cannot be written" in str(done.exception)


@pytest.mark.parametrize("aniso", [False, True])
def test_listed_cells_are_fitted_by_both_programs_alike(aniso: bool) -> None:
    name, difference, bound, _ = checked = cells.jacobian(8, aniso, 8.0).check()  # type: ignore[misc]
    assert difference <= bound, checked
    assert name
    prepared = cells.whole_fit(8, aniso, 8.0)
    assert prepared.run().rw < 0.05
    if rivals.installed(rivals.PDFFIT2):
        rival = prepared.rivals[rivals.PDFFIT2]()
        assert cases.relative(rival.mine(), rival.run()) <= rival.bound
    known = cases.cases()
    assert {f"listed-{n}-{kind}-fit" for n in cells.CELLS for kind in ("iso", "aniso")} <= set(known)
    assert list(cells.tied(cells._model(48, aniso)))[2:4] == ["p.a", "p.c"]
