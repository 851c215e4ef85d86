"""Attacks on a running `pdfkit live`, through HTTP and websockets."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bokeh", reason="the workbench needs the extra live")

from served import PATIENCE, Live, Tab

import pdfkit as pk
from pdfkit.workbench.frames import unpacked
from pdfkit.workbench.opening import opened
from pdfkit.workbench.page import Page
from pdfkit.workbench.session import Session


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("house") / "room"
    folder.mkdir()
    crystal = pk.Crystal.from_file("Ni", name="ni")
    pdf = pk.Model([crystal], pk.Instrument(probe="X", qmax=25.0))(np.arange(1.0, 10.0, 0.02))
    pk.write_pdf(folder / "ni.gr", pdf)
    pk.write_pdf(folder.parent / "secret.gr", pdf)
    (folder / "link.gr").symlink_to(folder.parent / "secret.gr")
    server = Live(folder, "ni.gr", "Ni")
    yield server
    code, _, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors
    assert server.path.strip("/") not in errors, "the word is in the log"


# --- Who is let in ---------------------------------------------------------------------------------------------------


def test_only_this_machine_is_listened_to(live: Live) -> None:
    port = int(live.host.split(":")[1])
    for family, address in {(one[0], one[4][0]) for one in socket.getaddrinfo(socket.gethostname(), port)}:
        if not str(address).startswith("127."):
            with socket.socket(family, socket.SOCK_STREAM) as other:
                other.settimeout(2)
                assert other.connect_ex((address, port)) != 0


@pytest.mark.parametrize("path", ["", "ws", "upload", "download?kind=recipe", "alive", "static/js/bokeh.min.js"])
def test_every_path_needs_the_word(live: Live, path: str) -> None:
    word = live.path.strip("/")
    for wrong in ("", f"{word[:-1]}/", f"{word}x/", f"{word.lower()}/", "x/", f"x/../{word}/"):
        answer = live.ask(f"/{wrong}{path}", raw=True)
        assert answer.status == 404, wrong
        assert word not in answer.text


def test_the_word_is_long_and_another_each_time(live: Live) -> None:
    assert re.fullmatch(r"/[\w-]{32}/", live.path)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "[::1]:{port}", "127.0.0.1:1", ""]
)
def test_a_name_that_leads_here_is_no_host(live: Live, host: str) -> None:
    answer = live.ask(Host=host.format(port=live.host.split(":")[1]))
    assert answer.status in (400, 403)
    assert "bokeh" not in answer.text.lower()


def test_localhost_is_this_machine(live: Live) -> None:
    assert live.ask(Host=live.host.replace("127.0.0.1", "localhost")).status == 200


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", "http://127.0.0.1", "https://{host}", "http://{host}.evil"]
)
def test_what_changes_something_comes_from_a_page_of_ours(live: Live, origin: str | None) -> None:
    given = {} if origin is None else {"Origin": origin.format(host=live.host)}
    assert live.ask("upload?page=x", "POST", b"", **given).status == 403
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
    upgrade |= {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert live.ask("ws", **upgrade, **given).status == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods_are_refused(live: Live, method: str) -> None:
    assert live.ask("", method, Origin=live.origin).status in (400, 405)


@pytest.mark.parametrize(
    "path", ["metadata", "autoload.js?bokeh-autoload-element=1", "static/extensions/x", "favicon.ico"]
)
def test_what_bokeh_serves_beside_the_page_is_closed(live: Live, path: str) -> None:
    assert live.ask(path).status == 404


@pytest.mark.parametrize("path", ["static/../../server.py", "static/%2e%2e/%2e%2e/server.py", "static//etc/passwd"])
def test_static_files_are_bokehs_alone(live: Live, path: str) -> None:
    answer = live.ask(path)
    assert answer.status in (403, 404)
    assert "root:" not in answer.text


def test_headers_of_a_page(live: Live) -> None:
    answer = live.ask()
    policy = dict(one.strip().split(" ", 1) for one in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    nonce = policy["script-src"].removeprefix("'nonce-").removesuffix("'")
    assert re.fullmatch(r"[\w-]{20,}", nonce), "no inline script without its number, no eval"
    assert answer.text.count("<script") == answer.text.count(f'<script nonce="{nonce}"') > 0
    assert nonce not in live.ask().headers["Content-Security-Policy"]
    for one in (answer, live.ask("alive"), live.ask("/nowhere", raw=True), live.ask("static/js/bokeh.min.js")):
        assert one.headers["Referrer-Policy"] == "no-referrer"
        assert one.headers["X-Content-Type-Options"] == "nosniff"
        assert one.headers["X-Frame-Options"] == "DENY"
        assert "Set-Cookie" not in one.headers
        assert "Access-Control-Allow-Origin" not in one.headers
    linked = "".join(re.findall(r'(?:src|href)="([^"]*)"', answer.text))
    assert "//" not in linked, "nothing comes from elsewhere"


def test_environment_cannot_bring_scripts_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOKEH_RESOURCES", "cdn")
    monkeypatch.setenv("BOKEH_ALLOW_WS_ORIGIN", "evil.example")
    server = Live(tmp_path)
    try:
        assert "cdn.bokeh.org" not in server.ask().text
    finally:
        server.end()


# --- What comes through the websocket --------------------------------------------------------------------------------


WRONG = [
    "", "x", "{", "[]", "null", "3", '"do"', '{"do": 3}', '{"do": null}', '{"do": ["value"]}', "{}",
    '{"do": "value", "name": "a", "value": NaN}', '{"do": "value", "name": "a", "value": Infinity}',
    '{"do": "value"}', '{"do": "value", "name": "Ni.a"}', '{"do": "value", "name": {}, "value": 1}',
    '{"do": "value", "name": "Ni.a", "value": "3.5.2"}', '{"do": "value", "name": "Ni.a", "value": [1]}',
    '{"do": "value", "name": "nothing", "value": 1}', '{"do": "__class__"}', '{"do": "free", "name": 1, "free": 2}',
    '{"do": "range", "rmin": 1e400}', '{"do": "range", "rmin": "x", "rmax": {}}', '{"do": "undo", "n": 1e300}',
    '{"do": "undo", "n": "x"}', '{"do": "tie", "name": "Ni.a", "tie": "__import__(\'os\').system(\'touch hacked\')"}',
    '{"do": "open"}', '{"do": "open", "files": 3}', '{"do": "open", "files": [3, null]}',
    '{"do": "value", "name": "Ni.a", "value": 1e308}', '{"do": "value", "name": "Ni.a", "value": -1}',
    '{"do": "continue"}', '{"do": "continue", "page": ["x"]}', '{"do": "continue", "page": "../../.."}',
    '{"do": "peak", "r": 1e308}', '{"do": "peak", "r": 1e5}', '{"do": "restore", "fit": [1]}',
    '{"do": "compare", "fits": [[1]]}', '{"do": "set", "key": "title", "value": "\\ud800"}',
    '{"do": "limits", "name": "Ni.a", "min": -1e308, "max": 1e308}',
    '{"do": "shape", "phase": "Ni", "kind": "sphere", "spdiameter": 1e308}',
    "[" * 100_000, '{"do": ' * 20_000, '{"do": "value", "value": ' + "9" * 5000 + "}",
]  # fmt: skip


def test_wrong_actions_are_one_message_and_the_page_goes_on(live: Live) -> None:
    async def attack() -> None:
        async with Tab(live) as tab:
            for text in WRONG:
                view = await tab.text(text)
                assert "Traceback" not in view["message"]
                assert "could not be done" not in view["message"], text[:60]
                assert len(view["message"]) < 500, text[:60]
            while (await tab.do("undo"))["undo"]:
                pass
            await tab.do("value", name="Ni.a", value=3.6)
            assert tab.view["message"] == ""
            assert tab.view["rw"] > 0.05

    asyncio.run(attack())
    assert not (live.folder / "hacked").exists()


def test_a_page_goes_on_after_a_fault_of_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours is one message, and what was asked for last is not asked for again with every action after it."""
    session = Session(tmp_path, opened(["Ni"], tmp_path))
    sent: list[bytes] = []
    page = Page(sent.append, lambda page, action: page.session.do(action))
    page.turn(session)

    def seen(**action: Any) -> dict[str, Any]:
        page.asked(json.dumps(action))
        return unpacked(sent[-1])[0]

    monkeypatch.setattr("pdfkit.model.explained.FARTHEST", np.inf)
    view = seen(do="peak", r=1e308, n=1)
    assert (view["done"], session.rooms.r) == (1, None)
    assert "could not be done (OverflowError)" in view["message"]
    view = seen(do="value", name="Ni.a", value=3.6, n=2)
    assert (view["done"], view["message"], len(view["rows"])) == (2, "", len(session.rows()))


