"""A fit beside the event loop: in a thread of its own, with its progress, until it ends or is stopped.

Why a thread and no process: kernels run without the interpreter's lock, so that a curve of two phases and 5,000 points
takes 1.2 ms beside a fit in the median, and 22 ms in the slowest of twenty (alone on the same busy machine: 1.4 and 8);
a process would start in a second and take 150 MB. A fit tells of every evaluation; a stop is an exception there, 0.2 s
after it was asked for, and what a stopped fit still does is looked at by nobody.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit.errors import PdfkitError, heard
from pdfkit.workbench.prepared import Prepared, recipe_of
from pdfkit.workbench.starts import settled
from pdfkit.workbench.state import State

if TYPE_CHECKING:
    from pdfkit.fitting.comparison import Comparison
    from pdfkit.results.result import FitResult

__all__ = ["Job", "Progress", "run_fit", "weighed"]


class Stopped(BaseException):
    """Raised in a fit that is to end: no code that handles errors takes it for one."""


@dataclass
class Progress:
    """What is known of a fit under way: what it does, evaluations, Rw of the last and of the best, and its values.

    tell : called after each evaluation, in the fit's own thread.
    """

    tell: Callable[[], None] = lambda: None
    what: str = "reading"
    evaluations: int = 0
    rw: float | None = None
    best: float | None = None
    values: dict[str, float] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    _seen: tuple[Sequence[str], Any] | None = None

    def sees(self, names: Sequence[str], x: Any) -> None:
        """Keep where the evaluation is that is told of next."""
        self._seen = names, x

    def __call__(self, evaluations: int, rw: float) -> None:
        """Count an evaluation."""
        self._end()
        self.evaluations, self.rw = self.evaluations + 1, rw
        if self._seen is not None and (self.best is None or rw < self.best):
            names, x = self._seen
            self.best, self.values = rw, dict(zip(names, map(float, x), strict=True))
        self._seen = None
        self.tell()

    def check(self) -> None:
        """End where that was asked for."""
        self._end()

    def names(self, what: str) -> None:
        """Say what is done next."""
        self._end()
        self.what = what
        self.tell()

    def _end(self) -> None:
        if self.stop.is_set():
            raise Stopped


class Job:
    """Something done in a thread; `ended` is called there with what came of it, or the error, unless it was stopped.

    fits : whether it is a fit, which nothing may interrupt unasked. failed : what is said of a fault, with its name.
    """

    def __init__(
        self,
        progress: Progress,
        work: Callable[[Progress], Any],
        ended: Callable[[Any], None],
        *,
        fits: bool = True,
        failed: str = "the fit failed ({}): start elsewhere, or free less",
    ) -> None:
        self.progress, self.started, self.fits = progress, time.perf_counter(), fits
        self._work, self._ended = work, ended
        self._failed = failed
        self.found: Any = None
        self.thread = threading.Thread(target=self._run, daemon=True, name="pdfkit live fit")

    def start(self) -> Job:
        """Begin."""
        self.thread.start()
        return self

    def _run(self) -> None:
        try:
            with heard():  # results keep their remarks
                found = self._work(self.progress)
        except Stopped:
            return
        except PdfkitError as error:
            found = error
        except Exception as error:
            found = PdfkitError(self._failed.format(f"{type(error).__name__}: {error}"))
        self.found = found
        give_back()
        if not self.progress.stop.is_set():
            self._ended(found)

    def stop(self) -> None:
        """Let it end at its next evaluation."""
        self.progress.stop.set()

    def about(self) -> dict[str, Any]:
        """Return what is known of it, as plain values."""
        one, seconds = self.progress, time.perf_counter() - self.started
        about = {"what": one.what, "evaluations": one.evaluations, "rw": one.rw, "best": one.best}
        return {**about, "seconds": seconds, "fits": self.fits}


def give_back() -> None:
    """Give memory that was freed back to the system: glibc keeps it, some 30 MB after a fit."""
    if sys.platform == "linux":
        import ctypes

        with suppress(AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def run_fit(state: State, ready: Prepared, folder: Path) -> Callable[[Progress], FitResult]:
    """Return what fits a state from its values: the recipe that would be saved of it is run."""
    tables = settled(state, ready)

    def work(progress: Progress) -> FitResult:
        from pdfkit.recipes.recipe import fit_recipe

        recipe = recipe_of(State(tables), folder)
        return fit_recipe(recipe, progress)

    return work


# --- evidence ----------------------------------------------------------------------------------------------------

EVALUATIONS = 60
"""Evaluations of its fit that the evidence takes the time of, roughly (42 and 41 for fits of one and two data sets)."""
PATIENCE = 20.0
"""Seconds that evidence may take without being asked for."""


def cost(results: Mapping[str, FitResult]) -> float:
    """Return roughly how many seconds the evidence of fits takes."""
    return sum(EVALUATIONS * one.seconds / max(one.nfev, 1) for one in results.values())


def weighed(results: Mapping[str, FitResult]) -> Callable[[Progress], Comparison]:
    """Return what weighs fits of the same data against each other."""

    def work(progress: Progress) -> Comparison:
        from pdfkit.fitting.comparison import Comparison

        return Comparison.of(results, progress=progress.names, check=progress.check)

    return work
