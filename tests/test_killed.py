"""Runs that are killed with −9 at random moments: nothing lost, nothing done again, no untrue file, no process left.

Each moment is drawn within the duration of a whole run, measured just before, and only a kill that hits a running
process counts. The slow tests print what docs/promises.md says: `python -m pytest -s -m slow tests/test_killed.py`.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import screens
from forked import Command

import pdfkit as pk
from pdfkit.io._folders import UNFINISHED, folder, unfinished
from pdfkit.reduction import journal as reduction_journal
from pdfkit.scattering import form_factor

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
slow = pytest.mark.slow
RECIPE = """\
[data]
file = "{data}.gr"
rmin = 1.5
rmax = {rmax}

[[phase]]
name = "ni"
structure = "Ni"

[fit]
free = {free}
"""
SERIES = """
from pathlib import Path
import pdfkit as pk
for recipe in sorted(Path(".").glob("series*.toml")):
    if not Path("out", recipe.stem, "fit.h5").exists():
        pk.run_recipe(recipe, Path("out", recipe.stem))
"""


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Return a folder with data, recipes, candidates and intensities."""
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20, qdamp=0.04))
    for k in range(6):
        pk.write_pdf(tmp_path / f"ni{k}.gr", model.with_values({"ni.a": 3.53 + 0.001 * k})(np.arange(0.05, 12, 0.05)))
    recipes = {"old": (0, 6, "scale a Uiso"), "new": (0, 10, "scale a Uiso"), "fixed": (0, 10, "scale a")}
    recipes |= {f"series{k}": (k, 10, "scale a Uiso delta2") for k in range(6)}
    for name, (data, rmax, free) in recipes.items():
        text = RECIPE.format(data=f"ni{data}", rmax=rmax, free=json.dumps(free.split()))
        (tmp_path / f"{name}.toml").write_text(text)
    pk.write_pdf(tmp_path / "cluster.gr", screens.measurement())
    (tmp_path / "all").mkdir()
    for k, particle in enumerate(screens.shaken(24)):
        pk.io.write_xyz(tmp_path / "all" / f"{k:02d}.xyz", particle)
    Q = np.arange(0.8, 20.0, 0.02)
    level = form_factor("Ni", "X", Q) ** 2 * model.sq(Q).S
    for k in range(40):
        np.savetxt(tmp_path / f"scan_{k}.iq", np.c_[Q, (1 + 0.1 * k) * level], fmt="%.8f")
    return tmp_path


def names(path: Path) -> list[str]:
    return sorted(one.name for one in path.iterdir() if not one.name.startswith("."))


def contents(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in names(path)} if path.exists() else {}


def lines(journal: Path) -> list[bytes]:
    """Return the lines of a journal that end; an empty one may stand between those of two that write at once."""
    return [line for line in journal.read_bytes().split(b"\n")[:-1] if line] if journal.exists() else []


def run(path: Path, command: list[str]) -> float:
    """Run a command to its end and return how long it took."""
    begin = time.monotonic()
    with begun(path, command) as process:
        _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return time.monotonic() - begin


def begun(path: Path, command: list[str]) -> Command | subprocess.Popen[str]:
    """Start a command of pdfkit, or a script, in a session of its own."""
    if command[0] != sys.executable:
        return Command(command, path)
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=path, stdout=-3, stderr=pipe, text=True, start_new_session=True)


def kills(path: Path, count: int, seconds: float, command: Callable[[], list[str]], low: float = 0.0) -> Iterator[bool]:
    """Kill so many runs; yield after each whether it ended by itself before its moment came, which does not count.

    seconds: of a run; where one takes less (the first compiles), the moments of later ones are in that.
    """
    chance, hit, slowest = random.Random(13), 0, 0.0
    while hit < count:
        begin = time.monotonic()
        with begun(path, command()) as process:
            try:
                _, said = process.communicate(timeout=chance.uniform(low, 1.0) * seconds)
            except subprocess.TimeoutExpired:
                process.kill()
        ended = process.returncode != -signal.SIGKILL
        assert not ended or process.returncode == 0, said
        hit += not ended
        seconds = min(seconds, time.monotonic() - begin) if ended else seconds
        slowest = max(slowest, seconds_until_gone(process.pid))
        yield ended
    print(f"\n{count} of {count} kills hit a run of {seconds:.1f} s; its processes were gone after {slowest:.2f} s")


