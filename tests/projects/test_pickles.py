"""Pickles are read as data: real exploits run nothing, bombs end soon, and what PDFgui writes comes back."""

from __future__ import annotations

import io
import os
import pickle
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import ReadError
from pdfkit.projects import archive, pickles
from pdfkit.projects.pickles import (
    Budget,
    Instance,
    PickleError,
    Record,
    format_pickle,
    number,
    numbers,
    read_pickle,
    table,
    text,
)


def read(data: bytes) -> Any:
    return read_pickle(data, Budget())


# --- What is read ----------------------------------------------------------------------------------------------------

PLAIN = [
    None, True, False, 0, -3, 70_000, 2**40, -(2**61), 1.5, float("inf"), "Ni", "å \n", b"raw", [], [1, [2.0, "x"]],
    (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {}, {"a": [1, 2], 3: {"b": None}}, ["twice"] * 2,
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back(protocol: int) -> None:
    values = PLAIN if protocol > 2 else [value for value in PLAIN if not isinstance(value, bytes)]
    for value in values:
        assert read(pickle.dumps(value, protocol)) == value
    assert read(pickle.dumps(values, protocol)) == values


@pytest.mark.parametrize("protocol", range(5))
def test_numbers_of_numpy_come_back(protocol: int) -> None:
    for kind in ("f8", "f4", "i8", "u2", ">f8"):
        value = np.array([1.5, 3.0, 2.0]).astype(kind)
        assert number(read(pickle.dumps(value[1], protocol))) == 3.0
        assert numbers(read(pickle.dumps(value, protocol))).tolist() == value.astype(float).tolist()
        assert numbers(read(pickle.dumps(list(value), protocol))).tolist() == value.astype(float).tolist()


def test_objects_are_records_of_what_is_said_of_them() -> None:
    made = Instance("diffpy.pdfgui.control.parameter", "Parameter", {"idx": 3, "fixed": True})
    record = read(format_pickle({3: made}))[3]
    assert isinstance(record, Record)
    assert (record.name, record.args, record.fields) == ("Parameter", (), {"idx": 3, "fixed": True})
    assert repr(record) == "Record(Parameter)"


STATE = b"}(U\x07formulaU\x02@1u"


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02(cdiffpy.pdfgui.control.constraint\nConstraint\no" + STATE + b"b.",
        b"(ipdfgui.control.constraint\nConstraint\n(dS'formula'\nS'@1'\nsb.",
        b"ccopy_reg\n_reconstructor\n(cdiffpy.pdfgui.control.constraint\nConstraint\nc__builtin__\nobject\nNtR"
        b"(dS'formula'\nS'@1'\nsb.",
        b"cdiffpy.pdfgui.control.constraint\nConstraint\n)R" + STATE + b"b.",
        b"\x80\x02cdiffpy.pdfgui.control.constraint\nConstraint\n)\x81" + STATE + b"b.",
    ],
    ids=["OBJ", "INST", "reconstructor", "REDUCE", "NEWOBJ"],
)
def test_every_way_to_ask_for_an_object_gives_the_same_record(data: bytes) -> None:
    record = read(data)
    assert (record.name, record.fields) == ("Constraint", {"formula": "@1"})


def test_what_is_written_python_reads_and_so_do_we() -> None:
    for value in ({1: 2.5, "x": [True, None, "å"]}, (0.5, "text"), [1, -2, 3]):
        assert pickle.loads(format_pickle(value)) == value == read(format_pickle(value))
    with pytest.raises(TypeError, match="bytes is not written"):
        format_pickle(b"")


def test_values_of_another_kind_are_refused() -> None:
    for wrong in ("x", None, True, [], Record("Parameter", ())):
        with pytest.raises(PickleError):
            number(wrong)
    for wrong in ("x", 3.0, {}, ["x"], Record("scalar", ())):
        with pytest.raises(PickleError):
            numbers(wrong)
    with pytest.raises(PickleError, match="too large"):
        number(10**400)
    with pytest.raises(PickleError, match="table"):
        table([])
    assert text("a\x1b[31m\nb") == "a [31m b"
    assert text(3) == ""


# --- What does harm where Python reads it ----------------------------------------------------------------------------


class Reduced:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


class Touched(Reduced):
    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


class Evaluated(Reduced):
    def __reduce__(self) -> Any:
        return eval, (f"open({str(self.mark)!r}, 'w')",)


def command(mark: Path) -> bytes:
    return f"touch {mark}".encode()


EXPLOITS: dict[str, Callable[[Path], bytes]] = {
    **{
        f"{kind.__name__}, protocol {protocol}": lambda mark, kind=kind, protocol=protocol: pickle.dumps(
            kind(mark), protocol
        )
        for kind in (Reduced, Touched, Evaluated)
        for protocol in (0, 2, 4, 5)
    },
    "GLOBAL REDUCE": lambda mark: b"cos\nsystem\n(S'" + command(mark) + b"'\ntR.",
    "INST": lambda mark: b"(S'" + command(mark) + b"'\nios\nsystem\n.",
    "OBJ": lambda mark: b"(cos\nsystem\nS'" + command(mark) + b"'\no.",
    "STACK_GLOBAL": lambda mark: b"\x80\x04\x8c\x05posix\x8c\x06system\x93S'" + command(mark) + b"'\n\x85R.",
    "hidden in a constraint": lambda mark: (
        b"\x80\x02}S'lat(1)'\n(cdiffpy.pdfgui.control.constraint\nConstraint\no}S'formula'\ncos\nsystem\n(S'"
        + command(mark)
        + b"'\ntRsbs."
    ),
    "a name that ends well": lambda mark: b"cpdfgui.x;os.control.parameter\nParameter.__init__\n(tR.",
    "subclass walk": lambda mark: b"cbuiltins\ngetattr\n(cbuiltins\nobject\nS'__subclasses__'\ntR.",
    "pip": lambda mark: b"cpip\nmain\n((S'install'\nS'nothing'\nltR.",
    "numpy runs text": lambda mark: b"cnumpy.testing._private.utils\nrunstring\n(S'x'\n}tR.",
    "codecs of another kind": lambda mark: b"c_codecs\ndecode\n(S'x'\nS'zip'\ntR.",
}


@pytest.mark.parametrize("name", EXPLOITS)
def test_exploits_run_nothing_and_are_refused(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    data = EXPLOITS[name](mark)
    with pytest.raises(PickleError, match="which no project needs; nothing was run"):
        read(data)
    assert not mark.exists()
    with pytest.raises(ReadError) as error:
        pk.read_project(project(tmp_path, {"fit/result": data}))
    assert "nothing was run" in str(error.value)
    assert len(str(error.value)) < 500
    assert not mark.exists()


def test_the_exploits_are_real(tmp_path: Path) -> None:
    for name in ("Reduced, protocol 2", "Touched, protocol 4", "GLOBAL REDUCE", "INST", "STACK_GLOBAL"):
        mark = tmp_path / "ran"
        pickle.loads(EXPLOITS[name](mark))
        assert mark.exists(), f"{name} no longer works on Python itself: its test shows nothing"
        mark.unlink()


BUILDS = {
    "state of a list": b"]}b.",
    "state of a class": b"cdiffpy.pdfgui.control.parameter\nParameter\n}S'__init__'\nNsb.",
    "two states": b"(cdiffpy.pdfgui.control.parameter\nParameter\no}b}b.",
    "a call of a text": b"S'os.system'\n)R.",
    "arguments that are no tuple": b"cdiffpy.pdfgui.control.parameter\nParameter\n]R.",
    "persistent": b"Pfile:///etc/passwd\n.",
    "binary persistent": b"S'x'\nQ.",
    "extension": b"\x80\x02\x82\x01.",
    "keywords": b"\x80\x04cdiffpy.pdfgui.control.parameter\nParameter\n)}\x92.",
    "a set": b"\x80\x04\x8f(K\x01\x90.",
    "names that are no texts": b"\x80\x04K\x01K\x02\x93.",
    "nothing": b"",
    "no end": b"\x80\x02]",
    "one value too many": b"K\x01K\x02.",
    "an open mark": b"K\x01(.",
    "no mark": b"l.",
    "an unknown memo": b"h\x07.",
    "an unknown opcode": b"\xff.",
    "cut in a number": b"G\x00\x00.",
    "a table with a loose key": b"}(K\x01u.",
    "a table of tuples": b"}(K\x01\x85K\x01u.",
    "a table of floats": b"}(G?\xf0\x00\x00\x00\x00\x00\x00K\x01u.",
    "colliding keys": b"}(\x8a\x09" + (2**64).to_bytes(9, "little") + b"K\x01u.",
    "too few for a tuple": b"K\x01\x87.",
    "appended to nothing": b"K\x01a.",
    "digits without end": b"I" + b"9" * 100_000 + b"\n.",
}


@pytest.mark.parametrize("name", BUILDS)
def test_damaged_and_tricky_pickles_are_refused(name: str) -> None:
    with pytest.raises(PickleError) as error:
        read(BUILDS[name])
    assert 10 < len(str(error.value)) < 300


def test_bytes_at_random_do_nothing_but_end() -> None:
    rng = np.random.default_rng(0)
    good = pickle.dumps({"a": [1.0, 2.0, (3, "x")], "b": {"c": None}}, 2)
    for k in range(4000):
        data = bytearray(good if k % 2 else rng.bytes(60))
        for _ in range(1 + k % 4):
            data[rng.integers(len(data))] = rng.integers(256)
        try:
            read(bytes(data))
        except PickleError:
            continue


# --- Bombs -----------------------------------------------------------------------------------------------------------


def test_bombs_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MOST_OPCODES", 300_000)
    laughs = b"]q\x00" + b"".join(b"](" + b"h%c" % k * 10 + b"eq%c" % (k + 1) for k in range(40)) + b"."
    nested = b")" + b"\x85" * 250_000 + b"."
    deep = b"(" * 250_000 + b"."
    doubled = b")" + b"2\x86" * 60 + b"."  # a tuple that holds 2⁶⁰ leaves
    lists = b"]" * 120_000 + b"a" * 119_999 + b"."
    begin = time.process_time()
    for data in (nested, doubled, lists):
        assert isinstance(read(data), tuple | list)
    for data in (laughs, deep, b"}" + doubled[:-1] + b"K\x01s."):
        with pytest.raises(PickleError):
            read(data)
    assert time.process_time() - begin < 20
    with pytest.raises(PickleError, match="larger than any"):
        read(b"N0" * 200_000 + b"N.")
    with pytest.raises(PickleError, match="more entries"):
        read_pickle(b"N0" * 5000 + b"N.", Budget(1000))


def test_texts_and_numbers_cannot_be_longer_than_the_file() -> None:
    for data in (
        b"X\xff\xff\xff\x7fabc.",
        b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.",
        b"\x8b\xff\xff\xff\x7f.",
    ):
        with pytest.raises(PickleError):
            read(data)


# --- Archives --------------------------------------------------------------------------------------------------------


def project(folder: Path, parts: dict[str, bytes], name: str = "x.ddp3") -> Path:
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as file:
        for part, data in {"fits": b"fit", **parts}.items():
            file.writestr(f"x/{part}", data)
    return folder / name


def refused(path: Path, words: str) -> None:
    with pytest.raises(ReadError, match=words) as error:
        pk.read_project(path)
    assert len(str(error.value)) < 500
    assert "\n" not in str(error.value)


def test_archives_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ddp3"
    refused(path, "no such file")
    for data, words in (
        (b"", "not a project"),
        (b"hello", "not a project"),
        (b"PK\x03\x04 but no more", "cut short"),
        (b"PK\x05\x06" + bytes(18), "holds no fit"),
    ):
        path.write_bytes(data)
        refused(path, words)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data.gr", "1 2\n")
    refused(path, "no fit of PDFgui: unpack it")


def test_a_damaged_archive_is_refused_wherever_it_is_cut_or_changed(tmp_path: Path) -> None:
    whole = (Path(__file__).parent / "data" / "one.ddp3").read_bytes()
    rng, path = np.random.default_rng(1), tmp_path / "x.ddp3"
    for k in range(120):
        data = bytearray(whole)
        if k % 2:
            del data[rng.integers(len(data)) :]
        else:
            for place in rng.integers(len(data), size=1 + k % 5):
                data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            pk.read_project(path)
        except ReadError as error:
            assert len(str(error)) < 500  # noqa: PT017 - some changes do no harm


def test_bombs_of_archives_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(project(tmp_path, {"fit/dataset/d/obs": bytes(60_000_000)}), "larger than any project")
    many = {f"fit/dataset/{k}/obs": bytes(30_000_000) for k in range(8)}
    refused(project(tmp_path, many), "larger than any project")
    monkeypatch.setattr(archive, "MOST_PARTS", 5)
    refused(project(tmp_path, {f"fit/{k}": b"" for k in range(9)}), "more files than any project")


def test_archives_of_another_compression_and_with_a_password_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.ddp3"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("x/fits", "a")
    refused(path, "save it again in PDFgui")
    data = bytearray(project(tmp_path, {}).read_bytes())
    data[6] |= 1
    directory = data.rindex(b"PK\x01\x02")
    data[directory + 8] |= 1
    path.write_bytes(data)
    refused(path, "save it again in PDFgui")


def test_a_longer_directory_than_the_end_says_is_refused(tmp_path: Path) -> None:
    data = project(tmp_path, {}).read_bytes()
    end = data.rindex(b"PK\x05\x06")
    (tmp_path / "x.ddp3").write_bytes(data[:end] + b"PK\x06\x07" + bytes(16) + data[end:])
    refused(tmp_path / "x.ddp3", "more files than any project")


def test_parts_without_end_are_refused_soon(tmp_path: Path) -> None:
    begin = time.process_time()
    good = "##### start data\n1 2\n2 3\n"
    constraint = Instance("diffpy.pdfgui.control.constraint", "Constraint", {"formula": "@1" + "+@1" * 5000})
    for parts, words in (
        ({"fits": b"a\n" * 5_000_000}, "more than 5000 fits"),
        ({"fit/dataset/d/obs": b"##### start data\n" + b"1 2\n" * 2_000_000}, "more than 500000 points"),
        ({"fit/dataset/d/obs": b"\n" * 2_000_000}, "are not in the project"),
        ({"fit/dataset/d/obs": b"#" * 2_000_000}, "are not in the project"),
        ({"fit/dataset/d/obs": b"a = 1e5 " * 1_000_000}, "are not in the project"),
        (
            {"fit/structure/s/initial": b"x", "fit/structure/s/constraints": format_pickle({"x(1)": constraint})},
            "longer",
        ),
    ):
        refused(project(tmp_path, parts), words)
    result = format_pickle((0.1, "Refinement parameters :" + "9" * 2_000_000 + "1:" * 100_000))
    structure = b"\n" * 2_000_000 + b" shape" * 100_000
    parts = {"fit/result": result, "fit/structure/s/initial": structure, "fit/dataset/d/obs": good.encode()}
    assert pk.read_project(project(tmp_path, parts)).fits[0].rw == 0.1
    many = {f"fit/structure/s{k}/initial": b"" for k in range(4000)}
    assert len(pk.read_project(project(tmp_path, many)).fits[0].phases) == 4000
    assert time.process_time() - begin < 30


def test_names_that_lead_elsewhere_lead_nowhere(tmp_path: Path) -> None:
    good = pk.read_project(Path(__file__).parent / "data" / "one.ddp3")
    path = tmp_path / "x.ddp3"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("../../evil", "/etc/evil", "x/../../fits", "x/a/b/c/d/e/f", "C:\\evil", "x//", "x/fit\x1b[31m/y"):
            file.writestr(name, "evil")
        file.writestr("x/fits", "../../evil\n\x1b[31mred")
    fits = pk.read_project(path).fits
    assert all(name.isprintable() for name in fits)
    fits_there = [one for one in tmp_path.rglob("*") if one != path]
    assert not fits_there
    hostile = pk.read_project(_renamed(tmp_path, "..%2F..%2Fescape"))
    files = hostile.convert(tmp_path / "out")
    assert all((tmp_path / "out") in one.resolve().parents for one in files)
    assert len(files) == len(good.convert(tmp_path / "good"))


def _renamed(folder: Path, name: str) -> Path:
    """Return the project with one fit, whose parts have another name."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(Path(__file__).parent / "data" / "one.ddp3") as source,
        zipfile.ZipFile(buffer, "w") as target,
    ):
        for one in source.namelist():
            data = b"../../escape" if one.endswith("/fits") else source.read(one)
            target.writestr(one.replace("Ni+bulk", name).replace("/Ni/", f"/{name}/"), data)
    (folder / "hostile.ddp3").write_bytes(buffer.getvalue())
    return folder / "hostile.ddp3"


def test_a_part_that_is_not_what_its_sum_says_is_refused(tmp_path: Path) -> None:
    path = project(tmp_path, {"fit/dataset/d/obs": b"##### start data\n1 2\n2 3\n"})
    data = bytearray(path.read_bytes())
    place = data.index(zlib.crc32(b"fit").to_bytes(4, "little"))
    data[place] ^= 1
    data[data.rindex(zlib.crc32(b"fit").to_bytes(4, "little"))] ^= 1
    path.write_bytes(data)
    refused(path, "damaged")
