"""A running `pdfkit live`, and a tab of it without a browser: Bokeh's protocol through a websocket."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from pdfkit.workbench.frames import unpacked


class Live:
    """The command in a process of its own; it is ended with Ctrl-C."""

    def __init__(self, folder: Path, *options: str, before: str = "") -> None:
        """Start the command. before : Python that is done first."""
        start = ["-c", f"{before}; from pdfkit.cli.app import main; main()"] if before else ["-m", "pdfkit"]
        self.folder, self.said = folder, folder / "stderr.txt"
        with self.said.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *start, "live", "--no-browser", *options],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = re.search(r"http\S+", self.line)
        assert found, self.said.read_text()
        self.url = found[0]
        self.host, self.path = urlsplit(self.url).netloc, urlsplit(self.url).path
        self.origin = f"http://{self.host}"

    def ask(
        self, path: str = "", method: str = "GET", body: bytes | None = None, raw: bool = False, **headers: str
    ) -> Any:
        """Return the answer to a request, with its body as `text`. raw : the path is whole."""
        connection = http.client.HTTPConnection(self.host, timeout=20)
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

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """End the command; return exit code, stdout and stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=30)
        return self.process.returncode, self.line + out, self.said.read_text()


class Tab:
    """A tab: what it shows is in `view`."""

    socket: Any = None
    answer: Any = None

    def __init__(self, live: Live) -> None:
        self.live, self.view, self.n, self.ended = live, {}, 0, False
        self.curves: dict[str, Any] = {}

    async def __aenter__(self) -> Tab:
        """Load the page, and connect as its script does."""
        answer = await asyncio.to_thread(self.live.ask)
        assert answer.status == 200, answer.text
        answer = await asyncio.to_thread(self.live.ask, "session", "POST", Origin=self.live.origin)
        assert answer.status == 200, answer.text
        await self.connect(json.loads(answer.text)["token"])
        await self.pull()
        return self

    async def __aexit__(self, *about: object) -> None:
        """Close the connection, as a tab that is closed."""
        self.socket.close()
        if not self.ended:
            await self.is_ended()

    async def connect(self, token: str, **headers: str) -> None:
        """Connect with the token of a page."""
        given = {"Origin": self.live.origin, **headers}
        request = HTTPRequest(f"ws://{self.live.host}{self.live.path}ws", headers=given)
        self.socket = await websocket_connect(request, subprotocols=["bokeh", token])
        assert (await self.message())["header"]["msgtype"] == "ACK"

    async def pull(self) -> None:
        """Ask for the document, and find the wire in it."""
        await self.send("PULL-DOC-REQ", {})
        self.document = await self.reply()
        self.wire = _find(self.document["content"], "Wire")["id"]
        self._take(_find(self.document["content"], "Wire")["attributes"], self.document["buffers"])
        while "message" not in self.view:  # it says what is read
            self._taken(await self.message())

    async def send(self, kind: str, content: object) -> None:
        """Send a message."""
        self.n += 1
        for part in ({"msgid": str(self.n), "msgtype": kind}, {}, content):
            await self.socket.write_message(json.dumps(part))

    async def message(self) -> dict[str, Any]:
        """Return the next message; EOFError where the connection is closed."""
        parts = []
        while len(parts) < 3:
            parts.append(json.loads(await self._fragment()))
        found = dict(zip(("header", "metadata", "content"), parts, strict=True))
        found["buffers"] = {}
        for _ in range(found["header"].get("num_buffers", 0)):
            name = json.loads(await self._fragment())["id"]
            found["buffers"][name] = await self._fragment()
        return found

    async def _fragment(self) -> Any:
        part = await asyncio.wait_for(self.socket.read_message(), 20)
        if part is None:
            self.ended = True
            raise EOFError(f"{self.socket.close_code}: {self.socket.close_reason}")
        return part

    async def reply(self) -> dict[str, Any]:
        """Return the next message that answers one of ours; what is shown meanwhile is taken."""
        while True:
            found = await self.message()
            if found["header"]["msgtype"] != "PATCH-DOC":
                return found
            self._taken(found)

    def _taken(self, found: dict[str, Any]) -> None:
        for event in found["content"]["events"]:
            if event["kind"] == "ModelChanged":
                self._take({event["attr"]: event["new"]}, found["buffers"])

    def _take(self, attributes: dict[str, Any], buffers: dict[str, Any]) -> None:
        if "sent" in attributes:
            data = attributes["sent"][1]["data"]
            whole = buffers[data["id"]] if isinstance(data, dict) else base64.b64decode(data)
            view, curves = unpacked(whole)
            self.view |= view
            self.curves |= curves

    async def patch(self, *events: dict[str, Any]) -> dict[str, Any]:
        """Send changes of the document; return the answer."""
        await self.send("PATCH-DOC", {"events": list(events)})
        return await self.reply()

    async def do(self, do: str, **action: Any) -> dict[str, Any]:
        """Do an action; return what the page shows then, and after files were opened."""
        await self.text(json.dumps({"do": do, **action, "n": self.n}))
        while (self.view.get("busy") or {}).get("opens"):
            self._taken(await self.message())
        return self.view

    async def text(self, action: str) -> dict[str, Any]:
        """Send a text as the action; return what the page shows then."""
        event = {"kind": "ModelChanged", "model": {"id": self.wire}, "attr": "action", "new": action}
        answer = await self.patch(event)
        assert answer["header"]["msgtype"] == "OK", answer
        return self.view

    async def until(self, key: str, seconds: float = 20) -> dict[str, Any]:
        """Take what the page is shown until a key of the view is true."""
        end = time.monotonic() + seconds
        while not self.view.get(key):
            assert time.monotonic() < end, f"no {key} in {seconds} s"
            await self.text("")
            await asyncio.sleep(0.05)
        return self.view

    async def is_ended(self) -> bool:
        """Return whether the server has closed the connection, after what it sent before."""
        try:
            while True:
                await self.message()
        except EOFError:
            return True


def _find(value: Any, name: str) -> Any:
    """Return the object of a class in a document."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            if str(one.get("name")).rpartition(".")[2] == name and "id" in one:
                return one
            stack += one.values()
        elif isinstance(one, list):
            stack += one
    raise KeyError(name)
