"""1-D data files: every header, every kind of damage, exact round trips.

The files of tests/data hold the G(r) and the S(Q) of the formulas below, with the header of each program.
"""

from __future__ import annotations

import importlib.metadata
import io
import math
import os
import re
import stat
import sys
import warnings
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pdfkit.data.curves import PDF, SQ
from pdfkit.data.instrument import PROBES, SCATTERING, Instrument
from pdfkit.errors import PdfkitError, PdfkitWarning, ReadError, WriteError
from pdfkit.io import _atomic, _text
from pdfkit.io.columns import read_columns, write_columns
from pdfkit.io.pdf import read_pdf, write_pdf
from pdfkit.io.sq import read_sq
from pdfkit.transforms.sine import WINDOWS

DATA = Path(__file__).parents[1] / "data"
R = np.round(0.2 * np.arange(1, 31), 10)
Q = np.round(0.5 * np.arange(1, 31), 10)
DG = 0.01 + 0.001 * R
DS = 0.01 * np.sqrt(Q)
# Eight digits are printed; the .fgr files add two such numbers.
PRINTED = 1e-7


def formula_G(r):
    return 3 * np.exp(-((r - 2.5) ** 2) / 0.05) + 2 * np.exp(-((r - 4.1) ** 2) / 0.1) - 0.4 * r


def formula_S(q):
    return 1 + 0.8 * np.exp(-q / 10) * np.sin(2.5 * q)


G = formula_G(R)
X, N = "X", "N"
# file: instrument, composition, temperature, whether dG counts, name
PDF_FILES = {
    "pdfgetx3.gr": (Instrument(X, 1.0, 19.0, wavelength=0.1867), "Cd Se", None, False, "pdfgetx3"),
    "pdfgetx3_lorch.gr": (
        Instrument(X, 0.0, 19.0, window="lorch", wavelength=0.1867),
        "Cd Se",
        None,
        False,
        "pdfgetx3_lorch",
    ),
    "xpdfsuite.gr": (Instrument(X, 0.4, 23.5, wavelength=0.18), "CdS", None, False, "xpdfsuite"),
    "pdfgetx2.gr": (Instrument(X, 1.0, 40.0), None, 77.0, True, "pdfgetx2"),
    "pdfgetn.gr": (Instrument(None, 0.87, 27.0), None, 10.0, True, "pdfgetn"),
    "pdfgetn_old.gr": (Instrument(N, 0.87, 27.0), None, 15.0, True, "pdfgetn_old"),
    "pdfgui.gr": (Instrument(N, 0.0, math.inf, 0.001, 0.02), None, 300.0, False, "pdfgui"),
    "nomad.gr": (Instrument(N, 0.0, 31.414, 0.017659, 0.0191822), None, 290.0, False, "nomad"),
    "rmcprofile.gr": (Instrument(), None, None, False, "rmcprofile"),
    "gsas2.gr": (Instrument(), None, None, False, "PDF CdSe_sum"),
    "pdffit.gr": (Instrument(), None, None, False, "cadmium selenide"),
    "pdffit2.fgr": (Instrument(), None, None, False, "pdffit2"),
    "pdfgui.fgr": (Instrument(X, 0.0, 19.0, 0.058), None, None, True, "pdfgui"),
    "bare2.gr": (Instrument(), None, None, False, "bare2"),
    "bare3.gr": (Instrument(), None, None, True, "bare3"),
    "bare4.gr": (Instrument(), None, None, True, "bare4"),
    "comma.gr": (Instrument(), None, None, False, "comma"),
}


def check_qmin(pdf, qmin):
    """The qmin of a file is kept, but a model is not cut there unless it is asked for."""
    assert pdf.instrument.qmin == 0.0
    assert pdf.header.get("note qmin", "qmin = 0 ").startswith(f"qmin = {qmin:g} ")


@pytest.mark.parametrize("name", PDF_FILES)
def test_every_header_is_read(name):
    instrument, composition, temperature, has_error, title = PDF_FILES[name]
    pdf = read_pdf(DATA / name)
    np.testing.assert_allclose(pdf.r, R, rtol=1e-6)
    # PDFgetX2 prints seven digits, PDFgetN five decimals.
    loose = {"pdfgetx2.gr": 5e-6, "pdfgetn.gr": 1e-5, "pdfgetn_old.gr": 1e-5}.get(name, PRINTED)
    np.testing.assert_allclose(pdf.G, G, rtol=loose, atol=loose)
    assert pdf.instrument == replace(instrument, qmin=0.0)
    check_qmin(pdf, instrument.qmin)
    assert (pdf.composition, pdf.temperature, pdf.name) == (composition, temperature, title)
    assert (pdf.dG is not None) == has_error
    if pdf.dG is not None:
        np.testing.assert_allclose(pdf.dG, DG, atol=1e-5)


def test_no_line_of_a_header_is_lost():
    for name in PDF_FILES:
        kept = " ".join(f"{key}={value}" for key, value in read_pdf(DATA / name).header.items())
        kept = re.sub(r"\s", "", kept)
        text = (DATA / name).read_bytes().decode("latin-1" if name == "comma.gr" else "utf-8")
        for line in text.splitlines():
            bare = re.sub(r"\s", "", line)
            if not bare or re.match(r"[-+.\d]+", bare) or "startdata" in bare:
                continue
            assert bare in kept or bare.lstrip("#") in kept, (name, line)


