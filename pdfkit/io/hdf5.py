"""HDF5 files in NeXus form: a tree of groups and fields, written in one step and read without trust.

NeXus (Könnecke et al., J. Appl. Cryst. 48, 301 (2015)) is a convention on top of HDF5: every group has an `NX_class`,
an `NXdata` names its `signal` and `axes`, and `default` leads from the root to what is to be plotted first. silx, h5web
and nexpy follow it.
"""

from __future__ import annotations

import io
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import ReadError, WriteError
from pdfkit.io._atomic import AnyPath, write_bytes
from pdfkit.io._text import read_bytes

SIGNATURE = b"\x89HDF\r\n\x1a\n"
HEAP = b"GCOL\x01\0\0\0"
# A result holds a few thousand points: what is larger than this is something else, and would fill the memory.
MAX_BYTES = 1_000_000_000
MAX_ELEMENTS = 20_000_000
MAX_DEPTH = 16
# Of the whole file, unpacked: bytes, and groups, values and attributes (hard links can lead to one of them many times).
MAX_UNPACKED = 400_000_000
MAX_MEMBERS = 20_000


@dataclass(frozen=True, eq=False)
class Field:
    """A value: a string, a number, a sequence of strings or an array of numbers, with attributes (`units`…)."""

    value: Any
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Group:
    """A NeXus group of class `nx_class` ("NXdata"…): members by name, and attributes.

    A group that was read knows where it comes from (`source`, `where`), so that what is missing can be named.
    """

    nx_class: str
    members: Mapping[str, Group | Field]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    where: str = "/"

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def group(self, name: str) -> Group:
        """Return a group in this one; ReadError when there is none."""
        found = self.members.get(name)
        if not isinstance(found, Group):
            raise ReadError(self.source, f"group {self._at(name)} is missing: is the file complete?")
        return found

    def text(self, name: str) -> str:
        """Return a string; ReadError when there is none."""
        value = self._value(name)
        if not isinstance(value, str):
            raise ReadError(self.source, f"{self._at(name)} is not text: the file was changed by something else")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings; ReadError when there is none."""
        value = self._value(name)
        if not isinstance(value, tuple):
            raise ReadError(self.source, f"{self._at(name)} is not a list of text: the file was changed")
        return value

    def array(self, name: str, ndim: int = 1) -> Array:
        """Return an array of numbers (float64) with `ndim` dimensions; ReadError when there is none."""
        value = self._value(name)
        if not isinstance(value, np.ndarray) or value.ndim != ndim:
            raise ReadError(self.source, f"{self._at(name)} is not an array of numbers with {ndim} dimensions")
        return np.asarray(value, dtype=np.float64)

    def number(self, name: str) -> float:
        """Return one number; ReadError when there is none."""
        return float(self.array(name, 0))

    def _value(self, name: str) -> Any:
        found = self.members.get(name)
        if not isinstance(found, Field):
            raise ReadError(self.source, f"{self._at(name)} is missing: is the file complete?")
        return found.value

    def _at(self, name: str) -> str:
        return f"{self.where.rstrip('/')}/{name}"


def format_in(path: AnyPath) -> str:
    """Return the format that a file of pdfkit states ("pdfkit series"), without reading more; "" for any other file."""
    try:
        with Path(path).open("rb") as stream:
            if stream.read(len(SIGNATURE)) != SIGNATURE:
                return ""
    except OSError:
        return ""
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            found = file["entry"].attrs.get("format", "") if "entry" in file else ""
    except (OSError, KeyError, RuntimeError, ValueError):
        return ""
    return found.decode(errors="replace") if isinstance(found, bytes) else str(found)


def check_format(entry: Group, form: str, newest: int, saved: str) -> None:
    """Refuse (ReadError) an entry of another format, or of a version above the newest (none stated is the first).

    saved : what writes this format, for the message.
    """
    found, version = entry.attrs.get("format"), np.ravel(entry.attrs.get("format_version", 0))
    if not isinstance(found, str) or found != form:
        raise ReadError(entry.source, _other(found, form, saved))
    if version.size != 1 or version.dtype.kind not in "iuf" or not version[0] <= newest:
        raise ReadError(entry.source, "written by a newer pdfkit: update pdfkit to read it")


# What files of pdfkit are called, and what shows or reads those that were given to something else.
_CALLED = {
    "pdfkit fit result": ("a fit result", "pk.load_result"),
    "pdfkit ranking": ("a ranking", "pdfkit plot, pdfkit info or pk.Ranking.load"),
    "pdfkit series": ("a series of fits", "pdfkit plot, pdfkit info or pdfkit.series.SeriesResult.load"),
}


def _other(found: Any, form: str, saved: str) -> str:
    """Say what a file is that is not of the format `form`."""
    wanted = _CALLED.get(form, (form,))[0]
    if isinstance(found, str) and found in _CALLED:
        what, use = _CALLED[found]
        return f"{what} of pdfkit, and {wanted} is needed here: {use} can read it"
    return f"not {wanted} of pdfkit: give a file that was written by {saved}"


def versions() -> Group:
    """Return the versions of the programs that computed what a file holds."""
    names = {"pdfkit": "pdfkit-scattering", **{name: name for name in ("numpy", "scipy", "lmfit", "h5py")}}
    members: dict[str, Group | Field] = {"python": Field(platform.python_version())}
    members.update({name: Field(version(distribution)) for name, distribution in names.items()})
    return Group("NXcollection", members)


def version(distribution: str) -> str:
    """Return the version of an installed distribution."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"


