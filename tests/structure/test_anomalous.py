"""Anomalous terms f′ and f″ of X-rays: values, weights, derivatives, every route, where they are asked for and said."""

from __future__ import annotations

import doctest
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pdfkit as pk
from pdfkit import debye, scattering
from pdfkit.cli.app import app
from pdfkit.data.instrument import HC
from pdfkit.errors import RecipeError, StructureError
from pdfkit.model import serial
from pdfkit.model.noise import simulate
from pdfkit.structure import Site

# 8.048 keV, and 24 keV, 10 % below the K edge of Cd.
CU_KALPHA, HARD = HC / 8.048, HC / 24.0
R = np.arange(1.0, 12.0, 0.02)
XRAYS = pk.Instrument(probe="X", qmax=20.0, qdamp=0.03, wavelength=HARD, anomalous=True)


def crystal(name="CdS_zincblende"):
    return pk.Crystal.from_file(name, name="zb")


# --- the tables


@pytest.mark.parametrize(
    ("element", "energy", "f1", "f2", "within"),
    [
        # International Tables C (2004), Table 4.2.6.8, for Cu Kα and Mo Kα; programs differ by what is allowed.
        ("Cu", 8.048, -1.965, 0.589, 0.06),
        ("Si", 8.048, 0.254, 0.330, 0.01),
        ("Cd", 8.048, -0.08, 4.653, 0.25),
        ("C", 17.444, 0.003, 0.0016, 0.001),
        ("Se", 17.444, -0.1, 2.23, 0.1),
    ],
)
def test_values_are_those_of_the_tables(element, energy, f1, f2, within):
    found = scattering.anomalous(element, HC / energy)
    assert abs(found.real - f1) < within
    assert abs(found.imag - f2) < within
    assert found.imag > 0


def test_absorption_jumps_at_an_edge():
    below, above = scattering.anomalous("Se", HC / 12.0), scattering.anomalous("Se", HC / 13.3)
    assert 0.5 < below.imag < 0.65
    assert 3.3 < above.imag < 3.8
    assert below.real < -2.5


def test_isotopes_and_ions_have_the_terms_of_the_element():
    assert scattering.anomalous("62-Ni", 1.0) == scattering.anomalous("Ni", 1.0) == scattering.anomalous("Ni2+", 1.0)
    assert scattering.anomalous("D", 1.0) == scattering.anomalous("H", 1.0)


def test_energies_beyond_the_tables_are_refused():
    with pytest.raises(StructureError, match="no tabulated f′ and f″ at"):
        scattering.anomalous("Cd", HC / 1e6)


# --- weights against sums written out here


def expected_weights(fractions, f):
    mean = sum(c * b for c, b in zip(fractions, f, strict=True))
    return [[(fa * np.conj(fb)).real / abs(mean) ** 2 for fb in f] for fa in f]


def strengths(elements, wavelength):
    return [scattering.scattering_strength(e, "X") + scattering.anomalous(e, wavelength) for e in elements]


def test_constant_weights_of_the_partials():
    # A number partial times c_a c_b (2 − δ) Re(f_a f_b*)/|⟨f⟩|² is the contribution.
    model = pk.Model(crystal(), replace(XRAYS, scattering="constant"))
    plain, weighted = model.partials(R, weighted=False), model.partials(R)
    w = expected_weights([0.5, 0.5], strengths(["Cd", "S"], HARD))
    for k, pair in enumerate([("Cd", "Cd"), ("Cd", "S"), ("S", "S")]):
        a, b = [(0, 0), (0, 1), (1, 1)][k]
        share = 0.25 * (1 if a == b else 2) * w[a][b]
        assert np.abs(weighted[pair].G - share * plain[pair].G).max() < 1e-10 * np.abs(plain[pair].G).max()


@pytest.mark.parametrize("weights", ["constant", "q-dependent"])
def test_partials_add_up(weights):
    model = pk.Model(crystal(), replace(XRAYS, scattering=weights))
    total = sum(one.G for one in model.partials(R).values())
    assert np.abs(total - model(R).G).max() < 1e-10 * np.abs(total).max()


def test_q_dependent_weights():
    Q = np.linspace(0.5, 24, 40)
    f = np.array([scattering.form_factor(e, "X", Q) + scattering.anomalous(e, HARD) for e in ("Cd", "S")])
    expected = expected_weights([0.3, 0.7], f)
    found = scattering.q_weights(["Cd", "S"], [0.3, 0.7], "X", Q, HARD)
    assert np.allclose(found, [expected[0][0], expected[0][1], expected[1][1]], rtol=1e-13)
    c = np.array([0.09, 0.42, 0.49])
    assert np.allclose(c @ found, 1.0, rtol=1e-13)


