"""Scattering strengths of the elements, form factors, and the weight of each pair of species.

| probe | strength at Q = 0 | form factor |
|---|---|---|
| "N" neutron | bound coherent length b_c in fm, real part | the same at every Q |
| "X" X-ray | the number of electrons (Z less the charge), as PDFfit2 has it | f(Q) of Waasmaier & Kirfel (1995) |
| "E" electron | the limit of the form factor in Å | Mott–Bethe: (2/a₀)[f_X(0) − f_X(Q)]/Q², a₀ the Bohr radius |

A species is an element ("Cd"), an isotope ("62-Ni", "D", "T": the neutron length and the mass are its own, the
electrons those of the element) or an ion ("Na1+").

Numbers come from `periodictable`, neutron lengths from its table of bound coherent lengths (Sears 1992 with later
revisions). The tables of f_X miss Z by up to 0.04 at Q = 0; the Mott–Bethe difference
is taken from f_X(0), not Z, or it would diverge there. Energy-dependent neutron
lengths (Cd, Gd, Sm, …) are those at 1.798 Å. The anomalous terms of X-rays, f = f₀(Q) + f′ + if″, come from xraylib
[Schoonjans et al., Spectrochim. Acta B66, 776 (2011)] where they are asked for (`anomalous`): those of the element,
whatever its isotope or charge.

Faber–Ziman weights: with fractions c, strengths b and ⟨b⟩ = Σc_a b_a, the total is Σ_{a≤b} w_ab × (partial
ab), w_ab = (2 − δ_ab) c_a c_b b_a b_b/⟨b⟩², and Σ w_ab = 1. Where strengths are complex, b_a b_b stands for
Re(b_a b_b*) and ⟨b⟩² for |⟨b⟩|²: Σ w_ab = 1 holds there too, since Σ_a Σ_b c_a c_b b_a b_b* = |⟨b⟩|² is real.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.instrument import HC, PROBES
from pdfkit.errors import PdfkitError, StructureError, nearest
from pdfkit.structure.formulas import formula
from pdfkit.structure.site import element_symbol

# --- Scattering strengths of the elements ----------------------------------------------------------------------------

QMAX_TABLES = 24 * math.pi
"""Å⁻¹: the X-ray tables are fitted up to sin θ/λ = 6 Å⁻¹, Q = 75.4 Å⁻¹."""

_BOHR = 0.529177210903  # Å, CODATA 2018

_NULL = 1e-3  # |⟨b⟩|/⟨|b|⟩ below which the normalisation by ⟨b⟩² means nothing

_SPECIES = re.compile(r"(?:(?P<mass>\d{1,3})-)?(?P<symbol>[A-Za-z]+)(?:(?P<number>\d(?:\.\d+)?)(?P<sign>[+-]))?")


def _parts(element: str) -> tuple[int | None, str, float]:
    """Return the mass number, symbol and charge in "Cd", "D", "62-Ni", "Na1+"."""
    found = _SPECIES.fullmatch(element)
    if found is None:
        raise StructureError(f"element {element[:20]!r} is not understood: write Cd, D, 62-Ni or Na1+")
    charge = float(found["number"] or 0) * (-1 if found["sign"] == "-" else 1)
    return int(found["mass"]) if found["mass"] else None, found["symbol"], charge


@lru_cache(maxsize=256)
def _entry(element: str) -> Any:
    """Return the periodictable entry of "Cd", "D", "T", an isotope such as "2-H" or an ion such as "Na1+"."""
    import periodictable

    mass, symbol, _ = _parts(element)
    known = {e.symbol for e in periodictable.elements if e.number > 0} | (set() if mass else {"D", "T"})
    if symbol not in known:
        close = nearest(symbol.capitalize(), sorted(known))
        raise StructureError(f"element {element[:20]!r} is not known: did you mean {close}?")
    entry = periodictable.elements.symbol(symbol)
    if mass is None:
        return entry
    if mass not in entry.isotopes:
        raise StructureError(f"isotope {element!r} is not known: {symbol} has {_words(entry.isotopes)}")
    return entry[mass]


def _words(masses: Sequence[int]) -> str:
    return ", ".join(str(m) for m in masses)


def _neutron_length(element: str) -> float:
    length = getattr(_entry(element).neutron, "b_c", None)
    if length is None:
        raise StructureError(f"{element} has no tabulated neutron scattering length: give another element or probe")
    return float(length)


def energy_dependent(element: str) -> bool:
    """Return whether the neutron length of an element or isotope changes with the energy (Cd, Gd, Sm, Eu, …).

    Raises StructureError for a species that is not known.

    Example
    -------
    >>> from pdfkit.scattering import energy_dependent
    >>> energy_dependent("Cd"), energy_dependent("S")
    (True, False)
    """
    return bool(getattr(_entry(element).neutron, "is_energy_dependent", False))


@lru_cache(maxsize=256)
def _gaussians(element: str) -> tuple[Array, Array, float]:
    """Return a (n,), b (n,) in Å² and c of f_X(Q) = Σ aᵢ exp[−bᵢ (Q/4π)²] + c [Waasmaier & Kirfel 1995]."""
    from periodictable import cromermann, elements

    symbol = elements[_entry(element).number].symbol  # D and T have the electrons of H
    charge = _parts(element)[2]
    name = f"{symbol}{abs(charge):g}{'+' if charge > 0 else '-'}" if charge else symbol
    try:
        table = cromermann.getCMformula(name)
    except KeyError:
        if charge:
            raise StructureError(_no_ion(symbol, name)) from None
        raise StructureError(f"{element} has no tabulated X-ray form factor: the tables end at Cf") from None
    return np.array(table.a, dtype=np.float64), np.array(table.b, dtype=np.float64), float(table.c)


def _no_ion(symbol: str, name: str) -> str:
    from periodictable import cromermann

    charges = [f"{symbol}{n}{sign}" for sign in "-+" for n in range(1, 9)]
    there = ", ".join(ion for ion in charges if ion in cromermann._cmformulas) or "none"
    return f"{name} has no tabulated X-ray form factor (ions of {symbol} that have: {there}): use neutral atoms"


@lru_cache(maxsize=1024)
def scattering_strength(element: str, probe: str) -> float:
    """Return the strength of `element` at Q = 0: b_c in fm ("N"), Z ("X"), f_E(0) in Å ("E").

    `element` is a symbol ("Cd"), "D", "T", an isotope as "2-H", or an ion as "Na1+". For "X" it is the number of
    electrons exactly (Z less the charge), as in PDFfit2; `form_factor` at Q = 0 gives the tables' own f(0), which
    differs by up to 0.04.

    Raises StructureError when the element is not known or not tabulated, PdfkitError for another probe.

    Example
    -------
    >>> from pdfkit.scattering import scattering_strength
    >>> scattering_strength("Ni", "X"), scattering_strength("Ni", "N"), scattering_strength("D", "N")
    (28.0, 10.3, 6.6681)
    >>> scattering_strength("Na1+", "X"), scattering_strength("62-Ni", "N")
    (10.0, -8.7)
    """
    probe = _checks.choice("probe", probe, PROBES)
    if probe == "N":
        return _neutron_length(element)
    if probe == "X":
        return float(_entry(element).number - _parts(element)[2])
    return float(form_factor(element, "E", np.zeros(1))[0])


def form_factor(element: str, probe: str, Q: Array) -> Array:
    """Return f(Q) on `Q` ((n,) Å⁻¹): b_c in fm ("N"), electrons ("X"), Å ("E"); (n,).

    X: Σ aᵢ exp(−bᵢ s²) + c, s = Q/4π [Waasmaier & Kirfel, Acta Cryst. A51, 416 (1995)], neutral atoms.
    E: (2/a₀)[f_X(0) − f_X(Q)]/Q² [Mott–Bethe], without cancellation at small Q; its limit at Q = 0 is
    (2/a₀) Σ aᵢbᵢ/(4π)².

    Raises StructureError as `scattering_strength`; PdfkitError for Q beyond the tables (75.4 Å⁻¹; "X" and
    "E").

    Example
    -------
    >>> from pdfkit.scattering import form_factor
    >>> form_factor("Ni", "X", [0, 5, 20]).round(1).tolist()
    [28.0, 15.6, 4.8]
    """
    probe = _checks.choice("probe", probe, PROBES)
    Q = np.asarray(Q, dtype=np.float64)
    if probe == "N":
        return np.full(Q.shape, _neutron_length(element))
    if Q.size and np.abs(Q).max() > QMAX_TABLES * (1 + 1e-12):
        raise PdfkitError(
            f"Q = {np.abs(Q).max():g} Å⁻¹ is beyond the tables of form factors, which end at "
            f"{QMAX_TABLES:.1f}: lower qmax"
        )
    if probe == "E" and _parts(element)[2]:
        raise StructureError(
            f"the electron form factor of the ion {element} diverges as 1/Q² towards Q = 0: use neutral atoms"
        )
    a, b, c = _gaussians(element)
    s2 = (Q[..., None] / (4 * math.pi)) ** 2
    if probe == "X":
        return np.asarray((a * np.exp(-b * s2)).sum(axis=-1) + c)
    # [1 − exp(−bs²)]/Q² = b/(4π)² × (1 − e^−y)/y, whose limit at y = 0 is 1.
    y = b * s2
    ratio = np.divide(-np.expm1(-y), y, out=np.ones_like(y), where=y != 0)
    return np.asarray(2 / _BOHR / (4 * math.pi) ** 2 * (a * b * ratio).sum(axis=-1))


@lru_cache(maxsize=1024)
def anomalous(element: str, wavelength: float) -> complex:
    """Return f′ + if″ in electrons of X-rays of a wavelength (Å), from xraylib (`Fi` is its f′, `Fii` its −f″).

    f″ > 0 with f = f₀ + f′ + if″. They do not depend on Q, nor on mass or charge of the species. Within some 5 % of an
    absorption edge (`absorption_edges`) they depend on the compound, and tables of free atoms mislead.

    Raises StructureError where xraylib has no values for the element at that energy.

    Example
    -------
    >>> from pdfkit.scattering import anomalous
    >>> print(f"{anomalous('Cu', 1.5406):.2f}")  # Cu Kα
    -2.01+0.60j
    """
    import xraylib

    wavelength = _checks.number("wavelength", wavelength, low=0.0, open_low=True)
    number = int(_entry(element).number)
    try:
        return complex(xraylib.Fi(number, HC / wavelength), -xraylib.Fii(number, HC / wavelength))
    except ValueError:
        raise StructureError(
            f"{element} has no tabulated f′ and f″ at {HC / wavelength:.6g} keV ({wavelength:.4g} Å): correct the "
            "wavelength, or leave anomalous out"
        ) from None


def absorption_edges(element: str) -> dict[str, float]:
    """Return the energies (keV) of the K, L1, L2 and L3 edges of an element, those that xraylib has.

    Example
    -------
    >>> from pdfkit.scattering import absorption_edges
    >>> absorption_edges("Cd")["K"]
    26.7112
    """
    import xraylib

    out = {}
    for name in ("K", "L1", "L2", "L3"):
        try:
            out[name] = float(xraylib.EdgeEnergy(int(_entry(element).number), getattr(xraylib, f"{name}_SHELL")))
        except ValueError:  # light elements have no such shell
            continue
    return out


def product(a: Any, b: Any) -> Any:
    """Return Re(a b*) of strengths, real or complex: what a pair of species scatters.

    Example
    -------
    >>> from pdfkit.scattering import product
    >>> print(product(3 + 4j, 3 + 4j), product(2.0, 3.0))
    25.0 6.0
    """
    return (a * np.conj(b)).real


def species_pairs(elements: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the pairs (a, b) with a not after b, in order: ("Cd", "S") → Cd–Cd, Cd–S, S–S.

    Raises PdfkitError when an element is given twice.

    Example
    -------
    >>> from pdfkit.scattering import species_pairs
    >>> species_pairs(["Cd", "S"])
    (('Cd', 'Cd'), ('Cd', 'S'), ('S', 'S'))
    """
    names = tuple(elements)
    if len(set(names)) != len(names):
        raise PdfkitError(f"elements {', '.join(names)} are not distinct: give each species once")
    return tuple((a, b) for i, a in enumerate(names) for b in names[i:])


