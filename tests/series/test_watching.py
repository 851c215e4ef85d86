"""Scans that come while they are watched: whole files alone, each once, whatever ends the watch."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from forked import Command

import pdfkit as pk
from pdfkit.errors import PdfkitError, RecipeError, WriteError
from pdfkit.io import _journal
from pdfkit.recipes.recipe import load_recipe
from pdfkit.recipes.watching import watch_recipe
from pdfkit.series import arrivals
from pdfkit.series.arrivals import Arrivals, ends_whole, is_written
from pdfkit.series.result import SeriesResult
from pdfkit.series.watching import AGAIN, Done, Ends, Tell

RECIPE = """\
[series]
files = "scans/*.gr"
index = "{temperature}K"
[data]
rmin = 1.5
rmax = 7
[[phase]]
name = "ni"
structure = "Ni"
[fit]
free = ["scale", "a"]
search = "plain"
"""
R = np.arange(1.0, 8.0, 0.05)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whether a file is open")


def text(k: int, tmp: Path) -> bytes:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20.0, qdamp=0.04))
    curve = model.with_values({"ni.a": 3.52 + 0.002 * k})(R)
    noise = np.random.default_rng(k).normal(0, 0.05, R.size)
    pk.write_pdf(tmp / "one.gr", pk.PDF(R, curve.G + noise, instrument=model.instrument))
    return (tmp / "one.gr").read_bytes()


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return [text(k, tmp_path_factory.mktemp("one")) for k in range(6)]


@pytest.fixture
def folder(tmp_path: Path, texts: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("scans").mkdir()
    Path("r.toml").write_text(RECIPE)
    for k in range(3):
        put(k, texts)
    return tmp_path


def put(k: int, texts: list[bytes]) -> None:
    Path(f"scans/ni_{100 + k}K.gr").write_bytes(texts[k])


class Told:
    """What was done, and said; `then`: called after each scan with its name, `heard`: with each sentence."""

    def __init__(
        self, then: Callable[[str], object] = lambda _: None, heard: Callable[[str], object] = lambda _: None
    ) -> None:
        self.scans: list[Done] = []
        self.said: list[str] = []
        self.then, self.heard = then, heard

    def scan(self, done: Done) -> None:
        self.scans.append(done)
        self.then(done.name)

    def words(self, said: str) -> None:
        self.said.append(said)
        self.heard(said)

    @property
    def names(self) -> list[str]:
        return [done.name for done in self.scans]


def watch(told: Told, ends: Ends, **options: Any) -> SeriesResult | None:
    Path("out").mkdir(exist_ok=True)
    return watch_recipe(
        load_recipe("r.toml"), Path("scans"), Path("out"), ends=ends, tell=Tell(told.scan, told.words), **options
    )


# --- Fits ------------------------------------------------------------------------------------------------------------


def test_what_is_there_and_what_comes(folder: Path, texts: list[bytes]) -> None:
    told = Told(lambda name: put(3, texts) if name == "ni_102K.gr" else None)
    result = watch(told, Ends(until=4))
    assert result is not None
    assert told.names == [f"ni_{100 + k}K.gr" for k in range(4)]
    assert result.axes[0].title == "temperature (K)"
    np.testing.assert_allclose(result.index, [100, 101, 102, 103])
    values, errors = result["a"]
    assert (np.abs(values - 3.52 - 0.002 * np.arange(4)) < 4 * errors).all()
    assert result.covariance(3).shape == (2, 2)
    assert not any("of the model" in said for remarks in result.remarks for said in remarks)
    # Each scan by itself: a series would weigh all of them in one way, which a watch cannot know.
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20.0))
    options: dict[str, Any] = {"free": ["scale", "a"], "rmin": 1.5, "rmax": 7, "search": "plain"}
    alone = [pk.fit(model, one, **options).params["ni.a"] for one in pk.read_series("scans/*.gr")]
    assert (np.abs(values - [one.value for one in alone]) < 1e-2 * errors).all()
    np.testing.assert_allclose(errors, [one.stderr for one in alone], rtol=1e-2)


def test_started_again_it_goes_on_and_fits_nothing_twice(folder: Path, texts: list[bytes]) -> None:
    watch(Told(), Ends(until=3))
    before = Path("out/watch.jsonl").read_bytes()
    put(4, texts)
    told = Told()
    result = watch(told, Ends(until=4))
    assert told.names == ["ni_104K.gr"]
    assert told.said == ["3 scans are known from before"]
    assert Path("out/watch.jsonl").read_bytes().startswith(before)
    assert result is not None
    assert result.labels == ("ni_100K.gr", "ni_101K.gr", "ni_102K.gr", "ni_104K.gr")


def test_scans_that_were_moved_away_keep_their_rows(folder: Path) -> None:
    watch(Told(), Ends(until=3))
    Path("scans/ni_101K.gr").unlink()
    result = watch(Told(), Ends(idle=0.1))
    assert result is not None
    np.testing.assert_allclose(result.index, [100, 101, 102])
    assert set(result.status) == {"fitted"}


def test_a_file_that_is_written_again_replaces_its_row(folder: Path, texts: list[bytes]) -> None:
    def rewritten(name: str) -> None:
        if name == "ni_102K.gr":
            Path("scans/ni_101K.gr").write_bytes(texts[5])
        if len(told.scans) == 4:
            stop.set()

    told, stop = Told(rewritten), threading.Event()
    result = watch(told, Ends(idle=60), stop=stop)
    assert told.names[3:] == ["ni_101K.gr"]
    assert told.scans[3].again
    assert result is not None
    assert len(result) == 3
    assert result["a"].values[1] == pytest.approx(3.53, abs=1e-3)
    assert AGAIN in result.remarks[1]


def test_new_files_alone(folder: Path, texts: list[bytes]) -> None:
    told = Told(heard=lambda _: put(5, texts))
    result = watch(told, Ends(until=1), new=True)
    assert told.names == ["ni_105K.gr"]
    assert told.said == ["3 files are there already and are left alone"]
    assert result is not None
    assert len(result) == 1


def test_bad_files_are_rows_and_others_are_left_alone(folder: Path) -> None:
    Path("scans/ni_101K.gr").write_text("1 2\n3 x\n")
    for name in ("a.tmp", "ni_107K.gr.tmp", ".ni_108K.gr", "ni.png", "notes.txt", "ni_109K.gr~"):
        Path("scans", name).write_text("1 2\n")
    told = Told()
    result = watch(told, Ends(until=3))
    assert result is not None
    assert result.status == ("fitted", "failed", "fitted")
    ((label, why),) = result.failed()
    assert label == "ni_101K.gr"
    assert "ni_101K.gr" in why
    assert watch(told, Ends(idle=0.1)) is not None
    assert len(told.scans) == 3, "a scan that failed is not tried again before it changes"


def test_its_own_files_are_no_scans(folder: Path) -> None:
    recipe = RECIPE.replace('files = "scans/*.gr"', 'files = "scans/*"').replace("rmax = 7", 'rmax = 7\nprobe = "X"')
    Path("r.toml").write_text(recipe)
    told = Told()
    options: dict[str, Any] = {"own": ("series.h5", "series.csv", "series.txt", "watch.jsonl")}
    Path("scans/series.csv").write_text("1,2\n")
    load, here = load_recipe("r.toml"), Path("scans")
    for idle in (0.3, 0.1):
        watch_recipe(load, here, here, ends=Ends(idle=idle), tell=Tell(told.scan, told.words), **options)
    assert told.names == [f"ni_{100 + k}K.gr" for k in range(3)]


def test_a_scan_that_stands_out_is_fitted_from_the_model_too(folder: Path, texts: list[bytes]) -> None:
    known = pk.read_pdf("scans/ni_102K.gr")
    odd = known.G + np.random.default_rng(9).normal(0, 0.6, R.size)
    pk.write_pdf("scans/ni_120K.gr", pk.PDF(known.r, odd, instrument=known.instrument))
    result = watch(Told(), Ends(until=4))
    assert result is not None
    assert any("stood out" in said for said in result.remarks[3])
    assert not any("stood out" in said for remarks in result.remarks[:3] for said in remarks)


def test_a_scan_without_a_probe_is_a_row_that_says_so(folder: Path, texts: list[bytes]) -> None:
    np.savetxt("scans/ni_099K.gr", np.column_stack([R, np.sin(R)]))
    result = watch(Told(), Ends(until=4))
    assert result is not None
    assert result.status == ("failed", "fitted", "fitted", "fitted")
    assert "the probe is not known" in result.remarks[0][0]


def test_without_an_index_scans_are_numbered(folder: Path) -> None:
    Path("r.toml").write_text(RECIPE.replace('index = "{temperature}K"\n', ""))
    result = watch(Told(), Ends(until=3))
    assert result is not None
    assert (result.axes[0].name, result.index.tolist()) == ("number", [0.0, 1.0, 2.0])


def test_a_recipe_of_one_fit_does_as_well(folder: Path) -> None:
    single = RECIPE.partition("[data]")[2].replace("\nrmin", '[data]\nfile = "scans/ni_100K.gr"\nrmin', 1)
    Path("r.toml").write_text(single)
    result = watch(Told(), Ends(until=3))
    assert result is not None
    assert len(result) == 3


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('"{temperature}K"', "[1, 2, 3]", "no index of scans that are still to come"),
        ("index =", "shape = [1, 3]\nindex =", "a map is fitted when it is whole"),
        ('"plain"', '"thorough"', 'search = "staged" or "plain"'),
        ('free = ["scale", "a"]', 'free = ["scale", "q"]', "no parameter"),
    ],
)
def test_recipes_that_cannot_be_are_said(folder: Path, before: str, after: str, words: str) -> None:
    Path("r.toml").write_text(RECIPE.replace(before, after))
    with pytest.raises(RecipeError, match=words.replace("[", r"\[")):
        watch(Told(), Ends(idle=0.1))


def test_intensities_are_reduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scans").mkdir()
    Q = np.arange(0.8, 22.0, 0.02)
    sq = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=22, qdamp=0.05)).sq(Q).S
    np.savetxt("scans/ni_1K.chi", np.c_[Q, pk.scattering.form_factor("Ni", "X", Q) ** 2 * sq])
    reduced = 'index = "{temperature}K"\nreduce = { composition = "Ni", qmax = 20, unit = "A-1" }'
    Path("r.toml").write_text(RECIPE.replace('index = "{temperature}K"', reduced).replace("*.gr", "*.chi"))
    result = watch(Told(), Ends(until=1))
    assert result is not None
    assert result.status == ("fitted",)
    assert result["a"].values[0] == pytest.approx(3.524, abs=2e-3)


# --- What goes wrong -------------------------------------------------------------------------------------------------


def test_a_full_disk_is_one_sentence_and_nothing_is_lost(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, count = _journal.append_lines, []

    def full(path: Path, lines: Any) -> None:
        count.append(path)
        if len(count) == 2:
            raise WriteError(f"{path}: cannot be written ({os.strerror(errno.ENOSPC)}): make room")
        usual(path, lines)

    monkeypatch.setattr(_journal, "append_lines", full)
    with pytest.raises(WriteError, match=r"make room; then run again, nothing so far is lost"):
        watch(Told(), Ends(until=3))
    told = Told()
    watch(told, Ends(until=3))
    assert told.names == ["ni_101K.gr", "ni_102K.gr"]


def test_a_folder_that_comes_and_goes(folder: Path, texts: list[bytes]) -> None:
    Path("scans").rename("away")
    stop = threading.Event()
    steps = iter([lambda: Path("away").rename("scans"), lambda: None, stop.set])
    told = Told(lambda name: name == "ni_102K.gr" and Path("scans").rename("away"), lambda _: next(steps)())
    result = watch(told, Ends(idle=60), stop=stop)
    assert result is not None
    assert len(result) == 3
    words = "the folder scans does not exist: waiting until it is there"
    assert told.said == [words, "the folder scans is there", words]


def test_folders_that_cannot_be(folder: Path) -> None:
    with (
        pytest.raises(PdfkitError, match="there is no folder nowhere/at/all, and none above it"),
        Arrivals(Path("nowhere/at/all"), lambda _: True, lambda _: None),
    ):
        pass
    with pytest.raises(PdfkitError, match="is a file"), Arrivals(Path("r.toml"), lambda _: True, lambda _: None):
        pass


def test_the_journal_of_another_folder_is_refused(folder: Path) -> None:
    watch(Told(), Ends(until=3))
    Path("scans").rename("others")
    with pytest.raises(PdfkitError, match="belongs to another problem"):
        watch_recipe(load_recipe("r.toml"), Path("others"), Path("out"), ends=Ends(idle=0.1))


# --- When a file is whole --------------------------------------------------------------------------------------------


@pytest.fixture
def incoming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Arrivals]:
    """Files of a folder by a clock of its own, which goes on while it is waited, not while the machine is busy."""
    now = [0.0]
    monkeypatch.setattr(arrivals, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(arrivals.News, "wait", lambda _, seconds: now.append(now.pop() + seconds))
    with Arrivals(tmp_path, lambda name: name.endswith(".gr"), lambda _: None) as found:
        yield found


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        (b"1 2\n3 4\n", True), (b"1 2\r\n3 4\r\n", True), (b"1 2\n3 4", False), (b"1 2\n3\n", False), (b"", False),
        (b"# r G\n1 2\n", False),
    ],
)  # fmt: skip
def test_the_last_line_is_whole(tmp_path: Path, content: bytes, whole: bool) -> None:
    (tmp_path / "a.gr").write_bytes(content)
    assert ends_whole(tmp_path / "a.gr") is whole


@LINUX
def test_a_file_that_is_open_waits_until_it_is_closed(incoming: Arrivals) -> None:
    path = incoming.folder / "a.gr"
    with path.open("w") as file:
        file.write("1 2\n3 4\n")
        file.flush()
        assert is_written(path)
        assert incoming.next(0.5) is None
        assert incoming.unfinished == ("a.gr",)
    assert is_written(path) is False
    assert incoming.next(1.0) == "a.gr"
    assert incoming.next(0.1) is None


def test_where_nobody_tells_size_and_time_have_to_stay_longer(
    incoming: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "is_written", lambda path: None)
    (incoming.folder / "a.gr").write_text("1 2\n3 4\n")
    assert incoming.next(0.3) is None
    assert incoming.next(2.0) == "a.gr"


def test_half_a_line_waits_for_its_end_but_not_for_ever(incoming: Arrivals, monkeypatch: pytest.MonkeyPatch) -> None:
    (incoming.folder / "a.gr").write_text("1 2\n3 4\n5")
    assert incoming.next(0.3) is None
    (incoming.folder / "a.gr").write_text("1 2\n3 4\n5 6\n")
    assert incoming.next(1.5) == "a.gr"
    (incoming.folder / "b.gr").write_text("1 2\n3 4")
    assert incoming.next(0.3) is None
    assert incoming.next(3.0) == "b.gr"


def test_files_come_in_natural_order_and_again_when_they_change(incoming: Arrivals) -> None:
    for k in (10, 9, 2):
        (incoming.folder / f"s{k}.gr").write_text("1 2\n3 4\n")
    assert [incoming.next(1.0) for _ in range(3)] == ["s2.gr", "s9.gr", "s10.gr"]
    (incoming.folder / "s9.gr").write_text("1 2\n3 4\n5 6\n")
    assert incoming.next(2.0) == "s9.gr"
    assert incoming.next(0.1) is None


@pytest.mark.parametrize("told", [True, False])
def test_with_news_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    if told:
        pytest.importorskip("watchfiles")
        monkeypatch.setattr(arrivals, "EVERY", 60.0)
    else:
        monkeypatch.setitem(sys.modules, "watchfiles", None)
    with Arrivals(tmp_path, lambda _: True, lambda _: None) as found:
        assert found.next(0.2) is None
        for k in range(60):  # what listens for news begins when it comes to it
            (tmp_path / "a.gr").write_text("1 2\n3 4\n" * (k + 1))
            if name := found.next(1.0):
                break
        assert name == "a.gr"


# --- As a process ----------------------------------------------------------------------------------------------------


def started(*more: str) -> Command:
    return Command(["watch", "scans", "r.toml", "-o", "out", "--json", *more], Path.cwd())


def rows() -> int:
    path = Path("out/watch.jsonl")
    return max(0, path.read_bytes().count(b"\n") - 1) if path.exists() else 0


def until(count: int, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while rows() < count:
        assert time.monotonic() < end, f"{rows()} rows of {count}"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_files_dropped_killed_and_ended_by_ctrl_c(folder: Path, texts: list[bytes]) -> None:
    with started() as first:
        until(3)
        with Path("scans/ni_103K.gr").open("wb") as file:
            file.write(texts[3][: len(texts[3]) // 2])
            file.flush()
            time.sleep(0.5)
            assert rows() == 3, "a file that is half written was read"
            file.write(texts[3][len(texts[3]) // 2 :])
        until(4)
        first.send_signal(signal.SIGKILL)
    put(4, texts)
    with started() as second:
        until(5)
        put(5, texts)
        until(6)
        second.send_signal(signal.SIGINT)
        out, said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert "4 scans are known from before" in said
    assert said.count("Rw") == 1, "one head"
    assert "ni_105K.gr" in said
    found = json.loads(out)
    assert (found["scans"], found["failed"]) == (6, 0)
    np.testing.assert_allclose(found["columns"]["ni.a"], 3.52 + 0.002 * np.arange(6), atol=1e-3)
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "series.csv", "series.h5", "series.png", "series.txt", "watch.jsonl",
    ]  # fmt: skip
    assert rows() == 6


# --- Stacks that grow ------------------------------------------------------------------------------------------------


WRITER = """
import sys, h5py, numpy as np
r = np.arange(1.0, 8.0, 0.05)
mode, curves, k = sys.argv[1], np.load("curves.npy"), 0
file = h5py.File("scans/run.h5", "w", libver="latest")
file["r"] = r
file.create_dataset("G", (20, r.size), "f8", maxshape=(None, r.size), chunks=(1, r.size), fillvalue=np.nan)
file.create_dataset("temperature", (20,), "f8", maxshape=(None,), chunks=(8,), fillvalue=np.nan)
file["G"].attrs.update({"probe": "X", "qmax": 20.0})
file["temperature"].attrs["units"] = "K"
if mode == "shared":
    file.swmr_mode = True
