"""What all commands share: --json, options named in errors, completion, and help that says what to do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import pdfkit as pk
from pdfkit.cli import app, options
from pdfkit.cli.console import with_options
from pdfkit.errors import PdfkitError, missing, nearest

RUNNER = CliRunner()


def commands() -> dict[str, Any]:
    return typer.main.get_command(app.app).commands  # type: ignore[attr-defined]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data, recipes, a pattern and a cluster."""
    monkeypatch.chdir(tmp_path)
    r = np.arange(1.0, 8.0, 0.05)
    for element in ("Ni", "Cu"):
        model = pk.Model(pk.Crystal.from_file(element, name="p"), pk.Instrument(probe="X", qmax=20.0))
        pk.write_pdf(f"{element}.gr", model(r))
    for word in ("a", "c"):
        text = 'data = {file = "Ni.gr"}\nphase = [{name = "p", structure = "Ni"}]\nfit = {free = ["scale"]}\n'
        Path(f"{word}.toml").write_text(text.replace('"Ni"}', '"Ni", start = {a = 3.52}}' if word == "c" else '"Ni"}'))
    Path("s.toml").write_text(Path("a.toml").read_text().replace('{file = "Ni.gr"}', "{}") + 'series.files = "??.gr"\n')
    Q = np.arange(0.6, 15.0, 0.05)
    shutil.copy(Path(__file__).parents[1] / "projects" / "data" / "one.ddp3", tmp_path)
    rows = zip(Q, 1000 * (2 + np.sin(3 * Q) / Q), strict=True)
    Path("x.iq").write_text("# Q I(Q)\n" + "".join(f"{q:.3f} {i:.4f}\n" for q, i in rows))
    return tmp_path


# One call of every command, short enough to run, and a key of its result.
CALLS = {
    "fit": ("a.toml", "params"),
    "simulate": ("Ni --rmax 4 -o s.gr", "parameters"),
    "partials": ("CdS_zincblende --rmax 5 -o parts", "files"),
    "plot": ("Ni.gr Cu.gr --difference -o two.svg", "curves"),
    "report": ("pdfkit-out/a/fit.h5 -o fit.html", "format"),
    "info": ("Ni.gr", "facts"),
    "recipe": ("", "recipe"),
    "convert": ("one.ddp3 -o converted", "fits"),
    "structures": ("", "structures"),
    "pattern": ("t.xyz --saxs", "rg"),
    "build": ("tetrahedron CdS_zincblende 3 -o t.xyz", "particles"),
    "relax": ("capped.xyz --with classical -o relaxed.xyz", "relaxed_energy"),
    "screen": ("t.gr t.xyz --workers 1 --qmax 18 --rmax 10 -o screened", "best"),
    "series": ("s.toml --workers 1 -o scans", "scans"),
    "watch": (". s.toml --idle 0.2 -o watched", "scans"),
    "reduce": ("x.iq -s Ni --qmax 14 --rpoly 0.9", "reductions"),
    "compare": ("a.toml c.toml -o compared", "models"),
    "trajectory": ("t.xyz --cell 14 --qmax 15 --rmax 6 -o run.gr", "frames"),
    "series-view": ("Ni.gr Cu.gr --reference ni=Ni.gr --reference cu=Cu.gr -o seen", "amounts"),
    "verify": ("--topic", "rows"),
    "bench": ("--list", "cases"),
}


def test_every_command_prints_one_json_object_of_one_form(folder: Path) -> None:
    assert set(CALLS) == set(commands()) - {"demo", "live"}, (
        "demo prints what fit does; live serves until it is stopped"
    )
    first = ["build", *(name for name in CALLS if name != "build")]
    for name in first:
        if name == "screen":
            done = RUNNER.invoke(
                app.app, ["simulate", *["t.xyz", "--qmin", "0.8", "--qmax", "18", "--rmin", "1.5", "-o", "t.gr"]]
            )
            assert done.exit_code == 0
        if name == "relax":
            words = ["build", "tetrahedron", "CdS_zincblende", "3", "--cap", "Cl", "-o", "capped.xyz"]
            made = RUNNER.invoke(app.app, words)
            assert made.exit_code == 0
        arguments, key = CALLS[name]
        words = [*arguments.split(), *(["two methods"] if name == "verify" else []), "--json"]
        done = RUNNER.invoke(app.app, [name, *words])
        assert done.exit_code == 0, (name, done.exception, done.output)
        found = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
        assert found["command"] == name
        assert all((folder / file).is_file() for file in found["files"])
        assert isinstance(found["remarks"], list)
        assert key in found, name
        assert done.stdout.count("\n") == 1


# --- errors name options ---------------------------------------------------------------------------------------------


