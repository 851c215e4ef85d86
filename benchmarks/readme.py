"""Write the numbers of the pages in docs/, and a picture: `python benchmarks/readme.py`.

Runs the other scripts of this folder and puts what they print between the markers of those pages; draws
docs/pictures/cdse4.png. Takes a few minutes, most of them PDFfit2's.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import measured

from pdfkit import plot

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
PICTURES = DOCS / "pictures"

# Name of the block, script, its options.
BLOCKS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("startup", "startup.py", ()),
    ("startup-kernels", "startup.py", ("--kernels",)),
    ("clusters", "clusters.py", ()),
    ("screening", "screening.py", ("--rows", "8", "--markdown")),
    ("stacking", "stacking.py", ("--only", "table")),
    ("noise", "noise.py", ()),
    ("measured", "measured.py", ("--markdown",)),
    ("scattering", "scattering.py", ()),
    ("resolution", "resolution.py", ()),
    ("defaults", "defaults.py", ()),
    ("sizes", "finite_size.py", ("--only", "crystals")),
    ("sizes-stacks", "finite_size.py", ("--only", "stacks")),
    ("kinetics", "kinetics.py", ()),
    ("map-errors", "maps.py", ("--errors",)),
    ("sizes-measured", "finite_size.py", ("--only", "measured")),
)


# Of the long table of stacking models, the rows that a page has room for.
SHOWN = re.compile(
    r"\| (data|---|CdSe-[234] \| (two phases|stacked \||stacked, U11)|CdSe-bulk \| (wurtzite, U|stacked \|))"
)


def table(script: str, *options: str) -> str:
    done = subprocess.run([sys.executable, HERE / script, *options], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("***", "##"))]
    if script == "stacking.py":
        lines = [line for line in lines if SHOWN.match(line) or line.startswith("|---")]
    return "\n".join(lines).strip()


def put(name: str, content: str) -> None:
    """Write content between the markers of the block, on the one page that has it."""
    pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
    for page in sorted(DOCS.glob("*.md")):
        text, count = re.subn(
            pattern, lambda m: f"{m[1]}{content}\n{m[2]}", page.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        if count == 1:
            page.write_text(text, encoding="utf-8")
            return
    raise SystemExit(f"no page has one block called {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="names of blocks, such as clusters")
    only = parser.parse_args().only
    if not only:
        draw()
    for name, script, options in BLOCKS:
        if not only or name in only:
            put(name, table(script, *options))


def draw() -> None:
    result = measured.two_phases("CdSe-4", measured.SHARED)
    plot.fit(result, PICTURES / "cdse4.png", width=170.0)


if __name__ == "__main__":
    main()
