"""Scattering strengths that depend on Q, the default of X-rays and electrons: where they act, and where they do not."""

from __future__ import annotations

import math
import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.model import Convention, serial
from pdfkit.model.noise import simulate

R = np.arange(100, 1501) * 0.02
X, N = pk.Instrument(probe="X", qmax=20.0), pk.Instrument(probe="N", qmax=20.0)
STUDY = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "scattering.py")))


def cds(instrument: pk.Instrument, convention: str | Convention = "pdfkit", **options: object) -> pk.Model:
    return pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb"), instrument, convention, **options)  # type: ignore[arg-type]


def constant(instrument: pk.Instrument) -> pk.Instrument:
    return replace(instrument, scattering="constant")


@pytest.mark.parametrize("probe", ["X", "E"])
def test_strengths_depend_on_q_unless_told_otherwise(probe: str) -> None:
    about = pk.Instrument(probe=probe, qmax=20.0)
    assert about.scattering == "q-dependent"
    assert "scattering" not in about.given
    said = pk.Instrument(probe=probe, qmax=20.0, scattering="q-dependent")
    np.testing.assert_array_equal(cds(about)(R).G, cds(said)(R).G)
    assert np.abs(cds(about)(R).G - cds(constant(about))(R).G).max() > 0.05
    assert cds(about)(R).instrument.scattering == "q-dependent"
    assert "scattering" not in about.summary()
    assert constant(about).summary().endswith("constant scattering")


def test_neutrons_have_no_form_factors_and_pay_for_none() -> None:
    np.testing.assert_array_equal(cds(N)(R).G, cds(constant(N))(R).G)
    evaluate = cds(N).evaluator(R)
    evaluate(cds(N).values)
    assert all(len(weights.at) == 1 for _, weights in evaluate._q_weights.values())  # the cut alone


def test_one_species_pays_for_none() -> None:
    nickel = pk.Model(pk.Crystal.from_file("Ni", name="ni"), X)
    np.testing.assert_array_equal(nickel(R).G, nickel.with_instrument(constant(X))(R).G)


@pytest.mark.parametrize("program", ["pdffit2", "diffpy-cmi"])
def test_conventions_of_other_programs_keep_constant_strengths(program: str) -> None:
    out = cds(X, program)(R)
    np.testing.assert_array_equal(out.G, cds(constant(X), program)(R).G)
    assert out.instrument.scattering == "constant"
    with pytest.raises(pk.PdfkitError, match="constant scattering strengths, as that program: leave scattering out"):
        cds(pk.Instrument(probe="X", qmax=20.0, scattering="q-dependent"), program)
    neutrons = pk.Instrument(probe="N", qmax=20.0, scattering="q-dependent")
    np.testing.assert_array_equal(cds(neutrons, program)(R).G, cds(N, program)(R).G)


def test_a_curve_without_a_cut_has_constant_strengths() -> None:
    endless = replace(X, qmax=math.inf)
    out = cds(endless)(R)
    np.testing.assert_array_equal(out.G, cds(constant(endless))(R).G)
    assert out.instrument.scattering == "constant"
    assert Convention().scattering_of(replace(X, qmax=None)) == "constant"
    with pytest.raises(pk.PdfkitError, match="needs a finite qmax"):
        cds(pk.Instrument(probe="X", qmax=math.inf, scattering="q-dependent"))


def test_sq_of_a_model_has_form_factors_whatever_its_qmax() -> None:
    Q = np.arange(1.0, 15.0, 0.05)
    F = [cds(one).sq(Q, rmax=30.0).F for one in (X, replace(X, qmax=math.inf))]
    np.testing.assert_array_equal(*F)
    assert np.abs(F[0] - cds(constant(X)).sq(Q, rmax=30.0).F).max() > 0.1


@pytest.mark.parametrize("envelope", ["before-cut", "after-cut"])
def test_parts_add_up(envelope: str) -> None:
    phases = [
        pk.Crystal.from_file("CdS_wurtzite", name="wz", shape=pk.Sphere(22.0), scale=0.4),
        pk.Crystal.from_file("CeO2", name="ceria", scale=0.3),
        pk.Crystal.from_file("Ni", name="ni", scale=0.2),
        pk.Stacked("Cd", "S", name="st", a_h=4.12, alpha=0.4),
        pk.Cluster(pk.build.sphere("CdS_zincblende", 14.0), "ball"),
    ]
    model = pk.Model(phases, replace(X, qmin=0.6, qdamp=0.03), Convention(envelope=envelope))
    total = model(R).G
    for parts in (model.partials(R), model.phase_curves(R)):
        np.testing.assert_allclose(sum(p.G for p in parts.values()), total, atol=1e-12 * np.abs(total).max(), rtol=0)


