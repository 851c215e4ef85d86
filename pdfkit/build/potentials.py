"""Potentials that clusters relax under: two of packages that carry their parameters, and a classical one of our own.

The classical one is a model of pairs for ZnS, CdS and CdSe: charges ±1.18 e and Lennard-Jones terms with arithmetic σ
and geometric ε, fitted by its authors to lattice and elastic constants. A capping chloride is a pseudo-ligand here:
half the charge of an anion, so that two of them balance a cation, and the Lennard-Jones terms of S. Two halide bonds
of a real cluster are neither; take a relaxation with it as one sample of how such clusters may be displaced.

Sources: CdSe: Rabani, J. Chem. Phys. 116, 258 (2002). CdS, ZnS: Grünwald, Zayak, Neaton, Geissler and Rabani,
J. Chem. Phys. 136, 234111 (2012).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, NamedTuple

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from pdfkit._checks import Array, IntArray
from pdfkit._terminal import quiet
from pdfkit.errors import PdfkitError, StructureError, nearest
from pdfkit.kernels.ionic import ionic_forces

BOLTZMANN = 8.617333262e-5
"""eV/K: the sources give ε in kelvin."""


class Atom(NamedTuple):
    """One kind of atom: charge in e, σ in Å, ε/k in K."""

    charge: float
    sigma: float
    epsilon: float


ATOMS: Mapping[str, Atom] = {
    "Cd": Atom(1.18, 1.98, 16.8),
    "Zn": Atom(1.18, 0.02, 17998.4),
    "S": Atom(-1.18, 4.90, 16.5),
    "Se": Atom(-1.18, 5.24, 14.9),
    "Cl": Atom(-0.59, 4.90, 16.5),
}


def pair_table(symbols: Sequence[str]) -> tuple[IntArray, Array, Array, Array]:
    """Return kind (n,), charge (nk,) in e, σ (nk, nk) in Å and ε (nk, nk) in eV of atoms.

    Raises StructureError for an element that the potential does not know.
    """
    names = sorted(set(symbols))
    for name in names:
        if name not in ATOMS:
            raise StructureError(
                f"the classical potential does not know {name}: it has {', '.join(ATOMS)} (Cl as caps); relax with "
                "chgnet or tblite, or give an ASE calculator"
            )
    kind = np.array([names.index(symbol) for symbol in symbols], dtype=np.int64)
    charge, sigma, epsilon = np.array([ATOMS[name] for name in names]).T
    return kind, charge.copy(), 0.5 * (sigma[:, None] + sigma), np.sqrt(np.outer(epsilon, epsilon)) * BOLTZMANN


class Ionic(Calculator):  # type: ignore[misc]  # ase has no types
    """The classical potential as an ASE calculator, for atoms without a cell; every pair counts.

    Raises StructureError for elements that it does not know, and for a cluster that is not neutral.

    Example
    -------
    >>> import pdfkit as pk
    >>> from pdfkit.build.potentials import Ionic
    >>> atoms = pk.build.cap(pk.build.tetrahedron("CdSe_zincblende", 3), "Cl").to_ase()
    >>> atoms.calc = Ionic()
    >>> print(f"{atoms.get_potential_energy() / len(atoms):.1f} eV an atom")
    -3.0 eV an atom
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def calculate(
        self, atoms: Any = None, properties: Sequence[str] = ("energy",), system_changes: Sequence[str] = all_changes
    ) -> None:
        """Fill in energy (eV) and forces (eV/Å)."""
        super().calculate(atoms, properties, system_changes)
        kind, charge, sigma, epsilon = pair_table(self.atoms.get_chemical_symbols())
        net = float(charge[kind].sum())
        if abs(net) > 1e-6:
            raise StructureError(
                f"this cluster has the net charge {net:+.2f} e in the classical potential and would fly apart: cap it "
                'first (pdfkit.build.cap with ligand="Cl")'
            )
        xyz = np.ascontiguousarray(self.atoms.get_positions())
        forces = np.empty_like(xyz)
        energy = ionic_forces(xyz, kind, charge, sigma, epsilon, forces)
        self.results = {"energy": float(energy), "free_energy": float(energy), "forces": forces}


# --- Potentials by name ----------------------------------------------------------------------------------------------


class Potential(NamedTuple):
    """An ASE calculator, its name, version, and the empty margin (Å) of the box that it needs; known by name."""

    calculator: Any
    name: str
    version: str
    margin: float | None = None
    known: bool = True


def _chgnet() -> Potential:
    from chgnet.model import CHGNet, CHGNetCalculator

    model = CHGNet.load(model_name="r2scan", use_device="cpu", verbose=False)
    found = CHGNetCalculator(model, use_device="cpu", on_isolated_atoms="ignore")
    return Potential(found, "chgnet", f"{version('chgnet')}, r2SCAN weights", 8.0)


def _tblite() -> Potential:
    from tblite.ase import TBLite

    return Potential(TBLite(method="GFN1-xTB", verbosity=0), "tblite", f"{version('tblite')}, GFN1-xTB")


def _classical() -> Potential:
    return Potential(Ionic(), "classical", "Rabani 2002; Grünwald 2012")


MAKERS: Mapping[str, Callable[[], Potential]] = {"classical": _classical, "chgnet": _chgnet, "tblite": _tblite}


def potential(given: Any) -> Potential:
    """Return the potential of a name ("classical", "chgnet", "tblite") or of an ASE calculator.

    Raises PdfkitError for a name that is not known and a package that is not installed.
    """
    if isinstance(given, Potential):
        return given
    if isinstance(given, str):
        if given not in MAKERS:
            raise PdfkitError(f"potential {given[:40]!r} is not known: the nearest are {nearest(given, MAKERS)}")
        try:
            with quiet():  # packages greet
                return MAKERS[given]()
        except ImportError as error:
            raise PdfkitError(
                f'{given} cannot be used here ({error}): pip install "pdfkit-scattering[relax]", or choose classical'
            ) from None
    if isinstance(given, type) or not (hasattr(given, "get_forces") or hasattr(given, "get_property")):
        name = given.__name__ if isinstance(given, type) else type(given).__name__
        raise PdfkitError(f"{name} is no ASE calculator: give one, or a name ({', '.join(MAKERS)})")
    package = type(given).__module__.partition(".")[0]
    return Potential(given, type(given).__name__, f"{package} {_version(package)}".strip(), known=False)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
