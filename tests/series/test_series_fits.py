"""Fits of series: rows right and in order, what fails is a row, the same bytes wherever and however often they ran."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import pdfkit as pk
from pdfkit._workers import dask_executor
from pdfkit.errors import ParameterError, PdfkitError, ReadError, WriteError
from pdfkit.fitting.rows import FitRow
from pdfkit.io import _journal
from pdfkit.series import tasks
from pdfkit.series.result import SeriesResult
from pdfkit.series.scans import HeldScan

R = np.arange(1.5, 8.0, 0.025)
CELLS = 3.52 + 0.004 * np.arange(9)
FREE = ["scale", "a", "Uiso"]
INSTRUMENT = pk.Instrument(probe="X", qmax=22.0, qdamp=0.04)


def nickel() -> pk.Model:
    return pk.Model(pk.Crystal.from_file("Ni", name="ni"), INSTRUMENT)


def scan(k: int, r: np.ndarray = R) -> pk.PDF:
    curve = nickel().with_values({"ni.a": float(CELLS[k]), "ni.Ni.Uiso": 0.005 + 0.0005 * k})(r)
    noise = np.random.default_rng(k).normal(0, 0.05, r.size)
    return pk.PDF(r, curve.G + noise, instrument=INSTRUMENT, name=f"s{k}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scans")
    for k in range(CELLS.size):
        pk.write_pdf(path / f"ni_{100 + 10 * k}K.gr", scan(k))
    return path


def series_of(folder: Path) -> Any:
    return pk.read_series(f"{folder}/*.gr", index="{temperature}K")


@pytest.mark.parametrize(("how", "options"), [("sequential", {"block": 4}), ("independent", {})])
def test_values_with_errors(how: str, options: dict[str, int]) -> None:
    result = pk.fit_series(nickel(), [scan(k) for k in range(9)], free=FREE, how=how, **options)
    values, errors = result["a"]
    assert (np.abs(values - CELLS) < 4 * errors).all()
    assert (errors < 2e-3).all()
    assert result.names == result.free == ("ni.scale", "ni.a", "ni.Ni.Uiso")
    assert set(result.status) == {"fitted"}
    alone = pk.fit(nickel(), scan(3), free=FREE)
    assert (np.abs(result.values[3] - alone.values) < 2e-3 * np.sqrt(np.diag(alone.covariance))).all()
    np.testing.assert_allclose(result.covariance(3), alone.covariance, rtol=2e-2)
    assert result.lnz[3] == pytest.approx(FitRow.of(alone).lnz, abs=0.01)
    assert "9 scans over number: 9 fitted" in str(result)


def test_ties_and_ranges_hold() -> None:
    result = pk.fit_series(nickel(), [scan(1), scan(2)], free=["scale", "a"], ties={"Uiso": "0.001*ni.a"}, rmax=6)
    assert result.names == ("ni.scale", "ni.a", "ni.Ni.Uiso")
    assert result.free == ("ni.scale", "ni.a")
    np.testing.assert_allclose(result["Uiso"].values, 0.001 * result["a"].values)
    np.testing.assert_allclose(result["Uiso"].errors, 0.001 * result["a"].errors, rtol=1e-6)


def test_a_corrupt_scan_is_a_row_and_the_rest_goes_on(folder: Path, tmp_path: Path) -> None:
    for file in folder.glob("*.gr"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "ni_140K.gr").write_text("r G\n1 2\nbroken")
    for how in ("sequential", "independent"):
        result = pk.fit_series(nickel(), series_of(tmp_path), free=FREE, how=how)
        assert [status for status in result.status if status != "fitted"] == ["failed"]
        assert result.status[4] == "failed"
        assert np.isnan(result["a"].values[4])
        assert np.isnan(result.covariance(4)).all()
        ((label, why),) = result.failed()
        assert label == "ni_140K.gr"
        assert "ni_140K.gr" in why
        assert "ni_140K.gr" in str(result)
        assert (np.abs(np.delete(result["a"].values - CELLS, 4)) < 3e-3).all()


def test_each_scan_may_have_its_own_grid(tmp_path: Path) -> None:
    scans = [scan(0), scan(1, np.arange(1.5, 7.8, 0.03)), scan(2)]
    result = pk.fit_series(nickel(), scans, free=FREE, curves=True, out=tmp_path)
    assert (np.abs(result["a"].values - CELLS[:3]) < 4 * result["a"].errors).all()
    assert any("2 different r" in said for said in result.about)
    with h5py.File(result.path) as file:
        curves = file["entry/curves"]
        assert curves["observed"].shape == (3, R.size)
        assert np.isnan(curves["observed"][1]).sum() == R.size - 210
        assert curves["r"][1][209] == pytest.approx(1.5 + 209 * 0.03)


def two_wells(fitter: tasks.Fitter, data: pk.PDF, start: Any, search: str) -> dict[str, Any]:
    """A fit of a system that changes at scan 5 and stays in the well that it starts in."""
    k = int(data.name[1:])
    right = "low" if k < 5 else "high"
    well = right if start is None else "low" if start["ni.a"] < 3.55 else "high"
    rw = 0.1 if well == right else 0.3
    covariance = tasks.packed_array(np.eye(3))
    return {
        "values": [1.0, 3.5 if well == "low" else 3.6, 0.005], "sigmas": [0.1, 0.001, 0.001], "free": list(fitter.free),
        "covariance": covariance, "rw": rw, "chi2": 1.0, "reduced_chi2": 1.0, "n_independent": 50.0, "nfev": 3,
        "lnz": 0.0, "converged": True, "errors_from": "dG", "remarks": [], "grid": [R.size, 1.5, 8.0],
    }  # fmt: skip


def test_a_jump_is_found_from_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "fitted", two_wells)
    scans = [pk.PDF(R, np.sin(R), name=f"s{k}") for k in range(9)]
    result = pk.fit_series(nickel(), scans, free=FREE)
    assert result["a"].values.tolist() == [3.5] * 5 + [3.6] * 4
    np.testing.assert_allclose(result.rw, 0.1)
    assert all("different ends (Rw = 0.1000 and 0.3000)" in remarks[0] for remarks in result.remarks)


def test_of_two_minima_that_are_as_good_neighbours_have_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fit stays in the well that it starts in; a hair of Rw, which differs from scan to scan, does not decide."""

    def twins(fitter: tasks.Fitter, data: pk.PDF, start: Any, search: str) -> dict[str, Any]:
        row, k = two_wells(fitter, data, start, search), int(data.name[1:])
        return {**row, "rw": 0.1 * (1.0 + 1e-4 * (-1) ** k * (row["values"][1] - 3.55) / 0.05)}

    monkeypatch.setattr(tasks, "fitted", twins)
    result = pk.fit_series(nickel(), [pk.PDF(R, np.sin(R), name=f"s{k}") for k in range(9)], free=FREE)
    assert result["a"].values.tolist() == [3.5] * 8 + [3.6]


