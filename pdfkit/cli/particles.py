"""What `pdfkit build` does: particles by name of their shape, or all candidates of a formula, as xyz files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdfkit import build
from pdfkit.errors import PdfkitError, nearest
from pdfkit.io._atomic import AnyPath, check_target
from pdfkit.io._folders import folder, publish
from pdfkit.io.xyz import write_xyz
from pdfkit.particles.particle import Particle


@dataclass(frozen=True)
class Shape:
    """A shape by name: the sizes it takes, in order, and what makes it from a source, sizes and options."""

    sizes: tuple[str, ...]
    make: Callable[..., Particle]
    options: tuple[str, ...] = ("centre", "trim")


def _capped(source: str, n: float, **options: Any) -> Particle:
    elements = build.network(source).elements
    if len(set(elements)) != 2:
        raise PdfkitError(f"a capped tetrahedron has two elements, and {source} has {', '.join(sorted(set(elements)))}")
    cation = next(e for e in elements if e in build.network(source).role("cation"))
    (anion,) = set(elements) - {cation}
    return build.capped_tetrahedron(cation, anion, _whole(n), **options)


def _whole(value: float) -> int:
    if not float(value).is_integer():
        raise PdfkitError(f"{value:g} is not a whole number: sizes of tetrahedra count atoms along an edge")
    return int(value)


SHAPES = {
    "sphere": Shape(("diameter",), build.sphere),
    "ellipsoid": Shape(("dx", "dy", "dz"), lambda source, *d, **o: build.ellipsoid(source, d, **o)),
    "rod": Shape(("diameter", "length"), build.rod, ("centre", "trim", "axis")),
    "platelet": Shape(("length", "width", "thickness"), build.platelet, ("centre", "trim", "normal")),
    "cube": Shape(("edge",), build.cube),
    "tetrahedron": Shape(("n",), lambda s, n, **o: build.tetrahedron(s, _whole(n), **o), ("terminated",)),
    "truncated-tetrahedron": Shape(
        ("n", "cut"), lambda s, n, c, **o: build.truncated_tetrahedron(s, _whole(n), _whole(c), **o), ("terminated",)
    ),
    "capped-tetrahedron": Shape(("n",), _capped, ("ligands",)),
    "core-shell": Shape(
        ("core_diameter", "diameter"),
        lambda source, *d, shell, **o: build.core_shell(source, shell, *d, **o),
        ("shell", "centre", "trim"),
    ),
}
"""Shapes that `build_particle` makes; their sizes in Å, or atoms along an edge."""


@dataclass(frozen=True)
class BuildReport:
    """The files that were written and, of each, what is in it."""

    files: tuple[Path, ...]
    rows: tuple[Mapping[str, str | float], ...]

    def __str__(self) -> str:
        """One line a file."""
        return "\n".join(
            f"{path}: {row['formula']}, {row['atoms']} atoms, {row['family'] or 'no family'}, "
            f"{row['point_group'] or 'point group not sought'}, {row['largest_distance']:.2f} Å across"
            for path, row in zip(self.files, self.rows, strict=True)
        )


def build_particle(
    shape: str, source: str, sizes: Sequence[float], out: AnyPath | None = None, **options: Any
) -> BuildReport:
    """Write one particle to an xyz file (default: <its name>.xyz).

    shape : of `SHAPES`. source : what `build.network` takes: the name of a crystal, a file, "Cd-S:cchc". sizes : those
    that the shape takes. options : those that the shape takes: centre, trim, axis, normal, terminated, ligands, shell;
    None stands for not given.

    Raises PdfkitError for a shape that is not known, a wrong number of sizes, an option that the shape does not have,
    and all that the builder refuses; ReadError, WriteError.
    """
    if shape not in SHAPES:
        raise PdfkitError(f"shape {shape!r} is not known: the nearest are {nearest(shape, SHAPES)}")
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
    particle = known.make(source, *sizes, **given)
    path = Path(f"{particle.name}.xyz" if out is None else out)
    check_target(path, sources)
    return BuildReport((write_xyz(path, particle),), (build.describe(particle).row(),))


def build_candidates(formula: str, out: AnyPath | None = None, **options: Any) -> BuildReport:
    """Write the candidates of a formula, one xyz file each, all or none, into a folder (default: the formula's name).

    options : those of `build.candidates` (families, seed, near, limit, stackings, bond, effort …); None stands for not
    given. Raises as that does; WriteError for a folder that cannot be made or written.
    """
    given = {name: value for name, value in options.items() if value is not None}
    found = build.iter_candidates(formula, **{"limit": 100, **given})
    files, rows = [], []
    with folder(formula if out is None else out) as target, publish(target) as stage:
        for particle in found:
            files.append(target / write_xyz(stage / f"{particle.name}.xyz", particle).name)
            rows.append(build.describe(particle).row())
    return BuildReport(tuple(files), tuple(rows))
