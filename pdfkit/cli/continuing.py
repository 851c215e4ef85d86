"""What `pdfkit fit` does with a result: it takes the fit up again from where it ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit.cli.console import Printed, fitting
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.data.curves import PDF
    from pdfkit.results.result import FitResult


def fit_again(
    path: Path,
    data: Sequence[Path] = (),
    out: Path | None = None,
    free: Sequence[str] = (),
    rmin: float | None = None,
    rmax: float | None = None,
) -> Printed:
    """Fit the data of a result, or others, from where that ended; write what a fit writes into a new folder."""
    from pdfkit.fitting.changes import Changes
    from pdfkit.io._folders import folder
    from pdfkit.recipes.outputs import Location, digest, write_all
    from pdfkit.recipes.recipe import WRITE
    from pdfkit.results.saving import load_result

    before = load_result(path)
    new = _new_data(before, data)
    target = out or unused(path)
    if target.resolve() == path.parent.resolve():
        raise PdfkitError(f"{target} holds {path.name}, which would be replaced: give --out another folder")
    with folder(target, (), [path, *data]) as made:
        digests = {str(file): digest(file) for file in (path, *data)}
        with fitting() as tell:
            after = before.refit(free=free or None, data=new, rmin=rmin, rmax=rmax, progress=tell)
        found = Changes.of(before, after)
        files = write_all(after, WRITE, Location(made, title=f"Taken up from {path}", digests=digests))
    return _printed(after, found, files, path)


def _printed(after: FitResult, found: Any, files: list[Path], path: Path) -> Printed:
    warnings = [] if after.converged else [f"the fit did not converge: {after.message}"]
    if not after.describes:
        warnings.append(f"the model does not describe the data: Rw = {after.rw:.2f}")
    values = {**after.to_dict(), "changes": found.to_dict(), "from": str(path)}
    return Printed(f"{after}\n\n{found.section().text()}", files, values, values.pop("remarks"), warnings)


def _new_data(before: FitResult, files: Sequence[Path]) -> list[PDF] | None:
    """Return other data; what their headers do not say is taken from the fit."""
    from pdfkit.io.pdf import read_pdf

    return [read_pdf(file) for file in files] or None


def unused(path: Path) -> Path:
    """Return the folder for results of a fit that goes on: that of the first with a number behind it, not there yet."""
    here = path.parent.name in ("", ".", "..")
    home = Path("pdfkit-out") / path.stem if here else path.parent
    k = 2
    while (found := home.with_name(f"{home.name}-{k}")).exists():
        k += 1
    return found
