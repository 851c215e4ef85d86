"""Bond valences: s = exp((R₀ − d)/b) of every cation with every anion near it, and their sum over an atom.

Sources: Brown & Altermatt, Acta Cryst. B41, 244 (1985), where they found R₀ from structures; Brese & O'Keeffe, Acta
Cryst. B47, 192 (1991), for the others. b = 0.37 Å for all. What is a bond: Altermatt & Brown, Acta Cryst. B41, 240
(1985). Global instability index: Salinas-Sanchez, Garcia-Muñoz, Rodriguez-Carvajal, Saez-Puche & Martinez, J. Solid
State Chem. 100, 201 (1992).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.model.restraints import Restrained, Term, at_crystal
from pdfkit.phases import _bonds
from pdfkit.phases._bonds import Bonds
from pdfkit.structure.species import base

if TYPE_CHECKING:
    from pdfkit.model.model import Model
    from pdfkit.phases.crystal import Crystal

B = 0.37
"""Å: the usual b."""

LEAST = 0.038
"""Pairs of a smaller share of the cation's valence are no bonds."""

# What an anion carries where nobody says so.
_CHARGES = {"O": -2, "F": -1, "Cl": -1, "Br": -1, "I": -1, "S": -2, "Se": -2, "Te": -2, "N": -3, "P": -3, "As": -3}

