"""What is on disk is whole and true: files, folders of results, and runs that are killed at any moment."""

from __future__ import annotations

import errno
import os
import re
import socket
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import pdfkit as pk
from pdfkit import _terminal, patterns
from pdfkit.benchmarking import runner
from pdfkit.cli import app
from pdfkit.cli.info import describe
from pdfkit.errors import WriteError
from pdfkit.io import _atomic, _folders
from pdfkit.io._atomic import check_target, write_text
from pdfkit.io._folders import UNFINISHED, folder, publish, unfinished


def names(path: Path) -> list[str]:
    return sorted(one.name for one in path.iterdir())


# --- one file --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="no such files there")
def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link.gr"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    (tmp_path / "out.gr").symlink_to("/dev/stdout")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path, words in (
            (pipe, "a pipe"),
            (tmp_path / "socket", "a socket"),
            ("/dev/zero", "a device"),
            (link, "a device"),
            (tmp_path, "a folder"),
            ("/dev/stdout", "a stream"),
            (tmp_path / "out.gr", "a stream"),
            ("/proc/self/fd/1", "a stream"),
        ):
            with pytest.raises(WriteError, match=f"{re.escape(str(path))}: this is {words}"):
                write_text(path, "x")
    assert names(tmp_path) == ["link.gr", "out.gr", "pipe", "socket"]
    assert pipe.is_fifo()


def test_the_null_device_takes_everything(tmp_path: Path) -> None:
    before = Path(os.devnull).stat().st_rdev
    assert write_text(os.devnull, "x") == Path(os.devnull)
    assert Path(os.devnull).stat().st_rdev == before


def test_a_read_only_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("mine")
    path.chmod(0o444)
    with pytest.raises(WriteError, match="read-only"):
        write_text(path, "x")
    assert path.read_text() == "mine"
    path.chmod(0o644)
    write_text(path, "new")
    assert path.read_text() == "new"


def test_an_output_is_not_one_of_its_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "Ni.cif"
    path.write_text("mine")
    (tmp_path / "link.cif").symlink_to(path)
    for one in ("Ni.cif", path, "link.cif", "./Ni.cif"):
        with pytest.raises(WriteError, match="would overwrite the input"):
            check_target(one, ["other.cif", tmp_path / "Ni.cif"])
    assert check_target("new.cif", [path]) == tmp_path / "new.cif"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    (tmp_path / "old.txt").write_text("old")

    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(_atomic.os, "fsync", full)
    with pytest.raises(WriteError, match=r"old\.txt: cannot be written \(.*\): make room there"):
        write_text(tmp_path / "old.txt", "new")
    with pytest.raises(WriteError, match=r"Ni\.h5: cannot be written \(.*\): make room there"):
        result(1.0).save(tmp_path / "Ni.h5")
    assert (tmp_path / "old.txt").read_text() == "old"
    assert names(tmp_path) == ["old.txt"]


def result(scale: float) -> pk.FitResult:
    import numpy as np

    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20))
    return pk.fit(model, model.with_values({"ni.scale": scale})(np.arange(1, 6, 0.05)), free=["scale"])


# --- a folder --------------------------------------------------------------------------------------------------------


def test_files_of_a_run_appear_together_and_those_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "a.txt").chmod(0o640)
    with publish(tmp_path) as stage:
        write_text(stage / "a.txt", "new")
        write_text(stage / "b.txt", "new")
        assert (tmp_path / "a.txt").read_text() == "old"
        assert not (tmp_path / "b.txt").exists()
    assert names(tmp_path) == ["a.txt", "b.txt", "notes.txt"]
    assert [(tmp_path / name).read_text() for name in names(tmp_path)] == ["new", "new", "mine"]
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640
    assert str(tmp_path / "b.txt") in _atomic.WRITTEN


def test_a_failure_leaves_the_old_files_and_names_the_new(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "b.txt").mkdir()
    here = re.escape(str(tmp_path))

    def write(*files: str, then: type[BaseException] | None = None) -> None:
        with publish(tmp_path) as stage:
            for file in files:
                write_text(stage / file, "new")
            if then is not None:
                raise then

    with pytest.raises(WriteError, match=rf"^{here}/b.txt: this is a folder"):
        write("a.txt", "b.txt")
    with pytest.raises(WriteError, match=rf"^{here}/no/a.txt: the folder"):
        write("no/a.txt")
    with pytest.raises(KeyboardInterrupt):
        write("a.txt", then=KeyboardInterrupt)
    assert names(tmp_path) == ["a.txt", "b.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.skipif(os.name == "nt", reason="says it otherwise there")
def test_a_name_too_long_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="File name too long"), folder(tmp_path, ["n" * 300]):
        pass
    with pytest.raises(WriteError, match="File name too long"):
        write_text(tmp_path / ("n" * 300), "x")


def test_links_in_a_folder_give_way(tmp_path: Path) -> None:
    """Somebody else may have planted them, to a file of the user's elsewhere."""
    (tmp_path / "out").mkdir()
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "out" / "a.txt").symlink_to("../real.txt")
    with publish(tmp_path / "out") as stage:
        write_text(stage / "a.txt", "new")
    assert not (tmp_path / "out" / "a.txt").is_symlink()
    assert (tmp_path / "out" / "a.txt").read_text() == "new"
    assert (tmp_path / "real.txt").read_text() == "old"


