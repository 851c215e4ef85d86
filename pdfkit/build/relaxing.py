"""Clusters at rest under a potential: L-BFGS on the forces of any ASE calculator, with a journal.

Every step is a line of the journal, with positions and forces. A run that was killed goes on from the last whole line,
and takes the very steps that it would have taken: the curvature that it had learnt is learnt again from those lines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._terminal import quiet
from pdfkit.errors import PdfkitError, ReadError, StructureError, remark
from pdfkit.io import _journal
from pdfkit.io._atomic import AnyPath
from pdfkit.io._folders import folder
from pdfkit.particles.particle import Particle

MEMORY = 60
"""Steps whose curvature is remembered."""
FIRST = 70.0
"""eV/Å²: the curvature where nothing is known yet."""
LOOK = 0.01
"""Å: how far atoms move at most for a look at whether forces are the slope of an energy."""
LONGEST = 0.2
"""Å: no atom moves further in one step."""
OTHER = 0.02
"""eV, eV/Å: energies and forces that differ by more, given again, are those of another potential."""
JOURNAL = "relax.jsonl"
PARTS = ("all", "ligands", "core")


class Step(NamedTuple):
    """One place on the way: number, energy in eV, largest force in eV/Å, positions and forces (n, 3)."""

    number: int
    energy: float
    fmax: float
    xyz: Array
    forces: Array


def relax(
    particle: Any,
    calculator: Any = "classical",
    *,
    fmax: float = 0.05,
    steps: int = 500,
    moving: str = "all",
    journal: AnyPath | None = None,
    progress: Callable[[Step], None] | None = None,
) -> Particle:
    """Return a particle whose atoms are at rest: no force above fmax (eV/Å), or after so many steps.

    Parameters
    ----------
    particle : with its ligands; a bare core reconstructs. calculator : "classical" (ZnS, CdS, CdSe with Cl caps),
        "chgnet" or "tblite" (extra `relax`), or any ASE calculator. moving : "all", "ligands" or "core" atoms.
    journal : a folder in which every step is kept; if it is there already, the run goes on from it. progress : called
        with each `Step`.

    The meta of the result says with what, and whether it came to rest: relaxed_with, relaxed_version, relaxed_energy
    (eV), relaxed_fmax (eV/Å), relaxed_wanted (eV/Å), relaxed_steps, relaxed_converged; `write_xyz` keeps it. Nothing in
    pdfkit relaxes anything unless it is asked to: whether relaxed atoms describe data better is for the data to say.

    Raises PdfkitError for options out of range and packages that are missing, StructureError for forces that are not
    finite and elements that a potential does not know, ReadError for the journal of another run.

    Example
    -------
    >>> import pdfkit as pk
    >>> capped = pk.build.cap(pk.build.tetrahedron("CdSe_zincblende", 6), "Cl")
    >>> relaxed = pk.build.relax(capped, "classical", fmax=0.05)
    >>> relaxed.meta["relaxed_with"], relaxed.meta["relaxed_converged"]
    ('classical', True)
    >>> 0.2 < pk.build.rms_displacement(capped.core, relaxed.core) < 1.0  # Å; rounding decides which minimum is near
    True
    """
    from pdfkit.build.potentials import potential

    start = replace(Particle.from_structure(particle), lattice=None, sites=None)
    limit, most = (
        _checks.number("fmax", fmax, low=1e-4, high=100.0),
        _checks.whole("steps", steps, low=0, high=1_000_000),
    )
    free = _moving(start, moving)
    engine = potential(calculator)
    head = {"pdfkit relaxation": 1, "atoms": _key(start, free), "with": engine.name, "version": engine.version}
    with nullcontext() if journal is None else folder(journal) as place:
        path = None if place is None else place / JOURNAL
        done = [] if path is None else _taken_up(path, head, len(start))

        def keep(step: Step) -> None:
            if path is not None:
                if step.number == 0:
                    _journal.begin(path, head)
                _journal.append(path, [_record(step)])
            if progress is not None:
                progress(step)

        last = _walk(start, engine, free, (limit, most), done, keep)
    return _rested(start, last, limit, engine)


def rms_displacement(one: Particle, other: Particle) -> float:
    """Return the rms distance (Å) of the atoms of two particles after the best superposition, atom by atom.

    Raises StructureError for particles whose atoms do not correspond.

    Example
    -------
    >>> import pdfkit as pk
    >>> t3 = pk.build.tetrahedron("CdSe_zincblende", 3)
    >>> round(pk.build.rms_displacement(t3, t3.moved([1, 2, 3])), 6)
    0.0
    """
    return float(np.sqrt((superposed(one, other) ** 2).sum(axis=1).mean()))


def superposed(one: Particle, other: Particle) -> Array:
    """Return the displacements (n, 3) in Å from one to the other, which is shifted and turned onto it."""
    if one.symbols != other.symbols:
        raise StructureError(f"the atoms of {one.formula} and {other.formula} do not correspond: give the same atoms")
    a, b = (p.xyz - p.xyz.mean(axis=0) for p in (one, other))
    u, _, vt = np.linalg.svd(b.T @ a)
    turn = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    return np.asarray(b @ turn - a)


def _moving(particle: Particle, which: str) -> NDArray[np.bool_]:
    _checks.choice("moving", which, PARTS)
    if which == "all":
        return np.ones(len(particle), dtype=np.bool_)
    if particle.ligand is None:
        raise PdfkitError(
            f'moving = "{which}", but it is not said which atoms are ligands: cap the core by pdfkit.build.cap'
        )
    return particle.ligand if which == "ligands" else ~particle.ligand


# --- Steps -----------------------------------------------------------------------------------------------------------


@dataclass
class _Curvature:
    """What L-BFGS has learnt: steps s and changes y of the gradient, the last of each `MEMORY`."""

    pairs: list[tuple[Array, Array]]

    def learn(self, before: Step, after: Step, free: NDArray[np.bool_]) -> None:
        """Take in a step between two places; one that met no positive curvature is left out."""
        s = (after.xyz - before.xyz)[free].ravel()
        y = (before.forces - after.forces)[free].ravel()
        if s @ y > 1e-10 * np.linalg.norm(s) * np.linalg.norm(y):
            self.pairs = [*self.pairs, (s, y)][-MEMORY:]

    def step(self, force: Array) -> Array:
        """Return the step (3n,) to take at a force; no atom moves further than `LONGEST`."""
        q, kept = force.copy(), []
        for s, y in reversed(self.pairs):
            a = (s @ q) / (s @ y)
            q -= a * y
            kept.append(a)
        s, y = self.pairs[-1] if self.pairs else (np.ones(1), np.full(1, FIRST))
        q *= (s @ y) / (y @ y)
        for (s, y), a in zip(self.pairs, reversed(kept), strict=True):
            q += (a - (y @ q) / (s @ y)) * s
        longest = float(np.linalg.norm(q.reshape(-1, 3), axis=1).max())
        return q if longest <= LONGEST else q * (LONGEST / longest)


def _walk(
    start: Particle,
    engine: Any,
    free: NDArray[np.bool_],
    ends: tuple[float, int],
    done: list[Step],
    keep: Callable[[Step], None],
) -> Step:
    """Return the last place of a walk downhill, after those that are done already."""
    limit, most = ends
    atoms = _boxed(start, engine)
    shift = atoms.get_positions()[0] - start.xyz[0]
    learnt, here = _Curvature([]), None
    for step in done:
        if here is not None:
            learnt.learn(here, step, free)
        here = step
    if here is not None:
        _check_same(here, _look(atoms, here.xyz, shift, free, here.number))
    while here is None or (here.fmax > limit and here.number < most):
        xyz = start.xyz.copy() if here is None else _moved(here, learnt, free)
        after = _look(atoms, xyz, shift, free, 0 if here is None else here.number + 1)
        if here is not None:
            learnt.learn(here, after, free)
        elif not engine.known:
            _check_forces(atoms, after, shift, free)
        here = after
        keep(here)
    return here


def _check_forces(atoms: Any, first: Step, shift: Array, free: NDArray[np.bool_]) -> None:
    """Refuse a calculator whose forces are not the slope of its energy, by one look along them (any way, if 0)."""
    way = first.forces if first.forces.any() else np.random.default_rng(0).normal(size=first.xyz.shape)
    way = np.where(free[:, None], way, 0.0)
    step = way * (LOOK / np.abs(way).max(initial=1e-300))
    after = _look(atoms, first.xyz + step, shift, free, 0)
    _checks.slope((first.energy, after.energy), -0.5 * float(((first.forces + after.forces) * step).sum()))


def _check_same(was: Step, now: Step) -> None:
    """Refuse to go on under another potential than a journal began with: settings of a calculator have no name."""
    apart = float(np.abs(now.forces - was.forces).max())
    if apart > OTHER * (1.0 + was.fmax) or abs(now.energy - was.energy) > OTHER * (1.0 + 1e-3 * abs(was.energy)):
        raise PdfkitError(
            f"the journal has {was.energy:.6g} eV for step {was.number}, and this calculator gives {now.energy:.6g} eV "
            "there: its settings are others, so use another journal, or delete this one"
        )


def _moved(here: Step, learnt: _Curvature, free: NDArray[np.bool_]) -> Array:
    xyz = here.xyz.copy()
    xyz[free] += learnt.step(here.forces[free].ravel()).reshape(-1, 3)
    return xyz


def _boxed(start: Particle, engine: Any) -> Any:
    """Return the ase.Atoms, in a box with an empty margin for a potential that needs one."""
    atoms = start.to_ase()
    if engine.margin is not None:
        atoms.center(vacuum=engine.margin)
        atoms.pbc = True
    atoms.calc = engine.calculator
    return atoms


def _look(atoms: Any, xyz: Array, shift: Array, free: NDArray[np.bool_], number: int) -> Step:
    """Return energy and forces at a place; those on atoms that stand still are 0."""
    atoms.set_positions(xyz + shift)
    try:
        with quiet():
            found, energy = atoms.get_forces(), float(atoms.get_potential_energy())
    except PdfkitError:
        raise
    except Exception as error:  # calculators raise whatever comes along
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise PdfkitError(f"the calculator failed in step {number} ({reason}): try it with ase alone") from error
    if np.shape(found) != xyz.shape:
        raise PdfkitError(f"the calculator gave forces of shape {np.shape(found)} for {len(xyz)} atoms: correct it")
    forces = np.where(free[:, None], np.asarray(found, dtype=np.float64), 0.0)
    if not (np.isfinite(forces).all() and np.isfinite(energy)):
        raise StructureError(f"step {number}: energy or forces are not finite: are two atoms on top of each other?")
    return Step(number, energy, float(np.linalg.norm(forces, axis=1).max()), xyz, forces)


def _rested(start: Particle, last: Step, limit: float, engine: Any) -> Particle:
    """Return the particle at the last place, with what is to be known of it."""
    converged = last.fmax <= limit
    about = {
        "relaxed_with": engine.name,
        "relaxed_version": engine.version,
        "relaxed_energy": last.energy,
        "relaxed_fmax": last.fmax,
        "relaxed_wanted": limit,
        "relaxed_steps": last.number,
        "relaxed_converged": converged,
    }
    state = f"{last.fmax:.3f} eV/Å after {last.number} steps, {limit:g} wanted"
    said = () if converged else (remark(f"{start.name or start.formula} is not at rest: {state}"),)
    return replace(start, xyz=last.xyz, meta={**start.meta, **about}, remarks=(*start.remarks, *said))


# --- The journal -----------------------------------------------------------------------------------------------------


def discard(journal: AnyPath) -> None:
    """Delete the journal of a relaxation, and its folder if nothing else is in it."""
    Path(journal, JOURNAL).unlink(missing_ok=True)
    with suppress(OSError):
        Path(journal).rmdir()


def _key(start: Particle, free: NDArray[np.bool_]) -> str:
    out = hashlib.sha256(" ".join(start.symbols).encode())
    out.update((np.round(start.xyz, 6) + 0.0).tobytes())
    out.update(free.tobytes())
    return out.hexdigest()[:24]


def _record(step: Step) -> dict[str, Any]:
    return {**step._asdict(), "xyz": step.xyz.tolist(), "forces": step.forces.tolist()}


def _taken_up(path: Path, head: Mapping[str, Any], n: int) -> list[Step]:
    """Return the steps that a journal has."""
    lines = _journal.take_up(path, head)
    return [_step(path, line, k, n) for k, line in enumerate(lines[1:])]


def _step(path: Path, line: bytes, number: int, n: int) -> Step:
    try:
        found = _journal.record(line)
        xyz, forces = (np.array(found[key], dtype=np.float64) for key in ("xyz", "forces"))
        step = Step(int(found["number"]), float(found["energy"]), float(found["fmax"]), xyz, forces)
    except (KeyError, ValueError, TypeError):
        step = None
    if step is None or step.number != number or step.xyz.shape != (n, 3) or step.forces.shape != (n, 3):
        raise ReadError(path, "this step of the relaxation is damaged: delete the file and relax again", number + 2)
    return step
