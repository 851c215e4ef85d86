"""`pdfkit trajectory`: G(r) of simulated boxes, averaged over frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit.cli import options as o
from pdfkit.cli.console import Printed, progress, with_picture
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.data.curves import PDF

FRAMES = "Frames"


def trajectory(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="xyz, extended xyz, LAMMPS dump or data, XDATCAR (also .gz, .bz2, .xz), .traj, or boxes such as "
            ".rmc6f; several follow one another.",
        ),
    ],
    probe: Annotated[str, o.PROBE] = "X",
    qmin: Annotated[float, o.QMIN] = 0.0,
    qmax: Annotated[float | None, typer.Option(help="Highest Q in Å⁻¹. Default: 25; inf needs --uiso.")] = None,
    qdamp: Annotated[float, o.QDAMP] = 0.0,
    qbroad: Annotated[float, o.QBROAD] = 0.0,
    resolution: Annotated[float, o.RESOLUTION] = 0.0,
    window: Annotated[str, o.WINDOW] = "none",
    scattering: Annotated[
        str | None, typer.Option(help="Form factors: q-dependent (default) or constant, as PDFgui has them.")
    ] = None,
    rmin: Annotated[float, o.RMIN] = 0.01,
    rmax: Annotated[float, o.RMAX] = 20.0,
    rstep: Annotated[float, o.RSTEP] = 0.01,
    uiso: Annotated[
        float, typer.Option(help="Mean-square displacement in Å² to add to all atoms, of an idealised box.")
    ] = 0.0,
    start: Annotated[int, typer.Option(help="First frame, counted from 0.", min=0, rich_help_panel=FRAMES)] = 0,
    stop: Annotated[int | None, typer.Option(help="Frame to stop before.", min=1, rich_help_panel=FRAMES)] = None,
    step: Annotated[int, typer.Option(help="Take every so many frames.", min=1, rich_help_panel=FRAMES)] = 1,
    species: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SPECIES",
            help="What a name in the file stands for, such as 1=Cd; 1= leaves such sites out. Repeat it.",
            rich_help_panel=FRAMES,
        ),
    ] = None,
    cell: Annotated[
        str,
        typer.Option(help="Cell of files without one: a length in Å, a,b,c or a,b,c,α,β,γ.", rich_help_panel=FRAMES),
    ] = "",
    pbc: Annotated[
        bool, typer.Option("--pbc", help="Take boxes as periodic that say they are not.", rich_help_panel=FRAMES)
    ] = False,
    topology: Annotated[
        Path | None,
        typer.Option(help="File of the atoms for .dcd, .xtc, .trr, … (needs the extra md).", rich_help_panel=FRAMES),
    ] = None,
    blocks: Annotated[
        int, typer.Option(help="Least number of blocks of frames that errors come from.", min=2, rich_help_panel=FRAMES)
    ] = 16,
    out: o.OutFile = None,
    plot: o.Plot = False,
) -> Printed:
    """Average G(r) over the frames of a simulation and write it as a .gr file, and partials beside it as columns.

    Errors dG come from blocks of frames. Stopped with Ctrl-C, nothing is written: give --stop for a part of the run.
    """
    from pdfkit.io.columns import write_columns
    from pdfkit.io.frames import unpacked
    from pdfkit.io.pdf import write_pdf
    from pdfkit.trajectories.reading import read_trajectory

    about: dict[str, Any] = {"qmin": qmin, "qmax": qmax, "qdamp": qdamp, "qbroad": qbroad, "resolution": resolution}
    about |= {"window": window, "scattering": scattering, "probe": probe, "Uiso": uiso, "blocks": blocks}
    frames = read_trajectory(
        list(files), start=start, stop=stop, step=step, species=_mapping(species or []), cell=_numbers(cell),
        pbc=pbc or None, topology=topology,
    )  # fmt: skip
    target = out or Path(f"{unpacked(files[0]).stem}.gr")
    inputs = [*files, *([topology] if topology else [])]
    written = with_picture(target, plot, inputs)
    table = target.with_name(f"{target.stem}-partials.txt")
    with progress() as tell:
        pdf, partials = frames.curves(rmin, rmax, rstep, tell=tell, **about)
    write_pdf(target, pdf)
    if len(partials) > 1:
        write_columns(table, *_columns(pdf, partials))
        written.append(table)
    if plot:
        from pdfkit import plot as draw

        draw.pdf(pdf, *(partials.values() if len(partials) > 1 else ()), path=written[1])
    return Printed(_text(pdf), files=written, values={"points": len(pdf), **pdf.header})


def _columns(pdf: PDF, partials: dict[tuple[str, str], PDF]) -> tuple[list[str], list[Any], list[str]]:
    """Return names, columns and head of the table of partials."""
    names, columns = ["r", "G"], [pdf.r, pdf.G]
    if pdf.dG is not None:
        names, columns = [*names, "dG"], [*columns, pdf.dG]
    for pair, one in partials.items():
        names.append("-".join(pair))
        columns.append(one.G)
        if one.dG is not None:
            names.append(f"d{names[-1]}")
            columns.append(one.dG)
    head = [f"{key}: {value}" for key, value in pdf.header.items()]
    return names, columns, ["Weighted partials of frames: r in Å, G in Å⁻²; those of all pairs add up to G", *head]


def _text(pdf: PDF) -> str:
    about = pdf.header
    many = about.get("independent_frames", "")
    frames = "1 frame" if about["frames"] == "1" else f"{about['frames']} frames"
    lines = [f"{frames}{', ' * bool(many)}{many}", f"{about['atoms']}, {about['rho0']} atoms/Å³"]
    if pdf.dG is not None:
        count, _, each = about["blocks"].partition(" of ")
        long = "1 frame" if each == "1" else f"{each} frames"
        lines.append(f"errors dG from {count} blocks of {long}: at most {pdf.dG.max():.2g} Å⁻²")
    elif about["frames"] == "1":
        lines.append("no errors dG: they come from the scatter of frames")
    return "\n".join(lines)


def _mapping(given: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    for name, sign, _ in pairs:
        if not (name.strip() and sign):
            raise PdfkitError(f"--species {name} is not NAME=SPECIES: write for example --species 1=Cd")
    return {name.strip(): one.strip() for name, _, one in pairs}


def _numbers(text: str) -> list[float] | None:
    try:
        return [float(word) for word in text.split(",")] if text else None
    except ValueError:
        raise PdfkitError(f"--cell {text} is not a list of numbers: write for example --cell 20,20,25") from None
