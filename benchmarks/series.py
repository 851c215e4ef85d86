"""Ten thousand scans: fits a second, memory, and what kills cost.

    python benchmarks/series.py                     # 500 scans, two processes
    python benchmarks/series.py --scans 10000 --kills 5
    python benchmarks/series.py --dask 2            # throughput of a dask cluster of one and of two workers
    python benchmarks/series.py --collect           # what a row costs the process that collects rows

Simulated scans of CdS dots, zinc blende and wurtzite side by side: 13 parameters, 1 to 30 Å in steps of 0.01 Å, each
with noise of its own; share and cells drift along the series. They lie in one HDF5 stack, as a beamline has them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import pdfkit as pk
from pdfkit.series.tasks import Chain, Fitter, SeriesProblem, guarded

FREE = ["scale", "a", "w.c", "Uiso", "spdiameter", "delta2"]
R = np.round(np.arange(1.0, 30.0, 0.01), 10)
INSTRUMENT = pk.Instrument(probe="X", qmax=22.0, qdamp=0.04)
NOISE = 0.02


def model() -> pk.Model:
    """Two phases, near the truth as a user would have them."""
    phases = [
        pk.Crystal.from_file(f"CdS_{kind}", name=name, shape=pk.Sphere(24.0), delta2=2.0)
        for kind, name in (("zincblende", "zb"), ("wurtzite", "w"))
    ]
    return pk.Model(phases, INSTRUMENT)


def stack(path: Path, count: int) -> Path:
    """Write a stack of simulated scans."""
    base = model()
    basis = np.array(
        [base.with_values({"zb.scale": zb, "w.scale": 1 - zb, "zb.a": a, "w.a": a / np.sqrt(2.0)})(R).G
         for zb in (1.0, 0.0) for a in (5.82, 5.83)]
    )  # fmt: skip
    rng, along = np.random.default_rng(17), np.linspace(0.0, 1.0, count)
    with h5py.File(path, "w") as file:
        signal_ = file.create_dataset("G", (count, R.size), dtype="f8", chunks=(16, R.size))
        file["r"], file["temperature"] = R, 100.0 + 200.0 * along
        file["G"].attrs.update({"probe": "X", "qmax": 22.0, "qdamp": 0.04})
        for k, t in enumerate(along):
            share = 0.3 + 0.4 * t
            weights = [share * (1 - t), share * t, (1 - share) * (1 - t), (1 - share) * t]
            signal_[k] = weights @ basis + rng.normal(0.0, NOISE, R.size)
    return path


def fit(path: Path, out: Path, **options: Any) -> Any:
    """Fit the stack."""
    series = pk.read_series(path, index="temperature", unit="K")
    return pk.fit_series(model(), series, free=FREE, rmin=1.0, rmax=30.0, search="plain", out=out, **options)


class Peak:
    """The largest resident memory (MB) of this process and its children, looked at every tenth of a second."""

    def __init__(self) -> None:
        self.largest = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self.largest = max(self.largest, sum(map(resident, [os.getpid(), *children(os.getpid())])))


def children(process: int) -> list[int]:
    """Return the processes that a process started."""
    try:
        return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def resident(process: int) -> float:
    """Return the resident memory of a process in MB, 0 where it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return 0.0


def rate(path: Path, count: int, workers: int, how: str) -> None:
    """Print fits a second, and memory."""
    with tempfile.TemporaryDirectory() as folder, Peak() as peak:
        cpu, begin = children_seconds(), time.perf_counter()
        result = fit(path, Path(folder), workers=workers, how=how)
        seconds, spent = time.perf_counter() - begin, children_seconds() - cpu
        sizes = {name: (Path(folder) / name).stat().st_size / count for name in ("series.h5", "series.jsonl")}
    good = sum(status == "fitted" for status in result.status)
    print(
        f"{how}: {count} scans in {seconds:.1f} s with {workers} processes: {count / seconds:.1f} a second, "
        f"{1e3 * spent / count:.1f} ms of processor each (start-up included), "
        f"{result.numbers['nfev'].mean():.1f} evaluations; {good} fitted; {peak.largest:.0f} MB"
    )
    print(f"  bytes a scan: {', '.join(f'{name} {size:.0f}' for name, size in sizes.items())}")
    share = result["zb.scale"]
    pull = (share.values - (0.3 + 0.4 * np.linspace(0, 1, count))) / share.errors
    print(f"  pulls of zb.scale: mean {np.nanmean(pull):.2f}, standard deviation {np.nanstd(pull):.2f}")


