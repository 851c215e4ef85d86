"""Stacking disorder against two phases on measured CdSe, and how well it is recovered: `python benchmarks/stacking.py`.

Prints Markdown: fits of CdSe-1…4 and bulk (diffpy.cmi's examples, 1.5–40 Å) by rival models; recovery of alpha and
diameter from simulated data; time beside a zinc-blende crystal. Draws docs/pictures/stacking.png. Every model is
started from three sides (`STARTS`), and the lowest χ² is shown of fits that lost no peak: δ₂ can grow until the
shortest bond has no width, and there are minima behind that edge. BIC counts independent points: lower is better,
differences below about 6 mean little.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

# Small matrices: threads of the linear algebra only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import measured
import numpy as np

import pdfkit as pk

SAMPLES = ("CdSe-1", "CdSe-2", "CdSe-3", "CdSe-4", "CdSe-bulk")
PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "stacking.png"
# Displacements to start from: the species that moves more is not the same in both minima.
STARTS = ({"Cd": 0.02, "Se": 0.04}, {"Cd": 0.04, "Se": 0.02}, {"Cd": 0.06, "Se": 0.02})
CELL = ["scale", "a_h", "h", "u", "delta2"]
DIAMETER = {"CdSe-1": 20.0, "CdSe-2": 25.0, "CdSe-3": 30.0, "CdSe-4": 33.0}


def stacked(name: str, U: dict[str, float], **options: Any) -> pk.Stacked:
    """Return CdSe as a start of fits: a sphere, or no end for the bulk."""
    values: dict[str, Any] = {"a_h": 4.29, "h": 3.505, "u": 0.376, "Uiso": U, "delta2": 3.0, **options}
    if name in DIAMETER:
        values["shape"] = pk.Sphere(DIAMETER[name])
    return pk.Stacked("Cd", "Se", name="st", **values)


@dataclass(frozen=True)
class Rival:
    """A model: its phases from a sample's name and start displacements, what is free, and ties."""

    label: str
    phases: Callable[[str, dict[str, float]], list[Any]]
    free: tuple[str, ...]
    ties: dict[str, str] | None = None


def _crystal(kind: str) -> Callable[..., Any]:
    def make(name: str, U: dict[str, float], **options: Any) -> pk.Crystal:
        shape = pk.Sphere(DIAMETER[name]) if name in DIAMETER else None
        crystal = getattr(measured, kind)(shape=shape, **options)
        known = {q.name for q in crystal.quantities}
        values = {f"{e}.{u}": value for e, value in U.items() for u in ("Uiso", "U11", "U33")}
        return crystal.with_values({key: value for key, value in values.items() if key in known})

    return make


zincblende, wurtzite = _crystal("zincblende"), _crystal("wurtzite")


def _with_broad(name: str, U: dict[str, float]) -> list[Any]:
    """A stack, and a zinc blende so disordered that only its first peaks are left."""
    broad = zincblende(name, {"Cd": 0.15, "Se": 0.2}).with_values({"scale": 0.1, "delta2": 0.0})
    return [stacked(name, U, alpha=0.7), broad]


