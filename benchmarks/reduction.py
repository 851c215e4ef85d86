"""Reductions: against published curves, against replicas, and how fast.

    python benchmarks/reduction.py                   ch05 patterns, replicas, speed
    python benchmarks/reduction.py --published DIR   a folder with <name>.xye (or .iq), .fq and .gr of PDFgetX3,
                                                     its settings taken from the header of the .gr

Shape Rw: after the best common factor.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import pdfkit as pk
from pdfkit import scattering
from pdfkit.data import conversion
from pdfkit.reduction.config import read_config


def shape_rw(ours: np.ndarray, theirs: np.ndarray) -> float:
    factor = ours @ theirs / (ours @ ours)
    return float(np.sqrt(np.sum((factor * ours - theirs) ** 2) / np.sum(theirs**2)))


def columns(path: Path) -> np.ndarray:
    """The numbers of a file, whatever stands above them."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append([float(word) for word in line.split()])
        except ValueError:
            rows = []
    return np.array([row for row in rows if row])


def published(folder: Path) -> None:
    """Print, stage by stage, where a reduction differs from the published one, from raw and from their own .iq."""
    target = next(folder.glob("*.gr"))
    settings = read_config(target)
    settings.pop("files", None)
    settings.pop("window", None)
    for key in ("rmin", "rmax", "rstep"):
        settings.pop(key, None)
    reading = {key: settings.pop(key) for key in ("unit", "twothetazero") if key in settings}
    background = settings.pop("background", None)
    wavelength = settings.get("wavelength")
    stem = target.with_suffix("")
    raw = pk.read_intensity(stem.with_suffix(".xye"), wavelength=wavelength, **reading)
    empty = None if background is None else pk.read_intensity(background, wavelength=wavelength, **reading)
    starts = {"raw": pk.reduce(raw, background=empty, **settings)}
    theirs = {kind: columns(stem.with_suffix(f".{kind}")) for kind in ("iq", "fq", "gr")}
    their_iq = pk.Intensity(*theirs["iq"].T[:2])
    starts["their I(Q)"] = pk.reduce(their_iq, errors="none", **{**settings, "bgscale": 1.0})
    net = np.interp(theirs["iq"][:, 0], starts["raw"].Q, starts["raw"].stages["net"])
    print(
        f"{stem.name}\n  net intensity, from raw: largest difference {np.abs(net / theirs['iq'][:, 1] - 1).max():.1e}"
    )
    for name, done in starts.items():
        F = done.F if len(done.Q) == len(theirs["fq"]) else np.interp(theirs["fq"][:, 0], done.Q, done.F)
        r, G = theirs["gr"].T[:2]
        ours = done.to_pdf(r).G
        near = r <= 30
        print(
            f"  from {name}: shape Rw of F(Q) {shape_rw(F, theirs['fq'][:, 1]):.2g}, of G(r) to 30 Å "
            f"{shape_rw(ours[near], G[near]):.2g}, to {r[-1]:.0f} Å {shape_rw(ours, G):.2g}; "
            f"factor {float(ours @ G / (ours @ ours)):.5f}, degree {done.diagnostics['degree']:.4f}"
        )
    # Their G is read off an FFT of eightfold padded F by straight lines.
    F, step = starts["their I(Q)"].F, float(np.diff(starts["their I(Q)"].Q).mean())
    start = round(starts["their I(Q)"].Q[0] / step)
    size = 8 * 2 ** math.ceil(math.log2(start + F.size))
    padded = np.zeros(size)
    padded[start : start + F.size] = F
    curve = -2 / math.pi * step * np.fft.rfft(padded, 2 * size).imag
    by_fft = np.interp(r, math.pi / (size * step) * np.arange(curve.size), curve)
    print(f"  the same F by FFT and straight lines: shape Rw of G(r) {shape_rw(by_fft, G):.1g}")


