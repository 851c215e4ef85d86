"""Mutants by meaning for `fuzz.py --meaning`: files that stay well-formed and say something else.

Where `fuzz.mutant` changes bytes, lines and words, these change what an HDF5 file, a JSON text, a recipe or a header
says: values, kinds, shapes, names, links, tables in place of lists. `valid` makes the files, `mutant` changes one, and
`READERS` holds what reads each and uses what was read.
"""

from __future__ import annotations

import contextlib
import copy
import datetime
import io
import json
import math
import random
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import pdfkit as pk
from pdfkit.benchmarking.report import BenchReport, BenchRow
from pdfkit.errors import ReadError
from pdfkit.model import serial

CHARACTERS = 500
R = np.arange(1.0, 8.0, 0.1)
INSTRUMENT = pk.Instrument(probe="X", qmin=0.8, qmax=20.0, qdamp=0.03)
NUMBERS = [0, 1, -1, 3, 0.5, -0.0, 1e-300, 1e300, -1e300, 5e-324, 2**31, -(2**63), 10**30, 10**400, 1e9, 1e-9, -5.5]
ODD = [
    *(*NUMBERS, math.nan, math.inf, -math.inf, True, False, None, "", "x", "1", "nan", "1/0", "9**9**9", "²", "é"),
    *("\x1b[2J", "../../etc/passwd", "/dev/null", "a" * 5000, "ni.a", "Uiso", "*", "Ni", "Xx", "Ni2+", "sphere"),
    *([], {}, [1], [None], [[1, 2], [3]], [[[]]], ["a", 1], [0.0] * 300, {"a": 1}, {"a": {"b": {"c": [1]}}}),
    *({"type": "mapping", "items": {}}, {"type": "mapping", "items": [1]}, {"type": "array", "values": [[1], [2, 3]]}),
    *({"type": "array", "values": ["a"]}, {"type": "number", "value": "x"}, {"type": "number", "value": "1e999"}),
    *({"type": "site"}, {"type": "model"}, {"type": "structure"}, {"type": []}, {"type": "sphere", "spdiameter": 9}),
]
DOUBLE = "\0"  # before a key: the writer leaves it out, so that the key is there twice


def deep(depth: int) -> Any:
    """Return a list in a list in a list."""
    out: Any = 1
    for _ in range(depth):
        out = [out]
    return out


# --- valid files -----------------------------------------------------------------------------------------------------


