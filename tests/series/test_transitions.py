"""Transitions by evidence: none, a trend, a step, two states; where they are, with right errors."""

from __future__ import annotations

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.series import transition

T = np.linspace(150, 246, 17)
LAWS = {
    "none": lambda at: np.full(T.size, 1.3),
    "trend": lambda at: 1.0 + 0.01 * (T - 200),
    "step": lambda at: np.where(at > T, 1.0, 1.5),
    "two states": lambda at: 1.0 + 1.0 / (1 + np.exp((at - T) / 8.0)),
}


@pytest.mark.parametrize("law", LAWS)
def test_the_law_that_made_the_values_is_found(law):
    rng = np.random.default_rng(3)
    found = [transition(T, LAWS[law](201.0) + 0.05 * rng.standard_normal(T.size), 0.05) for _ in range(20)]
    # A passage wider than what was measured is a trend as well.
    assert sum(one.law == law for one in found) >= (14 if law == "trend" else 18)
    if law in ("step", "two states"):
        off = [(one.at - 201.0) / one.at_error for one in found if one.law == law]
        assert np.abs(off).max() < 4
        assert np.std(off) < 1.4


def test_evidence_is_the_integral():
    """A level: the integral over it, by sums."""
    rng = np.random.default_rng(1)
    y = 1.3 + 0.05 * rng.standard_normal(T.size)
    found = transition(T, y, 0.05)
    wide = 3 * max(np.ptp(y), 0.2)
    levels = np.linspace(1.0, 1.6, 20001)
    chi2 = (((y[:, None] - levels) / 0.05) ** 2).sum(axis=0)
    likelihood = np.exp(-0.5 * chi2 - T.size * np.log(np.sqrt(2 * np.pi) * 0.05))
    assert found.evidence["none"] == pytest.approx(np.log(likelihood.sum() * (levels[1] - levels[0]) / wide), abs=1e-6)


def test_values_that_change_together_share_the_place_and_order_does_not_matter():
    rng = np.random.default_rng(4)
    both = np.column_stack([LAWS["step"](205.0), 2 - LAWS["step"](205.0)]) + 0.2 * rng.standard_normal((T.size, 2))
    alone, together = transition(T, both[:, 0], 0.2), transition(T, both, 0.2)
    assert together.evidence["step"] - together.evidence["none"] > alone.evidence["step"] - alone.evidence["none"]
    mixed = rng.permutation(T.size)
    again = transition(T[mixed], both[mixed], 0.2)
    assert again.evidence == pytest.approx(together.evidence)
    assert again.at == pytest.approx(together.at)
    assert "step" in str(together)


@pytest.mark.parametrize(
    ("values", "errors", "words"),
    [(np.ones(3), 0.1, "must match"), (np.ones(17), 0.0, "above 0"), (np.ones((4, 17)), 0.1, "must match")],
)
def test_what_cannot_be_weighed_is_refused(values, errors, words):
    with pytest.raises(pk.PdfkitError, match=words):
        transition(T, values, errors)
    with pytest.raises(pk.PdfkitError, match="5 places"):
        transition([1, 2, 3], [1, 2, 3], 0.1)


def test_values_that_scatter_beyond_their_errors_are_not_clear():
    found = transition(T, np.random.default_rng(2).standard_normal(T.size), 0.01)
    assert not found.clear
    assert "times their errors" in found.remarks[0]
    assert not transition(T, np.where(T < 200, 0.0, 0.5), 0.05).remarks
