"""What a name in a file says of an atom: element, isotope, charge, vacancy, or several species that share a site.

Nothing is guessed from the beginning of a word. A name is an element's symbol (`Cd`, `CD`), alone or with

| what | as | read as |
|---|---|---|
| a number, and anything after it | `Cd1`, `O12A`, `C1_2`, `O2'`, `Cd(1)` | the element |
| a charge | `Cd2+`, `Cd+2`, `O2-`, `O-2`, `Na+`, `Cu++` | the element and its charge |
| a mass | `62-Ni`, `62Ni`, `Ni-62`, `7LI`, `2H`, `D`, `T` | an isotope: `62-Ni`, `7-Li`, `D`, `T` |
| other elements with amounts | `Cd0.5Zn0.5`, `Nb0.7,Zr0.3` | each of them |

and `Va`, `Vac`, `Vc`, `X` are a vacancy. In `X-n` a number up to 4 is a charge (`O-2`), except in `H-2`, `H-3` and
those of helium, and a larger one a mass. `CA1` is Ca 1 or an atom A1 of carbon: only what the compound holds (`known`)
decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pdfkit.errors import StructureError

_VACANCY = re.compile(r"(?:va|vac|vacancy|vc|x|□)(?:[\d_].*)?", re.IGNORECASE)
_NAME = re.compile(r"(?:(?P<mass>\d{1,3})-?)?(?P<letters>[A-Za-z]+)(?P<rest>.*)")
_CHARGE = re.compile(r"(?P<number>\d(?:\.\d+)?)?(?P<sign>[+]+|-+)|(?P<first>[+-])(?P<second>\d(?:\.\d+)?)")
_MASS = re.compile(r"-(\d{1,3})")
# A number and what follows it, or a mark that no symbol has: O12A, C1_2, O2', Cd(1).
_LABEL = re.compile(r"(?:\d|[-_'\"*#(.:])[\w'\"*#().:+-]*")
_SYMBOL_NUMBER = re.compile(r"\(?\d+\)?(?P<tail>[A-Za-z]*)['\"*]*")
_MOLECULE = re.compile(r"[HD][23]O\d*", re.IGNORECASE)
_WHAT = r"(?P<name>(?:(?<![.\d])\d{1,3}-?)?(?P<symbol>[A-Z][A-Za-z]?)(?:\d[+-])?)"
_AMOUNT = r"(?P<amount>\d*\.\d+)(?:\(\d+\))?"
_SEPARATOR = r"[\s,;/&+|]*"
_ITEM = re.compile(rf"{_SEPARATOR}{_WHAT}\s*[:=]?\s*(?:{_AMOUNT})?")
_ITEM_AFTER = re.compile(rf"{_SEPARATOR}{_AMOUNT}\s*[*:]?\s*{_WHAT}")
_NEVER_MET = frozenset({"Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og"})
_LONGEST = 60
_NEAR_ONE = 0.011  # 0.33 + 0.66 is meant to be 1
_KINDS = {
    "it stands for water or hydroxyl: give an atom O, and its hydrogen atoms as H or D": "wat ow oh hoh h2o d2o hyd",
    "it is a dummy or ghost atom, which scatters nothing: remove it": "du dum dummy bq gh ep mw lp cen cg q xx",
    "it stands for several elements: give one site for each, with its occupancy": "ree ln re3 m me tm ae",
}


@dataclass(frozen=True)
class Species:
    """What an atom is: `element` as "Cd", "D" or "62-Ni" ("" for a vacancy), `charge` in electrons (0: none given)."""

    element: str
    charge: float = 0

    @property
    def ion(self) -> str:
        """The name with the charge, "Cd2+", "62-Ni2+"; the element alone if the charge is 0."""
        return f"{self.element}{abs(self.charge):g}{'+' if self.charge > 0 else '-'}" if self.charge else self.element


VACANCY = Species("")


@lru_cache(maxsize=1)
def symbols() -> frozenset[str]:
    """Return the symbols of all elements, with D and T."""
    import periodictable

    return frozenset({element.symbol for element in periodictable.elements} - {"n"} | {"D", "T"})


@lru_cache(maxsize=1024)
def base(element: str) -> str:
    """Return the chemical element of a species: "62-Ni" → Ni, "D" and "T" → H, "Na1+" → Na."""
    plain = re.sub(r"^\d+-|[\d.]*[+-]$", "", element)
    return "H" if plain in ("D", "T") else plain


@lru_cache(maxsize=1024)
def atomic_mass(element: str) -> float:
    """Return the mass of a species in g/mol, an isotope's its own."""
    import periodictable

    number = re.match(r"(\d+)-", element)
    symbol = re.sub(r"^\d+-|[\d.]*[+-]$", "", element)
    entry = periodictable.elements.symbol(symbol)
    return float((entry[int(number[1])] if number else entry).mass)


