"""What the rows of `pdfkit verify --files` ask about G(r) and S(Q), and makers of curves in every kind.

The curves are closed forms, written out here from the definitions [Keen, J. Appl. Cryst. 34, 172 (2001)] and not by
`pdfkit.transforms`: G(r) of a hard sequence of Gaussian shells in a medium of density ρ₀, S(Q) of a liquid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._checks import Array

RHO0 = 0.06  # Å⁻³: as aluminium
SIGMA = 0.1  # Å: width of every shell
LENGTHS = {"Al": 3.449, "Ni": 10.3, "Si": 4.1491, "O": 5.803}  # fm, bound coherent [Sears 1992]
FORMULAS = {"Al": {"Al": 1.0}, "Ni": {"Ni": 1.0}, "SiO2": {"Si": 1 / 3, "O": 2 / 3}}


def b2(formula: str) -> float:
    """Return ⟨b⟩² in barn (1 fm² = 0.01 barn)."""
    return 0.01 * sum(share * LENGTHS[name] for name, share in FORMULAS[formula].items()) ** 2


def shells(rmax: float) -> list[tuple[float, int]]:
    """Return (distance, neighbours) of a face-centred cubic lattice of density ρ₀."""
    half = 0.5 * (4 / RHO0) ** (1 / 3)
    reach = math.ceil((rmax + 1) / half)
    i = np.arange(-reach, reach + 1)
    h, k, l = np.meshgrid(i, i, i, indexing="ij")
    squares = (h**2 + k**2 + l**2)[(h + k + l) % 2 == 0]
    values, counts = np.unique(squares, return_counts=True)
    inside = (values > 0) & (np.sqrt(values) * half < rmax + 1)
    return [(half * math.sqrt(n), int(count)) for n, count in zip(values[inside], counts[inside], strict=True)]


def R_over_r(r: Array) -> Array:
    """Return R(r)/r of the shells: Σ N n(r − d; σ)/r, 0 at r = 0."""
    out = np.zeros(r.size)
    for d, count in shells(float(r[-1])):
        near = (np.abs(r - d) < 8 * SIGMA) & (r > 0)
        norm = count / (SIGMA * math.sqrt(2 * math.pi))
        out[near] += norm * np.exp(-(((r[near] - d) / SIGMA) ** 2) / 2) / r[near]
    return out


def values_of_r(kind: str, r: Array, formula: str) -> Array:
    """Return the values of a kind at r > 0 by its definition."""
    T = R_over_r(r)  # T(r)/⟨b⟩²
    g = T / (4 * math.pi * r * RHO0)
    forms = {
        "G": T - 4 * math.pi * r * RHO0,
        "GK": b2(formula) * (g - 1),
        "D": b2(formula) * (T - 4 * math.pi * r * RHO0),
        "T": b2(formula) * T,
        "R/r": T,
        "R": r * T,
        "g": g,
        "g-1": g - 1,
    }
    return np.asarray(forms[kind])


def S_of_Q(Q: Array) -> Array:
    """Return a liquid's S(Q): 0.05 at small Q, a first peak of 2.2 at 2 Å⁻¹, ripples of 2.5 Å that die away."""
    step = 1 / (1 + np.exp(-8 * (Q - 1.5)))
    peak = 1.2 * np.exp(-(((Q - 2) / 0.3) ** 2))
    return np.asarray(1 - 0.95 * (1 - step) + peak + 0.4 * np.exp(-Q / 8) * np.sin(2.5 * Q) * step)


def values_of_Q(kind: str, Q: Array, formula: str) -> Array:
    """Return the values of a kind by its definition."""
    S = S_of_Q(Q)
    square = b2(formula)
    forms = {
        "S": S,
        "S-1": S - 1,
        "F": Q * (S - 1),
        "FK": square * (S - 1),
        "QFK": square * Q * (S - 1),
    }
    return np.asarray(forms[kind])


@dataclass(frozen=True)
class Columns:
    """A file of columns x, values…, then `zeros` columns of 0 and one of errors; `lines` stand above them.

    x goes from `start` to `stop` by `step`; `of` says whether it is r or Q. scale, x_scale : factors on values and x,
    for files in nm. add : a constant on the values. {n} in a line is the number of points.
    """

    kind: str | Sequence[str]
    file: str
    lines: Sequence[str] = ()
    formula: str = "Al"
    start: float = 0.01
    stop: float = 20.0
    step: float = 0.01
    of: str = "r"
    scale: float = 1.0
    x_scale: float = 1.0
    zeros: int = 0
    errors: bool = False
    add: float = 0.0

    def table(self) -> Array:
        """Return the columns (n, k)."""
        x = np.round(np.arange(self.start, self.stop + self.step / 2, self.step), 10)
        make = values_of_r if self.of == "r" else values_of_Q
        kinds = [self.kind] if isinstance(self.kind, str) else self.kind
        values = [make(one, x, self.formula) * self.scale + self.add for one in kinds]
        rest = [0 * x] * self.zeros + [0.01 + 0 * x] * self.errors
        return np.column_stack([x * self.x_scale, *values, *rest])


def curve(folder: Path, **of: Any) -> Path:
    """Write the file that `Columns` describes into a folder."""
    asked = Columns(**of)
    table = asked.table()
    head = "".join(line.replace("{n}", str(len(table))) + "\n" for line in asked.lines)
    path = folder / asked.file
    path.write_text(head + "\n".join(" ".join(map(repr, row)) for row in table.tolist()) + "\n", encoding="utf-8")
    return path


def G_at(path: Path, r: Sequence[float], **options: Any) -> list[float]:
    """Return G at some of the file's r."""
    from pdfkit.io.pdf import read_pdf

    pdf = read_pdf(path, **options)
    return [float(pdf.G[int(np.argmin(np.abs(pdf.r - one)))]) for one in r]


def S_at(path: Path, Q: Sequence[float], **options: Any) -> list[float]:
    """Return S at some of the file's Q."""
    from pdfkit.io.sq import read_sq

    sq = read_sq(path, **options)
    return [float(sq.S[int(np.argmin(np.abs(sq.Q - one)))]) for one in Q]


def largest_difference(path: Path, **options: Any) -> float:
    """Return the largest |G − closed form| of a file, all of it."""
    from pdfkit.io.pdf import read_pdf

    pdf = read_pdf(path, **options)
    inside = pdf.r > 0
    return float(np.abs(pdf.G[inside] - values_of_r("G", pdf.r[inside], "Al")).max())


def largest_difference_of_S(path: Path, **options: Any) -> float:
    """Return the largest |S − closed form| of a file, all of it."""
    from pdfkit.io.sq import read_sq

    sq = read_sq(path, **options)
    return float(np.abs(sq.S - S_of_Q(sq.Q)).max())


def settings(path: Path, **options: Any) -> dict[str, Any]:
    """Return probe and qmax of a G(r) file."""
    from pdfkit.io.pdf import read_pdf

    instrument = read_pdf(path, **options).instrument
    return {"probe": instrument.probe, "qmax": instrument.qmax, "qdamp": instrument.qdamp}


MAKERS: Mapping[str, Callable[..., Path]] = {"curve": curve}
QUESTIONS: Mapping[str, Callable[..., Any]] = {
    "G at": G_at,
    "S at": S_at,
    "G off by": largest_difference,
    "S off by": largest_difference_of_S,
    "curve settings": settings,
}
