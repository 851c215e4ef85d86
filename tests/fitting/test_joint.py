"""Fits of G(r), small angles and a powder pattern of one cluster."""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import ParameterError, PdfkitError, PdfkitWarning
from pdfkit.fitting import balance
from pdfkit.fitting.projection import PatternSet, band_of
from pdfkit.fitting.residuals import Residuals
from pdfkit.model import noise
from pdfkit.model.mapping import ParameterMap
from pdfkit.model.measured import taken_for
from pdfkit.model.packing import hard_spheres
from pdfkit.model.pattern import PatternModel
from pdfkit.results.problem import PosedPattern

START = pk.Model(
    pk.Cluster(pk.build.tetrahedron("CdS_zincblende", 5), "c", Uiso=0.012, delta2=2.0),
    pk.Instrument(probe="X", qmin=0.6, qmax=15.0, qdamp=0.03),
)
TRUTH = {"c.scale": 0.9, "c.expansion": 0.01, "c.Cd.Uiso": 0.02, "c.S.Uiso": 0.03, "c.delta2": 3.0}
OWN = {"saxs.radius": 9.0, "saxs.fraction": 0.12, "xrd.zero": 0.03}
TRUE = START.with_values(TRUTH)
FREE = ["scale", "expansion", "Uiso", "delta2", "radius", "fraction", "zero"]
RANGE = {"rmin": 1.8, "rmax": 14.0}


@lru_cache
def curves() -> tuple[np.ndarray, ...]:
    """Return Q and I of both patterns without noise: scales 0.04 and 0.5, smooth backgrounds."""
    cluster, low, high = TRUE.phases[0], np.linspace(0.03, 0.6, 150), np.linspace(0.7, 5.8, 900)
    saxs = 0.04 * pk.saxs(cluster, low, per_atom=True).intensity * hard_spheres(low, 9.0, 0.12)
    angle = np.degrees(2 * np.arcsin(high * 1.5406 / (4 * np.pi)))
    xrd = 0.5 * pk.powder_pattern(cluster, angle - 0.03, 1.5406, per_atom=True, fwhm=0.2).intensity
    return low, saxs + 2 + 0.5 * (low[0] / low) ** 4, high, xrd + 400 - angle


def measured(seed: int, *, errors: bool = True, more: float = 1.0) -> dict[str, object]:
    low, saxs, high, xrd = curves()
    rng = np.random.default_rng(seed)
    pdf = noise.simulate(TRUE, 1.5, 16.0, 0.01, 0.02, seed)
    noises = [0.01 * saxs, 0.3 * np.sqrt(xrd)]
    noisy = [I + more * e * rng.standard_normal(e.size) for I, e in zip((saxs, xrd), noises, strict=True)]
    known = noises if errors else [None, None]
    saxs = pk.Intensity(low, noisy[0], known[0])
    xrd = pk.Intensity(high, noisy[1], known[1], wavelength=1.5406)
    return {
        "pdf": pdf if errors else pk.PDF(pdf.r, pdf.G, instrument=pdf.instrument),
        "saxs": pk.patterns.SmallAngle(saxs, packing="hard-spheres", reach=120),
        "xrd": pk.patterns.Powder(xrd, fwhm=0.2),
    }


def fitted(seed: int, *, errors: bool = True, **options: object) -> pk.FitResult:
    return pk.fit(START, measured(seed, errors=errors), free=FREE, **{**RANGE, "search": "plain", **options})


@pytest.mark.parametrize("errors", [True, False])
def test_pulls_are_normal(errors: bool) -> None:
    """50 measurements, errors known and not: (value − truth)/σ of every parameter, scales and backgrounds too."""
    truth, pulls, linear = {**TRUTH, **OWN}, [], []
    for seed in range(25):
        result = fitted(seed, errors=errors)
        pulls.append((result.values - [truth[name] for name in result.free]) / np.sqrt(np.diag(result.covariance)))
        saxs, xrd = result.patterns
        wanted = ((saxs, "c.scale", 0.04), (saxs, "flat", 2.0), (saxs, "porod", 0.5), (xrd, "c.scale", 0.5))
        linear.append([(one.linear[name][0] - value) / one.linear[name][1] for one, name, value in wanted])
    for found in (np.array(pulls), np.array(linear)):
        rms = np.sqrt((found**2).mean())
        # Of n numbers from one normal distribution the root mean square has the error 1/√(2n); these go together.
        assert abs(rms - 1) < 4 / math.sqrt(2 * found.size) + 0.05
        assert np.abs(found.mean(axis=0)).max() < 4 / math.sqrt(len(found))


