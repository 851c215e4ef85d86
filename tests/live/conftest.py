"""Data and recipes for pages: simulated nickel, and CdSe of two phases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from two_phases import write_two

import pdfkit as pk
from pdfkit.workbench.opening import opened
from pdfkit.workbench.session import Session


@pytest.fixture
def two(tmp_path: Path) -> Session:
    """A page of a recipe of two phases and one data set."""
    return Session(tmp_path, opened([str(write_two(tmp_path))], tmp_path))


@pytest.fixture
def nickel(tmp_path: Path) -> Path:
    """Simulated G(r) of nickel."""
    model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.03))
    pdf = model.with_values({"ni.a": 3.53, "ni.scale": 0.7})(np.arange(0.5, 25, 0.02))
    pk.write_pdf(tmp_path / "ni.gr", pdf)
    return tmp_path / "ni.gr"
