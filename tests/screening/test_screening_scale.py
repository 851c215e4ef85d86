"""Screening at scale: any executor gives the same, a killed run goes on, and what breaks is said clearly."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest
import screens

import pdfkit as pk
from pdfkit._workers import dask_executor
from pdfkit.errors import ReadError, WriteError
from pdfkit.fitting import least_squares
from pdfkit.io._folders import NAME as LOCK
from pdfkit.io._folders import folder_lock
from pdfkit.screening import Progress, tasks
from pdfkit.screening.run import Journal

HERE = Path(__file__).parents[1]


class Deadly(pk.Particle):
    """Ends the process that unpickles it."""

    def __reduce__(self) -> Any:
        return os._exit, (1,)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the fits that are done in this process."""
    done: list[int] = []
    original = least_squares.fit

    def counted(*args: Any, **kwargs: Any) -> Any:
        done.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(tasks, "fit", counted)
    return done


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a journal after the first."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[1:-1]]


def same_but_for_rounding(found: pk.Ranking, expected: pk.Ranking) -> None:
    """Check that two rankings say the same.

    BLAS adds in another order with one thread than with several, as workers and this process have it: 1e-16, which a
    fit that stops at a tolerance of 1e-8 may amplify to that.
    """
    assert [(row.name, row.stage, row.n_free, row.remarks) for row in found] == [
        (row.name, row.stage, row.n_free, row.remarks) for row in expected
    ]
    for one, other in zip(found, expected, strict=True):
        assert (one.rw, one.reduced_chi2) == pytest.approx((other.rw, other.reduced_chi2), rel=1e-7, nan_ok=True)
        assert one.delta == pytest.approx(other.delta, abs=1e-5, nan_ok=True)


# --- one result from any executor ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone() -> pk.Ranking:
    return pk.screen(screens.particles(), screens.measurement(), **screens.RANGE, mixtures=1)


def test_threads_give_the_same_to_the_last_bit(alone: pk.Ranking) -> None:
    with ThreadPoolExecutor(3) as executor:
        found = pk.screen(
            screens.particles(), screens.measurement(), **screens.RANGE, mixtures=1, executor=executor, chunk=2
        )
    assert screens.numbers(found) == screens.numbers(alone)


def test_processes_give_the_same(alone: pk.Ranking) -> None:
    found = pk.screen(screens.particles(), screens.measurement(), **screens.RANGE, mixtures=1, workers=2, chunk=4)
    same_but_for_rounding(found, alone)


@pytest.mark.slow
def test_processes_survive_a_deadly_candidate(alone: pk.Ranking) -> None:
    whole = screens.particles()[0]
    deadly = Deadly(whole.elements, whole.kind, whole.xyz + 0.5, "deadly")
    unfit = pk.Particle(whole.elements, whole.kind, whole.xyz + 1.0, "cannot travel", {"thing": lambda: 0})
    many = [*screens.particles()[:8], deadly, unfit, *screens.particles()[8:]]
    found = pk.screen(many, screens.measurement(), **screens.RANGE, mixtures=1, workers=2, chunk=4)
    said = {row.name: row.remarks[0] for row in found.failed}
    assert set(said) == {"deadly", "cannot travel"}
    assert "the worker process that computed it ended" in said["deadly"]
    assert "no worker could finish it" in said["cannot travel"]
    same_but_for_rounding(replace(found, rows=found.rows[: len(alone)]), alone)


def test_dask_gives_the_same(alone: pk.Ranking, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, protocol="tcp://"
        ) as cluster,
        dask_executor(cluster.scheduler_address) as executor,
    ):
        found = pk.screen(
            screens.particles(),
            screens.measurement(),
            **screens.RANGE,
            mixtures=1,
            executor=executor,
            chunk=3,
            out=tmp_path,
        )
    assert screens.numbers(found) == screens.numbers(alone)
    assert len(lines(tmp_path / "screen.jsonl")) == len(screens.particles()) + 1


