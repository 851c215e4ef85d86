"""Every table of the package: aligned, wrapped, escaped, and as CSV and data frames."""

from __future__ import annotations

import csv
import io
import math
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdfkit import _table
from pdfkit._table import Section, aligned, by_column, columns_of, csv_text, facts, frame, shortened, wrapped
from pdfkit.errors import PdfkitError

CELLS = st.text(st.characters(categories=("L", "N", "P", "S")), max_size=12)
ROWS = st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=6))


def test_columns_begin_and_end_together() -> None:
    rows = [("", "Rw", "", "k"), ("zinc blende", "0.1", "", "5"), ("wz", "0.23", "", "12")]
    assert aligned(rows, right={1, 3}, indent=" ") == [
        "                Rw   k",
        " zinc blende   0.1   5",
        " wz           0.23  12",
    ]
    assert aligned([]) == []
    assert aligned([("", ""), ("", "")]) == ["", ""]


@given(rows=ROWS)
def test_every_cell_is_shown_where_its_column_is(rows: list[list[str]]) -> None:
    columns = list(zip(*rows, strict=True))
    shown = [k for k, column in enumerate(columns) if any(column)]
    lines = aligned(rows, width=math.inf)
    assert len(lines) == len(rows)
    begin = 0
    for k in shown:
        for row, line in zip(rows, lines, strict=True):
            before = next(i for i in range(len(line) + 1) if columns_of(line[:i]) >= begin or i == len(line))
            assert line[before:].startswith(row[k].rstrip())
        begin += max(map(columns_of, columns[k])) + 2


def test_wide_characters_take_two_columns() -> None:
    assert columns_of("硒化镉 CdSe") == 11
    assert columns_of("é") == columns_of("é") == 1
    assert aligned([("硒化镉", "1"), ("CdSe", "2")]) == ["硒化镉  1", "CdSe    2"]


def test_long_last_cells_go_on_below() -> None:
    text = " ".join(["word"] * 40)
    in_column = aligned([("key", text), ("long key", "x")])[0].splitlines()
    assert max(map(len, in_column)) <= 100
    assert all(line.startswith(" " * 10 + "word") for line in in_column[1:])
    below = aligned([("k" * 70, text)])[0].splitlines()
    assert below[0] == "k" * 70
    assert all(line.startswith(" " * 8 + "word") and len(line) <= 100 for line in below[1:])
    assert len(aligned([("key", text)], width=math.inf)[0].splitlines()) == 1
    assert aligned([("k" * 30, "a"), ("k", "b")], widest=24) == [f"{'k' * 30}  a", "k  b"]


def test_text_is_wrapped_and_shortened() -> None:
    lines = wrapped("word " * 40, "  ").splitlines()
    assert max(map(len, lines)) <= 100
    assert [line[:5] for line in lines] == ["  wor", "    w", "    w"]
    assert shortened("x" * 10, 10) == "x" * 10
    assert len(shortened("abcdefghijkl", 10)) <= 10


class _Seen(HTMLParser):
    """Tags and text of a piece of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


@given(text=st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1))
def test_html_shows_text_as_it_is(text: str) -> None:
    seen = _Seen(facts(text, {text: text, "nothing": ""}, [text]))
    assert seen.said == [text, text, text, f"Remark: {text}"]
    assert seen.tags == ["div", "p", "strong", "table", "tr", "td", "td", "p"]
    assert not seen.open


def test_sections_say_the_same_as_text_and_html() -> None:
    section = Section("heading", (("name", "value"), ("a", "1"), ("<b>", "2")), ("a line",))
    assert section.text() == "heading\n  name  value\n  a     1\n  <b>   2\n  a line"
    assert " ".join(_Seen(section.html()).said).split() == section.text().split()


def test_csv_is_read_back() -> None:
    columns = {"name": ["a,b", 'say "x"'], "value": [0.1 + 0.2, math.nan], "count": [np.int64(3), None]}
    rows = list(csv.reader(io.StringIO(csv_text(columns))))
    assert rows == [["name", "value", "count"], ["a,b", "0.30000000000000004", "3"], ['say "x"', "", ""]]


def test_records_become_columns() -> None:
    found = by_column([{"a": 1}, {"b": 2, "a": 3}], first=["name"])
    assert found == {"name": [None, None], "a": [1, 3], "b": [None, 2]}


def test_frames_keep_columns_and_kinds() -> None:
    found = frame({"r": np.arange(3.0), "name": ["a", "b", "c"]})
    assert list(found.columns) == ["r", "name"]
    assert found["r"].dtype == np.float64


def test_without_pandas_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(PdfkitError, match="pip install pandas"):
        _table.frame({})
