"""What people try first, and what they are told where it cannot work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.build
import numpy as np
import pytest

import pdfkit as pk


def model() -> pk.Model:
    return pk.Model(pk.Crystal.from_file("Ni", delta2=1), pk.Instrument(probe="X", qmax=25, qdamp=0.03))


def data() -> pk.PDF:
    clean = model().with_values({"a": 3.53})(np.arange(1, 8, 0.02))
    return pk.PDF(clean.r, clean.G + 0.1 * np.sin(7 * clean.r), instrument=clean.instrument)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Rod", "it is pdfkit.shapes.Rod"),
        ("ReadError", "it is pdfkit.errors.ReadError"),
        ("guinier", "it is pdfkit.patterns.guinier"),
        ("bond_lengths", "it is pdfkit.particles.bond_lengths"),
        ("scattering_strength", "it is pdfkit.scattering.scattering_strength"),
        ("bench", "it is a command, `pdfkit bench`"),
        ("crystal", "nearest are Crystal"),
        ("readpdf", "nearest are read_pdf"),
    ],
)
def test_a_name_that_is_elsewhere_is_told_where(name: str, told: str) -> None:
    with pytest.raises(AttributeError, match=f"^pdfkit has no '{name}': {told}"):
        getattr(pk, name)


def test_private_names_are_not_looked_for() -> None:
    with pytest.raises(AttributeError, match="_nothing"):
        pk._nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("space", [pk.patterns, pk.shapes, pk.uncertainty])
def test_completion_shows_what_is_public(space: Any) -> None:
    assert dir(space) == sorted(space.__all__)


def fitted() -> pk.FitResult:
    return pk.fit(model(), data(), free=["scale", "a"])


@pytest.mark.parametrize(
    ("attempt", "told"),
    [
        (lambda: pk.Crystal("Ni"), "'Ni' is a name, not a structure: give it to Crystal.from_file"),  # type: ignore[arg-type]
        (lambda: pk.Cluster("dot.xyz"), "'dot.xyz' is a name, not a particle: give it to from_file"),  # type: ignore[arg-type]
        (lambda: pk.Crystal.from_file("Ni", shape=30), r"shape is 30: give a shape, such as pdfkit.Sphere\(30\)"),
        (lambda: pk.Crystal.from_file("CdS"), "CdS: .* no structure of that name in pdfkit: .* CdS_wurtzite, CdS_zinc"),
        (lambda: pk.Model("Ni", pk.Instrument(probe="X", qmax=25)), "the model is 'Ni': give a Crystal"),  # type: ignore[arg-type]
        (lambda: pk.PDF([1, 2], [0, 1], instrument="X"), "instrument is 'X': give a pdfkit.Instrument"),  # type: ignore[arg-type]
        (lambda: model().with_values({"a": "wide"}), "Ni.a = 'wide': give a number"),  # type: ignore[dict-item]
        (lambda: pk.write_pdf(data(), "g.gr"), "pdf is 'g.gr': give a PDF, after the name of the file"),  # type: ignore[arg-type]
        (lambda: pk.write_cif("n.cif", model().phases[0]), r"give a Structure \(phase.structure\)"),  # type: ignore[arg-type]
        (lambda: pk.compare([model()], data(), free="a"), "give models by name"),  # type: ignore[arg-type]
        (lambda: pk.screen(data(), []), "data is .*: give a PDF"),  # type: ignore[arg-type]
        (lambda: pk.fit(model(), data(), free="a", settings={"grid": 1}), r"settings is .*: give pdfkit.FitSettings"),  # type: ignore[arg-type]
        (lambda: pk.plot.fit(model()), "result is .*: give what pdfkit.fit returns"),  # type: ignore[arg-type]
        (lambda: pk.plot.pdf([data(), data()]), "what is plotted is .*: give one PDF, or several"),  # type: ignore[arg-type]
        (lambda: pk.Crystal.from_file("Ni").with_values({"Uiso": 1}), "Ni.Uiso does not exist: nearest are Ni.Ni.Uiso"),
        (lambda: pk.uncertainty.profile(fitted(), "delta2"), "delta2 was not free in this fit"),
        (lambda: pk.uncertainty.sample(fitted(), steps=10), "steps = 10 and burn = 200: take more steps"),
    ],
)
def test_wrong_kinds_of_input_are_told_what_to_give(attempt: Callable[[], Any], told: str) -> None:
    with pytest.raises(pk.PdfkitError, match=told):
        attempt()


def test_data_are_no_structure(tmp_path: Path) -> None:
    pk.write_pdf(tmp_path / "ni.gr", data())
    with pytest.raises(pk.PdfkitError, match="measured data, not a structure: use read_pdf"):
        pk.read_structure(tmp_path / "ni.gr")


def test_a_crystal_of_ase_atoms() -> None:
    copper = pk.Crystal(ase.build.bulk("Cu", cubic=True), name="cu")  # type: ignore[arg-type]
    assert copper.composition() == {"Cu": 4.0}
    assert copper.structure.cell[:3] == (3.61, 3.61, 3.61)


def test_a_profile_by_the_ending_of_a_name() -> None:
    result = fitted()
    short, whole = (pk.uncertainty.profile(result, name, points=3) for name in ("a", "Ni.a"))
    assert (short.name, short.interval()) == (whole.name, whole.interval())
