"""Commands on clusters: `pdfkit pattern`, `pdfkit build` and `pdfkit relax`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit.cli import options as o
from pdfkit.cli.console import Printed, progress, with_picture
from pdfkit.errors import PdfkitError, nearest, remark

if TYPE_CHECKING:
    from pdfkit._checks import Array
    from pdfkit.io._atomic import AnyPath
    from pdfkit.particles.particle import Particle
    from pdfkit.patterns import GuinierFit, Pattern

# --- pattern ---------------------------------------------------------------------------------------------------------

COPPER = 1.5406
"""Å: Cu Kα₁, the wavelength where none is given."""
SMALL_ANGLES = (0.006, 1.0)
WIDE_ANGLES = (0.5, 25.0)
# Below 10° a cluster of nanometres scatters as its outline does, and hides the rest.
ANGLES = (10.0, 120.0)
# More points than this are a slip of the keyboard.
MOST_POINTS = 1_000_000


def pattern(
    cluster: Annotated[
        str,
        typer.Argument(
            metavar="CLUSTER",
            help="A file (.xyz, …), or a cluster from `pdfkit structures`.",
            autocompletion=o.cluster_names,
        ),
    ],
    saxs: Annotated[
        bool, typer.Option("--saxs", help="Small angles: I(Q) from 0.006 to 1 Å⁻¹, with a fit of Guinier's law.")
    ] = False,
    xrd: Annotated[
        bool, typer.Option("--xrd", help="Powder pattern against 2θ, 10° to 120°. Default: I(Q) to 25 Å⁻¹.")
    ] = False,
    wavelength: Annotated[float, typer.Option(help="Wavelength in Å, for --xrd.")] = COPPER,
    qmin: o.MinQ = None,
    qmax: o.MaxQ = None,
    step: Annotated[float | None, typer.Option(help="Step in Å⁻¹, or in degrees with --xrd.")] = None,
    fwhm: Annotated[float, typer.Option(help="Width of peaks by the diffractometer, in degrees of 2θ.")] = 0.0,
    polarisation: Annotated[
        str, typer.Option(help="Of the X-rays for --xrd: none (no correction) or unpolarised.")
    ] = "none",
    uiso: Annotated[float, typer.Option(help="Mean-square displacement of atoms in Å².")] = 0.01,
    probe: Annotated[str, o.PROBE] = "X",
    out: o.OutFile = None,
    plot: o.Plot = False,
) -> Printed:
    """Calculate what a cluster scatters (SAXS, WAXS or powder XRD) with the Debye equation; write it as columns."""
    import numpy as np

    from pdfkit.particles import geometry
    from pdfkit.patterns import powder_pattern, waxs, write_pattern
    from pdfkit.patterns import saxs as small_angles
    from pdfkit.phases.files import known_structure

    source = known_structure(cluster)
    if saxs and xrd:
        raise PdfkitError("--saxs and --xrd are two patterns: ask for one at a time")
    if not xrd and (fwhm or polarisation != "none"):
        raise PdfkitError("fwhm and polarisation belong to a powder pattern: add --xrd or leave them out")
    particle = _finite_particle(source)
    word = "saxs" if saxs else "xrd" if xrd else "waxs"
    target = out or Path(f"{Path(source).stem}-{word}.dat")
    files = with_picture(target, plot, [source])
    fit = None
    if xrd:
        angle = _angles(qmin, qmax, wavelength, 0.02 if step is None else step)
        made = powder_pattern(particle, angle, wavelength, fwhm=fwhm, polarisation=polarisation, Uiso=uiso, probe=probe)
    elif saxs:
        low, high = _range(qmin, qmax, SMALL_ANGLES)
        made = small_angles(particle, np.geomspace(max(low, 1e-6), high, 400), Uiso=uiso, probe=probe)
        fit = _guinier(made)
    else:
        low, high = _range(qmin, qmax, WIDE_ANGLES)
        made = waxs(particle, _steps(low, high, 0.01 if step is None else step), Uiso=uiso, probe=probe)
    write_pattern(target, made)
    if plot:
        from pdfkit.plot import clusters as draw

        draw.pattern(made, path=files[1]) if fit is None else draw.guinier(made, fit, path=files[1])
    size, rg = geometry.largest_distance(particle), geometry.radius_of_gyration(particle, "electrons")
    lines = [f"{particle.formula}: {len(particle)} atoms, largest distance {size:.2f} Å"]
    lines += [f"Rg = {rg:.3f} Å from the positions, weighted with electrons"]
    lines += [] if fit is None else [f"Guinier: {fit}"]
    values = {"formula": particle.formula, "atoms": len(particle), "largest_distance": size, "rg": rg}
    values |= {"guinier": None if fit is None else vars(fit), "points": len(made)}
    return Printed("\n".join(lines), files, values)


def _finite_particle(source: AnyPath, remedy: str = "") -> Particle:
    """Return the particle in a file without a cell, or the one cluster that a cell holds; all else is refused."""
    from pdfkit.errors import heard
    from pdfkit.particles.particle import IN_CELL, Particle
    from pdfkit.particles.periodic import CUT, MOST_ATOMS
    from pdfkit.phases.files import kind_of
    from pdfkit.screening.crystals import MANY

    if kind_of(source) == "cluster":
        return Particle.from_file(source)
    usual = f"a pattern is calculated for a particle: build one first, such as pdfkit build sphere {source} 40"
    endless = PdfkitError(f"{source} is a crystal without end, and {remedy or usual + ', and give its file'}")
    if not Path(source).exists():  # a structure of pdfkit
        raise endless
    with heard() as said:
        found = Particle.from_file(source)
    held = str(found.meta.get(IN_CELL, "cluster"))
    if held == "crystal" or len(found) > MOST_ATOMS:
        raise endless
    if held != "cluster":
        raise PdfkitError(f"{source}: its cell holds {held.replace(CUT, 'pieces')} {MANY}")
    for text in dict.fromkeys(said):
        remark(text)
    return found


def _guinier(pattern: Pattern) -> GuinierFit | None:
    """Return the fit, or None where the range has too little of Guinier's law."""
    from pdfkit.patterns import guinier

    try:
        return guinier(pattern.Q, pattern.intensity)
    except PdfkitError:
        return None


