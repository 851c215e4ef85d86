"""The functions of total scattering that files hold, and how each becomes G(r) or S(Q).

One table each for r and Q. A kind has a name, the names that people give it too, its definition, its unit, and what
its conversion needs: the number density ρ₀ (atoms/Å³), and ⟨b⟩² from the neutron scattering lengths of the
composition. Definitions are those of `pdfkit.transforms` [Keen, J. Appl. Cryst. 34, 172 (2001)].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pdfkit import _checks
from pdfkit import transforms as tr
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.transforms.definitions import BARN


@dataclass(frozen=True)
class Sample:
    """What the conversions need: number density ρ₀ (atoms/Å³) and composition; None where it is not known."""

    rho0: float | None = None
    composition: str | Mapping[str, float] | None = None

    @property
    def density(self) -> float:
        """ρ₀ in atoms/Å³; PdfkitError where it is not known or not positive."""
        if self.rho0 is None:
            raise PdfkitError("the number density is not known: give rho0=, in atoms/Å³")
        return _checks.number("rho0", self.rho0, low=0.0, open_low=True)

    def fractions(self) -> dict[str, float]:
        """Return {element: fraction of the atoms}; PdfkitError where the composition is not known."""
        from pdfkit.scattering import parse_composition

        return parse_composition(self.composition)

    @property
    def b_mean(self) -> float:
        """⟨b⟩ = Σ c b in fm, of the bound coherent neutron lengths; PdfkitError where it is not known or vanishes."""
        from pdfkit.scattering import _mean, scattering_strength

        shares = self.fractions()
        names = list(shares)
        lengths = np.array([scattering_strength(name, "N") for name in names])
        return float(_mean(np.array([shares[name] for name in names]), lengths, names))

    @property
    def b2(self) -> float:
        """⟨b⟩² in barn."""
        return BARN * self.b_mean**2

    @property
    def self_scattering(self) -> float:
        """σ/4π in barn per atom, σ the total bound neutron cross-section: what independent atoms at rest scatter."""
        from pdfkit.scattering import _entry

        out = 0.0
        for name, share in self.fractions().items():
            total = getattr(_entry(name).neutron, "total", None)
            if total is None:
                raise PdfkitError(f"{name} has no tabulated neutron cross-section: give the interference part instead")
            out += share * float(total)
        return out / (4 * math.pi)

    def said(self, kind: Kind) -> str:
        """Return the values that a conversion uses, in words."""
        parts = [f"rho0 = {self.density:g} Å⁻³"] if kind.density else []
        parts += [f"⟨b⟩² = {self.b2:.5g} barn of {_shown(self.composition)}"] if kind.lengths else []
        return " and ".join(parts)


@dataclass(frozen=True)
class Kind:
    """One function: how it is called, defined and converted.

    Parameters
    ----------
    name, aliases : what `kind=` takes. symbol : as it is printed. formula : its definition by G(r) or S(Q).
    unit : of its values. power : that of length in the unit (Å). density, lengths : whether ρ₀ and ⟨b⟩² are needed.
    out, back : (x, values, sample) → G or S, and the other way round.
    """

    name: str
    symbol: str
    formula: str
    unit: str
    out: Callable[[Array, Array, Sample], Array]
    back: Callable[[Array, Array, Sample], Array]
    power: int = 0
    density: bool = False
    lengths: bool = False
    aliases: tuple[str, ...] = ()

    def missing(self, sample: Sample) -> list[str]:
        """Return the options that the conversion still needs."""
        absent = ["composition="] if self.lengths and not sample.composition else []
        return absent + (["rho0="] if self.density and sample.rho0 is None else [])

    @property
    def slope(self) -> Callable[[Array, Sample], Array]:
        """How the converted value changes with the value: (x, sample) → its derivative (n,)."""
        return lambda x, sample: np.asarray(
            self.out(x, np.ones(x.size), sample) - self.out(x, np.zeros(x.size), sample)
        )


def _shown(composition: str | Mapping[str, float] | None) -> str:
    if isinstance(composition, Mapping):
        return "".join(f"{name}{amount:g}" for name, amount in composition.items())
    return str(composition)[:40]


def _same(x: Array, y: Array, sample: Sample) -> Array:
    return y


OF_R: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("G", "G(r)", "4πr[ρ(r) − ρ₀]", "Å⁻²", _same, _same, -2, aliases=("G(r)", "PDF", "Gr")),
        Kind(
            *("GK", "Keen's G(r)", "⟨b⟩²[g(r) − 1]", "barn"),
            lambda r, y, s: tr.keen_G_to_G(r, y, s.density, s.b_mean),
            lambda r, G, s: tr.G_to_keen_G(r, G, s.density, s.b_mean),
            density=True,
            lengths=True,
            aliases=("GK(r)", "G_K", "G_K(r)", "keen"),
        ),
        Kind(
            *("D", "D(r)", "⟨b⟩²G(r)", "barn Å⁻²"),
            lambda r, y, s: tr.D_to_G(y, s.b_mean),
            lambda r, G, s: tr.G_to_D(G, s.b_mean),
            -2,
            lengths=True,
            aliases=("D(r)",),
        ),
        Kind(
            *("T", "T(r)", "⟨b⟩²[G(r) + 4πrρ₀]", "barn Å⁻²"),
            lambda r, y, s: tr.T_to_G(r, y, s.density, s.b_mean),
            lambda r, G, s: tr.G_to_T(r, G, s.density, s.b_mean),
            -2,
            density=True,
            lengths=True,
            aliases=("T(r)",),
        ),
        Kind(
            *("R/r", "R(r)/r", "G(r) + 4πrρ₀", "Å⁻²"),
            lambda r, y, s: np.asarray(y - 4 * math.pi * r * s.density),
            lambda r, G, s: np.asarray(G + 4 * math.pi * r * s.density),
            -2,
            density=True,
            aliases=("RDF/r", "T/b2"),
        ),
        Kind(
            *("R", "R(r)", "rG(r) + 4πr²ρ₀", "Å⁻¹"),
            lambda r, y, s: tr.R_to_G(r, y, s.density),
            lambda r, G, s: tr.G_to_R(r, G, s.density),
            -1,
            density=True,
            aliases=("RDF", "RDF(r)", "R(r)"),
        ),
        Kind(
            *("g", "g(r)", "1 + G(r)/(4πrρ₀)", "1"),
            lambda r, y, s: tr.g_to_G(r, y, s.density),
            lambda r, G, s: tr.G_to_g(r, G, s.density),
            density=True,
            aliases=("g(r)",),
        ),
        Kind(
            *("g-1", "g(r) − 1", "G(r)/(4πrρ₀)", "1"),
            lambda r, y, s: tr.g_to_G(r, y + 1.0, s.density),
            lambda r, G, s: np.asarray(tr.G_to_g(r, G, s.density) - 1.0),
            density=True,
            aliases=("g(r)-1", "h", "h(r)"),
        ),
    )
}
OF_Q: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("S", "S(Q)", "S(Q)", "1", _same, _same, aliases=("S(Q)",)),
        Kind(
            *("S-1", "S(Q) − 1", "S(Q) − 1", "1"),
            lambda Q, y, s: np.asarray(y + 1.0),
            lambda Q, S, s: np.asarray(S - 1.0),
            aliases=("S(Q)-1",),
        ),
        Kind(
            *("F", "F(Q)", "Q[S(Q) − 1]", "Å⁻¹"),
            lambda Q, y, s: tr.F_to_S(Q, y),
            lambda Q, S, s: tr.S_to_F(Q, S),
            -1,
            aliases=("F(Q)", "Q(S-1)", "Q[S(Q)-1]"),
        ),
        Kind(
            *("FK", "Keen's F(Q)", "⟨b⟩²[S(Q) − 1]", "barn"),
            lambda Q, y, s: tr.keen_F_to_S(y, s.b_mean),
            lambda Q, S, s: tr.S_to_keen_F(S, s.b_mean),
            lengths=True,
            aliases=("FK(Q)", "F_K", "i", "i(Q)"),
        ),
        Kind(
            *("QFK", "Q i(Q)", "Q⟨b⟩²[S(Q) − 1]", "barn Å⁻¹"),
            lambda Q, y, s: tr.F_to_S(Q, y / s.b2),
            lambda Q, S, s: np.asarray(Q * tr.S_to_keen_F(S, s.b_mean)),
            -1,
            lengths=True,
            aliases=("Qi", "Qi(Q)", "Q*i(Q)", "Q*FK"),
        ),
        Kind(
            *("DCS", "dσ/dΩ", "⟨b⟩²[S(Q) − 1] + σ/4π", "barn"),
            lambda Q, y, s: tr.keen_F_to_S(y - s.self_scattering, s.b_mean),
            lambda Q, S, s: np.asarray(tr.S_to_keen_F(S, s.b_mean) + s.self_scattering),
            lengths=True,
            aliases=("DCS(Q)",),
        ),
    )
}


def named(kind: str, table: Mapping[str, Kind]) -> Kind:
    """Return the kind that `kind=` names; PdfkitError with all names otherwise."""
    for one in table.values():
        if kind == one.name or kind in one.aliases:
            return one
    known = ", ".join(f"{one.name} ({one.symbol} = {one.formula})" for one in table.values())
    raise PdfkitError(f"kind = {kind!r} is not known: choose one of {known}")


def convert(kind: Kind, x: Array, y: Array, error: Array | None, sample: Sample) -> tuple[Array, Array | None]:
    """Return G or S and its errors from the values of another kind; at x = 0, G is 0 and S is NaN for F and Q i(Q).

    An error that vanishes at x = 0, where the converted value is certain, becomes the smallest other one.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = kind.out(x, y, sample)
        slope = np.abs(kind.slope(x, sample))
    if kind.name in OF_R:
        value = np.where((x == 0) & ~np.isfinite(value), 0.0, value)
    if error is None:
        return value, None
    sigma = error * slope
    usable = np.isfinite(sigma) & (sigma > 0)
    return value, np.where(usable, sigma, sigma[usable].min(initial=math.inf)) if usable.any() else None


def invert(kind: Kind, x: Array, y: Array, error: Array | None, sample: Sample) -> tuple[Array, Array | None]:
    """Return the values of a kind, and their errors, from G or S; what is lost at x = 0 is as at the next point."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.array(kind.back(x, y, sample), dtype=np.float64)
        slope = np.abs(kind.slope(x, sample))
        sigma = None if error is None else error / slope
    for one in (value, sigma):
        if one is not None and not np.isfinite(one[0]):
            one[0] = one[1]
    return value, sigma