def valid(folder: Path) -> dict[str, bytes]:
    """Return small valid files by name."""
    nickel = pk.Crystal.from_file("Ni", name="ni", shape=pk.Sphere(30.0))
    model = pk.Model(nickel, INSTRUMENT)
    pk.write_pdf(folder / "own.gr", model(R))
    result = pk.fit(
        model, model(R), free=["scale", "a"], ties={"ni.delta2": "2*ni.Ni.Uiso"}, settings=pk.FitSettings(max_nfev=3)
    )
    result.save(folder / "own.h5", recipe="title = 'Ni'", digests={"x.gr": "00"})
    (folder / "params.json").write_text(result.params.dumps())
    _sets().save(folder / "sets.h5")
    (folder / "model.json").write_text(serial.dumps(_sets().datasets[0].model))
    (folder / "parts.json").write_text(serial.dumps(_parts()))
    _ranking(folder).save(folder / "ranking.h5")
    row = BenchRow("a", "A", "pdfkit", "s", "rmax", 10.0, seconds=0.1, spread=0.1, rounds=3, difference=1e-9)
    BenchReport({"processor": "x", "date": "2026"}, (row, row), 1.0).save(folder / "bench.json")
    (folder / "rich.toml").write_text(RECIPE)
    (folder / "reduce.cfg").write_text(
        "[DEFAULT]\nmode = xray\ncomposition = Ni\ndataformat = QA\nqmax = 11\nqmin = 0.6\nrpoly = 0.9\nrmin = 0\n"
        "rmax = 20\nrstep = 0.02\nbgscale = 0.5\nterminationfunctions = lorch\nwavelength = 0.2\nmaxiter = 3\n"
    )
    diagnostics = {"rw": 0.1, "scale": 2.0}
    entries = [
        {"row": {"file": f"{stem}.iq", "status": "done", "warnings": ["w"], "diagnostics": diagnostics}, "digest": "0"}
        for stem in ("x3", "other")
    ]
    lines = [{"format": "pdfkit reductions", "version": 1}, *entries]
    (folder / "reductions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}


RECIPE = """
title = "all there is"
[[data]]
name = "x"
file = "x3.gr"
probe = "X"
qmax = 20
qdamp = 0.03
rmin = 1.5
rmax = 5.0
[[data]]
name = "n"
file = "x3.gr"
probe = "N"
qmax = 18.0
window = "lorch"
scattering = "constant"
rmin = 1.5
rmax = 4.0
[[phase]]
name = "ni"
structure = "Ni"
scale = 0.5
delta2 = 1.0
anisotropic = false
shape = {kind = "sphere", spdiameter = 30}
start = {a = 3.52, "Ni.Uiso" = 0.006}
[[phase]]
name = "c"
structure = "Cd56Se35_tetrahedron"
kind = "cluster"
surface = true
expansion = 0.01
[[phase]]
name = "st"
kind = "stacked"
elements = ["Cd", "S"]
a_h = 4.1
alpha = 0.1
[fit]
free = ["scale", "ni.a", "Uiso"]
ties = {"st.delta2" = "2*ni.Ni.Uiso"}
bounds = {"ni.a" = [3.4, 3.6], "ni.scale" = {min = 0, max = 9}}
restraints = [{expression = "ni.a/st.a_h", target = 0.9, sigma = 0.1}]
use_errors = false
max_nfev = 3
[output]
dir = "results"
write = ["report", "hdf5"]
prefix = "a_"
"""


def _sets() -> pk.FitResult:
    """Return a fit of two data sets with errors, by a phase of each kind, with a restraint and a bound."""
    stacked = pk.Stacked("Cd", "S", name="st", a_h=4.1, alpha=0.1)
    cluster = pk.Cluster(pk.build.tetrahedron("CdSe_zincblende", 3), "c", surface=True)
    crystal = pk.Crystal.from_file("CdSe_wurtzite", name="wz", anisotropic=True)
    model = pk.Model([stacked, cluster, crystal], INSTRUMENT)
    G = model(R)
    data = pk.PDF(R, G.G, np.full(R.size, 0.1), instrument=INSTRUMENT, temperature=300.0, header={"a": "b"})
    restraint = pk.BondRestraint("wz", "Cd", "Se", 2.6, 0.1)
    bounds = {"wz.scale": (0.0, 9.0)}
    sets = {"x": data, "n": data}
    return pk.fit(
        model,
        sets,
        free=["wz.scale", "wz.a"],
        bounds=bounds,
        restraints=[restraint],
        settings=pk.FitSettings(max_nfev=2),
    )


def _parts() -> list[Any]:
    """Return parts of models that the other files lack: every shape, a lattice, a covariance, restraints."""
    of_30 = [
        pk.Sphere(30.0),
        pk.shapes.LognormalSpheres(30.0, 6.0),
        pk.shapes.Spheroid(30.0, 2.0),
        pk.shapes.Shell(30.0, 5.0),
    ]
    table = pk.shapes.Tabulated(np.arange(0.0, 31.0), pk.Sphere(30.0).gamma0(np.arange(0.0, 31.0)))
    shapes = [*of_30, pk.shapes.Sheet(10.0), pk.shapes.Rod(20.0, 60.0), pk.shapes.Stepcut(30.0), table]
    nickel = [pk.Crystal.from_file("Ni", name=f"n{k}", shape=shape) for k, shape in enumerate(shapes)]
    cut = pk.Cluster(pk.build.sphere("CdSe_wurtzite", 9.0), "cut", axial=(0.0, 0.0, 0.01))
    rod = pk.Stacked("Ni", name="rod", a_h=2.5, alpha=0.1, layers=6.0, diameter=30.0)
    covariance = pk.uncertainty.Covariance.white(INSTRUMENT, 8.0)
    return [*nickel, cut, rod, covariance, pk.ValueRestraint("n0.a", 3.5, 0.1)]


def _ranking(folder: Path | None = None, out: Path | None = None) -> pk.Ranking:
    """Return the ranking of two small clusters; its journal is one of the files."""
    particles = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4)]
    data = pk.Model(pk.Cluster(particles[1], "c"), pk.Instrument(probe="X", qmin=0.8, qmax=16.0))(R)
    out = folder / "screen" if folder is not None else out
    ranking = pk.screen(particles, data, out=out, max_nfev=5, free=["scale", "Uiso"])
    if folder is not None:
        (folder / "screen.jsonl").write_bytes((folder / "screen" / "screen.jsonl").read_bytes())
    return ranking


