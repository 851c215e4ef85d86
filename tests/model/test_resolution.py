"""Lines of the instrument: against F(Q) convolved by plain sums, carried from a standard to a sample, kept in files."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

import pdfkit as pk
from pdfkit.errors import PdfkitError
from pdfkit.model import serial

QMAX, STEP, P = 20.0, 0.004, 0.006
R = np.arange(150, 2001) * 0.01
BEAM = pk.Instrument(probe="X", qmax=QMAX, qdamp=0.06, scattering="constant")
NICKEL = pk.Crystal.from_file("Ni", name="ni", delta2=2.0).with_values({"Ni.Uiso": 0.006})
CDS = pk.Crystal.from_file("CdS_zincblende", name="zb", delta2=2.5).with_values({"Cd.Uiso": 0.012, "S.Uiso": 0.018})


@lru_cache(maxsize=2)
def spline(crystal: pk.Crystal) -> CubicSpline:
    """Return F(Q) of a crystal with lines of constant width, to 1e-5: ripples of r < 120 Å on steps of 0.002 Å⁻¹."""
    fine, Q = 0.05 * np.arange(1, 2400), 0.5 * STEP * np.arange(20_000)
    F = pk.transforms.inverse_sine_transform(fine, pk.Model(crystal, replace(BEAM, qmax=math.inf))(fine).G, Q)
    return CubicSpline(Q, F)


def sharp(crystal: pk.Crystal, Q: np.ndarray) -> np.ndarray:
    """Return F(Q) of a crystal with lines of constant width; beyond 40 Å⁻¹ nothing is left of it."""
    return np.where(Q < 39.9, spline(crystal)(np.minimum(Q, 39.9)), 0.0)


def convolved(crystal: pk.Crystal, p: float) -> pk.PDF:
    """Return the G(r) of F(Q) convolved with Gaussians of standard deviation p·Q, by sums over a fine grid of Q."""
    Q = STEP * np.arange(round(QMAX * (1 + 8 * p) / STEP) + 4)
    F = sharp(crystal, Q)
    out = []
    for q in Q[Q <= QMAX + 1e-9]:
        near = np.abs(Q - q) <= 8 * p * q + 1e-9
        weight = np.exp(-0.5 * ((Q[near] - q) / max(p * q, STEP / 3)) ** 2)
        out.append(float(weight @ F[near] / weight.sum()))
    return transformed(Q[: len(out)], np.array(out))


def tailed(crystal: pk.Crystal, tau: float, qmin: float, window: str) -> pk.PDF:
    """Return the G(r) of F′(Q) = ∫F(Q ± s)exp(−s/|τ|)/|τ| ds, F odd: Gauss–Laguerre over s, by sums over Q."""
    Q = STEP * np.arange(math.ceil(qmin / STEP), round(QMAX / STEP) + 1)
    s, w = np.polynomial.laguerre.laggauss(60)
    near = Q[:, None] + tau * s
    F = np.sign(near) * sharp(crystal, np.abs(near).ravel()).reshape(near.shape)
    return transformed(Q, F @ w * pk.transforms.window(window, Q, QMAX))


def transformed(Q: np.ndarray, F: np.ndarray) -> pk.PDF:
    weights = np.full(Q.size, STEP)
    weights[[0, -1]] *= 0.5
    return pk.PDF(R, 2 / math.pi * np.sin(np.outer(R, Q)) @ (F * weights), instrument=replace(BEAM))


def rw(data: pk.PDF, model: pk.Model) -> float:
    return math.sqrt(float(((data.G - model(R).G) ** 2).sum() / (data.G**2).sum()))


def test_lines_of_constant_ratio_add_to_the_variance() -> None:
    data = convolved(NICKEL, P)
    assert rw(data, pk.Model(NICKEL, replace(BEAM, resolution=P))) < 0.004
    assert rw(data, pk.Model(NICKEL, BEAM)) > 0.08


def test_what_is_fitted_to_a_standard_holds_for_a_softer_sample() -> None:
    data = {one.name: replace(convolved(one, P), instrument=pk.Instrument("X", qmax=QMAX)) for one in (NICKEL, CDS)}
    found = {}
    for name in ("resolution", "qbroad"):
        start = pk.Model(NICKEL, replace(BEAM, qdamp=0.05))
        standard = pk.fit(start, data["ni"], free=["scale", "a", "Uiso", "delta2", "qdamp", name])
        about = {key: standard.params[key].value for key in ("qdamp", name)}
        sample = pk.Model(CDS, replace(BEAM, **about))
        found[name] = pk.fit(sample, data["zb"], free=["scale", "a", "Uiso", "delta2"])
        if name == "resolution":
            assert about["resolution"] == pytest.approx(P, rel=0.02)
    for element, U in (("Cd", 0.012), ("S", 0.018)):
        assert found["resolution"].params[f"zb.{element}.Uiso"].value == pytest.approx(U, rel=0.01)
        assert found["qbroad"].params[f"zb.{element}.Uiso"].value < 0.9 * U


@pytest.mark.parametrize(
    ("tau", "qmin", "window"), [(0.06, 0.0, "none"), (-0.06, 0.0, "none"), (0.06, 1.0, "none"), (-0.03, 1.0, "lorch")]
)
def test_tails_are_convolutions_with_an_exponential(tau: float, qmin: float, window: str) -> None:
    data = tailed(NICKEL, tau, qmin, window)
    model = pk.Model(NICKEL, replace(BEAM, qtail=tau, qmin=qmin, window=window))
    assert rw(data, model) < 1e-4
    assert rw(data, pk.Model(NICKEL, replace(model.instrument, qtail=0.0))) > 0.2


def test_a_tail_is_found_and_takes_no_part_in_the_cell() -> None:
    data = tailed(NICKEL, 0.06, 0.0, "none")
    start = pk.Model(NICKEL, replace(BEAM, qdamp=0.05))
    data = replace(data, instrument=pk.Instrument("X", qmax=QMAX))
    without, found = (pk.fit(start, data, free=["scale", "a", "Uiso", "qdamp", *more]) for more in ([], ["qtail"]))
    assert without.rw > 0.1
    assert abs(without.params["ni.a"].value - 3.524) > 0.005
    assert found.rw < 1e-4
    assert found.params["qtail"].value == pytest.approx(0.06, abs=1e-5)
    assert found.params["ni.a"].value == pytest.approx(3.524, abs=1e-5)


def test_tails_of_partials_add_up_and_follow_the_weights() -> None:
    beam = replace(BEAM, qtail=0.05, scattering="q-dependent")
    model = pk.Model([CDS, NICKEL], beam)
    whole = model(R).G
    for parts in (model.partials(R), model.phase_curves(R)):
        np.testing.assert_allclose(sum(one.G for one in parts.values()), whole, rtol=0, atol=1e-12)
    Q = STEP * np.arange(1, round(QMAX / STEP) + 1)
    back = transformed(Q, model.sq(Q, rmax=110.0).F)
    assert rw(back, model) < 2e-3  # S(Q) weighs at the Q of the tail's end, as data are divided there


def test_a_tail_needs_a_cut() -> None:
    with pytest.raises(PdfkitError, match=r"qtail, .* needs a finite qmax"):
        pk.Model(NICKEL, pk.Instrument("X", qmax=math.inf, qtail=0.05))(R)
    with pytest.raises(PdfkitError, match="qtail is not known to Debye sums"):
        pk.patterns.debye_pdf(pk.build.tetrahedron("CdS_zincblende", 4), R, replace(BEAM, qtail=0.05))
    with pytest.raises(PdfkitError, match="qtail"):
        pk.Instrument(qtail=0.7)


def test_each_data_set_has_its_own() -> None:
    data = {key: pk.Model(NICKEL, replace(BEAM, resolution=p))(R) for key, p in (("x", 0.004), ("y", 0.008))}
    start = {key: replace(pdf, instrument=replace(BEAM, given=())) for key, pdf in data.items()}
    result = pk.fit(pk.Model(NICKEL, BEAM), start, free=["scale", "Uiso", "resolution"])
    assert result.params["x.resolution"].value == pytest.approx(0.004, rel=1e-3)
    assert result.params["y.resolution"].value == pytest.approx(0.008, rel=1e-3)


def test_qbroad_and_resolution_at_once_are_remarked() -> None:
    about = replace(BEAM, qbroad=0.01)
    data = pk.Model(NICKEL, replace(about, resolution=0.003))(R)
    both = pk.fit(pk.Model(NICKEL, about), replace(data, instrument=about), free=["scale", "resolution"])
    assert any("qbroad and resolution" in text for text in both.remarks)
    one = pk.fit(pk.Model(NICKEL, BEAM), replace(data, instrument=BEAM), free=["scale", "resolution"])
    assert not any("qbroad and resolution" in text for text in one.remarks)


@pytest.mark.parametrize("program", ["pdffit2", "diffpy-cmi"])
def test_other_programs_have_none(program: str) -> None:
    with pytest.raises(PdfkitError, match="resolution"):
        pk.Model(NICKEL, replace(BEAM, resolution=0.004), program)(R)
    plain = pk.Model(NICKEL, BEAM, program)
    with pytest.raises(PdfkitError, match="resolution"):
        pk.fit(plain, plain(R), free=["scale", "resolution"])
    params = pk.parameters(plain)
    params["resolution"].set(vary=True)
    with pytest.raises(PdfkitError, match="resolution"):
        pk.fit(plain, plain(R), params=params)


@pytest.mark.parametrize("value", [-0.001, 0.4, math.nan])
def test_what_is_no_fraction_is_refused(value: float) -> None:
    with pytest.raises(PdfkitError, match="resolution"):
        pk.Instrument(resolution=value)


@pytest.mark.parametrize("name", ["mine.gr", "mine.dat"])
def test_files_keep_it(name: str, tmp_path: Path) -> None:
    data = pk.PDF(R, np.sin(R), instrument=pk.Instrument("X", qmax=20.0, qdamp=0.03, resolution=0.0042, qtail=-0.013))
    pk.write_pdf(tmp_path / name, data, format=None if name.endswith("gr") else "columns")
    back = pk.read_pdf(tmp_path / name).instrument
    assert (back.resolution, back.qtail) == (0.0042, -0.013)
    assert "resolution 0.0042, qtail -0.013" in data.instrument.summary()
    foreign = (tmp_path / "foreign.gr").write_text(
        "resolution = 5\nqmax = 20\n#### start data\n1 0\n1.1 1\n1.2 0\n1.3 1\n"
    )
    assert foreign
    assert pk.read_pdf(tmp_path / "foreign.gr").instrument.resolution == 0.0


def test_models_keep_it() -> None:
    model = pk.Model(NICKEL, replace(BEAM, resolution=0.004))
    assert serial.loads(serial.dumps(model)).instrument.resolution == 0.004
    older = serial.dumps(model).replace('"resolution": 0.004, ', "")
    assert serial.loads(older).instrument.resolution == 0.0


def test_results_of_before_are_fitted_again(tmp_path: Path) -> None:
    model = pk.Model(NICKEL, BEAM)
    result = pk.fit(model, model.with_values({"ni.a": 3.53})(R), free=["scale", "a"])
    params = result.params.copy()
    for name in ("resolution", "qtail"):
        params.pop(name)
    back = pk.load_result(replace(result, params=params).save(tmp_path / "old.h5"))
    assert (back.params["resolution"].value, back.params["qtail"].vary) == (0.0, False)
    again = pk.fit(back.model, back.datasets[0].data, params=back.params)
    assert again.params["ni.a"].value == pytest.approx(3.53, abs=1e-6)


def test_debye_sums_have_the_same_peaks() -> None:
    particle = pk.build.tetrahedron("CdS_zincblende", 4)
    cluster = pk.Cluster(particle, "c", Uiso=0.01, baseline="none")
    beam = pk.Instrument("X", qmin=0.8, qmax=20.0, resolution=0.01, scattering="q-dependent")
    r = np.arange(1.5, 14.0, 0.05)
    direct = pk.patterns.debye_pdf(particle, r, beam, Uiso=0.01).G
    np.testing.assert_allclose(pk.Model(cluster, beam)(r).G, direct, rtol=0, atol=2e-3 * np.abs(direct).max())
