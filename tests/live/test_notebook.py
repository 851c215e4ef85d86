"""The page of a result beside a notebook."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import numpy as np
import pytest

pytest.importorskip("bokeh", reason="the workbench needs the extra live")

from served import Live, Tab

import pdfkit as pk


@pytest.fixture(scope="module")
def result() -> pk.FitResult:
    instrument = pk.Instrument(probe="X", qmax=25.0)
    data = pk.Model([pk.Crystal.from_file("Ni", name="Ni")], instrument)(np.arange(1, 10, 0.02))
    model = pk.Model([pk.Crystal.from_file("Ni", name="Ni", scale=0.9)], instrument)
    return pk.fit(model, data, free=["scale", "a"], search="plain")


def tab_of(page: Any) -> Tab:
    parts = urlsplit(page.url)

    def ask() -> Any:
        with urllib.request.urlopen(page.url, timeout=20) as found:
            return SimpleNamespace(status=found.status, headers=found.headers, text=found.read().decode())

    origin = f"http://{parts.netloc}"
    return Tab(cast(Live, SimpleNamespace(host=parts.netloc, path=parts.path, origin=origin, ask=ask)))


def test_a_page_of_a_result_has_its_fit_and_its_numbers(result: pk.FitResult, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pk.live(result) as page:
        assert page.result is not None
        assert page.result.rw == pytest.approx(result.rw, abs=1e-9)
        assert page.values["Ni.a"] == pytest.approx(result.params["Ni.a"].value)
        assert page.url in page._repr_html_()

        async def moved() -> None:
            tab = tab_of(page)
            async with tab:
                assert "frame-ancestors http://127.0.0.1:*" in tab.answer.headers["Content-Security-Policy"]
                assert "X-Frame-Options" not in tab.answer.headers
                assert len(tab.view["history"]) == 1
                await tab.do("value", name="Ni.a", value=3.6)

        asyncio.run(moved())
        assert page.values["Ni.a"] == 3.6
        assert dict(zip(page.model.names, page.model.values, strict=True))["Ni.a"] == 3.6
        assert "Ni" in page.recipe
        url = page.url
    with pytest.raises(OSError):
        urllib.request.urlopen(url, timeout=5)
    assert not list(tmp_path.iterdir()), "nothing is left in the folder of the notebook"


def test_models_are_shown_alone_and_with_data(monkeypatch: Any, tmp_path: Path) -> None:
    """Of every kind of phase, and as fits of them: the page has the model's curve, and says what recipes cannot."""
    monkeypatch.chdir(tmp_path)
    about = pk.Instrument(probe="X", qmax=22.0, qdamp=0.03, window="lorch")
    stacked = pk.Stacked("Cd", "S", name="st", a_h=4.13, alpha=0.3, layers=6, diameter=25.0, U11=0.01, U33=0.02)
    ball = pk.Crystal.from_file("CdS_wurtzite", name="wz", shape=pk.Sphere(28.0))
    dot = pk.Cluster(pk.build.sphere("Au", 8.0), "dot", surface=True)
    model = pk.Model([stacked, ball, dot], about).with_values({"st.scale": 0.3, "wz.c": 6.6, "dot.expansion": 0.01})
    with pk.live(model) as page:
        found = page._session.curves()
        np.testing.assert_allclose(found.calculated, model(found.r).G, rtol=0, atol=1e-5 * abs(found.calculated).max())
        assert (page.values["wz.c"], page._session.view()["remarks"]) == (6.6, [])
    data = model(np.arange(1.0, 9.0, 0.02))
    with pk.live(model, data, data) as page:
        assert page._session.curves().rw == pytest.approx(0.0, abs=1e-5)
        assert len(page._session.prepared.data) == 2
    fitted = pk.fit(pk.Model([stacked], about), data, free=["st.scale", "alpha"], search="plain")
    with pk.live(fitted) as page:
        assert page._session.curves().rw == pytest.approx(fitted.rw, abs=1e-4)
    like = pk.Model([pk.Crystal.from_file("Ni", name="ni")], pk.Instrument(probe="X", qmax=22.0), "pdffit2")
    plain = pk.PDF(data.r, data.G, instrument=like.instrument)
    with pk.live(like, plain) as page:
        assert not [one for one in page._session.view()["remarks"] if "differs" in one]
    with pytest.raises(pk.PdfkitError, match="give one model"):
        pk.live(model, model)


def test_what_is_no_result_is_refused() -> None:
    with pytest.raises(pk.PdfkitError, match="give a result of"):
        pk.live(cast(Any, 3))
    with pytest.raises(pk.PdfkitError, match=r"nothing\.gr"):
        pk.live("nothing.gr")


def test_a_notebook_shows_it(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="notebooks need the extra docs")
    nbformat = pytest.importorskip("nbformat")
    cells = ["import pdfkit as pk\npage = pk.live('Ni')\npage", "page.values['Ni.a']", "page.close()"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in cells])
    nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "<iframe" in book.cells[0].outputs[-1]["data"]["text/html"]
    assert float(book.cells[1].outputs[-1]["data"]["text/plain"]) == pytest.approx(3.52, abs=0.01)
