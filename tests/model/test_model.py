"""G(r) of crystals against naive sums, and properties that any correct G(r) has."""

from __future__ import annotations

import math
from dataclasses import replace

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pdfkit as pk
from pdfkit import transforms
from pdfkit.errors import ParameterError
from pdfkit.kernels import peaks as kernels
from pdfkit.model import Convention
from pdfkit.structure import Site
from pdfkit.transforms.sine import WINDOWS

R = np.arange(1, 1201) * 0.01
TRICLINIC = pk.Structure(
    (5.1, 6.2, 5.7, 80.0, 95.0, 103.0),
    (
        Site("Cd", "Cd", (0.1, 0.2, 0.3), U=(0.008,) * 3 + (0.0,) * 3),
        Site("S", "S", (0.55, 0.6, 0.7), occ=0.7, U=(0.010, 0.012, 0.02, 0.001, 0.002, 0.003), isotropic=False),
        Site("Zn", "Zn", (0.4, 0.1, 0.8), occ=0.4, U=(0.011,) * 3 + (0.0,) * 3),
    ),
)
X = {"Cd": 48.0, "S": 16.0, "Zn": 30.0}


def bulk(probe: str = "X", **options: object) -> pk.Instrument:
    return pk.Instrument(probe=probe, qmax=math.inf, **options)  # type: ignore[arg-type]


def crystals() -> list[pk.Crystal]:
    return [
        pk.Crystal.from_file("CdS_zincblende", name="p", delta2=2.0, shape=pk.Sphere(21.0)),
        pk.Crystal.from_file("CdS_wurtzite", name="p", anisotropic=True, delta1=0.4, sratio=0.8, rcut=3.0, scale=0.7),
        pk.Crystal.from_structure(TRICLINIC, name="p", delta2=1.0, shape=pk.shapes.Spheroid(18.0, 1.3)),
    ]


@pytest.mark.parametrize("crystal", crystals(), ids=["zincblende", "wurtzite-aniso", "triclinic"])
@pytest.mark.parametrize("prefactor", ["pair", "grid"])
def test_total_and_partials_equal_the_naive_sum(crystal: pk.Crystal, prefactor: str) -> None:
    instrument = bulk(qdamp=0.03, qbroad=0.02, resolution=0.006)
    model = pk.Model(crystal, instrument, Convention(prefactor=prefactor))
    expected = naive.g_of_r(crystal, R, X, qbroad=0.02, qdamp=0.03, resolution=0.006, prefactor=prefactor)
    parts = model.partials(R)
    largest = max(np.abs(G).max() for G in expected.values())
    for pair, G in expected.items():
        # Peaks end at 7 σ (2e-11 of their height), and resampling is good to 2e-9 of the largest value.
        tolerance = 2e-9 if prefactor == "pair" else 2e-7  # divided by r: the grid resolves 1/r less well near r = 0
        inside = R > 1.0
        np.testing.assert_allclose(parts[pair].G[inside], G[inside], atol=tolerance * largest, rtol=0)


@pytest.mark.parametrize("weights", ["constant", "q-dependent"])
def test_partials_and_phases_add_up(weights: str) -> None:
    zb, wz, tri = crystals()
    phases = [replace(zb, name="zb"), replace(wz, name="wz"), replace(tri, name="tri")]
    model = pk.Model(phases, pk.Instrument(probe="X", qmax=18.0, qdamp=0.04, scattering=weights))
    total = model(R).G
    scale = np.abs(total).max()
    for parts in (model.partials(R), model.phase_curves(R)):
        np.testing.assert_allclose(sum(part.G for part in parts.values()), total, atol=1e-12 * scale, rtol=0)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("qmin", [0.0, 0.9])
def test_cut_equals_transforming_there_and_back(window: str, qmin: float) -> None:
    crystal = pk.Crystal.from_file("CdS_zincblende", name="p", shape=pk.Sphere(15.0))
    out_r = np.linspace(0.7, 20.0, 60)
    # Constant weights, as those of the curve without a cut; weights in Q follow below.
    cut = pk.Model(crystal, pk.Instrument(probe="X", qmin=qmin, qmax=15.0, window=window, scattering="constant"))
    fine = np.arange(0, 3200) * 0.005
    whole = pk.Model(crystal, bulk())(fine).G
    expected = naive.cut(fine, whole, qmin, 15.0, out_r, lambda q: transforms.window(window, q, 15.0))
    # The knee of γ₀ at r = D is no band-limited function: it aliases by 1e-6 of max|G| (see `_grid`).
    np.testing.assert_allclose(cut(out_r).G, expected, atol=2e-6 * np.abs(whole).max(), rtol=0)


