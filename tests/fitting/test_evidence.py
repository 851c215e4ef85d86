"""Evidence against integrals that are known: by hand, on a grid, and by nested sampling; and what changes nothing."""

from __future__ import annotations

import csv
import functools
import importlib.util
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import simpson
from scipy.stats import multivariate_normal, norm

import pdfkit as pk
from pdfkit.fitting import nested
from pdfkit.fitting.boxed import Boxed
from pdfkit.fitting.evidence import Likelihood, laplace, sampled
from pdfkit.fitting.polishing import polished
from pdfkit.model.noise import simulate

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
study = pytest.importorskip("evidence")
Floats = NDArray[np.float64]
LAB = pk.Instrument(probe="X", qmax=16.0, qdamp=0.03)


def zincblende(name: str = "zb", **values: float) -> pk.Crystal:
    crystal = pk.Crystal.from_file("CdS_zincblende", name=name, shape=pk.Sphere(24.0), delta2=2.0)
    return crystal.with_values(values)


def stacked(alpha: float) -> pk.Stacked:
    about = {"a_h": 4.13, "h": 3.37, "u": 0.375, "Uiso": 0.015, "delta2": 2.0, "shape": pk.Sphere(24.0)}
    return pk.Stacked("Cd", "S", name="st", alpha=alpha, **about)


def measured(*phases: pk.Crystal | pk.Stacked, sigma: float = 0.1, told: bool = True, seed: int = 1) -> pk.PDF:
    data = simulate(pk.Model(phases, LAB), 1.8, 12.0, 0.02, sigma, seed)
    return data if told else replace(data, dG=None)


# --- a normal distribution in a box ----------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 4])
def test_mass_of_a_cut_normal_distribution_is_that_of_scipy(k: int) -> None:
    rng = np.random.default_rng(k)
    root = rng.standard_normal((k, k))
    covariance, mean = 0.05 * root @ root.T + 1e-3 * np.eye(k), rng.random(k)
    mass = multivariate_normal(mean, covariance).cdf(np.ones(k), lower_limit=np.zeros(k))
    assert Boxed.of(mean, covariance).ln_mass() == pytest.approx(math.log(mass), abs=1e-9 if k == 1 else 0.02)


def test_points_of_a_cut_normal_distribution_have_the_density_that_is_said() -> None:
    covariance = np.array([[0.04, 0.03], [0.03, 0.09]])
    one = Boxed.of(np.array([0.05, 0.9]), covariance)
    points = one.points(np.random.default_rng(2).random((20_000, 2)))
    assert ((points >= 0) & (points <= 1)).all()
    ratio = np.exp(multivariate_normal(one.mean, covariance).logpdf(points) - one.ln_density(points))
    assert ratio.mean() == pytest.approx(math.exp(one.ln_mass()), abs=4 * ratio.std() / math.sqrt(ratio.size))


def test_a_mean_far_outside_has_the_mass_of_its_tail() -> None:
    one = Boxed.of(np.array([-3.0, 0.5]), np.diag([0.0025, 0.01]))
    assert one.ln_mass() == pytest.approx(float(norm.logsf(60.0) + norm.logcdf(5.0)), abs=1e-3)
    points = one.points(np.random.default_rng(3).random((100, 2)))
    assert (points[:, 0] < 0.01).all()


# --- integrals that are known ----------------------------------------------------------------------------------------


def on_a_grid(likelihood: Likelihood, x: Floats, points: int, sigmas: float = 7.0) -> float:
    """ln Z by Simpson's rule over all of the posterior that is within the priors."""
    result = np.sqrt(np.diag(np.linalg.inv(likelihood.quadratic(x)[2])))
    centre = likelihood.unit(x)
    axes = [
        np.linspace(max(0.0, c - sigmas * s), min(1.0, c + sigmas * s), points)
        for c, s in zip(centre, result, strict=True)
    ]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, x.size)
    values = np.array([likelihood(z) for z in nodes]).reshape([points] * x.size)
    top = values.max()
    total: Floats = np.exp(values - top)
    for axis in reversed(axes):
        total = simpson(total, x=axis, axis=-1)
    return float(top + math.log(float(total)))


@pytest.mark.parametrize("noise", ["known", "misfit"])
def test_one_linear_parameter_is_integrated_exactly(noise: str) -> None:
    result = pk.fit(pk.Model(zincblende(), LAB), measured(zincblende()), free=["scale"])
    likelihood = Likelihood.of(result, noise)
    exact = on_a_grid(likelihood, result.values, 101)
    # The distribution of a scale with unknown noise is Student's with N degrees of freedom: nearly, not quite normal.
    assert laplace(likelihood, result.values) == pytest.approx(exact, abs=1e-3 if noise == "known" else 0.02)
    found = sampled(likelihood, result.values)
    assert found.lnz == pytest.approx(exact, abs=4 * found.error + 1e-3)