# --- readers ---------------------------------------------------------------------------------------------------------


def _used(*actions: Callable[[], Any]) -> None:
    """Use what was read: each action does its work, or is refused in a message of some length."""
    for action in actions:
        try:
            action()
        except pk.PdfkitError as error:
            said = str(error)
            if len(said) > CHARACTERS:
                raise ValueError(f"message of {len(said)} characters: {said[:200]}") from None


def use(read: Any) -> None:
    """Ask of a result, a ranking or a model what people ask of it."""
    if isinstance(read, pk.FitResult):
        again = [lambda one=one: one.model(one.data.r) for one in read.datasets]
        save = [lambda: pk.load_result(read.save("again.h5")), lambda: read.write_columns("again.dat")]
        _used(lambda: str(read), *again, *save)
    elif isinstance(read, pk.Ranking):
        best = [lambda: read.result(0), lambda: read.to_csv("again.csv")]
        _used(lambda: read.table(5), *best, lambda: pk.Ranking.load(read.save("again.h5", curves=1)))
    elif isinstance(read, tuple):
        for part in read:
            use(part)
    elif hasattr(read, "with_values") and hasattr(read, "quantities") and not isinstance(read, pk.Model):
        _used(lambda: use(pk.Model([read], INSTRUMENT)))
    elif isinstance(read, pk.uncertainty.Covariance):
        _used(lambda: pk.PDF(R, R, 0.1 * R, instrument=INSTRUMENT, cov=read).crop(2.0, 5.0), lambda: read.matrix(R))
    elif isinstance(read, pk.Model):
        _used(lambda: read(R), lambda: serial.loads(serial.dumps(read)))


def _named(name: str, read: Callable[[str], Any]) -> Any:
    """Read the text of a file by what takes text only: its refusals get the file's name here."""
    try:
        return read(Path(name).read_text(encoding="utf-8"))
    except pk.PdfkitError as error:
        raise pk.PdfkitError(f"{name}: {error}") from None


def _journal(name: str) -> None:
    """Go on with a ranking whose journal was changed."""
    out = Path(f"{name}-out")
    out.mkdir()
    (out / name).write_bytes(Path(name).read_bytes())
    with contextlib.suppress(ReadError):
        _used(lambda: use(_ranking(out=out)))


def _reductions(name: str) -> None:
    """Go on with a reduction whose journal was changed."""
    from pdfkit.reduction.batch import reduce_files

    out = Path(f"{name}-out")
    out.mkdir()
    (out / name).write_bytes(Path(name).read_bytes())
    _used(lambda: reduce_files(["x3.iq"], out, composition="Ni", qmax=11.0))


READERS: Mapping[str, Callable[[str], None]] = {
    "own.h5": lambda name: use(pk.load_result(name)),
    "sets.h5": lambda name: use(pk.load_result(name)),
    "ranking.h5": lambda name: use(pk.Ranking.load(name)),
    "model.json": lambda name: use(_named(name, serial.loads)),
    "parts.json": lambda name: use(_named(name, serial.loads)),
    "params.json": lambda name: _named(name, lambda text: pk.Parameters().loads(text).valuesdict()),
    "bench.json": lambda name: _used(BenchReport.read(name).table, lambda: BenchReport.read(name).save("again.json")),
    "screen.jsonl": _journal,
    "reductions.jsonl": _reductions,
}
COMMANDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    ".h5": (("info", "{}"), ("plot", "{}", "-o", "out.png"), ("partials", "{}", "-o", "out")),
    ".toml": (("fit", "{}", "-o", "out"), ("fit", "{}"), ("info", "{}"), ("partials", "{}", "-o", "out")),
    ".cfg": (("reduce", "x3.iq", "--config", "{}", "-o", "out"), ("reduce", "--config", "{}")),
    ".gr": (("info", "{}"), ("plot", "{}", "-o", "out.png")),
}


