"""Commands on models without data: `pdfkit simulate`, and `pdfkit structures`, which lists what they are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pdfkit._table import aligned
from pdfkit.cli import options as o
from pdfkit.cli.console import Printed, named_values, with_picture
from pdfkit.errors import PdfkitError

SHAPE = "Particle shape"
LENGTHS = ("spdiameter", "spsigma", "equatorial", "axis_ratio", "thickness", "diameter", "length", "stepcut")


def simulate(
    structures: Annotated[
        list[str],
        typer.Argument(
            metavar="STRUCTURE",
            help="Structure files, or names from `pdfkit structures`.",
            autocompletion=o.structure_names,
        ),
    ],
    probe: Annotated[str, o.PROBE] = "X",
    qmin: Annotated[float, o.QMIN] = 0.0,
    qmax: Annotated[float, typer.Option(help="Highest Q in Å⁻¹; inf for a transform without end.")] = float("inf"),
    qdamp: Annotated[float, o.QDAMP] = 0.0,
    qbroad: Annotated[float, o.QBROAD] = 0.0,
    resolution: Annotated[float, o.RESOLUTION] = 0.0,
    qtail: Annotated[float, o.QTAIL] = 0.0,
    window: Annotated[str, o.WINDOW] = "none",
    scattering: Annotated[
        str | None,
        typer.Option(help="Form factors: q-dependent (default with --qmax) or constant, as PDFgui has them."),
    ] = None,
    wavelength: o.Wavelength = None,
    energy: Annotated[float | None, typer.Option(help="Energy of the X-rays in keV, in place of --wavelength.")] = None,
    anomalous: Annotated[
        bool, typer.Option("--anomalous", help="Include f′ and f″ of X-rays of that wavelength or energy.")
    ] = False,
    rmin: Annotated[float, o.RMIN] = 0.01,
    rmax: Annotated[float, o.RMAX] = 30.0,
    rstep: Annotated[float, o.RSTEP] = 0.01,
    shape: Annotated[
        str,
        typer.Option(help="bulk, sphere, … Default: inferred from the lengths given.", rich_help_panel=SHAPE),
    ] = "",
    spdiameter: Annotated[float | None, typer.Option(help="Diameter of a sphere, in Å.", rich_help_panel=SHAPE)] = None,
    spsigma: Annotated[
        float | None,
        typer.Option(help="Standard deviation of a distribution of diameters, in Å.", rich_help_panel=SHAPE),
    ] = None,
    equatorial: Annotated[
        float | None, typer.Option(help="Equatorial diameter of a spheroid, in Å.", rich_help_panel=SHAPE)
    ] = None,
    axis_ratio: Annotated[
        float | None, typer.Option(help="Polar over equatorial diameter of a spheroid.", rich_help_panel=SHAPE)
    ] = None,
    thickness: Annotated[
        float | None, typer.Option(help="Thickness of a shell or sheet, in Å.", rich_help_panel=SHAPE)
    ] = None,
    diameter: Annotated[float | None, typer.Option(help="Diameter of a rod, in Å.", rich_help_panel=SHAPE)] = None,
    length: Annotated[float | None, typer.Option(help="Length of a rod, in Å.", rich_help_panel=SHAPE)] = None,
    stepcut: Annotated[float | None, typer.Option(help="Where G(r) is cut off, in Å.", rich_help_panel=SHAPE)] = None,
    symmetry: Annotated[
        str, typer.Option(metavar="find", help="Look for the space group of crystals whose atoms are all listed.")
    ] = "",
    ions: Annotated[
        bool, typer.Option("--ions", help="X-rays are scattered by ions of the charges that the structures state.")
    ] = False,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Value of any parameter, such as Uiso=0.01; repeat it."),
    ] = None,
    noise: Annotated[float, typer.Option(help="Standard deviation of noise to add, in Å⁻²; it becomes dG.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the noise.", min=0)] = 0,
    out: o.OutFile = None,
    plot: o.Plot = False,
) -> Printed:
    """Calculate G(r) of structures and write it as a .gr file; several structures add up as phases."""
    from pdfkit.data.instrument import Instrument
    from pdfkit.io.pdf import write_pdf
    from pdfkit.model import noise as model_noise
    from pdfkit.model.model import Model
    from pdfkit.phases.files import phases_of

    given = dict(
        zip(LENGTHS, (spdiameter, spsigma, equatorial, axis_ratio, thickness, diameter, length, stepcut), strict=True)
    )
    particle = _shape(shape, {key: value for key, value in given.items() if value is not None})
    about: dict[str, Any] = {
        "resolution": resolution,
        "qtail": qtail,
        "scattering": scattering,
        "wavelength": model_noise.wavelength(wavelength, energy, probe),
        "anomalous": anomalous,
    }
    instrument = Instrument(probe, qmin, qmax, qdamp, qbroad, window, **about)
    model = _set_values(Model(phases_of(structures, particle, symmetry, ions), instrument), values or [])
    target = out or Path(f"{Path(structures[0]).stem}-simulated.gr")
    files = with_picture(target, plot, structures)
    pdf = model_noise.simulate(model, rmin, rmax, rstep, noise, seed, name=target.stem)
    write_pdf(target, pdf)
    if plot:
        from pdfkit import plot as draw

        draw.pdf(pdf, path=files[1])
    return Printed(
        files=files, values={"points": len(pdf), "parameters": dict(zip(model.names, model.values, strict=True))}
    )


def _shape(kind: str, given: dict[str, float]) -> Any:
    from pdfkit.shapes import SHAPES, Bulk, from_kind

    if kind:
        return from_kind(kind, **given)
    if not given:
        return Bulk()
    fitting = [name for name, shape in SHAPES.items() if {p.name for p in shape.parameters} == set(given)]
    if len(fitting) != 1:
        raise PdfkitError(
            f"--{next(iter(given)).replace('_', '-')} needs a shape: give --shape, such as --shape sphere"
        )
    return from_kind(fitting[0], **given)


def _set_values(model: Any, settings: list[str]) -> Any:
    from pdfkit._expressions import matching

    changed = {}
    for name, value in named_values("--set", settings).items():
        changed.update(dict.fromkeys(matching(model.names, name), value))
    return model.with_values(changed) if changed else model


def structures() -> Printed:
    """List the structures and clusters that come with pdfkit; commands and recipes take them by name."""
    from pdfkit.cli.info import formula
    from pdfkit.io.structures import available_structures, load_structure
    from pdfkit.io.xyz import clusters
    from pdfkit.particles.particle import Particle

    lines: list[tuple[str, ...]] = []
    rows: list[dict[str, Any]] = []
    for name in available_structures():
        one = load_structure(name)
        what = {"name": name, "formula": formula(one.composition()), "spacegroup": one.spacegroup, "cell": one.cell}
        cell = " ".join(f"{length:8.4f}" for length in one.cell[:3])
        lines.append((name, formula(one.composition()), one.spacegroup, f"{cell} Å"))
        rows.append(what)
    for name in clusters():
        particle = Particle.from_file(name)
        size = particle.extent()
        rows.append({"name": name, "formula": particle.formula, "atoms": len(particle), "largest_distance": size})
        lines.append((name, particle.formula, "cluster", f"{len(particle)} atoms, {size:.1f} Å across"))
    return Printed("\n".join(aligned(lines)), values={"structures": rows})
