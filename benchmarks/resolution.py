"""What the resolution of an instrument does to peaks, against explicit convolutions: `python benchmarks/resolution.py`.

F(Q) of a model is convolved with the line of the instrument by plain sums, transformed, and fitted: does
(resolution·r)² describe lines of constant ΔQ/Q, qtail exponential ones, and do numbers fitted to nickel hold for CdS?
Beside it the measured nickel of the PDFgui book, and peaks of anisotropic displacement against 3-D Gaussians.
Prints Markdown.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
from measured import example
from scipy import signal

import pdfkit as pk
from pdfkit.model import Convention

QMAX, QDAMP, STEP = 25.0, 0.03, 0.001
R = np.arange(150, 5001) * 0.01
BEAM = {"probe": "X", "qmax": QMAX, "scattering": "constant"}
NICKEL = pk.Crystal.from_file("Ni", name="ni", delta2=2.0).with_values({"Ni.Uiso": 0.006})
CDS = pk.Crystal.from_file("CdS_zincblende", name="zb", delta2=2.5).with_values({"Cd.Uiso": 0.012, "S.Uiso": 0.018})

Line = Callable[[np.ndarray, float], np.ndarray]


def gaussian(p: float) -> Line:
    """Return lines of standard deviation p·Q: their weights at Q′ − Q."""
    return lambda x, q: np.exp(-0.5 * (x / max(p * q, STEP / 3)) ** 2)


def sharp(crystal: pk.Crystal, Q: np.ndarray) -> np.ndarray:
    """Return F(Q) of a crystal with lines of constant width, QDAMP; odd in Q."""
    fine = 0.04 * np.arange(1, 5500)
    damped = pk.Instrument(probe="X", qmax=math.inf, qdamp=QDAMP, scattering="constant")
    return np.sign(Q) * pk.transforms.inverse_sine_transform(fine, pk.Model(crystal, damped)(fine).G, np.abs(Q))


def measured(crystal: pk.Crystal, line: Line, reach: Callable[[float], float]) -> pk.PDF:
    """Return the G(r) of a crystal whose F(Q) is convolved with the line, by plain sums over a fine grid of Q."""
    Q = STEP * np.arange(round((QMAX + reach(QMAX)) / STEP) + 2)
    F = sharp(crystal, Q)
    inside = round(QMAX / STEP) + 1
    out = np.empty(inside)
    for k, q in enumerate(Q[:inside]):
        low, high = np.searchsorted(Q, [q - reach(q) - 1e-9, q + reach(q) + 1e-9])
        weight = line(Q[low:high] - q, q)
        out[k] = weight @ F[low:high] / weight.sum()
    return transformed(out)


def tailed(crystal: pk.Crystal, tau: float) -> pk.PDF:
    """Return the G(r) of F′(Q) = ∫F(Q ± s)exp(−s/|τ|)/|τ| ds: exact for F straight between the points of the grid."""
    size, more = abs(tau), round(40 * abs(tau) / STEP)
    inside = round(QMAX / STEP) + 1
    Q = STEP * np.arange(0 if tau > 0 else -more, inside + (more if tau > 0 else 0))
    F = sharp(crystal, Q)[:: -1 if tau > 0 else 1]
    keep = math.exp(-STEP / size)
    new = 1 - size / STEP * (1 - keep)
    out = signal.lfilter([new, 1 - keep - new], [1, -keep], F)
    return transformed(out[::-1][:inside] if tau > 0 else out[more:])


def transformed(F: np.ndarray) -> pk.PDF:
    """Return G on R of F (nQ,) from Q = 0 to Qmax."""
    weights = np.full(F.size, STEP)
    weights[[0, -1]] *= 0.5
    Q = STEP * np.arange(F.size)
    parts = [2 / math.pi * np.sin(np.outer(r, Q)) @ (F * weights) for r in np.array_split(R, 20)]
    return pk.PDF(R, np.concatenate(parts), instrument=pk.Instrument(**BEAM))


def rw(data: pk.PDF, G: np.ndarray) -> float:
    return math.sqrt(float(((data.G - G) ** 2).sum() / (data.G**2).sum()))


def lines_of_constant_ratio() -> None:
    print(f"Ni, Qmax {QMAX:g}, 1.5–50 Å, F(Q) convolved with Gaussians of ΔQ/Q = p: Rw of the model at the truth\n")
    print("| p | resolution = p | no resolution |\n|---|---|---|")
    for p in (0.002, 0.004, 0.01):
        data = measured(NICKEL, gaussian(p), lambda q, p=p: 8 * p * q + 3 * STEP)
        model = (pk.Model(NICKEL, pk.Instrument(**BEAM, qdamp=QDAMP, resolution=one))(R).G for one in (p, 0.0))
        print(f"| {p:g} | {' | '.join(f'{rw(data, G):.4f}' for G in model)} |")
    print()


def carried_over(p: float = 0.004) -> None:
    print(f"Ni → CdS, ΔQ/Q = {p:g}: the instrument is fitted to Ni, carried over, and CdS fitted\n")
    print(
        "| instrument's number | on Ni | Rw of Ni | U(Cd) | U(S) | δ₂ (2.5 Å²) | Rw of CdS |\n"
        "|---|---|---|---|---|---|---|"
    )
    data = [measured(one, gaussian(p), lambda q: 8 * p * q + 3 * STEP) for one in (NICKEL, CDS)]
    for name in ("resolution", "qbroad"):
        model = pk.Model(NICKEL, pk.Instrument(**BEAM, qdamp=0.02))
        free = ["scale", "a", "Uiso", "delta2", "qdamp", name]
        standard = pk.fit(model, data[0], free=free)
        beam = {key: standard.params[key].value for key in ("qdamp", name)}
        found = pk.fit(pk.Model(CDS, pk.Instrument(**BEAM, **beam)), data[1], free=["scale", "a", "Uiso", "delta2"])
        errors = [found.params[f"zb.{e}.Uiso"].value / u - 1 for e, u in (("Cd", 0.012), ("S", 0.018))]
        shown = " | ".join(f"{100 * one:+.1f} %" for one in errors)
        delta2 = found.params["zb.delta2"].value
        print(f"| {name} | {beam[name]:.4f} | {standard.rw:.4f} | {shown} | {delta2:.2f} | {found.rw:.4f} |")
    print()


def exponential_tails() -> None:
    print("Ni, F(Q) convolved with an exponential: Rw at the truth, and of fits of scale, a, U, δ₂, qdamp\n")
    print("| qtail, Å⁻¹ | at the truth | fit without | its a (3.524 Å) | fit with qtail | its a | its qtail |")
    print("|---|---|---|---|---|---|---|")
    for tau in (0.06, -0.06, 0.02):
        data = tailed(NICKEL, tau)
        exact = rw(data, pk.Model(NICKEL, pk.Instrument(**BEAM, qdamp=QDAMP, qtail=tau))(R).G)
        start, free = pk.Model(NICKEL, pk.Instrument(**BEAM, qdamp=0.02)), ["scale", "a", "Uiso", "delta2", "qdamp"]
        without, found = pk.fit(start, data, free=free), pk.fit(start, data, free=[*free, "qtail"])
        cells = [one.params["ni.a"].value for one in (without, found)]
        print(
            f"| {tau:g} | {exact:.5f} | {without.rw:.2f} | {cells[0]:.4f} | {found.rw:.5f} | {cells[1]:.4f} "
            f"| {found.params['qtail'].value:.5f} |"
        )
    print()


def measured_nickel() -> None:
    data = pk.read_pdf(example("ch03NiModelling/data/Ni.gr"), probe="X", qmax=25)
    print("Measured Ni, 1.5–50 Å\n\n| free | Rw | U, Å² | value |\n|---|---|---|---|")
    for name in ("resolution", "qbroad"):
        model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        free = ["scale", "a", "Uiso", "delta2", "qdamp", name]
        found = pk.fit(model, data, rmin=1.5, rmax=50, free=free)
        u, value = found.params["ni.Ni.Uiso"], found.params[name]
        print(f"| {name} | {found.rw:.4f} | {u.value:.5f} ± {u.stderr:.5f} | {value.value:.5f} ± {value.stderr:.5f} |")
    print()


def three_dimensions(r: np.ndarray, d: float, S: np.ndarray) -> np.ndarray:
    """Return the peak of a pair at (0, 0, d) whose relative displacement is Gaussian, S (3, 3) Å², by quadrature."""
    x, w = np.polynomial.legendre.leggauss(300)
    theta, weight = 0.5 * (x + 1) * 2.0, w  # to 2 rad
    phi = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    T, P = np.meshgrid(theta, phi, indexing="ij")
    n = np.stack([np.sin(T) * np.cos(P), np.sin(T) * np.sin(P), np.cos(T)], axis=-1)
    area = (weight * np.sin(theta))[:, None] * (2 * math.pi / 64)
    norm = 1.0 / math.sqrt((2 * math.pi) ** 3 * np.linalg.det(S))
    out = np.empty(r.size)
    for k, one in enumerate(r):
        v = one * n - [0.0, 0.0, d]
        out[k] = one * norm * (area * np.exp(-0.5 * np.einsum("...i,ij,...j", v, np.linalg.inv(S), v))).sum()
    return out


def anisotropy() -> None:
    print("A pair at 2.5 Å, relative displacement 2U: largest difference from the 3-D Gaussian, of the peak's height\n")
    print("| U along, across, angle of the axis | shifted | none |\n|---|---|---|")
    for along, across, angle in (
        (0.005, 0.03, 0),
        (0.03, 0.005, 0),
        (0.01, 0.02, 0),
        (0.005, 0.03, 20),
        (0.005, 0.03, 45),
    ):
        worst = [100 * deviation(along, across, math.radians(angle), how) for how in ("shifted", "none")]
        print(f"| {along:g}, {across:g}, {angle}° | {worst[0]:.1f} % | {worst[1]:.1f} % |")
    print()


def deviation(along: float, across: float, angle: float, how: str, d: float = 2.5) -> float:
    """Return the difference of the model's peak from the exact one, over its height."""
    c, s = math.cos(angle), math.sin(angle)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    U = turn @ np.diag([across, across, along]) @ turn.T
    r = np.arange(d - 1.0, d + 1.0, 0.004)
    exact = three_dimensions(r, d, 2 * U)
    tensor = (U[0, 0], U[1, 1], U[2, 2], U[0, 1], U[0, 2], U[1, 2])
    sites = [pk.structure.Site(x, "Ni", (0, 0, z), U=tensor, isotropic=False) for x, z in (("A", 0.0), ("B", d / 12))]
    pair = pk.Crystal.from_structure(pk.Structure((12.0,) * 3 + (90.0,) * 3, tuple(sites)), name="p")
    model = pk.Model(pair, pk.Instrument(probe="X", qmax=math.inf), Convention(anisotropy=how))
    G = model(r).G + 4 * math.pi * r * 2 / 12.0**3  # one neighbour an atom
    return float(np.abs(G - exact).max() / exact.max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    lines_of_constant_ratio()
    carried_over()
    exponential_tails()
    anisotropy()
    measured_nickel()


if __name__ == "__main__":
    main()