def valued() -> Iterator[tuple[str, Any]]:
    """Yield every option that takes a value."""
    for name, command in commands().items():
        for option in command.params:
            if option.param_type_name == "option" and not option.is_flag and not option.name.endswith("completion"):
                yield name, option


# A wrong value of each option of words or files; "nonsense" is none of a number.
WRONG = {
    "probe": "Y", "window": "none-such", "scattering": "heavy", "shape": "spere", "kind": "Q", "unit": "ell",
    "as_": "poem", "composition": "Xx", "outputs": "gif", "values": "Uiso", "centre": "Qq", "axis": "d",
    "folder": "Ni.gr",
    "background": "none.iq", "config": "none.cfg", "start": "Uiso", "null": "Nikel", "shell": "Nikel",
    "out": "Ni.gr/below/it.png", "build": "Xx3", "species": "CA", "cell": "large", "topology": "none.pdb",
    "index": "{none}K", "against": "middle", "reference": "Ni.gr", "total": "two", "law": "third order",
}  # fmt: skip
NEEDED = {
    "fit": ["a.toml"], "simulate": ["Ni"], "partials": ["CdS_zincblende"], "plot": ["Ni.gr"], "info": ["Ni.gr"],
    "report": ["Ni.gr"],
    "pattern": ["t.xyz"], "build": ["rod", "CdS_zincblende", "20", "20"],
    "screen": ["Ni.gr", "t.xyz", "--workers", "1"],
    "reduce": ["x.iq", "-s", "Ni"], "compare": ["a.toml", "c.toml"], "recipe": ["Ni.gr", "Ni"],
    "series-view": ["Ni.gr", "Cu.gr", "--reference", "ni=Ni.gr", "--reference", "cu=Cu.gr"],
    "series": ["s.toml"], "watch": [".", "s.toml"], "convert": ["one.ddp3"], "trajectory": ["t.xyz", "--cell", "14"],
    "relax": ["capped.xyz", "--with", "classical"], ("relax", "potential"): ["capped.xyz"],
    ("build", "shell"): ["core-shell", "CdS_zincblende", "12", "20"],
    ("build", "family"): ["candidates", "Cd4S"],
    ("build", "limit"): ["candidates", "Cd4S"],
    ("pattern", "polarisation"): ["t.xyz", "--xrd"],
}  # fmt: skip
ANYTHING = {"dask": "an address, asked of the network"}


def test_every_option_with_a_wrong_value_is_refused_by_its_name(folder: Path) -> None:
    RUNNER.invoke(app.app, ["build", "tetrahedron", "CdS_zincblende", "3", "-o", "t.xyz"])
    RUNNER.invoke(app.app, ["build", "tetrahedron", "CdS_zincblende", "3", "--cap", "Cl", "-o", "capped.xyz"])
    python = {option.name for _, option in valued()}
    assert len(list(valued())) > 80
    faults = []
    for name, option in valued():
        if option.name in ANYTHING:
            continue
        value = WRONG.get(option.name, "nonsense")
        needed = NEEDED.get((name, option.name), NEEDED.get(name, []))
        done = RUNNER.invoke(app.app, [name, *needed, option.opts[0], value])
        where = (name, option.opts[0], value, done.exception, done.output)
        refused = isinstance(done.exception, PdfkitError)
        if not (refused or done.exit_code == 2):
            faults.append(where)
            continue
        text = str(done.exception) if refused else done.output
        spoken = set(re.findall(r"(?<![\w.\-])(\w+)=(?=[\s,;)]|$)", text)) & python
        if spoken or not (value in text or option.opts[0] in text):
            faults.append(where)
    assert not faults, "\n".join(map(str, faults))


NEGATIVE = [
    ("simulate Ni --qmax -1", "--qmax"),
    ("simulate Ni --qmin -1", "--qmin -1 is outside"),
    ("simulate Ni --qdamp -1", "--qdamp -1"),
    ("simulate Ni --qbroad -1", "--qbroad -1"),
    ("simulate Ni --rstep 0", "--rstep 0"),
    ("simulate Ni --noise -1", "--noise -1"),
    ("simulate Ni --rmin 5 --rmax 3", "--rmin 5 is not below --rmax 3"),
    ("simulate Ni --wavelength 0", "--wavelength 0"),
    ("pattern t.xyz --step 0", "--step 0"),
    ("pattern t.xyz --xrd --fwhm -1", "--fwhm -1"),
    ("pattern t.xyz --uiso -1", "--uiso"),
    ("reduce x.iq -s Ni --qmax -1", "--qmax"),
    ("reduce x.iq -s Ni --rpoly -1", "--rpoly -1"),
    ("partials Ni --rmin 5 --rmax 3", "--rmin 5 is not below --rmax 3"),
]


