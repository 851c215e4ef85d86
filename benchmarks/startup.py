"""What a user waits for, in fresh processes: import, curve, fit, `pdfkit demo`: `python benchmarks/startup.py`.

"warm" has kernels compiled by an earlier process, "first" compiles them into an empty cache, from a copy of the package
beside which nothing is compiled. Times are processor time: on a quiet machine what one waits for, for nothing here uses
a second core. Medians of several runs (one for "first"); peak memory of the process. With --kernels: what each kernel
of that first fit takes to compile.
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
# What numba compiles within a kernel that another one calls counts for the outer one, as does what it loads at first.
KERNELS = """
import time
from numba.core import event


class Listener(event.Listener):
    began, depth = 0.0, 0

    def on_start(self, event):
        self.began = self.began if self.depth else time.process_time()
        self.depth += 1

    def on_end(self, event):
        self.depth -= 1
        if not self.depth:
            print(event.data["dispatcher"].py_func.__name__, time.process_time() - self.began)


event.register("numba:compile", Listener())
"""


def run(arguments: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Return processor seconds, peak memory in MB so far of all runs, and what `python *arguments` prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # From the folder of the copy: python looks for modules where it is started, first of all.
    folder = environment.get("PYTHONPATH")
    line = [sys.executable, *arguments]
    done = subprocess.run(line, check=True, env=environment, cwd=folder, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # The largest child so far: cases are run in order of growing memory.
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss / 1024, done.stdout


def copied(folder: str) -> None:
    """Copy the package without what is compiled beside it."""
    for part in ("pdfkit", "structures"):
        shutil.copytree(ROOT / part, Path(folder) / part, ignore=shutil.ignore_patterns("__pycache__"))


def cases(folder: str) -> None:
    """Print a row for each thing that is waited for."""
    demo = ["-m", "pdfkit", "demo", "--out", str(Path(folder) / "out")]
    print("| what | warm | first | peak memory |")
    print("|---|---|---|---|")
    rows = {
        "python -c pass": ["-c", "pass"],
        "import pdfkit": ["-c", "import pdfkit"],
        "pdfkit --help": ["-m", "pdfkit", "--help"],
        "one G(r) to 30 Å, from a script": ["-c", CURVE],
        "the same, and a fit of six numbers to 20 Å": ["-c", FIT],
        "pdfkit demo": demo,
    }
    for number, (name, arguments) in enumerate(rows.items()):
        environment = {"NUMBA_CACHE_DIR": str(Path(folder) / f"cache{number}"), "PYTHONPATH": folder}
        first, memory, _ = run(arguments, environment)
        warm = statistics.median(run(arguments, environment)[0] for _ in range(5))
        print(f"| {name} | {warm:.2f} s | {first:.1f} s | {memory:.0f} MB |", flush=True)


def kernels(folder: str, repeats: int = 3) -> None:
    """Print the least time of each kernel that the first fit compiles."""
    least: dict[str, float] = {}
    for number in range(repeats):
        environment = {"NUMBA_CACHE_DIR": str(Path(folder) / f"cache{number}"), "PYTHONPATH": folder}
        for line in run(["-c", KERNELS + FIT], environment)[2].splitlines():
            name, seconds = line.split()
            least[name] = min(least.get(name, float("inf")), float(seconds))
    print("| kernel | compiled in |")
    print("|---|---|")
    for name, seconds in sorted(least.items(), key=lambda one: -one[1]):
        print(f"| `{name}` | {seconds:.2f} s |")
    print(f"| all {len(least)} | {sum(least.values()):.1f} s |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernels", action="store_true", help="what each kernel of a first fit takes to compile")
    shown = kernels if parser.parse_args().kernels else cases
    with tempfile.TemporaryDirectory() as folder:
        copied(folder)
        shown(folder)


if __name__ == "__main__":
    main()
