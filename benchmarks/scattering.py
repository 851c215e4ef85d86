"""What constant X-ray weights do to a fit of data of f(Q): `python benchmarks/scattering.py`.

The data have no noise and are made without pdfkit's models: distances are listed, Gaussians summed for each pair of
species, transformed to Q, multiplied there by f_a f_b/⟨f⟩², and transformed back by plain sums. All that is not fitted
is true. Prints Markdown.
"""

from __future__ import annotations

import argparse
import itertools
import math
from typing import Any

import numpy as np

import pdfkit as pk
from pdfkit.scattering import form_factor

QMAX, QDAMP = 25.0, 0.06
R = np.arange(150, 3001) * 0.01
FARTHEST = 100.0  # Å, where B(r) has left 1.5e-8
CRYSTALS = {
    "CeO₂": ("CeO2", "O.Uiso"),
    "ZnO": ("ZnO_wurtzite", "O.Uiso"),
    "TiO₂ (rutile)": ("TiO2_rutile", "O.Uiso"),
    "InP": ("InP_zincblende", "P.Uiso"),
    "CdS (zinc blende)": ("CdS_zincblende", "S.Uiso"),
    "CdSe (zinc blende)": ("CdSe_zincblende", "Se.Uiso"),
}


def crystal(name: str) -> pk.Crystal:
    return pk.Crystal.from_file(name, name="p")


def plain_partials(phase: pk.Crystal, r: np.ndarray, farthest: float) -> dict[tuple[str, str], np.ndarray]:
    """Return c_a c_b(2 − δ_ab) × the number partials on r, not cut: a Gaussian at every distance, less the baseline."""
    structure = phase.structure.to_p1()
    rows, sites = structure.basis(), structure.sites
    reach = [math.ceil(farthest * np.linalg.norm(column)) + 2 for column in np.linalg.inv(rows).T]
    cells = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))), dtype=float)
    amount = {e: sum(site.element == e for site in sites) / len(sites) for e in sorted({s.element for s in sites})}
    rho0 = len(sites) / structure.volume()
    out = {}
    for a, b in itertools.combinations_with_replacement(amount, 2):
        share = (1 if a == b else 2) * amount[a] * amount[b]
        out[a, b] = -4 * math.pi * r * rho0 * share
    for first, second in itertools.product(sites, repeat=2):
        d = np.linalg.norm((cells + np.array(second.xyz) - np.array(first.xyz)) @ rows, axis=1)
        d, count = np.unique(np.round(d[(d > 0.01) & (d < farthest)], 8), return_counts=True)
        s2 = first.U[0] + second.U[0]
        half = math.ceil(8 * math.sqrt(s2) / r[1])
        at = np.round(d / r[1]).astype(int)[:, None] + np.arange(-half, half + 1)
        G = np.zeros(r.size + at.max() + 1)
        height = count / (d * len(sites) * math.sqrt(2 * math.pi * s2))
        np.add.at(G, at, height[:, None] * np.exp(-((at * r[1] - d[:, None]) ** 2) / (2 * s2)))
        out[min(first.element, second.element), max(first.element, second.element)] += G[: r.size]
    return out


def true_curve(phase: pk.Crystal, r: np.ndarray, qmax: float, qdamp: float, farthest: float = FARTHEST) -> np.ndarray:
    """Return G(r) as X-ray data have it, divided by ⟨f(Q)⟩² and cut at qmax (Å⁻¹)."""
    fine = 0.01 * np.arange(round(farthest / 0.01) + 100)
    nodes, share = np.polynomial.legendre.leggauss(int(qmax * (farthest + r[-1]) / 2) + 60)
    Q = 0.5 * qmax * (nodes + 1)
    there = np.sin(np.outer(Q, fine)) * (0.01 * np.exp(-((qdamp * fine) ** 2) / 2))
    amount = phase.composition()
    f = {e: form_factor(e, "X", Q) for e in amount}
    mean = sum(n * f[e] for e, n in amount.items()) / sum(amount.values())
    partials = plain_partials(phase, fine, farthest)
    F = sum((there @ G) * f[a] * f[b] / mean**2 for (a, b), G in partials.items())
    return np.sin(np.outer(r, Q)) @ (share * qmax / math.pi * F)


def fitted(name: str, scattering: str, data: pk.PDF) -> pk.FitResult:
    from dataclasses import replace

    start = pk.Model(crystal(name), replace(data.instrument, scattering=scattering))
    cell = [length for length in ("a", "c") if f"p.{length}" in start.names]
    return pk.fit(start, replace(data, instrument=start.instrument), free=["scale", *cell, "Uiso"])


def off(par: Any, truth: float) -> str:
    """Return how far off a parameter is, in per cent and, where that is not next to nothing, in its own σ."""
    change = par.value / truth - 1
    if abs(change) < 5e-5:
        return f"{100 * change:+.4f} %"
    return f"{100 * change:+.{1 if abs(change) > 0.01 else 3}f} % ({abs(par.value - truth) / par.stderr:.0f} σ)"


def study(which: list[str]) -> None:
    print("| crystal | weights | light atom | scale | a | Rw |")
    print("|---|---|---|---|---|---|")
    for title in which:
        file, light = CRYSTALS[title]
        phase = crystal(file)
        data = pk.PDF(R, true_curve(phase, R, QMAX, QDAMP), instrument=pk.Instrument("X", qmax=QMAX, qdamp=QDAMP))
        truth = dict(zip((q.name for q in phase.quantities), phase.values, strict=True))
        for scattering in ("constant", "q-dependent"):
            result = fitted(file, scattering, data)
            cells = [off(result.params[f"p.{n}"], truth[n]) for n in (light, "scale", "a")]
            name = f"U({light.removesuffix('.Uiso')})"
            print(f"| {title} | {scattering} | {name} {' | '.join(cells)} | {result.rw:.4f} |", flush=True)
    print(f"\nQmax {QMAX:g} Å⁻¹, qdamp {QDAMP:g} Å⁻¹, 1.5–30 Å, no noise.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(CRYSTALS), help="one crystal")
    only = parser.parse_args().only
    study([only] if only else list(CRYSTALS))


if __name__ == "__main__":
    main()
