"""What goes from Python to the page: one message of text and numbers, so that a moved slider costs one message back.

A frame is the length of its text (4 bytes, least significant first), the text (JSON, filled with spaces to a multiple
of 4 bytes), and arrays of 4-byte floats one after the other, named and sized by "arrays" in the text. On 4-byte floats
a curve stands within 6e-8 of itself, a thousandth of a pixel.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pdfkit._checks import Array

__all__ = ["frame", "unpacked"]


def frame(view: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Return a view (what JSON can hold; NaN and infinity become null) and curves as one message."""
    sizes = [[name, int(np.size(array))] for name, array in arrays.items()]
    text = json.dumps({**_finite(view), "arrays": sizes}, allow_nan=False, default=_plain).encode()
    text += b" " * (-len(text) % 4)
    numbers = (np.asarray(array, "<f4").tobytes() for array in arrays.values())
    return b"".join((len(text).to_bytes(4, "little"), text, *numbers))


def unpacked(message: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return view and curves of a message."""
    size = int.from_bytes(message[:4], "little")
    view = json.loads(message[4 : 4 + size])
    numbers, arrays, at = np.frombuffer(message[4 + size :], "<f4"), {}, 0
    for name, count in view.pop("arrays"):
        arrays[name] = numbers[at : at + count]
        at += count
    return view, arrays


def _plain(value: Any) -> Any:
    """Return numpy's numbers and arrays as Python's."""
    return _finite(value.tolist()) if hasattr(value, "tolist") else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
