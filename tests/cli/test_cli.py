"""The command line: every command as a process, and every wrong input as one line and exit code 2."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import forked
import numpy as np
import pytest

import pdfkit as pk
from pdfkit.cli import app, console, demo
from pdfkit.cli.info import describe, formula
from pdfkit.io.xyz import clusters
from pdfkit.model import noise
from pdfkit.recipes.recipe import load_recipe, run_recipe

RECIPE = """\
[data]
file = "ni.gr"
rmin = 1.5
rmax = 8.0

[[phase]]
name = "ni"
structure = "Ni"

[fit]
free = ["scale", "a", "Uiso"]
"""

Run = subprocess.CompletedProcess[str]


def nickel() -> pk.PDF:
    instrument = pk.Instrument(probe="X", qmax=20.0, qdamp=0.04)
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), instrument)
    return noise.simulate(model.with_values({"ni.a": 3.53}), 0.05, 10.0, 0.05, noise=0.05, seed=1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pk.write_pdf(tmp_path / "ni.gr", nickel())
    (tmp_path / "fit.toml").write_text(RECIPE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def process(folder: Path, *arguments: str) -> Run:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "pdfkit", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=120)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Run]]:
    """Run the command in this process; what it changes of the process is put back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    show = warnings.showwarning

    def run(*arguments: str) -> Run:
        monkeypatch.setattr(sys, "argv", ["pdfkit", *arguments])
        with pytest.raises(SystemExit) as end:
            app.main()
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(list(arguments), int(end.value.code or 0), out, err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
    warnings.showwarning = show


# --- commands, as processes ------------------------------------------------------------------------------------------


def test_fit_prints_one_json_object_and_writes_its_files(folder: Path) -> None:
    run = process(folder, "fit", "fit.toml", "--json")
    assert (run.returncode, run.stderr) == (0, "")
    found = json.loads(run.stdout, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert found["converged"]
    assert found["nfev"] > 0
    assert found["seconds"] > 0
    assert found["params"]["ni.a"]["value"] == pytest.approx(3.53, abs=5 * found["params"]["ni.a"]["stderr"])
    assert found["params"]["ni.scale"]["max"] is None
    names = ["report.txt", "fit.png", "columns.txt", "fit.h5", "ni.cif"]
    assert found["files"] == [str(Path("pdfkit-out", "fit", name)) for name in names]
    assert {path.name for path in (folder / "pdfkit-out" / "fit").iterdir()} == set(names)
    assert pk.load_result(folder / found["files"][3]).rw == pytest.approx(found["rw"], rel=1e-12)
    assert (folder / found["files"][1]).read_bytes().startswith(b"\x89PNG")


def test_simulate_info_and_plot_follow_each_other(folder: Path, here: Callable[..., Run]) -> None:
    run = here(
        *("simulate", "CdS_zincblende", "CdS_wurtzite", "--rmax", "12", "--rstep", "0.05", "--qmax", "15"),
        *("--qdamp", "0.03", "--window", "lorch", "--shape", "sphere", "--spdiameter", "22"),
        *("--set", "CdS_zincblende.Cd.Uiso=0.02", "--noise", "0.02", "--seed", "4", "-o", "cds.gr", "--plot"),
    )
    assert (run.returncode, run.stderr, run.stdout.split()) == (0, "", ["cds.gr", "cds.png"])
    data = pk.read_pdf(folder / "cds.gr")
    options = {"shape": pk.Sphere(22.0)}
    phases = [pk.Crystal.from_file(f"CdS_{kind}", name=kind, **options) for kind in ("zincblende", "wurtzite")]
    model = pk.Model(phases, pk.Instrument("X", 0.0, 15.0, 0.03, window="lorch"))
    model = model.with_values({"zincblende.Cd.Uiso": 0.02})
    expected = noise.simulate(model, 0.01, 12.0, 0.05, 0.02, seed=4)
    np.testing.assert_array_equal(data.G, expected.G)
    assert data.instrument == model.instrument

    run = here("info", "cds.gr")
    assert (run.returncode, run.stderr) == (0, "")
    assert "π/qmax = 0.2094 Å" in run.stdout  # 3.14159/15
    assert "57 points of 240" in run.stdout  # 11.95 Å / 0.2094 Å

    run = here("plot", "cds.gr", "-o", "picture.svg")
    assert (run.returncode, run.stderr, run.stdout.split()) == (0, "", ["picture.svg"])
    assert "<svg" in (folder / "picture.svg").read_text(encoding="utf-8")


def test_partials_of_a_result_and_of_a_recipe(folder: Path, here: Callable[..., Run]) -> None:
    result, _ = run_recipe(folder / "fit.toml", folder / "out")
    run = here("partials", "out/fit.h5", "--out", "parts")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.split() == [str(Path("parts", name)) for name in ("partials.txt", "partials.png")]
    names, values, _ = pk.io.read_columns(folder / "parts" / "partials.txt")
    assert names == ("r", "Gobs", "Gcalc", "Ni-Ni")
    # One element: its partial is the whole. The sum is taken in another order, hence not to the last bit.
    np.testing.assert_allclose(values[:, 3], result.calc.G, atol=1e-10)
    run = here("partials", "fit.toml", "--out", "again")
    assert run.returncode == 0
    np.testing.assert_allclose(pk.io.read_columns(folder / "again" / "partials.txt")[1], values, atol=1e-8)


def test_recipe_structures_version_and_help(folder: Path, here: Callable[..., Run]) -> None:
    run = here("recipe")
    assert run.returncode == 0
    (folder / "printed.toml").write_text(run.stdout, encoding="utf-8")
    assert load_recipe(folder / "printed.toml").data[0].file.name == "data.gr"
    run = here("recipe", "ni.gr", "-o", "mine.toml")
    assert run.stdout == "mine.toml\n"
    assert load_recipe(folder / "mine.toml").data[0].file == folder / "ni.gr"
    assert here("recipe", "-o", "mine.toml").returncode == 2, "overwrote a recipe"
    for data in ("new.gr", "./new.gr", str(folder / "new.gr")):
        run = here("recipe", data, "-o", "new.gr")
        assert run.returncode == 2
        assert run.stderr == "error: new.gr is the name of the data: give the recipe another, such as fit.toml\n"
    assert not (folder / "new.gr").exists()
    lines = here("structures").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*pk.io.available_structures(), *clusters()]
    assert "F -4 3 m" in next(line for line in lines if line.startswith("CdSe_zincblende"))
    renamed = here("simulate", "Ni", "--weights=constant").stderr
    assert renamed == "error: --weights is called --scattering now: give it constant or q-dependent\n"
    assert here("--version").stdout == f"pdfkit {pk.__version__}\n"
    assert "does not converge" in " ".join(here("fit", "--help").stdout.replace("│", " ").split())


def test_help_loads_nothing_heavy(folder: Path) -> None:
    code = (
        "import sys; sys.argv = ['pdfkit', '--help']\n"
        "from pdfkit.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'numba', 'lmfit', 'matplotlib', 'ase', 'h5py', 'periodictable'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60)
    assert "Commands" in run.stdout
    # numpy comes with the package's values, nothing else does.
    assert run.stderr.strip() in ("[]", "['numpy']")


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for processes there")
def test_ctrl_c_ends_with_130_and_no_traceback(folder: Path) -> None:
    code = (
        "import time; from pdfkit.fitting import least_squares\n"
        "def endless(*a, **k):\n"
        "    print('fitting', flush=True); time.sleep(60)\n"
        "least_squares.fit = endless"
    )
    with forked.Command(["fit", "fit.toml"], folder, before=code) as running:
        assert running.line(1) == "fitting\n"
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.startswith("interrupted")
    assert err.count("\n") == 1
    assert not (folder / "pdfkit-out").exists(), "an empty folder was left behind"


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for processes there")
def test_ctrl_c_while_python_leaves_changes_nothing(folder: Path) -> None:
    """Python gives signals back to the system early in its shutdown, which takes a while with all that is loaded."""
    code = (
        "import os, signal, sys\n"
        "class Late:\n"
        "    def __del__(self, kill=os.kill, me=os.getpid(), number=signal.SIGINT): kill(me, number)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "late = Late()\n"
        "sys.argv = ['pdfkit', 'info', 'ni.gr']\n"
        "from pdfkit.cli.app import main; main()"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "G" in run.stdout


# --- the demo --------------------------------------------------------------------------------------------------------


@pytest.mark.examples
@pytest.mark.skipif(demo.measured_file() is None, reason="diffpy.cmi is not installed")
def test_the_demo_fits_measured_data_and_its_recipe_reproduces_it(folder: Path, here: Callable[..., Run]) -> None:
    run = here("demo", "--json")
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert not found["simulated"]
    # What PDFfit2 gets with the same model: Rw 0.1736, diameter 36.06 Å (its conventions differ by 1 %).
    assert found["rw"] == pytest.approx(0.1734, abs=0.001)
    assert found["params"]["wz.spdiameter"]["value"] == pytest.approx(36.06, abs=0.2)
    assert Path(found["files"][-1]) == Path("pdfkit-demo", "recipe.toml")
    again, _ = run_recipe(folder / "pdfkit-demo" / "recipe.toml", folder / "again")
    assert again.rw == pytest.approx(found["rw"], rel=1e-12)


def test_the_demo_without_measured_data_says_that_it_simulates(
    folder: Path, here: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "measured_file", lambda: None)
    run = here("demo", "--out", "d")
    assert run.returncode == 0
    assert 'pip install "pdfkit-scattering[examples]"' in run.stderr
    assert run.stderr.count("\n") == 1
    assert "SIMULATED" in run.stdout.splitlines()[0]
    assert "Fit of simulated CdS" in run.stdout
    files = sorted(path.name for path in (folder / "d").iterdir())
    assert files
    assert all(name.startswith("simulated-") for name in files)
    assert "SIMULATED" in (folder / "d" / "simulated-report.txt").read_text(encoding="utf-8")
    result = pk.load_result(folder / "d" / "simulated-fit.h5")
    diameter = result.params["wz.spdiameter"]
    assert diameter.value == pytest.approx(22.0, abs=4 * diameter.stderr)
    # Errors of the right size: the misfit is what the noise makes it. 100 degrees of freedom: ± 14 %, three of those.
    assert result.reduced_chi2 == pytest.approx(1.0, abs=0.42)
    again, files_again = run_recipe(folder / "d" / "simulated-recipe.toml")
    assert again.rw == pytest.approx(result.rw, rel=1e-12)
    assert {path.parent for path in files_again} == {folder / "d"}


# --- wrong inputs ----------------------------------------------------------------------------------------------------

OVERLAP = """\
data_x
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Ni1 Ni 0 0 0
Pt1 Pt 0.05 0 0
"""


def damaged(kind: str) -> bytes:
    """Return ni.gr with a damage."""
    pdf = nickel()
    rows = [f"{r:.4f} {G:.6f}" for r, G in zip(pdf.r, pdf.G, strict=True)]
    if kind == "truncated":
        # Within the last row: its G is missing. (Between rows, or within G, no reader without a count can tell.)
        return "\n".join(["#L r G(r)", *rows]).encode()[: -len(rows[-1]) + 4]
    if kind == "binary":
        return bytes(range(256)) * 20
    if kind == "empty":
        return b""
    if kind == "nan":
        return "\n".join([*rows[:50], "2.55 nan", *rows[51:]]).encode()
    return "\n".join(
        ["#L r(nm) G(nm^-2)", *(f"{r / 10:.5f} {G * 100:.6f}" for r, G in zip(pdf.r, pdf.G, strict=True))]
    ).encode()


WRONG = {
    "truncated": ("ni.gr", "truncated", "line 201"),
    "binary": ("ni.gr", "binary", "binary"),
    "empty": ("ni.gr", "empty", "empty"),
    "NaN": ("ni.gr", "nan", "line 51"),
    "nm": ("ni.gr", "nm", 'r_unit="nm"'),
    "overlapping atoms": ("x.cif", OVERLAP, "site Ni1 is 0.200 Å from site Pt1"),
    "unknown element": ("x.cif", OVERLAP.replace("Pt1 Pt 0.05", "Q1 Qq 0.5"), "Qq"),
    "rmin above rmax": ("fit.toml", RECIPE.replace("rmin = 1.5", "rmin = 9.5"), "line 3: rmin = 9.5 is not below"),
    "unknown parameter": (
        "fit.toml",
        RECIPE.replace('"Uiso"', '"Usio"'),
        "line 11: no parameter is called 'Usio': nearest are Uiso, ",
    ),
    "wrong key": ("fit.toml", RECIPE.replace("free", "fee"), "line 11: [fit] has no key 'fee': the nearest is free"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_input_is_one_line_and_exit_code_2(folder: Path, here: Callable[..., Run], case: str) -> None:
    name, content, words = WRONG[case]
    if name == "ni.gr":
        (folder / name).write_bytes(damaged(content))
        # A file without header does not say what the recipe has to say then.
        text = RECIPE.replace("rmin", 'probe = "X"\nqmax = 20\nrmin', 1)
        (folder / "fit.toml").write_text(text, encoding="utf-8")
    else:
        (folder / name).write_text(content, encoding="utf-8")
    if name == "x.cif":
        (folder / "fit.toml").write_text(RECIPE.replace('"Ni"', '"x.cif"'), encoding="utf-8")
    before = set(folder.rglob("*"))
    run = here("fit", "fit.toml", "--json")
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith(f"error: {name}")
    assert run.stderr.count("\n") == 1
    assert words in run.stderr
    assert set(folder.rglob("*")) == before, "something was left behind"


def test_wrong_inputs_end_processes_the_same_way(folder: Path, here: Callable[..., Run]) -> None:
    (folder / "ni.gr").write_bytes(damaged("binary"))
    run = process(folder, "fit", "fit.toml")
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert run.stderr.startswith("error: ni.gr")
    run = here("fit", "--wrong-option")
    assert run.returncode == 2
    assert "Traceback" not in run.stderr


def test_a_folder_that_cannot_be_written_is_found_before_the_fit(
    folder: Path, here: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("the fit has started")

    monkeypatch.setattr("pdfkit.fitting.least_squares.fit", never)
    before = set(folder.rglob("*"))
    for command in ("fit", "partials"):
        run = here(command, "fit.toml", "--out", "ni.gr/below/it")
        assert run.returncode == 2
        assert run.stderr.startswith("error: folder ni.gr/below/it cannot be written")
        assert run.stderr.count("\n") == 1
    assert here("demo", "--out", "ni.gr/below").returncode == 2
    assert set(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "none.toml"], "none.toml: no such file"),
        (["fit", "."], "this is a folder"),
        (["plot", "none.gr"], "none.gr: no such file"),
        (["plot", "ni.gr", "-o", "ni.xyz"], "use .png"),
        (["plot", "ni.gr", "-o", "none/ni.png"], "does not exist: create it"),
        (["plot", "false.h5"], "false.h5"),
        (["partials", "false.h5"], "false.h5"),
        (["partials", "."], "this is a folder"),
        (["info", "Nikel"], "nearest of those are Ni, "),
        (["info", "false.h5"], "false.h5"),
        (["simulate", "CdSe_wurtzit"], "nearest of those are CdSe_wurtzite, "),
        (["simulate", "Ni", "--set", "Ni.b=3"], "no parameter is called 'Ni.b'"),
        (["simulate", "Ni", "--set", "a"], "is not NAME=VALUE"),
        (["simulate", "Ni", "--set", "a=nan"], "is not finite"),
        (["simulate", "Ni", "--probe", "Y"], "choose one of X, N, E"),
        (["simulate", "Ni", "--spdiameter", "20", "--thickness", "3", "--length", "2"], "needs a shape"),
        (["simulate", "Ni", "--shape", "spere", "--spdiameter", "20"], "'spere' is not known"),
        (["simulate", "Ni", "--rmin", "5", "--rmax", "3"], "--rmin 5 is not below --rmax 3"),
        (["simulate", "Ni", "--seed", "-1"], "seed"),
        (["simulate", "Ni", "-o", "ni.png", "--plot"], "the name of the picture"),
        (["simulate"], "Missing argument"),
        (["frobnicate"], "No such command"),
    ],
)
def test_what_commands_refuse(folder: Path, here: Callable[..., Run], arguments: list[str], words: str) -> None:
    (folder / "false.h5").write_text("not HDF5", encoding="utf-8")
    before = set(folder.rglob("*"))
    run = here(*arguments)
    assert run.returncode == 2
    assert words in run.stderr
    assert run.stdout == ""
    assert set(folder.rglob("*")) == before


def test_a_fit_that_does_not_converge_says_so_and_exits_with_0(folder: Path, here: Callable[..., Run]) -> None:
    (folder / "fit.toml").write_text(RECIPE + "max_nfev = 1\n", encoding="utf-8")
    run = here("fit", "fit.toml", "--json")
    assert run.returncode == 0
    assert run.stderr.startswith("warning: the fit did not converge: stopped after 1 evaluation")
    assert not json.loads(run.stdout)["converged"]


def test_a_lack_of_memory_is_one_line(folder: Path, here: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*args: object, **kwargs: object) -> None:
        raise MemoryError("Unable to allocate 34.6 GiB")

    monkeypatch.setattr("pdfkit.fitting.least_squares.fit", greedy)
    run = here("fit", "fit.toml")
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert "34.6 GiB" in run.stderr


def test_warnings_are_one_line(folder: Path, here: Callable[..., Run]) -> None:
    (folder / "x.cif").write_text(OVERLAP.replace("Pt1 Pt 0.05", "Ni2 Ni 0.0001"), encoding="utf-8")
    # Under pytest warnings are errors; on the command line they are not.
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        run = here("simulate", "x.cif", "--rmax", "3", "-o", "x.gr")
    assert run.returncode == 0
    assert run.stderr.startswith("warning: 1 site lies on another")
    assert all(line.startswith("warning: ") for line in run.stderr.splitlines())


# --- pieces ----------------------------------------------------------------------------------------------------------


def test_info_of_a_structure_a_result_a_recipe_and_an_sq(folder: Path) -> None:
    text = describe("CdSe_zincblende")
    assert "CdSe, 8 atoms a cell" in text
    assert "F -4 3 m" in text
    # Zinc blende: Cd–Se = a√3/4, like atoms a/√2.
    words = " ".join(text.split())
    assert f"Cd–Se shortest distance {6.05 * 3**0.5 / 4:.4f} Å" in words
    assert f"Cd–Cd shortest distance {6.05 / 2**0.5:.4f} Å" in words
    # 4 × (112.414 + 78.971) u in 221.445 Å³.
    assert "5.741 g/cm³" in text
    assert "Cd ×4" in text
    _, files = run_recipe(folder / "fit.toml", folder / "out")
    assert "converged" in describe(str(files[3]))
    assert "ni: Ni" in describe(str(folder / "fit.toml"))
    (folder / "a.sq").write_text("\n".join(f"{0.5 + 0.05 * k:.3f} {1 + 0.1 * (-1) ** k}" for k in range(100)))
    assert "π/step = 62.83 Å" in describe(str(folder / "a.sq"))


def test_formula() -> None:
    assert formula({"Cd": 4.0, "Se": 4.0}) == "CdSe"
    assert formula({"La": 1.0, "B": 6.0}) == "LaB6"
    assert formula({"Al": 12.0, "O": 18.0}) == "Al2O3"
    assert formula({"Cd": 3.6, "S": 4.0}) == "Cd3.6S4"


def test_progress_lines_come_only_after_a_second(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.fitting() as tell:
        for seconds in (0.0, 0.9, 0.2, 5.0, 5.1):
            now[0] += seconds
            tell(7, 0.25)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["fitting: evaluation 7, Rw 0.2500"] * 2


def test_errors_of_info_name_options_as_they_are_typed(tmp_path: Path, here: Callable[..., Run]) -> None:
    file = tmp_path / "x.dat"
    file.write_text("# Q y\n" + "".join(f"{0.05 * i:.2f} {0.1 * (-1) ** i}\n" for i in range(1, 200)))
    run = here("info", str(file), "--as", "sq")
    assert run.returncode == 2
    assert "give --kind S for S(Q), --kind F for" in run.stderr
    assert "kind=" not in run.stderr
