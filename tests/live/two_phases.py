"""Data and recipe of two phases for pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import pdfkit as pk

TWO = """
title = "two phases"
[[data]]
file = "cds.gr"
rmin = 1.8
rmax = 15
[[phase]]
name = "wz"
structure = "CdS_wurtzite"
shape = {kind = "sphere", spdiameter = 30}
delta2 = 2.0
start = {Uiso = 0.01}
[[phase]]
name = "zb"
structure = "CdS_zincblende"
shape = {kind = "sphere", spdiameter = 30}
[fit]
free = ["scale", "a", "c", "Uiso", "spdiameter"]
[fit.ties]
"zb.spdiameter" = "wz.spdiameter"
"zb.Uiso" = "wz.Uiso"
"""


def write_two(folder: Path) -> Path:
    """Write data and recipe of two phases into a folder; return the recipe."""
    kinds = {"wz": "wurtzite", "zb": "zincblende"}
    phases = [pk.Crystal.from_file(f"CdS_{kind}", name=name, shape=pk.Sphere(28.0)) for name, kind in kinds.items()]
    model = pk.Model(phases, pk.Instrument(probe="X", qmax=22, qdamp=0.03))
    pdf = model.with_values({"wz.scale": 0.4, "zb.scale": 0.3, "wz.a": 4.12, "wz.delta2": 2.0})(
        np.arange(0.5, 20, 0.02)
    )
    noise = np.random.default_rng(1).normal(0.0, 0.02, pdf.r.size)
    pk.write_pdf(folder / "cds.gr", pk.PDF(pdf.r, pdf.G + noise, instrument=pdf.instrument))
    (folder / "two.toml").write_text(TWO)
    return folder / "two.toml"
