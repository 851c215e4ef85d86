"""Parametric fits: the arrow against dense algebra, recovery of known laws, evidence, the SrFe2As2 transition."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.series.arrow import Arrow, Quadratic, minimise
from pdfkit.series.cells import scan_evidence
from pdfkit.series.laws import Debye
from pdfkit.series.parametric import ParametricFit, fit_parametric

INSTRUMENT = pk.Instrument(probe="X", qmax=20, qdamp=0.03)
T, R = np.linspace(50.0, 400.0, 7), np.arange(1.5, 13.0, 0.04)
TRUTH = {"ni.a.c0": 3.51, "ni.a.c1": 4e-5, "ni.Ni.Uiso.debye": 390.0, "ni.Ni.Uiso.static": 5e-4}
BOTH = {"a": "linear", "Uiso": "debye"}


def nickel() -> pk.Model:
    return pk.Model(pk.Crystal.from_file("Ni", name="ni"), INSTRUMENT)


@lru_cache
def scans(seed: int = 1, bend: float = 0.0) -> tuple[pk.PDF, ...]:
    """Nickel that expands along a line, with Debye vibrations and a filling of its own, and noise flat in Q."""
    rng, U = np.random.default_rng(seed), Debye(58.6934).at(T, np.array([390.0, 5e-4]))[0]
    Q, out = np.arange(0.05, 20.0, 0.05), []
    waves = 2.0 / np.pi * np.sin(np.outer(R, Q))
    for t, one in zip(T, U, strict=True):
        a = 3.51 + 4e-5 * t + bend * (t - 200.0) ** 2
        made = nickel().with_values({"a": a, "Uiso": one, "scale": 0.8 + 0.05 * rng.standard_normal()})(R)
        noise = waves @ rng.normal(0.0, 0.015, Q.size)
        out.append(pk.PDF(R, made.G + noise, instrument=INSTRUMENT, name=f"{t:g} K"))
    return tuple(out)


@lru_cache
def found() -> ParametricFit:
    return fit_parametric(nickel(), scans(), T, laws=BOTH, free=["scale"])


def test_the_arrow_is_dense_least_squares() -> None:
    """Linear scans with two own and two led numbers: the same minimum, the same covariance of what is shared."""
    rng = np.random.default_rng(0)
    slopes = np.array([[[1.0, t, 0.0], [0.0, 1.0, t**2]] for t in (-1.0, 0.0, 1.0, 2.0)])
    rows = rng.normal(size=(4, 9, 5))
    dense, right = np.zeros((36, 8 + 3)), rows[:, :, -1].ravel()
    for k in range(4):
        dense[9 * k : 9 * k + 9, 2 * k : 2 * k + 2] = rows[k, :, :2]
        dense[9 * k : 9 * k + 9, 8:] = rows[k, :, 2:4] @ slopes[k]
    best = np.linalg.lstsq(dense, -right, rcond=None)[0]
    quadratics = [Quadratic(np.zeros(4), np.linalg.qr(one, mode="r")) for one in rows]
    wide = np.tile([-np.inf, np.inf], (3, 1))
    arrow = Arrow(quadratics, lambda theta: (slopes @ theta, slopes), wide[:2], wide[:2], wide)
    place = arrow.at(np.zeros(3), np.zeros((4, 2)))
    assert place is not None
    out = minimise(arrow, place, tolerance=1e-14)
    assert out.converged
    assert out.place.theta == pytest.approx(best[8:], abs=1e-6)
    assert out.place.own.ravel() == pytest.approx(best[:8], abs=1e-6)
    assert np.linalg.inv(out.shared.curvature) == pytest.approx(np.linalg.inv(dense.T @ dense)[8:, 8:], rel=1e-6)


def test_own_numbers_stay_within_their_bounds() -> None:
    rng = np.random.default_rng(3)
    quadratics = [Quadratic(np.zeros(2), np.linalg.qr(rng.normal(size=(6, 3)), mode="r")) for _ in range(5)]
    wide, box = np.array([[-np.inf, np.inf]]), np.array([[-0.01, 0.01]])
    slopes = np.ones((5, 1, 1))
    arrow = Arrow(quadratics, lambda theta: (theta * np.ones((5, 1)), slopes), box, wide, wide)
    place = arrow.at(np.zeros(1), np.zeros((5, 1)))
    assert place is not None
    out = minimise(arrow, place)
    assert out.converged
    assert np.abs(out.place.own).max() == 0.01
    costs = [
        sum(
            np.sum(q.triangle(np.append(o, out.place.led[k]))[:, -1] ** 2)
            for k, (q, o) in enumerate(zip(quadratics, out.place.own * factor, strict=True))
        )
        for factor in (1.0, 0.9)
    ]
    assert costs[0] < costs[1]


def test_known_laws_are_recovered_within_their_errors() -> None:
    assert found().converged
    assert set(found().names) == set(TRUTH)
    pulls = [(found()[name][0] - value) / found()[name][1] for name, value in TRUTH.items()]
    assert np.abs(pulls).max() < 3.0
    assert np.sqrt(np.mean(np.square(pulls))) < 2.0
    slope, error = found()["ni.a.c1"]
    assert error < 0.02 * slope


def test_shared_parameters_are_better_known_than_those_of_scans() -> None:
    single = found().alone_errors[:, 1]
    assert (found().along("ni.a")[1] < single).all()
    assert found().table.shape == found().errors.shape == (7, 3)
    assert found().columns == ("ni.scale", "ni.a", "ni.Ni.Uiso")
    assert (found().errors > 0).all()


def test_errors_of_scales_are_right_to_those_of_single_fits() -> None:
    single = found().alone_errors[:, 0]
    scale = found().along("ni.scale")[1]
    assert (scale < 1.02 * single).all()
    assert (scale > 0.3 * single).all()


def test_a_law_goes_beyond_the_series_with_its_errors() -> None:
    value, error = found().along("ni.a", [50.0, 600.0])
    assert value == pytest.approx([3.512, 3.534], abs=5e-4)
    assert error[1] > error[0]


def test_evidence_takes_the_law_that_made_the_data() -> None:
    curved = fit_parametric(nickel(), scans(), T, laws=BOTH | {"a": "quadratic"}, free=["scale"])
    straight = fit_parametric(nickel(), scans(), T, laws=BOTH, free=["scale"], like=curved)
    assert straight.better_than(curved) > 1.0
    bent = scans(1, 1e-7)
    curved = fit_parametric(nickel(), bent, T, laws=BOTH | {"a": "quadratic"}, free=["scale"])
    straight = fit_parametric(nickel(), bent, T, laws=BOTH, free=["scale"], like=curved)
    assert straight.better_than(curved) < -5.0
    assert curved["ni.a.c2"][0] == pytest.approx(1e-7, abs=4 * curved["ni.a.c2"][1])
    with pytest.raises(PdfkitError, match="different noise"):
        straight.better_than(found())


def test_an_expression_is_the_law_that_it_spells() -> None:
    laws = {"a": "a0*(1 + alpha*T)", "Uiso": "debye"}
    spelt = fit_parametric(nickel(), scans(), T, laws=laws, free=["scale"], start={"a0": 3.5, "alpha": 1e-5})
    assert spelt["a0"][0] == pytest.approx(found()["ni.a.c0"][0], abs=1e-6)
    assert spelt["a0"][0] * spelt["alpha"][0] == pytest.approx(found()["ni.a.c1"][0], rel=1e-3)
    assert spelt["a0"][1] == pytest.approx(found()["ni.a.c0"][1], rel=1e-2)


def test_a_wrong_law_stands_out_in_chi2() -> None:
    flat = fit_parametric(nickel(), scans(), T, laws=BOTH | {"a": "constant"}, free=["scale"], like=found())
    assert flat.better_than(found()) < -100.0
    assert flat.chi2[0] > 2.0 * found().chi2[0]


def test_an_index_far_from_0_tells_as_much() -> None:
    """A cubic over 1 % of an index (hours counted from somewhere): powers of the index itself would be all alike."""
    near = fit_parametric(nickel(), scans(), T, laws=BOTH | {"a": "cubic", "Uiso": "linear"}, free=["scale"])
    t = 1e4 + (T - 50.0) / 3.5
    far = fit_parametric(nickel(), scans(), t, laws={"a": "cubic", "Uiso": "linear"}, free=["scale"])
    assert far.converged
    assert not any("do not tell" in one for one in far.remarks)
    for ours, theirs in zip(far.along("ni.a"), near.along("ni.a"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)
    assert np.isfinite(far.covariance).all()


def test_two_scans_do_not_tell_a_parabola() -> None:
    out = fit_parametric(nickel(), scans()[:2], T[:2], laws={"a": "quadratic", "Uiso": "constant"}, free=["scale"])
    assert any("do not tell ni.a.c0, ni.a.c1, ni.a.c2" in one for one in out.remarks)
    assert np.isnan(out.along("ni.a", [300.0])[1]).all()


def test_a_scan_that_no_law_explains_is_named_and_widens_errors() -> None:
    """The fourth scan is of something else: it had drawn the slope of a by 45 errors without a word."""
    some = list(scans())
    Q = np.arange(0.05, 20.0, 0.05)
    noise = np.sin(np.outer(R, Q)) @ np.random.default_rng(5).normal(0.0, 0.01, Q.size)
    some[3] = pk.PDF(R, nickel().with_values({"a": 3.61, "Uiso": 0.008})(R).G + noise, instrument=INSTRUMENT, name="Cu")
    out = fit_parametric(nickel(), some, T, laws=BOTH, free=["scale"])
    assert any("laws miss" in one and "Cu (T = 225)" in one for one in out.remarks)
    slope, error = out["ni.a.c1"]
    assert abs(slope - TRUTH["ni.a.c1"]) < 3.0 * error
    assert not any("laws miss" in one for one in found().remarks)


def test_laws_without_a_value_at_the_start_say_so() -> None:
    spelt = {"laws": {"a": "a0 + k*sqrt(T - 100)", "Uiso": "constant"}, "start": {"a0": 3.5, "k": 1e-5}}
    with pytest.raises(PdfkitError, match="has no value here"):
        fit_parametric(nickel(), scans()[:3], T[:3], free=["scale"], **spelt)
    spelt = {"laws": {"a": "a0 + k*T", "Uiso": "constant"}, "start": {"a0": 35.0, "k": 1e-5}}
    with pytest.raises(ParameterError, match=r"ni\.a starts at 35.* where T = 50.*between"):
        fit_parametric(nickel(), scans()[:3], T[:3], free=["scale"], **spelt)


def test_a_series_brings_its_index() -> None:
    series = pk.read_series(list(scans()), index=T, name="kelvin")
    laws = {"a": "a0 + a1*kelvin", "Uiso": "debye"}
    out = fit_parametric(nickel(), series, laws=laws, free=["scale"], start={"a0": 3.5, "a1": 1e-5})
    assert out["a1"][0] == pytest.approx(found()["ni.a.c1"][0], rel=1e-3)
    assert next(iter(out.columns_of())) == "kelvin"


def test_it_prints_as_a_table() -> None:
    lines = str(found()).splitlines()
    assert lines[0].startswith("Parametric fit of 7 scans, T = 50 to 400: Rw = ")
    assert any(line.split()[0] == "ni.a.c1" for line in lines)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"index": [300.0] * 7}, "in every scan"),
        ({"index": None}, "a list of PDFs has no index"),
        ({"scans": scans()[:1], "index": [1.0]}, "a law needs several scans"),
        ({"scans": [*scans()[:6], "file.gr"]}, "scan 7 is of type str"),
        ({"ties": {"a": "3.5*scale"}}, "tied"),
        ({"rmin": 30.0}, "scan 1 "),
    ],
)
def test_errors_say_what_is_wrong(change: dict, words: str) -> None:
    options = {"scans": scans(), "index": T, "laws": BOTH, "free": ["scale"], **change}
    with pytest.raises((ParameterError, PdfkitError), match=words):
        fit_parametric(nickel(), **options)


def examples() -> Path | None:
    try:
        importlib.metadata.distribution("diffpy.cmi")
    except importlib.metadata.PackageNotFoundError:
        return None
    spec = importlib.util.find_spec("diffpy.cmi")
    places = (spec.submodule_search_locations or []) if spec else []
    found = [Path(one, "docs/examples/pdf/ch07StructuralPhaseTransitions/data") for one in places]
    return next((one for one in found if one.is_dir()), None)


@pytest.mark.examples
@pytest.mark.skipif(examples() is None, reason="the measured data come with the `examples` extra")
def test_srfe2as2_shows_its_transition() -> None:
    """150 to 246 K: orthorhombic below about 200 K, told by the order parameter, by the evidence and by each scan."""
    folder = examples()
    assert folder is not None
    files = sorted(folder.glob("*.gr"))
    pdfs = [pk.read_pdf(one, probe="X", qdamp=0.035) for one in files]
    kelvin = np.array([float(re.findall(r"_(\d+)K", one.name)[0]) for one in files])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pk.PdfkitWarning)  # the files state other formulas
        names = {"t": "SrFe2As2_tetragonal.cif", "o": "SrFe2As2_orthorhombic.cif"}
        phases = {name: pk.Crystal.from_file(folder / file, name=name, delta1=1) for name, file in names.items()}
    common = {"free": ["scale", "delta1"], "rmin": 1.5, "rmax": 20}
    rest = {"c": "quadratic", "As1.z": "linear", "Uiso": "debye"}
    split = {"a": "m*(1 + d)", "b": "m*(1 - d)", "m": "linear", "d": "order"}
    about = {"start": {"m": 5.55, "d": 0.004}, "bounds": {"d": (0.0, 0.02)}}
    low, high = (pk.Model(phases[name], pdfs[0].instrument) for name in "ot")
    orthorhombic = fit_parametric(low, pdfs, kelvin, laws=split | rest, **about, **common)
    tetragonal = fit_parametric(high, pdfs, kelvin, laws={"a": "linear"} | rest, like=orthorhombic, **common)
    end, error = orthorhombic["d.transition"]
    assert 185.0 < end < 210.0
    assert error < 10.0
    assert orthorhombic.better_than(tetragonal) > 100.0
    gained = tetragonal.chi2 - orthorhombic.chi2
    assert (gained[kelvin < 180] > 30.0).all()
    assert (np.abs(gained[kelvin > 205]) < 15.0).all()
    cells = {"t": ["a", "c"], "o": ["a", "b", "c"]}
    free = {name: ["scale", *cell, "As1.z", "Uiso", "delta1"] for name, cell in cells.items()}
    weighed = scan_evidence({"t": high, "o": low}, pdfs, kelvin, free=free, rmin=1.5, rmax=20)
    assert weighed.favoured() == ("o",) * 8 + ("t",) * 9
    split_of, sigma = orthorhombic.along("d")
    assert split_of[0] > 5.0 * sigma[0]
    assert (split_of[kelvin > end] == 0.0).all()
    # Some residuals look like noise, some do not: weighed in two ways, As would fall by 4e-4 between 186 and 192 K.
    height = tetragonal.alone[:, tetragonal.columns.index("t.As1.z")]
    assert np.abs(np.diff(height)).max() < 1.5e-4
