"""Projects of PDFgui: what is read, fits that repeat what was recorded, recipes, and projects that PDFgui opens."""

from __future__ import annotations

import io
import json
import math
import pickle
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import pdfkit as pk
from pdfkit.cli import app
from pdfkit.errors import ParameterError, PdfkitError, ReadError, WriteError
from pdfkit.projects import formulas
from pdfkit.projects.formulas import split
from pdfkit.projects.making import project_of
from pdfkit.projects.pickles import format_pickle
from pdfkit.projects.project import Project, ProjectFit
from pdfkit.recipes.recipe import fit_recipe, load_recipe

DATA = Path(__file__).parent / "data"
RUNNER = CliRunner()


@cache
def read(name: str) -> Project:
    return pk.read_project(DATA / name)


def changed(folder: Path, change: Callable[[str, bytes], bytes | None], name: str = "one.ddp3") -> Path:
    """Return a project whose files are changed; those that become None are left out."""
    with zipfile.ZipFile(DATA / name) as source, zipfile.ZipFile(folder / "changed.ddp3", "w") as target:
        for one in source.namelist():
            data = change(one, source.read(one))
            if data is not None:
                target.writestr(one, data)
    return folder / "changed.ddp3"


RUN = [
    ("one.ddp3", "Ni bulk"),
    ("old.ddp", "old fit"),
    ("twins.ddp3", "twins"),
    *(("series.ddp3", name) for name in ("Ni-T1=100", "Ni-T2=300", "NiCu-0.2000", "NiCu-0.5000")),
    *(("several.ddp3", name) for name in ("wurtzite / Nyquist", "linked, formulas", "sharp", "X and N")),
]


# --- What is read ----------------------------------------------------------------------------------------------------


def test_a_fit_is_read_whole() -> None:
    project = read("one.ddp3")
    assert repr(project) == "Project('one': Ni bulk)"
    assert project.journal == "Nickel, simulated.\nSecond line: å."
    fit = project.fits[0]
    assert fit is project.fits["Ni bulk"]
    assert fit.constraints["Ni lat(3)"] == "@1"
    assert fit.constraints["Ni.gr qdamp"] == "@5"
    assert fit.rw == pytest.approx(0.03238, abs=1e-5)
    assert "PDF REFINEMENT" in fit.report
    first, damping = fit.parameters[1], fit.parameters[5]
    assert (first.start, first.fixed) == (3.53, False)
    assert first.refined == first.best == pytest.approx(3.5241, abs=1e-4)
    assert first.stderr == pytest.approx(8.2e-4)
    assert damping.start == 0.02
    phase, data = fit.phases[0], fit.data[0]
    assert phase.structure.cell[0] == 3.53
    assert "3.524" in phase.refined
    assert (data.rmin, data.rmax, data.grid, data.qmax) == (1.5, 11.0, "data", 22.0)
    assert data.observed.instrument.probe == "X"
    assert data.observed.instrument.qbroad == 0.01
    assert len(data.observed) == 240
    assert data.curves is not None
    assert data.refined["qdamp"] == pytest.approx(damping.best)


def test_what_a_project_can_hold_is_there() -> None:
    fits = read("several.ddp3").fits
    wurtzite = fits["wurtzite / Nyquist"]
    assert wurtzite.data[0].grid == "nyquist"
    assert wurtzite.parameters[2].fixed
    assert not wurtzite.phases[0].structure.sites[0].isotropic
    formula = fits["linked, formulas"]
    assert formula.data[0].grid == "custom"
    assert formula.data[0].observed.dG is not None
    assert formula.constraints["Ni lat(1)"] == "sqrt(@1)"
    linked = fits["not run"].parameters[3]
    assert (linked.link, linked.start) == ("=linked, formulas:3", formula.parameters[3].refined)
    assert fits["not run"].rw is None
    two = fits["X and N"]
    assert [one.observed.instrument.probe for one in two.data] == ["X", "N"]
    assert two.data[1].qmax == math.inf, "0 of PDFgui means that nothing is cut"
    (simulation,) = two.simulations
    assert (simulation.probe, simulation.qmax, simulation.rmax) == ("N", 25.0, 5.0)
    assert fits["pairs"].phases[0].pairs == "Cd-all, !1-S"
    assert list(read("series.ddp3").fits) == ["Ni-T1=100", "Ni-T2=300", "NiCu-0.2000", "NiCu-0.5000"]
    assert read("series.ddp3").fits[1].data[0].observed.temperature == 300.0
    assert read("series.ddp3").fits["NiCu-0.5000"].data[0].metadata["doping"] == 0.5


