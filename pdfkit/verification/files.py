"""Files as people have them: one row an input, with the number that was meant and why.

The rows stand in `tests/field/<area>.toml` (in the package when installed); `pdfkit verify --files` runs them all.
A row names a file with its text (or a maker of it), asks one question about it, and holds the right answer with its
reason; or it says how the input must be refused. What was assumed on the way must be said in a remark, and where
nothing was assumed nothing may be said.
"""

from __future__ import annotations

import importlib
import math
import re
import tempfile
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from pdfkit.errors import PdfkitError, PdfkitWarning
from pdfkit.verification.checks import Check

TOPIC = "input files"
MODULES = ("structures", "symmetry", "elements", "cif", "curves", "intensities", "settings")


class WrongAnswerError(AssertionError):
    """An input was not read as it was meant."""


@dataclass(frozen=True)
class Row:
    """One input: its text or maker, the question, and the answer that was meant (or how it must be refused)."""

    area: str
    name: str
    why: str
    file: str = ""
    text: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    make: str = ""
    of: Mapping[str, Any] = field(default_factory=dict)
    ask: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    right: Any = None
    within: float = 1e-9
    remark: tuple[str, ...] = ()
    refused: str = ""

    @classmethod
    def of_table(cls, area: str, table: Mapping[str, Any]) -> Row:
        """Return the row of a TOML table."""
        values = {("options" if key == "with" else key): value for key, value in table.items()}
        said = values.pop("remark", ())
        row = cls(area=area, remark=(said,) if isinstance(said, str) else tuple(said), **values)
        if not (row.name and row.why and row.ask) or (row.right is None) == (not row.refused):
            raise ValueError(f"{area}: row {row.name!r} needs name, why, ask, and either right or refused")
        if not row.make and not (row.file and row.text):
            raise ValueError(f"{area}: row {row.name!r} needs file and text, or make")
        return row


def folder() -> Path:
    """Return where the rows are: in the package when installed, among the tests in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_shipped" / "field"
    return installed if installed.is_dir() else package.parent / "tests" / "field"


@lru_cache(maxsize=1)
def rows() -> tuple[Row, ...]:
    """Return every row of every area."""
    out = []
    for path in sorted(folder().glob("*.toml")):
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("row", [])
        out += [Row.of_table(path.stem, table) for table in tables]
    return tuple(out)


def checks() -> list[Check]:
    """Return the rows as rows of `pdfkit verify`."""
    return [
        Check(TOPIC, f"{row.area}: {row.name}", _meant(row), row.within, row.why, partial(measure, row))
        for row in rows()
    ]


def _meant(row: Row) -> str:
    text = f"refused: {row.refused}" if row.refused else f"{row.ask} = {row.right}"
    return text if len(text) <= 44 else text[:43] + "…"


def measure(row: Row) -> float:
    """Return how far the answer is from the right one (0 for words that agree); WrongAnswerError otherwise."""
    with tempfile.TemporaryDirectory() as where:
        path = _put(row, Path(where))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found, error = _answer(row, path)
    texts = [str(one.message) for one in said if issubclass(one.category, PdfkitWarning)]
    others = [str(one.message) for one in said if not issubclass(one.category, PdfkitWarning)]
    if others:
        raise WrongAnswerError(f"a warning that pdfkit did not give: {others[0]}")
    if row.refused:
        return _refusal(row, found, error)
    if error is not None:
        raise error
    _check_remarks(row, texts)
    return difference(found, row.right)


def _put(row: Row, where: Path) -> Path:
    for name, text in row.files.items():
        (where / name).write_text(text, encoding="utf-8")
    if row.make:
        return Path(_known("MAKERS", row.make)(where, **row.of))
    path = where / row.file
    path.write_text(row.text, encoding="utf-8")
    return path


def _answer(row: Row, path: Path) -> tuple[Any, PdfkitError | None]:
    try:
        return _known("QUESTIONS", row.ask)(path, **row.options), None
    except PdfkitError as error:
        return None, error


def _refusal(row: Row, found: Any, error: PdfkitError | None) -> float:
    if error is None:
        raise WrongAnswerError(f"was not refused: {row.ask} = {found}")
    if not re.search(row.refused, str(error), re.IGNORECASE | re.DOTALL):
        raise WrongAnswerError(f"was refused with another message: {error}")
    return 0.0


def _check_remarks(row: Row, texts: list[str]) -> None:
    if not row.remark and texts:
        raise WrongAnswerError(f"no remark was expected, but this was given: {texts[0]}")
    for wanted in row.remark:
        if not any(re.search(wanted, text, re.IGNORECASE | re.DOTALL) for text in texts):
            raise WrongAnswerError(f"no remark says {wanted!r}; said: {texts}")


def difference(found: Any, right: Any) -> float:
    """Return the largest difference of numbers in two answers of the same form; WrongAnswerError if they are not."""
    if _is_number(found) and _is_number(right):
        return 0.0 if found == right or (math.isnan(found) and math.isnan(right)) else abs(float(found) - float(right))
    if isinstance(found, Mapping) and isinstance(right, Mapping) and set(found) == set(right):
        return max((difference(found[key], right[key]) for key in right), default=0.0)
    if isinstance(found, list | tuple) and isinstance(right, list | tuple) and len(found) == len(right):
        return max(map(difference, found, right), default=0.0)
    if type(found) is type(right) and found == right:
        return 0.0
    raise WrongAnswerError(f"found {found!r}, right is {right!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _known(kind: str, name: str) -> Callable[..., Any]:
    for table in _tables(kind):
        if name in table:
            return table[name]
    raise ValueError(f"no {kind.lower()[:-1]} is called {name!r}")


def _tables(kind: str) -> Iterator[Mapping[str, Callable[..., Any]]]:
    for module in MODULES:
        try:
            yield getattr(importlib.import_module(f"pdfkit.verification.questions.{module}"), kind, {})
        except ModuleNotFoundError:
            continue