def test_header_keys():
    header = read_pdf(DATA / "pdfgetx3.gr").header
    assert header["rpoly"] == "0.9"
    assert header["backgroundfile"] == ""
    assert header["line 1"] == "[DEFAULT]"
    header = read_pdf(DATA / "pdfgetx2.gr").header
    assert header["optqmax"] == "31.5"
    assert header["smooth"] == "0"
    assert "calculated G + difference" in read_pdf(DATA / "pdffit2.fgr").header["note G"]


def test_keywords_override_the_header():
    with pytest.warns(PdfkitWarning, match="header says") as said:
        pdf = read_pdf(DATA / "pdfgetx3.gr", probe="N", qmin=0.5, qmax=15, qdamp=0.06, qbroad=0.01, window="lorch")
    assert pdf.instrument == Instrument("N", 0.5, 15.0, 0.06, 0.01, "lorch", wavelength=0.1867)
    assert tuple(str(one.message) for one in said) == pdf.remarks
    assert pdf.remarks == (
        "pdfgetx3.gr: the file's header says qmin = 1, 0.5 is used because it was given",
        "pdfgetx3.gr: the file's header says qmax = 19, 15 is used because it was given",
        "pdfgetx3.gr: the file's header says probe X, N is used because it was given",
    )
    with pytest.warns(PdfkitWarning, match="says window lorch, none is used"):
        assert read_pdf(DATA / "pdfgetx3_lorch.gr", window="none").instrument.window == "none"
    assert read_pdf(DATA / "pdfgetx3.gr", probe="X", qmax=19).remarks == ()


@pytest.mark.parametrize(
    "keyword", [{"probe": "xray"}, {"qmax": -1}, {"qmin": math.nan}, {"window": "box"}, {"r_unit": "pm"}]
)
def test_a_wrong_keyword_is_not_blamed_on_the_file(keyword):
    with pytest.raises(PdfkitError) as caught:
        read_pdf(DATA / "bare2.gr", **keyword)
    assert not isinstance(caught.value, ReadError)


def rows(*columns, sep=" "):
    return "".join(sep.join(f"{value:.10g}" for value in row) + "\n" for row in zip(*columns, strict=True))


TWO = rows(R, G)


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.gr"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return path

    return write


@pytest.mark.parametrize(
    ("header", "probe"),
    [
        ("stype = N\n# compared with x-ray data", "N"),
        ("# X-ray reference inside\nmode = neutron", "N"),
        ("mode = xray\n# made by PDFgetN", "X"),
        ("mode = electrons", "E"),
        ("mode = sas\n# x-ray", None),
        ("# neutron and x-ray", None),
        ("# PDFgetN", "N"),
        ("# Xray", "X"),
        ("inputdir = /data/xray/neutron\n# neutron", "N"),
        ("# nothing", None),
    ],
)
def test_probe(write, header, probe):
    assert read_pdf(write(f"{header}\n{TWO}")).instrument.probe == probe


@pytest.mark.parametrize(
    ("header", "qmin", "qmax"),
    [
        ("optqmax=30 optqmin=3", 0.0, None),
        ("qmaxinst = 30", 0.0, None),
        ("# run qmax=20, qmin=1\nqmax = 25", 1.0, 25.0),
        ("# Qmax: 25.5", 0.0, 25.5),
        ("qmax = 2.5D+01", 0.0, 25.0),
        ("qmax = None", 0.0, None),
        ("qmax =", 0.0, None),
    ],
)
def test_q_limits(write, header, qmin, qmax):
    pdf = read_pdf(write(f"# header\n{header}\n#### start data\n{TWO}"))
    assert pdf.instrument.qmax == qmax
    check_qmin(pdf, qmin)
    with pytest.warns(PdfkitWarning, match="qmin = 1, 0.25 is") if qmin else nullcontext():
        assert read_pdf(write(f"{header}\n{TWO}"), qmin=0.25).instrument.qmin == 0.25


def test_old_names_of_resolution(write):
    instrument = read_pdf(write(f"qsig=0.05\nqalp=0.02\n{TWO}")).instrument
    assert (instrument.qdamp, instrument.qbroad) == (0.05, 0.02)


@pytest.mark.parametrize(
    ("header", "temperature"),
    [
        ("# T=300 K", 300.0),
        ("Temp = 77.5K", 77.5),
        ("# dT=3", None),
        ("temperature = 25 C", None),
        ("temperature = -5", None),
        ("# t=3", None),
    ],
)
def test_temperature(write, header, temperature):
    assert read_pdf(write(f"{header}\n{TWO}")).temperature == temperature


def test_termination_functions(write):
    shifted = read_pdf(write(f"qmin = 1\nqmax = 19\nterminationfunctions = lorch\n{TWO}"))
    assert shifted.instrument.window == "lorch"
    assert "qmin" in shifted.header["note window"]
    unknown = read_pdf(write(f"qmax = 19\nterminationfunction = kaiser\n{TWO}"))
    assert unknown.instrument.window == "none"
    assert unknown.header["terminationfunction"] == "kaiser"
    assert "kaiser" in unknown.header["note window"]
    assert read_pdf(write(f"terminationfunctions = step\n{TWO}")).instrument.window == "none"