def test_a_parameter_on_its_bound_is_integrated_up_to_there() -> None:
    """A scale that wants to be negative: the integral is that of a normal distribution's tail."""
    data = measured(zincblende())
    other = pk.Model([zincblende(), zincblende("no", a=6.15)], LAB)
    result = pk.fit(other, replace(data, G=data.G - 0.05 * other.phase_curves(data.r)["no"].G), free=["scale"])
    assert result.at_bounds == ("no.scale",)
    likelihood = Likelihood.of(result, "known")
    assert laplace(likelihood, result.values) == pytest.approx(on_a_grid(likelihood, result.values, 41), abs=5e-3)


@functools.cache
def few_faults() -> tuple[pk.FitResult, Likelihood, float]:
    """Return a fit whose posterior is not normal, and its integral."""
    result = pk.fit(pk.Model(stacked(0.2), LAB), measured(zincblende(), sigma=0.2), free=["alpha", "spdiameter"])
    likelihood = Likelihood.of(result, "known")
    return result, likelihood, on_a_grid(likelihood, result.values, 49, 9.0)


def test_a_posterior_that_is_not_normal_is_corrected() -> None:
    """Few faults and a diameter: alpha ends at 0, and the quadratic is off; importance sampling is not."""
    result, likelihood, exact = few_faults()
    found = sampled(likelihood, result.values)
    assert found.lnz == pytest.approx(exact, abs=4 * found.error + 0.02)
    assert found.error < 0.1
    assert found.evaluations <= 3000


@pytest.mark.slow
def test_a_bent_posterior_is_not_cut_short() -> None:
    """Mean and spread of spheres, of which data see little but one combination: a bent ridge down to no spread at all.

    ln Z of the quadratic is off; what is learned of the ridge brings it within one of the integral on a grid, in which
    the round with the least scatter alone (0.9 too low here) was not.
    """
    ball = pk.Crystal.from_file("Ni", name="ni", shape=pk.shapes.LognormalSpheres(20.0, 6.0))
    lab = pk.Instrument(probe="X", qmax=18.0, qdamp=0.03)
    data = simulate(pk.Model(ball.with_values({"Ni.Uiso": 0.01}), lab), 1.5, 12.0, 0.05, 0.3, 10)
    start = replace(ball, shape=pk.shapes.LognormalSpheres(20.0, 4.0)).with_values({"Ni.Uiso": 0.01})
    bounds = {"spdiameter": (2.0, 100.0), "spsigma": (0.01, 30.0)}
    result = pk.fit(pk.Model(start, lab), data, free=["spdiameter", "spsigma"], bounds=bounds)
    likelihood = Likelihood.of(result, "misfit")
    diameters, spreads = np.linspace(0.0, 0.3, 41), np.linspace(0.0, 0.4, 41)
    values = np.array([[likelihood(np.array([d, s])) for s in spreads] for d in diameters])
    exact = float(values.max() + np.log(simpson(simpson(np.exp(values - values.max()), x=spreads), x=diameters)))
    found = [sampled(likelihood, result.values, seed) for seed in range(2)]
    assert max(abs(one.lnz - exact) for one in found) < 0.75
    assert max(one.evaluations for one in found) <= 3000


def test_nested_sampling_gives_the_same_integral() -> None:
    pytest.importorskip("dynesty")
    result, likelihood, exact = few_faults()
    told: list[int] = []
    found = nested.nested(likelihood, result.values, points=80, tell=lambda count, left: told.append(count))
    assert found.lnz == pytest.approx(exact, abs=4 * found.error)
    assert told == sorted(told)
    assert len(told) > 3


def test_the_start_of_a_nested_search_is_a_density() -> None:
    result = pk.fit(pk.Model(zincblende(), LAB), measured(zincblende()), free=["scale", "a"])
    start = nested.Start.of(Likelihood.of(result, "known"), result.values)
    points = np.array([start.points(u) for u in np.random.default_rng(4).random((4000, 2))])
    back = np.exp([-start.ln_density(z) for z in points])  # the mean of 1/q over q is the volume: 1
    assert back.mean() == pytest.approx(1.0, abs=4 * back.std() / math.sqrt(back.size))


def test_nested_sampling_without_dynesty_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    model, data = pk.Model(zincblende(), LAB), measured(zincblende())
    with pytest.raises(pk.PdfkitError, match="needs the package dynesty: install it"):
        pk.compare({"one": model}, data, free="scale", evidence="nested")
    with pytest.raises(pk.PdfkitError, match="evidence"):
        pk.compare({"one": model}, data, free="scale", evidence="bic")


DYNESTY = json.loads((BENCHMARKS / "evidence.json").read_text())
"""ln Z, its standard error and evaluations by dynesty 3.1.0: `python benchmarks/evidence.py --nested`."""


@pytest.mark.parametrize("name", ["correlated motion", "a cluster, or a mixture", "a mixture"])
def test_differences_are_those_of_dynesty(name: str) -> None:
    """Within three errors of both computations, and within 0.9: one is asked for."""
    problem = next(one for one in study.PROBLEMS if one.name == name)
    how, results = study.measure(problem)
    found = {key: sampled(Likelihood.of(one, how), one.values) for key, one in results.items()}
    (first, e1, _), (second, e2, _) = (DYNESTY[name][key] for key in found)
    ours = found[problem.first].lnz - found[problem.second].lnz
    error = math.hypot(e1, e2, *(one.error for one in found.values()))
    assert error < 0.35
    assert ours == pytest.approx(first - second, abs=min(3 * error, 0.9))


