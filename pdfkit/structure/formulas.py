"""Chemical formulas as people write them: hydrates, brackets, isotopes; what may be two things is refused.

`CuSO4·5H2O` and `CuSO4 5H2O` are a sum of units, each read by periodictable's grammar. `CuSO4.5H2O` may be that or
O4.5, and is refused; so are charges, and numbers before a unit that may be a multiple or a mass (`6Li2O 6Li2CO3`).
"""

from __future__ import annotations

import re
from functools import lru_cache

from pdfkit.errors import PdfkitError
from pdfkit.structure.species import isotope, natural_masses, symbols

_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_DOTS = re.compile(r"\s*(?:[·•⋅∙‧*]|\.(?=\s*[A-Z(\[]))\s*")
_UNIT = re.compile(r"(?P<number>\d+(?:\.\d+)?)?(?P<unit>[A-Z(\[{].*)")
# Water and other molecules of a solvent after a decimal; a point without a number before it; two points.
_DOUBTFUL = re.compile(r"[1-9]\d*\.\d+\s*(?:[HD]2O|HDO|N[HD]3|CH3OH|C2H5OH|CO2|HF|HCl)$|[A-Za-z)\]}]\.\d|\.\d+\.")
_ALLOWED = re.compile(r"[A-Za-z0-9.()\[\]]+")
_ELEMENT = re.compile(r"[A-Z][a-z]?")
# [7Li] and (13C), as labelled compounds are written.
_LABELLED = re.compile(r"[\[(]([1-9]\d{0,2})([A-Z][a-z]?)[\])]")
_LONGEST = 400
# Formulas without a small letter, of elements with one letter; and what may stand side by side in them, although it is
# an element too: carbonates, phosphates, CS2, HF, CHO, thiocyanates, CD3 and ND3.
_CAPITALS = re.compile(r"[BCDFHIKNOPSTUVWY\d.()\[\]]+")
_USUAL = re.compile(r"C[OS]|HF|HO|OS|PO|SC|NP|CD|ND")
_MOLECULES = re.compile(r"CO|HF|HOD|YBO3|CD\d.*|ND2|ND[34].*|CO\(N[HD]2\)2|PO.*|C\d*H.*|C\d+D.*")
_HEAVIEST = 94


@lru_cache(maxsize=256)
def formula(text: str) -> tuple[tuple[str, float], ...]:
    """Return the species and amounts of a formula: (("Cu", 1.0), ("S", 1.0), ("O", 9.0), ("H", 10.0)).

    Raises PdfkitError for what is no formula, or may be two.
    """
    plain = text.strip().translate(_SUBSCRIPTS)
    _refuse_doubtful(text, plain)
    total: dict[str, float] = {}
    for k, part in enumerate(_DOTS.split(plain)):
        for times, unit in _units(text, part, after_dot=k > 0):
            for species, amount in _atoms(text, unit):
                total[species] = total.get(species, 0.0) + times * amount
    if not total:
        raise _no_formula(text)
    return tuple(total.items())


def _refuse_doubtful(text: str, plain: str) -> None:
    if not plain or len(plain) > _LONGEST:
        raise _no_formula(text)
    if re.search(r"[+-]", plain):
        raise PdfkitError(
            f"composition = {text[:60]!r} is not a formula: leave charges and signs out, amounts are enough"
        )
    if _DOUBTFUL.search(plain):
        raise PdfkitError(
            f"composition = {text[:60]!r} has a point that may be a decimal or join two parts: write CuSO4·5H2O for a "
            "hydrate, and (H2O) in brackets after a decimal"
        )


def _units(text: str, part: str, after_dot: bool) -> list[tuple[float, str]]:
    """Return the multiples and units of a part: a word that begins with a number before a molecule is a unit."""
    out: list[tuple[float, str]] = []
    if after_dot:
        part = re.sub(r"^(\d+(?:\.\d+)?)\s+", r"\1", part)
    last = ""
    for word in part.split():
        _refuse_capitals(text, word)
        last, before = word, last
        if _ELEMENT.fullmatch(before) and re.fullmatch(r"\d+(?:\.\d+)?", word):
            out[-1] = (out[-1][0], out[-1][1] + word)  # "Cd 0.5"
            continue
        found = _UNIT.fullmatch(word)
        if found is None:
            raise _no_formula(text)
        number, unit = found["number"], found["unit"]
        if number is None and out:
            out[-1] = (out[-1][0], out[-1][1] + unit)  # "Cd Se"
        elif number is None:
            out.append((1.0, unit))
        else:
            out.append(_with_number(text, number, unit, bool(out), after_dot and not out))
    if not out:
        raise _no_formula(text)
    return out