def test_error_column_counts_only_if_all_positive(write):
    for bad in (0.0, -1.0, np.nan, np.inf):
        dG = DG.copy()
        dG[7] = bad
        assert read_pdf(write(rows(R, G, 0 * R, dG))).dG is None
        assert read_pdf(write(rows(R, G, dG))).dG is None
    assert read_pdf(write("#L r G dr\n" + rows(R, G, DG))).dG is None
    assert read_pdf(write("#L r Gobs Gcalc Gdiff dG\n" + rows(R, G, 0 * R, G, DG))).dG is not None


def test_results_file_gives_the_observed_curve(write):
    pdf = read_pdf(write("#L r Gcalc Gobs Gdiff dG\n" + rows(R, 0 * R, G, G, DG)))
    np.testing.assert_allclose(pdf.G, G, rtol=1e-9)


def test_saved_fit_without_data_is_refused(write):
    with pytest.raises(ReadError, match="without data"):
        read_pdf(write(rows(R, G, 0 * R, 1 + 0 * R, -G), "a.fgr"))


# --- separators, numbers, encodings ---


@pytest.mark.parametrize("sep", [" ", "\t", ",", ";", ", ", " ; ", "\t\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(write, sep, end):
    text = "# a header\nr" + sep + "G\n\n" + rows(R, G, sep=sep)
    pdf = read_pdf(write(text.replace("\n", end)))
    np.testing.assert_allclose(pdf.G, G, rtol=1e-9)


@pytest.mark.parametrize("sep", [" ", "\t", ";"])
def test_decimal_comma(write, sep):
    pdf = read_pdf(write("# a\n" + rows(R, G, sep=sep).replace(".", ",")))
    np.testing.assert_allclose(pdf.r, R)
    np.testing.assert_allclose(pdf.G, G, rtol=1e-9)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5D-03", 1.5e-3),
        ("1.5d+2", 150.0),
        ("1.5e-003", 1.5e-3),
        ("0.15-103", 0.15e-103),
        (".5E+001", 5.0),
        ("-.5", -0.5),
        ("7.", 7.0),
        ("+3", 3.0),
        ("1e-400", 0.0),
    ],
)
def test_numbers_as_fortran_writes_them(write, text, value):
    assert read_pdf(write(f"0.1 {text}\n0.2 1.0\n0.3 2.0\n")).G[0] == value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])
def test_encodings(write, encoding):
    text = f"# Müller, 25 °C, r in Å\ncomposition = CdSe\n#L r(Å) G(Å^-2)\n{TWO}"
    pdf = read_pdf(write(text.encode(encoding)))
    assert pdf.header["line 1"] == "# Müller, 25 °C, r in Å"
    assert pdf.composition == "CdSe"


def test_rows_that_only_add_zeros_are_taken(write):
    text = TWO.splitlines()
    text[4] += "  0.0000000  0.00"
    assert len(read_pdf(write("\n".join(text)))) == 30
    text[4] = " ".join(text[4:6])
    del text[5]
    with pytest.raises(ReadError, match=r"line 5.*joined"):
        read_pdf(write("\n".join(text)))


# --- damage ---


def damaged(line, text):
    """Return the bare file with one line (counted from 1) replaced; None deletes it."""
    lines = TWO.splitlines()
    lines[line - 1 : line] = [] if text is None else [text]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (damaged(30, "6"), 30, "cut short"),
        (damaged(12, "2.4 0.5 0.1"), 12, "joined"),
        (damaged(12, "2.4 abc"), 12, "not a number"),
        (damaged(12, "2.4 ********"), 12, "not a number"),
        (damaged(12, "2.4 1.2.3"), 12, "not a number"),
        (damaged(12, "2.4 1_000"), 12, "not a number"),
        (damaged(12, "2.4 0x1A"), 12, "not a number"),
        (damaged(12, "2.4 ٣"), 12, "not a number"),
        (damaged(1, "0.2 1.2.3"), 1, "not a number"),
        (damaged(12, "2.4 nan"), 12, "G = nan"),
        (damaged(12, "2.4 -Infinity"), 12, "G = -inf"),
        (damaged(12, "2.4 1e999"), 12, "G = inf"),
        (damaged(12, "nan 0.5"), 12, "r = nan"),
        (damaged(12, "2.2 0.5"), 12, "repeats"),
        (damaged(12, "1.0 0.5"), 12, "must increase"),
        (damaged(12, None), 12, "missing"),
        (damaged(12, "2.5 0.5"), 12, "missing or its r is wrong"),
        (damaged(12, "# 2.4 0.5"), 13, "missing"),
        (damaged(1, "-0.2 0.5"), 1, "negative"),
        ("#### start data\n0.1 x\n0.2 1\n0.3 1\n", 2, "first row"),
        ("#### start data\n#L r G\n?x 0.5\n0.2 1\n0.3 1\n", 3, "first row"),
        ("qmax = 2x5\n" + TWO, 1, "does not give a number"),
        ("qmax = 25,5\n" + TWO, 1, "does not give a number"),
        ("qmax = 1e999\n" + TWO, 1, "too large"),
        ("29\ntitle\n" + TWO + rows(R + 6, G), 62, "counts 29"),
        ("31\ntitle\n" + TWO, 32, "counts 31"),
        ("0.1 0.2\n", 1, "only one row"),
    ],
)
def test_damage_is_named_by_line(write, text, line, says):
    path = write(text)
    with pytest.raises(ReadError, match=re.escape(says)) as caught:
        read_pdf(path)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"{path}, line {line}: ")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"PK\x03\x04\x00\x00" + bytes(range(256)), "zip archive"),
        (b"\x1f\x8b\x08\x00" + bytes(range(256)), "unpack it first, for instance with gunzip"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "binary"),
        (b"\xff\xfe\x00", "UTF-16"),
        (b"only words\nin this file\n", "no rows"),
        (b"#### start data\n", "after the start mark on line 1"),
        (b"qmin = 20\nqmax = 10\n0.1 1\n0.2 2\n", "not above qmin"),
        (b"qmax = 0\nwindow = lorch\n0.1 1\n0.2 2\n", "finite qmax"),
        (b"qdamp = -1\n0.1 1\n0.2 2\n", "qdamp"),
        (b"outputtype = sq\n0.1 1\n0.2 2\n", "read_sq"),
        (b"#L Q S(Q)\n0.1 1\n0.2 2\n", "read_sq"),
        (b"#L 2theta counts\n0.1 1\n0.2 2\n", "reduce"),
    ],
)
def test_what_is_no_pdf_is_refused(write, content, says):
    with pytest.raises(ReadError, match=re.escape(says)):
        read_pdf(write(content))