def test_patterns_say_more_than_the_pdf_alone() -> None:
    alone = pk.fit(START, measured(3)["pdf"], free=["scale", "expansion", "Uiso", "delta2"], **RANGE)
    both = fitted(3)
    better = both.params["c.expansion"].stderr / alone.params["c.expansion"].stderr
    assert better < 0.95
    assert [one.name for one in both.patterns] == ["saxs", "xrd"]
    assert all(0.4 < one.reduced_chi2 < 1.8 and one.size == 1.0 for one in both.patterns)
    assert all("background" in text for text in both.remarks if text.startswith(("saxs:", "xrd:")))


def test_jacobian_is_that_of_the_minimum() -> None:
    """Kaufman's derivative: its gradient is exact, and its rows lie outside of what scales can take."""
    result = fitted(1)
    residuals = Residuals(result.problem, ParameterMap.of(result.params))
    x = result.values * (1 + 0.01 * np.arange(result.values.size))
    rows = residuals.system(x)
    gradient = rows[:-1] @ rows[-1]
    for k in range(x.size):
        step = 1e-5 * abs(x[k]) * (np.arange(x.size) == k)
        costs = [0.5 * float(np.square(residuals.at(x + sign * step)).sum()) for sign in (1, -1)]
        assert (costs[0] - costs[1]) / (2 * step[k]) == pytest.approx(gradient[k], rel=1e-4, abs=1e-3 * abs(costs[0]))


def test_errors_that_are_not_true_are_not_believed() -> None:
    data = measured(2, more=5.0)
    for name in ("saxs", "xrd"):
        band = band_of(data[name])  # type: ignore[arg-type]
        assert band.source == "scatter"
        assert "5" in band.said[0] or "4.9" in band.said[0]
        dI = data[name].data.dI  # type: ignore[attr-defined]
        assert np.median(band.sigma / dI) == pytest.approx(5.0, rel=0.1)


def test_scatter_tells_errors_that_follow_the_intensity() -> None:
    low, saxs, *_ = curves()
    dI = 0.01 * saxs
    rng, ratios = np.random.default_rng(0), []
    for _ in range(10):
        data = pk.patterns.SmallAngle(pk.Intensity(low, saxs + dI * rng.standard_normal(dI.size)))
        ratios.append(band_of(data).sigma / dI)
    assert np.abs(np.exp(np.log(ratios).mean(axis=0))[5:-5] - 1).max() < 0.25


def test_a_wrong_pattern_weighs_less_and_says_so() -> None:
    """A powder pattern with a peak that no cluster of this kind has."""
    data = measured(4)
    xrd = data["xrd"].data  # type: ignore[attr-defined]
    bump = 40 * 0.3 * np.sqrt(xrd.I) * np.exp(-0.5 * ((xrd.Q - 2.8) / 0.15) ** 2)
    data["xrd"] = pk.patterns.Powder(pk.Intensity(xrd.Q, xrd.I + bump, xrd.dI, wavelength=xrd.wavelength), fwhm=0.2)
    result = pk.fit(START, data, free=FREE, **RANGE)  # type: ignore[arg-type]
    one = result.patterns[1]
    assert one.size > 2
    assert one.size == pytest.approx(math.sqrt(one.reduced_chi2), rel=0.1)
    assert any(text.startswith("xrd: the model misses these data by") for text in result.remarks)
    pulls = (result.values - [{**TRUTH, **OWN}[name] for name in result.free]) / np.sqrt(np.diag(result.covariance))
    assert np.abs(pulls).max() < 5


def test_bare_intensities_and_neutrons_beside_them() -> None:
    low, saxs, *_ = curves()
    about = pk.Instrument(probe="N", qmin=0.6, qmax=15.0)
    neutrons = noise.simulate(TRUE.with_instrument(about), 1.5, 16.0, 0.01, 0.02, 1)
    plain = pk.Intensity(low, saxs / hard_spheres(low, 9.0, 0.12), 0.02 * saxs)
    data = {"x": measured(1)["pdf"], "n": neutrons, "saxs": plain}
    result = pk.fit(START, data, free=["scale", "expansion", "Uiso"], **RANGE)  # type: ignore[arg-type]
    assert [one.name for one in result.datasets] == ["x", "n"]
    assert {"x.c.scale", "n.c.scale"} <= set(result.free)
    assert any("saxs: taken for small angles" in text for text in result.remarks)


