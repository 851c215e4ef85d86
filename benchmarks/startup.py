"""What a user waits for: import, first curve, `pdfkit demo`, each in fresh processes: `python benchmarks/startup.py`.

"warm" has kernels compiled by an earlier process, "first" compiles them into an empty cache, from a copy of the package
beside which nothing is compiled; "CPU" is its time on all cores, which a busy machine does not change so much. Medians
of several runs (one for "first"); peak memory of the process.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CURVE = (
    "import numpy as np, pdfkit as pk; "
    "m = pk.Model(pk.Crystal.from_file('CdS_wurtzite', name='wz'), pk.Instrument(probe='X', qmax=25.0)); "
    "m(np.arange(1, 3001) * 0.01)"
)


FIT = CURVE + (
    "; data = m(np.arange(100, 2001) * 0.01); "
    "pk.fit(m.with_values({'a': 4.15}), data, free=['scale', 'a', 'c', 'Cd.Uiso', 'S.Uiso', 'delta2'], search='plain')"
)


def run(arguments: list[str], environment: dict[str, str], repeats: int) -> tuple[float, float]:
    """Return median seconds and peak memory in MB of `python *arguments`."""
    times, memory = [], 0.0
    environment = {**os.environ, **environment}
    for _ in range(repeats):
        start = time.perf_counter()
        # From the folder of the copy: python looks for modules where it is started, first of all.
        folder = environment.get("PYTHONPATH")
        subprocess.run([sys.executable, *arguments], check=True, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    # The largest child so far: cases are run in order of growing memory.
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return statistics.median(times), memory


def cpu(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Return seconds of one run, and CPU seconds."""
    before = os.times()
    wall, _ = run(arguments, environment, 1)
    after = os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("| what | warm | first | first, CPU | peak memory |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for part in ("pdfkit", "structures"):
            shutil.copytree(ROOT / part, Path(folder) / part, ignore=shutil.ignore_patterns("__pycache__"))
        demo = ["-m", "pdfkit", "demo", "--out", str(Path(folder) / "out")]
        cases = {
            "python -c pass": ["-c", "pass"],
            "import pdfkit": ["-c", "import pdfkit"],
            "pdfkit --help": ["-m", "pdfkit", "--help"],
            "one G(r) to 30 Å, from a script": ["-c", CURVE],
            "the same, and a fit of six numbers to 20 Å": ["-c", FIT],
            "pdfkit demo": demo,
        }
        for number, (name, arguments) in enumerate(cases.items()):
            environment = {"NUMBA_CACHE_DIR": str(Path(folder) / f"cache{number}"), "PYTHONPATH": folder}
            first, used = cpu(arguments, environment)
            warm, memory = run(arguments, environment, 5)
            print(f"| {name} | {warm:.2f} s | {first:.1f} s | {used:.1f} s | {memory:.0f} MB |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