def test_pair_weights_of_complex_strengths_sum_to_one():
    w = scattering.pair_weights(["Cd", "S"], [0.5, 0.5], np.array([43 + 5j, 16 + 0.2j]))
    assert w.sum() == pytest.approx(1.0, abs=1e-14)
    assert w[2] == pytest.approx(0.25 * (16**2 + 0.04) / abs(0.5 * (59 + 5.2j)) ** 2)


def test_sq_of_a_model_and_debye_agree_with_the_written_sum():
    pair = pk.Particle.of(["Cd", "S"], [[0, 0, 0], [0, 0, 2.5]])
    Q = np.linspace(0.5, 20, 50)
    f = [scattering.form_factor(e, "X", Q) + scattering.anomalous(e, HARD) for e in ("Cd", "S")]
    cross = 2 * (f[0] * np.conj(f[1])).real * np.sin(2.5 * Q) / (2.5 * Q)
    asked = {"Uiso": 0.0, "wavelength": HARD, "anomalous": True}
    pattern = pk.waxs(pair, Q, **asked)
    assert np.allclose(pattern.intensity, abs(f[0]) ** 2 + abs(f[1]) ** 2 + cross, rtol=1e-10)
    S = pk.patterns.debye_sq(pair, Q, **asked).S
    assert np.allclose(S, 1 + cross / 2 / abs((f[0] + f[1]) / 2) ** 2, rtol=1e-10)


@pytest.mark.parametrize("weights", ["constant", "q-dependent"])
def test_cluster_in_real_space_and_by_debye(weights):
    cluster = pk.Cluster(pk.build.tetrahedron("CdSe_zincblende", 3), name="c", Uiso=0.006)
    about = replace(XRAYS, wavelength=HC / 14.0, qmax=14.0, qdamp=0.0, scattering=weights)
    r = np.arange(2.0, 14.0, 0.02)
    real = pk.Model(replace(cluster, baseline="none"), about)(r).G
    other = pk.patterns.debye_pdf(cluster, r, about).G
    assert np.abs(real - other).max() < 2e-4 * np.abs(real).max()
    assert (
        np.abs(pk.patterns.debye_pdf(cluster, r, replace(about, anomalous=False)).G - other).max() > 1e-3 * other.max()
    )


def test_sq_of_a_model_has_them():
    Q = np.arange(1.0, 20.0, 0.05)
    zb = pk.Crystal.from_file("CdS_zincblende", name="zb", shape=pk.Sphere(25))
    for weights in ("constant", "q-dependent"):
        model = pk.Model(zb, replace(XRAYS, scattering=weights, wavelength=HC / 25.0))
        own = model.sq(Q).S
        elsewhere = model.with_instrument(replace(model.instrument, anomalous=False)).sq(Q).S
        assert np.abs(own - elsewhere).max() > 1e-3
    # Constant weights: the same as strengths of equal products, which real numbers can have for one species only.
    nickel = pk.Crystal.from_file("Ni", name="ni")
    plain = pk.Model(nickel, pk.Instrument(probe="X", qmax=20))
    terms = pk.Model(nickel, pk.Instrument(probe="X", qmax=20, wavelength=0.5, anomalous=True))
    assert np.abs(plain(R).G - terms(R).G).max() < 1e-12


@pytest.mark.parametrize("weights", ["constant", "q-dependent"])
def test_derivatives_with_occupancies(weights):
    site = replace(crystal().structure.sites[0], occ=0.8)
    structure = replace(crystal().structure, sites=(site, *crystal().structure.sites[1:]))
    model = pk.Model(pk.Crystal(structure, name="zb"), replace(XRAYS, scattering=weights, wavelength=HC / 25.0))
    at, evaluate = model.names.index("zb.Cd.occ"), model.evaluator(R)
    tangent = np.zeros((len(model.names), 1))
    tangent[at] = 1.0
    _, slope = evaluate(model.values, tangent)
    h = 1e-4
    step = h * tangent[:, 0]
    G = {k: evaluate(model.values + k * step)[0] for k in (-2, -1, 1, 2)}
    difference = (8 * (G[1] - G[-1]) - (G[2] - G[-2])) / (12 * h)
    assert np.abs(slope[0] - difference).max() < 1e-6 * np.abs(difference).max()