def nxdata(
    title: str,
    axis: tuple[str, Field],
    signals: Mapping[str, Field],
    errors: Mapping[str, Field] | None = None,
) -> Group:
    """Return an NXdata group of curves over one axis; the first signal is the main one."""
    first, *others = signals
    name, values = axis
    members: dict[str, Group | Field] = {"title": Field(title), name: values, **signals}
    members.update({f"{signal}_errors": error for signal, error in (errors or {}).items()})
    attrs: dict[str, Any] = {"signal": first, "axes": [name], f"{name}_indices": 0}
    if others:
        attrs["auxiliary_signals"] = others
    return Group("NXdata", members, attrs)


def write_entry(
    path: AnyPath, title: str, members: Mapping[str, Group | Field], default: str, form: tuple[str, int]
) -> Path:
    """Write an HDF5 file, made in memory and put in place by a rename. Return the path.

    It has one entry: what it is, when and by which versions it was made, and `members`, of which `default` is plotted
    first. form : the format and its version. Raises WriteError when the file cannot be written; an old one is then
    unchanged.
    """
    import h5py

    head: dict[str, Group | Field] = {
        "title": Field(title),
        "program_name": Field("pdfkit", {"version": version("pdfkit-scattering")}),
        "end_time": Field(datetime.now().astimezone().isoformat(timespec="seconds")),
    }
    attrs = {"default": default, "format": form[0], "format_version": form[1]}
    entry = Group("NXentry", {**head, **members, "versions": versions()}, attrs)
    root = Group("NXroot", {"entry": entry}, {"default": "entry", "creator": "pdfkit"})
    buffer = io.BytesIO()
    # The object headers of HDF5 1.8 carry checksums, so that damage is seen; every reader in use knows them.
    with h5py.File(buffer, "w", libver=("v108", "v108")) as file:
        try:
            write_group(file, root)
        except (ValueError, TypeError, UnicodeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise WriteError(f"{path}: it holds what HDF5 cannot store ({reason}): correct that") from None
    return write_bytes(path, buffer.getvalue())


def write_group(target: Any, group: Group) -> None:
    """Write a group into one of an open file. ValueError or TypeError for what HDF5 cannot hold."""
    target.attrs["NX_class"] = group.nx_class
    _write_attrs(target, group.attrs)
    for name, member in group.members.items():
        if isinstance(member, Group):
            write_group(target.create_group(name), member)
        else:
            _write_field(target, name, member)


def _write_field(target: Any, name: str, member: Field) -> None:
    value = member.value
    if isinstance(value, str) or _is_texts(value):
        data, kind = _fixed(value)
        made = target.create_dataset(name, data=data, dtype=kind)
    else:
        array = np.asarray(value)
        packed = {"compression": "gzip", "shuffle": True, "fletcher32": True} if array.size and array.ndim else {}
        made = target.create_dataset(name, data=array, **packed)
    _write_attrs(made, member.attrs)


def _write_attrs(target: Any, attrs: Mapping[str, Any]) -> None:
    for name, value in attrs.items():
        if isinstance(value, str) or _is_texts(value):
            data, kind = _fixed(value)
            target.attrs.create(name, data, dtype=kind)
        else:
            target.attrs[name] = value


def _fixed(value: str | Sequence[str]) -> tuple[Any, Any]:
    """Return text as UTF-8 of fixed length, and its type.

    HDF5 keeps text of variable length in a heap without a checksum, and its library can hang in one that is damaged.
    """
    import h5py

    raw = [text.encode("utf-8") for text in ([value] if isinstance(value, str) else value)]
    if any(b"\0" in one for one in raw):
        raise ValueError("text with a zero byte")
    kind = h5py.string_dtype("utf-8", max([1, *map(len, raw)]))
    data = np.array(raw, dtype=kind)
    return (data[0] if isinstance(value, str) else data), kind


def _is_texts(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) for v in value)


