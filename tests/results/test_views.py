"""Values in notebooks and data frames: what they show is what they hold, escaped; pandas is asked for only there."""

from __future__ import annotations

import csv
import html
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError

EVIL = "<script>alert(1)</script>"
R = np.arange(2.0, 10.0, 0.05)


def model() -> pk.Model:
    phases = [
        pk.Crystal.from_file("CdS_zincblende", name="zb"),
        pk.Crystal.from_file("Ni", name="ni", shape=pk.Sphere(30)),
    ]
    return pk.Model(phases, Instrument(probe="X", qmax=20.0, qdamp=0.03))


@pytest.fixture(scope="module")
def result() -> pk.FitResult:
    data = model().with_values({"zb.scale": 0.6})(R)
    measured = pk.PDF(R, data.G, np.full(R.size, 0.05), data.instrument, name=EVIL, temperature=300.0)
    return pk.fit(model(), measured, free=["zb.scale", "ni.scale", "zb.a"], ties={"ni.delta2": "zb.a / 2"})


@pytest.fixture(scope="module")
def ranking() -> pk.Ranking:
    clusters = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (2, 3)]
    truth = pk.Model(pk.Cluster(clusters[1], "c"), Instrument(probe="X", qmin=0.8, qmax=16))
    return pk.screen(clusters, truth(np.arange(1.8, 12, 0.05)))


def text_of(value: Any) -> str:
    """Return what is seen of the view of a value."""
    shown = value._repr_html_()
    assert "<script" not in shown
    assert shown.count("<div") == shown.count("</div>") == 1
    return html.unescape(re.sub("<[^>]*>", " ", shown))


def test_views_of_data_say_what_they_are() -> None:
    pdf = pk.PDF(
        R, R, 0.1 + 0 * R, Instrument(probe="N", qmax=20, qdamp=0.03), name=EVIL, remarks=(EVIL,), temperature=90.0
    )
    shown = text_of(pdf)
    for part in ("G(r)", EVIL, "160 points, 2 to 9.95 Å", "dG", "neutrons", "Qmax 20 Å⁻¹", "90 K", f"Remark: {EVIL}"):
        assert part in shown
    assert "S(Q)" in text_of(pk.SQ([1, 2], [1, 1], composition="Ni"))
    assert "2 points, 1 to 2 Å⁻¹" in text_of(pk.Intensity([1, 2], [1, 1]))
    assert "3 points" in text_of(pk.saxs(pk.build.sphere("Au", 20), [0.01, 0.1, 0.2]))
    about = text_of(Instrument(probe="X", qmax=20))
    assert re.search(r"qmax\s+20.0 Å⁻¹\s", about)
    assert re.search(r"qdamp\s+0.0 Å⁻¹ \(default\)", about)


def test_views_of_models_list_their_numbers() -> None:
    crystal = pk.Crystal.from_file("CdSe_wurtzite", name="wz", shape=pk.Sphere(30))
    shown = text_of(crystal)
    for quantity in crystal.quantities:
        assert quantity.name in shown
        assert f"{quantity.value:.6g}" in shown
    assert "P 63 m c" in shown or "P63mc" in shown.replace(" ", "")
    cluster = pk.Cluster(pk.build.sphere("Au", 8), "au")
    assert "cluster" in text_of(cluster)
    both = text_of(model())
    assert "zb (Cd4 S4" in both
    assert "ni (Ni4" in both
    assert "X-rays, Qmax 20 Å⁻¹, qdamp 0.03" in both
    structure = pk.load_structure("CdSe_wurtzite")
    for site in structure.sites:
        assert site.label in text_of(structure)
    assert "Au" in text_of(pk.build.sphere("Au", 8))


def test_views_of_results(result: pk.FitResult, ranking: pk.Ranking) -> None:
    assert EVIL in text_of(result)
    params = text_of(result.params)
    assert "3 of them free" in params
    for name, par in result.params.items():
        assert name in params
        assert f"{par.value:.7g}" in params
    best = text_of(ranking)
    assert ranking[0].name in best
    assert f"{ranking[0].rw:.4f}" in best
    assert "ΔlnZ" in text_of(pk.Comparison.of({"one": result, "same": result}))


def test_frames_of_curves(result: pk.FitResult) -> None:
    pdf = result.data
    assert list(pdf.to_dataframe()) == ["r", "G", "dG"]
    np.testing.assert_array_equal(pdf.to_dataframe().G, pdf.G)
    assert list(pk.SQ([1, 2], [1, 1]).to_dataframe()) == ["Q", "S"]
    assert list(pk.Intensity([1, 2], [1, 1], [1, 1]).to_dataframe()) == ["Q", "I", "dI"]
    curves = result.datasets[0].to_dataframe()
    np.testing.assert_allclose(curves.zb + curves.ni, curves.Gcalc, rtol=0, atol=1e-9)
    pairs = [name for name in curves if ":" in name]
    assert {"zb:Cd-S", "ni:Ni-Ni"} <= set(pairs)
    np.testing.assert_allclose(curves[pairs].sum(axis=1), curves.Gcalc, rtol=0, atol=1e-9)


def test_frame_of_parameters(result: pk.FitResult) -> None:
    table = result.to_dataframe().set_index("name")
    assert list(table.index) == list(result.params)
    assert tuple(table.index[table.vary]) == result.free
    assert table.loc["zb.a", "value"] == result.params["zb.a"].value
    assert table.loc["zb.a", "stderr"] == result.params["zb.a"].stderr
    assert table.loc["ni.delta2", "expr"] == "zb.a / 2"
    assert table.loc["zb.a", "unit"] == "Å"


def test_frames_of_rankings_and_comparisons_are_their_csv(
    result: pk.FitResult, ranking: pk.Ranking, tmp_path: Path
) -> None:
    import pandas as pd

    for value in (ranking, pk.Comparison.of({"one": result, "two": result})):
        frame = value.to_dataframe()
        path = value.to_csv(tmp_path / "table.csv")
        with path.open(encoding="utf-8", newline="") as stream:
            assert next(csv.reader(stream)) == list(frame)
        back = pd.read_csv(path)
        for name in frame.select_dtypes("number"):
            np.testing.assert_array_equal(back[name].to_numpy(dtype=float), frame[name].to_numpy(dtype=float))


def test_pandas_is_asked_for_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(PdfkitError, match="pip install pandas"):
        pk.PDF(R, R).to_dataframe()
    assert "points" in pk.PDF(R, R)._repr_html_()


def test_frame_of_a_batch_of_reductions() -> None:
    from pdfkit.reduction.journal import Reduced, Reductions

    rows = Reductions(
        [Reduced("a.chi", "done", diagnostics={"qmax": 20.0}), Reduced("b.chi", "failed", "x", ("u", "v"))]
    )
    table = rows.to_dataframe()
    assert list(table) == ["file", "status", "message", "warnings", "seconds", "qmax"]
    assert table.file.tolist() == ["a.chi", "b.chi"]
    assert table.warnings.tolist() == ["", "u; v"]
    assert table.qmax.isna().tolist() == [False, True]