ATOMS = ("Uiso", "spdiameter")
RIVALS = {
    "zb": Rival("zinc blende", lambda n, U: [zincblende(n, U)], ("scale", "a", "delta2", *ATOMS)),
    "wz": Rival("wurtzite", lambda n, U: [wurtzite(n, U)], (*measured.CELL, *ATOMS)),
    "wz U11 U33": Rival(
        "wurtzite, U11 ≠ U33", lambda n, U: [wurtzite(n, U, anisotropic=True)],
        (*measured.CELL, "U11", "U33", "spdiameter"),
    ),
    "two": Rival(
        "two phases, shared U", lambda n, U: [wurtzite(n, U), zincblende(n, U)], (*measured.CELL, *ATOMS),
        measured.SHARED,
    ),
    "two own": Rival(
        "two phases, own U", lambda n, U: [wurtzite(n, U), zincblende(n, U)], (*measured.CELL, *ATOMS), measured.ONE_D
    ),
    "one": Rival("stacked", lambda n, U: [stacked(n, U, alpha=0.7)], (*CELL, "alpha", *ATOMS)),
    "memory": Rival(
        "stacked, two parameters", lambda n, U: [stacked(n, U, alpha_c=0.6, alpha_h=0.8)],
        (*CELL, "alpha_c", "alpha_h", *ATOMS),
    ),
    "layers": Rival(
        "stacked, U11 ≠ U33", lambda n, U: [stacked(n, {}, alpha=0.7, U11=U, U33={"Cd": 0.03, "Se": 0.05})],
        (*CELL, "alpha", "U11", "U33", "spdiameter"),
    ),
    "broad": Rival(
        "stacked + disordered", _with_broad, (*CELL[:-1], "st.delta2", "zb.a", "alpha", *ATOMS),
        {"zb.spdiameter": "st.spdiameter"},
    ),
}  # fmt: skip


@lru_cache(maxsize=256)
def best(name: str, rival: str, scattering: str = "q-dependent") -> pk.FitResult:
    """Return the best fit of a rival model to a sample over the starts."""
    how = RIVALS[rival]
    data = measured.cdse(name)
    results = []
    for U in STARTS:
        model = pk.Model(how.phases(name, U), replace(data.instrument, scattering=scattering))
        known = [n.split(".")[-1] for n in model.names]
        free = [f for f in how.free if f != "spdiameter" or f in known]
        ties = {k: v for k, v in (how.ties or {}).items() if k in model.names and v in model.names}
        results.append(pk.fit(model, data, rmin=1.5, rmax=40.0, free=free, ties=ties))
    return min(results, key=lambda result: (bool(result.datasets[0].messages), result.chi2))


def bic(result: pk.FitResult) -> float:
    """Return N ln(χ²/N) + k ln N with N the number of independent points, k of free parameters."""
    n = result.n_independent
    return n * math.log(result.chi2 / n) + len(result.free) * math.log(n)


def value(result: pk.FitResult, *names: str) -> str:
    """Return a parameter with its error in brackets, of the first name that was free."""
    for name in names:
        par = result.params.get(name)
        if par is not None and par.vary:
            from pdfkit.results.report import uncertain

            return uncertain(float(par.value), par.stderr)
    return ""


def describe(result: pk.FitResult) -> str:
    """Return what a fit says about order: alpha, its two probabilities, or the fraction of wurtzite."""
    if value(result, "st.alpha"):
        return f"α {value(result, 'st.alpha')}"
    if value(result, "st.alpha_c"):
        return f"α_c {value(result, 'st.alpha_c')}, α_h {value(result, 'st.alpha_h')}"
    fractions = result.fractions
    return f"wz {fractions['wz']['atoms'][0]:.2f}" if len(fractions) > 1 and "wz" in fractions else ""


