"""Every public name has an example in its docstring, and what the example prints is what the code gives."""

from __future__ import annotations

import doctest
import inspect
import io
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pdfkit as pk
from pdfkit import benchmarking, errors, model, screening, series, structure

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def public() -> Iterator[tuple[str, Any]]:
    """Yield the public names, those of the modules among them included, with what they stand for."""
    modules = {name: value for name in pk.__all__ if inspect.ismodule(value := getattr(pk, name))}
    for name in pk.__all__:
        if name not in modules:
            yield name, getattr(pk, name)
    below = {
        module.__name__.split(".")[1]: module for module in (benchmarking, errors, model, screening, series, structure)
    }
    for stem, module in {**modules, **below}.items():
        for name in entries(module):
            value = getattr(module, name)
            if callable(value) and value is not getattr(pk, name, None):
                yield f"{stem}.{name}", value


def entries(module: ModuleType) -> list[str]:
    """Return what a module offers: its `__all__`, or what it defines without an underscore."""
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__ and n[0] != "_"]
    return list(getattr(module, "__all__", own))


NAMES = dict(public())


@pytest.mark.parametrize("name", NAMES)
def test_docstring_has_an_example(name: str) -> None:
    doc = inspect.getdoc(NAMES[name]) or ""
    assert ">>>" in doc, f"{name} has no example"
    # The documentation makes a section of this heading.
    assert "\nExample\n-------\n>>> " in doc, f"the example of {name} is not under the heading Example"
    assert "pdfkit" in doc.split("\nExample\n-------\n")[1], f"the example of {name} does not import pdfkit"


@pytest.mark.parametrize("name", NAMES)
def test_example_prints_what_it_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner, report = doctest.DocTestRunner(optionflags=OPTIONS), io.StringIO()
    # Nothing is given to the examples: each imports what it uses. Those of methods run with their class.
    for test in doctest.DocTestFinder(exclude_empty=True).find(NAMES[name], name, globs={}):
        runner.run(test, out=report.write)
    if runner.failures:
        pytest.fail(report.getvalue(), pytrace=False)
    assert not list(tmp_path.iterdir()), "the example leaves files behind"
