"""Scattering strengths, form factors and pair weights, from first principles and published constants."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdfkit.errors import PdfkitError, StructureError
from pdfkit.scattering import QMAX_TABLES, form_factor, pair_weights, q_weights, scattering_strength, species_pairs

TABULATED = ["H", "C", "S", "Ni", "Zn", "Se", "Cd", "Te", "Pt", "Bk"]
BOHR = 0.529177210903


def test_xray_strength_is_the_atomic_number() -> None:
    assert [scattering_strength(e, "X") for e in ("H", "S", "Cd", "Se", "D")] == [1, 16, 48, 34, 1]


def test_neutron_lengths_are_the_published_ones() -> None:
    # Sears, Neutron News 3, 26 (1992); later revisions moved these by less than 0.1 fm.
    published = {"Ni": 10.3, "Si": 4.1491, "S": 2.847, "Se": 7.97, "H": -3.739, "D": 6.671, "Ti": -3.438}
    for element, b in published.items():
        assert scattering_strength(element, "N") == pytest.approx(b, abs=0.1)


def test_isotopes_have_their_own_length_and_the_electrons_of_the_element() -> None:
    assert scattering_strength("2-H", "N") == scattering_strength("D", "N") != scattering_strength("H", "N")
    assert scattering_strength("58-Ni", "N") == pytest.approx(14.4, abs=0.1)
    Q = np.linspace(0, 20, 5)
    for probe in ("X", "E"):
        assert np.array_equal(form_factor("2-H", probe, Q), form_factor("H", probe, Q))
        assert np.array_equal(form_factor("T", probe, Q), form_factor("H", probe, Q))


@pytest.mark.parametrize("element", TABULATED)
def test_xray_form_factor_counts_the_electrons_and_falls(element: str) -> None:
    Q = np.linspace(0, 60, 601)
    f = form_factor(element, "X", Q)
    # The tables are least-squares fits: f(0) misses Z by at most 0.04 (Os).
    assert f[0] == pytest.approx(scattering_strength(element, "X"), abs=0.04)
    # The same fits ripple about zero where hydrogen has nothing left (2e-4 electrons).
    assert (np.diff(f) < 2e-4).all()
    assert f[-1] < 0.1 * f[0]


def test_xray_form_factor_is_that_of_the_library() -> None:
    from periodictable.cromermann import fxrayatq

    Q = np.linspace(0, 75, 301)
    for element in ("S", "Cd"):
        np.testing.assert_allclose(form_factor(element, "X", Q), fxrayatq(element, Q), rtol=1e-12)


def test_hydrogen_electron_form_factor_is_the_born_result() -> None:
    # Exact 1s density: f_X = (1 + Q²a₀²/4)⁻², so f_E = (2/a₀)(1 − f_X)/Q² and its limit at Q = 0 is a₀. The
    # tables are a fit of f_X to about 1e-3.
    assert scattering_strength("H", "E") == pytest.approx(BOHR, rel=2e-3)
    Q = np.array([1.0, 3.0, 6.0, 20.0])
    exact = 2 / BOHR * (1 - (1 + (Q * BOHR / 2) ** 2) ** -2) / Q**2
    np.testing.assert_allclose(form_factor("H", "E", Q), exact, rtol=2e-3)


@pytest.mark.parametrize("element", TABULATED)
def test_mott_bethe_is_continuous_at_zero(element: str) -> None:
    f = form_factor(element, "E", np.array([0.0, 1e-150, 1e-8, 1e-4]))
    np.testing.assert_allclose(f, f[0], rtol=1e-6)
    Q = np.array([0.5, 2.0, 10.0, 30.0])
    x = form_factor(element, "X", np.concatenate([[0.0], Q]))
    # The direct difference loses digits at small Q; at these Q it keeps 12.
    np.testing.assert_allclose(form_factor(element, "E", Q), 2 / BOHR * (x[0] - x[1:]) / Q**2, rtol=1e-11)


def test_shape_of_the_answer_is_that_of_Q() -> None:
    for probe in "XNE":
        assert form_factor("Cd", probe, np.zeros((2, 3))).shape == (2, 3)
        assert form_factor("Cd", probe, np.zeros(0)).shape == (0,)


def test_species_pairs_are_ordered_and_complete() -> None:
    assert species_pairs(("Cd", "S")) == (("Cd", "Cd"), ("Cd", "S"), ("S", "S"))
    assert len(species_pairs(("A", "B", "C", "D"))) == 10
    with pytest.raises(PdfkitError, match="not distinct"):
        species_pairs(("Cd", "S", "Cd"))


def test_weights_of_cadmium_sulphide() -> None:
    w = pair_weights(("Cd", "S"), np.array([0.5, 0.5]), np.array([48.0, 16.0]))
    np.testing.assert_allclose(w, [0.25 * 48 * 48 / 1024, 0.5 * 48 * 16 / 1024, 0.25 * 16 * 16 / 1024], rtol=1e-15)


ELEMENTS = st.lists(st.sampled_from(["Cd", "S", "Se", "Zn", "Ni", "Pt"]), min_size=1, max_size=4, unique=True)


@given(ELEMENTS, st.data())
def test_weights_sum_to_one_and_ignore_scales(elements: list[str], data: st.DataObject) -> None:
    positive = st.lists(st.floats(0.01, 100), min_size=len(elements), max_size=len(elements))
    c, b = np.array(data.draw(positive)), np.array(data.draw(positive))
    w = pair_weights(elements, c, b)
    assert w.shape == (len(species_pairs(elements)),)
    assert w.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(pair_weights(elements, 7 * c, -3 * b), w, rtol=1e-12)


@given(ELEMENTS, st.sampled_from(["X", "N", "E"]), st.floats(0, 40))
def test_q_weights_are_normalised_and_start_at_the_pair_weights(elements: list[str], probe: str, q: float) -> None:
    c = np.arange(1.0, len(elements) + 1)
    c /= c.sum()
    i, j = np.triu_indices(len(elements))
    share = np.where(i == j, 1.0, 2.0) * c[i] * c[j]
    w = q_weights(elements, c, probe, np.array([0.0, q]))
    assert w.shape == (i.size, 2)
    np.testing.assert_allclose(share @ w, 1, rtol=1e-12)
    at_zero = [float(form_factor(e, probe, np.zeros(1))[0]) for e in elements]
    np.testing.assert_allclose(share * w[:, 0], pair_weights(elements, c, np.array(at_zero)), rtol=1e-12)


def test_weight_of_the_lighter_element_falls_with_Q() -> None:
    # f_S/f_Cd falls from 0.33 at Q = 0 to 0.26 at 10 Å⁻¹.
    w = q_weights(("Cd", "S"), np.array([0.5, 0.5]), "X", np.array([0.0, 10.0]))
    assert w[0, 1] > w[0, 0]
    assert w[1, 1] < w[1, 0]


def test_null_scatterers_are_refused() -> None:
    b = np.array([scattering_strength("Ti", "N"), scattering_strength("Zr", "N")])
    null = np.array([b[1], -b[0]])  # Ti 0.676, Zr 0.324
    with pytest.raises(PdfkitError, match=r"Ti, Zr is zero.*another probe"):
        pair_weights(("Ti", "Zr"), null, b)
    with pytest.raises(PdfkitError, match="zero"):
        q_weights(("Ti", "Zr"), null, "N", np.array([1.0]))
    assert np.isfinite(pair_weights(("Ti", "Zr"), np.array([0.5, 0.5]), b)).all()


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ("CD", "did you mean Cd"),
        ("Cd?", "write Cd, D, 62-Ni or Na1"),
        ("3-Cd", "isotope"),
        ("2-D", "not known"),
        ("", "not understood"),
    ],
)
def test_unknown_elements_are_refused(element: str, message: str) -> None:
    with pytest.raises(StructureError, match=message):
        scattering_strength(element, "X")


def test_what_is_not_tabulated_is_refused() -> None:
    with pytest.raises(StructureError, match="neutron scattering length"):
        scattering_strength("Bk", "N")
    with pytest.raises(StructureError, match="form factor"):
        form_factor("Lr", "X", np.zeros(1))
    with pytest.raises(PdfkitError, match="choose one of X, N, E"):
        scattering_strength("Cd", "x-ray")
    assert math.isclose(QMAX_TABLES, 75.4, abs_tol=0.01)
    for probe in "XE":
        with pytest.raises(PdfkitError, match="beyond the tables"):
            form_factor("Cd", probe, np.array([76.0]))
    assert form_factor("Cd", "N", np.array([76.0])).size == 1


@pytest.mark.parametrize(
    ("c", "b", "message"),
    [
        ([0.5], [1, 2], "fractions has 1"),
        ([0.5, 0.5], [1], "strengths has 1"),
        ([-1, 2], [1, 2], "negative"),
        ([0, 0], [1, 2], "all zero"),
        ([0.5, 0.5], [1, math.nan], "strengths holds nan"),
    ],
)
def test_wrong_sizes_and_signs_are_refused(c: list[float], b: list[float], message: str) -> None:
    with pytest.raises(PdfkitError, match=message):
        pair_weights(("Cd", "S"), np.array(c), np.array(b))


def test_ions_have_their_electrons_and_their_own_form_factors():
    assert [scattering_strength(name, "X") for name in ("Na1+", "Cl1-", "62-Ni2+")] == [10.0, 18.0, 26.0]
    Q = np.array([0.0, 1.0])
    # Waasmaier & Kirfel's O2- is more diffuse than O: 10 electrons at Q = 0, and nearly alike at larger Q.
    assert form_factor("O2-", "X", Q)[0] == pytest.approx(10.0, abs=0.05)
    assert scattering_strength("Cd2+", "N") == scattering_strength("Cd", "N")
    with pytest.raises(StructureError, match=r"S2- has no tabulated.*none"):
        form_factor("S2-", "X", Q)
    with pytest.raises(StructureError, match=r"Fe2\+, Fe3\+"):
        form_factor("Fe4+", "X", Q)
    with pytest.raises(StructureError, match="diverges as 1/Q²"):
        form_factor("Na1+", "E", Q)


def test_lengths_that_change_with_the_energy_are_known():
    from pdfkit.scattering import energy_dependent

    assert [name for name in ("Cd", "Gd", "Sm", "Eu", "Ni", "O", "S") if energy_dependent(name)] == [
        "Cd",
        "Gd",
        "Sm",
        "Eu",
    ]
