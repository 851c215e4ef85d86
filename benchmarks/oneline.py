"""Measured data fitted in one line: `python benchmarks/oneline.py [--only WORD …]`.

Each row is `pdfkit fit DATA STRUCTURE…` with nothing else said, beside what others published of the same
files. The data come with the `examples` extra (diffpy.cmi 3.2.0, BSD-3).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pdfkit as pk
from pdfkit.recipes.inputs import inputs
from pdfkit.recipes.proposal import propose
from pdfkit.recipes.recipe import run_recipe
from pdfkit.recipes.written import recipe_of

EXAMPLES = "diffpy/cmi/docs/examples/pdf"


@dataclass(frozen=True)
class Row:
    """One line: data, structures, published Rw and values by the ending of their names."""

    data: str
    structures: tuple[str, ...]
    rw: float | None = None
    values: dict[str, float] = field(default_factory=dict)


CDSE = "ch08NPRefinement/data/CdSe-"
BOTH = (f"{CDSE}Wurtzite.cif", f"{CDSE}Zincblende.cif")
ROWS = (
    Row("ch03NiModelling/data/Ni.gr", ("ch03NiModelling/data/Ni.cif",), 0.0411, {"a": 3.52478, "qdamp": 0.0454}),
    Row("ch03NiModelling/data/Pt-nanoparticles.gr", ("ch03NiModelling/data/Pt.cif",), 0.1045,
        {"a": 3.92573, "spdiameter": 37.38}),
    Row("ch05Fit2Phase/data/ni.gr", ("Ni",), 0.0703, {"a": 3.52392}),
    Row("ch05Fit2Phase/data/si.gr", ("Si",), 0.0780, {"a": 5.42961}),
    Row("ch05Fit2Phase/data/sini.gr", ("Si", "Ni"), 0.1160, {"Si.a": 5.4293, "Ni.a": 3.52245}),
    Row("ch06RefineCrystalStructureGen/data/BaZn2As2_K-Mn-doped_300K.gr",
        ("ch06RefineCrystalStructureGen/data/BaZn2As2.cif",)),
    Row("ch07StructuralPhaseTransitions/data/SrFe2As2_246K.gr",
        ("ch07StructuralPhaseTransitions/data/SrFe2As2_tetragonal.cif",)),
    Row("ch07StructuralPhaseTransitions/data/SrFe2As2_150K.gr",
        ("ch07StructuralPhaseTransitions/data/SrFe2As2_orthorhombic.cif",)),
    Row(f"{CDSE}bulk.gr", BOTH[:1], 0.1456, {"a": 4.301, "c": 7.0144}),
    Row(f"{CDSE}4.gr", BOTH[:1], 0.2559, {"a": 4.2986, "c": 7.0056, "spdiameter": 33.1}),
    Row(f"{CDSE}4.gr", BOTH, 0.1736, {"Wurtzite.a": 4.2873, "Wurtzite.c": 7.0126, "Wurtzite.spdiameter": 36.06}),
    Row(f"{CDSE}3.gr", BOTH, 0.2503, {"Wurtzite.spdiameter": 32.1}),
    Row(f"{CDSE}2.gr", BOTH, 0.2971, {"Wurtzite.spdiameter": 25.0}),
    Row(f"{CDSE}1.gr", BOTH, 0.57),
    Row("ch11ClusterXYZ/data/CdSe.gr", ("CdSe_zincblende",), 0.2135, {"a": 6.0504, "spdiameter": 17.26}),
    Row("ch11ClusterXYZ/data/CdSe.gr", ("ch11ClusterXYZ/data/CdSe.xyz",), 0.1164, {"expansion": -0.0057}),
    Row("nanoparticle-fit/CdS_ZnS_nano.gr", ("nanoparticle-fit/CdS.cif", "nanoparticle-fit/ZnS.cif")),
)  # fmt: skip


def found(word: str) -> str:
    """Return the path of a file of the examples, or the name of a structure that comes with pdfkit."""
    if "/" not in word:
        return word
    return str(importlib.metadata.distribution("diffpy.cmi").locate_file(f"{EXAMPLES}/{word}"))


def ran(row: Row) -> pk.FitResult:
    """Return the fit of a row, by the recipe that is proposed and saved."""
    plan = propose(inputs([found(word) for word in (row.data, *row.structures)]))
    with TemporaryDirectory() as folder:
        recipe = Path(folder, "fit.toml")
        recipe.write_text(recipe_of(plan, folder, here=True), encoding="utf-8")
        return run_recipe(recipe)[0]


def line(row: Row) -> str:
    """Return a row of the table."""
    started = time.perf_counter()
    result = ran(row)
    seconds = time.perf_counter() - started
    shown = []
    for ending, value in row.values.items():
        name = next(name for name in result.params if name.endswith(ending))
        shown.append(f"{ending} {result.params[name].value:.4f} ({value:g})")
    words = " ".join(Path(word).name for word in (row.data, *row.structures))
    return f"| `{words}` | {row.rw or '–'} | {result.rw:.4f} | {', '.join(shown) or '–'} | {seconds:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="rows whose file names hold one of these words")
    only = parser.parse_args().only
    warnings.simplefilter("ignore")
    print("| pdfkit fit … | Rw published | Rw | parameters (published) | s |")
    print("|---|---|---|---|---|")
    for row in ROWS:
        if not only or any(word in " ".join((row.data, *row.structures)) for word in only):
            print(line(row), flush=True)


if __name__ == "__main__":
    main()
