"""What a peak is made of: areas against the integral of G(r), ends at minima, nothing where there is nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pdfkit as pk

X = pk.Instrument(probe="X", qmax=math.inf, scattering="constant")


def zincblende(**options: object) -> pk.Crystal:
    return pk.Crystal.from_file("CdS_zincblende", name="zb", **options)


@pytest.mark.parametrize("shape", [None, pk.Sphere(25.0)])
@pytest.mark.parametrize("probe", ["X", "N"])
def test_areas_add_up_to_the_integral_of_the_peak(shape: pk.Sphere | None, probe: str) -> None:
    crystal = zincblende(shape=shape, scale=0.7).with_values({"Cd.Uiso": 0.002, "S.Uiso": 0.002})
    model = pk.Model(crystal, pk.Instrument(probe=probe, qmax=math.inf, scattering="constant"))
    found = model.peak_at(4.1)
    step = 0.0005
    r = np.arange(3.5, 4.5, step)
    rho0 = sum(crystal.composition().values()) / crystal.structure.volume()
    gamma0 = crystal.shape.gamma0(r)
    peaks = model(r).G + 4 * math.pi * r * rho0 * gamma0 * crystal.scale
    # Pairs are Gaussians in r·G, so that ∫G dr is 1/d of them but for σ²/d² = 2e-4.
    assert sum(one.area for one in found.pairs) == pytest.approx(peaks.sum() * step, rel=1e-3)
    assert sum(one.share for one in found.pairs) == pytest.approx(1.0)
    assert [one.shell.pair for one in found.pairs] == [("Cd", "Cd"), ("S", "S")]


def test_the_whole_of_a_mixed_peak_is_found_wherever_it_is_clicked() -> None:
    phases = [pk.Crystal.from_file("CdSe_wurtzite", name="wz"), pk.Crystal.from_file("Ni", name="ni")]
    model = pk.Model(phases, pk.Instrument(probe="X", qmax=25))
    found = [model.peak_at(r) for r in (4.1, 4.3, 4.5)]
    assert len({(round(one.low, 6), round(one.high, 6)) for one in found}) == 1
    assert [(one.phase, one.shell.pair) for one in found[0].pairs] == [
        ("wz", ("Cd", "Cd")), ("wz", ("Se", "Se")), ("ni", ("Ni", "Ni")), ("wz", ("Cd", "Se")),
    ]  # fmt: skip
    distances = [one.shell.distance for one in found[0].pairs]
    assert distances == sorted(distances)


def test_peaks_that_qmax_runs_together_are_one() -> None:
    crystal = pk.Crystal.from_file("CdSe_wurtzite", name="wz").with_values({"Cd.Uiso": 1e-3, "Se.Uiso": 1e-3})
    sharp = pk.Model(crystal, pk.Instrument(probe="X", qmax=math.inf, scattering="constant"))
    blunt = pk.Model(crystal, pk.Instrument(probe="X", qmax=10))
    near = [one.peak_at(4.0).pairs for one in (sharp, blunt)]
    assert len(near[0]) <= len(near[1])
    first, second = sharp.peak_at(4.2977), blunt.peak_at(4.2977)
    assert second.high - second.low > first.high - first.low


def test_a_peak_below_zero_is_one_of_neutrons() -> None:
    model = pk.Model(pk.Crystal.from_file("TiO2_rutile", name="r"), pk.Instrument(probe="N", qmax=30))
    found = model.peak_at(1.95)
    assert {one.shell.pair for one in found.pairs} == {("O", "Ti")}
    assert all(one.weight < 0 and one.area < 0 < one.share for one in found.pairs)
    assert sum(one.shell.numbers[1] for one in found.pairs) == pytest.approx(6)  # O around Ti


def test_where_no_pair_is_a_peak_has_none_and_says_so() -> None:
    found = pk.Model(zincblende(), X).peak_at(0.7)
    assert found.pairs == ()
    assert "No pair of the model is near" in str(found)
    assert found.to_dict()["pairs"] == []
    with pytest.raises(pk.PdfkitError, match="above 0 Å"):
        pk.Model(zincblende(), X).peak_at(-1)


def test_what_programs_get_is_what_the_table_says() -> None:
    found = pk.Model(zincblende(), X).peak_at(2.5)
    (one,) = found.to_dict()["pairs"]
    assert one["words"] == "4 S around each Cd, 4 Cd around each S, at 2.525 Å"
    assert (one["pair"], one["sites"], one["numbers"]) == (["Cd", "S"], ["Cd–S"], pytest.approx([4.0, 4.0]))
    assert "Cd–S" in str(found)
    assert "<table>" in found._repr_html_()


def test_the_ends_of_what_is_searched_are_told_apart_and_never_below_zero() -> None:
    model = pk.Model(zincblende(shape=pk.Sphere(12.0)), X)
    assert str(model.peak_at(40)).startswith("peak at 40 Å: pairs from 39.95 to 40.05 Å")
    assert model.peak_at(0.001).low == 0.0
