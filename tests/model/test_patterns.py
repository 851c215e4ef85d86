"""Patterns of particles: closed forms, the laws of small angles, files, figures and the command."""

from __future__ import annotations

import itertools
import math
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import naive
import numpy as np
import pytest
from matplotlib.figure import Figure

import pdfkit as pk
from pdfkit.cli.clusters import pattern as pattern_command
from pdfkit.errors import PdfkitWarning, ReadError
from pdfkit.io.intensity import read_small_angles
from pdfkit.io.xyz import clusters
from pdfkit.plot import clusters as plot_clusters
from pdfkit.scattering import form_factor

FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
COPPER = 1.5406


def ball(diameter: float, a: float = 5.832) -> pk.Particle:
    """Return a sphere of zinc-blende CdS about a Cd."""
    m = math.ceil(diameter / a)
    cells = np.array(list(itertools.product(range(-m, m + 1), repeat=3)))
    cd = a * (cells[:, None] + FCC).reshape(-1, 3)
    xyz = np.concatenate([cd, cd + a / 4])
    symbols = np.array(["Cd"] * len(cd) + ["S"] * len(cd))
    inside = (xyz**2).sum(axis=1) < diameter**2 / 4
    return pk.Particle.of(symbols[inside].tolist(), xyz[inside])


MOLECULE = pk.Particle.of(["Cd", "S"], [[0, 0, 0], [0, 0, 2.5]])
SMALL = ball(16.0)


def two_atoms(Q: np.ndarray, u: tuple[float, float] = (0.01, 0.01)) -> np.ndarray:
    f = np.array([form_factor(e, "X", Q) for e in ("Cd", "S")])
    return (f**2).sum(axis=0) + 2 * f[0] * f[1] * np.sinc(2.5 * Q / math.pi) * np.exp(-sum(u) * Q**2 / 2)


# --- patterns --------------------------------------------------------------------------------------------------------


def test_a_molecule_at_small_and_wide_angles() -> None:
    small, wide = pk.saxs(MOLECULE), pk.waxs(MOLECULE, Uiso={"Cd": 0.004, "S": 0.03})
    assert (small.Q[0], small.Q[-1], len(small)) == (pytest.approx(0.006), pytest.approx(1.0), 400)
    assert (wide.Q[0], wide.Q[-1]) == (0.5, 25.0)
    np.testing.assert_allclose(small.intensity, two_atoms(small.Q), rtol=1e-12)
    np.testing.assert_allclose(wide.intensity, two_atoms(wide.Q, (0.004, 0.03)), rtol=1e-12)
    np.testing.assert_allclose(pk.waxs(MOLECULE, per_atom=True).intensity, two_atoms(wide.Q) / 2, rtol=1e-12)
    assert small.two_theta is None
    assert small.name == "CdS"
    assert pk.saxs(MOLECULE, [0.0]).intensity[0] == pytest.approx(sum(form_factor(e, "X", 0) for e in ("Cd", "S")) ** 2)
    assert pk.saxs(MOLECULE, [0.0], scattering="constant").intensity[0] == pytest.approx(64.0**2, rel=1e-14)
    again = pickle.loads(pickle.dumps(small))
    np.testing.assert_array_equal(again.intensity, small.intensity)


def test_what_is_a_particle() -> None:
    expected = pk.waxs(SMALL).intensity
    for same in (SMALL.to_ase(), pk.Cluster(SMALL, "c"), pk.Cluster(SMALL, "c", surface=True)):
        np.testing.assert_allclose(pk.waxs(same).intensity, expected, atol=1e-12 * expected.max())
    with pytest.raises(pk.PdfkitError, match="not a particle"):
        pk.waxs("cluster.xyz")


