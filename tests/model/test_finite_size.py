"""γ₀ on pairs: dots averaged over all places they are cut at, shapes of one's own, ends, what files of before mean."""

from __future__ import annotations

import itertools
import json
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import pdfkit as pk
from pdfkit._checks import Array
from pdfkit.errors import ParameterError
from pdfkit.model import Convention, serial
from pdfkit.shapes import Rod, Shape, ShapeParameter, Sheet, Shell, Stepcut, Tabulated

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

R = np.arange(1.5, 24.0, 0.02)
BEAM = pk.Instrument(probe="X", qmax=19.0, qdamp=0.03, scattering="constant")
CURVE = Convention(finite_size="curve")
BEFORE = json.loads((Path(__file__).parents[1] / "golden" / "models-before-pairs.json").read_text(encoding="utf-8"))


def zinc_blende(shape: Shape, **values: float) -> pk.Crystal:
    crystal = pk.Crystal.from_file("CdS_zincblende", name="p", shape=shape)
    return crystal.with_values({"Cd.Uiso": 0.012, "S.Uiso": 0.02, **values})


# --- dots averaged over all places -----------------------------------------------------------------------------------


def averaged(diameter: float, a: float) -> Any:
    """Pairs of the average of spheres cut anywhere out of zinc blende: a displacement stays with the lens it leaves."""
    from finite_size import Pairs

    span = range(-math.ceil(diameter / a) - 1, math.ceil(diameter / a) + 2)
    cells = np.array(list(itertools.product(span, repeat=3)))
    fcc = np.array([(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)])
    lattice = (cells[:, None] + fcc).reshape(-1, 3)
    per_cell = 4.0 * math.pi / 6.0 * diameter**3 / a**3  # atoms of a species in the sphere, on average
    counts = {}
    for pair, offset in ((("Cd", "Cd"), 0.0), (("Cd", "S"), 0.25), (("S", "S"), 0.0)):
        d = a * np.linalg.norm(lattice + offset, axis=1)
        d, n = np.unique(d[(d > 1e-6) & (d < diameter)].round(9), return_counts=True)
        lens = (2.0 * diameter + d) * (diameter - d) ** 2 / (2.0 * diameter**3)  # two spheres, over the volume of one
        counts[pair] = d, n * lens * per_cell * (2.0 if pair == ("Cd", "S") else 1.0)
    return Pairs(counts, math.pi / 6.0 * diameter**3)


@pytest.mark.parametrize(
    ("diameter", "U", "before"), [(12.0, 0.013, 1.28e-3), (12.0, 0.03, 2.95e-3), (22.0, 0.03, 0.99e-3)]
)
def test_dots_cut_anywhere_give_the_true_lattice(diameter: float, U: float, before: float) -> None:
    import finite_size as study

    data = study.debye(averaged(diameter, study.A), diameter, U, study.range_of(diameter), "q-dependent")
    free = ["a", "Cd.Uiso", "S.Uiso"]
    found = study.fitted(data, study.zinc_blende(diameter, U), "pairs", free)
    assert found["a"] == pytest.approx(study.A, rel=1e-6)
    assert found["spdiameter"] == pytest.approx(diameter, abs=1e-3)
    assert found["Cd.Uiso"] == pytest.approx(U, rel=1e-3)
    # γ₀(r) × the curve is off by as much as an independent audit found.
    curve = study.fitted(data, study.zinc_blende(diameter, U), "curve", free)
    assert curve["a"] / study.A - 1.0 == pytest.approx(before, rel=0.2)


def test_explicit_dots_are_counted_right() -> None:
    """The explicit dots of the study are the zinc blende that the displacements above are those of."""
    import finite_size as study

    exact, counted = averaged(12.0, study.A), study.counted(0.0, 12.0, 400, 3)
    assert counted.atoms == pytest.approx(exact.atoms)
    for pair, (d, n) in exact.counts.items():
        where, many = counted.counts[pair]
        often = n > 20.0
        got = np.array([many[np.abs(where - x) < 1e-4].sum() for x in d])  # one on an edge is in two bins
        np.testing.assert_allclose(got[often], n[often], rtol=0.05)  # 400 dots of 36 atoms


# --- every shape and phase -------------------------------------------------------------------------------------------


def test_programs_multiply_the_curve_and_a_step_always_does() -> None:
    crystal = zinc_blende(pk.Sphere(20.0))
    bulk = pk.Model(zinc_blende(pk.shapes.Bulk()), replace(BEAM, qmax=math.inf))(R).G
    free = pk.Model(crystal, replace(BEAM, qmax=math.inf), CURVE)(R).G
    np.testing.assert_allclose(free, bulk * crystal.shape.gamma0(R), rtol=0, atol=1e-8 * np.abs(bulk).max())
    for name in ("pdffit2", "diffpy-cmi"):
        model = pk.Model(crystal, BEAM, name)
        assert model.convention.finite_size == "curve"
    step = zinc_blende(Stepcut(14.0))
    np.testing.assert_array_equal(pk.Model(step, BEAM)(R).G, pk.Model(step, BEAM, CURVE)(R).G)
    with pytest.raises(pk.PdfkitError, match=r"finite_size = 'both'.*pairs"):
        Convention(finite_size="both")


