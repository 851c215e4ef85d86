"""What no change of method, order or axes may change, and what has to add up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from pdfkit import debye, transforms
from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.fitting.least_squares import fit
from pdfkit.fitting.whitening import whitening
from pdfkit.io.structures import load_structure
from pdfkit.model.model import Model
from pdfkit.particles.counting import count_pairs
from pdfkit.particles.particle import Particle
from pdfkit.phases.cluster import Cluster
from pdfkit.phases.crystal import Crystal
from pdfkit.phases.stacked import Stacked
from pdfkit.scattering import form_factor
from pdfkit.shapes import Sphere
from pdfkit.verification import checks as naive
from pdfkit.verification.checks import UNCUT, Check, ball, crystals, grid, tetrahedron, worst

LAW, METHODS = "conservation", "two methods"
BEAM = Instrument(probe="X", qmax=19.0, qdamp=0.03, qbroad=0.01)


_ROUND = "rounding"
_WHOLE = "whole numbers"
_TAILS = "the tails of a peak beyond 5 σ"
_TRAPEZOIDS = "the sum over Q starts at 0.005 Å⁻¹ and is piecewise linear"
_MERGED = "pairs of large cells are counted in bins of 0.002 Å"
_INTEGRAL = "C is a sum over Q there, an integral here"
_STOP = "where the fit stops"
_ALIAS = "the grid of the cut aliases 1.3e-9 of a peak"
_BINS = "both bin the same shells: rounding"


def checks() -> list[Check]:
    """Return conservation laws and comparisons of methods within pdfkit."""
    laws: tuple[tuple[str, str, float, str, Callable[[], float]], ...] = (
        ("partials add up", "three phases, f(Q), cut; of max|G|", 1e-12, _ROUND, partial(_sum, "partials")),
        ("phases add up", "the same; of max|G|", 1e-12, _ROUND, partial(_sum, "phase_curves")),
        ("pairs of a particle", "Σ pairs − N², 28,087 atoms by FFT", 0.0, _WHOLE, _squares),
        ("neighbours from R(r)", "∫R dr = 12 (Ni), 4 (CdS): relative", 1e-6, _TAILS, _integrals),
        ("neighbours counted", "12 and 6 (Ni), 4 and 12 (CdS): difference", 1e-12, _ROUND, _coordination),
        ("sine transform", "G → F → G of 3 peaks, of the largest", 1e-10, _ROUND, _round_trip),
        ("S(Q) of a model", "back to its G(r), of max|G|", 2e-5, _TRAPEZOIDS, _model_sq),
        ("supercell", "2 × 1 × 3 cells, of max|G|", 2e-7, _MERGED, _supercell),
        ("rotation, order of atoms", "of a cluster, of max|G|", 1e-12, _ROUND, _rotation),
        ("whitening", "W·C·Wᵀ = 1, C by quadrature, absolute", 1e-7, _INTEGRAL, _white),
        ("fit of simulated data", "a, Uiso, spdiameter come back, relative", 1e-8, _STOP, _fit),
    )
    methods: tuple[tuple[str, str, float, str, Callable[[], float]], ...] = (
        ("cluster against Debye", "peaks and f(Q), or F(Q) by quadrature; of max|G|", 2e-8, _ALIAS, _cluster),
        ("lattice against direct", "S(Q) − 1 beyond 1 Å⁻¹, of its largest", 1e-10, _BINS, _lattice),
        ("stacked, α = 0", "zinc blende, of max|G|", 1e-10, _ROUND, _cubic),
        ("stacked, α = 1", "wurtzite, of max|G|", 1e-10, _ROUND, _hexagonal),
    )
    return [*(Check(LAW, *row) for row in laws), *(Check(METHODS, *row) for row in methods)]


def _sum(kind: str) -> float:
    r = grid(0.01, 12.0, 0.01)
    instrument = Instrument(probe="X", qmax=18.0, qdamp=0.04, scattering="q-dependent")
    model = Model(list(crystals()), instrument)
    parts: dict[Any, PDF] = getattr(model, kind)(r)
    return worst(np.sum([part.G for part in parts.values()], axis=0), model(r).G)


def _squares() -> float:
    particle = ball(110.0)
    table = count_pairs(particle, method="lattice")
    return abs(table.total - float(len(particle)) ** 2)


def _integrals() -> float:
    out = 0.0
    for name, low, high, neighbours, of_pair in (("Ni", 2.0, 3.0, 12.0, None), ("CdS_zincblende", 2.0, 3.1, 4.0, "S")):
        crystal = Crystal.from_file(name, name="p")
        # Narrow enough for the peak to fit between the limits.
        crystal = crystal.with_values({q.name: 0.004 for q in crystal.quantities if q.name.endswith("Uiso")})
        r = grid(0.005, 3.5, 0.005)
        model = Model(crystal, replace(UNCUT, probe="N"), strengths=None if of_pair is None else {"Cd": 1.0, "S": 1.0})
        R = model(r).rdf(crystal.structure.number_density())
        inside = (r > low) & (r < high)
        out = max(out, abs(float(R[inside].sum()) * 0.005 / neighbours - 1))
    return out


def _coordination() -> float:
    nickel = Crystal.from_file("Ni", name="ni")
    wurtzite = Crystal.from_file("CdS_wurtzite", name="wz")
    found = [
        nickel.coordination("Ni", "Ni", 2.0, 3.0) - 12,
        nickel.coordination("Ni", "Ni", 3.0, 3.6) - 6,
        wurtzite.coordination("Cd", "S", 2.0, 3.0) - 4,
        wurtzite.coordination("S", "S", 3.9, 4.3) - 12,
    ]
    return float(np.abs(found).max())


def _round_trip() -> float:
    r, Q = grid(0.0, 30.0, 0.01), grid(0.0, 40.0, 0.01)
    G = np.sum([naive.peak(r, d, 0.05) for d in (3.0, 5.0, 9.0)], axis=0)
    F = transforms.inverse_sine_transform(r, G, Q)
    expected = np.sum([np.sin(Q * d) / d * np.exp(-0.05 * Q**2 / 2) for d in (3.0, 5.0, 9.0)], axis=0)
    back = transforms.sine_transform(Q, F, r)
    return max(worst(F, expected), worst(back, G))


def _model_sq() -> float:
    r = grid(0.01, 12.0, 0.01)
    crystal = Crystal.from_file("CdS_zincblende", name="p", shape=Sphere(20.0))
    model = Model(crystal, Instrument(probe="X", qmax=15.0, window="lorch"))
    back = model.sq(grid(0.005, 15.0, 0.005)).to_pdf(r, qmax=15.0, window="lorch")
    return worst(back.G, model(r).G)


def _supercell() -> float:
    r, structure = grid(0.01, 12.0, 0.01), load_structure("CdS_wurtzite")
    one, other = (
        Model(Crystal.from_structure(s, name="p"), Instrument(probe="X", qmax=20.0))(r).G
        for s in (structure, structure.supercell((2, 1, 3)))
    )
    return worst(other, one)


def _rotation() -> float:
    r, particle = grid(0.5, 25.0, 0.01), tetrahedron()
    order = np.random.default_rng(1).permutation(len(particle))
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    turned = (particle.xyz @ turn)[order] + [1.0, 2.0, 3.0]
    other = Particle.of([particle.symbols[i] for i in order], turned)
    one, two = (Model(Cluster(p, "c"), replace(BEAM, qmin=0.9))(r).G for p in (particle, other))
    return worst(two, one)


def _white() -> float:
    r = grid(1.5, 30.0, 0.01)
    dG = 0.05 + 0.001 * r
    instrument = Instrument(probe="X", qmax=15.0, window="lorch")
    made = whitening(PDF(r, r, dG, instrument=instrument), instrument, True)
    # F(Q) of equal errors everywhere, times the window M: cov(G(r), G(r')) ∝ ∫M² sin(Qr) sin(Qr') dQ.
    Q, w = naive.nodes(0.0, 15.0, 400)
    waves = np.sin(np.outer(r[made.index], Q)) * transforms.window("lorch", Q, 15.0) * np.sqrt(w)
    C = waves @ waves.T
    C *= np.outer(dG[made.index], dG[made.index]) / np.sqrt(np.outer(np.diag(C), np.diag(C)))
    return float(np.abs(made.matrix @ C @ made.matrix.T - np.eye(len(made.matrix))).max())


def _fit() -> float:
    r = grid(1.5, 25.0, 0.02)
    truth = {"a": 5.85, "Cd.Uiso": 0.011, "S.Uiso": 0.016, "spdiameter": 27.0}
    start = Crystal.from_file("CdS_zincblende", name="zb", shape=Sphere(30.0))
    data = Model(start.with_values(truth), BEAM)(r)
    found = fit(Model(start, BEAM), PDF(r, data.G, instrument=BEAM), free=["scale", "a", "Uiso", "spdiameter"])
    return max(abs(float(found.params[f"zb.{name}"].value) / value - 1) for name, value in truth.items())


# --- two methods -----------------------------------------------------------------------------------------------------


def _cluster() -> float:
    """A cluster's peaks in r against the Debye equation, summed over atoms by loops and transformed by quadrature."""
    particle, r, u = tetrahedron(), grid(0.5, 25.0, 0.01), {"Cd": 0.011, "S": 0.02}
    Q, w = naive.nodes(0.9, 20.0, 400)
    f = {e: form_factor(e, "X", Q) for e in u}
    mean = sum(f[s] for s in particle.symbols) / len(particle)
    own = sum(f[s] ** 2 for s in particle.symbols)
    F = Q * (naive.debye(particle, f, u, Q) - own) / len(particle) / mean**2
    expected: Array = 2 / math.pi * (np.sin(np.outer(r, Q)) @ (F * w))
    cluster = Cluster(particle, "c", Uiso=u, baseline="none")
    return worst(Model(cluster, Instrument(probe="X", qmin=0.9, qmax=20.0))(r).G, expected)


