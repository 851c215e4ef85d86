"""Very many candidates: the match ranks as fits do, whatever the data; functions, files and failures; journals."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import screens

import pdfkit as pk
from pdfkit.errors import ParameterError, ReadError
from pdfkit.model.noise import simulate
from pdfkit.screening.candidates import shape_key
from pdfkit.screening.linear import Matcher
from pdfkit.screening.matches import Match, Seen, read, written
from pdfkit.screening.run import Best
from pdfkit.screening.settings import ScreenFit
from pdfkit.screening.tasks import Problem, fit_particle

NARROW = {**screens.RANGE, "keep": (20, 3)}
LABS = {
    "x-ray": {},
    "constant": {"scattering": "constant"},
    "neutron": {"probe": "N"},
    "no qmin": {"qmin": 0.0},
    "window": {"window": "lorch"},
    "resolution": {"resolution": 0.004, "qdamp": 0.02},
    "qbroad": {"qbroad": 0.02},
    "high Q": {"qmax": 24.0},
}


def measured(lab: pk.Instrument, particle: pk.Particle | None = None) -> pk.PDF:
    cluster = pk.Cluster(
        screens.true() if particle is None else particle,
        "c",
        Uiso={"Cd": 0.018, "Se": 0.035},
        delta2=2.5,
        expansion=-0.017,
    )
    return simulate(pk.Model(cluster, lab), 1.0, 16.0, 0.05, 0.02, 3)


@pytest.mark.parametrize("lab", LABS)
def test_a_match_is_what_the_fit_will_find(lab: str) -> None:
    """Within 4 % of the Rw of each fit (0.1 % of G where that is small), and the best is the best."""
    known: dict[str, Any] = {"probe": "X", "qmin": 0.8, "qmax": 16.0, **LABS[lab]}
    data = measured(pk.Instrument(**known))
    problem = Problem.of(data, ScreenFit(**screens.RANGE))
    particles = screens.particles()
    found = Matcher(problem).matches(list(particles))
    rw = [fit_particle(one, problem).rw for one in particles]
    assert [match.rw for match in found] == pytest.approx(rw, rel=0.04, abs=2e-3)
    best = found[2]
    assert np.argmin([match.rw for match in found]) == 2
    assert best.expansion == pytest.approx(-0.017, abs=5e-4)
    assert best.u == pytest.approx(math.sqrt(0.018 * 0.035), rel=0.1)


def test_a_match_holds_what_is_not_free() -> None:
    data = screens.measurement()
    given = {"Uiso": 0.03, "delta2": 4.0, "expansion": 0.006}
    fit = ScreenFit(free="scale", start=given, **screens.RANGE)
    problem = Problem.of(data, fit)
    match = Matcher(problem).matches([screens.true()])[0]
    # The curves differ by 0.8 % of G at the same values, and nothing is free to make up for it.
    assert match.rw == pytest.approx(fit_particle(screens.true(), problem).rw, rel=0.08)
    assert (match.expansion, match.u) == pytest.approx((0.006, 0.03))


def test_large_particles_and_three_elements_match_too() -> None:
    small = pk.build.sphere("CdSe_zincblende", 14)
    three = pk.build.core_shell("CdSe_zincblende", {"Se": "S"}, core_diameter=8, diameter=14)
    large = pk.build.sphere("CdSe_zincblende", 50)
    assert len(large) > 2000
    for particle in (small, three, large):
        data = measured(screens.INSTRUMENT, particle)
        problem = Problem.of(data, ScreenFit(**screens.RANGE))
        match = Matcher(problem).matches([particle])[0]
        assert match.rw == pytest.approx(fit_particle(particle, problem).rw, rel=0.1, abs=2e-3)


def test_numbers_of_shapes_know_nothing_of_order_turns_and_mirrors() -> None:
    whole = screens.true()
    order = np.random.default_rng(1).permutation(len(whole))
    again = pk.Particle(whole.elements, whole.kind[order], -whole.xyz[order][:, [2, 0, 1]] + 7.0)
    moved = replace(whole, xyz=whole.xyz + 1e-3 * np.eye(len(whole), 3), lattice=None, sites=None)
    assert shape_key(whole) == shape_key(again) != shape_key(moved)
    assert shape_key(replace(whole, elements=("Cd", "S"))) != shape_key(whole)
    assert shape_key(replace(whole, kind=1 - whole.kind)) != shape_key(whole)


def test_seen_numbers_are_known_after_they_were_sorted_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdfkit.screening.matches._RECENT", 10)
    seen, numbers = Seen(), np.random.default_rng(3).integers(0, 2**62, 57).tolist()
    assert [seen.add(number) for number in numbers] == [True] * 57
    assert [seen.add(number) for number in numbers] == [False] * 57


def test_best_takes_nothing_above_its_limit() -> None:
    best = Best(3)
    for k in range(500):
        best.add(1.0 + 500 - k, k, k)
    assert math.isfinite(best.limit)
    best.add(best.limit + 1.0, 500, 500)
    assert best.items() == [497, 498, 499]


def test_outcomes_come_back_from_the_journal() -> None:
    outcomes = [Match(0.125, 0.0, 0.03125, 7), "it cannot be", Match(0.5, -0.03125, 0.0625, 2**62)]
    assert read(json.loads(json.dumps(written(outcomes)))) == outcomes
    with pytest.raises(ValueError, match=r"padding|base64|buffer"):
        read({"found": "abc", "errors": {}})


# --- screens of many -------------------------------------------------------------------------------------------------


def everything() -> Iterator[Any]:
    """Particles, functions, failures and copies, as a generator."""
    yield from screens.particles()
    yield partial(pk.build.sphere, "CdSe_zincblende", 12.0, centre="anion")
    yield lambda: pk.build.sphere("CdSe_wurtzite", 12.0, centre="anion")
    yield partial(pk.build.sphere, "CdSe_zincblende", -1.0)
    yield partial(int, "no number")
    yield "one", "it was never built"
    yield "alone", pk.Particle.of(["Cd"], [[0, 0, 0]])
    yield replace(screens.true(), xyz=-screens.true().xyz, name="mirrored", lattice=None, sites=None)


def test_functions_are_called_where_the_work_is_done_and_failures_are_rows() -> None:
    found = pk.screen(everything(), screens.measurement(), **NARROW)
    assert found[0].formula == "Cd35Se20"
    assert "mirrored" in found[0].remarks[0]
    said = [row.remarks[0] for row in found.failed]
    assert len(said) == 4
    for words, text in zip(("diameter", "invalid literal", "never built", "one atom"), said, strict=True):
        assert words in text
    assert found.stages[0].entered == 21
    assert found.stages[0].failed == 4
    functions = [row.name for row in found if row.name.startswith(("CdSe_zincblende_sphere_12", "CdSe_wurtzite_sph"))]
    assert len(functions) == 2


@pytest.mark.parametrize("chunk", [1, 7])
def test_the_same_comes_out_of_any_chunks_and_threads(chunk: int) -> None:
    alone = pk.screen(everything(), screens.measurement(), **NARROW)
    with ThreadPoolExecutor(3) as executor:
        found = pk.screen(everything(), screens.measurement(), **NARROW, executor=executor, chunk=chunk)
    assert [row.name for row in found] == [row.name for row in alone]
    assert found.stages == alone.stages
    for one, other in zip(found, alone, strict=True):
        assert one.rw == pytest.approx(other.rw, rel=1e-4, nan_ok=True)


def test_files_are_read_where_the_work_is_done(tmp_path: Path) -> None:
    for one in screens.particles():
        pk.io.write_xyz(tmp_path / f"{one.name}.xyz", one)
    (tmp_path / "zz broken.xyz").write_text("no number\n")
    found = pk.screen(tmp_path, screens.measurement(), **NARROW)
    assert found[0].name == screens.true().name
    assert found[0].family == "file"
    assert [row.name for row in found.failed] == ["zz broken"]


def test_a_journal_of_matches_is_taken_up_and_a_damaged_line_is_named(tmp_path: Path) -> None:
    def again(**more: Any) -> pk.Ranking:
        return pk.screen(everything(), screens.measurement(), **NARROW, chunk=1, out=tmp_path, **more)

    first = again()
    journal = tmp_path / "screen.jsonl"
    text = journal.read_text()
    assert text.count('"match"') == 3
    assert screens.numbers(again()) == screens.numbers(first)
    assert journal.read_text() == text
    journal.write_text(text.replace('"found": "', '"found": "*', 1))
    with pytest.raises(ReadError, match="this line is damaged"):
        again()


def test_settings_that_no_candidate_has_are_refused_at_once() -> None:
    with pytest.raises(ParameterError, match="Zn"):
        pk.screen(everything(), screens.measurement(), **NARROW, free=["scale", "Zn.Uiso"])