def test_one_direction_is_enough_where_nothing_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(fitter: tasks.Fitter, data: pk.PDF, start: Any, search: str) -> dict[str, Any]:
        k = int(data.name[1:])
        calls.append(k)
        return {**two_wells(fitter, data, None, search), "rw": 0.1, "values": [1.0, 3.5 + 0.01 * k, 0.005]}

    monkeypatch.setattr(tasks, "fitted", counted)
    result = pk.fit_series(nickel(), [pk.PDF(R, np.sin(R), name=f"s{k}") for k in range(20)], free=FREE, block=10)
    assert len(calls) == 3 + 19  # anchors, and each scan but the first from the one before
    assert result.about == ()


def test_a_jump_that_forward_fits_follow_is_looked_at_from_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the two blocks only the one with the jump; a fit from below stays below for two scans too many."""

    def late(fitter: tasks.Fitter, data: pk.PDF, start: Any, search: str) -> dict[str, Any]:
        k = int(data.name[1:])
        high = k >= 5 if start is None or start["ni.a"] > 3.55 else k >= 7
        rw = 0.1 if high == (k >= 5) else 0.105
        return {**two_wells(fitter, data, None, search), "rw": rw, "values": [1.0, 3.6 if high else 3.5, 0.005]}

    monkeypatch.setattr(tasks, "fitted", late)
    result = pk.fit_series(nickel(), [pk.PDF(R, np.sin(R), name=f"s{k}") for k in range(20)], free=FREE, block=10)
    assert result["a"].values.tolist() == [3.5] * 5 + [3.6] * 15
    assert result.about == (
        "scans 1 to 11 of 20 were fitted from both sides, because values jump there or Rw stands out",
    )


@pytest.mark.parametrize("how", ["sequential", "independent"])
@pytest.mark.parametrize(("wrong", "weighs"), [((), True), ((4,), True), ((4, 9, 14, 19), False)])
def test_scans_are_weighed_in_one_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str, wrong: tuple[int, ...], weighs: bool
) -> None:
    again = []

    def weighed(fitter: tasks.Fitter, data: pk.PDF, start: Any, search: str) -> dict[str, Any]:
        k = int(data.name[1:])
        if fitter.weighs is not None:
            again.append(k)
        own = k not in wrong if fitter.weighs is None else fitter.weighs
        row = two_wells(fitter, data, {"ni.a": 3.5}, search)
        return {**row, "rw": 0.1 if own else 0.11, "weighs": own, "values": [float(own), 3.5, 0.005]}

    monkeypatch.setattr(tasks, "fitted", weighed)
    scans = [pk.PDF(R, np.sin(R), name=f"s{k}") for k in range(20)]
    result = pk.fit_series(nickel(), scans, free=FREE, how=how, out=tmp_path)
    assert set(result["scale"].values) == {float(weighs)}
    assert sorted(again) == [k for k in range(20) if (k not in wrong) != weighs]
    said = [text for text in result.about if "than noise" in text]
    assert len(said) == bool(wrong)
    assert all(("weigh alike" in text) != weighs for text in said)


def test_a_scan_that_cannot_be_weighed_as_the_others_keeps_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def weighed(fitter: tasks.Fitter, data: pk.PDF, start: Any, search: str) -> dict[str, Any]:
        if fitter.weighs is not None:
            raise PdfkitError("no way")
        return {**two_wells(fitter, data, {"ni.a": 3.5}, search), "rw": 0.1, "weighs": data.name != "s3"}

    monkeypatch.setattr(tasks, "fitted", weighed)
    result = pk.fit_series(nickel(), [pk.PDF(R, np.sin(R), name=f"s{k}") for k in range(9)], free=FREE)
    assert set(result.status) == {"fitted"}
    assert "1 of which no such fit converged is weighed in the other way" in result.about[0]


# --- The same bytes ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("here")
    fit_into(folder, out)
    return (out / "series.h5").read_bytes()


def fit_into(folder: Path, out: Path, **work: Any) -> SeriesResult:
    return pk.fit_series(nickel(), series_of(folder), free=FREE, search="plain", block=4, curves=True, out=out, **work)


@pytest.mark.parametrize("make", [ThreadPoolExecutor, None])
def test_threads_give_the_same_bytes(
    folder: Path, tmp_path: Path, expected: bytes, make: Callable[[int], Executor] | None
) -> None:
    with (make or ThreadPoolExecutor)(2) as executor:
        fit_into(folder, tmp_path, executor=executor, chunk=2)
    assert (tmp_path / "series.h5").read_bytes() == expected


@pytest.mark.slow
def test_processes_give_the_same_bytes(folder: Path, tmp_path: Path, expected: bytes) -> None:
    fit_into(folder, tmp_path / "own", workers=2, chunk=3)
    assert (tmp_path / "own/series.h5").read_bytes() == expected
    with ProcessPoolExecutor(2) as executor:
        fit_into(folder, tmp_path / "given", executor=executor)
    assert (tmp_path / "given/series.h5").read_bytes() == expected


def test_rows_do_not_depend_on_what_was_fitted_before() -> None:
    scans = [tasks.Chain((HeldScan(scan(k), str(k)),)) for k in range(3)]
    packed = tasks.SeriesProblem(nickel(), tuple(FREE)).packed()
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:  # each thread prepares for itself
        forwards = one.submit(tasks.run_chains, packed, scans).result()
        backwards = other.submit(tasks.run_chains, packed, scans[::-1]).result()
    assert forwards == backwards[::-1]


def test_nothing_is_fitted_twice(
    folder: Path, tmp_path: Path, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_into(folder, tmp_path)
    (tmp_path / "series.h5").unlink()
    monkeypatch.setattr(tasks, "fitted", lambda *_: pytest.fail("it was known"))
    assert fit_into(folder, tmp_path).path == tmp_path / "series.h5"
    assert (tmp_path / "series.h5").read_bytes() == expected


def test_half_a_journal_is_gone_on_with(folder: Path, tmp_path: Path, expected: bytes) -> None:
    fit_into(folder, tmp_path)
    journal = tmp_path / "series.jsonl"
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join(lines[: len(lines) // 2]) + b"\n" + lines[len(lines) // 2][:40])
    fit_into(folder, tmp_path)
    assert (tmp_path / "series.h5").read_bytes() == expected


def test_a_scan_that_changed_is_fitted_again(folder: Path, tmp_path: Path) -> None:
    for k in (0, 1, 2):
        pk.write_pdf(tmp_path / f"ni_{100 + k}K.gr", scan(k))
    free = {"free": FREE, "how": "independent", "out": tmp_path / "out"}
    first = pk.fit_series(nickel(), series_of(tmp_path), **free)  # type: ignore[arg-type]
    pk.write_pdf(tmp_path / "ni_101K.gr", scan(7))
    again = pk.fit_series(nickel(), series_of(tmp_path), **free)  # type: ignore[arg-type]
    assert again["a"].values[1] == pytest.approx(CELLS[7], abs=3e-3)
    assert (again.values[[0, 2]] == first.values[[0, 2]]).all()


def test_scans_of_equal_size_and_time_are_told_apart(tmp_path: Path) -> None:
    """As those of an archive; other readings of the same files are other scans as well."""
    for k in range(3):
        pk.write_pdf(tmp_path / f"ni_{100 + k}K.gr", scan(k))
    size = max(file.stat().st_size for file in tmp_path.glob("*.gr"))
    for file in tmp_path.glob("*.gr"):
        file.write_text(file.read_text().ljust(size, "\n"))
        os.utime(file, (1e9, 1e9))
    free = {"free": ["scale", "a"], "how": "independent", "out": tmp_path / "out"}
    first = pk.fit_series(nickel(), series_of(tmp_path), **free)  # type: ignore[arg-type]
    (tmp_path / "ni_100K.gr").unlink()
    assert (pk.fit_series(nickel(), series_of(tmp_path), **free).values == first.values[1:]).all()  # type: ignore[arg-type]
    other = pk.read_series(f"{tmp_path}/*.gr", index="{T}K", qdamp=0.1)
    again = pk.fit_series(nickel(), other, **free)  # type: ignore[arg-type]
    assert (again["scale"].values > first["scale"].values[1:] + 0.03).all()


class Broken(ThreadPoolExecutor):
    """An executor whose tasks raise."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        return super().submit(int, "no number")


