"""Many curves at once are those of a loop, whatever the model, and small crystals are not computed in a loop."""

from __future__ import annotations

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.build import sphere
from pdfkit.errors import PdfkitError
from pdfkit.model import Convention
from pdfkit.model.evaluate import Evaluator
from pdfkit.model.model import Model

R = np.arange(1.0, 12.0, 0.03)
X = pk.Instrument(probe="X", qmax=22.0, qdamp=0.04, qbroad=0.01)
MOVED = ("a", "c", "Uiso", "U11", "U33", "z", "scale", "delta2", "qdamp", "qbroad", "spdiameter", "expansion")


def crystal(name: str, **options: object) -> pk.Crystal:
    return pk.Crystal.from_file(f"CdS_{name}", name=name, **options)


ZB, DOT = crystal("zincblende", delta2=2.0), crystal("zincblende", shape=pk.Sphere(11.0))
WZ = crystal("wurtzite", shape=pk.Sphere(14.0))
TOGETHER = {
    "bulk": Model(ZB, X),
    "dot": Model(DOT, X),
    "mixture": Model([ZB, WZ], pk.Instrument(probe="X", qmin=0.8, qmax=18.0, window="lorch")),
    "tensors": Model(crystal("wurtzite", anisotropic=True), X),
    "tensors, not shifted": Model(crystal("wurtzite", anisotropic=["Cd"]), X, Convention(anisotropy="none")),
    "neutrons": Model([WZ, pk.Crystal.from_file("Ni", name="ni")], pk.Instrument(probe="N", qmax=25.0)),
}
ONE_BY_ONE = {
    "another composition": Model([ZB, pk.Crystal.from_file("Ni", name="ni")], X),
    "cluster": Model(pk.Cluster(sphere("CdS_zincblende", 8.0), "dot", Uiso=0.01), X),
    "uncut": Model(ZB, pk.Instrument(probe="X", qmax=np.inf)),
    "filtered": Model(ZB, X, "pdffit2"),
    "step": Model(crystal("zincblende", shape=pk.shapes.Stepcut(8.0)), X),
}


def vectors(model: Model, n: int = 5) -> np.ndarray:
    """Values about those of a model."""
    out = np.tile(model.values, (n, 1))
    moved = [k for k, name in enumerate(model.names) if name.rpartition(".")[2] in MOVED]
    out[:, moved] *= 1.0 + 0.02 * np.random.default_rng(3).uniform(-1, 1, (n, len(moved)))
    return out


@pytest.mark.parametrize("name", [*TOGETHER, *ONE_BY_ONE])
def test_many_curves_are_those_of_a_loop(name: str) -> None:
    model = {**TOGETHER, **ONE_BY_ONE}[name]
    evaluate, values = model.evaluator(R), vectors(model)
    values[1] = values[0]
    expected = np.array([evaluate(one)[0] for one in values])
    np.testing.assert_allclose(evaluate.many(values), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("name", TOGETHER)
def test_small_crystals_are_computed_together(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = TOGETHER[name]
    evaluate = model.evaluator(R)
    monkeypatch.setattr(Evaluator, "__call__", lambda *_: pytest.fail("one was computed alone"))
    assert evaluate.many(vectors(model)).shape == (5, R.size)


def test_vectors_that_differ_too_much_are_computed_one_by_one() -> None:
    """Other occupancies, a cell that another list of pairs is for, and one in which a pair has no width."""
    evaluate, values = Model(ZB, X).evaluator(R), vectors(Model(ZB, X))
    names = Model(ZB, X).names
    values[1, names.index("zincblende.a")] *= 1.4
    values[2, names.index("zincblende.delta2")] = 7.0
    expected = np.array([evaluate(one)[0] for one in values])
    np.testing.assert_allclose(evaluate.many(values), expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert len(evaluate.messages) == 1
    assert "no positive width" in evaluate.messages[0]
    assert evaluate.lost == ["zincblende: Cd–S"]
    values[3, names.index("zincblende.S.occ")] = 0.5
    expected = np.array([evaluate(one)[0] for one in values])
    np.testing.assert_allclose(evaluate.many(values), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_curves_of_a_model_follow_the_farthest_ripples() -> None:
    model = Model(ZB, X)
    some = [{"a": 5.9, "Cd.Uiso": U, "S.Uiso": U} for U in (0.02, 0.01, 0.004)]
    expected = np.array([model.with_values(one)(R).G for one in some])
    # What a range of ripples leaves out is 1e-4 of G, but at least the last asks for as much as it gets.
    found = model.curves(R, some)
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-4 * np.abs(expected).max())
    np.testing.assert_allclose(found[2], expected[2], rtol=0, atol=5e-6 * np.abs(expected).max())
    assert model.curves(R, []).shape == (0, R.size)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([{"a": -1.0}], "zincblende.a = -1 Å makes no sense"),
        ([{"a": 5.8}, {"S.occ": 1.005}], "zincblende.S.occ = 1.005 makes no sense"),
        ([{"a": "wide"}], "zincblende.a = 'wide' is not a number"),
        ([{"qdamp": 1000.0}], "qdamp = 1000 Å⁻¹ makes no sense .* from 0 to 2"),
        ([{"qbroad": 2.1}], "qbroad = 2.1 Å⁻¹ makes no sense .* from 0 to 2"),
        ([{"b": 1.0}], "no parameter is called 'b'"),
        (np.zeros((2, 3)), "values have 3 columns: give 14"),
        ({"a": 5.8}, "values is not numeric"),
    ],
)
def test_values_that_are_none_are_refused(values: object, said: str) -> None:
    with pytest.raises(PdfkitError, match=said):
        Model(ZB, X).curves(R, values)  # type: ignore[arg-type]