def test_a_dask_address_where_nobody_answers(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    started = time.monotonic()
    with (
        pytest.raises(pk.PdfkitError, match=rf"no dask scheduler at tcp://127.0.0.1:{port} answers within 0.5 s"),
        dask_executor(f"tcp://127.0.0.1:{port}", timeout=0.5),
    ):
        pass
    assert time.monotonic() - started < 60
    with pytest.raises(pk.PdfkitError, match="no dask scheduler at nonsense"), dask_executor("nonsense", timeout=0.5):
        pass
    with socketserver.TCPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(pk.PdfkitError, match="no dask scheduler at"), dask_executor(address, timeout=0.5):
            pass
        server.shutdown()


class Elsewhere(socketserver.BaseRequestHandler):
    """A server of something else: what it answers counts as a message of 10¹⁸ bytes."""

    def handle(self) -> None:
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4)


def test_confusion_is_the_same_in_threads() -> None:
    ranking = pk.screen(screens.particles()[1:3], screens.measurement(noise=0.3), **screens.RANGE)
    serial = pk.confusion(2, ranking, repeats=3)
    with ThreadPoolExecutor(3) as executor:
        threaded = pk.confusion(2, ranking, repeats=3, executor=executor)
    np.testing.assert_array_equal(serial.first, threaded.first)
    np.testing.assert_array_equal(serial.within, threaded.within)


# --- memory: candidates are taken one by one -------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_few_candidates_are_under_way_at_any_time(workers: int) -> None:
    """Of 200 candidates no more exist at once than the pool, the funnel and the first look need."""
    alive = most = 0
    lock = threading.Lock()

    class Counted(pk.Particle):
        def __del__(self) -> None:
            nonlocal alive
            with lock:
                alive -= 1

    def source() -> Iterator[pk.Particle]:
        nonlocal alive, most
        for one in screens.shaken(200):
            with lock:
                alive += 1
                most = max(most, alive)
            yield Counted(one.elements, one.kind, one.xyz, one.name)

    with ThreadPoolExecutor(workers) as executor:
        found = pk.screen(
            source(), screens.measurement(step=0.1), **screens.RANGE, keep=(10, 10), chunk=1, executor=executor
        )
    # Every fiftieth is the unmoved one again; one of these is looked at first, and left out there.
    assert found.stages[0].entered == 200 - 3
    assert "184 candidates were not fitted: keep= holds no more than 10" in " ".join(found.table().split())
    assert "shaken 50, shaken 100, shaken 150" in found["shaken 0"].remarks[0]
    # Looked at first: 11. Kept as the best so far: 12 and 64. In chunks of 8: two a worker, one being filled, and what
    # waits for an earlier one.
    assert most <= 11 + (12 + 64) + (2 * workers + 1) * 8 + 8 * workers
    assert most < 150


# --- killed and taken up ---------------------------------------------------------------------------------------------

SCRIPT = """
import os, sys, time
sys.path.insert(0, {here!r})
import screens, pdfkit as pk
def held(now):
    with open(os.path.join({out!r}, "screen.jsonl")) as journal:
        if len(journal.readlines()) > 6:
            print("held", flush=True)
            time.sleep(600)
if __name__ == "__main__":
    pk.screen(screens.shaken(24), screens.measurement(), **screens.RANGE, keep=(16, 12), chunk=4,
              workers={workers}, out={out!r}, progress=held)
"""


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_with_nothing_lost_and_nothing_done_twice(
    tmp_path: Path, fits: list[int], workers: int
) -> None:
    journal = tmp_path / "run" / "screen.jsonl"
    script = SCRIPT.format(here=str(HERE), out=str(journal.parent), workers=workers)
    with forked.Command([], tmp_path, before=script) as process:
        assert process.line(1) == "held\n"
        os.killpg(process.pid, signal.SIGKILL)
    before = lines(journal)
    assert 6 <= len(before) < 1 + 12
    with journal.open("ab") as stream:
        stream.write(b'{"stage": "match", "key": "half a li')
    options: dict[str, Any] = {**screens.RANGE, "keep": (16, 12), "chunk": 4}
    whole = pk.screen(screens.shaken(24), screens.measurement(), **options)
    assert len(fits) == 12
    told: list[Progress] = []
    fits.clear()
    again = pk.screen(screens.shaken(24), screens.measurement(), **options, out=journal.parent, progress=told.append)
    assert screens.numbers(again) == screens.numbers(whole)
    assert again.stages == whole.stages
    after = lines(journal)
    assert after[: len(before)] == before
    keys = [(one["stage"], one["key"]) for one in after]
    assert len(keys) == len(set(keys)) == 1 + 12  # the candidates are matched together
    assert len(fits) == 12 - sum(one["stage"] == "fit" for one in before)
    fits.clear()
    pk.screen(screens.shaken(24), screens.measurement(), **options, out=journal.parent)
    assert not fits
    assert lines(journal) == after