@pytest.mark.parametrize(("line", "words"), NEGATIVE)
def test_numbers_out_of_range_are_refused_with_the_option(folder: Path, line: str, words: str) -> None:
    if "t.xyz" in line:
        RUNNER.invoke(app.app, ["build", "tetrahedron", "CdS_zincblende", "3", "-o", "t.xyz"])
    done = RUNNER.invoke(app.app, line.split())
    assert isinstance(done.exception, PdfkitError)
    assert words in str(done.exception)


def test_arguments_become_options_and_the_rest_of_a_message_stays() -> None:
    names = ("qmax", "as_", "uiso", "axis_ratio")
    assert with_options('give qmax=, or axis_ratio="2"', names) == "give --qmax, or --axis-ratio 2"
    assert with_options("qmax = 3 is not above qmin = 5", names) == "--qmax 3 is not above qmin = 5"
    assert with_options("Uiso = -1 is outside", names) == "--uiso -1 is outside"
    assert with_options("line 3: qmax = 30", names, of_file=True) == "line 3: qmax = 30"
    assert with_options("--set x.qmax=3", names) == "--set x.qmax=3"


# --- names that are near ---------------------------------------------------------------------------------------------


def test_the_nearest_names_go_on_where_the_word_ends() -> None:
    names = pk.io.available_structures()
    assert nearest("CdS", names, 2) == "CdS_wurtzite, CdS_zincblende"
    assert nearest("cdse", names, 2) == "CdSe_wurtzite, CdSe_zincblende"
    assert nearest("", ["b"]) == "b"


def test_a_missing_file_is_told_the_nearest_in_its_folder(folder: Path) -> None:
    assert missing("Nii.gr") == "no such file: the nearest name there is Ni.gr"
    assert missing(folder / "Nii.gr") == "no such file: the nearest name there is Ni.gr"
    assert missing("zzzzzz") == missing("no/folder/x") == "no such file: check the name and the folder"
    for line in (
        "fit aa.toml",
        "plot Nii.gr",
        "info Nii.gr",
        "partials a.tomll",
        "reduce x.iqq -s Ni",
        "screen Nii.gr x",
    ):
        done = RUNNER.invoke(app.app, line.split())
        assert "no such file: the nearest name there is" in str(done.exception), line


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("build sphere CdS 20", "the nearest are CdS_wurtzite, CdS_zincblende"),
        ("fit Ni.gr", "Ni.gr is data and needs a structure beside it"),
        ("compare Ni.gr a.toml", "this is data"),
        ("fit Ni.cif", "no data to fit among Ni.cif"),
        ("fit old.h5", "damaged HDF5"),
        ("pattern Ni.cif --xrd", "Ni.cif is a crystal without end"),
        ("pattern CdS_zincblende", "pdfkit build sphere CdS_zincblende 40"),
        ("plot Ni.gr --difference", "give two files"),
        ("plot Ni.gr Cu.gr --rmin 50", "50"),
    ],
)
def test_what_was_meant_is_said(folder: Path, line: str, words: str) -> None:
    pk.write_cif("Ni.cif", pk.load_structure("Ni"))
    Path("old.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    before = set(folder.rglob("*"))
    done = RUNNER.invoke(app.app, line.split())
    assert isinstance(done.exception, PdfkitError)
    assert words in str(done.exception)
    assert set(folder.rglob("*")) == before


# --- plot and partials -----------------------------------------------------------------------------------------------


def test_partials_of_a_structure_and_of_a_recipe_without_data(folder: Path) -> None:
    done = RUNNER.invoke(
        app.app, ["partials", "CdS_zincblende", "--qmax", "20", "--rmin", "1", "--rmax", "6", "-o", "p"]
    )
    assert done.exit_code == 0, done.exception
    names, values, _ = pk.io.read_columns("p/partials.txt")
    assert names == ("r", "G", "Cd-Cd", "Cd-S", "S-S")
    model = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="c"), pk.Instrument(probe="X", qmax=20.0))
    np.testing.assert_allclose(values[:, 1], model(values[:, 0]).G, atol=1e-6)
    np.testing.assert_allclose(values[:, 2:].sum(axis=1), values[:, 1], atol=1e-6)
    text = Path("a.toml").read_text().replace('"Ni.gr"', '"later.gr", probe = "N", qmax = 15')
    Path("later.toml").write_text(text)
    done = RUNNER.invoke(app.app, ["partials", "later.toml", "--model", "-o", "q"])
    assert done.exit_code == 0, done.exception
    names, values, _ = pk.io.read_columns("q/partials.txt")
    assert (names, values[0, 0], values[-1, 0]) == (("r", "G", "Ni-Ni"), 1.0, 20.0)
    assert {path.name for path in Path("q").iterdir()} == {"partials.txt", "partials.png"}