# --- what changes nothing --------------------------------------------------------------------------------------------


def evidences(data: pk.PDF) -> Floats:
    """ln Z of two rivals."""
    models = {"zb": pk.Model(zincblende(), LAB), "st": pk.Model(stacked(0.2), LAB)}
    free = ["scale", "a", "a_h", "h", "alpha", "spdiameter"]
    found = pk.compare(models, data, free=free)
    return np.array([found.lnz[found.names.index(name)] for name in models])


def test_the_unit_of_the_data_changes_no_difference() -> None:
    data = measured(stacked(0.1), told=False)
    plain, large = evidences(data), evidences(replace(data, G=1e3 * data.G))
    assert large[1] - large[0] == pytest.approx(plain[1] - plain[0], abs=0.2)


def test_what_the_data_do_not_determine_costs_nothing() -> None:
    """The parameter of a phase without atoms: its posterior is its prior."""
    model = pk.Model([zincblende(), zincblende("none", scale=0.0)], LAB)
    data = measured(zincblende())
    free = ["zb.scale", "zb.a"]
    plain = pk.fit(model, data, free=free)
    more = pk.fit(model, data, free=[*free, "none.a"])
    ends = [laplace(Likelihood.of(one, "known"), one.values) for one in (plain, more)]
    assert ends[1] == pytest.approx(ends[0], abs=2e-3)


def test_data_without_noise_have_a_finite_evidence() -> None:
    found = pk.compare(
        {"zb": pk.Model(zincblende(), LAB), "st": pk.Model(stacked(0.2), LAB)},
        pk.Model(zincblende(), LAB)(np.arange(2, 10, 0.02)),  # simulated
        free=["scale", "alpha"],
    )
    assert np.isfinite(found.lnz).all()
    assert found.names[0] == "zb"


# --- no rival stands at a worse minimum ------------------------------------------------------------------------------


def test_a_rival_that_starts_badly_is_fitted_from_where_the_other_ended() -> None:
    data = measured(zincblende(), sigma=0.05)
    lost = pk.Model(zincblende(a=6.2), LAB)
    models = {"good": pk.Model(zincblende(), LAB), "lost": lost}
    how = {"free": ["scale", "a"], "bounds": {"a": (5.5, 6.5)}, "search": "plain"}
    alone = pk.fit(lost, data, **how)
    found = pk.compare(models, data, **how)
    assert alone.rw > 1.5 * found["good"].rw
    assert found["lost"].rw == pytest.approx(found["good"].rw, rel=1e-4)
    assert any(text.startswith("lost: found from the end point of good") for text in found.remarks)
    assert "from its own start values the fit ended" in found.table()


def test_the_end_of_one_rival_is_kept_where_no_other_is_better() -> None:
    dots = zincblende(**{"Cd.Uiso": 0.01, "S.Uiso": 0.04})
    results = {"zb": pk.fit(pk.Model(dots, LAB), measured(dots, sigma=0.05), free=["scale", "a", "Uiso"])}
    said: list[str] = []
    assert polished(results, said.append)["zb"] is results["zb"]
    assert said == ["zb from the U of Cd and S in zb exchanged"]


# --- one convention --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found() -> pk.Comparison:
    models = {"zb": pk.Model(zincblende(), LAB), "st": pk.Model(stacked(0.2), LAB)}
    return pk.compare(models, measured(zincblende()), free=["scale", "a", "a_h", "h", "alpha", "spdiameter"])


def test_differences_have_one_sign_everywhere(found: pk.Comparison, tmp_path: Path) -> None:
    assert found.delta[0] == 0.0
    assert found.delta[1] > 0
    with found.to_csv(tmp_path / "c.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["delta"]) for row in rows] == list(found.delta)
    assert [float(row["lnz"]) for row in rows] == list(found.lnz)
    assert found.to_dataframe()["delta"].tolist() == list(found.delta)
    assert [one["delta"] for one in found.to_dict()["models"].values()] == list(found.delta)
    shown = [line.split() for line in found.table().splitlines()[:3]]
    assert [row[shown[0].index("ΔlnZ")] for row in shown[1:]] == [f"{one:.3g}" for one in found.delta]


def test_the_report_names_every_prior(found: pk.Comparison) -> None:
    text = found.table()
    assert "Priors are flat, from low to high" in text
    for several, result in zip(found.priors, found.results, strict=True):
        assert tuple(one.name for one in several) == result.free
        for one in several:
            par = result.params[one.name]
            assert one.low == par.min
            assert one.given == math.isfinite(par.max)
            # Values in the measure of the best fit's noise are not quite those of a fit by its own.
            assert one.high == (par.max if one.given else pytest.approx(2 * par.value, rel=0.05))
            assert f"{one.high:.6g}" in text
