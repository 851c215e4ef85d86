"""Series: where scans and their index come from, in which order, and what is wrong with either."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import PdfkitError, PdfkitWarning, ReadError
from pdfkit.series.index import natural
from pdfkit.series.stacks import open_stack

R = np.arange(1.0, 6.0, 0.05)


def write(folder: Path, name: str, head: str = "", value: float = 0.0) -> None:
    rows = "\n".join(f"{r:.2f} {np.sin(3 * r) + value:.6f}" for r in R)
    (folder / name).write_text(f"{head}\n#### start data\n{rows}\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, kelvin in ((1, 300), (2, 100), (10, 200)):
        write(tmp_path, f"scan{number}_{kelvin}K.gr", f"temperature = {kelvin} K\ntime = {number * 60} s", kelvin)
    return tmp_path


@pytest.mark.parametrize(
    ("index", "name", "unit"),
    [
        ("temperature", "temperature", "K"),
        ("{temperature}K", "temperature", "K"),
        (r"_(?P<T>\d+)K", "T", "K"),
        (r"_(\d+)K", "index", "K"),
    ],
)
def test_index_of_headers_and_names(folder: Path, index: str, name: str, unit: str) -> None:
    series = pk.read_series(f"{folder}/*.gr", index=index)
    assert (series.name, series.unit, series.index.tolist()) == (name, unit, [100.0, 200.0, 300.0])
    assert [round(pdf.G[0] - np.sin(3.0)) for pdf in series] == [100, 200, 300]
    assert series.labels == ("scan2_100K.gr", "scan10_200K.gr", "scan1_300K.gr")


def test_any_key_of_the_header(folder: Path) -> None:
    assert pk.read_series(folder, index="time").index.tolist() == [60.0, 120.0, 600.0]


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("file,T,P\nscan1_300K.gr,3,1\nscan2_100K.gr,1,1\nscan10_200K.gr,2,1\n", "log.csv"),
        ("file,P,T\nscan1_300K,1,3\nscan2_100K,1,1\nscan10_200K,1,2\n", "log.csv:T"),
        ("# file P T\nscan1_300K 1 3\nscan2_100K 1 1\nscan10_200K 1 2\n", "log.csv:3"),
        ("3\n1\n2\n", "log.csv"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*names none of the scans:pdfkit.PdfkitWarning")
def test_index_of_a_table(folder: Path, text: str, index: str) -> None:
    (folder / "log.csv").write_text(text)
    series = pk.read_series(f"{folder}/*.gr", index=f"{folder}/{index}")
    assert series.index.tolist() == [1.0, 2.0, 3.0]
    assert [label[4:6].strip("_") for label in series.labels] == ["2", "10", "1"]


def test_given_numbers_and_none(folder: Path) -> None:
    plain = pk.read_series(f"{folder}/*.gr")
    assert plain.labels == ("scan1_300K.gr", "scan2_100K.gr", "scan10_200K.gr")
    assert (plain.name, plain.index.tolist()) == ("number", [0.0, 1.0, 2.0])
    given = pk.read_series(f"{folder}/*.gr", index=[3, 1, 2], name="dose", unit="MGy", sort=False)
    assert (given.name, given.unit, given.index.tolist()) == ("dose", "MGy", [3.0, 1.0, 2.0])
    assert given.where(given.index < 3).labels == ("scan2_100K.gr", "scan10_200K.gr")
    assert given[1:].index.tolist() == [1.0, 2.0]


def test_scans_are_not_read_before_they_are_asked_for(folder: Path) -> None:
    series = pk.read_series(f"{folder}/*.gr", index="{T}K")
    (folder / "scan10_200K.gr").write_text("nothing\n")
    assert len(series[0]) == R.size
    with pytest.raises(ReadError, match="scan10_200K"):
        series[1]


def test_a_missing_index_comes_last_and_is_said(folder: Path) -> None:
    write(folder, "scan3.gr")
    with pytest.warns(PdfkitWarning, match="1 of 4 scans have no temperature and come last: scan3.gr"):
        series = pk.read_series(f"{folder}/*.gr", index="temperature")
    assert np.isnan(series.index[3])
    assert len(series.remarks) == 1


def test_the_same_index_twice_is_said(folder: Path) -> None:
    write(folder, "scan11_200K.gr", "temperature = 200")
    with pytest.warns(PdfkitWarning, match="2 scans have temperature = 200"):
        series = pk.read_series(f"{folder}/*.gr", index="temperature")
    assert series.labels[1:3] == ("scan10_200K.gr", "scan11_200K.gr")


@pytest.mark.parametrize(
    ("scans", "options", "words"),
    [
        ("*.xy", {}, "no file matches"),
        ("*.gr", {"index": "pressure"}, "no file has the index 'pressure'"),
        ("*.gr", {"index": "{pressure}GPa"}, "their names are like scan1_300K.gr"),
        ("*.gr", {"index": "(("}, "no regular expression"),
        ("*.gr", {"index": [1, 2]}, "index has 2 values for 3 scans"),
        ("*.gr", {"shape": (2, 2)}, "does not hold 3 scans"),
        ("*.gr", {"qmx": 20}, "the nearest are qmax"),
        ("*.gr", {"index": "{a}_{b}"}, "an index is one number"),
        ("none.gr", {}, "no such file"),
    ],
)
def test_what_cannot_be_is_said(folder: Path, scans: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(PdfkitError) as error:
        pk.read_series(f"{folder}/{scans}", **options)  # type: ignore[arg-type]
    assert words in str(error.value)


def test_natural_order() -> None:
    assert sorted(["a10.gr", "a9.gr", "a1.gr", "b.gr"], key=natural) == ["a1.gr", "a9.gr", "a10.gr", "b.gr"]


def stack(path: Path, shape: tuple[int, ...], *, nexus: bool) -> np.ndarray:
    curves = np.arange(np.prod(shape), dtype=float).reshape(*shape, 1) + np.sin(3 * R)
    with h5py.File(path, "w") as file:
        data = file.create_group("entry/data")
        made = data.create_dataset("G", data=curves, chunks=(*[2] * len(shape), R.size), compression="gzip")
        made.attrs["qmax"] = 20.0
        data["r"] = R
        names = ["T", "x"][: len(shape)]
        for name, size in zip(names, shape, strict=True):
            data[name] = 100.0 + 10.0 * np.arange(size)
            data[name].attrs["units"] = "K"
        if nexus:
            file.attrs["default"], file["entry"].attrs["default"] = "entry", "data"
            data.attrs["signal"], data.attrs["axes"] = "G", [*names, "r"]
    return curves


@pytest.mark.parametrize("nexus", [True, False])
def test_stack_of_scans(tmp_path: Path, nexus: bool) -> None:
    curves = stack(tmp_path / "s.h5", (5,), nexus=nexus)
    series = pk.read_series(tmp_path / "s.h5", index=None if nexus else "T", probe="X")
    assert (series.name, series.unit, series.index.tolist()) == ("T", "K", [100.0, 110.0, 120.0, 130.0, 140.0])
    assert series[3].instrument.qmax == 20.0
    assert series[3].instrument.probe == "X"
    np.testing.assert_array_equal(series[3].G, curves[3])
    np.testing.assert_array_equal(pk.read_series(f"{tmp_path}/s.h5::/entry/data/G", probe="X")[4].G, curves[4])


def test_stack_of_a_map(tmp_path: Path) -> None:
    curves = stack(tmp_path / "s.h5", (3, 4), nexus=True)
    series = pk.read_series(tmp_path / "s.h5", probe="X")
    assert (series.shape, len(series), [axis.name for axis in series.axes]) == ((3, 4), 12, ["T", "x"])
    np.testing.assert_array_equal(series[7].G, curves[1, 3])


def test_files_as_a_map(folder: Path) -> None:
    write(folder, "scan20_1K.gr")
    assert pk.read_series(f"{folder}/*.gr", shape=(2, 2)).shape == (2, 2)


def test_stack_that_is_none(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["a"] = np.arange(3.0)
    with pytest.raises(ReadError, match="it has no stack of curves"):
        pk.read_series(tmp_path / "s.h5")
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["a"] = np.ones((3, 8))
    with pytest.raises(ReadError, match="no dataset r beside it"):
        pk.read_series(tmp_path / "t.h5")


@pytest.mark.parametrize(
    ("names", "pattern", "values", "unit"),
    [
        (["Ni_-5C.gr", "Ni_20C.gr"], "{temperature}C", [-5.0, 20.0], "°C"),
        (["Ni-300K.gr", "Ni-20K.gr"], "{temperature}K", [20.0, 300.0], "K"),
        (["T-5.gr", "T20.gr"], "T{x}", [-5.0, 20.0], ""),
        (["300K/ni.gr", "20K/ni.gr"], "{T}K", [20.0, 300.0], "K"),
    ],
)
def test_numbers_in_names(tmp_path: Path, names: list[str], pattern: str, values: list[float], unit: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path, name)
    series = pk.read_series([str(tmp_path / name) for name in names], index=pattern)
    assert (series.index.tolist(), series.unit) == (values, unit)


def test_units_of_headers(tmp_path: Path) -> None:
    for name, head in (("a.gr", "Temperature=300 K"), ("b.gr", "temperature: 150.0"), ("c.gr", "# T = 77.3")):
        write(tmp_path, name, head)
    series = pk.read_series(tmp_path, index="Temperature")
    assert (series.index.tolist(), series.unit) == ([77.3, 150.0, 300.0], "K")
    write(tmp_path, "d.gr", "temperature = 20 C")
    with pytest.raises(PdfkitError, match="the files give temperature in K, °C"):
        pk.read_series(tmp_path, index="temperature")


@pytest.mark.parametrize(
    ("text", "values", "unit"),
    [
        ("\ufefffile;T (C)\nscan1_300K.gr;3,5\nscan2_100K.gr;1\nscan10_200K.gr;2\n", [1.0, 2.0, 3.5], "°C"),
        ("sep=,\nfile,T,\nscan1_300K.gr,3,\nscan2_100K.gr,1,\nscan10_200K.gr,2,x\n", [1.0, 2.0, 3.0], "K"),
        ("file,T\nD:\\x\\scan1_300K.gr,3\n/x/scan2_100K.chi,1\nscan10_200K,2\n", [1.0, 2.0, 3.0], "K"),
    ],
)
def test_tables_as_programs_write_them(folder: Path, text: str, values: list[float], unit: str) -> None:
    (folder / "log.csv").write_text(text, encoding="utf-8")
    series = pk.read_series(f"{folder}/*.gr", index=f"{folder}/log.csv")
    assert (series.index.tolist(), series.unit) == (values, unit)
    assert [label[4:6].strip("_") for label in series.labels] == ["2", "10", "1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,T\nscan1_300K.gr,3\nscan1_300K.gr,4\n", "has two values, 3 and 4"),
        ("file,T\nother1.gr,3\nother2.gr,4\nother3.gr,5\n", "names none of the scans, but other1.gr"),
        ("file,T\nscan1_300K.gr,today\n", "it has no column of numbers"),
    ],
)
def test_tables_that_do_not_tell(folder: Path, text: str, words: str) -> None:
    (folder / "log.csv").write_text(text)
    with pytest.raises(ReadError, match=words):
        pk.read_series(f"{folder}/*.gr", index=f"{folder}/log.csv")


def test_tables_tell_equal_names_by_their_folders(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "1.gr")
    (tmp_path / "log.csv").write_text("T,file\n1,b/1.gr\n2,a/1.gr\n")
    series = pk.read_series(f"{tmp_path}/*/*.gr", index=f"{tmp_path}/log.csv")
    assert [Path(series.scan(k).path).parent.name for k in range(2)] == ["b", "a"]


def test_a_folder_with_brackets_means_itself(tmp_path: Path) -> None:
    for name in ("[ab]", "a"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, f"in{len(name)}.gr")
    assert pk.read_series(f"{tmp_path}/[ab]/*.gr").labels == ("in4.gr",)


def write_stack(path: Path, x: str, axes: list[str], signal: np.ndarray, unit: str = "angstrom") -> None:
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        file.attrs["default"], data.attrs["signal"], data.attrs["axes"] = "data", "G", axes
        data["T"], data[x], data["G"] = np.array([10.0, 20.0, 30.0]), R, signal
        data[x].attrs["units"] = unit


def test_transposed_stacks(tmp_path: Path) -> None:
    curves = np.arange(3.0)[:, None] + np.sin(3 * R)
    write_stack(tmp_path / "s.h5", "r", ["r", "T"], curves.T)
    series = pk.read_series(tmp_path / "s.h5")
    assert series.index.tolist() == [10.0, 20.0, 30.0]
    np.testing.assert_array_equal(series[1].G, curves[1])
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["r"], file["G"] = R[::-1], curves.T[::-1]
    np.testing.assert_array_equal(pk.read_series(tmp_path / "t.h5")[2].G, curves[2])


def test_units_of_stacks(tmp_path: Path) -> None:
    write_stack(tmp_path / "s.h5", "r", ["T", "r"], np.tile(np.cos(R - R[0]), (3, 1)), "nm")
    with pytest.raises(ReadError, match="is in nm: give r_unit="):
        pk.read_series(tmp_path / "s.h5")
    pdf = pk.read_series(tmp_path / "s.h5", r_unit="nm")[0]
    assert (pdf.r[0], pdf.G[0]) == pytest.approx((10 * R[0], 0.01))
    write_stack(tmp_path / "t.h5", "r", ["T", "r"], np.ones((3, R.size)), "K")
    with pytest.raises(ReadError, match="is in K"):
        pk.read_series(tmp_path / "t.h5")


def test_which_of_several_stacks(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["r"], file["F"], file["G"] = R, np.zeros((3, R.size)), np.tile(np.cos(R - R[0]), (3, 1))
        file["link"] = h5py.SoftLink("/G")
    assert pk.read_series(tmp_path / "s.h5")[0].G[0] == 1.0
    assert pk.read_series(f"{tmp_path}/s.h5::link")[0].G[0] == 1.0
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["r"], file["A"], file["B"] = R, np.zeros((3, R.size)), np.ones((3, R.size))
    with pytest.raises(ReadError, match=r"several stacks, /A, /B: give one as t\.h5::/A"):
        pk.read_series(tmp_path / "t.h5")


def test_stack_opens_nothing_outside(tmp_path: Path) -> None:
    stack(tmp_path / "other.h5", (5,), nexus=True)
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["entry"] = h5py.ExternalLink("other.h5", "/entry/data")
    with pytest.raises(ReadError, match="no stack"):
        open_stack(os.fspath(tmp_path / "s.h5"), {})


def test_intensities_are_reduced_on_the_way(tmp_path: Path) -> None:
    Q = np.arange(0.8, 22.0, 0.02)
    crystal = pk.Crystal.from_file("Ni", name="ni")
    sq = pk.Model(crystal, pk.Instrument(probe="X", qmax=22, qdamp=0.05)).sq(Q).S
    iq = pk.scattering.form_factor("Ni", "X", Q) ** 2 * sq
    how = {"composition": "Ni", "qmax": 20, "rmax": 12, "unit": "A-1"}
    for kelvin in (10, 20):
        np.savetxt(tmp_path / f"ni_{kelvin}K.chi", np.c_[Q, iq])
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["I"], file["Q"] = np.array([iq, iq]), Q
    expected = pk.reduce(tmp_path / "ni_10K.chi", composition="Ni", qmax=20, unit="A-1").to_pdf(
        np.round(np.arange(1, 1201) * 0.01, 10)
    )
    for source in (f"{tmp_path}/*.chi", tmp_path / "s.h5"):
        series = pk.read_series(source, reduce=how, qdamp=0.05)
        assert len(series) == 2
        assert series[1].instrument.qdamp == 0.05
        np.testing.assert_allclose(series[1].G, expected.G, atol=1e-6)
    with pytest.raises(ReadError, match="no dataset r beside it"):
        pk.read_series(tmp_path / "s.h5")


def test_pdfs_and_what_is_none() -> None:
    scans = [pk.PDF(R, np.sin(R), name=name) for name in ("a", "b")]
    assert pk.read_series(scans, index=[2, 1]).labels == ("b", "a")
    with pytest.raises(PdfkitError, match="these are PDFs"):
        pk.read_series(scans, qmax=20)
    with pytest.raises(PdfkitError, match="there are no scans"):
        pk.read_series([])
