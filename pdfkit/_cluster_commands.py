"""Commands on clusters: `pdfkit pattern`, `pdfkit build`, `pdfkit screen`. `cli` registers them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Cluster = Annotated[
    str, typer.Argument(metavar="CLUSTER", help="A file (.xyz, …), or a cluster from `pdfkit structures`.")
]


def pattern(
    cluster: Cluster,
    saxs: Annotated[bool, typer.Option("--saxs", help="Small angles, 0.006 to 1 Å⁻¹, with Guinier's law.")] = False,
    xrd: Annotated[bool, typer.Option("--xrd", help="Against 2θ, 10° to 120°. Default: I(Q) to 25 Å⁻¹.")] = False,
    wavelength: Annotated[float, typer.Option(help="Å; for --xrd.")] = 1.5406,
    qmin: Annotated[float | None, typer.Option(help="Å⁻¹.")] = None,
    qmax: Annotated[float | None, typer.Option(help="Å⁻¹.")] = None,
    step: Annotated[float | None, typer.Option(help="Å⁻¹, or degrees with --xrd.")] = None,
    fwhm: Annotated[float, typer.Option(help="Degrees; broadening of the diffractometer.")] = 0.0,
    polarisation: Annotated[str, typer.Option(help="none or unpolarised; for --xrd.")] = "none",
    uiso: Annotated[float, typer.Option(help="Å²; mean-square displacement.")] = 0.01,
    probe: Annotated[str, typer.Option(help="X, N or E.")] = "X",
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Default: named after it.")] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw it too, next to the file.")] = False,
) -> None:
    """Calculate what a cluster scatters (SAXS, WAXS or powder XRD) with the Debye equation; write it as columns."""
    from pdfkit._pattern_command import make_pattern
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
    )
    print(report)
    if plot:
        from pdfkit import _plot_patterns as draw

        picture = report.path.with_suffix(".png")
        if report.fit is not None:
            draw.guinier(report.pattern, report.fit, path=picture)
        else:
            draw.pattern(report.pattern, path=picture)
        print(picture)
