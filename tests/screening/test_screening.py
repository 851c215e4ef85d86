"""Screening from first principles: the true candidate is found, and what cannot be told apart is said to be so."""

from __future__ import annotations

import csv
import inspect
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import screens
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import pdfkit as pk
from pdfkit.cli import screening
from pdfkit.data.covariance import Covariance
from pdfkit.errors import ParameterError, ReadError, StructureError
from pdfkit.plot import clusters
from pdfkit.screening import Composition, Limits, Progress, ScreenFit, Work
from pdfkit.screening.rows import Stage, evidence_of
from pdfkit.screening.run import Best
from pdfkit.screening.settings import OPTIONS
from pdfkit.screening.study import noise_source
from pdfkit.screening.tasks import Problem, memory_needed

CD35 = "Cd35Se20_tetrahedron"


@pytest.fixture(scope="module")
def data() -> pk.PDF:
    return screens.measurement()


@pytest.fixture(scope="module")
def ranking(data: pk.PDF) -> pk.Ranking:
    return pk.screen(screens.particles(), data, **screens.RANGE, mixtures=2, null="CdSe_wurtzite")


@pytest.fixture(scope="module")
def rigid(data: pk.PDF) -> pk.Ranking:
    return pk.screen(screens.particles(), data, **screens.RANGE, mixtures=2, displacement="none")


# --- who wins --------------------------------------------------------------------------------------------------------


def test_the_true_candidate_comes_first_with_its_parameters(ranking: pk.Ranking) -> None:
    best = ranking[0]
    assert best.name == screens.true().name
    assert best.converged
    assert best.kind == "candidate"
    assert ranking.indistinguishable == (best,)
    for name, true in screens.TRUE.items():
        value, error = best.values[name]
        assert abs(value - true) < 4 * error, name
    # Nothing but noise is left: χ² over independent residuals is what the noise makes it.
    assert best.reduced_chi2 == pytest.approx(0.02**2, rel=0.4)


def test_rows_hold_what_a_fit_of_the_candidate_gives(ranking: pk.Ranking, data: pk.PDF) -> None:
    for row in ranking.best(3, kind="candidate"):
        result = ranking.result(row.name)
        assert (result.rw, result.chi2, result.nfev, len(result.free)) == (row.rw, row.chi2, row.nfev, row.n_free)
        assert result.params["c.expansion"].value == row.values["expansion"][0]
    by_hand = pk.Cluster(screens.true(), "c", Uiso=0.03, delta2=4.4)
    free = ["scale", "expansion", "Uiso", "delta2"]
    # A screen measures all candidates by one noise, equal at all Q.
    how = pk.FitSettings(noise="given")
    direct = pk.fit(pk.Model(by_hand, data.instrument), data, **screens.RANGE, free=free, settings=how)
    # Another start, the same minimum: two fits stop within their tolerance of it.
    assert direct.rw == pytest.approx(ranking[0].rw, rel=1e-6)


def test_a_closer_look_at_the_best_says_the_same(rigid: pk.Ranking) -> None:
    """But for the number of pairs that a ranking takes off mixtures: ln of (n − 1)/2."""
    pairs = math.log((sum(row.stage == "fit" and row.kind != "mixture" for row in rigid) - 1) / 2)
    found, rows = rigid.compare(3), rigid.best(3)
    assert found.names == tuple(row.name for row in rows)
    assert [one.rw for one in found.results] == [row.rw for row in rows]
    assert found.delta == pytest.approx([row.delta - pairs * (row.kind == "mixture") for row in rows], abs=0.6)
    assert max(found.errors) <= 0.5
    assert {prior.name.rpartition(".")[2] for prior in found.priors[0]} >= {"scale", "expansion", "Uiso"}


def laplace_by_hand(result: pk.FitResult, noise: str) -> float:
    """Laplace's integral of a fit without parameters near a bound, from its report alone."""
    n, k = result.n_independent, len(result.free)
    chi2 = result.chi2 * n / (result.n_points if not result.whitened else n)
    size2 = chi2 / n if noise == "misfit" else 1.0
    unit = chi2 / (n - k) if result.errors_from == "misfit" else 1.0
    covariance = result.covariance * size2 / unit
    params = [result.params[name] for name in result.free]
    widths = [2 * p.value if math.isinf(p.max) else p.max - p.min for p in params]  # the only one is the scale
    lnl = -0.5 * n * math.log(chi2 / n) if noise == "misfit" else -0.5 * chi2
    size = 0.5 * k * math.log(2 * math.pi) + 0.5 * float(np.linalg.slogdet(covariance)[1])
    return lnl + size - sum(map(math.log, widths))