@pytest.mark.parametrize("envelope", ["before-cut", "after-cut"])
def test_derivatives_with_what_changes_the_weights(envelope: str) -> None:
    # Occupancies change ⟨f(Q)⟩.
    model = cds(replace(X, qdamp=0.03), Convention(envelope=envelope)).with_values({"S.occ": 0.9})
    evaluate, at = model.evaluator(R), model.values
    wanted = [model.names.index(f"zb.{name}") for name in ("scale", "S.occ", "a", "Cd.occ")]
    found = evaluate(at, np.eye(at.size)[:, wanted])[1]
    for row, k in zip(found, wanted, strict=True):
        step = 1e-5 * np.eye(at.size)[k]
        difference = (evaluate(at + step)[0] - evaluate(at - step)[0]) / 2e-5
        np.testing.assert_allclose(row, difference, atol=1e-6 * np.abs(difference).max(), rtol=0)


def test_own_strengths_scale_f_and_may_not_cancel() -> None:
    own = cds(X, strengths={"Cd": 48.0, "S": 16.0})(R).G
    np.testing.assert_allclose(own, cds(X)(R).G, atol=2e-3 * np.abs(own).max(), rtol=0)  # f(0) of the tables is not Z
    with pytest.raises(pk.PdfkitError, match=r"mean scattering strength is 0 at Q = .* take scattering='constant'"):
        cds(X, strengths={"Cd": -9.0, "S": 10.0})(R)


def test_beyond_the_tables_weights_stay_as_they_are_at_their_end() -> None:
    # Peaks of σ > 0.1 Å have ended long before 75.4 Å⁻¹.
    near, far = (cds(pk.Instrument(probe="X", qmax=qmax))(R).G for qmax in (75.0, 90.0))
    np.testing.assert_allclose(far, near, atol=1e-6 * np.abs(near).max(), rtol=0)


def test_fits_take_what_data_and_convention_allow() -> None:
    data = cds(X)(R)  # says that its strengths depend on Q
    result = pk.fit(cds(X, "pdffit2"), data, free=["scale"])
    assert result.model.instrument_used.scattering == "constant"
    assert any("strengths of these data depend on Q" in remark for remark in result.remarks)
    assert "strengths at Q = 0 (Z)" in str(result)
    assert "form factors f(Q) of neutral atoms" in str(pk.fit(cds(X), data, free=["scale"]))
    silent = pk.PDF(R, data.G, instrument=X)
    assert not any("depend on Q" in remark for remark in pk.fit(cds(X, "pdffit2"), silent, free=["scale"]).remarks)
    assert pk.fit(cds(constant(X)), silent, free=["scale"]).model.instrument.scattering == "constant"


@pytest.mark.parametrize(("probe", "said"), [("X", True), ("N", False)])
def test_simulated_curves_say_which_strengths_they_have(probe: str, said: bool, tmp_path: Path) -> None:
    pdf = simulate(cds(pk.Instrument(probe=probe, qmax=20.0)), 1.0, 5.0, 0.05)
    pk.write_pdf(tmp_path / "made.gr", pdf)
    assert ("scattering=q-dependent" in (tmp_path / "made.gr").read_text(encoding="utf-8")) is said
    assert pk.read_pdf(tmp_path / "made.gr").instrument == pdf.instrument


def test_models_saved_before_keep_their_numbers() -> None:
    old = Path(__file__).parents[1] / "golden" / "model-before-q-dependent.json"
    text = old.read_text(encoding="utf-8")
    model = serial.loads(text)
    assert model.instrument.scattering == "constant"
    # Made by the version that saved it.
    expected = [-0.8695204205238307, 1.6538248904285802, 0.13592841480045692]
    np.testing.assert_allclose(model(np.array([2.0, 2.5, 2.7])).G, expected, rtol=1e-9)
    silent = text.replace('"scattering": "constant", ', "")
    assert serial.loads(silent).instrument == model.instrument


@pytest.mark.parametrize(("name", "light"), [("CeO2", "O.Uiso"), ("InP_zincblende", "P.Uiso")])
def test_data_of_form_factors_give_the_truth(name: str, light: str) -> None:
    # Data by plain sums; a heavy qdamp, so that few distances do. Constant weights: U(O) +200 %, U(P) +40 % and more.
    phase, r = pk.Crystal.from_file(name, name="p"), np.arange(150, 1501) * 0.02
    about = pk.Instrument(probe="X", qmax=20.0, qdamp=0.12)
    data = pk.PDF(r, STUDY.true_curve(phase, r, 20.0, 0.12, 55.0), instrument=about)
    truth = dict(zip((q.name for q in phase.quantities), phase.values, strict=True))
    found = {
        kind: pk.fit(pk.Model(phase, replace(about, scattering=kind)), data, free=["scale", "a", "Uiso"])
        for kind in ("q-dependent", "constant")
    }
    for what in ("scale", "a", light):
        assert found["q-dependent"].params[f"p.{what}"].value == pytest.approx(truth[what], rel=1e-3)
    assert found["constant"].params[f"p.{light}"].value > 1.2 * truth[light]


