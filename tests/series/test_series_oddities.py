"""Series as beamlines write them: what is read of odd headers, names, tables and stacks, and what is said of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import PdfkitError, PdfkitWarning, ReadError
from pdfkit.series.result import telling

R = np.arange(1.0, 7.0, 0.05)
ROWS = "\n".join(f"{r:.2f} {np.sin(3 * r):.6f}" for r in R)
NAN = float("nan")


def read(folder: Path, names: list[str], index: str, heads: list[str] | None = None) -> tuple[pk.Series, str]:
    """Return a series of files with these names and heads, and what was said of it."""
    for k, name in enumerate(names):
        (folder / name).write_text(f"{heads[k] if heads else ''}\n#### start data\n{ROWS}\n", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PdfkitWarning)
        series = pk.read_series([str(folder / name) for name in names], index=index, sort=False)
    return series, " ".join(series.remarks)


@pytest.mark.parametrize(
    ("line", "values", "unit", "said"),
    [
        ("temperature_C = {}", [20.0, 30.0], "°C", ""),
        ("T/K = {}", [20.0, 30.0], "K", ""),
        ('{{"temperature": {}, "x": 2}}', [20.0, 30.0], "K", ""),
        ("temperature = {} Celsius", [20.0, 30.0], "°C", ""),
        ("T = {} ℃", [20.0, 30.0], "°C", ""),
        ("T = {} ºC", [20.0, 30.0], "°C", ""),
        ("T = {} degrees C", [20.0, 30.0], "°C", ""),
        ("T = {} mK", [20.0, 30.0], "mK", ""),
        ("sample_temperature = {}", [20.0, 30.0], "K", ""),
        ("T = {} kK", [20.0, 30.0], "K", "the 20 of 'T = 20 kK'"),
        ("Debye temperature = {}", [20.0, 30.0], "K", "the 20 of 'Debye temperature = 20'"),
        ("temperature = {} 301.5", [20.0, 30.0], "K", "the 20 of"),
        ("temperature = {}-40", [20.0, 30.0], "K", "the 20 of"),
        ("temperature = {}\n# temperature = 44", [20.0, 30.0], "K", "the first of 20, 44"),
        ("T = 5\n# temperature = {}", [20.0, 30.0], "K", "20, and T = 5"),
        ("temperature = {}(2)", [20.0, 30.0], "K", ""),
        ("temperature = {}:40", [20.0, 30.0], "K", "the 20 of"),
    ],
)
def test_headers(tmp_path: Path, line: str, values: list[float], unit: str, said: str) -> None:
    heads = [f"# {line.format(value)}" for value in (20, 30)]
    series, remarks = read(tmp_path, ["a.gr", "b.gr"], "temperature", heads)
    assert (series.index.tolist(), series.unit) == (values, unit)
    assert said in remarks
    assert bool(said) == bool(remarks)


@pytest.mark.parametrize(
    ("name", "pattern", "value", "unit", "said"),
    [
        ("x_250p5K", "{T}K", 250.5, "K", "250.5 in 'x_250p5K.gr'"),
        ("x_250,5K", "{T}K", 250.5, "K", "250.5 in"),
        ("x_T0p25_2", "T{x}", 0.25, "", "0.25 in"),
        ("x_m20C", "{T}C", -20.0, "°C", "-20 in"),
        ("x_minus20C", "{T}C", -20.0, "°C", "-20 in"),
        ("x_−20C", "{T}C", -20.0, "°C", "-20 in"),
        ("x_neg20C", "{T}C", -20.0, "°C", "-20 in"),
        ("x_p10C", "{T}C", 10.0, "°C", ""),
        ("run5Kapton_300K", "{T}K", 300.0, "K", ""),
        ("x_80Kelvin", "{T}K", 80.0, "K", ""),
        ("x.300", "{T}.gr", 300.0, "K", ""),
        ("x_t250K_003", "{T}K", 250.0, "K", ""),
        ("x_80K_to_300K", "{T}K", 80.0, "K", "the first of 80, 300 in"),
        ("x_12p5K", r"_(?P<T>[\dp]+)K", 12.5, "K", "12.5 in"),
        ("x_100-200K", "{T}K", 200.0, "K", "may mean 100 to 200"),
        ("x_100to200K", "{T}K", 200.0, "K", "may mean 100 to 200"),
        ("Fe2_5K", "{T}K", 5.0, "K", ""),
        ("scan_0012_30K", "{T}K", 30.0, "K", ""),
        ("x_3_300K", "{T}K", 300.0, "K", ""),
        ("x_T250_003", "T{T}", 250.0, "K", ""),
    ],
)
def test_names(tmp_path: Path, name: str, pattern: str, value: float, unit: str, said: str) -> None:
    series, remarks = read(tmp_path, [f"{name}.gr"], pattern)
    assert (series.index.tolist(), series.unit) == ([value], unit)
    assert said in remarks
    assert bool(said) == bool(remarks)


@pytest.mark.parametrize(
    ("name", "pattern", "value"),
    [
        ("x_250_5K", "{T}K", 5.0),
        ("x_250-5K", "{T}K", 5.0),
        ("T250 5 K", "{T} K", 5.0),
        ("x_250pt5K", "{T}K", 5.0),
        ("x_250_5K", r"_(?P<T>\d+)K", 5.0),
        ("x_T250_5", "T{T}", 250.0),
        ("x_T=250-5_001", "T={T}", 250.0),
    ],
)
def test_names_that_can_be_read_in_two_ways(tmp_path: Path, name: str, pattern: str, value: float) -> None:
    series, remarks = read(tmp_path, [f"{name}.gr"], pattern)
    assert (series.index.tolist(), series.unit) == ([value], "K")
    assert "may mean 250.5" in remarks
    other = remarks.partition('write "')[2].partition('" for that')[0]
    series, remarks = read(tmp_path, [f"{name}.gr"], other)
    assert (series.index.tolist(), series.unit, "250.5 in" in remarks) == ([250.5], "K", True)


@pytest.mark.parametrize(
    ("text", "values", "unit", "said"),
    [
        ("file|T\na.gr|1\nb.gr|2\n", [1.0, 2.0], "K", ""),
        ("Beamtime 42\nfile,temp_C\na.gr,1\nb.gr,2\n", [1.0, 2.0], "°C", ""),
        ("file T (°C)\na.gr 1\nb.gr 2\n", [1.0, 2.0], "°C", ""),
        ("file,T\na.gr,1\na.gr,\nb.gr,inf\n", [1.0, NAN], "K", "1 of 2 scans have no T"),
        ("file;T;P\n-;°C;GPa\na.gr;1;2\nb.gr;2;2\n", [1.0, 2.0], "°C", ""),
        ("file,T\nA.GR,1 K\nb.GR,2(1) K\n", [1.0, 2.0], "K", ""),
        ("file,T\na.gr,1 ± 2\nb.gr,-999\n", [1.0, NAN], "K", "1 of 2 scans have no T"),
        ('file T\n"a.gr" 1D2\n"b.gr" 2_0\n', [100.0, NAN], "K", "1 of 2 scans have no T"),
        ("T\n1\n2\n", [1.0, 2.0], "K", "names none of the scans: its rows are taken in the order"),
        ("file,T,note\na.gr,1,hot, dry\nb.gr,2,\nc.gr,3,\n", [1.0, 2.0], "K", "1 rows have more than 3 cells"),
        ("Run 42, beamtime, cooling\nfile,T\na.gr,1\nb.gr,2\n", [1.0, 2.0], "K", ""),
        ("file,t,P\na.gr,1,7\nb.gr,2,8\n", [1.0, 2.0], "", "t is the first column of numbers, and taken; others"),
    ],
)
def test_tables(tmp_path: Path, text: str, values: list[float], unit: str, said: str) -> None:
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    series, remarks = read(tmp_path, ["a.gr", "b.gr"], f"{tmp_path}/log.csv")
    np.testing.assert_array_equal(series.index, values)
    assert series.unit == unit
    assert said in remarks
    assert bool(said) == bool(remarks)


def test_tables_that_number_files_as_their_names_do(tmp_path: Path) -> None:
    """Rows in another order, and of other scans, had been taken in the order of the names."""
    (tmp_path / "log.csv").write_text("scan,T\n0012,5\n10,30\n2,20\n1,10\n0,7\n")
    series, said = read(tmp_path, ["s1.gr", "s2.gr", "s10.gr", "s11.gr"], f"{tmp_path}/log.csv")
    np.testing.assert_array_equal(series.index, [10.0, 20.0, 30.0, NAN])
    assert "scan is the number in the names of files, such as 11 of s11.gr" in said


TIMES = "2026-11-30T23:59:30", "2026-12-01 00:01"


@pytest.mark.parametrize(
    "texts",
    [
        TIMES,
        ("2026-11-30T23:59:30.000Z", "2026-12-01T01:01:00+01:00"),
        ("30.11.2026 23:59:30", "1.12.2026 0:01"),
        ("11/30/2026 11:59:30 PM", "12/01/2026 12:01 AM"),
        ("Mon Nov 30 23:59:30 2026", "Tue Dec  1 00:01:00 2026"),
        ("30-Nov-2026 23:59:30", "1-Dec-2026 00:01:00"),
        ("20261130T235930", "20261201T000100"),
        ("1796083170.0", "1796083260.0"),
        ("1796083170000", "1796083260000"),
    ],
)
def test_time_stamps_count_from_the_first_scan(tmp_path: Path, texts: tuple[str, str]) -> None:
    def check(series: pk.Series, said: str) -> None:
        assert (series.index.tolist(), series.unit) == ([0.0, 90.0], "s")
        assert "in s from 2026-11-30 23:59:30" in said

    names = ["a.gr", "b.gr"]
    check(*read(tmp_path, names, "started", [f"# started = {text}" for text in texts]))
    (tmp_path / "log.csv").write_text(f"file;started\na.gr;{texts[0]}\nb.gr;{texts[1]}\n")
    check(*read(tmp_path, names, f"{tmp_path}/log.csv"))
    check(*stack(tmp_path, lambda file: (plain(file, G[:2]), file.__setitem__("time", texts)), index="time"))


def test_an_index_that_is_given_in_seconds_since_1970() -> None:
    pdf = pk.PDF(R, np.sin(3 * R), instrument=pk.Instrument(probe="X", qmax=20))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PdfkitWarning)
        series = pk.read_series([pdf] * 3, index=[1796083170.5, 1796083260.5, 1796083260.5], name="time")
    assert (series.index.tolist(), series.unit) == ([0.0, 90.0, 90.0], "s")
    assert "in s from 2026-11-30 23:59:30" in series.remarks[0]
    assert telling(np.array([1796083170.0, 1796083260.0])) == ".8g"
    assert telling(np.array([300.0, 300.5, NAN])) == ".6g"


def test_time_stamps_in_names_and_columns_of_their_own(tmp_path: Path) -> None:
    for names in (
        ["x_20261130_235930.gr", "x_20261201_000100.gr"],
        ["2026-11-30T23-59-30.gr", "2026-12-01T00-01-00.gr"],
    ):
        for pattern in ("{time}", r"(?P<time>\d+)\.gr"):
            series, said = read(tmp_path, names, pattern)
            assert (series.index.tolist(), series.unit) == ([0.0, 90.0], "s")
            assert "in s from 2026-11-30 23:59:30" in said
    (tmp_path / "log.csv").write_text("file,date,time,run_10\na.gr,2026-11-30,23:59:30,1\nb.gr,2026-12-01,0:01,2\n")
    series, _ = read(tmp_path, ["a.gr", "b.gr"], f"{tmp_path}/log.csv:TIME")
    assert series.index.tolist() == [0.0, 90.0]
    series, said = read(tmp_path, ["a.gr", "b.gr"], "time", ["# time = 1:20:00", "# time = 1:20:30"])
    assert (series.index.tolist(), "from 01:20:00; without dates" in said) == ([0.0, 30.0], True)
    for heads, words in (
        (["# t = 11/10/2026", "# t = 11/11/2026"], "may begin with the day or the month"),
        ([f"# t = {TIMES[0]}", f"# t = {TIMES[1]}:00Z"], "some time stamps have a time zone"),
        ([f"# t = {TIMES[0]}", "# t = 300 s"], "in s, time stamps"),
    ):
        with pytest.raises(PdfkitError, match=words):
            read(tmp_path, ["a.gr", "b.gr"], "t", heads)


def test_tables_name_files_by_their_beginnings(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("file,T\nrun_1,1\nrun_10,10\nrun_2,2\n")
    series, said = read(tmp_path, ["run_1_sub.gr", "run_2_sub.gr", "run_10_sub.gr"], f"{tmp_path}/log.csv")
    assert (series.index.tolist(), said) == ([1.0, 2.0, 10.0], "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('file,P\na.gr,"1,000"\nb.gr,"2,000"\n', "1,000 may be 1 or 1000"),
        ("file,T\na.gr,100,5\nb.gr,110,5\n", "its head names 2 columns, and most rows have 3 cells"),
        ("scan,T\n2,100\n1,110\n", "its rows are numbered 2, 1"),
        ("file,T,T\na.gr,1,2\nb.gr,2,3\n", "it has 2 columns 'T'"),
    ],
)
def test_tables_that_mislead(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ReadError, match=words):
        read(tmp_path, ["a.gr", "b.gr"], f"{tmp_path}/log.csv" + (":T" if "T" in text else ""))


G = np.arange(1.0, 4.0)[:, None] * np.sin(3 * R)


def stack(folder: Path, make: Callable[[h5py.File], None], **options: object) -> tuple[pk.Series, str]:
    path = folder / f"s{len(list(folder.iterdir()))}.h5"
    with h5py.File(path, "w") as file:
        make(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PdfkitWarning)
        series = pk.read_series(path, probe="X", qmax=20, **options)
    return series, " ".join(series.remarks)


def plain(file: h5py.File, G: np.ndarray = G, r: np.ndarray = R, unit: str = "angstrom") -> h5py.Dataset:
    file["r"] = r
    file["r"].attrs["units"] = unit
    file["G"] = G
    return file["G"]


def test_numbers_of_stacks_are_those_that_attributes_mean(tmp_path: Path) -> None:
    def packed(file: h5py.File) -> None:
        counts = np.rint(G * 1000).astype("i4")
        counts[1, 0] = -9999
        plain(file, counts).attrs.update({"scale_factor": 0.001, "_FillValue": -9999})

    series, _ = stack(tmp_path, packed)
    np.testing.assert_allclose(series[2].G, G[2], atol=5.1e-4)  # half of the last digit that is stored
    assert len(series[1]) == R.size - 1
    series, _ = stack(tmp_path, lambda f: plain(f).attrs.update(units="1/nm^2"))
    np.testing.assert_allclose(series[1].G, 0.01 * G[1], rtol=1e-12)
    series, _ = stack(
        tmp_path, lambda file: plain(file, r=R / 10, unit="nm").attrs.__setitem__("units", "Å^-2"), r_unit="nm"
    )
    np.testing.assert_allclose(series[1].G, G[1], rtol=1e-12)


def test_what_was_not_written_is_no_number(tmp_path: Path) -> None:
    def begun(file: h5py.File) -> None:
        file["r"] = R
        file["r"].attrs["unit"] = "Ångström"
        made = file.create_dataset("G", G.shape, "f8", chunks=(1, R.size), fillvalue=-1)
        made[0], made[2] = G[0], 9.97e36

    series, said = stack(tmp_path, begun)
    np.testing.assert_array_equal(series[0].G, G[0])
    assert said == ""
    for at, words in ((1, "holds no numbers"), (2, "of more than 1e")):
        with pytest.raises(ReadError, match=words):
            _ = series[at]
    with pytest.raises(ReadError, match="/G has no scans"):
        stack(tmp_path, lambda file: plain(file, G[:0]))
    with pytest.raises(ReadError, match="/r is in nm: give r_unit"):
        stack(tmp_path, lambda file: (plain(file), file["r"].attrs.pop("units"), file["r"].attrs.update(unit="nm")))
    with pytest.raises(ReadError, match="/G is in another file, which is not opened"):
        stack(tmp_path, lambda file: file.__setitem__("G", h5py.ExternalLink("other.h5", "/G")))


def test_rows_of_variable_length_and_r_of_each_scan(tmp_path: Path) -> None:
    def ragged(file: h5py.File) -> None:
        for name, rows in (("G", G), ("r", np.tile(R, (3, 1)))):
            made = file.create_dataset(name, (3,), dtype=h5py.vlen_dtype(np.float64))
            for k in range(3):
                made[k] = rows[k, : 50 + k]

    series, _ = stack(tmp_path, ragged)
    assert [len(pdf) for pdf in series] == [50, 51, 52]
    np.testing.assert_array_equal(series[2].G, G[2, :52])
    series, _ = stack(tmp_path, lambda file: plain(file, r=R + 0.01 * np.arange(3)[:, None]))
    assert [round(pdf.r[0], 2) for pdf in series] == [1.0, 1.01, 1.02]


def test_axes_of_stacks_as_older_files_say_them(tmp_path: Path) -> None:
    def old(file: h5py.File) -> None:
        plain(file).attrs.update({"signal": 1, "axes": "T:r"})
        file["other"], file["T"] = 2 * G, [10.0, 20.0, 30.0]
        file["T"].attrs["units"] = np.array(["celsius"], dtype="S")

    series, _ = stack(tmp_path, old)
    assert (series.index.tolist(), series.unit, series[0].G[3]) == ([10.0, 20.0, 30.0], "°C", G[0, 3])
    series, _ = stack(tmp_path, lambda file: (plain(file), file.attrs.update({"signal": "G", "axes": [".", "r"]})))
    assert series.name == "number"


def test_index_of_words(tmp_path: Path) -> None:
    series, _ = stack(tmp_path, lambda f: (plain(f), f.__setitem__("T", [b"30 K", b"10 K", b"20 K"])), index="T")
    assert (series.index.tolist(), series.unit, series.labels[0]) == ([10.0, 20.0, 30.0], "K", "G[1]")


def test_axes_that_are_words_and_those_that_do_not_fit(tmp_path: Path) -> None:
    """Axes of words had been left for numbers of scans, and scans beyond a short one were lost without a word."""

    def named(file: h5py.File, T: list[object]) -> None:
        plain(file)
        file["T"] = T
        file.attrs.update({"signal": "G", "axes": ["T", "r"]})

    series, _ = stack(tmp_path, lambda file: named(file, [b"30,5", b"10", b"20"]))
    assert (series.index.tolist(), series.name, series.unit) == ([10.0, 20.0, 30.5], "T", "K")
    for values in ([1.0, 2.0], [1.0, 2.0, 3.0, 4.0]):
        with pytest.raises(ReadError, match=f"T has {len(values)} values for 3 scans of /G: correct it"):
            stack(tmp_path, lambda file, values=values: named(file, values))
    with pytest.raises(ReadError, match=r"/r goes to .* in steps of .*, too wide for Å: is it in pm"):
        stack(tmp_path, lambda file: (plain(file, r=100 * R), file["r"].attrs.clear()))


def test_axes_of_maps(tmp_path: Path) -> None:
    cube = np.ones((4, 3, 1)) * np.sin(3 * R)

    def measured(file: h5py.File) -> None:
        plain(file, cube)
        file["x"], file["y"] = np.arange(3.0), np.arange(4.0)

    series, said = stack(tmp_path, measured)
    assert ([axis.name for axis in series.axes], said) == (["y", "x"], "")
    _, said = stack(tmp_path, lambda file: plain(file, cube))
    assert "the first is called x" in said


def test_what_stacks_leave_open_is_said(tmp_path: Path) -> None:
    def masked(file: h5py.File) -> None:
        plain(file, G * np.array([1.0, 0.0, 1.0])[:, None], R / 10)
        file["r"].attrs.clear()
        file["mask"], file["G_errors"] = np.array([0, 1, 0]), np.zeros_like(G)

    series, said = stack(tmp_path, masked)
    assert "/mask is not looked at" in said
    assert "/r has no unit and ends at 0.695" in said
    assert "/G_errors is not above 0 everywhere" in series[0].remarks[-1]
    with pytest.raises(ReadError, match="scan 1 of /G is 0 everywhere"):
        _ = series[1]
    with pytest.raises(PdfkitError, match="in K, °C: give the numbers"):
        stack(tmp_path, lambda f: (plain(f), f.__setitem__("T", [b"30 K", b"10 C", b"20 K"])), index="T")
