"""What `pdfkit fit` does with a result: it takes the fit up again from where it ended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit.cli.console import Printed, faults, fitting
from pdfkit.cli.proposing import Search
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.data.curves import PDF
    from pdfkit.recipes.proposal import Wishes
    from pdfkit.results.result import FitResult


def fit_again(
    results: Sequence[Path], data: Sequence[Path], out: Path | None, wishes: Wishes, search: Search
) -> Printed:
    """Fit the data of a result, or others, from where that ended; write what a fit writes into a new folder."""
    from pdfkit.fitting.changes import Changes
    from pdfkit.io._folders import folder
    from pdfkit.recipes.outputs import Location, digest, write_all
    from pdfkit.recipes.recipe import WRITE
    from pdfkit.results.saving import load_result

    path = results[0]
    if len(results) > 1:
        raise PdfkitError("a fit goes on from one result: give one, or weigh several with pdfkit compare")
    new = _new_data(path, data, wishes)
    before, target = load_result(path), out or unused(path)
    if target.resolve() == path.parent.resolve():
        raise PdfkitError(f"{target} holds {path.name}, which would be replaced: give --out another folder")
    with folder(target, (), [path, *data]) as made:
        digests = {str(file): digest(file) for file in (path, *data)}
        with fitting() as tell:
            after = before.refit(
                free=wishes.free or None,
                ties=wishes.ties or None,
                data=new,
                rmin=wishes.rmin,
                rmax=wishes.rmax,
                search=search,
                progress=tell,
            )
        found = Changes.of(before, after)
        files = write_all(after, WRITE, Location(made, title=f"Taken up from {path}", digests=digests))
    return _printed(after, found, files, path)


def _printed(after: FitResult, found: Any, files: list[Path], path: Path) -> Printed:
    values = {**after.to_dict(), "changes": found.to_dict(), "from": str(path)}
    return Printed(f"{after}\n\n{found.section().text()}", files, values, values.pop("remarks"), faults(after))


def _new_data(path: Path, files: Sequence[Path], wishes: Wishes) -> list[PDF] | None:
    """Return other data; what neither their headers nor the options say is taken from the fit."""
    from pdfkit.io.pdf import read_pdf
    from pdfkit.recipes.toml import STRUCTURES

    known = wishes.options()
    own = ["preset"] * (wishes.preset is not None) + ["molecules"] * wishes.molecules + ["rigid"] * wishes.rigid
    if unfit := [*own, *([] if files else known)]:
        raise PdfkitError(
            f"--{unfit[0]} is not for {path.name}, which says it itself: --free, --tie, --rmin and --rmax change a fit"
        )
    if strange := [file for file in files if file.suffix.lower() in (*STRUCTURES, ".toml")]:
        raise PdfkitError(
            f"{path.name} has structures of its own: leave {strange[0].name} out, or fit it without the result"
        )
    return [read_pdf(file, **known) for file in files] or None


def unused(path: Path) -> Path:
    """Return the folder for results of a fit that goes on: that of the first with a number behind it, not there yet."""
    here = path.parent.name in ("", ".", "..")
    home = Path("pdfkit-out") / path.stem if here else path.parent
    first = home.with_name(re.sub(r"(?<=.)-\d+$", "", home.name))
    home, k = (first if first.is_dir() else home), 2  # after Ni-2 comes Ni-3, but CdSe-4 is the name of a sample
    while (found := home.with_name(f"{home.name}-{k}")).exists():
        k += 1
    return found