def test_conventions_of_other_programs_take_them():
    r = np.arange(1.0, 12.0, 0.02)
    for convention in ("pdffit2", "diffpy-cmi"):
        about = pk.Instrument(probe="X", qmax=20.0, wavelength=HC / 25.0, anomalous=True)
        G = pk.Model(crystal(), about, convention)(r).G
        plain = pk.Model(crystal(), replace(about, anomalous=False), convention)(r).G
        assert np.abs(G - plain).max() > 1e-3 * plain.max()


def test_own_strengths_stand():
    own = {"Cd": 48.0, "S": 16.0}
    with_terms = pk.Model(crystal(), replace(XRAYS, wavelength=HC / 26.7), strengths=own)
    plain = pk.Model(crystal(), replace(XRAYS, anomalous=False), strengths=own)
    assert with_terms.remarks == ()
    assert np.abs(with_terms(R).G - plain(R).G).max() < 1e-12


def test_ions_have_terms_too():
    salt = pk.Crystal.from_file("NaCl", name="salt", ions={"Na": 1, "Cl": -1})
    model = pk.Model(salt, replace(XRAYS, wavelength=1.0, qmax=12.0, scattering="constant"))
    parts, numbers = model.partials(R), model.partials(R, weighted=False)
    w = expected_weights([0.5, 0.5], [10 + scattering.anomalous("Na", 1.0), 18 + scattering.anomalous("Cl", 1.0)])
    pair = ("Cl1-", "Na1+")
    scale = 0.5 * w[0][1]
    assert np.abs(parts[pair].G - scale * numbers[pair].G).max() < 1e-10 * np.abs(numbers[pair].G).max()


def test_the_examples_of_the_page_run():
    page = Path(__file__).parents[2] / "docs" / "scattering.md"
    text = page.read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    assert len(test.examples) > 5
    assert doctest.DocTestRunner().run(test).failed == 0


# --- asked for or not, known or not


def test_without_being_asked_a_wavelength_changes_nothing():
    plain = pk.Model(crystal(), pk.Instrument(probe="X", qmax=20.0))
    known = pk.Model(crystal(), pk.Instrument(probe="X", qmax=20.0, wavelength=HC / 26.7))
    assert (plain(R).G == known(R).G).all()
    assert known.remarks == ()


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"probe": "X"}, "need the wavelength"),
        ({"probe": "N", "wavelength": 1.8}, "exist for X-rays only"),
        ({"probe": "E", "wavelength": 0.02}, "exist for X-rays only"),
        ({"probe": "X", "wavelength": 67.5}, "energy in keV"),
    ],
)
def test_what_cannot_be_is_refused(about, message):
    with pytest.raises(pk.PdfkitError, match=message):
        pk.Instrument(**about, qmax=20, anomalous=True)
    with pytest.raises(pk.PdfkitError, match="neither true nor false"):
        pk.Instrument(probe="X", anomalous=0.18)
    with pytest.raises(pk.PdfkitError, match="wavelength"):
        pk.Instrument(probe="X", wavelength=-1)


@pytest.mark.parametrize(
    ("line", "wavelength"),
    [
        ("wavelength = 0.1836", 0.1836),
        ("Wavelength: 0.01836 nm", 0.1836),
        ("wavelength: 1.836e-11", 0.1836),  # pyFAI, in m
        ("energy = 67.53 keV", HC / 67.53),
        ("energy_keV = 67.53", HC / 67.53),
        ("beam_energy = 67530", HC / 67.53),
        ("photon energy: 67530 eV", HC / 67.53),
        ("wavelength = 0", None),
        ("wavelength = None", None),
        ("wavelength = Mo", None),
        ("wavelength = 1e6", None),
        ("lambda = 0.5", None),  # may be anything in a file of G(r)
    ],
)
def test_wavelength_of_a_header(tmp_path, line, wavelength):
    rows = [f"{x:.2f} {np.sin(2 * x) - 0.5 * x * (x < 2):.6f}" for x in np.arange(0.0, 10.0, 0.02)]
    head = ["# stype = X", "# qmax = 20", f"# {line}", "#L r G(r)"]
    file = tmp_path / "a.gr"
    file.write_text("\n".join([*head, *rows]) + "\n")
    found = pk.read_pdf(file).instrument.wavelength
    assert found == (None if wavelength is None else pytest.approx(wavelength, rel=1e-9))


def test_kept_in_files_and_results(tmp_path):
    about = replace(XRAYS, wavelength=0.1836)
    model = pk.Model(crystal(), about)
    data = model(R)
    pk.write_pdf(tmp_path / "a.gr", data)
    assert pk.read_pdf(tmp_path / "a.gr").instrument == about
    assert serial.loads(serial.dumps(about)) == about
    result = pk.fit(model, data, free=["scale"])
    result.save(tmp_path / "a.h5")
    back = pk.load_result(tmp_path / "a.h5")
    assert back.model.instrument.wavelength == 0.1836
    assert back.model.instrument.anomalous
    assert back.rw < 2e-4


