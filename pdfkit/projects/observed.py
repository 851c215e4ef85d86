"""Data as a project keeps them: a header that PDFgui writes, and columns r, G, dr, dG."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError

# Points, and characters of a header, beyond which a text is no G(r).
MOST_POINTS, _HEADER = 500_000, 100_000
_NUMBER = r"([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)"
_START = re.compile(r"^#+ start data[^\n]*\n(?:[ \t]*#[^\n]*\n)*", re.MULTILINE)
_METADATA = re.compile(r"^#+ +metadata\b[^\n]*$", re.MULTILINE)
_PAIR = re.compile(rf"\b(\w+) *= *{_NUMBER}")


@dataclass(frozen=True, eq=False)
class Observed:
    """A data set as it was measured, and what of its header is no matter of the instrument."""

    pdf: PDF
    dscale: float
    spdiameter: float
    metadata: dict[str, float]


def read_observed(text: str, name: str) -> Observed:
    """Return the data in the text that PDFgui keeps of them. PdfkitError for a text that holds none."""
    found = _START.search(text)
    header, body = (text[: found.start()], text[found.end() :]) if found else _split(text)
    top, _, below = header[:_HEADER].partition("\n# metadata")
    said = {key.lower(): float(value) for key, value in _PAIR.findall(top)}
    metadata = {key: float(value) for key, value in _PAIR.findall(below)}
    metadata = {key: value for key, value in metadata.items() if math.isfinite(value)}
    instrument = Instrument(
        probe=_probe(top),
        qmax=said.get("qmax") or math.inf,  # PDFgui's 0 means that nothing is cut
        qdamp=abs(said.get("qdamp", said.get("qsig", 0.001))),  # their squares count
        qbroad=abs(said.get("qbroad", said.get("qalp", 0.0))),
    )
    r, G, dG = _columns(body, name)
    pdf = PDF(r, G, dG, instrument=instrument, name=name, temperature=metadata.get("temperature"))
    return Observed(pdf, said.get("dscale", 1.0), said.get("spdiameter", 0.0), metadata)


def _split(text: str) -> tuple[str, str]:
    """Return header and rows of a file that does not say where they start: at the first line with a number."""
    first = re.search(rf"^[ \t]*{_NUMBER}", text, re.MULTILINE)
    return (text, "") if first is None else (text[: first.start()], text[first.start() :])


def _probe(header: str) -> str:
    """Return the probe by PDFgui's rule: X-rays, unless the header speaks of neutrons alone."""
    if re.search("x-?ray|PDFgetX", header, re.IGNORECASE):
        return "X"
    return "N" if re.search("neutron|PDFgetN", header, re.IGNORECASE) else "X"


def _columns(body: str, name: str) -> tuple[Array, Array, Array | None]:
    if body.count("\n") > MOST_POINTS:
        raise PdfkitError(f"the data of {name} have more than {MOST_POINTS} points: is this the right file?")
    rows = [line.split() for line in body.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    try:
        r, G = (np.array([float(row[k]) for row in rows]) for k in (0, 1))
        errors = np.array([float(row[3]) if len(row) > 3 else 0.0 for row in rows])
    except (ValueError, IndexError):
        raise PdfkitError(f"the data of {name} have a row that is not r and G: they are damaged") from None
    if r.size < 2:
        raise PdfkitError(f"the data of {name} are not in the project: load them again in PDFgui and save it")
    return r, G, errors if (errors > 0).all() and np.isfinite(errors).all() else None
