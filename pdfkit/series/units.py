"""Units as headers, file names and tables write them behind a number."""

from __future__ import annotations

import math
import re

KELVIN = ("temperature", "temp", "T")
"""What is in K where nothing else is said."""
_SPELT = {
    "K": ("kelvin", "degK", "deg K", "degrees K"), "mK": (),
    "°C": ("C", "degC", "deg C", "deg. C", "degrees C", "celsius"),
    "°F": ("F", "degF", "deg F", "degrees F", "fahrenheit"), "s": ("sec", "seconds"), "ms": (), "min": ("minutes",),
    "h": ("hr", "hours"), "d": ("days",), "Pa": (), "kPa": (), "MPa": (), "GPa": (), "bar": (),
    "mbar": (), "kbar": (), "V": (), "mV": (), "A": (), "mA": (), "mAh": (), "m": (), "mm": (), "µm": ("um", "μm"),
    "cm": (), "nm": (), "°": ("deg", "degrees"), "%": (), "mM": (), "M": (), "mol": (), "eV": (), "keV": (), "MGy": (),
}  # fmt: skip
UNITS = {word: unit for unit, others in _SPELT.items() for word in (unit, *others)}
_ANY_CASE = {word.casefold(): unit for word, unit in UNITS.items() if len(word) > 3}
_DEGREES = str.maketrans({"º": "°", "˚": "°", "℃": "°C", "℉": "°F"})
"""Other characters for a degree."""
UNIT = "|".join(re.escape(word) for word in sorted(UNITS, key=len, reverse=True))
TAIL = re.compile(rf"(?:\s*|_(?=[KC]))({UNIT})(?![A-Za-z°µ])")
_HEAD = re.compile(rf"(.*?)[,\s]*(?:[(\[]\s*({UNIT})\s*[)\]]|/\s*({UNIT})|[_ ](K|°C|min|GPa|MPa|bar|mm))")
_WARM = re.compile(r"(.*[Tt]emp(?:erature)?|T)[_ ]((?i:m?K|kelvin|(?:deg|°)?[CF]|celsius|fahrenheit))")
"""The head of a column of temperatures, behind which one letter is a unit."""


LENGTHS = dict.fromkeys(
    ("", "angstrom", "angstroms", "ångström", "ångstrom", "angström", "å", "a", "ang", "aa", "\\aa"), 1.0
)
"""Å in what files call them."""


def per(unit: str) -> str:
    """Return what an inverse unit is the inverse of: nm for "1/nm", "nm^-1" or "nm⁻¹"; another unit as it is."""
    found = re.fullmatch(
        r"1\s*/\s*(.+)|inv(?:erse)?[\s_]*(.+)|(.+?)\s*(?:\^|\*\*)?\s*[({]?(?:-1|⁻¹)[)}]?", unit.strip().lower()
    )
    return next(one for one in found.groups() if one) if found else unit.strip().lower()


def split_unit(head: str) -> tuple[str, str]:
    """Return the name of a column and its unit, "" where it has none: of "T (K)", "T/K" or "T_K" T and K."""
    head = one_degree(head)
    found = _HEAD.fullmatch(head) or _WARM.fullmatch(head)
    return (found[1], next(filter(None, found.groups()[1:]))) if found and found[1] else (head, "")


def one_degree(text: str) -> str:
    """Return a text with one character for a degree, whichever it has."""
    return text.translate(_DEGREES)


def unit_of(word: str) -> str:
    """Return the unit that is meant by a word, "" for none; of long words in any case."""
    return UNITS.get(word) or _ANY_CASE.get(word.casefold(), "")


def is_kelvin(word: str) -> bool:
    """Return whether what is called so is in K where nothing else is said."""
    return word in KELVIN or word.casefold() in KELVIN


def number_of(text: str) -> tuple[float, str]:
    """Return the number and the unit of words such as "250 K" or "250,5 K", NaN and "" for others.

    A comma before three digits may be that of thousands: no number.
    """
    size = r"[0-9]*(?:\.|,(?![0-9]{3}(?![0-9])))?[0-9]+(?:[eE][+-]?[0-9]+)?"
    found = re.fullmatch(rf"\s*([+-]?{size})\s*({UNIT})?\s*", one_degree(text))
    return (float(found[1].replace(",", ".")), unit_of(found[2] or "")) if found else (math.nan, "")
