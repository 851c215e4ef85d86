"""The package as a house: imports run downhill, public names are complete, importing it is cheap."""

from __future__ import annotations

import ast
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk

ROOT = Path(pk.__file__).parent
# Rows of the house, lowest first: a module may import from its own row and those below.
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors", "_checks", "_plain", "_quiet", "_budget", "_expressions", "_threads", "kernels"),
    ("data", "covariance", "_shape_base", "_shape_averages", "shapes", "scattering", "transforms", "_phase_sums",
     "_sq_errors", "intensity", "_grid", "_filters", "structure", "_sites", "_symmetry", "_tidy", "_convert",
     "_curve_kinds", "_species", "_formulas", "_ions", "_resonance", "_find_symmetry", "_distances", "particle",
     "counting", "geometry", "debye"),
    ("phases", "io", "build", "reduction", "_reduce_setup", "_reduce_background", "_reduce_routes",
     "_reduce_errors", "_advice"),
    ("evaluate", "model", "params", "restraints", "results", "problem", "_instruments", "_ranges", "_whitening",
     "fitting", "uncertainty", "serial", "patterns"),
    ("screening", "comparison", "_screen_candidates", "_screen_confusion", "_screen_evidence", "_screen_journal",
     "_screen_mixtures", "_screen_null", "_screen_pool", "_screen_ranking", "_screen_run", "_screen_store",
     "_screen_table", "_screen_tasks", "_verify_checks", "_verify_naive", "_verify_samples", "_verify_peers",
     "_verify_definitions", "_verify_limits", "_verify_laws", "verification", "_workers", "_locks", "_folders"),
    ("recipe", "_recipe_template", "_recipe_tables", "_toml", "saving", "_simulate", "_info", "_pattern_command",
     "_reduce_config", "_reduce_batch", "_reduce_command", "_build_command", "_verify_command", "_verify_files",
     "_reduce_journal", "_info_data",
     "_field_cif", "_field_curves", "_field_elements", "_field_intensities", "_field_settings", "_field_structures",
     "_field_symmetry"),
    ("report", "plot", "_plot_patterns", "_plot_reduction", "_plot_screen", "_plot_comparison", "_screen_command",
     "_outputs", "demo", "benchmarking", "_bench_cases", "_bench_fits", "_bench_report", "_bench_rivals",
     "_bench_timing", "_plot_bench"),
    ("cli", "_bench_command", "_cluster_commands", "_data_commands", "_progress", "__main__"),
)  # fmt: skip
HEAVY = {
    0: {"numba", "numpy"},
    1: {"numba", "numpy", "periodictable", "scipy", "ase", "diffpy"},
    2: {"numba", "numpy", "periodictable", "scipy", "ase", "diffpy", "h5py", "gemmi"},
}


def modules() -> list[Path]:
    return sorted(p for p in ROOT.rglob("*.py") if "structures" not in p.parts)


def row_of(module: str) -> int:
    parts = module.split(".")
    for row, names in enumerate(ROWS):
        if parts[0] in names:
            return row
    raise AssertionError(f"{module} has no row: add it to ROWS")