def test_names_of_old_projects_are_those_of_today() -> None:
    fit = read("old.ddp").fits[0]
    assert {"Ni delta1", "Ni spdiameter", "Ni_old.gr qdamp"} <= set(fit.constraints)
    assert fit.phases[0].spdiameter == 22.0
    assert fit.data[0].observed.instrument.qdamp == 0.02
    assert "spdiameter" not in fit.data[0].metadata
    assert fit.parameters[6].best == pytest.approx(24.6, abs=0.1)


def test_two_phases_of_one_name_are_two() -> None:
    fit = read("twins.ddp3").fits[0]
    assert [phase.name for phase in fit.phases] == ["Ni", "Ni_2"]
    assert [phase.structure.sites[0].element for phase in fit.phases] == ["Ni", "Cu"]
    assert fit.remarks == ("two of the fit's phases are called Ni: PDFgui itself opens one of them only",)


def test_a_fit_that_is_not_there_is_told_with_those_near() -> None:
    with pytest.raises(PdfkitError, match="no fit 'Ni bulky': the nearest are Ni bulk"):
        read("one.ddp3").fits["Ni bulky"]
    with pytest.raises(PdfkitError, match="no fit 7"):
        read("one.ddp3").fits[7]
    assert repr(read("one.ddp3").fits) == "Fits(Ni bulk)"


def test_projects_are_shown_and_travel() -> None:
    project = read("several.ddp3")
    assert "wurtzite / Nyquist: Rw 0.0739" in str(project)
    assert "<strong>X and N" in project._repr_html_()
    assert "@21" in project.fits["X and N"]._repr_html_()
    back = pickle.loads(pickle.dumps(project))
    assert back.fits["X and N"].constraints == project.fits["X and N"].constraints


# --- Fits that repeat what was recorded ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "fit"), RUN)
def test_recorded_fits_are_repeated(name: str, fit: str) -> None:
    one = read(name).fits[fit]
    assert one.rw is not None
    assert one.repeated_rw() == pytest.approx(one.rw, abs=1e-5)
    result = one.run()
    assert result.converged
    assert result.rw == pytest.approx(one.rw, abs=2e-5)
    assert result.rw <= one.rw + 1e-6
    found = one.live().found(result)
    for k, parameter in one.parameters.items():
        if not parameter.fixed:
            error = parameter.stderr or abs(parameter.best)
            assert found[k][0] == pytest.approx(parameter.best, abs=0.05 * error), k
    assert set(one.remarks) <= set(result.remarks)


@pytest.mark.parametrize(("name", "fit"), RUN)
def test_the_default_convention_fits_the_data_as_they_were_measured(name: str, fit: str) -> None:
    one = read(name).fits[fit]
    live = one.live("default")
    assert [len(pdf) for pdf in live.sets.values()] == [len(data.observed) for data in one.data]
    assert list(live.rmin.values()) == [data.rmin for data in one.data]
    result = live.run()
    assert result.converged
    assert result.rw < 0.1


@pytest.mark.peer
@pytest.mark.parametrize(("name", "fit"), RUN)
def test_pdffit2_itself_repeats_what_is_recorded(name: str, fit: str) -> None:
    """PDFfit2, run on what was read of the project: so the points, formulas and start values are those of PDFgui."""
    pdffit2 = pytest.importorskip("diffpy.pdffit2", reason="PDFfit2 has no wheel here")
    one = read(name).fits[fit]
    pdffit2.redirect_stdout(io.StringIO())
    try:
        rw = _with_pdffit2(pdffit2.PdfFit(), one)
    finally:
        pdffit2.redirect_stdout(sys.stdout)
    assert rw == pytest.approx(one.rw, abs=1e-5)


@pytest.mark.peer
def test_neutron_lengths_are_those_of_pdffit2() -> None:
    from pdfkit.projects.running import _LENGTHS
    from pdfkit.scattering import scattering_strength

    pdffit2 = pytest.importorskip("diffpy.pdffit2", reason="PDFfit2 has no wheel here")
    pdffit2.redirect_stdout(io.StringIO())
    try:
        program = pdffit2.PdfFit()
        for element in ("H", "D", "Li", "C", "O", "Ti", "Ni", "Cd", "Sm", "Nd", "Pb", "U"):
            ours = _LENGTHS.get(element, scattering_strength(element, "N"))
            assert ours == pytest.approx(program.get_scat("N", element), rel=1e-6), element
    finally:
        pdffit2.redirect_stdout(sys.stdout)


