"""One run at a time in a folder, and worker processes that follow their parent."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import pdfkit as pk
from pdfkit.errors import WriteError
from pdfkit.io import _folders
from pdfkit.io._folders import NAME, InUseError, folder_lock

HOLDER = """
import sys, time
from pdfkit.io._folders import folder_lock
with folder_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""

PARENT = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pdfkit._workers import start_worker
if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=get_context(sys.argv[1]), initializer=start_worker) as pool:
        print(*{pool.submit(os.getpid).result() for _ in range(2)}, flush=True)
        list(pool.map(time.sleep, [60, 60]))
"""


def gone(pid: int, seconds: float = 60.0) -> bool:
    """Return whether a process ends in time; one that has ended and that nobody has waited for has ended."""
    due = time.monotonic() + seconds
    while time.monotonic() < due:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_lock_goes_with_the_run_and_may_be_taken_again_inside(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        about = json.loads((tmp_path / NAME).read_text())
        assert about["process"] == os.getpid()
        with folder_lock(tmp_path / "." / ""):
            assert (tmp_path / NAME).exists()
        assert (tmp_path / NAME).exists()
    assert not list(tmp_path.iterdir())
    with folder_lock(tmp_path):
        pass


def test_another_thread_waits_for_its_turn(tmp_path: Path) -> None:
    said = []

    def other() -> None:
        try:
            with folder_lock(tmp_path):
                said.append("held")
        except InUseError as error:
            said.append(str(error))

    with folder_lock(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(said) == 1
    assert "another run of this program" in said[0]


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_another_process_is_named_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(pk.PdfkitError, match=rf"in use by another run \(process {holder.pid}, since 2.*\): wait"),
            folder_lock(tmp_path),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
    assert (tmp_path / NAME).exists()
    with folder_lock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_where_the_file_system_locks_nothing_the_file_is_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_folders, "_try_lock", lambda _: None)
    owner = tmp_path / f"{NAME}-owner"
    with folder_lock(tmp_path):
        assert json.loads(owner.read_text())["process"] == os.getpid()
    assert not owner.exists()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    about = {"process": dead.pid, "machine": socket.gethostname(), "since": "2026-01-01T00:00:00+00:00"}
    owner.write_text(json.dumps(about))
    with folder_lock(tmp_path):
        assert json.loads(owner.read_text())["process"] == os.getpid()
    owner.write_text(json.dumps({**about, "process": os.getpid()}))
    with pytest.raises(InUseError, match=f"process {os.getpid()}, since"), folder_lock(tmp_path):
        pass
    owner.write_text(json.dumps({**about, "machine": "elsewhere"}))
    with pytest.raises(InUseError, match=r"on elsewhere.*delete .*-owner"), folder_lock(tmp_path):
        pass
    owner.write_text("")
    with pytest.raises(InUseError, match="in use by another run: wait"), folder_lock(tmp_path):
        pass


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(pk.PdfkitError, match=r"cannot be written \(No such file"), folder_lock(tmp_path / "none"):
        pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_end_with_their_parent(tmp_path: Path, method: str) -> None:
    script = tmp_path / "run.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, str(script), method], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(word) for word in parent.stdout.readline().split()]
        assert workers
        assert not any(gone(pid, 0.1) for pid in workers)
        parent.send_signal(signal.SIGKILL)
    assert all(gone(pid) for pid in workers)


def test_a_disk_too_full_for_a_lock_says_so_and_keeps_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_folders.os, "ftruncate", full)
    with pytest.raises(WriteError, match="No space left on device"), folder_lock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())