def _range(qmin: float | None, qmax: float | None, usual: tuple[float, float]) -> tuple[float, float]:
    from pdfkit import _checks

    low = _checks.number("qmin", usual[0] if qmin is None else qmin, low=0.0)
    high = _checks.number("qmax", usual[1] if qmax is None else qmax)
    if low >= high:
        raise PdfkitError(f"qmin = {low:g} is not below qmax = {high:g}: swap or correct them")
    return low, high


def _angles(qmin: float | None, qmax: float | None, wavelength: float, step: float) -> Array:
    """Return 2θ in degrees between the limits, 2θ = 2 asin(Qλ/4π)."""
    from pdfkit import _checks

    wavelength = _checks.number("wavelength", wavelength, low=0.0, open_low=True)
    ends = list(ANGLES)
    for k, (name, q) in enumerate((("qmin", qmin), ("qmax", qmax))):
        if q is None:
            continue
        sine = _checks.number(name, q, low=0.0) * wavelength / (4 * math.pi)
        if sine >= 1:
            raise PdfkitError(
                f"{name} = {q:g} Å⁻¹ is out of reach at wavelength {wavelength:g} Å: Q ends at "
                f"{4 * math.pi / wavelength:.3f}; lower it, or take a shorter wavelength"
            )
        ends[k] = math.degrees(2 * math.asin(sine))
    if ends[0] >= ends[1]:
        raise PdfkitError(f"2θ would run from {ends[0]:.3f} to {ends[1]:.3f} degrees: swap or correct qmin and qmax")
    return _steps(ends[0], ends[1], step)


def _steps(low: float, high: float, step: float) -> Array:
    import numpy as np

    from pdfkit import _checks

    step = _checks.number("step", step, low=0.0, open_low=True)
    if (high - low) / step > MOST_POINTS:
        raise PdfkitError(f"step = {step:g} makes more than {MOST_POINTS} points: take a wider one")
    if high - low < step:
        raise PdfkitError(f"step = {step:g} is wider than the range {low:g} to {high:g}: take a narrower one")
    # Through decimals: 0.01·k would be written as 0.07000000000000001.
    return np.asarray(np.round(low + step * np.arange(math.floor((high - low) / step + 1e-9) + 1), 10))


# --- build -----------------------------------------------------------------------------------------------------------

CANDIDATES, CLUSTER = "candidates", "cluster"


@dataclass(frozen=True)
class Shape:
    """A shape by name: the sizes it takes, in order, and its options."""

    sizes: tuple[str, ...]
    options: tuple[str, ...] = ("centre", "trim")


