"""The minima that a search found, best first: how low, how often reached, and what tells each from the best."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, overload

import numpy as np

from pdfkit._checks import Array
from pdfkit.model.params import Parameters

# Differences worth naming.
MOST_WORDS = 3
UNSEEN = 0.05
"""Chance of an unseen minimum below which a search is over."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """A minimum: Rw, χ² (with that of restraints), how many starts reached it, and ln Z less that of the best.

    differs : what distinguishes it from the best, in words; "" for the best. free : names of what varied. params :
    Parameters with the values found, to start another fit from. at_bounds : names of those on a bound. flaws : why it
    says nothing of the sample, in words: a peak is left out, U or delta stands where physics ends. χ² of such a minimum
    counts 1.5 or 1.3 times in the order.
    """

    rw: float
    chi2: float
    reached: int
    dlnz: float
    differs: str
    free: tuple[str, ...]
    params: Parameters
    at_bounds: tuple[str, ...] = ()
    flaws: tuple[str, ...] = ()

    @property
    def values(self) -> Array:
        """Values of the free parameters (n,)."""
        return np.array([float(self.params[name].value) for name in self.free])

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and text (for JSON)."""
        about = {name: getattr(self, name) for name in ("rw", "chi2", "reached", "differs")}
        dlnz = self.dlnz if math.isfinite(self.dlnz) else None
        values = dict(zip(self.free, self.values.tolist(), strict=True))
        return {**about, "dlnz": dlnz, "at_bounds": list(self.at_bounds), "flaws": list(self.flaws), "values": values}


