"""What the rows of `pdfkit verify --files` ask about powder patterns, and the pattern they are about.

The pattern is silicon's (a = 5.4309 Å, Fd-3m): its 111 reflection at Q = 2π√3/a = 2.0038 Å⁻¹ is the highest point, so
that whatever axis it is written on, the place of that point and the end of the axis tell whether it was understood.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.io._text import read_table
from pdfkit.io.intensity import read_intensity

_A = 5.4309  # Å
# Reflections of silicon: h² + k² + l² and multiplicity × |structure factor|² relative to 111.
_LINES = ((3, 1.0), (8, 0.6), (11, 0.4), (16, 0.1), (19, 0.2), (24, 0.25), (27, 0.15), (32, 0.08), (35, 0.1), (40, 0.1))
_DEGREES = {"2theta": 1.0, "2theta-rad": math.pi / 180, "centidegrees": 100.0}
_FACTORS = {"A-1": 1.0, "nm-1": 10.0, "1/d": 0.5 / math.pi, "sin(theta)/lambda": 0.25 / math.pi}


def silicon(Q: Array) -> Array:
    """Return the intensities of silicon on Q in Å⁻¹ (n,), with what air and Compton scattering leave below."""
    peaks = [(2 * math.pi * math.sqrt(n) / _A, weight) for n, weight in _LINES]
    fall = np.exp(-((Q / 12) ** 2))
    below = 40 + 150 * fall + 400 * np.exp(-3 * Q)
    return np.asarray(below + sum(3000 * weight * fall * np.exp(-0.5 * ((Q - q) / 0.05) ** 2) for q, weight in peaks))


def pattern(
    folder: Path,
    name: str = "si.chi",
    head: str = "",
    unit: str = "A-1",
    wavelength: float = 0.1836,
    start: float = 0.4,
    end: float = 20.0,
    points: int = 2000,
    step: float = 0.0,
    errors: bool = False,
    layout: str = "",
    change: Sequence[tuple[str, int, int, float]] = (),
) -> Path:
    """Write the pattern on an axis in `unit` from Q = start to end (Å⁻¹); `step` (of the axis) instead of points.

    layout : the columns, of x, I, dI, time, calc, weight; default x, I, and dI with `errors`.
    change : (what, first, last, value) for rows first to last: "times" and "plus" a value, or "set" to it, or "most".
    """
    x = _axis(np.array([start, end]), unit, wavelength)
    x = np.arange(x.min(), x.max() + step / 2, step) if step else np.linspace(x.min(), x.max(), points)
    I = silicon(_Q(x, unit, wavelength))
    dI = np.sqrt(I)
    for what, first, last, value in change:
        part = slice(int(first), int(last) + 1)
        changed = {"times": I[part] * value, "plus": I[part] + value, "set": 0 * I[part] + value}
        I[part] = np.minimum(I[part], value) if what == "most" else changed[what]
    known = {"x": x, "I": I, "dI": dI, "time": 0 * x + 23.5, "calc": I / 2 + 5, "weight": 1 / dI**2}
    columns = [known[one] for one in (layout or ("x I dI" if errors else "x I")).split()]
    rows = "\n".join(" ".join(f"{value:.8g}" for value in row) for row in np.column_stack(columns))
    path = folder / name
    path.write_text(f"{head}{rows}\n", encoding="utf-8")
    return path


def _axis(Q: Array, unit: str, wavelength: float) -> Array:
    if unit in _DEGREES:
        return np.asarray(2 * np.degrees(np.arcsin(Q * wavelength / (4 * math.pi))) * _DEGREES[unit])
    return 2 * math.pi / Q if unit == "d" else Q * _FACTORS[unit]


def _Q(x: Array, unit: str, wavelength: float) -> Array:
    if unit in _DEGREES:
        return np.asarray(4 * math.pi / wavelength * np.sin(np.radians(x / _DEGREES[unit]) / 2))
    return 2 * math.pi / x if unit == "d" else x / _FACTORS[unit]


def peak_and_end(path: Path, **options: Any) -> list[float]:
    """Return Q (Å⁻¹) of the highest point above 1 Å⁻¹, and of the last."""
    iq = read_intensity(path, **options)
    beyond = iq.Q > 1
    return [float(iq.Q[beyond][iq.I[beyond].argmax()]), float(iq.Q[-1])]


def start_and_points(path: Path, **options: Any) -> list[float]:
    """Return the first Q (Å⁻¹) and the number of points."""
    iq = read_intensity(path, **options)
    return [float(iq.Q[0]), float(len(iq))]


def wavelength_read(path: Path, **options: Any) -> float:
    """Return the wavelength in Å."""
    return read_intensity(path, **options).wavelength or math.nan


def read_as(path: Path, **options: Any) -> str:
    """Return what `pdfkit info` reads a file of columns as: "pdf", "sq" or "intensity"."""
    from pdfkit.cli.info_data import Options, decide

    return decide(read_table(path), Options(**options)).what


MAKERS: Mapping[str, Callable[..., Path]] = {"silicon": pattern}
QUESTIONS: Mapping[str, Callable[..., Any]] = {
    "peak and end": peak_and_end,
    "start and points": start_and_points,
    "wavelength of a pattern": wavelength_read,
    "read as": read_as,
}