def _refuse_capitals(text: str, word: str) -> None:
    """Refuse SIO2, which is silica or S, I and O: in capitals, two elements and a third one are written alike.

    K2CO3, HF, CS2 and C6H4INO2 pass, and so do formulas whose other reading is a number of atoms of one element (YB6).
    """
    if not _CAPITALS.fullmatch(word) or _MOLECULES.fullmatch(word):
        return
    other = re.sub(r"[A-Z]{2,}", lambda run: _capitalised(run[0], run.start() == 0), word)
    if other == word or re.fullmatch(r"[A-Z][a-z][\d.]+", other):
        return
    apart = re.sub(r"(?<=[A-Z\d)\]])(?=[A-Z(\[])", " ", word)
    raise PdfkitError(
        f"composition = {text[:60]!r} in capitals may be {other[:60]} or {apart[:80]}: write {other[:60]}, or the "
        "elements with spaces between them"
    )


def _capitalised(run: str, first: bool) -> str:
    """Return a run of capitals with the elements of two letters in it, from the left: SIO → SiO."""
    out, k = "", 0
    while k < len(run):
        pair = run[k : k + 2].capitalize()
        if _is_common(pair) and ((first and k == 0) or not _USUAL.fullmatch(pair.upper())):
            out, k = out + pair, k + 2
        else:
            out, k = out + run[k], k + 1
    return out


@lru_cache(maxsize=1024)
def _is_common(symbol: str) -> bool:
    import periodictable

    return len(symbol) == 2 and symbol in symbols() and periodictable.elements.symbol(symbol).number <= _HEAVIEST


def _with_number(text: str, number: str, unit: str, more: bool, multiple: bool) -> tuple[float, str]:
    """Return a unit with the number before it: how many there are, or the mass of its first element."""
    first = _ELEMENT.match(unit)
    several = len(_ELEMENT.findall(unit)) > 1
    is_mass = first is not None and number.isdecimal() and int(number) in natural_masses(first[0])
    heavy = first is not None and first[0] == "H" and number in ("2", "3") and not more
    if multiple or (several and not is_mass and not heavy):
        return float(number), unit
    if first is None or not is_mass or (more and several):
        raise PdfkitError(
            f"composition = {text[:60]!r} has a number before {unit[:20]} that may be an amount, a mass or a multiple: "
            "write amounts after the element, isotopes as Li[7], and multiples after ·"
        )
    return 1.0, f"{first[0]}[{number}]{unit[first.end() :]}"


def _atoms(text: str, unit: str) -> list[tuple[str, float]]:
    import periodictable

    # Square brackets and braces group, but for the mass of an isotope: Li[7].
    unit = _LABELLED.sub(_labelled, unit)
    masses = re.sub(r"(?<=[A-Za-z])\[(\d{1,3})\](?!\d*\[)", r"<\1>", unit.replace("{", "[").replace("}", "]"))
    plain = masses.replace("[", "(").replace("]", ")").replace("<", "[").replace(">", "]")
    if not _ALLOWED.fullmatch(plain):
        raise _no_formula(text)
    try:
        atoms = periodictable.formula(plain).atoms
    except Exception:  # the parser's own errors are of several kinds, and not ValueErrors
        raise _no_formula(text) from None
    return [(_name(atom), float(amount)) for atom, amount in atoms.items()]


def _labelled(match: re.Match[str]) -> str:
    mass, element = match[1], match[2]
    known = int(mass) in natural_masses(element) or (element == "H" and mass in ("2", "3"))
    return f"{element}[{mass}]" if known else match[0]


def _name(atom: object) -> str:
    mass, symbol = getattr(atom, "isotope", 0), str(getattr(atom, "symbol", ""))
    return isotope({"D": "H", "T": "H"}.get(symbol, symbol), int(mass)) if mass else symbol


def _no_formula(text: str) -> PdfkitError:
    return PdfkitError(
        f"composition = {text[:60]!r} is not a formula: elements begin with a capital letter and amounts follow them, "
        "such as Zn0.5Cd0.5Se or CuSO4·5H2O"
    )