@pytest.mark.parametrize("message", [b"\x00\xff", b'{"do": "undo"}', "x" * 1_100_000])
def test_a_message_of_no_page_ends_its_connection_alone(live: Live, message: str | bytes) -> None:
    async def attack() -> None:
        async with Tab(live) as other:
            async with Tab(live) as tab:
                await tab.socket.write_message(message, binary=isinstance(message, bytes))
                assert await tab.is_ended()
            assert (await other.do("value", name="Ni.a", value=3.51))["message"] == ""

    asyncio.run(attack())


def test_pages_are_limited(tmp_path: Path) -> None:
    server = Live(tmp_path, before="from pdfkit.workbench import gate; gate.MOST_PAGES = 2")

    async def crowd() -> None:
        async with Tab(server) as one, Tab(server) as two:
            with pytest.raises(EOFError, match=r"1013.*close one"):
                async with Tab(server):
                    pass
            assert one.view["page"] != two.view["page"]
        async with Tab(server) as three:
            assert three.view["message"] == "", "pages that are closed make room"

    try:
        asyncio.run(crowd())
    finally:
        server.end()


# --- Files -----------------------------------------------------------------------------------------------------------


def page_of(live: Live) -> str:
    async def opened() -> str:
        async with Tab(live) as tab:
            return str(tab.view["page"])

    return asyncio.run(opened())