def test_evidence_is_the_formula_by_hand(rigid: pk.Ranking) -> None:
    assert rigid.noise == "misfit"
    rows = [row for row in rigid if row.stage == "fit"]
    order = [row.lnz for row in rows]
    assert order == sorted(order, reverse=True)
    np.testing.assert_allclose([row.delta for row in rows], max(order) - np.array(order), atol=1e-9)
    # The ridge that holds what data do not determine is worth less than 1e-3.
    assert rows[0].lnz == pytest.approx(laplace_by_hand(rigid.result(rows[0].name), "misfit"), abs=2e-3)


def test_evidence_with_known_noise_is_the_formula_by_hand() -> None:
    found = pk.screen(screens.particles()[:3], screens.measurement(dG=True), **screens.RANGE, displacement="none")
    assert found.noise == "known"
    assert found[0].lnz == pytest.approx(laplace_by_hand(found.result(0), "known"), abs=2e-3)


def test_a_mixture_is_one_of_many_pairs(ranking: pk.Ranking) -> None:
    singles = [row for row in ranking if row.stage == "fit" and row.kind != "mixture"]
    mixture = ranking.best(1, kind="mixture")[0]
    gain = evidence_of(replace(mixture, kind="candidate"), "misfit") - evidence_of(mixture, "misfit", len(singles))
    assert gain == pytest.approx(math.log((len(singles) - 1) / 2), abs=1e-9)


def test_noise_counts_as_known_only_while_something_fits_within_it() -> None:
    honest = screens.measurement(dG=True)
    assert pk.screen(screens.particles()[:3], honest, **screens.RANGE).noise == "known"
    boastful = replace(honest, dG=honest.dG / 5)
    found = pk.screen(screens.particles()[:3], boastful, **screens.RANGE)
    assert found.noise == "misfit"
    times = math.sqrt(found[0].reduced_chi2)
    assert f"the best misses them {times:.3g} times over" in " ".join(found.table().split())


def test_errors_that_are_far_too_large_are_said_to_hide_differences() -> None:
    honest = screens.measurement(dG=True)
    found = pk.screen(screens.particles()[:3], replace(honest, dG=honest.dG * 1000), **screens.RANGE)
    assert found.noise == "known"
    assert len(found.indistinguishable) == 3
    assert "they look too large, and candidates that differ are then taken for equal" in " ".join(found.table().split())
    assert "too large" not in pk.screen(screens.particles()[:3], honest, **screens.RANGE).table()


def test_copies_that_are_only_turned_or_mirrored_are_one_row_that_names_them(data: pk.PDF) -> None:
    whole = screens.true()
    turns = Rotation.random(3, rng=2).as_matrix()
    copies = [
        replace(whole, xyz=whole.xyz @ turn, name=f"turned {k}", lattice=None, sites=None)
        for k, turn in enumerate(turns)
    ]
    mirror = replace(whole, xyz=-whole.xyz, name="mirrored", lattice=None, sites=None)
    found = pk.screen([*screens.particles(), *copies, mirror], data, **screens.RANGE)
    assert [row.name for row in found.indistinguishable] == [whole.name]
    assert found[0].remarks[0].endswith("(the same atoms, or mirrored): turned 0, turned 1, turned 2, mirrored")
    assert len(found) == len(screens.particles())


def test_the_same_atoms_are_one_row_that_names_the_others(data: pk.PDF) -> None:
    whole = screens.true()
    found = pk.screen([whole, replace(whole, name="again"), whole], data, **screens.RANGE)
    assert len(found) == 1
    assert found[0].remarks[0].endswith(f": again, {whole.name} (2)")


def test_one_cluster_at_two_sizes_is_one_row_where_expansion_is_free(data: pk.PDF, tmp_path: Path) -> None:
    whole = screens.true()
    larger = replace(whole, xyz=1.03 * whole.xyz, name="larger", lattice=None, sites=None)
    turned = replace(larger, xyz=-larger.xyz, name="turned")
    (tmp_path / "file.xyz").write_text(
        "\n".join(
            [
                str(len(whole)),
                "",
                *(f"{e} {x:.3f} {y:.3f} {z:.3f}" for e, (x, y, z) in zip(whole.symbols, 1.01 * whole.xyz, strict=True)),
            ]
        )
    )
    bent = replace(larger, xyz=larger.xyz + 0.02 * np.eye(len(whole), 3), name="bent")
    given = [whole, larger, turned, tmp_path / "file.xyz", bent]
    found = pk.screen(given, data, **screens.RANGE)
    assert {row.name for row in found} == {whole.name, "bent"}  # level with the file, and first
    kept = found[whole.name]
    assert kept.remarks[0].endswith("(but for one factor, and expansion is free): larger, turned, file")
    assert found.stages[-1].kept == 2
    assert "4 entered, 2 kept, 2 the same at another size" in found.table()
    assert set(found.particles) == {row.key for row in found}
    assert kept.probability + found["bent"].probability == pytest.approx(1.0)
    # Another order, and one size from which the data are too far: the best of them is the row.
    far = replace(whole, xyz=1.09 * whole.xyz, name="far", lattice=None, sites=None)
    assert [row.name for row in pk.screen([far, whole], data, **screens.RANGE)] == [whole.name]


