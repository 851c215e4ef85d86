"""Energy and forces of charged Lennard-Jones atoms: every pair of a finite cluster, without a cutoff.

    E = Σ_{i<j} k q_i q_j / r + 4 ε_ij ((σ_ij/r)¹² − (σ_ij/r)⁶)

Atoms are of kinds: `charge` (nk,), `sigma` and `epsilon` (nk, nk).
"""

from __future__ import annotations

import math

from pdfkit._checks import Array, IntArray
from pdfkit.kernels._jit import kernel

COULOMB = 14.399645478425667
"""eV·Å between two elementary charges."""


@kernel
def pair_terms(r: float, qq: float, sigma: float, epsilon: float) -> tuple[float, float]:
    """Return the energy (eV) of a pair at r (Å) and −dE/dr (eV/Å); qq : product of the two charges."""
    coulomb = COULOMB * qq / r
    six = (sigma / r) ** 6
    attraction = 4.0 * epsilon * six
    repulsion = attraction * six
    return coulomb + repulsion - attraction, (coulomb + 12.0 * repulsion - 6.0 * attraction) / r


@kernel
def ionic_forces(xyz: Array, kind: IntArray, charge: Array, sigma: Array, epsilon: Array, forces: Array) -> float:
    """Fill forces (n, 3) in eV/Å and return the energy in eV."""
    n, energy = xyz.shape[0], 0.0
    forces[:] = 0.0
    for i in range(n):
        for j in range(i):
            dx, dy, dz = xyz[i, 0] - xyz[j, 0], xyz[i, 1] - xyz[j, 1], xyz[i, 2] - xyz[j, 2]
            r = math.sqrt(dx * dx + dy * dy + dz * dz)
            a, b = kind[i], kind[j]
            term, push = pair_terms(r, charge[a] * charge[b], sigma[a, b], epsilon[a, b])
            energy += term
            along = push / r
            for k, d in ((0, dx), (1, dy), (2, dz)):
                forces[i, k] += along * d
                forces[j, k] -= along * d
    return energy