def _fractions(elements: Sequence[str], fractions: Array) -> Array:
    """Return the fractions scaled to sum 1."""
    count = len(elements)
    c = _checks.array("fractions", fractions)
    if c.size != count or count == 0:
        raise PdfkitError(f"fractions has {c.size} numbers for {count} elements: give one for each")
    if (c < 0).any() or c.sum() <= 0:
        raise PdfkitError(f"fractions = {c.tolist()} must not be negative, nor all zero")
    return np.asarray(c / c.sum())


def _mean(c: Array, b: Array, elements: Sequence[str]) -> Array:
    """Return ⟨b⟩ = Σ c_a b_a over the first axis; refuses a mean that vanishes."""
    mean = np.tensordot(c, b, axes=1)
    if (np.abs(mean) <= _NULL * np.tensordot(c, np.abs(b), axes=1)).any():
        raise PdfkitError(
            f"the mean scattering strength of {', '.join(elements)} is zero (a null-scattering mixture): "
            "G(r) cannot be normalised by ⟨b⟩²; use another probe or isotope, or look at number partials"
        )
    return np.asarray(mean)


def pair_weights(elements: Sequence[str], fractions: Array, strengths: Array) -> Array:
    """Return the Faber–Ziman weights w_ab = (2 − δ_ab) c_a c_b b_a b_b/⟨b⟩², one per pair of `species_pairs`.

    `fractions`: (n,), any positive scale (they are divided by their sum). `strengths`: (n,), any unit, real or
    complex (then Re(b_a b_b*)/|⟨b⟩|²). The weights sum to 1.

    Raises PdfkitError when ⟨b⟩ is zero (within 0.1 % of ⟨|b|⟩), lengths differ or fractions are negative.

    Example
    -------
    >>> from pdfkit.scattering import pair_weights
    >>> pair_weights(["Cd", "S"], [0.5, 0.5], [48, 16]).tolist()  # X-rays: Cd–Cd, Cd–S, S–S
    [0.5625, 0.375, 0.0625]
    """
    species_pairs(elements)
    c = _fractions(elements, fractions)
    i, j = np.triu_indices(c.size)
    b = np.asarray(strengths)
    b = b if np.iscomplexobj(b) and b.ndim == 1 and np.isfinite(b).all() else _checks.array("strengths", strengths)
    if b.size != c.size:
        raise PdfkitError(f"strengths has {b.size} numbers for {c.size} elements: give one for each")
    mean = _mean(c, b, elements)
    return np.asarray(np.where(i == j, 1.0, 2.0) * c[i] * c[j] * product(b[i], b[j]) / product(mean, mean))


