"""Which Cd37S20 was it, when its atoms are not where the candidates have them? Simulated data of relaxed clusters.

    python benchmarks/displaced.py [--quick] [--out DIR] [--table]     # Markdown for docs/results.md (half an hour)

All 36 complete sets in turn are the truth, as cut from a lattice and displaced towards what two potentials relax them
to (benchmarks/relaxed.json: a classical one, and CHGNet), by 0.1 to 0.35 Å rms; then 200 blind cases, of a size between
0 and 0.35 Å and of a kind (both relaxations, independent atoms, atoms with bonds kept) that nothing tells the method;
and 200 more that were held out (computed first; `--held-out`: alone).
Data as in benchmarks/screening.py. Every case is a line of a journal in DIR; a study that was stopped goes on there.

"list": the smallest set of candidates with 90 % of the probability; "it has": the probability of the candidates in it,
on average, which is how often lists hold the truth if probabilities are right. "before": displacement="none". `TRUST`
of `pdfkit.fitting.discrepancy` has the best mean ln of the probability of the truth over sets of even numbers, with
other seeds of noise and with relaxations of other caps; sets with odd numbers are those that are held out.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from ligands import stored as relaxed_under

import pdfkit as pk
from pdfkit.fitting import perturbed
from pdfkit.fitting.discrepancy import of_families, probabilities, shortest
from pdfkit.fitting.displacements import STIFF, covariance, root
from pdfkit.model import noise
from pdfkit.screening.rows import RankingRow, evidence_of, judged_rows, noise_of

Array = np.ndarray
LAB = pk.Instrument(probe="X", qmin=0.6, qmax=15.0, qdamp=0.03)
SIZES = (0.1, 0.17, 0.24, 0.35)
RELAXED = ("classical", "chgnet")
BLIND = 200
BANDS = (0.0, 0.1, 0.2, 0.28, 0.35)
"""Å: sizes of blind cases that the table puts together."""
HELD = 200
"""Cases of the hold-out: of sets with odd numbers, with seeds of their own, at which nothing was chosen."""


@dataclass(frozen=True)
class Case:
    """A set that is true, how its atoms are displaced (rms in Å), and the seed of the noise."""

    study: str
    true: int
    kind: str
    size: float
    seed: int

    @property
    def key(self) -> str:
        return f"{self.study} {self.true} {self.kind} {self.size:.4f} {self.seed}"


def cases(count: int, quick: bool) -> list[Case]:
    """Return all cases, in an order in which every beginning is a fair sample."""
    out = [Case("zero", k, "none", 0.0, k) for k in range(count)]
    for kind in RELAXED:
        out += [Case("size", k, kind, size, 100 + k) for size in SIZES for k in range(count)]
    rng = np.random.default_rng(18)
    kinds = (*RELAXED, "atoms", "bonds")
    for k in range(BLIND):
        true, kind = int(rng.integers(count)), kinds[int(rng.integers(4))]
        out.append(Case("blind", true, kind, round(float(rng.uniform(0.0, 0.35)), 4), 1000 + k))
    out = [out[k] for k in np.random.default_rng(1).permutation(len(out))]
    rng = np.random.default_rng(19)
    held = []
    for k in range(HELD):
        true, kind = 2 * int(rng.integers(count // 2)) + 1, kinds[int(rng.integers(4))]
        held.append(Case("held out", true, kind, round(float(rng.uniform(0.0, 0.35)), 4), 5000 + k))
    return [*held[:12], *out[:12]] if quick else [*held, *out]


def displaced(particle: pk.Particle, case: Case, stored: dict[str, list[Array]]) -> pk.Particle:
    """Return the true cluster."""
    if case.kind in RELAXED:
        step = stored[case.kind][case.true]
    else:
        stiff = STIFF if case.kind == "bonds" else 0.0
        rng = np.random.default_rng(case.seed)
        step = (root(particle.xyz, stiff) @ rng.standard_normal(3 * len(particle))).reshape(-1, 3)
    step = step * (case.size / np.sqrt((step**2).sum(axis=1).mean()))
    return pk.Particle.of(particle.symbols, particle.xyz - particle.xyz.mean(axis=0) + step)


def measured(candidates: Sequence[pk.Particle], case: Case, stored: dict[str, list[Array]]) -> dict[str, object]:
    """Return what a screen says of a case: ln Z of every candidate with displacements and without."""
    truth = candidates[case.true]
    truth = displaced(truth, case, stored) if case.size else truth
    model = pk.Model(pk.Cluster(truth, "c", Uiso=0.015, delta2=2.0), LAB)
    data = noise.simulate(model, 1.5, 18.0, 0.01, 0.02, case.seed)
    found = pk.screen(candidates, data, rmin=1.8, rmax=16, certificate=0)
    rows = [found[one.name] for one in candidates]
    before = noise_of(rows)
    return {
        "before": [round(evidence_of(row, before), 4) for row in rows],
        "rigid": [round(evidence_of(row, found.noise), 4) for row in rows],
        "moved": [[round(one, 3) for one in row.moved[found.noise]] for row in rows],
        "noise": found.noise,
        "rms": round(found.displacement, 4),
    }


def again(record: dict[str, object]) -> Array:
    """Return ln Z of a record, its tables over all sizes put together as a ranking does."""
    rows = [
        RankingRow("", "", moved={"misfit": tuple(one), "known": tuple(one)}, **_rigid(value))
        for one, value in zip(record["moved"], record["rigid"], strict=True)
    ]
    return np.array([row.lnz for row in judged_rows(rows, "known", "auto")])


def _rigid(value: float) -> dict[str, float]:
    """Return the figures of a row whose ln Z without displacement is `value`."""
    return {"rw": 1.0, "reduced_chi2": 0.0, "n_independent": 1.0, "occam": value}


def journal(path: Path) -> dict[str, dict[str, object]]:
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return {line.pop("key"): line for line in lines}


def judged(lnz: Array, true: int, families: Sequence[str]) -> tuple[float, bool, bool, bool, float, int]:
    """Return Δ ln Z of the true one, whether it is first, its family so, it listed; what the list has, length."""
    share = probabilities(lnz)
    inside = shortest(share)
    names, found = of_families(share, families)
    family = names[int(found.argmax())] == families[true]
    return (
        float(lnz.max() - lnz[true]),
        bool(lnz.argmax() == true),
        family,
        bool(inside[true]),
        float(share[inside].sum()),
        int(inside.sum()),
    )


def rows_of(known: list[tuple[Case, dict[str, object]]], families: Sequence[str]) -> Iterator[str]:
    groups: dict[str, list[tuple[Case, dict[str, object]]]] = {}
    for case, record in known:
        known_as = {"zero": "as cut", "blind": "blind", "held out": "held out"}
        name = known_as.get(case.study, f"{case.kind}, {case.size:g} Å")
        groups.setdefault(name, []).append((case, record))
        if case.study in ("blind", "held out"):
            groups.setdefault(f"{case.study}, {case.kind}", []).append((case, record))
            at = max(1, int(np.searchsorted(BANDS, case.size)))
            groups.setdefault(f"{case.study}, {BANDS[at - 1]:g} to {BANDS[at]:g} Å", []).append((case, record))
        else:
            groups.setdefault("all of these", []).append((case, record))
    for name in sorted(groups, key=lambda one: ("held" in one, "all" in one, "blind" in one, one)):
        for what in ("before", "now"):
            found = [
                judged(np.array(r["before"]) if what == "before" else again(r), c.true, families)
                for c, r in groups[name]
            ]
            delta, first, family, held, has, length = (np.array(one) for one in zip(*found, strict=True))
            rms = np.mean([r["rms"] for _, r in groups[name]])
            size = f"{rms:.2f}" if what == "now" else ""
            yield (
                f"| {name} | {what} | {len(found)} | {(delta < 3).mean():.0%} | {first.mean():.0%} | "
                f"{family.mean():.0%} | {held.mean():.1%} | {has.mean():.1%} | {length.mean():.1f} | {size} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="24 cases of all (a minute)")
    parser.add_argument("--held-out", action="store_true", help="the cases alone at which nothing was chosen")
    parser.add_argument("--table", action="store_true", help="the table of what the journal has, computing nothing")
    parser.add_argument("--stiff", type=float, default=STIFF, help="how much dearer changes of bonds are taken to be")
    parser.add_argument("--orders", type=int, default=perturbed.LAST, help="to which displacements count")
    parser.add_argument("--out", type=Path, default=Path("displaced"), help="folder of the journal")
    options = parser.parse_args()
    perturbed.LAST = options.orders
    perturbed.covariance = partial(covariance, stiff=options.stiff)
    candidates = pk.build.candidates("Cd37S20", limit=None, seed=1, near=0)
    stored = {name: [relaxed_under(name)[one.name] for one in candidates] for name in RELAXED}
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "displaced.jsonl"
    known, todo = journal(path), cases(len(candidates), options.quick)
    if options.held_out:
        todo = [case for case in todo if case.study == "held out"]
    if not options.table:
        with path.open("a") as file:
            for case in todo:
                if case.key not in known:
                    known[case.key] = measured(candidates, case, stored)
                    file.write(json.dumps({"key": case.key, **known[case.key]}) + "\n")
                    file.flush()
    families = [str(one.meta["family"]) for one in candidates]
    print("| atoms | | cases | within 3 | first | family | in the list | it has | length | rms found, Å |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for line in rows_of([(case, known[case.key]) for case in todo if case.key in known], families):
        print(line)


if __name__ == "__main__":
    main()
