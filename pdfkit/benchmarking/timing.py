"""How the bench measures: rounds in which the programs take turns, fresh processes, and what the machine is.

Ratios are taken round by round, so that a machine that slows down for a while slows down both programs of a ratio.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._machine import cores

# Seconds that one timed stretch should last at least, so that most calls find what the last one left in the caches of
# the processor, as in a fit, and not what the other program did: in 4 ms a curve of eight atoms took twice the time.
STRETCH = 0.02
VERSIONS = ("pdfkit-scattering", "numpy", "scipy", "numba", "ase", "diffpy.pdffit2", "DebyeCalculator", "torch")
CHILD = "from pdfkit.benchmarking.cases import child; child({case!r}, {program!r})"


@dataclass(frozen=True)
class Timing:
    """Seconds of one call, median over rounds; spread: half the interquartile range over the median."""

    seconds: float
    spread: float
    rounds: int

    @classmethod
    def of(cls, times: Sequence[float]) -> Timing:
        """Return the summary of the times of the rounds."""
        middle = statistics.median(times)
        low, high = np.quantile(times, [0.25, 0.75])
        # A slow program ran once, and its time stands for every round.
        return cls(middle, float(high - low) / 2 / middle, len(set(times)))


def once(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds and answer of one call."""
    start = time.perf_counter()
    answer = action()
    return time.perf_counter() - start, answer


def stretch(action: Callable[[], Any], calls: int) -> float:
    """Return seconds of one call, averaged over so many."""
    start = time.perf_counter()
    for _ in range(calls):
        action()
    return (time.perf_counter() - start) / calls


def alternate(
    actions: Mapping[str, Callable[[], Any]], budget: float, known: Mapping[str, float] | None = None
) -> dict[str, list[float]]:
    """Time the actions in turns until `budget` seconds are spent: {name: seconds of one call, round by round}.

    At least 3 rounds, unless the first takes the budget, and at most 25. A program that `known` says takes longer
    than the budget is not called again: those seconds stand for every round.
    """
    known = dict(known or {})
    slow = {name for name, t in known.items() if t > budget}
    quick = {name: action for name, action in actions.items() if name not in slow}
    calls = {}
    for name, action in quick.items():
        seconds = known[name] if name in known else stretch(action, 1)
        if seconds < STRETCH:  # the first call may have compiled or filled caches
            seconds = stretch(action, 3)
        calls[name] = max(1, int(STRETCH / max(seconds, 1e-9)))
    times: dict[str, list[float]] = {name: [] for name in actions}
    began = time.perf_counter()
    for number in range(25):
        if number >= 3 and time.perf_counter() - began > budget:
            break
        for name, action in quick.items():
            times[name].append(stretch(action, calls[name]))
        for name in slow:
            times[name].append(known[name])
        if number == 0 and time.perf_counter() - began > budget:
            break
    return times


def pair_ratios(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """Return the median of theirs/ours, round by round."""
    return statistics.median(t / o for t, o in zip(theirs, ours, strict=True))


def exponent(x: Sequence[float], seconds: Sequence[float]) -> float | None:
    """Return p of seconds ∝ xᵖ by least squares in logarithms; None from fewer than two different x."""
    if len(set(x)) < 2:
        return None
    return float(np.polyfit(np.log(x), np.log(seconds), 1)[0])


def fresh(case: str, program: str, timeout: float = 300.0) -> tuple[float | None, float | None]:
    """Return (seconds, peak MB) of a new process that imports, sets the case up and runs it once; None if it fails."""
    code = CHILD.format(case=case, program=program)
    start = time.perf_counter()
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout)
    except (subprocess.TimeoutExpired, OSError):
        return None, None
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        return None, None
    return seconds, json.loads(done.stdout.splitlines()[-1])["peak"]


def peak() -> float | None:
    """Return the peak memory of this process in MB, where the system tells."""
    # Linux's ru_maxrss starts from that of the process that started this one.
    if (kibibytes := _told("/proc/self/status", "VmHWM")) is not None:
        return 1.024e-3 * float(kibibytes.split()[0])
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def free_memory() -> float | None:
    """Return the bytes of memory that are free, where the system tells."""
    kibibytes = _told("/proc/meminfo", "MemAvailable")
    return None if kibibytes is None else 1024.0 * float(kibibytes.split()[0])


def _told(file: str, name: str) -> str | None:
    """Return what Linux says under a name; None where it does not, or elsewhere."""
    lines = Path(file).read_text(encoding="utf-8").splitlines() if Path(file).exists() else []
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in pairs if key.strip() == name), None)


def machine() -> dict[str, str]:
    """Return what the numbers were measured on and with, and the day."""
    out = {
        "processor": _told("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": str(cores()),
        "system": platform.system(),
        "python": platform.python_version(),
        "date": date.today().isoformat(),
    }
    for name in VERSIONS:
        try:
            out[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return out