def q_weights(
    elements: Sequence[str], fractions: Array, probe: str, Q: Array, wavelength: float | None = None
) -> Array:
    """Return f_a(Q) f_b(Q)/⟨f(Q)⟩² for each pair of `species_pairs`: (npairs, nQ), without c_a c_b.

    wavelength : Å; with it f = f₀(Q) + f′ + if″ of X-rays, and the weights are Re(f_a f_b*)/|⟨f⟩|².

    The number partials times these add up to the total; Σ_{a≤b} (2 − δ_ab) c_a c_b × weight = 1 at every Q.

    Raises as `form_factor` and `pair_weights`.

    Example
    -------
    >>> from pdfkit.scattering import q_weights
    >>> q_weights(["Cd", "S"], [0.5, 0.5], "X", [0, 15]).round(2).tolist()  # Cd–Cd, Cd–S, S–S
    [[2.25, 2.75], [0.75, 0.56], [0.25, 0.12]]
    """
    species_pairs(elements)
    c = _fractions(elements, fractions)
    i, j = np.triu_indices(c.size)
    f = np.stack([amplitude(e, probe, np.atleast_1d(Q), wavelength) for e in elements])
    mean = _mean(c, f, elements)
    return np.asarray(product(f[i], f[j]) / product(mean, mean))


