"""What ligands add to a curve, and what relaxation does to a fit: `python benchmarks/ligands.py`.

    python benchmarks/ligands.py                      # masses and curves of Cd37S20 with each ligand
    python benchmarks/ligands.py --relax classical    # the measured Cd56Se35 (extra `examples`), rigid and relaxed
    python benchmarks/ligands.py --picture            # draws docs/pictures/ligands.png
    python benchmarks/ligands.py --golden chgnet      # writes benchmarks/relaxed.json (extra `relax`)

Prints Markdown. Relaxations keep journals in `--folder` and go on from there.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import warnings
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import pdfkit as pk
from pdfkit.build.ligands import CARBOXYLATES
from pdfkit.build.relaxing import superposed
from pdfkit.errors import PdfkitWarning
from pdfkit.particles.geometry import radius_of_gyration
from pdfkit.plot.canvas import set_frame

EXAMPLES = "diffpy/cmi/docs/examples/pdf/ch11ClusterXYZ/data"
GOLDEN = Path(__file__).parent / "relaxed.json"
PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "ligands.png"
LAB = pk.Instrument(probe="X", qmin=0.6, qmax=20, qdamp=0.03)
R = np.arange(1.5, 16, 0.02)
SHARES = (0.0, 0.25, 0.5, 1.0)


def curve(particle: pk.Particle) -> np.ndarray:
    """Return G(r) of a cluster."""
    U = {"Cd": 0.015, "S": 0.015, **dict.fromkeys(("C", "H", "O", "Cl"), 0.04)}
    known = {element: U[element] for element in particle.elements}
    return pk.Model(pk.Cluster(particle, "c", Uiso=known), LAB)(R).G


def ligands() -> None:
    core = next(iter(pk.build.candidates("Cd37S20", limit=1, near=0)))
    bare = curve(core)
    print(
        "| ligand | mass, g/mol | of it ligands, % | Rw of the bare core | of that below 3.5 Å, % | Rg (electrons), Å |"
    )
    print("|---|---|---|---|---|---|")
    print(f"| none | {core.mass:.1f} | 0 | 0 | | {radius_of_gyration(core, 'electrons'):.2f} |")
    for name in ("Cl", *CARBOXYLATES):
        worn = pk.build.cap(core, name)
        G = curve(worn)
        rest = G - (G @ bare) / (bare @ bare) * bare  # with the best scale
        near = (rest[R < 3.5] ** 2).sum() / (rest**2).sum()
        part = np.linalg.norm(rest) / np.linalg.norm(G)
        size = radius_of_gyration(worn, "electrons")
        share = f"{100 * worn.organic_fraction:.1f}"
        print(f"| {name} | {worn.mass:.1f} | {share} | {part:.3f} | {100 * near:.0f} | {size:.2f} |")


def picture() -> None:
    """Draw Cd37S20 with acetate, seen from one side, and its curve beside that of the bare core."""
    core = next(iter(pk.build.candidates("Cd37S20", limit=1, near=0)))
    worn = pk.build.cap(core, "acetate")
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.0, 3.0), width_ratios=(1, 1.5), layout="constrained")
    sizes = {"Cd": 110, "S": 80, "O": 40, "C": 40, "H": 12}
    colours = {"Cd": "#E69F00", "S": "#F0E442", "O": "#D55E00", "C": "#555555", "H": "#FFFFFF"}
    for k in np.argsort(worn.xyz[:, 2]):
        symbol = worn.symbols[k]
        left.scatter(*worn.xyz[k, :2], s=sizes[symbol], c=colours[symbol], edgecolors="black", linewidths=0.4)
    left.set_aspect("equal")
    left.set_axis_off()
    left.set_title(f"Cd37S20 with {worn.meta['ligands']} acetates", fontsize=9)
    for name, label in ((None, "bare"), ("acetate", "with acetate"), ("oleate", "with oleate")):
        G = curve(core if name is None else pk.build.cap(core, name))
        right.plot(R, G / np.abs(G).max(), lw=1.0, label=label)
    set_frame(right, "r (Å)", "G(r), by its largest value", (R[0], R[-1]))
    right.legend(frameon=False, fontsize=8)
    figure.savefig(PICTURE, dpi=150)
    print(PICTURE)


def measured() -> tuple[pk.PDF, pk.Particle]:
    folder = importlib.metadata.distribution("diffpy.cmi").locate_file(EXAMPLES)
    data = pk.read_pdf(f"{folder}/CdSe.gr", probe="X", qmin=0.9, qmax=20, qdamp=0.06)
    return data, pk.Particle.from_file(f"{folder}/CdSe.xyz")


def fitted(particle: pk.Particle, data: pk.PDF) -> pk.FitResult:
    model = pk.Model(pk.Cluster(particle, "dot", Uiso=0.03), data.instrument)
    ties = {"Cl_ligand.Uiso": "dot.Se.Uiso"} if particle.ligand is not None else {}
    return pk.fit(model, data, rmin=1, rmax=20, free=["scale", "expansion", "Uiso", "delta2"], ties=ties)


def relaxation(names: list[str], folder: Path, fmax: float) -> None:
    """Print Rw of the measured Cd56Se35 for a part of the way to the relaxed atoms, without and with Cl."""
    data, core = measured()
    capped = pk.build.cap(core, "Cl")
    print(
        "| relaxed with | rms, Å | rms without expansion, Å | atoms | " + " | ".join(f"{s:.0%}" for s in SHARES) + " |"
    )
    print("|---|---|---|---|" + "---|" * len(SHARES))
    for name in names:
        relaxed = at_rest(capped, name, folder / f"Cd56Se35-{name}.journal", fmax)
        for label, start, end in (("core", core, relaxed.core), ("with Cl", capped, relaxed)):
            way = superposed(start, end)
            rw = [fitted(replace(start, xyz=start.xyz + share * way), data).rw for share in SHARES]
            moved = superposed(core, relaxed.core)
            sizes = f"{rms(moved):.3f} | {rms(unexpanded(core, moved)):.3f}"
            print(f"| {name} | {sizes} | {label} | " + " | ".join(f"{x:.4f}" for x in rw) + " |", flush=True)


def rms(way: np.ndarray) -> float:
    return float(np.sqrt((way**2).sum(axis=1).mean()))


def unexpanded(core: pk.Particle, way: np.ndarray) -> np.ndarray:
    """Return displacements without the part that is an expansion of all distances, which every fit has."""
    x = core.xyz - core.xyz.mean(axis=0)
    return way - (way * x).sum() / (x**2).sum() * x


def at_rest(capped: pk.Particle, name: str, journal: Path, fmax: float) -> pk.Particle:
    """Return a capped particle at rest: its Cl first, in the classical potential, then all atoms in this one."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    ready = pk.build.relax(capped, "classical", moving="ligands", fmax=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("default", PdfkitWarning)
        return pk.build.relax(ready, name, fmax=fmax, steps=600, journal=journal)


