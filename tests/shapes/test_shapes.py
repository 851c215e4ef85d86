"""Shape functions against geometry: volumes, surfaces, limits, random overlaps, and derivatives."""

import itertools
import math
import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.shapes import (
    SHAPES,
    Bulk,
    LognormalSpheres,
    Rod,
    Shape,
    Sheet,
    Shell,
    Sphere,
    Spheroid,
    Stepcut,
    Tabulated,
    from_kind,
    number_mean,
    volume_mean,
)


def lognormal_moment(shape: LognormalSpheres, k: int) -> float:
    s2 = math.log(1 + (shape.spsigma / shape.spdiameter) ** 2)
    return shape.spdiameter**k * math.exp((k * k - k) * s2 / 2)


def spheroid_surface(a: float, c: float) -> float:
    """Surface of a spheroid of equatorial radius a and polar radius c."""
    if c > a:
        e = math.sqrt(1 - a * a / (c * c))
        return 2 * math.pi * a * a * (1 + c / (a * e) * math.asin(e))
    e = math.sqrt(1 - c * c / (a * a))
    return 2 * math.pi * a * a * (1 + (1 - e * e) / e * math.atanh(e))


def body(shape: Shape) -> tuple[float, float, list[float]]:
    """Return volume, surface and the r where γ₀ is not smooth, from school geometry."""
    pi = math.pi
    if isinstance(shape, Sphere):
        return pi / 6 * shape.spdiameter**3, pi * shape.spdiameter**2, []
    if isinstance(shape, Spheroid):
        a, c = shape.equatorial / 2, shape.equatorial * shape.axis_ratio / 2
        return 4 / 3 * pi * a * a * c, spheroid_surface(a, c), [2 * min(a, c)]
    if isinstance(shape, Shell):
        a, t = shape.spdiameter / 2, shape.thickness
        b = a - t
        return 4 / 3 * pi * (a**3 - b**3), 4 * pi * (a * a + b * b), [t, 2 * b, a + b]
    assert isinstance(shape, Rod)
    d, length = shape.diameter, shape.length
    return pi / 4 * d * d * length, pi * d * length + pi / 2 * d * d, [d, length]


@lru_cache(maxsize=4)
def nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(count)


