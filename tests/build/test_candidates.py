"""Clusters of an exact stoichiometry: the search against plain enumeration, and what theory says it must find."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

import pdfkit as pk
from pdfkit.build import _sets
from pdfkit.build._sets import block
from pdfkit.kernels import search
from pdfkit.particles import geometry

FAST = {"effort": 0.1}


# --- the search against enumeration


def connected_sets(where, n: int) -> set[frozenset[int]]:
    """Return every connected set of n anions that holds one of the anions in the middle of a block (naive twin)."""
    # One anion of each bilayer of a period will do: those beside it are the same by translation.
    starts = where.starts[np.unique(where.anions[where.starts, 2], return_index=True)[1]]
    sets = {frozenset([int(a)]) for a in starts}
    for _ in range(n - 1):
        sets = {s | {int(b)} for s in sets for a in s for b in where.next_to[a] if b >= 0 and int(b) not in s}
    return sets


def cations_of(where, members) -> int:
    return len({int(c) for a in members for c in where.cation_of[a]})


def key_of(where, members) -> bytes:
    return _sets.fingerprint(*_sets.atoms_of(where, np.array(sorted(members))))


@pytest.mark.parametrize(("stack", "n"), [("c", 2), ("c", 3), ("c", 4), ("h", 2), ("h", 3), ("hc", 3)])
def test_search_finds_every_set_there_is(stack: str, n: int) -> None:
    where = block(stack, n)
    shapes: dict[int, set[bytes]] = {}
    for members in connected_sets(where, n):
        shapes.setdefault(cations_of(where, members), set()).add(key_of(where, members))
    assert max(shapes) == 3 * n + 1
    for m in range(min(shapes) - 1, max(shapes) + 2):
        found_in, sets, least = _sets.find_sets(stack, n, m, _sets.Search(seed=3, effort=0.2))
        keys = {key_of(found_in, members) for members in sets}
        assert keys == shapes.get(m, set())
        assert least >= min(shapes)
    assert pk.build.fewest_cations(stack, n, effort=0.2) == min(shapes)


def test_keys_in_the_search_tell_the_same_sets_apart_as_fingerprints() -> None:
    where = block("hc", 3)
    both = set()
    for members in connected_sets(where, 3):
        atoms = np.array(sorted(members))
        taken, scratch = np.zeros(len(where.cations), dtype=bool), np.zeros((15, 3), dtype=np.int64)
        key = search.set_key(atoms, where.anions, where.cations, where.cation_of, taken, scratch)
        both.add((int(key), key_of(where, members)))
        assert not taken.any()
    assert len(both) == len({key for key, _ in both}) == len({shape for _, shape in both})


def test_connectedness() -> None:
    where = block("ch", 3)
    rng = np.random.default_rng(5)
    near = [int(a) for a in where.next_to[where.starts[0]]]
    seen = Counter()
    for stamp in range(1, 200):
        members = np.array(rng.choice(near, 4, replace=False))
        chosen = np.zeros(len(where.anions), dtype=bool)
        chosen[members] = True
        left, group = set(members.tolist()), {int(members[0])}
        while grown := {b for a in group for b in where.next_to[a].tolist() if b in left} - group:
            group |= grown
        mark, queue = np.zeros(len(where.anions), dtype=np.int64), np.zeros(4, dtype=np.int64)
        answer = bool(search.is_connected(members, chosen, where.next_to, mark, stamp, queue))
        assert answer == (group == left)
        seen[answer] += 1
    assert min(seen.values()) > 20


@pytest.mark.parametrize("stack", ["c", "h", "hc", "ABCB"])
def test_blocks_are_pieces_of_the_stack(stack: str) -> None:
    where = block(stack, 6)
    step = where.anions[:, None] - where.cations[where.cation_of]
    # 24 d²/a_h²: a bond is √(3/8)·a_h, so 9.
    assert ((step**2) @ [6, 2, 1] == 9).all()
    middle = where.starts[0]
    assert (where.next_to[middle] >= 0).all()
    apart = where.anions[where.next_to[middle]] - where.anions[middle]
    assert ((apart**2) @ [6, 2, 1] == 24).all()  # a_h
    assert len(set(where.next_to[middle].tolist())) == 12


# --- Cd37S20


@pytest.mark.parametrize(
    ("stack", "least", "fewest"),
    [("c", 12, 35), ("cchccc", 34, 35), ("cchhcc", 35, 35), ("hhcchh", 20, 36), ("ch", 1, 37)],
)
def test_complete_sets_of_cd37s20(stack: str, least: int, fewest: int) -> None:
    found = pk.build.candidates("Cd37S20", families=[stack], near=0, limit=None)
    assert len(found) >= least
    assert pk.build.fewest_cations(stack, 20, effort=0.5) == fewest
    for particle in found:
        check(particle, {"Cd": 37, "S": 20}, missing=0)


def test_wurtzite_has_no_complete_cd37s20_and_zinc_blende_no_complete_cd36s20() -> None:
    assert pk.build.fewest_cations("wurtzite", 20) == 38
    with pytest.raises(pk.PdfkitError, match="the fewest cations around 20 connected anions are 38 in h"):
        pk.build.candidates("Cd37S20", families=["wurtzite"], near=0)
    assert len(pk.build.candidates("Cd38S20", families=["wurtzite"], near=0)) >= 13
    with pytest.raises(pk.PdfkitError, match="no Cd36S20 was found"):
        pk.build.candidates("Cd36S20", families=["zincblende"], near=0)


@pytest.fixture(scope="module")
def cd37s20() -> list[pk.Particle]:
    return pk.build.candidates("Cd37S20", limit=60, **FAST)


def test_near_complete_sets_of_cd37s20(cd37s20: list[pk.Particle]) -> None:
    count = Counter((p.meta["family"], p.meta["missing"]) for p in cd37s20)
    assert count["zincblende", 0] == 12
    assert count["wurtzite", 0] == 0
    assert count["faulted", 0] >= 14
    for family, k in itertools.product(("zincblende", "wurtzite", "faulted"), (1, 2)):
        assert count[family, k] >= 50
    for particle in cd37s20:
        check(particle, {"Cd": 37, "S": 20}, missing=particle.meta["missing"])


def check(particle: pk.Particle, composition: dict[str, int], missing: int) -> None:
    """Composition, bonds, connectedness, geometry and lattice of a candidate."""
    assert particle.composition() == composition
    metal = particle.xyz[particle.kind == particle.elements.index("Cd")]
    other = particle.xyz[particle.kind != particle.elements.index("Cd")]
    bonded = cdist(metal, other) < 2.6
    assert bonded.sum() == 4 * len(other) - missing
    assert (bonded.sum(axis=1) >= 1).all()
    assert bonded.sum(axis=0).min() >= 4 - missing
    group, grown = {0}, {0}
    while grown := {int(b) for a in grown for b in np.flatnonzero((bonded[:, bonded[a]]).any(axis=1))} - group:
        group |= grown
    assert len(group) == len(metal)
    assert pdist(particle.xyz).min() == pytest.approx(5.832 * 3**0.5 / 4)
    shift = particle.lattice.positions(particle.sites) - particle.xyz
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-9)


def test_candidates_differ_from_each_other_and_are_sorted(cd37s20: list[pk.Particle]) -> None:
    assert len({p.name for p in cd37s20}) == len(cd37s20)
    assert len(list(pk.build.unique(cd37s20[::2]))) == len(cd37s20[::2])
    for _, group in itertools.groupby(cd37s20, key=lambda p: (p.meta["family"], p.meta["missing"])):
        size = [p.meta["radius_of_gyration"] for p in group]
        assert size == sorted(size)


def test_what_candidates_say_of_themselves_is_what_their_atoms_say(cd37s20: list[pk.Particle]) -> None:
    for particle in cd37s20[::7]:
        bare = pk.Particle(particle.elements, particle.kind, particle.xyz)
        told = pk.build.describe(bare)
        assert told.family == particle.meta["family"]
        assert told.hexagonality == pytest.approx(particle.meta["hexagonality"])
        assert told.radius_of_gyration == pytest.approx(particle.meta["radius_of_gyration"])
        assert told.bond == pytest.approx(5.832 * 3**0.5 / 4)


def test_the_same_seed_gives_the_same_candidates(cd37s20: list[pk.Particle]) -> None:
    _sets.find_sets.cache_clear()
    again = pk.build.candidates("Cd37S20", limit=60, families=["wurtzite"], seed=1, **FAST)
    first = [p for p in cd37s20 if p.meta["family"] == "wurtzite"]
    assert [p.name for p in first] == [p.name for p in again]
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.xyz, two.xyz)
        assert dict(one.meta) == dict(two.meta)


def test_another_seed_finds_the_same_few_complete_sets() -> None:
    one, two = (pk.build.candidates("Cd37S20", families=["cchhcc"], near=0, seed=s) for s in (1, 2))
    assert len(one) == len(two)
    assert len(list(pk.build.unique([*one, *two]))) == len(one)


# --- other formulas


def test_tetrahedra_are_among_the_candidates() -> None:
    for formula, n in (("Cd20S10", 4), ("Cd35S20", 5), ("Cd120S84", 8)):
        found = pk.build.candidates(formula, families=["zincblende"], near=0, effort=0.1)
        assert len(found) == 1
        assert pk.build.same_shape(found[0], pk.build.tetrahedron("CdS_zincblende", n))
        assert found[0].meta["family"] == "zincblende"


@pytest.mark.parametrize(("formula", "n"), [("Cd17S4", 1), ("Cd32S14", 2), ("Cd54S32", 3)])
def test_capped_tetrahedra_are_among_the_candidates(formula: str, n: int) -> None:
    found = pk.build.candidates(formula, families=["zincblende", "capped"], limit=3, near=0, **FAST)
    assert pk.build.same_shape(found[-1], pk.build.capped_tetrahedron("Cd", "S", n))
    assert len(found) == (1 if n == 1 else 4)


@pytest.mark.parametrize("formula", ["Cd56S35", "Cd84S56", "Cd37Se20", "In37P20", "S20Zn37"])
def test_other_formulas(formula: str) -> None:
    found = pk.build.candidates(formula, families=["zincblende"], near=0, limit=2, effort=0.1)
    assert found
    for particle in found:
        wanted = {"Cd56S35": (56, 35), "Cd84S56": (84, 56)}.get(formula, (37, 20))
        counts = particle.composition()
        anion = next(e for e in counts if e in ("S", "Se", "P"))
        cation = next(e for e in counts if e != anion)
        assert (counts[cation], counts[anion]) == wanted
        assert (geometry.coordination_numbers(particle, anion, cation) == 4).all()


def test_cells_and_bonds() -> None:
    ideal = pk.build.candidates("Pb10S4", bond=2.9, families=["zincblende"], near=0, **FAST)[0]
    assert pdist(ideal.xyz).min() == pytest.approx(2.9)
    real = pk.build.candidates("Cd11S4", cell=(4.1348, 3.3745, 0.377), families=["h"], near=0, **FAST)[0]
    bonds = geometry.bond_lengths(real, "Cd", "S").values
    assert sorted(set(np.round(bonds, 4))) == pytest.approx([2.5270, 2.5444], abs=2e-3)
    size = np.linalg.norm(real.xyz - real.xyz.mean(axis=0), axis=1)
    assert real.meta["radius_of_gyration"] == pytest.approx(np.sqrt(np.mean(size**2)), abs=1e-9)  # of nine digits


def test_stackings_by_number_are_all_that_differ() -> None:
    from pdfkit.build.exact import _stacks

    assert _stacks(2) == ("ch",)
    assert _stacks(4) == ("ccch", "cchh", "chch", "chhh")
    assert len(_stacks(6)) == 11  # bracelets of six beads in two colours are 13, two of one colour
    found = pk.build.candidates("Cd37S20", families="faulted", stackings=5, near=0, limit=None, **FAST)
    assert len({p.meta["stacking"] for p in found}) > 2
    assert all(0 < p.meta["hexagonality"] < 1 for p in found)


def test_candidates_come_one_by_one() -> None:
    stream = pk.build.iter_candidates("Cd37S20", **FAST)
    first = list(itertools.islice(stream, 3))
    assert [p.name for p in first] == [f"Cd37S20_zincblende_{k}" for k in (1, 2, 3)]
    only_near = pk.build.candidates("Cd37S20", families=["zincblende"], complete=False, near=1, limit=5, **FAST)
    assert [p.meta["missing"] for p in only_near] == [1] * 5
    assert only_near[0].meta["kind"] == "near-complete, one cation less"


@pytest.mark.parametrize(
    ("formula", "options", "words"),
    [
        (
            "Cd20S20",
            {"families": ["c"], "near": 0},
            "no Cd20S20 was found: the fewest cations around 20 connected anions are 35",
        ),
        ("Cd70S20", {}, "20 connected anions have at most 61 cations"),
        ("Cd37", {}, "formula 'Cd37' is not understood"),
        ("", {}, "formula '' is not understood"),
        ("Cd37S20Se", {}, "is not understood"),
        ("Cd3Cd2", {}, "two different elements"),
        ("Cd0S2", {}, "at least one atom of each"),
        ("Cd3Xx2", {}, "'Xx' is not an element"),
        ("Cd3000S2000", {}, "too large for a search"),
        ("Pb37S20", {}, "no bond length is known for Pb–S: give bond="),
        ("Cd37S20", {"families": ["cubic"]}, "stacking 'cubic' is not understood"),
        ("Cd37S20", {"stackings": ["AAB"]}, "A on A"),
        ("Cd37S20", {"stackings": 40}, "stackings = 40 is outside"),
        ("Cd37S20", {"near": 3}, "near = 3 is outside"),
        ("Cd37S20", {"near": 0, "complete": False}, "complete = False and near = 0 leave no candidates"),
        ("Cd37S20", {"seed": 1.5}, "seed = 1.5 is not whole"),
        ("Cd37S20", {"seed": None}, "seed = None is not a number"),
        ("Cd37S20", {"limit": 0}, "limit = 0 is outside"),
        ("Cd37S20", {"bond": -1}, "bond = -1 is outside"),
        ("Cd37S20", {"cell": (4, 3)}, "a_h and h in Å, and u"),
        ("Cd10S4", {"cell": (4.13, 6.71, 0.375)}, "h is the height of one bilayer (half the c of wurtzite)"),
        ("Cd10S4", {"cell": (0.413, 0.337, 0.375)}, "make bonds of 0.253 Å"),
        ("CdSe2", {}, "no CdSe2 was found: the fewest cations around 2 connected anions are 7"),
        ("Cd10S4", {"families": []}, "families is empty"),
        ("Cd10S4", {"limit": 1.5}, "limit = 1.5 is no whole number"),
        ("Cd37S20Cl34", {}, "ligands are put on by cap"),
        ("Cd37S20", {"effort": 0}, "effort = 0 is outside"),
    ],
)
def test_what_cannot_be_met_is_said_in_one_line(formula: str, options: dict, words: str) -> None:
    with pytest.raises(pk.PdfkitError) as error:
        pk.build.candidates(formula, **{**FAST, **options})
    assert words in str(error.value)
    assert "\n" not in str(error.value)