NOBLE = frozenset({"He", "Ne", "Ar", "Kr", "Xe", "Rn"})
"""Elements whose covalent radii say nothing of distances."""


@lru_cache(maxsize=256)
def covalent_radius(element: str) -> float:
    """Return the covalent radius (Å) of an element, isotope or ion."""
    import periodictable

    match = re.search(r"[A-Z][a-z]?", element)
    known = getattr(periodictable, match[0], None) if match else None
    return float(getattr(known, "covalent_radius", None) or 1.2)


def species(text: str, *, numbered: bool = True, known: Collection[str] = ()) -> Species:
    """Return what an element's symbol in a file or a call says, with its number, charge or mass.

    numbered : a number after the symbol may be that of the atom ("C13"); False where only symbols stand, so that a
    number which is a mass of the element is refused for the doubt ("Li7").
    known : the elements of the compound, where they are known; they decide what "CO1" is.

    Raises StructureError for what is no species, two of them, or may be two things.
    """
    return _read(str(text), False, numbered, frozenset(known))


def label_species(label: str, known: Collection[str] = ()) -> Species:
    """Return what a site's label says where nothing else does, as `species`; stricter, since labels are free text.

    Raises StructureError for a label that says it in no certain way, or an element that is not among `known`.
    """
    return _read(str(label), True, True, frozenset(known))


@lru_cache(maxsize=4096)
def _read(text: str, label: bool, numbered: bool, known: frozenset[str]) -> Species:
    plain = text.strip().replace("\N{MINUS SIGN}", "-").replace("\N{EN DASH}", "-")
    if _VACANCY.fullmatch(plain):
        return VACANCY
    found = _NAME.fullmatch(plain[:_LONGEST])
    if found is None or len(found["letters"]) > 2 or _MOLECULE.fullmatch(plain):
        raise _unknown(text, label)
    mass, letters, rest = found["mass"], found["letters"], found["rest"]
    charge, after = _CHARGE.fullmatch(rest), _MASS.fullmatch(rest)
    bare = charge or after or mass
    symbol = _symbol(text, letters, label, None if bare else bool(rest), known)
    if after and not mass and _is_mass(symbol, int(after[1]), label):
        return Species(isotope(symbol, int(after[1])))
    if rest and not charge and not _is_number(symbol, rest, label):
        raise _unknown(text, label)
    if rest.isdecimal() and not mass and not numbered and int(rest) in natural_masses(symbol):
        raise StructureError(
            f"{text!r} may be the isotope {rest}-{symbol} or an atom's number: write {rest}-{symbol} or {symbol}"
        )
    return Species(isotope(symbol, int(mass)) if mass else symbol, _charge(charge, label) if charge else 0)


def _symbol(text: str, letters: str, label: bool, number: bool | None, known: frozenset[str]) -> str:
    """Return the symbol in the letters of a name; number: an atom's number follows (None: a charge or mass does)."""
    proper = letters.capitalize()
    one_case = letters.isupper() or letters.islower()
    known_here = proper in symbols() and (letters == proper or (one_case and proper not in _NEVER_MET))
    readings = [proper] if known_here else []
    # CA1 may be an atom A1 of carbon; Nh and what follows it is only itself in its proper letters.
    free = number or (label and number is not None)
    suffixed = bool(free) and len(letters) == 2 and one_case and letters[0].upper() in symbols() - {"D", "T"}
    if suffixed:
        readings += [letters[0].upper()]
    if known and (label or suffixed):
        there = {base(element) for element in known}
        readings = [symbol for symbol in readings if base(symbol) in there]
        if not readings and proper in symbols():
            raise StructureError(
                f"{text[:20]!r} names no element of the compound ({', '.join(sorted(known))[:60]}): give the element"
            )
    elif suffixed and len(readings) == 1:
        readings = []
    if readings == ["T"] and ((label and "T" not in known) or (known and not {"T", "H", "D"} & known)):
        raise StructureError(
            f"{text[:20]!r} may be a tetrahedral site or tritium: give the element of the site (3H for tritium)"
        )
    if len(readings) > 1:
        raise StructureError(
            f"{text[:20]!r} may be {readings[0]} or an atom of {readings[1]}: write {readings[0]} with one capital, "
            "or give the site's element" + (" (_atom_site_type_symbol)" if label else "")
        )
    if not readings:
        raise _unknown(text, label)
    return readings[0]