def test_plot_draws_files_and_results_together(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pdfkit import plot

    result, _ = pk.run_recipe("a.toml", "out")
    drawn: list[Any] = []
    monkeypatch.setattr(plot, "pdf", lambda *curves, path, **how: drawn.append((curves, how)))
    for line in ("Ni.gr Cu.gr out/fit.h5 --offset 3", "out/fit.h5 --rmin 2 --rmax 4", "Ni.gr Cu.gr --difference"):
        assert RUNNER.invoke(app.app, ["plot", *line.split(), "-o", "p.png"]).exit_code == 0
    (three, how), (ranged, alone), (two, both) = drawn
    assert [one.name for one in three] == ["Ni", "Cu", "fit fit"]
    assert how == {"offset": 3.0, "difference": False}
    np.testing.assert_array_equal(three[2].G, result.calc.G)
    assert [one.name for one in ranged] == ["data", "fit"]
    assert (ranged[0].r[0], ranged[1].r[-1]) == pytest.approx((2.0, 4.0))
    assert alone["difference"]
    assert both["difference"]
    assert [one.name for one in two] == ["Ni", "Cu"]


def test_plot_takes_the_unit_that_its_advice_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """r in nm without a label: the message names --unit, and with it the curve is drawn in Å."""
    from pdfkit import plot

    pdf = pk.read_pdf("Ni.gr")
    rows = (f"{r / 10:.5f} {G * 100:.6f}" for r, G in zip(pdf.r, pdf.G, strict=True))
    Path("nm.gr").write_text("\n".join(["#L r(nm) G(A^-2)", *rows]) + "\n")
    done = RUNNER.invoke(app.app, ["plot", "nm.gr", "-o", "p.png"])
    assert "--unit nm" in str(done.exception)
    drawn: list[Any] = []
    monkeypatch.setattr(plot, "pdf", lambda *curves, path, **how: drawn.extend(curves))
    done = RUNNER.invoke(app.app, ["plot", "nm.gr", "--unit", "nm", "-o", "p.png"])
    assert done.exit_code == 0, done.exception
    assert drawn[0].r[-1] == pytest.approx(pdf.r[-1], abs=1e-3)


# --- completion ------------------------------------------------------------------------------------------------------


def completions(folder: Path, line: str) -> list[str]:
    """Ask as bash does."""
    words = line.split(" ")
    asked = {"_PDFKIT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    code = "import sys; sys.argv = ['pdfkit']; from pdfkit.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("pdfkit si", {"simulate"}),
        ("pdfkit simulate CdS_", {"CdS_wurtzite", "CdS_zincblende"}),
        ("pdfkit build tet", {"tetrahedron"}),
        ("pdfkit simulate Ni --qm", {"--qmin", "--qmax"}),
    ],
)
def test_commands_names_and_options_are_completed(tmp_path: Path, line: str, names: set[str]) -> None:
    assert set(completions(tmp_path, line)) == names


def test_the_script_of_a_shell_is_shown(tmp_path: Path) -> None:
    code = "import sys; sys.argv = ['pdfkit', '--show-completion', 'bash']; from pdfkit.cli.app import main; main()"
    asked = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # the shell that tests run in is any
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=asked, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "_PDFKIT_COMPLETE=complete_bash" in done.stdout


def test_files_are_completed_beside_names(folder: Path) -> None:
    assert options.structure_names("Ni") == ["Ni", "Ni.gr"]
    assert options.completed("/**x", ("/**x",))[0] == "/**x"
    assert options.one_of("X", "N")("") == ["X", "N"]


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_argument_and_option_has_its_help_in_words(name: str) -> None:
    command = commands()[name]
    assert command.help
    for parameter in command.params:
        assert parameter.help, f"{name} {parameter.name}"
        assert parameter.help.split("  [")[0].rstrip().endswith((".", "`", ")", "…")), f"{name}: {parameter.help}"
        assert not re.fullmatch(r"Å.{0,4}\.?", parameter.help), f"{name} {parameter.name} has a unit for a help"


def test_a_recipe_for_data_alone_has_what_their_header_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = pk.Model(pk.Crystal.from_file("Ni"), pk.Instrument(probe="N", qmax=25.0, qdamp=0.03))
    monkeypatch.chdir(tmp_path)
    pk.write_pdf("ni.gr", model(np.arange(1.0, 4.0, 0.05)))
    done = RUNNER.invoke(app.app, ["recipe", "ni.gr"])
    assert done.exit_code == 0, done.exception
    assert all(line in done.output for line in ('probe = "N"', "qmax = 25.0\n", "qdamp = 0.03 "))
    assert "those of an example" in done.output