def test_results_of_older_versions_have_none():
    text = serial.dumps(pk.Instrument(probe="X", qmax=20)).replace(', "wavelength": null, "anomalous": false', "")
    assert "wavelength" not in text
    assert serial.loads(text) == pk.Instrument(probe="X", qmax=20)


def test_a_fit_takes_the_wavelength_of_the_data(tmp_path):
    asked = pk.Instrument(probe="X", qmax=20.0, wavelength=0.4, anomalous=True)
    truth = pk.Model(crystal(), replace(asked, wavelength=HC / 24.5))
    data = truth(R)
    silent = replace(data, instrument=pk.Instrument(probe="X", qmax=20.0, wavelength=HC / 24.5))
    result = pk.fit(pk.Model(crystal(), asked), silent, free=["scale"])
    assert result.rw < 2e-4
    assert any("wavelength = 0.506058 of the data is used, not 0.4" in text for text in result.remarks)
    # Not asked for: nothing about the wavelength is said.
    plain = pk.fit(pk.Model(crystal(), replace(asked, anomalous=False)), silent, free=["scale"])
    assert plain.rw > 1e-3
    assert not any("wavelength" in text for text in plain.remarks)


def test_each_data_set_has_its_own_wavelength_and_neutrons_none():
    waves = [HC / 24.5, HC / 20.0]
    sets = {}
    for name, wave in zip("ab", waves, strict=True):
        pdf = pk.Model(crystal(), pk.Instrument(probe="X", qmax=20.0, wavelength=wave, anomalous=True))(R)
        sets[name] = replace(pdf, instrument=replace(pdf.instrument, anomalous=False))
    sets["n"] = pk.Model(crystal(), pk.Instrument(probe="N", qmax=20.0))(R)
    model = pk.Model(crystal(), pk.Instrument(probe="X", qmax=20.0, wavelength=0.4, anomalous=True))
    result = pk.fit(model, sets, free=["*scale"])
    assert result.rw < 2e-4
    used = {one.name: one.model.instrument for one in result.datasets}
    assert (used["a"].resonant, used["b"].resonant, used["n"].resonant) == (waves[0], waves[1], None)


# --- what is said


def test_an_edge_nearby_is_said_once():
    model = pk.Model(crystal(), replace(XRAYS, wavelength=HC / 26.0))
    assert model.remarks == (
        "the K edge of Cd, 26.7112 keV, is within 5 % of 26 keV: tabulated f′ and f″ are unreliable there; "
        "give measured values or use another energy",
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data = model(R)
        model.partials(R)
        result = pk.fit(model, data, free=["scale"])
        text = str(result)
    assert [str(one.message) for one in said] == list(model.remarks)
    assert [text for text in result.remarks if "K edge" in text] == list(model.remarks)
    assert "f′ + if″ of xraylib at 26 keV" in text


def test_edges_of_heavy_elements_are_l_edges():
    lead = pk.Crystal(pk.Structure((4.95,) * 3 + (90,) * 3, [Site("Pb", "Pb", (0, 0, 0))]), name="pb")
    model = pk.Model(lead, pk.Instrument(probe="X", qmax=10.0, wavelength=HC / 13.1, anomalous=True))
    assert [text[:18] for text in model.remarks] == ["the L3 edge of Pb,"]


def test_far_from_edges_nothing_is_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pk.Model(crystal(), replace(XRAYS, wavelength=0.1836))(R)


def test_a_wavelength_that_cannot_reach_qmax_is_said():
    model = pk.Model(crystal(), replace(XRAYS, wavelength=CU_KALPHA))
    assert any("qmax = 20 cannot be measured with 1.54056 Å" in text for text in model.remarks)


def test_resonant_neutrons_are_in_the_remarks():
    model = pk.Model(crystal(), pk.Instrument(probe="N", qmax=20.0))
    result = pk.fit(model, model(R), free=["scale"])
    assert [text for text in result.remarks if "scattering length of Cd changes" in text]
    own = pk.Model(crystal(), pk.Instrument(probe="N", qmax=20.0), strengths={"Cd": 5.0})
    assert own.remarks == ()


# --- recipe and command line


RECIPE = """
data = {{file = "a.gr", rmax = 10, {extra}}}
phase = [{{name = "zb", structure = "CdS_zincblende"}}]
fit = {{free = ["scale"]}}
output = {{write = ["report"]}}
"""


def recipe(folder, extra, header=None):
    about = pk.Instrument(probe="X", qmax=20.0, wavelength=HARD, anomalous=True)
    data = pk.Model(crystal(), about)(R)
    said = replace(about, anomalous=False, wavelength=header)
    pk.write_pdf(Path(folder, "a.gr"), replace(data, instrument=said))
    Path(folder, "fit.toml").write_text(RECIPE.format(extra=extra))
    return Path(folder, "fit.toml")


@pytest.mark.parametrize(
    ("extra", "header"),
    [(f"wavelength = {HARD!r}, anomalous = true", None), ("anomalous = true", HARD)],
)
def test_recipe(tmp_path, extra, header):
    result, _ = pk.run_recipe(recipe(tmp_path, extra, header), out=tmp_path / "out")
    assert result.rw < 2e-4
    assert "f′ + if″ of xraylib at 24 keV" in str(result)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("anomalous = true", "need the wavelength"),
        ('anomalous = true, probe = "N"', "exist for X-rays only"),
        ("anomalous = 0.18", "true or false"),
    ],
)
def test_recipe_that_cannot_be(tmp_path, extra, message):
    with pytest.raises(pk.PdfkitError, match=message):
        pk.run_recipe(recipe(tmp_path, extra), out=tmp_path / "out")


