"""The programs that the bench runs beside pdfkit, each behind one function; what is not installed is left out.

PDFfit2 (Farrow et al., J. Phys.: Condens. Matter 19, 335219 (2007)), DebyeCalculator (Johansen et al., J. Open Source
Softw. 9, 6024 (2024)), and the plain way with ase and numpy; those that count neighbours in boxes are in `counters`.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any

import numpy as np

from pdfkit import scattering
from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.model.model import Model
from pdfkit.particles.particle import Particle
from pdfkit.phases.crystal import Crystal

PDFFIT2, DEBYECALCULATOR, ASE, NUMPY = "PDFfit2", "DebyeCalculator", "ase + numpy", "numpy"
FREUD, MDANALYSIS = "freud", "MDAnalysis"
DIFFERENCES = "central differences"
_MODULES = {
    PDFFIT2: ("diffpy.pdffit2",),
    DEBYECALCULATOR: ("torch", "debyecalculator"),
    ASE: ("ase",),
    FREUD: ("freud",),
    MDANALYSIS: ("MDAnalysis",),
    NUMPY: (),
    DIFFERENCES: (),
}


@cache
def installed(program: str) -> bool:
    """Whether another program can be imported here."""
    try:
        return all(importlib.util.find_spec(name) is not None for name in _MODULES[program])
    except ImportError:
        return False


# --- PDFfit2 ---------------------------------------------------------------------------------------------------------


def _pdffit() -> Any:
    module = importlib.import_module("diffpy.pdffit2")
    module.redirect_stdout(io.StringIO())
    return module.PdfFit()


def pdffit2_curve(crystal: Crystal, instrument: Instrument, r: Array) -> Callable[[], Array]:
    """Return what calculates G on r (uniform) of a crystal in PDFfit2, Qmax cut included."""
    program = _pdffit()
    program.add_structure(crystal.structure.to_diffpy())
    program.setvar("pscale", crystal.scale)
    program.setvar("delta2", crystal.delta2)
    program.alloc("X", instrument.qmax, instrument.qdamp, float(r[0]), float(r[-1]), r.size)
    program.setvar("qbroad", instrument.qbroad)

    def run() -> Array:
        program.calc()
        return np.array(program.getpdf_fit())

    return run


def pdffit2_fit(model: Model, start: Mapping[str, float], data: PDF, rmin: float, rmax: float) -> Callable[[], Array]:
    """Return what fits zinc blende "zb" and wurtzite "wz" to data in PDFfit2, 13 parameters; the answer is (Rw,)."""

    def run() -> Array:
        program = _pdffit()
        for phase in model.phases:
            program.add_structure(phase.structure.to_diffpy())  # type: ignore[attr-defined]  # crystals only
        at = model.instrument
        program.read_data_lists("X", at.qmax, at.qdamp, data.r.tolist(), data.G.tolist())
        program.setvar("qbroad", at.qbroad)
        program.pdfrange(1, rmin, rmax)
        _constrain(program, start)
        program.refine()
        calc, seen = np.array(program.getpdf_fit()), np.array(program.getpdf_obs())
        return np.array([np.sqrt(((calc - seen) ** 2).sum() / (seen**2).sum())])

    return run


def pdffit2_ties(
    model: Model, groups: Sequence[Sequence[str]], data: PDF, rmin: float, rmax: float
) -> Callable[[], Array]:
    """Return what fits one crystal in P1 to data in PDFfit2; quantities of a group keep their ratios; answer (Rw,)."""
    phase, known = model.phases[0], dict(zip(model.names, model.values.tolist(), strict=True))

    def run() -> Array:
        program, at = _pdffit(), model.instrument
        program.add_structure(phase.structure.to_diffpy())  # type: ignore[attr-defined]  # crystals only
        program.read_data_lists("X", at.qmax, at.qdamp, data.r.tolist(), data.G.tolist())
        program.setvar("qbroad", at.qbroad)
        program.setvar("delta2", known["p.delta2"])
        program.setvar("pscale", known["p.scale"])
        program.pdfrange(1, rmin, rmax)
        labels = [site.label for site in phase.structure.sites]  # type: ignore[attr-defined]
        for k, names in enumerate(groups, 1):
            for name in names:
                for variable in _variables(program, name.removeprefix("p."), labels):
                    ratio = program.getvar(variable) / known[names[0]]
                    program.constrain(variable, f"{ratio!r}*@{k}")
            program.setpar(k, known[names[0]])
        program.refine()
        calc, seen = np.array(program.getpdf_fit()), np.array(program.getpdf_obs())
        return np.array([np.sqrt(((calc - seen) ** 2).sum() / (seen**2).sum())])

    return run


def _variables(program: Any, name: str, labels: Sequence[str]) -> list[Any]:
    """Return PDFfit2's names of a quantity of ours, in P1."""
    label, _, what = name.rpartition(".")
    if not label:
        lattice = {"a": 1, "b": 2, "c": 3}
        return [program.lat(lattice[what])] if what in lattice else ["pscale" if what == "scale" else what]
    atom = labels.index(label) + 1
    if what != "Uiso":
        return [getattr(program, what.lower())(atom)]
    tensor = (program.u11, program.u22, program.u33, program.u12, program.u13, program.u23)
    return [u(atom) for u in tensor if program.getvar(u(atom))]  # of oblique axes, too, in proportion


