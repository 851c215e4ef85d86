"""Units as headers, file names and tables write them behind a number."""

from __future__ import annotations

import re

KELVIN = ("temperature", "temp", "T")
"""What is in K where nothing else is said."""
_SPELT = {
    "K": ("kelvin",), "°C": ("C", "degC", "deg C", "celsius"), "°F": ("F", "degF"), "s": ("sec", "seconds"), "ms": (),
    "min": ("minutes",), "h": ("hr", "hours"), "d": ("days",), "Pa": (), "kPa": (), "MPa": (), "GPa": (), "bar": (),
    "mbar": (), "kbar": (), "V": (), "mV": (), "A": (), "mA": (), "mAh": (), "m": (), "mm": (), "µm": ("um", "μm"),
    "cm": (), "nm": (), "°": ("deg", "degrees"), "%": (), "mM": (), "M": (), "mol": (), "eV": (), "keV": (), "MGy": (),
}  # fmt: skip
UNITS = {word: unit for unit, others in _SPELT.items() for word in (unit, *others)}
UNIT = "|".join(re.escape(word) for word in sorted(UNITS, key=len, reverse=True))
TAIL = re.compile(rf"(?:\s*|_(?=[KC]))({UNIT})(?![A-Za-z°µ])")
_HEAD = re.compile(rf"(.*?)[,\s]*(?:[(\[]\s*({UNIT})\s*[)\]]|/\s*({UNIT})|[_ ](K|°C|min|GPa|MPa|bar|mm))")


LENGTHS = {"": 1.0, "angstrom": 1.0, "angstroms": 1.0, "å": 1.0, "a": 1.0, "ang": 1.0}
"""Å in what files call them."""


def per(unit: str) -> str:
    """Return what an inverse unit is the inverse of: nm for "1/nm", "nm^-1" or "nm⁻¹"; another unit as it is."""
    found = re.fullmatch(
        r"1\s*/\s*(.+)|inv(?:erse)?[\s_]*(.+)|(.+?)\s*(?:\^|\*\*)?\s*[({]?(?:-1|⁻¹)[)}]?", unit.strip().lower()
    )
    return next(one for one in found.groups() if one) if found else unit.strip().lower()


def split_unit(head: str) -> tuple[str, str]:
    """Return the name of a column and its unit, "" where it has none: of "T (K)", "T/K" or "T_K" T and K."""
    found = _HEAD.fullmatch(head)
    return (found[1], found[2] or found[3] or found[4]) if found and found[1] else (head, "")
