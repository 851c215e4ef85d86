"""Files that come to a page, beside the event loop: other tabs go on while they are read and their curves are made."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pdfkit.workbench.limits import refuse_slow
from pdfkit.workbench.opening import added
from pdfkit.workbench.prepared import Curves, Prepared
from pdfkit.workbench.state import State

__all__ = ["Arrived", "arrived"]

_ONE = threading.Lock()  # one at a time, for memory


@dataclass(frozen=True, eq=False)
class Arrived:
    """A state with files, made ready; curves : those of the data set that is shown, None without any."""

    state: State
    ready: Prepared | None = None
    curves: Curves | None = None


def arrived(state: State, files: Sequence[str], folder: Path, work: Path, chosen: str) -> Arrived:
    """Return a state with more files, made ready, with the curves of every data set computed once.

    chosen : the data set that is shown. PdfkitError for what cannot be used, or is too large for a page.
    """
    with _ONE:
        found = added(state, files, folder, work)
        if found.tables is state.tables and found.beam is state.beam:
            return Arrived(found)
        ready = Prepared.of(found, folder)  # nothing of what the page computes with meanwhile
        refuse_slow(ready)
        curves = {name: ready.curves(name, found.values) for name in ready.models}
        return Arrived(found, ready, curves.get(chosen) or next(iter(curves.values()), None))
