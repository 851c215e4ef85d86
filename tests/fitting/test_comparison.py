"""Rival models side by side: the true one wins, parameters cost, and only fits of the same data are compared."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

import pdfkit as pk
from pdfkit.errors import ParameterError
from pdfkit.model import GeometryRestraint, noise
from pdfkit.plot import fits
from pdfkit.results.problem import FitSettings

LAB = pk.Instrument(probe="X", qmax=18.0, qdamp=0.03)


def phase(kind: str, name: str) -> pk.Crystal:
    return pk.Crystal.from_file(f"CdS_{kind}", name=name, shape=pk.Sphere(24.0), delta2=2.0)


ZB, WZ = phase("zincblende", "zb"), phase("wurtzite", "wz")
MODELS = {
    "wurtzite": pk.Model(WZ, LAB),
    "zinc blende": pk.Model(ZB, LAB),
    "both": pk.Model([ZB, replace(WZ, scale=0.1)], LAB),
}
FREE = ["scale", "a", "c", "Uiso"]


@pytest.fixture(scope="module", params=[True, False], ids=["dG", "misfit"])
def found(request: pytest.FixtureRequest) -> pk.Comparison:
    data = noise.simulate(pk.Model(ZB, LAB), 1.5, 20.0, 0.02, 0.05, 4)
    data = data if request.param else replace(data, dG=None)
    return pk.compare(MODELS, data, rmin=1.8, free=FREE, ties={"wz.Cd.Uiso": "zb.Cd.Uiso", "wz.S.Uiso": "zb.S.Uiso"})


def test_the_true_model_wins_and_more_parameters_cost(found: pk.Comparison) -> None:
    assert found.names[0] == "zinc blende"
    assert found.delta[0] == 0.0
    assert found.delta == tuple(sorted(found.delta))
    both, right = found["both"], found["zinc blende"]
    assert len(both.free) == len(right.free) + 3  # wz.scale, wz.a, wz.c: its U are tied
    assert both.rw <= right.rw
    # What is not there has a scale near 0: it cannot be seen to need the parameters it brings, and these cost little.
    assert 1 < found.delta[found.names.index("both")] < 6
    assert found.delta[found.names.index("wurtzite")] > 20


def test_table_and_files_name_every_model(found: pk.Comparison, tmp_path: Path) -> None:
    lines = found.table().splitlines()
    assert [line.split("  ")[0] for line in lines[1:4]] == list(found.names)
    (side_by_side,) = [line.split() for line in lines if line.startswith("zb.a ")][:1]
    assert side_by_side[1].startswith("5.83")
    with found.to_csv(tmp_path / "c.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["model"] for row in rows] == list(found.names)
    assert float(rows[0]["zb.a"]) == pytest.approx(5.832, abs=0.01)
    assert rows[found.names.index("wurtzite")]["zb.a"] == ""
    fits.comparison(found, tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 10_000


def test_what_cannot_be_compared_is_refused(found: pk.Comparison) -> None:
    data = noise.simulate(pk.Model(ZB, LAB), 1.5, 12.0, 0.02, 0.05, 4)
    other = pk.fit(pk.Model(ZB, LAB), data, free=["scale"])
    with pytest.raises(pk.PdfkitError, match=r"different ranges, 1\.5 to 12 Å and 1.8 to 20 Å"):
        pk.Comparison.of({"a": found.results[0], "b": other})
    twin = replace(found.results[0].datasets[0].data, G=found.results[0].datasets[0].data.G * 1.01)
    changed = pk.fit(pk.Model(ZB, LAB), twin, free=["scale"])
    with pytest.raises(pk.PdfkitError, match="b and a were fitted to different data: their evidence"):
        pk.Comparison.of({"a": found.results[0], "b": changed})
    with pytest.raises(pk.PdfkitError, match="no fits to compare"):
        pk.Comparison.of({})
    with pytest.raises(ParameterError, match="no parameter of any model is called 'b'"):
        pk.compare(MODELS, data, free=["scale", "b"])
    with pytest.raises(pk.PdfkitError, match="no model is called 'wz'"):
        _ = found["wz"]


def test_a_restraint_of_places_is_a_prior_of_its_size() -> None:
    """The more σ holds the atoms of a cluster, the more ln Z is that of one whose atoms cannot move."""
    dot, lab = pk.build.tetrahedron("CdSe_zincblende", 2), pk.Instrument(probe="X", qmin=0.8, qmax=16)
    rigid, moving = (pk.Model(pk.Cluster(dot, "dot", Uiso=0.02, moves=moves), lab) for moves in (None, "atoms"))
    data = noise.simulate(rigid, 1.5, 12.0, 0.02, 0.02, 1)
    how = {"search": "plain", "settings": FitSettings(noise="given")}
    done = {"rigid": pk.fit(rigid, data, free=["scale", "Uiso"], **how)}
    for sigma in (1e-3, 0.1):
        kept = GeometryRestraint("dot", bonds=None, angles=None, displacement=sigma)
        done[f"{sigma:g}"] = pk.fit(moving, data, free=["scale", "Uiso", "x", "y", "z"], restraints=[kept], **how)
    found = pk.Comparison.of(done)
    lnz = dict(zip(found.names, found.lnz, strict=True))
    assert lnz["0.001"] == pytest.approx(lnz["rigid"], abs=0.1)
    assert lnz["0.1"] < lnz["rigid"] - 1.0  # atoms that sit in their places cost what the data say of them
    assert any("its restraint is the prior of the places of atoms" in text for text in found.remarks)