def _with_pdffit2(program: Any, fit: ProjectFit) -> float:
    from pdfkit.projects.writing import _with_diameter

    for phase in fit.phases:
        program.read_struct_string(_with_diameter(phase))
        for variable, formula in phase.constraints.items():
            program.constrain(variable, formula)
    for one in fit.data:
        pdf, own = one.sampled(), one.observed.instrument
        columns = [pdf.r.tolist(), pdf.G.tolist()]
        qmax = 0.0 if math.isinf(one.qmax) else one.qmax
        errors = [0.0] * len(pdf) if pdf.dG is None else pdf.dG.tolist()
        rows = zip(*columns, errors, strict=True)
        text = "##### start data\n" + "".join(f"{r:.9g} {G:.9g} 0 {dG:.9g}\n" for r, G, dG in rows)
        program.read_data_string(text, own.probe, qmax, own.qdamp)
        program.setvar("qbroad", own.qbroad)
        program.setvar("dscale", one.dscale)
        for variable, formula in one.constraints.items():
            program.constrain(variable, formula)
    for k, parameter in fit.parameters.items():
        program.setpar(k, parameter.start)
        if parameter.fixed:
            program.fixpar(k)
    while not program.refine_step(0.001):
        pass
    return float(program.getrw())


def test_a_fit_that_was_not_run_is_run() -> None:
    fit = read("several.ddp3").fits["not run"]
    result = fit.run()
    assert result.params["Ni.spdiameter"].value == 25.0
    assert "Ni.spdiameter" not in result.free
    assert "fitted again" in fit.table(result)
    assert "not run" in fit.table()


def test_the_table_has_both_values() -> None:
    fit = read("one.ddp3").fits[0]
    lines = fit.table(fit.run()).splitlines()
    assert lines[0].startswith("Ni bulk: Rw recorded 0.03238, calculated again 0.03238, fitted again 0.03238")
    assert lines[1].split() == ["sets", "start", "recorded", "error", "new", "error"]
    assert lines[2].split()[:5] == ["@1", "Ni", "lat(1)", "and", "2"]
    assert lines[2].split()[6:8] == ["3.53", "3.52411"]


def test_signs_that_do_not_count_are_no_obstacle(tmp_path: Path) -> None:
    from dataclasses import replace

    fit = read("one.ddp3").fits[0]
    left = replace(fit.parameters[5], start=-0.02, refined=-fit.parameters[5].best)
    negative = replace(fit, parameters={**fit.parameters, 5: left})
    assert negative.repeated_rw() == fit.repeated_rw()
    assert negative.run().rw == pytest.approx(0.03238, abs=1e-5)
    path = changed(tmp_path, with_text("/obs", b"qbroad=0.01", b"qbroad=-0.01"))
    assert pk.read_project(path).fits[0].data[0].observed.instrument.qbroad == 0.01


def test_recorded_values_that_cannot_be_are_said_and_the_fit_is_run() -> None:
    from dataclasses import replace

    fit = read("series.ddp3").fits["NiCu-0.2000"]
    (phase,) = fit.phases
    phase = replace(phase, constraints={**phase.constraints, **{f"occ({i})": "@5" for i in range(1, 5)}})
    occupancy = replace(fit.parameters[3], number=5, start=0.8, refined=1.3)
    fit = replace(fit, phases=(phase,), parameters={**fit.parameters, 5: occupancy})
    text = fit.table(fit.run())
    assert "the recorded parameters cannot be calculated with" in text
    assert "fitted again" in text


def test_a_series_is_a_table() -> None:
    columns = read("series.ddp3").columns()
    assert columns["fit"] == ["Ni-T1=100", "Ni-T2=300", "NiCu-0.2000", "NiCu-0.5000"]
    assert columns["temperature"][:2] == [100.0, 300.0]
    assert columns["@1"][0] < columns["@1"][1]
    assert columns["@2"][2] is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pairs", "only the pairs 'Cd-all, !1-S' are selected"),
        ("empty", "it has no phase"),
        ("no phases", "it has no phase"),
        ("no data", "it has no data set"),
    ],
)
def test_what_cannot_be_fitted_says_why(name: str, words: str) -> None:
    with pytest.raises(PdfkitError, match=words) as error:
        read("several.ddp3").fits[name].run()
    assert str(error.value).startswith(f"fit {name}: ")


def test_a_convention_that_is_none_is_refused() -> None:
    with pytest.raises(PdfkitError, match="convention = 'pdfgui'"):
        read("one.ddp3").fits[0].live("pdfgui")


# --- Names, formulas, tensors ----------------------------------------------------------------------------------------


def test_live_objects_have_natural_names() -> None:
    live = read("one.ddp3").fits[0].live()
    assert live.free == ("Ni.a", "Ni.Ni1.Uiso", "Ni.scale", "Ni.delta2", "qdamp")
    assert live.ties["Ni.b"] == "Ni.a"
    assert live.ties["Ni.Ni4.Uiso"] == "Ni.Ni1.Uiso"
    assert not live.variables
    assert live.model.values.tolist()[:2] == [0.7, 3.53]
    result = pk.fit(live.model, live.data, free=live.free, ties=live.ties, settings=live.settings)
    assert result.rw == pytest.approx(0.03238, abs=1e-5)


