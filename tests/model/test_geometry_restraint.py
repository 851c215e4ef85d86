"""Restraints of clusters whose atoms move: values, derivatives, fits with more free than data tell, what is said."""

from __future__ import annotations

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.model import AngleRestraint, GeometryRestraint, serial
from pdfkit.phases import _network

PARTICLE = pk.build.tetrahedron("CdSe_zincblende", 4)
XRAY = pk.Instrument(probe="X", qmin=0.6, qmax=15.0, qdamp=0.03)
AWAY = np.random.default_rng(2).normal(0.0, 0.06, PARTICLE.xyz.size)


def model(moved: np.ndarray | float = 0.0) -> pk.Model:
    amplitudes = tuple(np.broadcast_to(moved, PARTICLE.xyz.size).tolist())
    cluster = pk.Cluster(PARTICLE, "c", Uiso=0.01, moves="atoms", amplitudes=amplitudes, axial=(0.01, 0.0, -0.01))
    return pk.Model(cluster, XRAY)


def test_bonds_and_angles_of_a_tetrahedron_are_found() -> None:
    network = _network.Network.of(PARTICLE)
    assert len(network.bonds) == 40  # ten anions, each with four cations
    np.testing.assert_allclose(network.lengths, 6.05 * 3**0.5 / 4, atol=0.01)
    np.testing.assert_allclose(network.corners, 109.47, atol=0.01)
    symbols = np.array(PARTICLE.symbols)
    centres = symbols[network.angles[:, 1]]
    assert (centres == "Se").sum() == 60
    assert all(len({a, b, c}) == 3 for a, b, c in network.angles.tolist())


@pytest.mark.parametrize("given", [{}, {"angles": None}, {"bonds": None, "displacement": None}])
def test_derivatives_are_those_of_differences(given: dict[str, None]) -> None:
    one, restraint = model(AWAY), GeometryRestraint("c", **given)
    values, every = one.values, np.eye(one.values.size)

    def at(values: np.ndarray) -> np.ndarray:
        return restraint.residual(one, one.names, values, every)[0]

    _, slopes = restraint.residual(one, one.names, values, every)
    for k in (1, 2, 4, 5, 6, 7, 40, 70):
        difference = (at(values + 1e-5 * every[k]) - at(values - 1e-5 * every[k])) / 2e-5
        np.testing.assert_allclose(slopes[:, k], difference, rtol=0, atol=1e-6 * np.abs(slopes).max())


def test_nothing_pulls_at_first_and_lengths_can_be_given() -> None:
    one = model()
    values, every = one.values.copy(), np.eye(one.values.size)
    values[2:5] = 0.0
    assert np.abs(GeometryRestraint("c").residual(one, one.names, values, every)[0]).max() < 1e-6
    wanted = GeometryRestraint("c", 0.1, None, None, {"Se-Cd": 2.5})
    pulls = wanted.residual(one, one.names, values, every)[0]
    assert abs(pulls[0] - (6.05 * 3**0.5 / 4 - 2.5) / 0.1) < 0.05


def test_bonds_and_angles_like_those_of_another() -> None:
    other = pk.Particle.of(PARTICLE.symbols, PARTICLE.xyz + AWAY.reshape(-1, 3))
    cluster = pk.Cluster(PARTICLE, "c", moves="atoms", amplitudes=tuple(AWAY.tolist()))
    one = pk.Model(cluster, XRAY)
    kept = GeometryRestraint("c", displacement=None, like=other)
    pulls = kept.residual(one, one.names, one.values, np.zeros((one.values.size, 0)))[0]
    assert np.abs(pulls).max() < 1e-9
    back = serial.loads(serial.dumps(kept))
    np.testing.assert_array_equal(back.like.xyz, other.xyz)
    wrong = GeometryRestraint("c", like=pk.build.tetrahedron("CdSe_zincblende", 3))
    with pytest.raises(pk.PdfkitError, match="of the same atoms"):
        wrong.residual(one, one.names, one.values, np.zeros((one.values.size, 0)))


def test_a_fit_of_more_coordinates_than_data_tell() -> None:
    true = model(AWAY)
    rng = np.random.default_rng(0)
    r = np.arange(1.5, 12.0, 0.05)
    pdf = true(r)
    data = pk.PDF(r, pdf.G + 0.01 * rng.normal(size=r.size), np.full(r.size, 0.01), instrument=XRAY)
    start = model().with_values({"expansion_x": 0.01, "expansion_z": -0.01})
    kept = GeometryRestraint("c", bonds=0.1, angles=5.0, displacement=0.06)
    settings = pk.FitSettings(noise="given")
    free = ["scale", "x", "y", "z"]
    result = pk.fit(start, data, free=free, restraints=[kept], search="plain", settings=settings)
    assert len(result.free) == 91 > result.n_independent
    assert result.rw < 0.3 * float(np.linalg.norm(start(r).G - data.G) / np.linalg.norm(data.G))
    errors = np.array([result.params[f"c.{name}.x"].stderr for name in ("Cd1", "Cd5", "Se3")], dtype=float)
    assert ((errors > 0.01) & (errors < 0.07)).all()  # no more than the prior of each, and no less than makes sense
    cluster = result.model.phases[0]
    held = _network.rigid(PARTICLE.xyz).T @ cluster.displaced.ravel()
    assert np.abs(held).max() < 1e-3  # the cluster as a whole stays where it was
    text = str(result)
    assert "displacements of 30 atoms" in text
    assert "c: Cd-Se, mean of 40" in text
    assert "Cd7.y" not in text
    assert len(text.splitlines()) < 60


