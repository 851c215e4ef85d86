"""Reductions of many files: what the folder says stays true when runs are killed, repeated, or two at once."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import forked
import numpy as np
import pytest

import pdfkit as pk
from pdfkit.cli.reductions import reduce_command
from pdfkit.errors import ReadError, WriteError
from pdfkit.io import _atomic, intensity
from pdfkit.io._folders import folder_lock
from pdfkit.plot.reductions import reduction
from pdfkit.reduction import batch, journal
from pdfkit.scattering import form_factor

Q = np.arange(0.8, 20.0, 0.02)


@pytest.fixture(scope="module")
def level() -> np.ndarray:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20, qdamp=0.05))
    return np.asarray(form_factor("Ni", "X", Q) ** 2 * model.sq(Q).S)


@pytest.fixture
def folder(tmp_path: Path, level: np.ndarray) -> Path:
    for i in range(12):
        put(tmp_path / f"scan_{i}.iq", level, 1.0 + 0.1 * i)
    return tmp_path


def put(path: Path, level: np.ndarray, scale: float, offset: float = 0.0) -> Path:
    np.savetxt(path, np.c_[Q, scale * level + offset], fmt="%.8f")
    return path


def run(folder: Path, *names: str, **settings: object) -> list[journal.Reduced]:
    files = [str(folder / name) for name in names] or str(folder / "*.iq")
    return pk.reduce_files(
        files, folder / "out", **{"composition": "Ni", "rmax": 10.0, "picture": reduction, **settings}
    )


def table(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "out" / "reductions.csv").open(encoding="utf-8", newline="") as stream:
        return {Path(row["file"]).name: row for row in csv.DictReader(stream)}


def test_one_file_more_leaves_the_other_rows(folder: Path) -> None:
    run(folder)
    before = table(folder)
    assert list(before) == [f"scan_{i}.iq" for i in range(12)]  # scan_10 after scan_9
    run(folder, "scan_3.iq", qmax=18.0)
    after = table(folder)
    assert after.pop("scan_3.iq")["scale"] != ""
    assert after == {name: row for name, row in before.items() if name != "scan_3.iq"}
    assert all(row["scale"] for row in after.values())


def test_a_bad_input_is_one_row_among_the_others(folder: Path) -> None:
    run(folder, "scan_0.iq", "scan_1.iq")
    (folder / "bad.iq").write_text("1 2\n2 x\n", encoding="utf-8")
    with pytest.raises(pk.PdfkitError, match=r"bad\.iq, line 2"):
        reduce_command([folder / "bad.iq"], folder / "out", composition="Ni")
    assert {name: row["status"] for name, row in table(folder).items()} == {
        "bad.iq": "failed",
        "scan_0.iq": "done",
        "scan_1.iq": "done",
    }


def test_what_an_input_that_went_bad_leaves_is_said(folder: Path, level: np.ndarray) -> None:
    run(folder, "scan_0.iq")
    (folder / "scan_0.iq").write_text("nothing\n", encoding="utf-8")
    (row,) = run(folder, "scan_0.iq")
    assert row.status == "failed"
    assert row.message.endswith("(older results are left: scan_0.gr)")
    put(folder / "scan_0.iq", level, 1.0)
    assert run(folder, "scan_0.iq")[0].status == "done"


def test_one_file_under_two_names_is_reduced_once(folder: Path) -> None:
    rows = run(folder, "scan_0.iq", "../" + folder.name + "/scan_0.iq")
    assert [Path(row.file).name for row in rows] == ["scan_0.iq"]


def test_results_of_another_file_of_the_same_name_are_not_replaced_silently(folder: Path, level: np.ndarray) -> None:
    run(folder, "scan_0.iq")
    (folder / "other").mkdir()
    put(folder / "other" / "scan_0.iq", level, 3.0)
    (row,) = run(folder, "other/scan_0.iq")
    assert any("these results replace those of" in text for text in row.warnings)
    (again,) = run(folder, "other/scan_0.iq", qmax=18.0)
    assert not any("replace" in text for text in again.warnings)


def test_a_missing_input_is_said_in_words(folder: Path) -> None:
    (row,) = run(folder, "none.iq")
    assert row.status == "failed"
    assert "none.iq: no such file" in row.message


@pytest.mark.parametrize("what", ["data", "background", "settings", "picture", "damage"])
def test_what_has_changed_is_done_again(folder: Path, level: np.ndarray, what: str) -> None:
    empty = put(folder / "empty.dat", 0 * level, 1.0, 5.0)
    text = f"# Q(A-1) I\n{empty.read_text(encoding='utf-8')}"
    empty.write_text(text, encoding="utf-8")
    kinds = ("gr", "png") if what in ("data", "picture") else ("gr", "sq")
    other = f"scan_0.{kinds[1]}"
    settings: dict[str, object] = {"background": empty, "outputs": kinds}
    run(folder, "scan_0.iq", "scan_1.iq", **settings)
    out = folder / "out"
    first = (out / other).read_bytes(), (out / "scan_0.gr").read_bytes()
    assert [row.status for row in run(folder, "scan_0.iq", "scan_1.iq", **settings)] == ["kept", "kept"]
    if what == "data":
        put(folder / "scan_0.iq", level, 3.0, 8.0)
    elif what == "background":
        empty.write_text(text.replace(" 5.0", " 9.0"), encoding="utf-8")
    elif what == "settings":
        settings["qmax"] = 17.0
    else:
        (out / ("scan_0.png" if what == "picture" else "scan_0.gr")).write_bytes(b"something else")
    rows = run(folder, "scan_0.iq", "scan_1.iq", **settings)
    assert rows[0].status == "done"
    assert rows[1].status == ("done" if what in ("background", "settings") else "kept")
    again = (out / other).read_bytes(), (out / "scan_0.gr").read_bytes()
    assert (again == first) == (what in ("picture", "damage"))


def test_a_picture_of_before_does_not_stay_beside_a_new_G(folder: Path) -> None:
    run(folder, "scan_0.iq", outputs=("gr", "png"))
    before = (folder / "out" / "scan_0.png").read_bytes()
    run(folder, "scan_0.iq", outputs=("gr",), qmax=15.0)
    assert (folder / "out" / "scan_0.png").read_bytes() != before
    assert run(folder, "scan_0.iq", outputs=("png",), qmax=15.0)[0].status == "kept"


def test_a_picture_that_nobody_can_draw_anew_is_deleted_and_said(folder: Path) -> None:
    run(folder, "scan_0.iq", outputs=("gr", "png"))
    (row,) = run(folder, "scan_0.iq", qmax=15.0, picture=None)
    assert not (folder / "out" / "scan_0.png").exists()
    assert any("give picture= to have it drawn anew" in text for text in row.warnings)
    with pytest.raises(pk.PdfkitError, match='"png" needs a function that draws it'):
        run(folder, "scan_0.iq", outputs=("png",), picture=None)


def test_settings_without_a_text_of_their_own_are_compared(folder: Path) -> None:
    factors = np.linspace(1, 2, Q.size)
    common = {"method": "physical", "wavelength": 0.2}
    assert run(folder, "scan_0.iq", absorption=factors, **common)[0].status == "done"
    assert run(folder, "scan_0.iq", absorption=factors.copy(), **common)[0].status == "kept"
    factors[Q.size // 2] += 0.1  # numpy shows only the ends of so long an array
    assert run(folder, "scan_0.iq", absorption=factors, **common)[0].status == "done"
    for _ in range(2):  # nobody can compare functions
        assert run(folder, "scan_0.iq", absorption=lambda q: 1 + 0 * q, **common)[0].status == "done"


def test_a_table_without_a_journal_is_taken_up(folder: Path) -> None:
    run(folder)
    before = table(folder)
    (folder / "out" / "reductions.jsonl").unlink()
    run(folder, "scan_5.iq")
    after = table(folder)
    assert list(after) == list(before)
    assert after["scan_7.iq"]["scale"] == before["scan_7.iq"]["scale"]


def test_half_a_line_and_a_damaged_one_cost_their_files_only(folder: Path) -> None:
    names = [f"scan_{i}.iq" for i in range(4)]
    run(folder, *names)
    path = folder / "out" / "reductions.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b'"done"', b"done")
    path.write_bytes(b"\n".join(lines[:4]) + b"\n" + lines[4][:70])
    assert [row.status for row in run(folder, *names)] == ["kept", "done", "kept", "done"]
    assert [row.status for row in run(folder, *names)] == ["kept"] * 4


WRITER = """
import sys
from pathlib import Path
from pdfkit.reduction import journal
for i in range(300):
    journal.append(Path.cwd(), journal.Entry(journal.Reduced(f"{sys.argv[1]}{i}.iq", "done", "x" * 900)))