# --- changes ---------------------------------------------------------------------------------------------------------


def mutant(rng: random.Random, name: str, content: bytes) -> bytes:
    """Return the content with one to three changes of what it says."""
    count = rng.choice([1, 1, 2, 3])
    match Path(name).suffix:
        case ".h5":
            return hdf5_changed(rng, content, count)
        case ".json":
            return json_text(rng, tree_changed(rng, json.loads(content), count)).encode("utf-8", "replace")
        case ".jsonl":
            lines = content.decode().splitlines()
            i = rng.randrange(len(lines))
            lines[i] = json_text(rng, tree_changed(rng, json.loads(lines[i]), count))
            return ("\n".join(lines) + "\n").encode("utf-8", "replace")
        case ".toml":
            tree = tree_changed(rng, tomllib.loads(content.decode()), count)
            return toml_text(tree, sections=rng.random() < 0.6).encode("utf-8", "replace")
    return pairs_changed(rng, content.decode(), count).encode("utf-8", "replace")


def tree_changed(rng: random.Random, tree: Any, count: int = 1) -> Any:
    """Return numbers, text, lists and tables with so many places changed."""
    holder = {"": copy.deepcopy(tree)}
    for _ in range(count):
        parent, key = _place(rng, holder)
        match rng.randrange(8):
            case 0 if parent is not holder:
                del parent[key]
            case 1 if isinstance(parent, dict) and parent is not holder:
                value = parent.pop(key) if rng.random() < 0.5 else copy.deepcopy(parent[key])
                parent[_other_key(rng, {key: 0, **parent}, key)] = value
            case 2:
                parent[key] = copy.deepcopy(_other_form(rng, parent[key]))
            case 3:
                source, there = _place(rng, holder)
                parent[key] = copy.deepcopy(source[there])
            case 4 | 5 if isinstance(parent[key], int | float):
                parent[key] = _other_number(rng, parent[key])
            case _:
                parent[key] = copy.deepcopy(rng.choice([*ODD, deep(60)]))
    return holder[""]


def _place(rng: random.Random, holder: Any) -> tuple[Any, Any]:
    """Return a container and the key in it: a walk from the top, so that long arrays do not have most of the places."""
    parent, key = holder, ""
    while isinstance(parent[key], dict | list) and parent[key] and rng.random() < 0.85:
        parent = parent[key]
        key = rng.choice(list(parent)) if isinstance(parent, dict) else rng.randrange(len(parent))
    return parent, key


def _other_key(rng: random.Random, table: dict[str, Any], key: str) -> str:
    plain = key.lstrip(DOUBLE)
    return rng.choice(
        [DOUBLE + plain, plain.upper(), plain[:-1], f"{plain}x", "", "type", "*", rng.choice(list(table))]
    )


def _other_form(rng: random.Random, value: Any) -> Any:
    """Return a value as a list, a table or text, and what is a list or table as the other."""
    forms: list[Any] = [[value], [value, value], {"a": value}, str(value)[:3000], [value] * 40, {"type": "mapping"}]
    if isinstance(value, dict):
        forms += [list(value.values()), list(value), {}]
    if isinstance(value, list):
        halves = [value[::2], value[:-1], value[::-1], value * 2, [value], [[one] for one in value]]
        forms += [{str(i): one for i, one in enumerate(value)}, *(halves if len(value) < 1000 else halves[:2])]
    return rng.choice(forms)


def _other_number(rng: random.Random, value: float) -> Any:
    value = value if abs(value) < 1e300 else 1e300
    return rng.choice(
        [-value, value * 1e6, value * 1e-6, value + 1, value * 1e300, round(value, 0), str(value), value / 2]
    )


