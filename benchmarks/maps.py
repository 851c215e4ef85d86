"""Maps of a simulated CT slice: `python benchmarks/maps.py [--size 64] [--noise 0.01 0.05 …] [--rounds 2]`.

A slice of CdS dots, zinc blende and wurtzite: a share of wurtzite with a hill, a diameter that changes along a sine,
and a disc in which it is 6 Å larger at once, which no smooth map can follow. G(r) from 1.5 to 20 Å, noise flat in Q.
For each noise: the root-mean-square distance of phase fraction and diameter from the truth, of places fitted by
themselves and of the map (of the diameter also the median: at large noise single fits run away); the root mean square
of (map − truth)/error, which should be about 1 and not more; the processor time of each place.

`--errors`: why errors of small maps with much noise are too small. Fields alone, without fits: what places say is the
truth with errors as G(r) has them, over ten rounds of noise, beside how many of the differences between neighbours
the data tell.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

import pdfkit as pk
from pdfkit.series.maps import Map, fit_map
from pdfkit.series.smooth import smooth

Array = np.ndarray
LAB = pk.Instrument(probe="X", qmax=20.0, qdamp=0.03)
R = np.arange(1.5, 20.0, 0.03)
STEP = 0.05
Q = np.arange(STEP, 20.0, STEP)
WAVES = 2.0 / np.pi * np.sin(np.outer(R, Q)) * np.sqrt(STEP)
NOISE = (0.01, 0.03, 0.1, 0.3, 1.0)


def model() -> pk.Model:
    names = {"zb": "CdS_zincblende", "wz": "CdS_wurtzite"}
    made = [pk.Crystal.from_file(file, name=name, shape=pk.Sphere(30.0), delta2=2.0) for name, file in names.items()]
    return pk.Model(made, LAB)


def truth(size: int) -> tuple[Array, Array]:
    """Return the share of wurtzite and the diameter (Å), (size, size) each."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    share = 0.3 + 0.4 * np.exp(-3.0 * ((x - 0.2) ** 2 + (y + 0.1) ** 2))
    disc = (x + 0.4) ** 2 + (y - 0.3) ** 2 < 0.1
    return share, 30.0 + 6.0 * np.sin(2.0 * x) + 3.0 * y + np.where(disc, 6.0, 0.0)


def clean(share: Array, D: Array) -> list[Array]:
    """Return G(r) of every place."""
    made, out = model(), []
    evaluate = made.evaluator(R)
    place = {name: k for k, name in enumerate(made.names)}
    for x, d in zip(share.ravel(), D.ravel(), strict=True):
        values = made.values.copy()
        for name, value in {"zb.scale": 1 - x, "wz.scale": x, "zb.spdiameter": d, "wz.spdiameter": d}.items():
            values[place[name]] = value
        out.append(evaluate(values)[0].copy())
    return out


def rms(off: Array) -> float:
    return float(np.sqrt(np.mean(off**2)))


def mapped(curves: list[Array], shape: tuple[int, int], noise: float, rounds: int) -> Map:
    """Return the map of a slice with noise."""
    rng = np.random.default_rng(1)
    scans = [pk.PDF(R, G + WAVES @ rng.normal(0.0, noise, Q.size), instrument=LAB) for G in curves]
    return fit_map(
        model(),
        scans,
        shape,
        free=["scale", "zb.spdiameter", "zb.a"],
        mapped=["scale", "spdiameter"],
        ties={"wz.spdiameter": "zb.spdiameter"},
        rounds=rounds,
    )


def row(curves: list[Array], share: Array, D: Array, noise: float, rounds: int) -> str:
    """Return one line of the table."""
    started = time.process_time()
    found = mapped(curves, share.shape, noise, rounds)
    each = 1e3 * (time.process_time() - started) / share.size
    alone = dict(zip(found.names, np.moveaxis(found.alone, 2, 0), strict=True))
    by_itself = alone["wz.scale"] / (alone["wz.scale"] + alone["zb.scale"])
    fraction, sigma = found.fraction("wz")
    off = {"alone": alone["zb.spdiameter"] - D, "map": found["zb.spdiameter"][0] - D}
    rw = float(np.median(found.rw))
    return (
        f"| {noise:g} | {rw:.3f} | {rms(by_itself - share):.4f} | {rms(fraction - share):.4f} | "
        f"{rms((fraction - share) / sigma):.2f} | {min(rms(off['alone']), 1e4):.3g} "
        f"({np.median(np.abs(off['alone'])):.3g}) | {rms(off['map']):.3g} ({np.median(np.abs(off['map'])):.3g}) | "
        f"{rms(off['map'] / found['zb.spdiameter'][1]):.2f} | {each:.0f} |"
    )


def information(noise: float) -> Array:
    """Return what a place says (3, 3) of both scales and the diameter, its lattice constant left to it."""
    base = model()
    middle = np.array([0.5, 0.5, 33.0, base.values[base.names.index("zb.a")]])

    def curve(x: Array) -> Array:
        names = ("zb.scale", "wz.scale", "zb.spdiameter", "zb.a", "wz.spdiameter")
        return base.with_values(dict(zip(names, [*x, x[2]], strict=True)))(R).G

    steps = np.diag([1e-3, 1e-3, 1e-2, 1e-4])
    by = np.array([(curve(middle + one) - curve(middle - one)) / (2 * one.sum()) for one in steps]).T
    u, size, _ = np.linalg.svd(WAVES, full_matrices=False)
    seen = (u[:, size > 1e-6 * size[0]] / size[size > 1e-6 * size[0]]).T @ by / noise
    return np.asarray(np.linalg.inv(np.linalg.inv(seen.T @ seen)[:3, :3]))


def errors(rounds: int = 10) -> None:
    """Print whether errors of fields are right."""
    print("| places | noise of F (Å⁻¹) | differences told: zb, wz, D | (map − truth)/error: zb | wz | D |")
    print("|---|---|---|---|---|---|")
    unit = information(1.0)
    for size, noise in [(8, 0.1), (8, 0.3), (8, 1.0), (16, 0.1), (16, 0.3), (16, 1.0), (24, 1.0), (32, 1.0), (64, 1.0)]:
        share, D = truth(size)
        there = np.stack([1 - share, share, D], axis=-1)
        H = np.broadcast_to(unit / noise**2, (size, size, 3, 3))
        root, told, off = np.linalg.cholesky(np.linalg.inv(H[0, 0])), [], []
        for seed in range(rounds):
            field = smooth(there + np.random.default_rng(seed).standard_normal(there.shape) @ root.T, H)
            told.append(field.told)
            off.append(((field.values - there) / field.errors) ** 2)
        counts = ", ".join(f"{one:.0f}" for one in np.median(told, axis=0))
        spread = " | ".join(f"{one:.2f}" for one in np.sqrt(np.mean(off, axis=(0, 1, 2))))
        print(f"| {size} × {size} | {noise:g} | {counts} of {size * size - 1} | {spread} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--noise", type=float, nargs="+", default=NOISE)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--errors", action="store_true")
    args = parser.parse_args()
    if args.errors:
        return errors()
    warnings.simplefilter("ignore", pk.PdfkitWarning)
    share, D = truth(args.size)
    curves = clean(share, D)
    print("| noise of F (Å⁻¹) | Rw | share, alone | share, map | error right | D, alone | D, map | error right | ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    for noise in args.noise:
        print(row(curves, share, D, noise, args.rounds), flush=True)


if __name__ == "__main__":
    main()