def test_paths_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(ReadError, match="no such file"):
        read_pdf(tmp_path / "missing.gr")
    with pytest.raises(ReadError, match="folder"):
        read_pdf(tmp_path)
    with pytest.raises(ReadError, match="not a file name"):
        read_pdf("a\0b")
    with pytest.raises(ReadError, match="not a file name"):
        read_pdf(None)  # type: ignore[arg-type]
    with pytest.raises(ReadError, match="not a regular file"):
        read_pdf(os.devnull)
    monkeypatch.setattr(_text, "MAX_BYTES", 100)
    with pytest.raises(ReadError, match="too many"):
        read_pdf(DATA / "bare2.gr")


def test_ending_of_another_kind_needs_a_header(write):
    with pytest.raises(ReadError, match=re.escape(".iq")):
        read_pdf(write(TWO, "a.iq"))


def test_non_uniform_r_is_kept_and_noted(write):
    r = np.geomspace(0.5, 20, 30)
    pdf = read_pdf(write(rows(r, G)))
    np.testing.assert_allclose(pdf.r, r)
    assert pdf.header["note grid"] == "r is not uniform"
    two_steps = np.r_[R, 6 + 0.5 * np.arange(1, 31)]
    assert "note grid" in read_pdf(write(rows(two_steps, np.r_[G, G]))).header
    rounded = np.round(np.pi / 25 * np.arange(1, 200), 2)
    assert "note grid" not in read_pdf(write(rows(rounded, np.sin(rounded)))).header


def test_pair_density_is_refused(write):
    r = np.linspace(0.1, 20, 200)
    g = np.where(r < 2, 0.0, 1 + np.sin(5 * r) / r**2)
    with pytest.raises(ReadError, match=re.escape("g(r), not G(r)")):
        read_pdf(write("200\nRMC\n" + rows(r, g)))


# --- units ---


@pytest.mark.parametrize("header", ["#L r(nm) G(nm^-2)\n", "# r [nm]  G\n", "units = nm\n", ""])
def test_r_in_nm_is_refused_then_converted(write, header):
    r = 0.002 * np.arange(1, 1001)
    path = write(header + rows(r, 100 * formula_G(10 * r), DG[0] * 100 + 0 * r))
    with pytest.raises(ReadError, match='r_unit="nm"'):
        read_pdf(path)
    pdf = read_pdf(path, r_unit="nm")
    np.testing.assert_allclose(pdf.r, 10 * r)
    np.testing.assert_allclose(pdf.G, formula_G(10 * r), rtol=1e-8, atol=1e-10)
    if pdf.dG is not None:
        np.testing.assert_allclose(pdf.dG, DG[0])
    assert "nm" in pdf.header["note units"]
    np.testing.assert_allclose(read_pdf(path, r_unit="A").r, r)


def test_short_data_in_angstrom_are_not_suspected(write):
    assert read_pdf(write(TWO)).r[-1] == 6.0
    low = rows(R, np.exp(-R))
    assert len(read_pdf(write("#L r(A) G(r)\n" + low))) == 30
    noisy = G.copy()
    noisy[:3] = [9.0, -8.0, 7.0]  # what a bad normalisation does at low r
    assert len(read_pdf(write(rows(np.r_[0.05, R], np.r_[9.5, noisy])))) == 31


# --- S(Q) ---


@pytest.mark.parametrize("name", ["pdfgetx3.sq", "pdfgetx3.fq", "gsas2.sq", "nm.sq", "bare.fq"])
def test_every_sq_is_read(name):
    sq = read_sq(DATA / name)
    np.testing.assert_allclose(sq.Q, Q)
    np.testing.assert_allclose(sq.S, formula_S(Q), rtol=PRINTED)
    assert ("note S" in sq.header) == name.endswith(".fq")
    assert ("note Q" in sq.header) == (name == "nm.sq")
    if name == "nm.sq":
        np.testing.assert_allclose(sq.dS, DS, rtol=1e-5)
    if name.startswith("pdfgetx3"):
        assert sq.instrument == Instrument("X", 1.0, 19.0, wavelength=0.1867)
        assert sq.composition == "Cd Se"