def _lattice() -> float:
    particle, Q = ball(56.0), grid(0.0, 25.0, 0.05)
    S = [
        debye.structure_function(count_pairs(particle, method=m), Q, particle.elements, debye.Motion(0.01), probe="X")
        for m in ("lattice", "direct")
    ]
    return float(np.abs(S[0] - S[1])[Q > 1].max() / np.abs(S[1])[Q > 1].max())


_U = {"Cd": 0.012, "Se": 0.02}


def _against(crystal: Crystal, **cell: float) -> float:
    r = grid(0.5, 40.0, 0.02)
    phase = Stacked("Cd", "Se", name="st", Uiso=_U, delta2=2.5, shape=Sphere(33.0), **cell)
    return worst(Model(phase, BEAM)(r).G, Model(crystal, BEAM)(r).G)


def _cubic() -> float:
    a, u = 6.05, {f"{e}.Uiso": value for e, value in _U.items()}
    crystal = Crystal.from_file("CdSe_zincblende", name="st", shape=Sphere(33.0), delta2=2.5)
    return _against(crystal.with_values({"a": a, **u}), a_h=a / math.sqrt(2), h=a / math.sqrt(3), u=0.375, alpha=0.0)


def _hexagonal() -> float:
    a, h, u = 4.2987, 3.5113, 0.3763
    crystal = Crystal.from_file("CdSe_wurtzite", name="st", shape=Sphere(33.0), delta2=2.5)
    values = {"a": a, "c": 2 * h, "Se.z": u, **{f"{e}.Uiso": value for e, value in _U.items()}}
    return _against(crystal.with_values(values), a_h=a, h=h, u=u, alpha=1.0)