NAMES = [
    "../../../evil", "/etc/evil", "..\\..\\evil", "C:\\evil.gr", "a\x00.gr", "nul", "CON.gr", ".hidden", "..", ".", "",
    "x" * 5000 + ".gr", "é\u202egr.exe", "a\nb.gr", "日本語.gr", "\ud800.gr", "~root", "$(touch x).gr", "com1 .gr",
]  # fmt: skip


def test_dropped_files_stay_in_the_folder_of_the_page(live: Live) -> None:
    page = page_of(live)
    own, known = live.folder / ".pdfkit-live" / page / "files", set()
    for k, name in enumerate(NAMES):
        body = f"{k} 2\n".encode()
        answer = live.upload(page, name, body)
        if answer.status != 200:
            assert answer.status == 400, answer.text
        else:
            file = Path(json.loads(answer.text)["file"])
            assert file.resolve().parent == own.resolve()
            assert file.read_bytes() == body
            assert not file.name.startswith(".")
            assert file.name.isprintable()
            assert len(file.name.encode()) <= 140
            known.add(file.name)
        assert {one.name for one in own.iterdir()} == known
    assert len(known) >= len(NAMES) - 2
    assert own.stat().st_mode & 0o077 == 0
    assert not list(live.folder.parent.glob("evil*"))


def test_the_same_name_twice_is_two_files(live: Live) -> None:
    page = page_of(live)
    names = [json.loads(live.upload(page, "a.gr", body).text)["file"] for body in (b"1", b"2", b"1")]
    assert names[0] == names[2] != names[1]
    assert [Path(one).read_bytes() for one in names] == [b"1", b"2", b"1"]


def head(live: Live, page: str, size: str) -> bytes:
    lines = [f"POST {live.path}upload?page={page}&name=a.gr HTTP/1.1", f"Host: {live.host}", f"Origin: {live.origin}"]
    return "\r\n".join([*lines, size, "", ""]).encode()


