"""First shells of candidates against EXAFS."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import screens

import pdfkit as pk
from pdfkit.cli import screening
from pdfkit.errors import PdfkitError
from pdfkit.screening import ScreenFit
from pdfkit.screening.shells import ln_shell, shell_of
from pdfkit.screening.tasks import Problem

KNOWN = {"bond Cd-Se": (2.62, 0.01), "coordination Se-Cd": (4.0, 0.2), "angle Cd-Se-Cd": (109.5, 1.0)}


def test_numbers_of_a_first_shell() -> None:
    particle = pk.build.tetrahedron("CdSe_zincblende", 3)  # Cd10Se4
    found = shell_of(particle, {**KNOWN, "coordination Cd-Se": (1.6, 0.1)}, (0.01, 1e-3))
    bond = 6.050 * math.sqrt(3) / 4
    assert found["bond Cd-Se"] == pytest.approx((1.01 * bond, 1e-3 * bond), rel=1e-3)
    assert found["coordination Se-Cd"] == (4.0, None)
    assert found["coordination Cd-Se"] == (1.6, None)
    assert found["angle Cd-Se-Cd"][0] == pytest.approx(109.4712, abs=1e-3)
    assert ln_shell({"bond Cd-Se": (2.64, None)}, KNOWN) == pytest.approx(-2.0)
    assert ln_shell({"bond Cd-Se": (2.64, math.nan)}, KNOWN) == pytest.approx(-2.0)
    assert ln_shell({"bond Cd-Se": (2.62, 0.01)}, KNOWN) == pytest.approx(-0.5 * math.log(2))
    with pytest.raises(PdfkitError, match="has no bond Cd-S, of which EXAFS tells"):
        shell_of(particle, {"bond Cd-S": (2.5, 0.01)}, (0.0, None))


def test_shells_are_a_part_of_the_evidence(tmp_path: Path) -> None:
    data, some = screens.measurement(dG=True), screens.particles()[:3]
    plain = pk.screen(some, data, **screens.RANGE, certificate=0)
    found = pk.screen(some, data, **screens.RANGE, exafs={"coordination Cd-Se": (1.6, 0.1)}, certificate=0)
    for row in found:
        number = row.values["coordination Cd-Se"][0]
        assert row.lnz - plain[row.name].lnz == pytest.approx(-0.5 * ((number - 1.6) / 0.1) ** 2)
    assert found["Cd10Se4_tetrahedron"].values["coordination Cd-Se"][0] == 1.6
    back = pk.Ranking.load(found.save(tmp_path / "r.h5"))
    assert back.settings.exafs == {"coordination Cd-Se": (1.6, 0.1)}
    assert np.array_equal([row.lnz for row in back], [row.lnz for row in found])
    fit = ScreenFit(**screens.RANGE)
    assert Problem.of(data, fit).digest() != found.problem.digest()
    with pytest.raises(PdfkitError, match="a mixture has two"):
        pk.screen(some, data, **screens.RANGE, exafs=KNOWN, mixtures=1)


@pytest.mark.parametrize(
    "given",
    [
        {"bond": (2.5, 0.1)},
        {"length Cd-S": (2.5, 0.1)},
        {"bond Cd-S": 2.5},
        {"bond Cd-S": (2.5, 0.0)},
        {"bond Cd-S": (0.25, 0.001)},
        {"angle S-Cd-S": (1.9, 0.02)},
    ],
)
def test_what_exafs_cannot_say(given: dict[str, object]) -> None:
    with pytest.raises(PdfkitError, match=r"exafs|bond Cd-S = 0"):
        ScreenFit(exafs=given)


def test_the_option_of_the_command() -> None:
    assert screening._shells(["bond Cd-S=2.52,0.01"]) == {"bond Cd-S": (2.52, 0.01)}
    with pytest.raises(PdfkitError, match="is not NAME=VALUE,ERROR"):
        screening._shells(["bond Cd-S=2.52±0.01"])


def test_names_have_one_form_and_are_given_once() -> None:
    assert ScreenFit(exafs={" bond  Cd - Se": (2.62, 0.01)}).exafs == {"bond Cd-Se": (2.62, 0.01)}
    assert ScreenFit(exafs=None).exafs == {}
    with pytest.raises(PdfkitError, match="Xx is no element"):
        ScreenFit(exafs={"bond Cd-Xx": (2.62, 0.01)})
    for twice in ("bond Se-Cd", "bond Cd - Se"):
        with pytest.raises(PdfkitError, match="twice"):
            ScreenFit(exafs={"bond Cd-Se": (2.62, 0.01), twice: (2.62, 0.01)})
    ScreenFit(exafs={"coordination Cd-Se": (3.0, 0.1), "coordination Se-Cd": (4.0, 0.1)})
    with pytest.raises(PdfkitError, match="twice"):
        screening._shells(["bond Cd-S=2.52,0.01", "bond Cd-S=2.53,0.01"])


def test_ions_are_of_their_elements() -> None:
    particle = pk.build.tetrahedron("CdSe_zincblende", 3)
    ions = pk.Particle.of([f"{one}2+" if one == "Cd" else one for one in particle.symbols], particle.xyz)
    known = {"bond Cd-Se": (2.62, 0.01)}
    assert shell_of(ions, known, (0.0, None)) == shell_of(particle, known, (0.0, None))


def test_what_contradicts_is_said() -> None:
    data, some = screens.measurement(dG=True), screens.particles()[:3]
    far = " ".join(
        str(pk.screen(some, data, **screens.RANGE, exafs={"bond Cd-Se": (4.6, 0.02)}, certificate=0)).split()
    )
    assert "standard errors from what EXAFS tells: bond Cd-Se 2.6" in far
    other = pk.screen(some, data, **screens.RANGE, exafs={"coordination Cd-Se": (1.6, 0.02)}, certificate=0)
    assert other[0].name == "Cd10Se4_tetrahedron"
    assert "without EXAFS Cd35Se20_tetrahedron would be first" in " ".join(str(other).split())
    right = pk.screen(some, data, **screens.RANGE, exafs={"coordination Cd-Se": (2.3, 0.2)}, certificate=0)
    assert "EXAFS" not in str(right)


def test_what_is_simulated_has_the_exafs_of_the_true_one(tmp_path: Path) -> None:
    """Data that tell nothing leave it to EXAFS, in studies of confusion and in certificates."""
    noisy, some = screens.measurement(dG=True, noise=5.0), screens.particles()[:3]
    options = {**screens.RANGE, "free": ["scale"], "displacement": 0.05}
    exafs = {"coordination Cd-Se": (2.0, 0.01)}
    plain = pk.screen(some, noisy, **options, certificate=60)
    told = pk.screen(some, noisy, **options, certificate=60, exafs=exafs)
    assert plain.certificate is not None
    assert told.certificate is not None
    assert plain.certificate.first < 0.7
    assert told.certificate.first == 1.0
    assert told.certificate.size < plain.certificate.size
    study = pk.confusion(3, told, repeats=2, out=tmp_path)
    assert study.right == 1.0
    assert pk.confusion(3, plain, repeats=2).found > study.found - 1e-9
    assert pk.confusion(3, told, repeats=2, out=tmp_path).first.tolist() == study.first.tolist()
