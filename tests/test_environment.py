"""Where pdfkit runs: read-only places, closed streams, threads, other systems, other versions."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest

import pdfkit as pk
from pdfkit import _machine
from pdfkit._terminal import captured, quiet
from pdfkit.cli import app
from pdfkit.errors import ReadError
from pdfkit.io.foreign import ASE_FORMATS, read_ase, read_atoms
from pdfkit.io.xyz import clusters
from pdfkit.kernels import _jit
from pdfkit.kernels._compiling import quick

ESCAPE = "\x1b]0;owned\x07\x1b[31m"


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    line = [sys.executable, "-m", "pdfkit", *arguments]
    return subprocess.run(line, text=True, encoding="utf-8", timeout=300, **{"capture_output": True, **options})


# --- compiled code ---------------------------------------------------------------------------------------------------


def double(x: float) -> float:
    return 2.0 * x


@pytest.fixture
def unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_jit, "_said", [])


@pytest.mark.usefixtures("unsaid")
def test_without_a_folder_for_a_cache_kernels_compile_and_say_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core import caching

    for name in dir(caching):
        one = getattr(caching, name)
        if isinstance(one, type) and name.endswith("Locator") and "from_function" in dir(one):
            monkeypatch.setattr(one, "from_function", classmethod(lambda *_: None))
    with pytest.warns(pk.PdfkitWarning, match="compiled code cannot be kept .* NUMBA_CACHE_DIR"):
        first = _jit.kernel(double)
    second = _jit.kernel(double)
    assert first(2.0) == second(2.0) == 4.0


@pytest.mark.usefixtures("unsaid")
def test_a_cache_that_is_full_or_damaged_stops_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import numba

    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path))
    assert _jit.kernel(double)(2.0) == 4.0
    kept = [path for path in tmp_path.rglob("*") if path.suffix in (".nbi", ".nbc")]
    assert len(kept) == 2
    for path in kept:
        path.write_bytes(b"\x80\x04half")
    with pytest.warns(pk.PdfkitWarning, match="compiled code cannot be kept"):
        assert _jit.kernel(double)(2.0) == 4.0

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    _jit._said.clear()
    compiled = _jit.kernel(lambda x: 3.0 * x)
    monkeypatch.setattr(compiled._cache, "_save_overload", full)
    with pytest.warns(pk.PdfkitWarning, match="No space left on device in "):
        assert compiled(2.0) == 6.0


def test_what_the_owner_of_an_installation_compiled_serves_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import importlib.util

    import numba

    source = tmp_path / "installed" / "thrice.py"
    source.parent.mkdir()
    source.write_text("def thrice(x):\n    return 3.0 * x\n")
    spec = importlib.util.spec_from_file_location("thrice", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", "")
    assert _jit.kernel(module.thrice)(2.0) == 6.0
    assert list(source.parent.glob("__pycache__/*.nbc"))
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path / "own"))
    compiled = _jit.kernel(module.thrice)
    assert compiled(2.0) == 6.0
    assert sum(compiled.stats.cache_hits.values()) == 1  # type: ignore[attr-defined]  # numba's dispatcher
    assert not list((tmp_path / "own").rglob("*.nbc"))
    assert compiled(2) == 6.0  # of a type that nobody compiled for
    assert len(list((tmp_path / "own").rglob("*.nbc"))) == 1


def test_compiling_leaves_numba_and_the_collector_as_they_were(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import gc

    import numba
    from numba.core.types.functions import BaseFunction

    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path))
    resolve = BaseFunction.get_call_type
    seen: list[tuple[bool, bool]] = []

    def observed(*_: Any) -> None:
        seen.append((gc.isenabled(), BaseFunction.get_call_type is resolve))

    quick(quick(observed))(())
    with pytest.raises(ZeroDivisionError):
        quick(lambda _: observed() or 1 / 0)(())  # type: ignore[func-returns-value]  # nothing, so the other
    assert seen == [(False, False), (False, False)]
    assert gc.isenabled()
    assert BaseFunction.get_call_type is resolve
    gc.disable()
    try:
        assert _jit.kernel(lambda x: x * x + x)(2.0) == 6.0
        assert not gc.isenabled()  # what the user stopped stays so
    finally:
        gc.enable()


def test_kernels_of_a_fit_compile_once_each(tmp_path: Path) -> None:
    code = (
        "import numpy as np, pdfkit as pk\n"
        "from numba.core.dispatcher import Dispatcher\n"
        "import gc\n"
        "instrument = pk.Instrument(probe='X', qmax=20.0, qdamp=0.03)\n"
        "m = pk.Model(pk.Crystal.from_file('CdS_wurtzite', name='wz', shape=pk.Sphere(40)), instrument)\n"
        "data = m(np.arange(100, 1001) * 0.01)\n"
        "pk.fit(m.with_values({'a': 4.15}), data, free=['scale', 'a', 'Cd.Uiso', 'spdiameter', 'qdamp'])\n"
        "for one in gc.get_objects():\n"
        "    if isinstance(one, Dispatcher) and one.__module__.startswith('pdfkit'):\n"
        "        for signature in one.signatures: print(one.__name__, *signature, sep='; ')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    names = [line.partition(";")[0] for line in lines]
    assert "sum_peaks" in names
    assert sorted(set(names)) == sorted(names), done.stdout
    assert not [line for line in lines if "readonly" in line or "'A'" in line or "Literal" in line], done.stdout
    code += "\nimport sys; print('numba.np.arraymath' in sys.modules)"  # what numba loads before it compiles
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sorted(again.stdout.splitlines()) == sorted([*lines, "False"])  # what is in memory has no order


# --- systems that lack something -------------------------------------------------------------------------------------


def test_clusters_work_where_the_system_does_not_tell_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert _machine.cores() == (os.cpu_count() or 1)
    cluster = pk.Cluster(pk.Particle.from_file(next(iter(clusters()))), "c")
    assert np.isfinite(pk.Model(cluster, pk.Instrument(probe="X", qmax=20))(np.arange(1, 5, 0.1)).G).all()


def test_locks_work_without_fcntl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pdfkit.io._folders import folder_lock

    monkeypatch.setitem(sys.modules, "fcntl", None)
    with folder_lock(tmp_path):
        assert list(tmp_path.glob(".pdfkit-lock-owner"))
    assert not list(tmp_path.glob(".pdfkit-lock-owner"))


def test_the_wheel_says_that_it_is_typed() -> None:
    assert (Path(pk.__file__).parent / "py.typed").is_file()


# --- threads ---------------------------------------------------------------------------------------------------------


def test_what_one_thread_keeps_quiet_others_may_say(capsys: pytest.CaptureFixture[str]) -> None:
    usual = sys.stdout, sys.stderr
    inside, said = threading.Event(), threading.Event()

    def other() -> None:
        inside.wait(60)
        print("from the other")
        said.set()

    thread = threading.Thread(target=other)
    thread.start()
    with quiet() as kept:
        inside.set()
        assert said.wait(60)
        print("from this one")
        warnings.warn("nobody hears this", stacklevel=1)
    thread.join()
    assert kept.getvalue() == "from this one\n"
    assert capsys.readouterr().out == "from the other\n"
    assert (sys.stdout, sys.stderr) == usual


def test_overlapping_captures_leave_the_streams_as_they_were() -> None:
    usual = sys.stdout
    first, second = captured(), captured()
    one = first.__enter__()
    two = second.__enter__()
    first.__exit__(None, None, None)
    print("two")
    second.__exit__(None, None, None)
    assert sys.stdout is usual
    assert (one.getvalue(), two.getvalue()) == ("", "two\n")


@pytest.mark.filterwarnings("ignore:U is missing")
def test_readers_in_threads_leave_the_streams_alone(tmp_path: Path) -> None:
    (tmp_path / "Ni.vasp").write_text("Ni\n1.0\n3.5 0 0\n0 3.5 0\n0 0 3.5\nNi\n1\nDirect\n0 0 0\n")
    pdb = "CRYST1    5.000    5.000    5.000  90.00  90.00  90.00 P 1\n"
    pdb += "ATOM      1 NI   NI  A   1       0.000   0.000   0.000  1.00  0.50          NI\nEND\n"
    (tmp_path / "Ni.pdb").write_text(pdb)
    files = [tmp_path / "Ni.vasp", tmp_path / "Ni.pdb"]
    assert [pk.read_structure(file).sites[0].element for file in files] == ["Ni", "Ni"]  # imports add filters
    usual = sys.stdout, sys.stderr
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(pk.read_structure, files * 60))
    assert len(found) == 120
    assert (sys.stdout, sys.stderr) == usual
    assert warnings.filters == filters


# --- formats of ase --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ASE_FORMATS)
def test_every_format_of_ase_that_is_offered_is_read(tmp_path: Path, kind: str) -> None:
    import ase
    import ase.io

    positions = [[0, 0, 0], [2, 2, 0.1], [0, 2, 2], [2.1, 0, 2]]
    atoms = ase.Atoms("NiONiO", positions=positions, cell=[4.2, 4.3, 4.4], pbc=True)
    path = tmp_path / "structure"
    options = {"espresso-in": {"pseudopotentials": {"Ni": "a", "O": "b"}}, "lammps-data": {"masses": True}}.get(
        kind, {}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ase.io.write(path, atoms, format="extxyz" if kind == "xyz" else kind, **options)
    if kind in ("mol", "sdf"):  # files of molecules, which know no cell
        with pytest.raises(ReadError, match="atoms without a cell"):
            read_ase(path, kind)
        piece, _, _ = read_atoms(path, kind)
        assert piece.get_chemical_symbols() == atoms.get_chemical_symbols()
        np.testing.assert_allclose(piece.get_all_distances(), atoms.get_all_distances(), atol=2e-4)
        return
    with pytest.warns(pk.PdfkitWarning, match="U is missing for 4 atoms"):
        found = read_ase(path, kind)
    np.testing.assert_allclose(found.cell, [4.2, 4.3, 4.4, 90, 90, 90], atol=2e-4)
    assert sorted(site.element for site in found.sites) == ["Ni", "Ni", "O", "O"]
    expected = np.array(sorted(atoms.get_scaled_positions().round(3).tolist()))
    xyz = sorted((np.array([site.xyz for site in found.sites]) % 1).round(3).tolist())
    np.testing.assert_allclose(xyz, expected, atol=2e-3)


# --- the command line where it is not at home ------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_closed_streams_stop_nothing(tmp_path: Path, closed: str) -> None:
    code = 'import sys; from pdfkit.cli.app import main; sys.argv = ["pdfkit", "simulate", "Ni", "-o", "ni.gr"]; main()'
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable!r} -c '{code}' {closed}"], cwd=tmp_path, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout == (b"ni.gr\n" if closed == "2>&-" else b"")
    assert pk.read_pdf(tmp_path / "ni.gr", probe="X").r.size > 100
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable!r} -m pdfkit info none.gr {closed}"], cwd=tmp_path, capture_output=True
    )
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_nobody_can_take_is_said(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = command("structures", stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 2
    assert done.stderr == "error: stdout: No space left on device: what was printed is not complete\n"


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")
def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    line = f"{sys.executable!r} -m pdfkit structures | head -n 1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=120, text=True)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_a_strange_environment_stops_nothing(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "LC_ALL", "MPLCONFIGDIR")}
    environment |= {"MPLBACKEND": "nonsense", "LANG": "C", "XDG_CACHE_HOME": "/dev/null", "TERM": "dumb"}
    done = command("simulate", "Ni", "-o", "ni.gr", "--plot", cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "ni.png").stat().st_size > 1000


def test_warnings_made_errors_leave_remarks_alone(tmp_path: Path) -> None:
    cell = "".join(f"_cell_length_{k} 5\n" for k in "abc")
    cell += "".join(f"_cell_angle_{k} 90\n" for k in ("alpha", "beta", "gamma"))
    items = "".join(f"_atom_site_{k}\n" for k in ("label", "type_symbol", "fract_x", "fract_y", "fract_z"))
    text = f"data_x\n{cell}_symmetry_space_group_name_H-M 'P 1'\nloop_\n{items}Ni1 Ni 0 0 0\n"  # without U
    (tmp_path / "x.cif").write_text(text)
    environment = {**os.environ, "PYTHONWARNINGS": "error::UserWarning"}
    done = command("simulate", "x.cif", "--qmax", "20", "-o", "x.gr", cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert "warning: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a folder in use cannot be deleted elsewhere")
def test_a_working_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "i.iq").write_text("".join(f"{q / 10} {1 + q % 7}\n" for q in range(5, 150)))
    line = f"rmdir {tmp_path}/gone && exec {sys.executable} -m pdfkit reduce {tmp_path}/i.iq -s Ni"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path / "gone", capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr == "error: the folder that this runs in does not exist any more: change to another\n"


def test_a_name_without_end_makes_no_message_without_end(tmp_path: Path) -> None:
    done = command("plot", f"{'n' * 900}.gr", cwd=tmp_path)
    assert done.returncode == 2
    assert "nnn" in done.stderr
    assert len(done.stderr) < 500
    assert done.stderr.endswith("cannot be written (File name too long): give a shorter one\n")


# --- text that a terminal obeys --------------------------------------------------------------------------------------


def test_escape_sequences_do_not_reach_the_terminal(tmp_path: Path) -> None:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20))
    pk.write_pdf(tmp_path / "ni.gr", model(np.arange(1, 6, 0.05)))
    text = (tmp_path / "ni.gr").read_text()
    (tmp_path / f"a{ESCAPE}.gr").write_text(f"# note = {ESCAPE}\n{text}")
    recipe = f"title = {json.dumps(ESCAPE)}\n"
    recipe += 'data = {file = "ni.gr"}\nphase = [{name = "ni", structure = "Ni"}]\nfit = {free = ["scale"]}\n'
    (tmp_path / "fit.toml").write_text(recipe)
    shown = []
    for arguments in (["info", f"a{ESCAPE}.gr"], ["info", f"b{ESCAPE}.gr"], ["info", "fit.toml"], ["fit", "fit.toml"]):
        done = forked.run(*arguments, folder=tmp_path)
        shown += [done.stdout, done.stderr]
    shown.append((tmp_path / "pdfkit-out" / "fit" / "report.txt").read_text())
    for one in shown:
        assert "\x1b" not in one
        assert "\x07" not in one
    assert "Traceback" not in "".join(shown)


# --- interruptions ---------------------------------------------------------------------------------------------------


def test_an_interruption_says_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from pdfkit.io import _atomic

    monkeypatch.setattr(_atomic, "WRITTEN", {})
    assert app._written() == "no file was changed"
    _atomic.WRITTEN.update(dict.fromkeys(["a", "b", "c", "d"]))
    assert app._written() == "written before, and whole: a, b, c and 1 more; no other file was changed"


@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_screening_that_is_stopped_says_what_it_left(tmp_path: Path, number: int, word: str) -> None:
    import screens

    pk.write_pdf(tmp_path / "data.gr", screens.measurement())
    (tmp_path / "all").mkdir()
    for k, particle in enumerate(screens.shaken(60)):
        if isinstance(particle, pk.Particle):
            pk.io.write_xyz(tmp_path / "all" / f"{k:02d}.xyz", particle)
    line = ["screen", "data.gr", "all", "--out", "run", "--workers", "1"]  # several: test_killed
    with forked.Command(line, tmp_path) as running:
        journal = tmp_path / "run" / "screen.jsonl"
        while not (journal.exists() and journal.read_bytes().count(b"\n") > 1) and running.poll() is None:
            threading.Event().wait(0.01)
        if running.poll() is not None:
            pytest.skip("it was faster than its observer")
        running.send_signal(number)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 128 + number
    last = f"{word}: written before, and whole: run/screen.jsonl; no other file was changed"
    assert err.splitlines()[-1] == last  # lines of progress may stand before
    assert "Traceback" not in err
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["screen.jsonl"]


def test_streams_are_opened_where_they_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    app._open_streams()
    assert isinstance(sys.stderr, io.TextIOBase)
    with sys.stderr as stream:
        print("nobody reads this", file=stream)


def test_modules_import_without_what_only_posix_has() -> None:
    # In a process of its own: a module that is imported anew in this one would stand beside itself in later tests.
    code = (
        "import sys\n"
        "for name in ('fcntl', 'resource'): sys.modules[name] = None\n"
        "import pdfkit.io._folders, pdfkit.benchmarking.timing"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
