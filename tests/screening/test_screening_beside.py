"""Screens of G(r) with small angles and a powder pattern beside it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.data.curves import to_Q
from pdfkit.errors import PdfkitError
from pdfkit.fitting.discrepancy import Rival
from pdfkit.fitting.displacements import Pairs, covariance, root
from pdfkit.fitting.evidence import Likelihood
from pdfkit.fitting.projection import PatternSet
from pdfkit.model import noise
from pdfkit.model.pattern import PatternModel
from pdfkit.screening import ScreenFit, beside
from pdfkit.screening.tasks import Problem, fit_particle

CLUSTERS = [pk.build.tetrahedron("CdS_zincblende", n) for n in (4, 5)]
CLUSTERS += [pk.build.truncated_tetrahedron("CdS_zincblende", 5, 1), pk.build.sphere("CdS_wurtzite", 11.0)]


def measured(*, errors: bool = True, wrong: float = 0.0, particle: pk.Particle | None = None) -> dict[str, object]:
    cluster = pk.Cluster(CLUSTERS[0] if particle is None else particle, "c", Uiso=0.02, delta2=3, expansion=0.005)
    lab = pk.Instrument(probe="X", qmin=0.8, qmax=16)
    pdf = noise.simulate(pk.Model(cluster, lab), 1.5, 14.0, 0.02, 0.05, 1)
    rng, low, angle = np.random.default_rng(1), np.linspace(0.03, 0.6, 100), np.arange(12.0, 80.0, 0.1)
    saxs = pk.saxs(cluster, low, per_atom=True).intensity
    xrd = pk.powder_pattern(cluster, angle, 1.5406, per_atom=True).intensity + 800
    xrd = xrd + wrong * xrd * np.exp(-(((angle - 60) / 4) ** 2))
    noisy = [I * (1 + 0.01 * rng.standard_normal(I.size)) for I in (saxs, xrd)]
    dI = [0.01 * saxs, 0.01 * xrd] if errors else [None, None]
    return {
        "pdf": pdf if errors else pk.PDF(pdf.r, pdf.G, instrument=pdf.instrument),
        "saxs": pk.Intensity(low, noisy[0], dI[0]),
        "xrd": pk.patterns.Powder(pk.Intensity(to_Q(angle, 1.5406), noisy[1], dI[1], wavelength=1.5406)),
    }


@pytest.mark.parametrize("errors", [True, False])
def test_patterns_add_to_what_tells_candidates_apart(
    errors: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not errors:  # the words of a page alone: its pictures are those of the other one
        monkeypatch.setattr("pdfkit.screening.report._figure", lambda *_: "")
    data = measured(errors=errors)
    alone, both = pk.screen(CLUSTERS, data["pdf"], rmin=1.8), pk.screen(CLUSTERS, data, rmin=1.8)
    assert both[0].formula == alone[0].formula == "Cd20S10"
    assert both[0].name == CLUSTERS[0].name
    assert both.rows[1].delta > alone.rows[1].delta
    assert list(both[0].beside) == ["", "saxs", "xrd"]
    assert both.noise == ("known" if errors else "misfit of G(r)")
    assert both[0].beside[""][2] is errors
    text = str(both)
    assert "χ² saxs" in text
    assert "flat and Porod background" in text
    assert "saxs reduced_chi2" in both.to_dataframe()
    page = both.report(tmp_path / "report.html").read_text()
    said = "of the size of the errors of the data"
    assert (said if errors else f"{said}; of the best misfit in G(r)") in page
    assert "delta2 (Å²)" in page
    assert "displaced by as much as the data ask for" in page


def test_atoms_may_be_displaced_beside_patterns(tmp_path: Path) -> None:
    """One displacement moves G(r) and patterns: a truth that relaxed is found, and by how much."""
    true = CLUSTERS[0]
    step = (root(true.xyz) @ np.random.default_rng(4).standard_normal(3 * len(true))).reshape(-1, 3)
    relaxed = replace(true, xyz=true.xyz + 0.15 * step, lattice=None, sites=None)
    data = measured(particle=relaxed)
    rigid, found = (pk.screen(CLUSTERS, data, rmin=1.8, displacement=one) for one in ("none", "auto"))
    assert rigid.noise != "known"
    assert "Atoms sit where candidates have them" in " ".join(str(rigid).split())
    assert rigid.certificate is None
    assert found.noise == "known"
    assert found[true.name].delta < 3
    assert found[true.name].displacement == pytest.approx(0.15, abs=0.07)
    assert set(found[0].moved) == {"known", "misfit", "misfit of G(r)", "misfit of saxs", "misfit of xrd"}
    back = pk.Ranking.load(found.save(tmp_path / "r.h5"))
    assert [row.moved for row in back] == [row.moved for row in found]
    assert found.certificate is not None
    assert found.certificate.held > 0.8
    study = pk.confusion(2, found, repeats=2, displacement=0.1)
    assert study.first.sum() == 4


def test_displacements_of_patterns_are_what_differences_give() -> None:
    """∂f/∂x of all coordinates, and what curves of displaced atoms scatter by."""
    result = fit_particle(CLUSTERS[0], Problem.of(measured(), ScreenFit(rmin=1.8)))
    found, own = Rival.of(result), Likelihood.of(result, "known").residuals
    assert found is not None
    xyz, values = result.datasets[0].model.phases[0].particle.xyz, own.mapping(result.values)[0]
    spread, turn, rng = covariance(Pairs.of(xyz)), root(xyz), np.random.default_rng(0)

    def curve(s: PatternSet, x: np.ndarray, rows: np.ndarray, size: float = 0.0) -> np.ndarray:
        """Return I of atoms elsewhere; what that broadens is taken off U."""
        cluster = result.datasets[0].model.phases[0]
        moved = replace(cluster, particle=replace(cluster.particle, xyz=x, lattice=None, sites=None))
        model = PatternModel((moved,), replace(s.model.measured, reach=60.0), s.model.strengths)
        wide = np.array([name.endswith(".Uiso") for name in model.names])
        return model.evaluator(s.band.Q)(values[rows] - wide * size**2 / 3.0)[0]

    for k, (one, rows) in enumerate(zip(own.patterns, own.rows[1:], strict=True), start=1):
        s, part = one.resized(1.0), found.parts[k]
        G, columns = curve(s, xyz, rows), []
        for step in 1e-4 * np.eye(xyz.size).reshape(-1, *xyz.shape):
            slope = (curve(s, xyz + step, rows) - curve(s, xyz - step, rows)) / 2e-4
            columns.append(s.rows(G, slope[None])[0])
        expected = np.array(columns).T @ spread @ np.array(columns)
        np.testing.assert_allclose(found.first[part, part], expected, atol=1e-6 * np.abs(expected).max())
        steps = 0.1 * (turn @ rng.standard_normal((xyz.size, 60))).T
        drawn = [s.rows(G, (curve(s, xyz + step.reshape(-1, 3), rows, 0.1) - G)[None])[0] for step in steps]
        beyond = np.array(drawn) - steps @ np.array(columns)
        share = 1e-4 * np.trace(found.higher[0][part, part]) / float(beyond.var(axis=0).sum())
        assert 0.2 < share < 2.0  # what pairs share of the second order is left out


def test_evidence_is_that_of_the_sum_of_all() -> None:
    """ln Z against numbers: ln L of three known data sets, and the integral over the parameters about it."""
    ranking = pk.screen(CLUSTERS, measured(), rmin=1.8, displacement="none")
    row, result = ranking[0], ranking.result(0)
    likelihood = Likelihood.of(result, "known")
    lnl, _, curvature = likelihood.quadratic(result.values)
    assert -0.5 * sum(chi2 for chi2, _, _ in row.beside.values()) == pytest.approx(lnl, abs=0.05)
    plain = 0.5 * len(result.free) * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(curvature)[1]
    scales = sum(
        one.ln_scales(G)
        for one, (G, _) in zip(
            likelihood.residuals.patterns, likelihood.residuals.last_curves(result.values)[1:], strict=True
        )
    )
    assert row.occam == pytest.approx(plain + scales, abs=0.05)
    assert row.lnz == pytest.approx(lnl + row.occam, abs=0.05)


def test_a_pattern_that_nothing_describes_is_its_own_yardstick() -> None:
    data = measured(wrong=0.3)
    ranking, rigid = (pk.screen(CLUSTERS, data, rmin=1.8, displacement=one) for one in ("auto", "none"))
    assert ranking.noise == rigid.noise == "misfit of xrd"
    assert "elsewhere the misfit of xrd" in str(ranking)
    assert ranking[0].formula == "Cd20S10"
    lnz = [beside.ln_likelihood(row.beside, ranking.noise) + row.occam for row in rigid]
    assert lnz == [row.lnz for row in rigid]


def test_journal_store_and_confusion(tmp_path: Path) -> None:
    data = measured()
    ranking = pk.screen(CLUSTERS, data, rmin=1.8, out=tmp_path)
    again = pk.screen(CLUSTERS, data, rmin=1.8, out=tmp_path)
    assert [row.lnz for row in again] == [row.lnz for row in ranking]
    with pytest.raises(PdfkitError, match="another problem"):
        pk.screen(CLUSTERS, {**data, "saxs": pk.patterns.SmallAngle(data["saxs"], reach=50)}, rmin=1.8, out=tmp_path)
    back = pk.Ranking.load(ranking.save(tmp_path / "ranking.h5", curves=1))
    assert [dict(row.beside) for row in back] == [dict(row.beside) for row in ranking]
    assert back.problem.digest() == ranking.problem.digest()
    assert back.result(0).rw == pytest.approx(ranking.result(0).rw, rel=1e-9)
    study = pk.confusion(2, back, repeats=2)
    assert study.right == 1.0


def test_mixtures_are_of_all_data() -> None:
    ranking = pk.screen(CLUSTERS, measured(), rmin=1.8, mixtures=1)
    (mixture,) = [row for row in ranking if row.kind == "mixture"]
    assert list(mixture.beside) == ["", "saxs", "xrd"]
    assert mixture.beside["saxs"][1] == ranking[0].beside["saxs"][1] - 1
    assert mixture.lnz < ranking[0].lnz


def with_neutrons(wrong: float = 0.0) -> dict[str, pk.PDF]:
    """Return G(r) of X-rays and of neutrons, at another scale; no errors, so that each shows its own."""
    cluster = pk.Cluster(CLUSTERS[0], "c", Uiso=0.02, delta2=3, expansion=0.005)
    labs = [pk.Instrument(probe="X", qmin=0.8, qmax=16), pk.Instrument(probe="N", qmin=1.0, qmax=18, qdamp=0.02)]
    sets = [noise.simulate(pk.Model(cluster, lab), 1.5, 14.0, 0.02, 0.1, k) for k, lab in enumerate(labs)]
    found = [pk.PDF(one.r, one.G * scale, instrument=one.instrument) for one, scale in zip(sets, (1, 7), strict=True)]
    return dict(zip(("pdf", "n"), found, strict=True))


def test_neutrons_and_x_rays_are_of_one_cluster(tmp_path: Path) -> None:
    data = with_neutrons()
    both = (data, {name: data[name] for name in ("n", "pdf")})
    ranking, turned = (pk.screen(CLUSTERS, one, rmin=1.8, certificate=5) for one in both)
    assert ranking[0].formula == "Cd20S10"
    assert list(ranking[0].beside) == ["", "n"]
    assert ranking.noise == "misfit"
    assert ranking[0].values["n.c.scale"][0] == pytest.approx(7 * ranking[0].values["pdf.c.scale"][0], rel=0.1)
    assert [row.delta for row in turned] == pytest.approx([row.delta for row in ranking], abs=0.05)  # of fits by turns
    assert ranking[1].delta > pk.screen(CLUSTERS, data["pdf"], rmin=1.8)[1].delta
    back = pk.Ranking.load(ranking.save(tmp_path / "ranking.h5", curves=1))
    assert back.problem.digest() == ranking.problem.digest() != turned.problem.digest()
    assert "a further G(r), of neutrons" in str(back)
    assert "of probe N" in back.report(tmp_path / "r.html").read_text()
    assert pk.confusion(2, back, repeats=1, displacement="auto").right == 1.0


def test_displacements_move_every_g_of_r() -> None:
    result = fit_particle(CLUSTERS[0], Problem.of(with_neutrons(), ScreenFit(rmin=1.8)))
    found, own = Rival.of(result), Likelihood.of(result, "known").residuals
    assert found is not None
    model, s = result.datasets[1].model, own.sets[1].resized(1.0)
    xyz, at = model.phases[0].particle.xyz, s.data.r[s.whiten.index]

    def curve(x: np.ndarray) -> np.ndarray:
        (cluster,) = model.phases
        moved = replace(cluster, particle=replace(cluster.particle, xyz=x, lattice=None, sites=None))
        return pk.Model(moved, model.instrument).evaluator(at, end=float(s.data.r[-1]))(model.values)[0]

    steps = 1e-4 * np.eye(xyz.size).reshape(-1, *xyz.shape)
    columns = s.whiten(np.array([(curve(xyz + step) - curve(xyz - step)) / 2e-4 for step in steps]))
    expected = columns.T @ covariance(Pairs.of(xyz)) @ columns
    there = found.parts[1]
    np.testing.assert_allclose(found.first[there, there], expected, atol=1e-6 * np.abs(expected).max())  # of steps


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": "pdf"}, "pdf and n are one measurement"),
        ({"low": "saxs"}, "saxs and low are one measurement"),
        ({"pdf": None}, "none of these data sets is a PDF"),
    ],
)
def test_what_is_compared_is_g_of_r_and_given_once(change: dict[str, str | None], words: str) -> None:
    data = measured()
    for name, other in change.items():
        if other is None:
            del data[name]
        else:
            data[name] = data[other]
    with pytest.raises(PdfkitError, match=words):
        pk.screen(CLUSTERS, data)
