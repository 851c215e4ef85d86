"""The attack tool finds nothing in its first 2,000 cases, and finds what is there to be found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).with_name("fuzz.py")


def test_two_thousand_attacks_find_nothing() -> None:
    """Two processes, 1,000 each; `python tests/fuzz.py --first N --count 1` runs a case again."""
    halves = [
        subprocess.Popen(
            [sys.executable, TOOL, "--count", "1000", "--first", str(first), "--seed", "3"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in (0, 1000)
    ]
    for half in halves:
        said, _ = half.communicate(timeout=600)
        assert half.returncode == 0, said
        assert "1000 attacks" in said


def test_the_tool_sees_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sys.path.insert(0, str(TOOL.parent))
    import fuzz

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fuzz, "GIGABYTES", float("inf"))  # this process may have run all other tests before
    monkeypatch.setattr(fuzz, "_read", lambda name: 1 / 0)
    assert "ZeroDivisionError" in fuzz.attack(fuzz.Case(0, "read", "a.gr", b"1 2")).fault

    def long(name: str) -> None:
        raise fuzz.pk.PdfkitError("a.gr " + "x" * 501)  # a ReadError shortens itself

    monkeypatch.setattr(fuzz, "_read", long)
    assert "message of" in fuzz.attack(fuzz.Case(0, "read", "a.gr", b"1 2")).fault

    def nameless(name: str) -> None:
        raise fuzz.pk.PdfkitError("no")

    monkeypatch.setattr(fuzz, "_read", nameless)
    assert "without the file" in fuzz.attack(fuzz.Case(0, "read", "a.gr", b"1 2")).fault

    def leaves(name: str) -> None:
        Path("half.gr").write_text("1 2")
        raise fuzz.pk.ReadError("a.gr", "no")

    monkeypatch.setattr(fuzz, "_read", leaves)
    assert "half.gr" in fuzz.attack(fuzz.Case(0, "read", "a.gr", b"1 2")).fault
    monkeypatch.setattr(fuzz, "_read", lambda name: None)
    assert fuzz.attack(fuzz.Case(0, "read", "a.gr", b"1 2")) == fuzz.Outcome(0, "", "well")