def test_refit_and_weights_know_the_patterns() -> None:
    result = fitted(5)
    again = result.refit(free=["-delta2"])
    assert len(again.patterns) == 2
    assert "c.delta2" not in again.free
    heavy = fitted(5, settings=pk.FitSettings(weights={"xrd": 20.0}))
    assert heavy.params["c.expansion"].stderr > result.params["c.expansion"].stderr
    assert pk.parameters(START, measured(5))["saxs.radius"].value == 10.0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pdf": None}, "at least one PDF"),
        ({"c": pk.Intensity(np.linspace(1, 6, 50), np.ones(50))}, "name of a phase"),
        ({"xrd": pk.Intensity(np.linspace(1, 6, 50), np.ones(50))}, "too few to tell their errors"),
        ({"xrd": 7}, "with pdfkit.read_pdf; patterns are a pdfkit.Intensity"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change: dict[str, object], words: str) -> None:
    data = {name: one for name, one in {**measured(0), **change}.items() if one is not None}
    with pytest.raises(PdfkitError, match=words):
        pk.fit(START, data, free=["scale"], **RANGE)  # type: ignore[arg-type]


def test_independent_errors_and_other_programs_are_refused() -> None:
    with pytest.raises(PdfkitError, match="finite qmax"):
        fitted(0, settings=pk.FitSettings(errors="independent"))
    with pytest.raises(ParameterError, match="nothing is free"):
        pk.fit(START, measured(0), **RANGE)  # type: ignore[arg-type]


def test_what_knows_nothing_of_patterns_refuses_them() -> None:
    result = fitted(0)
    with pytest.raises(PdfkitError, match=r"one ln Z of pdfkit\.screen"):
        pk.compare({"a": result, "b": result})
    with pytest.raises(PdfkitError, match="not resampled"):
        pk.uncertainty.bootstrap(result, repeats=2)


def test_numbers_of_a_pattern_are_independent() -> None:
    """Noise alone, whitened: as many numbers as directions, of variance 1."""
    low, saxs, *_ = curves()
    rng, found = np.random.default_rng(1), []
    for _ in range(40):
        data = pk.patterns.SmallAngle(pk.Intensity(low, 3 + 0.01 * saxs * rng.standard_normal(low.size), 0.01 * saxs))
        found.append(band_of(data).target)
    assert np.square(found).mean() == pytest.approx(1.0, abs=0.15)
    count = len(found[0])
    assert count < 30
    model = pk.fit(START, measured(0), free=["scale"], **RANGE).problem.patterns[0]  # type: ignore[arg-type]
    assert PatternSet.of(model).count == band_of(model.measured).target.size - 1


def test_saved_and_written_and_drawn(tmp_path: Path) -> None:
    result = fitted(6)
    back = pk.load_result(result.save(tmp_path / "joint.h5"))
    assert str(back) == str(result)
    for one, other in zip(result.patterns, back.patterns, strict=True):
        assert np.array_equal(one.calc, other.calc)
        assert (one.linear, one.chi2, one.size) == (other.linear, other.chi2, other.size)
    assert back.refit().rw == pytest.approx(result.rw, rel=1e-6)
    files = result.write_columns(tmp_path / "columns.txt")
    assert [file.name for file in files] == ["columns.txt", "columns_saxs.txt", "columns_xrd.txt"]
    names, values, header = pk.io.read_columns(files[2])
    assert names[:3] == ("Q", "two_theta", "Iobs")
    assert values.shape[0] == len(result.patterns[1].data)
    assert header["wavelength"] == "1.5406"
    with pytest.warns(PdfkitWarning, match="these are small angles"):
        np.testing.assert_allclose(pk.read_intensity(files[1]).I, result.patterns[0].data.I)
    figure = pk.plot.fit(result, tmp_path / "joint.png")
    assert [axes.get_xscale() for axes in figure.axes] == ["linear", "log", "linear"]
    assert figure.axes[1].get_ylabel() == "$I$"
    plain = result.to_dict()["patterns"]
    assert [one["name"] for one in plain] == ["saxs", "xrd"]
    text = str(result)
    assert "patterns beside G(r): each weighs by its own noise" in text
    assert "hard-spheres of one size" in text
    assert list(result.patterns[0].to_dataframe()) == ["Q", "Iobs", "Icalc", "Idiff", "background", "dI"]


