"""Options that several commands have, each spelled once, and the names that the shell completes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

# --- What the shell completes ----------------------------------------------------------------------------------------


def completed(incomplete: str, names: Iterable[str]) -> list[str]:
    """Return the names that begin as typed, and the files and folders that do."""
    known = [name for name in names if name.startswith(incomplete)]
    if not incomplete:
        return known
    try:
        found = [f"{path}/" if path.is_dir() else str(path) for path in Path().glob(f"{incomplete}*")]
    except (OSError, ValueError, NotImplementedError):  # no pattern, such as "/tmp/**x"
        return known
    return [*known, *sorted(found)]


def structure_names(incomplete: str) -> list[str]:
    """Complete the name of a structure or cluster that comes with pdfkit, or of a file."""
    from pdfkit.io.structures import available_structures
    from pdfkit.io.xyz import clusters

    return completed(incomplete, (*available_structures(), *clusters()))


def cluster_names(incomplete: str) -> list[str]:
    """Complete the name of a cluster that comes with pdfkit, or of a file."""
    from pdfkit.io.xyz import clusters

    return completed(incomplete, clusters())


def one_of(*names: str) -> Callable[[str], list[str]]:
    """Return what completes one of a few words."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


# --- Options ---------------------------------------------------------------------------------------------------------
# Those without a default of their own are types; those whose default differs among commands are named in capitals.

PROBE = typer.Option(
    "--probe", help="X for X-rays, N for neutrons, E for electrons.", autocompletion=one_of("X", "N", "E")
)
QMIN = typer.Option("--qmin", help="Lowest Q in Å⁻¹.")
QMAX = typer.Option("--qmax", help="Highest Q in Å⁻¹.")
QDAMP = typer.Option("--qdamp", help="Damping of G(r) by the instrument, in Å⁻¹.")
QBROAD = typer.Option("--qbroad", help="Broadening of peaks as PDFgui has it, in Å⁻¹.")
RESOLUTION = typer.Option("--resolution", help="ΔQ/Q of the instrument, a fraction such as 0.004.")
QTAIL = typer.Option("--qtail", help="Exponential tail of lines towards low Q, in Å⁻¹; negative: towards high Q.")
RMIN = typer.Option("--rmin", help="Lowest r in Å.")
RMAX = typer.Option("--rmax", help="Highest r in Å.")
RSTEP = typer.Option("--rstep", help="Step of r in Å.")
WINDOW = typer.Option(
    "--window",
    help="Modification function of the transform: none, lorch, hann, …",
    autocompletion=one_of("none", "lorch", "lorch-unscaled", "lorch-soper", "hann", "welch", "gaussian"),
)
WAVELENGTH = typer.Option("--wavelength", help="Wavelength in Å.")
FOLDER = typer.Option("--out", "-o", metavar="DIR", help="Folder for the results.")
FILE = typer.Option("--out", "-o", metavar="FILE", help="File to write. Default: named after the input.")

OutFolder = Annotated[Path | None, FOLDER]
OutFile = Annotated[Path | None, FILE]
Plot = Annotated[bool, typer.Option("--plot", help="Also draw a picture next to the file.")]
Lowest = Annotated[float | None, RMIN]
Highest = Annotated[float | None, RMAX]
MinQ = Annotated[float | None, QMIN]
MaxQ = Annotated[float | None, QMAX]
Wavelength = Annotated[float | None, WAVELENGTH]
Probe = Annotated[str | None, PROBE]
CurveKind = Annotated[
    str | None,
    typer.Option("--kind", help="What the values are: G, GK, D, T, R, g or g-1 against r; S, S-1, F or FK against Q."),
]
Composition = Annotated[
    str | None, typer.Option("--composition", "-s", help="Chemical formula of the sample, such as SiO2 or Zn0.5Cd0.5S.")
]
Density = Annotated[float | None, typer.Option("--rho0", help="Number density of the sample in atoms/Å³.")]
Unit = Annotated[
    str | None,
    typer.Option(
        "--unit",
        help="Unit of the first column: A-1, nm-1, 2theta, 2theta-rad, centidegrees or d; of G(r): A or nm. "
        "Default: what the file says.",
        autocompletion=one_of("A-1", "nm-1", "2theta", "2theta-rad", "centidegrees", "d", "A", "nm"),
    ),
]
Structure = Annotated[
    str,
    typer.Argument(
        metavar="STRUCTURE",
        help="A structure file, or a name from `pdfkit structures`.",
        autocompletion=structure_names,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else.")]
