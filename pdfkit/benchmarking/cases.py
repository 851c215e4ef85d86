"""What the bench measures: every case by name, made when it is run; the fits are in `fits`.

A case is prepared, its answers are checked, and only then its time is taken. What pdfkit does for it is `run`; another
program comes with its own run, whose answer must agree with `mine` within `bound`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from pdfkit import build, scattering
from pdfkit._checks import Array
from pdfkit.benchmarking import rivals
from pdfkit.benchmarking.report import OURS
from pdfkit.benchmarking.timing import free_memory, peak
from pdfkit.data.instrument import Instrument
from pdfkit.io.structures import load_structure
from pdfkit.model.model import Model
from pdfkit.particles.counting import _lattice_bytes, count_pairs
from pdfkit.particles.particle import Particle
from pdfkit.phases.cluster import Cluster
from pdfkit.phases.crystal import Crystal
from pdfkit.structure.structure import Structure

INSTRUMENT = Instrument(probe="X", qmax=25.0, qdamp=0.03, qbroad=0.01)
LAB = Instrument(probe="X", qmin=1.0, qmax=30.0, qdamp=0.04)
AT_ONCE = 64
U = 0.3 / (8 * math.pi**2)  # B = 0.3 Å²


@dataclass(frozen=True)
class Rival:
    """Another way to the same answer: what it runs, what pdfkit says to it, how far apart they may be, and why."""

    run: Callable[[], Array]
    mine: Callable[[], Array]
    bound: float
    reason: str


@dataclass(frozen=True)
class Prepared:
    """A case ready to run.

    run : what is timed. rivals : made when called. check : difference from what must hold, by name, with bound and
    reason. base : timed in turn, to state run as a multiple of it (`base_name`). per : how many things one run does.
    """

    run: Callable[[], Any]
    rivals: Mapping[str, Callable[[], Rival]] = field(default_factory=dict)
    check: Callable[[], tuple[str, float, float, str]] | None = None
    base: Callable[[], Any] | None = None
    base_name: str = ""
    per: int = 1
    unit: str = ""


@dataclass(frozen=True)
class Case:
    """A case by name: title, the curve of the picture that it belongs to with its x, and when it runs.

    when : "quick" (always), "full", or "asked" (by name only). slow, asked : programs that --quick leaves out, and
    those that run by the case's name only. fresh : whether --quick, too, runs it in a new process, and all programs do.
    """

    name: str
    title: str
    make: Callable[[], Prepared]
    series: str = ""
    axis: str = ""
    x: float | None = None
    when: str = "quick"
    slow: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    fresh: bool = False


def relative(mine: Array, theirs: Array) -> float:
    """Return max|mine − theirs|/max|theirs|; infinity for answers that are not of one shape or not finite."""
    if mine.shape != theirs.shape or not np.isfinite(theirs).all():
        return math.inf
    return float(np.abs(mine - theirs).max() / np.abs(theirs).max())


# --- crystals --------------------------------------------------------------------------------------------------------


def disordered_cell(atoms: int) -> Structure:
    """Return a P1 cell of Cd and S on a displaced grid, about as dense as CdS."""
    rng = np.random.default_rng(200)
    n = math.ceil(atoms ** (1 / 3))
    grid = np.array([(i, j, k) for i in range(n) for j in range(n) for k in range(n)])[:atoms] / n
    xyz = grid + rng.uniform(-0.1, 0.1, grid.shape) / n
    size = (atoms / 0.0417) ** (1 / 3) * (n**3 / atoms) ** (1 / 3) * 0.98
    elements = ["Cd" if sum(point) % 2 == 0 else "S" for point in np.rint(grid * n).astype(int).tolist()]
    tensors = [0.008 if e == "Cd" else 0.012 for e in elements]
    return Structure.from_arrays((size * 0.9, size * 0.95, size * 1.2, 82.0, 97.0, 105.0), elements, xyz, U=tensors)


def _r(rmax: float) -> Array:
    return 0.01 * np.arange(1, round(rmax * 100) + 1, dtype=np.float64)


def _moving(model: Model, name: str, r: Array) -> tuple[Any, Array, Callable[[], Array]]:
    """Return an evaluator, its values, and a function that evaluates with a new value of one quantity every time."""
    evaluate, values = model.evaluator(r), model.values.copy()
    k, start, turn = model.names.index(name), model.values[model.names.index(name)], count()

    def run() -> Array:
        values[k] = start * (1 + 1e-4 * (next(turn) % 7 - 3))
        G: Array = evaluate(values)[0]
        return G

    return evaluate, values, run


def _crystal(structure: Structure) -> Crystal:
    return Crystal.from_structure(structure, name="p", delta2=2.0)


def crystal(make: Callable[[], Structure], rmax: float) -> Prepared:
    """One G(r) with a new cell each time, by a prepared evaluator, as in a fit."""
    phase, r = _crystal(make()), _r(rmax)
    inside = r >= 1  # PDFfit2 starts its cut at rmin

    def pdffit2() -> Rival:
        theirs = rivals.pdffit2_curve(phase, INSTRUMENT, r)
        return Rival(
            lambda: theirs()[inside],
            lambda: Model(phase, INSTRUMENT, "pdffit2")(r).G[inside],
            1e-5,
            "its Gaussians and form factors are rounded",
        )

    return Prepared(_moving(Model(phase, INSTRUMENT), "p.a", r)[2], {rivals.PDFFIT2: pdffit2})


def partials() -> Prepared:
    """The three weighted partials of wurtzite to 30 Å, not cut, new each time."""
    phase, r = _crystal(load_structure("CdS_wurtzite")), _r(30.0)
    endless = Instrument(probe="X", qmax=math.inf, qdamp=0.03, qbroad=0.01)
    model = Model(phase, endless)
    evaluate, values = model.evaluator(r), model.values.copy()
    strengths = {e: scattering.scattering_strength(e, "X") for e in ("Cd", "S")}

    def run() -> Array:
        return np.array([G for _, G in sorted(evaluate.parts(values).items())])

    def plain() -> Rival:
        return Rival(rivals.ase_partials(phase, endless, r, strengths), run, 1e-5, "how far the tails of peaks go")

    return Prepared(run, {rivals.ASE: plain})


def batch(make: Callable[[], Structure]) -> Prepared:
    """`AT_ONCE` G(r) to 30 Å in one call, each with another cell and other displacements, beside a loop."""
    model, r = Model(_crystal(make()), INSTRUMENT), _r(30.0)
    evaluate, values = model.evaluator(r), np.tile(model.values, (AT_ONCE, 1))
    moved = [k for k, name in enumerate(model.names) if name.endswith((".a", ".Uiso", ".scale"))]
    values[:, moved] *= 1.0 + 0.01 * np.random.default_rng(5).uniform(-1.0, 1.0, (AT_ONCE, len(moved)))

    def loop() -> Array:
        return np.array([evaluate(one)[0] for one in values])

    def check() -> tuple[str, float, float, str]:
        return "a loop", relative(evaluate.many(values), loop()), 1e-12, "sums in another order"

    run = partial(evaluate.many, values)
    return Prepared(run, check=check, base=loop, base_name="a loop", per=AT_ONCE, unit="curves")


def jacobian() -> Prepared:
    """G and its derivatives by ten parameters of wurtzite to 30 Å."""
    phase, r = _crystal(load_structure("CdS_wurtzite")), _r(30.0)
    model = Model(phase, INSTRUMENT)
    evaluate, values, value = _moving(model, "p.a", r)
    names = ["p.scale", "p.a", "p.c", "p.Cd.Uiso", "p.S.Uiso", "p.S.z", "p.delta2", "qdamp", "qbroad", "p.S.occ"]
    free = [model.names.index(name) for name in names]
    tangents = np.zeros((values.size, len(free)))
    tangents[free, range(len(free))] = 1.0
    at = model.values.copy()
    steps = 1e-5 * np.maximum(np.abs(at[free]), 1e-2)

    def differences() -> Rival:
        theirs = rivals.finite_differences(evaluate, at, free, steps)
        scale = np.abs(theirs()).max(axis=1, keepdims=True)
        return Rival(
            lambda: theirs() / scale,
            lambda: np.asarray(evaluate(at, tangents)[1]) / scale,
            1e-4,
            "error of the finite differences",
        )

    return Prepared(
        lambda: evaluate(values, tangents), {rivals.DIFFERENCES: differences}, base=value, base_name="a value"
    )


def q_weights() -> Prepared:
    """G(r) of wurtzite to 30 Å with Q-dependent weights; for one element they must change nothing."""
    from dataclasses import replace

    r = _r(30.0)
    constant = replace(INSTRUMENT, scattering="constant")
    phase = _crystal(load_structure("CdS_wurtzite"))

    def check() -> tuple[str, float, float, str]:
        nickel = Crystal.from_structure(load_structure("Ni"), name="p")
        difference = relative(Model(nickel, INSTRUMENT)(r).G, Model(nickel, constant)(r).G)
        return "constant weights, of Ni", difference, 1e-12, "its weight is 1 at every Q"

    run = _moving(Model(phase, INSTRUMENT), "p.a", r)[2]
    plain = _moving(Model(phase, constant), "p.a", r)[2]
    return Prepared(run, check=check, base=plain, base_name="constant weights")


# --- clusters --------------------------------------------------------------------------------------------------------


def sphere(atoms: float) -> Particle:
    """Return a sphere of zinc blende of about so many atoms."""
    return build.sphere("CdS_zincblende", float((atoms / 8 * 5.832**3 * 6 / math.pi) ** (1 / 3)))


def anonymous(particle: Particle) -> Particle:
    """Return the same atoms, which know no lattice."""
    return Particle(particle.elements, particle.kind, particle.xyz)


def _new_curve(particle: Particle, r: Array) -> Callable[[], Array]:
    motion = dict.fromkeys(particle.elements, U)
    return lambda: Model(Cluster(particle, "c", Uiso=motion, baseline="none"), LAB)(r).G


def cluster(make: Callable[[], Particle], naive: bool) -> Prepared:
    """One G(r) to 30 Å of a particle never seen before: pairs, peaks and cut."""
    particle, r = make(), _r(30.0)
    mine = _new_curve(particle, r)
    far = r >= 1.0  # below, the ends of the Debye sum at Qmin and Qmax ripple highest

    def calculator() -> Rival:
        theirs = rivals.debyecalculator_curve(particle, LAB, r, U)
        return Rival(lambda: theirs()[far], lambda: mine()[far], 1e-2, "its coarse Q step")

    def plain() -> Rival:
        theirs = rivals.naive_debye(particle, LAB, r, U)
        return Rival(lambda: theirs()[far], lambda: mine()[far], 5e-3, "its Q step of 0.05 Å⁻¹")

    known: dict[str, Callable[[], Rival]] = {rivals.DEBYECALCULATOR: calculator}
    return Prepared(mine, {**known, rivals.NUMPY: plain} if naive else known, _all_pairs(particle))


def _all_pairs(particle: Particle) -> Callable[[], tuple[str, float, float, str]] | None:
    """The check that no pair of atoms on a lattice is lost: N² ordered pairs in the table."""
    if particle.lattice is None:
        return None

    def check() -> tuple[str, float, float, str]:
        n = float(len(particle))
        table = count_pairs(particle, method="lattice", memory=_room(particle))
        return "N² pairs counted", abs(table.total - n * n) / (n * n), 1e-12, "whole numbers, rounding of their sum"

    return check


def _room(particle: Particle) -> float:
    """Return the bytes that a count may take; MemoryError where the machine has fewer."""
    need, free = 1.2 * _lattice_bytes(particle), free_memory()
    if free is not None and need > free:
        raise MemoryError(f"{len(particle):,} atoms need {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free")
    return max(need, 4e9)


def pairs_alone(atoms: float) -> Prepared:
    """All pairs of a particle cut from a lattice."""
    free = free_memory()
    if free is not None and free < 800 * atoms:  # 7.5 GB measured for 10⁷
        raise MemoryError(f"{atoms:,.0f} atoms need {800 * atoms / 1e9:.0f} GB, {free / 1e9:.1f} GB are free")
    particle = sphere(atoms)
    memory = _room(particle)
    return Prepared(lambda: count_pairs(particle, method="lattice", memory=memory), check=_all_pairs(particle))


# --- the list --------------------------------------------------------------------------------------------------------


def _crystal_cases() -> list[Case]:
    out = []
    for short, source in (("zb", "CdS_zincblende"), ("wz", "CdS_wurtzite")):
        name = source.replace("_zinc", " zinc ").replace("_", " ")
        for rmax in (30.0, 60.0, 100.0):
            out.append(
                Case(
                    f"crystal-{short}-{rmax:.0f}",
                    f"{name}, to {rmax:.0f} Å",
                    partial(crystal, partial(load_structure, source), rmax),
                    series=name.removeprefix("CdS "),
                    axis="rmax",
                    x=rmax,
                    fresh=(short, rmax) == ("wz", 30.0),
                )
            )
    for atoms in (200, 2000):
        out.append(
            Case(
                f"p1-{atoms}",
                f"{atoms:,} atoms in P1, to 30 Å",
                partial(crystal, partial(disordered_cell, atoms), 30.0),
                series="cell in P1",
                axis="N",
                x=atoms,
                when="quick" if atoms == 200 else "full",
            )
        )
    return out


def _cluster_cases() -> list[Case]:
    known = partial(Particle.from_file, "Cd56Se35_tetrahedron")
    out = [Case("cluster-91", "Cd56Se35, 91 atoms, to 30 Å", partial(cluster, known, True), fresh=True)]
    for power in (3, 4, 5, 6):
        n = 10**power

        def free(n: int = n) -> Particle:
            return anonymous(sphere(n))

        if power < 6:
            case = Case(
                f"free-1e{power}",
                f"about {n:,} atoms anywhere, to 30 Å",
                partial(cluster, free, power == 3),
                series="atoms anywhere",
                axis="N",
                x=n,
                when="quick" if power < 5 else "full",
            )
            out.append(case)
        lattice = Case(
            f"lattice-1e{power}",
            f"about {n:,} atoms cut from a lattice, to 30 Å",
            partial(cluster, partial(sphere, n), False) if power < 5 else partial(_large, n),
            series="cut from a lattice",
            axis="N",
            x=n,
            when="quick" if power < 6 else "full",
        )
        out.append(lattice)
    out.append(Case("lattice-1e7", "about 10,000,000 atoms, pairs alone", partial(pairs_alone, 1e7), when="asked"))
    return out


def _large(atoms: int) -> Prepared:
    particle = sphere(atoms)
    return Prepared(_new_curve(particle, _r(30.0)), check=_all_pairs(particle))


def _fits(name: str, *args: float) -> Prepared:
    """Prepare a case of `fits`, imported only here: a fresh process pays for what its own case needs."""
    from pdfkit.benchmarking import fits

    prepared: Prepared = getattr(fits, name)(*args)
    return prepared


def cases() -> dict[str, Case]:
    """Return every case by name, in the order in which they run."""
    small = [
        Case("partials", "three partials of wurtzite, to 30 Å", partials),
        Case(
            "batch-zb",
            "CdS zinc blende, to 30 Å, 64 in one call",
            partial(batch, partial(load_structure, "CdS_zincblende")),
        ),
        Case(
            "batch-wz", "CdS wurtzite, to 30 Å, 64 in one call", partial(batch, partial(load_structure, "CdS_wurtzite"))
        ),
        Case("jacobian", "G and 10 derivatives, wurtzite, to 30 Å", jacobian),
        Case("q-weights", "wurtzite, to 30 Å, Q-dependent weights", q_weights),
    ]
    rest = [
        Case("fit-20", "fit of two phases, 13 parameters, 1–20 Å", partial(_fits, "two_phase_fit", 20.0)),
        Case(
            "fit-60",
            "fit of two phases, 13 parameters, 1–60 Å",
            partial(_fits, "two_phase_fit", 60.0),
            slow=(rivals.PDFFIT2,),
        ),
        Case("transform", "sine transform, 2,400 to 3,000 points", partial(_fits, "transform")),
        Case("reduction", "reduction of 3,000 points to G(r)", partial(_fits, "reduction")),
        Case("screening", "screening, clusters a second in one process", partial(_fits, "screening")),
    ]
    from pdfkit.benchmarking import boxes, cells  # what makes them is here

    crystals = [*_crystal_cases(), *small, *cells.cases()]
    return {case.name: case for case in [*crystals, *boxes.cases(), *_cluster_cases(), *rest]}


def child(name: str, program: str) -> None:
    """Run a case once and print the peak memory of the process: what `timing.fresh` starts."""
    prepared = cases()[name].make()
    run = prepared.run if program == OURS else prepared.rivals[program]().run
    run()
    print(json.dumps({"peak": peak()}))