def read_nexus(path: AnyPath) -> Group:
    """Return the tree of an HDF5 file: numbers, strings, groups and their attributes, nothing else.

    Links to other places and other files, references, virtual and external storage are left out: nothing outside the
    file is opened and nothing in it is executed. Raises ReadError when it is missing, damaged, or no HDF5.
    """
    import h5py

    data = read_bytes(path, MAX_BYTES)
    if not data.startswith(SIGNATURE):
        raise ReadError(path, "not an HDF5 file: give one that was saved from a fit")
    if not _heaps_end(data):
        raise ReadError(path, "damaged HDF5 (a heap of texts has no end): was it written and copied completely?")
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return _read_group(file, _Room(str(path), len(data)), "/", 0)
    except ReadError:
        raise
    except Exception as error:  # a damaged file can raise whatever comes along
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ReadError(path, f"damaged HDF5 ({reason}): was it written and copied completely?") from None


def _heaps_end(data: bytes) -> bool:
    """Return whether the heaps that hold texts can be walked to their ends: on one that cannot, the library turns on
    and on.

    A heap is "GCOL", a version, its size (8 bytes) and objects: index, references, size (8 bytes), content. Index 0 is
    what is free, its size that of its head, too (HDF5 File Format Specification, III.E).
    """
    at = data.find(HEAP)
    while at >= 0:
        end = at + int.from_bytes(data[at + 8 : at + 16], "little")
        here = at + 16
        while here + 16 <= min(end, len(data)):
            size = int.from_bytes(data[here + 8 : here + 16], "little")
            step = 16 + (size + 7) // 8 * 8 if any(data[here : here + 2]) else size
            if not 16 <= step <= end - here:
                return False
            here += step
        at = data.find(HEAP, at + 4)
    return True


class _Room:
    """What may still be read of a file: small files can unfold to more than any memory holds."""

    def __init__(self, path: str, size: int) -> None:
        self.path = path
        self.size = size
        self.bytes = MAX_UNPACKED
        self.members = MAX_MEMBERS

    def take(self, size: int, where: str) -> None:
        """Count one more member of so many bytes."""
        self.bytes -= size
        self.members -= 1
        if self.bytes < 0 or self.members < 0:
            what = f"more than {MAX_UNPACKED / 1e9:g} GB" if self.bytes < 0 else f"more than {MAX_MEMBERS} members"
            raise ReadError(self.path, f"it unpacks to {what}, at {where[-60:]}: this is not a result of pdfkit")


def _read_group(source: Any, room: _Room, where: str, depth: int) -> Group:
    import h5py

    room.take(0, where)
    if depth > MAX_DEPTH:
        raise ReadError(room.path, f"groups are nested deeper than {MAX_DEPTH}: this is not a result of pdfkit")
    members: dict[str, Group | Field] = {}
    for name in source:
        if not isinstance(source.get(name, getlink=True), h5py.HardLink):
            continue
        member, there = source[name], f"{where.rstrip('/')}/{name}"
        if isinstance(member, h5py.Group):
            members[name] = _read_group(member, room, there, depth + 1)
        elif isinstance(member, h5py.Dataset):
            value = _read_value(member, room, there)
            if value is not None:
                members[name] = Field(value, _read_attrs(member, room, there))
    attrs = _read_attrs(source, room, where)
    return Group(str(attrs.pop("NX_class", "")), members, attrs, room.path, where)


def _read_value(member: Any, room: _Room, where: str) -> Any:
    """Return a str, a tuple of str or an array; None for what is neither text nor numbers."""
    import h5py

    if member.shape is None or member.external or member.is_virtual:
        return None
    count = math.prod(member.shape)
    if count > MAX_ELEMENTS:
        raise ReadError(room.path, f"{where[-60:]} has {count} elements: this is not a result of pdfkit")
    text = h5py.check_string_dtype(member.dtype)
    if text is None:
        room.take(count * max(member.dtype.itemsize, 8), where)
        return np.asarray(member[()]) if member.dtype.kind in "fiub" else None
    # Texts of variable length may all be the same long one.
    room.take(count * (room.size if text.length is None and count > 1 else 2 * member.dtype.itemsize), where)
    found = member.asstr()[()]
    return found if isinstance(found, str) else tuple(str(one) for one in np.ravel(found))


def _read_attrs(source: Any, room: _Room, where: str) -> dict[str, Any]:
    import h5py

    out: dict[str, Any] = {}
    for name in source.attrs:
        about = source.attrs.get_id(name)
        if about.shape is None or math.prod(about.shape) > MAX_ELEMENTS:
            continue
        text, count = h5py.check_string_dtype(about.dtype), math.prod(about.shape)
        if text is None and about.dtype.kind not in "fiub":
            continue
        many = text is not None and text.length is None and count > 1
        room.take(count * (room.size if many else about.dtype.itemsize), f"{where}@{name}")
        value = source.attrs[name]
        if text is not None:
            plain = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in np.ravel(value)]
            out[name] = tuple(plain) if about.shape else plain[0]
        else:
            out[name] = value
    return out