def test_errors_that_nobody_knows_are_estimated() -> None:
    r, rng = np.arange(1.5, 12.0, 0.05), np.random.default_rng(0)
    start = model().with_values({"expansion_x": 0.01, "expansion_z": -0.01})
    data = pk.PDF(r, model(AWAY)(r).G + 0.01 * rng.normal(size=r.size), instrument=XRAY)
    kept = GeometryRestraint("c", bonds=0.1, angles=5.0, displacement=0.06)
    result = pk.fit(start, data, free=["scale", "x", "y", "z"], restraints=[kept], search="plain")
    assert result.converged
    assert result.rw < 0.5 * float(np.linalg.norm(start(r).G - data.G) / np.linalg.norm(data.G))
    assert result.params["c.Cd1.x"].stderr is not None


@pytest.mark.parametrize("seed", range(3))
def test_displaced_atoms_are_found_again(seed: int) -> None:
    """Noise-free data, atoms displaced by 0.2 Å, all of them free: within 0.10 Å of the truth after superposition."""
    away = np.random.default_rng(seed).normal(size=PARTICLE.xyz.shape)
    away *= 0.2 / np.sqrt((away**2).sum(axis=1).mean())
    r = np.arange(1.5, 14.0, 0.02)
    model_of = [
        pk.Model(pk.Cluster(PARTICLE, "c", Uiso=0.01, moves="atoms", amplitudes=tuple(one.ravel().tolist())), XRAY)
        for one in (np.zeros_like(away), away)
    ]
    kept = GeometryRestraint("c", bonds=0.03, angles=3.0, displacement=0.3)
    settings = pk.FitSettings(noise="given")
    result = pk.fit(
        model_of[1], model_of[0](r), free=["x", "y", "z"], restraints=[kept], search="plain", settings=settings
    )
    found = result.model.phases[0].refined_particle().xyz
    a, b = found - found.mean(axis=0), PARTICLE.xyz - PARTICLE.xyz.mean(axis=0)
    u, _, vt = np.linalg.svd(a.T @ b)
    assert np.sqrt(((a @ u @ vt - b) ** 2).sum(axis=1).mean()) < 0.10
    assert result.rw < 1e-4


def test_without_a_restraint_so_many_are_refused() -> None:
    with pytest.raises(pk.PdfkitError, match="GeometryRestraint"):
        pk.fit(model(), model()(np.arange(1.5, 10.0, 0.2)), free=["x", "y", "z"])


def test_bonds_and_angles_by_name_are_those_of_all_atoms() -> None:
    one = model(AWAY)
    every = np.eye(one.values.size)
    for restraint, count in (
        (pk.BondRestraint("c", "Cd", "Se", 2.6, 0.02), 40),
        (AngleRestraint("c", "Cd", "Se", "Cd", 109.47, 2.0), 60),
        (AngleRestraint("c", "Se", "Cd", "Se", 109.47, 2.0), 24),
    ):
        pulls, slopes = restraint.residual(one, one.names, one.values, every)
        assert pulls.size == count
        step = 1e-5 * every[12]
        above, below = (restraint.residual(one, one.names, one.values + d, every)[0] for d in (step, -step))
        np.testing.assert_allclose(slopes[:, 12], (above - below) / 2e-5, atol=1e-5 * np.abs(slopes).max())
    with pytest.raises(pk.PdfkitError, match="no such atoms"):
        AngleRestraint("c", "Te", "Cd", "Se", 109.0, 1.0).residual(one, one.names, one.values, every)
    still = pk.Model(pk.Cluster(PARTICLE, "c"), XRAY)
    names = (still, still.names, still.values, np.zeros((still.values.size, 0)))
    assert pk.BondRestraint("c", "Cd", "Se", 2.6, 0.02).residual(*names)[0].size == 1  # the shortest, as ever


def test_saved_fits_know_it(tmp_path: object) -> None:
    one = GeometryRestraint("c", 0.1, None, 0.3, {"Cd-Se": 2.6})
    assert serial.loads(serial.dumps(one)) == one


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(pk.PdfkitError, match="restrains nothing"):
        GeometryRestraint("c", None, None, None)
    with pytest.raises(pk.PdfkitError, match="bond lengths by elements"):
        GeometryRestraint("c", lengths={("Cd", "Se"): 2.6})  # type: ignore[dict-item]
    one = model()
    with pytest.raises(pk.PdfkitError, match="names bonds Cd-Te"):
        GeometryRestraint("c", lengths={"Cd-Te": 2.7}).residual(one, one.names, one.values, np.eye(one.values.size))
    still = pk.Model(pk.Cluster(PARTICLE, "c"), XRAY)
    with pytest.raises(pk.PdfkitError, match="do not move"):
        GeometryRestraint("c").residual(still, still.names, still.values, np.eye(still.values.size))
