"""The command `pdfkit series-view`: what a series shows without a structure model, and mixtures of references."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit._table import wrapped
from pdfkit.cli import options as o
from pdfkit.cli.console import Printed, progress
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.series.curves import Curves
    from pdfkit.series.kinetics import Kinetics
    from pdfkit.series.mixtures import Mixture
    from pdfkit.series.views import Components

NAMES = (
    *("view.txt", "scores.csv", "amounts.csv", "waterfall.png", "heatmap.png", "likeness.png", "scores.png"),
    "amounts.png",
)
SHOWN = 4
"""Components whose scores are drawn at most, and written at least, above the noise or not."""
MIXED = "Mixtures of reference curves"


def series_view(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="G(r) files, a pattern, or one stack (HDF5).")],
    index: Annotated[
        str | None,
        typer.Option(
            help="What changes: a key of the headers (temperature), a pattern of names such as {temperature}K, or a "
            "table that names the files (log.csv). Default: their number."
        ),
    ] = None,
    probe: o.Probe = None,
    qmin: o.MinQ = None,
    qmax: o.MaxQ = None,
    rmin: o.Lowest = None,
    rmax: o.Highest = None,
    against: Annotated[
        str, typer.Option(help="What changes are drawn against.", autocompletion=o.one_of("first", "last", "mean"))
    ] = "first",
    reference: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="A reference curve; repeat it for each.", rich_help_panel=MIXED),
    ] = None,
    total: Annotated[
        str, typer.Option(help="one: amounts of each scan sum up to 1; free: to anything.", rich_help_panel=MIXED)
    ] = "free",
    background: Annotated[
        int, typer.Option(help="Number of smooth functions of r besides.", min=0, rich_help_panel=MIXED)
    ] = 0,
    stretch: Annotated[
        bool, typer.Option("--stretch", help="Let r of the references expand.", rich_help_panel=MIXED)
    ] = False,
    averaged: Annotated[
        float,
        typer.Option(
            help="Of how many scans each reference is the mean, so that its errors count; 0: it is exact.",
            min=0,
            rich_help_panel=MIXED,
        ),
    ] = 0,
    law: Annotated[
        str | None,
        typer.Option(
            help="Kinetics of the amounts, the index being the time: first order, two steps, n-th order or avrami.",
            autocompletion=o.one_of("first order", "two steps", "n-th order", "avrami"),
            rich_help_panel=MIXED,
        ),
    ] = None,
    out: Annotated[Path, o.FOLDER] = Path("pdfkit-view"),
) -> Printed:
    """Look at a series without a model: differences, correlations, how many components stand above the noise.

    With references (--reference MSC-311=first.gr --reference MSC-322=last.gr) also how much of each is in every scan.
    """
    from pdfkit.io import _folders
    from pdfkit.series.curves import Curves
    from pdfkit.series.reading import read_series

    reading = {"probe": probe, "qmin": qmin, "qmax": qmax}
    known: dict[str, Any] = {name: value for name, value in reading.items() if value is not None}
    pure = _references(reference or [], known)
    if law is not None and not pure:
        raise PdfkitError("--law needs references: give --reference NAME=FILE for each state")
    scans = read_series(files[0] if len(files) == 1 else files, index=index, **known)
    with progress() as say:
        say("reading")
        with _said_once():
            curves = Curves.of(scans).crop(rmin, rmax)
        say("comparing")
        found = _found(
            curves, pure, {"total": total, "background": background, "stretch": stretch, "averaged": averaged}, law
        )
    named = [*(one for one in files if Path(one).is_file()), *(one for _, one in _pairs(reference or []))]
    with _folders.folder(out, NAMES, [Path(one) for one in named]) as folder:
        with _folders.publish(folder) as stage:
            _write(found, stage, against)
        written = [folder / name for name in NAMES if (folder / name).exists() and _belongs(name, found)]
    return Printed(found.report(), written, found.values(), remarks=found.remarks())


DOUBT = """  what differs from scan to scan counts, sample or not: scale, background, noise that is not alike;
    believe those that explain much and whose scores are smooth"""


@dataclass(frozen=True, eq=False)
class _Found:
    """All that a view of a series found."""

    curves: Curves
    components: Components | None
    mixture: Mixture | None
    kinetics: Kinetics | None

    def text(self) -> str:
        """Return the report."""
        parts = [str(self.curves)]
        if self.components is not None:
            share = ", ".join(f"{one:.1%}" for one in self.components.explained[:SHOWN])
            count = "unknown" if self.components.count is None else str(self.components.count)
            parts.append(f"components above the noise: {count}; of the change they explain {share}\n{DOUBT}")
        parts += [str(one) for one in (self.mixture, self.kinetics) if one is not None]
        return "\n\n".join(parts)

    def report(self) -> str:
        """Return the report and what is to be known of it."""
        shown = () if self.mixture is None else self.mixture.remarks
        return "\n\n".join([self.text(), *(wrapped(f"Remark: {one}") for one in self.remarks() if one not in shown)])

    def remarks(self) -> list[str]:
        """Return remarks that the report does not have in its tables."""
        own = self.curves.remarks if self.components is None else self.components.remarks
        return list(dict.fromkeys(own))

    def values(self) -> dict[str, Any]:
        """Return the numbers for programs."""
        out: dict[str, Any] = {"scans": len(self.curves), "points": self.curves.r.size}
        if self.components is not None:
            out |= {"components": self.components.count, "explained": self.components.explained[:SHOWN]}
        if self.mixture is not None:
            out["amounts"] = self.mixture.columns()
        if self.kinetics is not None:
            names = [name.removeprefix("ln ") for name in self.kinetics.names]
            out["kinetics"] = {name: self.kinetics[name] for name in names}
        return out


@contextmanager
def _said_once() -> Iterator[None]:
    """Say what is true of many scans once, with their number; other warnings as they are."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    texts = Counter(str(one.message).partition(".gr: ")[2] for one in caught)
    for one in caught:
        text = str(one.message).partition(".gr: ")[2]
        count = texts[text] if text else 1
        if count > 1:
            texts[text] = -1
            warnings.warn(f"{text} ({count} scans)", one.category, stacklevel=3)
        elif count == 1:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _pairs(given: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [one.partition("=") for one in given]
    for name, _, file in pairs:
        if not (name.strip() and file.strip()):
            raise PdfkitError(f"--reference {name} is not NAME=FILE: write for example --reference MSC-311=first.gr")
    return [(name.strip(), file.strip()) for name, _, file in pairs]


def _references(given: Sequence[str], reading: Mapping[str, Any]) -> dict[str, Any]:
    from pdfkit.io.pdf import read_pdf

    return {name: read_pdf(file, **reading) for name, file in _pairs(given)}


def _found(curves: Curves, pure: Mapping[str, Any], options: Mapping[str, Any], law: str | None) -> _Found:
    from pdfkit.series.kinetics import fit_kinetics
    from pdfkit.series.mixtures import mixture
    from pdfkit.series.views import pca

    mixed = mixture(curves, pure, **options) if pure else None
    fitted = fit_kinetics(mixed, law) if mixed is not None and law is not None else None
    return _Found(curves, pca(curves) if len(curves) > 2 else None, mixed, fitted)


def _belongs(name: str, found: _Found) -> bool:
    """Return whether a file is of this run, and not one that a run before left."""
    if name.startswith("scores"):
        return found.components is not None
    return not name.startswith("amounts") or found.mixture is not None


def _write(found: _Found, folder: Path, against: str) -> None:
    from pdfkit._table import csv_text
    from pdfkit.io._atomic import write_text
    from pdfkit.plot import series as draw
    from pdfkit.series.views import pearson

    curves = found.curves
    write_text(folder / "view.txt", f"{found.report()}\n")
    draw.waterfall(curves, folder / "waterfall.png")
    draw.heatmap(curves, folder / "heatmap.png", difference=against, calc=getattr(found.mixture, "calc", None))
    draw.likeness(pearson(curves), folder / "likeness.png", index=curves.index, label=curves.label)
    if found.components is not None:
        scores = found.components.amounts[:, : max(SHOWN, found.components.count or 0)]
        columns = {f"component {k}": column for k, column in enumerate(scores.T, 1)}
        table = {"scan": list(curves.names), curves.label: curves.index, **columns}
        write_text(folder / "scores.csv", csv_text(table))
        first = dict(list(columns.items())[: min(max(found.components.count or 1, 1), SHOWN)])
        draw.trend(curves.index, first, None, folder / "scores.png", label=curves.label, name="score (Å⁻²)")
    if found.mixture is not None:
        _write_amounts(found, folder)


def _write_amounts(found: _Found, folder: Path) -> None:
    from pdfkit._table import csv_text
    from pdfkit.io._atomic import write_text
    from pdfkit.plot.series import trend

    mixed, fitted = found.mixture, found.kinetics
    assert mixed is not None
    write_text(folder / "amounts.csv", csv_text(mixed.columns()))
    amounts, errors = mixed.free, mixed.errors
    if fitted is not None:
        amounts, errors = fitted.populations, fitted.errors
    law = None if fitted is None else dict(zip(mixed.names, fitted.calc.T, strict=True))
    trend(
        mixed.curves.index, dict(zip(mixed.names, amounts.T, strict=True)),
        dict(zip(mixed.names, errors.T, strict=True)), folder / "amounts.png", calc=law, label=mixed.curves.label,
        name="amount" if fitted is None else "population",
    )  # fmt: skip
