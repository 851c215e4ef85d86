"""A build ends with a walk through its pages: a dead link or anchor, or anything from the network, is a warning."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src")}


class Page(HTMLParser):
    """The anchors of a page, and where its links and its pictures, scripts and styles lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = {"", "top"}
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one tag says."""
        for key, value in attrs:
            if key == "id" or (tag == "a" and key == "name"):
                self.anchors.add(value or "")
            if (tag, key) in LOADED:
                self.loaded.append(value or "")
            elif (tag, key) == ("a", "href"):
                self.links.append(value or "")


def faults(site: Path) -> list[str]:
    """Return a sentence for every link, anchor or file of the built pages in `site` that is not there."""
    built = [path for path in sorted(site.resolve().rglob("*.html")) if "_static" not in path.parts]  # the theme's own
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in built}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        outside = [url for url in page.loaded if urlsplit(url).netloc]
        found += [f"{name} loads {url} from the network" for url in outside]
        found += [f"{name}: {why}" for url in page.links + page.loaded if (why := dead(url, path, pages))]
    return found


def dead(url: str, path: Path, pages: dict[Path, Page]) -> str:
    """Return what is wrong with a link of the page at `path`, or an empty text."""
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        return ""
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.exists():
        return f"the link to {url} leads nowhere"
    if target in pages and unquote(parts.fragment) not in pages[target].anchors:
        return f"the link to {url} has no such anchor"
    return ""


def check(app: Any, error: Exception | None) -> None:
    """Look at what was built."""
    from sphinx.util import logging

    if error is None and app.builder.name == "html":
        for fault in faults(Path(app.outdir)):
            logging.getLogger(__name__).warning(fault)


def setup(app: Any) -> dict[str, Any]:
    """Register the check."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
