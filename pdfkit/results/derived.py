"""What follows from the numbers of a fit: whether it describes the data, errors of others, fractions of phases."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from pdfkit._checks import Array
from pdfkit.model.model import Model
from pdfkit.model.weights import form_factors
from pdfkit.structure.species import atomic_mass

Uncertain = tuple[float, float]

# Above this Rw nobody would call a curve fitted, but for data that are noise for the most part.
POOR_RW = 0.4
NOISE = 2.0


def describes(rw: float, reduced_chi2: float, errors_from: str) -> bool:
    """Return whether a misfit is small, or no more than known errors make (reduced χ² up to 2)."""
    return rw <= POOR_RW or (errors_from in ("cov", "dG") and reduced_chi2 <= NOISE)


def propagated(covariance: Array, tangents: Array) -> Array:
    """Return T C Tᵀ of C (n, n) and T (m, n), where an undetermined parameter (NaN) spoils only what depends on it."""
    known = np.isfinite(np.diag(covariance))
    filled = np.where(np.isfinite(covariance), covariance, 0.0)
    out = tangents @ filled @ tangents.T
    spoilt = tangents[:, ~known].any(axis=1)
    out[spoilt] = out[:, spoilt] = math.nan
    return np.asarray(out)


def propagated_errors(covariance: Array, tangents: Array) -> Array:
    """Return the roots (m,) of the diagonal of `propagated`, without the rest: m may be thousands; NaN stays NaN."""
    moving = np.flatnonzero(tangents.any(axis=1))
    out = np.zeros(len(tangents))
    for k in range(0, moving.size, 500):
        some = moving[k : k + 500]
        out[some] = np.sqrt(np.maximum(np.diag(propagated(covariance, tangents[some])), 0.0))
    return out


def phase_fractions(model: Model, scale_covariance: Array) -> dict[str, dict[str, Uncertain]]:
    """Return each phase's fraction of atoms, unit cells and mass, with standard errors.

    A mixture's G is Σ_p x_p⟨b⟩_p² G_p/⟨b⟩² with x_p the atom fraction, so x_p ∝ scale_p/⟨b⟩_p²; cells follow by
    dividing by atoms per cell, mass by multiplying with the mean atomic mass. scale_covariance (nphases, nphases) is
    propagated through the normalisation. Source: Farrow et al., J. Phys.: Condens. Matter 19, 335219 (2007).
    """
    scales = np.array([phase.scale for phase in model.phases])
    factors = {"atoms": [], "cells": [], "mass": []}  # type: dict[str, list[float]]
    for phase in model.phases:
        amount: Mapping[str, float] = phase.composition()
        atoms = sum(amount.values())
        b = abs(np.array(list(amount.values())) @ form_factors(tuple(amount), model.instrument, model.strengths))
        mass = sum(n * atomic_mass(e) for e, n in amount.items())
        per_atom = (atoms / b) ** 2
        factors["atoms"].append(per_atom)
        factors["cells"].append(per_atom / atoms)
        factors["mass"].append(per_atom * mass / atoms)
    out: dict[str, dict[str, Uncertain]] = {phase.name: {} for phase in model.phases}
    for kind, weights in factors.items():
        parts = scales * np.array(weights)
        total = parts.sum()
        share = parts / total if total > 0 else np.full(parts.size, math.nan)
        # d(share_i)/d(scale_j) = w_j(δ_ij − share_i)/total
        slope = np.array(weights) * (np.eye(parts.size) - share[:, None]) / (total or math.nan)
        error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", slope, scale_covariance, slope), 0.0))
        for phase, value, sigma in zip(model.phases, share, error, strict=True):
            out[phase.name][kind] = (float(value), float(sigma))
    return out