def test_sizes_that_expansion_cannot_bridge_stay_apart(data: pk.PDF) -> None:
    whole = screens.true()
    larger = replace(whole, xyz=1.03 * whole.xyz, name="larger", lattice=None, sites=None)
    fixed = {**screens.RANGE, "free": ("scale", "Uiso", "delta2")}
    assert len(pk.screen([whole, larger], data, **fixed)) == 2
    narrow = {**screens.RANGE, "bounds": {"expansion": (-0.01, 0.01)}}
    assert len(pk.screen([whole, larger], data, **narrow)) == 2


def test_isotopes_are_the_same_candidate_but_for_neutrons(data: pk.PDF) -> None:
    whole = screens.true()
    labelled = replace(whole, elements=("114-Cd", *whole.elements[1:]), name="labelled")
    found = pk.screen([whole, labelled], data, **screens.RANGE)
    assert [row.name for row in found] == [whole.name]
    assert found[0].remarks[0].endswith(": labelled")
    many = pk.screen([labelled, *screens.particles()], data, **screens.RANGE, keep=(3, 2))
    assert many[0].remarks[0].endswith(f": {whole.name}")
    neutrons = replace(data, instrument=replace(data.instrument, probe="N"))
    assert len(pk.screen([whole, labelled], neutrons, **screens.RANGE)) == 2


def test_other_elements_at_the_same_places_are_another_candidate(data: pk.PDF) -> None:
    whole = screens.true()
    swapped = replace(whole, kind=1 - whole.kind, name="swapped")
    sulfide = replace(whole, elements=("Cd", "S"), name="sulfide")
    assert len(pk.screen([whole, swapped, sulfide], data, **screens.RANGE)) == 3


def test_the_range_of_expansion_is_searched_before_the_fit(data: pk.PDF) -> None:
    """A candidate built 3 % too large would lock on to the wrong peaks from where it stands."""
    whole = screens.true()
    large = replace(whole, xyz=1.03 * whole.xyz, lattice=None, sites=None)
    found = pk.screen([large], data, **screens.RANGE)[0]
    assert (1 + found.values["expansion"][0]) * 1.03 == pytest.approx(1.006, abs=1e-3)
    assert found.rw == pytest.approx(pk.screen([whole], data, **screens.RANGE)[0].rw, rel=1e-5)


# --- the funnel ------------------------------------------------------------------------------------------------------


def test_the_funnel_keeps_the_winner_and_says_what_it_left_out(data: pk.PDF) -> None:
    # With displacements ln Z is beside the best of all that were fitted at every size, so it knows the others.
    rigid = {**screens.RANGE, "displacement": "none"}
    many = [*screens.shaken(40), *screens.particles()]
    whole = pk.screen(many, data, **rigid)
    narrow = pk.screen(iter(many), data, **rigid, keep=(20, 6))
    assert [stage.name for stage in whole.stages] == ["fit"]
    fitted = narrow.stages[1].entered
    assert narrow.stages == (Stage("match", 54, 0, fitted), Stage("fit", fitted, 0, fitted))
    assert 6 <= fitted < 20
    # The evidence of one row does not know how many others there are; remarks name copies.
    # All is the same but the probability, which is among those that were fitted.
    assert replace(narrow[0], probability=whole[0].probability) == whole[0]
    assert [row.stage for row in narrow] == ["fit"] * fitted + ["match"] * (20 - fitted)
    assert [row.name for row in narrow.rows[:6]] == [row.name for row in whole.rows[:6]]
    matched = narrow.rows[fitted:]
    assert [row.rw for row in matched] == sorted(row.rw for row in matched)
    assert "54 entered" in narrow.table()


