"""The code of README.md and of the pages in docs/ runs as it stands, on data that fit what is said of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import forked
import pytest
from typer.testing import CliRunner

from pdfkit.cli import app

TOP = Path(__file__).parent.parent.parent
README = (TOP / "README.md").read_text(encoding="utf-8")
PAGES = ["start", *(f"howto/{path.stem}" for path in sorted((TOP / "docs" / "howto").glob("*.md")))]
# What README.md calls the user's files, and measured data that are what it says.
USERS = {
    "cdse.gr": "ch08NPRefinement/data/CdSe-4.gr",
    "clusters.gr": "ch11ClusterXYZ/data/CdSe.gr",
    "si.iq": "ch05Fit2Phase/data/iq/si.iq",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the measured data of the `examples` extra in `examples`, which is the current one."""
    try:
        source = distribution("diffpy.cmi").locate_file("diffpy/cmi/docs/examples/pdf")
    except PackageNotFoundError:
        pytest.skip("needs the extra `examples`")
    shutil.copytree(str(source), tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a page in a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run(*command: str) -> str:
    """Run a program in the current folder as a user would and return what it printed; it has to succeed."""
    there = os.environ | {"PYTHONPATH": os.pathsep.join([str(TOP), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=there, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
    return done.stdout


def commands(text: str) -> list[list[str]]:
    """Return the lines of the shell blocks of a page that call pdfkit, as arguments."""
    lines = [line.split(" #")[0] for block in blocks(text, "bash") for line in block.splitlines()]
    return [line.split()[1:] for line in lines if line.startswith("pdfkit ")]


@pytest.mark.examples
@pytest.mark.parametrize("number", range(3))
def test_readme_code_runs_as_a_script(number: int, folder: Path) -> None:
    for name, source in USERS.items():
        shutil.copy(folder / "examples" / source, name)
    found = blocks(README, "python")
    assert len(found) == 3, "README.md has another number of examples than this test"
    Path("script.py").write_text(found[number], encoding="utf-8")
    printed = run("script.py")
    wanted = ("Fit of cdse: Rw = 0.173", "1  *  Cd56Se35_tetrahedron", "")
    assert wanted[number] in printed
    if number == 0:
        assert {"fit.pdf", "fit.h5"} <= {path.name for path in folder.iterdir()}


@pytest.mark.examples
def test_readme_commands_run(folder: Path) -> None:
    for name, source in USERS.items():
        shutil.copy(folder / "examples" / source, name)
    lines = commands(README)
    assert len(lines) == 3
    for line in lines:
        done = forked.run(*line, folder=folder)
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert "Rw = 0.17" in done.stdout


@pytest.mark.examples
@pytest.mark.filterwarnings("ignore::pdfkit.errors.PdfkitWarning")
@pytest.mark.parametrize("page", PAGES)
def test_code_of_a_page_runs(page: str, folder: Path) -> None:
    text = (TOP / "docs" / f"{page}.md").read_text(encoding="utf-8")
    code = "\n".join(blocks(text, "python"))
    assert code or page.endswith(("index", "workbench-safety")), "a how-to page without code"
    exec(compile(code, f"docs/{page}.md", "exec"), {"__name__": "__main__"})
    for block in blocks(text, "toml"):
        name = re.match(r"# (\S+\.toml)\n", block)
        assert name, "a recipe on a page starts with its name"
        Path(name[1]).write_text(block, encoding="utf-8")
    for line in commands(text):
        done = CliRunner().invoke(app.app, line)
        assert done.exit_code == 0, f"{line}: {done.output[-2000:]} {done.exception!r}"


def test_readme_is_short() -> None:
    words = len(README.split())
    assert words <= 700, f"README.md has {words} words"


def test_readme_says_which_pdfkit_it_is() -> None:
    assert "pdfkit-scattering" in README
    assert "another program" in README


@pytest.mark.parametrize("page", [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))], ids=lambda p: p.name)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    """In the checkout, too: the pages are read there, and the built site has a check of its own."""
    made = ("generated/", "notebooks/")  # by the build
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http", *made)) and "/notebooks/" not in target and "generated" not in page.parts:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
