"""Pages outlive tabs and servers; servers end as commands do."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bokeh", reason="the workbench needs the extra live")

import forked
from served import PATIENCE, Live, Tab

import pdfkit as pk
from pdfkit.workbench.history import Entry
from pdfkit.workbench.pages import Pages
from pdfkit.workbench.state import State


@pytest.fixture
def room(tmp_path: Path) -> Path:
    crystal = pk.Crystal.from_file("Ni", name="Ni")
    pk.write_pdf(tmp_path / "ni.gr", pk.Model([crystal], pk.Instrument(probe="X", qmax=25.0))(np.arange(1, 10, 0.02)))
    return tmp_path


@pytest.fixture
def live(room: Path) -> Iterator[Live]:
    server = Live(room, "ni.gr", "Ni")
    yield server
    server.end()


def value(tab: Tab, name: str = "Ni.a") -> float:
    return next(float(row["value"]) for row in tab.view["rows"] if row["name"] == name)


def test_a_page_is_continued_by_a_tab_and_by_the_next_server(room: Path, live: Live) -> None:
    async def first() -> str:
        async with Tab(live) as tab:
            await tab.do("value", name="Ni.a", value=3.6)
            await tab.do("value", name="Ni.a", value=3.7)
            await tab.do("fit")
            for _ in range(600):
                if (await tab.do("show", data=tab.view["chosen"]))["history"]:
                    break
                await asyncio.sleep(0.1)
            await tab.do("value", name="Ni.a", value=3.65)
            page = str(tab.view["page"])
        await asyncio.sleep(0.5)  # until the server knows that the tab is gone: before, the next one is a copy
        async with Tab(live) as again:
            assert again.view["page"] != page
            await again.do("continue", page=page, copy=False)
            assert (again.view["page"], value(again)) == (page, 3.65)
        return page

    async def second(server: Live, page: str) -> None:
        async with Tab(server) as tab:
            assert page in [one["id"] for one in tab.view["earlier"]]
            await tab.do("continue", page=page)
            assert value(tab) == 3.65
            assert len(tab.view["history"]) == 1
            await tab.do("undo")
            await tab.do("undo")
            assert value(tab) == 3.7

    page = asyncio.run(first())
    assert live.end()[0] == 0
    server = Live(room)
    try:
        asyncio.run(second(server, page))
    finally:
        assert "Traceback" not in server.end()[2]


def test_a_duplicated_tab_becomes_a_page_of_its_own(live: Live) -> None:
    async def both() -> None:
        async with Tab(live) as one, Tab(live) as two:
            await one.do("value", name="Ni.a", value=3.6)
            await two.do("continue", page=one.view["page"], copy=True)
            assert value(two) == 3.6
            assert two.view["page"] != one.view["page"]
            await two.do("value", name="Ni.a", value=3.7)
            await one.do("undo")
            await one.do("redo")
            assert (value(one), value(two)) == (3.6, 3.7)

    asyncio.run(both())


def test_a_copy_of_a_page_shares_the_files_of_its_fits(room: Path) -> None:
    model = pk.Model([pk.Crystal.from_file("Ni", name="Ni")], pk.Instrument(probe="X", qmax=25.0))
    result = pk.fit(model.with_values({"Ni.scale": 0.9}), model(np.arange(1, 10, 0.02)), free=["scale"], search="plain")
    pages = Pages(room, room / "kept")
    pages.begin_with(State())
    one = pages.new()
    one.session.states, one.session.history = [State(fit=1)], [Entry(1, result, State(fit=1))]
    pages.save(one)
    two = pages.copy(one)
    two.session.history = [*two.session.history, Entry(2, result, State(fit=2))]
    pages.save(two)
    pages.close()
    first, second = (room / "kept" / page.id / "fits" for page in (one, two))
    assert (first / "fit-1.h5").samefile(second / "fit-1.h5")
    assert [path.name for path in sorted(second.iterdir())] == ["fit-1.h5", "fit-1.json", "fit-2.h5", "fit-2.json"]
    assert Entry.load(second, 1).result.rw == result.rw


async def fitted(tab: Tab, many: int, **range_: float) -> float:
    """Fit in a range; return Rw of the fit, the last of so many."""
    await tab.do("range", **range_)
    await tab.do("fit", search="plain")
    for _ in range(600):
        if len((await tab.do("look"))["history"]) == many and not tab.view["busy"]:
            return float(tab.view["history"][-1]["rw"])
        await asyncio.sleep(0.05)
    raise AssertionError("the fit does not end")


def test_fits_of_one_number_are_not_taken_for_each_other(room: Path, live: Live) -> None:
    """A server that was killed leaves a fit that its page does not know of: the next one of its number is another."""

    async def two() -> str:
        async with Tab(live) as tab:
            await fitted(tab, 1, rmin=2, rmax=9)
            page = str(tab.view["page"])
            before = live.kept(page, lambda now: len(now["fits"]) == 1 and not now["fitting"])
            await fitted(tab, 2, rmin=3, rmax=8)
            live.kept(page, lambda now: len(now["fits"]) == 2)
        live.process.kill()
        live.process.wait()
        (room / ".pdfkit-live" / page / "page.json").write_text(json.dumps(before))
        return page

    async def continued(server: Live, page: str, many: int) -> list[float]:
        async with Tab(server) as tab:
            await tab.do("continue", page=page)
            assert len(tab.view["history"]) == many
            if many == 1:
                await fitted(tab, 2, rmin=2, rmax=5)
            return [one["datasets"][0]["rmax"] for one in tab.view["history"]]

    page = asyncio.run(two())
    for many in (1, 2):
        server = Live(room)
        try:
            assert asyncio.run(continued(server, page, many)) == pytest.approx([9, 5])
        finally:
            server.end()


@pytest.mark.parametrize("fits", [True, False])
def test_a_fit_that_ended_with_its_server_is_told(tmp_path: Path, fits: bool) -> None:
    pages = Pages(tmp_path, tmp_path / "pages")
    pages.begin_with(State(values={"a": 1.0}))
    kept = pages.new()
    job: Any = SimpleNamespace(fits=fits)  # a fit under way, or its evidence
    kept.session.job, kept.saved = job, ()
    pages.save(kept)
    pages.close()
    again = Pages(tmp_path, tmp_path / "pages")
    again.begin_with(State())
    found = again.find(kept.id)
    again.close()
    assert found is not None
    assert ("a fit was under way" in found.session.message) is fits


def test_two_servers_do_not_write_one_page(room: Path, live: Live) -> None:
    other = Live(room)

    async def both() -> None:
        async with Tab(live) as one, Tab(other) as two:
            await one.do("value", name="Ni.a", value=3.6)
            live.kept(one.view["page"], lambda now: now["states"][-1]["values"].get("Ni.a") == 3.6)
            await two.do("continue", page=one.view["page"])
            assert "open in another pdfkit live" in two.view["message"]
            assert two.view["page"] != one.view["page"]
            assert value(two) == 3.6

    try:
        asyncio.run(both())
    finally:
        other.end()


def test_a_disk_that_is_full_or_gone_is_told(room: Path) -> None:
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
    limit += "sys.dont_write_bytecode = True"  # half a file would be kept, and end every process after this
    server = Live(room, "ni.gr", "Ni", before=limit)

    async def full() -> None:
        async with Tab(server) as tab:
            for k in range(30):
                await tab.do("value", name="Ni.a", value=3.5 + k / 1000)
            for _ in range(600):
                if "not kept on disk" in (await tab.do("look"))["message"]:
                    break
                await asyncio.sleep(0.1)
            assert "not kept on disk" in tab.view["message"]
            answer = server.upload(tab.view["page"], "a.gr", b"1 2\n" * 100_000)
            assert (answer.status, "the disk refuses the file" in answer.text) == (507, True)
            shutil.rmtree(room / ".pdfkit-live")
            (room / "ni.gr").unlink()
            for do in ("fit", "undo", "script"):
                view = await tab.do(do)
                assert "could not be done" not in view["message"]
                assert "Traceback" not in view["message"]
            await tab.do("value", name="Ni.a", value=3.51)
            assert value(tab) == 3.51

    try:
        asyncio.run(full())
    finally:
        assert "Traceback" not in server.end()[2]


def test_a_damaged_page_is_one_message(room: Path) -> None:
    if hasattr(os, "mkfifo"):
        (room / ".pdfkit-live" / f"{99:016x}").mkdir(parents=True)
        os.mkfifo(room / ".pdfkit-live" / f"{99:016x}" / "page.json")
    bad = ("", "{", "[]", '{"states": 3}', '{"tables": [{}], "states": [{"tables": 7}], "at": 0}')
    wrong = ('"fit": "one"', '"beam": []', '"values": 3', '"remarks": [1]', '"results": "x"')
    bad += tuple(f'{{"tables": [{{}}], "states": [{{"tables": 0, {one}}}], "at": 0}}' for one in wrong)
    wrong = ('"data": 3', '"data": [3]', '"phase": "Ni"', '"fit": []', '"title": 1')
    bad += tuple(f'{{"tables": [{{{one}}}], "states": [{{"tables": 0}}], "at": 0}}' for one in wrong)
    for k, text in enumerate(bad):
        folder = room / ".pdfkit-live" / f"{k:016x}"
        folder.mkdir(parents=True)
        (folder / "page.json").write_text(text)
    server = Live(room)

    async def tried() -> None:
        async with Tab(server) as tab:
            for k in range(len(bad)):
                view = await tab.do("continue", page=f"{k:016x}")
                assert "not a page of pdfkit live" in view["message"]

    try:
        asyncio.run(tried())
    finally:
        assert "Traceback" not in server.end()[2]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_signals_end_the_server_with_a_page_kept(live: Live, number: int, code: int) -> None:
    async def moved() -> str:
        async with Tab(live) as tab:
            await tab.do("fit")
            await tab.do("value", name="Ni.a", value=3.6)
            live.process.send_signal(number)  # before the change is written, with a fit under way
            return str(tab.view["page"])

    page = asyncio.run(moved())
    live.process.wait(timeout=PATIENCE)  # of this signal, before any other comes
    ended, _, errors = live.end()
    assert ended == code, errors
    assert "Traceback" not in errors
    kept = json.loads((live.folder / ".pdfkit-live" / page / "page.json").read_text())
    assert 3.6 in [one["values"].get("Ni.a") for one in kept["states"]]
    assert not list(live.folder.rglob("*.tmp"))


def test_the_last_tab_ends_it_where_that_is_asked_for(room: Path) -> None:
    server = Live(room, "--once")

    async def tabs() -> None:
        async with Tab(server):
            pass
        async with Tab(server):  # as one that is reloaded
            await asyncio.sleep(4)
            assert server.process.poll() is None

    asyncio.run(tabs())
    server.process.wait(timeout=PATIENCE)
    assert server.end()[0] == 0


def said(folder: Path, *options: str) -> tuple[int, str]:
    done = forked.run("live", "--no-browser", *options, folder=folder)
    return done.returncode, done.stderr


def test_what_cannot_be_is_one_error(live: Live) -> None:
    (live.folder / "taken").write_text("")
    port = live.host.split(":")[1]
    code, errors = said(live.folder, "--port", port)
    assert (code, errors.count("\n")) == (2, 1)
    assert f"error: port {port} cannot be used" in errors
    assert said(live.folder, "--folder", "taken") == (2, "error: --folder taken is a file: give the name of a folder\n")
    code, errors = said(live.folder, "nothing.gr")
    assert (code, errors.count("\n")) == (2, 1)


def test_a_missing_extra_is_one_error(room: Path) -> None:
    script = "import sys; sys.modules['bokeh'] = None; sys.argv = ['pdfkit', 'live']\n"
    script += "from pdfkit.cli.app import main\nmain()"
    done = subprocess.run([sys.executable, "-c", script], cwd=room, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'pdfkit-scattering[live]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_gives_the_address_loads_nothing_heavy() -> None:
    heavy = ("numpy", "numba", "scipy", "bokeh")
    code = f"import sys, pdfkit.workbench.door; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


SLOW = """import os, time; from pdfkit.workbench import opening; whole = opening.opened
def slow(*about):
    while not os.path.exists("go"):
        time.sleep(0.01)
    return whole(*about)