@pytest.mark.parametrize("errors", [True, False])
def test_misfit_of_the_pdf_that_is_no_noise_keeps_its_size(errors: bool) -> None:
    """Points of G(r) are weighed alike then, and by as much as they are missed: not with errors of 1 Å⁻²."""
    data = measured(3, errors=errors)
    pdf = data["pdf"]
    assert isinstance(pdf, pk.PDF)
    wrong = pdf.G + 0.4 * np.exp(-(((pdf.r - 3) / 0.6) ** 2)) * np.cos(6 * pdf.r)
    data = {"pdf": pk.PDF(pdf.r, wrong, pdf.dG, instrument=pdf.instrument), "saxs": data["saxs"]}
    alone = pk.fit(START, data["pdf"], free=FREE[:4], **RANGE)
    result = pk.fit(START, data, free=FREE[:6], **RANGE)
    assert any("more than noise" in text for text in result.remarks), result.remarks
    assert result.rw == pytest.approx(alone.rw, rel=0.01)
    assert result.datasets[0].size == pytest.approx(3.36 if errors else 0.0672, rel=0.02)


def test_numbers_of_another_packing_are_refused() -> None:
    with pytest.raises(PdfkitError, match='spacing = 20 is of packing="hexagonal", and packing is "none"'):
        pk.patterns.SmallAngle(pk.Intensity(np.linspace(0.03, 0.6, 50), np.ones(50)), spacing=20)


def test_patterns_in_a_list_have_no_names() -> None:
    data = measured(0)
    with pytest.raises(PdfkitError, match="patterns need names: give a dict"):
        pk.fit(START, [data["pdf"], data["saxs"]], free=["scale"])


def test_what_says_nothing_of_the_particle_and_what_too_much_was_taken_off_is_said() -> None:
    low, saxs, _, _ = curves()
    pdf, rng = measured(0)["pdf"], np.random.default_rng(4)
    for I, dI, words in (
        (np.full(low.size, 5.0), np.full(low.size, 0.05), "saxs: the scale of c is 0 within its error"),
        (saxs - 0.5 * saxs.max(), 0.01 * saxs, "saxs: the background came out negative"),
    ):
        data = {
            "pdf": pdf,
            "saxs": pk.patterns.SmallAngle(pk.Intensity(low, I + dI * rng.standard_normal(low.size), dI)),
        }
        result = pk.fit(START, data, free=["scale", "expansion"], search="plain", **RANGE)
        said = [text for text in result.remarks if "saxs" in text]
        scale, _ = result.patterns[0].linear["c.scale"]
        assert any(text.startswith(words) or (scale == 0 and "held at 0" in text) for text in said), said


def test_small_angles_in_nm() -> None:
    low, saxs, _, _ = curves()
    _, said = taken_for(pk.Intensity(low * 10, saxs))
    assert "may be small angles in nm⁻¹: then divide Q by 10" in said
    assert "nm" not in taken_for(pk.Intensity(low * 10, saxs, wavelength=1.5))[1]
    assert "nm" not in taken_for(pk.Intensity(low, saxs))[1]


def test_scales_are_never_negative() -> None:
    """Data that contradict a cluster have nothing of it, and take off its evidence; near 0 that is a smooth change."""
    low, lnz, scales = np.linspace(0.03, 0.6, 150), [], []
    saxs = 0.04 * pk.saxs(TRUE.phases[0], low, per_atom=True).intensity
    for share in (1.0, 1e-3, 0.0, -1e-3, -1.0):
        I = share * saxs + 2
        data = pk.patterns.SmallAngle(pk.Intensity(low, I, np.full(low.size, 0.01)))
        model = PatternModel(TRUE.phases, data, TRUE.strengths)
        s = PatternSet.of(PosedPattern("saxs", model))
        G, _ = s.evaluate(model.values)
        f = s.rows(G, G[None][:0])[-1]
        scales.append(float(s.scales(G)[0]))
        lnz.append(s.ln_scales(G) - 0.5 * float(f @ f))
    assert scales[0] == pytest.approx(0.04, rel=1e-6)
    assert scales[1] == pytest.approx(4e-5, rel=1e-3)
    assert scales[2:] == pytest.approx([0.0] * 3, abs=1e-12)
    assert lnz[3] < lnz[1]
    assert lnz[4] < lnz[3] - 100


def test_weights_change_evenly_with_what_a_model_misses() -> None:
    chi2 = np.linspace(0.1, 5.0, 500)
    found = np.array([balance._believed(one) for one in chi2])
    np.testing.assert_array_equal(found[chi2 < balance.WITHIN], 1.0)
    np.testing.assert_allclose(found[chi2 > balance.BEYOND], chi2[chi2 > balance.BEYOND])
    assert np.diff(found).max() < 2 * np.diff(chi2).max()
    assert np.diff(found).min() >= 0
