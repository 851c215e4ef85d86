"""Several elements on one site: the same as in a CIF that lists them, with one position and one U."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import PdfkitError, RecipeError
from pdfkit.model import serial
from pdfkit.recipes.recipe import fit_recipe, load_recipe
from pdfkit.structure import Site

R = np.arange(1.0, 12.0, 0.02)
MIX = {"Se": {"Se": 0.7, "S": 0.3}}
CELL = (4.2985, 4.2985, 7.0152, 90, 90, 120)


def wurtzite(mix=None, **options) -> pk.Crystal:
    return pk.Crystal.from_file("CdSe_wurtzite", name="w", mix=mix, **options)


def curve(phase, probe: str = "N", **options) -> np.ndarray:
    return pk.Model(phase, pk.Instrument(probe=probe, qmax=24.0, **options))(R).G


def listed() -> pk.Structure:
    """The same crystal as a CIF of a mixed crystal lists it."""
    pure = pk.load_structure("CdSe_wurtzite")
    cd, se = pure.sites
    sites = (cd, Site("Se", "Se", se.xyz, 0.7, se.U), Site("S", "S", se.xyz, 0.3, se.U))
    return pk.Structure(pure.cell, sites, pure.spacegroup, pure.rotations, pure.translations)


def test_it_is_the_crystal_that_a_cif_with_both_on_the_place_describes(tmp_path: Path) -> None:
    pk.write_cif(tmp_path / "mixed.cif", listed())
    read = pk.Crystal.from_file(tmp_path / "mixed.cif", name="w")
    mixed = wurtzite(MIX)
    assert mixed.composition() == pytest.approx(read.composition())
    for probe in "NX":
        np.testing.assert_allclose(curve(mixed, probe), curve(read, probe), rtol=0, atol=1e-12)
    back = tmp_path / "back.cif"
    pk.write_cif(back, mixed.structure)
    np.testing.assert_allclose(curve(pk.Crystal.from_file(back, name="w")), curve(read), rtol=0, atol=1e-12)
    again = pk.Crystal.from_file(tmp_path / "mixed.cif", name="w", mix={"Se": {"Se": 0.2, "S": 0.8}})
    np.testing.assert_allclose(curve(again), curve(wurtzite({"Se": {"Se": 0.2, "S": 0.8}})), rtol=0, atol=1e-12)


def test_neutrons_see_an_atom_of_average_strength() -> None:
    # Neutron lengths do not depend on Q: b of the place is 0.7 b(Se) + 0.3 b(S), but pairs of a place with itself.
    b = {el: pk.scattering.scattering_strength(el, "N") for el in ("Cd", "Se", "S")}
    mean = 0.7 * b["Se"] + 0.3 * b["S"]
    model = pk.Model(wurtzite(), pk.Instrument(probe="N", qmax=24.0), strengths={"Se": mean})
    np.testing.assert_allclose(curve(wurtzite(MIX)), model(R).G, rtol=0, atol=1e-10)


def test_position_and_U_are_shared_and_only_occupancies_are_not() -> None:
    mixed = wurtzite(MIX)
    names = [q.name for q in mixed.quantities]
    assert [name for name in names if name.startswith("S.")] == ["S.occ"]
    assert {"Se.z", "Se.Uiso", "Se.occ"} <= set(names)
    moved = mixed.with_values({"Se.z": 0.39, "Se.Uiso": 0.02, "S.occ": 0.25})
    sites = {site.label: site for site in moved.structure.sites}
    assert sites["S"].xyz == sites["Se"].xyz
    assert sites["S"].Uiso == 0.02
    assert (sites["S"].occ, sites["Se"].occ) == (0.25, 0.7)
    again = serial.loads(serial.dumps(moved))
    assert [q.name for q in again.quantities] == names
    np.testing.assert_array_equal(curve(again), curve(moved))


def test_tensors_are_shared() -> None:
    mixed = wurtzite(MIX, anisotropic=["Se"])
    moved = mixed.with_values({"Se.U33": 0.03})
    sites = {site.label: site for site in moved.structure.sites}
    assert sites["S"].U == sites["Se"].U
    assert sites["S"].U[2] == 0.03
    assert not any(q.name.startswith("S.U") for q in mixed.quantities)


def test_derivatives_are_those_of_both_atoms() -> None:
    model = pk.Model(wurtzite(MIX), pk.Instrument(probe="N", qmax=24.0))
    names = list(model.names)
    for name, step in (("w.Se.z", 1e-5), ("w.Se.Uiso", 1e-6), ("w.S.occ", 1e-5)):
        tangents = np.zeros((len(names), 1))
        tangents[names.index(name)] = 1.0
        evaluate = model.evaluator(R)
        _, slope = evaluate(model.values, tangents)
        up, down = (evaluate(model.values + sign * step * tangents[:, 0], tangents)[0] for sign in (1, -1))
        numeric = (up - down) / (2 * step)
        np.testing.assert_allclose(slope[0], numeric, rtol=0, atol=1e-5 * np.abs(numeric).max())


def test_in_a_supercell_atoms_are_independent() -> None:
    cell = wurtzite(MIX).structure.to_p1()
    assert not any(site.shares for site in cell.sites)
    assert len(cell.sites) == 6


def test_all_sites_of_an_element_and_labels_that_are_taken() -> None:
    sites = [Site("As1", "As", (0, 0, 0)), Site("As2", "As", (0.5, 0.5, 0)), Site("P1", "P", (0.5, 0, 0.5))]
    mixed = pk.Crystal.from_structure(
        pk.Structure((6, 6, 6, 90, 90, 90), sites), name="x", mix={"As": {"P": 0.25, "As": 0.75}}
    )
    found = [(site.label, site.element, site.occ, site.shares) for site in mixed.structure.sites]
    assert found == [
        ("As1", "As", 0.75, ""),
        ("P_As1", "P", 0.25, "As1"),
        ("As2", "As", 0.75, ""),
        ("P2", "P", 0.25, "As2"),
        ("P1", "P", 1.0, ""),
    ]


@pytest.mark.parametrize(
    ("mix", "words"),
    [
        ({"Se": {"Se": 0.9, "S": 0.3}}, "puts 1.2 atoms on a site"),
        ({"Te1": {"Te": 0.9}}, "mix names 'Te1': the sites are Cd, Se"),
        ({"Se": {"Se": 0.9, "Sx": 0.1}}, "Sx"),
        ({"Se": {"Se": -0.1, "S": 0.1}}, "give a number from 0 to 1"),
        ({"Se": {"Se": 0.0}}, "puts 0 atoms"),
        ({"Se": 0.5}, "not a table of elements"),
    ],
)
def test_what_cannot_be_is_refused(mix, words: str) -> None:
    with pytest.raises(PdfkitError, match=words):
        wurtzite(mix)


RECIPE = """\
[data]
file = "w.gr"
rmax = 12