def seconds_until_gone(session: int) -> float:
    begin = time.monotonic()
    while any(_running(session)):
        assert time.monotonic() - begin < 60, "orphans"
        time.sleep(0.01)
    return time.monotonic() - begin


def _running(session: int) -> Iterator[bool]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(of) == session and state != "Z":
            yield True


def told(path: Path) -> set[float]:
    """Return the ends of the range (Å) that the files of a result folder tell of."""
    found = set()
    if (path / "fit.h5").exists():
        found.add(round(float(pk.load_result(path / "fit.h5").data.r[-1])))
    if (path / "report.txt").exists():
        found.update(
            round(float(end)) for end in re.findall(r", r = \S+ to (\S+) Å", (path / "report.txt").read_text())
        )
    if (path / "columns.txt").exists():
        found.add(round(float(pk.io.read_columns(path / "columns.txt")[1][-1, 0])))
    return found


# In the fast test the end, where files are written, is what matters most.
@pytest.mark.parametrize(("count", "low"), [(3, 0.6), pytest.param(20, 0.0, marks=slow)])
def test_a_fit_leaves_its_folder_old_or_new(prepared: Path, count: int, low: float) -> None:
    out = prepared / "out"
    seconds = run(prepared, ["fit", "old.toml", "--out", "out"])
    (out / "notes.txt").write_text("mine")
    whole, last, turn = names(out), {6}, [("new", {10}), ("old", {6})]
    assert told(out) == last
    for ended in kills(prepared, count, seconds, lambda: ["fit", f"{turn[0][0]}.toml", "--out", "out"], low):
        if UNFINISHED in names(out):  # while files took their places: that is said, and what comes next ends it
            assert not ended
            assert "a run was killed while it moved its results" in unfinished(out)
            with folder(out):
                assert told(out) == turn[0][1]
        now = told(out)
        assert now == turn[0][1] if ended else now in (last, turn[0][1])
        assert names(out) == whole
        last = now
        turn.reverse()
    run(prepared, ["fit", "new.toml", "--out", "out"])
    assert told(out) == {10}
    assert sorted(one.name for one in out.iterdir()) == whole


@slow
def test_a_comparison_leaves_its_folder_old_or_new(prepared: Path) -> None:
    pair = {"one": ["new.toml", "fixed.toml"], "two": ["new.toml", "series0.toml"]}
    for name, recipes in pair.items():
        seconds = run(prepared, ["compare", *recipes, "--out", name])
    expected = {name: contents(prepared / name) for name in pair}
    assert expected["one"]["comparison.csv"] != expected["two"]["comparison.csv"]
    turn, last = ["one", "two"], {}
    for ended in kills(prepared, 20, seconds, lambda: ["compare", *pair[turn[0]], "--out", "out"]):
        now = contents(prepared / "out")
        assert now == expected[turn[0]] or (not ended and now == last)
        last = now
        turn.reverse()


@slow
def test_a_loop_of_fits_goes_on(prepared: Path) -> None:
    command = [sys.executable, "-c", SERIES]
    seconds = run(prepared, command)
    whole, out = names(prepared / "out" / "series0"), prepared / "out"
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*/fit.h5")}
    assert len(finished) == 6
    for ended in kills(prepared, 20, seconds, lambda: command):
        found = {path: path.stat().st_mtime_ns for path in out.glob("*/fit.h5")}
        assert found.items() >= finished.items()
        assert len(found) == 6 or not ended
        for path in found:
            assert names(path.parent) == whole
            assert told(path.parent) == {10}
        finished = found
        if len(found) == 6:  # from the beginning
            out.rename(prepared / f"whole{time.monotonic_ns()}")
            finished = {}


@slow
def test_a_screening_goes_on(prepared: Path) -> None:
    command = ["screen", "cluster.gr", "all", "--keep", "16", "6", "--workers", "2", "--out"]
    seconds = run(prepared, [*command, "whole"])
    expected = (prepared / "whole" / "ranking.csv").read_bytes()
    out, last = prepared / "out", []
    for ended in kills(prepared, 20, seconds, lambda: [*command, "out"]):
        journal = out / "screen.jsonl"
        lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
        assert lines[: len(last)] == last
        keys = [(one["stage"], one["key"]) for one in map(json.loads, lines[1:])]
        assert len(keys) == len(set(keys))
        last = lines
        table = out / "ranking.csv"
        assert table.exists() or not ended
        if table.exists():
            assert table.read_bytes() == expected
            assert len(names(out)) == len(names(prepared / "whole"))
            out.rename(prepared / f"whole{time.monotonic_ns()}")
            last = []


