"""Atoms of clusters that move: values against moved particles, derivatives against differences and the slow way."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.model import GeometryRestraint, serial

R = np.arange(1.0, 15.0, 0.1)
XRAY = pk.Instrument(probe="X", qmin=0.6, qmax=15.0, qdamp=0.03)
PARTICLE = pk.build.tetrahedron("CdSe_zincblende", 4)
RNG = np.random.default_rng(5)
AWAY = RNG.normal(0.0, 0.1, 3 * len(PARTICLE))


def moving(instrument: pk.Instrument = XRAY, convention: str = "pdfkit", **options: object) -> pk.Model:
    cluster = pk.Cluster(PARTICLE, "c", Uiso={"Cd": 0.012, "Se": 0.02}, delta2=1.0, moves="atoms", **options)
    return pk.Model(cluster, instrument, convention).with_values(
        dict(zip(cluster._freedom.names, AWAY.tolist(), strict=True)) | {"c.expansion": 0.01, "c.scale": 0.8}
    )


def test_a_moved_cluster_is_the_cluster_of_the_moved_particle() -> None:
    model = moving()
    moved = replace(PARTICLE, xyz=PARTICLE.xyz + AWAY.reshape(-1, 3), lattice=None, sites=None)
    still = pk.Cluster(moved, "c", Uiso={"Cd": 0.012, "Se": 0.02}, delta2=1.0, expansion=0.01, scale=0.8)
    G = pk.Model(still, XRAY)(R).G
    np.testing.assert_allclose(model(R).G, G, rtol=0, atol=3e-7 * np.abs(G).max())
    centred = [one.xyz - one.xyz.mean(axis=0) for one in (model.phases[0].refined_particle(), still.refined_particle())]
    np.testing.assert_allclose(*centred, atol=1e-10)


@pytest.mark.parametrize("probe", ["X", "N"])
@pytest.mark.parametrize("options", [{}, {"axial": (0.01, -0.01, 0.0)}, {"baseline": "own"}, {"baseline": "sphere"}])
def test_derivatives_are_those_of_differences(probe: str, options: dict[str, object]) -> None:
    model = moving(replace(XRAY, probe=probe, qbroad=0.01, resolution=0.003), **options)
    evaluate, values = model.evaluator(R), model.values
    _, dG = evaluate(values, np.eye(values.size))
    h, scale = 1e-4, np.abs(dG).max()
    first = model.phases[0].moving.start
    for k in (first, first + 1, first + 17, first + 3 * 20 + 2, values.size - 5):
        step = h * np.eye(values.size)[k]
        difference = (evaluate(values + step)[0] - evaluate(values - step)[0]) / (2 * h)
        assert np.abs(dG[k] - difference).max() < 1e-6 * scale


@pytest.mark.parametrize("convention", ["pdfkit", "diffpy-cmi"])
@pytest.mark.parametrize("r", [R, np.arange(1.0, 15.0, 0.01)])
def test_all_at_once_is_the_slow_way(convention: str, r: np.ndarray) -> None:
    model = moving(replace(XRAY, qmin=0.0), convention, baseline="none")
    evaluate, values = model.evaluator(r), model.values
    tangents = np.random.default_rng(1).normal(size=(values.size, 12))
    fast = evaluate(values, tangents)[1]
    evaluate._follows, evaluate._asked = False, []
    slow = evaluate(values, tangents)[1]
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-8 * np.abs(slow).max())


def test_very_narrow_peaks_need_no_large_matrix() -> None:
    model = moving().with_values({"c.Cd.Uiso": 1e-4, "c.Se.Uiso": 1e-4})
    evaluate, values = model.evaluator(R), model.values
    k = model.names.index("c.Cd2.y")
    dG = evaluate(values, np.eye(values.size)[:, k : k + 1])[1][0]
    assert not evaluate._responses._kept
    step = 1e-5 * np.eye(values.size)[k]
    difference = (evaluate(values + step)[0] - evaluate(values - step)[0]) / 2e-5
    assert np.abs(dG - difference).max() < 1e-6 * np.abs(dG).max()


def test_a_chosen_few_and_ties_of_several() -> None:
    model = moving()
    evaluate, values = model.evaluator(R), model.values
    whole = evaluate(values, np.eye(values.size))[1]
    some = np.zeros((values.size, 3))
    some[[0, 5, 9], [0, 1, 2]] = 1.0
    some[7, 1] = -2.0
    np.testing.assert_allclose(evaluate(values, some)[1], some.T @ whole, rtol=0, atol=1e-10 * np.abs(whole).max())


def test_a_rival_phase_and_tails_take_the_slow_way() -> None:
    cluster = moving().phases[0]
    crystal = pk.Crystal.from_file("CdSe_wurtzite", name="wz", shape=pk.Sphere(20))
    for model in (pk.Model([cluster, crystal], XRAY), pk.Model(cluster, replace(XRAY, qtail=0.01))):
        evaluate, values = model.evaluator(R), model.values
        k = model.names.index("c.Cd2.y")
        step = 1e-4 * np.eye(values.size)[k]
        difference = (evaluate(values + step)[0] - evaluate(values - step)[0]) / 2e-4
        dG = evaluate(values, np.eye(values.size)[:, k : k + 1])[1][0]
        assert np.abs(dG - difference).max() < 1e-6 * np.abs(dG).max()


def test_copies_keep_the_displacements() -> None:
    cluster = moving().phases[0]
    for copy in (pickle.loads(pickle.dumps(cluster)), serial.loads(serial.dumps(cluster))):
        assert copy.moves == "atoms"
        assert copy.amplitudes == cluster.amplitudes
        np.testing.assert_array_equal(copy.displaced, cluster.displaced)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(pk.PdfkitError, match="moves"):
        pk.Cluster(PARTICLE, "c", moves="all")
    with pytest.raises(pk.PdfkitError, match="amplitudes has 2 values"):
        pk.Cluster(PARTICLE, "c", moves="atoms", amplitudes=(0.1, 0.2))
    big = pk.build.sphere("CdSe_zincblende", 45.0)
    with pytest.raises(pk.PdfkitError, match="up to 1000 atoms"):
        pk.Cluster(big, "c", moves="atoms")


def test_old_files_have_no_displacements() -> None:
    text = serial.dumps(pk.Cluster(PARTICLE, "c"))
    old = text.replace(', "moves": null, "amplitudes": []', "")
    assert old != text
    assert serial.loads(old).amplitudes == ()


def test_atoms_on_top_of_each_other_are_named() -> None:
    cluster = moving().phases[0]
    step = cluster.particle.xyz[1] - cluster.particle.xyz[0]
    on_top = cluster.with_values({f"{cluster._freedom.names[k]}": 0.9 * step[k] for k in range(3)})
    assert any("nearer than atoms can be" in line for line in on_top.summary())
    assert not any("nearer than atoms can be" in line for line in cluster.summary())


@pytest.mark.parametrize("restrained", [False, True])
def test_displacements_that_break_the_symmetry_leave_zero(restrained: bool) -> None:
    """At 0 the slope along them vanishes: a fit that begins there would end there."""
    still = pk.Cluster(PARTICLE, "c", Uiso=0.01, moves="modes")
    model = pk.Model(still, XRAY)
    data = model.with_values({"c.T2_1a": 0.15})(R)
    kept = [GeometryRestraint("c", bonds=0.2, angles=20, displacement=0.5)] if restrained else []
    result = pk.fit(model, data, free=["T2_1*"], restraints=kept, search="plain")
    assert result.rw < 0.01
    size = np.sqrt(sum(result.params[f"c.T2_1{k}"].value ** 2 for k in "abc"))
    assert size == pytest.approx(0.15, abs=0.01)
    assert result.params["c.T2_1a"].init_value == 0.0


def test_many_that_are_held_have_one_sentence() -> None:
    model = moving()
    data = model(R)
    start = pk.Model(pk.Cluster(PARTICLE, "c", Uiso=0.01, moves="atoms"), XRAY)
    result = pk.fit(start, data, free=["x", "y", "z"], search="plain", settings=pk.FitSettings(max_nfev=2))
    held = [text for text in result.remarks if "nothing that is fitted determines" in text]
    assert len(held) == 1
    assert "GeometryRestraint" in held[0]
