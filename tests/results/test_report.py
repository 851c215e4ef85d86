"""What the report says must be what the result holds, in 100 columns, rounded as its errors ask."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_fits import ALL, NAME, several, single, two_phases

from pdfkit._table import WIDTH
from pdfkit.results.problem import FitSettings
from pdfkit.results.report import report, report_html, uncertain


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (5.83164, 0.0012914, "5.8316(13)"),
        (30.28, 1.51, "30.3(1.5)"),
        (12345.0, 1234.0, "12300(1200)"),
        (123.4, 12.0, "123(12)"),
        (5.0, 0.0996, "5.00(10)"),
        (5.0, 0.996, "5.0(1.0)"),
        (-0.0004, 0.012, "0.000(12)"),
        (-1.25, 0.012, "-1.250(12)"),
        (3e-7, 2e-8, "3.00(20)e-07"),
        (1.0e7, 3e5, "1.000(30)e+07"),
        (5.832, None, "5.832"),
        (5.832, 0.0, "5.832"),
        (5.832, math.nan, "5.832"),
        (1 / 3, None, "0.333333"),
    ],
)
def test_values_are_rounded_to_two_digits_of_the_error(value, error, text):
    assert uncertain(value, error) == text


def parsed(text: str) -> tuple[float, float]:
    """Return value and error of "5.8316(13)", read as crystallographers do."""
    found = re.fullmatch(r"(-?[\d.]+)\(([\d.]+)\)(e[+-]\d+)?", text)
    assert found, text
    number, error, power = found[1], found[2], float(f"1{found[3] or ''}")
    if "." not in error and "." in number:
        error = f"{float(error) * 10.0 ** -len(number.split('.')[1])}"
    return float(number) * power, float(error) * power


@given(
    value=st.floats(-1e9, 1e9, allow_subnormal=False),
    error=st.floats(1e-9, 1e9),
)
def test_rounded_values_read_back_within_half_a_digit(value, error):
    # Beyond 16 digits a float has nothing more to round.
    if abs(value) > 1e13 * error:
        return
    back, sigma = parsed(uncertain(value, error))
    # Two digits: 0.5/10 of the error at most, its own rounding included, and a fit's last digit.
    assert sigma == pytest.approx(error, rel=0.0501)
    assert abs(back - value) <= 0.0501 * error + 1e-12 * abs(value)


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_lines_fit_in_width(make):
    assert max(map(len, report(make()).splitlines())) <= WIDTH


def test_long_ties_and_remarks_are_wrapped():
    result = single()
    params = result.params.copy()
    params["zb.S.occ"].expr = "+".join(["0*zb.Cd.occ"] * 60) + "+1"
    text = report(replace(result, params=params, remarks=("word " * 100,)))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.count("zb.Cd.occ") > 40  # wrapped, not cut


def test_every_refined_parameter_is_there_with_value_start_and_limits():
    result = single()
    text = report(result)
    par = result.params["zb.a"]
    row = next(line for line in text.splitlines() if line.startswith("  a "))
    assert uncertain(par.value, par.stderr) in row
    assert "5.81" in row  # where it started
    assert f"{par.min:.4g} … {par.max:.4g}" in row
    assert "Å" in row
    for name in ("scale", "Cd.Uiso", "S.Uiso"):
        assert any(line.startswith(f"  {name} ") for line in text.splitlines())
    fixed = next(line for line in text.splitlines() if line.startswith("  fixed:"))
    assert "delta2 2 Å²" in fixed
    assert "spdiameter 30 Å" in fixed


def test_head_says_how_good_and_how_much():
    result = single()
    head = report(result).split("\n\n")[0]
    assert head.startswith(f"Fit of {NAME}: Rw = {result.rw:.4f}")
    assert "converged" in head
    assert f"{result.n_points} points ({result.n_independent:.1f} independent)" in head
    assert "X-rays, Qmax 18 Å⁻¹, qdamp 0.03, qbroad 0.01, 295 K" in head


def test_a_fit_that_failed_says_so_first():
    failed = replace(single(), converged=False, message="stopped after 3 evaluations")
    assert "NOT CONVERGED: stopped after 3 evaluations" in report(failed).splitlines()[1]
    assert "NOT CONVERGED" not in report(single())


def test_ties_bounds_and_fractions():
    result = two_phases()
    text = report(result)
    assert "wz.a" in result.at_bounds
    wz = text.split("\nwz (")[1]
    assert re.search(r"^  a .*ON BOUND$", wz, re.MULTILINE)
    assert re.search(r"^  Cd.Uiso .*tied to zb.Cd.Uiso$", wz, re.MULTILINE)
    assert "wz.a ended on its lower bound" in text.split("\nremarks\n")[1].replace("\n    ", " ")
    table = text.split("phase fractions\n")[1]
    for phase in ("zb", "wz"):
        for kind in ("atoms", "cells", "mass"):
            assert uncertain(*result.fractions[phase][kind]) in table


def test_fractions_of_one_phase_are_not_worth_a_table():
    assert "phase fractions" not in report(single())


def test_strong_correlations_are_named_strongest_first():
    result = single()
    n = len(result.free)
    correlation = np.eye(n)
    correlation[0, 1] = correlation[1, 0] = 0.85
    correlation[2, 3] = correlation[3, 2] = -0.95
    correlation[0, 3] = correlation[3, 0] = 0.79
    made = replace(result, covariance=correlation * np.outer(np.arange(1, n + 1), np.arange(1, n + 1)))
    block = report(made).split("correlations above 0.8\n")[1].split("\n\n")[0].splitlines()
    assert [line.split()[-1] for line in block] == ["−0.950", "+0.850"]
    assert block[0].split()[:2] == [result.free[2], result.free[3]]


def test_errors_say_where_they_come_from():
    with_dG, without = report(single()), report(two_phases())
    assert "spectrum of the residual, which agrees with dG of the data" in with_dG.replace("\n    ", " ")
    assert "from the spectrum of the residual: its power" in without.replace("\n    ", " ")
    found = single(noise="given")
    assert "from dG of the data" in report(found)
    made = "made independent with the correlation that Qmax and window cause"
    assert made in report(found).replace("\n    ", " ")
    assert found.whitened
    plain = replace(found, problem=replace(found.problem, settings=FitSettings("independent")))
    assert "widened by √" in report(plain)
    assert "scaled by the misfit" in report(replace(plain, errors_from="misfit"))
    assert "from the covariance of the data" in report(replace(found, errors_from="cov"))
    assert "scaled by the misfit" in report(replace(found, errors_from="misfit"))
    assert "reduced χ²" in with_dG
    assert "reduced χ²" not in without  # without dG it measures nothing
    assert "misses more than the noise" not in with_dG
    assert "misses more than the noise" in report(replace(single(), reduced_chi2=9.0)).replace("\n    ", " ")


def test_several_data_sets():
    result = several()
    text = report(result)
    assert text.startswith("Fit of 2 data sets")
    for one in result.datasets:
        assert re.search(rf"^  {one.name} +{one.rw:.4f} .*{len(one.data)} ", text, re.MULTILINE)
        own = text.split(f"data set {one.name}\n")[1].split("\n\n")[0]
        scale = result.params[f"{one.name}.zb.scale"]
        assert uncertain(scale.value, scale.stderr) in own


class Collector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f" {data} "


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_html_is_well_formed_and_says_the_same(make):
    result = make()
    page = Collector()
    page.feed(report_html(result))
    assert page.open == []
    assert set(page.tags) <= {"div", "p", "strong", "br", "table", "thead", "tr", "th", "td"}
    for name in result.free:
        par = result.params[name]
        assert uncertain(par.value, par.stderr) in page.text


def test_html_escapes_everything():
    nasty = "<script>alert('x')</script>"
    result = single()
    one = replace(result.datasets[0], data=replace(result.data, name=nasty))
    params = result.params.copy()
    params["zb.a"].user_data = {"unit": nasty}
    page = report_html(replace(result, datasets=(one,), params=params, message=nasty, remarks=(nasty,)))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 4


def test_results_print_their_report():
    assert str(single()) == report(single())
    assert single()._repr_html_() == report_html(single())
