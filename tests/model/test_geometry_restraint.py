"""Restraints of clusters whose atoms move: values, derivatives, fits with more free than data tell, what is said."""

from __future__ import annotations

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.model import GeometryRestraint, serial
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


def test_without_a_restraint_so_many_are_refused() -> None:
    with pytest.raises(pk.PdfkitError, match="GeometryRestraint"):
        pk.fit(model(), model()(np.arange(1.5, 10.0, 0.2)), free=["x", "y", "z"])


def test_saved_fits_know_it(tmp_path: object) -> None:
    one = GeometryRestraint("c", 0.1, None, 0.3, {"Cd-Se": 2.6})
    assert serial.loads(serial.dumps(one)) == one


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(pk.PdfkitError, match="restrains nothing"):
        GeometryRestraint("c", None, None, None)
    one = model()
    with pytest.raises(pk.PdfkitError, match="names bonds Cd-Te"):
        GeometryRestraint("c", lengths={"Cd-Te": 2.7}).residual(one, one.names, one.values, np.eye(one.values.size))
    still = pk.Model(pk.Cluster(PARTICLE, "c"), XRAY)
    with pytest.raises(pk.PdfkitError, match="do not move"):
        GeometryRestraint("c").residual(still, still.names, still.values, np.eye(still.values.size))
