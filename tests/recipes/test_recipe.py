"""Recipes: what they describe is what is fitted, and every complaint has the right line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pdfkit as pk
from pdfkit.errors import PdfkitError, ReadError, RecipeError, WriteError
from pdfkit.model import GeometryRestraint
from pdfkit.model import noise as model_noise
from pdfkit.recipes.recipe import fit_recipe, load_recipe, run_recipe
from pdfkit.recipes.tables import KEYS
from pdfkit.recipes.template import Example, recipe_template
from pdfkit.recipes.toml import Source

NICKEL = """\
title = "nickel"

[data]
file = "ni.gr"
rmin = 1.5
rmax = 9.0

[[phase]]
name = "ni"
structure = "Ni"
start = {a = 3.53, Ni.Uiso = 0.008}

[fit]
free = ["scale", "a", "Uiso"]

[output]
dir = "out"
"""


def nickel(a: float = 3.52, **options: object) -> pk.PDF:
    instrument = pk.Instrument(**{"probe": "X", "qmax": 20.0, "qdamp": 0.04, **options})  # type: ignore[arg-type]
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), instrument)
    return model_noise.simulate(model.with_values({"ni.a": a, "ni.Ni.Uiso": 0.006}), 0.05, 10.0, 0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pk.write_pdf(tmp_path / "ni.gr", nickel())
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "fit.toml"
    path.write_text(text, encoding="utf-8")
    return path


# --- what a recipe does ----------------------------------------------------------------------------------------------


def test_a_recipe_in_another_convention_is_the_fit_of_the_whole_file(folder: Path) -> None:
    # PDFfit2's filter begins where the file begins, not where the fit does.
    text = NICKEL.replace("[output]", 'convention = "pdffit2"\n\n[output]').replace(
        "start = {a = 3.53, Ni.Uiso", "start = {a = 3.52, Ni.Uiso"
    )
    recipe = load_recipe(written(folder, text))
    model = recipe.build()[0]
    whole = pk.fit(model, pk.read_pdf(folder / "ni.gr"), rmin=1.5, rmax=9.0, free=["scale", "a", "Uiso"])
    assert fit_recipe(recipe).rw == pytest.approx(whole.rw, rel=1e-12)


def test_a_recipe_is_the_fit_that_it_describes(folder: Path) -> None:
    result = fit_recipe(load_recipe(written(folder, NICKEL)))
    data = pk.read_pdf(folder / "ni.gr")
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), data.instrument)
    model = model.with_values({"ni.a": 3.53, "ni.Ni.Uiso": 0.008})
    same = pk.fit(model, data, rmin=1.5, rmax=9.0, free=["scale", "a", "Uiso"])
    assert result.values == pytest.approx(same.values, rel=1e-12)
    assert result.nfev == same.nfev
    # Data without noise: what went in comes out, but for the cut, whose tails depend on the range of r.
    assert result.params["ni.a"].value == pytest.approx(3.52, abs=2e-5)
    assert result.params["ni.Ni.Uiso"].value == pytest.approx(0.006, abs=2e-5)


def test_run_recipe_writes_what_was_asked_for(folder: Path) -> None:
    path = written(folder, NICKEL + 'write = ["report", "columns", "hdf5", "structures"]\nprefix = "a-"\n')
    calls: list[tuple[int, float]] = []
    result, files = run_recipe(path, progress=lambda nfev, rw: calls.append((nfev, rw)))
    assert [file.name for file in files] == ["a-report.txt", "a-columns.txt", "a-fit.h5", "a-ni.cif"]
    assert {file.name for file in (folder / "out").iterdir()} == {file.name for file in files}
    assert (folder / "out" / "a-report.txt").read_text(encoding="utf-8").startswith("nickel\n\nFit of ")
    loaded = pk.load_result(files[2])
    assert loaded.values == pytest.approx(result.values, rel=0)
    names, values, _ = pk.io.read_columns(files[1])
    assert values[:, names.index("Gcalc")] == pytest.approx(result.calc.G, rel=0)
    refined = pk.read_structure(files[3])
    assert refined.spacegroup == "F m -3 m"
    # Rounded to two digits of the standard uncertainty: half of the last of them at most.
    a = result.params["ni.a"]
    assert refined.cell[0] == pytest.approx(a.value, rel=0, abs=0.051 * a.stderr)
    assert [nfev for nfev, _ in calls] == list(range(1, result.nfev + 1))
    # The fit's range of ripples follows the start values, that of the reported curve the refined ones: both are good to
    # 1e-4 of max|G| (`_grid.ripple_range`), and these data have no noise that would hide the difference.
    assert calls[0][1] > 0.01
    assert calls[-1][1] == pytest.approx(result.rw, abs=1e-4)


def test_the_hdf5_file_holds_the_recipe_and_the_digests_of_the_inputs(folder: Path) -> None:
    import h5py

    path = written(folder, NICKEL + 'write = ["hdf5"]\n')
    _, files = run_recipe(path)
    with h5py.File(files[0]) as file:
        entry = file["entry"]
        assert entry["recipe/data"][()].decode() == path.read_text(encoding="utf-8")
        sums = [text.decode() for text in np.ravel(entry["inputs/sha256"][()])]
    assert sums == [hashlib.sha256((folder / "ni.gr").read_bytes()).hexdigest()]


def test_the_folder_of_the_results(folder: Path) -> None:
    recipe = load_recipe(written(folder, NICKEL))
    assert recipe.folder == folder / "out"
    recipe = load_recipe(written(folder, NICKEL.replace('dir = "out"', "")))
    assert recipe.folder == Path("pdfkit-out") / "fit"


def test_several_data_sets_have_their_own_range_instrument_and_scale(folder: Path) -> None:
    pk.write_pdf(folder / "n.gr", nickel(probe="N", qmax=25.0))
    text = NICKEL.replace("[data]", '[[data]]\nname = "x"').replace(
        "[[phase]]", '[[data]]\nname = "n"\nfile = "n.gr"\nrmin = 2.0\nrmax = 6.0\n\n[[phase]]'
    )
    result, files = run_recipe(written(folder, text + 'write = ["columns"]\n'))
    first, second = result.datasets
    assert (first.data.r[0], first.data.r[-1], second.data.r[0], second.data.r[-1]) == pytest.approx((1.5, 9, 2, 6))
    assert (first.model.instrument.probe, second.model.instrument.probe) == ("X", "N")
    assert set(result.free) == {"x.ni.scale", "n.ni.scale", "ni.a", "ni.Ni.Uiso"}
    assert result.params["ni.a"].value == pytest.approx(3.52, abs=2e-5)
    assert [file.name for file in files] == ["columns_x.txt", "columns_n.txt"]


def test_options_of_data_and_phase_reach_the_model(folder: Path) -> None:
    text = (
        NICKEL.replace(
            "rmin = 1.5",
            'probe = "E"\nqmin = 0.5\nqmax = 18\nqdamp = 0.02\nqbroad = 0.01\nwindow = "gaussian"\n'
            'window_width = 0.2\nscattering = "q-dependent"\nrmin = 1.5',
        )
        .replace(
            'name = "ni"',
            'name = "ni"\nscale = 2\ndelta1 = 0.1\nsratio = 0.9\nrcut = 3\nanisotropic = ["Ni"]\n'
            'shape = {kind = "spheroid", equatorial = 20, axis_ratio = 1.5}',
        )
        .replace(", Ni.Uiso = 0.008", "")
    )
    with pytest.warns(pk.PdfkitWarning, match="header says"):
        model, data = load_recipe(written(folder, text)).build()
    assert isinstance(data, pk.PDF)
    assert "ni.gr: the file's header says qmax = 20, 18 is used because it was given" in data.remarks
    assert model.instrument == pk.Instrument("E", 0.5, 18.0, 0.02, 0.01, "gaussian", 0.2, "q-dependent")
    (phase,) = model.phases
    assert phase.shape == pk.shapes.Spheroid(20.0, 1.5)
    assert isinstance(phase, pk.Crystal)
    assert (phase.scale, phase.delta1, phase.sratio, phase.rcut) == (2.0, 0.1, 0.9, 3.0)
    assert not phase.structure.sites[0].isotropic
    assert phase.structure.cell[0] == 3.53


def test_clusters_that_move_and_keep_their_shape(folder: Path) -> None:
    text = """