@given(st.lists(st.sampled_from([0.1, 0.2, 0.25, 0.3, 0.7, 1.0]), max_size=60), st.integers(1, 12))
def test_best_keeps_the_smallest_and_all_that_are_level(figures: list[float], count: int) -> None:
    best = Best(count)
    for k, figure in enumerate(figures):
        best.add(figure, k, k)
    limit = sorted(figures)[count - 1] if len(figures) > count else math.inf
    assert best.items() == [k for k, figure in enumerate(figures) if figure <= limit]


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_bad_candidates_are_rows_that_say_why(data: pk.PDF, tmp_path: Path) -> None:
    good = screens.true()
    broken = tmp_path / "broken.xyz"
    broken.write_text("3\n\nCd 0 0 0\n")
    bad = [
        pk.Particle.of(["Cd"], [[0, 0, 0]], name="lonely"),
        pk.Particle.of(["Cd", "Se"], [[0, 0, 0], [0, 0, 0.1]], name="crushed"),
        ("never made", "no set of this composition"),
        ("unknown", StructureError("element 'Xx' is not known")),
        broken,
        tmp_path / "missing.xyz",
        "no such cluster",
        3.5,
    ]
    found = pk.screen([*bad, good], data, **screens.RANGE)
    assert found[0].name == good.name
    said = {row.name: row.remarks[0] for row in found.failed}
    assert len(said) == len(bad)
    assert "at least two" in said["lonely"]
    assert "0.100 Å apart" in said["crushed"]
    assert said["never made"] == "no set of this composition"
    assert "Xx" in said["unknown"]
    assert "cut short" in said["broken"]
    assert "missing" in said["missing"]
    assert "no such cluster" in said["no such cluster"]
    assert "builtins.float is not a particle" in said["candidate 8"]
    assert all("\n" not in words for words in said.values())


def test_a_candidate_beyond_the_memory_plan_says_what_it_needs(data: pk.PDF) -> None:
    small, large = screens.particles()[0], screens.true()
    limit = 0.5 * (memory_needed(small, 6) + memory_needed(large, 6))
    found = pk.screen([small, large], data, **screens.RANGE, memory=limit)
    assert found[small.name].stage == "fit"
    assert "GB" in found[large.name].remarks[0]
    assert "memory=" in found[large.name].remarks[0]


def test_an_iterator_may_fail_and_go_on(data: pk.PDF) -> None:
    class Source:
        def __init__(self) -> None:
            self.left = [
                *screens.particles()[:2],
                StructureError("this one cannot be built"),
                screens.particles()[2],
            ]

        def __iter__(self) -> Source:
            return self

        def __next__(self) -> pk.Particle:
            if not self.left:
                raise StopIteration
            item = self.left.pop(0)
            if isinstance(item, Exception):
                raise item
            return item

    found = pk.screen(Source(), data, **screens.RANGE)
    assert len(found.best(10)) == 3
    assert found.failed[0].remarks == ("this one cannot be built",)


