"""Pictures of the guide to `pdfkit live`: the example from an empty page to a fit, six actions in Chromium.

python benchmarks/live_guide.py [--out docs/pictures]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from live_latency import chromium, served

WIDTH, HEIGHT = 1100, 690
DIAMETER = "input[type=range][aria-label$='.spdiameter']:enabled"


def shown(page: Any, file: Path) -> None:
    """Write what the page shows, in 256 colours: fewer leave out those of thin lines."""
    from PIL import Image

    page.wait_for_timeout(800)
    page.screenshot(path=str(file))
    Image.open(file).convert("P", palette=Image.Palette.ADAPTIVE, colors=256).save(file, optimize=True)
    print(file)


def main() -> None:
    """Do the six actions, and write three pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "pictures")
    out = parser.parse_args().out.resolve()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser, served(Path(folder)) as url:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(url)
        page.wait_for_selector("body[data-ready=yes][data-page]")
        page.click("#example")  # 1
        page.wait_for_selector(DIAMETER, timeout=60_000)
        shown(page, out / "live-open.png")
        page.check("#only-free")  # 2
        page.locator(DIAMETER).first.press("ArrowRight")  # 3
        page.select_option("#parts", "phases")  # 4
        page.click("#fit")  # 5
        page.wait_for_selector("#panel-history tbody tr", state="attached", timeout=120_000)
        page.wait_for_selector("body[data-busy=no]", timeout=120_000)
        shown(page, out / "live-fit.png")
        with page.expect_download() as saved:
            page.select_option("#save", "recipe")  # 6
        print(saved.value.suggested_filename)


if __name__ == "__main__":
    main()
