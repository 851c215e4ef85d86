"""Peaks of a small crystal at many values of its quantities at once, from one list of its pairs.

What is the same for all is looked up once: the list of pairs, that a list is the quickest way to them, composition.
Crystals with molecules, or too many atoms for their kernels to wait for anything else, are not done this way, nor
values that change occupancies or lead so far that another list is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.kernels.batches import peaks_of_many
from pdfkit.kernels.pairs import SMALLEST_VARIANCE
from pdfkit.phases import _lists
from pdfkit.phases._geometry import Points
from pdfkit.phases.base import Broadening, ManyPeaks

if TYPE_CHECKING:
    from pdfkit.phases.crystal import Crystal

# Peaks of a list, and atoms of a cell, up to which many vectors at once gain anything.
MOST, MOST_ATOMS = 20_000, 100


def many_peaks(crystal: Crystal, values: Array, broadening: Array, rmax: float, *, shifted: bool) -> ManyPeaks | None:
    """Return the peaks of pairs up to at least rmax (Å) at values (n, nquantities), None where that gains nothing.

    broadening (n, 2) : qbroad and resolution; shifted : see `Broadening`.
    """
    atoms, maps, n = crystal._atoms, crystal._maps, crystal._maps.count
    if atoms.site.size > MOST_ATOMS or crystal.molecules:
        return None
    free = np.ascontiguousarray(values[:, 1 : 1 + n])
    points = Points.at(maps, atoms, free)
    if (points.occ != points.occ[0]).any():
        return None
    sratio = float(values[:, 3 + n].max())
    widest = max(2.0 * points.u_max, SMALLEST_VARIANCE) * max(1.0, sratio) ** 2
    qbroad, resolution = broadening.max(axis=0).tolist()
    reach = Broadening(qbroad, resolution, np.zeros((0, 2)), shifted).reach(rmax, widest)
    where = crystal._choice.space(free[0], (free[1:] - free[0]).T, reach)
    least = np.array([float(points.u.min(axis=1).max())])
    listed = maps.anisotropic or crystal._choice.surely_listed(least, min(1.0, sratio), reach, where[1])
    if not listed:
        return None
    groups, done = _lists.listed_for_many(crystal, (points.g, points.x), free, reach, where)
    if groups.means is not None or groups.mult.size > MOST:
        return None
    amount = crystal._counted(crystal.located(values[0], values[:1].T[:, :0]))
    width = np.ascontiguousarray(np.column_stack([values[:, 1 + n : 3 + n], broadening, values[:, 3 + n]]))
    shifts = shifted and maps.anisotropic
    u, occ = (np.ascontiguousarray(one[:, atoms.site]) for one in (points.u, points.occ))
    trace = points.traces(atoms.site) if shifts else np.zeros((len(free), 0))
    pairs = (groups.atom_i, groups.atom_j, groups.shift, groups.mult)
    peak, dropped = np.empty((len(free), groups.mult.size, 3)), np.empty(len(free), dtype=np.int64)
    finish = (width, np.ascontiguousarray(values[:, 4 + n]), amount.atoms, peak, dropped)
    arguments: tuple[Any, ...] = (*pairs, points.g, points.x, u, points.b, occ, maps.anisotropic, trace, *finish)
    peaks_of_many(*arguments)
    return ManyPeaks(peak, groups.group_pair, amount.atoms / points.volume, amount.composition, done & (dropped == 0))
