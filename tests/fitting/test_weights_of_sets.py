"""Weights of data sets: they move the minimum as they say, and errors stay those of the data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import PdfkitError, RecipeError
from pdfkit.recipes.recipe import fit_recipe, load_recipe

R = np.arange(1.5, 12.0, 0.05)
X, N = pk.Instrument(probe="X", qmax=22.0), pk.Instrument(probe="N", qmax=18.0)
FREE = ["a"]


def model(a: float = 3.52, instrument: pk.Instrument = X) -> pk.Model:
    return pk.Model(pk.Crystal.from_file("Ni", name="ni"), instrument).with_values({"ni.a": a})


def pair(sizes=(0.2, 0.2), cells=(3.52, 3.53), seed: int | None = None) -> dict[str, pk.PDF]:
    rng = np.random.default_rng(seed)
    out = {}
    for name, instrument, size, a in zip("xn", (X, N), sizes, cells, strict=True):
        G = model(a, instrument)(R).G
        noise = size * rng.standard_normal(R.size) if seed is not None else 0.0
        out[name] = pk.PDF(R, G + noise, np.full(R.size, size), instrument=instrument)
    return out


def fitted(data, weights=None, **options) -> pk.FitResult:
    settings = pk.FitSettings(errors="independent", noise="given", weights=weights or {})
    return pk.fit(model(), data, free=FREE, settings=settings, search="plain", **options)


def slopes(a: float = 3.525) -> list[np.ndarray]:
    """∂G/∂a of each data set over its dG of 0.2."""
    step = 1e-5
    return [(model(a + step, i)(R).G - model(a - step, i)(R).G) / (2 * step) / 0.2 for i in (X, N)]


def test_the_minimum_is_that_of_the_weighted_sum() -> None:
    first, second = (fitted(pair(), w).params["ni.a"].value for w in (None, {"x": 1.0, "n": 1.0}))
    assert first == second
    info = [float(j @ j) for j in slopes()]
    for weight in (0.2, 5.0):
        a = fitted(pair(), {"x": weight}).params["ni.a"].value
        wanted = (weight * info[0] * 3.52 + info[1] * 3.53) / (weight * info[0] + info[1])
        assert a == pytest.approx(wanted, abs=2e-4)
    assert fitted(pair(), {"x": 1e4}).params["ni.a"].value == pytest.approx(3.52, abs=1e-5)


def test_errors_are_those_of_the_sandwich() -> None:
    data = pair(cells=(3.52, 3.52))
    (j, k), weight = slopes(3.52), 7.0
    bread = 1.0 / (weight * j @ j + k @ k)
    meat = weight**2 * j @ j + k @ k
    found = fitted(data, {"x": weight})
    plain = fitted(data)
    # One point every π/Qmax counts, in both alike: only the ratio is of the weights.
    ratio = float(np.sqrt(bread**2 * meat * (j @ j + k @ k)))
    assert ratio > 1.01
    assert found.params["ni.a"].stderr / plain.params["ni.a"].stderr == pytest.approx(ratio, rel=1e-4)


@pytest.mark.parametrize("noise", ["given", "estimated"])
def test_errors_are_the_spread_of_repeated_measurements(noise: str) -> None:
    settings = pk.FitSettings(noise=noise, weights={"n": 8.0})
    band = {name: np.sin(np.outer(np.arange(0.15, i.qmax, 0.2), R)) for name, i in (("x", X), ("n", N))}
    clean = pair(cells=(3.52, 3.52))
    values, errors = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        data = {
            name: replace(one, G=one.G + 0.05 * rng.standard_normal(band[name].shape[0]) @ band[name], dG=None)
            for name, one in clean.items()
        }
        result = pk.fit(model(), data, free=["a", "scale"], settings=settings, search="plain")
        values.append(result.params["ni.a"].value)
        errors.append(result.params["ni.a"].stderr)
    assert np.std(values) / np.mean(errors) == pytest.approx(1.0, abs=0.3)  # 40 repeats tell it to 11 %


def test_chi2_and_rw_are_those_of_the_data_and_weights_are_kept(tmp_path: Path) -> None:
    data = pair(seed=3)
    result = fitted(data, {"x": 3.0})
    chi2 = sum(float((((one.data.G - one.calc.G) / 0.2) ** 2).sum()) for one in result.datasets)
    assert result.chi2 == pytest.approx(chi2, rel=1e-6)
    assert "weight" in str(result)
    loaded = pk.load_result(result.save(tmp_path / "fit.h5"))
    assert loaded.problem.settings.weights == {"x": 3.0}
    again = loaded.refit()
    assert again.params["ni.a"].value == pytest.approx(result.params["ni.a"].value, abs=1e-7)
    assert again.params["ni.a"].stderr == pytest.approx(result.params["ni.a"].stderr, rel=1e-3)
    settings = pk.FitSettings(errors="independent", noise="given", weights={"x": 3.0})
    both = pk.fit(model(), data, free=["a", "Uiso"], settings=settings, search="plain")
    low, high = pk.uncertainty.profile(both, "ni.a", points=5).interval()
    assert (high - low) / 2 == pytest.approx(both.params["ni.a"].stderr, rel=0.05)
    with pytest.raises(PdfkitError, match="fitted with weights of its data sets"):
        pk.compare({"one": result, "two": fitted(data)})


def test_what_cannot_be_is_refused_and_one_set_alone_is_said() -> None:
    for wrong in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(PdfkitError, match="weight of x"):
            pk.FitSettings(weights={"x": wrong})
    with pytest.raises(PdfkitError, match="weights name 'y': the data sets are x, n"):
        fitted(pair(), {"y": 2})
    alone = fitted(pair()["x"], {"x": 2})
    assert any("only data set has no effect" in text for text in alone.remarks)
    assert alone.params["ni.a"].stderr == fitted(pair()["x"]).params["ni.a"].stderr


RECIPE = """\
[[data]]
name = "x"
file = "x.gr"
weight = 4

[[data]]
name = "n"
file = "n.gr"

[[phase]]
name = "ni"
structure = "Ni"

[fit]
free = ["a"]
noise = "given"
"""


def test_a_recipe_weighs_as_python_does(tmp_path: Path) -> None:
    for name, one in pair().items():
        pk.write_pdf(tmp_path / f"{name}.gr", one)
    path = tmp_path / "fit.toml"
    path.write_text(RECIPE)
    recipe = load_recipe(path)
    model_, data = recipe.build()
    settings = pk.FitSettings(noise="given", weights={"x": 4.0})
    same = pk.fit(model_, data, free=["a"], settings=settings)
    assert fit_recipe(recipe).params["ni.a"].value == pytest.approx(same.params["ni.a"].value, abs=1e-9)
    for value in ("0", "-2", "inf"):
        path.write_text(RECIPE.replace("weight = 4", f"weight = {value}"))
        with pytest.raises(RecipeError, match=r"line 4: weight = .* give a number above 0, or leave the data set out"):
            load_recipe(path)
