"""Models as plain text: a tree of numbers, strings, lists and dicts (JSON), and back.

Only the classes in `_types` are ever made again, by their constructors, with their checks: reading runs no code that
the text names. Numbers come back to the last bit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from types import NoneType
from typing import Any

import numpy as np

from pdfkit._checks import short
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError
from pdfkit.model.convention import Convention
from pdfkit.model.model import Model
from pdfkit.model.restraints import AngleRestraint, BondRestraint, ValueRestraint
from pdfkit.shapes import SHAPES
from pdfkit.structure.site import Site
from pdfkit.structure.structure import Structure

# What files mean that were written before there was a choice: what was done then.
_BEFORE: Mapping[str, dict[str, Any]] = {
    "convention": {"anisotropy": "none", "finite_size": "curve", "mixture": "phase"},
    "instrument": {"scattering": "constant"},
}


@lru_cache(maxsize=1)
def _types() -> Mapping[str, type[Any]]:
    """Return what a text may hold, by the tag it bears there. A new kind of phase is one line here."""
    from pdfkit.data.covariance import Covariance
    from pdfkit.data.curves import Intensity
    from pdfkit.model.bond_valence import BondValenceRestraint
    from pdfkit.model.geometry import GeometryRestraint
    from pdfkit.model.measured import Powder, SmallAngle
    from pdfkit.model.pattern import PatternModel
    from pdfkit.particles.particle import Lattice, Particle
    from pdfkit.phases.cluster import Cluster
    from pdfkit.phases.crystal import Crystal
    from pdfkit.phases.stacked import Stacked

    return {
        "model": Model,
        "instrument": Instrument,
        "convention": Convention,
        "crystal": Crystal,
        "cluster": Cluster,
        "stacked": Stacked,
        "covariance": Covariance,
        "intensity": Intensity,
        "pattern model": PatternModel,
        "small-angle pattern": SmallAngle,
        "powder pattern": Powder,
        "particle": Particle,
        "lattice": Lattice,
        "structure": Structure,
        "site": Site,
        "value restraint": ValueRestraint,
        "bond restraint": BondRestraint,
        "angle restraint": AngleRestraint,
        "bond valence restraint": BondValenceRestraint,
        "geometry restraint": GeometryRestraint,
        **SHAPES,
    }


def dumps(value: Any) -> str:
    """Return a model, an instrument or any part of a model as JSON.

    Raises PdfkitError for a class that has no plain form.
    """
    return json.dumps(to_plain(value), ensure_ascii=False, allow_nan=False)


def loads(text: str) -> Any:
    """Return what `dumps` was given, equal in every number.

    Raises PdfkitError when the text is not such JSON, and whatever the constructors refuse.
    """
    try:
        return from_plain(json.loads(text))
    except PdfkitError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise PdfkitError(f"this text does not hold a model in JSON ({reason}): write it again with pdfkit") from None


def data_facts(text: str) -> dict[str, Any]:
    """Return what a PDF knows besides its curve, from JSON, as keywords of `PDF`; PdfkitError for other kinds."""
    from pdfkit.data.covariance import Covariance

    kinds: Mapping[str, type | tuple[type, ...]] = {
        **{"name": str, "composition": (str, NoneType), "temperature": (int, float, NoneType), "header": dict},
        **{"instrument": Instrument, "cov": (Covariance, NoneType)},
    }
    facts = loads(text)
    if not isinstance(facts, dict):
        raise PdfkitError("the description of the data in this text is not a table: save it again")
    for key, value in facts.items():
        if key not in kinds or not isinstance(value, kinds[key]):
            raise PdfkitError(
                f"the description of the data has an unknown key or a wrong value for {key[:40]}: save it again"
            )
    return facts


def to_plain(value: Any) -> Any:
    """Return `value` as numbers, strings, lists and dicts; a class becomes a dict with its "type"."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.ndarray):
        return {"type": "array", "values": to_plain(value.tolist())}
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if math.isfinite(number) else {"type": "number", "value": repr(number)}
    if isinstance(value, list | tuple):
        return [to_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {"type": "mapping", "items": {str(key): to_plain(one) for key, one in value.items()}}
    for tag, kind in _types().items():
        if type(value) is kind:
            return {"type": tag, **{f.name: to_plain(getattr(value, f.name)) for f in fields(kind) if f.init}}
    raise PdfkitError(f"{type(value).__name__} cannot be saved as text: use pdfkit's own phases and shapes")


def from_plain(plain: Any) -> Any:
    """Return what `to_plain` was given. Lists come back as tuples."""
    if isinstance(plain, list):
        return tuple(from_plain(one) for one in plain)
    if not isinstance(plain, dict):
        return plain
    tag = plain.get("type")
    if tag == "array":
        return np.array(plain["values"])
    if tag == "number":
        return float(plain["value"])
    if tag == "mapping":
        return {key: from_plain(one) for key, one in plain["items"].items()}
    kind = _types().get(str(tag))
    if kind is None:
        raise PdfkitError(f"type {short(tag)} is not known: update pdfkit, or save again")
    known = {f.name for f in fields(kind) if f.init}
    plain = _BEFORE.get(str(tag), {}) | _of_before(tag, plain)
    values = {key: from_plain(one) for key, one in plain.items() if key != "type"}
    unknown = sorted(set(values) - known)
    if unknown:
        raise PdfkitError(f"{tag} has the unknown key {short(unknown[0])}: update pdfkit, or save again")
    return kind(**values)


def _of_before(tag: Any, plain: dict[str, Any]) -> dict[str, Any]:
    """Return the plain form of today of what had other names in older files, with the meaning that it had."""
    if tag == "instrument":
        return {"scattering" if key == "weights" else key: one for key, one in plain.items()}
    if tag == "stacked" and "body" in plain:  # a shape that weighed pairs
        body = {} if plain["body"] is None else {"shape": plain["body"]}
        return {key: one for key, one in plain.items() if key != "body"} | body
    if tag == "model" and any(map(_weighed_pairs, plain["phases"])):
        if any(map(_multiplied_curve, plain["phases"])):
            raise PdfkitError(
                "this file is of an older pdfkit, in which γ₀ weighed the pairs of one phase (body) and multiplied the "
                "curve of another (shape); a model has one way for all phases now: make it again, with shapes alone"
            )
        return {**plain, "convention": {**plain["convention"], "finite_size": "pairs"}}
    return plain


def _weighed_pairs(phase: Mapping[str, Any]) -> bool:
    return phase.get("body") is not None and phase.get("layers") is None


def _multiplied_curve(phase: Mapping[str, Any]) -> bool:
    shape = phase.get("shape")
    return shape is not None and SHAPES[shape["type"]].solid
