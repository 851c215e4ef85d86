"""The tables of a recipe: their keys, and those of their values that are more than a number or a word."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pdfkit.data.instrument import RESOLUTION
from pdfkit.errors import PdfkitError, RecipeError
from pdfkit.recipes.toml import Source, Table, is_number, kind_of

if TYPE_CHECKING:
    from pdfkit.model.restraints import Restraint

_READ = ("probe", "qmin", "qmax", *RESOLUTION, "window", "wavelength", "r_unit", "kind", "composition", "rho0")
# Numbers that only a stacked phase has.
STACKED = ("a_h", "h", "u", "alpha", "alpha_c", "alpha_h", "Ulayer", "layers", "diameter")
KEYS: Mapping[str, tuple[str, ...]] = {
    "the recipe": ("title", "series", "data", "beam", "pattern", "phase", "fit", "output"),
    "[series]": (
        *("files", "index", "name", "unit", "sort", "shape", "reduce", "how", "block", "curves"),
        *("laws", "shared", "start", "window", "step", "mapped", "rounds"),
    ),
    "[data]": ("file", "name", *_READ, "window_width", "scattering", "anomalous", "rmin", "rmax", "weight"),
    "[beam]": (
        *("probe", "qmin", "qmax", *RESOLUTION, "window", "window_width", "wavelength", "scattering", "anomalous"),
        "rmax",
    ),
    "[pattern]": (
        *("file", "name", "kind", "unit", "wavelength", "probe", "qmin", "qmax", "reach", "weight"),
        *("packing", "radius", "fraction", "spacing", "disorder", "domain", "solvent", "atomic_volume"),
        *("polarisation", "monochromator", "degree", "zero", "fwhm"),
    ),
    "[phase]": (
        "name",
        "structure",
        "kind",
        "block",
        "symmetry",
        "tolerance",
        "elements",
        *STACKED,
        "expansion",
        "axial",
        "surface",
        "moves",
        "baseline",
        "anisotropic",
        "ions",
        "mix",
        "molecules",
        "inner",
        "rigid",
        "shape",
        "scale",
        "delta1",
        "delta2",
        "sratio",
        "rcut",
        "start",
    ),
    "[fit]": (
        "free",
        "stage",
        "variables",
        "start",
        "ties",
        "bounds",
        "restraints",
        "use_errors",
        "noise",
        "search",
        "convention",
        "grid",
        "max_nfev",
    ),
    "a stage": ("rmin", "rmax", "free"),
    "a restraint": (
        *("expression", "phase", "bond", "angle", "valence", "r0", "target", "min", "max", "sigma"),
        *("bonds", "angles", "displacement", "lengths"),
    ),
    "[output]": ("dir", "write", "prefix"),
}
# A restraint of all bonds, all angles and all displacements of a cluster: σ of each.
OF_SHAPE = ("bonds", "angles", "displacement")
WRITE = ("report", "picture", "columns", "hdf5", "structures")
_TABLES = ("[pattern]", "[series]", "[data]", "[phase]", "[fit]", "[output]")
HOME = {key: table for table in _TABLES for key in KEYS[table]}


@dataclass(frozen=True)
class Stage:
    """A fit before the last one: what varies, and its range in Å (None for that of the data sets)."""

    free: tuple[str, ...]
    rmin: float | None = None
    rmax: float | None = None


def placed(source: Source, error: PdfkitError, where: tuple[str | int, ...], usual: str = "") -> RecipeError:
    """Return the error with the recipe's line of the key that it is about, else of a text in a value, else of `usual`.

    A parameter stands in a recipe by its name with that of its phase or without.
    """
    key = error.key or usual
    for name in (key, key.partition(".")[2]):
        for keys in ((name,), ("start", name), ("search", name)):
            if name and source.line(*where, *keys) != source.line(*where):
                return source.error(str(error), *where, *keys)
    return source.error(str(error), *where, value=key or None)


def shape(table: Table) -> Any:
    """Return the shape of a [phase] table."""
    from pdfkit.shapes import from_kind

    raw = table.raw["shape"]
    if not isinstance(raw, Mapping) or "kind" not in raw:
        raise table.error("shape", 'shape needs its kind: write shape = {kind = "sphere", spdiameter = 30}')
    if not isinstance(raw["kind"], str):
        raise table.error("shape", 'kind of the shape is not text: write kind = "sphere"')
    for key, value in raw.items():
        if key != "kind" and not is_number(value) and not isinstance(value, list):
            raise table.source.error(
                f"{key} of the shape is {kind_of(value)}: give a number", *table.where, "shape", key
            )
    try:
        return from_kind(**raw)
    except PdfkitError as error:
        raise placed(table.source, error, (*table.where, "shape")) from None


def beam(table: Table) -> dict[str, Any]:
    """Return what a [beam] table says of how a model without data is measured, and its rmax (Å)."""
    from pdfkit.data.instrument import PROBES, SCATTERING, Instrument
    from pdfkit.transforms.sine import WINDOWS

    choices = (("probe", PROBES), ("window", WINDOWS), ("scattering", SCATTERING))
    words: dict[str, Any] = {key: table.choice(key, of, "") for key, of in choices if key in table}
    words |= {"anomalous": table.flag("anomalous", False)} if "anomalous" in table else {}
    numbers = {key: table.number(key) for key in KEYS["[beam]"] if key in table and key not in words}
    found: dict[str, Any] = {**words, **numbers}
    try:
        Instrument(**{key: value for key, value in found.items() if key != "rmax"})
    except PdfkitError as error:
        raise placed(table.source, error, table.where) from None
    if not 1.0 <= found.get("rmax", 30.0) <= 200.0:
        raise table.error("rmax", f"rmax = {found['rmax']:g} of a model without data: give a number from 1 to 200 Å")
    return found


def weight(table: Table) -> float:
    """Return what a [data] table says of how much it counts, 1 where it says nothing."""
    value = table.number("weight")
    if value is not None and not 0 < value < math.inf:
        raise table.error("weight", f"weight = {value:g} in [data]: give a number above 0, or leave the data set out")
    return 1.0 if value is None else value


def mix(table: Table) -> dict[str, Any]:
    """Return what a [phase] table says of elements that share a site, as an option of its phase."""
    raw = table.raw.get("mix", {})
    if not isinstance(raw, Mapping) or not all(
        isinstance(one, Mapping) and one and all(map(is_number, one.values())) for one in raw.values()
    ):
        raise table.error(
            "mix", "mix is not a table of elements with occupancies: write { As1 = { As = 0.9, P = 0.1 } }"
        )
    return {"mix": raw} if raw else {}


def molecules(table: Table) -> dict[str, Any]:
    """Return what a [phase] table says of molecules, as options of its phase."""
    out: dict[str, Any] = {}
    if "molecules" in table:
        raw = table.raw["molecules"]
        lists = raw if isinstance(raw, list) and all(isinstance(one, list) for one in raw) else [raw]
        words = raw == "find" or all(isinstance(one, list) and all(isinstance(w, str) for w in one) for one in lists)
        if not raw or not words:
            raise table.wrong(
                "molecules", '"find", or the labels of the atoms of a molecule, such as ["C1", "O1", "O2"]'
            )
        out["molecules"] = raw
    if "inner" in table:
        by_element = isinstance(table.raw["inner"], Mapping)
        out["inner"] = table.flat("inner") if by_element else table.number("inner")
    if "rigid" in table:
        out["rigid"] = table.flag("rigid", False)
    return out


def fit_options(table: Table) -> dict[str, Any]:
    """Return what a [fit] table says, as fields of a `Recipe`."""
    from pdfkit.model.model import CONVENTIONS

    table.required("free", 'the parameters to vary, such as ["scale", "a", "Uiso"]')
    ties = table.flat("ties")
    for key, value in ties.items():
        if not isinstance(value, str) and not is_number(value):
            raise table.error("ties", f'tie of {key} is {kind_of(value)}: give an expression, such as "wz.Cd.Uiso"')
    variables = table.flat("variables")
    for key, value in variables.items():
        if not key.isidentifier() or not is_number(value):
            raise table.error(
                "variables", f"variable {key} = {value}: give a word and its start value, such as p1 = 0.5"
            )
    return {
        "free": table.texts("free"),
        "stages": tuple(_stages(table)),
        "variables": {key: float(value) for key, value in variables.items()},
        "start": starts(table),
        "ties": ties,
        "bounds": {key: _bound(table, key, value) for key, value in table.flat("bounds", ("min", "max")).items()},
        "restraints": tuple(_restraints(table)),
        "search": _search(table),
        "use_errors": table.flag("use_errors", True),
        "noise": table.choice("noise", ("estimated", "given", "own"), "estimated"),
        "convention": table.choice("convention", tuple(CONVENTIONS), "pdfkit"),
        "grid": table.choice("grid", ("data", "nyquist"), "data"),
        "max_nfev": table.count("max_nfev", 100),
    }


def starts(table: Table) -> dict[str, float]:
    """Return the start values of a table by names."""
    found = table.flat("start")
    for key, value in found.items():
        if not is_number(value) or math.isinf(value):
            raise table.error("start", f"start value of {key} is {kind_of(value)}: give a finite number")
    return {key: float(value) for key, value in found.items()}


def _search(table: Table) -> str | dict[str, Any]:
    """Return the search of a [fit] table: a word, or ranges of starts by names with `starts` and `seed` beside them."""
    from pdfkit.fitting.starts import SEARCHES, Search

    if isinstance(table.raw.get("search", ""), str):
        return table.choice("search", SEARCHES, "staged")
    found = table.flat("search")
    try:
        Search.of(found)
    except PdfkitError as error:
        raise placed(table.source, error, (*table.where, "search")) from None
    return found


def _stages(table: Table) -> list[Stage]:
    """Return the stages of a [fit] table: one table or an array of them."""
    raw = table.raw.get("stage", [])
    if not isinstance(raw, list | Mapping):
        raise table.wrong("stage", "tables [[fit.stage]], each with rmin, rmax or free")
    rows = raw if isinstance(raw, list) else [raw]
    return [
        _stage(Table(table.source, one, ("fit", "stage", i), "a stage", KEYS["a stage"], HOME), table.texts("free"))
        for i, one in enumerate(rows)
    ]


def _stage(table: Table, usual: tuple[str, ...]) -> Stage:
    """Return one stage; `usual`: what varies where it does not say."""
    free, rmin, rmax = table.texts("free", usual), table.number("rmin"), table.number("rmax")
    if not {"free", "rmin", "rmax"} & set(table.raw):
        raise table.source.error("a stage says nothing: give rmin, rmax or free", *table.where)
    if not free:
        raise table.error("free", 'nothing is free in this stage: give free = ["scale", "a"], or leave it out')
    ordered(table, rmin, rmax)
    return Stage(free, rmin, rmax)


def ordered(table: Table, rmin: float | None, rmax: float | None) -> None:
    """Refuse a range that ends before it begins."""
    if rmin is not None and rmax is not None and not rmin < rmax:
        raise table.error("rmin", f"rmin = {rmin:g} is not below rmax = {rmax:g}: swap or correct them")


def _bound(table: Table, key: str, value: Any) -> tuple[float | None, float | None]:
    """Return (low, high) of [low, high] or {min = low, max = high}; None keeps a default."""
    pair = [value.get("min"), value.get("max")] if isinstance(value, Mapping) else value
    known = [item for item in pair if item is not None] if isinstance(pair, list) else []
    if not isinstance(pair, list) or len(pair) != 2 or not known or not all(map(is_number, known)):
        message = f"bounds of {key} are not two numbers: give [low, high], or {{min = low}}, or {{max = high}}"
        raise table.source.error(message, *table.where, "bounds", key)
    low, high = (None if item is None else float(item) for item in pair)
    return low, high


def _restraints(table: Table) -> list[Restraint]:
    raw = table.raw.get("restraints", [])
    if not isinstance(raw, list):
        raise table.wrong("restraints", "a list of tables")
    return [_restraint(table.source, one, i) for i, one in enumerate(raw)]


def _restraint(source: Source, raw: Any, index: int) -> Restraint:
    table = Table(source, raw, ("fit", "restraints", index), "a restraint", KEYS["a restraint"])
    if not {*OF_SHAPE} & table.raw.keys():
        table.required("sigma", "a number")
    try:
        return _made(table)
    except RecipeError:
        raise
    except PdfkitError as error:
        raise placed(source, error, table.where) from None


def _made(table: Table) -> Restraint:
    """Return the restraint of a table: of an expression, a bond, an angle or valences."""
    from pdfkit.model.bond_valence import BondValenceRestraint
    from pdfkit.model.restraints import AngleRestraint, BondRestraint, ValueRestraint

    sigma = table.number("sigma") or 0.0
    if {*OF_SHAPE} & table.raw.keys():
        from pdfkit.model.geometry import GeometryRestraint

        phase = table.required("phase", "the name of the cluster whose atoms move")
        about: dict[str, Any] = {key: table.number(key) for key in OF_SHAPE}
        return GeometryRestraint(phase, **about, lengths=table.flat("lengths"))
    if "valence" in table:
        phase = table.required("phase", "the name of the phase whose atoms have these valences")
        valence = table.flat("valence")
        for name, value in valence.items():
            if not is_number(value):
                raise table.error("valence", f"valence of {name} is {kind_of(value)}: give a number, such as 2")
        return BondValenceRestraint(phase, valence, sigma, table.flat("r0"))
    kind = next((kind for kind in ("bond", "angle") if kind in table), "")
    if not kind:
        table.required(
            "expression",
            'names and arithmetic ("wz.c/wz.a"), or a bond = ["Cd", "Se"], an angle or valences of a phase',
        )
        table.required("target", "a number")
        return ValueRestraint(table.text("expression"), table.number("target") or 0.0, sigma)
    table.required("phase", f"the name of the phase that holds the {kind}")
    if not {"min", "max"} & table.raw.keys():
        table.required("target", "a number, or limits min and max")
    atoms, count = table.texts(kind), {"bond": 2, "angle": 3}[kind]
    if len(atoms) != count:
        example = ["Cd", "Se", "Cd"][:count]
        raise table.wrong(kind, f"{('two', 'three')[count - 2]} elements, such as {example}".replace("'", '"'))
    make: Any = BondRestraint if kind == "bond" else AngleRestraint
    limits = {"low": table.number("min"), "high": table.number("max")}
    return make(table.text("phase"), *atoms, table.number("target"), sigma, **limits)  # type: ignore[no-any-return]


def outputs_to_write(table: Table) -> tuple[str, ...]:
    """Return what an [output] table wants written."""
    chosen = table.texts("write", WRITE)
    for word in chosen:
        if word not in WRITE:
            raise table.error("write", f"cannot write {word!r}: choose from {', '.join(WRITE)}", value=word)
    return chosen


def prefix_of(table: Table) -> str:
    """Return what starts the file names, from an [output] table."""
    prefix = table.text("prefix")
    if not re.fullmatch(r"[\w.+-]*", prefix):
        raise table.error("prefix", f"prefix {prefix!r} starts file names: use letters, digits, - and _")
    return prefix
