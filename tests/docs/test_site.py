"""What the documentation site is built with: its check of links, docstrings as pages, and tables that miss nothing."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

import pdfkit as pk
from pdfkit.recipes.tables import KEYS

EXTENSIONS = Path(__file__).parent.parent.parent / "docs" / "extensions"


@pytest.fixture(autouse=True)
def extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    for name in ("links", "docstrings", "topics"):
        sys.modules.pop(name, None)


def page(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"<html><body>{body}</body></html>", encoding="utf-8")


def test_dead_links_anchors_and_the_network_are_found(tmp_path: Path) -> None:
    import links

    page(tmp_path, "one.html", '<h1 id="here">One</h1><a href="two.html#there">fine</a><a href="#here">fine</a>')
    page(tmp_path, "two.html", '<h1 id="there">Two</h1><a href="https://www.iucr.org">the web may be linked to</a>')
    assert links.faults(tmp_path) == []
    page(
        tmp_path,
        "two.html",
        '<a href="three.html">x</a><img src="gone.png"><script src="https://cdn.org/x.js"></script>',
    )
    assert links.faults(tmp_path) == [
        "one.html: the link to two.html#there has no such anchor",
        "two.html loads https://cdn.org/x.js from the network",
        "two.html: the link to three.html leads nowhere",
        "two.html: the link to gone.png leads nowhere",
    ]


def test_docstrings_become_lists_and_code() -> None:
    import docstrings

    lines = ["Do.", "", "Parameters", "----------", "x, y : Å; of `f(x)`s.", "    More. z : last_", "", ">>> 1", "1"]
    assert docstrings.converted(lines) == [
        "Do.", "", ".. rubric:: Parameters", "", "",
        "* **x, y**: Å; of ``f(x)``\\ s.", "  More.", "", "* **z**: last\\_", "", "",
        ".. code-block:: pycon", "", "   >>> 1", "   1", "",
    ]  # fmt: skip


def test_items_of_docstrings_become_lists_after_their_prose() -> None:
    import docstrings

    assert docstrings.paragraph(["Two:", "* one", "  more", "- 2 * a"]) == [
        "Two:",
        "",
        "- one",
        "  more",
        "",
        r"- 2 \* a",
    ]
    assert docstrings.paragraph(["* kind : what"]) == ["", "* **kind**: what", ""]


def test_tables_and_types_of_docstrings_become_those_of_a_page() -> None:
    import docstrings

    assert docstrings.converted(["  | a | b |", "  |---|---|", "  | `x` | |"]) == [
        "  .. list-table::", "     :header-rows: 1", "",
        "     * - a", "       - b", "     * - ``x``", "       -", "",
    ]  # fmt: skip
    assert docstrings.short("(r: ndarray[tuple[Any, ...], dtype[float64]] = <factory>)") == "(r: Array = ...)"
    assert docstrings.short("~numpy.ndarray[tuple[~typing.Any, ...], ~numpy.dtype[~numpy.int64]]") == "Array[int64]"
    assert docstrings.short(None) is None
    assert (
        docstrings.escaped("the *number* of 2 * a and **b, `# ` first")
        == r"the *number* of 2 \* a and \*\*b, ``#`` first"
    )


def test_every_public_name_has_one_topic() -> None:
    import topics

    placed = [name for _, _, names in topics.TOPICS for name in names] + list(topics.NAMESPACES)
    assert sorted(placed) == sorted(pk.__all__)


def test_every_recipe_key_is_explained() -> None:
    words = tomllib.loads((EXTENSIONS / "words.toml").read_text(encoding="utf-8"))
    about = words.pop("about")
    assert "pdfkit fit" in about
    assert list(words) == list(KEYS)
    for table, keys in KEYS.items():
        assert set(keys) == set(words[table])