def imported(path: Path) -> set[str]:
    """Return what a module imports when it is imported: full names, those in functions left out."""
    out = set()
    package = ["pdfkit", *path.relative_to(ROOT).parts[:-1]]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) for n in ast.walk(f)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            inside |= {id(n) for n in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            out |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            name = ".".join(x for x in (base, node.module or "") if x)
            out |= {f"{name}.{alias.name}" for alias in node.names} if name == "pdfkit" else {name}
    return out


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downhill(path: Path) -> None:
    relative = path.relative_to(ROOT)
    if relative == Path("__init__.py"):
        return
    own = row_of(relative.parts[0].removesuffix(".py"))
    for name in imported(path):
        if name.startswith("pdfkit."):
            assert row_of(name.removeprefix("pdfkit.")) <= own, f"{relative} imports uphill: {name}"
        elif own in HEAVY and name.split(".")[0] not in sys.stdlib_module_names:
            assert name.split(".")[0] in HEAVY[own], f"{relative} imports {name}"


def test_kernels_import_only_numbers() -> None:
    for path in (ROOT / "kernels").glob("*.py"):
        for name in imported(path):
            allowed = {"pdfkit._checks", "pdfkit.kernels"}
            top = name.split(".")[0]
            assert top in {"__future__", "math", "numpy", "numba", "collections", "typing"} or any(
                name.startswith(one) for one in allowed
            ), f"{path.name} imports {name}"


def test_public_names_are_complete_and_load() -> None:
    assert sorted(pk.__all__) == list(pk.__all__)
    assert len(set(pk.__all__)) == len(pk.__all__)
    for name in pk.__all__:
        thing = getattr(pk, name)
        assert thing.__doc__, f"{name} has no docstring"
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    block = next(n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test))
    typed = {alias.asname for node in ast.walk(block) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == set(pk.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pk.nothing  # type: ignore[attr-defined]


def test_no_module_bears_the_name_of_a_public_function() -> None:
    stems = {path.stem for path in modules()}
    functions = {name for name in pk.__all__ if name.islower() and not inspect.ismodule(getattr(pk, name))}
    assert not stems & functions


def test_importing_pdfkit_loads_nothing_heavy() -> None:
    heavy = ("numpy", "numba", "scipy", "lmfit", "matplotlib", "ase", "diffpy", "h5py")
    code = f"import sys, pdfkit; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_values_are_frozen_and_travel_between_processes() -> None:
    r = np.linspace(0.1, 5, 50)
    pdf = pk.PDF(r, np.sin(r), header={"qmax": "20"}, instrument=pk.Instrument(probe="X", qmax=20.0))
    with pytest.raises(ValueError, match="read-only"):
        pdf.G[0] = 1.0
    r[0] = 0.15
    assert pdf.r[0] == 0.1
    back = pickle.loads(pickle.dumps(pdf))
    np.testing.assert_array_equal(back.G, pdf.G)
    assert dict(back.header) == {"qmax": "20"}
    assert back.instrument == pdf.instrument
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pdf.instrument)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again(r).G, model(r).G)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pk.PDF([1, 2], [1.0]), "G has 1 points and r has 2"),
        (lambda: pk.PDF([1, 1], [1.0, 2.0]), "r does not increase"),
        (lambda: pk.PDF([1, 2], [1.0, float("nan")]), "G holds nan at index 1"),
        (lambda: pk.PDF([1, 2], [1.0, 2.0], [1.0, 0.0]), "dG holds 0 at index 1"),
        (lambda: pk.PDF([1, 2], ["a", 2.0]), "G is not numeric"),
        (lambda: pk.SQ([-1, 2], [1.0, 2.0]), "it cannot be negative"),
        (lambda: pk.Instrument(probe="Z"), "choose one of X, N, E"),
        (lambda: pk.Instrument(qmin=5, qmax=3), "qmax = 3 is not above qmin = 5"),
        (lambda: pk.Instrument(qdamp=-1), "qdamp = -1 is outside"),
        (lambda: pk.Instrument(window="lorch", qmax=float("inf")), "needs a finite qmax"),
        (lambda: pk.Crystal.from_file("Ni", name="a b"), "is not a plain word"),
        (lambda: pk.Crystal.from_file("Ni", name="ni", delta=1), "nearest are delta"),
        (lambda: pk.Crystal.from_structure(3, name="ni"), "is not a structure"),
        (lambda: pk.Convention(reach=1), "reach = 1 is outside"),
    ],
)
def test_wrong_values_are_refused_in_one_line(make: object, words: str) -> None:
    with pytest.raises(pk.PdfkitError) as error:
        make()  # type: ignore[operator]
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_curves_are_shown_in_one_line() -> None:
    r = np.arange(1.0, 5.0, 0.5)
    assert repr(pk.PDF(r, r, r, name="n")) == "PDF('n', 8 points, 1 to 4.5 Å, with dG)"
    assert repr(pk.SQ(r, r)) == "SQ(8 points, 1 to 4.5 Å⁻¹)"
    assert repr(pk.Intensity(r, r, r)) == "Intensity(8 points, 1 to 4.5 Å⁻¹, with dI)"
    assert repr(pk.count_pairs(pk.build.sphere("Au", 6.0))).endswith("counted by 'exact')")