def _constrain(program: Any, start: Mapping[str, float]) -> None:
    """Free the 13 parameters: u of wurtzite too; its delta2 follows zinc blende's."""
    numbers = count(1)

    def free(variable: Any, value: float) -> int:
        k = next(numbers)
        program.constrain(variable, k)
        program.setpar(k, value)
        return k

    delta2 = 0
    for index, name in enumerate(("zb", "wz"), 1):
        program.setphase(index)
        program.setvar("spdiameter", start[f"{name}.spdiameter"])
        program.setvar("delta2", start[f"{name}.delta2"])
        free("pscale", start[f"{name}.scale"])
        free("spdiameter", start[f"{name}.spdiameter"])
        if delta2:
            program.constrain("delta2", delta2)
        else:
            delta2 = free("delta2", start["zb.delta2"])
        a = free(program.lat(1), start[f"{name}.a"])
        program.constrain(program.lat(2), a)
        if name == "zb":
            program.constrain(program.lat(3), a)
        else:
            free(program.lat(3), start["wz.c"])
        half = program.num_atoms() // 2
        for first, element in ((1, "Cd"), (half + 1, "S")):
            u = free(program.u11(first), start[f"{name}.{element}.Uiso"])
            for atom in range(first, first + half):
                for tensor in (program.u11, program.u22, program.u33):
                    program.constrain(tensor(atom), u)
                if name == "wz":
                    program.constrain(program.u12(atom), f"0.5*@{u}")
        if name == "wz":
            z = free(program.z(half + 1), start["wz.S.z"])
            program.constrain(program.z(half + 2), f"@{z}+0.5")


# --- DebyeCalculator -------------------------------------------------------------------------------------------------


def debyecalculator_curve(particle: Particle, instrument: Instrument, r: Array, Uiso: float) -> Callable[[], Array]:
    """Return what calculates G on r (r = 0, step, …, first point left out) of a particle on all cores.

    Its default Q step of 0.1 Å⁻¹ folds distances beyond 2π/ΔQ − r into G(r): larger particles get the step they need.
    """
    torch = importlib.import_module("torch")
    torch.set_num_threads(os.cpu_count() or 1)
    step = float(r[1] - r[0])
    calculator = importlib.import_module("debyecalculator").DebyeCalculator(
        qmin=instrument.qmin,
        qmax=instrument.qmax,
        qstep=min(0.1, 0.85 * 2 * math.pi / (particle.extent() + float(r[-1]))),
        qdamp=instrument.qdamp,
        rmin=float(r[0]),
        rmax=float(r[-1]) + 0.5 * step,
        rstep=step,
        biso=8 * math.pi**2 * Uiso,
        device="cpu",
    )
    source = (particle.symbols, torch.tensor(particle.xyz.copy(), dtype=torch.float32))

    def run() -> Array:
        at, G = calculator.gr(source)
        # It counts every pair once.
        return 2.0 * np.interp(r, np.asarray(at, dtype=np.float64), np.asarray(G, dtype=np.float64))

    return run


# --- the plain way ---------------------------------------------------------------------------------------------------