[[phase]]
name = "w"
structure = "CdSe_wurtzite"
mix = { "Se" = { Se = 0.5, S = 0.5 } }

[fit]
free = ["scale", "Uiso", "Se.occ"]
ties = {"S.occ" = "1 - Se.occ"}
"""


def test_a_recipe_finds_the_composition_of_a_full_site(tmp_path: Path) -> None:
    model = pk.Model(wurtzite(MIX), pk.Instrument(probe="X", qmax=24.0, qdamp=0.03))
    pk.write_pdf(tmp_path / "w.gr", model(R))
    path = tmp_path / "fit.toml"
    path.write_text(RECIPE)
    result = fit_recipe(load_recipe(path))
    assert result.params["w.Se.occ"].value == pytest.approx(0.7, abs=2e-3)
    assert result.params["w.S.occ"].value == pytest.approx(0.3, abs=2e-3)
    loaded = pk.load_result(result.save(tmp_path / "fit.h5"))
    assert loaded.refit().params["w.Se.occ"].value == pytest.approx(0.7, abs=2e-3)
    cif = pk.read_structure(_cif(result, tmp_path))
    assert [site.label for site in cif.sites] == ["Cd", "Se", "S"]
    path.write_text(RECIPE.replace("{ Se = 0.5, S = 0.5 }", '"S"'))
    with pytest.raises(RecipeError, match=r"line 8: mix is not a table of elements"):
        load_recipe(path)
    path.write_text(RECIPE.replace("S = 0.5", "S = 0.8"))
    with pytest.raises(RecipeError, match=r"line 8: mix of Se puts 1.3 atoms"):
        fit_recipe(load_recipe(path))


def _cif(result: pk.FitResult, folder: Path) -> Path:
    target = folder / "refined.cif"
    target.write_text(result.model.phases[0].files(result.covariance_of(result.model.phases[0]))["cif"])
    return target