def test_units_of_q(write):
    S, F = formula_S(Q), Q * (formula_S(Q) - 1)
    nm = read_sq(write(rows(10 * Q, 10 * F, 0.1 + 0 * Q), "a.fq"), q_unit="nm")
    np.testing.assert_allclose(nm.Q, Q)
    np.testing.assert_allclose(nm.S, S, rtol=1e-8)
    np.testing.assert_allclose(nm.dS, 0.01 / Q)
    alone = read_sq(write("dataformat = Qnm\n" + rows(10 * Q, S), "a.sq"))
    np.testing.assert_allclose(alone.Q, Q)
    converted = read_sq(write("dataformat = Qnm\nqmaxinst = 16\n" + rows(Q, S), "a.sq"))
    np.testing.assert_allclose(converted.Q, Q)
    labelled = read_sq(write("dataformat = Qnm\n#L Q(A^-1) S\n" + rows(10 * Q, S), "a.sq"))
    np.testing.assert_allclose(labelled.Q, 10 * Q)
    with pytest.raises(ReadError, match='q_unit="nm"'):
        read_sq(write(rows(10 * Q, S), "a.sq"))


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("#L Q F(Q)", "F"),
        ("#L Q(1/A) Q[S(Q)-1]", "F"),
        ("#L Q S(Q)", "S"),
        ("outputtype = fq", "F"),
        ("outputtype = sq\n#L Q F", "S"),
    ],
)
def test_kind_is_read_off(write, label, kind):
    S = formula_S(Q)
    path = write(f"{label}\n{rows(Q, S if kind == 'S' else Q * (S - 1))}", "a.dat")
    np.testing.assert_allclose(read_sq(path).S, S, rtol=1e-8)
    other = "F" if kind == "S" else "S"
    with pytest.warns(PdfkitWarning, match=rf"it is read as {other}\(Q\) because kind = {other} was given"):
        forced = read_sq(path, kind=other)
    np.testing.assert_allclose(forced.S, S / Q + 1 if kind == "S" else Q * (S - 1), rtol=1e-8)


@pytest.mark.parametrize(
    ("header", "name", "says"),
    [
        ("", "a.dat", 'kind="S"'),
        ("#L Q H(Q)\n", "a.sq", 'kind="S"'),
        ("#L Q I(Q)\n", "a.dat", "reduce"),
        ("#L r G(r)\n", "a.dat", "read_pdf"),
        ("outputtype = iq\n", "a.dat", "reduce"),
        ("", "a.gr", "read_pdf"),
    ],
)
def test_what_is_no_sq_is_refused(write, header, name, says):
    with pytest.raises(ReadError, match=re.escape(says)):
        read_sq(write(header + rows(Q, formula_S(Q)), name))


@pytest.mark.parametrize("keyword", [{"kind": "I"}, {"q_unit": "pm"}, {"probe": "q"}])
def test_wrong_keywords_of_read_sq(keyword):
    with pytest.raises(PdfkitError) as caught:
        read_sq(DATA / "gsas2.sq", **keyword)
    assert not isinstance(caught.value, ReadError)


# --- writing ---

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SMALL = st.floats(0, 10)
TEXT = st.text(max_size=20)


@st.composite
def instruments(draw):
    window = draw(st.sampled_from(WINDOWS))
    qmin = draw(SMALL)
    limits = [st.floats(qmin + 0.1, 100), st.none()] + ([st.just(math.inf)] if window == "none" else [])
    return Instrument(
        probe=draw(st.sampled_from((None, *PROBES))),
        qmin=qmin,
        qmax=draw(st.one_of(limits)),
        qdamp=draw(st.floats(0, 2)),
        qbroad=draw(st.floats(0, 2)),
        resolution=draw(st.floats(0, 0.1)),
        qtail=draw(st.floats(-0.5, 0.5)),
        window=window,
        window_width=draw(st.none() | st.floats(0.01, 5)),
        scattering=draw(st.sampled_from(SCATTERING)),
    )


@st.composite
def pdfs(draw):
    n = draw(st.integers(2, 30))
    r = draw(hnp.arrays(float, n, elements=st.floats(0, 1e6), unique=True))
    squared = st.floats(-1e100, 1e100)  # larger G are refused: their squares overflow
    positive = st.floats(0, 1e100, exclude_min=True)
    return PDF(
        np.sort(r),
        draw(hnp.arrays(float, n, elements=squared)),
        draw(st.none() | hnp.arrays(float, n, elements=positive)),
        instrument=draw(instruments()),
        header=draw(st.dictionaries(TEXT, TEXT, max_size=5)),
        name=draw(TEXT),
        composition=draw(st.none() | TEXT),
        temperature=draw(st.none() | st.floats(0, 1e4)),
    )


def assert_same(one, two):
    np.testing.assert_array_equal(one.r, two.r)
    np.testing.assert_array_equal(one.G, two.G)
    assert (one.dG is None) == (two.dG is None)
    if one.dG is not None:
        np.testing.assert_array_equal(one.dG, two.dG)
    for name in ("instrument", "name", "composition", "temperature"):
        assert getattr(one, name) == getattr(two, name)
    assert list(one.header.items()) == list(two.header.items())


