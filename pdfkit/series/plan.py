"""Which parameters of a series follow which laws: their values and derivatives, from the shared parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdfkit import _checks, _expressions
from pdfkit._checks import Array
from pdfkit.errors import ParameterError
from pdfkit.model.model import Model
from pdfkit.series.laws import WORDS, Debye, Einstein, Expression, Law, Polynomial, law_of
from pdfkit.series.scans import Series
from pdfkit.structure.species import atomic_mass, label_species

Given = Mapping[str, Law | str]


@dataclass(frozen=True, eq=False)
class Plan:
    """Laws at the indices t (S,), called `called`, of S scans.

    laws : name → law, each after those that it uses; names that are no parameters of the model help others. led: the
    parameters of the model, in order. shared: names of the parameters of all laws, (K,).
    """

    t: Array
    called: str
    laws: Mapping[str, Law]
    led: tuple[str, ...]

    @property
    def shared(self) -> tuple[str, ...]:
        """Names of the parameters of the laws: those of "zb.a" are zb.a.c0, zb.a.c1; expressions name their own."""
        return tuple(dict.fromkeys(one for name in self.laws for one in self.own(name)))

    def own(self, name: str) -> list[str]:
        """Return the full names of the parameters of one law."""
        law = self.laws[name]
        return list(law.names) if isinstance(law, Expression) else [f"{name}.{one}" for one in law.names]

    def columns(self, name: str) -> list[int]:
        """Return where the parameters of one law are among all."""
        place = {one: k for k, one in enumerate(self.shared)}
        return [place[one] for one in self.own(name)]

    def __call__(self, theta: Array) -> tuple[Array, Array]:
        """Return values (S, nl) of the led parameters at theta (K,), and their derivatives (S, nl, K)."""
        found = self.each(theta)
        led = [found[name] for name in self.led]
        return np.column_stack([value for value, _ in led]), np.stack([slope for _, slope in led], axis=1)

    def each(self, theta: Array) -> dict[str, tuple[Array, Array]]:
        """Return the values (S,) of every law at theta (K,), and their derivatives (S, K). ParameterError for none."""
        found: dict[str, tuple[Array, Array]] = {}
        for name, law in self.laws.items():
            columns = self.columns(name)
            slope = np.zeros((self.t.size, theta.size))
            if isinstance(law, Expression):
                value, slopes = law.beside(self._known(law, found), theta[columns])
                for k, row in enumerate(slopes):
                    for one, by in row.items():
                        self._chain(slope, k, one, by, found)
            else:
                value, slope[:, columns] = law.at(self.t, theta[columns])
            found[name] = value, slope
        return found

    def _known(self, law: Expression, found: Mapping[str, tuple[Array, Array]]) -> list[dict[str, float]]:
        used = [name for name in law.used if name in found]
        return [
            {"index": float(t), self.called: float(t), **{name: float(found[name][0][k]) for name in used}}
            for k, t in enumerate(self.t)
        ]

    def _chain(self, slope: Array, k: int, one: str, by: float, found: Mapping[str, tuple[Array, Array]]) -> None:
        """Add to the slopes (S, K) of an expression in scan k what comes by one of its names."""
        if one in found:
            slope[k] += by * found[one][1][k]
        elif one in self.shared:
            slope[k, self.shared.index(one)] += by

    def centred(self, given: Iterable[str]) -> Plan:
        """Return the same laws with polynomials about the middle of the index, but those with a parameter `given`."""
        held = set(given)
        return replace(self, laws={
            name: law.centred(self.t) if isinstance(law, Polynomial) and not held & set(self.own(name)) else law
            for name, law in self.laws.items()
        })  # fmt: skip

    def plain(self) -> Array:
        """Return the matrix (K, K) that makes parameters of laws as they are told of those that are fitted."""
        out = np.eye(len(self.shared))
        for name, law in self.laws.items():
            if isinstance(law, Polynomial):
                out[np.ix_(self.columns(name), self.columns(name))] = law.plain()
        return out

    def along(self, t: Array) -> Plan:
        """Return the same laws at other indices."""
        return replace(self, t=_checks.array("index", t))


def index_of(scans: Any, index: Sequence[float] | Array | None, called: str | None) -> tuple[Any, str]:
    """Return the index and what it is called: as given, or as a series has it. ParameterError where there is none."""
    if index is None and not isinstance(scans, Series):
        raise ParameterError("a list of PDFs has no index: give index=, a number for each scan", key="index")
    found = scans.index if index is None else index
    own = scans.name if isinstance(scans, Series) and scans.name.isidentifier() else "T"
    return found, called or own


def indices(values: Sequence[float] | Array, scans: int, called: str) -> Array:
    """Return the index (S,) of a series, NaN where a scan has none. ParameterError where it has no span, or not as many
    values as there are scans.
    """
    t = _checks.array("index", values, finite=False)
    t = np.where(np.isfinite(t), t, np.nan)
    if t.size != scans:
        raise ParameterError(f"there are {scans} scans but {t.size} values of {called}: give one for each scan")
    told = t[np.isfinite(t)]
    if told.size < 2:
        raise ParameterError(f"{told.size} of {scans} scans have a value of {called}: a law needs several", key="index")
    if not np.ptp(told) > 0:
        raise ParameterError(
            f"{called} is {told[0]:g} in every scan, so nothing can follow it: give the index along which scans differ"
        )
    if not called.isidentifier():
        raise ParameterError(f"{called!r} cannot be the name of the index: write letters, digits and _")
    return t


def planned(
    model: Model, t: Array, called: str, laws: Given, free: Iterable[str], start: Mapping[str, float]
) -> tuple[Plan, tuple[str, ...]]:
    """Return the plan of the laws, and the parameters that each scan has of its own.

    Keys of `laws` are endings of parameter names, "Uiso" for all of them, or new names that expressions use.
    ParameterError for a parameter that is free and follows a law as well, and for laws in a circle.
    """
    if not isinstance(laws, Mapping) or not laws:
        raise ParameterError('no law is given: write for example laws={"a": "linear", "Uiso": "debye"}', key="laws")
    refinable = [q.name for q in model.quantities if q.refinable]
    own = tuple(dict.fromkeys(name for one in free for name in _expressions.matching(refinable, one)))
    given = _by_name(refinable, laws, start)
    twice = [name for name in own if name in given]
    if twice:
        raise ParameterError(
            f"{twice[0]} is both free in every scan and led by a law or shared by all: leave it out of free, or of the "
            "other",
            key=twice[0],
        )
    known = frozenset({*given, called, "index"})
    made = {name: _law(model, name, law, start, known, refinable) for name, law in given.items()}
    led = tuple(name for name in made if name in refinable)
    if not led:
        raise ParameterError(f"the laws of {', '.join(made)} lead no parameter of the model: name one, such as a")
    return Plan(t, called, _in_order(made), led), own


def check_kelvin(plan: Plan, scans: Any, index: object) -> None:
    """Raise ParameterError where a law that needs kelvins follows the index of a series that is in something else."""
    unit = scans.unit if index is None and isinstance(scans, Series) else ""
    heated = [name for name, law in plan.laws.items() if isinstance(law, Debye | Einstein)]
    if heated and isinstance(scans, Series) and index is None and scans.name == "number" and not unit:
        raise ParameterError(
            f"the law of {heated[0]} needs temperatures in K, and these scans are only numbered: give an index",
            key=heated[0],
        )
    if heated and unit not in ("", "K"):
        raise ParameterError(
            f"the law of {heated[0]} needs temperatures in K, and {plan.called} of these scans is in {unit}: "
            + ('read them with index=series.index + 273.15, unit="K"' if unit == "°C" else "give an index in K"),
            key=heated[0],
        )


def _by_name(refinable: list[str], laws: Given, start: Mapping[str, float]) -> dict[str, Law | str]:
    """Return laws by the full names of parameters, or by names that are new."""
    given: dict[str, Law | str] = {}
    for key, law in laws.items():
        new = key in start and not any(f".{name}".endswith(f".{key}") for name in refinable)
        for name in [key] if new else _names(refinable, key):
            if name in given:
                raise ParameterError(f"{name} is given two laws: leave one out", key=key)
            given[name] = law
    return given


def _names(refinable: list[str], key: str) -> list[str]:
    try:
        return _expressions.matching(refinable, key)
    except ParameterError as error:
        if not re.fullmatch(r"\w+", key):
            raise
        raise ParameterError(
            f"{error}; a new name that laws of others use needs start={{{key!r}: …}}, about what it is", key=key
        ) from None


def _law(
    model: Model, name: str, given: Law | str, start: Mapping[str, float], known: frozenset[str], refinable: list[str]
) -> Law:
    others = (
        _expressions.names(given) & set(refinable) - known if isinstance(given, str) and given not in WORDS else set()
    )
    if others:
        raise ParameterError(
            f"the law of {name} uses {min(others)}, which follows no law: give it one, or tie the two with ties=",
            key=name,
        )
    law = law_of(name, given, start, known)
    if isinstance(law, Debye | Einstein) and law.mass is None:
        return type(law)(_mass(model, name))
    return law


def _mass(model: Model, name: str) -> float:
    """Return the mass (u) of the atoms that a U belongs to."""
    phase, label, kind = (*name.split("."), "", "")[:3]
    elements = [element for one in model.phases if one.name == phase for element in one.composition()]
    if not kind.startswith("U"):
        raise ParameterError(
            f"{name} is not the displacement of one kind of atom, whose mass would be known: give the law its mass in u"
            ", as in Debye(mass=58.7)",
            key=name,
        )
    return atomic_mass(label if label in elements else label_species(label, elements).element)


def _in_order(laws: Mapping[str, Law]) -> dict[str, Law]:
    """Return laws each after those that it uses; ParameterError for a circle."""
    ordered: dict[str, Law] = {}
    waiting = dict(laws)
    while waiting:
        ready = [name for name, law in waiting.items() if not (isinstance(law, Expression) and law.used & set(waiting))]
        if not ready:
            raise ParameterError(f"the laws of {' and '.join(waiting)} use each other: let one follow the index alone")
        ordered.update((name, waiting.pop(name)) for name in ready)
    return ordered
