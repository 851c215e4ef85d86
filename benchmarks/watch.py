"""Scans that come into a folder: from a file that is closed to its numbers on disk, and scans a second.

    python benchmarks/watch.py                   # 40 scans two a second, then 60 at once
    python benchmarks/watch.py --scans 200 --rate 5

The scans are those of benchmarks/series.py: two phases, 13 parameters, 1 to 30 Å in steps of 0.01 Å, errors included.
Each is written in pieces, as a program does that reduces while it measures. The numbers are written when their line is
in the journal, which this script looks at every millisecond from outside.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from series import FREE, INSTRUMENT, NOISE, R, model

import pdfkit as pk

RECIPE = f"""
[series]
files = "scans/*.gr"
index = "{{number}}.gr"
[data]
probe = "X"
qmax = 22.0
qdamp = 0.04
rmin = 1.0
rmax = 30.0
[[phase]]
name = "zb"
structure = "CdS_zincblende"
shape = {{ kind = "sphere", spdiameter = 24.0 }}
delta2 = 2.0
[[phase]]
name = "w"
structure = "CdS_wurtzite"
shape = {{ kind = "sphere", spdiameter = 24.0 }}
delta2 = 2.0
[fit]
free = {FREE!r}
search = "plain"
"""


def texts(count: int) -> list[bytes]:
    """Return the files of simulated scans."""
    rng, out, base = np.random.default_rng(17), [], model()
    ends = [base.with_values({"zb.scale": zb, "w.scale": 1 - zb})(R).G for zb in (0.3, 0.7)]
    with tempfile.TemporaryDirectory() as folder:
        for t in np.linspace(0.0, 1.0, count):
            G = (1 - t) * ends[0] + t * ends[1] + rng.normal(0.0, NOISE, R.size)
            pk.write_pdf(Path(folder, "one.gr"), pk.PDF(R, G, instrument=INSTRUMENT))
            out.append(Path(folder, "one.gr").read_bytes())
    return out


def write(path: Path, text: bytes, pieces: int = 4) -> float:
    """Write a file in pieces, and return when it was closed."""
    with path.open("wb") as file:
        for piece in np.array_split(np.frombuffer(text, np.uint8), pieces):
            file.write(piece.tobytes())
            file.flush()
            time.sleep(0.02)
    return time.perf_counter()


def lines(journal: Path) -> int:
    """Return how many rows a journal has."""
    return max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0


def wait(journal: Path, count: int, most: float = 60.0) -> float:
    """Wait until a journal has so many rows, and return when that was."""
    end = time.perf_counter() + most
    size = -1
    while time.perf_counter() < end:
        now = journal.stat().st_size if journal.exists() else 0
        if now != size and lines(journal) >= count:
            return time.perf_counter()
        size = now
        time.sleep(0.001)
    raise SystemExit(f"{journal} has {lines(journal)} rows after {most:g} s, not {count}")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=40)
    parser.add_argument("--rate", type=float, default=2.0)
    parser.add_argument("--burst", type=int, default=60)
    asked = parser.parse_args()
    files = texts(asked.scans + asked.burst)
    with tempfile.TemporaryDirectory() as folder:
        scans, journal = Path(folder, "scans"), Path(folder, "out", "watch.jsonl")
        scans.mkdir()
        Path(folder, "r.toml").write_text(RECIPE.replace("'", '"'))
        command = [sys.executable, "-m", "pdfkit", "watch", "scans", "r.toml", "-o", "out"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            cpu = Path(f"/proc/{process.pid}/stat")
            write(scans / "000.gr", files[0])
            wait(journal, 1)
            took = []
            for k in range(1, asked.scans):
                begin = time.perf_counter()
                closed = write(scans / f"{k:03d}.gr", files[k])
                took.append(1e3 * (wait(journal, k + 1) - closed))
                time.sleep(max(0.0, begin + 1.0 / asked.rate - time.perf_counter()))
            spent = seconds(cpu)
            begin = time.perf_counter()
            for k in range(asked.scans, len(files)):
                (scans / f"{k:03d}.gr").write_bytes(files[k])
            rate = asked.burst / (wait(journal, len(files)) - begin)
            each = 1e3 * (seconds(cpu) - spent) / asked.burst
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        low, median, high = np.quantile(took, [0.1, 0.5, 0.9])
        load = os.getloadavg()[0]
        print(f"from closed to written: median {median:.0f} ms (10 % {low:.0f}, 90 % {high:.0f}) of {len(took)} scans")
        print(f"{asked.burst} scans at once: {rate:.1f} a second, {each:.0f} ms of processor each; load {load:.1f}")
        print(out.decode().partition("\n")[0])


def seconds(stat: Path) -> float:
    """Return the processor time of a process."""
    words = stat.read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
