"""What HDF5 files hold: groups, datasets, attributes and numbers, of the file itself alone.

A file stays open in each process that reads it. Nothing outside the file is opened.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import ReadError, missing
from pdfkit.io.hdf5 import MAX_DEPTH

CACHE = 32_000_000
"""Bytes of chunks that are kept unpacked: neighbouring scans lie in one chunk."""
_OPEN: dict[str, tuple[str, Any]] = {}
"""Files that stay open: path → stamp and file, those that were asked for last at the end."""
_MOST_OPEN, _GUARD = 4, threading.Lock()


def numbers(one: Any, at: tuple[int | slice, ...]) -> Array:
    """Return numbers of a dataset, scaled as its attributes say, and NaN where these say that there are none."""
    raw, about = np.asarray(one[at]), facts(one)
    out = raw.astype(float)
    for name in ("_FillValue", "missing_value"):
        if isinstance(about.get(name), int | float):
            out[raw == about[name]] = math.nan
    if one.fillvalue and np.ndim(one.fillvalue) == 0:  # 0, the usual one, may be a number
        out[raw == one.fillvalue] = math.nan
    scale, offset = (about.get(name, usual) for name, usual in (("scale_factor", 1.0), ("add_offset", 0.0)))
    return np.asarray(out * float(scale) + float(offset))


def opened(path: str, stamp: str) -> Any:
    """Return the open file; `stamp` changes when the file does."""
    if stamp == "missing":
        raise ReadError(path, missing(path))
    with _GUARD:
        known = _OPEN.pop(path, None)
        if known is None or known[0] != stamp:
            # HDF5 gives a file that is open already as it was then: the old one goes first.
            known = None
            while len(_OPEN) >= _MOST_OPEN:
                _OPEN.pop(next(iter(_OPEN)))
            known = stamp, _open(path)
        _OPEN[path] = known
        return known[1]


def _open(path: str) -> Any:
    import h5py

    options = {"rdcc_nbytes": CACHE, "locking": False}
    try:
        with suppress(OSError):
            return h5py.File(path, "r", **options)
        return h5py.File(path, "r", swmr=True, **options)  # its writer has it open, and lets others read
    except OSError as error:
        raise ReadError(path, f"not a whole HDF5 file ({short_words(error)}): was it written completely?") from None


def elsewhere(group: Any, depth: int = 0) -> str:
    """Return the first link or dataset in a group or below it whose numbers are in another file, "" for none."""
    import h5py

    for name in group:
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            return f"{group.name.rstrip('/')}/{name}"
        member = group[name] if isinstance(link, h5py.HardLink) else None
        if isinstance(member, h5py.Dataset) and (member.is_virtual or member.external):
            return str(member.name)
        if isinstance(member, h5py.Group) and depth < MAX_DEPTH and (found := elsewhere(member, depth + 1)):
            return found
    return ""


def member_at(group: Any, path: Any, links: int = 0) -> Any:
    """Return what is at a path in a group, None where nothing is, or a link that leads out of the file."""
    import h5py

    found = group
    for name in path.strip("/").split("/") if isinstance(path, str) else [""]:
        known = isinstance(found, h5py.Group) and name not in ("", ".", "..")
        link = found.get(name, getlink=True) if known else None
        if isinstance(link, h5py.SoftLink) and links < MAX_DEPTH:
            found = member_at(found.file if link.path.startswith("/") else found, link.path, links + 1)
        elif isinstance(link, h5py.HardLink):
            found = found[name]
        else:
            return None
    return found


def stacks_in(group: Any, depth: int = 0) -> Iterator[Any]:
    """Yield the stacks of curves in a group and those below it; links are not followed."""
    import h5py

    for name in group:
        hard = isinstance(group.get(name, getlink=True), h5py.HardLink)
        member = group[name] if hard else None
        if isinstance(member, h5py.Group) and depth < MAX_DEPTH:
            yield from stacks_in(member, depth + 1)
        elif isinstance(member, h5py.Dataset) and is_curves(member) and not name.endswith(("_errors", "dG")):
            yield member


def is_curves(one: Any) -> bool:
    """Return whether a dataset may be scans × r, or x × y × r, with its numbers in this file."""
    if one.shape is None or one.is_virtual or one.external:
        return False
    if is_ragged(one):
        return len(one.shape) in (1, 2)
    return one.dtype.kind in "fiu" and len(one.shape) in (2, 3) and max(one.shape) > 2


def is_ragged(one: Any) -> bool:
    """Return whether a dataset has rows of variable length."""
    import h5py

    inner = h5py.check_vlen_dtype(one.dtype)
    return inner is not None and np.dtype(inner).kind in "fiu"


def is_axis_of(x: Any, signal: Any) -> bool:
    """Return whether a dataset is an axis of a signal: one for all of its scans, or one for each."""
    import h5py

    if is_column(x):
        return not is_ragged(signal)
    return isinstance(x, h5py.Dataset) and x.shape == signal.shape and is_curves(x)


def is_column(one: Any) -> bool:
    """Return whether this is a dataset of numbers along one axis, in this file."""
    import h5py

    if not isinstance(one, h5py.Dataset) or one.shape is None or max(one.shape, default=1) != math.prod(one.shape):
        return False
    return one.dtype.kind in "fiu" and not one.is_virtual and not one.external


def is_words(one: Any) -> bool:
    """Return whether this is a dataset of texts, in this file."""
    import h5py

    if not isinstance(one, h5py.Dataset) or one.shape is None or one.is_virtual or one.external:
        return False
    return h5py.check_string_dtype(one.dtype) is not None


def unit_said(source: Any) -> str:
    """Return the unit that a dataset states, "" for none."""
    about = facts(source)
    return str(about.get("units", about.get("unit", "")))


def facts(source: Any) -> dict[str, Any]:
    """Return the attributes of a group or dataset as plain values."""
    out: dict[str, Any] = {}
    for name, value in source.attrs.items():
        if isinstance(value, np.ndarray) and value.size == 1:
            out[name] = plain(value.ravel().tolist()[0])
        elif isinstance(value, np.ndarray) and value.dtype.kind in "SO":
            out[name] = [plain(one) for one in value.ravel().tolist()]
        else:
            out[name] = plain(value.item() if isinstance(value, np.generic) else value)
    return out


def plain(value: Any) -> Any:
    """Return text for bytes, whatever their encoding, and anything else as it is."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def short_words(error: BaseException) -> str:
    """Return the beginning of what an error says, in one line."""
    return " ".join(str(error).split())[:120]