@given(pdf=pdfs())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip_is_exact(tmp_path, pdf):
    write_pdf(tmp_path / "a.gr", pdf)
    assert_same(read_pdf(tmp_path / "a.gr"), pdf)


@pytest.mark.parametrize("name", PDF_FILES)
def test_every_file_survives_writing(tmp_path, name):
    pdf = read_pdf(DATA / name)
    write_pdf(tmp_path / "a.gr", pdf)
    assert_same(read_pdf(tmp_path / "a.gr"), pdf)


def test_header_lines_that_look_like_others_survive(tmp_path):
    header = {
        "qmax": "7",
        "#### start data": "x",
        "line 3": "#### start data",
        "# header": '["a", "b"]',
        "1 2": "3 4",
        "a=b": "c=d",
        "": "",
        "x": " y\n\r\x85\u2028",
        "name": "other",
    }
    pdf = PDF(R, G, instrument=Instrument(qmax=19.0), header=header, name="xray, neutron qmax=3")
    write_pdf(tmp_path / "a.gr", pdf)
    assert_same(read_pdf(tmp_path / "a.gr"), pdf)


def test_pdfgui_finds_what_it_looks_for(tmp_path):
    """PDFgui looks above `# metadata`: for words that mean X-rays, and the first qmax, qdamp, qbroad."""
    header = {"title": "x-ray data by PDFgetX3", "qmax": "7", "qdamp": "0.9"}
    instrument = Instrument("N", qmax=19.25, qdamp=0.058, qbroad=0.02)
    pdf = PDF(R, G, DG, instrument=instrument, header=header, name="xray", temperature=300.0)
    write_pdf(tmp_path / "a.gr", pdf)
    text = (tmp_path / "a.gr").read_text()
    top = text.split("# metadata\n")[0]
    assert re.search(r"x-?ray|PDFgetX", top, re.IGNORECASE) is None
    assert "neutron" in top
    for line in ("qmax=19.25\n", "qdamp=0.058\n", "qbroad=0.02\n", "temperature=300.0\n"):
        assert line in top
    body = text[text.index("##### start data\n") :].splitlines()[2:]
    np.testing.assert_array_equal(np.loadtxt(body), np.column_stack((R, G, 0 * R, DG)))


@pytest.mark.peer
def test_pdffit2_reads_what_is_written(tmp_path, capfd):
    pdffit2 = pytest.importorskip("diffpy.pdffit2")
    pdffit2.redirect_stdout(io.StringIO())
    pdf = PDF(R, G, DG, instrument=Instrument("X", qmax=19.0))
    write_pdf(tmp_path / "a.gr", pdf)
    peer = pdffit2.PdfFit()
    peer.read_data(str(tmp_path / "a.gr"), "X", 19.0, 0.05)
    np.testing.assert_allclose(peer.getpdf_obs(), G, rtol=1e-12)


def test_a_file_cut_short_is_noticed(tmp_path):
    write_pdf(tmp_path / "a.gr", PDF(np.geomspace(1, 9, 20), np.ones(20)))
    text = (tmp_path / "a.gr").read_text().splitlines()
    (tmp_path / "a.gr").write_text("\n".join(text[:-1]))
    with pytest.raises(ReadError, match="19 rows where the header counts 20"):
        read_pdf(tmp_path / "a.gr")


def test_own_files_take_keywords_too(tmp_path):
    write_pdf(tmp_path / "a.gr", PDF(R, G, instrument=Instrument("X", qmax=19.0, window_width=0.2)))
    with pytest.warns(PdfkitWarning, match="header says"):
        instrument = read_pdf(tmp_path / "a.gr", probe="N", qmax=15).instrument
    assert instrument == Instrument("N", qmax=15.0, window_width=0.2)


def test_of_very_many_files_the_last_are_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(_atomic, "_MOST_NOTED", 2)
    for name in ("a", "b", "a", "c"):
        _atomic.write_text(tmp_path / name, name)
    assert list(_atomic.WRITTEN) == [str(tmp_path / "a"), str(tmp_path / "c")]


def test_write_text_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    _atomic.write_text(path, "old\n")
    path.chmod(0o640)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(WriteError, match="No space left"):
            _atomic.write_text(path, "new\n")
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]
    _atomic.write_text(path, "new é\n")
    assert path.read_bytes() == "new é\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_write_text_follows_a_link(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    _atomic.write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_paths_that_cannot_be_written(tmp_path):
    with pytest.raises(WriteError, match="is a folder"):
        _atomic.write_text(tmp_path, "x")
    with pytest.raises(WriteError, match="does not exist"):
        _atomic.write_text(tmp_path / "no" / "a.txt", "x")
    with pytest.raises(WriteError, match="cannot be written"):
        _atomic.write_text("a\0b", "x")
    with pytest.raises(WriteError, match="cannot be written"):
        _atomic.write_text(tmp_path / "a.txt", "\ud800")
    assert list(tmp_path.iterdir()) == []


# --- columns ---


