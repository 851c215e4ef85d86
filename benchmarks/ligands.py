"""What ligands add to a curve, and what relaxation does to a fit: `python benchmarks/ligands.py`.

    python benchmarks/ligands.py                      # masses and curves of Cd37S20 with each ligand
    python benchmarks/ligands.py --relax classical    # the measured Cd56Se35 (extra `examples`), rigid and relaxed
    python benchmarks/ligands.py --worn               # the same with ligands in the model
    python benchmarks/ligands.py --picture            # draws docs/pictures/ligands.png
    python benchmarks/ligands.py --golden chgnet classical  # writes benchmarks/relaxed.json (extra `relax`)

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
    cluster = pk.Cluster(particle, "dot", Uiso=0.03)
    model = pk.Model(cluster, data.instrument)
    first, *others = [name for name in cluster.classes if name.endswith("_ligand")] or [""]
    ties = {f"{name}.Uiso": f"dot.{first}.Uiso" for name in others}
    return pk.fit(model, data, rmin=1, rmax=20, free=["scale", "expansion", "Uiso", "delta2"], ties=ties)


def relaxation(names: list[str], ligand: str, folder: Path, fmax: float) -> None:
    """Print Rw of the measured Cd56Se35 for a part of the way to the relaxed atoms, without ligands and with them."""
    data, core = measured()
    capped = pk.build.cap(core, ligand)
    print(
        "| relaxed with | rms, Å | rms without expansion, Å | atoms | " + " | ".join(f"{s:.0%}" for s in SHARES) + " |"
    )
    print("|---|---|---|---|" + "---|" * len(SHARES))
    for name in names:
        relaxed = at_rest(capped, name, folder / f"Cd56Se35-{ligand}-{name}.journal", fmax)
        for label, start, end in (("core", core, relaxed.core), (f"with {ligand}", capped, relaxed)):
            way = superposed(start, end)
            rw = [fitted(replace(start, xyz=start.xyz + share * way), data).rw for share in SHARES]
            moved = superposed(core, relaxed.core)
            sizes = f"{rms(moved):.3f} | {rms(unexpanded(core, moved)):.3f}"
            print(f"| {name} | {sizes} | {label} | " + " | ".join(f"{x:.4f}" for x in rw) + " |", flush=True)


def worn() -> None:
    """Print Rw of the measured Cd56Se35 with ligands in the model, placed under three seeds."""
    data, core = measured()
    print("| ligands in the model | Rw, three seeds |\n|---|---|")
    print(f"| none | {fitted(core, data).rw:.4f} |")
    for name in ("H", "Cl", *CARBOXYLATES[:-1]):
        found = [fitted(pk.build.cap(core, name, seed=seed), data).rw for seed in (1, 2, 3)]
        print(f"| {name} | {', '.join(f'{rw:.4f}' for rw in found)} |", flush=True)


def rms(way: np.ndarray) -> float:
    return float(np.sqrt((way**2).sum(axis=1).mean()))


def unexpanded(core: pk.Particle, way: np.ndarray) -> np.ndarray:
    """Return displacements without the part that is an expansion of all distances, which every fit has."""
    x = core.xyz - core.xyz.mean(axis=0)
    return way - (way * x).sum() / (x**2).sum() * x


def at_rest(capped: pk.Particle, name: str, journal: Path, fmax: float) -> pk.Particle:
    """Return a capped particle at rest: its ligands first (Cl in the classical potential), then all atoms."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    first = (
        {"calculator": "classical", "fmax": 0.1} if capped.meta["ligand"] == "Cl" else {"calculator": name, "fmax": 0.3}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("default", PdfkitWarning)
        ready = pk.build.relax(capped, **first, moving="ligands", steps=60 if first["fmax"] == 0.3 else 500)
        return pk.build.relax(ready, name, fmax=fmax, steps=600, journal=journal)


def sets() -> list[pk.Particle]:
    """Return the complete Cd37S20, in their order."""
    return list(pk.build.candidates("Cd37S20", limit=None, seed=1, near=0))


def golden(names: list[str], folder: Path, fmax: float) -> None:
    """Write how the cores of all complete Cd37S20 are displaced when they relax under 34 Cl, in mÅ, superposed."""
    known = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    for name in names:
        ways = {}
        for k, core in enumerate(sets()):
            relaxed = at_rest(pk.build.cap(core, "Cl"), name, folder / f"Cd37S20-{k}-{name}.journal", fmax)
            ways[core.name] = np.round(1000 * superposed(core, relaxed.core)).astype(int).tolist()
            print(
                f"{core.name}: {relaxed.meta['relaxed_steps']} steps, {relaxed.meta['relaxed_fmax']:.3f} eV/Å",
                flush=True,
            )
        known[name] = {"version": relaxed.meta["relaxed_version"], "fmax": fmax, "displacements": ways}
    GOLDEN.write_text(json.dumps(known, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{GOLDEN}: {', '.join(known)}")


def stored(name: str) -> dict[str, np.ndarray]:
    """Return the stored displacements (57, 3) in Å of the cores under a potential, by the name of the set."""
    found = json.loads(GOLDEN.read_text(encoding="utf-8"))[name]["displacements"]
    return {core: np.array(way) / 1000 for core, way in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--relax", nargs="*", metavar="POTENTIAL", help="fit the measured Cd56Se35, rigid and relaxed")
    parser.add_argument("--ligand", default="Cl", help="of --relax")
    parser.add_argument("--golden", nargs="*", metavar="POTENTIAL", help="write the relaxed Cd37S20 of relaxed.json")
    parser.add_argument("--worn", action="store_true", help="fit the measured Cd56Se35 with ligands in the model")
    parser.add_argument("--picture", action="store_true", help="draw docs/pictures/ligands.png")
    parser.add_argument("--folder", type=Path, default=Path("relaxations"), help="of the journals")
    parser.add_argument("--fmax", type=float, default=0.08, help="eV/Å")
    chosen = parser.parse_args()
    if chosen.relax is not None:
        relaxation(chosen.relax or ["classical"], chosen.ligand, chosen.folder, chosen.fmax)
    elif chosen.worn:
        worn()
    elif chosen.picture:
        picture()
    elif chosen.golden is not None:
        golden(chosen.golden or ["classical"], chosen.folder, chosen.fmax)
    else:
        ligands()


if __name__ == "__main__":
    main()
