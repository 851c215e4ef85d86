"""What a column of r can betray: lost lines, damaged values, other units, another function."""

from __future__ import annotations

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import ReadError
from pdfkit.io._text import Table

# A step may be this far from the common one: r is often rounded to a few digits.
_STEP_TOLERANCE = 0.35
# Irregular steps up to this share of all are damage; more than that is a grid made that way.
_DAMAGE_SHARE = 0.05
_WIDEST = 1.0  # Å: data that end at Q = 3.1 Å⁻¹ have as many points


def check_finite(table: Table, values: Array, name: str) -> None:
    """Refuse NaN and infinities, naming the line."""
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        i = int(bad[0])
        message = f"{name} = {values[i]} is not a number to use: repair or delete the row"
        raise ReadError(table.path, message, int(table.lines[i]))


def check_increasing(table: Table, x: Array, name: str) -> None:
    """Refuse fewer than two points, negative values and steps that are not upward, naming the line."""
    check_finite(table, x, name)
    if x.size < 2:
        message = f"there is only one row, {name} = {x[0]:g}: at least 2 are needed"
        raise ReadError(table.path, message, int(table.lines[0]))
    if x[0] < 0:
        raise ReadError(table.path, f"{name} = {x[0]:g} is negative: is this the right file?", int(table.lines[0]))
    bad = np.flatnonzero(x[1:] <= x[:-1])
    if bad.size:
        i = int(bad[0]) + 1
        what = "repeats" if x[i] == x[i - 1] else f"follows {x[i - 1]:.10g}"
        message = f"{name} = {x[i]:.10g} {what}: {name} must increase; delete or sort the rows"
        raise ReadError(table.path, message, int(table.lines[i]))


def check_grid(table: Table, r: Array, *, gaps: bool = True) -> bool:
    """Return whether r is uniform; refuse values out of order and, with `gaps`, a lost or damaged line.

    A grid that is uniform but for a few isolated steps (each at most two in a row, together at most 5 % of
    all) has lost a line or holds a damaged r. Grids with more irregular steps than that were made so.
    """
    check_increasing(table, r, "r")
    step = np.diff(r)
    common = float(np.median(step))
    odd = np.abs(step - common) > _STEP_TOLERANCE * common
    if not odd.any():
        return True
    if not gaps or step.size < 8:
        return False
    edges = np.flatnonzero(np.diff(np.concatenate(([0], odd, [0]))))
    longest = int((edges[1::2] - edges[::2]).max())
    if longest <= 2 and odd.sum() <= max(1.0 if longest == 1 else 2.0, _DAMAGE_SHARE * step.size):
        i = int(np.argmax(odd)) + 1
        message = (
            f"r goes from {r[i - 1]:.10g} to {r[i]:.10g} where the step is {common:.6g} elsewhere: "
            "a row is missing or its r is wrong; restore it, or split the file there"
        )
        raise ReadError(table.path, message, int(table.lines[i]))
    return False


def check_count(table: Table) -> None:
    """Compare a point count on line 1 (RMCProfile, NOMAD) with the rows; some writers count one too few."""
    if not table.header or table.marked:
        return
    number, text = table.header[0]
    count = text.lstrip("# \t")
    if number != 1 or not count.isascii() or not count.isdigit():
        return
    rows = len(table.data)
    if rows not in (int(count), int(count) + 1):
        message = f"line 1 counts {count[:20]} points and there are {rows} rows: the file is cut short or mixed"
        raise ReadError(table.path, message, int(table.lines[-1]))


def check_length_unit(table: Table, unit: str | None, r: Array, G: Array | None) -> None:
    """Refuse r that is not in Å: said by a label, or shown by a short range with a peak where no atom pair is, or by
    steps wider than any peak."""
    remedy = 'give r_unit="nm" to convert r and G, or r_unit="A" if it is in Å'
    if unit == "nm":
        raise ReadError(table.path, f"the header says that r is in nm: {remedy}")
    if unit not in (None, "A"):
        raise ReadError(table.path, f'the label says that r is in {unit}: write it in Å or nm, or give r_unit="A"')
    step = float(np.median(np.diff(r)))
    if step >= _WIDEST or (step >= 0.2 * _WIDEST and r[-1] > 250):
        message = f"r goes to {r[-1]:g} in steps of {step:g}, too wide for Å: is it in pm, or are the rows numbered?"
        raise ReadError(table.path, f'{message} Put r in Å first, or give r_unit="A" if it is right')
    if G is not None and unit is None and 1.0 <= r[-1] < 6.0:
        peak = int(np.argmax(G))
        # No two nuclei are nearer than 0.7 Å; bond lengths are 0.1–0.7 nm. In Å, G at such r is a ripple of the
        # reduction: not alone, not beyond 50 Å⁻², not on steps of 0.001 Å.
        alone = not (np.abs(G[r < 0.1]) > 0.5 * G[peak]).any()
        fine = r[1] - r[0] < 0.003
        if G[peak] > 0 and 0.1 < r[peak] < 0.7 and (alone or fine or G[peak] > 50.0):
            message = f"r ends at {r[-1]:g}, G peaks at r = {r[peak]:g}: usual in nm, not in Å; {remedy}"
            raise ReadError(table.path, message)