data = {file = "c.gr", probe = "X", qmin = 0.8, qmax = 20}
phase = [{name = "dot", structure = "Cd56Se35_tetrahedron", moves = "shells"}]
[fit]
free = ["scale", "Cd_shell1"]
restraints = [{phase = "dot", bonds = 0.05, displacement = 0.2, lengths = {"Cd-Se" = 2.6}}]
"""
    (folder / "c.toml").write_text(text)
    recipe = load_recipe(folder / "c.toml")
    assert recipe.restraints == (GeometryRestraint("dot", 0.05, None, 0.2, {"Cd-Se": 2.6}),)
    assert recipe.phases[0].build().moves == "shells"


def test_ties_bounds_and_restraints(folder: Path) -> None:
    text = NICKEL.replace(
        "[output]",
        'use_errors = false\nnoise = "given"\nsearch = "plain"\nmax_nfev = 7\nconvention = "diffpy-cmi"\n'
        'ties = {ni.Ni.occ = "1", qbroad = 0.01}\n'
        "bounds = {a = [3.5, 3.6], Ni.Uiso = {min = 0.001}, scale = {max = 9}}\n"
        'restraints = [{expression = "ni.a", target = 3.5, sigma = 0.1},\n'
        '  {phase = "ni", bond = ["Ni", "Ni"], target = 2.5, sigma = 0.02}]\n\n[output]',
    )
    recipe = load_recipe(written(folder, text))
    assert recipe.ties == {"ni.Ni.occ": "1", "qbroad": 0.01}
    assert recipe.bounds == {"a": (3.5, 3.6), "Ni.Uiso": (0.001, None), "scale": (None, 9.0)}
    assert recipe.restraints == (
        pk.ValueRestraint("ni.a", 3.5, 0.1),
        pk.BondRestraint("ni", "Ni", "Ni", 2.5, 0.02),
    )
    assert (recipe.use_errors, recipe.max_nfev, recipe.convention) == (False, 7, "diffpy-cmi")
    assert (recipe.noise, load_recipe(written(folder, NICKEL)).noise) == ("given", "estimated")
    assert (recipe.search, load_recipe(written(folder, NICKEL)).search) == ("plain", "staged")


def test_structures_are_taken_from_beside_the_recipe(folder: Path) -> None:
    pk.write_cif(folder / "mine.cif", pk.load_structure("Ni"))
    recipe = load_recipe(written(folder, NICKEL.replace('"Ni"', '"mine.cif"')))
    assert recipe.inputs() == [folder / "ni.gr", folder / "mine.cif"]
    assert recipe.build()[0].phases[0].composition() == {"Ni": 4.0}


# --- the template ----------------------------------------------------------------------------------------------------


def test_the_template_loads_and_explains_every_key(tmp_path: Path) -> None:
    text = recipe_template()
    recipe = load_recipe(written(tmp_path, text))
    assert [phase.name for phase in recipe.phases] == ["wz", "zb"]
    assert recipe.ties["zb.spdiameter"] == "wz.spdiameter"
    for key in (key for keys in KEYS.values() for key in keys):
        assert f"{key} = " in text or f"[{key}]" in text or f"[fit.{key}]" in text, key


def test_the_commented_keys_of_the_template_are_true_too(tmp_path: Path) -> None:
    lines = recipe_template(example=Example(rmax=6.0)).splitlines()
    keys = {key for table in KEYS.values() for key in table}
    opened = [line[2:] if line.startswith("# ") and line[2:].split(" =")[0] in keys else line for line in lines]
    text = "\n".join(line.removeprefix("#") if line.startswith(("#     {", "# ]")) else line for line in opened)
    text = text.replace("\n ]", "\n]").replace("anisotropic = true", "")
    recipe = load_recipe(written(tmp_path, text))
    assert len(recipe.restraints) == 5
    assert (recipe.prefix, recipe.out, recipe.max_nfev) == ("run1-", tmp_path / "results", 100)
    assert recipe.data[0].instrument == {"window_width": 0.5, "scattering": "q-dependent", "anomalous": True}


@settings(max_examples=25)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_file_name_survives_the_template(name: str) -> None:
    import tomllib

    assert tomllib.loads(recipe_template(name))["data"]["file"] == name


def test_a_curve_of_another_kind(folder: Path) -> None:
    data = pk.read_pdf(folder / "ni.gr")
    rho0, b2 = pk.load_structure("Ni").number_density(), 0.01 * 10.3**2  # barn
    T = b2 * (data.G + 4 * np.pi * data.r * rho0)
    pk.io.write_columns(folder / "t.txt", ["r", "G(r)"], [data.r, T], ["qmax = 20"])
    of = f'kind = "T"\ncomposition = "Ni"\nrho0 = {rho0!r}\n'
    text = NICKEL.replace("ni.gr", "t.txt").replace("rmin = 1.5", f'{of}probe = "N"\nrmin = 1.5')
    with pytest.warns(pk.PdfkitWarning, match=r"labelled G\(r\), and it is read as T\(r\) because kind = T was given"):
        _, read = load_recipe(written(folder, text)).build()
    assert isinstance(read, pk.PDF)
    np.testing.assert_allclose(read.G, data.G, rtol=0, atol=1e-11)
    with pytest.raises(RecipeError, match="kind = 'Z' is not known") as caught:
        load_recipe(written(folder, text.replace('kind = "T"', 'kind = "Z"')))
    assert caught.value.line is not None


# --- complaints ------------------------------------------------------------------------------------------------------

WRONG = [
    # what is replaced, by what, the line at fault, and words of the message
    ("rmin = 1.5", "rminn = 1.5", 5, "[data] has no key 'rminn': the nearest is rmin"),
    ("rmin = 1.5", "free = 1.5", 5, "it belongs in [fit]"),
    ("rmin = 1.5", 'rmin = "1.5"', 5, "rmin in [data] is '1.5' (text): give a number"),
    ("rmin = 1.5", "rmin = true", 5, "true or false"),
    ("rmin = 1.5", "rmin = 1.5 1", 5, "not TOML"),
    ("rmin = 1.5", "rmin = 12", 5, "rmin = 12 is not below rmax = 9"),
    ("rmin = 1.5", "qmax = -3", 5, "qmax = -3 is outside"),
    ("rmin = 1.5", 'probe = "Z"', 5, "choose one of X, N, E"),
    ("rmin = 1.5", 'window = "lorsch"', 5, "choose one of none, lorch"),
    ('file = "ni.gr"', "", 3, "[data] lacks file"),
    ('file = "ni.gr"', "file = 3", 4, "text in quotes"),
    ('name = "ni"', 'name = "n i"', 9, "phase name 'n i' cannot be used"),
    ('structure = "Ni"', "", 8, "[phase] lacks structure"),
    ("start = {a = 3.53", "start = {a = [1]", 11, "start value of a is a list"),
    ("start = {a = 3.53", "scale = inf\nstart = {a = inf", 12, "give a finite number"),
    ("start = {a = 3.53, Ni.Uiso = 0.008}", 'shape = {kind = "spere"}', 11, "shape 'spere' is not known"),
    ("start = {a = 3.53, Ni.Uiso = 0.008}", 'shape = {kind = "sphere"}', 11, "lacks spdiameter"),
    ("start = {a = 3.53, Ni.Uiso = 0.008}", 'shape = "sphere"', 11, "shape needs its kind"),
    (
        "start = {a = 3.53, Ni.Uiso = 0.008}",
        'shape = {kind = "sphere", spdiameter = "x"}',
        11,
        "spdiameter of the shape",
    ),
    ("free = ", "fre = ", 14, "nearest is free"),
    ('free = ["scale", "a", "Uiso"]', "free = [1]", 14, "a list of texts"),
    ('free = ["scale", "a", "Uiso"]', "", 13, "[fit] lacks free"),
    ('"Uiso"]', '"Uiso"]\nuse_errors = "auto"', 15, "use_errors in [fit] is 'auto' (text): give true or false"),
    ('"Uiso"]', '"Uiso"]\nweights = "auto"', 15, "no key 'weights': it is called use_errors (true or false) now"),
    ("rmin = 1.5", 'weights = "constant"', 5, "no key 'weights': it is called scattering ("),
    ('"Uiso"]', '"Uiso"]\nmax_nfev = 0', 15, "a whole number"),
    ('"Uiso"]', '"Uiso"]\n[fit.ties]\nni.a = true', 15, "tie of ni.a is true or false"),
    ('"Uiso"]', '"Uiso"]\n[fit.bounds]\n\nscale = 3', 17, "bounds of scale are not two numbers"),
    ('"Uiso"]', '"Uiso"]\nrestraints = [\n{expression = "ni.a", target = 3.5},\n]', 15, "a restraint lacks sigma"),
    (
        '"Uiso"]',
        '"Uiso"]\nrestraints = [\n{expression = "ni.a", target = 3, sigma = 1},\n'
        '{expression = "ni.a", target = 3, sigma = 0}]',
        17,
        "sigma = 0 is outside",
    ),
    ('dir = "out"', 'write = ["report", "pdf"]', 17, "cannot write 'pdf'"),
    ('dir = "out"', 'prefix = "../"', 17, "starts file names"),
    ('title = "nickel"', "colour = 3", 1, "the recipe has no key 'colour'"),
    ('title = "nickel"', "data = 3\ntitle = 1", 4, "not TOML"),
]


@pytest.mark.parametrize(("old", "new", "line", "words"), WRONG, ids=[words for *_, words in WRONG])
def test_a_wrong_recipe_is_refused_with_its_line(folder: Path, old: str, new: str, line: int, words: str) -> None:
    assert old in NICKEL
    path = written(folder, NICKEL.replace(old, new))
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}, line {line}: ")


WRONG_TOGETHER = [
    ('file = "ni.gr"', 'file = "none.gr"', 4, "none.gr: no such file: the nearest name there is ni.gr"),
    ("rmin = 1.5", "rmin = 8.99", 5, "no data between 8.99 and 9"),
    ('structure = "Ni"', 'structure = "Nii"', 10, "the nearest of those are Ni"),
    ("{a = 3.53", "{b = 3.53", 11, "no parameter is called 'b'"),
    ('"Uiso"]', '"Uisoo"]', 14, "no parameter is called 'Uisoo': nearest are Uiso"),
    ('"Uiso"]', '"rcut"]', 14, "cannot be refined"),
    ('"Uiso"]', '"Uiso"]\nties = {ni.a = "ni.c"}', 15, "no parameter is called 'ni.c'"),
    ('"Uiso"]', '"Uiso"]\nstart = {ni.b = 1}', 15, "no parameter is called 'ni.b'"),
    ('"Uiso"]', '"Uiso"]\nstart = {scale = -1}', 15, "ni.scale = -1"),
    ('"Uiso"]', '"Uiso"]\nstart = {scale = 1}\nties = {scale = "0.7"}', 15, "ni.scale is tied to 0.7"),
    ('"Uiso"]', '"Uiso"]\nbounds = {ni.a = [5, 3]}', 15, "the first must be smaller"),
]


@pytest.mark.parametrize(("old", "new", "line", "words"), WRONG_TOGETHER, ids=[words for *_, words in WRONG_TOGETHER])
def test_what_does_not_fit_together_is_refused_with_its_line(
    folder: Path, old: str, new: str, line: int, words: str
) -> None:
    path = written(folder, NICKEL.replace(old, new))
    with pytest.raises(RecipeError, match=f"line {line}: ") as caught:
        run_recipe(path)
    assert words in str(caught.value)
    assert not (folder / "out").exists(), "a folder made for results that never came"


def test_names_that_are_used_twice_or_missing(folder: Path) -> None:
    twice = NICKEL.replace("[fit]", '[[phase]]\nname = "ni"\nstructure = "Pt"\n\n[fit]')
    with pytest.raises(RecipeError, match=r"line 14: name 'ni' is used twice"):
        load_recipe(written(folder, twice))
    unnamed = NICKEL.replace("[data]", "[[data]]").replace("[[phase]]", '[[data]]\nfile = "n.gr"\n\n[[phase]]')
    with pytest.raises(RecipeError, match=r"line 3: \[data\] lacks name"):
        load_recipe(written(folder, unnamed))


def test_a_recipe_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\x00\x01\x02" * 50)
    with pytest.raises(ReadError, match="binary"):
        load_recipe(tmp_path / "binary.toml")
    with pytest.raises(ReadError, match="no such file"):
        load_recipe(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="nested too deeply"):
        load_recipe(written(tmp_path, "a = " + "[" * 5000))
    with pytest.raises(RecipeError, match="not TOML"):
        load_recipe(written(tmp_path, "a = " + "9" * 5000))


def test_a_folder_that_cannot_be_written_is_found_before_the_fit(folder: Path) -> None:
    def never(nfev: int, rw: float) -> None:
        raise AssertionError("the fit has started")

    with pytest.raises(WriteError, match="Not a directory"):
        run_recipe(written(folder, NICKEL), folder / "ni.gr" / "below", progress=never)


@settings(max_examples=150)
@given(st.data())
def test_no_damage_makes_anything_but_a_recipe_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines = recipe_template().splitlines()
    used = [i for i, line in enumerate(lines) if line and not line.startswith("#")]
    i = data.draw(st.sampled_from(used))
    value = data.draw(
        st.sampled_from(["true", "nan", "-1", "inf", '""', "[[1]]", "{}", "{a = {b = 1}}", "9" * 400, ""])
    )
    cut = data.draw(st.integers(0, len(lines[i])))
    key = lines[i].split(" = ")[0]
    lines[i] = data.draw(st.sampled_from([f"{key} = {value}", lines[i][:cut], lines[i] + value]))
    path = tmp_path_factory.mktemp("damage") / "fit.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        recipe = load_recipe(path)
    except RecipeError as caught:
        line = caught.line
    else:
        assert recipe.phases
        line = 1
    assert line in range(1, len(lines) + 1)


# --- lines -----------------------------------------------------------------------------------------------------------

TEXT = """\
top = 1
[data]
qmax = 19
[[phase]]
name = "a"
shape = {kind = "x", spdiameter = 3}
[[phase]]
name = "b"  # shape = 1
[phase.start]
a = 1
Cd.Uiso = 2
[fit]
free = [
  "a",
  "bb",
]
restraints = [{sigma = 1},
  {sigma = 2}]