def test_a_tensor_stays_one_only_where_its_formulas_ask_for_it() -> None:
    live = read("several.ddp3").fits["wurtzite / Nyquist"].live()
    names = set(live.model.names)
    assert {"CdS_wz.Cd1.U11", "CdS_wz.S1.Uiso"} <= names
    assert "CdS_wz.S1.U11" not in names
    assert live.ties["CdS_wz.Cd1.U12"] == "0.5*CdS_wz.Cd1.U11"


def test_formulas_that_stand_nowhere_alone_have_variables() -> None:
    live = read("several.ddp3").fits["linked, formulas"].live()
    assert live.free == ("p1", "p2", "p3", "p4")
    assert live.variables == {"p1": 12.4, "p2": -5.2, "p3": 0.3, "p4": 0.7}
    assert live.ties["Ni.delta2"] == "2*sin(p4) + 0.5*1.0"


def test_each_data_set_has_its_own_scales() -> None:
    live = read("several.ddp3").fits["X and N"].live()
    assert live.ties["x.Cu.scale"] == "(p13)*(1.0)"
    assert live.ties["n.Cu.scale"] == "(p13)*(p21)"
    assert live.names[22] == "n.qdamp"


@pytest.mark.parametrize(
    ("formula", "value", "expected"),
    [
        ("@1", 3.5, {1: 3.5}),
        ("2*@7 - 1", 3.0, {7: 2.0}),
        ("-@2", 3.0, {2: -3.0}),
        ("sqrt(@1)", 3.0, {1: 0.0}),
        ("@1 + @2", 3.0, {1: 0.0, 2: 0.0}),
        ("1/(@1-0.5)", 3.0, {1: 0.0}),
        ("0*@1", 3.0, {1: 0.0}),
    ],
)
def test_new_parameters_start_where_pdfgui_starts_them(formula: str, value: float, expected: Any) -> None:
    assert formulas.guess(formula, value) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["__import__('os')", "@1.real", "@1; 2", "@", "", "lambda: 1", "@1 if 1 else 2", "e*@1"]
)
def test_formulas_that_are_no_arithmetic_are_refused(text: str) -> None:
    with pytest.raises(ParameterError):
        formulas.evaluate(text, {1: 1.0})


def test_inverse_functions_have_their_derivatives() -> None:
    for name in ("asin", "acos", "atan"):
        value, slope = pk.model.params._expressions.evaluate(f"{name}(x)", {"x": 0.3})
        step = (getattr(math, name)(0.3 + 1e-6) - getattr(math, name)(0.3 - 1e-6)) / 2e-6
        assert value == getattr(math, name)(0.3)
        assert slope["x"] == pytest.approx(step, rel=1e-8)


def test_variables_have_words_of_ours() -> None:
    assert split("lat(4)") == ("alpha", 0)
    assert split("u12(13)") == ("U12", 13)
    assert split("x(2)") == ("x", 2)
    for wrong in ("lat(7)", "x(0)", "y", "Biso(1)", "x(1)(2)", ""):
        with pytest.raises(ParameterError, match="not a variable of PDFgui"):
            split(wrong)


# --- What goes wrong at night ----------------------------------------------------------------------------------------


def without(ending: str) -> Callable[[str, bytes], bytes | None]:
    return lambda name, data: None if name.endswith(ending) else data


def with_text(ending: str, old: bytes, new: bytes) -> Callable[[str, bytes], bytes | None]:
    return lambda name, data: data.replace(old, new) if name.endswith(ending) else data


def test_a_data_set_that_is_missing_is_said(tmp_path: Path) -> None:
    fit = pk.read_project(changed(tmp_path, without("/obs"))).fits[0]
    assert fit.data == ()
    assert "data set Ni.gr is not in the project" in fit.remarks[0]
    assert "no data set" in fit.obstacle
    fit = pk.read_project(changed(tmp_path, without("/initial"))).fits[0]
    assert "phase Ni is not in the project" in fit.remarks[0]


def test_parameters_that_are_not_listed_start_from_their_variables(tmp_path: Path) -> None:
    fit = pk.read_project(changed(tmp_path, without("/parameters"))).fits[0]
    starts = {k: one.start for k, one in fit.parameters.items()}
    assert starts == pytest.approx({1: 3.53, 2: 0.005, 3: 1.0, 4: 0.0, 5: 0.02})
    assert fit.run().rw == pytest.approx(0.03238, abs=1e-5)


