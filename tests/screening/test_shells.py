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
    "given", [{"bond": (2.5, 0.1)}, {"length Cd-S": (2.5, 0.1)}, {"bond Cd-S": 2.5}, {"bond Cd-S": (2.5, 0.0)}]
)
def test_what_exafs_cannot_say(given: dict[str, object]) -> None:
    with pytest.raises(PdfkitError, match=r"exafs|bond Cd-S = 0"):
        ScreenFit(exafs=given)


def test_the_option_of_the_command() -> None:
    assert screening._shells(["bond Cd-S=2.52,0.01"]) == {"bond Cd-S": (2.52, 0.01)}
    with pytest.raises(PdfkitError, match="is not NAME=VALUE,ERROR"):
        screening._shells(["bond Cd-S=2.52±0.01"])