def test_confusion_goes_on_where_it_stopped(tmp_path: Path, fits: list[int]) -> None:
    ranking = pk.screen(screens.particles()[1:4], screens.measurement(), **screens.RANGE)
    whole = pk.confusion(3, ranking, repeats=2, out=tmp_path)
    journal = tmp_path / "confusion.jsonl"
    text = journal.read_text().splitlines(keepends=True)
    assert len(text) == 1 + 6
    journal.write_text("".join(text[:4]) + text[4][:20])
    fits.clear()
    again = pk.confusion(3, ranking, repeats=2, out=tmp_path)
    # Three finalists' own fits, then three finalists to each of the three measurements that were lost.
    assert len(fits) == 3 + 3 * 3
    np.testing.assert_array_equal(again.first, whole.first)
    more = pk.confusion(3, ranking, repeats=3, out=tmp_path)
    assert more.first.sum() == 9
    with pytest.raises(pk.PdfkitError, match="belongs to another problem"):
        pk.confusion(3, ranking, repeats=2, seed=5, out=tmp_path)


# --- journals --------------------------------------------------------------------------------------------------------


def test_a_journal_of_another_problem_is_refused_or_started_anew(tmp_path: Path) -> None:
    few, data = screens.particles()[:3], screens.measurement()
    pk.screen(few, data, **screens.RANGE, out=tmp_path)
    for change in ({"rmax": 13.0}, {"free": ["scale"]}, {"start": {"Uiso": 0.02}}):
        with pytest.raises(pk.PdfkitError, match="resume=False"):
            pk.screen(few, data, **{**screens.RANGE, **change}, out=tmp_path)
    with pytest.raises(pk.PdfkitError, match="another problem"):
        pk.screen(few, screens.measurement(seed=2), **screens.RANGE, out=tmp_path)
    assert len(lines(tmp_path / "screen.jsonl")) == 3
    found = pk.screen(few[:2], screens.measurement(seed=2), **screens.RANGE, out=tmp_path, resume=False)
    assert len(found) == len(lines(tmp_path / "screen.jsonl")) == 2


def test_more_candidates_join_a_journal(tmp_path: Path, fits: list[int]) -> None:
    data = screens.measurement()
    pk.screen(screens.particles()[:3], data, **screens.RANGE, out=tmp_path)
    fits.clear()
    found = pk.screen(screens.particles()[:5], data, **screens.RANGE, out=tmp_path)
    assert len(fits) == 2
    assert len(found) == 5


def test_what_is_no_journal_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "screen.jsonl"
    for text in ("my notes\n", "my notes", '{"other": 1}\n'):
        target.write_text(text)
        for resume in (True, False):
            with pytest.raises(ReadError, match="not the record of such a run"):
                pk.screen(screens.particles()[:2], screens.measurement(), out=tmp_path, resume=resume)
        assert target.read_text() == text
    target.unlink()
    target.mkdir()
    with pytest.raises(WriteError, match="cannot be written"):
        pk.screen(screens.particles()[:2], screens.measurement(), out=tmp_path)