def json_text(rng: random.Random, tree: Any) -> str:
    """Return JSON with keys doubled where they are marked so; NaN is a word of it for Python."""
    return json.dumps(tree, ensure_ascii=rng.random() < 0.5).replace("\\u0000", "")


def toml_text(tree: Any, *, sections: bool) -> str:
    """Return TOML: each table a line, or a section of its own."""
    if not isinstance(tree, dict):
        return _toml_value(tree)
    plain, tables = [], []
    for key, value in tree.items():
        many = isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
        if sections and (many or isinstance(value, dict)):
            head, every = (f"[[{_toml_key(key)}]]", value) if many else (f"[{_toml_key(key)}]", [value])
            tables += [f"{head}\n{toml_text(one, sections=False)}" for one in every]
        else:
            plain.append(f"{_toml_key(key)} = {_toml_value(value)}\n")
    return "".join([*plain, *tables])


def _toml_key(key: str) -> str:
    key = key.lstrip(DOUBLE)
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else json.dumps(key)


def _toml_value(value: Any) -> str:
    match value:
        case None:
            return datetime.date(1979, 5, 27).isoformat()
        case dict():
            return "{" + ", ".join(f"{_toml_key(key)} = {_toml_value(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml_value, value)) + "]"
        case float():
            return repr(value)
    return json.dumps(value)


def pairs_changed(rng: random.Random, text: str, count: int) -> str:
    """Return text whose lines `key = value` say something else: values, names, lines twice with two values."""
    lines = text.split("\n")
    for _ in range(count):
        pairs = [i for i, line in enumerate(lines) if re.match(r"#?\s*[\w.]+\s*=", line)] or [0]
        i = rng.choice(pairs)
        key, _, value = lines[i].partition("=")
        odd = rng.choice([*ODD, _other_form(rng, value.strip()), f"-{value.strip()}", f"{value} Å"])
        match rng.randrange(4):
            case 0:
                lines[i] = f"{lines[rng.choice(pairs)].partition('=')[0]}={value}"
            case 1:
                lines.insert(rng.choice(pairs), f"{key}={odd}")
            case _:
                lines[i] = f"{key}={str(odd).splitlines()[0] if str(odd) else ''}"
    return "\n".join(lines)


# --- HDF5 ------------------------------------------------------------------------------------------------------------

ODD_ARRAYS: list[Any] = [
    *(np.zeros(0), np.zeros((0, 3)), np.zeros((2, 2, 2)), np.array(1.5), np.array(True), np.array(7, dtype=np.uint64)),
    *(np.arange(3), np.array([1e300, -1e300]), np.array([np.nan, np.inf]), np.array(["a", "b"], dtype="S3")),
    *(np.array([1 + 2j]), np.array([1.0], dtype=np.float16), np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])),
    *(np.array(b"\xff\xfe"), np.void(b"\x00\x01"), np.array(-(2**63)), h5py.Empty("f8"), h5py.Empty("S5")),
]


