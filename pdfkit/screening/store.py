"""Rankings on disk: HDF5 in NeXus form, there and back.

entry/                  NXentry; @default leads to the curves of the best candidate
  rows/                 one column each: name, kind, family, formula, rw, ln Z, checks, remarks…; best first
  parameters/           names, and a table of values and one of errors (rows × parameters), NaN where none
  curves/               NXdata of the best fits: observed (± errors), one calculated curve each, and differences
  candidates/           atoms of everything that was fitted: elements, positions, where each begins
  data/ setting/        what was fitted, and how; `funnel`: the stages
  versions/             programs
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.covariance import Covariance
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError, ReadError, remark
from pdfkit.fitting.discrepancy import OF, SIZES
from pdfkit.io._atomic import AnyPath
from pdfkit.io._folders import unfinished
from pdfkit.io.hdf5 import Field, Group, check_format, nxdata, read_nexus, write_entry
from pdfkit.model import serial
from pdfkit.model.measured import MeasuredPattern
from pdfkit.particles.particle import Particle
from pdfkit.screening.certificate import Certificate
from pdfkit.screening.ranking import Ranking
from pdfkit.screening.rows import KINDS, ORDER, RankingRow, Stage
from pdfkit.screening.settings import Composition, ScreenFit
from pdfkit.screening.table import STAGES, parameter_names
from pdfkit.screening.tasks import Problem, check_problem

FORMAT = "pdfkit ranking"
FORMAT_VERSION = 1
_TEXTS = ("name", "key", "formula", "family", "kind", "stage", "errors_from")
_NUMBERS = ("rw", "chi2", "reduced_chi2", "n_independent", "occam", "lnz", "delta", "ratio", "mass")
_COUNTS = ("atoms", "n_free", "nfev")
_STATES = ("converged", "indistinguishable")
# Of rankings whose atoms may be displaced; files of before have none of these.
_LATER = ("displacement", "probability", "shell")
_MOVED = ("known", "misfit", "odds")
# Whether something fits: unknown is neither.
_MAYBE: Mapping[bool | None, int] = {None: -1, False: 0, True: 1}
_G = {"units": "angstrom^-2"}
_COVARIANCE = ("Q", "weight", "variance", "modes", "core")
_AGAIN = "run the screen again and save it"


def save_ranking(path: AnyPath, ranking: Ranking, curves: int) -> Path:
    """Write a ranking with the curves of its best `curves` fits and return the path. WriteError when it cannot be."""
    entry: dict[str, Group | Field] = {
        "rows": _rows(ranking.rows),
        "parameters": _parameters(ranking.rows),
        "curves": _curves(ranking, curves),
        "candidates": _candidates(ranking),
        "data": _data(ranking.data),
        **({"more": Group("NXcollection", {n: _data(one) for n, one in ranking.more.items()})} if ranking.more else {}),
        "setting": _setting(ranking),
        "displaced": _displaced(ranking.rows),
        "funnel": _funnel(ranking.stages),
    }
    title = f"{len(ranking)} candidates, compared with G(r)"
    return write_entry(path, title, entry, "curves", (FORMAT, FORMAT_VERSION))


def _rows(rows: Sequence[RankingRow]) -> Group:
    columns: dict[str, Group | Field] = {name: Field([getattr(row, name) for row in rows]) for name in _TEXTS}
    for names, kind in ((_NUMBERS + _LATER, float), (_COUNTS, np.int64), ((*_STATES, "listed"), np.int8)):
        columns |= {name: Field(np.array([getattr(row, name) for row in rows], dtype=kind)) for name in names}
    for name in ("ratio_fits", "mass_fits"):
        columns[name] = Field(np.array([_MAYBE[getattr(row, name)] for row in rows], dtype=np.int8))
    columns["remarks"] = Field([json.dumps(row.remarks, ensure_ascii=False) for row in rows])
    columns["parts"] = Field([json.dumps(row.parts, ensure_ascii=False) for row in rows])
    if any(row.beside for row in rows):
        columns["beside"] = Field([json.dumps(dict(row.beside), ensure_ascii=False) for row in rows])
        columns["moved"] = Field([json.dumps(dict(row.moved), ensure_ascii=False) for row in rows])
    return Group("NXcollection", columns)


def _displaced(rows: Sequence[RankingRow]) -> Group:
    """Return what displaced atoms add to ln Z, for each row and size, NaN where they cannot be followed."""
    members: dict[str, Group | Field] = {"size": Field(SIZES, {"units": "angstrom"})}
    for name in _MOVED:
        width = 1 if name == "odds" else SIZES.size
        members[name] = Field(np.array([row.moved.get(name, (math.nan,) * width) for row in rows]).reshape(-1, width))
    return Group("NXcollection", members)


def _parameters(rows: Sequence[RankingRow]) -> Group:
    names = parameter_names(rows)
    table = np.full((2, len(rows), len(names)), math.nan)
    column = {name: k for k, name in enumerate(names)}
    for i, row in enumerate(rows):
        for name, pair in row.values.items():
            table[:, i, column[name]] = pair
    members: dict[str, Group | Field] = {"names": Field(names), "value": Field(table[0]), "error": Field(table[1])}
    return Group("NXcollection", members)


def _curves(ranking: Ranking, count: int) -> Group:
    data = ranking.data
    signals = {"observed": Field(data.G, _G)}
    differences: dict[str, Field] = {}
    for k, row in enumerate(ranking.best(count), start=1):
        try:
            calculated = ranking.result(row.name).datasets[0].calc.G
        except PdfkitError:  # its atoms are not at hand
            continue
        about = {**_G, "candidate": row.name, "rw": row.rw}
        signals[f"calculated_{k}"] = Field(calculated, about)
        differences[f"difference_{k}"] = Field(data.G - calculated, about)
    errors = {} if data.dG is None else {"observed": Field(data.dG, _G)}
    r = Field(data.r, {"units": "angstrom"})
    return nxdata("G(r), measured and calculated for the best candidates", ("r", r), {**signals, **differences}, errors)


def _candidates(ranking: Ranking) -> Group:
    """Return the atoms of all particles, one after the other."""
    keys = list(ranking.particles)
    particles = [ranking.particles[key] for key in keys]
    elements = sorted({e for particle in particles for e in particle.elements})
    kinds = [np.array([elements.index(e) for e in p.elements])[p.kind] for p in particles]
    members: dict[str, Group | Field] = {
        "key": Field(keys),
        "name": Field([particle.name for particle in particles]),
        "about": Field([_about(particle.meta) for particle in particles]),
        "elements": Field(elements),
        "atoms": Field(np.array([len(particle) for particle in particles], dtype=np.int64)),
        "kind": Field(np.concatenate([*kinds, np.zeros(0, dtype=np.int64)]).astype(np.int64)),
        "xyz": Field(np.concatenate([*(p.xyz for p in particles), np.zeros((0, 3))]), {"units": "angstrom"}),
    }
    if any(particle.ligand is not None for particle in particles):
        worn = [np.zeros(len(p), dtype=np.int8) if p.ligand is None else p.ligand.astype(np.int8) for p in particles]
        members["ligand"] = Field(np.concatenate(worn))
    return Group("NXcollection", members)


def _about(meta: Mapping[str, Any]) -> str:
    """Return what a builder said about a particle, as far as it is words, numbers and lists of them."""
    out = {}
    for key, value in meta.items():
        try:
            plain = serial.to_plain(value)
            json.dumps(plain, allow_nan=False)
        except (PdfkitError, TypeError, ValueError):
            continue
        out[str(key)] = plain
    return json.dumps(out, ensure_ascii=False)


def _data(data: PDF) -> Group:
    members: dict[str, Group | Field] = {"r": Field(data.r, {"units": "angstrom"}), "G": Field(data.G, _G)}
    if data.dG is not None:
        members["dG"] = Field(data.dG, _G)
    if data.cov is not None:
        members["covariance"] = Group("NXcollection", {k: Field(getattr(data.cov, k)) for k in _COVARIANCE})
    about = {"name": data.name, "instrument": data.instrument, "header": dict(data.header)}
    members["about"] = Field(serial.dumps(about))
    return Group("NXcollection", members)


def _setting(ranking: Ranking) -> Group:
    members: dict[str, Group | Field] = {
        "options": Field(json.dumps(asdict(ranking.settings), ensure_ascii=False)),
        "chemistry": Field(json.dumps(asdict(ranking.composition))),
        "noise": Field(ranking.noise),
        "threshold": Field(ranking.threshold),
        "problem": Field(ranking.problem.digest()),
        **({"patterns": Field(serial.dumps(ranking.patterns))} if ranking.patterns else {}),
        **({"names": Field([ranking.name, *ranking.more])} if ranking.more else {}),
    }
    if ranking.certificate is not None:
        members["certificate"] = Field(json.dumps(asdict(ranking.certificate)))
    return Group("NXcollection", members)


def _funnel(stages: Sequence[Stage]) -> Group:
    columns: dict[str, Group | Field] = {"name": Field([stage.name for stage in stages])}
    for name in ("entered", "failed", "kept"):
        columns[name] = Field(np.array([getattr(stage, name) for stage in stages], dtype=np.int64))
    return Group("NXcollection", columns)


# --- reading ---------------------------------------------------------------------------------------------------------


def load_ranking(path: AnyPath) -> Ranking:
    """Return the ranking in a file. ReadError when it is missing, damaged, or no ranking."""
    entry = read_nexus(path).group("entry")
    if words := unfinished(path):
        remark(words)
    check_format(entry, FORMAT, FORMAT_VERSION, "ranking.save")
    try:
        return _ranking(entry)
    except ReadError:
        raise
    except Exception as error:  # constructors raise whatever comes along
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReadError(path, f"this file does not hold a whole ranking ({reason}): {_AGAIN}") from None


def _ranking(entry: Group) -> Ranking:
    setting, data = entry.group("setting"), _read_data(entry.group("data"))
    known = json.loads(setting.text("chemistry")).items()
    composition: dict[str, Any] = {_OLD.get(k, k): tuple(v) if isinstance(v, list) else v for k, v in known}
    funnel = entry.group("funnel")
    columns = (_counts(funnel, name) for name in ("entered", "failed", "kept"))
    names = _known(funnel, "name", _texts(funnel, "name"), STAGES)
    stages = [Stage(name, *counts) for name, *counts in zip(names, *columns, strict=True)]
    patterns = _read_patterns(setting)
    first, *others = _texts(setting, "names") if "names" in setting else ("pdf",)
    more = {name: _read_data(entry.group("more").group(name)) for name in others}
    return Ranking(
        rows=_read_rows(entry.group("rows"), entry.group("parameters"), _read_displaced(entry)),
        stages=tuple(stages),
        data=data,
        settings=_read_settings(setting, data),
        patterns=patterns,
        more=more,
        name=first,
        noise=_read_noise(setting, (*more, *patterns)),
        threshold=setting.number("threshold"),
        composition=Composition(**composition),
        particles=_read_candidates(entry.group("candidates")),
        told=Certificate(**json.loads(setting.text("certificate"))) if "certificate" in setting else None,
    )


def _read_patterns(setting: Group) -> dict[str, MeasuredPattern]:
    """Return the patterns beside G(r); files without any say nothing of them."""
    found = serial.loads(setting.text("patterns")) if "patterns" in setting else {}
    if not isinstance(found, dict) or not all(isinstance(one, MeasuredPattern) for one in found.values()):
        raise ReadError(setting.source, f"its patterns are none: {_AGAIN}")
    return found


def _read_noise(setting: Group, beside: Sequence[str]) -> str:
    noise = setting.text("noise")
    if beside and noise.startswith(OF):
        _known(setting, "noise", tuple(noise.removeprefix(OF).split(", ")), ("G(r)", *beside))
        return noise
    return _known(setting, "noise", (noise,), ("known", "misfit"))[0]


def _of_row(text: str) -> dict[str, tuple[float, float, bool]]:
    """Return what a row says of each data set."""
    return {name: (float(chi2), float(n), bool(known)) for name, (chi2, n, known) in json.loads(text).items()}


def _moved_of(text: str, source: Any) -> dict[str, tuple[float, ...]]:
    """Return ln Z of a row at every displacement, by the noise."""
    found = {name: tuple(map(float, values)) for name, values in json.loads(text).items()}
    if any(len(values) != SIZES.size for values in found.values()):
        raise ReadError(source, f"its displacements are not those of this version: {_AGAIN}")
    return found


def _read_displaced(entry: Group) -> list[dict[str, tuple[float, ...]]] | None:
    """Return what displaced atoms add to ln Z by row; None for files of before."""
    if "displaced" not in entry:
        return None
    tables = {name: entry.group("displaced").array(name, 2) for name in _MOVED}
    if not np.array_equal(entry.group("displaced").array("size"), SIZES):
        raise ReadError(entry.source, f"its displacements are not those of this version: {_AGAIN}")
    rows = zip(*(table.tolist() for table in tables.values()), strict=True)
    return [
        {name: tuple(values) for name, values in zip(_MOVED, row, strict=True)} if math.isfinite(row[2][0]) else {}
        for row in rows
    ]


# Words of files of before.
_OLD = {"tolerance": "mass_tolerance", "weights": "use_errors"}
_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("start", "ties", "bounds"), dict),
    **dict.fromkeys(("baseline", "errors"), str),
    **dict.fromkeys(("surface", "use_errors"), bool),
    **dict.fromkeys(("rmin", "rmax"), (int, float, type(None))),
    **{"free": list, "max_nfev": int, "memory": (int, float), "displacement": (str, int, float), "exafs": dict},
}


def _read_settings(group: Group, data: PDF) -> ScreenFit:
    """Return how candidates were fitted, in the kinds that a `ScreenFit` has."""
    options = {_OLD.get(name, name): value for name, value in json.loads(group.text("options")).items()}
    if options.get("use_errors") in ("auto", "none"):
        options["use_errors"] = options["use_errors"] == "auto"
    for name, value in options.items():
        if name not in _OPTIONS or not isinstance(value, _OPTIONS[name]):
            raise ReadError(group.source, f"its setting {name[:40]} is unknown or has a wrong value: {_AGAIN}")
    options.setdefault("displacement", "none")  # not in files of before
    options["bounds"] = {name: tuple(limits) for name, limits in options["bounds"].items()}
    options["start"] = {name: float(value) for name, value in options["start"].items()}
    options["exafs"] = {name: tuple(pair) for name, pair in options.get("exafs", {}).items()}
    settings = ScreenFit(**options)
    check_problem(Problem(data, settings))
    return settings


def _texts(group: Group, name: str) -> tuple[str, ...]:
    """Return a list of strings; h5py reads an empty one as numbers."""
    found = group.members.get(name)
    if isinstance(found, Field) and isinstance(found.value, np.ndarray) and found.value.size == 0:
        return ()
    return group.texts(name)


def _known(group: Group, name: str, words: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    """Return words that are known; ReadError for others."""
    if other := [word for word in words if word not in known]:
        raise ReadError(group.source, f"{name} {other[0][:40]!r} is not known: {_AGAIN}")
    return words


def _counts(group: Group, name: str) -> list[int]:
    """Return whole numbers, none below 0; ReadError for others."""
    found = group.array(name)
    if not ((found >= 0) & (found < 2**53) & (found == np.floor(found))).all():
        raise ReadError(group.source, f"{name} are not whole numbers: {_AGAIN}")
    return [int(one) for one in found]


def _read_rows(
    table: Group, parameters: Group, moved: Sequence[Mapping[str, tuple[float, ...]]] | None
) -> tuple[RankingRow, ...]:
    columns: dict[str, Sequence[Any]] = {name: _texts(table, name) for name in _TEXTS}
    for name, words in (("stage", ORDER), ("kind", KINDS)):
        _known(table, name, tuple(columns[name]), words)
    early = ("occam", *_LATER)  # not in files of before
    numbers = [name for name in _NUMBERS + _LATER if name in table or name not in early]
    columns.update({name: table.array(name).tolist() for name in numbers})
    columns.update({name: _counts(table, name) for name in _COUNTS})
    stored = {name: name if name in table else "same" for name in _STATES}  # "same" in files of before
    stored |= {"listed": "listed"} if "listed" in table else {}
    columns.update({name: table.array(word).astype(bool).tolist() for name, word in stored.items()})
    maybe = {code: value for value, code in _MAYBE.items()}
    columns.update({name: [maybe[int(v)] for v in table.array(name)] for name in ("ratio_fits", "mass_fits")})
    columns.update({name: [tuple(json.loads(v)) for v in _texts(table, name)] for name in ("remarks", "parts")})
    if "beside" in table:
        columns["beside"] = [_of_row(text) for text in _texts(table, "beside")]
    if "moved" in table:
        moved = [_moved_of(text, table.source) for text in _texts(table, "moved")]
    names = _texts(parameters, "names")
    value, error = parameters.array("value", 2), parameters.array("error", 2)
    out = []
    for k in range(len(columns["name"])):
        known = {n: (float(value[k, j]), float(error[k, j])) for j, n in enumerate(names) if np.isfinite(value[k, j])}
        facts: dict[str, Any] = {name: column[k] for name, column in columns.items()}
        out.append(RankingRow(**facts, values=known, moved={} if moved is None else moved[k]))
    return tuple(out)


def _read_data(group: Group) -> PDF:
    about = serial.data_facts(group.text("about"))
    cov = None
    if "covariance" in group:
        found = group.group("covariance")
        cov = Covariance(**{name: found.array(name, _dimensions(name)) for name in _COVARIANCE})
    dG: Array | None = group.array("dG") if "dG" in group else None
    return PDF(group.array("r"), group.array("G"), dG, cov=cov, **about)


def _dimensions(name: str) -> int:
    return 2 if name in ("modes", "core") else 1


def _read_candidates(group: Group) -> dict[str, Particle]:
    elements = _texts(group, "elements")
    counts = np.array(_counts(group, "atoms"), dtype=np.int64)
    kind, xyz = np.array(_counts(group, "kind"), dtype=np.int64), group.array("xyz", 2)
    worn = np.array(_counts(group, "ligand"), dtype=np.bool_) if "ligand" in group else np.zeros(len(xyz), np.bool_)
    ends = np.cumsum(counts)
    out = {}
    for key, name, about, count, end in zip(
        _texts(group, "key"), _texts(group, "name"), _texts(group, "about"), counts, ends, strict=True
    ):
        here = slice(end - count, end)
        meta = {k: serial.from_plain(v) for k, v in json.loads(about).items()}
        known = {"name": name, "meta": meta, "ligand": worn[here]}
        out[key] = Particle.of([elements[k] for k in kind[here]], xyz[here], **known)
    return out
