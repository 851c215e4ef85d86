"""Pickles as data: what is in them is read, and nothing of it is called, imported or made.

PDFgui keeps fits as pickles, which for Python are programs: `pickle.load` runs them. Here the opcodes are told apart
by `pickletools.genops` and build plain values (numbers, texts, lists, tuples, dicts) and, where an object is asked for,
a `Record`: the name of its class, the arguments, the state. Names other than those that PDFgui needs are refused.

A file cannot cost more than its `Budget` of opcodes; shared parts stay shared, and nothing here walks through values
whose depth is the file's: keys of dicts are texts and small integers, for the hash of a tuple would be such a walk.
"""

from __future__ import annotations

import pickletools
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import unwarned

MOST_OPCODES = 3_000_000
"""Of one pickle: a fit of 30,000 points takes a tenth."""
MOST_KEY = 2**60  # integers beyond can be made to collide in a dict


class PickleError(ValueError):
    """A pickle that is damaged, or asks for what no project needs."""


@dataclass
class Budget:
    """Opcodes that are left for all pickles of a file."""

    left: int = 40_000_000

    def spend(self, count: int) -> None:
        """Take opcodes from it. PickleError when there are none left."""
        self.left -= count
        if self.left < 0:
            raise PickleError("it has more entries than any project: was it made to exhaust the memory?")


