"""The attack tool finds nothing in its first cases, and finds what is there to be found."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from pdfkit.errors import ReadError

TOOL = Path(__file__).with_name("fuzz.py")


@pytest.mark.parametrize(
    ("options", "processes"),
    [
        ("--count 120 --seed 3", 1),
        ("--count 40 --seed 3 --meaning", 1),
        pytest.param("--count 2000 --seed 4", 2, marks=pytest.mark.slow),
        pytest.param("--count 500 --seed 4 --meaning", 2, marks=pytest.mark.slow),
    ],
)
def test_attacks_find_nothing(options: str, processes: int) -> None:
    """`python tests/fuzz.py --first N --count 1` with the other options runs a case again."""
    words = options.split()
    parts = [
        subprocess.Popen([sys.executable, TOOL, *words, "--first", str(first)], stdout=subprocess.PIPE, text=True)
        for first in range(0, processes * int(words[1]), int(words[1]))
    ]
    for part in parts:
        said, _ = part.communicate(timeout=600)
        assert part.returncode == 0, said
        assert f"{words[1]} attacks" in said


def test_the_tool_sees_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sys.path.insert(0, str(TOOL.parent))
    import fuzz

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fuzz, "GIGABYTES", float("inf"))  # this process may have run all other tests before
    monkeypatch.setattr(fuzz, "_read", lambda name: 1 / 0)
    assert "ZeroDivisionError" in fuzz.attack(fuzz.Case(0, "read", "a.gr", b"1 2")).fault

    def long(name: str) -> None:
        error = fuzz.pk.PdfkitError("a.gr")
        error.args = ("a.gr " + "x" * 501,)  # errors shorten themselves
        raise error

    monkeypatch.setattr(fuzz, "_read", long)
    assert "message of" in fuzz.attack(fuzz.Case(0, "read", "a.gr", b"1 2")).fault

    def nameless(name: str) -> None:
        raise fuzz.pk.PdfkitError("no")

    monkeypatch.setattr(fuzz, "_read", nameless)
    assert "without the file" in fuzz.attack(fuzz.Case(0, "read", "a.gr", b"1 2")).fault

    def leaves(name: str) -> None:
        Path("half.gr").write_text("1 2")
        raise ReadError("a.gr", "no")

    monkeypatch.setattr(fuzz, "_read", leaves)
    assert "half.gr" in fuzz.attack(fuzz.Case(0, "read", "a.gr", b"1 2")).fault
    monkeypatch.setattr(fuzz, "_read", lambda name: None)
    assert fuzz.attack(fuzz.Case(0, "read", "a.gr", b"1 2")) == fuzz.Outcome(0, "", "well")


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.toml", "a.cfg"])
def test_mutants_by_meaning_stay_well_formed_and_differ(name: str) -> None:
    sys.path.insert(0, str(TOOL.parent))
    import fuzz_meaning

    texts = {".toml": fuzz_meaning.RECIPE, ".cfg": "qmax = 11\nrpoly = 0.9\n"}
    text = texts.get(Path(name).suffix, json.dumps({"a": [1, 2.5, {"b": "c"}], "type": "model"}))
    made = [fuzz_meaning.mutant(random.Random(k), name, text.encode()).decode() for k in range(200)]
    assert len(set(made)) > 100
    if name.endswith(("json", "jsonl")):
        assert json.loads(text) not in [json.loads(one) for one in made[:1]]
        for one in made:
            json.loads(one)
    assert made == [fuzz_meaning.mutant(random.Random(k), name, text.encode()).decode() for k in range(200)]