def table() -> None:
    """Print the fits of all rivals to all samples."""
    print("| data | model | free | Rw, constant weights | Rw | BIC | order | D / Å | corr(α, D) |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in SAMPLES:
        bulk = name not in DIAMETER
        for key, rival in RIVALS.items():
            if bulk and key in ("two", "two own", "broad"):
                continue
            result, constant = best(name, key), best(name, key, "constant")
            size = value(result, "st.spdiameter", "wz.spdiameter", "zb.spdiameter")
            rho = ""
            if {"st.alpha", "st.spdiameter"} <= set(result.free):
                i, j = (result.free.index(f"st.{n}") for n in ("alpha", "spdiameter"))
                rho = f"{result.correlation[i, j]:+.2f}"
            mark = "" if result.converged else " (no fit)"
            at = f"; on bound: {', '.join(result.at_bounds)}" if result.at_bounds else ""
            numbers = f"{len(result.free)} | {constant.rw:.4f} | {result.rw:.4f}{mark} | {bic(result):.0f}"
            print(f"| {name} | {rival.label} | {numbers} | {describe(result)}{at} | {size} | {rho} |", flush=True)


# --- recovery --------------------------------------------------------------------------------------------------------

R = np.arange(150, 3001) * 0.01
LAB = pk.Instrument(probe="X", qmax=15.0, qdamp=0.03, window="lorch")


def noise(rng: np.random.Generator, sigma: float, count: int) -> np.ndarray:
    """Return curves of noise that is white in F(Q) below Qmax and passed the window (count, nr)."""
    white = pk.uncertainty.Covariance.white(LAB, float(R[-1])).scaled(sigma**2)
    waves = (white.weight * np.sqrt(white.variance))[:, None] * np.sin(np.outer(white.Q, R))
    return np.asarray(rng.standard_normal((count, white.Q.size)) @ waves)


def recovery(alpha: float, diameter: float, replicas: int = 200, sigma: float = 0.05) -> None:
    """Print how alpha and the diameter of simulated data are found again, and whether their errors are right."""
    truth = pk.Stacked(
        "Cd", "S", name="st", a_h=4.125, h=3.37, u=0.376, alpha=alpha, Uiso={"Cd": 0.012, "S": 0.018}, delta2=2.0,
        scale=0.8, shape=pk.Sphere(diameter),
    )  # fmt: skip
    clean = pk.Model(truth, LAB)(R).G
    start = pk.Model(truth.with_values({"alpha": 0.5, "a_h": 4.14, "spdiameter": 1.2 * diameter, "S.Uiso": 0.012}), LAB)
    rows = []
    for extra in noise(np.random.default_rng(7), sigma, replicas):
        result = pk.fit(start, pk.PDF(R, clean + extra, instrument=LAB), free=[*CELL, "alpha", *ATOMS])
        i, j = (result.free.index(f"st.{n}") for n in ("alpha", "spdiameter"))
        error = np.sqrt(np.diag(result.covariance))
        rows.append((result.values[i], error[i], result.values[j], error[j], result.correlation[i, j]))
    a, da, d, dd, rho = np.array(rows).T
    za, zd = (a - alpha) / da, (d - diameter) / dd
    print(
        f"| {alpha:g} | {diameter:g} | {np.nanmean(a):.3f} ± {np.nanstd(a):.3f} | {np.nanmedian(da):.3f} "
        f"| {np.nanmean(za):+.2f} ± {np.nanstd(za):.2f} | {np.nanmean(d):.2f} ± {np.nanstd(d):.2f} "
        f"| {np.nanmean(zd):+.2f} ± {np.nanstd(zd):.2f} | {np.nanmean(rho):+.2f} | {int(np.isnan(za + zd).sum())} |",
        flush=True,
    )


def recoveries(replicas: int) -> None:
    print(
        f"CdS, Qmax 15 Å⁻¹, Lorch, noise 0.05 Å⁻² (max|G| = 3), 1.5–30 Å, {replicas} replicas, nine free parameters\n"
    )
    print("| α | D / Å | α found | σ stated | (α̂ − α)/σ | D found | (D̂ − D)/σ | corr(α, D) | on a bound |")
    print("|---|---|---|---|---|---|---|---|---|")
    recovery(0.3, 22.0, replicas)
    for alpha, diameter in ((0.7, 22.0), (0.3, 15.0), (0.7, 15.0), (0.3, 35.0), (0.7, 35.0)):
        recovery(alpha, diameter, max(20, replicas // 4))


# --- time ------------------------------------------------------------------------------------------------------------


def least(action: Callable[[], Any], times: int = 40) -> float:
    """Return the least milliseconds of several runs."""
    action()
    out = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        out.append(time.perf_counter() - start)
    return 1e3 * min(out)


def speed() -> None:
    """Print evaluations to 40 Å with all Jacobian columns of a fit, and the warm fit of CdSe-4."""
    r, name = np.arange(1.5, 40.0001, 0.01), "CdSe-4"
    print("| one G(r) to 40 Å | columns | value / ms | with Jacobian / ms | over zinc blende |\n|---|---|---|---|---|")
    for weights in ("constant", "q-dependent"):
        lab = replace(measured.cdse(name).instrument, scattering=weights)
        first = 0.0
        for key in ("zb", "wz", "one", "layers", "memory"):
            model = pk.Model(RIVALS[key].phases(name, STARTS[0]), lab)
            evaluate, values = model.evaluator(r), model.values
            free = [n for n in model.names if any(n.endswith(f".{f}") or n.endswith(f) for f in RIVALS[key].free)]
            tangents = np.eye(values.size)[:, [model.names.index(n) for n in free]]
            plain, whole = (
                least(lambda e=evaluate, v=values: e(v)),
                least(lambda e=evaluate, v=values, t=tangents: e(v, t)),
            )
            first = first or whole
            print(f"| {RIVALS[key].label}, {weights} | {len(free)} | {plain:.2f} | {whole:.2f} | {whole / first:.2f} |")
    data = measured.cdse(name)
    model = pk.Model(RIVALS["one"].phases(name, STARTS[1]), data.instrument)
    fits = least(lambda: pk.fit(model, data, rmin=1.5, rmax=40.0, free=RIVALS["one"].free), 10)
    print(f"\nFit of {name}, nine parameters, warm: {fits:.0f} ms")


# --- picture ---------------------------------------------------------------------------------------------------------


def picture() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    shown = ("zb", "wz", "two", "two own", "one", "layers", "broad")
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for k, key in enumerate(shown):
        names = [n for n in SAMPLES if n in DIAMETER or key in ("zb", "wz", "one", "layers")]
        x = [SAMPLES.index(n) + 0.08 * (k - 3) for n in names]
        results = [best(n, key) for n in names]
        style: dict[str, Any] = {"marker": "os^v*DP"[k], "ls": "none", "color": f"C{k}", "label": RIVALS[key].label}
        axes[0].plot(x, [result.rw for result in results], **style)
        for axis, wanted in ((axes[1], "alpha"), (axes[2], "spdiameter")):
            # What describes no data says nothing of order or size.
            points = [(a, _numbers(result, wanted)) for a, result in zip(x, results, strict=True) if result.converged]
            known = [(a, *p) for a, p in points if p is not None]
            if known:
                a, y, e = np.array(known).T
                axis.errorbar(a, y, np.where(e < 15, e, np.nan), **style)
    axes[0].set_ylabel("Rw")
    axes[1].set_ylabel("α (two phases: share of wurtzite)")
    axes[2].set_ylabel("diameter / Å")
    for axis in axes:
        axis.set_xticks(range(len(SAMPLES)), SAMPLES)
        axis.grid(alpha=0.3)
    axes[1].set_xlim(-0.5, 4.5)
    axes[2].set_xlim(-0.5, 3.5)
    axes[0].legend(fontsize=7)
    figure.savefig(PICTURE, dpi=130)


def _numbers(result: pk.FitResult, wanted: str) -> tuple[float, float] | None:
    if wanted == "alpha" and "wz" in result.fractions and len(result.fractions) > 1:
        return result.fractions["wz"]["atoms"]
    for phase in ("st", "wz", "zb"):
        par = result.params.get(f"{phase}.{wanted}")
        if par is not None and par.vary:
            return float(par.value), math.nan if par.stderr is None else float(par.stderr)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("table", "picture", "recovery", "speed"), help="one part only")
    parser.add_argument("--replicas", type=int, default=200)
    given = parser.parse_args()
    parts = {"table": table, "picture": picture, "recovery": lambda: recoveries(given.replicas), "speed": speed}
    for name, part in parts.items():
        if given.only in (None, name):
            print(f"\n## {name}\n")
            part()


if __name__ == "__main__":
    main()