def test_a_cluster_brings_its_motion_and_expansion() -> None:
    cluster = pk.Cluster(
        SMALL, "c", Uiso={"Cd": 0.01, "Cd_surface": 0.03, "S": 0.02}, surface=True, expansion=0.01, delta2=1.0
    )
    u = np.array([0.01, 0.03, 0.02, 0.02])[2 * SMALL.kind + pk.particles.surface_mask(SMALL)]
    Q = np.linspace(0, 20, 60)
    f = np.array([form_factor(e, "X", Q) for e in SMALL.symbols])
    slow = naive.debye(1.01 * SMALL.xyz, f, u, Q, delta2=1.0)
    np.testing.assert_allclose(pk.waxs(cluster, Q).intensity, slow, atol=1e-12 * slow.max())
    still = pk.waxs(cluster, Q, Uiso=0.0).intensity
    np.testing.assert_allclose(still, naive.debye(1.01 * SMALL.xyz, f, 0 * u, Q), atol=1e-12 * slow.max())
    axial = replace(cluster, axial=(0.02, 0.0, -0.01))
    moved = 1.01 * SMALL.xyz * np.array([1.02, 1.0, 0.99])
    slow = naive.debye(moved, f, u, Q, delta2=1.0)
    np.testing.assert_allclose(pk.waxs(axial, Q).intensity, slow, atol=1e-12 * slow.max())


def test_powder_pattern_of_a_molecule() -> None:
    angle = np.linspace(5, 179, 400)
    pattern = pk.powder_pattern(MOLECULE, angle, COPPER)
    Q = 4 * math.pi * np.sin(np.radians(angle) / 2) / COPPER
    np.testing.assert_allclose(pattern.Q, Q, rtol=1e-14)
    np.testing.assert_allclose(pattern.intensity, two_atoms(Q), rtol=1e-12)
    np.testing.assert_array_equal(pattern.two_theta, angle)
    assert pattern.wavelength == COPPER
    lab = pk.powder_pattern(MOLECULE, angle, COPPER, polarisation="unpolarised")
    cosine = np.cos(np.radians(angle))
    np.testing.assert_allclose(lab.intensity, two_atoms(Q) * (1 + cosine**2) / 2, rtol=1e-12)
    graphite = pk.powder_pattern(MOLECULE, angle, COPPER, polarisation="unpolarised", monochromator=26.6)
    K = math.cos(math.radians(26.6)) ** 2
    np.testing.assert_allclose(graphite.intensity, two_atoms(Q) * (1 + K * cosine**2) / (1 + K), rtol=1e-12)


@pytest.mark.parametrize("fwhm", [0.02, 0.5, 8.0])
@pytest.mark.parametrize("particle", [MOLECULE, ball(30.0)], ids=["molecule", "ball"])
def test_broadening_is_a_convolution(particle: pk.Particle, fwhm: float) -> None:
    angle = np.array([3.0, 28.0, 28.3, 90.0, 150.0])
    broad = pk.powder_pattern(particle, angle, COPPER, fwhm=fwhm, polarisation="unpolarised").intensity
    sigma = fwhm / math.sqrt(8 * math.log(2))
    node, weight = np.polynomial.hermite_e.hermegauss(120)
    points = np.radians(angle[:, None] + sigma * node)
    Q = 4 * math.pi / COPPER * np.abs(np.sin(points / 2))
    sharp = pk.waxs(particle, Q.ravel()).intensity.reshape(Q.shape) * (1 + np.cos(points) ** 2) / 2
    np.testing.assert_allclose(broad, sharp @ weight / weight.sum(), rtol=1e-10)


def test_bragg_peaks_of_a_ball_lie_where_they_belong() -> None:
    pattern = pk.powder_pattern(ball(60.0), np.arange(20.0, 60.0, 0.02), COPPER, polarisation="unpolarised")
    for h, k, l in ((1, 1, 1), (2, 2, 0), (3, 1, 1)):
        expected = 2 * math.degrees(math.asin(COPPER * math.sqrt(h * h + k * k + l * l) / (2 * 5.832)))
        near = np.abs(pattern.two_theta - expected) < 1.5
        peak = pattern.two_theta[near][np.argmax(pattern.intensity[near])]
        # Peaks are 2 degrees wide; the falling f(Q) and their neighbours shift them a little.
        assert peak == pytest.approx(expected, abs=0.15)