def test_q_dependent_weights_act_on_each_partial_in_q_space() -> None:
    crystal = pk.Crystal.from_file("CdS_zincblende", name="p", shape=pk.Sphere(15.0))
    out_r = np.linspace(0.7, 20.0, 40)
    model = pk.Model(crystal, pk.Instrument(probe="X", qmax=15.0, scattering="q-dependent"))
    fine = np.arange(0, 3200) * 0.005
    number = pk.Model(crystal, bulk()).partials(fine, weighted=False)
    from pdfkit.scattering import form_factor

    def f(element: str, q: np.ndarray) -> np.ndarray:
        return form_factor(element, "X", q)

    expected = np.zeros(out_r.size)
    for (a, b), part in number.items():
        share = 0.25 if a == b else 0.5  # c_a c_b (2 − δ_ab)

        def weight(q: np.ndarray, a: str = a, b: str = b) -> np.ndarray:
            return f(a, q) * f(b, q) / (0.5 * f("Cd", q) + 0.5 * f("S", q)) ** 2

        expected += share * naive.cut(fine, part.G, 0.0, 15.0, out_r, weight)
    # The knee of γ₀ at r = D is no band-limited function: it aliases by 1e-6 of max|G| (see `_grid`).
    np.testing.assert_allclose(model(out_r).G, expected, atol=2e-6 * np.abs(expected).max(), rtol=0)


def test_ripples_of_what_lies_beyond_rmax_are_there() -> None:
    # The first 20 Å at Qmax 25, where `_grid.ripple_range` keeps its 1e-4.
    crystal = pk.Crystal.from_file("CdS_zincblende", name="p", delta2=2.0)
    model = pk.Model(crystal, pk.Instrument(probe="X", qmax=25.0, qdamp=0.03))
    near, far = model(np.arange(1, 2001) * 0.01).G, model(np.arange(1, 9001) * 0.01).G[:2000]
    assert np.abs(near - far).max() <= 1e-4 * np.abs(far).max()


@pytest.mark.parametrize("qdamp", [0.0, 0.04])
def test_a_cut_at_qmin_does_not_depend_on_where_r_ends(qdamp: float) -> None:
    # A bulk crystal has nothing below its first Bragg peak (1.93 Å⁻¹): whatever a fade-out puts there is an error.
    crystal = pk.Crystal.from_file("NaCl", name="p")
    model = pk.Model(crystal, pk.Instrument(probe="X", qmin=1.0, qmax=25.0, qdamp=qdamp))
    near, far = model(np.arange(1, 2001) * 0.01).G, model(np.arange(1, 9001) * 0.01).G[:2000]
    assert np.abs(near - far).max() <= 5e-5 * np.abs(far).max()


@pytest.mark.parametrize(("qmax", "qdamp", "bound"), [(25.0, 0.03, 1.5e-4), (19.0, 0.03, 1e-4), (15.0, 0.03, 1e-4)])
def test_ripples_of_what_lies_beyond_rmax(qmax: float, qdamp: float, bound: float) -> None:
    # What the README states for a bulk crystal; at low Qmax only because peaks are followed far beyond the range.
    crystal = pk.Crystal.from_file("CdS_zincblende", name="p", delta2=2.0)
    crystal = crystal.with_values({"Cd.Uiso": 0.008, "S.Uiso": 0.012})
    model = pk.Model(crystal, pk.Instrument(probe="X", qmax=qmax, qdamp=qdamp))
    near, far = model(np.arange(1, 3001) * 0.01).G, model(np.arange(1, 14001) * 0.01).G[:3000]
    assert np.abs(near - far).max() <= bound * np.abs(far).max()


