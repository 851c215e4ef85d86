"""What labels and header lines call the first column of a powder pattern: Q, 2θ, d, or none of these."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pdfkit.errors import ReadError
from pdfkit.io import _header
from pdfkit.io._text import NUMBER, Table, split_labels

UNITS = ("A-1", "nm-1", "2theta", "2theta-rad", "centidegrees", "d", "1/d", "sin(theta)/lambda")
SPOKEN = {
    "A-1": "Q in Å⁻¹",
    "nm-1": "Q in nm⁻¹",
    "Q": "Q without a unit",
    "2theta": "2θ in degrees",
    "2theta-rad": "2θ in radians",
    "centidegrees": "2θ in hundredths of a degree",
    "d": "d in Å",
    "1/d": "1/d in Å⁻¹",
    "sin(theta)/lambda": "sin θ/λ in Å⁻¹",
}
FOREIGN = {
    "tof": "a time of flight: convert it to d or Q with the constants of the instrument",
    "energy": "an energy: convert it to Q with the scattering angle",
    "distance": "a distance on the detector: integrate again with Q or 2θ as the axis",
    "azimuth": "an azimuth, so this is no powder pattern: integrate over it, with Q or 2θ as the axis",
    "theta": 'θ, not 2θ: double it, or give unit="2theta" if 2θ is meant',
    "s": 's, which may be 2 sin θ/λ (give unit="1/d"), or Q (give unit="A-1" or unit="nm-1")',
    "other": "something other than Q, 2θ or d in their usual units: convert it to Q",
}
_TWO_THETA = r"(?:2|two)[\W_]{0,3}th(?:eta?)?(?![a-z])|(?<![a-z])t?tth(?:eta)?(?![a-z])|ttheta|2\W{0,2}[θϑ]"
# In this order: the first that matches is meant.
_FORMS: tuple[tuple[str, str], ...] = (
    ("other", r"log|d\*|q\^2|q²|sqrt|\*\*2|\^2|^(?:frame|index|no|number|point|pt|run|scan|time|temp\w*|row)(?![a-z])"),
    ("sin(theta)/lambda", r"sin\W*(?:th(?:eta)?|θ)\W*(?:/|over)\W*(?:lambda|λ|wavelength)|(?<![a-z])stol(?![a-z])"),
    ("tof", r"(?<![a-z])t\.?o\.?f(?![a-z])|time\W?of\W?flight|[µμ]s(?![a-z])|microsec|(?<![a-z])usec"),
    ("centidegrees", r"centi\W?deg|cdeg|deg\w*\W*[*x×]\W*100|1/100\W*deg"),
    ("2theta", _TWO_THETA),
    ("energy", r"(?<![a-z])energy|(?<![a-z])[km]?ev(?![a-z])"),
    ("distance", r"radial\W?dist|(?<![a-z])r_m?m(?![a-z])|(?<![a-z])mm(?![a-z])|pixel|(?<![a-z])pix|channel"),
    ("azimuth", r"azim|(?<![a-z])chi\W?_?\W?(?:deg|rad|angle)|χ"),
    ("theta", r"(?<![a-z])theta(?![a-z])|[θϑ]"),
    ("1/d", r"1\s*/\s*d(?![a-z])|(?<![a-z])d\W{0,2}-1"),
    ("d", r"d\W?_?spac|^d(?![a-z])|dhkl"),
    ("s", r"^s\W{0,2}[\(\[]|^s$"),
    ("Q", r"(?<![a-z])q(?![a-z])|qspace|momentum|scattering.?vector|wave.?vector"),
    ("2theta", r"\bangle|degree|(?<![a-z])deg(?![a-z])|°"),
)
_NM = r"nm|nanomet"
_A = r"å|ang|(?<![a-z])aa?(?![a-z])"
_METRES = r"(?<![a-z])(?:m|pm|cm|um|µm)\W{0,3}-1|1/(?:m|pm|cm)(?![a-z])"
_INVERSE = rf"(?:{_NM}|{_A})\W{{0,4}}-1|1\s*/\s*\W?(?:{_NM}|{_A})|inv\w*\W*(?:{_NM}|{_A})|(?:å|nm)⁻¹"
# A key whose value names the axis.
_KEY = re.compile(
    r"(?:integration_?space|x[\s_\-]?(?:units?|axis|label|scale)|(?:radial|q|axis)[\s_]?units?|units?|axis|abscissa|"
    r"column[\s_]?(?:1|one))\s*[=:]\s*(.+)",
    re.IGNORECASE,
)
_INTENSITY = re.compile(r"[\s,;|/]+\(?(?:i|int\w*|counts?|cps|y|yobs|sigma|esd|error|normali[sz]ed)\b.*", re.IGNORECASE)
_A_FILE = re.compile(r"[/\\]\w|\.(?:tiff?|edf|cbf|h5|nxs|poni|dat|chi|xye?|txt|raw|mask|img)\b", re.IGNORECASE)
_BANK = re.compile(rf"BANK\s+\d+\s+\d+\s+\d+\s+(\w+)\s+({NUMBER})?\s*({NUMBER})?.*?([A-Z]*)\s*$", re.IGNORECASE)


class Hint(NamedTuple):
    """What something in the file takes the first column for, and what that is, in words."""

    unit: str
    source: str


def named(text: str) -> str | None:
    """Return the unit ("Q" where Q has none) or the key of `FOREIGN` that a label means; None when it says nothing."""
    text = re.sub(r"[${}\\]|mathrm|textrm", "", text.lower().replace("\u212b", "å")).strip()
    if text in ("qa", "qnm"):
        return {"qa": "A-1", "qnm": "nm-1"}[text]
    for unit, form in _FORMS:
        if re.search(form, text):
            return _with_unit(unit, text)
    if re.search(_INVERSE, text):
        return "nm-1" if re.search(_NM, text) else "A-1"
    return None


def _with_unit(unit: str, text: str) -> str:
    if unit == "2theta":
        return "2theta-rad" if re.search(r"(?<![a-z])rad(?!ial)", text) and "deg" not in text else unit
    if unit in ("d", "1/d", "sin(theta)/lambda"):
        return "other" if re.search(_NM, text) else unit
    if unit == "Q":
        if re.search(_METRES, text):
            return "other"
        return "nm-1" if re.search(_NM, text) else "A-1" if re.search(_A, text.replace("qspace", "")) else "Q"
    return unit


def said(table: Table, facts: _header.Facts) -> list[Hint]:
    """Return what label, axis line and keys say outright; free text counts only where these are silent."""
    labelled = list(_labelled(table))
    found = [*labelled, *_keys(facts), *_bank(table, facts)]
    if not labelled and (hint := _dataformat(facts)) is not None:
        found.append(hint)
    return found or list(_free_text(table))


def columns(table: Table) -> tuple[str, ...]:
    """Return the names of the columns: of the `#L` line, Fit2D's lines, or a last line with one for each column."""
    width = table.data.shape[1]
    above = [text for number, text in table.header if number < table.lines[0]]
    above = [text for text in above if _header.body(text).lower() != "start data"]
    if any(re.match(r"#\s*L\s", text) for text in above):
        return table.labels
    if len(above) == 4 and not above[1].startswith(("#", "!", "%")) and above[3].strip().isdigit():
        return (above[1].strip(), above[2].strip())  # title, axis, "Intensity", count
    last = _header.body(above[-1]) if above else ""
    for names in (re.split(r"\s*[,;\t]\s*", last.strip()), split_labels(last)):
        if len(names) == width and all(names) and not re.search(r"[=:]", last):
            return tuple(names)
    return table.labels


