"""The page for a supplement: whole in one file, everything escaped, LaTeX without a package."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import screens

import pdfkit as pk
from pdfkit.screening.report import latex, page, tex
from pdfkit.screening.table import gathered, poor_of


@pytest.fixture(scope="module")
def ranking() -> pk.Ranking:
    odd = replace(screens.true(), name="<b>_odd & 100 %</b>")
    few = [odd, *screens.particles()[:2], *screens.particles()[3:9]]
    return pk.screen(few, screens.measurement(), **screens.RANGE, null="CdSe_zincblende", ratio=(1.7, 1.8))


def test_a_page_is_whole_in_one_file_and_says_what_the_table_says(ranking: pk.Ranking, tmp_path: Path) -> None:
    path = ranking.report(tmp_path / "report.html")
    text = path.read_text()
    assert text.count("<figure>") == text.count("data:image/svg+xml;base64,") == 3
    # Nothing is fetched from elsewhere, and no name is taken for HTML.
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "<b>" not in text
    assert "&lt;b&gt;_odd &amp; 100 %&lt;/b&gt;" in text
    for words in (
        "Evidence",
        "What was assumed",
        "Cd35Se20",
        "Δ ln Z",
        "scale up to twice",
        "composition: ratio",
        "(null)",
    ):
        assert words in text
    for row in ranking.best(3, kind="candidate"):
        assert f"{row.rw:.4f}" in text
    assert f"pdfkit {pk.__version__}" in text


def test_latex_has_as_many_cells_in_every_row_and_only_plain_letters(ranking: pk.Ranking, tmp_path: Path) -> None:
    text = ranking.report(tmp_path / "report.tex").read_text()
    for columns, body in re.findall(r"\\begin\{tabular\}\{(l+)\}(.*?)\\end\{tabular\}", text, re.S):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(rows) > 2
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(columns) - 1}
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
    assert text.isascii()
    assert r"$<$b$>$\_odd \& 100 \%" in text
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_letters_of_latex() -> None:
    assert tex("α-CdS, 2°") == r"$\alpha$-CdS, 2$^\circ$"
    assert tex("U_Cd = 0.02 Å², Q to 15 Å⁻¹") == r"U\_Cd = 0.02 \AA{}$^2$, Q to 15 \AA{}$^{-1}$"


def test_reports_are_refused_where_there_is_nothing_or_another_ending(ranking: pk.Ranking, tmp_path: Path) -> None:
    with pytest.raises(pk.PdfkitError, match=r"end the name report.doc in .html or .tex"):
        ranking.report(tmp_path / "report.doc")
    nothing = pk.screen([("one", "never built")], screens.measurement(), **screens.RANGE)
    with pytest.raises(pk.PdfkitError, match="nothing to report"):
        nothing.report(tmp_path / "report.html")
    assert "Evidence" in page(ranking)
    assert latex(ranking).startswith("% pdfkit")


def test_a_ranking_in_which_nothing_fits_says_so() -> None:
    measured = screens.measurement()
    wrong = replace(measured, G=np.interp(measured.r * 1.15, measured.r, measured.G))
    said = " ".join(str(pk.screen(screens.particles()[:2], wrong, **screens.RANGE)).split())
    assert "Even the best candidate misses G(r) by Rw = 0." in said
    assert "the truth is not among the candidates as they are" in said


def test_a_ranking_in_which_one_fits_does_not(ranking: pk.Ranking) -> None:
    assert "Even the best" not in str(ranking)
    assert poor_of(replace(ranking, rows=())) == []


def test_no_candidate_describes_a_pattern(ranking: pk.Ranking) -> None:
    row = replace(ranking.rows[0], rw=0.1, beside={"": (90.0, 60.0, True), "saxs": (700.0, 10.0, True)})
    said = poor_of(replace(ranking, rows=(row,), patterns={"saxs": None}))  # type: ignore[dict-item]
    assert said[0].startswith("Even the best candidate misses saxs by a reduced χ² of 70: unless noise")


def test_a_remark_of_several_is_said_once(ranking: pk.Ranking) -> None:
    rows = [replace(ranking[0], name=name, remarks=("alike", "alike")) for name in "abcde"]
    assert gathered(rows) == ["a, b, c and 2 more: alike"]
    assert gathered([*rows[:2], replace(rows[0], name="z", remarks=("own",))]) == ["a, b: alike", "z: own"]


def test_a_fit_that_comes_out_otherwise_when_it_is_computed_again_is_told(ranking: pk.Ranking) -> None:
    assert "computed again" not in page(ranking)
    first = ranking.best(1)[0]
    other = replace(ranking, rows=tuple(replace(row, rw=row.rw / 2) if row is first else row for row in ranking.rows))
    assert f"computed again for this page, Rw = {first.rw:.4f}" in page(other)