"""


def test_what_two_processes_write_at_once_is_whole(tmp_path: Path) -> None:
    journal.begin(tmp_path)
    both = [subprocess.Popen([sys.executable, "-c", WRITER, name], cwd=tmp_path) for name in "ab"]
    assert [one.wait() for one in both] == [0, 0]
    path = tmp_path / journal.JOURNAL
    with path.open("ab") as file:  # what one leaves that meets the other in the middle of a line
        file.write(b"\n")
    journal.append(tmp_path, journal.Entry(journal.Reduced("c.iq", "done")))
    lines = path.read_bytes().split(b"\n")[1:]
    assert len([json.loads(line) for line in lines if line]) == 601
    expected = {f"{name}{i}" for name in "ab" for i in range(300)} | {"c"}
    assert set(journal.read(tmp_path)) == set(journal.begin(tmp_path)) == expected


def test_a_foreign_file_is_no_journal(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "reductions.jsonl").write_text("my notes\n", encoding="utf-8")
    with pytest.raises(ReadError, match="not the record of such a run"):
        run(folder, "scan_0.iq")
    assert (folder / "out" / "reductions.jsonl").read_text(encoding="utf-8") == "my notes\n"


def test_two_runs_into_one_folder_are_refused(folder: Path) -> None:
    (folder / "out").mkdir()
    script = "import sys, time; from pdfkit.io._folders import folder_lock\nwith folder_lock(sys.argv[1]):\n" \
             " print('held', flush=True); time.sleep(60)"  # fmt: skip
    other = subprocess.Popen([sys.executable, "-c", script, str(folder / "out")], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(pk.PdfkitError, match=r"is in use by another run.*give it all of them"):
            run(folder, "scan_0.iq")
    finally:
        other.kill()
        other.wait()
        assert other.stdout is not None
        other.stdout.close()
    with folder_lock(folder / "out"):  # the same thread may
        assert run(folder, "scan_0.iq")[0].status == "done"


def test_a_full_disk_stops_the_run_and_keeps_what_is_finished(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, written = _atomic.write_bytes, []

    def full(path: object, data: bytes) -> Path:
        if str(path).endswith(".gr"):
            if len(written) == 5:
                try:
                    raise OSError(28, os.strerror(28))
                except OSError:
                    raise WriteError(f"{path}: cannot be written (no space): check it") from None
            written.append(path)
        return plain(path, data)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(_atomic, "write_bytes", full)
        with pytest.raises(WriteError, match=r"scan_\d+\.gr: cannot be written.*; 5 of 12 files are finished and kept"):
            run(folder)
    assert len(table(folder)) == 5
    statuses = [row.status for row in run(folder)]
    assert sorted(statuses) == ["done"] * 7 + ["kept"] * 5


def test_an_input_that_grows_while_it_is_read_is_not_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = intensity.read_intensity

    def growing(path: str, **options: object) -> pk.Intensity:
        found = plain(path, **options)  # type: ignore[arg-type]
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(f"{Q[-1] + 0.02:.8f} 3.0\n")
        return found

    monkeypatch.setattr(batch, "read_intensity", growing)
    (row,) = run(folder, "scan_0.iq")
    assert row.status == "failed"
    assert "changed while it was read" in row.message
    assert not (folder / "out" / "scan_0.gr").exists()


def test_a_background_that_changed_is_read_again_in_one_process(folder: Path, level: np.ndarray) -> None:
    scales = []
    for offset in (0.3, 3.0):
        put(folder / "empty.iq", 0 * level, 1.0, offset)
        (row,) = run(folder, "scan_0.iq", background=folder / "empty.iq")
        scales.append(row.diagnostics["background share"])
    assert scales[1] == pytest.approx(10 * scales[0])


def test_remarks_travel_to_G(folder: Path, level: np.ndarray) -> None:
    np.savetxt(folder / "si.dat", np.c_[Q, level], header="Q I")
    with pytest.warns(pk.PdfkitWarning, match="Q without a unit"):
        done = pk.reduce(folder / "si.dat", composition="Ni")
    said = [text for text in done.sq.remarks if "amplitude" not in text]
    assert len(said) == 1
    assert done.to_pdf().remarks == done.sq.remarks


def test_what_is_odd_about_the_background_is_said_of_every_file(folder: Path, level: np.ndarray) -> None:
    put(folder / "empty.dat", 0 * level, 1.0, 0.3)
    with pytest.warns(pk.PdfkitWarning, match="Q in Å⁻¹ is assumed"):
        rows = run(folder, "scan_0.iq", "scan_1.iq", background=folder / "empty.dat")
    assert [[text for text in row.warnings if "Å⁻¹ is assumed" in text] != [] for row in rows] == [True, True]


def test_remains_of_killed_runs_are_cleared(folder: Path) -> None:
    (folder / "out").mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    old, alive = (folder / "out" / f".pdfkit-{process}-0a0b0c0d.tmp" for process in (dead.pid, os.getpid()))
    old.write_bytes(b"half")
    alive.write_bytes(b"half")
    run(folder, "scan_0.iq")
    assert alive.exists()
    assert old.exists() == (os.name != "posix")


def test_any_failure_is_an_exit_code_and_a_line(folder: Path) -> None:
    (folder / "bad.iq").write_text("1 2\n2 x\n", encoding="utf-8")
    done = forked.run("reduce", "scan_0.iq", "bad.iq", "-s", "Ni", "-o", "out", folder=folder)
    assert done.returncode == 2
    assert done.stderr == f"error: 1 of 2 files could not be reduced: {Path('out', 'reductions.csv')} has the reasons\n"
    assert "bad.iq: failed" in done.stdout


class Deadly(str):
    """The name of a file that ends the process that is told it."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (1,)

    def __deepcopy__(self, _: object) -> str:
        return str(self)


def test_a_file_that_ends_a_worker_is_one_row_and_the_others_go_on(folder: Path) -> None:
    files = [str(folder / f"scan_{i}.iq") for i in range(6)]
    files[2] = Deadly(files[2])
    rows = pk.reduce_files(files, folder / "out", composition="Ni", rmax=10.0, workers=2)
    assert [row.status for row in rows] == ["done", "done", "failed", "done", "done", "done"]
    assert "scan_2.iq: the worker process that computed it ended" in rows[2].message
    assert table(folder)["scan_2.iq"]["status"] == "failed"
    assert [row.status for row in run(folder, *(f"scan_{i}.iq" for i in range(6)))] == [
        *["kept"] * 2, "done", *["kept"] * 3
    ]  # fmt: skip


def test_any_executor_reduces_and_one_that_breaks_says_so(folder: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        assert [row.status for row in run(folder, executor=threads)] == ["done"] * 12
    with pytest.raises(pk.PdfkitError, match=r"takes no more work .*: run again with the same out="):
        run(folder, executor=threads, qmax=18.0)
    with pytest.raises(pk.PdfkitError, match="executor is int: give"):
        run(folder, executor=3)