def test_a_particle_smaller_than_the_range_has_no_missing_ripples() -> None:
    crystal = pk.Crystal.from_file("CdS_zincblende", name="p", shape=pk.Sphere(22.0))
    model = pk.Model(crystal, pk.Instrument(probe="X", qmax=15.0))
    near, far = model(np.arange(1, 2501) * 0.01).G, model(np.arange(1, 9001) * 0.01).G[:2500]
    np.testing.assert_allclose(near, far, atol=1e-8 * np.abs(far).max())


def test_any_r_grid_gives_the_same_curve() -> None:
    model = pk.Model(crystals()[0], pk.Instrument(probe="N", qmax=20.0, qdamp=0.02))
    rng = np.random.default_rng(1)
    scattered = np.sort(np.append(rng.uniform(0.5, 12.0, 200), 12.0))
    whole = model(R)
    odd = model(scattered)
    # Two grids through the same band-limited curve: interpolate one of them finely with its own evaluator.
    np.testing.assert_allclose(odd.G, model(np.unique(np.concatenate([R, scattered]))).G[
        np.searchsorted(np.unique(np.concatenate([R, scattered])), scattered)], atol=1e-8)  # fmt: skip
    assert np.abs(np.interp(scattered, R, whole.G) - odd.G)[scattered > 1].max() < 1e-2


def test_slope_at_zero_and_limits() -> None:
    crystal = pk.Crystal.from_file("CdS_zincblende", name="p")
    r = np.linspace(0.01, 1.0, 50)
    G = pk.Model(crystal, bulk())(r).G
    np.testing.assert_allclose(G, -4 * math.pi * r * crystal.structure.number_density(), atol=1e-10)


def test_radial_distribution_integrates_to_coordination_numbers() -> None:
    crystal = pk.Crystal.from_file("Ni", name="ni")
    r = np.arange(1, 700) * 0.005
    rdf = pk.Model(crystal, bulk("N"))(r).rdf(crystal.structure.number_density())
    inside = (r > 2.0) & (r < 3.0)
    # Trapezoids over a Gaussian are exact to rounding; its tails at ±5 σ hold 3e-7.
    assert np.trapezoid(rdf[inside], r[inside]) == pytest.approx(12.0, rel=1e-6)
    assert crystal.coordination("Ni", "Ni", 2.0, 3.0) == pytest.approx(12.0, abs=1e-12)
    assert crystal.coordination("Ni", "Ni", 3.0, 3.6) == pytest.approx(6.0, abs=1e-12)


def test_coordination_of_unlike_atoms() -> None:
    wz = pk.Crystal.from_file("CdS_wurtzite", name="wz")
    assert wz.coordination("Cd", "S", 2.0, 3.0) == pytest.approx(4.0, abs=1e-12)
    assert wz.coordination("S", "S", 3.9, 4.3) == pytest.approx(12.0, abs=1e-12)
    half = pk.Crystal.from_structure(TRICLINIC, name="t")
    inner = half.coordination("Zn", "S", 0.0, 4.0) * 0.4  # n_Zn z_ZnS = n_S z_SZn
    assert inner == pytest.approx(half.coordination("S", "Zn", 0.0, 4.0) * 0.7, rel=1e-12)
    with pytest.raises(pk.PdfkitError, match="has no Te"):
        wz.coordination("Cd", "Te", 0, 3)


@given(st.tuples(*[st.floats(-2, 2)] * 3))
def test_translation_changes_nothing(shift: tuple[float, float, float]) -> None:
    moved = pk.Structure(
        TRICLINIC.cell,
        tuple(replace(s, xyz=tuple(np.add(s.xyz, shift).tolist())) for s in TRICLINIC.sites),
    )
    a, b = (pk.Model(pk.Crystal.from_structure(s, name="p"), bulk())(R).G for s in (TRICLINIC, moved))
    np.testing.assert_allclose(a, b, atol=1e-9 * np.abs(a).max())


def test_relabelling_supercells_and_p1_change_nothing() -> None:
    structure = pk.load_structure("CdS_wurtzite")
    model = pk.Model(pk.Crystal.from_structure(structure, name="p"), pk.Instrument(probe="X", qmax=20.0))
    reference = model(R).G
    shuffled = replace(structure, sites=structure.sites[::-1])
    # The supercell has so many pairs that they go into bins: 1e-6 (see `phases._bins`).
    for other, tolerance in ((shuffled, 1e-12), (structure.to_p1(), 1e-12), (structure.supercell((2, 1, 3)), 1e-6)):
        G = pk.Model(pk.Crystal.from_structure(other, name="p"), model.instrument)(R).G
        np.testing.assert_allclose(G, reference, atol=tolerance * np.abs(reference).max())


