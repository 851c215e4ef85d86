"""Particles or damping, told from simulated data of unknown qdamp: `python benchmarks/proposals.py`.

The thresholds of `pdfkit.recipes.sizing` were set on measured data; these crystals and particles, whose truth is known,
were not used for that. Noise is 3 % of the rms of G(r), white below Qmax.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import pdfkit as pk
from pdfkit.recipes.inputs import inputs
from pdfkit.recipes.proposal import propose
from pdfkit.recipes.recipe import run_recipe
from pdfkit.recipes.written import recipe_of

# Structure, diameter (Å; inf for bulk), qdamp (Å⁻¹), range (Å).
CASES = (
    *(("Ni", math.inf, qdamp, 30.0) for qdamp in (0.005, 0.015, 0.06, 0.085, 0.10)),
    ("CeO2", math.inf, 0.08, 50.0),
    ("CdSe_zincblende", 18.0, 0.03, 30.0),
    ("CdSe_zincblende", 20.0, 0.08, 40.0),
    ("CdSe_zincblende", 30.0, 0.05, 30.0),
    ("CdSe_zincblende", 30.0, 0.05, 60.0),
    ("CdSe_zincblende", 35.0, 0.02, 20.0),
    ("CdSe_zincblende", 45.0, 0.03, 30.0),
    ("CdSe_zincblende", 45.0, 0.06, 50.0),
    ("CdSe_zincblende", 60.0, 0.04, 60.0),
    ("CdSe_zincblende", 70.0, 0.015, 30.0),
)
QMAX, NOISE = 25.0, 0.03


def simulated(structure: str, diameter: float, qdamp: float, reach: float, file: Path) -> None:
    """Write G(r) of a crystal, with a header that says nothing of qdamp."""
    shape = None if math.isinf(diameter) else pk.Sphere(diameter)
    crystal = pk.Crystal.from_file(structure, name="true", **({} if shape is None else {"shape": shape}))
    r, rng = np.arange(0.01, reach, 0.01), np.random.default_rng(5)
    G = pk.Model(crystal, pk.Instrument(probe="X", qmax=QMAX, qdamp=qdamp))(r).G
    Q = np.arange(0.02, QMAX, 0.02)
    white = np.sin(np.outer(r, Q)) @ rng.normal(size=Q.size)
    G = G + NOISE * G[r > 1.5].std() / white.std() * white
    pk.io.write_columns(file, ["r", "G"], [r, G], ["mode = xray", f"qmax = {QMAX}"])


def line(structure: str, diameter: float, qdamp: float, reach: float) -> str:
    """Return a row of the table."""
    begin = time.perf_counter()
    with TemporaryDirectory() as folder:
        data, recipe = Path(folder, "data.gr"), Path(folder, "fit.toml")
        simulated(structure, diameter, qdamp, reach, data)
        recipe.write_text(recipe_of(propose(inputs([data, structure])), folder, here=True), encoding="utf-8")
        result = run_recipe(recipe)[0]
    size = result.params.get(f"{structure}.spdiameter")
    shown = "bulk" if size is None else f"{size.value:.1f} ± {size.stderr or math.nan:.1f}"
    truth = "bulk" if math.isinf(diameter) else f"{diameter:g}"
    seconds = time.perf_counter() - begin
    damping = result.params["qdamp"].value
    found = f"{shown} | {qdamp:g} | {damping:.3f} | {result.rw:.3f} | {seconds:.0f} s"
    return f"| {structure} | {reach:g} | {truth} | {found} |"


def main() -> None:
    """Print the table."""
    print("| structure | to r (Å) | D (Å) | D found | qdamp (Å⁻¹) | found | Rw | time |")
    print("|---|---|---|---|---|---|---|---|")
    for case in CASES:
        print(line(*case), flush=True)


if __name__ == "__main__":
    main()