def _labelled(table: Table) -> Iterator[Hint]:
    above = [text for number, text in table.header if number < table.lines[0]]
    names = columns(table)
    texts = [names[0]] if names else [_INTENSITY.sub("", _header.body(above[-1]))] if above else []
    for text in texts:
        unit = None if _KEY.match(text) or "=" in text or len(text) > 60 else named(text)
        if unit is not None:
            yield Hint(unit, f"the label {text.strip()[:40]!r}")


def _keys(facts: _header.Facts) -> Iterator[Hint]:
    for _, text in facts.lines:
        match = _KEY.fullmatch(text.strip())
        if not match or _A_FILE.search(match[1]):
            continue
        value = match[1].strip()
        unit = named(value)
        if text.lower().startswith("integration"):
            # SrXplanar's qspace is in Å⁻¹.
            unit = {"qspace": "A-1", "twotheta": "2theta"}.get(value.lower(), unit)
        elif unit is None:
            unit = (
                "nm-1" if re.match(r"nm|nanomet", value, re.I) else "A-1" if re.fullmatch(_A, value.lower()) else None
            )
        if unit is not None:
            yield Hint(unit, f"the line {text.strip()[:40]!r}")


def _dataformat(facts: _header.Facts) -> Hint | None:
    """Return what PDFgetX3 was told of its input; what it writes has a label of its own."""
    word = facts.word("dataformat") or ""
    unit = {"qa": "A-1", "qnm": "nm-1", "twotheta": "2theta"}.get(word)
    return None if unit is None else Hint(unit, f"the line 'dataformat = {word}'")


def _bank(table: Table, facts: _header.Facts) -> Iterator[Hint]:
    """Yield what a GSAS BANK line says: CONST is 2θ in hundredths of a degree, other binnings are times of flight."""
    for line, text in facts.lines:
        match = _BANK.match(text.strip())
        if not match:
            continue
        if match[1].upper() != "CONST":
            yield Hint("tof", f"the line {text.strip()[:30]!r}")
            return
        if match[4].upper() not in ("FXYE", "FXY", "XYE"):
            raise ReadError(
                table.path,
                "intensities in GSAS's packed form (no column of 2θ): export the pattern as FXYE or xye",
                line,
            )
        yield Hint("centidegrees", f"the line {text.strip()[:30]!r}")
        first = float(match[2] or "nan")
        if abs(100 * float(table.data[0, 0]) - first) < 0.01 * first:  # SrXplanar writes degrees below such a line
            yield Hint("2theta", f"the first row, {table.data[0, 0]:g}, against {first:g} in that line")
        return


def _free_text(table: Table) -> Iterator[Hint]:
    for number, text in table.header:
        if number >= table.lines[0] or "=" in text or len(text) >= 80 or _A_FILE.search(text):
            continue
        unit = named(_header.body(text)) if re.search(rf"{_TWO_THETA}|{_INVERSE}", text, re.IGNORECASE) else None
        if unit is not None:
            yield Hint(unit, f"the line {_header.body(text)[:40]!r}")


def between_the_lines(table: Table, facts: _header.Facts, step: float) -> list[Hint]:
    """Return what the step of the axis and the name of the file suggest."""
    found = []
    steps = {"2theta": facts.number("tthstepd"), "A-1": facts.number("qstep")}
    close = [unit for unit, value in steps.items() if value and abs(step - value) < 0.01 * value]
    if len(close) == 1:
        key = "tthstepd" if close[0] == "2theta" else "qstep"
        found.append(Hint(close[0], f"its step, {step:.4g}, which is {key} in the header"))
    name = Path(table.path).name.lower()
    for unit, form in (("A-1", r"_qspace|\.q(?:chi|ye)$"), ("2theta", r"_?two_?theta|_2?tth?(?![a-z])|_2theta")):
        if re.search(form, name):
            found.append(Hint(unit, f"the file name {name[-40:]!r}"))
    return found
