"""Refined structures: a CIF has the standard uncertainties of the fit, in the form that every reader knows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.io.cif.files import _number, format_cif, refined_numbers
from pdfkit.recipes.outputs import Location, write_all
from pdfkit.results.report import uncertain

INSTRUMENT = pk.Instrument(probe="X", qmax=22.0, qdamp=0.02)
R = np.arange(1.0, 15.0, 0.02)


def refined(name: str, free: list[str], **options: object) -> pk.FitResult:
    """Return the fit of a noisy simulation of a shipped structure."""
    model = pk.Model(pk.Crystal.from_file(name, name="p", **options), INSTRUMENT)
    G = model(R).G
    noisy = G + np.random.default_rng(3).normal(0, 0.05 * np.abs(G).max(), R.size)
    data = pk.PDF(R, noisy, np.full(R.size, 0.05 * np.abs(G).max()), instrument=INSTRUMENT)
    return pk.fit(model, data, free=free)


def written(result: pk.FitResult, folder: Path) -> Path:
    (file,) = write_all(result, ["structures"], Location(folder))
    return file


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (4.283155735917003, 0.0052, "4.2832(52)"),
        (1.23454, 0.00006, "1.234540(60)"),
        (90.4321, 1.26, "90.4(13)"),  # counts of the last digit, without a point
        (123.4, 12.3, "123(12)"),
        (1234.4, 123.0, "1230(120)"),
        (-0.00001, 0.0012, "0.0000(12)"),
        (0.25, 0.0, "0.25"),
        (0.25, np.nan, "0.25"),
        (0.25, 1e-14, "0.25"),
    ],
)
def test_form_of_a_number(value, error, text):
    assert _number(value, error) == text


def test_uncertainties_are_those_of_the_report(tmp_path: Path):
    result = refined("TiO2_rutile", ["scale", "a", "c", "O.x", "Uiso"])
    text = written(result, tmp_path).read_text(encoding="utf-8")
    known = {name: uncertain(result.params[f"p.{name}"].value, result.params[f"p.{name}"].stderr)
             for name in ("a", "c", "O.x", "O.Uiso")}  # fmt: skip
    assert all(re.fullmatch(r"\d\.\d+\(\d\d\)", number) for number in known.values())
    assert re.search(rf"_cell_length_a +{re.escape(known['a'])}\n_cell_length_b +{re.escape(known['a'])}\n", text)
    assert re.search(rf"_cell_length_c +{re.escape(known['c'])}\n_cell_angle_alpha +90\.0\n", text)
    # y = x by symmetry: the same number with the same uncertainty; z and the occupancy are fixed.
    x, U = re.escape(known["O.x"]), re.escape(known["O.Uiso"])
    assert re.search(rf"^O\S* O {x} {x} 0\.0 1\.0 {U} Uiso$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "free", "options"),
    [
        ("TiO2_rutile", ["scale", "a", "c", "O.x", "Uiso"], {}),
        ("TiO2_anatase", ["scale", "a", "c", "O.z", "U11", "U33"], {"anisotropic": True}),
        ("Al2O3_corundum", ["scale", "a", "c", "Al.z", "O.x", "Uiso"], {}),
        ("LaB6", ["scale", "a", "B.x", "La.occ"], {}),
    ],
)
def test_it_reads_back_within_its_uncertainties(tmp_path: Path, name, free, options):
    result = refined(name, free, **options)
    (phase,) = result.model.phases
    again = pk.read_structure(written(result, tmp_path))
    exact, read = refined_numbers(phase.structure), refined_numbers(again)
    errors = phase.errors(result.covariance_of(phase), refined_numbers)
    assert np.count_nonzero(errors) >= len(free) - 1
    # Two digits of the error: half of the last digit is 1/20 of the smallest error of two digits, "10".
    np.testing.assert_array_less(np.abs(read - exact), 0.051 * errors + 1e-12)
    assert again.spacegroup == phase.structure.spacegroup
    assert again.multiplicities().tolist() == phase.structure.multiplicities().tolist()


def test_uncertainties_of_what_follows_are_propagated():
    result = refined("TiO2_anatase", ["scale", "a", "c", "O.z", "U11", "U33"], anisotropic=True)
    (phase,) = result.model.phases
    errors = phase.errors(result.covariance_of(phase), refined_numbers)
    names = [f"p.Ti.U{k}" for k in ("11", "33")]
    rows = [result.free.index(name) for name in names]
    C = result.covariance[np.ix_(rows, rows)]
    # Uequiv of a tetragonal cell is (2 U11 + U33)/3.
    J = np.array([2 / 3, 1 / 3])
    assert errors[6 + 4] == pytest.approx(np.sqrt(J @ C @ J), rel=1e-6)


def test_without_errors_every_digit_is_written():
    structure = pk.load_structure("TiO2_rutile")
    assert "(" not in format_cif(structure).split("_atom_site_adp_type")[1]
    unknown = np.full(refined_numbers(structure).size, np.nan)
    assert format_cif(structure, unknown) == format_cif(structure)