def test_two_half_atoms_on_a_site_are_one_atom() -> None:
    whole = pk.Structure((4.0, 4.0, 4.0, 90, 90, 90), (Site("Ni", "Ni", (0, 0, 0)),))
    halves = pk.Structure(
        (4.0, 4.0, 4.0, 90, 90, 90),
        (Site("A", "Ni", (0, 0, 0), occ=0.5), Site("B", "Ni", (0.0, 0, 0.003), occ=0.5)),
    )
    halves = replace(halves, sites=(halves.sites[0], replace(halves.sites[1], xyz=(0.0, 0.0, 0.00251))))
    a, b = (pk.Model(pk.Crystal.from_structure(s, name="p"), bulk())(R[200:]).G for s in (whole, halves))
    # Two sites 0.01 Å apart instead of none: the peaks differ by (0.01/2)²/(2σ²) of their height at most.
    np.testing.assert_allclose(a, b, atol=3e-3 * np.abs(a).max())


def test_isotropic_equals_anisotropic_with_the_same_tensor() -> None:
    structure = pk.load_structure("CdS_wurtzite")
    pair = [pk.Crystal.from_structure(structure, name="p", anisotropic=flag) for flag in (False, True)]
    a, b = (pk.Model(c, bulk(qbroad=0.02))(R).G for c in pair)
    np.testing.assert_allclose(a, b, atol=1e-10 * np.abs(a).max())


def test_binned_pairs_of_a_large_cell_stay_exact_to_1e_6(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    big = pk.load_structure("CdS_zincblende").supercell((3, 3, 3))
    sites = tuple(replace(s, xyz=tuple((np.array(s.xyz) + rng.normal(0, 0.004, 3)).tolist())) for s in big.sites)
    crystal = pk.Crystal.from_structure(replace(big, sites=sites), name="p", delta2=2.0)
    r = np.arange(1, 3001) * 0.01
    binned = pk.Model(crystal, bulk())(r).G
    monkeypatch.setattr("pdfkit.phases._choice.MERGE_ABOVE", math.inf)
    plain = pk.Model(replace(crystal), bulk())(r).G
    assert 0 < np.abs(binned - plain).max() <= 1e-6 * np.abs(plain).max()


@pytest.mark.parametrize("by_pair", [True, False])
def test_sum_peaks_equals_its_twin(by_pair: bool) -> None:
    rng = np.random.default_rng(2)
    peak = np.column_stack([rng.uniform(0.2, 9.0, 60), rng.uniform(0.003, 0.05, 60), rng.normal(size=60)])
    pair = rng.integers(0, 3, 60)
    out = np.zeros((3, 1, 400))
    factor = np.array([0.5, 2.0, -1.0])
    kernels.sum_peaks(peak, np.zeros((60, 0, 3)), pair, factor, np.zeros((0, 3)), 0.025, 9.0, by_pair, False, out)
    expected = naive.deposit(peak, pair, 0.025, 400, 3, by_pair) * factor[:, None]
    # 9 σ leaves 3e-18 of a height; the recursion's rounding is below 1e-13.
    np.testing.assert_allclose(out[:, 0], expected, atol=1e-12 * np.abs(expected).max())


def test_sq_of_a_model_transforms_back_to_its_g() -> None:
    crystal = pk.Crystal.from_file("CdS_zincblende", name="p", shape=pk.Sphere(20.0))
    model = pk.Model(crystal, pk.Instrument(probe="X", qmax=15.0, window="lorch"))
    Q = np.arange(1, 3001) * 0.005
    back = model.sq(Q).to_pdf(R, qmax=15.0, window="lorch")
    expected = model(R).G
    # The sum over Q starts at 0.005 Å⁻¹ and is piecewise linear: 1e-5.
    np.testing.assert_allclose(back.G, expected, atol=2e-5 * np.abs(expected).max())


def test_sq_of_a_particle_keeps_its_largest_distances() -> None:
    crystal = pk.Crystal.from_file("CdS_zincblende", name="p", shape=pk.Sphere(22.0))
    model = pk.Model(crystal, pk.Instrument(probe="X", qmax=15.0))
    r = np.arange(1, 2501) * 0.01
    back = model.sq(np.arange(1, 3001) * 0.005).to_pdf(r)
    # As above; the far end of the particle must be no worse than the rest.
    np.testing.assert_allclose(back.G, model(r).G, atol=4e-5 * np.abs(back.G).max())


def test_pairs_without_width_are_dropped_with_a_word() -> None:
    crystal = pk.Crystal.from_file("CdS_zincblende", name="zb", delta2=7.0)
    with pytest.warns(pk.PdfkitWarning, match=r"zb: Cd–S at r = 2\.525"):
        G = pk.Model(crystal, bulk())(R).G
    below = (R > 2.3) & (R < 2.8)
    np.testing.assert_allclose(G[below], -4 * math.pi * R[below] * crystal.structure.number_density(), atol=1e-10)


def test_every_probe_and_electron_weights() -> None:
    crystal = pk.Crystal.from_file("CdS_zincblende", name="p")
    curves = [pk.Model(crystal, pk.Instrument(probe=p, qmax=20.0))(R).G for p in "XNE"]
    assert all(np.isfinite(G).all() for G in curves)
    assert np.abs(curves[0] - curves[1]).max() > 0.1
    q = pk.Model(crystal, pk.Instrument(probe="E", qmax=20.0, scattering="q-dependent"))(R).G
    assert np.isfinite(q).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"probe": None}, "probe"),
        ({"qmax": None}, "qmax"),
        ({"scattering": "q-dependent", "qmax": math.inf}, "q-dependent"),
        ({"qmin": 1.0, "qmax": math.inf}, "qmin"),
    ],
)
def test_models_that_cannot_be_are_refused(change: dict[str, object], words: str) -> None:
    instrument = pk.Instrument(**{"probe": "X", "qmax": 20.0, **change})  # type: ignore[arg-type]
    with pytest.raises(pk.PdfkitError, match=words):
        pk.Model(pk.Crystal.from_file("Ni", name="ni"), instrument)


