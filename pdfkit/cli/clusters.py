"""Commands on clusters: `pdfkit pattern` and `pdfkit build`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit.cli import options as o
from pdfkit.cli.console import Printed
from pdfkit.errors import PdfkitError, nearest

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
    from pdfkit.phases.files import known_structure

    report = make_pattern(
        known_structure(cluster),
        out,
        small=saxs,
        powder=xrd,
        wavelength=wavelength,
        qmin=qmin,
        qmax=qmax,
        step=step,
        fwhm=fwhm,
        polarisation=polarisation,
        Uiso=uiso,
        probe=probe,
        plot=plot,
    )
    return Printed(str(report), report.files, report.to_dict())


@dataclass(frozen=True)
class PatternReport:
    """A pattern that was written to `path`, what it was computed from, and what small angles say of the size.

    picture : where it was drawn, if it was.
    """

    path: Path
    pattern: Pattern
    particle: Particle
    rg: float
    fit: GuinierFit | None = None
    picture: Path | None = None

    def __str__(self) -> str:
        """One fact per line."""
        from pdfkit.particles import geometry

        size = geometry.largest_distance(self.particle)
        lines = [f"{self.particle.formula}: {len(self.particle)} atoms, largest distance {size:.2f} Å"]
        lines.append(f"Rg = {self.rg:.3f} Å from the positions, weighted with electrons")
        if self.fit is not None:
            lines.append(f"Guinier: {self.fit}")
        return "\n".join(lines)

    @property
    def files(self) -> list[Path]:
        """What was written."""
        return [self.path] if self.picture is None else [self.path, self.picture]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        from pdfkit.particles import geometry

        return {
            "formula": self.particle.formula,
            "atoms": len(self.particle),
            "largest_distance": geometry.largest_distance(self.particle),
            "rg": self.rg,
            "guinier": None if self.fit is None else vars(self.fit),
            "points": len(self.pattern),
        }


def make_pattern(
    source: AnyPath,
    out: AnyPath | None = None,
    *,
    small: bool = False,
    powder: bool = False,
    wavelength: float = COPPER,
    qmin: float | None = None,
    qmax: float | None = None,
    step: float | None = None,
    fwhm: float = 0.0,
    polarisation: str = "none",
    Uiso: float = 0.01,
    probe: str = "X",
    plot: bool = False,
) -> PatternReport:
    """Write the pattern of the particle in `source` to `out` (default: <name>-saxs.dat, -xrd.dat or -waxs.dat).

    small : small angles, 400 points even in log Q from qmin to qmax (0.006 and 1 Å⁻¹), with a Guinier fit. powder :
    against 2θ from 2 to 120 degrees, or between qmin and qmax, in steps of `step` (0.02 degrees) at `wavelength` (Å),
    with `fwhm` (degrees) and `polarisation` of `powder_pattern`. Neither: I(Q) in steps of `step` (0.01 Å⁻¹) from qmin
    to qmax (0.5 and 25 Å⁻¹). plot : draw it, too, into a .png of that name.

    Raises ReadError for a file that cannot be read, PdfkitError for a range that cannot be, WriteError.
    """
    import numpy as np

    from pdfkit.io._atomic import check_target
    from pdfkit.particles import geometry
    from pdfkit.patterns import powder_pattern, saxs, waxs, write_pattern

    if small and powder:
        raise PdfkitError("--saxs and --xrd are two patterns: ask for one at a time")
    if not powder and (fwhm or polarisation != "none"):
        raise PdfkitError("fwhm and polarisation belong to a powder pattern: add --xrd or leave them out")
    particle = _finite_particle(source)
    word = "saxs" if small else "xrd" if powder else "waxs"
    target = Path(f"{Path(source).stem}-{word}.dat" if out is None else out)
    picture = target.with_suffix(".png") if plot else None
    if picture == target:
        raise PdfkitError(f"{target} is the name of the picture: give the data another, such as out.dat")
    for one in filter(None, (target, picture)):
        check_target(one, [source])
    fit = None
    if powder:
        angle = _angles(qmin, qmax, wavelength, 0.02 if step is None else step)
        pattern = powder_pattern(
            particle, angle, wavelength, fwhm=fwhm, polarisation=polarisation, Uiso=Uiso, probe=probe
        )
    elif small:
        low, high = _range(qmin, qmax, SMALL_ANGLES)
        pattern = saxs(particle, np.geomspace(max(low, 1e-6), high, 400), Uiso=Uiso, probe=probe)
        fit = _guinier(pattern)
    else:
        low, high = _range(qmin, qmax, WIDE_ANGLES)
        pattern = waxs(particle, _steps(low, high, 0.01 if step is None else step), Uiso=Uiso, probe=probe)
    write_pattern(target, pattern)
    if picture is not None:
        from pdfkit.plot import clusters as draw

        draw.pattern(pattern, path=picture) if fit is None else draw.guinier(pattern, fit, path=picture)
    return PatternReport(target, pattern, particle, geometry.radius_of_gyration(particle, "electrons"), fit, picture)


def _finite_particle(source: AnyPath) -> Particle:
    """Return the particle in a file; a crystal is refused, for one cell of it is no particle."""
    from pdfkit.particles.particle import Particle
    from pdfkit.phases.files import kind_of

    if kind_of(source) == "crystal":
        raise PdfkitError(
            f"{source} is a crystal without end, and a pattern is calculated for a particle: build one first, such as "
            f"pdfkit build sphere {source} 40, and give its file (a cluster in a box: save it as xyz without a cell)"
        )
    return Particle.from_file(source)


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

CANDIDATES = "candidates"


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
}
"""Shapes that `build_particle` makes; their sizes in Å, or atoms along an edge."""


def build(
    shape: Annotated[
        str,
        typer.Argument(
            metavar="SHAPE",
            help="sphere, rod, tetrahedron, …, or candidates.",
            autocompletion=lambda incomplete: o.one_of(*SHAPES, CANDIDATES)(incomplete),
        ),
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A crystal (name or file), a stack of layers (Cd-S:cchc), or for candidates a formula.",
            autocompletion=o.structure_names,
        ),
    ],
    sizes: Annotated[
        list[float] | None, typer.Argument(metavar="SIZE...", help="Lengths in Å; of tetrahedra, atoms along an edge.")
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
    seed: Annotated[int, typer.Option(help="Seed of the search for candidates.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="PATH", help="File to write; of candidates, folder. Default: by name."),
    ] = None,
) -> Printed:
    """Build clusters: a particle cut from a crystal or stack, or all candidates of a formula, as xyz files.

    Such as: build sphere CdS_zincblende 22; build tetrahedron CdSe_zincblende 6; build candidates Cd37S20.
    """
    if shape == CANDIDATES:
        if sizes:
            raise PdfkitError("candidates take no sizes: their formula says how large they are")
        return build_candidates(source, out, families=family or None, limit=limit, seed=seed)
    return build_particle(shape, source, sizes or [], out, centre=centre, trim=trim, axis=axis, shell=shell)


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
    if shape.endswith("tetrahedron"):
        sizes = [_whole(size) for size in sizes]
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
        raise PdfkitError(f"{value:g} is not a whole number: sizes of tetrahedra count atoms along an edge")
    return int(value)


def build_particle(
    shape: str, source: str, sizes: Sequence[float], out: AnyPath | None = None, **options: Any
) -> Printed:
    """Write one particle to an xyz file (default: <its name>.xyz).

    shape : of `SHAPES`. source : what `build.network` takes: the name of a crystal, a file, "Cd-S:cchc". sizes : those
    that the shape takes. options : those that the shape takes: centre, trim, axis, normal, terminated, ligands, shell;
    None stands for not given.

    Raises PdfkitError for a shape that is not known, a wrong number of sizes, an option that the shape does not have,
    and all that the builder refuses; ReadError, WriteError.
    """
    from pdfkit.io._atomic import check_target
    from pdfkit.io.xyz import write_xyz

    if shape not in SHAPES:
        names = [*SHAPES, CANDIDATES]
        raise PdfkitError(f"shape {shape!r} is not known: the nearest are {nearest(shape, names)}")
    known = SHAPES[shape]
    if len(sizes) != len(known.sizes):
        raise PdfkitError(f"a {shape} takes {len(known.sizes)} sizes ({', '.join(known.sizes)}), not {len(sizes)}")
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in known.options:
            raise PdfkitError(f"a {shape} has no {name}: its options are {', '.join(known.options)}")
    if shape == "core-shell" and "shell" not in given:
        raise PdfkitError("a core-shell particle needs a shell: give the name of a crystal, such as CdS_zincblende")
    sources = [source, given.get("shell", source)]
    if out is not None:
        check_target(out, sources)
    particle = _made(shape, source, sizes, given)
    path = Path(f"{particle.name}.xyz" if out is None else out)
    check_target(path, sources)
    return _built([write_xyz(path, particle)], [_row(particle)])


def build_candidates(formula: str, out: AnyPath | None = None, **options: Any) -> Printed:
    """Write the candidates of a formula, one xyz file each, all or none, into a folder (default: the formula's name).

    options : those of `build.candidates` (families, seed, near, limit, stackings, bond, effort …); None stands for not
    given. Raises as that does; WriteError for a folder that cannot be made or written.
    """
    from pdfkit import build
    from pdfkit.io._folders import folder, publish
    from pdfkit.io.xyz import write_xyz

    given = {name: value for name, value in options.items() if value is not None}
    found = build.iter_candidates(formula, **{"limit": 100, **given})
    files, rows = [], []
    with folder(formula if out is None else out) as target, publish(target) as stage:
        for particle in found:
            files.append(target / write_xyz(stage / f"{particle.name}.xyz", particle).name)
            rows.append(_row(particle))
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
