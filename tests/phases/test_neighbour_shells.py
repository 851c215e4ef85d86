"""Shells of neighbours: against numbers counted by hand, in crystals, clusters and stacks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.phases.base import Broadening
from pdfkit.phases.shells import shells

# (structure, pair, distance/a, of the second around the first, of the first around the second), by hand.
BY_HAND = (
    ("Ni", ("Ni", "Ni"), math.sqrt(0.5), 12, 12),
    ("Ni", ("Ni", "Ni"), 1.0, 6, 6),
    ("Ni", ("Ni", "Ni"), math.sqrt(1.5), 24, 24),
    ("CdS_zincblende", ("Cd", "S"), math.sqrt(3) / 4, 4, 4),
    ("CdS_zincblende", ("Cd", "Cd"), math.sqrt(0.5), 12, 12),
    ("CdS_zincblende", ("S", "S"), math.sqrt(0.5), 12, 12),
    ("CdS_zincblende", ("Cd", "S"), math.sqrt(11) / 4, 12, 12),
    ("CeO2", ("Ce", "O"), math.sqrt(3) / 4, 8, 4),
    ("CeO2", ("O", "O"), 0.5, 6, 6),
    ("CeO2", ("Ce", "Ce"), math.sqrt(0.5), 12, 12),
    ("CeO2", ("O", "O"), math.sqrt(0.5), 12, 12),
)


@pytest.mark.parametrize(("name", "pair", "ratio", "first", "second"), BY_HAND)
def test_cubic_crystals_as_counted_by_hand(
    name: str, pair: tuple[str, str], ratio: float, first: int, second: int
) -> None:
    crystal = pk.Crystal.from_file(name, name="c")
    a = crystal.structure.cell[0]
    (one,) = [
        shell
        for shell in shells(crystal, 0.0, 1.3 * a)
        if shell.pair == pair and math.isclose(shell.distance, ratio * a, rel_tol=1e-9)
    ]
    assert one.numbers == pytest.approx((first, second), rel=1e-12)
    assert one.sites == ("–".join(pair),)
    U = {site.element: site.U[0] for site in crystal.structure.sites}
    assert one.sigma == pytest.approx(math.sqrt(U[pair[0]] + U[pair[1]]), rel=1e-9)


def test_wurtzite_has_three_and_one_neighbours() -> None:
    crystal = pk.Crystal.from_file("CdSe_wurtzite", name="wz").with_values({"Se.z": 0.39})
    a, _, c = crystal.structure.cell[:3]
    first, second = shells(crystal, 0.0, 3.0)
    z = crystal.structure.sites[1].xyz[2] - crystal.structure.sites[0].xyz[2]
    along, aside = abs(z) * c, math.hypot(a / math.sqrt(3), (0.5 - abs(z)) * c)
    found = {round(one.distance, 6): one.numbers for one in (first, second)}
    assert found == {round(along, 6): pytest.approx((1, 1)), round(aside, 6): pytest.approx((3, 3))}


def test_a_cluster_counts_what_its_atoms_have() -> None:
    particle = pk.build.tetrahedron("CdSe_zincblende", 4)
    cluster = pk.Cluster(particle, "c", Uiso=0.01, expansion=0.01)
    first = shells(cluster, 0.0, 3.0)[0]
    xyz, kinds = 1.01 * particle.xyz, np.array(particle.elements)[particle.kind]
    d = np.linalg.norm(xyz[kinds == "Cd"][:, None] - xyz[kinds == "Se"], axis=-1)
    assert first.numbers == pytest.approx(
        ((d < 3).sum() / (kinds == "Cd").sum(), (d < 3).sum() / (kinds == "Se").sum())
    )
    assert first.distance == pytest.approx(d[d < 3].mean(), abs=1e-9)
    assert first.sites == ()
    # The baseline of a cluster without a Qmin is a peak with a weight, and no pair.
    assert all(one.count > 0 for one in shells(cluster, 0.0, 30.0))


def test_a_stack_of_cubic_layers_is_zinc_blende() -> None:
    crystal = pk.Crystal.from_file("CdS_zincblende", name="zb")
    stack = pk.Stacked("Cd", "S", a_h=crystal.structure.cell[0] / math.sqrt(2), alpha=0.0, name="st")
    for one, other in zip(shells(stack, 0.0, 6.0), shells(crystal, 0.0, 6.0), strict=True):
        assert one.pair == other.pair
        assert one.distance == pytest.approx(other.distance, abs=1e-6)
        assert one.numbers == pytest.approx(other.numbers, rel=1e-9)


def test_errors_of_distances_follow_from_the_cell() -> None:
    crystal = pk.Crystal.from_file("Ni", name="ni")
    names = [q.name for q in crystal.quantities]
    covariance = np.zeros((len(names), len(names)))
    covariance[names.index("a"), names.index("a")] = 0.001**2
    for one in shells(crystal, 0.0, 5.0, covariance=covariance):
        assert one.stderr == pytest.approx(0.001 * one.distance / crystal.structure.cell[0], rel=1e-9)
    covariance[names.index("a"), names.index("a")] = np.nan
    assert math.isnan(shells(crystal, 0.0, 3.0, covariance=covariance)[0].stderr)


def test_the_instrument_widens_what_it_measures() -> None:
    crystal = pk.Crystal.from_file("Ni", name="ni")
    own = Broadening(0.03, 0.0, np.zeros((0, 2)), False)
    plain, wide = shells(crystal, 4.0, 4.5)[0], shells(crystal, 4.0, 4.5, own)[0]
    assert wide.sigma == pytest.approx(plain.sigma * math.sqrt(1 + (0.03 * plain.distance) ** 2), rel=1e-9)


def shaken() -> pk.Crystal:
    """A box of 8 × 8 atoms of NaCl that are all a little away from their places."""
    box = pk.Crystal.from_file("NaCl", name="c").structure.to_ase().repeat((2, 2, 2))
    box.positions += np.random.default_rng(5).normal(0, 0.04, box.positions.shape)
    return pk.Crystal.from_structure(box, name="box")


def test_disordered_neighbours_are_one_shell_with_the_whole_number() -> None:
    first = shells(shaken(), 2.0, 3.4)
    (one,) = first
    assert one.numbers == pytest.approx((6.0, 6.0), rel=1e-12)
    assert 2.5 < one.span[0] < 2.75 < one.distance < 2.9 < one.span[1] < 3.1
    assert one.sigma > math.sqrt(2 * 0.005)
    assert len(one.sites) == 6 * 32
    assert "6 Na around each Cl, 6 Cl around each Na, at 2.8" in one.words
    assert "on average (2." in one.words


def test_sites_with_charges_have_their_labels(tmp_path: Path) -> None:
    head = "data_x\n" + "".join(f"_cell_length_{x} 5.6\n" for x in "abc")
    angles = "".join(f"_cell_angle_{x} 90\n" for x in ("alpha", "beta", "gamma"))
    loop = "loop_\n" + "".join(
        f"_atom_site_{key}\n"
        for key in ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy", "U_iso_or_equiv")
    )
    atoms = "Na1 Na1+ 0 0 0 0.7 0.01\nK1 K1+ 0 0 0 0.3 0.01\nCl1 Cl1- 0.5 0.5 0.5 0.9 0.01\n"
    path = tmp_path / "mixed.cif"
    path.write_text(f"{head}{angles}_space_group_name_H-M_alt 'F m -3 m'\n{loop}{atoms}")
    found = shells(pk.Crystal.from_file(path, name="m"), 2.0, 3.0)
    assert {one.pair: (one.sites, one.numbers) for one in found} == {
        ("Cl", "Na"): (("Cl1–Na1",), pytest.approx((6 * 0.7, 6 * 0.9))),
        ("Cl", "K"): (("Cl1–K1",), pytest.approx((6 * 0.3, 6 * 0.9))),
    }


def test_moved_atoms_of_a_cluster_have_one_shell_too() -> None:
    particle = pk.build.tetrahedron("CdSe_zincblende", 4)
    cluster = pk.Cluster(particle, "c", moves="atoms")
    moved = [q.name for q in cluster.quantities if q.name[-2:] in (".x", ".y", ".z")]
    steps = np.random.default_rng(2).normal(0, 0.02, len(moved))
    start = dict(zip([q.name for q in cluster.quantities], cluster.values, strict=True))
    found = shells(cluster.with_values({one: start[one] + d for one, d in zip(moved, steps, strict=True)}), 3.9, 4.7)
    assert sorted(one.pair for one in found) == [("Cd", "Cd"), ("Se", "Se")]