def test_a_run_killed_while_its_files_take_their_places_says_so_and_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "b.txt").write_text("old")
    monkeypatch.setattr(_folders, "_settle", lambda path: os._exit(9) if (path / UNFINISHED).exists() else None)
    child = os.fork() if hasattr(os, "fork") else pytest.skip("needs a fork")
    if child == 0:
        with publish(tmp_path) as stage:
            write_text(stage / "a.txt", "new")
            write_text(stage / "b.txt", "new")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    monkeypatch.undo()
    assert (tmp_path / UNFINISHED).is_dir()
    for path in (tmp_path, tmp_path / "a.txt"):
        assert "a run was killed while it moved its results into" in unfinished(path)
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "b.txt").read_text() == "old"
    assert "warning  a run was killed" in describe(str(tmp_path))
    result(1.0).save(tmp_path / "fit.h5")
    with pytest.warns(pk.PdfkitWarning, match="a run was killed"):
        pk.load_result(tmp_path / "fit.h5")
    (tmp_path / "fit.h5").unlink()
    with folder(tmp_path):
        assert (tmp_path / "a.txt").read_text() == (tmp_path / "b.txt").read_text() == "new"
    assert names(tmp_path) == ["a.txt", "b.txt"]
    assert unfinished(tmp_path) == ""


def test_names_are_tried_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "out" / "fit.h5").mkdir(parents=True)
    (tmp_path / "out" / "ni.cif").write_text("mine")
    with pytest.raises(WriteError, match=r"fit\.h5: this is a folder"), folder(tmp_path / "out", ["fit.h5"]):
        pytest.fail("was computed")
    inputs = [tmp_path / "out" / "ni.cif"]
    with (
        pytest.raises(WriteError, match="would overwrite the input"),
        folder(tmp_path / "out", ["ni.cif"], inputs),
    ):
        pytest.fail("was computed")
    with pytest.raises(WriteError), folder(tmp_path / "new" / "deep", ["x/y.txt"]):
        pytest.fail("was computed")
    assert not (tmp_path / "new").exists()


def test_leftovers_of_killed_runs_go(tmp_path: Path) -> None:
    (tmp_path / ".pdfkit-new-1-abc").mkdir()
    (tmp_path / ".pdfkit-new-1-abc" / "a.txt").write_text("half")
    for name, age in ((".pdfkit-1-a.tmp", 7200), (".pdfkit-1-b.tmp", 60)):
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    with folder(tmp_path):
        pass
    assert names(tmp_path) == [".pdfkit-1-b.tmp"]


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Return a folder with data."""
    import numpy as np

    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20, qdamp=0.04))
    pk.write_pdf(tmp_path / "ni.gr", model(np.arange(0.05, 12, 0.05)))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("plot ni.png -o ni.png", "overwrite the input"),
        ("plot ni.gr -o folder.png", "a folder"),
        ("pattern ball.xyz -o ball.xyz", "overwrite the input"),
        ("pattern ball.xyz -o p.dat --plot", "p.png: this is a folder"),
        ("pattern ball.xyz -o p.png --plot", "name of the picture"),
        ("pattern ball.xyz -o /dev/zero", "a device"),
        ("build sphere Ni.cif 8 -o Ni.cif", "overwrite the input"),
        ("build core-shell CdS_zincblende 8 14 --shell Ni.cif -o Ni.cif", "overwrite the input"),
        ("build candidates Cd13S4 --limit 1 -o ni.gr", "results need a folder"),
        ("simulate Ni.cif --plot -o p.gr", "p.png: this is a folder"),
        ("recipe -o folder.png", "exists"),
        ("bench --quick --out p", "bench.png: this is a folder"),
    ],
)
def test_commands_try_their_targets_first_and_leave_inputs_alone(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, line: str, words: str
) -> None:
    monkeypatch.chdir(prepared)
    monkeypatch.setattr(pk.Model, "__call__", lambda *_: pytest.fail("was computed"))
    monkeypatch.setattr(patterns, "waxs", lambda *_, **__: pytest.fail("was computed"))
    monkeypatch.setattr(runner, "bench", lambda *_, **__: pytest.fail("was measured"))
    pk.io.write_xyz("ball.xyz", pk.build.sphere("Ni", 6))
    pk.write_cif("Ni.cif", pk.load_structure("Ni"))
    (prepared / "ni.png").write_bytes((prepared / "ni.gr").read_bytes())
    for name in ("folder.png", "p.png", "p/bench.png"):
        (prepared / name).mkdir(parents=True)
    before = {file: file.read_bytes() for file in prepared.rglob("*") if file.is_file()}
    done = CliRunner().invoke(app.app, line.split())
    assert isinstance(done.exception, pk.PdfkitError), done.stdout
    assert words in str(done.exception)
    assert {file: file.read_bytes() for file in prepared.rglob("*") if file.is_file()} == before


def test_a_name_of_a_structure_that_comes_along_is_no_file_to_overwrite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app.app, ["simulate", "Ni", "--rmax", "3", "-o", "Ni"]).exit_code == 0
    assert names(tmp_path) == ["Ni"]


# --- text that a terminal obeys --------------------------------------------------------------------------------------


def test_control_characters_become_spaces() -> None:
    evil = "a\x1b]0;title\x07b\x9b31mc\u202ed\re\tf\ng"
    assert _terminal.plain(evil) == "a ]0;title b 31mc d e\tf\ng"
    assert _terminal.plain_json('"\x9b"') == '"\\u009b"'
    assert _terminal.plain("Å⁻¹ – α") == "Å⁻¹ – α"