@slow
def test_a_reduction_of_many_files_goes_on(prepared: Path) -> None:
    command = ["reduce", *sorted(one.name for one in prepared.glob("*.iq"))]
    command += ["-s", "Ni", "--write", "gr", "--write", "sq", "--workers", "2", "-o"]
    seconds = run(prepared, [*command, "whole"])
    expected = {name: data for name, data in contents(prepared / "whole").items() if name.startswith("scan")}
    out, finished = prepared / "out", {}
    for ended in kills(prepared, 20, seconds, lambda: [*command, "out"]):
        now = {name: data for name, data in contents(out).items() if name.startswith("scan")}
        assert now.items() <= expected.items()
        entries = reduction_journal.read(out) if (out / "reductions.jsonl").exists() else {}
        assert {stem: entries.get(stem) for stem in finished} == finished
        finished = entries
        if ended:
            lines = (out / "reductions.jsonl").read_text(encoding="utf-8").splitlines()[1:]
            stems = [Path(json.loads(line)["file"]).stem for line in lines if line]
            assert len(stems) == len(set(stems)) == 40
            assert now == expected
            assert rows(out) == rows(prepared / "whole")
            assert not list(out.glob(".pdfkit*"))
            out.rename(prepared / f"whole{time.monotonic_ns()}")
            finished = {}


@pytest.mark.parametrize("what", ["screen", "reduce"])
@pytest.mark.parametrize("terminal", [True, pytest.param(False, marks=slow)])
def test_ctrl_c_stops_workers_and_the_next_run_goes_on(prepared: Path, what: str, terminal: bool) -> None:
    """A terminal sends the signal to all processes of the command, another program to the first one only."""
    command = [what, "--workers", "2", "--out", "out"]
    if what == "screen":
        command += ["cluster.gr", "all", "--keep", "16", "6"]
    else:
        command += [*sorted(one.name for one in prepared.glob("*.iq")), "-s", "Ni"]
    journal = prepared / "out" / {"screen": "screen.jsonl", "reduce": "reductions.jsonl"}[what]
    with Command(command, prepared) as process:
        while process.poll() is None and len(lines(journal)) <= 3:
            time.sleep(0.005)
        begin = time.monotonic()
        (os.killpg if terminal else os.kill)(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
        seconds = time.monotonic() - begin
    assert process.returncode == 130, said
    assert said.splitlines()[-1].startswith("interrupted: written before, and whole: out/")
    assert "Traceback" not in said
    print(f"\n{what}: ended {seconds:.2f} s after Ctrl-C, its processes {seconds_until_gone(process.pid):.2f} s later")
    before = journal.read_bytes()
    assert before.endswith(b"\n")
    assert len([json.loads(line) for line in lines(journal)]) > 3
    assert not list((prepared / "out").glob(".pdfkit*"))
    run(prepared, command)
    assert journal.read_bytes().startswith(before)
    keys = [json.loads(line) for line in lines(journal)[1:]]
    done = [(one["stage"], one["key"]) if what == "screen" else one["file"] for one in keys]
    assert len(done) == len(set(done))
    assert what == "screen" or len(done) == 40


def test_ctrl_c_stops_nested_sampling_and_leaves_nothing(prepared: Path) -> None:
    pytest.importorskip("dynesty")
    command = ["compare", "new.toml", "fixed.toml", "--evidence", "nested", "--out", "out"]
    with Command(command, prepared) as process:
        process.line(2, "evaluations")
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    seconds_until_gone(process.pid)
    assert not (prepared / "out" / "comparison.txt").exists()
    assert not list(prepared.glob("**/.pdfkit*"))


def rows(folder: Path) -> list[list[str]]:
    """Return the table without its column of seconds."""
    lines = (folder / "reductions.csv").read_text(encoding="utf-8").splitlines()
    column = lines[0].split(",").index("seconds")
    return [[cell for k, cell in enumerate(line.split(",")) if k != column] for line in lines]