def test_structure_function_and_g_of_r() -> None:
    Q, r = np.linspace(0.1, 20, 400), np.arange(0.5, 20, 0.02)
    cluster = pk.Cluster(SMALL, "c", Uiso={"Cd": 0.012, "S": 0.02}, baseline="none")
    sq = pk.patterns.debye_sq(cluster, Q)
    f = np.array([form_factor(e, "X", Q) for e in SMALL.elements])
    c = np.array(list(SMALL.composition().values())) / len(SMALL)
    I = pk.waxs(cluster, Q, per_atom=True).intensity
    np.testing.assert_allclose(sq.S, (I - c @ f**2) / (c @ f) ** 2 + 1, rtol=1e-11)
    assert sq.name == "c"
    # The model sums peaks in r, this one terms in Q.
    for instrument in (
        pk.Instrument(probe="X", qmin=0.9, qmax=20.0, qdamp=0.04, scattering="q-dependent", window="lorch"),
        pk.Instrument(probe="N", qmin=0.9, qmax=22.0, qdamp=0.04, qbroad=0.02),
    ):
        G = pk.Model(cluster, instrument)(r).G
        # The cut of the model: 2e-9 of resampling and aliasing each.
        np.testing.assert_allclose(pk.patterns.debye_pdf(cluster, r, instrument).G, G, atol=2e-8 * np.abs(G).max())


@pytest.mark.parametrize("weights", ["constant", "q-dependent"])
def test_every_shipped_cluster_is_the_same_in_q_and_in_r(weights: str) -> None:
    r = np.arange(1.0, 20, 0.02)
    instrument = pk.Instrument(probe="X", qmin=0.9, qmax=20.0, qdamp=0.03, scattering=weights)
    for name, path in clusters().items():
        cluster = pk.Cluster.from_file(path, name="c", Uiso=0.012, delta2=2.0)
        G = pk.Model(cluster, instrument)(r).G
        error = np.abs(pk.patterns.debye_pdf(cluster, r, instrument).G - G).max()
        # Stated: 2e-8 of max|G|, from the resampling and the aliasing of the model's cut.
        assert error < 2e-8 * np.abs(G).max(), name


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pk.saxs(MOLECULE.select([0])), "one atom has no pair distances"),
        (lambda: pk.saxs(MOLECULE, [-0.1, 0.2]), "it cannot be negative"),
        (lambda: pk.saxs(pk.Particle.of(["Cd", "S"], [[0, 0, 0], [0, 0, 0.1]])), "0.100 Å apart"),
        (lambda: pk.saxs(MOLECULE, Uiso={"Zn": 0.1}), "Uiso is given for 'Zn', but the kinds of atom are Cd, S"),
        (lambda: pk.saxs(MOLECULE, Uiso=-1), "Uiso = -1"),
        (lambda: pk.powder_pattern(MOLECULE, [10, 180], COPPER), "below 180 degrees"),
        (lambda: pk.powder_pattern(MOLECULE, [-1, 18], COPPER), "from 0 to below 180"),
        (lambda: pk.powder_pattern(MOLECULE, [10, 20], 0.0), "wavelength = 0 is outside"),
        (lambda: pk.powder_pattern(MOLECULE, [10, 20], -1.5), "wavelength = -1.5"),
        (lambda: pk.powder_pattern(MOLECULE, [10, 20], 1.5, fwhm=-1), "fwhm = -1"),
        (lambda: pk.powder_pattern(MOLECULE, [10, 20], 1.5, polarisation="lab"), "choose one of none, unpolarised"),
        (lambda: pk.powder_pattern(MOLECULE, [10, 20], 1.5, polarisation="unpolarised", probe="N"), "is for X-rays"),
        (lambda: pk.powder_pattern(MOLECULE, [10, 170], 0.1), "beyond the tables"),
        (lambda: pk.patterns.Pattern([1, 2], [1.0]), "intensity has 1 points and Q has 2"),
        (lambda: pk.patterns.debye_pdf(MOLECULE, [1, 2], pk.Instrument(qmax=math.inf)), "finite qmax"),
    ],
)
def test_impossible_patterns_are_refused(call, words: str) -> None:
    with pytest.raises(pk.PdfkitError) as error:
        call()
    assert words in str(error.value)