def test_a_parameter_that_nothing_uses_is_left_out(tmp_path: Path) -> None:
    one = read("one.ddp3").fits[0]
    idle = ProjectFit("idle", one.phases, (), {**one.parameters, 99: one.parameters[1]}, one.rw)
    path = Project(type(read("one.ddp3").fits)({"idle": idle})).save(tmp_path / "idle.ddp3")
    fit = pk.read_project(path).fits[0]
    assert 99 not in fit.parameters
    assert fit.remarks[0].startswith("@5, @99: no constraint uses this parameter")


def test_links_that_lead_nowhere_or_round_in_circles_are_told(tmp_path: Path) -> None:
    from dataclasses import replace

    one = read("one.ddp3").fits[0]
    kind = type(read("one.ddp3").fits)
    for link in ("=nowhere:1", "=b:1", "=b", "=a:1", "=b:7", "=", "=b:x"):
        first = replace(one, parameters={**one.parameters, 1: replace(one.parameters[1], link=link, refined=None)})
        second = replace(one, parameters={**one.parameters, 1: replace(one.parameters[1], link="=a:1", refined=None)})
        path = Project(kind({"a": first, "b": second})).save(tmp_path / "links.ddp3")
        fits = pk.read_project(path).fits
        assert math.isnan(fits["a"].parameters[1].start), link
        assert "which is not in the project" in fits["a"].remarks[-1]
        with pytest.raises(PdfkitError, match="@1 has no start value"):
            fits["a"].run()


def test_a_diameter_of_phase_and_data_is_that_of_the_phase(tmp_path: Path) -> None:
    shape = with_text("/initial", b"\ncell", b"\nshape   sphere, 30\ncell")
    data = with_text("/obs", b"dscale=", b"spdiameter=44\ndscale=")
    path = changed(tmp_path, lambda name, raw: data(name, shape(name, raw) or b""))
    fit = pk.read_project(path).fits[0]
    assert fit.phases[0].spdiameter == 30.0
    assert fit.live().crystals[0].shape == pk.Sphere(30.0)
    fit = pk.read_project(changed(tmp_path, data)).fits[0]
    assert fit.phases[0].spdiameter == 44.0


def test_constraints_that_cannot_be_are_told(tmp_path: Path) -> None:
    from dataclasses import replace

    one = read("one.ddp3").fits[0]

    def with_constraint(variable: str, formula: str = "@1", of_data: bool = False) -> ProjectFit:
        (phase,), (data,) = one.phases, one.data
        if of_data:
            return replace(one, data=(replace(data, constraints={variable: formula}),))
        return replace(one, phases=(replace(phase, constraints={**phase.constraints, variable: formula}),))

    for variable, words in (("x(9)", "of atom 9, and the phase has 4"), ("Biso(1)", "not a variable of PDFgui")):
        with pytest.raises(PdfkitError, match=words):
            with_constraint(variable).run()
    with pytest.raises(PdfkitError, match="not a variable of data"):
        with_constraint("qsigma", of_data=True).run()
    live = with_constraint("spdiameter", "0*@1").live()
    assert live.remarks == ("phase Ni: spdiameter starts at 0, which means a bulk crystal: it stays so",)
    live = with_constraint("rcut").live()
    assert "rcut cannot be refined" in live.remarks[0]
    fixed = {k: replace(parameter, fixed=True) for k, parameter in one.parameters.items()}
    with pytest.raises(PdfkitError, match="all its parameters are fixed"):
        replace(one, parameters=fixed).run()


def test_data_with_and_without_errors_are_weighed_as_pdffit2_does() -> None:
    from dataclasses import replace

    fit = read("several.ddp3").fits["X and N"]
    known = replace(fit.data[0].observed, dG=np.full(len(fit.data[0].observed), 0.2))
    fit = replace(fit, data=(replace(fit.data[0], observed=known), fit.data[1]))
    live = fit.live()
    assert live.sets["n"].dG.tolist() == [1.0] * len(live.sets["n"])
    assert "n.gr has no errors, and others have" in live.remarks[0]
    assert live.run().converged


def test_what_is_damaged_inside_is_told_with_its_place(tmp_path: Path) -> None:
    cases: list[tuple[Callable[[str, bytes], bytes | None], str]] = [
        (with_text("/obs", b"1.55 ", b"1.5x5 "), "fit Ni bulk: the data of Ni.gr have a row that is not r and G"),
        (lambda n, d: b"##### start data\n" if n.endswith("/obs") else d, "data of Ni.gr are not in the project"),
        (lambda n, d: format_pickle(3) if n.endswith("/result") else d, "the result is not a number and a text"),
        (lambda n, d: format_pickle({1: 2}) if n.endswith("/parameters") else d, "parameter @1 is none of PDFgui's"),
        (lambda n, d: format_pickle([]) if n.endswith("/calc") else d, "does not hold a table"),
        (lambda n, d: d[:-9] if n.endswith("/calc") else d, "Ni bulk/dataset/Ni.gr/calc: it is damaged"),
        (lambda n, d: format_pickle({"lat(1)": "@1"}) if n.endswith("Ni/constraints") else d, "a constraint that is"),
    ]
    for change, words in cases:
        with pytest.raises(ReadError, match=words) as error:
            pk.read_project(changed(tmp_path, change))
        assert "changed.ddp3" in str(error.value)
        assert len(str(error.value)) < 500