@given(
    values=hnp.arrays(float, st.tuples(st.integers(1, 20), st.integers(2, 6)), elements=FINITE),
    lines=st.lists(TEXT, max_size=3),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_columns_round_trip(tmp_path, values, lines):
    names = ("r", "Gobs", "G(r)", "Cd-Se", "dG", "Q(A^-1)")[: values.shape[1]]
    write_columns(tmp_path / "a.dat", names, values.T, lines)
    names_back, back, _ = read_columns(tmp_path / "a.dat")
    assert names_back == names
    np.testing.assert_array_equal(back, values)


def test_columns_header_and_names(write, tmp_path):
    write_columns(tmp_path / "a.dat", ["r", "G"], [R, G], ["rw = 0.1", "a fit\0\nof two lines"])
    _, _, header = read_columns(tmp_path / "a.dat")
    assert header["rw"] == "0.1"
    assert header["line 3"] == "# of two lines"
    assert read_columns(write("# time signal\n1 2\n3 4\n"))[0] == ("time", "signal")
    assert read_columns(write("# no names here\n1 2\n3 4\n"))[0] == ("column 1", "column 2")
    with pytest.raises(ReadError, match="line 2"):
        read_columns(write("1 2\n3 nan\n"))


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["r"], [R]),
        (["r", "G"], [R]),
        (["r", "G G"], [R, G]),
        (["r", ""], [R, G]),
        (["#r", "G"], [R, G]),
        (["r", "G"], [R, G[1:]]),
        (["r", "G"], [[], []]),
        (["r", "G"], [R, G * np.nan]),
    ],
)
def test_columns_that_would_not_come_back_are_refused(tmp_path, names, columns):
    with pytest.raises(PdfkitError):
        write_columns(tmp_path / "a.dat", names, columns)
    assert not (tmp_path / "a.dat").exists()


# --- every possible damage ---

PIECES = st.one_of(
    st.binary(min_size=1, max_size=4),
    st.sampled_from([b"nan", b"inf", b"-", b"e", b"e999", b"#", b"\n", b" ", b",", b";", b"\x00", b"=", b"nm"]),
)


@st.composite
def mutations(draw, folder, names):
    raw = (folder / draw(st.sampled_from(names))).read_bytes()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        kind = draw(st.sampled_from(["delete", "insert", "replace", "truncate", "line", "swap"]))
        if kind == "truncate":
            raw = raw[:at]
        elif kind in ("line", "swap"):
            lines = raw.splitlines(keepends=True) or [b""]
            i = draw(st.integers(0, len(lines) - 1))
            lines[i:i] = [lines[i] if kind == "line" else lines[-1]]
            raw = b"".join(lines)
        else:
            length = draw(st.integers(1, 8)) if kind != "insert" else 0
            raw = raw[:at] + (b"" if kind == "delete" else draw(PIECES)) + raw[at + length :]
    return raw


def check_mutation(tmp_path, raw, name, read):
    path = tmp_path / name
    path.write_bytes(raw)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", PdfkitWarning)  # what is odd may be said
        try:
            out = read(path)
        except PdfkitError as error:
            out = error
    if isinstance(out, PdfkitError):
        assert isinstance(out, ReadError)
        assert out.path == str(path)
        return
    x, y, error = (out.r, out.G, out.dG) if isinstance(out, PDF) else (out.Q, out.S, out.dS)
    assert (np.diff(x) > 0).all()
    assert x[0] >= 0
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()
    assert error is None or (error > 0).all()


@given(raw=mutations(DATA, sorted(PDF_FILES)))
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_damaged_pdf_files(tmp_path, raw):
    for name in ("a.gr", "a.fgr"):
        check_mutation(tmp_path, raw, name, read_pdf)


@given(raw=mutations(DATA, ["pdfgetx3.sq", "pdfgetx3.fq", "gsas2.sq", "nm.sq", "bare.fq"]))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_damaged_sq_files(tmp_path, raw):
    for name in ("a.sq", "a.fq"):
        check_mutation(tmp_path, raw, name, read_sq)


@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_damaged_own_files(tmp_path, data):
    source = tmp_path / "own"
    if not source.exists():
        source.mkdir()
        instrument = Instrument("X", 0.5, 19.0, 0.05, 0.01, "gaussian", 0.2)
        header = {"a": "b", "c d": "e\n"}
        pdf = PDF(R, G, DG, instrument=instrument, header=header, name="n", composition="CdS", temperature=9.0)
        write_pdf(source / "a.gr", pdf)
    check_mutation(tmp_path, data.draw(mutations(source, ["a.gr"])), "b.gr", read_pdf)


