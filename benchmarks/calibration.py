"""Are the errors right? 500 noisy sets of a two-phase CdS fit on a 0.01 Å grid: `python benchmarks/calibration.py`.

(p̂ − p)/σ should have standard deviation 1, and intervals of ±1σ and ±1.96σ should hold the truth 68 % and 95 % of the
time. Side by side: whitened with the covariance of the data, whitened with what Qmax and window imply (size from dG, or
from the misfit), counted independent points, and every sample taken for independent, as is usual. Prints Markdown.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace

import numpy as np

import pdfkit as pk
from pdfkit.model import noise as model_noise

R = np.arange(150, 2501) * 0.01
TRUTH = {
    "zb.scale": 0.6,
    "zb.a": 5.81,
    "zb.Cd.Uiso": 0.012,
    "zb.S.Uiso": 0.018,
    "zb.spdiameter": 22.0,
    "wz.scale": 0.4,
    "wz.a": 4.12,
    "wz.c": 6.73,
    "wz.S.z": 0.375,
}
TIES = {"wz.spdiameter": "zb.spdiameter", "wz.Cd.Uiso": "zb.Cd.Uiso", "wz.S.Uiso": "zb.S.Uiso"}
FREE = ["scale", "a", "c", "S.z", "Uiso", "spdiameter"]
SIGMA = 0.03


def model(instrument: pk.Instrument) -> pk.Model:
    zb = pk.Crystal.from_file("CdS_zincblende", name="zb", shape=pk.Sphere(22.0), delta2=2.0)
    wz = pk.Crystal.from_file("CdS_wurtzite", name="wz", shape=pk.Sphere(22.0), delta2=2.0)
    values = {**TRUTH, "wz.Cd.Uiso": 0.012, "wz.S.Uiso": 0.018, "wz.spdiameter": 22.0}
    return pk.Model([zb, wz], instrument).with_values(values)


def study(window: str, repeats: int) -> None:
    lab = pk.Instrument(probe="X", qmax=15.0, qdamp=0.03, window=window)
    true = model(lab)
    clean, spectrum = true(R).G, pk.uncertainty.Covariance.white(lab, R[-1])
    full = np.full(R.size, SIGMA)
    ways = {
        "covariance of the data": (pk.PDF(R, clean, full, lab, cov=spectrum.scaled(SIGMA**2)), {}),
        "dG, correlated by Qmax and window": (pk.PDF(R, clean, full, lab), {}),
        "misfit, correlated by Qmax and window": (pk.PDF(R, clean, instrument=lab), {}),
        "independent points counted": (pk.PDF(R, clean, full, lab), {"errors": "independent"}),
        "every sample taken for independent": (pk.PDF(R, clean, full, lab), {"errors": "independent"}),
    }
    print(f"window {window}, {repeats} sets, {R.size} samples, Qmax {lab.qmax:g}\n")
    print("| errors from | spread of (p̂ − p)/σ, least to largest | within 1σ | within 1.96σ | a fit |")
    print("|---|---|---|---|---|")
    noise = [SIGMA * model_noise._unit_noise(R, lab, seed) for seed in range(repeats)]
    for name, (data, options) in ways.items():
        pulls = []
        began = time.perf_counter()
        for one in noise:
            result = pk.fit(true, replace(data, G=clean + one), free=FREE, ties=TIES, **options)
            sigma = np.sqrt(np.diag(result.covariance))
            if name.startswith("every"):
                sigma = sigma / math.sqrt(result.n_points / result.n_independent)
            pulls.append((result.values - np.array([TRUTH[n] for n in result.free])) / sigma)
        each = (time.perf_counter() - began) / repeats
        z = np.array(pulls)
        spread = z.std(axis=0)
        one, two = (np.abs(z) < 1).mean(axis=0), (np.abs(z) < 1.96).mean(axis=0)
        print(
            f"| {name} | {spread.min():.2f} – {spread.max():.2f} | {100 * one.min():.0f} – {100 * one.max():.0f} % "
            f"| {100 * two.min():.0f} – {100 * two.max():.0f} % | {1e3 * each:.0f} ms |"
        )
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=500)
    repeats = parser.parse_args().repeats
    for window in ("none", "lorch"):
        study(window, repeats)


if __name__ == "__main__":
    main()