def test_a_structure_that_cannot_be_is_no_obstacle_to_the_rest(tmp_path: Path) -> None:
    project = pk.read_project(changed(tmp_path, with_text("/initial", b"NI ", b"QQ "), "several.ddp3"))
    assert project.fits["wurtzite / Nyquist"].run().converged
    with pytest.raises(PdfkitError, match=r"phase Ni.*'Q[qQ]'"):
        project.fits["sharp"].run()


def test_a_step_without_end_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    one = read("one.ddp3").fits[0]
    with pytest.raises(PdfkitError, match="correct the step"):
        replace(one, data=(replace(one.data[0], step=1e-9),)).run()


# --- Recipes and projects --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ["pdffit2", "default"])
def test_converted_fits_give_the_same(tmp_path: Path, convention: str) -> None:
    project = read("several.ddp3")
    files = project.convert(tmp_path, convention)
    recipes = [file for file in files if file.name == "fit.toml"]
    assert [file.parent.name for file in recipes] == [
        "wurtzite_Nyquist",
        "linked_formulas",
        "not_run",
        "sharp",
        "X_and_N",
    ]
    assert (tmp_path / "no_data" / "Ni.stru").is_file()
    for file, name in zip(
        recipes, ("wurtzite / Nyquist", "linked, formulas", "not run", "sharp", "X and N"), strict=True
    ):
        result = fit_recipe(load_recipe(file))
        assert result.rw == pytest.approx(project.fits[name].run(convention).rw, abs=2e-6), name
    text = project.fits["X and N"].recipe(convention, {"x": "elsewhere/x.gr"})
    assert 'file = "elsewhere/x.gr"' in text
    assert '"n.qdamp",  # @22' in text


def test_variables_of_recipes_are_checked(tmp_path: Path) -> None:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20))
    pk.write_pdf(tmp_path / "ni.gr", model.with_values({"ni.a": 3.54})(np.arange(1, 9, 0.05)))
    text = """
data = {file = "ni.gr"}
phase = [{name = "ni", structure = "Ni"}]
[fit]
free = ["scale", "edge"]
variables = VARIABLES
ties = {a = "1.5*edge"}
"""
    recipe = tmp_path / "fit.toml"
    recipe.write_text(text.replace("VARIABLES", "{edge = 2.35}"))
    result = fit_recipe(load_recipe(recipe))
    assert result.params["edge"].value == pytest.approx(3.54 / 1.5, abs=1e-4)
    result.save(tmp_path / "fit.h5")
    assert pk.load_result(tmp_path / "fit.h5").params["edge"].value == result.params["edge"].value
    for wrong, words in (
        ('{edge = "2"}', "give a word and its start value"),
        ("{edge = nan}", "give a word and its start value"),
        ('{"e-e" = 2}', "give a word and its start value"),
        ("{edge = 2, qdamp = 3}", "qdamp is a parameter of the model"),
    ):
        recipe.write_text(text.replace("VARIABLES", wrong))
        with pytest.raises(PdfkitError, match=words):
            fit_recipe(load_recipe(recipe))


@pytest.mark.parametrize("name", ["one.ddp3", "old.ddp", "several.ddp3", "series.ddp3", "twins.ddp3"])
def test_a_saved_project_comes_back(name: str, tmp_path: Path) -> None:
    project = read(name)
    path = project.save(tmp_path / "back.ddp3")
    back = pk.read_project(path)
    assert list(back.fits) == list(project.fits)
    assert back.journal == project.journal
    for one, other in zip(project.fits.values(), back.fits.values(), strict=True):
        assert other.constraints == one.constraints
        assert {k: (p.start, p.refined, p.fixed, p.link) for k, p in other.parameters.items()} == {
            k: (p.start, p.refined, p.fixed, p.link) for k, p in one.parameters.items()
        }
        assert (other.rw, other.report, other.simulations) == (one.rw, one.report, one.simulations)
        assert [p.pairs for p in other.phases] == [p.pairs for p in one.phases]
        if not one.obstacle:
            assert other.repeated_rw() == pytest.approx(one.repeated_rw(), abs=1e-9)
    again = back.save(tmp_path / "again.ddp3")
    with zipfile.ZipFile(path) as first, zipfile.ZipFile(again) as second:
        assert [first.read(one) for one in first.namelist()] == [second.read(one) for one in second.namelist()]


