"""What a page hands out as files: recipe, script, numbers, structures, pictures, a project of PDFgui, a whole fit.

What does not need a fit is of the values that the page shows; the rest is of the fit that gave them.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit.errors import PdfkitError, heard, nearest
from pdfkit.phases.base import plain_word
from pdfkit.workbench.history import Entry
from pdfkit.workbench.prepared import Prepared
from pdfkit.workbench.script import script_of
from pdfkit.workbench.starts import document_of
from pdfkit.workbench.state import State

if TYPE_CHECKING:
    from pdfkit._checks import Array
    from pdfkit.workbench.session import Session

__all__ = ["EXPORTS", "export"]


@dataclass(frozen=True)
class Shown:
    """What is exported: the state, prepared anew, the fit that gave its values, and the data set that is drawn."""

    state: State
    ready: Prepared
    entry: Entry | None
    chosen: str

    @property
    def stem(self) -> str:
        """How files begin."""
        title = str(self.state.tables.get("title") or "")
        names = [Path(str(one.get("file", ""))).stem for one in self.state.data]
        return plain_word(title or "-".join(names) or "page")[:60]

    @property
    def fit(self) -> Entry:
        """The fit; PdfkitError without one."""
        if self.entry is None:
            raise PdfkitError("no fit gave the values that are shown: fit, or choose one of the history, and try again")
        return self.entry


def export(session: Session, kind: str) -> tuple[str, bytes]:
    """Return name and bytes of a file that a page exports; PdfkitError with the reason where it cannot be.

    It may be called from another thread than that of the page: it works on a copy.
    """
    if kind not in EXPORTS:
        raise PdfkitError(f"a page cannot be exported as {kind[:40]!r}: the nearest are {nearest(kind, EXPORTS)}")
    state, entry, chosen = session.state, session.entry, session.chosen
    with heard():
        ready = Prepared.of(state, session.folder)
        chosen = chosen if chosen in ready.data else next(iter(ready.data), "")
        return EXPORTS[kind](Shown(state, ready, entry, chosen))


# --- texts ------------------------------------------------------------------------------------------------------


def _recipe(shown: Shown) -> tuple[str, bytes]:
    return f"{shown.stem}.toml", document_of(shown.state, shown.ready, absolute=True).encode()


def _script(shown: Shown) -> tuple[str, bytes]:
    return f"{shown.stem}.py", script_of(shown.state, shown.ready).encode()


def _columns(shown: Shown) -> tuple[str, bytes]:
    """Return the curves as columns: those of the fit, or of the values that are shown, on all points."""
    from pdfkit.io.columns import write_columns
    from pdfkit.results.columns import write_fit_columns

    if shown.entry is not None:
        result = shown.entry.result
        return _files(shown, lambda folder: list(write_fit_columns(folder / f"{shown.stem}.txt", result)), "columns")

    def write(folder: Path) -> list[Path]:
        files = []
        for name in shown.ready.data:
            columns, head = _curves(shown, name)
            files.append(folder / (f"{shown.stem}_{name}.txt" if name else f"{shown.stem}.txt"))
            write_columns(files[-1], list(columns), list(columns.values()), head)
        return files

    return _files(shown, write, "columns")


def _curves(shown: Shown, name: str) -> tuple[dict[str, Array], list[str]]:
    """Return the curves of a data set at the values shown, and what is to be said of them."""
    from pdfkit.results.columns import free_name

    found = shown.ready.curves(name, shown.state.values)
    columns: dict[str, Array] = {"r": found.r}
    if found.measured is not None:
        columns["Gobs"] = found.measured
    head = ["r in Å, G in Å⁻²; not of a fit: a model at the values of a page"]
    if found.calculated is not None:
        columns["Gcalc"] = found.calculated
        model = shown.ready.model(name, shown.state.values)
        parts = model.phase_curves(found.r, begin=shown.ready.begins.get(name))
        columns |= {free_name(phase): np.asarray(pdf.G) for phase, pdf in parts.items()}
    if found.rw is not None:
        head.append(f"Rw = {found.rw:.6f} from {found.low:g} to {found.high:g} Å")
    return columns, head


def _structures(shown: Shown) -> tuple[str, bytes]:
    """Return every phase with its values: as CIF, clusters as xyz; with errors where a fit gave them."""
    if not shown.ready.models:
        raise PdfkitError("there is no structure yet: open one")
    result = None if shown.entry is None else shown.entry.result
    first = next(iter(shown.ready.models))
    model = shown.ready.model(first, shown.state.values) if result is None else result.datasets[0].model
    phases = [(phase, None if result is None else result.covariance_of(phase)) for phase in model.phases]
    texts = {f"{one.name}.{ending}": text for one, cov in phases for ending, text in one.files(cov).items()}
    if not texts:
        raise PdfkitError("these phases have no file of a structure: save the recipe")
    return _packed(f"{shown.stem}-structures", {name: text.encode() for name, text in texts.items()})


# --- of a fit ---------------------------------------------------------------------------------------------------


def _project(shown: Shown) -> tuple[str, bytes]:
    from pdfkit.io.exports import write_project

    result = shown.fit.result
    return _files(shown, lambda folder: [write_project(folder / f"{shown.stem}.ddp3", {shown.stem: result})])


def _hdf5(shown: Shown) -> tuple[str, bytes]:
    result, text, known = shown.fit.result, document_of(shown.state, shown.ready), _digests(shown)
    return _files(shown, lambda folder: [result.save(folder / f"{shown.stem}.h5", recipe=text, digests=known)])


def _digests(shown: Shown) -> Mapping[str, str]:
    from pdfkit.recipes.outputs import digest

    return {str(file): digest(file) for file in shown.ready.recipe.inputs() if file.is_file()}


def _report(shown: Shown) -> tuple[str, bytes]:
    """Return the report of a fit, one file of HTML that opens without anything else."""
    result: Any = shown.fit.result
    text, known = document_of(shown.state, shown.ready), _digests(shown)
    return _files(shown, lambda folder: [result.report(folder / f"{shown.stem}.html", recipe=text, digests=known)])


def _text(shown: Shown) -> tuple[str, bytes]:
    return f"{shown.stem}.txt", f"{shown.fit.result}\n".encode()


# --- pictures ---------------------------------------------------------------------------------------------------


def _picture(kind: str) -> Callable[[Shown], tuple[str, bytes]]:
    def drawn(shown: Shown) -> tuple[str, bytes]:
        from pdfkit.plot.canvas import rendered

        return f"{shown.stem}.{kind}", rendered(_figure(shown), kind)

    return drawn


def _figure(shown: Shown) -> Any:
    from pdfkit import plot
    from pdfkit.data.curves import PDF

    title = str(shown.state.tables.get("title") or "")
    if shown.entry is not None:
        return plot.fit(shown.entry.result, title=title)
    found = shown.ready.curves(shown.chosen, shown.state.values)
    inside = (found.r >= found.low - 1e-9) & (found.r <= found.high + 1e-9)
    known = {"measured": found.measured, "calculated": found.calculated}
    curves = [PDF(found.r[inside], G[inside], name=name) for name, G in known.items() if G is not None]
    return plot.pdf(*curves, difference=len(curves) > 1, title=title)


# --- files ------------------------------------------------------------------------------------------------------


def _files(shown: Shown, write: Callable[[Path], list[Path]], what: str = "") -> tuple[str, bytes]:
    """Return what is written into a folder of its own: a file, or several in an archive."""
    with tempfile.TemporaryDirectory(prefix="pdfkit-live-") as folder:
        files = [Path(file) for file in write(Path(folder))]
        return _packed(f"{shown.stem}-{what}" if what else shown.stem, {one.name: one.read_bytes() for one in files})


def _packed(stem: str, files: Mapping[str, bytes]) -> tuple[str, bytes]:
    if len(files) == 1:
        return next(iter(files.items()))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return f"{stem}.zip", buffer.getvalue()


EXPORTS: Mapping[str, Callable[[Shown], tuple[str, bytes]]] = {
    "recipe": _recipe,
    "script": _script,
    "columns": _columns,
    "structures": _structures,
    "project": _project,
    "hdf5": _hdf5,
    "report": _report,
    "text": _text,
    "png": _picture("png"),
    "svg": _picture("svg"),
    "pdf": _picture("pdf"),
}
