"""Which scans favour which structure: a series of simulated dots that changes from zinc blende to wurtzite."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import ParameterError
from pdfkit.series.cells import ScanEvidence, scan_evidence

INSTRUMENT = pk.Instrument(probe="X", qmax=20)
R = np.arange(2.0, 12.0, 0.05)
FREE = {"zb": ["scale", "a", "Uiso"], "wz": ["scale", "a", "c", "Uiso"]}


@lru_cache
def models() -> dict[str, pk.Model]:
    files = {"zb": "CdS_zincblende", "wz": "CdS_wurtzite"}
    return {name: pk.Model(pk.Crystal.from_file(file, name=name), INSTRUMENT) for name, file in files.items()}


@lru_cache
def found() -> ScanEvidence:
    rng = np.random.default_rng(0)
    curves = [models()[name](R).G + rng.normal(0.0, 0.3, R.size) for name in ("zb", "zb", "wz", "wz")]
    scans = [pk.PDF(R, G, instrument=INSTRUMENT) for G in curves]
    return scan_evidence(models(), scans, [100, 200, 300, 400], free=FREE)


def test_each_scan_favours_what_made_it() -> None:
    assert found().names == ("zb", "wz")
    assert found().favoured() == ("zb", "zb", "wz", "wz")
    assert found().lnz.shape == (4, 2)
    assert (np.abs(np.diff(found().lnz, axis=1)) > 20.0).all()


def test_it_prints_a_line_for_each_scan() -> None:
    lines = str(found()).splitlines()
    assert lines[0].split() == ["index", "ln", "Z", "zb", "ln", "Z", "wz", "favours"]
    assert [lines[k].split()[0] for k in range(1, 5)] == ["100", "200", "300", "400"]
    assert lines[4].split()[-1] == "wz"


def test_what_cannot_be_compared_is_refused() -> None:
    pdf = models()["zb"](R)
    with pytest.raises(ParameterError, match="the same two names or more"):
        scan_evidence(models(), [pdf], [1.0], free={"zb": ["scale"]})
    with pytest.raises(ParameterError, match="2 scans but 1 values"):
        scan_evidence(models(), [pdf, pdf], [1.0], free=FREE)
    with pytest.raises(ParameterError, match="a list of PDFs has no index"):
        scan_evidence(models(), [pdf, pdf], free=FREE)