def results() -> dict[str, pk.FitResult]:
    """Return a fit of two crystals with ties, tensors and a sphere, and one of two data sets."""
    wurtzite = pk.Crystal.from_file("CdS_wurtzite", name="wz", shape=pk.Sphere(30), delta2=2, anisotropic=["S"])
    nickel = pk.Crystal.from_file("Ni", name="ni")
    instrument = pk.Instrument(probe="X", qmax=22, qdamp=0.03)
    r = np.arange(1.5, 12, 0.05)
    model = pk.Model([wurtzite, nickel], instrument, convention="pdffit2")
    there = {"wz.a": 4.14, "wz.S.z": 0.375, "wz.S.U33": 0.02, "wz.Cd.Uiso": 0.01, "ni.Ni.Uiso": 0.012}
    data = model.with_values(there)(r)
    free = ["scale", "wz.a", "wz.c", "ni.a", "S.z", "S.U11", "S.U33", "Cd.Uiso", "spdiameter", "qdamp"]
    two = pk.fit(model, data, free=free, ties={"ni.Ni.Uiso": "1.2*wz.Cd.Uiso", "wz.delta2": "2 + wz.S.U11"})
    alone = pk.Model(nickel, instrument, convention="pdffit2")
    curves = {"x": alone.with_values({"ni.a": 3.53})(r), "n": alone.with_values({"ni.a": 3.53, "scale": 0.7})(r)}
    return {"two phases": two, "two sets": pk.fit(alone, curves, free=["scale", "a", "Uiso"])}


def test_results_become_projects(tmp_path: Path) -> None:
    found = results()
    project = pk.read_project(project_of(found).save(tmp_path / "made.ddp3"))
    for name, result in found.items():
        fit = project.fits[name]
        assert fit.rw == result.rw
        assert fit.repeated_rw() == pytest.approx(result.rw, abs=1e-6)
        for k, free in enumerate(result.free, 1):
            assert fit.parameters[k].refined == result.params[free].value
            assert fit.parameters[k].stderr == pytest.approx(result.params[free].stderr, rel=0.01)
    constraints = project.fits["two phases"].constraints
    assert constraints["wz lat(2)"] == constraints["wz lat(1)"] == "@2"
    assert constraints["wz z(4)"] == f"{constraints['wz z(3)']} + 0.5"
    assert constraints["wz u12(1)"] == f"0.5*{constraints['wz u11(1)']}"
    assert constraints["ni u11(1)"] == f"(1.2*({constraints['wz u11(1)']}))"


def test_what_pdfgui_does_not_have_is_not_written(tmp_path: Path) -> None:
    r, about = np.arange(1.5, 9, 0.05), pk.Instrument(probe="X", qmax=20)
    rod = pk.Model(pk.Crystal.from_file("Ni", name="ni", shape=pk.shapes.Spheroid(20, 30)), about)
    result = pk.fit(rod, rod(r), free=["scale"])
    with pytest.raises(PdfkitError, match="PDFgui has crystals, bulk or with a diameter"):
        project_of({"x": result})
    plain = pk.Model(pk.Crystal.from_file("Ni", name="ni"), about)
    power = pk.fit(plain, plain(r), free=["a"], ties={"delta2": "0.01*ni.a**2"})
    with pytest.raises(PdfkitError, match="a power, which PDFgui does not know"):
        project_of({"x": power})
    lorch = pk.Model(plain.phases, pk.Instrument(probe="X", qmax=20, window="lorch"))
    with pytest.raises(PdfkitError, match="no modification function"):
        project_of({"x": pk.fit(lorch, lorch(r), free=["scale"])})
    with pytest.raises(PdfkitError, match="results is"):
        project_of(result)  # type: ignore[arg-type]
    with pytest.raises(PdfkitError, match=r"end it in \.ddp3"):
        read("one.ddp3").save(tmp_path / "one.zip")
    with pytest.raises(WriteError):
        read("one.ddp3").save(tmp_path / "nowhere" / "one.ddp3")


def test_pdfgui_opens_and_runs_what_is_written(tmp_path: Path) -> None:
    """With PDFgui's own loader and its own fit: nothing of them is replaced."""
    module = pytest.importorskip("diffpy.pdfgui.control.pdfguicontrol", reason="PDFgui is not installed")
    pdffit2 = pytest.importorskip("diffpy.pdffit2", reason="PDFfit2 has no wheel here")
    pdffit2.redirect_stdout(io.StringIO())
    try:
        for name in ("one.ddp3", "old.ddp", "several.ddp3", "series.ddp3", "twins.ddp3"):
            _opened_by_pdfgui(module, read(name), read(name).save(tmp_path / "back.ddp3"))
        made = project_of(results())
        _opened_by_pdfgui(module, made, made.save(tmp_path / "made.ddp3"))
    finally:
        pdffit2.redirect_stdout(sys.stdout)


