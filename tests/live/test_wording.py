"""What the page says, in its own words: no option of a command, no argument of a function."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pdfkit as pk
from pdfkit.workbench.wording import in_page

ELSEWHERE = ("cli", "benchmarking", "verification", "reduction", "series", "screening", "trajectories", "build")
"""Rooms that no page enters."""
FOREIGN = re.compile(r"(?<![\w-])--[a-z]|(?<![\w.])(?:qmax|qmin|qdamp|probe|window|rmin|rmax|kind|r_unit|composition)=")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("is taken (--qmax 21.5 for the other)", "is taken (qmax 21.5 under Data for the other)"),
        ("X-rays are assumed (--probe N for neutrons)", "X-rays are assumed (probe N under Data for neutrons)"),
        ("give --rmin and --rmax", "give rmin and rmax under the plot"),
        ("stay (--free +x,+y,+z to vary them)", "stay (tick Free at x, y, z to vary them)"),
        ("Measure one (--preset calibrate on Ni)", "Measure one (a fit of a standard with qdamp free)"),
        ("give qmax= in Å⁻¹, or qmin=0", "give qmax under Data in Å⁻¹, or qmin 0 under Data"),
        (
            'this is g(r): give kind="g" and rho0= to convert it',
            'this is g(r): give kind = "g" and rho0 to convert it. '
            "Write kind and rho0 into a recipe, under [data], and open that",
        ),
        ("a=b.gr, run--x.gr, S(Q) = 1: as they are", "a=b.gr, run--x.gr, S(Q) = 1: as they are"),
    ],
)
def test_options_and_arguments_are_called_by_their_controls(text: str, words: str) -> None:
    assert in_page(text) == words


def test_no_sentence_of_pdfkit_speaks_to_the_shell_in_a_page() -> None:
    found = dict(sentences())
    assert sum(bool(FOREIGN.search(text)) for text in found) > 50
    assert {text: where for text, where in found.items() if FOREIGN.search(in_page(text))} == {}


def sentences() -> Iterator[tuple[str, str]]:
    """Yield what errors and remarks may say: texts of several words, with a number for each value in them."""
    home = Path(pk.__file__).parent
    for path in sorted(home.rglob("*.py")):
        if path.relative_to(home).parts[0] in ELSEWHERE:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        silent |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if id(node) in silent or not isinstance(node, ast.JoinedStr | ast.Constant):
                continue
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(str(one.value) if isinstance(one, ast.Constant) else "7" for one in parts)
            if text.count(" ") > 2 and "\n" not in text and "<" not in text:
                yield text, f"{path.name}, line {node.lineno}"