class Record:
    """An object that a pickle asks for, and that is not made: the name of its class, arguments and state."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        self.name, self.args = name, args
        self.state: Any = None

    def __repr__(self) -> str:
        return f"Record({self.name})"

    @property
    def fields(self) -> Mapping[str, Any]:
        """The attributes of the object, by name."""
        return self.state if isinstance(self.state, dict) else {}


class _Global:
    """A name that a pickle asks for."""

    __slots__ = ("name",)

    def __init__(self, module: str, name: str) -> None:
        self.name = _known(module, name)


PARAMETER, CONSTRAINT = "Parameter", "Constraint"
_SCALAR, _DTYPE, _ARRAY, _ENCODE, _MAKE, _OBJECT = "scalar", "dtype", "array", "encode", "reconstructor", "object"
# The modules of PDFgui have moved from version to version; their last two names have stayed.
_KNOWN = {
    "control.parameter.Parameter": PARAMETER,
    "control.constraint.Constraint": CONSTRAINT,
    "numpy.core.multiarray.scalar": _SCALAR,
    "numpy._core.multiarray.scalar": _SCALAR,
    "numpy.core.multiarray._reconstruct": _ARRAY,
    "numpy._core.multiarray._reconstruct": _ARRAY,
    "numpy.ndarray": _ARRAY,
    "numpy.dtype": _DTYPE,
    "_codecs.encode": _ENCODE,
    "copy_reg._reconstructor": _MAKE,
    "copyreg._reconstructor": _MAKE,
    "__builtin__.object": _OBJECT,
    "builtins.object": _OBJECT,
}


def _known(module: Any, name: Any) -> str:
    """Return what a name is called here. PickleError for names that no project needs."""
    if not isinstance(module, str) or not isinstance(name, str):
        raise PickleError("the name of an object is not text: the file is damaged")
    whole = f"{module}.{name}"
    ours = ".".join(whole.split(".")[-3:]) if "pdfgui" in module else whole
    if ours not in _KNOWN:
        shown = "".join(c if c.isprintable() else "?" for c in whole)
        raise PickleError(
            f"it asks for {shown[:60]}, which no project needs; nothing was run. Do not open this file in PDFgui "
            "unless you trust its origin"
        )
    return _KNOWN[ours]


def read_pickle(data: bytes, budget: Budget) -> Any:
    """Return the value in a pickle: plain values, with a `Record` in place of each object.

    Raises PickleError for a pickle that is damaged, too large, or asks for anything but what PDFgui writes.
    """
    machine = _Machine()
    try:
        with unwarned():  # Python has remarks on texts that are damaged
            _follow(machine, data, budget)
        return machine.result()
    except PickleError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error, RecursionError) as error:
        raise PickleError(f"it is damaged ({' '.join(str(error).split())[:60] or type(error).__name__})") from None


def _follow(machine: _Machine, data: bytes, budget: Budget) -> None:
    count = 0
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data), 1):
        if count % 1000 == 0:
            budget.spend(1000)
            if count > MOST_OPCODES:
                raise PickleError("it is larger than any that PDFgui writes: was it made to exhaust the memory?")
        machine.take(opcode.name, argument)
    budget.spend(count % 1000)


_AS_IT_IS = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    )
)
_CONSTANTS: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_NOTHING = frozenset(("PROTO", "FRAME", "STOP"))
_PUT, _GET = frozenset(("PUT", "BINPUT", "LONG_BINPUT")), frozenset(("GET", "BINGET", "LONG_BINGET"))


class _Machine:
    """The stack of a pickle, its marks and its memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def take(self, name: str, argument: Any) -> None:
        """Follow one opcode."""
        if name in _AS_IT_IS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _PUT:
            self.memo[argument] = self.stack[-1]
        elif name in _GET:
            self.stack.append(self.memo[argument])
        elif name in _OPCODES:
            _OPCODES[name](self, argument)
        elif name not in _NOTHING:
            raise PickleError(f"it uses {name.lower()}, which no version of PDFgui writes")

    def result(self) -> Any:
        """Return the value that is left."""
        if len(self.stack) != 1 or self.below:
            raise PickleError("it is damaged (it ends too early)")
        return self.stack[0]

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        """Return what is above the last mark, and take it away."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def top(self, count: int) -> tuple[Any, ...]:
        """Return so many values, and take them away."""
        if len(self.stack) < count:
            raise PickleError("it is damaged (a value is missing)")
        items = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return items

    def extend(self, items: list[Any]) -> None:
        self.onto(list).extend(items)

    def update(self, items: list[Any]) -> None:
        self.onto(dict).update(_pairs(items))

    def onto(self, kind: type[Any]) -> Any:
        """Return the value on top, of a kind that can take more."""
        if type(self.stack[-1]) is not kind:
            raise PickleError("it is damaged (entries of what is no list and no table)")
        return self.stack[-1]

    def instance(self, asked: Any, args: Any) -> None:
        """Put the record of an object on the stack; a class made by the old helper of Python 2 is that class."""
        if not isinstance(asked, _Global) or not isinstance(args, tuple):
            raise PickleError("it calls what is not a name: the file is damaged, or made to do harm")
        if asked.name == _MAKE and args and isinstance(args[0], _Global):
            asked, args = args[0], ()
        self.stack.append(Record(asked.name, args))

    def instance_of_mark(self, _: Any) -> None:
        asked, *args = self.since_mark()
        self.instance(asked, tuple(args))

    def instance_of_name(self, name: str) -> None:
        args = self.since_mark()
        self.instance(_Global(*name.split(" ", 1)), tuple(args))

    def build(self, _: Any) -> None:
        (state,) = self.top(1)
        record = self.onto(Record)
        if record.state is not None:
            raise PickleError("it is damaged (an object with two states)")
        record.state = state


def _pairs(items: list[Any]) -> dict[Any, Any]:
    keys = items[::2]
    for key in keys:
        if not (isinstance(key, str) or (isinstance(key, int) and abs(key) < MOST_KEY)):
            raise PickleError("it has a table whose keys are neither texts nor numbers, which PDFgui does not write")
    return dict(zip(keys, items[1::2], strict=True))


def _memoize(machine: _Machine, _: Any) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _stack_global(machine: _Machine, _: Any) -> None:
    machine.push(_Global(*machine.top(2)))


_OPCODES: Mapping[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": lambda machine, _: machine.since_mark().clear(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "MEMOIZE": _memoize,
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "LIST": lambda machine, _: machine.push(machine.since_mark()),
    "DICT": lambda machine, _: machine.push(_pairs(machine.since_mark())),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.push(machine.top(1)),
    "TUPLE2": lambda machine, _: machine.push(machine.top(2)),
    "TUPLE3": lambda machine, _: machine.push(machine.top(3)),
    "APPEND": lambda machine, _: machine.extend(list(machine.top(1))),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.update(list(machine.top(2))),
    "SETITEMS": lambda machine, _: machine.update(machine.since_mark()),
    "GLOBAL": lambda machine, name: machine.push(_Global(*name.split(" ", 1))),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": lambda machine, _: machine.instance(*machine.top(2)),
    "NEWOBJ": lambda machine, _: machine.instance(*machine.top(2)),
    "OBJ": _Machine.instance_of_mark,
    "INST": _Machine.instance_of_name,
    "BUILD": _Machine.build,
}

# --- What the values mean --------------------------------------------------------------------------------------------


def table(value: Any) -> dict[Any, Any]:
    """Return a dict. PickleError for anything else."""
    if not isinstance(value, dict):
        raise PickleError("it does not hold a table of names and values, as PDFgui writes it")
    return value


def text(value: Any) -> str:
    """Return a text, on one line and without characters that steer a terminal; "" for anything else."""
    return "".join(c if c.isprintable() else " " for c in value) if isinstance(value, str) else ""


def number(value: Any) -> float:
    """Return a number, or that of a record of numpy's. PickleError for anything else."""
    if isinstance(value, Record):
        return _scalar(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PickleError("it has something else where PDFgui writes a number")
    try:
        return float(value)
    except OverflowError:
        raise PickleError("it has a number that is too large") from None


def numbers(value: Any) -> Array:
    """Return a list of numbers, or the array of a record of numpy's."""
    if isinstance(value, Record):
        return _array(value)
    if not isinstance(value, list | tuple):
        raise PickleError("it has something else where PDFgui writes a list of numbers")
    return np.array([number(one) for one in value], dtype=float)


_TYPE = re.compile(r"[fiu][248]")


def _dtype(record: Any) -> np.dtype[Any]:
    """Return the type of numbers of a record of numpy's."""
    name = record.args[0] if isinstance(record, Record) and record.name == _DTYPE and record.args else None
    if not isinstance(name, str) or not _TYPE.fullmatch(name):
        raise PickleError("it has values of numpy that are no numbers")
    state = record.state if isinstance(record.state, tuple) else ()
    return np.dtype((">" if len(state) > 1 and state[1] == ">" else "<") + name)


def _raw(value: Any) -> bytes:
    """Return the bytes of numpy's values: as such, as Python 2 wrote them, or as Python 3 writes them for Python 2."""
    if isinstance(value, Record) and value.name == _ENCODE and value.args:
        value = value.args[0]
    if isinstance(value, str):
        return value.encode("latin-1", "replace")
    return value if isinstance(value, bytes) else b""


def _scalar(record: Record) -> float:
    if record.name != _SCALAR or len(record.args) != 2:
        raise PickleError("it has an object where PDFgui writes a number")
    kind, raw = _dtype(record.args[0]), _raw(record.args[1])
    if len(raw) != kind.itemsize:
        raise PickleError("a number in it is damaged")
    return float(np.frombuffer(raw, kind)[0])


def _array(record: Record) -> Array:
    state = record.state
    if record.name != _ARRAY or not isinstance(state, tuple) or len(state) != 5:
        raise PickleError("it has an object where PDFgui writes a list of numbers")
    raw, kind = _raw(state[4]), _dtype(state[2])
    if len(raw) % kind.itemsize:
        raise PickleError("an array in it is damaged")
    return np.frombuffer(raw, kind).astype(float)


# --- Writing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Instance:
    """An object to write: the module and name of its class, and its attributes."""

    module: str
    name: str
    fields: Mapping[str, Any]


def format_pickle(value: Any) -> bytes:
    """Return the pickle (protocol 2) of plain values and of `Instance`, for programs that know their classes."""
    return b"\x80\x02" + b"".join(_written(value)) + b"."


def _written(value: Any) -> Iterator[bytes]:
    match value:
        case None | bool():
            yield {None: b"N", True: b"\x88", False: b"\x89"}[value]
        case int():
            yield b"J" + struct.pack("<i", value)
        case float():
            yield b"G" + struct.pack(">d", value)
        case str():
            raw = value.encode("utf-8", "replace")
            yield b"X" + struct.pack("<I", len(raw)) + raw
        case tuple():
            yield from (b"(", *(part for one in value for part in _written(one)), b"t")
        case list():
            yield from (b"](", *(part for one in value for part in _written(one)), b"e")
        case Instance():
            yield from (b"c" + f"{value.module}\n{value.name}\n".encode(), b")\x81", *_written(value.fields), b"b")
        case Mapping():
            yield from (b"}(", *(part for pair in value.items() for one in pair for part in _written(one)), b"u")
        case _:
            raise TypeError(f"{type(value).__name__} is not written")