def _charge(found: re.Match[str], label: bool) -> float:
    if found["first"]:
        if label and found["first"] == "-":  # the second atom of O-1, O-2
            return 0
        sign, number = found["first"], found["second"]
    else:
        sign, number = found["sign"][0], found["number"] or str(len(found["sign"]))
    value = float(number) * (1 if sign == "+" else -1)
    return int(value) if value == int(value) else value


def _is_mass(symbol: str, number: int, label: bool) -> bool:
    """Return whether n of "Li-7" is a mass: it is above a charge's, and in a label it is not just an atom's number."""
    if symbol in ("H", "He"):
        return number in {"H": (2, 3), "He": (3, 4)}[symbol]
    if symbol in ("D", "T"):  # no hydrogen has a charge of -2; D-2 has its mass twice, which is refused
        return number > 1
    return number in natural_masses(symbol) if label else number > 4


def _is_number(symbol: str, rest: str, label: bool) -> bool:
    """Return whether what follows a symbol is an atom's number, and not the next element or an amount."""
    if symbol == "V" and re.match(r"[_(]+[A-Za-z]", rest):  # a vacancy: V_Cd
        return False
    if label:
        return bool(_LABEL.fullmatch(rest)) and not re.search(r"\d[A-Z][a-z]|^0?\.\d", rest)
    found = _SYMBOL_NUMBER.fullmatch(rest)
    return found is not None and found["tail"].capitalize() not in symbols()


@lru_cache(maxsize=128)
def _isotopes(symbol: str) -> tuple[Any, frozenset[int]]:
    import periodictable

    entry = periodictable.elements.symbol(symbol)
    return entry, frozenset(entry.isotopes if symbol not in ("D", "T") else ())


def natural_masses(symbol: str) -> frozenset[int]:
    """Return the masses of an element's natural isotopes above 4."""
    entry, masses = _isotopes(symbol)
    return frozenset(mass for mass in masses if mass > 4 and entry[mass].abundance > 0)


def isotope(symbol: str, mass: int) -> str:
    """Return "62-Ni" (D and T for hydrogen's); StructureError for a mass the element does not have."""
    _, masses = _isotopes(symbol)
    if mass not in masses:
        span = f"has {min(masses)} to {max(masses)}" if masses else "is an isotope itself"
        raise StructureError(f"isotope {mass}-{symbol} is not known: {symbol} {span}")
    return {"2-H": "D", "3-H": "T"}.get(f"{mass}-{symbol}", f"{mass}-{symbol}")


def _unknown(text: str, label: bool) -> StructureError:
    name = text.strip()[:20]
    word = re.sub(r"[\d_]+$", "", name).lower()
    hint = next((hint for hint, words in _KINDS.items() if word in words.split() or name.lower() in words.split()), "")
    if not hint and len(_items(text)) > 1:
        hint = "it names several elements: give their amounts (Cd0.5Zn0.5), or one site for each with its occupancy"
    if not hint:
        hint = "give a symbol such as Cd, S, D or 62-Ni"
    if label:
        return StructureError(f"label {name!r} does not say which element it is ({hint}): add _atom_site_type_symbol")
    return StructureError(f"{name!r} is not an element: {hint}")


# --- several species on one site


@dataclass(frozen=True)
class Atoms:
    """The atoms of a list of names: for each its index in the list, species and occupancy; remarks on what is not."""

    index: list[int]
    species: list[Species]
    occs: list[float]
    remarks: tuple[str, ...]


