"""Cases of the bench that are more than one curve: fits, transform, reduction, screening."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np

from pdfkit import build, scattering, transforms
from pdfkit._checks import Array
from pdfkit.benchmarking import rivals
from pdfkit.benchmarking.cases import INSTRUMENT, Prepared, Rival
from pdfkit.data import conversion
from pdfkit.data.curves import PDF, Intensity
from pdfkit.data.instrument import Instrument
from pdfkit.errors import heard
from pdfkit.fitting.least_squares import fit
from pdfkit.model.model import Model
from pdfkit.phases.cluster import Cluster
from pdfkit.phases.crystal import Crystal
from pdfkit.reduction.reduction import reduce
from pdfkit.results.result import FitResult
from pdfkit.screening.ranking import Ranking
from pdfkit.screening.screening import screen
from pdfkit.shapes import Sphere

TRUE = {
    "zb.scale": 0.6, "zb.a": 5.832, "zb.Cd.Uiso": 0.008, "zb.S.Uiso": 0.012, "zb.delta2": 2.0, "zb.spdiameter": 45.0,
    "wz.scale": 0.4, "wz.a": 4.1348, "wz.c": 6.749, "wz.S.z": 0.377, "wz.Cd.Uiso": 0.009, "wz.S.Uiso": 0.014,
    "wz.delta2": 2.2, "wz.spdiameter": 35.0,
}  # fmt: skip
START = {
    "zb.scale": 0.5, "zb.a": 5.80, "zb.Cd.Uiso": 0.006, "zb.S.Uiso": 0.009, "zb.delta2": 1.0, "zb.spdiameter": 55.0,
    "wz.scale": 0.5, "wz.a": 4.16, "wz.c": 6.72, "wz.S.z": 0.375, "wz.Cd.Uiso": 0.006, "wz.S.Uiso": 0.009,
    "wz.delta2": 1.0, "wz.spdiameter": 45.0,
}  # fmt: skip
# 13 parameters: u of wurtzite stays free, its delta2 follows zinc blende's.
TIES = {"wz.delta2": "zb.delta2"}
FREE = ["scale", "a", "c", "S.z", "Uiso", "zb.delta2", "spdiameter"]


def two_phases(values: dict[str, float], convention: str) -> Model:
    """Return zinc blende and wurtzite, both spheres."""
    zb = Crystal.from_file("CdS_zincblende", name="zb", shape=Sphere(45.0))
    wz = Crystal.from_file("CdS_wurtzite", name="wz", shape=Sphere(35.0))
    return Model([zb, wz], INSTRUMENT, convention).with_values(values)


def two_phase_fit(rmax: float) -> Prepared:
    """A whole fit of noisy data made in PDFfit2's convention, by both programs in that convention."""
    r = 0.01 * np.arange(1, round(rmax * 100) + 201, dtype=np.float64)
    noise = np.random.default_rng(11).normal(0, 0.02, r.size)
    data = PDF(r, two_phases(TRUE, "pdffit2")(r).G + noise, instrument=INSTRUMENT)
    model = two_phases(START, "pdffit2")

    def run() -> FitResult:
        return fit(model, data, rmin=1.0, rmax=rmax, free=FREE, ties=TIES, search="plain")

    def pdffit2() -> Rival:
        theirs = rivals.pdffit2_fit(model, START, data, 1.0, rmax)
        return Rival(theirs, lambda: np.array([run().rw]), 1e-3, "Rw of the two fits, which stop by different rules")

    return Prepared(run, {rivals.PDFFIT2: pdffit2})


def transform() -> Prepared:
    """G(r) from F(Q) that dies before its end, so that end terms do not matter."""
    Q, r = 0.01 * np.arange(1, 2401, dtype=np.float64), 0.01 * np.arange(1, 3001, dtype=np.float64)
    F = np.exp(-0.02 * Q**2) * sum(np.sin(d * Q) / d for d in (2.5, 4.1, 4.8, 6.3)) * (1 - (Q / 24.0) ** 2) ** 2

    def run() -> Array:
        return transforms.sine_transform(Q, F, r)

    def plain() -> Rival:
        return Rival(rivals.sine_matrix(Q, F, r), run, 1e-4, "its end at the first Q")

    return Prepared(run, {rivals.NUMPY: plain})


def reduction() -> Prepared:
    """I(Q) of nickel, fluorescence and counting errors included, to G(r) with its covariance."""
    Q = np.linspace(0.6, 24, 3000)
    model = Model(Crystal.from_file("Ni", name="ni"), Instrument(probe="X", qmax=math.inf, qdamp=0.06))
    r = 0.01 * np.arange(1, 8001, dtype=np.float64)
    S = conversion.pdf_to_sq(model(r), Q).S
    I = 7 * (scattering.form_factor("Ni", "X", Q) ** 2 * S + 60)
    sample = Intensity(Q, I, np.sqrt(I), wavelength=0.2, name="nickel")

    def run() -> PDF:
        with heard():
            return reduce(sample, composition="Ni").to_pdf()

    def check() -> tuple[str, float, float, str]:
        got = run()
        cut = Model(Crystal.from_file("Ni", name="ni"), Instrument(probe="X", qmin=0.6, qmax=24.0, qdamp=0.06))
        near = (got.r > 1.5) & (got.r < 30.0)
        true = cut(got.r[near]).G
        mine = got.G[near]
        best = float(mine @ true / (mine @ mine))
        difference = float(np.sqrt(np.sum((best * mine - true) ** 2) / np.sum(true**2)))
        return "the G(r) put in, shape Rw", difference, 0.03, "the correction is a polynomial of low degree"

    return Prepared(run, check=check)


def screening() -> Prepared:
    """Full fits of clusters of 86 atoms against simulated data, in one process."""
    particles = list(islice(build.iter_candidates("Cd54Se32", families=["zincblende"], seed=1), 60))
    start = {"Uiso": 0.02, "delta2": 4.0}
    lab = Instrument(probe="X", qmin=0.9, qmax=20.0, qdamp=0.06)
    truth = particles[7]
    r = 0.01 * np.arange(100, 2001, dtype=np.float64)
    data = Model(Cluster(truth, "c", Uiso={"Cd": 0.02, "Se": 0.02}, delta2=4.0), lab)(r)
    noise = np.random.default_rng(3).normal(0, 0.02 * data.G.std(), r.size)
    data = PDF(r, data.G + noise, instrument=lab)

    def run() -> Ranking:
        return screen(particles, data, start=start, keep=(len(particles), len(particles)), workers=1)

    def check() -> tuple[str, float, float, str]:
        rows = [row for row in run().rows if row.name == truth.name]
        return "Δ ln Z of the true cluster", rows[0].delta if rows else math.inf, 3.0, "noise of 2 %"

    return Prepared(run, check=check, per=len(particles), unit="clusters")
