"""Commands on clusters: `pdfkit pattern`, `pdfkit build`, `pdfkit screen`. `cli` registers them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pdfkit._terminal import show

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
    from pdfkit.cli.patterns import make_pattern
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
    show(report)


def build(
    shape: Annotated[str, typer.Argument(metavar="SHAPE", help="sphere, rod, tetrahedron, …, or candidates.")],
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A crystal (name or file) or stack (Cd-S:cchc); or a formula.")
    ],
    sizes: Annotated[list[float] | None, typer.Argument(metavar="SIZE...", help="Å, or atoms along an edge.")] = None,
    centre: Annotated[str | None, typer.Option(help="anion, cation, bond, void, or an element.")] = None,
    trim: Annotated[int | None, typer.Option(help="Take off atoms with fewer neighbours.")] = None,
    axis: Annotated[str | None, typer.Option(help="Of a rod: a, b or c.")] = None,
    shell: Annotated[str | None, typer.Option(help="Of core-shell: the crystal of the shell.")] = None,
    family: Annotated[
        list[str] | None, typer.Option(help="Of candidates: zincblende, wurtzite, faulted, capped; repeat it.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Of candidates: of each family and kind at most.")] = None,
    seed: Annotated[int, typer.Option(help="Of the search for candidates.")] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="PATH", help="File, or folder of candidates.")
    ] = None,
) -> None:
    """Build clusters: a particle cut from a crystal or stack, or all candidates of a formula, as xyz files.

    Such as: build sphere CdS_zincblende 22; build tetrahedron CdSe_zincblende 6; build candidates Cd37S20.
    """
    from pdfkit.cli.particles import SHAPES, build_candidates, build_particle
    from pdfkit.errors import PdfkitError, nearest

    if shape == "candidates":
        if sizes:
            raise PdfkitError("candidates take no sizes: their formula says how large they are")
        show(build_candidates(source, out, families=family or None, limit=limit, seed=seed))
        return
    if shape not in SHAPES:
        names = [*SHAPES, "candidates"]
        raise PdfkitError(f"shape {shape!r} is not known: the nearest are {nearest(shape, names)}")
    show(build_particle(shape, source, sizes or [], out, centre=centre, trim=trim, axis=axis, shell=shell))


def screen(
    data: Annotated[Path, typer.Argument(metavar="DATA.gr", help="Measured G(r).")],
    candidates: Annotated[
        list[str] | None, typer.Argument(metavar="CANDIDATE...", help="Folders or files (xyz, CIF, …).")
    ] = None,
    build: Annotated[
        list[str] | None, typer.Option(help="A formula such as Cd37S20, of which candidates are built; repeat it.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Of what is built: of each family and kind at most.", min=1)] = 100,
    rmin: Annotated[float | None, typer.Option(help="Å; start of the comparison.")] = None,
    rmax: Annotated[float | None, typer.Option(help="Å; end of the comparison.")] = None,
    probe: Annotated[str | None, typer.Option(help="X, N or E, where the data file does not say.")] = None,
    qmin: Annotated[float | None, typer.Option(help="Å⁻¹; where the transform started.")] = None,
    qmax: Annotated[float | None, typer.Option(help="Å⁻¹, where the data file does not say.")] = None,
    qdamp: Annotated[float | None, typer.Option(help="Å⁻¹; damping of the instrument.")] = None,
    qbroad: Annotated[float | None, typer.Option(help="Å⁻¹; broadening of the instrument.")] = None,
    free: Annotated[list[str] | None, typer.Option(help="Repeat it. Default: scale, expansion, Uiso, delta2.")] = None,
    start: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Where a parameter starts.")] = None,
    keep: Annotated[
        tuple[int, int] | None, typer.Option(help="How many reach the second stage and the full fit, at most.")
    ] = None,
    null: Annotated[str | None, typer.Option(help="A crystal of which a sphere of the same size joins.")] = None,
    mixtures: Annotated[int, typer.Option(help="So many mixtures of two of the best join.", min=0)] = 0,
    ratio: Annotated[tuple[float, float] | None, typer.Option(help="Measured cations per anion, low high.")] = None,
    mass: Annotated[float | None, typer.Option(help="g/mol; measured mass of the whole particle.")] = None,
    inorganic: Annotated[float, typer.Option(help="Mass fraction of its core.")] = 1.0,
    confusion: Annotated[int, typer.Option(help="Simulate and refit so many of the best.", min=0)] = 0,
    repeats: Annotated[int, typer.Option(help="Simulated measurements of each.", min=1)] = 20,
    seed: Annotated[int, typer.Option(help="Of the search for candidates and of simulated noise.", min=0)] = 1,
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core.", min=1)] = None,
    dask: Annotated[str | None, typer.Option(metavar="ADDRESS", help="A dask scheduler instead.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the journal in the folder.")] = True,
    rows: Annotated[int, typer.Option(help="Rows of the table to show.", min=1)] = 20,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of results and journal.")] = Path(
        "pdfkit-screen"
    ),
) -> None:
    """Rank candidate clusters against measured G(r): which fit, and which the data cannot tell apart.

    A run that was interrupted goes on where it stopped when it is started again.
    """
    from pdfkit.cli.screening import ScreenOptions, run_screen

    given = {
        "rmin": rmin,
        "rmax": rmax,
        "probe": probe,
        "qmin": qmin,
        "qmax": qmax,
        "qdamp": qdamp,
        "qbroad": qbroad,
        "free": free,
        "start": start,
        "keep": keep,
        "build": build,
        "null": null,
        "ratio": ratio,
        "mass": mass,
        "workers": workers,
        "dask": dask,
    }
    options = ScreenOptions(
        limit=limit,
        mixtures=mixtures,
        inorganic=inorganic,
        confusion=confusion,
        repeats=repeats,
        seed=seed,
        resume=resume,
        out=out,
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]  # by name
    )
    ranking, study, files = run_screen(data, candidates or [], options)
    show(ranking.table(rows))
    if study is not None:
        show("\n" + study.table())
    show("\nfiles:", *(f"  {file}" for file in files))