@pytest.mark.parametrize("how", ["sequential", "independent"])
def test_tasks_that_raise_are_rows(how: str) -> None:
    with Broken(1) as executor:
        result = pk.fit_series(nickel(), [scan(k) for k in range(3)], free=["a"], how=how, executor=executor)
    assert result.status == ("failed",) * 3
    assert "no worker could finish it" in result.remarks[1][0]


def test_a_fit_that_led_nowhere_leads_no_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_strange(fitter: tasks.Fitter, data: pk.PDF, start: Any, search: str) -> dict[str, Any]:
        row = two_wells(fitter, data, None, search)
        lost = start is not None and start["ni.a"] > 5.0
        here = data.name == "s2" or lost
        return {**row, "values": [0.0, 9.9 if here else 3.5, 0.005], "converged": not here, "rw": 1.0 if here else 0.1}

    monkeypatch.setattr(tasks, "fitted", one_strange)
    result = pk.fit_series(nickel(), [pk.PDF(R, np.sin(R), name=f"s{k}") for k in range(5)], free=FREE, block=2)
    assert result.status == ("fitted", "fitted", "not converged", "fitted", "fitted")
    assert [bool(said) for said in result.remarks] == [False, False, False, False, False]


def test_a_journal_of_another_problem_is_refused(folder: Path, tmp_path: Path) -> None:
    fit_into(folder, tmp_path)
    with pytest.raises(PdfkitError, match="belongs to another problem"):
        pk.fit_series(nickel(), series_of(folder), free=["scale"], out=tmp_path)
    assert pk.fit_series(nickel(), series_of(folder), free=["scale"], out=tmp_path, resume=False).free == ("ni.scale",)


