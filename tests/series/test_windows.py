"""Windows of r: what changes with r shows, what a window does not tell is held and said."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.series.windows import Windows, fit_windows

INSTRUMENT = pk.Instrument(probe="X", qmax=25, qdamp=0.03)
R = np.arange(1.5, 30.0, 0.02)
FREE = ["scale", "a", "Uiso", "delta2"]


def nickel() -> pk.Model:
    return pk.Model(pk.Crystal.from_file("Ni", name="ni", delta2=1.5), INSTRUMENT)


@lru_cache
def data(strained: bool = False) -> pk.PDF:
    """Nickel with noise; strained: distances beyond 15 Å are those of a cell that is 0.01 Å larger."""
    rng, near = np.random.default_rng(0), nickel()(R).G
    far = nickel().with_values({"a": 3.534})(R).G
    G = np.where(R > 15.0, far, near) if strained else near
    return pk.PDF(R, G + rng.normal(0.0, 0.2, R.size), instrument=INSTRUMENT)


@lru_cache
def found() -> Windows:
    return fit_windows(nickel(), data(), 6.0, 4.0, free=FREE)


def test_the_index_is_the_middle_of_each_window() -> None:
    assert found().r == pytest.approx([4.5, 8.5, 12.5, 16.5, 20.5, 24.5])
    assert np.diff(found().ends, axis=1).ravel() == pytest.approx(np.full(6, 6.0))
    assert found().table.shape == (6, 4)


def test_one_structure_is_the_same_in_every_window() -> None:
    for name, true in {"ni.a": 3.524, "ni.scale": 1.0}.items():
        values, errors = found()[name]
        assert np.abs((values - true) / errors).max() < 3.5
        assert (errors < 0.02 * true).all()


def test_what_a_window_does_not_tell_has_the_value_of_all_data() -> None:
    """Correlated motion shows at the first peaks: windows beyond do not tell delta2."""
    values, errors = found()["ni.delta2"]
    assert "ni.delta2" not in found().held[0]
    assert all("ni.delta2" in one for one in found().held[2:])
    assert values[2:] == pytest.approx(np.full(4, found().whole.params["ni.delta2"].value))
    assert np.isnan(errors[2:]).all()
    assert np.isfinite(errors[0])
    assert any(one.startswith("ni.delta2 is not determined in") for one in found().remarks)


def test_a_cell_that_differs_far_away_shows() -> None:
    values, errors = fit_windows(nickel(), data(strained=True), 6.0, 8.0, free=["scale", "a", "Uiso"])["ni.a"]
    assert values[[0, -1]] == pytest.approx([3.524, 3.534], abs=4 * errors.max())
    assert values[-1] - values[0] > 10 * errors.max()


def test_windows_print_and_come_as_columns() -> None:
    lines = str(found()).splitlines()
    assert lines[0] == "6 windows of 6 Å"
    assert lines[1].split() == ["r/Å", "ni.scale", "ni.a", "ni.Ni.Uiso", "ni.delta2", "Rw"]
    assert list(found().columns_of())[:5] == ["r", "rmin", "rmax", "ni.scale", "ni.scale error"]
    with pytest.raises(ParameterError, match="no parameter is called"):
        found()["a"]


@pytest.mark.parametrize(
    ("width", "step", "words"),
    [
        (40.0, 1.0, "wider than the data"),
        (0.5, 1.0, "4 independent numbers, too few for 4 free parameters"),
        (6.0, 0.0, "two lengths above 0"),
    ],
)
def test_windows_that_cannot_be_are_refused(width: float, step: float, words: str) -> None:
    with pytest.raises(PdfkitError, match=words):
        fit_windows(nickel(), data(), width, step, free=FREE)
