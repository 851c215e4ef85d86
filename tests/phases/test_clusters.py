"""Clusters as phases: against the Debye equation, first principles, their Jacobian, and measured data."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from test_particles import ball

import pdfkit as pk
from pdfkit.cli.info import describe
from pdfkit.model import serial
from pdfkit.phases.ions import strengths_used
from pdfkit.scattering import form_factor, scattering_strength

R = np.arange(0.5, 25.0, 0.01)
XRAY = pk.Instrument(probe="X", qmin=0.9, qmax=20.0, qdamp=0.03)


def tetrahedron(n: int = 4, a: float = 6.05) -> pk.Particle:
    """CdSe tetrahedron: n layers of anions within n + 1 of cations."""

    def points(m: int, z: float) -> list[np.ndarray]:
        return [
            np.array([i, j, k]) @ (a / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])) + z
            for i, j, k in itertools.product(range(m), repeat=3)
            if i + j + k < m
        ]

    cations, anions = points(n + 1, 0.0), points(n, a / 4)
    return pk.Particle.of(["Cd"] * len(cations) + ["Se"] * len(anions), cations + anions, name="T")


def debye(particle: pk.Particle, u: dict[str, float], Q: np.ndarray, probe: str, f0: bool) -> np.ndarray:
    """F(Q) by the Debye equation: two loops over atoms."""
    at = np.zeros(1) if f0 else Q
    f = {e: (scattering_strength(e, probe) if f0 else form_factor(e, probe, at)) for e in particle.elements}
    mean = sum(n * f[e] for e, n in particle.composition().items()) / len(particle)
    total = np.zeros_like(Q)
    symbols, xyz = particle.symbols, particle.xyz
    for i in range(len(particle)):
        for j in range(i):
            d = math.dist(xyz[i], xyz[j])
            width = np.exp(-0.5 * (u[symbols[i]] + u[symbols[j]]) * Q**2)
            total += 2 * f[symbols[i]] * f[symbols[j]] * np.sin(Q * d) / d * width
    return total / len(particle) / mean**2


def transformed(F: np.ndarray, Q: np.ndarray, w: np.ndarray, r: np.ndarray) -> np.ndarray:
    return 2 / math.pi * (np.sin(np.outer(r, Q)) @ (F * w))


@pytest.mark.parametrize("probe", ["X", "N"])
@pytest.mark.parametrize("weights", ["constant", "q-dependent"])
@pytest.mark.parametrize("qmin", [0.0, 0.9])
def test_peaks_in_r_equal_the_debye_equation(probe: str, weights: str, qmin: float) -> None:
    particle = tetrahedron(3)
    u = {"Cd": 0.011, "Se": 0.02}
    nodes, w = np.polynomial.legendre.leggauss(400)
    Q, w = 0.5 * (20 - qmin) * nodes + 0.5 * (20 + qmin), 0.5 * (20 - qmin) * w
    expected = transformed(debye(particle, u, Q, probe, weights == "constant"), Q, w, R)
    instrument = pk.Instrument(probe=probe, qmin=qmin, qmax=20.0, scattering=weights)
    cluster = pk.Cluster(particle, "c", Uiso=u, baseline="none")
    G = pk.Model(cluster, instrument)(R).G
    # The grid of the cut aliases 1.3e-9 of a peak and is resampled to 2e-9; peaks end at 7σ (2e-11). Small angles
    # (qmin = 0) have no baseline here: the curve then ends at the cluster's edge and nothing is lost beyond.
    assert np.abs(G - expected).max() < 2e-8 * np.abs(expected).max()


def test_without_a_cut_every_pair_is_a_gaussian() -> None:
    particle = tetrahedron(2)
    instrument = pk.Instrument(probe="N", qmax=math.inf)
    G = pk.Model(pk.Cluster(particle, "c", Uiso=0.01, baseline="none"), instrument)(R).G
    b = {e: scattering_strength(e, "N") for e in particle.elements}
    mean = sum(n * b[e] for e, n in particle.composition().items()) / len(particle)
    expected, s = np.zeros_like(R), math.sqrt(0.02)
    for i, j in itertools.permutations(range(len(particle)), 2):
        d = math.dist(particle.xyz[i], particle.xyz[j])
        shape = np.exp(-((R - d) ** 2) / (2 * s * s)) - np.exp(-((R + d) ** 2) / (2 * s * s))
        expected += b[particle.symbols[i]] * b[particle.symbols[j]] * shape / (math.sqrt(2 * math.pi) * s * d)
    # Resampling from the coarse grid: 2e-9.
    assert np.abs(G - expected / len(particle) / mean**2).max() < 1e-8 * np.abs(G).max()


def test_rotation_relabelling_and_displacement_change_nothing() -> None:
    particle = tetrahedron(3)
    G = pk.Model(pk.Cluster(particle, "c"), XRAY)(R).G
    order = np.random.default_rng(1).permutation(len(particle))
    turned = Rotation.from_euler("xyz", [0.3, 1.0, 2.0]).apply(np.array(particle.xyz))[order] + [1.0, 2.0, 3.0]
    other = pk.Particle.of([particle.symbols[i] for i in order], turned)
    # Distances that rounding takes across an edge of the bins of 1e-5 Å: no more than rounding.
    np.testing.assert_allclose(pk.Model(pk.Cluster(other, "c"), XRAY)(R).G, G, rtol=0, atol=1e-12 * np.abs(G).max())


@pytest.mark.parametrize("baseline", ["none", "sphere", "own"])
def test_partials_and_phases_add_up(baseline: str) -> None:
    cluster = pk.Cluster(tetrahedron(3), "c", baseline=baseline)
    crystal = pk.Crystal.from_file("CdSe_wurtzite", name="wz", shape=pk.Sphere(20))
    model = pk.Model([cluster, crystal], replace(XRAY, qmin=0.0))
    G = model(R).G
    np.testing.assert_allclose(sum(p.G for p in model.partials(R).values()), G, rtol=0, atol=1e-12 * np.abs(G).max())
    np.testing.assert_allclose(
        sum(p.G for p in model.phase_curves(R).values()), G, rtol=0, atol=1e-12 * np.abs(G).max()
    )


def test_a_large_sphere_becomes_the_crystal_under_its_shape() -> None:
    particle = ball(60.0)
    instrument = pk.Instrument(probe="X", qmax=20.0)
    r = np.arange(2.0, 12.0, 0.01)
    own = pk.Model(pk.Cluster(particle, "c", Uiso=0.01, baseline="sphere"), instrument)(r).G
    cell = pk.load_structure("CdS_zincblende")
    crystal = pk.Crystal.from_structure(cell, name="zb", shape=pk.Sphere(60.0)).with_values(
        {"Cd.Uiso": 0.01, "S.Uiso": 0.01}
    )
    bulk = pk.Model(crystal, instrument)(r).G
    # The surface of a cut sphere is rough on the scale of a bond: γ₀ describes it to about one atom in a hundred.
    assert np.sqrt(((own - bulk) ** 2).sum() / (bulk**2).sum()) < 0.02


@pytest.mark.parametrize("baseline", ["sphere", "own"])
def test_baselines_take_away_the_small_angles_and_nothing_else(baseline: str) -> None:
    particle = ball(22.0)
    r = np.arange(0.02, 60.0, 0.02)
    instrument = pk.Instrument(probe="X", qmax=math.inf)
    bare, based = (pk.Model(pk.Cluster(particle, "c", baseline=b), instrument)(r).G for b in ("none", baseline))
    # ∫r·G dr is the limit of F(Q)/Q at Q → 0: N − 1 pairs an atom without a baseline, weighted; with it −1 + 1 − … ≈ 0.
    f = np.array([48.0, 16.0])[particle.kind]
    everything = (f.sum() ** 2 - (f**2).sum()) / len(particle) / f.mean() ** 2
    assert 0.02 * (r * bare).sum() == pytest.approx(everything, rel=1e-6)  # r in steps of 0.02 Å
    left = 0.02 * (r * based).sum()
    assert abs(left) < 0.02 * everything
    # Beyond the small angles (Q > 2) the two have the same transform.
    Q = np.linspace(2.0, 15.0, 60)
    difference = 0.02 * (np.sin(np.outer(Q, r)) @ (bare - based))
    whole = 0.02 * (np.sin(np.outer(Q, r)) @ bare)
    assert np.abs(difference).max() < (0.05 if baseline == "sphere" else 5e-3) * np.abs(whole).max()


def test_auto_leaves_small_angles_to_qmin() -> None:
    particle = tetrahedron(3)
    for qmin, same in ((0.0, "own"), (0.9, "none")):
        one, other = (
            pk.Model(pk.Cluster(particle, "c", baseline=b), replace(XRAY, qmin=qmin))(R).G for b in ("auto", same)
        )
        np.testing.assert_array_equal(one, other)


SMALL = ("Uiso", "qdamp", "qbroad", "resolution", "qtail")


@pytest.mark.parametrize("baseline", ["none", "sphere", "own"])
@pytest.mark.parametrize("axial", [None, (0.0, 0.0, 0.0), (0.01, -0.02, 0.005)])
def test_jacobian_is_that_of_central_differences(baseline: str, axial: Any) -> None:
    cluster = pk.Cluster(
        tetrahedron(3), "c", Uiso=0.02, surface=True, axial=axial, baseline=baseline, delta1=0.1, delta2=2.0
    )
    model = pk.Model(cluster, replace(XRAY, qmin=0.0, qbroad=0.01, resolution=0.005, qtail=0.02))
    evaluate, values = model.evaluator(R), model.values
    _, jacobian = evaluate(values, np.eye(values.size))
    for k, name in enumerate(model.names):
        step = 1e-5 if name.split(".")[-1] in SMALL else 1e-4
        expected = np.zeros(R.size)
        for offset, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
            expected += weight * evaluate(values + offset * step * np.eye(values.size)[k])[0]
        expected /= 12 * step
        # Rounding of G over the step, 1e-10 of a derivative; the difference's own error is of fourth order.
        np.testing.assert_allclose(jacobian[k], expected, rtol=0, atol=1e-7 * np.abs(expected).max(), err_msg=name)


def test_expansion_of_the_atoms_is_expansion_of_the_parameters() -> None:
    particle = tetrahedron(3)
    factors = np.array([1.02, 0.99, 1.005])
    moved = replace(particle, xyz=particle.xyz * factors * 1.01)
    by_parameter = pk.Cluster(particle, "c", expansion=0.01, axial=tuple(factors - 1), baseline="sphere")
    instrument = replace(XRAY, qmin=0.0)
    G = pk.Model(by_parameter, instrument)(R).G
    expected = pk.Model(pk.Cluster(moved, "c", baseline="sphere"), instrument)(R).G
    np.testing.assert_allclose(G, expected, rtol=0, atol=1e-11 * np.abs(G).max())
    written = by_parameter.refined_particle()
    d = pk.particles.count_pairs(written).distance
    np.testing.assert_allclose(d, pk.particles.count_pairs(moved).distance, rtol=0, atol=1e-12)


def test_surface_atoms_have_their_own_displacement() -> None:
    particle = tetrahedron(4)
    cluster = pk.Cluster(particle, "c", Uiso={"Cd": 0.01, "Cd_surface": 0.03, "Se": 0.02}, surface=True)
    assert cluster.classes == ("Cd", "Cd_surface", "Se")
    assert [q.name for q in cluster.quantities][2:5] == ["Cd.Uiso", "Cd_surface.Uiso", "Se.Uiso"]
    alike = pk.Cluster(particle, "c", Uiso={"Cd": 0.01, "Se": 0.02}, surface=True)
    plain = pk.Cluster(particle, "c", Uiso={"Cd": 0.01, "Se": 0.02})
    same, expected = (pk.Model(c, XRAY)(R).G for c in (alike, plain))
    np.testing.assert_allclose(same, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert np.abs(pk.Model(cluster, XRAY)(R).G - expected).max() > 1e-2


def test_ligands_count_with_their_weights() -> None:
    core = tetrahedron(2)
    far = core.xyz.mean(axis=0) + np.array([[9.0, 0, 0], [10.2, 0, 0]])
    whole = pk.Particle.of([*core.symbols, "C", "O"], np.vstack([core.xyz, far]))
    instrument = pk.Instrument(probe="N", qmin=0.9, qmax=20.0)
    parts = pk.Model(pk.Cluster(whole, "c"), instrument).partials(R)
    assert set(parts) == {tuple(sorted(p)) for p in itertools.combinations_with_replacement(["C", "Cd", "O", "Se"], 2)}
    b = {e: scattering_strength(e, "N") for e in whole.elements}
    mean = sum(n * b[e] for e, n in whole.composition().items()) / len(whole)
    assert parts["C", "O"].G.max() == pytest.approx(
        pk.Model(pk.Cluster(pk.Particle.of(["C", "O"], far), "m"), instrument)(R).G.max()
        * 2 * ((b["C"] + b["O"]) / 2) ** 2 / (len(whole) * mean**2),
        rel=1e-6,  # the same peak, cut on two grids
    )  # fmt: skip


def test_a_cluster_travels_as_text() -> None:
    cluster = pk.Cluster(tetrahedron(3), "c", Uiso={"Cd": 0.01, "Se": 0.02}, surface=True, axial=(0.0, 0.01, 0.0))
    model = pk.Model(cluster, XRAY)
    again = serial.loads(serial.dumps(model))
    np.testing.assert_array_equal(again(R).G, model(R).G)
    assert json.loads(serial.dumps(cluster))["type"] == "cluster"
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model))(R).G, model(R).G)


def test_large_clusters_are_counted_as_far_as_needed() -> None:
    free = replace(ball(60.0), lattice=None, sites=None)
    r = np.arange(1.0, 12.0, 0.02)
    near = pk.Model(pk.Cluster(free, "c", baseline="none"), replace(XRAY, qmin=0.0, qmax=math.inf))(r).G
    cluster = pk.Cluster(ball(60.0), "c", baseline="none")
    whole = pk.Model(cluster, replace(XRAY, qmin=0.0, qmax=math.inf))(r).G
    # Both merge distances in bins of 0.005 Å, exact to third order; equal distances at a bin's edge fall either way.
    np.testing.assert_allclose(near, whole, rtol=0, atol=1e-10 * np.abs(whole).max())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pk.Cluster(pk.Particle.of(["Cd"], [[0, 0, 0]]), "c"), "at least two"),
        (lambda: pk.Cluster(tetrahedron(2), "c", Uiso={"S": 0.01}), "the kinds of atom in c are Cd, Se"),
        (lambda: pk.Cluster(tetrahedron(2), "c", Uiso=-1), "Cd.Uiso = -1 is outside"),
        (lambda: pk.Cluster(tetrahedron(2), "c", baseline="bulk"), "choose one of auto, none, sphere, own"),
        (lambda: pk.Cluster(tetrahedron(2), "c", axial=(0.1, 0.2)), "three expansions along x, y, z"),
        (lambda: pk.Cluster(tetrahedron(2), "a b"), "phase name 'a b' cannot be used"),
        (lambda: pk.Cluster.from_structure(tetrahedron(2), name="c", shape=3), "option 'shape' of a Cluster"),
        (lambda: pk.Cluster(tetrahedron(2), "c").with_values({"a": 1}), "c.a does not exist"),
    ],
)
def test_wrong_clusters_are_refused(make: Any, words: str) -> None:
    with pytest.raises(pk.PdfkitError) as error:
        make()
    assert words in str(error.value)


# --- measured data ----------------------------------------------------------------------------------------------------

FOLDER = "diffpy/cmi/docs/examples/pdf/ch11ClusterXYZ/data"


def measured(name: str) -> Path:
    try:
        return Path(str(importlib.metadata.distribution("diffpy.cmi").locate_file(f"{FOLDER}/{name}")))
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the measured data come with the `examples` extra")


@pytest.mark.examples
@pytest.mark.parametrize("weights", ["constant", "q-dependent"])
def test_cd56se35_fits_its_measurement_better_than_published(weights: str) -> None:
    data = pk.read_pdf(measured("CdSe.gr"), probe="X", qmin=0.9, qmax=20, qdamp=0.06)
    cluster = pk.Cluster.from_file(measured("CdSe.xyz"), name="c", Uiso=0.02, delta2=4.0)
    model = pk.Model(cluster, replace(data.instrument, scattering=weights))
    result = pk.fit(model, data, rmin=1, rmax=20, free=["scale", "expansion", "Uiso", "delta2"])
    assert result.rw <= 0.1164  # DiffPy-CMI's value, with the same freedom
    assert result.params["c.expansion"].value == pytest.approx(-0.0057, abs=5e-4)  # DiffPy-CMI's, about one σ
    assert result.params["c.delta2"].value == pytest.approx(5.31, abs=0.15)


@pytest.mark.examples
def test_cd56se35_comes_first_among_the_tetrahedra() -> None:
    data = pk.read_pdf(measured("CdSe.gr"), probe="X", qmin=0.9, qmax=20, qdamp=0.06)
    rw = {}
    for n in range(3, 8):
        particle = tetrahedron(n)
        model = pk.Model(pk.Cluster(particle, "c", Uiso=0.02, delta2=4.0), data.instrument)
        rw[particle.formula] = pk.fit(model, data, rmin=1, rmax=20, free=["scale", "expansion", "Uiso", "delta2"]).rw
    assert list(rw) == ["Cd20Se10", "Cd35Se20", "Cd56Se35", "Cd84Se56", "Cd120Se84"]
    ranked = sorted(rw, key=rw.__getitem__)
    assert ranked[0] == "Cd56Se35"
    assert rw[ranked[1]] > rw["Cd56Se35"] + 0.02


def test_charges_that_are_not_taken_are_said(tmp_path: Path) -> None:
    file = tmp_path / "pair.xyz"
    file.write_text("2\n\nCd2+ 0 0 0\nS2- 0 0 2.5\n")
    assert "Cd2+, S2-, not taken" in describe(str(file))
    model = pk.Model(pk.Cluster.from_file(file, name="p"), pk.Instrument(probe="X", qmax=20.0))
    assert model.phases[0].particle.elements == ("Cd", "S")
    used = strengths_used(model.phases[0], model.instrument, model.strengths)
    assert used == "form factors f(Q) of neutral atoms (the file states Cd2+, S2-: ions = true uses these charges)"
    ions, constant = pk.Cluster.from_file(file, name="p", ions=True), replace(model.instrument, scattering="constant")
    assert strengths_used(ions, model.instrument, {}) == "form factors f(Q) of ions: Cd2+, S2-"
    assert strengths_used(ions, constant, {}) == "strengths at Q = 0 (electrons) of ions: Cd2+, S2-"


def test_phases_tell_what_they_are() -> None:
    nickel = pk.Crystal.from_file("Ni", name="ni", shape=pk.Sphere(20))
    ball = pk.Cluster(pk.build.sphere("Au", 10), "au", expansion=0.01)
    stack = pk.Stacked("Co", name="co", a_h=2.5, alpha=0.5, layers=8)
    phases = (nickel, ball, stack)
    assert [phase.kind for phase in phases] == ["crystal", "cluster", "stacked"]
    assert [phase.outline for phase in phases] == ["F m -3 m, sphere", "cluster", "whole layers"]
    assert [sorted(phase.files()) for phase in phases] == [["cif"], ["xyz"], []]
    assert [[d.name for d in phase.derived()] for phase in (nickel, ball)] == [[], []]
    assert [d.name for d in stack.derived()] == ["cubic_fraction", "cubic_run", "hexagonal_run"]
    assert all(phase.values == tuple(q.value for q in phase.quantities) for phase in phases)
    first = ball.files()["xyz"].splitlines()[2].split()
    assert first[0] == "Au"
    assert float(first[1]) == pytest.approx(ball.refined_particle().xyz[0, 0], abs=1e-9)


@pytest.mark.parametrize("moves", [None, "atoms"])
def test_correlated_motion_is_of_the_core(moves: str | None) -> None:
    """δ₂ of Cd–Se may be 4 Å², where C–O of 1.2 Å beside it would have no width left."""
    core = tetrahedron(2)
    far = core.xyz.max(axis=0) + np.array([[1.2, 0.3, 0], [2.4, 0.3, 0]])
    worn = np.arange(len(core) + 2) >= len(core)
    whole = pk.Particle.of([*core.symbols, "C", "O"], np.vstack([core.xyz, far]), ligand=worn)
    cluster = pk.Cluster(whole, "c", Uiso=0.02, delta2=4.0, baseline="none", moves=moves)
    limits = {q.name: q.high for q in cluster.quantities}
    assert limits["delta2"] == {q.name: q.high for q in pk.Cluster(core).quantities}["delta2"]
    instrument = pk.Instrument(probe="N", qmax=math.inf)
    model = pk.Model(cluster, instrument)
    b = {e: scattering_strength(e, "N") for e in whole.elements}
    mean = sum(n * b[e] for e, n in whole.composition().items()) / len(whole)
    expected = np.zeros_like(R)
    for i, j in itertools.permutations(range(len(whole)), 2):
        d = math.dist(whole.xyz[i], whole.xyz[j])
        s = math.sqrt(0.04 * (1.0 if worn[i] or worn[j] else 1 - 4.0 / d**2))
        shape = np.exp(-((R - d) ** 2) / (2 * s * s)) - np.exp(-((R + d) ** 2) / (2 * s * s))
        expected += b[whole.symbols[i]] * b[whole.symbols[j]] * shape / (math.sqrt(2 * math.pi) * s * d)
    assert np.abs(model(R).G - expected / len(whole) / mean**2).max() < 1e-7 * np.abs(expected).max()
    evaluate, values = model.evaluator(R), model.values
    _, jacobian = evaluate(values, np.eye(values.size))
    names = ["c.delta2", "c.delta1", "c.expansion", "c.O_ligand.Uiso"]
    for name in names + ["c.Cd1.x", "c.C1.y"] * (moves is not None):
        k = model.names.index(name)
        step = 1e-5 * np.eye(values.size)[k]
        slope = (evaluate(values + step)[0] - evaluate(values - step)[0]) / 2e-5
        np.testing.assert_allclose(jacobian[k], slope, rtol=0, atol=1e-5 * np.abs(slope).max(), err_msg=name)