def amplitude(
    element: str, probe: str, Q: Array | None = None, wavelength: float | None = None, own: float | None = None
) -> Any:
    """Return what an atom scatters: `form_factor` on Q (n,), or without Q `scattering_strength`, with what is special.

    wavelength : Å, where X-rays have their anomalous terms f′ + if″ (the result is complex then); None: without them.
    own : a strength that stands in place of the tables' at Q = 0, with no anomalous terms; f(Q) is scaled to it.

    Raises as `form_factor`, `scattering_strength` and `anomalous`; PdfkitError for a wavelength of another probe.

    Example
    -------
    >>> from pdfkit.scattering import amplitude
    >>> print(f"{amplitude('Cu', 'X', wavelength=1.5406):.2f}")  # 29 electrons, f′ = −2.01, f″ = 0.60
    26.99+0.60j
    """
    if wavelength is not None and probe != "X":
        raise PdfkitError(f"f′ and f″ exist for X-rays only, and the probe is {probe!r}: leave the wavelength out")
    f: Any = scattering_strength(element, probe) if Q is None and own is None else own
    if Q is not None:
        f = form_factor(element, probe, Q)
        if own is not None:
            f = f * (own / float(form_factor(element, probe, np.zeros(1))[0]))
    return f if wavelength is None or own is not None else f + anomalous(element, wavelength)


