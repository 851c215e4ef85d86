"""Agreement with the definitions: sums over every pair, loops over atoms, quadrature, central differences."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np

from pdfkit import debye
from pdfkit._checks import Array
from pdfkit.data.instrument import Instrument
from pdfkit.model.model import Model
from pdfkit.particles.counting import count_pairs
from pdfkit.phases.cluster import Cluster
from pdfkit.phases.crystal import Crystal
from pdfkit.phases.stacked import Stacked
from pdfkit.scattering import form_factor
from pdfkit.shapes import LognormalSpheres, Sphere
from pdfkit.transforms import window
from pdfkit.verification import checks as naive
from pdfkit.verification.checks import UNCUT, Check, Z, ball, crystals, grid, tetrahedron, worst

TOPIC = "direct sums"
_KNEE = "the kink of γ₀ at r = D aliases by 1e-6"


def checks() -> list[Check]:
    """Return the comparisons with plain sums."""
    resampled = "peaks end at 7 σ (2e-11); resampling is good to 2e-9"
    exact = "whole numbers"
    return [
        *(
            Check(TOPIC, f"{name} crystal", "all partials G_ab(r), of max|G|", 2e-9, resampled, partial(_crystal, k))
            for k, name in enumerate(("cubic", "hexagonal", "triclinic"))
        ),
        Check(TOPIC, "cut at Qmax", "Lorch window, constant weights, of max|G|", 2e-6, _KNEE, partial(_cut, "lorch")),
        Check(TOPIC, "f(Q) weights", "the default: partials weighted in Q, of max|G|", 2e-6, _KNEE, _q_weights),
        Check(TOPIC, "Debye sum, direct", "I(Q) of Cd35S20, relative", 1e-11, "rounding", partial(_debye, "direct")),
        Check(
            TOPIC,
            "Debye sum, grid",
            "I(Q) of Cd35S20, relative",
            1e-10,
            "the grid is good to 1e-12 of Σ|w|/d",
            partial(_debye, "grid"),
        ),
        Check(TOPIC, "pairs, exact", "differing counts", 0.0, exact, partial(_counts, "exact")),
        Check(TOPIC, "pairs, direct", "differing counts", 0.0, exact, partial(_counts, "direct")),
        Check(TOPIC, "pairs, lattice (FFT)", "differing counts", 0.0, exact, partial(_counts, "lattice")),
        *(
            Check(
                TOPIC,
                f"Jacobian, {kind}",
                "of the largest derivative",
                1e-6,
                "central differences of curves good to 1e-13 leave 1e-8",
                measure,
            )
            for kind, measure in (
                ("crystal", partial(_jacobian, "crystal")),
                ("cluster", partial(_jacobian, "cluster")),
                ("stacked", partial(_jacobian, "stacked")),
            )
        ),
    ]


def _crystal(which: int) -> float:
    crystal = crystals()[which]
    r = grid(0.01, 8.0, 0.01)
    expected = naive.crystal_G(crystal, r, Z, resolution=0.006, qdamp=0.03)
    found = Model(crystal, replace(UNCUT, qdamp=0.03, resolution=0.006)).partials(r)
    largest = max(float(np.abs(G).max()) for G in expected.values())
    return max(worst(found[pair].G, G, largest) for pair, G in expected.items())


def _cut(kind: str) -> float:
    crystal = Crystal.from_file("CdS_zincblende", name="p", shape=Sphere(15.0))
    out_r, fine = grid(0.7, 20.0, 0.3), grid(0.0, 16.0, 0.005)
    whole = Model(crystal, UNCUT)(fine).G
    expected = naive.cut(fine, whole, 15.0, out_r, lambda q: window(kind, q, 15.0))
    found = Model(crystal, Instrument(probe="X", qmax=15.0, window=kind, scattering="constant"))(out_r).G
    return worst(found, expected, float(np.abs(whole).max()))


def _q_weights() -> float:
    crystal = Crystal.from_file("CdS_zincblende", name="p", shape=Sphere(15.0))
    out_r, fine = grid(0.7, 20.0, 0.3), grid(0.0, 16.0, 0.005)
    expected = np.zeros(out_r.size)
    for (a, b), part in Model(crystal, UNCUT).partials(fine, weighted=False).items():
        share = 0.25 if a == b else 0.5  # c_a c_b (2 − δ_ab)

        def weight(q: Array, a: str = a, b: str = b) -> Array:
            f = {e: form_factor(e, "X", q) for e in ("Cd", "S")}
            return np.asarray(f[a] * f[b] / (0.5 * f["Cd"] + 0.5 * f["S"]) ** 2)

        expected += share * naive.cut(fine, part.G, 15.0, out_r, weight)
    model = Model(crystal, Instrument(probe="X", qmax=15.0))
    return worst(model(out_r).G, expected)


def _debye(method: str) -> float:
    particle, Q = tetrahedron(), grid(0.1, 25.0, 0.1)
    u = {"Cd": 0.008, "S": 0.012}
    expected = naive.debye(particle, {e: form_factor(e, "X", Q) for e in u}, u, Q)
    motion = debye.Motion(tuple(u[e] for e in particle.elements))
    found = debye.intensity(count_pairs(particle), Q, particle.elements, motion, probe="X", method=method)
    return float(np.abs(found / expected - 1).max())


def _counts(method: str) -> float:
    """Return how many pairs are counted at another distance or as another kind than two loops find."""
    particle = ball(17.0)
    table = count_pairs(particle, method=method)
    found: Counter[tuple[int, float]] = Counter()
    for d, pair, n in zip(table.distance, table.pair, table.count, strict=True):
        low, high = table.pairs[pair]
        found[10 * low + high, round(float(d), 6)] += round(float(n))
    expected = naive.shells(particle)
    return float(sum(abs(found[key] - expected[key]) for key in found.keys() | expected.keys()))


# --- derivatives -----------------------------------------------------------------------------------------------------

_SMALL = ("Uiso", "U11", "U33", "Ulayer", "qdamp", "qbroad", "resolution", "qtail", "expansion", "surface_Uiso")


def _model(kind: str) -> Model:
    instrument = Instrument(probe="X", qmax=19.0, qdamp=0.03, qbroad=0.02, resolution=0.005, qtail=0.03)
    if kind == "crystal":
        return Model(
            Crystal.from_file("CdS_wurtzite", name="p", delta2=2.0, shape=LognormalSpheres(20.0, 4.0)), instrument
        )
    if kind == "cluster":
        return Model(Cluster(tetrahedron(), "p", delta2=1.5), instrument)
    return Model(
        Stacked("Cd", "S", name="p", a_h=4.13, alpha=0.3, Uiso={"Cd": 0.01, "S": 0.015}, shape=Sphere(25.0)), instrument
    )


def _jacobian(kind: str) -> float:
    """Return the largest difference from five-point central differences, over all parameters."""
    model, r = _model(kind), grid(1.5, 20.0, 0.02)
    evaluate, values = model.evaluator(r), model.values
    _, jacobian = evaluate(values, np.eye(values.size))
    out = 0.0
    for k, name in enumerate(model.names):
        last = name.rsplit(".", 1)[-1]
        if last in ("rcut", "layers"):  # G jumps or bends there
            continue
        step = 1e-5 if last in _SMALL else 1e-4 * max(1.0, abs(values[k]))
        expected = np.zeros(r.size)
        for offset, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
            moved = values.copy()
            moved[k] += offset * step
            expected += weight * evaluate(moved)[0] / (12 * step)
        largest = float(np.abs(expected).max())
        out = max(out, worst(jacobian[k], expected, max(largest, 1e-3)))
    return out