opening.opened = slow
"""


class Early(Tab):
    """A tab that is there before files are read: they are, from when it says so."""

    async def connect(self, **headers: str) -> None:
        await super().connect(**headers)
        while "reading" not in self.view:
            await self.frame()
        (self.live.folder / "go").touch()


def test_a_page_is_there_while_its_files_are_read(room: Path) -> None:
    server = Live(room, "ni.gr", "Ni", before=SLOW)

    async def early() -> None:
        async with Early(server) as tab:
            assert tab.answer.status == 200
            assert tab.view["reading"] == "reading ni.gr, Ni …"
            assert value(tab) > 3
            assert (await tab.do("value", name="Ni.a", value=3.6))["message"] == ""

    try:
        asyncio.run(early())
    finally:
        assert "Traceback" not in server.end()[2]


def test_a_file_that_cannot_be_read_is_told_by_page_and_terminal(room: Path) -> None:
    (room / "bad.gr").write_text("1 2\nthree four\n")
    server = Live(room, "bad.gr", before=SLOW)

    async def told() -> str:
        async with Early(server) as tab:
            assert tab.view["ended"]
            return str(tab.view["message"])

    message = asyncio.run(told())
    server.process.wait(timeout=PATIENCE)
    code, _, errors = server.end()
    assert (code, errors) == (2, f"error: {message}\n")