def atoms(names: Sequence[str], occs: Iterable[float]) -> Atoms:
    """Return the atoms of a list of symbols (as `occupants`): mixtures are split and vacancies left out."""
    there = [occupants(name, occ) for name, occ in zip(names, occs, strict=True)]
    said = vacancies(Counter(name for name, found in zip(names, there, strict=True) if not found))
    flat = [(i, one, share) for i, found in enumerate(there) for one, share in found]
    return Atoms([i for i, _, _ in flat], [one for _, one, _ in flat], [share for *_, share in flat], said)


def vacancies(vacant: Mapping[str, int]) -> tuple[str, ...]:
    """Return the remark on sites left out because nothing is there, by their names; none for none."""
    count = sum(vacant.values())
    names = ", ".join(name[:20] for name, n in vacant.items() if n)
    sites = "1 site stands for a vacancy" if count == 1 else f"{count} sites stand for vacancies"
    return (f"{sites} ({names[:80]}), where nothing scatters: left out",) if count else ()


def occupants(
    symbol: str, occ: float, *, label: str = "", known: Collection[str] = (), numbered: bool = False
) -> tuple[tuple[Species, float], ...]:
    """Return the species of a site with their occupancies; none for a vacancy.

    symbol : what the file gives as the element ("" or "?" where it does not: then the label counts); numbered : whether
        it may have the atom's number.
    A mixture with amounts ("Cd0.5Zn0.5") is split: amounts that sum to 1 are shares of the occupancy, smaller ones are
    occupancies themselves where the file states no other.

    Raises StructureError for a symbol without meaning and a mixture without amounts.
    """
    plain = symbol.strip()
    stated = plain not in ("", "?", ".")
    items = [] if _VACANCY.fullmatch(plain if stated else label.strip()) else _items(plain if stated else label)
    if len(items) > 1 and (stated or all(amount is not None for _, amount in items)):
        return _split(plain if stated else label, items, occ)
    found = species(plain, numbered=numbered, known=known) if stated else label_species(label, known)
    return () if found == VACANCY else ((found, occ),)


def label_isotope(label: str, element: str) -> str:
    """Return the isotope of `element` that a label begins with ("62Ni1", "7Li", "62-Ni"), or "" if it names none.

    A number before H is that of the atom, as in PDB files.
    """
    found = re.match(r"(\d{1,3})-?([A-Z][A-Za-z]?)(?![a-z])", label)
    if found is None or element not in (found[2], found[2].capitalize()) or element == "H":
        return ""
    return f"{int(found[1])}-{element}" if int(found[1]) in _isotopes(element)[1] else ""


def _split(text: str, items: list[tuple[str, float | None]], occ: float) -> tuple[tuple[Species, float], ...]:
    amounts = [amount for _, amount in items if amount is not None]
    total = sum(amounts)
    if len(amounts) < len(items) or not 0 < total <= 1 + _NEAR_ONE:
        raise _unknown(text, False)
    if abs(total - 1) <= _NEAR_ONE:
        scale = occ / total
    elif occ == 1 or abs(occ - total) <= _NEAR_ONE:
        scale = 1.0
    else:
        raise StructureError(
            f"{text[:40]!r} holds {total:g} atoms at an occupancy of {occ:g}: give one site for each element"
        )
    found = [(species(name), amount * scale) for (name, _), amount in zip(items, amounts, strict=True)]
    return tuple((one, share) for one, share in found if one != VACANCY)


@lru_cache(maxsize=1024)
def _items_of(text: str) -> tuple[tuple[str, float | None], ...]:
    out, start = [], 0
    form = _ITEM_AFTER if re.match(r"0?\.\d", text) else _ITEM
    while start < len(text):
        found = form.match(text, start)
        if found is None or not (found["symbol"].capitalize() in symbols() or _VACANCY.fullmatch(found["symbol"])):
            return ()
        out.append((found["name"], None if found["amount"] is None else float(found["amount"])))
        start = found.end()
    return tuple(out)


def _items(text: str) -> list[tuple[str, float | None]]:
    """Return the names and amounts of a text made of several elements ("Nb,Zr"); empty when it is not."""
    plain = text.strip()
    if len(plain) > _LONGEST or plain[:1].islower():
        return []
    return list(_items_of(plain.strip("()[]{} ").rstrip(",;/&|")))
