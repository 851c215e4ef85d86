"""`pdfkit verify`: everything agrees here, and what is wrong is found."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest

import pdfkit as pk
from pdfkit.cli.checks import verify
from pdfkit.verification.checks import Check, run
from pdfkit.verification.report import TOPICS, Verification, _all_checks


@pytest.fixture(scope="module")
def report() -> Verification:
    return pk.verify()


def test_everything_agrees(report: Verification) -> None:
    assert not report.failed, report.table()
    assert report.ok
    assert tuple(dict.fromkeys(row.topic for row in report.rows)) == TOPICS
    assert len({(row.topic, row.name) for row in report.rows}) == len(report.rows) > 50
    for row in report.rows:
        assert row.reason
        assert row.skipped or 0 <= row.measured <= row.bound


def test_the_table_has_every_row_and_a_summary(report: Verification) -> None:
    lines = report.table().splitlines()
    assert len(lines) == len(report.rows) + 2 * len(TOPICS) + 3 + len({row.reason for row in report.rows})
    assert max(len(line) for line in lines[:-1]) <= 110
    assert "0 fail" in lines[-1]
    assert str(report) == report.table()


def failing(*names: str) -> set[str]:
    """Run the checks of these names alone; return those that fail."""
    rows = [run(check) for check in _all_checks() if check.name in names]
    assert len(rows) == len(names)
    return {row.name for row in rows if not row.ok}


def wrong(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, change: Any) -> None:
    monkeypatch.setattr(module, name, change(getattr(module, name)))


def test_peaks_too_high_by_a_millionth_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from pdfkit.kernels import peaks

    def change(good: Any) -> Any:
        def bad(*args: Any) -> None:
            good(*args)
            args[-1][...] *= 1 + 1e-6

        return bad

    wrong(monkeypatch, peaks, "sum_peaks", change)
    names = ("cubic crystal", "triclinic crystal", "two atoms in r", "Debye–Waller", "cluster against Debye")
    assert failing(*names, "Debye sum, direct") == set(names)


def test_a_pair_too_many_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from pdfkit.kernels import counting

    def change(good: Any) -> Any:
        def bad(*args: Any) -> None:
            good(*args)
            args[-1][np.argmax(args[-1][:, 0]), 0] += 1

        return bad

    wrong(monkeypatch, counting, "distance_histogram", change)
    assert failing("pairs, direct", "pairs, exact", "pairs, lattice (FFT)") == {"pairs, direct"}


def test_a_wrong_shape_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(good: Any) -> Any:
        return lambda self, r: good(self, r * 1.0001)

    wrong(monkeypatch, pk.Sphere, "gamma0", change)
    names = ("γ₀ of a sphere", "γ₀ of a sphere, ∫", "γ₀ of a sphere, slope")
    assert failing(*names, "γ₀ of a rod, ∫") == set(names)


def test_a_wrong_number_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from pdfkit.verification import peers

    monkeypatch.setattr(peers, "_strengths", lambda probe, program: {"Cd": 4.83, "S": 2.86})
    names = ("DiffPy-CMI, neutrons", "PDFfit2, neutrons", "PDFfit2, two phases")
    assert failing(*names, "DiffPy-CMI, cluster") == set(names)


def test_a_check_that_breaks_or_finds_no_number_fails() -> None:
    def broken() -> float:
        raise ZeroDivisionError("division by zero")

    row = run(Check("t", "n", "c", 1.0, "r", broken))
    assert not row.ok
    assert row.note == "ZeroDivisionError: division by zero"
    assert not run(Check("t", "n", "c", 1.0, "r", lambda: math.nan)).ok


def test_without_pdffit2_rows_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import diffpy

    monkeypatch.setitem(sys.modules, "diffpy.pdffit2", None)
    monkeypatch.delattr(diffpy, "pdffit2", raising=False)
    found = pk.verify("PDFfit2 live")
    assert found.ok
    assert all(row.skipped and row.note.startswith("not installed") for row in found.rows)
    assert "3 had nothing to compare with" in found.table()


def test_unknown_topics_are_refused() -> None:
    with pytest.raises(pk.PdfkitError, match="nothing"):
        pk.verify("nothing")


def test_the_command_returns_text_and_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    pk.verify("stored curves", tell=lambda done, total, name: seen.append(f"{done}/{total} {name}"))
    assert seen[0] == "0/9 stored curves: DiffPy-CMI, no cut"
    printed = verify(["stored curves"])
    assert printed.code == 0
    assert printed.text.startswith("stored curves\n  ok   DiffPy-CMI, no cut")
    monkeypatch.setattr("pdfkit.verification.peers._stored", lambda key: math.nan)
    from typer.testing import CliRunner

    from pdfkit.cli.app import app

    done = CliRunner().invoke(app, ["verify", "--topic", "stored curves", "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["rows"][0]["measured"] is None


def test_the_command_line_ends_with_1_when_a_row_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from pdfkit.cli.app import app

    done = CliRunner().invoke(app, ["verify", "--topic", "stored curves"])
    assert done.exit_code == 0
    assert "9 agree, 0 fail" in done.stdout
    monkeypatch.setattr("pdfkit.verification.peers._stored", lambda key: 1.0)
    done = CliRunner().invoke(app, ["verify", "--topic", "stored curves"])
    assert done.exit_code == 1
    assert "FAIL" in done.stdout


COUNT = """
import importlib, pkgutil
from numba.core.dispatcher import Dispatcher
from pdfkit import kernels, verify
verify()
for info in pkgutil.iter_modules(kernels.__path__):
    module = importlib.import_module(f"pdfkit.kernels.{info.name}")
    for name, one in vars(module).items():
        if isinstance(one, Dispatcher) and one.py_func.__module__ == module.__name__:
            print(name, len(one.signatures))
"""


def test_every_kernel_is_compiled_once(tmp_path: Path) -> None:
    # A second specialisation, of an array that is read-only or in Fortran's order, doubles what a user waits for once.
    done = forked.run(folder=tmp_path, before=COUNT)
    assert done.returncode == 0, done.stderr
    counts = {name: int(count) for name, count in map(str.split, done.stdout.splitlines())}
    assert sum(counts.values()) >= 15
    assert [name for name, count in counts.items() if count > 1] == []