def test_a_full_disk_is_one_error_and_nothing_is_lost(
    folder: Path, tmp_path: Path, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.write, []

    def full(descriptor: int, data: bytes) -> int:
        calls.append(1)
        if len(calls) > 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(_journal.os, "write", full)
        with pytest.raises(WriteError, match=r"No space left.*make room.*of 9 scans are finished"):
            fit_into(folder, tmp_path, chunk=1)
    kept = SeriesResult.load(tmp_path / "series.h5")
    assert kept.status.count("fitted") >= 1
    assert any("not fitted yet" in why for _, why in kept.failed())
    fit_into(folder, tmp_path)
    assert (tmp_path / "series.h5").read_bytes() == expected


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes")
@pytest.mark.parametrize("limit", [600, 5000, 20000, 40000])
def test_a_file_that_cannot_be_whole_is_one_error(folder: Path, tmp_path: Path, limit: int, capfd: Any) -> None:
    """HDF5 itself ends the process when a write fails."""
    import resource

    def run() -> SeriesResult:
        return pk.fit_series(nickel(), series_of(folder), free=FREE, search="plain", how="independent", **kept_in)

    kept_in: dict[str, Any] = {"curves": True, "out": tmp_path}
    before = run().path
    kept, usual = before.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    assert len(kept) > 40000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, usual[1]))
    try:
        with pytest.raises(WriteError, match=r"series\.h5: cannot be written"):
            run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert before.read_bytes() == kept
    assert [file.name for file in tmp_path.glob(".*tmp")] == []
    assert capfd.readouterr().err == ""