def naive_debye(particle: Particle, instrument: Instrument, r: Array, Uiso: float) -> Callable[[], Array]:
    """Return the Debye equation in numpy, one atom against all others at a time, and a sine transform by a matrix."""
    step, qmax = 0.05, float(instrument.qmax or 25.0)
    Q = np.arange(instrument.qmin, qmax + 0.5 * step, step)
    f = np.array([scattering.form_factor(e, "X", Q) for e in particle.elements])
    kind, xyz = particle.kind, particle.xyz
    mean = f[kind].mean(axis=0)
    ends = np.ones_like(Q)
    ends[[0, -1]] = 0.5

    def run() -> Array:
        total = np.zeros_like(Q)
        for i in range(len(particle) - 1):
            d = np.linalg.norm(xyz[i + 1 :] - xyz[i], axis=1)
            waves = np.sin(np.outer(d, Q)) / d[:, None]
            total += 2 * f[kind[i]] * np.einsum("jq,jq->q", f[kind[i + 1 :]], waves)
        F = ends * total * np.exp(-Uiso * Q**2) / len(particle) / mean**2
        G: Array = 2 / math.pi * step * np.sin(np.outer(r, Q)) @ F * np.exp(-0.5 * (instrument.qdamp * r) ** 2)
        return G

    return run


def ase_partials(crystal: Crystal, instrument: Instrument, r: Array, strengths: Mapping[str, float]) -> Any:
    """Return what calculates the weighted partials (npairs, nr), uncut, of a crystal with isotropic displacements.

    ase's neighbour list gives the pairs; equal distances become one Gaussian; sums are numpy's.
    """
    from ase import Atoms
    from ase.neighborlist import primitive_neighbor_list

    source = crystal.structure.to_diffpy()
    symbols = [str(atom.element) for atom in source]
    lattice = source.lattice
    atoms = Atoms(symbols, scaled_positions=source.xyz, cell=lattice.stdbase, pbc=True)
    U = np.array([float(atom.Uisoequiv) for atom in source])
    names = sorted(set(symbols))
    kind = np.array([names.index(s) for s in symbols])
    b = np.array([strengths[name] for name in names])
    n = len(symbols)
    mean = b[kind].mean()
    rho0 = n / atoms.get_volume()

    def run() -> Array:
        i, j, d = primitive_neighbor_list(
            "ijd", atoms.pbc, atoms.cell.array, atoms.positions, float(r[-1]) + 1.5, self_interaction=False
        )
        low, high = np.minimum(kind[i], kind[j]), np.maximum(kind[i], kind[j])
        out = []
        for p in range(len(names)):
            for q in range(p, len(names)):
                chosen = (low == p) & (high == q)
                variances = U[i[chosen]] + U[j[chosen]]
                keys, first, number = np.unique(np.round(d[chosen], 7), return_index=True, return_counts=True)
                s2 = variances[first] * (1 - crystal.delta2 / keys**2 + (instrument.qbroad * keys) ** 2)
                weight = b[p] * b[q] / (n * mean**2) * number / keys / np.sqrt(2 * math.pi * s2)
                G = np.zeros_like(r)
                for centre, width, height in zip(keys, s2, weight, strict=True):
                    G += height * np.exp(-((r - centre) ** 2) / (2 * width))
                share = (kind == p).sum() * (kind == q).sum() * b[p] * b[q] * (1 if p == q else 2) / (n * mean) ** 2
                out.append((G - 4 * math.pi * r * rho0 * share) * np.exp(-0.5 * (instrument.qdamp * r) ** 2))
        return np.array(out)

    return run


def sine_matrix(Q: Array, F: Array, r: Array) -> Callable[[], Array]:
    """Return the sine transform as a product with the matrix of sin(Qr), trapezoidal."""
    step = float(Q[1] - Q[0])

    def run() -> Array:
        ends = np.ones_like(Q)
        ends[[0, -1]] = 0.5
        G: Array = 2 / math.pi * step * np.sin(np.outer(r, Q)) @ (ends * F)
        return G

    return run


def finite_differences(evaluate: Any, values: Array, free: list[int], steps: Array) -> Callable[[], Array]:
    """Return dG by central differences (nfree, nr): two evaluations a parameter."""

    def run() -> Array:
        columns = []
        for k, step in zip(free, steps, strict=True):
            up, down = values.copy(), values.copy()
            up[k] += step
            down[k] -= step
            columns.append((evaluate(up)[0] - evaluate(down)[0]) / (2 * step))
        return np.stack(columns)

    return run
