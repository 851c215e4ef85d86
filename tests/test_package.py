"""The package as a house: imports run downhill, public names are complete, importing it is cheap."""

from __future__ import annotations

import ast
import importlib
import inspect
import pickle
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.model import Convention

ROOT = Path(pk.__file__).parent
# The house, lowest floor first: a room may import from its own floor and those below.
FLOORS = (
    "errors _terminal _table _page _machine _checks _expressions _workers",
    "kernels transforms shapes",
    "data structure",
    "scattering particles",
    "io debye",
    "phases build reduction",
    "model patterns trajectories",
    "results",
    "fitting uncertainty",
    "screening series verification",
    "plot",
    "recipes projects benchmarking",
    "workbench",
    "cli",
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms.split()}
# What a value object or a check asks of a floor above, inside a function or for a type, and why.
UPHILL = {
    ("particles.particle", "io"): "Particle.from_file",
    ("data.curves", "plot"): "PDF.plot",
    ("results.result", "plot"): "FitResult.plot",
    ("series.result", "plot"): "SeriesResult.plot",
    ("screening.report", "plot"): "the fits of Ranking.report",
    ("results.page", "plot"): "the pictures of FitResult.report",
    ("results.result", "fitting"): "FitResult.refit",
    ("fitting.continued", "recipes"): "+c and -delta2, as on the command line",
    ("io.exports", "results"): "the type of what is written",
    ("io.exports", "projects"): "write_project",
    ("verification.questions.settings", "recipes"): "what a recipe makes of a file",
    ("verification.questions.structures", "cli"): "what `pdfkit info` says",
    ("verification.questions.intensities", "cli"): "what `pdfkit info` says",
}
# Packages that a floor may import when it is itself imported; above them, anything that is needed.
HEAVY = [
    {"numba", "numpy", "threadpoolctl"},
    {"numba", "numpy", "scipy"},
    {"numpy", "scipy", "ase", "diffpy", "spglib", "gemmi"},
    {"numpy", "scipy", "periodictable"},
    {"numpy", "scipy", "periodictable", "ase", "diffpy", "h5py", "gemmi"},
    {"numpy", "scipy", "periodictable", "ase", "diffpy", "h5py", "gemmi"},
]


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split(".")[1:])
    return name.startswith("pdfkit.") and (place.with_suffix(".py").is_file() or (place / "__init__.py").is_file())


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported(path: Path) -> list[tuple[str, bool]]:
    """Return the full name of each import, and whether it is made when the module is imported."""
    out = []
    for node, at_once in imports(tree_of(path), True):
        if isinstance(node, ast.Import):
            out += [(alias.name, at_once) for alias in node.names]
        else:
            assert not node.level, f"{path} has a relative import"
            module = node.module or ""
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                out.append((whole if module == "pdfkit" or is_module(whole) else module, at_once))
    return out