def _opened_by_pdfgui(module: Any, project: Project, path: Path) -> None:
    module._pdfguicontrol = None
    control = module.pdfguicontrol()
    control.load(str(path))
    assert [fit.name for fit in control.fits] == list(project.fits)
    for theirs in control.fits:
        ours = project.fits[theirs.name]
        assert [one.name for one in theirs.strucs] == [one.name for one in ours.phases]
        assert [one.name for one in theirs.datasets] == [one.name for one in ours.data]
        for one, other in zip(theirs.datasets, ours.data, strict=True):
            assert np.allclose(one.Gtrunc, other.sampled().G, atol=1e-3 * np.abs(other.observed.G).max())
        if ours.rw is not None:
            assert theirs.rw == ours.rw
            theirs.resetStatus()
            theirs.run()
            assert theirs.rw == pytest.approx(ours.rw, abs=1e-4)


# --- Commands --------------------------------------------------------------------------------------------------------


def test_fit_runs_all_fits_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = RUNNER.invoke(app.app, ["fit", str(DATA / "several.ddp3"), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    fits = found["fits"]
    assert list(fits) == ["wurtzite / Nyquist", "linked, formulas", "not run", "sharp", "X and N"]
    assert fits["sharp"]["rw"] == pytest.approx(fits["sharp"]["rw_recorded"], abs=1e-5)
    assert fits["not run"]["rw_recorded"] is None
    assert fits["X and N"]["parameters"]["@20"]["fixed"]
    assert Path("pdfkit-out/several/X_and_N/fit.h5").is_file()
    assert any("fit empty is left out: it has no phase" in text for text in found["remarks"])
    assert pk.load_result("pdfkit-out/several/linked_formulas/fit.h5").free == ("p1", "p2", "p3", "p4")
    text = RUNNER.invoke(app.app, ["fit", str(DATA / "one.ddp3"), "--convention", "default", "-o", "d"]).stdout
    assert "Rw recorded 0.03238" in text
    assert "convention default" in text


def test_info_tells_what_is_in_a_project() -> None:
    text = RUNNER.invoke(app.app, ["info", str(DATA / "several.ddp3")]).stdout
    assert "kind          project of PDFgui" in text
    assert "wurtzite / Nyquist: Rw 0.0739, 6 parameters free, 1 fixed" in text
    assert "n.gr: N, no Qmax, fitted 1.7 to 11.5 Å every 0.05 Å (data)" in text
    assert "fit empty: it has no phase" in text
    assert "@1 " in RUNNER.invoke(app.app, ["info", str(DATA / "one.ddp3")]).stdout


def test_convert_says_what_it_wrote(tmp_path: Path) -> None:
    done = RUNNER.invoke(app.app, ["convert", str(DATA / "old.ddp"), "-o", str(tmp_path)])
    assert done.exit_code == 0
    assert [Path(line).name for line in done.stdout.split()] == ["fit.toml", "Ni.stru", "Ni_old.gr"]


def test_projects_of_nothing_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.ddp3", "w") as file:
        file.writestr("x/fits", "a")
    done = RUNNER.invoke(app.app, ["fit", str(tmp_path / "x.ddp3"), "-o", str(tmp_path / "out")])
    assert "fit a is left out: it has no phase" in str(done.exception)
    done = RUNNER.invoke(app.app, ["convert", str(tmp_path / "x.ddp3"), "-o", str(tmp_path / "out")])
    assert "fit a is left out: it has no phase" in done.stderr
    with zipfile.ZipFile(tmp_path / "x.ddp3", "w") as file:
        file.writestr("x/fits", "")
    for command in ("fit", "convert"):
        done = RUNNER.invoke(app.app, [command, str(tmp_path / "x.ddp3"), "-o", str(tmp_path / "out")])
        assert "has no fits" in str(done.exception)


def test_a_convention_belongs_to_projects() -> None:
    done = RUNNER.invoke(app.app, ["fit", "fit.toml", "--convention", "default"])
    assert "--convention default is for projects of PDFgui" in str(done.exception)


def test_a_fit_that_fails_does_not_keep_the_others_from_being_done(tmp_path: Path) -> None:
    path = changed(tmp_path, with_text("/initial", b"NI ", b"QQ "), "several.ddp3")
    done = RUNNER.invoke(app.app, ["fit", str(path), "-o", str(tmp_path / "out")])
    assert (tmp_path / "out" / "wurtzite_Nyquist" / "report.txt").is_file()
    assert "of the fits failed, the first with: phase Ni" in str(done.exception)