@pytest.mark.parametrize("key", ["ions = true", 'block = "a"', "surface = true"])
def test_keys_that_a_stacked_phase_has_not(tmp_path, key):
    file = recipe(tmp_path, "anomalous = true", HARD)
    phase = 'phase = [{name = "s", kind = "stacked", elements = ["Cd", "S"], a_h = 4.1, alpha = 0.3, ' + key + "}]"
    file.write_text(file.read_text().replace('phase = [{name = "zb", structure = "CdS_zincblende"}]', phase))
    with pytest.raises(RecipeError, match="is not an option of a stacked phase"):
        pk.run_recipe(file, out=tmp_path / "out")


def test_deuterium_with_its_mass_is_no_charge():
    assert Site("A", "H-2", (0, 0, 0)).element == "D"
    with pytest.raises(StructureError, match="D is an isotope itself"):
        Site("A", "D-2", (0, 0, 0))


def test_mixed_valence_is_kept():
    sites = [
        Site("Fe1", "Fe", (0, 0, 0), 0.4, 0.005, charge=2),
        Site("Fe2", "Fe", (0, 0, 0), 0.6, 0.005, charge=3),
        Site("O1", "O", (0.5, 0.5, 0.5), 1.0, 0.005, charge=-2),
    ]
    cell = pk.Structure((4.3,) * 3 + (90,) * 3, sites)
    ions = pk.Crystal(cell, name="fe", ions=True)
    assert ions.composition() == {"Fe2+": 0.4, "Fe3+": 0.6, "O2-": 1.0}
    about = pk.Instrument(probe="X", qmax=np.inf)
    merged = pk.Structure(
        cell.cell, [Site("Fe1", "Fe", (0, 0, 0), 1.0, 0.005), Site("O1", "O", (0.5,) * 3, 1.0, 0.005)]
    )
    one, two = (pk.Model(pk.Crystal(s, name="fe"), about)(R).G for s in (cell, merged))
    assert np.abs(one - two).max() < 1e-12 * np.abs(two).max()


def test_simulate(tmp_path):
    out = str(tmp_path / "a.gr")
    words = ["simulate", "CdS_zincblende", "--qmax", "20", "--energy", "24", "--anomalous", "--rmax", "12", "-o", out]
    assert CliRunner().invoke(app, words).exit_code == 0
    about = pk.Instrument(probe="X", qmax=20.0, wavelength=HC / 24, anomalous=True)
    found = pk.read_pdf(out)
    assert found.instrument == about
    expected = simulate(pk.Model(crystal(), about), rmax=12.0).G
    assert np.abs(found.G - expected).max() < 1e-12


def test_debye_sum_keeps_the_instrument():
    pair = pk.Particle.of(["Cd", "S"], [[0, 0, 0], [0, 0, 2.5]])
    sq = pk.patterns.debye_sq(pair, np.array([1.0, 2.0]), Uiso=0.0, wavelength=HARD, anomalous=True)
    assert sq.instrument.resonant == HARD
    with pytest.raises(pk.PdfkitError, match="X-rays"):
        debye.amplitudes(["Cd"], np.array([1.0]), "N", wavelength=1.0)
