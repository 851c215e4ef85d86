"""The page in a notebook: served by a thread of the kernel, shown in a frame, its present numbers at hand in Python."""

from __future__ import annotations

import asyncio
import atexit
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.data.curves import PDF
    from pdfkit.model.model import Model
    from pdfkit.results.result import FitResult
    from pdfkit.workbench.server import Server
    from pdfkit.workbench.session import Session
    from pdfkit.workbench.state import State

__all__ = ["LivePage", "live"]


def live(*what: FitResult | Model | PDF | str | PathLike[str], folder: str | PathLike[str] | None = None) -> LivePage:
    """Open the workbench with a result, a model, data or files, beside a notebook: it moves, fits and explains.

    The page is served on 127.0.0.1 by a thread of this process, to those who have its address; the last line of a cell
    shows it. It reads files of the present folder, those named here, and those dropped on it.

    Parameters
    ----------
    what : a result of a fit; a model, alone or with the data (`PDF`) that it is to describe; or files as `pdfkit live`
        takes them (data, structures or their names, a recipe, a saved fit); nothing for an empty page.
    folder : where the page is kept as it changes; without it until `close`, or the end of the process.

    Raises PdfkitError where the extra `live` is missing or a file cannot be used.

    Example
    -------
    >>> import pdfkit as pk
    >>> page = pk.live("CdSe_zincblende")
    >>> page.url.startswith("http://127.0.0.1:"), round(page.values["CdSe_zincblende.a"], 2)
    (True, 6.05)
    >>> page.close()
    """
    return LivePage(what, folder)


class LivePage:
    """A page that is served; `url` is its address, and `close` ends it. In a notebook it shows itself.

    values : parameters by name. recipe : the text of the recipe. model : the model of the data set that is shown, with
    the present values. result : the fit that gave the values, or else the last one; None where there was none.
    """

    url: str
    _server: Server

    def __init__(self, what: tuple[Any, ...], folder: str | PathLike[str] | None) -> None:
        from pdfkit.workbench import bokeh_scripts
        from pdfkit.workbench.pages import Pages

        bokeh_scripts()

        self._own = None if folder else tempfile.TemporaryDirectory(prefix="pdfkit-live-")
        here, home = Path.cwd(), Path(folder or (self._own.name if self._own else ".")).resolve()
        try:
            self._pages = Pages(here, home)
            self._pages.begin_with(*_begun(what, here, home))
            self._kept = self._pages.main = self._pages.new()
            self._start()
        except BaseException:
            if self._own is not None:
                self._own.cleanup()
            raise

    def _start(self) -> None:
        begun: Future[Server] = Future()
        self._thread = threading.Thread(target=self._serve, args=(begun,), daemon=True, name="pdfkit live")
        self._thread.start()
        self._server = begun.result(30)
        self.url = self._server.url
        atexit.register(self.close)

    def _serve(self, begun: Future[Server]) -> None:
        from pdfkit.workbench.door import Door, Options
        from pdfkit.workbench.server import Server

        asyncio.set_event_loop(asyncio.new_event_loop())
        try:
            server = Server(self._pages, Door(Options(embedded=True)))
        except BaseException as error:
            begun.set_exception(error)
            return
        begun.set_result(server)
        server.loop.start()
        server.stop()
        server.loop.close(all_fds=True)

    @property
    def _session(self) -> Session:
        return self._kept.session

    def _asked(self, question: Callable[[], Any]) -> Any:
        """Return an answer of the thread of the page, which alone may look at what moves."""
        if not self._thread.is_alive():
            return question()
        answer: Future[Any] = Future()

        def ask() -> None:
            try:
                answer.set_result(question())
            except BaseException as error:
                answer.set_exception(error)

        self._server.loop.add_callback(ask)
        return answer.result(60)

    @property
    def values(self) -> Mapping[str, float]:
        """Parameters by name, as the page shows them now."""
        return self._asked(lambda: {row["name"]: float(row["value"]) for row in self._session.rows()})  # type: ignore[no-any-return]

    @property
    def recipe(self) -> str:
        """The recipe that the page would save."""
        from pdfkit.workbench.exports import export

        return export(self._session, "recipe")[1].decode()

    @property
    def model(self) -> Model:
        """The model of the data set that is shown, with the present values."""
        from pdfkit.workbench.prepared import Prepared

        session = self._session
        ready = Prepared.of(session.state, session.folder)
        name = session.chosen if session.chosen in ready.models else next(iter(ready.models), None)
        if name is None:
            raise PdfkitError("the page has no model: add a structure")
        ready.at(session.state.values)
        found = ready.models[name]
        return found.with_values(dict(zip(found.names, ready.vector(name).tolist(), strict=True)))

    @property
    def result(self) -> FitResult | None:
        """The fit that gave the present values, or else the last one."""
        session = self._session
        entry = session.entry or (session.history[-1] if session.history else None)
        return None if entry is None else entry.result

    def close(self) -> None:
        """End the page: fits are stopped, and what changed is written where a folder was named."""
        atexit.unregister(self.close)
        if self._thread.is_alive():
            self._server.loop.add_callback(self._server.loop.stop)
            self._thread.join(10)
        if self._own is not None:
            self._own.cleanup()

    def __enter__(self) -> LivePage:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<LivePage at {self.url}>"

    def _repr_html_(self) -> str:
        return f'<iframe src="{self.url}" title="pdfkit live" style="width: 100%; height: 52rem; border: 0"></iframe>'


def _begun(what: Sequence[Any], here: Path, home: Path) -> tuple[State, list[str]]:
    """Return the state that a page begins with, and the files that it is of."""
    from pdfkit.data.curves import PDF
    from pdfkit.model.model import Model
    from pdfkit.phases.base import plain_word
    from pdfkit.workbench.opening import opened
    from pdfkit.workbench.unpacked import of_model

    models = [one for one in what if isinstance(one, Model)]
    if not models:
        files = [_file(one, home, k) for k, one in enumerate(what, 1)]
        return opened(files, here, home / "opened"), files
    pdfs = [one for one in what if isinstance(one, PDF)]
    if len(what) > 1 + len(pdfs):
        raise PdfkitError("a model is shown alone, or with data (PDF): give one model, and what was measured")
    data = {f"{plain_word(one.name or 'data')}{k if len(pdfs) > 1 else ''}": one for k, one in enumerate(pdfs, 1)}
    return of_model(models[0], data, here, home / "opened"), []


def _file(one: Any, home: Path, number: int) -> str:
    """Return a file of what was given: results and data are saved."""
    from pdfkit.data.curves import PDF
    from pdfkit.io.pdf import write_pdf
    from pdfkit.phases.base import plain_word

    if isinstance(one, str | PathLike):
        return str(one)
    if not isinstance(one, PDF) and not hasattr(one, "save"):
        raise PdfkitError(
            f"{type(one).__name__} cannot be shown: give a result of pk.fit, a pk.Model, data (pk.PDF), or files"
        )
    home.mkdir(parents=True, exist_ok=True)
    if isinstance(one, PDF):
        file = home / f"{plain_word(one.name or 'data')}-{number}.gr"
        write_pdf(file, one)
    else:
        file = home / f"result-{number}.h5"
        one.save(file)
    return str(file)
