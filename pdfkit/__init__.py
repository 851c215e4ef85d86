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
    from pdfkit.benchmarking.report import BenchReport as BenchReport
    from pdfkit.benchmarking.runner import bench as bench
    from pdfkit.data.covariance import Covariance as Covariance
    from pdfkit.data.curves import PDF as PDF
    from pdfkit.data.curves import SQ as SQ
    from pdfkit.data.curves import Intensity as Intensity
    from pdfkit.data.instrument import Instrument as Instrument
    from pdfkit.errors import ParameterError as ParameterError
    from pdfkit.errors import PdfkitError as PdfkitError
    from pdfkit.errors import PdfkitWarning as PdfkitWarning
    from pdfkit.errors import ReadError as ReadError
    from pdfkit.errors import RecipeError as RecipeError
    from pdfkit.errors import StructureError as StructureError
    from pdfkit.errors import WriteError as WriteError
    from pdfkit.fitting.comparison import Comparison as Comparison
    from pdfkit.fitting.comparison import compare as compare
    from pdfkit.fitting.least_squares import fit as fit
    from pdfkit.fitting.least_squares import parameters as parameters
    from pdfkit.fitting.uncertainty import band as band
    from pdfkit.fitting.uncertainty import bootstrap as bootstrap
    from pdfkit.fitting.uncertainty import profile as profile
    from pdfkit.fitting.uncertainty import sample as sample
    from pdfkit.io.cif.files import write_cif as write_cif
    from pdfkit.io.columns import read_columns as read_columns
    from pdfkit.io.columns import write_columns as write_columns
    from pdfkit.io.exports import write_fgr as write_fgr
    from pdfkit.io.intensity import read_intensity as read_intensity
    from pdfkit.io.pdf import read_pdf as read_pdf
    from pdfkit.io.pdf import write_pdf as write_pdf
    from pdfkit.io.sq import read_sq as read_sq
    from pdfkit.io.sq import write_sq as write_sq
    from pdfkit.io.structures import available_structures as available_structures
    from pdfkit.io.structures import load_structure as load_structure
    from pdfkit.io.structures import read_structure as read_structure
    from pdfkit.io.xyz import available_clusters as available_clusters
    from pdfkit.io.xyz import write_xyz as write_xyz
    from pdfkit.model.evaluate import Convention as Convention
    from pdfkit.model.model import Model as Model
    from pdfkit.model.params import Parameters as Parameters
    from pdfkit.model.restraints import BondRestraint as BondRestraint
    from pdfkit.model.restraints import ValueRestraint as ValueRestraint
    from pdfkit.particles.counting import PairTable as PairTable
    from pdfkit.particles.counting import count_pairs as count_pairs
    from pdfkit.particles.geometry import bond_angles as bond_angles
    from pdfkit.particles.geometry import bond_lengths as bond_lengths
    from pdfkit.particles.geometry import largest_distance as largest_distance
    from pdfkit.particles.geometry import mean_coordination as mean_coordination
    from pdfkit.particles.geometry import radius_of_gyration as radius_of_gyration
    from pdfkit.particles.geometry import surface_mask as surface_mask
    from pdfkit.particles.particle import Lattice as Lattice
    from pdfkit.particles.particle import Particle as Particle
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
    from pdfkit.recipes.recipe import load_recipe as load_recipe
    from pdfkit.recipes.recipe import run_recipe as run_recipe
    from pdfkit.reduction.batch import reduce_files as reduce_files
    from pdfkit.reduction.reduction import Reduction as Reduction
    from pdfkit.reduction.reduction import reduce as reduce
    from pdfkit.results.result import FitResult as FitResult
    from pdfkit.results.saving import load_result as load_result
    from pdfkit.results.saving import write_fit_columns as write_fit_columns
    from pdfkit.screening.ranking import Ranking as Ranking
    from pdfkit.screening.ranking import RankingRow as RankingRow
    from pdfkit.screening.run import Progress as Progress
    from pdfkit.screening.screening import confusion as confusion
    from pdfkit.screening.screening import load_ranking as load_ranking
    from pdfkit.screening.screening import screen as screen
    from pdfkit.screening.study import Confusion as Confusion
    from pdfkit.shapes.averages import LognormalSpheres as LognormalSpheres
    from pdfkit.shapes.averages import Rod as Rod
    from pdfkit.shapes.averages import Spheroid as Spheroid
    from pdfkit.shapes.simple import Bulk as Bulk
    from pdfkit.shapes.simple import Sheet as Sheet
    from pdfkit.shapes.simple import Shell as Shell
    from pdfkit.shapes.simple import Sphere as Sphere
    from pdfkit.shapes.simple import Stepcut as Stepcut
    from pdfkit.shapes.simple import Tabulated as Tabulated
    from pdfkit.structure.site import Site as Site
    from pdfkit.structure.structure import Structure as Structure
    from pdfkit.verification.report import Verification as Verification
    from pdfkit.verification.report import verify as verify

__version__ = "0.1.0"

_HOME = {
    "benchmarking.report": ("BenchReport",),
    "benchmarking.runner": ("bench",),
    "data.covariance": ("Covariance",),
    "data.curves": ("Intensity", "PDF", "SQ"),
    "data.instrument": ("Instrument",),
    "errors": (
        "ParameterError",
        "PdfkitError",
        "PdfkitWarning",
        "ReadError",
        "RecipeError",
        "StructureError",
        "WriteError",
    ),
    "fitting.comparison": ("Comparison", "compare"),
    "fitting.least_squares": ("fit", "parameters"),
    "fitting.uncertainty": ("band", "bootstrap", "profile", "sample"),
    "io.cif.files": ("write_cif",),
    "io.columns": ("read_columns", "write_columns"),
    "io.exports": ("write_fgr",),
    "io.intensity": ("read_intensity",),
    "io.pdf": ("read_pdf", "write_pdf"),
    "io.sq": ("read_sq", "write_sq"),
    "io.structures": ("available_structures", "load_structure", "read_structure"),
    "io.xyz": ("available_clusters", "write_xyz"),
    "model.evaluate": ("Convention",),
    "model.model": ("Model",),
    "model.params": ("Parameters",),
    "model.restraints": ("BondRestraint", "ValueRestraint"),
    "particles.counting": ("PairTable", "count_pairs"),
    "particles.geometry": (
        "bond_angles",
        "bond_lengths",
        "largest_distance",
        "mean_coordination",
        "radius_of_gyration",
        "surface_mask",
    ),
    "particles.particle": ("Lattice", "Particle"),
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
    "recipes.recipe": ("load_recipe", "run_recipe"),
    "reduction.batch": ("reduce_files",),
    "reduction.reduction": ("Reduction", "reduce"),
    "results.result": ("FitResult",),
    "results.saving": ("load_result", "write_fit_columns"),
    "screening.ranking": ("Ranking", "RankingRow"),
    "screening.run": ("Progress",),
    "screening.screening": ("confusion", "load_ranking", "screen"),
    "screening.study": ("Confusion",),
    "shapes.averages": ("LognormalSpheres", "Rod", "Spheroid"),
    "shapes.simple": ("Bulk", "Sheet", "Shell", "Sphere", "Stepcut", "Tabulated"),
    "structure.site": ("Site",),
    "structure.structure": ("Structure",),
    "verification.report": ("Verification", "verify"),
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
