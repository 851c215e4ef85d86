"""Every table of the package: aligned text for terminals, HTML for notebooks, CSV and data frames for programs."""

from __future__ import annotations

import csv
import html
import io
import math
import textwrap
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pandas import DataFrame

WIDTH = 100
# A cell that is wrapped in its own column needs so many characters; in less room it goes below the others.
_ROOM = 40
_LEFT = "text-align:left;vertical-align:top"

Rows = Sequence[Sequence[str]]

# --- Text ------------------------------------------------------------------------------------------------------------


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for each character of Chinese, Japanese and Korean."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def aligned(
    rows: Rows, *, right: Collection[int] = (), indent: str = "", widest: float = math.inf, width: float = WIDTH
) -> list[str]:
    """Return each row as text, two blanks between columns; columns without any text are left out.

    right : columns of numbers, which end together. widest : cells beyond it do not widen their column. A last cell that
    leads beyond `width` goes on in lines below.
    """
    if not rows:
        return []
    widths = [max((w for w in map(columns_of, column) if w <= widest), default=0) for column in zip(*rows, strict=True)]
    shown = [k for k, column in enumerate(zip(*rows, strict=True)) if any(column)]
    return [_row(row, widths, shown, right, indent, width) for row in rows]


def _row(
    row: Sequence[str], widths: Sequence[int], shown: Sequence[int], right: Collection[int], indent: str, width: float
) -> str:
    blanks = [" " * (room - columns_of(cell)) for cell, room in zip(row, widths, strict=True)]
    cells = [blanks[k] + row[k] if k in right else row[k] + blanks[k] for k in shown]
    lead, last = indent + "".join(f"{cell}  " for cell in cells[:-1]), "".join(cells[-1:]).rstrip()
    room = width - columns_of(lead)
    if columns_of(last) <= room:
        return (lead + last).rstrip()
    if room >= _ROOM:
        return lead + f"\n{' ' * columns_of(lead)}".join(_wrap(last, int(room)))
    return "\n".join([lead.rstrip(), *(" " * 8 + piece for piece in _wrap(last, WIDTH - 8))])


def _wrap(text: str, room: int) -> list[str]:
    return textwrap.wrap(text, room, break_on_hyphens=False)


def wrapped(text: str, indent: str = "", hanging: str = "  ") -> str:
    """Return text in lines of 100 columns, further ones indented by `hanging`."""
    lines = textwrap.wrap(" ".join(text.split()), WIDTH, initial_indent=indent, subsequent_indent=indent + hanging)
    return "\n".join(lines)


def shortened(text: str, room: int) -> str:
    """Return text cut in the middle to what has room."""
    half = room // 2 - 1
    return text if len(text) <= room else f"{text[:half]}…{text[-half:]}"


# --- Text and HTML from the same sections ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """A heading, a table (first row: heads of the columns; the last column may wrap) and lines of text under it."""

    heading: str
    rows: tuple[tuple[str, ...], ...] = ()
    lines: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the section as text of 100 columns."""
        rows = [row for row in self.rows if any(row)]
        return "\n".join([wrapped(self.heading), *aligned(rows, indent="  "), *(wrapped(t, "  ") for t in self.lines)])

    def html(self) -> str:
        """Return the section as HTML; every text is escaped."""
        heading = f"<p style='margin-bottom:0.2em'><strong>{html.escape(self.heading)}</strong></p>"
        parts = [heading] if self.heading else []
        shown = [column for column in zip(*self.rows, strict=True) if any(column)]
        if shown:
            heads, *rows = zip(*shown, strict=True)
            head = f"<thead>{_cells(heads, 'th')}</thead>" if any(heads) else ""
            parts.append(f"<table>{head}{''.join(_cells(row, 'td') for row in rows)}</table>")
        return "".join([*parts, *(f"<p style='margin:0.2em 0'>{html.escape(line)}</p>" for line in self.lines)])


def _cells(row: Iterable[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag} style={_LEFT!r}>{html.escape(cell)}</{tag}>' for cell in row)}</tr>"


def view(*sections: Section) -> str:
    """Return sections as what a notebook shows of a value."""
    return f'<div class="pdfkit">{"".join(section.html() for section in sections)}</div>'


def shortlist(heading: str, heads: Sequence[str], rows: Rows, remarks: Iterable[str] = (), most: int = 40) -> Section:
    """Return a table of not more than so many rows as a section, remarks under it."""
    more = [f"… and {len(rows) - most} more"] if len(rows) > most else []
    lines = (*more, *(f"Remark: {text}" for text in remarks))
    return Section(heading, (tuple(heads), *(tuple(row) for row in rows[:most])), lines)


def facts(heading: str, pairs: Mapping[str, str], remarks: Iterable[str] = ()) -> str:
    """Return names and what is known of each, where anything is, as what a notebook shows of a value."""
    rows = [(name, text) for name, text in pairs.items() if text]
    return view(shortlist(heading, ("", ""), rows, remarks))


# --- For programs ----------------------------------------------------------------------------------------------------


def csv_text(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return columns as CSV: numbers to the last bit, nothing for what is not known."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(value) for value in row] for row in zip(*columns.values(), strict=True))
    return stream.getvalue()


def _plain(value: Any) -> Any:
    """Return a cell of CSV, where NaN is nothing and a number of numpy is one of Python."""
    value = value.item() if hasattr(value, "item") else value
    return "" if isinstance(value, float) and math.isnan(value) else value


def by_column(records: Iterable[Mapping[str, Any]], first: Iterable[str] = ()) -> dict[str, list[Any]]:
    """Return records as columns in order of first appearance, None where a record has no such entry."""
    rows = list(records)
    names = dict.fromkeys([*first, *(name for row in rows for name in row)])
    return {name: [row.get(name) for row in rows] for name in names}


def frame(columns: Mapping[str, Any]) -> DataFrame:
    """Return columns as a `pandas.DataFrame`; PdfkitError where pandas is not installed."""
    try:
        from pandas import DataFrame
    except ImportError:
        raise PdfkitError(
            "to_dataframe needs pandas, which is not installed: pip install pandas, or pdfkit-scattering[dataframe]"
        ) from None
    return DataFrame(dict(columns))
