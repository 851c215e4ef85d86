"""A fit as one page: an HTML file that opens anywhere, without Python and without a network.

Pictures are drawn by matplotlib and stand in the page as SVG: a page of 0.1 to 1 MB that prints as sharply as a paper.
Curves that can be moved and zoomed would cost 1.3 MB of scripts in each file, and print worse.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath
from tempfile import TemporaryDirectory
from typing import Any

from pdfkit import _page
from pdfkit._table import Section
from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.io.hdf5 import Group, read_nexus, versions
from pdfkit.phases.base import Broadening, Phase
from pdfkit.phases.shells import Shell, shells
from pdfkit.results.report import head, measured_with, sections, uncertain
from pdfkit.results.result import DatasetFit, FitResult

FAR = 1.75
"""Neighbours up to so many times the nearest distance are listed."""
MOST_SHELLS = 24
"""Rows of the table of neighbours, of a phase."""
MOST_MAPPED = 40
"""Free parameters of which a map of correlations can be read."""
KEY = ("a", "b", "c", "alpha", "beta", "gamma", "spdiameter", "diameter", "expansion", "Uiso", "delta2")
"""Parameters, by the end of their names, that a summary names, in this order."""


@dataclass(frozen=True)
class Origin:
    """Where a result comes from: the text of its recipe, SHA-256 of its inputs by name, versions of programs, its date.

    file : the name of the result file, "" where it was not read from one.
    """

    recipe: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    date: str = ""
    file: str = ""

    @classmethod
    def of(cls, path: AnyPath) -> Origin:
        """Return what a result file says of itself; ReadError for a file that is none."""
        entry = read_nexus(path).group("entry")
        digests: dict[str, str] = {}
        if "inputs" in entry:
            known = entry.group("inputs")
            digests = dict(zip(known.texts("name"), known.texts("sha256"), strict=True))
        recipe = entry.group("recipe").text("data") if "recipe" in entry else ""
        used = _texts(entry.group("versions")) if "versions" in entry else {}
        date = next((entry.text(name) for name in ("end_time", "date", "start_time") if name in entry), "")
        return cls(recipe, digests, used, date, Path(path).name)

    def without_folders(self) -> Origin:
        """Return the same with the names of files alone: where they were is nobody's business who gets a page."""
        names = _names(self.digests)
        recipe = self.recipe
        for path in sorted(names, key=len, reverse=True):
            recipe = recipe.replace(path, names[path]).replace(PureWindowsPath(path).as_posix(), names[path])
        return replace(self, recipe=recipe, digests={names[path]: sha for path, sha in self.digests.items()})


def _names(paths: Iterable[str]) -> dict[str, str]:
    """Return the last parts of paths, of either kind of slash: as many as tell them apart."""
    parts = {path: PureWindowsPath(path).parts for path in paths}
    out = {}
    for path, own in parts.items():
        others = [one for name, one in parts.items() if name != path]
        count = next((k for k in range(1, len(own)) if all(one[-k:] != own[-k:] for one in others)), len(own))
        out[path] = "/".join(own[-count:])
    return out


def _texts(group: Group) -> dict[str, str]:
    return {name: group.text(name) for name in group.members}


def write_page(path: AnyPath, result: FitResult, origin: Origin | None = None) -> Path:
    """Write the page; PdfkitError for a name that does not end in .html, WriteError for no file."""
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise PdfkitError(f"a report of a fit is an HTML page: end the name {Path(path).name} in .html")
    return write_text(path, page(result, origin or Origin()))


def page(result: FitResult, origin: Origin) -> str:
    """Return the page."""
    first, *others = head(result)
    origin = origin.without_folders()
    used = origin.versions or _texts(versions())
    parts = [
        _page.heading(first, 1),
        _page.paragraphs([*others, *_summary(result)]),
        _page.heading("Curves"),
        f'<div class="pictures">{"".join(_pictures(result))}</div>',
        _page.heading("What was found"),
        *(_page.section(one) for one in sections(result)),
        _page.heading("Neighbours"),
        *_neighbours(result),
        _page.heading("What was assumed"),
        _page.table((("", ""), *_assumed(result)), words=True),
        _page.heading("To repeat it"),
        *_repeated(result, origin),
        _page.heading("Files in this page"),
        *_files(result, origin),
    ]
    made = f"{' of '.join(['Fit', origin.date])}; " if origin.date else ""
    return _page.document(first.partition(":")[0], parts, made + ", ".join(f"{k} {v}" for k, v in used.items()))


