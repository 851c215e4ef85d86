"""Molecules in crystals: who belongs to whom, G(r) against loops over atoms, derivatives, other ways to the same."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import gemmi
import numpy as np
import pytest
from naive import pairs
from test_jacobian import check

import pdfkit as pk
from pdfkit.errors import PdfkitError, RecipeError
from pdfkit.model.serial import dumps, loads
from pdfkit.particles.particle import Particle
from pdfkit.results.report import report
from pdfkit.structure import Site
from pdfkit.structure.mixing import mixed
from pdfkit.structure.symmetry import basis

LAB = pk.Instrument(probe="X", qmax=25.0, scattering="constant")
R = np.arange(0.5, 12.0, 0.01)


def carbon_dioxide() -> pk.Structure:
    """Solid CO2 at 150 K, Pa-3, a = 5.624 Å, C–O 1.155 Å: Simon & Peters, Acta Cryst. B36, 2750 (1980)."""
    operations = list(gemmi.SpaceGroup("P a -3").operations())
    rotations = np.array([one.rot for one in operations]) // operations[0].DEN
    translations = np.array([one.tran for one in operations]) / operations[0].DEN
    x = 1.155 / (5.624 * math.sqrt(3.0))
    sites = [Site("C", "C", (0, 0, 0), U=0.02), Site("O", "O", (x, x, x), U=0.03)]
    return pk.Structure((5.624,) * 3 + (90,) * 3, sites, "P a -3", rotations, translations)


def water() -> pk.Structure:
    """A triclinic cell with a water molecule across its edges, an argon atom, and an anisotropic displacement."""
    sites = [
        Site("O", "O", (0.02, 0.03, 0.98), U=(0.02, 0.03, 0.025, 0.002, 0.0, 0.001)),
        Site("H1", "H", (0.19, 0.05, 0.02), U=0.04),
        Site("H2", "H", (0.95, 0.20, 0.93), 0.9, 0.05),
        Site("Ar", "Ar", (0.5, 0.5, 0.5), U=0.03),
    ]
    return pk.Structure((5.1, 5.6, 5.3, 85.0, 95.0, 100.0), sites)


def crystals() -> list[pk.Crystal]:
    return [
        pk.Crystal(carbon_dioxide(), "m", molecules="find", inner=0.0015, delta2=1.0),
        pk.Crystal(water(), "m", molecules=["O", "H1", "H2"], inner={"O": 0.002, "H": 0.004}, sratio=0.9, rcut=3.5),
        pk.Crystal(water(), "m", molecules="find", inner=0.003, delta1=0.4, shape=pk.Sphere(14.0)),
    ]


def expected(crystal: pk.Crystal, r: np.ndarray, longest: float) -> np.ndarray:
    """Return the peaks of all pairs by loops: those up to `longest` (Å) are of one molecule."""
    out, b = np.zeros(r.size), {e: pk.scattering.scattering_strength(e, "X") for e in crystal.composition()}
    amount = crystal.composition()
    norm = sum(n * b[e] for e, n in amount.items()) ** 2 / sum(amount.values())
    inner = crystal.inner if isinstance(crystal.inner, dict) else dict.fromkeys(amount, crystal.inner)
    for one, other, weight, d, u, across in pairs(crystal, r[-1] + 2.0):
        if d < longest:
            at, s2 = d, inner[one] + inner[other]
        else:
            motion = 1 - crystal.delta1 / d - crystal.delta2 / d**2
            motion *= crystal.sratio**2 if d < crystal.rcut else 1.0
            shift = motion * (across - u) / d
            at, s2 = d + shift, u * motion + shift**2
        peak = np.exp(-((r - at) ** 2) / (2 * s2)) - np.exp(-((r + at) ** 2) / (2 * s2))
        weight *= crystal.shape.gamma0(np.array([at]))[0]
        out += weight * b[one] * b[other] / norm * peak / math.sqrt(2 * math.pi * s2) / at
    rho0 = sum(amount.values()) / crystal.structure.volume()
    return out - 4 * math.pi * r * rho0 * crystal.shape.gamma0(r)


@pytest.mark.parametrize("crystal", crystals())
def test_pairs_of_a_molecule_are_as_wide_as_they_should_be(crystal: pk.Crystal) -> None:
    longest = 2.4 if "C" in crystal.composition() else 1.9
    found = pk.Model(crystal, replace(LAB, qmax=math.inf))(R).G
    wanted = expected(crystal, R, longest)
    assert np.abs(found - wanted).max() < 1e-6 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("crystal", "scattering"), [(crystals()[0], "constant"), *((one, "q-dependent") for one in crystals())]
)
def test_derivatives(crystal: pk.Crystal, scattering: str) -> None:
    instrument = replace(LAB, qmax=19.0, qbroad=0.02, resolution=0.005, qdamp=0.03, scattering=scattering)
    # As whole as its fullest atoms: where two are equally full, that has a kink.
    check(pk.Model(crystal.with_values({"O.occ": 0.9}), instrument))


def test_a_molecule_is_there_as_a_whole() -> None:
    """A guest in half of the cells has all of its bonds: c a pair, not c²; atoms that it may lack as before."""
    cell = (9.0, 8.0, 8.5, 90.0, 100.0, 90.0)
    x = np.array([(0.0, 0.0, -1.16), (0.0, 0.0, 0.0), (0.0, 0.0, 1.16)]) @ np.linalg.inv(basis(cell)) + 0.5
    b = {e: pk.scattering.scattering_strength(e, "N") for e in "CO"}
    strong = np.array([b[e] for e in "OCO"])
    plain, r = replace(LAB, probe="N", qmax=math.inf), np.arange(0.8, 3.0, 0.01)
    for occ in ((0.5, 0.5, 0.5), (1.0, 1.0, 0.4), (0.6, 0.6, 0.3), (1.0, 1.0, 1.0)):
        sites = [Site(f"{e}{k}", e, tuple(x[k]), occ[k], 0.02) for k, e in enumerate("OCO")]
        one = pk.Crystal(pk.Structure(cell, sites), "m", molecules="find", inner=0.002)
        norm = (strong * occ).sum() ** 2 / sum(occ)
        wanted = -4 * math.pi * r * sum(occ) / one.structure.volume()
        for i, j in ((0, 1), (1, 2), (0, 2)):
            d, weight = 1.16 * (j - i), occ[i] * occ[j] / max(occ)
            peak = np.exp(-((r - d) ** 2) / 0.008) / math.sqrt(0.008 * math.pi)
            wanted += 2 * weight * strong[i] * strong[j] / norm * peak / d
        found = pk.Model(one, plain)(r).G
        assert np.abs(found - wanted).max() < 1e-6 * np.abs(wanted).max(), occ
        assert one.remarks == ()
        assert one.heading.endswith("0.5 CO2)") == (occ[2] == 0.5)


def test_orientations_in_one_molecule_are_said() -> None:
    """CO head to tail about an inversion centre: which of its atoms are there together, no list of sites tells."""
    R, t = np.array([np.eye(3), -np.eye(3)], dtype=int), np.zeros((2, 3))
    own = [Site("C", "C", (0.101, 0, 0), 0.5, 0.02), Site("O", "O", (0.087, 0, 0), 0.5, 0.02)]
    crystal = pk.Crystal(pk.Structure((6.0, 5.0, 5.0, 90, 90, 90), own, "P -1", R, t), "m", molecules="find")
    assert "exclude each other (C and O)" in crystal.remarks[-1]
    # A place with two elements is one atom of a molecule: no remark, and as many bonds as with one.
    one, other = (
        pk.Crystal(made, "m", molecules="find") for made in (water(), mixed(water(), {"O": {"O": 0.5, "S": 0.5}}))
    )
    assert other.remarks == ()
    assert one.coordination("H", "O", 0.5, 1.2) == pytest.approx(2 * other.coordination("H", "O", 0.5, 1.2))


def test_curves_do_not_depend_on_how_the_cell_is_listed() -> None:
    """Narrow pairs in molecules need no longer ranges: what is left out beyond rmax was another part of each list."""
    small = pk.Crystal(carbon_dioxide(), "m", molecules="find", inner=0.001)
    for r in (R, R[:150]):
        one, other, far = (
            pk.Model(crystal, replace(LAB, qmax=20.0))(grid).G[: r.size]
            for crystal, grid in (
                (small, r),
                (replace(small, structure=carbon_dioxide().to_p1()), r),
                (small, np.arange(0.5, 40.0, 0.01)),
            )
        )
        assert np.abs(one - other).max() < 1e-12 * np.abs(one).max()
        assert np.abs(one - far).max() < 5e-5 * np.abs(one).max()


def test_bins_of_pairs_know_nothing_of_molecules() -> None:
    small = pk.Crystal(carbon_dioxide(), "m", molecules="find", inner=0.0015)
    large = replace(small, structure=carbon_dioxide().to_p1().supercell((3, 3, 3)))
    assert large.heading.endswith("108 CO2)")
    one, other = (pk.Model(crystal, LAB)(R).G for crystal in (small, large))
    assert np.abs(one - other).max() < 1e-5 * np.abs(one).max()


@pytest.mark.parametrize(
    ("sites", "words"),
    [
        ([("C", 0.094, 0.5), ("O", 0.0935, 0.5)], "1 CO"),  # head to tail about an inversion centre
        ([("C", 0.0, 0.25), ("O", 0.195, 0.25)], "0.25 CO2"),  # a guest in a quarter of the cells
    ],
)
def test_atoms_of_part_of_a_site_are_parts_of_atoms(sites: list[tuple[str, float, float]], words: str) -> None:
    own = [Site(element, element, (x, 0, 0), occ, U=0.02) for element, x, occ in sites]
    R, t = np.array([np.eye(3), -np.eye(3)], dtype=int), np.zeros((2, 3))
    crystal = pk.Crystal(pk.Structure((6.0, 5.0, 5.0, 90, 90, 90), own, "P -1", R, t), "m", molecules="find")
    assert crystal.heading.endswith(f"molecules {words})")


def test_who_belongs_to_whom() -> None:
    crystal = crystals()[0]
    assert crystal.heading == "m (C4 O8, P a -3, bulk, molecules 4 CO2)"
    molecules = crystal._molecules
    assert sorted(np.bincount(molecules.number)) == [3, 3, 3, 3]
    x = crystal.structure.positions() + molecules.cell
    for number in range(4):
        xyz = x[molecules.number == number] @ crystal.structure.basis()
        assert max(math.dist(a, b) for a in xyz for b in xyz) == pytest.approx(2.31)
    two = pk.Crystal(water(), "m", molecules=[["O", "H1"]])
    assert two.heading.endswith("molecules 1 HO)")
    assert crystal.coordination("C", "O", 0.5, 1.5) == pytest.approx(2.0)


def test_delta_may_be_as_large_as_the_molecules_are_apart() -> None:
    limits = {q.name: q.high for q in pk.Crystal(carbon_dioxide(), "m", molecules="find").quantities}
    without = {q.name: q.high for q in pk.Crystal(carbon_dioxide(), "m").quantities}
    assert without["delta2"] < 1.4
    assert limits["delta2"] > 8.0
    with_large = pk.Model(pk.Crystal(carbon_dioxide(), "m", molecules="find", delta2=3.0), LAB)
    with_large(R)  # a warning would be an error here
    with pytest.warns(pk.PdfkitWarning, match="no positive width"):
        pk.Model(pk.Crystal(carbon_dioxide(), "m", molecules="find", delta2=12.0), LAB)(R)


@pytest.mark.parametrize(
    ("structure", "options", "words"),
    [
        (pk.load_structure("CdSe_wurtzite"), {"molecules": "find"}, "gives no molecule"),
        (water(), {"molecules": [["O", "H1"], ["Ar"]]}, "one of the lists of molecules gives no molecule"),
        (water(), {"molecules": "all"}, "molecules = 'all' is not known"),
        (water(), {"molecules": ["O", "C9"]}, "no such element and no such label"),
        (water(), {"molecules": "find", "inner": -0.1}, "inner = -0.1"),
        (water(), {"molecules": "find", "inner": {"O": 0.001}}, "the molecules are of H, O"),
    ],
)
def test_what_is_no_molecule_is_said(structure: pk.Structure, options: dict[str, object], words: str) -> None:
    with pytest.raises(PdfkitError) as caught:
        pk.Crystal(structure, "m", **options)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("crystal", crystals())
def test_molecules_come_back_from_text(crystal: pk.Crystal) -> None:
    again = loads(dumps(crystal))
    assert (again.molecules, again.inner, again.values) == (crystal.molecules, crystal.inner, crystal.values)
    moved = crystal.with_values({crystal._inner[-1].name: 0.007})
    assert moved.values[moved.quantities.index(next(q for q in moved.quantities if q.value == 0.007))] == 0.007
    assert [q.name for q in moved.quantities] == [q.name for q in crystal.quantities]
    older = dumps(pk.Crystal(carbon_dioxide(), "m")).replace(', "molecules": "", "inner": 0.002', "")
    assert "molecules" not in older
    assert loads(older).molecules == ""


def simulated(inner: float = 0.0015) -> pk.PDF:
    crystal = pk.Crystal(carbon_dioxide(), "m", molecules="find", inner=inner)
    return pk.Model(crystal, LAB)(R)


def test_a_fit_finds_both_widths(tmp_path: Path) -> None:
    start = pk.Crystal(carbon_dioxide(), "m", molecules="find", inner=0.004)
    start = start.with_values({"a": 5.65, "C.Uiso": 0.01, "O.Uiso": 0.02})
    result = pk.fit(pk.Model(start, LAB), simulated(), free=["scale", "a", "x", "Uiso"])
    assert result.params["m.inner.Uiso"].value == pytest.approx(0.0015, rel=1e-4)
    assert result.params["m.O.Uiso"].value == pytest.approx(0.03, rel=1e-3)
    assert result.params["m.a"].value == pytest.approx(5.624, rel=1e-5)
    result.save(tmp_path / "fit.h5")
    again = pk.load_result(tmp_path / "fit.h5")
    assert again.model.phases[0].molecules == "find"
    assert report(again) == report(result)
    assert "inner.Uiso" in report(again)
    assert "molecules 4 CO2" in report(again)


RECIPE = """
data = {{file = "x.gr", probe = "X", qmax = 25}}
fit = {{free = ["scale", "a", "inner.Uiso"]}}
[[phase]]
name = "m"
structure = "co2.cif"
{}
"""


def test_recipes_have_molecules(tmp_path: Path) -> None:
    pk.write_cif(tmp_path / "co2.cif", carbon_dioxide())
    pk.write_pdf(tmp_path / "x.gr", simulated())
    path = tmp_path / "fit.toml"
    for text, molecules, inner in (
        ('molecules = "find"', "find", 0.002),
        ('molecules = ["C", "O"]\ninner = 0.003', (("C", "O"),), 0.003),
        ('molecules = [["C", "O"]]\ninner = {C = 0.001, O = 0.002}', (("C", "O"),), {"C": 0.001, "O": 0.002}),
    ):
        path.write_text(RECIPE.format(text), encoding="utf-8")
        model, _ = pk.load_recipe(path).build()
        assert (model.phases[0].molecules, model.phases[0].inner) == (molecules, inner)
    for text, line, words in (
        ("molecules = true", 7, 'give "find", or the labels'),
        ('molecules = "all"', 7, "molecules"),
        ('molecules = "find"\ninner = "wide"', 8, "a number without quotes"),
    ):
        path.write_text(RECIPE.format(text), encoding="utf-8")
        with pytest.raises(RecipeError, match=words) as caught:
            pk.load_recipe(path).build()
        assert caught.value.line == line


def molecule() -> Particle:
    return Particle.of(["O", "C", "O"], [[-1.155, 0.0, 0.0], [0.0, 0.0, 0.0], [1.155, 0.0, 0.0]])


@pytest.mark.parametrize("scattering", ["constant", "q-dependent"])
def test_crystal_less_a_wide_molecule_with_a_sharp_one_is_the_same(scattering: str) -> None:
    """Rademacher et al. 2012, Prill et al. 2015: three phases, the wide molecule taken away by a scale of −1."""
    lab = replace(LAB, scattering=scattering)
    wide = pk.Cluster(molecule(), "wide", Uiso={"C": 0.02, "O": 0.03}, scale=-1.0, baseline="none")
    sharp = pk.Cluster(molecule(), "sharp", Uiso=0.0015, baseline="none")
    three = pk.Model([pk.Crystal(carbon_dioxide(), "m"), wide, sharp], lab)
    one = pk.Model(pk.Crystal(carbon_dioxide(), "m", molecules="find", inner=0.0015), lab)
    far = np.arange(0.5, 30.0, 0.01)  # the sharp cluster asks for ripples from farther away, of 4e-6 before the end
    G = one(far).G[: R.size]
    assert np.abs(three(far).G[: R.size] - G).max() < 1e-6 * np.abs(G).max()
    limits = {q.name: (q.low, q.high) for q in wide.quantities}
    assert limits["scale"] == (-math.inf, 0.0)
    data = pk.PDF(R, G, instrument=lab)
    tied = pk.fit(
        three,
        data,
        free=["m.scale", "m.a", "sharp.C.Uiso", "sharp.O.Uiso"],
        ties={"wide.scale": "-m.scale", "sharp.scale": "m.scale"},
    )
    assert tied.params["sharp.C.Uiso"].value == pytest.approx(0.0015, rel=1e-3)


def test_molecules_in_solution_add_up() -> None:
    """Two clusters, each per atom of its own: scales 0.25 and 0.75 are the shares of atoms where ⟨b⟩ is the same."""
    stretched = 1.1 * np.array([[-1.155, 0.0, 0.0], [0.0, 0.0, 0.0], [1.155, 0.0, 0.0]])
    parts = [
        pk.Cluster(molecule(), "near", Uiso=0.002, scale=0.25, baseline="none"),
        pk.Cluster(Particle.of(["O", "C", "O"], stretched), "far", Uiso=0.002, scale=0.75, baseline="none"),
    ]
    total = pk.Model(parts, LAB)(R).G
    alone = [pk.Model(replace(one, scale=1.0), LAB)(R).G for one in parts]
    assert np.abs(0.25 * alone[0] + 0.75 * alone[1] - total).max() < 1e-9 * np.abs(total).max()
    peaks = parts[0].peaks(np.array(parts[0].values), np.zeros((len(parts[0].values), 0)), _nothing(), 4.0)
    assert peaks.peak[:, 2].sum() == pytest.approx(2.0)  # each atom of three has two neighbours
    result = pk.fit(
        pk.Model([replace(one, scale=1.0) for one in parts], LAB), pk.PDF(R, total, instrument=LAB), free=["scale"]
    )
    shares = [result.fractions[name]["atoms"][0] for name in ("near", "far")]
    assert shares == pytest.approx([0.25, 0.75], abs=1e-6)
    assert all(a < b for a, b in pairwise(shares))


def _nothing() -> pk.phases.base.Broadening:
    return pk.phases.base.Broadening.none(0)


def test_lists_of_molecules_that_share_a_site_are_refused() -> None:
    with pytest.raises(PdfkitError, match="H1 is in two of the lists of molecules"):
        pk.Crystal(water(), "m", molecules=[["O", "H1"], ["H1", "H2"]])


def test_words_that_are_no_molecules_are_refused() -> None:
    with pytest.raises(PdfkitError, match="molecules = 'fnd' is not known: choose one of find"):
        pk.Crystal(water(), "m", molecules="fnd")
    with pytest.raises(PdfkitError, match=r"^molecules name Q, but phase m has no such element"):
        pk.Crystal(water(), "m", molecules=["O", "Q"])