# --- small angles ----------------------------------------------------------------------------------------------------

Q_SMALL = np.linspace(0.0005, 0.3, 1200)


@pytest.mark.parametrize("limit", [1.3, 0.2])
def test_guinier_finds_the_radius_of_gyration(limit: float) -> None:
    particle = ball(36.0)
    points = pk.saxs(particle, Q_SMALL, scattering="constant", Uiso=0.0)
    fit = pk.patterns.guinier(points.Q, points.intensity, limit=limit)
    rg = pk.particles.radius_of_gyration(particle, "electrons")
    # The next term of the series, Q⁴: for a sphere 1.8 % at 1.3, and with the square of the limit from there.
    assert 0 < fit.Rg / rg - 1 < 0.019 * (limit / 1.3) ** 2
    i0 = pk.saxs(particle, [0.0], scattering="constant").intensity[0]
    assert i0 == pytest.approx(fit.I0, rel=0.003 * (limit / 1.3) ** 4)
    assert fit.qmax * fit.Rg <= limit < (fit.qmax + Q_SMALL[1] - Q_SMALL[0]) * fit.Rg
    assert fit.points == (fit.qmax >= Q_SMALL).sum()
    assert f"{fit.Rg:.3f} ±" in str(fit)


def test_solid_sphere() -> None:
    # Sphere of diameter D: Rg = √(3/5)·D/2; a lattice of atoms in it is as large to a fraction of a bond.
    fit = pk.patterns.guinier(Q_SMALL, pk.saxs(ball(60.0), Q_SMALL).intensity, limit=0.3)
    assert fit.Rg == pytest.approx(math.sqrt(3 / 5) * 30, rel=0.02)


def test_guinier_of_guiniers_law_is_exact() -> None:
    fit = pk.patterns.guinier(Q_SMALL, 7.0 * np.exp(-((11.0 * Q_SMALL) ** 2) / 3))
    assert fit.Rg == pytest.approx(11, rel=1e-10)
    assert abs(fit.I0 - 7) < 1e-11
    assert fit.dRg < 1e-9
    assert fit.qmax * 11 == pytest.approx(1.3, rel=0.003)


@pytest.mark.parametrize("known", [True, False])
def test_errors_of_guinier_are_those_of_repeated_noise(known: bool) -> None:
    Q = np.linspace(0.005, 0.2, 150)
    exact = 5000 * np.exp(-((11.0 * Q) ** 2) / 3)
    error = 0.01 * exact  # even in ln I, so that both kinds of errors hold
    rng = np.random.default_rng(4)
    fits = [pk.patterns.guinier(Q, exact + rng.normal(0, error), error if known else None) for _ in range(400)]
    z = np.array([(fit.Rg - 11) / fit.dRg for fit in fits])
    z0 = np.array([(fit.I0 - 5000) / fit.dI0 for fit in fits])
    # Over 400 samples the standard deviation of N(0, 1) is known to 3.5 %; the range follows Rg a little, and the
    # logarithm of 1 % noise is off by 5e-5.
    for values in (z, z0):
        assert np.std(values) == pytest.approx(1, abs=0.12)
        assert abs(np.mean(values)) < 0.2


def test_a_mixture_reads_the_mean_weighted_with_i0() -> None:
    small, large = ball(16.0), ball(40.0)
    Q = np.linspace(0.0005, 0.03, 200)
    parts = [pk.saxs(p, Q, scattering="constant") for p in (small, large)]
    mixed = pk.patterns.guinier(Q, 100 * parts[0].intensity + parts[1].intensity, limit=0.1)
    i0 = np.array([100, 1]) * np.array([p.intensity[0] for p in parts])
    rg2 = np.array([pk.patterns.guinier(p.Q, p.intensity, limit=0.1).Rg ** 2 for p in parts])
    # Up to Q·Rg = 0.1 what is left of the next terms is 1e-3.
    assert mixed.Rg**2 == pytest.approx(i0 @ rg2 / i0.sum(), rel=2e-3)