SCRIPT = """
import sys
import numpy as np
import pdfkit as pk
folder, out = sys.argv[1:]
model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=22.0, qdamp=0.04))
series = pk.read_series(folder + "/*.gr", index="{temperature}K")
pk.fit_series(model, series, free=["scale", "a", "Uiso"], search="plain", block=4, curves=True, out=out, chunk=1)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_five_times_it_ends_with_the_same_bytes(folder: Path, tmp_path: Path, expected: bytes) -> None:
    command, chance = [sys.executable, "-c", SCRIPT, str(folder), str(tmp_path)], random.Random(5)
    begin = time.monotonic()
    subprocess.run([*command[:-1], str(tmp_path / "whole")], check=True, timeout=300)
    whole, killed = time.monotonic() - begin, 0
    while killed < 5:
        with subprocess.Popen(command) as process:
            try:
                process.wait(chance.uniform(0.3, 1.0) * whole)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
        if process.returncode == 0:  # it was whole before its moment came: the next begins anew
            assert (tmp_path / "series.h5").read_bytes() == expected
            (tmp_path / "series.jsonl").unlink()
        else:
            killed += 1
    subprocess.run(command, check=True, timeout=300)
    assert (tmp_path / "series.h5").read_bytes() == expected


# --- A cluster -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_dask_worker_that_is_killed_costs_nothing(folder: Path, tmp_path: Path, expected: bytes) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        dask_executor(cluster.scheduler_address) as executor,
    ):
        victims = [worker.process.pid for worker in cluster.workers.values()][:1]

        def kill(now: Any) -> None:
            if victims and now.done >= 2:
                os.kill(victims.pop(), signal.SIGKILL)

        fit_into(folder, tmp_path, executor=executor, chunk=1, progress=kill)
    assert not victims
    assert (tmp_path / "series.h5").read_bytes() == expected


# --- What is in the file ----------------------------------------------------------------------------------------------


def test_file_is_nexus_that_plots(folder: Path, tmp_path: Path) -> None:
    result = fit_into(folder, tmp_path)
    with h5py.File(tmp_path / "series.h5") as file:
        entry = file[file.attrs["default"]]
        first = entry[entry.attrs["default"]]
        assert first.attrs["NX_class"] == "NXdata"
        group = entry["parameters/ni.a"]
        assert [name.decode() for name in group.attrs["axes"]] == ["temperature"]
        np.testing.assert_array_equal(group["value"][()], result["a"].values)
        np.testing.assert_array_equal(group["value_errors"][()], result["a"].errors)
        assert group["temperature"].attrs["units"] == b"K"
        curves = entry["curves"]
        assert [name.decode() for name in curves.attrs["axes"]] == ["temperature", "r"]
        np.testing.assert_allclose(curves["observed"][2], scan(2).G, atol=1e-8)
    again = pk.read_series(f"{tmp_path}/series.h5::entry/curves")
    assert (again.name, again.unit, again[2].instrument.qmax) == ("temperature", "K", 22.0)


def test_result_comes_back(folder: Path, tmp_path: Path) -> None:
    result = fit_into(folder, tmp_path)
    back = SeriesResult.load(tmp_path / "series.h5")
    assert str(back) == str(result)
    assert back.axes == result.axes
    np.testing.assert_allclose(np.sqrt(np.diag(back.covariance(1))), back.sigmas[1], rtol=1e-9)
    (tmp_path / "half.h5").write_bytes((tmp_path / "series.h5").read_bytes()[:4000])
    with pytest.raises(ReadError, match=r"half\.h5: this file does not hold a whole series"):
        SeriesResult.load(tmp_path / "half.h5")
    with pytest.raises(ReadError, match="no such file"):
        SeriesResult.load(tmp_path / "none.h5")


def test_tables_for_programs(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    result = fit_into(folder, tmp_path)
    table = result.to_dataframe()
    assert list(table.columns[:5]) == ["temperature", "scan", "status", "ni.scale", "ni.scale error"]
    assert table["ni.a"].tolist() == result["a"].values.tolist()
    assert (tmp_path / "x.csv").parent == result.to_csv(tmp_path / "x.csv").parent
    assert (tmp_path / "x.csv").read_text().startswith("temperature,scan,status,ni.scale,ni.scale error")


def test_a_map_is_two_axes(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    series = pk.read_series([scan(k) for k in range(4)], shape=(2, 2))
    result = pk.fit_series(nickel(), series, free=["scale", "a"], how="independent", out=tmp_path)
    assert result.map("a").values.shape == (2, 2)
    found = result.to_xarray()
    assert isinstance(found, xarray.Dataset)
    assert found["ni.a"].dims == ("x", "y")
    with h5py.File(tmp_path / "series.h5") as file:
        assert file["entry/parameters/ni.a/value"].shape == (2, 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"free": ["b"]}, "'b'"),
        ({"free": FREE, "how": "both"}, "choose one of sequential, independent"),
        ({"free": FREE, "worker": 2}, "the nearest are workers"),
        ({"free": FREE, "block": 1}, "2 or more"),
        ({"free": FREE, "executor": 3}, "concurrent.futures.Executor"),
        ({"free": []}, "nothing is free"),
        ({"free": FREE, "rmin": 5, "rmax": 3}, "rmin = 5 is not below rmax = 3"),
    ],
)
def test_what_cannot_be_is_said(options: dict[str, Any], words: str) -> None:
    with pytest.raises(PdfkitError) as error:
        pk.fit_series(nickel(), [scan(0)], **options)
    assert words in str(error.value)


def test_what_is_true_of_many_scans_is_said_once() -> None:
    other = pk.Model(nickel().phases, pk.Instrument(probe="X", qmax=18.0, qdamp=0.04))
    text = str(pk.fit_series(other, [scan(k) for k in range(3)], free=FREE, how="independent", search="plain"))
    assert "of the data is used, not 18 of the model (3 of 3 scans)" in " ".join(text.split())


def test_an_unknown_column_is_said() -> None:
    result = pk.fit_series(nickel(), [scan(0)], free=FREE)
    with pytest.raises(ParameterError, match=r"nearest"):
        result["b"]
    with pytest.raises(ParameterError, match="0 is no name of a parameter"):
        result[0]
