"""What a user waits for: import, first curve, `pdfkit demo`, each in fresh processes: `python benchmarks/startup.py`.

"warm" has kernels compiled by an earlier process, "first" compiles them into an empty cache. Medians of several runs
(one for "first"); peak memory of the process.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CURVE = (
    "import numpy as np, pdfkit as pk; "
    "m = pk.Model(pk.Crystal.from_file('CdS_wurtzite', name='wz'), pk.Instrument(probe='X', qmax=25.0)); "
    "m(np.arange(1, 3001) * 0.01)"
)


def run(arguments: list[str], cache: str | None, repeats: int) -> tuple[float, float]:
    """Return median seconds and peak memory in MB of `python *arguments`."""
    times, memory = [], 0.0
    environment = {**os.environ, **({"NUMBA_CACHE_DIR": cache} if cache else {})}
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    # The largest child so far: cases are run in order of growing memory.
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return statistics.median(times), memory


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("| what | warm | first | peak memory |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        demo = ["-m", "pdfkit", "demo", "--out", str(Path(folder) / "out")]
        cases = {
            "python -c pass": ["-c", "pass"],
            "import pdfkit": ["-c", "import pdfkit"],
            "pdfkit --help": ["-m", "pdfkit", "--help"],
            "one G(r) to 30 Å, from a script": ["-c", CURVE],
            "pdfkit demo": demo,
        }
        for number, (name, arguments) in enumerate(cases.items()):
            cache = str(Path(folder) / f"cache{number}")
            first, _ = run(arguments, cache, 1)
            run(arguments, None, 1)
            warm, memory = run(arguments, None, 5)
            print(f"| {name} | {warm:.2f} s | {first:.1f} s | {memory:.0f} MB |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
