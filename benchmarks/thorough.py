"""Whether a search from many starts finds the best minimum: `python benchmarks/thorough.py [--seeds 10] [--only …]`.

The measured sets of `minima.py`, each with `search="thorough"` under several seeds, and under each seed from other
random start values (those of `minima.py`). Share: searches whose Rw is within 1e-3 (relative) of the lowest known.
Starts, evaluations, seconds of processor time: medians of one search. --log keeps each search in a line of a file, and
what stands there is not searched again; --table prints what the file holds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from minima import BEST, CASES, NEAR, SEED, Case, parameters

import pdfkit as pk

HEAD = """
| data and model | best Rw | share | highest Rw | starts | evaluations | seconds | minima | starts given up |
|---|---|---|---|---|---|---|---|---|""".strip()


def searched(case: Case, seed: int) -> dict[str, Any]:
    """Return in plain numbers what one search found, and its processor time in seconds."""
    model, data = case.model(), case.data()
    params = parameters(case, model, data, np.random.default_rng([SEED, seed]))
    begin = time.process_time()
    found = pk.fit(model, data, rmin=case.rmin, rmax=case.rmax, params=params, search={"seed": seed})
    about = {"case": case.name, "seed": seed, "rw": found.rw, "seconds": time.process_time() - begin}
    values = dict(zip(found.free, found.values.tolist(), strict=True))
    return {**about, "nfev": found.nfev, "values": values, "at_bounds": found.at_bounds, **found.minima.to_dict()}


def row(name: str, runs: list[dict[str, Any]]) -> str:
    """Return a row of the table."""
    best = min(BEST.get(name, np.inf), *(one["rw"] for one in runs), np.inf)
    share = sum(one["rw"] <= best * (1 + NEAR) for one in runs) / len(runs)
    starts, nfev, seconds = (statistics.median(one[key] for one in runs) for key in ("starts", "nfev", "seconds"))
    minima, lost = (statistics.median(len(one[key]) for one in runs) for key in ("found", "given_up"))
    highest = max(one["rw"] for one in runs)
    return (
        f"| {name} | {best:.4f} | {share:.0%} of {len(runs)} | {highest:.4f} | {starts:.0f} | {nfev:.0f} | "
        f"{seconds:.1f} | {minima:.0f} | {lost:.0f} |"
    )


def kept(log: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """Return the searches in a file: by case, by seed."""
    out: dict[str, dict[int, dict[str, Any]]] = {}
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else ():
        one = json.loads(line)
        out.setdefault(one["case"], {})[one["seed"]] = one
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", nargs="*", default=[], help="parts of names of cases")
    parser.add_argument("--log", type=Path, default=Path("thorough.jsonl"))
    parser.add_argument("--table", action="store_true", help="print what the log holds, and search nothing")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", pk.PdfkitWarning)
    print(HEAD)
    for case in CASES:
        if asked.only and not any(part in case.name for part in asked.only):
            continue
        runs = kept(asked.log).get(case.name, {})
        for seed in () if asked.table else range(asked.seeds):
            if seed not in runs:
                runs[seed] = searched(case, seed)
                with asked.log.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(runs[seed], default=float) + "\n")
        if runs:
            print(row(case.name, list(runs.values())), flush=True)


if __name__ == "__main__":
    main()