def test_guinier_takes_its_own_range() -> None:
    # Data far beyond the limit, and points too noisy to start from the first few.
    I = pk.saxs(ball(36.0), Q_SMALL).intensity
    rng = np.random.default_rng(1)
    noisy = I * (1 + rng.normal(0, 0.03, I.size))
    assert pk.patterns.guinier(Q_SMALL, noisy).Rg == pytest.approx(pk.patterns.guinier(Q_SMALL, I).Rg, rel=0.02)
    from_zero = pk.patterns.guinier(np.concatenate([[0.0], Q_SMALL]), np.concatenate([[I[0]], I]))
    assert from_zero.qmin == Q_SMALL[0]


@pytest.mark.parametrize(
    ("Q", "I", "words"),
    [
        ([0.1, 0.2, 0.3], [1, 2, 3], "does not fall"),
        ([0.1, 0.2, 0.3, 0.4], [3, 2, -1, 1], "needs I > 0"),
        (np.linspace(0.2, 1, 50), np.exp(-((20 * np.linspace(0.2, 1, 50)) ** 2) / 3), "0 points lie below Q·Rg = 1.3"),
        ([0.1, 0.2, 0.3], [1, 2], "they must match"),
        ([0.3, 0.2], [1, 2], "Q does not increase"),
    ],
)
def test_no_guinier_region(Q, I, words: str) -> None:
    with pytest.raises(pk.PdfkitError) as error:
        pk.patterns.guinier(Q, I)
    assert words in str(error.value)


def test_wrong_errors_of_intensities() -> None:
    I = np.exp(-((11.0 * Q_SMALL) ** 2) / 3)
    with pytest.raises(pk.PdfkitError, match="not positive"):
        pk.patterns.guinier(Q_SMALL, I, 0 * I)
    with pytest.raises(pk.PdfkitError, match="must match"):
        pk.patterns.guinier(Q_SMALL, I, I[1:])


# --- files, figures, command -----------------------------------------------------------------------------------------


def test_files_are_read_back(tmp_path: Path) -> None:
    for pattern, names in (
        (pk.saxs(SMALL), ("Q", "intensity")),
        (pk.powder_pattern(SMALL, np.arange(10.0, 90, 0.5), 0.7), ("two_theta", "Q", "intensity")),
    ):
        path = pk.patterns.write_pattern(tmp_path / "p.dat", pattern)
        found, values, header = pk.io.read_columns(path)
        assert found == names
        for name, column in zip(names, values.T, strict=True):
            np.testing.assert_array_equal(column, getattr(pattern, name))
        assert header["probe"] == "X"
        assert ("wavelength" in header) == (len(names) == 3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PdfkitWarning)
            np.testing.assert_allclose(pk.read_intensity(path).Q, pattern.Q)


def test_small_angles_say_their_unit(tmp_path: Path) -> None:
    Q = np.linspace(0.05, 0.6, 40)
    I = pk.saxs(SMALL, Q).intensity
    said, bare = tmp_path / "said.dat", tmp_path / "bare.dat"
    pk.io.write_columns(said, ["Q(1/A)", "I"], [Q, I])
    pk.io.write_columns(bare, ["q", "I"], [10 * Q, I])
    assert read_small_angles(said).remarks == ()
    with pytest.raises(ReadError, match="Å⁻¹ or nm⁻¹"):
        read_small_angles(bare)
    np.testing.assert_allclose(read_small_angles(bare, "nm-1").Q, Q)


