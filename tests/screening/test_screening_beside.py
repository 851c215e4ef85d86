"""Screens of G(r) with small angles and a powder pattern beside it."""

from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.data.curves import to_Q
from pdfkit.errors import PdfkitError
from pdfkit.model import noise
from pdfkit.screening import beside

CLUSTERS = [pk.build.tetrahedron("CdS_zincblende", n) for n in (4, 5)]
CLUSTERS += pk.build.candidates("Cd20S10", limit=2, seed=1)


def measured(*, errors: bool = True, wrong: float = 0.0) -> dict[str, object]:
    cluster = pk.Cluster(CLUSTERS[0], "c", Uiso=0.02, delta2=3, expansion=0.005)
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
def test_patterns_add_to_what_tells_candidates_apart(errors: bool, tmp_path: Path) -> None:
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
    assert "where candidates have them" in page


def test_atoms_are_rigid_beside_patterns() -> None:
    ranking = pk.screen(CLUSTERS, measured(), rmin=1.8)
    assert "Atoms sit where candidates have them" in " ".join(str(ranking).split())
    assert ranking.certificate is None
    assert not any(row.moved for row in ranking)
    with pytest.raises(PdfkitError, match="leave one out"):
        pk.screen(CLUSTERS, measured(), rmin=1.8, displacement=0.1)


def test_evidence_is_that_of_the_sum_of_all() -> None:
    """ln Z against numbers: ln L of three known data sets, and the integral over the parameters about it."""
    from pdfkit.fitting.evidence import Likelihood

    ranking = pk.screen(CLUSTERS, measured(), rmin=1.8)
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
    ranking = pk.screen(CLUSTERS, measured(wrong=0.3), rmin=1.8)
    assert ranking.noise == "misfit of xrd"
    assert "elsewhere the misfit of xrd" in str(ranking)
    assert ranking[0].formula == "Cd20S10"
    lnz = [beside.ln_likelihood(row.beside, ranking.noise) + row.occam for row in ranking]
    assert lnz == [row.lnz for row in ranking]


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


@pytest.mark.parametrize(
    ("change", "words"), [({"n": "pdf"}, "2 of these data sets"), ({"pdf": None}, "0 of these data sets")]
)
def test_one_pdf_is_asked_for(change: dict[str, str | None], words: str) -> None:
    data = measured()
    for name, other in change.items():
        if other is None:
            del data[name]
        else:
            data[name] = data[other]
    with pytest.raises(PdfkitError, match=words):
        pk.screen(CLUSTERS, data)
