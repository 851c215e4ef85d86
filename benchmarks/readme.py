"""Write the numbers and the picture of README.md: `python benchmarks/readme.py`.

Runs the other scripts of this folder and puts what they print between the markers of README.md; draws
benchmarks/pictures/cdse4.png. Takes a few minutes, most of them PDFfit2's.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import measured

from pdfkit import plot

HERE = Path(__file__).parent
README = HERE.parent / "README.md"


def table(script: str, *options: str) -> str:
    done = subprocess.run([sys.executable, HERE / script, *options], capture_output=True, text=True, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("***")).strip()


def put(text: str, name: str, content: str) -> str:
    pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
    out, count = re.subn(pattern, lambda m: f"{m[1]}{content}\n{m[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"README.md has {count} blocks called {name}")
    return out


def main() -> None:
    result = measured.two_phases("CdSe-4", measured.SHARED)
    (HERE / "pictures").mkdir(exist_ok=True)
    plot.fit(result, HERE / "pictures" / "cdse4.png", width=170.0)
    text = README.read_text(encoding="utf-8")
    for name, script, options in (
        ("speed", "compare_pdffit2.py", ()),
        ("startup", "startup.py", ()),
        ("measured", "measured.py", ("--markdown",)),
    ):
        text = put(text, name, table(script, *options))
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
