"""Peaks of anisotropic relative displacement, against 3-D Gaussians averaged by quadrature."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import PdfkitError
from pdfkit.model import Convention, serial
from pdfkit.model.model import CONVENTIONS
from pdfkit.structure import Site

BEFORE = Path(__file__).parent.parent / "data/anisotropic-before.json"
D = 2.5


def exact(r: np.ndarray, S: np.ndarray) -> np.ndarray:
    """Return the peak of a pair at (0, 0, D), relative displacement of covariance S: r times the mean over a sphere."""
    theta, weight = np.polynomial.legendre.leggauss(200)
    theta = theta + 1.0  # to 2 rad
    phi = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    T, P = np.meshgrid(theta, phi, indexing="ij")
    n = np.stack([np.sin(T) * np.cos(P), np.sin(T) * np.sin(P), np.cos(T)], axis=-1)
    area = (weight * np.sin(theta))[:, None] * (2 * math.pi / 48)
    norm = 1.0 / math.sqrt((2 * math.pi) ** 3 * np.linalg.det(S))
    out = []
    for one in r:
        v = one * n - [0.0, 0.0, D]
        out.append(one * norm * (area * np.exp(-0.5 * np.einsum("...i,ij,...j", v, np.linalg.inv(S), v))).sum())
    return np.array(out)


def curve(r: np.ndarray, U: np.ndarray, anisotropy: str) -> np.ndarray:
    """Return G of two atoms at this distance in a large cell, without the baseline."""
    tensor = (U[0, 0], U[1, 1], U[2, 2], U[0, 1], U[0, 2], U[1, 2])
    sites = [Site(label, "Ni", (0, 0, z), U=tensor, isotropic=False) for label, z in (("A", 0.0), ("B", D / 12))]
    pair = pk.Crystal.from_structure(pk.Structure((12.0,) * 3 + (90.0,) * 3, tuple(sites)), name="p")
    model = pk.Model(pair, pk.Instrument(probe="X", qmax=math.inf), Convention(anisotropy=anisotropy))
    return model(r).G + 4 * math.pi * r * 2 / 12.0**3


def turned(along: float, across: float, degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return turn @ np.diag([across, across, along]) @ turn.T


@pytest.mark.parametrize(
    ("along", "across", "angle", "shifted", "none"),
    [
        (0.005, 0.03, 0, 0.006, 0.12),
        (0.03, 0.005, 0, 0.001, 0.05),
        (0.01, 0.02, 0, 0.0005, 0.03),
        (0.02, 0.02, 0, 1e-6, 0.0),
        # Oblique: the peak is skewed, which a Gaussian cannot be.
        (0.005, 0.03, 20, 0.041, 0.06),
    ],
)
def test_a_peak_is_where_three_dimensions_put_it(
    along: float, across: float, angle: float, shifted: float, none: float
) -> None:
    r, U = np.arange(D - 1.0, D + 1.0, 0.01), turned(along, across, angle)
    expected = exact(r, 2 * U)
    off = {how: np.abs(curve(r, U, how) - expected).max() / expected.max() for how in ("shifted", "none")}
    assert off["shifted"] < shifted
    assert off["none"] > none - 1e-9


@pytest.mark.parametrize("angle", [0, 20, 45])
def test_the_mean_distance_is_that_of_three_dimensions(angle: float) -> None:
    r, U = np.arange(0.5, 4.5, 0.01), turned(0.005, 0.03, angle)
    means = [float((r**2 * G).sum() / (r * G).sum()) for G in (exact(r, 2 * U), curve(r, U, "shifted"))]
    assert means[1] == pytest.approx(means[0], abs=5e-4)  # of a shift of 0.02 Å
    assert abs(float((r**2 * curve(r, U, "none")).sum() / (r * curve(r, U, "none")).sum()) - means[0]) > 4e-3


def test_equal_tensors_move_nothing() -> None:
    wz = pk.Crystal.from_file("CdS_wurtzite", name="wz", anisotropic=True, delta2=2.0)
    r, beam = np.arange(1.5, 20, 0.02), pk.Instrument(probe="X", qmax=22, qbroad=0.02)
    moved, still = (pk.Model(wz, beam, Convention(anisotropy=how))(r).G for how in ("shifted", "none"))
    np.testing.assert_allclose(moved, still, rtol=0, atol=1e-12 * np.abs(still).max())


def test_correlated_motion_shrinks_the_shift() -> None:
    """δ₂ scales the whole relative displacement, so that what is isotropic stays so."""
    flat = {"U11": {"Cd": 0.01, "S": 0.01}, "U33": {"Cd": 0.04, "S": 0.04}}
    r, beam = np.arange(1.5, 5, 0.002), pk.Instrument(probe="N", qmax=math.inf)
    places = []
    for delta2 in (0.0, 3.0):
        stack = pk.Stacked("Cd", "S", name="s", a_h=4.13, alpha=0.3, delta2=delta2, **flat)
        curves = [pk.Model(stack, beam, Convention(anisotropy=how))(r).G for how in ("shifted", "none")]
        places.append(r[curves[0][:600].argmax()] - r[curves[1][:600].argmax()])
    assert abs(places[1]) < 0.7 * abs(places[0])
    assert abs(places[0]) > 0.002


def test_models_saved_before_keep_their_numbers() -> None:
    kept = json.loads(BEFORE.read_text(encoding="utf-8"))
    model = serial.loads(json.dumps(kept["model"]))
    assert model.convention.anisotropy == "none"
    r, G = np.array(kept["r"]), np.array(kept["G"])
    np.testing.assert_allclose(model(r).G, G, rtol=0, atol=1e-11 * np.abs(G).max())
    again = serial.loads(serial.dumps(pk.Model(model.phases, model.instrument)))
    assert again.convention.anisotropy == "shifted"
    assert np.abs(again(r).G - G).max() > 1e-3 * np.abs(G).max()


def test_other_programs_shift_nothing() -> None:
    for program in ("pdffit2", "diffpy-cmi"):
        assert CONVENTIONS[program].anisotropy == "none"
    with pytest.raises(PdfkitError, match="anisotropy"):
        Convention(anisotropy="some")


def test_sites_with_tensors_are_made_isotropic_where_that_is_asked_for(tmp_path: Path) -> None:
    """anisotropic = false: Uiso is a third of the trace, in Python and in a recipe, and that is said."""
    tensors = pk.load_structure("CdS_wurtzite").with_anisotropic()
    sites = [replace(site, U=(0.01, 0.01, 0.025, 0.005, 0.0, 0.0)) for site in tensors.sites]
    file = tmp_path / "wz.cif"
    pk.write_cif(file, replace(tensors, sites=tuple(sites)))
    words = "isotropic as asked: Cd, S had tensors, and have their mean Ueq as Uiso"
    text = '[data]\nfile = "x.gr"\n[[phase]]\nstructure = "wz.cif"\nanisotropic = {}\n[fit]\nfree = "scale"\n'
    (tmp_path / "fit.toml").write_text(text.format("false"))
    for phase in (
        pk.Crystal.from_file(file, anisotropic=False),
        pk.load_recipe(tmp_path / "fit.toml").phases[0].build(),
    ):
        names = [q.name for q in phase.quantities]
        assert "Cd.Uiso" in names
        assert "Cd.U11" not in names
        assert phase.structure.sites[0].Uiso == pytest.approx(0.015, abs=1e-12)
        assert words in phase.remarks
    assert "Cd.U33" in [q.name for q in pk.Crystal.from_file(file).quantities]  # as the file says
    again = pk.Crystal.from_file("CdS_wurtzite", anisotropic=False)
    assert again.remarks == pk.Crystal.from_file("CdS_wurtzite").remarks
    one = pk.Crystal.from_file("CdS_wurtzite", anisotropic="S")
    assert [q.name for q in one.quantities if "U" in q.name] == ["Cd.Uiso", "S.U11", "S.U33"]


@pytest.mark.parametrize("aniso", [False, True])
def test_angles_of_no_cell_are_refused(aniso: bool) -> None:
    cell, xyz = (4.0, 5.0, 6.0, 90.0, 90.0, 90.0), [[0.0, 0.0, 0.0], [0.4, 0.3, 0.2]]
    structure = pk.Structure.from_arrays(cell, ["Cd", "S"], xyz, U=[0.01, 0.01])
    structure = structure.with_anisotropic() if aniso else structure
    model = pk.Model(pk.Crystal.from_structure(structure, name="p"), pk.Instrument(probe="X", qmax=20.0))
    r = np.arange(1.0, 8.0, 0.05)
    evaluate, rows = model.evaluator(r), [model.names.index(f"p.{name}") for name in ("alpha", "beta", "gamma")]
    for angles in ((170.0, 20.0, 20.0), (120.0, 120.0, 120.0), (100.0, 60.0, 40.0)):
        values = model.values.copy()
        values[rows] = angles
        with pytest.raises(PdfkitError, match=r"span no cell: each has to be less than the sum"):
            evaluate(values)
        with pytest.raises(PdfkitError, match="span no cell"):
            evaluate.many(np.array([model.values, values]))


def test_the_largest_displacement_is_that_along_the_longest_axis() -> None:
    """In a skew cell, where tensors of lattice coordinates are not symmetric in space."""
    cell, u = (4.0, 5.0, 6.0, 75.0, 100.0, 115.0), (0.01, 0.02, 0.015, 0.004, -0.003, 0.005)
    structure = pk.Structure.from_arrays(cell, ["Cd"], [[0.1, 0.2, 0.3]], U=[u])
    crystal = pk.Crystal.from_structure(structure, name="p")
    values = np.array([q.value for q in crystal.quantities])
    point = crystal.located(values, np.zeros((values.size, 0)))
    inverse = np.linalg.inv(point.geometry.g)
    star = np.sqrt(np.diag(inverse))
    full = np.array([[u[0], u[3], u[4]], [u[3], u[1], u[5]], [u[4], u[5], u[2]]])
    expected = np.linalg.eigvals(np.outer(star, star) * full @ point.geometry.g).real.max()
    assert point.u_max == pytest.approx(expected, rel=1e-12)