def test_a_damaged_line_is_named_and_two_runs_do_not_share_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path, "abc") as journal:
        journal.add("fit", [(key, {"rw": rw, "values": {}}) for key, rw in (("one", 0.1), ("two", math.nan))])
        with pytest.raises(pk.PdfkitError, match="in use by another run of this program"):
            Journal(path, "abc")
        with folder_lock(tmp_path), Journal(tmp_path / "other.jsonl", "abc"):  # one lock a run, and this one has it
            assert sorted(one.name for one in tmp_path.iterdir()) == [LOCK, path.name, "other.jsonl"]
    with Journal(path, "abc") as journal:
        assert journal.found == 2
        assert journal.get("fit", "one") == {"rw": 0.1, "values": {}}
        assert journal.get("match", "one") is None
    text = path.read_text().splitlines()
    path.write_text("\n".join([text[0], text[1][:-5], text[2], ""]))
    with pytest.raises(ReadError, match="line 2: this line is damaged"):
        Journal(path, "abc")


def test_a_first_line_cut_short_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path, "abc"):
        whole = path.read_bytes()
    path.write_bytes(whole[:20])
    with Journal(path, "xyz") as journal:
        journal.add("fit", [("one", {"rw": 0.1, "values": {}})])
    with Journal(path, "xyz") as journal:
        assert journal.found == 1


# --- executors that break --------------------------------------------------------------------------------------------


class Breaking(Executor):
    """Does `count` chunks and then breaks, in a way of its own."""

    def __init__(self, count: int, error: BaseException, *, when: str = "result") -> None:
        self.count, self.error, self.when = count, error, when

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.count -= 1
        future: Future[Any] = Future()
        if self.count >= 0:
            future.set_result(fn(*args, **kwargs))
        elif self.when == "submit":
            raise self.error
        else:
            future.set_exception(self.error)
        return future


@pytest.mark.parametrize(
    ("executor", "words"),
    [
        (Breaking(2, BrokenExecutor("a process died")), "the executor broke"),
        (Breaking(2, BrokenExecutor("a process died"), when="submit"), "the executor broke"),
        (Breaking(2, RuntimeError("cannot schedule new futures"), when="submit"), "takes no more work"),
        (Breaking(2, OSError("connection lost")), "the workers are gone"),
        (Breaking(2, ImportError("no module named pdfkit")), "no module named pdfkit"),
    ],
)
def test_a_broken_executor_is_one_clear_error_and_nothing_is_lost(
    executor: Executor, words: str, tmp_path: Path, fits: list[int], alone: pk.Ranking
) -> None:
    options: dict[str, Any] = {**screens.RANGE, "mixtures": 1, "chunk": 2, "out": tmp_path}
    with pytest.raises(pk.PdfkitError, match=words) as error:
        pk.screen(screens.particles(), screens.measurement(), **options, executor=executor)
    assert "nothing that was finished is lost" in str(error.value)
    done = len(lines(tmp_path / "screen.jsonl"))
    assert done == 4
    fits.clear()
    found = pk.screen(screens.particles(), screens.measurement(), **options)
    assert screens.numbers(found) == screens.numbers(alone)
    # The mixture needs the fixed curves of twelve finalists, and one fit.
    assert len(fits) == len(screens.particles()) - done + 12 + 1


def test_ctrl_c_leaves_a_journal_to_go_on_from(tmp_path: Path, alone: pk.Ranking) -> None:
    def interrupted(now: Progress) -> None:
        if now.done >= 6:
            raise KeyboardInterrupt

    options: dict[str, Any] = {**screens.RANGE, "mixtures": 1, "chunk": 3, "out": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        pk.screen(screens.particles(), screens.measurement(), **options, progress=interrupted)
    assert len(lines(tmp_path / "screen.jsonl")) == 6
    found = pk.screen(screens.particles(), screens.measurement(), **options)
    assert screens.numbers(found) == screens.numbers(alone)


@pytest.mark.slow
def test_a_script_without_its_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(HERE)!r})\nimport screens, pdfkit as pk\n"
        "print(len(pk.screen(screens.particles(), screens.measurement(), **screens.RANGE, workers=2)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert 'if __name__ == "__main__":' in done.stderr


@pytest.mark.slow
def test_an_executor_of_processes_works(alone: pk.Ranking) -> None:
    import multiprocessing

    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        found = pk.screen(
            screens.particles(), screens.measurement(), **screens.RANGE, mixtures=1, executor=executor, chunk=2
        )
    same_but_for_rounding(found, alone)