def test_with_values_moves_what_symmetry_ties() -> None:
    zb = pk.Crystal.from_file("CdS_zincblende", name="zb").with_values({"a": 6.0, "Cd.Uiso": 0.02})
    assert zb.structure.cell[:3] == (6.0, 6.0, 6.0)
    assert zb.structure.sites[0].Uiso == 0.02
    with pytest.raises(ParameterError, match=r"nearest are"):
        zb.with_values({"b": 6.0})
    fresh = pk.Crystal.from_structure(replace(zb.structure), name="zb")
    np.testing.assert_array_equal(pk.Model(zb, bulk())(R).G, pk.Model(fresh, bulk())(R).G)


def test_phases_from_ase_and_diffpy_objects() -> None:
    structure = pk.load_structure("CdS_zincblende")
    reference = pk.Model(pk.Crystal.from_structure(structure.to_p1(), name="p"), bulk())(R).G
    for live in (structure.to_ase(), structure.to_diffpy()):
        crystal = pk.Crystal.from_structure(live, name="p")
        names = {q.name: q.value for q in crystal.quantities}
        crystal = crystal.with_values({n: 0.01 for n in names if n.endswith("Uiso")})
        other = pk.Crystal.from_structure(structure.to_p1(), name="p")
        other = other.with_values({q.name: 0.01 for q in other.quantities if q.name.endswith("Uiso")})
        np.testing.assert_allclose(
            pk.Model(crystal, bulk())(R).G, pk.Model(other, bulk())(R).G, atol=1e-9 * np.abs(reference).max()
        )


def test_a_small_crystal_is_not_binned(monkeypatch: pytest.MonkeyPatch) -> None:
    nickel = pk.Crystal.from_file("Ni", name="ni")
    curve = pk.Model(nickel, bulk("N"))(R).G
    monkeypatch.setattr("pdfkit.phases._choice.MERGE_ABOVE", math.inf)
    np.testing.assert_array_equal(pk.Model(nickel, bulk("N"))(R).G, curve)