def test_figures(tmp_path: Path) -> None:
    small, wide = pk.saxs(SMALL), pk.waxs(SMALL)
    powder = pk.powder_pattern(SMALL, np.arange(10.0, 90, 0.5), 0.7)
    figure = plot_clusters.pattern(small, path=tmp_path / "s.png")
    assert isinstance(figure, Figure)
    assert (tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG"
    scales = {}
    for name, shown in (("small", [small]), ("wide", [wide, small]), ("powder", [powder, powder])):
        (ax,) = plot_clusters.pattern(*shown).axes
        scales[name] = ax.get_xscale()
        assert len(ax.lines) == len(shown)
        for line, one in zip(ax.lines, shown, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), one.intensity)
        assert "theta" in ax.get_xlabel() if name == "powder" else "Q" in ax.get_xlabel()
        assert len(ax.figure._repr_png_()) > 3000
    assert scales == {"small": "log", "wide": "linear", "powder": "linear"}
    fit = pk.patterns.guinier(small.Q, small.intensity)
    whole, ax = plot_clusters.guinier(small, fit).axes
    assert (whole.get_xscale(), whole.get_yscale()) == ("log", "log")
    np.testing.assert_array_equal(whole.lines[0].get_ydata(), small.intensity)
    x, y = ax.lines[0].get_data()
    np.testing.assert_allclose(y, np.log(small.intensity[: x.size]))
    assert len(ax.figure._repr_png_()) > 3000
    with pytest.raises(pk.PdfkitError, match="nothing to plot"):
        plot_clusters.pattern()
    with pytest.raises(pk.PdfkitError, match=r"use \.png, \.svg, \.pdf"):
        plot_clusters.pattern(small, path=tmp_path / "s.gif")


def test_the_command_writes_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pk.io.write_xyz("ball.xyz", SMALL)
    small = pattern_command("ball.xyz", saxs=True)
    assert small.files == [Path("ball-saxs.dat")]
    assert small.values["guinier"]["Rg"] == pytest.approx(small.values["rg"], rel=0.03)
    assert "Guinier" in small.text
    pattern_command("ball.xyz", out=Path("x.dat"), xrd=True, wavelength=0.7, qmin=1.0, qmax=8.0, fwhm=0.1)
    names, (two_theta, Q, _), _ = _columns("x.dat")
    assert names == ("two_theta", "Q", "intensity")
    assert Q[0] == pytest.approx(1.0, rel=1e-9)
    assert Q[-1] == pytest.approx(8.0, abs=0.01)
    np.testing.assert_allclose(np.diff(two_theta), 0.02, atol=1e-9)
    wide = pattern_command("ball.xyz", out=Path("w.dat"), qmax=10.0, step=0.05, uiso=0.0, probe="N")
    _, (Q, intensity, *_), _ = _columns("w.dat")
    np.testing.assert_allclose(intensity, pk.waxs(SMALL, Q, Uiso=0, probe="N").intensity)
    assert wide.values["guinier"] is None
    assert wide.values["points"] == Q.size
    coarse = pattern_command("ball.xyz", out=Path("c.dat"), saxs=True, qmin=0.8)
    assert coarse.values["guinier"] is None


def _columns(path: str) -> tuple:
    names, values, header = pk.io.read_columns(path)
    return names, values.T, header


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"saxs": True, "xrd": True}, "one at a time"),
        ({"fwhm": 0.1}, "belong to a powder pattern"),
        ({"xrd": True, "wavelength": 0.0}, "wavelength = 0"),
        ({"xrd": True, "qmax": 9.0}, "Q ends at 8.157"),
        ({"xrd": True, "qmin": 5.0, "qmax": 4.0}, "swap or correct"),
        ({"qmin": 5.0, "qmax": 4.0}, "qmin = 5 is not below qmax = 4"),
        ({"qmin": -1.0}, "qmin = -1"),
        ({"step": 1e-9}, "more than 1000000 points"),
        ({"step": 100.0}, "wider than the range"),
        ({"step": 0.0}, "step = 0"),
    ],
)
def test_the_command_refuses(tmp_path: Path, options: dict, words: str) -> None:
    pk.io.write_xyz(tmp_path / "ball.xyz", SMALL)
    with pytest.raises(pk.PdfkitError) as error:
        pattern_command(str(tmp_path / "ball.xyz"), out=tmp_path / "out.dat", **options)
    assert words in str(error.value)
    assert not (tmp_path / "out.dat").exists()
