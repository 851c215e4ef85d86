"""A running `pdfkit live`, and a tab of it without a browser: its websocket."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit

from forked import Command
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from pdfkit.workbench.frames import unpacked

PATIENCE = 90.0
"""Seconds after which what does not come is missing, however busy the machine is."""


class Live:
    """The command in a process of its own; it is ended with Ctrl-C."""

    def __init__(self, folder: Path, *options: str, before: str = "") -> None:
        """Start the command. before : Python that is done first."""
        self.folder = folder
        self.process = Command(["live", "--no-browser", *options], folder, before=before)
        found = re.search(r"http\S+", self.process.line(1))
        assert found, self.process.said(2)
        self.url = found[0]
        self.host, self.path = urlsplit(self.url).netloc, urlsplit(self.url).path
        self.origin = f"http://{self.host}"

    def ask(
        self, path: str = "", method: str = "GET", body: bytes | None = None, raw: bool = False, **headers: str
    ) -> Any:
        """Return the answer to a request, with its body as `text`. raw : the path is whole."""
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path if raw else self.path + path, body, given)
        answer: Any = connection.getresponse()
        answer.body = answer.read()
        answer.text = answer.body.decode("utf-8", "replace")
        connection.close()
        return answer

    def upload(self, page: str, name: str, body: bytes, **headers: str) -> Any:
        """Return the answer to the upload of a file."""
        about = f"upload?page={page}&name={quote(name.encode('utf-8', 'surrogatepass'))}"
        return self.ask(about, "POST", body, **{"Origin": self.origin, **headers})

    def kept(self, page: str, holds: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
        """Wait until a page is on disk and a condition holds for it; return what is written."""
        file, end = self.folder / ".pdfkit-live" / page / "page.json", time.monotonic() + PATIENCE
        while not (file.exists() and holds(json.loads(file.read_text("utf-8")))):
            assert time.monotonic() < end, file.read_text("utf-8") if file.exists() else "nothing is written"
            time.sleep(0.02)
        return cast(dict[str, Any], json.loads(file.read_text("utf-8")))

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """End the command; return exit code, stdout and stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=PATIENCE)
        return code, self.process.said(1), self.process.said(2)


class Tab:
    """A tab: what it shows is in `view`."""

    socket: Any = None
    answer: Any = None

    def __init__(self, live: Live) -> None:
        self.live, self.view, self.ended = live, {}, False
        self.curves: dict[str, Any] = {}

    async def __aenter__(self) -> Tab:
        """Load the page, and connect as its script does."""
        self.answer = await asyncio.to_thread(self.live.ask)
        assert self.answer.status == 200, self.answer.text
        await self.connect()
        while "message" not in self.view:  # it says what is read
            await self.frame()
        return self

    async def __aexit__(self, *about: object) -> None:
        """Close the connection, as a tab that is closed."""
        self.socket.close()
        if not self.ended:
            await self.is_ended()

    async def connect(self, **headers: str) -> None:
        """Connect."""
        request = HTTPRequest(
            f"ws://{self.live.host}{self.live.path}ws", headers={"Origin": self.live.origin, **headers}
        )
        self.socket = await websocket_connect(request)

    async def frame(self, seconds: float = PATIENCE) -> dict[str, Any]:
        """Take the next frame, and return what is shown then; EOFError where the connection is closed."""
        part = await asyncio.wait_for(self.socket.read_message(), seconds)
        if part is None:
            self.ended = True
            self.socket.close()
            raise EOFError(f"{self.socket.close_code}: {self.socket.close_reason}")
        view, curves = unpacked(part)
        self.view |= view
        self.curves |= curves
        return self.view

    async def do(self, do: str, **action: Any) -> dict[str, Any]:
        """Do an action; return what the page shows then, and after files were opened."""
        await self.text(json.dumps({"do": do, **action, "n": self.view["done"] + 1}))
        while (self.view.get("busy") or {}).get("opens"):
            await self.frame()
        return self.view

    async def text(self, action: str) -> dict[str, Any]:
        """Send a text as the action; return what the page shows when it was done."""
        before = self.view["done"]
        await self.socket.write_message(action)
        while self.view["done"] == before:
            await self.frame()
        return self.view

    async def until(self, key: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Take what the page is shown until a key of the view is true."""
        end = time.monotonic() + seconds
        while not self.view.get(key):
            await self.frame(end - time.monotonic())
        return self.view

    async def is_ended(self) -> bool:
        """Return whether the server has closed the connection, after what it sent before."""
        try:
            while True:
                await self.frame()
        except EOFError:
            return True
