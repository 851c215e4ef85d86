"""Cases of cells that list every atom, as `.stru`, POSCAR and ase files do: a value, a Jacobian, a whole fit.

The atoms are those of perfect crystals, and the fits tie what the space group would: each answer is that of few
numbers, which no file says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from pdfkit._checks import Array
from pdfkit.benchmarking import rivals
from pdfkit.benchmarking.cases import INSTRUMENT, Case, Prepared, Rival, crystal
from pdfkit.data.curves import PDF
from pdfkit.fitting.least_squares import fit
from pdfkit.io.structures import load_structure
from pdfkit.model.model import Model
from pdfkit.phases.crystal import Crystal
from pdfkit.results.result import FitResult
from pdfkit.structure.structure import Structure

# By the number of atoms: the crystal, and how many of its cells are one of these.
CELLS = {
    8: ("CdS_zincblende", (1, 1, 1)),
    48: ("CdS_wurtzite", (2, 2, 3)),
    200: ("CdS_wurtzite", (5, 5, 2)),
    2000: ("CdS_zincblende", (5, 5, 10)),
}
U = {"Cd": 0.008, "S": 0.012}
START = {"a": 1.003, "U": 0.7, "scale": 0.8}
SHORT = 15.0
"""Å: how far Jacobian and fit go where the list of pairs would need 8 GB to the usual distance."""
STEP = 1e-4
"""Å⁻²: change of G by each column in the finite difference that checks a Jacobian."""


def listed(atoms: int, aniso: bool) -> Structure:
    """Return a cell of so many atoms in P1, with one or six numbers for each displacement."""
    source, repeats = CELLS[atoms]
    cell = load_structure(source).supercell(repeats)
    elements, xyz = [site.element for site in cell.sites], np.array([site.xyz for site in cell.sites])
    structure = Structure.from_arrays(cell.cell, elements, xyz, U=[U[element] for element in elements])
    return structure.with_anisotropic() if aniso else structure


def _model(atoms: int, aniso: bool, convention: str = "pdffit2") -> Model:
    phase = Crystal.from_structure(listed(atoms, aniso), name="p", delta2=2.0)
    return Model(phase, INSTRUMENT, convention)


def tied(model: Model) -> dict[str, tuple[float, list[str]]]:
    """Return what one number of the fit moves: by its name, that number, and the quantities in proportion to it."""
    known = dict(zip(model.names, model.values.tolist(), strict=True))
    cubic = math.isclose(known["p.b"] / known["p.c"], round(known["p.b"] / known["p.c"], 3), rel_tol=1e-12)
    out = {"p.scale": ["p.scale"], "p.delta2": ["p.delta2"], "p.a": ["p.a", "p.b", *(["p.c"] if cubic else [])]}
    out |= {} if cubic else {"p.c": ["p.c"]}
    for element in U:
        own = [name for name in model.names if name.startswith(f"p.{element}")]
        across = [name for name in own if name.endswith((".Uiso", ".U11", ".U22", ".U12")) and known[name]]
        along = [name for name in own if name.endswith(".U33")]
        out[across[0]] = across + (along if cubic else [])
        out |= {along[0]: along} if along and not cubic else {}
    return {first: (known[first], names) for first, names in out.items()}


def jacobian(atoms: int, aniso: bool, rmax: float) -> Prepared:
    """G and its derivatives along the numbers of the fit."""
    # Peaks of PDFfit2 end at 5 σ: a difference would see their ends move.
    model, r = _model(atoms, aniso, "pdfkit"), 0.01 * np.arange(1, round(rmax * 100) + 1, dtype=np.float64)
    evaluate, values, tangents = model.evaluator(r), model.values.copy(), _tangents(model)

    def check() -> tuple[str, float, float, str]:
        # One difference along all columns at once, each in its own unit: every new value merges millions of pairs anew.
        columns = np.asarray(evaluate(values, tangents)[1])
        units = 1.0 / np.abs(columns).max(axis=1)
        along = tangents @ units
        theirs = (evaluate(values + STEP * along)[0] - evaluate(values - STEP * along)[0]) / (2.0 * STEP)
        off = np.abs(units @ columns - theirs).max()
        return "a central difference along all", float(off), 1e-4, "error of the finite difference"

    return Prepared(lambda: evaluate(values, tangents), check=check, base=lambda: evaluate(values), base_name="a value")


def _tangents(model: Model) -> Array:
    rows = {name: k for k, name in enumerate(model.names)}
    groups = tied(model)
    out = np.zeros((len(rows), len(groups)))
    for k, (value, names) in enumerate(groups.values()):
        for name in names:
            out[rows[name], k] = model.values[rows[name]] / value
    return out


def whole_fit(atoms: int, aniso: bool, rmax: float) -> Prepared:
    """A whole fit of noisy data made in PDFfit2's convention, by both programs in that convention."""
    truth, r = _model(atoms, aniso), 0.01 * np.arange(1, round(rmax * 100) + 201, dtype=np.float64)
    noise = np.random.default_rng(11).normal(0, 0.02, r.size)
    data = PDF(r, truth(r).G + noise, instrument=INSTRUMENT)
    groups = tied(truth)
    known = dict(zip(truth.names, truth.values.tolist(), strict=True))
    start = {name: known[name] * _factor(first) for first, (_, names) in groups.items() for name in names}
    model = truth.with_values(start)
    ties = {
        name: f"{known[name] / value!r}*{first}"
        for first, (value, names) in groups.items()
        for name in names
        if name != first
    }

    def run() -> FitResult:
        return fit(model, data, rmin=1.0, rmax=rmax, free=list(groups), ties=ties, search="plain")

    def pdffit2() -> Rival:
        theirs = rivals.pdffit2_ties(model, [names for _, names in groups.values()], data, 1.0, rmax)
        return Rival(theirs, lambda: np.array([run().rw]), 1e-3, "Rw of the two fits, which stop by different rules")

    return Prepared(run, {rivals.PDFFIT2: pdffit2})


def _factor(name: str) -> float:
    return START.get("U" if ".U" in name else name.rpartition(".")[2], 1.0)


def cases() -> Iterator[Case]:
    """Give the cases: values to 30 and 60 Å, Jacobians and fits, isotropic and not."""
    for atoms, aniso in ((n, aniso) for n in CELLS for aniso in (False, True)):
        kind, words = ("aniso", "anisotropic") if aniso else ("iso", "isotropic")
        name, title = f"listed-{atoms}-{kind}", f"{atoms:,} atoms listed in P1, {words}"
        usual = "quick" if atoms < 100 else "full"
        structure = partial(listed, atoms, aniso)
        for rmax in (30.0, 60.0) if atoms < 1000 else (30.0,):
            when = usual if rmax < 50 else "full"
            yield Case(f"{name}-{rmax:.0f}", f"{title}, to {rmax:.0f} Å", partial(crystal, structure, rmax), when=when)
        slow = (rivals.PDFFIT2,)
        asked = slow if atoms >= 200 else ()  # minutes and more
        far, fitted = (30.0, 26.0) if atoms < 1000 or not aniso else (SHORT, SHORT)
        yield Case(f"{name}-jacobian", f"{title}: G and derivatives under ties, to {far:.0f} Å",
                   partial(jacobian, atoms, aniso, far), when=usual)  # fmt: skip
        yield Case(f"{name}-fit", f"{title}: fit under ties, 1–{fitted:.0f} Å",
                   partial(whole_fit, atoms, aniso, fitted), when=usual, slow=slow, asked=asked)  # fmt: skip
