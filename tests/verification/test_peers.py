"""Agreement with PDFfit2 and DiffPy-CMI: with curves they computed, and with PDFfit2 run live.

Both programs are matched by a `Convention`. What is left, and why:
- peaks end at 5 σ in both, where their height is 3.7e-6: sums of such ends stay below 5e-6 of max|G|;
- neutron lengths: each program has a table of its own (S: 2.8471 and 2.847 fm): the test sets them;
- DiffPy-CMI's X-ray strengths are f(0) of the tables, PDFfit2's are Z: the test sets the former;
- partials of DiffPy-CMI share the baseline by number of atoms, c_a c_b(2 − δ_ab), not by weight: the test moves it.
"""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.model import filters
from pdfkit.scattering import form_factor

GOLDEN = Path(__file__).parents[1] / "golden"
CURVES = np.load(GOLDEN / "peers.npz")
ABOUT = json.loads((GOLDEN / "peers.json").read_text())
CONVENTION = {"pdffit2": "pdffit2", "srreal": "diffpy-cmi"}
# Promised: 2e-5 without and 1e-4 with the Qmax cut. Measured: 1.4e-5 and 1.4e-5, and those are the bounds here.
BOUND = 2e-5


def strengths(probe: str, program: str) -> dict[str, float]:
    if probe == "N":
        return {"Cd": 4.835, "S": 2.8471} if program == "pdffit2" else {"Cd": 4.83, "S": 2.847}
    if program == "srreal":
        return {e: float(form_factor(e, "X", np.zeros(1))[0]) for e in ("Cd", "S")}
    return {}


def instrument(probe: str, cut: bool) -> pk.Instrument:
    return pk.Instrument(probe=probe, qmax=25.0 if cut else math.inf, qdamp=0.03, qbroad=0.01)


def structure(case: str) -> pk.Structure:
    if case == "big200":
        elements = ["Cd" if flag else "S" for flag in CURVES["big200.is_cd"]]
        U = [0.008 if flag else 0.012 for flag in CURVES["big200.is_cd"]]
        return pk.Structure.from_arrays(tuple(CURVES["big200.cell"].tolist()), elements, CURVES["big200.xyz"], U=U)
    return pk.load_structure({"zb": "CdS_zincblende", "wz": "CdS_wurtzite"}[case])


def crystal(case: str, name: str = "p", **options: object) -> pk.Crystal:
    out = pk.Crystal.from_structure(structure(case), name=name, delta2=2.0, **options)
    wanted = {q.name: (0.008 if q.name.startswith("Cd") else 0.012) for q in out.quantities if q.name.endswith("Uiso")}
    return out.with_values(wanted)


