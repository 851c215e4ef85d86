"""Fits of single scans whose points are weighed anew, so that all scans of one fit are weighed in one way.

The fit of one scan asks whether its residual is noise, and weighs points by the spectrum of that where it is. Near the
limit scans come out one way or the other, and what the model misses moves values by other amounts in each: a trend has
a step where weights change. So all of them are weighed as most ask for, from where their own fits ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pdfkit._checks import Array
from pdfkit.series.posed import Lean, size_of

MISFITS = 0.1
"""Share of scans, one in any case, whose residuals may seem to be more than noise by chance: spectra weigh points."""
FAINT = 1e-8
"""Share of the largest curvature, columns scaled, below which a scan says nothing of a combination of numbers."""
STEPS, HALVINGS = 12, 6
LEVEL = 1e-8
"""Share of χ² below which a step no longer matters."""


def weighed_alike(scans: Sequence[Lean]) -> tuple[list[bool], bool, int]:
    """Return which scans are weighed in another way than all of them shall be, which that is, and how many misfit."""
    noises = [scan.posed.noise for scan in scans]
    wrong = sum(one is not None and not one.weighs for one in noises)
    weighs = wrong <= max(1.0, MISFITS * sum(one is not None for one in noises))
    return [one is not None and one.weighs != weighs for one in noises], weighs, wrong


def settled(scan: Lean, x: Array, *, weighs: bool) -> tuple[Lean, Array]:
    """Return a scan whose points the spectrum of its noise weighs, or nothing, and where its fit from x (n,) ends."""
    noise = scan.posed.noise
    scan = replace(scan if noise is None else scan.with_noise(replace(noise, weighs=weighs)), size=1.0)
    made, limits = scan.scan(), scan.limits
    R = made.triangle(x)
    for _ in range(STEPS):
        cost = float(R[:, -1] @ R[:, -1])
        step = informed(R[:-1, :-1].T @ R[:-1, :-1], R[:-1, :-1].T @ R[:-1, -1], None)[0]
        for halving in range(HALVINGS):
            there = np.clip(x - step / 2**halving, *limits.T)
            other = made.triangle(there)
            less = cost - float(other[:, -1] @ other[:, -1])
            if less > 0:
                break
        else:
            break
        x, R = there, other
        if less <= LEVEL * cost:
            break
    return replace(scan, size=size_of(made, x)), x


def informed(curvature: Array, slope: Array, meat: Array | None) -> tuple[Array, Array]:
    """Return the step to the least of χ² (n,), and the inverse of its covariance N⁻¹MN⁻¹; M is that of the slope, or N.

    Combinations that a scan says nothing of have no step, and no information.
    """
    size = np.sqrt(np.diag(curvature))
    unit = np.where(size > 0, size, 1.0)
    power, vectors = np.linalg.eigh(curvature / np.outer(unit, unit))
    told = vectors[:, power > FAINT * max(power[-1], 1e-300)]
    normal = told.T @ (curvature / np.outer(unit, unit)) @ told
    noise = normal if meat is None else told.T @ (meat / np.outer(unit, unit)) @ told
    step = told @ np.linalg.solve(normal, told.T @ (slope / unit)) / unit
    inner = told @ normal @ np.linalg.solve(noise, normal) @ told.T
    return step, 0.5 * (inner + inner.T) * np.outer(unit, unit)


def errors_of(information: Array) -> Array:
    """Return standard errors (n,) of an information matrix, NaN where it tells nothing."""
    size = np.sqrt(np.diag(information))
    if not (size > 0).all():
        return np.full(size.size, np.nan)
    power, vectors = np.linalg.eigh(information / np.outer(size, size))
    if power[0] <= FAINT * power[-1]:
        return np.full(size.size, np.nan)
    return np.asarray(np.sqrt((vectors**2 / power).sum(axis=1)) / size)


def errors_at(scan: Lean, x: Array) -> Array:
    """Return the standard errors (n,) of the numbers x at which the fit of a scan ends."""
    made = scan.scan()
    R, waves = made.triangle(x)[:-1, :-1], made.waves(x)
    return errors_of(informed(R.T @ R, np.zeros(x.size), waves @ waves.T)[1])


def said_of_weights(wrong: int, count: int, *, weighs: bool) -> tuple[str, ...]:
    """Say how scans are weighed of which residuals ask for different ways."""
    if not wrong:
        return ()
    how = "are weighed by the spectra of their noise" if weighs else "weigh alike"
    return (f"the residuals of {wrong} of {count} are more than noise: points of all {how}",)
