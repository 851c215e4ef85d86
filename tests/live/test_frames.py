"""Frames: what goes to the page comes apart as it was put together."""

import json
from pathlib import Path

import numpy as np
import pytest

from pdfkit.workbench.frames import frame, unpacked
from pdfkit.workbench.opening import opened
from pdfkit.workbench.page import Page
from pdfkit.workbench.parts import shares
from pdfkit.workbench.session import Session


def test_a_frame_comes_apart_as_it_was_put_together() -> None:
    curves = {"r": np.arange(0.01, 0.06, 0.01), "G": np.array([1.0, -2.5e3, np.nan, 3e-7, 0.0]), "none": ()}
    view, arrays = unpacked(frame({"rw": 0.12, "message": "Å⁻²: β–γ", "rows": [{"value": 1.5}]}, curves))
    assert view == {"rw": 0.12, "message": "Å⁻²: β–γ", "rows": [{"value": 1.5}]}
    for name, curve in curves.items():
        np.testing.assert_allclose(arrays[name], curve, rtol=6e-8)


def test_numbers_that_are_none_are_null() -> None:
    view, _ = unpacked(frame({"rw": float("nan"), "rows": ({"max": np.inf},), "range": np.array([1.0, np.inf])}, {}))
    assert view == {"rw": None, "rows": [{"max": None}], "range": [1.0, None]}


def test_curves_begin_at_multiples_of_four_bytes() -> None:
    for text in ("", "a", "ab", "abc"):
        message = frame({"message": text}, {"r": np.ones(1)})
        assert len(message) % 4 == 0
        assert message[-4:] == np.float32(1).tobytes()


def test_a_value_that_was_set_sends_neither_points_nor_history(two: Session) -> None:
    sent: list[bytes] = []
    page = Page(sent.append, lambda page, action: page.session.do(action))
    page.turn(two)
    first, curves = unpacked(sent[-1])
    assert {"r", "measured", "calculated"} <= set(curves)
    assert {"history", "remarks", "structures"} <= set(first)
    page.asked(json.dumps({"do": "value", "name": "wz.a", "value": 4.13, "n": 1}))
    then, curves = unpacked(sent[-1])
    assert set(curves) == {"calculated"}
    assert not {"history", "remarks", "structures", "candidates"} & set(then)
    assert next(row for row in then["rows"] if row["name"] == "wz.a")["value"] == 4.13
    page.asked(json.dumps({"do": "range", "rmax": 10, "n": 2}))
    assert unpacked(sent[-1])[0]["range"] == pytest.approx([1.8, 10])


def test_shares_of_many_pairs_still_add_up(tmp_path: Path) -> None:
    files = ["CdS_wurtzite", "CdSe_wurtzite", "Ni", "TiO2_anatase"]
    session = Session(tmp_path, opened(files, tmp_path))
    calculated = session.curves().calculated
    found = shares(session.prepared, "", "pairs")
    assert len(found) == 8
    assert list(found)[-1] == "the rest"
    np.testing.assert_allclose(sum(found.values()), calculated, atol=1e-9)
