"""Powder patterns from files: units, columns, and what is said about pixels without a value."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.data.curves import gaps, sin2_theta, to_Q
from pdfkit.errors import ReadError

X = np.linspace(1.0, 24.0, 300)
I = 100 + 50 * np.cos(2 * (X - 2))  # the first peak at 2


def write(path: Path, head: str = "", x: np.ndarray = X, columns: tuple[np.ndarray, ...] = (I,)) -> Path:
    rows = "\n".join(" ".join(f"{value:.8g}" for value in row) for row in np.column_stack([x, *columns]))
    path.write_text(f"{head}{rows}\n", encoding="utf-8")
    return path


CHI = "sample.chi: sample\n {axis}\n Intensity\n     300\n"
PYFAI = "# == pyFAI calibration ==\n# Wavelength: 1.6e-11 m\n# Mask applied: provided\n#    {axis}    I   sigma\n"


@pytest.mark.parametrize(
    ("name", "head", "options", "factor"),
    [
        ("a.iq", "", {}, 1.0),
        ("a.dat", "# Q(A-1) I\n", {"wavelength": 0.2}, 1.0),
        ("a.iq", "", {"wavelength": 0.2}, 1.0),
        ("a.dat", "", {"unit": "nm-1"}, 0.1),
        ("a.chi", CHI.format(axis="Q (Inverse Angstroms)"), {}, 1.0),
        ("a.chi", CHI.format(axis="Q (Inverse Nanometres)"), {}, 0.1),
        ("a.dat", PYFAI.format(axis="q_nm^-1"), {}, 0.1),
        ("a.dat", PYFAI.format(axis="q_A^-1"), {}, 1.0),
        ("a.dat", "#L Q($\\AA^{-1}$) I\n", {}, 1.0),
        ("a.dat", "[DEFAULT]\ndataformat = Qnm\n", {}, 0.1),
        ("a.dat", "[DEFAULT]\ndataformat = QA\n", {"wavelength": 0.2}, 1.0),
        ("a.dat", "[DEFAULT]\ndataformat = twotheta\nwavelength = 0.2\n#L Q(Å^-1) I\n", {}, 1.0),
    ],
)
def test_the_unit_of_Q_is_found(tmp_path: Path, name: str, head: str, options: dict, factor: float) -> None:
    iq = pk.read_intensity(write(tmp_path / name, head, X / factor), **options)
    np.testing.assert_allclose(iq.Q, X, rtol=1e-7)  # eight digits are written
    np.testing.assert_allclose(iq.I, I, rtol=1e-7)
    assert iq.dI is None
    assert iq.header["note unit"]


@pytest.mark.parametrize(
    ("name", "head", "options", "wavelength"),
    [
        ("a.xye", "", {"wavelength": 0.25}, 0.25),
        ("a.xy", "", {"unit": "2theta", "wavelength": 0.25}, 0.25),
        ("a.xye", "# wavelength = 0.25\n", {}, 0.25),
        ("a.chi", CHI.format(axis="2-Theta Angle (Degrees)"), {"wavelength": 0.25}, 0.25),
        ("a.dat", PYFAI.format(axis="2th_deg"), {}, 0.16),
        ("a.dat", "[DEFAULT]\ndataformat = twotheta\nwavelength = 0.25\n", {}, 0.25),
    ],
)
def test_angles_become_Q(tmp_path: Path, name: str, head: str, options: dict, wavelength: float) -> None:
    iq = pk.read_intensity(write(tmp_path / name, head), **options)
    np.testing.assert_allclose(iq.Q, 4 * np.pi * np.sin(np.radians(X / 2)) / wavelength, rtol=1e-7)
    assert iq.wavelength == pytest.approx(wavelength)
    shifted = pk.read_intensity(tmp_path / name, **{"unit": "2theta", "wavelength": wavelength, "twothetazero": 0.5})
    np.testing.assert_allclose(shifted.Q, to_Q(X - 0.5, wavelength), rtol=1e-6)


def test_sin2_theta_undoes_to_Q() -> None:
    angle = np.linspace(0.1, 179, 50)
    np.testing.assert_allclose(sin2_theta(to_Q(angle, 0.7), 0.7), np.sin(np.radians(angle / 2)) ** 2, rtol=1e-12)
    with pytest.raises(pk.PdfkitError, match=r"limit is 17\.952"):
        sin2_theta(np.array([18.0]), 0.7)


@pytest.mark.parametrize("columns", [(I, I / 10), (I, 0 * I, I / 10)])
def test_errors_come_with_the_third_or_the_fourth_column(tmp_path: Path, columns: tuple) -> None:
    iq = pk.read_intensity(write(tmp_path / "a.iq", columns=columns))
    assert iq.dI is not None
    np.testing.assert_allclose(iq.dI, I / 10, rtol=1e-7)


def test_errors_that_are_not_positive_are_left_out_and_noted(tmp_path: Path) -> None:
    iq = pk.read_intensity(write(tmp_path / "a.iq", columns=(I, I - I[7])))
    assert iq.dI is None
    assert "left out" in iq.header["note errors"]


@pytest.mark.parametrize(
    ("x", "name", "options", "words"),
    [
        (10 * X, "a.dat", {}, "if it is in nm⁻¹, or 2θ"),
        (X, "a.xye", {}, "no wavelength is known"),
        (X, "a.dat", {"unit": "2theta"}, "give wavelength="),
        (10 * X, "a.dat", {"unit": "2theta", "wavelength": 0.2}, "2θ would reach 240 degrees"),
        (X, "a.dat", {"unit": "2theta", "wavelength": 0.2, "twothetazero": 3}, "correct twothetazero"),
        (X[::-1], "a.iq", {}, "must increase"),
        (X - 2, "a.iq", {}, "is negative"),
        (X, "a.gr", {}, "use read_sq for S"),
    ],
)
def test_what_is_not_said_is_asked_for(tmp_path: Path, x: np.ndarray, name: str, options: dict, words: str) -> None:
    with pytest.raises(ReadError, match=words) as error:
        pk.read_intensity(write(tmp_path / name, x=x), **options)
    assert str(error.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize("options", [{"unit": "A"}, {"wavelength": -1.0}, {"twothetazero": "x"}])
def test_wrong_keywords_are_refused(tmp_path: Path, options: dict) -> None:
    with pytest.raises(pk.PdfkitError) as error:
        pk.read_intensity(write(tmp_path / "a.iq"), **options)
    assert not isinstance(error.value, ReadError)


def test_points_without_a_value_are_left_out_and_said(tmp_path: Path) -> None:
    values = I.copy()
    values[:5] = 0
    values[100] = np.nan
    values[-2:] = 0
    with pytest.warns(pk.PdfkitWarning) as said:
        iq = pk.read_intensity(write(tmp_path / "a.iq", columns=(values, np.sqrt(np.abs(values)))))
    assert [str(one.message).split(": ", 1)[1] for one in said] == list(iq.remarks)
    assert iq.remarks == (
        "the first 5 points are zero (the beam stop): left out, the data start on line 6",
        "1 points without a value (NaN or 0, masked?) are left out, line 101 first",
        "the last 2 points are zero: left out, the data end on line 298",
    )
    assert len(iq) == 292
    assert iq.dI is not None
    values[20:100] = 0
    with pytest.raises(ReadError, match="81 points"):
        pk.read_intensity(write(tmp_path / "a.iq", columns=(values,)))
    with pytest.raises(ReadError, match="0 points have an intensity"):
        pk.read_intensity(write(tmp_path / "a.iq", columns=(0 * I,)))


def test_negative_intensities_and_gaps_are_said(tmp_path: Path) -> None:
    with pytest.warns(pk.PdfkitWarning, match="negative: has a background"):
        pk.read_intensity(write(tmp_path / "a.iq", columns=(I - 60,)))
    with pytest.raises(ReadError, match="are negative"):
        pk.read_intensity(write(tmp_path / "a.iq", columns=(-I,)))
    keep = (X < 9) | (X > 10)
    with pytest.warns(pk.PdfkitWarning, match=r"1 gaps in Q, the widest from 8\.923 to 10"):
        pk.read_intensity(write(tmp_path / "a.iq", x=X[keep], columns=(I[keep],)))
    assert gaps(X) == []
    assert gaps(np.geomspace(0.01, 20, 300)) == []  # steps that grow are no gaps


def test_intensities_are_values() -> None:
    iq = pk.Intensity(X, I, I / 10, header={"a": "b"}, name="n")
    again = pickle.loads(pickle.dumps(iq))
    np.testing.assert_array_equal(again.I, I)
    assert dict(again.header) == {"a": "b"}
    part = iq.crop(5, 6)
    assert 5 <= part.Q[0] <= part.Q[-1] <= 6
    assert part.dI is not None
    assert len(part.dI) == len(part)
    for make, words in (
        (lambda: pk.Intensity(X, I[1:]), "I has 299 points"),
        (lambda: pk.Intensity(X, I, 0 * I), "dI holds 0 at index 0"),
        (lambda: pk.Intensity(X - 5, I), "cannot be negative"),
        (lambda: pk.Intensity(X, I, probe="Z"), "choose one of"),
        (lambda: iq.crop(30, 40), "no data between"),
    ):
        with pytest.raises(pk.PdfkitError, match=words):
            make()


def test_a_clean_file_is_read_without_a_word(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pk.read_intensity(write(tmp_path / "a.iq"))
