"""Files as people have them: every row of tests/field/, and the runner itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

import pdfkit as pk
from pdfkit.cli.checks import verify
from pdfkit.verification import files
from pdfkit.verification.files import Row, WrongAnswerError, difference, measure, rows


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.area}: {row.name}")
def test_read_as_it_was_meant(row: Row) -> None:
    assert measure(row) <= row.within


def test_names_are_unique() -> None:
    names = [(row.area, row.name) for row in rows()]
    assert len(set(names)) == len(names) > 1


def row() -> Row:
    return next(row for row in rows() if row.name == "CsCl as a plain CIF")


def test_a_wrong_answer_is_found() -> None:
    assert measure(replace(row(), right={"Cs": 1.0, "Cl": 2.0})) == 1.0
    with pytest.raises(WrongAnswerError, match="right is"):
        measure(replace(row(), right={"Cs": 1.0}))


def test_a_missing_refusal_and_a_missing_remark_are_found() -> None:
    with pytest.raises(WrongAnswerError, match="was not refused"):
        measure(replace(row(), right=None, refused="nonsense"))
    with pytest.raises(WrongAnswerError, match="no remark says"):
        measure(replace(row(), remark=("assumed",)))
    broken = replace(row(), text=row().text.replace("Cs1 Cs 0 0 0", "Cs1 Cs 0 0"))
    with pytest.raises(pk.PdfkitError):
        measure(broken)
    with pytest.raises(WrongAnswerError, match="another message"):
        measure(replace(broken, right=None, refused="the moon"))


def test_an_unexpected_remark_is_found() -> None:
    off = replace(row(), text=row().text.replace("0.5 0.5 0.5", "0.49 0.5 0.5"))
    with pytest.raises(WrongAnswerError, match="but this was given: site Cl1 moved"):
        measure(off)


def test_incomplete_rows_are_refused() -> None:
    for table in ({"name": "x", "why": "y"}, {"name": "x", "why": "y", "ask": "cell", "right": 1}):
        with pytest.raises(ValueError, match="needs"):
            Row.of_table("area", table)


def test_answers_compare_by_form() -> None:
    assert difference({"a": [1.0, 2]}, {"a": [1, 2.5]}) == 0.5
    assert difference("x", "x") == 0.0
    for pair in (("x", "y"), (1.0, "x"), ([1], [1, 2]), (True, 1.0)):
        with pytest.raises(WrongAnswerError):
            difference(*pair)


def test_verify_runs_them_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "rows", lambda: (row(),))
    printed = verify(files=True)
    assert printed.code == 0
    assert "structures: CsCl as a plain CIF" in printed.text
    monkeypatch.setattr(files, "rows", lambda: (replace(row(), right={"Cs": 1.0}),))
    printed = verify([files.TOPIC])
    assert printed.code == 1
    assert "right is {'Cs': 1.0}" in printed.text