def test_uploads_are_limited_before_and_while_they_come(live: Live) -> None:
    page = page_of(live)
    about = {"Origin": live.origin, "Content_Length": "70000000"}
    answer = live.ask(f"upload?page={page}&name=big.gr", "POST", None, **about)
    assert answer.status == 413
    assert "start pdfkit live with the name of the file" in answer.text
    for size in ("-1", "x", "1e3", ""):
        answer = live.ask(f"upload?page={page}&name=a.gr", "POST", None, Origin=live.origin, Content_Length=size)
        assert answer.status in (400, 411)
    with socket.create_connection(live.host.split(":")) as raw:  # more than was announced is another request
        raw.sendall(head(live, page, "Transfer-Encoding: chunked") + b"ffffff\r\n" + b"x" * 1000)
        assert b" 411 " in raw.recv(1000)
    own = live.folder / ".pdfkit-live" / page / "files"
    assert not own.exists() or not list(own.iterdir())


def there(live: Live, page: str, count: int) -> None:
    """Wait until a page has so many files."""
    place, end = live.folder / ".pdfkit-live" / page / "files", time.monotonic() + PATIENCE
    while not place.exists() or len(list(place.iterdir())) != count:
        assert time.monotonic() < end, list(place.parent.rglob("*"))
        time.sleep(0.02)


def test_a_broken_upload_leaves_nothing(live: Live) -> None:
    page = page_of(live)
    with socket.create_connection(live.host.split(":")) as raw:
        raw.sendall(head(live, page, "Content-Length: 1000000") + b"x" * 1000)
        there(live, page, 1)
    there(live, page, 0)


def test_an_upload_needs_a_page(live: Live) -> None:
    for page in ("", "x", "0" * 16, "../../x", "%00"):
        assert live.upload(page, "a.gr", b"1").status in (400, 404)


OUTSIDE = ["../secret.gr", "{folder}/../secret.gr", "link.gr", "/etc/passwd", "a\x00b"]


def test_files_outside_are_refused(live: Live) -> None:
    async def attack() -> None:
        async with Tab(live) as tab:
            rows = tab.view["rows"]
            for path in (name.format(folder=live.folder) for name in OUTSIDE):
                actions = [{"do": "open", "files": [path]}, {"do": "phase", "structure": path}]
                actions += [{"do": "x", "deep": [{"y": path}]}] * ("\x00" not in path)
                for action in actions:
                    view = await tab.text(json.dumps(action))
                    assert "is outside" in view["message"], action
                    assert "root:" not in view["message"]
            assert tab.view["rows"] == rows

    asyncio.run(attack())


def test_a_dropped_recipe_is_confined_and_one_that_was_named_is_not(live: Live, tmp_path: Path) -> None:
    text = '[data]\nfile = "{}"\n[[phase]]\nname = "ni"\nstructure = "Ni"\n[fit]\nfree = ["scale"]\n'

    async def dropped(server: Live, path: str) -> str:
        async with Tab(server) as tab:
            answer = server.upload(tab.view["page"], "fit.toml", text.format(path).encode())
            return str((await tab.do("open", files=[json.loads(answer.text)["file"]]))["message"])

    secret = live.folder.parent / "secret.gr"
    assert "is outside" in asyncio.run(dropped(live, str(secret)))
    for outside in ("../../../../secret.gr", "/etc/passwd", "/dev/zero", "/nothing/x.gr"):  # whatever is there
        assert "is outside" in asyncio.run(dropped(live, outside))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "fit.toml").write_text(text.format(secret))
    server = Live(tmp_path / "mine", "fit.toml")

    async def named() -> None:
        async with Tab(server) as tab:
            assert tab.view["message"] == ""
            assert (await tab.do("free", name="ni.a", free=True))["message"] == ""
            assert tab.view["rw"] is not None

    try:
        asyncio.run(named())
    finally:
        server.end()


def test_downloads_are_files_and_nothing_else(live: Live) -> None:
    page = page_of(live)
    answer = live.ask(f"download?page={page}&kind=recipe")
    assert answer.status == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert tomllib.loads(answer.text)["data"][0]["file"].endswith("ni.gr")
    for kind in ("", "../x", "__class__", "state"):
        assert live.ask(f"download?page={page}&kind={kind}").status == 422
    assert live.ask("download?page=x&kind=recipe").status == 404


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / ".pdfkit-live").symlink_to(tmp_path / "away")
    server = Live(tmp_path / "room")
    try:
        page = page_of(server)
        assert server.upload(page, "a.gr", b"1").status == 507
    finally:
        server.end()
    assert not list((tmp_path / "away").iterdir())