@dataclass(frozen=True, eq=False)
class Minima(Sequence[Minimum]):
    """The distinct minima of a search, best first; an ordinary fit has none.

    starts : how many were made. given_up : Rw of those that ended far above the best (χ² more than three times its) and
    were not followed; they are not among the minima. seed : of the starts. stopped : whether the search was
    interrupted.
    """

    found: tuple[Minimum, ...] = ()
    starts: int = 0
    given_up: tuple[float, ...] = ()
    seed: int = 0
    stopped: bool = False

    @overload
    def __getitem__(self, index: int) -> Minimum: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Minimum]: ...
    def __getitem__(self, index: int | slice) -> Minimum | Sequence[Minimum]:
        return self.found[index]

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Minimum]:
        return iter(self.found)

    @property
    def unseen(self) -> float:
        """Chance that one more start would end in a minimum that none has reached (`unseen`)."""
        reached = sum(1 for one in self.found if one.reached)
        return unseen(reached + bool(self.given_up), self.starts)

    def words(self) -> str:
        """Return in a sentence what was searched, and how sure it is that nothing was missed."""
        many = "1 minimum" if len(self) == 1 else f"{len(self)} minima"
        lost = len(self.given_up)
        poor = f", {lost} ended far above it and were given up{_range(self.given_up)}" if lost else ""
        end = "; the search was interrupted" if self.stopped else ""
        share = self.found[0].reached / self.starts if self.starts else 0.0
        return (
            f"{self.starts} starts (seed {self.seed}) found {many}; {share:.0%} of them reached the best{poor}. One "
            f"more would find a new minimum with a chance of {self.unseen:.0%}{end}"
        )

    def rows(self) -> list[tuple[str, ...]]:
        """Return a table as text, with its heads."""
        out: list[tuple[str, ...]] = [("", "Rw", "reached", "Δ ln Z", "what differs")]
        for k, one in enumerate(self.found):
            dlnz = f"{one.dlnz:+.1f}".replace("-", "−") if math.isfinite(one.dlnz) else ""
            differs = one.differs or "the best"
            bounds = [name for name in one.at_bounds if ended(name) not in one.flaws]
            bound = [f"on a bound: {', '.join(bounds)}"] if bounds else []
            words = "; ".join([differs, *one.flaws, *bound])
            out.append((str(k), f"{one.rw:.4f}", f"{one.reached} of {self.starts}", dlnz, words))
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and text (for JSON)."""
        about = {name: getattr(self, name) for name in ("starts", "seed", "stopped", "unseen")}
        given_up = [rw if math.isfinite(rw) else None for rw in self.given_up]
        return {**about, "given_up": given_up, "found": [one.to_dict() for one in self.found]}

    def to_csv(self, path: str | PathLike[str]) -> Path:
        """Write a table, a minimum a row: Rw, χ², how often reached, Δ ln Z, words, free values. WriteError if not."""
        from pdfkit.io._atomic import write_text

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = self.found[0].free if self.found else ()
        writer.writerow(["rw", "chi2", "reached", "delta_lnz", "at_bounds", "flaws", "differs", *names])
        for one in self.found:
            wrong = " ".join(one.at_bounds), "; ".join(one.flaws)
            about = [one.rw, one.chi2, one.reached, one.dlnz, *wrong, one.differs]
            writer.writerow([*about, *one.values.tolist()])
        return write_text(Path(path), text.getvalue())


def _range(rw: Sequence[float]) -> str:
    known = [one for one in rw if math.isfinite(one)]
    return f" (Rw {min(known):.2f} to {max(known):.2f})" if known else ""


def unseen(minima: int, starts: int) -> float:
    """Return the chance that one more start reaches a minimum that none of `starts` did, when they reached `minima`.

    w(w + 1)/(n(n − 1)), the posterior mean with all numbers and sizes of valleys equally probable before. Source:
    Boender and Rinnooy Kan, Math. Program. 37, 59 (1987).
    """
    if starts < 2:
        return 1.0
    return min(1.0, minima * (minima + 1) / (starts * (starts - 1)))


# --- What is wrong ---------------------------------------------------------------------------------------------------


def left_out(pair: str) -> str:
    """Return in words that the model leaves out the peak of a pair ("wz: Cd–Se")."""
    phase, _, names = pair.partition(": ")
    return f"leaves out the peak of {names} in {phase}"


def ended(name: str) -> str:
    """Return in words that a quantity stands on its bound ("wz.Cd.Uiso")."""
    where, _, what = name.rpartition(".")
    phase, _, site = where.partition(".")
    if not site:
        return f"{what} of {phase} at its bound"
    return f"{'U' if what == 'Uiso' else what} of {site} in {phase} at its bound"


# --- What distinguishes ----------------------------------------------------------------------------------------------


def differences(
    best: Mapping[str, float], other: Mapping[str, float], sigma: Mapping[str, float], units: Mapping[str, str]
) -> str:
    """Return in words what tells a minimum from the best: what is exchanged, then what moved by most errors."""
    moved = {name: abs(other[name] - best[name]) / _size(sigma.get(name), best[name]) for name in best}
    swapped = _exchanged(best, other)
    words = [_of_pair(*pair) for pair in swapped]
    named = {name for pair in swapped for name in pair}
    left = sorted((name for name in best if name not in named), key=lambda name: -moved[name])
    for name in left[: max(1, MOST_WORDS - len(words))]:
        if moved[name] > 1.0 and abs(other[name] - best[name]) > 1e-3 * abs(best[name]):
            unit = f" {units[name]}" if units.get(name) else ""
            words.append(f"{name} {other[name]:.4g} for {best[name]:.4g}{unit}")
    return "; ".join(words) or "nothing by more than its error"


def _size(sigma: float | None, value: float) -> float:
    return sigma if sigma is not None and math.isfinite(sigma) and sigma > 0 else 0.1 * abs(value) or 1.0


def _exchanged(best: Mapping[str, float], other: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return the pairs of displacements, of one phase or of one site in two, of which the larger is now the smaller."""
    names = [name for name in best if name.rpartition(".")[2].startswith("U") and best[name] > 0 < other[name]]
    out: list[tuple[str, str]] = []
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :] if _comparable(a, b)]
    for a, b in pairs:
        before, after = math.log(best[a] / best[b]), math.log(other[a] / other[b])
        taken = {name for pair in out for name in pair}
        if before * after < 0 and min(abs(before), abs(after)) > 0.2 and not {a, b} & taken:
            out.append((a, b))
    return out


def _comparable(a: str, b: str) -> bool:
    one, other = a.split("."), b.split(".")
    return sum(x != y for x, y in zip(one, other, strict=True)) == 1 if len(one) == len(other) else False


def _of_pair(a: str, b: str) -> str:
    one, other = a.split("."), b.split(".")
    k = next(i for i, (x, y) in enumerate(zip(one, other, strict=True)) if x != y)
    rest = [part for i, part in enumerate(one) if i != k]
    what, where = (rest[-1], f" in {'.'.join(rest[:-1])}") if k and len(rest) > 1 else (".".join(rest), "")
    return f"{what} of {one[k]} and {other[k]} exchanged{where}"