for word in sys.stdin:
    if not file:
        file = h5py.File("scans/run.h5", "a", libver="latest", locking=False)
    points = 40 if word == "half\\n" else r.size
    if word != "close\\n":
        file["temperature"][k] = 100 + k
        file["G"][k, :points] = curves[k][:points]
        file.flush()
        k += word == "add\\n"
    if mode == "closed" or word == "close\\n":
        file.close()
    print("done", flush=True)
"""
"""Appends scans to an HDF5 file that it keeps open for others to read (SWMR), keeps open, or closes each time."""


@contextmanager
def writer(mode: str, texts: list[bytes]) -> Iterator[Callable[[str], None]]:
    lines = [[row for row in one.decode().splitlines() if row.strip()[:1].isdigit()] for one in texts]
    np.save("curves.npy", [np.loadtxt(rows)[:, 1] for rows in lines])
    Path("r.toml").write_text(RECIPE.replace("*.gr", "run.h5").replace("{temperature}K", "temperature"))
    command = [sys.executable, "-c", WRITER, mode]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        pipes = process.stdin, process.stdout

        def ask(word: str) -> None:
            assert pipes[0] is not None and pipes[1] is not None  # noqa: PT018
            print(word, file=pipes[0], flush=True)
            assert pipes[1].readline() == "done\n"

        yield ask
        process.communicate()


@LINUX
def test_a_stack_that_grows_is_fitted_row_by_row(folder: Path, texts: list[bytes]) -> None:
    told = Told()
    with writer("shared", texts) as ask:
        rest = threading.Timer(0.3, ask, ["add"])

        def more(name: str) -> None:
            if name == "run.h5[2]":  # half a scan, which waits for the rest
                ask("half")
                rest.start()
            elif name < "run.h5[2]":
                ask("add")

        told.then = more
        ask("add")
        result = watch(told, Ends(until=4, idle=20))
    assert told.names == [f"run.h5[{k}]" for k in range(4)]
    assert result is not None
    assert (result.axes[0].title, result.index.tolist()) == ("temperature (K)", [100.0, 101.0, 102.0, 103.0])
    assert result.labels == tuple(told.names)
    np.testing.assert_allclose(result["a"].values, 3.52 + 0.002 * np.arange(4), atol=1e-3)
    again = Told()
    watch(again, Ends(idle=0.2))
    assert (again.names, again.said[0]) == ([], "4 scans are known from before")


@LINUX
def test_a_stack_that_is_not_shared_is_read_when_it_is_closed(folder: Path, texts: list[bytes]) -> None:
    told, late = Told(), Told()
    with writer("open", texts) as ask:
        ask("add")
        watch(told, Ends(idle=0.2))
        assert not told.names
        assert any("not in SWMR mode: its scans are read whenever it is closed" in said for said in told.said)
        ask("close")
        watch(told, Ends(until=1, idle=20))
        ask("add")
        ask("close")
        watch(told, Ends(until=2, idle=20))
        watch(late, Ends(idle=0.2), new=True, resume=False)
    assert (told.names, late.names) == (["run.h5[0]", "run.h5[1]"], [])
    assert late.said[0] == "0 files and 2 scans of stacks are there already and are left alone"


def test_what_stacks_do_not_have_is_said(folder: Path) -> None:
    Path("r.toml").write_text(RECIPE.replace("*.gr", "run.h5"))
    with h5py.File("scans/run.h5", "w") as file:
        file["G"], file["r"] = np.ones((2, 3, 9)), np.arange(1.0, 5.5, 0.5)
    told = Told()
    watch(told, Ends(idle=0.2))
    assert any("run.h5 holds a map" in said for said in told.said)
    more = 'index = "number"\nreduce = { composition = "Ni", qmax = 20 }'
    Path("r.toml").write_text(RECIPE.replace("*.gr", "run.h5").replace('index = "{temperature}K"', more))
    with pytest.raises(RecipeError, match="an HDF5 file that grows are not reduced while they come"):
        watch(Told(), Ends(idle=0.0))
