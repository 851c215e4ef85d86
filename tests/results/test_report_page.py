"""The page of a fit: whole in one file, well formed, escaped, and with the numbers of the result."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from simulated_fits import ALL, NAME, several, single, two_phases
from typer.testing import CliRunner

import pdfkit as pk
from pdfkit.cli.app import app
from pdfkit.results.page import Origin, page
from pdfkit.results.report import uncertain

VOID = {"meta", "img", "br"}


class Tree(HTMLParser):
    """Collects what is open and fails where something is closed that is not."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[int] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", ALL)
def test_a_page_is_whole_well_formed_and_fetches_nothing(name: str) -> None:
    text = page(ALL[name](), Origin())
    tree = Tree(text)
    assert "script" not in {tag for tag, _ in tree.tags}
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert NAME not in text.replace("&lt;", "\0")
    pictures = [attrs for tag, attrs in tree.tags if tag == "img"]
    assert all(attrs["alt"] for attrs in pictures)
    assert len(pictures) == text.count("data:image/svg+xml;base64,") >= 3
    assert tree.headings[0] == 1
    assert tree.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(tree.headings, tree.headings[1:], strict=False))
    heads = [attrs.get("scope") for tag, attrs in tree.tags if tag == "th"]
    assert set(heads) == {"col", "row"}
    assert "prefers-color-scheme:dark" in text
    assert "@media print" in text


def test_numbers_are_those_of_the_result() -> None:
    result = two_phases()
    text = page(result, Origin())
    for name in result.free:
        par = result.params[name]
        assert uncertain(float(par.value), par.stderr) in text, name
    assert f"Rw = {result.rw:.4f}" in text
    assert "On a limit, and so without an error: wz.a" in text
    assert "tied to zb.Cd.Uiso" in text
    assert "the data have no errors" in text
    assert "12 Cd around each Cd, at 4.1" in text
    assert "fractions" in text


def test_every_data_set_is_in_it() -> None:
    text = page(several(), Origin())
    assert re.findall(r'download="(curves_\w+\.txt)"', text) == ["curves_warm.txt", "curves_cold.txt"]
    assert "data cold" in text
    assert "weight 1" in text


def test_distances_have_the_errors_of_the_cell() -> None:
    result = single()
    a = result.params["zb.a"]
    bond = 3**0.5 / 4
    assert f">{uncertain(bond * a.value, bond * a.stderr)}<" in page(result, Origin())


def test_curves_recipe_and_structures_can_be_taken_out(tmp_path: Path) -> None:
    result, recipe = single(), '# <recipe> & co\n[fit]\nfree = ["scale"]\n'
    file = result.save(tmp_path / "one.h5", recipe=recipe, digests={"a & b.gr": "ab" * 32})
    made = CliRunner().invoke(app, ["report", str(file), "-o", str(tmp_path / "one.html")])
    assert made.exit_code == 0, made.output
    text = (tmp_path / "one.html").read_text("utf-8")
    files = {
        name: base64.b64decode(data).decode()
        for name, data in re.findall(r'download="([^"]+)" href="data:text/plain;charset=utf-8;base64,([^"]+)"', text)
    }
    assert list(files) == ["fit.toml", "curves.txt", "zb.cif"]
    assert files["fit.toml"] == recipe
    (tmp_path / "curves.txt").write_text(files["curves.txt"], "utf-8")
    names, values, _ = pk.io.read_columns(tmp_path / "curves.txt")
    assert list(names[:3]) == ["r", "Gobs", "Gcalc"]
    assert values[:, 2] == pytest.approx(result.calc.G, rel=1e-6, abs=1e-6)
    assert "&lt;recipe&gt; &amp; co" in text
    assert "ab" * 32 in text
    assert "a &amp; b.gr" in text
    assert "numpy" in text


def test_pages_name_files_without_their_folders() -> None:
    known = {"/home/me/secret/cds.gr": "1", "/home/me/secret/a/Ni.cif": "2", "C:\\me\\secret\\b\\Ni.cif": "3"}
    recipe = 'file = "/home/me/secret/cds.gr"\nstructure = "C:/me/secret/b/Ni.cif"'
    text = page(single(), Origin(recipe, known))
    assert "secret" not in text
    assert all(name in text for name in (">cds.gr<", ">a/Ni.cif<", ">b/Ni.cif<", "file = &quot;cds.gr&quot;"))


def test_clusters_and_patterns_beside_them_have_pages(tmp_path: Path) -> None:
    Q = np.linspace(0.02, 0.7, 60)
    small = pk.patterns.SmallAngle(pk.Intensity(Q, 1.0 + np.cos(3 * Q), np.full(Q.size, 0.1)))
    cluster = pk.Cluster(pk.build.tetrahedron("CdSe_zincblende", 3), "c")
    model = pk.Model(cluster, pk.Instrument(probe="X", qmin=0.8, qmax=18))
    result = pk.fit(model, {"pdf": model(np.arange(2, 10, 0.05)), "saxs": small}, free=["scale", "Cd.Uiso"])
    text = result.report(tmp_path / "c.html").read_text("utf-8")
    Tree(text)
    assert "pattern saxs" in text
    assert re.findall(r'download="([^"]+)"', text) == ["curves.txt", "curves_saxs.txt", "c.xyz"]
    assert "Se around each Cd" in text


def test_a_page_ends_in_html_and_is_of_a_result(tmp_path: Path) -> None:
    with pytest.raises(pk.PdfkitError, match=r"end the name one.pdf in .html"):
        single().report(tmp_path / "one.pdf")
    (tmp_path / "none.h5").write_text("nothing")
    with pytest.raises(pk.PdfkitError, match="HDF5"):
        Origin.of(tmp_path / "none.h5")


def test_neighbours_without_a_row_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "have no row here" not in page(single(), Origin())
    monkeypatch.setattr("pdfkit.results.page.MOST_SHELLS", 1)
    text = page(several(), Origin())
    assert re.search(r"\d+ more, at \d\.\d\d to \d\.\d\d Å, have no row here", text)
    assert f"make in data set {several().datasets[0].name}, without the cut" in text


def test_shares_of_pairs_are_drawn_where_only_the_second_phase_has_any() -> None:
    r = np.arange(1.6, 8, 0.02)
    phases = [pk.Crystal.from_file(name, name=name) for name in ("Ni", "NaCl")]
    model = pk.Model(phases, pk.Instrument(probe="X", qmax=22))
    assert "Share of each pair of elements" in page(pk.fit(model, model(r), free=["Ni.a"], search="plain"), Origin())