def grid(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the full r of a stored curve, and which of its points are stored."""
    about = ABOUT[name]
    r = about["r0"] + about["step"] * np.arange(about["n"])
    return r, np.arange(0, about["n"], about["every"])


def compare(name: str, G: np.ndarray, r: np.ndarray, stored: np.ndarray, from_r: float) -> None:
    inside = r[stored] >= from_r
    worst = np.abs(G[stored] - CURVES[name])[inside].max() / ABOUT[name]["max"]
    assert worst <= BOUND, f"{name}: {worst:.2e} of max|G|"


@pytest.mark.parametrize("cut", [False, True], ids=["uncut", "cut"])
@pytest.mark.parametrize("program", ["pdffit2", "srreal"])
@pytest.mark.parametrize("probe", ["X", "N"])
@pytest.mark.parametrize("case", ["zb", "wz", "big200"])
def test_stored_crystals(case: str, probe: str, program: str, cut: bool) -> None:
    name = f"crystal.{case}_{probe}.{program}{'' if cut else '_noqmax'}"
    r, stored = grid(name)
    model = pk.Model(crystal(case), instrument(probe, cut), CONVENTION[program], strengths(probe, program))
    compare(name, model(r).G, r, stored, 1.0)


@pytest.mark.parametrize("program", ["pdffit2", "srreal"])
@pytest.mark.parametrize("probe", ["X", "N"])
@pytest.mark.parametrize("case", ["zb", "wz"])
def test_stored_partials(case: str, probe: str, program: str) -> None:
    model = pk.Model(crystal(case), instrument(probe, True), CONVENTION[program], strengths(probe, program))
    for pair in (("Cd", "Cd"), ("Cd", "S"), ("S", "S")):
        name = f"partials.{case}_{probe}.{program}.{'-'.join(pair)}"
        r, stored = grid(name)
        G = model.partials(r)[pair].G
        if program == "srreal":
            b = np.array([strengths(probe, program)[e] for e in pair])
            mean = sum(strengths(probe, program).values()) / 2
            share = 0.25 if pair[0] == pair[1] else 0.5
            rho0 = model.phases[0].structure.number_density()
            wide = filters.filter_range(r, 25.0, "diffpy-cmi")
            line = filters.lowpass(4 * math.pi * wide * rho0, 0.01, 25.0, "diffpy-cmi")[: r.size]
            G = G + line * share * (b.prod() / mean**2 - 1) * np.exp(-((0.03 * r) ** 2) / 2)
        compare(name, G, r, stored, 1.0)


@pytest.mark.parametrize("program", ["pdffit2", "srreal"])
@pytest.mark.parametrize("probe", ["X", "N"])
def test_stored_two_phases_with_spheres(probe: str, program: str) -> None:
    name = f"twophase.{probe}.{program}"
    r, stored = grid(name)
    phases = [
        crystal("zb", "zb", scale=0.6, shape=pk.Sphere(45.0)),
        crystal("wz", "wz", scale=0.4, shape=pk.Sphere(35.0)),
    ]
    model = pk.Model(phases, instrument(probe, True), CONVENTION[program], strengths(probe, program))
    compare(name, model(r).G, r, stored, 1.0)


def test_the_default_convention_differs_from_both_by_what_theory_says() -> None:
    # 1/r against 1/r_ij: 1–1.5 % in Rw for bulk CdS (each program's curve reproduced above).
    r = np.arange(150, 3000) * 0.01
    ours, theirs = (
        pk.Model(crystal("zb"), instrument("X", False), convention)(r).G for convention in ("pdfkit", "pdffit2")
    )
    rw = math.sqrt(float(((ours - theirs) ** 2).sum() / (theirs**2).sum()))
    assert 0.008 < rw < 0.02


def pdffit(crystals: list[pk.Crystal], probe: str, qmax: float, r: np.ndarray, qdamp: float, qbroad: float):
    """Return G of PDFfit2, run live on the same phases."""
    pdffit2 = pytest.importorskip("diffpy.pdffit2", reason="PDFfit2 has no wheel here")
    pdffit2.redirect_stdout(io.StringIO())
    program = pdffit2.PdfFit()
    for one in crystals:
        program.add_structure(one.structure.to_diffpy())
    program.alloc(probe, qmax if math.isfinite(qmax) else 0.0, qdamp, float(r[0]), float(r[-1]), r.size)
    program.setvar("qbroad", qbroad)
    for k, one in enumerate(crystals, 1):
        program.setphase(k)
        program.setvar("pscale", one.scale)
        program.setvar("delta1", one.delta1)
        program.setvar("delta2", one.delta2)
        program.setvar("sratio", one.sratio)
        program.setvar("rcut", one.rcut)
        if one.shape.kind == "sphere":
            program.setvar("spdiameter", one.shape.spdiameter)
        if one.shape.kind == "stepcut":
            program.setvar("stepcut", one.shape.stepcut)
    program.calc()
    return np.array(program.getpdf_fit())


@pytest.mark.peer
@pytest.mark.parametrize("qmax", [math.inf, 22.0])
@pytest.mark.parametrize("what", ["anisotropic", "sratio", "delta1", "stepcut", "two-phase", "triclinic", "occupancy"])
def test_pdffit2_live(what: str, qmax: float) -> None:
    from test_model import TRICLINIC

    r = np.arange(100, 2501) * 0.01
    wz = {"name": "wz", "delta2": 1.5}
    phases = {
        "anisotropic": [pk.Crystal.from_file("CdS_wurtzite", anisotropic=True, **wz).with_values(
            {"Cd.U11": 0.012, "Cd.U33": 0.03, "S.U11": 0.02, "S.U33": 0.009})],
        "sratio": [pk.Crystal.from_file("CdS_zincblende", name="zb", sratio=0.7, rcut=3.3)],
        "delta1": [pk.Crystal.from_file("Ni", name="ni", delta1=0.8)],
        "stepcut": [pk.Crystal.from_file("Ni", name="ni", shape=pk.shapes.Stepcut(17.305))],
        "two-phase": [
            pk.Crystal.from_file("CdSe_wurtzite", name="wz", scale=0.3, shape=pk.Sphere(30.0)),
            pk.Crystal.from_file("CdSe_zincblende", name="zb", scale=0.8, delta2=2.0, shape=pk.Sphere(22.0)),
        ],
        "triclinic": [pk.Crystal.from_structure(TRICLINIC, name="t")],
        "occupancy": [pk.Crystal.from_file("Ni", name="ni").with_values({"Ni.occ": 0.6})],
    }[what]  # fmt: skip
    theirs = pdffit(phases, "X", qmax, r, 0.03, 0.015)
    # The sharp step is a ramp one grid step wide where a cut follows: the program's own filter is discrete, too.
    model = pk.Model(phases, pk.Instrument(probe="X", qmax=qmax, qdamp=0.03, qbroad=0.015), "pdffit2")
    ours = model(r).G
    inside = r >= (1.0 if qmax == math.inf else 3.5)
    assert np.abs(ours - theirs)[inside].max() <= BOUND * np.abs(theirs).max()


@pytest.mark.parametrize(
    ("n", "qmax", "step"), [(2150, 25.0, 0.01), (6155, 25.0, 0.01), (500, 12.0, 0.02), (90, 8.0, 0.05)]
)
def test_the_decimated_filter_is_the_plain_one(n: int, qmax: float, step: float) -> None:
    curves = np.random.default_rng(n).normal(size=(3, n)).cumsum(axis=1)
    length = 1 << math.ceil(math.log2(2 * n))
    kept = math.ceil(qmax * (length - 1) * step / (2 * math.pi))
    assert length >= 6 * kept
    plain = filters._plain(curves, length, kept)
    # The stopband of the window is exp(−20) = 2e-9.
    np.testing.assert_allclose(
        filters.lowpass(curves, step, qmax, "pdffit2"), plain, atol=2e-9 * np.abs(curves).max(), rtol=0
    )