def test_a_fit_that_does_not_converge_is_ranked_and_marked(data: pk.PDF) -> None:
    found = pk.screen(screens.particles()[:2], data, **screens.RANGE, max_nfev=2)
    assert not found[0].converged
    assert any("2 evaluations" in remark for row in found for remark in row.remarks)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"free": ["scale", "Uisoo"]}, "'Uisoo'"),
        ({"free": "scales"}, "'scales'"),
        ({"free": []}, "free is empty"),
        ({"start": {"delta3": 1.0}}, "'delta3'"),
        ({"rmin": 5.0, "rmax": 5.3}, "independent points"),
        ({"rmin": 50.0}, "no data above 50"),
        ({"keep": (3, 5)}, "more cannot be fitted"),
        ({"keep": 5}, "two numbers"),
        ({"chunk": 0}, "chunk = 0"),
        ({"mixtures": -1}, "mixtures = -1"),
        ({"threshold": 0.0}, "threshold"),
        ({"workers": 0}, "workers = 0"),
        ({"executor": 3}, "concurrent.futures"),
        ({"ratio": (3.0, 1.0)}, "lowest and the highest"),
        ({"baseline": "bulk"}, "baseline"),
        ({"errors": "none"}, "errors"),
        ({"null": "no such crystal"}, "no such crystal"),
        ({"weights": "none"}, "write use_errors=True"),
        ({"rmn": 2.0}, "'rmn' is not an option here: the nearest are rmin"),
        ({"fit": 3}, r"give a pdfkit.screening.ScreenFit"),
        ({"use_errors": "auto"}, "use_errors = 'auto' is not known: give True or False"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(data: pk.PDF, options: dict[str, object], words: str) -> None:
    with pytest.raises(pk.PdfkitError, match=words.replace("(", r"\(")) as error:
        pk.screen(screens.particles()[:2], data, **options)
    known = {"keep", "chunk", "mixtures", "threshold", "workers", "ratio", "errors", "fit", "use_errors", "rmn"}
    (name,) = list(options)[:1]
    assert name not in known or error.value.key == name


def test_the_table_says_what_it_marks(ranking: pk.Ranking) -> None:
    head = " ".join(ranking.table().split("\n\n")[0].split())
    assert head.startswith("15 candidates against simulated, r = 1.8 to 14 Å; 15 were fitted.")
    assert "The size of the noise is taken from the best fit" in head
    assert head.endswith("* marks the best and all within 3 of it in ln Z: there is no other.")


def test_groups_and_names_of_options_mean_the_same(data: pk.PDF) -> None:
    few = screens.particles()[1:4]
    named = pk.screen(few, data, **screens.RANGE, free=["scale", "Uiso"], threshold=2, ratio=(1.7, 1.8), chunk=2)
    whole = pk.screen(
        few,
        data,
        fit=ScreenFit(["scale", "Uiso"], **screens.RANGE),
        limits=Limits(threshold=2),
        composition=Composition(ratio=(1.7, 1.8)),
        work=Work(chunk=2),
    )
    assert screens.numbers(whole) == screens.numbers(named)
    assert (whole.settings, whole.threshold) == (named.settings, named.threshold)
    # An option by name goes before the same in its group.
    assert pk.screen(few, data, fit=whole.settings, rmax=12).settings == replace(whole.settings, rmax=12)


def test_help_lists_every_option_once() -> None:
    named = list(inspect.signature(pk.screen).parameters)
    assert len(named) == len(set(named))
    assert set(OPTIONS) < set(named)
    assert set(Work.__dataclass_fields__) < set(inspect.signature(pk.confusion).parameters)
    groups = (ScreenFit, Limits, Composition, Work)
    for group in groups:
        for option in group.__dataclass_fields__:
            assert re.search(rf"\b{option}\b", str(group.__doc__)), f"{group.__name__} does not tell {option}"


def test_no_candidates_at_all(data: pk.PDF, tmp_path: Path) -> None:
    with pytest.raises(pk.PdfkitError, match="there are no candidates"):
        pk.screen([], data)
    with pytest.raises(ReadError, match="no candidates in this folder"):
        pk.screen(tmp_path, data)
    with pytest.raises(ReadError, match="no such file or folder"):
        pk.screen(tmp_path / "nowhere", data)
    with pytest.raises(pk.PdfkitError, match="probe"):
        pk.screen(screens.particles()[:1], replace(data, instrument=pk.Instrument(qmax=15)))


# --- beside the candidates: composition, null model, mixtures --------------------------------------------------------


def test_composition_is_checked_against_what_was_measured(data: pk.PDF) -> None:
    whole = screens.true()
    with pytest.raises(pk.errors.ParameterError, match="in kDa, give 5160"):
        pk.screen(screens.particles(), data, mass=5.16)
    found = pk.screen(screens.particles(), data, **screens.RANGE, ratio=(1.7, 1.8), mass=2 * whole.mass, inorganic=0.5)
    row = found[CD35]
    assert (row.ratio, row.ratio_fits, row.mass_fits) == (35 / 20, True, True)
    assert row.mass == pytest.approx(35 * 112.41 + 20 * 78.97, rel=1e-4)
    assert {one.name for one in found if one.ratio_fits} == {CD35}
    named = pk.screen([whole], data, **screens.RANGE, ratio=(0.5, 0.6), ratio_of=("Se", "Cd"))
    assert (named[0].ratio, named[0].ratio_fits, named[0].mass_fits) == (20 / 35, True, None)


def test_the_null_model_is_a_sphere_of_the_same_size(ranking: pk.Ranking) -> None:
    null = next(row for row in ranking if row.kind == "null")
    assert null.name == "null: sphere of CdSe_wurtzite"
    assert abs(null.atoms - ranking[0].atoms) <= 3
    assert null.delta > 10
    assert ranking.particle(null.name).formula == null.formula


def test_a_null_model_may_be_a_particle_or_made_by_a_function(data: pk.PDF) -> None:
    asked = []

    def make(atoms: int) -> pk.Particle:
        asked.append(atoms)
        return screens.particles()[5]

    for null in (make, screens.particles()[5]):
        found = pk.screen([screens.true()], data, **screens.RANGE, null=null)
        assert next(row for row in found if row.kind == "null").formula == screens.particles()[5].formula
    assert asked == [55]
    with pytest.raises(pk.PdfkitError, match="must return a Particle"):
        pk.screen([screens.true()], data, **screens.RANGE, null=lambda atoms: atoms)


def test_mixtures_of_a_single_candidate_pay_for_their_parameters(ranking: pk.Ranking) -> None:
    mixed = [row for row in ranking if row.kind == "mixture"]
    assert len(mixed) == 2
    best = ranking[0]
    for row in mixed:
        assert row.n_free == best.n_free + 2
        assert row.delta > 0
        assert all(part in [one.name for one in ranking] for part in row.parts)
    # With its second share at 0 a mixture is the true candidate, to rounding: what little it may gain does not pay.
    assert min(row.chi2 for row in mixed) <= best.chi2 * (1.0 + 1e-9)
    assert ranking.result(mixed[0].name).rw == mixed[0].rw


def test_a_true_mixture_is_found_with_its_share() -> None:
    first, second = screens.true(), screens.named("wurtzite cation 13")
    a, b = (screens.measurement(one, noise=0.0) for one in (first, second))
    noise = screens.measurement(noise=0.01, seed=4).G - screens.measurement(noise=0.0).G
    data = replace(a, G=0.6 * a.G + 0.4 * b.G + noise)
    found = pk.screen(screens.particles(), data, **screens.RANGE, mixtures=3)
    assert found[0].kind == "mixture"
    assert set(found[0].parts) == {first.name, second.name}
    assert found.best(1, kind="candidate")[0].delta > 10
    share = int(found[0].remarks[0].split("%")[0])
    wanted = 60 if found[0].parts[0] == first.name else 40
    assert abs(share - wanted) <= 3


# --- the confusion study ---------------------------------------------------------------------------------------------


def test_confusion_grows_with_the_noise() -> None:
    whole = screens.true()
    few = [whole, *(replace(one, meta={"family": "sphere"}) for one in screens.particles()[3:5])]
    quiet = pk.confusion(few, screens.measurement(noise=0.02), repeats=2, **screens.RANGE)
    assert quiet.right == 1.0
    assert quiet.first.sum() == 6
    families, shares = quiet.by_family()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert shares[families.index("sphere"), families.index("sphere")] == 1.0
    loud = pk.confusion(few, screens.measurement(noise=2.0, seed=3), repeats=3, seed=1, **screens.RANGE)
    assert loud.right < 1.0
    assert loud.sigma > 30 * quiet.sigma
    assert "taken for" in loud.table()


def test_confusion_of_a_ranking_by_number_name_and_particle(ranking: pk.Ranking, tmp_path: Path) -> None:
    three = pk.confusion(3, ranking, repeats=1)
    again = pk.confusion(three.names, ranking, repeats=1)
    atoms = pk.confusion([ranking.particle(name) for name in three.names], ranking, repeats=1)
    assert three.names == again.names == atoms.names
    np.testing.assert_array_equal(three.first, again.first)
    rows = list(csv.reader(three.to_csv(tmp_path / "c.csv").read_text().splitlines()))
    assert [row[0] for row in rows[1:]] == list(three.names)
    assert [int(cell) for cell in rows[1][2:5]] == three.first[0].tolist()
    with pytest.raises(pk.PdfkitError, match="a confusion study needs two"):
        pk.confusion(1, ranking)
    with pytest.raises(pk.PdfkitError, match="screen them first"):
        pk.confusion([pk.Particle.of(["Cd", "Se"], [[0, 0, 0], [0, 0, 2.6]])], ranking)


@pytest.mark.parametrize("kind", ["misfit", "dG", "cov"])
def test_noise_of_the_study_has_the_covariance_of_the_data(kind: str) -> None:
    data = screens.measurement(dG=kind == "dG")
    cov = Covariance.white(data.instrument, 16.0).scaled(0.02**2)
    rng = np.random.default_rng(0)
    if kind == "cov":
        modes = rng.standard_normal((cov.Q.size, 1))
        cov = Covariance(cov.Q, cov.weight, cov.variance, modes, np.array([[0.3 * cov.variance[0]]]))
        data = replace(data, cov=cov, dG=cov.sigma(data.r))
    found = pk.screen(screens.particles()[:3], data, **screens.RANGE)
    draw, sigma = noise_source(found)
    r = found.data.r
    every = slice(None, None, 12)
    drawn = np.array([draw(rng)[every] for _ in range(700)])
    measured, expected = np.cov(drawn.T), cov.matrix(r)[every, every]
    if kind == "misfit":
        # Its size is the misfit of one simulated measurement, which scatters itself.
        expected *= np.trace(measured) / np.trace(expected)
        assert sigma == pytest.approx(0.02, rel=0.3)
    # 700 draws: elements of a covariance scatter by 1/√700 = 3.8 %, and the largest of 300 by four times that.
    assert np.abs(measured - expected).max() < 0.17 * expected.max()


# --- what it leaves --------------------------------------------------------------------------------------------------


def test_rankings_come_back_from_hdf5(ranking: pk.Ranking, tmp_path: Path) -> None:
    back = pk.Ranking.load(ranking.save(tmp_path / "r.h5"))
    assert screens.numbers(back) == screens.numbers(ranking)
    assert back.table() == ranking.table()
    assert (back.stages, back.noise, back.threshold, back.composition) == (
        ranking.stages,
        ranking.noise,
        ranking.threshold,
        ranking.composition,
    )
    assert back.problem.digest() == ranking.problem.digest()
    for name in (ranking[0].name, next(row.name for row in ranking if row.kind == "mixture")):
        np.testing.assert_array_equal(back.result(name).calc.G, ranking.result(name).calc.G)


def test_rankings_and_journals_of_before_are_taken_up(tmp_path: Path) -> None:
    """A ranking in the words of before is read, and the digest of a problem is as it was."""
    import h5py

    r = np.arange(2.0, 8.0, 0.125)
    # Their scattering strengths were constant; with others a candidate gets other numbers, and is fitted anew.
    about = replace(screens.INSTRUMENT, scattering="constant")
    data = pk.PDF(r, np.floor(8 * np.sin(4 * r)) / 8, np.full(r.size, 0.5), instrument=about)
    fit = ScreenFit(rmin=2.5, start={"Uiso": 0.02}, bounds={"delta2": (0, 6)}, memory=1e8)
    assert Problem.of(data, fit).digest() == "93ef4a033baf9d52d3e90879a12ba835"
    assert Problem.of(data, replace(fit, use_errors=False)).digest() == "3c07940a669ad0d20cf3243e2d701768"
    assert Problem.of(replace(data, instrument=screens.INSTRUMENT), fit).digest() != Problem.of(data, fit).digest()
    ranking = pk.screen(screens.particles()[:2], data, fit=fit, ratio=(1, 2), mass=3000.0)
    path = ranking.save(tmp_path / "before.h5")
    with h5py.File(path, "a") as file:
        file.move("entry/rows/indistinguishable", "entry/rows/same")
        group = file["entry/setting"]
        options, known = (json.loads(group[name].asstr()[()]) for name in ("options", "chemistry"))
        options["weights"] = "auto" if options.pop("use_errors") else "none"
        del options["rmin"], options["rmax"], group["options"], group["chemistry"]
        known["tolerance"] = known.pop("mass_tolerance")
        group["options"], group["chemistry"] = json.dumps(options), json.dumps(known)
    back = pk.Ranking.load(path)
    assert screens.numbers(back) == screens.numbers(ranking)
    assert back.settings == replace(ranking.settings, rmin=None)
    assert (back.problem.digest(), back.composition) == (ranking.problem.digest(), ranking.composition)


def test_curves_in_the_file_add_up(ranking: pk.Ranking, tmp_path: Path) -> None:
    from pdfkit.io.hdf5 import read_nexus

    curves = read_nexus(ranking.save(tmp_path / "r.h5", curves=2)).group("entry").group("curves")
    assert {name for name in curves.members if name.startswith("calculated")} == {"calculated_1", "calculated_2"}
    assert curves.members["calculated_1"].attrs["candidate"] == ranking[0].name
    np.testing.assert_array_equal(curves.array("observed") - curves.array("calculated_1"), curves.array("difference_1"))


def test_a_ranking_with_errors_and_failures_comes_back(tmp_path: Path) -> None:
    data = screens.measurement(dG=True)
    data = replace(data, cov=Covariance.white(data.instrument, 16.0).scaled(4e-4))
    found = pk.screen(
        [*screens.particles()[:2], ("none", "it failed")], data, **screens.RANGE, bounds={"delta2": (0, 5)}
    )
    back = pk.Ranking.load(found.save(tmp_path / "r.h5"))
    assert screens.numbers(back) == screens.numbers(found)
    assert back.problem.digest() == found.problem.digest()
    nothing = pk.screen([("none", "it failed")], data, **screens.RANGE)
    assert screens.numbers(pk.Ranking.load(nothing.save(tmp_path / "n.h5"))) == screens.numbers(nothing)
    assert "it failed" in nothing.table()


def test_files_that_hold_no_ranking(ranking: pk.Ranking, tmp_path: Path) -> None:
    fitted = ranking.result(0).save(tmp_path / "fit.h5")
    with pytest.raises(ReadError, match="a ranking is needed here"):
        pk.Ranking.load(fitted)
    with pytest.raises(ReadError, match="no such file"):
        pk.Ranking.load(tmp_path / "missing.h5")


def test_csv_holds_every_number(ranking: pk.Ranking, tmp_path: Path) -> None:
    rows = list(csv.DictReader(ranking.to_csv(tmp_path / "r.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == [row.name for row in ranking]
    for written, row in zip(rows, ranking, strict=True):
        if row.stage == "fit":
            assert float(written["rw"]) == row.rw
            assert float(written["lnz"]) == row.lnz
    assert float(rows[0]["expansion"]) == ranking[0].values["expansion"][0]
    assert float(rows[0]["expansion error"]) == ranking[0].values["expansion"][1]
    assert rows[0]["indistinguishable"] == "True"


def test_tables_fit_in_100_columns(ranking: pk.Ranking, data: pk.PDF) -> None:
    long = [
        replace(one, name=f"{one.name} with a name that goes on and on, {k}")
        for k, one in enumerate(screens.particles())
    ]
    failed = [(f"bad {k}", "it cannot be built at all") for k in range(15)]
    options = {"ratio": (1.7, 1.8), "mass": 5000.0}
    wide = pk.screen([*long, *failed], screens.measurement(dG=True), **screens.RANGE, **options, mixtures=1)
    study = pk.confusion(4, wide, repeats=1)
    for text in (ranking.table(), str(ranking), wide.table(50), study.table()):
        assert max(map(len, text.splitlines())) <= 100
    assert "and 5 more" in wide.table()
    assert repr(ranking).startswith(f"<Ranking of {len(ranking)}, best {ranking[0].name}")


def test_rows_are_found_by_name_and_place(ranking: pk.Ranking) -> None:
    assert ranking[ranking[2].name] is ranking[2]
    with pytest.raises(ParameterError, match=f"nearest are {CD35}"):
        _ = ranking["Cd35Se20"]
    mixed = next(row for row in ranking if row.kind == "mixture")
    with pytest.raises(pk.PdfkitError, match="is a mixture of"):
        ranking.particle(mixed.name)
    dropped = replace(ranking, particles={})
    with pytest.raises(pk.PdfkitError, match="not kept"):
        dropped.result(0)


def test_figures(ranking: pk.Ranking, tmp_path: Path) -> None:
    clusters.ranking(ranking, tmp_path / "r.png", count=2)
    study = pk.confusion(3, ranking, repeats=1)
    clusters.confusion(study, tmp_path / "c.pdf")
    figure = clusters.confusion(study, families=True)
    assert len(figure.axes) == 2
    assert (tmp_path / "r.png").stat().st_size > 5000
    empty = replace(ranking, rows=())
    with pytest.raises(pk.PdfkitError, match="nothing to plot"):
        clusters.ranking(empty)


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_screens_a_folder_and_goes_on_where_it_stopped(data: pk.PDF, tmp_path: Path) -> None:
    folder = tmp_path / "candidates"
    folder.mkdir()
    for one in screens.particles()[:4]:
        pk.io.write_xyz(folder / f"{one.formula}_{one.name.split()[0]}.xyz", one)
    measured = tmp_path / "data.gr"
    pk.write_pdf(measured, data)
    options = {
        "probe": "X", "qmin": 0.8, "qmax": 16.0, "qdamp": 0.05, "rmin": 1.8, "rmax": 14.0, "workers": 1,
        "out": tmp_path / "out", "confusion": 2, "repeats": 2, "start": ["Uiso=0.02"],
    }  # fmt: skip
    found, study, files = screening.run_screen(measured, [str(folder)], **options)
    assert found[0].formula == "Cd35Se20"
    assert study is not None
    assert [file.name for file in files] == [name for name in screening.NAMES if "report" not in name]
    assert all(file.stat().st_size for file in files)
    again, _, _ = screening.run_screen(measured, [str(folder)], **options)
    assert screens.numbers(again) == screens.numbers(found)


def test_the_command_refuses_what_is_missing(data: pk.PDF, tmp_path: Path) -> None:
    measured = tmp_path / "data.gr"
    pk.write_pdf(measured, data)
    with pytest.raises(pk.PdfkitError, match="--build Cd37S20"):
        screening.run_screen(measured, [], out=tmp_path / "out", workers=1)
    with pytest.raises(pk.PdfkitError, match="--start Uiso is not"):
        screening.run_screen(measured, [str(measured)], out=tmp_path / "out", start=["Uiso"])


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (Progress("fit", 40, 300, 152.3, 3725.0), "fitting: 40 of 300, 152/s, 1 h 02 min left"),
        (Progress("match", 5, None, 0.0, None), "matching: 5"),
        (Progress("confusion", 5, 10, 0.5, 100.4), "simulating and refitting: 5 of 10, 0.5/s, 1 min 40 s left"),
        (Progress("mixture", 5, 10, 10.0, 0.5), "fitting mixtures: 5 of 10, 10/s, 0 s left"),
    ],
)
def test_progress_in_words(now: Progress, words: str) -> None:
    assert screening.words(now) == words


def test_progress_counts_what_is_done(data: pk.PDF) -> None:
    told: list[Progress] = []
    pk.screen(screens.particles(), data, **screens.RANGE, chunk=5, progress=told.append)
    assert [(p.stage, p.done, p.total) for p in told] == [("fit", 5, 15), ("fit", 10, 15), ("fit", 15, 15)]
    assert told[-1].left == 0.0
    assert told[0].rate > 0