# R₀ (Å) of a cation, its valence (* where the tables do not say which), and the anions in the order of `_CHARGES`.
_TABLE = """
Li 1  1.466 1.36  1.91  2.02  2.22  1.94  2.09  2.3   1.61  -     -
Na 1  1.803 1.677 2.15  2.33  2.56  2.3   2.41  2.64  1.93  2.36  2.53
K  1  2.132 1.992 2.519 2.66  2.88  2.59  2.72  2.93  2.26  2.64  2.83
Rb 1  2.263 2.16  2.652 2.78  3.01  2.7   2.81  3.    2.37  2.76  2.87
Cs 1  2.417 2.33  2.791 2.95  3.18  2.89  2.98  3.16  2.53  2.93  3.04
Be 2  1.381 1.281 1.76  1.9   2.1   1.83  1.97  2.21  1.5   1.95  2.
Mg 2  1.693 1.578 2.08  2.28  2.46  2.18  2.32  2.53  1.85  2.29  2.38
Ca 2  1.967 1.842 2.37  2.49  2.72  2.45  2.56  2.76  2.14  2.55  2.62
Sr 2  2.118 2.019 2.51  2.68  2.88  2.59  2.72  2.87  2.23  2.67  2.76
Ba 2  2.285 2.188 2.69  2.88  3.13  2.769 2.88  3.08  2.47  2.88  2.96
Sc 3  1.849 1.76  2.23  2.38  2.59  2.321 2.44  2.64  1.98  2.4   2.48
Y  3  2.019 1.904 2.4   2.55  2.77  2.48  2.61  2.8   2.17  2.57  2.64
La 3  2.172 -     2.545 2.72  2.93  2.643 2.74  2.94  2.34  2.73  2.8
Ce 3  2.151 2.036 2.52  -     -     -     -     -     -     -     -
Ce 4  2.028 1.995 -     -     -     -     -     -     -     -     -
Ce *  -     -     2.41  2.69  2.92  2.62  2.74  2.92  2.34  2.7   2.78
Pr 3  2.138 2.022 2.5   2.67  2.89  2.6   2.72  2.9   2.3   2.68  2.75
Nd 3  2.105 2.008 2.492 2.66  2.87  2.59  2.71  2.89  2.3   -     -
Eu 2  2.147 2.04  2.53  -     -     2.584 -     -     -     -     -
Eu 3  2.074 1.961 2.455 -     -     -     -     -     -     -     -
Eu *  -     -     -     2.61  2.83  2.53  2.66  2.85  2.24  2.62  2.7
Gd 3  2.065 1.95  2.445 -     -     -     -     -     -     -     -
Gd *  -     -     -     2.6   2.82  2.53  2.65  2.84  2.22  2.61  2.68
Yb 3  1.965 1.875 2.371 2.451 2.72  2.43  2.56  2.76  2.12  2.53  2.59
Lu 3  1.971 1.876 2.361 2.5   2.73  2.43  2.56  2.75  2.11  2.51  2.59
Ti 3  1.791 1.723 2.17  -     -     -     -     -     -     -     -
Ti 4  1.815 1.76  2.19  -     -     -     -     -     -     -     -
Ti *  -     -     -     2.32  2.54  2.24  2.38  2.6   1.93  2.36  2.42
Zr 4  1.928 1.846 2.33  2.48  2.69  2.41  2.53  2.67  2.11  2.52  2.57
Hf 4  1.923 1.85  2.3   -     -     -     -     -     -     -     -
Hf *  -     -     -     2.47  2.68  2.39  2.52  2.72  2.09  2.48  2.56
V  3  1.743 1.702 2.19  -     -     -     -     -     -     -     -
V  4  1.784 1.7   2.16  -     -     -     -     -     -     -     -
V  5  1.803 -     2.16  -     -     -     -     -     -     -     -
V  *  -     -     -     2.3   2.51  2.23  2.33  2.57  1.86  2.31  2.39
Nb 5  1.911 1.87  2.27  -     -     -     -     -     -     -     -
Nb *  -     -     -     2.45  2.68  2.37  2.51  2.7   2.06  2.46  2.54
Ta 5  1.92  1.88  2.3   -     -     -     -     -     -     -     -
Ta *  -     -     -     2.45  2.66  2.39  2.51  2.7   2.01  2.47  2.55
Cr 2  1.73  1.67  2.09  -     -     -     -     -     -     -     -
Cr 3  1.724 1.657 2.08  -     -     -     -     -     -     -     -
Cr 6  1.794 1.74  2.12  -     -     -     -     -     -     -     -
Cr *  -     -     -     2.26  2.45  2.18  2.29  2.52  1.85  2.27  2.34
Mo 6  1.907 1.81  2.28  -     -     -     -     -     -     -     -
Mo *  -     -     -     2.43  2.64  2.35  2.49  2.69  2.04  2.44  2.52
W  6  1.917 1.83  2.27  -     -     -     -     -     -     -     -
W  *  -     -     -     2.45  2.66  2.39  2.51  2.71  2.06  2.46  2.54
Mn 2  1.79  1.698 2.133 -     -     -     -     -     -     -     -
Mn 3  1.76  1.66  2.14  -     -     -     -     -     -     -     -
Mn 4  1.753 1.71  2.13  -     -     -     -     -     -     -     -
Mn 7  1.79  1.72  2.17  -     -     -     -     -     -     -     -
Mn *  -     -     -     2.26  2.49  2.2   2.32  2.55  1.87  2.24  2.36
Fe 2  1.734 1.65  2.06  -     -     -     -     -     -     -     -
Fe 3  1.759 1.679 2.09  -     -     2.149 -     -     -     -     -
Fe *  -     -     -     2.26  2.47  2.16  2.28  2.53  1.86  2.27  2.35
Co 2  1.692 1.64  2.033 -     -     -     -     -     -     -     -
Co 3  1.7   1.62  2.05  -     -     -     -     -     -     -     -
Co *  -     -     -     2.18  -     2.06  2.24  2.46  1.84  2.21  2.28
Ni 2  1.654 1.596 2.02  -     -     -     -     -     -     -     -
Ni *  -     -     -     2.16  2.34  2.04  2.14  2.43  1.75  2.17  2.24
Cu 1  -     1.6   -     -     2.108 1.898 -     -     -     -     -
Cu 2  1.679 1.594 2.    1.99  2.16  2.054 2.02  2.27  1.61  1.97  2.08
Ag 1  1.842 1.8   2.09  -     -     2.119 -     -     -     -     -
Ag *  -     -     -     2.22  2.38  -     2.26  2.51  1.85  2.22  2.3
Zn 2  1.704 1.62  2.01  2.15  2.36  2.09  2.22  2.45  -     2.15  2.24
Cd 2  1.904 1.811 2.212 2.35  2.57  2.304 2.4   2.59  1.96  2.34  2.43
Hg 1  1.9   1.81  2.28  -     -     -     -     -     -     -     -
Hg 2  1.972 1.9   2.25  -     -     2.308 -     -     -     -     -
Hg *  -     -     -     2.4   2.59  2.32  2.47  2.61  2.02  2.42  2.5
Al 3  1.651 1.545 2.032 2.2   2.41  2.13  2.27  2.48  1.79  2.24  2.3
Ga 3  1.73  1.62  2.07  -     -     2.163 -     -     -     -     -
Ga *  -     -     -     2.24  2.45  2.17  2.3   2.54  1.84  2.26  2.34
In 3  1.902 1.792 2.28  -     -     2.37  -     -     -     -     -
In *  -     -     -     2.41  2.63  2.36  2.47  2.69  2.03  2.43  2.51
Tl 1  2.124 2.15  2.56  -     2.822 2.545 -     -     -     -     -
Tl 3  2.003 1.88  2.32  -     -     -     -     -     -     -     -
Tl *  -     -     -     2.7   2.91  2.63  2.7   2.93  2.29  2.71  2.79
B  3  1.371 1.281 1.74  1.88  2.1   1.82  1.95  2.2   1.47  1.88  1.97
Si 4  1.64  1.58  2.03  2.2   2.41  2.126 2.26  2.49  1.724 2.23  2.31
Ge 4  1.748 1.66  2.14  -     -     2.217 -     -     -     -     -
Ge *  -     -     -     2.3   2.5   2.23  2.35  2.56  1.88  2.32  2.43
Sn 2  1.984 1.925 2.36  -     -     -     -     -     -     -     -
Sn 4  1.905 1.843 2.276 -     -     2.399 -     -     -     -     -
Sn *  -     -     -     2.55  2.76  2.45  2.59  2.76  2.14  2.45  2.62
Pb 2  2.112 2.03  2.53  -     -     2.541 -     -     -     -     -
Pb 4  2.042 1.94  2.43  -     -     -     -     -     -     -     -
Pb *  -     -     -     2.64  2.78  2.55  2.67  2.84  2.22  2.64  2.72
P  5  1.617 -     -     -     -     2.145 -     -     1.704 -     -
P  *  -     -     -     2.15  2.4   2.11  2.26  2.44  1.73  2.19  2.25
As 3  1.789 1.7   2.16  -     -     2.272 -     -     -     -     -
As 5  1.767 1.62  2.14  -     -     -     -     -     -     -     -
Sb 3  1.973 1.883 2.35  -     -     2.474 -     -     -     -     -
Sb 5  1.942 1.797 2.3   -     -     -     -     -     -     -     -
Sb *  -     -     -     2.5   2.72  2.45  2.57  2.78  2.12  2.52  2.6
Bi 3  2.094 1.99  2.48  -     -     2.57  -     -     -     -     -
Bi 5  2.06  1.97  2.44  -     -     -     -     -     -     -     -
Bi *  -     -     -     2.62  2.84  2.55  2.72  2.87  2.24  2.63  2.72
S  2  -     -     -     -     -     -     -     -     1.682 -     -
S  4  1.644 1.6   2.02  -     -     -     -     -     1.762 -     -
S  6  1.624 1.56  2.03  -     -     -     -     -     -     -     -
S  *  -     -     -     2.17  2.36  2.07  2.21  2.45  1.74  2.15  2.25
Se 4  1.811 1.73  2.22  -     -     -     -     -     -     -     -
Se 6  1.788 1.69  2.16  -     -     -     -     -     -     -     -
Se *  -     -     -     2.33  2.54  2.25  2.36  2.55  -     2.34  2.42
Te 4  1.977 1.87  2.37  -     -     -     -     -     -     -     -
Te 6  1.917 1.82  2.3   -     -     -     -     -     -     -     -
Te *  -     -     -     2.53  2.76  2.45  2.53  2.76  2.12  2.52  2.6
"""