def test_a_report_says_where_the_curve_is_multiplied() -> None:
    data = pk.Model(zinc_blende(pk.Sphere(20.0)), BEAM)(R)
    for convention, said in (("pdfkit", False), (CURVE, True)):
        result = pk.fit(pk.Model(zinc_blende(pk.Sphere(20.0)), BEAM, convention), data, free=["scale", "a"])
        assert ("γ₀(r) times the curve" in str(result)) is said
    bulk = pk.fit(pk.Model(zinc_blende(pk.shapes.Bulk()), BEAM, CURVE), data, free=["scale", "a"])
    assert "γ₀(r)" not in str(bulk)


def test_the_two_ways_meet_in_large_particles() -> None:
    pairs, curve = (pk.Model(zinc_blende(pk.Sphere(3000.0)), BEAM, how)(R).G for how in (Convention(), CURVE))
    np.testing.assert_allclose(pairs, curve, rtol=0, atol=2e-4 * np.abs(curve).max())  # ∝ σ²/(D·Å)


@dataclass(frozen=True)
class Cone(Shape):
    """1 − r/end: a shape of one's own, which says nothing of its slope and ends with one."""

    end: float
    kind: ClassVar[str] = "cone"
    parameters: ClassVar[tuple[ShapeParameter, ...]] = (ShapeParameter("end", "Å", 0.1, math.inf, "end"),)

    def gamma0(self, r: Array) -> Array:
        return np.maximum(1.0 - r / self.end, 0.0)

    def derivatives(self, r: Array) -> Array:
        return np.atleast_2d(np.where(r < self.end, r / self.end**2, 0.0))

    def extent(self) -> float:
        return self.end


@pytest.mark.parametrize("shape", [Cone(18.0), Sheet(9.0), Rod(12.0, 30.0), Shell(20.0, 4.0)], ids=lambda s: s.kind)
def test_fits_converge_though_pairs_enter_at_the_end(shape: Shape) -> None:
    truth = zinc_blende(shape)
    names = [p.name for p in shape.parameters]
    start = truth.with_values({"a": 5.86, "S.Uiso": 0.014, **{n: 1.25 * getattr(shape, n) for n in names}})
    data = pk.Model(truth, BEAM)(R)
    result = pk.fit(pk.Model(start, BEAM), data, free=["scale", "a", "Uiso", *names])
    assert result.converged
    for q in truth.quantities:
        if q.name in ("a", "S.Uiso", *names):
            assert result.params[f"p.{q.name}"].value == pytest.approx(q.value, rel=1e-4), q.name


def test_particles_smaller_than_a_bond_have_no_pairs() -> None:
    G, dG = pk.Model(zinc_blende(pk.Sphere(2.0)), BEAM).evaluator(R)(
        pk.Model(zinc_blende(pk.Sphere(2.0)), BEAM).values, np.eye(14)[:, [1, 10]]
    )
    assert np.isfinite(G).all()
    assert np.isfinite(dG).all()
    uncut = pk.Model(zinc_blende(pk.Sphere(2.0)), replace(BEAM, qmax=math.inf))(np.arange(0.1, 5.0, 0.01))
    assert np.abs(uncut.crop(2.3, 5.0).G).max() == 0.0
    assert uncut.G.min() < 0.0


def test_a_table_need_only_reach_as_far_as_the_curve() -> None:
    r = np.linspace(0.0, 45.0, 200)
    table = Tabulated(r, np.exp(-r / 20.0))
    known = pk.Model(zinc_blende(table), replace(BEAM, qmax=math.inf))(R).G
    longer = np.linspace(0.0, 90.0, 399)
    more = pk.Model(zinc_blende(Tabulated(longer, np.exp(-longer / 20.0))), replace(BEAM, qmax=math.inf))(R).G
    np.testing.assert_allclose(known, more, rtol=0, atol=1e-5 * np.abs(more).max())  # the tables are cubics