SHAPES = {
    "sphere": Shape(("diameter",)),
    "ellipsoid": Shape(("dx", "dy", "dz")),
    "rod": Shape(("diameter", "length"), ("centre", "trim", "axis")),
    "platelet": Shape(("length", "width", "thickness"), ("centre", "trim", "normal")),
    "cube": Shape(("edge",)),
    "tetrahedron": Shape(("n",), ("terminated",)),
    "truncated-tetrahedron": Shape(("n", "cut"), ("terminated",)),
    "capped-tetrahedron": Shape(("n",), ("ligands",)),
    "core-shell": Shape(("core_diameter", "diameter"), ("shell", "centre", "trim")),
    "twinned": Shape(("diameter", "planes", "spacing"), ("trim",)),
    "icosahedron": Shape(("shells",), ()),
    "decahedron": Shape(("length", "height", "notch"), ()),
}
"""Shapes that `build_particle` makes; their sizes in Å, or numbers of atoms, shells and planes."""


def build(
    shape: Annotated[
        str,
        typer.Argument(
            metavar="SHAPE",
            help="sphere, rod, tetrahedron, …, candidates, or cluster: one that is there, to be capped.",
            autocompletion=lambda incomplete: o.one_of(*SHAPES, CANDIDATES, CLUSTER)(incomplete),
        ),
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A crystal (name or file), a stack of layers (Cd-S:cchc), for candidates a formula.",
            autocompletion=o.structure_names,
        ),
    ],
    sizes: Annotated[
        list[float] | None, typer.Argument(metavar="SIZE", help="Lengths in Å; of tetrahedra, atoms along an edge.")
    ] = None,
    centre: Annotated[
        str | None, typer.Option(help="What is in the centre: anion, cation, bond, void, or an element.")
    ] = None,
    trim: Annotated[int | None, typer.Option(help="Remove atoms with fewer neighbours than this.")] = None,
    axis: Annotated[str | None, typer.Option(help="Axis of a rod: a, b or c.")] = None,
    shell: Annotated[
        str | None,
        typer.Option(help="Crystal of the shell of a core-shell particle.", autocompletion=o.structure_names),
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option(help="Family of candidates: zincblende, wurtzite, faulted or capped; repeat it."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Maximum number built per family and kind of candidate.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the search for candidates, and of how ligands are placed.")] = 1,
    cap: Annotated[
        str | None,
        typer.Option(
            metavar="LIGAND",
            help="Ligands that make it neutral: formate, acetate, benzoate, phenylacetate, oleate, Cl or H.",
            autocompletion=o.one_of("formate", "acetate", "benzoate", "phenylacetate", "oleate", "Cl", "H"),
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="PATH", help="File to write; of candidates, folder. Default: by name."),
    ] = None,
) -> Printed:
    """Build clusters: a particle cut from a crystal or stack, or all candidates of a formula, as xyz files.

    Such as: build sphere CdS_zincblende 22; build tetrahedron CdSe_zincblende 6; build candidates Cd37S20 --cap Cl;
    build cluster my.xyz --cap acetate -o capped.xyz.
    """
    if shape == CANDIDATES:
        if sizes:
            raise PdfkitError("candidates take no sizes: their formula says how large they are")
        return build_candidates(source, out, cap, families=family or None, limit=limit, seed=seed)
    if family or limit is not None:
        raise PdfkitError(f"--family and --limit are of candidates, and a {shape} is one particle: leave them out")
    options = {"centre": centre, "trim": trim, "axis": axis, "shell": shell}
    if shape == CLUSTER:
        if sizes or any(value is not None for value in options.values()):
            raise PdfkitError("a cluster that is there takes no sizes and nothing else that shapes it: leave them out")
        return cap_cluster(source, cap, out, seed)
    return build_particle(shape, source, sizes or [], out, (cap, seed), **options)


def _with_ligands(particle: Particle, ligand: str | None, seed: int) -> Particle:
    from pdfkit import build

    return particle if ligand is None else build.cap(particle, ligand, seed=seed)


def _made(shape: str, source: str, sizes: Sequence[float], options: Mapping[str, Any]) -> Particle:
    """Return the particle of a shape."""
    from pdfkit import build

    if shape == "ellipsoid":
        return build.ellipsoid(source, sizes, **options)
    if shape == "core-shell":
        return build.core_shell(source, options["shell"], *sizes, **{k: v for k, v in options.items() if k != "shell"})
    if shape == "capped-tetrahedron":
        return _capped(source, _whole(sizes[0]), **options)
    make = getattr(build, shape.replace("-", "_"))
    if shape.endswith("hedron"):
        sizes = [_whole(size) for size in sizes]
    if shape == "twinned":
        diameter, planes, spacing = sizes
        options = {**options, "planes": _whole(planes), "spacing": _whole(spacing)}
        sizes = [diameter]
    made: Particle = make(source, *sizes, **options)
    return made


def _capped(source: str, n: int, **options: Any) -> Particle:
    from pdfkit import build

    elements = build.network(source).elements
    if len(set(elements)) != 2:
        raise PdfkitError(f"a capped tetrahedron has two elements, and {source} has {', '.join(sorted(set(elements)))}")
    cation = next(e for e in elements if e in build.network(source).role("cation"))
    (anion,) = set(elements) - {cation}
    return build.capped_tetrahedron(cation, anion, n, **options)


def _whole(value: float) -> int:
    if not float(value).is_integer():
        raise PdfkitError(f"{value:g} is not a whole number: sizes of this shape count atoms or planes")
    return int(value)


def build_particle(
    shape: str,
    source: str,
    sizes: Sequence[float],
    out: AnyPath | None = None,
    cap: tuple[str | None, int] = (None, 1),
    **options: Any,
) -> Printed:
    """Write one particle to an xyz file (default: <its name>.xyz).

    cap : ligand that it wears (None: none), and the seed of how they are placed.

    shape : of `SHAPES`. source : what `build.network` takes: the name of a crystal, a file, "Cd-S:cchc". sizes : those
    that the shape takes. options : those that the shape takes: centre, trim, axis, normal, terminated, ligands, shell;
    None stands for not given.

    Raises PdfkitError for a shape that is not known, a wrong number of sizes, an option that the shape does not have,
    and all that the builder refuses; ReadError, WriteError.
    """
    from pdfkit.io._atomic import check_target
    from pdfkit.io.xyz import write_xyz

    if shape not in SHAPES:
        names = [*SHAPES, CANDIDATES, CLUSTER]
        raise PdfkitError(f"shape {shape!r} is not known: the nearest are {nearest(shape, names)}")
    known = SHAPES[shape]
    if len(sizes) != len(known.sizes):
        raise PdfkitError(f"a {shape} takes {len(known.sizes)} sizes ({', '.join(known.sizes)}), not {len(sizes)}")
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in known.options:
            raise PdfkitError(f"a {shape} has no {name}: its options are {', '.join(known.options) or 'none'}")
    if shape == "core-shell" and "shell" not in given:
        raise PdfkitError("a core-shell particle needs a shell: give the name of a crystal, such as CdS_zincblende")
    sources = [source, given.get("shell", source)]
    if out is not None:
        check_target(out, sources)
    particle = _with_ligands(_made(shape, source, sizes, given), *cap)
    path = Path(f"{particle.name}.xyz" if out is None else out)
    check_target(path, sources)
    return _built([write_xyz(path, particle)], [_row(particle)])


def cap_cluster(source: str, ligand: str | None, out: AnyPath | None = None, seed: int = 1) -> Printed:
    """Write the cluster of a file, or of a name, with ligands on it to an xyz file (default: <its name>.xyz).

    Raises PdfkitError without a ligand and for a crystal, and all that `build.cap` does; ReadError, WriteError.
    """
    from pdfkit.io._atomic import check_target
    from pdfkit.io.xyz import write_xyz
    from pdfkit.phases.files import known_structure

    if ligand is None:
        raise PdfkitError(f"{source} is built already: name the ligands that it is to wear, such as --cap acetate")
    path = known_structure(source)
    remedy = f"build one of it, such as pdfkit build sphere {source} 20 --cap {ligand}"
    given = _finite_particle(path, f"ligands sit on a cluster: {remedy}")
    if len(given.core) < len(given):
        remark(f"{source} wears ligands already: they are taken off, and {given.core.formula} gets {ligand}")
    particle = _with_ligands(given, ligand, seed)
    target = Path(f"{particle.name}.xyz" if out is None else out)
    check_target(target, [path])
    return _built([write_xyz(target, particle)], [_row(particle)])


def build_candidates(formula: str, out: AnyPath | None = None, cap: str | None = None, **options: Any) -> Printed:
    """Write the candidates of a formula, one xyz file each, all or none, into a folder (default: the formula's name).

    cap : ligand that they wear. options : those of `build.candidates` (families, seed, near, limit, stackings, bond,
    effort …); None stands for not given. Raises as that does; WriteError for a folder that cannot be made or written.
    """
    from pdfkit import build
    from pdfkit.io._folders import folder, publish
    from pdfkit.io.xyz import write_xyz

    given = {name: value for name, value in options.items() if value is not None}
    files, rows = [], []
    with progress() as tell:
        found = build.iter_candidates(formula, progress=tell, **{"limit": 100, **given})
        with folder(formula if out is None else out) as target, publish(target) as stage:
            for core in found:
                particle = _with_ligands(core, cap, given.get("seed", 1))
                files.append(target / write_xyz(stage / f"{particle.name}.xyz", particle).name)
                rows.append(_row(particle))
                tell(f"{len(files)} built, the last of them {particle.name}")
    return _built(files, rows)


def _row(particle: Particle) -> Mapping[str, Any]:
    from pdfkit import build

    return build.describe(particle).row()


def _built(files: Sequence[Path], rows: Sequence[Mapping[str, Any]]) -> Printed:
    """Return one line a file, and what is in it."""
    lines = [
        f"{path}: {row['formula']}, {row['atoms']} atoms, {row['family'] or 'no family'}, "
        f"{row['point_group'] or 'point group not sought'}, {row['largest_distance']:.2f} Å across"
        for path, row in zip(files, rows, strict=True)
    ]
    return Printed("\n".join(lines), files, {"particles": rows})


# --- relax -----------------------------------------------------------------------------------------------------------


def relax(
    cluster: Annotated[
        str,
        typer.Argument(
            metavar="CLUSTER", help="A file (.xyz, …), such as build --cap writes.", autocompletion=o.cluster_names
        ),
    ],
    potential: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="POTENTIAL",
            help="classical (ZnS, CdS, CdSe with Cl caps), chgnet or tblite (these by the extra relax).",
            autocompletion=o.one_of("classical", "chgnet", "tblite"),
        ),
    ],
    fmax: Annotated[float, typer.Option(help="Largest force on an atom at rest, in eV/Å.")] = 0.05,
    steps: Annotated[int, typer.Option(help="Steps at most.")] = 500,
    moving: Annotated[
        str,
        typer.Option(help="Atoms that move: all, ligands or core.", autocompletion=o.one_of("all", "ligands", "core")),
    ] = "all",
    out: o.OutFile = None,
) -> Printed:
    """Relax a cluster under a potential and write it, with what it was relaxed with, as an extended xyz file.

    Every step is kept in the folder FILE.journal: after an interruption the same command goes on where it was.
    """
    from pdfkit.build.relaxing import discard, rms_displacement
    from pdfkit.build.relaxing import relax as rest
    from pdfkit.io._atomic import check_target
    from pdfkit.io.xyz import write_xyz
    from pdfkit.phases.files import known_structure

    start = _finite_particle(known_structure(cluster))
    target = out or Path(f"{Path(cluster).stem}-{potential}.xyz")
    journal = Path(f"{target}.journal")
    check_target(target, [cluster])
    found = rest(start, potential, fmax=fmax, steps=steps, moving=moving, journal=journal, progress=_told(steps))
    write_xyz(target, found)
    values = {key: value for key, value in found.meta.items() if key.startswith("relaxed_")}
    if found.meta["relaxed_converged"]:
        discard(journal)
    core = rms_displacement(start.core, found.core)
    said = f"{found.meta['relaxed_steps']} steps of {potential} ({found.meta['relaxed_version']})"
    state = "at rest" if found.meta["relaxed_converged"] else "not at rest (the same command with more --steps goes on)"
    lines = [
        f"{found.formula}: {state} after {said}, largest force {found.meta['relaxed_fmax']:.3f} eV/Å",
        f"rms displacement of the core {core:.3f} Å, of all atoms {rms_displacement(start, found):.3f} Å",
    ]
    return Printed("\n".join(lines), [target], {"formula": found.formula, "rms_core": core, **values})


def _told(steps: int) -> Any:
    """Return what says now and then how far a relaxation is."""
    import time

    from pdfkit.cli.console import EVERY, FIRST, say

    due = [time.monotonic() + FIRST]

    def told(step: Any) -> None:
        if time.monotonic() >= due[0]:
            due[0] = time.monotonic() + EVERY
            say(f"step {step.number} of at most {steps}: {step.energy:.3f} eV, largest force {step.fmax:.3f} eV/Å")

    return told