def ch05() -> None:
    distribution = importlib.metadata.distribution("diffpy.cmi")
    folder = Path(str(distribution.locate_file("diffpy/cmi/docs/examples/pdf/ch05Fit2Phase/data")))
    for name, formula in (("ni", "Ni"), ("si", "Si"), ("sini", "Si0.5Ni0.5")):
        gr = pk.read_pdf(folder / f"{name}.gr").crop(1.5, 30)
        iq = pk.read_intensity(folder / "iq" / f"{name}.iq")
        done = pk.reduce(iq, composition=formula, errors="none")
        print(f"  {name:<5} shape Rw of G(r), 1.5 to 30 Å: {shape_rw(done.to_pdf(gr.r).G, gr.G):.4f}")


def nickel(Q: np.ndarray) -> pk.SQ:
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=math.inf, qdamp=0.06))
    return conversion.pdf_to_sq(model(np.arange(1, 8001) * 0.01), Q)


def pattern(points: int) -> pk.Intensity:
    Q = np.linspace(0.6, 24, points)
    I = 7 * (scattering.form_factor("Ni", "X", Q) ** 2 * nickel(Q).S + 60)
    return pk.Intensity(Q, I, np.sqrt(I), wavelength=0.2, name="nickel")


def replicas(count: int) -> None:
    sample = pattern(900)
    empty = pk.Intensity(np.linspace(0.5, 24.1, 700), np.full(700, 100.0), np.full(700, 8.0))
    r = np.arange(0.5, 20, 0.1)
    for method in ("adhoc", "physical"):
        how = {"composition": "Ni", "method": method, "rpoly": 0.9}
        pdf = pk.reduce(sample, background=empty, **how).to_pdf(r, window="lorch")
        rng = np.random.default_rng(0)
        curves = np.empty((count, r.size))
        for k in range(count):
            pair = [replace(one, I=one.I + one.dI * rng.standard_normal(len(one))) for one in (sample, empty)]
            curves[k] = pk.reduce(pair[0], background=pair[1], errors="none", **how).to_pdf(r, window="lorch").G
        exact, sampled = pdf.cov.matrix(r), np.cov(curves.T)
        sigma = np.sqrt(np.diag(exact))
        z = (sampled - exact) / np.sqrt((np.outer(sigma, sigma) ** 2 + exact**2) / count)
        print(
            f"  {method}: {count} replicas; elements of the covariance differ by {z.std():.2f} sampling errors (rms), "
            f"{np.abs(z).max():.1f} at most; variances by a factor {np.mean(np.diag(sampled) / sigma**2):.3f}"
        )


def best(call: Callable[[], object], times: int = 9) -> float:
    call()
    spent = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        spent.append(time.perf_counter() - begin)
    return 1000 * min(spent)


def speed(files: int) -> None:
    sample = pattern(3000)
    done = pk.reduce(sample, composition="Ni")
    print(
        f"  3000 points: reduce {best(lambda: pk.reduce(sample, composition='Ni')):.1f} ms, G(r) with dG and cov "
        f"{best(done.to_pdf):.1f} ms, together {best(lambda: pk.reduce(sample, composition='Ni').to_pdf()):.1f} ms"
    )
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        for k in range(files):
            I = sample.I + sample.dI * rng.standard_normal(3000)
            np.savetxt(Path(folder) / f"{k:04}.iq", np.stack([sample.Q, I, sample.dI], axis=1), fmt="%.6g")
        begin = time.perf_counter()
        rows = pk.reduce_files(f"{folder}/*.iq", Path(folder) / "out", composition="Ni", workers=2)
        spent = time.perf_counter() - begin
        bad = sum(row.status != "done" for row in rows)
        print(f"  {files} files on two processes: {spent:.1f} s, {files / spent:.0f} a second ({bad} failed)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, metavar="DIR")
    parser.add_argument("--replicas", type=int, default=2000)
    parser.add_argument("--files", type=int, default=1000)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", pk.PdfkitWarning)
    if chosen.published is not None:
        published(chosen.published)
        return
    print("published with diffpy.cmi (another program, other corrections)")
    ch05()
    print("covariance of G(r) against replicas of the whole reduction")
    replicas(chosen.replicas)
    print("speed")
    speed(chosen.files)


if __name__ == "__main__":
    main()
