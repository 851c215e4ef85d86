"""Agreement with other programs: PDFfit2 when it is installed, and curves that PDFfit2 and DiffPy-CMI computed.

Each is matched by a convention (`pdfkit.model.Convention`) and by its own scattering strengths.
"""

from __future__ import annotations

import io
import json
import math
import sys
from functools import cache, partial
from importlib.resources import files
from typing import Any

import numpy as np

from pdfkit import debye
from pdfkit._checks import Array
from pdfkit.data.instrument import Instrument
from pdfkit.model.model import Model
from pdfkit.particles.counting import count_pairs
from pdfkit.particles.particle import Particle
from pdfkit.phases.crystal import Crystal
from pdfkit.scattering import form_factor
from pdfkit.shapes import Sphere
from pdfkit.verification.checks import TRICLINIC, Check, NotInstalledError, cds, grid, worst

BOUND = 2e-5
REASON = "their peaks end at 5 σ, at 3.7e-6 of the height; several overlap"
CONVENTION = {"pdffit2": "pdffit2", "srreal": "diffpy-cmi"}
CURVES = (
    ("DiffPy-CMI, no cut", "crystal.zb_X.srreal_noqmax"),
    ("DiffPy-CMI, Qmax 25", "crystal.zb_X.srreal"),
    ("DiffPy-CMI, neutrons", "crystal.wz_N.srreal"),
    ("DiffPy-CMI, two phases", "twophase.X.srreal"),
    ("PDFfit2, no cut", "crystal.zb_X.pdffit2_noqmax"),
    ("PDFfit2, neutrons", "crystal.wz_N.pdffit2"),
    ("PDFfit2, two phases", "twophase.N.pdffit2"),
    ("PDFfit2, partial Cd–S", "partials.wz_N.pdffit2.Cd-S"),
)


def checks() -> list[Check]:
    """Return the comparisons with other programs."""
    unit = "of max|G|"
    live = [
        Check("PDFfit2 live", name, f"{what}; {unit}", BOUND, REASON, partial(_live, name))
        for name, what in (
            ("anisotropic", "wurtzite, anisotropic U, Qmax 22"),
            ("two phases", "two spheres of CdSe"),
            ("triclinic", "three sites, partly occupied"),
        )
    ]
    stored = [
        Check("stored curves", name, f"CdS, 1–60 Å; {unit}", BOUND, REASON, partial(_stored, key))
        for name, key in CURVES
    ]
    cluster = Check("stored curves", "DiffPy-CMI, cluster", "F(Q) of Cd35S20, of max|F|", 1e-11, "rounding", _cluster)
    return [*live, *stored, cluster]


@cache
def _file() -> dict[str, Any]:
    text = (files("pdfkit.verification") / "curves.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def _strengths(probe: str, program: str) -> dict[str, float]:
    if probe == "N":
        return {"Cd": 4.835, "S": 2.8471} if program == "pdffit2" else {"Cd": 4.83, "S": 2.847}
    if program == "srreal":
        return {e: float(form_factor(e, "X", np.zeros(1))[0]) for e in ("Cd", "S")}
    return {}


def _stored(key: str) -> float:
    """Return the largest difference from a stored curve, beyond 1 Å."""
    about = _file()["curves"][key]
    kind, case, program, *_ = key.replace("twophase.", "twophase.two_").split(".")
    what, probe = case.split("_")
    r = about["first"] + about["step"] * np.arange(about["n"])
    stored = np.arange(0, about["n"], about["every"])
    program, cut = program.removesuffix("_noqmax"), not program.endswith("_noqmax")
    if what == "two":
        phases = [
            cds("zb", "zb", scale=0.6, shape=Sphere(45.0)),
            cds("wz", "wz", scale=0.4, shape=Sphere(35.0)),
        ]
    else:
        phases = [cds(what, "p")]
    instrument = Instrument(probe=probe, qmax=25.0 if cut else math.inf, qdamp=0.03, qbroad=0.01)
    model = Model(phases, instrument, CONVENTION[program], _strengths(probe, program))
    G = model.partials(r)["Cd", "S"].G if kind == "partials" else model(r).G
    inside = r[stored] >= 1.0
    return worst(G[stored][inside], np.array(about["values"])[inside], about["max"])


def _cluster() -> float:
    about, made = _file()["curves"]["tetrahedron_X.srreal.F"], _file()["tetrahedron"]
    particle = Particle.of(made["elements"], np.array(made["xyz"]))
    Q = about["first"] + about["step"] * np.arange(0, about["n"], about["every"])
    motion = debye.Motion((0.008, 0.012))
    S = debye.structure_function(count_pairs(particle), Q, particle.elements, motion, probe="X")
    return worst(Q * (S - 1), np.array(about["values"]), about["max"])


# --- live ------------------------------------------------------------------------------------------------------------


def _live(case: str) -> float:
    """Return the largest difference from PDFfit2, run now."""
    try:
        from diffpy import pdffit2
    except ImportError:
        raise NotInstalledError("not installed (Python 3.11)") from None
    cut = case == "anisotropic"
    instrument = Instrument(probe="X", qmax=22.0 if cut else math.inf, qdamp=0.03, qbroad=0.015)
    r = grid(1.0, 25.0, 0.01)
    pdffit2.redirect_stdout(io.StringIO())
    try:
        theirs = _pdffit2(pdffit2.PdfFit(), _phases(case), instrument, r)
    finally:
        pdffit2.redirect_stdout(sys.stdout)
    return worst(Model(_phases(case), instrument, "pdffit2")(r).G, theirs)


def _phases(case: str) -> list[Crystal]:
    if case == "anisotropic":
        wurtzite = Crystal.from_file("CdS_wurtzite", name="wz", anisotropic=True, delta2=1.5)
        return [wurtzite.with_values({"Cd.U11": 0.012, "Cd.U33": 0.03, "S.U11": 0.02, "S.U33": 0.009})]
    if case == "two phases":
        return [
            Crystal.from_file("CdSe_wurtzite", name="wz", scale=0.3, shape=Sphere(30.0)),
            Crystal.from_file("CdSe_zincblende", name="zb", scale=0.8, delta2=2.0, shape=Sphere(22.0)),
        ]
    return [Crystal.from_structure(TRICLINIC, name="t")]


def _pdffit2(program: Any, phases: list[Crystal], instrument: Instrument, r: Array) -> Array:
    for phase in phases:
        program.add_structure(phase.structure.to_diffpy())
    qmax = instrument.qmax or math.inf
    program.alloc("X", qmax if math.isfinite(qmax) else 0.0, instrument.qdamp, float(r[0]), float(r[-1]), r.size)
    program.setvar("qbroad", instrument.qbroad)
    for k, phase in enumerate(phases, 1):
        program.setphase(k)
        program.setvar("pscale", phase.scale)
        program.setvar("delta2", phase.delta2)
        if isinstance(phase.shape, Sphere):
            program.setvar("spdiameter", phase.shape.spdiameter)
    program.calc()
    return np.array(program.getpdf_fit())