def children_seconds() -> float:
    """Return the processor time of processes that have ended, and of this one."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))


def killed(path: Path, kills: int, workers: int, how: str, seconds: float) -> None:
    """Kill a run at random moments and compare what it ends with."""
    command = [sys.executable, __file__, "--fit", str(path), "--workers", str(workers), "--how", how, "--out"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*command, f"{folder}/whole"], check=True)
        chance, done = random.Random(17), 0
        for _ in range(kills):
            with subprocess.Popen([*command, f"{folder}/killed"]) as process:
                try:
                    process.wait(chance.uniform(0.1, 0.9) * seconds / kills)
                except subprocess.TimeoutExpired:
                    os.kill(process.pid, signal.SIGKILL)
                    done += 1
        subprocess.run([*command, f"{folder}/killed"], check=True)
        whole, again = (Path(folder, one, "series.h5").read_bytes() for one in ("whole", "killed"))
        lines = Path(folder, "killed", "series.jsonl").read_bytes().split(b"\n")
        print(f"  killed {done} times: the same bytes {whole == again}; {len(lines) - 2} rows in the journal")


def clusters(path: Path, count: int, workers: int, how: str) -> None:
    """Print the throughput of dask clusters of one and of several local workers."""
    from distributed import Client
    from distributed.deploy.subprocess import SubprocessCluster  # its scheduler is a process of its own

    rates = {}
    for number in (1, workers):
        with (
            SubprocessCluster(
                n_workers=number, worker_kwargs={"nthreads": 1}, scheduler_kwargs={"dashboard": False}
            ) as cluster,
            Client(cluster) as client,
            tempfile.TemporaryDirectory() as folder,
        ):
            client.run(lambda: __import__("pdfkit").__name__)  # a module does not travel back
            fit(path, Path(folder, "warm"), executor=client.get_executor(), how=how)
            spent, between = client.run(time.process_time), client.run_on_scheduler(time.process_time)
            begin, head = time.perf_counter(), time.process_time()
            fit(path, Path(folder, "timed"), executor=client.get_executor(), how=how)
            rates[number] = count / (time.perf_counter() - begin)
            head = (time.process_time() - head) / count
            between = (client.run_on_scheduler(time.process_time) - between) / count
            each = (sum(client.run(time.process_time).values()) - sum(spent.values())) / count
            size = Path(folder, "timed", "series.jsonl").stat().st_size / count
            begin = time.perf_counter()
            for future in [client.submit(int, k, pure=False) for k in range(1000)]:
                future.result()
            task = (time.perf_counter() - begin) / 1000
    share = rates[workers] / (workers * rates[1])
    print(
        f"dask: {rates[1]:.1f} fits a second with one worker, {rates[workers]:.1f} with {workers}: {share:.0%} of "
        f"{workers} times one, where both had {os.cpu_count()} cores and a load of {os.getloadavg()[0]:.1f}; a task "
        f"costs {1e3 * task:.2f} ms of the scheduler"
    )
    print(
        f"  of each scan: {1e3 * each:.1f} ms of processor where it is fitted, {1e3 * head:.2f} ms where rows are "
        f"collected and written, {1e3 * between:.2f} ms of the scheduler, {size:.0f} bytes"
    )
    print(f"  {estimate(each, max(head, between), size)}")


class Canned(Executor):
    """An executor that has the row of every scan at hand, as text: what is left is what collecting costs."""

    def __init__(self, row: str) -> None:
        self.row = row

    def submit(self, task: Any, /, *told: Any, **options: Any) -> Future[Any]:
        """Return what a task is, or the row for each scan of the chains that it was to fit."""
        out: Future[Any] = Future()
        chains = next((one for one in told if isinstance(one, tuple) and one and isinstance(one[0], Chain)), None)
        out.set_result(
            task(*told, **options) if chains is None else [[json.loads(self.row) for _ in c.scans] for c in chains]
        )
        return out


def collecting(folder: Path, how: str) -> None:
    """Print what a row costs the process that collects rows: what 5000 cost more than 1000."""
    first = pk.read_series(stack(folder / "one.h5", 16), index="temperature")
    problem = SeriesProblem(model(), tuple(FREE), 1.0, 30.0)
    row = json.dumps(guarded(Fitter(problem, *problem.names()), first.scan(0), None, "plain"))
    spent: dict[int, tuple[float, float]] = {}
    for number, count in enumerate((1000, 1000, 5000)):  # the first loads what is needed
        path = folder / f"{number}.h5"
        with h5py.File(path, "w") as file:
            file["G"], file["r"] = np.ones((count, 8)), R[:8]
            file["temperature"] = np.arange(float(count))
        begin, cpu = time.perf_counter(), time.process_time()
        series = pk.read_series(path, index="temperature", probe="X", qmax=22.0)
        pk.fit_series(model(), series, free=FREE, how=how, out=folder / f"out{number}", executor=Canned(row))
        spent[count] = time.process_time() - cpu, time.perf_counter() - begin
    begin = time.process_time()
    for _ in range(1000):
        json.loads(row)
    own = (time.process_time() - begin) / 1000
    head, wall = (1e3 * ((b - a) / 4000 - own) for a, b in zip(spent[1000], spent[5000], strict=True))
    print(f"{how}: {head:.2f} ms of processor, {wall:.2f} ms on the clock for each row of {len(row)} bytes")


def estimate(each: float, head: float, size: float, scans: float = 1e6, cores: int = 1000) -> str:
    """Return how long a million scans take on a thousand cores: T = scans · max(t/cores, h, b/B).

    t : seconds of processor of each fit; h : of the one process that collects rows; b : bytes of a row, B = 100 MB/s.
    """
    parts = {"fits": each / cores, "collecting": head, "writing": size / 1e8}
    words = ", ".join(f"{name} {scans * one:.0f} s" for name, one in parts.items())
    most = max(parts, key=lambda name: parts[name])
    return f"10^6 scans on {cores} cores: {words}; {scans * parts[most] / 60:.1f} min, which {most} decide(s)"


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--how", choices=["independent", "sequential"], default="independent")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--dask", type=int, default=0)
    parser.add_argument("--collect", action="store_true")
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fit:
        fit(Path(asked.fit), Path(asked.out), workers=asked.workers, how=asked.how)
        return
    with tempfile.TemporaryDirectory() as folder:
        if asked.collect:
            collecting(Path(folder), asked.how)
            return
        path = stack(Path(folder, "stack.h5"), asked.scans)
        if asked.dask:
            clusters(path, asked.scans, asked.dask, asked.how)
            return
        begin = time.perf_counter()
        rate(path, asked.scans, asked.workers, asked.how)
        if asked.kills:
            killed(path, asked.kills, asked.workers, asked.how, time.perf_counter() - begin)


if __name__ == "__main__":
    main()
