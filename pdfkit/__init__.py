"""pdfkit: atomic pair distribution functions, from structure models to fits of measured data.

    import pdfkit as pk

    data = pk.read_pdf("cdse.gr", probe="X", qmax=19, qdamp=0.058)
    zb = pk.Crystal.from_file("CdSe_zincblende", name="zb", shape=pk.Sphere(30))
    model = pk.Model([zb], data.instrument)
    result = pk.fit(model, data, rmin=1.5, rmax=20, free=["scale", "a", "Uiso", "spdiameter"])
    print(result)

Names load when they are first used, so that `import pdfkit` costs no more than numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pdfkit import build as build
    from pdfkit import plot as plot
    from pdfkit import scattering as scattering
    from pdfkit import shapes as shapes
    from pdfkit import transforms as transforms
    from pdfkit._reduce_batch import reduce_files as reduce_files
    from pdfkit.benchmarking import BenchReport as BenchReport
    from pdfkit.benchmarking import bench as bench
    from pdfkit.comparison import Comparison as Comparison
    from pdfkit.comparison import compare as compare
    from pdfkit.counting import PairTable as PairTable
    from pdfkit.counting import count_pairs as count_pairs
    from pdfkit.covariance import Covariance as Covariance
    from pdfkit.data import PDF as PDF
    from pdfkit.data import SQ as SQ
    from pdfkit.data import Instrument as Instrument
    from pdfkit.errors import ParameterError as ParameterError
    from pdfkit.errors import PdfkitError as PdfkitError
    from pdfkit.errors import PdfkitWarning as PdfkitWarning
    from pdfkit.errors import ReadError as ReadError
    from pdfkit.errors import RecipeError as RecipeError
    from pdfkit.errors import StructureError as StructureError
    from pdfkit.errors import WriteError as WriteError
    from pdfkit.evaluate import Convention as Convention
    from pdfkit.fitting import fit as fit
    from pdfkit.fitting import parameters as parameters
    from pdfkit.geometry import bond_angles as bond_angles
    from pdfkit.geometry import bond_lengths as bond_lengths
    from pdfkit.geometry import largest_distance as largest_distance
    from pdfkit.geometry import mean_coordination as mean_coordination
    from pdfkit.geometry import radius_of_gyration as radius_of_gyration
    from pdfkit.geometry import surface_mask as surface_mask
    from pdfkit.intensity import Intensity as Intensity
    from pdfkit.io.cif import write_cif as write_cif
    from pdfkit.io.column_files import read_columns as read_columns
    from pdfkit.io.column_files import write_columns as write_columns
    from pdfkit.io.exports import write_fgr as write_fgr
    from pdfkit.io.intensity_files import read_intensity as read_intensity
    from pdfkit.io.particles import available_clusters as available_clusters
    from pdfkit.io.particles import write_xyz as write_xyz
    from pdfkit.io.pdf_files import read_pdf as read_pdf
    from pdfkit.io.pdf_files import write_pdf as write_pdf
    from pdfkit.io.sq_files import read_sq as read_sq
    from pdfkit.io.sq_files import write_sq as write_sq
    from pdfkit.io.structures import available_structures as available_structures
    from pdfkit.io.structures import load_structure as load_structure
    from pdfkit.io.structures import read_structure as read_structure
    from pdfkit.model import Model as Model
    from pdfkit.params import Parameters as Parameters
    from pdfkit.particle import Lattice as Lattice
    from pdfkit.particle import Particle as Particle
    from pdfkit.patterns import GuinierFit as GuinierFit
    from pdfkit.patterns import Pattern as Pattern
    from pdfkit.patterns import debye_pdf as debye_pdf
    from pdfkit.patterns import debye_sq as debye_sq
    from pdfkit.patterns import guinier as guinier
    from pdfkit.patterns import powder_pattern as powder_pattern
    from pdfkit.patterns import saxs as saxs
    from pdfkit.patterns import waxs as waxs
    from pdfkit.patterns import write_pattern as write_pattern
    from pdfkit.phases.cluster import Cluster as Cluster
    from pdfkit.phases.crystal import Crystal as Crystal
    from pdfkit.phases.stacked import Stacked as Stacked
    from pdfkit.recipe import load_recipe as load_recipe
    from pdfkit.recipe import run_recipe as run_recipe
    from pdfkit.reduction import Reduction as Reduction
    from pdfkit.reduction import reduce as reduce
    from pdfkit.restraints import BondRestraint as BondRestraint
    from pdfkit.restraints import ValueRestraint as ValueRestraint
    from pdfkit.results import FitResult as FitResult
    from pdfkit.saving import load_result as load_result
    from pdfkit.saving import write_fit_columns as write_fit_columns
    from pdfkit.screening import Confusion as Confusion
    from pdfkit.screening import Progress as Progress
    from pdfkit.screening import Ranking as Ranking
    from pdfkit.screening import RankingRow as RankingRow
    from pdfkit.screening import confusion as confusion
    from pdfkit.screening import load_ranking as load_ranking
    from pdfkit.screening import screen as screen
    from pdfkit.shapes import Bulk as Bulk
    from pdfkit.shapes import LognormalSpheres as LognormalSpheres
    from pdfkit.shapes import Rod as Rod
    from pdfkit.shapes import Sheet as Sheet
    from pdfkit.shapes import Shell as Shell
    from pdfkit.shapes import Sphere as Sphere
    from pdfkit.shapes import Spheroid as Spheroid
    from pdfkit.shapes import Stepcut as Stepcut
    from pdfkit.shapes import Tabulated as Tabulated
    from pdfkit.structure import Site as Site
    from pdfkit.structure import Structure as Structure
    from pdfkit.uncertainty import band as band
    from pdfkit.uncertainty import bootstrap as bootstrap
    from pdfkit.uncertainty import profile as profile
    from pdfkit.uncertainty import sample as sample
    from pdfkit.verification import Verification as Verification
    from pdfkit.verification import verify as verify

__version__ = "0.1.0"

_HOME = {
    "benchmarking": ("BenchReport", "bench"),
    "comparison": ("Comparison", "compare"),
    "_reduce_batch": ("reduce_files",),
    "counting": ("PairTable", "count_pairs"),
    "covariance": ("Covariance",),
    "data": ("PDF", "SQ", "Instrument"),
    "errors": (
        "ParameterError",
        "PdfkitError",
        "PdfkitWarning",
        "ReadError",
        "RecipeError",
        "StructureError",
        "WriteError",
    ),
    "evaluate": ("Convention",),
    "fitting": ("fit", "parameters"),
    "geometry": (
        "bond_angles",
        "bond_lengths",
        "largest_distance",
        "mean_coordination",
        "radius_of_gyration",
        "surface_mask",
    ),
    "intensity": ("Intensity",),
    "io.cif": ("write_cif",),
    "io.column_files": ("read_columns", "write_columns"),
    "io.exports": ("write_fgr",),
    "io.intensity_files": ("read_intensity",),
    "io.particles": ("available_clusters", "write_xyz"),
    "io.pdf_files": ("read_pdf", "write_pdf"),
    "io.sq_files": ("read_sq", "write_sq"),
    "io.structures": ("available_structures", "load_structure", "read_structure"),
    "model": ("Model",),
    "params": ("Parameters",),
    "particle": ("Lattice", "Particle"),
    "patterns": (
        "GuinierFit",
        "Pattern",
        "debye_pdf",
        "debye_sq",
        "guinier",
        "powder_pattern",
        "saxs",
        "waxs",
        "write_pattern",
    ),
    "phases.cluster": ("Cluster",),
    "phases.crystal": ("Crystal",),
    "phases.stacked": ("Stacked",),
    "recipe": ("load_recipe", "run_recipe"),
    "reduction": ("Reduction", "reduce"),
    "restraints": ("BondRestraint", "ValueRestraint"),
    "results": ("FitResult",),
    "saving": ("load_result", "write_fit_columns"),
    "screening": ("Confusion", "Progress", "Ranking", "RankingRow", "confusion", "load_ranking", "screen"),
    "shapes": (
        "Bulk",
        "LognormalSpheres",
        "Rod",
        "Sheet",
        "Shell",
        "Sphere",
        "Spheroid",
        "Stepcut",
        "Tabulated",
    ),
    "structure": ("Site", "Structure"),
    "uncertainty": ("band", "bootstrap", "profile", "sample"),
    "verification": ("Verification", "verify"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}
_MODULES = ("build", "plot", "scattering", "shapes", "transforms")
__all__ = sorted([*_MODULE_OF, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"pdfkit.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'pdfkit' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pdfkit.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