[fit.ties]
"zb.a" = "wz.a"
"""


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (("top",), 1),
        (("data", "qmax"), 3),
        (("data", "qmin"), 2),
        (("phase", 0, "name"), 5),
        (("phase", 1, "name"), 8),
        (("phase", 0, "shape", "spdiameter"), 6),
        (("phase", 1, "shape"), 7),
        (("phase", 1, "start", "a"), 10),
        (("phase", 1, "start", "Cd", "Uiso"), 11),
        (("fit", "free"), 13),
        (("fit", "restraints", 0, "sigma"), 17),
        (("fit", "restraints", 1, "sigma"), 18),
        (("fit", "ties", "zb.a"), 20),
        (("absent",), None),
    ],
)
def test_the_line_of_a_key(where: tuple[str | int, ...], line: int | None) -> None:
    assert Source("x.toml", TEXT).line(*where) == line


def test_the_line_of_a_word_in_a_value() -> None:
    assert Source("x.toml", TEXT).line("fit", "free", value="bb") == 15
    assert Source("x.toml", TEXT).line("fit", "free", value="none") == 13


# --- simulated data --------------------------------------------------------------------------------------------------


def test_noise_has_its_size_and_no_frequency_above_qmax() -> None:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20.0))
    clean, noisy = (model_noise.simulate(model, 0.05, 100.0, 0.05, noise, seed=3) for noise in (0.0, 0.1))
    noise = noisy.G - clean.G
    assert noisy.dG is not None
    assert clean.dG is None
    assert set(noisy.dG) == {0.1}
    # N independent points (here π/20 apart: 636) give a standard deviation to 1/√(2N) = 3 %; four of those.
    assert noise.std() == pytest.approx(0.1, rel=0.12)
    spectrum = np.abs(np.fft.rfft(noise * np.hanning(noise.size))) ** 2
    Q = 2 * np.pi * np.fft.rfftfreq(noise.size, 0.05)
    # The taper leaks over two steps in Q (0.13 Å⁻¹).
    assert spectrum[Q > 20.5].sum() < 1e-6 * spectrum.sum()
    again = model_noise.simulate(model, 0.05, 100.0, 0.05, 0.1, seed=3)
    np.testing.assert_array_equal(again.G, noisy.G)


@pytest.mark.parametrize("wrong", [{"rmin": 5.0, "rmax": 3.0}, {"rstep": 0.0}, {"rstep": 1e-9}, {"noise": -1.0}])
def test_a_grid_or_noise_that_cannot_be(wrong: dict[str, float]) -> None:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20.0))
    with pytest.raises(PdfkitError, match=next(iter(wrong))):
        model_noise.simulate(model, **wrong)


# --- patterns beside G(r) --------------------------------------------------------------------------------------------


@pytest.fixture
def joint(tmp_path: Path) -> Path:
    """Return a folder with G(r), small angles and a powder pattern of a CdS tetrahedron, and its atoms."""
    cluster = pk.Cluster(pk.build.tetrahedron("CdS_zincblende", 4), "c", Uiso=0.02, delta2=3)
    rng, low, angle = np.random.default_rng(1), np.linspace(0.03, 0.6, 100), np.arange(12.0, 80.0, 0.1)
    about = pk.Instrument(probe="X", qmin=0.8, qmax=16)
    pk.write_pdf(tmp_path / "g.gr", model_noise.simulate(pk.Model(cluster, about), 1.5, 14.0, 0.02, 0.05, 1))
    saxs = pk.saxs(cluster, low, per_atom=True).intensity
    xrd = pk.powder_pattern(cluster, angle, 1.5406, per_atom=True).intensity + 800
    for name, x, I in (("saxs.dat", low, saxs), ("xrd.xy", angle, xrd)):
        columns = [x, I * (1 + 0.01 * rng.standard_normal(I.size)), 0.01 * I]
        pk.io.write_columns(tmp_path / name, ["Q" if x is low else "2theta", "I", "dI"], columns)
    pk.io.write_xyz(tmp_path / "c.xyz", cluster.particle)
    return tmp_path


JOINT = """
data = {file = "g.gr", probe = "X", qmin = 0.8, qmax = 16, rmin = 1.8}
phase = [{name = "c", structure = "c.xyz", delta2 = 2}]
fit = {free = ["scale", "expansion", "Uiso", "delta2", "zero"], search = "plain"}
[[pattern]]
file = "saxs.dat"
kind = "saxs"
unit = "A-1"
qmax = 0.5
weight = 2
[[pattern]]
file = "xrd.xy"
kind = "xrd"
name = "lab"
wavelength = 1.5406
degree = 3
"""


def test_patterns_of_a_recipe_are_fitted_with_its_data(joint: Path) -> None:
    result, files = pk.run_recipe(written(joint, JOINT), out=joint / "out")
    assert [one.name for one in result.patterns] == ["saxs", "lab"]
    assert result.patterns[0].data.Q[-1] <= 0.5
    assert len(result.patterns[1].linear) == 5
    assert "lab.zero" in result.free
    assert result.problem.settings.weights == {"saxs": 2.0}
    assert {"columns.txt", "columns_saxs.txt", "columns_lab.txt"} <= {file.name for file in files}
    assert abs(result.params["c.expansion"].value) < 4 * result.params["c.expansion"].stderr
    recipe = load_recipe(written(joint, JOINT))
    assert [file.name for file in recipe.inputs()] == ["g.gr", "saxs.dat", "xrd.xy", "c.xyz"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('kind = "saxs"', 'kind = "sans"', "choose one of saxs, xrd"),
        ('kind = "saxs"', 'kind = "saxs"\ndegree = 3', "degree is not of a pattern of kind"),
        ('name = "lab"', 'name = "saxs"', "used twice"),
        ('name = "lab"', 'name = "my lab"', "cannot be used"),
        ('file = "saxs.dat"\n', "", "lacks file"),
        ("weight = 2", "weight = 0", "weight"),
        ("degree = 3", "degre = 3", "degree"),
    ],
)
def test_patterns_of_a_recipe_that_cannot_be(joint: Path, old: str, new: str, words: str) -> None:
    assert old in JOINT
    with pytest.raises(RecipeError, match=words):
        load_recipe(written(joint, JOINT.replace(old, new)))


def test_a_pattern_that_is_refused_is_named_with_its_line(joint: Path) -> None:
    for change, words in (("packing = 'cubic'", "packing"), ("reach = 5", "reach=")):
        with pytest.raises(RecipeError, match=words) as found:
            pk.run_recipe(written(joint, JOINT.replace("qmax = 0.5", change)), out=joint / "out")
        assert found.value.line is not None
    with pytest.raises(RecipeError, match=r"nowhere\.xy"):
        pk.run_recipe(written(joint, JOINT.replace("xrd.xy", "nowhere.xy")), out=joint / "out")


def test_a_text_larger_than_any_recipe_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(NICKEL + "# x\n" * 300_000)
    with pytest.raises(RecipeError, match="a recipe at most 1000000: is it one"):
        load_recipe(tmp_path / "x.toml")
