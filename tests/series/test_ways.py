"""Laws, windows and maps through fit_series: the same numbers as underneath, in one kind of result and of file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.plot import results_of_series
from pdfkit.series.laws import Debye, Law
from pdfkit.series.maps import fit_map
from pdfkit.series.parametric import fit_parametric
from pdfkit.series.result import SeriesResult
from pdfkit.series.windows import fit_windows

INSTRUMENT = pk.Instrument(probe="X", qmax=20, qdamp=0.03)
T, R = np.linspace(50.0, 350.0, 5), np.arange(1.5, 9.0, 0.05)
LAWS = {"a": "linear", "Uiso": "debye"}


def nickel() -> pk.Model:
    return pk.Model(pk.Crystal.from_file("Ni", name="ni"), INSTRUMENT)


def curve(seed: int, noise: float = 0.1, **values: float) -> pk.PDF:
    G = nickel().with_values(values)(R).G + np.random.default_rng(seed).normal(0.0, noise, R.size)
    return pk.PDF(R, G, instrument=INSTRUMENT, name=f"s{seed}")


@lru_cache
def scans() -> tuple[pk.PDF, ...]:
    U = Debye(58.6934).at(T, np.array([390.0, 0.0]))[0]
    return tuple(curve(k, a=3.51 + 4e-5 * t, Uiso=U[k]) for k, t in enumerate(T))


def series() -> Any:
    return pk.read_series(list(scans()), index=T, name="temperature", unit="K")


def by_laws(**options: Any) -> SeriesResult:
    return pk.fit_series(nickel(), series(), how="parametric", free=["scale"], **{"laws": LAWS, **options})


def test_laws_are_those_of_a_parametric_fit_also_from_the_file(tmp_path: Path) -> None:
    under = fit_parametric(nickel(), series(), laws=LAWS, free=["scale"])
    result = by_laws(out=tmp_path, curves=True)
    loaded = SeriesResult.load(tmp_path / "series.h5")
    for one in (result, loaded):
        assert one.how == "parametric"
        assert one.names == under.columns
        np.testing.assert_array_equal(one.values, under.table)
        np.testing.assert_array_equal(one.sigmas, under.errors)
        np.testing.assert_array_equal(one.by_itself("a").values, under.alone[:, 1])
        np.testing.assert_array_equal(one.covariance(2), under.covariances[2])
        assert one.laws is not None
        assert one.laws["a.c1"] == under["ni.a.c1"]
        assert one.laws.along("Uiso", [0.0, 600.0])[1].tolist() == under.along("ni.Ni.Uiso", [0.0, 600.0])[1].tolist()
        assert "ni.a.c1" in str(one)
    assert list(loaded.to_dataframe())[:3] == ["temperature", "scan", "status"]
    with pytest.raises(PdfkitError, match="different noise"):
        loaded.laws.better_than(result.laws)


def test_the_file_plots_laws_and_values_of_scans(tmp_path: Path) -> None:
    by_laws(out=tmp_path, curves=True)
    with h5py.File(tmp_path / "series.h5") as file:
        law, own = file["entry/laws/law ni.a"], file["entry/alone/ni.a"]
        for group in (law, own, file["entry/parameters/ni.a"]):
            assert group.attrs["NX_class"] == "NXdata"
            assert group.attrs["axes"].tolist() in (["temperature"], [b"temperature"])
            assert group[group.attrs["signal"]].shape == group["temperature"].shape == group["value_errors"].shape
        assert law["temperature"].attrs["units"] in ("K", b"K")
        calculated = file["entry/curves/calculated"][0]
    misfit = calculated - scans()[0].G
    assert np.sqrt(np.mean(misfit**2)) == pytest.approx(0.1, rel=0.2)


def test_covariances_of_scans_are_those_of_single_fits_where_laws_join_nothing() -> None:
    """A straight line through two scans leaves each its own value: errors and correlations are those of each alone."""
    two = scans()[:2]
    found = fit_parametric(nickel(), two, T[:2], laws={"a": "linear", "Uiso": "linear"}, free=["scale"])
    assert found.common == 0.0
    for k, pdf in enumerate(two):
        alone = pk.fit(nickel(), pdf, free=["scale", "a", "Uiso"], search="plain").covariance
        share = np.diag(found.covariances[k]) / np.diag(alone)
        assert (share > 0.7).all()  # a fit alone also counts that the spectrum of its noise is an estimate
        assert (share < 1.05).all()
        np.testing.assert_allclose(correlations(found.covariances[k]), correlations(alone), atol=0.03)


def correlations(covariance: Any) -> Any:
    size = np.sqrt(np.diag(covariance))
    return covariance / np.outer(size, size)


def test_shared_is_a_constant_and_like_compares() -> None:
    free = by_laws(laws={"a": "quadratic"}, shared=["Uiso"])
    straight = by_laws(laws={"a": "linear"}, shared=["Uiso"], like=free)
    assert np.ptp(straight["Uiso"].values) == 0.0
    assert straight.laws is not None
    assert free.laws is not None
    assert np.isfinite(straight.laws.better_than(free.laws))


def test_a_scan_that_cannot_be_fitted_is_a_row_and_bends_no_law(tmp_path: Path) -> None:
    for k, pdf in enumerate(scans()):
        pk.write_pdf(tmp_path / f"ni_{T[k]:g}K.gr", pdf)
    (tmp_path / "ni_200K.gr").write_text("r G\n1 2\nbroken")
    read = pk.read_series(f"{tmp_path}/*.gr", index="{T}K", probe="X", qmax=20, qdamp=0.03)
    result = pk.fit_series(nickel(), read, how="parametric", free=["scale"], laws=LAWS)
    assert result.status == ("fitted", "fitted", "failed", "fitted", "fitted")
    assert np.isnan(result["a"].values[2])
    slope, error = result.laws["a.c1"]
    assert abs(slope - 4e-5) < 4 * error
    assert result.laws.along("a", [200.0])[0] == pytest.approx(3.518, abs=2e-3)


def test_scans_of_another_sample_and_without_an_index_bend_no_law() -> None:
    other = pk.Model(pk.Crystal.from_file("NaCl", name="x"), INSTRUMENT)(R)
    pdfs = [*scans(), pk.PDF(R, other.G, instrument=INSTRUMENT, name="salt"), scans()[0]]
    with pytest.warns(pk.PdfkitWarning, match="have no temperature"):
        mixed = pk.read_series(pdfs, index=[*T, 210.0, np.nan], name="temperature", unit="K")
    result = pk.fit_series(nickel(), mixed, how="parametric", free=["scale"], laws=LAWS)
    assert [result.status[k] for k in (3, 6)] == ["failed", "failed"]
    assert "the model does not describe it by itself" in result.remarks[3][0]
    assert "it has no temperature" in result.remarks[6][0]
    assert result.laws is not None
    np.testing.assert_array_equal(result.laws.values, by_laws().laws.values)
    with pytest.raises(ParameterError, match="start names zz, and no law has it"):
        by_laws(start={"zz": 1.0})


def test_many_scans_are_kept_lean() -> None:
    """What a parametric fit keeps of a scan is its curve and a few numbers: 1,000 scans are 1,000 times that."""
    found = fit_parametric(nickel(), scans(), T, laws=LAWS, free=["scale"])
    assert len({id(one.residuals) for one in found.scans}) == 1
    own = [one.posed.data.G.nbytes + one.start.nbytes for one in found.scans]
    assert max(own) < 3 * R.nbytes


def test_windows_are_a_series_over_r(tmp_path: Path) -> None:
    data, free = curve(3, delta2=1.0), ["scale", "a", "Uiso", "delta2"]
    under = fit_windows(nickel(), data, 4.5, 1.5, free=free)
    result = pk.fit_series(nickel(), data, how="windows", window=4.5, step=1.5, free=free, curves=True, out=tmp_path)
    for one in (result, SeriesResult.load(tmp_path / "series.h5")):
        assert one.axes[0].title == "r (Å)"
        np.testing.assert_array_equal(one.index, under.r)
        np.testing.assert_array_equal(one.values, under.table)
        np.testing.assert_array_equal(one.sigmas, under.errors)
        assert one.labels[0] == "1.5 to 6 Å"
    held = [any("not determined here" in said for said in remarks) for remarks in result.remarks]
    assert held == [bool(one) for one in under.held]
    (panel,) = results_of_series.curves(result).axes
    fitted = [line for line in panel.lines if line.get_zorder() == 3]
    np.testing.assert_allclose([line.get_xdata()[[0, -1]] for line in fitted], under.ends, atol=1e-9)


def places() -> list[pk.PDF]:
    return [curve(k, 1.0, a=3.52 + 0.002 * k) for k in range(6)]


def test_maps_keep_their_shape_and_what_places_say_alone(tmp_path: Path) -> None:
    stack = pk.read_series(places(), shape=(3, 2))
    under = fit_map(nickel(), places(), (3, 2), free=["scale", "a"])
    result = pk.fit_series(nickel(), stack, how="map", free=["scale", "a"], out=tmp_path, curves=True)
    for one in (result, SeriesResult.load(tmp_path / "series.h5")):
        assert one.shape == (3, 2)
        np.testing.assert_array_equal(one.map("a").values, under["ni.a"][0])
        np.testing.assert_array_equal(one.map("a").errors, under["ni.a"][1])
        np.testing.assert_array_equal(one.by_itself("a").values.reshape(3, 2), under.alone[:, :, 1])
        assert one.fraction("ni").values.tolist() == [1.0] * 6


def test_places_without_the_sample_are_said() -> None:
    rng = np.random.default_rng(5)
    pdfs = [curve(k, 0.3, a=3.52 + 0.002 * k) for k in range(5)]
    pdfs.append(pk.PDF(R, rng.normal(0.0, 0.3, R.size), instrument=INSTRUMENT))
    found = pk.fit_series(nickel(), pk.read_series(pdfs, shape=(3, 2)), how="map", free=["scale", "a"], mapped=["a"])
    assert [bool(said) for said in found.remarks] == [False] * 5 + [True]
    assert "nothing of the sample may be there" in found.remarks[5][0]


def test_a_line_is_a_map_too() -> None:
    result = pk.fit_series(nickel(), places(), how="map", free=["scale", "a"], mapped=["a"])
    assert result.names == ("ni.a",)
    assert (result.sigmas < 1.01 * result.by_itself("a").errors[:, None]).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"how": "sequential", "laws": LAWS}, 'laws belongs to how="parametric", and here how="sequential"'),
        ({"how": "map", "block": 8}, 'block belongs to how="sequential"'),
        ({"how": "independent", "window": 3.0}, 'window belongs to how="windows"'),
        ({"how": "parametric", "laws": LAWS, "workers": 2}, "workers has no use"),
        ({"how": "parametric"}, "no law is given"),
        ({"how": "parametric", "laws": LAWS, "shared": ["a"]}, "a is shared by all scans and has a law as well"),
        ({"how": "windows"}, "windows of r are those of one data set, and there are 5"),
        ({"how": "window"}, "how = 'window'"),
        ({"how": "map", "rounds": -1}, "rounds = -1"),
        ({"how": "parametric", "law": LAWS}, "'law' is not an option here"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises((ParameterError, PdfkitError)) as caught:
        pk.fit_series(nickel(), series(), free=["scale"], **options)
    assert words in str(caught.value)


def test_windows_need_their_width() -> None:
    with pytest.raises(ParameterError, match="give window= and step= in Å"):
        pk.fit_series(nickel(), scans()[0], how="windows", free=["scale"])


class Own(Law):
    """A law of a script."""

    @property
    def names(self) -> tuple[str, ...]:
        return ("c",)

    def at(self, t: Any, theta: Any) -> tuple[Any, Any]:
        return theta[0] * np.ones(t.size), np.ones((t.size, 1))

    def starts(self, t: Any, values: Any) -> list[Any]:
        return [np.array([values.mean()])]


def test_a_law_of_a_kind_of_its_own_fits_but_no_file_holds_it(tmp_path: Path) -> None:
    laws = {"a": Own(), "Uiso": "constant"}
    assert by_laws(laws=laws).laws["a.c"][0] == pytest.approx(3.518, abs=5e-3)
    with pytest.raises(ParameterError, match="no file can hold"):
        by_laws(laws=laws, out=tmp_path)


def cut(journal: Path, lines: int) -> None:
    """Leave the head, some lines and half a line of a journal, as a process that is killed does."""
    rows = journal.read_text().splitlines(keepends=True)
    assert len(rows) > lines + 2
    journal.write_text("".join(rows[: lines + 1]) + rows[lines + 1][:40])


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[int]:
    """Count the calls of a function from now on."""
    calls: list[int] = []
    plain = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **options: (calls.append(1), plain(*args, **options))[1])
    return calls


@pytest.mark.parametrize("how", ["parametric", "map"])
def test_a_killed_run_fits_no_scan_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    from pdfkit.fitting.prepared import PreparedFit

    options = {"laws": LAWS, "free": ["scale"]} if how == "parametric" else {"free": ["scale", "a"], "mapped": ["a"]}

    def run(**more: Any) -> SeriesResult:
        scans = series() if how == "parametric" else pk.read_series(list(series()), shape=(5, 1))
        return pk.fit_series(nickel(), scans, how=how, **options, **more)

    whole, alone = run(out=tmp_path), run()
    np.testing.assert_array_equal(whole.values, alone.values)
    before = (tmp_path / "series.h5").read_bytes()
    cut(tmp_path / "series.jsonl", 2)
    calls = counted(monkeypatch, PreparedFit, "fit")
    run(out=tmp_path)
    assert len(calls) == 3
    assert (tmp_path / "series.h5").read_bytes() == before
    run(out=tmp_path)
    assert len(calls) == 3
    with pytest.raises(PdfkitError, match="belongs to another problem"):
        run(out=tmp_path, rmin=2.0)
    assert len(run(out=tmp_path, resume=False)) == 5
    assert len(calls) == 8


@pytest.mark.parametrize("how", ["parametric", "map"])
def test_a_full_disk_ends_the_run_and_fails_no_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    from pdfkit.errors import WriteError
    from pdfkit.series.log import Log

    options = {"laws": LAWS, "free": ["scale"]} if how == "parametric" else {"free": ["scale", "a"], "mapped": ["a"]}
    scans = series() if how == "parametric" else pk.read_series(list(series()), shape=(5, 1))
    plain = Log.add

    def add(log: Log, stage: str, results: Any) -> None:
        if results[0][0] > 2:
            raise WriteError("series.jsonl: cannot be written (No space left on device)")
        plain(log, stage, results)

    monkeypatch.setattr(Log, "add", add)
    with pytest.raises(WriteError, match="No space left"):
        pk.fit_series(nickel(), scans, how=how, out=tmp_path, **options)
    assert not (tmp_path / "series.h5").exists()
    assert len((tmp_path / "series.jsonl").read_text().splitlines()) == 4


def test_killed_windows_fit_none_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pdfkit.series import windows

    def run() -> SeriesResult:
        options = {"how": "windows", "window": 4, "step": 1, "free": ["a", "scale"]}
        return pk.fit_series(nickel(), scans()[0], out=tmp_path, **options)

    whole, before = run(), (tmp_path / "series.h5").read_bytes()
    cut(tmp_path / "series.jsonl", 2)  # the fit of all data, and one window
    calls = counted(monkeypatch, windows, "fit")
    again = run()
    assert len(calls) == len(whole) - 1
    np.testing.assert_array_equal(again.values, whole.values)
    assert (tmp_path / "series.h5").read_bytes() == before
    (tmp_path / "windows" / "window-0002.h5").unlink()
    run()
    assert len(calls) == len(whole)
