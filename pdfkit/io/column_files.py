"""Plain columns with names: what tables of results are written as, and read back from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.io import _header
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.io._grid import check_finite
from pdfkit.io._text import read_table, split_labels


def read_columns(path: AnyPath) -> tuple[tuple[str, ...], Array, Mapping[str, str]]:
    """Return (names, values, header) of a text file: m names, (n, m) values, header as in `read_pdf`.

    Names are those of a `#L` line, else of the last comment line when it has one name per column, else
    "column 1"….

    Raises ReadError, with the line, when the file is missing, damaged, or holds NaN or infinities.

    Example
    -------
    >>> import tempfile
    >>> import pdfkit as pk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.write_columns(f"{folder}/rate.txt", ["hours", "fraction"], [[0, 2, 4], [1.0, 0.6, 0.4]], ["T = 320"])
    ...     names, values, header = pk.read_columns(f"{folder}/rate.txt")
    >>> names, values[:, 1].tolist(), header["T"]
    (('hours', 'fraction'), [1.0, 0.6, 0.4], '320')
    """
    table = read_table(path)
    width = table.data.shape[1]
    names = table.labels
    if len(names) != width:
        above = [text for number, text in table.header if number < table.lines[0]]
        names = split_labels(_header.body(above[-1])) if above else ()
    if len(names) != width:
        names = tuple(f"column {i + 1}" for i in range(width))
    for name, column in zip(names, table.data.T, strict=True):
        check_finite(table, column, name)
    return names, _checks.array("values", table.data, ndim=2), _header.collect(table.header)


def write_columns(
    path: AnyPath, names: Sequence[str], columns: Sequence[Any], header_lines: Iterable[str] = ()
) -> None:
    """Write columns of equal length as text: `# ` header lines, a `#L` line of names, rows in full precision.

    Raises
    ------
    PdfkitError : names and columns do not match, a name has blanks or separators, a value is not finite.
    WriteError : the file cannot be written; an old one is then unchanged.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pdfkit as pk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.write_columns(f"{folder}/rate.txt", ["hours", "fraction"], [[0, 2, 4], [1.0, 0.6, 0.4]], ["T = 320"])
    ...     print(Path(folder, "rate.txt").read_text())
    # T = 320
    #L hours fraction
    0.0 1.0
    2.0 0.6
    4.0 0.4
    """
    if len(names) != len(columns) or len(names) < 2:
        raise PdfkitError(f"{len(names)} names for {len(columns)} columns: give at least two columns, one name each")
    for name in names:
        if split_labels(name) != (name,) or "\n" in name or name.startswith("#"):
            raise PdfkitError(f"the column name {name!r} would not be read back: use one word, without , ; or quotes")
    values = [_checks.array(name, column) for name, column in zip(names, columns, strict=True)]
    for name, column in zip(names, values, strict=True):
        if column.size != values[0].size or not column.size:
            message = f"column {name} has {column.size} rows and {names[0]} has {values[0].size}: they must match"
            raise PdfkitError(f"{message}, with at least one row")
    # A zero byte would make the file pass for binary.
    parts = [part for line in header_lines for part in str(line).replace("\0", "").splitlines()]
    lines = [f"# {part}".rstrip() for part in parts]
    lines.append("#L " + " ".join(names))
    lines += [" ".join(map(repr, row)) for row in np.column_stack(values).tolist()]
    write_text(path, "\n".join(lines) + "\n")
