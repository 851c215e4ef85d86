"""Write structures/clusters: one xyz file a cluster, and the README that says how each was made.

    python benchmarks/make_clusters.py [folder]

Everything follows from bond lengths of the crystals in `structures` and seed 1, so a second run writes the same files.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pdfkit as pk

FOLDER = Path(__file__).resolve().parent.parent / "structures" / "clusters"
HEADER = """# Clusters

Magic-size clusters and candidates for them, read with `pdfkit.Particle.from_file("Cd37S20_zincblende")`: xyz files in
Å, written by `benchmarks/make_clusters.py` from ideal tetrahedra with the bond lengths of the zinc-blende crystals in
the folder above (Cd–S 2.525 Å, Cd–Se 2.620 Å). They are cores without ligands, unrelaxed: models to start from, neither
measured nor relaxed coordinates.

`Cd37S20_*` are the most compact sets that `pdfkit.build.candidates("Cd37S20")` finds in each family; the atoms of the
published Cd37S20 isomers (Williamson et al., Science 363, 731 (2019)) may sit otherwise. A purely wurtzite-like Cd37S20
with every S four-coordinate does not exist (38 Cd is the least), so that one lacks a cation. Core–cage clusters such as
(CdS)34 are left out: their coordinates cannot be derived. Put files of your own in a folder and compare them with
`pdfkit.build.from_folder`.

| file | made by `pdfkit.build` | point group | mean coordination | Å across |
|---|---|---|---|---|
"""
FOOTER = """
`tetrahedron`: T_n of zinc blende, n cations along an edge, all anions four-coordinate. `capped_tetrahedron`: the cores
of Cd17S4(SR)28, Cd32S14(SR)36 and Cd54S32(SR)48, whose four corner cations are held by thiolates only.
"""


def clusters() -> dict[str, tuple[pk.Particle, str]]:
    """Return name → cluster and the call that made it."""
    out = {}
    for family in ("zincblende", "faulted", "wurtzite"):
        near = 1 if family == "wurtzite" else 0
        made = f'candidates("Cd37S20", families=["{family}"], near={near}, seed=1)[0]'
        found = pk.build.candidates("Cd37S20", families=[family], near=near, seed=1)
        out[f"Cd37S20_{family}"] = found[0], made
    for anion, sizes in (("S", range(4, 9)), ("Se", range(4, 9))):
        for n in sizes:
            made = f'tetrahedron("Cd{anion}_zincblende", {n})'
            particle = pk.build.tetrahedron(f"Cd{anion}_zincblende", n)
            out[particle.name] = particle, made
    for n in (1, 2, 3):
        particle = pk.build.capped_tetrahedron("Cd", "S", n)
        out[particle.name] = particle, f'capped_tetrahedron("Cd", "S", {n})'
    return out


def row(name: str, particle: pk.Particle, made: str) -> str:
    """Return the line of the README's table."""
    told = pk.build.describe(particle)
    coordination = ", ".join(f"{element} {mean:.2f}" for element, mean in told.coordination.items())
    return f"| `{name}` | `{made}` | {told.point_group} | {coordination} | {told.largest_distance:.1f} |\n"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    table = ""
    for name, (particle, made) in clusters().items():
        pk.io.write_xyz(folder / f"{name}.xyz", pk.Particle(particle.elements, particle.kind, particle.xyz, name=name))
        table += row(name, particle, made)
    (folder / "README.md").write_text(HEADER + table + FOOTER, encoding="utf-8")


if __name__ == "__main__":
    main()