@given(raw=st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arbitrary_bytes(tmp_path, raw):
    check_mutation(tmp_path, raw, "a.gr", read_pdf)
    check_mutation(tmp_path, raw, "a.sq", read_sq)


# --- speed, measured data ---


def test_reading_takes_a_few_calls_a_line(write):
    def calls(count):
        """Return the calls of functions, compiled ones too, that reading so many rows takes."""
        r, seen = 0.01 * np.arange(count), []
        path = write(rows(r, np.sin(r), 0 * r, 0.1 + r))
        sys.setprofile(lambda frame, event, about: seen.append(event))
        try:
            read_pdf(path)
        finally:
            sys.setprofile(None)
        return sum(event in ("call", "c_call") for event in seen)

    calls(100)  # what is done once a process
    few, many = calls(400), calls(4000)
    assert many - few < 10 * 3600  # eight a line; work on each of its four numbers would be more, and grow no faster


def examples():
    try:
        files = importlib.metadata.distribution("diffpy.cmi")
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(str(files.locate_file("diffpy/cmi/docs/examples/pdf")))


@pytest.mark.examples
def test_measured_data():
    folder = examples()
    if folder is None or not folder.is_dir():
        pytest.skip("diffpy.cmi is not installed")
    found = {str(path.relative_to(folder)): read_pdf(path) for path in folder.rglob("*.gr")}
    assert len(found) == 30
    expected = {  # points, first and last r, probe, qmin, qmax, composition
        "ch08NPRefinement/data/CdSe-4.gr": (5001, 0.0, 50.0, None, 1.0, 19.0, "Cd Se"),
        "ch11ClusterXYZ/data/CdSe.gr": (5001, 0.0, 50.0, None, 0.0, None, None),
        "nanoparticle-fit/CdS_ZnS_nano.gr": (7500, 0.01, 75.0, None, 0.0, None, None),
        "ch03NiModelling/data/Ni.gr": (6001, 0.0, 60.0, "X", 0.5, 25.0, "Ni"),
        "ch05Fit2Phase/data/si.gr": (5999, 0.0099999998, 59.990002, None, 0.0, None, None),
        "ch07StructuralPhaseTransitions/data/SrFe2As2_204K.gr": (10001, 0, 100, "X", 0.4, 25.0, "SrFe2As2"),
    }
    for name, values in expected.items():
        pdf, i = found[name], found[name].instrument
        *rest, qmin, qmax, composition = values
        assert (len(pdf), pdf.r[0], pdf.r[-1], i.probe) == tuple(rest), name
        assert (i.qmax, pdf.composition) == (qmax, composition), name
        check_qmin(pdf, qmin)
    for name, pdf in found.items():
        assert np.ptp(np.diff(pdf.r)) < 1e-5, name
        assert not any(key.startswith("note") for key in pdf.header if key != "note qmin"), name


@pytest.mark.examples
def test_measured_intensities_are_columns_and_no_sq():
    folder = examples()
    if folder is None or not folder.is_dir():
        pytest.skip("diffpy.cmi is not installed")
    for name in ("ni", "si", "sini"):
        path = folder / f"ch05Fit2Phase/data/iq/{name}.iq"
        names, values, _ = read_columns(path)
        assert names == ("Q", "I(Q)")
        assert values.shape == (2587, 2)
        with pytest.raises(ReadError, match="reduce"):
            read_sq(path)
        with pytest.raises(ReadError, match="reduce"):
            read_pdf(path)


def test_sq_is_a_value():
    assert isinstance(read_sq(DATA / "gsas2.sq"), SQ)


def test_nm_is_seen_in_noisy_data_too(tmp_path: Path) -> None:
    # Ripples below the first peak half as high as the peak: the height of G in nm⁻² gives the unit away.
    r = np.arange(1, 501) * 0.01
    G = np.exp(-(((r - 0.25) / 0.02) ** 2)) * 95 + 60 * np.exp(-(((r - 0.05) / 0.02) ** 2))
    path = tmp_path / "noisy.gr"
    np.savetxt(path, np.column_stack([r, G]))
    with pytest.raises(ReadError, match="usual in nm"):
        read_pdf(path)
    assert read_pdf(path, r_unit="nm").r[-1] == pytest.approx(50.0)


def test_what_write_pdf_called_weights_is_read(tmp_path):
    path = tmp_path / "own.gr"
    write_pdf(path, PDF([1.0, 2.0], [0.0, 1.0], instrument=Instrument(probe="X", qmax=20, scattering="q-dependent")))
    text = path.read_text(encoding="utf-8")
    assert "\nscattering=q-dependent\n" in text.replace("# ", "")
    path.write_text(text.replace("scattering=", "weights="), encoding="utf-8")
    assert read_pdf(path).instrument.scattering == "q-dependent"


@pytest.mark.filterwarnings("ignore:.*calculated by PDFgui or PDFfit2")
@pytest.mark.parametrize(
    ("name", "head", "calculated"),
    [
        ("a.gr", ["##### PDFgui calculation", "stype=X  x-ray scattering", "qmax=20.00"], True),
        ("a.cgr", ["stype=X  x-ray scattering", "qmax=20.00"], True),
        ("a.gr", ["##### PDFgui", "stype=X  x-ray scattering", "qmax=20.00"], False),
        ("a.cgr", ["##### PDFgui calculation", "stype=N  neutron scattering", "qmax=20.00"], False),
    ],
)
def test_calculations_of_pdfgui_have_constant_strengths(
    name: str, head: list[str], calculated: bool, tmp_path: Path
) -> None:
    lines = ["History written: Sat Nov 28 2026", *head, "##### start data", "#L r(A) G(r)"]
    (tmp_path / name).write_text("\n".join([*lines, rows(R, G)]), encoding="utf-8")
    pdf = read_pdf(tmp_path / name)
    assert (pdf.instrument.scattering == "constant") is calculated
    assert ("scattering" in pdf.instrument.given) is calculated
    assert any("scattering strengths are constant" in remark for remark in pdf.remarks) is calculated


def test_a_line_without_end_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "x.gr").write_text("# x\n" + "1 " * 600_000)
    with pytest.raises(ReadError, match=r"x\.gr, line 2: the line has 1200000 characters"):
        read_pdf(tmp_path / "x.gr")