# --- In words --------------------------------------------------------------------------------------------------------


def _summary(result: FitResult) -> Iterator[str]:
    """Yield a sentence on each phase, and what a reader should look at before believing the numbers."""
    for phase in result.datasets[0].model.phases:
        found = ", ".join(_key_numbers(result, phase))
        yield f"{phase.heading}: {found}." if found else f"{phase.heading}."
    if result.at_bounds:
        yield f"On a limit, and so without an error: {', '.join(result.at_bounds)}."
    unknown = [name for name in result.free if result.params[name].stderr is None and name not in result.at_bounds]
    if unknown:
        yield f"Not determined by these data: {', '.join(unknown[:8])}{' and more' * (len(unknown) > 8)}."
    if result.remarks:
        count = len(result.remarks)
        yield f"{count} remark{'s' * (count > 1)} on this fit {'are' if count > 1 else 'is'} below: read them first."


def _key_numbers(result: FitResult, phase: Phase) -> list[str]:
    """Return the refined numbers of a phase that people ask for, with units."""
    own = [(name.removeprefix(f"{phase.name}."), par) for name, par in result.params.items()
           if name.startswith(f"{phase.name}.") and (par.vary or par.expr)]  # fmt: skip
    ends = {key: [one for one in own if one[0].rpartition(".")[2] == key] for key in KEY}
    return [_number(name, par) for key in KEY for name, par in ends[key][:6]]


def _number(name: str, par: Any) -> str:
    unit = str((par.user_data or {}).get("unit", ""))
    return f"{name} = {uncertain(float(par.value), par.stderr)}{f' {unit}' if unit else ''}"


# --- Pictures --------------------------------------------------------------------------------------------------------


def _pictures(result: FitResult) -> Iterator[str]:
    from pdfkit.plot import fits
    from pdfkit.plot.canvas import drawn

    sets = f"{len(result.datasets)} data sets" if len(result.datasets) > 1 else "the data"
    words = f"Measured (circles), calculated and difference of {sets}, Rw = {result.rw:.4f}"
    beside = f"; below, I(Q) of {', '.join(one.name for one in result.patterns)}" if result.patterns else ""
    yield _page.picture(drawn(fits.fit(result)), words + beside, large=True)
    if any(len(one.model.phases) > 1 for one in result.datasets):
        yield _page.picture(drawn(fits.phases(result)), "Share of each phase in the calculated curve")
    if any(len(phase.composition()) > 1 for one in result.datasets for phase in one.model.phases):
        yield _page.picture(drawn(fits.partials(result)), "Share of each pair of elements in the calculated curve")
    if 1 < len(result.free) <= MOST_MAPPED:
        words = "Correlations of the free parameters, from −1 (blue) to 1 (red)"
        yield _page.picture(drawn(fits.correlation(result)), words)


# --- Neighbours ------------------------------------------------------------------------------------------------------


def _neighbours(result: FitResult) -> Iterator[str]:
    """Yield a table of the nearest distances of each phase, with errors that follow from those of the parameters."""
    model = result.datasets[0].model
    lab = model.instrument
    heads = ("pair a–b", "sites", "r (Å)", "b around a", "a around b", "σ (Å)", "in words")
    for phase in model.phases:
        own = Broadening(lab.qbroad, lab.resolution, Broadening.none(0).tangents, False)
        found = _first(phase, own, result)
        rows = [_shell_row(one) for one in found[:MOST_SHELLS]]
        yield _page.section(Section(phase.heading, (heads, *rows) if rows else (), _left_out(found[MOST_SHELLS:])))
    of = f" in data set {result.datasets[0].name}" if len(result.datasets) > 1 else ""
    yield _page.paragraphs(
        [
            f"σ is the width of the peak that these pairs make{of}, without the cut at Qmax. Neighbours are those "
            "of the bulk for crystals, which atoms at a surface lack, and the mean of all atoms for clusters."
        ]
    )


def _first(phase: Phase, broadening: Broadening, result: FitResult) -> tuple[Shell, ...]:
    """Return the first shells of a phase, as far as they are worth a row."""
    reach, covariance = 4.0, result.covariance_of(phase)
    while not (found := shells(phase, 0.0, reach)) and reach < 50.0:
        reach *= 2.0
    if not found:
        return ()
    return shells(phase, 0.0, FAR * found[0].distance + 0.2, broadening, covariance)


def _left_out(rest: tuple[Shell, ...]) -> tuple[str, ...]:
    if not rest:
        return ()
    return (f"{len(rest)} more, at {rest[0].distance:.2f} to {rest[-1].distance:.2f} Å, have no row here.",)


