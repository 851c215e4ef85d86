"""Which of all complete Cd37S20? G(r) alone, and with small angles and a powder pattern beside it.

    python benchmarks/joint.py                              # rigid sets: every one is true in turn
    python benchmarks/joint.py --relaxed chgnet             # the same, displaced as a potential relaxes them
    python benchmarks/joint.py --displacement none          # candidates are rigid
    python benchmarks/joint.py --every 6                    # every sixth set

Each of the 36 complete sets is true in turn. G(r) is that of benchmarks/screening.py (Qmax 15, noise 0.02 Å⁻²); small
angles are 200 points from 0.03 to 0.6 Å⁻¹ with errors of 1 %; the powder pattern is Cu Kα from 10 to 90° in steps of
0.05°, counts with 10,000 (or 1,000) at the strongest maximum over a background as high (or three times as high).
Relaxations (benchmarks/relaxed.json: chgnet, classical) are scaled to the sizes in the table. Prints Markdown for
docs/results.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from ligands import stored

import pdfkit as pk
from pdfkit.data.curves import to_Q
from pdfkit.model import noise
from pdfkit.screening.study import EQUAL

LAB = pk.Instrument(probe="X", qmin=0.6, qmax=15.0, qdamp=0.03)
WAVELENGTH = 1.5406
SIZES = (0.1, 0.2, 0.35)
"""Å rms of displacements."""
SETS = {
    "G(r)": ("pdf",),
    "G(r), small angles": ("pdf", "saxs"),
    "G(r), powder": ("pdf", "xrd"),
    "all": ("pdf", "saxs", "xrd"),
    "all, weak powder": ("pdf", "saxs", "weak"),
}


def powder(cluster: pk.Cluster, rng: np.random.Generator, counts: float, background: float) -> pk.patterns.Powder:
    """Return counts of a diffractometer with Cu Kα."""
    angle = np.arange(10.0, 90.0, 0.05)
    how = {"fwhm": 0.1, "polarisation": "unpolarised"}
    I = pk.powder_pattern(cluster, angle, WAVELENGTH, **how).intensity
    expected = counts * (I / I[angle > 20].max() + background)
    seen = pk.Intensity(to_Q(angle, WAVELENGTH), rng.poisson(expected), np.sqrt(expected), wavelength=WAVELENGTH)
    return pk.patterns.Powder(seen, **how)


def measured(particle: pk.Particle, seed: int) -> dict[str, Any]:
    """Return G(r), small angles and powder patterns of a particle."""
    cluster, rng = pk.Cluster(particle, "c", Uiso=0.015, delta2=2.0), np.random.default_rng([seed, 1])
    Q = np.geomspace(0.03, 0.6, 200)
    I = pk.saxs(cluster, Q).intensity
    I = I / I[0] + 0.002
    saxs = pk.Intensity(Q, I * (1 + 0.01 * rng.standard_normal(Q.size)), 0.01 * I)
    return {
        "pdf": noise.simulate(pk.Model(cluster, LAB), 1.5, 18.0, 0.01, 0.02, seed),
        "saxs": pk.patterns.SmallAngle(saxs),
        "xrd": powder(cluster, rng, 1e4, 1.0),
        "weak": powder(cluster, rng, 1e3, 3.0),
    }


def judged(
    candidates: list[pk.Particle], true: int, data: Mapping[str, Any], displacement: str
) -> tuple[bool, bool, bool, float]:
    """Return whether the true set is first, within 3 in ln Z, and its family first; and its Δ ln Z."""
    given = data if len(data) > 1 else data["pdf"]
    ranking = pk.screen(candidates, given, rmin=1.8, rmax=16.0, certificate=0, displacement=displacement)
    own = ranking[candidates[true].name]
    return own.delta < EQUAL, own.delta < 3.0, ranking[0].family == own.family, own.delta


def displaced(particle: pk.Particle, shift: np.ndarray, size: float) -> pk.Particle:
    """Return a particle displaced by so much (Å rms)."""
    rms = np.sqrt((shift**2).sum(axis=1).mean())
    return replace(particle, xyz=particle.xyz + shift * size / rms, lattice=None, sites=None)


def cases(
    candidates: list[pk.Particle], relaxed: str | None, repeats: int, every: int
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield a name of the case, the number of the true set, and its data."""
    shifts = {} if relaxed is None else stored(relaxed)
    for true in range(0, len(candidates), every):
        for repeat in range(repeats):
            seed = 1000 * true + repeat
            if relaxed is None:
                yield "rigid", true, measured(candidates[true], seed)
            else:
                for size in SIZES:
                    moved = displaced(candidates[true], shifts[candidates[true].name], size)
                    yield f"{size:g} Å", true, measured(moved, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--relaxed", choices=["chgnet", "classical"], help="the potential whose displacements sets have"
    )
    parser.add_argument("--displacement", choices=["auto", "none"], default="auto", help="of candidates in the screen")
    parser.add_argument("--repeats", type=int, default=1, help="measurements of each set")
    parser.add_argument("--every", type=int, default=1, help="1: every set, 6: every sixth")
    parser.add_argument("--sets", nargs="*", choices=list(SETS), default=list(SETS), help="which data")
    options = parser.parse_args()
    candidates = pk.build.candidates("Cd37S20", limit=None, seed=1, near=0)
    found: dict[tuple[str, str], list[tuple[bool, bool, bool, float]]] = defaultdict(list)
    began = time.process_time()
    for case, true, data in cases(candidates, options.relaxed, options.repeats, options.every):
        for name in options.sets:
            found[case, name].append(
                judged(candidates, true, {key: data[key] for key in SETS[name]}, options.displacement)
            )
        print(f"{case}, set {true}: {time.process_time() - began:.0f} s", file=sys.stderr)
    print("| displaced | data | measurements | the set first | within 3 in ln Z | its family first | median Δ ln Z |")
    print("|---|---|---|---|---|---|---|")
    for (case, name), rows in found.items():
        first, within, family = (100 * float(np.mean([row[k] for row in rows])) for k in range(3))
        median = float(np.median([row[3] for row in rows]))
        print(f"| {case} | {name} | {len(rows)} | {first:.0f} % | {within:.0f} % | {family:.0f} % | {median:.1f} |")


if __name__ == "__main__":
    main()
