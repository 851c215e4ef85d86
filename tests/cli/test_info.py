"""What `pdfkit info` says: what a file is and by what that was decided, in a screen, remarks last."""

from __future__ import annotations

from pathlib import Path

import forked
import numpy as np
import pytest

import pdfkit as pk
from pdfkit.cli.info import describe
from pdfkit.errors import ReadError
from pdfkit.structure import Site
from pdfkit.verification.questions.intensities import pattern

DATA = Path(__file__).parents[1] / "data"
SRXPLANAR = "[Experiment]\nintegrationspace = qspace\nwavelength = 0.1836\n"
MANY = SRXPLANAR + "".join(
    f"setting{i} = {i} and some words that make the line long enough to fill it\n" for i in range(288)
)


def line(text: str, key: str) -> str:
    """Return the value of the first line with this key."""
    return next(one for one in text.split("\n") if one.startswith(key)).removeprefix(key).strip()


def test_a_long_header_is_summed_up(tmp_path: Path) -> None:
    path = pattern(tmp_path, head=f"{MANY}#### start data\n")
    text = describe(str(path))
    lines = text.split("\n")
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert line(text, "header").startswith("291 entries: integrationspace, wavelength, setting0")
    assert line(text, "kind") == "intensities I(Q), by the line 'integrationspace = qspace'"
    assert line(text, "first column") == "Q in Å⁻¹, since the line 'integrationspace = qspace' says so"
    assert "setting287" in describe(str(path), everything=True)


def test_remarks_come_last_and_once(tmp_path: Path) -> None:
    path = pattern(tmp_path, "si.iq", change=[("set", 0, 9, 0.0), ("times", 1200, 1200, 8.0)])
    lines = describe(str(path)).split("\n")
    assert [one.split(" ", 1)[0] for one in lines[-2:]] == ["remark", "remark"]
    assert "beam stop" in lines[-2]
    assert "hot pixels" in lines[-1]
    run = forked.run("info", str(path), folder=tmp_path)
    assert run.returncode == 0
    assert run.stderr == ""
    assert run.stdout.count("beam stop") == 1


def test_the_options_of_the_readers_are_taken(tmp_path: Path) -> None:
    path = pattern(tmp_path, "si.xye", unit="2theta")
    with pytest.raises(ReadError, match=r"no wavelength is known.*--as pdf"):
        describe(str(path))
    assert line(describe(str(path), wavelength=0.1836), "Q ") == "0.4 to 20 Å⁻¹"
    nm = pattern(tmp_path, "si.dat", unit="nm-1")
    with pytest.raises(ReadError, match="too far for Q in Å⁻¹"):
        describe(str(nm))
    text = describe(str(nm), unit="nm-1", as_="intensity")
    assert line(text, "Q ") == "0.4 to 20 Å⁻¹"
    assert line(text, "kind") == "intensities I(Q), as asked for"
    assert line(text, "first column") == "Q in nm⁻¹, as given"
    assert "0 to 22 Å⁻¹" in describe(str(DATA / "bare2.gr"), qmax=22.0)
    with pytest.raises(pk.PdfkitError, match="choose one of"):
        describe(str(nm), as_="picture")
    with pytest.raises(pk.PdfkitError, match="kind = 'Z' is not known"):
        describe(str(nm), kind="Z")


def test_what_only_the_numbers_say_can_be_overridden(tmp_path: Path) -> None:
    r = np.arange(0.0, 12.0, 0.01)
    np.savetxt(tmp_path / "a.dat", np.c_[r, np.sin(2.5 * r) * np.exp(-((r - 5) ** 2))])
    text = describe(str(tmp_path / "a.dat"))
    assert line(text, "kind").startswith("pair distribution function G(r), by its numbers alone")
    assert "--as pdf, --as sq or --as intensity" in text.split("remark", 1)[1]
    text = describe(str(tmp_path / "a.dat"), as_="sq", kind="F")
    assert line(text, "kind") == "structure function S(Q), as asked for"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pdfgetx3.gr", "pair distribution function G(r), by the line outputtype = gr"),
        ("gsas2.gr", "pair distribution function G(r), by the labels R and G(R)"),
        ("gsas2.sq", "structure function S(Q), by the label of column 2, S(Q)"),
        ("bare.fq", "structure function S(Q), by the ending .fq"),
        ("structures/pdffit4.stru", "crystal structure"),
        ("structures/lattice.xyz", "crystal structure"),
        ("structures/box.rmc6f", "crystal structure"),
    ],
)
def test_every_file_is_told_in_a_screen(name: str, kind: str) -> None:
    text = describe(str(DATA / name))
    assert line(text, "kind") == kind
    assert len(text.split("\n")) <= 40
    assert max(map(len, text.split("\n"))) <= 100


def test_many_sites_are_summed_up(tmp_path: Path) -> None:
    sites = [Site(f"C{i}", "C", (i % 4 / 4, i // 4 % 4 / 4, (i // 16) / 4)) for i in range(60)]
    pk.write_cif(tmp_path / "big.cif", pk.Structure((12, 12, 12, 90, 90, 90), sites, spacegroup="P 1"))
    text = describe(str(tmp_path / "big.cif"))
    assert len(text.split("\n")) <= 40
    assert "… and 48 more (--all shows them)" in text
    assert "C59" in describe(str(tmp_path / "big.cif"), everything=True)
