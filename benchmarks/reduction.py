"""Reductions: against published curves, against replicas, and how fast.

    python benchmarks/reduction.py                   ch05 patterns, replicas, slow errors, amplitudes, filter, speed
    python benchmarks/reduction.py --slow            what an error of 5 % that changes slowly with Q does; Compton
    python benchmarks/reduction.py --filter          errors after a Fourier filter against 500 replicas
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
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import pdfkit as pk
from pdfkit import scattering
from pdfkit.data import conversion
from pdfkit.reduction import corrections, slow
from pdfkit.reduction.config import read_config
from pdfkit.reduction.settings import ReductionSettings


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
        how = {"composition": "Ni", "method": method, "rpoly": 0.9, "slow": 0.0}
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


# --- slow errors, Compton scattering, amplitudes ----------------------------------------------------------------------

BEAM = ReductionSettings(probe="X", wavelength=0.2)
FAR = np.arange(1.2, 20, 0.02)
KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda x: 0 * x,
    "linear": lambda x: 2 * x - 1,
    "half a wave": lambda x: np.sin(np.pi * x),
    "a wave": lambda x: np.sin(2 * np.pi * x),
    "absorption": lambda x: 2 * np.exp(-2 * x**2) - 1,
    "at the end": lambda x: x**4,
}
SILICA = """data_g
_cell_length_a 7.13
_cell_length_b 7.13
_cell_length_c 7.13
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F d -3 m:2'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_U_iso_or_equiv
Si Si 0.125 0.125 0.125 0.002
O O 0 0 0 0.002
"""


@dataclass(frozen=True)
class Sample:
    """S(Q) that is known, with Q-dependent weights."""

    name: str
    composition: str
    rho0: float
    sq: pk.SQ

    def intensity(self, kind: str = "none", *, compton: bool = True, constant: float = 0.0) -> np.ndarray:
        """⟨f²⟩ + ⟨f⟩²(S − 1) + Compton + a constant (of ⟨f(0)²⟩), times 1 + 5 % of a slow function."""
        Q, fractions = self.sq.Q, scattering.parse_composition(self.composition)
        means = corrections.levels(fractions, "X", Q)
        I = means.f2 + means.f1**2 * (self.sq.S - 1) + constant * means.f2[0]
        I += corrections.inelastic(BEAM, fractions, Q) if compton else 0.0
        return 7 * I * (1 + 0.05 * KINDS[kind](Q / Q[-1]))

    def pattern(self, rng: np.random.Generator, I: np.ndarray) -> pk.Intensity:
        """Counts, 10⁵ in the middle of the pattern."""
        counts = 1e5 / np.median(I) * I
        dI = np.sqrt(np.maximum(counts, 1.0))
        return pk.Intensity(self.sq.Q, counts + dI * rng.standard_normal(I.size), dI, wavelength=0.2)


def samples() -> list[Sample]:
    Q = np.linspace(0.6, 24, 1200)
    out = []
    crystals = {
        "Ni": "Ni",
        "CdS": "CdS_zincblende",
        "CeO2": "CeO2",
        "Si": "Si",
        "LaB6": "LaB6",
        "CdS dot": "CdS_zincblende",
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "glass.cif").write_text(SILICA, encoding="utf-8")
        for name, file in {**crystals, "SiO2 glass": f"{folder}/glass.cif"}.items():
            shape = {"shape": pk.Sphere(30)} if "dot" in name else {}
            # Correlations of the glass fade with distance.
            beam = {"qbroad": 0.7} if "glass" in name else {"qdamp": 0.03 if shape else 0.06}
            crystal = pk.Crystal.from_file(file, name="p", **shape)
            model = pk.Model(crystal, pk.Instrument(probe="X", qmax=60, scattering="q-dependent", **beam))
            rho0 = crystal.structure.number_density()
            out.append(Sample(name, name.split()[0], rho0, pk.SQ(Q, model.sq(Q).S)))
    return out


def slow_errors(sample: Sample) -> None:
    """Shape Rw and amplitude of G(r) from 1.2 to 20 Å, without the slow factor and with it."""
    wanted = sample.sq.to_pdf(FAR).G
    for kind in KINDS:
        row = []
        for much in (0.0, 0.05):
            iq = pk.Intensity(sample.sq.Q, sample.intensity(kind), wavelength=0.2)
            G = pk.reduce(iq, composition=sample.composition, method="physical", slow=much, errors="none").to_pdf(FAR).G
            row.append(f"Rw {shape_rw(G, wanted):.3f}, amplitude {G @ wanted / (wanted @ wanted):.3f}")
        print(f"  {sample.name:<10} {kind:<12} before: {row[0]}   now: {row[1]}")


def honest(sample: Sample, count: int) -> None:
    """Rms of (Ĝ − G)/dG over replicas of counts, undisturbed and with factors drawn from the prior."""
    r = np.arange(1.2, 15, 0.05)
    wanted = sample.sq.to_pdf(r, window="lorch").G
    rng = np.random.default_rng(3)
    clean, shapes = sample.intensity(), slow.basis(sample.sq.Q)[:, 1:]
    for words, much in (("undisturbed", 0.0), ("factors of the prior", 0.05)):
        z = []
        for _ in range(count):
            n = 1 + shapes @ (slow.priors(much, 1.0)[1:] * rng.standard_normal(shapes.shape[1]))
            done = pk.reduce(sample.pattern(rng, clean * n), composition=sample.composition, method="physical")
            pdf = done.to_pdf(r, window="lorch")
            z.append((pdf.G - wanted) / pdf.dG)
        print(f"  {sample.name:<10} {words:<21} rms of (Ĝ − G)/dG {np.sqrt(np.mean(np.square(z))):.2f}")


def compton(sample: Sample) -> None:
    """Are data told from one another: what is remarked, and the amplitude when the setting is right and wrong."""
    wanted = sample.sq.to_pdf(FAR).G
    rng = np.random.default_rng(1)
    for inside in (True, False):
        iq = sample.pattern(rng, sample.intensity(compton=inside))
        row = []
        for setting in (inside, not inside):
            done = pk.reduce(iq, composition=sample.composition, method="physical", compton=setting)
            said = any("Compton" in text for text in done.sq.remarks)
            G = done.to_pdf(FAR).G
            row.append(f"{G @ wanted / (wanted @ wanted):.3f}{' (remarked)' if said else ''}")
        words = "with" if inside else "without"
        print(f"  {sample.name:<10} data {words} Compton: amplitude {row[0]}, with the wrong setting {row[1]}")


def amplitudes(sample: Sample) -> None:
    """The factor of the ad hoc amplitude, and what is estimated of it."""
    wanted = sample.sq.to_pdf(FAR).G
    rng = np.random.default_rng(1)
    cases: dict[str, dict[str, object]] = {"as measured": {}, "5 % linear": {"kind": "linear"}}
    cases |= {"no Compton": {"compton": False}, "fluorescence": {"constant": 0.02}}
    for words, how in cases.items():
        iq = sample.pattern(rng, sample.intensity(**how))  # type: ignore[arg-type]
        done = pk.reduce(iq, composition=sample.composition, rho0=sample.rho0)
        true = float(done.to_pdf(FAR).G @ wanted / (wanted @ wanted))
        found, error = (done.diagnostics.get(name, math.nan) for name in ("amplitude", "amplitude error"))
        off = f"off by {100 * (found / true - 1):+.1f} %, {(found - true) / error:+.1f} σ"
        print(f"  {sample.name:<10} {words:<13} true {true:.3f}, estimated {found:.3f} ± {error:.3f}: {off}")


def filters(count: int) -> None:
    """Errors after the filter against replicas, and what it removes and harms."""
    rng = np.random.default_rng(0)
    for sample in samples():
        end = {"Ni": 2.0, "SiO2 glass": 1.2, "LaB6": 1.3}.get(sample.name, 2.0)
        Q, far = sample.sq.Q, np.arange(end + 0.3, 20, 0.02)
        wrong = pk.SQ(Q, sample.sq.S + 0.05 * np.cos(0.4 * Q))
        true = sample.sq.to_pdf(far).G
        row = []
        for sq in (sample.sq, wrong):
            found = [sq, *(sq.fourier_filter(end, sample.rho0, passes=n) for n in (1, 10))]
            row.append(", ".join(f"{np.std(one.to_pdf(far).G - true) / np.std(true):.4f}" for one in found))
        print(f"  {sample.name:<10} off by (0, 1, 10 passes): nothing wrong {row[0]}; S + 0.05 cos(0.4 Q) {row[1]}")
    sample, r = samples()[1], np.arange(0.5, 15, 0.1)
    dS = 0.02 + 0.002 * sample.sq.Q
    for passes in (1, 10):
        exact = (
            pk.SQ(sample.sq.Q, sample.sq.S, dS)
            .fourier_filter(2.0, sample.rho0, passes=passes)
            .to_pdf(r, window="lorch")
        )
        curves = [
            pk.SQ(sample.sq.Q, sample.sq.S + dS * rng.standard_normal(dS.size))
            .fourier_filter(2.0, sample.rho0, passes=passes)
            .to_pdf(r, window="lorch")
            .G
            for _ in range(count)
        ]
        ratio = np.std(curves, axis=0) / exact.dG
        print(
            f"  {passes} passes, {count} replicas: spread/dG {np.sqrt(np.mean(ratio**2)):.3f}, {ratio.min():.2f} to "
            f"{ratio.max():.2f} (sampling {1 / math.sqrt(2 * count):.3f})"
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
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--filter", action="store_true")
    parser.add_argument("--replicas", type=int, default=2000)
    parser.add_argument("--files", type=int, default=1000)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", pk.PdfkitWarning)
    if chosen.published is not None:
        published(chosen.published)
        return
    whole = not (chosen.slow or chosen.filter)
    if chosen.slow or whole:
        print("a factor 1 + 5 % of a slow function on intensities without noise")
        some = samples()
        for study in (slow_errors, lambda one: honest(one, 40), compton, amplitudes):
            for sample in some:
                study(sample)
    if chosen.filter or whole:
        print("Fourier filter")
        filters(500)
    if not whole:
        return
    print("published with diffpy.cmi (another program, other corrections)")
    ch05()
    print("covariance of G(r) against replicas of the whole reduction")
    replicas(chosen.replicas)
    print("speed")
    speed(chosen.files)


if __name__ == "__main__":
    main()