@dataclass(frozen=True)
class BondValenceRestraint(Restrained):
    """Keep the bond valence sums of atoms near the charges of their ions, each within `sigma` (valence units).

    Formula: V = Σ occ·exp((R₀ − d)/b) over the bonds of an atom to ions of the other sign, as they are in the
    structure that the fit starts from: pairs of at least 0.038 of the cation's valence.

    Parameters
    ----------
    phase : a crystal. valence : charge by element or label, {"Cd": 2, "Se": -2}; a site of which nothing is said has
        the charge that its file states, and O, F, Cl, Br, I, S, Se, Te, N, P and As their usual negative ones.
    sigma : valence units; 0.1 is usual.
    r0 : R₀ in Å of pairs that the tables lack, or other ones: {"Cd-Se": 2.41}, or with b {"Cd-Se": (2.41, 0.37)}.

    Raises
    ------
    PdfkitError : a number out of range. In a fit ParameterError: a pair without R₀, an atom without bonds.

    Example
    -------
    >>> import pdfkit as pk
    >>> from pdfkit.model import BondValenceRestraint
    >>> from pdfkit.model.restraints import values_of
    >>> model = pk.Model(pk.Crystal.from_file("MgO"), pk.Instrument(probe="X", qmax=20))
    >>> for term in values_of(BondValenceRestraint("MgO", {"Mg": 2, "O": -2}, 0.1), model):
    ...     print(f"{term.what} {term.value:.3f}, wanted {term.wanted}")
    MgO: valence of Mg 1.968, wanted 2
    MgO: valence of O 1.968, wanted 2
    """

    phase: str
    valence: Mapping[str, float]
    sigma: float
    r0: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "sigma", _checks.number("sigma", self.sigma, low=0.0, open_low=True))
        if not isinstance(self.valence, Mapping) or not self.valence:
            raise PdfkitError('valence is not by atom: give {"Cd": 2, "Se": -2}', key="valence")
        set_(self, "valence", {name: _checks.number("valence", v) for name, v in self.valence.items()})
        if 0.0 in self.valence.values():
            raise PdfkitError("a valence of 0 has no bonds: leave the atom out", key="valence")
        set_(self, "r0", {_pair(name): _r0_and_b(name, value) for name, value in self.r0.items()})

    def drawn(self, rng: np.random.Generator) -> Self:
        """Return the same with targets drawn from their σ."""
        return replace(self, valence={k: v + self.sigma * rng.standard_normal() for k, v in self.valence.items()})

    def terms(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> list[Term]:
        """Return the bond valence sum of every site that is named."""
        phase, own, along = at_crystal(model, self.phase, names, values, tangents)
        point = phase.located(own, along)
        known = phase.__dict__.setdefault("_valences", {})
        if repr(self) not in known:
            known[repr(self)] = self._found(phase)
        out = []
        for k, charge, bonds, r0, b in known[repr(self)]:
            d, slope = bonds.lengths(point)
            s = np.exp((r0 - d) / b)
            occ = point.occ[phase._atoms.site[bonds.j]]
            change = -(s * occ / b) @ slope + point.directions.docc_atoms[:, bonds.j] @ s
            what = f"{self.phase}: valence of {phase.structure.sites[k].label}"
            count = float(phase._maps.multiplicity[k] * point.occ[k])
            out.append(Term(what, "v.u.", float(s @ occ), abs(charge), abs(charge), self.sigma, change, count))
        return out

    def _found(self, phase: Crystal) -> list[tuple[int, float, Bonds, Array, Array]]:
        """Return site, charge, bonds, R₀ and b of every site that is named."""
        named, charges = self._charges(phase)
        return [(k, named[k], *self._bonds(phase, k, charges)) for k in sorted(named)]

    def _charges(self, phase: Crystal) -> tuple[dict[int, float], list[float]]:
        """Return the charges of the sites that are named, and those of all sites, 0 where not known."""
        sites = phase.structure.sites
        labels = {site.label for site in sites}
        named: dict[int, float] = {}
        for one in sorted(self.valence, key=lambda name: name in labels):  # a label says more than an element
            found = _bonds.sites_of(phase, one).tolist()
            named |= dict.fromkeys(found, self.valence[one])
        usual = (site.charge or _CHARGES.get(base(site.element), 0) for site in sites)
        return named, [named.get(k, charge) for k, charge in enumerate(usual)]

    def _bonds(self, phase: Crystal, k: int, charges: list[float]) -> tuple[Bonds, Array, Array]:
        own = phase.values
        point = phase.located(np.array(own), np.zeros((len(own), 0)))
        others = [t for t, charge in enumerate(charges) if charge * charges[k] < 0]
        label = phase.structure.sites[k].label
        unknown = [site.element for site, charge in zip(phase.structure.sites, charges, strict=True) if not charge]
        if charges[k] < 0 and unknown:
            raise ParameterError(
                f"the bonds of {label} in phase {self.phase} may go to {unknown[0]}, of which no charge is given: add "
                f"it to the valences, such as {unknown[0]} = 2",
                key=label,
            )
        if not others:
            other = (
                "anion: write a negative charge if it is one itself" if charges[k] > 0 else "cation: give its charge"
            )
            raise ParameterError(
                f"a restraint gives {label} of phase {self.phase} the charge {charges[k]:+g}, but the phase has no "
                f"{other}, such as {{Cd = 2, Se = -2}}",
                key=label,
            )
        table = {t: self._parameters(phase, *((k, t) if charges[k] > 0 else (t, k)), charges) for t in others}
        cation = {t: charges[k] if charges[k] > 0 else charges[t] for t in others}
        longest = {t: r0 - b * math.log(LEAST * cation[t]) for t, (r0, b) in table.items()}
        bonds = _bonds.neighbours(phase, point.geometry, np.array([k]), np.array(others), max(longest.values()))
        site = phase._atoms.site[bonds.j].tolist()
        near = np.flatnonzero(bonds.lengths(point)[0] <= [longest[t] for t in site])
        if not near.size:
            raise ParameterError(
                f"{label} of phase {self.phase} has no bond within {max(longest.values()):.2f} Å: leave it out",
                key=label,
            )
        r0, b = np.array([table[site[n]] for n in near.tolist()]).T
        return bonds[near], r0, b

    def _parameters(self, phase: Crystal, cation: int, anion: int, charges: list[float]) -> tuple[float, float]:
        """Return R₀ and b of a pair of sites."""
        first, second = (base(phase.structure.sites[k].element) for k in (cation, anion))
        given = self.r0.get(_pair(f"{first}-{second}"))
        if given is not None:
            return given  # type: ignore[no-any-return]  # a pair of numbers
        known = _tables()
        for valence in (f"{charges[cation]:.0f}", "*"):
            if (first, valence, second) in known:
                return known[first, valence, second], B
        raise ParameterError(
            f"bond valences of phase {self.phase}: no table has R0 for {first}{charges[cation]:+g} with {second}; "
            f'give it in Å: r0 = {{"{first}-{second}" = 2.0}}',
            key="valence",
        )


def instability(terms: Iterable[Term]) -> float:
    """Return the global instability index √⟨(V − |charge|)²⟩ over the atoms whose valences are given."""
    squares, counts = zip(*((one.count * (one.value - one.low) ** 2, one.count) for one in terms), strict=True)
    return math.sqrt(sum(squares) / sum(counts))


@lru_cache(maxsize=1)
def _tables() -> Mapping[tuple[str, str, str], float]:
    """Return R₀ by cation, valence and anion."""
    rows = (line.split() for line in _TABLE.split("\n") if line)
    return {
        (cation, valence, anion): float(text)
        for cation, valence, *numbers in rows
        for anion, text in zip(_CHARGES, numbers, strict=True)
        if text != "-"
    }


def _pair(name: str) -> str:
    """Return a pair of elements in one order: "Se–Cd" → Cd-Se."""
    return "-".join(sorted(str(name).replace("\N{EN DASH}", "-").split("-")))


def _r0_and_b(name: str, value: Any) -> tuple[float, float]:
    r0, b = (value, B) if np.ndim(value) == 0 else (*value, B)[:2] if 1 <= len(value) <= 2 else (math.nan, B)
    if len(str(name).replace("\N{EN DASH}", "-").split("-")) != 2:
        raise PdfkitError(f"r0 of {name!r} is not of a pair: write cation-anion, such as Cd-Se", key="r0")
    positive: dict[str, Any] = {"low": 0.0, "open_low": True, "high": 10.0}
    return _checks.number(f"r0 of {name}", r0, **positive), _checks.number(f"b of {name}", b, **positive)