def test_parts_add_up_and_number_partials_have_the_share_of_pairs() -> None:
    model = pk.Model(zinc_blende(pk.Sphere(18.0)), BEAM)
    np.testing.assert_allclose(sum(p.G for p in model.partials(R).values()), model(R).G, rtol=0, atol=1e-12)
    uncut = pk.Model(zinc_blende(pk.Sphere(18.0)), replace(BEAM, qmax=math.inf, qdamp=0.0))
    g = uncut.partials(np.arange(0.01, 18.0, 0.005), weighted=False)["Cd", "S"]
    rho0 = 8.0 / zinc_blende(pk.Sphere(18.0)).structure.cell[0] ** 3
    first = g.crop(1.8, 3.3)
    line = 4.0 * np.pi * first.r**2 * rho0 * pk.Sphere(18.0).gamma0(first.r)
    neighbours = 0.5 * ((first.r * first.G + line).sum() * 0.005)  # per S: c_S ρ₀
    assert neighbours == pytest.approx(4.0 * pk.Sphere(18.0).gamma0(np.array([5.832 * 3**0.5 / 4]))[0], rel=2e-3)
    # Of the crystal, not of a particle:
    assert zinc_blende(pk.Sphere(18.0)).coordination("Cd", "S", 2.0, 3.0) == pytest.approx(4.0)


# --- files of before -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["crystal", "stacked shape", "stacked body", "whole layers", "platelet"])
def test_models_of_before_keep_their_numbers(name: str) -> None:
    kept = BEFORE[name]
    model = serial.loads(json.dumps(kept["model"]))
    assert model.convention.finite_size == ("pairs" if name == "stacked body" else "curve")
    for one in (model, serial.loads(serial.dumps(model))):
        np.testing.assert_allclose(one(np.array(kept["r"])).G, kept["G"], rtol=0, atol=1e-12)


def test_models_that_had_both_ways_are_refused() -> None:
    with pytest.raises(pk.PdfkitError, match="γ₀ weighed the pairs of one phase"):
        serial.loads(json.dumps(BEFORE["mixture"]["model"]))


def test_the_old_word_of_a_stack_is_told_the_new_one(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"body is called shape now: write shape=Sphere\(20\)"):
        pk.Stacked("Cd", "S", a_h=4.1, alpha=0.1, body=pk.Sphere(20))  # type: ignore[call-arg]
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        '[data]\nfile = "x.gr"\n[[phase]]\nkind = "stacked"\nelements = ["Cd", "S"]\na_h = 4.1\nalpha = 0.1\n'
        'body = {kind = "sphere", spdiameter = 20}\n[fit]\nfree = ["scale"]\n'
    )
    with pytest.raises(pk.PdfkitError, match=r"body.* it is called shape = \{kind = \"sphere\""):
        pk.load_recipe(recipe)


def test_particles_smaller_than_the_range_need_no_ripples_from_beyond() -> None:
    """Models of them are not prepared anew for other displacements, and their numbers are those of a longer range."""
    small = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb", shape=pk.Sphere(20.0)), BEAM)
    r = np.arange(1.0, 25.0, 0.02)
    evaluate, sharp = small.evaluator(r), small.with_values({"zb.Cd.Uiso": 0.004})
    assert evaluate.near(sharp.values) is evaluate
    G, _ = evaluate(sharp.values)
    np.testing.assert_allclose(G, sharp.evaluator(r, end=60.0)(sharp.values)[0], atol=1e-8 * np.abs(G).max())
    grown = small.with_values({"zb.spdiameter": 30.0, "zb.Cd.Uiso": 0.004})
    assert evaluate.near(grown.values) is not evaluate


def test_how_far_a_crystal_is_followed_takes_no_copy() -> None:
    crystal = pk.Crystal.from_file("CdS_wurtzite", name="w")
    moved = crystal.with_values({"a": 4.2, "Cd.Uiso": 0.02, "S.Uiso": 0.007})
    told = crystal.outlook(np.array(moved.values))
    assert told == pytest.approx((moved.typical_variance(), moved.pair_density()), rel=1e-12)
    assert pk.Crystal.from_file("CdS_wurtzite", name="w", anisotropic=True).outlook(np.array(moved.values)) is None


def test_particles_that_end_where_they_are_faded_need_no_exact_fading() -> None:
    """What another displacement does to the fading is far below any noise; bulk crystals are prepared anew."""
    r = np.arange(1.0, 20.0, 0.05)
    for shape, same in ((pk.Sphere(24.0), True), (pk.Sphere(200.0), False), (pk.shapes.Bulk(), False)):
        model = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb", shape=shape), BEAM)
        model, other = (model.with_values({"zb.Cd.Uiso": U}) for U in (0.009, 0.00902))
        evaluate = model.evaluator(r)
        assert (evaluate.near(other.values, exactly=False) is evaluate) is same
        anew = evaluate.near(other.values)
        assert anew is not evaluate
        if same:
            G, expected = (one(other.values)[0] for one in (evaluate, anew))
            np.testing.assert_allclose(G, expected, atol=1e-6 * np.abs(expected).max())
