"""Pages that are written by the program itself, before each build: commands, recipe keys, checks, the API, notebooks.

They go to docs/generated and docs/notebooks, which git ignores, and are written only where they changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from topics import MODULES, NAMESPACES, TOPICS

DOCS = Path(__file__).parent.parent
TOP = DOCS.parent
OUT = DOCS / "generated"
BOOKS = DOCS / "notebooks"


def write(path: Path, text: str) -> None:
    """Write a page, unless it says so already: what is untouched is not read again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def cell(text: str) -> str:
    """Return text for a cell of a Markdown table."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "\\<").strip()


# --- The command line --------------------------------------------------------------------------------------------


def commands() -> str:
    """Return the page of every command, its arguments and its options, as the program lists them itself."""
    import typer

    from pdfkit.cli.app import app

    group = typer.main.get_command(app)
    lines = ["# Command line", "", cell(group.help or ""), "", "`pdfkit COMMAND --help` prints the same.", ""]
    for name, command in sorted(leaves(group, ("pdfkit",))):
        lines += [f"## {name}", "", *paragraphs(command.help or ""), *parameters(name, command), ""]
    return "\n".join(lines)


def leaves(group: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield (name in full, command) of every command below a group."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        elif not command.hidden:
            yield " ".join((*path, name)), command


def paragraphs(text: str) -> list[str]:
    """Return help text as Markdown: what the terminal shows indented stays as it is."""
    out = []
    for part in text.replace("\b", "").split("\n\n"):
        indented = all(line.startswith("  ") for line in part.splitlines())
        out += ["```text", part, "```", ""] if indented and part.strip() else [part.strip().replace("<", "\\<"), ""]
    return out


def parameters(name: str, command: Any) -> list[str]:
    """Return usage and a table of the parameters of a command."""
    shown = [one for one in command.params if one.name != "help" and not getattr(one, "hidden", False)]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    metavars = " ".join(f"{called(one)}..." if one.nargs == -1 else called(one) for one in arguments)
    rows = [f"| {cell(spelled(one))} | {cell(explained(one))} |" for one in shown]
    table = ["| argument or option | what it says |", "|---|---|", *rows] if rows else []
    return ["```bash", f"{name} [OPTIONS] {metavars}".rstrip(), "```", "", *table]


def called(one: Any) -> str:
    """Return the word that stands for the value of a parameter."""
    return str(one.metavar or one.name.upper())


def spelled(one: Any) -> str:
    """Return how a parameter is written."""
    if one.param_type_name == "argument":
        return f"`{called(one)}`"
    names = [*one.opts, *one.secondary_opts]
    value = "" if one.is_flag else f" {called(one)}"
    return ", ".join(f"`{text}{value if text == names[-1] else ''}`" for text in names)


def explained(one: Any) -> str:
    """Return the help of a parameter, with its default."""
    known = one.default if not callable(one.default) else None
    plain = known is not None and not isinstance(known, bool | tuple | list) and str(known) != ""
    value = f" Default: `{known}`." if plain and one.param_type_name == "option" else ""
    return f"{one.help or ''}{value}"


# --- Recipes -----------------------------------------------------------------------------------------------------


def recipe() -> str:
    """Return the page of every recipe key; each key has a sentence in words.toml, and each sentence a key."""
    from pdfkit.recipes.tables import KEYS
    from pdfkit.recipes.template import recipe_template

    words = tomllib.loads((DOCS / "extensions" / "words.toml").read_text(encoding="utf-8"))
    lines = ["# Recipe keys", "", words["about"], ""]
    for table, keys in KEYS.items():
        known = words[table]
        if wrong := set(keys) ^ set(known):
            raise SystemExit(f"docs/extensions/words.toml and the keys of {table} differ in {wrong}")
        lines += [f"## {table}", "", "| key | what it says |", "|---|---|"]
        lines += [*(f"| `{key}` | {cell(known[key])} |" for key in keys), ""]
    return "\n".join([*lines, "## A recipe with comments", "", "```toml", recipe_template(), "```", ""])


# --- Accuracy ----------------------------------------------------------------------------------------------------


def checks() -> str:
    """Return the table of `pdfkit verify`, measured now, a row a check, with the reason of its bound."""
    import pdfkit

    report = pdfkit.verify()
    lines = [f"Measured when this page was built: {report.machine}.", ""]
    reasons = list(dict.fromkeys(row.reason for row in report.rows))
    for topic in dict.fromkeys(row.topic for row in report.rows):
        lines += [f"**{topic}**", "", "| what | compared | largest difference | bound | why |", "|---|---|---|---|---|"]
        lines += [check_row(row, reasons) for row in report.rows if row.topic == topic]
        lines += [""]
    lines += ["**Why bounds are no smaller**", "", *(f"{k}. {why}" for k, why in enumerate(reasons, 1)), ""]
    return "\n".join(lines)


def power(value: float) -> str:
    """Return a number such as 5.3×10⁻⁷."""
    digits, exponent = f"{value:.1e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return digits if int(exponent) == 0 else f"{digits}×10{raised}"


def check_row(row: Any, reasons: list[str]) -> str:
    """Return the line of one check."""
    value = row.note if row.note else power(row.measured)
    why = reasons.index(row.reason) + 1
    return f"| {cell(row.name)} | {cell(row.compared)} | {cell(value)} | {power(row.bound)} | {why} |"


# --- API ---------------------------------------------------------------------------------------------------------


def api() -> dict[str, str]:
    """Return the pages of the API: one a topic, one a namespace, and their table of contents."""
    import pdfkit

    missing = set(pdfkit.__all__) - {name for _, _, names in TOPICS for name in names} - set(NAMESPACES)
    if missing:
        raise SystemExit(f"docs/extensions/topics.py has no topic for {', '.join(sorted(missing))}")
    pages = {stem: topic(title, names) for stem, title, names in TOPICS}
    pages |= {f"ns-{name}": namespace(f"pk.{name}", name, title) for name, title in NAMESPACES.items()}
    pages |= {f"ns-{name}": namespace(f"pdfkit.{name}", name, title) for name, title in MODULES.items()}
    index = ["# API by topic", "", "Everything public is reached through `import pdfkit as pk`. "]
    index += ["In signatures, `Array` is a numpy array of float64, and takes whatever numpy turns into one.", ""]
    for stem, title, names in TOPICS:
        index += [f"- [{title}](api-{stem}.md): {', '.join(f'`{name}`' for name in names)}"]
    for name, title in NAMESPACES.items():
        index += [f"- [`pk.{name}`](api-ns-{name}.md): {title}"]
    index += [f"- [`pdfkit.{name}`](api-ns-{name}.md): {title}" for name, title in MODULES.items()]
    toc = ["", "```{toctree}", ":hidden:", "", *(f"api-{stem}" for stem in pages), "```", ""]
    return {"api": "\n".join([*index, *toc])} | {f"api-{stem}": text for stem, text in pages.items()}


def topic(title: str, names: tuple[str, ...]) -> str:
    """Return the page of some public names."""
    import pdfkit

    lines = [f"# {title}", ""]
    for name in names:
        lines += [f"## {name}", "", *documented(f"pdfkit.{name}", getattr(pdfkit, name)), ""]
    return "\n".join(lines)


def namespace(heading: str, name: str, title: str) -> str:
    """Return the page of a namespace: what its `__all__` says, or what is defined in it."""
    import importlib

    import pdfkit

    module = importlib.import_module(f"pdfkit.{name}")
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__ and n[0] != "_"]
    names = [one for one in getattr(module, "__all__", own) if callable(getattr(module, one))]
    about = ["```{eval-rst}", f".. automodule:: pdfkit.{name}", "   :no-index:", "```", ""]
    lines = [f"# {heading}", "", f"{title}.", "", *about]
    for one in names:
        lines += [
            f"## {one}",
            "",
            *documented(f"{module.__name__}.{one}", getattr(module, one), one not in pdfkit.__all__),
            "",
        ]
    return "\n".join(lines)


def inherits(value: Any) -> bool:
    """Return whether a public class has members from others of pdfkit; those of foreign ones are documented there."""
    bases = value.__mro__[1:-1] if isinstance(value, type) else ()
    ours = [base for base in bases if base.__module__ != "abc"]
    return bool(ours) and all(base.__module__.startswith("pdfkit.") for base in ours)


def documented(path: str, value: Any, index: bool = True) -> list[str]:
    """Return the directive that writes out a docstring; a name that stands on two pages is in the index once."""
    kind, options = ("class", ["   :members:"]) if isinstance(value, type) else ("function", [])
    options += ["   :inherited-members: ABC, object"] if inherits(value) else []
    options += [] if index else ["   :no-index:"]
    return ["```{eval-rst}", f".. auto{kind}:: {path}", *options, "```"]


# --- Notebooks ---------------------------------------------------------------------------------------------------


def notebooks() -> None:
    """Run the notebooks that changed, or whose program changed, two at a time, and keep them with their outputs."""
    program = hashlib.sha256(b"".join(path.read_bytes() for path in sorted((TOP / "pdfkit").rglob("*.py"))))
    stale = []
    for path in sorted((TOP / "notebooks").glob("[0-9]*.ipynb")):
        key = program.copy()
        key.update(path.read_bytes())
        mark = BOOKS / f".{path.stem}.key"
        if not mark.is_file() or mark.read_text(encoding="utf-8") != key.hexdigest():
            stale.append((path, mark, key.hexdigest()))
    BOOKS.mkdir(exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: run(*one), stale))


def run(path: Path, mark: Path, key: str) -> None:
    """Run one notebook in its own folder; an error in a cell ends the build."""
    import nbformat
    from nbclient import NotebookClient
    from traitlets.config import Config

    book = nbformat.read(path, as_version=4)
    with TemporaryDirectory(prefix="pdfkit-") as folder:
        client = NotebookClient(
            book,
            timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            config=Config({"KernelManager": sockets(folder)}),
        )
        client.execute(env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(TOP)})
    nbformat.write(book, BOOKS / path.name)
    mark.write_text(key, encoding="utf-8")


def sockets(folder: str) -> dict[str, str]:
    """Return how a kernel is spoken to: by files of its own, since two that start together can get one TCP port."""
    return {"transport": "ipc", "ip": f"{folder}/kernel"} if os.name == "posix" else {}


def unrun() -> None:
    """Take the notebooks as they are, without outputs: for a quick look at the pages."""
    BOOKS.mkdir(exist_ok=True)
    for path in (TOP / "notebooks").glob("[0-9]*.ipynb"):
        write(BOOKS / path.name, path.read_text(encoding="utf-8"))
        (BOOKS / f".{path.stem}.key").unlink(missing_ok=True)


def generate(app: Any) -> None:
    """Write all of them. `-D pdfkit_quick=1` neither runs the notebooks nor measures the checks."""
    write(OUT / "cli.md", commands())
    write(OUT / "recipe.md", recipe())
    for name, text in api().items():
        write(OUT / f"{name}.md", text)
    quick = app.config.pdfkit_quick
    write(OUT / "checks.txt", "Not measured in this quick build.\n" if quick else checks())
    unrun() if quick else notebooks()


def setup(app: Any) -> dict[str, Any]:
    """Register what is to be done before the pages are read."""
    app.add_config_value("pdfkit_quick", False, "", [bool, str, int])
    app.connect("builder-inited", generate)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