def _shell_row(one: Shell) -> tuple[str, ...]:
    first, second = (f"{number:.3g}" for number in one.numbers)
    names = ", ".join(one.sites[:4]) + (" and more" if len(one.sites) > 4 else "")
    stderr = one.stderr if math.isfinite(one.stderr) else None
    distance = uncertain(one.distance, stderr) if stderr else f"{one.distance:.4f}"
    return "–".join(one.pair), names, distance, first, second, f"{one.sigma:.3f}", one.words


# --- What was assumed ------------------------------------------------------------------------------------------------


def _assumed(result: FitResult) -> Iterator[tuple[str, str]]:
    """Yield what was assumed, in words."""
    settings = result.problem.settings
    for one in result.datasets:
        yield from _of_data(one, settings.weights.get(one.name, 1.0), len(result.datasets) > 1)
    for pattern in result.patterns:
        yield f"pattern {pattern.name}", pattern.measured.assumed
    yield "weights", _weights(result)
    yield "noise", f"spectrum {'estimated from the residual' if settings.noise == 'estimated' else 'as given'}"
    search = (
        result.search if isinstance(result.search, str) else ", ".join(f"{k} {v}" for k, v in result.search.items())
    )
    yield "search", {"plain": "one local fit from the start values"}.get(search, search)
    for phase in result.datasets[0].model.phases:
        for text in phase.remarks:
            yield f"structure {phase.name}", text
    for text in dict.fromkeys(text for one in result.datasets for text in (*one.model.remarks, *one.messages)):
        yield "remark", text


def _of_data(one: DatasetFit, weight: float, several: bool) -> Iterator[tuple[str, str]]:
    name = f"data {one.name or one.data.name}".strip()
    span = f"r = {one.data.r[0]:.4g} to {one.data.r[-1]:.4g} Å, {len(one.data)} points"
    yield name, f"{span}; {measured_with(one)}" + (f"; weight {weight:g}" if several else "")
    like, default = one.model.convention, type(one.model.convention)()
    if like != default:
        changed = [f"{k} {v}" for k, v in vars(like).items() if v != getattr(default, k)]
        yield f"{name}: convention", ", ".join(changed)


def _weights(result: FitResult) -> str:
    if result.errors_from == "cov":
        return "the covariance of the data"
    if result.errors_from == "dG":
        return "1/dG² with the errors of the data"
    used = "errors of the data were left out" if result.datasets[0].data.dG is not None else "the data have no errors"
    return f"all points alike: {used}"


# --- To repeat it ----------------------------------------------------------------------------------------------------


def _repeated(result: FitResult, origin: Origin) -> Iterator[str]:
    file = origin.file or "fit.h5"
    if origin.recipe:
        yield _page.paragraphs(["Save the recipe that was run beside its inputs, and run pdfkit fit fit.toml:"])
        yield _page.listing(origin.recipe)
    else:
        yield _page.paragraphs(
            [f"The fit was made in Python. Saved as {file}, it goes on with pdfkit fit {file}, or as here:"]
        )
        yield _page.listing(
            f'import pdfkit as pk\n\nresult = pk.load_result("{file}")\n'
            'again = result.refit()  # free=["+c", "-delta2"] changes what varies\nprint(again)'
        )
    if origin.digests:
        yield _page.heading("SHA-256 of the inputs", 3)
        yield _page.table((("file", "SHA-256"), *origin.digests.items()), words=True)


_ROW = re.compile(r"^[^#\n]+$", re.MULTILINE)


def _shorter(row: str) -> str:
    """Return a row of numbers with as many digits as a curve has any use for: half of the bytes."""
    return " ".join(f"{float(word):.8g}" for word in row.split())


def _files(result: FitResult, origin: Origin) -> Iterator[str]:
    """Yield what can be saved from the page: recipe, curves, structures."""
    if origin.recipe:
        yield _page.attachment("fit.toml", origin.recipe, "the recipe")
    with TemporaryDirectory() as folder:
        for path in result.write_columns(Path(folder, "curves.txt")):
            text = _ROW.sub(lambda row: _shorter(row[0]), path.read_text("utf-8"))
            yield _page.attachment(path.name, text, "measured, calculated, difference and shares, to 8 digits")
    for phase in result.datasets[0].model.phases:
        for ending, text in phase.files(result.covariance_of(phase)).items():
            yield _page.attachment(f"{phase.name}.{ending}", text, "the refined structure")