# --- phases of different composition ---------------------------------------------------------------------------------


def ceria_and_gold(**choices: str) -> pk.Model:
    phases = [pk.Crystal.from_file("CeO2", name="ceria", scale=0.6), pk.Crystal.from_file("Au", name="au", scale=0.5)]
    about = pk.Instrument(probe="X", qmax=20.0, qdamp=0.12)
    return pk.Model(phases, about, Convention(**choices))  # type: ignore[arg-type]


def plain_mixture(model: pk.Model, r: np.ndarray) -> np.ndarray:
    """G of a sample by plain sums: F = Σ x_p Σ_ab (f_a f_b) F_ab / ⟨f⟩², ⟨f⟩ of all its atoms; f(0) of the tables."""
    about, fine = model.instrument, 0.01 * np.arange(5600)
    nodes, share = np.polynomial.legendre.leggauss(800)
    Q = np.append(0.0, 0.5 * about.qmax * (nodes + 1))
    there = np.sin(np.outer(Q, fine)) * (0.01 * np.exp(-((about.qdamp * fine) ** 2) / 2))
    amounts = [phase.composition() for phase in model.phases]
    f = {e: STUDY.form_factor(e, "X", Q) for amount in amounts for e in amount}
    means = [sum(n * f[e] for e, n in amount.items()) / sum(amount.values()) for amount in amounts]
    x = np.array([phase.scale / mean[0] ** 2 for phase, mean in zip(model.phases, means, strict=True)])
    whole = sum(n * mean for n, mean in zip(x / x.sum(), means, strict=True))
    total = 0.0
    for phase, n in zip(model.phases, x * whole[0] ** 2, strict=True):
        for (a, b), G in STUDY.plain_partials(phase, fine, 55.0).items():
            total = total + n * (there @ G) * f[a] * f[b] / whole**2
    return np.sin(np.outer(r, Q[1:])) @ (share * about.qmax / np.pi * total[1:])


def test_phases_of_a_sample_are_divided_by_one_mean_strength() -> None:
    model, r = ceria_and_gold(), np.arange(150, 1000) * 0.02
    expected, own = plain_mixture(model, r), ceria_and_gold(mixture="phase")(r).G
    np.testing.assert_allclose(model(r).G, expected, rtol=0, atol=3e-4 * np.abs(expected).max())
    assert np.abs(own - expected).max() > 0.05 * np.abs(expected).max()
    parts = model.partials(r)
    np.testing.assert_allclose(sum(p.G for p in parts.values()), model(r).G, rtol=0, atol=1e-12)


def test_phases_of_one_composition_are_as_each_alone() -> None:
    phases = [pk.Crystal.from_file(f"CdS_{kind}", name=kind, scale=0.5) for kind in ("zincblende", "wurtzite")]
    together, alone = pk.Model(phases, X)(R).G, sum(pk.Model(phase, X)(R).G for phase in phases)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-3 * np.abs(alone).max())  # how far ripples are followed


def test_derivatives_of_a_mixture() -> None:
    model = ceria_and_gold().with_values({"ceria.O.occ": 0.9})
    evaluate, at = model.evaluator(R), model.values
    wanted = [model.names.index(name) for name in ("ceria.scale", "au.scale", "ceria.O.occ", "ceria.a", "au.Au.Uiso")]
    found = evaluate(at, np.eye(at.size)[:, wanted])[1]
    for row, k in zip(found, wanted, strict=True):
        step = 1e-5 * np.eye(at.size)[k]
        difference = (evaluate(at + step)[0] - evaluate(at - step)[0]) / 2e-5
        np.testing.assert_allclose(row, difference, atol=1e-6 * np.abs(difference).max(), rtol=0)


def test_sq_of_a_mixture_is_that_of_its_curve() -> None:
    model, r, Q = ceria_and_gold(), np.arange(150, 1000) * 0.02, np.arange(0.005, 20.0, 0.01)
    G = np.sin(np.outer(r, Q)) @ (model.sq(Q).F * 0.01 * 2 / np.pi)
    np.testing.assert_allclose(G, model(r).G, rtol=0, atol=2e-3 * np.abs(G).max())


def test_a_mixture_without_scales_is_nothing_and_files_of_before_had_each_its_own_mean() -> None:
    model = ceria_and_gold()
    assert not model.with_values({"ceria.scale": 0.0, "au.scale": 0.0})(R).G.any()
    silent = serial.dumps(model).replace(', "mixture": "sample"', "").replace('"mixture": "sample", ', "")
    assert serial.loads(silent).convention.mixture == "phase"
    assert serial.loads(serial.dumps(model)).convention.mixture == "sample"
    with pytest.raises(pk.PdfkitError, match="mixture"):
        Convention(mixture="both")