def panels(edges: list[float], count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Gauss–Legendre nodes and weights between the edges, crowded (as t³) at each of them."""
    node, weight = nodes(count)
    t = (node + 1) / 2
    smooth, slope = t**3 * (10 - 15 * t + 6 * t * t), 30 * t * t * (1 - t) ** 2
    edges = sorted(edges)
    x = [a + (b - a) * smooth for a, b in itertools.pairwise(edges)]
    w = [(b - a) * slope * weight / 2 for a, b in itertools.pairwise(edges)]
    return np.concatenate(x), np.concatenate(w)


BODIES = [
    Sphere(30),
    Spheroid(30, 1.6),
    Spheroid(30, 0.3),
    Spheroid(30, 1.04),
    Spheroid(30, 12),
    Shell(40, 5),
    Shell(40, 13),
    Shell(40, 0.5),
    Rod(20, 50),
    Rod(20, 20),
    Rod(40, 6),
]
OTHERS = [
    LognormalSpheres(30, 4),
    LognormalSpheres(30, 20),
    LognormalSpheres(30, 0.1),
    Sheet(12),
    Rod(20),
    Stepcut(35).smoothed(0.7),
    Tabulated(np.linspace(0, 40, 81), Sphere(33).gamma0(np.linspace(0, 40, 81)), 1.1),
]


def named(shape: Shape) -> str:
    return f"{shape.kind}{shape.values()}"


@pytest.mark.parametrize("shape", BODIES, ids=named)
def test_volume_and_surface_of_bodies(shape: Shape) -> None:
    volume, surface, kinks = body(shape)
    r, w = panels([0.0, *[k for k in kinks if 0 < k < shape.extent()], shape.extent()])
    assert 4 * np.pi * np.sum(w * r**2 * shape.gamma0(r)) == pytest.approx(volume, rel=1e-9)
    # Forward differences of fourth order at h and γ₀(0) = 1: the polynomial start of γ₀ leaves only rounding.
    h = 1e-3 * min(shape.values())
    g = shape.gamma0(h * np.arange(5))
    assert g[0] == pytest.approx(1, abs=1e-13)
    slope = (-25 * g[0] + 48 * g[1] - 36 * g[2] + 16 * g[3] - 3 * g[4]) / (12 * h)
    assert slope == pytest.approx(-surface / (4 * volume), rel=1e-7)


def test_volume_and_surface_of_a_distribution() -> None:
    shape = LognormalSpheres(30, 7)
    m2, m3, m6 = (lognormal_moment(shape, k) for k in (2, 3, 6))
    r, w = panels([0.0, 20.0, 50.0, shape.extent(), 20 * shape.extent()])
    # Each particle's ∫4πr²γ₀ dr = V is weighted with its volume.
    assert 4 * np.pi * np.sum(w * r**2 * shape.gamma0(r)) == pytest.approx(np.pi / 6 * m6 / m3, rel=1e-9)
    assert (shape.gamma0(np.array([1e-6]))[0] - 1) / 1e-6 == pytest.approx(-1.5 * m2 / m3, rel=1e-6)


def test_slopes_of_endless_bodies() -> None:
    h = 1e-4
    for shape, slope in ((Sheet(12), -1 / 24), (Rod(20), -1 / 20)):  # −S/4V = −2/4t, −4/4D
        assert (shape.gamma0(np.array([h]))[0] - 1) / h == pytest.approx(slope, rel=1e-5)
        assert shape.extent() == math.inf
    r = np.array([100.0, 1000.0])
    np.testing.assert_allclose(Sheet(12).gamma0(r), 6 / r, rtol=1e-14)
    # A thread: what is left of all directions is a cone of the solid angle (section)/r², both ways.
    np.testing.assert_allclose(Rod(2).gamma0(r), np.pi / (2 * np.pi * r**2), rtol=1e-3)


def inside_spheroid(p: np.ndarray) -> np.ndarray:
    return (p[:, 0] ** 2 + p[:, 1] ** 2) / 15**2 + p[:, 2] ** 2 / 24**2 < 1


def inside_shell(p: np.ndarray) -> np.ndarray:
    s = (p**2).sum(axis=1)
    return (s < 24**2) & (s > 17**2)


def inside_rod(p: np.ndarray) -> np.ndarray:
    return (p[:, 0] ** 2 + p[:, 1] ** 2 < 10**2) & (np.abs(p[:, 2]) < 24)


@pytest.mark.parametrize(
    ("shape", "inside"),
    [(Spheroid(30, 1.6), inside_spheroid), (Shell(48, 7), inside_shell), (Rod(20, 48), inside_rod)],
    ids=["spheroid", "shell", "rod"],
)
def test_overlaps_counted_at_random(shape: Shape, inside: Callable[[np.ndarray], np.ndarray]) -> None:
    rng = np.random.default_rng(11)
    p = rng.uniform(-24, 24, size=(400_000, 3))
    p = p[inside(p)]
    n = rng.normal(size=p.shape)
    n /= np.linalg.norm(n, axis=1)[:, None]
    for r in (3.0, 7.5, 18.0, 29.0, 38.0, 44.0):
        gamma = shape.gamma0(np.array([r]))[0]
        sigma = math.sqrt(gamma * (1 - gamma) / len(p))
        # The count is binomial: five standard deviations of about 1e-3.
        assert inside(p + r * n).mean() == pytest.approx(gamma, abs=5 * sigma)


R = np.linspace(0, 60, 601)


@pytest.mark.parametrize("ratio", [1.0, 1 + 1e-9, 1 - 1e-9])
def test_round_spheroid_is_a_sphere(ratio: float) -> None:
    np.testing.assert_allclose(Spheroid(30, ratio).gamma0(R), Sphere(30).gamma0(R), atol=1e-9)
    # ∂/∂axis_ratio at 1: the size goes with the cube root of it, and no shape effect is of first order.
    d = Spheroid(30, ratio).derivatives(R)
    np.testing.assert_allclose(d[0], Sphere(30).derivatives(R)[0], atol=1e-8)
    np.testing.assert_allclose(d[1], Sphere(30).derivatives(R)[0] * 30 / 3, atol=1e-8)


@given(st.floats(0.7, 1.4))
def test_series_of_the_spheroid_joins_its_closed_form(ratio: float) -> None:
    # Straight quadrature over the cosine u; the integrand ends like (u − u₀)², which the nodes resolve.
    r = np.array([3.0, 17.0, 29.0, 31.0, 35.0])
    kappa = ratio**-2 - 1
    gamma = []
    for rho in r / 30:
        edge = math.sqrt(min(max((rho**-2 - 1) / kappa, 0), 1)) if kappa else float(rho < 1)
        u, w = panels([edge, 1.0] if kappa < 0 else [0.0, edge])
        gamma.append(np.sum(w * Sphere(1).gamma0(rho * np.sqrt(1 + kappa * u * u))))
    np.testing.assert_allclose(Spheroid(30, ratio).gamma0(r), gamma, atol=1e-14)


def test_filled_shell_is_a_sphere_and_stays_one() -> None:
    for thickness in (20.0, 25.0, 1000.0):
        shell = Shell(40, thickness)
        np.testing.assert_allclose(shell.gamma0(R), Sphere(40).gamma0(R), atol=1e-15)
        np.testing.assert_allclose(shell.derivatives(R)[0], Sphere(40).derivatives(R)[0], atol=1e-15)
        assert not shell.derivatives(R)[1].any()
    # The hole enters with the cube of its radius.
    np.testing.assert_allclose(Shell(40, 19.99).gamma0(R), Sphere(40).gamma0(R), atol=1e-9)
    thin = Shell(40, 0.01)  # a surface: γ₀ = t/(2r), each of the two crossings of a chord counted once
    np.testing.assert_allclose(thin.gamma0(R[1:400]), 0.01 / (2 * R[1:400]), rtol=1e-3)


def test_limits_of_rods() -> None:
    np.testing.assert_allclose(Rod(20, 1e9).gamma0(R), Rod(20).gamma0(R), atol=1e-7)
    np.testing.assert_allclose(Rod(1e9, 12).gamma0(R), Sheet(12).gamma0(R), atol=1e-7)
    np.testing.assert_allclose(Rod(20).derivatives(R)[1], 0, atol=0)
    np.testing.assert_allclose(Rod(1e9, 12).derivatives(R)[1], Sheet(12).derivatives(R)[0], atol=1e-7)


def test_lognormal_without_width_is_a_sphere() -> None:
    for sigma, tolerance in ((0.0, 1e-15), (1e-8, 1e-14), (1e-3, 1e-8)):
        shape = LognormalSpheres(30, sigma)
        np.testing.assert_allclose(shape.gamma0(R), Sphere(30).gamma0(R), atol=tolerance)
        d = shape.derivatives(R)
        # ∂/∂spdiameter has a corner at r = D, rounded over the width.
        np.testing.assert_allclose(d[0], Sphere(30).derivatives(R)[0], atol=max(1e-14, 0.01 * sigma))
        assert np.abs(d[1]).max() <= 0.01 * sigma
    assert LognormalSpheres(30, 0).extent() == pytest.approx(30)


def test_lognormal_is_the_volume_weighted_mean_over_its_number_distribution() -> None:
    shape = LognormalSpheres(30, 8)
    s2 = math.log(1 + (8 / 30) ** 2)
    t, w = panels([-9.0, 0.0, 9.0], 200)
    D = np.exp(math.log(30) - s2 / 2 + math.sqrt(s2) * t)
    p = w * np.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    mean = np.sum(p * D)
    assert mean == pytest.approx(30, rel=1e-12)
    assert math.sqrt(np.sum(p * (D - mean) ** 2)) == pytest.approx(8, rel=1e-10)
    by_volume = p * D**3 / np.sum(p * D**3)
    exact = [np.sum(by_volume * np.maximum(Sphere(1).gamma0(r / D), 0)) for r in R]
    # The sphere's corner at D = r limits the sum over D.
    np.testing.assert_allclose(shape.gamma0(R), exact, atol=1e-6)
    centre, spread = volume_mean(30, 8)
    assert centre == pytest.approx(np.sum(by_volume * D), rel=1e-9)
    assert spread == pytest.approx(math.sqrt(np.sum(by_volume * (D - centre) ** 2)), rel=1e-7)
    assert number_mean(centre, spread) == pytest.approx((30, 8), rel=1e-14)


def test_lognormal_ends_at_its_extent() -> None:
    for sigma in (0.3, 5, 40):
        shape = LognormalSpheres(30, sigma)
        assert 0 <= shape.gamma0(np.array([shape.extent()]))[0] < 1e-12
        assert shape.gamma0(np.array([0.4 * shape.extent()]))[0] < shape.gamma0(np.array([0.3 * shape.extent()]))[0]


@pytest.mark.parametrize("shape", BODIES + OTHERS, ids=named)
def test_derivatives_are_those_of_differences(shape: Shape) -> None:
    # Five-point differences with a step of 1e-4; γ₀ has corners in its higher derivatives at a few r, which
    # the irrational spacing of these r keeps clear of.
    r = np.sqrt(3) * np.arange(45) + 0.0423
    analytic = shape.derivatives(r)
    assert analytic.shape == (len(shape.parameters), r.size)
    for row, p in zip(analytic, shape.parameters, strict=True):
        value = getattr(shape, p.name)
        if math.isinf(value):
            assert not row.any()
            continue
        h = 1e-4 * value

        def at(k: int, name: str = p.name, x: float = value, h: float = h) -> np.ndarray:
            return replace(shape, **{name: x + k * h}).gamma0(r)

        numeric = (at(-2) - 8 * at(-1) + 8 * at(1) - at(2)) / (12 * h)
        # Rounding of γ₀ (1e-15) over the step, and the differences' own fourth order.
        np.testing.assert_allclose(row, numeric, atol=2e-8 * np.abs(row).max() + 1e-14 / h)


@pytest.mark.parametrize("shape", BODIES + OTHERS, ids=named)
def test_values_stay_between_one_and_zero_and_end(shape: Shape) -> None:
    r = np.linspace(0, 1.3 * min(shape.extent(), 500), 2001)
    g = shape.gamma0(r)
    assert g[0] == pytest.approx(1, abs=1e-13)
    assert g.min() >= -1e-15
    if not isinstance(shape, Shell):  # a hollow body has more of itself at the far wall
        assert np.diff(g).max() <= 1e-14
    assert np.abs(g[r >= shape.extent()]).max(initial=0) <= (1e-12 if isinstance(shape, LognormalSpheres) else 1e-15)
    if math.isfinite(shape.extent()) and not isinstance(shape, LognormalSpheres | Tabulated):
        assert shape.gamma0(np.array([0.97 * shape.extent()]))[0] > 0


@pytest.mark.parametrize("shape", BODIES + OTHERS, ids=named)
def test_a_step_of_a_fit_makes_what_replace_makes_and_refuses_what_it_refuses(shape: Shape) -> None:
    names, values = [p.name for p in shape.parameters], [0.99 * value for value in shape.values()]
    made, r = replace(shape, **dict(zip(names, values, strict=True))), np.linspace(0, 40, 50)
    assert type(shape.moved(values)) is type(made)
    assert shape.moved(values).values() == made.values()
    np.testing.assert_array_equal(shape.moved(values).gamma0(r), made.gamma0(r))
    for k, p in enumerate(shape.parameters):
        for wrong in (p.low - 1e-3, math.nan, *([] if p.may_be_infinite else [math.inf])):
            with pytest.raises(PdfkitError, match=p.name):
                shape.moved([*values[:k], wrong, *values[k + 1 :]])


SIZES = st.floats(1, 200)
SHAPED = st.one_of(
    st.builds(Sphere, SIZES),
    st.builds(LognormalSpheres, SIZES, st.floats(0, 60)),
    st.builds(Spheroid, SIZES, st.floats(0.05, 20)),
    st.builds(Shell, SIZES, SIZES),
    st.builds(Sheet, SIZES),
    st.builds(Rod, SIZES, SIZES),
)


@given(SHAPED, st.floats(0.1, 10))
def test_sizes_scale(shape: Shape, factor: float) -> None:
    """γ₀(r; lengths) = γ₀(kr; k lengths), so Σ length·∂γ₀/∂length = −r ∂γ₀/∂r ≥ 0 for a convex body."""
    lengths = [p.name for p in shape.parameters if p.unit == "Å"]
    larger = replace(shape, **{name: factor * getattr(shape, name) for name in lengths})
    r = np.linspace(0, 250, 101)
    # Thin walls and small particles lose digits in the difference of large overlaps: 1e-16·(size/thickness)².
    np.testing.assert_allclose(larger.gamma0(factor * r), shape.gamma0(r), atol=1e-10)
    d = dict(zip([p.name for p in shape.parameters], shape.derivatives(r), strict=True))
    assert all(np.isfinite(row).all() for row in d.values())
    total = sum(getattr(shape, name) * d[name] for name in lengths)
    if not isinstance(shape, Shell):
        assert np.min(total) >= -1e-12


def test_stepcut_and_its_ramp() -> None:
    r = np.array([0, 34.9, 35.0, 35.1])
    assert Stepcut(35).gamma0(r).tolist() == [1, 1, 1, 0]
    assert not Stepcut(35).derivatives(r).any()
    assert Stepcut(35).extent() == 35
    ramp = Stepcut(35).smoothed(0.4)
    np.testing.assert_allclose(ramp.gamma0(r), [1, 0.75, 0.5, 0.25], atol=1e-13)
    np.testing.assert_allclose(ramp.derivatives(r), [[0, 2.5, 2.5, 2.5]], atol=1e-12)
    assert ramp.extent() == 35.2
    # On a grid of the ramp's width the sum over the grid is the length of the step, wherever it falls.
    grid = 0.4 * np.arange(200)
    for cut in (35.0, 35.07, 35.39):
        assert 0.4 * replace(ramp, stepcut=cut).gamma0(grid).sum() - 0.2 == pytest.approx(cut, abs=1e-12)
    with pytest.raises(PdfkitError, match="h = 0"):
        Stepcut(35).smoothed(0)


def test_tables_are_interpolated_without_overshoot() -> None:
    r = np.linspace(0, 30, 31)
    table = Tabulated(r, Sphere(30).gamma0(r))
    fine = np.linspace(0, 32, 900)
    # Monotone cubics on steps of 1 Å: third order, 1e-5 here.
    np.testing.assert_allclose(table.gamma0(fine), Sphere(30).gamma0(fine), atol=2e-4)
    assert (np.diff(table.gamma0(fine)) <= 0).all()
    stretched = replace(table, stretch=1.5)
    assert stretched.extent() == 45
    np.testing.assert_allclose(stretched.gamma0(1.5 * fine), table.gamma0(fine), atol=1e-14)
    np.testing.assert_array_equal(table.gamma0(r), Sphere(30).gamma0(r))


def test_tables_are_checked() -> None:
    r = np.linspace(0, 30, 31)
    with pytest.raises(PdfkitError, match="it must be 1 at 0"):
        Tabulated(r, 0.9 * Sphere(30).gamma0(r))
    with pytest.raises(PdfkitError, match="it must be 1 at 0"):
        Tabulated(r + 1, Sphere(30).gamma0(r))
    with pytest.raises(PdfkitError, match="table has 30 points and r has 31"):
        Tabulated(r, np.ones(30))
    open_end = Tabulated(r, 1 - r / 60)
    assert open_end.extent() == math.inf
    assert open_end.gamma0(np.array([30.0]))[0] == 0.5
    with pytest.raises(PdfkitError, match="extend the table"):
        open_end.gamma0(np.array([31.0]))


def test_bulk_has_no_boundary() -> None:
    assert (Bulk().gamma0(R) == 1).all()
    assert Bulk().derivatives(R).shape == (0, R.size)
    assert Bulk().extent() == math.inf


@pytest.mark.parametrize("shape", [Bulk(), *BODIES, *OTHERS], ids=named)
def test_every_shape_is_known_by_its_kind(shape: Shape) -> None:
    assert SHAPES[shape.kind] is type(shape)
    again = from_kind(shape.kind, **{f.name: getattr(shape, f.name) for f in fields(shape)})
    assert again.values() == shape.values()
    assert {p.name for p in shape.parameters} <= {f.name for f in fields(shape)}
    # Shapes travel to worker processes.
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(shape)).gamma0(R[:300]), shape.gamma0(R[:300]))


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("spherical", {"spdiameter": 30}, "did you mean spheroid, sphere"),
        ("sphere", {"diameter": 30}, "no parameter 'diameter': a sphere takes spdiameter"),
        ("shell", {"spdiameter": 30}, "lacks thickness"),
        ("bulk", {"stretch": 1}, "takes no parameters"),
    ],
)
def test_wrong_recipes_are_refused(kind: str, params: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        from_kind(kind, **params)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Sphere(0), "spdiameter = 0 is outside"),
        (lambda: Sphere(math.inf), "spdiameter = inf is not finite"),
        (lambda: Sphere("big"), "not a number"),
        (lambda: LognormalSpheres(30, -1), "spsigma = -1"),
        (lambda: Spheroid(30, 0), "axis_ratio = 0"),
        (lambda: Rod(30, math.nan), "length = nan"),
    ],
)
def test_impossible_sizes_are_refused(build: Callable[[], Shape], message: str) -> None:
    with pytest.raises(PdfkitError, match=message):
        build()


@pytest.mark.parametrize("shape", [*BODIES, *OTHERS], ids=named)
def test_slopes_equal_differences(shape: Shape) -> None:
    # Away from knees and knots, where differences of γ₀ over 1e-4 Å are good to rounding.
    r = np.linspace(0.31, 60.0, 777)
    gamma0, by, slope = shape.jet(r)
    np.testing.assert_allclose(slope, Shape.slope(shape, r), rtol=0, atol=2e-9)
    np.testing.assert_array_equal(slope, shape.slope(r))
    np.testing.assert_array_equal(gamma0, shape.gamma0(r))
    np.testing.assert_array_equal(by, shape.derivatives(r))
