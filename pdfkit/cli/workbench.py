"""The command `pdfkit live`: the workbench in the browser."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit._terminal import show
from pdfkit.cli import options as o
from pdfkit.cli.console import Printed, say
from pdfkit.errors import PdfkitError
from pdfkit.workbench import bokeh_scripts

if TYPE_CHECKING:
    from pdfkit.workbench.door import Door
    from pdfkit.workbench.server import Server
    from pdfkit.workbench.state import State


def live(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Data and structures (files, or names from `pdfkit structures`), a recipe (.toml), a project of "
            "PDFgui (.ddp3), or a saved fit, ranking or series (.h5). None: an empty page.",
            autocompletion=o.structure_names,
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port on this machine; 0: any that is free.", min=0, max=65535)] = 0,
    browser: Annotated[
        bool, typer.Option(help="Open the page in the browser, or (--no-browser) only print its address.")
    ] = True,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where pages and dropped files are kept, to be continued; .pdfkit-live if not given."),
    ] = None,
    limit: Annotated[float, typer.Option(help="Largest file that can be dropped on a page, in MB.", min=0.1)] = 64.0,
    once: Annotated[bool, typer.Option("--once", help="End when the last tab is closed.")] = False,
) -> Printed:
    """Open the workbench in the browser: drag a slider, see G(r) move, press fit.

    The page is served by this command, on this machine only, to those who have the address that it prints: keep it to
    yourself. It reads files of the folder that the command runs in, those named here, and those dropped on it. Each
    page is kept as it changes: reload it, or start the command again and continue it. Ctrl-C ends the server.
    """
    with _uncollected():
        bokeh_scripts()
        from pdfkit.workbench.door import Door, Options
        from pdfkit.workbench.pages import FOLDER

        here = Path.cwd()
        home = here / (folder or FOLDER)
        if home.exists() and not home.is_dir():
            raise PdfkitError(f"--folder {folder or FOLDER} is a file: give the name of a folder")
        names = files or []
        door = Door(Options(port, int(limit * 1e6), once), f"reading {', '.join(names)} …" if names else None)
    show(f"pdfkit live is at {door.url} (Ctrl-C ends it)", f"pages are kept in {folder or FOLDER}")
    sys.stdout.flush()
    with _signals(door) as ended:
        if browser:
            _open(door.url)
        serving = _Serving(door, names, here, home)
        serving.start()
        door.loop.start()
        serving.stop()
    if serving.failed is not None:
        raise serving.failed
    if ended and ended[-1] != signal.SIGINT:
        signal.raise_signal(ended[-1])
    return Printed("pdfkit live has ended")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Put the collector off until all is loaded (`_read`): to look through what stays takes a tenth of the start."""
    gc.disable()
    try:
        yield
    except BaseException:
        gc.enable()
        raise


def _read(files: Sequence[str], here: Path, home: Path) -> State:
    """Return what pages begin with, and load what they need."""
    from pdfkit.workbench import session  # noqa: F401  # loaded here, beside the loop, for the first page
    from pdfkit.workbench.limits import refuse_large
    from pdfkit.workbench.opening import opened

    try:
        refuse_large(files, here)
        return opened(files, here, home / "opened")
    finally:
        gc.enable()
        gc.freeze()  # what is there by now stays: collections while somebody drags look through the rest alone


def _open(url: str) -> None:
    """Open the browser, which may take its time, beside the server."""
    import webbrowser

    def ask() -> None:
        try:
            found = webbrowser.open(url)
        except (OSError, webbrowser.Error):
            found = False
        if not found:
            say("no browser was found: open the address in one on this machine")

    threading.Thread(target=ask, daemon=True).start()


class _Serving:
    """A server behind a door, from the moment on that all it needs is loaded, which a thread does."""

    def __init__(self, door: Door, names: Sequence[str], here: Path, home: Path) -> None:
        self.door, self.names, self.here, self.home = door, names, here, home
        self.server: Server | None = None
        self._failed: BaseException | None = None

    @property
    def failed(self) -> BaseException | None:
        """What ended it, if that was no signal."""
        return self._failed if self.server is None else self.server.failed

    def start(self) -> None:
        """Begin to load."""
        threading.Thread(target=self._load, daemon=True, name="pdfkit live loading").start()

    def _load(self) -> None:
        try:
            from pdfkit.workbench.server import Server  # noqa: F401
        except Exception as error:
            self._failed = error
            self.door.loop.add_callback(self.door.loop.stop)
        else:
            self.door.loop.add_callback(self._serve)

    def _serve(self) -> None:
        from pdfkit.workbench.pages import Pages
        from pdfkit.workbench.server import Server

        self.server = Server(Pages(self.here, self.home), self.door)
        what = f"reading {', '.join(self.names)} …" if self.names else "…"
        self.server.read(what, lambda: _read(self.names, self.here, self.home), self.names)

    def stop(self) -> None:
        """End it, or the loading of it."""
        self.door.close() if self.server is None else self.server.stop()


@contextmanager
def _signals(door: Door) -> Iterator[list[int]]:
    """End the loop of a door at the first signal; the second is as everywhere. Give the signals that came."""
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, frame: Any) -> None:
        came.append(number)
        signal.signal(number, before[signal.Signals(number)])
        door.loop.asyncio_loop.call_soon_threadsafe(door.loop.stop)

    for number in before:
        signal.signal(number, end)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
