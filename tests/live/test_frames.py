"""Frames: what goes to the page comes apart as it was put together."""

import numpy as np

from pdfkit.live.frames import frame, unpacked


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
