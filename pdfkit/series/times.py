"""Time stamps as an index: dates and times of day, and seconds since 1970, counted from the first scan."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError

STAMP = "time stamps"
"""What stands for a unit until the stamps of all scans are known."""
DAY = 86400.0
_ZONE = r"(?:\.\d+)?\s*(?:Z|[+-]\d\d:?\d\d)?"
_CLOCK = rf"(?:[T_ ]+|\s*,\s*)\d{{1,2}}:\d\d(?::\d\d{_ZONE})?(?:\s*[AaPp][Mm])?"
_ISO = re.compile(rf"\d{{4}}[-./]\d\d?[-./]\d\d?(?:{_CLOCK})?|\d{{8}}[T_ -]\d{{4}}(?:\d\d)?")
_OTHER = re.compile(rf"\d{{1,2}}([./-])\d{{1,2}}\1\d{{4}}(?:{_CLOCK})?")
_WORDS = re.compile(
    rf"\d{{1,2}}[ -][A-Z][a-z]{{2}}[ -]\d{{4}}(?:{_CLOCK})?"
    r"|[A-Z][a-z]{2}\s+[A-Z][a-z]{2}\s+\d{1,2}\s+\d\d?:\d\d:\d\d\s+\d{4}"
)
_OF_DAY = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?:\s*[AaPp][Mm])?")
_IN_NAME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_.]?)(0[1-9]|1[0-2])\2([0-2]\d|3[01])"
    r"[T_\- ]?([01]\d|2[0-3])[-_.h]?([0-5]\d)(?:[-_.m]?([0-5]\d))?(?!\d)"
)
_OF_TIME = re.compile(r"time|stamp|epoch|date|clock|unix|start", re.IGNORECASE)
_SINCE_1970 = {"s": (1e9, 4e9, 1.0), "ms": (1e12, 4e12, 1e-3)}
"""Between which numbers a time counts from 1970 (from 2001 to 2096), and what makes seconds of it."""


def is_stamp(text: str, name: str = "time") -> bool:
    """Return whether a text is a date, a time of day, or both; 1:20 is a time where it is called so, else a ratio."""
    if is_clock(text) and text.count(":") == 1 and not _OF_TIME.search(name):
        return False
    return any(form.fullmatch(text.strip()) for form in (_ISO, _OTHER, _WORDS, _OF_DAY))


def is_day(text: str) -> bool:
    """Return whether a text is a date without a time of day."""
    return is_stamp(text) and ":" not in text and not re.search(r"\d{8}[T_ -]", text)


def is_clock(text: str) -> bool:
    """Return whether a text is a time of day without a date."""
    return _OF_DAY.fullmatch(text.strip()) is not None


def in_name(name: str, start: int, end: int) -> str:
    """Return the date and time in a file name that a part of it, [start, end), belongs to; "" where there is none."""
    for found in _IN_NAME.finditer(name):
        if found.start() < end and start < found.end():
            year, _, month, day, hour, minute, second = found.groups()
            return f"{year}-{month}-{day} {hour}:{minute}:{second or '00'}"
    return ""


def moments(texts: Sequence[str]) -> Array:
    """Return seconds since 1970 (n,) of time stamps, or of the day where they have no date; NaN for other texts.

    Raises PdfkitError for dates whose day and month cannot be told apart, and stamps of which some have a date, or a
    time zone, and others none.
    """
    texts = [text.strip() for text in texts]
    known = [text for text in texts if is_stamp(text)]
    for kind, has in (("a date", lambda text: not is_clock(text)), ("a time zone", _has_zone)):
        if len({has(text) for text in known if kind == "a date" or not is_day(text)}) > 1:
            raise PdfkitError(f"some time stamps have {kind} and some have none: write all alike", key="index")
    swaps = _month_first([text for text in known if _OTHER.fullmatch(text)])
    return np.array([_moment(text, swaps) if is_stamp(text) else math.nan for text in texts])


def _has_zone(text: str) -> bool:
    return re.search(r":\d\d[\d.:]*\s*(?:Z|[+-]\d\d:?\d\d)$", text) is not None


def _month_first(texts: Sequence[str]) -> bool:
    """Return whether dates such as 11/30/2026 begin with the month; those with dots begin with the day."""
    slashed = [tuple(map(int, re.split("[/-]", text)[:2])) for text in texts if "." not in text[:3]]
    if not slashed:
        return False
    days, months = any(a > 12 for a, _ in slashed), any(b > 12 for _, b in slashed)
    if days == months:
        raise PdfkitError(f"{texts[0]} may begin with the day or the month: write it as 2026-11-30", key="index")
    return months


def _moment(text: str, month_first: bool) -> float:
    """Return the seconds of one time stamp; NaN for one that no calendar has."""
    late = re.search(r"\s*([AaPp])[Mm]$", text)
    text = re.sub(r"\s*[AaPp][Mm]$", "", text)
    try:
        if _OF_DAY.fullmatch(text):
            parts = [float(part) for part in text.split(":")]
            seconds = 3600.0 * parts[0] + 60.0 * parts[1] + sum(parts[2:])
            return seconds + _half_day(parts[0], late)
        made = _dated(
            " ".join(re.sub(r"[T_,]+", " ", text).split()) if not _WORDS.fullmatch(text) else text, month_first
        )
    except ValueError:
        return math.nan
    made += timedelta(seconds=_half_day(made.hour, late))
    return (made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp()


def _half_day(hour: float, late: re.Match[str] | None) -> float:
    """Return what AM or PM adds to a time of day."""
    if late is None:
        return 0.0
    afternoon = late[1].lower() == "p"
    return DAY / 2 if afternoon and hour < 12 else -DAY / 2 if not afternoon and hour == 12 else 0.0


def _dated(text: str, month_first: bool) -> datetime:
    """Return a date and time. ValueError where it is none."""
    if (numbers := re.fullmatch(r"(\d{8})[ -](\d{4,6})", text)) is not None:
        return datetime.strptime("".join(numbers.groups()).ljust(14, "0"), "%Y%m%d%H%M%S")
    if text[0].isalpha():
        return datetime.strptime(" ".join(text.split()), "%a %b %d %H:%M:%S %Y")
    day, _, clock = text.partition(" ")
    if (words := re.match(r"(\d{1,2})[ -]([A-Z][a-z]{2})[ -](\d{4})", text)) is not None:
        made = datetime.strptime(" ".join(words.groups()), "%d %b %Y")
        clock = text[words.end() :].strip()
    else:
        a, b, c = (int(part) for part in re.split("[-./]", day))
        made = datetime(a, b, c) if a > 31 else datetime(c, a, b) if month_first else datetime(c, b, a)
    if not clock:
        return made
    clock = re.sub(r"\s+", "", clock)
    return datetime.fromisoformat(f"{made:%Y-%m-%d}T{clock if clock[2] == ':' else '0' + clock}")


def since_1970(name: str, values: Array, unit: str) -> Array | None:
    """Return seconds since 1970 (n,), NaN where a number is 0; None for an index that counts from elsewhere."""
    there = values[np.isfinite(values) & (values != 0)]
    if not there.size or not _OF_TIME.search(name) or unit not in ("", *_SINCE_1970):
        return None
    for own, (low, high, size) in _SINCE_1970.items():
        if unit in ("", own) and (there >= low).all() and (there < high).all():
            return np.where(values == 0, math.nan, values) * size
    return None


def elapsed(name: str, seconds: Array, since: float | None = None) -> tuple[Array, float, str]:
    """Return times (n,) in s from `since` or the first of them, which that is, and the words that say so."""
    first = float(np.nanmin(seconds)) if since is None else since
    if first < DAY:
        clock = str(timedelta(seconds=first)).rjust(8, "0")
        said = f"{name} is counted in s from {clock}; without dates, times begin anew at midnight"
    else:
        said = f"{name} is counted in s from {datetime.fromtimestamp(first, UTC):%Y-%m-%d %H:%M:%S}"
    return np.asarray(seconds - first), first, said
