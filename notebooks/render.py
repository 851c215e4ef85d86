"""Render the documentation as HTML: `python notebooks/render.py [--out site]`, with the extra `docs`.

site/index.html is the README, site/api the docstrings of every public name (pdoc), site/notebooks the executed
notebooks (nbconvert). The folder is ignored by git. --no-run renders notebooks without executing them.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
TOP = HERE.parent
SHOWN = ("build", "plot", "scattering", "shapes", "transforms")
# Docstrings have lines that mean something.
STYLE = ".pdoc .docstring p { white-space: pre-line } .pdoc .docstring h2 { font-size: 1rem; border: none }"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }}
img {{ max-width: 100% }} pre, code {{ background: #f4f4f4; font-size: 90% }} pre {{ padding: .7em; overflow-x: auto }}
table {{ border-collapse: collapse; font-size: 90% }} td, th {{ border: 1px solid #ccc; padding: .2em .6em }}
</style></head><body><p><a href="index.html">pdfkit</a> · <a href="api/pdfkit.html">API</a> · {links}</p>
{body}</body></html>"""


def api(out: Path) -> None:
    """Write out/pdfkit.html, all public names, and a page of each module in SHOWN."""
    import pdoc

    import pdfkit

    for name in pdfkit.__all__:  # they are loaded on first use; the page needs them all
        pdfkit.__dict__[name] = getattr(pdfkit, name)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "custom.css").write_text(STYLE, encoding="utf-8")
        pdoc.render.configure(math=True, template_directory=Path(folder), footer_text=f"pdfkit {pdfkit.__version__}")
        pdoc.pdoc("pdfkit", rf"!pdfkit\.(?!({'|'.join(SHOWN)})$)", output_directory=out)


def notebook(path: Path, out: Path, run: bool) -> None:
    """Write one notebook as HTML, executed in its own folder."""
    import nbformat
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors import ExecutePreprocessor

    book = nbformat.read(path, as_version=4)
    if run:
        ExecutePreprocessor(timeout=300, kernel_name="python3").preprocess(book, {"metadata": {"path": str(HERE)}})
    body, _ = HTMLExporter().from_notebook_node(book, {"metadata": {"name": title(path)}})
    (out / f"{path.stem}.html").write_text(body, encoding="utf-8")


def title(path: Path) -> str:
    """Return the name of a notebook in words."""
    return path.stem[3:].replace("_", " ")


def pages(out: Path, books: list[Path]) -> None:
    """Write the README, the benchmarks' page with their pictures, and the pages of docs/."""
    from nbconvert.filters import markdown2html

    links = " · ".join(f'<a href="notebooks/{book.stem}.html">{title(book)}</a>' for book in books)
    shutil.copytree(TOP / "benchmarks" / "pictures", out / "benchmarks" / "pictures", dirs_exist_ok=True)
    sources = {TOP / "README.md": "index.html", TOP / "benchmarks" / "README.md": "benchmarks.html"}
    sources |= {page: f"{page.stem}.html" for page in sorted((TOP / "docs").glob("*.md"))}
    for source, name in sources.items():
        text = source.read_text(encoding="utf-8").replace("](pictures/", "](benchmarks/pictures/")
        body = markdown2html(text.replace("](benchmarks/README.md", "](benchmarks.html"))
        body = re.sub(r'href="notebooks/(\w+)\.ipynb"', r'href="notebooks/\1.html"', body)
        body = re.sub(r'href="(?:docs/)?(\w+)\.md', r'href="\1.html', body)
        (out / name).write_text(PAGE.format(title=name, links=links, body=body), encoding="utf-8")


def main() -> None:
    """Build the site."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TOP / "site")
    parser.add_argument("--no-run", action="store_true", help="do not execute the notebooks")
    options = parser.parse_args()
    books = sorted(HERE.glob("[0-9]*.ipynb"))
    (options.out / "notebooks").mkdir(parents=True, exist_ok=True)
    api(options.out / "api")
    for book in books:
        print(book.name, flush=True)
        notebook(book, options.out / "notebooks", not options.no_run)
    pages(options.out, books)
    print(options.out / "index.html")


if __name__ == "__main__":
    main()