def hdf5_changed(rng: random.Random, content: bytes, count: int) -> bytes:
    """Return an HDF5 file with other values, kinds, shapes, names, attributes and links in it."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+", libver=("v108", "v108")) as file:
        for _ in range(count):
            names: list[str] = []
            file.visit(names.append)
            if not names:
                break
            texts = [name for name in names if name.endswith(("/json", "data_about", "options", "about", "restraints"))]
            name = rng.choice(texts) if texts and rng.random() < 0.35 else rng.choice(names)
            parent, _, last = name.rpartition("/")
            with contextlib.suppress(OSError, ValueError, TypeError, RuntimeError, KeyError):
                _member_changed(rng, file[parent or "/"], last, names)
    return buffer.getvalue()


def _member_changed(rng: random.Random, group: Any, name: str, names: list[str]) -> None:
    """Change one member of a group, or its attributes."""
    chance, other = rng.random(), rng.choice(names)
    if chance < 0.06:
        del group[name]
    elif chance < 0.12:
        group.move(name, rng.choice([f"{name}x", name.upper(), name[:-1], "é", f"dataset_{name}", "data"]))
    elif chance < 0.2:
        _linked(rng, group, name, other)
    elif chance < 0.3:
        _attribute_changed(rng, group[name])
    elif chance < 0.36:
        copy = group.file[other]
        del group[name]
        group.file.copy(copy, group, name)
    elif isinstance(group[name], h5py.Dataset):
        _replaced(rng, group, name, _other_value(rng, group[name]))
    else:
        _attribute_changed(rng, group[name])


def _linked(rng: random.Random, group: Any, name: str, other: str) -> None:
    del group[name]
    kind = rng.randrange(4)
    if kind == 0:
        group[name] = h5py.SoftLink(rng.choice(["/" + other, "/nowhere", group.name]))
    elif kind == 1:
        group[name] = h5py.ExternalLink(rng.choice(["own.h5", "/dev/null", "none.h5"]), "/entry")
    elif kind == 2:
        group[name] = group.file[other if other in group.file else "/"]
    else:
        group[name] = rng.choice([group, group.file["/"]])  # a group that holds itself


def _other_value(rng: random.Random, member: Any) -> Any:
    """Return another value for a dataset: of another kind, another shape, or with odd numbers or words in it."""
    if member.shape is None or rng.random() < 0.15:
        return rng.choice(ODD_ARRAYS)
    if h5py.check_string_dtype(member.dtype):
        found = member.asstr()[()]
        if isinstance(found, str):
            return _other_text(rng, found)
        texts = [str(one) for one in np.ravel(found)]
        changed = tree_changed(rng, texts)
        plain = isinstance(changed, list) and all(isinstance(one, str) for one in changed)
        return changed if plain else str(changed)
    values = np.array(member[()])
    with np.errstate(all="ignore"):  # what does not fit another kind becomes anything
        forms = [values.astype(kind) for kind in ("f4", "i8", "?", "S9")] if values.dtype.kind in "fiub" else [values]
    shapes = [
        values.ravel(),
        values.reshape(1, -1),
        values.T,
        values[..., None],
        np.repeat(np.atleast_1d(values), 2, 0),
    ]
    if values.ndim:
        shapes += [values[:-1], values[::-1], values[:1], values.ravel()[0] if values.size else values]
    if rng.random() < 0.4:
        return rng.choice([*forms, *shapes])
    odd = values.astype(float) if values.dtype.kind in "fiub" else np.zeros(values.shape)
    number = rng.choice([*(float(n) for n in NUMBERS if abs(n) < 1e301), math.nan, math.inf, -math.inf])
    if odd.ndim and odd.size and rng.random() < 0.6:
        odd.ravel()[rng.randrange(odd.size)] = number
        return odd
    return np.full(odd.shape, number)


def _other_text(rng: random.Random, text: str) -> Any:
    if text.startswith(("{", "[")) and rng.random() < 0.9:
        return json_text(rng, tree_changed(rng, json.loads(text), rng.choice([1, 1, 2])))
    return rng.choice([*(str(one) for one in ODD), [text, text], text.encode("utf-16"), b"\xff", text * 3])


def _replaced(rng: random.Random, group: Any, name: str, value: Any) -> None:
    about = dict(group[name].attrs)
    del group[name]
    if isinstance(value, str) and rng.random() < 0.7:
        raw = value.encode("utf-8", "replace").replace(b"\0", b"")
        value = np.array(raw, dtype=h5py.string_dtype("utf-8", max(1, len(raw))))
    made = group.create_dataset(name, data=value)
    for key, one in about.items():
        made.attrs[key] = one


def _attribute_changed(rng: random.Random, member: Any) -> None:
    """Change, add or take away one attribute."""
    known = list(member.attrs)
    key = (
        rng.choice(known) if known and rng.random() < 0.8 else rng.choice(["NX_class", "format_version", "x", "begin"])
    )
    if key in member.attrs and rng.random() < 0.2:
        del member.attrs[key]
        return
    member.attrs[key] = rng.choice([*ODD_ARRAYS, *(str(one)[:500] for one in ODD), 0, -1, 2, 1e300, ["a", "b"]])