def golden(name: str, folder: Path, fmax: float) -> None:
    """Write two relaxed Cd37S20, one zinc blende and one faulted, as displacements of the core in mÅ."""
    every = list(pk.build.candidates("Cd37S20", limit=None, seed=1, near=0))
    families = [core.meta["family"] for core in every]
    picked = [(k, every[k]) for k in map(families.index, ("zincblende", "faulted"))]
    out = {}
    for k, core in picked:
        relaxed = at_rest(pk.build.cap(core, "Cl"), name, folder / f"Cd37S20-{k}-{name}.journal", fmax)
        about = {key: value for key, value in relaxed.meta.items() if key.startswith("relaxed_")}
        milli = np.round(1000 * superposed(core, relaxed.core)).astype(int)
        out[core.name] = {**about, "rms": rms(milli / 1000), "displacement": milli.tolist()}
    GOLDEN.write_text(json.dumps(out) + "\n", encoding="utf-8")
    print(f"{GOLDEN}: {', '.join(out)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--relax", nargs="*", metavar="POTENTIAL", help="fit the measured Cd56Se35, rigid and relaxed")
    parser.add_argument("--golden", metavar="POTENTIAL", help="write two relaxed Cd37S20")
    parser.add_argument("--picture", action="store_true", help="draw docs/pictures/ligands.png")
    parser.add_argument("--folder", type=Path, default=Path("relaxations"), help="of the journals")
    parser.add_argument("--fmax", type=float, default=0.08, help="eV/Å")
    chosen = parser.parse_args()
    if chosen.relax is not None:
        relaxation(chosen.relax or ["classical"], chosen.folder, chosen.fmax)
    elif chosen.picture:
        picture()
    elif chosen.golden:
        golden(chosen.golden, chosen.folder, chosen.fmax)
    else:
        ligands()


if __name__ == "__main__":
    main()
