"""Files between browser and page: dropped bytes into the page's folder, and downloads of what the page exports."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tornado.web import HTTPError, RequestHandler, stream_request_body

from pdfkit.errors import PdfkitError
from pdfkit.workbench.files import safe_name
from pdfkit.workbench.pages import Pages, folder_of
from pdfkit.workbench.wording import in_page

if TYPE_CHECKING:
    from pdfkit.workbench.pages import Kept

__all__ = ["Alive", "Download", "Upload"]

MOST_FILES = 1000
"""Files that are dropped on one page."""


class _OfPage(RequestHandler):  # type: ignore[misc]
    """A request about a page: ?page=ID."""

    def initialize(self, pages: Pages, limit: int = 0) -> None:
        """Take what the server has."""
        self.pages, self.limit = pages, limit

    def kept(self) -> Kept:
        """Return the page; 404 where there is none of that name."""
        found = self.pages.pages.get(self.get_query_argument("page", ""))
        if found is None:
            raise HTTPError(404, "there is no such page (any more): reload it")
        return found


@stream_request_body
class Upload(_OfPage):
    """POST /upload?page=ID&name=NAME with the bytes of a file: kept in the page's folder, {"file": path} comes back."""

    _part: Any = None
    _refused: OSError | None = None
    _place: Path
    _name: str

    def prepare(self) -> None:
        """Look at what is announced before anything of it is read."""
        if self.request.method != "POST":
            return
        kept, self._name = self.kept(), self.get_query_argument("name", "file")
        size = self.request.headers.get("Content-Length", "")
        if not (size.isascii() and size.isdigit()):
            raise HTTPError(411, "the size of the file is missing: drop it again")
        if int(size) > self.limit:
            raise HTTPError(
                413,
                f"{safe_name(self._name)} has {int(size) / 1e6:.1f} MB, and a page takes {self.limit / 1e6:g}: start "
                "pdfkit live with the name of the file, or with a higher limit",
            )
        self.request.connection.set_max_body_size(self.limit)
        try:
            folder_of(kept.files.own.parent.parent, kept.files.own.parent.name, kept.files.own.name)
            if len(list(kept.files.own.iterdir())) >= MOST_FILES:
                raise PdfkitError(f"{MOST_FILES} files were dropped on this page, which is the most: begin a new one")
            self._place = kept.files.own / f".part-{secrets.token_hex(8)}"
            self._part = self._place.open("xb")
        except (PdfkitError, OSError) as error:
            raise HTTPError(507, in_page(str(error)).replace("%", "%%")) from None
        self._digest, self._kept = hashlib.sha256(), kept

    def data_received(self, chunk: bytes) -> None:
        """Write a piece."""
        if self._part is not None and self._refused is None:
            self._digest.update(chunk)
            try:
                self._part.write(chunk)
            except OSError as error:  # the rest is read all the same, or the browser would not hear the answer
                self._refused = error

    def post(self) -> None:
        """Give the file its name, and tell it."""
        try:
            if self._refused is not None:
                raise self._refused
            self._part.close()
            target = self._kept.files.store(self._name, self._digest.hexdigest())
            self._place.replace(target)
        except OSError as error:
            raise HTTPError(507, f"the disk refuses the file ({error.strerror}): make room there") from None
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps({"file": str(target)}))

    def on_finish(self) -> None:
        """Leave nothing half behind."""
        self._tidy()

    def on_connection_close(self) -> None:
        """Leave nothing half behind of a file whose sending was broken off."""
        self._tidy()

    def _tidy(self) -> None:
        if self._part is not None:
            with suppress(OSError):
                self._part.close()
            with suppress(OSError):
                self._place.unlink(missing_ok=True)


class Alive(RequestHandler):  # type: ignore[misc]
    """GET /alive: whether the server answers (again)."""

    def get(self) -> None:
        """Answer."""
        self.set_status(204)


class Download(_OfPage):
    """GET /download?page=ID&kind=KIND: what the page exports, as a file."""

    async def get(self) -> None:
        """Answer with the file."""
        from pdfkit.workbench.exports import export

        kept, kind = self.kept(), self.get_query_argument("kind", "")
        try:
            kept.session.refresh()  # what is saved is what the page shows
            name, data = await asyncio.to_thread(export, kept.session, kind)
        except (PdfkitError, OSError) as error:
            raise HTTPError(422, in_page(str(error)).replace("%", "%%")) from None
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quote(safe_name(name))}")
        self.write(data)
