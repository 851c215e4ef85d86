"""Pairs of the frames of a trajectory, counted and averaged as they are read; what frames must be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import ReadError, StructureError, remark
from pdfkit.io._plausible import IN_BOHR
from pdfkit.particles.boxes import box_pairs, check_apart, closest
from pdfkit.structure.species import NOBLE, covalent_radius
from pdfkit.structure.species import species as species_of
from pdfkit.trajectories.averages import Averages, Averaging
from pdfkit.trajectories.sources import Sources, of_frame

# Atoms/Å³: nothing is denser but under pressures of stars; positions in nm are a thousand times.
DENSEST = 0.5


@dataclass(frozen=True, eq=False)
class Counted:
    """Pairs of all frames up to reach (Å) in bins of width, averaged; species, their numbers, the shortest period."""

    averages: Averages
    elements: tuple[str, ...]
    atoms: IntArray
    reach: float
    width: float
    shortest: float
    volumes: tuple[float, float]
    remarks: tuple[str, ...]

    @property
    def header(self) -> dict[str, str]:
        """What a file says of the averages."""
        means = self.averages
        low, high = self.volumes
        out = {
            "atoms": " ".join(f"{e}{n}" for e, n in zip(self.elements, self.atoms, strict=True)),
            "frames": f"{means.frames}",
            "rho0": f"{means.density:.8g}",
            "volume": f"{low:.8g}" if high - low < 1e-9 * high else f"{low:.8g} to {high:.8g}",
        }
        if len(means.blocks) > 1:
            out["blocks"] = f"{len(means.blocks)} of {means.each}"
            known = means.judged
            few = "too few to know how far they depend on each other"
            most = "" if means.unsettled is None else "at most "
            out["independent_frames"] = f"{most}as good as {means.independent:.1f} independent ones" if known else few
        return out

    def beyond_half(self, rmax: float) -> tuple[str, ...]:
        """Return what is said of an rmax (Å) at which atoms meet images of the same neighbours."""
        if rmax <= 0.5 * self.shortest * (1 + 1e-9):
            return ()
        return (
            f"rmax = {rmax:g} Å is beyond half of the box, {0.5 * self.shortest:.4g} Å: pairs with images are counted, "
            "and what the box repeats is in the curve from there on",
        )


def count_frames(
    sources: Sources, reach: float, width: float, blocks: int, tell: Callable[[str], None] | None
) -> Counted:
    """Return the averages over all frames of pairs up to reach (Å), in bins of width (Å)."""
    said: list[str] = []
    averaging, known, heights, volumes = Averaging(blocks, width), None, math.inf, list[float]()
    for number, (box, elements) in enumerate(sources.boxes(said), 1):
        now = elements, np.bincount(box.kind, minlength=len(elements))
        known = known or now
        _refuse_others(number, known, now)
        sums = box_pairs(box, len(elements), reach, width)
        try:
            check_apart(sums, width)
        except StructureError as error:
            raise of_frame(number, error) from None
        if number == 1:
            said += _in_bohr(sums, width, elements)
        averaging.add(sums, len(box.xyz) / box.volume)
        heights = min(heights, float(box.heights.min()))
        volumes = [min([box.volume, *volumes[:1]]), max([box.volume, *volumes[1:]])]
        if tell is not None:
            tell(f"frame {number}: {int(sums[..., 0].sum())} pairs within {reach:.0f} Å")
    if known is None:
        raise ReadError(sources.name, _nothing(sources, said))
    said += _doubts(averaging.result)
    found = (averaging.result, *known, reach, width, heights, (volumes[0], volumes[1]))
    return Counted(*found, tuple(map(remark, said)))


def first_species(sources: Sources) -> tuple[str, ...]:
    """Return the species of the first frame."""
    said: list[str] = []
    for _, elements in sources.boxes(said):
        return elements
    raise ReadError(sources.name, _nothing(sources, said))


def _nothing(sources: Sources, said: Sequence[str]) -> str:
    if said:
        return f"{said[-1]}: there is no whole frame"
    return f"no frame from {sources.start} on: lower start" if sources.start else "there are no frames"


def _in_bohr(sums: Array, width: float, elements: Sequence[str]) -> list[str]:
    """Say it where the nearest atoms of a box are as far apart as bonds in Bohr are: 1.89 times what they are in Å."""
    kinds = [species_of(one).element for one in elements]
    if len(set(kinds)) == 1 or NOBLE & set(kinds):
        return []
    a, b = np.triu_indices(len(kinds))
    radius = np.array([covalent_radius(one) for one in kinds])
    near = np.array([closest(one[None], width) for one in sums])
    ratio = near / (radius[a] + radius[b])
    k = int(np.argmin(ratio))
    if not IN_BOHR[0] < ratio[k] < IN_BOHR[1]:
        return []
    return [
        f"the nearest atoms, {elements[a[k]]} and {elements[b[k]]}, are {near[k]:.3g} Å apart, {ratio[k]:.2g} times "
        "the length of a bond: are positions and cell in Bohr (0.529 Å)?"
    ]


def _refuse_others(number: int, first: tuple[Any, IntArray], now: tuple[Any, IntArray]) -> None:
    if first[0] == now[0] and (first[1] == now[1]).all():
        return
    words = [" ".join(f"{e}{n}" for e, n in zip(*one, strict=True)) for one in (now, first)]
    raise StructureError(
        f"frame {number} has the atoms {words[0]}, and the first {words[1]}: only frames of the same atoms can be "
        "averaged; choose them with start and stop"
    )


def _doubts(averages: Averages) -> list[str]:
    """Return what is odd about the density, and about the length of the run."""
    said = []
    if averages.density > DENSEST:
        said.append(f"{averages.density:.3g} atoms/Å³ is denser than anything: are positions and cell in nm?")
    if averages.same:
        said.append(f"all {averages.frames} frames are the same: nothing tells how large errors are")
    elif averages.unsettled is not None:
        low, high = averages.unsettled
        said.append(
            f"around r = {low:.0f} to {high:.0f} Å frames depend on each other over a tenth of the run or more: errors "
            "there are an estimate that may be too small; a longer run would tell"
        )
    return said