# --- What a reduction needs to know of the sample and the beam -------------------------------------------------------


def parse_composition(composition: str | Mapping[str, float] | None) -> dict[str, float]:
    """Return {element: fraction of the atoms} of a formula or a mapping.

    Formulas as "LaB6", "Zr0.63W0.37V2O7", "Ca(OH)2", "CuSO4·5H2O", "D2O", "7Li2O".

    Raises PdfkitError for a formula that cannot be read, StructureError for an element that is not known.

    Example
    -------
    >>> from pdfkit.scattering import parse_composition
    >>> parse_composition("Ca(OH)2")
    {'Ca': 0.2, 'O': 0.4, 'H': 0.4}
    """
    if composition is None:
        raise PdfkitError('the composition is not known: give composition=, such as "CdSe"')
    if not isinstance(composition, str | Mapping):
        raise PdfkitError(f"composition = {composition!r} is not a formula: write it as text, such as CdSe")
    amounts: dict[str, float] = {}
    for name, amount in composition.items() if isinstance(composition, Mapping) else formula(composition):
        element = element_symbol(str(name)) if isinstance(composition, Mapping) else name
        _entry(element)
        amounts[element] = amounts.get(element, 0.0) + amount
    for element, amount in amounts.items():
        if not (math.isfinite(amount) and amount >= 0):
            raise PdfkitError(f"composition holds {amount} of {element}: amounts are positive numbers")
    total = sum(amounts.values())
    if total <= 0:
        raise PdfkitError(f"composition = {composition!r} holds no atoms: write a formula such as CdSe")
    return {element: amount / total for element, amount in amounts.items() if amount > 0}