def imports(node: ast.AST, at_once: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield the imports under a node; those in functions, and for types alone, are not made at once."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node, at_once
    elif isinstance(node, ast.stmt | ast.ExceptHandler | ast.Module):
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.iter_child_nodes(node):
            yield from imports(inner, at_once and not typing and not isinstance(node, ast.FunctionDef))


def test_every_room_stands_on_a_floor() -> None:
    rooms = {name_of(path).split(".")[0] for path in modules()} - {"__init__", "__main__"}
    assert rooms == set(FLOOR)


def test_imports_run_downhill() -> None:
    climbs = set()
    for path in modules():
        name = name_of(path)
        if name in ("__init__", "__main__"):
            continue
        for target, at_once in imported(path):
            package, _, rest = target.partition(".")
            room = rest.split(".")[0]
            if package != "pdfkit" or room == "__version__" or FLOOR[room] <= FLOOR[name.split(".")[0]]:
                continue
            assert not at_once, f"{name} imports uphill: {target}"
            climbs.add((name, room))
    assert climbs == set(UPHILL)


def test_no_circle_of_imports() -> None:
    """Modules that import each other when they are imported: none, on any floor."""
    names = {name_of(path) for path in modules()}
    arrows: dict[str, set[str]] = {}
    for path in modules():
        if name_of(path) != "__init__":
            found = {t.removeprefix("pdfkit.") for t, at_once in imported(path) if at_once and t.startswith("pdfkit.")}
            arrows[name_of(path)] = found & names
    while leaves := {name for name, targets in arrows.items() if not targets & set(arrows)}:
        arrows = {name: targets for name, targets in arrows.items() if name not in leaves}
    assert not arrows, f"these import each other in a circle: {sorted(arrows)}"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_heavy_packages_are_imported_where_they_are_used(path: Path) -> None:
    floor = FLOOR.get(name_of(path).split(".")[0], len(HEAVY))
    if floor < len(HEAVY):
        outside = {target.split(".")[0] for target, at_once in imported(path) if at_once} - {"pdfkit"}
        assert outside - set(sys.stdlib_module_names) <= {*HEAVY[floor], "lazy_loader"}


def test_kernels_import_only_numbers() -> None:
    for path in (ROOT / "kernels").glob("*.py"):
        for name, at_once in imported(path):
            top = name.split(".")[0]
            allowed = {"__future__", "math", "numpy", "numba", "collections", "typing"}
            if path.stem.startswith("_"):  # how they are compiled
                allowed |= {"contextlib", "gc"}
            inside = name in ("pdfkit._checks",) or name.startswith("pdfkit.kernels")
            assert top in allowed or inside or not at_once, f"{path.name} imports {name}"


def stubs() -> list[Path]:
    return sorted(ROOT.rglob("*.pyi"))


def stub_names(stub: Path) -> list[str]:
    """Return the names that a stub lists; type checkers export what is imported `as` its own name."""
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    aliases = [alias for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert all(alias.asname == alias.name for alias in aliases)
    return [alias.name for alias in aliases]


@pytest.mark.parametrize("stub", stubs(), ids=lambda stub: stub.parent.name)
def test_stub_and_package_agree(stub: Path) -> None:
    place = stub.parent.relative_to(ROOT.parent).parts
    package, names = importlib.import_module(".".join(place)), stub_names(stub)
    assert len(set(names)) == len(names)
    assert package.__all__ == dir(package) == sorted(names)
    for name in names:
        assert getattr(package, name).__doc__, f"{name} has no docstring"
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing


def test_the_public_face_is_small() -> None:
    # 55, and read_trajectory: simulated boxes are what the users of MD bring, as others bring a CIF; read_series and
    # fit_series: what a beamline gives is a run of scans, and a loop over fit loses them.
    # live: the page of a result in a notebook is asked for where the result is.
    assert len(pk.__all__) <= 59
    modules_too = {name for name in pk.__all__ if inspect.ismodule(getattr(pk, name))}
    namespaces = {name for name in modules_too if not callable(getattr(pk, name))}
    spaces = "build io particles patterns plot scattering shapes transforms uncertainty"
    assert sorted(namespaces) == spaces.split(" ")
    for name in namespaces - {"scattering"}:
        space = getattr(pk, name)
        assert len(set(space.__all__)) == len(space.__all__)
        assert all(hasattr(space, entry) for entry in space.__all__)


@pytest.mark.slow
def test_type_checkers_see_the_public_face(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    lines = [f"reveal_type(pk.{name})" for name in pk.__all__]
    script = tmp_path / "uses.py"
    script.write_text("\n".join(["import pdfkit as pk", *lines, "pk.nothing"]), encoding="utf-8")
    options = ["--strict", "--follow-imports=silent", "--cache-dir", str(tmp_path / "cache"), str(script)]
    said, _, code = api.run(options)
    errors = [line for line in said.splitlines() if ": error:" in line]
    assert code == 1
    assert len(errors) == 1, said
    assert 'Module has no attribute "nothing"' in errors[0]
    assert "Any" not in [line.split('"')[1] for line in said.splitlines() if "Revealed type" in line]


def test_no_module_bears_the_name_of_a_public_function() -> None:
    stems = {path.stem for path in modules()} | {path.parent.name for path in modules()}
    functions = {name for name in pk.__all__ if name.islower() and not inspect.ismodule(getattr(pk, name))}
    assert not stems & functions


def test_importing_pdfkit_loads_nothing_heavy() -> None:
    heavy = ("numpy", "numba", "scipy", "lmfit", "matplotlib", "ase", "diffpy", "h5py")
    code = f"import sys, pdfkit; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_fits_load_of_lmfit_what_they_use_and_the_rest_comes_when_asked_for() -> None:
    code = (
        "import sys, pdfkit as pk\n"
        "params = pk.Parameters()\n"
        "params.add('zb.a', value=6.0, min=5.9)\n"
        "heavy = ('scipy.stats', 'scipy.optimize', 'matplotlib', 'pandas', 'emcee', 'lmfit.model', 'lmfit.jsonutils')\n"
        "assert not [name for name in heavy if name in sys.modules]\n"
        "import lmfit\n"
        "plain = lmfit.Parameters()\n"
        "plain.add('x', value=2.0)\n"
        "assert isinstance(params['a'], lmfit.Parameter) and isinstance(params, lmfit.Parameters)\n"
        "assert lmfit.Parameters().loads(plain.dumps())['x'].value == 2.0\n"
        "from lmfit import minimize\n"
        "assert abs(minimize(lambda p: [p['x'] - 3.0, 0.0], plain).params['x'].value - 3.0) < 1e-6\n"
        "import lmfit.models\n"
        "assert 'Minimizer' in dir(lmfit) and type(lmfit) is type(sys) and lmfit.models.GaussianModel()\n"
        "assert not hasattr(lmfit, 'nothing')\n"
        "print('whole')"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "whole", done.stderr
    named = "import pdfkit as pk; pk.Parameters(); import lmfit; assert lmfit.__version__ and lmfit.__name__ == 'lmfit'"
    subprocess.run([sys.executable, "-c", named], check=True)
    first = "import lmfit, pdfkit as pk; assert issubclass(pk.Parameters, lmfit.Parameters) and lmfit.Minimizer"
    subprocess.run([sys.executable, "-c", first], check=True)


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
        (lambda: pk.PDF([1, 2], [1.0, -1e200]), "G reaches 1e+200"),
        (lambda: pk.SQ([-1, 2], [1.0, 2.0]), "it cannot be negative"),
        (lambda: pk.Instrument(probe="Z"), "choose one of X, N, E"),
        (lambda: pk.Instrument(qmin=5, qmax=3), "qmax = 3 is not above qmin = 5"),
        (lambda: pk.Instrument(qdamp=-1), "qdamp = -1 is outside"),
        (lambda: pk.Instrument(window="lorch", qmax=float("inf")), "needs a finite qmax"),
        (lambda: pk.Crystal.from_file("Ni", name="a b"), "phase name 'a b' cannot be used"),
        (lambda: pk.Crystal.from_file("Ni", name="ni", delta=1), "nearest are delta"),
        (lambda: pk.Crystal.from_structure(3, name="ni"), "is not a structure"),
        (lambda: Convention(reach=1), "reach = 1 is outside"),
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
    assert repr(pk.particles.count_pairs(pk.build.sphere("Au", 6.0))).endswith("counted by 'exact')")


def asked_kinds(path: Path) -> list[str]:
    """Return the lines that ask an object which kind of phase it is, or whether it has what one kind has."""
    kinds = {"Crystal", "Cluster", "Stacked", "Phase"}
    marks = {"structure", "particle", "refined_particle", "layers", "quantities_seen_by", "derived", "files"}
    out = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1:
            asked = {
                inner.id if isinstance(inner, ast.Name) else getattr(inner, "attr", "") for inner in ast.walk(node)
            }
            named = {inner.value for inner in node.args if isinstance(inner, ast.Constant)}
            if (node.func.id == "isinstance" and asked & kinds) or (
                node.func.id in ("hasattr", "getattr") and named & marks
            ):
                out.append(f"{name_of(path)}:{node.lineno}: {ast.unparse(node)}")
    return out


def test_phases_tell_what_they_are() -> None:
    """No room but that of the phases asks for their kind; `getattr(obj, "particle", obj)` takes particles, too."""
    rooms = [path for path in modules() if name_of(path).split(".")[0] != "phases" and name_of(path) != "model.serial"]
    found = [line for path in rooms for line in asked_kinds(path)]
    assert [line.split(": ")[1] for line in found] == ["getattr(obj, 'particle', obj)"], found
